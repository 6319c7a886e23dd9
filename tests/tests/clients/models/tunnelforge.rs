//! TunnelForge on Android 12 and later.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{
    AES, EspStyle, Life, Order, SHA1, TRIPLE_DES, phase1_suites, phase2,
};

use super::{RFC_3947, android, m};
use crate::model::{Farewell, Model, Renewal};

/// TunnelForge: no lifetimes, forged NAT-D, always in UDP, asks us to authenticate ourselves.
pub(crate) fn tunnelforge() -> Model {
    let suites = [(AES, 128, SHA1, 14), (TRIPLE_DES, 0, SHA1, 14)];
    let offer = phase1_suites(&suites, Order::CipherFirst, Life::None);
    let mut dialect = Dialect::new(offer, &[RFC_3947], PSK);
    dialect.forged_nat_d = true;
    Model {
        dialect,
        esp: |spi, _| {
            let style = EspStyle::new(4, Life::None);
            phase2(&[(12, 128, 2), (3, 0, 2)], spi, &style)
        },
        port: 1701,
        id_port: 0,
        nat_oa: false,
        sccrq: vec![
            m(0, &[0, 1]),
            m(2, &[1, 0]),
            m(3, &[0, 0, 0, 3]),
            m(4, &[0, 0, 0, 3]),
            m(6, &[0, 1]),
            m(7, b"tunnel_forge"),
            m(9, &[0x10, 1]),
            m(10, &[4, 0]),
        ],
        icrq: vec![m(0, &[0, 10]), m(14, &[0x10, 1])],
        iccn: vec![m(0, &[0, 12]), m(14, &[0x10, 1])],
        lcp: vec![
            vec![1, 4, 5, 0x78],
            vec![2, 6, 0, 0, 0, 0],
            vec![3, 5, 0xc2, 0x23, 0x81],
        ],
        ipcp: [3, 129].map(|kind| vec![kind, 6, 0, 0, 0, 0]).to_vec(),
        contact_apart: false,
        renewal: Renewal::Never,
        farewell: Farewell::TunnelForge,
        ..android()
    }
}

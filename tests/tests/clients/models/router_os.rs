//! RouterOS 6 and 7.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{
    AES, EspStyle, Life, Order, SHA1, TRIPLE_DES, phase1_suites, phase2,
};

use super::{DPD, NATT_02_N, RFC_3947, chromeos};
use crate::l2tp::CCP;
use crate::model::Model;

/// RouterOS: a day of lifetime, PFS with MODP 1024 in its default proposal.
pub(crate) fn router_os() -> Model {
    let suites = [
        (AES, 128, SHA1, 14),
        (AES, 128, SHA1, 2),
        (TRIPLE_DES, 0, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 2),
    ];
    let offer = phase1_suites(&suites, Order::LifeFirst, Life::Long(86_400));
    Model {
        dialect: Dialect::new(offer, &[RFC_3947, NATT_02_N, DPD], PSK),
        esp: |spi, mode| {
            let mut style = EspStyle::new(mode, Life::Short(1800));
            style.group = Some(2);
            let suites = [(12, 256, 2), (12, 192, 2), (12, 128, 2)];
            phase2(&suites, spi, &style)
        },
        pfs: Some(ike_crypto::Group::Modp1024),
        lcp: vec![
            vec![1, 4, 5, 0xaa],
            vec![5, 6, 1, 2, 3, 4],
            vec![17, 4, 6, 0x40],
        ],
        besides: vec![
            (CCP, vec![18, 6, 1, 0, 0, 0x40]),
            // MPLSCP, RFC 3032 4.1.
            (0x8281, Vec::new()),
        ],
        ..chromeos()
    }
}

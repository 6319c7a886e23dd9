//! ChromeOS: strongSwan, xl2tpd, pppd.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::certificate::Certified;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{
    AES, EspStyle, Life, Order, SHA1, SHA256, TRIPLE_DES, phase1, phase1_attributes, phase2, tv,
};

use super::{DPD, FRAGMENTATION, NATT_02_N, RFC_3947, XAUTH, certified, m, o};
use crate::model::{Farewell, Model, Renewal};

/// The six transforms, by method and lifetime: four of its own and two implicit defaults, the last of
/// which, an AEAD, IKEv1 cannot express.
fn offer(method: u16, seconds: u16) -> Vec<u8> {
    let life = Life::Short(seconds);
    let suites = [
        (AES, 128, SHA256, 15),
        (AES, 128, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 5),
        (TRIPLE_DES, 0, SHA1, 2),
        (AES, 128, SHA256, 19),
    ];
    let mut offer: Vec<_> = suites
        .iter()
        .map(|suite| phase1_attributes(*suite, method, Order::CipherFirst, life))
        .collect();
    offer.push([tv(4, 19), tv(3, method), tv(11, 1), tv(12, seconds)].concat());
    phase1(&offer)
}

/// ChromeOS since 2021: strongSwan 5.9.4 by swanctl, xl2tpd 1.3.12, pppd 2.4.9.
pub(crate) fn chromeos() -> Model {
    let vendors = [XAUTH, DPD, FRAGMENTATION, RFC_3947, NATT_02_N];
    let mut dialect = Dialect::new(offer(1, 15_840), &vendors, PSK);
    dialect.initial_contact = true;
    Model {
        dialect,
        contact_apart: false,
        fragment: Some(1280 - 28),
        esp: |spi, mode| {
            let suites = [
                (20, 128, 0),
                (12, 128, 5),
                (12, 128, 2),
                (3, 0, 2),
                (3, 0, 1),
                (12, 128, 5),
                (20, 128, 0),
            ];
            phase2(&suites, spi, &EspStyle::new(mode, Life::Short(3960)))
        },
        quick_nonce: 32,
        counts: false,
        pfs: None,
        cuts_sha256: false,
        port: 1701,
        id_port: 1701,
        nat_oa: true,
        sccrq: vec![
            m(0, &[0, 1]),
            m(2, &[1, 0]),
            m(3, &[0, 0, 0, 3]),
            m(4, &[0; 4]),
            o(6, &[6, 0x90]),
            m(7, b"localhost"),
            o(8, b"xelerance.com"),
            m(9, &[0xb2, 0x31]),
            m(10, &[0, 4]),
        ],
        icrq: vec![
            m(0, &[0, 10]),
            m(14, &[0x77, 1]),
            m(15, &[0, 0, 0, 1]),
            m(18, &[0; 4]),
        ],
        iccn: vec![
            m(0, &[0, 12]),
            m(24, &1_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 1]),
            o(38, &1_000_000_u32.to_be_bytes()),
        ],
        deaf: 0,
        lcp: vec![
            vec![1, 4, 5, 0x82],
            vec![2, 6, 0, 0, 0, 0],
            vec![5, 6, 0xa1, 0xb2, 0xc3, 0xd4],
            vec![7, 2],
            vec![8, 2],
        ],
        ipcp: vec![
            vec![2, 6, 0, 0x2d, 0x0f, 1],
            vec![3, 6, 0, 0, 0, 0],
            vec![129, 6, 0, 0, 0, 0],
            vec![131, 6, 0, 0, 0, 0],
        ],
        identification: Vec::new(),
        besides: Vec::new(),
        renewal: Renewal::Beside,
        farewell: Farewell::Polite,
    }
}

/// ChromeOS of 2018: strongSwan 5.5 by starter, its own lifetimes and ESP list.
pub(crate) fn chromeos_2018() -> Model {
    let vendors = [XAUTH, DPD, FRAGMENTATION, RFC_3947, NATT_02_N];
    Model {
        dialect: Dialect::new(offer(1, 10_800), &vendors, PSK),
        esp: |spi, mode| {
            let suites = [
                (20, 128, 0),
                (12, 128, 5),
                (12, 128, 2),
                (3, 0, 2),
                (12, 128, 1),
                (3, 0, 1),
                (12, 128, 5),
                (20, 128, 0),
            ];
            phase2(&suites, spi, &EspStyle::new(mode, Life::Short(3600)))
        },
        ..chromeos()
    }
}

/// The same with a certificate.
pub(crate) fn chromeos_rsa() -> Model {
    certified(chromeos(), offer(3, 15_840), Certified::strongswan())
}

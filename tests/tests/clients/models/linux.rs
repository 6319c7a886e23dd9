//! NetworkManager-l2tp.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{
    AES, EspStyle, Life, Order, SHA1, SHA256, TRIPLE_DES, phase1_suites, phase2,
};

use super::{DPD, FRAGMENTATION, NATT_02_N, RFC_3947, XAUTH, chromeos};
use crate::model::Model;

/// NetworkManager-l2tp over strongSwan, or over libreswan, which writes lifetimes in four octets
/// and offers no MODP 1024.
pub(crate) fn network_manager(libreswan: bool) -> Model {
    let mut suites = vec![
        (AES, 256, SHA256, 14),
        (AES, 256, SHA256, 5),
        (AES, 256, SHA256, 2),
        (AES, 256, SHA1, 14),
        (AES, 256, SHA1, 5),
        (AES, 256, SHA1, 2),
        (AES, 256, SHA1, 20),
        (AES, 128, SHA1, 2),
        (AES, 128, SHA1, 19),
        (TRIPLE_DES, 0, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 2),
    ];
    let mut life = Life::Short(10_800);
    if libreswan {
        suites.retain(|suite| suite.3 != 2);
        life = Life::Long(86_400);
    }
    let offer = phase1_suites(&suites, Order::CipherFirst, life);
    // As ChromeOS' strongSwan; libreswan's are not known octet for octet.
    let vendors = [XAUTH, DPD, FRAGMENTATION, RFC_3947, NATT_02_N];
    Model {
        dialect: Dialect::new(offer, &vendors, PSK),
        esp: if libreswan {
            |spi, mode| {
                let suites = [(12, 256, 2), (12, 128, 2), (3, 0, 2)];
                phase2(&suites, spi, &EspStyle::new(mode, Life::Short(28_800)))
            }
        } else {
            |spi, mode| {
                let suites = [(12, 256, 2), (12, 128, 2), (3, 0, 2)];
                phase2(&suites, spi, &EspStyle::new(mode, Life::Short(3600)))
            }
        },
        // Kernel mode of xl2tpd: no compression of headers.
        lcp: vec![
            vec![1, 4, 5, 0x78],
            vec![2, 6, 0, 0, 0, 0],
            vec![5, 6, 0xa1, 0xb2, 0xc3, 0xd4],
        ],
        ipcp: [3, 129, 131].map(|kind| vec![kind, 6, 0, 0, 0, 0]).to_vec(),
        ..chromeos()
    }
}

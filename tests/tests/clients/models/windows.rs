//! Windows 7 to 11.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::certificate::Certified;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{AES, EspStyle, Life, Order, SHA1, TRIPLE_DES, phase1_by, phase2};

use super::{
    CGA, CONTACT, FRAGMENTATION, KEY_MODS, NATT_02_N, NEGOTIATION, NT5, RFC_3947, certified, m, o,
};
use crate::l2tp::{CCP, IPV6CP, avp};
use crate::model::{Farewell, Model, Renewal};

fn offer(method: u16) -> Vec<u8> {
    let suites = [
        (AES, 256, SHA1, 20),
        (AES, 128, SHA1, 19),
        (AES, 256, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 2),
    ];
    phase1_by(method, &suites, Order::CipherFirst, Life::Long(28_800))
}

/// Windows 8.1 to 11; Windows 7 leaves the first Vendor ID out and is version 8.
pub(crate) fn windows(seven: bool) -> Model {
    let version = [NT5, &[0, 0, 0, if seven { 8 } else { 9 }]].concat();
    let mut vendors: Vec<&[u8]> = vec![
        KEY_MODS,
        &version,
        RFC_3947,
        NATT_02_N,
        &FRAGMENTATION[..16],
        NEGOTIATION,
        CONTACT,
        CGA,
    ];
    if seven {
        vendors.remove(0);
    }
    let mut dialect = Dialect::new(offer(1), &vendors, PSK);
    dialect.nonce = 48;
    Model {
        dialect,
        contact_apart: false,
        fragment: None,
        esp: |spi, mode| {
            let mut style = EspStyle::new(mode, Life::Long(3600));
            style.kilobytes = Some(250_000);
            style.proposal_each = true;
            let suites = [(12, 256, 2), (12, 128, 2), (3, 0, 2), (2, 0, 2), (11, 0, 2)];
            phase2(&suites, spi, &style)
        },
        quick_nonce: 48,
        counts: true,
        pfs: None,
        cuts_sha256: false,
        port: 1701,
        id_port: 1701,
        nat_oa: true,
        sccrq: vec![
            m(0, &[0, 1]),
            m(2, &[1, 0]),
            m(3, &[0, 0, 0, 1]),
            m(4, &[0; 4]),
            o(6, if seven { &[6, 1] } else { &[10, 0] }),
            m(7, b"PC"),
            o(8, b"Microsoft"),
            m(9, &[0, 1]),
            m(10, &[0, 8]),
        ],
        icrq: vec![
            m(0, &[0, 10]),
            m(14, &[0, 1]),
            m(15, &[0; 4]),
            m(18, &[0, 0, 0, 2]),
            avp(false, 311, 1, &[0xab; 16]),
        ],
        iccn: vec![
            m(0, &[0, 12]),
            m(24, &1_000_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 1]),
        ],
        // Its own requests go out meanwhile, but its PPP takes none in.
        deaf: 2,
        lcp: vec![
            vec![1, 4, 5, 0x78],
            vec![5, 6, 0x16, 0xc0, 0x29, 0x43],
            vec![7, 2],
            vec![8, 2],
            vec![13, 3, 6],
        ],
        ipcp: [3, 129, 130, 131, 132]
            .map(|kind| vec![kind, 6, 0, 0, 0, 0])
            .to_vec(),
        identification: [&b"MSRASV5.20"[..], b"MSRAS-0-PC", &[0xc5; 16]]
            .map(<[u8]>::to_vec)
            .to_vec(),
        besides: vec![
            (CCP, vec![18, 6, 1, 0, 0, 0]),
            (IPV6CP, vec![1, 10, 2, 0, 0, 0xff, 0xfe, 0, 0, 5]),
        ],
        renewal: Renewal::DeleteOld,
        farewell: Farewell::Windows,
    }
}

/// The same with a machine certificate.
pub(crate) fn windows_rsa(seven: bool) -> Model {
    certified(windows(seven), offer(3), Certified::windows())
}

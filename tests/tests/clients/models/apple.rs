//! macOS and iOS: racoon, and L2TP in the kernel.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::certificate::Certified;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{
    AES, Life, MD5, Order, SHA1, SHA256, SHA512, Suite, TRIPLE_DES, phase1_by,
};

use super::{DPD, FRAGMENTATION, NATT_02, NATT_02_N, RFC_3947, certified, m, racoon};
use crate::l2tp::{ACSP, IPV6CP};
use crate::model::{Farewell, Model, Renewal};

const NATT_APPLE: &[u8] = b"\x4d\xf3\x79\x28\xe9\xfc\x4f\xd1\xb3\x26\x21\x70\xd5\x15\xc6\x62";
const NATT_03: &[u8] = b"\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56";
const NATT_04: &[u8] = b"\x99\x09\xb6\x4e\xed\x93\x7c\x65\x73\xde\x52\xac\xe9\x52\xfa\x6b";
const NATT_05: &[u8] = b"\x80\xd0\xbb\x3d\xef\x54\x56\x5e\xe8\x46\x45\xd4\xc8\x5c\xe3\xee";
const NATT_06: &[u8] = b"\x4d\x1e\x0e\x13\x6d\xea\xfa\x34\xc4\xf3\xea\x9f\x02\xec\x72\x85";
const NATT_07: &[u8] = b"\x43\x9b\x59\xf8\xba\x67\x6c\x4c\x77\x37\xae\x22\xea\xb8\xf5\x82";
const NATT_08: &[u8] = b"\x8f\x8d\x83\x82\x6d\x24\x6b\x6f\xc7\xa8\xa6\xa4\x28\xc1\x1d\xe8";
const VENDORS: [&[u8]; 12] = [
    RFC_3947,
    NATT_APPLE,
    NATT_08,
    NATT_07,
    NATT_06,
    NATT_05,
    NATT_04,
    NATT_03,
    NATT_02,
    NATT_02_N,
    FRAGMENTATION,
    DPD,
];

fn offer(method: u16, suites: &[Suite]) -> Vec<u8> {
    phase1_by(method, suites, Order::LifeFirst, Life::Short(3600))
}

/// 14 transforms, macOS 10.13 and later.
fn recent() -> Vec<Suite> {
    let mut suites = Vec::new();
    for hash in [SHA256, SHA1, MD5, SHA512] {
        suites.push((AES, 256, hash, 14));
    }
    for group in [5, 2] {
        for hash in [SHA256, SHA1, MD5] {
            suites.push((AES, 256, hash, group));
        }
    }
    for (cipher, bits) in [(AES, 128), (TRIPLE_DES, 0)] {
        for hash in [SHA1, MD5] {
            suites.push((cipher, bits, hash, 2));
        }
    }
    suites
}

/// macOS 10.13 to 26 and iOS of that age: racoon, the kernel's L2TP from a port of the moment.
/// Before 2022 without HMAC-SHA-256 in ESP.
pub(crate) fn macos(before_2022: bool) -> Model {
    let mut dialect = Dialect::new(offer(1, &recent()), &VENDORS, PSK);
    dialect.initial_contact = true;
    dialect.nonce = 16;
    Model {
        dialect,
        contact_apart: false,
        fragment: Some(552),
        esp: if before_2022 {
            |spi, mode| {
                let suites = [
                    (12, 256, 2),
                    (12, 256, 1),
                    (12, 128, 2),
                    (12, 128, 1),
                    (3, 0, 2),
                    (3, 0, 1),
                ];
                racoon(&suites, spi, mode, 3600)
            }
        } else {
            |spi, mode| {
                let suites = [
                    (12, 256, 5),
                    (12, 256, 2),
                    (12, 256, 1),
                    (12, 128, 5),
                    (12, 128, 2),
                    (12, 128, 1),
                    (3, 0, 5),
                    (3, 0, 2),
                    (3, 0, 1),
                ];
                racoon(&suites, spi, mode, 3600)
            }
        },
        quick_nonce: 16,
        counts: false,
        pfs: None,
        cuts_sha256: false,
        port: 56_322,
        id_port: 56_322,
        nat_oa: true,
        sccrq: vec![
            m(0, &[0, 1]),
            m(2, &[1, 0]),
            m(3, &[0, 0, 0, 3]),
            m(7, b"MacBook\0"),
            m(9, &[0, 9]),
            m(10, &[0, 4]),
        ],
        icrq: vec![m(0, &[0, 10]), m(14, &[0x24, 1]), m(15, &[0, 0, 0, 1])],
        iccn: vec![
            m(0, &[0, 12]),
            m(24, &1_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 3]),
        ],
        deaf: 0,
        lcp: vec![
            vec![2, 6, 0, 0, 0, 0],
            vec![5, 6, 1, 2, 3, 4],
            vec![7, 2],
            vec![8, 2],
        ],
        ipcp: [3, 129, 131].map(|kind| vec![kind, 6, 0, 0, 0, 0]).to_vec(),
        identification: Vec::new(),
        besides: vec![
            (IPV6CP, vec![1, 10, 2, 0, 0, 0xff, 0xfe, 0, 0, 9]),
            (ACSP, Vec::new()),
        ],
        renewal: Renewal::BothPhases,
        farewell: Farewell::Apple,
    }
}

/// macOS 10.7 to 10.12: MODP 1024 only.
pub(crate) fn macos_10_12() -> Model {
    let mut suites = Vec::new();
    for (cipher, bits) in [(AES, 256), (AES, 128), (TRIPLE_DES, 0)] {
        for hash in [SHA1, MD5] {
            suites.push((cipher, bits, hash, 2));
        }
    }
    let mut model = macos(true);
    model.dialect.phase1 = offer(1, &suites);
    model
}

/// The same with a certificate.
pub(crate) fn macos_rsa() -> Model {
    certified(macos(false), offer(3, &recent()), Certified::racoon())
}

//! Android up to 11: racoon, mtpd, pppd.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::certificate::Certified;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{
    AES, Life, MD5, Order, SHA1, SHA256, SHA384, SHA512, Suite, TRIPLE_DES, phase1_by,
};

use super::{
    DPD, FRAGMENTATION, NATT_00, NATT_02, NATT_02_N, RFC_3947, certified, m, macos, racoon,
};
use crate::model::{Farewell, Model, Renewal};

const VENDORS: [&[u8]; 6] = [RFC_3947, NATT_02, NATT_02_N, NATT_00, FRAGMENTATION, DPD];

fn offer(method: u16, suites: &[Suite]) -> Vec<u8> {
    phase1_by(method, suites, Order::LifeFirst, Life::Short(28_800))
}

/// Android 7.1 and later.
fn recent() -> Vec<Suite> {
    let mut suites = Vec::new();
    for hash in [SHA384, SHA256, SHA512, SHA1, MD5] {
        suites.push((AES, 256, hash, 2));
    }
    for hash in [SHA512, SHA384, SHA256, SHA1, MD5] {
        suites.push((AES, 128, hash, 2));
    }
    for cipher in [TRIPLE_DES, 1] {
        for hash in [SHA256, SHA1, MD5] {
            suites.push((cipher, 0, hash, 2));
        }
    }
    suites
}

/// Android 7.1 to 11: racoon with MODP 1024 only, mtpd with a window of one, no NAT-OA.
pub(crate) fn android() -> Model {
    let mut dialect = Dialect::new(offer(1, &recent()), &VENDORS, PSK);
    dialect.nonce = 16;
    Model {
        dialect,
        contact_apart: true,
        esp: |spi, mode| {
            let mut suites = Vec::new();
            for (id, bits) in [(12, 256), (12, 128), (3, 0), (2, 0)] {
                suites.extend([7, 6, 2, 5, 1].map(|auth| (id, bits, auth)));
            }
            racoon(&suites, spi, mode, 28_800)
        },
        quick_nonce: 16,
        port: 49_873,
        id_port: 0,
        nat_oa: false,
        sccrq: vec![
            m(0, &[0, 1]),
            m(2, &[1, 0]),
            m(7, b"anonymous"),
            m(3, &[0, 0, 0, 3]),
            m(9, &[0x0d, 0x6a]),
            m(10, &[0, 1]),
        ],
        icrq: vec![m(0, &[0, 10]), m(14, &[0x33, 0x44]), m(15, &[9, 8, 7, 6])],
        iccn: vec![
            m(0, &[0, 12]),
            m(24, &100_000_000_u32.to_be_bytes()),
            m(19, &[0, 0, 0, 3]),
        ],
        lcp: vec![
            vec![1, 4, 5, 0x78],
            vec![2, 6, 0, 0, 0, 0],
            vec![5, 6, 1, 2, 3, 4],
            vec![7, 2],
            vec![8, 2],
        ],
        besides: Vec::new(),
        renewal: Renewal::Beside,
        farewell: Farewell::Android,
        ..macos(true)
    }
}

/// Android 4.4 to 7.0: no longer hashes, and HMAC-SHA-256 first, which its kernel cuts to 96 bits.
pub(crate) fn android_4_4() -> Model {
    let mut suites = Vec::new();
    for (cipher, bits) in [(AES, 256), (AES, 128), (TRIPLE_DES, 0), (1, 0)] {
        for hash in [SHA256, SHA1, MD5] {
            suites.push((cipher, bits, hash, 2));
        }
    }
    let mut model = android();
    model.dialect.phase1 = offer(1, &suites);
    model.cuts_sha256 = true;
    model.esp = |spi, mode| {
        let mut suites = Vec::new();
        for (id, bits) in [(12, 256), (12, 128), (3, 0), (2, 0)] {
            suites.extend([5, 2, 1].map(|auth| (id, bits, auth)));
        }
        racoon(&suites, spi, mode, 28_800)
    };
    model
}

/// "L2TP/IPSec RSA": the same with a certificate (setup.c, `udprsa`).
pub(crate) fn android_rsa() -> Model {
    certified(android(), offer(3, &recent()), Certified::racoon())
}

//! What each client sends, from its sources and published logs.

use tanuki_tests::ike::Dialect;
use tanuki_tests::ike::gateway::PSK;
use tanuki_tests::ike::offers::{
    AES, Esp, EspStyle, Life, MD5, Order, SHA1, SHA256, SHA384, SHA512, TRIPLE_DES, phase1,
    phase1_attributes, phase1_suites, phase2, tv,
};

use crate::client::{Model, avp};

const RFC_3947: &[u8] = b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
const NATT_02_N: &[u8] = b"\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f";
const DPD: &[u8] = b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
const XAUTH: &[u8] = b"\x09\x00\x26\x89\xdf\xd6\xb7\x12";
const FRAGMENTATION: &[u8] =
    b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\x80\x00\x00\x00";
const KEY_MODS: &[u8] =
    b"\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\x00\x00\x00\x01";
const NT5: &[u8] = b"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61";
const NEGOTIATION: &[u8] = b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20";
const CONTACT: &[u8] = b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19";
const CGA: &[u8] = b"\xe3\xa5\x96\x6a\x76\x37\x9f\xe7\x07\x22\x82\x31\xe5\xce\x86\x52";

fn m(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(true, 0, attribute, value)
}

fn o(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(false, 0, attribute, value)
}

/// ChromeOS since 2021: strongSwan 5.9.4 by swanctl, xl2tpd 1.3.12, pppd 2.4.9.
pub(crate) fn chromeos() -> Model {
    let life = Life::Short(15_840);
    let suites = [
        (AES, 128, SHA256, 15),
        (AES, 128, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 5),
        (TRIPLE_DES, 0, SHA1, 2),
        (AES, 128, SHA256, 19),
    ];
    let mut offer: Vec<_> = suites
        .iter()
        .map(|suite| phase1_attributes(*suite, 1, Order::CipherFirst, life))
        .collect();
    // The AEAD default, which IKEv1 cannot express.
    offer.push([tv(4, 19), tv(3, 1), tv(11, 1), tv(12, 15_840)].concat());
    let vendors = [XAUTH, DPD, FRAGMENTATION, RFC_3947, NATT_02_N];
    let mut dialect = Dialect::new(phase1(&offer), &vendors, PSK);
    dialect.initial_contact = true;
    Model {
        dialect,
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
    }
}

/// Windows 8.1 to 11; Windows 7 leaves the first Vendor ID out and is version 8.
pub(crate) fn windows(seven: bool) -> Model {
    let suites = [
        (AES, 256, SHA1, 20),
        (AES, 128, SHA1, 19),
        (AES, 256, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 2),
    ];
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
    let offer = phase1_suites(&suites, Order::CipherFirst, Life::Long(28_800));
    let mut dialect = Dialect::new(offer, &vendors, PSK);
    dialect.nonce = 48;
    Model {
        dialect,
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
    }
}

fn racoon(suites: &[Esp], spi: u32, mode: u16, seconds: u16) -> Vec<u8> {
    let mut style = EspStyle::new(mode, Life::Short(seconds));
    style.order = Order::LifeFirst;
    phase2(suites, spi, &style)
}

/// macOS 10.13 to 26 and iOS of that age: racoon, the kernel's L2TP from a port of the moment.
/// Before 2022 without HMAC-SHA-256 in ESP.
pub(crate) fn macos(before_2022: bool) -> Model {
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
    let offer = phase1_suites(&suites, Order::LifeFirst, Life::Short(3600));
    let mut dialect = Dialect::new(offer, &[RFC_3947, NATT_02_N, FRAGMENTATION, DPD], PSK);
    dialect.initial_contact = true;
    dialect.nonce = 16;
    Model {
        dialect,
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
        lcp: vec![
            vec![2, 6, 0, 0, 0, 0],
            vec![5, 6, 1, 2, 3, 4],
            vec![7, 2],
            vec![8, 2],
        ],
        ipcp: [3, 129, 131].map(|kind| vec![kind, 6, 0, 0, 0, 0]).to_vec(),
    }
}

/// Android 7.1 to 11: racoon with MODP 1024 only, mtpd with a window of one, no NAT-OA.
pub(crate) fn android() -> Model {
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
    let offer = phase1_suites(&suites, Order::LifeFirst, Life::Short(28_800));
    let mut dialect = Dialect::new(offer, &[RFC_3947, NATT_02_N, FRAGMENTATION, DPD], PSK);
    dialect.nonce = 16;
    Model {
        dialect,
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
        ..macos(true)
    }
}

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
        ..android()
    }
}

/// ChromeOS of 2018: strongSwan 5.5 by starter, its own lifetimes and ESP list.
pub(crate) fn chromeos_2018() -> Model {
    let life = Life::Short(10_800);
    let suites = [
        (AES, 128, SHA256, 15),
        (AES, 128, SHA1, 14),
        (TRIPLE_DES, 0, SHA1, 5),
        (TRIPLE_DES, 0, SHA1, 2),
    ];
    let offer = phase1_suites(&suites, Order::CipherFirst, life);
    let vendors = [XAUTH, DPD, FRAGMENTATION, RFC_3947, NATT_02_N];
    Model {
        dialect: Dialect::new(offer, &vendors, PSK),
        esp: |spi, mode| {
            let suites = [
                (20, 128, 0),
                (12, 128, 5),
                (12, 128, 2),
                (3, 0, 2),
                (12, 128, 1),
                (3, 0, 1),
            ];
            phase2(&suites, spi, &EspStyle::new(mode, Life::Short(3600)))
        },
        ..chromeos()
    }
}

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
    let vendors = [DPD, FRAGMENTATION, RFC_3947, NATT_02_N];
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
        ..chromeos()
    }
}

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
        ..chromeos()
    }
}

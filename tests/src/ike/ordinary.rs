//! A client about which nothing is odd.

use std::net::IpAddr;

use super::gateway::{PSK, SERVER};
use super::offers::{AES, EspStyle, Life, Order, SHA256, Suite, phase1_suites, phase2};
use super::{Dialect, Quick, id_address};

/// The Vendor ID of RFC 3947.
pub const RFC_3947: &[u8] = b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";

/// A suite of phase 1 whose arithmetic is quick.
pub const SUITE: Suite = (AES, 128, SHA256, 19);

/// One suite, NAT traversal, the gateway's key.
pub fn dialect() -> Dialect {
    let offer = phase1_suites(&[SUITE], Order::CipherFirst, Life::Short(3600));
    Dialect::new(offer, &[RFC_3947], PSK)
}

/// A Quick Mode for L2TP of a client at `own`, in encapsulation mode 2 or 4.
pub fn quick(message_id: u32, spi: u32, own: &str, mode: u16) -> Quick {
    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    Quick {
        message_id,
        sa: phase2(
            &[(12, 128, 2)],
            spi,
            &EspStyle::new(mode, Life::Short(3600)),
        ),
        spi,
        nonce: 32,
        pfs: None,
        ids: vec![
            id_address(ip(own), 17, 1701),
            id_address(ip(SERVER), 17, 1701),
        ],
        more: Vec::new(),
    }
}

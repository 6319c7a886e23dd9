//! The NAT-OA payload: RFC 3947 5.2. Payload type 21, or 131 in drafts 02 and 03.
//!
//! ```text
//!  |    ID Type    |  RESERVED     |            RESERVED           |
//!  |           IPv4 (4 octets) or IPv6 address (16 octets)         |
//! ```

use std::net::IpAddr;

use crate::error::WireError;

use super::id::{IdPayload, Identification};

/// Parses the body: an original address.
pub fn parse(body: &[u8]) -> Result<IpAddr, WireError> {
    // The layout is that of an ID payload with protocol and port reserved.
    IdPayload::parse(body)?
        .identity
        .address()
        .ok_or(WireError::Field)
}

/// The body of the NAT-OA payload for an address.
pub fn body(address: IpAddr) -> Vec<u8> {
    IdPayload {
        identity: Identification::from_address(address),
        protocol: 0,
        port: 0,
    }
    .body()
}

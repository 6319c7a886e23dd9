//! The NAT-D payload: RFC 3947 3.2. Its body is
//! `HASH = hash(CKY-I | CKY-R | IP | Port)` with the hash of phase 1. Payload type 20, or 130 in
//! drafts 02 and 03.

use std::net::{IpAddr, SocketAddr};

use ike_crypto::{Cookie, Hash};

/// The body for an address and port.
pub fn nat_d(hash: Hash, cky_i: &Cookie, cky_r: &Cookie, address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => hash.digest(&[cky_i, cky_r, &v4.octets(), &port]),
        IpAddr::V6(v6) => hash.digest(&[cky_i, cky_r, &v6.octets(), &port]),
    }
}

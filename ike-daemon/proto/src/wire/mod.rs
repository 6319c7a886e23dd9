//! ISAKMP on the wire: RFC 2408 section 3. One file per payload; bytes become values that hold
//! what the format allows, once, here. Unknown payloads and numbers survive.
//!
//! * [`header`]: the ISAKMP header; [`chain`]: the generic payload header and the chain it makes
//! * [`sa`], [`proposal`], [`transform`], [`attribute`]: what is offered and chosen
//! * [`fragment`]: pieces of a message
//! * [`id`], [`cert`], [`attributes`], [`notification`], [`delete`], [`nat_d`], [`nat_oa`]
//! * [`opaque`]: KE, HASH, NONCE and VENDOR ID, which are octets with at most a length rule

pub mod attribute;
pub mod attributes;
pub mod cert;
pub mod chain;
pub mod delete;
pub mod fragment;
pub mod header;
pub mod id;
pub mod nat_d;
pub mod nat_oa;
pub mod notification;
pub mod opaque;
pub mod proposal;
pub mod sa;
pub mod transform;

mod reader;

pub use reader::Reader;

/// Octets as lower-case hexadecimal digits, without anything between them.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Octets of an even number of hex digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| u8::try_from((digit(*high)? << 4) | digit(*low)?).ok())
        .collect()
}

/// A length as the two octets of a length field; what does not fit cannot be sent and saturates.
pub(crate) fn length16(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

//! Tunnel authentication (RFC 2661 sections 5.1.1 and 4.4.3): the answer to a Challenge.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::control::MessageType;

/// Octets of a Challenge Response.
pub const RESPONSE_LENGTH: usize = 16;

/// The Challenge Response that `message` (SCCRP or SCCCN) carries: the MD5 of CHAP (RFC 1994),
/// whose identifier is the message's type.
#[must_use]
pub fn challenge_response(
    message: MessageType,
    secret: &[u8],
    challenge: &[u8],
) -> [u8; RESPONSE_LENGTH] {
    let [_, identifier] = message.0.to_be_bytes();
    let mut hash = Md5::new();
    hash.update([identifier]);
    hash.update(secret);
    hash.update(challenge);
    hash.finalize().into()
}

/// Whether `response` is the right one, in constant time.
#[must_use]
pub fn verify_response(
    message: MessageType,
    secret: &[u8],
    challenge: &[u8],
    response: &[u8; RESPONSE_LENGTH],
) -> bool {
    challenge_response(message, secret, challenge)
        .ct_eq(response)
        .into()
}

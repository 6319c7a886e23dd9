//! MS-CHAP version 2's computations (RFC 2759 section 8) and texts (sections 5 and 6).
//!
//! CHAP carries it (`chap.rs`): a Challenge of 16 octets, a Response value of 49
//!
//! ```text
//! 16 octets Peer-Challenge | 8 octets reserved, zero | 24 octets NT-Response | 1 octet Flags
//! ```

use std::fmt::Write;

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Octets of a Response's value.
pub const RESPONSE_VALUE: usize = 49;

/// What a peer's Response proves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The peer's own challenge.
    pub peer_challenge: [u8; 16],
    /// The proof.
    pub nt_response: [u8; 24],
}

impl Response {
    /// `None` unless the value has 49 octets. The reserved ones and Flags are not looked at, as
    /// section 4 wants.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value: &[u8; RESPONSE_VALUE] = value.try_into().ok()?;
        let (peer_challenge, rest) = value.split_first_chunk()?;
        let (_, rest) = rest.split_first_chunk::<8>()?;
        let (nt_response, _) = rest.split_first_chunk()?;
        Some(Self {
            peer_challenge: *peer_challenge,
            nt_response: *nt_response,
        })
    }

    /// The value of a Response packet.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut value = self.peer_challenge.to_vec();
        value.extend_from_slice(&[0; 8]);
        value.extend_from_slice(&self.nt_response);
        value.push(0);
        value
    }
}

/// NtPasswordHash (8.3): MD4 of the password in UTF-16, little endian. Of bytes that are no UTF-8
/// each is taken as one character.
#[must_use]
pub fn nt_password_hash(password: &[u8]) -> Zeroizing<[u8; 16]> {
    let mut unicode = Zeroizing::new(Vec::with_capacity(password.len() * 2));
    match std::str::from_utf8(password) {
        Ok(text) => text
            .encode_utf16()
            .for_each(|unit| unicode.extend(unit.to_le_bytes())),
        Err(_) => password.iter().for_each(|byte| unicode.extend([*byte, 0])),
    }
    Zeroizing::new(Md4::digest(unicode.as_slice()).into())
}

/// HashNtPasswordHash (8.4).
#[must_use]
pub fn hash_nt_password_hash(hash: &[u8; 16]) -> Zeroizing<[u8; 16]> {
    Zeroizing::new(Md4::digest(hash).into())
}

/// ChallengeHash (8.2); `user` without its domain.
#[must_use]
pub fn challenge_hash(
    peer_challenge: &[u8; 16],
    authenticator_challenge: &[u8; 16],
    user: &[u8],
) -> [u8; 8] {
    let digest: [u8; 20] = Sha1::new()
        .chain_update(peer_challenge)
        .chain_update(authenticator_challenge)
        .chain_update(user)
        .finalize()
        .into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

/// GenerateNTResponse (8.1).
#[must_use]
pub fn nt_response(
    authenticator_challenge: &[u8; 16],
    peer_challenge: &[u8; 16],
    user: &[u8],
    password_hash: &[u8; 16],
) -> [u8; 24] {
    let challenge = challenge_hash(peer_challenge, authenticator_challenge, user);
    challenge_response(&challenge, password_hash)
}

/// ChallengeResponse (8.5): the hash, padded to 21 octets, is three DES keys.
#[must_use]
pub fn challenge_response(challenge: &[u8; 8], password_hash: &[u8; 16]) -> [u8; 24] {
    let mut padded = Zeroizing::new([0; 21]);
    padded[..16].copy_from_slice(password_hash);
    let mut response = [0; 24];
    for (key, out) in padded.chunks_exact(7).zip(response.chunks_exact_mut(8)) {
        let mut block = (*challenge).into();
        Des::new(&(*des_key(key)).into()).encrypt_block(&mut block);
        out.copy_from_slice(&block);
    }
    response
}

/// GenerateAuthenticatorResponse (8.7), the text `S=` and 40 hexadecimal digits.
#[must_use]
pub fn authenticator_response(
    password_hash: &[u8; 16],
    response: &Response,
    authenticator_challenge: &[u8; 16],
    user: &[u8],
) -> String {
    const MAGIC_1: &[u8] = b"Magic server to client signing constant";
    const MAGIC_2: &[u8] = b"Pad to make it do more than one iteration";
    let digest = Sha1::new()
        .chain_update(hash_nt_password_hash(password_hash).as_slice())
        .chain_update(response.nt_response)
        .chain_update(MAGIC_1)
        .finalize();
    let challenge = challenge_hash(&response.peer_challenge, authenticator_challenge, user);
    let digest = Sha1::new()
        .chain_update(digest)
        .chain_update(challenge)
        .chain_update(MAGIC_2)
        .finalize();
    let mut text = String::from("S=");
    push_hex(&mut text, &digest);
    text
}

/// CheckAuthenticatorResponse (8.8): whether a Success message begins with the expected `S=...`.
#[must_use]
pub fn check_authenticator_response(expected: &str, message: &[u8]) -> bool {
    message.get(..expected.len()).is_some_and(|proof| {
        // Section 5 wants upper case; lower case proves as much.
        bool::from(proof.to_ascii_uppercase().ct_eq(expected.as_bytes()))
    })
}

/// The Failure message of section 6: ERROR_AUTHENTICATION_FAILURE, no retry.
#[must_use]
pub fn failure_message(new_challenge: &[u8; 16]) -> String {
    let mut text = String::from("E=691 R=0 C=");
    push_hex(&mut text, new_challenge);
    text.push_str(" V=3 M=Authentication failed");
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
}

/// 56 bits spread over 8 octets; DES ignores the lowest bit of each (parity).
fn des_key(seven: &[u8]) -> Zeroizing<[u8; 8]> {
    let bits = seven
        .iter()
        .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut key = Zeroizing::new([0; 8]);
    for (index, octet) in key.iter_mut().enumerate() {
        *octet = (bits >> (49 - 7 * index) << 1) as u8;
    }
    key
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    // RFC 2759 section 9.2.
    const USER: &[u8] = b"User";
    const PASSWORD: &[u8] = b"clientPass";
    const AUTH_CHALLENGE: [u8; 16] = hex!("5B5D7C7D7B3F2F3E3C2C602132262628");
    const PEER_CHALLENGE: [u8; 16] = hex!("21402324255E262A28295F2B3A337C7E");
    const NT_RESPONSE: [u8; 24] = hex!("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");

    #[test]
    fn rfc_2759_section_9_2() {
        let challenge = challenge_hash(&PEER_CHALLENGE, &AUTH_CHALLENGE, USER);
        assert_eq!(challenge, hex!("D02E4386BCE91226"));
        let hash = nt_password_hash(PASSWORD);
        assert_eq!(*hash, hex!("44EBBA8D5312B8D611474411F56989AE"));
        assert_eq!(
            *hash_nt_password_hash(&hash),
            hex!("41C00C584BD2D91C4017A2A12FA59F3F")
        );
        assert_eq!(
            nt_response(&AUTH_CHALLENGE, &PEER_CHALLENGE, USER, &hash),
            NT_RESPONSE
        );
        let response = Response {
            peer_challenge: PEER_CHALLENGE,
            nt_response: NT_RESPONSE,
        };
        let text = authenticator_response(&hash, &response, &AUTH_CHALLENGE, USER);
        assert_eq!(text, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
        assert!(check_authenticator_response(
            &text,
            b"S=407A5589115FD0D6209F510FE9C04566932CDA56"
        ));
        let lower = b"S=407a5589115fd0d6209f510fe9c04566932cda56 M=Welcome";
        assert!(check_authenticator_response(&text, lower));
        let wrong = b"S=407A5589115FD0D6209F510FE9C04566932CDA57";
        assert!(!check_authenticator_response(&text, wrong));
        assert!(!check_authenticator_response(&text, b"S=407A5589"));
    }

    /// RFC 2759 section 9.3: the DES key of the first seven octets, with parity.
    #[test]
    fn rfc_2759_section_9_3_des_key_expansion() {
        let key = des_key(&hex!("FC156AF7EDCD6C"));
        let parity_free: Vec<u8> = hex!("FD0B5B5E7F6E34D9")
            .iter()
            .map(|octet| octet & 0xfe)
            .collect();
        assert_eq!(key.as_slice(), parity_free);
    }

    #[test]
    fn response_values_round_trip() {
        let response = Response {
            peer_challenge: PEER_CHALLENGE,
            nt_response: NT_RESPONSE,
        };
        assert_eq!(Response::parse(&response.emit()), Some(response));
        for size in [0, 16, 24, 48, 50, 255] {
            assert_eq!(Response::parse(&vec![0; size]), None, "{size}");
        }
    }

    #[test]
    fn failure_text() {
        assert_eq!(
            failure_message(&AUTH_CHALLENGE),
            "E=691 R=0 C=5B5D7C7D7B3F2F3E3C2C602132262628 V=3 M=Authentication failed"
        );
    }
}

//! The negotiated hash function and the PRF made from it: RFC 2409 section 4 ("prf is the HMAC
//! version of the negotiated hash"), RFC 2104, RFC 4868.

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::{Digest, FixedOutput};
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::Secret;

/// Hash algorithm of phase 1 (IKE attribute 2), with its IANA number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// MD5, number 1. Only for old peers.
    Md5,
    /// SHA-1, number 2.
    Sha1,
    /// SHA2-256, number 4.
    Sha256,
    /// SHA2-384, number 5.
    Sha384,
    /// SHA2-512, number 6.
    Sha512,
}

impl Hash {
    /// Every hash known here, weakest first.
    pub const ALL: [Self; 5] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// From the value of the Hash-Algorithm attribute.
    pub fn from_iana(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.iana() == number)
    }

    /// The value of the Hash-Algorithm attribute.
    pub fn iana(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha1 => 2,
            Self::Sha256 => 4,
            Self::Sha384 => 5,
            Self::Sha512 => 6,
        }
    }

    /// The name used in configuration and logs, such as `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a digest, and of a PRF result, in octets.
    pub fn output_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The plain hash of the concatenated parts: NAT-D payloads, IVs.
    pub fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Md5 => digest::<Md5>(parts),
            Self::Sha1 => digest::<Sha1>(parts),
            Self::Sha256 => digest::<Sha256>(parts),
            Self::Sha384 => digest::<Sha384>(parts),
            Self::Sha512 => digest::<Sha512>(parts),
        }
    }
}

/// `prf(key, parts[0] | parts[1] | ...)`: HMAC with `hash`, for keys of any length.
pub fn prf(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Secret {
    match hash {
        Hash::Md5 => hmac::<Md5>(key, parts),
        Hash::Sha1 => hmac::<Sha1>(key, parts),
        Hash::Sha256 => hmac::<Sha256>(key, parts),
        Hash::Sha384 => hmac::<Sha384>(key, parts),
        Hash::Sha512 => hmac::<Sha512>(key, parts),
    }
}

/// Compares a received HASH payload with the expected one in constant time. Different lengths differ.
pub fn verify(expected: &[u8], received: &[u8]) -> bool {
    expected.ct_eq(received).into()
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut state = D::new();
    for part in parts {
        state.update(part);
    }
    state.finalize().to_vec()
}

fn hmac<D>(key: &[u8], parts: &[&[u8]]) -> Secret
where
    D: EagerHash,
    Hmac<D>: KeyInit + Mac + FixedOutput,
{
    // An HMAC key has no wrong length: longer ones are hashed, shorter ones padded.
    let Ok(mut mac) = <Hmac<D> as KeyInit>::new_from_slice(key) else {
        return Secret::default();
    };
    for part in parts {
        mac.update(part);
    }
    let mut output = mac.finalize_fixed();
    let secret = Secret::from(&output[..]);
    zeroize::Zeroize::zeroize(&mut output[..]);
    secret
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// RFC 2202 and RFC 4231, test case 2: key "Jefe".
    #[test]
    fn rfc2202_and_rfc4231_case_2() {
        let data: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        let hmac = |hash| prf(hash, b"Jefe", &data);
        assert_eq!(
            hmac(Hash::Md5).expose(),
            hex!("750c783e6ab0b503eaa86e310a5db738")
        );
        assert_eq!(
            hmac(Hash::Sha1).expose(),
            hex!("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        );
        assert_eq!(
            hmac(Hash::Sha256).expose(),
            hex!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        for hash in Hash::ALL {
            assert_eq!(hmac(hash).len(), hash.output_len());
            assert_eq!(hash.digest(&[]).len(), hash.output_len());
            assert_eq!(Hash::from_iana(hash.iana()), Some(hash));
        }
    }

    /// FIPS 180-4 example "abc", in three pieces.
    #[test]
    fn digest_of_parts_is_digest_of_the_whole() {
        assert_eq!(
            Hash::Sha1.digest(&[b"a", b"", b"bc"]),
            hex!("a9993e364706816aba3e25717850c26c9cd0d89d")
        );
    }

    #[test]
    fn verifies_whole_digests_only() {
        assert!(verify(b"0123", b"0123"));
        assert!(!verify(b"0123", b"012"));
        assert!(!verify(b"0123", b""));
        assert!(!verify(b"0123", b"0124"));
    }
}

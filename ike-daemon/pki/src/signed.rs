//! What certificates and revocation lists have in common (RFC 5280 4.1.1, 5.1.1):
//! `SEQUENCE { toBeSigned, signatureAlgorithm, signature }`. The signature covers the octets as
//! they came, never as we would write them.

use ike_crypto::Hash;
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::key::{PublicKey, SignatureError};

/// The three parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) content: Vec<u8>,
    pub(crate) algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

/// Hashes of signature algorithms: RFC 4055 5, RFC 5758 3.2, and the old one of RFC 3279.
const ALGORITHMS: &[(ObjectIdentifier, Family, Hash)] = &[
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"),
        Family::Rsa,
        Hash::Sha1,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
        Family::Rsa,
        Hash::Sha256,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"),
        Family::Rsa,
        Hash::Sha384,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"),
        Family::Rsa,
        Hash::Sha512,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"),
        Family::Ecdsa,
        Hash::Sha1,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
        Family::Ecdsa,
        Hash::Sha256,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"),
        Family::Ecdsa,
        Hash::Sha384,
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"),
        Family::Ecdsa,
        Hash::Sha512,
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    Ecdsa,
}

impl Signed {
    /// Takes the three parts of `der` apart; nothing may follow.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let mut reader = SliceReader::new(der).ok()?;
        let parts = reader.sequence(|inner| {
            Ok::<_, x509_cert::der::Error>(Self {
                content: inner.tlv_bytes()?.to_vec(),
                algorithm: AlgorithmIdentifierOwned::decode(inner)?,
                signature: BitString::decode(inner)?
                    .as_bytes()
                    .unwrap_or_default()
                    .to_vec(),
            })
        });
        let parts = parts.ok()?;
        reader.finish().ok()?;
        Some(parts)
    }

    /// The hash that was signed, when the algorithm is one we know.
    pub(crate) fn hash(&self) -> Option<Hash> {
        self.known().map(|(_, hash)| hash)
    }

    fn known(&self) -> Option<(Family, Hash)> {
        ALGORITHMS
            .iter()
            .find(|(oid, ..)| *oid == self.algorithm.oid)
            .map(|(_, family, hash)| (*family, *hash))
    }

    /// Whether `key` made the signature.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        let (family, hash) = self.known().ok_or(SignatureError)?;
        let fits = match key {
            PublicKey::Rsa(_) => family == Family::Rsa,
            _ => family == Family::Ecdsa,
        };
        if !fits {
            return Err(SignatureError);
        }
        key.verify_data(hash, &self.content, &self.signature)
    }
}

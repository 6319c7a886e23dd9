//! Keys and signatures. IKEv1 signs its hashes as they are: RSA as PKCS #1 v1.5 without the
//! DigestInfo (RFC 2409 5.1), ECDSA over HASH_I and HASH_R as the digest, r and s side by side
//! (RFC 4754 3).
//!
//! A PKCS #1 signature is checked against the one encoding it may have, octet by octet; nothing in
//! it is parsed (CVE-2018-16151, CVE-2018-16152).

use std::fmt;
use std::sync::Arc;

use ike_crypto::{Hash, Secret};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use rsa::Pkcs1v15Sign;
use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey};
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use thiserror::Error;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::blinding::Blinding;

/// Which signature an authentication method asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignatureKind {
    /// RSA, of any size.
    Rsa,
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
}

impl fmt::Display for SignatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::EcdsaP256 => "ECDSA P-256",
            Self::EcdsaP384 => "ECDSA P-384",
            Self::EcdsaP521 => "ECDSA P-521",
        })
    }
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Neither PKCS #1, PKCS #8 nor SEC 1.
    #[error("no private key; expected PKCS #1, PKCS #8 or SEC 1 in PEM or DER")]
    Malformed,
    /// Protected by a passphrase.
    #[error(
        "the key is protected by a passphrase, which nobody can type in; write it without one: \
         openssl pkey -in KEY -out KEY.plain"
    )]
    Encrypted,
    /// An algorithm that IKEv1 has no method for.
    #[error("a key of an unknown algorithm; expected RSA, or ECDSA on P-256, P-384 or P-521")]
    Algorithm,
    /// RSA with a modulus out of range.
    #[error("an RSA key of less than 1024 or more than 8192 bits, or a damaged one")]
    RsaSize,
}

/// A signature that does not hold, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not hold")]
pub struct SignatureError;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA.
    Rsa(rsa::PublicKey),
    /// ECDSA on P-256.
    EcdsaP256(p256::ecdsa::VerifyingKey),
    /// ECDSA on P-384.
    EcdsaP384(p384::ecdsa::VerifyingKey),
    /// ECDSA on P-521.
    EcdsaP521(Box<p521::ecdsa::VerifyingKey>),
}

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

impl PublicKey {
    pub(crate) fn from_spki(spki: &SubjectPublicKeyInfoOwned) -> Result<Self, KeyError> {
        let bits = spki
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?;
        if spki.algorithm.oid == RSA_ENCRYPTION {
            return rsa::PublicKey::from_pkcs1_der(bits)
                .map(Self::Rsa)
                .map_err(|_| KeyError::RsaSize);
        }
        if spki.algorithm.oid != EC_PUBLIC_KEY {
            return Err(KeyError::Algorithm);
        }
        let curve: ObjectIdentifier = spki
            .algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.decode_as().ok())
            .ok_or(KeyError::Algorithm)?;
        let malformed = |_| KeyError::Malformed;
        match curve {
            P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bits)
                .map(Self::EcdsaP256)
                .map_err(malformed),
            P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(bits)
                .map(Self::EcdsaP384)
                .map_err(malformed),
            P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(bits)
                .map(|key| Self::EcdsaP521(Box::new(key)))
                .map_err(malformed),
            _ => Err(KeyError::Algorithm),
        }
    }

    /// What it can check.
    pub fn kind(&self) -> SignatureKind {
        match self {
            Self::Rsa(_) => SignatureKind::Rsa,
            Self::EcdsaP256(_) => SignatureKind::EcdsaP256,
            Self::EcdsaP384(_) => SignatureKind::EcdsaP384,
            Self::EcdsaP521(_) => SignatureKind::EcdsaP521,
        }
    }

    /// Bits of an RSA modulus.
    pub fn rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa(key) => Some(key.n().bit_width_vartime() as usize),
            _ => None,
        }
    }

    /// Whether `signature` is IKE's of HASH_I or HASH_R.
    ///
    /// # Errors
    /// When it is not, whatever the reason.
    pub fn verify_hash(&self, hash: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let bad = |_| SignatureError;
        match self {
            Self::Rsa(key) => {
                if signature.len() != key.size() {
                    return Err(SignatureError);
                }
                key.verify(Pkcs1v15Sign::new_unprefixed(), hash, signature)
                    .map_err(|_| SignatureError)
            }
            Self::EcdsaP256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature).map_err(bad)?;
                key.verify_prehash(hash, &signature).map_err(bad)
            }
            Self::EcdsaP384(key) => {
                let signature = p384::ecdsa::Signature::from_slice(signature).map_err(bad)?;
                key.verify_prehash(hash, &signature).map_err(bad)
            }
            Self::EcdsaP521(key) => {
                let signature = p521::ecdsa::Signature::from_slice(signature).map_err(bad)?;
                key.verify_prehash(hash, &signature).map_err(bad)
            }
        }
    }

    /// Whether `signature` is X.509's of `data` with this hash: PKCS #1 v1.5 with DigestInfo, or
    /// ECDSA in DER.
    pub(crate) fn verify_data(
        &self,
        hash: Hash,
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let digest = hash.digest(&[data]);
        let bad = |_| SignatureError;
        match self {
            Self::Rsa(key) => {
                let padding = match hash {
                    Hash::Md5 => return Err(SignatureError),
                    Hash::Sha1 => Pkcs1v15Sign::new::<sha1::Sha1>(),
                    Hash::Sha256 => Pkcs1v15Sign::new::<sha2::Sha256>(),
                    Hash::Sha384 => Pkcs1v15Sign::new::<sha2::Sha384>(),
                    Hash::Sha512 => Pkcs1v15Sign::new::<sha2::Sha512>(),
                };
                if signature.len() != key.size() {
                    return Err(SignatureError);
                }
                key.verify(padding, &digest, signature)
                    .map_err(|_| SignatureError)
            }
            Self::EcdsaP256(key) => {
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(bad)?;
                key.verify_prehash(&digest, &signature).map_err(bad)
            }
            Self::EcdsaP384(key) => {
                let signature = p384::ecdsa::Signature::from_der(signature).map_err(bad)?;
                key.verify_prehash(&digest, &signature).map_err(bad)
            }
            Self::EcdsaP521(key) => {
                let signature = p521::ecdsa::Signature::from_der(signature).map_err(bad)?;
                key.verify_prehash(&digest, &signature).map_err(bad)
            }
        }
    }
}

/// A private key: cheap to clone, never printed, wiped by the crates that hold it.
#[derive(Clone)]
pub struct PrivateKey(Arc<Private>);

enum Private {
    Rsa(Box<rsa::PrivateKey>),
    EcdsaP256(p256::ecdsa::SigningKey),
    EcdsaP384(p384::ecdsa::SigningKey),
    EcdsaP521(Box<p521::ecdsa::SigningKey>),
}

impl PrivateKey {
    /// Reads PKCS #1, PKCS #8 or SEC 1 in DER.
    ///
    /// # Errors
    /// [`KeyError`] when it is none of them.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let rsa = rsa::PrivateKey::from_pkcs8_der(der)
            .ok()
            .or_else(|| rsa::PrivateKey::from_pkcs1_der(der).ok());
        if let Some(key) = rsa {
            return Self::rsa(key);
        }
        let p256 = p256::SecretKey::from_pkcs8_der(der)
            .ok()
            .or_else(|| p256::SecretKey::from_sec1_der(der).ok());
        let p384 = || {
            p384::SecretKey::from_pkcs8_der(der)
                .ok()
                .or_else(|| p384::SecretKey::from_sec1_der(der).ok())
        };
        let p521 = || {
            p521::SecretKey::from_pkcs8_der(der)
                .ok()
                .or_else(|| p521::SecretKey::from_sec1_der(der).ok())
        };
        let private = if let Some(key) = p256 {
            Private::EcdsaP256(key.into())
        } else if let Some(key) = p384() {
            Private::EcdsaP384(key.into())
        } else if let Some(key) = p521() {
            Private::EcdsaP521(Box::new(key.into()))
        } else {
            return Err(KeyError::Malformed);
        };
        Ok(Self(Arc::new(private)))
    }

    fn rsa(key: rsa::PrivateKey) -> Result<Self, KeyError> {
        let bits = key.n().bit_width_vartime() as usize;
        let sizes = rsa::PublicKey::MIN_SIZE..=rsa::PublicKey::MAX_SIZE;
        if !sizes.contains(&bits) || key.validate().is_err() {
            return Err(KeyError::RsaSize);
        }
        Ok(Self(Arc::new(Private::Rsa(Box::new(key)))))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        match &*self.0 {
            Private::Rsa(key) => PublicKey::Rsa(key.to_public_key()),
            Private::EcdsaP256(key) => PublicKey::EcdsaP256(*key.verifying_key()),
            Private::EcdsaP384(key) => PublicKey::EcdsaP384(*key.verifying_key()),
            Private::EcdsaP521(key) => PublicKey::EcdsaP521(Box::new(*key.verifying_key())),
        }
    }

    /// IKE's signature of HASH_I or HASH_R. `seed` is 32 random octets, for blinding: the
    /// signature does not depend on it.
    ///
    /// # Errors
    /// When the hash does not fit the key.
    pub fn sign_hash(&self, hash: &[u8], seed: Secret) -> Result<Vec<u8>, SignatureError> {
        let bad = |_| SignatureError;
        match &*self.0 {
            Private::Rsa(key) => key
                .sign_with_rng(
                    &mut Blinding::new(seed),
                    Pkcs1v15Sign::new_unprefixed(),
                    hash,
                )
                .map_err(|_| SignatureError),
            Private::EcdsaP256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(hash).map_err(bad)?;
                Ok(signature.to_bytes().to_vec())
            }
            Private::EcdsaP384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(hash).map_err(bad)?;
                Ok(signature.to_bytes().to_vec())
            }
            Private::EcdsaP521(key) => {
                let signature: p521::ecdsa::Signature = key.sign_prehash(hash).map_err(bad)?;
                Ok(signature.to_bytes().to_vec())
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().kind())
    }
}

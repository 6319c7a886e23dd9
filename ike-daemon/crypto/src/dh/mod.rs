//! Diffie-Hellman groups: RFC 2409 section 6, RFC 3526 (MODP), RFC 5903 (ECP), RFC 8031
//! (Curve25519, number 31, which strongSwan also uses with IKEv1).
//!
//! Making a private key is cheap and needs randomness; its public value and the agreement are slow
//! and need none. That split lets a caller do the slow half on another thread.

mod ecp;
mod generator;
mod modp;
mod primes;

use rand_core::CryptoRng;
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::Secret;

/// A Diffie-Hellman group with its IANA number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// 1024-bit MODP, number 2. Broken by well-funded attackers: off unless enabled.
    Modp1024,
    /// 1536-bit MODP, number 5.
    Modp1536,
    /// 2048-bit MODP, number 14.
    Modp2048,
    /// 3072-bit MODP, number 15.
    Modp3072,
    /// 4096-bit MODP, number 16.
    Modp4096,
    /// NIST P-256, number 19.
    Ecp256,
    /// NIST P-384, number 20.
    Ecp384,
    /// NIST P-521, number 21.
    Ecp521,
    /// Curve25519, number 31.
    Curve25519,
}

/// Leading zero octets that a MODP value may lack. RFC 2409 section 5 wants them; SoftEther leaves them
/// out, and racoon takes a value of any length. More than these are zero once in 2^32 times.
const MAY_LACK: usize = 4;

/// Why a peer's public value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DhError {
    /// The KE payload is not as long as the group wants it, nor the same without leading zeros.
    #[error("public value of {got} octets where the group has {want}")]
    Length {
        /// Octets received.
        got: usize,
        /// Octets of the group.
        want: usize,
    },
    /// Not in 2..=p-2 (MODP), not a point of the curve, or a point of small order.
    #[error("public value is not an element of the group")]
    NotInGroup,
}

/// A private value, wiped on drop.
pub struct PrivateKey(Inner);

enum Inner {
    Modp(modp::Exponent),
    Ecp256(p256::SecretKey),
    Ecp384(p384::SecretKey),
    Ecp521(p521::SecretKey),
    Curve25519(StaticSecret),
}

/// A private value with its public one.
#[derive(Debug)]
pub struct KeyPair {
    private: PrivateKey,
    public: Vec<u8>,
}

impl Group {
    /// Every group known here.
    pub const ALL: [Self; 9] = [
        Self::Modp1024,
        Self::Modp1536,
        Self::Modp2048,
        Self::Modp3072,
        Self::Modp4096,
        Self::Ecp256,
        Self::Ecp384,
        Self::Ecp521,
        Self::Curve25519,
    ];

    /// From the value of the Group-Description attribute.
    pub fn from_iana(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.iana() == number)
    }

    /// The value of the Group-Description attribute.
    pub fn iana(self) -> u16 {
        match self {
            Self::Modp1024 => 2,
            Self::Modp1536 => 5,
            Self::Modp2048 => 14,
            Self::Modp3072 => 15,
            Self::Modp4096 => 16,
            Self::Ecp256 => 19,
            Self::Ecp384 => 20,
            Self::Ecp521 => 21,
            Self::Curve25519 => 31,
        }
    }

    /// The name used in configuration and logs, such as `modp2048`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modp1024 => "modp1024",
            Self::Modp1536 => "modp1536",
            Self::Modp2048 => "modp2048",
            Self::Modp3072 => "modp3072",
            Self::Modp4096 => "modp4096",
            Self::Ecp256 => "ecp256",
            Self::Ecp384 => "ecp384",
            Self::Ecp521 => "ecp521",
            Self::Curve25519 => "curve25519",
        }
    }

    /// Octets of a public value on the wire.
    pub fn public_len(self) -> usize {
        match self {
            Self::Modp1024 => 128,
            Self::Modp1536 => 192,
            Self::Modp2048 => 256,
            Self::Modp3072 => 384,
            Self::Modp4096 => 512,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
            Self::Ecp521 => 132,
            Self::Curve25519 => 32,
        }
    }

    /// Whether a public value of so many octets can be one of this group: [`Group::public_len`], or in
    /// MODP groups up to four octets less, which are zeros that the sender left out.
    pub fn fits_public(self, len: usize) -> bool {
        let want = self.public_len();
        let may_lack = match self {
            Self::Ecp256 | Self::Ecp384 | Self::Ecp521 | Self::Curve25519 => 0,
            _ => MAY_LACK,
        };
        (want - may_lack..=want).contains(&len)
    }

    /// Octets of the shared secret.
    pub fn shared_len(self) -> usize {
        match self {
            Self::Ecp256 | Self::Ecp384 | Self::Ecp521 => self.public_len() / 2,
            _ => self.public_len(),
        }
    }

    /// A fresh private value: cheap, the only step that needs randomness.
    pub fn private_key(self, rng: &mut dyn CryptoRng) -> PrivateKey {
        PrivateKey(match self {
            Self::Modp1024 | Self::Modp1536 | Self::Modp2048 | Self::Modp3072 | Self::Modp4096 => {
                Inner::Modp(modp::Exponent::generate(self, rng))
            }
            Self::Ecp256 => Inner::Ecp256(ecp::generate(rng)),
            Self::Ecp384 => Inner::Ecp384(ecp::generate(rng)),
            Self::Ecp521 => Inner::Ecp521(ecp::generate(rng)),
            Self::Curve25519 => {
                let mut bytes = Zeroizing::new([0; 32]);
                rng.fill_bytes(&mut *bytes);
                Inner::Curve25519(StaticSecret::from(*bytes))
            }
        })
    }

    /// The prime modulus of a MODP group in network order, none for the curves.
    pub fn prime(self) -> Option<Vec<u8>> {
        modp::prime(self)
    }

    /// A fresh key pair: [`Group::private_key`] and [`PrivateKey::into_pair`] in one.
    pub fn generate(self, rng: &mut dyn CryptoRng) -> KeyPair {
        self.private_key(rng).into_pair()
    }
}

impl PrivateKey {
    /// A private value made elsewhere, in network order. None when it does not fit the group: MODP
    /// exponents are limited to the short lengths that [`Group::private_key`] uses.
    pub fn from_bytes(group: Group, bytes: &[u8]) -> Option<Self> {
        if group.prime().is_none() && bytes.len() != group.shared_len() {
            return None;
        }
        Some(Self(match group {
            Group::Ecp256 => Inner::Ecp256(p256::SecretKey::from_slice(bytes).ok()?),
            Group::Ecp384 => Inner::Ecp384(p384::SecretKey::from_slice(bytes).ok()?),
            Group::Ecp521 => Inner::Ecp521(p521::SecretKey::from_slice(bytes).ok()?),
            Group::Curve25519 => {
                let bytes = Zeroizing::new(<[u8; 32]>::try_from(bytes).ok()?);
                Inner::Curve25519(StaticSecret::from(*bytes))
            }
            _ => Inner::Modp(modp::Exponent::from_bytes(group, bytes)?),
        }))
    }

    /// The group this value belongs to.
    pub fn group(&self) -> Group {
        match &self.0 {
            Inner::Modp(exponent) => exponent.group(),
            Inner::Ecp256(_) => Group::Ecp256,
            Inner::Ecp384(_) => Group::Ecp384,
            Inner::Ecp521(_) => Group::Ecp521,
            Inner::Curve25519(_) => Group::Curve25519,
        }
    }

    /// Computes the public value: one exponentiation or scalar multiplication.
    pub fn public(&self) -> Vec<u8> {
        match &self.0 {
            Inner::Modp(exponent) => exponent.public(),
            Inner::Ecp256(key) => ecp::public(key),
            Inner::Ecp384(key) => ecp::public(key),
            Inner::Ecp521(key) => ecp::public(key),
            Inner::Curve25519(key) => PublicKey::from(key).to_bytes().to_vec(),
        }
    }

    /// Computes the public value and keeps both.
    pub fn into_pair(self) -> KeyPair {
        let public = self.public();
        KeyPair {
            private: self,
            public,
        }
    }

    /// The shared secret with the owner of `peer_public` (the body of the KE payload, which may lack
    /// leading zeros, see [`Group::fits_public`]): MODP results padded on the left to the length of the
    /// prime, ECP results the x coordinate alone.
    ///
    /// # Errors
    /// [`DhError`] for public values of the wrong length or outside of the group.
    pub fn agree(&self, peer_public: &[u8]) -> Result<Secret, DhError> {
        let (got, want) = (peer_public.len(), self.group().public_len());
        if !self.group().fits_public(got) {
            return Err(DhError::Length { got, want });
        }
        match &self.0 {
            Inner::Modp(exponent) => exponent.agree(peer_public),
            Inner::Ecp256(key) => ecp::agree_256(key, peer_public),
            Inner::Ecp384(key) => ecp::agree(key, peer_public),
            Inner::Ecp521(key) => ecp::agree(key, peer_public),
            Inner::Curve25519(key) => {
                let bytes: [u8; 32] = peer_public.try_into().map_err(|_| DhError::NotInGroup)?;
                let shared = key.diffie_hellman(&PublicKey::from(bytes));
                // RFC 7748 section 6.1: points of small order give zero.
                if !shared.was_contributory() {
                    return Err(DhError::NotInGroup);
                }
                Ok(Secret::from(&shared.as_bytes()[..]))
            }
        }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.group().name())
    }
}

impl KeyPair {
    /// The group of both values.
    pub fn group(&self) -> Group {
        self.private.group()
    }

    /// The public value, as the body of a KE payload.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// See [`PrivateKey::agree`].
    ///
    /// # Errors
    /// [`DhError`] for public values of the wrong length or outside of the group.
    pub fn agree(&self, peer_public: &[u8]) -> Result<Secret, DhError> {
        self.private.agree(peer_public)
    }
}

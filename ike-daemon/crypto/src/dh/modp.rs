//! MODP groups: RFC 2409 section 6, RFC 3526. Generator 2, safe primes, short exponents
//! (RFC 3526 section 8).

use std::sync::LazyLock;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U512, U1024, U1536, U2048, U3072, U4096, Uint};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{DhError, Group, primes};
use crate::Secret;

static MODP1024: LazyLock<FixedMontyParams<{ U1024::LIMBS }>> =
    LazyLock::new(|| params(primes::MODP1024));
static MODP1536: LazyLock<FixedMontyParams<{ U1536::LIMBS }>> =
    LazyLock::new(|| params(primes::MODP1536));
static MODP2048: LazyLock<FixedMontyParams<{ U2048::LIMBS }>> =
    LazyLock::new(|| params(primes::MODP2048));
static MODP3072: LazyLock<FixedMontyParams<{ U3072::LIMBS }>> =
    LazyLock::new(|| params(primes::MODP3072));
static MODP4096: LazyLock<FixedMontyParams<{ U4096::LIMBS }>> =
    LazyLock::new(|| params(primes::MODP4096));

/// A private exponent, wiped on drop.
pub(super) struct Exponent {
    group: Group,
    value: U512,
}

impl Exponent {
    pub(super) fn generate(group: Group, rng: &mut dyn CryptoRng) -> Self {
        let len = exponent_bits(group) as usize / 8;
        let mut bytes = Zeroizing::new([0; U512::BYTES]);
        if let Some(low) = bytes.get_mut(U512::BYTES - len..) {
            rng.fill_bytes(low);
            // The full length always: never zero or one, and no hint in how long the value is.
            if let Some(first) = low.first_mut() {
                *first |= 0x80;
            }
        }
        Self {
            group,
            value: U512::from_be_slice(&*bytes),
        }
    }

    /// None when longer than the exponents of the group.
    pub(super) fn from_bytes(group: Group, value: &[u8]) -> Option<Self> {
        if value.len() > exponent_bits(group) as usize / 8 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; U512::BYTES]);
        bytes
            .get_mut(U512::BYTES - value.len()..)?
            .copy_from_slice(value);
        Some(Self {
            group,
            value: U512::from_be_slice(&*bytes),
        })
    }

    pub(super) fn group(&self) -> Group {
        self.group
    }

    pub(super) fn public(&self) -> Vec<u8> {
        match self.group {
            Group::Modp1024 => self.public_in(&MODP1024),
            Group::Modp1536 => self.public_in(&MODP1536),
            Group::Modp3072 => self.public_in(&MODP3072),
            Group::Modp4096 => self.public_in(&MODP4096),
            _ => self.public_in(&MODP2048),
        }
    }

    /// # Errors
    /// [`DhError::NotInGroup`] unless 1 < y < p - 1: the rest of a safe prime group has large order.
    pub(super) fn agree(&self, peer: &[u8]) -> Result<Secret, DhError> {
        match self.group {
            Group::Modp1024 => self.agree_in(&MODP1024, peer),
            Group::Modp1536 => self.agree_in(&MODP1536, peer),
            Group::Modp3072 => self.agree_in(&MODP3072, peer),
            Group::Modp4096 => self.agree_in(&MODP4096, peer),
            _ => self.agree_in(&MODP2048, peer),
        }
    }

    fn public_in<const LIMBS: usize>(&self, params: &FixedMontyParams<LIMBS>) -> Vec<u8> {
        to_be_bytes(&self.power(params, &Uint::from_u8(2)))
    }

    fn agree_in<const LIMBS: usize>(
        &self,
        params: &FixedMontyParams<LIMBS>,
        peer: &[u8],
    ) -> Result<Secret, DhError> {
        if peer.len() != Uint::<LIMBS>::BYTES {
            return Err(DhError::Length {
                got: peer.len(),
                want: Uint::<LIMBS>::BYTES,
            });
        }
        let peer = Uint::<LIMBS>::from_be_slice(peer);
        let last = params.modulus().as_ref().wrapping_sub(&Uint::ONE);
        if peer <= Uint::ONE || peer >= last {
            return Err(DhError::NotInGroup);
        }
        let mut shared = self.power(params, &peer);
        let secret = Secret::new(to_be_bytes(&shared));
        shared.zeroize();
        Ok(secret)
    }

    fn power<const LIMBS: usize>(
        &self,
        params: &FixedMontyParams<LIMBS>,
        base: &Uint<LIMBS>,
    ) -> Uint<LIMBS> {
        FixedMontyForm::new(base, params)
            .pow_bounded_exp(&self.value, exponent_bits(self.group))
            .retrieve()
    }
}

impl Drop for Exponent {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl ZeroizeOnDrop for Exponent {}

pub(super) fn prime(group: Group) -> Option<Vec<u8>> {
    Some(match group {
        Group::Modp1024 => to_be_bytes(MODP1024.modulus().as_ref()),
        Group::Modp1536 => to_be_bytes(MODP1536.modulus().as_ref()),
        Group::Modp2048 => to_be_bytes(MODP2048.modulus().as_ref()),
        Group::Modp3072 => to_be_bytes(MODP3072.modulus().as_ref()),
        Group::Modp4096 => to_be_bytes(MODP4096.modulus().as_ref()),
        _ => return None,
    })
}

/// Twice the larger strength estimate of RFC 3526 section 8, rounded up to 64 bits.
fn exponent_bits(group: Group) -> u32 {
    match group {
        Group::Modp1024 | Group::Modp1536 => 256,
        Group::Modp3072 => 448,
        Group::Modp4096 => 512,
        _ => 320,
    }
}

fn params<const LIMBS: usize>(prime: &str) -> FixedMontyParams<LIMBS> {
    FixedMontyParams::new_vartime(Odd::<Uint<LIMBS>>::from_be_hex(prime))
}

/// Big-endian, padded on the left to the length of the prime.
fn to_be_bytes<const LIMBS: usize>(value: &Uint<LIMBS>) -> Vec<u8> {
    value
        .as_limbs()
        .iter()
        .rev()
        .flat_map(|limb| limb.0.to_be_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fermat's little theorem for p and (p - 1) / 2: both are prime, so the group has no small
    /// subgroups but {1, p - 1}; and 2 generates the large one.
    fn is_safe_prime<const LIMBS: usize>(params: &FixedMontyParams<LIMBS>) {
        let p = *params.modulus().as_ref();
        let q = p.shr(1);
        let fermat = |modulus: &Uint<LIMBS>, base: u8| {
            let params = FixedMontyParams::new_vartime(Odd::new(*modulus).unwrap());
            let base = FixedMontyForm::new(&Uint::from_u8(base), &params);
            base.pow_vartime(&modulus.wrapping_sub(&Uint::ONE))
                .retrieve()
        };
        assert_eq!(fermat(&p, 3), Uint::ONE);
        assert_eq!(fermat(&q, 3), Uint::ONE);
        let two = FixedMontyForm::new(&Uint::from_u8(2), params);
        assert_eq!(two.pow_vartime(&q).retrieve(), Uint::ONE);
        // The form that RFC 2412 appendix E prescribes: 64 one bits on either end, digits of pi.
        let bytes = to_be_bytes(&p);
        assert_eq!(bytes[..8], [0xff; 8]);
        assert_eq!(
            bytes[8..16],
            [0xc9, 0x0f, 0xda, 0xa2, 0x21, 0x68, 0xc2, 0x34]
        );
        assert_eq!(bytes[bytes.len() - 8..], [0xff; 8]);
    }

    #[test]
    fn primes_are_safe_and_of_the_prescribed_form() {
        is_safe_prime(&MODP1024);
        is_safe_prime(&MODP1536);
        is_safe_prime(&MODP2048);
        is_safe_prime(&MODP3072);
        is_safe_prime(&MODP4096);
    }
}

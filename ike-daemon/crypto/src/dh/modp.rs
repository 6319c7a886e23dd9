//! MODP groups: RFC 2409 section 6, RFC 3526. Generator 2, safe primes, short exponents
//! (RFC 3526 section 8, RFC 7919 section 5.2).

use std::sync::LazyLock;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U512, U1024, U1536, U2048, U3072, U4096, Uint};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::generator::Powers;
use super::{DhError, Group, primes};
use crate::Secret;

/// A group of so many 64-bit words.
struct Parameters<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    generator: Powers<LIMBS>,
}

impl<const LIMBS: usize> Parameters<LIMBS> {
    fn new(prime: &str, group: Group) -> Self {
        let params = FixedMontyParams::new_vartime(Odd::<Uint<LIMBS>>::from_be_hex(prime));
        Self {
            generator: Powers::new(&params, longest_exponent(group)),
            params,
        }
    }
}

static MODP1024: LazyLock<Parameters<{ U1024::LIMBS }>> =
    LazyLock::new(|| Parameters::new(primes::MODP1024, Group::Modp1024));
static MODP1536: LazyLock<Parameters<{ U1536::LIMBS }>> =
    LazyLock::new(|| Parameters::new(primes::MODP1536, Group::Modp1536));
static MODP2048: LazyLock<Parameters<{ U2048::LIMBS }>> =
    LazyLock::new(|| Parameters::new(primes::MODP2048, Group::Modp2048));
static MODP3072: LazyLock<Parameters<{ U3072::LIMBS }>> =
    LazyLock::new(|| Parameters::new(primes::MODP3072, Group::Modp3072));
static MODP4096: LazyLock<Parameters<{ U4096::LIMBS }>> =
    LazyLock::new(|| Parameters::new(primes::MODP4096, Group::Modp4096));

/// A private exponent, wiped on drop.
pub(super) struct Exponent {
    group: Group,
    value: U512,
    /// Its length, which is no secret.
    bits: u32,
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
            bits: exponent_bits(group),
        }
    }

    /// None when longer than the exponents of the group may be.
    pub(super) fn from_bytes(group: Group, value: &[u8]) -> Option<Self> {
        if value.len() > longest_exponent(group) as usize / 8 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; U512::BYTES]);
        bytes
            .get_mut(U512::BYTES - value.len()..)?
            .copy_from_slice(value);
        Some(Self {
            group,
            value: U512::from_be_slice(&*bytes),
            bits: u32::try_from(value.len()).ok()?.checked_mul(8)?,
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

    fn public_in<const LIMBS: usize>(&self, group: &Parameters<LIMBS>) -> Vec<u8> {
        to_be_bytes(&group.generator.power(&self.value, self.bits))
    }

    fn agree_in<const LIMBS: usize>(
        &self,
        group: &Parameters<LIMBS>,
        peer: &[u8],
    ) -> Result<Secret, DhError> {
        let params = &group.params;
        let want = Uint::<LIMBS>::BYTES;
        let mut padded = vec![0; want.saturating_sub(peer.len())];
        padded.extend_from_slice(peer);
        if padded.len() != want {
            let got = peer.len();
            return Err(DhError::Length { got, want });
        }
        let peer = Uint::<LIMBS>::from_be_slice(&padded);
        let last = params.modulus().as_ref().wrapping_sub(&Uint::ONE);
        if peer <= Uint::ONE || peer >= last {
            return Err(DhError::NotInGroup);
        }
        let mut shared = FixedMontyForm::new(&peer, params)
            .pow_bounded_exp(&self.value, self.bits)
            .retrieve();
        let secret = Secret::new(to_be_bytes(&shared));
        shared.zeroize();
        Ok(secret)
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
        Group::Modp1024 => to_be_bytes(MODP1024.params.modulus().as_ref()),
        Group::Modp1536 => to_be_bytes(MODP1536.params.modulus().as_ref()),
        Group::Modp2048 => to_be_bytes(MODP2048.params.modulus().as_ref()),
        Group::Modp3072 => to_be_bytes(MODP3072.params.modulus().as_ref()),
        Group::Modp4096 => to_be_bytes(MODP4096.params.modulus().as_ref()),
        _ => return None,
    })
}

/// Twice the strength of the group and a little more: RFC 7919 section 5.2 and appendix A want 225,
/// 275 and 325 bits at least for 2048, 3072 and 4096, NIST SP 800-56A (revision 3, table 26) 224, 256
/// and 304.
fn exponent_bits(group: Group) -> u32 {
    match group {
        Group::Modp3072 => 320,
        Group::Modp4096 => 384,
        _ => 256,
    }
}

/// Twice the larger strength estimate of RFC 3526 section 8, rounded up to 64 bits: what others may
/// have chosen.
fn longest_exponent(group: Group) -> u32 {
    match group {
        Group::Modp1024 | Group::Modp1536 => 256,
        Group::Modp3072 => 448,
        Group::Modp4096 => 512,
        _ => 320,
    }
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
    fn is_safe_prime<const LIMBS: usize>(group: &Parameters<LIMBS>) {
        let params = &group.params;
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

    /// The table against square and multiply.
    #[test]
    fn powers_of_the_generator_are_powers_of_two() {
        fn check<const LIMBS: usize>(group: &Parameters<LIMBS>, exponent: &U512, bits: u32) {
            let two = FixedMontyForm::new(&Uint::from_u8(2), &group.params);
            let power = two.pow_bounded_exp(exponent, bits).retrieve();
            assert_eq!(
                group.generator.power(exponent, bits),
                power,
                "{exponent} {bits}"
            );
        }
        for group in [Group::Modp1024, Group::Modp2048, Group::Modp4096] {
            let bits = longest_exponent(group);
            let all_ones = U512::MAX.shr(U512::BITS - bits);
            let mixed = U512::from_be_hex(&"0123456789abcdeffedcba987654321000f0".repeat(4)[..128]);
            for exponent in [U512::ZERO, U512::ONE, all_ones, mixed.bitand(&all_ones)] {
                match group {
                    Group::Modp1024 => check(&MODP1024, &exponent, bits),
                    Group::Modp4096 => check(&MODP4096, &exponent, bits),
                    _ => check(&MODP2048, &exponent, bits),
                }
            }
        }
    }
}

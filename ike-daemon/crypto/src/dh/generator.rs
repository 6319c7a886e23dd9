//! Powers of the generator, which is 2 in every MODP group: with its powers 2^(d * 16^i) in a table, a
//! public value takes a multiplication for every four bits of the exponent, and no squaring. The table
//! of a group is made when it is first used.

use crypto_bigint::ctutils::{CtAssign, CtEq};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Limb, Uint, Word};

/// Bits of the exponent that one multiplication is for.
const WINDOW: u32 = 4;
/// Values they have.
const VALUES: usize = 1 << WINDOW;

/// For every window of an exponent the generator to the power of each of its values, in Montgomery
/// form.
pub(super) struct Powers<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    windows: Vec<[Uint<LIMBS>; VALUES]>,
}

impl<const LIMBS: usize> Powers<LIMBS> {
    /// For exponents of at most `bits` bits.
    pub(super) fn new(params: &FixedMontyParams<LIMBS>, bits: u32) -> Self {
        let mut base = FixedMontyForm::new(&Uint::from_u8(2), params);
        let windows = (0..bits.div_ceil(WINDOW)).map(|_| {
            let mut power = FixedMontyForm::one(params);
            let values = std::array::from_fn(|_| {
                let value = power.to_montgomery();
                power *= &base;
                value
            });
            // What comes after the last value belongs to the next window.
            base = power;
            values
        });
        Self {
            params: *params,
            windows: windows.collect(),
        }
    }

    /// 2^exponent. The time depends on `bits`, how long the exponent may be, and not on its value.
    pub(super) fn power<const EXPONENT: usize>(
        &self,
        exponent: &Uint<EXPONENT>,
        bits: u32,
    ) -> Uint<LIMBS> {
        let mut power = FixedMontyForm::one(&self.params);
        let words = exponent.as_limbs().iter();
        let digits = words.flat_map(|limb| {
            (0..Limb::BITS / WINDOW).map(|place| (limb.0 >> (place * WINDOW)) % VALUES as Word)
        });
        let windows = usize::try_from(bits.div_ceil(WINDOW)).unwrap_or(usize::MAX);
        for (values, digit) in self.windows.iter().zip(digits).take(windows) {
            // All of them are read, so that memory does not tell which one it was.
            let mut chosen = Uint::ZERO;
            for (value, own) in (0..).zip(values) {
                chosen.ct_assign(own, digit.ct_eq(&value));
            }
            power *= &FixedMontyForm::from_montgomery(chosen, &self.params);
        }
        power.retrieve()
    }
}

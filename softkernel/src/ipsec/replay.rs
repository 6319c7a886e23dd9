//! Anti-replay window, RFC 4303 section 3.4.3, as a ring of bits (RFC 6479), and the high half of
//! extended sequence numbers, RFC 4303 appendix A2.2.

use super::counters::Drop;

/// Widest window in packets.
pub(super) const MAX_WINDOW: u32 = 1 << 20;

/// Which sequence numbers were seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// In packets; 0 switches the check off.
    size: u32,
    /// One bit per number modulo the ring; one block more than the window needs, so that sliding
    /// clears whole blocks.
    ring: Box<[u64]>,
    /// Highest number seen, 0 for none.
    top: u64,
}

impl Window {
    pub(super) fn new(size: u32) -> Self {
        let size = size.min(MAX_WINDOW);
        let blocks = if size == 0 {
            0
        } else {
            size.div_ceil(64) as usize + 1
        };
        Self {
            size,
            ring: vec![0; blocks].into_boxed_slice(),
            top: 0,
        }
    }

    /// Packets.
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// The whole sequence number of a packet that carries its low half. Without extended sequence
    /// numbers the low half is all there is.
    pub(super) fn whole(&self, low: u32, extended: bool) -> Result<u64, Drop> {
        if !extended {
            return Ok(u64::from(low));
        }
        // The RFC's W, Tl, Th; a receiver without a window still needs one to guess.
        let window = if self.size == 0 { 64 } else { self.size };
        let top_low = self.top as u32;
        let top_high = self.top >> 32;
        let bottom = top_low.wrapping_sub(window - 1);
        let high = if top_low >= window - 1 {
            // Case A: the window lies within one 2^32 subspace.
            if low >= bottom {
                top_high
            } else {
                top_high + 1
            }
        } else if low >= bottom {
            // Case B: the window spans two, and this one is in the lower.
            top_high.checked_sub(1).ok_or(Drop::TooOld)?
        } else {
            top_high
        };
        Ok(high << 32 | u64::from(low))
    }

    /// Whether a packet with this number may be accepted, before it is authenticated.
    pub(super) fn check(&self, sequence: u64) -> Result<(), Drop> {
        if self.size == 0 || sequence > self.top {
            return Ok(());
        }
        // The sender's first packet has number 1.
        if sequence == 0 || self.top - sequence >= u64::from(self.size) {
            return Err(Drop::TooOld);
        }
        let (block, bit) = self.place(sequence);
        match self.ring.get(block) {
            Some(bits) if bits & bit == 0 => Ok(()),
            _ => Err(Drop::Replayed),
        }
    }

    /// Marks the number of an authenticated packet as seen. `true` when it is the highest so far.
    pub(super) fn commit(&mut self, sequence: u64) -> bool {
        let newest = sequence > self.top;
        if newest && !self.ring.is_empty() {
            let from = self.top / 64;
            let steps = (sequence / 64 - from).min(self.ring.len() as u64);
            for step in 1..=steps {
                let block = ((from + step) % self.ring.len() as u64) as usize;
                if let Some(bits) = self.ring.get_mut(block) {
                    *bits = 0;
                }
            }
        }
        if newest {
            self.top = sequence;
        }
        if !self.ring.is_empty() {
            let (block, bit) = self.place(sequence);
            if let Some(bits) = self.ring.get_mut(block) {
                *bits |= bit;
            }
        }
        newest
    }

    fn place(&self, sequence: u64) -> (usize, u64) {
        let block = (sequence / 64) % (self.ring.len() as u64).max(1);
        (block as usize, 1 << (sequence % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The RFC's words without its cleverness.
    #[derive(Default)]
    struct Model {
        seen: HashSet<u64>,
        top: u64,
    }

    impl Model {
        fn accepts(&self, size: u64, sequence: u64) -> bool {
            sequence > self.top
                || sequence + size > self.top && sequence > 0 && !self.seen.contains(&sequence)
        }

        fn commit(&mut self, sequence: u64) {
            self.seen.insert(sequence);
            self.top = self.top.max(sequence);
        }
    }

    fn jumps() -> impl Strategy<Value = Vec<i64>> {
        vec(
            prop_oneof![6 => -80..80i64, 1 => -5000..5000i64, 1 => 0..1_000_000i64],
            1..400,
        )
    }

    proptest! {
        #[test]
        fn agrees_with_the_model(size in 1..600u32, jumps in jumps()) {
            let mut window = Window::new(size);
            let mut model = Model::default();
            for jump in jumps {
                let sequence = model.top.saturating_add_signed(jump);
                let accepted = window.check(sequence).is_ok();
                prop_assert_eq!(
                    accepted,
                    model.accepts(u64::from(size), sequence),
                    "{} at top {}", sequence, model.top
                );
                if accepted {
                    prop_assert_eq!(window.commit(sequence), sequence > model.top);
                    model.commit(sequence);
                }
            }
        }

        #[test]
        fn extended_numbers_within_reach_are_recovered(
            size in 1..2000u32,
            start in 0..1u64 << 40,
            jumps in vec(-1999..100_000i64, 1..200),
        ) {
            let mut window = Window::new(size);
            let mut top = start;
            window.commit(start);
            for jump in jumps {
                let sequence = top.saturating_add_signed(jump);
                if sequence + u64::from(size) <= top {
                    continue;
                }
                prop_assert_eq!(window.whole(sequence as u32, true), Ok(sequence));
                window.commit(sequence);
                top = top.max(sequence);
            }
        }

        #[test]
        fn no_number_is_ever_accepted_twice(
            size in 1..300u32,
            numbers in vec(0..1000u32, 1..300),
            extended in any::<bool>(),
        ) {
            let mut window = Window::new(size);
            let mut seen = HashSet::new();
            for low in numbers {
                let Ok(sequence) = window.whole(low, extended) else { continue };
                if window.check(sequence).is_ok() {
                    prop_assert!(seen.insert(sequence));
                    window.commit(sequence);
                }
            }
        }
    }

    #[test]
    fn edges() {
        let mut window = Window::new(64);
        assert_eq!(window.check(0), Err(Drop::TooOld));
        assert_eq!(window.check(u64::from(u32::MAX)), Ok(()));
        window.commit(u64::from(u32::MAX));
        assert_eq!(window.check(u64::from(u32::MAX)), Err(Drop::Replayed));
        assert_eq!(window.check(u64::from(u32::MAX) - 63), Ok(()));
        assert_eq!(window.check(u64::from(u32::MAX) - 64), Err(Drop::TooOld));
        // Extended numbers go on into the next subspace.
        assert_eq!(window.whole(0, true), Ok(1 << 32));
        assert_eq!(
            window.whole(u32::MAX - 63, true),
            Ok(u64::from(u32::MAX) - 63)
        );
    }

    #[test]
    fn before_the_first_packet_high_numbers_cannot_be_of_the_past() {
        assert_eq!(Window::new(64).whole(u32::MAX, true), Err(Drop::TooOld));
        assert_eq!(Window::new(64).whole(1, true), Ok(1));
    }

    #[test]
    fn without_a_window_everything_passes() {
        let mut window = Window::new(0);
        window.commit(1000);
        assert_eq!(window.check(1000), Ok(()));
        assert_eq!(window.check(0), Ok(()));
    }

    #[test]
    fn a_window_is_never_wider_than_the_bound() {
        assert_eq!(Window::new(u32::MAX).size(), MAX_WINDOW);
    }
}

//! Small numbers for sessions, which people see in names: the smallest that is free.

use std::collections::BTreeSet;

/// Numbers in use and free.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Below `next`.
    free: BTreeSet<u32>,
    next: u32,
}

impl Numbers {
    /// The smallest that is free.
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// Takes this one, if it is free, or another.
    pub(super) fn take_again(&mut self, number: u32) -> u32 {
        /// More sessions than there can be.
        const MOST: u32 = 1 << 20;
        if self.free.remove(&number) {
            return number;
        }
        if number < self.next || number >= MOST {
            return self.take();
        }
        self.free.extend(self.next..number);
        self.next = number + 1;
        number
    }

    /// Nobody has it any more.
    pub(super) fn give_back(&mut self, number: u32) {
        if number < self.next {
            self.free.insert(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_free_one() {
        let mut numbers = Numbers::default();
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [0, 1, 2]);
        numbers.give_back(1);
        assert_eq!([numbers.take(), numbers.take()], [1, 3]);
        assert_eq!([numbers.take_again(6), numbers.take_again(6)], [6, 4]);
        assert_eq!([numbers.take(), numbers.take()], [5, 7]);
        assert_eq!(numbers.take_again(u32::MAX), 8);
    }
}

//! Pauses between attempts to reach what may come back at once or never come at all.

use std::time::Duration;

/// After the first failure: what restarts is back soon.
const FIRST: Duration = Duration::from_millis(250);
/// What never comes costs no more than one attempt in this time.
const LONGEST: Duration = Duration::from_secs(4);

/// Pauses that grow until there is success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pauses {
    /// How long to wait now.
    #[must_use]
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = LONGEST.min(pause * 2);
        pause
    }

    /// There was success: what fails from now on fails anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_begin_anew() {
        let mut pauses = Pauses::default();
        let first: Vec<_> = (0..6).map(|_| pauses.pause().as_millis()).collect();
        assert_eq!(first, [250, 500, 1000, 2000, 4000, 4000]);
        pauses.reset();
        assert_eq!(pauses, Pauses::default());
    }
}

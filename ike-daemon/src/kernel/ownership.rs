//! Which SAs and policies of the system's kernel are ours: those with a reqid in our range that
//! nobody else has been seen using. setkey(8) scripts and other daemons keep theirs.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ike_proto::carrier::OWN_REQIDS;
use pfkey::Message;

use super::audit::reqid;

/// The reqids of others in our range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    foreign: BTreeSet<u32>,
}

impl Ownership {
    /// Our range beside others.
    pub const RANGE: RangeInclusive<u32> = OWN_REQIDS;
    /// More of others than any host has; beyond, nothing is taken for ours any more.
    const MAX: usize = 16_384;

    /// As a process before us has left it.
    pub fn from_saved(foreign: &[u32]) -> Self {
        let foreign = foreign.iter().copied().take(Self::MAX).collect();
        Self { foreign }
    }

    /// What the next process needs.
    pub fn to_saved(&self) -> Vec<u32> {
        self.foreign.iter().copied().collect()
    }

    /// Somebody else uses `reqid`. Says whether that is news.
    pub fn concede(&mut self, reqid: u32) -> bool {
        Self::RANGE.contains(&reqid) && self.foreign.insert(reqid)
    }

    /// Everything in a dump is somebody else's: we have never been here.
    pub fn concede_all(&mut self, dump: &[Message]) {
        for reqid in dump.iter().filter_map(reqid) {
            self.concede(reqid);
        }
    }

    /// Whether an SA or a policy with this reqid is ours.
    pub fn is_ours(&self, reqid: u32) -> bool {
        Self::RANGE.contains(&reqid) && !self.foreign.contains(&reqid)
    }

    /// The reqids that no client of ours may be given.
    pub fn foreign(&self) -> &BTreeSet<u32> {
        &self.foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_use_stays_theirs_over_a_restart() {
        let mut before = Ownership::default();
        assert!(before.is_ours(4096) && before.is_ours(16_383));
        assert!(!before.is_ours(4095) && !before.is_ours(16_384) && !before.is_ours(0));
        assert!(before.concede(5000) && !before.concede(5000));
        // Nothing to remember: that was never ours.
        assert!(!before.concede(7));
        let after = Ownership::from_saved(&before.to_saved());
        assert_eq!(after, before);
        assert!(!after.is_ours(5000) && after.is_ours(5001));
    }
}

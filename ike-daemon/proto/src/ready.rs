//! Key pairs made while there is nothing else to do, so that the first clients of a crowd find a part of
//! their computation done. Each serves one exchange.

use std::collections::VecDeque;

use ike_crypto::{Group, KeyPair};

/// So many are kept.
const STOCK: usize = 64;

/// The stock, of the group that was asked for last.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    group: Option<Group>,
    pairs: VecDeque<KeyPair>,
}

impl Ready {
    /// A pair that nobody has had, if there is one; from now on there will be of this group.
    pub(crate) fn take(&mut self, group: Group) -> Option<KeyPair> {
        if self.group != Some(group) {
            self.pairs.clear();
            self.group = Some(group);
        }
        self.pairs.pop_front()
    }

    /// The group of which one more has room.
    pub(crate) fn wanted(&self) -> Option<Group> {
        self.group.filter(|_| self.pairs.len() < STOCK)
    }

    /// Keeps a pair, unless the group is another by now.
    pub(crate) fn put(&mut self, pair: KeyPair) {
        if self.wanted() == Some(pair.group()) {
            self.pairs.push_back(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn each_pair_is_given_out_once_and_of_one_group() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut ready = Ready::default();
        assert!(ready.wanted().is_none());
        assert!(ready.take(Group::Ecp256).is_none());
        for _ in 0..2 * STOCK {
            ready.put(Group::Ecp256.generate(&mut rng));
        }
        assert!(ready.wanted().is_none());
        let mut publics = std::collections::BTreeSet::new();
        while let Some(pair) = ready.take(Group::Ecp256) {
            publics.insert(pair.public().to_vec());
        }
        assert_eq!(publics.len(), STOCK);

        ready.put(Group::Ecp256.generate(&mut rng));
        assert!(ready.take(Group::Curve25519).is_none());
        ready.put(Group::Ecp256.generate(&mut rng));
        assert!(ready.take(Group::Curve25519).is_none(), "of the old group");
    }
}

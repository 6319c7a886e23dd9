//! One ordered queue of deadlines; every session, client and pair of IPsec SAs has at most one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::io::{ChildId, IkeId, Reqid};

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    Session(IkeId),
    Child(ChildId),
    Client(Reqid),
    Fragments,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Instant, TimerKey)>,
    armed: BTreeMap<TimerKey, Instant>,
}

impl Timers {
    /// Sets, moves or takes away a deadline.
    pub(super) fn set(&mut self, key: TimerKey, due: Option<Instant>) {
        let Some(due) = due else {
            self.cancel(key);
            return;
        };
        if let Some(before) = self.armed.insert(key, due) {
            self.queue.remove(&(before, key));
        }
        self.queue.insert((due, key));
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        if let Some(before) = self.armed.remove(&key) {
            self.queue.remove(&(before, key));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Takes everything due, in order.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<TimerKey> {
        let mut keys = Vec::new();
        while let Some(&(due, key)) = self.queue.first() {
            if due > now {
                break;
            }
            self.queue.pop_first();
            self.armed.remove(&key);
            keys.push(key);
        }
        keys
    }

    /// How many deadlines there are.
    pub(super) fn len(&self) -> usize {
        self.armed.len()
    }
}

//! Putting fragments together: bounded in fragments per message, octets and messages per exchange,
//! exchanges per source and in total, and time. What a fragment costs does not grow with what is
//! kept (CVE-2016-10396 was a list without end, walked for each fragment).
//!
//! Nearly everybody numbers all messages with the same fragment id, so a new message is told from
//! an old one by what contradicts: other octets under the same number, or a last fragment that is
//! not the last. Late copies of fragments of the message just completed are known by their octets:
//! they do not begin another message, and when all have come once more, the peer has repeated the
//! message and gets it answered again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ike_crypto::Cookie;

use crate::policy::FragmentationPolicy;
use crate::wire::fragment::Fragment;

/// Whose messages: the peer and the cookies in its headers.
pub(crate) type ExchangeKey = (SocketAddr, Cookie, Cookie);

/// Messages under way at once in one exchange: under different ids, they do not disturb each
/// other.
const MESSAGES: usize = 4;

/// Everything being put together.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    exchanges: BTreeMap<ExchangeKey, Messages>,
    /// By age, oldest first; the number tells those of one moment apart.
    by_age: BTreeMap<(Instant, u64), ExchangeKey>,
    by_source: BTreeMap<IpAddr, BTreeSet<(Instant, u64)>>,
    serial: u64,
}

/// Messages of one exchange.
#[derive(Debug)]
struct Messages {
    age: (Instant, u64),
    /// Unfinished ones by fragment id, oldest first.
    partial: Vec<(u16, Partial)>,
    completed: Option<Completed>,
}

/// One unfinished message.
#[derive(Debug, Default)]
struct Partial {
    pieces: BTreeMap<u8, Vec<u8>>,
    last: Option<u8>,
    octets: usize,
}

/// The message completed last.
#[derive(Debug)]
struct Completed {
    id: u16,
    pieces: Vec<Vec<u8>>,
    /// Numbers of fragments that came again since.
    again: BTreeSet<u8>,
}

/// Why a fragment was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Its number is beyond the limit.
    TooMany,
    /// The message would become too long.
    TooLong,
}

impl Reassembly {
    /// Takes in a fragment; returns the whole message when it was the one missing.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        key: ExchangeKey,
        fragment: &Fragment<'_>,
        policy: &FragmentationPolicy,
    ) -> Result<Option<Vec<u8>>, Dropped> {
        self.expire(now, policy);
        if usize::from(fragment.number) > policy.fragments {
            return Err(Dropped::TooMany);
        }
        // The time runs from the first fragment of an unfinished message.
        let messages = match self.exchanges.entry(key) {
            Entry::Occupied(known) if !known.get().partial.is_empty() => known.into_mut(),
            _ => self.begin(now, key, policy),
        };
        messages.add(fragment, policy.octets)
    }

    /// An exchange without unfinished messages, its age reset; what was completed stays known.
    fn begin(
        &mut self,
        now: Instant,
        key: ExchangeKey,
        policy: &FragmentationPolicy,
    ) -> &mut Messages {
        let completed = self.forget(&key).and_then(|messages| messages.completed);
        self.make_room(key.0.ip(), policy);
        self.serial = self.serial.wrapping_add(1);
        let age = (now, self.serial);
        self.by_age.insert(age, key);
        self.by_source.entry(key.0.ip()).or_default().insert(age);
        self.exchanges.entry(key).or_insert(Messages {
            age,
            partial: Vec::new(),
            completed,
        })
    }

    /// When the oldest exchange is to be forgotten.
    pub(crate) fn due(&self, policy: &FragmentationPolicy) -> Option<Instant> {
        let ((oldest, _), _) = self.by_age.first_key_value()?;
        Some(*oldest + policy.timeout)
    }

    /// Forgets exchanges whose time is over.
    pub(crate) fn expire(&mut self, now: Instant, policy: &FragmentationPolicy) {
        while self.due(policy).is_some_and(|due| due <= now) {
            let oldest = self.by_age.first_key_value().map(|(_, key)| *key);
            if let Some(key) = oldest {
                self.forget(&key);
            }
        }
    }

    /// How many exchanges are known.
    pub(crate) fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// The oldest of the same source gives way first, then the oldest of all.
    fn make_room(&mut self, source: IpAddr, policy: &FragmentationPolicy) {
        let own = self.by_source.get(&source);
        let victim = match own {
            Some(own) if own.len() >= policy.exchanges_per_source => own.first().copied(),
            _ if self.exchanges.len() >= policy.exchanges => {
                self.by_age.first_key_value().map(|(age, _)| *age)
            }
            _ => None,
        };
        if let Some(key) = victim.and_then(|age| self.by_age.get(&age).copied()) {
            self.forget(&key);
        }
    }

    fn forget(&mut self, key: &ExchangeKey) -> Option<Messages> {
        let messages = self.exchanges.remove(key)?;
        self.by_age.remove(&messages.age);
        if let Some(own) = self.by_source.get_mut(&key.0.ip()) {
            own.remove(&messages.age);
            if own.is_empty() {
                self.by_source.remove(&key.0.ip());
            }
        }
        Some(messages)
    }
}

impl Messages {
    fn add(&mut self, fragment: &Fragment<'_>, limit: usize) -> Result<Option<Vec<u8>>, Dropped> {
        let place = self.partial.iter().position(|(id, _)| *id == fragment.id);
        if let Some(completed) = &mut self.completed
            && completed.has(fragment)
        {
            completed.again.insert(fragment.number);
            if completed.again.len() == completed.pieces.len() {
                completed.again.clear();
                let whole = completed.pieces.concat();
                // What was put together from the same fragments is this message once more.
                self.partial.retain(|(id, _)| *id != fragment.id);
                return Ok(Some(whole));
            }
            if place.is_none() {
                return Ok(None);
            }
        }
        let mut partial = match place {
            Some(place) => self.partial.remove(place).1,
            None => Partial::default(),
        };
        if place.is_none() && self.partial.len() >= MESSAGES {
            self.partial.remove(0);
        }
        partial.insert(fragment);
        let others: usize = self.partial.iter().map(|(_, other)| other.octets).sum();
        if others.saturating_add(partial.octets) > limit {
            // Whoever sends this gets none of it through.
            self.partial.clear();
            return Err(Dropped::TooLong);
        }
        if !partial.is_whole() {
            self.partial.push((fragment.id, partial));
            return Ok(None);
        }
        let pieces: Vec<Vec<u8>> = partial.pieces.into_values().collect();
        let whole = pieces.concat();
        self.completed = Some(Completed {
            id: fragment.id,
            pieces,
            again: BTreeSet::new(),
        });
        Ok(Some(whole))
    }
}

impl Partial {
    fn insert(&mut self, fragment: &Fragment<'_>) {
        let number = fragment.number;
        let contradicts = match self.pieces.get(&number) {
            Some(known) => known != fragment.data || fragment.last != (self.last == Some(number)),
            None => self.last.is_some_and(|last| number > last),
        };
        if contradicts {
            *self = Self::default();
        }
        if fragment.last {
            // What lies beyond belonged to a longer message.
            drop(self.pieces.split_off(&number));
            self.last = Some(number);
        }
        self.pieces.insert(number, fragment.data.to_vec());
        self.octets = self.pieces.values().map(Vec::len).sum();
    }

    fn is_whole(&self) -> bool {
        self.last
            .is_some_and(|last| self.pieces.len() == usize::from(last))
    }
}

impl Completed {
    fn has(&self, fragment: &Fragment<'_>) -> bool {
        let number = usize::from(fragment.number);
        let known = number
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index));
        self.id == fragment.id
            && known.is_some_and(|data| data == fragment.data)
            && fragment.last == (number == self.pieces.len())
    }
}

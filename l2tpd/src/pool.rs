//! The addresses that IPCP hands to clients (RFC 1332 section 3.3) and the IPv6 prefixes that are
//! advertised to them: ranges, fixed ones and the promise that none is ever in two hands.
//!
//! A pool never lists its addresses: a fresh cursor walks the ranges once, and whatever comes back
//! waits in the order of its return, so an address rests as long as possible before it is somebody
//! else's. A user who comes back finds the address of the last time if nobody has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::net::Ipv4Addr;

use thiserror::Error;

mod span;

pub use span::Span;
pub use tanuki_daemon::prefix::Prefixes;
pub use tanuki_daemon::range::{Range, RangeError};

/// Users whose last address is remembered, to bound memory.
const MAX_REMEMBERED: usize = 65_536;

/// Why an address was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PoolError<T = Ipv4Addr> {
    /// Every address of the ranges is in use.
    #[error("no address is left in the pool (remedy: enlarge `pool` in l2tpd.yaml)")]
    Exhausted,
    /// No range is configured.
    #[error("no address pool is configured (remedy: set `pool`, or `address` for the user)")]
    Empty,
    /// The wanted address is somebody's.
    #[error("{0} is in use by another session")]
    InUse(T),
    /// The wanted address is one of our own.
    #[error("{0} is the server's own")]
    Own(T),
}

/// What the pool has given and has left. Ranges have names; a user asks for an address of one name.
#[derive(Debug, Clone)]
pub struct Pool<S: Span = Range> {
    sets: BTreeMap<String, Set<S>>,
    books: Books<S::Item>,
}

impl<S: Span> Default for Pool<S> {
    fn default() -> Self {
        Self::new(BTreeMap::new(), [])
    }
}

/// The ranges of one name.
#[derive(Debug, Clone)]
struct Set<S: Span> {
    ranges: Vec<S>,
    /// Range and offset of the next address nobody had yet.
    cursor: (usize, u64),
    /// Returned addresses, the longest rested first.
    rested: BTreeMap<u64, S::Item>,
    rested_by_address: HashMap<S::Item, u64>,
    returns: u64,
    remembered: HashMap<String, S::Item>,
}

/// Which addresses are whose, whatever the ranges.
#[derive(Debug, Clone)]
struct Books<T> {
    /// Handed out, by range, fixed or adopted.
    taken: HashSet<T>,
    /// Never handed out by itself: own addresses.
    own: HashSet<T>,
    /// Handed out only to those who have a right to it: fixed addresses of users.
    fixed: HashSet<T>,
}

impl<T: Copy + Eq + Hash> Books<T> {
    fn is_free(&self, address: T) -> bool {
        !self.taken.contains(&address)
            && !self.own.contains(&address)
            && !self.fixed.contains(&address)
    }
}

impl<S: Span> Pool<S> {
    /// A pool of named ranges (assumed not to overlap; an overlap costs nothing but a second look)
    /// that never gives away the addresses in `own`.
    #[must_use]
    pub fn new(sets: BTreeMap<String, Vec<S>>, own: impl IntoIterator<Item = S::Item>) -> Self {
        let mut pool = Self {
            sets: BTreeMap::new(),
            books: Books {
                taken: HashSet::new(),
                own: HashSet::new(),
                fixed: HashSet::new(),
            },
        };
        pool.reconfigure(sets, own);
        pool
    }

    /// Replaces the ranges; what is handed out stays handed out.
    pub fn reconfigure(
        &mut self,
        sets: BTreeMap<String, Vec<S>>,
        own: impl IntoIterator<Item = S::Item>,
    ) {
        let mut former = std::mem::take(&mut self.sets);
        for (name, ranges) in sets {
            let remembered = former
                .remove(&name)
                .map(|set| set.remembered)
                .unwrap_or_default();
            let set = Set {
                ranges,
                cursor: (0, 0),
                rested: BTreeMap::new(),
                rested_by_address: HashMap::new(),
                returns: 0,
                remembered,
            };
            self.sets.insert(name, set);
        }
        self.books.own = own.into_iter().collect();
    }

    /// Names the addresses that belong to particular users and are not for everybody.
    pub fn set_fixed(&mut self, fixed: impl IntoIterator<Item = S::Item>) {
        self.books.fixed = fixed.into_iter().collect();
    }

    /// Gives `user` an address of the ranges called `name`, the one of the last time if it is free.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`], or [`PoolError::Empty`] without ranges of that name.
    pub fn allocate(&mut self, name: &str, user: &str) -> Result<S::Item, PoolError<S::Item>> {
        let set = self
            .sets
            .get_mut(name)
            .filter(|set| !set.ranges.is_empty())
            .ok_or(PoolError::Empty)?;
        let address = set
            .allocate(user, &self.books)
            .ok_or(PoolError::Exhausted)?;
        self.take(address);
        Ok(address)
    }

    /// Gives an address out of `range`, which belongs to the asker.
    ///
    /// # Errors
    /// [`PoolError::InUse`] names the first address when all are somebody's.
    pub fn allocate_within(&mut self, range: S) -> Result<S::Item, PoolError<S::Item>> {
        let free = (0..range.size())
            .map_while(|n| range.nth(n))
            .find(|address| {
                !self.books.taken.contains(address) && !self.books.own.contains(address)
            })
            .ok_or(PoolError::InUse(range.first()))?;
        self.take(free);
        Ok(free)
    }

    /// Takes one particular address, inside or outside of the ranges.
    ///
    /// # Errors
    /// [`PoolError::InUse`] or [`PoolError::Own`].
    pub fn reserve(&mut self, address: S::Item) -> Result<(), PoolError<S::Item>> {
        if self.books.own.contains(&address) {
            return Err(PoolError::Own(address));
        }
        if self.books.taken.contains(&address) {
            return Err(PoolError::InUse(address));
        }
        self.take(address);
        Ok(())
    }

    /// Takes an address back. An address nobody has is no error.
    pub fn release(&mut self, address: S::Item) {
        if self.books.taken.remove(&address) {
            for set in self.sets.values_mut() {
                if set.contains(address) {
                    set.rest(address);
                }
            }
        }
    }

    /// Number of addresses in hands, fixed ones included.
    #[must_use]
    pub fn used(&self) -> usize {
        self.books.taken.len()
    }

    /// Number of addresses of `range` in hands.
    #[must_use]
    pub fn used_in(&self, range: &S) -> usize {
        self.books
            .taken
            .iter()
            .filter(|&&address| range.contains(address))
            .count()
    }

    /// The ranges with their names.
    pub fn ranges(&self) -> impl Iterator<Item = (&str, &S)> {
        self.sets
            .iter()
            .flat_map(|(name, set)| set.ranges.iter().map(move |range| (name.as_str(), range)))
    }

    /// Name, addresses in hands and addresses of each set of ranges.
    #[must_use]
    pub fn use_of_each(&self) -> Vec<(String, u64, u64)> {
        let of = |set: &Set<S>| {
            let used = set.ranges.iter().map(|range| self.used_in(range) as u64);
            let size = set.ranges.iter().map(Span::size);
            (used.sum(), size.sum())
        };
        let sets = self.sets.iter().filter(|(_, set)| !set.ranges.is_empty());
        sets.map(|(name, set)| {
            let (used, size) = of(set);
            (name.clone(), used, size)
        })
        .collect()
    }

    fn take(&mut self, address: S::Item) {
        self.books.taken.insert(address);
        for set in self.sets.values_mut() {
            if let Some(turn) = set.rested_by_address.remove(&address) {
                set.rested.remove(&turn);
            }
        }
    }
}

impl<S: Span> Set<S> {
    fn allocate(&mut self, user: &str, books: &Books<S::Item>) -> Option<S::Item> {
        let address = self
            .remembered
            .get(user)
            .copied()
            .filter(|&address| self.contains(address) && books.is_free(address))
            .or_else(|| self.next_fresh(books))
            .or_else(|| self.longest_rested(books))?;
        if self.remembered.len() >= MAX_REMEMBERED && !self.remembered.contains_key(user) {
            self.remembered.clear();
        }
        self.remembered.insert(user.to_owned(), address);
        Some(address)
    }

    fn contains(&self, address: S::Item) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    fn rest(&mut self, address: S::Item) {
        self.returns += 1;
        self.rested.insert(self.returns, address);
        self.rested_by_address.insert(address, self.returns);
    }

    fn next_fresh(&mut self, books: &Books<S::Item>) -> Option<S::Item> {
        loop {
            let (index, offset) = self.cursor;
            let range = self.ranges.get(index)?;
            match range.nth(offset) {
                Some(address) => {
                    self.cursor.1 += 1;
                    let rested = self.rested_by_address.contains_key(&address);
                    if books.is_free(address) && !rested {
                        return Some(address);
                    }
                    // What is passed because it belongs to a user today must be found again when
                    // it no longer does.
                    if !rested && !books.taken.contains(&address) {
                        self.rest(address);
                    }
                }
                None => self.cursor = (index + 1, 0),
            }
        }
    }

    fn longest_rested(&mut self, books: &Books<S::Item>) -> Option<S::Item> {
        self.rested
            .values()
            .copied()
            .find(|&address| books.is_free(address))
    }
}

#[cfg(test)]
mod tests;

//! The addresses that IPCP hands to clients (RFC 1332 section 3.3) and the IPv6 prefixes that are
//! advertised to them: ranges, fixed ones and the promise that none is ever in two hands.
//!
//! A pool never lists its addresses: a fresh cursor walks the ranges once, and whatever comes back
//! waits in the order of its return, so an address rests as long as possible before it is somebody
//! else's. A user who comes back finds the address of the last time if nobody has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::Ipv4Addr;

use ipnet::Ipv6Net;
use thiserror::Error;

pub use tanuki_daemon::prefix::Prefixes;
pub use tanuki_daemon::range::{Range, RangeError};

/// What a pool is made of.
pub trait Span: Copy + Eq + Debug {
    /// What is handed out.
    type Item: Copy + Eq + Ord + Hash + Debug + Display;
    /// How many there are.
    fn size(&self) -> u64;
    /// One of them, from 0.
    fn nth(&self, n: u64) -> Option<Self::Item>;
    /// The first.
    fn first(&self) -> Self::Item;
    /// Whether it is one of them.
    fn contains(&self, item: Self::Item) -> bool;
}

impl Span for Range {
    type Item = Ipv4Addr;

    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn nth(&self, n: u64) -> Option<Ipv4Addr> {
        Self::nth(self, n)
    }

    fn first(&self) -> Ipv4Addr {
        Self::first(self)
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        Self::contains(self, address)
    }
}

/// Users whose last address is remembered, to bound memory.
const MAX_REMEMBERED: usize = 65_536;

impl Span for Prefixes {
    type Item = Ipv6Net;

    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn nth(&self, n: u64) -> Option<Ipv6Net> {
        Self::nth(self, n)
    }

    fn first(&self) -> Ipv6Net {
        Self::first(self)
    }

    fn contains(&self, prefix: Ipv6Net) -> bool {
        Self::contains(self, prefix)
    }
}

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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: Vec<Range>) -> BTreeMap<String, Vec<Range>> {
        BTreeMap::from([("p".to_owned(), ranges)])
    }

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_read_in_three_forms() {
        assert_eq!(range("10.0.0.10-10.0.0.20").size(), 11);
        assert_eq!(range("10.0.0.0/24"), range("10.0.0.1 - 10.0.0.254"));
        assert_eq!(range("10.0.0.8/31").size(), 2);
        assert_eq!(range("10.0.0.9").to_string(), "10.0.0.9");
        assert_eq!(
            "10.0.0.9-10.0.0.1".parse::<Range>(),
            Err(RangeError::Backwards("10.0.0.9-10.0.0.1".into()))
        );
        assert_eq!(
            "0.0.0.0/0".parse::<Range>(),
            Err(RangeError::TooLarge("0.0.0.0/0".into()))
        );
        assert!(matches!(
            "ten".parse::<Range>(),
            Err(RangeError::Malformed(_))
        ));
        assert_eq!(range("255.255.255.250-255.255.255.255").size(), 6);
    }

    #[test]
    fn a_user_finds_the_old_address_and_the_pool_runs_dry_politely() {
        let mut pool = Pool::new(
            set(vec![range("10.0.0.1-10.0.0.3")]),
            [Ipv4Addr::new(10, 0, 0, 1)],
        );
        let alice = pool.allocate("p", "alice").unwrap();
        let bob = pool.allocate("p", "bob").unwrap();
        assert_ne!(alice, bob);
        assert_eq!(pool.allocate("p", "carol"), Err(PoolError::Exhausted));
        pool.release(alice);
        pool.release(alice);
        pool.release(bob);
        assert_eq!(pool.allocate("p", "bob"), Ok(bob));
        assert_eq!(pool.allocate("p", "alice"), Ok(alice));
        assert_eq!(
            Pool::<Range>::default().allocate("p", "alice"),
            Err(PoolError::Empty)
        );
    }

    #[test]
    fn fixed_addresses_are_for_their_owners_until_the_file_says_otherwise() {
        let fixed = Ipv4Addr::new(10, 0, 0, 2);
        let mut pool = Pool::new(set(vec![range("10.0.0.2-10.0.0.3")]), []);
        pool.set_fixed([fixed]);
        assert_eq!(pool.allocate("p", "a"), Ok(Ipv4Addr::new(10, 0, 0, 3)));
        assert_eq!(pool.allocate("p", "b"), Err(PoolError::Exhausted));
        assert_eq!(pool.reserve(fixed), Ok(()));
        assert_eq!(pool.reserve(fixed), Err(PoolError::InUse(fixed)));
        pool.release(fixed);
        pool.set_fixed([]);
        assert_eq!(pool.allocate("p", "b"), Ok(fixed));
    }

    #[test]
    fn a_range_of_one_user_is_walked_and_never_shared() {
        let mut pool = Pool::new(set(vec![]), [Ipv4Addr::new(10, 0, 0, 5)]);
        let own = range("10.0.0.4-10.0.0.6");
        assert_eq!(pool.allocate_within(own), Ok(Ipv4Addr::new(10, 0, 0, 4)));
        assert_eq!(pool.allocate_within(own), Ok(Ipv4Addr::new(10, 0, 0, 6)));
        assert_eq!(
            pool.allocate_within(own),
            Err(PoolError::InUse(own.first()))
        );
    }

    #[test]
    fn a_smaller_pool_forgets_nobody() {
        let mut pool = Pool::new(set(vec![range("10.0.0.1-10.0.0.9")]), []);
        let old = pool.allocate("p", "a").unwrap();
        pool.reconfigure(set(vec![range("10.0.0.1-10.0.0.2")]), []);
        let new = pool.allocate("p", "b").unwrap();
        assert_ne!(old, new);
        assert_eq!(pool.allocate("p", "c"), Err(PoolError::Exhausted));
        pool.release(old);
        assert_eq!(pool.allocate("p", "c"), Ok(old));
    }

    #[test]
    fn bundles_with_a_prefix_in_common_never_give_it_twice() {
        let prefixes = |text: &str| vec![text.parse::<Prefixes>().unwrap()];
        let net = |text: &str| text.parse::<Ipv6Net>().unwrap();
        let sets = BTreeMap::from([
            ("a".to_owned(), prefixes("2001:db8::/63")),
            ("b".to_owned(), prefixes("2001:db8::/62")),
        ]);
        let mut pool: Pool<Prefixes> = Pool::new(sets, []);
        pool.set_fixed([net("2001:db8:0:1::/64")]);
        assert_eq!(pool.allocate("a", "x"), Ok(net("2001:db8::/64")));
        assert_eq!(pool.allocate("a", "y"), Err(PoolError::Exhausted));
        assert_eq!(pool.allocate("b", "y"), Ok(net("2001:db8:0:2::/64")));
        pool.release(net("2001:db8::/64"));
        assert_eq!(pool.allocate("b", "z"), Ok(net("2001:db8:0:3::/64")));
        assert_eq!(pool.allocate("b", "x"), Ok(net("2001:db8::/64")));
        assert_eq!(pool.used(), 3);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Allocate(u8),
        Reserve(u8),
        Within(u8, u8),
        Release(u8),
        Fixed(Vec<u8>),
        Reconfigure(u8, u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            any::<u8>().prop_map(Step::Allocate),
            any::<u8>().prop_map(Step::Reserve),
            (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Within(a.min(b), a.max(b))),
            any::<u8>().prop_map(Step::Release),
            proptest::collection::vec(0u8..24, 0..4).prop_map(Step::Fixed),
            (0u8..24, 0u8..24).prop_map(|(a, b)| Step::Reconfigure(a.min(b), a.max(b))),
        ];
        proptest::collection::vec(step, 0..200)
    }

    fn host(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, n)
    }

    proptest! {
        /// Against a model that is nothing but a set: never two hands on one address, never an own
        /// address, never "exhausted" while an address is free.
        #[test]
        fn no_address_is_ever_in_two_hands(steps in steps()) {
            let own = host(3);
            let mut pool = Pool::new(set(vec![Range::new(host(0), host(23)).unwrap()]), [own]);
            let mut range = Range::new(host(0), host(23)).unwrap();
            let mut fixed = HashSet::new();
            let mut model: HashSet<Ipv4Addr> = HashSet::new();
            for step in steps {
                match step {
                    Step::Allocate(user) => match pool.allocate("p", &format!("u{user}")) {
                        Ok(address) => {
                            prop_assert!(model.insert(address));
                            prop_assert!(address != own && range.contains(address));
                            prop_assert!(!fixed.contains(&address));
                        }
                        Err(error) => {
                            prop_assert_eq!(error, PoolError::Exhausted);
                            let free = (0..range.size()).filter_map(|n| range.nth(n)).any(|a| {
                                a != own && !fixed.contains(&a) && !model.contains(&a)
                            });
                            prop_assert!(!free, "an address was free");
                        }
                    },
                    Step::Reserve(n) => {
                        let done = pool.reserve(host(n)).is_ok();
                        prop_assert_eq!(done, host(n) != own && model.insert(host(n)));
                    }
                    Step::Within(a, b) => {
                        if let Ok(address) =
                            pool.allocate_within(Range::new(host(a), host(b)).unwrap())
                        {
                            prop_assert!(model.insert(address));
                            prop_assert!(address != own);
                        }
                    }
                    Step::Release(n) => {
                        pool.release(host(n));
                        model.remove(&host(n));
                    }
                    Step::Fixed(hosts) => {
                        fixed = hosts.into_iter().map(host).collect();
                        pool.set_fixed(fixed.iter().copied());
                    }
                    Step::Reconfigure(a, b) => {
                        range = Range::new(host(a), host(b)).unwrap();
                        pool.reconfigure(set(vec![range]), [own]);
                    }
                }
                prop_assert_eq!(pool.used(), model.len());
            }
        }

        #[test]
        fn any_text_is_a_range_or_an_error(text in "\\PC{0,40}") {
            if let Ok(range) = text.parse::<Range>() {
                prop_assert_eq!(range.to_string().parse::<Range>(), Ok(range));
            }
        }
    }
}

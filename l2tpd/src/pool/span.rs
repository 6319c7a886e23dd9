//! What pools are made of: ranges of IPv4 addresses, IPv6 prefixes.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::Ipv4Addr;

use ipnet::Ipv6Net;
use tanuki_daemon::prefix::Prefixes;
use tanuki_daemon::range::Range;

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

//! A range of IPv4 addresses, as pools and users have them: `10.0.0.10-10.0.0.99`, `10.0.0.0/24` or one
//! address.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use thiserror::Error;

/// Consecutive IPv4 addresses, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// Why a text is not a [`Range`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RangeError {
    /// Neither an address, nor `first-last`, nor `network/width`.
    #[error(
        "\u{201c}{0}\u{201d} is not an address range (accepted: 10.0.0.10-10.0.0.99, 10.0.0.0/24 or one address)"
    )]
    Malformed(String),
    /// The last address lies before the first.
    #[error("the range {0} ends before it begins (accepted: the lower address first)")]
    Backwards(String),
    /// More addresses than one server can have sessions.
    #[error("the range {0} is larger than a /8 (accepted: at most 16777216 addresses)")]
    TooLarge(String),
}

/// The size of a /8, more than any server has sessions.
const MAX_RANGE: u32 = 1 << 24;
impl Range {
    /// The range from `first` to `last`, both included.
    ///
    /// # Errors
    /// When `last` lies before `first` or the range exceeds a /8.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, RangeError> {
        let text = format!("{first}-{last}");
        if last < first {
            return Err(RangeError::Backwards(text));
        }
        if u32::from(last) - u32::from(first) >= MAX_RANGE {
            return Err(RangeError::TooLarge(text));
        }
        Ok(Self { first, last })
    }

    /// A range of one address.
    #[must_use]
    pub const fn single(address: Ipv4Addr) -> Self {
        Self {
            first: address,
            last: address,
        }
    }

    /// The lowest address.
    #[must_use]
    pub const fn first(&self) -> Ipv4Addr {
        self.first
    }

    /// The highest address.
    #[must_use]
    pub const fn last(&self) -> Ipv4Addr {
        self.last
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Number of addresses.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(u32::from(self.last)) - u64::from(u32::from(self.first)) + 1
    }

    /// The address `n` places after the lowest.
    #[must_use]
    pub fn nth(&self, n: u64) -> Option<Ipv4Addr> {
        let address = u64::from(u32::from(self.first)).checked_add(n)?;
        let address = Ipv4Addr::from(u32::try_from(address).ok()?);
        self.contains(address).then_some(address)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for Range {
    type Err = RangeError;

    /// `first-last`, `network/width` (without the network and broadcast address up to /30) or one
    /// address.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let malformed = || RangeError::Malformed(text.to_owned());
        let text_trimmed = text.trim();
        if let Some((first, last)) = text_trimmed.split_once('-') {
            let first = first.trim().parse().map_err(|_| malformed())?;
            let last = last.trim().parse().map_err(|_| malformed())?;
            return Self::new(first, last);
        }
        if text_trimmed.contains('/') {
            let net: ipnet::Ipv4Net = text_trimmed.parse().map_err(|_| malformed())?;
            if net.prefix_len() < 8 {
                return Err(RangeError::TooLarge(text_trimmed.to_owned()));
            }
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            return if net.prefix_len() <= 30 {
                Self::new((first + 1).into(), (last - 1).into())
            } else {
                Self::new(first.into(), last.into())
            };
        }
        text_trimmed
            .parse()
            .map(Self::single)
            .map_err(|_| malformed())
    }
}

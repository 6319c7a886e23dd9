//! IPv6 prefixes, as pools and users have them. A session gets one of 64 bits, of which the client
//! makes its addresses (RFC 4862).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use ipnet::Ipv6Net;
use thiserror::Error;

/// The length that a client can make addresses of.
const SESSION: u8 = 64;
/// The shortest from which prefixes are taken.
const SHORTEST: u8 = 16;

/// A prefix of 16 to 64 bits, as the prefixes of 64 bits in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes(Ipv6Net);

/// Why a text is no [`Prefixes`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// It is no network.
    #[error("{0} is no IPv6 prefix")]
    Malformed(String),
    /// Not of 16 to 64 bits.
    #[error("{0} has not 16 to 64 bits")]
    Length(Ipv6Net),
    /// There are bits behind the prefix.
    #[error("{0} has bits behind its length (remedy: write {trunc})", trunc = .0.trunc())]
    Bits(Ipv6Net),
    /// Hosts cannot use it.
    #[error("{0} is no unicast prefix that could be routed")]
    Use(Ipv6Net),
}

impl Prefixes {
    /// Whether the two have a prefix in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// How many prefixes of 64 bits there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        1 << (SESSION - self.0.prefix_len())
    }

    /// One of them, from 0.
    #[must_use]
    pub fn nth(&self, n: u64) -> Option<Ipv6Net> {
        let first = self.0.network().to_bits();
        (n < self.size()).then(|| session_prefix(first | u128::from(n) << SESSION))
    }

    /// The first.
    #[must_use]
    pub fn first(&self) -> Ipv6Net {
        session_prefix(self.0.network().to_bits())
    }

    /// Whether `prefix` is one of them.
    #[must_use]
    pub fn contains(&self, prefix: Ipv6Net) -> bool {
        self.0.contains(&prefix)
    }
}

impl FromStr for Prefixes {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let network: Ipv6Net = text
            .trim()
            .parse()
            .map_err(|_| PrefixError::Malformed(text.to_owned()))?;
        let (first, last) = (network.network(), network.broadcast());
        let special = |address: Ipv6Addr| {
            address.is_multicast() || address.is_unicast_link_local() || address.is_unspecified()
        };
        if !(SHORTEST..=SESSION).contains(&network.prefix_len()) {
            Err(PrefixError::Length(network))
        } else if network.trunc() != network {
            Err(PrefixError::Bits(network))
        } else if special(first) || special(last) {
            Err(PrefixError::Use(network))
        } else {
            Ok(Self(network))
        }
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn session_prefix(bits: u128) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_bits(bits >> SESSION << SESSION), SESSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(text: &str) -> Prefixes {
        text.parse().unwrap()
    }

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    #[test]
    fn what_cannot_be_advertised_is_refused() {
        for (text, words) in [
            ("10.0.0.0/8", "no IPv6 prefix"),
            ("2001:db8::1", "no IPv6 prefix"),
            ("2001:db8::/65", "16 to 64 bits"),
            ("2000::/15", "16 to 64 bits"),
            ("2001:db8:0:1::/48", "write 2001:db8::/48"),
            ("fe80::/64", "unicast"),
            ("ff05::/16", "unicast"),
            ("::/64", "unicast"),
        ] {
            let error = text.parse::<Prefixes>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert_eq!(prefixes(" fd00:77::/48 ").to_string(), "fd00:77::/48");
    }

    #[test]
    fn a_prefix_is_counted_in_prefixes_of_64_bits() {
        let all = prefixes("2001:db8:77::/62");
        let each: Vec<Ipv6Net> = (0..9).map_while(|n| all.nth(n)).collect();
        assert_eq!(
            each,
            [
                net("2001:db8:77::/64"),
                net("2001:db8:77:1::/64"),
                net("2001:db8:77:2::/64"),
                net("2001:db8:77:3::/64")
            ]
        );
        assert_eq!((all.size(), all.first()), (4, each[0]));
        assert!(each.iter().all(|prefix| all.contains(*prefix)));
        assert!(!all.contains(net("2001:db8:77:4::/64")));
        assert!(all.overlaps(&prefixes("2001:db8::/32")));
        assert!(!all.overlaps(&prefixes("2001:db8:77:4::/64")));
        assert_eq!(prefixes("2001::/16").size(), 1 << 48);
    }
}

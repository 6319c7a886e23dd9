//! Single values of the files: each refuses what it cannot be while serde reads it, so that the
//! problem carries the line and the column of the value itself.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// The port of L2TP (RFC 2661 section 8.1).
pub(crate) const L2TP_PORT: u16 = 1701;

/// RFC 1661 section 5.1 has no lower bound; 576 is what every IPv4 host must take (RFC 791).
pub(crate) type Mtu = Number<576, 1500>;
/// A time.
pub(crate) type Seconds = Number<1, 86_400>;
/// A time, or 0 for never.
pub(crate) type SecondsOrOff = Number<0, 86_400>;

/// A number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Number<MIN, MAX> {
    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn seconds(self) -> Duration {
        Duration::from_secs(self.0)
    }

    pub(crate) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    pub(crate) fn octets(self) -> u16 {
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Within<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Within<MIN, MAX> {
            type Value = u64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from {MIN} to {MAX}")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
                if (MIN..=MAX).contains(&number) {
                    Ok(number)
                } else {
                    Err(E::custom(format!(
                        "{number} is out of bounds, expected a number from {MIN} to {MAX}"
                    )))
                }
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
                Err(E::custom(format!(
                    "{number} is out of bounds, expected a number from {MIN} to {MAX}"
                )))
            }
        }
        deserializer.deserialize_u64(Within::<MIN, MAX>).map(Self)
    }
}

/// A scalar read by its `FromStr`, usable inside lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display> + Expected> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display> + Expected> Visitor<'_> for Words<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
                T::from_str(text)
                    .map_err(|error| E::custom(format!("{error}, expected {}", T::EXPECTED)))
            }
        }
        deserializer.deserialize_str(Words(PhantomData)).map(Self)
    }
}

/// What the reader of a message would have to write.
pub(crate) trait Expected {
    const EXPECTED: &'static str;
}

impl Expected for std::net::Ipv4Addr {
    const EXPECTED: &'static str = "an IPv4 address such as 10.77.0.1";
}

impl Expected for std::net::Ipv6Addr {
    const EXPECTED: &'static str = "an IPv6 address such as 2001:db8::53";
}

impl Expected for crate::pool::Prefixes {
    const EXPECTED: &'static str = "a prefix of 16 to 64 bits such as 2001:db8:77::/48";
}

impl Expected for IpAddr {
    const EXPECTED: &'static str = "an IP address such as 198.51.100.9 or 2001:db8::9";
}

impl Expected for ipnet::IpNet {
    const EXPECTED: &'static str = "a network such as 10.20.0.0/16 or 0.0.0.0/0";
}

impl Expected for crate::pool::Range {
    const EXPECTED: &'static str = "10.0.0.10-10.0.0.99, 10.0.0.0/24 or one address";
}

impl Expected for Endpoint {
    const EXPECTED: &'static str = "an address such as 198.51.100.9, 198.51.100.9:1701 or \
         [2001:db8::9]:1701";
}

/// An address with or without a port; 1701 without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint(pub(crate) SocketAddr);

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(SocketAddr::new(address, L2TP_PORT)));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Ok(Self(address)),
            _ => Err("invalid address"),
        }
    }
}

/// An address, a port, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

impl Expected for Listen {
    const EXPECTED: &'static str =
        "an address of ours such as 198.51.100.9 or 198.51.100.9:1701, or a port such as :1702";
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = text.strip_prefix(':').map(str::parse::<u16>);
        if let Some(Ok(port @ 1..)) = port {
            return Ok(Self {
                address: None,
                port: Some(port),
            });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                address: Some(address),
                port: None,
            });
        }
        match text.parse::<SocketAddr>() {
            Ok(both) if both.port() != 0 => Ok(Self {
                address: Some(both.ip()),
                port: Some(both.port()),
            }),
            _ => Err("invalid address"),
        }
    }
}

impl Expected for SocketAddr {
    const EXPECTED: &'static str = "an address and a port such as 127.0.0.1:5005";
}

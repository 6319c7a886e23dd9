//! Single values of the configuration: each refuses what it is not and says what it would take.
//!
//! * `algorithms`: ciphers, hashes, groups, suites, and other words of IKE
//! * `peers`: who somebody is
//! * `places`: addresses, networks, services, files

mod algorithms;
mod peers;
mod places;

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use tanuki_daemon::config::parsed;

pub(super) use algorithms::{
    CipherName, FragmentationName, GroupName, HashName, MethodName, ModeName, Sha2, Suite,
};
pub(super) use peers::{Name, Peer, PeerName};
pub(super) use places::{
    Addresses, Endpoint, FileName, Host, Ipv4, Network, Network4, ScriptPath, ServiceName,
};

/// Makes a type readable from a YAML scalar by its `FromStr`.
macro_rules! scalar {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parsed(deserializer)
            }
        }
    )*};
}

pub(super) use scalar;

scalar!(
    Period,
    Peer,
    Name,
    CipherName,
    HashName,
    GroupName,
    Suite,
    ServiceName,
    Endpoint,
    Network,
    Host,
    ModeName,
    FragmentationName,
    MethodName,
    FileName,
    PeerName,
    ScriptPath,
    Addresses,
    Ipv4,
    Network4,
    Sha2
);

/// A span of time: `30` (seconds), `500ms`, `30s`, `10m`, `8h`, `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "`{text}` is no span of time; expected a whole number with ms, s, m, h or d, such as 30s or 8h"
            )
        };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().map_err(|_| refuse())?;
        let unit = text.get(digits.len()..).unwrap_or_default();
        let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
        let period = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "" | "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3600),
            "d" => seconds(86_400),
            _ => None,
        };
        // A century: beyond it, arithmetic on clocks is no longer safe.
        period
            .filter(|period| *period <= Duration::from_secs(100 * 366 * 86_400))
            .map(Self)
            .ok_or_else(refuse)
    }
}

/// One value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<'de, T> Deserialize<'de> for OneOrMany<T>
where
    T: Deserialize<'de> + FromStr<Err: Display>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T> Visitor<'de> for ListVisitor<T>
where
    T: Deserialize<'de> + FromStr<Err: Display>,
{
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse()
            .map(|value| OneOrMany(vec![value]))
            .map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(OneOrMany(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        let seconds = |text: &str| text.parse::<Period>().map(|p| p.0.as_millis());
        assert_eq!(seconds("30"), Ok(30_000));
        assert_eq!(seconds("500ms"), Ok(500));
        assert_eq!(seconds("8h"), Ok(8 * 3_600_000));
        assert_eq!(seconds("1d"), Ok(86_400_000));
        for bad in [
            "",
            "h",
            "-1",
            "1.5h",
            "8 h",
            "8hours",
            "99999999999d",
            "200000000000s",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}

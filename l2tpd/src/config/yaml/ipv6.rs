//! `ipv6`: false, true, or what is advertised to clients.

use std::fmt;
use std::net::Ipv6Addr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::profile::RouterSettings;
use crate::config::scalar::Text;
use crate::pool::Prefixes;

/// The value of `ipv6`.
#[derive(Debug, Clone)]
pub(super) enum Ipv6File {
    /// IPV6CP, and no more.
    Negotiated(bool),
    /// IPV6CP and router advertisements.
    Advertised(AdvertisedFile),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdvertisedFile {
    #[serde(default)]
    prefixes: Vec<Text<Prefixes>>,
    #[serde(default)]
    dns: Vec<Text<Ipv6Addr>>,
}

impl Ipv6File {
    pub(super) fn is_on(&self) -> bool {
        !matches!(self, Self::Negotiated(false))
    }

    pub(super) fn router(&self) -> RouterSettings {
        match self {
            Self::Negotiated(_) => RouterSettings::default(),
            Self::Advertised(file) => RouterSettings {
                prefixes: file.prefixes.iter().map(|Text(prefix)| *prefix).collect(),
                dns: file.dns.iter().map(|Text(server)| *server).collect(),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Ipv6File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Ipv6File;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or {prefixes: [2001:db8:77::/48], dns: [2001:db8::53]}")
            }
            fn visit_bool<E: Error>(self, on: bool) -> Result<Ipv6File, E> {
                Ok(Ipv6File::Negotiated(on))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Ipv6File, M::Error> {
                AdvertisedFile::deserialize(MapAccessDeserializer::new(map))
                    .map(Ipv6File::Advertised)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

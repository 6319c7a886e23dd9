//! The Identification payload: RFC 2407 4.6.2.
//!
//! ```text
//!  |   ID Type     |  Protocol ID  |             Port              |
//!  |                     Identification Data                       |
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ike_pki::DistinguishedName;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::WireError;
use crate::iana::IdType;

use super::Reader;

/// Longest identity anybody honest sends.
const MAX_DATA: usize = 1024;

/// Body of an ID payload: an identity, and for phase 2 the traffic it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPayload {
    /// Who, or which addresses.
    pub identity: Identification,
    /// IP protocol, 0 for any.
    pub protocol: u8,
    /// Port, 0 for any.
    pub port: u16,
}

/// An identity: a type and octets whose meaning the type gives. Unknown types survive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identification {
    /// Type.
    pub kind: IdType,
    /// Data, of the length the type asks for where it asks for one.
    pub data: Vec<u8>,
}

impl IdPayload {
    /// Parses the body of an ID payload.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let kind = IdType(reader.u8()?);
        let protocol = reader.u8()?;
        let port = reader.u16()?;
        let identity = Identification {
            kind,
            data: reader.rest().to_vec(),
        };
        identity.check()?;
        Ok(Self {
            identity,
            protocol,
            port,
        })
    }

    /// Appends the body.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.identity.kind.0);
        out.push(self.protocol);
        out.extend_from_slice(&self.port.to_be_bytes());
        out.extend_from_slice(&self.identity.data);
    }

    /// The body on its own: IDii_b or IDir_b of RFC 2409.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.identity.data.len() + 4);
        self.emit(&mut out);
        out
    }
}

impl Identification {
    /// ID_IPV4_ADDR or ID_IPV6_ADDR (RFC 2407 4.6.2.1).
    pub fn from_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self {
                kind: IdType::IPV4_ADDR,
                data: v4.octets().to_vec(),
            },
            IpAddr::V6(v6) => Self {
                kind: IdType::IPV6_ADDR,
                data: v6.octets().to_vec(),
            },
        }
    }

    /// A network, as an address when it holds only one.
    pub fn from_network(network: IpNet) -> Self {
        if network.prefix_len() == network.max_prefix_len() {
            return Self::from_address(network.addr());
        }
        let (kind, mut data) = match network {
            IpNet::V4(net) => (IdType::IPV4_ADDR_SUBNET, net.network().octets().to_vec()),
            IpNet::V6(net) => (IdType::IPV6_ADDR_SUBNET, net.network().octets().to_vec()),
        };
        match network {
            IpNet::V4(net) => data.extend_from_slice(&net.netmask().octets()),
            IpNet::V6(net) => data.extend_from_slice(&net.netmask().octets()),
        }
        Self { kind, data }
    }

    /// A domain name.
    pub fn from_fqdn(name: &str) -> Self {
        Self {
            kind: IdType::FQDN,
            data: name.as_bytes().to_vec(),
        }
    }

    /// A mail-like name.
    pub fn from_user_fqdn(name: &str) -> Self {
        Self {
            kind: IdType::USER_FQDN,
            data: name.as_bytes().to_vec(),
        }
    }

    /// An X.500 name.
    pub fn from_name(name: &DistinguishedName) -> Self {
        Self {
            kind: IdType::DER_ASN1_DN,
            data: name.der().to_vec(),
        }
    }

    /// The X.500 name, when it is one.
    pub fn name(&self) -> Option<DistinguishedName> {
        (self.kind == IdType::DER_ASN1_DN)
            .then(|| DistinguishedName::from_der(&self.data))
            .flatten()
    }

    /// ID_KEY_ID (RFC 2407 4.6.2.1): octets that mean something to the peers only, such as a group's
    /// name.
    pub fn from_key_id(id: &[u8]) -> Self {
        Self {
            kind: IdType::KEY_ID,
            data: id.to_vec(),
        }
    }

    /// The address, when it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.kind {
            IdType::IPV4_ADDR => {
                Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.data.as_slice()).ok()?).into())
            }
            IdType::IPV6_ADDR => {
                Some(Ipv6Addr::from(<[u8; 16]>::try_from(self.data.as_slice()).ok()?).into())
            }
            _ => None,
        }
    }

    /// The address or network, when it is one. A mask with holes is none.
    pub fn network(&self) -> Option<IpNet> {
        if let Some(address) = self.address() {
            return Some(address.into());
        }
        match self.kind {
            IdType::IPV4_ADDR_SUBNET => {
                let octets: [u8; 8] = self.data.as_slice().try_into().ok()?;
                let [a, b, c, d, m, n, o, p] = octets;
                let mask = Ipv4Addr::new(m, n, o, p);
                IpNet::with_netmask(Ipv4Addr::new(a, b, c, d).into(), mask.into()).ok()
            }
            IdType::IPV6_ADDR_SUBNET => {
                let (address, mask) = self.data.split_at_checked(16)?;
                let address = Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?);
                let mask = Ipv6Addr::from(<[u8; 16]>::try_from(mask).ok()?);
                IpNet::with_netmask(address.into(), mask.into()).ok()
            }
            _ => None,
        }
    }

    /// Same identity. Names compare without regard to ASCII case, X.500 names by what they say.
    pub fn matches(&self, other: &Self) -> bool {
        self.kind == other.kind
            && match self.kind {
                IdType::FQDN | IdType::USER_FQDN => self.data.eq_ignore_ascii_case(&other.data),
                IdType::DER_ASN1_DN => match (self.name(), other.name()) {
                    (Some(own), Some(other)) => own == other,
                    _ => self.data == other.data,
                },
                _ => self.data == other.data,
            }
    }

    /// Lengths that the type fixes (RFC 2407 4.6.2.2 to .12).
    fn check(&self) -> Result<(), WireError> {
        let len = self.data.len();
        let fits = match self.kind {
            IdType::IPV4_ADDR => len == 4,
            IdType::IPV4_ADDR_SUBNET | IdType::IPV4_ADDR_RANGE => len == 8,
            IdType::IPV6_ADDR => len == 16,
            IdType::IPV6_ADDR_SUBNET | IdType::IPV6_ADDR_RANGE => len == 32,
            IdType::FQDN | IdType::USER_FQDN => (1..=MAX_DATA).contains(&len),
            _ => len <= MAX_DATA,
        };
        if fits { Ok(()) } else { Err(WireError::Length) }
    }
}

/// `192.0.2.1`, `192.0.2.0/24`, `fqdn:host.example`, `user:a@b.example`, `keyid:hex`,
/// `dn:C=CH, CN=x`, `id9:hex`.
/// Octets of the peer that are no printable ASCII never reach a log.
impl fmt::Display for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address() {
            return write!(f, "{address}");
        }
        if let Some(network) = self.network() {
            return write!(f, "{network}");
        }
        if let Some(name) = self.name().filter(|name| !name.is_empty()) {
            return write!(f, "dn:{name}");
        }
        let printable = self.data.iter().all(|octet| octet.is_ascii_graphic());
        match (self.kind, std::str::from_utf8(&self.data)) {
            (IdType::FQDN, Ok(text)) if printable => write!(f, "fqdn:{text}"),
            (IdType::USER_FQDN, Ok(text)) if printable => write!(f, "user:{text}"),
            (IdType::KEY_ID, _) => write!(f, "keyid:{}", super::hex(&self.data)),
            (kind, _) => write!(f, "id{}:{}", kind.0, super::hex(&self.data)),
        }
    }
}

/// Not something `Display` writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no identity: write an address, a subnet, `fqdn:host.example`, `user:name@host`, \
     `keyid:hex digits`, `dn:C=CH, CN=name`"
)]
pub struct ParseIdentificationError(pub String);

impl std::str::FromStr for Identification {
    type Err = ParseIdentificationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseIdentificationError(text.to_owned());
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::from_address(address));
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::from_network(network));
        }
        let (kind, value) = text.split_once(':').ok_or_else(error)?;
        let identity = match kind {
            "fqdn" => Self::from_fqdn(value),
            "user" => Self::from_user_fqdn(value),
            "dn" => Self::from_name(&DistinguishedName::from_text(value).ok_or_else(error)?),
            "keyid" => Self::from_key_id(&super::unhex(value).ok_or_else(error)?),
            _ => {
                let number = kind.strip_prefix("id").and_then(|n| n.parse().ok());
                Self {
                    kind: IdType(number.ok_or_else(error)?),
                    data: super::unhex(value).ok_or_else(error)?,
                }
            }
        };
        identity.check().map_err(|_| error())?;
        Ok(identity)
    }
}

impl Serialize for Identification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind {
            // Octet for octet: another kind of string would be another ID payload.
            IdType::DER_ASN1_DN => {
                serializer.collect_str(&format_args!("id9:{}", super::hex(&self.data)))
            }
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Identification {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

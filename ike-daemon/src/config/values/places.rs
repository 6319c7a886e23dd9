//! Addresses, networks, services, files.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ike_proto::policy::Service;
use ipnet::{IpNet, Ipv4Net};
use tanuki_daemon::range::{Range, RangeError};

/// What peers may ask to carry: `udp/1701`, `tcp/443`, a protocol number, or `any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct ServiceName(pub(in crate::config) Option<Service>);

impl FromStr for ServiceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self(None));
        }
        let refuse = || format!("`{text}` is no service; expected udp/1701, tcp/443 or any");
        let (protocol, port) = text.split_once('/').ok_or_else(refuse)?;
        let protocol = match protocol {
            "udp" => 17,
            "tcp" => 6,
            number => number.parse().ok().filter(|n| *n != 0).ok_or_else(refuse)?,
        };
        let port = port.parse().map_err(|_| refuse())?;
        Ok(Self(Some(Service { protocol, port })))
    }
}

/// Where a peer is: an address, with a port when it is not 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Endpoint(
    pub(in crate::config) IpAddr,
    pub(in crate::config) Option<u16>,
);

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address, None));
        }
        text.parse::<SocketAddr>()
            .map(|s| Self(s.ip(), Some(s.port())))
            .map_err(|_| {
                format!(
                    "`{text}` is no address; expected 192.0.2.7, 192.0.2.7:500 or [2001:db8::7]:500"
                )
            })
    }
}

/// A subnet; a bare address stands for itself alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Network(pub(in crate::config) IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map(|net| Self(net.trunc()))
            .map_err(|_| format!("`{text}` is no subnet; expected 10.1.0.0/16 or 2001:db8::/32"))
    }
}

/// One address of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Host(pub(in crate::config) IpAddr);

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is no address; expected 192.0.2.1, 0.0.0.0 (all of IPv4), ::, ...")
        })
    }
}

/// Addresses to give away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Addresses(pub(in crate::config) Range);

impl FromStr for Addresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error: RangeError| error.to_string())
    }
}

/// One IPv4 address, or mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Ipv4(pub(in crate::config) Ipv4Addr);

impl FromStr for Ipv4 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is no IPv4 address; expected such as 192.0.2.1"))
    }
}

/// An IPv4 subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Network4(pub(in crate::config) Ipv4Net);

impl FromStr for Network4 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(Network(IpNet::V4(net))) => Ok(Self(net)),
            _ => Err(format!(
                "`{text}` is no IPv4 subnet; expected such as 10.1.0.0/16"
            )),
        }
    }
}

/// The path of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct FileName(pub(in crate::config) PathBuf);

impl FromStr for FileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("empty; expected the path of a file".to_owned()),
            path => Ok(Self(path.into())),
        }
    }
}

/// The absolute path of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ScriptPath(pub(in crate::config) PathBuf);

impl FromStr for ScriptPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with('/') {
            true => Ok(Self(text.into())),
            false => Err(format!("`{text}` is no path from the root; expected /...")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services() {
        assert_eq!(
            "udp/1701".parse(),
            Ok(ServiceName(Some(Service {
                protocol: 17,
                port: 1701
            })))
        );
        assert_eq!("any".parse(), Ok(ServiceName(None)));
        assert!("udp/70000".parse::<ServiceName>().is_err());
    }
}

//! Single values of the configuration: each refuses what it is not and says what it would take.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};
use ike_pki::NamePattern;
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::policy::{
    EspSuite, Fragmentation, Method, PeerPattern, SecretPeer, Service, Sha256Icv,
};
use ike_proto::wire::id::Identification;
use ipnet::{IpNet, Ipv4Net};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use tanuki_daemon::config::parsed;
use tanuki_daemon::range::{Range, RangeError};

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

/// Whom a secret is for: `any`, an address, a subnet, or an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer(pub(super) SecretPeer);

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "any" || text == "*" {
            return Ok(Self(SecretPeer::Any));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(SecretPeer::Address(address)));
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self(SecretPeer::Subnet(net.trunc())));
        }
        let Name(identity) = text.parse::<Name>().map_err(|_| {
            format!(
                "`{text}` is no peer; expected any, an address (192.0.2.7), a subnet \
                 (192.0.2.0/24), or an identity (vpn.example.org, me@example.org, group:staff, keyid:c0ffee)"
            )
        })?;
        Ok(Self(SecretPeer::Identity(identity)))
    }
}

/// An identity; a bare name is a domain name, one with an `@` a user's, and `group:` makes the key
/// id that clients send for a group name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) Identification);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._@+".contains(c);
        if text.starts_with("dn:") {
            return text.parse().map(Self).map_err(|_| refuse_name(text));
        }
        if text.is_empty() || text.contains('/') || !text.chars().all(|c| plain(c) || c == ':') {
            return Err(refuse_name(text));
        }
        if let Some(group) = text.strip_prefix("group:").filter(|name| !name.is_empty()) {
            return Ok(Self(Identification::from_key_id(group.as_bytes())));
        }
        if let Ok(identity) = text.parse::<Identification>() {
            return Ok(Self(identity));
        }
        if !text.chars().all(plain) || !text.contains(|c: char| c.is_ascii_alphabetic()) {
            return Err(refuse_name(text));
        }
        Ok(Self(match text.contains('@') {
            true => Identification::from_user_fqdn(text),
            false => Identification::from_fqdn(text),
        }))
    }
}

fn refuse_name(text: &str) -> String {
    format!(
        "`{text}` is no identity; expected an address, a name such as vpn.example.org or \
         me@example.org, group: and a name, keyid: and hex digits, or dn:C=CH, CN=name"
    )
}

/// A phase 1 cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CipherName(pub(super) Cipher);

impl FromStr for CipherName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "cipher", Cipher::ALL, Cipher::name).map(Self)
    }
}

/// A phase 1 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HashName(pub(super) Hash);

impl FromStr for HashName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "hash", Hash::ALL, Hash::name).map(Self)
    }
}

/// A Diffie-Hellman group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupName(pub(super) Group);

impl FromStr for GroupName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "Diffie-Hellman group", Group::ALL, Group::name).map(Self)
    }
}

fn by_name<T: Copy, const N: usize>(
    text: &str,
    what: &str,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    all.into_iter()
        .find(|value| name(*value) == text)
        .ok_or_else(|| {
            format!(
                "unknown {what} `{text}`; expected {}",
                all.map(name).join(", ")
            )
        })
}

/// An ESP suite: `aes256-gcm`, `aes128-sha256`, `3des-sha1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suite(pub(super) EspSuite);

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "unknown ESP suite `{text}`; expected aes128, aes192, aes256 or 3des, a dash, and \
                 sha1, sha256, sha384 or sha512 (with AES also gcm), such as aes256-gcm"
            )
        };
        let (cipher, auth) = text.split_once('-').ok_or_else(refuse)?;
        let key_bits = match cipher {
            "aes128" => 128,
            "aes192" => 192,
            "aes256" => 256,
            "3des" => 0,
            _ => return Err(refuse()),
        };
        let auth = match auth {
            "gcm" if key_bits > 0 => EspAuth::NONE,
            "sha1" => EspAuth::HMAC_SHA1,
            "sha256" => EspAuth::HMAC_SHA2_256,
            "sha384" => EspAuth::HMAC_SHA2_384,
            "sha512" => EspAuth::HMAC_SHA2_512,
            _ => return Err(refuse()),
        };
        let cipher = match (key_bits, auth) {
            (0, _) => EspTransform::TRIPLE_DES,
            (_, EspAuth::NONE) => EspTransform::AES_GCM_16,
            _ => EspTransform::AES_CBC,
        };
        Ok(Self(EspSuite {
            cipher,
            key_bits,
            auth,
        }))
    }
}

/// What peers may ask to carry: `udp/1701`, `tcp/443`, a protocol number, or `any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServiceName(pub(super) Option<Service>);

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
pub(super) struct Endpoint(pub(super) IpAddr, pub(super) Option<u16>);

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
pub(super) struct Network(pub(super) IpNet);

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
pub(super) struct Host(pub(super) IpAddr);

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is no address; expected 192.0.2.1, 0.0.0.0 (all of IPv4), ::, ...")
        })
    }
}

/// `transport` or `tunnel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModeName(pub(super) ike_proto::io::Mode);

impl FromStr for ModeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "transport" => Ok(Self(ike_proto::io::Mode::Transport)),
            "tunnel" => Ok(Self(ike_proto::io::Mode::Tunnel)),
            _ => Err(format!(
                "unknown mode `{text}`; expected transport or tunnel"
            )),
        }
    }
}

/// `on`, `off` or `force`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FragmentationName(pub(super) Fragmentation);

impl FromStr for FragmentationName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            // Older YAML takes these words for truth values, and so may what writes the file.
            "on" | "true" => Ok(Self(Fragmentation::On)),
            "off" | "false" => Ok(Self(Fragmentation::Off)),
            "force" => Ok(Self(Fragmentation::Force)),
            _ => Err(format!(
                "unknown fragmentation `{text}`; expected on, off or force"
            )),
        }
    }
}

/// `true`, `false` or `auto`: whether HMAC-SHA-256 in ESP has an ICV of 96 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sha2(pub(super) Sha256Icv);

impl FromStr for Sha2 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "false" => Ok(Self(Sha256Icv::Full)),
            "true" => Ok(Self(Sha256Icv::Short)),
            "auto" => Ok(Self(Sha256Icv::Detect)),
            _ => Err(format!("`{text}`; expected true, false or auto")),
        }
    }
}

/// Addresses to give away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses(pub(super) Range);

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
pub(super) struct Ipv4(pub(super) Ipv4Addr);

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
pub(super) struct Network4(pub(super) Ipv4Net);

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

/// An authentication method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MethodName(pub(super) Method);

impl FromStr for MethodName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "method", Method::ALL, Method::name).map(Self)
    }
}

/// The path of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName(pub(super) PathBuf);

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
pub(super) struct ScriptPath(pub(super) PathBuf);

impl FromStr for ScriptPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with('/') {
            true => Ok(Self(text.into())),
            false => Err(format!("`{text}` is no path from the root; expected /...")),
        }
    }
}

/// Whom a certificate may be for: an identity, or `dn:` and a name in which `*` stands for any
/// value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PeerName {
    pub(super) pattern: PeerPattern,
    pub(super) text: String,
}

impl FromStr for PeerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = match text.strip_prefix("dn:") {
            Some(name) => {
                let pattern = NamePattern::from_text(name).ok_or_else(|| {
                    format!("`{name}` is no X.500 name; expected such as C=CH, O=example, CN=*")
                })?;
                PeerPattern::Name(pattern)
            }
            None => PeerPattern::Identity(text.parse::<Name>()?.0),
        };
        let text = text.to_owned();
        Ok(Self { pattern, text })
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

    #[test]
    fn peers() {
        let peer = |text: &str| text.parse::<Peer>().map(|p| p.0);
        assert_eq!(peer("any"), Ok(SecretPeer::Any));
        assert_eq!(
            peer("192.0.2.7"),
            Ok(SecretPeer::Address([192, 0, 2, 7].into()))
        );
        assert_eq!(
            peer("192.0.2.7/24"),
            Ok(SecretPeer::Subnet("192.0.2.0/24".parse().unwrap()))
        );
        assert_eq!(
            peer("vpn.example.org"),
            Ok(SecretPeer::Identity(Identification::from_fqdn(
                "vpn.example.org"
            )))
        );
        assert_eq!(
            peer("me@example.org"),
            Ok(SecretPeer::Identity(Identification::from_user_fqdn(
                "me@example.org"
            )))
        );
        assert_eq!(
            peer("keyid:c0ffee"),
            Ok(SecretPeer::Identity(Identification::from_key_id(&[
                0xc0, 0xff, 0xee
            ])))
        );
        for bad in ["", "300.1.1.1", "192.0.2.0/33", "keyid:xy", "a b", "10.1"] {
            assert!(peer(bad).is_err(), "{bad}: {:?}", peer(bad));
        }
    }

    #[test]
    fn suites_and_services() {
        let Suite(gcm) = "aes256-gcm".parse().unwrap();
        assert_eq!(
            (gcm.cipher, gcm.key_bits, gcm.auth),
            (EspTransform::AES_GCM_16, 256, EspAuth::NONE)
        );
        let Suite(old) = "3des-sha1".parse().unwrap();
        assert_eq!((old.cipher, old.key_bits), (EspTransform::TRIPLE_DES, 0));
        assert!("3des-gcm".parse::<Suite>().is_err());
        assert!("aes256".parse::<Suite>().is_err());
        assert_eq!(
            "udp/1701".parse(),
            Ok(ServiceName(Some(Service {
                protocol: 17,
                port: 1701
            })))
        );
        assert_eq!("any".parse(), Ok(ServiceName(None)));
        assert!("udp/70000".parse::<ServiceName>().is_err());
        let error = "modp1".parse::<GroupName>().unwrap_err();
        assert!(
            error.contains("expected modp1024, modp1536, modp2048"),
            "{error}"
        );
    }
}

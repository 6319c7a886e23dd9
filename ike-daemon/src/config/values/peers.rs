//! Who somebody is: peers with keys, identities, names in certificates.

use std::net::IpAddr;
use std::str::FromStr;

use ike_pki::NamePattern;
use ike_proto::policy::{PeerPattern, SecretPeer};
use ike_proto::wire::id::Identification;
use ipnet::IpNet;

/// Whom a secret is for: `any`, an address, a subnet, or an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Peer(pub(in crate::config) SecretPeer);

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
pub(in crate::config) struct Name(pub(in crate::config) Identification);

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

/// Whom a certificate may be for: an identity, or `dn:` and a name in which `*` stands for any
/// value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct PeerName {
    pub(in crate::config) pattern: PeerPattern,
    pub(in crate::config) text: String,
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

#[cfg(test)]
mod tests {
    use super::*;

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
}

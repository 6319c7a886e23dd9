//! Values as ike-daemon.yaml(5) takes them.

use std::path::Path;
use std::time::Duration;

use ike_crypto::Secret;
use ike_proto::iana::{EspAuth, EspTransform, IdType};
use ike_proto::policy::{EspSuite, SecretPeer, Service};
use ike_proto::wire::id::Identification;
use tanuki_daemon::yaml::quoted;

pub(super) fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

pub(super) fn period(value: Duration) -> String {
    match (value.as_secs(), value.subsec_millis()) {
        (seconds, 0) if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        (_, _) => format!("{}ms", value.as_millis()),
    }
}

pub(super) fn peer(peer: &SecretPeer) -> String {
    match peer {
        SecretPeer::Any => "any".to_owned(),
        SecretPeer::Address(address) => address.to_string(),
        SecretPeer::Subnet(network) => network.to_string(),
        SecretPeer::Identity(identity) => identity_name(identity),
    }
}

/// An identity as the file takes it: one with unusual characters by its number and in hex.
pub fn identity_name(identity: &Identification) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._@+".contains(octet);
    match identity.kind {
        IdType::FQDN | IdType::USER_FQDN if !identity.data.iter().all(plain) => {
            format!("id{}:{}", identity.kind.0, hex(&identity.data))
        }
        _ => identity.to_string(),
    }
}

pub(super) fn secret(secret: &Secret) -> String {
    match std::str::from_utf8(secret.expose()) {
        Ok(text) => format!("psk: {}", quoted(text)),
        Err(_) => format!("psk_hex: \"{}\"", hex(secret.expose())),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// An ESP suite as `phase2.suites` takes it.
pub fn suite(suite: &EspSuite) -> String {
    let cipher = match suite.cipher {
        EspTransform::TRIPLE_DES => "3des".to_owned(),
        _ => format!("aes{}", suite.key_bits),
    };
    let auth = match suite.auth {
        EspAuth::NONE => "gcm",
        EspAuth::HMAC_SHA2_256 => "sha256",
        EspAuth::HMAC_SHA2_384 => "sha384",
        EspAuth::HMAC_SHA2_512 => "sha512",
        _ => "sha1",
    };
    format!("{cipher}-{auth}")
}

pub(super) fn service(service: &Service) -> String {
    match service.protocol {
        17 => format!("udp/{}", service.port),
        6 => format!("tcp/{}", service.port),
        number => format!("{number}/{}", service.port),
    }
}

//! Algorithms and other words of IKE.

use std::str::FromStr;

use ike_crypto::{Cipher, Group, Hash};
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::policy::{EspSuite, Fragmentation, Method, Sha256Icv};

/// A phase 1 cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct CipherName(pub(in crate::config) Cipher);

impl FromStr for CipherName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "cipher", Cipher::ALL, Cipher::name).map(Self)
    }
}

/// A phase 1 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct HashName(pub(in crate::config) Hash);

impl FromStr for HashName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "hash", Hash::ALL, Hash::name).map(Self)
    }
}

/// A Diffie-Hellman group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct GroupName(pub(in crate::config) Group);

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
pub(in crate::config) struct Suite(pub(in crate::config) EspSuite);

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

/// `transport` or `tunnel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct ModeName(pub(in crate::config) ike_proto::io::Mode);

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
pub(in crate::config) struct FragmentationName(pub(in crate::config) Fragmentation);

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
pub(in crate::config) struct Sha2(pub(in crate::config) Sha256Icv);

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

/// An authentication method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct MethodName(pub(in crate::config) Method);

impl FromStr for MethodName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "method", Method::ALL, Method::name).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_and_groups() {
        let Suite(gcm) = "aes256-gcm".parse().unwrap();
        assert_eq!(
            (gcm.cipher, gcm.key_bits, gcm.auth),
            (EspTransform::AES_GCM_16, 256, EspAuth::NONE)
        );
        let Suite(old) = "3des-sha1".parse().unwrap();
        assert_eq!((old.cipher, old.key_bits), (EspTransform::TRIPLE_DES, 0));
        assert!("3des-gcm".parse::<Suite>().is_err());
        assert!("aes256".parse::<Suite>().is_err());
        let error = "modp1".parse::<GroupName>().unwrap_err();
        assert!(
            error.contains("expected modp1024, modp1536, modp2048"),
            "{error}"
        );
    }
}

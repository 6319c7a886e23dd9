//! `secrets`: pre-shared keys, and how good they are.

use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ike_crypto::Secret;
use ike_proto::Policy;
use ike_proto::policy::{SecretEntry, SecretPeer};
use zeroize::Zeroizing;

use super::Check;
use crate::config::yaml::SecretSection;

/// The largest file with a key, in octets.
const MAX_PSK_FILE: u64 = 4096;
/// Shorter keys are warned about: RFC 2409 keys can be guessed offline by whoever plays the server.
const STRONG_PSK: usize = 20;

impl Check<'_> {
    pub(super) fn secrets(&mut self, sections: &[SecretSection]) -> Vec<SecretEntry> {
        let mut entries: Vec<SecretEntry> = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            let path = format!("secrets.{index}");
            let Some(secret) = self.secret(&path, section) else {
                continue;
            };
            let peers: Vec<SecretPeer> = match &section.peers {
                None => vec![SecretPeer::Any],
                Some(list) => list.0.iter().map(|peer| peer.0.clone()).collect(),
            };
            if peers.is_empty() {
                self.problem(&format!("{path}.peers"), "empty; expected a peer, or any");
            }
            for peer in peers {
                if entries.iter().any(|entry| entry.peer == peer) {
                    let path = if section.peers.is_some() {
                        format!("{path}.peers")
                    } else {
                        path.clone()
                    };
                    self.problem(
                        &path,
                        "a secret for the same peer stands above; only one is used",
                    );
                    break;
                }
                entries.push(SecretEntry {
                    peer,
                    secret: secret.clone(),
                });
            }
        }
        entries
    }

    fn secret(&mut self, path: &str, section: &SecretSection) -> Option<Secret> {
        let (octets, place) = match (&section.psk, &section.psk_hex, &section.psk_file) {
            (Some(psk), None, None) => (
                Zeroizing::new(psk.as_bytes().to_vec()),
                format!("{path}.psk"),
            ),
            (None, Some(digits), None) => {
                let place = format!("{path}.psk_hex");
                let Some(octets) = unhex(digits) else {
                    self.problem(&place, "expected hex digits, two for every octet");
                    return None;
                };
                (octets, place)
            }
            (None, None, Some(file)) => {
                let place = format!("{path}.psk_file");
                (self.psk_file(&place, file)?, place)
            }
            (None, None, None) => {
                self.problem(path, "no key; expected psk: \"...\" or psk_file: /path");
                return None;
            }
            _ => {
                self.problem(
                    path,
                    "more than one of psk, psk_hex and psk_file; expected one of them",
                );
                return None;
            }
        };
        if octets.is_empty() {
            self.problem(&place, "empty; expected a long random text");
            return None;
        }
        if let Some(weakness) = weakness(&octets) {
            self.warn(
                &place,
                format_args!(
                    "weak pre-shared key ({weakness}): whoever answers a client in our place once \
                     can guess it offline; take 20 random characters or more"
                ),
            );
        }
        Some(Secret::from(octets))
    }

    fn psk_file(&mut self, place: &str, file: &Path) -> Option<Zeroizing<Vec<u8>>> {
        let mut octets = Zeroizing::new(Vec::new());
        let outcome = fs::File::open(file).and_then(|opened| {
            let mode = opened.metadata()?.permissions().mode();
            opened.take(MAX_PSK_FILE + 1).read_to_end(&mut octets)?;
            Ok(mode)
        });
        match outcome {
            Err(error) => {
                self.problem(place, format_args!("{}: {error}", file.display()));
                return None;
            }
            Ok(_) if octets.len() as u64 > MAX_PSK_FILE => {
                self.problem(
                    place,
                    format_args!("{}: longer than 4096 octets", file.display()),
                );
                return None;
            }
            Ok(mode) if mode & 0o077 != 0 => self.warn(
                place,
                format_args!("{} can be read by others; chmod 600", file.display()),
            ),
            Ok(_) => {}
        }
        while octets
            .last()
            .is_some_and(|octet| matches!(octet, b'\n' | b'\r'))
        {
            octets.pop();
        }
        Some(octets)
    }
}

/// Whether there is a secret for a peer.
pub(in crate::config) fn has_secret(
    policy: &Policy,
    peer: IpAddr,
    identity: Option<&ike_proto::wire::id::Identification>,
) -> bool {
    policy.secrets.iter().any(|entry| match &entry.peer {
        SecretPeer::Any => true,
        SecretPeer::Address(address) => *address == peer,
        SecretPeer::Subnet(net) => net.contains(&peer),
        SecretPeer::Identity(own) => match identity {
            Some(identity) => own.matches(identity),
            None => own.address() == Some(peer),
        },
    })
}

fn unhex(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    let pairs = digits.as_bytes().chunks(2);
    let mut octets = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for pair in pairs {
        let [high, low] = *pair else { return None };
        let value = |digit: u8| char::from(digit).to_digit(16);
        octets.push(u8::try_from(value(high)? * 16 + value(low)?).ok()?);
    }
    Some(octets)
}

/// Why a key is easily guessed, if it is.
pub(in crate::config) fn weakness(key: &[u8]) -> Option<String> {
    let mut seen = [false; 256];
    for octet in key {
        if let Some(place) = seen.get_mut(usize::from(*octet)) {
            *place = true;
        }
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    if key.len() < STRONG_PSK {
        Some(format!("{} characters", key.len()))
    } else if distinct < 8 {
        Some(format!("only {distinct} different characters"))
    } else {
        None
    }
}

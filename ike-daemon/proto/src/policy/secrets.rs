//! Pre-shared keys, and which of them are tried on whom.

use std::net::IpAddr;

use ike_crypto::Secret;
use ipnet::IpNet;

use crate::wire::id::Identification;

use super::Policy;

/// A pre-shared key and whom it is for.
#[derive(Clone, Debug)]
pub struct SecretEntry {
    /// Whom.
    pub peer: SecretPeer,
    /// The key.
    pub secret: Secret,
}

/// Whom a pre-shared key is for, most specific first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPeer {
    /// This address.
    Address(IpAddr),
    /// Peers that authenticate as this identity. In Main Mode the identity comes encrypted under
    /// the key itself, so these keys are tried when the one for the address does not fit.
    Identity(Identification),
    /// A subnet; the longest prefix wins.
    Subnet(IpNet),
    /// Everybody else.
    Any,
}

impl Policy {
    /// The secret of a peer that names itself in the clear: only one for exactly that identity.
    /// Those for subnets and for everybody must not be shown to whoever asks.
    pub(crate) fn secret_of(&self, identity: &Identification) -> Option<&Secret> {
        let exact = |entry: &&SecretEntry| match &entry.peer {
            SecretPeer::Identity(own) => own.matches(identity),
            SecretPeer::Address(own) => identity.address() == Some(*own),
            SecretPeer::Subnet(_) | SecretPeer::Any => false,
        };
        self.secrets.iter().find(exact).map(|entry| &entry.secret)
    }

    /// Secrets to try for a peer at `address`, best first: its address, `identity` if already
    /// known, its longest subnet, any; then, while the identity is unknown, those by identity.
    pub(crate) fn secrets_for(
        &self,
        address: IpAddr,
        identity: Option<&Identification>,
    ) -> Vec<&SecretEntry> {
        let mut found: Vec<(u32, &SecretEntry)> = Vec::new();
        for entry in &self.secrets {
            let rank = match &entry.peer {
                SecretPeer::Address(own) if *own == address => 0,
                SecretPeer::Identity(own) => match identity {
                    Some(known) if own.matches(known) => 1,
                    Some(_) => continue,
                    None if own.address() == Some(address) => 1,
                    None => 1000,
                },
                SecretPeer::Subnet(net) if net.contains(&address) => {
                    2 + (128 - u32::from(net.prefix_len()))
                }
                SecretPeer::Any => 900,
                SecretPeer::Address(_) | SecretPeer::Subnet(_) => continue,
            };
            found.push((rank, entry));
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.truncate(SECRET_CANDIDATES);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// How many secrets are tried on one MM5.
const SECRET_CANDIDATES: usize = 64;

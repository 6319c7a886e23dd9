//! What is different for some peers.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::wire::id::Identification;

use super::{
    Authentication, DpdPolicy, Fragmentation, ModeConfig, NatPolicy, Phase1Policy, Phase2Policy,
    Policy,
};

/// Rules for peers at some addresses, in place of the general ones of [`Policy`].
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its name, for messages.
    pub name: String,
    /// Where these peers are. The longest prefix that holds a peer wins.
    pub networks: Vec<IpNet>,
    /// Who we say we are to them.
    pub local_identity: Option<Identification>,
    /// Methods, certificates, authorities.
    pub authentication: Authentication,
    /// Phase 1 algorithms and lifetimes.
    pub phase1: Phase1Policy,
    /// Phase 2 algorithms, modes and lifetimes.
    pub phase2: Phase2Policy,
    /// Addresses and users for clients in tunnel mode.
    pub mode_config: Option<Arc<ModeConfig>>,
    /// Accept Aggressive Mode.
    pub aggressive: bool,
    /// NAT traversal; the ports are those of the general rules.
    pub nat: NatPolicy,
    /// Dead peer detection.
    pub dpd: DpdPolicy,
    /// Whether IKE messages are fragmented.
    pub fragmentation: Fragmentation,
}

/// The rules for one peer.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Who we say we are; our address, or our certificate's name, by default.
    pub local_identity: Option<&'a Identification>,
    /// Methods, certificates, authorities.
    pub authentication: &'a Authentication,
    /// Phase 1.
    pub phase1: &'a Phase1Policy,
    /// Phase 2.
    pub phase2: &'a Phase2Policy,
    /// Addresses and users for clients in tunnel mode.
    pub mode_config: Option<&'a Arc<ModeConfig>>,
    /// Accept Aggressive Mode.
    pub aggressive: bool,
    /// NAT traversal.
    pub nat: &'a NatPolicy,
    /// Dead peer detection.
    pub dpd: &'a DpdPolicy,
    /// Whether IKE messages are fragmented.
    pub fragmentation: Fragmentation,
}

impl Policy {
    /// Rules for peers at some addresses that are the general ones as yet.
    pub fn remote(&self, name: &str, networks: Vec<IpNet>) -> Remote {
        Remote {
            name: name.to_owned(),
            networks,
            local_identity: None,
            authentication: self.authentication.clone(),
            phase1: self.phase1.clone(),
            phase2: self.phase2.clone(),
            mode_config: self.mode_config.clone(),
            aggressive: self.aggressive,
            nat: self.nat.clone(),
            dpd: self.dpd.clone(),
            fragmentation: self.fragmentation.mode,
        }
    }

    /// The rules for a peer at `address`.
    pub fn terms(&self, address: IpAddr) -> Terms<'_> {
        let prefix = |remote: &Remote| {
            remote
                .networks
                .iter()
                .filter(|net| net.contains(&address))
                .map(IpNet::prefix_len)
                .max()
        };
        let remote = self
            .remotes
            .iter()
            .filter_map(|remote| Some((prefix(remote)?, remote)))
            .max_by_key(|(prefix, _)| *prefix)
            .map(|(_, remote)| remote);
        match remote {
            Some(remote) => Terms {
                local_identity: remote
                    .local_identity
                    .as_ref()
                    .or(self.local_identity.as_ref()),
                authentication: &remote.authentication,
                phase1: &remote.phase1,
                phase2: &remote.phase2,
                mode_config: remote.mode_config.as_ref(),
                aggressive: remote.aggressive,
                nat: &remote.nat,
                dpd: &remote.dpd,
                fragmentation: remote.fragmentation,
            },
            None => Terms {
                local_identity: self.local_identity.as_ref(),
                authentication: &self.authentication,
                phase1: &self.phase1,
                phase2: &self.phase2,
                mode_config: self.mode_config.as_ref(),
                aggressive: self.aggressive,
                nat: &self.nat,
                dpd: &self.dpd,
                fragmentation: self.fragmentation.mode,
            },
        }
    }
}

//! What the endpoint is allowed to do: one validated value, replaceable at run time.
//!
//! * [`authentication`], [`secrets`]: how both sides prove who they are
//! * [`phase1`], [`phase2`]: algorithms, modes, lifetimes
//! * [`remote`]: peers with rules of their own; [`connection`]: peers we begin with
//! * [`mode_config`]: addresses and users
//! * [`exchange`]: NAT traversal, fragmentation, dead peer detection, retransmission, limits

mod authentication;
mod connection;
mod exchange;
mod mode_config;
mod phase1;
mod phase2;
mod remote;
mod secrets;

use std::fmt;
use std::sync::Arc;

use crate::wire::id::Identification;

pub(crate) use authentication::Proof;
pub use authentication::{Authentication, Method, OwnCertificate, PeerPattern};
pub use connection::{Connection, Login};
pub use exchange::{
    DpdPolicy, Fragmentation, FragmentationPolicy, Limits, NatPolicy, RetransmitPolicy,
};
pub use mode_config::{AddressRange, ModeConfig, XauthUser};
pub use phase1::Phase1Policy;
pub use phase2::{EspSuite, Phase2Policy, Service, Sha256Icv};
pub use remote::{Remote, Terms};
pub use secrets::{SecretEntry, SecretPeer};

/// Everything configurable. `Default` is a server that admits L2TP clients with today's algorithms
/// and has no secret yet.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Pre-shared keys; the most specific one that fits is used.
    pub secrets: Vec<SecretEntry>,
    /// Who we say we are; our address by default.
    pub local_identity: Option<Identification>,
    /// Accept exchanges started by peers.
    pub respond: bool,
    /// Accept Aggressive Mode from peers whose identity has a secret of its own. Whoever listens,
    /// or just asks, can then guess at that secret at leisure; see [`Policy::notes`].
    pub aggressive: bool,
    /// How peers and we prove who we are.
    pub authentication: Authentication,
    /// Phase 1 algorithms and lifetimes.
    pub phase1: Phase1Policy,
    /// Phase 2 algorithms, modes and lifetimes.
    pub phase2: Phase2Policy,
    /// Addresses and users for clients in tunnel mode that ask for them.
    pub mode_config: Option<Arc<ModeConfig>>,
    /// Peers with rules of their own.
    pub remotes: Vec<Remote>,
    /// NAT traversal.
    pub nat: NatPolicy,
    /// IKE fragmentation.
    pub fragmentation: FragmentationPolicy,
    /// Dead peer detection.
    pub dpd: DpdPolicy,
    /// Retransmission.
    pub retransmit: RetransmitPolicy,
    /// Bounds on what peers can make us keep.
    pub limits: Limits,
    /// Peers we can initiate to.
    pub connections: Vec<Connection>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            local_identity: None,
            respond: true,
            aggressive: false,
            authentication: Authentication::default(),
            phase1: Phase1Policy::default(),
            phase2: Phase2Policy::default(),
            mode_config: None,
            remotes: Vec::new(),
            nat: NatPolicy::default(),
            fragmentation: FragmentationPolicy::default(),
            dpd: DpdPolicy::default(),
            retransmit: RetransmitPolicy::default(),
            limits: Limits::default(),
            connections: Vec::new(),
        }
    }
}

/// Something in a policy that an operator should be told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyNote {
    /// Aggressive Mode is accepted.
    Aggressive,
    /// It is, but no secret is for an identity, so nobody can use it.
    AggressiveWithoutSecrets,
}

impl fmt::Display for PolicyNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PolicyNote::Aggressive => {
                "aggressive mode shows identities in the clear and lets anybody who knows a group's \
                 name guess at its pre-shared key offline: use long random keys for groups"
            }
            PolicyNote::AggressiveWithoutSecrets => {
                "aggressive mode is on, but no pre-shared key is for an identity: nobody can use it"
            }
        })
    }
}

impl Policy {
    /// What to warn about, once per policy.
    pub fn notes(&self) -> Vec<PolicyNote> {
        let for_identity = |entry: &SecretEntry| {
            matches!(entry.peer, SecretPeer::Identity(_) | SecretPeer::Address(_))
        };
        let mut notes = Vec::new();
        let mut remotes = self.remotes.iter();
        if self.aggressive || remotes.any(|remote| remote.aggressive) {
            notes.push(PolicyNote::Aggressive);
            if !self.secrets.iter().any(for_identity) {
                notes.push(PolicyNote::AggressiveWithoutSecrets);
            }
        }
        notes
    }

    /// The connection of that name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections
            .iter()
            .find(|connection| connection.name == name)
    }
}

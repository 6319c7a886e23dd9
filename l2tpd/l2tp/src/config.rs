//! What the endpoint is told once: names, secrets, policies, limits.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::id::{FlowId, IdRange};

/// A tunnel secret (RFC 2661 sections 4.3 and 5.1.1). Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the octets of the secret.
    #[must_use]
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(octets.into()))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(self.expose(), other.expose()))
    }
}

impl Eq for Secret {}

/// One secret and the peers it is shared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelSecret {
    /// The Host Name the peer gives itself; `None` is the secret of everyone not named.
    pub peer_host_name: Option<String>,
    /// The secret.
    pub secret: Secret,
}

/// Whether we challenge peers (RFC 2661 section 5.1.1).
///
/// A peer's own challenge is answered whenever a secret is known, whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Never challenge.
    Off,
    /// Challenge a peer that challenged us: it knows how. Windows, macOS and iOS never do.
    #[default]
    Mutual,
    /// Challenge everyone; a peer without the secret does not get a tunnel.
    Required,
}

/// What happens to an established tunnel when a new SCCRQ comes over the very same flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameFlow {
    /// It stays until it proves dead; a HELLO is sent at once so that it does so soon. For kernels
    /// where two tunnels over one flow can coexist.
    #[default]
    Probe,
    /// It is dropped without a word to the peer before the new one is created. For kernels where
    /// one flow is one connected socket.
    Replace,
}

/// Bounds on what peers can make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tunnels in all, in any state.
    pub tunnels: usize,
    /// Tunnels of one source address, in any state.
    pub tunnels_per_source: usize,
    /// Tunnels in all whose SCCCN has not come.
    pub half_open: usize,
    /// Tunnels of one source address whose SCCCN has not come.
    pub half_open_per_source: usize,
    /// Sessions of one tunnel.
    pub sessions_per_tunnel: usize,
    /// Sessions in all.
    pub sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tunnels: 10_000,
            tunnels_per_source: 256,
            half_open: 1_000,
            half_open_per_source: 32,
            sessions_per_tunnel: 16,
            sessions: 20_000,
        }
    }
}

/// Everything the endpoint is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Our Host Name AVP, 1 to 255 octets.
    pub host_name: String,
    /// Our Vendor Name AVP, at most 255 octets; empty sends none.
    pub vendor_name: String,
    /// Tunnel secrets; empty means that no tunnel authentication is possible.
    pub secrets: Vec<TunnelSecret>,
    /// Whom we challenge.
    pub authentication: Authentication,
    /// Hide the AVPs that may be hidden (section 4.3) in what follows SCCRP, when the peer's secret
    /// is known. Hidden AVPs of the peer are understood in any case.
    pub hide_avps: bool,
    /// Silence after which a HELLO is sent; zero sends none.
    pub hello_interval: Duration,
    /// Time a tunnel or session may take to be established.
    pub setup_timeout: Duration,
    /// Time an established tunnel may stay without any session; zero keeps it for ever.
    pub idle_timeout: Duration,
    /// Time our last StopCCN is kept under retransmission before the tunnel's node goes.
    pub linger: Duration,
    /// Receive Window Size we advertise (what the kernel's node can hold), at least 1.
    pub receive_window: u16,
    /// Whether data packets we send carry the Length field.
    pub length_bit: bool,
    /// Whether we, as LAC, ask for sequence numbers on data; as LNS, whether we send them unasked.
    pub data_sequencing: bool,
    /// Where our tunnel and session numbers come from.
    pub ids: IdRange,
    /// What a new SCCRQ does to a tunnel over the same flow.
    pub same_flow: SameFlow,
    /// Bounds.
    pub limits: Limits,
    /// What is otherwise on particular flows. The one whose peers are described most closely counts,
    /// and of equals the first.
    pub exceptions: Vec<Exception>,
}

/// What is otherwise for tunnels between particular addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Our address; none: any.
    pub local: Option<IpAddr>,
    /// Our port; none: any.
    pub local_port: Option<u16>,
    /// The network of the peer: an address and how many of its bits count (more than it has: all);
    /// none: any.
    pub peer: Option<(IpAddr, u8)>,
    /// The peer's port; none: any.
    pub peer_port: Option<u16>,
    /// Our Host Name AVP, 1 to 255 octets.
    pub host_name: String,
    /// The tunnel secret of those peers.
    pub secret: Option<Secret>,
    /// See [`Config::authentication`].
    pub authentication: Authentication,
    /// See [`Config::hide_avps`].
    pub hide_avps: bool,
    /// See [`Config::length_bit`].
    pub length_bit: bool,
    /// See [`Config::data_sequencing`].
    pub data_sequencing: bool,
}

impl Exception {
    /// How closely its peers are described, if it is for `flow`.
    fn matches(&self, flow: &FlowId) -> Option<u8> {
        let closeness = match self.peer {
            None => 0,
            Some((network, width)) if same_network(network, flow.peer.ip(), width) => width,
            Some(_) => return None,
        };
        let fits = self.local.is_none_or(|local| local == flow.local.ip())
            && self.local_port.is_none_or(|port| port == flow.local.port())
            && self.peer_port.is_none_or(|port| port == flow.peer.port());
        fits.then_some(closeness)
    }
}

/// Whether the first `width` bits are equal.
fn same_network(one: IpAddr, other: IpAddr, width: u8) -> bool {
    let differ = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => u128::from(u32::from(one) ^ u32::from(other)) << 96,
        (IpAddr::V6(one), IpAddr::V6(other)) => u128::from(one) ^ u128::from(other),
        _ => return false,
    };
    // Of equal addresses all 128 bits are zero.
    differ.leading_zeros() >= u32::from(width.min(128))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_name: "tanuki".to_owned(),
            vendor_name: "tanuki".to_owned(),
            secrets: Vec::new(),
            authentication: Authentication::default(),
            hide_avps: false,
            hello_interval: Duration::from_secs(60),
            setup_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(120),
            linger: Duration::from_secs(11),
            receive_window: 8,
            length_bit: true,
            data_sequencing: false,
            ids: IdRange::default(),
            same_flow: SameFlow::default(),
            limits: Limits::default(),
            exceptions: Vec::new(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The host name is empty or too long.
    #[error("the L2TP host name must have 1 to 255 octets, not {0}")]
    HostName(usize),
    /// The vendor name is too long.
    #[error("the L2TP vendor name must have at most 255 octets, not {0}")]
    VendorName(usize),
    /// The receive window is zero.
    #[error("the L2TP receive window must be at least 1")]
    ReceiveWindow,
    /// The id range is empty or contains zero.
    #[error("the range of tunnel and session ids must lie in 1-65535 and hold at least two")]
    Ids,
    /// Authentication or hiding needs a secret.
    #[error("{0} needs a tunnel secret")]
    NoSecret(&'static str),
    /// A secret is empty.
    #[error("a tunnel secret must not be empty")]
    EmptySecret,
    /// The setup timeout is zero.
    #[error("the L2TP setup timeout must not be zero")]
    SetupTimeout,
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.host_name.is_empty() || self.host_name.len() > 255 {
            return Err(ConfigError::HostName(self.host_name.len()));
        }
        if self.vendor_name.len() > 255 {
            return Err(ConfigError::VendorName(self.vendor_name.len()));
        }
        if self.receive_window == 0 {
            return Err(ConfigError::ReceiveWindow);
        }
        if self.ids.first == 0 || self.ids.last <= self.ids.first {
            return Err(ConfigError::Ids);
        }
        if self
            .secrets
            .iter()
            .any(|entry| entry.secret.expose().is_empty())
        {
            return Err(ConfigError::EmptySecret);
        }
        if self.secrets.is_empty() {
            if self.authentication == Authentication::Required {
                return Err(ConfigError::NoSecret("requiring tunnel authentication"));
            }
            if self.hide_avps {
                return Err(ConfigError::NoSecret("hiding AVPs"));
            }
        }
        for each in &self.exceptions {
            if each.host_name.is_empty() || each.host_name.len() > 255 {
                return Err(ConfigError::HostName(each.host_name.len()));
            }
            match &each.secret {
                Some(secret) if secret.expose().is_empty() => return Err(ConfigError::EmptySecret),
                None if each.hide_avps && self.secrets.is_empty() => {
                    return Err(ConfigError::NoSecret("hiding AVPs"));
                }
                _ => {}
            }
        }
        if self.setup_timeout.is_zero() {
            return Err(ConfigError::SetupTimeout);
        }
        Ok(())
    }

    fn exception(&self, flow: &FlowId) -> Option<&Exception> {
        let fitting = self.exceptions.iter().rev();
        fitting
            .filter_map(|each| Some((each.matches(flow)?, each)))
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, each)| each)
    }

    /// Our Host Name AVP on `flow`.
    pub(crate) fn host_name_on(&self, flow: &FlowId) -> &str {
        self.exception(flow)
            .map_or(&self.host_name, |each| &each.host_name)
    }

    /// Whether the peer of `flow` is challenged.
    pub(crate) fn authentication_on(&self, flow: &FlowId) -> Authentication {
        self.exception(flow)
            .map_or(self.authentication, |each| each.authentication)
    }

    /// Whether AVPs are hidden on `flow`.
    pub(crate) fn hide_avps_on(&self, flow: &FlowId) -> bool {
        self.exception(flow)
            .map_or(self.hide_avps, |each| each.hide_avps)
    }

    /// Whether data we send on `flow` carries its length.
    pub(crate) fn length_bit_on(&self, flow: &FlowId) -> bool {
        self.exception(flow)
            .map_or(self.length_bit, |each| each.length_bit)
    }

    /// Whether data on `flow` carries sequence numbers.
    pub(crate) fn data_sequencing_on(&self, flow: &FlowId) -> bool {
        self.exception(flow)
            .map_or(self.data_sequencing, |each| each.data_sequencing)
    }

    /// The secret shared with the peer that calls itself `host_name`, over `flow`.
    pub(crate) fn secret_for(&self, flow: &FlowId, host_name: &[u8]) -> Option<&Secret> {
        if let Some(secret) = self.exception(flow).and_then(|each| each.secret.as_ref()) {
            return Some(secret);
        }
        let named = self.secrets.iter().find(|entry| {
            entry
                .peer_host_name
                .as_ref()
                .is_some_and(|name| name.as_bytes() == host_name)
        });
        named
            .or_else(|| {
                self.secrets
                    .iter()
                    .find(|entry| entry.peer_host_name.is_none())
            })
            .map(|entry| &entry.secret)
    }
}

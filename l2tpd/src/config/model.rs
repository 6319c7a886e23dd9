//! What the daemon wants to know, whichever file said it. Every value here is valid by itself and
//! together with the others.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tanuki_daemon::log::LogConfig;

use super::profile::{Bundle, LinkProfile, TunnelSettings};
use crate::console::Console;
use crate::pool::{Prefixes, Range};
use crate::secret::Secret;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the L2TP listener binds; port 1701 unless the file says otherwise.
    pub listen: Vec<SocketAddr>,
    /// Which kernel carries the packets.
    pub kernel: KernelChoice,
    /// The Host Name AVP (RFC 2661 section 4.4.3) where no link has another.
    pub host_name: String,
    /// Who may log in.
    pub users: UsersFile,
    /// Everything about L2TP.
    pub l2tp: L2tpSettings,
    /// How calls are served; the one whose peers are described most closely counts.
    pub links: Vec<Arc<LinkProfile>>,
    /// What the network of a session is, by name; links and connections name them.
    pub bundles: BTreeMap<String, Arc<Bundle>>,
    /// Addresses for users without one of their own, by name; bundles name them.
    pub pools: BTreeMap<String, Vec<Range>>,
    /// Upper bounds.
    pub limits: Limits,
    /// A program of the operator is killed after this long.
    pub hook_timeout: Duration,
    /// The log.
    pub log: LogConfig,
    /// Connections this host makes as a client, by name.
    pub connections: BTreeMap<String, Connection>,
    /// mpd5's console and web page.
    pub console: Console,
}

/// Where the users are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsersFile {
    /// Nowhere: nobody can log in.
    None,
    /// A YAML file, absolute.
    Yaml(PathBuf),
    /// An mpd.secret.
    MpdSecret(PathBuf),
}

impl UsersFile {
    /// Its path, when there is one.
    #[must_use]
    pub fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::None => None,
            Self::Yaml(path) | Self::MpdSecret(path) => Some(path),
        }
    }
}

/// Which kernel carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelChoice {
    /// The system's where it has netgraph, the soft kernel elsewhere.
    #[default]
    Auto,
    /// netgraph of the FreeBSD kernel.
    System,
    /// The `softkernel` process.
    Soft,
}

/// L2TP (RFC 2661).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L2tpSettings {
    /// Tunnel authentication (section 5.1.1) and hidden AVPs where no link has a secret of its own;
    /// none for ordinary clients.
    pub secret: Option<Secret>,
    /// Silence after which a HELLO asks whether the peer lives (section 5.5).
    pub hello: Duration,
    /// Whether data messages carry sequence numbers, where no link says otherwise.
    pub sequencing: bool,
    /// How long a tunnel without a session stays.
    pub idle: Duration,
}

/// Upper bounds on what peers can make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tunnels in all.
    pub tunnels: usize,
    /// Tunnels not yet established, in all.
    pub half_open: usize,
    /// Tunnels of one IP address.
    pub tunnels_per_source: usize,
    /// Sessions of one tunnel.
    pub sessions_per_tunnel: usize,
    /// Sessions in all.
    pub sessions: usize,
    /// Sessions of one user at a time; none: any number.
    pub sessions_per_user: Option<UserLimit>,
}

/// How many sessions one user may have, and what happens to one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserLimit {
    /// At least 1.
    pub sessions: usize,
    /// Whether the login of one more is refused; otherwise the oldest session ends for it.
    pub refuse: bool,
    /// Whether names that differ in case only are one user.
    pub ignore_case: bool,
}

/// A program and its first arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCommand {
    /// An absolute path.
    pub program: PathBuf,
    /// Arguments before the session's own.
    pub arguments: Vec<String>,
}

/// A connection we make as a client (LAC and PPP peer in one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The server's address and port.
    pub server: SocketAddr,
    /// Our address towards it; unspecified: the system chooses.
    pub local: SocketAddr,
    /// The name we give.
    pub user: String,
    /// What we know.
    pub password: Secret,
    /// The tunnel to the server.
    pub tunnel: TunnelSettings,
    /// What the network on it is.
    pub bundle: Arc<Bundle>,
    /// Whether to connect at start and again whenever it ends.
    pub automatic: bool,
    /// How often to try again in a row before giving up; none: for ever.
    pub attempts: Option<u32>,
    /// Before another try.
    pub retry: Duration,
    /// Largest packet sent.
    pub mtu: u16,
    /// Largest packet asked for.
    pub mru: u16,
    /// Calling Number AVP; empty: not sent.
    pub calling_number: String,
    /// Called Number AVP; empty: not sent.
    pub called_number: String,
}

impl Config {
    /// What the sessions of each bundle get their IPv6 prefixes from, by the bundle's name.
    #[must_use]
    pub fn prefixes(&self) -> BTreeMap<String, Vec<Prefixes>> {
        let bundles = self.bundles.iter();
        bundles
            .map(|(name, bundle)| (name.clone(), bundle.router.prefixes.clone()))
            .collect()
    }

    /// The addresses on our side that no client may get.
    pub fn own_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.listen
            .iter()
            .filter_map(|listen| match listen.ip() {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })
            .chain(self.bundles.values().map(|bundle| bundle.local_address))
    }
}

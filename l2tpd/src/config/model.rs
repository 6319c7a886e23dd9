//! What the daemon wants to know, whichever file said it. Every value here is valid by itself and
//! together with the others.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use ppp_proto::AuthMethod;
use serde::Deserialize;
use tanuki_daemon::log::LogConfig;

use crate::pool::Range;
use crate::secret::Secret;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the L2TP listener binds; port 1701 unless the file says otherwise.
    pub listen: Vec<SocketAddr>,
    /// Which kernel carries the packets.
    pub kernel: KernelChoice,
    /// The Host Name AVP (RFC 2661 section 4.4.3).
    pub host_name: String,
    /// The users file, absolute.
    pub users: PathBuf,
    /// Everything about L2TP.
    pub l2tp: L2tpSettings,
    /// Everything about PPP.
    pub ppp: PppSettings,
    /// Addresses for users without one of their own.
    pub pool: Vec<Range>,
    /// Upper bounds.
    pub limits: Limits,
    /// Programs of the operator.
    pub hooks: Hooks,
    /// The log.
    pub log: LogConfig,
    /// Connections this host makes as a client, by name.
    pub connections: BTreeMap<String, Connection>,
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
    /// Tunnel authentication (section 5.1.1) and hidden AVPs; none for ordinary clients.
    pub secret: Option<Secret>,
    /// Silence after which a HELLO asks whether the peer lives (section 5.5).
    pub hello: Duration,
    /// Whether data messages carry sequence numbers.
    pub sequencing: bool,
}

/// PPP for the clients we serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PppSettings {
    /// Methods offered, best first; never empty.
    pub authentication: Vec<AuthMethod>,
    /// Our end of every link.
    pub local_address: Ipv4Addr,
    /// Name servers (RFC 1877), at most two.
    pub dns: Vec<Ipv4Addr>,
    /// NetBIOS name servers, at most two.
    pub nbns: Vec<Ipv4Addr>,
    /// Largest packet we send into a link.
    pub mtu: u16,
    /// Largest packet we ask the peer to send.
    pub mru: u16,
    /// Whether IPV6CP is offered (RFC 5072).
    pub ipv6: bool,
    /// LCP Echo-Request (RFC 1661 section 5.8) after this much silence; none: never.
    pub echo_interval: Option<Duration>,
    /// Unanswered requests after which the link is dead.
    pub echo_failures: u8,
    /// From the session's beginning to the end of authentication.
    pub authentication_timeout: Duration,
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
    /// Sessions of one user at a time; none: any number.
    pub sessions_per_user: Option<usize>,
}

/// Programs run when a session comes up or goes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// After the interface is ready; another status than 0 ends the session.
    pub up: Option<HookCommand>,
    /// After the session has ended.
    pub down: Option<HookCommand>,
    /// A program is killed after this long.
    pub timeout: Duration,
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
    /// Tunnel secret, when the server has one.
    pub secret: Option<Secret>,
    /// Networks behind the server.
    pub routes: Vec<IpNet>,
    /// Whether to connect at start and again whenever it ends.
    pub automatic: bool,
    /// Before another try.
    pub retry: Duration,
    /// Largest packet sent and asked for.
    pub mtu: u16,
    /// Whether IPV6CP is offered.
    pub ipv6: bool,
}

impl Config {
    /// The addresses on our side that no client may get.
    pub fn own_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.listen
            .iter()
            .filter_map(|listen| match listen.ip() {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })
            .chain([self.ppp.local_address])
    }
}

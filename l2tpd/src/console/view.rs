//! What the console shows, as the server knows it at one moment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use l2tp_proto::Call;
use ppp_proto::View as LinkView;

use crate::config::{Bundle, Config, LinkProfile};
use crate::control::protocol::{Traffic, TunnelStatus};
use crate::server::SessionKey;

/// Everything there is.
#[derive(Debug)]
pub struct View<'a> {
    /// The configuration: its links and bundles are mpd5's templates.
    pub config: &'a Config,
    /// By their numbers.
    pub sessions: Vec<SessionView>,
    /// Names of connections without a session.
    pub idle_connections: Vec<String>,
    /// Every tunnel.
    pub tunnels: Vec<TunnelStatus>,
    /// Every pool: name, addresses in hands, addresses.
    pub pools: Vec<(String, u64, u64)>,
}

/// One session: a link and a bundle of mpd5.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// Which.
    pub key: SessionKey,
    /// The number in its names.
    pub number: u32,
    /// What its session ids begin with.
    pub id: u64,
    /// `RWL-3`, or the connection's name.
    pub link: String,
    /// `RW-3`; empty before the user is known.
    pub bundle: String,
    /// Whether the peer called.
    pub incoming: bool,
    /// What was negotiated by; none on a client.
    pub profile: Option<Arc<LinkProfile>>,
    /// What its network is.
    pub settings: Option<Arc<Bundle>>,
    /// Who; empty before that.
    pub user: String,
    /// Our end of the tunnel.
    pub local: SocketAddr,
    /// The peer's.
    pub peer: SocketAddr,
    /// The host name the peer gave.
    pub host_name: String,
    /// What was said about the call.
    pub call: Call,
    /// Whether the call is established.
    pub established: bool,
    /// The interface; empty before there is one.
    pub interface: String,
    /// Whether packets flow.
    pub up: bool,
    /// Our IPv4 address and the peer's.
    pub ipv4: Option<(IpAddr, IpAddr)>,
    /// Our IPv6 address and the peer's.
    pub ipv6: Option<(IpAddr, IpAddr)>,
    /// The interface's MTU.
    pub mtu: u16,
    /// The PPP link; none before the call is established.
    pub ppp: Option<LinkView>,
    /// Seconds since it began.
    pub age: u64,
    /// What went through when the counters were last read.
    pub traffic: Traffic,
    /// Why it is ending.
    pub reason: Option<String>,
}

impl SessionView {
    /// mpd5's id of the link's session.
    #[must_use]
    pub fn session_id(&self) -> String {
        format!("{}-{}", self.id, self.link)
    }

    /// mpd5's id of the bundle's session; empty before there is a bundle.
    #[must_use]
    pub fn msession_id(&self) -> String {
        if self.bundle.is_empty() {
            return String::new();
        }
        format!("{}-{}", self.id, self.bundle)
    }

    /// The peer's address inside.
    #[must_use]
    pub fn peer_address(&self) -> IpAddr {
        self.ipv4
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |(_, peer)| peer)
    }

    /// The LCP automaton's state.
    #[must_use]
    pub fn lcp_state(&self) -> &str {
        self.ppp.as_ref().map_or("Initial", |ppp| &ppp.lcp_state)
    }

    /// mpd5's state of the device.
    #[must_use]
    pub fn device_state(&self) -> &'static str {
        if self.established { "UP" } else { "CONNECTING" }
    }
}

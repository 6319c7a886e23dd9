//! One session: an L2TP call with a PPP link on it and an interface under it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use l2tp_proto::{KernelId, SessionSetup, SessionView};
use ppp_proto::{
    AuthMethod, CloseReason, Config as PppConfig, Credentials, Family, Ipv4Assignment, Ipv4Config,
    LcpOpened, Link, Network, Secret as PppSecret,
};

use super::discovery::Discovery;
use super::io::{Framing, SessionKey};
use crate::config::{Bundle, Connection, LinkProfile};
use crate::control::protocol::{SessionStatus, Traffic};

/// How often the counters of a session are read that ends when it is idle, and how exact that is.
const POLL: Duration = Duration::from_secs(10);
/// How often they are read when neither that nor an Echo-Request depends on it: they spare HELLOs.
const SELDOM: Duration = Duration::from_secs(55);
/// So long before an Echo-Request is due they are read when the one before was not answered: traffic
/// is as good.
const BEFORE_ECHO: Duration = Duration::from_secs(1);

/// What kind of end of the link we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    /// The client authenticates and gets an address.
    Server,
    /// We are the client, for the connection of that name.
    Client(String),
}

/// The network interface of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Interface {
    /// Not asked for yet.
    None,
    /// On its way.
    Creating,
    /// There.
    Ready(String),
}

/// Whether the operator's program knows of a network protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// `up` was started with this interface, and `down` is owed.
    Up(String, Network),
}

/// A session from `CreateSession` to `SessionDown`.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) serial: u64,
    /// People know it by this in the console; a restart does not change it.
    pub(super) id: u64,
    pub(super) side: Side,
    /// Tells it from others of the same link: the smallest that was free.
    pub(super) number: u32,
    /// What was negotiated by; none on a client.
    pub(super) profile: Option<Arc<LinkProfile>>,
    /// What its network is, as soon as the user is known.
    pub(super) bundle: Option<Arc<Bundle>>,
    pub(super) peer: SocketAddr,
    pub(super) setup: SessionSetup,
    pub(super) link: Option<Link>,
    pub(super) lcp: Option<LcpOpened>,
    pub(super) user: String,
    pub(super) method: Option<AuthMethod>,
    /// To be given back to the pool.
    pub(super) leased: Option<Ipv4Addr>,
    pub(super) assignment: Option<Ipv4Assignment>,
    /// The IPv6 prefix, to be given back.
    pub(super) prefix: Option<Ipv6Net>,
    /// Router solicitations of the peer come to us.
    pub(super) solicitations: bool,
    pub(super) discovery: Option<Discovery>,
    /// Solicitations and advertisements so far.
    pub(super) discovery_frames: u64,
    pub(super) ipv4: Option<Network>,
    pub(super) ipv6: Option<Network>,
    pub(super) interface: Interface,
    pub(super) told: [Told; 2],
    pub(super) started: Instant,
    pub(super) was_up: bool,
    /// When the counters were last asked for, or might first have been.
    pub(super) polled: Option<Instant>,
    /// When they last were known.
    pub(super) counted: Option<Instant>,
    /// Where the session stands in the server's timers.
    pub(super) due: Option<Instant>,
    pub(super) traffic: Traffic,
    /// When a packet of the user's was last seen.
    pub(super) last_packet: Instant,
    /// The most frames of the kernel's count that were no control frames.
    pub(super) packets: u64,
    pub(super) reading: bool,
    /// The first reason to end; later ones follow from it.
    pub(super) reason: Option<String>,
}

impl Session {
    pub(super) fn new(
        serial: u64,
        side: Side,
        number: u32,
        peer: SocketAddr,
        setup: SessionSetup,
        now: Instant,
    ) -> Self {
        Self {
            serial,
            id: serial,
            side,
            number,
            profile: None,
            bundle: None,
            peer,
            setup,
            link: None,
            lcp: None,
            user: String::new(),
            method: None,
            leased: None,
            assignment: None,
            prefix: None,
            solicitations: false,
            discovery: None,
            discovery_frames: 0,
            ipv4: None,
            ipv6: None,
            interface: Interface::None,
            told: [Told::Nothing, Told::Nothing],
            started: now,
            was_up: false,
            polled: None,
            counted: None,
            due: None,
            traffic: Traffic::default(),
            last_packet: now,
            packets: 0,
            reading: false,
            reason: None,
        }
    }

    pub(super) fn key(&self) -> SessionKey {
        SessionKey {
            tunnel: self.setup.tunnel,
            session: self.setup.session,
        }
    }

    /// When the session ends by itself, unless something happens until then, and why.
    pub(super) fn end(&self) -> Option<(Instant, CloseReason)> {
        let link = self.link.as_ref().filter(|_| self.was_up)?;
        // Once is enough.
        if link.phase() != ppp_proto::Phase::Network {
            return None;
        }
        let bundle = self.bundle.as_ref()?;
        let idle = bundle
            .idle_timeout
            .map(|limit| (self.last_packet + limit, CloseReason::Idle));
        let age = bundle
            .session_timeout
            .map(|limit| (self.started + limit, CloseReason::SessionTimeout));
        [idle, age]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due)
    }

    /// When the counters are to be read next: only when something depends on them, as with many
    /// sessions that is most of what idle ones cost. An answered Echo-Request is sign enough.
    pub(super) fn next_poll(&self) -> Option<Instant> {
        let polled = self.polled?;
        let bundle = self.bundle.as_ref();
        if bundle.is_some_and(|bundle| bundle.idle_timeout.is_some()) {
            return Some(polled + POLL);
        }
        let link = self.link.as_ref();
        match link.and_then(Link::echo_due) {
            None => Some(polled + SELDOM),
            Some(echo) => {
                let unanswered = link.is_some_and(|link| link.echo_missed() > 0);
                let before = echo.checked_sub(BEFORE_ECHO)?;
                (unanswered && before > polled).then_some(before)
            }
        }
    }

    /// Whether counters that have grown by now are a sign of life: not when it may have been long
    /// ago, before the Echo-Request that was not answered.
    pub(super) fn has_just_counted(&self, now: Instant) -> bool {
        let Some(link) = self.link.as_ref().filter(|link| link.echo_due().is_some()) else {
            return true;
        };
        let turn = link.config().echo_interval.max(POLL) + 2 * BEFORE_ECHO;
        self.counted.is_some_and(|counted| now <= counted + turn)
    }

    /// Keeps the first reason.
    pub(super) fn because(&mut self, reason: impl ToString) {
        if self.reason.is_none() {
            self.reason = Some(reason.to_string());
        }
    }

    /// The inner address people know the session by.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match (&self.side, self.ipv4) {
            (Side::Server, Some(Network::V4 { peer, .. })) => Some(peer.into()),
            (Side::Client(_), Some(Network::V4 { local, .. })) => Some(local.into()),
            _ => None,
        }
    }

    pub(super) fn interface_name(&self) -> Option<&str> {
        match &self.interface {
            Interface::Ready(name) => Some(name),
            Interface::None | Interface::Creating => None,
        }
    }

    pub(super) fn framing(&self) -> Framing {
        let lcp = self.lcp.as_ref();
        let ready = self.interface_name().is_some();
        Framing {
            peer_mru: lcp.map_or(1500, |lcp| lcp.peer_mru),
            pfc: lcp.is_some_and(|lcp| lcp.send_pfc),
            acfc: lcp.is_some_and(|lcp| lcp.send_acfc),
            ipv4: ready && self.ipv4.is_some(),
            ipv6: ready && self.ipv6.is_some(),
        }
    }

    /// Our address and the peer's, of each protocol that is open.
    pub(super) fn addresses(&self) -> Vec<(IpAddr, IpAddr)> {
        [self.ipv4, self.ipv6]
            .iter()
            .flatten()
            .map(Self::ends)
            .collect()
    }

    /// Our address and the peer's. A server that never told its own gets the one pppd invents.
    pub(super) fn ends(network: &Network) -> (IpAddr, IpAddr) {
        match network {
            Network::V4 { local, peer, .. } if peer.is_unspecified() => {
                ((*local).into(), Ipv4Addr::new(10, 64, 64, 64).into())
            }
            Network::V4 { local, peer, .. } => ((*local).into(), (*peer).into()),
            Network::V6 { local, peer } => (link_local(*local).into(), link_local(*peer).into()),
        }
    }

    pub(super) fn told_mut(&mut self, family: Family) -> &mut Told {
        let [v4, v6] = &mut self.told;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    pub(super) fn status(
        &self,
        now: Instant,
        view: Option<&SessionView>,
        kernel: KernelId,
    ) -> SessionStatus {
        SessionStatus {
            tunnel: self.setup.tunnel.value(),
            id: self.setup.session.value(),
            peer_id: view.map_or(self.setup.peer_id, |view| view.peer_id),
            user: self.user.clone(),
            authentication: self.method.map(|m| m.to_string()).unwrap_or_default(),
            peer: self.peer,
            address: self.address(),
            prefix: self.prefix,
            interface: self.interface_name().unwrap_or_default().to_owned(),
            kernel,
            state: self.state().to_owned(),
            age: now.saturating_duration_since(self.started).as_secs(),
            link: self.link_name(),
            bundle: self.bundle_name(),
            connection: match &self.side {
                Side::Server => None,
                Side::Client(name) => Some(name.clone()),
            },
            traffic: self.traffic,
        }
    }

    fn state(&self) -> &'static str {
        use ppp_proto::Phase;
        if self.reason.is_some() {
            return "closing";
        }
        match self.link.as_ref().map(Link::phase) {
            None | Some(Phase::Dead | Phase::Establish) => "opening",
            Some(Phase::Authenticate) => "authenticating",
            Some(Phase::Network) if self.was_up => "up",
            Some(Phase::Network) => "configuring",
            Some(Phase::Terminate) => "closing",
        }
    }
}

/// RFC 5072 section 5: the link-local address of an interface identifier.
pub(super) fn link_local(identifier: [u8; 8]) -> Ipv6Addr {
    let prefix = 0xfe80_u128 << 112;
    Ipv6Addr::from(prefix | u128::from(u64::from_be_bytes(identifier)))
}

/// What is negotiated with a client. Which network protocols there are is the bundle's to say, see
/// [`ppp_proto::Link::offer`].
pub(super) fn server_link(profile: &LinkProfile, host_name: &str) -> PppConfig {
    PppConfig {
        mru: profile.mru,
        mtu: profile.mtu,
        pfc: profile.protocol_compression,
        acfc: profile.address_compression,
        authenticate_peer: profile.authentication.clone(),
        echo_interval: profile.echo_interval.unwrap_or_default(),
        echo_failures: profile.echo_failures,
        establish_timeout: profile.authentication_timeout,
        ..PppConfig::server(profile.tunnel.host_name.as_deref().unwrap_or(host_name))
    }
}

/// What is negotiated with a server.
pub(super) fn client_link(connection: &Connection) -> PppConfig {
    let credentials = Credentials {
        user: connection.user.clone(),
        secret: ppp_secret(&connection.password),
        methods: vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap],
    };
    PppConfig {
        mru: connection.mru,
        mtu: connection.mtu,
        ipv4: if connection.bundle.ipv4 {
            let wanted = connection.bundle.local_address;
            Ipv4Config::Request {
                address: Some(wanted).filter(|address| !address.is_unspecified()),
                dns: true,
            }
        } else {
            Ipv4Config::Off
        },
        ipv6: connection.bundle.ipv6,
        ..PppConfig::client(credentials)
    }
}

/// The password for the link; it came from a YAML string, so it is UTF-8.
pub(super) fn ppp_secret(secret: &crate::secret::Secret) -> PppSecret {
    PppSecret::new(&String::from_utf8_lossy(secret.octets()))
}

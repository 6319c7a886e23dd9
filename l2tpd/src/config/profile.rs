//! How calls are served: a link says what is negotiated before the peer is known, and leads to a
//! bundle, which says what network the peer gets. The words are mpd5's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use ppp_proto::AuthMethod;

use super::model::HookCommand;
use crate::pool::Prefixes;
use crate::secret::Secret;

/// The name of the only link, bundle and pool of a file that names none.
pub const DEFAULT: &str = "default";

/// `set link` and `set l2tp` of mpd5: which calls, and what is negotiated on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkProfile {
    /// Sessions are named after it.
    pub name: String,
    /// The address of ours that is called; none: any.
    pub local_address: Option<IpAddr>,
    /// The port of ours that is called; none: any.
    pub local_port: Option<u16>,
    /// From where calls are taken.
    pub peer: Option<IpNet>,
    /// From which port; none: any.
    pub peer_port: Option<u16>,
    /// The tunnels its calls come through.
    pub tunnel: TunnelSettings,
    /// Methods offered, best first; never empty.
    pub authentication: Vec<AuthMethod>,
    /// From the session's beginning to the end of authentication.
    pub authentication_timeout: Duration,
    /// Largest packet we send into a link.
    pub mtu: u16,
    /// Largest packet we ask the peer to send.
    pub mru: u16,
    /// Whether Protocol-Field-Compression is offered (RFC 1661 section 6.5).
    pub protocol_compression: bool,
    /// Whether Address-and-Control-Field-Compression is offered (RFC 1661 section 6.6).
    pub address_compression: bool,
    /// LCP Echo-Request (RFC 1661 section 5.8) after this much silence; none: never.
    pub echo_interval: Option<Duration>,
    /// Unanswered requests after which the link is dead.
    pub echo_failures: u8,
    /// Sessions at a time; none: any number.
    pub max_sessions: Option<usize>,
    /// What becomes of a peer, by its user name; the first that matches counts, none: refused.
    pub actions: Vec<Action>,
}

/// `set l2tp` of mpd5: a tunnel of a link or connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelSettings {
    /// Host Name AVP and name in CHAP; none: the configuration's.
    pub host_name: Option<String>,
    /// Tunnel secret; none: the configuration's.
    pub secret: Option<Secret>,
    /// Whether a peer without the secret is refused.
    pub require_secret: bool,
    /// Whether AVPs are hidden from those who lack the secret (RFC 2661 section 4.3).
    pub hide_avps: bool,
    /// Whether data messages carry sequence numbers.
    pub sequencing: bool,
    /// Whether data messages carry their length.
    pub length: bool,
}

impl LinkProfile {
    /// Whether a call of `peer` to `local` is for this link, and how closely its peers are
    /// described.
    #[must_use]
    pub fn matches(&self, local: SocketAddr, peer: SocketAddr) -> Option<u8> {
        let network = match &self.peer {
            None => 0,
            Some(network) if network.contains(&peer.ip()) => network.prefix_len(),
            Some(_) => return None,
        };
        let fits = self
            .local_address
            .is_none_or(|address| address == local.ip())
            && self.local_port.is_none_or(|port| port == local.port())
            && self.peer_port.is_none_or(|port| port == peer.port());
        fits.then_some(network)
    }

    /// The bundle for a user, unless they are to be refused.
    #[must_use]
    pub fn bundle_for(&self, user: &str) -> Option<&Arc<Bundle>> {
        let action = self.actions.iter().find(|action| action.matches(user))?;
        action.bundle.as_ref()
    }
}

/// The link for a call: of those that fit, the one whose peers are described most closely, and of
/// equals the first.
pub fn link_for(
    links: &[Arc<LinkProfile>],
    local: SocketAddr,
    peer: SocketAddr,
) -> Option<&Arc<LinkProfile>> {
    let fitting = links
        .iter()
        .filter_map(|link| Some((link.matches(local, peer)?, link)));
    // `max_by_key` takes the last of equals.
    fitting
        .rev()
        .max_by_key(|(closeness, _)| *closeness)
        .map(|(_, link)| link)
}

/// `set link action` of mpd5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Where the peer gets; none: it is refused.
    pub bundle: Option<Arc<Bundle>>,
    /// User names it is for; none: all.
    pub pattern: Option<Pattern>,
}

impl Action {
    fn matches(&self, user: &str) -> bool {
        self.pattern
            .as_ref()
            .is_none_or(|pattern| pattern.matches(user))
    }
}

/// A regular expression.
#[derive(Clone)]
pub struct Pattern(regex_lite::Regex);

impl Pattern {
    /// Octets that a compiled expression may take.
    const ROOM: usize = 64 * 1024;

    /// Compiles it, within bounds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        regex_lite::RegexBuilder::new(text)
            .size_limit(Self::ROOM)
            .build()
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Whether it is found anywhere in `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

/// `set bundle`, `set ipcp` and `set iface` of mpd5: the network of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Sessions are named after it.
    pub name: String,
    /// Whether IPCP is offered.
    pub ipv4: bool,
    /// Whether IPV6CP is offered (RFC 5072).
    pub ipv6: bool,
    /// What the peer is told by router advertisements.
    pub router: RouterSettings,
    /// Our end of every link; on a client the one we ask for, unspecified: any.
    pub local_address: Ipv4Addr,
    /// The pool for users without an address of their own.
    pub pool: String,
    /// Name servers (RFC 1877), at most two.
    pub dns: Vec<Ipv4Addr>,
    /// NetBIOS name servers, at most two.
    pub nbns: Vec<Ipv4Addr>,
    /// Networks behind the peer.
    pub routes: Vec<IpNet>,
    /// The interface's MTU, whatever PPP agreed on; at most what is negotiated otherwise.
    pub mtu: InterfaceMtu,
    /// What else is done to the interface.
    pub interface: InterfaceSettings,
    /// After the interface is ready; another status than 0 refuses the protocol.
    pub up: Option<HookCommand>,
    /// After a protocol or the session has ended.
    pub down: Option<HookCommand>,
    /// A session without packets from the peer ends after this long; none: never.
    pub idle_timeout: Option<Duration>,
    /// A session ends after this long; none: never.
    pub session_timeout: Option<Duration>,
}

/// What is advertised to clients (RFC 4861).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouterSettings {
    /// Out of these each session gets a prefix; without one, and without one of the user's own,
    /// nothing is advertised.
    pub prefixes: Vec<Prefixes>,
    /// Recursive name servers (RFC 8106).
    pub dns: Vec<Ipv6Addr>,
}

/// The MTU of a session's interface, octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceMtu {
    /// What PPP agreed on, but not more than this.
    AtMost(u16),
    /// This, whatever PPP agreed on.
    Exactly(u16),
}

impl InterfaceMtu {
    /// The MTU where PPP agreed on `negotiated`.
    #[must_use]
    pub fn of(self, negotiated: u16) -> u16 {
        match self {
            Self::AtMost(most) => negotiated.min(most),
            Self::Exactly(mtu) => mtu,
        }
    }
}

/// What may follow a `%` in a description: addresses inside (`a` ours, `A` the peer's), the
/// interface's name, the link's, the peer's address and port outside, the state, the type, user
/// names (`u` ours, `U` the peer's), and `%` itself.
pub const CONVERSIONS: &str = "aAIlOPStuU%";

/// The first conversion of a description that is none.
#[must_use]
pub fn unknown_conversion(description: &str) -> Option<char> {
    let mut letters = description.chars();
    while let Some(letter) = letters.next() {
        if letter == '%'
            && let Some(conversion) = letters.next()
            && !CONVERSIONS.contains(conversion)
        {
            return Some(conversion);
        }
    }
    None
}

/// What is done to the interface of a session besides its addresses; `kernel: system` only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceSettings {
    /// Its name, followed by the number of the session.
    pub name: Option<String>,
    /// Its description for ifconfig(8), with mpd5's conversions [`CONVERSIONS`].
    pub description: Option<String>,
    /// Its group for pf(4) and ifconfig(8).
    pub group: Option<String>,
    /// Whether this host answers ARP requests for the peer's address.
    pub proxy_arp: bool,
}

impl InterfaceSettings {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

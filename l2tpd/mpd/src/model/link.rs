//! A link and what is set while it is selected: `set link`, `set l2tp`, `set auth`, `set radius`.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Endpoint, Kind, Secret, Setting};
use crate::diag::Span;
use crate::options::{AuthOption, EapOption, L2tpOption, LinkOption, RadiusOption, Switches};

/// `set link action`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Serve the call with this bundle (template).
    Bundle(String),
    /// Refuse the call.
    Drop,
}

/// An action and the user names it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkAction {
    /// What is done.
    pub action: Action,
    /// POSIX extended regular expression over the peer's authentication name; none: everybody.
    pub regex: Option<String>,
    /// Where it is said.
    pub span: Span,
}

/// `create link` of type l2tp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Unique among links.
    pub name: String,
    /// The name in the `create` line.
    pub span: Span,
    /// Template or not.
    pub kind: Kind,
    /// `open`, when the file opens it.
    pub opened: Option<Span>,
    /// Options.
    pub options: Switches<LinkOption>,
    /// First match counts.
    pub actions: Vec<LinkAction>,
    /// Bits per second, a hint for multilink.
    pub bandwidth: Setting<u32>,
    /// Microseconds, a hint for multilink.
    pub latency: Setting<u32>,
    /// Octets.
    pub mru: Setting<u16>,
    /// Octets.
    pub mtu: Setting<u16>,
    /// Octets.
    pub mrru: Setting<u16>,
    /// Asynchronous control character map.
    pub accmap: Setting<u32>,
    /// Seconds between tries of its automata.
    pub fsm_timeout: Setting<u32>,
    /// Tries to connect; -1: never again, 0: for ever.
    pub max_redial: Setting<i32>,
    /// Seconds between tries to connect.
    pub redial_delay: Setting<u32>,
    /// Instances of a template at a time.
    pub max_children: Setting<u32>,
    /// LCP echo.
    pub keep_alive: Setting<KeepAlive>,
    /// LCP Identification.
    pub ident: Setting<Option<String>>,
    /// `set l2tp`.
    pub l2tp: L2tp,
    /// `set auth`.
    pub auth: Auth,
    /// `set radius`.
    pub radius: Radius,
    /// `set eap`.
    pub eap: Switches<EapOption>,
}

impl Link {
    pub(crate) fn new(name: String, span: Span, kind: Kind) -> Self {
        Self {
            name,
            span,
            kind,
            opened: None,
            options: Switches::default(),
            actions: Vec::new(),
            bandwidth: Setting::default(64_000),
            latency: Setting::default(2000),
            mru: Setting::default(1500),
            mtu: Setting::default(1500),
            mrru: Setting::default(2048),
            accmap: Setting::default(0x000a_0000),
            fsm_timeout: Setting::default(2),
            max_redial: Setting::default(-1),
            redial_delay: Setting::default(1),
            max_children: Setting::default(10_000),
            keep_alive: Setting::default(KeepAlive {
                interval: 5,
                maximum: 40,
            }),
            ident: Setting::default(None),
            l2tp: L2tp::default(),
            auth: Auth::default(),
            radius: Radius::default(),
            eap: Switches::default(),
        }
    }
}

/// `set link keep-alive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Seconds of silence before an Echo-Request; 0: never.
    pub interval: u32,
    /// Seconds of silence after which the link is dead.
    pub maximum: u32,
}

/// `set l2tp`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct L2tp {
    /// Options.
    pub options: Switches<L2tpOption>,
    /// Our address and port; mpd's default: any address, port 1701.
    pub local: Setting<Option<Endpoint>>,
    /// Whom we call, or from where calls are accepted; mpd's default: anybody.
    pub peer: Setting<Option<Peer>>,
    /// Calling Number AVP.
    pub calling_number: Setting<Option<String>>,
    /// Called Number AVP.
    pub called_number: Setting<Option<String>>,
    /// Host Name AVP; none: the system's.
    pub host_name: Setting<Option<String>>,
    /// Tunnel secret.
    pub secret: Setting<Option<Secret>>,
}

/// `set l2tp peer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub host: PeerHost,
    /// None: 1701 when calling, any when called.
    pub port: Option<u16>,
}

/// Who may be at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerHost {
    /// An address and the width of its network.
    Network(IpNet),
    /// A name to look up.
    Name(String),
}

impl PeerHost {
    /// Whether it is one host, which can be called.
    #[must_use]
    pub fn is_one_host(&self) -> bool {
        match self {
            Self::Network(network) => {
                network.prefix_len() == network.max_prefix_len() && !network.addr().is_unspecified()
            }
            Self::Name(_) => true,
        }
    }
}

/// `set auth` of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Options.
    pub options: Switches<AuthOption>,
    /// Our name as a client.
    pub authname: Setting<Option<String>>,
    /// Our password as a client; none: from mpd.secret.
    pub password: Setting<Option<Secret>>,
    /// Seconds between accounting updates; 0: none.
    pub acct_update: Setting<u32>,
    /// Octets below which no update is sent.
    pub update_limit_in: Setting<u32>,
    /// Octets below which no update is sent.
    pub update_limit_out: Setting<u32>,
    /// Seconds for authentication.
    pub timeout: Setting<u32>,
    /// Program for ext-auth.
    pub extauth_script: Setting<Option<String>>,
    /// Program for ext-acct.
    pub extacct_script: Setting<Option<String>>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            options: Switches::default(),
            authname: Setting::default(None),
            password: Setting::default(None),
            acct_update: Setting::default(0),
            update_limit_in: Setting::default(0),
            update_limit_out: Setting::default(0),
            timeout: Setting::default(40),
            extauth_script: Setting::default(None),
            extacct_script: Setting::default(None),
        }
    }
}

/// A RADIUS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadiusServer {
    /// Address or name.
    pub host: String,
    /// Shared secret.
    pub secret: Secret,
    /// 0: not for authentication.
    pub auth_port: u16,
    /// 0: not for accounting.
    pub acct_port: u16,
    /// Where it is named.
    pub span: Span,
}

/// `set radius` of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Radius {
    /// Options.
    pub options: Switches<RadiusOption>,
    /// In the order of the file, at most 10.
    pub servers: Vec<RadiusServer>,
    /// Source address of requests.
    pub source: Setting<Option<Ipv4Addr>>,
    /// NAS-IP-Address.
    pub me: Setting<Option<Ipv4Addr>>,
    /// NAS-IPv6-Address.
    pub v6me: Setting<Option<Ipv6Addr>>,
    /// NAS-Identifier.
    pub identifier: Setting<Option<String>>,
    /// Seconds.
    pub timeout: Setting<u32>,
    /// Tries per server.
    pub retries: Setting<u32>,
    /// A radius.conf(5).
    pub config: Setting<Option<String>>,
}

impl Default for Radius {
    fn default() -> Self {
        Self {
            options: Switches::default(),
            servers: Vec::new(),
            source: Setting::default(None),
            me: Setting::default(None),
            v6me: Setting::default(None),
            identifier: Setting::default(None),
            timeout: Setting::default(5),
            retries: Setting::default(3),
            config: Setting::default(None),
        }
    }
}

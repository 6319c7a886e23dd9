//! What an mpd.conf says, as typed values. Settings the file does not mention have mpd's defaults
//! and no position.

mod link;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::diag::Span;
use crate::options::{
    BundleOption, CcpOption, ConsoleOption, EcpOption, GlobalOption, IfaceOption, IpcpOption,
    MppcOption, NatOption, OptionMenu, RadsrvOption, Switches, WebOption,
};

pub use link::{
    Action, Auth, KeepAlive, L2tp, Link, LinkAction, Peer, PeerHost, Radius, RadiusServer,
};

/// A password or shared secret: wiped when dropped, never printed, compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one who computes with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A program of the operator, to be run without a shell whatever mpd did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute.
    pub path: String,
    /// Before those that the daemon adds.
    pub arguments: Vec<String>,
}

/// A value and the word that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// In force.
    pub value: T,
    /// None: mpd's default.
    pub span: Option<Span>,
}

impl<T> Setting<T> {
    /// mpd's default.
    pub const fn default(value: T) -> Self {
        Self { value, span: None }
    }

    /// What a line says.
    pub fn given(value: T, span: &Span) -> Self {
        Self {
            value,
            span: Some(span.clone()),
        }
    }
}

/// How a bundle or link was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A pattern for instances made when calls come in.
    Template,
    /// There from the start, and stays.
    Static,
    /// As `create link NAME TYPE` makes it: there from the start, goes with its connection.
    Dynamic,
}

/// Everything the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// In the order of creation.
    pub bundles: Vec<Bundle>,
    /// In the order of creation; links of types this server lacks are not here.
    pub links: Vec<Link>,
    /// In the order of the first `add`.
    pub pools: Vec<Pool>,
    /// `set global`.
    pub global: Global,
    /// `set auth max-logins`: sessions of one user at a time; 0: any number.
    pub max_logins: Setting<MaxLogins>,
    /// `set radsrv`.
    pub radsrv: Radsrv,
    /// `set console`.
    pub console: Service<ConsoleOption>,
    /// `set web`.
    pub web: Service<WebOption>,
    /// `set user`.
    pub users: Vec<ConsoleUser>,
    /// `log`: the words in order, `true` for added ones.
    pub log: Vec<Setting<(String, bool)>>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            bundles: Vec::new(),
            links: Vec::new(),
            pools: Vec::new(),
            global: Global::default(),
            max_logins: Setting::default(MaxLogins {
                count: 0,
                ignore_case: false,
            }),
            radsrv: Radsrv::default(),
            console: Service::new(5005),
            web: Service::new(5006),
            users: Vec::new(),
            log: Vec::new(),
        }
    }
}

impl Model {
    /// The bundle with that name.
    #[must_use]
    pub fn bundle(&self, name: &str) -> Option<&Bundle> {
        self.bundles.iter().find(|bundle| bundle.name == name)
    }

    /// The link with that name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The pool with that name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }
}

/// `create bundle`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Unique among bundles.
    pub name: String,
    /// The name in the `create` line.
    pub span: Span,
    /// Template or not.
    pub kind: Kind,
    /// `open`, when the file opens it.
    pub opened: Option<Span>,
    /// `set bundle` options.
    pub options: Switches<BundleOption>,
    /// Links it dials.
    pub links: Setting<Vec<String>>,
    /// Seconds between tries of its automata.
    pub fsm_timeout: Setting<u32>,
    /// Bandwidth on demand: sampling period in seconds.
    pub period: Setting<u32>,
    /// Low water mark in percent.
    pub lowat: Setting<u32>,
    /// High water mark in percent.
    pub hiwat: Setting<u32>,
    /// Seconds a link stays connected at least.
    pub min_con: Setting<u32>,
    /// Seconds a link stays disconnected at least.
    pub min_dis: Setting<u32>,
    /// `set iface`.
    pub iface: Iface,
    /// `set ipcp`.
    pub ipcp: Ipcp,
    /// `set ccp`.
    pub ccp: Switches<CcpOption>,
    /// `set mppc`.
    pub mppc: Switches<MppcOption>,
    /// `set ecp`.
    pub ecp: Switches<EcpOption>,
    /// `set ecp key`.
    pub ecp_key: Setting<Option<Secret>>,
    /// `set nat` options.
    pub nat: Switches<NatOption>,
}

impl Bundle {
    pub(crate) fn new(name: String, span: Span, kind: Kind) -> Self {
        Self {
            name,
            span,
            kind,
            opened: None,
            options: Switches::default(),
            links: Setting::default(Vec::new()),
            fsm_timeout: Setting::default(2),
            period: Setting::default(60),
            lowat: Setting::default(20),
            hiwat: Setting::default(80),
            min_con: Setting::default(30),
            min_dis: Setting::default(90),
            iface: Iface::default(),
            ipcp: Ipcp::default(),
            ccp: Switches::default(),
            mppc: Switches::default(),
            ecp: Switches::default(),
            ecp_key: Setting::default(None),
            nat: Switches::default(),
        }
    }
}

/// `set iface`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iface {
    /// Options.
    pub options: Switches<IfaceOption>,
    /// IPv4 addresses fixed in advance.
    pub addresses: Setting<Option<InterfaceAddresses>>,
    /// IPv6 addresses fixed in advance.
    pub addresses6: Setting<Option<InterfaceAddresses>>,
    /// Networks behind the peer.
    pub routes: Vec<Setting<IpNet>>,
    /// Largest MTU of the interface, octets.
    pub mtu: Setting<u32>,
    /// `mtu N override`: this MTU whatever was negotiated; none: as negotiated.
    pub mtu_override: Setting<Option<u32>>,
    /// `name`: that of a template's interfaces, before their numbers.
    pub name: Setting<Option<String>>,
    /// `group`.
    pub group: Setting<Option<String>>,
    /// `description`.
    pub description: Setting<Option<String>>,
    /// Run when an NCP is up; another status than 0 refuses it.
    pub up_script: Setting<Option<Program>>,
    /// Run when it goes down.
    pub down_script: Setting<Option<Program>>,
    /// Seconds without traffic that end a session; 0: never.
    pub idle: Setting<u32>,
    /// Seconds a session lasts at most; 0: for ever.
    pub session: Setting<u32>,
}

impl Default for Iface {
    fn default() -> Self {
        Self {
            options: Switches::default(),
            addresses: Setting::default(None),
            addresses6: Setting::default(None),
            routes: Vec::new(),
            mtu: Setting::default(1500),
            mtu_override: Setting::default(None),
            name: Setting::default(None),
            group: Setting::default(None),
            description: Setting::default(None),
            up_script: Setting::default(None),
            down_script: Setting::default(None),
            idle: Setting::default(0),
            session: Setting::default(0),
        }
    }
}

/// `set iface addrs`: a `!` before an address makes it stand against what was negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddresses {
    /// Ours.
    pub local: IpNet,
    /// Whether ours stands.
    pub local_forced: bool,
    /// The peer's.
    pub peer: IpAddr,
    /// Whether the peer's stands.
    pub peer_forced: bool,
}

/// One side of `set ipcp ranges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// An address (as offered first) and the width within which others are accepted.
    Range(Ipv4Net),
    /// From a pool.
    Pool(String),
}

/// `set ipcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipcp {
    /// Options.
    pub options: Switches<IpcpOption>,
    /// Ours; mpd's default accepts any.
    pub local: Setting<Addresses>,
    /// The peer's; mpd's default accepts any.
    pub peer: Setting<Addresses>,
    /// Name servers for the peer, at most two.
    pub dns: Setting<Vec<Ipv4Addr>>,
    /// NetBIOS name servers for the peer, at most two.
    pub nbns: Setting<Vec<Ipv4Addr>>,
}

impl Default for Ipcp {
    fn default() -> Self {
        let any = || Setting::default(Addresses::Range(Ipv4Net::default()));
        Self {
            options: Switches::default(),
            local: any(),
            peer: any(),
            dns: Setting::default(Vec::new()),
            nbns: Setting::default(Vec::new()),
        }
    }
}

impl<T: Default> Default for Setting<T> {
    fn default() -> Self {
        Self {
            value: T::default(),
            span: None,
        }
    }
}

/// An address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// None: the protocol's own.
    pub port: Option<u16>,
}

/// `set auth max-logins`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxLogins {
    /// 0: any number.
    pub count: u32,
    /// `CI`: names that differ in case only are one.
    pub ignore_case: bool,
}

/// Who may send CoA and Disconnect requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadsrvPeer {
    /// Address or name.
    pub host: String,
    /// Shared secret.
    pub secret: Secret,
    /// Where it is named.
    pub span: Span,
}

/// `set radsrv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Radsrv {
    /// Options.
    pub options: Switches<RadsrvOption>,
    /// Where requests come in.
    pub local: Setting<Endpoint>,
    /// At most 10.
    pub peers: Vec<RadsrvPeer>,
}

impl Default for Radsrv {
    fn default() -> Self {
        let local = Endpoint {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: Some(3799),
        };
        Self {
            options: Switches::default(),
            local: Setting::default(local),
            peers: Vec::new(),
        }
    }
}

/// `set console` and `set web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service<M> {
    /// Options.
    pub options: Switches<M>,
    /// Where it listens.
    pub local: Setting<Endpoint>,
    /// Whether it is open.
    pub open: Setting<bool>,
}

impl<M: OptionMenu> Service<M> {
    fn new(port: u16) -> Self {
        let local = Endpoint {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: Some(port),
        };
        Self {
            options: Switches::default(),
            local: Setting::default(local),
            open: Setting::default(false),
        }
    }
}

/// What a console user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything but `set`.
    Operator,
    /// `show`.
    User,
}

/// `set user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleUser {
    /// Login.
    pub name: String,
    /// Password.
    pub password: Secret,
    /// What they may do.
    pub role: Role,
    /// The name.
    pub span: Span,
}

/// `set global`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Options.
    pub options: Switches<GlobalOption>,
    /// First ipfw rule number.
    pub start_rule: Setting<u16>,
    /// First ipfw queue number.
    pub start_queue: Setting<u16>,
    /// First ipfw pipe number.
    pub start_pipe: Setting<u16>,
    /// First ipfw table number.
    pub start_table: Setting<u16>,
    /// Seconds an unused tunnel stays.
    pub l2tp_timeout: Setting<u32>,
    /// Calls per tunnel; 0: any number.
    pub l2tp_limit: Setting<u32>,
    /// Sessions in all.
    pub max_children: Setting<u32>,
    /// Event queue lengths between which calls are refused more and more.
    pub qthreshold: Setting<(u32, u32)>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            options: Switches::default(),
            start_rule: Setting::default(10_000),
            start_queue: Setting::default(10_000),
            start_pipe: Setting::default(10_000),
            start_table: Setting::default(32),
            l2tp_timeout: Setting::default(10),
            l2tp_limit: Setting::default(100),
            max_children: Setting::default(10_000),
            qthreshold: Setting::default((64, 256)),
        }
    }
}

/// One `set ippool add`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address, not below the first.
    pub last: Ipv4Addr,
    /// Where it is said.
    pub span: Span,
}

/// `set ippool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// In the order of the file.
    pub ranges: Vec<PoolRange>,
}

//! The server without a socket and without a clock: L2TP tunnels, PPP links, users, addresses and
//! the operations that make the kernel carry their packets, put together.
//!
//! ```text
//! SCCRQ ▸ tunnel nodes ▸ SCCRP … SCCCN ▸ ICRQ ▸ session nodes ▸ ICRP … ICCN ▸ LCP ▸ login ▸
//! address ▸ IPCP ▸ interface ▸ addresses ▸ packets flow ▸ `up` program ▸ … ▸ CDN ▸ nodes gone ▸
//! address free ▸ `down` program
//! ```
//!
//! | file | what |
//! |---|---|
//! | `io.rs` | [`Input`], [`Output`], [`KernelOp`]: the whole contract |
//! | `calls.rs` | what the L2TP core asks for |
//! | `discovery.rs` | IPv6 prefixes, and router advertisements to those who get one |
//! | `interfaces.rs` | names, descriptions and ARP of interfaces |
//! | `links.rs` | what a PPP link asks for: users, addresses, interfaces |
//! | `lookups.rs` | passwords that a program of the operator knows |
//! | `numbers.rs` | the numbers in the names of sessions |
//! | `session.rs` | one session and its PPP settings |
//! | `operations.rs` | kernel operations under way, and what their answers lead to |
//! | `network.rs` | from a protocol that opened to packets that flow, and back |
//! | `ended.rs` | the last of a session |
//! | `programs.rs` | `up` and `down`, one at a time for each session |
//! | `clients.rs` | connections we make ourselves |
//! | `requests.rs` | the control socket's requests |
//! | `restart.rs` | what is saved, and taking it up again |
//! | `view.rs` | what the console shows |
//! | `shutdown.rs` | the orderly end |

mod calls;
mod clients;
mod discovery;
mod ended;
mod interfaces;
mod io;
mod links;
mod lookups;
mod network;
mod numbers;
mod operations;
mod programs;
mod requests;
mod restart;
mod session;
mod shutdown;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use l2tp_proto::{
    Authentication, Config as L2tpConfig, Exception, FlowId, KernelId, Limits as L2tpLimits,
    SameFlow, Secret, TunnelId, TunnelSecret, Tunnels,
};
use netgraph::node::ppp::PROTOCOL_IPV6;
use ppp_proto::Link;
use rand_core::CryptoRng;

pub use io::{
    Framing, HookId, Input, InterfaceSetup, KernelAnswer, KernelError, KernelOp, LookupId, OpId,
    Output, RequestId, SessionKey,
};
pub use restart::{SavedSession, State};

use crate::config::Config;
use crate::config::profile::TunnelSettings;
use crate::events::{Event, Repetitions};
use crate::pool::{Pool, Prefixes};
use crate::users::Users;
use clients::Client;
use discovery::Discovery;
use links::Waiting;
use lookups::Lookups;
use numbers::Numbers;
use operations::Operations;
use programs::Programs;
use requests::Show;
use session::Session;
use shutdown::Shutdown;

/// See the module's documentation.
#[derive(Debug)]
pub struct Server {
    config: Config,
    /// Where our own connections are made.
    home: KernelId,
    users: Users,
    pool: Pool,
    prefixes: Pool<Prefixes>,
    /// Sessions that could get no prefix.
    without_prefix: BTreeSet<SessionKey>,
    tunnels: Tunnels,
    live: HashMap<TunnelId, Tunnel>,
    // Boxed: up to half of a hash table is empty.
    sessions: HashMap<SessionKey, Box<Session>>,
    timers: BTreeSet<(Instant, SessionKey)>,
    clients: BTreeMap<String, Client>,
    operations: Operations,
    programs: Programs,
    shows: Vec<Show>,
    waiting: Vec<Waiting>,
    lookups: Lookups,
    outputs: VecDeque<Output>,
    repetitions: Repetitions,
    counters: Counters,
    /// What the links of sessions that are gone had counted.
    past_links: BTreeMap<String, u64>,
    serials: u64,
    numbers: Numbers,
    dirty: bool,
    shutdown: Option<Shutdown>,
}

/// A tunnel whose nodes were asked for.
#[derive(Debug, Clone, Copy)]
struct Tunnel {
    serial: u64,
    flow: FlowId,
}

/// Counts of what only the composition sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Sessions that carried packets.
    pub sessions_up: u64,
    /// Sessions that ended, up or not.
    pub sessions_down: u64,
    /// Calls refused before anything was negotiated.
    pub calls_refused: u64,
    /// Logins refused.
    pub logins_refused: u64,
    /// Times no address was left to give.
    pub no_address: u64,
    /// Times no IPv6 prefix was left to give.
    pub no_prefix: u64,
    /// Router advertisements sent, answers to solicitations included.
    pub advertisements: u64,
    /// Router solicitations received.
    pub solicitations: u64,
    /// Those that RFC 4861 section 6.1.1 says to drop.
    pub solicitations_invalid: u64,
    /// Kernel operations that failed.
    pub kernel_failures: u64,
    /// Times a kernel went away.
    pub kernel_lost: u64,
    /// Operator's programs that failed.
    pub hook_failures: u64,
    /// Frames of tunnels or sessions that are not there.
    pub stray_frames: u64,
    /// Sessions ended because the user began another one.
    pub sessions_replaced: u64,
}

impl Server {
    /// A server without tunnels. Clients come in by any kernel; `home` is the one through which our
    /// own connections go.
    #[must_use]
    pub fn new(config: Config, users: Users, home: KernelId) -> Self {
        let mut pool = Pool::new(config.pools.clone(), config.own_addresses());
        pool.set_fixed(users.fixed_addresses());
        let mut prefixes = Pool::new(config.prefixes(), []);
        prefixes.set_fixed(users.fixed_prefixes());
        Self {
            tunnels: Tunnels::new(l2tp_config(&config)),
            clients: clients::configured(&config),
            config,
            home,
            users,
            pool,
            prefixes,
            without_prefix: BTreeSet::new(),
            live: HashMap::new(),
            sessions: HashMap::new(),
            timers: BTreeSet::new(),
            operations: Operations::default(),
            programs: Programs::default(),
            shows: Vec::new(),
            waiting: Vec::new(),
            lookups: Lookups::default(),
            outputs: VecDeque::new(),
            repetitions: Repetitions::default(),
            counters: Counters::default(),
            past_links: BTreeMap::new(),
            serials: 0,
            numbers: Numbers::default(),
            dirty: false,
            shutdown: None,
        }
    }

    /// Takes one input; drain the outputs afterwards.
    pub fn handle(&mut self, now: Instant, input: Input, rng: &mut dyn CryptoRng) {
        match input {
            Input::Datagram { flow, bytes } => {
                if self.shutdown.is_none() {
                    self.tunnels.handle_first_datagram(now, flow, &bytes, rng);
                }
            }
            Input::Control { tunnel, frame } => self.on_control(now, tunnel, &frame, rng),
            Input::Frame {
                session,
                protocol,
                payload,
            } => {
                self.on_frame(now, session, protocol, &payload, rng);
            }
            Input::AckFailure { tunnel } => self.tunnels.handle_ack_failure(now, tunnel),
            Input::Kernel { op, outcome } => self.on_kernel(now, op, outcome, rng),
            Input::KernelLost(kernel) => self.on_kernel_lost(now, kernel, rng),
            Input::HookDone { hook, outcome } => self.on_hook_done(now, hook, outcome, rng),
            Input::LookedUp { lookup, outcome } => self.on_looked_up(now, lookup, outcome, rng),
            Input::Request { id, request } => self.on_request(now, id, request, rng),
            Input::Configure(config) => self.configure(now, *config, rng),
            Input::Users(users) => {
                self.pool.set_fixed(users.fixed_addresses());
                self.prefixes.set_fixed(users.fixed_prefixes());
                self.users = users;
            }
            Input::Shutdown => self.begin_shutdown(now, rng),
        }
        self.settle(now, rng);
    }

    /// Starts the connections that are to be up always. To be called once, after [`Self::adopt`].
    pub fn start(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        self.start_clients(now, rng);
        self.settle(now, rng);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        [
            self.timers.first().map(|(due, _)| *due),
            self.tunnels.next_timeout(),
            self.operations.next_deadline(),
            self.next_client_retry(),
            self.shutdown.as_ref().and_then(Shutdown::next),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        self.tunnels.handle_timeout(now);
        while let Some(&(due, key)) = self.timers.first()
            && due <= now
        {
            self.timers.remove(&(due, key));
            self.on_session_timer(now, key, rng);
        }
        self.expire_operations(now, rng);
        self.retry_clients(now, rng);
        self.settle(now, rng);
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs
            .pop_front()
            .or_else(|| std::mem::take(&mut self.dirty).then_some(Output::Checkpoint))
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Carries out what the L2TP core wants by now, to the end.
    fn settle(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        self.settle_l2tp(now, rng);
        self.continue_shutdown(now, rng);
    }

    fn settle_l2tp(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        while let Some(output) = self.tunnels.poll_output() {
            self.on_l2tp(now, output, rng);
        }
    }

    fn on_control(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        frame: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        let Some((id, avps)) = frame.split_first_chunk::<2>() else {
            self.counters.stray_frames += 1;
            return;
        };
        self.tunnels
            .handle_control(now, tunnel, u16::from_be_bytes(*id), avps, rng);
    }

    fn on_frame(
        &mut self,
        now: Instant,
        key: SessionKey,
        protocol: u16,
        payload: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        self.tunnels.note_traffic(now, key.tunnel);
        if protocol == PROTOCOL_IPV6 && self.on_solicitation(now, key, payload) {
            return;
        }
        match self.link_mut(key) {
            Some(link) => link.handle_frame(now, protocol, payload, rng),
            None => self.counters.stray_frames += 1,
        }
        self.drain_link(now, key, rng);
    }

    fn on_session_timer(&mut self, now: Instant, key: SessionKey, rng: &mut dyn CryptoRng) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.due = None;
        let end = session.end();
        if session.next_poll().is_some_and(|poll| poll <= now) {
            session.polled = Some(now);
            self.read_traffic(now, key);
        }
        if let Some(link) = self.link_mut(key) {
            link.handle_timeout(now, rng);
        }
        self.discover(now, key, rng);
        self.drain_link(now, key, rng);
        if let Some((_, reason)) = end.filter(|(due, _)| *due <= now) {
            self.close_politely(now, key, reason, rng);
        }
    }

    fn link_mut(&mut self, key: SessionKey) -> Option<&mut Link> {
        self.sessions.get_mut(&key)?.link.as_mut()
    }

    /// Puts the session where it belongs in the timers.
    fn schedule(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let due = session
            .link
            .as_ref()
            .and_then(Link::next_timeout)
            .into_iter()
            .chain(session.next_poll())
            .chain(session.discovery.as_ref().and_then(Discovery::next_timeout))
            .chain(session.end().map(|(due, _)| due))
            .min();
        if due != session.due {
            if let Some(old) = session.due {
                self.timers.remove(&(old, key));
            }
            if let Some(due) = due {
                self.timers.insert((due, key));
            }
            session.due = due;
        }
    }

    fn configure(&mut self, now: Instant, config: Config, rng: &mut dyn CryptoRng) {
        self.tunnels.reconfigure(l2tp_config(&config));
        self.pool
            .reconfigure(config.pools.clone(), config.own_addresses());
        self.prefixes.reconfigure(config.prefixes(), []);
        self.config = config;
        self.reconfigure_clients(now, rng);
    }

    /// From where sessions are numbered on; the driver gives a time, so that the numbers of an
    /// earlier process do not come again.
    pub fn number_from(&mut self, first: u64) {
        self.serials = self.serials.max(first);
    }

    fn serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Where a tunnel's nodes are.
    fn kernel_of(&self, tunnel: TunnelId) -> KernelId {
        self.live
            .get(&tunnel)
            .map_or(self.home, |tunnel| tunnel.flow.kernel)
    }

    fn peer_of(&self, tunnel: TunnelId) -> Option<SocketAddr> {
        self.live.get(&tunnel).map(|tunnel| tunnel.flow.peer)
    }
}

/// The settings of the L2TP core.
fn l2tp_config(config: &Config) -> L2tpConfig {
    let limits = &config.limits;
    L2tpConfig {
        host_name: config.host_name.clone(),
        secrets: config
            .l2tp
            .secret
            .iter()
            .map(|secret| TunnelSecret {
                peer_host_name: None,
                secret: Secret::new(secret.octets()),
            })
            .collect(),
        hello_interval: config.l2tp.hello,
        idle_timeout: config.l2tp.idle,
        data_sequencing: config.l2tp.sequencing,
        exceptions: config
            .connections
            .values()
            .map(|connection| Exception {
                peer: Some((connection.server.ip(), u8::MAX)),
                peer_port: Some(connection.server.port()),
                ..exception(&connection.tunnel, config)
            })
            .chain(config.links.iter().map(|link| {
                Exception {
                    local: link.local_address,
                    local_port: link.local_port,
                    peer: link
                        .peer
                        .map(|network| (network.addr(), network.prefix_len())),
                    peer_port: link.peer_port,
                    ..exception(&link.tunnel, config)
                }
            }))
            .collect(),
        // The reqid says that it is the same client, so its old tunnel serves nobody any more, and
        // one flow is one connected socket.
        same_flow: SameFlow::Replace,
        limits: L2tpLimits {
            tunnels: limits.tunnels,
            tunnels_per_source: limits.tunnels_per_source,
            half_open: limits.half_open,
            sessions_per_tunnel: limits.sessions_per_tunnel,
            sessions: limits.sessions,
            ..L2tpLimits::default()
        },
        ..L2tpConfig::default()
    }
}

/// What is otherwise on the flows of a link or connection.
fn exception(tunnel: &TunnelSettings, config: &Config) -> Exception {
    let secret = tunnel.secret.as_ref();
    Exception {
        local: None,
        local_port: None,
        peer: None,
        peer_port: None,
        host_name: tunnel
            .host_name
            .clone()
            .unwrap_or_else(|| config.host_name.clone()),
        authentication: if tunnel.require_secret {
            Authentication::Required
        } else {
            Authentication::Mutual
        },
        secret: secret.map(|secret| Secret::new(secret.octets())),
        hide_avps: tunnel.hide_avps,
        length_bit: tunnel.length,
        data_sequencing: tunnel.sequencing,
    }
}

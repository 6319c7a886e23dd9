//! Kernel operations under way, and what their answers lead to.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv6Net};
use l2tp_proto::{KernelId, TunnelId};
use ppp_proto::{Family, Network, Phase};
use rand_core::CryptoRng;

use super::Server;
use super::io::{InterfaceSetup, KernelAnswer, KernelError, KernelOp, OpId, Output, SessionKey};
use super::session::{Interface, Session, Side, Told};
use crate::config::Bundle;
use crate::control::protocol::Traffic;
use crate::events::Event;
use crate::pool::Range;

/// An operation without an answer counts as failed after this long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why an operation was asked for. Serials tell a thing from a later one with the same number.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Nobody waits.
    None,
    /// Something that sessions can do without; a failure is told.
    Optional { what: &'static str },
    /// Nodes go away; if they do not, they are told to again at the next start.
    Removal,
    /// Something a tunnel cannot do without.
    Tunnel {
        tunnel: TunnelId,
        serial: u64,
        what: &'static str,
    },
    /// Something a session cannot do without.
    Session {
        session: SessionKey,
        serial: u64,
        what: &'static str,
    },
    /// The session's interface.
    Interface { session: SessionKey, serial: u64 },
    /// The interface's addresses.
    Addresses { session: SessionKey, serial: u64 },
    /// That packets flow.
    Flow { session: SessionKey, serial: u64 },
    /// The session's counters.
    Traffic { session: SessionKey, serial: u64 },
    /// The last of a session.
    Ended(Box<Ended>),
}

/// A session whose nodes are being removed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) serial: u64,
    pub(super) key: SessionKey,
    pub(super) bundle: Option<Arc<Bundle>>,
    pub(super) peer: SocketAddr,
    pub(super) user: String,
    pub(super) address: Option<IpAddr>,
    pub(super) leased: Option<Ipv4Addr>,
    pub(super) prefix: Option<Ipv6Net>,
    pub(super) told: [Told; 2],
    pub(super) reason: String,
    pub(super) duration: Duration,
    pub(super) traffic: Traffic,
    pub(super) was_up: bool,
}

impl Ended {
    pub(super) fn of(session: Session, now: Instant) -> Self {
        Self {
            serial: session.serial,
            key: session.key(),
            bundle: session.bundle.clone(),
            peer: session.peer,
            address: session.address().or(session.leased.map(IpAddr::V4)),
            user: session.user,
            leased: session.leased,
            prefix: session.prefix,
            told: session.told,
            reason: session.reason.unwrap_or_default(),
            duration: now.saturating_duration_since(session.started),
            traffic: session.traffic,
            was_up: session.was_up,
        }
    }
}

/// The operations that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Operations {
    last: u64,
    purposes: HashMap<OpId, (KernelId, Purpose)>,
    /// In the order of asking, answered ones included until they reach the front.
    deadlines: VecDeque<(Instant, OpId)>,
}

impl Operations {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let (deadline, _) = self
            .deadlines
            .iter()
            .find(|(_, op)| self.purposes.contains_key(op))?;
        Some(*deadline)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.purposes.is_empty()
    }

    /// Whether a session that is going gives an address of `range` back.
    pub(super) fn gives_back(&self, range: Range) -> bool {
        self.purposes.values().any(|(_, purpose)| match purpose {
            Purpose::Ended(ended) => ended.leased.is_some_and(|address| range.contains(address)),
            _ => false,
        })
    }

    fn take(&mut self, op: OpId) -> Option<Purpose> {
        let purpose = self.purposes.remove(&op).map(|(_, purpose)| purpose);
        while self
            .deadlines
            .front()
            .is_some_and(|(_, op)| !self.purposes.contains_key(op))
        {
            self.deadlines.pop_front();
        }
        purpose
    }
}

impl Server {
    /// Asks for an operation on the nodes of a tunnel; its number, when somebody waits for the
    /// answer.
    pub(super) fn kernel(
        &mut self,
        now: Instant,
        operation: KernelOp,
        purpose: Purpose,
    ) -> Option<OpId> {
        let kernel = operation
            .tunnel()
            .map_or(self.home, |tunnel| self.kernel_of(tunnel));
        self.kernel_in(now, kernel, operation, purpose)
    }

    /// Asks one kernel for an operation.
    pub(super) fn kernel_in(
        &mut self,
        now: Instant,
        kernel: KernelId,
        operation: KernelOp,
        purpose: Purpose,
    ) -> Option<OpId> {
        self.operations.last += 1;
        let op = OpId(self.operations.last);
        let waits = operation.has_answer();
        if waits {
            self.operations.purposes.insert(op, (kernel, purpose));
            self.operations.deadlines.push_back((now + DEADLINE, op));
        }
        self.outputs.push_back(Output::Kernel {
            op,
            kernel,
            operation,
        });
        waits.then_some(op)
    }

    pub(super) fn tunnel_operation(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        operation: KernelOp,
        what: &'static str,
    ) {
        let Some(serial) = self.live.get(&tunnel).map(|tunnel| tunnel.serial) else {
            return;
        };
        self.kernel(
            now,
            operation,
            Purpose::Tunnel {
                tunnel,
                serial,
                what,
            },
        );
    }

    pub(super) fn session_operation(
        &mut self,
        now: Instant,
        session: SessionKey,
        operation: KernelOp,
        what: &'static str,
    ) {
        let Some(serial) = self.sessions.get(&session).map(|session| session.serial) else {
            return;
        };
        self.kernel(
            now,
            operation,
            Purpose::Session {
                session,
                serial,
                what,
            },
        );
    }

    /// Asks for the counters of a session, unless that is under way.
    pub(super) fn read_traffic(&mut self, now: Instant, session: SessionKey) -> Option<OpId> {
        let state = self.sessions.get_mut(&session)?;
        let serial = state.serial;
        if std::mem::replace(&mut state.reading, true) {
            return None;
        }
        let operation = KernelOp::ReadTraffic { session };
        self.kernel(now, operation, Purpose::Traffic { session, serial })
    }

    /// Sets framing and open protocols to what the session says.
    pub(super) fn set_ppp(&mut self, now: Instant, session: SessionKey) {
        let Some(framing) = self.sessions.get(&session).map(|s| s.framing()) else {
            return;
        };
        let operation = KernelOp::SetPpp { session, framing };
        self.session_operation(now, session, operation, "the framing");
    }

    /// Brings the interface, made or yet to make, to what the session says.
    pub(super) fn set_interface(&mut self, now: Instant, key: SessionKey) {
        let advertises = self.advertises(key);
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let serial = session.serial;
        let mtu = session.mtu();
        let settings = session
            .bundle
            .as_ref()
            .map(|bundle| bundle.interface.clone())
            .unwrap_or_default();
        match &session.interface {
            Interface::None => {
                session.interface = Interface::Creating;
                session.solicitations = advertises;
                let ipv6 = session.bundle.as_ref().is_some_and(|bundle| bundle.ipv6);
                let operation = KernelOp::CreateInterface {
                    session: key,
                    mtu,
                    ipv6,
                    solicitations: session.solicitations,
                    name: session.interface_name_wanted(),
                    group: settings.group.clone(),
                };
                self.kernel(
                    now,
                    operation,
                    Purpose::Interface {
                        session: key,
                        serial,
                    },
                );
            }
            Interface::Creating => {}
            Interface::Ready(interface) => {
                let bundle = session.bundle.as_ref();
                let routes = bundle.map(|bundle| bundle.routes.clone());
                let mut routes = routes.unwrap_or_default();
                routes.extend(session.prefix.map(IpNet::V6));
                let setup = InterfaceSetup {
                    session: key,
                    interface: interface.clone(),
                    mtu,
                    addresses: session.addresses(),
                    routes,
                    source_check: session.side == Side::Server,
                    accept_advertisements: session.side != Side::Server && session.ipv6.is_some(),
                    description: session.description(interface, &settings),
                };
                let operation = KernelOp::ConfigureInterface(setup);
                self.kernel(
                    now,
                    operation,
                    Purpose::Addresses {
                        session: key,
                        serial,
                    },
                );
            }
        }
    }

    pub(super) fn on_kernel(
        &mut self,
        now: Instant,
        op: OpId,
        outcome: Result<KernelAnswer, KernelError>,
        rng: &mut dyn CryptoRng,
    ) {
        // A late answer was counted as none already.
        let Some(purpose) = self.operations.take(op) else {
            return;
        };
        if let Err(error) = &outcome {
            self.note_failure(&purpose, error);
        }
        match purpose {
            Purpose::None | Purpose::Removal | Purpose::Optional { .. } => {}
            Purpose::Tunnel { tunnel, serial, .. } => {
                let same = self
                    .live
                    .get(&tunnel)
                    .is_some_and(|tunnel| tunnel.serial == serial);
                if outcome.is_err() && same {
                    self.tunnels.tunnel_failed(now, tunnel);
                }
            }
            Purpose::Session {
                session, serial, ..
            } => {
                if let Err(error) = outcome {
                    self.session_failed(now, session, serial, &error);
                }
            }
            Purpose::Interface { session, serial } => match outcome {
                Ok(KernelAnswer::Interface(name)) => {
                    if let Some(state) = self.same_session(session, serial) {
                        state.interface = Interface::Ready(name);
                        self.set_interface(now, session);
                    }
                }
                Ok(_) => self.session_failed(now, session, serial, &KernelError::NoAnswer),
                Err(error) => self.session_failed(now, session, serial, &error),
            },
            Purpose::Addresses { session, serial } => match outcome {
                Ok(_) => {
                    if let Some(framing) = self.same_session(session, serial).map(|s| s.framing()) {
                        let operation = KernelOp::SetPpp { session, framing };
                        self.kernel(now, operation, Purpose::Flow { session, serial });
                    }
                }
                Err(error) => self.session_failed(now, session, serial, &error),
            },
            Purpose::Flow { session, serial } => match outcome {
                Ok(_) => {
                    if self.same_session(session, serial).is_some() {
                        self.packets_flow(now, session);
                    }
                }
                Err(error) => self.session_failed(now, session, serial, &error),
            },
            Purpose::Traffic { session, serial } => {
                if let Some(state) = self.same_session(session, serial) {
                    state.reading = false;
                }
                if let Ok(KernelAnswer::Traffic(traffic)) = outcome {
                    self.on_traffic(now, session, serial, traffic);
                }
                self.answer_shows(now, op);
            }
            Purpose::Ended(ended) => {
                let traffic = match outcome {
                    Ok(KernelAnswer::Traffic(traffic)) => traffic,
                    _ => ended.traffic,
                };
                self.on_ended(now, *ended, traffic, rng);
            }
        }
    }

    /// Operations that had no answer in time have failed.
    pub(super) fn expire_operations(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        while let Some(&(deadline, op)) = self.operations.deadlines.front()
            && deadline <= now
        {
            self.operations.deadlines.pop_front();
            self.on_kernel(now, op, Err(KernelError::NoAnswer), rng);
        }
    }

    pub(super) fn on_kernel_lost(
        &mut self,
        now: Instant,
        kernel: KernelId,
        rng: &mut dyn CryptoRng,
    ) {
        self.counters.kernel_lost += 1;
        self.event(Event::KernelLost(kernel));
        let there = self.live.iter();
        let mut tunnels: Vec<TunnelId> = there
            .filter(|(_, tunnel)| tunnel.flow.kernel == kernel)
            .map(|(id, _)| *id)
            .collect();
        tunnels.sort_unstable();
        for tunnel in tunnels {
            self.tunnels.tunnel_failed(now, tunnel);
        }
        let asked = self.operations.purposes.iter();
        let mut operations: Vec<OpId> = asked
            .filter(|(_, (asked_of, _))| *asked_of == kernel)
            .map(|(op, _)| *op)
            .collect();
        operations.sort_unstable();
        for op in operations {
            self.on_kernel(now, op, Err(KernelError::Lost), rng);
        }
    }

    fn same_session(&mut self, session: SessionKey, serial: u64) -> Option<&mut Session> {
        self.sessions
            .get_mut(&session)
            .map(Box::as_mut)
            .filter(|state| state.serial == serial)
    }

    fn session_failed(
        &mut self,
        now: Instant,
        session: SessionKey,
        serial: u64,
        error: &KernelError,
    ) {
        if let Some(state) = self.same_session(session, serial) {
            state.because(error);
            self.tunnels
                .session_failed(now, session.tunnel, session.session);
        }
    }

    fn note_failure(&mut self, purpose: &Purpose, error: &KernelError) {
        let what = match purpose {
            // What cannot be removed is gone; counters are asked for again.
            Purpose::None | Purpose::Removal | Purpose::Ended(_) | Purpose::Traffic { .. } => {
                return;
            }
            Purpose::Optional { what } => (*what).to_owned(),
            Purpose::Tunnel { tunnel, what, .. } => format!("{what} of tunnel {}", tunnel.value()),
            Purpose::Session { session, what, .. } => format!("{what} of session {session}"),
            Purpose::Interface { session, .. } => format!("the interface of session {session}"),
            Purpose::Addresses { session, .. } => format!("the addresses of session {session}"),
            Purpose::Flow { session, .. } => format!("the packets of session {session}"),
        };
        self.counters.kernel_failures += 1;
        // The loss of the whole kernel has its own line.
        if *error != KernelError::Lost {
            self.event(Event::KernelFailed {
                what,
                reason: error.to_string(),
            });
        }
    }

    fn on_traffic(&mut self, now: Instant, key: SessionKey, serial: u64, traffic: Traffic) {
        let Some(session) = self.same_session(key, serial) else {
            return;
        };
        let grew = traffic.received_frames > session.traffic.received_frames
            && session.has_just_counted(now);
        session.counted = Some(now);
        session.traffic = traffic;
        let control = session.link.as_ref().map_or(0, |link| {
            let counters = link.counters();
            counters.frames_in + counters.frames_out
        });
        let control = control + session.discovery_frames;
        // Echo-Requests and their like, and router advertisements, keep nobody from being idle. What the kernel has counted and
        // we have not seen yet, or the other way round, is seen as a packet once at most.
        let packets = (traffic.received_frames + traffic.sent_frames).saturating_sub(control);
        if packets > session.packets {
            session.packets = packets;
            session.last_packet = now;
        }
        if grew {
            if let Some(link) = session.link.as_mut() {
                link.note_traffic(now);
            }
            self.tunnels.note_traffic(now, key.tunnel);
            self.schedule(key);
        }
    }

    /// The addresses are set: tell the operator's program, or else the log.
    fn packets_flow(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.polled.get_or_insert(now);
        let settings = session.bundle.as_ref().map(|bundle| &bundle.interface);
        let published = settings.and_then(|settings| session.proxy_arp(settings));
        if let Some(address) = published.filter(|_| !session.was_up) {
            let operation = KernelOp::ProxyArp {
                session: key,
                address,
                answer: true,
            };
            // Where no interface is in the peer's network nobody asks.
            let what = "answering ARP for a peer";
            self.kernel(now, operation, Purpose::Optional { what });
        }
        self.begin_discovery(now, key);
        self.dirty = true;
        self.schedule(key);
        if !self.tell_up(key) {
            self.announce(key);
        }
    }

    /// The session is up, once.
    pub(super) fn announce(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.was_up {
            return;
        }
        session.was_up = true;
        let event = Event::SessionUp {
            session: key,
            peer: session.peer,
            user: session.user.clone(),
            authentication: session.method.map(|m| m.to_string()).unwrap_or_default(),
            address: session.address(),
            prefix: session.prefix,
            interface: session.interface_name().unwrap_or_default().to_owned(),
        };
        let side = session.side.clone();
        self.counters.sessions_up += 1;
        self.dirty = true;
        self.event(event);
        if let Side::Client(name) = side {
            self.client_up(&name, key);
        }
    }

    /// A session's nodes are gone: its address is free, its programs may end.
    fn on_ended(
        &mut self,
        now: Instant,
        mut ended: Ended,
        traffic: Traffic,
        rng: &mut dyn CryptoRng,
    ) {
        self.counters.sessions_down += 1;
        ended.traffic = traffic;
        for family in [Family::V4, Family::V6] {
            self.tell_down_ended(&ended, family);
        }
        self.programs.no_more(ended.serial);
        self.event(Event::SessionDown {
            session: ended.key,
            peer: ended.peer,
            user: ended.user,
            address: ended.address,
            reason: ended.reason,
            duration: ended.duration,
            traffic,
            was_up: ended.was_up,
        });
        if let Some(address) = ended.leased {
            self.pool.release(address);
            self.serve_waiting(now, address, rng);
        }
        if let Some(prefix) = ended.prefix {
            self.take_back_prefix(now, prefix);
        }
    }

    /// Stops the packets of a protocol that closed.
    pub(super) fn network_down(&mut self, now: Instant, key: SessionKey, family: Family) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match family {
            Family::V4 => session.ipv4 = None,
            Family::V6 => {
                session.ipv6 = None;
                session.discovery = None;
            }
        }
        // When the whole link ends the programs are told at the end, with reason and counters.
        let goes_on = session
            .link
            .as_ref()
            .is_some_and(|link| !matches!(link.phase(), Phase::Terminate | Phase::Dead));
        if session.interface_name().is_some() {
            self.set_ppp(now, key);
            if goes_on {
                self.tell_down(key, family);
            }
        }
        self.dirty = true;
    }

    pub(super) fn network_up(&mut self, now: Instant, key: SessionKey, network: Network) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match network {
            Network::V4 { .. } => session.ipv4 = Some(network),
            Network::V6 { .. } => {
                session.ipv6 = Some(network);
                self.lease_prefix(now, key);
            }
        }
        self.set_interface(now, key);
    }
}

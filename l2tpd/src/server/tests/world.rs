//! Servers joined in memory: each has a kernel that keeps books about its nodes and hands frames to
//! the other side, with a clock that only moves when told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use l2tp_proto::{FlowId, KernelId, SessionId, TunnelId};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tanuki_daemon::config::Source;
use tanuki_daemon::hook::Hook;

use super::super::*;
use crate::config::Config;
use crate::control::protocol::{Answer, Request, SessionStatus, Traffic};
use crate::events::Event;
use crate::kernel::names;
use crate::users::Users;

/// What one kernel holds.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub(super) tunnels: BTreeMap<TunnelId, TunnelNode>,
    pub(super) sessions: BTreeMap<SessionKey, SessionNode>,
    interfaces: u32,
    /// Addresses that ARP requests are answered for, or no longer.
    pub(super) arp: Vec<(std::net::Ipv4Addr, bool)>,
}

#[derive(Debug, Clone)]
pub(super) struct TunnelNode {
    flow: FlowId,
    peer_id: u16,
    attached: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct SessionNode {
    peer_id: u16,
    attached: bool,
    pub(super) interface: Option<String>,
    pub(super) setup: Option<InterfaceSetup>,
    pub(super) ipv4: bool,
    pub(super) ipv6: bool,
    /// Router solicitations are handed out.
    pub(super) solicitations: bool,
    /// IPv6 packets that came out of the link.
    pub(super) packets: Vec<Vec<u8>>,
    traffic: Traffic,
}

impl Nodes {
    pub(super) fn is_empty(&self) -> bool {
        self.tunnels.is_empty() && self.sessions.is_empty()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let tunnels = self.tunnels.keys().map(|tunnel| names::tunnel(*tunnel));
        let sessions = self.sessions.iter().flat_map(|(key, node)| {
            let with_interface = node.interface.is_some();
            names::of_session(*key)
                .into_iter()
                .filter(move |name| with_interface || *name == names::ppp(*key))
        });
        tunnels.chain(sessions).collect()
    }

    /// The addresses at work, each once or the kernel would have refused.
    fn addresses(&self) -> BTreeSet<std::net::IpAddr> {
        let setups = self
            .sessions
            .values()
            .filter_map(|node| node.setup.as_ref());
        setups
            .flat_map(|setup| setup.addresses.iter().map(|(_, peer)| *peer))
            .collect()
    }

    /// Networks routed to sessions.
    pub(super) fn routes(&self) -> Vec<String> {
        let setups = self
            .sessions
            .values()
            .filter_map(|node| node.setup.as_ref());
        let routes = setups.flat_map(|setup| setup.routes.iter().map(ToString::to_string));
        routes.collect()
    }

    fn refused(request: &str, errno: i32) -> KernelError {
        KernelError::Refused {
            request: request.into(),
            reason: "no".into(),
            errno,
        }
    }

    fn execute(&mut self, operation: &KernelOp) -> Result<KernelAnswer, KernelError> {
        let missing = |what: &str| Self::refused(what, libc::ENOENT);
        match operation {
            KernelOp::CreateTunnel(create) => {
                let taken = self.tunnels.values().any(|node| node.flow == create.flow);
                if taken || self.tunnels.contains_key(&create.tunnel) {
                    return Err(Self::refused("create tunnel", libc::EADDRINUSE));
                }
                let (flow, peer_id) = (create.flow, create.peer_id);
                self.tunnels.insert(
                    create.tunnel,
                    TunnelNode {
                        flow,
                        peer_id,
                        attached: true,
                    },
                );
            }
            KernelOp::UpdateTunnel {
                tunnel, peer_id, ..
            } => {
                self.tunnels
                    .get_mut(tunnel)
                    .ok_or_else(|| missing("update tunnel"))?
                    .peer_id = *peer_id;
            }
            KernelOp::RemoveTunnel { tunnel } => {
                self.tunnels.remove(tunnel);
            }
            KernelOp::CreateSession(setup) => {
                let key = SessionKey {
                    tunnel: setup.tunnel,
                    session: setup.session,
                };
                if !self.tunnels.contains_key(&key.tunnel) {
                    return Err(missing("create session"));
                }
                let node = SessionNode {
                    peer_id: setup.peer_id,
                    attached: true,
                    ..Default::default()
                };
                if self.sessions.insert(key, node).is_some() {
                    return Err(Self::refused("create session", libc::EEXIST));
                }
            }
            KernelOp::UpdateSession(setup) => {
                let key = SessionKey {
                    tunnel: setup.tunnel,
                    session: setup.session,
                };
                self.sessions
                    .get_mut(&key)
                    .ok_or_else(|| missing("update"))?
                    .peer_id = setup.peer_id;
            }
            KernelOp::SetPpp { session, framing } => {
                let node = self
                    .sessions
                    .get_mut(session)
                    .ok_or_else(|| missing("set ppp"))?;
                assert!(
                    node.setup.is_some() || !(framing.ipv4 || framing.ipv6),
                    "no interface"
                );
                (node.ipv4, node.ipv6) = (framing.ipv4, framing.ipv6);
            }
            KernelOp::CreateInterface {
                session,
                solicitations,
                ..
            } => {
                let name = format!("ng{}", self.interfaces);
                let node = self
                    .sessions
                    .get_mut(session)
                    .ok_or_else(|| missing("interface"))?;
                if node.interface.replace(name.clone()).is_some() {
                    return Err(Self::refused("interface", libc::EEXIST));
                }
                node.solicitations = *solicitations;
                self.interfaces += 1;
                return Ok(KernelAnswer::Interface(name));
            }
            KernelOp::ConfigureInterface(setup) => {
                let others: BTreeSet<_> = self
                    .sessions
                    .iter()
                    .filter(|(key, _)| **key != setup.session)
                    .filter_map(|(_, node)| node.setup.as_ref())
                    .flat_map(|setup| setup.addresses.iter().map(|(_, peer)| *peer))
                    .collect();
                if setup
                    .addresses
                    .iter()
                    .any(|(_, peer)| others.contains(peer))
                {
                    return Err(Self::refused("set address", libc::EEXIST));
                }
                let node = self
                    .sessions
                    .get_mut(&setup.session)
                    .ok_or_else(|| missing("configure"))?;
                assert_eq!(node.interface.as_ref(), Some(&setup.interface));
                node.setup = Some(setup.clone());
            }
            KernelOp::ProxyArp {
                address, answer, ..
            } => self.arp.push((*address, *answer)),
            KernelOp::ReadTraffic { session } => {
                let node = self
                    .sessions
                    .get(session)
                    .ok_or_else(|| missing("traffic"))?;
                return Ok(KernelAnswer::Traffic(node.traffic));
            }
            KernelOp::RemoveSession { session } => {
                let node = self
                    .sessions
                    .remove(session)
                    .ok_or_else(|| missing("remove"))?;
                return Ok(KernelAnswer::Traffic(node.traffic));
            }
            KernelOp::Adopt {
                tunnel,
                sessions,
                solicitations,
            } => {
                let node = self
                    .tunnels
                    .get_mut(tunnel)
                    .ok_or_else(|| missing("adopt"))?;
                node.attached = true;
                for session in sessions {
                    let key = SessionKey {
                        tunnel: *tunnel,
                        session: *session,
                    };
                    let node = self
                        .sessions
                        .get_mut(&key)
                        .ok_or_else(|| missing("adopt"))?;
                    node.attached = true;
                    assert_eq!(node.solicitations, solicitations.contains(session));
                }
            }
            KernelOp::RemoveNode { name } => {
                self.tunnels
                    .retain(|tunnel, _| names::tunnel(*tunnel) != *name);
                self.sessions
                    .retain(|key, _| !names::of_session(*key).contains(name));
            }
            KernelOp::SendControl { .. } | KernelOp::SendFrame { .. } => {}
        }
        Ok(KernelAnswer::Done)
    }
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Refused,
    /// Done, but nobody says so.
    Silent,
}

/// One process and its kernel.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) server: Server,
    pub(super) kernel: Nodes,
    /// How others see it: address and reqid. Servers have reqid 0.
    address: SocketAddr,
    reqid: u32,
    pub(super) events: Vec<Event>,
    pub(super) hooks: Vec<(HookId, Hook)>,
    /// Passwords asked of programs; a test answers them.
    pub(super) lookups: Vec<(LookupId, Hook)>,
    pub(super) answers: Vec<Answer>,
    pub(super) finished: Option<Instant>,
    /// Numbers of operations with an answer that go wrong.
    pub(super) fates: BTreeMap<usize, Fate>,
    pub(super) operations: usize,
    pub(super) alive: bool,
}

/// One on its way.
#[derive(Debug)]
enum Parcel {
    Input(Input),
    /// A control message from this host's tunnel, as it was then.
    Control {
        from: usize,
        node: TunnelNode,
        session_id: u16,
        avps: Vec<u8>,
    },
    /// A PPP frame from this host's session.
    Frame {
        from: usize,
        session: SessionKey,
        protocol: u16,
        payload: Vec<u8>,
    },
}

/// Host 0 is the server, the others are its clients.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) hosts: Vec<Host>,
    parcels: VecDeque<(usize, Parcel)>,
    pub(super) rng: ChaCha8Rng,
    /// Of a thousand PPP frames so many are lost.
    pub(super) loss: u32,
    pub(super) run_hooks: Result<(), String>,
    /// Hooks stay unanswered for as long as this is set.
    pub(super) hold_hooks: bool,
}

pub(super) const SERVER: &str = "192.0.2.1:1701";

pub(super) fn config(more: &str) -> Config {
    let text = format!("local_address: 10.77.0.1\nusers: u\n{more}");
    Config::from_source(&Source::new("l2tpd.yaml", text)).unwrap()
}

pub(super) fn users(text: &str) -> Users {
    Users::from_source(&Source::new("users.yaml", text)).unwrap()
}

pub(super) const USERS: &str = "users:\n- {name: alice, password: wonderland}\n\
     - {name: bob, password: builder, address: 10.77.0.9}\n";

pub(super) fn client_config(user: &str, password: &str, more: &str) -> Config {
    let text = format!(
        "listen: []\nconnections:\n  home: {{server: 192.0.2.1, user: {user}, \
         password: {password}, routes: [10.77.0.0/16]{more}}}\n"
    );
    Config::from_source(&Source::new("l2tpd.yaml", text)).unwrap()
}

impl World {
    pub(super) fn new(config: Config, users: Users) -> Self {
        let mut world = Self {
            now: Instant::now(),
            hosts: Vec::new(),
            parcels: VecDeque::new(),
            rng: ChaCha8Rng::seed_from_u64(7),
            loss: 0,
            run_hooks: Ok(()),
            hold_hooks: false,
        };
        world.add(Server::new(config, users, KernelId::Soft), SERVER, 0);
        world
    }

    /// A world with room for ten clients and the two users.
    pub(super) fn usual() -> Self {
        Self::new(
            config("pool: [10.77.0.10-10.77.0.19]\ndns: [10.77.0.53]\n"),
            users(USERS),
        )
    }

    pub(super) fn add(&mut self, server: Server, address: &str, reqid: u32) -> usize {
        self.hosts.push(Host {
            server,
            kernel: Nodes::default(),
            address: address.parse().unwrap(),
            reqid,
            events: Vec::new(),
            hooks: Vec::new(),
            lookups: Vec::new(),
            answers: Vec::new(),
            finished: None,
            fates: BTreeMap::new(),
            operations: 0,
            alive: true,
        });
        self.hosts.len() - 1
    }

    /// A client that will log in as `user`; all have the same address and port.
    pub(super) fn client(&mut self, user: &str, password: &str) -> usize {
        self.client_with(client_config(user, password, ""))
    }

    pub(super) fn client_with(&mut self, config: Config) -> usize {
        let reqid = u32::try_from(self.hosts.len()).unwrap();
        let server = Server::new(config, Users::default(), KernelId::Soft);
        self.add(server, "198.51.100.9:1701", reqid)
    }

    pub(super) fn input(&mut self, host: usize, input: Input) {
        self.parcels.push_back((host, Parcel::Input(input)));
        self.run();
    }

    pub(super) fn request(&mut self, host: usize, request: Request) -> Answer {
        self.hosts[host].answers.clear();
        self.input(
            host,
            Input::Request {
                id: RequestId(1),
                request,
            },
        );
        self.hosts[host].answers.pop().expect("answered")
    }

    pub(super) fn connect(&mut self, host: usize) {
        let answer = self.request(
            host,
            Request::Connect {
                name: "home".into(),
            },
        );
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    }

    pub(super) fn sessions(&mut self, host: usize) -> Vec<SessionStatus> {
        match self.request(host, Request::ShowSessions) {
            Answer::Sessions(sessions) => sessions,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn is_up(&mut self, host: usize) -> bool {
        let sessions = self.sessions(host);
        let node = self.hosts[host].kernel.sessions.values().next();
        sessions.iter().any(|s| s.state == "up") && node.is_some_and(|node| node.ipv4)
    }

    /// Lets time pass, stopping wherever a host wants to be called.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = (0..self.hosts.len())
                .filter(|host| self.hosts[*host].alive)
                .filter_map(|host| self.hosts[host].server.next_timeout().map(|at| (at, host)))
                .min();
            match next {
                Some((at, host)) if at <= end => {
                    self.now = self.now.max(at);
                    let Host { server, .. } = &mut self.hosts[host];
                    server.handle_timeout(self.now, &mut self.rng);
                    self.run();
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// Delivers everything that is on its way, and what follows from it.
    pub(super) fn run(&mut self) {
        for round in 0.. {
            assert!(round < 100_000, "it never ends");
            for host in 0..self.hosts.len() {
                self.drain(host);
            }
            let Some((host, parcel)) = self.parcels.pop_front() else {
                return;
            };
            if let Some(input) = self.unpack(host, parcel)
                && self.hosts[host].alive
            {
                self.hosts[host]
                    .server
                    .handle(self.now, input, &mut self.rng);
            }
        }
    }

    fn drain(&mut self, host: usize) {
        while let Some(output) = self.hosts[host].server.poll_output() {
            if self.hosts[host].alive {
                self.carry_out(host, output);
            }
        }
    }

    fn carry_out(&mut self, host: usize, output: Output) {
        match output {
            Output::Kernel { op, operation, .. } => self.execute(host, op, operation),
            Output::Datagram { .. } | Output::Checkpoint => {}
            Output::Hook { hook, run } => {
                self.hosts[host].hooks.push((hook, run));
                if !self.hold_hooks {
                    let outcome = self.run_hooks.clone();
                    let done = Input::HookDone { hook, outcome };
                    self.parcels.push_back((host, Parcel::Input(done)));
                }
            }
            Output::LookUp { lookup, run } => self.hosts[host].lookups.push((lookup, run)),
            Output::Answer { answer, .. } => self.hosts[host].answers.push(answer),
            Output::Event(event) => self.hosts[host].events.push(event),
            Output::Finished => self.hosts[host].finished = Some(self.now),
        }
    }

    fn execute(&mut self, host: usize, op: OpId, operation: KernelOp) {
        let state = &mut self.hosts[host];
        match operation {
            KernelOp::SendControl {
                tunnel,
                session_id,
                avps,
            } => {
                let node = state.kernel.tunnels.get(&tunnel);
                if let Some(node) = node.filter(|node| node.attached) {
                    let parcel = Parcel::Control {
                        from: host,
                        node: node.clone(),
                        session_id,
                        avps,
                    };
                    self.parcels.push_back((usize::MAX, parcel));
                }
            }
            KernelOp::SendFrame {
                session,
                protocol,
                payload,
            } => {
                let lost = self.rng.next_u32() % 1000 < self.loss;
                if let Some(node) = state.kernel.sessions.get_mut(&session)
                    && node.attached
                    && !lost
                {
                    node.traffic.sent_frames += 1;
                    node.traffic.sent_octets += payload.len() as u64 + 2;
                    let parcel = Parcel::Frame {
                        from: host,
                        session,
                        protocol,
                        payload,
                    };
                    self.parcels.push_back((usize::MAX, parcel));
                }
            }
            operation => {
                let fate = state
                    .fates
                    .get(&state.operations)
                    .copied()
                    .unwrap_or(Fate::Done);
                state.operations += 1;
                let outcome = match fate {
                    Fate::Refused => Err(Nodes::refused("anything", libc::ENOBUFS)),
                    Fate::Done | Fate::Silent => state.kernel.execute(&operation),
                };
                if fate != Fate::Silent {
                    let input = Input::Kernel { op, outcome };
                    self.parcels.push_back((host, Parcel::Input(input)));
                }
            }
        }
    }

    /// Finds the host a frame is for, and what its kernel makes of it.
    fn unpack(&mut self, to: usize, parcel: Parcel) -> Option<Input> {
        match parcel {
            Parcel::Input(input) => {
                let _ = to;
                Some(input)
            }
            Parcel::Control {
                from,
                node,
                session_id,
                avps,
            } => {
                let other = self.other_end(from, &node.flow)?;
                let input = if node.peer_id == 0 {
                    // No number of the peer yet: it comes in at the listener.
                    let mut bytes = vec![0xc8, 0x02];
                    bytes.extend(u16::try_from(avps.len() + 12).unwrap().to_be_bytes());
                    bytes.extend([0; 8]);
                    bytes.extend(avps);
                    let (peer, reqid) = (self.hosts[from].address, self.hosts[from].reqid);
                    let local = self.hosts[other].address;
                    Input::Datagram {
                        flow: FlowId {
                            local,
                            peer,
                            reqid,
                            kernel: KernelId::Soft,
                        },
                        bytes,
                    }
                } else {
                    let tunnel = TunnelId::new(node.peer_id)?;
                    if !self.hosts[other].kernel.tunnels.get(&tunnel)?.attached {
                        return None;
                    }
                    let mut frame = session_id.to_be_bytes().to_vec();
                    frame.extend(avps);
                    Input::Control { tunnel, frame }
                };
                self.hand(other, input)
            }
            Parcel::Frame {
                from,
                session,
                protocol,
                payload,
            } => {
                let tunnel = self.hosts[from]
                    .kernel
                    .tunnels
                    .get(&session.tunnel)?
                    .clone();
                let peer_id = self.hosts[from].kernel.sessions.get(&session)?.peer_id;
                let other = self.other_end(from, &tunnel.flow)?;
                let key = SessionKey {
                    tunnel: TunnelId::new(tunnel.peer_id)?,
                    session: SessionId::new(peer_id)?,
                };
                let node = self.hosts[other].kernel.sessions.get_mut(&key)?;
                node.traffic.received_frames += 1;
                node.traffic.received_octets += payload.len() as u64 + 2;
                if protocol == 0x0057 {
                    node.packets.push(payload.clone());
                }
                if !node.attached {
                    return None;
                }
                self.hand(
                    other,
                    Input::Frame {
                        session: key,
                        protocol,
                        payload,
                    },
                )
            }
        }
    }

    /// Feeds another host than the one a parcel was addressed to.
    fn hand(&mut self, host: usize, input: Input) -> Option<Input> {
        if self.hosts[host].alive {
            self.hosts[host]
                .server
                .handle(self.now, input, &mut self.rng);
        }
        None
    }

    fn other_end(&self, from: usize, flow: &FlowId) -> Option<usize> {
        if from != 0 {
            return Some(0);
        }
        // The newest that has this flow: an older one is a client before its restart.
        (1..self.hosts.len()).rev().find(|host| {
            let host = &self.hosts[*host];
            host.alive && (host.address, host.reqid) == (flow.peer, flow.reqid)
        })
    }

    /// Kills the process; its kernel keeps the nodes.
    pub(super) fn kill(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        host.alive = false;
        for node in host.kernel.tunnels.values_mut() {
            node.attached = false;
        }
        for node in host.kernel.sessions.values_mut() {
            node.attached = false;
        }
    }

    /// The machine of a client disappears and comes back under the same flow.
    pub(super) fn replace_client(&mut self, old: usize, user: &str, password: &str) -> usize {
        self.hosts[old].alive = false;
        self.hosts[old].kernel = Nodes::default();
        let (address, reqid) = (self.hosts[old].address.to_string(), self.hosts[old].reqid);
        let server = Server::new(
            client_config(user, password, ""),
            Users::default(),
            KernelId::Soft,
        );
        self.add(server, &address, reqid)
    }

    /// Starts a new process on a host with the state of the old one.
    pub(super) fn restart(&mut self, host: usize, config: Config, users: Users, state: State) {
        // As it would be read from the file.
        let text = serde_json::to_string(&state).unwrap();
        let state: State = serde_json::from_str(&text).unwrap();
        let nodes = self.hosts[host].kernel.names();
        let mut server = Server::new(config, users, KernelId::Soft);
        server.adopt(self.now, KernelId::Soft, state, &nodes, &mut self.rng);
        server.start(self.now, &mut self.rng);
        self.hosts[host].server = server;
        self.hosts[host].alive = true;
        self.run();
    }

    /// Nothing is left of anybody.
    pub(super) fn assert_clean(&self, host: usize) {
        let host = &self.hosts[host];
        assert!(host.kernel.is_empty(), "{:?}", host.kernel.names());
        let server = &host.server;
        assert!(server.live.is_empty() && server.sessions.is_empty());
        assert!(server.timers.is_empty() && server.waiting.is_empty());
        assert!(server.operations.is_empty());
        assert_eq!((server.pool.used(), server.prefixes.used()), (0, 0));
        assert!(server.without_prefix.is_empty());
        assert!(host.kernel.addresses().is_empty());
    }

    pub(super) fn has_event(&self, host: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.hosts[host].events.iter().any(wanted)
    }
}

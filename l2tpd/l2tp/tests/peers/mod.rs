//! Two endpoints, and between them what two kernels and IPsec would be: an in-order channel per
//! tunnel that may break, and a listener. Every output is checked against the rules of the
//! contract as it comes.

// Each test file uses its share, and a broken rule is a failed test.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use l2tp_proto::wire::{ControlHeader, Message, MessageType};
use l2tp_proto::{
    Config, FlowId, HandOver, KernelId, Output, Role, SessionDownReason, SessionId, SessionUp,
    Target, TunnelDownReason, TunnelId, Tunnels,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

pub const LNS: &str = "192.0.2.1:1701";
pub const LAC: &str = "198.51.100.7:1701";

pub fn flow(local: &str, peer: &str) -> FlowId {
    FlowId {
        local: local.parse().unwrap(),
        peer: peer.parse().unwrap(),
        reqid: 7,
        kernel: KernelId::Soft,
    }
}

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// What the kernel knows of a tunnel.
#[derive(Debug)]
pub struct Node {
    pub flow: FlowId,
    pub peer_id: u16,
    pub role: Role,
    pub up: bool,
    pub down: Option<TunnelDownReason>,
    /// Nothing gets through any more.
    pub broken: bool,
}

/// One endpoint with its kernel.
pub struct Host {
    pub tunnels: Tunnels,
    pub rng: ChaCha20Rng,
    pub nodes: BTreeMap<TunnelId, Node>,
    /// Sessions the kernel has; true once up.
    pub sessions: BTreeMap<(TunnelId, SessionId), bool>,
    /// Sessions announced by a command's result only.
    pub promised: BTreeSet<(TunnelId, SessionId)>,
    pub ups: Vec<SessionUp>,
    pub session_downs: Vec<(TunnelId, SessionId, SessionDownReason)>,
    pub tunnel_downs: Vec<(TunnelId, TunnelDownReason)>,
    pub outputs: Vec<Output>,
    /// Messages on their way from here, by tunnel; `None` is the listener.
    pub outgoing: VecDeque<Packet>,
}

#[derive(Clone, Debug)]
pub enum Packet {
    Control {
        from: TunnelId,
        to: u16,
        session_id: u16,
        avps: Vec<u8>,
    },
    First {
        from: TunnelId,
        avps: Vec<u8>,
    },
    Loose(Vec<u8>),
}

impl Host {
    pub fn new(config: Config, seed: u64) -> Self {
        config.validate().unwrap();
        Self {
            tunnels: Tunnels::new(config),
            rng: rng(seed),
            nodes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            promised: BTreeSet::new(),
            ups: Vec::new(),
            session_downs: Vec::new(),
            tunnel_downs: Vec::new(),
            outputs: Vec::new(),
            outgoing: VecDeque::new(),
        }
    }

    pub fn first(&mut self, now: Instant, flow: FlowId, bytes: &[u8]) -> Vec<Output> {
        self.tunnels
            .handle_first_datagram(now, flow, bytes, &mut self.rng);
        self.drain()
    }

    pub fn control(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        sid: u16,
        avps: &[u8],
    ) -> Vec<Output> {
        self.tunnels
            .handle_control(now, tunnel, sid, avps, &mut self.rng);
        self.drain()
    }

    pub fn connect(&mut self, now: Instant, target: Target) -> (TunnelId, Option<SessionId>) {
        let begun = self.tunnels.connect(now, target, &mut self.rng).unwrap();
        if let Some(session) = begun.session {
            self.promised.insert((begun.tunnel, session));
        }
        self.drain();
        (begun.tunnel, begun.session)
    }

    /// Carries out the outputs, holding them to the contract.
    pub fn drain(&mut self) -> Vec<Output> {
        let mut new = Vec::new();
        while let Some(output) = self.tunnels.poll_output() {
            self.carry_out(&output);
            new.push(output);
        }
        self.outputs.extend(new.iter().cloned());
        new
    }

    fn carry_out(&mut self, output: &Output) {
        match output.clone() {
            Output::CreateTunnel(create) => {
                let (peer_id, sequence) = (create.peer_id, create.sequence);
                match create.role {
                    Role::Lns => assert_eq!(sequence, HandOver::CALLED),
                    Role::Lac => assert_eq!((sequence, peer_id), (HandOver::CALLING, 0)),
                }
                assert_ne!(create.tunnel.value(), peer_id);
                assert!(create.peer_window >= 1);
                let node = Node {
                    flow: create.flow,
                    peer_id,
                    role: create.role,
                    up: false,
                    down: None,
                    broken: false,
                };
                assert!(
                    self.nodes.insert(create.tunnel, node).is_none(),
                    "created twice"
                );
            }
            Output::UpdateTunnel {
                tunnel, peer_id, ..
            } => {
                let node = self.nodes.get_mut(&tunnel).unwrap();
                assert_eq!(node.peer_id, 0, "ng_l2tp refuses to change a number");
                node.peer_id = peer_id;
            }
            Output::SendControl {
                tunnel,
                session_id,
                avps,
            } => {
                let node = self
                    .nodes
                    .get(&tunnel)
                    .expect("sent into a tunnel that is not");
                assert_eq!(node.down, None, "sent after TunnelDown");
                Message::parse(&avps, None).expect("a message of ours must parse");
                self.outgoing.push_back(match node.peer_id {
                    0 => Packet::First { from: tunnel, avps },
                    to => Packet::Control {
                        from: tunnel,
                        to,
                        session_id,
                        avps,
                    },
                });
            }
            Output::SendDatagram { bytes, .. } => self.outgoing.push_back(Packet::Loose(bytes)),
            Output::TunnelUp { tunnel } => {
                let node = self.nodes.get_mut(&tunnel).unwrap();
                assert!(!std::mem::replace(&mut node.up, true), "up twice");
                assert_ne!(node.peer_id, 0);
            }
            Output::TunnelDown { tunnel, reason } => {
                let node = self.nodes.get_mut(&tunnel).unwrap();
                assert_eq!(node.down.replace(reason.clone()), None, "down twice");
                assert!(
                    self.sessions.keys().all(|(of, _)| *of != tunnel),
                    "sessions go first"
                );
                assert!(
                    self.promised.iter().all(|(of, _)| *of != tunnel),
                    "sessions go first"
                );
                self.tunnel_downs.push((tunnel, reason));
            }
            Output::RemoveTunnel { tunnel } => {
                let node = self.nodes.remove(&tunnel).expect("removed twice");
                assert!(node.down.is_some(), "TunnelDown goes first");
            }
            Output::CreateSession(setup) => {
                let node = &self.nodes[&setup.tunnel];
                assert!(node.up && node.down.is_none());
                assert_ne!(setup.peer_id, 0);
                if node.role == Role::Lns {
                    assert_ne!(setup.session.value(), setup.peer_id);
                }
                let key = (setup.tunnel, setup.session);
                assert_eq!(self.promised.remove(&key), node.role == Role::Lac);
                assert_eq!(self.sessions.insert(key, false), None, "created twice");
            }
            Output::SessionUp(up) => {
                let key = (up.setup.tunnel, up.setup.session);
                assert_eq!(
                    self.sessions.insert(key, true),
                    Some(false),
                    "up once, after creation"
                );
                self.ups.push(up);
            }
            Output::SessionDown {
                tunnel,
                session,
                reason,
            } => {
                let key = (tunnel, session);
                let known = self.sessions.remove(&key).is_some() | self.promised.remove(&key);
                assert!(known, "down once, and only what was known");
                self.session_downs.push((tunnel, session, reason));
            }
            Output::Refused(_) => {}
        }
    }

    /// Nothing is left behind.
    pub fn assert_empty(&self) {
        assert!(self.tunnels.is_empty());
        assert!(self.nodes.is_empty(), "{:?}", self.nodes);
        assert!(self.sessions.is_empty());
        assert!(self.promised.is_empty());
        assert_eq!(self.tunnels.next_timeout(), None);
    }
}

/// Types of the messages among `outputs`.
pub fn sent(outputs: &[Output]) -> Vec<MessageType> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::SendControl { avps, .. } => Some(avps.as_slice()),
            Output::SendDatagram { bytes, .. } => Some(ControlHeader::parse(bytes).unwrap().1),
            _ => None,
        })
        .map(|avps| Message::parse(avps, None).unwrap().message_type)
        .collect()
}

/// Two hosts that talk to each other.
pub struct Pair {
    pub now: Instant,
    pub lac: Host,
    pub lns: Host,
    pub to_lns: FlowId,
    pub to_lac: FlowId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Lac,
    Lns,
}

impl Pair {
    pub fn new(lac: Config, lns: Config, seed: u64) -> Self {
        Self {
            now: Instant::now(),
            lac: Host::new(lac, seed),
            lns: Host::new(lns, seed ^ 0x5555),
            to_lns: flow(LAC, LNS),
            to_lac: flow(LNS, LAC),
        }
    }

    pub fn host(&mut self, side: Side) -> &mut Host {
        match side {
            Side::Lac => &mut self.lac,
            Side::Lns => &mut self.lns,
        }
    }

    /// Delivers the oldest message from `side`. A message that finds nobody breaks its channel:
    /// the sender's node will find out.
    pub fn deliver(&mut self, side: Side) -> bool {
        let now = self.now;
        let to_receiver = if side == Side::Lac {
            self.to_lac
        } else {
            self.to_lns
        };
        let (sender, receiver) = match side {
            Side::Lac => (&mut self.lac, &mut self.lns),
            Side::Lns => (&mut self.lns, &mut self.lac),
        };
        let Some(packet) = sender.outgoing.pop_front() else {
            return false;
        };
        match packet {
            Packet::Control {
                from,
                to,
                session_id,
                avps,
            } => {
                let broken = sender.nodes.get(&from).is_some_and(|node| node.broken);
                let to = TunnelId::new(to).unwrap();
                let heard = receiver.nodes.get(&to).is_some_and(|node| {
                    !node.broken && (node.peer_id == 0 || node.peer_id == from.value())
                });
                if heard && !broken {
                    receiver.control(now, to, session_id, &avps);
                } else if let Some(node) = sender.nodes.get_mut(&from) {
                    node.broken = true;
                }
            }
            Packet::First { from, avps } => {
                if !sender.nodes.get(&from).is_some_and(|node| node.broken) {
                    let header = ControlHeader {
                        tunnel_id: 0,
                        session_id: 0,
                        ns: 0,
                        nr: 0,
                    };
                    receiver.first(now, to_receiver, &header.emit(&avps));
                }
            }
            Packet::Loose(bytes) => {
                // A connected socket takes it to the node it is addressed to.
                let (header, avps) = ControlHeader::parse(&bytes).unwrap();
                if let Some(to) = TunnelId::new(header.tunnel_id)
                    && receiver.nodes.contains_key(&to)
                {
                    receiver.control(now, to, header.session_id, avps);
                }
            }
        }
        true
    }

    pub fn deliver_all(&mut self) {
        loop {
            let one = self.deliver(Side::Lac);
            let other = self.deliver(Side::Lns);
            if !one && !other {
                return;
            }
        }
    }

    /// Nodes whose channel is broken say so.
    pub fn notice_failures(&mut self) {
        let now = self.now;
        for host in [&mut self.lac, &mut self.lns] {
            let broken: Vec<TunnelId> = host
                .nodes
                .iter()
                .filter(|(_, node)| node.broken)
                .map(|(id, _)| *id)
                .collect();
            for id in broken {
                host.tunnels.handle_ack_failure(now, id);
                host.drain();
            }
        }
    }

    pub fn advance(&mut self, by: Duration) {
        self.now += by;
        let now = self.now;
        for host in [&mut self.lac, &mut self.lns] {
            host.tunnels.handle_timeout(now);
            host.drain();
        }
    }

    /// Connects and places a call, everything delivered.
    pub fn connect(&mut self) -> (TunnelId, Option<SessionId>) {
        let target = Target {
            flow: self.to_lns,
            tie_breaker: false,
            secret: None,
            call: Some(l2tp_proto::CallRequest {
                tx_speed: 10_000_000,
                ..Default::default()
            }),
        };
        let begun = self.lac.connect(self.now, target);
        self.deliver_all();
        begun
    }

    /// Both sides shut down; after the longest linger nothing may be left.
    pub fn shut_down(&mut self) {
        let now = self.now;
        for host in [&mut self.lac, &mut self.lns] {
            host.tunnels.shutdown(now);
            host.drain();
        }
        self.deliver_all();
        self.advance(Duration::from_secs(11));
        self.lac.assert_empty();
        self.lns.assert_empty();
    }
}

/// The peer address of a flow, for tests that need several.
pub fn from(peer: &str) -> FlowId {
    let peer: SocketAddr = peer.parse().unwrap();
    FlowId {
        local: LNS.parse().unwrap(),
        peer,
        reqid: 1,
        kernel: KernelId::Soft,
    }
}

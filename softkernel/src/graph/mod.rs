//! Netgraph: nodes joined by hooks, control messages to nodes, data from hook to hook.
//!
//! Behaves as FreeBSD's `ng_base.c` towards its users: names, paths, error numbers, and which
//! nodes go away with their last hook. No I/O and no clock in here: messages, datagrams and time
//! come in; replies, packets and changes for the host go out through queues.
//!
//! A data packet travels in one [`Buffer`] from node to node without being copied, until it
//! reaches an [`Exit`].
//!
//! | file | what |
//! |---|---|
//! | `generic.rs` | the messages that every node understands |
//! | `path.rs` | node paths |
//! | `routes.rs` | which interface leads to an address |
//! | `socket.rs` `ksocket.rs` `l2tp/` `ppp.rs` `tcpmss.rs` `iface.rs` | the node types |
//! | `flow.rs` | data from hook to hook, and what waits for readers |
//! | `shortcut.rs` `shortcuts.rs` | a session's nodes in one step, for workers |
//! | `effects.rs` | what messages to `ksocket` and `iface` nodes change around them |

mod effects;
mod flow;
mod generic;
pub mod iface;
pub mod ksocket;
pub mod l2tp;
pub mod path;
pub mod ppp;
pub mod routes;
pub mod shortcut;
mod shortcuts;
mod socket;
pub mod tcpmss;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use netgraph::frame::Frame;
use netgraph::{Command, Errno, NgMessage};

use self::iface::IfaceNode;
use self::ksocket::{Endpoint, KsocketNode};
use self::l2tp::L2tpNode;
use self::ppp::PppNode;
pub use self::routes::HostChange;
use self::routes::Routes;
pub(crate) use self::routes::covers;
use self::shortcuts::Shortcuts;
use self::socket::SocketNode;
use self::tcpmss::TcpmssNode;
use crate::buffer::Buffer;
use crate::table::Table;

/// A node's number: also the handle of a netgraph socket. Never used again for another node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    const NONE: Self = Self(0);
    const SLOT_BITS: u32 = 20;

    fn slot(self) -> usize {
        (self.0 & ((1 << Self::SLOT_BITS) - 1)) as usize
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:x}]", self.0)
    }
}

/// A hook's place in its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HookIndex(u32);

/// Why a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Drop {
    /// The node is not configured for traffic.
    NotEnabled,
    /// The hook it should leave by leads nowhere.
    NotConnected,
    /// It does not have the form that the node expects.
    Malformed,
    /// Longer than what can be carried.
    TooLong,
    /// No headroom for another header.
    NoRoom,
    /// No such L2TP session.
    UnknownSession,
    /// L2TP packet for another tunnel.
    WrongTunnel,
    /// Sequenced L2TP data that is older than what arrived before.
    OldData,
    /// Too many unacknowledged control messages.
    WindowFull,
    /// The source address is not the one assigned to the peer.
    WrongSource,
    /// A client's router advertisement or redirect.
    NoRouter,
    /// The reader of the netgraph socket is too slow.
    SlowReader,
    /// Too many nodes in its way.
    Loop,
    /// No node, or no route.
    NoNode,
}

/// What a node does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It leaves by this hook.
    Forward(HookIndex),
    /// It leaves by this hook, and the L2TP node wants to know whether it was taken.
    Acknowledge(HookIndex),
    /// It is for the TUN device.
    Tun,
    /// It is for the UDP peer of this node.
    Udp,
    /// It is for the reader of this netgraph socket.
    Read,
    /// It has done its work.
    Done,
    /// It is dropped.
    Drop(Drop),
}

/// Where a packet left the graph; the buffer holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nowhere: a node or a socket has taken it.
    Done,
    /// To the TUN device: an IP packet.
    Tun,
    /// To the peer of this `ksocket` node: a UDP payload.
    Udp(NodeId),
    /// Dropped and counted.
    Dropped(Drop),
}

#[derive(Debug)]
struct Node {
    id: NodeId,
    name: Option<String>,
    hooks: Vec<Option<Hook>>,
    /// Places in `hooks` where there is none.
    vacant: BTreeSet<u32>,
    kind: Kind,
    /// Where it stands in the queue of timers.
    timer: Option<Instant>,
}

#[derive(Debug)]
struct Hook {
    name: String,
    role: Role,
    peer: (NodeId, HookIndex),
}

/// What the hook is to its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    L2tp(l2tp::Role),
    Ppp(ppp::Role),
    Iface(iface::Role),
}

#[derive(Debug)]
enum Kind {
    Socket(SocketNode),
    /// None until its hook says which socket it is.
    Ksocket(Option<KsocketNode>),
    L2tp(Box<L2tpNode>),
    Ppp(Box<PppNode>),
    Tcpmss(TcpmssNode),
    Iface(Box<IfaceNode>),
}

impl Kind {
    fn type_name(&self) -> &'static str {
        use netgraph::node;
        match self {
            Self::Socket(_) => node::socket::TYPE,
            Self::Ksocket(_) => node::ksocket::TYPE,
            Self::L2tp(_) => node::l2tp::TYPE,
            Self::Ppp(_) => node::ppp::TYPE,
            Self::Tcpmss(_) => node::tcpmss::TYPE,
            Self::Iface(_) => node::iface::TYPE,
        }
    }
}

/// Bounds of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Nodes of all types.
    pub nodes: usize,
    /// Hooks of one node.
    pub hooks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nodes: 200_000,
            hooks: 65_536,
        }
    }
}

/// Tells the address that the host would use towards a peer.
pub type SourceFor = Box<dyn Fn(IpAddr) -> Option<IpAddr>>;

/// All nodes.
pub struct Graph {
    limits: Limits,
    source_for: SourceFor,
    slots: Vec<Option<Node>>,
    free: Vec<usize>,
    /// By slot: how often it was used.
    generations: Vec<u32>,
    names: HashMap<String, NodeId>,
    endpoints: Table<Endpoint, NodeId>,
    units: BTreeSet<u32>,
    routes: Routes,
    timers: BTreeSet<(Instant, NodeId)>,
    /// L2TP nodes with packets of their control channel to send.
    transmit: VecDeque<NodeId>,
    /// Sockets with something to read.
    readable: VecDeque<NodeId>,
    drops: HashMap<Drop, u64>,
    shortcuts: Shortcuts,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("nodes", &self.len())
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// An empty graph.
    pub fn new(limits: Limits, source_for: SourceFor) -> Self {
        Self {
            limits,
            source_for,
            slots: Vec::new(),
            free: Vec::new(),
            generations: Vec::new(),
            names: HashMap::new(),
            endpoints: Table::default(),
            units: BTreeSet::new(),
            routes: Routes::default(),
            timers: BTreeSet::new(),
            transmit: VecDeque::new(),
            readable: VecDeque::new(),
            drops: HashMap::new(),
            shortcuts: Shortcuts::default(),
        }
    }

    /// Nodes there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes a socket node.
    ///
    /// # Errors
    /// ENOBUFS when there are too many nodes.
    pub fn open_socket(&mut self) -> Result<NodeId, Errno> {
        self.make_node(Kind::Socket(SocketNode::new()))
    }

    /// The socket's connection has ended: its node goes, and what lives by its hooks alone.
    pub fn close_socket(&mut self, now: Instant, socket: NodeId) {
        self.remove_node(now, socket);
    }

    /// A frame from a socket. Control messages are answered on the same socket; data may leave
    /// the graph, then `buffer` holds it.
    pub fn frame(
        &mut self,
        now: Instant,
        socket: NodeId,
        frame: Frame<'_>,
        buffer: &mut Buffer,
    ) -> Exit {
        match frame {
            Frame::Control { path, message } => {
                if let Ok(message) = NgMessage::parse(message) {
                    self.request(now, socket, path, &message);
                } else {
                    // Without a token nobody can be told; the caller's timeout will.
                    self.count(Drop::Malformed);
                }
                Exit::Done
            }
            Frame::Data { hook, payload } => {
                let hook = match self.node(socket).map(|node| &node.kind) {
                    Some(Kind::Socket(node)) => node.hook(hook),
                    _ => None,
                };
                let Some(hook) = hook else {
                    return self.dropped(Drop::NotConnected);
                };
                if !buffer.fill(payload) {
                    return self.dropped(Drop::TooLong);
                }
                self.leave(now, (socket, hook), buffer)
            }
            Frame::Status { .. } => self.dropped(Drop::Malformed),
        }
    }

    /// The `ksocket` node that a datagram is for. A node tied to the client with this request id
    /// goes before one that is not tied to anybody.
    pub fn udp_receiver(&self, local: SocketAddr, peer: SocketAddr, reqid: u32) -> Option<NodeId> {
        let unspecified = match local {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], local.port())),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], local.port())),
        };
        [Some(reqid), None].into_iter().find_map(|reqid| {
            let find = |local| {
                self.endpoints
                    .get(&Endpoint { local, peer, reqid })
                    .copied()
            };
            find(local).or_else(|| find(unspecified))
        })
    }

    /// Whether a datagram is better left to whoever listens on the port: an SCCRQ to an L2TP
    /// node that serves one tunnel only.
    pub fn declines(&self, node: NodeId, payload: &[u8]) -> bool {
        l2tp::header::is_for_no_tunnel(payload)
            && self
                .ksocket(node)
                .and_then(|socket| self.peer_of(node, socket.hook()))
                .is_some_and(|(peer, _)| match self.node(peer).map(|node| &node.kind) {
                    Some(Kind::L2tp(l2tp)) => l2tp.matches_id(),
                    _ => false,
                })
    }

    /// A UDP payload for a `ksocket` node.
    pub fn udp_input(&mut self, now: Instant, node: NodeId, buffer: &mut Buffer) -> Exit {
        match self.ksocket(node).map(KsocketNode::hook) {
            Some(hook) => self.leave(now, (node, hook), buffer),
            None => self.dropped(Drop::NoNode),
        }
    }

    /// An IP packet from the TUN device; None when no interface leads to its destination.
    pub fn tun_input(&mut self, now: Instant, buffer: &mut Buffer) -> Option<Exit> {
        let destination = iface::destination_of(buffer)?;
        let id = self.routes.lookup(destination)?;
        let Some(Node {
            kind: Kind::Iface(node),
            ..
        }) = self.node_mut(id)
        else {
            return None;
        };
        Some(match node.transmit(buffer) {
            Ok(hook) => self.leave(now, (id, hook), buffer),
            Err(reason) => self.dropped(reason),
        })
    }

    /// The next packet that a node sends of its own accord.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut Buffer) -> Option<Exit> {
        loop {
            let &id = self.transmit.front()?;
            let next = match self.node_mut(id).map(|node| &mut node.kind) {
                Some(Kind::L2tp(node)) => node.poll_outgoing().zip(Some(node.lower_hook())),
                _ => None,
            };
            let Some((packet, lower)) = next else {
                self.transmit.pop_front();
                continue;
            };
            return Some(match lower {
                None => self.dropped(Drop::NotConnected),
                Some(_) if !buffer.fill(&packet) => self.dropped(Drop::TooLong),
                Some(lower) => self.leave(now, (id, lower), buffer),
            });
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Retransmits.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(due, id)) = self.timers.first() {
            if due > now {
                return;
            }
            self.timers.pop_first();
            let Some(node) = self.node_mut(id) else {
                continue;
            };
            node.timer = None;
            let Kind::L2tp(l2tp) = &mut node.kind else {
                continue;
            };
            if l2tp.handle_timeout(now) {
                let owner = l2tp.owner();
                let control = l2tp.control_hook();
                self.notify_failure(id, owner, control);
            }
            self.after(id);
        }
    }

    /// A socket that has something to read; ask [`front`](Self::front) then.
    pub fn poll_readable(&mut self) -> Option<NodeId> {
        let id = self.readable.pop_front()?;
        if let Some(Node {
            kind: Kind::Socket(socket),
            ..
        }) = self.node_mut(id)
        {
            socket.announced = false;
        }
        Some(id)
    }

    /// The oldest frame for a socket's reader.
    pub fn front(&self, socket: NodeId) -> Option<&[u8]> {
        match self.node(socket).map(|node| &node.kind) {
            Some(Kind::Socket(socket)) => socket.front().map(Vec::as_slice),
            _ => None,
        }
    }

    /// The oldest frame was read.
    pub fn pop(&mut self, socket: NodeId) {
        if let Some(Node {
            kind: Kind::Socket(socket),
            ..
        }) = self.node_mut(socket)
        {
            socket.pop();
        }
    }

    /// The next change for the host.
    pub fn poll_host_change(&mut self) -> Option<HostChange> {
        self.routes.poll_change()
    }

    /// The `ksocket` node with this number.
    pub fn ksocket(&self, id: NodeId) -> Option<&KsocketNode> {
        match &self.node(id)?.kind {
            Kind::Ksocket(socket) => socket.as_ref(),
            _ => None,
        }
    }

    /// The policy by which a socket tied to a client sends.
    pub fn policy_of(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        reqid: u32,
    ) -> Option<&crate::ipsec::PolicyBlob> {
        let reqid = Some(reqid);
        let node = self.endpoints.get(&Endpoint { local, peer, reqid })?;
        self.ksocket(*node)?.policy()
    }

    /// Packets dropped, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (Drop, u64)> {
        self.drops.iter().map(|(reason, count)| (*reason, *count))
    }

    /// One line per node: number, name, type, hooks, state.
    pub fn describe(&self) -> impl Iterator<Item = NodeDescription> {
        self.slots.iter().flatten().map(|node| NodeDescription {
            id: node.id,
            name: node.name.clone(),
            kind: node.kind.type_name(),
            hooks: node.hooks.iter().flatten().count(),
            status: node.kind.status(),
        })
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.slots
            .get(id.slot())?
            .as_ref()
            .filter(|node| node.id == id)
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.slots
            .get_mut(id.slot())?
            .as_mut()
            .filter(|node| node.id == id)
    }

    fn peer_of(&self, id: NodeId, hook: HookIndex) -> Option<(NodeId, HookIndex)> {
        self.node(id)?
            .hook(hook)
            .map(|hook| hook.peer)
            .filter(|(peer, _)| *peer != NodeId::NONE)
    }

    fn count(&mut self, reason: Drop) {
        *self.drops.entry(reason).or_insert(0) += 1;
    }

    fn dropped(&mut self, reason: Drop) -> Exit {
        self.count(reason);
        Exit::Dropped(reason)
    }
}

/// A node in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDescription {
    /// Its number.
    pub id: NodeId,
    /// Its name.
    pub name: Option<String>,
    /// Its type.
    pub kind: &'static str,
    /// Connected hooks.
    pub hooks: usize,
    /// What the node says of itself.
    pub status: String,
}

impl Node {
    fn hook(&self, index: HookIndex) -> Option<&Hook> {
        self.hooks.get(index.0 as usize)?.as_ref()
    }

    fn hook_named(&self, name: &str) -> Option<HookIndex> {
        // A daemon's socket has hooks for every client; others have a handful.
        if let Kind::Socket(socket) = &self.kind {
            return socket.hook(name);
        }
        let named = |hook: &Option<Hook>| hook.as_ref().is_some_and(|hook| hook.name == name);
        let position = self.hooks.iter().position(named)?;
        u32::try_from(position).ok().map(HookIndex)
    }
}

impl Kind {
    fn status(&self) -> String {
        match self {
            Self::Socket(_) | Self::Tcpmss(_) | Self::Ksocket(None) => String::new(),
            Self::Ksocket(Some(node)) => node.status(),
            Self::L2tp(node) => node.status(),
            Self::Ppp(node) => node.status(),
            Self::Iface(node) => node.status(),
        }
    }
}

/// The message as command `C`: None when it is another one, EINVAL when its arguments are wrong.
fn command<C: Command>(message: &NgMessage) -> Result<Option<C>, Errno> {
    if !message.is::<C>() {
        return Ok(None);
    }
    C::decode(&message.data)
        .map(Some)
        .map_err(|_| Errno::EINVAL)
}

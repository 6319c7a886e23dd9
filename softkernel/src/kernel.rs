//! IPsec and netgraph joined: the way of a packet between the outer sockets, the sockets inside
//! ESP and the TUN device. No I/O: the buffer holds the packet, the result says where it goes.
//!
//! ```text
//! ESP in ▸ ipsec ▸ transport mode, UDP ▸ ksocket ▸ l2tp ▸ ppp ▸ tcpmss ▸ iface ▸ TUN
//!                                      ▸ whoever has bound the port (first SCCRQ)
//!                ▸ tunnel mode, IP                                           ▸ TUN
//! TUN in ▸ route ▸ iface ▸ tcpmss ▸ ppp ▸ l2tp ▸ ksocket ▸ UDP ▸ ipsec ▸ ESP
//!        ▸ no route ▸ ipsec, whose policies may want a tunnel          ▸ ESP
//! ```
//!
//! Nothing else is let through: what transport mode carries must be UDP for a port that somebody
//! has bound, and no clear datagram can arrive at such a port because no socket of the operating
//! system stands behind it.

mod carried;
mod counters;
mod workers;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use netgraph::Errno;
use netgraph::frame::Frame;
use pfkey::{Direction, Mode, PolicyRequest};
use softkernel_port::Meta;

pub(crate) use self::carried::{Carried, carried};
pub use self::counters::Counters;
use crate::buffer::Buffer;
use crate::graph::{Exit, Graph, NodeId, iface};
use crate::ipsec::{
    self, Inbound, InboundEsp, InboundPolicy, Ipsec, Opened, Outbound, OutboundEsp, PolicyBlob,
    Unsealed,
};
use crate::udp;
use crate::worker::Order;

/// The time, both kinds of it.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For intervals.
    pub instant: Instant,
    /// Seconds since 1970, for PF_KEY.
    pub wall: u64,
}

/// Where the packet in the buffer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nowhere: taken or dropped.
    Done,
    /// To the TUN device.
    Tun,
    /// To the peer, as ESP.
    Esp(OutboundEsp),
    /// To whoever has bound the port: a UDP payload.
    Port(PortId, Meta),
    /// To the worker that receives for its SA, as it came.
    Worker(usize, InboundEsp),
}

/// A connection to `udp.sock` with an inner port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u64);

/// The kernel without its devices.
pub struct Kernel {
    /// SADB, SPD, PF_KEY sockets.
    pub ipsec: Ipsec,
    /// Netgraph.
    pub graph: Graph,
    ports: HashMap<PortId, SocketAddr>,
    source_for: crate::graph::SourceFor,
    counters: Counters,
    /// Packets of the current batch that are still to be encrypted, by their places in it.
    unsealed: Unsealed,
    /// What has become of those that were to be decrypted.
    opened: Opened,
    /// The place of the current packet.
    place: usize,
    has_workers: bool,
    orders: VecDeque<(usize, Order)>,
    /// State of the policies that shortcuts were made by.
    policies: u64,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("graph", &self.graph)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// Joins the two. `source_for` tells the host's address towards a peer.
    pub fn new(ipsec: Ipsec, graph: Graph, source_for: crate::graph::SourceFor) -> Self {
        Self {
            graph,
            ports: HashMap::new(),
            source_for,
            counters: Counters::default(),
            has_workers: ipsec.has_workers(),
            ipsec,
            unsealed: Unsealed::default(),
            opened: Opened::default(),
            place: 0,
            orders: VecDeque::new(),
            policies: 0,
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Binds an inner port; the address may be unspecified.
    ///
    /// # Errors
    /// EADDRINUSE, or EINVAL for port 0.
    pub fn bind_port(&mut self, id: PortId, local: SocketAddr) -> Result<(), Errno> {
        if local.port() == 0 {
            return Err(Errno::EINVAL);
        }
        let clashes = |other: &SocketAddr| {
            other.port() == local.port()
                && other.is_ipv4() == local.is_ipv4()
                && (other.ip() == local.ip())
        };
        if self.ports.values().any(clashes) {
            return Err(Errno::EADDRINUSE);
        }
        self.ports.insert(id, local);
        Ok(())
    }

    /// Gives an inner port back.
    pub fn unbind_port(&mut self, id: PortId) {
        self.ports.remove(&id);
    }

    /// An ESP packet from the outside, from the SPI on.
    pub fn esp_input(&mut self, now: Now, from: InboundEsp, packet: &mut Buffer) -> Action {
        self.esp_input_by(now, from, packet, None)
    }

    /// The same; `by` is the worker that got it and does not know its SA, which it may have then.
    pub fn esp_input_by(
        &mut self,
        now: Now,
        from: InboundEsp,
        packet: &mut Buffer,
        by: Option<usize>,
    ) -> Action {
        if let Some(worker) = self.worker_of(packet) {
            return Action::Worker(worker, from);
        }
        // The reason for a drop is counted over there.
        let action = match self.ipsec.input(now.instant, now.wall, from, packet) {
            Ok(inbound) => {
                if let Some(worker) = by
                    && let Some(receiver) = self.ipsec.lend(inbound.spi, worker)
                {
                    let order = Order::Receive(Box::new(receiver));
                    self.orders.push_back((worker, order));
                }
                self.opened(now, from, &inbound, packet, by)
            }
            Err(_) => Action::Done,
        };
        self.counters.esp_in += 1;
        self.sealed(action, packet)
    }

    /// The worker that receives for the SA of this packet.
    pub fn worker_of(&self, packet: &[u8]) -> Option<usize> {
        match self.has_workers {
            true => self.ipsec.receiver_of(packet),
            false => None,
        }
    }

    /// ESP packets from the outside for no worker, and where each came from; those of one SA are
    /// decrypted side by side. `actions` gets one for each.
    pub fn esp_batch(
        &mut self,
        now: Now,
        from: &[InboundEsp],
        batch: &mut [Buffer],
        actions: &mut Vec<Action>,
    ) {
        let mut opened = std::mem::take(&mut self.opened);
        self.ipsec
            .input_batch(now.instant, now.wall, from, batch, &mut opened);
        let packets = batch.iter_mut().zip(from).enumerate();
        for ((place, (packet, from)), result) in packets.zip(opened.drain()) {
            self.place = place;
            self.counters.esp_in += 1;
            actions.push(match result {
                Ok(inbound) => self.opened(now, *from, &inbound, packet, None),
                Err(_) => Action::Done,
            });
        }
        self.opened = opened;
        self.place = 0;
        ipsec::seal(batch, &mut self.unsealed);
    }

    /// Where a decrypted packet goes.
    fn opened(
        &mut self,
        now: Now,
        from: InboundEsp,
        inbound: &Inbound,
        packet: &mut Buffer,
        by: Option<usize>,
    ) -> Action {
        let reqid = inbound.reqid;
        match carried(inbound, &from, packet) {
            Carried::Packet => self.tunnel_input(now, reqid, packet),
            Carried::Datagram { local, peer } => {
                self.udp_input(now, reqid, (local, peer), packet, by)
            }
            Carried::Nothing(reason) => {
                self.counters.count(reason);
                Action::Done
            }
        }
    }

    /// An IP packet from the TUN device.
    pub fn tun_input(&mut self, now: Now, packet: &mut Buffer) -> Action {
        let action = self.tun_packet(now, packet);
        self.sealed(action, packet)
    }

    /// IP packets from the TUN device, encrypted side by side; `actions` gets one for each. A packet
    /// that is empty then is not to be sent.
    pub fn tun_batch(&mut self, now: Now, batch: &mut [Buffer], actions: &mut Vec<Action>) {
        for (place, packet) in batch.iter_mut().enumerate() {
            self.place = place;
            actions.push(self.tun_packet(now, packet));
        }
        self.place = 0;
        ipsec::seal(batch, &mut self.unsealed);
    }

    fn tun_packet(&mut self, now: Now, packet: &mut Buffer) -> Action {
        self.counters.tun_in += 1;
        match self.graph.tun_input(now.instant, packet) {
            Some(exit) => self.follow(now, exit, packet),
            None => self.tunnel_output(now, packet),
        }
    }

    /// Ends a batch of one.
    fn sealed(&mut self, action: Action, packet: &mut Buffer) -> Action {
        ipsec::seal(std::slice::from_mut(packet), &mut self.unsealed);
        action
    }

    /// A frame on a netgraph socket.
    pub fn netgraph_frame(
        &mut self,
        now: Now,
        socket: NodeId,
        frame: Frame<'_>,
        buffer: &mut Buffer,
    ) -> Action {
        let exit = self.graph.frame(now.instant, socket, frame, buffer);
        let action = self.follow(now, exit, buffer);
        self.sealed(action, buffer)
    }

    /// A datagram from a bound inner port, to be sent through ESP.
    pub fn port_output(
        &mut self,
        now: Now,
        port: PortId,
        meta: Meta,
        payload: &[u8],
        buffer: &mut Buffer,
    ) -> Action {
        let Some(bound) = self.ports.get(&port).copied() else {
            return Action::Done;
        };
        let mut local = SocketAddr::new(meta.local.ip(), bound.port());
        for candidate in [Some(bound.ip()), (self.source_for)(meta.peer.ip())] {
            if let (true, Some(ip)) = (local.ip().is_unspecified(), candidate) {
                local.set_ip(ip);
            }
        }
        if !buffer.fill(payload) || local.is_ipv4() != meta.peer.is_ipv4() {
            self.counters.malformed += 1;
            return Action::Done;
        }
        let policy = (meta.reqid != 0).then(|| {
            let request = PolicyRequest::esp_transport_unique(meta.reqid);
            PolicyBlob::ipsec(Direction::OUTBOUND, request)
        });
        let action = self.udp_output(now, local, meta.peer, policy.as_ref(), buffer);
        self.sealed(action, buffer)
    }

    /// The next packet that a node sends of its own accord.
    pub fn poll_transmit(&mut self, now: Now, buffer: &mut Buffer) -> Option<Action> {
        let exit = self.graph.poll_transmit(now.instant, buffer)?;
        let action = self.follow(now, exit, buffer);
        Some(self.sealed(action, buffer))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.graph.next_timeout(), self.ipsec.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Retransmits and expires.
    pub fn handle_timeout(&mut self, now: Now) {
        self.graph.handle_timeout(now.instant);
        if self
            .ipsec
            .next_timeout()
            .is_some_and(|due| due <= now.instant)
        {
            self.ipsec.handle_timeout(now.instant, now.wall);
        }
    }

    /// A UDP payload that came through an SA with this request id, for the nodes or a listener; `by`
    /// is a worker that could not do it itself, and is told how if it can.
    fn udp_input(
        &mut self,
        now: Now,
        reqid: u32,
        (local, peer): (SocketAddr, SocketAddr),
        packet: &mut Buffer,
        by: Option<usize>,
    ) -> Action {
        let flow = transport(peer, local, None);
        let verdict =
            self.ipsec
                .inbound_policy(now.instant, now.wall, flow, reqid, Mode::TRANSPORT);
        if verdict == InboundPolicy::Refused {
            self.counters.policy += 1;
            return Action::Done;
        }
        if let Some(node) = self.graph.udp_receiver(local, peer, reqid)
            && !self.graph.declines(node, packet)
        {
            if let Some(worker) = by
                && let Some((key, shortcut)) =
                    self.graph
                        .shortcut_for_datagram(worker, reqid, (node, packet))
            {
                self.give(worker, key, shortcut, None);
            }
            let exit = self.graph.udp_input(now.instant, node, packet);
            return self.follow(now, exit, packet);
        }
        match self.port_for(local) {
            Some(port) => {
                self.counters.to_port += 1;
                Action::Port(port, Meta { local, peer, reqid })
            }
            None => {
                self.counters.no_listener += 1;
                Action::Done
            }
        }
    }

    fn port_for(&self, local: SocketAddr) -> Option<PortId> {
        let serves = |bound: &SocketAddr| {
            bound.port() == local.port()
                && bound.is_ipv4() == local.is_ipv4()
                && (bound.ip() == local.ip() || bound.ip().is_unspecified())
        };
        let candidates = self.ports.iter().filter(|(_, bound)| serves(bound));
        candidates
            .min_by_key(|(_, bound)| bound.ip().is_unspecified())
            .map(|(id, _)| *id)
    }

    fn follow(&mut self, now: Now, exit: Exit, packet: &mut Buffer) -> Action {
        match exit {
            Exit::Done | Exit::Dropped(_) => Action::Done,
            Exit::Tun => {
                self.counters.tun_out += 1;
                Action::Tun
            }
            Exit::Udp(node) => {
                let Some(socket) = self.graph.ksocket(node) else {
                    return Action::Done;
                };
                let (Some(local), Some(peer)) = (socket.local(), socket.peer()) else {
                    return Action::Done;
                };
                if udp::prepend(packet, local, peer).is_none() {
                    self.counters.too_long += 1;
                    return Action::Done;
                }
                let to = transport(local, peer, socket.policy());
                let (packet, unsealed) = ((self.place, packet), &mut self.unsealed);
                let esp = self
                    .ipsec
                    .prepare(now.instant, now.wall, to, packet, unsealed);
                self.sent(esp.ok())
            }
        }
    }

    fn udp_output(
        &mut self,
        now: Now,
        local: SocketAddr,
        peer: SocketAddr,
        policy: Option<&PolicyBlob>,
        packet: &mut Buffer,
    ) -> Action {
        if udp::prepend(packet, local, peer).is_none() {
            self.counters.too_long += 1;
            return Action::Done;
        }
        let esp = self.prepare(now, transport(local, peer, policy), packet);
        self.sent(esp)
    }

    /// Only what an inbound policy asks for comes out of a tunnel.
    fn tunnel_input(&mut self, now: Now, reqid: u32, packet: &Buffer) -> Action {
        let Some(flow) = flow_of(packet) else {
            self.counters.malformed += 1;
            return Action::Done;
        };
        match self
            .ipsec
            .inbound_policy(now.instant, now.wall, flow, reqid, Mode::TUNNEL)
        {
            InboundPolicy::Allowed => {
                self.counters.tun_out += 1;
                Action::Tun
            }
            InboundPolicy::None | InboundPolicy::Refused => {
                self.counters.policy += 1;
                Action::Done
            }
        }
    }

    fn tunnel_output(&mut self, now: Now, packet: &mut Buffer) -> Action {
        let Some(to) = flow_of(packet) else {
            self.counters.malformed += 1;
            return Action::Done;
        };
        let esp = self.prepare(now, to, packet);
        if esp.is_none() {
            self.counters.no_route += 1;
        }
        self.sent(esp)
    }

    fn prepare(&mut self, now: Now, to: Outbound<'_>, packet: &mut Buffer) -> Option<OutboundEsp> {
        let packet = (self.place, packet);
        let Now { instant, wall } = now;
        let esp = self
            .ipsec
            .prepare(instant, wall, to, packet, &mut self.unsealed);
        esp.ok()
    }

    fn sent(&mut self, esp: Option<OutboundEsp>) -> Action {
        match esp {
            Some(esp) => {
                self.counters.esp_out += 1;
                Action::Esp(esp)
            }
            // The reason is counted by IPsec.
            None => Action::Done,
        }
    }
}

fn transport(local: SocketAddr, peer: SocketAddr, policy: Option<&PolicyBlob>) -> Outbound<'_> {
    Outbound {
        source: local.ip(),
        destination: peer.ip(),
        protocol: udp::PROTOCOL,
        source_port: local.port(),
        destination_port: peer.port(),
        policy,
    }
}

/// Addresses, protocol and ports of an IP packet; ports as far as they stand directly behind the
/// IP header of a packet that is not a later fragment.
fn flow_of(packet: &[u8]) -> Option<Outbound<'static>> {
    const TCP: u8 = 6;
    let (source, destination) = (iface::source_of(packet)?, iface::destination_of(packet)?);
    let (protocol, header, later) = if source.is_ipv4() {
        let fragment = packet.get(6..8).and_then(<[u8]>::first_chunk::<2>)?;
        let later = u16::from_be_bytes(*fragment) & 0x1fff != 0;
        (
            *packet.get(9)?,
            usize::from(packet.first()? & 0xf) * 4,
            later,
        )
    } else {
        (*packet.get(6)?, 40, false)
    };
    let ports = packet.get(header..).and_then(<[u8]>::first_chunk::<4>);
    let (source_port, destination_port) = match (protocol, ports) {
        (TCP | udp::PROTOCOL, Some(&[s0, s1, d0, d1])) if !later => {
            (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))
        }
        _ => (0, 0),
    };
    Some(Outbound {
        source,
        destination,
        protocol,
        source_port,
        destination_port,
        policy: None,
    })
}

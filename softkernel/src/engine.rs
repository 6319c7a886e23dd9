//! The kernel with its devices: every packet and message goes through here, one at a time, in one
//! buffer that is never given away.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use netgraph::Errno;
use netgraph::frame::Frame;
use slog::{Logger, debug, warn};
use softkernel_port::{Meta, Packet};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::batch::Batch;
use crate::buffer::Buffer;
use crate::encapsulation::{Encapsulations, Opened};
use crate::graph::{HostChange, NodeId};
use crate::ipsec::{InboundEsp, OutboundEsp, PfkeySocketId};

use crate::kernel::{Action, Kernel, Now, PortId};
use crate::offload::Coalescer;
use crate::os::arrivals::Arrivals;
use crate::os::host::Host;
use crate::os::outer::{Addresses, OuterSocket};
use crate::os::tun::Tun;
use crate::traffic::{self, Arrival};
use crate::tunnel_routes::TunnelRoutes;
use crate::worker::team::{Team, Upward};

/// Messages that wait for a slow reader of `pfkey.sock` and `udp.sock`.
const MAX_QUEUE: usize = 65_536;
const MAX_DATAGRAMS: usize = 1024;

/// What the devices did with packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// NAT keepalives received.
    pub keepalives: u64,
    /// UDP datagrams on an encapsulation port too short for anything.
    pub runts: u64,
    /// Datagrams of others that a connected socket got before it was connected.
    pub strangers: u64,
    /// IKE datagrams while nobody had bound the port.
    pub ike_unbound: u64,
    /// Datagrams lost because the reader of `udp.sock` is too slow.
    pub slow_reader: u64,
    /// PF_KEY messages lost because the reader of `pfkey.sock` is too slow.
    pub slow_pfkey: u64,
    /// ESP packets for which there is no socket of the right family or port.
    pub no_socket: u64,
    /// Packets that the system did not take.
    pub send_errors: u64,
    /// Packets that the TUN device did not take.
    pub tun_errors: u64,
    /// Packets of the TUN device that cannot be cut as it says.
    pub bad_offloads: u64,
    /// Addresses and routes that the system refused.
    pub host_errors: u64,
    /// Packets that one thread handed to another.
    pub handed_over: u64,
    /// Those lost because too many waited already.
    pub not_handed_over: u64,
}

impl std::ops::AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        let Self {
            keepalives,
            runts,
            strangers,
            ike_unbound,
            slow_reader,
            slow_pfkey,
            no_socket,
            send_errors,
            tun_errors,
            bad_offloads,
            host_errors,
            handed_over,
            not_handed_over,
        } = other;
        self.keepalives += keepalives;
        self.runts += runts;
        self.strangers += strangers;
        self.ike_unbound += ike_unbound;
        self.slow_reader += slow_reader;
        self.slow_pfkey += slow_pfkey;
        self.no_socket += no_socket;
        self.send_errors += send_errors;
        self.tun_errors += tun_errors;
        self.bad_offloads += bad_offloads;
        self.host_errors += host_errors;
        self.handed_over += handed_over;
        self.not_handed_over += not_handed_over;
    }
}

/// Messages for the reader of one connection, and what wakes its task.
#[derive(Debug, Default)]
pub struct Outbox {
    messages: VecDeque<Zeroizing<Vec<u8>>>,
    /// Signalled when there is something to send.
    pub wake: Rc<Notify>,
}

impl Outbox {
    fn push(&mut self, message: Zeroizing<Vec<u8>>, limit: usize) -> bool {
        let room = self.messages.len() < limit;
        if room {
            self.messages.push_back(message);
            self.wake.notify_one();
        }
        room
    }

    /// The oldest message.
    pub fn front(&self) -> Option<&[u8]> {
        self.messages.front().map(|message| message.as_slice())
    }

    /// The oldest message is sent.
    pub fn pop(&mut self) {
        self.messages.pop_front();
    }
}

/// The kernel with its devices.
#[derive(Debug)]
pub struct Engine {
    kernel: Kernel,
    /// For packets that travel alone.
    buffer: Buffer,
    /// What the TUN device hands out before it is cut.
    long: Box<[u8]>,
    outward: Batch,
    actions: Vec<Action>,
    arrivals: Option<Arrivals>,
    inward: Batch,
    /// Where the packets of `inward` came from.
    from: Vec<InboundEsp>,
    coalescer: Coalescer,
    tunnel_routes: TunnelRoutes,
    tun: Rc<Tun>,
    host: Host,
    raw: Vec<Rc<OuterSocket>>,
    encapsulation: Encapsulations,
    /// Connections to `udp.sock`, `pfkey.sock` and `netgraph.sock`.
    ports: HashMap<PortId, Outbox>,
    pfkey: HashMap<PfkeySocketId, Outbox>,
    netgraph: HashMap<NodeId, Rc<Notify>>,
    last_port: u64,
    team: Team,
    counters: Counters,
    /// Signalled when the next deadline may have changed.
    pub deadline_changed: Rc<Notify>,
    log: Logger,
}

impl Engine {
    /// Puts the parts together; `mtu` is the TUN device's.
    pub(crate) fn new(
        kernel: Kernel,
        tun: Rc<Tun>,
        host: Host,
        raw: Vec<Rc<OuterSocket>>,
        mtu: usize,
        team: Team,
        log: Logger,
    ) -> Self {
        Self {
            kernel,
            buffer: Buffer::new(Buffer::PAYLOAD),
            long: vec![0; Buffer::PAYLOAD].into_boxed_slice(),
            outward: traffic::batch(mtu),
            actions: Vec::new(),
            arrivals: None,
            inward: traffic::batch(mtu),
            from: Vec::new(),
            coalescer: Coalescer::new(tun.takes()),
            tunnel_routes: TunnelRoutes::default(),
            tun,
            host,
            raw,
            encapsulation: Encapsulations::default(),
            ports: HashMap::new(),
            pfkey: HashMap::new(),
            netgraph: HashMap::new(),
            last_port: 0,
            team,
            counters: Counters::default(),
            deadline_changed: Rc::new(Notify::new()),
            log,
        }
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Encapsulation sockets that are connected to one peer.
    pub fn connected_ports(&self) -> usize {
        self.encapsulation.connected()
    }

    /// What the devices did.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Packets from the TUN device, a batch at most.
    ///
    /// # Errors
    /// `WouldBlock` when there are no more; otherwise the device is gone.
    pub fn tun_readable(&mut self) -> io::Result<()> {
        let now = now();
        let tun = Rc::clone(&self.tun);
        let mut batch = std::mem::take(&mut self.outward);
        let mut long = std::mem::take(&mut self.long);
        let (result, malformed) = traffic::read(&tun, &mut long, &mut batch, |batch| {
            self.send_outward(now, batch);
        });
        self.counters.bad_offloads += malformed;
        (self.outward, self.long) = (batch, long);
        result
    }

    /// Encrypts the batch and sends it.
    fn send_outward(&mut self, now: Now, batch: &mut Batch) {
        let mut actions = std::mem::take(&mut self.actions);
        self.kernel
            .tun_batch(now, batch.packets_mut(), &mut actions);
        traffic::for_each_row(&actions, batch.packets(), |action, packets| {
            match (action, packets) {
                (Action::Esp(esp), _) => self.send_esp(esp, packets),
                (action, [packet]) => self.act(*action, packet),
                _ => {}
            }
        });
        batch.clear();
        actions.clear();
        self.actions = actions;
    }

    /// Packets from a raw ESP or an encapsulation socket, a batch at most; whether there may be more.
    pub fn outer_readable(&mut self, socket: &OuterSocket) -> bool {
        let now = now();
        let mut arrivals = self.arrivals.take().unwrap_or_default();
        let more = match socket.receive_batch(&mut arrivals) {
            Ok(more) => {
                let mut batch = std::mem::take(&mut self.inward);
                for (from, packet) in arrivals.iter() {
                    self.outer_packet(now, socket, from, packet, &mut batch);
                }
                self.write_inward(now, &mut batch);
                self.inward = batch;
                more
            }
            // What ICMP reported about earlier packets is no error of the socket.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        self.arrivals = Some(arrivals);
        more
    }

    fn outer_packet(
        &mut self,
        now: Now,
        socket: &OuterSocket,
        from: Addresses,
        packet: &[u8],
        batch: &mut Batch,
    ) {
        match traffic::sort(socket, &from, packet, &mut self.counters) {
            Arrival::Esp => {}
            Arrival::Ike => return self.ike_input(socket.local(), socket.peer(), from, packet),
            Arrival::Nothing => return,
        }
        let from = InboundEsp {
            source: from.source,
            destination: from.destination,
            encapsulated: !socket.is_raw(),
        };
        if let Some(worker) = self.kernel.worker_of(packet) {
            return self.stray(worker, from, packet);
        }
        if batch.room().is_none() {
            self.write_inward(now, batch);
        }
        let Some(room) = batch.room() else { return };
        if room.fill(packet) {
            batch.add();
            self.from.push(from);
        } else {
            self.long_packet(now, from, packet, batch);
        }
    }

    /// A packet too long for the batch: as long as the outside can make one of fragments.
    fn long_packet(&mut self, now: Now, from: InboundEsp, packet: &[u8], batch: &mut Batch) {
        self.write_inward(now, batch);
        let mut buffer = Buffer::new(packet.len());
        if buffer.fill(packet) {
            let action = self.kernel.esp_input(now, from, &mut buffer);
            self.act(action, &buffer);
        }
    }

    /// Decrypts the batch and writes it to the TUN device, or wherever its packets go.
    fn write_inward(&mut self, now: Now, batch: &mut Batch) {
        let mut actions = std::mem::take(&mut self.actions);
        self.kernel
            .esp_batch(now, &self.from, batch.packets_mut(), &mut actions);
        for (place, action) in actions.drain(..).enumerate() {
            if action == Action::Tun {
                self.coalescer.add(batch.packets());
                continue;
            }
            self.coalescer.skip();
            if let Some(packet) = batch.packets().get(place) {
                self.act(action, packet);
            }
        }
        self.actions = actions;
        let (tun, packets) = (&self.tun, batch.packets_mut());
        traffic::write(tun, &mut self.coalescer, packets, &mut self.counters);
        self.from.clear();
        batch.clear();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self) {
        self.kernel.handle_timeout(now());
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.kernel.next_timeout()
    }

    /// After one or more of the calls above and below: sends what nodes have to send, wakes who
    /// has something to read, changes the host.
    pub fn settle(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.transmit(now(), &mut buffer);
        self.buffer = buffer;
        while let Some(socket) = self.kernel.graph.poll_readable() {
            if let Some(wake) = self.netgraph.get(&socket) {
                wake.notify_one();
            }
        }
        while let Some((socket, message)) = self.kernel.ipsec.poll_message() {
            let outbox = self.pfkey.get_mut(&socket);
            if outbox.is_some_and(|outbox| !outbox.push(message, MAX_QUEUE)) {
                self.counters.slow_pfkey += 1;
            }
        }
        while let Some(change) = self.kernel.graph.poll_host_change() {
            self.change_host(&change);
        }
        self.route_tunnels();
        self.encapsulation.close_unused(&self.kernel.ipsec);
        while let Some((worker, order)) = self.kernel.poll_order() {
            self.team.order(worker, order);
        }
        self.deadline_changed.notify_one();
    }

    /// A connection to `pfkey.sock`.
    pub fn open_pfkey(&mut self) -> (PfkeySocketId, Rc<Notify>) {
        let socket = self.kernel.ipsec.open_socket();
        let outbox = Outbox::default();
        let wake = Rc::clone(&outbox.wake);
        self.pfkey.insert(socket, outbox);
        (socket, wake)
    }

    /// Its end.
    pub fn close_pfkey(&mut self, socket: PfkeySocketId) {
        self.kernel.ipsec.close_socket(socket);
        self.pfkey.remove(&socket);
    }

    /// A message on it.
    pub fn pfkey_message(&mut self, socket: PfkeySocketId, message: &[u8]) {
        let Now { instant, wall } = now();
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        self.kernel
            .ipsec
            .request(instant, wall, socket, message, &mut rng);
    }

    /// Sends what nodes have to send.
    fn transmit(&mut self, now: Now, buffer: &mut Buffer) {
        while let Some(action) = self.kernel.poll_transmit(now, buffer) {
            self.act(action, buffer);
        }
    }

    /// What its reader has to read.
    pub fn pfkey_outbox(&mut self, socket: PfkeySocketId) -> Option<&mut Outbox> {
        self.pfkey.get_mut(&socket)
    }

    /// A connection to `netgraph.sock`.
    ///
    /// # Errors
    /// ENOBUFS when there are too many nodes.
    pub fn open_netgraph(&mut self) -> Result<(NodeId, Rc<Notify>), Errno> {
        let socket = self.kernel.graph.open_socket()?;
        let wake = Rc::new(Notify::new());
        self.netgraph.insert(socket, Rc::clone(&wake));
        Ok((socket, wake))
    }

    /// Its end.
    pub fn close_netgraph(&mut self, socket: NodeId) {
        self.kernel.graph.close_socket(Instant::now(), socket);
        self.netgraph.remove(&socket);
    }

    /// A frame on it.
    pub fn netgraph_frame(&mut self, socket: NodeId, frame: Frame<'_>) {
        let now = now();
        let mut buffer = std::mem::take(&mut self.buffer);
        let action = self.kernel.netgraph_frame(now, socket, frame, &mut buffer);
        self.act(action, &buffer);
        // The next frame may be the end of a node that has something to send now.
        self.transmit(now, &mut buffer);
        self.buffer = buffer;
    }

    /// The oldest frame for its reader.
    pub fn netgraph_front(&self, socket: NodeId) -> Option<&[u8]> {
        self.kernel.graph.front(socket)
    }

    /// The oldest frame is sent.
    pub fn netgraph_pop(&mut self, socket: NodeId) {
        self.kernel.graph.pop(socket);
    }

    /// A connection to `udp.sock`, not bound yet.
    pub fn open_port(&mut self) -> (PortId, Rc<Notify>) {
        self.last_port += 1;
        let id = PortId(self.last_port);
        let outbox = Outbox::default();
        let wake = Rc::clone(&outbox.wake);
        self.ports.insert(id, outbox);
        (id, wake)
    }

    /// Its end. An encapsulation socket stays open for ESP (see [`Encapsulations`]).
    pub fn close_port(&mut self, id: PortId) {
        self.ports.remove(&id);
        self.kernel.unbind_port(id);
        self.encapsulation.unbind(id);
    }

    /// What its reader has to read.
    pub fn port_outbox(&mut self, id: PortId) -> Option<&mut Outbox> {
        self.ports.get_mut(&id)
    }

    /// Binds a connection to an inner port.
    ///
    /// # Errors
    /// EADDRINUSE, EINVAL.
    pub fn bind_inner(&mut self, id: PortId, local: SocketAddr) -> Result<SocketAddr, Errno> {
        self.kernel.bind_port(id, local)?;
        Ok(local)
    }

    /// Binds a connection to an encapsulation port. Some: a new socket that wants reading.
    ///
    /// # Errors
    /// See [`Encapsulations::bind`].
    pub fn bind_encapsulation(
        &mut self,
        id: PortId,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    ) -> io::Result<(SocketAddr, Option<Opened>)> {
        let (local, opened) = self.encapsulation.bind(id, local, peer)?;
        if let (Some(opened), None, workers @ 2..) = (&opened, peer, self.team.workers()) {
            match opened.socket.share(workers) {
                Ok(others) => self.team.read(others),
                Err(error) => warn!(self.log, "one worker gets all packets of a port";
                    "port" => %local, "reason" => %error,
                    "remedy" => "Linux 4.5 or later, or workers: 1"),
            }
        }
        Ok((local, opened))
    }

    /// The other workers.
    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// A worker cannot go on by itself.
    pub(crate) fn worker_says(&mut self, worker: usize, upward: Upward) {
        match upward {
            Upward::Notice(notice) => self.kernel.noticed(now(), notice),
            Upward::Ike(local, from, datagram) => self.ike_input(local, None, from, &datagram),
            Upward::Packet(what, packet) => {
                let mut buffer = std::mem::take(&mut self.buffer);
                if buffer.fill(&packet) {
                    let action = self.kernel.handed_over(now(), worker, &what, &mut buffer);
                    self.act(action, &buffer);
                }
                self.buffer = buffer;
            }
        }
    }

    /// A datagram from a bound connection.
    pub fn port_datagram(&mut self, id: PortId, meta: Meta, payload: &[u8]) {
        if let Some(socket) = self.encapsulation.bound_by(id) {
            let result = socket.send(meta.local.ip(), meta.peer, payload);
            self.sent(result);
        } else {
            let mut buffer = std::mem::take(&mut self.buffer);
            let action = self
                .kernel
                .port_output(now(), id, meta, payload, &mut buffer);
            self.act(action, &buffer);
            self.buffer = buffer;
        }
    }

    fn ike_input(
        &mut self,
        local: SocketAddr,
        peer: Option<SocketAddr>,
        from: Addresses,
        datagram: &[u8],
    ) {
        let Some(binder) = self.encapsulation.binder(local, peer) else {
            self.counters.ike_unbound += 1;
            return;
        };
        let meta = Meta {
            local: from.destination,
            peer: from.source,
            reqid: 0,
        };
        self.push_datagram(binder, meta, datagram);
    }

    /// Carries out what the kernel wants done with a packet.
    fn act(&mut self, action: Action, packet: &Buffer) {
        match action {
            Action::Done => {}
            Action::Tun => traffic::write_alone(&self.tun, packet, &mut self.counters),
            Action::Esp(esp) => self.send_esp(&esp, std::slice::from_ref(packet)),
            Action::Port(port, meta) => self.push_datagram(port, meta, packet),
            Action::Worker(worker, from) => self.stray(worker, from, packet),
        }
    }

    /// ESP of an SA that a worker has.
    fn stray(&mut self, worker: usize, from: InboundEsp, packet: &[u8]) {
        match self.team.stray(worker, from, packet) {
            true => self.counters.handed_over += 1,
            false => self.counters.not_handed_over += 1,
        }
    }

    /// Sends packets to one peer.
    fn send_esp(&mut self, esp: &OutboundEsp, packets: &[Buffer]) {
        let socket = match esp.encapsulated {
            true => self.encapsulation.towards(esp.source, esp.destination),
            false => {
                let mut raw = self.raw.iter().map(Rc::as_ref);
                raw.find(|socket| socket.serves(esp.source))
            }
        };
        traffic::send(socket, esp, packets, &mut self.counters, &self.log);
    }

    fn push_datagram(&mut self, port: PortId, meta: Meta, payload: &[u8]) {
        let mut packet = Vec::with_capacity(payload.len() + 64);
        Packet::Datagram { meta, payload }.emit(&mut packet);
        let outbox = self.ports.get_mut(&port);
        if outbox.is_none_or(|outbox| !outbox.push(Zeroizing::new(packet), MAX_DATAGRAMS)) {
            self.counters.slow_reader += 1;
        }
    }

    fn sent(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.counters.send_errors += 1;
            debug!(self.log, "packet not sent"; "reason" => %error);
        }
    }

    fn route_tunnels(&mut self) {
        let mut changes = Vec::new();
        let log = &self.log;
        self.tunnel_routes.update(
            &self.kernel.ipsec,
            |change| changes.push(change),
            |tunnel| {
                warn!(log, "no route set for a tunnel that covers its own gateway";
                    "network" => format!("{}/{}", tunnel.network, tunnel.prefix),
                    "gateway" => %tunnel.gateway,
                    "remedy" => "route the network to this device, and the gateway around it");
            },
        );
        for change in &changes {
            self.change_host(change);
        }
    }

    fn change_host(&mut self, change: &HostChange) {
        if let Err(error) = self.host.apply(change) {
            self.counters.host_errors += 1;
            warn!(self.log, "the system refuses an address or route";
                "device" => self.tun.name(), "change" => ?change, "reason" => %error);
        }
    }
}

fn now() -> Now {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Now {
        instant: Instant::now(),
        wall,
    }
}

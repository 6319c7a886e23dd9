//! The kernel with its devices: every packet and message goes through here, one at a time, in one
//! buffer that is never given away.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
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
use crate::offload::coalesce::MAX_PACKETS;
use crate::offload::{Coalescer, Malformed, Segments, VirtioHeader};
use crate::os::arrivals::Arrivals;
use crate::os::host::Host;
use crate::os::outer::{Addresses, OuterSocket};
use crate::os::tun::Tun;
use crate::tunnel_routes::TunnelRoutes;

/// Reads from the TUN device before the sockets have their turn.
const BATCH: usize = 32;
/// What ESP and what it carries here add to a packet of the TUN device, generously.
const OVERHEAD: usize = 256;
/// Messages that wait for a slow reader of `pfkey.sock` and `udp.sock`.
const MAX_QUEUE: usize = 65_536;
const MAX_DATAGRAMS: usize = 1024;
/// RFC 3948 section 2.2.
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// RFC 3948 section 2.3.
const KEEPALIVE: [u8; 1] = [0xff];

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
    counters: Counters,
    /// Signalled when the next deadline may have changed.
    pub deadline_changed: Rc<Notify>,
    log: Logger,
}

impl Engine {
    /// Puts the parts together; `mtu` is the TUN device's.
    pub fn new(
        kernel: Kernel,
        tun: Rc<Tun>,
        host: Host,
        raw: Vec<Rc<OuterSocket>>,
        mtu: usize,
        log: Logger,
    ) -> Self {
        let payload = mtu + OVERHEAD;
        Self {
            kernel,
            buffer: Buffer::new(Buffer::PAYLOAD),
            long: vec![0; Buffer::PAYLOAD].into_boxed_slice(),
            outward: Batch::new(payload),
            actions: Vec::new(),
            arrivals: None,
            inward: Batch::new(payload),
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
        let mut result = Ok(());
        for _ in 0..BATCH {
            let (header, length) = match tun.receive(&mut long) {
                Ok(received) => received,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let packet = long.get(..length).unwrap_or_default();
            if self.cut(now, header, packet, &mut batch).is_err() {
                self.counters.bad_offloads += 1;
            }
        }
        self.send_outward(now, &mut batch);
        (self.outward, self.long) = (batch, long);
        result
    }

    /// Adds the pieces of a packet from the TUN device to the batch, which goes whenever it is full.
    fn cut(
        &mut self,
        now: Now,
        header: VirtioHeader,
        packet: &[u8],
        batch: &mut Batch,
    ) -> Result<(), Malformed> {
        let mut segments = Segments::new(header, packet)?;
        loop {
            if batch.room().is_none() {
                self.send_outward(now, batch);
            }
            let Some(room) = batch.room() else {
                return Ok(());
            };
            if !segments.next_into(room)? {
                return Ok(());
            }
            batch.add();
        }
    }

    /// Encrypts the batch and sends it.
    fn send_outward(&mut self, now: Now, batch: &mut Batch) {
        let mut actions = std::mem::take(&mut self.actions);
        self.kernel
            .tun_batch(now, batch.packets_mut(), &mut actions);
        let mut packets = batch.packets();
        let mut rest = &actions[..];
        while let Some(first) = rest.first() {
            let row = match first {
                Action::Esp(esp) => row_to(esp, rest),
                _ => 1,
            };
            let (these, others) = packets.split_at(row.min(packets.len()));
            match (first, these.first()) {
                (Action::Esp(esp), _) => self.send_esp(esp, these),
                (action, Some(packet)) => self.act(*action, packet),
                (_, None) => {}
            }
            (packets, rest) = (others, rest.get(row..).unwrap_or_default());
        }
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
        let encapsulated = !socket.is_raw();
        if encapsulated {
            if socket.peer().is_some_and(|peer| peer != from.source) {
                self.counters.strangers += 1;
                return;
            } else if packet.starts_with(&NON_ESP_MARKER) {
                self.ike_input(socket, from, packet);
                return;
            } else if packet == KEEPALIVE {
                self.counters.keepalives += 1;
                return;
            } else if packet.len() < NON_ESP_MARKER.len() {
                self.counters.runts += 1;
                return;
            }
        }
        let from = InboundEsp {
            source: from.source,
            destination: from.destination,
            encapsulated,
        };
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
        let (tun, errors) = (&self.tun, &mut self.counters.tun_errors);
        self.coalescer.for_each(batch.packets_mut(), |parts| {
            if tun.send(parts).is_err() {
                *errors += 1;
            }
        });
        self.coalescer.clear();
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
    pub fn netgraph_frame(&mut self, socket: NodeId, packet: &[u8]) {
        if let Ok(frame) = Frame::parse(packet) {
            let now = now();
            let mut buffer = std::mem::take(&mut self.buffer);
            let action = self.kernel.netgraph_frame(now, socket, frame, &mut buffer);
            self.act(action, &buffer);
            // The next frame may be the end of a node that has something to send now.
            self.transmit(now, &mut buffer);
            self.buffer = buffer;
        }
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
        self.encapsulation.bind(id, local, peer)
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

    fn ike_input(&mut self, socket: &OuterSocket, from: Addresses, datagram: &[u8]) {
        let Some(binder) = self.encapsulation.binder(socket) else {
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
            Action::Tun => {
                let header = VirtioHeader::PLAIN.emit();
                let parts = [IoSlice::new(&header), IoSlice::new(packet)];
                if self.tun.send(&parts).is_err() {
                    self.counters.tun_errors += 1;
                }
            }
            Action::Esp(esp) => self.send_esp(&esp, std::slice::from_ref(packet)),
            Action::Port(port, meta) => self.push_datagram(port, meta, packet),
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
        let Some(socket) = socket else {
            self.counters.no_socket += packets.len() as u64;
            return;
        };
        for packets in packets.chunks(MAX_PACKETS) {
            let mut parts = [IoSlice::new(&[]); MAX_PACKETS];
            let mut used = 0;
            let sealed = packets.iter().filter(|packet| !packet.is_empty());
            for (part, packet) in parts.iter_mut().zip(sealed) {
                *part = IoSlice::new(packet);
                used += 1;
            }
            let parts = parts.get(..used).unwrap_or_default();
            let result = socket.send_batch(esp.source.ip(), esp.destination, parts);
            if let Err((refused, error)) = result {
                self.counters.send_errors += refused as u64;
                debug!(self.log, "packets not sent"; "packets" => refused, "reason" => %error);
            }
        }
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

/// How many actions from the first on go to the same peer.
fn row_to(first: &OutboundEsp, actions: &[Action]) -> usize {
    let same = |action: &&Action| {
        matches!(action, Action::Esp(esp) if esp.source == first.source
            && esp.destination == first.destination
            && esp.encapsulated == first.encapsulated)
    };
    actions.iter().take_while(same).count()
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

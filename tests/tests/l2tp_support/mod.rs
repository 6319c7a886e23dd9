//! Two user-space kernels in memory, joined by raw ESP, each with the Unix sockets that `l2tpd`
//! connects to. No TUN device and no socket of the operating system but those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod daemon;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Instant;

use netgraph::frame;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, accept, bind, listen,
    recv, send, shutdown, socket,
};
use pfkey::setkey::TimeZone;
use pfkey::{
    Address, AuthenticationAlgorithm, Direction, EncryptionAlgorithm, Key, Mode, Numbering, Policy,
    PolicyRequest, Request, SaRequest, SaType, SpRequest,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkernel::buffer::Buffer;
use softkernel::graph::{Graph, Limits, NodeId};
use softkernel::ipsec::{self, InboundEsp, Ipsec, OutboundEsp, PfkeySocketId};
use softkernel::kernel::{Action, Kernel, Now, PortId};
use softkernel_port::{MAX_PACKET, Packet};
use tokio::sync::mpsc;

/// Which socket of a machine a connection came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    Pfkey,
    Netgraph,
    Udp,
}

enum Message {
    Opened(OwnedFd),
    Packet(Vec<u8>),
    Closed,
}

type Letter = (usize, Door, u64, Message);

/// One kernel and the connections to it.
struct Machine {
    kernel: Kernel,
    buffer: Buffer,
    pfkey: PfkeySocketId,
    pfkey_client: pfkey::Client,
    pfkey_sockets: HashMap<u64, (PfkeySocketId, OwnedFd)>,
    netgraph: HashMap<u64, (NodeId, OwnedFd)>,
    ports: HashMap<u64, OwnedFd>,
    outgoing: VecDeque<(OutboundEsp, Vec<u8>)>,
    tun: VecDeque<Vec<u8>>,
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: 1_700_000_000,
    }
}

impl Machine {
    fn new(address: IpAddr) -> Self {
        let source = move |peer: IpAddr| (peer.is_ipv4() == address.is_ipv4()).then_some(address);
        let graph = Graph::new(Limits::default(), Box::new(source));
        let ipsec = Ipsec::new(Instant::now(), ipsec::Config::default());
        let mut kernel = Kernel::new(ipsec, graph, Box::new(source));
        let pfkey = kernel.ipsec.open_socket();
        Self {
            kernel,
            buffer: Buffer::new(Buffer::PAYLOAD),
            pfkey,
            pfkey_client: pfkey::Client::new(Numbering::FreeBsd, 1),
            pfkey_sockets: HashMap::new(),
            netgraph: HashMap::new(),
            ports: HashMap::new(),
            outgoing: VecDeque::new(),
            tun: VecDeque::new(),
        }
    }

    fn ask(&mut self, request: &Request) {
        let replies = self.pfkey(self.pfkey, &request.bytes);
        let reply = replies.first().expect("a reply");
        assert_eq!(reply[2], 0, "no error: {reply:02x?}");
    }

    /// One message written to a PF_KEY socket; what our own socket hears.
    fn pfkey(&mut self, socket: PfkeySocketId, message: &[u8]) -> Vec<Vec<u8>> {
        let Now { instant, wall } = now();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        self.kernel
            .ipsec
            .request(instant, wall, socket, message, &mut rng);
        let mut heard = Vec::new();
        while let Some((socket, message)) = self.kernel.ipsec.poll_message() {
            let mut others = self.pfkey_sockets.values();
            match others.find(|(other, _)| *other == socket) {
                Some((_, connection)) => tell(connection, &message),
                None => heard.push(message.to_vec()),
            }
        }
        heard
    }

    fn handle(&mut self, door: Door, id: u64, message: Message) {
        match (door, message) {
            (Door::Pfkey, Message::Opened(connection)) => {
                let socket = self.kernel.ipsec.open_socket();
                self.pfkey_sockets.insert(id, (socket, connection));
            }
            (Door::Pfkey, Message::Packet(packet)) => {
                let (socket, _) = self.pfkey_sockets[&id];
                self.pfkey(socket, &packet);
            }
            (Door::Pfkey, Message::Closed) => {
                let (socket, _) = self.pfkey_sockets.remove(&id).unwrap();
                self.kernel.ipsec.close_socket(socket);
            }
            (Door::Netgraph, Message::Opened(connection)) => {
                let node = self.kernel.graph.open_socket().unwrap();
                self.netgraph.insert(id, (node, connection));
            }
            (Door::Netgraph, Message::Packet(packet)) => {
                let (node, _) = self.netgraph[&id];
                for frame in frame::frames(&packet) {
                    let action = self
                        .kernel
                        .netgraph_frame(now(), node, frame, &mut self.buffer);
                    self.act(action);
                    // The next frame may be the end of a node that has something to send now.
                    self.transmit();
                }
            }
            (Door::Netgraph, Message::Closed) => {
                let (node, _) = self.netgraph.remove(&id).unwrap();
                self.kernel.graph.close_socket(Instant::now(), node);
            }
            (Door::Udp, Message::Opened(connection)) => {
                self.ports.insert(id, connection);
            }
            (Door::Udp, Message::Packet(packet)) => match Packet::parse(&packet).unwrap() {
                Packet::Bind { local, encap, peer } => {
                    assert!(!encap && peer.is_none());
                    let answer = match self.kernel.bind_port(PortId(id), local) {
                        Ok(()) => Packet::Bound { local },
                        // The socket of a killed daemon may not be known to be closed yet.
                        Err(errno) => Packet::Error { errno: errno.0 },
                    };
                    self.tell_port(id, answer);
                }
                Packet::Datagram { meta, payload } => {
                    let port = PortId(id);
                    let action =
                        self.kernel
                            .port_output(now(), port, meta, payload, &mut self.buffer);
                    self.act(action);
                }
                other => panic!("{other:?}"),
            },
            (Door::Udp, Message::Closed) => {
                self.ports.remove(&id);
                self.kernel.unbind_port(PortId(id));
            }
        }
    }

    fn tell_port(&self, id: u64, packet: Packet<'_>) {
        let mut bytes = Vec::new();
        packet.emit(&mut bytes);
        tell(&self.ports[&id], &bytes);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Done | Action::Worker(..) => {}
            Action::Tun => self.tun.push_back(self.buffer.to_vec()),
            Action::Esp(esp) => self.outgoing.push_back((esp, self.buffer.to_vec())),
            Action::Port(PortId(id), meta) => {
                let payload = self.buffer.to_vec();
                self.tell_port(
                    id,
                    Packet::Datagram {
                        meta,
                        payload: &payload,
                    },
                );
            }
        }
    }

    fn transmit(&mut self) {
        while let Some(action) = self.kernel.poll_transmit(now(), &mut self.buffer) {
            self.act(action);
        }
    }

    /// Sends what nodes want to send, and hands the sockets what is theirs.
    fn settle(&mut self) {
        self.transmit();
        while self.kernel.graph.poll_readable().is_some() {}
        for (node, connection) in self.netgraph.values() {
            while let Some(frame) = self.kernel.graph.front(*node) {
                let mut packet = frame::Packet::default();
                packet.push(frame);
                tell(connection, packet.bytes());
                self.kernel.graph.pop(*node);
            }
        }
    }
}

/// The daemon may have gone; then its connection closes next.
fn tell(connection: &OwnedFd, packet: &[u8]) {
    let _ = send(connection.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL);
}

/// Both machines.
#[derive(Clone)]
pub(crate) struct Network {
    machines: Rc<RefCell<[Machine; 2]>>,
    letters: mpsc::UnboundedSender<Letter>,
    sockets: Rc<RefCell<Vec<PathBuf>>>,
}

pub(crate) const SERVER: usize = 0;
pub(crate) const CLIENT: usize = 1;
const ADDRESSES: [[u8; 4]; 2] = [[192, 0, 2, 1], [198, 51, 100, 9]];
/// What ike-daemon called the other side, on each machine.
const REQIDS: [u32; 2] = [7, 5];

impl Network {
    /// Inside a `LocalSet`. `folders` are the runtime folders of the machines.
    pub(crate) fn start(folders: [&Path; 2]) -> Self {
        let (letters, incoming) = mpsc::unbounded_channel();
        let machines = ADDRESSES.map(|address| Machine::new(IpAddr::from(address)));
        let network = Self {
            machines: Rc::new(RefCell::new(machines)),
            letters,
            sockets: Rc::default(),
        };
        network.protect();
        for (machine, folder) in folders.into_iter().enumerate() {
            let folder = folder.join("softkernel");
            std::fs::create_dir_all(&folder).unwrap();
            network.open(machine, Door::Pfkey, &folder.join("pfkey.sock"));
            network.open(machine, Door::Netgraph, &folder.join("netgraph.sock"));
            network.open(machine, Door::Udp, &folder.join("udp.sock"));
        }
        tokio::task::spawn_local(network.clone().run(incoming));
        network
    }

    /// Ends both kernels; nobody can connect any more, and who has is told.
    pub(crate) fn end(&self) {
        for socket in self.sockets.borrow_mut().drain(..) {
            std::fs::remove_file(socket).unwrap();
        }
        for machine in self.machines.borrow().iter() {
            let pfkey = machine.pfkey_sockets.values().map(|(_, socket)| socket);
            let netgraph = machine.netgraph.values().map(|(_, socket)| socket);
            for connection in pfkey.chain(netgraph).chain(machine.ports.values()) {
                shutdown(connection.as_raw_fd(), Shutdown::Both).unwrap();
            }
        }
    }

    /// The policies of a machine: of each the first three lines of `setkey -DP`.
    pub(crate) fn policies(&self, machine: usize) -> Vec<String> {
        let mut machines = self.machines.borrow_mut();
        let machine = &mut machines[machine];
        let request = machine.pfkey_client.spd_dump().unwrap();
        let entries = machine.pfkey(machine.pfkey, &request.bytes);
        machine.pfkey_client.reset();
        let entries = entries.iter().filter_map(|bytes| {
            let message = pfkey::Message::parse(bytes, Numbering::FreeBsd).unwrap();
            // An empty SPD answers with an error.
            message.policy()?;
            let text = pfkey::setkey::policy(&message, &TimeZone::UTC);
            let lines: Vec<&str> = text.lines().take(3).map(str::trim).collect();
            Some(lines.join(" "))
        });
        entries.collect()
    }

    /// What `spdadd` does.
    pub(crate) fn spdadd(&self, machine: usize, policy: &SpRequest) {
        let machine = &mut self.machines.borrow_mut()[machine];
        let request = machine.pfkey_client.spd_add(policy);
        machine.ask(&request);
    }

    /// What `spdflush` does.
    pub(crate) fn spdflush(&self, machine: usize) {
        let machine = &mut self.machines.borrow_mut()[machine];
        let request = machine.pfkey_client.spd_flush();
        machine.ask(&request);
    }

    /// SAs between the two, and the policy that leads the client's tunnel to them.
    fn protect(&self) {
        let [server, client] = ADDRESSES.map(IpAddr::from);
        let mut machines = self.machines.borrow_mut();
        for (machine, reqid) in machines.iter_mut().zip(REQIDS) {
            for (spi, source, destination) in [(0x1001, client, server), (0x1002, server, client)] {
                let sa = SaRequest {
                    sa_type: SaType::ESP,
                    spi,
                    source,
                    destination,
                    mode: Mode::TRANSPORT,
                    reqid,
                    encryption: EncryptionAlgorithm::AES_GCM_16,
                    encryption_key: Key::new(&[spi as u8; 20]),
                    authentication: AuthenticationAlgorithm::NONE,
                    authentication_key: None,
                    replay_window: 64,
                    flags: 0,
                    lifetimes: None,
                    nat_t: None,
                };
                let request = machine.pfkey_client.add(&sa);
                machine.ask(&request);
            }
        }
        let machine = &mut machines[CLIENT];
        let policy = SpRequest {
            source: Address::selector(client, 32, 1701, 17),
            destination: Address::selector(server, 32, 1701, 17),
            policy: Policy::ipsec(
                Direction::OUTBOUND,
                PolicyRequest::esp_transport_unique(REQIDS[CLIENT]),
            ),
            lifetime: None,
        };
        let request = machine.pfkey_client.spd_add(&policy);
        machine.ask(&request);
    }

    fn open(&self, machine: usize, door: Door, path: &Path) {
        self.sockets.borrow_mut().push(path.to_owned());
        let listener = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        listen(&listener, Backlog::new(8).unwrap()).unwrap();
        let letters = self.letters.clone();
        thread::spawn(move || {
            for id in 0.. {
                let Ok(descriptor) = accept(listener.as_raw_fd()) else {
                    return;
                };
                // SAFETY: `accept` has just made the descriptor, and nobody else knows it.
                #[allow(unsafe_code)]
                let connection = unsafe { OwnedFd::from_raw_fd(descriptor) };
                let copy = connection.try_clone().unwrap();
                let letters = letters.clone();
                if letters
                    .send((machine, door, id, Message::Opened(copy)))
                    .is_err()
                {
                    return;
                }
                thread::spawn(move || {
                    let mut buffer = vec![0; MAX_PACKET];
                    loop {
                        let length = recv(connection.as_raw_fd(), &mut buffer, MsgFlags::empty())
                            .unwrap_or(0);
                        let message = match length {
                            0 => Message::Closed,
                            length => Message::Packet(buffer[..length].to_vec()),
                        };
                        if letters.send((machine, door, id, message)).is_err() || length == 0 {
                            return;
                        }
                    }
                });
            }
        });
    }

    async fn run(self, mut incoming: mpsc::UnboundedReceiver<Letter>) {
        loop {
            let due = {
                let machines = self.machines.borrow();
                machines
                    .iter()
                    .filter_map(|machine| machine.kernel.next_timeout())
                    .min()
            };
            let wake = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                letter = incoming.recv() => {
                    let Some((machine, door, id, message)) = letter else { return };
                    self.machines.borrow_mut()[machine].handle(door, id, message);
                }
                () = wake => {
                    for machine in self.machines.borrow_mut().iter_mut() {
                        machine.kernel.handle_timeout(now());
                    }
                }
            }
            self.settle();
        }
    }

    /// Carries ESP between the machines until there is none.
    fn settle(&self) {
        let mut machines = self.machines.borrow_mut();
        loop {
            machines.iter_mut().for_each(Machine::settle);
            let [one, two] = &mut *machines;
            let moved = carry(one, two) + carry(two, one);
            if moved == 0 {
                return;
            }
        }
    }

    /// An IP packet from the host of a machine; what arrived at the other's host.
    pub(crate) fn through(&self, from: usize, packet: &[u8]) -> Vec<Vec<u8>> {
        {
            let mut machines = self.machines.borrow_mut();
            let machine = &mut machines[from];
            assert!(machine.buffer.fill(packet));
            let action = machine.kernel.tun_input(now(), &mut machine.buffer);
            machine.act(action);
        }
        self.settle();
        self.machines.borrow_mut()[1 - from].tun.drain(..).collect()
    }

    /// Whether a node of a session is there.
    pub(crate) fn has_sessions(&self, machine: usize) -> bool {
        let of_session = |name: &String| name.starts_with("tanuki-p");
        self.nodes(machine).iter().any(of_session)
    }

    /// The names of a machine's nodes.
    pub(crate) fn nodes(&self, machine: usize) -> Vec<String> {
        let machines = self.machines.borrow();
        machines[machine]
            .kernel
            .graph
            .describe()
            .filter_map(|node| node.name)
            .collect()
    }
}

fn carry(from: &mut Machine, to: &mut Machine) -> usize {
    let mut count = 0;
    while let Some((esp, packet)) = from.outgoing.pop_front() {
        let OutboundEsp {
            source,
            destination,
            encapsulated,
            ..
        } = esp;
        assert!(to.buffer.fill(&packet));
        let esp = InboundEsp {
            source,
            destination,
            encapsulated,
        };
        let action = to.kernel.esp_input(now(), esp, &mut to.buffer);
        to.act(action);
        count += 1;
    }
    count
}

/// An ICMP echo request.
pub(crate) fn ping(from: [u8; 4], to: [u8; 4], number: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, number, 0, 0, 64, 1, 0, 0];
    packet.extend(from);
    packet.extend(to);
    packet.extend([8, 0, 0, 0, 0, 1, 0, number]);
    packet
}

/// A server's address as the configuration has it.
pub(crate) fn server() -> SocketAddr {
    SocketAddr::from((ADDRESSES[SERVER], 1701))
}

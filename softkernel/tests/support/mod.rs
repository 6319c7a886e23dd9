//! One user-space kernel in memory, with a netgraph socket and a PF_KEY socket opened on it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netgraph::client::{Client, Event};
use netgraph::frame::Frame;
use netgraph::generic::{Connect, Mkpeer, Name};
use netgraph::node::soft_iface::AddressPair;
use netgraph::node::{iface, ksocket, l2tp, ppp, soft_iface, tcpmss};
use netgraph::{Command, Errno, NgMessage, Reply};
use pfkey::client::NatT;
use pfkey::{
    AuthenticationAlgorithm, Direction, EncryptionAlgorithm, Key, Mode, Numbering, Policy,
    PolicyRequest, SaRequest, SaType,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkernel::buffer::Buffer;
use softkernel::graph::{Graph, Limits, NodeId};
use softkernel::ipsec::{self, InboundEsp, Ipsec, OutboundEsp, PfkeySocketId};
use softkernel::kernel::{Action, Kernel, Now};

pub(crate) struct Host {
    pub(crate) kernel: Kernel,
    pub(crate) buffer: Buffer,
    pub(crate) now: Instant,
    pub(crate) socket: NodeId,
    pub(crate) client: Client,
    pfkey: PfkeySocketId,
    pub(crate) pfkey_client: pfkey::Client,
    /// ESP packets on their way out.
    pub(crate) outgoing: VecDeque<(OutboundEsp, Vec<u8>)>,
    /// Packets that reached the TUN device.
    pub(crate) tun: VecDeque<Vec<u8>>,
    /// Datagrams for inner ports.
    pub(crate) datagrams: VecDeque<(softkernel_port::Meta, Vec<u8>)>,
    /// ESP of SAs that workers have.
    pub(crate) strayed: VecDeque<(InboundEsp, Vec<u8>)>,
}

impl Host {
    pub(crate) fn new(address: &str) -> Self {
        Self::with(address, ipsec::Config::default())
    }

    pub(crate) fn with(address: &str, config: ipsec::Config) -> Self {
        let now = Instant::now();
        let address: IpAddr = address.parse().unwrap();
        let source = move |peer: IpAddr| (peer.is_ipv4() == address.is_ipv4()).then_some(address);
        let graph = Graph::new(Limits::default(), Box::new(source));
        let ipsec = Ipsec::new(now, config);
        let mut kernel = Kernel::new(ipsec, graph, Box::new(source));
        let socket = kernel.graph.open_socket().unwrap();
        let pfkey = kernel.ipsec.open_socket();
        Self {
            kernel,
            buffer: Buffer::new(Buffer::PAYLOAD),
            now,
            socket,
            client: Client::new(),
            pfkey,
            pfkey_client: pfkey::Client::new(Numbering::FreeBsd, 1),
            outgoing: VecDeque::new(),
            tun: VecDeque::new(),
            datagrams: VecDeque::new(),
            strayed: VecDeque::new(),
        }
    }

    /// One whose l2tp node, on hook `c`, has its `lower` hook on the socket as `net`: the test is the
    /// network.
    pub(crate) fn l2tp_node(id: u16, peer_id: u16, window: u16) -> Self {
        let mut host = Self::new("192.0.2.1");
        host.call(".:", &Mkpeer::new(l2tp::TYPE, "c", l2tp::HOOK_CTRL))
            .unwrap();
        host.call(".:", &Connect::new("c", "net", l2tp::HOOK_LOWER))
            .unwrap();
        let config = l2tp::Config {
            enabled: true,
            match_id: true,
            tunnel_id: id,
            peer_id,
            peer_window: window,
            retransmit_max: 6,
            retransmit_max_timeout: 4,
        };
        host.call("c", &l2tp::SetConfig(config)).unwrap();
        host
    }

    pub(crate) fn clock(&self) -> Now {
        Now {
            instant: self.now,
            wall: 1_700_000_000,
        }
    }

    /// A new netgraph socket instead of the one there was, which closes.
    pub(crate) fn restart_client(&mut self) {
        self.kernel.graph.close_socket(self.now, self.socket);
        self.socket = self.kernel.graph.open_socket().unwrap();
        self.client = Client::new();
    }

    pub(crate) fn call<C: Command>(&mut self, path: &str, command: &C) -> Result<C::Reply, Errno> {
        let (token, message) = self.client.request(command);
        let bytes = message.emit();
        self.frame(Frame::Control {
            path,
            message: &bytes,
        });
        self.read();
        let data = self
            .client
            .take_completion(token)
            .expect("every request is answered")?;
        Ok(C::Reply::decode(&data).expect("replies have the right form"))
    }

    pub(crate) fn send(&mut self, hook: &str, payload: &[u8]) {
        self.frame(Frame::Data { hook, payload });
    }

    fn frame(&mut self, frame: Frame<'_>) {
        let packet = frame.emit();
        let frame = Frame::parse(&packet).unwrap();
        let action = self
            .kernel
            .netgraph_frame(self.clock(), self.socket, frame, &mut self.buffer);
        self.act(action);
        self.settle();
    }

    pub(crate) fn event(&mut self) -> Option<Event> {
        self.read();
        self.client.poll_event()
    }

    /// The next data on a netgraph hook.
    pub(crate) fn data(&mut self) -> Option<(String, Vec<u8>)> {
        match self.event()? {
            Event::Data { hook, payload } => Some((hook, payload)),
            Event::Message { from, message } => panic!("{from}: {message:?}"),
        }
    }

    fn read(&mut self) {
        while let Some(packet) = self.kernel.graph.front(self.socket).map(<[u8]>::to_vec) {
            self.kernel.graph.pop(self.socket);
            match Frame::parse(&packet).unwrap() {
                Frame::Status { token, result } => {
                    self.client
                        .handle_status(netgraph::client::Token(token), result);
                }
                Frame::Control { path, message } => {
                    self.client
                        .handle_message(path, NgMessage::parse(message).unwrap());
                }
                Frame::Data { hook, payload } => self.client.handle_data(hook, payload),
            }
        }
    }

    pub(crate) fn esp(&mut self, from: InboundEsp, packet: &[u8]) {
        assert!(self.buffer.fill(packet));
        let action = self.kernel.esp_input(self.clock(), from, &mut self.buffer);
        self.act(action);
        self.settle();
    }

    pub(crate) fn tun_packet(&mut self, packet: &[u8]) {
        assert!(self.buffer.fill(packet));
        let action = self.kernel.tun_input(self.clock(), &mut self.buffer);
        self.act(action);
        self.settle();
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.kernel.handle_timeout(self.clock());
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        while let Some(action) = self.kernel.poll_transmit(self.clock(), &mut self.buffer) {
            self.act(action);
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Done => {}
            Action::Tun => self.tun.push_back(self.buffer.to_vec()),
            Action::Esp(esp) => self.outgoing.push_back((esp, self.buffer.to_vec())),
            Action::Port(_, meta) => self.datagrams.push_back((meta, self.buffer.to_vec())),
            Action::Worker(_, from) => self.strayed.push_back((from, self.buffer.to_vec())),
        }
    }

    /// Installs an SA in transport mode with AES-128-GCM.
    pub(crate) fn sa(&mut self, spi: u32, from: SocketAddr, to: SocketAddr, reqid: u32) {
        self.add_sa(&transport_sa(spi, from, to, reqid));
    }

    pub(crate) fn add_sa(&mut self, sa: &SaRequest) {
        let request = self.pfkey_client.add(sa);
        let reply = self.pfkey(&request.bytes);
        assert_eq!(reply[1..3], [3, 0], "SADB_ADD without error: {reply:02x?}");
    }

    /// A PF_KEY message, and the first answer.
    pub(crate) fn pfkey(&mut self, message: &[u8]) -> Vec<u8> {
        let Now { instant, wall } = self.clock();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        self.kernel
            .ipsec
            .request(instant, wall, self.pfkey, message, &mut rng);
        self.message().expect("a reply")
    }

    /// The next PF_KEY message.
    pub(crate) fn message(&mut self) -> Option<Vec<u8>> {
        let (_, message) = self.kernel.ipsec.poll_message()?;
        Some(message.to_vec())
    }

    /// The nodes of a tunnel: l2tp over a connected ksocket of this client.
    pub(crate) fn tunnel(&mut self, tunnel: Tunnel) -> Result<(), Errno> {
        let Tunnel {
            id,
            peer_id,
            local,
            peer,
            reqid,
        } = tunnel;
        let (hook, name) = (format!("c{id:04x}"), format!("tanuki-t{id:04x}"));
        self.call(".:", &Mkpeer::new(l2tp::TYPE, &hook, l2tp::HOOK_CTRL))?;
        self.call(&hook, &Name::new(&name))?;
        let udp = ksocket::udp_hook(peer.ip());
        let path = format!("{name}:");
        self.call(&path, &Mkpeer::new(ksocket::TYPE, l2tp::HOOK_LOWER, udp))?;
        let lower = format!("{name}:{}", l2tp::HOOK_LOWER);
        if let Some(reqid) = reqid {
            for direction in [Direction::INBOUND, Direction::OUTBOUND] {
                let request = PolicyRequest::esp_transport_unique(reqid);
                let policy = Policy::ipsec(direction, request).to_blob(Numbering::FreeBsd);
                let option = ksocket::SocketOption::ipsec_policy(peer.ip(), policy);
                self.call(&lower, &ksocket::SetOption(option))?;
            }
        }
        self.call(&lower, &ksocket::Bind(ksocket::Address(local)))?;
        self.call(&lower, &ksocket::Connect(ksocket::Address(peer)))?;
        self.call(
            &path,
            &l2tp::SetConfig(l2tp::Config {
                enabled: true,
                match_id: true,
                tunnel_id: id,
                peer_id,
                peer_window: 8,
                retransmit_max: 4,
                retransmit_max_timeout: 8,
            }),
        )
    }

    /// The nodes of a session above a tunnel, up to an interface with addresses.
    pub(crate) fn session(&mut self, tunnel: u16, session: u16, peer: u16, addresses: AddressPair) {
        self.control_plane(tunnel, session, peer).unwrap();
        let ppp = format!("tanuki-p{tunnel}-{session}:");
        self.call(&ppp, &Mkpeer::new(tcpmss::TYPE, ppp::HOOK_INET, "ppp"))
            .unwrap();
        let mss = format!("{ppp}{}", ppp::HOOK_INET);
        self.call(&mss, &Mkpeer::new(iface::TYPE, "iface", iface::HOOK_INET))
            .unwrap();
        for (in_hook, out_hook) in [("ppp", "iface"), ("iface", "ppp")] {
            let config = tcpmss::Config {
                in_hook: in_hook.to_owned(),
                out_hook: out_hook.to_owned(),
                max_mss: 1360,
            };
            self.call(&mss, &tcpmss::SetConfig(config)).unwrap();
        }
        let ng = format!("{mss}.iface");
        self.call(&ng, &soft_iface::SetMtu(soft_iface::Mtu(1400)))
            .unwrap();
        self.call(&ng, &soft_iface::SetAddress(addresses)).unwrap();
        let bundle = ppp::BundleConfig {
            ip: true,
            ..ppp::BundleConfig::default()
        };
        let config = ppp::NodeConfig::single_link(bundle, 1400, true, true);
        self.call(&ppp, &ppp::SetConfig(config)).unwrap();
    }

    /// The ppp node of a session, link enabled, packets not.
    pub(crate) fn control_plane(
        &mut self,
        tunnel: u16,
        session: u16,
        peer: u16,
    ) -> Result<(), Errno> {
        let l2tp_path = format!("tanuki-t{tunnel:04x}:");
        let hook = l2tp::session_hook(session);
        self.call(
            &l2tp_path,
            &Mkpeer::new(ppp::TYPE, &hook, &ppp::link_hook(0)),
        )?;
        let name = format!("tanuki-p{tunnel}-{session}");
        self.call(&format!("{l2tp_path}{hook}"), &Name::new(&name))?;
        let bypass = format!("b{session:04x}");
        self.call(
            ".:",
            &Connect::new(&format!("{name}:"), &bypass, ppp::HOOK_BYPASS),
        )?;
        let config = ppp::NodeConfig::single_link(ppp::BundleConfig::default(), 1400, false, false);
        self.call(&format!("{name}:"), &ppp::SetConfig(config))?;
        self.call(
            &l2tp_path,
            &l2tp::SetSessionConfig(l2tp::SessionConfig {
                session_id: session,
                peer_id: peer,
                control_sequencing: true,
                enable_sequencing: false,
                include_length: true,
            }),
        )
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tunnel {
    pub(crate) id: u16,
    pub(crate) peer_id: u16,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) reqid: Option<u32>,
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn pair(local: &str, peer: &str) -> AddressPair {
    AddressPair {
        local: local.parse().unwrap(),
        peer: peer.parse().unwrap(),
    }
}

/// An ICMP echo request.
pub(crate) fn ping(from: &str, to: &str, number: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, number, 0, 0, 64, 1, 0, 0];
    for text in [from, to] {
        let IpAddr::V4(v4) = text.parse().unwrap() else {
            panic!("IPv4 here")
        };
        packet.extend_from_slice(&v4.octets());
    }
    packet.extend_from_slice(&[8, 0, 0, 0, 0, 1, 0, number]);
    packet
}

/// An SA in transport mode with AES-128-GCM; inside UDP when there are ports.
pub(crate) fn transport_sa(spi: u32, from: SocketAddr, to: SocketAddr, reqid: u32) -> SaRequest {
    SaRequest {
        sa_type: SaType::ESP,
        spi,
        source: from.ip(),
        destination: to.ip(),
        mode: Mode::TRANSPORT,
        reqid,
        encryption: EncryptionAlgorithm::AES_GCM_16,
        encryption_key: Key::new(&[spi as u8; 20]),
        authentication: AuthenticationAlgorithm::NONE,
        authentication_key: None,
        replay_window: 64,
        flags: 0,
        lifetimes: None,
        nat_t: (from.port() != 0).then_some(NatT {
            source_port: from.port(),
            destination_port: to.port(),
            original_initiator: None,
            original_responder: None,
        }),
    }
}

//! A world in memory: hosts with an endpoint and a pretended kernel each, a network that loses,
//! repeats and reorders by a seeded generator, one NAT, and a clock that jumps from event to event.

// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_crypto::{Group, Secret};
use ike_proto::Endpoint;
use ike_proto::carrier::{Carrier, PeerPort};
use ike_proto::io::{
    Datagram, Direction, Event, KernelReply, KernelRequest, Mode, Output, SaInstall,
    SecurityPolicy, Transmit,
};
use ike_proto::policy::{Connection, Policy, SecretEntry, SecretPeer};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The server's address in every test.
pub const SERVER: &str = "203.0.113.1";
/// The only secret, unless a test says otherwise.
pub const PSK: &[u8] = b"correct horse battery staple";

/// A datagram on its way, as UDP sees it.
#[derive(Clone, Debug)]
pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}

/// One machine.
pub struct Host {
    pub address: IpAddr,
    pub endpoint: Endpoint,
    pub sas: BTreeMap<(Direction, u32), SaInstall>,
    pub larval: Vec<u32>,
    pub policies: Vec<SecurityPolicy>,
    pub events: Vec<Event>,
    pub sent: Vec<Transmit>,
    /// The kernel each SA went to.
    pub carriers: BTreeMap<(Direction, u32), Carrier>,
    /// Peers that softkernel has been given.
    pub ports: Vec<PeerPort>,
    pub moves: usize,
    pub keepalives: usize,
    /// The kernel does not answer, or refuses.
    pub kernel_fails: bool,
    /// The kernel answers no GETSPI, or no request for an outbound SA.
    pub silent: Option<Silence>,
    /// ESP comes all the time: octets so far.
    pub esp: Option<u64>,
    /// The machine is off: packets to it vanish, its timers stand still.
    pub off: bool,
    next_spi: u32,
}

/// What a kernel takes its time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    GetSpi,
    Outbound,
}

/// A NAT with port translation: (inner address) to (public port).
#[derive(Default)]
pub struct Nat {
    pub public: Option<IpAddr>,
    pub mappings: BTreeMap<SocketAddr, u16>,
    next_port: u16,
}

pub struct World {
    pub now: Instant,
    pub start: Instant,
    /// The wall clock, in seconds, as certificates see it.
    pub wall: u64,
    pub rng: ChaCha20Rng,
    pub hosts: Vec<Host>,
    pub nat: Nat,
    /// Percent of packets lost, and repeated.
    pub loss: u32,
    pub duplicate: u32,
    /// Delay of a packet: 10 ms and up to so many more.
    pub jitter_ms: u64,
    pub wire: Vec<Packet>,
    queue: BTreeMap<(Instant, u64), Packet>,
    serial: u64,
}

pub fn secret() -> SecretEntry {
    SecretEntry {
        peer: SecretPeer::Any,
        secret: Secret::from(PSK),
    }
}

/// A policy with small, quick groups, for tests that are not about algorithms.
pub fn quick_policy() -> Policy {
    let mut policy = Policy {
        secrets: vec![secret()],
        ..Policy::default()
    };
    policy.phase1.groups = vec![Group::Curve25519, Group::Ecp256, Group::Modp2048];
    policy
}

pub fn connection(name: &str, local: &str) -> Connection {
    Connection {
        name: name.to_owned(),
        local: local.parse().unwrap(),
        peer: SocketAddr::new(SERVER.parse().unwrap(), 500),
        local_identity: None,
        peer_identity: None,
        mode: Mode::Transport,
        protocol: 17,
        local_port: 1701,
        peer_port: 1701,
        local_network: None,
        peer_network: None,
        pfs: None,
        initial_contact: true,
        login: None,
        mode_config: false,
        aggressive: false,
    }
}

/// A client's policy: no rekeying by the clock of the server, one connection `vpn`.
pub fn client_policy(local: &str) -> Policy {
    Policy {
        connections: vec![connection("vpn", local)],
        respond: true,
        ..quick_policy()
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let now = Instant::now() + Duration::from_secs(1_000_000);
        Self {
            now,
            start: now,
            // 2030.
            wall: 1_893_456_000,
            rng: ChaCha20Rng::seed_from_u64(seed),
            hosts: Vec::new(),
            nat: Nat::default(),
            loss: 0,
            duplicate: 0,
            jitter_ms: 0,
            wire: Vec::new(),
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    /// A server at 203.0.113.1 as host 0 and a client at 198.51.100.7 as host 1.
    pub fn pair(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.add(SERVER, quick_policy());
        world.add("198.51.100.7", client_policy("198.51.100.7"));
        world
    }

    /// The same, but the client is 192.168.1.5 behind a NAT at 198.51.100.7.
    pub fn pair_behind_nat(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.nat.public = Some("198.51.100.7".parse().unwrap());
        world.add(SERVER, quick_policy());
        world.add("192.168.1.5", client_policy("192.168.1.5"));
        world
    }

    pub fn add(&mut self, address: &str, policy: Policy) -> usize {
        self.hosts.push(Host {
            address: address.parse().unwrap(),
            endpoint: Endpoint::new(policy),
            sas: BTreeMap::new(),
            larval: Vec::new(),
            policies: Vec::new(),
            events: Vec::new(),
            sent: Vec::new(),
            carriers: BTreeMap::new(),
            ports: Vec::new(),
            moves: 0,
            keepalives: 0,
            kernel_fails: false,
            silent: None,
            esp: None,
            off: false,
            next_spi: 0x1000 * (self.hosts.len() as u32 + 1),
        });
        self.hosts.len() - 1
    }

    pub fn initiate(&mut self, host: usize) {
        self.hosts[host]
            .endpoint
            .initiate(self.now, "vpn", &mut self.rng)
            .unwrap();
        self.drain(host);
    }

    /// Does something with a host's endpoint, then what it asks for.
    pub fn with(
        &mut self,
        host: usize,
        step: impl FnOnce(&mut Endpoint, Instant, &mut ChaCha20Rng),
    ) {
        step(&mut self.hosts[host].endpoint, self.now, &mut self.rng);
        self.drain(host);
    }

    pub fn kernel(&mut self, host: usize, reply: KernelReply) {
        self.with(host, |endpoint, now, rng| {
            endpoint.handle_kernel(now, reply, rng)
        });
    }

    /// All outputs of a host, until there are none.
    pub fn drain(&mut self, host: usize) {
        while let Some(output) = self.hosts[host].endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let packet = Packet {
                        from: transmit.local,
                        to: transmit.peer,
                        payload: transmit.udp_payload(),
                    };
                    self.hosts[host].sent.push(transmit);
                    self.send(packet);
                }
                Output::Event(event) => self.hosts[host].events.push(event),
                Output::Job(job) => {
                    let result = job.run(self.wall);
                    let now = self.now;
                    self.hosts[host]
                        .endpoint
                        .handle_job(now, result, &mut self.rng);
                }
                Output::Kernel(carrier, request) => self.kernel_request(host, carrier, request),
            }
        }
    }

    fn kernel_request(&mut self, index: usize, carrier: Carrier, request: KernelRequest) {
        let host = &mut self.hosts[index];
        let reply = match request {
            KernelRequest::GetSpi(get) if host.kernel_fails => Some(KernelReply::Failed {
                child: get.child,
                reason: "no memory".into(),
            }),
            KernelRequest::GetSpi(_) if host.silent == Some(Silence::GetSpi) => None,
            KernelRequest::GetSpi(get) => {
                assert_eq!(get.destination, host.address, "an SPI for somebody else");
                host.next_spi += 1;
                host.larval.push(host.next_spi);
                Some(KernelReply::Spi {
                    child: get.child,
                    spi: host.next_spi,
                })
            }
            KernelRequest::Install(install) => {
                let (child, direction) = (install.child, install.direction);
                if direction == Direction::Inbound {
                    let larval = host.larval.iter().position(|spi| *spi == install.spi);
                    host.larval
                        .remove(larval.expect("inbound SA without GETSPI"));
                }
                host.carriers.insert((direction, install.spi), carrier);
                host.sas.insert((direction, install.spi), *install);
                let silent =
                    host.silent == Some(Silence::Outbound) && direction == Direction::Outbound;
                (!silent).then_some(KernelReply::Installed { child, direction })
            }
            KernelRequest::Delete(delete) => {
                host.larval.retain(|spi| *spi != delete.spi);
                host.sas.remove(&(delete.direction, delete.spi));
                None
            }
            KernelRequest::Look(look) => {
                let known = host.sas.get(&(Direction::Inbound, look.spi));
                assert_eq!(known.map(|sa| sa.child), Some(look.child));
                host.esp = host.esp.map(|octets| octets + 1000);
                Some(KernelReply::Traffic {
                    child: look.child,
                    inbound_octets: host.esp.unwrap_or(0),
                    outbound_octets: 0,
                })
            }
            KernelRequest::MovePeer(moved) => {
                host.moves += 1;
                for (_, spi_in, spi_out) in moved.sas {
                    let outbound = spi_out.map(|spi| (Direction::Outbound, spi));
                    for key in outbound.into_iter().chain([(Direction::Inbound, spi_in)]) {
                        if let Some(sa) = host.sas.get_mut(&key) {
                            sa.peer = moved.new.ip();
                            if let Some(encapsulation) = &mut sa.encapsulation {
                                encapsulation.peer_port = moved.new.port();
                            }
                        }
                    }
                }
                None
            }
            KernelRequest::BindPeer(port) => {
                assert_eq!(carrier, Carrier::Soft);
                assert!(!host.ports.contains(&port), "bound already");
                host.ports.push(port);
                None
            }
            KernelRequest::ReleasePeer(port) => {
                assert!(host.ports.contains(&port), "not bound");
                host.ports.retain(|other| *other != port);
                None
            }
            KernelRequest::AddPolicy(policy) => {
                assert!(!host.policies.contains(&policy));
                // One policy for the same traffic, as in the kernel.
                let same = |other: &SecurityPolicy| {
                    (other.direction, other.traffic) == (policy.direction, policy.traffic)
                };
                host.policies.retain(|other| !same(other));
                host.policies.push(policy);
                None
            }
            KernelRequest::RemovePolicy(policy) => {
                assert!(host.policies.contains(&policy));
                host.policies.retain(|other| *other != policy);
                None
            }
        };
        if let Some(reply) = reply {
            let now = self.now;
            self.hosts[index]
                .endpoint
                .handle_kernel(now, reply, &mut self.rng);
        }
    }

    fn percent(&mut self, percent: u32) -> bool {
        self.rng.next_u32() % 100 < percent
    }

    /// Puts a datagram on the wire, through the NAT where it has to go.
    pub fn send(&mut self, mut packet: Packet) {
        let private = |ip: IpAddr| matches!(ip, IpAddr::V4(v4) if v4.is_private());
        if let (Some(public), true) = (self.nat.public, private(packet.from.ip())) {
            let next = &mut self.nat.next_port;
            let port = *self.nat.mappings.entry(packet.from).or_insert_with(|| {
                *next += 1;
                20_000 + *next
            });
            packet.from = SocketAddr::new(public, port);
        }
        self.wire.push(packet.clone());
        let mut copies = 1;
        if self.percent(self.loss) {
            copies -= 1;
        }
        if self.percent(self.duplicate) {
            copies += 1;
        }
        for _ in 0..copies {
            let extra = self.rng.next_u64() % (self.jitter_ms + 1);
            self.serial += 1;
            let at = self.now + Duration::from_millis(10 + extra);
            self.queue.insert((at, self.serial), packet.clone());
        }
    }

    fn deliver(&mut self, mut packet: Packet) {
        if Some(packet.to.ip()) == self.nat.public {
            let inner = self
                .nat
                .mappings
                .iter()
                .find(|(_, port)| **port == packet.to.port());
            match inner {
                Some((inner, _)) => packet.to = *inner,
                None => return,
            }
        }
        let to = packet.to.ip();
        if let Some(index) = self.hosts.iter().position(|host| host.address == to) {
            self.deliver_to(index, packet);
        }
    }

    /// Hands a datagram to a host as its UDP sockets would.
    pub fn deliver_to(&mut self, index: usize, packet: Packet) {
        if self.hosts[index].off {
            return;
        }
        let natt_port = packet.to.port() == 4500;
        let payload = if natt_port {
            if packet.payload == [0xff] {
                self.hosts[index].keepalives += 1;
                let (local, peer) = (packet.to, packet.from);
                self.with(index, |endpoint, now, rng| {
                    endpoint.handle_keepalive(now, local, peer, rng);
                });
                return;
            }
            match packet.payload.strip_prefix(&[0; 4]) {
                Some(rest) => rest,
                None => return,
            }
        } else {
            &packet.payload
        };
        let datagram = Datagram {
            local: packet.to,
            peer: packet.from,
            natt_port,
            payload,
        };
        let now = self.now;
        self.hosts[index]
            .endpoint
            .handle_datagram(now, datagram, &mut self.rng);
        self.drain(index);
    }

    /// When something happens next.
    fn next(&self) -> Option<Instant> {
        let timers = self
            .hosts
            .iter()
            .filter(|host| !host.off)
            .filter_map(|h| h.endpoint.next_timeout());
        timers
            .chain(self.queue.keys().next().map(|(at, _)| *at))
            .min()
    }

    /// One step of time: packets first, then timers.
    fn step(&mut self, limit: Instant) -> bool {
        let Some(next) = self.next().filter(|next| *next <= limit) else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(next);
        if let Some((&key, _)) = self.queue.first_key_value()
            && key.0 <= self.now
        {
            let packet = self.queue.remove(&key).unwrap();
            self.deliver(packet);
            return true;
        }
        for index in 0..self.hosts.len() {
            if self.hosts[index].off {
                continue;
            }
            let now = self.now;
            self.hosts[index]
                .endpoint
                .handle_timeout(now, &mut self.rng);
            self.drain(index);
        }
        true
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) {
        let limit = self.now + time;
        let mut steps = 0;
        while self.step(limit) {
            steps += 1;
            assert!(steps < 200_000, "the world does not come to rest");
        }
    }

    pub fn run_secs(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// Connects host 1 to the server and checks both agree.
    pub fn connect(&mut self) {
        self.initiate(1);
        self.run_secs(3);
        self.assert_connected(1);
    }

    /// Pairs of IPsec SAs in the endpoint that are up.
    pub fn children(&self, host: usize) -> Vec<ike_proto::view::ChildSaView> {
        let host = &self.hosts[host];
        host.endpoint
            .child_sas(self.now)
            .into_iter()
            .filter(|c| c.established.is_some())
            .collect()
    }

    pub fn established(&self, host: usize) -> Vec<ike_proto::view::IkeSaView> {
        let host = &self.hosts[host];
        host.endpoint
            .ike_sas(self.now)
            .into_iter()
            .filter(|i| i.established.is_some())
            .collect()
    }

    /// The client's newest pair works in both directions: the kernels at both ends hold the same
    /// keys under the same SPIs.
    pub fn assert_connected(&self, client: usize) {
        let children = self.children(client);
        let newest = children.last().expect("client has no IPsec SA");
        self.assert_works(client, newest.spi_in, newest.spi_out);
    }

    pub fn assert_works(&self, client: usize, spi_in: u32, spi_out: u32) {
        for (from, to, spi) in [(0, client, spi_in), (client, 0, spi_out)] {
            let outbound = &self.hosts[from].sas[&(Direction::Outbound, spi)];
            let inbound = &self.hosts[to].sas[&(Direction::Inbound, spi)];
            assert_eq!(outbound.encryption_key, inbound.encryption_key);
            assert_eq!(outbound.auth_key, inbound.auth_key);
            assert!(!outbound.encryption_key.is_empty());
            assert_eq!(outbound.cipher, inbound.cipher);
            assert_eq!(outbound.auth, inbound.auth);
            assert_eq!(outbound.mode, inbound.mode);
            assert_eq!(
                outbound.encapsulation.is_some(),
                inbound.encapsulation.is_some()
            );
        }
    }

    /// Whether some pair of the client works in both directions.
    pub fn works(&self, client: usize) -> bool {
        self.children(client).iter().any(|child| {
            self.hosts[0]
                .sas
                .contains_key(&(Direction::Outbound, child.spi_in))
                && self.hosts[0]
                    .sas
                    .contains_key(&(Direction::Inbound, child.spi_out))
        })
    }

    /// Nothing of anybody is left anywhere, the kernel included.
    pub fn assert_empty(&self, host: usize) {
        let host = &self.hosts[host];
        assert_eq!(host.endpoint.ike_sas(self.now), []);
        assert_eq!(host.endpoint.child_sas(self.now), []);
        assert_eq!(host.endpoint.table_entries(), 0);
        assert!(host.sas.is_empty(), "{:?}", host.sas.keys());
        assert!(host.larval.is_empty());
        assert!(host.policies.is_empty());
    }
}

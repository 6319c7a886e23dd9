//! An [`Endpoint`] as the server has it, with Diffie-Hellman on the spot, a kernel that says yes to
//! everything and a clock that moves when told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_proto::io::{
    ChildId, Datagram, Direction, Event, KernelReply, KernelRequest, Output, SaInstall,
};
use ike_proto::policy::{Policy, SecretEntry, SecretPeer};
use ike_proto::view::{ChildSaView, IkeSaView};
use ike_proto::{Endpoint, io::Transmit};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{Initiator, Pair, Quick};

/// The server's address.
pub const SERVER: &str = "203.0.113.1";
/// Its key.
pub const PSK: &[u8] = b"correct horse battery staple";

/// Default policy with the one key.
pub fn policy() -> Policy {
    Policy {
        secrets: vec![SecretEntry {
            peer: SecretPeer::Any,
            secret: PSK.into(),
        }],
        ..Policy::default()
    }
}

/// However a test ends: five minutes after its last client has said anything nothing is left of it.
impl Drop for Gateway {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.advance(Duration::from_secs(300));
            assert_eq!(self.endpoint.table_entries(), 0, "{:?}", self.events);
            assert!(self.sas.is_empty());
        }
    }
}

/// The server.
pub struct Gateway {
    /// The core.
    pub endpoint: Endpoint,
    /// The address it is dialled by.
    pub local: IpAddr,
    /// The time.
    pub now: Instant,
    /// What the kernel holds.
    pub sas: BTreeMap<(Direction, u32), SaInstall>,
    /// SPIs it has reserved that no SA uses yet.
    pub larval: BTreeSet<u32>,
    /// What was told.
    pub events: Vec<Event>,
    /// Computations done.
    pub jobs: usize,
    /// Requests to the kernel.
    pub requests: usize,
    rng: ChaCha20Rng,
    spi: u32,
}

impl Gateway {
    /// With a policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            endpoint: Endpoint::new(policy),
            local: SERVER.parse().unwrap(),
            now: Instant::now() + Duration::from_secs(1_000_000),
            sas: BTreeMap::new(),
            larval: BTreeSet::new(),
            events: Vec::new(),
            jobs: 0,
            requests: 0,
            rng: ChaCha20Rng::seed_from_u64(5),
            spi: 0x0c00_0000,
        }
    }

    fn drain(&mut self) -> Vec<Transmit> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit),
                Output::Event(event) => self.events.push(event),
                Output::Job(job) => {
                    self.jobs += 1;
                    let result = job.run(0);
                    self.endpoint.handle_job(self.now, result, &mut self.rng);
                }
                Output::Kernel(_, request) => {
                    self.requests += 1;
                    self.kernel(request);
                }
            }
        }
        sent
    }

    fn kernel(&mut self, request: KernelRequest) {
        let reply = match request {
            KernelRequest::GetSpi(get) => {
                self.spi += 1;
                self.larval.insert(self.spi);
                KernelReply::Spi {
                    child: get.child,
                    spi: self.spi,
                }
            }
            KernelRequest::Install(install) => {
                let (child, direction) = (install.child, install.direction);
                if direction == Direction::Inbound {
                    assert!(
                        self.larval.remove(&install.spi),
                        "an SPI that was not reserved"
                    );
                }
                self.sas.insert((direction, install.spi), *install);
                KernelReply::Installed { child, direction }
            }
            KernelRequest::Delete(delete) => {
                self.larval.remove(&delete.spi);
                self.sas.remove(&(delete.direction, delete.spi));
                return;
            }
            _ => return,
        };
        self.endpoint.handle_kernel(self.now, reply, &mut self.rng);
    }

    /// A datagram and what is sent for it.
    pub fn receive(&mut self, peer: &str, natt_port: bool, payload: &[u8]) -> Vec<Transmit> {
        let port = if natt_port { 4500 } else { 500 };
        let datagram = Datagram {
            local: SocketAddr::new(self.local, port),
            peer: peer.parse().unwrap(),
            natt_port,
            payload,
        };
        self.endpoint
            .handle_datagram(self.now, datagram, &mut self.rng);
        self.drain()
    }

    /// A NAT keepalive and what is sent for it.
    pub fn keepalive(&mut self, peer: &str) -> Vec<Transmit> {
        let local = SocketAddr::new(self.local, 4500);
        let peer = peer.parse().unwrap();
        self.endpoint
            .handle_keepalive(self.now, local, peer, &mut self.rng);
        self.drain()
    }

    /// A datagram that is answered with one; the answer.
    pub fn ask(&mut self, peer: &str, natt_port: bool, payload: &[u8]) -> Vec<u8> {
        let mut sent = self.receive(peer, natt_port, payload);
        assert_eq!(sent.len(), 1, "one answer; {:?}", self.events);
        let answer = sent.remove(0);
        assert_eq!(answer.peer, peer.parse().unwrap(), "to where it came from");
        assert_eq!(answer.natt_port, natt_port, "through the same port");
        answer.bytes
    }

    /// Lets time pass; what is sent meanwhile.
    pub fn advance(&mut self, time: Duration) -> Vec<Transmit> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(due) = self.endpoint.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now, &mut self.rng);
            sent.extend(self.drain());
        }
        self.now = end;
        sent
    }

    /// Lets time pass in which packets come over every pair of IPsec SAs.
    pub fn live(&mut self, time: Duration) -> Vec<Transmit> {
        const STEP: Duration = Duration::from_secs(50);
        let end = self.now + time;
        let mut sent = Vec::new();
        while self.now < end {
            sent.extend(self.advance(STEP.min(end - self.now)));
            for child in self.children() {
                let reply = KernelReply::Traffic {
                    child: child.id,
                    inbound_octets: child.inbound_octets + 100,
                    outbound_octets: child.outbound_octets,
                };
                self.endpoint.handle_kernel(self.now, reply, &mut self.rng);
            }
            sent.extend(self.drain());
        }
        sent
    }

    /// A whole Main Mode: the first four messages from `from.0` on port 500, the others from
    /// `from.1` on port 4500 when there is NAT.
    pub fn main_mode(&mut self, client: &mut Initiator, from: (&str, &str)) {
        let mm1 = client.mm1();
        let mm2 = self.ask(from.0, false, &mm1);
        let mm3 = client.mm3(&mm2);
        let mm4 = self.ask(from.0, false, &mm3);
        client.read_mm4(&mm4);
        let mm5 = client.mm5();
        let floats = client.nat != (false, false);
        let peer = if floats { from.1 } else { from.0 };
        let mm6 = self.ask(peer, floats, &mm5);
        client.read_mm6(&mm5, &mm6);
    }

    /// A whole Quick Mode; both ends must hold the same keys afterwards.
    pub fn quick_mode(&mut self, client: &mut Initiator, peer: &str, quick: &Quick) -> Pair {
        let floats = client.nat != (false, false);
        let (qm1, under_way) = client.qm1(quick);
        let qm2 = self.ask(peer, floats, &qm1);
        let (qm3, pair) = client.qm3(&under_way, &qm2);
        let sent = self.receive(peer, floats, &qm3);
        assert!(sent.is_empty(), "{sent:?}");
        self.assert_pair(&pair);
        pair
    }

    /// The kernel holds both halves of the pair with the client's keys.
    pub fn assert_pair(&self, pair: &Pair) {
        for (direction, spi, keys) in [
            (Direction::Inbound, pair.spi_out, &pair.keys_out),
            (Direction::Outbound, pair.spi_in, &pair.keys_in),
        ] {
            let sa = self.sas.get(&(direction, spi)).expect("the SA is there");
            assert_eq!(sa.encryption_key.as_slice(), keys.0);
            assert_eq!(sa.auth_key.as_slice(), keys.1);
        }
    }

    /// Renews a pair of our own accord; what is sent.
    pub fn rekey_child(&mut self, child: ChildId) -> Vec<Transmit> {
        self.endpoint
            .rekey_child(self.now, child, &mut self.rng)
            .unwrap();
        self.drain()
    }

    /// Established ISAKMP SAs.
    pub fn established(&self) -> Vec<IkeSaView> {
        let mut list = self.endpoint.ike_sas(self.now);
        list.retain(|sa| sa.established.is_some());
        list
    }

    /// Installed pairs of IPsec SAs.
    pub fn children(&self) -> Vec<ChildSaView> {
        let mut list = self.endpoint.child_sas(self.now);
        list.retain(|sa| sa.established.is_some());
        list
    }
}

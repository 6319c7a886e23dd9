//! One client: IKE by [`Initiator`], ESP by a kernel of its own, behind a NAT or not.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use softkernel::ipsec::{InboundEsp, PfkeySocketId};
use softkernel::kernel::{Action, PortId};
use softkernel_port::Meta;
use tanuki_tests::ike::gateway::SERVER;
use tanuki_tests::ike::{Initiator, NAT_OA, NOTIFY, Pair, Quick, fragment, id_address, nat_oa};

use crate::kernel::{Host, transport_sa};
use crate::model::Model;
use crate::stack::Stack;

const PUBLIC: &str = "198.51.100.7";
pub(crate) const SERVER6: &str = "2001:db8:203::1";

/// Where a client is, and which address it dials.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) own: IpAddr,
    /// Its address and ports for IKE and NAT traversal as the server sees them.
    pub(crate) seen: (IpAddr, u16, u16),
    pub(crate) dialled: IpAddr,
}

impl Place {
    /// At a public address of its own.
    pub(crate) fn direct() -> Self {
        let own = PUBLIC.parse().unwrap();
        Self {
            own,
            seen: (own, 500, 4500),
            dialled: SERVER.parse().unwrap(),
        }
    }

    /// At 192.168.1.5 behind a NAT that maps its ports to these.
    pub(crate) fn behind_nat(ike: u16, natt: u16) -> Self {
        Self {
            own: "192.168.1.5".parse().unwrap(),
            seen: (PUBLIC.parse().unwrap(), ike, natt),
            ..Self::direct()
        }
    }

    /// At an IPv6 address, behind a translator of prefixes (RFC 6296) or not.
    pub(crate) fn over_ipv6(nat: bool) -> Self {
        let seen = "2001:db8:7::5".parse().unwrap();
        Self {
            own: if nat {
                "fd00:7::5".parse().unwrap()
            } else {
                seen
            },
            seen: if nat {
                (seen, 6, 2805)
            } else {
                (seen, 500, 4500)
            },
            dialled: SERVER6.parse().unwrap(),
        }
    }

    fn is_translated(&self) -> bool {
        self.own != self.seen.0
    }
}

pub(crate) struct Client {
    pub(crate) model: Model,
    pub(crate) place: Place,
    pub(crate) ike: Initiator,
    kernel: Host,
    pfkey: PfkeySocketId,
    keys: pfkey::Client,
    /// Its end of L2TP.
    own: SocketAddr,
    /// ESP in UDP.
    pub(crate) udp: bool,
    serial: u32,
    pub(crate) seed: u64,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) control: VecDeque<Vec<u8>>,
    pub(crate) frames: VecDeque<(u16, Vec<u8>)>,
    pub(crate) ns: u16,
    pub(crate) nr: u16,
    pub(crate) tunnel: u16,
    pub(crate) session: u16,
    pub(crate) inner: [u8; 4],
    pub(crate) ipv6_is_up: bool,
}

impl Client {
    pub(crate) fn new(model: Model, nat: bool, seed: u64) -> Self {
        let place = match nat {
            true => Place::behind_nat(6, 2805),
            false => Place::direct(),
        };
        Self::at(model, place, seed)
    }

    pub(crate) fn at(model: Model, place: Place, seed: u64) -> Self {
        let own = place.own.to_string();
        let mut kernel = Host::new(&own);
        let local = SocketAddr::new(place.own, model.port);
        kernel.kernel.bind_port(PortId(1), local).unwrap();
        let pfkey = kernel.kernel.ipsec.open_socket();
        let dialled = place.dialled.to_string();
        Self {
            ike: Initiator::new(model.dialect.clone(), &own, &dialled, seed),
            model,
            place,
            kernel,
            pfkey,
            keys: pfkey::Client::new(pfkey::Numbering::FreeBsd, 2),
            own: local,
            udp: false,
            serial: 0,
            seed,
            pairs: Vec::new(),
            control: VecDeque::new(),
            frames: VecDeque::new(),
            ns: 0,
            nr: 0,
            tunnel: 0,
            session: 0,
            inner: [0; 4],
            ipv6_is_up: false,
        }
    }

    /// Where the server sees it.
    pub(crate) fn peer(&self, natt_port: bool) -> SocketAddr {
        let (address, ike, natt) = self.place.seen;
        SocketAddr::new(address, if natt_port { natt } else { ike })
    }

    /// Sends a message, in fragments where that was agreed, and gives the answer.
    fn ask(&self, stack: &mut Stack, natt_port: bool, message: &[u8]) -> Vec<u8> {
        let peer = self.peer(natt_port);
        stack.take_ike(peer);
        // The first message comes before the server has agreed to anything.
        let agreed = message[8..16] != [0; 8];
        let size = self.model.fragment.filter(|_| agreed).unwrap_or(usize::MAX);
        for piece in fragment::pieces(message, size) {
            stack.ike_datagram(peer, natt_port, &piece);
        }
        let packets = stack.take_ike(peer);
        fragment::whole(&packets).unwrap_or_else(|| panic!("{packets:02x?} {:#?}", stack.log))
    }

    pub(crate) fn tell(&self, stack: &mut Stack, message: &[u8]) {
        stack.ike_datagram(self.peer(self.udp), self.udp, message);
    }

    pub(crate) fn main_mode(&mut self, stack: &mut Stack) {
        let mm1 = self.ike.mm1();
        let mm2 = self.ask(stack, false, &mm1);
        let mm3 = self.ike.mm3(&mm2);
        let mm4 = self.ask(stack, false, &mm3);
        self.ike.read_mm4(&mm4);
        let server_translated = self.place.dialled != stack.server;
        assert_eq!(
            self.ike.nat,
            (server_translated, self.place.is_translated())
        );
        self.udp = self.ike.nat != (false, false) || self.model.dialect.forged_nat_d;
        let mm5 = self.ike.mm5();
        let mm6 = self.ask(stack, self.udp, &mm5);
        self.ike.read_mm6(&mm5, &mm6);
        self.contact(stack);
    }

    /// A Main Mode, and how long its messages are.
    pub(crate) fn main_mode_lengths(&mut self, stack: &mut Stack) -> [usize; 3] {
        let mm1 = self.ike.mm1();
        let mm2 = self.ask(stack, false, &mm1);
        let mm3 = self.ike.mm3(&mm2);
        let mm4 = self.ask(stack, false, &mm3);
        self.ike.read_mm4(&mm4);
        self.udp = true;
        let mm5 = self.ike.mm5();
        let mm6 = self.ask(stack, true, &mm5);
        self.ike.read_mm6(&mm5, &mm6);
        [mm1.len(), mm3.len(), mm5.len()]
    }

    /// Phase 1 anew, on the port in use: racoon of macOS.
    pub(crate) fn main_mode_again(&mut self, stack: &mut Stack) -> Initiator {
        let (own, dialled) = (self.place.own.to_string(), self.place.dialled.to_string());
        let dialect = self.model.dialect.clone();
        let mut new = Initiator::new(dialect, &own, &dialled, self.seed ^ 0x5eed);
        if self.udp {
            new.own.set_port(4500);
            new.server.set_port(4500);
        }
        // It is not its first contact.
        new.dialect.initial_contact = false;
        let mm1 = new.mm1();
        let mm2 = self.ask(stack, self.udp, &mm1);
        let mm3 = new.mm3(&mm2);
        let mm4 = self.ask(stack, self.udp, &mm3);
        new.read_mm4(&mm4);
        let mm5 = new.mm5();
        let mm6 = self.ask(stack, self.udp, &mm5);
        new.read_mm6(&mm5, &mm6);
        std::mem::replace(&mut self.ike, new)
    }

    fn contact(&mut self, stack: &mut Stack) {
        if self.model.contact_apart {
            let notify = self.ike.initial_contact();
            let message = self.ike.informational(&[(NOTIFY, notify)]);
            self.tell(stack, &message);
        }
    }

    pub(crate) fn next_spi(&mut self) -> u32 {
        self.serial += 1;
        0xc000_0000 + self.seed as u32 * 0x1_0000 + self.serial
    }

    /// What the first message of Quick Mode holds.
    pub(crate) fn quick(&mut self) -> Quick {
        let spi = self.next_spi();
        let mode = if self.udp { 4 } else { 2 };
        let server = self.place.dialled;
        let more = [self.own.ip(), server].map(|ip| (NAT_OA, nat_oa(ip)));
        let scattered = 0x9e37_79b9_u32.wrapping_mul(self.serial);
        Quick {
            message_id: if self.model.counts {
                self.serial
            } else {
                scattered
            },
            sa: (self.model.esp)(spi, mode),
            spi,
            nonce: self.model.quick_nonce,
            pfs: self.model.pfs,
            ids: vec![
                id_address(self.own.ip(), 17, self.model.id_port),
                id_address(server, 17, 1701),
            ],
            more: if self.udp && self.model.nat_oa {
                more.to_vec()
            } else {
                Vec::new()
            },
        }
    }

    pub(crate) fn quick_mode(&mut self, stack: &mut Stack) {
        let quick = self.quick();
        let (qm1, under_way) = self.ike.qm1(&quick);
        let qm2 = self.ask(stack, self.udp, &qm1);
        let (qm3, pair) = self.ike.qm3(&under_way, &qm2);
        self.install(&pair);
        self.pairs.push(pair);
        self.tell(stack, &qm3);
    }

    pub(crate) fn install(&mut self, pair: &Pair) {
        use pfkey::{AuthenticationAlgorithm, EncryptionAlgorithm, Key};
        let port = if self.udp { 4500 } else { 0 };
        let own = SocketAddr::new(self.own.ip(), port);
        let server = SocketAddr::new(self.place.dialled, port);
        for (spi, from, to, keys) in [
            (pair.spi_in, server, own, &pair.keys_in),
            (pair.spi_out, own, server, &pair.keys_out),
        ] {
            let mut request = transport_sa(spi, from, to, 5);
            request.encryption_key = Key::new(&keys.0);
            if pair.transform == 12 {
                request.encryption = EncryptionAlgorithm::AES_CBC;
                request.authentication = match pair.attribute(5) {
                    Some(5) if self.model.cuts_sha256 => AuthenticationAlgorithm::SHA2_256_96,
                    Some(2) => AuthenticationAlgorithm::SHA1_HMAC,
                    Some(5) => AuthenticationAlgorithm::SHA2_256,
                    Some(7) => AuthenticationAlgorithm::SHA2_512,
                    other => panic!("{other:?}"),
                };
                request.authentication_key = Some(Key::new(&keys.1));
            }
            let request = self.keys.add(&request);
            let clock = self.kernel.clock();
            let mut rng = self.ike.rng.clone();
            let ipsec = &mut self.kernel.kernel.ipsec;
            ipsec.request(
                clock.instant,
                clock.wall,
                self.pfkey,
                &request.bytes,
                &mut rng,
            );
            let (_, reply) = ipsec.poll_message().unwrap();
            assert_eq!(reply[1..3], [3, 0], "{reply:02x?}");
        }
    }

    /// An L2TP packet through ESP, and everything that comes of it.
    pub(crate) fn send(&mut self, stack: &mut Stack, packet: &[u8]) {
        let meta = Meta {
            local: self.own,
            peer: SocketAddr::new(self.place.dialled, 1701),
            reqid: 5,
        };
        let clock = self.kernel.clock();
        let Host { kernel, buffer, .. } = &mut self.kernel;
        let action = kernel.port_output(clock, PortId(1), meta, packet, buffer);
        let Action::Esp(esp) = action else {
            panic!("{action:?}")
        };
        let bytes = buffer.to_vec();
        // On the way the addresses are translated.
        let source = match self.udp {
            true => self.peer(true),
            false => esp.source,
        };
        let from = InboundEsp {
            source,
            destination: SocketAddr::new(stack.server, esp.destination.port()),
            encapsulated: esp.encapsulated,
        };
        stack.esp_datagram(from, &bytes);
        self.pump(stack);
    }

    /// What the server sent it by now.
    pub(crate) fn pump(&mut self, stack: &mut Stack) {
        let (address, mapped) = (self.place.seen.0, self.peer(true));
        for (esp, bytes) in stack.take_esp(|to| match self.udp {
            true => to == mapped,
            false => to.ip() == address && to.port() == 0,
        }) {
            assert_eq!(esp.encapsulated, self.udp);
            let port = if self.udp { 4500 } else { 0 };
            let from = InboundEsp {
                source: SocketAddr::new(self.place.dialled, port),
                destination: SocketAddr::new(self.own.ip(), port),
                encapsulated: esp.encapsulated,
            };
            self.kernel.esp(from, &bytes);
        }
        while let Some((_, packet)) = self.kernel.datagrams.pop_front() {
            let bits = u16::from_be_bytes([packet[0], packet[1]]);
            if bits & 0x8000 != 0 {
                if packet.len() > 12 {
                    let ns = u16::from_be_bytes([packet[8], packet[9]]);
                    let again = ns != self.nr;
                    self.nr = ns.wrapping_add(1);
                    if !again {
                        self.control.push_back(packet);
                    }
                }
                continue;
            }
            let mut at = 6;
            at += if bits & 0x4000 != 0 { 2 } else { 0 };
            at += if bits & 0x0800 != 0 { 4 } else { 0 };
            let frame = packet[at..]
                .strip_prefix(&[0xff, 3])
                .unwrap_or(&packet[at..]);
            let (protocol, rest) = if frame[0] & 1 == 1 {
                (u16::from(frame[0]), &frame[1..])
            } else {
                (u16::from_be_bytes([frame[0], frame[1]]), &frame[2..])
            };
            self.frames.push_back((protocol, rest.to_vec()));
        }
    }
}

//! One client from its first IKE message to its pings, and back again: IKE by
//! [`Initiator`], ESP by a kernel of its own, L2TP and PPP by hand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use ppp_proto::auth::mschapv2::{self, Response};
use softkernel::ipsec::{InboundEsp, PfkeySocketId};
use softkernel::kernel::{Action, PortId};
use softkernel_port::Meta;
use tanuki_tests::ike::gateway::SERVER;
use tanuki_tests::ike::{Dialect, Initiator, NAT_OA, Pair, Quick, id_address, nat_oa};

use crate::kernel::{Host, address, transport_sa};
use crate::stack::Stack;

pub(crate) const LCP: u16 = 0xc021;
const CHAP: u16 = 0xc223;
const IPCP: u16 = 0x8021;
const IP: u16 = 0x0021;
const PUBLIC: &str = "198.51.100.7";

/// What makes a client the one it is.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) dialect: Dialect,
    /// The phase 2 offer for an SPI and an encapsulation mode.
    pub(crate) esp: fn(u32, u16) -> Vec<u8>,
    pub(crate) quick_nonce: usize,
    /// Windows counts its message IDs up from 1.
    pub(crate) counts: bool,
    /// Group of PFS: RouterOS.
    pub(crate) pfs: Option<ike_crypto::Group>,
    /// UDP port of L2TP.
    pub(crate) port: u16,
    /// Port in IDci: 0 from Android.
    pub(crate) id_port: u16,
    /// Whether it sends NAT-OA.
    pub(crate) nat_oa: bool,
    pub(crate) sccrq: Vec<Vec<u8>>,
    pub(crate) icrq: Vec<Vec<u8>>,
    pub(crate) iccn: Vec<Vec<u8>>,
    /// LCP options, to be sent without those that are rejected.
    pub(crate) lcp: Vec<Vec<u8>>,
    pub(crate) ipcp: Vec<Vec<u8>>,
}

pub(crate) struct Client {
    pub(crate) model: Model,
    pub(crate) ike: Initiator,
    pub(crate) kernel: Host,
    pfkey: PfkeySocketId,
    keys: pfkey::Client,
    own: SocketAddr,
    nat: bool,
    serial: u32,
    life: u32,
    pub(crate) pairs: Vec<Pair>,
    control: VecDeque<Vec<u8>>,
    frames: VecDeque<(u16, Vec<u8>)>,
    ns: u16,
    nr: u16,
    tunnel: u16,
    session: u16,
    pub(crate) inner: [u8; 4],
}

pub(crate) fn avp(mandatory: bool, vendor: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let bits = (6 + value.len() as u16) | if mandatory { 0x8000 } else { 0 };
    let mut out = [bits, vendor, attribute].map(u16::to_be_bytes).concat();
    out.extend(value);
    out
}

/// A number AVP in a control message.
fn number(message: &[u8], attribute: u16) -> u16 {
    let mut avps = &message[12..];
    while avps.len() >= 8 {
        let length = usize::from(u16::from_be_bytes([avps[0], avps[1]]) & 0x3ff);
        if avps[2..6] == [0, 0, (attribute >> 8) as u8, attribute as u8] {
            return u16::from_be_bytes([avps[6], avps[7]]);
        }
        avps = &avps[length..];
    }
    panic!("no AVP {attribute} in {message:02x?}")
}

fn control_packet(code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = (data.len() as u16 + 4).to_be_bytes();
    [&[code, id, high, low], data].concat()
}

impl Client {
    pub(crate) fn new(model: Model, nat: bool, seed: u64) -> Self {
        let own = if nat { "192.168.1.5" } else { PUBLIC };
        let mut kernel = Host::new(own);
        let local = SocketAddr::new(own.parse().unwrap(), model.port);
        kernel.kernel.bind_port(PortId(1), local).unwrap();
        let pfkey = kernel.kernel.ipsec.open_socket();
        Self {
            ike: Initiator::new(model.dialect.clone(), own, SERVER, seed),
            model,
            kernel,
            pfkey,
            keys: pfkey::Client::new(pfkey::Numbering::FreeBsd, 2),
            own: local,
            nat,
            serial: 0,
            life: seed as u32,
            pairs: Vec::new(),
            control: VecDeque::new(),
            frames: VecDeque::new(),
            ns: 0,
            nr: 0,
            tunnel: 0,
            session: 0,
            inner: [0; 4],
        }
    }

    fn peer(&self, natt_port: bool) -> SocketAddr {
        match (self.nat, natt_port) {
            (true, true) => address("198.51.100.7:2805"),
            (true, false) => address("198.51.100.7:6"),
            (false, _) => address("198.51.100.7:500"),
        }
    }

    fn ask(&self, stack: &mut Stack, natt_port: bool, message: &[u8]) -> Vec<u8> {
        stack.sent.clear();
        stack.ike_datagram(self.peer(natt_port), natt_port, message);
        let answer = stack.sent.pop_front();
        answer.unwrap_or_else(|| panic!("{:#?}", stack.log)).bytes
    }

    pub(crate) fn tell(&self, stack: &mut Stack, message: &[u8]) {
        stack.ike_datagram(self.peer(self.nat), self.nat, message);
    }

    pub(crate) fn main_mode(&mut self, stack: &mut Stack) {
        let mm1 = self.ike.mm1();
        let mm2 = self.ask(stack, false, &mm1);
        let mm3 = self.ike.mm3(&mm2);
        let mm4 = self.ask(stack, false, &mm3);
        self.ike.read_mm4(&mm4);
        assert_eq!(self.ike.nat, (false, self.nat));
        let mm5 = self.ike.mm5();
        let mm6 = self.ask(stack, self.nat, &mm5);
        self.ike.read_mm6(&mm5, &mm6);
    }

    pub(crate) fn quick_mode(&mut self, stack: &mut Stack) {
        self.serial += 1;
        let spi = 0xc000_0000 + self.life * 0x1_0000 + self.serial;
        let mode = if self.nat { 4 } else { 2 };
        let server = SERVER.parse().unwrap();
        let more = [self.own.ip(), server].map(|ip| (NAT_OA, nat_oa(ip)));
        let scattered = 0x9e37_79b9_u32.wrapping_mul(self.serial);
        let quick = Quick {
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
            more: if self.nat && self.model.nat_oa {
                more.to_vec()
            } else {
                Vec::new()
            },
        };
        let (qm1, under_way) = self.ike.qm1(&quick);
        let qm2 = self.ask(stack, self.nat, &qm1);
        let (qm3, pair) = self.ike.qm3(&under_way, &qm2);
        self.install(&pair);
        self.pairs.push(pair);
        self.tell(stack, &qm3);
    }

    fn install(&mut self, pair: &Pair) {
        use pfkey::{AuthenticationAlgorithm, EncryptionAlgorithm, Key};
        let port = if self.nat { 4500 } else { 0 };
        let own = SocketAddr::new(self.own.ip(), port);
        let server = SocketAddr::new(SERVER.parse().unwrap(), port);
        for (spi, from, to, keys) in [
            (pair.spi_in, server, own, &pair.keys_in),
            (pair.spi_out, own, server, &pair.keys_out),
        ] {
            let mut request = transport_sa(spi, from, to, 5);
            request.encryption_key = Key::new(&keys.0);
            if pair.transform == 12 {
                request.encryption = EncryptionAlgorithm::AES_CBC;
                request.authentication = match pair.attribute(5) {
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
    fn send(&mut self, stack: &mut Stack, packet: &[u8]) {
        let meta = Meta {
            local: self.own,
            peer: SocketAddr::new(SERVER.parse().unwrap(), 1701),
            reqid: 5,
        };
        let clock = self.kernel.clock();
        let Host { kernel, buffer, .. } = &mut self.kernel;
        let action = kernel.port_output(clock, PortId(1), meta, packet, buffer);
        let Action::Esp(esp) = action else {
            panic!("{action:?}")
        };
        let bytes = buffer.to_vec();
        let source = match self.nat {
            true => self.peer(true),
            false => esp.source,
        };
        let from = InboundEsp {
            source,
            destination: esp.destination,
            encapsulated: esp.encapsulated,
        };
        stack.esp_datagram(from, &bytes);
        self.pump(stack);
    }

    /// What the server sent by now.
    pub(crate) fn pump(&mut self, stack: &mut Stack) {
        while let Some((esp, bytes)) = stack.esp.pop_front() {
            let port = if self.nat {
                assert_eq!(esp.destination, self.peer(true), "to the mapped port");
                4500
            } else {
                assert!(!esp.encapsulated);
                0
            };
            let from = InboundEsp {
                source: esp.source,
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

    pub(crate) fn control(&mut self, stack: &mut Stack, session: u16, avps: &[Vec<u8>]) {
        let body = avps.concat();
        let length = 12 + body.len() as u16;
        let header = [0xc802, length, self.tunnel, session, self.ns, self.nr];
        let packet = [header.map(u16::to_be_bytes).concat(), body].concat();
        self.ns += u16::from(!avps.is_empty());
        self.send(stack, &packet);
    }

    /// The answer to the last control message.
    fn answer(&mut self, stack: &Stack, kind: u16) -> Vec<u8> {
        let answer = self.control.pop_front();
        let answer = answer.unwrap_or_else(|| panic!("{:#?}", stack.log));
        assert_eq!(number(&answer, 0), kind);
        answer
    }

    pub(crate) fn frame(&mut self, stack: &mut Stack, protocol: u16, payload: &[u8]) {
        let header = [0x0002, self.tunnel, self.session, 0xff03, protocol];
        let packet = [&header.map(u16::to_be_bytes).concat(), payload].concat();
        self.send(stack, &packet);
    }

    pub(crate) fn connect(&mut self, stack: &mut Stack) {
        self.main_mode(stack);
        self.quick_mode(stack);
        self.l2tp(stack);
        self.ppp(stack);
        self.ping(stack);
    }

    pub(crate) fn l2tp(&mut self, stack: &mut Stack) {
        (self.ns, self.nr, self.tunnel, self.session) = (0, 0, 0, 0);
        self.control.clear();
        self.frames.clear();
        self.control(stack, 0, &self.model.sccrq.clone());
        self.tunnel = number(&self.answer(stack, 2), 9);
        self.control(stack, 0, &[avp(true, 0, 0, &[0, 3])]);
        self.control(stack, 0, &self.model.icrq.clone());
        self.session = number(&self.answer(stack, 11), 14);
        self.control(stack, self.session, &self.model.iccn.clone());
        self.control(stack, 0, &[]);
    }

    /// LCP, MS-CHAPv2 and IPCP to their ends: rejected options are left out, Nak'd ones taken.
    pub(crate) fn ppp(&mut self, stack: &mut Stack) {
        let mut options = [
            (LCP, self.model.lcp.clone()),
            (IPCP, self.model.ipcp.clone()),
        ];
        let mut up = [false; 2];
        let request = control_packet(1, 1, &options[0].1.concat());
        self.frame(stack, LCP, &request);
        let mut id = 1;
        for _ in 0..40 {
            let Some((protocol, packet)) = self.frames.pop_front() else {
                break;
            };
            let at = usize::from(protocol == IPCP);
            match (protocol, packet[0]) {
                (LCP | IPCP, 1) => {
                    let mut ack = packet.clone();
                    ack[0] = 2;
                    self.frame(stack, protocol, &ack);
                }
                (LCP | IPCP, 2) => up[at] = true,
                (LCP | IPCP, 3 | 4) => {
                    let mut changed = &packet[4..];
                    while let [kind, length, ..] = changed {
                        let (option, rest) = changed.split_at(usize::from(*length));
                        let list = &mut options[at].1;
                        let index = list.iter().position(|own| own[0] == *kind).unwrap();
                        if packet[0] == 4 {
                            list.remove(index);
                        } else {
                            list[index] = option.to_vec();
                        }
                        changed = rest;
                    }
                    id += 1;
                    let request = control_packet(1, id, &options[at].1.concat());
                    self.frame(stack, protocol, &request);
                }
                (CHAP, 1) => {
                    let authenticator = packet[5..21].try_into().unwrap();
                    let peer_challenge = [0x21; 16];
                    let hash = mschapv2::nt_password_hash(b"clientPass");
                    let nt_response =
                        mschapv2::nt_response(&authenticator, &peer_challenge, b"User", &hash);
                    let value = Response {
                        peer_challenge,
                        nt_response,
                    };
                    let data = [&[49][..], &value.emit(), b"User"].concat();
                    self.frame(stack, CHAP, &control_packet(2, packet[1], &data));
                }
                (CHAP, 3) => {
                    let request = control_packet(1, 1, &options[1].1.concat());
                    self.frame(stack, IPCP, &request);
                }
                other => panic!("{other:x?} {packet:02x?}"),
            }
        }
        assert_eq!(up, [true; 2], "{:#?}", stack.log);
        let address = options[1].1.iter().find(|option| option[0] == 3).unwrap();
        self.inner = address[2..].try_into().unwrap();
        assert_eq!(self.inner[..3], [10, 77, 0]);
    }

    /// An echo request to the server's inner address reaches its TUN device, the reply comes back.
    pub(crate) fn ping(&mut self, stack: &mut Stack) {
        let packet = |from: [u8; 4], to: [u8; 4], kind: u8| {
            let mut ip = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0];
            ip.extend(from);
            ip.extend(to);
            let sum: u32 = ip
                .chunks(2)
                .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
                .sum();
            let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            ip.extend([kind, 0, !kind, 0xff, 0, 0, 0, 0]);
            ip
        };
        let server = [10, 77, 0, 1];
        let request = packet(self.inner, server, 8);
        self.frame(stack, IP, &request);
        assert_eq!(
            stack.kernel.tun.pop_front(),
            Some(request),
            "{:#?}",
            stack.log
        );
        let reply = packet(server, self.inner, 0);
        stack.kernel.tun_packet(&reply);
        stack.esp.append(&mut stack.kernel.outgoing);
        self.pump(stack);
        let back = self.frames.pop_front();
        assert_eq!(back, Some((IP, reply)), "{:#?}", stack.log);
    }

    /// CDN and StopCCN.
    pub(crate) fn hang_up(&mut self, stack: &mut Stack) {
        let cdn = [
            avp(true, 0, 0, &[0, 14]),
            avp(true, 0, 1, &[0, 3]),
            self.model.icrq[1].clone(),
        ];
        self.control(stack, self.session, &cdn);
        let assigned = self.model.sccrq.iter().find(|avp| avp[4..6] == [0, 9]);
        let stop = [
            avp(true, 0, 0, &[0, 4]),
            assigned.unwrap().clone(),
            avp(true, 0, 1, &[0, 1]),
        ];
        self.control(stack, 0, &stop);
    }

    pub(crate) fn terminate(&mut self, stack: &mut Stack) {
        self.frame(stack, LCP, &control_packet(5, 10, &[]));
        assert_eq!(self.frames.pop_front().map(|frame| frame.1[0]), Some(6));
    }
}

/// Lets time pass without the client.
pub(crate) fn silence(stack: &mut Stack, seconds: u64) {
    for _ in 0..seconds {
        stack.advance(Duration::from_secs(1));
        stack.esp.clear();
        stack.sent.clear();
    }
}

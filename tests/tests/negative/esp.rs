//! ESP (RFC 4303, RFC 3948) and what is inside it, up to the L2TP header: packets made from a valid
//! ping of a client behind NAT, thrown at the user-space kernel. Each is dropped, counted under one
//! name, answered with nothing, and the next ping comes through.

use std::collections::BTreeMap;

use hex_literal::hex;
use ike_crypto::{Cipher, Hash, Iv, prf};
use pfkey::{AuthenticationAlgorithm, EncryptionAlgorithm, Key, Numbering, SaRequest};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkernel::ipsec::{Drop, InboundEsp};
use softkernel::kernel::PortId;

use crate::kernel::{Host, Tunnel, address, pair, ping, transport_sa};

const SERVER: &str = "192.0.2.1:4500";
const CLIENT: &str = "203.0.113.9:61001";
const SPI: u32 = 0x1001;
const KEY: [u8; 16] = [0x31; 16];
const MAC: [u8; 20] = [0x32; 20];

/// A server with one client, and the client's side of ESP by hand.
pub(crate) struct Bench {
    pub(crate) server: Host,
    sequence: u32,
}

/// An ESP packet put together by hand; what is not said is as it should be.
struct Packet {
    spi: u32,
    sequence: u32,
    plain: Vec<u8>,
    /// Padding and its length are right.
    trailer: Vec<u8>,
}

impl Packet {
    fn seal(&self) -> Vec<u8> {
        let mut body = [self.plain.as_slice(), &self.trailer].concat();
        let iv = [0x5a; 16];
        Cipher::Aes128
            .encrypt(&KEY, &Iv::new(&iv).unwrap(), &mut body)
            .unwrap();
        let head = [self.spi, self.sequence].map(u32::to_be_bytes).concat();
        let whole = [head.as_slice(), &iv, &body].concat();
        let icv = prf(Hash::Sha1, &MAC, &[&whole]);
        [&whole, &icv.expose()[..12]].concat()
    }
}

/// Padding of RFC 4303 2.4 for so much plaintext.
fn trailer(len: usize, next_header: u8) -> Vec<u8> {
    let padding = (16 - (len + 2) % 16) % 16;
    let mut trailer: Vec<u8> = (1..=padding as u8).collect();
    trailer.extend([padding as u8, next_header]);
    trailer
}

fn udp(source: u16, destination: u16, length: u16, checksum: u16, payload: &[u8]) -> Vec<u8> {
    let head = [source, destination, length, checksum].map(u16::to_be_bytes);
    [&head.concat(), payload].concat()
}

/// A ping in PPP in an L2TP data message for tunnel 1, session 1.
fn l2tp_data(number: u8) -> Vec<u8> {
    let packet = ping("10.0.0.2", "10.0.0.1", number);
    [&hex!("0002 0001 0001 ff03 0021")[..], &packet].concat()
}

impl Bench {
    pub(crate) fn new() -> Self {
        let mut server = Host::new("192.0.2.1");
        let inbound = SaRequest {
            encryption: EncryptionAlgorithm::AES_CBC,
            encryption_key: Key::new(&KEY),
            authentication: AuthenticationAlgorithm::SHA1_HMAC,
            authentication_key: Some(Key::new(&MAC)),
            ..transport_sa(SPI, address(CLIENT), address(SERVER), 1)
        };
        let socket = server.kernel.ipsec.open_socket();
        let request = pfkey::Client::new(Numbering::FreeBsd, 7).add(&inbound);
        let now = server.clock();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let ipsec = &mut server.kernel.ipsec;
        ipsec.request(now.instant, now.wall, socket, &request.bytes, &mut rng);
        while ipsec.poll_message().is_some() {}
        server.sa(0x1002, address(SERVER), address(CLIENT), 1);
        let tunnel = Tunnel {
            id: 1,
            peer_id: 2,
            local: address("192.0.2.1:1701"),
            peer: address("203.0.113.9:1701"),
            reqid: Some(1),
        };
        server.tunnel(tunnel).unwrap();
        server.session(1, 1, 2, pair("10.0.0.1", "10.0.0.2"));
        server
            .kernel
            .bind_port(PortId(1), address("0.0.0.0:1701"))
            .unwrap();
        Self {
            server,
            sequence: 0,
        }
    }

    /// The UDP datagram of a ping.
    pub(crate) fn ping_datagram(number: u8) -> Vec<u8> {
        let payload = l2tp_data(number);
        udp(1701, 1701, 8 + payload.len() as u16, 0, &payload)
    }

    fn next(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }

    /// A packet with this inside, otherwise right.
    pub(crate) fn packet(&mut self, plain: &[u8], next_header: u8) -> Vec<u8> {
        Packet {
            spi: SPI,
            sequence: self.next(),
            trailer: trailer(plain.len(), next_header),
            plain: plain.to_vec(),
        }
        .seal()
    }

    fn datagram(&mut self, payload: &[u8]) -> Vec<u8> {
        let length = 8 + payload.len() as u16;
        self.packet(&udp(1701, 1701, length, 0, payload), 17)
    }

    pub(crate) fn receive(&mut self, encapsulated: bool, packet: &[u8]) {
        let from = InboundEsp {
            source: address(CLIENT),
            destination: address(SERVER),
            encapsulated,
        };
        self.server.esp(from, packet);
    }

    /// Every counter of a drop, by name.
    fn drops(&self) -> BTreeMap<String, u64> {
        let kernel = &self.server.kernel;
        let counters = kernel.ipsec.counters();
        let mut all: BTreeMap<_, _> = Drop::ALL
            .iter()
            .map(|reason| (reason.name().to_owned(), counters.dropped(*reason)))
            .collect();
        let graph = kernel.graph.drops();
        all.extend(graph.map(|(reason, count)| (format!("{reason:?}"), count)));
        let outside = kernel.counters();
        all.extend([
            ("not_udp".to_owned(), outside.not_udp),
            ("malformed".to_owned(), outside.malformed),
            ("no_listener".to_owned(), outside.no_listener),
            ("policy".to_owned(), outside.policy),
        ]);
        all
    }

    /// Nothing has come of it but one more in one counter.
    fn assert_dropped(&mut self, name: &str, before: &BTreeMap<String, u64>, reason: &str) {
        assert!(self.server.tun.is_empty(), "{name}");
        assert!(self.server.outgoing.is_empty(), "{name}: an answer");
        assert!(self.server.datagrams.is_empty(), "{name}");
        assert_eq!(self.server.event(), None, "{name}");
        let now = self.drops();
        let counted: Vec<_> = now
            .iter()
            .filter(|(key, value)| before.get(*key).copied().unwrap_or(0) != **value)
            .map(|(key, value)| (key.as_str(), value - before.get(key).copied().unwrap_or(0)))
            .collect();
        assert_eq!(counted, [(reason, 1)], "{name}");
    }

    /// Rows of a name, a packet and the counter it ends in.
    fn drop_all(&mut self, rows: impl IntoIterator<Item = (String, Vec<u8>, &'static str)>) {
        for (name, packet, reason) in rows {
            let before = self.drops();
            self.receive(true, &packet);
            self.assert_dropped(&name, &before, reason);
        }
        self.assert_alive();
    }

    /// A ping still comes through.
    pub(crate) fn assert_alive(&mut self) {
        let packet = self.datagram(&l2tp_data(7));
        self.receive(true, &packet);
        let expected = ping("10.0.0.2", "10.0.0.1", 7);
        assert_eq!(self.server.tun.pop_front(), Some(expected));
    }
}

#[test]
fn what_is_made_by_hand_is_what_the_kernel_takes() {
    let mut bench = Bench::new();
    bench.assert_alive();
    bench.assert_alive();
}

/// SPIs of nobody, and those RFC 4303 2.1 reserves; random ESP is never answered.
#[test]
fn spis() {
    let mut bench = Bench::new();
    let good = bench.datagram(&l2tp_data(1));
    let with = |spi: u32| [&spi.to_be_bytes(), &good[4..]].concat();
    let mut rows = Vec::new();
    rows.extend((1..=255).map(|spi| (format!("SPI {spi}"), with(spi), "in_reserved_spi")));
    for spi in [256, 0x1000, 0x1003, 0x7fff_ffff, u32::MAX] {
        rows.push((format!("SPI {spi:#x}"), with(spi), "in_no_sa"));
    }
    // The SA that sends is at home elsewhere.
    rows.push((
        "SPI of the other direction".into(),
        with(0x1002),
        "in_wrong_destination",
    ));
    bench.drop_all(rows);
    // SPI 0 is the non-ESP marker on UDP, and nothing without UDP.
    let before = bench.drops();
    bench.receive(false, &with(0));
    bench.assert_dropped("SPI 0", &before, "in_reserved_spi");
    let before = bench.drops();
    bench.receive(false, &good);
    bench.assert_dropped("not in UDP", &before, "in_encapsulation");
    bench.assert_alive();
}

/// Packets of every length, cut from a good one (very short ESP has crashed kernels).
#[test]
fn lengths() {
    let mut bench = Bench::new();
    let good = bench.datagram(&l2tp_data(1));
    // SPI, sequence number, IV, one block, ICV.
    let least = 4 + 4 + 16 + 16 + 12;
    let rows: Vec<_> = (0..good.len())
        .map(|len| {
            let reason = match len {
                _ if len < 8 => "in_short",
                _ if len < least => "short or misaligned",
                _ if (len - least) % 16 != 0 => "in_misaligned",
                _ => "in_authentication",
            };
            (format!("{len} octets"), good[..len].to_vec(), reason)
        })
        .collect();
    for (name, packet, reason) in rows {
        let before = bench.drops();
        bench.receive(true, &packet);
        if reason == "short or misaligned" {
            let short = before["in_short"] + before["in_misaligned"];
            let now = bench.drops();
            assert_eq!(now["in_short"] + now["in_misaligned"], short + 1, "{name}");
        } else {
            bench.assert_dropped(&name, &before, reason);
        }
        assert!(bench.server.outgoing.is_empty(), "{name}");
    }
    bench.assert_alive();
}

/// A NAT keepalive is one octet of 0xff, which the socket takes off; more of them are no ESP.
#[test]
fn keepalives_that_are_too_long() {
    let mut bench = Bench::new();
    let rows: Vec<_> = (1..=64)
        .map(|len| {
            let reason = if len < 8 { "in_short" } else { "in_no_sa" };
            (format!("{len} octets of 0xff"), vec![0xff; len], reason)
        })
        .collect();
    bench.drop_all(rows);
}

/// Any bit of SPI, sequence number, IV, ciphertext or ICV.
#[test]
fn every_octet_is_authenticated() {
    let mut bench = Bench::new();
    let good = bench.datagram(&l2tp_data(1));
    let rows = (4..good.len()).map(|at| {
        let mut wrong = good.clone();
        wrong[at] ^= 0x40;
        (format!("octet {at}"), wrong, "in_authentication")
    });
    bench.drop_all(rows.collect::<Vec<_>>());
}

/// Sequence numbers: 0, again, left of the window, and near the end of 32 bits.
#[test]
fn sequence_numbers() {
    let mut bench = Bench::new();
    let packet = |sequence: u32| {
        let payload = l2tp_data(1);
        let plain = udp(1701, 1701, 8 + payload.len() as u16, 0, &payload);
        Packet {
            spi: SPI,
            sequence,
            trailer: trailer(plain.len(), 17),
            plain,
        }
        .seal()
    };
    let mut rows = vec![("0 at first".to_owned(), packet(0), "in_too_old")];
    bench.drop_all(std::mem::take(&mut rows));
    let mut bench = Bench::new();
    for sequence in [1, 100, 64, 1000, u32::MAX - 1, u32::MAX] {
        bench.receive(true, &packet(sequence));
        assert_eq!(bench.server.tun.len(), 1, "{sequence}");
        bench.server.tun.clear();
        let before = bench.drops();
        bench.receive(true, &packet(sequence));
        bench.assert_dropped("again", &before, "in_replayed");
    }
    for (sequence, reason) in [
        (0, "in_too_old"),
        (1, "in_too_old"),
        (u32::MAX - 1, "in_replayed"),
        (u32::MAX - 64, "in_too_old"),
    ] {
        let before = bench.drops();
        bench.receive(true, &packet(sequence));
        bench.assert_dropped(&format!("{sequence} after the last"), &before, reason);
    }
    // What is left in the window is still good.
    bench.receive(true, &packet(u32::MAX - 63));
    assert_eq!(bench.server.tun.len(), 1);
}

/// Authentic packets whose padding is not 1, 2, 3 …, or longer than what is there.
#[test]
fn padding() {
    let mut bench = Bench::new();
    // Its last octet cannot be taken for padding.
    let payload = l2tp_data(99);
    let plain = udp(1701, 1701, 8 + payload.len() as u16, 0, &payload);
    let good = trailer(plain.len(), 17);
    let mut trailers = Vec::new();
    for at in 0..good.len() - 2 {
        let mut wrong = good.clone();
        wrong[at] ^= 1;
        trailers.push(wrong);
    }
    for length in [good.len() as u8 - 1, 100, 254, 255] {
        let mut wrong = good.clone();
        let at = wrong.len() - 2;
        wrong[at] = length;
        trailers.push(wrong);
    }
    let rows: Vec<_> = trailers
        .into_iter()
        .map(|trailer| {
            let packet = Packet {
                spi: SPI,
                sequence: bench.next(),
                plain: plain.clone(),
                trailer,
            };
            ("padding".to_owned(), packet.seal(), "in_padding")
        })
        .collect();
    bench.drop_all(rows);
}

/// Inside there is something else than UDP, or UDP whose length lies.
#[test]
fn what_is_not_udp_inside() {
    let mut bench = Bench::new();
    let payload = l2tp_data(1);
    let length = 8 + payload.len() as u16;
    let mut rows = Vec::new();
    for next_header in (0..=255u8).filter(|next| *next != 17) {
        let reason = match next_header {
            59 => "in_dummy",
            _ => "not_udp",
        };
        let packet = bench.packet(&udp(1701, 1701, length, 0, &payload), next_header);
        rows.push((format!("next header {next_header}"), packet, reason));
    }
    for lie in [0, 1, 7, length + 1, 0x7fff, 0xffff] {
        let packet = bench.packet(&udp(1701, 1701, lie, 0, &payload), 17);
        rows.push((format!("UDP of {lie}"), packet, "malformed"));
    }
    for size in 0..8 {
        let packet = bench.packet(&vec![0; size], 17);
        rows.push((format!("{size} octets of UDP"), packet, "malformed"));
    }
    for port in [0, 1, 53, 500, 1700, 1702, 4500, 65_535] {
        let packet = bench.packet(&udp(1701, port, length, 0, &payload), 17);
        rows.push((format!("to port {port}"), packet, "no_listener"));
    }
    bench.drop_all(rows);
}

/// The UDP checksum is over addresses that a NAT has changed: it is not looked at (RFC 3948 3.1.2).
#[test]
fn checksums_do_not_matter() {
    let mut bench = Bench::new();
    let payload = l2tp_data(1);
    for checksum in [0, 1, 0x1234, 0xffff] {
        let plain = udp(1701, 1701, 8 + payload.len() as u16, checksum, &payload);
        let packet = bench.packet(&plain, 17);
        bench.receive(true, &packet);
        assert_eq!(bench.server.tun.len(), 1, "{checksum:#x}");
        bench.server.tun.clear();
    }
}

/// The source address inside the tunnel is somebody else's, the server's, or nobody's; and there
/// is IP before IPCP is through, which the daemon gets to see and the TUN device not.
#[test]
fn forged_sources_inside_the_tunnel() {
    let mut bench = Bench::new();
    let mut rows = Vec::new();
    for source in [
        "10.0.0.3",
        "10.0.0.1",
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
    ] {
        let inner = ping(source, "10.0.0.1", 1);
        let data = [&hex!("0002 0001 0001 ff03 0021")[..], &inner].concat();
        rows.push((
            format!("from {source}"),
            bench.datagram(&data),
            "WrongSource",
        ));
    }
    bench.drop_all(rows);
}

/// The tunnel goes while packets for it are on their way (CVE-2024-49940).
#[test]
fn the_tunnel_is_removed_under_traffic() {
    let mut bench = Bench::new();
    bench.assert_alive();
    let shutdown = netgraph::generic::Shutdown;
    bench.server.call("tanuki-t0001:", &shutdown).unwrap();
    while bench.server.event().is_some() {}
    for _ in 0..50 {
        // A data message for a tunnel nobody has goes to whoever listens, who drops it.
        let packet = bench.datagram(&l2tp_data(1));
        bench.receive(true, &packet);
        assert!(bench.server.tun.is_empty());
        assert!(bench.server.outgoing.is_empty());
    }
    bench.server.datagrams.clear();
}

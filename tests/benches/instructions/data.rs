//! A client's packets through the whole user-space kernel, and long packets of the TUN device.

use std::hint::black_box;
use std::net::Ipv4Addr;

use softkernel::buffer::Buffer;
use softkernel::ipsec::InboundEsp;
use softkernel::kernel::Action;
use softkernel::offload::virtio::Gso;
use softkernel::offload::{Coalescer, LongPackets, Segments, VirtioHeader};

use crate::esp::BATCH;
use crate::kernel::{Host, Tunnel, address, pair};
use crate::measured;

const SERVER: &str = "192.0.2.1:0";
const CLIENT: &str = "192.0.2.2:0";
const SERVER_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const CLIENT_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const REQID: u32 = 5;
/// Payload of a segment of TCP, and of the packet before it is cut.
const SEGMENT: u16 = 1360;
const SEGMENTS: u16 = 40;
const IP: usize = 20;
const TCP: usize = 20;

/// Two kernels with one session between them.
fn hosts() -> [Host; 2] {
    let ends = [
        (SERVER, CLIENT, SERVER_INSIDE, CLIENT_INSIDE),
        (CLIENT, SERVER, CLIENT_INSIDE, SERVER_INSIDE),
    ];
    ends.map(|(own, other, inside, beyond)| {
        let mut host = Host::new(&address(own).ip().to_string());
        host.sa(0x1001, address(CLIENT), address(SERVER), REQID);
        host.sa(0x1002, address(SERVER), address(CLIENT), REQID);
        let with_port = |text: &str| (address(text).ip(), 1701).into();
        let (local, peer) = (with_port(own), with_port(other));
        let tunnel = Tunnel {
            id: 1,
            peer_id: 1,
            local,
            peer,
            reqid: Some(REQID),
        };
        host.tunnel(tunnel).unwrap();
        host.session(1, 1, 1, pair(&inside.to_string(), &beyond.to_string()));
        host
    })
}

/// A datagram of UDP with `size` bytes of payload.
fn datagram(from: Ipv4Addr, to: Ipv4Addr, size: usize) -> Buffer {
    let length = (IP + 8 + size) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([0x1f, 0x90, 0x1f, 0x90]);
    packet.extend((length - IP as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.resize(usize::from(length), 0x5a);
    let mut buffer = Buffer::new(packet.len());
    assert!(buffer.fill(&packet));
    buffer
}

/// A batch from a host's TUN device; where it goes.
fn send(host: &mut Host, batch: &mut [Buffer], actions: &mut Vec<Action>) {
    actions.clear();
    host.kernel.tun_batch(host.clock(), batch, actions);
}

/// From the TUN device to ESP.
pub(crate) fn outward(size: usize) {
    let [mut server, _] = hosts();
    let packet = datagram(SERVER_INSIDE, CLIENT_INSIDE, size);
    let mut batches = [vec![packet.clone(); BATCH], vec![packet; BATCH]];
    let mut actions = Vec::with_capacity(BATCH);
    let [first, second] = &mut batches;
    send(&mut server, first, &mut actions);
    measured(&mut || send(&mut server, second, &mut actions));
    assert!(
        actions
            .iter()
            .all(|action| matches!(action, Action::Esp(_)))
    );
    assert_eq!(actions.len(), BATCH);
}

/// From ESP to the TUN device.
pub(crate) fn inward(size: usize) {
    let [mut server, mut client] = hosts();
    let packet = datagram(CLIENT_INSIDE, SERVER_INSIDE, size);
    let mut batches = [vec![packet.clone(); BATCH], vec![packet; BATCH]];
    let mut actions = Vec::new();
    for batch in &mut batches {
        send(&mut client, batch, &mut actions);
    }
    let from = InboundEsp {
        source: address(CLIENT),
        destination: address(SERVER),
        encapsulated: false,
    };
    let now = server.clock();
    let mut receive = |batch: &mut [Buffer]| {
        actions.clear();
        server
            .kernel
            .esp_batch(now, &[from; BATCH], batch, &mut actions);
        actions
            .iter()
            .filter(|action| **action == Action::Tun)
            .count()
    };
    let [first, second] = &mut batches;
    receive(first);
    let mut arrived = 0;
    measured(&mut || arrived = receive(second));
    assert_eq!(arrived, BATCH);
}

/// A packet as TCP segmentation offload leaves it, and its header.
fn long_packet() -> (VirtioHeader, Vec<u8>) {
    let length = (IP + TCP) as u16 + SEGMENT * SEGMENTS;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    packet.extend(SERVER_INSIDE.octets());
    packet.extend(CLIENT_INSIDE.octets());
    packet.extend([0x1f, 0x90, 0x1f, 0x91, 0, 0, 0, 1, 0, 0, 0, 1]);
    packet.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    packet.resize(usize::from(length), 0x5a);
    let header = VirtioHeader {
        checksum: Some((IP as u16, 16)),
        gso: Gso::Tcp4,
        header_length: (IP + TCP) as u16,
        segment_size: SEGMENT,
    };
    (header, packet)
}

fn pieces(header: VirtioHeader, packet: &[u8], out: &mut [Buffer]) {
    let mut segments = Segments::new(header, packet).unwrap();
    for room in out {
        assert!(segments.next_into(room).unwrap());
    }
}

/// A long packet into segments with checksums.
pub(crate) fn cut() {
    let (header, packet) = long_packet();
    let mut out = vec![Buffer::new(1500); usize::from(SEGMENTS)];
    measured(&mut || pieces(header, &packet, &mut out));
}

/// The segments into a long packet again.
pub(crate) fn join() {
    let (header, packet) = long_packet();
    let mut batch = vec![Buffer::new(1500); usize::from(SEGMENTS)];
    pieces(header, &packet, &mut batch);
    let takes = LongPackets {
        tcp: true,
        udp: true,
    };
    let mut coalescer = Coalescer::new(takes);
    let mut written = 0;
    measured(&mut || {
        for end in 1..=batch.len() {
            coalescer.add(batch.get(..end).unwrap());
        }
        coalescer.for_each(&mut batch, |parts| {
            black_box(parts);
            written += 1;
        });
    });
    assert_eq!(written, 1);
}

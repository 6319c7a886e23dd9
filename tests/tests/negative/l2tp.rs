//! L2TP (RFC 2661): headers at the listener and at the kernel's node, AVPs in every state of a
//! tunnel. What hidden AVPs, result codes and floods can do is in the crate's own tests.

use std::time::{Duration, Instant};

use hex_literal::hex;
use l2tp_proto::wire::{ControlHeader, MessageType};
use l2tp_proto::{Config, Output, TunnelId};
use netgraph::client::Event;
use netgraph::generic::{Connect, Mkpeer};
use netgraph::node::{l2tp, ppp};

use crate::kernel::Host as Kernel;
use crate::tunnels::{Host, from, sent};

const PEER: &str = "198.51.100.9:1701";

fn avp(bits: u16, vendor: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let head = [bits | (6 + value.len() as u16), vendor, attribute];
    [&head.map(u16::to_be_bytes).concat(), value].concat()
}

fn m(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(0x8000, 0, attribute, value)
}

fn sccrq() -> Vec<Vec<u8>> {
    vec![
        m(0, &[0, 1]),
        m(2, &[1, 0]),
        m(3, &[0, 0, 0, 3]),
        m(7, b"client"),
        m(9, &[0, 77]),
    ]
}

fn datagram(avps: &[Vec<u8>]) -> Vec<u8> {
    let header = ControlHeader {
        tunnel_id: 0,
        session_id: 0,
        ns: 0,
        nr: 0,
    };
    header.emit(&avps.concat())
}

fn with(message: &[u8], at: usize, octets: &[u8]) -> Vec<u8> {
    let mut changed = message.to_vec();
    changed[at..at + octets.len()].copy_from_slice(octets);
    changed
}

/// Header words of every combination of T, L, S, O, P, the reserved bits and all versions, but the
/// one that is right.
fn wrong_flags() -> impl Iterator<Item = u16> {
    (0..=255u16)
        .flat_map(|flags| (0..16u16).map(move |version| flags << 8 | version))
        .filter(|word| *word != 0xc802)
}

/// Nothing of the kind opens a tunnel or is answered.
#[test]
fn headers_at_the_listener() {
    let mut host = Host::new(Config::default(), 1);
    let now = Instant::now();
    let good = datagram(&sccrq());
    let mut rows: Vec<(String, Vec<u8>)> = wrong_flags()
        // Reserved bits are not looked at.
        .filter(|word| word & 0xcb0f != 0xc802)
        .map(|word| {
            (
                format!("flags {word:04x}"),
                with(&good, 0, &word.to_be_bytes()),
            )
        })
        .collect();
    let len = good.len() as u16;
    for length in [0, 1, 6, 11, 12, len + 1, 0x7fff, 0xffff] {
        rows.push((
            format!("length {length}"),
            with(&good, 2, &length.to_be_bytes()),
        ));
    }
    rows.extend((0..12).map(|size| (format!("{size} octets"), good[..size].to_vec())));
    for (name, at) in [("tunnel", 4), ("session", 6), ("Ns", 8)] {
        for value in [1u16, 77, 0x8000, 0xffff] {
            rows.push((
                format!("{name} {value}"),
                with(&good, at, &value.to_be_bytes()),
            ));
        }
    }
    for (name, bytes) in rows {
        let outputs = host.first(now, from(PEER), &bytes);
        let quiet = outputs
            .iter()
            .all(|output| matches!(output, Output::Refused(_)));
        assert!(quiet, "{name}: {outputs:?}");
        host.assert_empty();
    }
    let outputs = host.first(now, from(PEER), &good);
    assert_eq!(sent(&outputs), [MessageType::SCCRP]);
}

/// The kernel's node of a tunnel, and the network on its other side.
struct Node(Kernel);

impl Node {
    fn new() -> Self {
        Self(Kernel::l2tp_node(5, 77, 4))
    }

    /// What comes out: datagrams for the network, and messages for the daemon.
    fn give(&mut self, packet: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.0.send("net", packet);
        let (mut network, mut daemon) = (Vec::new(), Vec::new());
        while let Some(event) = self.0.event() {
            let Event::Data { hook, payload } = event else {
                panic!("{event:?}")
            };
            let list = if hook == "net" {
                &mut network
            } else {
                &mut daemon
            };
            list.push(payload);
        }
        (network, daemon)
    }
}

fn message(ns: u16, nr: u16, avps: &[u8]) -> Vec<u8> {
    let header = ControlHeader {
        tunnel_id: 5,
        session_id: 0,
        ns,
        nr,
    };
    header.emit(avps)
}

const HELLO: [u8; 8] = hex!("8008 0000 0000 0006");

/// Control and data messages that are none: dropped without an answer, and the next good one is
/// delivered.
#[test]
fn headers_at_the_node() {
    let mut node = Node::new();
    let good = message(0, 0, &HELLO);
    let len = good.len() as u16;
    let mut rows: Vec<(String, Vec<u8>)> = wrong_flags()
        .filter(|word| word & 0xcb0f != 0xc802)
        .map(|word| {
            (
                format!("flags {word:04x}"),
                with(&good, 0, &word.to_be_bytes()),
            )
        })
        .collect();
    for length in [0, 1, 6, 11, len + 1, 0x7fff, 0xffff] {
        rows.push((
            format!("length {length}"),
            with(&good, 2, &length.to_be_bytes()),
        ));
    }
    rows.extend((0..12).map(|size| (format!("{size} octets"), good[..size].to_vec())));
    for tunnel in [1u16, 4, 6, 77, 0xffff] {
        rows.push((
            format!("tunnel {tunnel}"),
            with(&good, 4, &tunnel.to_be_bytes()),
        ));
    }
    // Data of sessions that are not there: before ICCN, or never.
    for data in [
        &hex!("0002 0005 0001 ff03 c021 0101 0004")[..],
        &hex!("4002 ffff 0005 0001 ff03 c021 0101 0004"),
        &hex!("4002 0000 0005 0001 ff03 c021 0101 0004"),
        &hex!("0202 0005 0001 ffff ff03 c021 0101 0004"),
        &hex!("0a02 0005 0001 0000 0000 ffff c021"),
        &hex!("0002 0005 0000"),
        &hex!("0002 0005 0001"),
    ] {
        rows.push((format!("data {data:02x?}"), data.to_vec()));
    }
    for (name, packet) in rows {
        let (network, daemon) = node.give(&packet);
        assert!(network.is_empty() && daemon.is_empty(), "{name}");
    }
    let (network, daemon) = node.give(&good);
    assert_eq!((network.len(), daemon.len()), (1, 1));
}

/// Ns and Nr that wrap, jump and go back, in storms: never more answers than messages, none longer,
/// and none at all to acknowledgements.
#[test]
fn sequence_numbers() {
    let mut node = Node::new();
    for number in 0..70_000u32 {
        let ns = number as u16;
        let (network, daemon) = node.give(&message(ns, 0, &HELLO));
        assert_eq!((network.len(), daemon.len()), (1, 1), "{number}");
    }
    let next = 70_000u32 as u16;
    for offset in [1u16, 2, 7, 100, 0x7fff, 0x8000, 0x8001, 0xfff0, 0xffff] {
        let (network, daemon) = node.give(&message(next.wrapping_add(offset), 0, &HELLO));
        assert!(daemon.is_empty(), "Ns {offset} ahead");
        assert!(network.len() <= 1 && network.iter().all(|zlb| zlb.len() == 12));
    }
    for nr in [1, 2, 100, 0x8000, 0xffff] {
        let (network, daemon) = node.give(&message(next, nr, &[]));
        assert!(network.is_empty() && daemon.is_empty(), "ZLB of Nr {nr}");
    }
    for _ in 0..5000 {
        assert!(
            node.give(&message(next, 0, &[])).0.is_empty(),
            "a storm of ZLBs"
        );
    }
    let mut answers = 0;
    for _ in 0..5000 {
        answers += node.give(&message(next.wrapping_sub(1), 0, &HELLO)).0.len();
    }
    assert!(answers <= 5000, "one ZLB for each repetition");
    let (_, daemon) = node.give(&message(next, 0, &HELLO));
    assert_eq!(daemon.len(), 1);
}

/// Data for a session that is there, in every form that is none: the daemon gets nothing.
#[test]
fn data_messages_that_are_none() {
    let mut node = Node::new();
    let host = &mut node.0;
    let hook = l2tp::session_hook(9);
    host.call("c", &Mkpeer::new(ppp::TYPE, &hook, &ppp::link_hook(0)))
        .unwrap();
    let session = format!("c.{hook}");
    host.call(".:", &Connect::new(&session, "b", ppp::HOOK_BYPASS))
        .unwrap();
    let config = ppp::NodeConfig::single_link(ppp::BundleConfig::default(), 1400, true, true);
    host.call(&session, &ppp::SetConfig(config)).unwrap();
    let config = l2tp::SessionConfig {
        session_id: 9,
        peer_id: 10,
        control_sequencing: true,
        enable_sequencing: false,
        include_length: true,
    };
    host.call("c", &l2tp::SetSessionConfig(config)).unwrap();
    let frame = hex!("ff03 c021 0101 0004");
    let data = |flags: u16, fields: &[u16], tail: &[u8]| {
        let head = [&[flags][..], fields].concat();
        let head: Vec<u8> = head.into_iter().flat_map(u16::to_be_bytes).collect();
        [&head, tail].concat()
    };
    for (name, packet) in [
        (
            "length beyond the datagram",
            data(0x4002, &[200, 5, 9], &frame),
        ),
        (
            "length shorter than the header",
            data(0x4002, &[7, 5, 9], &frame),
        ),
        ("length 0", data(0x4002, &[0, 5, 9], &frame)),
        (
            "offset beyond the datagram",
            data(0x0202, &[5, 9, 900], &frame),
        ),
        ("offset to the end", data(0x0202, &[5, 9, 8], &frame)),
        ("half an offset", data(0x0202, &[5, 9], &[0])),
        ("half a sequence", data(0x0802, &[5, 9, 0], &[])),
        ("another session", data(0x0002, &[5, 10], &frame)),
        ("session 0", data(0x0002, &[5, 0], &frame)),
        ("version 3", data(0x0003, &[5, 9], &frame)),
        ("version 1", data(0x0001, &[5, 9], &frame)),
        ("nothing", data(0x0002, &[5, 9], &[])),
        ("FF 03 only", data(0x0002, &[5, 9], &[0xff, 0x03])),
        (
            "an even last octet of a protocol",
            data(0x0002, &[5, 9], &hex!("ff03 c020 01")),
        ),
        ("half a protocol", data(0x0002, &[5, 9], &hex!("ff03 c0"))),
    ] {
        let (network, daemon) = node.give(&packet);
        assert!(network.is_empty(), "{name}");
        // A protocol nobody has is the daemon's to reject, in one frame as long as it came.
        assert!(
            daemon.iter().all(|frame| frame.len() <= packet.len() + 2),
            "{name}"
        );
        if !name.contains("protocol") {
            assert!(daemon.is_empty(), "{name}: {daemon:02x?}");
        }
    }
    let (_, daemon) = node.give(&data(0x0002, &[5, 9], &frame));
    assert_eq!(daemon.len(), 1);
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// It cannot be read: nothing happens.
    Ignored,
    /// The control connection, or the request for it, is refused with StopCCN.
    Stopped,
    /// The call is refused or cleared.
    Disconnected,
    /// The odd part does not matter.
    Served,
}

/// Lists of AVPs behind the right Message Type that are wrong wherever they stand.
fn faults() -> Vec<(String, Vec<u8>)> {
    let mut rows = Vec::new();
    for length in (0..6).chain([200, 1023]) {
        let bits = (0x8000u16 | length).to_be_bytes();
        rows.push((
            format!("an AVP of {length}"),
            [&bits[..], &[0, 0, 0, 7, b'x']].concat(),
        ));
    }
    for size in 1..6 {
        rows.push((format!("{size} octets behind the last AVP"), vec![0; size]));
    }
    for (vendor, attribute) in [(0, 40), (0, 99), (0, 65_535), (9, 1), (311, 1), (65_535, 0)] {
        rows.push((
            format!("AVP {vendor}/{attribute} with M"),
            avp(0x8000, vendor, attribute, b"x"),
        ));
    }
    for attribute in [7, 8, 9, 14, 21] {
        rows.push((
            format!("hidden AVP {attribute} of nobody's key"),
            avp(0xc000, 0, attribute, &[0; 6]),
        ));
    }
    for size in (0..20).filter(|size| *size != 2) {
        rows.push((format!("a tunnel id of {size}"), m(9, &vec![1; size])));
    }
    rows
}

/// A tunnel that is up, maybe with a call that is.
fn established(with_call: bool) -> (Host, Instant, TunnelId, u16) {
    let mut host = Host::new(Config::default(), 2);
    let now = Instant::now();
    host.first(now, from(PEER), &datagram(&sccrq()));
    let tunnel = *host.nodes.keys().next().unwrap();
    host.control(now, tunnel, 0, &m(0, &[0, 3]));
    let mut session = 0;
    if with_call {
        let icrq = [m(0, &[0, 10]), m(14, &[0, 9]), m(15, &[0; 4])].concat();
        host.control(now, tunnel, 0, &icrq);
        session = host.sessions.keys().next().unwrap().1.value();
        let iccn = [m(0, &[0, 12]), m(24, &[0, 1, 0, 0]), m(19, &[0, 0, 0, 1])].concat();
        host.control(now, tunnel, session, &iccn);
        assert_eq!(host.ups.len(), 1);
    }
    (host, now, tunnel, session)
}

/// Everything ends, and nothing is left.
fn end(mut host: Host, mut now: Instant) {
    host.tunnels.shutdown(now);
    host.drain();
    for _ in 0..3 {
        now += Duration::from_secs(60);
        host.tunnels.handle_timeout(now);
        host.drain();
    }
    host.assert_empty();
}

/// SCCRQs with something wrong in them: one StopCCN at most, and no tunnel.
#[test]
fn avps_of_an_sccrq() {
    let mut rows: Vec<(String, Vec<Vec<u8>>, Due)> = faults()
        .into_iter()
        .map(|(name, fault)| (name, [sccrq(), vec![fault]].concat(), Due::Stopped))
        .collect();
    let without = |attribute: usize| {
        let mut avps = sccrq();
        avps.remove(attribute);
        avps
    };
    let mut first = sccrq();
    first.swap(0, 3);
    rows.extend([
        ("no Message Type".to_owned(), without(0), Due::Ignored),
        ("Message Type not first".into(), first, Due::Ignored),
        ("nothing".into(), vec![], Due::Ignored),
        ("no tunnel id".into(), without(4), Due::Stopped),
        (
            "tunnel id 0".into(),
            [without(4), vec![m(9, &[0, 0])]].concat(),
            Due::Stopped,
        ),
        (
            "version 2.0".into(),
            [without(1), vec![m(2, &[2, 0])]].concat(),
            Due::Stopped,
        ),
        (
            "an unknown AVP without M".into(),
            [sccrq(), vec![avp(0, 0, 99, b"x")]].concat(),
            Due::Served,
        ),
        (
            "another vendor's AVP without M".into(),
            [sccrq(), vec![avp(0, 311, 1, &[0; 16])]].concat(),
            Due::Served,
        ),
        (
            "reserved bits".into(),
            [sccrq(), vec![avp(0x3c00, 0, 6, &[1, 0])]].concat(),
            Due::Served,
        ),
        (
            "the longest names".into(),
            [sccrq(), vec![m(8, &[b'v'; 1017])]].concat(),
            Due::Served,
        ),
        (
            "a host name with NUL".into(),
            [without(3), vec![m(7, b"mac\0")]].concat(),
            Due::Served,
        ),
        (
            "an AVP twice".into(),
            [sccrq(), vec![m(10, &[0, 4]), m(10, &[0, 4])]].concat(),
            Due::Served,
        ),
        (
            "a receive window of 0".into(),
            [sccrq(), vec![m(10, &[0, 0])]].concat(),
            Due::Served,
        ),
    ]);
    for (name, avps, due) in rows {
        let mut host = Host::new(Config::default(), 1);
        let now = Instant::now();
        let bytes = datagram(&avps);
        let outputs = host.first(now, from(PEER), &bytes);
        let loose = outputs
            .iter()
            .filter(|output| matches!(output, Output::SendDatagram { .. }));
        let answers = sent(&outputs);
        match due {
            Due::Served => assert_eq!(answers, [MessageType::SCCRP], "{name}"),
            Due::Ignored => assert_eq!(answers, [], "{name}"),
            _ => {
                assert!(loose.count() <= 1, "{name}");
                assert!(
                    answers.iter().all(|kind| *kind == MessageType::STOP_CCN),
                    "{name}"
                );
                host.assert_empty();
            }
        }
        end(host, now);
    }
}

/// The same in messages of a tunnel that is up, and of a call.
#[test]
fn avps_in_a_tunnel_that_is_up() {
    let kinds = [
        (2u16, "SCCRP"),
        (4, "StopCCN"),
        (6, "HELLO"),
        (7, "OCRQ"),
        (10, "ICRQ"),
        (11, "ICRP"),
        (12, "ICCN"),
        (14, "CDN"),
        (15, "WEN"),
        (16, "SLI"),
        (99, "a message of nobody"),
    ];
    for (kind, message) in kinds {
        for (name, fault) in faults() {
            for mandatory in [0x8000, 0] {
                let (mut host, now, tunnel, session) = established(true);
                let before = host.outputs.len();
                let avps = [avp(mandatory, 0, 0, &kind.to_be_bytes()), fault.clone()].concat();
                host.control(now, tunnel, session, &avps);
                host.control(now, tunnel, 0xfff0, &avps);
                let sent = sent(&host.outputs[before..]);
                assert!(sent.len() <= 2, "{message} with {name}: {sent:?}");
                assert_eq!(host.ups.len(), 1, "no other call: {message} with {name}");
                end(host, now);
            }
        }
    }
}

/// WEN and SLI of every size, in a call that goes on.
#[test]
fn error_reports_and_accms_of_every_size() {
    for (kind, attribute, right) in [(15u16, 34, 26), (16, 35, 10)] {
        for size in 0..64 {
            for mandatory in [0x8000, 0] {
                let (mut host, now, tunnel, session) = established(true);
                let avps = [
                    m(0, &kind.to_be_bytes()),
                    avp(mandatory, 0, attribute, &vec![1; size]),
                ];
                let outputs = host.control(now, tunnel, session, &avps.concat());
                let due = match size == right || mandatory == 0 {
                    true => Due::Served,
                    false => Due::Disconnected,
                };
                let cleared = sent(&outputs) == [MessageType::CDN];
                assert_eq!(
                    cleared,
                    due == Due::Disconnected,
                    "{kind} of {size}: {outputs:?}"
                );
                end(host, now);
            }
        }
    }
}

/// Messages before their time: StopCCN before SCCCN, calls before the tunnel is up, ICCN without
/// ICRQ, everything after StopCCN.
#[test]
fn messages_before_and_after_their_time() {
    let icrq = [m(0, &[0, 10]), m(14, &[0, 9]), m(15, &[0; 4])].concat();
    let iccn = [m(0, &[0, 12]), m(24, &[0, 1, 0, 0]), m(19, &[0, 0, 0, 1])].concat();
    let stop = [m(0, &[0, 4]), m(9, &[0, 77]), m(1, &[0, 1])].concat();
    let mut host = Host::new(Config::default(), 3);
    let now = Instant::now();
    host.first(now, from(PEER), &datagram(&sccrq()));
    let tunnel = *host.nodes.keys().next().unwrap();
    for early in [&icrq, &iccn] {
        host.control(now, tunnel, 0, early);
        assert!(host.sessions.is_empty());
        assert!(host.ups.is_empty());
    }
    end(host, now);

    let mut host = Host::new(Config::default(), 3);
    host.first(now, from(PEER), &datagram(&sccrq()));
    let tunnel = *host.nodes.keys().next().unwrap();
    host.control(now, tunnel, 0, &stop);
    for late in [&icrq, &iccn, &stop, &m(0, &[0, 3])] {
        let outputs = host.control(now, tunnel, 0, late);
        assert_eq!(sent(&outputs), []);
    }
    assert!(host.sessions.is_empty());
    end(host, now);

    let (mut host, now, tunnel, _) = established(false);
    for session in [0, 1, 0xffff] {
        host.control(now, tunnel, session, &iccn);
        assert!(host.ups.is_empty());
    }
    end(host, now);
}

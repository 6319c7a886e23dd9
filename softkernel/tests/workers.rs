//! A worker beside the kernel, in memory: what it carries by itself, what it hands over, and that
//! neither of them takes a packet twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use netgraph::generic::Rmhook;
use netgraph::node::{l2tp, ppp, soft_iface};
use pfkey::client::{NatT, SaMove, SaSelector};
use pfkey::{Lifetime, Message, MessageType, Numbering, SaType};
use proptest::prelude::*;
use softkernel::batch::Batch;
use softkernel::graph::Drop;
use softkernel::ipsec::{self, Drop as EspDrop, InboundEsp, OutboundEsp};
use softkernel::kernel::Action;
use softkernel::worker::HandedOver;
use softkernel::worker::plane::{Outcome, Plane};
use support::{Host, Tunnel, address, pair, ping, transport_sa};

const OUTSIDE: &str = "192.0.2.1:4500";
const MAPPED: &str = "203.0.113.9:61001";
const PRIVATE: &str = "10.9.9.9:4500";
const INNER: &str = "10.0.0.2";
const SERVER_INNER: &str = "10.0.0.1";
const REQID: u32 = 7;
/// To the server, and to the client.
const IN: u32 = 0x1001;
const OUT: u32 = 0x1002;
const WORKER: usize = 1;

/// The control thread and one worker, which gets every packet.
struct Server {
    host: Host,
    plane: Plane,
    /// Packets that went from the worker to the control thread.
    handed_over: Vec<HandedOver>,
    from_plane: VecDeque<(OutboundEsp, Vec<u8>)>,
}

impl Server {
    fn new() -> Self {
        let config = ipsec::Config {
            workers: 2,
            ..ipsec::Config::default()
        };
        Self {
            host: Host::with("192.0.2.1", config),
            plane: Plane::default(),
            handed_over: Vec::new(),
            from_plane: VecDeque::new(),
        }
    }

    /// Both hear what the other has to say.
    fn settle(&mut self) {
        let now = self.host.clock();
        while let Some(notice) = self.plane.poll_notice() {
            self.host.kernel.noticed(now, notice);
        }
        while let Some((worker, order)) = self.host.kernel.poll_order() {
            assert_eq!(worker, WORKER);
            self.plane.obey(order);
        }
    }

    fn hand_over(&mut self, what: HandedOver, packet: &[u8]) {
        self.handed_over.push(what);
        assert!(self.host.buffer.fill(packet));
        let now = self.host.clock();
        let action = self
            .host
            .kernel
            .handed_over(now, WORKER, &what, &mut self.host.buffer);
        self.host.act(action);
        self.host.settle();
        self.settle();
    }

    /// A packet at the worker's socket.
    fn esp(&mut self, from: InboundEsp, packet: &[u8]) -> Outcome {
        let mut batch = Batch::new(2000);
        assert!(batch.room().unwrap().fill(packet));
        batch.add();
        let now = self.host.now;
        let mut outcomes = Vec::new();
        self.plane
            .esp_batch(now, &[from], batch.packets_mut(), &mut outcomes);
        let [outcome] = outcomes[..] else {
            panic!("{outcomes:?}")
        };
        let packet = batch.packets()[0].to_vec();
        match outcome {
            Outcome::Done => {}
            Outcome::Tun => self.host.tun.push_back(packet),
            Outcome::Over(what) => self.hand_over(what, &packet),
        }
        self.settle();
        outcome
    }

    /// A packet at the worker's queue of the TUN device; whether it has carried it.
    fn tun_packet(&mut self, packet: &[u8]) -> bool {
        let mut batch = Batch::new(2000);
        assert!(batch.room().unwrap().fill(packet));
        batch.add();
        let (mut actions, mut over) = (Vec::new(), Vec::new());
        self.plane.tun_batch(
            batch.packets_mut(),
            &mut actions,
            |esp| esp.encapsulated,
            |what, packet| over.push((what, packet.to_vec())),
        );
        if let Action::Esp(esp) = actions[0] {
            self.from_plane
                .push_back((esp, batch.packets()[0].to_vec()));
        }
        let carried = over.is_empty();
        for (what, packet) in over {
            self.hand_over(what, &packet);
        }
        self.settle();
        carried
    }

    /// A control message, which workers hear of.
    fn call<C: netgraph::Command>(&mut self, path: &str, command: &C) -> C::Reply {
        let reply = self.host.call(path, command).unwrap();
        self.settle();
        reply
    }

    /// PF_KEY messages of this type that wait.
    fn messages(&mut self, kind: MessageType) -> Vec<Message> {
        let mut found = Vec::new();
        while let Some(bytes) = self.host.message() {
            let message = Message::parse(&bytes, Numbering::FreeBsd).unwrap();
            found.extend((message.kind == kind).then_some(message));
        }
        found
    }
}

fn from_client() -> InboundEsp {
    InboundEsp {
        source: address(MAPPED),
        destination: address(OUTSIDE),
        encapsulated: true,
    }
}

/// Server and client with a session between them.
fn connected() -> (Server, Host) {
    connected_with(None)
}

fn connected_with(lifetimes: Option<(Lifetime, Lifetime)>) -> (Server, Host) {
    let mut server = Server::new();
    let mut client = Host::new("10.9.9.9");
    let (private, mapped, outside) = (address(PRIVATE), address(MAPPED), address(OUTSIDE));
    let register = server.host.pfkey_client.register(SaType::ESP);
    server.host.pfkey(&register.bytes);
    client.sa(IN, private, outside, 5);
    client.sa(OUT, outside, private, 5);
    for (spi, from, to) in [(IN, mapped, outside), (OUT, outside, mapped)] {
        let mut sa = transport_sa(spi, from, to, REQID);
        sa.lifetimes = lifetimes;
        server.host.add_sa(&sa);
    }
    client_session(&mut client);
    server
        .host
        .tunnel(Tunnel {
            id: 9,
            peer_id: 1,
            local: address("192.0.2.1:1701"),
            peer: SocketAddr::new(mapped.ip(), 1701),
            reqid: Some(REQID),
        })
        .unwrap();
    server.host.session(9, 3, 1, pair(SERVER_INNER, INNER));
    server.settle();
    (server, client)
}

/// A client's nodes.
fn client_session(client: &mut Host) {
    client
        .tunnel(Tunnel {
            id: 1,
            peer_id: 9,
            local: address("10.9.9.9:1701"),
            peer: address("192.0.2.1:1701"),
            reqid: Some(5),
        })
        .unwrap();
    client.session(1, 1, 3, pair(INNER, SERVER_INNER));
}

/// The client's packet as the server gets it.
fn esp_of(client: &mut Host, packet: &[u8]) -> Vec<u8> {
    client.tun_packet(packet);
    client.outgoing.pop_front().unwrap().1
}

/// After this the worker knows the session both ways.
fn warm_up(server: &mut Server, client: &mut Host) {
    for number in 0..2 {
        let packet = esp_of(client, &ping(INNER, SERVER_INNER, number));
        server.esp(from_client(), &packet);
        server.tun_packet(&ping(SERVER_INNER, INNER, number));
    }
    assert_eq!(server.host.tun.len(), 2);
    server.host.tun.clear();
    server.handed_over.clear();
    deliver(server, client);
    client.tun.clear();
}

/// What the server sends, by whichever thread, at the client.
fn deliver(server: &mut Server, client: &mut Host) {
    let mut packets: Vec<_> = server.host.outgoing.drain(..).collect();
    packets.extend(server.from_plane.drain(..));
    for (esp, packet) in packets {
        assert_eq!(esp.destination, address(MAPPED));
        let from = InboundEsp {
            source: esp.source,
            destination: address(PRIVATE),
            encapsulated: true,
        };
        client.esp(from, &packet);
    }
}

#[test]
fn the_first_packet_is_the_control_threads_and_the_rest_the_workers() {
    let (mut server, mut client) = connected();
    let first = esp_of(&mut client, &ping(INNER, SERVER_INNER, 1));
    assert!(matches!(
        server.esp(from_client(), &first),
        Outcome::Over(HandedOver::Esp(_))
    ));
    assert!(!server.tun_packet(&ping(SERVER_INNER, INNER, 1)));
    assert_eq!(server.host.tun.len(), 1);
    for number in 2..5 {
        let there = ping(INNER, SERVER_INNER, number);
        let packet = esp_of(&mut client, &there);
        assert_eq!(server.esp(from_client(), &packet), Outcome::Tun);
        assert_eq!(server.host.tun.pop_back(), Some(there));
        let back = ping(SERVER_INNER, INNER, number);
        assert!(server.tun_packet(&back));
        deliver(&mut server, &mut client);
        assert_eq!(client.tun.pop_back(), Some(back));
    }
    let counters = server.plane.counters();
    assert_eq!((counters.kernel.esp_in, counters.kernel.esp_out), (3, 3));
    assert_eq!((counters.kernel.tun_in, counters.kernel.tun_out), (3, 3));
    // The nodes count what passed beside them: four packets each way of 28 octets of IP.
    let session = l2tp::GetSessionStats(l2tp::SessionId(3));
    let stats = server.call("tanuki-t0009:", &session);
    assert_eq!((stats.receive_packets, stats.transmit_packets), (4, 4));
    let l2tp_header = 8;
    let ppp = 1;
    let octets = 4 * (28 + ppp + l2tp_header);
    assert_eq!(
        (stats.receive_octets, stats.transmit_octets),
        (octets, octets)
    );
    let link = ppp::GetLinkStats(ppp::LinkNumber(0));
    let stats = server.call("tanuki-p9-3:", &link);
    let octets = 4 * (28 + ppp);
    assert_eq!(
        (stats.receive_octets, stats.transmit_octets),
        (octets, octets)
    );
    assert_eq!((stats.receive_frames, stats.transmit_frames), (4, 4));
    let stats = server.call("tanuki-t0009:", &l2tp::GetStats);
    assert_eq!((stats.receive_packets, stats.transmit_packets), (4, 4));
}

#[test]
fn what_the_sadb_tells_counts_the_workers_packets() {
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, 9));
    server.esp(from_client(), &packet);
    assert!(server.tun_packet(&ping(SERVER_INNER, INNER, 9)));
    for (spi, from, to) in [(IN, MAPPED, OUTSIDE), (OUT, OUTSIDE, MAPPED)] {
        let selector = SaSelector {
            sa_type: SaType::ESP,
            spi,
            source: address(from).ip(),
            destination: address(to).ip(),
        };
        let get = server.host.pfkey_client.get(&selector);
        let reply = server.host.pfkey(&get.bytes);
        let reply = Message::parse(&reply, Numbering::FreeBsd).unwrap();
        let current = *reply.lifetime_current().unwrap();
        // IP, PPP, L2TP and UDP.
        assert_eq!(
            (current.allocations, current.bytes),
            (3, 3 * (28 + 1 + 8 + 8))
        );
        assert_eq!(reply.sa2().unwrap().sequence, 3);
        assert_eq!(reply.sa().unwrap().replay, 8);
    }
}

#[test]
fn no_thread_takes_a_packet_twice() {
    let (mut server, mut client) = connected();
    let packets: Vec<_> = (0..4)
        .map(|number| esp_of(&mut client, &ping(INNER, SERVER_INNER, number)))
        .collect();
    // One at the control thread, with which the SA goes to the worker.
    server.esp(from_client(), &packets[0]);
    assert_eq!(server.esp(from_client(), &packets[1]), Outcome::Tun);
    assert_eq!(server.host.tun.len(), 2);
    for packet in &packets[..2] {
        assert_eq!(server.esp(from_client(), packet), Outcome::Done);
    }
    let replayed = |server: &Server| server.plane.counters().ipsec.dropped(EspDrop::Replayed);
    assert_eq!(replayed(&server), 2);
    // At the control thread's own socket they come to nothing but the worker's.
    for packet in &packets[..3] {
        server.host.esp(from_client(), packet);
    }
    assert_eq!(server.host.tun.len(), 2);
    let strayed: Vec<_> = server.host.strayed.drain(..).collect();
    let outcomes = strayed
        .iter()
        .map(|(from, packet)| server.esp(*from, packet))
        .collect::<Vec<_>>();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Tun]);
    assert_eq!(replayed(&server), 4);
    // Twice in one batch.
    let mut batch = Batch::new(2000);
    for _ in 0..2 {
        assert!(batch.room().unwrap().fill(&packets[3]));
        batch.add();
    }
    let mut outcomes = Vec::new();
    let (now, from) = (server.host.now, [from_client(); 2]);
    server
        .plane
        .esp_batch(now, &from, batch.packets_mut(), &mut outcomes);
    assert_eq!(outcomes, [Outcome::Tun, Outcome::Done]);
    assert_eq!(replayed(&server), 5);
}

#[test]
fn a_deleted_sa_is_not_used_any_more() {
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    let late = esp_of(&mut client, &ping(INNER, SERVER_INNER, 9));
    for (spi, from, to) in [(IN, MAPPED, OUTSIDE), (OUT, OUTSIDE, MAPPED)] {
        let selector = SaSelector {
            sa_type: SaType::ESP,
            spi,
            source: address(from).ip(),
            destination: address(to).ip(),
        };
        let delete = server.host.pfkey_client.delete(&selector);
        server.host.pfkey(&delete.bytes);
    }
    // Not even before the worker has heard of it.
    let mut batch = Batch::new(2000);
    assert!(batch.room().unwrap().fill(&late));
    batch.add();
    let mut outcomes = Vec::new();
    let now = server.host.now;
    server
        .plane
        .esp_batch(now, &[from_client()], batch.packets_mut(), &mut outcomes);
    assert_eq!(outcomes, [Outcome::Done]);
    assert!(server.plane.counters().ipsec.dropped(EspDrop::NoSa) == 1);
    server.tun_packet(&ping(SERVER_INNER, INNER, 9));
    assert_eq!(
        (server.from_plane.len(), server.host.outgoing.len()),
        (0, 0)
    );
    server.settle();
    assert!(matches!(
        server.esp(from_client(), &late),
        Outcome::Over(HandedOver::Esp(_))
    ));
    assert!(server.host.tun.is_empty());
}

#[test]
fn a_new_sa_is_used_at_once_and_the_old_one_received_still() {
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    let late = esp_of(&mut client, &ping(INNER, SERVER_INNER, 8));
    let (private, mapped, outside) = (address(PRIVATE), address(MAPPED), address(OUTSIDE));
    let (new_in, new_out) = (IN + 0x1000, OUT + 0x1000);
    client.sa(new_in, private, outside, 5);
    client.sa(new_out, outside, private, 5);
    server.host.sa(new_in, mapped, outside, REQID);
    server.host.sa(new_out, outside, mapped, REQID);
    server.settle();
    // Its first packet is the control thread's, again.
    assert!(!server.tun_packet(&ping(SERVER_INNER, INNER, 8)));
    assert_eq!(server.host.outgoing[0].0.spi, new_out);
    assert!(server.tun_packet(&ping(SERVER_INNER, INNER, 9)));
    assert_eq!(server.from_plane[0].0.spi, new_out);
    deliver(&mut server, &mut client);
    assert_eq!(client.tun.len(), 2);
    // What was on its way is taken: the SA is still the worker's, the session worked out anew.
    assert!(matches!(
        server.esp(from_client(), &late),
        Outcome::Tun | Outcome::Over(HandedOver::Datagram { .. })
    ));
    for number in 8..11 {
        let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, number));
        server.esp(from_client(), &packet);
    }
    assert_eq!(server.host.tun.len(), 4);
    assert_eq!(server.plane.counters().ipsec.dropped(EspDrop::NoSa), 0);
}

#[test]
fn lifetimes_in_octets_end_at_the_worker() {
    let octets = |bytes| Lifetime {
        bytes,
        ..Lifetime::default()
    };
    // Five packets of 45, and ten.
    let (mut server, mut client) = connected_with(Some((octets(450), octets(225))));
    warm_up(&mut server, &mut client);
    let expired = |server: &mut Server| {
        let expired = server.messages(MessageType::EXPIRE);
        expired
            .iter()
            .map(|message| (message.sa().unwrap().spi, message.lifetime_hard().is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(expired(&mut server), []);
    for number in 2..12 {
        let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, number));
        server.esp(from_client(), &packet);
        let told = match number {
            4 => vec![(IN, false)],
            9 => vec![(IN, true)],
            _ => vec![],
        };
        assert_eq!(expired(&mut server), told, "packet {number}");
    }
    assert_eq!(server.host.tun.len(), 8);
    for number in 2..12 {
        server.tun_packet(&ping(SERVER_INNER, INNER, number));
        let told = match number {
            4 => vec![(OUT, false)],
            9 => vec![(OUT, true)],
            _ => vec![],
        };
        assert_eq!(expired(&mut server), told, "packet {number}");
    }
    deliver(&mut server, &mut client);
    assert_eq!(client.tun.len(), 8);
}

#[test]
fn a_client_that_moves_is_told_of_and_its_sa_follows() {
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    let elsewhere = InboundEsp {
        source: address("203.0.113.9:61099"),
        ..from_client()
    };
    for number in 0..3 {
        let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, number));
        assert_eq!(server.esp(elsewhere, &packet), Outcome::Tun);
    }
    let told = server.messages(MessageType::X_NEW_MAPPING);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].nat_t_destination_port(), Some(&61_099));
    // Key management moves both SAs: what goes out goes there, and nothing more is told.
    let (old, new) = (address(MAPPED).ip(), elsewhere.source);
    for (spi, inbound) in [(IN, true), (OUT, false)] {
        let ours = address(OUTSIDE);
        let (source, destination) = if inbound {
            (old, ours.ip())
        } else {
            (ours.ip(), old)
        };
        let (from, to) = if inbound { (new, ours) } else { (ours, new) };
        let update = server.host.pfkey_client.update_addresses(&SaMove {
            sa_type: SaType::ESP,
            spi,
            mode: pfkey::Mode::TRANSPORT,
            reqid: REQID,
            source,
            destination,
            new_source: Some(from.ip()),
            new_destination: Some(to.ip()),
            nat_t: Some(NatT {
                source_port: from.port(),
                destination_port: to.port(),
                original_initiator: None,
                original_responder: None,
            }),
        });
        let reply = server.host.pfkey(&update.bytes);
        assert_eq!(reply[1..3], [2, 0], "SADB_UPDATE: {reply:02x?}");
    }
    server.settle();
    for number in 3..6 {
        server.tun_packet(&ping(SERVER_INNER, INNER, number));
        let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, number));
        server.esp(elsewhere, &packet);
    }
    assert_eq!(server.host.tun.len(), 6);
    assert!(!server.from_plane.is_empty());
    let sent = server.host.outgoing.iter().chain(&server.from_plane);
    assert!(sent.into_iter().all(|(esp, _)| esp.destination == new));
    assert_eq!(server.messages(MessageType::X_NEW_MAPPING).len(), 0);
    // Moved once more, told once more.
    let elsewhere = InboundEsp {
        source: address("203.0.113.9:61100"),
        ..from_client()
    };
    server.host.now += Duration::from_secs(11);
    let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, 6));
    server.esp(elsewhere, &packet);
    assert_eq!(server.messages(MessageType::X_NEW_MAPPING).len(), 1);
}

/// One that the nodes and the shortcut have to see alike: PPP frames in every form, IP from everywhere.
fn frame(form: (bool, bool, bool), source: u8, size: usize, noise: u8) -> Vec<u8> {
    let (control, long_protocol, garbled) = form;
    let mut frame = Vec::new();
    if control {
        frame.extend([0xff, 0x03]);
    }
    frame.extend(if long_protocol {
        &[0, 0x21][..]
    } else {
        &[0x21]
    });
    let mut packet = ping(&format!("10.0.0.{source}"), SERVER_INNER, noise);
    packet.resize(28 + size, noise);
    if garbled {
        packet[usize::from(noise) % 28] ^= 0x55;
    }
    frame.extend(packet);
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nodes_and_shortcut_agree(
        frames in proptest::collection::vec(
            (any::<(bool, bool, bool)>(), 1u8..4, 0usize..40, any::<u8>()), 1..20,
        ),
    ) {
        let (mut server, mut client) = connected();
        warm_up(&mut server, &mut client);
        let (mut plain, _) = connected();
        let (mut shortcut, mut nodes) = (Vec::new(), Vec::new());
        for (form, source, size, noise) in frames {
            let frame = frame(form, source, size, noise);
            let payload = [&[0x00, 0x02, 0, 9, 0, 3][..], &frame].concat();
            let now = client.clock();
            let meta = softkernel_port::Meta {
                local: address("10.9.9.9:1701"),
                peer: address("192.0.2.1:1701"),
                reqid: 5,
            };
            let port = softkernel::kernel::PortId(1);
            let _ = client.kernel.bind_port(port, meta.local);
            let action = client
                .kernel
                .port_output(now, port, meta, &payload, &mut client.buffer);
            prop_assert!(matches!(action, Action::Esp(_)));
            let packet = client.buffer.to_vec();
            server.esp(from_client(), &packet);
            plain.host.esp(from_client(), &packet);
        }
        shortcut.extend(server.host.tun.drain(..));
        nodes.extend(plain.host.tun.drain(..));
        prop_assert_eq!(shortcut, nodes);
        let link = ppp::GetLinkStats(ppp::LinkNumber(0));
        let mine = server.call("tanuki-p9-3:", &link);
        let other = plain.call("tanuki-p9-3:", &link);
        // Two pings of 29 octets each way went before.
        prop_assert_eq!(mine.receive_frames, other.receive_frames + 2);
        prop_assert_eq!(mine.receive_octets, other.receive_octets + 58);
        prop_assert_eq!(mine.bad_protocols, other.bad_protocols);
    }
}

#[test]
fn what_is_no_plain_data_goes_through_the_nodes() {
    let (mut server, mut client) = connected();
    let echo = [0, 0, 0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0];
    for _ in 0..3 {
        client.send("b0001", &echo);
        let (_, packet) = client.outgoing.pop_front().unwrap();
        server.esp(from_client(), &packet);
        server.host.data().unwrap();
    }
    // For those alone no worker has to know the session.
    assert_eq!(server.host.kernel.graph.shortcut_count(), 0);
    warm_up(&mut server, &mut client);
    assert_eq!(server.host.kernel.graph.shortcut_count(), 1);
    client.send("b0001", &echo);
    let (_, packet) = client.outgoing.pop_front().unwrap();
    assert!(matches!(
        server.esp(from_client(), &packet),
        Outcome::Over(HandedOver::Datagram { reqid: REQID, .. })
    ));
    let (hook, frame) = server.host.data().unwrap();
    assert_eq!(hook, "b0003");
    assert_eq!(frame[..5], [0, 0, 0xc0, 0x21, 9]);
    // A control message of L2TP.
    client.send("c0001", &[0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6]);
    let (_, packet) = client.outgoing.pop_front().unwrap();
    assert!(matches!(
        server.esp(from_client(), &packet),
        Outcome::Over(HandedOver::Datagram { .. })
    ));
    assert_eq!(server.host.data().unwrap().0, "c0009");
    // Data with sequence numbers, which L2TP decides about.
    let config = l2tp::SessionConfig {
        session_id: 1,
        peer_id: 3,
        control_sequencing: true,
        enable_sequencing: true,
        include_length: true,
    };
    client
        .call("tanuki-t0001:", &l2tp::SetSessionConfig(config))
        .unwrap();
    let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, 9));
    assert!(matches!(
        server.esp(from_client(), &packet),
        Outcome::Over(HandedOver::Datagram { .. })
    ));
    assert_eq!(server.host.tun.len(), 1);
}

#[test]
fn the_interface_is_guarded_at_the_worker() {
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    client
        .call(
            "tanuki-p1-1:inet.iface",
            &soft_iface::SourceCheck(soft_iface::Switch(false)),
        )
        .unwrap();
    let forged = esp_of(&mut client, &ping("10.0.0.77", SERVER_INNER, 1));
    assert_eq!(server.esp(from_client(), &forged), Outcome::Done);
    let mut long = ping(SERVER_INNER, INNER, 1);
    long.resize(1401, 0);
    assert!(server.tun_packet(&long));
    assert_eq!((server.from_plane.len(), server.host.tun.len()), (0, 0));
    let drops = &server.plane.counters().drops;
    assert_eq!(drops.get(&Drop::WrongSource), Some(&1));
    assert_eq!(drops.get(&Drop::TooLong), Some(&1));
}

#[test]
fn another_clients_sa_does_not_lead_into_a_session() {
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    let mut other = Host::new("10.9.9.9");
    let (private, outside) = (address(PRIVATE), address(OUTSIDE));
    let mapped = address("203.0.113.9:61002");
    other.sa(0x3001, private, outside, 5);
    server.host.sa(0x3001, mapped, outside, REQID + 1);
    // The same tunnel and session, the same inner addresses.
    client_session(&mut other);
    let from = InboundEsp {
        source: mapped,
        ..from_client()
    };
    for number in 0..3 {
        let packet = esp_of(&mut other, &ping(INNER, SERVER_INNER, number));
        server.esp(from, &packet);
    }
    assert!(server.host.tun.is_empty());
    assert_eq!(server.host.kernel.counters().no_listener, 3);
}

#[test]
fn a_session_without_one_of_its_nodes_is_none() {
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    server
        .host
        .call("tanuki-p9-3:", &Rmhook::new(ppp::HOOK_INET))
        .unwrap();
    // Before the worker has heard of it, too.
    let packet = esp_of(&mut client, &ping(INNER, SERVER_INNER, 9));
    assert!(matches!(
        server.esp(from_client(), &packet),
        Outcome::Over(HandedOver::Datagram { .. })
    ));
    assert!(!server.tun_packet(&ping(SERVER_INNER, INNER, 9)));
    assert!(server.host.tun.is_empty() && server.from_plane.is_empty());
    assert_eq!(server.host.kernel.graph.shortcut_count(), 0);
}

#[test]
fn threads_that_share_an_outbound_sa_never_share_a_number() {
    const PACKETS: usize = 20_000;
    let (mut server, mut client) = connected();
    warm_up(&mut server, &mut client);
    let Server { host, plane, .. } = &mut server;
    let carry = |send: &mut dyn FnMut(&[u8]) -> Vec<u8>| {
        let packet = ping(SERVER_INNER, INNER, 1);
        (0..PACKETS)
            .map(|_| {
                let esp = send(&packet);
                u32::from_be_bytes(*esp[4..].first_chunk().unwrap())
            })
            .collect::<Vec<_>>()
    };
    let numbers = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            carry(&mut |packet| {
                let mut batch = Batch::new(200);
                assert!(batch.room().unwrap().fill(packet));
                batch.add();
                let mut actions = Vec::new();
                plane.tun_batch(
                    batch.packets_mut(),
                    &mut actions,
                    |_| true,
                    |_, _| panic!("the worker knows the session"),
                );
                batch.packets()[0].to_vec()
            })
        });
        let mut numbers = carry(&mut |packet| {
            host.tun_packet(packet);
            host.outgoing.pop_front().unwrap().1
        });
        numbers.extend(worker.join().unwrap());
        numbers
    });
    let different: HashSet<_> = numbers.iter().copied().collect();
    assert_eq!(different.len(), 2 * PACKETS);
    // Two were sent before.
    let highest = u32::try_from(2 * PACKETS + 2).unwrap();
    assert_eq!(different.iter().max(), Some(&highest));
}

#[test]
fn all_spis_of_a_client_belong_to_one_worker() {
    let mut server = Server::new();
    for reqid in [4096, 4097, 4098] {
        for _ in 0..20 {
            let (from, to) = (address(MAPPED).ip(), address(OUTSIDE).ip());
            let mode = pfkey::Mode::TRANSPORT;
            let request = server
                .host
                .pfkey_client
                .getspi(SaType::ESP, mode, reqid, from, to, None);
            let reply = server.host.pfkey(&request.bytes);
            let reply = Message::parse(&reply, Numbering::FreeBsd).unwrap();
            assert_eq!(reply.sa().unwrap().spi % 2, reqid % 2);
        }
    }
}

//! The reliable control channel between two l2tp nodes over a network that loses, doubles and
//! reorders: everything is delivered once and in order, or the failure is reported.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netgraph::client::Event;
use netgraph::generic::Mkpeer;
use netgraph::node::l2tp::{self, AckFailure, Config, SequenceConfig};
use proptest::prelude::*;
use support::Host;

fn message(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    vec![0, 0, 0x80, 0x08, 0, 0, 0, 0, high, low]
}

/// What came out of a host: packets for the network, messages for the daemon, a failure.
#[derive(Default)]
struct Out {
    packets: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
    failed: bool,
}

fn drain(host: &mut Host, out: &mut Out) {
    while let Some(event) = host.event() {
        match event {
            Event::Data { hook, payload } if hook == "net" => out.packets.push(payload),
            Event::Data { payload, .. } => out.messages.push(payload),
            Event::Message { message, .. } => {
                assert!(message.is::<AckFailure>());
                out.failed = true;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn delivers_in_order_or_fails(
        count in 1u16..40,
        window in 1u16..12,
        fates in prop::collection::vec(0u8..100, 400),
        loss in 0u8..70,
    ) {
        let mut hosts = [Host::l2tp_node(1, 2, window), Host::l2tp_node(2, 1, window)];
        let mut outs = [Out::default(), Out::default()];
        for number in 0..count {
            hosts[0].send("c", &message(number));
            hosts[1].send("c", &message(number + 1000));
        }
        let mut fates = fates.iter().copied().cycle();
        let mut late: Vec<(usize, Vec<u8>)> = Vec::new();
        for _ in 0..4000 {
            let mut sent = std::mem::take(&mut late);
            for from in 0..2 {
                drain(&mut hosts[from], &mut outs[from]);
                sent.extend(outs[from].packets.drain(..).map(|packet| (1 - from, packet)));
            }
            for (to, packet) in sent {
                let fate = fates.next().unwrap();
                if fate < loss {
                    continue;
                }
                if fate % 5 == 0 {
                    late.push((to, packet.clone()));
                }
                if fate % 7 != 0 || late.len() > 8 {
                    hosts[to].send("net", &packet);
                } else {
                    late.push((to, packet));
                }
            }
            let all = outs.iter().all(|out| out.messages.len() == usize::from(count));
            if all || outs.iter().any(|out| out.failed) {
                break;
            }
            for host in &mut hosts {
                host.advance(Duration::from_millis(500));
            }
        }
        let failed = outs.iter().any(|out| out.failed);
        for (out, base) in outs.iter().zip([1000, 0]) {
            let expected: Vec<_> = (base..base + count).map(message).collect();
            prop_assert!(expected.starts_with(&out.messages));
            prop_assert!(failed || out.messages.len() == expected.len());
        }
        prop_assert!(!failed || loss > 0);
    }
}

#[test]
fn a_message_is_acknowledged_at_once() {
    let mut host = Host::l2tp_node(1, 2, 4);
    let packet = l2tp_packet(1, 0, 0, &message(5)[2..]);
    host.send("net", &packet);
    assert_eq!(host.data(), Some(("c".to_owned(), message(5))));
    // ZLB: to tunnel 2, Ns 0, Nr 1.
    let zlb = vec![0xc8, 2, 0, 12, 0, 2, 0, 0, 0, 0, 0, 1];
    assert_eq!(host.data(), Some(("net".to_owned(), zlb.clone())));
    // The same again: not delivered, but acknowledged.
    host.send("net", &packet);
    assert_eq!(host.data(), Some(("net".to_owned(), zlb)));
    assert_eq!(host.event(), None);
    let stats = host.call("c", &l2tp::GetStats).unwrap();
    assert_eq!((stats.receive_duplicates, stats.transmit_zlbs), (1, 2));
}

#[test]
fn an_answer_to_an_sccrq_read_elsewhere_begins_with_nr_one() {
    let mut host = Host::new("192.0.2.1");
    host.call(".:", &Mkpeer::new(l2tp::TYPE, "c", l2tp::HOOK_CTRL))
        .unwrap();
    host.call(
        ".:",
        &netgraph::generic::Connect::new("c", "net", l2tp::HOOK_LOWER),
    )
    .unwrap();
    host.call("c", &l2tp::SetSequence(SequenceConfig::AFTER_SCCRQ))
        .unwrap();
    let config = Config {
        enabled: true,
        match_id: false,
        tunnel_id: 1,
        peer_id: 2,
        peer_window: 4,
        retransmit_max: 2,
        retransmit_max_timeout: 8,
    };
    host.call("c", &l2tp::SetConfig(config)).unwrap();
    host.send("c", &[0, 0, 0xaa]);
    let sccrp = vec![0xc8, 2, 0, 13, 0, 2, 0, 0, 0, 0, 0, 1, 0xaa];
    assert_eq!(host.data(), Some(("net".to_owned(), sccrp.clone())));
    // The SCCRQ again, to tunnel 0: an acknowledgement, the same Nr.
    host.send("net", &l2tp_packet(0, 0, 0, &[0xbb]));
    let zlb = vec![0xc8, 2, 0, 12, 0, 2, 0, 0, 0, 1, 0, 1];
    assert_eq!(host.data(), Some(("net".to_owned(), zlb)));
    // Sent again after 1, then 2 seconds more; after 4 more the daemon hears of it.
    for wait in [1, 2] {
        host.advance(Duration::from_secs(wait));
        assert_eq!(host.data(), Some(("net".to_owned(), sccrp.clone())));
    }
    host.advance(Duration::from_secs(4));
    let Some(Event::Message { message, .. }) = host.event() else {
        panic!("a failure")
    };
    assert!(message.is::<AckFailure>());
}

#[test]
fn with_the_daemon_away_nothing_is_acknowledged_and_nothing_is_lost() {
    let mut host = Host::l2tp_node(1, 2, 4);
    host.call("c", &netgraph::generic::Name::new("tunnel"))
        .unwrap();
    let keep = netgraph::generic::Mkpeer::new("ppp", "session_0001", "link0");
    host.call("c", &keep).unwrap();
    host.restart_client();
    host.call(
        ".:",
        &netgraph::generic::Connect::new("tunnel:", "net", l2tp::HOOK_LOWER),
    )
    .unwrap();
    let packet = l2tp_packet(1, 0, 0, &[0xbb]);
    host.send("net", &packet);
    assert_eq!(host.event(), None);
    host.call(
        ".:",
        &netgraph::generic::Connect::new("tunnel:", "c", l2tp::HOOK_CTRL),
    )
    .unwrap();
    host.send("net", &packet);
    assert_eq!(host.data(), Some(("c".to_owned(), vec![0, 0, 0xbb])));
}

#[test]
fn bad_packets_are_counted() {
    let mut host = Host::l2tp_node(1, 2, 4);
    host.send("net", &[0xc8, 2]);
    host.send("net", &l2tp_packet(9, 0, 0, &[1]));
    host.send("net", &l2tp_packet(0, 0, 0, &[1]));
    host.send("net", &l2tp_packet(1, 0, 7, &[]));
    host.send("net", &l2tp_packet(1, 3, 0, &[1]));
    host.send("net", &[0x00, 0x02, 0, 1, 0, 9, 0xff, 0x03]);
    host.send("net", &[0xc8, 3, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0]);
    let stats = host.call("c", &l2tp::GetStats).unwrap();
    assert_eq!(stats.receive_packets, 7);
    assert_eq!(stats.receive_runts, 1);
    assert_eq!(stats.receive_wrong_tunnel, 2);
    assert_eq!(stats.receive_bad_acks, 1);
    assert_eq!(stats.receive_zlbs, 1);
    assert_eq!(stats.receive_out_of_order, 1);
    assert_eq!(stats.receive_unknown_session, 1);
    assert_eq!(stats.receive_invalid, 1);
}

fn l2tp_packet(tunnel: u16, ns: u16, nr: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xc8, 2];
    for field in [12 + body.len() as u16, tunnel, 0, ns, nr] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.extend_from_slice(body);
    packet
}

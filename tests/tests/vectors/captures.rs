//! Recorded packets of others, and those that have crashed tcpdump, given to ours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use l2tp_proto::{Config, Output};
use softkernel::ipsec::InboundEsp;
use tanuki_tests::ike::Initiator;
use tanuki_tests::ike::gateway::{Gateway, policy};
use tanuki_tests::ike::ordinary::{dialect, quick};

use crate::link::{CCP, IPCP, LCP};
use crate::recorded;

const CLIENT: (&str, &str) = ("198.51.100.7:500", "198.51.100.7:4500");

/// Nobody gets more than he sent; nothing is left of it after a while; and a client that is
/// connected, or connects afterwards, notices nothing.
#[test]
fn ike_of_others() {
    let mut policy = policy();
    policy.limits.stateless_answers = 1_000_000;
    let mut gateway = Gateway::new(policy);
    let mut client = Initiator::new(dialect(), "198.51.100.7", "203.0.113.1", 1);
    gateway.main_mode(&mut client, CLIENT);
    let pair = gateway.quick_mode(&mut client, CLIENT.0, &quick(1, 0xc001, "198.51.100.7", 2));
    let before = gateway.endpoint.table_entries();
    let messages = recorded("ike");
    assert!(messages.len() > 40);
    let mut ledger: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (number, (name, message)) in messages.iter().enumerate() {
        // With the marker of UDP 4500 and without, and as if it came from the client.
        let without = message.strip_prefix(&[0; 4]).unwrap_or(message);
        let stranger = format!("192.0.2.{}:500", 1 + number);
        for from in [&stranger, CLIENT.0] {
            for octets in [message, without] {
                let sent = gateway.receive(from, false, octets);
                let sum: usize = sent.iter().map(|sent| sent.bytes.len()).sum();
                assert!(sum <= octets.len(), "{name}: {sum} octets");
                let entry = ledger.entry(from.to_owned()).or_default();
                *entry = (entry.0 + octets.len(), entry.1 + sum);
            }
        }
    }
    assert!(ledger.values().all(|(received, sent)| sent <= received));
    gateway.assert_pair(&pair);
    gateway.quick_mode(&mut client, CLIENT.0, &quick(2, 0xc002, "198.51.100.7", 2));
    let delete = client.delete_esp(0xc002);
    gateway.receive(CLIENT.0, false, &delete);
    gateway.advance(Duration::from_secs(120));
    gateway.assert_pair(&pair);
    assert!(gateway.endpoint.table_entries() <= before + 1);
}

#[test]
fn l2tp_of_others() {
    let mut host = crate::tunnels::Host::new(Config::default(), 1);
    let now = Instant::now();
    for (name, octets) in recorded("l2tp").into_iter().chain(recorded("ppp")) {
        let outputs = host.first(now, crate::tunnels::from("198.51.100.9:1701"), &octets);
        let quiet = outputs
            .iter()
            .all(|output| matches!(output, Output::Refused(_)));
        assert!(quiet, "{name}: {outputs:?}");
        host.assert_empty();
    }
}

#[test]
fn ppp_of_others() {
    for (name, octets) in recorded("ppp") {
        let (protocol, payload) = octets.split_first_chunk::<2>().unwrap();
        let own = u16::from_be_bytes(*protocol);
        for protocol in [own, LCP, IPCP, CCP, 0xc223, 0xc023] {
            for start in 0..payload.len().min(16) {
                let config = ppp_proto::Config::server("tanuki");
                let (mut host, first) = crate::link::Host::server(config);
                let sent = host.feed(protocol, &payload[start..]);
                assert!(sent.len() <= 2, "{name}: {sent:02x?}");
                assert!(!host.is_up());
                // The link is none the worse.
                host.feed(LCP, &crate::link::packet(1, 200, &[5, 6, 1, 2, 3, 4]));
                crate::link::ack(&mut host, LCP, &first);
                assert_ne!(host.link.phase(), ppp_proto::Phase::Establish, "{name}");
            }
        }
    }
}

#[test]
fn esp_of_others() {
    let mut host = crate::kernel::Host::new("192.0.2.1");
    let from = |encapsulated| InboundEsp {
        source: crate::kernel::address("203.0.113.9:4500"),
        destination: crate::kernel::address("192.0.2.1:4500"),
        encapsulated,
    };
    for (name, octets) in recorded("esp") {
        for encapsulated in [true, false] {
            host.esp(from(encapsulated), &octets);
            assert!(host.outgoing.is_empty() && host.tun.is_empty(), "{name}");
            assert!(host.datagrams.is_empty(), "{name}");
        }
    }
}

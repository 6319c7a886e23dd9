//! IKE fragmentation between two endpoints: who announces it, when messages are cut, and that
//! exchanges complete over a bad network. Hostile fragments are in `fragments_hostile`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use hex_literal::hex;
use ike_crypto::Group;
use ike_proto::error::Refusal;
use ike_proto::iana::{ExchangeType, PayloadType};
use ike_proto::policy::Fragmentation;
use ike_proto::vendor::{Capabilities, FRAGMENTATION};
use ike_proto::wire::chain::Chain;
use ike_proto::wire::fragment::Fragment;
use ike_proto::wire::header::Header;
use pair::{Packet, World};

/// Octets of IPv4 and UDP headers.
const IP_UDP: usize = 28;

fn set(world: &mut World, host: usize, mode: Fragmentation, size: usize) {
    let mut policy = world.hosts[host].endpoint.policy().clone();
    policy.phase1.groups = vec![Group::Modp2048];
    policy.fragmentation.mode = mode;
    policy.fragmentation.size = size;
    world.hosts[host].endpoint.set_policy(policy);
}

fn both(world: &mut World, mode: Fragmentation, size: usize) {
    set(world, 0, mode, size);
    set(world, 1, mode, size);
}

fn message(packet: &Packet) -> &[u8] {
    packet
        .payload
        .strip_prefix(&[0; 4])
        .unwrap_or(&packet.payload)
}

fn is_fragment(packet: &Packet) -> bool {
    Header::parse(message(packet)).is_ok_and(|(h, _)| h.next_payload == PayloadType::FRAGMENT)
}

fn fragments(world: &World) -> usize {
    world
        .wire
        .iter()
        .filter(|packet| is_fragment(packet))
        .count()
}

/// The layout every implementation has in common: [MS-IKEE] 2.2.3.1.
#[test]
fn the_bytes_of_a_fragment() {
    let bytes = hex!(
        "0102030405060708 1112131415161718 84 10 02 00 00000000 00000028"
        "00 00 000c 0001 02 01 aabbccdd"
    );
    let (header, body) = Header::parse(&bytes).unwrap();
    assert_eq!(header.next_payload, PayloadType::FRAGMENT);
    let fragment = Fragment {
        id: 1,
        number: 2,
        last: true,
        data: &[0xaa, 0xbb, 0xcc, 0xdd],
    };
    assert_eq!(Fragment::parse(body).unwrap(), fragment);
    // Of an encrypted Main Mode message: the flag is gone, the rest stays.
    let of = Header {
        next_payload: PayloadType::ID,
        flags: 1,
        ..header
    };
    assert_eq!(of.exchange, ExchangeType::MAIN_MODE);
    assert_eq!(fragment.emit(&of), bytes);
}

#[test]
fn vendor_id_with_and_without_capabilities() {
    let capability = |bytes: &[u8]| {
        Capabilities::from_vendor_ids([bytes].into_iter())
            .fragmentation
            .map(<[u8]>::len)
    };
    let mut id = FRAGMENTATION.to_vec();
    id.extend_from_slice(&[0x80, 0, 0, 0, 0xff]);
    for len in 0..=id.len() {
        let expected = match len {
            // Windows, then everybody else.
            16 => Some(16),
            20 => Some(20),
            _ => None,
        };
        assert_eq!(capability(&id[..len]), expected, "{len} octets");
    }
    // Cisco's, and one that can do nothing.
    assert_eq!(
        capability(&[FRAGMENTATION, &[0xc0, 0, 0, 0]].concat()),
        Some(20)
    );
    assert_eq!(capability(&[FRAGMENTATION, &[0, 0, 0, 0]].concat()), None);
}

#[test]
fn long_messages_are_cut_both_ways() {
    let mut world = World::pair(1);
    both(&mut world, Fragmentation::On, 300);
    world.connect();
    for packet in &world.wire {
        // MM1 and MM2 come before both know.
        let first = Header::parse(message(packet)).unwrap().0;
        let early = first.responder_cookie == [0; 8] || first.next_payload == PayloadType::SA;
        assert!(early || packet.payload.len() + IP_UDP <= 300);
    }
    for host in 0..2 {
        let counters = world.hosts[host].endpoint.counters();
        assert!(counters.fragments_in > 0 && counters.fragments_out > 0);
        assert!(counters.messages_reassembled > 0);
        assert_eq!(counters.fragments_dropped, 0);
        assert!(world.established(host)[0].fragmentation);
    }
}

#[test]
fn behind_nat_the_marker_counts() {
    let mut world = World::pair_behind_nat(2);
    both(&mut world, Fragmentation::On, 300);
    world.connect();
    assert!(fragments(&world) > 0);
    let cut = world.wire.iter().filter(|packet| is_fragment(packet));
    assert!(cut.clone().all(|p| p.payload.len() + IP_UDP <= 300));
}

#[test]
fn nothing_is_cut_that_fits() {
    let mut world = World::pair(3);
    world.connect();
    assert_eq!(fragments(&world), 0);
    assert!(world.established(0)[0].fragmentation);
}

#[test]
fn only_between_two_that_announce_it() {
    for (server, client) in [
        (Fragmentation::Off, Fragmentation::On),
        (Fragmentation::On, Fragmentation::Off),
        (Fragmentation::Off, Fragmentation::Off),
    ] {
        let mut world = World::pair(4);
        set(&mut world, 0, server, 300);
        set(&mut world, 1, client, 300);
        world.connect();
        assert_eq!(fragments(&world), 0, "{server:?} {client:?}");
        assert!(!world.established(0)[0].fragmentation);
        let mm2 = world.hosts[0].sent.first().unwrap();
        let (header, body) = Header::parse(&mm2.bytes).unwrap();
        let chain = Chain::parse(header.next_payload, body).unwrap();
        let mut ids = chain.all(PayloadType::VENDOR_ID);
        assert!(!ids.any(|id| id.starts_with(FRAGMENTATION)));
    }
}

#[test]
fn force_cuts_the_first_message() {
    let mut world = World::pair(5);
    both(&mut world, Fragmentation::Force, 300);
    world.connect();
    assert!(is_fragment(&world.wire[0]));
    assert!(world.wire.iter().all(|p| p.payload.len() + IP_UDP <= 300));
    world.run_secs(120);
    assert!(world.works(1));
}

#[test]
fn a_forcing_client_and_a_server_that_is_not() {
    let mut world = World::pair(6);
    set(&mut world, 1, Fragmentation::Force, 300);
    world.initiate(1);
    world.run_secs(30);
    // Without session or announcement its fragments are not kept.
    assert_eq!(world.hosts[0].endpoint.table_entries(), 0);
    assert!(world.hosts[0].sent.is_empty());
    assert!(world.hosts[0].endpoint.counters().fragments_dropped > 0);
}

#[test]
fn a_bad_network_with_repetitions() {
    for seed in 0..20 {
        let mut world = World::pair_behind_nat(seed);
        both(&mut world, Fragmentation::On, 300);
        world.loss = 15;
        world.duplicate = 30;
        world.jitter_ms = 40;
        world.initiate(1);
        world.run_secs(100);
        assert!(world.works(1), "seed {seed}");
        world.loss = 0;
        world.run_secs(60);
        // What is put together is forgotten; what remains belongs to the SAs.
        for host in 0..2 {
            let counters = world.hosts[host].endpoint.counters();
            assert_eq!(counters.malformed, 0, "seed {seed}");
            // A late MM2 has no key in it; a message put together wrongly would have a wrong one.
            for refused in counters.refused.keys() {
                assert_eq!(*refused, Refusal::BadKeyExchange.to_string());
            }
        }
    }
}

#[test]
fn kept_over_a_restart() {
    let mut world = World::pair(7);
    both(&mut world, Fragmentation::On, 300);
    world.connect();
    let wall = 1_800_000_000;
    let now = world.now;
    let saved = world.hosts[0].endpoint.checkpoint(now, wall);
    let text = serde_json::to_string(&saved).unwrap();
    assert!(text.contains("\"fragments\":true"));
    // A checkpoint of a version that knew nothing of fragments.
    let old = text.replace("\"fragments\":true,", "");
    let old: ike_proto::checkpoint::Checkpoint = serde_json::from_str(&old).unwrap();
    let expected: ike_proto::checkpoint::Checkpoint =
        serde_json::from_str(&text.replace("\"fragments\":true", "\"fragments\":false")).unwrap();
    assert_eq!(
        serde_json::to_string(&old).unwrap(),
        serde_json::to_string(&expected).unwrap()
    );
}

//! What happens over the life of SAs: rekeying of both phases from both sides, dead peers,
//! reconnects, mapping changes, restarts, loss, floods.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::time::Duration;

use ike_proto::Endpoint;
use ike_proto::carrier::Carrier;
use ike_proto::checkpoint::Checkpoint;
use ike_proto::error::DownReason;
use ike_proto::io::{ChildId, Datagram, Direction, Event, KernelReply};
use ike_proto::policy::Policy;
use pair::{SERVER, World, client_policy, quick_policy};
use rand_chacha::rand_core::Rng;

/// Policies of both sides with lifetimes in seconds.
fn lifetimes(world: &mut World, phase1: u64, phase2: u64, responder_rekeys: bool) {
    for index in 0..world.hosts.len() {
        let mut policy = world.hosts[index].endpoint.policy().clone();
        policy.phase1.lifetime = Duration::from_secs(phase1);
        policy.phase2.lifetime = Duration::from_secs(phase2);
        policy.phase2.rekey_as_responder = responder_rekeys;
        world.hosts[index].endpoint.set_policy(policy);
    }
}

/// Lets hours pass in small steps; traffic must always be possible.
fn run_connected(world: &mut World, seconds: u64) {
    for _ in 0..seconds / 5 {
        world.run_secs(5);
        assert!(world.works(1), "a gap at {:?}", world.now - world.start);
    }
}

#[test]
fn both_phases_are_rekeyed_by_the_initiator_without_a_gap() {
    for nat in [false, true] {
        let mut world = if nat {
            World::pair_behind_nat(1)
        } else {
            World::pair(1)
        };
        lifetimes(&mut world, 1800, 600, false);
        world.connect();
        let reqid = world.children(0)[0].reqid;
        run_connected(&mut world, 3 * 3600);
        world.assert_connected(1);
        assert!(world.established(0).len() <= 2 && world.children(0).len() <= 2);
        assert!(world.children(0).iter().all(|child| child.reqid == reqid));
        let counters = world.hosts[0].endpoint.counters();
        assert!(counters.phase1_established >= 6, "{counters:?}");
        assert!(counters.phase2_established >= 18, "{counters:?}");
        assert_eq!(counters.clients, 1);
        assert_eq!(world.hosts[0].sas.len(), 2 * world.children(0).len());
    }
}

#[test]
fn the_responder_rekeys_when_the_initiator_does_not() {
    for nat in [false, true] {
        let mut world = if nat {
            World::pair_behind_nat(2)
        } else {
            World::pair(2)
        };
        lifetimes(&mut world, 1800, 600, true);
        world.connect();
        // From here on the client never rekeys by itself, as old phones do not.
        let ids: Vec<_> = world.children(1).iter().map(|child| child.id).collect();
        assert_eq!(ids.len(), 1);
        let mut policy = client_policy(&world.hosts[1].address.to_string());
        policy.connections.clear();
        policy.phase2.rekey_as_responder = false;
        let checkpoint = world.hosts[1].endpoint.checkpoint(world.now, 1000);
        let mut checkpoint = checkpoint;
        for child in &mut checkpoint.children {
            child.rekey = None;
        }
        for sa in &mut checkpoint.ike_sas {
            sa.rekey = None;
        }
        let mut endpoint = Endpoint::new(policy);
        endpoint.restore(world.now, 1000, &checkpoint).unwrap();
        world.hosts[1].endpoint = endpoint;
        run_connected(&mut world, 2 * 3600);
        world.assert_connected(1);
        let counters = world.hosts[0].endpoint.counters();
        assert!(counters.phase1_initiated >= 2, "{counters:?}");
        assert!(world.children(0).iter().any(|child| child.initiator));
    }
}

#[test]
fn both_sides_rekeying_at_once_settles() {
    let mut world = World::pair(3);
    lifetimes(&mut world, 3600, 1200, true);
    world.connect();
    for round in 0..4 {
        for host in [0, 1] {
            let child = world.children(host).last().unwrap().id;
            let ike = world.established(host).last().unwrap().id;
            world.with(host, |endpoint, now, rng| {
                // The newest one may already be replaced, or being so, from the other side.
                let _ = endpoint.rekey_child(now, child, rng);
                let _ = endpoint.rekey_ike(now, ike, rng);
            });
        }
        world.run_secs(120);
        assert!(world.works(1), "round {round}");
    }
    run_connected(&mut world, 2 * 3600);
    assert!(world.children(0).len() <= 4 && world.established(0).len() <= 4);
}

#[test]
fn a_kilobyte_lifetime_is_the_kernels_to_count() {
    let mut world = World::pair(4);
    let mut policy = client_policy("198.51.100.7");
    policy.phase2.lifetime_kilobytes = 250_000;
    world.hosts[1].endpoint.set_policy(policy);
    world.connect();
    let child = world.children(1)[0].clone();
    let sa = &world.hosts[0].sas[&(Direction::Inbound, child.spi_out)];
    assert_eq!(sa.lifetime.hard_octets, 250_000 * 1024);
    assert!(sa.lifetime.soft_octets < sa.lifetime.hard_octets);
    let destination = world.hosts[1].address;
    world.kernel(
        1,
        KernelReply::Expire {
            carrier: Carrier::Soft,
            spi: child.spi_in,
            destination,
            hard: false,
        },
    );
    world.run_secs(2);
    assert_eq!(world.children(0).len(), 2);
    world.assert_connected(1);
    // A second report of the same SA starts nothing.
    world.kernel(
        1,
        KernelReply::Expire {
            carrier: Carrier::Soft,
            spi: child.spi_in,
            destination,
            hard: false,
        },
    );
    world.run_secs(2);
    assert_eq!(world.children(0).len(), 2);
    world.kernel(
        1,
        KernelReply::Expire {
            carrier: Carrier::Soft,
            spi: child.spi_in,
            destination,
            hard: true,
        },
    );
    world.run_secs(2);
    assert_eq!(
        world.children(0).len(),
        1,
        "the peer is told of the hard expiry"
    );
    world.assert_connected(1);
}

#[test]
fn both_kernels_count_and_one_end_renews() {
    for initiator_counts in [true, false] {
        let mut world = World::pair(6);
        let mut policy = client_policy("198.51.100.7");
        policy.phase2.lifetime_kilobytes = 400;
        world.hosts[1].endpoint.set_policy(policy);
        world.connect();
        for round in 1..4 {
            for host in [0, 1] {
                if host == 1 && !initiator_counts {
                    continue;
                }
                let child = world.children(host).last().unwrap().clone();
                let destination = world.hosts[host].address;
                world.kernel(
                    host,
                    KernelReply::Expire {
                        carrier: Carrier::Soft,
                        spi: child.spi_in,
                        destination,
                        hard: false,
                    },
                );
            }
            world.run_secs(8);
            let children = world.children(0);
            assert_eq!(children.len(), 1 + round, "{initiator_counts}, {round}");
            let child = children.last().unwrap();
            let sa = &world.hosts[0].sas[&(Direction::Inbound, child.spi_in)];
            assert_eq!(sa.lifetime.hard_octets, 400 * 1024, "{initiator_counts}");
            world.assert_connected(1);
        }
    }
}

#[test]
fn a_dead_peer_is_noticed_and_forgotten() {
    for nat in [false, true] {
        let mut world = if nat {
            World::pair_behind_nat(5)
        } else {
            World::pair(5)
        };
        world.connect();
        world.run_secs(300);
        assert!(world.works(1), "a living peer stays");
        world.hosts[1].off = true;
        world.run_secs(120);
        world.assert_empty(0);
        assert!(world.hosts[0].events.iter().any(|event| matches!(
            event,
            Event::IkeDown {
                reason: DownReason::DpdTimeout,
                ..
            }
        )));
    }
}

#[test]
fn traffic_makes_dead_peer_detection_wait() {
    let mut world = World::pair(6);
    world.connect();
    for host in &mut world.hosts {
        host.esp = Some(0);
    }
    world.run_secs(400);
    assert_eq!(world.wire.len(), 9, "nothing but the connection itself");
    let octets = world.children(0)[0].inbound_octets;
    assert!(octets >= 10_000, "looked at every 30 s");
    // It ends: half a minute later the questions begin.
    for host in &mut world.hosts {
        host.esp = None;
    }
    world.run_secs(31);
    assert!(world.wire.len() > 9);
}

#[test]
fn a_client_that_vanished_replaces_itself() {
    for nat in [false, true] {
        let mut world = if nat {
            World::pair_behind_nat(7)
        } else {
            World::pair(7)
        };
        world.connect();
        let before = world.children(0)[0].clone();
        // Power off and on again: same mapping, nothing remembered.
        let address = world.hosts[1].address.to_string();
        world.hosts[1].endpoint = Endpoint::new(client_policy(&address));
        world.hosts[1].sas.clear();
        world.hosts[1].policies.clear();
        world.run_secs(5);
        world.connect();
        let after = world.children(0);
        assert_eq!(after.len(), 1, "INITIAL-CONTACT removes what was before");
        assert_ne!(after[0].spi_in, before.spi_in);
        assert_eq!(
            after[0].reqid, before.reqid,
            "the same client keeps its reqid"
        );
        assert_eq!(world.established(0).len(), 1);
        assert_eq!(world.hosts[0].sas.len(), 2);
        assert!(world.hosts[0].events.iter().any(|event| matches!(
            event,
            Event::ChildDown {
                reason: DownReason::InitialContact,
                ..
            }
        )));
    }
}

#[test]
fn without_initial_contact_the_new_sas_work_beside_the_old() {
    let mut world = World::pair(8);
    world.connect();
    let reqid = world.children(0)[0].reqid;
    let mut policy = client_policy("198.51.100.7");
    policy.connections[0].initial_contact = false;
    world.hosts[1].endpoint = Endpoint::new(policy);
    world.hosts[1].sas.clear();
    world.hosts[1].policies.clear();
    world.connect();
    assert!(world.children(0).iter().all(|child| child.reqid == reqid));
    assert_eq!(world.children(0).len(), 2);
}

#[test]
fn a_moved_mapping_is_followed_when_authenticated() {
    let mut world = World::pair_behind_nat(9);
    world.connect();
    let old = world.established(0)[0].peer;
    // Somebody who knows the cookies but no key changes nothing.
    let last = world
        .wire
        .iter()
        .rev()
        .find(|packet| packet.from == old)
        .unwrap()
        .clone();
    let mut forged = last.clone();
    forged.from = "192.0.2.66:9999".parse().unwrap();
    world.deliver_to(0, forged.clone());
    forged.payload[40] ^= 1;
    world.deliver_to(0, forged);
    assert_eq!(world.established(0)[0].peer, old);
    assert_eq!(world.hosts[0].moves, 0);
    // The NAT forgets, and gives another port.
    world.nat.mappings.clear();
    world.run_secs(60);
    let new = world.established(0)[0].peer;
    assert_ne!(new, old);
    assert_eq!(world.hosts[0].moves, 1);
    let child = &world.children(0)[0];
    assert_eq!(child.peer, new);
    assert_eq!(child.encapsulation.unwrap().peer_port, new.port());
    // And once more, noticed by ESP.
    let moved = "198.51.100.7:31000".parse().unwrap();
    let spi = child.spi_in;
    world.kernel(0, KernelReply::MappingMoved { spi, peer: moved });
    assert_eq!(world.established(0)[0].peer, moved);
    assert_eq!(world.hosts[0].moves, 2);
}

#[test]
fn a_keepalive_from_elsewhere_finds_a_moved_client() {
    let mut world = World::pair_behind_nat(31);
    // Nobody asks on its own: what the kernel drops, nobody would notice.
    for host in [0, 1] {
        let mut policy = world.hosts[host].endpoint.policy().clone();
        policy.dpd.interval = Duration::ZERO;
        world.hosts[host].endpoint.set_policy(policy);
    }
    world.connect();
    let old = world.established(0)[0].peer;
    // One with the right address alone moves nothing.
    let (local, forged) = (
        world.established(0)[0].local,
        "198.51.100.7:9".parse().unwrap(),
    );
    world.with(0, |endpoint, now, rng| {
        endpoint.handle_keepalive(now, local, forged, rng);
    });
    world.run_secs(10);
    assert_eq!(
        (world.established(0)[0].peer, world.hosts[0].moves),
        (old, 0)
    );
    world.nat.mappings.clear();
    world.run_secs(40);
    assert_ne!(world.established(0)[0].peer, old);
    assert_eq!(world.hosts[0].moves, 1);
    assert_eq!(world.established(0).len(), 1);
}

#[test]
fn a_restart_forgets_nothing() {
    for host in [0, 1] {
        let mut world = World::pair_behind_nat(10);
        lifetimes(&mut world, 1800, 600, false);
        world.connect();
        world.run_secs(60);
        let before = world.hosts[host].endpoint.checkpoint(world.now, 5000);
        assert!(
            !format!("{before:?}").contains(&hex_of(&before)),
            "no key in Debug output"
        );
        let json = serde_json::to_string(&before).unwrap();
        let policy = world.hosts[host].endpoint.policy().clone();
        world.run_secs(3);
        let mut endpoint = Endpoint::new(policy);
        let restored: Checkpoint = serde_json::from_str(&json).unwrap();
        endpoint.restore(world.now, 5003, &restored).unwrap();
        let after = endpoint.checkpoint(world.now, 5003);
        assert_eq!(before.ike_sas, after.ike_sas);
        assert_eq!(before.children, after.children);
        assert_eq!(before.clients, after.clients);
        world.hosts[host].endpoint = endpoint;
        run_connected(&mut world, 2 * 3600);
        world.assert_connected(1);
        let sas = world.hosts[0].sas.len();
        assert_eq!(sas, 2 * world.children(0).len());
    }
}

fn hex_of(checkpoint: &Checkpoint) -> String {
    ike_proto::wire::hex(&checkpoint.ike_sas[0].skeyid_d.0)
}

#[test]
fn what_expired_during_a_restart_is_removed() {
    let mut world = World::pair(11);
    lifetimes(&mut world, 1800, 600, false);
    world.connect();
    let checkpoint = world.hosts[0].endpoint.checkpoint(world.now, 5000);
    let mut endpoint = Endpoint::new(quick_policy());
    endpoint
        .restore(world.now, 5000 + 86_400, &checkpoint)
        .unwrap();
    world.hosts[0].endpoint = endpoint;
    world.hosts[1].off = true;
    world.run_secs(1);
    world.assert_empty(0);
}

#[test]
fn a_damaged_checkpoint_is_refused_whole() {
    let mut world = World::pair(12);
    world.connect();
    let good = world.hosts[0].endpoint.checkpoint(world.now, 1);
    let mut bad = good.clone();
    bad.version = 99;
    assert!(
        Endpoint::new(quick_policy())
            .restore(world.now, 1, &bad)
            .is_err()
    );
    let mut bad = good.clone();
    bad.ike_sas[0].key.0.pop();
    let mut endpoint = Endpoint::new(quick_policy());
    assert!(endpoint.restore(world.now, 1, &bad).is_err());
    assert_eq!(endpoint.table_entries(), 0);
}

/// Loss, repetition and reordering: in the end connected or cleanly failed, and when all is over
/// nothing is left.
#[test]
fn a_bad_network_never_leaks_state() {
    let mut connected = 0;
    for seed in 0..60 {
        let mut world = if seed % 2 == 0 {
            World::pair(seed)
        } else {
            World::pair_behind_nat(seed)
        };
        lifetimes(&mut world, 1200, 400, seed % 3 == 0);
        world.loss = 5 + (seed as u32 % 6) * 10;
        world.duplicate = 20;
        world.jitter_ms = 3000;
        world.initiate(1);
        world.run_secs(240);
        let up = world.works(1);
        if up {
            connected += 1;
        } else {
            let failed = world.hosts[1].events.iter().any(|event| {
                matches!(
                    event,
                    Event::ConnectionFailed { .. }
                        | Event::IkeDown { .. }
                        | Event::ChildDown { .. }
                )
            });
            if !failed {
                // A Delete was lost, so only the client believes in its pair: its next rekeying
                // heals that, or dead peer detection ends it.
                assert!(
                    !world.children(1).is_empty(),
                    "seed {seed}: neither connected nor failed"
                );
                (world.loss, world.duplicate, world.jitter_ms) = (0, 0, 0);
                world.run_secs(420);
                let ended = world.children(1).is_empty();
                assert!(world.works(1) || ended, "seed {seed}: one-sided");
            }
        }
        // Rekey under loss for a while, then silence.
        world.run_secs(1200);
        world.hosts[1].off = true;
        world.run_secs(4000);
        world.assert_empty(0);
        world.hosts[0].off = true;
        world.hosts[1].off = false;
        world.run_secs(4000);
        world.assert_empty(1);
    }
    assert!(connected >= 45, "only {connected} of 60 connected");
}

#[test]
fn repeated_messages_are_answered_with_the_same_octets() {
    let mut world = World::pair_behind_nat(13);
    world.connect();
    let server = world.hosts[0].address;
    // Every request of the client, in order, delivered once more at the end: MM5 and QM1 are the
    // last of their exchanges. MM1 and MM3 are over.
    let requests: Vec<_> = world
        .wire
        .iter()
        .filter(|packet| packet.to.ip() == server)
        .cloned()
        .collect();
    let answers: Vec<_> = world.hosts[0].sent.clone();
    assert_eq!(requests.len(), 5);
    for (index, answered) in [(2, Some(2)), (0, None), (1, None), (4, None)] {
        let before = world.hosts[0].sent.len();
        world.deliver_to(0, requests[index].clone());
        let new = &world.hosts[0].sent[before..];
        match answered {
            Some(answer) => assert_eq!(new, [answers[answer].clone()]),
            None => assert!(new.is_empty(), "request {index} gave {new:?}"),
        }
    }
    // Not for ever.
    for _ in 0..100 {
        world.deliver_to(0, requests[2].clone());
    }
    assert!(world.hosts[0].sent.len() < answers.len() + 20);
    assert_eq!(world.children(0).len(), 1);
}

#[test]
fn mm1_mm3_and_qm1_repeated_in_time_get_the_same_octets() {
    let mut world = World::pair(14);
    world.duplicate = 100;
    world.initiate(1);
    world.run_secs(3);
    world.assert_connected(1);
    let sent: Vec<Vec<u8>> = world.hosts[0]
        .sent
        .iter()
        .map(|transmit| transmit.bytes.clone())
        .collect();
    let mut different = sent.clone();
    different.dedup();
    different.sort();
    different.dedup();
    assert!(sent.len() > different.len(), "repetitions were answered");
    // MM2, MM4, MM6, QM2: each one message, whatever was repeated.
    assert_eq!(different.len(), 4);
    assert_eq!(world.children(0).len(), 1);
}

#[test]
fn the_responder_never_repeats_main_mode_by_itself() {
    let mut world = World::pair(15);
    world.initiate(1);
    world.run(Duration::from_millis(15));
    world.hosts[1].off = true;
    world.run_secs(200);
    let server = &world.hosts[0];
    assert_eq!(server.sent.len(), 1, "MM2 once");
    let mm1 = &world.wire[0];
    assert!(
        server.sent[0].bytes.len() <= mm1.payload.len(),
        "no amplification"
    );
    world.assert_empty(0);
}

#[test]
fn a_flood_of_first_messages_is_bounded() {
    let mut world = World::pair(16);
    let mut policy = quick_policy();
    policy.limits.half_open = 100;
    policy.limits.half_open_per_source = 10;
    world.hosts[0].endpoint.set_policy(policy);
    world.initiate(1);
    let mm1 = world.wire[0].clone();
    world.hosts[1].off = true;
    for round in 0..3000u32 {
        let mut packet = mm1.clone();
        // Half of the flood comes from one address.
        let source = if round % 2 == 0 { 7 } else { round };
        packet
            .from
            .set_ip(std::net::Ipv4Addr::from(0x0a00_0000 + source).into());
        let mut cookie = [0; 8];
        world.rng.fill_bytes(&mut cookie);
        packet.payload[..8].copy_from_slice(&cookie);
        world.deliver_to(0, packet);
        let counters = world.hosts[0].endpoint.counters();
        assert!(counters.half_open <= 100);
        assert!(world.hosts[0].endpoint.table_entries() <= 700);
    }
    let events = world.hosts[0].events.len();
    assert!(
        events < 1100,
        "a flood of packets is no flood of events: {events}"
    );
    // An honest client still gets in, and afterwards nothing is left of the flood.
    let client = world.add("198.51.100.8", client_policy("198.51.100.8"));
    world.initiate(client);
    world.run_secs(3);
    world.assert_connected(client);
    world.with(client, |endpoint, now, rng| endpoint.flush(now, rng));
    world.run_secs(100);
    world.assert_empty(0);
}

#[test]
fn quick_modes_and_pairs_are_limited() {
    let mut world = World::pair(17);
    let mut policy = quick_policy();
    policy.limits.children_per_client = 5;
    world.hosts[0].endpoint.set_policy(policy);
    world.connect();
    for _ in 0..30 {
        world.initiate(1);
        world.run_secs(1);
    }
    assert_eq!(world.children(0).len(), 5);
    assert_eq!(world.hosts[0].sas.len(), 10);
    world.assert_connected(1);
    // Many at once: those beyond the limit are refused, the ISAKMP SA lives.
    for _ in 0..40 {
        world.initiate(1);
    }
    world.run_secs(60);
    assert!(world.children(0).len() <= 5);
    assert_eq!(world.established(0).len(), 1);
    world.assert_connected(1);
}

#[test]
fn parallel_quick_modes_all_work() {
    let mut world = World::pair(18);
    world.connect();
    for _ in 0..5 {
        world.initiate(1);
    }
    world.run_secs(3);
    let children = world.children(1);
    assert_eq!(children.len(), 6);
    for child in children {
        world.assert_works(1, child.spi_in, child.spi_out);
    }
}

#[test]
fn every_recorded_message_in_every_state() {
    // All messages of a whole life, thrown at a server in every order of two: nothing panics,
    // nothing is established twice, and all of it goes away.
    let mut world = World::pair_behind_nat(19);
    lifetimes(&mut world, 1200, 400, false);
    world.connect();
    world.run_secs(500);
    world.with(1, |endpoint, now, rng| endpoint.flush(now, rng));
    world.run_secs(1);
    let server = world.hosts[0].address;
    let recorded: Vec<_> = world
        .wire
        .iter()
        .filter(|packet| packet.to.ip() == server && packet.payload.len() > 1)
        .cloned()
        .collect();
    let mut fresh = World::new(20);
    fresh.add(SERVER, quick_policy());
    for _ in 0..3 {
        for first in &recorded {
            for second in recorded.iter().step_by(7) {
                fresh.deliver_to(0, first.clone());
                fresh.deliver_to(0, second.clone());
            }
        }
        for packet in &recorded {
            for exchange in [2u8, 4, 5, 6, 32, 33, 34, 243, 246] {
                let mut packet = packet.clone();
                let offset = if packet.to.port() == 4500 { 4 } else { 0 };
                packet.payload[offset + 18] = exchange;
                fresh.deliver_to(0, packet);
            }
        }
        assert!(fresh.established(0).is_empty());
    }
    fresh.run_secs(100);
    fresh.assert_empty(0);
    // The same against a server that is in the middle of it.
    world.connect();
    for packet in &recorded {
        world.deliver_to(0, packet.clone());
    }
    world.run_secs(5);
    world.assert_connected(1);
    assert_eq!(
        world.children(0).len(),
        1,
        "old Deletes and INITIAL-CONTACTs mean nothing"
    );
}

#[test]
fn responder_lifetime_is_announced_when_it_is_shorter() {
    let mut world = World::pair(21);
    lifetimes(&mut world, 3600, 7200, false);
    let mut policy = quick_policy();
    policy.phase2.lifetime_max = Duration::from_secs(1000);
    world.hosts[0].endpoint.set_policy(policy);
    world.connect();
    let client = world.children(1)[0].expires_in.unwrap();
    assert!(client <= Duration::from_secs(1000), "{client:?}");
    run_connected(&mut world, 3000);
}

#[test]
fn handles_are_never_reused() {
    let mut world = World::pair(22);
    let mut seen = std::collections::BTreeSet::<ChildId>::new();
    for _ in 0..5 {
        world.connect();
        assert!(seen.insert(world.children(0)[0].id));
        world.with(1, |endpoint, now, rng| endpoint.flush(now, rng));
        world.run_secs(1);
    }
    let _: Policy = quick_policy();
    let datagram = Datagram {
        local: "203.0.113.1:500".parse().unwrap(),
        peer: "198.51.100.7:500".parse().unwrap(),
        natt_port: false,
        payload: &[],
    };
    world.with(0, |endpoint, now, rng| {
        endpoint.handle_datagram(now, datagram, rng)
    });
    world.assert_empty(0);
}

/// Windows says INITIAL-CONTACT by a vendor id in its first message: what it had before goes once
/// the new IPsec SAs work, so that a rekeying Windows, which may say so too, loses nothing.
#[test]
fn windows_says_initial_contact_by_vendor_id() {
    let mut world = World::pair_behind_nat(23);
    world.connect();
    let before = world.children(0)[0].clone();
    let mut policy = client_policy("192.168.1.5");
    policy.connections[0].initial_contact = false;
    world.hosts[1].endpoint = Endpoint::new(policy);
    world.hosts[1].sas.clear();
    world.hosts[1].policies.clear();
    world.initiate(1);
    // The vendor id goes between the header and the SA payload, which no hash covers.
    let mut mm1 = world.wire.last().unwrap().clone();
    let mut vendor_id = vec![1, 0, 0, 20];
    vendor_id.extend_from_slice(ike_proto::vendor::MS_INITIAL_CONTACT);
    mm1.payload[16] = 13;
    mm1.payload.splice(28..28, vendor_id);
    let len = mm1.payload.len() as u32;
    mm1.payload[24..28].copy_from_slice(&len.to_be_bytes());
    world.deliver_to(0, mm1);
    world.run_secs(3);
    world.assert_connected(1);
    let after = world.children(0);
    assert_eq!(after.len(), 1);
    assert_ne!(after[0].id, before.id);
    assert_eq!(after[0].reqid, before.reqid);
}

/// QM3 is lost for good, but the peer already sends ESP: the outbound half follows.
#[test]
fn traffic_on_the_inbound_sa_stands_in_for_qm3() {
    let mut world = World::pair(24);
    world.initiate(1);
    let mut child = None;
    for _ in 0..500 {
        world.run(Duration::from_millis(1));
        if let Some(found) = world.hosts[0].endpoint.child_sas(world.now).first() {
            child = Some(found.clone());
            break;
        }
    }
    let child = child.unwrap();
    assert_eq!(child.state, "installing");
    world.loss = 100;
    world.hosts[0].esp = Some(0);
    // It is looked for whenever QM2 is repeated.
    world.run_secs(5);
    assert_eq!(world.children(0).len(), 1);
    assert_eq!(world.hosts[0].sas.len(), 2);
}

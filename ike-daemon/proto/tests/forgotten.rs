//! A peer that was restarted and has forgotten everything, or half of it: the other one finds out,
//! believes nothing that anybody could have said, and nothing is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::net::IpAddr;
use std::time::Duration;

use ike_proto::Endpoint;
use ike_proto::carrier::{Carriers, SystemAbilities};
use ike_proto::error::DownReason;
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::io::{Event, KernelReply, Reqid};
use pair::{Packet, SERVER, Silence, World, client_policy, quick_policy};

/// The server's process ended without a checkpoint, the kernel's SAs with it.
fn forget(world: &mut World) {
    let server = &mut world.hosts[0];
    server.endpoint = Endpoint::new(quick_policy());
    server.sas.clear();
    server.larval.clear();
    server.policies.clear();
}

/// The server's process ended; the next one has its checkpoint.
fn restart(world: &mut World) {
    let checkpoint = world.hosts[0].endpoint.checkpoint(world.now, 5000);
    let mut endpoint = Endpoint::new(quick_policy());
    endpoint.restore(world.now, 5000, &checkpoint).unwrap();
    let server = &mut world.hosts[0];
    server.endpoint = endpoint;
    server.larval.clear();
}

fn thinks_it_dead(world: &World, host: usize) -> bool {
    let mut events = world.hosts[host].events.iter();
    events.any(|event| {
        matches!(
            event,
            Event::IkeDown {
                reason: DownReason::DpdTimeout,
                ..
            }
        )
    })
}

/// Runs until a host has an ISAKMP SA and no more than that.
fn until_phase_1(world: &mut World, host: usize) {
    while world.established(host).is_empty() {
        world.run(Duration::from_millis(1));
    }
    assert!(world.children(host).is_empty());
}

#[test]
fn a_server_that_forgot_is_found_out_with_the_first_question() {
    for nat in [false, true] {
        let mut world = match nat {
            false => World::pair(1),
            true => World::pair_behind_nat(1),
        };
        world.connect();
        forget(&mut world);
        // Dead peer detection asks after 30 s; five more questions would take 25.
        world.run_secs(42);
        assert!(thinks_it_dead(&world, 1));
        world.assert_empty(1);
        world.connect();
    }
}

#[test]
fn a_server_that_forgot_between_the_phases_is_found_out_at_once() {
    let mut world = World::pair(2);
    world.initiate(1);
    until_phase_1(&mut world, 1);
    forget(&mut world);
    world.run_secs(15);
    assert!(thinks_it_dead(&world, 1));
    world.assert_empty(1);
    world.connect();
}

#[test]
fn invalid_cookie_alone_ends_nothing() {
    let mut world = World::pair(3);
    world.connect();
    let sa = world.established(1)[0].clone();
    forget(&mut world);
    // What the forgetful server would say to the client's next message.
    let probe = Packet {
        from: "198.51.100.7:500".parse().unwrap(),
        to: sa.peer,
        payload: world.hosts[1].sent.last().unwrap().udp_payload(),
    };
    let said = world.hosts[0].sent.len();
    world.deliver_to(0, probe);
    let forged = world.hosts[0].sent[said].udp_payload();
    let mut world = World::pair(3);
    world.connect();
    assert_eq!(world.established(1)[0].peer, sa.peer);
    let questions = world.hosts[1].sent.len();
    for _ in 0..100 {
        world.deliver_to(
            1,
            Packet {
                from: sa.peer,
                to: "198.51.100.7:500".parse().unwrap(),
                payload: forged.clone(),
            },
        );
        world.run(Duration::from_millis(100));
    }
    // Ten seconds of it are worth a question each five.
    let asked = world.hosts[1].sent.len() - questions;
    assert!((1..=3).contains(&asked), "{asked}");
    assert!(!thinks_it_dead(&world, 1));
    world.assert_connected(1);
    // From elsewhere it is worth nothing.
    world.run_secs(6);
    let questions = world.hosts[1].sent.len();
    world.deliver_to(
        1,
        Packet {
            from: "203.0.113.9:500".parse().unwrap(),
            to: "198.51.100.7:500".parse().unwrap(),
            payload: forged,
        },
    );
    world.run_secs(1);
    assert_eq!(world.hosts[1].sent.len(), questions);
}

#[test]
fn a_quick_mode_that_a_restart_interrupted_goes_on() {
    let mut world = World::pair(4);
    world.hosts[0].silent = Some(Silence::GetSpi);
    world.initiate(1);
    until_phase_1(&mut world, 0);
    world.run(Duration::from_millis(100));
    let quick_modes = world.hosts[0].endpoint.counters().datagrams_in;
    assert_eq!(quick_modes, 4, "QM1 is in");
    restart(&mut world);
    world.hosts[0].silent = None;
    // Its second sending.
    world.run_secs(3);
    world.assert_connected(1);
}

#[test]
fn sas_that_nobody_wrote_down_are_disowned() {
    let mut world = World::pair(5);
    world.connect();
    let child = world.children(0)[0].clone();
    let disown = |world: &mut World, destination: &str, reqid: Reqid| {
        let destination: IpAddr = destination.parse().unwrap();
        world.with(0, |endpoint, now, rng| {
            endpoint.disown(now, reqid, destination, &[child.spi_in], rng);
        });
        world.run_secs(1);
    };
    // Not ours to receive by, and nobody's.
    disown(&mut world, "198.51.100.7", child.reqid);
    disown(&mut world, SERVER, Reqid(child.reqid.0 + 1));
    assert_eq!(world.children(1).len(), 1);
    disown(&mut world, SERVER, child.reqid);
    assert!(world.children(1).is_empty());
    assert!(!world.hosts[1].endpoint.is_connected("vpn"));
    // The ISAKMP SA is as good as before.
    world.initiate(1);
    world.run_secs(1);
    assert_eq!(world.established(1).len(), 1);
    assert!(world.hosts[1].endpoint.is_connected("vpn"));
}

#[test]
fn traffic_that_waits_for_sas_under_way_asks_for_no_others() {
    let mut world = World::pair(6);
    world.hosts[1].silent = Some(Silence::Outbound);
    let peer = SERVER.parse().unwrap();
    let acquire = KernelReply::Acquire {
        local: "198.51.100.7".parse().unwrap(),
        peer,
        reqid: 0,
    };
    world.kernel(1, acquire.clone());
    for _ in 0..30 {
        world.run(Duration::from_millis(100));
        world.kernel(1, acquire.clone());
    }
    let ([], [child]) = (
        &world.children(1)[..],
        &world.hosts[1].endpoint.child_sas(world.now)[..],
    ) else {
        panic!("{:?}", world.hosts[1].endpoint.child_sas(world.now));
    };
    let (child, direction) = (child.id, ike_proto::io::Direction::Outbound);
    world.kernel(1, KernelReply::Installed { child, direction });
    world.run_secs(5);
    assert_eq!(world.children(1).len(), 1);
    assert_eq!(world.children(0).len(), 1);
    world.assert_connected(1);
}

#[test]
fn a_quick_mode_waits_until_the_kernel_has_said_what_it_can() {
    let mut world = World::pair(7);
    let freebsd = SystemAbilities {
        ciphers: vec![EspTransform::AES_CBC, EspTransform::AES_GCM_16],
        auths: vec![EspAuth::HMAC_SHA1, EspAuth::HMAC_SHA2_256],
        ..SystemAbilities::default()
    };
    let carriers = |system: SystemAbilities, awaited| Carriers {
        system: Some(system),
        soft: true,
        awaited,
    };
    let server = &mut world.hosts[0].endpoint;
    server.set_carriers(carriers(SystemAbilities::default(), true));
    world.initiate(1);
    world.run_secs(1);
    assert_eq!(world.established(1).len(), 1);
    let server = &mut world.hosts[0].endpoint;
    server.set_carriers(carriers(freebsd, false));
    world.run_secs(3);
    world.assert_connected(1);
    let refused = world.hosts[0].events.iter();
    let refused = refused.filter(|event| matches!(event, Event::Refused { .. }));
    assert_eq!(refused.count(), 0);
}

/// Two clients behind one NAT which forgets them both; the second one's keepalive is the first.
#[test]
fn who_of_two_has_moved_is_found_out_whoever_speaks_first() {
    let mut world = World::pair_behind_nat(8);
    let silent = |address: &str| {
        let mut policy = client_policy(address);
        policy.dpd.interval = Duration::ZERO;
        policy
    };
    world.hosts[1].endpoint.set_policy(silent("192.168.1.5"));
    world.initiate(1);
    world.run_secs(12);
    world.add("192.168.1.6", silent("192.168.1.6"));
    world.initiate(2);
    world.run_secs(13);
    let before: Vec<_> = world.established(0).iter().map(|sa| sa.peer).collect();
    assert_eq!(before.len(), 2);
    world.nat.mappings.clear();
    world.run_secs(40);
    let after: Vec<_> = world.established(0).iter().map(|sa| sa.peer).collect();
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|peer| !before.contains(peer)), "{after:?}");
    assert!(!thinks_it_dead(&world, 0));
    for client in [1, 2] {
        world.assert_connected(client);
    }
}

//! Two kernels: which one carries a client, and what follows from it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::time::Duration;

use ike_crypto::Cipher;
use ike_proto::Endpoint;
use ike_proto::carrier::{Carrier, Carriers, OWN_REQIDS, SoftReason, SystemAbilities};
use ike_proto::error::{DownReason, Refusal};
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::io::{Direction, Event, KernelReply};
use ike_proto::policy::EspSuite;
use pair::{SERVER, World, client_policy, quick_policy};

const DES: EspSuite = EspSuite {
    cipher: EspTransform::TRIPLE_DES,
    key_bits: 0,
    auth: EspAuth::HMAC_SHA1,
};

/// FreeBSD 14's kernel, and softkernel beside it or not.
fn freebsd(soft: bool) -> Carriers {
    Carriers {
        system: Some(SystemAbilities {
            ciphers: vec![EspTransform::AES_CBC, EspTransform::AES_GCM_16],
            auths: vec![
                EspAuth::HMAC_SHA1,
                EspAuth::HMAC_SHA2_256,
                EspAuth::HMAC_SHA2_384,
                EspAuth::HMAC_SHA2_512,
            ],
            ipv6_encapsulation: false,
            oldest_first: true,
        }),
        soft,
        awaited: false,
    }
}

/// The server, host 0, has two kernels and allows 3DES.
fn two_kernels(world: &mut World) {
    let mut policy = quick_policy();
    policy.phase2.allow_3des = true;
    world.hosts[0].endpoint.set_policy(policy);
    world.hosts[0].endpoint.set_carriers(freebsd(true));
}

fn only_3des(world: &mut World, local: &str) {
    let mut policy = client_policy(local);
    policy.phase2.allow_3des = true;
    policy.phase2.suites = vec![DES];
    world.hosts[1].endpoint.set_policy(policy);
}

fn carried(world: &World) -> Vec<(Carrier, Option<SoftReason>)> {
    let events = world.hosts[0].events.iter();
    events
        .filter_map(|event| match event {
            Event::Carried {
                carrier, reason, ..
            } => Some((*carrier, *reason)),
            _ => None,
        })
        .collect()
}

/// A second client, host 2, at 192.168.1.6 behind the same NAT.
fn second_client(world: &mut World) {
    world.add("192.168.1.6", client_policy("192.168.1.6"));
    world.initiate(2);
    world.run_secs(5);
}

#[test]
fn the_first_client_behind_a_nat_is_the_systems_and_the_second_softkernels() {
    let mut world = World::pair_behind_nat(1);
    two_kernels(&mut world);
    world.connect();
    assert_eq!(carried(&world), [(Carrier::System, None)]);
    assert!(world.hosts[0].ports.is_empty());
    second_client(&mut world);
    world.assert_connected(2);
    assert_eq!(
        carried(&world)[1..],
        [(Carrier::Soft, Some(SoftReason::SharedPort(1701)))]
    );
    let children = world.children(0);
    let second = children.iter().find(|c| c.kernel == Carrier::Soft).unwrap();
    assert!(OWN_REQIDS.contains(&second.reqid.0));
    let [port] = world.hosts[0].ports[..] else {
        panic!("{:?}", world.hosts[0].ports);
    };
    assert_eq!((port.peer, port.local), (second.peer, second.local));
    for (key, carrier) in &world.hosts[0].carriers {
        let of_second = [second.spi_in, second.spi_out].contains(&key.1);
        assert_eq!(*carrier == Carrier::Soft, of_second);
    }
    // Where its tunnel is, there it stays, even when the first one is gone.
    let first = children.iter().find(|c| c.id != second.id).unwrap().id;
    world.with(0, |endpoint, now, rng| {
        endpoint.delete_child(now, first, rng).unwrap();
    });
    let id = second.id;
    world.with(0, |endpoint, now, rng| {
        endpoint.rekey_child(now, id, rng).unwrap();
    });
    world.run_secs(5);
    assert_eq!(
        carried(&world).last(),
        Some(&(Carrier::Soft, Some(SoftReason::Stays)))
    );
    assert_eq!(world.hosts[0].ports, [port]);
    // With its last SA the port is the system's again.
    world.with(0, |endpoint, now, rng| endpoint.flush(now, rng));
    world.run_secs(5);
    assert!(world.hosts[0].ports.is_empty());
    world.assert_empty(0);
}

#[test]
fn behind_nat_the_system_has_a_policy_for_each_client() {
    let mut world = World::pair_behind_nat(13);
    two_kernels(&mut world);
    world.connect();
    let child = world.children(0)[0].clone();
    let policies = world.hosts[0].policies.clone();
    assert_eq!(policies.len(), 2);
    for policy in policies {
        assert_eq!((policy.reqid, policy.traffic), (child.reqid, child.traffic));
        assert_eq!(policy.traffic.peer.port, 1701);
    }
    // softkernel says with each datagram whose it is.
    second_client(&mut world);
    assert_eq!(world.hosts[0].policies.len(), 2);
    world.with(0, |endpoint, now, rng| endpoint.flush(now, rng));
    assert!(world.hosts[0].policies.is_empty());
}

#[test]
fn a_policy_stays_for_who_came_last() {
    let mut world = World::pair_behind_nat(14);
    two_kernels(&mut world);
    world.hosts[0].endpoint.set_carriers(freebsd(false));
    world.connect();
    let ghost = world.children(0)[0].clone();
    // The host starts anew, through another mapping, without a word about its old SAs.
    world.nat.mappings.clear();
    let mut policy = client_policy("192.168.1.5");
    policy.connections[0].initial_contact = false;
    world.hosts[1].endpoint = Endpoint::new(policy);
    world.hosts[1].sas.clear();
    world.hosts[1].policies.clear();
    world.initiate(1);
    world.run_secs(5);
    let children = world.children(0);
    let new = children.iter().find(|c| c.reqid != ghost.reqid).unwrap();
    assert_eq!((new.kernel, new.traffic), (Carrier::System, ghost.traffic));
    world.with(0, |endpoint, now, rng| {
        endpoint.delete_child(now, ghost.id, rng).unwrap();
        endpoint.delete_ike(now, ghost.ike, true, rng).unwrap();
    });
    let kept = world.hosts[0].policies.iter();
    assert_eq!(kept.filter(|policy| policy.reqid == new.reqid).count(), 2);
}

#[test]
fn a_bound_port_follows_the_nat() {
    let mut world = World::pair_behind_nat(2);
    two_kernels(&mut world);
    only_3des(&mut world, "192.168.1.5");
    world.connect();
    let child = world.children(0)[0].clone();
    assert_eq!(
        carried(&world),
        [(Carrier::Soft, Some(SoftReason::Suite(DES)))]
    );
    assert_eq!(world.hosts[0].ports[0].peer, child.peer);
    world.nat.mappings.clear();
    world.run_secs(60);
    let moved = world.children(0)[0].peer;
    assert_ne!(moved, child.peer);
    assert_eq!(world.hosts[0].ports.len(), 1);
    assert_eq!(world.hosts[0].ports[0].peer, moved);
}

/// The NAT forgets, and gives each of two clients the port that the other one had.
#[test]
fn a_port_that_the_nat_gave_to_another_is_not_softkernels_any_more() {
    let mut world = World::pair_behind_nat(15);
    two_kernels(&mut world);
    world.connect();
    second_client(&mut world);
    let peers = |world: &World| {
        let children = world.children(0);
        let of = |kernel| children.iter().find(|c| c.kernel == kernel).unwrap().peer;
        (of(Carrier::System), of(Carrier::Soft))
    };
    let (system, soft) = peers(&world);
    let mappings = &mut world.nat.mappings;
    let inner: Vec<_> = mappings
        .keys()
        .copied()
        .filter(|a| a.port() == 4500)
        .collect();
    let [first, second] = inner[..] else {
        panic!("{mappings:?}");
    };
    let (of_first, of_second) = (mappings[&first], mappings[&second]);
    mappings.insert(first, of_second);
    mappings.insert(second, of_first);
    // With the first authentic message of the first client.
    while peers(&world).0 == system {
        world.run(Duration::from_secs(1));
    }
    assert_eq!(peers(&world), (soft, system));
    let [port] = world.hosts[0].ports[..] else {
        panic!("{:?}", world.hosts[0].ports);
    };
    assert_eq!(port.peer, system);
    world.run_secs(120);
    world.assert_connected(1);
    world.assert_connected(2);
    // A new client comes by softkernel's port, whose owner is gone without a word.
    world.hosts[2].off = true;
    world.add("192.168.1.7", client_policy("192.168.1.7"));
    let third: std::net::SocketAddr = "192.168.1.7:4500".parse().unwrap();
    world.nat.mappings.remove(&second);
    world.nat.mappings.insert(third, system.port());
    world.initiate(3);
    world.run_secs(5);
    world.assert_connected(3);
    let children = world.children(0);
    assert_eq!(children.len(), 2, "{children:?}");
}

#[test]
fn a_client_without_nat_is_made_to_use_udp_when_it_comes_again() {
    let mut world = World::pair(3);
    two_kernels(&mut world);
    only_3des(&mut world, "198.51.100.7");
    world.initiate(1);
    world.run_secs(5);
    assert!(world.children(0).is_empty());
    let refused = |world: &World, reason| {
        let refused =
            |event: &Event| matches!(event, Event::Refused { reason: r, .. } if *r == reason);
        world.hosts[0].events.iter().any(refused)
    };
    assert!(refused(&world, Refusal::NeedsEncapsulation));
    assert!(
        world.established(1).is_empty(),
        "a new phase 1 is needed, so the old one is gone"
    );
    world.connect();
    let child = &world.children(0)[0];
    assert!(child.encapsulation_mode.is_udp());
    assert_eq!(child.kernel, Carrier::Soft);
    assert_eq!(world.hosts[0].ports.len(), 1);
}

#[test]
fn who_knows_only_3des_in_phase_1_is_made_to_use_udp_at_once() {
    let mut world = World::pair(4);
    two_kernels(&mut world);
    only_3des(&mut world, "198.51.100.7");
    let mut policy = world.hosts[1].endpoint.policy().clone();
    policy.phase1.ciphers = vec![Cipher::TripleDes];
    world.hosts[1].endpoint.set_policy(policy);
    world.connect();
    assert_eq!(world.children(0)[0].kernel, Carrier::Soft);
}

#[test]
fn without_softkernel_the_refusal_names_the_remedy() {
    let mut world = World::pair_behind_nat(5);
    two_kernels(&mut world);
    world.hosts[0].endpoint.set_carriers(freebsd(false));
    only_3des(&mut world, "192.168.1.5");
    world.initiate(1);
    world.run_secs(5);
    assert!(world.children(0).is_empty());
    assert!(
        Refusal::NeedsSoftkernel
            .remedy()
            .unwrap()
            .contains("softkernel")
    );
    let refused = world.hosts[0].events.iter().any(|event| {
        matches!(event, Event::Refused { reason, .. } if *reason == Refusal::NeedsSoftkernel)
    });
    assert!(refused);

    // A second client with the same port would end the first one's tunnel.
    let mut world = World::pair_behind_nat(6);
    two_kernels(&mut world);
    world.hosts[0].endpoint.set_carriers(freebsd(false));
    world.connect();
    second_client(&mut world);
    assert!(!world.works(2));
    world.assert_connected(1);
}

#[test]
fn an_initiator_offers_what_its_kernel_has() {
    let mut world = World::pair(7);
    let mut policy = client_policy("198.51.100.7");
    policy.phase2.allow_3des = true;
    policy.phase2.suites = vec![DES];
    world.hosts[1].endpoint.set_policy(policy);
    world.hosts[1].endpoint.set_carriers(freebsd(false));
    world.initiate(1);
    world.run_secs(5);
    let failed = world.hosts[1].events.iter().any(|event| {
        matches!(
            event,
            Event::ConnectionFailed {
                reason: DownReason::Refused(Refusal::NeedsSoftkernel | Refusal::NeedsEncapsulation),
                ..
            }
        )
    });
    assert!(failed, "{:?}", world.hosts[1].events);
    // With softkernel it goes there, and so in UDP.
    let mut world = World::pair(8);
    let mut policy = client_policy("198.51.100.7");
    policy.phase2.allow_3des = true;
    policy.phase2.suites = vec![DES];
    world.hosts[1].endpoint.set_policy(policy);
    world.hosts[1].endpoint.set_carriers(freebsd(true));
    let mut server = quick_policy();
    server.phase2.allow_3des = true;
    world.hosts[0].endpoint.set_policy(server);
    world.connect();
    let child = &world.children(1)[0];
    assert!(child.encapsulation_mode.is_udp());
    assert_eq!(child.kernel, Carrier::Soft);
    assert_eq!(world.hosts[1].ports.len(), 1);
}

#[test]
fn where_old_sas_are_preferred_a_replaced_outbound_one_goes_at_once() {
    let mut world = World::pair_behind_nat(9);
    two_kernels(&mut world);
    world.connect();
    let old = world.children(0)[0].clone();
    let id = world.children(1)[0].id;
    world.with(1, |endpoint, now, rng| {
        endpoint.rekey_child(now, id, rng).unwrap();
    });
    world.run_secs(5);
    let sas = &world.hosts[0].sas;
    assert!(!sas.contains_key(&(Direction::Outbound, old.spi_out)));
    assert!(sas.contains_key(&(Direction::Inbound, old.spi_in)));
    let children = world.children(0);
    assert_eq!(children.len(), 2);
    assert!(children.iter().all(|c| c.outbound_gone == (c.id == old.id)));
    // A move names only what is there; the world's kernel would not mind, FreeBSD's would.
    world.nat.mappings.clear();
    world.run_secs(60);
    assert_eq!(
        world
            .children(0)
            .iter()
            .filter(|c| c.peer == old.peer)
            .count(),
        0
    );
    // The client's kernel takes the newest: it keeps both halves until the old pair goes.
    assert!(world.hosts[1].endpoint.carriers().system.is_none());
}

#[test]
fn expiries_are_of_the_kernel_that_says_so() {
    let mut world = World::pair_behind_nat(10);
    two_kernels(&mut world);
    world.connect();
    let child = world.children(0)[0].clone();
    let expire = |carrier| KernelReply::Expire {
        carrier,
        spi: child.spi_in,
        destination: SERVER.parse().unwrap(),
        hard: true,
    };
    world.kernel(0, expire(Carrier::Soft));
    assert_eq!(world.children(0).len(), 1);
    world.kernel(0, expire(Carrier::System));
    assert!(world.children(0).is_empty());
}

#[test]
fn a_restart_knows_the_kernels_and_binds_the_ports_again() {
    let mut world = World::pair_behind_nat(11);
    two_kernels(&mut world);
    world.connect();
    second_client(&mut world);
    let before = world.hosts[0].endpoint.checkpoint(world.now, 5000);
    let text = serde_json::to_string(&before).unwrap();
    let mut endpoint = Endpoint::new(world.hosts[0].endpoint.policy().clone());
    endpoint.set_carriers(freebsd(false));
    endpoint
        .restore(world.now, 5000, &serde_json::from_str(&text).unwrap())
        .unwrap();
    let kernels = |endpoint: &Endpoint| -> Vec<Carrier> {
        let children = endpoint.child_sas(world.now);
        children.iter().map(|child| child.kernel).collect()
    };
    assert_eq!(kernels(&endpoint), kernels(&world.hosts[0].endpoint));
    let port = world.hosts[0].ports[0];
    world.hosts[0].ports.clear();
    world.hosts[0].endpoint = endpoint;
    world.drain(0);
    assert_eq!(world.hosts[0].ports, [port]);
}

#[test]
fn reqids_of_others_are_not_given_out() {
    let mut world = World::pair(12);
    let taken = [*OWN_REQIDS.start(), *OWN_REQIDS.start() + 1];
    world.hosts[0].endpoint.avoid_reqids(taken.into());
    world.connect();
    assert_eq!(world.children(0)[0].reqid.0, OWN_REQIDS.start() + 2);
    assert_eq!(world.children(1)[0].reqid.0, *OWN_REQIDS.start());
}

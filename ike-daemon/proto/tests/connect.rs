//! Two endpoints connect: phase 1 and 2, NAT, PFS, every algorithm, kernel refusals, deletion.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash, Secret};
use ike_proto::error::{DownReason, Refusal};
use ike_proto::iana::{EncapsulationMode, EspTransform, NotifyType};
use ike_proto::io::{Direction, Event, Mode};
use ike_proto::policy::{SecretEntry, SecretPeer};
use pair::{SERVER, World, client_policy, connection, quick_policy};

#[test]
fn without_nat_it_stays_on_port_500() {
    let mut world = World::pair(1);
    world.connect();
    assert!(world.wire.iter().all(|packet| packet.to.port() == 500));
    let child = &world.children(1)[0];
    assert_eq!(child.encapsulation_mode, EncapsulationMode::TRANSPORT);
    assert_eq!(child.traffic.protocol, 17);
    assert_eq!(child.traffic.peer.port, 1701);
    // Nine messages, none longer than it must be.
    assert_eq!(world.wire.len(), 9);
    assert_eq!(world.hosts[1].policies.len(), 2);
    assert!(
        world.hosts[0].policies.is_empty(),
        "a transport mode server needs no policy"
    );
}

#[test]
fn behind_nat_it_floats_to_port_4500() {
    let mut world = World::pair_behind_nat(2);
    world.connect();
    let child = &world.children(0)[0];
    assert_eq!(child.encapsulation_mode, EncapsulationMode::UDP_TRANSPORT);
    assert_eq!(child.peer_original, Some("192.168.1.5".parse().unwrap()));
    let ike = &world.established(0)[0];
    assert!(ike.peer_nat && !ike.local_nat);
    assert_eq!(ike.local.port(), 4500);
    let ike = &world.established(1)[0];
    assert!(ike.local_nat && !ike.peer_nat);
    // Only the side behind NAT sends keepalives.
    world.run_secs(65);
    assert_eq!(world.hosts[0].keepalives, 3);
    assert_eq!(world.hosts[1].keepalives, 0);
}

#[test]
fn forced_encapsulation_works_without_nat() {
    let mut world = World::pair(3);
    let mut policy = client_policy("198.51.100.7");
    policy.nat.force = true;
    world.hosts[1].endpoint.set_policy(policy);
    world.connect();
    assert_eq!(
        world.children(0)[0].encapsulation_mode,
        EncapsulationMode::UDP_TRANSPORT
    );
}

#[test]
fn without_nat_traversal_on_one_side() {
    let mut world = World::pair(4);
    let mut policy = quick_policy();
    policy.nat.enabled = false;
    world.hosts[0].endpoint.set_policy(policy);
    world.connect();
    assert_eq!(
        world.children(0)[0].encapsulation_mode,
        EncapsulationMode::TRANSPORT
    );
}

#[test]
fn every_phase_1_algorithm() {
    for (index, group) in Group::ALL.into_iter().enumerate() {
        let cipher = Cipher::ALL[index % 4];
        let hash = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512][(index / 2) % 4];
        let mut world = World::pair(100 + index as u64);
        let mut policy = client_policy("198.51.100.7");
        policy.phase1.ciphers = vec![cipher];
        policy.phase1.hashes = vec![hash];
        policy.phase1.groups = vec![group];
        policy.phase1.allow_modp1024 = true;
        world.hosts[1].endpoint.set_policy(policy.clone());
        world.hosts[0].endpoint.set_policy(policy);
        world.connect();
        let ike = &world.established(0)[0];
        assert_eq!(
            (ike.cipher.as_str(), ike.hash.as_str()),
            (cipher.name(), hash.name())
        );
        assert_eq!(ike.group, group.name());
    }
}

#[test]
fn every_esp_suite() {
    let all = quick_policy().phase2.suites;
    for (index, suite) in all.into_iter().enumerate() {
        let mut world = World::pair(200 + index as u64);
        let mut policy = client_policy("198.51.100.7");
        policy.phase2.suites = vec![suite];
        policy.phase2.allow_3des = true;
        world.hosts[1].endpoint.set_policy(policy.clone());
        world.hosts[0].endpoint.set_policy(policy);
        world.connect();
        let child = &world.children(0)[0];
        assert_eq!((child.cipher, child.key_bits, child.auth), {
            (suite.cipher, suite.key_bits, suite.auth)
        });
        let sa = world.hosts[0].sas.values().next().unwrap();
        let salt = if suite.cipher == EspTransform::AES_GCM_16 {
            4
        } else {
            0
        };
        let bits = if suite.key_bits == 0 {
            192
        } else {
            usize::from(suite.key_bits)
        };
        assert_eq!(sa.encryption_key.len(), bits / 8 + salt);
        assert_eq!(Some(sa.auth_key.len()), suite.auth.key_len());
    }
}

#[test]
fn the_kernel_refuses_3des_unless_allowed() {
    let mut world = World::pair(5);
    let mut policy = client_policy("198.51.100.7");
    policy
        .phase2
        .suites
        .retain(|suite| suite.cipher == EspTransform::TRIPLE_DES);
    policy.phase2.allow_3des = true;
    world.hosts[1].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(5);
    assert!(world.children(1).is_empty());
    assert!(world.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::Refused {
            reason: Refusal::OnlyEsp3des,
            ..
        }
    )));
    // The refusal is authenticated, so the client knows at once.
    assert!(world.hosts[1].events.iter().any(|event| matches!(
        event,
        Event::ConnectionFailed {
            reason: DownReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN),
            ..
        }
    )));
    assert!(
        world.hosts[1].larval.is_empty(),
        "the reserved SPI goes back"
    );
}

#[test]
fn perfect_forward_secrecy_in_every_group() {
    for (index, group) in Group::ALL.into_iter().enumerate() {
        let mut world = World::pair(300 + index as u64);
        let mut policy = client_policy("198.51.100.7");
        policy.connections[0].pfs = Some(group);
        world.hosts[1].endpoint.set_policy(policy);
        world.connect();
        assert_eq!(world.children(0)[0].pfs.as_deref(), Some(group.name()));
    }
}

#[test]
fn perfect_forward_secrecy_can_be_demanded() {
    let mut world = World::pair(6);
    let mut policy = quick_policy();
    policy.phase2.require_pfs = true;
    world.hosts[0].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(5);
    assert!(world.children(0).is_empty());
}

#[test]
fn tunnel_mode_needs_permission() {
    let mut world = World::pair(7);
    let mut policy = client_policy("198.51.100.7");
    policy.connections[0].mode = Mode::Tunnel;
    policy.connections[0].protocol = 0;
    policy.connections[0].local_port = 0;
    policy.connections[0].peer_port = 0;
    policy.connections[0].peer_network = Some("10.0.0.0/24".parse().unwrap());
    world.hosts[1].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(5);
    assert!(world.children(0).is_empty());

    let mut policy = quick_policy();
    policy.phase2.tunnel = true;
    policy.phase2.networks = vec!["10.0.0.0/16".parse().unwrap()];
    world.hosts[0].endpoint.set_policy(policy);
    world.connect();
    let child = &world.children(0)[0];
    assert_eq!(child.traffic.local.network, "10.0.0.0/24".parse().unwrap());
    assert_eq!(
        world.hosts[0].policies.len(),
        2,
        "a tunnel needs policies on both sides"
    );
}

#[test]
fn other_traffic_than_l2tp_is_refused() {
    let mut world = World::pair(8);
    let mut policy = client_policy("198.51.100.7");
    policy.connections[0].peer_port = 22;
    policy.connections[0].protocol = 6;
    world.hosts[1].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(5);
    assert!(world.children(0).is_empty());
    assert!(world.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::Refused {
            reason: Refusal::BadTraffic,
            ..
        }
    )));
}

#[test]
fn wrong_secret_is_recognised_and_reported_once() {
    let mut world = World::pair(9);
    let mut policy = client_policy("198.51.100.7");
    policy.secrets[0].secret = Secret::from(&b"wrong"[..]);
    world.hosts[1].endpoint.set_policy(policy);
    for _ in 0..3 {
        world.initiate(1);
        world.run_secs(120);
    }
    let refusals: Vec<_> = world.hosts[0]
        .events
        .iter()
        .filter(|event| matches!(event, Event::Refused { .. }))
        .collect();
    assert!(matches!(
        refusals.as_slice(),
        [Event::Refused {
            reason: Refusal::WrongSecret,
            ..
        }]
    ));
    assert!(Refusal::WrongSecret.remedy().is_some());
    let counted = world.hosts[0].endpoint.counters().refused["pre-shared key mismatch"];
    assert!(counted >= 3);
    assert!(world.hosts[1].events.iter().any(|event| matches!(
        event,
        Event::IkeDown {
            established: false,
            reason: DownReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED),
            ..
        }
    )));
    world.assert_empty(0);
    world.assert_empty(1);
}

#[test]
fn a_wrong_mm5_does_not_spoil_the_right_one() {
    // An MM5 under another key arrives first; the real one must still be accepted.
    let mut world = World::pair(10);
    world.initiate(1);
    let mut injected = false;
    for _ in 0..400 {
        world.run(Duration::from_millis(1));
        let state = world.hosts[0].endpoint.ike_sas(world.now);
        if !injected && state.iter().any(|sa| sa.state == "MM4-sent") {
            let mut fake = world.wire.last().unwrap().clone();
            std::mem::swap(&mut fake.from, &mut fake.to);
            fake.payload.truncate(28);
            fake.payload[16] = 5;
            fake.payload[19] = 1;
            fake.payload.extend_from_slice(&[0xa5; 64]);
            fake.payload[24..28].copy_from_slice(&92u32.to_be_bytes());
            world.deliver_to(0, fake);
            injected = true;
        }
    }
    assert!(injected);
    world.run_secs(3);
    world.assert_connected(1);
    assert!(world.hosts[0].endpoint.counters().bad_messages >= 1);
}

#[test]
fn secrets_by_address_subnet_and_identity() {
    let entry = |peer, text: &[u8]| SecretEntry {
        peer,
        secret: Secret::from(text),
    };
    let cases: [(SecretPeer, Option<&str>); 4] = [
        (SecretPeer::Address("198.51.100.7".parse().unwrap()), None),
        (SecretPeer::Subnet("198.51.100.0/24".parse().unwrap()), None),
        (
            SecretPeer::Identity("fqdn:laptop.example".parse().unwrap()),
            Some("fqdn:laptop.example"),
        ),
        (SecretPeer::Identity("198.51.100.7".parse().unwrap()), None),
    ];
    for (index, (peer, identity)) in cases.into_iter().enumerate() {
        let mut world = World::pair(400 + index as u64);
        let mut policy = quick_policy();
        policy.secrets = vec![
            entry(SecretPeer::Any, b"for everybody else"),
            entry(
                SecretPeer::Subnet("198.51.0.0/16".parse().unwrap()),
                b"too wide",
            ),
            entry(peer, b"right"),
        ];
        world.hosts[0].endpoint.set_policy(policy);
        let mut policy = client_policy("198.51.100.7");
        policy.secrets[0].secret = Secret::from(&b"right"[..]);
        policy.local_identity = identity.map(|text| text.parse().unwrap());
        world.hosts[1].endpoint.set_policy(policy);
        world.connect();
    }
}

#[test]
fn an_identity_secret_is_for_that_identity_only() {
    let mut world = World::pair(11);
    let mut policy = quick_policy();
    policy.secrets[0].peer = SecretPeer::Identity("fqdn:laptop.example".parse().unwrap());
    world.hosts[0].endpoint.set_policy(policy);
    let mut policy = client_policy("198.51.100.7");
    policy.local_identity = Some("fqdn:phone.example".parse().unwrap());
    world.hosts[1].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(10);
    assert!(world.established(0).is_empty());
}

#[test]
fn only_modp_1024_is_named_as_the_cause() {
    let mut world = World::pair(12);
    let mut policy = client_policy("198.51.100.7");
    policy.phase1.groups = vec![Group::Modp1024];
    policy.phase1.allow_modp1024 = true;
    world.hosts[1].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(60);
    assert!(world.hosts[0].events.contains(&Event::Refused {
        peer: "198.51.100.7:500".parse().unwrap(),
        reason: Refusal::OnlyModp1024
    }));
    assert!(world.hosts[1].events.iter().any(|event| matches!(
        event,
        Event::ConnectionFailed {
            reason: DownReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN),
            ..
        }
    )));
    world.assert_empty(0);
    world.assert_empty(1);
}

#[test]
fn delete_ends_it_on_both_sides() {
    let mut world = World::pair(13);
    world.connect();
    let ike = world.established(1)[0].id;
    world.with(1, |endpoint, now, rng| {
        endpoint.delete_ike(now, ike, true, rng).unwrap()
    });
    world.run_secs(1);
    world.assert_empty(0);
    world.assert_empty(1);
    assert!(world.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::ChildDown {
            reason: DownReason::DeletedByPeer,
            ..
        }
    )));
    assert!(matches!(
        world.hosts[0].events.last(),
        Some(Event::ClientGone { .. })
    ));
}

#[test]
fn ipsec_sas_survive_their_isakmp_sa() {
    let mut world = World::pair(14);
    world.connect();
    let ike = world.established(1)[0].id;
    world.with(1, |endpoint, now, rng| {
        endpoint.delete_ike(now, ike, false, rng).unwrap()
    });
    world.run_secs(60);
    assert!(world.established(0).is_empty());
    world.assert_connected(1);
    // Rekeying brings a new ISAKMP SA, and keeps the reqid.
    let before = world.children(1)[0].clone();
    world.with(1, |endpoint, now, rng| {
        endpoint.rekey_child(now, before.id, rng).unwrap()
    });
    world.run_secs(5);
    world.assert_connected(1);
    let after = world.children(0);
    assert_eq!(after.len(), 2);
    assert_eq!(after[0].reqid, after[1].reqid);
}

#[test]
fn flush_tells_everybody() {
    let mut world = World::pair_behind_nat(15);
    world.connect();
    world.with(0, |endpoint, now, rng| endpoint.flush(now, rng));
    world.run_secs(1);
    world.assert_empty(0);
    world.assert_empty(1);
}

#[test]
fn a_kernel_that_refuses_fails_cleanly() {
    for failing in [0, 1] {
        let mut world = World::pair(16);
        world.hosts[failing].kernel_fails = true;
        world.initiate(1);
        world.run_secs(200);
        assert!(world.children(0).is_empty() && world.children(1).is_empty());
        assert!(world.hosts[failing].events.iter().any(|event| matches!(
            event,
            Event::ChildDown {
                reason: DownReason::Kernel(_),
                ..
            }
        )));
        for host in [0, 1] {
            assert!(world.hosts[host].sas.is_empty() && world.hosts[host].larval.is_empty());
        }
    }
}

#[test]
fn two_clients_behind_one_nat_with_the_same_private_address_stay_apart() {
    // Both call themselves 192.168.1.5; only the ports the NAT gave them differ.
    let mut world = World::new(17);
    world.add(SERVER, quick_policy());
    let public = "198.51.100.7".parse().unwrap();
    world.nat.public = Some(public);
    let first = world.add("192.168.1.5", client_policy("192.168.1.5"));
    world.initiate(first);
    world.run_secs(3);
    world.assert_connected(first);
    // The NAT forgets whose the ports were; the second client gets its own.
    world.hosts[first].off = true;
    let second = world.add("192.168.1.6", {
        let mut policy = client_policy("192.168.1.6");
        policy.local_identity = Some("192.168.1.5".parse().unwrap());
        policy
    });
    world.initiate(second);
    world.run_secs(3);
    world.assert_connected(second);
    let clients: Vec<_> = world.children(0);
    assert_eq!(clients.len(), 2, "the second client must not end the first");
    assert_ne!(clients[0].reqid, clients[1].reqid);
    assert_ne!(clients[0].peer.port(), clients[1].peer.port());
    assert_eq!(clients[0].peer.ip(), clients[1].peer.ip());
}

#[test]
fn initiating_twice_is_one_connection() {
    let mut world = World::pair(18);
    world.initiate(1);
    world.initiate(1);
    world.run_secs(3);
    assert_eq!(world.established(0).len(), 1);
    assert_eq!(world.children(0).len(), 1);
    let unknown = world.hosts[1]
        .endpoint
        .initiate(world.now, "other", &mut world.rng);
    assert!(unknown.is_err());
    let _ = connection("other", SERVER);
}

#[test]
fn traffic_selectors_reach_the_kernel() {
    let mut world = World::pair(19);
    let mut policy = client_policy("198.51.100.7");
    policy.connections[0].local_port = 0;
    world.hosts[1].endpoint.set_policy(policy);
    world.connect();
    let outbound = world.hosts[0]
        .sas
        .iter()
        .find(|((direction, _), _)| *direction == Direction::Outbound)
        .map(|(_, sa)| sa)
        .unwrap();
    assert_eq!(
        outbound.traffic.peer.port, 0,
        "Android: port 0, L2TP from an ephemeral port"
    );
    assert_eq!(outbound.traffic.local.port, 1701);
}

#[test]
fn a_key_pair_made_in_advance_serves_the_next_client() {
    let mut world = World::pair(77);
    assert!(!world.hosts[0].endpoint.wants_key_pair(), "of no group yet");
    world.connect();
    let mut made = 0;
    while world.hosts[0].endpoint.wants_key_pair() {
        world.with(0, |endpoint, _, rng| endpoint.make_key_pair(rng));
        made += 1;
        assert!(made <= 100, "there is no end to it");
    }
    assert!(made > 0);
    // Asked for all the same, nothing is made.
    world.with(0, |endpoint, _, rng| endpoint.make_key_pair(rng));
    assert!(!world.hosts[0].endpoint.wants_key_pair());
    let next = world.add("198.51.100.8", client_policy("198.51.100.8"));
    world.initiate(next);
    world.run_secs(5);
    assert_eq!(world.established(next).len(), 1);
    assert!(world.hosts[0].endpoint.wants_key_pair(), "one is gone");
}

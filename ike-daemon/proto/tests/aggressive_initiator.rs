//! Aggressive Mode as initiator, against our responder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::sync::Arc;

use ike_crypto::Secret;
use ike_proto::Policy;
use ike_proto::error::{DownReason, Refusal};
use ike_proto::io::Event;
use ike_proto::policy::{Login, Method, ModeConfig, SecretEntry, SecretPeer, XauthUser};
use ike_proto::wire::id::Identification;
use pair::{PSK, World, client_policy, quick_policy};

fn server() -> Policy {
    let mut policy = quick_policy();
    policy.aggressive = true;
    policy.secrets = vec![SecretEntry {
        peer: SecretPeer::Identity(Identification::from_key_id(b"staff")),
        secret: Secret::from(PSK),
    }];
    policy
}

fn client(address: &str) -> Policy {
    let mut policy = client_policy(address);
    policy.local_identity = Some(Identification::from_key_id(b"staff"));
    policy.connections[0].aggressive = true;
    policy
}

fn world(seed: u64, nat: bool) -> World {
    let mut world = World::new(seed);
    let address = if nat { "192.168.1.5" } else { "198.51.100.7" };
    world.nat.public = nat.then(|| "198.51.100.7".parse().unwrap());
    world.add(pair::SERVER, server());
    world.add(address, client(address));
    world
}

#[test]
fn three_messages_and_a_quick_mode() {
    let mut world = world(1, false);
    world.connect();
    assert_eq!(world.wire.len(), 6);
    assert!(world.wire.iter().all(|packet| packet.to.port() == 500));
    assert_eq!(
        world.established(0)[0].peer_identity.as_deref(),
        Some("keyid:7374616666")
    );
}

#[test]
fn behind_nat_it_floats_with_the_third_message() {
    let mut world = world(2, true);
    world.connect();
    let ports: Vec<u16> = world.hosts[1].sent.iter().map(|t| t.peer.port()).collect();
    assert_eq!(ports[..3], [500, 4500, 4500]);
    assert!(world.established(0)[0].peer_nat);
    assert!(!world.established(0)[0].local_nat);
}

#[test]
fn a_wrong_secret_is_found_out_by_the_initiator() {
    let mut world = world(3, false);
    let mut policy = client("198.51.100.7");
    policy.secrets[0].secret = Secret::from(&b"another secret altogether"[..]);
    world.hosts[1].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(60);
    assert!(world.established(0).is_empty() && world.established(1).is_empty());
    let wrong = DownReason::Refused(Refusal::WrongSecret);
    let told =
        |event: &Event| matches!(event, Event::ConnectionFailed { reason, .. } if *reason == wrong);
    assert!(world.hosts[1].events.iter().any(told));
    for host in 0..2 {
        assert_eq!(world.hosts[host].endpoint.table_entries(), 0);
    }
}

#[test]
fn a_network_that_loses_and_repeats() {
    for seed in 10..30 {
        let mut world = world(seed, seed % 2 == 0);
        world.loss = 20;
        world.duplicate = 20;
        world.jitter_ms = 300;
        world.initiate(1);
        world.run_secs(120);
        assert!(world.works(1), "seed {seed}");
    }
}

#[test]
fn with_a_password_after_it_a_lost_third_message_comes_again() {
    for seed in 40..100 {
        let mut world = world(seed, true);
        let mut policy = server();
        policy.authentication.methods = vec![Method::XauthPsk];
        let password = Secret::from(&b"wonderland"[..]);
        let alice = XauthUser {
            password: password.clone(),
            addresses: None,
        };
        policy.mode_config = Some(Arc::new(ModeConfig {
            users: [("alice".to_owned(), alice)].into(),
            ..ModeConfig::default()
        }));
        world.hosts[0].endpoint.set_policy(policy);
        let mut policy = client("192.168.1.5");
        policy.authentication.methods = vec![Method::XauthPsk];
        policy.connections[0].login = Some(Login {
            user: "alice".into(),
            password,
        });
        world.hosts[1].endpoint.set_policy(policy);
        world.loss = 10;
        world.initiate(1);
        world.run_secs(120);
        assert!(world.works(1), "seed {seed}");
        assert_eq!(world.established(0)[0].user.as_deref(), Some("alice"));
    }
}

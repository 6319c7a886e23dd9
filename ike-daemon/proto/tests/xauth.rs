//! XAUTH, hybrid authentication and Mode Config: our initiator against our responder, and what
//! neither of them would send.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ike_crypto::Secret;
use ike_pki::TrustStore;
use ike_pki::encoding::{certificates, private_key};
use ike_proto::Policy;
use ike_proto::error::{DownReason, Refusal};
use ike_proto::io::{Direction, Event, Mode};
use ike_proto::policy::{AddressRange, Login, Method, ModeConfig, OwnCertificate, XauthUser};
use pair::{World, client_policy, quick_policy};

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../pki/tests/fixtures");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

fn user(password: &str, own: Option<&str>) -> XauthUser {
    XauthUser {
        password: Secret::from(password.as_bytes()),
        addresses: own.map(|own| AddressRange {
            first: own.parse().unwrap(),
            last: own.parse().unwrap(),
        }),
    }
}

/// Two users, five addresses.
fn mode_config() -> ModeConfig {
    ModeConfig {
        pool: vec![AddressRange {
            first: Ipv4Addr::new(10, 88, 0, 1),
            last: Ipv4Addr::new(10, 88, 0, 5),
        }],
        dns: vec![Ipv4Addr::new(10, 88, 0, 53)],
        users: [
            ("alice".to_owned(), user("wonderland", None)),
            ("bob".to_owned(), user("builder", Some("10.88.0.9"))),
        ]
        .into(),
        ..ModeConfig::default()
    }
}

fn server(method: Method) -> Policy {
    let mut policy = quick_policy();
    policy.authentication.methods = vec![method];
    policy.mode_config = Some(Arc::new(mode_config()));
    policy.phase2.tunnel = true;
    policy
}

fn client(address: &str, method: Method, login: (&str, &str)) -> Policy {
    let mut policy = client_policy(address);
    policy.authentication.methods = vec![method];
    policy.phase2.tunnel = true;
    let connection = &mut policy.connections[0];
    connection.mode = Mode::Tunnel;
    connection.protocol = 0;
    connection.local_port = 0;
    connection.peer_port = 0;
    connection.peer_network = Some("0.0.0.0/0".parse().unwrap());
    connection.mode_config = true;
    connection.login = Some(Login {
        user: login.0.to_owned(),
        password: Secret::from(login.1.as_bytes()),
    });
    policy
}

fn world(seed: u64, login: (&str, &str)) -> World {
    let mut world = World::new(seed);
    world.add(pair::SERVER, server(Method::XauthPsk));
    world.add(
        "198.51.100.7",
        client("198.51.100.7", Method::XauthPsk, login),
    );
    world
}

const ALICE: (&str, &str) = ("alice", "wonderland");

fn given(world: &World) -> Vec<String> {
    let given = |event: &Event| match event {
        Event::AddressGiven { address, .. } => Some(address.to_string()),
        _ => None,
    };
    world.hosts[0].events.iter().filter_map(given).collect()
}

fn refused(world: &World, host: usize) -> Vec<Refusal> {
    let refused = |event: &Event| match event {
        Event::Refused { reason, .. } => Some(*reason),
        _ => None,
    };
    world.hosts[host]
        .events
        .iter()
        .filter_map(refused)
        .collect()
}

#[test]
fn a_name_a_password_an_address_and_a_tunnel() {
    let mut world = world(1, ALICE);
    world.connect();
    let sa = &world.established(0)[0];
    assert_eq!(sa.user.as_deref(), Some("alice"));
    assert_eq!(sa.authentication, "xauth-psk");
    assert_eq!(sa.address, Some(Ipv4Addr::new(10, 88, 0, 1)));
    assert_eq!(given(&world), ["10.88.0.1"]);
    let child = &world.children(0)[0];
    assert_eq!(child.traffic.peer.network, "10.88.0.1/32".parse().unwrap());
    assert_eq!(child.traffic.local.network, "0.0.0.0/0".parse().unwrap());
    assert_eq!(child.mode, Mode::Tunnel);
    // Both ways, at both ends, for that address only.
    for host in 0..2 {
        let policies = &world.hosts[host].policies;
        let directions: Vec<Direction> = policies.iter().map(|p| p.direction).collect();
        assert_eq!(directions, [Direction::Outbound, Direction::Inbound]);
    }
    let taken = world.hosts[1].events.iter().find_map(|event| match event {
        Event::AddressTaken { address, dns, .. } => Some((*address, dns.clone())),
        _ => None,
    });
    let expected = (
        Ipv4Addr::new(10, 88, 0, 1),
        vec![Ipv4Addr::new(10, 88, 0, 53)],
    );
    assert_eq!(taken, Some(expected));
    // Everything is given back.
    world.with(1, |endpoint, now, rng| endpoint.flush(now, rng));
    world.run_secs(5);
    assert_eq!(world.hosts[0].endpoint.table_entries(), 0);
    assert!(world.hosts[0].policies.is_empty());
}

#[test]
fn hybrid_authentication() {
    let mut world = world(2, ALICE);
    let root = certificates(&file("root.pem")).unwrap().remove(0);
    let mut trust = TrustStore::default();
    trust.add_anchor(root);
    for host in 0..2 {
        let mut policy = world.hosts[host].endpoint.policy().clone();
        policy.secrets.clear();
        policy.authentication.methods = vec![Method::HybridRsa];
        if host == 0 {
            let own = OwnCertificate {
                chain: certificates(&file("chain.pem")).unwrap(),
                key: private_key(&file("server.key.pem")).unwrap(),
            };
            policy.authentication.own = vec![Arc::new(own)];
        } else {
            policy.authentication.trust = Arc::new(trust.clone());
        }
        world.hosts[host].endpoint.set_policy(policy);
    }
    world.connect();
    assert_eq!(world.established(0)[0].authentication, "hybrid-rsa");
    assert_eq!(world.established(0)[0].user.as_deref(), Some("alice"));
    let server = world.established(1)[0].peer_identity.clone().unwrap();
    assert_eq!(server, "dn:C=CH, O=tanuki, CN=vpn.example.org");
}

#[test]
fn wrong_names_and_passwords() {
    let long = "x".repeat(300);
    for login in [
        ("alice", "Wonderland"),
        ("alice", ""),
        ("", ""),
        ("", "wonderland"),
        ("mallory", ""),
        ("Alice", "wonderland"),
        (long.as_str(), "wonderland"),
        ("alice", long.as_str()),
    ] {
        let mut world = world(3, login);
        world.initiate(1);
        let before = world.now;
        world.run_secs(20);
        assert!(world.children(0).is_empty(), "{login:?}");
        assert_eq!(refused(&world, 0), [Refusal::WrongPassword], "{login:?}");
        let told = world.hosts[1].events.iter().any(|event| {
            let wrong = DownReason::Refused(Refusal::WrongPassword);
            matches!(event, Event::ConnectionFailed { reason, .. } if *reason == wrong)
        });
        assert!(told, "{login:?}: {:?}", world.hosts[1].events);
        assert!(world.now > before);
        for host in 0..2 {
            assert_eq!(world.hosts[host].endpoint.table_entries(), 0, "{login:?}");
        }
        let texts = format!("{:?}", world.hosts[0].events);
        assert!(!texts.contains("wonderland"), "a password in an event");
    }
}

#[test]
fn a_wrong_password_is_answered_late() {
    let mut world = world(4, ("alice", "x"));
    world.initiate(1);
    world.run(Duration::from_millis(900));
    assert_eq!(world.established(1).len(), 1, "not told yet");
    world.run_secs(2);
    assert!(world.established(1).is_empty());
}

#[test]
fn nothing_before_the_password() {
    // A client that thinks no password is needed: phase 1 fits, its Quick Mode comes too early.
    let mut world = world(5, ALICE);
    let mut policy = world.hosts[1].endpoint.policy().clone();
    policy.connections[0].login = None;
    world.hosts[1].endpoint.set_policy(policy);
    world.with(1, |endpoint, now, rng| {
        assert!(
            endpoint.initiate(now, "vpn", rng).is_err(),
            "no method is left"
        );
    });
    // One that never answers the question.
    let mut world = World::new(6);
    world.add(pair::SERVER, server(Method::XauthPsk));
    world.add(
        "198.51.100.7",
        client("198.51.100.7", Method::XauthPsk, ALICE),
    );
    world.initiate(1);
    world.run(Duration::from_millis(60));
    assert_eq!(world.established(0).len(), 1);
    world.hosts[1].off = true;
    world.run_secs(130);
    assert_eq!(world.hosts[0].endpoint.table_entries(), 0);
}

#[test]
fn a_users_own_address_goes_to_the_newest() {
    let mut world = world(7, ("bob", "builder"));
    world.add(
        "198.51.100.8",
        client("198.51.100.8", Method::XauthPsk, ("bob", "builder")),
    );
    world.connect();
    assert_eq!(given(&world), ["10.88.0.9"]);
    world.hosts[1].off = true;
    world.initiate(2);
    world.run_secs(5);
    assert!(world.works(2));
    assert_eq!(given(&world), ["10.88.0.9", "10.88.0.9"]);
    assert_eq!(world.children(0).len(), 1, "the older client is gone");
}

#[test]
fn the_pool_has_an_end() {
    let mut world = World::new(8);
    world.add(pair::SERVER, server(Method::XauthPsk));
    for number in 1..=6 {
        let address = format!("198.51.100.{number}");
        let host = world.add(&address, client(&address, Method::XauthPsk, ALICE));
        world.initiate(host);
        world.run_secs(3);
    }
    let addresses = given(&world);
    let distinct: std::collections::BTreeSet<&String> = addresses.iter().collect();
    assert_eq!((addresses.len(), distinct.len()), (5, 5));
    assert_eq!(refused(&world, 0), [Refusal::NoAddress]);
    assert!(!world.works(6));
}

#[test]
fn the_address_stays_over_rekeying_and_restarts() {
    let mut world = world(9, ALICE);
    world.connect();
    // Two rekeyings of phase 1 by the client, each with name and password.
    world.run_secs(16 * 3600);
    assert!(world.works(1));
    assert_eq!(
        world.established(0).last().unwrap().address,
        Some(Ipv4Addr::new(10, 88, 0, 1))
    );
    // A new process of the server.
    let now = world.now;
    let saved = world.hosts[0].endpoint.checkpoint(now, 1_000_000);
    let text = serde_json::to_string(&saved).unwrap();
    let mut fresh = ike_proto::Endpoint::new(world.hosts[0].endpoint.policy().clone());
    fresh
        .restore(now, 1_000_000, &serde_json::from_str(&text).unwrap())
        .unwrap();
    let sas = fresh.ike_sas(now);
    assert_eq!(sas[0].user.as_deref(), Some("alice"));
    assert_eq!(sas[0].address, Some(Ipv4Addr::new(10, 88, 0, 1)));
    world.hosts[0].endpoint = fresh;
    world.run_secs(4 * 3600);
    assert!(world.works(1));
}

#[test]
fn nobody_comes_with_anothers_address() {
    // The client insists on a network of its own.
    let mut world = world(10, ALICE);
    let mut policy = world.hosts[1].endpoint.policy().clone();
    policy.connections[0].mode_config = false;
    policy.connections[0].local_network = Some("10.88.0.2/32".parse().unwrap());
    world.hosts[1].endpoint.set_policy(policy);
    world.initiate(1);
    world.run_secs(10);
    assert!(world.children(0).is_empty());
    assert_eq!(refused(&world, 0), [Refusal::BadTraffic]);
}

#[test]
fn only_the_networks_of_the_split() {
    for (asked, welcome) in [
        ("10.1.2.0/24", true),
        ("10.1.0.0/16", true),
        ("10.0.0.0/8", false),
        ("0.0.0.0/0", false),
        ("::/0", false),
    ] {
        let mut world = world(11, ALICE);
        let mut policy = server(Method::XauthPsk);
        let mut config = mode_config();
        config.split_include = vec!["10.1.0.0/16".parse().unwrap()];
        policy.mode_config = Some(Arc::new(config));
        world.hosts[0].endpoint.set_policy(policy);
        let mut policy = world.hosts[1].endpoint.policy().clone();
        policy.connections[0].peer_network = Some(asked.parse().unwrap());
        world.hosts[1].endpoint.set_policy(policy);
        world.initiate(1);
        world.run_secs(10);
        assert_eq!(!world.children(0).is_empty(), welcome, "{asked}");
    }
}

#[test]
fn a_network_that_loses_and_repeats() {
    for seed in 20..35 {
        let mut world = world(seed, ALICE);
        world.loss = 15;
        world.duplicate = 25;
        world.jitter_ms = 300;
        world.initiate(1);
        world.run_secs(120);
        assert!(world.works(1), "seed {seed}: {:?}", world.hosts[1].events);
        assert_eq!(given(&world).last().unwrap(), "10.88.0.1");
    }
}

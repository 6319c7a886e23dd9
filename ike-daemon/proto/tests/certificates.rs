//! Phase 1 by signatures, with certificates that OpenSSL made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::sync::Arc;

use ike_pki::encoding::{certificates, private_key};
use ike_pki::{NamePattern, TrustStore};
use ike_proto::Policy;
use ike_proto::error::{DownReason, Refusal};
use ike_proto::io::Event;
use ike_proto::policy::{Authentication, Method, OwnCertificate, PeerPattern, Remote};
use ike_proto::wire::id::Identification;
use pair::{World, client_policy, quick_policy};

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../pki/tests/fixtures");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

fn trust(anchors: &[&str]) -> TrustStore {
    let mut store = TrustStore::default();
    for anchor in anchors {
        store.add_anchor(
            certificates(&file(&format!("{anchor}.pem")))
                .unwrap()
                .remove(0),
        );
    }
    store
}

/// By `method`, with the chain in `chain` and the key of `name`, believing in `anchors`.
fn by(method: Method, chain: &str, name: &str, anchors: &[&str]) -> Authentication {
    let own = OwnCertificate {
        chain: certificates(&file(&format!("{chain}.pem"))).unwrap(),
        key: private_key(&file(&format!("{name}.key.pem"))).unwrap(),
    };
    Authentication {
        methods: vec![method],
        own: vec![Arc::new(own)],
        trust: Arc::new(trust(anchors)),
        ..Authentication::default()
    }
}

/// A server with the chain over the authority in the middle, a client right under the root.
fn rsa_pair(seed: u64) -> World {
    let mut world = World::new(seed);
    let server = by(Method::Rsa, "chain", "server", &["root"]);
    let client = by(Method::Rsa, "client", "client", &["root"]);
    world.add(pair::SERVER, with(quick_policy(), server));
    world.add("198.51.100.7", with(client_policy("198.51.100.7"), client));
    world
}

fn with(mut policy: Policy, authentication: Authentication) -> Policy {
    policy.secrets.clear();
    policy.authentication = authentication;
    policy
}

fn change(world: &mut World, host: usize, change: impl FnOnce(&mut Authentication)) {
    let mut policy = world.hosts[host].endpoint.policy().clone();
    change(&mut policy.authentication);
    world.hosts[host].endpoint.set_policy(policy);
}

fn identity(world: &World, host: usize) -> String {
    world.established(host)[0].peer_identity.clone().unwrap()
}

/// What `host` has refused, and in which words.
fn refused(world: &World, host: usize) -> (Vec<Refusal>, String) {
    let events = &world.hosts[host].events;
    let reasons = events.iter().filter_map(|event| match event {
        Event::Refused { reason, .. } => Some(*reason),
        _ => None,
    });
    let details = events.iter().filter_map(|event| match event {
        Event::CertificateRefused { detail, .. } => Some(detail.clone()),
        _ => None,
    });
    (reasons.collect(), details.collect())
}

#[test]
fn chains_and_names() {
    let mut world = rsa_pair(1);
    world.connect();
    // Each is its certificate's subject when nothing else is configured.
    assert_eq!(identity(&world, 0), "dn:C=CH, O=tanuki, CN=ann");
    assert_eq!(identity(&world, 1), "dn:C=CH, O=tanuki, CN=vpn.example.org");
    assert_eq!(world.established(0)[0].authentication, "rsa");
    // What racoonctl's get-cert shows.
    for (host, peer) in [(0, "client"), (1, "server")] {
        let leaf = certificates(&file(&format!("{peer}.pem")))
            .unwrap()
            .remove(0);
        let shown = world.established(host)[0].peer_certificate.clone();
        assert_eq!(shown.as_deref(), Some(leaf.der()));
    }
}

#[test]
fn behind_nat_and_in_fragments() {
    let mut world = World::new(2);
    world.nat.public = Some("198.51.100.7".parse().unwrap());
    let server = by(Method::Rsa, "chain", "server", &["root", "ec-root"]);
    let client = by(Method::Rsa, "client", "client", &["root"]);
    world.add(pair::SERVER, with(quick_policy(), server));
    world.add("192.168.1.5", with(client_policy("192.168.1.5"), client));
    world.connect();
    assert!(world.established(0)[0].peer_nat);
    assert!(world.hosts[0].endpoint.counters().fragments_out > 1);
}

#[test]
fn curves() {
    let cases = [
        (Method::EcdsaP256, "ec256"),
        (Method::EcdsaP384, "ec384"),
        (Method::EcdsaP521, "ec521"),
    ];
    for (seed, (method, name)) in (3..).zip(cases) {
        let mut world = rsa_pair(seed);
        for host in 0..2 {
            change(&mut world, host, |a| {
                *a = by(method, name, name, &["ec-root"])
            });
        }
        world.connect();
        assert_eq!(world.established(1)[0].authentication, method.name());
    }
}

#[test]
fn a_network_that_loses_and_repeats() {
    for seed in 10..25 {
        let mut world = rsa_pair(seed);
        world.loss = 20;
        world.duplicate = 20;
        world.jitter_ms = 300;
        world.initiate(1);
        world.run_secs(100);
        assert!(world.works(1), "seed {seed}");
    }
}

#[test]
fn rekeying_authenticates_again() {
    let mut world = rsa_pair(30);
    world.connect();
    let before = world.hosts[0].endpoint.counters().phase1_established;
    world.run_secs(8 * 3600);
    assert!(world.hosts[0].endpoint.counters().phase1_established > before);
    assert_eq!(identity(&world, 0), "dn:C=CH, O=tanuki, CN=ann");
    assert!(!world.children(0).is_empty());
}

#[test]
fn names_that_are_in_the_certificate() {
    for name in ["fqdn:ann.example.org", "user:ann@example.org"] {
        let mut world = rsa_pair(40);
        let mut policy = world.hosts[1].endpoint.policy().clone();
        policy.local_identity = Some(name.parse().unwrap());
        world.hosts[1].endpoint.set_policy(policy);
        world.connect();
        assert_eq!(identity(&world, 0), name);
    }
    let mut world = rsa_pair(41);
    let mut policy = world.hosts[0].endpoint.policy().clone();
    policy.local_identity = Some("203.0.113.1".parse().unwrap());
    world.hosts[0].endpoint.set_policy(policy);
    world.connect();
    assert_eq!(identity(&world, 1), "203.0.113.1");
}

#[test]
fn who_may_come_in() {
    let patterns = [
        (
            PeerPattern::Name(NamePattern::from_text("C=CH, O=tanuki, CN=*").unwrap()),
            true,
        ),
        (
            PeerPattern::Name(NamePattern::from_text("C=CH, O=other, CN=*").unwrap()),
            false,
        ),
        (
            PeerPattern::Identity("dn:c=ch, o=tanuki, cn=ann".parse().unwrap()),
            true,
        ),
        (
            PeerPattern::Identity(Identification::from_fqdn("ann.example.org")),
            false,
        ),
    ];
    for (pattern, welcome) in patterns {
        let mut world = rsa_pair(50);
        change(&mut world, 0, |a| a.peers = Arc::new(vec![pattern.clone()]));
        world.initiate(1);
        world.run_secs(30);
        assert_eq!(
            world.established(0).len(),
            usize::from(welcome),
            "{pattern:?}"
        );
        if !welcome {
            assert_eq!(refused(&world, 0).0, [Refusal::WrongIdentity]);
        }
    }
}

#[test]
fn what_is_refused_and_how_it_is_told() {
    type Case = (&'static str, fn(&mut World), Refusal, &'static str);
    let cases: [Case; 6] = [
        (
            "nobody we believe",
            |world| change(world, 0, |a| a.trust = Arc::new(trust(&["ec-root"]))),
            Refusal::UntrustedCertificate,
            "no authority that is trusted here has issued C=CH, O=tanuki, CN=ann",
        ),
        (
            "revoked",
            |world| {
                change(world, 1, |a| {
                    let own = OwnCertificate {
                        chain: certificates(&file("revoked.pem")).unwrap(),
                        key: a.own[0].key.clone(),
                    };
                    a.own = vec![Arc::new(own)];
                });
            },
            // The key is not the certificate's: that is found first.
            Refusal::CertificateIdentity,
            "none of its certificates is for this identity",
        ),
        (
            "another's name",
            |world| {
                let mut policy = world.hosts[1].endpoint.policy().clone();
                policy.local_identity = Some("fqdn:bob.example.org".parse().unwrap());
                world.hosts[1].endpoint.set_policy(policy);
            },
            Refusal::CertificateIdentity,
            "none of its certificates is for this identity",
        ),
        (
            "no certificate",
            |world| change(world, 1, |a| a.send_certificate = false),
            Refusal::NoCertificate,
            "no certificate came",
        ),
        (
            "expired",
            |world| world.wall = u64::from(u32::MAX) * 4,
            Refusal::ExpiredCertificate,
            "has expired",
        ),
        (
            "not the key of the certificate",
            |world| {
                change(world, 1, |a| {
                    let own = OwnCertificate {
                        chain: a.own[0].chain.clone(),
                        key: private_key(&file("server.key.pem")).unwrap(),
                    };
                    a.own = vec![Arc::new(own)];
                });
            },
            Refusal::BadSignature,
            "the signature does not hold",
        ),
    ];
    for (name, prepare, reason, words) in cases {
        let mut world = rsa_pair(60);
        prepare(&mut world);
        world.initiate(1);
        world.run_secs(200);
        assert!(world.established(0).is_empty(), "{name}");
        let (reasons, details) = refused(&world, 0);
        assert_eq!(reasons, [reason], "{name}: {details}");
        assert!(details.contains(words), "{name}: {details}");
        assert!(reason.remedy().is_some(), "{name}");
        // The client is told, and keeps nothing; nor does the server.
        let told = world.hosts[1].events.iter().any(|event| {
            matches!(
                event,
                Event::IkeDown {
                    reason: DownReason::PeerRefused(_),
                    ..
                }
            )
        });
        assert!(told, "{name}: {:?}", world.hosts[1].events);
        for host in 0..2 {
            assert_eq!(
                world.hosts[host].endpoint.table_entries(),
                0,
                "{name}, host {host}"
            );
        }
    }
}

#[test]
fn the_initiator_judges_the_responder() {
    let mut world = rsa_pair(70);
    change(&mut world, 1, |a| a.trust = Arc::new(trust(&["ec-root"])));
    world.initiate(1);
    world.run_secs(60);
    assert!(world.established(1).is_empty());
    assert_eq!(refused(&world, 1).0, [Refusal::UntrustedCertificate]);
}

#[test]
fn a_peer_whose_certificate_we_have_need_not_send_it() {
    let mut world = rsa_pair(71);
    change(&mut world, 0, |a| a.trust = Arc::new(trust(&["client"])));
    change(&mut world, 1, |a| a.send_certificate = false);
    world.connect();
}

#[test]
fn what_is_not_served_says_what_would_serve_it() {
    // A client with certificates, a server with a secret.
    let mut world = rsa_pair(80);
    world.hosts[0].endpoint.set_policy(quick_policy());
    world.initiate(1);
    world.run_secs(5);
    assert_eq!(refused(&world, 0).0, [Refusal::OnlyCertificates]);
    assert!(
        Refusal::OnlyCertificates
            .remedy()
            .unwrap()
            .contains("methods: [rsa]")
    );
    // The reverse.
    let mut world = rsa_pair(81);
    world.hosts[1]
        .endpoint
        .set_policy(client_policy("198.51.100.7"));
    world.initiate(1);
    world.run_secs(5);
    assert_eq!(refused(&world, 0).0, [Refusal::NoSecret]);
}

#[test]
fn rules_of_one_remote() {
    // Certificates from one address, a secret from everywhere else.
    let mut world = rsa_pair(90);
    let mut policy = quick_policy();
    let office = vec!["198.51.100.7/32".parse().unwrap()];
    let remote = Remote {
        authentication: by(Method::Rsa, "chain", "server", &["root"]),
        ..policy.remote("office", office)
    };
    policy.remotes = vec![remote];
    world.hosts[0].endpoint.set_policy(policy);
    world.add("198.51.100.8", client_policy("198.51.100.8"));
    world.connect();
    world.initiate(2);
    world.run_secs(5);
    let methods: Vec<String> = world
        .established(0)
        .into_iter()
        .map(|sa| sa.authentication)
        .collect();
    assert_eq!(methods, ["rsa", "psk"]);
}

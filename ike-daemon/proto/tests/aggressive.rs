//! Aggressive Mode as responder, against a client made of the formulas of RFC 2409: group
//! identities and secrets, NAT, losses, and what an attacker learns (CVE-2002-1623, ikeforce).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::net::SocketAddr;
use std::sync::Arc;

use ike_crypto::{Cipher, Exchange, Group, Hash, Iv, Secret, Skeyids};
use ike_crypto::{cipher_key, hash_1, hash_i, hash_r, phase1_iv, phase2_iv, skeyid_psk};
use ike_pki::TrustStore;
use ike_pki::encoding::{certificates, private_key};
use ike_proto::error::{DownReason, Refusal};
use ike_proto::iana::{ExchangeType, IdType, NotifyType, PayloadType};
use ike_proto::io::{Event, Transmit};
use ike_proto::policy::{Method, OwnCertificate, Policy, PolicyNote, SecretEntry, SecretPeer};
use ike_proto::vendor;
use ike_proto::wire::chain::{Builder, Chain};
use ike_proto::wire::header::{FLAG_ENCRYPTION, Header};
use ike_proto::wire::id::{IdPayload, Identification};
use ike_proto::wire::nat_d::nat_d;
use ike_proto::wire::notification::Notification;
use ike_proto::wire::sa::SaPayload;
use pair::{Packet, SERVER, World, quick_policy};

const GROUP_PSK: &[u8] = b"a key of the group alone";
const CLIENT: &str = "198.51.100.7:500";

fn key_id(name: &[u8]) -> Identification {
    let mut body = vec![IdType::KEY_ID.0, 0, 0, 0];
    body.extend_from_slice(name);
    IdPayload::parse(&body).unwrap().identity
}

fn policy() -> Policy {
    let mut policy = Policy {
        aggressive: true,
        ..quick_policy()
    };
    for identity in [
        key_id(b"staff"),
        Identification::from_fqdn("road.example"),
        Identification::from_user_fqdn("jo@example.org"),
        Identification::from_address("192.168.1.5".parse().unwrap()),
    ] {
        policy.secrets.push(SecretEntry {
            peer: SecretPeer::Identity(identity),
            secret: Secret::from(GROUP_PSK),
        });
    }
    policy
}

/// How the client behaves.
#[derive(Clone)]
struct Client {
    identity: Identification,
    psk: Vec<u8>,
    encrypt: bool,
    natt: bool,
    methods: Vec<Method>,
    from: SocketAddr,
    cookie: [u8; 8],
}

impl Client {
    fn new() -> Self {
        Self {
            identity: key_id(b"staff"),
            psk: GROUP_PSK.to_vec(),
            encrypt: true,
            natt: true,
            methods: vec![Method::Psk],
            from: CLIENT.parse().unwrap(),
            cookie: *b"initiate",
        }
    }
}

/// What the client knows after AM2.
struct Open {
    header: Header,
    iv: Iv,
    key: Secret,
    skeyids: Skeyids,
    hash_r_fits: bool,
    hash_i: Vec<u8>,
    am1: Vec<u8>,
    am2: Vec<u8>,
}

const HASH: Hash = Hash::Sha1;
const CIPHER: Cipher = Cipher::Aes256;

fn server() -> World {
    let mut world = World::new(5);
    world.add(SERVER, policy());
    world
}

/// Gives the server a message; returns what it sends back.
fn give(world: &mut World, from: SocketAddr, port: u16, message: &[u8]) -> Vec<Transmit> {
    let before = world.hosts[0].sent.len();
    let mut payload = if port == 4500 { vec![0; 4] } else { Vec::new() };
    payload.extend_from_slice(message);
    let packet = Packet {
        from,
        to: SocketAddr::new(SERVER.parse().unwrap(), port),
        payload,
    };
    world.deliver_to(0, packet);
    world.hosts[0].sent[before..].to_vec()
}

fn offer(methods: &[Method]) -> SaPayload {
    let mut policy = quick_policy().phase1;
    policy.ciphers = vec![CIPHER];
    policy.hashes = vec![HASH, Hash::Sha256];
    policy.groups = vec![Group::Modp2048];
    ike_proto::negotiate::offer_phase1(&policy, methods)
}

/// AM1 out, AM2 in.
fn open(world: &mut World, client: &Client) -> Option<Open> {
    let sai_b = offer(&client.methods).body();
    let private = Group::Modp2048.private_key(&mut world.rng);
    let ni = [7; 16];
    let id = IdPayload {
        identity: client.identity.clone(),
        protocol: 17,
        port: 500,
    }
    .body();
    let pair = private.into_pair();
    let mut am1 = Builder::new();
    am1.push(PayloadType::SA, sai_b.clone());
    am1.push(PayloadType::KE, pair.public());
    am1.push(PayloadType::NONCE, ni);
    am1.push(PayloadType::ID, id.clone());
    if client.natt {
        am1.push(PayloadType::VENDOR_ID, vendor::RFC_3947);
    }
    am1.push(PayloadType::VENDOR_ID, vendor::DPD);
    let header = Header {
        initiator_cookie: client.cookie,
        responder_cookie: [0; 8],
        next_payload: am1.first(),
        exchange: ExchangeType::AGGRESSIVE,
        flags: 0,
        message_id: 0,
    };
    let am1 = header.emit(&am1.emit());
    // AM2 is longer than this AM1: it is there when as many octets have come.
    let mut sent = give(world, client.from, 500, &am1);
    if sent.is_empty() {
        sent = give(world, client.from, 500, &am1);
    }
    let [am2] = sent.as_slice() else {
        assert!(sent.is_empty());
        return None;
    };
    let (header, body) = Header::parse(&am2.bytes).unwrap();
    if header.exchange != ExchangeType::AGGRESSIVE {
        return None;
    }
    assert_eq!(header.initiator_cookie, client.cookie);
    assert!(!header.encrypted());
    let chain = Chain::parse(header.next_payload, body).unwrap();
    // The order of RFC 2409 5.4, then the additions of RFC 3947.
    let kinds: Vec<PayloadType> = chain.payloads().iter().map(|p| p.kind).collect();
    let expected = [
        PayloadType::SA,
        PayloadType::KE,
        PayloadType::NONCE,
        PayloadType::ID,
        PayloadType::HASH,
    ];
    assert_eq!(kinds[..5], expected);
    let nat_d: Vec<&[u8]> = chain.all(PayloadType::NAT_D).collect();
    assert_eq!(nat_d.len(), if client.natt { 2 } else { 0 });
    let (cky_i, cky_r) = (header.initiator_cookie, header.responder_cookie);
    if client.natt {
        assert_eq!(nat_d[0], nat_d_of(&header, client.from));
    }
    let gxr = chain.one(PayloadType::KE).unwrap();
    let nr = chain.one(PayloadType::NONCE).unwrap();
    let idir = chain.one(PayloadType::ID).unwrap();
    let shared = pair.agree(gxr).unwrap();
    let skeyid = skeyid_psk(HASH, &client.psk, &ni, nr);
    let skeyids = Skeyids::derive(HASH, skeyid, &shared, &cky_i, &cky_r);
    let exchange = Exchange {
        gxi: pair.public(),
        gxr,
        cky_i: &cky_i,
        cky_r: &cky_r,
        sai_b: &sai_b,
    };
    let expected = hash_r(HASH, &skeyids.skeyid, &exchange, idir);
    Some(Open {
        iv: phase1_iv(HASH, CIPHER, pair.public(), gxr).unwrap(),
        key: cipher_key(HASH, CIPHER, &skeyids.e),
        hash_r_fits: expected.expose() == chain.one(PayloadType::HASH).unwrap(),
        hash_i: hash_i(HASH, &skeyids.skeyid, &exchange, &id)
            .expose()
            .to_vec(),
        header,
        skeyids,
        am1,
        am2: am2.bytes.clone(),
    })
}

fn nat_d_of(header: &Header, address: SocketAddr) -> Vec<u8> {
    nat_d(
        HASH,
        &header.initiator_cookie,
        &header.responder_cookie,
        address,
    )
}

/// AM3; `own` is the address the client believes to have.
fn am3(client: &Client, open: &mut Open, own: SocketAddr, port: u16) -> Vec<u8> {
    let mut am3 = Builder::new();
    am3.push(PayloadType::HASH, open.hash_i.clone());
    if client.natt {
        let server = SocketAddr::new(SERVER.parse().unwrap(), port);
        am3.push(PayloadType::NAT_D, nat_d_of(&open.header, server));
        am3.push(PayloadType::NAT_D, nat_d_of(&open.header, own));
    }
    let header = Header {
        next_payload: am3.first(),
        ..open.header
    };
    let mut body = am3.emit();
    if !client.encrypt {
        return header.emit(&body);
    }
    body.resize(body.len().next_multiple_of(16), 0);
    open.iv = CIPHER
        .encrypt(open.key.expose(), &open.iv, &mut body)
        .unwrap();
    let header = Header {
        flags: FLAG_ENCRYPTION,
        ..header
    };
    header.emit(&body)
}

/// Asks R-U-THERE under the SA: keys and the last block of phase 1 must agree on both sides.
fn ping(world: &mut World, client: &Client, open: &Open, from: SocketAddr, port: u16) -> bool {
    let spi = [open.header.initiator_cookie, open.header.responder_cookie].concat();
    let question = Notification::isakmp(NotifyType::R_U_THERE, spi, vec![0, 0, 0, 9]);
    let mut chain = Builder::new();
    chain.push(PayloadType::NOTIFICATION, question.body());
    let hash = hash_1(HASH, &open.skeyids.a, 77, &chain.emit());
    chain.push_front(PayloadType::HASH, hash.expose());
    let iv = phase2_iv(HASH, CIPHER, &open.iv, 77).unwrap();
    let mut body = chain.emit();
    body.resize(body.len().next_multiple_of(16), 0);
    CIPHER.encrypt(open.key.expose(), &iv, &mut body).unwrap();
    let header = Header {
        next_payload: chain.first(),
        exchange: ExchangeType::INFORMATIONAL,
        flags: FLAG_ENCRYPTION,
        message_id: 77,
        ..open.header
    };
    assert_eq!(header.initiator_cookie, client.cookie);
    give(world, from, port, &header.emit(&body)).len() == 1
}

fn connect(world: &mut World, client: &Client) -> Open {
    let mut open = open(world, client).expect("AM2");
    assert!(open.hash_r_fits);
    let last = am3(client, &mut open, client.from, 500);
    assert_eq!(give(world, client.from, 500, &last), []);
    assert_eq!(world.established(0).len(), 1);
    assert!(ping(world, client, &open, client.from, 500));
    open
}

#[test]
fn every_kind_of_identity() {
    for identity in [
        key_id(b"staff"),
        Identification::from_fqdn("Road.Example"),
        Identification::from_user_fqdn("jo@example.org"),
        Identification::from_address("192.168.1.5".parse().unwrap()),
    ] {
        let mut world = server();
        let client = Client {
            identity: identity.clone(),
            ..Client::new()
        };
        connect(&mut world, &client);
        let view = &world.established(0)[0];
        assert_eq!(view.peer_identity, Some(identity.to_string()));
        assert!(!view.peer_nat && !view.local_nat);
        // It is the client that rekeys.
        assert_eq!(view.rekey_in, None);
        assert_eq!(
            (view.cipher.as_str(), view.group.as_str()),
            ("aes256", "modp2048")
        );
    }
}

#[test]
fn the_third_message_may_be_in_the_clear() {
    for natt in [false, true] {
        let mut world = server();
        let client = Client {
            encrypt: false,
            natt,
            ..Client::new()
        };
        connect(&mut world, &client);
    }
}

#[test]
fn behind_nat_over_port_4500() {
    // Some clients hash the ports they had, some those they have now.
    for (hashed, port) in [(500, 500), (4500, 4500)] {
        let mut world = server();
        let client = Client::new();
        let mut open = open(&mut world, &client).unwrap();
        let own = SocketAddr::new("192.168.1.5".parse().unwrap(), hashed);
        let last = am3(&client, &mut open, own, port);
        let from: SocketAddr = "198.51.100.7:61111".parse().unwrap();
        assert_eq!(give(&mut world, from, 4500, &last), []);
        let view = world.established(0).remove(0);
        assert_eq!(view.peer, from);
        assert!(view.peer_nat, "{port}");
        assert!(!view.local_nat, "{port}");
        assert!(ping(&mut world, &client, &open, from, 4500));
    }
}

#[test]
fn off_unless_allowed() {
    let mut world = World::new(5);
    let off = Policy {
        aggressive: false,
        ..policy()
    };
    world.add(SERVER, off);
    assert!(open(&mut world, &Client::new()).is_none());
    assert_eq!(world.hosts[0].sent, []);
    world.assert_empty(0);
    assert_eq!(policy().notes(), [PolicyNote::Aggressive]);
    let useless = Policy {
        aggressive: true,
        ..quick_policy()
    };
    let notes = [PolicyNote::Aggressive, PolicyNote::AggressiveWithoutSecrets];
    assert_eq!(useless.notes(), notes);
    assert_eq!(quick_policy().notes(), []);
}

/// What an attacker sees of an exchange with a key that is wrong: everything that is not random.
fn observed(identity: Identification, psk: &[u8], encrypt: bool) -> Vec<(usize, Vec<u8>)> {
    let mut world = server();
    let client = Client {
        identity,
        psk: psk.to_vec(),
        encrypt,
        ..Client::new()
    };
    let mut seen = Vec::new();
    let mut open = open(&mut world, &client).expect("an answer to every group");
    assert!(!open.hash_r_fits);
    let shape = |bytes: &[u8]| {
        let (header, body) = Header::parse(bytes).unwrap();
        let chain = Chain::parse(header.next_payload, body).unwrap();
        chain
            .payloads()
            .iter()
            .map(|p| {
                let known = matches!(
                    p.kind,
                    PayloadType::SA | PayloadType::ID | PayloadType::VENDOR_ID
                );
                let mut shape = vec![p.kind.0, p.body.len() as u8];
                shape.extend_from_slice(if known { p.body } else { &[] });
                if p.kind == PayloadType::NOTIFICATION {
                    // DOI, protocol, SPI size, type.
                    shape.extend_from_slice(&p.body[..8]);
                }
                shape
            })
            .collect::<Vec<_>>()
            .concat()
    };
    seen.push((1, shape(&open.am2)));
    for round in 0..5 {
        let mut last = am3(&client, &mut open, client.from, 500);
        if !encrypt {
            // Not a repetition.
            let end = last.len() - 1;
            last[end] ^= round;
        }
        for answer in give(&mut world, client.from, 500, &last) {
            seen.push((2, shape(&answer.bytes)));
        }
    }
    let repeated = open.am1.clone();
    seen.push((give(&mut world, client.from, 500, &repeated).len(), vec![]));
    assert_eq!(world.established(0).len(), 0);
    // The operator is told what it was.
    world.run_secs(60);
    world.assert_empty(0);
    let reason = world.hosts[0].events.iter().find_map(|event| match event {
        Event::IkeDown { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let refused = |reason| Some(DownReason::Refused(reason));
    assert!(
        reason == refused(Refusal::UnknownGroup) || reason == refused(Refusal::WrongSecret),
        "{reason:?}"
    );
    seen
}

#[test]
fn unknown_groups_look_like_wrong_keys() {
    for encrypt in [true, false] {
        let wrong = observed(key_id(b"staff"), b"guess", encrypt);
        assert!(wrong.iter().any(|(kind, _)| *kind == 2), "an answer to AM3");
        for unknown in [
            key_id(b"stuff"),
            key_id(b""),
            Identification::from_fqdn("nobody.example"),
            Identification::from_address("198.51.100.7".parse().unwrap()),
        ] {
            assert_eq!(observed(unknown, b"guess", encrypt), wrong);
        }
    }
}

/// The key for everybody is never shown to whoever asks, even if the client knows it.
#[test]
fn only_secrets_of_identities() {
    let mut world = server();
    let client = Client {
        identity: key_id(b"others"),
        psk: pair::PSK.to_vec(),
        ..Client::new()
    };
    let mut open = open(&mut world, &client).unwrap();
    assert!(!open.hash_r_fits);
    let last = am3(&client, &mut open, client.from, 500);
    assert_eq!(give(&mut world, client.from, 500, &last).len(), 1);
    assert_eq!(world.established(0).len(), 0);
}

/// AM2 and AM3 hold no signatures here: a server with a certificate takes the transform with a key.
#[test]
fn no_signatures() {
    let file = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../pki/tests/fixtures");
        std::fs::read(format!("{folder}/{name}")).unwrap()
    };
    let mut policy = policy();
    let own = OwnCertificate {
        chain: certificates(&file("chain.pem")).unwrap(),
        key: private_key(&file("server.key.pem")).unwrap(),
    };
    let mut trust = TrustStore::default();
    trust.add_anchor(certificates(&file("root.pem")).unwrap().remove(0));
    policy.authentication.methods = vec![Method::Rsa, Method::Psk];
    policy.authentication.own = vec![Arc::new(own)];
    policy.authentication.trust = Arc::new(trust);
    let mut world = World::new(5);
    world.add(SERVER, policy);
    let client = Client {
        methods: vec![Method::Rsa, Method::Psk],
        ..Client::new()
    };
    let open = connect(&mut world, &client);
    let (header, body) = Header::parse(&open.am2).unwrap();
    let chain = Chain::parse(header.next_payload, body).unwrap();
    let answer = SaPayload::parse(chain.one(PayloadType::SA).unwrap()).unwrap();
    let choice = ike_proto::negotiate::accept_phase1(&answer, &offer(&client.methods)).unwrap();
    assert_eq!(choice.method, Method::Psk);
}

/// CVE-2016-5361: nobody can have AM2 sent to a forged source more often than AM1.
#[test]
fn the_first_reply_is_not_repeated_by_itself() {
    let mut world = server();
    let open = open(&mut world, &Client::new()).unwrap();
    // A bare client with the least payloads: what it gets is not half as much again.
    assert!(open.am2.len() * 2 <= open.am1.len() * 3);
    let sent = world.hosts[0].sent.len();
    world.run_secs(40);
    assert_eq!(world.hosts[0].sent.len(), sent);
    world.run_secs(20);
    world.assert_empty(0);
}

#[test]
fn repetitions_get_the_same_octets() {
    let mut world = server();
    let client = Client::new();
    let mut open = open(&mut world, &client).unwrap();
    for _ in 0..20 {
        for answer in give(&mut world, client.from, 500, &open.am1) {
            assert_eq!(answer.bytes, open.am2);
        }
    }
    assert!(world.hosts[0].sent.len() <= 13);
    assert_eq!(world.hosts[0].endpoint.counters().half_open, 1);
    let last = am3(&client, &mut open, client.from, 500);
    for _ in 0..3 {
        assert_eq!(give(&mut world, client.from, 500, &last), []);
    }
    assert_eq!(world.established(0).len(), 1);
    let am1 = open.am1.clone();
    assert_eq!(give(&mut world, client.from, 500, &am1), []);
}

/// AM3 was lost: the client's Quick Mode brings AM2 once more, and that AM3.
#[test]
fn a_lost_third_message() {
    let mut world = server();
    let client = Client::new();
    let mut open = open(&mut world, &client).unwrap();
    let header = Header {
        exchange: ExchangeType::QUICK_MODE,
        flags: FLAG_ENCRYPTION,
        message_id: 99,
        ..open.header
    };
    let quick = header.emit(&[0x55; 160]);
    let answers = give(&mut world, client.from, 500, &quick);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].bytes, open.am2);
    for _ in 0..30 {
        give(&mut world, client.from, 500, &quick);
    }
    assert!(world.hosts[0].sent.len() <= 13);
    let last = am3(&client, &mut open, client.from, 500);
    assert_eq!(give(&mut world, client.from, 500, &last), []);
    assert!(ping(&mut world, &client, &open, client.from, 500));
}

/// CVE-2023-30570: nothing is left of a refused first message that a third one could use.
#[test]
fn refused_first_messages_leave_nothing() {
    let mut world = server();
    let mut only_sha512 = policy();
    only_sha512.phase1.hashes = vec![Hash::Sha512];
    world.hosts[0].endpoint.set_policy(only_sha512);
    let client = Client::new();
    assert!(open(&mut world, &client).is_none());
    world.assert_empty(0);
    let header = Header {
        initiator_cookie: client.cookie,
        responder_cookie: [9; 8],
        next_payload: PayloadType::HASH,
        exchange: ExchangeType::AGGRESSIVE,
        flags: 0,
        message_id: 0,
    };
    let mut chain = Builder::new();
    chain.push(PayloadType::HASH, [0; 20]);
    assert_eq!(
        give(&mut world, client.from, 500, &header.emit(&chain.emit())),
        []
    );
    world.assert_empty(0);
}

#[test]
fn the_same_limits_as_main_mode() {
    let mut world = server();
    let mut small = policy();
    small.limits.half_open = 5;
    small.limits.half_open_per_source = 3;
    world.hosts[0].endpoint.set_policy(small);
    for source in 1..10u8 {
        for cookie in 1..10u8 {
            let client = Client {
                from: format!("198.51.100.{source}:500").parse().unwrap(),
                cookie: [cookie; 8],
                ..Client::new()
            };
            let answered = open(&mut world, &client).is_some();
            assert_eq!(answered, cookie <= 3, "{source} {cookie}");
            assert!(world.hosts[0].endpoint.counters().half_open <= 5);
        }
    }
    world.run_secs(60);
    world.assert_empty(0);
}

#[test]
fn malformed_first_messages() {
    let mut world = server();
    let client = Client::new();
    let am1 = open(&mut world, &client).unwrap().am1;
    let (header, body) = Header::parse(&am1).unwrap();
    let chain = Chain::parse(header.next_payload, body).unwrap();
    let bad: &[(PayloadType, &[u8])] = &[
        (PayloadType::KE, &[0; 256]),
        (PayloadType::KE, &[1; 255]),
        (PayloadType::KE, &[]),
        (PayloadType::NONCE, &[0; 7]),
        (PayloadType::NONCE, &[0; 257]),
        (PayloadType::ID, &[]),
        (PayloadType::ID, &[1, 0, 0, 0]),
        (PayloadType::SA, &[0; 12]),
    ];
    for (serial, (kind, value)) in (0u8..).zip(bad) {
        for missing in [false, true] {
            let mut changed = Builder::new();
            for payload in chain.payloads() {
                if payload.kind != *kind {
                    changed.push(payload.kind, payload.body);
                } else if !missing {
                    changed.push(payload.kind, *value);
                }
            }
            let header = Header {
                initiator_cookie: [serial + 100, u8::from(missing), 1, 1, 1, 1, 1, 1],
                next_payload: changed.first(),
                ..header
            };
            let message = header.emit(&changed.emit());
            for answer in give(&mut world, client.from, 500, &message) {
                assert!(answer.bytes.len() <= message.len());
                let (header, _) = Header::parse(&answer.bytes).unwrap();
                assert_eq!(header.exchange, ExchangeType::INFORMATIONAL);
            }
        }
    }
    world.run_secs(60);
    world.assert_empty(0);
}

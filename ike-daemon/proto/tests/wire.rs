//! Wire formats: any octets parse without panic, what parses comes out again the same, truncation
//! at every length is an error or a shorter message, and the endpoint survives all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::net::SocketAddr;
use std::time::Instant;

use hex_literal::hex;
use ike_proto::Endpoint;
use ike_proto::iana::{ExchangeType, IdType, NotifyType, PayloadType, ProtocolId};
use ike_proto::io::{Datagram, Output};
use ike_proto::wire::attribute::{Attribute, Value};
use ike_proto::wire::chain::{Builder, Chain};
use ike_proto::wire::delete::Delete;
use ike_proto::wire::header::Header;
use ike_proto::wire::id::{IdPayload, Identification};
use ike_proto::wire::nat_oa;
use ike_proto::wire::notification::Notification;
use ike_proto::wire::proposal::Proposal;
use ike_proto::wire::sa::SaPayload;
use ike_proto::wire::transform::Transform;
use proptest::collection::vec;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn attribute() -> impl Strategy<Value = Attribute> {
    let value = prop_oneof![
        any::<u16>().prop_map(Value::Short),
        vec(any::<u8>(), 0..12).prop_map(Value::Long)
    ];
    (0u16..0x8000, value).prop_map(|(class, value)| Attribute { class, value })
}

fn transform() -> impl Strategy<Value = Transform> {
    (any::<u8>(), any::<u8>(), vec(attribute(), 0..8))
        .prop_map(|(number, id, attributes)| Transform::new(number, id, &attributes))
}

fn proposal() -> impl Strategy<Value = Proposal> {
    (
        any::<u8>(),
        any::<u8>(),
        vec(any::<u8>(), 0..17),
        vec(transform(), 0..6),
    )
        .prop_map(|(number, protocol, spi, transforms)| Proposal {
            number,
            protocol: ProtocolId(protocol),
            spi,
            transforms,
        })
}

proptest! {
    #[test]
    fn sa_round_trips(proposals in vec(proposal(), 0..5)) {
        let sa = SaPayload { proposals };
        let body = sa.body();
        prop_assert_eq!(SaPayload::parse(&body).unwrap(), sa);
        for len in 0..body.len() {
            // Without any proposal the first eight octets are a whole payload.
            prop_assert!(SaPayload::parse(&body[..len]).is_err() || len == 8);
        }
    }

    #[test]
    fn attributes_round_trip(attributes in vec(attribute(), 0..20)) {
        let transform = Transform::new(1, 1, &attributes);
        prop_assert_eq!(transform.attributes().unwrap(), attributes);
    }

    #[test]
    fn chains_round_trip(
        payloads in vec((1u8..=255, vec(any::<u8>(), 0..40)), 1..20),
        padding in 0usize..16,
    ) {
        let mut builder = Builder::new();
        for (kind, body) in &payloads {
            builder.push(PayloadType(*kind), body.clone());
        }
        let mut bytes = builder.emit();
        let chain = Chain::parse(builder.first(), &bytes).unwrap();
        let parsed: Vec<_> =
            chain.payloads().iter().map(|p| (p.kind.0, p.body.to_vec())).collect();
        prop_assert_eq!(&parsed, &payloads);
        let after: usize = payloads.iter().skip(1).map(|(_, body)| body.len() + 4).sum();
        prop_assert_eq!(chain.after_first().len(), after);
        bytes.resize(bytes.len() + padding, 0);
        prop_assert!(Chain::parse_padded(builder.first(), &bytes).is_ok());
        prop_assert_eq!(Chain::parse(builder.first(), &bytes).is_ok(), padding == 0);
    }

    #[test]
    fn headers_round_trip(
        cookies in any::<([u8; 8], [u8; 8])>(),
        numbers in any::<(u8, u8, u8, u32)>(),
        body in vec(any::<u8>(), 0..200),
        tail in vec(any::<u8>(), 0..8),
    ) {
        let header = Header {
            initiator_cookie: cookies.0,
            responder_cookie: cookies.1,
            next_payload: PayloadType(numbers.0),
            exchange: ExchangeType(numbers.1),
            flags: numbers.2,
            message_id: numbers.3,
        };
        let mut bytes = header.emit(&body);
        for len in 0..bytes.len() {
            prop_assert!(Header::parse(&bytes[..len]).is_err());
        }
        bytes.extend_from_slice(&tail);
        prop_assert_eq!(Header::parse(&bytes).unwrap(), (header, body.as_slice()));
    }

    #[test]
    fn small_payloads_round_trip(
        kind in any::<u16>(),
        numbers in any::<(u32, u8)>(),
        spi in vec(any::<u8>(), 0..17),
        data in vec(any::<u8>(), 0..40),
        count in 0usize..20,
    ) {
        let notification = Notification {
            doi: numbers.0,
            protocol: ProtocolId(numbers.1),
            kind: NotifyType(kind),
            spi: spi.clone(),
            data,
        };
        prop_assert_eq!(Notification::parse(&notification.body()).unwrap(), notification);
        let delete = Delete { protocol: ProtocolId(numbers.1), spis: vec![spi; count] };
        prop_assert_eq!(Delete::parse(&delete.body()).unwrap(), delete);
    }

    #[test]
    fn identities_round_trip(
        kind in any::<u8>(),
        protocol in any::<u8>(),
        port in any::<u16>(),
        data in vec(any::<u8>(), 0..40),
    ) {
        let mut body = vec![kind, protocol];
        body.extend_from_slice(&port.to_be_bytes());
        body.extend_from_slice(&data);
        if let Ok(id) = IdPayload::parse(&body) {
            prop_assert_eq!(id.body(), body);
            // And as text: what is printed is read back as the same identity, except that a
            // subnet of one address is that address.
            let text = id.identity.to_string();
            let again: Identification = text.parse().unwrap();
            prop_assert!(
                again == id.identity || again.network() == id.identity.network(),
                "{}", text
            );
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        let _ = nat_oa::parse(&data);
    }

    #[test]
    fn any_octets_parse_without_panic(bytes in vec(any::<u8>(), 0..300), kind in any::<u8>()) {
        let _ = Header::parse(&bytes);
        let _ = Chain::parse(PayloadType(kind), &bytes);
        let _ = Chain::parse_padded(PayloadType(kind), &bytes);
        if let Ok(sa) = SaPayload::parse(&bytes) {
            for transform in sa.proposals.iter().flat_map(|proposal| &proposal.transforms) {
                let _ = transform.attributes();
            }
        }
        let _ = IdPayload::parse(&bytes);
        let _ = Notification::parse(&bytes);
        let _ = Delete::parse(&bytes);
        let _ = Attribute::parse_all(&bytes);
        let _ = nat_oa::parse(&bytes);
    }
}

/// The SA payload of a recorded session (RUB-NDS, AES-128/SHA-1/MODP 1024, 28800 seconds).
#[test]
fn a_recorded_sa_payload() {
    let body = hex!(
        "00000001000000010000002c010100010000002401010000"
        "80010007800e0080800200028004000280030001800b0001800c7080"
    );
    let sa = SaPayload::parse(&body).unwrap();
    assert_eq!(sa.body(), body);
    let attributes = sa.proposals[0].transforms[0].attributes().unwrap();
    assert_eq!(attributes.len(), 7);
    assert_eq!(attributes[1], Attribute::short(14, 128));
    assert_eq!(attributes[6], Attribute::short(12, 28_800));
}

#[test]
fn identities_as_text() {
    for (text, kind, len) in [
        ("192.0.2.1", IdType::IPV4_ADDR, 4),
        ("2001:db8::1", IdType::IPV6_ADDR, 16),
        ("192.0.2.0/24", IdType::IPV4_ADDR_SUBNET, 8),
        ("fqdn:vpn.example", IdType::FQDN, 11),
        ("user:me@vpn.example", IdType::USER_FQDN, 14),
        ("keyid:00ff", IdType::KEY_ID, 2),
        ("id9:3000", IdType::DER_ASN1_DN, 2),
    ] {
        let identity: Identification = text.parse().unwrap();
        assert_eq!((identity.kind, identity.data.len()), (kind, len));
        assert_eq!(identity.to_string(), text);
    }
    for bad in [
        "",
        "vpn.example",
        "fqdn:",
        "keyid:0",
        "id1:00",
        "192.0.2.0/33",
    ] {
        assert!(bad.parse::<Identification>().is_err(), "{bad}");
    }
    // Names that would spoil a log come out as hex.
    let evil = Identification::from_fqdn("a\n\u{1b}[2J");
    assert_eq!(evil.to_string(), "id2:610a1b5b324a");
}

#[test]
fn counts_are_bounded() {
    let mut chain = Builder::new();
    for _ in 0..10_000 {
        chain.push(PayloadType::VENDOR_ID, b"x".to_vec());
    }
    assert!(Chain::parse(PayloadType::VENDOR_ID, &chain.emit()).is_err());
    let transform = Transform::new(1, 1, &[]);
    let proposal = Proposal {
        number: 1,
        protocol: ProtocolId::ISAKMP,
        spi: Vec::new(),
        transforms: vec![transform; 255],
    };
    let sa = |count: usize| SaPayload {
        proposals: vec![proposal.clone(); count],
    };
    assert!(SaPayload::parse(&sa(2).body()).is_ok());
    assert!(SaPayload::parse(&sa(3).body()).is_err());
    // A chain that leads back to itself ends at the end of the message.
    assert!(Chain::parse(PayloadType::NONCE, &hex!("0a000004 0a000004")).is_err());
    assert!(Chain::parse(PayloadType::NONCE, &hex!("0a000000")).is_err());
}

struct Bench {
    endpoint: Endpoint,
    rng: ChaCha20Rng,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let endpoint = Endpoint::new(pair::quick_policy());
        Self {
            endpoint,
            rng: ChaCha20Rng::seed_from_u64(7),
            now: Instant::now(),
        }
    }

    fn receive(&mut self, payload: &[u8]) -> usize {
        let local: SocketAddr = "203.0.113.1:500".parse().unwrap();
        let peer = "198.51.100.7:500".parse().unwrap();
        let datagram = Datagram {
            local,
            peer,
            natt_port: false,
            payload,
        };
        self.endpoint
            .handle_datagram(self.now, datagram, &mut self.rng);
        let mut octets = 0;
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => octets += transmit.bytes.len(),
                Output::Job(job) => {
                    let result = job.run(0);
                    self.endpoint.handle_job(self.now, result, &mut self.rng);
                }
                _ => {}
            }
        }
        octets
    }
}

/// The messages of a real connection, to be mutilated.
fn recorded() -> Vec<Vec<u8>> {
    let mut world = pair::World::pair(77);
    world.connect();
    world.with(1, |endpoint, now, rng| endpoint.flush(now, rng));
    world.run_secs(1);
    world
        .wire
        .iter()
        .map(|packet| packet.payload.clone())
        .collect()
}

#[test]
fn every_octet_of_every_message_may_be_wrong() {
    let mut bench = Bench::new();
    for message in recorded() {
        for index in 0..message.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff, message[index] ^ 1] {
                let mut wrong = message.clone();
                wrong[index] = value;
                let sent = bench.receive(&wrong);
                assert!(sent <= wrong.len(), "amplified {} to {sent}", wrong.len());
            }
        }
        for len in 0..message.len() {
            assert_eq!(bench.receive(&message[..len]), 0);
        }
        let counters = bench.endpoint.counters();
        assert!(counters.half_open <= 64 && bench.endpoint.table_entries() < 400);
    }
}

#[test]
fn lengths_and_versions_in_the_header() {
    let mut bench = Bench::new();
    let mm1 = recorded().remove(0);
    for length in [0u32, 1, 27, 28, 29, mm1.len() as u32 + 1, 65_535, u32::MAX] {
        let mut wrong = mm1.clone();
        wrong[24..28].copy_from_slice(&length.to_be_bytes());
        assert_eq!(bench.receive(&wrong), 0, "length {length}");
    }
    for version in 0..=255u8 {
        let mut wrong = mm1.clone();
        wrong[17] = version;
        wrong[..8].copy_from_slice(&[version.max(1); 8]);
        let sent = bench.receive(&wrong);
        assert_eq!(sent > 0, version == 0x10, "version {version:#x}");
    }
    let mut flags = Bench::new();
    for value in 1..=255u8 {
        let mut odd = mm1.clone();
        odd[19] = value;
        odd[..8].copy_from_slice(&[value; 8]);
        let sent = flags.receive(&odd);
        assert!(
            sent == 0 || value & 1 == 0,
            "an encrypted first message is none"
        );
    }
}

#[test]
fn key_exchange_and_nonce_of_every_size() {
    use ike_proto::iana::ExchangeType;
    let mm1 = recorded().remove(0);
    for ke_len in [0usize, 1, 31, 32, 33, 64, 255, 256, 257, 1024] {
        for nonce_len in [0usize, 7, 8, 256, 257, 1024] {
            for copies in [0usize, 1, 2] {
                let mut bench = Bench::new();
                bench.receive(&mm1);
                let view = bench.endpoint.ike_sas(bench.now).remove(0);
                let cookie = ike_proto::wire::unhex(&view.responder_cookie).unwrap();
                let mut chain = Builder::new();
                for _ in 0..copies {
                    chain.push(PayloadType::KE, vec![0x42; ke_len]);
                }
                chain.push(PayloadType::NONCE, vec![1; nonce_len]);
                let header = Header {
                    initiator_cookie: mm1[..8].try_into().unwrap(),
                    responder_cookie: cookie.try_into().unwrap(),
                    next_payload: chain.first(),
                    exchange: ExchangeType::MAIN_MODE,
                    flags: 0,
                    message_id: 0,
                };
                let sent = bench.receive(&header.emit(&chain.emit()));
                let fits = ke_len == 32 && (8..=256).contains(&nonce_len) && copies == 1;
                assert_eq!(sent > 0, fits, "KE {ke_len} × {copies}, nonce {nonce_len}");
                assert_eq!(bench.endpoint.counters().half_open, 1, "the state stays");
            }
        }
    }
}

#[test]
fn bad_public_values_leave_the_exchange_open() {
    let mut policy = pair::quick_policy();
    policy.phase1.groups = vec![ike_crypto::Group::Modp2048];
    let mut world = pair::World::pair(78);
    world.hosts[0].endpoint.set_policy(policy);
    world.initiate(1);
    world.run(std::time::Duration::from_millis(15));
    let cookies = world.hosts[0].endpoint.ike_sas(world.now).remove(0);
    let unhex = |text: &str| ike_proto::wire::unhex(text).unwrap();
    for value in [0u8, 1, 0xff] {
        let mut public = vec![if value == 0xff { 0xff } else { 0 }; 256];
        public[255] = value;
        let mut chain = Builder::new();
        chain.push(PayloadType::KE, public);
        chain.push(PayloadType::NONCE, vec![1; 16]);
        let header = Header {
            initiator_cookie: unhex(&cookies.initiator_cookie).try_into().unwrap(),
            responder_cookie: unhex(&cookies.responder_cookie).try_into().unwrap(),
            next_payload: PayloadType::KE,
            exchange: ExchangeType::MAIN_MODE,
            flags: 0,
            message_id: 0,
        };
        let packet = pair::Packet {
            from: "198.51.100.7:500".parse().unwrap(),
            to: "203.0.113.1:500".parse().unwrap(),
            payload: header.emit(&chain.emit()),
        };
        world.deliver_to(0, packet);
    }
    assert!(world.hosts[0].endpoint.counters().refused["invalid key exchange value"] >= 3);
    world.run_secs(5);
    world.assert_connected(1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_datagrams_in_any_order(datagrams in vec(vec(any::<u8>(), 0..200), 0..20)) {
        let mut bench = Bench::new();
        for mut datagram in datagrams {
            if let Some(version) = datagram.get_mut(17) {
                *version = 0x10;
            }
            let len = datagram.len() as u32;
            if let Some(field) = datagram.get_mut(24..28) {
                field.copy_from_slice(&len.to_be_bytes());
            }
            bench.receive(&datagram);
        }
    }
}

//! Many of them: half-open exchanges, Quick Modes, forged sources. Every octet that goes to an
//! address is counted, repetitions included, for five minutes and more.

use std::time::Duration;

use ike_proto::io::Direction;
use ike_proto::policy::{SecretEntry, SecretPeer};
use tanuki_tests::ike::gateway::{Gateway, PSK, SERVER};
use tanuki_tests::ike::offers::{Life, Order, phase1, phase1_suites, tv};
use tanuki_tests::ike::{
    Dialect, INFORMATIONAL, Initiator, MAIN_MODE, NOTIFY, QUICK_MODE, SA, VENDOR, chain, clear,
    ordinary,
};

use super::informational::R_U_THERE;
use super::scene::{CLIENT, Ledger, RFC_3947, SUITE, Scene, Stage, dialect, open_handed, quick};
use super::with;

fn stranger(number: u32) -> String {
    format!("192.0.2.{}:{}", number % 250, 1 + number / 250)
}

/// First messages of every sort, each from an address of its own that never answers.
fn first_messages() -> Vec<Vec<u8>> {
    let offer = |suites: &[_]| phase1_suites(suites, Order::CipherFirst, Life::None);
    let ids: [&[u8]; 6] = [
        RFC_3947,
        b"\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f",
        b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00",
        b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3",
        b"\x09\x00\x26\x89\xdf\xd6\xb7\x12",
        b"\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc\x01\x00",
    ];
    let mut messages = Vec::new();
    let mut seed = 1000;
    let mut begin = |offer: Vec<u8>, vendors: &[&[u8]]| {
        seed += 1;
        Initiator::new(Dialect::new(offer, vendors, PSK), "192.0.2.1", SERVER, seed).mm1()
    };
    // Everything the server may add to its answer, with nothing but what asks for it.
    for count in 0..=ids.len() {
        messages.push(begin(offer(&[SUITE]), &ids[..count]));
    }
    for id in ids {
        messages.push(begin(offer(&[SUITE]), &[id]));
        messages.push(begin(offer(&[SUITE]), &[id; 8]));
    }
    messages.push(begin(offer(&[(9, 0, 9, 9)]), &[]));
    messages.push(begin(phase1(&[tv(1, 7)]), &[]));
    messages.push(begin(vec![0, 0, 0, 1, 0, 0, 0, 1], &[]));
    let base = messages[0].clone();
    messages.push(with(&base, 8, &[1; 8]));
    messages.push(with(
        &with(&base, 8, &[1; 8]),
        18,
        &[QUICK_MODE, 1, 0, 0, 0, 7],
    ));
    messages.push(with(&with(&base[..28], 8, &[1; 8]), 24, &[0, 0, 0, 28]));
    messages.push(with(&base, 17, &[0x20, 34, 8]));
    messages.push(with(&base, 18, &[INFORMATIONAL]));
    messages.push(with(&base, 18, &[4]));
    messages
}

/// Nobody gets more octets than came from there, however often it comes and however long one
/// waits.
#[test]
fn forged_sources_get_no_more_than_they_seem_to_send() {
    let mut gateway = Gateway::new(open_handed());
    let mut ledger = Ledger::default();
    for (number, message) in (0..).zip(first_messages()) {
        let from = stranger(number);
        for _ in 0..25 {
            ledger.received(&from, message.len());
            ledger.sent(&gateway.receive(&from, false, &message));
            ledger.sent(&gateway.advance(Duration::from_secs(1)));
        }
    }
    ledger.sent(&gateway.advance(Duration::from_secs(600)));
    ledger.assert_no_amplification();
    assert_eq!(gateway.endpoint.table_entries(), 0);
    assert_eq!(gateway.jobs, 0);
    assert_eq!(gateway.requests, 0);
}

/// Aggressive Mode, where it is turned on, has an answer that is longer than the first message when
/// that is as short as can be. It waits until as many octets have come from there.
#[test]
fn aggressive_mode_sends_no_more_than_came() {
    let mut policy = open_handed();
    policy.aggressive = true;
    policy.secrets.push(SecretEntry {
        peer: SecretPeer::Identity("fqdn:vpn.example.org".parse().unwrap()),
        secret: PSK.into(),
    });
    let mut gateway = Gateway::new(policy);
    let mut dialect = dialect();
    dialect.identity = Some((2, b"vpn.example.org".to_vec()));
    dialect.nonce = 8;
    let mut ledger = Ledger::default();
    for number in 0..50 {
        let from = stranger(number);
        let mut client = Initiator::new(dialect.clone(), "192.0.2.1", SERVER, u64::from(number));
        let first = client.aggressive(19);
        let mut answers = Vec::new();
        for _ in 0..10 {
            ledger.received(&from, first.len());
            let out = gateway.receive(&from, false, &first);
            ledger.sent(&out);
            answers.extend(out);
        }
        assert!(answers.len() > 1, "{}", answers.len());
        assert!(answers[0].bytes.len() > first.len());
        let names: Vec<u8> = clear(&answers[0].bytes)
            .iter()
            .map(|payload| payload.0)
            .collect();
        assert!(names.starts_with(&[SA]) && names.contains(&VENDOR));
    }
    ledger.sent(&gateway.advance(Duration::from_secs(300)));
    ledger.assert_no_amplification();
    assert_eq!(gateway.endpoint.table_entries(), 0);
}

/// Half-open exchanges are bounded by source and in all; a client with an address of its own gets
/// through in the middle of the flood.
#[test]
fn half_open_exchanges_are_bounded() {
    let mut policy = open_handed();
    policy.limits.half_open = 200;
    policy.limits.half_open_per_source = 16;
    let mut scene = Scene::new(policy, dialect());
    let mut ledger = Ledger::default();
    for round in 0..3000u32 {
        let from = match round % 3 {
            0 => format!("192.0.2.1:{}", 1 + round),
            _ => format!("10.{}.{}.1:500", round / 250, round % 250),
        };
        let mut client = Initiator::new(dialect(), "192.0.2.1", SERVER, u64::from(round));
        let first = client.mm1();
        ledger.received(&from, first.len());
        ledger.sent(&scene.gateway.receive(&from, false, &first));
        assert!(scene.gateway.endpoint.table_entries() <= 2000);
        // Its half-open exchange must not be among the oldest 200 by now.
        if round % 100 == 0 && round >= 2500 && scene.stage < Stage::Paired {
            scene.step();
        }
    }
    assert!(scene.gateway.endpoint.counters().half_open <= 200);
    let events = scene.gateway.events.len();
    assert!(events < 1500, "{events} events");
    ledger.assert_no_amplification();
    while scene.stage < Stage::Paired {
        scene.step();
    }
    let leave = scene.client.delete_isakmp();
    scene.gateway.receive(CLIENT, false, &leave);
    scene.gateway.advance(Duration::from_secs(4 * 3600));
    assert_eq!(scene.gateway.endpoint.table_entries(), 0);
}

/// Quick Modes that are begun and not finished: a cap for each ISAKMP SA, one notification for each
/// beyond, and nothing left in the kernel.
#[test]
fn quick_modes_are_capped() {
    let mut scene = Scene::at(Stage::Established);
    let cap = open_handed().limits.quick_modes;
    let mut sent = 0;
    for number in 10..1010 {
        let (message, _) = scene.client.qm1(&quick(number));
        sent += scene.gateway.receive(CLIENT, false, &message).len();
        assert!(scene.gateway.endpoint.ike_sas(scene.gateway.now)[0].quick_modes <= cap);
        assert!(scene.gateway.endpoint.table_entries() <= 20 + 10 * cap);
    }
    assert_eq!(sent, 1000, "one answer each");
    let halves = |wanted| {
        let sas = scene.gateway.sas.keys();
        sas.filter(|(direction, _)| *direction == wanted).count()
    };
    assert_eq!(halves(Direction::Inbound), cap);
    assert_eq!(halves(Direction::Outbound), 1, "the first pair's");
    // Retransmission of QM2 ends, and the client can go on under the same ISAKMP SA.
    let again = scene.gateway.advance(Duration::from_secs(120));
    let allowed = cap * usize::try_from(open_handed().retransmit.attempts).unwrap() * 2;
    assert!(again.len() <= allowed, "{} messages", again.len());
    assert!(scene.gateway.sas.is_empty() && scene.gateway.larval.is_empty());
    scene.endures(&[]);
}

/// The same with computations in each.
#[test]
fn quick_modes_with_keys_of_their_own_are_capped() {
    let mut scene = Scene::at(Stage::Paired);
    let jobs = scene.gateway.jobs;
    let pfs = tanuki_tests::ike::offers::EspStyle {
        group: Some(19),
        ..tanuki_tests::ike::offers::EspStyle::new(2, Life::Short(3600))
    };
    for number in 10..60 {
        let mut request = quick(number);
        request.sa = tanuki_tests::ike::offers::phase2(&[(12, 128, 2)], request.spi, &pfs);
        request.pfs = Some(ike_crypto::Group::Ecp256);
        let (message, _) = scene.client.qm1(&request);
        assert_eq!(scene.gateway.receive(CLIENT, false, &message).len(), 1);
    }
    assert_eq!(scene.gateway.jobs - jobs, open_handed().limits.quick_modes);
    scene.gateway.advance(Duration::from_secs(300));
    assert!(scene.gateway.larval.is_empty());
    scene.endures(&[]);
}

/// A million is said in the literature; what counts is that nothing grows.
#[test]
fn first_messages_that_are_refused_leave_nothing() {
    let mut gateway = Gateway::new(open_handed());
    let mut client = Initiator::new(dialect(), "192.0.2.1", SERVER, 3);
    client.dialect.phase1 = phase1(&[tv(1, 7)]);
    let first = client.mm1();
    for number in 0..20_000u32 {
        let message = with(&first, 0, &u64::from(number + 1).to_be_bytes());
        gateway.receive(&stranger(number), false, &message);
        assert_eq!(gateway.endpoint.table_entries(), 0);
    }
    assert!(gateway.events.len() <= 1100, "{}", gateway.events.len());
    assert_eq!(message_types(&first), [SA, VENDOR]);
}

fn message_types(message: &[u8]) -> Vec<u8> {
    assert_eq!(message[18], MAIN_MODE);
    clear(message).iter().map(|payload| payload.0).collect()
}

/// Keepalives of one octet from ports of a client's address make the server ask whether the client
/// has moved there, and notifications in the clear whether it has forgotten us. Neither takes the
/// place of an answer that is missing, and neither is a flood.
#[test]
fn forged_keepalives_and_complaints_do_not_end_a_client() {
    let from = ("198.51.100.7:500", "198.51.100.7:4500");
    let dpd = b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
    let mut dialect = dialect();
    dialect.vendors.push(dpd.to_vec());
    let mut policy = open_handed();
    policy.dpd.interval = Duration::from_secs(30);
    policy.dpd.retry = Duration::from_secs(5);
    policy.dpd.attempts = 3;
    let mut gateway = Gateway::new(policy);
    let mut client = Initiator::new(dialect, "192.168.1.5", SERVER, 8);
    gateway.main_mode(&mut client, from);
    let request = ordinary::quick(1, 0xa00a, "192.168.1.5", 4);
    let pair = gateway.quick_mode(&mut client, from.1, &request);
    let complaint = [(NOTIFY, vec![0, 0, 0, 1, 1, 0, 0, 4])];
    let complaint = client.message(INFORMATIONAL, 0, 0, NOTIFY, &chain(&complaint));
    let mut forged = 0;
    for round in 0..3000u32 {
        let mut sent = gateway.keepalive(&format!("198.51.100.7:{}", 10_000 + round));
        sent.extend(gateway.receive(from.1, true, &complaint));
        sent.extend(gateway.advance(Duration::from_millis(100)));
        for sent in sent {
            if sent.peer != from.1.parse().unwrap() {
                forged += sent.bytes.len();
                continue;
            }
            // The client hears its questions, and answers.
            for (_, question) in client.read_informational(&sent.bytes) {
                let acknowledged = (R_U_THERE + 1).to_be_bytes();
                let answer = [&question[..6], &acknowledged, &question[8..]].concat();
                let answer = client.informational(&[(NOTIFY, answer)]);
                gateway.receive(from.1, true, &answer);
            }
        }
        gateway.assert_pair(&pair);
    }
    // Five minutes: 16 questions of some 100 octets in five seconds, and no more.
    assert!((1..=60 * 16 * 120).contains(&forged), "{forged} octets");
}

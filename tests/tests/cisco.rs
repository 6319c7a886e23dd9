//! Clients without L2TP, octet by octet: what iOS and macOS call "IPsec" and Android "IPSec Xauth PSK"
//! is racoon with XAUTH and Mode Config; and what no honest client sends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ike_crypto::{Iv, Secret};
use ike_proto::Policy;
use ike_proto::io::{Direction, Mode};
use ike_proto::policy::{AddressRange, Method, ModeConfig, XauthUser};
use tanuki_tests::ike::gateway::{Gateway, PSK, SERVER, policy};
use tanuki_tests::ike::offers::{
    AES, Esp, EspStyle, Life, Order, SHA256, Suite, phase1, phase1_attributes, phase2, tlv, tv,
};
use tanuki_tests::ike::{Dialect, Initiator, Quick, VENDOR, attributes, clear, id_address};

const FROM: &str = "198.51.100.7:500";
const OWN: &str = "198.51.100.7";
const ESP: [Esp; 2] = [(12, 256, 5), (12, 256, 2)];

/// XAUTH, Cisco Unity, DPD, RFC 3947.
const VENDORS: [&[u8]; 4] = [
    b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f",
    b"\x09\x00\x26\x89\xdf\xd6\xb7\x12",
    b"\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc\x01\x00",
    b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00",
];

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const SET: u8 = 3;
const ACK: u8 = 4;

fn server() -> Policy {
    let alice = XauthUser {
        password: Secret::from(&b"wonderland"[..]),
        addresses: None,
    };
    let config = ModeConfig {
        pool: vec![AddressRange {
            first: Ipv4Addr::new(10, 88, 0, 10),
            last: Ipv4Addr::new(10, 88, 0, 19),
        }],
        netmask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        dns: vec![Ipv4Addr::new(10, 88, 0, 1), Ipv4Addr::new(10, 88, 0, 2)],
        nbns: vec![Ipv4Addr::new(10, 88, 0, 3)],
        default_domain: Some("example.org".into()),
        split_include: vec!["10.0.0.0/8".parse().unwrap()],
        split_exclude: vec!["192.168.0.0/16".parse().unwrap()],
        split_dns: vec!["example.org".into(), "example.net".into()],
        banner: Some("Welcome.".into()),
        save_password: true,
        users: [("alice".to_owned(), alice)].into(),
    };
    let mut policy = policy();
    policy.authentication.methods = vec![Method::XauthPsk];
    policy.phase2.tunnel = true;
    policy.mode_config = Some(Arc::new(config));
    policy
}

/// racoon's offer for XAUTHInitPreShared: lifetime first.
fn offer(suite: Suite) -> Vec<u8> {
    let attributes = phase1_attributes(suite, 65_001, Order::LifeFirst, Life::Short(3600));
    phase1(&[attributes])
}

/// Header of an Attributes payload and what follows.
fn body(kind: u8, identifier: u16, list: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &identifier.to_be_bytes(), list].concat()
}

/// A client after phase 1, and the question for its password: message id, identifier, IV.
struct Asked {
    gateway: Gateway,
    client: Initiator,
    id: u32,
    identifier: u16,
    iv: Iv,
}

fn asked() -> Asked {
    let mut gateway = Gateway::new(server());
    let dialect = Dialect::new(offer((AES, 256, SHA256, 19)), &VENDORS, PSK);
    let mut client = Initiator::new(dialect, OWN, SERVER, 7);
    let mm2 = gateway.ask(FROM, false, &client.mm1());
    let vendors: Vec<Vec<u8>> = clear(&mm2)
        .into_iter()
        .filter(|payload| payload.0 == VENDOR)
        .map(|payload| payload.1)
        .collect();
    // racoon's clients look for XAUTH; Unity's attributes come to those who know them.
    assert!(vendors.iter().any(|vendor| vendor == VENDORS[1]));
    assert!(vendors.iter().any(|vendor| vendor == VENDORS[2]));
    let mm3 = client.mm3(&mm2);
    let mm4 = gateway.ask(FROM, false, &mm3);
    client.read_mm4(&mm4);
    let mm5 = client.mm5();
    let sent = gateway.receive(FROM, false, &mm5);
    assert_eq!(sent.len(), 2, "MM6, then the question");
    client.read_mm6(&mm5, &sent[0].bytes);
    let (id, asked, iv) = client.read_transaction(&sent[1].bytes, None);
    assert_eq!(asked[0], REQUEST);
    assert_eq!(
        attributes(&asked[4..]),
        [(16520, 0), (16521, 0), (16522, 0)]
    );
    let identifier = u16::from_be_bytes([asked[2], asked[3]]);
    Asked {
        gateway,
        client,
        id,
        identifier,
        iv,
    }
}

/// What a client answers to the question.
fn password(identifier: u16, name: &[u8], password: &[u8]) -> Vec<u8> {
    let list = [tv(16520, 0), tlv(16521, name), tlv(16522, password)].concat();
    body(REPLY, identifier, &list)
}

/// The same client with its password accepted.
fn logged_in(nul: bool) -> (Gateway, Initiator) {
    let Asked {
        mut gateway,
        mut client,
        id,
        identifier,
        iv,
    } = asked();
    let word: &[u8] = if nul { b"wonderland\0" } else { b"wonderland" };
    let (reply, _) = client.transaction(id, Some(iv), &password(identifier, b"alice", word));
    let verdict = gateway.ask(FROM, false, &reply);
    let (id, told, iv) = client.read_transaction(&verdict, None);
    assert_eq!(told[0], SET);
    assert_eq!(attributes(&told[4..]), [(16527, 1)]);
    let ack = body(ACK, u16::from_be_bytes([told[2], told[3]]), &tv(16527, 0));
    let (ack, _) = client.transaction(id, Some(iv), &ack);
    assert!(gateway.receive(FROM, false, &ack).is_empty());
    (gateway, client)
}

/// Everything that racoon's client asks for.
const WANTED: [u16; 10] = [1, 2, 3, 4, 28672, 28674, 28675, 28676, 28678, 7];

fn quick(message_id: u32, spi: u32, address: Ipv4Addr) -> Quick {
    let everything = [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
    let mut split = everything;
    split[4..].copy_from_slice(&[10, 0, 0, 0, 255, 0, 0, 0]);
    Quick {
        message_id,
        sa: phase2(&ESP, spi, &EspStyle::new(1, Life::Short(3600))),
        spi,
        nonce: 16,
        pfs: None,
        ids: vec![id_address(IpAddr::V4(address), 0, 0), split],
        more: Vec::new(),
    }
}

#[test]
fn racoons_client_from_password_to_tunnel() {
    for nul in [false, true] {
        let (mut gateway, mut client) = logged_in(nul);
        let wanted: Vec<u8> = WANTED.iter().flat_map(|class| tlv(*class, &[])).collect();
        let (request, iv) = client.transaction(0x77, None, &body(REQUEST, 0x55aa, &wanted));
        let reply = gateway.ask(FROM, false, &request);
        let (id, reply, _) = client.read_transaction(&reply, Some(iv));
        assert_eq!(
            (id, reply[0], &reply[2..4]),
            (0x77, REPLY, &[0x55, 0xaa][..])
        );
        let expected = [
            tlv(1, &[10, 88, 0, 10]),
            tlv(2, &[255, 255, 255, 0]),
            tlv(3, &[10, 88, 0, 1]),
            tlv(3, &[10, 88, 0, 2]),
            tlv(4, &[10, 88, 0, 3]),
            tlv(28672, b"Welcome."),
            tlv(28674, b"example.org"),
            tlv(28675, b"example.org,example.net"),
            tlv(28676, &[10, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            tlv(28678, &[192, 168, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]),
        ]
        .concat();
        assert!(reply[4..].starts_with(&expected), "{reply:02x?}");
        // The same question again has the same answer.
        let again = gateway.ask(FROM, false, &request);
        assert_eq!(client.read_transaction(&again, Some(iv)).1, reply);

        let own = Ipv4Addr::new(10, 88, 0, 10);
        let pair = gateway.quick_mode(&mut client, FROM, &quick(1, 0xa001, own));
        let sa = &gateway.sas[&(Direction::Outbound, pair.spi_in)];
        assert_eq!(sa.mode, Mode::Tunnel);
        assert_eq!(sa.traffic.peer.network, IpAddr::V4(own).into());
        // Nobody else's address, even with everything right.
        let other = quick(2, 0xa002, Ipv4Addr::new(10, 88, 0, 11));
        let (qm1, _) = client.qm1(&other);
        let refusal = gateway.ask(FROM, false, &qm1);
        client.read_informational(&refusal);
        assert_eq!(gateway.children().len(), 1);
    }
}

#[test]
fn nothing_goes_before_the_password() {
    let Asked {
        mut gateway,
        mut client,
        ..
    } = asked();
    let (qm1, _) = client.qm1(&quick(1, 0xa001, Ipv4Addr::new(10, 88, 0, 10)));
    assert!(gateway.receive(FROM, false, &qm1).is_empty());
    let (request, _) = client.transaction(0x77, None, &body(REQUEST, 1, &tlv(1, &[])));
    assert!(gateway.receive(FROM, false, &request).is_empty());
    assert!(gateway.sas.is_empty());
    // Nor does a client tell itself that its password is right.
    let (set, _) = client.transaction(0x78, None, &body(SET, 1, &tv(16527, 1)));
    assert!(gateway.receive(FROM, false, &set).is_empty());
    let (qm1, _) = client.qm1(&quick(2, 0xa002, Ipv4Addr::new(10, 88, 0, 10)));
    assert!(gateway.receive(FROM, false, &qm1).is_empty());
    assert_eq!(gateway.established()[0].user, None);
}

#[test]
fn answers_that_are_none() {
    let right = |identifier| password(identifier, b"alice", b"wonderland");
    type Body = Box<dyn Fn(u16) -> Vec<u8>>;
    let cases: Vec<(&str, Body)> = vec![
        ("nothing", Box::new(|_| Vec::new())),
        ("half a header", Box::new(|_| vec![REPLY, 0, 0])),
        ("no attributes", Box::new(|id| body(REPLY, id, &[]))),
        (
            "no password",
            Box::new(|id| body(REPLY, id, &tlv(16521, b"alice"))),
        ),
        (
            "no name",
            Box::new(|id| body(REPLY, id, &tlv(16522, b"wonderland"))),
        ),
        ("empty values", Box::new(|id| password(id, b"", b""))),
        ("one octet", Box::new(|id| password(id, b"a", b"w"))),
        (
            "NUL in the name",
            Box::new(|id| password(id, b"alice\0mallory", b"wonderland")),
        ),
        (
            "no UTF-8",
            Box::new(|id| password(id, b"\xff\xfe", b"wonderland")),
        ),
        (
            "a number for a name",
            Box::new(|id| body(REPLY, id, &[tv(16521, 1), tv(16522, 1)].concat())),
        ),
        (
            "a long name",
            Box::new(|id| password(id, &[b'a'; 4000], b"wonderland")),
        ),
        (
            "a length past the end",
            Box::new(|id| body(REPLY, id, &[0x40, 0x89, 0xff, 0xff, 1])),
        ),
        (
            "a cut attribute",
            Box::new(|id| body(REPLY, id, &[0x40, 0x89, 0])),
        ),
        (
            "too many attributes",
            Box::new(|id| body(REPLY, id, &tv(16520, 0).repeat(500))),
        ),
        (
            "an acknowledgement",
            Box::new(move |id| [&[ACK][..], &right(id)[1..]].concat()),
        ),
        (
            "an unknown kind",
            Box::new(move |id| [&[9][..], &right(id)[1..]].concat()),
        ),
        ("status", Box::new(|id| body(REPLY, id, &tv(16527, 1)))),
    ];
    for (name, make) in cases {
        let Asked {
            mut gateway,
            mut client,
            id,
            identifier,
            iv,
        } = asked();
        let (reply, _) = client.transaction(id, Some(iv), &make(identifier));
        gateway.receive(FROM, false, &reply);
        let (qm1, _) = client.qm1(&quick(1, 0xa001, Ipv4Addr::new(10, 88, 0, 10)));
        assert!(gateway.receive(FROM, false, &qm1).is_empty(), "{name}");
        assert!(gateway.sas.is_empty(), "{name}");
        assert!(
            gateway.established().iter().all(|sa| sa.user.is_none()),
            "{name}"
        );
        // Whatever it was, nothing is left of it.
        gateway.advance(Duration::from_secs(300));
        assert_eq!(gateway.endpoint.table_entries(), 0, "{name}");
    }
}

#[test]
fn requests_for_everything_there_is() {
    let (mut gateway, mut client) = logged_in(false);
    for (number, class) in (0x1000_u32..).zip((0..=u16::MAX >> 1).step_by(97)) {
        let list = [tlv(class, &[]), tv(class, 0xffff), tlv(class, &[0xff; 40])].concat();
        let (request, iv) = client.transaction(number, None, &body(REQUEST, 1, &list));
        for answer in gateway.receive(FROM, false, &request) {
            if answer.bytes[18] == 6 {
                client.read_transaction(&answer.bytes, Some(iv));
            }
        }
    }
    // One address, however often and in whatever way it is asked for.
    let list = [
        tlv(1, &[]),
        tlv(1, &[1, 2, 3]),
        tlv(1, &[10, 88, 0, 15]),
        tv(1, 7),
    ]
    .concat();
    let (request, iv) = client.transaction(0x99, None, &body(REQUEST, 1, &list));
    let reply = gateway.ask(FROM, false, &request);
    let (_, reply, _) = client.read_transaction(&reply, Some(iv));
    assert_eq!(reply[4..], tlv(1, &[10, 88, 0, 10]));
    // A long row of exchanges leaves a short trace.
    assert!(gateway.endpoint.table_entries() < 30);
}

#[test]
fn a_wrong_hash_and_a_message_again() {
    let (mut gateway, mut client) = logged_in(false);
    let (request, _) = client.transaction(0x77, None, &body(REQUEST, 1, &tlv(1, &[])));
    for place in 28..request.len() {
        let mut changed = request.clone();
        changed[place] ^= 0x40;
        assert!(
            gateway.receive(FROM, false, &changed).is_empty(),
            "octet {place}"
        );
    }
    let first = gateway.ask(FROM, false, &request);
    assert_eq!(gateway.ask(FROM, false, &request), first);
}

//! What Main Mode carries: SA (RFC 2408 3.4 to 3.6, RFC 2409 A), KE, nonce, ID, HASH, NAT-D.

use tanuki_tests::ike::offers::{
    AES, Life, Order, SHA256, phase1, phase1_attributes, proposal, sa, tlv, transform, tv,
};
use tanuki_tests::ike::{HASH, ID, KE, MAIN_MODE, NAT_D, NONCE, SA, VENDOR, clear};

use super::scene::{Due, RFC_3947, Row, SUITE, Scene, Stage, dialect, open_handed, row};
use super::with;

fn good() -> Vec<u8> {
    phase1_attributes(SUITE, 1, Order::CipherFirst, Life::Short(3600))
}

/// A transform of these attributes without one class.
fn without(class: u16) -> Vec<u8> {
    let all = [(1, AES), (14, 128), (2, SHA256), (4, 19), (3, 1)];
    let rest = all.iter().filter(|(of, _)| *of != class);
    rest.flat_map(|(class, value)| tv(*class, *value)).collect()
}

/// One ISAKMP proposal under a number, with an SPI and one good transform.
fn one(number: u8, protocol: u8, spi: &[u8]) -> Vec<u8> {
    proposal(number, protocol, spi, &[transform(1, 1, &good())])
}

/// SA payloads of a first message that are refused, or no SA payloads at all.
fn refused() -> Vec<(String, Vec<u8>)> {
    let whole = phase1(&[good()]);
    let mut rows = vec![
        ("nothing".to_owned(), Vec::new()),
        ("no proposals".into(), sa(&[])),
        ("no transforms".into(), sa(&[proposal(1, 1, &[], &[])])),
        ("65 proposals".into(), sa(&vec![one(1, 1, &[]); 65])),
        (
            "255 transforms, all unusable".into(),
            phase1(&vec![tv(1, 99); 255]),
        ),
    ];
    let many = vec![transform(1, 1, &without(1)); 255];
    let three = vec![proposal(1, 1, &[], &many); 3];
    rows.push(("765 transforms".into(), sa(&three)));
    let over = vec![transform(1, 1, &good()); 256];
    rows.push(("256 transforms".into(), sa(&[proposal(1, 1, &[], &over)])));
    for doi in [0u32, 2, 1 << 31, u32::MAX] {
        rows.push((format!("DOI {doi}"), with(&whole, 0, &doi.to_be_bytes())));
    }
    for situation in [0u32, 2, 4, 5, 1 << 31, u32::MAX] {
        let body = with(&whole, 4, &situation.to_be_bytes());
        rows.push((format!("situation {situation:#x}"), body));
    }
    for protocol in [0, 2, 3, 4, 255] {
        rows.push((format!("protocol {protocol}"), sa(&[one(1, protocol, &[])])));
    }
    // Offset 8: generic header of the proposal, 12: number, protocol, SPI size, transforms.
    for size in [1, 7, 200, 255] {
        rows.push((
            format!("SPI size {size} that is not there"),
            with(&whole, 14, &[size]),
        ));
    }
    for count in [0, 2, 255] {
        rows.push((
            format!("{count} transforms of one"),
            with(&whole, 15, &[count]),
        ));
    }
    for next in [1, 2, 4, 255] {
        rows.push((format!("next transform {next}"), with(&whole, 16, &[next])));
    }
    for next in [1, 2, 3, 255] {
        rows.push((format!("next proposal {next}"), with(&whole, 8, &[next])));
    }
    for length in [0u16, 3, 7, 0x7fff, 0xffff] {
        let octets = length.to_be_bytes();
        rows.push((format!("proposal of {length}"), with(&whole, 10, &octets)));
        rows.push((format!("transform of {length}"), with(&whole, 18, &octets)));
    }
    for id in [0, 2, 255] {
        let body = sa(&[proposal(1, 1, &[], &[transform(1, id, &good())])]);
        rows.push((format!("transform id {id}"), body));
    }
    let mut transforms: Vec<(String, Vec<u8>)> = vec![
        ("no attributes".into(), Vec::new()),
        ("an attribute without value".into(), tlv(1, &[])),
        (
            "a cipher of nine octets".into(),
            [tlv(1, &[7; 9]), without(1)].concat(),
        ),
        (
            "a group of 100 octets".into(),
            [tlv(4, &[19; 100]), without(4)].concat(),
        ),
        ("a PRF of its own".into(), [good(), tv(13, 2)].concat()),
        ("two ciphers".into(), [tv(1, 5), good()].concat()),
        ("two hashes".into(), [tv(2, 2), good()].concat()),
        (
            "65 attributes".into(),
            [good(), tv(77, 1).repeat(64)].concat(),
        ),
    ];
    for class in [1, 2, 3, 4] {
        transforms.push((format!("no attribute {class}"), without(class)));
    }
    for length in [1u16, 5, 1000, 0xffff] {
        let tail = [&[0, 12][..], &length.to_be_bytes(), &[1]].concat();
        let attributes = [good(), if length == 1 { vec![1] } else { tail }].concat();
        transforms.push((
            format!("an attribute longer than its transform, {length}"),
            attributes,
        ));
    }
    for bits in [0, 1, 64, 127, 129, 65_535] {
        transforms.push((
            format!("key length {bits}"),
            [without(14), tv(14, bits)].concat(),
        ));
    }
    for method in [0, 2, 3, 4, 5, 8, 9, 11, 64_221, 65_001, 65_005, 65_535] {
        transforms.push((
            format!("method {method}"),
            [without(3), tv(3, method)].concat(),
        ));
    }
    for group in [0, 3, 4, 99, 65_535] {
        transforms.push((
            format!("group {group}"),
            [without(4), tv(4, group)].concat(),
        ));
    }
    for cipher in [0, 1, 2, 3, 4, 6, 8, 65_535] {
        transforms.push((
            format!("cipher {cipher}"),
            [without(1), tv(1, cipher)].concat(),
        ));
    }
    rows.extend(
        transforms
            .into_iter()
            .map(|(name, one)| (name, phase1(&[one]))),
    );
    rows
}

#[test]
fn sa_payloads_that_cannot_be_taken() {
    let scene = Scene::at(Stage::Nothing);
    let mut rows = Vec::new();
    for (name, body) in refused() {
        for vendors in [vec![], vec![(VENDOR, RFC_3947.to_vec())]] {
            let list = [vec![(SA, body.clone())], vendors].concat();
            let message = scene.client.clear_message(MAIN_MODE, &list);
            rows.push(row(name.clone(), message, Due::Complaint));
        }
    }
    scene.endures(&rows);
}

/// Odd ones that mean something, or in which something else does.
#[test]
fn sa_payloads_that_are_odd_and_served() {
    let life = |value: &[u8]| [without(0), tv(11, 1), tlv(12, value)].concat();
    let mut rows = vec![
        (
            "proposals 2, 1".to_owned(),
            sa(&[one(2, 1, &[]), one(1, 1, &[])]),
        ),
        (
            "proposal 1 twice".into(),
            sa(&[one(1, 1, &[]), one(1, 1, &[])]),
        ),
        (
            "proposals of other protocols".into(),
            sa(&[one(1, 3, &[1; 4]), one(2, 1, &[])]),
        ),
        (
            "the same transform ten times".into(),
            phase1(&vec![good(); 10]),
        ),
        (
            "the last of 255".into(),
            phase1(&[vec![tv(1, 99); 254], vec![good()]].concat()),
        ),
        (
            "one that cannot be read in front".into(),
            phase1(&[vec![0, 12, 0xff, 0xff], good()]),
        ),
        (
            "attributes as TLV".into(),
            phase1(&[[
                tlv(1, &[0, 7]),
                tlv(2, &[0, 0, 0, 4]),
                tv(4, 19),
                tv(3, 1),
                tlv(14, &[128]),
            ]
            .concat()]),
        ),
        (
            "an attribute twice".into(),
            phase1(&[[tv(1, AES), good()].concat()]),
        ),
        ("no key length".into(), phase1(&[without(14)])),
        ("a lifetime of nothing".into(), phase1(&[life(&[])])),
        (
            "a lifetime of nine octets".into(),
            phase1(&[life(&[0xff; 9])]),
        ),
        (
            "a lifetime without type".into(),
            phase1(&[[without(0), tv(12, 5)].concat()]),
        ),
        (
            "a type without lifetime".into(),
            phase1(&[[without(0), tv(11, 1)].concat()]),
        ),
        (
            "a lifetime of another type".into(),
            phase1(&[[without(0), tv(11, 77), tv(12, 5)].concat()]),
        ),
        (
            "private attributes".into(),
            phase1(&[[good(), tv(0x7fff, 9), tlv(16_384, &[1; 300])].concat()]),
        ),
    ];
    for number in [0, 7, 255] {
        rows.push((
            format!("proposal number {number}"),
            sa(&[one(number, 1, &[])]),
        ));
    }
    for size in [1, 8, 16, 255] {
        rows.push((
            format!("an SPI of {size}"),
            sa(&[one(1, 1, &vec![3; size])]),
        ));
    }
    for seconds in [0u64, 1, 59, 86_401, u64::from(u32::MAX), u64::MAX] {
        rows.push((
            format!("a lifetime of {seconds}"),
            phase1(&[life(&seconds.to_be_bytes())]),
        ));
    }
    for (name, body) in rows {
        let mut dialect = dialect();
        dialect.phase1 = body;
        let mut scene = Scene::new(open_handed(), dialect);
        scene.step();
        let counters = scene.gateway.endpoint.counters();
        assert_eq!((counters.ike_sas, counters.malformed), (1, 0), "{name}");
        // All the way where time is what is odd.
        while name.contains("lifetime of") && scene.stage < Stage::Established {
            scene.step();
        }
    }
}

/// A KE payload of every size but the right one, values that are no points, nonces of sizes that
/// RFC 2409 5 forbids.
#[test]
fn key_exchange_and_nonce() {
    let scene = Scene::at(Stage::Begun);
    let list = clear(&scene.next);
    let third = |ke: &[u8], nonce: &[u8]| {
        let list = [(KE, ke.to_vec()), (NONCE, nonce.to_vec())];
        scene.client.clear_message(MAIN_MODE, &list)
    };
    let (ke, nonce) = (&list[0].1, &list[1].1);
    let mut rows: Vec<Row> = (0..=1024)
        .filter(|size| *size != ke.len())
        .map(|size| {
            row(
                format!("KE of {size}"),
                third(&vec![4; size], nonce),
                Due::Silence,
            )
        })
        .collect();
    for octet in [0x00, 0x42, 0xff] {
        let message = third(&vec![octet; ke.len()], nonce);
        rows.push(row(format!("KE of {octet:#x}"), message, Due::Silence));
    }
    for size in (0..8).chain([257, 300, 1024]) {
        let message = third(ke, &vec![1; size]);
        rows.push(row(format!("nonce of {size}"), message, Due::Silence));
    }
    scene.endures(&rows);
}

/// Bad public values cost a computation each: there are not many to be had in one exchange.
#[test]
fn bad_public_values_do_not_buy_computations() {
    let mut scene = Scene::at(Stage::Begun);
    let nonce = clear(&scene.next)[1].1.clone();
    for octet in 0..200 {
        let list = [(KE, vec![octet; 64]), (NONCE, nonce.clone())];
        let message = scene.client.clear_message(MAIN_MODE, &list);
        let sent = scene.gateway.receive(super::scene::CLIENT, false, &message);
        assert!(sent.is_empty());
    }
    assert!(
        scene.gateway.jobs <= 5,
        "{} computations",
        scene.gateway.jobs
    );
}

/// Identities that are none; the rest of types and values is the policy's to judge, under a HASH_I
/// that covers them.
#[test]
fn identities_in_main_mode() {
    let scene = Scene::at(Stage::Exchanged);
    let fifth = |body: &[u8]| {
        let list = [(ID, body.to_vec()), (HASH, scene.client.proof(body))];
        scene.client.fifth(&list)
    };
    let mut rows = Vec::new();
    for size in 0..4 {
        let message = fifth(&vec![1; size]);
        rows.push(row(
            format!("ID payload of {size}"),
            message,
            Due::Complaint,
        ));
    }
    let wrong = [
        (1, &[0, 3, 5, 16][..]),
        (2, &[0, 1025]),
        (3, &[0, 1025]),
        (4, &[0, 4, 7, 9]),
        (5, &[0, 4, 15, 17]),
        (6, &[16, 31]),
        (7, &[4]),
        (8, &[8]),
        (9, &[1025]),
        (11, &[1025]),
        (255, &[1025, 4000]),
    ];
    for (kind, sizes) in wrong {
        for size in sizes {
            let body = [&[kind, 0, 0, 0][..], &vec![b'a'; *size]].concat();
            rows.push(row(
                format!("ID {kind} of {size}"),
                fifth(&body),
                Due::Complaint,
            ));
        }
    }
    scene.endures(&rows);
    for body in [
        b"\x00\x00\x00\x00".to_vec(),
        b"\x02\x11\x01\xf4vpn.example.org\x00.evil".to_vec(),
        b"\x03\x00\x00\x00\xff\xfe%n%s\x1b[2J".to_vec(),
        b"\x09\x00\x00\x00\x30".to_vec(),
        b"\x09\x00\x00\x00".to_vec(),
        b"\x0b\x00\x00\x00".to_vec(),
        b"\x0b\xff\xff\xff\x00\x01\x02".to_vec(),
        b"\xc8\x06\x00\x16whatever".to_vec(),
        // A port without a protocol.
        [&b"\x01\x00\x01\xf4"[..], &[198, 51, 100, 7]].concat(),
    ] {
        let mut scene = Scene::at(Stage::Exchanged);
        let list = [(ID, body.clone()), (HASH, scene.client.proof(&body))];
        scene.next = scene.client.fifth(&list);
        scene.step();
        let identity = scene.gateway.established()[0]
            .peer_identity
            .clone()
            .unwrap();
        assert!(
            identity.chars().all(|c| c.is_ascii_graphic() || c == ' '),
            "{identity}"
        );
    }
}

#[test]
fn hashes_of_main_mode() {
    let scene = Scene::at(Stage::Exchanged);
    let id = scene.client.identity();
    let right = scene.client.proof(&id);
    let long = [right.as_slice(), &right].concat();
    let mut rows = Vec::new();
    for size in (0..=64).filter(|size| *size != right.len()) {
        let list = [(ID, id.clone()), (HASH, long[..size].to_vec())];
        let message = scene.client.fifth(&list);
        rows.push(row(format!("HASH_I of {size}"), message, Due::Complaint));
    }
    for bit in [0, 7, 128, 255] {
        let mut wrong = right.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let list = [(ID, id.clone()), (HASH, wrong)];
        let message = scene.client.fifth(&list);
        rows.push(row(format!("bit {bit} of HASH_I"), message, Due::Complaint));
    }
    // Somebody else's, under a valid HASH_I over our own.
    let other = [
        (ID, [&[1, 0, 0, 0][..], &[10, 0, 0, 1]].concat()),
        (HASH, right),
    ];
    rows.push(row(
        "another ID",
        scene.client.fifth(&other),
        Due::Complaint,
    ));
    for blocks in [1, 2, 3, 64, 1000] {
        let message = scene
            .client
            .message(MAIN_MODE, 1, 0, ID, &vec![0xa5; 16 * blocks]);
        rows.push(row(
            format!("{blocks} blocks of nothing"),
            message,
            Due::Complaint,
        ));
    }
    scene.endures(&rows);
}

/// None to ten NAT-D payloads, of every size: whatever does not hash to an address is NAT.
#[test]
fn nat_d_payloads() {
    for (count, size) in [
        (0, 0),
        (1, 32),
        (2, 0),
        (2, 20),
        (2, 64),
        (3, 32),
        (10, 32),
        (40, 1),
    ] {
        let mut scene = Scene::at(Stage::Begun);
        let mut list = clear(&scene.next);
        list.retain(|payload| payload.0 != NAT_D);
        list.extend(vec![(NAT_D, vec![9; size]); count]);
        scene.next = scene.client.clear_message(MAIN_MODE, &list);
        scene.client.dialect.nat_d.take_if(|_| count == 0);
        scene.step();
        let nat = scene.gateway.endpoint.ike_sas(scene.gateway.now)[0].clone();
        assert_eq!(
            (nat.local_nat, nat.peer_nat),
            (count > 0, count > 1),
            "{count} of {size}"
        );
    }
}

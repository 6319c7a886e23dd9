//! Quick Mode: RFC 2409 5.5, RFC 2407 4.5. Whoever sends these has the keys.

use tanuki_tests::ike::offers::{EspStyle, Life, phase2, proposal, sa, tlv, transform, tv};
use tanuki_tests::ike::{HASH, ID, KE, NAT_OA, NONCE, Payload, QUICK_MODE, SA};

use super::scene::{CLIENT, Due, Row, Scene, Stage, quick, quick_payloads, row};
use super::with;

/// Attributes of AES-128 with HMAC-SHA-1 in transport mode, without some classes.
fn attributes(without: &[u16]) -> Vec<u8> {
    let all = [(6, 128), (5, 2), (4, 2), (1, 1), (2, 3600)];
    let rest = all.iter().filter(|(class, _)| !without.contains(class));
    rest.flat_map(|(class, value)| tv(*class, *value)).collect()
}

fn offer(protocol: u8, spi: &[u8], id: u8, attributes: &[u8]) -> Vec<u8> {
    sa(&[proposal(1, protocol, spi, &[transform(1, id, attributes)])])
}

const SPI: [u8; 4] = [0, 0, 0xa7, 0x77];

/// SA payloads nobody can take, by name.
fn refused() -> Vec<(String, Vec<u8>)> {
    let good = attributes(&[]);
    let whole = offer(3, &SPI, 12, &good);
    let esp = |id, attributes: &[u8]| offer(3, &SPI, id, attributes);
    let mut rows = vec![
        ("nothing".to_owned(), Vec::new()),
        ("no proposals".into(), sa(&[])),
        (
            "AH and ESP together".into(),
            sa(&[
                proposal(1, 2, &SPI, &[transform(1, 3, &good)]),
                proposal(1, 3, &SPI, &[transform(1, 12, &good)]),
            ]),
        ),
        ("AH".into(), offer(2, &SPI, 3, &good)),
        ("ISAKMP".into(), offer(1, &[], 1, &good)),
        ("IPComp".into(), offer(4, &[0, 2], 2, &tv(4, 2))),
        ("no attributes".into(), esp(12, &[])),
        (
            "an attribute longer than its transform".into(),
            esp(12, &[&good[..], &[0, 2, 0xff, 0xff]].concat()),
        ),
        (
            "half an attribute".into(),
            esp(12, &[&good[..], &[0x80, 4]].concat()),
        ),
        (
            "two modes".into(),
            esp(12, &[&good[..], &tv(4, 1)].concat()),
        ),
        ("no authentication".into(), esp(12, &attributes(&[5]))),
        ("NULL without authentication".into(), esp(11, &tv(4, 2))),
        ("NULL".into(), esp(11, &attributes(&[6]))),
        ("GMAC".into(), esp(23, &attributes(&[5]))),
        (
            "a group without KE".into(),
            esp(12, &[&good[..], &tv(3, 19)].concat()),
        ),
        (
            "a group of nobody".into(),
            esp(12, &[&good[..], &tv(3, 999)].concat()),
        ),
    ];
    // Attributes that are defined and not supported: 64-bit sequence numbers among them.
    for class in [7, 8, 9, 11, 12, 13, 31_999] {
        rows.push((
            format!("attribute {class}"),
            esp(12, &[&good[..], &tv(class, 1)].concat()),
        ));
    }
    for doi in [0u32, 2, u32::MAX] {
        rows.push((format!("DOI {doi}"), with(&whole, 0, &doi.to_be_bytes())));
    }
    for situation in [0u32, 3, u32::MAX] {
        rows.push((
            format!("situation {situation}"),
            with(&whole, 4, &situation.to_be_bytes()),
        ));
    }
    for size in [0, 1, 3, 5, 8, 255] {
        rows.push((
            format!("an SPI of {size}"),
            offer(3, &vec![1; size], 12, &good),
        ));
    }
    for spi in [0u32, 1, 255] {
        rows.push((
            format!("SPI {spi}"),
            offer(3, &spi.to_be_bytes(), 12, &good),
        ));
    }
    for bits in [0, 1, 64, 127, 512, 65_535] {
        rows.push((
            format!("key length {bits}"),
            esp(12, &[attributes(&[6]), tv(6, bits)].concat()),
        ));
    }
    for mode in [0, 1, 3, 5, 255, 61_443, 65_535] {
        rows.push((
            format!("mode {mode}"),
            esp(12, &[attributes(&[4]), tv(4, mode)].concat()),
        ));
    }
    // Every transform with every authentication, but those that are served.
    for id in 0..=255u8 {
        for auth in 0..=10 {
            let served = match id {
                12 => [2, 5, 6, 7].contains(&auth),
                18..=20 => true,
                _ => false,
            };
            if !served {
                let body = esp(id, &[attributes(&[5]), tv(5, auth)].concat());
                rows.push((format!("ESP {id} with {auth}"), body));
            }
        }
    }
    rows
}

/// First messages of Quick Mode with their own message id each.
struct Book<'a> {
    scene: &'a Scene,
    rows: Vec<Row>,
}

impl Book<'_> {
    fn add(&mut self, name: impl Into<String>, list: &[Payload], due: Due) {
        let id = 1000 + self.rows.len() as u32;
        let message = self.scene.client.phase2(QUICK_MODE, id, list);
        self.rows.push(row(name, message, due));
    }
}

fn told(stage: Stage, fill: impl FnOnce(&mut Book<'_>)) {
    let scene = Scene::at(stage);
    let mut book = Book {
        scene: &scene,
        rows: Vec::new(),
    };
    fill(&mut book);
    let rows = book.rows;
    scene.endures(&rows);
}

fn replaced(kind: u8, body: &[u8]) -> Vec<Payload> {
    let mut list = quick_payloads(9);
    list.iter_mut()
        .filter(|p| p.0 == kind)
        .for_each(|p| p.1 = body.to_vec());
    list
}

#[test]
fn esp_offers_that_cannot_be_taken() {
    told(Stage::Paired, |book| {
        for (name, body) in refused() {
            book.add(name, &replaced(SA, &body), Due::Told);
        }
    });
}

/// Odd offers that are served, each with a pair of SAs to show for it.
#[test]
fn esp_offers_that_are_odd_and_served() {
    let mut scene = Scene::at(Stage::Paired);
    let good = attributes(&[]);
    let life = |value: &[u8]| [attributes(&[1, 2]), tv(1, 1), tlv(2, value)].concat();
    let cases = [
        ("no lifetime", attributes(&[1, 2])),
        ("no key length", attributes(&[6])),
        ("a lifetime of 0", life(&[0, 0, 0, 0])),
        ("a lifetime of nine octets", life(&[0xff; 9])),
        ("a lifetime of 2^64 - 1", life(&[0xff; 8])),
        (
            "kilobytes only",
            [attributes(&[1, 2]), tv(1, 2), tlv(2, &[0xff; 8])].concat(),
        ),
        (
            "private attributes",
            [good.clone(), tv(32_001, 1), tlv(32_002, &[1; 100])].concat(),
        ),
        ("an attribute twice", [good, tv(4, 2)].concat()),
    ];
    for (number, (name, attributes)) in (200..).zip(cases) {
        let mut request = quick(number);
        let spi = request.spi.to_be_bytes();
        request.sa = sa(&[
            proposal(1, 2, &spi, &[transform(1, 3, &attributes)]),
            proposal(2, 3, &[1, 2], &[transform(1, 12, &attributes)]),
            proposal(
                3,
                3,
                &spi,
                &[
                    transform(1, 200, &[0, 1, 0xff, 0xff]),
                    transform(2, 12, &attributes),
                ],
            ),
        ]);
        let pair = scene
            .gateway
            .quick_mode(&mut scene.client, CLIENT, &request);
        assert_eq!(pair.spi_in, request.spi, "{name}");
    }
}

#[test]
fn keys_and_nonces_of_quick_mode() {
    told(Stage::Paired, |book| {
        for size in (0..8).chain([257, 1024]) {
            book.add(
                format!("nonce of {size}"),
                &replaced(NONCE, &vec![1; size]),
                Due::Told,
            );
        }
        let mut style = EspStyle::new(2, Life::Short(3600));
        style.group = Some(19);
        let body = phase2(&[(12, 128, 2)], 0xa777, &style);
        for (size, octet) in [
            (0, 0),
            (1, 0),
            (63, 4),
            (65, 4),
            (256, 1),
            (64, 0),
            (64, 0xff),
        ] {
            let mut list = replaced(SA, &body);
            list.push((KE, vec![octet; size]));
            book.add(format!("KE of {size} {octet:#x}"), &list, Due::Told);
        }
    });
}

/// Identities in every number but none and two, of every type but addresses for us, of lengths
/// that are none, and for what is not served.
#[test]
fn identities_in_quick_mode() {
    told(Stage::Paired, |book| {
        let plain = quick_payloads(9);
        let (idci, idcr) = (plain[2].1.clone(), plain[3].1.clone());
        for count in [1, 3, 4, 10] {
            let mut list = plain[..2].to_vec();
            list.extend(vec![(ID, idcr.clone()); count]);
            book.add(format!("{count} identities"), &list, Due::Told);
        }
        let mut with_ids = |name: String, i: &[u8], r: &[u8]| {
            let mut list = plain[..2].to_vec();
            list.extend([(ID, i.to_vec()), (ID, r.to_vec())]);
            book.add(name, &list, Due::Told);
        };
        for size in 0..8 {
            with_ids(format!("IDcr cut to {size}"), &idci, &idcr[..size]);
            with_ids(format!("IDci cut to {size}"), &idci[..size], &idcr);
        }
        // CVE-2023-38711: a name where an address is expected.
        for kind in (0..=255u8).filter(|kind| *kind != 1) {
            for size in [0, 4, 8, 16, 32] {
                let body = [&[kind, 17, 0x06, 0xa5][..], &vec![b'x'; size]].concat();
                with_ids(format!("IDcr {kind} of {size}"), &idci, &body);
            }
        }
        for (protocol, port) in [
            (6, 1701),
            (1, 0),
            (17, 500),
            (17, 22),
            (47, 0),
            (255, 65_535),
        ] {
            let mut ids = [idci.clone(), idcr.clone()];
            for id in &mut ids {
                id[1] = protocol;
                id[2..4].copy_from_slice(&u16::to_be_bytes(port));
            }
            with_ids(format!("protocol {protocol} port {port}"), &ids[0], &ids[1]);
        }
        with_ids("UDP and TCP".into(), &idci, &with(&idcr, 1, &[6]));
        with_ids("another's address".into(), &with(&idci, 7, &[8]), &idcr);
        with_ids("not our address".into(), &idci, &with(&idcr, 7, &[99]));
        with_ids(
            "all networks".into(),
            &idci,
            &[4, 17, 6, 0xa5, 0, 0, 0, 0, 0, 0, 0, 0],
        );
    });
}

/// HASH(1) of every size, wrong, over something else, or missing: no answer, and the message id
/// stays good.
#[test]
fn hashes_of_quick_mode() {
    let scene = Scene::at(Stage::Established);
    let id = u32::from_be_bytes(scene.next[20..24].try_into().unwrap());
    let list = quick_payloads(9);
    let right = scene.client.hash_1(id, &list);
    let long = [right.as_slice(), &right].concat();
    let mut rows = Vec::new();
    let mut add = |name: String, hash: Vec<u8>| {
        let all = [vec![(HASH, hash)], list.clone()].concat();
        let message = scene.client.phase2_raw(QUICK_MODE, id, &all);
        rows.push(row(name, message, Due::Silence));
    };
    for size in (0..=64).filter(|size| *size != right.len()) {
        add(format!("HASH(1) of {size}"), long[..size].to_vec());
    }
    for octet in 0..right.len() {
        let mut wrong = right.clone();
        wrong[octet] ^= 0x10;
        add(format!("octet {octet} of HASH(1)"), wrong);
    }
    add(
        "HASH(1) of another message id".into(),
        scene.client.hash_1(id + 1, &list),
    );
    rows.push(row(
        "no HASH(1)",
        scene.client.phase2_raw(QUICK_MODE, id, &list),
        Due::Silence,
    ));
    let last = [list.clone(), vec![(HASH, right)]].concat();
    rows.push(row(
        "HASH(1) at the end",
        scene.client.phase2_raw(QUICK_MODE, id, &last),
        Due::Silence,
    ));
    for size in 0..=80 {
        let message = scene
            .client
            .message(QUICK_MODE, 1, id, HASH, &vec![0x5a; size]);
        rows.push(row(
            format!("{size} octets of nothing"),
            message,
            Due::Silence,
        ));
    }
    scene.endures(&rows);
}

/// The third message with any bit wrong: HASH(3) is all there is in it.
#[test]
fn third_messages_of_quick_mode() {
    let scene = Scene::at(Stage::Answered);
    let next = scene.next.clone();
    let mut rows = Vec::new();
    for octet in 28..next.len() - 16 {
        let mut wrong = next.clone();
        wrong[octet] ^= 1;
        rows.push(row(format!("octet {octet}"), wrong, Due::Silence));
    }
    for size in (28..next.len()).step_by(4) {
        let mut short = next[..size].to_vec();
        short[24..28].copy_from_slice(&(size as u32).to_be_bytes());
        rows.push(row(format!("cut to {size}"), short, Due::Silence));
    }
    scene.endures(&rows);
}

/// NAT-OA where there is no NAT, of IPv6, of wrong sizes, many: passed over.
#[test]
fn nat_oa_payloads() {
    let mut scene = Scene::at(Stage::Paired);
    let bodies: [&[u8]; 6] = [
        &[],
        &[1, 0, 0],
        &[1, 0, 0, 0, 10, 0, 0],
        &[
            5, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        ],
        &[2, 0, 0, 0, b'x'],
        &[1, 17, 6, 0xa5, 10, 0, 0, 1],
    ];
    for (number, body) in (300..).zip(bodies) {
        let mut request = quick(number);
        request.more = vec![(NAT_OA, body.to_vec()); 5];
        scene
            .gateway
            .quick_mode(&mut scene.client, CLIENT, &request);
    }
}

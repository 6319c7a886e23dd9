//! Informational exchanges: RFC 2408 3.14 and 3.15, RFC 2409 5.7, RFC 3706.

use ike_proto::io::Transmit;
use tanuki_tests::ike::gateway::SERVER;
use tanuki_tests::ike::{DELETE, HASH, INFORMATIONAL, Initiator, NOTIFY, Payload, chain};

use super::scene::{CLIENT, Due, Row, STRANGER, Scene, Stage, dialect, quick, quick_payloads, row};

/// Body of a notification.
fn notification(protocol: u8, kind: u16, spi: &[u8], data: &[u8]) -> Vec<u8> {
    let [high, low] = kind.to_be_bytes();
    [
        &[0, 0, 0, 1, protocol, spi.len() as u8, high, low],
        spi,
        data,
    ]
    .concat()
}

/// Body of a Delete.
fn delete(protocol: u8, size: u8, count: u16, spis: &[u8]) -> Vec<u8> {
    let [high, low] = count.to_be_bytes();
    [&[0, 0, 0, 1, protocol, size, high, low], spis].concat()
}

fn cookies(client: &Initiator) -> Vec<u8> {
    [client.cky_i, client.cky_r].concat()
}

pub(crate) const R_U_THERE: u16 = 36_136;
const INITIAL_CONTACT: u16 = 24_578;

/// The SPIs of the pair, of packets to the client and to the server.
fn spis(scene: &Scene) -> (u32, u32) {
    let child = &scene.gateway.children()[0];
    (child.spi_out, child.spi_in)
}

/// Deletes and notifications without proof, encrypted or not, do nothing, whatever they say
/// (CVE-2004-0155, CVE-2019-10155).
#[test]
fn nothing_is_believed_without_a_hash() {
    let scene = Scene::at(Stage::Paired);
    let spi = spis(&scene).0.to_be_bytes();
    let own = cookies(&scene.client);
    let bodies = [
        (DELETE, delete(3, 4, 1, &spi)),
        (DELETE, delete(1, 16, 1, &own)),
        (NOTIFY, notification(1, INITIAL_CONTACT, &own, &[])),
        (NOTIFY, notification(1, R_U_THERE, &own, &[0, 0, 0, 1])),
        (NOTIFY, notification(3, 14, &spi, &[])),
        (NOTIFY, notification(1, 24, &[], &[])),
    ];
    let mut rows = Vec::new();
    for (number, body) in (0..).zip(&bodies) {
        let client = &scene.client;
        let list = [body.clone()];
        let id = 0x7700 + number;
        let mut add = |name, message| rows.push(row(name, message, Due::Silence));
        let clear = client.message(INFORMATIONAL, 0, id, body.0, &chain(&list));
        add("in the clear", clear);
        let clear = client.message(INFORMATIONAL, 0, 0, body.0, &chain(&list));
        add("in the clear without message id", clear);
        add("no HASH", client.phase2_raw(INFORMATIONAL, id, &list));
        let right = client.hash_1(id, &list);
        for size in 0..=64 {
            let mut hash = [right.clone(), right.clone()].concat();
            hash.truncate(size);
            if size == right.len() {
                hash[31] ^= 1;
            }
            let all = [(HASH, hash), body.clone()];
            add("wrong HASH", client.phase2_raw(INFORMATIONAL, id, &all));
        }
        let behind = [body.clone(), (HASH, right)];
        add("HASH behind", client.phase2_raw(INFORMATIONAL, id, &behind));
    }
    scene.endures(&rows);
}

/// Every notify type there is in the numbering of RFC 2408 and RFC 2407, with proof: nothing but
/// R-U-THERE is answered.
#[test]
fn notifications_of_every_type() {
    let scene = Scene::at(Stage::Paired);
    let own = cookies(&scene.client);
    let kinds = (0..=255u16)
        .chain(8190..8200)
        .chain(16_380..16_390)
        .chain(24_570..24_590)
        .chain(36_130..36_145)
        .chain(40_500..40_510)
        .chain(65_530..=65_535);
    let rows: Vec<Row> = (0x7_0000..)
        .zip(kinds.filter(|kind| *kind != R_U_THERE))
        .map(|(id, kind)| {
            let list = [(NOTIFY, notification(1, kind, &own, &[0; 4]))];
            let message = scene.client.phase2(INFORMATIONAL, id, &list);
            row(format!("notify {kind}"), message, Due::Silence)
        })
        .collect();
    scene.endures(&rows);
}

/// SPI sizes and counts that lie, protocols of nobody, SPIs of nobody, with proof.
#[test]
fn deletes_and_notifications_that_do_not_fit() {
    let scene = Scene::at(Stage::Paired);
    let (theirs, ours) = spis(&scene);
    let (theirs, ours) = (theirs.to_be_bytes(), ours.to_be_bytes());
    let own = cookies(&scene.client);
    let mut bodies: Vec<(String, Payload)> = Vec::new();
    for protocol in [0, 2, 4, 255] {
        let body = delete(protocol, 4, 1, &theirs);
        bodies.push((format!("delete of protocol {protocol}"), (DELETE, body)));
    }
    let lists: [(&str, Vec<u8>); 14] = [
        ("our own SPI", delete(3, 4, 1, &ours)),
        ("nobody's SPI", delete(3, 4, 1, &[9; 4])),
        ("no SPIs", delete(3, 4, 0, &[])),
        ("fewer than said", delete(3, 4, 2, &theirs)),
        (
            "more than said",
            delete(3, 4, 1, &[theirs, theirs].concat()),
        ),
        ("SPIs of no octets", delete(3, 0, 65_535, &[])),
        ("SPIs of three octets", delete(3, 3, 1, &theirs[..3])),
        ("SPIs of 16 octets", delete(3, 16, 1, &own)),
        ("65535 SPIs", delete(3, 4, 65_535, &theirs)),
        ("257 SPIs", delete(3, 4, 257, &theirs.repeat(257))),
        ("half an ISAKMP SPI", delete(1, 8, 2, &own)),
        ("cookies of nobody", delete(1, 16, 1, &[7; 16])),
        (
            "cookies the other way round",
            delete(1, 16, 1, &[&own[8..], &own[..8]].concat()),
        ),
        ("a body cut off", vec![0, 0, 0, 1, 3, 4]),
    ];
    bodies.extend(lists.map(|(name, body)| (name.to_owned(), (DELETE, body))));
    for size in [0usize, 1, 7] {
        let body = notification(1, R_U_THERE, &own, &[])[..size].to_vec();
        bodies.push((format!("notification of {size}"), (NOTIFY, body)));
    }
    let mut long = notification(1, R_U_THERE, &own, &[0; 4]);
    long[5] = 255;
    bodies.push(("an SPI longer than the notification".into(), (NOTIFY, long)));
    for (name, spi, data) in [
        ("R-U-THERE without SPI", vec![], 4),
        ("R-U-THERE of other cookies", vec![1; 16], 4),
        ("R-U-THERE without number", own.clone(), 0),
        ("R-U-THERE with three octets", own.clone(), 3),
        ("R-U-THERE with eight octets", own.clone(), 8),
    ] {
        let body = notification(1, R_U_THERE, &spi, &vec![0; data]);
        bodies.push((name.into(), (NOTIFY, body)));
    }
    bodies.push((
        "an acknowledgement nobody asked for".into(),
        (NOTIFY, notification(1, 36_137, &own, &[0; 4])),
    ));
    let rows: Vec<Row> = (0x8_0000..)
        .zip(bodies)
        .map(|(id, (name, payload))| {
            let message = scene.client.phase2(INFORMATIONAL, id, &[payload]);
            row(name, message, Due::Silence)
        })
        .collect();
    scene.endures(&rows);
}

/// Another client, with keys of its own, cannot delete what is not its.
#[test]
fn deletes_of_what_is_anothers() {
    let mut scene = Scene::at(Stage::Paired);
    let mut other = Initiator::new(dialect(), "192.0.2.66", SERVER, 5);
    scene.gateway.main_mode(&mut other, (STRANGER, STRANGER));
    let (theirs, ours) = spis(&scene);
    let mut rows = Vec::new();
    let mut add = |name, body: Vec<u8>, kind| {
        rows.push(row(
            name,
            other.informational(&[(kind, body)]),
            Due::Silence,
        ));
    };
    add(
        "SPI to the client",
        delete(3, 4, 1, &theirs.to_be_bytes()),
        DELETE,
    );
    add(
        "SPI to the server",
        delete(3, 4, 1, &ours.to_be_bytes()),
        DELETE,
    );
    add("cookies", delete(1, 16, 1, &cookies(&scene.client)), DELETE);
    add(
        "INITIAL-CONTACT",
        notification(1, INITIAL_CONTACT, &cookies(&scene.client), &[]),
        NOTIFY,
    );
    add(
        "every SPI",
        delete(3, 4, 256, &theirs.to_be_bytes().repeat(256)),
        DELETE,
    );
    let rows = rows;
    scene.endures_from(STRANGER, &rows);
}

/// Two Deletes of the ISAKMP SA in one message, and more behind (CVE-2023-38712); everything of
/// its own at once.
#[test]
fn deletes_of_everything_twice() {
    let mut scene = Scene::at(Stage::Paired);
    let own = cookies(&scene.client);
    let (theirs, _) = spis(&scene);
    let list = [
        (DELETE, delete(1, 16, 1, &own)),
        (DELETE, delete(1, 16, 2, &own.repeat(2))),
        (DELETE, delete(3, 4, 1, &theirs.to_be_bytes())),
        (NOTIFY, notification(1, R_U_THERE, &own, &[0; 4])),
        (NOTIFY, notification(1, INITIAL_CONTACT, &own, &[])),
    ];
    let message = scene.client.informational(&list);
    let sent = scene.gateway.receive(CLIENT, false, &message);
    assert!(sent.len() <= 1, "{sent:x?}");
    assert_eq!(scene.gateway.established().len(), 0);
    // The SA is gone: what is said under it is of unknown cookies.
    let late = scene.client.delete_esp(theirs);
    for message in [message, late] {
        let sent = scene.gateway.receive(CLIENT, false, &message);
        unknown_cookies(&message, &sent);
    }
    scene
        .gateway
        .advance(std::time::Duration::from_secs(8 * 3600));
    assert_eq!(scene.gateway.endpoint.table_entries(), 0);
    assert!(scene.gateway.sas.is_empty());
}

/// Deletes of the SA whose Quick Mode is under way.
#[test]
fn a_delete_in_the_middle_of_quick_mode() {
    let mut scene = Scene::at(Stage::Answered);
    let spi = quick(1).spi;
    let message = scene.client.delete_esp(spi);
    let sent = scene.gateway.receive(CLIENT, false, &message);
    assert!(sent.len() <= 1, "{sent:x?}");
    let third = scene.next.clone();
    scene.gateway.receive(CLIENT, false, &third);
    let message = scene.client.delete_isakmp();
    scene.gateway.receive(CLIENT, false, &message);
    scene
        .gateway
        .advance(std::time::Duration::from_secs(4 * 3600));
    assert_eq!(scene.gateway.endpoint.table_entries(), 0);
    assert!(scene.gateway.sas.is_empty());
}

/// R-U-THERE (RFC 3706 5.4): each is answered once with its number, from anywhere up to the wrap
/// and beyond; what is recorded and played again is not.
#[test]
fn dead_peer_detection_wraps_and_is_not_replayed() {
    let mut scene = Scene::at(Stage::Paired);
    let own = cookies(&scene.client);
    for number in [1u32, 2, 0x7fff_ffff, u32::MAX, 0, 1] {
        let body = notification(1, R_U_THERE, &own, &number.to_be_bytes());
        let message = scene.client.informational(&[(NOTIFY, body)]);
        let answer = scene.gateway.ask(CLIENT, false, &message);
        let list = scene.client.read_informational(&answer);
        let expected = notification(1, R_U_THERE + 1, &own, &number.to_be_bytes());
        assert_eq!(list, [(NOTIFY, expected)]);
        assert!(answer.len() <= message.len());
        for _ in 0..3 {
            assert!(scene.gateway.receive(CLIENT, false, &message).is_empty());
        }
    }
}

/// The answer to an encrypted message of unknown cookies: one INVALID-COOKIE (RFC 2408 5.2) in the
/// clear, no longer than the message.
fn unknown_cookies(message: &[u8], sent: &[Transmit]) {
    let [answer] = sent else {
        panic!("{sent:x?}");
    };
    assert_eq!((answer.bytes[18], answer.bytes[19] & 1), (INFORMATIONAL, 0));
    assert_eq!(answer.bytes[..16], message[..16]);
    // Notify type 4, behind both headers, DOI, protocol and SPI size.
    assert_eq!(answer.bytes[28 + 10..28 + 12], [0, 4]);
    assert!(answer.bytes.len() <= message.len());
}

/// R-U-THERE for an ISAKMP SA that is gone or never was (CVE-2009-0790): nothing in the clear is
/// answered, so that no two peers can go on for ever.
#[test]
fn dead_peer_detection_of_dead_cookies() {
    let mut scene = Scene::at(Stage::Paired);
    let own = cookies(&scene.client);
    let body = notification(1, R_U_THERE, &own, &[0, 0, 0, 9]);
    let sealed = scene.client.informational(&[(NOTIFY, body.clone())]);
    let message = scene.client.delete_isakmp();
    scene.gateway.receive(CLIENT, false, &message);
    let list = [(NOTIFY, body)];
    let clear = scene
        .client
        .message(INFORMATIONAL, 0, 9, NOTIFY, &chain(&list));
    let sent = scene.gateway.receive(CLIENT, false, &sealed);
    unknown_cookies(&sealed, &sent);
    let told = sent[0].bytes.clone();
    for message in [clear, told] {
        assert!(scene.gateway.receive(CLIENT, false, &message).is_empty());
    }
}

/// Hundreds of payloads in one authentic message: bounded.
#[test]
fn many_payloads_in_one_informational() {
    let scene = Scene::at(Stage::Paired);
    let mut rows = Vec::new();
    for count in [63, 100, 1000] {
        let list = vec![(DELETE, delete(3, 4, 1, &[9; 4])); count];
        let message = scene
            .client
            .phase2(INFORMATIONAL, 0x9000 + count as u32, &list);
        rows.push(row(format!("{count} deletes"), message, Due::Silence));
    }
    let mixed = quick_payloads(9);
    let message = scene.client.phase2(INFORMATIONAL, 0x9999, &mixed);
    rows.push(row(
        "a Quick Mode in an Informational",
        message,
        Due::Silence,
    ));
    scene.endures(&rows);
}

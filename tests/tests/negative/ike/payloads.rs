//! The chain of payloads: RFC 2408 3.2.

use super::scene::{Due, Row, Scene, Stage, dialect, open_handed, quick_payloads, row};
use super::with;
use tanuki_tests::ike::{HASH, ID, MAIN_MODE, Payload, QUICK_MODE, chain, clear, id_address};

/// Offsets of the generic headers of a chain.
fn headers(chain: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut found = Vec::new();
    while at < chain.len() {
        found.push(at);
        at += usize::from(u16::from_be_bytes([chain[at + 2], chain[at + 3]]));
    }
    found
}

/// Chains that are wrong in their generic headers, by name; `first` is the type of the first.
fn broken(list: &[Payload]) -> Vec<(String, u8, Vec<u8>)> {
    let (first, whole) = (list[0].0, chain(list));
    let mut rows = Vec::new();
    for (index, at) in headers(&whole).into_iter().enumerate() {
        let rest = (whole.len() - at) as u16;
        for length in [0, 1, 2, 3, rest + 1, 0x7fff, 0xffff] {
            let body = with(&whole, at + 2, &length.to_be_bytes());
            rows.push((format!("payload {index} of {length}"), first, body));
        }
        for reserved in [1, 0x80, 0xff] {
            let body = with(&whole, at + 1, &[reserved]);
            rows.push((format!("payload {index} reserved {reserved}"), first, body));
        }
    }
    let last = *headers(&whole).last().unwrap();
    let endless = with(&whole, last, &[first]);
    rows.push(("a chain that goes on behind its end".into(), first, endless));
    rows.push(("no payloads".into(), 0, whole.clone()));
    for count in [65, 100, 1000] {
        let mut many = list.to_vec();
        many.extend(vec![(13, Vec::new()); count]);
        rows.push((format!("{count} more payloads"), first, chain(&many)));
    }
    for kind in list
        .iter()
        .map(|payload| payload.0)
        .filter(|kind| *kind != ID)
    {
        let mut twice = list.to_vec();
        twice.push(
            list.iter()
                .find(|payload| payload.0 == kind)
                .unwrap()
                .clone(),
        );
        rows.push((format!("payload type {kind} twice"), first, chain(&twice)));
        let without: Vec<_> = list.iter().filter(|p| p.0 != kind).cloned().collect();
        if let Some(payload) = without.first() {
            rows.push((
                format!("no payload type {kind}"),
                payload.0,
                chain(&without),
            ));
        }
    }
    rows
}

#[test]
fn broken_chains_in_the_clear() {
    for stage in [Stage::Nothing, Stage::Begun] {
        let scene = Scene::at(stage);
        let list: Vec<_> = clear(&scene.next)
            .into_iter()
            .filter(|payload| ![13, 20].contains(&payload.0))
            .collect();
        let rows: Vec<Row> = broken(&list)
            .into_iter()
            .map(|(name, first, body)| {
                let message = scene.client.message(MAIN_MODE, 0, 0, first, &body);
                row(name, message, Due::Silence)
            })
            .collect();
        scene.endures(&rows);
    }
}

#[test]
fn broken_chains_in_the_fifth_message() {
    let scene = Scene::at(Stage::Exchanged);
    let id = scene.client.identity();
    let list = [(ID, id.clone()), (HASH, scene.client.proof(&id))];
    let mut rows = Vec::new();
    for (name, first, body) in broken(&list) {
        let plain = scene.client.fifth_octets(first, &body);
        rows.push(row(name, plain, Due::Complaint));
    }
    scene.endures(&rows);
}

/// Under the keys of an ISAKMP SA: what has no valid HASH is met with silence, the rest told.
#[test]
fn broken_chains_in_quick_mode() {
    let scene = Scene::at(Stage::Paired);
    let mut rows = Vec::new();
    let mut number = 500;
    for (name, first, body) in broken(&quick_payloads(99)) {
        number += 1;
        // HASH(1) over exactly these octets, whatever they are.
        let hash = scene.client.hash_1_of(number, &body);
        let plain = [chain(&[(HASH, hash)]), body].concat();
        let plain = with(&plain, 0, &[first]);
        let message = scene.client.phase2_octets(QUICK_MODE, number, HASH, &plain);
        let readable = name.contains("twice") || name.starts_with("no payload type");
        let due = if readable { Due::Told } else { Due::Silence };
        rows.push(row(name, message, due));
    }
    scene.endures(&rows);
}

/// Ten thousand payloads do not fit into what is looked at; four thousand do.
#[test]
fn ten_thousand_payloads() {
    let scene = Scene::at(Stage::Nothing);
    let rows: Vec<Row> = [4000, 10_000, 16_000]
        .map(|count| {
            let list = vec![(13, Vec::new()); count];
            let body = chain(&list);
            let message = scene.client.message(MAIN_MODE, 0, 0, 13, &body);
            row(format!("{count} payloads"), message, Due::Silence)
        })
        .into();
    scene.endures(&rows);
}

/// Payload types of nobody, and of IKEv2, beside the right ones, are passed over.
#[test]
fn unknown_payload_types_are_passed_over() {
    for kind in (14..=19).chain(22..=131).chain(133..=255) {
        let mut scene = Scene::new(open_handed(), dialect());
        let mut list = clear(&scene.next);
        list.push((kind, vec![0xff; 12]));
        scene.next = scene.client.clear_message(MAIN_MODE, &list);
        scene.step();
    }
    // In the third and fifth message as well.
    let mut scene = Scene::at(Stage::Begun);
    let mut list = clear(&scene.next);
    list.extend([(33, vec![1; 40]), (54, Vec::new()), (200, vec![0; 3])]);
    scene.next = scene.client.clear_message(MAIN_MODE, &list);
    scene.step();
    let id = id_address("198.51.100.7".parse().unwrap(), 0, 0);
    let proof = scene.client.proof(&id);
    let list = [(ID, id), (HASH, proof), (46, vec![9; 20]), (255, vec![])];
    scene.next = scene.client.fifth(&list);
    scene.step();
}

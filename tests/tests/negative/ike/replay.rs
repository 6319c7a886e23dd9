//! Valid messages at the wrong time or from the wrong place.

use std::time::Duration;

use tanuki_tests::ike::gateway::Gateway;
use tanuki_tests::ike::{INFORMATIONAL, MAIN_MODE, NOTIFY, QUICK_MODE};

use super::scene::{
    CLIENT, Due, Ledger, Row, STAGES, STRANGER, Scene, Stage, dialect, open_handed, row,
};
use super::with;

/// Every message of the whole conversation, those to come included: the same client with the same
/// randomness says the same.
fn recorded() -> Vec<Vec<u8>> {
    let mut scene = Scene::at(Stage::Paired);
    scene.sent.push(scene.client.delete_esp(9));
    scene.sent.push(scene.client.delete_isakmp());
    scene.sent
}

/// Messages of Main Mode in every order, Quick Mode before Main Mode is done, Deletes from before:
/// silence, and the conversation goes on.
#[test]
fn messages_out_of_order() {
    let all = recorded();
    for (index, stage) in STAGES.into_iter().enumerate().take(5) {
        let scene = Scene::at(stage);
        let rows: Vec<Row> = all
            .iter()
            .enumerate()
            .skip(index + 1)
            // What comes before the cookies of the server are known is of other cookies to it.
            .map(|(number, message)| {
                let answered = [MAIN_MODE, QUICK_MODE, INFORMATIONAL];
                let unknown = stage == Stage::Nothing && answered.contains(&message[18]);
                let due = match unknown || stage == Stage::Exchanged && number == 2 {
                    true => Due::Complaint,
                    false => Due::Silence,
                };
                row(format!("message {number}"), message.clone(), due)
            })
            .collect();
        // Behind Main Mode a Delete is what it says.
        let rows = match stage >= Stage::Established {
            true => rows
                .into_iter()
                .take(1)
                .filter(|r| r.name == "message 4")
                .collect(),
            false => rows,
        };
        scene.endures(&rows);
    }
}

/// What has been said is answered with the same octets, or not at all, and to where the exchange
/// is, whoever repeats it; and not for ever.
#[test]
fn every_message_again_at_any_time() {
    for stage in STAGES.into_iter().skip(1) {
        let mut scene = Scene::at(stage);
        let said = scene.sent.clone();
        let before = scene.tables();
        let mut answers = 0;
        for round in 0..20 {
            for (number, message) in said.iter().enumerate() {
                let from = if round % 2 == 0 { CLIENT } else { STRANGER };
                if number == 0 && from == STRANGER {
                    continue;
                }
                for sent in scene.gateway.receive(from, false, message) {
                    assert_eq!(sent.peer, CLIENT.parse().unwrap(), "{stage:?} {number}");
                    assert_eq!(sent.bytes[18], message[18], "{stage:?} {number}");
                    answers += 1;
                }
            }
        }
        assert!(answers <= 24, "{stage:?}: {answers} repetitions");
        assert_eq!(scene.tables(), before, "{stage:?}");
        assert_eq!(scene.gateway.jobs, if stage > Stage::Begun { 1 } else { 0 });
        scene.endures(&[]);
    }
}

/// The same after the ISAKMP SA is gone: its Deletes, its Quick Modes and INITIAL-CONTACT are of
/// nobody.
#[test]
fn every_message_again_after_the_end() {
    let mut scene = Scene::at(Stage::Paired);
    let contact = scene.client.initial_contact();
    let message = scene.client.informational(&[(NOTIFY, contact)]);
    scene.sent.push(message.clone());
    scene.gateway.receive(CLIENT, false, &message);
    let end = scene.client.delete_isakmp();
    scene.gateway.receive(CLIENT, false, &end);
    scene.sent.push(end);
    // The client is back, with cookies of its own.
    let mut again = tanuki_tests::ike::Initiator::new(dialect(), "198.51.100.7", "203.0.113.1", 6);
    scene.gateway.main_mode(&mut again, (CLIENT, CLIENT));
    let before = scene.tables();
    for message in scene.sent.iter().skip(1) {
        let sent = scene.gateway.receive(CLIENT, false, message);
        let octets: usize = sent.iter().map(|sent| sent.bytes.len()).sum();
        assert!(octets <= message.len());
    }
    assert_eq!(scene.tables(), before);
}

/// Who has the cookies and not the keys gets nothing sent to where he only says he is.
#[test]
fn a_third_message_from_elsewhere() {
    let mut scene = Scene::at(Stage::Begun);
    let third = scene.next.clone();
    let sent = scene.gateway.receive(STRANGER, false, &third);
    assert!(sent.is_empty(), "{sent:x?}");
    assert_eq!(scene.gateway.jobs, 0);
    scene.endures(&[]);

    // The fifth may come from another port and address: a NAT has moved. Rubbish from elsewhere
    // gets no more than it is.
    let mut scene = Scene::at(Stage::Exchanged);
    let mut ledger = Ledger::default();
    for blocks in 0..10 {
        let rubbish = scene
            .client
            .message(MAIN_MODE, 1, 0, 5, &vec![3; 16 * blocks]);
        ledger.received(STRANGER, rubbish.len());
        ledger.sent(&scene.gateway.receive(STRANGER, false, &rubbish));
    }
    ledger.assert_no_amplification();
    scene.endures(&[]);
}

/// A message id is good for one exchange as long as the ISAKMP SA lives: it ends before one would
/// be forgotten.
#[test]
fn an_isakmp_sa_ends_before_it_forgets_message_ids() {
    let mut scene = Scene::at(Stage::Paired);
    let mut first = None;
    let mut told = 0;
    for number in 0..10_000u32 {
        let body = [&[0, 0, 0, 1, 1, 0][..], &40_000u16.to_be_bytes()].concat();
        let list = [(NOTIFY, body)];
        let message = scene.client.phase2(5, 0x10_0000 + number, &list);
        first.get_or_insert(message.clone());
        assert!(scene.gateway.receive(CLIENT, false, &message).is_empty());
        told += scene.gateway.advance(Duration::ZERO).len();
        if scene.gateway.established().is_empty() {
            break;
        }
        let first = first.as_ref().unwrap();
        let before = scene.gateway.endpoint.counters().duplicates;
        if number % 512 == 0 {
            scene.gateway.receive(CLIENT, false, first);
            assert_eq!(
                scene.gateway.endpoint.counters().duplicates,
                before + 1,
                "{number}"
            );
        }
    }
    assert!(scene.gateway.established().is_empty());
    assert_eq!(told, 1, "a Delete");
    assert_eq!(scene.gateway.children().len(), 1, "IPsec SAs live on");
}

/// The first message again from another address is another exchange, and no more than that.
#[test]
fn a_first_message_played_again_elsewhere() {
    let mut gateway = Gateway::new(open_handed());
    let mut scene = Scene::new(open_handed(), dialect());
    let first = std::mem::take(&mut scene.next);
    let mut ledger = Ledger::default();
    for from in [CLIENT, STRANGER, "192.0.2.67:1"] {
        for _ in 0..30 {
            ledger.received(from, first.len());
            ledger.sent(&gateway.receive(from, false, &first));
        }
    }
    assert_eq!(gateway.endpoint.counters().half_open, 3);
    ledger.sent(&gateway.advance(Duration::from_secs(300)));
    ledger.assert_no_amplification();
    assert_eq!(gateway.endpoint.table_entries(), 0);
    // With other cookies of the server it is nothing at all.
    let strange = with(&first, 8, &[1; 8]);
    assert!(gateway.receive(STRANGER, false, &strange).len() <= 1);
    assert_eq!(gateway.endpoint.table_entries(), 0);
}

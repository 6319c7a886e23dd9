//! The ISAKMP header: RFC 2408 3.1.

use super::scene::{CLIENT, Due, RFC_3947, Row, STAGES, Scene, Stage, dialect, open_handed, row};
use super::with;
use tanuki_tests::ike::gateway::Gateway;

/// What an undecipherable message gets: the fifth of Main Mode is told in the clear, as there is no
/// key both share.
fn rubbish(stage: Stage) -> Due {
    match stage {
        Stage::Exchanged => Due::Complaint,
        _ => Due::Silence,
    }
}

/// Length fields that lie, and datagrams cut anywhere.
#[test]
fn header_lengths() {
    for stage in STAGES {
        let scene = Scene::at(stage);
        let next = scene.next.clone();
        let len = next.len() as u32;
        let mut rows: Vec<Row> = [0, 1, 27, len + 1, 65_535, 1 << 31, u32::MAX]
            .map(|value| {
                let message = with(&next, 24, &value.to_be_bytes());
                row(format!("length {value}"), message, Due::Silence)
            })
            .into();
        for value in [28, 29, len - 16, len - 1] {
            let message = with(&next, 24, &value.to_be_bytes());
            rows.push(row(format!("length {value}"), message, rubbish(stage)));
        }
        rows.extend((0..next.len()).map(|size| {
            let message = next[..size].to_vec();
            row(format!("datagram of {size}"), message, Due::Silence)
        }));
        scene.endures(&rows);
    }
}

/// Some peers pad their datagrams.
#[test]
fn octets_behind_the_message_are_cut_off() {
    let mut scene = Scene::new(open_handed(), dialect());
    while scene.stage < Stage::Paired {
        scene.next.extend([0xa5; 9]);
        if scene.stage == Stage::Exchanged {
            // The client finds the end of the ciphertext by the datagram.
            scene.next.truncate(scene.next.len() - 9);
        }
        scene.step();
    }
}

#[test]
fn versions_other_than_one() {
    for stage in STAGES {
        let scene = Scene::at(stage);
        let next = scene.next.clone();
        // RFC 2408 3.1: packets with a larger minor version are not accepted, either.
        let mut rows: Vec<Row> = (0..=255u8)
            .filter(|version| *version != 0x10)
            .map(|version| {
                let message = with(&next, 17, &[version]);
                row(format!("version {version:#04x}"), message, Due::Silence)
            })
            .collect();
        let mut ikev2 = with(&next, 17, &[0x20, 34, 0x08]);
        rows.push(row("IKE_SA_INIT", ikev2.clone(), Due::Complaint));
        ikev2[19] = 0x20;
        rows.push(row("answer to IKE_SA_INIT", ikev2, Due::Silence));
        scene.endures(&rows);
    }
}

/// Every exchange type in place of the right one. None of them is authenticated: a Quick Mode
/// message that is called something else must not use up its message id.
#[test]
fn exchange_types() {
    for stage in STAGES {
        let scene = Scene::at(stage);
        let next = scene.next.clone();
        let rows: Vec<Row> = (0..=255u8)
            .filter(|exchange| *exchange != next[18])
            .map(|exchange| {
                let message = with(&next, 18, &[exchange]);
                row(format!("exchange {exchange}"), message, Due::Silence)
            })
            .collect();
        scene.endures(&rows);
    }
}

/// The flag for encryption the other way round, with all others.
#[test]
fn flags_that_lie_about_encryption() {
    for stage in STAGES {
        let scene = Scene::at(stage);
        let next = scene.next.clone();
        let rows: Vec<Row> = (0..=255u8)
            .filter(|flags| flags & 1 != next[19] & 1)
            .map(|flags| {
                let message = with(&next, 19, &[flags]);
                row(format!("flags {flags:#x}"), message, Due::Silence)
            })
            .collect();
        scene.endures(&rows);
    }
}

/// Flags that have no meaning, or Commit and Authentication Only, change nothing.
#[test]
fn reserved_flags_are_ignored() {
    for flags in [0x02, 0x04, 0x06, 0x08, 0x80, 0xfe] {
        let mut scene = Scene::new(open_handed(), dialect());
        while scene.stage < Stage::Paired {
            scene.next[19] |= flags;
            scene.step();
        }
    }
}

#[test]
fn cookies_that_do_not_fit() {
    for stage in STAGES {
        let scene = Scene::at(stage);
        let next = scene.next.clone();
        let other = [0x5a; 8];
        let mut rows = vec![
            row("no CKY-I", with(&next, 0, &[0; 8]), Due::Silence),
            row("CKY-R of nobody", with(&next, 8, &other), Due::Complaint),
            row(
                "CKY-R of nobody, header only",
                {
                    let message = with(&next[..28], 8, &other);
                    with(&message, 24, &28u32.to_be_bytes())
                },
                Due::Silence,
            ),
        ];
        if stage > Stage::Nothing {
            rows.push(row("no CKY-R", with(&next, 8, &[0; 8]), Due::Silence));
            rows.push(row(
                "CKY-I of nobody",
                with(&next, 0, &other),
                Due::Complaint,
            ));
            let mut swapped = with(&next, 0, &next[8..16]);
            swapped[8..16].copy_from_slice(&next[..8]);
            rows.push(row("cookies swapped", swapped, Due::Complaint));
        }
        scene.endures(&rows);
    }
}

#[test]
fn message_ids_that_do_not_fit() {
    for stage in STAGES {
        let scene = Scene::at(stage);
        let next = scene.next.clone();
        let ids: &[u32] = if stage < Stage::Established {
            &[1, 0x8000_0000, u32::MAX]
        } else {
            &[0, 77, u32::MAX]
        };
        let rows: Vec<Row> = ids
            .iter()
            .map(|id| {
                let message = with(&next, 20, &id.to_be_bytes());
                row(format!("message id {id:#x}"), message, Due::Silence)
            })
            .collect();
        scene.endures(&rows);
    }
}

/// Datagrams of every short length with nothing in them, from who was never heard of.
#[test]
fn short_datagrams_of_strangers() {
    let mut gateway = Gateway::new(open_handed());
    for octet in [0x00, 0x10, 0xff] {
        for size in 0..=64 {
            let sent = gateway.receive(CLIENT, false, &vec![octet; size]);
            assert!(sent.is_empty(), "{size} of {octet:#x}");
        }
    }
    let sent = gateway.receive(CLIENT, false, RFC_3947);
    assert!(sent.is_empty());
    assert_eq!(gateway.endpoint.table_entries(), 0);
}

//! How SAs begin again, are replaced, and end.

use std::time::Duration;

use ike_proto::io::Direction;
use tanuki_tests::ike::gateway::{Gateway, policy};
use tanuki_tests::ike::ordinary::{dialect, quick};
use tanuki_tests::ike::{DELETE, INFORMATIONAL, Initiator, NOTIFY, Payload, QUICK_MODE};

use crate::{CLIENT, FROM, client, open};

const DPD: &[u8] = b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";

/// Payloads of the Informationals among what was sent.
fn informationals(client: &Initiator, sent: &[ike_proto::io::Transmit]) -> Vec<Payload> {
    sent.iter()
        .filter(|sent| sent.bytes[18] == INFORMATIONAL && sent.bytes[..8] == client.cky_i)
        .flat_map(|sent| client.read_informational(&sent.bytes))
        .collect()
}

/// libreswan ikev1-29-quick-restart: a client that is started again at once, four times, from the
/// same port, without a word about before.
#[test]
fn quick_restarts() {
    let mut gateway = Gateway::new(policy());
    let mut pair = None;
    for life in 1..=4u32 {
        let mut client = client(dialect(), CLIENT, u64::from(life));
        gateway.main_mode(&mut client, FROM);
        pair = Some(gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xb200 + life, CLIENT, 2)));
        gateway.advance(Duration::from_millis(200));
    }
    gateway.assert_pair(pair.as_ref().unwrap());
    assert!(gateway.established().len() <= policy().limits.ike_sas_per_client);
    gateway.advance(Duration::from_secs(3 * 3600));
    assert_eq!(gateway.endpoint.table_entries(), 0);
    assert!(gateway.sas.is_empty());
}

/// libreswan ikev1-responder-retransmit-01-Q2: the second message of Quick Mode is sent again until
/// the third comes, with the same octets, and no longer.
#[test]
fn the_second_message_of_quick_mode_is_repeated() {
    let (mut gateway, mut client) = open(2);
    let (first, under_way) = client.qm1(&quick(1, 0xb210, CLIENT, 2));
    let second = gateway.ask(FROM.0, false, &first);
    let again = gateway.advance(Duration::from_secs(10));
    assert!(!again.is_empty());
    assert!(again.iter().all(|sent| sent.bytes == second));
    let (third, pair) = client.qm3(&under_way, &second);
    assert!(gateway.receive(FROM.0, false, &third).is_empty());
    gateway.assert_pair(&pair);
    assert!(gateway.advance(Duration::from_secs(60)).is_empty());

    // Nobody there: it ends, and nothing is left of it but the ISAKMP SA.
    let (first, _) = client.qm1(&quick(2, 0xb211, CLIENT, 2));
    gateway.ask(FROM.0, false, &first);
    let sent = gateway.live(Duration::from_secs(300));
    let repeated = sent
        .iter()
        .filter(|sent| sent.bytes[18] == QUICK_MODE)
        .count();
    assert!(
        repeated < policy().retransmit.attempts as usize,
        "{repeated}"
    );
    assert_eq!(gateway.children().len(), 1);
    assert_eq!(gateway.sas.len(), 2);
}

/// QA Cafe ike_40 to ike_43 and ike_50 to ike_53: at the end of their lives SAs are told to be gone
/// and are gone, IPsec SAs by the SPI of what the client sends to, the ISAKMP SA by its cookies.
#[test]
fn what_expires_is_told() {
    let mut policy = policy();
    policy.phase2.rekey_as_responder = false;
    let mut gateway = Gateway::new(policy);
    let mut client = client(dialect(), CLIENT, 3);
    gateway.main_mode(&mut client, FROM);
    let pair = gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xb220, CLIENT, 2));
    let sent = gateway.live(Duration::from_secs(3500));
    assert!(
        informationals(&client, &sent)
            .iter()
            .all(|payload| payload.0 != DELETE)
    );
    let sent = gateway.live(Duration::from_secs(200));
    let told: Vec<_> = informationals(&client, &sent)
        .into_iter()
        .filter(|payload| payload.0 == DELETE)
        .map(|payload| payload.1)
        .collect();
    let mut esp = vec![0, 0, 0, 1, 3, 4, 0, 1];
    esp.extend(pair.spi_out.to_be_bytes());
    let isakmp = [&[0, 0, 0, 1, 1, 16, 0, 1][..], &client.cky_i, &client.cky_r].concat();
    assert!(told.contains(&isakmp), "{told:x?}");
    assert!(gateway.sas.is_empty());
    assert_eq!(gateway.endpoint.table_entries(), 0);

    // While the ISAKMP SA lives on, the end of an IPsec SA is told as well.
    let (mut gateway, mut client) = open(4);
    let mut short = quick(1, 0xb221, CLIENT, 2);
    short.sa = tanuki_tests::ike::offers::phase2(
        &[(12, 128, 2)],
        short.spi,
        &tanuki_tests::ike::offers::EspStyle::new(2, tanuki_tests::ike::offers::Life::Short(600)),
    );
    let pair = gateway.quick_mode(&mut client, FROM.0, &short);
    let sent = gateway.live(Duration::from_secs(650));
    esp.truncate(8);
    esp.extend(pair.spi_out.to_be_bytes());
    let told = informationals(&client, &sent);
    assert!(told.contains(&(DELETE, esp)), "{told:x?}");
    assert_eq!(gateway.children().len(), 0);
    assert_eq!(gateway.established().len(), 1);
}

/// QA Cafe ike_10, ike_14, ike_16 and ike_73: after a new Quick Mode the old pair still works, its
/// deletion does not touch the new one, and after the deletion of all the ISAKMP SA serves again.
#[test]
fn pairs_come_and_go_under_one_isakmp_sa() {
    let (mut gateway, mut client) = open(5);
    let old = gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xb230, CLIENT, 2));
    gateway.live(Duration::from_secs(600));
    let new = gateway.quick_mode(&mut client, FROM.0, &quick(2, 0xb231, CLIENT, 2));
    gateway.assert_pair(&old);
    gateway.assert_pair(&new);
    let delete = client.delete_esp(old.spi_in);
    gateway.receive(FROM.0, false, &delete);
    gateway.assert_pair(&new);
    let delete = client.delete_esp(new.spi_in);
    gateway.receive(FROM.0, false, &delete);
    assert!(gateway.sas.is_empty());
    let pair = gateway.quick_mode(&mut client, FROM.0, &quick(3, 0xb232, CLIENT, 2));
    gateway.assert_pair(&pair);
    assert_eq!(gateway.established().len(), 1);
}

/// libreswan dpd-01 to dpd-11, nat-dpd-pluto-01: a client that says nothing is asked; the last
/// question answered in time keeps it, none answered is the end of all it has.
#[test]
fn questions_and_the_last_one_answered() {
    let mut with_dpd = dialect();
    with_dpd.vendors.push(DPD.to_vec());
    let mut policy = policy();
    policy.dpd.interval = Duration::from_secs(30);
    policy.dpd.retry = Duration::from_secs(5);
    policy.dpd.attempts = 4;
    let mut gateway = Gateway::new(policy);
    let mut client = client(with_dpd, CLIENT, 6);
    gateway.main_mode(&mut client, FROM);
    let pair = gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xb240, CLIENT, 2));
    for _ in 0..3 {
        let sent = gateway.advance(Duration::from_secs(30 + 3 * 5 + 4));
        let questions = informationals(&client, &sent);
        assert_eq!(questions.len(), 4, "every question there is");
        let last = &questions[3].1;
        let numbers: Vec<_> = questions
            .iter()
            .map(|question| question.1[24..].to_vec())
            .collect();
        assert!(numbers.is_sorted() && numbers[0] != numbers[3]);
        // R-U-THERE-ACK, RFC 3706 5.3.
        let answer = [&last[..6], &36_137u16.to_be_bytes(), &last[8..]].concat();
        let message = client.informational(&[(NOTIFY, answer)]);
        assert!(gateway.receive(FROM.0, false, &message).is_empty());
        gateway.assert_pair(&pair);
    }
    gateway.advance(Duration::from_secs(30 + 4 * 5 + 1));
    assert!(gateway.sas.is_empty());
    assert_eq!(gateway.endpoint.table_entries(), 0);
}

/// libreswan delete-ikev1-sa-01 to 04, impair-40-ikev1-delete-child: Deletes in every order, of one
/// or both, by either side.
#[test]
fn deletes_in_every_order() {
    for order in [
        &["esp", "isakmp"][..],
        &["isakmp", "esp"],
        &["isakmp"],
        &["esp", "esp", "isakmp", "isakmp"],
    ] {
        let (mut gateway, mut client) = open(7);
        let pair = gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xb250, CLIENT, 2));
        for what in order {
            let message = match *what {
                "esp" => client.delete_esp(pair.spi_in),
                _ => client.delete_isakmp(),
            };
            let known = gateway.established().len();
            let sent = gateway.receive(FROM.0, false, &message);
            // Of an ISAKMP SA that is gone the client hears INVALID-COOKIE.
            assert!(
                sent.len() <= 1 - known,
                "a Delete is not answered: {sent:x?}"
            );
            assert!(sent.iter().all(|sent| sent.bytes[38..40] == [0, 4]));
        }
        assert_eq!(gateway.established().len(), 0);
        let left = usize::from(order[0] == "isakmp");
        assert_eq!(
            gateway.children().len(),
            left,
            "{order:?}: IPsec SAs outlive theirs"
        );
        gateway.advance(Duration::from_secs(3700));
        assert_eq!(gateway.endpoint.table_entries(), 0, "{order:?}");
        assert!(gateway.sas.is_empty());
    }
}

/// A client may use its first pair right behind the third message: the whole pair is there before it, for
/// the answer. One that takes another's place waits until the third message shows that the client takes
/// packets. Without a third message both halves go again, as every test's end asserts.
#[test]
fn the_first_pair_is_whole_before_the_third_message() {
    let answers = |gateway: &Gateway, spi| gateway.sas.contains_key(&(Direction::Outbound, spi));
    let (mut gateway, mut client) = open(31);
    let (qm1, under_way) = client.qm1(&quick(1, 0xb020, CLIENT, 2));
    let qm2 = gateway.ask(FROM.0, false, &qm1);
    assert!(answers(&gateway, 0xb020));
    assert!(gateway.children().is_empty());
    let (qm3, pair) = client.qm3(&under_way, &qm2);
    assert!(gateway.receive(FROM.0, false, &qm3).is_empty());
    gateway.assert_pair(&pair);

    let (qm1, under_way) = client.qm1(&quick(2, 0xb021, CLIENT, 2));
    let qm2 = gateway.ask(FROM.0, false, &qm1);
    assert!(!answers(&gateway, 0xb021));
    let (qm3, pair) = client.qm3(&under_way, &qm2);
    gateway.receive(FROM.0, false, &qm3);
    gateway.assert_pair(&pair);

    let (mut gateway, mut client) = open(32);
    let (qm1, _) = client.qm1(&quick(1, 0xb022, CLIENT, 2));
    gateway.ask(FROM.0, false, &qm1);
    assert!(answers(&gateway, 0xb022));
}

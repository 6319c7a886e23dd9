//! R1 to R14: IKE.

use std::net::IpAddr;
use std::time::Duration;

use ike_crypto::Hash;
use ike_proto::error::Refusal;
use ike_proto::io::{Direction, Event};
use ike_proto::policy::{Remote, SecretEntry, SecretPeer, Sha256Icv};
use ike_proto::wire::id::Identification;
use tanuki_tests::ike::gateway::{Gateway, PSK, SERVER, policy};
use tanuki_tests::ike::offers::{
    AES, Esp, EspStyle, Life, MD5, Order, SHA1, SHA256, SHA384, SHA512, Suite, TRIPLE_DES, phase1,
    phase1_attributes, phase1_suites, phase2, tlv, tv,
};
use tanuki_tests::ike::ordinary::{RFC_3947, SUITE, dialect, quick};
use tanuki_tests::ike::{
    AGGRESSIVE_NUMBERS, Dialect, HASH, ID, Initiator, NAT_D, NAT_D_DRAFT, NAT_OA, NOTIFY, Payload,
    SA, attributes, clear, id_address, nat_oa, offered, one, proposals,
};

const FROM: (&str, &str) = ("198.51.100.7:500", "198.51.100.7:4500");
const PUBLIC: &str = "198.51.100.7";
const PRIVATE: &str = "192.168.1.5";

const NATT_03: &[u8] = b"\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56";
const NATT_02_N: &[u8] = b"\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f";
const FRAGMENTATION: &[u8] = b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3";
const INITIAL_CONTACT: &[u8] = b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19";

const ESP_SHA1: Esp = (12, 128, 2);

fn offer(suites: &[Suite]) -> Vec<u8> {
    phase1_suites(suites, Order::CipherFirst, Life::Short(3600))
}

fn client(dialect: Dialect, own: &str, seed: u64) -> Initiator {
    Initiator::new(dialect, own, SERVER, seed)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An established client with an address of its own.
fn open(seed: u64) -> (Gateway, Initiator) {
    let mut gateway = Gateway::new(policy());
    let mut client = client(dialect(), PUBLIC, seed);
    gateway.main_mode(&mut client, FROM);
    assert_eq!(client.nat, (false, false));
    (gateway, client)
}

/// An established client behind NAT.
fn open_behind_nat(seed: u64) -> (Gateway, Initiator) {
    let mut gateway = Gateway::new(policy());
    let mut client = client(dialect(), PRIVATE, seed);
    gateway.main_mode(&mut client, FROM);
    assert_eq!(client.nat, (false, true));
    (gateway, client)
}

/// The number of the transform the server chooses of these attributes.
fn choice(transforms: &[Vec<u8>]) -> u8 {
    let mut gateway = Gateway::new(policy());
    let mut client = client(
        Dialect::new(phase1(transforms), &[RFC_3947], PSK),
        PUBLIC,
        1,
    );
    let mm1 = client.mm1();
    let mm2 = gateway.ask(FROM.0, false, &mm1);
    client.mm3(&mm2);
    client.chosen[4]
}

/// Transforms that cannot be taken do not spoil those that can, wherever they stand: ChromeOS's
/// AEAD default without cipher and hash, groups of Windows, XAUTH of the MR400, GCM.
#[test]
fn r01_transforms_that_cannot_be_are_walked_past() {
    let good = |suite| phase1_attributes(suite, 1, Order::CipherFirst, Life::Short(15_840));
    let malformed = [tv(4, 19), tv(3, 1), tv(11, 1), tv(12, 15_840)].concat();
    let unknown_group = good((AES, 256, SHA1, 999));
    let xauth = phase1_attributes(SUITE, 65_001, Order::CipherFirst, Life::Short(3600));
    // AES-GCM has no number in phase 1; some invent one.
    let gcm = good((20, 128, SHA256, 14));
    let md5 = good((AES, 256, MD5, 14));
    let fine = good((AES, 128, SHA1, 14));
    let bad = [malformed, unknown_group, xauth, gcm, md5];
    for (index, one) in bad.iter().enumerate() {
        assert_eq!(choice(&[one.clone(), fine.clone()]), 2, "bad one {index}");
        assert_eq!(choice(&[fine.clone(), one.clone()]), 1, "bad one {index}");
    }
    let all: Vec<_> = bad.iter().cloned().chain([fine.clone(), fine]).collect();
    assert_eq!(
        choice(&all),
        6,
        "the first that fits, in the client's order"
    );
}

/// Lifetimes in every encoding clients use (racoon two octets, Windows four, libreswan 86400,
/// TunnelForge none), the longest clamped here and echoed unchanged.
#[test]
fn r02_lifetimes_of_every_length_and_none() {
    let seconds = |value: u64| Some(Duration::from_secs(value));
    let life = |value: &[u8]| [tv(11, 1), tlv(12, value)].concat();
    let cases: [(Vec<u8>, Option<Duration>); 8] = [
        ([tv(11, 1), tv(12, 3600)].concat(), seconds(3600)),
        (life(&[0x0e, 0x10]), seconds(3600)),
        (life(&[0, 0x0e, 0x10]), seconds(3600)),
        (life(&[0, 0, 0x70, 0x80]), seconds(28_800)),
        (life(&[0, 1, 0x51, 0x80]), seconds(86_400)),
        (life(&[0xff; 4]), seconds(86_400)),
        (Vec::new(), seconds(28_800)),
        (
            [tv(11, 2), tv(12, 60_000), tv(11, 1), tv(12, 7200)].concat(),
            seconds(7200),
        ),
    ];
    for (life, expected) in cases {
        let suite = phase1_attributes(SUITE, 1, Order::CipherFirst, Life::None);
        let dialect = Dialect::new(phase1(&[[suite, life.clone()].concat()]), &[RFC_3947], PSK);
        let mut gateway = Gateway::new(policy());
        let mut client = client(dialect, PUBLIC, 2);
        gateway.main_mode(&mut client, FROM);
        let [sa] = &gateway.established()[..] else {
            panic!()
        };
        assert_eq!(sa.expires_in, expected, "{life:x?}");
    }
    // Windows' 250 000 kilobytes as well, in phase 2.
    let (mut gateway, mut client) = open(3);
    let mut windows = EspStyle::new(2, Life::Long(3600));
    windows.kilobytes = Some(250_000);
    let mut request = quick(1, 0xa001, PUBLIC, 2);
    request.sa = phase2(&[ESP_SHA1], 0xa001, &windows);
    let pair = gateway.quick_mode(&mut client, FROM.0, &request);
    assert_eq!(pair.attribute(2), Some(3600));
}

/// The choice is the offered transform, octet for octet and under its number: racoon of macOS and
/// Android compares. (The initiator itself looks for phase 1.)
#[test]
fn r03_chosen_transform_is_echoed_byte_for_byte() {
    for order in [Order::CipherFirst, Order::LifeFirst] {
        for life in [Life::Short(3600), Life::Long(28_800), Life::None] {
            let sa = phase1_suites(&[(AES, 256, MD5, 14), (AES, 256, SHA1, 19)], order, life);
            let mut gateway = Gateway::new(policy());
            let mut client = client(Dialect::new(sa.clone(), &[RFC_3947], PSK), PUBLIC, 4);
            gateway.main_mode(&mut client, FROM);
            assert_eq!(client.chosen, offered(&sa)[1]);

            let mut style = EspStyle::new(2, life);
            style.order = order;
            style.proposal_each = true;
            let suites = [(2, 0, 2), (12, 256, 2), (12, 128, 2)];
            let mut request = quick(1, 0xa002, PUBLIC, 2);
            request.sa = phase2(&suites, 0xa002, &style);
            let pair = gateway.quick_mode(&mut client, FROM.0, &request);
            assert_eq!(pair.chosen, offered(&request.sa)[1]);
            let answer = one(&pair.answer, SA);
            assert_eq!(answer[..8], request.sa[..8], "DOI and situation");
            assert_eq!(answer[12], 2, "the number of the proposal chosen");
            let chosen = proposals(&answer);
            assert_eq!(chosen.len(), 1);
        }
    }
}

/// NAT-D in the numbering of the best Vendor ID offered; old iOS and racoon of FreeBSD speak the
/// drafts, with encapsulation mode 61444.
#[test]
fn r04_nat_traversal_of_the_rfc_and_of_the_drafts() {
    let cases: [(&[&[u8]], u8, u16); 4] = [
        (&[RFC_3947], NAT_D, 4),
        (&[NATT_02_N, NATT_03, RFC_3947], NAT_D, 4),
        (&[NATT_02_N, NATT_03], NAT_D_DRAFT, 61_444),
        (&[NATT_02_N], NAT_D_DRAFT, 61_444),
    ];
    for (vendors, nat_d, mode) in cases {
        let mut gateway = Gateway::new(policy());
        let mut dialect = Dialect::new(offer(&[SUITE]), vendors, PSK);
        dialect.nat_d = Some(nat_d);
        let mut client = client(dialect, PRIVATE, 6);
        gateway.main_mode(&mut client, FROM);
        assert_eq!(client.nat, (false, true), "{vendors:x?}");
        let pair = gateway.quick_mode(&mut client, FROM.1, &quick(1, 0xa003, PRIVATE, mode));
        let sa = &gateway.sas[&(Direction::Inbound, pair.spi_out)];
        assert_eq!(sa.encapsulation.map(|ports| ports.peer_port), Some(4500));
    }
}

/// The FRAGMENTATION Vendor ID is 16 octets long from Windows and 20 from racoon and strongSwan.
#[test]
fn r05_fragmentation_vendor_id_of_16_or_20_octets() {
    for capabilities in [&[][..], &[0x80, 0, 0, 0][..]] {
        let id = [FRAGMENTATION, capabilities].concat();
        let mut dialect = dialect();
        dialect.vendors.insert(0, id);
        let mut gateway = Gateway::new(policy());
        let mut client = client(dialect, PUBLIC, 7);
        gateway.main_mode(&mut client, FROM);
        assert_eq!(gateway.established().len(), 1);
    }
}

/// Windows counts message IDs 1, 2, 3 and has several Quick Modes under way.
#[test]
fn r06_message_ids_count_up_and_quick_modes_overlap() {
    let (mut gateway, mut client) = open(8);
    let begun: Vec<_> = (1..=3)
        .map(|n| client.qm1(&quick(n, 0xa010 + n, PUBLIC, 2)))
        .collect();
    let answers: Vec<_> = begun
        .iter()
        .map(|(qm1, _)| gateway.ask(FROM.0, false, qm1))
        .collect();
    for ((_, under_way), qm2) in begun.iter().zip(&answers).rev() {
        let (qm3, pair) = client.qm3(under_way, qm2);
        assert!(gateway.receive(FROM.0, false, &qm3).is_empty());
        gateway.assert_pair(&pair);
    }
    assert_eq!(gateway.children().len(), 3);
}

/// NAT-OA twice (Windows), once, or never (Android); IDci with port 1701, 0 (Android) or of the
/// moment (macOS), with the private address; IDcr with the address dialled.
#[test]
fn r06_nat_oa_and_identities_as_clients_have_them() {
    let (mut gateway, mut client) = open_behind_nat(9);
    let mut n = 0;
    for more in [
        vec![],
        vec![(NAT_OA, nat_oa(ip(PRIVATE)))],
        vec![(NAT_OA, nat_oa(ip(PRIVATE))), (NAT_OA, nat_oa(ip(SERVER)))],
    ] {
        for port in [0, 1701, 56_322] {
            n += 1;
            let mut request = quick(n, 0xa020 + n, PRIVATE, 4);
            request.ids[0] = id_address(ip(PRIVATE), 17, port);
            request.more = more.clone();
            let pair = gateway.quick_mode(&mut client, FROM.1, &request);
            let ids: Vec<_> = pair.answer.iter().filter(|p| p.0 == ID).collect();
            assert_eq!(ids.len(), 2, "identities come back");
            assert_eq!(ids[0].1, request.ids[0]);
            assert_eq!(ids[1].1, request.ids[1]);
        }
    }
}

/// A server behind NAT is dialled by an address it does not have (Windows, cloud servers).
#[test]
fn r06_idcr_is_the_address_the_client_dialled() {
    let elastic = "192.0.2.80";
    let mut gateway = Gateway::new(policy());
    let mut client = Initiator::new(dialect(), PRIVATE, elastic, 10);
    gateway.main_mode(&mut client, FROM);
    assert_eq!(client.nat, (true, true), "both ends are translated");
    let mut request = quick(1, 0xa040, PRIVATE, 4);
    request.ids[1] = id_address(ip(elastic), 17, 1701);
    request.more = vec![(NAT_OA, nat_oa(ip(PRIVATE))), (NAT_OA, nat_oa(ip(elastic)))];
    gateway.quick_mode(&mut client, FROM.1, &request);
}

/// Both identities may be left out (RFC 2409 5.5: the addresses then); one or three are an error.
#[test]
fn r06_no_identities_or_two() {
    let (mut gateway, mut client) = open(11);
    let mut request = quick(1, 0xa050, PUBLIC, 2);
    request.ids.clear();
    gateway.quick_mode(&mut client, FROM.0, &request);
    let id = id_address(ip(PUBLIC), 17, 1701);
    for (message_id, count) in [(2, 1), (3, 3)] {
        let mut request = quick(message_id, 0xa050 + message_id, PUBLIC, 2);
        request.ids = vec![id.clone(); count];
        let (qm1, _) = client.qm1(&request);
        let sent = gateway.receive(FROM.0, false, &qm1);
        assert!(sent.iter().all(|sent| sent.bytes[18] != 32), "no QM2");
    }
    assert_eq!(gateway.children().len(), 1);
}

/// HASH_I covers the offer as it was sent, not the choice; a wrong fifth message (TunnelForge tries
/// both) does not hurt the right one.
#[test]
fn r07_hash_i_covers_the_whole_offer() {
    let sa = offer(&[(AES, 256, MD5, 14), SUITE, (TRIPLE_DES, 0, SHA1, 14)]);
    let mut gateway = Gateway::new(policy());
    let mut client = client(Dialect::new(sa, &[RFC_3947], PSK), PUBLIC, 12);
    let mm1 = client.mm1();
    let mm2 = gateway.ask(FROM.0, false, &mm1);
    let mm3 = client.mm3(&mm2);
    let mm4 = gateway.ask(FROM.0, false, &mm3);
    client.read_mm4(&mm4);
    let selected = one(&clear(&mm2), SA);
    let wrong = client.mm5_over(&selected);
    let sent = gateway.receive(FROM.0, false, &wrong);
    assert!(
        sent.iter().all(|sent| sent.bytes[18] != 2),
        "no sixth message"
    );
    assert_eq!(gateway.established().len(), 0);
    let right = client.mm5();
    let mm6 = gateway.ask(FROM.0, false, &right);
    client.read_mm6(&right, &mm6);
    assert_eq!(gateway.established().len(), 1);
}

/// INITIAL-CONTACT in the fifth message (ChromeOS, macOS), in an Informational (Android) or as a
/// Vendor ID (Windows): what an earlier life of the client left is gone.
#[test]
fn r07_initial_contact_in_all_three_ways() {
    for way in ["mm5", "informational", "vendor"] {
        let (mut gateway, mut old) = open_behind_nat(13);
        gateway.quick_mode(&mut old, FROM.1, &quick(1, 0xa060, PRIVATE, 4));
        gateway.advance(Duration::from_secs(60));
        let mut dialect = dialect();
        match way {
            "mm5" => dialect.initial_contact = true,
            "vendor" => dialect.vendors.push(INITIAL_CONTACT.to_vec()),
            _ => {}
        }
        let mut new = client(dialect, PRIVATE, 14);
        gateway.main_mode(&mut new, FROM);
        if way == "informational" {
            let notify = new.initial_contact();
            let message = new.informational(&[(NOTIFY, notify)]);
            assert!(gateway.receive(FROM.1, true, &message).is_empty());
        }
        if way != "vendor" {
            assert_eq!(gateway.children().len(), 0, "{way}");
        }
        // Windows says it in every Main Mode: there the old goes when the new works.
        gateway.quick_mode(&mut new, FROM.1, &quick(1, 0xa061, PRIVATE, 4));
        assert_eq!(gateway.children().len(), 1, "{way}");
        assert_eq!(gateway.established().len(), 1, "{way}");
    }
}

/// SAs live as long as the client believes: macOS rekeys at 48 minutes of 60.
#[test]
fn r08_nothing_expires_before_the_client_thinks_so() {
    let (mut gateway, mut client) = open(15);
    let pair = gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xa070, PUBLIC, 2));
    gateway.live(Duration::from_secs(2880));
    assert_eq!(gateway.established().len(), 1);
    gateway.assert_pair(&pair);
    let next = gateway.quick_mode(&mut client, FROM.0, &quick(2, 0xa071, PUBLIC, 2));
    gateway.live(Duration::from_secs(650));
    gateway.assert_pair(&pair);
    gateway.live(Duration::from_secs(100));
    assert_eq!(gateway.children().len(), 1, "the old one is over");
    gateway.assert_pair(&next);
}

/// What is longer than the server allows is cut, and the client told by RESPONDER-LIFETIME (RFC 2407
/// 4.6.3.1) in the sixth message and the second of Quick Mode; what is not cut is not spoken of.
#[test]
fn r08_shorter_lifetimes_are_told() {
    const RESPONDER_LIFETIME: u16 = 24_576;
    let told = |list: &[Payload]| -> Vec<Vec<(u16, u64)>> {
        let notes = list.iter().filter(|payload| payload.0 == NOTIFY);
        let lifetimes = notes.filter(|note| note.1[6..8] == RESPONDER_LIFETIME.to_be_bytes());
        lifetimes
            .map(|note| attributes(&note.1[8 + usize::from(note.1[5])..]))
            .collect()
    };
    for (life, cut) in [(Life::Long(u32::MAX), true), (Life::Long(86_400), false)] {
        let sa = phase1_suites(&[SUITE], Order::CipherFirst, life);
        let mut gateway = Gateway::new(policy());
        let mut client = client(Dialect::new(sa, &[RFC_3947], PSK), PUBLIC, 32);
        let mm1 = client.mm1();
        let mm2 = gateway.ask(FROM.0, false, &mm1);
        let mm3 = client.mm3(&mm2);
        let mm4 = gateway.ask(FROM.0, false, &mm3);
        client.read_mm4(&mm4);
        let mm5 = client.mm5();
        let mm6 = gateway.ask(FROM.0, false, &mm5);
        let list = client.read_mm6(&mm5, &mm6);
        // Life type and duration: 11 and 12 in phase 1, 1 and 2 in phase 2.
        let expected = |classes: (u16, u16)| match cut {
            true => vec![vec![(classes.0, 1), (classes.1, 86_400)]],
            false => Vec::new(),
        };
        assert_eq!(told(&list), expected((11, 12)));
        let mut request = quick(1, 0xa072, PUBLIC, 2);
        request.sa = phase2(&[ESP_SHA1], 0xa072, &EspStyle::new(2, life));
        let pair = gateway.quick_mode(&mut client, FROM.0, &request);
        assert_eq!(told(&pair.answer), expected((1, 2)));
        // It holds what it said.
        gateway.live(Duration::from_secs(80_000));
        assert_eq!(gateway.established().len(), 1);
        gateway.live(Duration::from_secs(7000));
        assert_eq!(gateway.established().len(), 0);
    }
}

/// The client renews phase 1 on port 4500 or, as macOS does when that fails, on 500 again; the
/// IPsec SAs stay.
#[test]
fn r09_phase_1_is_renewed_on_either_port() {
    for natt_port in [true, false] {
        let (mut gateway, mut old) = open_behind_nat(16);
        let pair = gateway.quick_mode(&mut old, FROM.1, &quick(1, 0xa080, PRIVATE, 4));
        gateway.live(Duration::from_secs(2880));
        let mut new = client(dialect(), PRIVATE, 17);
        if natt_port {
            new.own.set_port(4500);
            new.server.set_port(4500);
            let mm1 = new.mm1();
            let mm2 = gateway.ask(FROM.1, true, &mm1);
            let mm3 = new.mm3(&mm2);
            let mm4 = gateway.ask(FROM.1, true, &mm3);
            new.read_mm4(&mm4);
            let mm5 = new.mm5();
            let mm6 = gateway.ask(FROM.1, true, &mm5);
            new.read_mm6(&mm5, &mm6);
        } else {
            gateway.main_mode(&mut new, FROM);
        }
        gateway.assert_pair(&pair);
        let next = gateway.quick_mode(&mut new, FROM.1, &quick(1, 0xa081, PRIVATE, 4));
        let children = gateway.children();
        assert_eq!(children.len(), 2, "the old SA still carries traffic");
        assert_eq!(children[0].reqid, children[1].reqid, "it is one client");
        let delete = new.delete_esp(pair.spi_in);
        gateway.receive(FROM.1, true, &delete);
        gateway.assert_pair(&next);
        assert_eq!(gateway.children().len(), 1);
    }
}

/// Windows deletes the old SA right behind the third message of the new one, many times in a row.
#[test]
fn r09_delete_of_the_old_sa_right_after_the_new_one() {
    let (mut gateway, mut client) = open(18);
    let mut old = gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xa090, PUBLIC, 2));
    for n in 2..9 {
        gateway.advance(Duration::from_secs(3));
        let new = gateway.quick_mode(&mut client, FROM.0, &quick(n, 0xa090 + n, PUBLIC, 2));
        gateway.assert_pair(&old);
        let delete = client.delete_esp(old.spi_in);
        gateway.receive(FROM.0, false, &delete);
        gateway.assert_pair(&new);
        assert_eq!(gateway.children().len(), 1);
        assert_eq!(gateway.established().len(), 1);
        old = new;
    }
}

/// Both ends renew at once. Each Quick Mode is served while the other is under way, whichever ends
/// first; both pairs work then, and the client may delete either.
#[test]
fn r09_quick_modes_of_both_ends_at_once() {
    for ours_first in [true, false] {
        for delete_ours in [true, false] {
            let (mut gateway, mut client) = open(19);
            let old = gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xa0a0, PUBLIC, 2));
            let child = gateway.children()[0].id;
            let begun = gateway.rekey_child(child);
            assert_eq!(begun.len(), 1);
            assert_eq!(begun[0].bytes[18], 32, "the server's own Quick Mode");
            let (qm1, under_way) = client.qm1(&quick(2, 0xa0a1, PUBLIC, 2));
            let answer = gateway.ask(FROM.0, false, &qm1);
            let (qm2, answered, theirs) = client.qm2(&begun[0].bytes, 0xa0a2, 32);
            let finish_theirs = |client: &Initiator, gateway: &mut Gateway| {
                let qm3 = gateway.ask(FROM.0, false, &qm2);
                client.read_qm3(&answered, &qm3);
                gateway.assert_pair(&theirs);
            };
            if ours_first {
                finish_theirs(&client, &mut gateway);
            }
            let (qm3, own) = client.qm3(&under_way, &answer);
            assert!(gateway.receive(FROM.0, false, &qm3).is_empty());
            gateway.assert_pair(&own);
            if !ours_first {
                finish_theirs(&client, &mut gateway);
            }
            gateway.assert_pair(&old);
            gateway.assert_pair(&own);
            gateway.assert_pair(&theirs);
            let (gone, stays) = match delete_ours {
                true => (&theirs, &own),
                false => (&own, &theirs),
            };
            for spi in [old.spi_in, gone.spi_in] {
                let delete = client.delete_esp(spi);
                gateway.receive(FROM.0, false, &delete);
            }
            gateway.assert_pair(stays);
            assert_eq!(gateway.children().len(), 1);
            gateway.live(Duration::from_secs(120));
            gateway.assert_pair(stays);
        }
    }
}

/// Two ISAKMP SAs of one client live side by side, and IPsec SAs outlive theirs: Windows deletes
/// the ISAKMP SA by itself.
#[test]
fn r10_ipsec_sas_outlive_their_isakmp_sa() {
    let (mut gateway, mut first) = open(20);
    let pair = gateway.quick_mode(&mut first, FROM.0, &quick(1, 0xa0b0, PUBLIC, 2));
    let mut second = client(dialect(), PUBLIC, 21);
    gateway.main_mode(&mut second, FROM);
    assert_eq!(gateway.established().len(), 2);
    let delete = first.delete_isakmp();
    gateway.receive(FROM.0, false, &delete);
    assert_eq!(gateway.established().len(), 1);
    gateway.assert_pair(&pair);
    gateway.quick_mode(&mut second, FROM.0, &quick(1, 0xa0b1, PUBLIC, 2));
    let delete = second.delete_isakmp();
    gateway.receive(FROM.0, false, &delete);
    assert_eq!(gateway.established().len(), 0);
    assert_eq!(gateway.children().len(), 2, "until they expire");
    gateway.assert_pair(&pair);
}

/// A whole exchange on port 4500 (TunnelForge), from any port (NATs map to 1, 6, 2805), and the
/// float to 4500 with another mapped port in the fifth message.
#[test]
fn r11_exchanges_from_any_port_on_either() {
    for peer in ["198.51.100.7:1", "198.51.100.7:6", "198.51.100.7:64916"] {
        let mut gateway = Gateway::new(policy());
        let mut client = client(dialect(), PRIVATE, 22);
        gateway.main_mode(&mut client, (peer, "198.51.100.7:2805"));
        let pair = gateway.quick_mode(
            &mut client,
            "198.51.100.7:2805",
            &quick(1, 0xa0c0, PRIVATE, 4),
        );
        let sa = &gateway.sas[&(Direction::Outbound, pair.spi_in)];
        assert_eq!(sa.encapsulation.map(|ports| ports.peer_port), Some(2805));
    }
    let mut gateway = Gateway::new(policy());
    let mut dialect = dialect();
    dialect.forged_nat_d = true;
    let mut client = client(dialect, PRIVATE, 23);
    let peer = "198.51.100.7:40123";
    let mm1 = client.mm1();
    let mm2 = gateway.ask(peer, true, &mm1);
    let mm3 = client.mm3(&mm2);
    let mm4 = gateway.ask(peer, true, &mm3);
    client.read_mm4(&mm4);
    let mm5 = client.mm5();
    let mm6 = gateway.ask(peer, true, &mm5);
    client.read_mm6(&mm5, &mm6);
    client.nat = (true, true);
    gateway.quick_mode(&mut client, peer, &quick(1, 0xa0c1, PRIVATE, 4));
}

/// Whatever is sent again is answered with the same octets, and nothing is done twice: all clients
/// retransmit, strongSwan after four seconds.
#[test]
fn r11_repetitions_get_the_same_answer() {
    let mut gateway = Gateway::new(policy());
    let mut client = client(dialect(), PUBLIC, 24);
    let mut ask_twice = |message: &[u8]| {
        let first = gateway.ask(FROM.0, false, message);
        gateway.advance(Duration::from_millis(1200));
        let second = gateway.ask(FROM.0, false, message);
        assert_eq!(first, second);
        first
    };
    let mm1 = client.mm1();
    let mm2 = ask_twice(&mm1);
    let mm3 = client.mm3(&mm2);
    let mm4 = ask_twice(&mm3);
    client.read_mm4(&mm4);
    let mm5 = client.mm5();
    let mm6 = ask_twice(&mm5);
    client.read_mm6(&mm5, &mm6);
    let (qm1, under_way) = client.qm1(&quick(1, 0xa0d0, PUBLIC, 2));
    let qm2 = ask_twice(&qm1);
    let (qm3, pair) = client.qm3(&under_way, &qm2);
    for _ in 0..2 {
        assert!(gateway.receive(FROM.0, false, &qm3).is_empty());
    }
    gateway.assert_pair(&pair);
    assert_eq!(gateway.children().len(), 1);
    assert_eq!(gateway.established().len(), 1);
}

/// Aggressive Mode (a group name set in iOS, Android, ChromeOS) is not spoken: silence for every
/// name, so that there is nothing to test keys on, and a hint for the operator.
#[test]
fn r12_aggressive_mode_is_met_with_silence() {
    for (kind, name) in AGGRESSIVE_NUMBERS {
        let mut gateway = Gateway::new(policy());
        let mut client = client(dialect(), PUBLIC, 25);
        client.dialect.identity = Some((kind, name.to_vec()));
        let am1 = client.aggressive(19);
        assert!(gateway.receive(FROM.0, false, &am1).is_empty());
        assert!(gateway.events.iter().any(|event| matches!(
            event,
            Event::Refused {
                reason: Refusal::AggressiveMode,
                ..
            }
        )));
        assert_eq!(gateway.endpoint.table_entries(), 0);
    }
}

/// Where it is enabled a client that names its group gets on with the group's key, over NAT as well;
/// a group without a key, and one with another key, cannot be told apart, and the keys for everybody
/// serve nobody here.
#[test]
fn r12_aggressive_mode_where_it_is_enabled() {
    let mut policy = policy();
    policy.aggressive = true;
    policy.secrets.push(SecretEntry {
        peer: SecretPeer::Identity(Identification::from_fqdn("vpn.example.org")),
        secret: b"a long random group key"[..].into(),
    });
    let group = (2, b"vpn.example.org".to_vec());
    let stranger = (2, b"nowhere.example.org".to_vec());
    let cases = [
        (group.clone(), &b"a long random group key"[..], true),
        (group, b"another key", false),
        (stranger.clone(), b"a long random group key", false),
        // The key for everybody.
        (stranger, PSK, false),
    ];
    let mut answers = Vec::new();
    for (identity, key, welcome) in cases {
        let mut gateway = Gateway::new(policy.clone());
        let mut dialect = Dialect::new(offer(&[SUITE]), &[RFC_3947], key);
        dialect.identity = Some(identity);
        let mut client = client(dialect, PRIVATE, 33);
        let am1 = client.aggressive(19);
        // AM2 is longer than so short a message, and waits for it to come again.
        assert!(gateway.receive(FROM.0, false, &am1).is_empty());
        let am2 = gateway.ask(FROM.0, false, &am1);
        let (proven, am3) = client.am3(&am2);
        assert_eq!(proven, welcome);
        assert_eq!(client.nat, (false, true));
        let sent = gateway.receive(FROM.1, true, &am3);
        assert_eq!(gateway.established().len(), usize::from(welcome));
        if welcome {
            assert!(sent.is_empty());
            gateway.quick_mode(&mut client, FROM.1, &quick(1, 0xa0d8, PRIVATE, 4));
        } else {
            let kinds: Vec<_> = clear(&am2).iter().map(|p| (p.0, p.1.len())).collect();
            let refusal: Vec<_> = sent.iter().map(|sent| sent.bytes[40..].to_vec()).collect();
            answers.push((kinds, refusal.len(), sent[0].bytes.len()));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

/// AuthIP (Windows tries it first) and unknown exchanges: silence. IKEv2: one notification, and not
/// many.
#[test]
fn r13_other_protocols_on_the_same_port() {
    let mut gateway = Gateway::new(policy());
    let client = client(dialect(), PUBLIC, 26);
    for exchange in [0, 1, 3, 6, 33, 243, 244, 245, 246, 255] {
        let authip = client.message(exchange, 0, 0, 0x85, &[0; 40]);
        assert!(gateway.receive(FROM.0, false, &authip).is_empty());
    }
    let mut ikev2 = client.message(34, 0x08, 0, 33, &[0; 40]);
    ikev2[17] = 0x20;
    let mut answers = 0;
    for _ in 0..500 {
        for sent in gateway.receive(FROM.0, false, &ikev2) {
            assert_eq!(sent.bytes[18], 5);
            assert_eq!(sent.bytes[38..40], [0, 5], "INVALID-MAJOR-VERSION");
            assert!(sent.bytes.len() <= ikev2.len());
            answers += 1;
        }
    }
    assert!((1..=20).contains(&answers), "{answers}");
    assert_eq!(gateway.endpoint.table_entries(), 0);
}

/// SHA-384 and SHA-512 as hash of phase 1, where wrong PRFs have shut Android out elsewhere, with
/// every key length of AES.
#[test]
fn r14_sha384_and_sha512_in_phase_1() {
    for (number, hash) in [
        (SHA256, Hash::Sha256),
        (SHA384, Hash::Sha384),
        (SHA512, Hash::Sha512),
    ] {
        for bits in [128, 256] {
            let mut gateway = Gateway::new(policy());
            let sa = offer(&[(AES, bits, number, 19)]);
            let mut client = client(Dialect::new(sa, &[RFC_3947], PSK), PUBLIC, 27);
            gateway.main_mode(&mut client, FROM);
            assert_eq!(client.suite.map(|suite| suite.1), Some(hash));
            gateway.quick_mode(&mut client, FROM.0, &quick(1, 0xa0e0, PUBLIC, 2));
        }
    }
}

/// ESP with HMAC-SHA-256 has an ICV of 128 bits, or of 96, or what the peer has, when the switch for
/// Android 4.4 to 7.0 is on.
#[test]
fn r14_sha256_in_esp_with_either_icv() {
    for icv in [Sha256Icv::Full, Sha256Icv::Short, Sha256Icv::Detect] {
        let mut policy = policy();
        policy.phase2.sha256_icv = icv;
        let mut gateway = Gateway::new(policy);
        let mut client = client(dialect(), PUBLIC, 28);
        gateway.main_mode(&mut client, FROM);
        let mut request = quick(1, 0xa0f0, PUBLIC, 2);
        let style = EspStyle::new(2, Life::Short(3600));
        request.sa = phase2(&[(12, 256, 5)], 0xa0f0, &style);
        let pair = gateway.quick_mode(&mut client, FROM.0, &request);
        assert_eq!(pair.keys_in.1.len(), 32);
        for key in [
            (Direction::Inbound, pair.spi_out),
            (Direction::Outbound, pair.spi_in),
        ] {
            assert_eq!(gateway.sas[&key].sha256_icv, icv);
        }
        assert_eq!(attributes(&pair.chosen[8..])[0], (6, 256));
        assert_eq!(pair.answer[0].0, HASH);
    }
}

/// Phase and suites of what was refused, as the operator is told.
fn refused_offers(gateway: &Gateway) -> Vec<(u8, &str)> {
    let offers = gateway.events.iter().filter_map(|event| match event {
        Event::OfferRefused { phase, offer, .. } => Some((*phase, offer.as_str())),
        _ => None,
    });
    offers.collect()
}

/// What a peer may need is switched on for its address alone: drafts of NAT traversal, Aggressive
/// Mode, MODP 1024.
#[test]
fn r04_switches_of_one_remote() {
    let old = |change: fn(&mut Remote)| {
        let mut policy = policy();
        let mut remote = policy.remote("old", vec!["198.51.100.7/32".parse().unwrap()]);
        change(&mut remote);
        policy.remotes.push(remote);
        Gateway::new(policy)
    };
    let other = ("198.51.100.8:500", "198.51.100.8:4500");
    // Drafts: not with this one.
    let mut gateway = old(|remote| remote.nat.drafts = false);
    for (from, spoken) in [(FROM, false), (other, true)] {
        let mut dialect = Dialect::new(offer(&[SUITE]), &[NATT_02_N], PSK);
        dialect.nat_d = Some(NAT_D_DRAFT);
        let mut client = client(dialect, PRIVATE, 30);
        let mm1 = client.mm1();
        let mm2 = gateway.ask(from.0, false, &mm1);
        let answered = clear(&mm2).iter().any(|payload| payload.1 == NATT_02_N);
        assert_eq!(answered, spoken);
    }
    // MODP 1024: with this one only, and the refusal of others names what it was and the switch.
    let mut gateway = old(|remote| remote.phase1.allow_modp1024 = true);
    for (from, taken) in [(FROM, true), (other, false)] {
        let dialect = Dialect::new(offer(&[(AES, 128, SHA1, 2)]), &[RFC_3947], PSK);
        let mm1 = client(dialect, PUBLIC, 31).mm1();
        let mm2 = gateway.ask(from.0, false, &mm1);
        assert_eq!(mm2[18] == 2, taken, "Main Mode goes on");
    }
    let refused = gateway.events.iter().find_map(|event| match event {
        Event::Refused { reason, .. } => Some(*reason),
        _ => None,
    });
    let reason = refused.unwrap();
    assert!(reason.to_string().contains("MODP 1024"));
    assert!(reason.remedy().unwrap().contains("allow_modp1024"));
    assert_eq!(
        refused_offers(&gateway),
        [(1, "aes128/sha1/modp1024 (psk)")]
    );
    // 3DES in phase 2, and a cipher without a name.
    let (mut gateway, mut client) = open(34);
    let mut request = quick(1, 0xa0f8, PUBLIC, 2);
    let style = EspStyle::new(2, Life::Short(3600));
    request.sa = phase2(&[(3, 0, 2), (3, 0, 5), (99, 0, 2)], 0xa0f8, &style);
    let (qm1, _) = client.qm1(&request);
    gateway.receive(FROM.0, false, &qm1);
    let offers = refused_offers(&gateway);
    let [(2, offer)] = offers[..] else {
        panic!("{offers:?}")
    };
    let known: Vec<_> = offer.split(", ").collect();
    assert_eq!(known.len(), 3, "{offer}");
    assert!(
        known[0].contains("3des") && known[2].contains("99"),
        "{offer}"
    );
}

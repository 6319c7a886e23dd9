//! Fragments nobody honest sends, and those honest peers repeat, lose and reorder: CVE-2016-10396
//! and its follow-up (NetBSD PR bin/53646), CVE-2009-1574, CVE-2013-6076, racoon's empty chains.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::time::Duration;

use ike_proto::iana::PayloadType;
use ike_proto::policy::Fragmentation;
use ike_proto::wire::fragment::Fragment;
use ike_proto::wire::header::Header;
use pair::{Packet, World, quick_policy};
use proptest::prelude::*;

/// A server that has sent MM2, and the client's MM3, which has not arrived.
struct Waiting {
    world: World,
    mm3: Packet,
}

impl Waiting {
    fn new() -> Self {
        let mut world = World::pair(11);
        world.initiate(1);
        world.run(Duration::from_millis(25));
        world.hosts[0].off = true;
        world.run(Duration::from_millis(10));
        world.hosts[0].off = false;
        let mm3 = world.wire.last().unwrap().clone();
        let (header, _) = Header::parse(&mm3.payload).unwrap();
        assert_eq!(header.next_payload, PayloadType::KE);
        assert_eq!(world.hosts[0].sent.len(), 1);
        Self { world, mm3 }
    }

    fn header(&self) -> Header {
        Header::parse(&self.mm3.payload).unwrap().0
    }

    /// MM3 in so many pieces.
    fn cut(&self, id: u16, count: usize) -> Vec<Vec<u8>> {
        cut(&self.mm3.payload, id, count)
    }

    /// Gives the server a datagram of the client; returns how many it sends back.
    fn give(&mut self, payload: &[u8]) -> usize {
        let before = self.world.hosts[0].sent.len();
        let packet = Packet {
            payload: payload.to_vec(),
            ..self.mm3.clone()
        };
        self.world.deliver_to(0, packet);
        self.world.hosts[0].sent.len() - before
    }

    fn give_all(&mut self, payloads: &[Vec<u8>]) -> usize {
        payloads.iter().map(|payload| self.give(payload)).sum()
    }

    fn fragment(&self, id: u16, number: u8, last: bool, data: &[u8]) -> Vec<u8> {
        let fragment = Fragment {
            id,
            number,
            last,
            data,
        };
        fragment.emit(&self.header())
    }

    fn dropped(&self) -> u64 {
        self.world.hosts[0].endpoint.counters().fragments_dropped
    }

    fn reassembled(&self) -> u64 {
        self.world.hosts[0].endpoint.counters().messages_reassembled
    }
}

fn cut(message: &[u8], id: u16, count: usize) -> Vec<Vec<u8>> {
    let (header, _) = Header::parse(message).unwrap();
    let size = message.len().div_ceil(count);
    let pieces: Vec<&[u8]> = message.chunks(size).collect();
    assert_eq!(pieces.len(), count);
    (1..)
        .zip(&pieces)
        .map(|(number, data)| {
            let fragment = Fragment {
                id,
                number,
                last: usize::from(number) == count,
                data,
            };
            fragment.emit(&header)
        })
        .collect()
}

#[test]
fn in_every_order() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut server = Waiting::new();
        let pieces = server.cut(1, 3);
        let answers = order.map(|index| server.give(&pieces[index]));
        assert_eq!(answers, [0, 0, 1], "{order:?}");
    }
}

#[test]
fn one_fragment_is_a_message() {
    let mut server = Waiting::new();
    let pieces = server.cut(1, 1);
    assert_eq!(server.give_all(&pieces), 1);
}

#[test]
fn duplicates_change_nothing() {
    let mut server = Waiting::new();
    let pieces = server.cut(1, 3);
    for piece in [0, 0, 2, 2, 0, 2] {
        assert_eq!(server.give(&pieces[piece]), 0);
    }
    assert_eq!(server.give(&pieces[1]), 1);
}

/// NetBSD PR bin/53646: the last fragment comes again after the message was complete.
#[test]
fn a_late_last_fragment_does_not_spoil_the_next_message() {
    let mut server = Waiting::new();
    let pieces = server.cut(1, 3);
    assert_eq!(server.give_all(&pieces), 1);
    assert_eq!(server.give(&pieces[2]), 0);
    // The next message has the same id and fewer fragments, or more.
    let mm4 = server.world.hosts[0].sent.last().unwrap().clone();
    let packet = Packet {
        from: mm4.local,
        to: mm4.peer,
        payload: mm4.bytes,
    };
    server.world.hosts[0].off = true;
    server.world.deliver_to(1, packet);
    server.world.hosts[0].off = false;
    let mm5 = server.world.hosts[1].sent.last().unwrap().bytes.clone();
    let pieces = cut(&mm5, 1, 2);
    assert_eq!(server.give_all(&pieces), 1);
    assert_eq!(server.world.established(0).len(), 1);
}

/// A repetition of the whole message is answered once, whatever the number of its fragments.
#[test]
fn repeated_requests_get_one_answer() {
    let mut server = Waiting::new();
    let pieces = server.cut(1, 3);
    assert_eq!(server.give_all(&pieces), 1);
    let answer = server.world.hosts[0].sent.last().unwrap().clone();
    for order in [[0, 1, 2], [2, 1, 0]] {
        let answers = order.map(|index| server.give(&pieces[index]));
        assert_eq!(answers, [0, 0, 1]);
        assert_eq!(*server.world.hosts[0].sent.last().unwrap(), answer);
    }
    // Under another id, or in one piece: still the same request.
    let other = server.cut(7, 2);
    assert_eq!(server.give_all(&other), 1);
    let whole = server.mm3.payload.clone();
    assert_eq!(server.give(&whole), 1);
    assert_eq!(server.world.established(0).len(), 0);
    assert_eq!(
        server.world.hosts[0]
            .endpoint
            .ike_sas(server.world.now)
            .len(),
        1
    );
}

#[test]
fn a_message_of_fewer_fragments_takes_over() {
    let mut server = Waiting::new();
    let long = server.cut(1, 5);
    assert_eq!(server.give(&long[4]) + server.give(&long[3]), 0);
    let short = server.cut(1, 2);
    assert_eq!(server.give_all(&short), 1);
}

#[test]
fn a_message_of_more_fragments_takes_over() {
    let mut server = Waiting::new();
    let short = server.cut(1, 2);
    assert_eq!(server.give(&short[1]), 0);
    let long = server.cut(1, 4);
    // Number 3 lies beyond the last one known, which begins the message afresh; the client
    // repeats what was lost by that.
    for piece in &long {
        server.give(piece);
    }
    server.give_all(&long);
    assert!(server.world.hosts[0].sent.len() >= 2);
}

#[test]
fn two_ids_do_not_disturb_each_other() {
    let mut server = Waiting::new();
    let pieces = server.cut(1, 2);
    let noise = server.fragment(2, 1, false, &[0; 100]);
    assert_eq!(server.give(&pieces[0]), 0);
    assert_eq!(server.give(&noise), 0);
    assert_eq!(server.give(&pieces[1]), 1);
}

/// CVE-2009-1574, CVE-2013-6076, racoon's empty chain: each is thrown away and counted.
#[test]
fn malformed_fragments() {
    let mut server = Waiting::new();
    let header = Header {
        next_payload: PayloadType::FRAGMENT,
        ..server.header()
    };
    let bodies: &[&[u8]] = &[
        &[],
        &[0],
        &[0, 0, 0, 4],
        &[0, 0, 0, 8, 0, 1, 1],
        // No data.
        &[0, 0, 0, 8, 0, 1, 1, 1],
        // Number zero.
        &[0, 0, 0, 9, 0, 1, 0, 1, 0xaa],
        // Lengths that lie.
        &[0, 0, 0, 0, 0, 1, 1, 1, 0xaa],
        &[0, 0, 0, 8, 0, 1, 1, 1, 0xaa],
        &[0, 0, 0, 10, 0, 1, 1, 1, 0xaa],
        &[0, 0, 0xff, 0xff, 0, 1, 1, 1, 0xaa],
        // Beyond the limit of fragments.
        &[0, 0, 0, 9, 0, 1, 65, 0, 0xaa],
        &[0, 0, 0, 9, 0, 1, 255, 1, 0xaa],
    ];
    for body in bodies {
        let before = server.dropped();
        assert_eq!(server.give(&header.emit(body)), 0, "{body:?}");
        assert_eq!(server.dropped(), before + 1, "{body:?}");
    }
    assert_eq!(server.reassembled(), 0);
    // The exchange goes on.
    let pieces = server.cut(1, 3);
    assert_eq!(server.give_all(&pieces), 1);
}

/// What is put together is looked at like any datagram: never a fragment, never another SA's.
#[test]
fn what_is_inside_is_checked() {
    let mut server = Waiting::new();
    let nested = server.cut(1, 2).remove(0);
    let mut other = server.mm3.payload.clone();
    other[0] ^= 1;
    let mut version = server.mm3.payload.clone();
    version[17] = 0x20;
    for inside in [nested, other, version, vec![0; 27], vec![0xff; 400]] {
        let fragment = server.fragment(9, 1, true, &inside);
        let before = server.reassembled();
        assert_eq!(server.give(&fragment), 0);
        assert_eq!(server.reassembled(), before + 1);
    }
    assert_eq!(server.world.hosts[0].endpoint.counters().malformed, 5);
}

/// CVE-2016-10396: ten thousand ids, and as many octets as fit into fragments.
#[test]
fn floods_are_bounded() {
    let mut server = Waiting::new();
    let empty = server.world.hosts[0].endpoint.table_entries();
    for id in 0..10_000 {
        let fragment = server.fragment(id, 2, false, &[0; 8]);
        assert_eq!(server.give(&fragment), 0);
    }
    // One entry and one timer, whatever it holds.
    let entries = server.world.hosts[0].endpoint.table_entries();
    assert_eq!(entries, empty + 2);
    for round in 0..10 {
        for number in 1..=64 {
            let fragment = server.fragment(round, number, false, &[round as u8; 1400]);
            assert_eq!(server.give(&fragment), 0);
        }
    }
    // 16 KiB hold eleven of them: every twelfth is one too many.
    assert!(server.dropped() >= 50, "{}", server.dropped());
    let pieces = server.cut(20_000, 3);
    assert_eq!(server.give_all(&pieces), 1);
    // Forgotten with time.
    server.world.hosts[1].off = true;
    server.world.run_secs(60);
    server.world.assert_empty(0);
}

#[test]
fn strangers_are_not_kept() {
    let mut server = Waiting::new();
    let before = server.world.hosts[0].endpoint.table_entries();
    for cookie in 0..200u8 {
        let header = Header {
            responder_cookie: [cookie; 8],
            ..server.header()
        };
        let fragment = Fragment {
            id: 1,
            number: 1,
            last: false,
            data: &[0; 64],
        };
        assert_eq!(server.give(&fragment.emit(&header)), 0);
    }
    assert_eq!(server.world.hosts[0].endpoint.table_entries(), before);
    assert_eq!(server.dropped(), 200);
}

/// Even taken from everybody, fragments are bounded by source and in total, the oldest gives way.
#[test]
fn forced_fragments_are_bounded() {
    let mut world = World::new(3);
    let mut policy = quick_policy();
    policy.fragmentation.mode = Fragmentation::Force;
    policy.fragmentation.exchanges_per_source = 4;
    policy.fragmentation.exchanges = 40;
    world.add(pair::SERVER, policy);
    for source in 0..50u8 {
        for cookie in 1..20u8 {
            let header = Header {
                initiator_cookie: [cookie; 8],
                responder_cookie: [0; 8],
                next_payload: PayloadType::SA,
                exchange: ike_proto::iana::ExchangeType::MAIN_MODE,
                flags: 0,
                message_id: 0,
            };
            let fragment = Fragment {
                id: 1,
                number: 1,
                last: false,
                data: &[0; 64],
            };
            let packet = Packet {
                from: format!("198.51.100.{source}:500").parse().unwrap(),
                to: format!("{}:500", pair::SERVER).parse().unwrap(),
                payload: fragment.emit(&header),
            };
            world.deliver_to(0, packet);
            let most = 1 + 40.min(4 * (usize::from(source) + 1));
            assert!(world.hosts[0].endpoint.table_entries() <= most);
        }
    }
    assert!(world.hosts[0].sent.is_empty());
    world.run_secs(31);
    world.assert_empty(0);
}

#[test]
fn unfinished_messages_have_their_time() {
    let mut server = Waiting::new();
    let pieces = server.cut(1, 3);
    assert_eq!(server.give(&pieces[0]) + server.give(&pieces[1]), 0);
    server.world.hosts[1].off = true;
    server.world.run_secs(31);
    assert_eq!(server.give(&pieces[2]), 0);
    assert_eq!(server.reassembled(), 0);
}

#[test]
fn turned_off_while_messages_are_under_way() {
    let mut server = Waiting::new();
    let pieces = server.cut(1, 2);
    assert_eq!(server.give(&pieces[0]), 0);
    let mut policy = quick_policy();
    policy.fragmentation.mode = Fragmentation::Off;
    server.world.hosts[0].endpoint.set_policy(policy);
    assert_eq!(server.give(&pieces[1]), 0);
    let whole = server.mm3.payload.clone();
    assert_eq!(server.give(&whole), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any sequence of fragments: no panic, no answer unless it makes MM3, bounded tables.
    #[test]
    fn any_fragments(
        pieces in prop::collection::vec(
            (0u16..3, 0u8..6, any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)),
            0..60,
        )
    ) {
        let mut server = Waiting::new();
        for (id, number, last, data) in &pieces {
            let fragment = server.fragment(*id, *number, *last, data);
            prop_assert_eq!(server.give(&fragment), 0);
        }
        // Whatever came before, the client's repetitions get through.
        let pieces = server.cut(1, 3);
        let answers: usize = (0..3).map(|_| server.give_all(&pieces)).sum();
        prop_assert!(answers >= 1);
    }

    /// Any order with any repetition completes as soon as everything has come.
    #[test]
    fn any_order(order in prop::collection::vec(0usize..5, 5..40)) {
        let mut server = Waiting::new();
        let pieces = server.cut(1, 5);
        let mut missing: std::collections::BTreeSet<usize> = (0..5).collect();
        for index in order {
            let answers = server.give(&pieces[index]);
            if missing.remove(&index) && missing.is_empty() {
                prop_assert_eq!(answers, 1);
                break;
            }
            prop_assert_eq!(answers, 0);
        }
    }

    #[test]
    fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(fragment) = Fragment::parse(&bytes) {
            prop_assert!(fragment.number > 0);
            prop_assert!(!fragment.data.is_empty());
        }
    }
}

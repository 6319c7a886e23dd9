//! PF_KEY requests and replies, with the numbers and errors of FreeBSD 14.

use pfkey::client::SaMove;
use pfkey::*;
use proptest::prelude::*;
use softkernel::ipsec::{Config, Ipsec};

use crate::machine::{Machine, PID, START, ip, nat_t, sa, selector};

const ENOENT: u8 = 2;
const ESRCH: u8 = 3;
const EEXIST: u8 = 17;
const EINVAL: u8 = 22;

fn getspi(machine: &mut Machine) -> u32 {
    let like = sa(0);
    let request = machine.client.getspi(
        SaType::ESP,
        Mode::TRANSPORT,
        like.reqid,
        like.source,
        like.destination,
        None,
    );
    match machine.ask(request) {
        Ok(Reply::Spi(spi)) => spi,
        other => panic!("{other:?}"),
    }
}

#[test]
fn register_tells_the_algorithms_once() {
    let mut machine = Machine::new();
    let request = machine.client.register(SaType::ESP);
    let Ok(Reply::Registered {
        authentication,
        encryption,
    }) = machine.ask(request)
    else {
        panic!("refused");
    };
    let ids = |list: &[Algorithm]| list.iter().map(|a| a.id).collect::<Vec<_>>();
    // The last two are ours alone.
    assert_eq!(ids(&authentication), [3, 5, 6, 7, 240, 241]);
    assert_eq!(ids(&encryption), [3, 12, 20]);
    let gcm = encryption.iter().find(|a| a.id == 20).unwrap();
    assert_eq!((gcm.min_bits, gcm.max_bits), (160, 288));
    let again = machine.client.register(SaType::ESP);
    assert_eq!(machine.ask(again), Err(EEXIST));
}

#[test]
fn getspi_makes_a_larval_sa_and_update_completes_it() {
    let mut machine = Machine::new();
    let spi = getspi(&mut machine);
    assert!((0x100..=0x0fff_ffff).contains(&spi));
    let entry = machine.dump().pop().unwrap();
    assert_eq!(entry.sa().unwrap().state, SaState::LARVAL);
    assert!(entry.key_encryption().is_none());

    let update = machine.client.update(&sa(spi));
    machine.ask(update).unwrap();
    let entry = machine.shown(&sa(spi));
    assert_eq!(entry.sa().unwrap().state, SaState::MATURE);
    assert_eq!(
        entry.sa2(),
        Some(&Sa2 {
            mode: Mode::TRANSPORT,
            sequence: 0,
            reqid: 12
        })
    );
    assert_eq!(entry.key_encryption(), Some(&sa(spi).encryption_key));
    // A second UPDATE with keys is refused: those of a mature SA cannot be changed.
    let update = machine.client.update(&sa(spi));
    assert_eq!(machine.ask(update), Err(EINVAL));
}

#[test]
fn update_is_for_the_pid_that_did_getspi_and_the_same_addresses() {
    let mut machine = Machine::new();
    let spi = getspi(&mut machine);
    let mut foreign = Client::new(Numbering::FreeBsd, PID + 1);
    let request = foreign.update(&sa(spi));
    machine.write(machine.socket, &request.bytes);
    assert_eq!(machine.messages()[0].1.errno, EINVAL);
    let elsewhere = SaRequest {
        source: ip("203.0.113.5"),
        ..sa(spi)
    };
    let request = machine.client.update(&elsewhere);
    assert_eq!(machine.ask(request), Err(ESRCH));
    let request = machine.client.update(&SaRequest {
        reqid: 13,
        ..sa(spi)
    });
    assert_eq!(machine.ask(request), Err(ESRCH));
    let request = machine.client.update(&sa(spi ^ 1));
    assert_eq!(machine.ask(request), Err(EINVAL), "no such SPI");
    let request = machine.client.update(&sa(spi));
    assert!(machine.ask(request).is_ok());
}

#[test]
fn getspi_honours_its_range_and_runs_out() {
    let mut machine = Machine::new();
    let like = sa(0);
    let mut range = |min, max| {
        let request = machine.client.getspi(
            SaType::ESP,
            Mode::TRANSPORT,
            0,
            like.source,
            like.destination,
            Some(SpiRange { min, max }),
        );
        machine.ask(request)
    };
    assert_eq!(range(5000, 5000), Ok(Reply::Spi(5000)));
    assert_eq!(range(5000, 5000), Err(EEXIST));
    assert_eq!(range(10, 20), Err(EINVAL), "reserved");
    assert_eq!(range(6001, 6000), Err(EINVAL));
    assert!(matches!(range(0, u32::MAX), Ok(Reply::Spi(256..))));
}

#[test]
fn a_duplicate_spi_is_eexist_and_the_request_is_echoed_keys_and_all() {
    let mut machine = Machine::new();
    machine.add(&sa(1000)).unwrap();
    let request = machine.client.add(&sa(1000));
    machine.write(machine.socket, &request.bytes);
    let replies = machine.read_all();
    assert_eq!(replies.len(), 1);
    let mut expected = request.bytes.to_vec();
    expected[2] = EEXIST;
    assert_eq!(replies[0].1, expected);
}

#[test]
fn bad_algorithms_and_keys_are_einval() {
    let mut machine = Machine::new();
    let base = || sa(1000);
    let bad = [
        SaRequest {
            encryption: EncryptionAlgorithm(2),
            ..base()
        },
        SaRequest {
            encryption: EncryptionAlgorithm::NULL,
            ..base()
        },
        SaRequest {
            encryption_key: Key::new(&[1; 15]),
            ..base()
        },
        SaRequest {
            authentication: AuthenticationAlgorithm(2),
            ..base()
        },
        SaRequest {
            authentication_key: None,
            ..base()
        },
        SaRequest {
            authentication_key: Some(Key::new(&[1; 16])),
            ..base()
        },
        SaRequest {
            encryption: EncryptionAlgorithm::AES_GCM_16,
            ..base()
        },
        SaRequest { spi: 255, ..base() },
    ];
    for request in bad {
        assert_eq!(machine.add(&request), Err(EINVAL), "{request:?}");
    }
    assert_eq!(machine.ipsec.sa_count(), 0);
    // What FreeBSD 14 no longer has.
    let triple_des = SaRequest {
        encryption: EncryptionAlgorithm::TRIPLE_DES_CBC,
        encryption_key: Key::new(&[7; 24]),
        ..base()
    };
    assert!(machine.add(&triple_des).is_ok());
}

#[test]
fn the_reply_to_add_goes_to_everybody_and_has_no_keys() {
    let mut machine = Machine::new();
    let other = machine.ipsec.open_socket();
    let request = machine.client.add(&sa(1000));
    machine.write(machine.socket, &request.bytes);
    let replies = machine.messages();
    assert_eq!(
        replies.iter().map(|(to, _)| *to).collect::<Vec<_>>(),
        [machine.socket, other]
    );
    for (_, reply) in replies {
        assert_eq!(
            (reply.kind, reply.errno, reply.pid),
            (MessageType::ADD, 0, PID)
        );
        assert!(reply.key_encryption().is_none() && reply.key_authentication().is_none());
        let kinds: Vec<_> = reply.extensions.iter().map(Extension::kind).collect();
        use ExtensionKind as K;
        assert_eq!(
            kinds,
            [K::Sa, K::Sa2, K::AddressSource, K::AddressDestination]
        );
    }
}

#[test]
fn an_empty_dump_is_enoent_and_a_full_one_counts_down() {
    let mut machine = Machine::new();
    let request = machine.client.dump(SaType::ESP).unwrap();
    machine.write(machine.socket, &request.bytes);
    assert_eq!(machine.messages()[0].1.errno, ENOENT);
    machine.client.reset();
    for spi in [3000, 1000, 2000] {
        machine.add(&sa(spi)).unwrap();
    }
    let other = machine.ipsec.open_socket();
    let entries = machine.dump();
    let numbers: Vec<_> = entries
        .iter()
        .map(|e| (e.sa().unwrap().spi, e.sequence))
        .collect();
    assert_eq!(numbers, [(3000, 2), (1000, 1), (2000, 0)]);
    assert!(machine.messages().iter().all(|(to, _)| *to != other));
    // Other SA types have none.
    let request = machine.client.dump(SaType::AH).unwrap();
    assert_eq!(machine.ask(request), Ok(Reply::Dump(vec![])));
}

#[test]
fn a_dump_entry_is_what_setkey_shows() {
    let mut machine = Machine::new();
    let lifetime = |add_time| Lifetime {
        add_time,
        ..Lifetime::default()
    };
    let request = SaRequest {
        nat_t: nat_t(31044, 4500),
        lifetimes: Some((lifetime(3600), lifetime(2880))),
        encryption_key: Key::new(&[0x11; 16]),
        ..sa(0xcabb_4141)
    };
    machine.add(&request).unwrap();
    let entry = machine.shown(&request);
    let text = setkey::sa(&entry, START + 5, &jiff_utc());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "203.0.113.4[31044] 198.51.100.9[4500]");
    assert_eq!(
        lines[1],
        "\tesp-udp mode=transport spi=3401269569(0xcabb4141) reqid=12(0x0000000c)"
    );
    assert_eq!(
        lines[2],
        "\tE: aes-cbc  11111111 11111111 11111111 11111111"
    );
    assert_eq!(
        lines[4],
        "\tseq=0x00000000 replay=8 flags=0x00000000 state=mature "
    );
    assert_eq!(lines[6], "\tdiff: 5(s)\thard: 3600(s)\tsoft: 2880(s)");
    assert!(lines[10].starts_with("\tsadb_seq=") && lines[10].ends_with("refcnt=1"));
}

fn jiff_utc() -> pfkey::setkey::TimeZone {
    pfkey::setkey::TimeZone::UTC
}

#[test]
fn delete_takes_one_or_all_between_two_hosts() {
    let mut machine = Machine::new();
    for spi in [1000, 1001] {
        machine.add(&sa(spi)).unwrap();
    }
    machine
        .add(&SaRequest {
            destination: ip("198.51.100.10"),
            ..sa(1002)
        })
        .unwrap();
    let wrong = SaRequest {
        destination: ip("198.51.100.10"),
        ..sa(1000)
    };
    assert_eq!(machine.delete(&wrong), Err(ESRCH));
    assert!(machine.delete(&sa(1000)).is_ok());
    assert_eq!(machine.delete(&sa(1000)), Err(ESRCH));
    let request = machine.client.get(&selector(&sa(1000)));
    assert_eq!(machine.ask(request), Err(ESRCH));

    let larval = getspi(&mut machine);
    let all = Message::new(MessageType::DELETE, SaType::ESP, 0, 0)
        .with(Extension::AddressSource(Address::host(sa(0).source)))
        .with(Extension::AddressDestination(Address::host(
            sa(0).destination,
        )));
    machine.ask_message(all).unwrap();
    let left: Vec<_> = machine.dump().iter().map(|e| e.sa().unwrap().spi).collect();
    assert_eq!(left, [1002, larval]);
}

#[test]
fn flush_by_type() {
    let mut machine = Machine::new();
    machine.add(&sa(1000)).unwrap();
    let request = machine.client.flush(SaType::AH);
    machine.ask(request).unwrap();
    assert_eq!(machine.ipsec.sa_count(), 1);
    let request = machine.client.flush(SaType::UNSPEC);
    machine.ask(request).unwrap();
    assert_eq!(machine.ipsec.sa_count(), 0);
    assert_eq!(machine.ipsec.next_timeout(), None);
}

#[test]
fn nat_t_needs_all_three_and_its_own_type() {
    let mut machine = Machine::new();
    machine
        .add(&SaRequest {
            nat_t: nat_t(31044, 4500),
            ..sa(1000)
        })
        .unwrap();
    let shown = machine.shown(&sa(1000));
    assert_eq!(shown.nat_t_type(), Some(&2));
    assert_eq!(shown.nat_t_source_port(), Some(&31044));
    assert_eq!(shown.nat_t_destination_port(), Some(&4500));
    assert_eq!(
        machine.add(&SaRequest {
            nat_t: nat_t(0, 4500),
            ..sa(1001)
        }),
        Err(EINVAL)
    );
    let request = machine.client.add(&SaRequest {
        nat_t: nat_t(1, 4500),
        ..sa(1002)
    });
    let mut message = Message::parse(&request.bytes, Numbering::FreeBsd).unwrap();
    for extension in &mut message.extensions {
        if let Extension::NatTType(kind) = extension {
            *kind = 1;
        }
    }
    assert_eq!(
        machine.ask_message(message.clone()),
        Err(EINVAL),
        "the drafts' kind is gone"
    );
    message
        .extensions
        .retain(|e| e.kind() != ExtensionKind::NatTType);
    machine.ask_message(message).unwrap();
    assert_eq!(
        machine.shown(&sa(1002)).nat_t_type(),
        None,
        "ports alone mean nothing"
    );
}

#[test]
fn original_addresses_are_kept_when_they_differ() {
    let mut machine = Machine::new();
    let mut nat_t = nat_t(31044, 4500);
    if let Some(nat_t) = &mut nat_t {
        nat_t.original_initiator = Some(ip("10.0.0.2"));
        nat_t.original_responder = Some(sa(0).destination);
    }
    machine.add(&SaRequest { nat_t, ..sa(1000) }).unwrap();
    let shown = machine.shown(&sa(1000));
    assert_eq!(
        shown.nat_t_original_initiator().unwrap().ip(),
        ip("10.0.0.2")
    );
    assert_eq!(shown.nat_t_original_responder(), None);
}

#[test]
fn a_wide_replay_window_shows_as_its_own_extension() {
    let mut machine = Machine::new();
    machine
        .add(&SaRequest {
            replay_window: 4090,
            ..sa(1000)
        })
        .unwrap();
    let shown = machine.shown(&sa(1000));
    assert_eq!(shown.sa().unwrap().replay, 255);
    assert_eq!(shown.sa_replay(), Some(&4096), "in whole bytes");
    machine
        .add(&SaRequest {
            replay_window: 32,
            ..sa(1001)
        })
        .unwrap();
    let shown = machine.shown(&sa(1001));
    assert_eq!((shown.sa().unwrap().replay, shown.sa_replay()), (4, None));
    let huge = SaRequest {
        replay_window: u32::MAX,
        ..sa(1002)
    };
    assert!(machine.add(&huge).is_err());
}

fn moved(nat_t: Option<pfkey::client::NatT>, new_source: Option<&str>) -> SaMove {
    let sa = sa(1000);
    SaMove {
        sa_type: SaType::ESP,
        spi: sa.spi,
        mode: sa.mode,
        reqid: sa.reqid,
        source: sa.source,
        destination: sa.destination,
        new_source: new_source.map(ip),
        new_destination: None,
        nat_t,
    }
}

#[test]
fn a_mature_sa_follows_its_peer() {
    let mut machine = Machine::new();
    machine
        .add(&SaRequest {
            nat_t: nat_t(31044, 4500),
            ..sa(1000)
        })
        .unwrap();
    // An encapsulated SA must be told its encapsulation again.
    let request = machine.client.update_addresses(&moved(None, None));
    assert_eq!(machine.ask(request), Err(EINVAL));
    let request = machine
        .client
        .update_addresses(&moved(nat_t(555, 4500), Some("203.0.113.77")));
    machine.ask(request).unwrap();
    let new = SaRequest {
        source: ip("203.0.113.77"),
        ..sa(1000)
    };
    let shown = machine.shown(&new);
    assert_eq!(shown.nat_t_source_port(), Some(&555));
    assert_eq!(shown.key_encryption(), Some(&new.encryption_key));
}

#[test]
fn lifetimes_come_in_pairs() {
    let mut machine = Machine::new();
    let request = machine.client.add(&sa(1000));
    let message = Message::parse(&request.bytes, Numbering::FreeBsd).unwrap();
    let half = message.with(Extension::LifetimeHard(Lifetime::default()));
    assert_eq!(machine.ask_message(half), Err(EINVAL));
}

#[test]
fn sa_types_and_requests_that_do_not_go_together() {
    let mut machine = Machine::new();
    let mut errno = |kind, sa_type| {
        let message = Message::new(kind, SaType(sa_type), 1, PID);
        machine.write(machine.socket, &message.emit(Numbering::FreeBsd));
        machine.messages().pop().map(|(_, reply)| reply.errno)
    };
    assert_eq!(errno(MessageType::GETSPI, 0), Some(EINVAL));
    assert_eq!(errno(MessageType::X_SPDADD, 3), Some(EINVAL));
    assert_eq!(errno(MessageType::X_SPDDUMP, 3), Some(EINVAL), "no scope");
    assert_eq!(errno(MessageType::X_SPDDUMP, 1), Some(ENOENT));
    assert_eq!(errno(MessageType::FLUSH, 6), Some(libc::EOPNOTSUPP as u8));
    assert_eq!(errno(MessageType::FLUSH, 77), Some(EINVAL));
    assert_eq!(errno(MessageType::EXPIRE, 3), Some(libc::EOPNOTSUPP as u8));
    assert_eq!(errno(MessageType::X_NEW_MAPPING, 3), Some(EINVAL));
    assert_eq!(errno(MessageType::REGISTER, 0), Some(0));
}

#[test]
fn unknown_and_duplicate_extensions_are_einval() {
    let mut machine = Machine::new();
    let request = machine.client.add(&sa(1000));
    let message = Message::parse(&request.bytes, Numbering::FreeBsd).unwrap();
    let unknown = Extension::Other {
        number: 99,
        body: vec![0; 4].into(),
    };
    assert_eq!(
        machine.ask_message(message.clone().with(unknown)),
        Err(EINVAL)
    );
    let twice = Extension::Sa2(Sa2::default());
    assert_eq!(machine.ask_message(message.with(twice)), Err(EINVAL));
}

#[test]
fn promiscuous_sockets_hear_everything_twice() {
    let mut machine = Machine::new();
    let spy = machine.ipsec.open_socket();
    let on = Message::new(MessageType::X_PROMISC, SaType(1), 0, 7);
    machine.write(spy, &on.emit(Numbering::FreeBsd));
    machine.read_all();
    // A GETSPI's reply is for its sender alone.
    let like = sa(0);
    let request = machine.client.getspi(
        SaType::ESP,
        Mode::ANY,
        0,
        like.source,
        like.destination,
        None,
    );
    machine.write(machine.socket, &request.bytes);
    let heard: Vec<_> = machine.read_all();
    let to_spy: Vec<_> = heard.iter().filter(|(to, _)| *to == spy).collect();
    assert_eq!(to_spy.len(), 1);
    let bytes = &to_spy[0].1;
    assert_eq!(bytes[1], MessageType::X_PROMISC.0);
    assert_eq!(
        usize::from(u16::from_ne_bytes([bytes[4], bytes[5]])) * 8,
        bytes.len()
    );
    let inner = Message::parse(&bytes[16..], Numbering::FreeBsd).unwrap();
    assert_eq!(inner.kind, MessageType::GETSPI);
}

#[test]
fn a_closed_socket_hears_nothing_and_its_sas_stay() {
    let mut machine = Machine::new();
    machine.add(&sa(1000)).unwrap();
    let request = machine.client.flush(SaType::AH);
    machine.write(machine.socket, &request.bytes);
    machine.ipsec.close_socket(machine.socket);
    assert_eq!(machine.read_all().len(), 0);
    assert_eq!(machine.ipsec.sa_count(), 1);
}

#[test]
fn everything_is_bounded() {
    let config = Config {
        max_sas: 2,
        max_policies: 0,
        max_queued_messages: 3,
        ..Config::default()
    };
    let mut machine = Machine::with_config(config);
    machine.add(&sa(1000)).unwrap();
    machine.add(&sa(1001)).unwrap();
    assert_eq!(machine.add(&sa(1002)), Err(libc::ENOBUFS as u8));
    let request = machine.client.flush(SaType::AH);
    for _ in 0..5 {
        machine.write(machine.socket, &request.bytes);
    }
    assert_eq!(machine.read_all().len(), 3);
    assert_eq!(machine.ipsec.counters().messages_lost, 2);
    let long = vec![2; 4096];
    machine.write(machine.socket, &long);
    assert_eq!(machine.read_all()[0].1[2], libc::ENOBUFS as u8);
}

#[test]
fn header_fragments_are_counted() {
    let mut machine = Machine::new();
    machine.write(machine.socket, &[2; 15]);
    assert_eq!(machine.read_all().len(), 0);
    assert_eq!(machine.ipsec.counters().requests_unreadable, 1);
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let header = (0..25u8, 0..12u8, any::<u8>());
    let extensions =
        prop::collection::vec((0..30u16, prop::collection::vec(any::<u8>(), 0..6)), 0..8);
    (header, extensions).prop_map(|((kind, sa_type, errno), extensions)| {
        let mut body = Vec::new();
        for (number, words) in extensions {
            let units = words.len() as u16 + 1;
            body.extend(units.to_ne_bytes());
            body.extend(number.to_ne_bytes());
            body.extend([2; 4]);
            for word in words {
                body.extend([16, 2, word, word, 10, 0, 0, word]);
            }
        }
        let units = (body.len() / 8 + 2) as u16;
        let mut bytes = vec![2, kind, errno, sa_type];
        bytes.extend(units.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    })
}

proptest! {
    #[test]
    fn no_request_can_hurt(
        requests in prop::collection::vec(any_request(), 1..20),
        garbage in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut machine = Machine::new();
        machine.add(&sa(1000)).unwrap();
        for request in requests.iter().chain([&garbage]) {
            machine.write(machine.socket, request);
        }
        for (_, reply) in machine.read_all() {
            prop_assert!(reply.len() >= 16);
        }
    }
}

#[test]
fn an_ipsec_can_be_made_without_sockets() {
    let mut ipsec = Ipsec::new(std::time::Instant::now(), Config::default());
    assert!(ipsec.poll_message().is_none());
    assert_eq!(ipsec.next_timeout(), None);
}

//! Requests as bytes, replies matched to them, kernel events.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::IpAddr;

use hex_literal::hex;
use pfkey::client::{NatT, NewMapping, SaMove, SaSelector, SpRequest};
use pfkey::*;

const PID: u32 = 2417;
const FREEBSD: Numbering = Numbering::FreeBsd;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn client() -> Client {
    Client::new(FREEBSD, PID)
}

fn parse(request: &Request) -> Message {
    Message::parse(&request.bytes, FREEBSD).unwrap()
}

fn sa() -> SaRequest {
    SaRequest {
        sa_type: SaType::ESP,
        spi: 0xcabb_4141,
        source: ip("203.0.113.4"),
        destination: ip("198.51.100.9"),
        mode: Mode::TRANSPORT,
        reqid: 12,
        encryption: EncryptionAlgorithm::AES_CBC,
        encryption_key: Key::new(&[1; 16]),
        authentication: AuthenticationAlgorithm::SHA1_HMAC,
        authentication_key: Some(Key::new(&[2; 20])),
        replay_window: 64,
        flags: 0,
        lifetimes: None,
        nat_t: None,
    }
}

#[cfg(target_endian = "little")]
#[test]
fn register_is_a_bare_header() {
    let request = client().register(SaType::ESP);
    assert_eq!(
        request.bytes[..],
        hex!("02 07 00 03 0200 0000 01000000 71090000")
    );
}

#[test]
fn replay_window_of_freebsd_is_in_bytes_and_wide_ones_get_an_extension() {
    let mut client = client();
    let small = parse(&client.add(&sa()));
    assert_eq!(small.sa().unwrap().replay, 8);
    assert_eq!(small.sa_replay(), None);
    let wide = parse(&client.add(&SaRequest {
        replay_window: 4096,
        ..sa()
    }));
    assert_eq!(wide.sa().unwrap().replay, 255);
    assert_eq!(wide.sa_replay(), Some(&4096));
    // Linux counts packets, 32 at most, and has no such extension.
    let mut linux = Client::new(Numbering::Linux, PID);
    let request = linux.add(&SaRequest {
        replay_window: 4096,
        ..sa()
    });
    let message = Message::parse(&request.bytes, Numbering::Linux).unwrap();
    assert_eq!(message.sa().unwrap().replay, 32);
    assert_eq!(message.sa_replay(), None);
}

#[test]
fn lifetimes_go_in_pairs_and_nat_t_in_threes() {
    let lifetime = |add_time| Lifetime {
        add_time,
        ..Lifetime::default()
    };
    let message = parse(&client().update(&SaRequest {
        lifetimes: Some((lifetime(3600), lifetime(2880))),
        nat_t: Some(NatT {
            source_port: 31044,
            destination_port: 4500,
            original_initiator: Some(ip("10.0.0.2")),
            original_responder: None,
        }),
        ..sa()
    }));
    assert_eq!(message.kind, MessageType::UPDATE);
    assert_eq!(message.lifetime_hard(), Some(&lifetime(3600)));
    assert_eq!(message.lifetime_soft(), Some(&lifetime(2880)));
    assert_eq!(message.nat_t_type(), Some(&2));
    assert_eq!(message.nat_t_source_port(), Some(&31044));
    assert_eq!(message.nat_t_destination_port(), Some(&4500));
    assert_eq!(
        message.nat_t_original_initiator().unwrap().ip(),
        ip("10.0.0.2")
    );
    assert_eq!(message.nat_t_original_responder(), None);
}

#[test]
fn moving_an_sa_carries_no_keys() {
    let message = parse(&client().update_addresses(&SaMove {
        sa_type: SaType::ESP,
        spi: 1000,
        mode: Mode::TRANSPORT,
        reqid: 12,
        source: ip("198.51.100.9"),
        destination: ip("203.0.113.4"),
        new_source: None,
        new_destination: Some(ip("203.0.113.5")),
        nat_t: None,
    }));
    assert_eq!(message.destination().unwrap().ip(), ip("203.0.113.4"));
    assert_eq!(message.new_destination().unwrap().ip(), ip("203.0.113.5"));
    assert!(message.new_source().is_none() && message.key_encryption().is_none());
}

#[test]
fn replies_are_matched_by_sequence_pid_and_type() {
    let mut client = client();
    let getspi = client.getspi(
        SaType::ESP,
        Mode::TRANSPORT,
        12,
        ip("1.2.3.4"),
        ip("5.6.7.8"),
        None,
    );
    let add = client.add(&sa());
    assert_ne!(getspi.sequence, add.sequence);

    let mut reply = parse(&getspi);
    reply.extensions = vec![Extension::Sa(Sa {
        spi: 77,
        ..Sa::default()
    })];
    let answered = Event::Reply {
        sequence: getspi.sequence,
        result: Ok(Reply::Spi(77)),
    };
    assert_eq!(client.handle(&reply.emit(FREEBSD)), Ok(Some(answered)));
    // A second answer is nobody's.
    assert_eq!(
        client.handle(&reply.emit(FREEBSD)),
        Ok(Some(Event::Foreign(reply)))
    );

    // The kernel echoes the whole request when it refuses it.
    let mut refused = parse(&add);
    refused.errno = 17;
    let failed = Event::Reply {
        sequence: add.sequence,
        result: Err(17),
    };
    assert_eq!(client.handle(&refused.emit(FREEBSD)), Ok(Some(failed)));

    let mut foreign = parse(&client.flush(SaType::ESP));
    foreign.pid = 1;
    assert_eq!(
        client.handle(&foreign.emit(FREEBSD)),
        Ok(Some(Event::Foreign(foreign)))
    );
}

#[test]
fn a_dump_counts_down_to_zero() {
    let mut client = client();
    let request = client.dump(SaType::ESP).unwrap();
    assert_eq!(client.dump(SaType::ESP), None);
    assert!(client.spd_dump().is_some());
    let entry = |sequence| {
        Message::new(MessageType::DUMP, SaType::ESP, sequence, PID).with(Extension::Sa(Sa {
            spi: 1000 + sequence,
            ..Sa::default()
        }))
    };
    assert_eq!(client.handle(&entry(2).emit(FREEBSD)), Ok(None));
    assert_eq!(client.handle(&entry(1).emit(FREEBSD)), Ok(None));
    let all = vec![entry(2), entry(1), entry(0)];
    let done = Event::Reply {
        sequence: request.sequence,
        result: Ok(Reply::Dump(all)),
    };
    assert_eq!(client.handle(&entry(0).emit(FREEBSD)), Ok(Some(done)));

    // ENOENT is the kernel's word for an empty SADB.
    let request = client.dump(SaType::UNSPEC).unwrap();
    let mut empty = parse(&request);
    empty.errno = 2;
    let done = Event::Reply {
        sequence: request.sequence,
        result: Ok(Reply::Dump(vec![])),
    };
    assert_eq!(client.handle(&empty.emit(FREEBSD)), Ok(Some(done)));
}

#[test]
fn policies_are_added_found_by_selector_and_deleted_by_id() {
    let mut client = client();
    let request = SpRequest {
        source: Address::selector(ip("198.51.100.9"), 32, 1701, 17),
        destination: Address::selector(ip("203.0.113.4"), 32, 1701, 17),
        policy: Policy::ipsec(Direction::OUTBOUND, PolicyRequest::esp_transport_unique(12)),
        lifetime: Some(Lifetime {
            add_time: 3600,
            ..Lifetime::default()
        }),
    };
    let added = client.spd_add(&request);
    let message = parse(&added);
    assert_eq!(message.kind, MessageType::X_SPDADD);
    assert_eq!(message.source(), Some(&request.source));
    assert_eq!(message.policy(), Some(&request.policy));
    assert_eq!(message.lifetime_hard().unwrap().add_time, 3600);
    let deleted = parse(&client.spd_delete_id(7));
    assert_eq!(
        (deleted.kind, deleted.policy().unwrap().id),
        (MessageType::X_SPDDELETE2, 7)
    );
    // The echo of SPDADD tells the id.
    let mut reply = message;
    for extension in &mut reply.extensions {
        if let Extension::Policy(policy) = extension {
            policy.id = 9;
        }
    }
    match client.handle(&reply.emit(FREEBSD)) {
        Ok(Some(Event::Reply {
            result: Ok(Reply::Done(echo)),
            ..
        })) => {
            assert_eq!(echo.policy().unwrap().id, 9);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn expire_tells_soft_from_hard() {
    let base = || {
        Message::new(MessageType::EXPIRE, SaType::ESP, 0, 0)
            .with(Extension::Sa(Sa {
                spi: 5000,
                ..Sa::default()
            }))
            .with(Extension::Sa2(Sa2 {
                mode: Mode::TRANSPORT,
                sequence: 9,
                reqid: 12,
            }))
            .with(Extension::LifetimeCurrent(Lifetime {
                bytes: 10,
                ..Lifetime::default()
            }))
            .with(Extension::AddressSource(Address::host(ip("1.1.1.1"))))
            .with(Extension::AddressDestination(Address::host(ip("2.2.2.2"))))
    };
    for hard in [true, false] {
        let lifetime = Lifetime {
            add_time: 60,
            ..Lifetime::default()
        };
        let message = base().with(if hard {
            Extension::LifetimeHard(lifetime)
        } else {
            Extension::LifetimeSoft(lifetime)
        });
        match client().handle(&message.emit(FREEBSD)) {
            Ok(Some(Event::Expire(expire))) => {
                assert_eq!((expire.spi, expire.hard, expire.reqid), (5000, hard, 12));
                assert_eq!(expire.current.bytes, 10);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn acquire_and_new_mapping() {
    let acquire = Message::new(MessageType::ACQUIRE, SaType::ESP, 33, 0)
        .with(Extension::AddressSource(Address::host(ip("1.1.1.1"))))
        .with(Extension::AddressDestination(Address::host(ip("2.2.2.2"))))
        .with(Extension::Policy(Policy {
            id: 4,
            ..Policy::default()
        }));
    match client().handle(&acquire.emit(FREEBSD)) {
        Ok(Some(Event::Acquire(acquire))) => {
            assert_eq!(
                (acquire.sequence, acquire.policy_id, acquire.reqid),
                (33, 4, 0)
            );
        }
        other => panic!("{other:?}"),
    }
    let mapping = Message::new(MessageType::X_NEW_MAPPING, SaType::ESP, 0, 0)
        .with(Extension::Sa(Sa {
            spi: 5000,
            ..Sa::default()
        }))
        .with(Extension::AddressSource(Address::host(ip("1.1.1.1"))))
        .with(Extension::NatTSourcePort(100))
        .with(Extension::AddressDestination(Address::host(ip("1.1.1.2"))))
        .with(Extension::NatTDestinationPort(200));
    let expected = Event::NewMapping(NewMapping {
        spi: 5000,
        reqid: 0,
        old: "1.1.1.1:100".parse().unwrap(),
        new: "1.1.1.2:200".parse().unwrap(),
    });
    assert_eq!(
        client().handle(&mapping.emit(FREEBSD)),
        Ok(Some(expected.clone()))
    );
    // Linux's number for the same message is 23.
    let bytes = mapping.emit(Numbering::Linux);
    assert_eq!(bytes[1], 23);
    assert_eq!(
        Client::new(Numbering::Linux, 1).handle(&bytes),
        Ok(Some(expected))
    );
}

#[test]
fn selectors_of_get_and_delete() {
    let selector = SaSelector {
        sa_type: SaType::ESP,
        spi: 0x1234,
        source: ip("2001:db8::1"),
        destination: ip("2001:db8::2"),
    };
    let mut client = client();
    assert_eq!(parse(&client.get(&selector)).kind, MessageType::GET);
    let delete = parse(&client.delete(&selector));
    assert_eq!(delete.sa().unwrap().spi, 0x1234);
    assert_eq!(delete.destination().unwrap().prefix_len, 128);
}

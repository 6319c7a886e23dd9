//! The SPD: SPDADD and its family, what output and input make of policies, ACQUIRE.

use std::time::Duration;

use pfkey::client::SpRequest;
use pfkey::*;
use softkernel::ipsec::{Drop, InboundPolicy};

use crate::machine::{Machine, PID, ip, sa, udp};

const ENOENT: u8 = 2;
const EEXIST: u8 = 17;
const EINVAL: u8 = 22;

fn l2tp(policy: Policy) -> SpRequest {
    let like = sa(0);
    SpRequest {
        source: Address::selector(like.source, 32, 1701, 17),
        destination: Address::selector(like.destination, 32, 1701, 17),
        policy,
        lifetime: None,
    }
}

fn unique(direction: Direction, reqid: u32) -> Policy {
    Policy::ipsec(direction, PolicyRequest::esp_transport_unique(reqid))
}

fn add(machine: &mut Machine, policy: &SpRequest) -> Result<u32, u8> {
    let request = machine.client.spd_add(policy);
    match machine.ask(request) {
        Ok(Reply::Done(echo)) => Ok(echo.policy().unwrap().id),
        Err(errno) => Err(errno),
        other => panic!("{other:?}"),
    }
}

fn dump(machine: &mut Machine) -> Vec<Message> {
    let request = machine.client.spd_dump().unwrap();
    match machine.ask(request) {
        Ok(Reply::Dump(entries)) => entries,
        other => panic!("{other:?}"),
    }
}

#[test]
fn add_get_dump_delete() {
    let mut machine = Machine::new();
    let outbound = l2tp(unique(Direction::OUTBOUND, 12));
    let id = add(&mut machine, &outbound).unwrap();
    assert_eq!(add(&mut machine, &outbound), Err(EEXIST));
    let inbound = l2tp(unique(Direction::INBOUND, 12));
    let second = add(&mut machine, &inbound).unwrap();
    let shown: Vec<_> = dump(&mut machine)
        .iter()
        .map(|e| {
            (
                e.policy().unwrap().id,
                e.policy().unwrap().direction,
                e.sequence,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (second, Direction::INBOUND, 1),
            (id, Direction::OUTBOUND, 0)
        ]
    );
    assert_eq!(dump(&mut machine)[0].policy().unwrap().scope, 1);

    let get = |id| {
        Message::new(MessageType::X_SPDGET, SaType::UNSPEC, 0, 0).with(Extension::Policy(Policy {
            id,
            ..Policy::default()
        }))
    };
    assert!(machine.ask_message(get(id)).is_ok());
    assert_eq!(machine.ask_message(get(77)), Err(ENOENT));

    let request = machine.client.spd_delete(&outbound);
    assert!(machine.ask(request).is_ok());
    let request = machine.client.spd_delete(&outbound);
    assert_eq!(machine.ask(request), Err(EINVAL));
    let request = machine.client.spd_delete_id(second);
    assert!(machine.ask(request).is_ok());
    let request = machine.client.spd_delete_id(second);
    assert_eq!(machine.ask(request), Err(EINVAL));
    assert_eq!(dump(&mut machine), []);
}

#[test]
fn update_replaces_and_flush_clears() {
    let mut machine = Machine::new();
    add(&mut machine, &l2tp(unique(Direction::OUTBOUND, 12))).unwrap();
    let request = machine
        .client
        .spd_update(&l2tp(unique(Direction::OUTBOUND, 13)));
    machine.ask(request).unwrap();
    let entries = dump(&mut machine);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].policy().unwrap().requests[0].reqid, 13);
    let request = machine.client.spd_flush();
    machine.ask(request).unwrap();
    assert_eq!(machine.ipsec.policy_count(), 0);
}

#[test]
fn unique_without_a_number_gets_one_above_the_manual_range() {
    let mut machine = Machine::new();
    let request = machine
        .client
        .spd_add(&l2tp(unique(Direction::OUTBOUND, 0)));
    let Ok(Reply::Done(echo)) = machine.ask(request) else {
        panic!("refused")
    };
    assert_eq!(echo.policy().unwrap().requests[0].reqid, 16384);
}

#[test]
fn impossible_policies_are_refused() {
    let mut machine = Machine::new();
    let request = PolicyRequest::esp_transport_require();
    let policy = |request| Policy::ipsec(Direction::OUTBOUND, request);
    let bad = [
        policy(PolicyRequest {
            mode: Mode::ANY,
            ..request
        }),
        policy(PolicyRequest {
            mode: Mode::TUNNEL,
            ..request
        }),
        policy(PolicyRequest {
            level: Level(9),
            ..request
        }),
        Policy {
            requests: vec![],
            ..policy(request)
        },
        Policy {
            requests: vec![request; 5],
            ..policy(request)
        },
        Policy {
            direction: Direction::ANY,
            ..policy(request)
        },
        Policy::plain(PolicyType::BYPASS, Direction::OUTBOUND),
    ];
    for policy in bad {
        assert_eq!(
            add(&mut machine, &l2tp(policy.clone())),
            Err(EINVAL),
            "{policy:?}"
        );
    }
    let tcp = policy(PolicyRequest {
        protocol: 6,
        ..request
    });
    assert_eq!(
        add(&mut machine, &l2tp(tcp)),
        Err(libc::EPROTONOSUPPORT as u8)
    );
}

#[test]
fn output_follows_the_spd_and_never_sends_in_the_clear() {
    let mut machine = Machine::new();
    machine.add(&sa(1000)).unwrap();
    assert_eq!(machine.send(&sa(0), None, b"x"), Err(Drop::NoPolicy));
    let id = add(&mut machine, &l2tp(unique(Direction::OUTBOUND, 12))).unwrap();
    assert_eq!(machine.send(&sa(0), None, b"x").unwrap().0.spi, 1000);
    // The policy is for port 1701 of this host only.
    let mut buffer = softkernel::buffer::Buffer::new(64);
    let mut to = udp(sa(0).source, sa(0).destination, None);
    to.destination_port = 1702;
    let refused = machine
        .ipsec
        .output(machine.now, machine.wall, to, &mut buffer);
    assert_eq!(refused, Err(Drop::NoPolicy));
    // A per-socket policy comes first; entrust leaves it to the SPD.
    let own = |kind| Policy::plain(kind, Direction::OUTBOUND);
    let mut send = |policy: Policy| {
        machine
            .send(&sa(0), Some(&policy), b"x")
            .map(|(out, _)| out.spi)
    };
    assert_eq!(send(own(PolicyType::DISCARD)), Err(Drop::Discarded));
    assert_eq!(send(own(PolicyType::BYPASS)), Err(Drop::UnsupportedPolicy));
    assert_eq!(send(own(PolicyType::NONE)), Err(Drop::UnsupportedPolicy));
    assert_eq!(send(own(PolicyType::ENTRUST)), Ok(1000));
    assert_eq!(
        send(unique(Direction::OUTBOUND, 99)),
        Err(Drop::NoOutboundSa)
    );
    assert_eq!(
        send(Policy::ipsec(
            Direction::OUTBOUND,
            PolicyRequest::esp_transport_require()
        )),
        Ok(1000)
    );
    let request = machine.client.spd_delete_id(id);
    machine.ask(request).unwrap();
    assert_eq!(machine.send(&sa(0), None, b"x"), Err(Drop::NoPolicy));
}

#[test]
fn prefixes_ports_and_protocols_select() {
    let mut machine = Machine::new();
    machine.add(&sa(1000)).unwrap();
    let any = |ip_text, prefix| Address::selector(ip(ip_text), prefix, 0, Address::ANY_PROTOCOL);
    let discard = SpRequest {
        source: any("0.0.0.0", 0),
        destination: any("198.51.100.0", 25),
        policy: Policy {
            priority: 10,
            ..Policy::plain(PolicyType::DISCARD, Direction::OUTBOUND)
        },
        lifetime: None,
    };
    add(&mut machine, &discard).unwrap();
    assert_eq!(machine.send(&sa(0), None, b"x"), Err(Drop::Discarded));
    // A smaller priority is looked at first, whatever came first.
    let mut first = l2tp(unique(Direction::OUTBOUND, 12));
    first.policy.priority = 5;
    add(&mut machine, &first).unwrap();
    assert!(machine.send(&sa(0), None, b"x").is_ok());
    let beyond = SaRequest {
        destination: ip("198.51.100.200"),
        ..sa(0)
    };
    assert_eq!(machine.send(&beyond, None, b"x"), Err(Drop::NoPolicy));
    let six = SaRequest {
        source: ip("::1"),
        destination: ip("::2"),
        ..sa(0)
    };
    assert_eq!(machine.send(&six, None, b"x"), Err(Drop::NoPolicy));
}

#[test]
fn an_sa_is_asked_for_once_per_ten_packets() {
    let mut machine = Machine::new();
    let request = l2tp(unique(Direction::OUTBOUND, 12));
    let id = add(&mut machine, &request).unwrap();
    assert_eq!(machine.send(&sa(0), None, b"x"), Err(Drop::NoOutboundSa));
    assert_eq!(machine.events(), [], "nobody listens");
    machine.register();
    let mut acquires = 0;
    for _ in 0..13 {
        assert_eq!(machine.send(&sa(0), None, b"x"), Err(Drop::NoOutboundSa));
        for event in machine.events() {
            let Event::Acquire(acquire) = event else {
                panic!("{event:?}")
            };
            assert_eq!((acquire.reqid, acquire.policy_id), (12, id));
            assert_eq!(
                (acquire.source, acquire.destination),
                (request.source, request.destination)
            );
            acquires += 1;
        }
    }
    assert_eq!(acquires, 2);
    machine.now += Duration::from_secs(20);
    assert_eq!(machine.send(&sa(0), None, b"x"), Err(Drop::NoOutboundSa));
    assert_eq!(machine.events().len(), 1);
}

#[test]
fn inbound_policies_judge_by_reqid() {
    let mut machine = Machine::new();
    let like = sa(0);
    let judge = |machine: &mut Machine, reqid| {
        let packet = udp(like.source, like.destination, None);
        machine
            .ipsec
            .inbound_policy(machine.now, machine.wall, packet, reqid, Mode::TRANSPORT)
    };
    assert_eq!(judge(&mut machine, 12), InboundPolicy::None);
    add(&mut machine, &l2tp(unique(Direction::INBOUND, 12))).unwrap();
    assert_eq!(judge(&mut machine, 12), InboundPolicy::Allowed);
    assert_eq!(judge(&mut machine, 13), InboundPolicy::Refused);
    let request = machine.client.spd_flush();
    machine.ask(request).unwrap();
    add(
        &mut machine,
        &l2tp(Policy::plain(PolicyType::DISCARD, Direction::INBOUND)),
    )
    .unwrap();
    assert_eq!(judge(&mut machine, 12), InboundPolicy::Refused);
}

#[test]
fn a_policy_ends_after_its_lifetime_or_without_use() {
    let mut machine = Machine::new();
    machine.register();
    machine.add(&sa(1000)).unwrap();
    let mut request = l2tp(unique(Direction::OUTBOUND, 12));
    request.lifetime = Some(Lifetime {
        add_time: 100,
        use_time: 30,
        ..Lifetime::default()
    });
    add(&mut machine, &request).unwrap();
    for _ in 0..4 {
        machine.advance(Duration::from_secs(20));
        machine.send(&sa(0), None, b"x").unwrap();
    }
    machine.advance(Duration::from_secs(20));
    assert_eq!(machine.ipsec.policy_count(), 0);
    let told = machine.messages();
    assert_eq!(told.last().unwrap().1.kind, MessageType::X_SPDEXPIRE);

    add(&mut machine, &request).unwrap();
    machine.advance(Duration::from_secs(30));
    assert_eq!(machine.ipsec.policy_count(), 0, "unused");
}

#[test]
fn replies_to_policies_go_to_everybody() {
    let mut machine = Machine::new();
    let other = machine.ipsec.open_socket();
    let request = machine
        .client
        .spd_add(&l2tp(unique(Direction::OUTBOUND, 12)));
    machine.write(machine.socket, &request.bytes);
    let heard = machine.messages();
    assert!(
        heard
            .iter()
            .any(|(to, message)| *to == other && message.pid == PID)
    );
}

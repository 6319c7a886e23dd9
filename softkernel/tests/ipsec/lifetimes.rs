//! Larval SAs, soft and hard lifetimes by time, use and bytes, in fake time.

use std::time::Duration;

use pfkey::client::Expire;
use pfkey::{Direction, Event, Lifetime, Mode, Policy, PolicyRequest, SaRequest, SaState, SaType};
use softkernel::ipsec::Drop;

use crate::machine::{Machine, START, sa};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn with(hard: Lifetime, soft: Lifetime) -> SaRequest {
    SaRequest {
        lifetimes: Some((hard, soft)),
        ..sa(1000)
    }
}

fn by_time(add_time: u64) -> Lifetime {
    Lifetime {
        add_time,
        ..Lifetime::default()
    }
}

fn expiries(machine: &mut Machine) -> Vec<Expire> {
    machine
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Expire(expire) => Some(expire),
            _ => None,
        })
        .collect()
}

fn send(machine: &mut Machine, payload: &[u8]) -> Result<(), Drop> {
    let policy = Policy::ipsec(Direction::OUTBOUND, PolicyRequest::esp_transport_unique(12));
    machine.send(&sa(0), Some(&policy), payload).map(|_| ())
}

#[test]
fn a_larval_sa_lives_thirty_seconds() {
    let mut machine = Machine::new();
    machine.register();
    let like = sa(0);
    let request = machine.client.getspi(
        SaType::ESP,
        Mode::TRANSPORT,
        12,
        like.source,
        like.destination,
        None,
    );
    machine.ask(request).unwrap();
    machine.advance(seconds(29));
    assert_eq!(machine.ipsec.sa_count(), 1);
    machine.advance(seconds(1));
    assert_eq!(machine.ipsec.sa_count(), 0);
    assert_eq!(expiries(&mut machine), [], "nobody is told");
    assert_eq!(machine.ipsec.next_timeout(), None);
}

#[test]
fn soft_then_hard_by_time() {
    let mut machine = Machine::new();
    machine.register();
    machine.add(&with(by_time(3600), by_time(2880))).unwrap();
    machine.advance(seconds(2879));
    assert_eq!(expiries(&mut machine), []);
    machine.advance(seconds(1));
    let told = expiries(&mut machine);
    assert_eq!(told.len(), 1);
    assert!(!told[0].hard);
    assert_eq!(
        (told[0].spi, told[0].reqid, told[0].mode),
        (1000, 12, Mode::TRANSPORT)
    );
    assert_eq!(told[0].current.add_time, START);
    // Dying SAs still carry packets.
    assert_eq!(machine.shown(&sa(1000)).sa().unwrap().state, SaState::DYING);
    assert_eq!(send(&mut machine, b"x"), Ok(()));
    machine.advance(seconds(719));
    assert_eq!(expiries(&mut machine), []);
    machine.advance(seconds(1));
    let told = expiries(&mut machine);
    assert_eq!(told.len(), 1);
    assert!(told[0].hard);
    assert_eq!(told[0].current.allocations, 1);
    assert_eq!(machine.ipsec.sa_count(), 0);
    assert_eq!(send(&mut machine, b"x"), Err(Drop::NoOutboundSa));
}

#[test]
fn a_mature_sa_is_preferred_to_a_newer_dying_one() {
    let mut machine = Machine::new();
    machine.add(&sa(999)).unwrap();
    machine.add(&with(by_time(3600), by_time(60))).unwrap();
    machine.advance(seconds(61));
    let policy = Policy::ipsec(Direction::OUTBOUND, PolicyRequest::esp_transport_unique(12));
    let (out, _) = machine.send(&sa(0), Some(&policy), b"x").unwrap();
    assert_eq!(out.spi, 999);
}

#[test]
fn use_time_begins_with_the_first_packet() {
    let mut machine = Machine::new();
    machine.register();
    let used = |use_time| Lifetime {
        use_time,
        ..Lifetime::default()
    };
    machine.add(&with(used(100), used(80))).unwrap();
    assert_eq!(machine.ipsec.next_timeout(), None);
    machine.advance(seconds(1000));
    send(&mut machine, b"x").unwrap();
    machine.advance(seconds(79));
    assert_eq!(expiries(&mut machine), []);
    machine.advance(seconds(1));
    assert!(!expiries(&mut machine)[0].hard);
    machine.advance(seconds(20));
    let told = expiries(&mut machine);
    assert!(told[0].hard);
    assert_eq!(told[0].current.use_time, START + 1000);
}

#[test]
fn bytes_end_an_sa_at_the_packet_that_reaches_them() {
    let mut machine = Machine::new();
    machine.register();
    let bytes = |bytes| Lifetime {
        bytes,
        ..Lifetime::default()
    };
    machine.add(&with(bytes(1000), bytes(800))).unwrap();
    for _ in 0..7 {
        send(&mut machine, &[0; 100]).unwrap();
    }
    assert_eq!(expiries(&mut machine), []);
    send(&mut machine, &[0; 100]).unwrap();
    let told = expiries(&mut machine);
    assert_eq!(
        (told.len(), told[0].hard, told[0].current.bytes),
        (1, false, 800)
    );
    send(&mut machine, &[0; 100]).unwrap();
    assert_eq!(expiries(&mut machine), [], "soft is told once");
    send(&mut machine, &[0; 100]).unwrap();
    let told = expiries(&mut machine);
    assert_eq!((told.len(), told[0].hard), (1, true));
    assert_eq!(send(&mut machine, b"x"), Err(Drop::NoOutboundSa));
}

#[test]
fn an_update_gives_a_dying_sa_new_time() {
    let mut machine = Machine::new();
    machine.register();
    machine.add(&with(by_time(100), by_time(50))).unwrap();
    machine.advance(seconds(60));
    assert_eq!(expiries(&mut machine).len(), 1);
    let request = machine.client.update_addresses_and_lifetimes(
        &pfkey::client::SaMove {
            sa_type: SaType::ESP,
            spi: 1000,
            mode: Mode::TRANSPORT,
            reqid: 12,
            source: sa(0).source,
            destination: sa(0).destination,
            new_source: None,
            new_destination: None,
            nat_t: None,
        },
        by_time(1000),
        by_time(500),
    );
    machine.ask(request).unwrap();
    assert_eq!(
        machine.shown(&sa(1000)).sa().unwrap().state,
        SaState::MATURE
    );
    machine.advance(seconds(439));
    assert_eq!(expiries(&mut machine), []);
    machine.advance(seconds(1));
    assert!(!expiries(&mut machine)[0].hard);
}

#[test]
fn time_without_end_does_not_overflow() {
    let mut machine = Machine::new();
    let forever = Lifetime {
        allocations: u32::MAX,
        bytes: u64::MAX,
        add_time: u64::MAX,
        use_time: u64::MAX,
    };
    machine.add(&with(forever, forever)).unwrap();
    send(&mut machine, b"x").unwrap();
    machine.advance(seconds(1 << 30));
    assert_eq!(machine.ipsec.sa_count(), 1);
}

#[test]
fn thousands_of_sas_end_in_order() {
    let mut machine = Machine::new();
    machine.register();
    for i in 0..2000u32 {
        let life = u64::from(i * 7919 % 2000) + 10;
        let request = SaRequest {
            lifetimes: Some((by_time(life), by_time(0))),
            ..sa(1000 + i)
        };
        machine.add(&request).unwrap();
    }
    machine.advance(seconds(1010));
    assert_eq!(expiries(&mut machine).len(), 1001);
    machine.advance(seconds(1000));
    assert_eq!(machine.ipsec.sa_count(), 0);
}

//! What no client should send: any octets, any order, floods. Nothing breaks, nothing grows
//! without bound, and afterwards a good client still gets through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peers;

use std::time::{Duration, Instant};

use hex_literal::hex;
use l2tp_proto::wire::{
    Avp, ControlHeader, Hiding, LONGEST_VALUE, MOST_AVPS, Message, MessageBuilder, MessageType,
    RawAvp, ResultCode, ResultScope,
};
use l2tp_proto::{
    Config, IdRange, Limits, LocalError, Output, Refusal, Secret, TunnelId, TunnelSecret,
};
use peers::{Host, from, rng, sent};
use proptest::prelude::*;

fn avp(bits: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let mut out = (bits | (6 + value.len() as u16)).to_be_bytes().to_vec();
    out.extend([0, 0]);
    out.extend(attribute.to_be_bytes());
    out.extend(value);
    out
}

fn m(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(0x8000, attribute, value)
}

fn datagram(avps: &[u8]) -> Vec<u8> {
    ControlHeader {
        tunnel_id: 0,
        session_id: 0,
        ns: 0,
        nr: 0,
    }
    .emit(avps)
}

fn sccrq(tunnel: u16) -> Vec<u8> {
    [
        m(0, &[0, 1]),
        m(2, &[1, 0]),
        m(3, &[0, 0, 0, 3]),
        m(7, b"client"),
        m(9, &tunnel.to_be_bytes()),
    ]
    .concat()
}

fn created(outputs: &[Output]) -> Option<TunnelId> {
    outputs.iter().find_map(|output| match output {
        Output::CreateTunnel(create) => Some(create.tunnel),
        _ => None,
    })
}

fn established(host: &mut Host, now: Instant, peer: &str, number: u16) -> TunnelId {
    let tunnel = created(&host.first(now, from(peer), &datagram(&sccrq(number)))).unwrap();
    host.control(now, tunnel, 0, &m(0, &[0, 3]));
    tunnel
}

fn reasons(host: &Host) -> Vec<Refusal> {
    host.outputs
        .iter()
        .filter_map(|output| match output {
            Output::Refused(refused) => Some(refused.reason),
            _ => None,
        })
        .collect()
}

fn end(mut host: Host, mut now: Instant) {
    host.tunnels.shutdown(now);
    host.drain();
    now += Duration::from_secs(11);
    host.tunnels.handle_timeout(now);
    host.drain();
    host.assert_empty();
}

#[test]
fn a_flood_of_sccrqs_is_bounded_per_source_and_in_total() {
    let limits = Limits {
        half_open: 100,
        half_open_per_source: 10,
        ..Limits::default()
    };
    let mut host = Host::new(
        Config {
            limits,
            ..Config::default()
        },
        1,
    );
    let mut now = Instant::now();
    for source in 0..30 {
        for number in 1..=50 {
            let peer = format!("203.0.113.{source}:{}", 2000 + number);
            host.first(now, from(&peer), &datagram(&sccrq(number)));
        }
    }
    assert_eq!(host.nodes.len(), 100);
    let counters = *host.tunnels.counters();
    assert_eq!(counters.refused_by_limit, 30 * 50 - 100);
    // Each source was reported once for each reason.
    let reported = reasons(&host);
    assert_eq!(
        reported
            .iter()
            .filter(|r| **r == Refusal::SourceHalfOpenLimit)
            .count(),
        10
    );
    assert_eq!(
        reported
            .iter()
            .filter(|r| **r == Refusal::HalfOpenLimit)
            .count(),
        20
    );
    assert_eq!(reported.len(), 30);
    // After the setup timeout and the linger all is free again.
    now += Duration::from_secs(60);
    host.tunnels.handle_timeout(now);
    host.drain();
    now += Duration::from_secs(11);
    host.tunnels.handle_timeout(now);
    host.drain();
    host.assert_empty();
    assert_eq!(host.tunnels.counters().tunnels_timed_out, 100);
    established(&mut host, now, "203.0.113.1:1701", 1);
    end(host, now);
}

#[test]
fn established_tunnels_are_bounded_too() {
    let limits = Limits {
        tunnels: 20,
        tunnels_per_source: 5,
        ..Limits::default()
    };
    let mut host = Host::new(
        Config {
            limits,
            ..Config::default()
        },
        2,
    );
    let now = Instant::now();
    for source in 0..10 {
        for number in 1..=8 {
            let peer = format!("203.0.113.{source}:{}", 2000 + number);
            if let Some(tunnel) = created(&host.first(now, from(&peer), &datagram(&sccrq(number))))
            {
                host.control(now, tunnel, 0, &m(0, &[0, 3]));
            }
        }
    }
    assert_eq!(host.nodes.len(), 20);
    assert!(reasons(&host).contains(&Refusal::SourceLimit));
    assert!(reasons(&host).contains(&Refusal::TunnelLimit));
    end(host, now);
}

#[test]
fn tunnels_that_ended_do_not_count() {
    let limits = Limits {
        tunnels: 3,
        tunnels_per_source: 2,
        half_open: 2,
        half_open_per_source: 1,
        ..Limits::default()
    };
    let mut host = Host::new(
        Config {
            limits,
            ..Config::default()
        },
        11,
    );
    let now = Instant::now();
    for round in 1..100 {
        let tunnel = established(&mut host, now, "203.0.113.1:1701", round);
        host.tunnels.tunnel_failed(now, tunnel);
        host.drain();
        host.assert_empty();
    }
    end(host, now);
}

#[test]
fn five_thousand_calls_on_one_tunnel() {
    let mut host = Host::new(Config::default(), 3);
    let now = Instant::now();
    let tunnel = established(&mut host, now, "203.0.113.1:1701", 1);
    for number in 1..=5000_u16 {
        let icrq = [m(0, &[0, 10]), m(14, &number.to_be_bytes())].concat();
        host.control(now, tunnel, 0, &icrq);
    }
    assert_eq!(host.sessions.len(), Limits::default().sessions_per_tunnel);
    assert_eq!(host.tunnels.counters().control_out, 1 + 5000);
    assert_eq!(reasons(&host), [Refusal::SessionLimit]);
    // Nobody goes on with them.
    let later = now + Duration::from_secs(60);
    host.tunnels.handle_timeout(later);
    host.drain();
    assert!(host.sessions.is_empty());
    end(host, later);
}

#[test]
fn numbers_run_out_cleanly() {
    let ids = IdRange { first: 5, last: 7 };
    let mut host = Host::new(
        Config {
            ids,
            ..Config::default()
        },
        4,
    );
    let now = Instant::now();
    for number in [5, 6, 7, 100] {
        host.first(
            now,
            from(&format!("203.0.113.1:{number}")),
            &datagram(&sccrq(number)),
        );
    }
    let mut ids: Vec<u16> = host.nodes.keys().map(|id| id.value()).collect();
    ids.sort_unstable();
    assert!(ids.len() >= 2 && ids.iter().all(|id| (5..=7).contains(id)));
    if ids.len() == 3 {
        let target = l2tp_proto::Target {
            flow: from("203.0.113.9:1701"),
            tie_breaker: false,
            secret: None,
            call: None,
        };
        let refused = host.tunnels.connect(now, target, &mut host.rng);
        assert_eq!(refused, Err(LocalError::NoNumber));
    }
    end(host, now);
}

#[test]
fn fixed_size_values_of_every_wrong_size() {
    // Attribute and the only right size of its value.
    let sizes = [
        (2, 2),
        (3, 4),
        (4, 4),
        (5, 8),
        (6, 2),
        (9, 2),
        (10, 2),
        (13, 16),
        (14, 2),
        (15, 4),
        (16, 4),
        (17, 4),
        (18, 4),
        (19, 4),
        (24, 4),
        (25, 4),
        (29, 2),
        (32, 2),
        (34, 26),
        (35, 10),
        (38, 4),
    ];
    for (attribute, right) in sizes {
        for size in 0..40 {
            let value = vec![1; size];
            let message =
                Message::parse(&[m(0, &[0, 1]), m(attribute, &value)].concat(), None).unwrap();
            assert_eq!(
                message.fault.is_none(),
                size == right,
                "{attribute} of {size}"
            );
            let message =
                Message::parse(&[m(0, &[0, 1]), avp(0, attribute, &value)].concat(), None).unwrap();
            assert_eq!(message.fault, None);
            assert_eq!(message.ignored, u32::from(size != right));
        }
    }
}

#[test]
fn avp_lengths() {
    for length in 0..=0x3ff_u16 {
        let mut bytes = m(0, &[0, 6]);
        bytes.extend((0x8000 | length).to_be_bytes());
        bytes.extend(hex!("0000 0007 61 62"));
        let message = Message::parse(&bytes, None).unwrap();
        assert_eq!(message.fault.is_none(), length == 8, "{length}");
        let mut first = m(0, &[0, 6]);
        first[..2].copy_from_slice(&(0x8000 | length).to_be_bytes());
        assert_eq!(
            Message::parse(&first, None).is_ok(),
            length == 8,
            "{length}"
        );
    }
    // The longest names, by which others were overrun.
    let long = vec![b'9'; LONGEST_VALUE];
    let icrq = [
        m(0, &[0, 10]),
        m(14, &[0, 1]),
        m(21, &long),
        m(22, &long),
        m(23, &long),
    ];
    let mut host = Host::new(Config::default(), 5);
    let now = Instant::now();
    let tunnel = established(&mut host, now, "203.0.113.1:1701", 1);
    host.control(now, tunnel, 0, &icrq.concat());
    let view = &host.tunnels.sessions(now)[0];
    assert_eq!(
        view.call.calling_number.as_ref().map(String::len),
        Some(128)
    );
    // Too many.
    let many = [m(0, &[0, 6]), m(7, b"x").repeat(MOST_AVPS + 1)].concat();
    assert!(Message::parse(&many, None).unwrap().fault.is_some());
    end(host, now);
}

#[test]
fn messages_that_begin_wrongly_are_counted_and_survived() {
    let mut host = Host::new(Config::default(), 6);
    let now = Instant::now();
    let tunnel = established(&mut host, now, "203.0.113.1:1701", 1);
    for avps in [
        Vec::new(),
        m(7, b"host"),
        avp(0xc000, 0, &[0, 6]),
        m(0, &[6]),
        m(0, &[0, 0, 6]),
        vec![0x80],
    ] {
        let outputs = host.control(now, tunnel, 0, &avps);
        assert_eq!(sent(&outputs), []);
    }
    assert_eq!(host.tunnels.counters().malformed, 6);
    assert_eq!(host.tunnels.tunnels(now).len(), 1);
    end(host, now);
}

#[test]
fn every_message_in_every_state() {
    let now = Instant::now();
    for kind in 0..=30_u16 {
        for mandatory in [0x8000, 0] {
            for stage in 0..4 {
                let mut host = Host::new(Config::default(), u64::from(kind));
                let tunnel =
                    created(&host.first(now, from("203.0.113.1:1701"), &datagram(&sccrq(1))))
                        .unwrap();
                let mut sid = 0;
                if stage > 0 {
                    host.control(now, tunnel, 0, &m(0, &[0, 3]));
                }
                if stage > 1 {
                    let icrq = [m(0, &[0, 10]), m(14, &[0, 1])].concat();
                    host.control(now, tunnel, 0, &icrq);
                    sid = host.sessions.keys().next().unwrap().1.value();
                }
                if stage > 2 {
                    host.control(now, tunnel, sid, &m(0, &[0, 12]));
                }
                let message = [
                    avp(mandatory, 0, &kind.to_be_bytes()),
                    m(14, &[0, 2]),
                    m(9, &[0, 1]),
                ]
                .concat();
                host.control(now, tunnel, sid, &message);
                host.control(now, tunnel, 0xffff, &message);
                host.control(now, tunnel, 0, &message);
                if stage == 0 {
                    assert!(host.sessions.is_empty(), "no call before the tunnel is up");
                }
                end(host, now);
            }
        }
    }
}

#[test]
fn hidden_avps_without_what_reveals_them() {
    let secret = || Config {
        secrets: vec![TunnelSecret {
            peer_host_name: None,
            secret: Secret::new("s"),
        }],
        ..Config::default()
    };
    let now = Instant::now();
    for with_secret in [false, true] {
        for vector in [None, Some(m(36, &[1; 16])), Some(m(36, &[]))] {
            for bits in [0xc000, 0x4000] {
                let config = if with_secret {
                    secret()
                } else {
                    Config::default()
                };
                let mut host = Host::new(config, 7);
                let mut avps = sccrq(1);
                avps.extend(vector.clone().unwrap_or_default());
                avps.extend(avp(bits, 3, &[0xff; 6]));
                let outputs = host.first(now, from("203.0.113.1:1701"), &datagram(&avps));
                let harmless = bits == 0x4000 && vector.as_ref().is_none_or(|v| v.len() > 6);
                assert_eq!(created(&outputs).is_some(), harmless);
                end(host, now);
            }
        }
    }
}

#[test]
fn result_codes_of_every_size() {
    let parse = |value: &[u8]| ResultCode::parse(MessageType::CDN, value);
    assert_eq!(parse(&[]).code, 0);
    assert_eq!(parse(&[3]).code, 0);
    assert_eq!(parse(&[0, 3]), ResultCode::new(ResultScope::Cdn, 3));
    assert_eq!(parse(&[0, 3, 9]), ResultCode::new(ResultScope::Cdn, 3));
    assert_eq!(parse(&[0, 2, 0, 6]).error, Some(6));
    assert_eq!(parse(b"\x00\x02\x00\x06too\x1bbad").message, "too?bad");
    assert_eq!(
        parse(&hex!("0300 bfff12345678")),
        ResultCode::new(ResultScope::Cdn, 3)
    );
    assert_eq!(parse(&hex!("0101 0000")).code, 0x0101, "not Apple's");
}

/// What was under way when its session ended is nobody's offence.
#[test]
fn late_data_is_only_counted() {
    let mut host = Host::new(Config::default(), 8);
    let flow = from("203.0.113.1:1701");
    let data = hex!("0002123456780021450000");
    assert_eq!(host.first(Instant::now(), flow, &data), []);
    let counters = host.tunnels.counters();
    assert_eq!((counters.ignored, counters.refused), (1, 0));
}

#[test]
fn stray_datagrams_leave_no_trace() {
    let mut host = Host::new(Config::default(), 8);
    let now = Instant::now();
    let flow = from("203.0.113.1:1701");
    for bytes in [
        hex!("c802000c1234000000000000").to_vec(),
        hex!("c802000c0000000000000000").to_vec(),
        hex!("0002123456780021450000").to_vec(),
        hex!("c803000c0000000000000000").to_vec(),
        ControlHeader {
            tunnel_id: 0,
            session_id: 0,
            ns: 1,
            nr: 0,
        }
        .emit(&sccrq(1)),
        ControlHeader {
            tunnel_id: 9,
            session_id: 0,
            ns: 0,
            nr: 0,
        }
        .emit(&sccrq(1)),
        datagram(&[m(0, &[0, 10]), m(14, &[0, 1])].concat()),
        datagram(&[m(0, &[0, 1]), m(9, &[0, 0])].concat()),
        datagram(&m(0, &[0, 1])),
        Vec::new(),
    ] {
        assert_eq!(sent(&host.first(now, flow, &bytes)), []);
    }
    host.assert_empty();
}

#[test]
fn versions_other_than_one() {
    let mut host = Host::new(Config::default(), 9);
    let avps = [m(0, &[0, 1]), m(2, &[2, 0]), m(7, b"x"), m(9, &[0, 1])].concat();
    let outputs = host.first(Instant::now(), from("203.0.113.1:1701"), &datagram(&avps));
    assert_eq!(sent(&outputs), [MessageType::STOP_CCN]);
    assert_eq!(reasons(&host), [Refusal::ProtocolVersion]);
    host.assert_empty();
}

fn any_avp() -> impl Strategy<Value = Vec<u8>> {
    let attribute = prop_oneof![8 => 0_u16..48, 1 => any::<u16>()];
    let bits =
        prop_oneof![4 => Just(0x8000_u16), 2 => Just(0), 2 => Just(0xc000), 1 => any::<u16>()];
    let vendor = prop_oneof![9 => Just(0_u16), 1 => any::<u16>()];
    let value = proptest::collection::vec(any::<u8>(), 0..30);
    (bits, vendor, attribute, value).prop_map(|(bits, vendor, attribute, value)| {
        let mut bytes = avp(bits & 0xfc00, attribute, &value);
        bytes[2..4].copy_from_slice(&vendor.to_be_bytes());
        bytes
    })
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    (
        0_u16..20,
        proptest::collection::vec(any_avp(), 0..12),
        any::<Option<u8>>(),
    )
        .prop_map(|(kind, avps, cut)| {
            let mut bytes = [m(0, &kind.to_be_bytes()), avps.concat()].concat();
            bytes.truncate(bytes.len() - usize::from(cut.unwrap_or(0) % 7).min(bytes.len()));
            bytes
        })
}

proptest! {
    #[test]
    fn any_bytes_parse(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::parse(&bytes, None);
        let _ = Message::parse(&bytes, Some(b"secret"));
        let _ = l2tp_proto::wire::host_name(&bytes);
        if let Some((avp, rest)) = RawAvp::take(&bytes) {
            prop_assert_eq!(avp.value.len() + 6 + rest.len(), bytes.len());
        }
    }

    #[test]
    fn what_parses_round_trips(bytes in any_message(), seed in any::<u64>()) {
        let Ok(message) = Message::parse(&bytes, Some(b"secret")) else { return Ok(()) };
        let mut rng = rng(seed);
        let hiding = Hiding::new(b"another", &mut rng);
        let is_text_free = |avp: &&Avp| !matches!(
            avp,
            // Their texts are made printable on the way in.
            Avp::ResultCode(_) | Avp::Q931Cause(_) | Avp::DisconnectCause(_)
        );
        let avps: Vec<Avp> = message.avps.iter().filter(is_text_free).cloned().collect();
        for hiding in [None, Some(&hiding)] {
            let bytes = MessageBuilder::new(message.message_type).avps(&avps, hiding).finish();
            let again = Message::parse(&bytes, Some(b"another")).unwrap();
            prop_assert_eq!(&again.avps, &avps);
            prop_assert_eq!((again.fault, again.ignored), (None, 0));
        }
    }

    #[test]
    fn any_messages_at_any_stage(
        messages in proptest::collection::vec((any_message(), any::<u8>(), any::<bool>()), 1..40),
        with_secret in any::<bool>(),
    ) {
        let mut config = Config::default();
        if with_secret {
            config.secrets = vec![TunnelSecret { peer_host_name: None, secret: Secret::new("s") }];
        }
        let mut host = Host::new(config, 10);
        let mut now = Instant::now();
        for (message, number, at_listener) in messages {
            if at_listener {
                host.first(now, from("203.0.113.1:1701"), &datagram(&message));
            }
            if host.nodes.is_empty() {
                established(&mut host, now, "203.0.113.2:1701", 1);
            }
            let tunnel = *host.nodes.keys().next().unwrap();
            let sids: Vec<u16> = host.sessions.keys().map(|key| key.1.value()).collect();
            let sid = sids.get(usize::from(number)).copied().unwrap_or(u16::from(number % 2));
            host.control(now, tunnel, sid, &message);
            now += Duration::from_millis(u64::from(number) * 20);
            host.tunnels.handle_timeout(now);
            host.drain();
        }
        end(host, now);
    }
}

//! LAC against LNS: whatever happens in whatever order, they end up connected alike or both gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peers;

use std::time::Duration;

use l2tp_proto::{
    Authentication, CallRequest, CloseSession, CloseTunnel, Config, Exception, Output, Role,
    SameFlow, Secret, SessionDownReason, SessionState, Target, TunnelDownReason, TunnelId,
    TunnelSecret, TunnelState,
};
use peers::{Pair, Side};
use proptest::prelude::*;

fn with_secret(secret: &str) -> Config {
    Config {
        secrets: vec![TunnelSecret {
            peer_host_name: None,
            secret: Secret::new(secret),
        }],
        ..Config::default()
    }
}

fn required(secret: &str) -> Config {
    Config {
        authentication: Authentication::Required,
        ..with_secret(secret)
    }
}

#[test]
fn a_call_comes_up_and_goes_down() {
    let mut pair = Pair::new(Config::default(), Config::default(), 1);
    let (tunnel, session) = pair.connect();
    let up = pair.lns.ups[0].clone();
    assert_eq!(up.call.tx_speed, 10_000_000);
    assert_eq!(up.call.framing, 1);
    assert!(up.setup.control_sequencing && !up.setup.data_sequencing && up.setup.include_length);
    assert_eq!(pair.lac.ups[0].setup.peer_id, up.setup.session.value());
    assert_eq!(up.setup.peer_id, session.unwrap().value());
    let reason = CloseSession::Administrative;
    pair.lac
        .tunnels
        .close_session(pair.now, tunnel, session.unwrap(), reason)
        .unwrap();
    pair.lac.drain();
    pair.deliver_all();
    let (_, _, down) = &pair.lns.session_downs[0];
    assert_eq!(
        down.to_string(),
        "the peer disconnected: administrative reasons (3)"
    );
    assert!(pair.lns.sessions.is_empty());
    pair.shut_down();
}

#[test]
fn an_idle_tunnel_goes() {
    let mut pair = Pair::new(Config::default(), Config::default(), 2);
    let (tunnel, session) = pair.connect();
    pair.lac
        .tunnels
        .close_session(
            pair.now,
            tunnel,
            session.unwrap(),
            CloseSession::LostCarrier,
        )
        .unwrap();
    pair.lac.drain();
    pair.deliver_all();
    for _ in 0..14 {
        pair.advance(Duration::from_secs(10));
        pair.deliver_all();
    }
    pair.lac.assert_empty();
    pair.lns.assert_empty();
}

#[test]
fn tunnel_authentication_both_ways() {
    let mut pair = Pair::new(required("s3cret"), required("s3cret"), 3);
    let (tunnel, _) = pair.connect();
    assert!(
        pair.lac
            .tunnels
            .tunnel(pair.now, tunnel)
            .unwrap()
            .authenticated
    );
    assert!(pair.lns.tunnels.tunnels(pair.now)[0].authenticated);
    assert_eq!(pair.lns.ups.len(), 1);
    pair.shut_down();
}

#[test]
fn a_wrong_secret_gets_no_tunnel() {
    let mut pair = Pair::new(required("right"), required("wrong"), 4);
    pair.connect();
    assert_eq!(pair.lns.ups.len() + pair.lac.ups.len(), 0);
    let (_, reason) = &pair.lac.tunnel_downs[0];
    assert_eq!(reason.to_string(), "tunnel authentication failed");
    assert_eq!(pair.lac.tunnels.counters().authentication_failures, 1);
    let (_, reason) = &pair.lns.tunnel_downs[0];
    assert_eq!(
        reason.to_string(),
        "the peer closed it: not authorized to establish a control channel (4)"
    );
    pair.shut_down();
}

#[test]
fn a_caller_without_secret_is_refused_where_one_is_required() {
    let mut pair = Pair::new(Config::default(), required("secret"), 5);
    pair.connect();
    // The LAC is challenged and knows no answer.
    assert_eq!(pair.lac.tunnel_downs.len(), 1);
    assert!(pair.lns.ups.is_empty());
    pair.shut_down();
}

/// What is otherwise for the peers that `exception` describes, and for nobody else.
fn except(exception: Exception) -> Config {
    Config {
        host_name: "usual".to_owned(),
        exceptions: vec![exception],
        ..Config::default()
    }
}

#[test]
fn peers_of_one_network_are_served_otherwise() {
    let lac: std::net::SocketAddr = peers::LAC.parse().unwrap();
    let exception = |peer: std::net::IpAddr| Exception {
        local: None,
        local_port: None,
        peer: Some((peer, 24)),
        peer_port: None,
        host_name: "special".to_owned(),
        secret: Some(Secret::new("secret")),
        authentication: Authentication::Required,
        hide_avps: true,
        length_bit: false,
        data_sequencing: true,
    };
    // The peer's network: without the secret nobody gets in, with it all of it is otherwise.
    let mut pair = Pair::new(Config::default(), except(exception(lac.ip())), 9);
    pair.connect();
    assert_eq!(pair.lac.tunnel_downs.len(), 1);
    assert!(pair.lns.ups.is_empty());
    pair.shut_down();
    let mut pair = Pair::new(required("secret"), except(exception(lac.ip())), 9);
    let (tunnel, _) = pair.connect();
    let setup = pair.lns.ups[0].setup;
    assert!(setup.data_sequencing && !setup.include_length);
    let view = pair.lac.tunnels.tunnel(pair.now, tunnel).unwrap();
    assert_eq!(view.host_name, "special");
    pair.shut_down();
    // Another network.
    let other = "203.0.113.1".parse().unwrap();
    let mut pair = Pair::new(Config::default(), except(exception(other)), 9);
    let (tunnel, _) = pair.connect();
    let setup = pair.lns.ups[0].setup;
    assert!(!setup.data_sequencing && setup.include_length);
    let view = pair.lac.tunnels.tunnel(pair.now, tunnel).unwrap();
    assert_eq!(view.host_name, "usual");
    pair.shut_down();
}

#[test]
fn hidden_avps() {
    let hiding = Config {
        hide_avps: true,
        ..required("a secret of some length, say 40 octets")
    };
    let mut pair = Pair::new(hiding.clone(), hiding, 6);
    pair.connect();
    assert_eq!((pair.lac.ups.len(), pair.lns.ups.len()), (1, 1));
    pair.shut_down();
}

#[test]
fn hello_keeps_and_ends() {
    let mut pair = Pair::new(Config::default(), Config::default(), 7);
    let (tunnel, _) = pair.connect();
    for _ in 0..20 {
        pair.advance(Duration::from_secs(30));
        pair.deliver_all();
    }
    let hellos = pair.lns.tunnels.counters().hello_out;
    assert!((9..=11).contains(&hellos), "{hellos}");
    assert!(pair.lac.tunnels.counters().hello_in >= 9);
    // The LAC vanishes.
    for node in pair.lns.nodes.values_mut() {
        node.broken = true;
    }
    pair.notice_failures();
    pair.lns.assert_empty();
    assert_eq!(pair.lns.tunnel_downs[0].1, TunnelDownReason::AckFailure);
    let _ = tunnel;
}

#[test]
fn traffic_spares_hellos() {
    let mut pair = Pair::new(Config::default(), Config::default(), 8);
    pair.connect();
    let lns = *pair.lns.nodes.keys().next().unwrap();
    for _ in 0..30 {
        pair.lns.tunnels.note_traffic(pair.now, lns);
        pair.advance(Duration::from_secs(20));
        pair.lac.outgoing.clear();
    }
    assert_eq!(pair.lns.tunnels.counters().hello_out, 0);
}

#[test]
fn a_client_deaf_to_hello_lives_by_its_data() {
    let mut pair = Pair::new(Config::default(), Config::default(), 9);
    pair.connect();
    let lns = *pair.lns.nodes.keys().next().unwrap();
    pair.advance(Duration::from_secs(60));
    assert_eq!(pair.lns.tunnels.counters().hello_out, 1);
    pair.now += Duration::from_secs(5);
    pair.lns.tunnels.note_traffic(pair.now, lns);
    pair.lns
        .tunnels
        .handle_ack_failure(pair.now + Duration::from_secs(30), lns);
    pair.lns.drain();
    let view = pair.lns.tunnels.tunnel(pair.now, lns).unwrap();
    assert!(view.control_lost && view.sessions == 1);
    for _ in 0..10 {
        pair.advance(Duration::from_secs(60));
        pair.lns.tunnels.note_traffic(pair.now, lns);
    }
    assert_eq!(pair.lns.sessions.len(), 1);
    pair.advance(Duration::from_secs(121));
    pair.advance(Duration::from_secs(0));
    pair.lns.assert_empty();
    assert_eq!(pair.lns.tunnels.counters().hello_out, 1);
}

#[test]
fn an_unanswered_disconnect_is_no_deafness_to_hello() {
    let mut pair = Pair::new(Config::default(), Config::default(), 13);
    pair.connect();
    let (lns, session) = *pair.lns.sessions.keys().next().unwrap();
    pair.advance(Duration::from_secs(60));
    pair.now += Duration::from_secs(5);
    pair.lns.tunnels.note_traffic(pair.now, lns);
    pair.lns
        .tunnels
        .close_session(pair.now, lns, session, CloseSession::LostCarrier)
        .unwrap();
    pair.lns.drain();
    pair.lns.tunnels.handle_ack_failure(pair.now, lns);
    pair.lns.drain();
    pair.lns.assert_empty();
}

#[test]
fn calls_that_ended_do_not_count() {
    let mut config = Config::default();
    config.limits.sessions = 3;
    let mut pair = Pair::new(config.clone(), config, 14);
    let (tunnel, session) = pair.connect();
    let mut open = vec![session.unwrap()];
    for round in 0..50 {
        let host = if round % 2 == 0 {
            &mut pair.lac
        } else {
            &mut pair.lns
        };
        let (tunnel, session) = *host.sessions.keys().next().unwrap();
        host.tunnels
            .close_session(pair.now, tunnel, session, CloseSession::Failed)
            .unwrap();
        host.drain();
        pair.deliver_all();
        assert!(pair.lac.sessions.is_empty() && pair.lns.sessions.is_empty());
        open.clear();
        let host = &mut pair.lac;
        while let Ok(session) = host.tunnels.open_session(
            pair.now,
            tunnel_of(host),
            CallRequest::default(),
            &mut host.rng,
        ) {
            host.promised.insert((tunnel_of(host), session));
            host.drain();
            open.push(session);
        }
        assert_eq!(open.len(), 3);
        pair.deliver_all();
        assert_eq!((pair.lac.sessions.len(), pair.lns.sessions.len()), (3, 3));
        for session in &open[1..] {
            let reason = CloseSession::Administrative;
            pair.lac
                .tunnels
                .close_session(pair.now, tunnel_of(&pair.lac), *session, reason)
                .unwrap();
            pair.lac.drain();
        }
        pair.deliver_all();
    }
    let _ = tunnel;
    pair.shut_down();
}

fn tunnel_of(host: &peers::Host) -> TunnelId {
    *host.nodes.keys().next().unwrap()
}

#[test]
fn the_tie_breaker_leaves_one_tunnel() {
    for seed in 0..20 {
        let mut pair = Pair::new(Config::default(), Config::default(), 100 + seed);
        let target = |flow| Target {
            flow,
            tie_breaker: true,
            secret: None,
            call: None,
        };
        let (to_lns, to_lac) = (pair.to_lns, pair.to_lac);
        pair.lac.connect(pair.now, target(to_lns));
        pair.lns.connect(pair.now, target(to_lac));
        pair.deliver_all();
        let up = |host: &peers::Host| host.nodes.values().filter(|node| node.up).count();
        assert_eq!((up(&pair.lac), up(&pair.lns)), (1, 1), "seed {seed}");
        assert_eq!(
            (pair.lac.nodes.len(), pair.lns.nodes.len()),
            (1, 1),
            "seed {seed}"
        );
        pair.advance(Duration::from_secs(60));
        pair.shut_down();
    }
}

#[test]
fn without_tie_breaker_both_tunnels_open() {
    let mut pair = Pair::new(Config::default(), Config::default(), 10);
    let target = |flow| Target {
        flow,
        tie_breaker: false,
        secret: None,
        call: None,
    };
    let (to_lns, to_lac) = (pair.to_lns, pair.to_lac);
    pair.lac.connect(pair.now, target(to_lns));
    pair.lns.connect(pair.now, target(to_lac));
    pair.deliver_all();
    assert_eq!(pair.lac.nodes.values().filter(|node| node.up).count(), 2);
    pair.shut_down();
}

#[test]
fn checkpoint_and_restore() {
    let mut pair = Pair::new(Config::default(), Config::default(), 11);
    let (tunnel, session) = pair.connect();
    pair.advance(Duration::from_secs(30));
    let records = pair.lns.tunnels.checkpoint(pair.now);
    let text = serde_json::to_string(&records).unwrap();
    let records: Vec<l2tp_proto::TunnelRecord> = serde_json::from_str(&text).unwrap();
    let mut reborn = l2tp_proto::Tunnels::new(Config::default());
    for record in &records {
        reborn.restore(pair.now, record.clone()).unwrap();
        assert!(reborn.restore(pair.now, record.clone()).is_err(), "twice");
    }
    assert_eq!(reborn.checkpoint(pair.now), records);
    assert_eq!(
        reborn.sessions(pair.now)[0].state,
        SessionState::Established
    );
    assert_eq!(reborn.poll_output(), None);
    // It goes on where the old one stopped.
    pair.lns.tunnels = reborn;
    pair.lac
        .tunnels
        .close_session(pair.now, tunnel, session.unwrap(), CloseSession::Failed)
        .unwrap();
    pair.lac.drain();
    pair.deliver_all();
    assert!(pair.lns.sessions.is_empty());
    pair.advance(Duration::from_secs(60));
    assert_eq!(pair.lns.tunnels.counters().hello_out, 1);
    pair.deliver_all();
    pair.shut_down();
}

#[test]
fn a_second_tunnel_over_the_flow_probes_or_replaces_the_first() {
    for same_flow in [SameFlow::Probe, SameFlow::Replace] {
        let lns = Config {
            same_flow,
            ..Config::default()
        };
        let mut pair = Pair::new(Config::default(), lns, 12);
        pair.connect();
        let old = *pair.lns.nodes.keys().next().unwrap();
        // The client forgot everything and comes anew.
        pair.lac = peers::Host::new(Config::default(), 999);
        pair.connect();
        assert_eq!(pair.lns.ups.len(), 2);
        let created = pair.lns.outputs.iter().filter_map(|output| match output {
            Output::CreateTunnel(create) => create.shares_flow_with,
            _ => None,
        });
        match same_flow {
            SameFlow::Probe => {
                assert_eq!(created.collect::<Vec<_>>(), [old]);
                assert_eq!(pair.lns.tunnels.counters().hello_out, 1);
                pair.notice_failures();
                assert_eq!(pair.lns.tunnel_downs, [(old, TunnelDownReason::AckFailure)]);
            }
            SameFlow::Replace => {
                assert_eq!(created.count(), 0);
                assert_eq!(pair.lns.tunnel_downs, [(old, TunnelDownReason::Superseded)]);
            }
        }
        assert_eq!(pair.lns.nodes.len(), 1);
        pair.shut_down();
    }
}

#[derive(Clone, Debug)]
enum Event {
    Deliver(bool),
    Connect { tie_breaker: bool, call: bool },
    OpenSession,
    CloseSession(bool, u8),
    CloseTunnel(bool, u8),
    Break(bool, u8),
    FailTunnel(bool, u8),
    FailSession(bool, u8),
    Wait(u16),
    RepeatFirst,
    Garbage(bool, Vec<u8>, u16),
    NoticeFailures,
    Traffic(bool, u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => any::<bool>().prop_map(Event::Deliver),
        3 => any::<(bool, bool)>().prop_map(|(tie_breaker, call)| Event::Connect { tie_breaker, call }),
        2 => Just(Event::OpenSession),
        1 => any::<(bool, u8)>().prop_map(|(s, i)| Event::CloseSession(s, i)),
        1 => any::<(bool, u8)>().prop_map(|(s, i)| Event::CloseTunnel(s, i)),
        1 => any::<(bool, u8)>().prop_map(|(s, i)| Event::Break(s, i)),
        1 => any::<(bool, u8)>().prop_map(|(s, i)| Event::FailTunnel(s, i)),
        1 => any::<(bool, u8)>().prop_map(|(s, i)| Event::FailSession(s, i)),
        2 => (0_u16..40).prop_map(Event::Wait),
        1 => Just(Event::RepeatFirst),
        1 => (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40), any::<u16>())
            .prop_map(|(s, b, i)| Event::Garbage(s, b, i)),
        1 => Just(Event::NoticeFailures),
        1 => any::<(bool, u8)>().prop_map(|(s, i)| Event::Traffic(s, i)),
    ]
}

fn side(lac: bool) -> Side {
    if lac { Side::Lac } else { Side::Lns }
}

fn pick(host: &peers::Host, index: u8) -> Option<TunnelId> {
    let count = host.nodes.len();
    (count > 0).then(|| *host.nodes.keys().nth(usize::from(index) % count).unwrap())
}

fn apply(pair: &mut Pair, event: Event) {
    let (now, to_lns, to_lac) = (pair.now, pair.to_lns, pair.to_lac);
    match event {
        Event::Deliver(lac) => {
            pair.deliver(side(lac));
        }
        Event::Connect { tie_breaker, call } => {
            let call = call.then(CallRequest::default);
            pair.lac.connect(
                now,
                Target {
                    flow: to_lns,
                    tie_breaker,
                    secret: None,
                    call,
                },
            );
        }
        Event::OpenSession => {
            if let Some(tunnel) = pick(&pair.lac, 0) {
                let host = &mut pair.lac;
                let call = CallRequest::default();
                if let Ok(session) = host.tunnels.open_session(now, tunnel, call, &mut host.rng) {
                    host.promised.insert((tunnel, session));
                }
                host.drain();
            }
        }
        Event::CloseSession(lac, index) | Event::FailSession(lac, index) => {
            let host = pair.host(side(lac));
            let count = host.sessions.len();
            if count > 0 {
                let key = *host
                    .sessions
                    .keys()
                    .nth(usize::from(index) % count)
                    .unwrap();
                if matches!(event, Event::FailSession(..)) {
                    host.tunnels.session_failed(now, key.0, key.1);
                } else {
                    host.tunnels
                        .close_session(now, key.0, key.1, CloseSession::Administrative)
                        .unwrap();
                }
                host.drain();
                assert!(!host.sessions.contains_key(&key));
            }
        }
        Event::CloseTunnel(lac, index) => {
            let host = pair.host(side(lac));
            if let Some(tunnel) = pick(host, index) {
                let reason = match index % 3 {
                    0 => CloseTunnel::Administrative,
                    1 => CloseTunnel::ShuttingDown,
                    _ => CloseTunnel::PeerGone,
                };
                let _ = host.tunnels.close_tunnel(now, tunnel, reason);
                host.drain();
            }
        }
        Event::Break(lac, index) => {
            let host = pair.host(side(lac));
            if let Some(tunnel) = pick(host, index) {
                host.nodes.get_mut(&tunnel).unwrap().broken = true;
            }
        }
        Event::FailTunnel(lac, index) => {
            let host = pair.host(side(lac));
            if let Some(tunnel) = pick(host, index) {
                host.tunnels.tunnel_failed(now, tunnel);
                host.drain();
                assert!(!host.nodes.contains_key(&tunnel));
            }
        }
        Event::Wait(seconds) => pair.advance(Duration::from_secs(u64::from(seconds))),
        Event::RepeatFirst => {
            let first = pair
                .lac
                .outputs
                .iter()
                .rev()
                .find_map(|output| match output {
                    Output::SendControl {
                        session_id: 0,
                        avps,
                        ..
                    } => Some(avps.clone()),
                    _ => None,
                });
            if let Some(avps) = first {
                let header = l2tp_proto::wire::ControlHeader {
                    tunnel_id: 0,
                    session_id: 0,
                    ns: 0,
                    nr: 0,
                };
                pair.lns.first(now, to_lac, &header.emit(&avps));
            }
        }
        Event::Garbage(lac, bytes, sid) => {
            let host = pair.host(side(lac));
            if let Some(tunnel) = pick(host, bytes.first().copied().unwrap_or(0)) {
                host.control(now, tunnel, sid, &bytes);
            }
        }
        Event::NoticeFailures => pair.notice_failures(),
        Event::Traffic(lac, index) => {
            let host = pair.host(side(lac));
            if let Some(tunnel) = pick(host, index) {
                host.tunnels.note_traffic(now, tunnel);
            }
        }
    }
    let _ = to_lns;
}

/// Everything that is up here is up there, and nothing hangs in between.
fn assert_agreement(pair: &Pair) {
    for (host, other) in [(&pair.lac, &pair.lns), (&pair.lns, &pair.lac)] {
        for view in host.tunnels.tunnels(pair.now) {
            assert_eq!(view.state, TunnelState::Established);
            let peer = other
                .tunnels
                .tunnel(pair.now, TunnelId::new(view.peer_id).unwrap());
            let peer = peer.expect("the peer knows the tunnel");
            assert_eq!(peer.peer_id, view.tunnel.value());
            assert_eq!(peer.sessions, view.sessions);
            assert_ne!(peer.role == Role::Lac, view.role == Role::Lac);
        }
        for view in host.tunnels.sessions(pair.now) {
            assert_eq!(view.state, SessionState::Established);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_order_ends_well(
        events in proptest::collection::vec(event(), 1..120),
        seed in any::<u64>(),
        settings in any::<(bool, bool, bool)>(),
    ) {
        let (authenticate, hide, replace) = settings;
        let mut config = if authenticate { required("a secret") } else { with_secret("a secret") };
        config.hide_avps = hide;
        config.same_flow = if replace { SameFlow::Replace } else { SameFlow::Probe };
        let mut pair = Pair::new(config.clone(), config, seed);
        for event in events {
            apply(&mut pair, event);
        }
        // Whoever talks to nobody notices, whoever waits gives up.
        for _ in 0..40 {
            pair.deliver_all();
            pair.notice_failures();
            pair.advance(Duration::from_secs(5));
            let now = pair.now;
            for host in [&mut pair.lac, &mut pair.lns] {
                // No tunnel may go idle now, and HELLO shall find the dead.
                host.tunnels.handle_timeout(now);
                host.drain();
            }
        }
        pair.deliver_all();
        pair.notice_failures();
        assert_agreement(&pair);
        pair.shut_down();
    }

    #[test]
    fn a_channel_that_fails_anywhere(messages in 0_usize..12, side_of_failure in any::<bool>()) {
        let mut pair = Pair::new(required("x"), required("x"), messages as u64);
        let call = Some(CallRequest::default());
        let flow = pair.to_lns;
        pair.lac.connect(pair.now, Target { flow, tie_breaker: false, secret: None, call });
        for _ in 0..messages {
            if !pair.deliver(Side::Lac) {
                pair.deliver(Side::Lns);
            }
        }
        for side in [side(side_of_failure), side(!side_of_failure)] {
            for node in pair.host(side).nodes.values_mut() {
                node.broken = true;
            }
            pair.notice_failures();
        }
        pair.lac.assert_empty();
        pair.lns.assert_empty();
        let gone = |(_, _, reason): &(_, _, SessionDownReason)| {
            *reason == SessionDownReason::Tunnel(TunnelDownReason::AckFailure)
        };
        prop_assert!(pair.lac.session_downs.iter().all(gone));
    }
}

//! A server's and a client's link joined in memory: on a clean path, and on paths that lose,
//! double and reorder frames. They end up open at both ends or down, and never talk for ever.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ppp_proto::{
    AuthFailure, AuthMethod, Checkpoint, CloseReason, Config, Credentials, DownReason, Ipv4Config,
    Link, Network, Output, Party, Phase, RestoreError, Secret,
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use harness::{ASSIGNMENT, CHAP, Frame, Host, IPCP, LCP, PASSWORD, USER, find, packet};

const ALL: [AuthMethod; 3] = [AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap];

fn client_config(user: &str, password: &str, methods: &[AuthMethod]) -> Config {
    Config::client(Credentials {
        user: user.to_owned(),
        secret: Secret::new(password),
        methods: methods.to_vec(),
    })
}

fn server_config(methods: &[AuthMethod]) -> Config {
    Config {
        authenticate_peer: methods.to_vec(),
        ..Config::server("tanuki")
    }
}

/// A path with faults, each in percent.
#[derive(Clone, Copy, Debug)]
struct Path {
    lost: u32,
    doubled: u32,
    late: u32,
}

const CLEAN: Path = Path {
    lost: 0,
    doubled: 0,
    late: 0,
};

struct Pair {
    ends: [Host; 2],
    /// Destination, when, frame.
    flying: Vec<(usize, Instant, Frame)>,
    path: Path,
    dice: ChaCha20Rng,
    frames: usize,
}

impl Pair {
    fn new(server: Config, client: Config, path: Path, seed: u64) -> Self {
        let now = Instant::now();
        let ends = [Host::new(server, seed, now), Host::new(client, !seed, now)];
        let dice = ChaCha20Rng::seed_from_u64(seed ^ 0x5eed);
        let mut pair = Self {
            ends,
            flying: Vec::new(),
            path,
            dice,
            frames: 0,
        };
        for end in 0..2 {
            let sent = pair.ends[end].open();
            pair.fly(end, sent);
        }
        pair
    }

    fn hits(&mut self, percent: u32) -> bool {
        self.dice.next_u32() % 100 < percent
    }

    fn fly(&mut self, from: usize, sent: Vec<Frame>) {
        let now = self.ends[from].now;
        for frame in sent {
            self.frames += 1;
            if self.hits(self.path.lost) {
                continue;
            }
            let copies = if self.hits(self.path.doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let extra = if self.hits(self.path.late) {
                    self.dice.next_u32() % 3000
                } else {
                    0
                };
                let at = now + Duration::from_millis(20 + u64::from(extra));
                self.flying.push((1 - from, at, frame.clone()));
            }
        }
    }

    /// Lets `span` pass.
    fn run(&mut self, span: Duration) {
        let end = self.ends[0].now + span;
        loop {
            let arrival = self.flying.iter().map(|each| each.1).min();
            let timers = self
                .ends
                .iter()
                .filter_map(|host| host.link.next_timeout())
                .min();
            let Some(next) = arrival
                .into_iter()
                .chain(timers)
                .min()
                .filter(|at| *at <= end)
            else {
                break;
            };
            let next = next.max(self.ends[0].now);
            for host in &mut self.ends {
                host.now = next;
            }
            if let Some(index) = self.flying.iter().position(|each| each.1 <= next) {
                let (to, _, (protocol, payload)) = self.flying.remove(index);
                let sent = self.ends[to].feed(protocol, &payload);
                self.fly(to, sent);
            } else {
                for end in 0..2 {
                    let sent = self.ends[end].advance(Duration::ZERO);
                    self.fly(end, sent);
                }
            }
            assert!(self.frames < 20_000, "they talk for ever");
        }
        for host in &mut self.ends {
            host.now = end;
        }
    }

    fn server(&self) -> &Host {
        &self.ends[0]
    }

    fn client(&self) -> &Host {
        &self.ends[1]
    }
}

#[test]
fn every_method_opens_a_clean_path() {
    for method in ALL {
        for user in [USER, "DOMAIN\\User"] {
            let client = client_config(user, PASSWORD, &ALL);
            let mut pair = Pair::new(server_config(&[method]), client, CLEAN, 1);
            pair.run(Duration::from_secs(5));
            let expected = Network::V4 {
                local: ASSIGNMENT.peer,
                peer: ASSIGNMENT.local,
                dns: ASSIGNMENT.dns,
            };
            assert_eq!(
                pair.client().link.view().ipv4,
                Some(expected),
                "{method} {user}"
            );
            assert_eq!(pair.server().link.view().user.as_deref(), Some(USER));
            assert_eq!(pair.server().link.view().method, Some(method));
            let proven = Output::Authenticated {
                party: Party::Us,
                user: user.to_owned(),
                method,
            };
            assert!(pair.client().event(|event| *event == proven));
        }
    }
}

#[test]
fn the_best_common_method_is_found() {
    for (client, expected) in [
        (&[AuthMethod::Pap][..], AuthMethod::Pap),
        (&[AuthMethod::ChapMd5, AuthMethod::Pap], AuthMethod::ChapMd5),
        (
            &[AuthMethod::Pap, AuthMethod::MsChapV2],
            AuthMethod::MsChapV2,
        ),
    ] {
        let client = client_config(USER, PASSWORD, client);
        let mut pair = Pair::new(server_config(&ALL), client, CLEAN, 2);
        pair.run(Duration::from_secs(5));
        assert_eq!(pair.server().link.view().method, Some(expected));
        assert!(pair.client().is_up());
    }
}

#[test]
fn wrong_passwords_and_unknown_users_get_nothing() {
    for method in ALL {
        for (user, password, reason) in [
            (USER, "wrong", AuthFailure::WrongPassword),
            ("nobody", PASSWORD, AuthFailure::UnknownUser),
            ("", PASSWORD, AuthFailure::BadName),
        ] {
            let client = client_config(user, password, &ALL);
            let mut pair = Pair::new(server_config(&[method]), client, CLEAN, 3);
            pair.run(Duration::from_secs(30));
            let failed = |event: &Output| {
                matches!(event, Output::AuthFailed { party: Party::Peer, reason: seen, .. }
                    if *seen == reason)
            };
            assert!(pair.server().event(failed), "{method} {user:?}");
            for host in &pair.ends {
                assert!(host.is_down());
                assert!(!host.event(|event| matches!(event, Output::NetworkUp(_))));
            }
        }
    }
}

#[test]
fn both_directions_prove_themselves() {
    let own = Credentials {
        user: USER.to_owned(),
        secret: Secret::new(PASSWORD),
        methods: ALL.to_vec(),
    };
    for (server_asks, client_asks) in [
        (AuthMethod::MsChapV2, AuthMethod::ChapMd5),
        (AuthMethod::ChapMd5, AuthMethod::MsChapV2),
        (AuthMethod::Pap, AuthMethod::Pap),
    ] {
        let server = Config {
            credentials: Some(own.clone()),
            ..server_config(&[server_asks])
        };
        let client = Config {
            authenticate_peer: vec![client_asks],
            host_name: "client".to_owned(),
            ..client_config(USER, PASSWORD, &ALL)
        };
        let mut pair = Pair::new(server, client, CLEAN, 4);
        pair.run(Duration::from_secs(5));
        for host in &pair.ends {
            assert!(
                host.is_up(),
                "{server_asks} {client_asks}: {:?}",
                host.events
            );
            assert_eq!(host.link.view().user.as_deref(), Some(USER));
        }
    }
}

#[test]
fn a_server_that_cannot_prove_itself_is_left() {
    // The server takes any Response; its Success has a wrong `S=`.
    let config = client_config(USER, PASSWORD, &[AuthMethod::MsChapV2]);
    let mut host = Host::new(config, 5, Instant::now());
    let first = host.open();
    harness::ack(&mut host, LCP, &first);
    host.feed(LCP, &packet(1, 1, &[3, 5, 0xc2, 0x23, 0x81]));
    let mut challenge = vec![16];
    challenge.extend([7; 16]);
    // A Success nobody asked for opens nothing.
    host.feed(CHAP, &packet(3, 9, b"S=00 M=come in"));
    assert_eq!(host.link.phase(), Phase::Authenticate);
    let sent = host.feed(CHAP, &packet(1, 9, &challenge));
    assert_eq!(find(&sent, CHAP, 2)[4], 49);
    let success = [&b"S="[..], &[b'0'; 40], b" M=Welcome"].concat();
    host.feed(CHAP, &packet(3, 8, &success));
    assert_eq!(host.link.phase(), Phase::Authenticate);
    let sent = host.feed(CHAP, &packet(3, 9, &success));
    find(&sent, LCP, 5);
    let reason = AuthFailure::PeerNotVerified;
    let method = AuthMethod::MsChapV2;
    let user = USER.to_owned();
    let failed = Output::AuthFailed {
        party: Party::Us,
        user,
        method,
        reason,
    };
    assert!(host.event(|event| *event == failed));
}

#[test]
fn a_lost_success_is_sent_again() {
    let mut pair = Pair::new(
        server_config(&ALL),
        client_config(USER, PASSWORD, &ALL),
        CLEAN,
        6,
    );
    let mut dropped = 0;
    for _ in 0..400 {
        pair.run(Duration::from_millis(20));
        let before = pair.flying.len();
        if dropped < 1 {
            pair.flying
                .retain(|(_, _, (protocol, payload))| !(*protocol == CHAP && payload[0] == 3));
        }
        dropped += before - pair.flying.len();
    }
    assert_eq!(dropped, 1);
    assert!(pair.client().is_up() && pair.server().is_up());
}

#[test]
fn closing_either_end_ends_both() {
    for closer in 0..2 {
        let mut pair = Pair::new(
            server_config(&ALL),
            client_config(USER, PASSWORD, &ALL),
            CLEAN,
            7,
        );
        pair.run(Duration::from_secs(5));
        let now = pair.ends[closer].now;
        pair.ends[closer].link.close(now, CloseReason::Shutdown);
        let sent = pair.ends[closer].drain();
        assert_eq!(find(&sent, LCP, 5)[4..], *b"Server going down");
        pair.fly(closer, sent);
        pair.run(Duration::from_secs(3));
        let ours = DownReason::Closed(CloseReason::Shutdown);
        let theirs = DownReason::PeerTerminated("Server going down".to_owned());
        assert_eq!(
            pair.ends[closer].events.last(),
            Some(&Output::Down { reason: ours })
        );
        assert_eq!(
            pair.ends[1 - closer].events.last(),
            Some(&Output::Down { reason: theirs })
        );
        for host in &mut pair.ends {
            assert_eq!(host.link.next_timeout(), None);
            assert_eq!(host.feed(LCP, &packet(9, 1, &[0; 4])), []);
        }
    }
}

#[test]
fn a_silent_peer_is_found_out_and_traffic_counts_as_life() {
    let mut pair = Pair::new(
        server_config(&ALL),
        client_config(USER, PASSWORD, &ALL),
        CLEAN,
        8,
    );
    pair.run(Duration::from_secs(1000));
    assert!(pair.server().is_up() && pair.client().is_up());
    assert!(pair.server().link.counters().echo_replies_in > 10);
    pair.path.lost = 100;
    for _ in 0..50 {
        pair.run(Duration::from_secs(20));
        let now = pair.ends[0].now;
        pair.ends[0].link.note_traffic(now);
    }
    assert!(pair.server().is_up(), "data still came in");
    assert!(!pair.client().is_up(), "heard nothing");
    pair.run(Duration::from_secs(30 * 6 + 10));
    let last = Output::Down {
        reason: DownReason::PeerDead,
    };
    assert_eq!(pair.server().events.last(), Some(&last));
}

#[test]
fn nobody_there() {
    let path = Path { lost: 100, ..CLEAN };
    let mut pair = Pair::new(
        server_config(&ALL),
        client_config(USER, PASSWORD, &ALL),
        path,
        9,
    );
    pair.run(Duration::from_secs(60));
    for host in &pair.ends {
        assert_eq!(
            host.events,
            [Output::Down {
                reason: DownReason::NoLcpAnswer
            }]
        );
    }
    // Max-Configure requests each.
    assert_eq!(pair.frames, 20);
}

#[test]
fn a_looped_back_link_is_noticed() {
    let mut host = Host::new(server_config(&ALL), 10, Instant::now());
    let mut echo = host.open();
    for _ in 0..200 {
        let frames = std::mem::take(&mut echo);
        for (protocol, payload) in frames {
            echo.extend(host.feed(protocol, &payload));
        }
        if host.is_down() {
            break;
        }
        if echo.is_empty() {
            echo = host.advance(Duration::from_secs(2));
        }
    }
    assert_eq!(
        host.events,
        [Output::Down {
            reason: DownReason::Loopback
        }]
    );
}

#[test]
fn a_checkpointed_link_goes_on() {
    let server = Config {
        ipv6: true,
        ..server_config(&ALL)
    };
    let client = Config {
        ipv6: true,
        ..client_config(USER, PASSWORD, &ALL)
    };
    let mut pair = Pair::new(server.clone(), client.clone(), CLEAN, 11);
    pair.run(Duration::from_secs(5));
    let before = [pair.server().link.view(), pair.client().link.view()];
    for (end, config) in [server.clone(), client].into_iter().enumerate() {
        let checkpoint: Checkpoint = pair.ends[end].link.checkpoint().unwrap();
        let host = &mut pair.ends[end];
        host.link = Link::restore(config, &checkpoint, host.now, &mut host.rng).unwrap();
        assert_eq!(host.link.poll_output(), None);
        let text = serde_json::to_string(&checkpoint).unwrap();
        assert!(!text.contains(PASSWORD));
        assert_eq!(
            serde_json::from_str::<Checkpoint>(&text).unwrap(),
            checkpoint
        );
        assert_eq!(host.link.checkpoint(), Some(checkpoint));
        assert_eq!(host.link.view(), before[end]);
    }
    // The keepalive goes on.
    pair.run(Duration::from_secs(300));
    assert!(pair.server().link.counters().echo_replies_in > 2);
    // So does a renegotiation, which asks for proof again.
    pair.ends[0].events.clear();
    let sent = pair.ends[0].feed(LCP, &packet(1, 77, &[1, 4, 5, 0x78]));
    pair.fly(0, sent);
    pair.run(Duration::from_secs(20));
    assert!(
        pair.server()
            .event(|event| matches!(event, Output::NetworkDown(_)))
    );
    assert!(
        pair.server()
            .event(|event| matches!(event, Output::Authenticated { .. }))
    );
    assert!(pair.server().is_up() && pair.client().is_up());
    // And the end.
    let now = pair.ends[1].now;
    pair.ends[1].link.close(now, CloseReason::Administrative);
    let sent = pair.ends[1].drain();
    pair.fly(1, sent);
    pair.run(Duration::from_secs(5));
    assert!(pair.server().is_down() && pair.client().is_down());
}

#[test]
fn checkpoints_that_do_not_fit_are_refused() {
    let config = Config {
        ipv4: Ipv4Config::Assign,
        ..server_config(&ALL)
    };
    let mut pair = Pair::new(
        config.clone(),
        client_config(USER, PASSWORD, &ALL),
        CLEAN,
        12,
    );
    assert_eq!(pair.server().link.checkpoint(), None);
    pair.run(Duration::from_secs(5));
    let good = pair.server().link.checkpoint().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let now = Instant::now();
    let mut restore = |checkpoint: Checkpoint| {
        Link::restore(config.clone(), &checkpoint, now, &mut rng).map(|_| ())
    };
    assert_eq!(restore(good.clone()), Ok(()));
    let unproven = Checkpoint {
        peer_method: None,
        ..good.clone()
    };
    assert_eq!(restore(unproven), Err(RestoreError::NotAuthenticated));
    let closed = Checkpoint {
        ipv4: None,
        ..good.clone()
    };
    assert_eq!(restore(closed), Err(RestoreError::NothingOpen));
    let mut other = ASSIGNMENT;
    other.peer = Ipv4Addr::new(10, 9, 8, 7);
    let twisted = Checkpoint {
        assignment: Some(other),
        ..good
    };
    assert_eq!(restore(twisted), Err(RestoreError::Inconsistent));
}

#[test]
fn renegotiation_by_the_peer_shuts_the_network_until_it_is_proven_again() {
    let mut pair = Pair::new(
        server_config(&ALL),
        client_config(USER, PASSWORD, &ALL),
        CLEAN,
        13,
    );
    pair.run(Duration::from_secs(5));
    let host = &mut pair.ends[0];
    host.feed(LCP, &packet(1, 200, &[]));
    assert_eq!(host.link.phase(), Phase::Establish);
    assert!(!host.is_up());
    assert_eq!(host.feed(IPCP, &packet(1, 9, &[])), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn bad_paths_end_up_open_or_down(
        seed: u64,
        lost in 0u32..45,
        doubled in 0u32..40,
        late in 0u32..40,
        method in 0usize..3,
        ipv6: bool,
    ) {
        let path = Path { lost, doubled, late };
        let server = Config { ipv6, ..server_config(&ALL[method..=method]) };
        let client = Config { ipv6, ..client_config(USER, PASSWORD, &ALL) };
        let mut pair = Pair::new(server, client, path, seed);
        pair.run(Duration::from_secs(70));
        // Nothing is half open after the set-up time.
        for host in &pair.ends {
            let settled = host.is_down() || host.link.phase() == Phase::Network;
            prop_assert!(settled || host.link.phase() == Phase::Terminate
                || host.link.counters().renegotiations > 0, "{:?}", host.link.view());
        }
        // With the path repaired, the ends agree before long: both open or both down.
        pair.path = CLEAN;
        pair.run(Duration::from_secs(400));
        let down = pair.server().is_down() as u8 + pair.client().is_down() as u8;
        prop_assert!(down != 1, "{:?}\n{:?}", pair.server().events, pair.client().events);
        if down == 0 {
            prop_assert!(pair.server().is_up() && pair.client().is_up());
        }
    }

    #[test]
    fn mild_loss_never_keeps_them_apart(seed: u64, method in 0usize..3) {
        let path = Path { lost: 5, doubled: 5, late: 5 };
        let server = server_config(&ALL[method..=method]);
        let mut pair = Pair::new(server, client_config(USER, PASSWORD, &ALL), path, seed);
        pair.run(Duration::from_secs(60));
        prop_assert!(pair.server().is_up() && pair.client().is_up(),
            "{:?}\n{:?}", pair.server().events, pair.client().events);
    }
}

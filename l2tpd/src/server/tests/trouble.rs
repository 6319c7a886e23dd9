//! Wrong passwords, empty pools, lost frames, kernels that refuse, and peers that send anything.

use std::time::Duration;

use l2tp_proto::{FlowId, KernelId, SessionId, TunnelId};
use proptest::prelude::*;
use rand_core::Rng;

use super::world::{Fate, SERVER, USERS, World, config, users};
use crate::control::protocol::{Answer, Request};
use crate::events::Event;
use crate::server::{Input, SessionKey};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn wrong_passwords_and_unknown_users_leave_nothing_behind() {
    for (user, password) in [("alice", "looking-glass"), ("mallory", "wonderland")] {
        let mut world = World::usual();
        let client = world.client(user, password);
        world.connect(client);
        world.pass(60 * SECOND);
        world.assert_clean(0);
        world.assert_clean(client);
        assert!(world.has_event(0, |event| matches!(
            event, Event::LoginRefused { user: name, remedy, .. }
                if name == user && !remedy.is_empty()
        )));
        assert!(!world.has_event(0, |event| matches!(event, Event::SessionUp { .. })));
        match world.request(client, Request::ShowConnections) {
            Answer::Connections(connections) => {
                assert_eq!(connections[0].state, "down");
                assert!(connections[0].reason.contains("refused"), "{connections:?}");
            }
            other => panic!("{other:?}"),
        }
        assert!(!format!("{:?}", world.hosts[0].events).contains("wonderland"));
    }
}

#[test]
fn an_empty_pool_turns_the_next_one_away_and_nobody_else() {
    let mut world = World::new(config("pool: [10.77.0.10]\n"), users(USERS));
    let (first, second) = (
        world.client("alice", "wonderland"),
        world.client("alice", "wonderland"),
    );
    world.connect(first);
    world.pass(SECOND);
    world.connect(second);
    world.pass(30 * SECOND);
    assert!(world.is_up(first));
    assert_eq!(world.sessions(0).len(), 1);
    assert!(world.has_event(0, |event| matches!(
        event, Event::NoAddress { reason, .. } if reason.contains("enlarge `pool`")
    )));
    world.assert_clean(second);
    world.request(
        first,
        Request::Disconnect {
            name: "home".into(),
        },
    );
    world.pass(20 * SECOND);
    world.connect(second);
    world.pass(SECOND);
    assert!(world.is_up(second));
}

#[test]
fn a_client_that_vanished_and_returns_has_its_fixed_address_at_once() {
    let mut world = World::usual();
    let old = world.client("bob", "builder");
    world.connect(old);
    world.pass(SECOND);
    let new = world.replace_client(old, "bob", "builder");
    world.connect(new);
    world.pass(SECOND);
    assert!(world.is_up(new));
    let sessions = world.sessions(0);
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].address, Some([10, 77, 0, 9].into()));
}

#[test]
fn a_fixed_address_moves_to_the_newer_session_of_its_user() {
    let mut world = World::usual();
    let (first, second) = (
        world.client("bob", "builder"),
        world.client("bob", "builder"),
    );
    world.connect(first);
    world.pass(SECOND);
    world.connect(second);
    world.pass(20 * SECOND);
    assert!(world.is_up(second));
    world.assert_clean(first);
    assert!(world.has_event(0, |event| matches!(
        event, Event::SessionDown { reason, .. } if reason.contains("replaced by a newer session")
    )));
}

#[test]
fn a_user_with_too_many_sessions_keeps_the_newest() {
    let text = "pool: [10.77.0.10-10.77.0.19]\nlimits: {sessions_per_user: 2}\n";
    let mut world = World::new(config(text), users(USERS));
    let clients: Vec<usize> = (0..4)
        .map(|_| world.client("alice", "wonderland"))
        .collect();
    for client in &clients {
        world.connect(*client);
        world.pass(SECOND);
    }
    world.pass(20 * SECOND);
    assert_eq!(world.sessions(0).len(), 2);
    assert!(world.is_up(clients[2]) && world.is_up(clients[3]));
}

#[test]
fn lost_frames_delay_and_nothing_else() {
    for seed in 0..20 {
        let mut world = World::usual();
        for _ in 0..seed {
            world.rng.next_u32();
        }
        world.loss = 250;
        let client = world.client("alice", "wonderland");
        world.connect(client);
        world.pass(90 * SECOND);
        let up = (world.is_up(0), world.is_up(client));
        if !up.0 || !up.1 {
            world.loss = 0;
            world.request(
                client,
                Request::Disconnect {
                    name: "home".into(),
                },
            );
            world.pass(200 * SECOND);
            world.assert_clean(0);
            world.assert_clean(client);
        }
    }
}

#[test]
fn a_peer_that_falls_silent_is_noticed() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    world.kill(client);
    world.pass(600 * SECOND);
    world.assert_clean(0);
    assert!(world.has_event(0, |event| matches!(
        event, Event::SessionDown { reason, .. } if reason.contains("not responding")
    )));
}

/// Whatever operation of either side is refused, or done without an answer: the session comes up
/// all the same or is gone without a trace, and the next one comes up.
#[test]
fn no_failed_operation_leaves_anything_behind() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    let count = [0, client].map(|host| world.hosts[host].operations);
    assert!(count[0] > 5 && count[1] > 5, "{count:?}");
    for (side, operations) in count.into_iter().enumerate() {
        for operation in 0..operations {
            for fate in [Fate::Refused, Fate::Silent] {
                let mut world = World::usual();
                let client = world.client("alice", "wonderland");
                let host = [0, client][side];
                world.hosts[host].fates.insert(operation, fate);
                world.connect(client);
                world.pass(200 * SECOND);
                let up = world.is_up(0);
                assert_eq!(world.is_up(client), up, "{host} {operation} {fate:?}");
                if !up {
                    world.pass(400 * SECOND);
                    world.assert_clean(0);
                    world.assert_clean(client);
                    world.connect(client);
                    world.pass(SECOND);
                    assert!(world.is_up(client), "{host} {operation} {fate:?}");
                }
            }
        }
    }
}

#[test]
fn a_vanished_kernel_takes_every_session_and_the_next_one_serves() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    world.hosts[0].kernel = Default::default();
    world.input(0, Input::KernelLost(KernelId::Soft));
    world.pass(SECOND);
    world.assert_clean(0);
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::KernelLost(KernelId::Soft)
    )));
    world.pass(600 * SECOND);
    world.request(
        client,
        Request::Disconnect {
            name: "home".into(),
        },
    );
    world.pass(100 * SECOND);
    world.connect(client);
    world.pass(SECOND);
    assert!(world.is_up(client) && world.is_up(0));
}

#[test]
fn storms_of_reconnections_end_with_everybody_served() {
    let text = "pool: [10.77.1.0-10.77.1.99]\n";
    let mut world = World::new(config(text), users(USERS));
    let mut clients: Vec<usize> = (0..30)
        .map(|_| world.client("alice", "wonderland"))
        .collect();
    for _ in 0..10 {
        for client in &mut clients {
            match world.rng.next_u32() % 4 {
                // The machine dies and comes back with the same address, or says goodbye first.
                0 => *client = world.replace_client(*client, "alice", "wonderland"),
                1 => {
                    world.request(
                        *client,
                        Request::Disconnect {
                            name: "home".into(),
                        },
                    );
                }
                _ => {}
            }
            world.request(
                *client,
                Request::Connect {
                    name: "home".into(),
                },
            );
        }
        world.pass(Duration::from_millis(700));
    }
    world.pass(30 * SECOND);
    for client in &clients {
        world.request(
            *client,
            Request::Connect {
                name: "home".into(),
            },
        );
    }
    world.pass(5 * SECOND);
    for client in &clients {
        assert!(world.is_up(*client));
    }
    assert_eq!(world.sessions(0).len(), clients.len());
    for client in &clients {
        world.request(
            *client,
            Request::Disconnect {
                name: "home".into(),
            },
        );
    }
    world.pass(60 * SECOND);
    world.assert_clean(0);
}

#[test]
fn automatic_connections_come_back() {
    let mut world = World::usual();
    let server = crate::server::Server::new(
        super::world::client_config("alice", "wonderland", ", automatic: true, retry: 5"),
        crate::users::Users::default(),
        l2tp_proto::KernelId::Soft,
    );
    let client = world.add(server, "198.51.100.9:1701", 1);
    let now = world.now;
    let super::world::World { hosts, rng, .. } = &mut world;
    hosts[client].server.start(now, rng);
    world.run();
    world.pass(SECOND);
    assert!(world.is_up(client));
    world.request(
        0,
        Request::DisconnectUser {
            user: "alice".into(),
        },
    );
    world.pass(3 * SECOND);
    assert!(!world.is_up(client));
    world.pass(10 * SECOND);
    assert!(
        world.is_up(client),
        "{:?} {:?}",
        world.request(client, Request::ShowConnections),
        world.hosts[client].events
    );
    world.input(client, Input::Shutdown);
    world.pass(20 * SECOND);
    assert!(world.hosts[client].finished.is_some());
    world.assert_clean(0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes of any kind at every entrance, before and after a session is up: it stays up or goes
    /// cleanly, and nothing panics.
    #[test]
    fn anything_may_come(
        parcels in proptest::collection::vec(
            (0u8..4, any::<u16>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..40)
    ) {
        let mut world = World::usual();
        let client = world.client("alice", "wonderland");
        world.connect(client);
        world.pass(SECOND);
        let session = *world.hosts[0].kernel.sessions.keys().next().unwrap();
        for (kind, number, bytes) in parcels {
            let input = match kind {
                0 => {
                    let peer = "203.0.113.7:1701".parse().unwrap();
                    let flow = FlowId {
                        local: SERVER.parse().unwrap(),
                        peer,
                        reqid: 3,
                        kernel: KernelId::Soft,
                    };
                    let mut datagram = vec![0xc8, 0x02];
                    datagram.extend(u16::try_from(bytes.len() + 4).unwrap().to_be_bytes());
                    datagram.extend(bytes);
                    Input::Datagram { flow, bytes: datagram }
                }
                1 => Input::Control { tunnel: session.tunnel, frame: bytes },
                2 => {
                    let protocol = [0xc021, 0xc023, 0xc223, 0x8021, 0x8057, number];
                    let protocol = protocol[usize::from(number) % protocol.len()];
                    Input::Frame { session, protocol, payload: bytes }
                }
                _ => {
                    let tunnel = TunnelId::new(number.max(1)).unwrap();
                    let session = SessionId::new(number.max(1)).unwrap();
                    let session = SessionKey { tunnel, session };
                    Input::Frame { session, protocol: 0xc021, payload: bytes }
                }
            };
            world.input(0, input);
        }
        world.pass(700 * SECOND);
        world.request(client, Request::Disconnect { name: "home".into() });
        world.request(0, Request::DisconnectUser { user: "alice".into() });
        world.pass(700 * SECOND);
        world.assert_clean(0);
    }
}

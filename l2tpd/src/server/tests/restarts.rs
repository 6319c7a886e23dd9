//! A process that ends and another that takes its tunnels over.

use std::time::Duration;

use super::world::{USERS, World, config, users};
use crate::control::protocol::Request;
use crate::events::Event;
use crate::server::State;

const SECOND: Duration = Duration::from_secs(1);
const POOL: &str = "pool: [10.77.0.10-10.77.0.19]\ndns: [10.77.0.53]\n";

#[test]
fn sessions_outlive_the_process() {
    let mut world = World::usual();
    let clients = [
        world.client("alice", "wonderland"),
        world.client("bob", "builder"),
    ];
    for client in clients {
        world.connect(client);
    }
    world.pass(SECOND);
    let before = world.sessions(0);
    let mut state = world.hosts[0].server.checkpoint(world.now);
    let text = serde_json::to_string(&state).unwrap();
    assert!(!text.contains("wonderland") && !text.contains("builder"));
    world.kill(0);
    world.pass(20 * SECOND);
    state.age(20);
    world.restart(0, config(POOL), users(USERS), state);
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::Adopted {
            tunnels: 2,
            sessions: 2,
            orphans: 0
        }
    )));
    let after = world.sessions(0);
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(
            (
                &before.user,
                before.address,
                &before.interface,
                before.id,
                before.peer_id
            ),
            (
                &after.user,
                after.address,
                &after.interface,
                after.id,
                after.peer_id
            )
        );
        assert_eq!(after.state, "up");
        assert_eq!(after.age, before.age + 20);
    }
    // Echo and HELLO go on for both sides, for long.
    world.pass(900 * SECOND);
    assert!(world.is_up(0) && clients.iter().all(|client| world.is_up(*client)));
    // Addresses in hands are known.
    let third = world.client("alice", "wonderland");
    world.connect(third);
    world.pass(SECOND);
    assert!(world.is_up(third));
    for client in clients.into_iter().chain([third]) {
        world.request(
            client,
            Request::Disconnect {
                name: "home".into(),
            },
        );
    }
    world.pass(30 * SECOND);
    world.assert_clean(0);
}

#[test]
fn a_client_process_is_taken_over_too() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    let state = world.hosts[client].server.checkpoint(world.now);
    world.kill(client);
    let config = super::world::client_config("alice", "wonderland", "");
    world.restart(client, config, crate::users::Users::default(), state);
    world.pass(300 * SECOND);
    assert!(world.is_up(client) && world.is_up(0));
    world.request(
        client,
        Request::Disconnect {
            name: "home".into(),
        },
    );
    world.pass(30 * SECOND);
    world.assert_clean(client);
    world.assert_clean(0);
}

#[test]
fn what_cannot_be_taken_over_is_removed() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    world.kill(0);
    world.restart(0, config(POOL), users(USERS), State::default());
    world.assert_clean(0);
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::Adopted { tunnels: 0, .. }
    )));
    // Its peer is told, and does not wait for its own questions to be unanswered.
    world.pass(SECOND);
    assert!(!world.is_up(client));

    // The other way round: a state without nodes.
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    let state = world.hosts[0].server.checkpoint(world.now);
    world.kill(0);
    world.hosts[0].kernel = Default::default();
    world.restart(0, config(POOL), users(USERS), state);
    world.assert_clean(0);
}

#[test]
fn sessions_that_no_longer_fit_the_configuration_go() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    let mut state = world.hosts[0].server.checkpoint(world.now);
    // As if it had never authenticated.
    state.sessions[0].link.user = None;
    state.sessions[0].link.peer_method = None;
    world.kill(0);
    world.restart(0, config(POOL), users(USERS), state);
    assert!(world.hosts[0].kernel.sessions.is_empty());
    // The client is told, and does not wait for its own questions to be unanswered.
    world.pass(SECOND);
    assert!(!world.is_up(client));
    world.request(
        client,
        Request::Disconnect {
            name: "home".into(),
        },
    );
    world.pass(100 * SECOND);
    world.assert_clean(0);
}

#[test]
fn half_open_sessions_are_not_saved() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.loss = 1000;
    world.connect(client);
    world.pass(SECOND);
    let state = world.hosts[0].server.checkpoint(world.now);
    assert!(state.sessions.is_empty());
    world.kill(0);
    world.loss = 0;
    world.restart(0, config(POOL), users(USERS), state);
    assert!(world.hosts[0].kernel.sessions.is_empty());
}

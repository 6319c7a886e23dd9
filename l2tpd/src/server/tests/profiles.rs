//! Links, bundles and users of mpd5's kind: who is served how, and who is not.

use std::time::Duration;

use super::super::*;
use super::world::{World, config, users};
use crate::control::protocol::{Answer, Request};
use crate::secret::Secret;

const SECOND: Duration = Duration::from_secs(1);

const USERS: &str = "users:\n- {name: ann@staff, password: a}\n- {name: root, password: b}\n\
     - {name: guest, password: c}\n- {name: GUEST, password: c}\n";

fn world(more: &str) -> World {
    let settings = format!(
        "pools: {{staff: [10.77.1.1-10.77.1.9], guests: [10.77.2.1-10.77.2.9]}}\n\
         bundles:\n  staff: {{pool: staff, dns: [10.77.1.53]}}\n  \
         guests: {{pool: guests, local_address: 10.77.2.254, idle_timeout: 300, \
         interface: {{proxy_arp: true, name: guest, description: '%U at %A on %I'}}}}\n\
         links:\n- name: in\n  local: 192.0.2.1\n  max_sessions: 2\n  actions:\n  \
         - {{bundle: staff, match: '@staff$'}}\n  - {{drop: true, match: '^root'}}\n  \
         - {{bundle: guests}}\n{more}"
    );
    World::new(config(&settings), users(USERS))
}

fn connected(world: &mut World, user: &str, password: &str) -> usize {
    let client = world.client(user, password);
    world.connect(client);
    world.pass(10 * SECOND);
    client
}

/// User, link, bundle and address of every session that is up.
fn sessions(world: &World) -> Vec<String> {
    let view = world.hosts[0].server.view(world.now);
    let up = view.sessions.iter().filter(|session| session.up);
    up.map(|session| {
        let (link, bundle) = (&session.link, &session.bundle);
        let ends = session.ipv4.map(|(local, peer)| format!("{local} {peer}"));
        format!(
            "{} {link} {bundle} {}",
            session.user,
            ends.unwrap_or_default()
        )
    })
    .collect()
}

#[test]
fn the_first_action_that_matches_counts() {
    let mut world = world("");
    connected(&mut world, "ann@staff", "a");
    connected(&mut world, "guest", "c");
    assert_eq!(
        sessions(&world),
        [
            "ann@staff in-0 staff-0 10.77.0.1 10.77.1.1",
            "guest in-1 guests-1 10.77.2.254 10.77.2.1",
        ]
    );
    let setups: Vec<InterfaceSetup> = world.hosts[0]
        .kernel
        .sessions
        .values()
        .filter_map(|node| node.setup.clone())
        .collect();
    let described: Vec<&str> = setups
        .iter()
        .filter_map(|setup| setup.description.as_deref())
        .collect();
    assert_eq!(described, ["guest at 10.77.2.1 on ng1"]);
    let guest = std::net::Ipv4Addr::new(10, 77, 2, 1);
    assert_eq!(world.hosts[0].kernel.arp, [(guest, true)]);
    let request = Request::DisconnectUser {
        user: "guest".to_owned(),
    };
    world.request(0, request);
    world.pass(10 * SECOND);
    assert_eq!(world.hosts[0].kernel.arp, [(guest, true), (guest, false)]);
    // The number is free again.
    connected(&mut world, "guest", "c");
    assert!(sessions(&world)[1].starts_with("guest in-1 guests-1 "));
}

#[test]
fn a_user_whom_the_actions_drop_gets_nothing() {
    let mut world = world("");
    connected(&mut world, "root", "b");
    assert_eq!(sessions(&world), Vec::<String>::new());
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::SessionDown { reason, was_up: false, .. } if reason.contains("actions refuse")
    )));
    world.pass(60 * SECOND);
    assert!(world.hosts[0].kernel.sessions.is_empty());
}

#[test]
fn calls_that_no_link_takes_or_that_are_too_many_are_refused() {
    let mut world = world("");
    for _ in 0..2 {
        connected(&mut world, "guest", "c");
    }
    connected(&mut world, "guest", "c");
    assert_eq!(sessions(&world).len(), 2);
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::CallRefused { reason, .. } if reason.contains("as many sessions")
    )));
    let settings = "links:\n- {name: partner, peer: 203.0.113.0/24}\n";
    let mut world = World::new(config(settings), users(USERS));
    connected(&mut world, "guest", "c");
    assert_eq!(sessions(&world), Vec::<String>::new());
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::CallRefused { reason, .. } if reason.contains("no link")
    )));
    assert!(world.hosts[0].kernel.sessions.is_empty());
}

#[test]
fn one_login_too_many_is_refused_where_that_is_wanted() {
    let mut world = world("limits: {sessions_per_user: 1, one_more: refused}\n");
    connected(&mut world, "guest", "c");
    let before = sessions(&world);
    connected(&mut world, "guest", "c");
    assert_eq!(sessions(&world), before, "the older one stays");
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::SessionDown { reason, .. } if reason.contains("as many sessions as allowed")
    )));
    connected(&mut world, "GUEST", "c");
    assert_eq!(sessions(&world).len(), 2, "another name");
}

#[test]
fn sessions_end_for_being_idle_and_for_their_age() {
    let mut world = world("session_timeout: 1000\n");
    connected(&mut world, "guest", "c");
    world.pass(280 * SECOND);
    assert_eq!(sessions(&world).len(), 1);
    world.pass(30 * SECOND);
    assert_eq!(sessions(&world).len(), 0);
    let ended = |world: &World, words: &str| {
        world.has_event(0, |event| {
            matches!(
                event,
                Event::SessionDown { reason, .. } if reason == words
            )
        })
    };
    assert!(ended(&world, "Idle timeout"));
    connected(&mut world, "ann@staff", "a");
    world.pass(980 * SECOND);
    assert_eq!(sessions(&world).len(), 1);
    assert!(!ended(&world, "Session timeout"));
    world.pass(30 * SECOND);
    assert_eq!(sessions(&world).len(), 0);
    assert!(ended(&world, "Session timeout"));
}

/// mpd.secret with a program for everybody.
fn with_program() -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mpd.secret");
    std::fs::write(&path, "* \"!/bin/lookup -x\"\n").unwrap();
    let users = Users::read(&crate::config::UsersFile::MpdSecret(path)).unwrap();
    World::new(config("pool: [10.77.0.10-10.77.0.19]\n"), users)
}

#[test]
fn a_program_knows_the_password() {
    let mut world = with_program();
    let client = world.client("HOME\\alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    let (lookup, run) = world.hosts[0].lookups.pop().unwrap();
    assert_eq!(run.program, std::path::Path::new("/bin/lookup"));
    assert_eq!(run.arguments, ["-x", "alice"]);
    assert_eq!(sessions(&world).len(), 0);
    let outcome = Ok(Secret::new("wonderland"));
    world.input(0, Input::LookedUp { lookup, outcome });
    world.pass(5 * SECOND);
    assert!(sessions(&world)[0].starts_with("alice default-0 default-0 10.77.0.1 10.77.0.10"));
    // An answer that comes twice changes nothing.
    let outcome = Ok(Secret::new("other"));
    world.input(0, Input::LookedUp { lookup, outcome });
    assert_eq!(sessions(&world).len(), 1);
}

#[test]
fn a_program_that_fails_or_is_late_lets_nobody_in() {
    for outcome in [Err("ended with 1".to_owned()), Ok(Secret::new("another"))] {
        let mut world = with_program();
        let client = world.client("alice", "wonderland");
        world.connect(client);
        world.pass(SECOND);
        let (lookup, _) = world.hosts[0].lookups.pop().unwrap();
        world.input(0, Input::LookedUp { lookup, outcome });
        world.pass(60 * SECOND);
        assert_eq!(sessions(&world).len(), 0);
        assert!(world.hosts[0].kernel.sessions.is_empty());
    }
    let mut world = with_program();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    let (lookup, _) = world.hosts[0].lookups.pop().unwrap();
    let name = "home".to_owned();
    let answer = world.request(client, Request::Disconnect { name });
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    world.pass(60 * SECOND);
    let outcome = Ok(Secret::new("wonderland"));
    world.input(0, Input::LookedUp { lookup, outcome });
    world.pass(SECOND);
    assert!(world.hosts[0].kernel.sessions.is_empty());
}

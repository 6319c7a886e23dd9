//! Sessions that come up, what they get, and how they end.

use std::net::IpAddr;
use std::time::Duration;

use super::world::{World, config, users};
use crate::control::protocol::{Answer, Request};
use crate::events::Event;
use crate::server::Input;

const SECOND: Duration = Duration::from_secs(1);

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, last])
}

/// Echo-Requests and their answers are all that an idle session costs.
#[test]
fn an_idle_session_asks_its_kernel_nothing() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    let before = [0, client].map(|host| world.hosts[host].operations);
    world.pass(600 * SECOND);
    let after = [0, client].map(|host| world.hosts[host].operations);
    assert_eq!(after, before);
    assert!(world.is_up(client) && world.is_up(0));
}

#[test]
fn a_client_gets_address_interface_and_route() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    assert!(world.is_up(client) && world.is_up(0));

    let session = world.sessions(0).remove(0);
    assert_eq!(
        (session.user.as_str(), session.address),
        ("alice", Some(address(10)))
    );
    assert_eq!(session.authentication, "MS-CHAPv2");
    assert!(session.traffic.received_frames > 0 && session.traffic.sent_octets > 0);

    let node = world.hosts[0].kernel.sessions.values().next().unwrap();
    let setup = node.setup.as_ref().unwrap();
    assert_eq!(setup.addresses, [(address(1), address(10))]);
    assert_eq!((setup.mtu, setup.source_check), (1400, true));
    assert!(setup.routes.is_empty() && node.ipv4 && !node.ipv6);
    let node = world.hosts[client].kernel.sessions.values().next().unwrap();
    let setup = node.setup.as_ref().unwrap();
    assert_eq!(setup.addresses, [(address(10), address(1))]);
    assert_eq!(setup.routes, ["10.77.0.0/16".parse().unwrap()]);
    assert!(!setup.source_check);

    let up = |event: &Event| matches!(event, Event::SessionUp { user, .. } if user == "alice");
    assert!(world.has_event(0, up) && world.has_event(client, up));
    match world.request(client, Request::ShowConnections) {
        Answer::Connections(connections) => assert_eq!(connections[0].state, "up"),
        other => panic!("{other:?}"),
    }

    let answer = world.request(
        client,
        Request::Disconnect {
            name: "home".into(),
        },
    );
    assert!(matches!(answer, Answer::Done(_)));
    world.pass(30 * SECOND);
    world.assert_clean(0);
    world.assert_clean(client);
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::SessionDown { was_up: true, traffic, reason, .. }
            if traffic.received_octets > 0 && reason.contains("the peer")
    )));
}

#[test]
fn ipv6_comes_up_beside_ipv4() {
    let mut world = World::new(
        config("pool: [10.77.0.10]\nipv6: true\n"),
        users(super::world::USERS),
    );
    let server = crate::server::Server::new(
        super::world::client_config("alice", "wonderland", ", ipv6: true"),
        crate::users::Users::default(),
        l2tp_proto::KernelId::Soft,
    );
    let client = world.add(server, "198.51.100.9:1701", 1);
    world.connect(client);
    world.pass(SECOND);
    for host in [0, client] {
        let node = world.hosts[host].kernel.sessions.values().next().unwrap();
        assert!(node.ipv4 && node.ipv6);
        let addresses = &node.setup.as_ref().unwrap().addresses;
        assert_eq!(addresses.len(), 2);
        assert!(addresses.iter().any(|(local, _)| match local {
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        }));
    }
}

#[test]
fn clients_with_the_same_address_and_port_live_side_by_side() {
    let mut world = World::usual();
    let clients: Vec<usize> = (0..8)
        .map(|_| world.client("alice", "wonderland"))
        .collect();
    for client in &clients {
        world.connect(*client);
    }
    world.pass(SECOND);
    for client in &clients {
        assert!(world.is_up(*client));
    }
    let mut addresses: Vec<_> = world.sessions(0).into_iter().map(|s| s.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 8);
}

#[test]
fn operators_end_sessions_tunnels_and_users() {
    let mut world = World::usual();
    let clients: Vec<usize> = (0..3)
        .map(|_| world.client("alice", "wonderland"))
        .collect();
    for client in &clients {
        world.connect(*client);
    }
    world.pass(SECOND);
    let sessions = world.sessions(0);
    let request = Request::DisconnectSession {
        tunnel: sessions[0].tunnel,
        session: sessions[0].id,
    };
    assert!(matches!(world.request(0, request), Answer::Done(_)));
    let request = Request::DisconnectTunnel {
        tunnel: sessions[1].tunnel,
    };
    assert!(matches!(world.request(0, request), Answer::Done(_)));
    world.pass(20 * SECOND);
    assert_eq!(world.sessions(0).len(), 1);
    match world.request(0, Request::ShowUsers) {
        Answer::Users(users) => {
            assert_eq!(
                (users[0].name.as_str(), users[0].sessions.len()),
                ("alice", 1)
            );
            assert_eq!(users[1].address.as_deref(), Some("10.77.0.9"));
        }
        other => panic!("{other:?}"),
    }
    let answer = world.request(
        0,
        Request::DisconnectUser {
            user: "alice".into(),
        },
    );
    assert_eq!(
        answer,
        Answer::Done("disconnecting 1 session of alice".into())
    );
    world.pass(20 * SECOND);
    world.assert_clean(0);
    for request in [
        Request::DisconnectUser {
            user: "alice".into(),
        },
        Request::DisconnectSession {
            tunnel: 1,
            session: 0,
        },
        Request::DisconnectTunnel { tunnel: 9 },
        Request::Connect {
            name: "nowhere".into(),
        },
    ] {
        assert!(matches!(world.request(0, request), Answer::Refused(_)));
    }
}

#[test]
fn pools_and_counters_are_shown() {
    let mut world = World::usual();
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(SECOND);
    match world.request(0, Request::ShowPools) {
        Answer::Pools(pools) => assert_eq!((pools[0].used, pools[0].size), (1, 10)),
        other => panic!("{other:?}"),
    }
    match world.request(0, Request::ShowStats) {
        Answer::Stats(stats) => {
            assert_eq!(stats["server.sessions_up"], 1);
            assert_eq!(stats["l2tp.tunnels_established"], 1);
            assert!(stats["ppp.frames_in"] > 0);
            assert_eq!(stats["now.addresses"], 1);
        }
        other => panic!("{other:?}"),
    }
    match world.request(0, Request::ShowTunnels) {
        Answer::Tunnels(tunnels) => {
            assert_eq!(tunnels[0].state, "established");
            assert_eq!(
                (tunnels[0].role.as_str(), tunnels[0].reqid),
                ("lns", Some(1))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn programs_are_told_and_may_refuse() {
    let program =
        "pool: [10.77.0.10]\ndns: [10.77.0.53]\nhooks: {up: [/bin/true, x], down: [/bin/false]}\n";
    let mut world = World::new(config(program), users(super::world::USERS));
    let client = world.client("alice", "wonderland");
    world.hold_hooks = true;
    world.connect(client);
    world.pass(SECOND);
    let (hook, run) = world.hosts[0].hooks.remove(0);
    assert_eq!(run.program, std::path::Path::new("/bin/true"));
    assert_eq!(
        run.arguments,
        [
            "x",
            "ng0",
            "inet",
            "10.77.0.1/32",
            "10.77.0.10",
            "alice",
            "dns1 10.77.0.53",
            "",
            "198.51.100.9",
            "-"
        ]
    );
    // Not announced before the program agreed.
    assert!(!world.has_event(0, |event| matches!(event, Event::SessionUp { .. })));
    // The session ends while `up` still runs: `down` waits for it.
    world.request(
        client,
        Request::Disconnect {
            name: "home".into(),
        },
    );
    world.pass(20 * SECOND);
    assert!(world.hosts[0].hooks.is_empty());
    world.input(
        0,
        Input::HookDone {
            hook,
            outcome: Ok(()),
        },
    );
    let (hook, run) = world.hosts[0].hooks.remove(0);
    assert_eq!(
        run.arguments,
        [
            "ng0",
            "inet",
            "10.77.0.1/32",
            "10.77.0.10",
            "alice",
            "198.51.100.9",
            "-"
        ]
    );
    assert!(
        run.environment
            .iter()
            .any(|(name, _)| name == "TANUKI_REASON")
    );
    world.input(
        0,
        Input::HookDone {
            hook,
            outcome: Ok(()),
        },
    );
    world.assert_clean(0);

    world.hold_hooks = false;
    world.run_hooks = Err("ended with 1".into());
    world.connect(client);
    world.pass(20 * SECOND);
    world.assert_clean(0);
    assert!(world.has_event(0, |event| matches!(event, Event::HookFailed { .. })));
    assert!(world.has_event(0, |event| matches!(
        event, Event::SessionDown { reason, .. } if reason.contains("the up program refused")
    )));
}

#[test]
fn the_orderly_end_tells_everybody_and_leaves_nothing() {
    let mut world = World::usual();
    let clients: Vec<usize> = (0..4)
        .map(|_| world.client("alice", "wonderland"))
        .collect();
    for client in &clients {
        world.connect(*client);
    }
    world.pass(SECOND);
    // One of them is not there to answer.
    let dead = clients[3];
    world.kill(dead);
    let begun = world.now;
    world.input(0, Input::Shutdown);
    world.pass(5 * SECOND);
    let finished = world.hosts[0].finished.expect("finished");
    assert!(finished - begun <= 3 * SECOND, "{:?}", finished - begun);
    assert!(world.hosts[0].kernel.is_empty());
    world.pass(20 * SECOND);
    for client in &clients[..3] {
        world.assert_clean(*client);
    }
}

#[test]
fn a_new_configuration_leaves_sessions_alone() {
    let mut world = World::usual();
    let (first, second) = (
        world.client("alice", "wonderland"),
        world.client("alice", "wonderland"),
    );
    world.connect(first);
    world.pass(SECOND);
    world.input(
        0,
        Input::Configure(Box::new(config("pool: [10.77.5.1-10.77.5.9]\n"))),
    );
    world.connect(second);
    world.pass(SECOND);
    let addresses: Vec<_> = world
        .sessions(0)
        .into_iter()
        .filter_map(|s| s.address)
        .collect();
    assert!(addresses.contains(&address(10)) && addresses.contains(&IpAddr::from([10, 77, 5, 1])));
    // A user removed from the file stays for now, and cannot come again.
    world.input(0, Input::Users(users("users: []\n")));
    assert!(world.is_up(first));
    world.request(
        first,
        Request::Disconnect {
            name: "home".into(),
        },
    );
    world.pass(20 * SECOND);
    world.connect(first);
    world.pass(20 * SECOND);
    assert_eq!(world.sessions(0).len(), 1);
}

/// As in mpd5, a program that says no refuses its own network protocol only.
#[test]
fn a_program_refuses_one_protocol() {
    let program = "pool: [10.77.0.10]\nipv6: true\nhooks: {up: [/bin/true], down: [/bin/true]}\n";
    let mut world = World::new(config(program), users(super::world::USERS));
    let more = ", ipv6: true";
    let settings = super::world::client_config("alice", "wonderland", more);
    let client = world.client_with(settings);
    world.hold_hooks = true;
    world.connect(client);
    world.pass(SECOND);
    let mut answers = 0;
    while let Some((hook, run)) = world.hosts[0].hooks.pop() {
        let outcome = match run.arguments[1].as_str() {
            "inet" => Err("ended with 1".to_owned()),
            _ => Ok(()),
        };
        answers += 1;
        world.input(0, Input::HookDone { hook, outcome });
        world.pass(SECOND);
    }
    assert!(answers >= 3, "up twice, and down for IPv4: {answers}");
    world.pass(10 * SECOND);
    let node = world.hosts[0].kernel.sessions.values().next().unwrap();
    assert!(!node.ipv4 && node.ipv6, "{node:?}");
    assert!(world.has_event(0, |event| matches!(event, Event::HookFailed { .. })));
}

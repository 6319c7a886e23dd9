//! Prefixes and router advertisements.

use std::net::Ipv6Addr;
use std::time::Duration;

use nd_proto::Solicitation;

use super::world::{Host, SessionNode, World, client_config, config, users};
use crate::control::protocol::Request;
use crate::events::Event;
use crate::server::Input;

const SECOND: Duration = Duration::from_secs(1);
const SERVER: &str = "pool: [10.77.0.10-10.77.0.19]\n\
     ipv6: {prefixes: [2001:db8:77::/63], dns: ['2001:db8::53']}\n";

fn node(host: &Host) -> &SessionNode {
    host.kernel.sessions.values().next().unwrap()
}

fn client(world: &mut World, user: &str, password: &str) -> usize {
    world.client_with(client_config(user, password, ", ipv6: true"))
}

fn prefixes(world: &mut World) -> Vec<Option<String>> {
    let sessions = world.sessions(0).into_iter();
    sessions
        .map(|session| session.prefix.map(|prefix| prefix.to_string()))
        .collect()
}

/// The advertisements that the client's kernel got; what we ask ourselves is not among them.
fn advertisements(host: &Host) -> Vec<&[u8]> {
    let packets = node(host).packets.iter();
    packets
        .map(Vec::as_slice)
        .filter(|packet| packet[40] == 134)
        .collect()
}

#[test]
fn a_client_is_told_its_prefix_again_and_again() {
    let mut world = World::new(config(SERVER), users(super::world::USERS));
    let client = client(&mut world, "alice", "wonderland");
    world.connect(client);
    world.pass(SECOND / 2);
    assert!(world.is_up(0));
    assert_eq!(prefixes(&mut world), [Some("2001:db8:77::/64".to_owned())]);
    let server = &world.hosts[0];
    assert_eq!(server.kernel.routes(), ["2001:db8:77::/64"]);
    let setup = node(server).setup.as_ref().unwrap();
    assert!(node(server).solicitations && !setup.accept_advertisements);
    let (router, host) = setup.addresses[1];
    let host_setup = node(&world.hosts[client]).setup.as_ref().unwrap();
    assert!(host_setup.accept_advertisements && !node(&world.hosts[client]).solicitations);

    // The first comes unasked, the answer to our client's first question at once.
    let told = advertisements(&world.hosts[client]);
    assert_eq!(told.len(), 2);
    for (packet, to) in told.iter().zip(["ff02::1".parse().unwrap(), host]) {
        let address = |at: usize| Ipv6Addr::from(*packet[at..].first_chunk::<16>().unwrap());
        assert_eq!((address(8), address(24)), (ip(router), ip(to)));
        assert_eq!(address(72), "2001:db8:77::".parse::<Ipv6Addr>().unwrap());
        assert_eq!(packet[92..96], 1400u32.to_be_bytes());
        assert_eq!(address(104), "2001:db8::53".parse::<Ipv6Addr>().unwrap());
        assert_eq!(packet.len(), 120);
    }
    world.pass(3600 * SECOND);
    let told = advertisements(&world.hosts[client]).len();
    // Three at first, then one each 200 to 600 seconds; two more answers.
    assert!((3 + 6 + 2..=3 + 18 + 3).contains(&told), "{told}");
    assert_eq!(world.hosts[0].server.counters().solicitations, 3);
    let up = |event: &Event| {
        matches!(
            event,
            Event::SessionUp {
                prefix: Some(_),
                ..
            }
        )
    };
    assert!(world.has_event(0, up));

    disconnect(&mut world, client);
    world.assert_clean(0);
    world.assert_clean(client);
}

fn ip(address: std::net::IpAddr) -> Ipv6Addr {
    match address {
        std::net::IpAddr::V6(v6) => v6,
        std::net::IpAddr::V4(v4) => panic!("{v4}"),
    }
}

fn disconnect(world: &mut World, client: usize) {
    let name = "home".into();
    world.request(client, Request::Disconnect { name });
    world.pass(30 * SECOND);
}

#[test]
fn without_prefixes_ipv6_is_negotiated_and_no_more() {
    let text = "pool: [10.77.0.10]\nipv6: true\n";
    let mut world = World::new(config(text), users(super::world::USERS));
    let client = client(&mut world, "alice", "wonderland");
    world.connect(client);
    world.pass(60 * SECOND);
    let server = node(&world.hosts[0]);
    assert!(server.ipv6 && !server.solicitations);
    assert!(world.hosts[0].kernel.routes().is_empty());
    assert!(advertisements(&world.hosts[client]).is_empty());
    assert_eq!(prefixes(&mut world), [None]);
}

#[test]
fn who_could_get_no_prefix_gets_the_next_that_is_free() {
    let mut world = World::new(config(SERVER), users(super::world::USERS));
    let clients: Vec<usize> = (0..3)
        .map(|_| client(&mut world, "alice", "wonderland"))
        .collect();
    for client in &clients {
        world.connect(*client);
        world.pass(SECOND);
        assert!(world.is_up(*client));
    }
    let both = ["2001:db8:77:1::/64", "2001:db8:77::/64"].map(|prefix| Some(prefix.to_owned()));
    let mut all = prefixes(&mut world);
    all.sort();
    assert_eq!(all[0], None);
    assert_eq!(all[1..], both);
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::NoPrefix { remedy, .. } if remedy.contains("ipv6.prefixes")
    )));
    assert!(advertisements(&world.hosts[clients[2]]).is_empty());
    disconnect(&mut world, clients[0]);
    let mut all = prefixes(&mut world);
    all.sort();
    assert_eq!(all, both);
    assert_eq!(world.hosts[0].kernel.routes().len(), 2);
    let told = advertisements(&world.hosts[clients[2]]);
    assert_eq!(
        told[0][72..88],
        "2001:db8:77::".parse::<Ipv6Addr>().unwrap().octets()
    );
}

#[test]
fn a_prefix_of_ones_own_is_the_newest_sessions() {
    let text = "users:\n- {name: alice, password: wonderland, prefix: '2001:db8:9::/64'}\n";
    let server = config("pool: [10.77.0.0/24]\nipv6: true\nhooks: {up: [/bin/true]}\n");
    let mut world = World::new(server, users(text));
    let own = Some("2001:db8:9::/64".to_owned());
    let first = client(&mut world, "alice", "wonderland");
    world.connect(first);
    world.pass(SECOND);
    assert_eq!(prefixes(&mut world), std::slice::from_ref(&own));
    let told = |(_, run): &(_, tanuki_daemon::hook::Hook)| {
        let named = |(name, _): &&(String, String)| name == "TANUKI_PREFIX";
        run.environment
            .iter()
            .find(named)
            .map(|(_, prefix)| prefix.clone())
    };
    let mut told: Vec<_> = world.hosts[0].hooks.iter().map(told).collect();
    told.sort();
    assert_eq!(told, [None, own.clone()]);
    let second = client(&mut world, "alice", "wonderland");
    world.connect(second);
    world.pass(30 * SECOND);
    assert_eq!(prefixes(&mut world), [own]);
    assert!(world.is_up(second) && !world.is_up(first));
    assert!(!advertisements(&world.hosts[second]).is_empty());
}

#[test]
fn advertisements_keep_nobody_from_being_idle() {
    let text = format!("{SERVER}idle_timeout: 1800\n");
    let mut world = World::new(config(&text), users(super::world::USERS));
    let client = client(&mut world, "alice", "wonderland");
    world.connect(client);
    world.pass(1700 * SECOND);
    assert!(world.is_up(client));
    world.pass(300 * SECOND);
    world.assert_clean(0);
    assert!(world.has_event(0, |event| matches!(
        event,
        Event::SessionDown { reason, .. } if reason == "Idle timeout"
    )));
}

#[test]
fn a_restart_takes_the_prefix_up_again() {
    let mut world = World::new(config(SERVER), users(super::world::USERS));
    let client = client(&mut world, "alice", "wonderland");
    world.connect(client);
    world.pass(60 * SECOND);
    let before = prefixes(&mut world);
    let state = world.hosts[0].server.checkpoint(world.now);
    world.kill(0);
    world.restart(0, config(SERVER), users(super::world::USERS), state);
    assert_eq!(prefixes(&mut world), before);
    let told = advertisements(&world.hosts[client]).len();
    world.pass(SECOND);
    assert_eq!(advertisements(&world.hosts[client]).len(), told + 1);
    disconnect(&mut world, client);
    world.assert_clean(0);
}

#[test]
fn who_waits_for_a_prefix_waits_on_after_a_restart() {
    let text = "pool: [10.77.0.10-10.77.0.19]\nipv6: {prefixes: [2001:db8:77::/64]}\n";
    let mut world = World::new(config(text), users(super::world::USERS));
    let first = client(&mut world, "alice", "wonderland");
    world.connect(first);
    world.pass(SECOND);
    let second = client(&mut world, "alice", "wonderland");
    world.connect(second);
    world.pass(60 * SECOND);
    let state = world.hosts[0].server.checkpoint(world.now);
    world.kill(0);
    world.restart(0, config(text), users(super::world::USERS), state);
    assert!(prefixes(&mut world).contains(&None));
    disconnect(&mut world, first);
    assert_eq!(prefixes(&mut world), [Some("2001:db8:77::/64".to_owned())]);
    assert!(!advertisements(&world.hosts[second]).is_empty());
    disconnect(&mut world, second);
    world.assert_clean(0);
}

#[test]
fn a_peer_that_asks_wrongly_is_not_answered() {
    let mut world = World::new(config(SERVER), users(super::world::USERS));
    let client = client(&mut world, "alice", "wonderland");
    world.connect(client);
    world.pass(60 * SECOND);
    let told = advertisements(&world.hosts[client]).len();
    let session = *world.hosts[0].kernel.sessions.keys().next().unwrap();
    let asked = world.hosts[0].server.counters().solicitations;
    let mut ask = |payload: Vec<u8>| {
        let input = Input::Frame {
            session,
            protocol: 0x0057,
            payload,
        };
        world.input(0, input);
    };
    let stranger = "fe80::5".parse().unwrap();
    ask(Solicitation { source: stranger }.emit());
    let mut routed = Solicitation { source: stranger }.emit();
    routed[7] = 64;
    ask(routed);
    ask(vec![0x60; 48]);
    ask(Vec::new());
    assert_eq!(advertisements(&world.hosts[client]).len(), told);
    let counters = world.hosts[0].server.counters();
    assert_eq!(counters.solicitations, asked + 1);
    assert_eq!(counters.solicitations_invalid, 1);
}

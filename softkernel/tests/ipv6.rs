//! IPv6 on interfaces: who may send what, who hears router solicitations, and identifiers that two
//! peers have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::Ipv6Addr;

use hex_literal::hex;
use netgraph::generic::{Connect, Mkpeer, Rmhook, Shutdown};
use netgraph::node::iface;
use netgraph::node::soft_iface::{self, Network, Switch};
use softkernel::graph::{Drop, HostChange};
use support::{Host, pair};

const LINK: &str = "link";

/// An interface whose IPv6 packets come from, and go to, a hook of ours.
fn interface(host: &mut Host, hook: &str, local: &str, peer: &str) {
    host.call(".:", &Mkpeer::new(iface::TYPE, hook, iface::HOOK_INET6))
        .unwrap();
    host.call(hook, &soft_iface::SetAddress(pair(local, peer)))
        .unwrap();
}

fn route(text: &str) -> Network {
    let (address, prefix) = text.split_once('/').unwrap();
    Network {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

/// An ICMPv6 message of this type; nobody here looks at the checksum.
fn icmpv6(kind: u8, from: &str, to: &str) -> Vec<u8> {
    let mut packet = hex!("60000000 0008 3a ff").to_vec();
    for text in [from, to] {
        packet.extend_from_slice(&text.parse::<Ipv6Addr>().unwrap().octets());
    }
    packet.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
    packet
}

/// Sends a packet in from the peer; whether it reached the device.
fn arrives(host: &mut Host, packet: &[u8]) -> bool {
    host.send(LINK, packet);
    host.tun.pop_front().is_some_and(|out| out == packet)
}

fn dropped(host: &Host, wanted: (Drop, u64)) -> bool {
    host.kernel.graph.drops().any(|drop| drop == wanted)
}

#[test]
fn a_client_sends_from_its_link_local_address_and_its_prefix_only() {
    let mut host = Host::new("192.0.2.1");
    interface(&mut host, LINK, "fe80::1", "fe80::2");
    host.call(LINK, &soft_iface::AddRoute(route("2001:db8:77::/64")))
        .unwrap();
    for from in ["fe80::2", "2001:db8:77::1", "2001:db8:77:0:ffff::"] {
        assert!(
            arrives(&mut host, &icmpv6(128, from, "2001:db8::1")),
            "{from}"
        );
    }
    for from in ["fe80::3", "2001:db8:77:1::1", "2001:db8::1", "::", "::1"] {
        assert!(
            !arrives(&mut host, &icmpv6(128, from, "2001:db8::1")),
            "{from}"
        );
    }
    assert!(dropped(&host, (Drop::WrongSource, 5)));
    // What is for anybody of the prefix goes to the peer.
    let down = icmpv6(128, "2001:db8::1", "2001:db8:77::abcd");
    host.tun_packet(&down);
    assert_eq!(host.data(), Some((LINK.to_owned(), down)));
}

#[test]
fn a_client_is_no_router_to_the_system() {
    let mut host = Host::new("192.0.2.1");
    interface(&mut host, LINK, "fe80::1", "fe80::2");
    for kind in [134, 137] {
        assert!(!arrives(&mut host, &icmpv6(kind, "fe80::2", "ff02::1")));
    }
    // Behind a hop-by-hop header, destination options, or as a fragment; and with nothing behind it.
    for (next, length) in [(0, 48), (60, 48), (44, 48), (58, 40)] {
        let mut packet = icmpv6(58, "fe80::2", "ff02::1");
        packet[6] = next;
        packet.truncate(length);
        assert!(!arrives(&mut host, &packet), "{next}");
    }
    assert!(dropped(&host, (Drop::NoRouter, 6)));
    for kind in [128, 136] {
        assert!(arrives(&mut host, &icmpv6(kind, "fe80::2", "fe80::1")));
    }
    // On a client's side the peer is one.
    host.call(LINK, &soft_iface::SourceCheck(Switch(false)))
        .unwrap();
    assert!(arrives(&mut host, &icmpv6(134, "fe80::2", "ff02::1")));
}

#[test]
fn solicitations_go_to_whoever_advertises() {
    let mut host = Host::new("192.0.2.1");
    interface(&mut host, LINK, "fe80::1", "fe80::2");
    let solicitation = icmpv6(133, "fe80::2", "ff02::2");
    assert!(arrives(&mut host, &solicitation));
    let hook = soft_iface::HOOK_SOLICITATIONS;
    host.call(".:", &Connect::new(LINK, "r", hook)).unwrap();
    for packet in [solicitation.clone(), icmpv6(133, "::", "ff02::2")] {
        assert!(!arrives(&mut host, &packet));
        assert_eq!(host.data(), Some(("r".to_owned(), packet)));
    }
    assert!(arrives(&mut host, &icmpv6(135, "fe80::2", "ff02::1")));
    host.call(".:", &Rmhook::new("r")).unwrap();
    assert!(arrives(&mut host, &solicitation));
}

#[test]
fn two_peers_may_have_one_identifier() {
    let mut host = Host::new("192.0.2.1");
    interface(&mut host, "a", "fe80::1", "fe80::9");
    interface(&mut host, "b", "fe80::2", "fe80::9");
    host.call("b", &soft_iface::SetMtu(soft_iface::Mtu(1300)))
        .unwrap();
    host.call("b", &soft_iface::AddRoute(route("2001:db8:2::/64")))
        .unwrap();
    let packet = icmpv6(128, "2001:db8::1", "fe80::9");
    host.tun_packet(&packet);
    assert_eq!(host.data(), Some(("a".to_owned(), packet)));
    let packet = icmpv6(128, "2001:db8::1", "2001:db8:2::9");
    host.tun_packet(&packet);
    assert_eq!(host.data(), Some(("b".to_owned(), packet)));
    host.call("b", &Shutdown).unwrap();
    host.call("a", &Shutdown).unwrap();
    let local = |text: &str| text.parse().unwrap();
    let peer = route("fe80::9/128");
    let prefix = route("2001:db8:2::/64");
    let changes: Vec<_> = std::iter::from_fn(|| host.kernel.graph.poll_host_change()).collect();
    assert_eq!(
        changes,
        [
            HostChange::AddAddress(local("fe80::1")),
            HostChange::SetRoute {
                network: peer,
                source: Some(local("fe80::1")),
                mtu: 1500
            },
            HostChange::AddAddress(local("fe80::2")),
            // Nobody out there could answer a link-local address.
            HostChange::SetRoute {
                network: prefix,
                source: None,
                mtu: 1300
            },
            HostChange::RemoveRoute(prefix),
            HostChange::RemoveAddress(local("fe80::2")),
            HostChange::RemoveRoute(peer),
            HostChange::RemoveAddress(local("fe80::1")),
        ]
    );
}

#[test]
fn advertisements_are_accepted_while_one_interface_wants_it() {
    let mut host = Host::new("192.0.2.1");
    for hook in ["a", "b"] {
        host.call(".:", &Mkpeer::new(iface::TYPE, hook, iface::HOOK_INET6))
            .unwrap();
        host.call(hook, &soft_iface::AcceptAdvertisements(Switch(true)))
            .unwrap();
    }
    host.call("a", &soft_iface::AcceptAdvertisements(Switch(false)))
        .unwrap();
    host.call("b", &Shutdown).unwrap();
    let changes: Vec<_> = std::iter::from_fn(|| host.kernel.graph.poll_host_change()).collect();
    let accept = HostChange::AcceptAdvertisements;
    assert_eq!(changes, [accept(true), accept(false)]);
}

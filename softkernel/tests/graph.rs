//! Nodes and hooks come and go as FreeBSD's `ng_base.c` and node types have it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netgraph::Errno;
use netgraph::client::Event;
use netgraph::generic::{
    Connect, GetNodeInfo, ListHooks, ListNodes, ListTypes, Mkpeer, Name, Rmhook, Shutdown,
};
use netgraph::node::soft_iface::{self, Network};
use netgraph::node::{iface, ksocket, l2tp, ppp, socket, tcpmss};
use softkernel::graph::HostChange;
use support::{Host, Tunnel, address, pair};

fn kinds(host: &mut Host) -> Vec<String> {
    let list = host.call(".:", &ListNodes).unwrap();
    let mut kinds: Vec<String> = list.0.into_iter().map(|node| node.kind).collect();
    kinds.sort();
    kinds
}

fn tunnel(id: u16) -> Tunnel {
    Tunnel {
        id,
        peer_id: 7,
        local: address("192.0.2.1:1701"),
        peer: address("203.0.113.9:1701"),
        reqid: Some(id.into()),
    }
}

#[test]
fn a_closing_socket_takes_what_hangs_on_it_alone() {
    let mut host = Host::new("192.0.2.1");
    host.call(".:", &Mkpeer::new(l2tp::TYPE, "c0001", l2tp::HOOK_CTRL))
        .unwrap();
    host.call(".:", &Mkpeer::new(ppp::TYPE, "b0001", ppp::HOOK_BYPASS))
        .unwrap();
    assert_eq!(kinds(&mut host), ["l2tp", "ppp", "socket"]);
    host.restart_client();
    assert_eq!(kinds(&mut host), ["socket"]);
}

#[test]
fn a_tunnel_and_its_session_outlive_the_daemon_and_are_found_again() {
    let mut host = Host::new("192.0.2.1");
    host.tunnel(tunnel(1)).unwrap();
    host.session(1, 2, 3, pair("10.0.0.1", "10.0.0.2"));
    host.restart_client();
    assert_eq!(
        kinds(&mut host),
        ["iface", "ksocket", "l2tp", "ppp", "socket", "tcpmss"]
    );
    host.call(
        ".:",
        &Connect::new("tanuki-t0001:", "c0001", l2tp::HOOK_CTRL),
    )
    .unwrap();
    host.call(
        ".:",
        &Connect::new("tanuki-p1-2:", "b0002", ppp::HOOK_BYPASS),
    )
    .unwrap();
    let list = host.call(".:", &ListHooks).unwrap();
    let mut peers: Vec<_> = list
        .links
        .iter()
        .map(|link| link.peer.name.clone())
        .collect();
    peers.sort();
    assert_eq!(peers, ["tanuki-p1-2", "tanuki-t0001"]);
    // The end of the l2tp node is the end of its ksocket; the interface stays until told.
    host.call("tanuki-t0001:", &Shutdown).unwrap();
    host.call("tanuki-p1-2:", &Shutdown).unwrap();
    assert_eq!(kinds(&mut host), ["iface", "socket", "tcpmss"]);
    let list = host.call(".:", &ListNodes).unwrap();
    let id = list
        .0
        .iter()
        .find(|node| node.kind == iface::TYPE)
        .unwrap()
        .id;
    host.call(&format!("[{id:x}]:"), &Shutdown).unwrap();
    assert_eq!(kinds(&mut host), ["socket"]);
}

#[test]
fn error_numbers_are_those_of_freebsd() {
    let mut host = Host::new("192.0.2.1");
    let mkpeer = |host: &mut Host, kind: &str, ours: &str, theirs: &str| {
        host.call(".:", &Mkpeer::new(kind, ours, theirs))
    };
    assert_eq!(mkpeer(&mut host, "nonsense", "a", "b"), Err(Errno::ENXIO));
    assert_eq!(
        mkpeer(&mut host, l2tp::TYPE, "a", "session_00AB"),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        mkpeer(&mut host, l2tp::TYPE, "a", "session_ab"),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        mkpeer(&mut host, ppp::TYPE, "a", "link16"),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        mkpeer(&mut host, ksocket::TYPE, "a", "inet/stream/tcp"),
        Err(Errno::EINVAL)
    );
    assert_eq!(kinds(&mut host), ["socket"]);
    mkpeer(&mut host, l2tp::TYPE, "a", l2tp::HOOK_CTRL).unwrap();
    assert_eq!(
        mkpeer(&mut host, l2tp::TYPE, "a", l2tp::HOOK_CTRL),
        Err(Errno::EEXIST)
    );
    host.call("a", &Name::new("first")).unwrap();
    assert_eq!(host.call(".:", &Name::new("first")), Err(Errno::EADDRINUSE));
    assert_eq!(host.call("nobody:", &GetNodeInfo), Err(Errno::ENOENT));
    assert_eq!(host.call("first:lower", &GetNodeInfo), Err(Errno::ENOENT));
    assert_eq!(host.call("first:..", &GetNodeInfo), Err(Errno::EINVAL));
    assert_eq!(host.call("first:", &ppp::GetConfig), Err(Errno::EINVAL));
    assert_eq!(
        host.call("first:", &l2tp::GetSessionStats(l2tp::SessionId(1))),
        Err(Errno::ENOENT)
    );
    // A second socket under one ksocket node.
    host.call(
        "first:",
        &Mkpeer::new(ksocket::TYPE, "lower", "inet/dgram/udp"),
    )
    .unwrap();
    assert_eq!(
        host.call(".:", &Connect::new("first:lower", "x", "28/2/17")),
        Err(Errno::EISCONN)
    );
    host.call("first:", &Rmhook::new("no such hook"))
        .unwrap_err();
    host.call("first:", &Rmhook::new("nosuch")).unwrap();
    let info = host.call("first:", &GetNodeInfo).unwrap();
    assert_eq!((info.kind.as_str(), info.hooks), (l2tp::TYPE, 2));
    let types = host.call(".:", &ListTypes).unwrap();
    assert!(types.0.contains(&("l2tp".to_owned(), 1)));
}

#[test]
fn a_node_with_no_hooks_left_goes_and_its_number_is_not_used_again() {
    let mut host = Host::new("192.0.2.1");
    host.call(".:", &Mkpeer::new(ppp::TYPE, "b", ppp::HOOK_BYPASS))
        .unwrap();
    let old = host.call("b", &GetNodeInfo).unwrap().id;
    host.call(".:", &Rmhook::new("b")).unwrap();
    assert_eq!(kinds(&mut host), ["socket"]);
    host.call(".:", &Mkpeer::new(ppp::TYPE, "b", ppp::HOOK_BYPASS))
        .unwrap();
    assert_ne!(host.call("b", &GetNodeInfo).unwrap().id, old);
    assert_eq!(
        host.call(&format!("[{old:x}]:"), &GetNodeInfo),
        Err(Errno::ENOENT)
    );
    host.call(".:", &socket::NoLinger).unwrap();
}

#[test]
fn interfaces_are_numbered_from_the_lowest_free_number() {
    let mut host = Host::new("192.0.2.1");
    let name = |host: &mut Host, hook: &str| host.call(hook, &iface::GetIfName).unwrap().0;
    for hook in ["a", "b", "c"] {
        host.call(".:", &Mkpeer::new(iface::TYPE, hook, iface::HOOK_INET))
            .unwrap();
    }
    assert_eq!(
        [
            name(&mut host, "a"),
            name(&mut host, "b"),
            name(&mut host, "c")
        ],
        ["ng0", "ng1", "ng2"]
    );
    host.call("b", &Shutdown).unwrap();
    host.call(".:", &Mkpeer::new(iface::TYPE, "d", iface::HOOK_INET))
        .unwrap();
    assert_eq!(name(&mut host, "d"), "ng1");
}

#[test]
fn addresses_and_routes_are_announced_and_taken_back() {
    let mut host = Host::new("192.0.2.1");
    for hook in ["a", "b"] {
        host.call(".:", &Mkpeer::new(iface::TYPE, hook, iface::HOOK_INET))
            .unwrap();
    }
    host.call("a", &soft_iface::SetMtu(soft_iface::Mtu(1400)))
        .unwrap();
    let one = pair("10.0.0.1", "10.0.0.2");
    host.call("a", &soft_iface::SetAddress(one)).unwrap();
    assert_eq!(
        host.call("b", &soft_iface::SetAddress(one)),
        Err(Errno::EEXIST)
    );
    host.call("b", &soft_iface::SetAddress(pair("10.0.0.1", "10.0.0.3")))
        .unwrap();
    let lan = Network {
        address: "172.16.5.0".parse().unwrap(),
        prefix: 24,
    };
    host.call("a", &soft_iface::AddRoute(lan)).unwrap();
    assert_eq!(
        host.call("b", &soft_iface::AddRoute(lan)),
        Err(Errno::EEXIST)
    );
    assert_eq!(
        host.call("b", &soft_iface::DelRoute(lan)),
        Err(Errno::ENOENT)
    );
    host.call("a", &Shutdown).unwrap();
    host.call("b", &Shutdown).unwrap();
    let local = one.local;
    let host_route = |text: &str| Network {
        address: text.parse().unwrap(),
        prefix: 32,
    };
    let set = |network, mtu| HostChange::SetRoute {
        network,
        source: Some(local),
        mtu,
    };
    let changes: Vec<_> = std::iter::from_fn(|| host.kernel.graph.poll_host_change()).collect();
    assert_eq!(
        changes,
        [
            HostChange::AddAddress(local),
            set(host_route("10.0.0.2"), 1400),
            set(host_route("10.0.0.3"), 1500),
            set(lan, 1400),
            HostChange::RemoveRoute(host_route("10.0.0.2")),
            HostChange::RemoveRoute(lan),
            HostChange::RemoveRoute(host_route("10.0.0.3")),
            HostChange::RemoveAddress(local),
        ]
    );
}

#[test]
fn two_sockets_with_the_same_addresses_need_different_clients() {
    let mut host = Host::new("192.0.2.1");
    host.tunnel(tunnel(1)).unwrap();
    host.tunnel(tunnel(2)).unwrap();
    let same = Tunnel {
        reqid: Some(1),
        ..tunnel(3)
    };
    assert_eq!(host.tunnel(same), Err(Errno::EADDRINUSE));
    let lower = "tanuki-t0001:lower";
    assert_eq!(
        host.call(lower, &ksocket::GetName).unwrap().0,
        address("192.0.2.1:1701")
    );
    assert_eq!(
        host.call(lower, &ksocket::GetPeerName).unwrap().0,
        address("203.0.113.9:1701")
    );
    let again = ksocket::Connect(ksocket::Address(address("203.0.113.9:1701")));
    assert_eq!(host.call(lower, &again), Err(Errno::EISCONN));
    host.call("tanuki-t0001:", &Shutdown).unwrap();
    host.call("tanuki-t0003:", &Shutdown).unwrap();
    host.tunnel(Tunnel {
        reqid: Some(1),
        ..tunnel(4)
    })
    .unwrap();
}

#[test]
fn an_unbound_socket_gets_the_hosts_address() {
    let mut host = Host::new("192.0.2.1");
    host.call(".:", &Mkpeer::new(ksocket::TYPE, "k", "inet/dgram/udp"))
        .unwrap();
    let peer = ksocket::Address(address("198.51.100.7:1701"));
    host.call("k", &ksocket::Connect(peer)).unwrap();
    let local = host.call("k", &ksocket::GetName).unwrap().0;
    assert_eq!(local.ip(), address("192.0.2.1:0").ip());
    assert!(local.port() >= 49_152);
    host.call(".:", &Mkpeer::new(ksocket::TYPE, "six", "28/2/17"))
        .unwrap();
    assert_eq!(
        host.call("six", &ksocket::Connect(peer)),
        Err(Errno::EAFNOSUPPORT)
    );
    let six = ksocket::Address(address("[2001:db8::1]:1701"));
    assert_eq!(
        host.call("six", &ksocket::Connect(six)),
        Err(Errno::ENETUNREACH)
    );
    let unknown = ksocket::SocketOption::integer(ksocket::SOL_SOCKET, 0x1234, 1);
    assert_eq!(
        host.call("k", &ksocket::SetOption(unknown)),
        Err(Errno::ENOPROTOOPT)
    );
}

#[test]
fn l2tp_configuration_rules() {
    let mut host = Host::new("192.0.2.1");
    host.call(".:", &Mkpeer::new(l2tp::TYPE, "c", l2tp::HOOK_CTRL))
        .unwrap();
    let good = l2tp::SequenceConfig::AFTER_SCCRQ;
    let unfit = l2tp::SequenceConfig {
        sent_ack: 0,
        ..good
    };
    assert_eq!(
        host.call("c", &l2tp::SetSequence(unfit)),
        Err(Errno::EINVAL)
    );
    host.call("c", &l2tp::SetSequence(good)).unwrap();
    let config = l2tp::Config {
        enabled: true,
        match_id: true,
        tunnel_id: 1,
        peer_id: 2,
        peer_window: 4,
        retransmit_max: 5,
        retransmit_max_timeout: 8,
    };
    let windowless = l2tp::Config {
        peer_window: 0,
        ..config
    };
    assert_eq!(
        host.call("c", &l2tp::SetConfig(windowless)),
        Err(Errno::EINVAL)
    );
    host.call("c", &l2tp::SetConfig(config)).unwrap();
    assert_eq!(host.call("c", &l2tp::GetConfig), Ok(config));
    assert_eq!(host.call("c", &l2tp::SetSequence(good)), Err(Errno::EBUSY));
    for change in [
        l2tp::Config {
            tunnel_id: 9,
            ..config
        },
        l2tp::Config {
            peer_id: 9,
            ..config
        },
        l2tp::Config {
            peer_window: 3,
            ..config
        },
    ] {
        assert_eq!(
            host.call("c", &l2tp::SetConfig(change)),
            Err(Errno::EBUSY),
            "{change:?}"
        );
    }
    host.call(
        "c",
        &l2tp::SetConfig(l2tp::Config {
            peer_window: 9,
            ..config
        }),
    )
    .unwrap();
}

#[test]
fn tcpmss_needs_both_hooks_and_packets_cannot_run_in_circles() {
    let mut host = Host::new("192.0.2.1");
    host.call(".:", &Mkpeer::new(tcpmss::TYPE, "a", "in"))
        .unwrap();
    let route = |from: &str, to: &str| {
        tcpmss::SetConfig(tcpmss::Config {
            in_hook: from.to_owned(),
            out_hook: to.to_owned(),
            max_mss: 1000,
        })
    };
    assert_eq!(host.call("a", &route("in", "out")), Err(Errno::ENOENT));
    host.call("a", &Connect::new(".:", "x", "y")).unwrap();
    host.call("a", &route("in", "x")).unwrap();
    host.call("a", &route("x", "y")).unwrap();
    host.call("a", &route("y", "x")).unwrap();
    host.send("a", &[0; 40]);
    assert_eq!(host.event(), None);
    assert!(
        host.kernel
            .graph
            .drops()
            .any(|(reason, _)| reason == softkernel::graph::Drop::Loop)
    );
    // A socket connected with itself: what goes in at one hook comes out at the other.
    host.call(".:", &Connect::new(".:", "p", "q")).unwrap();
    host.send("p", b"hello");
    assert_eq!(
        host.event(),
        Some(Event::Data {
            hook: "q".to_owned(),
            payload: b"hello".to_vec()
        })
    );
}

//! Packets from one user-space kernel to another: TUN, interface, PPP, L2TP, UDP, ESP and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::SocketAddr;

use netgraph::generic::Rmhook;
use netgraph::node::{l2tp, ppp, soft_iface};
use softkernel::graph::Drop;
use softkernel::ipsec::InboundEsp;
use softkernel::kernel::PortId;
use support::{Host, Tunnel, address, pair, ping};

const SERVER: &str = "192.0.2.1";
const SERVER_IKE: &str = "192.0.2.1:4500";
const PRIVATE: &str = "10.9.9.9:4500";
const NAT: &str = "203.0.113.9";

/// A client behind the NAT, and the port that the NAT gave it.
struct Client {
    host: Host,
    mapped: SocketAddr,
    reqid: u32,
}

/// Both clients have the same private address and use port 1701.
fn client(server: &mut Host, number: u16) -> Client {
    let mut host = Host::new("10.9.9.9");
    let mapped = address(&format!("{NAT}:{}", 61_000 + number));
    let (inside, outside) = (address(PRIVATE), address(SERVER_IKE));
    let (reqid, spi) = (u32::from(number), u32::from(number) * 0x1000);
    host.sa(spi + 1, inside, outside, 5);
    host.sa(spi + 2, outside, inside, 5);
    server.sa(spi + 1, mapped, outside, reqid);
    server.sa(spi + 2, outside, mapped, reqid);
    Client {
        host,
        mapped,
        reqid,
    }
}

fn connect(server: &mut Host, client: &mut Client, inner: &str) {
    let number = client.reqid as u16;
    client
        .host
        .tunnel(Tunnel {
            id: 1,
            peer_id: number,
            local: address("10.9.9.9:1701"),
            peer: address("192.0.2.1:1701"),
            reqid: Some(5),
        })
        .unwrap();
    client.host.session(1, 1, number, pair(inner, "10.0.0.1"));
    client
        .host
        .call(
            "tanuki-p1-1:inet.iface",
            &soft_iface::SourceCheck(soft_iface::Switch(false)),
        )
        .unwrap();
    server
        .tunnel(Tunnel {
            id: number,
            peer_id: 1,
            local: address("192.0.2.1:1701"),
            peer: SocketAddr::new(client.mapped.ip(), 1701),
            reqid: Some(client.reqid),
        })
        .unwrap();
    server.session(number, number, 1, pair("10.0.0.1", inner));
}

/// Carries what the client has sent to the server, through the NAT.
fn to_server(client: &mut Client, server: &mut Host) -> usize {
    let mut count = 0;
    while let Some((esp, packet)) = client.host.outgoing.pop_front() {
        assert!(esp.encapsulated);
        assert_eq!(
            (esp.source, esp.destination),
            (address(PRIVATE), address(SERVER_IKE))
        );
        let from = InboundEsp {
            source: client.mapped,
            destination: esp.destination,
            encapsulated: true,
        };
        server.esp(from, &packet);
        count += 1;
    }
    count
}

/// Carries what the server has sent to whichever client the NAT knows.
fn to_clients(server: &mut Host, clients: &mut [&mut Client]) -> usize {
    let mut count = 0;
    while let Some((esp, packet)) = server.outgoing.pop_front() {
        let client = clients
            .iter_mut()
            .find(|client| client.mapped == esp.destination);
        let from = InboundEsp {
            source: esp.source,
            destination: address(PRIVATE),
            encapsulated: true,
        };
        client.expect("a mapping").host.esp(from, &packet);
        count += 1;
    }
    count
}

#[test]
fn a_ping_goes_there_and_back() {
    let mut server = Host::new(SERVER);
    let mut one = client(&mut server, 1);
    connect(&mut server, &mut one, "10.0.0.2");
    let there = ping("10.0.0.2", "10.0.0.1", 1);
    one.host.tun_packet(&there);
    assert_eq!(to_server(&mut one, &mut server), 1);
    assert_eq!(server.tun.pop_front(), Some(there));
    let back = ping("10.0.0.1", "10.0.0.2", 2);
    server.tun_packet(&back);
    assert_eq!(to_clients(&mut server, &mut [&mut one]), 1);
    assert_eq!(one.host.tun.pop_front(), Some(back));
    let session = l2tp::GetSessionStats(l2tp::SessionId(1));
    let stats = server.call("tanuki-t0001:", &session).unwrap();
    assert_eq!((stats.receive_packets, stats.transmit_packets), (1, 1));
    // Octets on the link: one protocol octet (PFC and ACFC) and 28 of IP.
    let stats = server
        .call("tanuki-p1-1:", &ppp::GetLinkStats(ppp::LinkNumber(0)))
        .unwrap();
    assert_eq!((stats.receive_octets, stats.transmit_octets), (29, 29));
}

#[test]
fn two_clients_with_the_same_addresses_stay_apart() {
    let mut server = Host::new(SERVER);
    let (mut one, mut two) = (client(&mut server, 1), client(&mut server, 2));
    connect(&mut server, &mut one, "10.0.0.2");
    connect(&mut server, &mut two, "10.0.0.3");
    for (client, inner) in [(&mut one, "10.0.0.2"), (&mut two, "10.0.0.3")] {
        let packet = ping(inner, "10.0.0.1", 1);
        client.host.tun_packet(&packet);
        to_server(client, &mut server);
        assert_eq!(server.tun.pop_front(), Some(packet));
    }
    for inner in ["10.0.0.2", "10.0.0.3"] {
        server.tun_packet(&ping("10.0.0.1", inner, 7));
    }
    assert_eq!(to_clients(&mut server, &mut [&mut one, &mut two]), 2);
    assert_eq!(one.host.tun, [ping("10.0.0.1", "10.0.0.2", 7)]);
    assert_eq!(two.host.tun, [ping("10.0.0.1", "10.0.0.3", 7)]);
    // The end of one does not touch the other.
    server
        .call("tanuki-t0001:", &netgraph::generic::Shutdown)
        .unwrap();
    let packet = ping("10.0.0.3", "10.0.0.1", 9);
    two.host.tun_packet(&packet);
    to_server(&mut two, &mut server);
    assert_eq!(server.tun.pop_front(), Some(packet));
}

#[test]
fn a_client_cannot_use_the_address_of_another() {
    let mut server = Host::new(SERVER);
    let (mut one, mut two) = (client(&mut server, 1), client(&mut server, 2));
    connect(&mut server, &mut one, "10.0.0.2");
    connect(&mut server, &mut two, "10.0.0.3");
    two.host.tun_packet(&ping("10.0.0.2", "10.0.0.1", 1));
    assert_eq!(to_server(&mut two, &mut server), 1);
    assert!(server.tun.is_empty());
    assert!(
        server
            .kernel
            .graph
            .drops()
            .any(|drop| drop == (Drop::WrongSource, 1))
    );
    // Nor can it speak for the other's tunnel: its SA says who it is.
    one.host.tun_packet(&ping("10.0.0.2", "10.0.0.1", 1));
    let (esp, packet) = one.host.outgoing.pop_front().unwrap();
    let mut moved = packet.clone();
    moved[2..4].copy_from_slice(&0x2001u16.to_be_bytes());
    let from = InboundEsp {
        source: two.mapped,
        destination: esp.destination,
        encapsulated: true,
    };
    server.esp(from, &moved);
    assert!(server.tun.is_empty());
}

#[test]
fn control_messages_and_bypass_frames_reach_the_daemon() {
    let mut server = Host::new(SERVER);
    let mut one = client(&mut server, 1);
    connect(&mut server, &mut one, "10.0.0.2");
    one.host.send("c0001", &[0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6]);
    assert_eq!(to_server(&mut one, &mut server), 1);
    let hello = vec![0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6];
    assert_eq!(server.data(), Some(("c0001".to_owned(), hello)));
    assert_eq!(to_clients(&mut server, &mut [&mut one]), 1);
    let stats = one.host.call("tanuki-t0001:", &l2tp::GetStats).unwrap();
    assert_eq!(stats.receive_zlbs, 1);
    // LCP echo request on link 0.
    one.host.send(
        "b0001",
        &ppp::bypass_frame(0, 0xc021, &[9, 1, 0, 8, 1, 2, 3, 4]),
    );
    to_server(&mut one, &mut server);
    let frame = ppp::bypass_frame(0, 0xc021, &[9, 1, 0, 8, 1, 2, 3, 4]);
    assert_eq!(server.data(), Some(("b0001".to_owned(), frame)));
    // With IPv4 shut at the server its packets come that way too, and not to the TUN device.
    let bundle = ppp::BundleConfig::default();
    let config = ppp::NodeConfig::single_link(bundle, 1400, false, false);
    server
        .call("tanuki-p1-1:", &ppp::SetConfig(config))
        .unwrap();
    let packet = ping("10.0.0.2", "10.0.0.1", 3);
    one.host.tun_packet(&packet);
    to_server(&mut one, &mut server);
    assert!(server.tun.is_empty());
    let frame = ppp::bypass_frame(0, 0x0021, &packet);
    assert_eq!(server.data(), Some(("b0001".to_owned(), frame)));
    server.tun_packet(&ping("10.0.0.1", "10.0.0.2", 4));
    assert!(server.outgoing.is_empty());
}

#[test]
fn traffic_goes_on_while_the_daemon_is_away() {
    let mut server = Host::new(SERVER);
    let mut one = client(&mut server, 1);
    connect(&mut server, &mut one, "10.0.0.2");
    server.restart_client();
    for number in 0..3 {
        let packet = ping("10.0.0.2", "10.0.0.1", number);
        one.host.tun_packet(&packet);
        to_server(&mut one, &mut server);
        assert_eq!(server.tun.pop_front(), Some(packet));
    }
}

#[test]
fn the_first_message_goes_to_whoever_listens_and_later_ones_to_the_tunnel() {
    let mut server = Host::new(SERVER);
    let mut one = client(&mut server, 1);
    let port = PortId(1);
    server
        .kernel
        .bind_port(port, address("0.0.0.0:1701"))
        .unwrap();
    let sccrq = [0xc8, 2, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0xaa];
    from_client_port(&mut one, &sccrq);
    to_server(&mut one, &mut server);
    let (meta, payload) = server.datagrams.pop_front().unwrap();
    assert_eq!(payload, sccrq);
    assert_eq!(meta.local, address("192.0.2.1:1701"));
    assert_eq!(meta.peer, address("203.0.113.9:1701"));
    assert_eq!(meta.reqid, 1);
    // A reply of the listener, a StopCCN for instance, finds the client by its reqid.
    let now = server.clock();
    let action = server
        .kernel
        .port_output(now, port, meta, &[1, 2, 3], &mut server.buffer);
    assert!(
        matches!(action, softkernel::kernel::Action::Esp(esp) if esp.destination == one.mapped)
    );

    connect(&mut server, &mut one, "10.0.0.2");
    one.host.send("c0001", &[0, 0, 1]);
    to_server(&mut one, &mut server);
    assert_eq!(server.data(), Some(("c0001".to_owned(), vec![0, 0, 1])));
    // The client comes back after a crash: a new SCCRQ from the same place is the listener's.
    one.host
        .call("tanuki-t0001:", &Rmhook::new("lower"))
        .unwrap();
    from_client_port(&mut one, &sccrq);
    to_server(&mut one, &mut server);
    assert_eq!(
        server.datagrams.pop_front().map(|(_, payload)| payload),
        Some(sccrq.to_vec())
    );
}

/// Sends a datagram from the client's port 1701 without a tunnel.
fn from_client_port(client: &mut Client, payload: &[u8]) {
    let port = PortId(9);
    let _ = client.host.kernel.bind_port(port, address("10.9.9.9:1701"));
    let meta = softkernel_port::Meta {
        local: address("10.9.9.9:1701"),
        peer: address("192.0.2.1:1701"),
        reqid: 5,
    };
    let now = client.host.clock();
    let host = &mut client.host;
    let action = host
        .kernel
        .port_output(now, port, meta, payload, &mut host.buffer);
    let softkernel::kernel::Action::Esp(esp) = action else {
        panic!("{action:?}")
    };
    host.outgoing.push_back((esp, host.buffer.to_vec()));
}

#[test]
fn nothing_but_udp_for_a_bound_port_is_let_through() {
    let mut server = Host::new(SERVER);
    let mut one = client(&mut server, 1);
    // Nobody has bound the port yet.
    from_client_port(&mut one, &[0; 20]);
    to_server(&mut one, &mut server);
    assert_eq!(server.kernel.counters().no_listener, 1);
    // Not ESP at all, and ESP of an unknown SPI.
    let from = InboundEsp {
        source: one.mapped,
        destination: address(SERVER_IKE),
        encapsulated: true,
    };
    server.esp(from, &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]);
    server.esp(from, &[0xff]);
    assert_eq!(server.kernel.counters().esp_in, 3);
    assert!(server.tun.is_empty() && server.datagrams.is_empty() && server.outgoing.is_empty());
    // A packet from the TUN device that leads nowhere.
    server.tun_packet(&ping("10.0.0.1", "10.77.0.1", 1));
    assert_eq!(server.kernel.counters().no_route, 1);
    assert!(server.outgoing.is_empty());
    assert_eq!(server.event(), None);
}

/// RFC 3948 section 3.1.2: behind a NAT the checksum was made over addresses that we do not see.
#[test]
fn a_checksum_over_private_addresses_is_no_matter() {
    let mut server = Host::new(SERVER);
    let mut one = client(&mut server, 1);
    let port = PortId(7);
    let listening = server.kernel.bind_port(port, address("0.0.0.0:1701"));
    listening.unwrap();
    let payload = b"\xc8\x02sccrq";
    // Ports 1701, length 15, and the sum over 10.9.9.9, 192.0.2.1, protocol and datagram.
    let sum: u32 = [0x0a09, 0x0909, 0xc000, 0x0201, 17, 15, 1701, 1701, 15]
        .into_iter()
        .chain(payload.chunks(2).map(|pair| match *pair {
            [high, low] => u32::from(high) << 8 | u32::from(low),
            _ => u32::from(pair[0]) << 8,
        }))
        .sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    let mut datagram = [1701u16, 1701, 15, checksum].map(u16::to_be_bytes).concat();
    datagram.extend_from_slice(payload);
    let host = &mut one.host;
    let policy = pfkey::Policy::ipsec(
        pfkey::Direction::OUTBOUND,
        pfkey::PolicyRequest::esp_transport_unique(5),
    );
    let to = softkernel::ipsec::Outbound {
        source: "10.9.9.9".parse().unwrap(),
        destination: SERVER.parse().unwrap(),
        protocol: 17,
        source_port: 1701,
        destination_port: 1701,
        policy: Some(&policy),
    };
    let now = host.clock();
    assert!(host.buffer.fill(&datagram));
    let esp = host
        .kernel
        .ipsec
        .output(now.instant, now.wall, to, &mut host.buffer);
    host.outgoing
        .push_back((esp.unwrap(), host.buffer.to_vec()));
    to_server(&mut one, &mut server);
    let (meta, received) = server.datagrams.pop_front().unwrap();
    assert_eq!(meta.peer, address("203.0.113.9:1701"));
    assert_eq!(received, payload);
}

#[test]
fn ipv6_packets_and_an_ipv6_outside() {
    let mut server = Host::new("2001:db8::1");
    let mut host = Host::new("2001:db8::2");
    let (here, there) = (address("[2001:db8::2]:0"), address("[2001:db8::1]:0"));
    for end in [&mut server, &mut host] {
        end.sa(0x1001, here, there, 5);
        end.sa(0x1002, there, here, 5);
    }
    let (local, peer) = (address("[2001:db8::2]:1701"), address("[2001:db8::1]:1701"));
    host.tunnel(Tunnel {
        id: 1,
        peer_id: 2,
        local,
        peer,
        reqid: Some(5),
    })
    .unwrap();
    server
        .tunnel(Tunnel {
            id: 2,
            peer_id: 1,
            local: peer,
            peer: local,
            reqid: Some(5),
        })
        .unwrap();
    host.session(1, 1, 1, pair("10.0.0.2", "10.0.0.1"));
    server.session(2, 1, 1, pair("10.0.0.1", "10.0.0.2"));
    let packet = ping("10.0.0.2", "10.0.0.1", 1);
    host.tun_packet(&packet);
    let (esp, bytes) = host.outgoing.pop_front().unwrap();
    assert!(!esp.encapsulated);
    let from = InboundEsp {
        source: esp.source,
        destination: esp.destination,
        encapsulated: false,
    };
    server.esp(from, &bytes);
    assert_eq!(server.tun.pop_front(), Some(packet));
}

//! The TUN device, its addresses and routes, as the system's own sockets see them. Needs root;
//! without it there is nothing to test here.
#![cfg(any(target_os = "freebsd", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod process_support;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netgraph::Netgraph;
use netgraph::client::Event;
use netgraph::generic::Mkpeer;
use netgraph::node::iface;
use netgraph::node::soft_iface::{AddressPair, Mtu, SetAddress, SetMtu};
use process_support::{Process, shared_udp};

const MTU: usize = 1400;
/// Until an answer is sent once more, and how often.
const AGAIN: Duration = Duration::from_millis(50);
const ATTEMPTS: usize = 400;

/// The next packet out of the device.
async fn packet(netgraph: &mut Netgraph) -> Vec<u8> {
    loop {
        if let Event::Data { hook, payload } = netgraph.next_event().await.unwrap() {
            assert_eq!(hook, "i");
            return payload;
        }
    }
}

/// A packet with its ends swapped keeps its checksums.
fn turned_round(packet: &[u8]) -> Vec<u8> {
    let (addresses, size, header) = match packet[0] >> 4 {
        4 => (12, 4, 20),
        _ => (8, 16, 40),
    };
    let mut packet = packet.to_vec();
    for (at, size) in [(addresses, size), (header, 2)] {
        let (first, second) = packet[at..at + 2 * size].split_at_mut(size);
        first.swap_with_slice(second);
    }
    packet
}

async fn a_datagram_each_way(name: &str, local: &str, peer: &str, hook: &str) {
    let Some(process) = Process::start(name) else {
        return;
    };
    let [local, peer]: [IpAddr; 2] = [local, peer].map(|ip| ip.parse().unwrap());
    let mut netgraph = Netgraph::connect_soft(&process.socket("netgraph.sock")).unwrap();
    let mkpeer = Mkpeer::new(iface::TYPE, "i", hook);
    netgraph.call(".:", &mkpeer).await.unwrap();
    let mtu = Mtu(MTU.try_into().unwrap());
    netgraph.call("i", &SetMtu(mtu)).await.unwrap();
    let pair = AddressPair { local, peer };
    netgraph.call("i", &SetAddress(pair)).await.unwrap();

    // The peer is routed to the device, and the host speaks from its own end.
    let socket = shared_udp(&process, SocketAddr::new(local, 0));
    let at_peer = SocketAddr::new(peer, 7777);
    socket.send_to(b"hello", at_peer).unwrap();
    let sent = packet(&mut netgraph).await;
    assert!(sent.ends_with(b"hello"));
    // Linux takes up a new IPv6 address a moment after it was added: the first may be too early.
    socket.set_read_timeout(Some(AGAIN)).unwrap();
    let mut buffer = [0; 64];
    let mut answer = None;
    for _ in 0..ATTEMPTS {
        netgraph.send_data("i", &turned_round(&sent)).await.unwrap();
        netgraph.flush().await.unwrap();
        answer = socket.recv_from(&mut buffer).ok();
        if answer.is_some() {
            break;
        }
    }
    assert_eq!(answer, Some((5, at_peer)));
    assert!(buffer.starts_with(b"hello"));

    // The route has the interface's MTU: what is longer comes in fragments.
    socket.send_to(&[7; 2000], at_peer).unwrap();
    let mut pieces = [packet(&mut netgraph).await, packet(&mut netgraph).await];
    pieces.sort_by_key(Vec::len);
    assert!(pieces[1].len() <= MTU && pieces[1].len() > MTU - 8);
    process.end();
}

#[tokio::test]
async fn ipv4() {
    a_datagram_each_way("tun4", "10.77.9.1", "10.77.9.2", iface::HOOK_INET).await;
}

#[tokio::test]
async fn ipv6() {
    a_datagram_each_way(
        "tun6",
        "2001:db8:77::1",
        "2001:db8:77::2",
        iface::HOOK_INET6,
    )
    .await;
}

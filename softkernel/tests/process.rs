//! The process itself, in network namespaces of its own: devices, sockets, a ping between two of
//! them, a clean end. Needs root and ip(8); without them there is nothing to test here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod process_support;
mod support;

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use netgraph::generic::{ListNodes, Mkpeer};
use netgraph::node::iface;
use netgraph::node::soft_iface::{Mtu, SetAddress, SetMtu};
use netgraph::{Errno, Netgraph};
use pfkey::Numbering;
use process_support::{Connection, Process, l2tp_session};
use softkernel_port::{BindError, Meta, UdpPort};
use support::{address, pair, transport_sa};

#[tokio::test]
async fn sockets_devices_and_a_clean_end() {
    let Some(process) = Process::start("one") else {
        return;
    };
    let pid = process.pid();
    let mut ng = Netgraph::connect_soft(&process.socket("netgraph.sock")).unwrap();
    assert!(ng.is_soft());
    ng.call(".:", &Mkpeer::new(iface::TYPE, "i", iface::HOOK_INET))
        .await
        .unwrap();
    let unknown = ng.call("nobody:", &ListNodes).await.unwrap_err();
    assert_eq!(unknown.errno(), Some(Errno::ENOENT));
    ng.call("i", &SetMtu(Mtu(1400))).await.unwrap();
    ng.call("i", &SetAddress(pair("10.0.0.1", "10.0.0.2")))
        .await
        .unwrap();
    // 10.0.0.2 as /proc has it: host order.
    let routes = fs::read_to_string(format!("/proc/{pid}/net/route")).unwrap();
    assert!(
        routes
            .lines()
            .any(|line| line.starts_with("tk-one\t0200000A")),
        "{routes}"
    );

    let udp = process.socket("udp.sock");
    let port = UdpPort::bind(&udp, address("0.0.0.0:1701"), false)
        .await
        .unwrap();
    let taken = UdpPort::bind(&udp, address("0.0.0.0:1701"), false)
        .await
        .unwrap_err();
    let BindError::Refused { source, .. } = taken else {
        panic!("{taken}")
    };
    assert_eq!(source.kind(), ErrorKind::AddrInUse);
    drop(port);
    let natt = UdpPort::bind(&udp, address("0.0.0.0:4500"), true)
        .await
        .unwrap();
    assert_eq!(natt.local(), address("0.0.0.0:4500"));
    // The real socket outlives its binder and can be had again.
    drop(natt);
    let open = fs::read_to_string(format!("/proc/{pid}/net/udp")).unwrap();
    assert!(open.contains(":1194 "), "{open}");
    drop(ng);
    process.end();
}

/// One end of an L2TP session made by hand.
async fn session(process: &Process, local: SocketAddr, peer: SocketAddr, inner: [&str; 2]) {
    let mut pfkey = Connection::open(process, "pfkey.sock");
    let (mine, other) = (
        SocketAddr::new(local.ip(), 4500),
        SocketAddr::new(peer.ip(), 4500),
    );
    let spi = |from: SocketAddr| {
        if from.ip() < mine.ip().max(other.ip()) {
            0x1001
        } else {
            0x1002
        }
    };
    let mut client = pfkey::Client::new(Numbering::FreeBsd, std::process::id());
    for (from, to) in [(mine, other), (other, mine)] {
        let request = client.add(&transport_sa(spi(from), from, to, 7));
        pfkey.send(&request.bytes);
        let reply = pfkey.receive();
        assert_eq!(reply[1..3], [3, 0], "SADB_ADD without error: {reply:02x?}");
    }
    l2tp_session(process, "t", 7, (local, peer), inner).await;
}

#[tokio::test]
async fn a_ping_between_two_processes() {
    let (Some(a), Some(b)) = (Process::start("a"), Process::start("b")) else {
        return;
    };
    a.ip(&format!(
        "link add veth0 type veth peer name veth0 netns {}",
        b.namespace
    ));
    for (process, outer) in [(&a, "192.0.2.1/24"), (&b, "192.0.2.2/24")] {
        process.ip(&format!("addr add {outer} dev veth0"));
        process.ip("link set veth0 up");
    }
    // IKE goes through the encapsulation port with its marker.
    let any = address("0.0.0.0:4500");
    let ike_a = UdpPort::bind(&a.socket("udp.sock"), any, true)
        .await
        .unwrap();
    let ike_b = UdpPort::bind(&b.socket("udp.sock"), any, true)
        .await
        .unwrap();
    let meta = Meta {
        local: any,
        peer: address("192.0.2.2:4500"),
        reqid: 0,
    };
    ike_a.send(meta, &[0, 0, 0, 0, 0xaa]).await.unwrap();
    let (got, payload) = ike_b.recv().await.unwrap();
    assert_eq!(payload, [0, 0, 0, 0, 0xaa]);
    assert_eq!(got.peer, address("192.0.2.1:4500"));
    assert_eq!(got.local, address("192.0.2.2:4500"));

    let (one, two) = (address("192.0.2.1:1701"), address("192.0.2.2:1701"));
    session(&a, one, two, ["10.0.0.1", "10.0.0.2"]).await;
    session(&b, two, one, ["10.0.0.2", "10.0.0.1"]).await;
    let status = Command::new("ip")
        .args([
            "netns",
            "exec",
            &a.namespace,
            "ping",
            "-c",
            "3",
            "-i",
            "0.2",
            "-s",
            "1300",
        ])
        .args(["-W", "5", "10.0.0.2"])
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    a.end();
    b.end();
}

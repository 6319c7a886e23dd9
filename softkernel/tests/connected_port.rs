//! One client taken out of another process's port: an encapsulation socket connected to that
//! client beside an ordinary one at the same address, as the system hands out their datagrams. Needs root;
//! without it there is nothing to test here.
#![cfg(any(target_os = "freebsd", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod process_support;
mod support;

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use pfkey::Numbering;
use process_support::{Connection, Process, shared_udp};
use softkernel::kernel::{Action, PortId};
use softkernel_port::{BindError, Meta, UdpPort};
use support::{Host, address, transport_sa};

const IKE: &[u8] = b"\0\0\0\0ike";
const KEEPALIVE: &[u8] = &[0xff];
const TO_CLIENT: u32 = 0x8000_0001;
const FROM_CLIENT: u32 = 0x8000_0002;
const REQID: u32 = 7;

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

/// What the client sends arrives at the daemon's own socket, sooner or later.
fn is_the_daemons(client: &UdpSocket, daemon: &UdpSocket) {
    const TELLTALE: &[u8] = b"\0\0\0\0whose";
    let patience = daemon.read_timeout().unwrap();
    daemon
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let arrives = || {
        client.send(TELLTALE).unwrap();
        daemon.recv(&mut [0; 64]).is_ok()
    };
    assert!(
        (0..1000).any(|_| arrives()),
        "the connected socket is still there"
    );
    // Nothing of it is left in the way of what follows.
    while daemon.recv(&mut [0; 64]).is_ok() {}
    daemon.set_read_timeout(patience).unwrap();
}

fn refusal(result: Result<UdpPort, BindError>) -> ErrorKind {
    match result.unwrap_err() {
        BindError::Refused { source, .. } => source.kind(),
        other => panic!("{other}"),
    }
}

/// The client's own kernel, which makes ESP of a datagram for port 1701.
fn esp_of(client: &mut Host, client_ip: &str, server_ip: &str, payload: &[u8]) -> Vec<u8> {
    let port = PortId(1);
    let local = SocketAddr::new(client_ip.parse().unwrap(), 1701);
    let _ = client.kernel.bind_port(port, local);
    let meta = Meta {
        local,
        peer: SocketAddr::new(server_ip.parse().unwrap(), 1701),
        reqid: REQID,
    };
    let now = client.clock();
    let action = client
        .kernel
        .port_output(now, port, meta, payload, &mut client.buffer);
    assert!(matches!(action, Action::Esp(esp) if esp.encapsulated));
    client.buffer.to_vec()
}

async fn one_client_is_served(server_ip: &str, client_ip: &str) {
    let Some(process) = Process::start(if server_ip.contains(':') {
        "six"
    } else {
        "four"
    }) else {
        return;
    };
    for ip in [server_ip, client_ip] {
        process.add_address(ip.parse().unwrap());
    }
    let server = SocketAddr::new(server_ip.parse().unwrap(), 4500);
    let at_client = |port| SocketAddr::new(client_ip.parse().unwrap(), port);
    let daemon = shared_udp(&process, server);
    let [client, other] = [61000, 61001].map(|port| shared_udp(&process, at_client(port)));
    for socket in [&client, &other] {
        socket.connect(server).unwrap();
    }

    let path = process.socket("udp.sock");
    let any = SocketAddr::new(
        if server.is_ipv4() { "0.0.0.0" } else { "::" }
            .parse()
            .unwrap(),
        4500,
    );
    let peer = at_client(61000);
    assert_eq!(
        refusal(UdpPort::connect(&path, any, peer).await),
        ErrorKind::InvalidInput
    );
    // One that never had an SA is closed with its end.
    drop(UdpPort::connect(&path, server, peer).await.unwrap());
    is_the_daemons(&client, &daemon);
    let port = UdpPort::connect(&path, server, peer).await.unwrap();
    assert_eq!(port.local(), server);
    assert_eq!(
        refusal(UdpPort::connect(&path, server, peer).await),
        ErrorKind::AddrInUse
    );

    // IKE of this client comes here, of others to the daemon's own socket.
    for datagram in [KEEPALIVE, IKE] {
        client.send(datagram).unwrap();
        other.send(datagram).unwrap();
    }
    let (meta, payload) = port.recv().await.unwrap();
    assert_eq!((meta.local, meta.peer), (server, peer));
    assert_eq!(payload, IKE);
    assert_eq!(receive(&daemon), (KEEPALIVE.to_vec(), at_client(61001)));
    assert_eq!(receive(&daemon), (IKE.to_vec(), at_client(61001)));
    port.send(meta, b"\0\0\0\0answer").await.unwrap();
    assert_eq!(receive(&client), (b"\0\0\0\0answer".to_vec(), server));

    // ESP stays in softkernel; what it sends to that client leaves from the same port.
    let mut pfkey = Connection::open(&process, "pfkey.sock");
    let mut keys = pfkey::Client::new(Numbering::FreeBsd, 1);
    let mut kernel = Host::new(client_ip);
    for (spi, from, to) in [(FROM_CLIENT, peer, server), (TO_CLIENT, server, peer)] {
        pfkey.send(&keys.add(&transport_sa(spi, from, to, REQID)).bytes);
        assert_eq!(pfkey.receive()[1..3], [3, 0]);
        kernel.sa(spi, from, to, REQID);
    }
    let any_l2tp = SocketAddr::new(any.ip(), 1701);
    let l2tp = UdpPort::bind(&path, any_l2tp, false).await.unwrap();
    client
        .send(&esp_of(&mut kernel, client_ip, server_ip, b"sccrq"))
        .unwrap();
    let (meta, payload) = l2tp.recv().await.unwrap();
    assert_eq!((payload, meta.reqid), (b"sccrq".to_vec(), REQID));
    l2tp.send(meta, b"sccrp").await.unwrap();
    let (esp, from) = receive(&client);
    assert_eq!((&esp[..4], from), (&TO_CLIENT.to_be_bytes()[..], server));

    // What ICMP says of a client that is away for a moment costs no packet after it is back.
    drop(client);
    l2tp.send(meta, b"lost").await.unwrap();
    let client = shared_udp(&process, peer);
    client.connect(server).unwrap();
    l2tp.send(meta, b"not lost").await.unwrap();
    let (esp, _) = receive(&client);
    assert_eq!(esp[..4], TO_CLIENT.to_be_bytes());

    // The daemon is away: ESP flows on. The next one takes the port up again.
    drop(port);
    client
        .send(&esp_of(&mut kernel, client_ip, server_ip, b"hello"))
        .unwrap();
    assert_eq!(l2tp.recv().await.unwrap().1, b"hello");
    let port = UdpPort::connect(&path, server, peer).await.unwrap();
    client.send(IKE).unwrap();
    assert_eq!(port.recv().await.unwrap().1, IKE);

    // Without daemon and without SA the port is closed, and the client is the system's again.
    drop(port);
    pfkey.send(&keys.flush(pfkey::SaType::ESP).bytes);
    assert_eq!(pfkey.receive()[1..3], [9, 0]);
    is_the_daemons(&client, &daemon);
    process.end();
}

#[tokio::test]
async fn over_ipv4() {
    one_client_is_served("192.0.2.1", "192.0.2.2").await;
}

#[tokio::test]
async fn over_ipv6() {
    one_client_is_served("2001:db8::1", "2001:db8::2").await;
}

#[tokio::test]
async fn a_peer_belongs_to_encapsulation_only() {
    let Some(process) = Process::start("inner") else {
        return;
    };
    let mut request = Vec::new();
    softkernel_port::Packet::Bind {
        local: address("127.0.0.1:1701"),
        encap: false,
        peer: Some(address("127.0.0.2:1701")),
    }
    .emit(&mut request);
    let mut socket = Connection::open(&process, "udp.sock");
    socket.send(&request);
    let refused = socket.receive();
    assert_eq!(
        softkernel_port::Packet::parse(&refused),
        Ok(softkernel_port::Packet::Error {
            errno: libc::EINVAL
        })
    );
    process.end();
}

//! Two workers in one process and two clients with one of them each, in network namespaces: transfers
//! both ways at once while all SAs are renewed, what the counters say of them, and packets that are
//! sent a second time. Needs root and ip(8); without them there is nothing to test here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod process_support;
mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use netgraph::Netgraph;
use netgraph::node::l2tp;
use pfkey::client::SaSelector;
use pfkey::{Message, Numbering, SaType};
use process_support::{Connection, Process, enter, l2tp_session};
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use softkernel_port::UdpPort;
use support::{address, transport_sa};

const SERVER_INNER: &str = "10.0.0.1";
const MEGABYTES: usize = 6;
const PIECE: usize = 1 << 16;
const REPLAYS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the clients: the odd SPIs of 7 go to worker 1, the even ones of 8 to worker 0.
#[derive(Debug, Clone, Copy)]
struct Client {
    name: &'static str,
    reqid: u32,
    server: &'static str,
    outer: &'static str,
    inner: &'static str,
}

const CLIENTS: [Client; 2] = [
    Client {
        name: "w1",
        reqid: 7,
        server: "192.0.2.1",
        outer: "192.0.2.2",
        inner: "10.0.0.2",
    },
    Client {
        name: "w2",
        reqid: 8,
        server: "192.0.2.5",
        outer: "192.0.2.6",
        inner: "10.0.0.3",
    },
];

impl Client {
    /// SPIs to the server and to the client.
    fn spis(&self, generation: u32) -> [u32; 2] {
        let base = 0x10_0000 + 0x1000 * generation + 0x100 * self.reqid;
        // Either one belongs to the worker that the client belongs to.
        [base + self.reqid % 2, base + 2 + self.reqid % 2]
    }

    /// Both ends of both SAs.
    fn sas(&self, generation: u32) -> [(u32, SocketAddr, SocketAddr); 2] {
        let [to_server, to_client] = self.spis(generation);
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 4500);
        let (server, client) = (at(self.server), at(self.outer));
        [(to_server, client, server), (to_client, server, client)]
    }

    fn add_sas(&self, process: &Process, generation: u32) {
        let mut pfkey = Connection::open(process, "pfkey.sock");
        let mut client = pfkey::Client::new(Numbering::FreeBsd, std::process::id());
        for (spi, from, to) in self.sas(generation) {
            let mut sa = transport_sa(spi, from, to, self.reqid);
            // Packets that overtake each other on the way are no replays.
            sa.replay_window = 4096;
            pfkey.send(&client.add(&sa).bytes);
            let reply = pfkey.receive();
            assert_eq!(reply[1..3], [3, 0], "SADB_ADD without error: {reply:02x?}");
        }
    }

    /// Packets that an SA has carried.
    fn carried(process: &Process, (spi, from, to): (u32, SocketAddr, SocketAddr)) -> u64 {
        let mut pfkey = Connection::open(process, "pfkey.sock");
        let mut client = pfkey::Client::new(Numbering::FreeBsd, std::process::id());
        let selector = SaSelector {
            sa_type: SaType::ESP,
            spi,
            source: from.ip(),
            destination: to.ip(),
        };
        pfkey.send(&client.get(&selector).bytes);
        let reply = Message::parse(&pfkey.receive(), Numbering::FreeBsd).unwrap();
        reply.lifetime_current().unwrap().allocations.into()
    }
}

/// How far something has come.
#[derive(Default)]
struct Progress {
    so_far: Mutex<usize>,
    changed: Condvar,
}

impl Progress {
    fn add(&self, more: usize) {
        *self.so_far.lock().unwrap() += more;
        self.changed.notify_all();
    }

    fn wait_for(&self, enough: usize) {
        let waited = self
            .changed
            .wait_timeout_while(self.so_far.lock().unwrap(), PATIENCE, |so_far| {
                *so_far < enough
            })
            .unwrap();
        assert!(!waited.1.timed_out(), "{} so far", waited.0);
    }
}

/// The same octets at both ends, others for every transfer.
fn piece(seed: u8, number: usize) -> Vec<u8> {
    let mut state = (number as u32) << 8 | u32::from(seed) | 1 << 30;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(&mut next).take(PIECE).collect()
}

fn digest_of(seed: u8) -> Vec<u8> {
    let mut digest = Sha256::new();
    for number in 0..MEGABYTES * (1 << 20) / PIECE {
        digest.update(piece(seed, number));
    }
    digest.finalize().to_vec()
}

/// Sends and receives at once; the digest of what came. The second half waits for the new SAs.
fn transfer(
    stream: TcpStream,
    seed: u8,
    progress: Arc<Progress>,
    renewed: Arc<Progress>,
) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let pieces = MEGABYTES * (1 << 20) / PIECE;
        for number in 0..pieces {
            if number == pieces / 2 {
                renewed.wait_for(1);
            }
            writer.write_all(&piece(seed, number)).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut digest = Sha256::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let length = (&stream).read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        digest.update(&buffer[..length]);
        progress.add(length);
    }
    sending.join().unwrap();
    digest.finalize().to_vec()
}

/// Hears what goes over the client's devices.
fn recorder(client: &Process) -> Socket {
    const ETH_P_ALL: u16 = 3;
    let pid = client.pid();
    let open = move || {
        enter(pid);
        let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol)).unwrap();
        socket.set_recv_buffer_size(4 << 20).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    std::thread::spawn(open).join().unwrap()
}

/// What was recorded and is worth sending again: with this SPI.
fn recorded(socket: &Socket, spi: u32, source: IpAddr) -> Vec<Vec<u8>> {
    let IpAddr::V4(source) = source else {
        panic!("IPv4 here")
    };
    let mut found = Vec::new();
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = (&*socket).read(&mut buffer) {
        let packet = &buffer[..length];
        let is_esp = packet.first() == Some(&0x45)
            && packet.get(9) == Some(&17)
            && packet.get(12..16) == Some(&source.octets()[..])
            && packet.get(28..32) == Some(&spi.to_be_bytes()[..]);
        if is_esp && length <= 1500 {
            let mut packet = packet.to_vec();
            // The system had left the checksum to the card; without one it is as good.
            packet[26..28].fill(0);
            found.push(packet);
        }
    }
    found
}

fn send_again(client: &Process, packets: Vec<Vec<u8>>) {
    let pid = client.pid();
    let send = move || {
        enter(pid);
        let protocol = Some(Protocol::from(libc::IPPROTO_RAW));
        let socket = Socket::new(Domain::IPV4, Type::RAW, protocol).unwrap();
        for packet in packets {
            let octets: [u8; 4] = *packet[16..].first_chunk().unwrap();
            let to = SocketAddr::new(Ipv4Addr::from(octets).into(), 0);
            socket.send_to(&packet, &SockAddr::from(to)).unwrap();
        }
    };
    std::thread::spawn(send).join().unwrap();
}

/// What the server says once that is so.
fn stats_with(server: &Process, is_so: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let stats = server.stats();
        if is_so(&stats) {
            return stats;
        }
        assert!(begun.elapsed() < PATIENCE, "{stats}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn in_namespace<T: Send + 'static>(
    process: &Process,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let pid = process.pid();
    std::thread::spawn(move || {
        enter(pid);
        work()
    })
}

#[tokio::test]
async fn two_workers_serve_two_clients() {
    let Some(server) = Process::start_with("srv", "workers: 2\n") else {
        return;
    };
    let any = address("0.0.0.0:4500");
    let _ike = UdpPort::bind(&server.socket("udp.sock"), any, true)
        .await
        .unwrap();
    let mut clients = Vec::new();
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let process = Process::start(client.name).unwrap();
        let link = format!("veth{number}");
        server.ip(&format!(
            "link add {link} type veth peer name {link} netns {}",
            process.namespace
        ));
        for (process, outer) in [(&server, client.server), (&process, client.outer)] {
            process.ip(&format!("addr add {outer}/30 dev {link}"));
            process.ip(&format!("link set {link} up"));
        }
        let port = UdpPort::bind(&process.socket("udp.sock"), any, true)
            .await
            .unwrap();
        let inside = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 1701);
        let (here, there) = (inside(client.server), inside(client.outer));
        for (process, ends, inner) in [
            (&server, (here, there), [SERVER_INNER, client.inner]),
            (&process, (there, here), [client.inner, SERVER_INNER]),
        ] {
            client.add_sas(process, 0);
            l2tp_session(process, client.name, client.reqid, ends, inner).await;
        }
        clients.push((client, process, port));
    }

    let listener = in_namespace(&server, || TcpListener::bind((SERVER_INNER, 5000)).unwrap());
    let listener = listener.join().unwrap();
    let mut transfers = Vec::new();
    let mut progress = Vec::new();
    let renewed = Arc::<Progress>::default();
    for (seed, (client, process, _)) in (0u8..).zip(&clients) {
        let inner = client.inner;
        let connect = in_namespace(process, move || {
            TcpStream::connect((SERVER_INNER, 5000)).inspect(|stream| {
                assert_eq!(stream.local_addr().unwrap().ip().to_string(), inner);
            })
        });
        let (there, _) = listener.accept().unwrap();
        let here = connect.join().unwrap().unwrap();
        for (stream, mine, other) in [(there, seed, seed + 8), (here, seed + 8, seed)] {
            let so_far = Arc::<Progress>::default();
            progress.push(so_far.clone());
            let renewed = renewed.clone();
            let work = move || (transfer(stream, mine, so_far, renewed), other);
            transfers.push(std::thread::spawn(work));
        }
    }
    // In the middle of everything new SAs take over, the receiver's first.
    let third = MEGABYTES * (1 << 20) / 3;
    for so_far in &progress {
        so_far.wait_for(third);
    }
    for (client, process, _) in &clients {
        client.add_sas(process, 1);
        client.add_sas(&server, 1);
    }
    renewed.add(1);
    for transfer in transfers {
        let (digest, seed) = transfer.join().unwrap();
        assert_eq!(digest, digest_of(seed));
    }

    // Both workers had a client, and each SA counts what it has carried, whoever did.
    let stats = server.stats();
    let at_worker = |number: usize, key: &str| {
        stats["workers"][format!("{key}_{number}")]
            .as_u64()
            .unwrap()
    };
    for number in 0..2 {
        let carried = (at_worker(number, "esp_in"), at_worker(number, "esp_out"));
        assert!(carried.0 > 1000 && carried.1 > 1000, "{stats}");
    }
    let mut in_all = [0, 0];
    let mut ng = Netgraph::connect_soft(&server.socket("netgraph.sock")).unwrap();
    for (client, ..) in &clients {
        let mut of_client = [0, 0];
        for generation in 0..2 {
            for (sum, sa) in of_client.iter_mut().zip(client.sas(generation)) {
                let carried = Client::carried(&server, sa);
                assert!(carried > 500, "{sa:?} {carried}");
                *sum += carried;
            }
        }
        let session = l2tp::GetSessionStats(l2tp::SessionId(1));
        let path = format!("{}:", client.name);
        let session = ng.call(&path, &session).await.unwrap();
        let counted = [session.receive_packets, session.transmit_packets];
        assert_eq!(counted, of_client, "{}", client.name);
        in_all[0] += of_client[0];
        in_all[1] += of_client[1];
    }
    let number = |stats: &serde_json::Value, key: &str| stats["ipsec"][key].as_u64().unwrap();
    assert_eq!(number(&stats, "packets_in"), in_all[0], "{stats}");
    assert_eq!(number(&stats, "packets_out"), in_all[1], "{stats}");
    assert_eq!(number(&stats, "in_authentication"), 0);
    assert_eq!(stats["devices"]["not_handed_over"], 0);

    // Sent once more, by whoever could listen: the worker knows them.
    let (client, process, _) = &clients[0];
    let recorder = recorder(process);
    let send = in_namespace(process, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for number in 1..=REPLAYS as usize {
            // Each longer than the one before, so that they go one by one.
            let datagram = vec![0; 16 * number];
            socket.send_to(&datagram, (SERVER_INNER, 9)).unwrap();
        }
    });
    send.join().unwrap();
    let refused =
        |stats: &serde_json::Value| number(stats, "in_replayed") + number(stats, "in_too_old");
    let arrived = in_all[0] + REPLAYS;
    let stats = stats_with(&server, |stats| number(stats, "packets_in") == arrived);
    let [spi, _] = client.spis(1);
    let packets = recorded(&recorder, spi, client.outer.parse().unwrap());
    assert_eq!(packets.len() as u64, REPLAYS);
    send_again(process, packets);
    let before = refused(&stats);
    let after = stats_with(&server, |stats| refused(stats) == before + REPLAYS);
    assert_eq!(number(&after, "packets_in"), arrived);
    drop(ng);
    for (_, process, port) in clients {
        drop(port);
        process.end();
    }
    server.end();
}

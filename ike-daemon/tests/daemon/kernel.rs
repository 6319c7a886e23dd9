//! A kernel without packets' devices for one daemon under test: softkernel's real IPsec behind a
//! PF_KEY socket, and the NAT traversal port behind a `udp.sock`.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use getrandom::SysRng;
use pfkey::EncryptionAlgorithm;
use rand_core::UnwrapErr;
use socket2::{Domain, SockAddr, Socket, Type};
use softkernel::buffer::Buffer;
use softkernel::ipsec::{Config, InboundEsp, Ipsec, Outbound, PfkeySocketId};
use softkernel_port::{Meta, Packet};

const WALL: u64 = 1_790_000_000;

/// Everything that a restart of softkernel would lose.
pub(crate) struct Kernel {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    listeners: Vec<Socket>,
}

struct Shared {
    ipsec: Mutex<Ipsec>,
    pfkey: Mutex<HashMap<PfkeySocketId, Socket>>,
    udp: Mutex<Vec<Socket>>,
    /// The real NAT traversal socket.
    natt: Mutex<Option<Arc<UdpSocket>>>,
    /// Peers with a connected socket.
    peers: Mutex<Vec<SocketAddr>>,
    /// An encryption algorithm that it does not announce.
    lacks: Option<EncryptionAlgorithm>,
}

impl Kernel {
    /// Serves `pfkey.sock` and `udp.sock` in softkernel's folder below `runtime_dir`.
    pub(crate) fn start(runtime_dir: &Path) -> Self {
        let folder = runtime_dir.join("softkernel");
        std::fs::create_dir_all(&folder).unwrap();
        let mut kernel = Self::new(None);
        kernel.serve(folder.join("pfkey.sock"), serve_pfkey);
        kernel.serve(folder.join("udp.sock"), serve_udp);
        kernel
    }

    /// Plays the system's kernel at `path`, one without 3DES.
    pub(crate) fn start_system(path: PathBuf) -> Self {
        let mut kernel = Self::new(Some(EncryptionAlgorithm::TRIPLE_DES_CBC));
        kernel.serve(path, serve_pfkey);
        kernel
    }

    fn new(lacks: Option<EncryptionAlgorithm>) -> Self {
        let shared = Arc::new(Shared {
            ipsec: Mutex::new(Ipsec::new(Instant::now(), Config::default())),
            pfkey: Mutex::default(),
            udp: Mutex::default(),
            natt: Mutex::default(),
            peers: Mutex::default(),
            lacks,
        });
        Self {
            shared,
            threads: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// Peers that have a connected socket.
    pub(crate) fn peers(&self) -> Vec<SocketAddr> {
        self.shared.peers.lock().unwrap().clone()
    }

    /// Puts an SA of somebody else there: who does not know ike-daemon.
    pub(crate) fn add_foreign_sa(&self, spi: u32, reqid: u32) {
        let mut setkey = pfkey::Client::new(pfkey::Numbering::FreeBsd, 1);
        let request = setkey.add(&pfkey::SaRequest {
            sa_type: pfkey::SaType::ESP,
            spi,
            source: [192, 0, 2, 1].into(),
            destination: [192, 0, 2, 2].into(),
            mode: pfkey::Mode::TRANSPORT,
            reqid,
            encryption: EncryptionAlgorithm::AES_CBC,
            encryption_key: pfkey::Key::new(&[1; 16]),
            authentication: pfkey::AuthenticationAlgorithm::SHA1_HMAC,
            authentication_key: Some(pfkey::Key::new(&[2; 20])),
            replay_window: 32,
            flags: 0,
            lifetimes: None,
            nat_t: None,
        });
        let mut ipsec = self.shared.ipsec.lock().unwrap();
        let socket = ipsec.open_socket();
        let rng = &mut UnwrapErr(SysRng);
        ipsec.request(Instant::now(), WALL, socket, &request.bytes, rng);
        self.shared.deliver(&mut ipsec);
        ipsec.close_socket(socket);
    }

    /// Whether there is an SA with this SPI.
    pub(crate) fn has_sa(&self, spi: u32) -> bool {
        let mut client = pfkey::Client::new(pfkey::Numbering::FreeBsd, 2);
        let request = client.dump(pfkey::SaType::ESP).unwrap();
        let mut ipsec = self.shared.ipsec.lock().unwrap();
        let socket = ipsec.open_socket();
        let rng = &mut UnwrapErr(SysRng);
        ipsec.request(Instant::now(), WALL, socket, &request.bytes, rng);
        let mut found = false;
        while let Some((to, message)) = ipsec.poll_message() {
            assert_eq!(to, socket);
            let message = pfkey::Message::parse(&message, pfkey::Numbering::FreeBsd).unwrap();
            found |= message.sa().is_some_and(|sa| sa.spi == spi);
        }
        ipsec.close_socket(socket);
        found
    }

    fn serve(&mut self, path: PathBuf, connection: fn(Arc<Shared>, Socket)) {
        // The kernel before left it.
        let _ = std::fs::remove_file(&path);
        let listener = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(8).unwrap();
        self.listeners.push(listener.try_clone().unwrap());
        let shared = self.shared.clone();
        self.threads.push(std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let shared = shared.clone();
                std::thread::spawn(move || connection(shared, socket));
            }
        }));
    }

    /// Number of SAs, larval ones included.
    pub(crate) fn sa_count(&self) -> usize {
        self.shared.ipsec.lock().unwrap().sa_count()
    }

    /// Number of policies.
    pub(crate) fn policy_count(&self) -> usize {
        self.shared.ipsec.lock().unwrap().policy_count()
    }

    /// Protects a UDP datagram to port 1701 as the policies say and gives it to `other`, which must
    /// get the same out of it.
    pub(crate) fn sends_to(&self, other: &Kernel, source: IpAddr, destination: IpAddr) {
        let udp = b"\x06\xa5\x06\xa5\x00\x10\x00\x00 payload";
        let mut packet = Buffer::new(2000);
        assert!(packet.fill(udp));
        let outbound = Outbound {
            source,
            destination,
            protocol: 17,
            source_port: 1701,
            destination_port: 1701,
            policy: None,
        };
        let now = Instant::now();
        let esp = self
            .shared
            .ipsec
            .lock()
            .unwrap()
            .output(now, WALL, outbound, &mut packet);
        let esp = esp.unwrap();
        let mut bytes = packet.to_vec();
        let from = InboundEsp {
            source: esp.source,
            destination: esp.destination,
            encapsulated: esp.encapsulated,
        };
        let inbound = other
            .shared
            .ipsec
            .lock()
            .unwrap()
            .input(now, WALL, from, &mut bytes)
            .unwrap();
        assert_eq!(inbound.next_header, 17);
        assert_eq!(&bytes[inbound.payload], udp);
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let shutdown = |socket: &Socket| {
            // Closed by the other side is as good.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        };
        self.listeners.iter().for_each(shutdown);
        self.shared
            .pfkey
            .lock()
            .unwrap()
            .values()
            .for_each(shutdown);
        self.shared.udp.lock().unwrap().iter().for_each(shutdown);
        self.shared.natt.lock().unwrap().take();
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Shared {
    fn deliver(&self, ipsec: &mut Ipsec) {
        while let Some((to, message)) = ipsec.poll_message() {
            if let Some(mut to) = self.pfkey.lock().unwrap().get(&to) {
                // Gone meanwhile.
                let _ = to.write(&self.announced(&message));
            }
        }
    }

    /// A REGISTER reply without what this kernel lacks.
    fn announced(&self, message: &[u8]) -> Vec<u8> {
        let numbering = pfkey::Numbering::FreeBsd;
        let mut parsed = pfkey::Message::parse(message, numbering).unwrap();
        let Some(lacks) = self.lacks else {
            return message.to_vec();
        };
        if parsed.kind != pfkey::MessageType::REGISTER {
            return message.to_vec();
        }
        for extension in &mut parsed.extensions {
            if let pfkey::Extension::SupportedEncryption(list) = extension {
                list.retain(|algorithm| algorithm.id != lacks.0);
            }
        }
        parsed.emit(numbering).to_vec()
    }
}

/// A socket beside the daemon's own that gets one peer's datagrams.
fn connected(local: SocketAddr, peer: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&local.into()).unwrap();
    socket.connect(&peer.into()).unwrap();
    socket.into()
}

fn serve_pfkey(shared: Arc<Shared>, socket: Socket) {
    let id = shared.ipsec.lock().unwrap().open_socket();
    shared
        .pfkey
        .lock()
        .unwrap()
        .insert(id, socket.try_clone().unwrap());
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = (&socket).read(&mut buffer) {
        if length == 0 {
            break;
        }
        let mut ipsec = shared.ipsec.lock().unwrap();
        ipsec.request(
            Instant::now(),
            WALL,
            id,
            &buffer[..length],
            &mut UnwrapErr(SysRng),
        );
        shared.deliver(&mut ipsec);
    }
    shared.pfkey.lock().unwrap().remove(&id);
    shared.ipsec.lock().unwrap().close_socket(id);
}

fn serve_udp(shared: Arc<Shared>, socket: Socket) {
    let mut buffer = vec![0; 65_536];
    let Ok(length) = (&socket).read(&mut buffer) else {
        return;
    };
    let Ok(Packet::Bind {
        local,
        encap: true,
        peer,
    }) = Packet::parse(&buffer[..length])
    else {
        return;
    };
    let open = || {
        let udp = match peer {
            None => UdpSocket::bind(local).unwrap(),
            Some(peer) => connected(local, peer),
        };
        udp.set_read_timeout(Some(std::time::Duration::from_millis(50)))
            .unwrap();
        Arc::new(udp)
    };
    let natt = match peer {
        None => shared.natt.lock().unwrap().get_or_insert_with(open).clone(),
        Some(_) => open(),
    };
    if let Some(peer) = peer {
        shared.peers.lock().unwrap().push(peer);
    }
    let mut bound = Vec::new();
    Packet::Bound { local }.emit(&mut bound);
    (&socket).write_all(&bound).unwrap();
    shared.udp.lock().unwrap().push(socket.try_clone().unwrap());
    let (up, port) = (socket.try_clone().unwrap(), Arc::downgrade(&natt));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        // Until the kernel or the daemon is gone.
        while let Some(udp) = port.upgrade() {
            let Ok((length, peer)) = udp.recv_from(&mut buffer) else {
                continue;
            };
            if !buffer[..length].starts_with(&[0; 4]) {
                continue;
            }
            let meta = Meta {
                local,
                peer,
                reqid: 0,
            };
            let mut packet = Vec::new();
            Packet::Datagram {
                meta,
                payload: &buffer[..length],
            }
            .emit(&mut packet);
            if (&up).write(&packet).is_err() {
                return;
            }
        }
    });
    while let Ok(length) = (&socket).read(&mut buffer) {
        match Packet::parse(&buffer[..length]) {
            Ok(Packet::Datagram { meta, payload }) => {
                match peer {
                    None => natt.send_to(payload, meta.peer).unwrap(),
                    Some(_) => natt.send(payload).unwrap(),
                };
            }
            _ => return,
        }
    }
}

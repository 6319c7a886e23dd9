//! Datagrams in and out: the IKE port, which is ours, and the NAT traversal port, which is the
//! kernel's.
//!
//! * [`udp`]: a socket that knows the destination address of what it receives
//! * [`encap`]: the NAT traversal port, softkernel's or the system's
//! * `linux`, `freebsd`: the socket options in which the systems differ; `option` sets them

pub mod encap;
mod option;
pub mod udp;

#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod os;
#[cfg(not(target_os = "freebsd"))]
#[path = "linux.rs"]
mod os;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ike_proto::carrier::PeerPort;
use ike_proto::io::Transmit;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use encap::{Encap, SoftEncap, Softkernel, without_marker};
use udp::{SocketKind, Udp};

/// RFC 3948 section 2.3. FreeBSD passes it up, Linux and softkernel keep it.
const NAT_KEEPALIVE: [u8; 1] = [0xff];

/// A datagram that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The address and port it was sent to.
    pub local: SocketAddr,
    /// Where it came from.
    pub peer: SocketAddr,
    /// Whether it came in on the NAT traversal port; the marker is taken off.
    pub natt_port: bool,
    /// The ISAKMP message.
    pub payload: Vec<u8>,
}

/// What the network has to say.
#[derive(Debug)]
pub enum NetEvent {
    /// A datagram arrived.
    Datagram(Received),
    /// A NAT keepalive (RFC 3948 section 2.3) arrived.
    Keepalive {
        /// The address and port it was sent to.
        local: SocketAddr,
        /// Where it came from.
        peer: SocketAddr,
    },
    /// The NAT traversal port is bound (again).
    EncapUp {
        /// Where.
        local: SocketAddr,
        /// The only peer whose datagrams it gets, if so.
        peer: Option<SocketAddr>,
    },
    /// softkernel does not hold the NAT traversal port for us at the moment.
    EncapDown {
        /// Where it should be.
        local: SocketAddr,
        /// The only peer whose datagrams it is for, if so.
        peer: Option<SocketAddr>,
        /// Why.
        problem: String,
    },
    /// A socket broke for good.
    Broken {
        /// Which.
        local: SocketAddr,
        /// Why.
        problem: io::Error,
    },
}

/// Who holds the NAT traversal port.
#[derive(Debug, Clone)]
pub enum EncapOwner {
    /// softkernel, at this `udp.sock`.
    Soft(PathBuf),
    /// The system's kernel, through a socket of ours; softkernel, if it runs, has peers of its own.
    System {
        /// softkernel's `udp.sock`.
        beside: PathBuf,
        /// What our sockets need of the system's IPsec. Nothing of it in tests without one.
        ipsec: bool,
    },
}

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Addresses.
    pub listen: Vec<IpAddr>,
    /// Whether an address that cannot be had is an error. Otherwise one suffices.
    pub all: bool,
    /// IKE, 500.
    pub ike: u16,
    /// NAT traversal, 4500; `None` when it is turned off.
    pub natt: Option<u16>,
    /// Who holds the latter.
    pub owner: EncapOwner,
}

/// All sockets for IKE.
#[derive(Debug)]
pub struct Network {
    ike: Vec<Arc<Udp>>,
    encap: Vec<Arc<Encap>>,
    /// Sockets that softkernel has beside ours, each for one peer.
    peers: HashMap<PeerPort, SoftEncap>,
    /// Where softkernel is asked for them.
    beside: Option<Softkernel>,
    /// Signalled when softkernel was seen running.
    softkernel_there: Arc<Notify>,
    events: mpsc::Sender<NetEvent>,
    tasks: Vec<JoinHandle<()>>,
}

impl Network {
    /// Binds everything; what happens goes to `events`.
    ///
    /// # Errors
    /// The address that could not be bound, and why.
    pub fn start(
        ports: &Ports,
        events: &mpsc::Sender<NetEvent>,
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let softkernel_there = Arc::new(Notify::new());
        let mut network = Self {
            ike: Vec::new(),
            encap: Vec::new(),
            peers: HashMap::new(),
            beside: match &ports.owner {
                EncapOwner::Soft(_) => None,
                EncapOwner::System { beside, .. } => Some(Softkernel {
                    path: beside.clone(),
                    there: softkernel_there.clone(),
                }),
            },
            softkernel_there,
            events: events.clone(),
            tasks: Vec::new(),
        };
        let mut refused = None;
        for address in &ports.listen {
            let local = SocketAddr::new(*address, ports.ike);
            match network.listen(ports, *address, events) {
                Ok(()) => {}
                Err(error) if ports.all => return Err((local, error)),
                Err(error) => refused = refused.or(Some((local, error))),
            }
        }
        match refused {
            Some(refused) if network.ike.is_empty() => Err(refused),
            // Another daemon on one of two wildcard addresses is no reason to run on the other.
            Some((local, error)) if error.kind() == io::ErrorKind::AddrInUse => Err((local, error)),
            _ => Ok(network),
        }
    }

    fn listen(
        &mut self,
        ports: &Ports,
        address: IpAddr,
        events: &mpsc::Sender<NetEvent>,
    ) -> io::Result<()> {
        let ipsec = matches!(ports.owner, EncapOwner::System { ipsec: true, .. });
        let kind = SocketKind {
            bypass: ipsec,
            ..SocketKind::default()
        };
        let ike = Arc::new(Udp::bind(SocketAddr::new(address, ports.ike), &kind)?);
        let encap = match (ports.natt, &ports.owner) {
            (None, _) => None,
            (Some(port), EncapOwner::Soft(path)) => {
                let local = SocketAddr::new(address, port);
                let softkernel = Softkernel {
                    path: path.clone(),
                    there: self.softkernel_there.clone(),
                };
                Some(Encap::Soft(SoftEncap::start(
                    softkernel,
                    local,
                    None,
                    events.clone(),
                )))
            }
            (Some(port), EncapOwner::System { .. }) => {
                let kind = SocketKind {
                    encapsulate: ipsec,
                    beside: true,
                    ..kind
                };
                let local = SocketAddr::new(address, port);
                Some(Encap::System(Udp::bind(local, &kind)?))
            }
        };
        self.tasks
            .push(tokio::spawn(receive_ike(ike.clone(), events.clone())));
        self.ike.push(ike);
        if let Some(encap) = encap.map(Arc::new) {
            if matches!(*encap, Encap::System(_)) {
                self.tasks
                    .push(tokio::spawn(receive_encap(encap.clone(), events.clone())));
            }
            self.encap.push(encap);
        }
        Ok(())
    }

    /// Has softkernel take what comes from a peer, until [`Network::release_peer`].
    pub fn bind_peer(&mut self, port: PeerPort) {
        let Some(softkernel) = self.beside.clone() else {
            return;
        };
        let events = self.events.clone();
        self.peers
            .entry(port)
            .or_insert_with(|| SoftEncap::start(softkernel, port.local, Some(port.peer), events));
    }

    /// The peer's datagrams come to our own socket again.
    pub fn release_peer(&mut self, port: &PeerPort) {
        self.peers.remove(port);
    }

    /// softkernel was seen running: what waits for it tries at once.
    pub fn softkernel_is_there(&self) {
        self.softkernel_there.notify_waiters();
    }

    /// What the IKE sockets are bound to.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.ike.iter().map(|udp| udp.local())
    }

    /// Whether everything queued is sent.
    pub fn is_idle(&self) -> bool {
        self.encap.iter().all(|encap| encap.is_idle())
    }

    /// Sends at once or not at all; IKE repeats what got lost.
    ///
    /// # Errors
    /// Whatever the system says, or `AddrNotAvailable` when no socket has that source address.
    pub fn send(&self, transmit: &Transmit) -> io::Result<()> {
        let payload = transmit.udp_payload();
        let source = transmit.local.ip();
        let nowhere = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        if transmit.natt_port {
            let encap = self
                .encap
                .iter()
                .find(|encap| encap.serves(source))
                .ok_or_else(nowhere)?;
            let sent = encap.send(transmit.local, transmit.peer, &payload);
            let port = PeerPort {
                local: transmit.local,
                peer: transmit.peer,
            };
            return match (sent, self.peers.get(&port)) {
                // FreeBSD sends nothing between two addresses and ports that a connected socket has.
                (Err(error), Some(soft)) if error.kind() == io::ErrorKind::AddrInUse => {
                    soft.send(transmit.local, transmit.peer, &payload)
                }
                (sent, _) => sent,
            };
        }
        let serves = |udp: &&Arc<Udp>| {
            let bound = udp.local().ip();
            bound == source || bound.is_unspecified() && bound.is_ipv4() == source.is_ipv4()
        };
        let udp = self.ike.iter().find(serves).ok_or_else(nowhere)?;
        udp.send(source, transmit.peer, &payload)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn receive_ike(udp: Arc<Udp>, events: mpsc::Sender<NetEvent>) {
    receive(&udp, &events, |local, peer, payload| {
        Some(NetEvent::Datagram(Received {
            local,
            peer,
            natt_port: false,
            payload,
        }))
    })
    .await;
}

async fn receive_encap(encap: Arc<Encap>, events: mpsc::Sender<NetEvent>) {
    if let Encap::System(udp) = &*encap {
        receive(udp, &events, |local, peer, payload| {
            if payload == NAT_KEEPALIVE {
                return Some(NetEvent::Keepalive { local, peer });
            }
            without_marker(local, peer, payload).map(NetEvent::Datagram)
        })
        .await;
    }
}

async fn receive(
    udp: &Udp,
    events: &mpsc::Sender<NetEvent>,
    accept: fn(SocketAddr, SocketAddr, Vec<u8>) -> Option<NetEvent>,
) {
    let mut buffer = Udp::buffer();
    loop {
        let event = match udp.receive(&mut buffer).await {
            Ok((local, peer, payload)) => match accept(local, peer, payload) {
                Some(event) => event,
                None => continue,
            },
            // An ICMP error about something sent earlier; the peer's silence says the same.
            Err(error) if is_passing(&error) => continue,
            Err(problem) => {
                let broken = NetEvent::Broken {
                    local: udp.local(),
                    problem,
                };
                // A daemon that ended does not mind.
                let _ = events.send(broken).await;
                return;
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::Interrupted
    ) || matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

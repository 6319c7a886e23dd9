//! The port 1701 listener: where first datagrams arrive that no tunnel's own socket takes.
//!
//! In the soft kernel it is an inner socket, which sees only what came out of ESP, and with whose
//! SA. In FreeBSD it is a plain UDP socket beside the connected sockets of the tunnels, and the
//! security policy database sees to it that nothing arrives in clear text.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use l2tp_proto::{FlowId, KernelId};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Socket, Type};
use softkernel_port::{BindError, Meta, UdpPort};
use tanuki_daemon::exit::{self, Failure};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::KernelKind;

/// The largest first datagram that is read; an SCCRQ has a few hundred octets.
const MAX_DATAGRAM: usize = 4096;

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The soft kernel refused or is not there.
    #[error(transparent)]
    Soft(#[from] BindError),
    /// The system refused.
    #[error("cannot listen on UDP {local}: {source}")]
    System {
        /// The address.
        local: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenerError {
    /// Whether waiting does not help: the port is another program's, or not for us. An address may
    /// yet be configured, and the soft kernel be started.
    #[must_use]
    pub fn is_final(&self) -> bool {
        use io::ErrorKind::{AddrInUse, PermissionDenied};
        match self {
            Self::Soft(_) => false,
            Self::System { source, .. } => matches!(source.kind(), AddrInUse | PermissionDenied),
        }
    }

    /// With what the operator can do.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::System { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                let remedy = "stop the other L2TP server (sockstat -l -p 1701 shows it)";
                Failure::new(exit::UNAVAILABLE, format!("{self}; {remedy}"))
            }
            Self::System { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Failure::new(exit::NO_PERMISSION, format!("{self}; run as root"))
            }
            _ => Failure::new(exit::OS, self),
        }
    }
}

/// A listener of either kernel.
#[derive(Debug)]
pub struct Listener {
    kernel: KernelId,
    port: Port,
}

#[derive(Debug)]
enum Port {
    /// An inner socket of the soft kernel.
    Soft(UdpPort),
    /// A socket of the system, and the address it is bound to.
    System(UdpSocket, SocketAddr),
}

impl Listener {
    /// Binds `local`.
    ///
    /// # Errors
    /// The address is taken, or the soft kernel is not there.
    pub async fn bind(
        kernel: KernelId,
        kind: &KernelKind,
        local: SocketAddr,
    ) -> Result<Self, ListenerError> {
        let port = match kind {
            KernelKind::Soft { udp, .. } => Port::Soft(UdpPort::bind(udp, local, false).await?),
            KernelKind::System => match open(local) {
                Ok(socket) => Port::System(socket, local),
                Err(source) => return Err(ListenerError::System { local, source }),
            },
        };
        Ok(Self { kernel, port })
    }

    /// The next datagram. Cancel safe.
    ///
    /// # Errors
    /// The socket is broken, or the soft kernel is gone.
    pub async fn receive(&self) -> io::Result<(FlowId, Vec<u8>)> {
        match &self.port {
            Port::Soft(port) => {
                let (meta, bytes) = port.recv().await?;
                Ok((
                    FlowId {
                        local: meta.local,
                        peer: meta.peer,
                        reqid: meta.reqid,
                        kernel: self.kernel,
                    },
                    bytes,
                ))
            }
            Port::System(socket, local) => {
                let (local, peer, bytes) = socket
                    .async_io(Interest::READABLE, || receive_from(socket, *local))
                    .await?;
                let flow = FlowId {
                    local,
                    peer,
                    reqid: 0,
                    kernel: self.kernel,
                };
                Ok((flow, bytes))
            }
        }
    }

    /// Sends a datagram; that it cannot be carried further is not reported.
    ///
    /// # Errors
    /// The socket is broken, or the soft kernel is gone.
    pub async fn send(&self, flow: FlowId, bytes: &[u8]) -> io::Result<()> {
        match &self.port {
            Port::Soft(port) => {
                let meta = Meta {
                    local: flow.local,
                    peer: flow.peer,
                    reqid: flow.reqid,
                };
                port.send(meta, bytes).await
            }
            Port::System(socket, _) => {
                socket
                    .async_io(Interest::WRITABLE, || send_to(socket, flow, bytes))
                    .await
            }
        }
    }
}

fn open(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, None)?;
    // The tunnels' connected sockets share address and port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        #[cfg(target_os = "freebsd")]
        setsockopt(&socket, sockopt::Ipv4RecvDstAddr, &true)?;
        #[cfg(target_os = "linux")]
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    UdpSocket::from_std(socket.into())
}

/// To where, from where, and what.
fn receive_from(
    socket: &UdpSocket,
    bound: SocketAddr,
) -> io::Result<(SocketAddr, SocketAddr, Vec<u8>)> {
    let mut bytes = vec![0; MAX_DATAGRAM];
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let (length, peer, destination) = {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let peer = received.address.as_ref().and_then(socket_address);
        (
            received.bytes,
            peer,
            received.cmsgs()?.find_map(|message| destination(&message)),
        )
    };
    bytes.truncate(length);
    let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
    let local = SocketAddr::new(destination.unwrap_or(bound.ip()), bound.port());
    Ok((local, peer, bytes))
}

fn destination(message: &ControlMessageOwned) -> Option<IpAddr> {
    match message {
        #[cfg(target_os = "freebsd")]
        ControlMessageOwned::Ipv4RecvDstAddr(address) => {
            Some(IpAddr::from(address.s_addr.to_ne_bytes()))
        }
        #[cfg(target_os = "linux")]
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

fn send_to(socket: &UdpSocket, flow: FlowId, bytes: &[u8]) -> io::Result<()> {
    let parts = [IoSlice::new(bytes)];
    let to = SockaddrStorage::from(flow.peer);
    let descriptor = socket.as_raw_fd();
    let send = |control: &[ControlMessage<'_>]| {
        sendmsg(descriptor, &parts, control, MsgFlags::empty(), Some(&to))
    };
    match flow.local.ip() {
        #[cfg(target_os = "freebsd")]
        IpAddr::V4(from) => {
            let from = libc::in_addr {
                s_addr: u32::from_ne_bytes(from.octets()),
            };
            send(&[ControlMessage::Ipv4SendSrcAddr(&from)])?;
        }
        #[cfg(not(target_os = "freebsd"))]
        IpAddr::V4(from) => {
            let from = libc::in_addr {
                s_addr: u32::from_ne_bytes(from.octets()),
            };
            let none = libc::in_addr { s_addr: 0 };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: from,
                ipi_addr: none,
            };
            send(&[ControlMessage::Ipv4PacketInfo(&info)])?;
        }
        IpAddr::V6(from) => {
            let from = libc::in6_addr {
                s6_addr: from.octets(),
            };
            let info = libc::in6_pktinfo {
                ipi6_addr: from,
                ipi6_ifindex: 0,
            };
            send(&[ControlMessage::Ipv6PacketInfo(&info)])?;
        }
    }
    Ok(())
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::new(v4.ip(), v4.port()).into());
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_datagram_carries_where_it_was_sent_to_and_the_answer_comes_from_there() {
        for (any, host) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1")] {
            let Ok(socket) = open(any.parse().unwrap()) else {
                // A machine without IPv6.
                assert!(any.starts_with('['));
                continue;
            };
            let port = socket.local_addr().unwrap().port();
            let bound = SocketAddr::new(any.parse::<SocketAddr>().unwrap().ip(), port);
            let listener = Listener {
                kernel: KernelId::System,
                port: Port::System(socket, bound),
            };
            let client = std::net::UdpSocket::bind(any).unwrap();
            let server = SocketAddr::new(host.parse().unwrap(), port);
            if client.send_to(b"SCCRQ", server).is_err() {
                continue;
            }
            let (flow, bytes) = listener.receive().await.unwrap();
            assert_eq!((flow.local, flow.reqid), (server, 0));
            assert_eq!(flow.peer.port(), client.local_addr().unwrap().port());
            assert_eq!(bytes, b"SCCRQ");
            listener.send(flow, b"StopCCN").await.unwrap();
            let mut buffer = [0; 16];
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&b"StopCCN"[..], server));
        }
    }
}

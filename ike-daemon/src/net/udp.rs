//! A UDP socket that knows which of our addresses a datagram was sent to, and answers from it.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
use pfkey::{Direction, Numbering, Policy, PolicyType};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::os;

/// IKE messages are small; a longer datagram is cut, and then refused for its length field.
const MAX_DATAGRAM: usize = 65_507;
/// For bursts of clients, in octets.
const RECEIVE_BUFFER: usize = 1 << 20;

/// What a socket needs to be beside an IPsec of the system's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketKind {
    /// The kernel keeps ESP in UDP (RFC 3948) for itself.
    pub encapsulate: bool,
    /// IKE goes past the policies of the system's SPD, both ways: they may ask for SAs that IKE is
    /// to negotiate.
    pub bypass: bool,
    /// softkernel may have sockets at the same address and port, each connected to one peer.
    pub beside: bool,
}

/// A bound socket.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Udp {
    /// Binds `local`, which may be an unspecified address.
    ///
    /// # Errors
    /// Whatever the system says, such as `AddrInUse` when another IKE daemon runs.
    pub fn bind(local: SocketAddr, kind: &SocketKind) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Less is good enough.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        os::want_destination(&socket, local.is_ipv6())?;
        if kind.bypass {
            for direction in [Direction::INBOUND, Direction::OUTBOUND] {
                let policy = Policy::plain(PolicyType::BYPASS, direction);
                let policy = policy.to_blob(Numbering::system());
                os::set_policy(&socket, local.is_ipv6(), &policy)?;
            }
        }
        if kind.encapsulate {
            os::encapsulate(&socket, local.is_ipv6())?;
        }
        if kind.beside {
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&local.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// What it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Room for any datagram, for [`Udp::receive`].
    pub fn buffer() -> Vec<u8> {
        vec![0; MAX_DATAGRAM]
    }

    /// Waits for a datagram: (the address it was sent to, where it came from, payload). Cancel
    /// safe.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn receive(
        &self,
        buffer: &mut [u8],
    ) -> io::Result<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut control = os::control_buffer();
        loop {
            let received = self
                .socket
                .async_io(Interest::READABLE, || {
                    self.receive_now(buffer, &mut control)
                })
                .await?;
            if let Some((to, from, length)) = received {
                let payload = buffer.get(..length).unwrap_or_default().to_vec();
                return Ok((SocketAddr::new(to, self.local.port()), from, payload));
            }
        }
    }

    /// One datagram; `None` when it does not say where it came from.
    fn receive_now(
        &self,
        buffer: &mut [u8],
        control: &mut [u8],
    ) -> io::Result<Option<(IpAddr, SocketAddr, usize)>> {
        let mut parts = [IoSliceMut::new(buffer)];
        let descriptor = self.socket.as_raw_fd();
        let message =
            recvmsg::<SockaddrStorage>(descriptor, &mut parts, Some(control), MsgFlags::empty())?;
        let to = message
            .cmsgs()?
            .find_map(|message| os::destination(&message));
        let from = message.address.as_ref().and_then(socket_address);
        let to = to.unwrap_or(self.local.ip());
        Ok(from.map(|from| (to, from, message.bytes)))
    }

    /// Sends at once or not at all, as UDP does.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full, or whatever the system says.
    pub fn send(&self, source: IpAddr, peer: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(payload)];
        let descriptor = self.socket.as_raw_fd();
        let to = SockaddrStorage::from(peer);
        let send = |control: &[ControlMessage<'_>]| {
            sendmsg(descriptor, &parts, control, MsgFlags::empty(), Some(&to))
        };
        // A socket bound to one address sends from it anyway.
        let sent = match self.local.ip().is_unspecified() && !source.is_unspecified() {
            true => os::with_source(source, send),
            false => send(&[]),
        };
        sent.map(|_| ()).map_err(io::Error::from)
    }
}

/// The address of ours that the routing table chooses for traffic to `peer`.
///
/// # Errors
/// No route, or whatever the system says.
pub fn source_for(peer: SocketAddr) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
    // Connecting a UDP socket sends nothing.
    socket.connect(&peer.into())?;
    let local = socket.local_addr()?.as_socket();
    local
        .map(|local| local.ip())
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    address
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::new(v6.ip().into(), v6.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn knows_the_destination_and_answers_from_it() {
        let server = Udp::bind("0.0.0.0:0".parse().unwrap(), &SocketKind::default()).unwrap();
        let port = server.local().port();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // The whole of 127/8 is this host on Linux.
        for address in ["127.0.0.1", "127.0.0.53"] {
            let to = SocketAddr::new(address.parse().unwrap(), port);
            client.send_to(b"hello", to).await.unwrap();
            let (local, peer, payload) = server.receive(&mut Udp::buffer()).await.unwrap();
            assert_eq!((local, peer), (to, client.local_addr().unwrap()));
            assert_eq!(payload, b"hello");
            server.send(local.ip(), peer, b"answer").unwrap();
            let mut buffer = [0; 16];
            let (length, from) = client.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..length], from), (&b"answer"[..], to));
        }
    }

    #[tokio::test]
    async fn works_over_ipv6() {
        let Ok(server) = Udp::bind("[::]:0".parse().unwrap(), &SocketKind::default()) else {
            return; // a kernel without IPv6
        };
        let to = SocketAddr::new("::1".parse().unwrap(), server.local().port());
        let Ok(client) = UdpSocket::bind("[::1]:0").await else {
            return;
        };
        client.send_to(b"hello", to).await.unwrap();
        let (local, peer, _) = server.receive(&mut Udp::buffer()).await.unwrap();
        assert_eq!((local, peer), (to, client.local_addr().unwrap()));
        server.send(local.ip(), peer, b"answer").unwrap();
        assert_eq!(client.recv_from(&mut [0; 16]).await.unwrap(), (6, to));
    }

    #[test]
    fn the_routing_table_knows_our_address() {
        let peer = "127.0.0.1:500".parse().unwrap();
        assert_eq!(source_for(peer).unwrap(), IpAddr::from([127, 0, 0, 1]));
    }
}

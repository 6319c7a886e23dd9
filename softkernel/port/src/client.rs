//! The client's side: a UDP socket of the user-space kernel, for tokio.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket, sockopt,
};
use tokio::io::unix::AsyncFd;

use crate::register::register;
use crate::wire::{MAX_PACKET, MAX_PAYLOAD, Meta, Packet};

/// Room for bursts.
const BUFFER_SIZE: usize = 1 << 20;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The kernel's process does not answer at this path.
    #[error("user-space kernel: {0}")]
    Connect(#[source] io::Error),
    /// The kernel refused the address, for instance because another socket has it.
    #[error("bind {local}: {source}")]
    Refused {
        /// The address asked for.
        local: SocketAddr,
        /// The reason.
        source: io::Error,
    },
}

/// A UDP socket of the user-space kernel. When the kernel goes away every call fails; binding
/// again is the caller's affair.
#[derive(Debug)]
pub struct UdpPort {
    socket: AsyncFd<OwnedFd>,
    local: SocketAddr,
    /// Room for any packet.
    scratch: Mutex<Box<[u8]>>,
}

impl UdpPort {
    /// Connects to `udp.sock` at `path` and binds. `encap` asks for a socket of RFC 3948 that
    /// passes IKE and keeps ESP in the kernel. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The kernel is not there, or refuses.
    pub async fn bind(path: &Path, local: SocketAddr, encap: bool) -> Result<Self, BindError> {
        Self::ask(path, local, encap, None).await
    }

    /// Connects to `udp.sock` at `path` and asks for an encapsulation socket that takes every
    /// datagram of `peer` (the client's address and port as NAT shows them), and none of others.
    /// `local` is the one address that the client sends to. It may stand beside any other socket
    /// at that address and port that allows it (`SO_REUSEADDR` and `SO_REUSEPORT`).
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The kernel is not there, or refuses.
    pub async fn connect(
        path: &Path,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<Self, BindError> {
        Self::ask(path, local, true, Some(peer)).await
    }

    async fn ask(
        path: &Path,
        local: SocketAddr,
        encap: bool,
        peer: Option<SocketAddr>,
    ) -> Result<Self, BindError> {
        let socket = open(path).map_err(BindError::Connect)?;
        let mut port = Self {
            socket,
            local,
            scratch: Mutex::new(vec![0; MAX_PACKET].into_boxed_slice()),
        };
        let mut packet = Vec::new();
        Packet::Bind { local, encap, peer }.emit(&mut packet);
        port.write(&packet).await.map_err(BindError::Connect)?;
        let answer = port.read().await.map_err(BindError::Connect)?;
        match Packet::parse(&answer) {
            Ok(Packet::Bound { local }) => {
                port.local = local;
                Ok(port)
            }
            Ok(Packet::Error { errno }) => Err(BindError::Refused {
                local,
                source: io::Error::from_raw_os_error(errno),
            }),
            Ok(Packet::Bind { .. } | Packet::Datagram { .. }) | Err(_) => {
                Err(BindError::Connect(io::ErrorKind::InvalidData.into()))
            }
        }
    }

    /// The address that was bound.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Waits for a datagram. May be cancelled without loss.
    ///
    /// # Errors
    /// The kernel's side is gone.
    pub async fn recv(&self) -> io::Result<(Meta, Vec<u8>)> {
        loop {
            let mut packet = self.read().await?;
            if let Ok(Packet::Datagram { meta, payload }) = Packet::parse(&packet) {
                let header = packet.len() - payload.len();
                packet.drain(..header);
                return Ok((meta, packet));
            }
        }
    }

    /// Sends a datagram. That it could not be carried further (no SA, no route) is not reported,
    /// as with any UDP socket.
    ///
    /// # Errors
    /// The kernel's side is gone, or `EMSGSIZE`.
    pub async fn send(&self, meta: Meta, payload: &[u8]) -> io::Result<()> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Errno::EMSGSIZE.into());
        }
        let mut packet = Vec::with_capacity(payload.len() + 64);
        Packet::Datagram { meta, payload }.emit(&mut packet);
        self.write(&packet).await
    }

    async fn write(&self, packet: &[u8]) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            let result = ready.try_io(|fd| {
                // POSIX ends a record with the flag; Linux and FreeBSD 14 end it with every call.
                let flags = MsgFlags::MSG_EOR | MsgFlags::MSG_NOSIGNAL;
                Ok(send(fd.get_ref().as_raw_fd(), packet, flags)?)
            });
            if let Ok(result) = result {
                return result.map(|_| ());
            }
        }
    }

    async fn read(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut ready = self.socket.readable().await?;
            let result = ready.try_io(|fd| {
                let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
                let length = recv(fd.get_ref().as_raw_fd(), &mut scratch, MsgFlags::empty())?;
                Ok(scratch.get(..length).unwrap_or_default().to_vec())
            });
            match result {
                Ok(Ok(packet)) if packet.is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(result) => return result,
                Err(_) => {}
            }
        }
    }
}

fn open(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let descriptor = socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // As much as the system allows; less works too.
    let _ = nix::sys::socket::setsockopt(&descriptor, sockopt::SndBuf, &BUFFER_SIZE);
    let _ = nix::sys::socket::setsockopt(&descriptor, sockopt::RcvBuf, &BUFFER_SIZE);
    connect(descriptor.as_raw_fd(), &UnixAddr::new(path)?)?;
    let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL)?);
    fcntl(&descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    register(descriptor)
}

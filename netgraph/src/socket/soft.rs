//! The user-space kernel's netgraph: packets of frames on a Unix `SOCK_SEQPACKET` socket.

use std::io::{self, Read};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::register::register;
use crate::frame::MAX_PACKET;

/// Room for a burst of data frames in the kernel's buffers.
const BUFFER_SIZE: usize = 1 << 20;

/// POSIX ends a record of `SOCK_SEQPACKET` so; Linux and FreeBSD 14 end it with every call.
const END_OF_RECORD: i32 = libc::MSG_EOR | libc::MSG_NOSIGNAL;

#[derive(Debug)]
pub(super) struct SoftSocket(AsyncFd<Socket>);

impl SoftSocket {
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        // As much as the system allows; less works too.
        let _ = socket.set_send_buffer_size(BUFFER_SIZE);
        let _ = socket.set_recv_buffer_size(BUFFER_SIZE);
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_nonblocking(true)?;
        Ok(Self(register(socket)?))
    }

    /// Sends a packet. May be cancelled: then nothing was sent.
    pub(super) async fn send(&self, packet: &[u8]) -> io::Result<()> {
        if packet.len() > MAX_PACKET {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        loop {
            let mut ready = self.0.writable().await?;
            if let Ok(result) =
                ready.try_io(|fd| fd.get_ref().send_with_flags(packet, END_OF_RECORD))
            {
                return result.map(|_| ());
            }
        }
    }

    /// Waits for a packet; its length.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            let Ok(result) = ready.try_io(|fd| fd.get_ref().read(buffer)) else {
                continue;
            };
            return match result? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                length => Ok(length),
            };
        }
    }
}

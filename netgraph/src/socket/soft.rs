//! The user-space kernel's netgraph: frames on a Unix `SOCK_SEQPACKET` socket.

use std::io::{self, Read};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::Received;
use super::register::register;
use crate::frame::{Frame, MAX_FRAME};

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

    pub(super) async fn send(&self, packet: &[u8]) -> io::Result<()> {
        if packet.len() > MAX_FRAME {
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

    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            let mut ready = self.0.readable().await?;
            let Ok(result) = ready.try_io(|fd| fd.get_ref().read(buffer)) else {
                continue;
            };
            let length = result?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let packet = buffer.get(..length).unwrap_or_default();
            return Ok(match Frame::parse(packet) {
                Ok(Frame::Control { path, message }) => Received::Control {
                    from: path.to_owned(),
                    message: length - message.len()..length,
                },
                Ok(Frame::Data { hook, payload }) => Received::Data {
                    hook: hook.to_owned(),
                    payload: length - payload.len()..length,
                },
                Ok(Frame::Status { token, result }) => Received::Status { token, result },
                Err(_) => Received::Nothing,
            });
        }
    }
}

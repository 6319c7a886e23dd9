//! FreeBSD's netgraph: `AF_NETGRAPH` datagram sockets, `<netgraph/ng_socket.h>`.
//!
//! A node has two sockets: control messages are addressed by path, data by hook. The data socket
//! is connected to the node that the control socket made.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::register::register;
use crate::error::Errno;
use crate::generic::{GetNodeInfo, NodeInfo};
use crate::message::NgMessage;

const AF_NETGRAPH: u8 = 32;
const NG_DATA: i32 = 1;
const NG_CONTROL: i32 = 2;
/// `sg_len` is one byte and counts itself and the family.
const MAX_ADDRESS: usize = 250;
/// Wanted buffers. With the defaults of 20 KiB (`net.graph.maxdgram`, `net.graph.recvspace`) the
/// names of 300 nodes do not fit into an answer, and control frames of busy tunnels are lost.
const BUFFER_SIZE: usize = 1 << 20;

/// `struct sockaddr_ng` with room for the longest path; the length field carries what is used.
#[repr(C)]
struct SockaddrNg {
    len: u8,
    family: u8,
    data: [u8; 254],
}

impl SockaddrNg {
    const EMPTY: Self = Self {
        len: 0,
        family: 0,
        data: [0; 254],
    };

    fn new(name: &str) -> io::Result<Self> {
        let mut out = Self {
            family: AF_NETGRAPH,
            ..Self::EMPTY
        };
        let target = out
            .data
            .get_mut(..name.len())
            .filter(|_| name.len() < MAX_ADDRESS);
        target
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENAMETOOLONG))?
            .copy_from_slice(name.as_bytes());
        // Two bytes of header and the final NUL.
        out.len = u8::try_from(name.len() + 3).unwrap_or(u8::MAX);
        Ok(out)
    }

    fn name(&self) -> String {
        let text = self
            .data
            .split(|&byte| byte == 0)
            .next()
            .unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

/// A control message or data in the caller's buffer.
pub(super) struct Received {
    /// Else data.
    pub(super) control: bool,
    /// The sender's path, or the hook.
    pub(super) name: String,
    /// Octets of it.
    pub(super) length: usize,
}

#[derive(Debug)]
pub(super) struct SystemSocket {
    control: AsyncFd<Socket>,
    data: AsyncFd<Socket>,
}

impl SystemSocket {
    pub(super) fn open() -> io::Result<Self> {
        if !cfg!(target_os = "freebsd") {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let open = |protocol| -> io::Result<Socket> {
            let domain = Domain::from(i32::from(AF_NETGRAPH));
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::from(protocol)))?;
            raise(BUFFER_SIZE, |size| socket.set_send_buffer_size(size));
            raise(BUFFER_SIZE, |size| socket.set_recv_buffer_size(size));
            Ok(socket)
        };
        let control = open(NG_CONTROL)?;
        let data = open(NG_DATA)?;
        // The node exists with the control socket and has a number but no name.
        let question = NgMessage::request(&GetNodeInfo, 1).emit();
        send_to(&control, ".:", &question)?;
        let mut buffer = [0; 1024];
        let (length, _) = receive_from(&control, &mut buffer)?;
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
        let answer = NgMessage::parse(buffer.get(..length).unwrap_or_default()).map_err(invalid)?;
        let node = NodeInfo::parse(&answer.data).map_err(invalid)?;
        connect(&data, &format!("[{:x}]:", node.id))?;
        control.set_nonblocking(true)?;
        data.set_nonblocking(true)?;
        Ok(Self {
            control: register(control)?,
            data: register(data)?,
        })
    }

    /// The outer error is the socket's, the inner one the answer of the node: the kernel reports
    /// both as the result of `sendto(2)`.
    pub(super) async fn send_control(
        &self,
        path: &str,
        message: &[u8],
    ) -> io::Result<Result<(), Errno>> {
        loop {
            let mut ready = self.control.writable().await?;
            let Ok(result) = ready.try_io(|fd| send_to(fd.get_ref(), path, message)) else {
                continue;
            };
            return match result {
                Ok(()) => Ok(Ok(())),
                Err(error) => match error.raw_os_error() {
                    Some(errno) => Ok(Err(Errno(errno))),
                    None => Err(error),
                },
            };
        }
    }

    pub(super) async fn send_data(&self, hook: &str, payload: &[u8]) -> io::Result<()> {
        loop {
            let mut ready = self.data.writable().await?;
            if let Ok(result) = ready.try_io(|fd| send_to(fd.get_ref(), hook, payload)) {
                return result;
            }
        }
    }

    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            let (mut ready, control) = tokio::select! {
                ready = self.control.readable() => (ready?, true),
                ready = self.data.readable() => (ready?, false),
            };
            let Ok(result) = ready.try_io(|fd| receive_from(fd.get_ref(), buffer)) else {
                continue;
            };
            let (length, name) = result?;
            return Ok(Received {
                control,
                name,
                length,
            });
        }
    }
}

/// The system may grant less (`kern.ipc.maxsockbuf`): halves until it agrees.
fn raise(mut size: usize, set: impl Fn(usize) -> io::Result<()>) {
    while size > 1024 && set(size).is_err() {
        size /= 2;
    }
}

fn connect(socket: &Socket, name: &str) -> io::Result<()> {
    let address = SockaddrNg::new(name)?;
    // SAFETY: the address is a live `repr(C)` struct that is at least `address.len` bytes long.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            libc::socklen_t::from(address.len),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn send_to(socket: &Socket, name: &str, bytes: &[u8]) -> io::Result<()> {
    let address = SockaddrNg::new(name)?;
    // SAFETY: pointer and length describe the live slice `bytes`; the address is a live
    // `repr(C)` struct that is at least `address.len` bytes long.
    let result = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const address).cast(),
            libc::socklen_t::from(address.len),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn receive_from(socket: &Socket, buffer: &mut [u8]) -> io::Result<(usize, String)> {
    let mut address = SockaddrNg::EMPTY;
    let mut length = size_of::<SockaddrNg>() as libc::socklen_t;
    // SAFETY: pointer and length describe the live mutable slice `buffer`; `address` is a live
    // struct of `length` bytes, every byte pattern of which is valid.
    let result = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            (&raw mut address).cast(),
            &raw mut length,
        )
    };
    match usize::try_from(result) {
        Ok(received) => Ok((received, address.name())),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

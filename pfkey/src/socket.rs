//! The two kinds of PF_KEY socket behind one type: `socket(PF_KEY, SOCK_RAW, PF_KEY_V2)` of the
//! system, and softkernel's Unix `SOCK_SEQPACKET` socket where one packet is one message.

#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::message::VERSION;
use crate::numbering::Numbering;

/// Longest message: `sadb_msg_len` counts 8-byte units in 16 bits.
const MAX_MESSAGE: usize = 65_535 * 8;
/// Wanted receive buffer in bytes. FreeBSD's default of 8192 silently loses most of a DUMP.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A non-blocking PF_KEY socket.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    numbering: Numbering,
}

impl Socket {
    /// Opens the operating system's PF_KEY socket. Needs root.
    ///
    /// # Errors
    /// socket(2), for instance `EPERM`, or `EAFNOSUPPORT` where the kernel has no PF_KEY;
    /// `EPROTONOSUPPORT` where FreeBSD's has PF_KEY but no IPsec behind it.
    pub fn open_system() -> io::Result<Self> {
        #[cfg(target_os = "freebsd")]
        if !has_ipsec() {
            return Err(io::Error::from_raw_os_error(libc::EPROTONOSUPPORT));
        }
        let numbering = Numbering::system();
        let inner = socket2::Socket::new(
            Domain::from(numbering.domain()),
            Type::RAW,
            Some(Protocol::from(i32::from(VERSION))),
        )?;
        Self::prepare(inner, numbering)
    }

    /// Connects to softkernel's PF_KEY socket at `path`.
    ///
    /// # Errors
    /// connect(2), for instance `ENOENT` or `ECONNREFUSED` when softkernel does not run.
    pub fn connect_soft(path: &Path) -> io::Result<Self> {
        let inner = socket2::Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        inner.connect(&SockAddr::unix(path)?)?;
        Self::prepare(inner, Numbering::FreeBsd)
    }

    /// Takes over a connected socket: softkernel's end of an accepted connection, or one that was
    /// opened by somebody with more privileges.
    ///
    /// # Errors
    /// fcntl(2).
    pub fn from_connected(inner: socket2::Socket, numbering: Numbering) -> io::Result<Self> {
        Self::prepare(inner, numbering)
    }

    fn prepare(inner: socket2::Socket, numbering: Numbering) -> io::Result<Self> {
        inner.set_nonblocking(true)?;
        // The system may grant less (kern.ipc.maxsockbuf, net.core.rmem_max): halve until it agrees.
        let mut size = RECEIVE_BUFFER;
        while size > 8192 && inner.set_recv_buffer_size(size).is_err() {
            size /= 2;
        }
        Ok(Self { inner, numbering })
    }

    /// Whose numbers this socket speaks.
    pub const fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// Writes one message.
    ///
    /// # Errors
    /// `WouldBlock`, or what write(2) says; errors of the request itself come as a reply.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        let written = (&self.inner).write(message)?;
        if written == message.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// Reads one message into `buffer` and returns its length; 0 when softkernel went away.
    /// `buffer` should have the size of [`Socket::receive_buffer`]'s.
    ///
    /// # Errors
    /// `WouldBlock`, or what read(2) says. `ENOBUFS` means that messages were lost.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.inner).read(buffer)
    }

    /// A buffer that holds any message.
    pub fn receive_buffer() -> Vec<u8> {
        vec![0; MAX_MESSAGE]
    }
}

/// Whether FreeBSD's kernel carries ESP. GENERIC has PF_KEY from the start (`options
/// IPSEC_SUPPORT`) and takes SAs, but only with the module, loaded or built in, anybody uses them.
#[cfg(target_os = "freebsd")]
fn has_ipsec() -> bool {
    unsafe extern "C" {
        // <sys/module.h>
        fn modfind(name: *const libc::c_char) -> libc::c_int;
    }
    // SAFETY: the argument is a string with its NUL, and the call keeps nothing of it.
    unsafe { modfind(c"ipsec".as_ptr()) >= 0 }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// A [`Socket`] registered with tokio.
#[derive(Debug)]
pub struct AsyncSocket {
    fd: AsyncFd<Socket>,
}

impl AsyncSocket {
    /// Registers `socket` with the current tokio runtime.
    ///
    /// # Errors
    /// The reactor's, for instance when there are too many descriptors.
    pub fn new(socket: Socket) -> io::Result<Self> {
        // SAFETY: `Socket` owns its descriptor, lends it out only, and is neither replaced nor
        // closed while the `AsyncFd` owns it.
        let fd = unsafe { AsyncFd::register(socket)? };
        Ok(Self { fd })
    }

    /// Whose numbers this socket speaks.
    pub fn numbering(&self) -> Numbering {
        self.fd.get_ref().numbering()
    }

    /// Writes one message when the socket takes it.
    ///
    /// # Errors
    /// As [`Socket::send`], without `WouldBlock`.
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        self.fd
            .async_io(Interest::WRITABLE, |socket| socket.send(message))
            .await
    }

    /// Waits for one message; 0 when softkernel went away. Cancel safe.
    ///
    /// # Errors
    /// As [`Socket::receive`], without `WouldBlock`.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd
            .async_io(Interest::READABLE, |socket| socket.receive(buffer))
            .await
    }
}

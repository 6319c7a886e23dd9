//! Unix sockets of type `SOCK_SEQPACKET`: connections that keep message boundaries.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::enlarge_buffers;
use super::register::register;

/// Connections waiting to be accepted.
const BACKLOG: i32 = 64;
/// Room for a burst.
const BUFFER_SIZE: usize = 1 << 20;
/// Only the owner may connect.
const MODE: u32 = 0o600;

/// A listening socket; its file disappears when dropped.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<Socket>,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`, replacing the socket of a dead process.
    ///
    /// # Errors
    /// A living process listens there; no permission.
    pub fn bind(path: &Path) -> io::Result<Self> {
        tanuki_daemon::control::remove_dead_socket(path)?;
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: register(socket)?,
            path: path.to_owned(),
        })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// Out of descriptors.
    pub async fn accept(&self) -> io::Result<Connection> {
        loop {
            let mut ready = self.socket.readable().await?;
            let Ok(accepted) = ready.try_io(|fd| fd.get_ref().accept()) else {
                continue;
            };
            let (socket, _) = accepted?;
            socket.set_nonblocking(true)?;
            enlarge_buffers(&socket, BUFFER_SIZE);
            return Ok(Connection(register(socket)?));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Gone already is as good as removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection(AsyncFd<Socket>);

impl Connection {
    /// Waits until there is something to read.
    ///
    /// # Errors
    /// The reactor is gone.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, Socket>> {
        self.0.readable().await
    }

    /// Waits until there is room to write.
    ///
    /// # Errors
    /// The reactor is gone.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, Socket>> {
        self.0.writable().await
    }

    /// Reads one message; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; the connection broke.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.get_ref().read(buffer)
    }

    /// Writes one message.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; the connection broke.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        // POSIX ends a record with the flag; Linux and FreeBSD 14 end it with every call.
        let flags = libc::MSG_EOR | libc::MSG_NOSIGNAL;
        self.0.get_ref().send_with_flags(message, flags).map(|_| ())
    }
}

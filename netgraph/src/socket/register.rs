//! The one place where a socket is handed to tokio's reactor.
#![allow(unsafe_code)]

use std::io;

use socket2::Socket;
use tokio::io::unix::AsyncFd;

/// Registers a non-blocking socket with the current runtime.
pub(super) fn register(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: `Socket` owns an open descriptor, closes it only when dropped, and its
    // `as_raw_fd` returns that same descriptor all its life.
    unsafe { AsyncFd::register(socket) }.map_err(|error| error.into_parts().1)
}

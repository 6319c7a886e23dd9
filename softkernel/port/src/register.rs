//! The one place where the socket is opened and handed to tokio's reactor.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Registers a non-blocking descriptor with the current runtime.
pub(crate) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `OwnedFd` owns an open descriptor, closes it only when dropped, and its
    // `as_raw_fd` returns that same descriptor all its life.
    unsafe { AsyncFd::register(descriptor) }.map_err(|error| error.into_parts().1)
}

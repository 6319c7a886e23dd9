//! The one place where descriptors are handed to tokio's reactor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use socket2::Socket;
use tokio::io::unix::AsyncFd;

/// Types that own a descriptor and always report that one.
pub trait Owner: AsRawFd + sealed::Sealed {}

impl Owner for Socket {}
impl Owner for File {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for socket2::Socket {}
    impl Sealed for std::fs::File {}
}

/// Registers a non-blocking descriptor with the current runtime.
///
/// # Errors
/// The reactor does not take it.
pub fn register<T: Owner>(owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: both types that are `Owner` own an open descriptor, close it only when dropped, and
    // their `as_raw_fd` returns that same descriptor all their life. The trait is sealed.
    unsafe { AsyncFd::register(owner) }.map_err(|error| error.into_parts().1)
}

//! Socket options that no crate has.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

/// setsockopt(2) with any value.
pub(super) fn set<F: AsRawFd>(
    socket: &F,
    level: libc::c_int,
    option: libc::c_int,
    value: &[u8],
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` outlives the call and `length` is its length; the descriptor is open as long
    // as `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

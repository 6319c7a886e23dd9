//! FreeBSD's loadable kernel modules, kldload(2).
#![cfg_attr(target_os = "freebsd", allow(unsafe_code))]

use std::io;

/// Loads a module, as `kldload NAME` does; that it is there already is no error.
///
/// # Errors
/// Not root, in a jail, no such module; `Unsupported` on other systems.
#[cfg(target_os = "freebsd")]
pub fn load(name: &str) -> io::Result<()> {
    unsafe extern "C" {
        // <sys/linker.h>
        fn kldload(file: *const libc::c_char) -> libc::c_int;
    }
    let file = std::ffi::CString::new(name).map_err(io::Error::other)?;
    // SAFETY: the argument is a string with its NUL that lives through the call, which keeps
    // nothing of it.
    if unsafe { kldload(file.as_ptr()) } >= 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        error => Err(error),
    }
}

/// Loads a module, as `kldload NAME` does; that it is there already is no error.
///
/// # Errors
/// Not root, in a jail, no such module; `Unsupported` on other systems.
#[cfg(not(target_os = "freebsd"))]
pub fn load(_: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

//! The calls themselves. Numbers are those of `<sys/sockio.h>` and `<netinet6/in6_var.h>`.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use super::layout;

const SIOCSIFNAME: libc::c_ulong = 0x8020_6928;
const PF_ROUTE: i32 = 17;

/// An ioctl, whose number includes the size of its argument.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(super) enum Request {
    SetMtu = 0x8020_6934,
    Destroy = 0x8020_6979,
    AddAddress = 0x8044_692b,
    RemoveAddress = 0x8020_6919,
    /// `_IOW('i', 27, struct in6_aliasreq)`.
    AddAddress6 = 0x8088_691b,
    /// `_IOW('i', 25, struct in6_ifreq)`.
    RemoveAddress6 = 0x8120_6919,
}

pub(super) fn control(request: Request, argument: Vec<u8>) -> io::Result<()> {
    let any = match request {
        Request::AddAddress6 | Request::RemoveAddress6 => "[::]:0",
        _ => "0.0.0.0:0",
    };
    call(any, request as libc::c_ulong, argument)
}

/// The new name lies outside of the request.
pub(super) fn rename(from: &str, to: &str) -> io::Result<()> {
    let to = CString::new(to).map_err(|_| io::ErrorKind::InvalidInput)?;
    let argument = layout::data_request(from, to.as_ptr() as u64);
    call("0.0.0.0:0", SIOCSIFNAME, argument)
}

fn call(any: &str, request: libc::c_ulong, mut argument: Vec<u8>) -> io::Result<()> {
    let socket = UdpSocket::bind(any)?;
    // SAFETY: the descriptor is open, and `argument` has the size that is part of `request`
    // (see the tests of the layouts), so the kernel stays within it. The only pointer in one, that
    // of `rename`, leads to a string that lives until after the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, argument.as_mut_ptr()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Whether a message worked out is what writing it says.
pub(super) fn route(message: &[u8]) -> io::Result<()> {
    let mut socket = Socket::new(Domain::from(PF_ROUTE), Type::RAW, None)?;
    // What it would hear is of no interest, and nobody reads it.
    let _ = socket.shutdown(std::net::Shutdown::Read);
    socket.write_all(message)
}

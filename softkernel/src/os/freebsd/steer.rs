//! Several sockets for one port: nothing here chooses among them by SPI.

use std::io;

use socket2::Socket;

/// Not here.
pub(in crate::os) fn steer_datagrams(_: &Socket, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not here.
pub(in crate::os) fn steer_packets(_: &Socket, _: bool, _: u32, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

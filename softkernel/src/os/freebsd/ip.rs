//! The options and ancillary data of ip(4) that other systems have otherwise.

use std::io;
use std::net::Ipv4Addr;

use libc::c_int;
use socket2::Socket;

use super::super::outer::set_option;

/// Asks for [`Ipv4Info`] with every packet.
pub(in crate::os) const RECEIVE_DESTINATION: c_int = libc::IP_RECVDSTADDR;
/// Type of the item that tells the destination.
pub(in crate::os) const DESTINATION: c_int = libc::IP_RECVDSTADDR;
/// Type of the item that chooses the source.
pub(in crate::os) const SOURCE: c_int = libc::IP_SENDSRCADDR;
/// What either item holds.
pub(in crate::os) type Ipv4Info = libc::in_addr;

/// The destination of a received packet.
pub(in crate::os) fn destination(info: Ipv4Info) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from_be(info.s_addr))
}

/// Sends from this address.
pub(in crate::os) fn source(address: Ipv4Addr) -> Ipv4Info {
    libc::in_addr {
        s_addr: address.to_bits().to_be(),
    }
}

/// What is too long on the way is fragmented, as the inner packets were when they fitted.
pub(in crate::os) fn fragment(socket: &Socket, ipv4: bool) -> io::Result<()> {
    let (level, option) = match ipv4 {
        true => (libc::IPPROTO_IP, libc::IP_DONTFRAG),
        false => (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG),
    };
    set_option(socket, level, option, 0)
}

/// Raw sockets ignore ancillary data: the source is chosen by writing the IP header.
pub(in crate::os) const RAW_HEADER_INCLUDED: bool = true;

/// There are no rows of datagrams here.
pub(in crate::os) fn allow_rows(_: &Socket) {}

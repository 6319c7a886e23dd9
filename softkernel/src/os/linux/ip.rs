//! The options and ancillary data of ip(7) that other systems have otherwise.

use std::io;
use std::net::Ipv4Addr;

use libc::c_int;
use socket2::Socket;

use super::super::outer::set_option;

/// Asks for [`Ipv4Info`] with every packet.
pub(in crate::os) const RECEIVE_DESTINATION: c_int = libc::IP_PKTINFO;
/// Type of the item that tells the destination.
pub(in crate::os) const DESTINATION: c_int = libc::IP_PKTINFO;
/// Type of the item that chooses the source.
pub(in crate::os) const SOURCE: c_int = libc::IP_PKTINFO;
/// What either item holds.
pub(in crate::os) type Ipv4Info = libc::in_pktinfo;

/// The destination of a received packet.
pub(in crate::os) fn destination(info: Ipv4Info) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr))
}

/// Sends from this address.
pub(in crate::os) fn source(address: Ipv4Addr) -> Ipv4Info {
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr {
            s_addr: address.to_bits().to_be(),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

/// What is too long on the way is fragmented, as the inner packets were when they fitted.
pub(in crate::os) fn fragment(socket: &Socket, ipv4: bool) -> io::Result<()> {
    let (level, discover) = match ipv4 {
        true => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
        false => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    };
    set_option(socket, level, discover, libc::IP_PMTUDISC_DONT)
}

/// Raw sockets take the source from the ancillary data.
pub(in crate::os) const RAW_HEADER_INCLUDED: bool = false;

/// Lets the system hand over rows of datagrams (`UDP_GRO`). Without it they come one by one.
pub(in crate::os) fn allow_rows(socket: &Socket) {
    // Systems before Linux 5.0 do not know it.
    let _ = set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
}

//! Linux: destination addresses by `IP_PKTINFO`/`IPV6_RECVPKTINFO` (ip(7), ipv6(7)), ESP in UDP by
//! `UDP_ENCAP` (linux/udp.h).
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, setsockopt, sockopt};

/// `UDP_ENCAP` of linux/udp.h.
const UDP_ENCAP: libc::c_int = 100;
/// `UDP_ENCAP_ESPINUDP`: RFC 3948.
const UDP_ENCAP_ESPINUDP: libc::c_int = 2;

/// Asks for the destination address with every datagram.
pub(super) fn want_destination<F: AsFd>(socket: &F, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

/// Room for the control messages of one datagram.
pub(super) fn control_buffer() -> Vec<u8> {
    nix::cmsg_space!(libc::in6_pktinfo)
}

/// The destination address in a control message.
pub(super) fn destination(message: &ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// Calls `send` with the control message that makes `source` the datagram's source address.
pub(super) fn with_source<T>(source: IpAddr, send: impl FnOnce(&[ControlMessage<'_>]) -> T) -> T {
    match source {
        IpAddr::V4(v4) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from(v4).to_be(),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            send(&[ControlMessage::Ipv4PacketInfo(&info)])
        }
        IpAddr::V6(v6) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: v6.octets(),
                },
                ipi6_ifindex: 0,
            };
            send(&[ControlMessage::Ipv6PacketInfo(&info)])
        }
    }
}

/// Makes the kernel keep ESP that arrives on this socket and pass the rest up.
pub(super) fn encapsulate<F: AsRawFd>(socket: &F) -> io::Result<()> {
    let value = UDP_ENCAP_ESPINUDP;
    // SAFETY: `value` outlives the call and its size is the length given; the descriptor is open as
    // long as `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_UDP,
            UDP_ENCAP,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

//! Linux: destination addresses by `IP_PKTINFO`/`IPV6_RECVPKTINFO` (ip(7), ipv6(7)), ESP in UDP by
//! `UDP_ENCAP` (linux/udp.h).
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, setsockopt, sockopt};

use super::option;

/// `UDP_ENCAP` of linux/udp.h.
const UDP_ENCAP: libc::c_int = 100;
/// `UDP_ENCAP_ESPINUDP`: RFC 3948.
const UDP_ENCAP_ESPINUDP: libc::c_int = 2;

/// `IP_IPSEC_POLICY` of linux/in.h and `IPV6_IPSEC_POLICY` of linux/in6.h.
const IPSEC_POLICY: (libc::c_int, libc::c_int) = (16, 34);

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
pub(super) fn encapsulate<F: AsRawFd>(socket: &F, _ipv6: bool) -> io::Result<()> {
    let value = UDP_ENCAP_ESPINUDP.to_ne_bytes();
    option::set(socket, libc::IPPROTO_UDP, UDP_ENCAP, &value)
}

/// Gives the socket an IPsec policy of its own (ipsec(4)), instead of those of the SPD.
pub(super) fn set_policy<F: AsRawFd>(socket: &F, ipv6: bool, policy: &[u8]) -> io::Result<()> {
    let (level, option) = match ipv6 {
        false => (libc::IPPROTO_IP, IPSEC_POLICY.0),
        true => (libc::IPPROTO_IPV6, IPSEC_POLICY.1),
    };
    option::set(socket, level, option, policy)
}

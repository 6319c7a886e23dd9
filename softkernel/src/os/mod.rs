//! The operating system, one file per thing, and the only place with unsafe code.
//!
//! | file | what |
//! |---|---|
//! | `outer.rs` | raw ESP sockets and the UDP sockets of RFC 3948, with addresses of both ends |
//! | `tun.rs` | the TUN device |
//! | `netlink.rs` | its addresses, MTU and routes |
//! | `seqpacket.rs` | Unix sockets that keep message boundaries |
//! | `register.rs` | descriptors for tokio's reactor |

pub mod netlink;
pub mod outer;
pub mod register;
pub mod seqpacket;
pub mod tun;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// The address that the host would use towards `peer`.
pub fn source_for(peer: IpAddr) -> Option<IpAddr> {
    /// Nothing is sent; any port will do.
    const PORT_DISCARD: u16 = 9;
    let any: IpAddr = match peer {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((peer, PORT_DISCARD)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

//! The operating system, one file per thing, and the only place with unsafe code.
//!
//! | file | what |
//! |---|---|
//! | `outer.rs` | raw ESP sockets and the UDP sockets of RFC 3948, with addresses of both ends |
//! | `arrivals.rs` | packets that one system call has brought |
//! | `seqpacket.rs` | Unix sockets that keep message boundaries |
//! | `register.rs` | descriptors for tokio's reactor |
//! | `linux/`, `freebsd/` | what differs, the same names in both |
//! | `*/tun.rs` | the TUN device |
//! | `*/host.rs` | its addresses, MTU and routes |
//! | `*/batch.rs` | many packets of the sockets at once |
//! | `*/steer.rs` | which of several sockets gets a packet |
//! | `*/ip.rs` | options and ancillary data of sockets |

pub mod arrivals;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod linux;
pub mod outer;
pub mod register;
pub mod seqpacket;

#[cfg(target_os = "freebsd")]
use self::freebsd as system;
#[cfg(target_os = "linux")]
use self::linux as system;
pub use self::system::{NO_TUN, PRIVILEGE, esp_reaches_sockets, host, tun};

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use socket2::Socket;

/// Asking for less is not worth it, octets.
const MIN_BUFFER: usize = 64 << 10;

/// Gives a socket as large buffers as the system allows, at most `most` octets each way. Linux
/// cuts what is too much, FreeBSD refuses it.
fn enlarge_buffers(socket: &Socket, most: usize) {
    let enlarge = |set: &dyn Fn(usize) -> io::Result<()>| {
        let mut size = most;
        while size >= MIN_BUFFER && set(size).is_err() {
            size /= 2;
        }
    };
    enlarge(&|size| socket.set_send_buffer_size(size));
    enlarge(&|size| socket.set_recv_buffer_size(size));
}

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

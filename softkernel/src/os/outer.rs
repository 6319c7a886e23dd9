//! The sockets on the outside: raw ESP (RFC 4303, protocol 50) and UDP encapsulation (RFC 3948),
//! with the address of both ends of every packet.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::enlarge_buffers;
use super::register::register;
use super::system::{ip, steer};

const PROTOCOL_ESP: i32 = 50;
/// `struct ip` without options.
const IP_HEADER: usize = 20;
/// Room for a burst.
const BUFFER_SIZE: usize = 4 << 20;
/// Ancillary data: `struct in6_pktinfo` (20 bytes) and its header, aligned.
pub(super) const CONTROL_SIZE: usize = 64;

/// A socket for ESP, alone or inside UDP.
#[derive(Debug)]
pub struct OuterSocket {
    socket: AsyncFd<Socket>,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    raw: bool,
    /// We write the IP header of what is sent.
    header_included: bool,
}

/// A socket that no reactor knows yet: the thread that reads it registers it.
#[derive(Debug)]
pub struct Unregistered {
    socket: Socket,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    raw: bool,
    header_included: bool,
}

impl Unregistered {
    /// Registers it with the current runtime.
    ///
    /// # Errors
    /// The reactor does not take it.
    pub fn register(self) -> io::Result<OuterSocket> {
        Ok(OuterSocket {
            socket: register(self.socket)?,
            local: self.local,
            peer: self.peer,
            raw: self.raw,
            header_included: self.header_included,
        })
    }
}

/// Where a received packet came from and what it was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The sender; port 0 for raw ESP.
    pub source: SocketAddr,
    /// Our address; port 0 for raw ESP.
    pub destination: SocketAddr,
}

impl OuterSocket {
    /// A socket for ESP without UDP at `address`, which may be unspecified.
    ///
    /// # Errors
    /// No permission, or not our address.
    pub fn raw(address: IpAddr) -> io::Result<Self> {
        let socket = Socket::new(
            domain(address),
            Type::RAW,
            Some(Protocol::from(PROTOCOL_ESP)),
        )?;
        open(socket, SocketAddr::new(address, 0), None, true)?.register()
    }

    /// The same for the SPIs of the first of several workers, and the sockets of the others.
    ///
    /// # Errors
    /// As [`raw`](Self::raw), or the system cannot spread them.
    pub fn raw_for(address: IpAddr, workers: u32) -> io::Result<(Self, Vec<Unregistered>)> {
        let one = |worker| {
            let protocol = Some(Protocol::from(PROTOCOL_ESP));
            let socket = Socket::new(domain(address), Type::RAW, protocol)?;
            steer::steer_packets(&socket, address.is_ipv4(), worker, workers)?;
            open(socket, SocketAddr::new(address, 0), None, true)
        };
        let others = (1..workers).map(one).collect::<io::Result<_>>()?;
        Ok((one(0)?.register()?, others))
    }

    /// A socket for ESP inside UDP.
    ///
    /// # Errors
    /// The port is taken, or not our address.
    pub fn encapsulation(local: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(domain(local.ip()), Type::DGRAM, Some(Protocol::UDP))?;
        open(socket, local, None, false)?.register()
    }

    /// Further sockets at the address and port of this one, for the other workers: each gets its SPIs.
    ///
    /// # Errors
    /// The system cannot spread datagrams.
    pub fn share(&self, workers: u32) -> io::Result<Vec<Unregistered>> {
        // Only now: the first socket was to find out whether the port is taken.
        self.socket.get_ref().set_reuse_port(true)?;
        let one = |_| {
            let socket = Socket::new(domain(self.local.ip()), Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_reuse_port(true)?;
            open(socket, self.local, None, false)
        };
        let others = (1..workers).map(one).collect::<io::Result<Vec<_>>>()?;
        steer::steer_datagrams(self.socket.get_ref(), workers)?;
        Ok(others)
    }

    /// A socket for ESP inside UDP that gets every datagram of one peer, beside sockets of others
    /// at the same address and port. Datagrams of others may be among the first.
    ///
    /// # Errors
    /// The port is taken by one that does not share, not our address, or no route to the peer.
    pub fn connected(local: SocketAddr, peer: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(domain(local.ip()), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        open(socket, local, Some(peer), false)?.register()
    }

    /// The address it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The only peer of a connected socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Whether it can send from this address.
    pub fn serves(&self, source: SocketAddr) -> bool {
        self.local.is_ipv4() == source.is_ipv4()
            && self.local.port() == source.port()
            && (self.local.ip().is_unspecified() || self.local.ip() == source.ip())
    }

    /// Waits until there is a packet.
    ///
    /// # Errors
    /// The reactor is gone.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, Socket>> {
        self.socket.readable().await
    }

    /// Both ends of a packet as we speak of them.
    pub(super) fn addresses(&self, mut source: SocketAddr, destination: IpAddr) -> Addresses {
        let port = if self.raw { 0 } else { self.local.port() };
        if self.raw {
            source.set_port(0);
        }
        Addresses {
            source,
            destination: SocketAddr::new(destination, port),
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.get_ref().as_raw_fd()
    }

    /// Whether it is for ESP without UDP.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Sends one packet from an address of ours.
    ///
    /// # Errors
    /// `WouldBlock` when the queue is full; no route; not our address.
    pub fn send(&self, source: IpAddr, destination: SocketAddr, packet: &[u8]) -> io::Result<()> {
        match self.send_once(source, destination, packet) {
            // A connected socket reports what ICMP said about an earlier packet, instead of
            // sending this one.
            Err(error) if self.peer.is_some() && error.kind() != io::ErrorKind::WouldBlock => {
                self.send_once(source, destination, packet)
            }
            result => result,
        }
    }

    fn send_once(&self, source: IpAddr, destination: SocketAddr, packet: &[u8]) -> io::Result<()> {
        // Raw sockets of IPv6 refuse an address with a port.
        let destination = match self.raw {
            true => SocketAddr::new(destination.ip(), 0),
            false => destination,
        };
        if self.peer.is_some_and(|peer| peer != destination) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let name = SockAddr::from(destination);
        let mut control = Control([0; CONTROL_SIZE]);
        let mut ip_header = match (self.header_included, source, destination.ip()) {
            (true, IpAddr::V4(source), IpAddr::V4(destination)) => {
                ip_header(source, destination, packet.len())
                    .ok_or_else(|| io::Error::from_raw_os_error(libc::EMSGSIZE))?
            }
            _ => [0; IP_HEADER],
        };
        let header_part = libc::iovec {
            iov_base: ip_header.as_mut_ptr().cast(),
            iov_len: if self.header_included { IP_HEADER } else { 0 },
        };
        let packet_part = libc::iovec {
            iov_base: packet.as_ptr().cast_mut().cast(),
            iov_len: packet.len(),
        };
        let mut parts = [header_part, packet_part];
        // SAFETY: an all-zero `msghdr` is valid: null pointers with length 0.
        let mut header: libc::msghdr = unsafe { zeroed() };
        if self.peer.is_none() {
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
        }
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = parts.len() as _;
        // A socket bound to one address sends from it anyway.
        let choose = self.local.ip().is_unspecified() && !source.is_unspecified();
        if choose && !self.header_included {
            header.msg_control = (&raw mut control).cast();
            header.msg_controllen = CONTROL_SIZE as _;
            // SAFETY: the header leads to `control`, which is aligned and has room for either
            // structure.
            unsafe { set_source(&mut header, source) };
        }
        // SAFETY: every pointer in the header leads to a live object of the length given with it;
        // sendmsg does not write through any of them.
        let result = unsafe {
            libc::sendmsg(
                self.socket.get_ref().as_raw_fd(),
                &raw const header,
                libc::MSG_NOSIGNAL,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}

/// Sets options, binds and connects.
fn open(
    socket: Socket,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    raw: bool,
) -> io::Result<Unregistered> {
    let (level, info) = match local {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, ip::RECEIVE_DESTINATION),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    if local.is_ipv6() && !raw {
        socket.set_only_v6(true)?;
    }
    set_option(&socket, level, info, 1)?;
    ip::fragment(&socket, local.is_ipv4())?;
    let header_included = raw && local.is_ipv4() && ip::RAW_HEADER_INCLUDED;
    if header_included {
        set_option(&socket, libc::IPPROTO_IP, libc::IP_HDRINCL, 1)?;
    }
    enlarge_buffers(&socket, BUFFER_SIZE);
    socket.bind(&SockAddr::from(local))?;
    if let Some(peer) = peer {
        socket.connect(&SockAddr::from(peer))?;
    }
    socket.set_nonblocking(true)?;
    let local = match raw {
        true => local,
        false => socket.local_addr()?.as_socket().unwrap_or(local),
    };
    if !raw {
        ip::allow_rows(&socket);
    }
    Ok(Unregistered {
        socket,
        local,
        peer,
        raw,
        header_included,
    })
}

/// Ancillary data must be aligned as `cmsghdr` is.
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_SIZE]);

/// `struct ip` for one packet of ESP; the kernel fills in identification and checksum.
fn ip_header(source: Ipv4Addr, destination: Ipv4Addr, payload: usize) -> Option<[u8; IP_HEADER]> {
    const VERSION_AND_LENGTH: u8 = 0x45;
    const TTL: u8 = 64;
    let length = u16::try_from(IP_HEADER + payload).ok()?.to_be_bytes();
    let mut header = [0; IP_HEADER];
    let fields = [
        (0, &[VERSION_AND_LENGTH][..]),
        (2, &length),
        (8, &[TTL, PROTOCOL_ESP as u8]),
        (12, &source.octets()),
        (16, &destination.octets()),
    ];
    for (at, field) in fields {
        header.get_mut(at..at + field.len())?.copy_from_slice(field);
    }
    Some(header)
}

fn domain(address: IpAddr) -> Domain {
    if address.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    }
}

pub(super) fn zeroed_storage() -> libc::sockaddr_storage {
    // SAFETY: all-zero is a valid `sockaddr_storage`: integers only.
    unsafe { zeroed() }
}

pub(super) fn set_option(socket: &Socket, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: pointer and length describe the live integer `value`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

pub(super) fn address_of(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a `sockaddr_in`; storage is larger and aligned.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a `sockaddr_in6`; storage is larger and aligned.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// The destination address in the ancillary data.
///
/// # Safety
/// `header` must come from a successful `recvmsg` and its control buffer must be alive.
pub(super) unsafe fn destination_of(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the macros stay within the control buffer (caller's promise); the structures are
    // read unaligned, and only when their type says what they are.
    unsafe {
        let mut item = libc::CMSG_FIRSTHDR(header);
        while !item.is_null() {
            match ((*item).cmsg_level, (*item).cmsg_type) {
                (libc::IPPROTO_IP, ip::DESTINATION) => {
                    let info = libc::CMSG_DATA(item)
                        .cast::<ip::Ipv4Info>()
                        .read_unaligned();
                    return Some(ip::destination(info).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = libc::CMSG_DATA(item)
                        .cast::<libc::in6_pktinfo>()
                        .read_unaligned();
                    return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => item = libc::CMSG_NXTHDR(header, item),
            }
        }
        None
    }
}

/// Writes the source address into the ancillary data and sets its length.
///
/// # Safety
/// `header` must lead to an aligned control buffer of at least [`CONTROL_SIZE`] bytes.
pub(super) unsafe fn set_source(header: &mut libc::msghdr, source: IpAddr) {
    // SAFETY: the buffer has room for one item of either kind (caller's promise).
    unsafe {
        let item = libc::CMSG_FIRSTHDR(header);
        if item.is_null() {
            return;
        }
        let used = match source {
            IpAddr::V4(v4) => {
                (*item).cmsg_level = libc::IPPROTO_IP;
                (*item).cmsg_type = ip::SOURCE;
                libc::CMSG_DATA(item)
                    .cast::<ip::Ipv4Info>()
                    .write_unaligned(ip::source(v4));
                size_of::<ip::Ipv4Info>()
            }
            IpAddr::V6(v6) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: v6.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                (*item).cmsg_level = libc::IPPROTO_IPV6;
                (*item).cmsg_type = libc::IPV6_PKTINFO;
                libc::CMSG_DATA(item)
                    .cast::<libc::in6_pktinfo>()
                    .write_unaligned(info);
                size_of::<libc::in6_pktinfo>()
            }
        };
        (*item).cmsg_len = libc::CMSG_LEN(used as u32) as _;
        header.msg_controllen = libc::CMSG_SPACE(used as u32) as _;
    }
}

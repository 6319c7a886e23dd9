//! `ng_ksocket(4)`, `<netgraph/ng_ksocket.h>`: a socket inside the kernel.
//!
//! The name of the single hook says which socket: `inet/dgram/udp`, or numbers
//! (`28/2/17` is IPv6 UDP). Addresses are FreeBSD's `sockaddr_in` (16 bytes) and
//! `sockaddr_in6` (28 bytes): a length byte, a family byte, then port and address in network
//! order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::command::{Command, plain_command, reply, struct_command};
use crate::error::WireError;
use crate::wire::{Reader, Writer};

/// The node type.
pub const TYPE: &str = "ksocket";
/// `NGM_KSOCKET_COOKIE`.
pub const COOKIE: u32 = 942_710_669;

/// Hook of a UDP socket over IPv4.
pub const HOOK_UDP4: &str = "inet/dgram/udp";
/// Hook of a UDP socket over IPv6: `PF_INET6/SOCK_DGRAM/IPPROTO_UDP` in FreeBSD's numbers.
pub const HOOK_UDP6: &str = "28/2/17";

/// The hook of a UDP socket of the address's family.
pub fn udp_hook(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => HOOK_UDP4,
        IpAddr::V6(_) => HOOK_UDP6,
    }
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 28;

/// `SOL_SOCKET` of FreeBSD.
pub const SOL_SOCKET: i32 = 0xffff;
/// `SO_REUSEADDR` of FreeBSD.
pub const SO_REUSEADDR: i32 = 0x4;
/// `SO_REUSEPORT` of FreeBSD.
pub const SO_REUSEPORT: i32 = 0x200;
/// `IPPROTO_IP`.
pub const IPPROTO_IP: i32 = 0;
/// `IPPROTO_IPV6`.
pub const IPPROTO_IPV6: i32 = 41;
/// `IP_IPSEC_POLICY` of FreeBSD: the value is a `sadb_x_policy` with its requests.
pub const IP_IPSEC_POLICY: i32 = 21;
/// `IPV6_IPSEC_POLICY` of FreeBSD.
pub const IPV6_IPSEC_POLICY: i32 = 28;

struct_command! {
    /// `NGM_KSOCKET_BIND`: gives the socket its local address.
    Bind(Address), COOKIE, 1, "bind", ()
}
struct_command! {
    /// `NGM_KSOCKET_CONNECT`: gives the socket its peer.
    Connect(Address), COOKIE, 4, "connect", ()
}
plain_command! {
    /// `NGM_KSOCKET_GETNAME`: asks for the local address.
    GetName, COOKIE, 5, "getname", Address
}
plain_command! {
    /// `NGM_KSOCKET_GETPEERNAME`: asks for the peer.
    GetPeerName, COOKIE, 6, "getpeername", Address
}
struct_command! {
    /// `NGM_KSOCKET_SETOPT`: sets a socket option.
    SetOption(SocketOption), COOKIE, 7, "setopt", ()
}

/// A socket address in FreeBSD's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(pub SocketAddr);

impl Address {
    /// Reads a `sockaddr_in` or `sockaddr_in6`.
    ///
    /// # Errors
    /// Another family, or a length that is not the family's.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("sockaddr", bytes);
        let length = reader.u8()?;
        let family = reader.u8()?;
        let port = reader.u16_be()?;
        let address = match (family, length) {
            (AF_INET, 16) => {
                let mut octets = [0; 4];
                octets.copy_from_slice(reader.bytes(4)?);
                reader.skip(8)?;
                SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(octets), port))
            }
            (AF_INET6, 28) => {
                let flow = u32::from_be(reader.u32()?);
                let mut octets = [0; 16];
                octets.copy_from_slice(reader.bytes(16)?);
                let scope = reader.u32()?;
                SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, flow, scope))
            }
            (AF_INET | AF_INET6, _) => {
                return Err(WireError::Unknown {
                    what: "sockaddr.len",
                    value: length.into(),
                });
            }
            _ => {
                return Err(WireError::Unknown {
                    what: "sockaddr.family",
                    value: family.into(),
                });
            }
        };
        reader.end()?;
        Ok(Self(address))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self.0 {
            SocketAddr::V4(v4) => {
                writer
                    .u8(16)
                    .u8(AF_INET)
                    .u16_be(v4.port())
                    .bytes(&v4.ip().octets())
                    .zeros(8);
            }
            SocketAddr::V6(v6) => {
                writer
                    .u8(28)
                    .u8(AF_INET6)
                    .u16_be(v6.port())
                    .u32(v6.flowinfo().to_be())
                    .bytes(&v6.ip().octets())
                    .u32(v6.scope_id());
            }
        }
        writer.finish()
    }
}

/// `struct ng_ksocket_sockopt`: two numbers, then the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOption {
    /// Protocol level, FreeBSD's number.
    pub level: i32,
    /// The option, FreeBSD's number.
    pub name: i32,
    /// Its value.
    pub value: Vec<u8>,
}

impl SocketOption {
    /// An option whose value is an `int`.
    pub fn integer(level: i32, name: i32, value: i32) -> Self {
        Self {
            level,
            name,
            value: value.to_ne_bytes().to_vec(),
        }
    }

    /// The IPsec policy of the socket: `policy` is a `sadb_x_policy` and its requests. One call
    /// per direction.
    pub fn ipsec_policy(peer: IpAddr, policy: Vec<u8>) -> Self {
        let (level, name) = match peer {
            IpAddr::V4(_) => (IPPROTO_IP, IP_IPSEC_POLICY),
            IpAddr::V6(_) => (IPPROTO_IPV6, IPV6_IPSEC_POLICY),
        };
        Self {
            level,
            name,
            value: policy,
        }
    }

    /// Reads the structure.
    ///
    /// # Errors
    /// Fewer than eight bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_ksocket_sockopt", bytes);
        let level = reader.i32()?;
        let name = reader.i32()?;
        Ok(Self {
            level,
            name,
            value: reader.rest().to_vec(),
        })
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .i32(self.level)
            .i32(self.name)
            .bytes(&self.value)
            .finish()
    }
}

/// `NGM_KSOCKET_GETOPT`: asks for an option; the reply is the option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetOption {
    /// Protocol level.
    pub level: i32,
    /// The option.
    pub name: i32,
}

impl Command for GetOption {
    const COOKIE: u32 = COOKIE;
    const COMMAND: u32 = 8;
    const NAME: &'static str = "getopt";
    type Reply = SocketOption;

    fn encode(&self) -> Vec<u8> {
        Writer::new().i32(self.level).i32(self.name).finish()
    }

    fn decode(data: &[u8]) -> Result<Self, WireError> {
        let SocketOption { level, name, .. } = SocketOption::parse(data)?;
        Ok(Self { level, name })
    }
}

reply!(Address);
reply!(SocketOption);

//! `sockaddr_in` and `sockaddr_in6` as they lie inside extensions.
//!
//! FreeBSD: `len:u8 family:u8`; Linux: `family:u16`. The rest is the same: port and address in
//! network order, 16 bytes for IPv4, 28 for IPv6.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::numbering::Numbering;
use crate::wire::{Reader, Writer};

const IN_LEN: usize = 16;
const IN6_LEN: usize = 28;

/// Bytes `address` takes on the wire, without padding.
pub(crate) const fn wire_len(address: &SocketAddr) -> usize {
    match address {
        SocketAddr::V4(_) => IN_LEN,
        SocketAddr::V6(_) => IN6_LEN,
    }
}

/// Writes `address`, without padding.
pub(crate) fn emit(address: &SocketAddr, numbering: Numbering, out: &mut Writer<'_>) {
    let family = match address {
        SocketAddr::V4(_) => numbering.family_inet(),
        SocketAddr::V6(_) => numbering.family_inet6(),
    };
    if numbering.sockaddr_has_length() {
        out.u8(wire_len(address) as u8).u8(family);
    } else {
        out.u16(u16::from(family));
    }
    out.be16(address.port());
    match address {
        SocketAddr::V4(v4) => out.bytes(&v4.ip().octets()).zeros(8),
        SocketAddr::V6(v6) => out
            .u32(v6.flowinfo())
            .bytes(&v6.ip().octets())
            .u32(v6.scope_id()),
    };
}

/// Reads one address; `None` when it is cut off or of another family.
pub(crate) fn parse(reader: &mut Reader<'_>, numbering: Numbering) -> Option<SocketAddr> {
    let family = if numbering.sockaddr_has_length() {
        let length = usize::from(reader.u8()?);
        let family = reader.u8()?;
        let expected = if family == numbering.family_inet() {
            IN_LEN
        } else {
            IN6_LEN
        };
        if length != expected {
            return None;
        }
        family
    } else {
        u8::try_from(reader.u16()?).ok()?
    };
    let port = reader.be16()?;
    if family == numbering.family_inet() {
        let address = Ipv4Addr::from(reader.array::<4>()?);
        reader.skip(8)?;
        Some(SocketAddr::V4(SocketAddrV4::new(address, port)))
    } else if family == numbering.family_inet6() {
        let flow = reader.u32()?;
        let address = Ipv6Addr::from(reader.array::<16>()?);
        let scope = reader.u32()?;
        Some(SocketAddr::V6(SocketAddrV6::new(
            address, port, flow, scope,
        )))
    } else {
        None
    }
}

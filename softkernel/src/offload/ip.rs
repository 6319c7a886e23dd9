//! As much of IP and TCP headers as cutting and joining needs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::Malformed;

pub(super) const PROTOCOL_TCP: u8 = 6;
pub(super) const PROTOCOL_UDP: u8 = 17;
pub(super) const IPV6_HEADER: usize = 40;
pub(super) const IPV4_HEADER: usize = 20;
pub(super) const UDP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
/// Of TCP's flags, in the 14th byte.
pub(super) const FLAG_FIN: u8 = 0x01;
pub(super) const FLAG_PSH: u8 = 0x08;
pub(super) const FLAG_ACK: u8 = 0x10;
pub(super) const FLAG_CWR: u8 = 0x80;
/// Offsets in the TCP header.
pub(super) const TCP_SEQUENCE: usize = 4;
pub(super) const TCP_FLAGS: usize = 13;
pub(super) const TCP_CHECKSUM: usize = 16;
/// Offsets in the UDP header.
pub(super) const UDP_LENGTH: usize = 4;
pub(super) const UDP_CHECKSUM: usize = 6;

/// Big-endian fields at an offset; whoever asks has checked that the header is there.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*field))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*field))
}

pub(super) fn put(bytes: &mut [u8], at: usize, field: &[u8]) -> Result<(), Malformed> {
    bytes
        .get_mut(at..at + field.len())
        .ok_or(Malformed)?
        .copy_from_slice(field);
    Ok(())
}

/// Source and destination, and whether it is IPv6.
pub(super) fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let from: [u8; 4] = *packet.get(12..)?.first_chunk()?;
            let to: [u8; 4] = *packet.get(16..)?.first_chunk()?;
            Some((Ipv4Addr::from(from).into(), Ipv4Addr::from(to).into()))
        }
        6 => {
            let from: [u8; 16] = *packet.get(8..)?.first_chunk()?;
            let to: [u8; 16] = *packet.get(24..)?.first_chunk()?;
            Some((Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into()))
        }
        _ => None,
    }
}

/// Writes the length fields of an IP packet of this total length, and IPv4's header checksum.
pub(super) fn set_length(packet: &mut [u8], header: usize, total: usize) -> Result<(), Malformed> {
    if packet.first().ok_or(Malformed)? >> 4 == 4 {
        let total = u16::try_from(total).map_err(|_| Malformed)?;
        put(packet, 2, &total.to_be_bytes())?;
        put(packet, 10, &[0, 0])?;
        let sum = super::checksum::Sum::default().with(packet.get(..header).ok_or(Malformed)?);
        put(packet, 10, &sum.checksum().to_be_bytes())
    } else {
        let payload = total.checked_sub(IPV6_HEADER).ok_or(Malformed)?;
        let payload = u16::try_from(payload).map_err(|_| Malformed)?;
        put(packet, 4, &payload.to_be_bytes())
    }
}

/// The length of a TCP header, options included, from its data offset.
pub(super) fn tcp_header(transport: &[u8]) -> Option<usize> {
    let length = usize::from(transport.get(12)? >> 4) * 4;
    (length >= TCP_HEADER && length <= transport.len()).then_some(length)
}

/// Where the parts of a TCP or UDP packet are that may be joined with others: no IP options, no
/// extension headers, no fragment, nothing behind it, a checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// TCP or UDP.
    pub(super) protocol: u8,
    /// Bytes of the IP header.
    pub(super) ip: usize,
    /// Where the payload is.
    pub(super) payload: Range<usize>,
}

impl Layout {
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let (ip, total, protocol) = match packet.first()? {
            0x45 => {
                // More fragments to come, or a later one.
                if u16_at(packet, 6)? & 0x3fff != 0 {
                    return None;
                }
                (
                    IPV4_HEADER,
                    usize::from(u16_at(packet, 2)?),
                    *packet.get(9)?,
                )
            }
            first if first >> 4 == 6 => {
                let total = IPV6_HEADER + usize::from(u16_at(packet, 4)?);
                (IPV6_HEADER, total, *packet.get(6)?)
            }
            _ => return None,
        };
        if total != packet.len() {
            return None;
        }
        let transport = packet.get(ip..)?;
        let header = match protocol {
            PROTOCOL_TCP => tcp_header(transport)?,
            PROTOCOL_UDP => {
                let whole = usize::from(u16_at(transport, UDP_LENGTH)?) == transport.len();
                let summed = u16_at(transport, UDP_CHECKSUM)? != 0;
                (whole && summed).then_some(UDP_HEADER)?
            }
            _ => return None,
        };
        Some(Self {
            protocol,
            ip,
            payload: ip + header..total,
        })
    }
}

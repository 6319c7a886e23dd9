//! ICMPv6 (RFC 4443) in IPv6 (RFC 8200), and the Router Solicitation (RFC 4861 section 4.1).

use std::fmt;
use std::net::Ipv6Addr;

/// All nodes of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of the link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

pub(crate) const ROUTER_SOLICITATION: u8 = 133;
pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
const ICMPV6: u8 = 58;
/// What has crossed a router has less.
const HOP_LIMIT: u8 = 255;
const HEADER: usize = 40;
/// Source link-layer address; a packet from nowhere must not have it.
const OPTION_SOURCE_LINK_LAYER: u8 = 1;

/// Why a packet is not a valid Router Solicitation (RFC 4861 section 6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// Another kind of packet.
    Other,
    /// Hop limit, checksum, code, length or an option is wrong.
    Malformed,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "no router solicitation",
            Self::Malformed => "a malformed router solicitation",
        })
    }
}

impl std::error::Error for Invalid {}

/// A valid Router Solicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks: an address of the link, or unspecified.
    pub source: Ipv6Addr,
}

impl Solicitation {
    /// Reads one from a whole IPv6 packet.
    ///
    /// # Errors
    /// It is something else, or RFC 4861 says to drop it.
    pub fn parse(packet: &[u8]) -> Result<Self, Invalid> {
        let (header, message) = packet.split_first_chunk::<HEADER>().ok_or(Invalid::Other)?;
        let [
            first,
            _,
            _,
            _,
            length_high,
            length_low,
            next,
            hops,
            addresses @ ..,
        ] = header;
        if first >> 4 != 6 || *next != ICMPV6 || message.first() != Some(&ROUTER_SOLICITATION) {
            return Err(Invalid::Other);
        }
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let message = message.get(..length).ok_or(Invalid::Malformed)?;
        let (source, destination) = addresses.split_at(16);
        let (Some(source), Some(destination)) = (address(source), address(destination)) else {
            return Err(Invalid::Malformed);
        };
        let [_, code, _, _, _, _, _, _, options @ ..] = message else {
            return Err(Invalid::Malformed);
        };
        let valid = *hops == HOP_LIMIT && *code == 0 && checksum(source, destination, message) == 0;
        if !valid || !options_are_valid(options, source.is_unspecified()) {
            return Err(Invalid::Malformed);
        }
        Ok(Self { source })
    }

    /// The whole packet, from `source` to all routers. A PPP link has no addresses of its own to
    /// put into an option.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        emit(self.source, ALL_ROUTERS, ROUTER_SOLICITATION, &[0; 4])
    }
}

/// An ICMPv6 message with code 0 in an IPv6 packet that may not leave the link.
pub(crate) fn emit(source: Ipv6Addr, destination: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend_from_slice(body);
    let sum = checksum(source, destination, &message).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0];
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[ICMPV6, HOP_LIMIT]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    packet.extend_from_slice(&[kind, 0]);
    packet.extend_from_slice(&sum);
    packet.extend_from_slice(body);
    packet
}

/// RFC 4443 section 2.3, over the pseudo header of RFC 8200 section 8.1; 0 over a message whose
/// checksum is right.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut sum = length.wrapping_add(ICMPV6.into());
    for part in [&source.octets()[..], &destination.octets()[..], message] {
        for pair in part.chunks(2) {
            let (high, low) = (pair[0], pair.get(1).copied().unwrap_or(0));
            sum += u32::from(u16::from_be_bytes([high, low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Each has a length, in units of eight octets, that is not 0; those nobody knows are skipped.
fn options_are_valid(mut options: &[u8], from_nowhere: bool) -> bool {
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * 8;
        if length == 0 || from_nowhere && kind == OPTION_SOURCE_LINK_LAYER {
            return false;
        }
        match options.get(length..) {
            Some(rest) => options = rest,
            None => return false,
        }
    }
    options.is_empty()
}

fn address(octets: &[u8]) -> Option<Ipv6Addr> {
    octets.first_chunk::<16>().copied().map(Ipv6Addr::from)
}

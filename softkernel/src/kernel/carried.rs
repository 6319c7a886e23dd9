//! What an ESP packet carries.

use std::net::SocketAddr;

use pfkey::Mode;

use crate::buffer::Buffer;
use crate::ipsec::{Inbound, InboundEsp};
use crate::udp;

/// IP in IP, and IPv6 in IP: what tunnel mode carries.
const NEXT_HEADER_IPV4: u8 = 4;
const NEXT_HEADER_IPV6: u8 = 41;

/// What an authentic packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    /// An IP packet.
    Packet,
    /// A UDP payload.
    Datagram {
        /// Our end.
        local: SocketAddr,
        /// The peer's.
        peer: SocketAddr,
    },
    /// Nothing of use.
    Nothing(Useless),
}

/// Why what a packet carries is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Useless {
    Malformed,
    NotUdp,
}

/// Reduces a packet to what it carries.
pub(crate) fn carried(inbound: &Inbound, from: &InboundEsp, packet: &mut Buffer) -> Carried {
    packet.truncate(inbound.payload.end);
    if !packet.trim_front(inbound.payload.start) {
        return Carried::Nothing(Useless::Malformed);
    }
    match (inbound.mode, inbound.next_header) {
        (Mode::TUNNEL, NEXT_HEADER_IPV4 | NEXT_HEADER_IPV6) => Carried::Packet,
        (Mode::TUNNEL, _) => Carried::Nothing(Useless::Malformed),
        (_, udp::PROTOCOL) => match udp::strip(packet) {
            Some((source_port, destination_port)) => Carried::Datagram {
                local: SocketAddr::new(from.destination.ip(), destination_port),
                peer: SocketAddr::new(from.source.ip(), source_port),
            },
            None => Carried::Nothing(Useless::Malformed),
        },
        _ => Carried::Nothing(Useless::NotUdp),
    }
}

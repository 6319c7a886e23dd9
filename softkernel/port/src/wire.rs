//! The packets on `udp.sock`.
//!
//! ```text
//! bind      1 | flags              | local [| peer]          client to kernel, once, first
//! bound     2 | 0                  | address                 kernel to client
//! error     3 | 0                  | errno (4, big endian)   kernel to client, then it closes
//! datagram  4 | 0 | reqid (4, BE)  | local | peer | payload  both ways
//! flags:    1 = encapsulation, 2 = a peer follows
//! address:  version (4 or 6) | port (2, BE) | 4 or 16 octets
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Largest UDP payload.
pub const MAX_PAYLOAD: usize = 65_507;
/// Largest packet on the socket.
pub const MAX_PACKET: usize = 6 + 2 * 19 + MAX_PAYLOAD;

const BIND: u8 = 1;
const BOUND: u8 = 2;
const ERROR: u8 = 3;
const DATAGRAM: u8 = 4;
const FLAG_ENCAP: u8 = 1;
const FLAG_PEER: u8 = 2;

/// A packet that is none of those above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends too early.
    #[error("truncated packet")]
    Truncated,
    /// It goes on after its end, or the payload is longer than a datagram can be.
    #[error("packet too long")]
    TooLong,
    /// Unknown kind of packet.
    #[error("unknown packet kind {0}")]
    Kind(u8),
    /// Unknown address version.
    #[error("unknown address version {0}")]
    Version(u8),
}

/// Where a datagram comes from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Our address and port: the destination of a received datagram, the source of one to send
    /// (an unspecified address leaves the choice to the kernel).
    pub local: SocketAddr,
    /// The other side's address and port.
    pub peer: SocketAddr,
    /// The reqid of the SA that a received datagram came through. In a datagram to send: the SAs
    /// that may carry it, 0 for whatever the policy database says. Always 0 on an encapsulation
    /// socket.
    pub reqid: u32,
}

/// One packet on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Asks for a socket.
    Bind {
        /// Address (may be unspecified) and port.
        local: SocketAddr,
        /// Whether it is an encapsulation socket.
        encap: bool,
        /// Only datagrams of this peer, and all of them: a connected encapsulation socket.
        peer: Option<SocketAddr>,
    },
    /// The socket is there.
    Bound {
        /// Its address.
        local: SocketAddr,
    },
    /// The socket was refused.
    Error {
        /// The operating system's error number.
        errno: i32,
    },
    /// A datagram.
    Datagram {
        /// Addresses.
        meta: Meta,
        /// What the datagram carries.
        payload: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn parse(packet: &'a [u8]) -> Result<Self, WireError> {
        let (head, rest) = packet.split_at_checked(2).ok_or(WireError::Truncated)?;
        let [kind, flags] = *head else {
            return Err(WireError::Truncated);
        };
        match kind {
            BIND => {
                let (local, mut rest) = parse_address(rest)?;
                let mut peer = None;
                if flags & FLAG_PEER != 0 {
                    let (address, after) = parse_address(rest)?;
                    (peer, rest) = (Some(address), after);
                }
                end(rest)?;
                Ok(Self::Bind {
                    local,
                    encap: flags & FLAG_ENCAP != 0,
                    peer,
                })
            }
            BOUND => {
                let (local, rest) = parse_address(rest)?;
                end(rest)?;
                Ok(Self::Bound { local })
            }
            ERROR => {
                let (errno, rest) = split::<4>(rest)?;
                end(rest)?;
                Ok(Self::Error {
                    errno: i32::from_be_bytes(errno),
                })
            }
            DATAGRAM => {
                let (reqid, rest) = split::<4>(rest)?;
                let (local, rest) = parse_address(rest)?;
                let (peer, payload) = parse_address(rest)?;
                if payload.len() > MAX_PAYLOAD {
                    return Err(WireError::TooLong);
                }
                let meta = Meta {
                    local,
                    peer,
                    reqid: u32::from_be_bytes(reqid),
                };
                Ok(Self::Datagram { meta, payload })
            }
            other => Err(WireError::Kind(other)),
        }
    }

    /// Appends the packet to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bind { local, encap, peer } => {
                let encap = if *encap { FLAG_ENCAP } else { 0 };
                let connected = if peer.is_some() { FLAG_PEER } else { 0 };
                out.extend_from_slice(&[BIND, encap | connected]);
                emit_address(*local, out);
                if let Some(peer) = peer {
                    emit_address(*peer, out);
                }
            }
            Self::Bound { local } => {
                out.extend_from_slice(&[BOUND, 0]);
                emit_address(*local, out);
            }
            Self::Error { errno } => {
                out.extend_from_slice(&[ERROR, 0]);
                out.extend_from_slice(&errno.to_be_bytes());
            }
            Self::Datagram { meta, payload } => {
                out.extend_from_slice(&[DATAGRAM, 0]);
                out.extend_from_slice(&meta.reqid.to_be_bytes());
                emit_address(meta.local, out);
                emit_address(meta.peer, out);
                out.extend_from_slice(payload);
            }
        }
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), WireError> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
    Ok((*head, rest))
}

fn end(rest: &[u8]) -> Result<(), WireError> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err(WireError::TooLong)
    }
}

fn parse_address(bytes: &[u8]) -> Result<(SocketAddr, &[u8]), WireError> {
    let ([version], rest) = split::<1>(bytes)?;
    let (port, rest) = split::<2>(rest)?;
    let (ip, rest): (IpAddr, &[u8]) = match version {
        4 => {
            let (octets, rest) = split::<4>(rest)?;
            (Ipv4Addr::from(octets).into(), rest)
        }
        6 => {
            let (octets, rest) = split::<16>(rest)?;
            (Ipv6Addr::from(octets).into(), rest)
        }
        other => return Err(WireError::Version(other)),
    };
    Ok((SocketAddr::new(ip, u16::from_be_bytes(port)), rest))
}

fn emit_address(address: SocketAddr, out: &mut Vec<u8>) {
    out.push(if address.is_ipv4() { 4 } else { 6 });
    out.extend_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout() {
        let mut out = Vec::new();
        Packet::Bind {
            local: "0.0.0.0:1701".parse().unwrap(),
            encap: false,
            peer: None,
        }
        .emit(&mut out);
        assert_eq!(out, hex!("01 00 04 06a5 00000000"));
        out.clear();
        let connected = Packet::Bind {
            local: "192.0.2.1:4500".parse().unwrap(),
            encap: true,
            peer: Some("198.51.100.7:61000".parse().unwrap()),
        };
        connected.emit(&mut out);
        assert_eq!(out, hex!("01 03 04 1194 c0000201 04 ee48 c6336407"));
        assert_eq!(Packet::parse(&out), Ok(connected));
        assert_eq!(Packet::parse(&out[..9]), Err(WireError::Truncated));
        out.clear();
        let meta = Meta {
            local: "192.0.2.1:4500".parse().unwrap(),
            peer: "[2001:db8::5]:61000".parse().unwrap(),
            reqid: 5,
        };
        Packet::Datagram {
            meta,
            payload: &[0xaa, 0xbb],
        }
        .emit(&mut out);
        assert_eq!(
            out,
            hex!("04 00 00000005 04 1194 c0000201 06 ee48 20010db8000000000000000000000005 aabb")
        );
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        prop_oneof![
            (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
            (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail_and_what_parses_is_emitted_again(
            bytes in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            if let Ok(packet) = Packet::parse(&bytes) {
                let mut out = Vec::new();
                packet.emit(&mut out);
                prop_assert_eq!(Packet::parse(&out), Ok(packet));
            }
        }

        #[test]
        fn datagrams_round_trip(
            local in address(), peer in address(), reqid: u32,
            payload in prop::collection::vec(any::<u8>(), 0..2000)
        ) {
            let packet = Packet::Datagram { meta: Meta { local, peer, reqid }, payload: &payload };
            let mut out = Vec::new();
            packet.emit(&mut out);
            prop_assert_eq!(Packet::parse(&out), Ok(packet));
            for short in 0..out.len() - payload.len() {
                prop_assert_eq!(Packet::parse(&out[..short]), Err(WireError::Truncated));
            }
        }
    }
}

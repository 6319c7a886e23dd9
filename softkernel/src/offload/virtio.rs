//! `struct virtio_net_hdr` (<linux/virtio_net.h>, virtio 1.2 section 5.1.6) as TUN devices use it:
//! ten bytes in host order before every packet.

/// Bytes of the header.
pub const LENGTH: usize = 10;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// `VIRTIO_NET_HDR_GSO_ECN`: may stand beside either TCP.
const GSO_ECN: u8 = 0x80;

/// What a long packet is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    /// It is not long.
    None,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP datagrams of one flow, over either IP.
    Udp,
    /// Something not asked for.
    Unknown(u8),
}

/// What the device says of a packet, and what it is told of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtioHeader {
    /// Where the checksum is missing: offset of the transport header, and of the field in it. The
    /// field has the sum of the pseudo header.
    pub checksum: Option<(u16, u16)>,
    /// How it is to be cut.
    pub gso: Gso,
    /// Bytes of all headers together; a hint.
    pub header_length: u16,
    /// Payload bytes of every piece but the last.
    pub segment_size: u16,
}

impl VirtioHeader {
    /// An ordinary packet.
    pub const PLAIN: Self = Self {
        checksum: None,
        gso: Gso::None,
        header_length: 0,
        segment_size: 0,
    };

    /// Reads it.
    pub fn parse(bytes: &[u8; LENGTH]) -> Self {
        let [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1] = *bytes;
        let start = u16::from_ne_bytes([c0, c1]);
        let offset = u16::from_ne_bytes([o0, o1]);
        Self {
            checksum: (flags & NEEDS_CHECKSUM != 0).then_some((start, offset)),
            gso: match gso & !GSO_ECN {
                GSO_NONE => Gso::None,
                GSO_TCPV4 => Gso::Tcp4,
                GSO_TCPV6 => Gso::Tcp6,
                GSO_UDP_L4 => Gso::Udp,
                other => Gso::Unknown(other),
            },
            header_length: u16::from_ne_bytes([h0, h1]),
            segment_size: u16::from_ne_bytes([s0, s1]),
        }
    }

    /// Writes it.
    pub fn emit(&self) -> [u8; LENGTH] {
        let flags = if self.checksum.is_some() {
            NEEDS_CHECKSUM
        } else {
            0
        };
        let gso = match self.gso {
            Gso::None => GSO_NONE,
            Gso::Tcp4 => GSO_TCPV4,
            Gso::Tcp6 => GSO_TCPV6,
            Gso::Udp => GSO_UDP_L4,
            Gso::Unknown(other) => other,
        };
        let (start, offset) = self.checksum.unwrap_or_default();
        let [h0, h1] = self.header_length.to_ne_bytes();
        let [s0, s1] = self.segment_size.to_ne_bytes();
        let [c0, c1] = start.to_ne_bytes();
        let [o0, o1] = offset.to_ne_bytes();
        [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_structure_lies_in_memory() {
        let header = VirtioHeader {
            checksum: Some((20, 16)),
            gso: Gso::Tcp4,
            header_length: 52,
            segment_size: 1348,
        };
        let mut bytes = vec![1, 1];
        for field in [52u16, 1348, 20, 16] {
            bytes.extend(field.to_ne_bytes());
        }
        assert_eq!(header.emit(), bytes[..]);
        assert_eq!(VirtioHeader::parse(&header.emit()), header);
        // Explicit congestion notification changes nothing here.
        bytes[1] |= 0x80;
        let bytes: [u8; LENGTH] = bytes.try_into().unwrap();
        assert_eq!(VirtioHeader::parse(&bytes), header);
        assert_eq!(VirtioHeader::PLAIN.emit(), [0; LENGTH]);
    }
}

//! The UDP header inside ESP transport mode (RFC 768, RFC 8200 section 8.1).

use std::net::{IpAddr, SocketAddr};

use crate::buffer::Buffer;
use crate::offload::checksum::Sum;

/// Protocol number of UDP.
pub const PROTOCOL: u8 = 17;
const HEADER: usize = 8;

/// Takes the header off a datagram; the buffer then holds the payload. Returns source and
/// destination port, or None when it is malformed.
///
/// The checksum is not looked at: behind a NAT it was computed over other addresses (RFC 3948
/// section 3.1.2), and ESP has authenticated the packet already.
pub fn strip(datagram: &mut Buffer) -> Option<(u16, u16)> {
    let header: [u8; HEADER] = *datagram.first_chunk()?;
    let [s0, s1, d0, d1, l0, l1, _, _] = header;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length < HEADER || length > datagram.len() {
        return None;
    }
    datagram.truncate(length);
    datagram
        .trim_front(HEADER)
        .then(|| (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
}

/// Puts the header in front of the payload in the buffer. None when it does not fit.
///
/// Over IPv4 the checksum is left out, so no NAT can make it wrong; IPv6 demands one.
pub fn prepend(payload: &mut Buffer, source: SocketAddr, destination: SocketAddr) -> Option<()> {
    let length = u16::try_from(payload.len() + HEADER).ok()?;
    let room = payload.prepend(HEADER)?;
    let fields = [source.port(), destination.port(), length, 0];
    for (place, field) in room.chunks_exact_mut(2).zip(fields) {
        place.copy_from_slice(&field.to_be_bytes());
    }
    if let (IpAddr::V6(from), IpAddr::V6(to)) = (source.ip(), destination.ip()) {
        let whole = Sum::pseudo_header(from.into(), to.into(), PROTOCOL, payload.len());
        let checksum = whole.with(payload).udp_checksum();
        payload
            .get_mut(6..8)?
            .copy_from_slice(&checksum.to_be_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn v6_has_a_checksum_computed_by_hand() {
        let from: SocketAddr = "[2001:db8::1]:1701".parse().unwrap();
        let to: SocketAddr = "[2001:db8::2]:1701".parse().unwrap();
        let mut buffer = Buffer::new(64);
        assert!(buffer.fill(&hex!("c802 000c 0001 0000 0000 0001")));
        prepend(&mut buffer, from, to).unwrap();
        // Pseudo header: 2 * (2001 + 0db8) + 1 + 2 + 0014 + 0011 = 5b9a; header 06a5 * 2 + 0014 =
        // 0d5e; body c802 + 000c + 1 + 1 = c810. Sum 13108 -> 3109, complement cef6.
        assert_eq!(&buffer[..8], hex!("06a5 06a5 0014 cef6"));
        assert_eq!(strip(&mut buffer), Some((1701, 1701)));
        assert_eq!(buffer.len(), 12);
    }

    #[test]
    fn wrong_lengths() {
        let mut buffer = Buffer::new(64);
        for datagram in [
            &hex!("06a5 06a5 0007 0000")[..],
            &hex!("06a5 06a5 0009 0000"),
            &hex!("06a5 06a5 00"),
        ] {
            assert!(buffer.fill(datagram));
            assert_eq!(strip(&mut buffer), None);
        }
        assert!(buffer.fill(&hex!("06a5 06a6 0009 0000 aa bbcc")));
        assert_eq!(strip(&mut buffer), Some((1701, 1702)));
        assert_eq!(&buffer[..], [0xaa]);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut buffer = Buffer::new(64);
            prop_assert!(buffer.fill(&bytes));
            strip(&mut buffer);
        }
    }
}

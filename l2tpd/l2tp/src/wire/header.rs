//! The header of a control message, RFC 2661 section 3.1. Only the listener needs it, for first
//! messages and for refusing them; afterwards headers are the kernel node's.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |T|L|x|x|S|x|O|P|x|x|x|x|  Ver  |             Length            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           Tunnel ID           |           Session ID          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |               Ns              |               Nr              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use thiserror::Error;

const TYPE: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;
const PRIORITY: u16 = 0x0100;
const VERSION_MASK: u16 = 0x000f;
const VERSION: u16 = 2;

/// Octets of a control header.
const HEADER_LENGTH: usize = 12;

/// The header of a control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlHeader {
    /// Tunnel ID: the receiver's number, 0 in a first message.
    pub tunnel_id: u16,
    /// Session ID: the receiver's number, 0 for the tunnel itself.
    pub session_id: u16,
    /// Sequence number of this message.
    pub ns: u16,
    /// Sequence number expected next.
    pub nr: u16,
}

/// Why a datagram is no L2TPv2 control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Shorter than a control header, or than its Length field says.
    #[error("the datagram is cut short")]
    Truncated,
    /// Length field below the header's own length.
    #[error("the Length field is {0}")]
    Length(u16),
    /// Ver is not 2.
    #[error("version {0} is not L2TPv2")]
    Version(u8),
    /// A data message.
    #[error("a data message")]
    Data,
    /// L or S missing, or O or P set, which section 3.1 forbids for control messages.
    #[error("flags {0:#06x} are not those of a control message")]
    Flags(u16),
}

impl ControlHeader {
    /// Reads the header; also returns the AVPs. Octets after Length are padding and dropped.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let (flags, _) = datagram
            .split_first_chunk::<2>()
            .ok_or(HeaderError::Truncated)?;
        let flags = u16::from_be_bytes(*flags);
        if flags & VERSION_MASK != VERSION {
            return Err(HeaderError::Version((flags & VERSION_MASK) as u8));
        }
        if flags & TYPE == 0 {
            return Err(HeaderError::Data);
        }
        if flags & (LENGTH | SEQUENCE | OFFSET | PRIORITY) != LENGTH | SEQUENCE {
            return Err(HeaderError::Flags(flags));
        }
        let (head, _) = datagram
            .split_first_chunk::<HEADER_LENGTH>()
            .ok_or(HeaderError::Truncated)?;
        let [_, _, l0, l1, t0, t1, s0, s1, ns0, ns1, nr0, nr1] = *head;
        let length = u16::from_be_bytes([l0, l1]);
        if usize::from(length) < HEADER_LENGTH {
            return Err(HeaderError::Length(length));
        }
        let avps = datagram
            .get(HEADER_LENGTH..usize::from(length))
            .ok_or(HeaderError::Truncated)?;
        let header = Self {
            tunnel_id: u16::from_be_bytes([t0, t1]),
            session_id: u16::from_be_bytes([s0, s1]),
            ns: u16::from_be_bytes([ns0, ns1]),
            nr: u16::from_be_bytes([nr0, nr1]),
        };
        Ok((header, avps))
    }

    /// Writes header and AVPs as one datagram. AVPs beyond what Length can say are cut.
    #[must_use]
    pub fn emit(&self, avps: &[u8]) -> Vec<u8> {
        let avps = avps
            .get(..usize::from(u16::MAX) - HEADER_LENGTH)
            .unwrap_or(avps);
        let length = u16::try_from(HEADER_LENGTH + avps.len()).unwrap_or(u16::MAX);
        let mut out = Vec::with_capacity(usize::from(length));
        let flags = TYPE | LENGTH | SEQUENCE | VERSION;
        for field in [
            flags,
            length,
            self.tunnel_id,
            self.session_id,
            self.ns,
            self.nr,
        ] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(avps);
        out
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags_and_lengths() {
        let good = hex!("c802 000c 0000 0000 0000 0000");
        assert_eq!(
            ControlHeader::parse(&good),
            Ok((
                ControlHeader {
                    tunnel_id: 0,
                    session_id: 0,
                    ns: 0,
                    nr: 0
                },
                &[][..]
            ))
        );
        for cut in 0..good.len() {
            assert_eq!(
                ControlHeader::parse(&good[..cut]),
                Err(HeaderError::Truncated),
                "{cut}"
            );
        }
        let with = |flags: u16, length: u16| {
            let mut bytes = good;
            bytes[..2].copy_from_slice(&flags.to_be_bytes());
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            ControlHeader::parse(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(with(0xc803, 12), HeaderError::Version(3), "L2TPv3");
        assert_eq!(with(0xc801, 12), HeaderError::Version(1), "L2F");
        assert_eq!(with(0x4802, 12), HeaderError::Data);
        assert_eq!(with(0x8802, 12), HeaderError::Flags(0x8802), "L missing");
        assert_eq!(with(0xc002, 12), HeaderError::Flags(0xc002), "S missing");
        assert_eq!(
            with(0x8202, 12),
            HeaderError::Flags(0x8202),
            "O without L and S"
        );
        assert_eq!(with(0xca02, 12), HeaderError::Flags(0xca02));
        assert_eq!(with(0xc902, 12), HeaderError::Flags(0xc902));
        assert_eq!(with(0xc802, 11), HeaderError::Length(11));
        assert_eq!(with(0xc802, 13), HeaderError::Truncated);
        let padded = [&good[..], &[0; 6]].concat();
        assert!(ControlHeader::parse(&padded).is_ok_and(|(_, avps)| avps.is_empty()));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = ControlHeader::parse(&bytes);
        }

        #[test]
        fn round_trip(ids in any::<[u16; 4]>(), avps in proptest::collection::vec(any::<u8>(), 0..99)) {
            let [tunnel_id, session_id, ns, nr] = ids;
            let header = ControlHeader { tunnel_id, session_id, ns, nr };
            let datagram = header.emit(&avps);
            prop_assert_eq!(ControlHeader::parse(&datagram), Ok((header, &avps[..])));
        }
    }
}

//! PPP protocol numbers and the packet every control protocol uses (RFC 1661 section 5):
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |     Code      |  Identifier   |            Length             |
//! |    Data ...
//! ```

/// Protocol numbers (RFC 1661 section 2 and the IANA registry).
pub mod protocol {
    /// IPv4 packets.
    pub const IPV4: u16 = 0x0021;
    /// IPv6 packets.
    pub const IPV6: u16 = 0x0057;
    /// IP Control Protocol (RFC 1332).
    pub const IPCP: u16 = 0x8021;
    /// IPv6 Control Protocol (RFC 5072).
    pub const IPV6CP: u16 = 0x8057;
    /// Link Control Protocol.
    pub const LCP: u16 = 0xc021;
    /// Password Authentication Protocol (RFC 1334).
    pub const PAP: u16 = 0xc023;
    /// Challenge Handshake Authentication Protocol (RFC 1994).
    pub const CHAP: u16 = 0xc223;
    /// Extensible Authentication Protocol (RFC 3748): never agreed to here.
    pub const EAP: u16 = 0xc227;
}

/// Codes of LCP; IPCP and IPv6CP use the first seven.
pub mod code {
    /// Configure-Request.
    pub const CONFIGURE_REQUEST: u8 = 1;
    /// Configure-Ack.
    pub const CONFIGURE_ACK: u8 = 2;
    /// Configure-Nak.
    pub const CONFIGURE_NAK: u8 = 3;
    /// Configure-Reject.
    pub const CONFIGURE_REJECT: u8 = 4;
    /// Terminate-Request.
    pub const TERMINATE_REQUEST: u8 = 5;
    /// Terminate-Ack.
    pub const TERMINATE_ACK: u8 = 6;
    /// Code-Reject.
    pub const CODE_REJECT: u8 = 7;
    /// Protocol-Reject.
    pub const PROTOCOL_REJECT: u8 = 8;
    /// Echo-Request.
    pub const ECHO_REQUEST: u8 = 9;
    /// Echo-Reply.
    pub const ECHO_REPLY: u8 = 10;
    /// Discard-Request.
    pub const DISCARD_REQUEST: u8 = 11;
    /// Identification (RFC 1570 section 2.1).
    pub const IDENTIFICATION: u8 = 12;
    /// Time-Remaining (RFC 1570 section 2.2).
    pub const TIME_REMAINING: u8 = 13;
}

/// The longest control frame taken in or sent out, octets: the default MRU, which every
/// implementation must be able to receive (RFC 1661 section 6.1).
pub const MAX_FRAME: usize = 1500;

/// Code, Identifier and Length.
pub(crate) const HEADER: usize = 4;

/// A control packet in the frame it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) code: u8,
    pub(crate) id: u8,
    /// What follows the header, padding beyond Length cut off.
    pub(crate) data: &'a [u8],
    /// Header and data.
    pub(crate) whole: &'a [u8],
}

impl<'a> Packet<'a> {
    /// `None` if Length is below 4 or beyond the frame.
    pub(crate) fn parse(frame: &'a [u8]) -> Option<Self> {
        let [code, id, high, low, ..] = *frame else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let whole = frame.get(..length)?;
        let data = whole.get(HEADER..)?;
        Some(Self {
            code,
            id,
            data,
            whole,
        })
    }
}

/// A control packet ready to send; data beyond [`MAX_FRAME`] is cut off.
pub(crate) fn emit(code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let data = data.get(..MAX_FRAME - HEADER).unwrap_or(data);
    let length = u16::try_from(HEADER + data.len()).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(HEADER + data.len());
    packet.extend_from_slice(&[code, id]);
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(data);
    packet
}

/// Text of a peer, made fit for a log line: escaped, at most 80 characters.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..64).unwrap_or(bytes));
    text.escape_debug().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_lie() {
        assert_eq!(Packet::parse(&[]), None);
        assert_eq!(Packet::parse(&[9, 1, 0]), None);
        for length in [0u8, 1, 2, 3, 9] {
            assert_eq!(
                Packet::parse(&[9, 1, 0, length, 1, 2, 3, 4]),
                None,
                "{length}"
            );
        }
        let padded = Packet::parse(&[9, 1, 0, 6, 1, 2, 3, 4]).unwrap();
        assert_eq!((padded.data, padded.whole.len()), (&[1u8, 2][..], 6));
    }

    #[test]
    fn peer_text_is_escaped_and_short() {
        assert_eq!(printable(b"bye\n\x1b[31m"), "bye\\n\\u{1b}[31m");
        assert!(printable(&[0; 500]).len() <= 80);
    }
}

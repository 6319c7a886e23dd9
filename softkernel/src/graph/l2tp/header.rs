//! The L2TP header, RFC 2661 section 3.1.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |T|L|x|x|S|x|O|P|x|x|x|x|  Ver  |          Length (opt)         |
//! |           Tunnel ID           |           Session ID          |
//! |             Ns (opt)          |             Nr (opt)          |
//! |      Offset Size (opt)        |    Offset pad... (opt)
//! ```

/// T: control message.
const CONTROL: u16 = 0x8000;
/// L: length field present.
const LENGTH: u16 = 0x4000;
/// S: Ns and Nr present.
const SEQUENCE: u16 = 0x0800;
/// O: offset size present.
const OFFSET: u16 = 0x0200;
/// P: priority.
const PRIORITY: u16 = 0x0100;
/// Ver: version 2; the bits of the field that must not be set are the rest of it.
const VERSION: u16 = 0x0002;
const NOT_VERSION: u16 = 0x000d;

/// Bytes of a control message's header.
pub const CONTROL_HEADER: usize = 12;
/// Bytes of the longest header that is sent with data: L and S present.
pub const MAX_DATA_HEADER: usize = 12;

/// Why a header is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// Shorter than the fields it announces.
    Runt,
    /// Impossible bits, length or offset.
    Invalid,
}

/// A header that has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Control message, not data.
    pub control: bool,
    /// Recipient's tunnel id.
    pub tunnel: u16,
    /// Recipient's session id.
    pub session: u16,
    /// Ns and Nr, if present.
    pub sequence: Option<(u16, u16)>,
    /// Where the payload begins.
    pub start: usize,
    /// Where it ends: the length field may leave padding behind.
    pub end: usize,
}

impl Header {
    /// Reads the header at the front of `packet`.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn parse(packet: &[u8]) -> Result<Self, HeaderError> {
        if packet.len() < 6 {
            return Err(HeaderError::Runt);
        }
        let mut fields = Fields { packet, at: 0 };
        let flags = fields.next()?;
        let control = flags & CONTROL != 0;
        let (ones, zeros) = if control {
            (LENGTH | SEQUENCE | VERSION, OFFSET | PRIORITY | NOT_VERSION)
        } else {
            (VERSION, NOT_VERSION)
        };
        if flags & ones != ones || flags & zeros != 0 {
            return Err(HeaderError::Invalid);
        }
        let mut end = packet.len();
        if flags & LENGTH != 0 {
            end = usize::from(fields.next()?);
            if end > packet.len() {
                return Err(HeaderError::Invalid);
            }
        }
        let tunnel = fields.next()?;
        let session = fields.next()?;
        let sequence = if flags & SEQUENCE != 0 {
            Some((fields.next()?, fields.next()?))
        } else {
            None
        };
        let mut start = fields.at;
        if flags & OFFSET != 0 {
            start = usize::from(fields.next()?) + fields.at;
        }
        if start > end {
            return Err(HeaderError::Invalid);
        }
        Ok(Self {
            control,
            tunnel,
            session,
            sequence,
            start,
            end,
        })
    }
}

/// Whether a datagram is a control message for tunnel 0, which only an SCCRQ is: it belongs to
/// whoever listens for new tunnels.
pub fn is_for_no_tunnel(packet: &[u8]) -> bool {
    Header::parse(packet).is_ok_and(|header| header.control && header.tunnel == 0)
}

/// The header of a control message of `length` bytes, header included.
pub fn control_header(
    length: u16,
    tunnel: u16,
    session: u16,
    ns: u16,
    nr: u16,
) -> [u8; CONTROL_HEADER] {
    let mut out = [0; CONTROL_HEADER];
    let fields = [
        CONTROL | LENGTH | SEQUENCE | VERSION,
        length,
        tunnel,
        session,
        ns,
        nr,
    ];
    for (room, field) in out.chunks_exact_mut(2).zip(fields) {
        room.copy_from_slice(&field.to_be_bytes());
    }
    out
}

/// What a data header is to contain.
#[derive(Debug, Clone, Copy)]
pub struct DataHeader {
    /// Recipient's tunnel id.
    pub tunnel: u16,
    /// Recipient's session id.
    pub session: u16,
    /// Write the length field.
    pub length: bool,
    /// Ns and Nr.
    pub sequence: Option<(u16, u16)>,
}

impl DataHeader {
    /// Bytes of the header.
    pub fn size(&self) -> usize {
        6 + if self.length { 2 } else { 0 } + if self.sequence.is_some() { 4 } else { 0 }
    }

    /// Writes the header into `room`, which has [`size`](Self::size) bytes; `payload` bytes follow.
    pub fn emit(&self, payload: usize, room: &mut [u8]) {
        let total = u16::try_from(payload + self.size()).unwrap_or(u16::MAX);
        let mut flags = VERSION;
        if self.length {
            flags |= LENGTH;
        }
        if self.sequence.is_some() {
            flags |= SEQUENCE;
        }
        let (ns, nr) = self.sequence.unzip();
        let fields = [
            Some(flags),
            self.length.then_some(total),
            Some(self.tunnel),
            Some(self.session),
            ns,
            nr,
        ];
        for (place, field) in room.chunks_exact_mut(2).zip(fields.into_iter().flatten()) {
            place.copy_from_slice(&field.to_be_bytes());
        }
    }
}

struct Fields<'a> {
    packet: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn next(&mut self) -> Result<u16, HeaderError> {
        let field = self
            .packet
            .get(self.at..)
            .and_then(<[u8]>::first_chunk::<2>);
        self.at += 2;
        field
            .map(|bytes| u16::from_be_bytes(*bytes))
            .ok_or(HeaderError::Runt)
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_message_of_xl2tpd() {
        // ZLB: tunnel 0x1d3c, session 0, Ns 2, Nr 3.
        let packet = hex!("c802 000c 1d3c 0000 0002 0003");
        let header = Header::parse(&packet).unwrap();
        assert_eq!(
            header,
            Header {
                control: true,
                tunnel: 0x1d3c,
                session: 0,
                sequence: Some((2, 3)),
                start: 12,
                end: 12
            }
        );
        assert_eq!(control_header(12, 0x1d3c, 0, 2, 3), packet);
        for short in 0..packet.len() {
            assert!(Header::parse(&packet[..short]).is_err());
        }
    }

    #[test]
    fn data_with_every_optional_field() {
        let packet = hex!("4a02 0017 0001 0002 0005 0000 0003 000000 ff03 0021 45 99 99");
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.start, 17);
        assert_eq!(header.end, 23);
        assert_eq!(header.sequence, Some((5, 0)));
        assert_eq!(
            Header::parse(&hex!("0002 0001 0002 ff03")).unwrap().start,
            6
        );
        // The length says more than there is; the offset leads behind the end.
        assert_eq!(
            Header::parse(&hex!("4002 0020 0001 0002")),
            Err(HeaderError::Invalid)
        );
        assert_eq!(
            Header::parse(&hex!("0202 0001 0002 0009 00")),
            Err(HeaderError::Invalid)
        );
        // Version 3, and a control message without sequence numbers.
        assert_eq!(
            Header::parse(&hex!("0003 0001 0002")),
            Err(HeaderError::Invalid)
        );
        assert_eq!(
            Header::parse(&hex!("c002 0008 0001 0000")),
            Err(HeaderError::Invalid)
        );
    }

    proptest! {
        #[test]
        fn any_bytes(packet in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = Header::parse(&packet) {
                prop_assert!(header.start <= header.end && header.end <= packet.len());
            }
        }

        #[test]
        fn data_headers_round_trip(tunnel: u16, session: u16, length: bool,
                                   sequence: Option<(u16, u16)>, payload in 0usize..100) {
            let wanted = DataHeader { tunnel, session, length, sequence };
            let mut packet = vec![0; wanted.size() + payload];
            wanted.emit(payload, &mut packet[..wanted.size()]);
            let header = Header::parse(&packet).unwrap();
            prop_assert_eq!((header.control, header.tunnel, header.session, header.sequence),
                            (false, tunnel, session, sequence));
            prop_assert_eq!((header.start, header.end), (wanted.size(), packet.len()));
        }
    }
}

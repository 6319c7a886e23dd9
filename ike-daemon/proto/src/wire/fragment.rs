//! The Fragment payload of IKE fragmentation, type 132: \[MS-IKEE\] 2.2.3.1 and Cisco's original,
//! which no RFC describes.
//!
//! ```text
//!  | Next Payload  |   RESERVED    |        Payload Length         |
//!  |          Fragment ID          |  Fragment Num |     Flags     |
//!  |                         Fragment Data                         |
//! ```
//!
//! It is the only payload behind an unencrypted copy of the header; the data of all fragments in
//! order is the whole message, its own header included.

use crate::error::WireError;
use crate::iana::PayloadType;

use super::chain::GENERIC_LEN;
use super::header::{FLAG_ENCRYPTION, Header};
use super::{Reader, length16};

/// Octets of a fragment in front of its data: generic header, id, number and flags.
pub const FRAGMENT_HEADER_LEN: usize = GENERIC_LEN + 4;

/// Flag of the last fragment.
const LAST: u8 = 0x01;

/// One fragment of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Tells messages apart. Nearly everybody sends 1 in all of them.
    pub id: u16,
    /// Counted from 1.
    pub number: u8,
    /// Whether it is the last one.
    pub last: bool,
    /// Never empty.
    pub data: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Parses what is behind the header of a message whose first payload is a fragment.
    ///
    /// # Errors
    /// [`WireError::Length`] when the payload length is not exactly what is there,
    /// [`WireError::Field`] when the number is zero or there are no data.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        // Next payload and reserved octet: senders fill in what they like.
        reader.u16()?;
        let length = usize::from(reader.u16()?);
        if length != body.len() {
            return Err(WireError::Length);
        }
        let id = reader.u16()?;
        let number = reader.u8()?;
        let flags = reader.u8()?;
        let data = reader.rest();
        if number == 0 || data.is_empty() {
            return Err(WireError::Field);
        }
        Ok(Self {
            id,
            number,
            last: flags & LAST != 0,
            data,
        })
    }

    /// The message that carries this fragment of a message with `header`.
    pub fn emit(&self, header: &Header) -> Vec<u8> {
        let mut body = vec![PayloadType::NONE.0, 0];
        let length = FRAGMENT_HEADER_LEN.saturating_add(self.data.len());
        body.extend_from_slice(&length16(length));
        body.extend_from_slice(&self.id.to_be_bytes());
        body.push(self.number);
        body.push(if self.last { LAST } else { 0 });
        body.extend_from_slice(self.data);
        let header = Header {
            next_payload: PayloadType::FRAGMENT,
            flags: header.flags & !FLAG_ENCRYPTION,
            ..*header
        };
        header.emit(&body)
    }
}

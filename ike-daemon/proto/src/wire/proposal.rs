//! The Proposal payload: RFC 2408 3.5.
//!
//! ```text
//!  | Next Payload  |   RESERVED    |         Payload Length        |
//!  |  Proposal #   |  Protocol-Id  |    SPI Size   |# of Transforms|
//!  |                        SPI (variable)                         |
//! ```

use crate::error::WireError;
use crate::iana::ProtocolId;

use super::transform::Transform;
use super::{Reader, length16};

/// A Proposal payload with its transforms: RFC 2408 3.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Proposal number. Several with one number are wanted together.
    pub number: u8,
    /// Protocol.
    pub protocol: ProtocolId,
    /// The sender's SPI; four octets for ESP, anything in phase 1.
    pub spi: Vec<u8>,
    /// Transforms in order of preference.
    pub transforms: Vec<Transform>,
}

/// "More proposals follow."
const NEXT_PROPOSAL: u8 = 2;

impl Proposal {
    /// Parses one proposal and says whether another follows.
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<(Self, bool), WireError> {
        let next = reader.u8()?;
        let _reserved = reader.u8()?;
        let len = usize::from(reader.u16()?);
        let mut body = Reader::new(reader.bytes(len.checked_sub(4).ok_or(WireError::Length)?)?);
        let number = body.u8()?;
        let protocol = ProtocolId(body.u8()?);
        let spi_size = usize::from(body.u8()?);
        let count = usize::from(body.u8()?);
        let spi = body.bytes(spi_size)?.to_vec();
        let mut transforms = Vec::new();
        let mut more = !body.is_empty();
        while more {
            let (transform, follows) = Transform::parse(&mut body)?;
            transforms.push(transform);
            if transforms.len() > usize::from(u8::MAX) {
                return Err(WireError::TooMany);
            }
            more = follows;
        }
        if !body.is_empty() || transforms.len() != count {
            return Err(WireError::Length);
        }
        let more = match next {
            0 => false,
            NEXT_PROPOSAL => true,
            _ => return Err(WireError::Field),
        };
        Ok((
            Self {
                number,
                protocol,
                spi,
                transforms,
            },
            more,
        ))
    }

    pub(super) fn emit(&self, more: bool, out: &mut Vec<u8>) {
        let mut body = vec![
            self.number,
            self.protocol.0,
            u8::try_from(self.spi.len()).unwrap_or(u8::MAX),
            u8::try_from(self.transforms.len()).unwrap_or(u8::MAX),
        ];
        body.extend_from_slice(&self.spi);
        let last = self.transforms.len().saturating_sub(1);
        for (index, transform) in self.transforms.iter().enumerate() {
            transform.emit(index != last, &mut body);
        }
        out.push(if more { NEXT_PROPOSAL } else { 0 });
        out.push(0);
        out.extend_from_slice(&length16(body.len().saturating_add(4)));
        out.extend_from_slice(&body);
    }
}

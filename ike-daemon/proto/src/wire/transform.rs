//! The Transform payload: RFC 2408 3.6.
//!
//! ```text
//!  | Next Payload  |   RESERVED    |         Payload Length        |
//!  |  Transform #  |  Transform-Id |           RESERVED2           |
//!  |                        SA Attributes                          |
//! ```

use crate::error::WireError;

use super::attribute::Attribute;
use super::{Reader, length16};

/// One transform. The octets are kept as they came, so that a responder can return them "without
/// modification" (RFC 2408 4.2) and racoon's byte-for-byte check passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    /// Transform number.
    pub number: u8,
    /// Transform id.
    pub id: u8,
    raw: Vec<u8>,
}

/// "More transforms follow."
const NEXT_TRANSFORM: u8 = 3;

impl Transform {
    /// A transform of ours.
    pub fn new(number: u8, id: u8, attributes: &[Attribute]) -> Self {
        let mut raw = vec![number, id, 0, 0];
        for attribute in attributes {
            attribute.emit(&mut raw);
        }
        Self { number, id, raw }
    }

    /// The attributes. An error here means this one transform is unusable, not the whole SA.
    pub fn attributes(&self) -> Result<Vec<Attribute>, WireError> {
        Attribute::parse_all(self.raw.get(4..).unwrap_or_default())
    }

    /// Everything after the generic header, as received.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Parses one transform and says whether another follows.
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<(Self, bool), WireError> {
        let next = reader.u8()?;
        let _reserved = reader.u8()?;
        let len = usize::from(reader.u16()?);
        let raw = reader
            .bytes(len.checked_sub(4).ok_or(WireError::Length)?)?
            .to_vec();
        let (number, id) = match raw.as_slice() {
            [number, id, _, _, ..] => (*number, *id),
            _ => return Err(WireError::Length),
        };
        let more = match next {
            0 => false,
            NEXT_TRANSFORM => true,
            _ => return Err(WireError::Field),
        };
        Ok((Self { number, id, raw }, more))
    }

    pub(super) fn emit(&self, more: bool, out: &mut Vec<u8>) {
        out.push(if more { NEXT_TRANSFORM } else { 0 });
        out.push(0);
        out.extend_from_slice(&length16(self.raw.len().saturating_add(4)));
        out.extend_from_slice(&self.raw);
    }
}

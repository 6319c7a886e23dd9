//! The chain of payloads behind a header: RFC 2408 3.2.
//!
//! ```text
//!  | Next Payload  |   RESERVED    |         Payload Length        |
//! ```

use crate::error::WireError;
use crate::iana::PayloadType;

use super::{Reader, length16};

/// Octets of the generic payload header.
pub const GENERIC_LEN: usize = 4;

/// More payloads than this in one message are an attack: macOS, the longest, sends 14.
pub const MAX_PAYLOADS: usize = 64;

/// One payload: its type and the octets after its generic header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Type.
    pub kind: PayloadType,
    /// Body.
    pub body: &'a [u8],
}

/// The payloads of one message, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain<'a> {
    payloads: Vec<Payload<'a>>,
    after_first: &'a [u8],
}

impl<'a> Chain<'a> {
    /// Parses the payloads of a message without encryption: nothing may follow the last one.
    pub fn parse(first: PayloadType, body: &'a [u8]) -> Result<Self, WireError> {
        let (chain, rest) = Self::walk(first, body)?;
        if rest.is_empty() {
            Ok(chain)
        } else {
            Err(WireError::Length)
        }
    }

    /// Parses decrypted payloads: padding may follow the last one.
    pub fn parse_padded(first: PayloadType, body: &'a [u8]) -> Result<Self, WireError> {
        Ok(Self::walk(first, body)?.0)
    }

    fn walk(first: PayloadType, body: &'a [u8]) -> Result<(Self, &'a [u8]), WireError> {
        let mut payloads = Vec::new();
        let mut reader = Reader::new(body);
        let mut kind = first;
        let mut first_end = 0;
        while kind != PayloadType::NONE {
            if payloads.len() >= MAX_PAYLOADS {
                return Err(WireError::TooMany);
            }
            let next = PayloadType(reader.u8()?);
            // The reserved octet "MUST be zero" when sent; real peers are not held to it, but
            // garbage from a wrong key is told apart by it.
            if reader.u8()? != 0 {
                return Err(WireError::Field);
            }
            let len = usize::from(reader.u16()?);
            let len = len.checked_sub(GENERIC_LEN).ok_or(WireError::Length)?;
            payloads.push(Payload {
                kind,
                body: reader.bytes(len)?,
            });
            if payloads.len() == 1 {
                first_end = body.len().saturating_sub(reader.remaining());
            }
            kind = next;
        }
        let used = body.len().saturating_sub(reader.remaining());
        let after_first = body.get(first_end..used).unwrap_or_default();
        Ok((
            Self {
                payloads,
                after_first,
            },
            reader.rest(),
        ))
    }

    /// All payloads, in the order of the message.
    pub fn payloads(&self) -> &[Payload<'a>] {
        &self.payloads
    }

    /// Everything after the first payload, generic headers included, padding not: what HASH(1) and
    /// HASH(2) cover (RFC 2409 5.5).
    pub fn after_first(&self) -> &'a [u8] {
        self.after_first
    }

    /// Bodies of every payload of a type.
    pub fn all(&self, kind: PayloadType) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.payloads
            .iter()
            .filter(move |payload| payload.kind == kind)
            .map(|p| p.body)
    }

    /// The body of the only payload of a type, if there is one.
    ///
    /// # Errors
    /// [`WireError::Field`] when there are several.
    pub fn at_most_one(&self, kind: PayloadType) -> Result<Option<&'a [u8]>, WireError> {
        let mut bodies = self.all(kind);
        let first = bodies.next();
        if bodies.next().is_some() {
            Err(WireError::Field)
        } else {
            Ok(first)
        }
    }

    /// The body of the only payload of a type.
    ///
    /// # Errors
    /// [`WireError::Field`] unless there is exactly one.
    pub fn one(&self, kind: PayloadType) -> Result<&'a [u8], WireError> {
        self.at_most_one(kind)?.ok_or(WireError::Field)
    }
}

/// Builds a chain of payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Builder {
    payloads: Vec<(PayloadType, Vec<u8>)>,
}

impl Builder {
    /// An empty chain.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a payload at the end.
    pub fn push(&mut self, kind: PayloadType, body: impl Into<Vec<u8>>) -> &mut Self {
        self.payloads.push((kind, body.into()));
        self
    }

    /// Adds all payloads of another chain at the end.
    pub fn append(&mut self, mut other: Self) -> &mut Self {
        self.payloads.append(&mut other.payloads);
        self
    }

    /// Puts a payload in front.
    pub fn push_front(&mut self, kind: PayloadType, body: impl Into<Vec<u8>>) -> &mut Self {
        self.payloads.insert(0, (kind, body.into()));
        self
    }

    /// Type of the first payload.
    pub fn first(&self) -> PayloadType {
        self.payloads
            .first()
            .map_or(PayloadType::NONE, |(kind, _)| *kind)
    }

    /// The payloads with their generic headers (RFC 2408 3.2), without padding.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let nexts = self
            .payloads
            .iter()
            .skip(1)
            .map(|(kind, _)| kind.0)
            .chain([0]);
        for ((_, body), next) in self.payloads.iter().zip(nexts) {
            out.push(next);
            out.push(0);
            out.extend_from_slice(&length16(body.len().saturating_add(GENERIC_LEN)));
            out.extend_from_slice(body);
        }
        out
    }
}

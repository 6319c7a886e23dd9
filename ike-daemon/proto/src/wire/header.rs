//! The ISAKMP header: RFC 2408 3.1.
//!
//! ```text
//!  |                        Initiator Cookie (8)                   |
//!  |                        Responder Cookie (8)                   |
//!  |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
//!  |                          Message ID                           |
//!  |                            Length                             |
//! ```

use ike_crypto::Cookie;

use crate::error::WireError;
use crate::iana::{ExchangeType, PayloadType};

use super::Reader;

/// Octets of the header.
pub const HEADER_LEN: usize = 28;

/// Major version 1, minor version 0.
const VERSION: u8 = 0x10;

/// The longest message looked at; everything honest is far shorter.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// E: everything after the header is encrypted.
pub const FLAG_ENCRYPTION: u8 = 0x01;
/// C: the sender wants to be told when keys are in place. Ignored here.
pub const FLAG_COMMIT: u8 = 0x02;
/// A: authenticated but not encrypted. Never accepted here.
pub const FLAG_AUTH_ONLY: u8 = 0x04;

/// A parsed header. `length` is implied by the bytes it stands in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// CKY-I.
    pub initiator_cookie: Cookie,
    /// CKY-R, zero in the first message.
    pub responder_cookie: Cookie,
    /// Type of the first payload.
    pub next_payload: PayloadType,
    /// Exchange.
    pub exchange: ExchangeType,
    /// Flags.
    pub flags: u8,
    /// Message id; zero in phase 1.
    pub message_id: u32,
}

impl Header {
    /// Splits a datagram into header and the rest, cutting off what lies behind `Length` (some
    /// peers pad their datagrams).
    ///
    /// # Errors
    /// [`WireError::Version`] when the version is not 1.0: neither of its numbers may be larger than
    /// ours (RFC 2408 3.1), and smaller ones are of drafts.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let mut reader = Reader::new(datagram);
        let initiator_cookie = reader.array()?;
        let responder_cookie = reader.array()?;
        let next_payload = PayloadType(reader.u8()?);
        let version = reader.u8()?;
        let exchange = ExchangeType(reader.u8()?);
        let flags = reader.u8()?;
        let message_id = reader.u32()?;
        let length = usize::try_from(reader.u32()?).map_err(|_| WireError::Length)?;
        if version != VERSION {
            return Err(WireError::Version {
                major: version >> 4,
                minor: version & 0x0f,
            });
        }
        if length > MAX_MESSAGE {
            return Err(WireError::Length);
        }
        let body = length
            .checked_sub(HEADER_LEN)
            .and_then(|len| reader.rest().get(..len))
            .ok_or(WireError::Length)?;
        let header = Self {
            initiator_cookie,
            responder_cookie,
            next_payload,
            exchange,
            flags,
            message_id,
        };
        Ok((header, body))
    }

    /// The message made of this header and `body`.
    pub fn emit(&self, body: &[u8]) -> Vec<u8> {
        let len = HEADER_LEN.saturating_add(body.len());
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&self.initiator_cookie);
        out.extend_from_slice(&self.responder_cookie);
        out.push(self.next_payload.0);
        out.push(VERSION);
        out.push(self.exchange.0);
        out.push(self.flags);
        out.extend_from_slice(&self.message_id.to_be_bytes());
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    /// Whether the E flag is set.
    pub fn encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPTION != 0
    }
}

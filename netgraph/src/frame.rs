//! How netgraph travels on the `SOCK_SEQPACKET` Unix socket of the user-space kernel.
//!
//! One connection is one `ng_socket` node; its end is the node's end. One packet is one frame:
//!
//! ```text
//!  0 kind   1 length of the address, network order   3 address   … payload
//! ```
//!
//! | kind | from | address | payload |
//! |---|---|---|---|
//! | 1 control | either | path of the recipient, or of the sender (`name:`, `[id]:`) | `struct ng_mesg` |
//! | 2 data | either | hook of the socket node | the data |
//! | 3 status | kernel | none | token and `errno` of a control message, four bytes each, host order |
//!
//! Every control message to the kernel is answered with exactly one status (what `sendto(2)`
//! returns on FreeBSD); a reply, if there is one, follows it.

use crate::error::{Errno, WireError};
use crate::wire::{PATH_SIZE, Reader, Writer};

/// Largest payload of a frame: the names of 14,000 nodes; a packet has at most 64 KiB and some
/// framing. FreeBSD's kernel has no limit of its own.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// Largest frame.
pub const MAX_FRAME: usize = 3 + PATH_SIZE + MAX_PAYLOAD;

const CONTROL: u8 = 1;
const DATA: u8 = 2;
const STATUS: u8 = 3;

/// One packet on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A control message.
    Control {
        /// Where to, or where from.
        path: &'a str,
        /// The bytes of a `struct ng_mesg`.
        message: &'a [u8],
    },
    /// Data through a hook of the socket's node.
    Data {
        /// The hook.
        hook: &'a str,
        /// The data.
        payload: &'a [u8],
    },
    /// What became of a control message.
    Status {
        /// The message's token.
        token: u32,
        /// `Ok` or the refusal.
        result: Result<(), Errno>,
    },
}

impl<'a> Frame<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// Unknown kind, truncated, too long, or an address that is not printable ASCII.
    pub fn parse(packet: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("frame", packet);
        let kind = reader.u8()?;
        let length = usize::from(reader.u16_be()?);
        if length >= PATH_SIZE {
            return Err(WireError::Name {
                what: "frame address",
            });
        }
        let address = reader.bytes(length)?;
        let address = std::str::from_utf8(address)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or(WireError::Name {
                what: "frame address",
            })?;
        if kind == STATUS {
            let token = reader.u32()?;
            let errno = reader.i32()?;
            reader.end()?;
            let result = if errno == 0 {
                Ok(())
            } else {
                Err(Errno(errno))
            };
            return Ok(Self::Status { token, result });
        }
        let payload = reader.rest();
        if payload.len() > MAX_PAYLOAD {
            let extra = payload.len() - MAX_PAYLOAD;
            return Err(WireError::Trailing {
                what: "frame",
                extra,
            });
        }
        match kind {
            CONTROL => Ok(Self::Control {
                path: address,
                message: payload,
            }),
            DATA => Ok(Self::Data {
                hook: address,
                payload,
            }),
            other => Err(WireError::Unknown {
                what: "frame kind",
                value: other.into(),
            }),
        }
    }

    /// The packet.
    pub fn emit(&self) -> Vec<u8> {
        let (kind, address, payload) = match self {
            Self::Control { path, message } => (CONTROL, *path, *message),
            Self::Data { hook, payload } => (DATA, *hook, *payload),
            Self::Status { token, result } => {
                let errno = result.err().map_or(0, |errno| errno.0);
                return Writer::new()
                    .u8(STATUS)
                    .u16_be(0)
                    .u32(*token)
                    .i32(errno)
                    .finish();
            }
        };
        let length = u16::try_from(address.len()).unwrap_or(u16::MAX);
        Writer::new()
            .u8(kind)
            .u16_be(length)
            .bytes(address.as_bytes())
            .bytes(payload)
            .finish()
    }
}

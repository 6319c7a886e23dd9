//! How netgraph travels on the `SOCK_SEQPACKET` Unix socket of the user-space kernel.
//!
//! One connection is one `ng_socket` node; its end is the node's end. One packet is one frame or
//! several, in order, each behind its length:
//!
//! ```text
//!  0 length of what follows, network order   4 kind   5 length of the address, network order
//!  7 address   … payload
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
/// Octets of a frame's length.
const LENGTH: usize = 4;
/// Largest packet.
pub const MAX_PACKET: usize = LENGTH + MAX_FRAME;
/// Frames go together in a packet up to this size; a longer one goes alone.
const TOGETHER: usize = 32 * 1024;

const CONTROL: u8 = 1;
const DATA: u8 = 2;
const STATUS: u8 = 3;

/// One message on the socket.
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
    /// Reads a frame, without its length.
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

    /// The frame, without its length.
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

/// A packet that is being filled: a packet for each frame would cost two system calls and a change of
/// process each.
#[derive(Debug, Default)]
pub struct Packet(Vec<u8>);

impl Packet {
    /// Whether a frame of so many octets may still go with those that are there.
    pub fn has_room(&self, frame: usize) -> bool {
        self.0.is_empty() || self.0.len() + LENGTH + frame <= TOGETHER
    }

    /// Adds a frame.
    pub fn push(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(frame);
    }

    /// What goes over the socket; empty when there is nothing to send.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes all frames out: they are sent.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The frames of a packet. One that does not parse is left out, and so is what follows a length that
/// goes beyond the packet.
pub fn frames(packet: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut left = packet;
    let frames = std::iter::from_fn(move || {
        let (length, rest) = left.split_first_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (frame, rest) = rest.split_at_checked(length)?;
        left = rest;
        Some(frame)
    });
    frames.filter_map(|frame| Frame::parse(frame).ok())
}

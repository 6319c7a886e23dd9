//! `struct ng_mesg` of `<netgraph/ng_message.h>`: a 56-byte header in host byte order, then
//! `arglen` bytes of arguments.
//!
//! ```text
//!  0 version(8) 1 spare 2 spare2 4 arglen 8 cmd 12 flags 16 token 20 typecookie 24 cmdstr[32]
//! ```

use crate::command::Command;
use crate::error::WireError;
use crate::wire::{NAME_SIZE, Reader, Writer};

/// `NG_VERSION`.
pub const VERSION: u8 = 8;
/// Bytes of the header.
pub const HEADER_SIZE: usize = 56;
/// `NGF_RESP`: the message answers the one with the same token.
pub const FLAG_RESPONSE: u32 = 1;
/// `NGM_READONLY`, part of the command number: the command does not alter anything.
pub const READONLY: u32 = 0x1000_0000;
/// `NGM_HASREPLY`, part of the command number: the command always has a reply.
pub const HASREPLY: u32 = 0x2000_0000;

/// A control message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgMessage {
    /// Command number, unique under `cookie`.
    pub command: u32,
    /// [`FLAG_RESPONSE`] or 0.
    pub flags: u32,
    /// Chosen by the asker, repeated in the reply.
    pub token: u32,
    /// The node type (or the generic set) that defines `command`.
    pub cookie: u32,
    /// The command's name, informational.
    pub name: String,
    /// The arguments.
    pub data: Vec<u8>,
}

impl NgMessage {
    /// A request with the given token.
    pub fn request<C: Command>(command: &C, token: u32) -> Self {
        Self {
            command: C::COMMAND,
            flags: 0,
            token,
            cookie: C::COOKIE,
            name: C::NAME.to_owned(),
            data: command.encode(),
        }
    }

    /// The reply to this request.
    pub fn response(&self, data: Vec<u8>) -> Self {
        Self {
            command: self.command,
            flags: FLAG_RESPONSE,
            token: self.token,
            cookie: self.cookie,
            name: self.name.clone(),
            data,
        }
    }

    /// Whether this answers a request.
    pub fn is_response(&self) -> bool {
        self.flags & FLAG_RESPONSE != 0
    }

    /// Whether this is command `C`.
    pub fn is<C: Command>(&self) -> bool {
        self.cookie == C::COOKIE && self.command == C::COMMAND
    }

    /// Reads a whole message.
    ///
    /// # Errors
    /// Too short, another version, or an `arglen` that is not the number of bytes that follow.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_mesg", bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(WireError::Unknown {
                what: "ng_mesg.version",
                value: version.into(),
            });
        }
        reader.skip(3)?;
        let length = reader.u32()?;
        let command = reader.u32()?;
        let flags = reader.u32()?;
        let token = reader.u32()?;
        let cookie = reader.u32()?;
        let name = printable(reader.bytes(NAME_SIZE)?);
        let data = reader
            .bytes(usize::try_from(length).unwrap_or(usize::MAX))?
            .to_vec();
        reader.end()?;
        Ok(Self {
            command,
            flags,
            token,
            cookie,
            name,
            data,
        })
    }

    /// The bytes on the socket.
    pub fn emit(&self) -> Vec<u8> {
        let length = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        Writer::new()
            .u8(VERSION)
            .zeros(3)
            .u32(length)
            .u32(self.command)
            .u32(self.flags)
            .u32(self.token)
            .u32(self.cookie)
            .name(&self.name, NAME_SIZE)
            .bytes(&self.data)
            .finish()
    }
}

/// `cmdstr` is for people: what is not printable is dropped rather than refused.
fn printable(field: &[u8]) -> String {
    field
        .iter()
        .take(NAME_SIZE - 1)
        .take_while(|&&byte| byte != 0)
        .filter(|byte| byte.is_ascii_graphic())
        .map(|&byte| char::from(byte))
        .collect()
}

//! What can be wrong with the bytes of a PF_KEYv2 message.

use thiserror::Error;

/// A message or policy blob that does not follow RFC 2367 section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// Fewer bytes than `sadb_msg` has.
    #[error("message of {0} bytes is shorter than its header")]
    Short(usize),
    /// `sadb_msg_version` is not `PF_KEY_V2`.
    #[error("PF_KEY version {0}, only 2 is known")]
    Version(u8),
    /// `sadb_msg_len` and the number of bytes received differ.
    #[error("message says {said} bytes, {received} were received")]
    Length {
        /// `sadb_msg_len` in bytes.
        said: usize,
        /// Bytes at hand.
        received: usize,
    },
    /// An extension's length is zero or runs past the end of the message.
    #[error("extension {number} has an impossible length")]
    ExtensionLength {
        /// `sadb_ext_type`.
        number: u16,
    },
    /// An extension's contents do not fit its type.
    #[error("extension {number} is malformed")]
    Malformed {
        /// `sadb_ext_type`.
        number: u16,
    },
}

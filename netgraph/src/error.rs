//! Errors: bytes that are not what they should be, refusals of the kernel, and broken sockets.

use std::fmt;
use std::io;

/// Bytes that do not form the expected structure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The structure needs more bytes than there are.
    #[error("{what}: {got} bytes where {need} are needed")]
    Short {
        /// The structure or field.
        what: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes present.
        got: usize,
    },
    /// The structure has a fixed size and there are bytes after it.
    #[error("{what}: {extra} bytes too many")]
    Trailing {
        /// The structure.
        what: &'static str,
        /// Bytes after its end.
        extra: usize,
    },
    /// A header field has a value that this side does not know.
    #[error("{what}: unknown value {value:#x}")]
    Unknown {
        /// The field.
        what: &'static str,
        /// Its value.
        value: u32,
    },
    /// A name is not terminated, not printable ASCII, or does not fit its field.
    #[error("{what}: not a usable name")]
    Name {
        /// The field.
        what: &'static str,
    },
}

/// The operating system's number of an error (`errno`), as the kernel reports refusals.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// No such node, path, hook or type.
    pub const ENOENT: Self = Self(libc::ENOENT);
    /// The name or hook exists.
    pub const EEXIST: Self = Self(libc::EEXIST);
    /// Wrong arguments, or a message the node does not know.
    pub const EINVAL: Self = Self(libc::EINVAL);
    /// The node is in a state that forbids the request.
    pub const EBUSY: Self = Self(libc::EBUSY);
    /// The hook is connected already.
    pub const EISCONN: Self = Self(libc::EISCONN);
    /// No such address or host part of the path, or the hook leads nowhere.
    pub const ENOTCONN: Self = Self(libc::ENOTCONN);
    /// The local address is taken.
    pub const EADDRINUSE: Self = Self(libc::EADDRINUSE);
    /// Addresses of the wrong family.
    pub const EAFNOSUPPORT: Self = Self(libc::EAFNOSUPPORT);
    /// A limit of the kernel is reached.
    pub const ENOBUFS: Self = Self(libc::ENOBUFS);
    /// The node exists but is not configured for traffic.
    pub const ENXIO: Self = Self(libc::ENXIO);
    /// The socket option is unknown.
    pub const ENOPROTOOPT: Self = Self(libc::ENOPROTOOPT);
    /// The network cannot be reached.
    pub const ENETUNREACH: Self = Self(libc::ENETUNREACH);
    /// The message is longer than what can be carried.
    pub const EMSGSIZE: Self = Self(libc::EMSGSIZE);
    /// The kernel had nothing to answer with in time.
    pub const ETIMEDOUT: Self = Self(libc::ETIMEDOUT);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.0))
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.0)
    }
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The kernel refused it.
    #[error("{command} to {path}: {errno}")]
    Refused {
        /// Name of the command, for instance `NGM_MKPEER`.
        command: &'static str,
        /// The node asked.
        path: String,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The reply does not parse.
    #[error("reply to {command}: {source}")]
    Reply {
        /// Name of the command.
        command: &'static str,
        /// What is wrong with it.
        source: WireError,
    },
    /// The socket is broken: the kernel's side went away, or there is no memory for the message.
    #[error("netgraph socket: {0}")]
    Io(#[from] io::Error),
}

impl CallError {
    /// The kernel's reason, when it was the kernel that refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Reply { .. } | Self::Io(_) => None,
        }
    }
}

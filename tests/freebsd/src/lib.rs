//! Conversations with a FreeBSD kernel as text, one file each: what was written to its PF_KEY or
//! netgraph sockets, and what it answered.
//!
//! ```text
//! # heading of the step that follows
//! a open                    a socket called "a" is opened; "a close" closes it
//! a > 0207...               PF_KEY message written
//! a < 0207...               PF_KEY message read
//! a = 22                    error of write(2) or sendto(2); 0 of a netgraph request that was taken
//! a > .:hook 08...          netgraph message to the node at that path
//! a < [3]: 08...            netgraph message from the node at that path
//! a >> hook c803...         data written to a hook
//! a << hook c803...         data read from a hook
//! udp >> 127.0.0.1:41701-127.0.0.1:1701 dada...
//!                           datagram sent by UDP, from and to these addresses
//! wait 2500                 milliseconds in which nothing was written
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`recorder`] | holds the conversations |
//! | [`steps`] | a recording as requests and what they led to |
//! | [`words`] | messages without what is one machine's or one moment's |
//! | [`likeness`] | two recordings of one conversation compared |
//!
//! Hexadecimal, in the byte order of the machine (amd64: little endian) where a kernel header says
//! host order.

pub mod likeness;
pub mod recorder;
pub mod steps;
pub mod words;

use std::fmt;

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// What the following lines are about.
    Heading(String),
    /// A socket was opened.
    Open(String),
    /// A socket was closed.
    Close(String),
    /// Nothing was written for so many milliseconds.
    Wait(u64),
    /// A message was written; the path is there for netgraph only.
    Request {
        /// The socket.
        socket: String,
        /// Where to.
        path: Option<String>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// What the system call said.
    Status {
        /// The socket.
        socket: String,
        /// 0, or an error number of FreeBSD.
        errno: i32,
    },
    /// A message was read.
    Reply {
        /// The socket.
        socket: String,
        /// Where from; netgraph only.
        path: Option<String>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Data was written to a hook, or sent by UDP.
    DataOut {
        /// The socket.
        socket: String,
        /// Its hook; of a UDP socket, the addresses.
        hook: String,
        /// The data.
        bytes: Vec<u8>,
    },
    /// Data was read from a hook.
    DataIn {
        /// The socket.
        socket: String,
        /// Its hook.
        hook: String,
        /// The data.
        bytes: Vec<u8>,
    },
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {text:?}")]
pub struct BadLine {
    /// From 1.
    pub number: usize,
    /// The line.
    pub text: String,
}

/// Reads a recording.
///
/// # Errors
/// The first line that is not of the form above.
pub fn parse(text: &str) -> Result<Vec<Line>, BadLine> {
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate() {
        if text.is_empty() {
            continue;
        }
        let bad = || BadLine {
            number: index + 1,
            text: text.to_owned(),
        };
        lines.push(parse_line(text).ok_or_else(bad)?);
    }
    Ok(lines)
}

fn parse_line(line: &str) -> Option<Line> {
    if let Some(heading) = line.strip_prefix("# ") {
        return Some(Line::Heading(heading.to_owned()));
    }
    if let Some(milliseconds) = line.strip_prefix("wait ") {
        return milliseconds.parse().ok().map(Line::Wait);
    }
    let mut words = line.split(' ');
    let socket = words.next()?.to_owned();
    let what = words.next()?;
    let (first, second) = (words.next(), words.next());
    let message = |first: Option<&str>, second: Option<&str>| match (first, second) {
        (Some(path), Some(bytes)) => Some((Some(path.to_owned()), from_hex(bytes)?)),
        (Some(bytes), None) => Some((None, from_hex(bytes)?)),
        _ => None,
    };
    Some(match what {
        "open" => Line::Open(socket),
        "close" => Line::Close(socket),
        "=" => Line::Status {
            socket,
            errno: first?.parse().ok()?,
        },
        ">" => {
            let (path, bytes) = message(first, second)?;
            Line::Request {
                socket,
                path,
                bytes,
            }
        }
        "<" => {
            let (path, bytes) = message(first, second)?;
            Line::Reply {
                socket,
                path,
                bytes,
            }
        }
        ">>" => Line::DataOut {
            socket,
            hook: first?.to_owned(),
            bytes: from_hex(second?)?,
        },
        "<<" => Line::DataIn {
            socket,
            hook: first?.to_owned(),
            bytes: from_hex(second?)?,
        },
        _ => return None,
    })
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = |f: &mut fmt::Formatter<'_>, socket, sign, path: &Option<String>, bytes| {
            write!(f, "{socket} {sign} ")?;
            if let Some(path) = path {
                write!(f, "{path} ")?;
            }
            write!(f, "{}", Hex(bytes))
        };
        match self {
            Self::Heading(text) => write!(f, "\n# {text}"),
            Self::Open(socket) => write!(f, "{socket} open"),
            Self::Close(socket) => write!(f, "{socket} close"),
            Self::Wait(milliseconds) => write!(f, "wait {milliseconds}"),
            Self::Status { socket, errno } => write!(f, "{socket} = {errno}"),
            Self::Request {
                socket,
                path,
                bytes,
            } => message(f, socket, ">", path, bytes),
            Self::Reply {
                socket,
                path,
                bytes,
            } => message(f, socket, "<", path, bytes),
            Self::DataOut {
                socket,
                hook,
                bytes,
            } => write!(f, "{socket} >> {hook} {}", Hex(bytes)),
            Self::DataIn {
                socket,
                hook,
                bytes,
            } => write!(f, "{socket} << {hook} {}", Hex(bytes)),
        }
    }
}

/// Octets as text; `-` for none.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(Vec::new());
    }
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Error numbers of FreeBSD that Linux numbers otherwise, as this host has them.
#[must_use]
pub fn host_errno(freebsd: i32) -> i32 {
    if !cfg!(target_os = "linux") {
        return freebsd;
    }
    match freebsd {
        35 => 11,  // EAGAIN
        38 => 88,  // ENOTSOCK
        39 => 89,  // EDESTADDRREQ
        40 => 90,  // EMSGSIZE
        42 => 92,  // ENOPROTOOPT
        45 => 95,  // EOPNOTSUPP
        46 => 96,  // EPFNOSUPPORT
        47 => 97,  // EAFNOSUPPORT
        48 => 98,  // EADDRINUSE
        49 => 99,  // EADDRNOTAVAIL
        51 => 101, // ENETUNREACH
        55 => 105, // ENOBUFS
        56 => 106, // EISCONN
        57 => 107, // ENOTCONN
        60 => 110, // ETIMEDOUT
        61 => 111, // ECONNREFUSED
        65 => 113, // EHOSTUNREACH
        other => other,
    }
}

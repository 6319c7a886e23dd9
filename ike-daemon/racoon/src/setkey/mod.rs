//! setkey(8) scripts: what racoon installations keep their policies in.
//!
//! Commands end with `;`. Read are those of FreeBSD 14: `add`, `get`, `delete`, `deleteall`,
//! `flush`, `dump`, `spdadd`, `spddelete`, `spdflush` and `spddump`. As in racoon.conf, all
//! problems are reported.
//!
//! Here is the tree; `parser` makes it, `policy` the part of it that `spdadd` is about.

mod parser;
mod policy;

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::ast::{Host, Port};
use crate::span::{Problem, Span, Spanned};

/// The largest script, in octets.
pub const MAX_FILE: usize = 4 * 1024 * 1024;
/// Commands of one script.
pub const MAX_COMMANDS: usize = 50_000;
/// Requests of one policy, as libipsec takes them at most.
pub const MAX_REQUESTS: usize = 16;

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The commands that were understood, in order.
    pub commands: Vec<Spanned<Command>>,
    /// What was not understood.
    pub problems: Vec<Problem>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `flush [protocol];`
    Flush(Option<SaProtocol>),
    /// `dump [protocol];`
    Dump(Option<SaProtocol>),
    /// `spdflush;`
    SpdFlush,
    /// `spddump;`
    SpdDump,
    /// `add ...;`
    Add(Add),
    /// `get source destination protocol spi;`
    Get(SaKey),
    /// `delete source destination protocol spi;`
    Delete(SaKey),
    /// `deleteall source destination protocol;`
    DeleteAll(Spanned<Host>, Spanned<Host>, SaProtocol),
    /// `spdadd selector policy;`
    SpdAdd(Selector, Policy),
    /// `spddelete selector policy;`
    SpdDelete(Selector, Policy),
}

/// The protocol of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaProtocol {
    /// `esp` (`esp-old` is the same to a kernel of today)
    Esp,
    /// `ah`
    Ah,
    /// `ipcomp`
    Ipcomp,
    /// `tcp`: RFC 2385
    Tcp,
}

/// What names one SA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaKey {
    /// From where.
    pub source: Spanned<Host>,
    /// To where.
    pub destination: Spanned<Host>,
    /// Its protocol.
    pub protocol: SaProtocol,
    /// Its SPI.
    pub spi: Spanned<u32>,
}

/// `add`: a whole SA with its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What names it.
    pub sa: SaKey,
    /// `-m`, `-r`, `-u`, `-f`, `-lh`, `-ls`, `-natt_mtu` and their values; `-natt` and its four.
    pub extensions: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
    /// `-E`, `-A` or `-C`, the algorithm, and its key.
    pub algorithms: Vec<(Spanned<String>, Spanned<String>, Option<Key>)>,
}

/// A key, not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Which packets a policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// From where.
    pub source: Side,
    /// To where.
    pub destination: Side,
    /// Upper-layer protocol; 0 for any.
    pub protocol: Spanned<u8>,
}

/// One side of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The address.
    pub host: Spanned<Host>,
    /// Length of the prefix, where one is written.
    pub prefix: Option<u8>,
    /// The port, where one is written.
    pub port: Option<Spanned<Port>>,
}

impl Side {
    /// The port; 0 for any.
    pub fn port_number(&self) -> u16 {
        match self.port.as_ref().map(|port| port.value) {
            Some(Port::Number(number)) => number,
            _ => 0,
        }
    }
}

/// What happens to the packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Inbound rather than outbound.
    pub inbound: bool,
    /// What is done.
    pub action: Action,
    /// Where `-P` stands.
    pub span: Span,
}

/// What a policy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// They are dropped.
    Discard,
    /// They pass as they are.
    None,
    /// They are protected.
    Ipsec(Vec<Spanned<Request>>),
}

/// One protection: `esp/transport//require`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// By which protocol.
    pub protocol: SaProtocol,
    /// In which mode.
    pub mode: Mode,
    /// The outer addresses of a tunnel.
    pub endpoints: Option<(IpAddr, IpAddr)>,
    /// How strictly.
    pub level: Level,
}

/// The mode of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `transport`
    Transport,
    /// `tunnel`
    Tunnel,
    /// `any`
    Any,
}

/// How strictly a policy is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `default`, or nothing
    Default,
    /// `use`
    Use,
    /// `require`
    Require,
    /// `unique`, with a reqid where one is written
    Unique(Option<u16>),
}

/// Reads the script `octets`. Any octets will do.
pub fn parse(octets: Vec<u8>) -> Script {
    if octets.len() > MAX_FILE {
        return Script {
            commands: Vec::new(),
            problems: vec![Problem {
                span: Span::default(),
                message: "more than 4 MiB; a script is not that large".to_owned(),
            }],
        };
    }
    parser::Parser::new(octets).script()
}

//! PF_KEYv2 (RFC 2367) as the FreeBSD 14 kernel speaks it: messages, sockets, the setkey(8) view.
//!
//! | file | what |
//! |---|---|
//! | [`message`] | `sadb_msg`: header, message types, list of extensions |
//! | [`ext`] | one file per extension family of `net/pfkeyv2.h` |
//! | [`numbering`] | the only file that knows where FreeBSD's and Linux's numbers and layouts differ |
//! | [`algorithm`] | encryption and authentication algorithm numbers and setkey(8) names |
//! | [`sockaddr`] | `sockaddr_in`/`sockaddr_in6` inside extensions |
//! | [`client`] | requests with sequence numbers, replies matched to them, kernel events (no I/O) |
//! | [`socket`] | the system's PF_KEY socket and softkernel's Unix socket behind one type |
//! | [`setkey`] | `setkey -D` and `setkey -DP` text |
//! | [`error`] | what can be wrong with bytes |
//! | `wire` | byte cursor and writer in host order |
//!
//! Values are typed in FreeBSD's terms; [`Numbering`] chooses the wire form. Numbers nobody here
//! knows survive a round trip ([`ext::Extension::Other`] and the number newtypes).

pub mod algorithm;
pub mod client;
pub mod error;
pub mod ext;
pub mod message;
pub mod numbering;
pub mod setkey;
pub mod sockaddr;
pub mod socket;
mod wire;

pub use algorithm::{AuthenticationAlgorithm, EncryptionAlgorithm};
pub use client::{Client, Event, Reply, Request, SaRequest, SpRequest};
pub use error::WireError;
pub use ext::{
    Address, Algorithm, Combination, Direction, Extension, ExtensionKind, Identity, Key, Level,
    Lifetime, Mode, Policy, PolicyRequest, PolicyType, Proposal, Sa, Sa2, SaState, SpiRange,
};
pub use message::{Message, MessageType, SaType};
pub use numbering::Numbering;
pub use socket::Socket;

//! racoon's admin protocol: what racoonctl(8) of ipsec-tools 0.8 and racoon say to each other over a
//! Unix stream socket. Ours serves the one and speaks to the other.
//!
//! * [`wire`]: header, commands and the C structures behind them
//! * [`server`]: the listening side
//! * [`command_line`]: racoonctl's arguments
//! * [`client`]: one conversation, and the end it comes to
//! * [`print`]: answers, to the octet as racoonctl prints them
//!
//! Everything is in the byte order and the layout of this machine: 64-bit FreeBSD and Linux, which
//! differ only inside socket addresses.

pub mod client;
pub mod command_line;
pub mod print;
pub mod server;
pub mod wire;

use std::path::{Path, PathBuf};

/// The socket that is always there, in the daemon's own folder below the runtime folder.
pub fn own_socket(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join(crate::driver::NAME).join("racoon.sock")
}

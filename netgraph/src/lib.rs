//! Netgraph (4): control and data messages, node types as typed structs, and the sockets that
//! carry them, after FreeBSD's `<netgraph/ng_*.h>`.
//!
//! The same messages go to the FreeBSD kernel over `AF_NETGRAPH` sockets and to the user-space
//! kernel over a Unix `SOCK_SEQPACKET` socket; a caller of [`Netgraph`] does not see which.
//!
//! | file | what |
//! |---|---|
//! | `message.rs` | `struct ng_mesg`: the 56-byte header and its arguments |
//! | `command.rs` | typed requests: cookie, command number, arguments, reply |
//! | `generic.rs` | the messages every node understands: mkpeer, connect, name, shutdown, lists |
//! | `node/` | one file per node type: its cookie, hooks, structs and commands |
//! | `frame.rs` | how control and data travel on the Unix socket of the user-space kernel |
//! | `client.rs` | requests matched with replies by token, without I/O |
//! | `socket.rs`, `socket/` | the transports, and [`Netgraph`] that joins one with a client |
//! | `wire.rs`, `error.rs` | reading and writing fixed layouts; errors |

pub mod client;
pub mod command;
pub mod error;
pub mod frame;
pub mod generic;
pub mod message;
pub mod node;
pub mod socket;
mod wire;

pub use command::{Command, Reply};
pub use error::{CallError, Errno, WireError};
pub use message::NgMessage;
pub use socket::{Event, Netgraph, Passing};
pub use wire::{HOOK_SIZE, NAME_SIZE, PATH_SIZE};

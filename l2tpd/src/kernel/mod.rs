//! The kernel, either one: netgraph for the packets' way, and the port 1701 listener.
//!
//! | file | what |
//! |---|---|
//! | `names.rs` | names of our nodes and hooks |
//! | `executor.rs` | operations as ordered netgraph requests |
//! | `connection.rs` | the task that owns the netgraph socket, and finds the kernel again |
//! | `listener.rs` | the port 1701 listener of either kernel |
//! | `interface.rs` | addresses and routes of FreeBSD's `ngN` by ioctl and routing socket |

mod connection;
mod executor;
mod interface;
mod listener;
pub mod names;

pub use connection::{Kernel, KernelEvent, KernelKind, choose};
pub use listener::{Listener, ListenerError};

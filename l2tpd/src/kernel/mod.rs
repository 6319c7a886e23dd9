//! The kernels: netgraph for the packets' way, PF_KEY for what keeps clear text out, and the port
//! 1701 listener.
//!
//! | file | what |
//! |---|---|
//! | `startup.rs` | which kernels there are, and what is missing |
//! | `names.rs` | names of our nodes and hooks |
//! | `executor.rs` | operations as ordered netgraph requests |
//! | `connection.rs` | the tasks that own the netgraph sockets, and find a kernel again |
//! | `listener.rs` | the port 1701 listener of either kernel |
//! | `policies.rs` | which policies a listener needs, and what policies and SAs tell of a flow |
//! | `conversation.rs` | requests to PF_KEY and their answers |
//! | `protection.rs` | the task that sets the policies and sees that they stay |
//! | `interface.rs` | addresses and routes of FreeBSD's `ngN` by ioctl and routing socket |

mod connection;
mod conversation;
mod dress;
mod executor;
mod interface;
mod listener;
pub mod names;
mod policies;
mod protection;
mod startup;

pub use connection::{KernelEvent, KernelKind, Kernels};
pub use listener::{Listener, ListenerError};
pub use protection::{PfkeySocket, Protection, ProtectionError, Reqids};
pub use startup::{Chosen, choose};

//! Holds the conversations with the kernel that the program runs on, and writes them down.
//!
//! | file | what |
//! |---|---|
//! | `pfkey.rs` | sockets of PF_KEY |
//! | `sa.rs` | conversations about SAs |
//! | `windows.rs` | conversations about replay windows |
//! | `traffic.rs` | conversations that packets begin |
//! | `sp.rs` | conversations about policies |
//! | `netgraph.rs` | sockets of netgraph |
//! | `nodes.rs` | conversations with nodes |
//! | `graph.rs` | conversations about the lives of nodes and hooks |

pub mod graph;
pub mod netgraph;
pub mod nodes;
pub mod pfkey;
pub mod sa;
pub mod sp;
pub mod traffic;
pub mod windows;

use std::time::Duration;

/// How long the kernel gets to say something after a request. It answers most within the system
/// call; what goes through its queues or timers takes longer, above all in emulation.
pub const SETTLE: Duration = Duration::from_millis(150);

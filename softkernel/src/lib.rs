//! The user-space kernel: answers PF_KEYv2 and netgraph on Unix sockets as FreeBSD's kernel does
//! on its own, and carries ESP, L2TP, PPP and a TUN device.
//!
//! | file | what |
//! |---|---|
//! | `buffer.rs` | one packet and the room around it |
//! | `ipsec/` | SADB, SPD, ESP, PF_KEY server; no I/O |
//! | `graph/` | netgraph: nodes, hooks, messages, node types; no I/O |
//! | `udp.rs` | the UDP header inside ESP |
//! | `kernel.rs` | the two joined: a packet's way; no I/O |
//! | `os/` | TUN, raw ESP, UDP encapsulation, netlink, Unix sockets: the only unsafe code |
//! | `engine.rs` | kernel and devices |
//! | `server/` | the sockets that daemons connect to |
//! | `control.rs` | statistics |
//! | `config.rs` | `softkernel.yaml` |
//! | `run.rs` | the process |

pub mod buffer;
pub mod config;
pub mod control;
pub mod engine;
pub mod graph;
pub mod ipsec;
pub mod kernel;
pub mod os;
pub mod run;
pub mod server;
pub mod udp;

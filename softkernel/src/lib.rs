//! The user-space kernel: answers PF_KEYv2 and netgraph on Unix sockets as FreeBSD's kernel does
//! on its own, and carries ESP, L2TP, PPP and a TUN device.
//!
//! | file | what |
//! |---|---|
//! | `buffer.rs` | one packet and the room around it |
//! | `batch.rs` | packets that go together |
//! | `offload/` | long packets: checksums, cutting, joining; no I/O |
//! | `ipsec/` | SADB, SPD, ESP, PF_KEY server; no I/O |
//! | `graph/` | netgraph: nodes, hooks, messages, node types; no I/O |
//! | `table.rs` | the map that packets look into |
//! | `udp.rs` | the UDP header inside ESP |
//! | `kernel.rs` | the two joined: a packet's way; no I/O |
//! | `os/` | TUN, raw ESP, UDP encapsulation, routes, Unix sockets: the only unsafe code |
//! | `encapsulation.rs` | the open UDP sockets of RFC 3948 and who has bound them |
//! | `engine.rs` | kernel and devices |
//! | `server/` | the sockets that daemons connect to |
//! | `control.rs` | statistics |
//! | `config.rs` | `softkernel.yaml` |
//! | `tunnel_routes.rs` | host routes for tunnel mode |
//! | `worker/` | threads that carry packets besides the one that has the kernel |
//! | `traffic.rs` | what all that carry packets do with devices |
//! | `run.rs` | the process |
//!
//! What touches devices is written for FreeBSD and Linux; the rest runs anywhere.

#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub mod batch;
pub mod buffer;
pub mod config;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub mod control;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub mod encapsulation;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub mod engine;
pub mod graph;
pub mod ipsec;
pub mod kernel;
pub mod offload;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub mod os;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub mod run;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub mod server;
mod table;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
mod traffic;
pub mod tunnel_routes;
pub mod udp;
pub mod worker;

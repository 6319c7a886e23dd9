//! The user-space kernel: SADB, ESP, netgraph nodes, TUN.

pub mod buffer;
pub mod graph;
pub mod ipsec;
pub mod kernel;
pub mod udp;

//! The user-space kernel: SADB, ESP, netgraph nodes, TUN.

pub mod buffer;
pub mod ipsec;

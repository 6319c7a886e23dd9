//! The user-space kernel: SADB, ESP, netgraph nodes, TUN.

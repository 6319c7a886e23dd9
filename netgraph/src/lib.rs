//! Netgraph control and data messages, node types as typed structs, and the sockets that carry them.

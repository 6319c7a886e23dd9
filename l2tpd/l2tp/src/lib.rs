//! The L2TP protocol core of RFC 2661: AVPs, tunnels, sessions; no I/O, no clock, no randomness.

//! The IKE protocol core: wire formats, exchanges, sessions; no I/O, no clock, no randomness.

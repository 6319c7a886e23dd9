//! The PPP protocol core: LCP, authentication, IPCP, IPv6CP; no I/O, no clock, no randomness.

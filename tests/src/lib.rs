//! What crosses crates: simulated networks, labs with real clients, vectors.
//!
//! * [`ike`]: a hand-made IKEv1 initiator and a server core to try it on

// Support of tests: what does not hold is a panic, and lengths are as small as tests make them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

pub mod ike;

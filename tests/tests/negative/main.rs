//! What nobody should send: tables of inputs made from valid conversations, thrown at the whole
//! cores in every state. No crash, no answer where none is due, nothing left behind, bounded work,
//! and the valid conversation goes on afterwards. `negative.md` in the crate's folder lists input
//! and test; a test here keeps it true.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

// The harnesses of the crates' own tests.
#[path = "../../../softkernel/tests/support/mod.rs"]
mod kernel;
#[path = "../../../l2tpd/ppp/tests/harness/mod.rs"]
mod link;
#[path = "../../../l2tpd/l2tp/tests/peers/mod.rs"]
mod tunnels;

mod esp;
mod ike;
mod l2tp;
mod mutations;
mod pages;
mod ppp;

//! The rules that serving real L2TP/IPsec clients comes down to, each with at least one test that
//! bears its number: R1 to R14 IKE, R20 to R26 L2TP, R30 to R35 PPP. `rules.md` in the crate's
//! folder is the table; a test here keeps it true.

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

mod ike;
mod l2tp;
mod ppp;
mod table;

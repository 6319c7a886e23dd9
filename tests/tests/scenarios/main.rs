//! What the test suites of strongSwan, libreswan and others try with IKEv1, in simulated time over
//! the whole core. `scenarios.md` in the crate's folder lists their scenarios, and which test of
//! ours holds each; a test of `negative` keeps it true.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod lives;
mod offers;
mod places;

use tanuki_tests::ike::gateway::{Gateway, SERVER, policy};
use tanuki_tests::ike::ordinary::dialect;
use tanuki_tests::ike::{Dialect, Initiator};

/// The client's address, and where its packets come from.
const CLIENT: &str = "198.51.100.7";
const FROM: (&str, &str) = ("198.51.100.7:500", "198.51.100.7:4500");
/// Behind NAT.
const PRIVATE: &str = "192.168.1.5";

fn client(dialect: Dialect, own: &str, seed: u64) -> Initiator {
    Initiator::new(dialect, own, SERVER, seed)
}

/// An established client with an address of its own.
fn open(seed: u64) -> (Gateway, Initiator) {
    let mut gateway = Gateway::new(policy());
    let mut client = client(dialect(), CLIENT, seed);
    gateway.main_mode(&mut client, FROM);
    (gateway, client)
}

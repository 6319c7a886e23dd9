//! What others have recorded, decrypted with the keys they published; and what has crashed others,
//! given to ours. `vectors.md` in the crate's folder lists every vector carried here or in a crate's
//! own tests, and those that cannot be had; a test of `negative` keeps it true.

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

mod captures;
mod keys;

/// Recorded payloads of one kind: whose they are, and the octets.
fn recorded(kind: &str) -> Vec<(&'static str, Vec<u8>)> {
    let lines = include_str!("captures.txt").lines();
    let mut found = Vec::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let fields: Vec<&'static str> = line.split(' ').collect();
        let [of, name, _, hex] = fields[..] else {
            panic!("{line}")
        };
        if of == kind {
            let octets = if hex == "-" { "" } else { hex };
            found.push((name, ike_proto::wire::unhex(octets).unwrap()));
        }
    }
    found
}

/// The payloads of one recording.
fn named(kind: &str, name: &str) -> Vec<Vec<u8>> {
    let all = recorded(kind).into_iter();
    let found: Vec<_> = all
        .filter(|(of, _)| *of == name)
        .map(|(_, octets)| octets)
        .collect();
    assert!(!found.is_empty(), "{name}");
    found
}

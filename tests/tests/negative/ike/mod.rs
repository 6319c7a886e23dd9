//! IKE: the endpoint as a server has it, in every state of a conversation.

mod floods;
mod header;
mod informational;
mod payloads;
mod phase1;
mod phase2;
mod replay;
pub(crate) mod scene;

/// A copy with some octets changed.
fn with(message: &[u8], at: usize, octets: &[u8]) -> Vec<u8> {
    let mut changed = message.to_vec();
    changed[at..at + octets.len()].copy_from_slice(octets);
    changed
}

//! Packets that are framed and not sealed yet: those of one SA are encrypted and signed together.

use super::counters::Drop;
use super::rows::Rows;
use crate::buffer::Buffer;

/// What is still to be done with the packets of a batch that [`super::Ipsec::prepare`] has framed. Made
/// once, used for every batch.
#[derive(Default)]
pub struct Unsealed(pub(super) Rows);

/// Encrypts and signs the framed packets of `batch`, those of one SA together, and forgets them. A
/// packet that cannot be sealed ends up empty.
pub fn seal(batch: &mut [Buffer], unsealed: &mut Unsealed) {
    let done = unsealed.0.work(batch, |transform, jobs| {
        if transform.seal(jobs).is_none() {
            for job in jobs {
                job.failed = Some(Drop::NoRoom);
            }
        }
    });
    for packet in done.filter(|packet| packet.failed.is_some()) {
        if let Some(packet) = batch.get_mut(packet.place) {
            packet.truncate(0);
        }
    }
}

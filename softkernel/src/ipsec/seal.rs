//! Packets that are framed and not sealed yet: those of one SA are encrypted and signed together.

use std::sync::Arc;

use super::lockstep::LANES;
use super::transform::{Job, Transform};
use crate::buffer::Buffer;

/// What is still to be done with the packets of a batch that [`super::Ipsec::prepare`] has framed. Made
/// once, used for every batch.
#[derive(Default)]
pub struct Unsealed {
    /// Of the SAs that the packets go through, each once.
    transforms: Vec<Arc<Transform>>,
    packets: Vec<Framed>,
}

/// A framed packet.
struct Framed {
    /// Its place in the batch.
    place: usize,
    /// The place of its SA's transform.
    transform: usize,
    sequence: u64,
    extended: bool,
}

impl Unsealed {
    /// Another framed packet; its place is behind those of the packets before.
    pub(super) fn push(
        &mut self,
        place: usize,
        transform: &Arc<Transform>,
        sequence: u64,
        extended: bool,
    ) {
        let mut known = self.transforms.iter().enumerate().rev();
        let known = known.find(|(_, other)| Arc::ptr_eq(other, transform));
        let transform = match known {
            Some((index, _)) => index,
            None => {
                self.transforms.push(Arc::clone(transform));
                self.transforms.len() - 1
            }
        };
        self.packets.push(Framed {
            place,
            transform,
            sequence,
            extended,
        });
    }
}

/// Encrypts and signs the framed packets of `batch`, those of one SA together, and forgets them. A
/// packet that cannot be sealed ends up empty.
pub fn seal(batch: &mut [Buffer], unsealed: &mut Unsealed) {
    let Unsealed {
        transforms,
        packets: framed,
    } = unsealed;
    for (index, transform) in transforms.drain(..).enumerate() {
        let mine = || framed.iter().filter(|framed| framed.transform == index);
        // Room for a whole batch costs as much as a small packet where each has an SA of its own.
        let sealed = match mine().nth(1) {
            None => seal_all::<1>(&transform, batch, mine()),
            Some(_) => seal_all::<LANES>(&transform, batch, mine()),
        };
        if sealed.is_none() {
            for framed in mine() {
                if let Some(packet) = batch.get_mut(framed.place) {
                    packet.truncate(0);
                }
            }
        }
    }
    framed.clear();
}

/// Seals the packets of one SA, `N` at a time. `None` when one cannot be sealed.
fn seal_all<'a, const N: usize>(
    transform: &Transform,
    batch: &mut [Buffer],
    mut framed: impl Iterator<Item = &'a Framed>,
) -> Option<()> {
    let mut packets = batch.iter_mut().enumerate();
    loop {
        let mut jobs: [Job<'_>; N] = std::array::from_fn(|_| Job::default());
        let mut used = 0;
        for (job, framed) in jobs.iter_mut().zip(framed.by_ref()) {
            if let Some((_, packet)) = packets.find(|(place, _)| *place == framed.place) {
                *job = Job {
                    sequence: framed.sequence,
                    extended: framed.extended,
                    packet,
                };
                used += 1;
            }
        }
        match jobs.get_mut(..used)? {
            [] => return Some(()),
            jobs => transform.seal(jobs)?,
        }
    }
}

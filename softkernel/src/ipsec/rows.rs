//! The packets of a batch, those of one SA together: what makes a cipher go side by side.

use std::sync::Arc;
use std::vec::Drain;

use super::counters::Drop;
use super::lockstep::LANES;
use super::transform::{Job, Transform};
use crate::buffer::Buffer;

/// Which packets of a batch go through which SA. Made once, used for every batch.
#[derive(Default)]
pub(super) struct Rows {
    /// Of the SAs that the packets go through, each once.
    transforms: Vec<Arc<Transform>>,
    packets: Vec<Packet>,
}

/// One packet.
pub(super) struct Packet {
    /// Its place in the batch.
    pub(super) place: usize,
    /// The place of its SA's transform.
    transform: usize,
    pub(super) sequence: u64,
    extended: bool,
    /// What was wrong with it.
    pub(super) failed: Option<Drop>,
}

impl Rows {
    /// Another packet; its place is behind those of the packets before.
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
        self.packets.push(Packet {
            place,
            transform,
            sequence,
            extended,
            failed: None,
        });
    }

    /// Hands the packets of one SA after the other to `work`, several at once; every packet, in order,
    /// is there afterwards to tell how it went.
    pub(super) fn work(
        &mut self,
        batch: &mut [Buffer],
        mut work: impl FnMut(&Transform, &mut [Job<'_>]),
    ) -> Drain<'_, Packet> {
        let Self {
            transforms,
            packets,
        } = self;
        for (index, transform) in transforms.drain(..).enumerate() {
            let mut mine = packets.iter().filter(|packet| packet.transform == index);
            let mut work = |jobs: &mut [Job<'_>]| work(&transform, jobs);
            // Room for a whole batch costs as much as a small packet where each has an SA of its own.
            match mine.nth(1) {
                None => in_steps::<1>(index, packets, batch, &mut work),
                Some(_) => in_steps::<LANES>(index, packets, batch, &mut work),
            }
        }
        packets.drain(..)
    }
}

/// The packets of one SA, `N` at a time.
fn in_steps<const N: usize>(
    transform: usize,
    packets: &mut [Packet],
    batch: &mut [Buffer],
    work: &mut impl FnMut(&mut [Job<'_>]),
) {
    let mut mine = packets
        .iter_mut()
        .filter(|packet| packet.transform == transform);
    let mut buffers = batch.iter_mut().enumerate();
    loop {
        let mut jobs: [Job<'_>; N] = std::array::from_fn(|_| Job::default());
        let mut done: [Option<&mut Packet>; N] = std::array::from_fn(|_| None);
        let mut used = 0;
        for ((job, done), packet) in jobs.iter_mut().zip(&mut done).zip(mine.by_ref()) {
            if let Some((_, buffer)) = buffers.find(|(place, _)| *place == packet.place) {
                *job = Job {
                    sequence: packet.sequence,
                    extended: packet.extended,
                    packet: buffer,
                    failed: None,
                };
                *done = Some(packet);
                used += 1;
            }
        }
        let Some(jobs) = jobs.get_mut(..used).filter(|jobs| !jobs.is_empty()) else {
            return;
        };
        work(jobs);
        for (job, packet) in jobs.iter().zip(done.iter_mut().flatten()) {
            packet.failed = job.failed;
        }
    }
}

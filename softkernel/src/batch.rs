//! Packets that go together: read by one system call, encrypted side by side, written by one call.
//! Made once and used again.

use crate::buffer::Buffer;
use crate::offload::coalesce::MAX_PACKETS;

/// Buffers, of which the first ones are in use.
#[derive(Debug, Default)]
pub struct Batch {
    packets: Vec<Buffer>,
    used: usize,
}

impl Batch {
    /// An empty batch of packets of at most `payload` bytes.
    pub fn new(payload: usize) -> Self {
        Self {
            packets: vec![Buffer::new(payload); MAX_PACKETS],
            used: 0,
        }
    }

    /// Where the next packet goes; none when the batch is full.
    pub fn room(&mut self) -> Option<&mut Buffer> {
        self.packets.get_mut(self.used)
    }

    /// The packet written to [`room`](Self::room) is one of the batch.
    pub fn add(&mut self) {
        self.used = (self.used + 1).min(self.packets.len());
    }

    /// The packets.
    pub fn packets(&self) -> &[Buffer] {
        self.packets.get(..self.used).unwrap_or_default()
    }

    /// The packets.
    pub fn packets_mut(&mut self) -> &mut [Buffer] {
        self.packets.get_mut(..self.used).unwrap_or_default()
    }

    /// Makes the batch empty again.
    pub fn clear(&mut self) {
        self.used = 0;
    }
}

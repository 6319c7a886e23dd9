//! Packets that one system call has brought, or several of them in a row.

use std::ops::Range;

use super::outer::Addresses;

/// Messages of one batch.
pub(super) const MESSAGES: usize = 32;
/// Bytes of each: the longest datagram, or a row of them.
pub(super) const ROOM: usize = 65_536;

/// Packets that one call has brought.
#[derive(Debug)]
pub struct Arrivals {
    /// [`ROOM`] bytes for each message.
    pub(super) storage: Box<[u8]>,
    pub(super) messages: Vec<Message>,
}

/// A datagram, or a row of them.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) addresses: Addresses,
    /// Where it is in the storage.
    pub(super) range: Range<usize>,
    /// Bytes of every datagram of the row but the last.
    pub(super) segment: usize,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            storage: vec![0; MESSAGES * ROOM].into_boxed_slice(),
            messages: Vec::with_capacity(MESSAGES),
        }
    }
}

impl Arrivals {
    /// Every packet, from the ESP header or the UDP payload on.
    pub fn iter(&self) -> impl Iterator<Item = (Addresses, &[u8])> {
        self.messages.iter().flat_map(|message| {
            let bytes = self.storage.get(message.range.clone()).unwrap_or_default();
            // An empty datagram is one too.
            let empty = bytes.is_empty().then_some(bytes);
            bytes
                .chunks(message.segment.max(1))
                .chain(empty)
                .map(|packet| (message.addresses, packet))
        })
    }
}

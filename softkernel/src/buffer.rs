//! A packet buffer with room on both sides.
//!
//! ```text
//! 0            start                end            capacity
//! |  headroom  |  the packet        |   tailroom   |
//! ```
//!
//! Headers are written into the headroom and trailers into the tailroom, so a packet goes from the
//! TUN device to the UDP socket (PPP, L2TP, UDP, ESP in between) without being copied and without
//! an allocation. One buffer is made per worker and reused with [`Buffer::reset`].

use std::ops::{Deref, DerefMut};

/// One packet and the room around it; the default one has none.
#[derive(Debug, Clone, Default)]
pub struct Buffer {
    storage: Box<[u8]>,
    /// Where an empty packet begins.
    origin: usize,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Headroom that fits every header the data path prepends (IPv6, UDP, ESP, IV, UDP, L2TP, PPP).
    pub const HEADROOM: usize = 128;
    /// Tailroom that fits ESP padding, trailer and the longest ICV (255 + 2 + 32 bytes, rounded).
    pub const TAILROOM: usize = 304;
    /// Longest datagram or TUN packet.
    pub const PAYLOAD: usize = 65_536;

    /// An empty buffer for packets of at most `payload` bytes, with the default rooms around them.
    pub fn new(payload: usize) -> Self {
        Self::with_rooms(Self::HEADROOM, payload, Self::TAILROOM)
    }

    /// An empty buffer with rooms of one's own choice, in bytes.
    pub fn with_rooms(headroom: usize, payload: usize, tailroom: usize) -> Self {
        let storage = vec![0; headroom + payload + tailroom].into_boxed_slice();
        Self {
            storage,
            origin: headroom,
            start: headroom,
            end: headroom,
        }
    }

    /// Makes the buffer empty again with its original headroom.
    pub fn reset(&mut self) {
        self.start = self.origin;
        self.end = self.origin;
    }

    /// Makes `packet` the contents, after a [`reset`](Self::reset). `false` (and empty) when it
    /// does not fit.
    #[must_use]
    pub fn fill(&mut self, packet: &[u8]) -> bool {
        self.reset();
        match self.append(packet.len()) {
            Some(room) => {
                room.copy_from_slice(packet);
                true
            }
            None => false,
        }
    }

    /// Bytes free before the packet.
    pub fn headroom(&self) -> usize {
        self.start
    }

    /// Bytes free after the packet.
    pub fn tailroom(&self) -> usize {
        self.storage.len() - self.end
    }

    /// Grows the packet at its front by `n` bytes and returns them, contents undefined; `None`
    /// without effect when the headroom is smaller.
    pub fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        let start = self.start.checked_sub(n)?;
        let room = self.storage.get_mut(start..self.start)?;
        self.start = start;
        Some(room)
    }

    /// Grows the packet at its end by `n` bytes and returns them, contents undefined; `None`
    /// without effect when the tailroom is smaller.
    pub fn append(&mut self, n: usize) -> Option<&mut [u8]> {
        let end = self.end.checked_add(n)?;
        let room = self.storage.get_mut(self.end..end)?;
        self.end = end;
        Some(room)
    }

    /// Takes `n` bytes off the front; `false` without effect when the packet is shorter.
    #[must_use]
    pub fn trim_front(&mut self, n: usize) -> bool {
        if n > self.len() {
            return false;
        }
        self.start += n;
        true
    }

    /// Shortens the packet to its first `n` bytes; no effect when it is not longer.
    pub fn truncate(&mut self, n: usize) {
        self.end = self.end.min(self.start.saturating_add(n));
    }

    /// Empties the buffer and hands out the whole room after the headroom, for a read(2) straight
    /// into it; follow with [`set_len`](Self::set_len). The last [`TAILROOM`](Self::TAILROOM)
    /// bytes are kept back.
    pub fn receive_room(&mut self) -> &mut [u8] {
        self.reset();
        let end = self
            .storage
            .len()
            .saturating_sub(Self::TAILROOM)
            .max(self.start);
        self.storage.get_mut(self.start..end).unwrap_or_default()
    }

    /// Sets the packet's length after a read into [`receive_room`](Self::receive_room), at most to
    /// the end of the storage.
    pub fn set_len(&mut self, n: usize) {
        self.end = self.start.saturating_add(n).min(self.storage.len());
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.storage.get(self.start..self.end).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.storage
            .get_mut(self.start..self.end)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_on_both_sides() {
        let mut buffer = Buffer::with_rooms(4, 3, 2);
        assert!(buffer.fill(b"abc"));
        assert_eq!((buffer.headroom(), buffer.tailroom()), (4, 2));
        buffer.prepend(2).unwrap().copy_from_slice(b"xy");
        buffer.append(1).unwrap().copy_from_slice(b"z");
        assert_eq!(&buffer[..], b"xyabcz");
        assert!(buffer.prepend(3).is_none());
        assert!(buffer.append(2).is_none());
        assert!(buffer.append(usize::MAX).is_none());
        assert_eq!(&buffer[..], b"xyabcz");
        assert!(buffer.trim_front(1));
        assert!(!buffer.trim_front(6));
        buffer.truncate(3);
        assert_eq!(&buffer[..], b"yab");
        buffer.reset();
        assert!(buffer.is_empty());
        assert!(!buffer.fill(b"too long"));
    }

    #[test]
    fn receives_in_place() {
        let mut buffer = Buffer::new(8);
        buffer.receive_room()[..2].copy_from_slice(b"hi");
        buffer.set_len(2);
        assert_eq!(&buffer[..], b"hi");
        assert_eq!(buffer.receive_room().len(), 8);
        buffer.set_len(usize::MAX);
        assert_eq!(buffer.len(), 8 + Buffer::TAILROOM);
    }
}

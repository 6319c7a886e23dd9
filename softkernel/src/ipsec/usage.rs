//! What an SA has used so far. Whoever carries its packets counts, on whatever thread; the control
//! thread reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of one SA.
#[derive(Debug)]
pub(super) struct Usage {
    packets: AtomicU64,
    bytes: AtomicU64,
    /// Last sequence number given out, or more when there are none left.
    sent: AtomicU64,
    marks: Marks,
    /// The SA has been removed.
    gone: AtomicBool,
}

/// When the control thread has to look at the SA, and when nothing may pass any more.
#[derive(Debug)]
struct Marks {
    bytes: AtomicU64,
    sent: AtomicU64,
    last_byte: AtomicU64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            marks: Marks {
                bytes: AtomicU64::new(u64::MAX),
                sent: AtomicU64::new(u64::MAX),
                last_byte: AtomicU64::new(u64::MAX),
            },
            gone: AtomicBool::new(false),
        }
    }
}

impl Usage {
    pub(super) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Counts one packet.
    pub(super) fn count(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The number that the next packet gets; `None` when all up to `last` are used up.
    pub(super) fn take_sequence(&self, last: u64) -> Option<u64> {
        // Looked at first, so that an SA that is used up does not count on.
        if self.sent() >= last {
            return None;
        }
        let before = self.sent.fetch_add(1, Ordering::Relaxed);
        (before < last).then(|| before + 1)
    }

    /// `bytes` and `sent`: where the control thread wants to be asked; `last_byte`: where it all ends.
    pub(super) fn set_marks(&self, bytes: u64, sent: u64, last_byte: u64) {
        self.marks.bytes.store(bytes, Ordering::Relaxed);
        self.marks.sent.store(sent, Ordering::Relaxed);
        self.marks.last_byte.store(last_byte, Ordering::Relaxed);
    }

    /// Whether a packet has reached a mark.
    pub(super) fn is_marked(&self) -> bool {
        self.bytes() >= self.marks.bytes.load(Ordering::Relaxed)
            || self.sent() >= self.marks.sent.load(Ordering::Relaxed)
    }

    /// Whether no packet may pass any more.
    pub(super) fn is_over(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
            || self.bytes() >= self.marks.last_byte.load(Ordering::Relaxed)
    }

    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

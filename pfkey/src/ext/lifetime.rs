//! `struct sadb_lifetime`, 32 bytes: RFC 2367 section 2.3.2.

use crate::wire::{Reader, Writer};

/// Limits of an SA, or what it has used so far. Zero means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lifetime {
    /// CURRENT: packets so far. HARD, SOFT: connections; not enforced by the kernels.
    pub allocations: u32,
    /// Bytes.
    pub bytes: u64,
    /// CURRENT: creation, seconds since 1970. HARD, SOFT: seconds from creation.
    pub add_time: u64,
    /// CURRENT: last use, seconds since 1970. HARD, SOFT: seconds from first use.
    pub use_time: u64,
}

impl Lifetime {
    pub(super) const BODY: usize = 28;

    pub(super) fn parse(body: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            allocations: body.u32()?,
            bytes: body.u64()?,
            add_time: body.u64()?,
            use_time: body.u64()?,
        })
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        out.u32(self.allocations)
            .u64(self.bytes)
            .u64(self.add_time)
            .u64(self.use_time);
    }
}

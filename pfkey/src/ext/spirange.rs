//! `struct sadb_spirange`, 16 bytes: RFC 2367 section 2.3.9. Host order, as the kernels read it.

use crate::wire::{Reader, Writer};

/// SPIs GETSPI may choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiRange {
    /// Smallest.
    pub min: u32,
    /// Largest.
    pub max: u32,
}

impl SpiRange {
    pub(super) const BODY: usize = 12;

    pub(super) fn parse(body: &mut Reader<'_>) -> Option<Self> {
        let range = Self {
            min: body.u32()?,
            max: body.u32()?,
        };
        body.skip(4)?;
        Some(range)
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        out.u32(self.min).u32(self.max).zeros(4);
    }
}

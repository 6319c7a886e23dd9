//! `struct sadb_x_sa_replay`, 8 bytes: replay window in packets, for windows over 255 bytes.

use crate::wire::{Reader, Writer};

pub(super) const BODY: usize = 4;

pub(super) fn parse(body: &mut Reader<'_>) -> Option<u32> {
    body.u32()
}

pub(super) fn emit(window: u32, out: &mut Writer<'_>) {
    out.u32(window);
}

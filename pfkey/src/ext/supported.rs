//! `struct sadb_supported` and `sadb_alg`, 8 bytes each: RFC 2367 section 2.3.8.

use crate::wire::{Reader, Writer};

/// One algorithm of a REGISTER reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithm {
    /// `SADB_EALG_*` or `SADB_AALG_*`, depending on the list it is in.
    pub id: u8,
    /// Length of the initialization vector in bits as RFC 2367 has it, in bytes as kernels fill it.
    pub iv_len: u8,
    /// Shortest key in bits.
    pub min_bits: u16,
    /// Longest key in bits.
    pub max_bits: u16,
}

pub(super) fn body_len(list: &[Algorithm]) -> usize {
    4 + 8 * list.len()
}

pub(super) fn parse(body: &mut Reader<'_>) -> Option<Vec<Algorithm>> {
    body.skip(4)?;
    let mut list = Vec::with_capacity(body.rest().len() / 8);
    while !body.rest().is_empty() {
        list.push(Algorithm {
            id: body.u8()?,
            iv_len: body.u8()?,
            min_bits: body.u16()?,
            max_bits: body.u16()?,
        });
        body.skip(2)?;
    }
    Some(list)
}

pub(super) fn emit(list: &[Algorithm], out: &mut Writer<'_>) {
    out.zeros(4);
    for algorithm in list {
        out.u8(algorithm.id)
            .u8(algorithm.iv_len)
            .u16(algorithm.min_bits)
            .u16(algorithm.max_bits)
            .zeros(2);
    }
}

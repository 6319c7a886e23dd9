//! `struct sadb_x_nat_t_type`, `_port`, `_frag`, 8 bytes each: UDP encapsulation, RFC 3948.

use crate::wire::{Reader, Writer};

/// `UDP_ENCAP_ESPINUDP`: ESP in UDP as RFC 3948 has it, the only kind there is.
pub const UDP_ENCAP_ESPINUDP: u8 = 2;

pub(super) const BODY: usize = 4;

pub(super) fn parse_type(body: &mut Reader<'_>) -> Option<u8> {
    let kind = body.u8()?;
    body.skip(3)?;
    Some(kind)
}

pub(super) fn emit_type(kind: u8, out: &mut Writer<'_>) {
    out.u8(kind).zeros(3);
}

/// Ports are in network order.
pub(super) fn parse_port(body: &mut Reader<'_>) -> Option<u16> {
    let port = body.be16()?;
    body.skip(2)?;
    Some(port)
}

pub(super) fn emit_port(port: u16, out: &mut Writer<'_>) {
    out.be16(port).zeros(2);
}

/// The fragment size is in host order.
pub(super) fn parse_fragment(body: &mut Reader<'_>) -> Option<u16> {
    let size = body.u16()?;
    body.skip(2)?;
    Some(size)
}

pub(super) fn emit_fragment(size: u16, out: &mut Writer<'_>) {
    out.u16(size).zeros(2);
}

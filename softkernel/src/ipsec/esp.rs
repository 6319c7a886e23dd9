//! The ESP packet format, RFC 4303 section 2:
//!
//! ```text
//! SPI:u32 | sequence:u32 | IV | payload | padding 1,2,3,… | pad length:u8 next header:u8 | ICV
//! ```

use std::ops::Range;

use super::counters::Drop;
use super::transform::{ESP_HEADER, ESP_TRAILER, Transform};
use crate::buffer::Buffer;

/// Next header of a dummy packet, RFC 4303 section 2.6.
pub(super) const NO_NEXT_HEADER: u8 = 59;

/// SPI and low half of the sequence number.
pub(super) fn header(packet: &[u8]) -> Option<(u32, u32)> {
    let (spi, rest) = packet.split_first_chunk::<4>()?;
    let (sequence, _) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*spi), u32::from_be_bytes(*sequence)))
}

/// Verifies and decrypts in place; next header and where the payload lies.
pub(super) fn open(
    transform: &Transform,
    sequence: u64,
    extended: bool,
    packet: &mut [u8],
) -> Result<(u8, Range<usize>), Drop> {
    transform.open(sequence, extended, packet)?;
    let start = ESP_HEADER + transform.iv_len();
    let end = packet
        .len()
        .checked_sub(transform.icv_len())
        .ok_or(Drop::Short)?;
    let body = packet.get(start..end).ok_or(Drop::Short)?;
    let (text, [pad_len, next_header]) = body.split_last_chunk::<2>().ok_or(Drop::Short)?;
    let payload = text
        .len()
        .checked_sub(usize::from(*pad_len))
        .ok_or(Drop::Padding)?;
    let padding = text.get(payload..).ok_or(Drop::Padding)?;
    // Section 2.4: a receiver that knows the default padding checks it.
    if !padding
        .iter()
        .zip(1..=u8::MAX)
        .all(|(have, want)| *have == want)
    {
        return Err(Drop::Padding);
    }
    Ok((*next_header, start..start + payload))
}

/// Turns the payload in `packet` into an ESP packet, in place.
pub(super) fn seal(
    transform: &Transform,
    spi: u32,
    sequence: u64,
    extended: bool,
    next_header: u8,
    packet: &mut Buffer,
) -> Result<(), Drop> {
    let align = transform.alignment();
    let pad_len = (packet.len() + ESP_TRAILER).next_multiple_of(align) - packet.len() - ESP_TRAILER;
    let icv_len = transform.icv_len();
    let front = ESP_HEADER + transform.iv_len();
    // Both checks first: a packet that does not fit stays as it was.
    if packet.headroom() < front || packet.tailroom() < pad_len + ESP_TRAILER + icv_len {
        return Err(Drop::NoRoom);
    }
    let tail = packet
        .append(pad_len + ESP_TRAILER + icv_len)
        .ok_or(Drop::NoRoom)?;
    for (byte, value) in tail.iter_mut().take(pad_len).zip(1..) {
        *byte = value;
    }
    for (byte, value) in tail
        .iter_mut()
        .skip(pad_len)
        .zip([pad_len as u8, next_header])
    {
        *byte = value;
    }
    let head = packet.prepend(front).ok_or(Drop::NoRoom)?;
    for (byte, value) in head.iter_mut().zip(
        spi.to_be_bytes()
            .into_iter()
            .chain((sequence as u32).to_be_bytes()),
    ) {
        *byte = value;
    }
    transform
        .seal(sequence, extended, packet)
        .ok_or(Drop::NoRoom)
}

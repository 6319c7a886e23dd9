//! IKE fragmentation as Microsoft and Cisco do it ([MS-IKEE] 3.3.5, vendor id FRAGMENTATION): long
//! messages travel in pieces that IP need not cut, since many NATs and firewalls lose cut ones.
//!
//! * [`split`]: what we send
//! * [`reassembly`]: what peers send, put together before anything is authenticated
//!
//! Nothing of it is protected: whoever can forge a datagram can spoil a message under way, as with
//! fragments of IP. The message itself is authenticated once it is whole.

mod reassembly;

pub(crate) use reassembly::Reassembly;

use ike_crypto::Hash;

use crate::nat::Path;
use crate::wire::fragment::{FRAGMENT_HEADER_LEN, Fragment};
use crate::wire::header::{HEADER_LEN, Header};

/// Octets of UDP's header.
const UDP_HEADER_LEN: usize = 8;

/// Octets of the non-ESP marker, RFC 3948 2.2.
const MARKER_LEN: usize = 4;

/// However small the configured size: a fragment carries at least so much.
const MIN_DATA: usize = 128;

/// Cuts a message so that no IP packet is longer than `size`; `None` when it is short enough, or
/// too long for the count of fragments, which has one octet.
pub(crate) fn split(path: &Path, size: usize, message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let ip = if path.peer.is_ipv4() { 20 } else { 40 };
    let marker = if path.natt_port { MARKER_LEN } else { 0 };
    let room = size.saturating_sub(ip + UDP_HEADER_LEN + marker);
    if message.len() <= room {
        return None;
    }
    let room = room
        .saturating_sub(HEADER_LEN + FRAGMENT_HEADER_LEN)
        .max(MIN_DATA);
    let (header, _) = Header::parse(message).ok()?;
    let pieces: Vec<&[u8]> = message.chunks(room).collect();
    let count = u8::try_from(pieces.len()).ok().filter(|count| *count > 1)?;
    let id = fragment_id(message);
    let fragments = (1..=count).zip(pieces).map(|(number, data)| {
        let fragment = Fragment {
            id,
            number,
            last: number == count,
            data,
        };
        fragment.emit(&header)
    });
    Some(fragments.collect())
}

/// The same for a message sent again, another one for the next message, never zero.
fn fragment_id(message: &[u8]) -> u16 {
    let digest = Hash::Sha256.digest(&[message]);
    let id = digest.first_chunk().map_or(1, |id| u16::from_be_bytes(*id));
    id.max(1)
}

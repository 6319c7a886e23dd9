//! Many packets of a TCP connection or a UDP flow into a long one, as the receive offload of Linux
//! does: only neighbours whose headers differ in nothing that the other end could notice.

use std::io::IoSlice;

use super::LongPackets;
use super::checksum::Sum;
use super::ip::{self, Layout};
use super::virtio::{Gso, VirtioHeader};
use crate::buffer::Buffer;

/// Packets of one batch, at most.
pub const MAX_PACKETS: usize = 64;
/// What the length field of IPv4 can say.
const LONGEST: usize = u16::MAX as usize;
const NONE: usize = usize::MAX;

/// Which packets of a batch belong together. Made once, used for every batch.
#[derive(Debug)]
pub struct Coalescer {
    takes: LongPackets,
    groups: Vec<Group>,
    /// By packet: the next one of its group, or `NONE`.
    next: Vec<usize>,
}

#[derive(Debug)]
struct Group {
    first: usize,
    last: usize,
    /// Of packets that may have company.
    row: Option<Row>,
}

#[derive(Debug)]
struct Row {
    layout: Layout,
    /// Sequence number that the next segment of TCP has to have.
    sequence: u32,
    /// Bytes of the joined packet so far.
    total: usize,
    /// Nothing may follow any more.
    closed: bool,
}

impl Coalescer {
    /// An empty one for a device that takes these.
    pub fn new(takes: LongPackets) -> Self {
        Self {
            takes,
            groups: Vec::new(),
            next: Vec::new(),
        }
    }

    /// Forgets the batch before.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.next.clear();
    }

    /// Leaves out the next packet of the batch.
    pub fn skip(&mut self) {
        self.next.push(NONE);
    }

    /// Takes in the next packet of `batch`; every one is to be taken in or left out, in order.
    pub fn add(&mut self, batch: &[Buffer]) {
        let index = self.next.len();
        self.next.push(NONE);
        let Some(packet) = batch.get(index) else {
            return;
        };
        let layout = Layout::of(packet).filter(|layout| match layout.protocol {
            ip::PROTOCOL_TCP => self.takes.tcp,
            _ => self.takes.udp,
        });
        if let Some(layout) = &layout
            && let Some(group) = group_of(&mut self.groups, batch, packet, layout)
        {
            if joins(group, batch, packet, layout) {
                let place = self.next.get_mut(group.last);
                if let Some(place) = place {
                    *place = index;
                }
                group.last = index;
                return;
            }
            // What overtakes must not be overtaken by what came before it.
            if let Some(row) = &mut group.row {
                row.closed = true;
            }
        }
        let row = layout.and_then(|layout| begins(packet, layout));
        self.groups.push(Group {
            first: index,
            last: index,
            row,
        });
    }

    /// Hands every group to `write`, in the order of their first packets: the header and the parts
    /// of the packet, ready for writev(2).
    pub fn for_each(&self, batch: &mut [Buffer], mut write: impl FnMut(&[IoSlice<'_>])) {
        for group in &self.groups {
            let header = match &group.row {
                Some(row) if group.last != group.first => head(row, group, batch),
                _ => VirtioHeader::PLAIN,
            };
            let header = header.emit();
            let mut parts = [IoSlice::new(&header); 1 + MAX_PACKETS];
            let mut used = 1;
            let mut index = group.first;
            while let (Some(packet), Some(place)) = (batch.get(index), parts.get_mut(used)) {
                let from = match &group.row {
                    Some(row) if used > 1 => row.layout.payload.start,
                    _ => 0,
                };
                *place = IoSlice::new(packet.get(from..).unwrap_or_default());
                used += 1;
                index = self.next.get(index).copied().unwrap_or(NONE);
            }
            write(parts.get(..used).unwrap_or_default());
        }
    }
}

/// The newest group of this packet's flow.
fn group_of<'a>(
    groups: &'a mut [Group],
    batch: &[Buffer],
    packet: &[u8],
    layout: &Layout,
) -> Option<&'a mut Group> {
    groups.iter_mut().rev().find(|group| {
        let Some(row) = &group.row else { return false };
        (row.layout.protocol, row.layout.ip) == (layout.protocol, layout.ip)
            && batch
                .get(group.first)
                .is_some_and(|first| same_flow(first, packet, layout.ip))
    })
}

/// A packet that others may follow, unless something is against it.
fn begins(packet: &[u8], layout: Layout) -> Option<Row> {
    let (sequence, alone) = match layout.protocol {
        ip::PROTOCOL_TCP => {
            let flags = *packet.get(layout.ip + ip::TCP_FLAGS)?;
            let sequence = ip::u32_at(packet, layout.ip + ip::TCP_SEQUENCE)?;
            // A pushed one is delivered at once, so nothing is gained by waiting for more.
            (
                sequence.wrapping_add(layout.payload.len() as u32),
                flags != ip::FLAG_ACK,
            )
        }
        _ => (0, false),
    };
    Some(Row {
        sequence,
        total: packet.len(),
        closed: alone || layout.payload.is_empty() || !intact(packet, &layout),
        layout,
    })
}

/// Whether a packet may be appended to a group, which then counts it.
fn joins(group: &mut Group, batch: &[Buffer], packet: &[u8], layout: &Layout) -> bool {
    let (Some(row), Some(first)) = (&mut group.row, batch.get(group.first)) else {
        return false;
    };
    let size = row.layout.payload.len();
    let length = layout.payload.len();
    let fits = !row.closed
        && length != 0
        && length <= size
        && row.total + length <= LONGEST
        && layout.payload.start == row.layout.payload.start
        && same_network_header(first, packet, layout.ip)
        && (layout.protocol != ip::PROTOCOL_TCP || continues(first, packet, layout, row.sequence))
        && intact(packet, layout);
    if fits {
        row.sequence = row.sequence.wrapping_add(length as u32);
        row.total += length;
        row.closed = length < size || is_pushed(packet, layout);
    }
    fits
}

/// Makes the first packet the head of the joined one.
fn head(row: &Row, group: &Group, batch: &mut [Buffer]) -> VirtioHeader {
    let Layout {
        protocol,
        ip: at,
        ref payload,
    } = row.layout;
    let pushed = batch
        .get(group.last)
        .is_some_and(|last| is_pushed(last, &row.layout));
    let (field, gso) = match protocol {
        ip::PROTOCOL_TCP if at == ip::IPV4_HEADER => (ip::TCP_CHECKSUM, Gso::Tcp4),
        ip::PROTOCOL_TCP => (ip::TCP_CHECKSUM, Gso::Tcp6),
        _ => (ip::UDP_CHECKSUM, Gso::Udp),
    };
    let done = batch.get_mut(group.first).and_then(|first| {
        let (from, to) = ip::addresses(first)?;
        ip::set_length(first, at, row.total).ok()?;
        let transport = row.total - at;
        if pushed {
            *first.get_mut(at + ip::TCP_FLAGS)? |= ip::FLAG_PSH;
        }
        if gso == Gso::Udp {
            let length = u16::try_from(transport).ok()?;
            ip::put(first, at + ip::UDP_LENGTH, &length.to_be_bytes()).ok()?;
        }
        let sum = Sum::pseudo_header(from, to, protocol, transport);
        ip::put(first, at + field, &sum.folded().to_be_bytes()).ok()
    });
    debug_assert!(done.is_some(), "the layout was read from this packet");
    VirtioHeader {
        // Both are below 120.
        checksum: Some((at as u16, field as u16)),
        gso,
        header_length: payload.start as u16,
        segment_size: payload.len() as u16,
    }
}

/// Addresses and ports.
fn same_flow(one: &[u8], other: &[u8], ip: usize) -> bool {
    let addresses = if ip == ip::IPV4_HEADER { 12..20 } else { 8..40 };
    one.get(addresses.clone()) == other.get(addresses)
        && one.get(ip..ip + 4) == other.get(ip..ip + 4)
}

/// Everything but the length, and IPv4's checksum and identification.
fn same_network_header(one: &[u8], other: &[u8], ip: usize) -> bool {
    let equal = |range: std::ops::Range<usize>| one.get(range.clone()) == other.get(range);
    if ip == ip::IPV4_HEADER {
        equal(0..2) && equal(6..10)
    } else {
        equal(0..4) && equal(6..8)
    }
}

/// Whether a segment of TCP is the one with this sequence number, and its header differs from the
/// first one's in nothing else but checksum and PSH.
fn continues(first: &[u8], packet: &[u8], layout: &Layout, sequence: u32) -> bool {
    let tcp = layout.ip;
    let equal = |range: std::ops::Range<usize>| first.get(range.clone()) == packet.get(range);
    let flags = |packet: &[u8]| {
        packet
            .get(tcp + ip::TCP_FLAGS)
            .map(|flags| flags & !ip::FLAG_PSH)
    };
    ip::u32_at(packet, tcp + ip::TCP_SEQUENCE) == Some(sequence)
        && equal(tcp + 8..tcp + 13)
        && flags(first) == flags(packet)
        && equal(tcp + 14..tcp + 16)
        && equal(tcp + 18..layout.payload.start)
}

/// Whether a segment of TCP is to be delivered at once.
fn is_pushed(packet: &[u8], layout: &Layout) -> bool {
    let flags = packet.get(layout.ip + ip::TCP_FLAGS);
    layout.protocol == ip::PROTOCOL_TCP && flags.is_some_and(|flags| flags & ip::FLAG_PSH != 0)
}

/// Whether the checksum is right; it is not carried over into the joined packet.
fn intact(packet: &[u8], layout: &Layout) -> bool {
    let (Some((from, to)), Some(transport)) = (ip::addresses(packet), packet.get(layout.ip..))
    else {
        return false;
    };
    Sum::pseudo_header(from, to, layout.protocol, transport.len())
        .with(transport)
        .folded()
        == 0xffff
}

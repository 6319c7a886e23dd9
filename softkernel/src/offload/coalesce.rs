//! Many TCP packets of a connection into a long one, as the receive offload of Linux does: only
//! neighbours in the sequence whose headers differ in nothing that the other end could notice.

use std::io::IoSlice;

use super::checksum::Sum;
use super::ip::{self, TcpLayout};
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
    /// Whether any may be joined.
    joins: bool,
    groups: Vec<Group>,
    /// By packet: the next one of its group, or `NONE`.
    next: Vec<usize>,
}

#[derive(Debug)]
struct Group {
    first: usize,
    last: usize,
    /// Of TCP packets that may have company.
    tcp: Option<Tcp>,
}

#[derive(Debug)]
struct Tcp {
    layout: TcpLayout,
    /// Sequence number that the next packet has to have.
    sequence: u32,
    /// Bytes of the joined packet so far.
    total: usize,
    /// Nothing may follow any more.
    closed: bool,
}

impl Coalescer {
    /// An empty one. For devices that take no long packets it leaves every packet alone.
    pub fn new(joins: bool) -> Self {
        Self {
            joins,
            groups: Vec::new(),
            next: Vec::new(),
        }
    }

    /// Forgets the batch before.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.next.clear();
    }

    /// Takes in the last packet of `batch`; every packet is to be taken in, in order.
    pub fn add(&mut self, batch: &[Buffer]) {
        let index = self.next.len();
        self.next.push(NONE);
        let Some(packet) = batch.get(index) else {
            return;
        };
        let layout = self.joins.then(|| TcpLayout::of(packet)).flatten();
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
            if let Some(tcp) = &mut group.tcp {
                tcp.closed = true;
            }
        }
        let tcp = layout.and_then(|layout| begins(packet, layout));
        self.groups.push(Group {
            first: index,
            last: index,
            tcp,
        });
    }

    /// Hands every group to `write`, in the order of their first packets: the header and the parts
    /// of the packet, ready for writev(2).
    pub fn for_each(&self, batch: &mut [Buffer], mut write: impl FnMut(&[IoSlice<'_>])) {
        for group in &self.groups {
            let header = match &group.tcp {
                Some(tcp) if group.last != group.first => head(tcp, group, batch),
                _ => VirtioHeader::PLAIN,
            };
            let header = header.emit();
            let mut parts = [IoSlice::new(&header); 1 + MAX_PACKETS];
            let mut used = 1;
            let mut index = group.first;
            while let (Some(packet), Some(place)) = (batch.get(index), parts.get_mut(used)) {
                let from = match &group.tcp {
                    Some(tcp) if used > 1 => tcp.layout.payload.start,
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

/// The newest group of this packet's connection.
fn group_of<'a>(
    groups: &'a mut [Group],
    batch: &[Buffer],
    packet: &[u8],
    layout: &TcpLayout,
) -> Option<&'a mut Group> {
    groups.iter_mut().rev().find(|group| {
        let Some(tcp) = &group.tcp else { return false };
        tcp.layout.ip == layout.ip
            && batch
                .get(group.first)
                .is_some_and(|first| same_connection(first, packet, layout.ip))
    })
}

/// A packet that others may follow.
fn begins(packet: &[u8], layout: TcpLayout) -> Option<Tcp> {
    let flags = *packet.get(layout.ip + ip::TCP_FLAGS)?;
    // A pushed one is delivered at once, so nothing is gained by waiting for more.
    if flags != ip::FLAG_ACK && flags != ip::FLAG_ACK | ip::FLAG_PSH {
        return Some(Tcp {
            sequence: 0,
            total: packet.len(),
            closed: true,
            layout,
        });
    }
    let sequence = ip::u32_at(packet, layout.ip + ip::TCP_SEQUENCE)?;
    Some(Tcp {
        sequence: sequence.wrapping_add(layout.payload.len() as u32),
        total: packet.len(),
        closed: flags & ip::FLAG_PSH != 0
            || layout.payload.is_empty()
            || !intact(packet, layout.ip),
        layout,
    })
}

/// Whether a packet may be appended to a group, which then counts it.
fn joins(group: &mut Group, batch: &[Buffer], packet: &[u8], layout: &TcpLayout) -> bool {
    let Some(tcp) = &mut group.tcp else {
        return false;
    };
    let Some(first) = batch.get(group.first) else {
        return false;
    };
    let size = tcp.layout.payload.len();
    let length = layout.payload.len();
    let fits = !tcp.closed
        && length != 0
        && length <= size
        && tcp.total + length <= LONGEST
        && layout.payload.start == tcp.layout.payload.start
        && ip::u32_at(packet, layout.ip + ip::TCP_SEQUENCE) == Some(tcp.sequence)
        && same_headers(first, packet, layout)
        && intact(packet, layout.ip);
    if fits {
        tcp.sequence = tcp.sequence.wrapping_add(length as u32);
        tcp.total += length;
        let pushed = packet
            .get(layout.ip + ip::TCP_FLAGS)
            .is_some_and(|flags| flags & ip::FLAG_PSH != 0);
        tcp.closed = pushed || length < size;
    }
    fits
}

/// Makes the first packet the head of the joined one.
fn head(tcp: &Tcp, group: &Group, batch: &mut [Buffer]) -> VirtioHeader {
    let at = tcp.layout.ip;
    let pushed = batch
        .get(group.last)
        .and_then(|last| last.get(at + ip::TCP_FLAGS))
        .is_some_and(|flags| flags & ip::FLAG_PSH != 0);
    let done = batch.get_mut(group.first).and_then(|first| {
        let (from, to) = ip::addresses(first)?;
        ip::set_length(first, at, tcp.total).ok()?;
        if pushed {
            *first.get_mut(at + ip::TCP_FLAGS)? |= ip::FLAG_PSH;
        }
        let sum = Sum::pseudo_header(from, to, ip::PROTOCOL_TCP, tcp.total - at);
        ip::put(first, at + ip::TCP_CHECKSUM, &sum.folded().to_be_bytes()).ok()
    });
    debug_assert!(done.is_some(), "the layout was read from this packet");
    VirtioHeader {
        // Both are below 120.
        checksum: Some((at as u16, ip::TCP_CHECKSUM as u16)),
        gso: if at == ip::IPV4_HEADER {
            Gso::Tcp4
        } else {
            Gso::Tcp6
        },
        header_length: tcp.layout.payload.start as u16,
        segment_size: tcp.layout.payload.len() as u16,
    }
}

/// Addresses and ports.
fn same_connection(one: &[u8], other: &[u8], ip: usize) -> bool {
    let addresses = if ip == ip::IPV4_HEADER { 12..20 } else { 8..40 };
    one.get(addresses.clone()) == other.get(addresses)
        && one.get(ip..ip + 4) == other.get(ip..ip + 4)
}

/// Everything but lengths, checksums, IPv4's identification, the sequence number, and PSH.
fn same_headers(one: &[u8], other: &[u8], layout: &TcpLayout) -> bool {
    let equal = |range: std::ops::Range<usize>| one.get(range.clone()) == other.get(range);
    let network = if layout.ip == ip::IPV4_HEADER {
        equal(0..2) && equal(6..10)
    } else {
        equal(0..4) && equal(6..8)
    };
    let tcp = layout.ip;
    let flags = |packet: &[u8]| {
        packet
            .get(tcp + ip::TCP_FLAGS)
            .map(|flags| flags & !ip::FLAG_PSH)
    };
    network
        && equal(tcp + 8..tcp + 13)
        && flags(one) == flags(other)
        && equal(tcp + 14..tcp + 16)
        && equal(tcp + 18..layout.payload.start)
}

/// Whether the TCP checksum is right; it is not carried over into the joined packet.
fn intact(packet: &[u8], at: usize) -> bool {
    let (Some((from, to)), Some(transport)) = (ip::addresses(packet), packet.get(at..)) else {
        return false;
    };
    Sum::pseudo_header(from, to, ip::PROTOCOL_TCP, transport.len())
        .with(transport)
        .folded()
        == 0xffff
}

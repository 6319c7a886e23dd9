//! What every thread that carries packets does with the devices.

use std::io::{self, IoSlice};

use slog::{Logger, debug};

use crate::batch::Batch;
use crate::buffer::Buffer;
use crate::engine::Counters;
use crate::ipsec::OutboundEsp;
use crate::kernel::Action;
use crate::offload::coalesce::MAX_PACKETS;
use crate::offload::{Coalescer, Segments, VirtioHeader};
use crate::os::outer::{Addresses, OuterSocket};
use crate::os::tun::Tun;

/// Reads from the TUN device before the sockets have their turn.
const READS: usize = 32;
/// What ESP and what it carries here add to a packet of the TUN device, generously.
const OVERHEAD: usize = 256;
/// RFC 3948 section 2.2.
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// RFC 3948 section 2.3.
const KEEPALIVE: [u8; 1] = [0xff];

/// What a packet of an outer socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// ESP, from the SPI on.
    Esp,
    /// A datagram of IKE with its marker.
    Ike,
    /// Nothing that is carried on; it has been counted.
    Nothing,
}

/// Looks at the beginning of a packet.
pub(crate) fn sort(
    socket: &OuterSocket,
    from: &Addresses,
    packet: &[u8],
    counters: &mut Counters,
) -> Arrival {
    if socket.is_raw() {
        return Arrival::Esp;
    }
    if socket.peer().is_some_and(|peer| peer != from.source) {
        counters.strangers += 1;
    } else if packet.starts_with(&NON_ESP_MARKER) {
        return Arrival::Ike;
    } else if packet == KEEPALIVE {
        counters.keepalives += 1;
    } else if packet.len() < NON_ESP_MARKER.len() {
        counters.runts += 1;
    } else {
        return Arrival::Esp;
    }
    Arrival::Nothing
}

/// A batch for packets of a TUN device with this MTU.
pub(crate) fn batch(mtu: usize) -> Batch {
    Batch::new(mtu + OVERHEAD)
}

/// Packets from the TUN device, cut into the batch, which goes to `send` whenever it is full and at the
/// end. Also how many could not be cut as the device says.
///
/// # Errors
/// `WouldBlock` when there are no more; otherwise the device is gone.
pub(crate) fn read(
    tun: &Tun,
    long: &mut [u8],
    batch: &mut Batch,
    mut send: impl FnMut(&mut Batch),
) -> (io::Result<()>, u64) {
    let mut malformed = 0;
    let mut result = Ok(());
    for _ in 0..READS {
        let (header, length) = match tun.receive(long) {
            Ok(received) => received,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        let packet = long.get(..length).unwrap_or_default();
        let cut = Segments::new(header, packet).and_then(|mut segments| {
            loop {
                if batch.room().is_none() {
                    send(batch);
                }
                let Some(room) = batch.room() else {
                    return Ok(());
                };
                if !segments.next_into(room)? {
                    return Ok(());
                }
                batch.add();
            }
        });
        malformed += u64::from(cut.is_err());
    }
    send(batch);
    (result, malformed)
}

/// Goes through what is to be done with a batch: packets that go to the same peer by one SA together, all
/// others alone.
pub(crate) fn for_each_row(
    actions: &[Action],
    mut packets: &[Buffer],
    mut each: impl FnMut(&Action, &[Buffer]),
) {
    let mut rest = actions;
    while let Some(first) = rest.first() {
        let row = match first {
            Action::Esp(esp) => row_to(esp, rest),
            _ => 1,
        };
        let (these, others) = packets.split_at(row.min(packets.len()));
        each(first, these);
        (packets, rest) = (others, rest.get(row..).unwrap_or_default());
    }
}

/// How many actions from the first on go to the same peer.
fn row_to(first: &OutboundEsp, actions: &[Action]) -> usize {
    let same = |action: &&Action| {
        matches!(action, Action::Esp(esp) if esp.source == first.source
            && esp.destination == first.destination
            && esp.encapsulated == first.encapsulated)
    };
    actions.iter().take_while(same).count()
}

/// Sends packets to one peer.
pub(crate) fn send(
    socket: Option<&OuterSocket>,
    esp: &OutboundEsp,
    packets: &[Buffer],
    counters: &mut Counters,
    log: &Logger,
) {
    let Some(socket) = socket else {
        counters.no_socket += packets.len() as u64;
        return;
    };
    for packets in packets.chunks(MAX_PACKETS) {
        let mut parts = [IoSlice::new(&[]); MAX_PACKETS];
        let mut used = 0;
        let sealed = packets.iter().filter(|packet| !packet.is_empty());
        for (part, packet) in parts.iter_mut().zip(sealed) {
            *part = IoSlice::new(packet);
            used += 1;
        }
        let parts = parts.get(..used).unwrap_or_default();
        let result = socket.send_batch(esp.source.ip(), esp.destination, parts);
        if let Err((refused, error)) = result {
            counters.send_errors += refused as u64;
            debug!(log, "packets not sent"; "packets" => refused, "reason" => %error);
        }
    }
}

/// Writes what the coalescer has taken in of the batch to the TUN device.
pub(crate) fn write(
    tun: &Tun,
    coalescer: &mut Coalescer,
    batch: &mut [Buffer],
    counters: &mut Counters,
) {
    coalescer.for_each(batch, |parts| {
        if tun.send(parts).is_err() {
            counters.tun_errors += 1;
        }
    });
    coalescer.clear();
}

/// Writes one packet to the TUN device.
pub(crate) fn write_alone(tun: &Tun, packet: &[u8], counters: &mut Counters) {
    let header = VirtioHeader::PLAIN.emit();
    let parts = [IoSlice::new(&header), IoSlice::new(packet)];
    if tun.send(&parts).is_err() {
        counters.tun_errors += 1;
    }
}

//! What network cards do and TUN devices leave to their reader: checksums, segmentation of long TCP
//! and UDP packets, and their opposite. No I/O.
//!
//! A device that is opened with offloads hands out packets of up to 64 KiB, each with a
//! [`VirtioHeader`] that says how to cut them, and takes such packets back. The system's TCP then
//! does its work once for some forty segments, and one system call moves them all.
//!
//! | file | what |
//! |---|---|
//! | `virtio.rs` | the header, `struct virtio_net_hdr` |
//! | `segment.rs` | one long packet into many |
//! | `coalesce.rs` | many packets of a TCP connection or a UDP flow into a long one |
//! | `ip.rs` | as much of IP and TCP headers as both need |
//! | `checksum.rs` | RFC 1071 |

pub mod checksum;
pub mod coalesce;
mod ip;
pub mod segment;
pub mod virtio;

#[cfg(test)]
mod tests;

pub use coalesce::Coalescer;
pub use segment::Segments;
pub use virtio::VirtioHeader;

/// What long packets a device takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LongPackets {
    /// TCP segments.
    pub tcp: bool,
    /// UDP datagrams of one length.
    pub udp: bool,
}

/// The packet and what its header says do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

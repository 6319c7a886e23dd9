//! The TUN device of Linux: `/dev/net/tun`, `<linux/if_tun.h>`. One IP packet per read and write, which
//! may be a long one with a header that says how to cut it (offload/).
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::super::register::register;
use crate::offload::{LongPackets, VirtioHeader, virtio};

/// The device; it disappears when dropped.
#[derive(Debug)]
pub struct Tun {
    device: AsyncFd<File>,
    name: String,
    takes: LongPackets,
}

impl Tun {
    /// Makes a device with this name.
    ///
    /// # Errors
    /// The name is taken or too long, no permission, or no TUN in the system.
    pub fn open(name: &str) -> io::Result<Self> {
        Self::with_flags(name, 0)
    }

    /// Makes a device with this name for several readers, or one more queue of it: packets of a flow
    /// come to the queue that its other direction was written to.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn queue(name: &str) -> io::Result<Self> {
        Self::with_flags(name, libc::IFF_MULTI_QUEUE)
    }

    fn with_flags(name: &str, more: libc::c_int) -> io::Result<Self> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")?;
        // SAFETY: an all-zero `ifreq` is a valid one: names and integers only.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if name.is_empty() || name.len() >= request.ifr_name.len() || !name.is_ascii() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{name:?} cannot be the name of a device: 1 to 15 ASCII characters"),
            ));
        }
        for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *place = byte.cast_signed() as libc::c_char;
        }
        request.ifr_ifru.ifru_flags =
            (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | more) as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes one `ifreq`, which lives for the whole call.
        let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let takes = set_offloads(&device)?;
        Ok(Self {
            device: register(device)?,
            name: name.to_owned(),
            takes,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Packets up to 64 KiB that may be written, with headers that say how to cut them.
    pub fn takes(&self) -> LongPackets {
        self.takes
    }

    /// Waits until there is a packet.
    ///
    /// # Errors
    /// The reactor is gone.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, File>> {
        self.device.readable().await
    }

    /// Reads one packet and its header; the packet's length.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; the device is gone or down.
    pub fn receive(&self, room: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        let mut header = [0; virtio::LENGTH];
        let parts = &mut [IoSliceMut::new(&mut header), IoSliceMut::new(room)];
        let length = self.device.get_ref().read_vectored(parts)?;
        let length = length.saturating_sub(header.len());
        Ok((VirtioHeader::parse(&header), length))
    }

    /// Writes one packet, given in parts; the first is its header.
    ///
    /// # Errors
    /// The device is down or its queue is full.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.device.get_ref().write_vectored(parts).map(|_| ())
    }
}

/// Takes long packets of TCP, and of UDP where the system has that (Linux 6.2).
fn set_offloads(device: &File) -> io::Result<LongPackets> {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
    for (offloads, udp) in [(tcp | udp, true), (tcp, false)] {
        // SAFETY: TUNSETOFFLOAD takes its flags by value.
        let result = unsafe {
            libc::ioctl(
                device.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                libc::c_ulong::from(offloads),
            )
        };
        if result >= 0 {
            return Ok(LongPackets { tcp: true, udp });
        }
    }
    Err(io::Error::last_os_error())
}

//! The TUN device of Linux: `/dev/net/tun`, `<linux/if_tun.h>`, one IP packet per read and write.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::super::register::register;
use crate::buffer::Buffer;

/// The device; it disappears when dropped.
#[derive(Debug)]
pub struct Tun {
    device: AsyncFd<File>,
    name: String,
}

impl Tun {
    /// Makes a device with this name.
    ///
    /// # Errors
    /// The name is taken or too long, no permission, or no TUN in the system.
    pub fn open(name: &str) -> io::Result<Self> {
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
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes one `ifreq`, which lives for the whole call.
        let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            device: register(device)?,
            name: name.to_owned(),
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until there is a packet.
    ///
    /// # Errors
    /// The reactor is gone.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, File>> {
        self.device.readable().await
    }

    /// Reads one packet into the buffer.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; the device is gone or down.
    pub fn receive(&self, buffer: &mut Buffer) -> io::Result<()> {
        let length = self.device.get_ref().read(buffer.receive_room())?;
        buffer.set_len(length);
        Ok(())
    }

    /// Writes one packet.
    ///
    /// # Errors
    /// The device is down or its queue is full.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.device.get_ref().write(packet).map(|_| ())
    }
}

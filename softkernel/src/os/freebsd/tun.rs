//! The TUN device of FreeBSD: tun(4), `<net/if_tun.h>`, one IP packet behind its address family per
//! read and write.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libc::{c_int, c_ulong};
use tanuki_daemon::interface::Interface;
use tanuki_daemon::kernel_module;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::super::register::register;
use crate::offload::{LongPackets, VirtioHeader};

/// `_IOR('t', 93, struct ifreq)`.
const TUNGIFNAME: c_ulong = 0x4020_745d;
/// `_IOW('t', 94, int)`.
const TUNSIFMODE: c_ulong = 0x8004_745e;
/// `_IOW('t', 96, int)`.
const TUNSIFHEAD: c_ulong = 0x8004_7460;
/// A new device each time it is opened.
const CLONING: &str = "/dev/tun";
const MODULE: &str = "if_tuntap";
/// The address family before a packet, network order.
const FAMILY: usize = 4;

/// The device; it disappears when dropped.
#[derive(Debug)]
pub struct Tun {
    // Dropped before what follows: an open device cannot be destroyed.
    device: AsyncFd<File>,
    interface: Destroyed,
}

/// Destroys an interface when dropped.
#[derive(Debug)]
struct Destroyed(Interface);

impl Drop for Destroyed {
    fn drop(&mut self) {
        // Gone already is as good as destroyed.
        let _ = self.0.destroy();
    }
}

impl Tun {
    /// Makes a device with this name, or takes over what a killed process left of it.
    ///
    /// # Errors
    /// The name is taken or too long, no permission, or no tun(4) in the system.
    pub fn open(name: &str) -> io::Result<Self> {
        let device = match Interface::open(name) {
            // The system names the special file after the interface, if no other jail has done so.
            Ok(_) => open(&Path::new("/dev").join(name)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => io::ErrorKind::AlreadyExists.into(),
                _ => error,
            })?,
            Err(_) => open_new()?,
        };
        let mut interface = Interface::open(&name_of(&device)?)?;
        let renamed = match interface.name() == name {
            true => Ok(()),
            false => interface.rename(name),
        };
        let tun = Self {
            device: register(device)?,
            interface: Destroyed(interface),
        };
        renamed?;
        // Addresses of its own with a route for each peer, no pairs: sessions share one address.
        tun.set(TUNSIFMODE, libc::IFF_BROADCAST)?;
        tun.set(TUNSIFHEAD, 1)?;
        Ok(tun)
    }

    /// One queue is all there is.
    ///
    /// # Errors
    /// Always.
    pub fn queue(_: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.interface.0.name()
    }

    /// tun(4) takes no packets longer than its MTU.
    pub fn takes(&self) -> LongPackets {
        LongPackets::default()
    }

    /// Waits until there is a packet.
    ///
    /// # Errors
    /// The reactor is gone.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, File>> {
        self.device.readable().await
    }

    /// Reads one packet; its length. Nothing is left to be cut or completed.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; the device is gone.
    pub fn receive(&self, room: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        let mut family = [0; FAMILY];
        let parts = &mut [IoSliceMut::new(&mut family), IoSliceMut::new(room)];
        let length = match self.device.get_ref().read_vectored(parts) {
            // Not up before its first address.
            Err(error) if error.raw_os_error() == Some(libc::EHOSTDOWN) => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            result => result?,
        };
        Ok((VirtioHeader::PLAIN, length.saturating_sub(FAMILY)))
    }

    /// Writes one packet, given in two parts: its offload header, which says nothing here, and the
    /// packet.
    ///
    /// # Errors
    /// Its queue is full; the packet is no IP packet.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let [_, packet] = parts else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let family = match packet.first().map(|first| first >> 4) {
            Some(4) => libc::AF_INET,
            Some(6) => libc::AF_INET6,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let family = family.to_be_bytes();
        let parts = [IoSlice::new(&family), IoSlice::new(packet)];
        self.device.get_ref().write_vectored(&parts).map(|_| ())
    }

    fn set(&self, request: c_ulong, value: c_int) -> io::Result<()> {
        let device = self.device.get_ref();
        // SAFETY: both requests read one integer, which lives for the whole call.
        let result = unsafe { libc::ioctl(device.as_raw_fd(), request, &raw const value) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// A new device, with the module that makes them if need be.
fn open_new() -> io::Result<File> {
    let path = Path::new(CLONING);
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            kernel_module::load(MODULE)?;
            open(path)
        }
        result => result,
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

fn name_of(device: &File) -> io::Result<String> {
    // SAFETY: an all-zero `ifreq` is a valid one: names and integers only.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: TUNGIFNAME writes one `ifreq`, which lives for the whole call.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), TUNGIFNAME, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let name = request.ifr_name.iter().map(|&byte| byte.cast_unsigned());
    let name = name.take_while(|&byte| byte != 0).collect();
    String::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData.into())
}

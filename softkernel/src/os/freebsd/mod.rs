//! FreeBSD 14 and later.

mod batch;
pub mod host;
pub(super) mod ip;
pub(super) mod steer;
pub mod tun;

use std::io;

/// How the devices may be had.
pub const PRIVILEGE: &str =
    "run as root; in a jail, with vnet, allow.raw_sockets and tun* shown by devfs.rules";
/// What is missing when there is no TUN device.
pub const NO_TUN: &str = "see sysctl net.link.tun.devfs_cloning, and devfs.rules in a jail";

/// Whether raw sockets get the ESP packets of this host. A kernel with IPsec keeps them all for
/// itself.
///
/// # Errors
/// No privilege to find out.
pub fn esp_reaches_sockets() -> io::Result<bool> {
    match pfkey::Socket::open_system() {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Err(_) => Ok(true),
    }
}

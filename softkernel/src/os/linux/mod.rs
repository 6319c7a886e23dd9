//! Linux.

mod batch;
pub mod host;
pub(super) mod ip;
pub(super) mod steer;
pub mod tun;

use std::io;

/// How the devices may be had.
pub const PRIVILEGE: &str = "run as root, or with CAP_NET_ADMIN and CAP_NET_RAW";
/// What is missing when there is no TUN device.
pub const NO_TUN: &str = "modprobe tun; in a container, pass /dev/net/tun in";

/// Whether raw sockets get the ESP packets of this host. Here they get a copy, whatever else takes
/// them.
///
/// # Errors
/// Never.
pub fn esp_reaches_sockets() -> io::Result<bool> {
    Ok(true)
}

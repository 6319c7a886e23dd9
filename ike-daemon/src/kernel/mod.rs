//! The kernels that take the SAs: PF_KEYv2 over the system's socket, softkernel's, or both.
//!
//! * [`translate`]: between the core's requests and messages, without I/O
//! * [`link`]: the socket, kept open
//! * [`audit`]: SAs the core believes in against SAs the kernel has
//! * [`ownership`]: what of the system is ours
//! * [`abilities`]: what the system's kernel can do
//! * `freebsd`, `linux`: what only the system knows

pub mod abilities;
pub mod audit;
pub mod link;
pub mod ownership;
pub mod translate;

#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod os;
#[cfg(not(target_os = "freebsd"))]
#[path = "linux.rs"]
mod os;

use std::path::{Path, PathBuf};

use ike_proto::carrier::Carrier;
use tanuki_daemon::exit::{self, Failure};

pub use audit::{Audit, Known, Orphan};
pub use link::{KernelSocket, Link, LinkEvent};
pub use os::oldest_first;
pub use ownership::Ownership;
pub use translate::{Outcome, Translator};

use crate::config::KernelChoice;

/// softkernel's folder below the runtime folder.
const SOFTKERNEL: &str = "softkernel";

/// The kernels that `choice` means here, the preferred one first, with softkernel's sockets below
/// `runtime_dir`. softkernel may come and go beside the system's kernel.
pub fn choose(
    choice: KernelChoice,
    runtime_dir: &Path,
    stand_in: Option<&Path>,
) -> Vec<(Carrier, KernelSocket)> {
    let socket = runtime_dir.join(SOFTKERNEL).join("pfkey.sock");
    let soft = (Carrier::Soft, KernelSocket::Soft(socket));
    let system = match stand_in {
        None => KernelSocket::System,
        Some(path) => KernelSocket::Soft(path.to_owned()),
    };
    match choice {
        KernelChoice::Soft => vec![soft],
        KernelChoice::System => vec![(Carrier::System, system), soft],
        KernelChoice::Auto if os::system_has_both() => vec![(Carrier::System, system), soft],
        KernelChoice::Auto => vec![soft],
    }
}

/// softkernel's `udp.sock`.
pub fn udp_socket(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join(SOFTKERNEL).join("udp.sock")
}

/// Whether the system's PF_KEY can be had at all.
///
/// # Errors
/// Why not, and what to do about it.
pub fn check_system() -> Result<(), Failure> {
    let Err(error) = pfkey::Socket::open_system() else {
        return Ok(());
    };
    let (code, remedy) = match error.raw_os_error() {
        _ if os::is_jail_without_network() => (
            exit::NO_PERMISSION,
            "this jail has no network stack of its own: give it one (`vnet;` in jail.conf), or set \
             `kernel: soft`",
        ),
        Some(libc::EPERM | libc::EACCES) => (exit::NO_PERMISSION, "start as root"),
        Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::ESOCKTNOSUPPORT) => {
            (exit::UNAVAILABLE, os::NO_PF_KEY)
        }
        _ => (exit::OS, "see the kernel's log"),
    };
    Err(Failure::new(code, format!("PF_KEY: {error}; {remedy}")))
}

//! The kernel that takes the SAs: PF_KEYv2 over the system's socket or softkernel's.
//!
//! * [`translate`]: between the core's requests and messages, without I/O
//! * [`link`]: the socket, kept open
//! * [`audit`]: SAs the core believes in against SAs the kernel has

pub mod audit;
pub mod link;
pub mod translate;

use std::path::Path;

pub use audit::{Audit, Known};
pub use link::{KernelSocket, Link, LinkEvent};
pub use translate::{Outcome, Translator};

use crate::config::KernelChoice;

/// softkernel's folder below the runtime folder.
const SOFTKERNEL: &str = "softkernel";

/// The kernel that `choice` means here, with softkernel's sockets below `runtime_dir`.
pub fn choose(choice: KernelChoice, runtime_dir: &Path) -> KernelSocket {
    let soft = KernelSocket::Soft(runtime_dir.join(SOFTKERNEL).join("pfkey.sock"));
    match choice {
        KernelChoice::Soft => soft,
        KernelChoice::System => KernelSocket::System,
        KernelChoice::Auto if system_has_both() => KernelSocket::System,
        KernelChoice::Auto => soft,
    }
}

/// softkernel's `udp.sock`.
pub fn udp_socket(runtime_dir: &Path) -> std::path::PathBuf {
    runtime_dir.join(SOFTKERNEL).join("udp.sock")
}

/// PF_KEY for us and netgraph for l2tpd: with only one of them the daemons would talk to different
/// kernels.
#[cfg(target_os = "freebsd")]
fn system_has_both() -> bool {
    use socket2::{Domain, Protocol, Socket, Type};
    /// `AF_NETGRAPH` of sys/socket.h.
    const AF_NETGRAPH: i32 = 32;
    /// `NG_CONTROL` of netgraph/ng_socket.h.
    const NG_CONTROL: i32 = 2;
    let netgraph = Socket::new(
        Domain::from(AF_NETGRAPH),
        Type::DGRAM,
        Some(Protocol::from(NG_CONTROL)),
    );
    pfkey::Socket::open_system().is_ok() && netgraph.is_ok()
}

#[cfg(not(target_os = "freebsd"))]
fn system_has_both() -> bool {
    false
}

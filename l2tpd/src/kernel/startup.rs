//! Which kernels carry the packets, and whether they can: what is missing is said at once, with
//! what the operator can do.

use std::io;
use std::path::Path;
use std::time::Duration;

use l2tp_proto::KernelId;
use netgraph::Netgraph;
use netgraph::generic::GetNodeInfo;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::kernel_module;

use super::connection::KernelKind;
use super::names;
use super::protection::{PfkeySocket, ProtectionError};
use crate::config::KernelChoice;

/// For a process that hands over to us to be gone.
const HANDOVER: Duration = Duration::from_secs(5);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(100);

/// The kernels of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// How each is spoken to; our own connections go through the first.
    pub kernels: Vec<(KernelId, KernelKind)>,
    /// Where the policies are set that a system kernel needs to keep clear text out.
    pub pfkey: Option<PfkeySocket>,
}

/// Decides which kernels to use. `auto` takes the system's if it has netgraph and PF_KEY, as
/// ike-daemon does; softkernel stands beside it for clients that it cannot carry.
///
/// # Errors
/// The system's is asked for and cannot be used.
pub async fn choose(choice: KernelChoice, runtime_dir: &Path) -> Result<Chosen, Failure> {
    let folder = runtime_dir.join("softkernel");
    let soft = KernelKind::Soft {
        netgraph: folder.join("netgraph.sock"),
        udp: folder.join("udp.sock"),
    };
    let system = match choice {
        KernelChoice::Soft => false,
        KernelChoice::System => {
            usable(Netgraph::open_system, &NETGRAPH)?;
            usable(|| PfkeySocket::System.open(), &PFKEY)?;
            true
        }
        KernelChoice::Auto => Netgraph::open_system().is_ok() && PfkeySocket::System.open().is_ok(),
    };
    let mut kernels = Vec::new();
    if system {
        alone().await?;
        kernels.push((KernelId::System, KernelKind::System));
    }
    kernels.push((KernelId::Soft, soft));
    Ok(Chosen {
        kernels,
        pfkey: system.then_some(PfkeySocket::System),
    })
}

/// An interface of FreeBSD's kernel.
struct Interface {
    name: &'static str,
    module: &'static str,
    options: &'static str,
}

const NETGRAPH: Interface = Interface {
    name: "netgraph",
    module: "ng_socket",
    options: "NETGRAPH",
};
const PFKEY: Interface = Interface {
    name: "IPsec (PF_KEY)",
    module: "ipsec",
    options: "IPSEC",
};

/// Opens an interface for a try, with its module loaded if need be.
fn usable<T>(open: impl Fn() -> io::Result<T>, interface: &Interface) -> Result<(), Failure> {
    let Err(error) = open() else { return Ok(()) };
    let error = if is_missing(&error) {
        match kernel_module::load(interface.module) {
            Ok(()) => match open() {
                Ok(_) => return Ok(()),
                Err(error) => error,
            },
            Err(reason) => return Err(missing(interface, &reason)),
        }
    } else {
        error
    };
    Err(refused(interface.name, &error))
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || matches!(
            error.raw_os_error(),
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::EPFNOSUPPORT)
        )
}

fn missing(interface: &Interface, reason: &io::Error) -> Failure {
    let Interface {
        name,
        module,
        options,
    } = interface;
    let code = match reason.kind() {
        io::ErrorKind::PermissionDenied => exit::NO_PERMISSION,
        _ => exit::UNAVAILABLE,
    };
    Failure::new(
        code,
        format!(
            "`kernel: system`: this kernel has no {name}, and module {module} could not be loaded \
             ({reason}); as root of the host, not of a jail, run `kldload {module}` or build the \
             kernel with `options {options}`; or say `kernel: soft` and start softkernel"
        ),
    )
}

fn refused(name: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => exit::NO_PERMISSION,
        _ => exit::UNAVAILABLE,
    };
    Failure::new(
        code,
        format!(
            "`kernel: system`: {name} cannot be used: {error}; run as root, and in a jail give it \
             a network stack of its own (`vnet`, see jail(8))"
        ),
    )
}

impl ProtectionError {
    /// With what the operator can do.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Socket(error) => refused(PFKEY.name, error),
            Self::Open(..) => Failure::new(exit::CONFIG, self),
            Self::Refused { .. } | Self::NoAnswer(_) => Failure::new(
                exit::UNAVAILABLE,
                format!("L2TP in clear text cannot be kept out: {self}"),
            ),
        }
    }
}

/// Another l2tpd on this kernel would take our nodes for its orphans, and we its.
async fn alone() -> Result<(), Failure> {
    let os = |error: io::Error| Failure::new(exit::OS, format!("netgraph: {error}"));
    let mut netgraph = Netgraph::open_system().map_err(os)?;
    let other = format!("{}:", names::DAEMON);
    let gone = async {
        while netgraph.call(&other, &GetNodeInfo).await.is_ok() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(HANDOVER, gone).await.map_err(|_| {
        Failure::new(
            exit::TEMPORARY,
            format!(
                "another l2tpd uses this kernel (`ngctl show {other}`); stop it first, or give \
                 each a jail with a network stack of its own"
            ),
        )
    })
}

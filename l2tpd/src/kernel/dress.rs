//! Name, group, description and ARP of FreeBSD's interfaces, by ifconfig(8) and arp(8) of the base
//! system, executed directly.

use std::net::Ipv4Addr;
use std::time::Duration;

use tanuki_daemon::hook::{Hook, HookRunner};

use crate::server::{InterfaceSetup, KernelError};

const IFCONFIG: &str = "/sbin/ifconfig";
const ARP: &str = "/usr/sbin/arp";
/// They talk to the kernel only.
const LIMIT: Duration = Duration::from_secs(5);

/// Gives the interface another name and a group; its name then.
///
/// # Errors
/// The program failed. What a firewall knows the interface by must be there.
pub(super) async fn name(
    interface: String,
    name: Option<&str>,
    group: Option<&str>,
) -> Result<String, KernelError> {
    if let Some(group) = group {
        run(IFCONFIG, &[&interface, "group", group]).await?;
    }
    match name {
        Some(name) if name != interface => {
            run(IFCONFIG, &[&interface, "name", name]).await?;
            Ok(name.to_owned())
        }
        _ => Ok(interface),
    }
}

/// Describes the interface.
///
/// # Errors
/// The program failed.
pub(super) async fn describe(setup: &InterfaceSetup) -> Result<(), KernelError> {
    match &setup.description {
        None => Ok(()),
        Some(text) => run(IFCONFIG, &[&setup.interface, "description", text]).await,
    }
}

/// Answers ARP requests for an address on the interface whose network it belongs to, or stops that.
///
/// # Errors
/// The program failed: there may be no such interface, or nothing to stop.
pub(super) async fn proxy_arp(address: Ipv4Addr, answer: bool) -> Result<(), KernelError> {
    let address = address.to_string();
    if answer {
        run(ARP, &["-S", &address, "auto", "pub"]).await
    } else {
        // FreeBSD 14's refuses the `pub` of its manual page here.
        run(ARP, &["-d", &address]).await
    }
}

async fn run(program: &str, arguments: &[&str]) -> Result<(), KernelError> {
    let hook = Hook {
        program: program.into(),
        arguments: arguments.iter().map(ToString::to_string).collect(),
        environment: Vec::new(),
    };
    let done = HookRunner::new(1, LIMIT).run(hook).await;
    done.map_err(|error| KernelError::Refused {
        request: format!("{program} {}", arguments.join(" ")),
        reason: error.to_string(),
        errno: 0,
    })
}

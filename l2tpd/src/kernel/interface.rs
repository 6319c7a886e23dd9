//! MTU, addresses and routes of a session's `ngN` on FreeBSD.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use tanuki_daemon::interface::{Gateway, Interface, Route};

use crate::server::InterfaceSetup;

/// Sets MTU, addresses and routes.
///
/// # Errors
/// What the system says; `Unsupported` on systems without `ngN`.
pub(super) fn configure(setup: &InterfaceSetup) -> io::Result<()> {
    let interface = Interface::open(&setup.interface)?;
    interface.set_mtu(setup.mtu.into())?;
    for &(local, peer) in &setup.addresses {
        interface.add_address(local, Some(peer))?;
        for network in setup.routes.iter().filter(|route| same_family(route, peer)) {
            let route = Route {
                network: network.network(),
                prefix: network.prefix_len(),
                gateway: Gateway::Address(peer),
                source: None,
                mtu: None,
            };
            match interface.add_route(&route) {
                // Set when the protocol opened the first time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result?,
            }
        }
    }
    Ok(())
}

fn same_family(route: &IpNet, peer: IpAddr) -> bool {
    route.network().is_ipv4() == peer.is_ipv4()
}

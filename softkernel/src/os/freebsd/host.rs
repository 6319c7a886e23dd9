//! Addresses, MTU and routes of the device.

use std::io;

use netgraph::node::soft_iface::Network;
use tanuki_daemon::interface::{Gateway, Interface, Route};

use crate::graph::HostChange;

/// One device's settings.
#[derive(Debug)]
pub struct Host(Interface);

impl Host {
    /// For the device with this name.
    ///
    /// # Errors
    /// No such device.
    pub fn open(device: &str) -> io::Result<Self> {
        Interface::open(device).map(Self)
    }

    /// Sets the MTU. The device is up with its first address.
    ///
    /// # Errors
    /// Refused by the kernel.
    pub fn up(&mut self, mtu: u32) -> io::Result<()> {
        self.0.set_mtu(mtu)
    }

    /// Makes one change.
    ///
    /// # Errors
    /// Refused by the kernel.
    pub fn apply(&mut self, change: &HostChange) -> io::Result<()> {
        match *change {
            HostChange::AddAddress(address) => self.0.add_address(address, None),
            HostChange::RemoveAddress(address) => self.0.remove_address(address),
            HostChange::SetRoute {
                network,
                source,
                mtu,
            } => self.0.set_route(&Route {
                source,
                mtu: Some(mtu),
                ..route(network)
            }),
            HostChange::RemoveRoute(network) => self.0.remove_route(&route(network)),
            // net.inet6.ip6.accept_rtadv is the system's own switch for new interfaces, off as it
            // comes.
            HostChange::AcceptAdvertisements(_) => Ok(()),
        }
    }
}

fn route(network: Network) -> Route {
    Route {
        network: network.address,
        prefix: network.prefix,
        gateway: Gateway::Interface,
        source: None,
        mtu: None,
    }
}

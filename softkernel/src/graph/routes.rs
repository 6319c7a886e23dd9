//! Which interface leads to an address: longest prefix first. Also what of it the operating
//! system has to know.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netgraph::Errno;
use netgraph::node::soft_iface::Network;

use super::NodeId;
use crate::table::Table;

/// A change of the TUN device's addresses and of the system's routes, to be made in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostChange {
    /// Give the device this address.
    AddAddress(IpAddr),
    /// Take it away.
    RemoveAddress(IpAddr),
    /// Lead this network to the device; replaces an earlier one for the same network.
    SetRoute {
        /// The network.
        network: Network,
        /// Preferred source address.
        source: Option<IpAddr>,
        /// Largest packet, octets.
        mtu: u32,
    },
    /// Remove the route.
    RemoveRoute(Network),
    /// Make addresses of router advertisements that come by the device, or stop that.
    AcceptAdvertisements(bool),
}

/// The routes of all interfaces.
#[derive(Debug, Default)]
pub(super) struct Routes {
    table: Table<(u8, IpAddr), NodeId>,
    /// How many routes of each prefix length there are, longest first.
    lengths_v4: Vec<(u8, usize)>,
    lengths_v6: Vec<(u8, usize)>,
    /// How many interfaces have this local address.
    locals: Table<IpAddr, usize>,
    /// Interfaces whose peer is a router.
    routers: BTreeSet<NodeId>,
    changes: VecDeque<HostChange>,
}

impl Routes {
    pub(super) fn add(
        &mut self,
        network: Network,
        node: NodeId,
        source: Option<IpAddr>,
        mtu: u32,
    ) -> Result<(), Errno> {
        let key = key_of(&network);
        if self.table.contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        self.table.insert(key, node);
        let lengths = self.lengths(network.address);
        match lengths
            .iter_mut()
            .find(|(length, _)| *length == network.prefix)
        {
            Some((_, count)) => *count += 1,
            None => {
                lengths.push((network.prefix, 1));
                lengths.sort_unstable_by(|a, b| b.cmp(a));
            }
        }
        self.announce(network, node, source, mtu);
        Ok(())
    }

    /// Tells the system again, after a change of source or MTU.
    pub(super) fn announce(
        &mut self,
        network: Network,
        node: NodeId,
        source: Option<IpAddr>,
        mtu: u32,
    ) {
        if self.table.get(&key_of(&network)) != Some(&node) {
            return;
        }
        let source = source.filter(|source| source.is_ipv4() == network.address.is_ipv4());
        let network = masked(network);
        self.changes.push_back(HostChange::SetRoute {
            network,
            source,
            mtu,
        });
    }

    pub(super) fn remove(&mut self, network: Network, node: NodeId) -> Result<(), Errno> {
        let key = key_of(&network);
        if self.table.get(&key) != Some(&node) {
            return Err(Errno::ENOENT);
        }
        self.table.remove(&key);
        let lengths = self.lengths(network.address);
        for (length, count) in lengths.iter_mut() {
            if *length == network.prefix {
                *count -= 1;
            }
        }
        lengths.retain(|(_, count)| *count > 0);
        self.changes
            .push_back(HostChange::RemoveRoute(masked(network)));
        Ok(())
    }

    pub(super) fn add_local(&mut self, address: IpAddr) {
        let count = self.locals.entry(address).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.changes.push_back(HostChange::AddAddress(address));
        }
    }

    pub(super) fn remove_local(&mut self, address: IpAddr) {
        if let Some(count) = self.locals.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.locals.remove(&address);
                self.changes.push_back(HostChange::RemoveAddress(address));
            }
        }
    }

    /// The device is one for all interfaces: it accepts while one of them wants it.
    pub(super) fn accept_advertisements(&mut self, node: NodeId, on: bool) {
        let before = self.routers.is_empty();
        if on {
            self.routers.insert(node);
        } else {
            self.routers.remove(&node);
        }
        if before != self.routers.is_empty() {
            self.changes
                .push_back(HostChange::AcceptAdvertisements(before));
        }
    }

    pub(super) fn lookup(&self, destination: IpAddr) -> Option<NodeId> {
        let lengths = match destination {
            IpAddr::V4(_) => &self.lengths_v4,
            IpAddr::V6(_) => &self.lengths_v6,
        };
        let found = |&(length, _): &(u8, usize)| {
            self.table
                .get(&(length, mask(destination, length)))
                .copied()
        };
        lengths.iter().find_map(found)
    }

    pub(super) fn poll_change(&mut self) -> Option<HostChange> {
        self.changes.pop_front()
    }

    fn lengths(&mut self, address: IpAddr) -> &mut Vec<(u8, usize)> {
        if address.is_ipv4() {
            &mut self.lengths_v4
        } else {
            &mut self.lengths_v6
        }
    }
}

/// The network of one address.
pub(super) fn host(address: IpAddr) -> Network {
    Network {
        address,
        prefix: if address.is_ipv4() { 32 } else { 128 },
    }
}

/// Whether the network contains the address.
pub(crate) fn covers(network: &Network, address: IpAddr) -> bool {
    network.address.is_ipv4() == address.is_ipv4()
        && mask(network.address, network.prefix) == mask(address, network.prefix)
}

fn masked(network: Network) -> Network {
    Network {
        address: mask(network.address, network.prefix),
        ..network
    }
}

fn key_of(network: &Network) -> (u8, IpAddr) {
    (network.prefix, mask(network.address, network.prefix))
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let host_bits = 32u32.saturating_sub(prefix.into());
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let host_bits = 128u32.saturating_sub(prefix.into());
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        let (address, prefix) = text.split_once('/').unwrap();
        Network {
            address: address.parse().unwrap(),
            prefix: prefix.parse().unwrap(),
        }
    }

    #[test]
    fn the_longest_prefix_wins_until_it_is_removed() {
        let mut routes = Routes::default();
        let (a, b, c) = (NodeId(1), NodeId(2), NodeId(3));
        routes.add(network("0.0.0.0/0"), a, None, 1400).unwrap();
        routes.add(network("10.1.0.0/16"), b, None, 1400).unwrap();
        routes.add(network("10.1.2.3/32"), c, None, 1400).unwrap();
        assert_eq!(
            routes.add(network("10.1.9.9/16"), c, None, 1400),
            Err(Errno::EEXIST)
        );
        let find = |routes: &Routes, text: &str| routes.lookup(text.parse().unwrap());
        assert_eq!(find(&routes, "10.1.2.3"), Some(c));
        assert_eq!(find(&routes, "10.1.2.4"), Some(b));
        assert_eq!(find(&routes, "192.0.2.1"), Some(a));
        assert_eq!(find(&routes, "2001:db8::1"), None);
        assert_eq!(routes.remove(network("10.1.2.3/32"), a), Err(Errno::ENOENT));
        routes.remove(network("10.1.2.3/32"), c).unwrap();
        assert_eq!(find(&routes, "10.1.2.3"), Some(b));
        routes.remove(network("0.0.0.0/0"), a).unwrap();
        assert_eq!(find(&routes, "192.0.2.1"), None);
        routes.add(network("2001:db8::/56"), a, None, 1400).unwrap();
        assert_eq!(find(&routes, "2001:db8:0:ff::1"), Some(a));
        assert_eq!(find(&routes, "2001:db8:0:100::1"), None);
    }

    #[test]
    fn a_shared_local_address_stays_until_its_last_user_goes() {
        let mut routes = Routes::default();
        let local = "10.0.0.1".parse().unwrap();
        routes.add_local(local);
        routes.add_local(local);
        assert_eq!(routes.poll_change(), Some(HostChange::AddAddress(local)));
        assert_eq!(routes.poll_change(), None);
        routes.remove_local(local);
        assert_eq!(routes.poll_change(), None);
        routes.remove_local(local);
        assert_eq!(routes.poll_change(), Some(HostChange::RemoveAddress(local)));
    }
}

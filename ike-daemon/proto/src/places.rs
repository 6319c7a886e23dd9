//! Where every pair of IPsec SAs is: which kernel, and what that kernel tells its client by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::carrier::{Carrier, PeerPort, SharedPort};
use crate::io::{ChildId, Reqid};
use crate::wire::id::Identification;

/// Where a pair of IPsec SAs is, or will be.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) reqid: Reqid,
    pub(crate) carrier: Carrier,
    /// Present when softkernel must be given this client's packets by a socket of their own.
    pub(crate) port: Option<PeerPort>,
    /// What the system's kernel tells its clients apart by, in transport mode behind NAT.
    pub(crate) inner: Option<Inner>,
}

/// A client's end of the traffic inside ESP transport mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inner {
    /// UDP port, 0 when it does not say.
    pub(crate) port: u16,
    /// Its address before translation, if it told.
    pub(crate) original: Option<IpAddr>,
    /// Who it is.
    pub(crate) identity: Identification,
}

/// A change of what softkernel must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortChange {
    /// The first pair at this port.
    Bind(PeerPort),
    /// The last one is gone.
    Release(PeerPort),
}

/// Where all pairs of IPsec SAs are, those under negotiation included.
#[derive(Debug, Default)]
pub(crate) struct Places {
    places: BTreeMap<(IpAddr, ChildId), Place>,
    addresses: BTreeMap<ChildId, IpAddr>,
    ports: BTreeMap<PeerPort, usize>,
}

impl Places {
    /// A pair of the peer at `address` has its place.
    pub(crate) fn insert(
        &mut self,
        address: IpAddr,
        child: ChildId,
        place: Place,
    ) -> Option<PortChange> {
        let port = place.port;
        self.addresses.insert(child, address);
        self.places.insert((address, child), place);
        let port = port?;
        let users = self.ports.entry(port).or_default();
        *users = users.saturating_add(1);
        (*users == 1).then_some(PortChange::Bind(port))
    }

    /// A pair is gone.
    pub(crate) fn remove(&mut self, child: ChildId) -> (Option<Place>, Option<PortChange>) {
        let place = self
            .addresses
            .remove(&child)
            .and_then(|address| self.places.remove(&(address, child)));
        let port = place.as_ref().and_then(|place| place.port);
        let change = port.and_then(|port| {
            let users = self.ports.get_mut(&port)?;
            *users = users.saturating_sub(1);
            (*users == 0).then(|| {
                self.ports.remove(&port);
                PortChange::Release(port)
            })
        });
        (place, change)
    }

    pub(crate) fn get(&self, child: ChildId) -> Option<&Place> {
        let address = self.addresses.get(&child)?;
        self.places.get(&(*address, child))
    }

    /// Where the present pairs of a client are.
    pub(crate) fn of_client(&self, address: IpAddr, reqid: Reqid) -> Option<Carrier> {
        self.at(address)
            .find(|place| place.reqid == reqid)
            .map(|place| place.carrier)
    }

    /// Whether the system's kernel could not tell this client from another one at the same
    /// address: it uses the same port inside, or one of them does not say which it uses.
    pub(crate) fn shared(
        &self,
        address: IpAddr,
        reqid: Reqid,
        inner: &Inner,
    ) -> Option<SharedPort> {
        let others = self
            .at(address)
            .filter(|place| place.reqid != reqid && place.carrier == Carrier::System)
            .filter_map(|place| place.inner.as_ref())
            .filter(|other| other.port == inner.port || other.port == 0 || inner.port == 0);
        others
            .map(|other| {
                other.original != inner.original || !other.identity.matches(&inner.identity)
            })
            .reduce(|a, b| a || b)
            .map(|other_host| SharedPort {
                port: inner.port,
                other_host,
            })
    }

    /// The clients at this address.
    pub(crate) fn clients(&self, address: IpAddr) -> BTreeSet<Reqid> {
        self.at(address).map(|place| place.reqid).collect()
    }

    /// Whether softkernel, beside the system's kernel, has clients at this address.
    pub(crate) fn has_bound(&self, address: IpAddr) -> bool {
        self.at(address).any(|place| place.port.is_some())
    }

    /// The clients whose packets softkernel is given by a socket connected to `peer`.
    pub(crate) fn bound_to(&self, peer: SocketAddr) -> BTreeSet<Reqid> {
        self.at(peer.ip())
            .filter(|place| place.port.is_some_and(|port| port.peer == peer))
            .map(|place| place.reqid)
            .collect()
    }

    fn at(&self, address: IpAddr) -> impl Iterator<Item = &Place> {
        let all = (address, ChildId(0))..=(address, ChildId(u64::MAX));
        self.places.range(all).map(|(_, place)| place)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_bound_once_and_released_with_its_last_user() {
        let address: IpAddr = "198.51.100.7".parse().unwrap();
        let port = PeerPort {
            local: "203.0.113.1:4500".parse().unwrap(),
            peer: (address, 61_000).into(),
        };
        let place = Place {
            reqid: Reqid(1),
            carrier: Carrier::Soft,
            port: Some(port),
            inner: Some(inner(1701, "192.168.1.5")),
        };
        let mut places = Places::default();
        assert_eq!(
            places.insert(address, ChildId(1), place.clone()),
            Some(PortChange::Bind(port))
        );
        assert_eq!(places.insert(address, ChildId(2), place), None);
        assert_eq!(places.of_client(address, Reqid(1)), Some(Carrier::Soft));
        assert_eq!(places.remove(ChildId(1)).1, None);
        assert_eq!(places.remove(ChildId(2)).1, Some(PortChange::Release(port)));
        assert!(places.remove(ChildId(2)).0.is_none());
        assert_eq!(places.len(), 0);
    }

    fn inner(port: u16, original: &str) -> Inner {
        Inner {
            port,
            original: Some(original.parse().unwrap()),
            identity: Identification::from_address(original.parse().unwrap()),
        }
    }

    #[test]
    fn only_what_the_system_could_confuse_is_shared() {
        let address: IpAddr = "198.51.100.7".parse().unwrap();
        let mut places = Places::default();
        let place = |reqid, carrier, port| Place {
            reqid: Reqid(reqid),
            carrier,
            port: None,
            inner: Some(inner(port, "192.168.1.5")),
        };
        places.insert(address, ChildId(1), place(1, Carrier::System, 1701));
        places.insert(address, ChildId(2), place(2, Carrier::Soft, 40_000));
        let shared = |at, reqid, port, original| {
            let shared = places.shared(at, Reqid(reqid), &inner(port, original));
            shared.map(|shared| shared.other_host)
        };
        assert_eq!(shared(address, 3, 1701, "192.168.1.6"), Some(true));
        assert_eq!(shared(address, 3, 1701, "192.168.1.5"), Some(false));
        assert_eq!(shared(address, 3, 0, "192.168.1.6"), Some(true));
        assert_eq!(shared(address, 1, 1701, "192.168.1.5"), None);
        assert_eq!(shared(address, 3, 40_000, "192.168.1.6"), None);
        let elsewhere = "198.51.100.8".parse().unwrap();
        assert_eq!(shared(elsewhere, 3, 1701, "192.168.1.6"), None);
    }
}

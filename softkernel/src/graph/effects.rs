//! What messages to `ksocket` and `iface` nodes change around them: who receives datagrams, which
//! interface leads where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netgraph::Errno;
use netgraph::node::soft_iface::{AddressPair, Network};

use super::iface::{self, IfaceNode};
use super::ksocket::{self, KsocketNode};
use super::routes::host;
use super::{Graph, Kind, Node, NodeId};

/// Ports given to sockets that do not ask for one.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

impl Graph {
    pub(super) fn ksocket_request(
        &mut self,
        id: NodeId,
        request: ksocket::Request,
    ) -> Result<(), Errno> {
        match request {
            ksocket::Request::Bind(local) => self.bind(id, local),
            ksocket::Request::Connect(peer) => {
                let local = self.ksocket(id).and_then(KsocketNode::local);
                let unspecified: IpAddr = match peer {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let local = local.unwrap_or(SocketAddr::new(unspecified, 0));
                let ip = match local.ip() {
                    ip if ip.is_unspecified() => {
                        (self.source_for)(peer.ip()).ok_or(Errno::ENETUNREACH)?
                    }
                    ip => ip,
                };
                self.bind(id, SocketAddr::new(ip, local.port()))?;
                if let Some(socket) = self.ksocket_mut(id) {
                    socket.set_peer(Some(peer));
                }
                self.register(id).inspect_err(|_| {
                    if let Some(socket) = self.ksocket_mut(id) {
                        socket.set_peer(None);
                    }
                })
            }
            ksocket::Request::SetPolicy => self.register(id),
        }
    }

    pub(super) fn iface_request(
        &mut self,
        id: NodeId,
        request: iface::Request,
    ) -> Result<(), Errno> {
        match request {
            iface::Request::SetAddress(pair) => self.set_address(id, pair),
            iface::Request::SetMtu(mtu) => {
                let Some(node) = self.iface_mut(id) else {
                    return Err(Errno::ENOENT);
                };
                node.gate.mtu = mtu;
                for (network, source) in networks_of(node) {
                    self.routes.announce(network, id, source, mtu);
                }
                Ok(())
            }
            iface::Request::AddRoute(network) => {
                let Some(node) = self.iface_mut(id) else {
                    return Err(Errno::ENOENT);
                };
                let (source, mtu) = (local_of(node, network.address), node.gate.mtu);
                self.route_changes(network.address);
                self.routes.add(network, id, source, mtu)?;
                if let Some(node) = self.iface_mut(id) {
                    node.gate.routes.push(network);
                }
                Ok(())
            }
            iface::Request::DelRoute(network) => {
                let Some(node) = self.iface_mut(id) else {
                    return Err(Errno::ENOENT);
                };
                let known = node.gate.routes.iter().position(|route| *route == network);
                node.gate.routes.swap_remove(known.ok_or(Errno::ENOENT)?);
                self.routes.remove(network, id)
            }
            iface::Request::AcceptAdvertisements(on) => {
                self.routes.accept_advertisements(id, on);
                Ok(())
            }
        }
    }

    /// Takes back what a node that is about to go has changed.
    pub(super) fn forget_effects(&mut self, id: NodeId) {
        self.endpoints_forget(id);
        let Some(node) = self.iface_mut(id) else {
            return;
        };
        let unit = node.unit();
        let networks: Vec<Network> = networks_of(node).map(|(network, _)| network).collect();
        let locals = [node.gate.v4, node.gate.v6].map(|pair| pair.map(|pair| pair.local));
        for network in networks {
            // Each was added by this node, or is a link-local address that another one has too.
            let _ = self.routes.remove(network, id);
        }
        for local in locals.into_iter().flatten() {
            self.routes.remove_local(local);
        }
        self.routes.accept_advertisements(id, false);
        self.units.remove(&unit);
    }

    fn bind(&mut self, id: NodeId, local: SocketAddr) -> Result<(), Errno> {
        let port = match local.port() {
            0 => {
                let taken = |port: u16| self.endpoints.keys().any(|key| key.local.port() == port);
                EPHEMERAL
                    .into_iter()
                    .find(|port| !taken(*port))
                    .ok_or(Errno::EADDRINUSE)?
            }
            port => port,
        };
        let socket = self.ksocket_mut(id).ok_or(Errno::ENOENT)?;
        socket.set_local(SocketAddr::new(local.ip(), port));
        Ok(())
    }

    /// Files a connected socket under what it receives.
    fn register(&mut self, id: NodeId) -> Result<(), Errno> {
        let Some(endpoint) = self.ksocket(id).and_then(KsocketNode::endpoint) else {
            return Ok(());
        };
        match self.endpoints.get(&endpoint) {
            Some(owner) if *owner == id => return Ok(()),
            Some(_) => return Err(Errno::EADDRINUSE),
            None => {}
        }
        // Under another policy it may be filed already.
        self.endpoints_forget(id);
        self.endpoints.insert(endpoint, id);
        if let Some(socket) = self.ksocket_mut(id) {
            socket.set_filed(Some(endpoint));
        }
        Ok(())
    }

    fn endpoints_forget(&mut self, id: NodeId) {
        if let Some(endpoint) = self
            .ksocket_mut(id)
            .and_then(|socket| socket.set_filed(None))
        {
            self.endpoints.remove(&endpoint);
        }
    }

    fn set_address(&mut self, id: NodeId, pair: AddressPair) -> Result<(), Errno> {
        let Some(node) = self.iface_mut(id) else {
            return Err(Errno::ENOENT);
        };
        let mtu = node.gate.mtu;
        let old = if pair.peer.is_ipv4() {
            node.gate.v4
        } else {
            node.gate.v6
        };
        if old == Some(pair) {
            return Ok(());
        }
        self.route_changes(pair.peer);
        // The system must have the address before a route names it as source.
        self.routes.add_local(pair.local);
        match old {
            Some(old) if old.peer == pair.peer => {
                self.routes
                    .announce(host(pair.peer), id, Some(pair.local), mtu);
            }
            _ => {
                let added = self.routes.add(host(pair.peer), id, Some(pair.local), mtu);
                // Identifiers need to differ on one link only (RFC 5072 section 4.1). The first to
                // have it can be reached by it from this host, which no client has need of.
                if let Err(errno) = added
                    && !is_link_local(pair.peer)
                {
                    self.routes.remove_local(pair.local);
                    return Err(errno);
                }
                if let Some(old) = old {
                    // As above.
                    let _ = self.routes.remove(host(old.peer), id);
                }
            }
        }
        if let Some(old) = old {
            self.routes.remove_local(old.local);
        }
        if let Some(node) = self.iface_mut(id) {
            let place = if pair.peer.is_ipv4() {
                &mut node.gate.v4
            } else {
                &mut node.gate.v6
            };
            *place = Some(pair);
        }
        Ok(())
    }

    /// A more special route takes from the interface that had the address until now.
    fn route_changes(&mut self, address: IpAddr) {
        if let Some(former) = self.routes.lookup(address) {
            self.node_changed(former);
        }
    }

    fn iface_mut(&mut self, id: NodeId) -> Option<&mut IfaceNode> {
        match self.node_mut(id) {
            Some(Node {
                kind: Kind::Iface(node),
                ..
            }) => Some(node),
            _ => None,
        }
    }

    fn ksocket_mut(&mut self, id: NodeId) -> Option<&mut KsocketNode> {
        match self.node_mut(id) {
            Some(Node {
                kind: Kind::Ksocket(node),
                ..
            }) => node.as_mut(),
            _ => None,
        }
    }
}

/// Everything routed to an interface, with the source address to use.
fn networks_of(node: &IfaceNode) -> impl Iterator<Item = (Network, Option<IpAddr>)> + use<> {
    let peers = [node.gate.v4, node.gate.v6].into_iter().flatten();
    let routes: Vec<_> = node
        .gate
        .routes
        .iter()
        .map(|n| (*n, local_of(node, n.address)))
        .collect();
    peers
        .map(|pair| (host(pair.peer), Some(pair.local)))
        .chain(routes)
}

/// The address to send from to `network`; nobody beyond the link can answer a link-local one.
fn local_of(node: &IfaceNode, network: IpAddr) -> Option<IpAddr> {
    let pair = if network.is_ipv4() {
        node.gate.v4
    } else {
        node.gate.v6
    };
    pair.map(|pair| pair.local)
        .filter(|local| is_link_local(*local) == is_link_local(network))
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

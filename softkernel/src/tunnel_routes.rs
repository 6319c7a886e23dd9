//! Host routes for tunnel mode: what outbound tunnel policies cover must reach the TUN device, as
//! a kernel's own output path would see it without any route (RFC 4301 section 5.1).

use netgraph::node::soft_iface::Network;

use crate::graph::{HostChange, covers};
use crate::ipsec::{Ipsec, Tunnel};

/// Largest inner packet, octets: 1500 less IPv6, UDP, ESP with a CBC IV, 17 octets of padding at
/// most, and a 256-bit ICV.
const MTU: u32 = 1500 - 40 - 8 - 8 - 16 - 17 - 32;

/// The routes that were asked for.
#[derive(Debug, Default)]
pub struct TunnelRoutes {
    generation: u64,
    installed: Vec<Tunnel>,
}

impl TunnelRoutes {
    /// Compares with the policies; `change` is called for everything to be done, `refuse` for a
    /// tunnel whose own gateway lies in the network it covers: its ESP would be routed into itself.
    pub fn update(
        &mut self,
        ipsec: &Ipsec,
        mut change: impl FnMut(HostChange),
        mut refuse: impl FnMut(Tunnel),
    ) {
        if self.generation == ipsec.policy_generation() {
            return;
        }
        self.generation = ipsec.policy_generation();
        let mut wanted: Vec<Tunnel> = Vec::new();
        for tunnel in ipsec.tunnels() {
            if covers(&network(&tunnel), tunnel.gateway) {
                refuse(tunnel);
            } else if !wanted
                .iter()
                .any(|known| network(known) == network(&tunnel))
            {
                wanted.push(tunnel);
            }
        }
        for gone in self.installed.iter().filter(|old| !wanted.contains(old)) {
            change(HostChange::RemoveRoute(network(gone)));
        }
        for new in wanted.iter().filter(|new| !self.installed.contains(new)) {
            change(HostChange::SetRoute {
                network: network(new),
                source: new.source,
                mtu: MTU,
            });
        }
        self.installed = wanted;
    }
}

fn network(tunnel: &Tunnel) -> Network {
    Network {
        address: tunnel.network,
        prefix: tunnel.prefix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipsec::Config;
    use pfkey::{
        Address, Direction, Extension, Level, Message, MessageType, Mode, Numbering, Policy,
        PolicyRequest, SaType,
    };
    use rand_core::SeedableRng;
    use std::time::Instant;

    fn ask(ipsec: &mut Ipsec, kind: MessageType, network: &str) {
        let (address, prefix) = network.split_once('/').unwrap();
        let ends = (
            "192.0.2.1:0".parse().unwrap(),
            "198.51.100.9:0".parse().unwrap(),
        );
        let request = PolicyRequest {
            protocol: PolicyRequest::ESP,
            mode: Mode::TUNNEL,
            level: Level::REQUIRE,
            reqid: 0,
            tunnel: Some(ends),
        };
        let (any, prefix) = (Address::ANY_PROTOCOL, prefix.parse().unwrap());
        let message = Message::new(kind, SaType::UNSPEC, 1, 1)
            .with(Extension::AddressSource(Address::host(
                "10.1.1.1".parse().unwrap(),
            )))
            .with(Extension::AddressDestination(Address::selector(
                address.parse().unwrap(),
                prefix,
                0,
                any,
            )))
            .with(Extension::Policy(Policy::ipsec(
                Direction::OUTBOUND,
                request,
            )));
        let socket = ipsec.open_socket();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let bytes = message.emit(Numbering::FreeBsd);
        ipsec.request(Instant::now(), 0, socket, &bytes, &mut rng);
        ipsec.close_socket(socket);
    }

    fn changes(routes: &mut TunnelRoutes, ipsec: &Ipsec) -> (Vec<HostChange>, usize) {
        let (mut changes, mut refused) = (Vec::new(), 0);
        routes.update(ipsec, |change| changes.push(change), |_| refused += 1);
        (changes, refused)
    }

    #[test]
    fn routes_follow_the_policies() {
        let mut ipsec = Ipsec::new(Instant::now(), Config::default());
        let mut routes = TunnelRoutes::default();
        assert_eq!(changes(&mut routes, &ipsec), (vec![], 0));
        ask(&mut ipsec, MessageType::X_SPDADD, "10.20.0.0/16");
        let office = Network {
            address: "10.20.0.0".parse().unwrap(),
            prefix: 16,
        };
        let set = HostChange::SetRoute {
            network: office,
            source: Some("10.1.1.1".parse().unwrap()),
            mtu: 1379,
        };
        assert_eq!(changes(&mut routes, &ipsec), (vec![set], 0));
        assert_eq!(changes(&mut routes, &ipsec), (vec![], 0));
        ask(&mut ipsec, MessageType::X_SPDADD, "0.0.0.0/0");
        assert_eq!(changes(&mut routes, &ipsec), (vec![], 1));
        ask(&mut ipsec, MessageType::X_SPDDELETE, "10.20.0.0/16");
        let (removed, _) = changes(&mut routes, &ipsec);
        assert_eq!(removed, [HostChange::RemoveRoute(office)]);
    }
}

//! NATs that give a client another address or port: who has moved, and who had the port before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::carrier::Carrier;
use crate::io::{Event, IkeId, KernelRequest, MovePeer, Reqid};
use crate::nat::Path;

use super::Endpoint;
use super::arrival::canonical;

/// Clients behind one NAT that are asked whether they have moved.
const MAX_PROBES: usize = 16;

impl Endpoint {
    /// An authenticated message came over another path. Only a mapping of a NAT moves.
    pub(super) fn session_moved(&mut self, id: IkeId, path: Path) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let follows = session.nat.peer && session.path.natt_port && path.natt_port;
        let Some(reqid) = session.established().map(|established| established.client) else {
            return;
        };
        let Some(old) = self.clients.get(&reqid).map(|client| client.peer) else {
            return;
        };
        if follows && old != path.peer {
            self.move_client(reqid, path.peer);
            // Where they are now is not known until they speak. The port that became free is as
            // good a guess as any, and better than the one that is taken.
            for displaced in self.displaced(reqid, path.peer) {
                self.move_client(displaced, old);
            }
        }
    }

    /// The clients that a NAT has taken a port from to give it to `reqid`, and whose packets
    /// softkernel would still take by a socket connected to that port: the newcomer's, then.
    pub(super) fn displaced(&self, reqid: Reqid, port: SocketAddr) -> Vec<Reqid> {
        let bound = self.shared.places.bound_to(port).into_iter();
        bound.filter(|other| *other != reqid).collect()
    }

    /// A NAT keepalive (RFC 3948 2.3) came in on the NAT traversal port. From an unknown port of a
    /// client's address it may mean that its NAT gave it another mapping: FreeBSD's kernel drops
    /// ESP from there and says nothing. Whoever may have moved is asked there; the answer is
    /// authentic.
    pub fn handle_keepalive(
        &mut self,
        now: Instant,
        local: SocketAddr,
        peer: SocketAddr,
        rng: &mut dyn CryptoRng,
    ) {
        let (local, peer) = (canonical(local), canonical(peer));
        let at = |reqid: &Reqid| {
            let client = self.clients.get(reqid)?;
            (client.peer_nat && client.natt_port && client.local.ip() == local.ip())
                .then_some((*reqid, client.peer))
        };
        let reqids = self.shared.places.clients(peer.ip());
        let clients: Vec<(Reqid, SocketAddr)> = reqids.iter().filter_map(at).collect();
        if clients.iter().any(|(_, known)| *known == peer) {
            return;
        }
        // Who has moved is silent; who is heard has not.
        let mut sessions: Vec<(Instant, IkeId)> = clients
            .iter()
            .filter_map(|(reqid, _)| self.newest_session(*reqid))
            .filter_map(|id| {
                let established = self.sessions.get(&id)?.established()?;
                Some((established.dpd.last_sign(), id))
            })
            .collect();
        sessions.sort_unstable();
        let path = Path {
            local,
            peer,
            natt_port: true,
        };
        for (_, session) in sessions.into_iter().take(MAX_PROBES) {
            self.with_session(now, rng, session, |session, cx| session.probe(cx, path));
        }
    }

    /// Authenticated traffic of a client behind NAT comes from another address or port.
    pub(super) fn move_client(&mut self, reqid: Reqid, new: SocketAddr) {
        let Some(client) = self.clients.get_mut(&reqid) else {
            return;
        };
        let old = client.peer;
        if !client.peer_nat || !client.natt_port || old == new {
            return;
        }
        client.peer = new;
        let (local, sessions, children) = (
            client.local,
            client.sessions.clone(),
            client.children.clone(),
        );
        self.move_address(reqid, Some(old.ip()), Some(new.ip()));
        for id in sessions {
            if let Some(session) = self.sessions.get_mut(&id)
                && session.path.natt_port
                && session.path.peer == old
            {
                session.path.peer = new;
            }
        }
        let mut sas: BTreeMap<Carrier, Vec<_>> = BTreeMap::new();
        for id in children {
            if let Some(child) = self.children.get_mut(&id)
                && let Some(encapsulation) = &mut child.encapsulation
            {
                encapsulation.peer_port = new.port();
                child.peer = new;
                let outbound = child.has_outbound().then_some(child.spi_out);
                let moved = (id, child.spi_in, outbound);
                sas.entry(child.carrier).or_default().push(moved);
                self.shared.relocate(id, new);
            }
        }
        let counters = &mut self.shared.counters;
        counters.mappings_moved = counters.mappings_moved.wrapping_add(1);
        self.shared.changed();
        self.shared.event(Event::MappingMoved { reqid, old, new });
        for (carrier, sas) in sas {
            let change = MovePeer {
                reqid,
                local,
                old,
                new,
                sas,
            };
            self.shared.kernel(carrier, KernelRequest::MovePeer(change));
        }
    }
}

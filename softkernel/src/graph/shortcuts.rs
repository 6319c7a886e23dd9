//! Which shortcuts workers have, over which nodes they go, and what passed by them.

use std::sync::Arc;

use super::shortcut::{Leg, Passed, SessionKey, Shortcut};
use super::{Graph, HookIndex, Kind, NodeId, Role, iface, l2tp};
use crate::table::Table;

/// A session at a worker.
type Place = (usize, SessionKey);

/// The nodes that a shortcut leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Nodes {
    ksocket: NodeId,
    l2tp: NodeId,
    ppp: NodeId,
    link: usize,
    /// Of each version of IP, where there is one.
    tcpmss: [Option<NodeId>; 2],
    iface: NodeId,
}

impl Nodes {
    fn all(&self) -> impl Iterator<Item = NodeId> {
        let mut all = [
            Some(self.ksocket),
            Some(self.l2tp),
            Some(self.ppp),
            Some(self.iface),
            self.tcpmss[0],
            self.tcpmss[1],
        ];
        // Both versions mostly go through one node.
        if self.tcpmss[0] == self.tcpmss[1] {
            all[5] = None;
        }
        all.into_iter().flatten()
    }
}

#[derive(Debug)]
struct Issued {
    place: Place,
    shortcut: Arc<Shortcut>,
    nodes: Nodes,
    /// What the nodes know of already.
    counted: Passed,
}

/// Every shortcut that a worker has.
#[derive(Debug, Default)]
pub(super) struct Shortcuts {
    issued: Table<Place, Issued>,
    by_node: Table<NodeId, Vec<Place>>,
    by_client: Table<u32, Vec<Place>>,
    /// Taken back, while the worker may still be counting.
    retired: Vec<Issued>,
    /// To be told to workers.
    taken_back: Vec<Place>,
}

impl Shortcuts {
    fn insert(&mut self, issued: Issued) {
        let place = issued.place;
        for node in issued.nodes.all() {
            self.by_node.entry(node).or_default().push(place);
        }
        self.by_client.entry(place.1.reqid).or_default().push(place);
        self.issued.insert(place, issued);
    }

    fn take_back(&mut self, place: Place) {
        let Some(issued) = self.issued.remove(&place) else {
            return;
        };
        issued.shortcut.set_stale();
        for node in issued.nodes.all() {
            forget(&mut self.by_node, node, place);
        }
        forget(&mut self.by_client, place.1.reqid, place);
        self.taken_back.push(place);
        self.retired.push(issued);
    }
}

fn forget<K: std::hash::Hash + Eq>(table: &mut Table<K, Vec<Place>>, key: K, place: Place) {
    if let Some(places) = table.get_mut(&key) {
        places.retain(|other| *other != place);
        if places.is_empty() {
            table.remove(&key);
        }
    }
}

impl Graph {
    /// The shortcut of the session that this datagram is data of, for a worker that has none. None: its
    /// data has to go through the nodes.
    pub fn shortcut_for_datagram(
        &mut self,
        worker: usize,
        reqid: u32,
        (ksocket, payload): (NodeId, &[u8]),
    ) -> Option<(SessionKey, Arc<Shortcut>)> {
        let header = l2tp::header::Header::parse(payload).ok()?;
        let hook = self.ksocket(ksocket)?.hook();
        let (l2tp, _) = self.peer_of(ksocket, hook)?;
        // Nobody needs one for the echoes of a session that is idle.
        let is_data = !header.control && super::shortcut::is_data(&header, payload);
        is_data.then(|| self.issue(worker, reqid, l2tp, header.session))?
    }

    /// The same for the session that a packet with this destination goes out by.
    pub fn shortcut_towards(
        &mut self,
        worker: usize,
        destination: std::net::IpAddr,
    ) -> Option<(SessionKey, Arc<Shortcut>)> {
        let iface = self.routes.lookup(destination)?;
        let role = match destination.is_ipv4() {
            true => iface::Role::Inet,
            false => iface::Role::Inet6,
        };
        let (next, entry) = self.peer_of(iface, self.iface(iface)?.hook_of(role)?)?;
        let ppp = match &self.node(next)?.kind {
            Kind::Tcpmss(node) => self.peer_of(next, node.exit(entry)?.0)?.0,
            _ => next,
        };
        let Kind::Ppp(node) = &self.node(ppp)?.kind else {
            return None;
        };
        let (_, _, hook) = node.first_link()?;
        let (l2tp, entry) = self.peer_of(ppp, hook)?;
        let Role::L2tp(l2tp::Role::Session(session)) = self.node(l2tp)?.hook(entry)?.role else {
            return None;
        };
        let Kind::L2tp(node) = &self.node(l2tp)?.kind else {
            return None;
        };
        let (ksocket, _) = self.peer_of(l2tp, node.lower_hook()?)?;
        let reqid = self.ksocket(ksocket)?.reqid()?;
        self.issue(worker, reqid, l2tp, session)
    }

    fn issue(
        &mut self,
        worker: usize,
        reqid: u32,
        l2tp: NodeId,
        session: u16,
    ) -> Option<(SessionKey, Arc<Shortcut>)> {
        let (nodes, tunnel, shortcut) = self.work_out(l2tp, session)?;
        if self.ksocket(nodes.ksocket)?.reqid() != Some(reqid) {
            return None;
        }
        let key = SessionKey {
            reqid,
            tunnel,
            session,
        };
        if let Some(issued) = self.shortcuts.issued.get(&(worker, key)) {
            return (issued.nodes == nodes).then(|| (key, issued.shortcut.clone()));
        }
        let shortcut = Arc::new(shortcut);
        self.shortcuts.insert(Issued {
            place: (worker, key),
            shortcut: shortcut.clone(),
            nodes,
            counted: Passed::default(),
        });
        Some((key, shortcut))
    }

    /// Goes the way of a session's data, both directions of which must be the same.
    fn work_out(&self, l2tp: NodeId, session: u16) -> Option<(Nodes, u16, Shortcut)> {
        let Kind::L2tp(node) = &self.node(l2tp)?.kind else {
            return None;
        };
        let (tunnel, header, hook) = node.plain_session(session)?;
        let (ksocket, _) = self.peer_of(l2tp, node.lower_hook()?)?;
        let socket = self.ksocket(ksocket)?;
        let ends = (socket.local()?, socket.peer()?);
        let (ppp, entry) = self.peer_of(l2tp, hook)?;
        let Kind::Ppp(node) = &self.node(ppp)?.kind else {
            return None;
        };
        let (link, config, _) = node.first_link().filter(|(_, _, hook)| *hook == entry)?;
        let leg = |hook: Option<HookIndex>, role| self.leg((ppp, hook?), role);
        let (inet, inet6) = node.network_hooks();
        let v4 = leg(inet, iface::Role::Inet);
        let v6 = leg(inet6, iface::Role::Inet6);
        let iface = v4.or(v6)?.0;
        // Of two interfaces the one for IPv4 has its shortcut.
        let v6 = v6.filter(|(other, ..)| *other == iface);
        let interface = self.iface(iface)?;
        let solicitations = interface.hook_of(iface::Role::Solicitations).is_some();
        let nodes = Nodes {
            ksocket,
            l2tp,
            ppp,
            link,
            tcpmss: [v4, v6].map(|leg| leg.and_then(|(_, tcpmss, _)| tcpmss)),
            iface,
        };
        let legs = (v4.map(|(.., leg)| leg), v6.map(|(.., leg)| leg));
        let gate = (interface.gate.clone(), solicitations);
        Some((
            nodes,
            tunnel,
            Shortcut::new(ends, config, header, legs, gate),
        ))
    }

    /// From PPP to the interface.
    fn leg(
        &self,
        from: (NodeId, HookIndex),
        role: iface::Role,
    ) -> Option<(NodeId, Option<NodeId>, Leg)> {
        let is_interface = |(id, entry): (NodeId, HookIndex)| {
            self.node(id)
                .and_then(|node| node.hook(entry))
                .is_some_and(|hook| hook.role == Role::Iface(role))
        };
        let (next, entry) = self.peer_of(from.0, from.1)?;
        let Kind::Tcpmss(node) = &self.node(next)?.kind else {
            return is_interface((next, entry)).then_some((next, None, Leg::default()));
        };
        let (exit, mss_in) = node.exit(entry)?;
        let (back, mss_out) = node.exit(exit)?;
        let end = self.peer_of(next, exit)?;
        let leg = Leg { mss_in, mss_out };
        (back == entry && is_interface(end)).then_some((end.0, Some(next), leg))
    }

    /// A node is about to be asked for counts.
    pub(super) fn collect(&mut self, node: NodeId) {
        let places = self.shortcuts.by_node.get(&node).cloned();
        for place in places.into_iter().flatten() {
            if let Some(issued) = self.shortcuts.issued.get_mut(&place) {
                let passed = issued.shortcut.counts.passed();
                let more = passed.since(&issued.counted);
                issued.counted = passed;
                let (nodes, overhead) = (issued.nodes, issued.shortcut.overhead());
                self.credit(&nodes, place.1.session, &more, overhead);
            }
        }
    }

    /// Something about a node has changed: what goes over it is worked out anew.
    pub(super) fn node_changed(&mut self, node: NodeId) {
        self.collect(node);
        for place in self
            .shortcuts
            .by_node
            .get(&node)
            .cloned()
            .into_iter()
            .flatten()
        {
            self.shortcuts.take_back(place);
        }
    }

    /// Something about the SAs of a client has changed.
    pub fn client_changed(&mut self, reqid: u32) {
        for place in self
            .shortcuts
            .by_client
            .get(&reqid)
            .cloned()
            .into_iter()
            .flatten()
        {
            self.shortcuts.take_back(place);
        }
    }

    /// The policies have changed.
    pub fn policies_changed(&mut self) {
        let all: Vec<_> = self.shortcuts.issued.keys().copied().collect();
        for place in all {
            self.shortcuts.take_back(place);
        }
    }

    /// The next shortcut that a worker is to forget.
    pub fn poll_taken_back(&mut self) -> Option<(usize, SessionKey)> {
        self.shortcuts.taken_back.pop()
    }

    /// Counts what passed by shortcuts that no worker holds any more.
    pub fn settle_counts(&mut self) {
        let mut index = 0;
        while let Some(retired) = self.shortcuts.retired.get(index) {
            if Arc::strong_count(&retired.shortcut) > 1 {
                index += 1;
                continue;
            }
            let retired = self.shortcuts.retired.swap_remove(index);
            let more = retired.shortcut.counts.passed().since(&retired.counted);
            let session = retired.place.1.session;
            self.credit(&retired.nodes, session, &more, retired.shortcut.overhead());
        }
    }

    /// Shortcuts that workers have.
    pub fn shortcut_count(&self) -> usize {
        self.shortcuts.issued.len()
    }

    /// Adds to the counts of the nodes that are still there.
    fn credit(&mut self, nodes: &Nodes, session: u16, more: &Passed, (ppp, l2tp): (u64, u64)) {
        let transmit_ppp = more.transmit_ip + more.transmit_packets * ppp;
        let transmit_l2tp = transmit_ppp + more.transmit_packets * l2tp;
        if let Some(Kind::Iface(node)) = self.node_mut(nodes.iface).map(|node| &mut node.kind) {
            let stats = &mut node.stats;
            // What has the wrong source was received by L2TP and PPP only.
            stats.receive_packets += more.receive_packets - more.wrong_source;
            stats.receive_octets += more.receive_ip;
            stats.transmit_packets += more.transmit_packets;
            stats.transmit_octets += more.transmit_ip;
            stats.wrong_source += more.wrong_source;
        }
        if let Some(Kind::Ppp(node)) = self.node_mut(nodes.ppp).map(|node| &mut node.kind)
            && let Some(stats) = node.link_stats(nodes.link)
        {
            stats.receive_frames += more.receive_packets;
            stats.receive_octets += more.receive_ppp;
            stats.transmit_frames += more.transmit_packets;
            stats.transmit_octets += transmit_ppp;
        }
        if let Some(Kind::L2tp(node)) = self.node_mut(nodes.l2tp).map(|node| &mut node.kind) {
            node.credit(
                session,
                (more.receive_packets, more.receive_l2tp),
                (more.transmit_packets, transmit_l2tp),
            );
        }
    }

    fn iface(&self, id: NodeId) -> Option<&iface::IfaceNode> {
        match &self.node(id)?.kind {
            Kind::Iface(node) => Some(node),
            _ => None,
        }
    }
}

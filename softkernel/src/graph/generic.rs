//! The messages that every node understands, and the making and breaking of nodes and hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use netgraph::frame::Frame;
use netgraph::generic::{
    self as ng, ConnectArguments, HookList, LinkInfo, MkpeerArguments, NameList, NodeInfo, Text,
    TypeList,
};
use netgraph::{Errno, HOOK_SIZE, NgMessage, node};

use super::iface::IfaceNode;
use super::ksocket::KsocketNode;
use super::l2tp::L2tpNode;
use super::path::{Path, Start, check_node_name};
use super::ppp::PppNode;
use super::tcpmss::TcpmssNode;
use super::{Graph, Hook, HookIndex, Kind, Node, NodeId, Role, command};

/// Most entries in one list, so that the reply fits into a frame.
const MAX_LIST: usize = 800;

impl Graph {
    /// A control message from a socket node: one status goes back, then the reply if there is one.
    pub(super) fn request(&mut self, now: Instant, from: NodeId, path: &str, message: &NgMessage) {
        let outcome = self.resolve(from, path).and_then(|to| {
            self.message(now, from, to, message)
                .map(|reply| (to, reply))
        });
        let result = outcome.as_ref().map(|_| ()).map_err(|errno| *errno);
        self.push_control(
            from,
            Frame::Status {
                token: message.token,
                result,
            }
            .emit(),
        );
        if let Ok((to, Some(reply))) = outcome {
            let bytes = message.response(reply).emit();
            let path = self.path_to(to);
            self.push_control(
                from,
                Frame::Control {
                    path: &path,
                    message: &bytes,
                }
                .emit(),
            );
        }
    }

    /// The path by which a node is addressed: its name, or its number.
    pub(super) fn path_to(&self, id: NodeId) -> String {
        match self.node(id).and_then(|node| node.name.as_ref()) {
            Some(name) => format!("{name}:"),
            None => format!("[{:x}]:", id.0),
        }
    }

    fn resolve(&self, from: NodeId, path: &str) -> Result<NodeId, Errno> {
        let path = Path::parse(path)?;
        let mut here = match path.start {
            Start::Here => from,
            Start::Id(id) => id,
            Start::Name(name) => *self.names.get(name).ok_or(Errno::ENOENT)?,
        };
        for hook in path.hooks() {
            let index = self.node(here).and_then(|node| node.hook_named(hook));
            let peer = index.and_then(|index| self.peer_of(here, index));
            (here, _) = peer.ok_or(Errno::ENOENT)?;
        }
        self.node(here).map(|node| node.id).ok_or(Errno::ENOENT)
    }

    fn message(
        &mut self,
        now: Instant,
        from: NodeId,
        to: NodeId,
        message: &NgMessage,
    ) -> Result<Option<Vec<u8>>, Errno> {
        if message.is_response() {
            return Err(Errno::EINVAL);
        }
        if message.cookie == ng::COOKIE {
            return self.generic_message(now, to, message);
        }
        self.collect(to);
        let result = self.specific_message(now, from, to, message);
        // A message without reply has changed something, or tried to.
        if !matches!(result, Ok(Some(_))) {
            self.node_changed(to);
        }
        result
    }

    fn specific_message(
        &mut self,
        now: Instant,
        from: NodeId,
        to: NodeId,
        message: &NgMessage,
    ) -> Result<Option<Vec<u8>>, Errno> {
        let node = self.node_mut(to).ok_or(Errno::ENOENT)?;
        match &mut node.kind {
            Kind::Socket(node) => node.message(message),
            Kind::Ksocket(None) => Err(Errno::ENXIO),
            Kind::Ksocket(Some(node)) => {
                let (reply, request) = node.message(message)?;
                if let Some(request) = request {
                    self.ksocket_request(to, request)?;
                }
                Ok(reply)
            }
            Kind::L2tp(node) => {
                let reply = node.message(now, from, message)?;
                self.after(to);
                Ok(reply)
            }
            Kind::Ppp(node) => node.message(message),
            Kind::Tcpmss(node) => node.message(message),
            Kind::Iface(node) => {
                let (reply, request) = node.message(message)?;
                if let Some(request) = request {
                    self.iface_request(to, request)?;
                }
                Ok(reply)
            }
        }
    }

    fn generic_message(
        &mut self,
        now: Instant,
        to: NodeId,
        message: &NgMessage,
    ) -> Result<Option<Vec<u8>>, Errno> {
        if let Some(ng::Mkpeer(arguments)) = command(message)? {
            self.mkpeer(now, to, &arguments).map(|()| None)
        } else if let Some(ng::Connect(arguments)) = command(message)? {
            self.connect(to, &arguments).map(|()| None)
        } else if let Some(ng::Name(name)) = command(message)? {
            self.name(to, &name.0).map(|()| None)
        } else if let Some(ng::Rmhook(hook)) = command(message)? {
            // A hook that is not there is as good as removed.
            if let Some(index) = self.node(to).and_then(|node| node.hook_named(&hook.0)) {
                self.disconnect(now, to, index);
            }
            Ok(None)
        } else if command::<ng::Shutdown>(message)?.is_some() {
            self.shutdown(now, to);
            Ok(None)
        } else if command::<ng::GetNodeInfo>(message)?.is_some() {
            Ok(self.node_info(to).map(|info| info.emit()))
        } else if command::<ng::ListHooks>(message)?.is_some() {
            Ok(self.list_hooks(to).map(|list| list.emit()))
        } else if command::<ng::ListNames>(message)?.is_some() {
            Ok(Some(self.list_nodes(|node| node.name.is_some()).emit()))
        } else if command::<ng::ListNodes>(message)?.is_some() {
            Ok(Some(self.list_nodes(|_| true).emit()))
        } else if command::<ng::ListTypes>(message)?.is_some() {
            Ok(Some(self.list_types().emit()))
        } else if command::<ng::TextStatus>(message)?.is_some() {
            let node = self.node(to).ok_or(Errno::ENOENT)?;
            Ok(Some(Text(node.kind.status()).emit()))
        } else {
            Err(Errno::EINVAL)
        }
    }

    fn mkpeer(
        &mut self,
        now: Instant,
        here: NodeId,
        arguments: &MkpeerArguments,
    ) -> Result<(), Errno> {
        let kind = match arguments.kind.as_str() {
            node::ksocket::TYPE => Kind::Ksocket(None),
            node::l2tp::TYPE => Kind::L2tp(Box::new(L2tpNode::new(here))),
            node::ppp::TYPE => Kind::Ppp(Box::new(PppNode::new())),
            node::tcpmss::TYPE => Kind::Tcpmss(TcpmssNode::new()),
            node::iface::TYPE => Kind::Iface(Box::new(IfaceNode::new(self.free_unit()))),
            node::socket::TYPE => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENXIO),
        };
        self.check_hook(here, &arguments.our_hook)?;
        let peer = self.make_node(kind)?;
        let connected = self.join(here, &arguments.our_hook, peer, &arguments.peer_hook);
        if connected.is_err() {
            self.remove_node(now, peer);
        }
        connected
    }

    fn connect(&mut self, here: NodeId, arguments: &ConnectArguments) -> Result<(), Errno> {
        let there = self.resolve(here, &arguments.path)?;
        self.check_hook(here, &arguments.our_hook)?;
        self.check_hook(there, &arguments.peer_hook)?;
        if here == there && arguments.our_hook == arguments.peer_hook {
            return Err(Errno::EINVAL);
        }
        self.join(here, &arguments.our_hook, there, &arguments.peer_hook)
    }

    fn name(&mut self, id: NodeId, name: &str) -> Result<(), Errno> {
        check_node_name(name)?;
        match self.names.get(name) {
            Some(owner) if *owner == id => return Ok(()),
            Some(_) => return Err(Errno::EADDRINUSE),
            None => {}
        }
        let node = self.node_mut(id).ok_or(Errno::ENOENT)?;
        let old = node.name.replace(name.to_owned());
        if let Some(old) = old {
            self.names.remove(&old);
        }
        self.names.insert(name.to_owned(), id);
        Ok(())
    }

    /// A socket node outlives its shutdown as long as its connection does.
    fn shutdown(&mut self, now: Instant, id: NodeId) {
        if let Some(Node {
            kind: Kind::Socket(_),
            ..
        }) = self.node(id)
        {
            self.cut_hooks(now, id);
        } else {
            self.remove_node(now, id);
        }
    }

    fn check_hook(&self, id: NodeId, name: &str) -> Result<(), Errno> {
        let node = self.node(id).ok_or(Errno::ENOENT)?;
        if name.is_empty() || name.len() >= HOOK_SIZE || name.contains(['.', ':']) {
            return Err(Errno::EINVAL);
        }
        if node.hook_named(name).is_some() {
            return Err(Errno::EEXIST);
        }
        if node.hooks.len() >= self.limits.hooks && node.vacant.is_empty() {
            return Err(Errno::ENOBUFS);
        }
        Ok(())
    }

    /// Connects two free hook names.
    fn join(&mut self, a: NodeId, a_name: &str, b: NodeId, b_name: &str) -> Result<(), Errno> {
        let a_hook = self.add_hook(a, a_name)?;
        let b_hook = match self
            .check_hook(b, b_name)
            .and_then(|()| self.add_hook(b, b_name))
        {
            Ok(hook) => hook,
            Err(errno) => {
                self.take_hook(a, a_hook);
                return Err(errno);
            }
        };
        for ((node, hook), peer) in [((a, a_hook), (b, b_hook)), ((b, b_hook), (a, a_hook))] {
            let slot = self
                .node_mut(node)
                .and_then(|node| node.hooks.get_mut(hook.0 as usize));
            if let Some(Some(hook)) = slot {
                hook.peer = peer;
            }
        }
        Ok(())
    }

    fn add_hook(&mut self, id: NodeId, name: &str) -> Result<HookIndex, Errno> {
        self.node_changed(id);
        let node = self.node_mut(id).ok_or(Errno::ENOENT)?;
        let end = u32::try_from(node.hooks.len()).map_err(|_| Errno::ENOBUFS)?;
        let index = HookIndex(node.vacant.first().copied().unwrap_or(end));
        let role = match &mut node.kind {
            Kind::Socket(node) => {
                node.attach(name, index);
                Role::Plain
            }
            Kind::Ksocket(Some(_)) => return Err(Errno::EISCONN),
            Kind::Ksocket(socket) => {
                *socket = Some(KsocketNode::new(name, index)?);
                Role::Plain
            }
            Kind::L2tp(node) => Role::L2tp(node.attach(name, index)?),
            Kind::Ppp(node) => Role::Ppp(node.attach(name, index)?),
            Kind::Tcpmss(node) => {
                node.attach(name, index)?;
                Role::Plain
            }
            Kind::Iface(node) => Role::Iface(node.attach(name, index)?),
        };
        let hook = Hook {
            name: name.to_owned(),
            role,
            peer: (NodeId::NONE, index),
        };
        node.vacant.remove(&index.0);
        match node.hooks.get_mut(index.0 as usize) {
            Some(slot) => *slot = Some(hook),
            None => node.hooks.push(Some(hook)),
        }
        Ok(index)
    }

    /// Takes a hook off its node without looking at the other end.
    fn take_hook(&mut self, id: NodeId, index: HookIndex) -> Option<Hook> {
        self.node_changed(id);
        let node = self.node_mut(id)?;
        let hook = node.hooks.get_mut(index.0 as usize)?.take()?;
        node.vacant.insert(index.0);
        match (&mut node.kind, hook.role) {
            (Kind::Socket(node), _) => node.detach(&hook.name),
            (Kind::L2tp(node), Role::L2tp(role)) => node.detach(role),
            (Kind::Ppp(node), Role::Ppp(role)) => node.detach(role),
            (Kind::Iface(node), Role::Iface(role)) => node.detach(role),
            (Kind::Tcpmss(node), _) => node.detach(index),
            (Kind::Ksocket(_) | Kind::L2tp(_) | Kind::Ppp(_) | Kind::Iface(_), _) => {}
        }
        Some(hook)
    }

    /// Breaks a hook at both ends; a node whose last hook it was goes, if its type does.
    pub(super) fn disconnect(&mut self, now: Instant, id: NodeId, index: HookIndex) {
        let Some(hook) = self.take_hook(id, index) else {
            return;
        };
        let (peer, peer_index) = hook.peer;
        self.take_hook(peer, peer_index);
        for id in [id, peer] {
            let Some(node) = self.node(id) else { continue };
            let persists = match &node.kind {
                Kind::Socket(socket) => !socket.no_linger(),
                Kind::Iface(_) => true,
                Kind::Ksocket(_) | Kind::L2tp(_) | Kind::Ppp(_) | Kind::Tcpmss(_) => false,
            };
            if !persists && node.vacant.len() == node.hooks.len() {
                self.remove_node(now, id);
            }
        }
    }

    fn cut_hooks(&mut self, now: Instant, id: NodeId) {
        let count = self.node(id).map_or(0, |node| node.hooks.len());
        for index in 0..count {
            if let Ok(index) = u32::try_from(index) {
                self.disconnect(now, id, HookIndex(index));
            }
        }
    }

    pub(super) fn make_node(&mut self, kind: Kind) -> Result<NodeId, Errno> {
        if self.len() >= self.limits.nodes.min(1 << NodeId::SLOT_BITS) {
            return Err(Errno::ENOBUFS);
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.generations.push(0);
                self.slots.len() - 1
            }
        };
        let generation = self.generations.get_mut(slot).ok_or(Errno::ENOBUFS)?;
        // Generation 0 is never used: no node has the number 0.
        *generation = match (*generation + 1) % (1 << (32 - NodeId::SLOT_BITS)) {
            0 => 1,
            next => next,
        };
        let number = u32::try_from(slot).map_err(|_| Errno::ENOBUFS)?;
        let id = NodeId(*generation << NodeId::SLOT_BITS | number);
        if let Kind::Iface(node) = &kind {
            self.units.insert(node.unit());
        }
        let node = Node {
            id,
            name: None,
            hooks: Vec::new(),
            vacant: BTreeSet::new(),
            kind,
            timer: None,
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(node);
        }
        Ok(id)
    }

    /// Removes a node: it is gone before its hooks are cut, so that cutting cannot come back here.
    pub(super) fn remove_node(&mut self, now: Instant, id: NodeId) {
        if self.node(id).is_none() {
            return;
        }
        self.node_changed(id);
        self.forget_effects(id);
        let Some(node) = self.slots.get_mut(id.slot()).and_then(Option::take) else {
            return;
        };
        self.free.push(id.slot());
        if let Some(name) = node.name {
            self.names.remove(&name);
        }
        if let Some(due) = node.timer {
            self.timers.remove(&(due, id));
        }
        for hook in node.hooks.into_iter().flatten() {
            let (peer, index) = hook.peer;
            if peer != NodeId::NONE && peer != id {
                self.disconnect(now, peer, index);
            }
        }
    }

    fn free_unit(&self) -> u32 {
        let mut unit = 0;
        for used in &self.units {
            if *used != unit {
                break;
            }
            unit += 1;
        }
        unit
    }

    fn node_info(&self, id: NodeId) -> Option<NodeInfo> {
        let node = self.node(id)?;
        let hooks = node.hooks.iter().flatten().count();
        Some(NodeInfo {
            name: node.name.clone().unwrap_or_default(),
            kind: node.kind.type_name().to_owned(),
            id: id.0,
            hooks: u32::try_from(hooks).unwrap_or(u32::MAX),
        })
    }

    fn list_hooks(&self, id: NodeId) -> Option<HookList> {
        let node = self.node(id)?;
        let link = |hook: &Hook| {
            let (peer, index) = hook.peer;
            Some(LinkInfo {
                our_hook: hook.name.clone(),
                peer_hook: self.node(peer)?.hook(index)?.name.clone(),
                peer: self.node_info(peer)?,
            })
        };
        let links = node
            .hooks
            .iter()
            .flatten()
            .filter_map(link)
            .take(MAX_LIST / 2)
            .collect();
        Some(HookList {
            node: self.node_info(id)?,
            links,
        })
    }

    fn list_nodes(&self, wanted: impl Fn(&Node) -> bool) -> NameList {
        let nodes = self.slots.iter().flatten().filter(|node| wanted(node));
        NameList(
            nodes
                .filter_map(|node| self.node_info(node.id))
                .take(MAX_LIST)
                .collect(),
        )
    }

    fn list_types(&self) -> TypeList {
        let mut counts: BTreeMap<&str, u32> = [
            node::socket::TYPE,
            node::ksocket::TYPE,
            node::l2tp::TYPE,
            node::ppp::TYPE,
            node::tcpmss::TYPE,
            node::iface::TYPE,
        ]
        .map(|name| (name, 0))
        .into();
        for node in self.slots.iter().flatten() {
            *counts.entry(node.kind.type_name()).or_insert(0) += 1;
        }
        TypeList(
            counts
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
        )
    }
}

//! Data from hook to hook until it leaves the graph; what waits for the readers of sockets; what
//! L2TP nodes do of their own accord.

use std::time::Instant;

use netgraph::NgMessage;
use netgraph::frame::Frame;
use netgraph::node::l2tp::AckFailure;

use super::{Drop, Exit, Graph, HookIndex, Kind, Node, NodeId, Role, Verdict};
use crate::buffer::Buffer;

/// Nodes a packet may pass before it is taken for one that runs in circles.
const MAX_HOPS: usize = 16;

impl Graph {
    pub(super) fn notify_failure(&mut self, id: NodeId, owner: NodeId, control: Option<HookIndex>) {
        // The one who configured it may be gone; whoever holds the control hook takes its place.
        let present = |graph: &Self, id| {
            matches!(
                graph.node(id),
                Some(Node {
                    kind: Kind::Socket(_),
                    ..
                })
            )
        };
        let holder = || {
            control
                .and_then(|hook| self.peer_of(id, hook))
                .map(|(node, _)| node)
        };
        let target = if present(self, owner) {
            Some(owner)
        } else {
            holder().filter(|id| present(self, *id))
        };
        if let Some(target) = target {
            let from = self.path_to(id);
            let message = NgMessage::request(&AckFailure, 0).emit();
            self.push_control(
                target,
                Frame::Control {
                    path: &from,
                    message: &message,
                }
                .emit(),
            );
        }
    }

    /// Data leaves a node by a hook: follow it until it leaves the graph or ends.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        from: (NodeId, HookIndex),
        buffer: &mut Buffer,
    ) -> Exit {
        let (mut id, mut hook) = from;
        for _ in 0..MAX_HOPS {
            let Some((to, entry)) = self.peer_of(id, hook) else {
                return self.dropped(Drop::NotConnected);
            };
            let verdict = self.receive(now, to, entry, buffer);
            match verdict {
                Verdict::Forward(next) => (id, hook) = (to, next),
                Verdict::Acknowledge(next) => {
                    let taken = self.deliver((to, next), buffer);
                    if let Some(Node {
                        kind: Kind::L2tp(node),
                        ..
                    }) = self.node_mut(to)
                    {
                        node.delivered(taken);
                    }
                    self.after(to);
                    return if taken {
                        Exit::Done
                    } else {
                        self.dropped(Drop::SlowReader)
                    };
                }
                Verdict::Tun => return Exit::Tun,
                Verdict::Udp => return Exit::Udp(to),
                Verdict::Read => {
                    let taken = self.queue_data(to, entry, buffer);
                    return if taken {
                        Exit::Done
                    } else {
                        self.dropped(Drop::SlowReader)
                    };
                }
                Verdict::Done => return Exit::Done,
                Verdict::Drop(reason) => return self.dropped(reason),
            }
        }
        self.dropped(Drop::Loop)
    }

    /// Control messages go to a socket and nowhere else.
    fn deliver(&mut self, from: (NodeId, HookIndex), buffer: &Buffer) -> bool {
        self.peer_of(from.0, from.1)
            .is_some_and(|(to, entry)| self.queue_data(to, entry, buffer))
    }

    fn receive(
        &mut self,
        now: Instant,
        to: NodeId,
        entry: HookIndex,
        buffer: &mut Buffer,
    ) -> Verdict {
        let Some(node) = self.node_mut(to) else {
            return Verdict::Drop(Drop::NoNode);
        };
        let Some(role) = node.hook(entry).map(|hook| hook.role) else {
            return Verdict::Drop(Drop::NotConnected);
        };
        match (&mut node.kind, role) {
            (Kind::Socket(_), _) => Verdict::Read,
            (Kind::Ksocket(_), _) => Verdict::Udp,
            (Kind::L2tp(node), Role::L2tp(role)) => {
                let verdict = node.receive(now, role, buffer);
                let changed = node.take_sequencing_changed();
                if changed {
                    self.node_changed(to);
                }
                // Data changes no timer and sends nothing else.
                if !matches!(verdict, Verdict::Forward(_)) {
                    self.after(to);
                }
                verdict
            }
            (Kind::Ppp(node), Role::Ppp(role)) => node.receive(role, buffer),
            (Kind::Iface(node), Role::Iface(role)) => node.receive(role, buffer),
            (Kind::Tcpmss(node), _) => node.receive(entry, buffer),
            (Kind::L2tp(_) | Kind::Ppp(_) | Kind::Iface(_), _) => Verdict::Drop(Drop::NoNode),
        }
    }

    fn queue_data(&mut self, to: NodeId, entry: HookIndex, payload: &[u8]) -> bool {
        let Some(node) = self.node_mut(to) else {
            return false;
        };
        let Some(hook) = node.hook(entry) else {
            return false;
        };
        let frame = Frame::Data {
            hook: &hook.name,
            payload,
        }
        .emit();
        let Kind::Socket(socket) = &mut node.kind else {
            return false;
        };
        let taken = socket.push_data(frame);
        self.announce(to);
        taken
    }

    pub(super) fn push_control(&mut self, socket: NodeId, frame: Vec<u8>) {
        if let Some(Node {
            kind: Kind::Socket(node),
            ..
        }) = self.node_mut(socket)
        {
            let taken = node.push_control(frame);
            if !taken {
                self.count(Drop::SlowReader);
            }
            self.announce(socket);
        }
    }

    fn announce(&mut self, id: NodeId) {
        if let Some(Node {
            kind: Kind::Socket(socket),
            ..
        }) = self.node_mut(id)
            && !socket.announced
        {
            socket.announced = true;
            self.readable.push_back(id);
        }
    }

    /// After an L2TP node has done something: its timer, its packets.
    pub(super) fn after(&mut self, id: NodeId) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        let Kind::L2tp(l2tp) = &node.kind else { return };
        let (old, new) = (node.timer, l2tp.next_timeout());
        let sends = l2tp.has_outgoing();
        node.timer = new;
        if old != new {
            if let Some(due) = old {
                self.timers.remove(&(due, id));
            }
            if let Some(due) = new {
                self.timers.insert((due, id));
            }
        }
        if sends {
            self.transmit.push_back(id);
        }
    }
}

//! `netgraph.sock`: the frames of [`netgraph::frame`].

use std::io;
use std::rc::Rc;

use netgraph::frame::{Packet, frames};
use tokio::sync::Notify;

use super::{Endpoint, Shared};
use crate::engine::Engine;
use crate::graph::NodeId;

pub(crate) struct NetgraphEndpoint {
    node: NodeId,
    /// Frames that go together.
    packet: Packet,
}

/// A new socket node.
pub(crate) fn open(engine: &mut Engine) -> Option<(NetgraphEndpoint, Rc<Notify>)> {
    let (node, wake) = engine.open_netgraph().ok()?;
    let packet = Packet::default();
    Some((NetgraphEndpoint { node, packet }, wake))
}

impl Endpoint for NetgraphEndpoint {
    fn message(&mut self, shared: &Shared, message: &[u8]) -> bool {
        let mut engine = shared.borrow_mut();
        for frame in frames(message) {
            engine.netgraph_frame(self.node, frame);
        }
        true
    }

    fn flush(
        &mut self,
        engine: &mut Engine,
        send: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Option<io::Result<()>> {
        if self.packet.bytes().is_empty() {
            while let Some(frame) = engine.netgraph_front(self.node)
                && self.packet.has_room(frame.len())
            {
                self.packet.push(frame);
                engine.netgraph_pop(self.node);
            }
        }
        if self.packet.bytes().is_empty() {
            return None;
        }
        let result = send(self.packet.bytes());
        if result.is_ok() {
            self.packet.clear();
        }
        Some(result)
    }

    fn close(&mut self, engine: &mut Engine) {
        engine.close_netgraph(self.node);
    }
}

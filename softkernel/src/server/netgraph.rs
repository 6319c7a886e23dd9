//! `netgraph.sock`: the frames of [`netgraph::frame`].

use std::io;
use std::rc::Rc;

use tokio::sync::Notify;

use super::{Endpoint, Shared};
use crate::engine::Engine;
use crate::graph::NodeId;

pub(crate) struct NetgraphEndpoint(NodeId);

/// A new socket node.
pub(crate) fn open(engine: &mut Engine) -> Option<(NetgraphEndpoint, Rc<Notify>)> {
    let (id, wake) = engine.open_netgraph().ok()?;
    Some((NetgraphEndpoint(id), wake))
}

impl Endpoint for NetgraphEndpoint {
    fn message(&mut self, shared: &Shared, message: &[u8]) -> bool {
        shared.borrow_mut().netgraph_frame(self.0, message);
        true
    }

    fn flush(
        &mut self,
        engine: &mut Engine,
        send: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Option<io::Result<()>> {
        let result = send(engine.netgraph_front(self.0)?);
        if result.is_ok() {
            engine.netgraph_pop(self.0);
        }
        Some(result)
    }

    fn close(&mut self, engine: &mut Engine) {
        engine.close_netgraph(self.0);
    }
}

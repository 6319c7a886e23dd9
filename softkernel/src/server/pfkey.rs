//! `pfkey.sock`: one message of RFC 2367 a packet, in FreeBSD's numbers and layouts.

use std::io;
use std::rc::Rc;

use tokio::sync::Notify;

use super::{Endpoint, Shared};
use crate::engine::Engine;
use crate::ipsec::PfkeySocketId;

pub(crate) struct PfkeyEndpoint(PfkeySocketId);

/// A new PF_KEY socket.
pub(crate) fn open(engine: &mut Engine) -> Option<(PfkeyEndpoint, Rc<Notify>)> {
    let (id, wake) = engine.open_pfkey();
    Some((PfkeyEndpoint(id), wake))
}

impl Endpoint for PfkeyEndpoint {
    fn message(&mut self, shared: &Shared, message: &[u8]) -> bool {
        shared.borrow_mut().pfkey_message(self.0, message);
        true
    }

    fn flush(
        &mut self,
        engine: &mut Engine,
        send: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Option<io::Result<()>> {
        let outbox = engine.pfkey_outbox(self.0)?;
        let result = send(outbox.front()?);
        if result.is_ok() {
            outbox.pop();
        }
        Some(result)
    }

    fn close(&mut self, engine: &mut Engine) {
        engine.close_pfkey(self.0);
    }
}

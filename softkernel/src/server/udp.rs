//! `udp.sock`: the packets of [`softkernel_port`].

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use softkernel_port::{MAX_PACKET, Packet};
use tokio::sync::Notify;

use super::{Endpoint, Shared};
use crate::encapsulation::Opened;
use crate::engine::Engine;
use crate::kernel::PortId;

pub(crate) struct UdpEndpoint {
    id: PortId,
    bound: bool,
    /// The answer to the bind request, before anything else.
    answer: Option<Vec<u8>>,
}

/// A new socket, not bound.
pub(crate) fn open(engine: &mut Engine) -> Option<(UdpEndpoint, Rc<Notify>)> {
    let (id, wake) = engine.open_port();
    Some((
        UdpEndpoint {
            id,
            bound: false,
            answer: None,
        },
        wake,
    ))
}

impl Endpoint for UdpEndpoint {
    // A connected port for each client that another kernel cannot serve, and those of daemons.
    const MAX_CONNECTIONS: usize = 2048;
    const MAX_MESSAGE: usize = MAX_PACKET;

    fn message(&mut self, shared: &Shared, message: &[u8]) -> bool {
        match Packet::parse(message) {
            Ok(Packet::Bind { local, encap, peer }) if !self.bound => {
                let outcome = self.bind(shared, local, encap, peer);
                self.bound = outcome.is_ok();
                let answer = match outcome {
                    Ok(local) => Packet::Bound { local },
                    Err(errno) => Packet::Error { errno },
                };
                let mut bytes = Vec::new();
                answer.emit(&mut bytes);
                self.answer = Some(bytes);
                self.bound
            }
            Ok(Packet::Datagram { meta, payload }) if self.bound => {
                shared.borrow_mut().port_datagram(self.id, meta, payload);
                true
            }
            _ => false,
        }
    }

    fn flush(
        &mut self,
        engine: &mut Engine,
        send: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Option<io::Result<()>> {
        if let Some(answer) = &self.answer {
            let result = send(answer);
            if result.is_ok() {
                self.answer = None;
            }
            return Some(result);
        }
        let outbox = engine.port_outbox(self.id)?;
        let result = send(outbox.front()?);
        if result.is_ok() {
            outbox.pop();
        }
        Some(result)
    }

    fn close(&mut self, engine: &mut Engine) {
        engine.close_port(self.id);
    }
}

impl UdpEndpoint {
    fn bind(
        &self,
        shared: &Shared,
        local: SocketAddr,
        encap: bool,
        peer: Option<SocketAddr>,
    ) -> Result<SocketAddr, i32> {
        let mut engine = shared.borrow_mut();
        if !encap && peer.is_some() {
            return Err(libc::EINVAL);
        }
        if !encap {
            return engine.bind_inner(self.id, local).map_err(|errno| errno.0);
        }
        let refused = |error: io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
        let (local, opened) = engine
            .bind_encapsulation(self.id, local, peer)
            .map_err(refused)?;
        if let Some(opened) = opened {
            tokio::task::spawn_local(read_encapsulation(opened, Rc::clone(shared)));
        }
        Ok(local)
    }
}

/// Reads an encapsulation socket until it is closed.
async fn read_encapsulation(opened: Opened, shared: Shared) {
    let Opened { socket, closed } = opened;
    loop {
        let ready = tokio::select! {
            ready = socket.readable() => ready,
            () = closed.notified() => return,
        };
        let Ok(mut ready) = ready else { return };
        {
            let mut engine = shared.borrow_mut();
            if !engine.outer_readable(&socket) {
                ready.clear_ready();
            }
            engine.settle();
        }
        tokio::task::yield_now().await;
    }
}

//! The three sockets that daemons connect to. Each connection is served by a task of its own;
//! all tasks run on the control thread and take turns with the [`Engine`].
//!
//! | file | socket |
//! |---|---|
//! | `pfkey.rs` | `pfkey.sock`: one connection is one PF_KEY socket |
//! | `netgraph.rs` | `netgraph.sock`: one connection is one `ng_socket` node |
//! | `udp.rs` | `udp.sock`: one connection is one UDP socket |

pub mod netgraph;
pub mod pfkey;
pub mod udp;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use slog::{Logger, warn};
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::os::seqpacket::{Connection, Listener};

/// The engine as tasks share it. Borrowed only between two awaits.
pub type Shared = Rc<RefCell<Engine>>;

/// Messages taken from one connection before others have their turn.
const BATCH: usize = 32;
/// After running out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one end of a connection means to the engine.
pub(crate) trait Endpoint: 'static {
    /// Connections to this socket at once.
    const MAX_CONNECTIONS: usize = 256;
    /// Larger than any message, octets.
    const MAX_MESSAGE: usize = 256 * 1024;

    /// Takes a message; false ends the connection.
    fn message(&mut self, shared: &Shared, message: &[u8]) -> bool;
    /// Hands the oldest message for the reader to `send`, and removes it when that succeeded.
    /// None when there is nothing.
    fn flush(
        &mut self,
        engine: &mut Engine,
        send: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Option<io::Result<()>>;
    /// The connection is over.
    fn close(&mut self, engine: &mut Engine);
}

/// Accepts connections for ever.
pub(crate) async fn accept<E: Endpoint>(
    listener: Listener,
    shared: Shared,
    log: Logger,
    open: impl Fn(&mut Engine) -> Option<(E, Rc<Notify>)>,
) {
    let connections = Rc::new(());
    loop {
        let connection = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                warn!(log, "cannot accept a connection"; "reason" => %error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if Rc::strong_count(&connections) > E::MAX_CONNECTIONS {
            warn!(log, "too many connections"; "limit" => E::MAX_CONNECTIONS);
            continue;
        }
        let Some((endpoint, wake)) = open(&mut shared.borrow_mut()) else {
            continue;
        };
        let (shared, counted) = (Rc::clone(&shared), Rc::clone(&connections));
        tokio::task::spawn_local(async move {
            let mut endpoint = endpoint;
            // Its end, whatever the reason, is the end of the socket it stands for.
            let _ = serve(&connection, &mut endpoint, &shared, &wake).await;
            let mut engine = shared.borrow_mut();
            endpoint.close(&mut engine);
            engine.settle();
            drop(counted);
        });
    }
}

async fn serve<E: Endpoint>(
    connection: &Connection,
    endpoint: &mut E,
    shared: &Shared,
    wake: &Notify,
) -> io::Result<()> {
    let mut buffer = vec![0; E::MAX_MESSAGE];
    loop {
        let blocked = flush(connection, endpoint, shared)?;
        tokio::select! {
            ready = connection.readable() => {
                let mut ready = ready?;
                for _ in 0..BATCH {
                    match connection.receive(&mut buffer) {
                        Ok(0) => return Ok(()),
                        Ok(length) => {
                            let message = buffer.get(..length).unwrap_or_default();
                            if !endpoint.message(shared, message) {
                                flush(connection, endpoint, shared)?;
                                return Ok(());
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            ready.clear_ready();
                            break;
                        }
                        Err(error) => return Err(error),
                    }
                }
                shared.borrow_mut().settle();
                tokio::task::yield_now().await;
            }
            ready = connection.writable(), if blocked => {
                // Room was reported, or a refused attempt clears it below.
                let mut ready = ready?;
                if flush(connection, endpoint, shared)? {
                    ready.clear_ready();
                }
            }
            () = wake.notified() => {}
        }
    }
}

/// Sends what there is; true when the connection takes no more at the moment.
fn flush<E: Endpoint>(
    connection: &Connection,
    endpoint: &mut E,
    shared: &Shared,
) -> io::Result<bool> {
    let mut engine = shared.borrow_mut();
    let mut send = |message: &[u8]| connection.send(message);
    while let Some(result) = endpoint.flush(&mut engine, &mut send) {
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

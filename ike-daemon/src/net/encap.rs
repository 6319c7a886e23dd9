//! The NAT traversal port (RFC 3947 section 4, RFC 3948): IKE behind the four zero octets of the
//! non-ESP marker, beside ESP that the kernel keeps for itself.
//!
//! With softkernel the port belongs to it, and this end of it is reached through `udp.sock`; when
//! softkernel restarts the port is bound again: at once when its PF_KEY socket is there, else after
//! pauses that grow. With the system's kernel the socket is ours.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use softkernel_port::{Meta, UdpPort};
use tanuki_daemon::retry::Pauses;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::udp::Udp;
use super::{NetEvent, Received};

/// RFC 3948 section 2.2.
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// Datagrams waiting for softkernel.
const QUEUE: usize = 1024;

/// Where softkernel hands out ports.
#[derive(Debug, Clone)]
pub(super) struct Softkernel {
    /// Its `udp.sock`.
    pub(super) path: PathBuf,
    /// Signalled when it was seen running.
    pub(super) there: Arc<Notify>,
}

/// One bound NAT traversal port.
#[derive(Debug)]
pub enum Encap {
    /// Through softkernel.
    Soft(SoftEncap),
    /// A socket of ours with `UDP_ENCAP`.
    System(Udp),
}

/// The sending end of a port that softkernel holds.
#[derive(Debug)]
pub struct SoftEncap {
    local: SocketAddr,
    outgoing: mpsc::Sender<(Meta, Vec<u8>)>,
    task: JoinHandle<()>,
}

impl Encap {
    /// Whether datagrams from our address `source` leave through this one.
    pub(super) fn serves(&self, source: IpAddr) -> bool {
        let bound = match self {
            Self::Soft(soft) => soft.local.ip(),
            Self::System(udp) => udp.local().ip(),
        };
        bound == source || bound.is_unspecified() && bound.is_ipv4() == source.is_ipv4()
    }

    /// Whether everything queued is sent.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Soft(soft) => soft.outgoing.capacity() == soft.outgoing.max_capacity(),
            Self::System(_) => true,
        }
    }

    /// Sends at once or not at all.
    ///
    /// # Errors
    /// `WouldBlock` when softkernel is away or slow, or whatever the system says.
    pub(super) fn send(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        payload: &[u8],
    ) -> io::Result<()> {
        match self {
            Self::System(udp) => udp.send(local.ip(), peer, payload),
            Self::Soft(soft) => soft.send(local, peer, payload),
        }
    }
}

impl SoftEncap {
    /// Keeps `local` bound at softkernel from now on; what arrives goes to `events`.
    ///
    /// With `peer`: a socket connected to it, which takes that peer's datagrams and no others.
    pub(super) fn start(
        softkernel: Softkernel,
        local: SocketAddr,
        peer: Option<SocketAddr>,
        events: mpsc::Sender<NetEvent>,
    ) -> Self {
        let (outgoing, waiting) = mpsc::channel(QUEUE);
        let task = tokio::spawn(keep_bound(softkernel, local, peer, waiting, events));
        Self {
            local,
            outgoing,
            task,
        }
    }
}

impl SoftEncap {
    /// Sends at once or not at all.
    ///
    /// # Errors
    /// `WouldBlock` when softkernel is away or slow.
    pub(super) fn send(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        payload: &[u8],
    ) -> io::Result<()> {
        let meta = Meta {
            local,
            peer,
            reqid: 0,
        };
        self.outgoing
            .try_send((meta, payload.to_vec()))
            .map_err(|_| io::ErrorKind::WouldBlock.into())
    }
}

impl Drop for SoftEncap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_bound(
    softkernel: Softkernel,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    mut outgoing: mpsc::Receiver<(Meta, Vec<u8>)>,
    events: mpsc::Sender<NetEvent>,
) {
    let path = &softkernel.path;
    let mut told = false;
    let mut pauses = Pauses::default();
    loop {
        let bound = match peer {
            None => UdpPort::bind(path, local, true).await,
            Some(peer) => UdpPort::connect(path, local, peer).await,
        };
        let problem = match bound {
            Ok(port) => {
                told = false;
                pauses.reset();
                if events
                    .send(NetEvent::EncapUp {
                        local: port.local(),
                        peer,
                    })
                    .await
                    .is_err()
                {
                    return;
                }
                let Err(error) = carry(&port, &mut outgoing, &events).await else {
                    return;
                };
                error.to_string()
            }
            Err(error) => error.to_string(),
        };
        // Once per outage, not once per attempt.
        if !std::mem::replace(&mut told, true)
            && events
                .send(NetEvent::EncapDown {
                    local,
                    peer,
                    problem,
                })
                .await
                .is_err()
        {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pauses.pause()) => {}
            () = softkernel.there.notified() => {}
        }
        // What waited for the outage to end is stale: whoever sent it sends it again.
        while outgoing.try_recv().is_ok() {}
    }
}

/// Moves datagrams both ways; `Ok` when the daemon ends.
async fn carry(
    port: &UdpPort,
    outgoing: &mut mpsc::Receiver<(Meta, Vec<u8>)>,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            received = port.recv() => {
                let (meta, payload) = received?;
                let received = without_marker(meta.local, meta.peer, payload);
                if let Some(received) = received
                    && events.send(NetEvent::Datagram(received)).await.is_err()
                {
                    return Ok(());
                }
            }
            next = outgoing.recv() => {
                let Some((meta, payload)) = next else { return Ok(()) };
                port.send(meta, &payload).await?;
            }
        }
    }
}

/// IKE without its marker; anything else on this port is not for us.
pub(super) fn without_marker(
    local: SocketAddr,
    peer: SocketAddr,
    mut payload: Vec<u8>,
) -> Option<Received> {
    payload.starts_with(&NON_ESP_MARKER).then(|| {
        payload.drain(..NON_ESP_MARKER.len());
        Received {
            local,
            peer,
            natt_port: true,
            payload,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_datagrams_with_the_marker_are_ike() {
        let local = "192.0.2.1:4500".parse().unwrap();
        let peer = "198.51.100.7:61000".parse().unwrap();
        let received = without_marker(local, peer, b"\0\0\0\0ike".to_vec()).unwrap();
        assert_eq!(
            (&received.payload[..], received.natt_port),
            (&b"ike"[..], true)
        );
        for other in [&b"\xff"[..], b"", b"\0\0\0", b"\0\0\0\x01esp"] {
            assert!(without_marker(local, peer, other.to_vec()).is_none());
        }
    }
}

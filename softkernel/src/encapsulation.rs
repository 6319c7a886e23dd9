//! The UDP sockets of RFC 3948 that are open, and which connections of `udp.sock` have bound them.
//!
//! A socket that takes packets of everybody stays open for good. One that is connected to a single
//! peer lasts as long as its binder and, after it, as long as there is an SA for that peer: so ESP
//! flows on while the daemon restarts, and what the next daemon does not take up ends with its SAs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use tokio::sync::Notify;

use crate::ipsec::Ipsec;
use crate::kernel::PortId;
use crate::os::outer::OuterSocket;
use crate::table::Table;

/// Connected sockets at once, one for each client that another kernel cannot serve.
const MAX_CONNECTED: usize = 1024;

/// Our address, and the peer of a connected socket.
type Key = (SocketAddr, Option<SocketAddr>);

/// An open socket and what tells its reader that it is closed.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The socket.
    pub socket: Rc<OuterSocket>,
    /// Signalled when nobody needs it any more.
    pub closed: Rc<Notify>,
}

#[derive(Debug)]
struct Encapsulation {
    opened: Opened,
    binder: Option<PortId>,
}

/// Every open encapsulation socket.
#[derive(Debug, Default)]
pub struct Encapsulations {
    sockets: Table<Key, Encapsulation>,
    binders: Table<PortId, Key>,
    connected: usize,
    /// Connected sockets without binder.
    orphans: Vec<Key>,
    /// State of the SADB at which all orphans were last looked at.
    generation: Option<u64>,
}

impl Encapsulations {
    /// Binds a connection. Some: a new socket that wants reading.
    ///
    /// # Errors
    /// EADDRINUSE: another connection has it; EINVAL: a peer of the other family, or our address
    /// not said; ENOBUFS: too many; or the system refuses.
    pub fn bind(
        &mut self,
        id: PortId,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    ) -> io::Result<(SocketAddr, Option<Opened>)> {
        if let Some(known) = self.sockets.get_mut(&(local, peer)) {
            if known.binder.is_some() {
                return Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
            }
            known.binder = Some(id);
            self.binders.insert(id, (local, peer));
            self.orphans.retain(|orphan| *orphan != (local, peer));
            return Ok((local, None));
        }
        let socket = match peer {
            None => OuterSocket::encapsulation(local)?,
            Some(peer) if local.ip().is_unspecified() || local.is_ipv4() != peer.is_ipv4() => {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            Some(_) if self.connected >= MAX_CONNECTED => {
                return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
            }
            Some(peer) => OuterSocket::connected(local, peer)?,
        };
        let local = socket.local();
        let opened = Opened {
            socket: Rc::new(socket),
            closed: Rc::new(Notify::new()),
        };
        self.connected += usize::from(peer.is_some());
        self.binders.insert(id, (local, peer));
        self.sockets.insert(
            (local, peer),
            Encapsulation {
                opened: opened.clone(),
                binder: Some(id),
            },
        );
        Ok((local, Some(opened)))
    }

    /// A connection is over.
    pub fn unbind(&mut self, id: PortId) {
        let Some(key) = self.binders.remove(&id) else {
            return;
        };
        if let Some(known) = self.sockets.get_mut(&key) {
            known.binder = None;
        }
        if key.1.is_some() {
            self.orphans.push(key);
            self.generation = None;
        }
    }

    /// Closes connected sockets that neither a daemon nor an SA needs.
    pub fn close_unused(&mut self, ipsec: &Ipsec) {
        let generation = Some(ipsec.sa_generation());
        if self.orphans.is_empty() || self.generation == generation {
            return;
        }
        self.generation = generation;
        let Self {
            sockets,
            connected,
            orphans,
            ..
        } = self;
        orphans.retain(|key| {
            let needed = key.1.is_some_and(|peer| ipsec.has_encapsulated(peer));
            if !needed && let Some(closed) = sockets.remove(key) {
                closed.opened.closed.notify_one();
                *connected -= 1;
            }
            needed
        });
    }

    /// Who has bound the socket at this address of ours, connected to this peer.
    pub fn binder(&self, local: SocketAddr, peer: Option<SocketAddr>) -> Option<PortId> {
        self.sockets.get(&(local, peer))?.binder
    }

    /// The socket that a connection has bound.
    pub fn bound_by(&self, id: PortId) -> Option<&OuterSocket> {
        let key = self.binders.get(&id)?;
        self.sockets.get(key).map(|known| &*known.opened.socket)
    }

    /// The socket through which ESP from an address of ours to a peer goes.
    pub fn towards(&self, source: SocketAddr, peer: SocketAddr) -> Option<&OuterSocket> {
        let any: IpAddr = match source {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let wildcard = SocketAddr::new(any, source.port());
        [(source, Some(peer)), (source, None), (wildcard, None)]
            .iter()
            .find_map(|key| self.sockets.get(key))
            .map(|known| &*known.opened.socket)
    }

    /// Connected sockets that are open.
    pub fn connected(&self) -> usize {
        self.connected
    }
}

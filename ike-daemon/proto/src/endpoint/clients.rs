//! Clients: one peer behind one address and port with one identity, over all its ISAKMP SAs, and
//! the reqid that ties its IPsec SAs together.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand_core::CryptoRng;

use crate::carrier::{Carrier, OWN_REQIDS};
use crate::error::DownReason;
use crate::io::{ChildId, Event, IkeId, KernelRequest, Reqid, SecurityPolicy};
use crate::wire::id::Identification;

use super::Endpoint;
use super::timers::TimerKey;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) reqid: Reqid,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) natt_port: bool,
    pub(super) peer_nat: bool,
    pub(super) identity: Identification,
    pub(super) connection: Option<String>,
    pub(super) sessions: BTreeSet<IkeId>,
    pub(super) children: BTreeSet<ChildId>,
    pub(super) policies: Vec<(Carrier, SecurityPolicy)>,
    /// Windows has said it starts afresh; what is older goes when its first new IPsec SAs work: it
    /// says so in every Main Mode.
    pub(super) fresh_since: Option<Instant>,
    /// The last ESP that came.
    pub(super) traffic: Option<Instant>,
    /// A Quick Mode has asked whether it is still there.
    pub(super) asked: bool,
}

impl Endpoint {
    /// A client is at another address, has come, or is gone.
    pub(super) fn move_address(&mut self, reqid: Reqid, old: Option<IpAddr>, new: Option<IpAddr>) {
        if let Some(old) = old
            && let Some(others) = self.clients_at.get_mut(&old)
        {
            others.remove(&reqid);
            if others.is_empty() {
                self.clients_at.remove(&old);
            }
        }
        if let Some(new) = new {
            self.clients_at.entry(new).or_default().insert(reqid);
        }
    }

    /// The client an ISAKMP SA belongs to: that of the SA it replaces; or the one with this
    /// identity at this address, and behind NAT at this port; or a new one.
    pub(super) fn client_for(&mut self, id: IkeId, identity: &Identification) -> Option<Reqid> {
        let session = self.sessions.get(&id)?;
        let (path, nat) = (session.path, session.nat);
        let replaced = session
            .replaces
            .and_then(|old| self.sessions.get(&old))
            .and_then(|old| old.established())
            .map(|established| established.client);
        if let Some(reqid) = replaced.filter(|reqid| self.clients.contains_key(reqid)) {
            return Some(reqid);
        }
        let at = self.clients_at.get(&path.peer.ip()).into_iter().flatten();
        let mut clients = at.filter_map(|reqid| self.clients.get(reqid));
        let known = clients.find(|client| {
            client.local.ip() == path.local.ip()
                && client.peer.ip() == path.peer.ip()
                && client.peer_nat == nat.peer
                && (!nat.peer || client.peer.port() == path.peer.port())
                && client.identity.matches(identity)
        });
        if let Some(client) = known {
            return Some(client.reqid);
        }
        let connection = session.connection.clone();
        let reqid = self.free_reqid()?;
        self.move_address(reqid, None, Some(path.peer.ip()));
        self.clients.insert(
            reqid,
            Box::new(Client {
                reqid,
                local: path.local,
                peer: path.peer,
                natt_port: path.natt_port,
                peer_nat: nat.peer,
                identity: identity.clone(),
                connection,
                sessions: BTreeSet::new(),
                children: BTreeSet::new(),
                policies: Vec::new(),
                fresh_since: None,
                traffic: None,
                asked: false,
            }),
        );
        Some(reqid)
    }

    /// The next unused reqid, going round, so that one is not used again soon.
    fn free_reqid(&mut self) -> Option<Reqid> {
        for _ in OWN_REQIDS {
            let next = self.last_reqid.saturating_add(1);
            self.last_reqid = match OWN_REQIDS.contains(&next) {
                true => next,
                false => *OWN_REQIDS.start(),
            };
            let reqid = Reqid(self.last_reqid);
            if !self.clients.contains_key(&reqid) && !self.foreign_reqids.contains(&reqid.0) {
                return Some(reqid);
            }
        }
        None
    }

    /// All IPsec SAs of the client an ISAKMP SA belongs to.
    pub(super) fn children_of_session(&self, id: IkeId) -> Vec<ChildId> {
        self.sessions
            .get(&id)
            .and_then(|session| session.established())
            .and_then(|established| self.clients.get(&established.client))
            .map(|client| client.children.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Ends everything of a client.
    pub(super) fn remove_client(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        reqid: Reqid,
        reason: &DownReason,
        tell: bool,
    ) {
        let Some(client) = self.clients.get(&reqid) else {
            return;
        };
        let (sessions, children) = (client.sessions.clone(), client.children.clone());
        for child in children {
            self.remove_child(now, rng, child, reason.clone(), tell);
        }
        for session in sessions {
            self.remove_session(now, rng, session, reason.clone(), tell);
        }
    }

    /// A session has left its client; without any SA the client is gone.
    pub(super) fn leave_client(&mut self, reqid: Reqid, id: IkeId) {
        if let Some(client) = self.clients.get_mut(&reqid) {
            client.sessions.remove(&id);
            let newest = client.sessions.last().copied();
            // The youngest that is left works again.
            if let Some(newest) = newest
                && let Some(established) = self
                    .sessions
                    .get_mut(&newest)
                    .and_then(|session| session.established_mut())
                && established.retire.is_none()
            {
                established.superseded = false;
                self.arm_session(newest);
            }
        }
        self.collect_client(reqid);
    }

    /// Removes a client that has no SA left.
    pub(super) fn collect_client(&mut self, reqid: Reqid) {
        let empty = self
            .clients
            .get(&reqid)
            .is_some_and(|client| client.sessions.is_empty() && client.children.is_empty());
        if !empty {
            return;
        }
        if let Some(client) = self.clients.remove(&reqid) {
            self.timers.cancel(TimerKey::Client(reqid));
            self.move_address(reqid, Some(client.peer.ip()), None);
            for (carrier, policy) in client.policies {
                let replaced = self.clients.values().any(|other| {
                    let mut policies = other.policies.iter();
                    policies.any(|(own, other)| *own == carrier && other.matches_same(&policy))
                });
                // The kernel has one policy for the same traffic: that of who came last.
                if replaced {
                    continue;
                }
                let request = KernelRequest::RemovePolicy(policy);
                self.shared.kernel(carrier, request);
            }
            self.shared.leases.release(reqid);
            self.shared.changed();
            self.shared.event(Event::ClientGone {
                reqid,
                peer: client.peer,
            });
        }
    }

    /// The ISAKMP SA of a client to talk over: the youngest that is established.
    pub(super) fn newest_session(&self, reqid: Reqid) -> Option<IkeId> {
        let client = self.clients.get(&reqid)?;
        let established = |id: &&IkeId| {
            self.sessions
                .get(id)
                .and_then(|session| session.established())
                .map(|e| !e.superseded)
        };
        let mut youngest_first = client.sessions.iter().rev();
        youngest_first
            .find(|id| established(id) == Some(true))
            .or_else(|| {
                client
                    .sessions
                    .iter()
                    .rev()
                    .find(|id| established(id).is_some())
            })
            .copied()
    }
}

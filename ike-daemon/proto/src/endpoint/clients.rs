//! Clients: one peer behind one address and port with one identity, over all its ISAKMP SAs, and
//! the reqid that ties its IPsec SAs together.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ike_crypto::Cookie;
use rand_core::CryptoRng;

use crate::carrier::{Carrier, OWN_REQIDS};
use crate::error::{DownReason, Refusal};
use crate::io::{ChildId, Event, IkeId, KernelRequest, Reqid, SecurityPolicy};
use crate::wire::id::Identification;

use super::timers::TimerKey;
use super::{Endpoint, RETRY};

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
    /// Phase 1 is complete: finds or makes the client.
    pub(super) fn session_established(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: IkeId,
        initial_contact: bool,
    ) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let (path, nat, initiator, replaces, started) = (
            session.path,
            session.nat,
            session.initiator,
            session.replaces,
            session.started,
        );
        let vendor_initial_contact = session.vendor_initial_contact && !session.initiator;
        let Some(identity) = session.established().map(|e| e.peer_identity.clone()) else {
            return;
        };
        self.forget_half_open(id);
        let Some(reqid) = self.client_for(id, &identity) else {
            self.shared.refuse(now, path.peer, Refusal::TooManySas);
            let reason = DownReason::Refused(Refusal::TooManySas);
            self.remove_session(now, rng, id, reason, true);
            return;
        };
        if let Some(client) = self.clients.get_mut(&reqid) {
            client.sessions.insert(id);
            if !client.peer_nat {
                client.local = path.local;
                client.natt_port = path.natt_port;
                let before = std::mem::replace(&mut client.peer, path.peer);
                self.move_address(reqid, Some(before.ip()), Some(path.peer.ip()));
            }
        }
        if vendor_initial_contact && let Some(client) = self.clients.get_mut(&reqid) {
            client.fresh_since = Some(now);
        }
        let counters = &mut self.shared.counters;
        counters.phase1_established = counters.phase1_established.wrapping_add(1);
        self.shared.changed();
        self.shared.event(Event::IkeUp {
            ike: id,
            reqid,
            local: path.local,
            peer: path.peer,
            identity,
            initiator,
            took: now.saturating_duration_since(started),
            replaces,
        });
        if nat.detected() {
            let event = Event::NatDetected {
                ike: id,
                local: nat.local,
                peer: nat.peer,
            };
            self.shared.event(event);
        }
        let mut xauth = false;
        if let Some(session) = self.sessions.get_mut(&id)
            && let Some(established) = session.established_mut()
        {
            established.client = reqid;
            xauth = !established.xauth.is_through();
            established.initial_contact = initial_contact;
        }
        self.supersede_sessions(now, reqid, id, replaces.filter(|_| initiator));
        self.move_client(reqid, path.peer);
        for displaced in self.displaced(reqid, path.peer) {
            self.remove_client(now, rng, displaced, &DownReason::Replaced, false);
        }
        self.arm_client(reqid);
        self.evict_sessions(now, rng, reqid, id);
        match (xauth, initiator) {
            (false, _) => self.session_ready(now, rng, id),
            (true, false) => self.with_session(now, rng, id, |session, cx| {
                session.ask_password(cx);
            }),
            // We are asked.
            (true, true) => {}
        }
    }

    /// Phase 1 and what comes after it are complete: Quick Modes may begin. As initiator an address
    /// comes first, where one is wanted.
    pub(super) fn session_ready(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: IkeId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let wants_address = session
            .connection
            .as_deref()
            .and_then(|name| self.shared.policy.connection(name))
            .is_some_and(|connection| connection.mode_config)
            && session.initiator
            && !session.wishes.is_empty();
        let Some(established) = session.established_mut() else {
            return;
        };
        let initial_contact = std::mem::take(&mut established.initial_contact);
        let address = established.address;
        if wants_address && address.is_none() {
            self.with_session(now, rng, id, |session, cx| session.ask_address(cx));
            return;
        }
        let mut wishes = std::mem::take(&mut session.wishes);
        if initial_contact {
            self.initial_contact(now, rng, id);
        }
        for wish in &mut wishes {
            if let Some(address) = address {
                wish.traffic.come_from(address);
            }
        }
        for wish in wishes {
            self.with_session(now, rng, id, |session, cx| {
                session.start_quick_mode(cx, wish)
            });
        }
    }

    /// An established ISAKMP SA that came to nothing: no password, no address.
    pub(super) fn session_dismissed(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: IkeId,
        reason: DownReason,
    ) {
        let connection = self
            .sessions
            .get(&id)
            .filter(|session| !session.wishes.is_empty())
            .and_then(|session| session.connection.clone());
        self.remove_session(now, rng, id, reason.clone(), true);
        if let Some(connection) = connection {
            self.shared
                .event(Event::ConnectionFailed { connection, reason });
        }
    }

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
    fn client_for(&mut self, id: IkeId, identity: &Identification) -> Option<Reqid> {
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

    /// A new ISAKMP SA does the work of the older ones from now on. When we rekeyed, the one
    /// replaced goes soon; otherwise that is the peer's to say.
    fn supersede_sessions(
        &mut self,
        now: Instant,
        reqid: Reqid,
        newest: IkeId,
        retire: Option<IkeId>,
    ) {
        let others: Vec<IkeId> = self
            .clients
            .get(&reqid)
            .map(|client| {
                client
                    .sessions
                    .iter()
                    .copied()
                    .filter(|id| *id != newest)
                    .collect()
            })
            .unwrap_or_default();
        for id in others {
            if let Some(established) = self
                .sessions
                .get_mut(&id)
                .and_then(|session| session.established_mut())
            {
                established.superseded = true;
                established.rekey = None;
                if retire == Some(id) {
                    established.retire = Some(now + RETRY);
                }
            }
            self.arm_session(id);
        }
    }

    fn evict_sessions(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        reqid: Reqid,
        newest: IkeId,
    ) {
        let limit = self.shared.policy.limits.ike_sas_per_client.max(1);
        let surplus: Vec<IkeId> = self
            .clients
            .get(&reqid)
            .map(|client| {
                let count = client.sessions.len().saturating_sub(limit);
                client
                    .sessions
                    .iter()
                    .copied()
                    .filter(|id| *id != newest)
                    .take(count)
                    .collect()
            })
            .unwrap_or_default();
        for id in surplus {
            self.remove_session(now, rng, id, DownReason::Evicted, true);
        }
        let established = self.sessions.len().saturating_sub(self.half_open.len());
        if established > self.shared.policy.limits.ike_sas {
            let reason = DownReason::Refused(Refusal::TooManySas);
            self.remove_session(now, rng, newest, reason, true);
        }
    }

    /// INITIAL-CONTACT under an authenticated ISAKMP SA: what this client had before is gone on
    /// its side (RFC 2407 4.6.3.3). Other clients, at the same address with another port or
    /// identity, are not touched.
    pub(super) fn initial_contact(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: IkeId) {
        let Some(established) = self
            .sessions
            .get(&id)
            .and_then(|session| session.established())
        else {
            return;
        };
        let (reqid, since) = (established.client, established.since);
        self.forget_older(now, rng, reqid, id, since);
    }

    /// What a client had before `since` is gone, but for `id` and what was made under it.
    pub(super) fn forget_older(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        reqid: Reqid,
        id: IkeId,
        since: Instant,
    ) {
        let Some(client) = self.clients.get(&reqid) else {
            return;
        };
        let sessions: Vec<IkeId> = client
            .sessions
            .iter()
            .copied()
            .filter(|other| *other != id)
            .filter(|other| {
                self.sessions
                    .get(other)
                    .and_then(|session| session.established())
                    .is_some_and(|established| established.since <= since)
            })
            .collect();
        self.remove_older_children(now, rng, reqid, id, since);
        for session in sessions {
            self.remove_session(now, rng, session, DownReason::InitialContact, false);
        }
    }

    /// IPsec SAs of a client from before `since` that were not made under `id`.
    fn remove_older_children(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        reqid: Reqid,
        id: IkeId,
        since: Instant,
    ) {
        let old: Vec<ChildId> = self
            .clients
            .get(&reqid)
            .map(|client| client.children.iter().copied().collect())
            .unwrap_or_default();
        for child in old {
            let older = self
                .children
                .get(&child)
                .is_some_and(|child| child.ike != id && child.created <= since);
            if older {
                self.remove_child(now, rng, child, DownReason::InitialContact, false);
            }
        }
    }

    /// The peer has deleted IPsec SAs: only its own count.
    pub(super) fn deleted_esp(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: IkeId,
        spis: &[u32],
    ) {
        for child in self.children_of_session(id) {
            let named = self
                .children
                .get(&child)
                .is_some_and(|c| spis.contains(&c.spi_out));
            if named {
                self.remove_child(now, rng, child, DownReason::DeletedByPeer, false);
            }
        }
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

    /// The peer has deleted ISAKMP SAs: only its own count. IPsec SAs live on.
    pub(super) fn deleted_isakmp(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: IkeId,
        cookies: &[(Cookie, Cookie)],
    ) {
        let client = |endpoint: &Self, id: &IkeId| {
            endpoint
                .sessions
                .get(id)
                .and_then(|session| session.established())
                .map(|established| established.client)
        };
        let Some(own) = client(self, &id) else {
            return;
        };
        for cookies in cookies {
            if let Some(&named) = self.by_cookies.get(cookies)
                && client(self, &named) == Some(own)
            {
                self.remove_session(now, rng, named, DownReason::DeletedByPeer, false);
            }
        }
    }

    /// Dead peer detection has had no answer: everything of this client goes. It is told, in case
    /// only its answers were lost.
    pub(super) fn peer_dead(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: IkeId) {
        let counters = &mut self.shared.counters;
        counters.dpd_deaths = counters.dpd_deaths.wrapping_add(1);
        let reqid = self
            .sessions
            .get(&id)
            .and_then(|session| session.established())
            .map(|established| established.client);
        if let Some(reqid) = reqid {
            self.remove_client(now, rng, reqid, &DownReason::DpdTimeout, true);
        }
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

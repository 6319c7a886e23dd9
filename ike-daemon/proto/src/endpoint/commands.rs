//! What an operator, the kernel or a timer asks for: initiate, rekey, delete, flush.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::context::Context;
use crate::error::{CommandError, DownReason};
use crate::ikev1::Session;
use crate::ikev1::child::{Child, ChildStage};
use crate::ikev1::identity_for;
use crate::ikev1::quick_mode::QuickWish;
use crate::ikev1::traffic::wanted;
use crate::io::{ChildId, IkeId, Reqid};
use crate::nat::Path;
use crate::policy::Method;
use crate::wire::id::Identification;

use super::Endpoint;

/// A Main Mode to start.
pub(super) struct Start {
    pub(super) path: Path,
    pub(super) connection: Option<String>,
    pub(super) expected_identity: Option<Identification>,
    pub(super) replaces: Option<IkeId>,
    pub(super) wishes: Vec<QuickWish>,
    pub(super) initial_contact: bool,
}

impl Endpoint {
    /// Starts (or, if an ISAKMP SA for it is up, adds IPsec SAs to) a connection of the policy.
    pub fn initiate(
        &mut self,
        now: Instant,
        connection: &str,
        rng: &mut dyn CryptoRng,
    ) -> Result<IkeId, CommandError> {
        let policy = &self.shared.policy;
        let Some(spec) = policy.connection(connection).cloned() else {
            return Err(CommandError::UnknownConnection(connection.to_owned()));
        };
        let path = Path {
            local: (spec.local, policy.nat.ike_port).into(),
            peer: spec.peer,
            natt_port: false,
        };
        let wish = |path: &Path| QuickWish {
            mode: spec.mode,
            traffic: wanted(&spec, path),
            pfs: spec.pfs,
            replaces: None,
            kilobytes: 0,
        };
        let under_way = self
            .sessions
            .values()
            .find(|session| {
                session.connection.as_deref() == Some(connection)
                    && session
                        .established()
                        .is_none_or(|established| !established.superseded)
            })
            .map(|session| (session.id, session.path, session.established().is_some()));
        if let Some((id, path, established)) = under_way {
            if established {
                let wish = wish(&path);
                self.with_session(now, rng, id, |session, cx| {
                    session.start_quick_mode(cx, wish);
                });
            }
            return Ok(id);
        }
        let only = !self
            .clients
            .values()
            .any(|client| client.peer.ip() == spec.peer.ip());
        let start = Start {
            path,
            connection: Some(connection.to_owned()),
            expected_identity: spec.peer_identity.clone(),
            replaces: None,
            wishes: vec![wish(&path)],
            initial_contact: spec.initial_contact && only,
        };
        self.start_main_mode(now, rng, start)
    }

    pub(super) fn start_main_mode(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        start: Start,
    ) -> Result<IkeId, CommandError> {
        let policy = &self.shared.policy;
        let peer = start.path.peer.ip();
        let secret = !policy
            .secrets_for(peer, start.expected_identity.as_ref())
            .is_empty();
        let authentication = policy.terms(peer).authentication;
        let connection = start
            .connection
            .as_deref()
            .and_then(|name| policy.connection(name));
        let login = connection.is_some_and(|connection| connection.login.is_some());
        let aggressive = connection.is_some_and(|connection| connection.aggressive);
        // Rekeying is no occasion to prove less.
        let before = start
            .replaces
            .and_then(|old| self.sessions.get(&old))
            .and_then(|old| old.established())
            .map(|established| established.method);
        let methods: Vec<Method> = authentication
            .methods
            .iter()
            .copied()
            .filter(|method| authentication.can(*method, true, secret))
            .filter(|method| login || !method.uses_xauth())
            .filter(|method| before.is_none_or(|before| before == *method))
            .collect();
        if methods.is_empty() {
            return Err(CommandError::NoSecret(peer));
        }
        let limits = &policy.limits;
        if self.sessions.len() >= limits.ike_sas.saturating_add(limits.half_open) {
            return Err(CommandError::TooMany);
        }
        let local_identity = start
            .replaces
            .and_then(|old| self.sessions.get(&old))
            .map(|old| old.local_identity.clone())
            .unwrap_or_else(|| identity_for(policy, start.connection.as_deref(), start.path));
        let mut effects = Vec::new();
        let mut cx = Context {
            now,
            rng,
            shared: &mut self.shared,
            effects: &mut effects,
        };
        let session = match aggressive {
            true => Session::initiate_aggressive(&mut cx, start.path, local_identity, &methods),
            false => Some(Session::initiate(
                &mut cx,
                start.path,
                local_identity,
                &methods,
            )),
        };
        let mut session = session.ok_or(CommandError::NoSecret(peer))?;
        session.connection = start.connection;
        session.expected_identity = start.expected_identity;
        session.replaces = start.replaces;
        session.wishes = start.wishes;
        session.announce_initial_contact = start.initial_contact;
        let id = session.id;
        let counters = &mut self.shared.counters;
        counters.phase1_initiated = counters.phase1_initiated.wrapping_add(1);
        self.by_own_cookie.insert(session.cky_i, id);
        self.sessions.insert(id, Box::new(session));
        self.arm_session(id);
        Ok(id)
    }

    /// Whether a connection's IPsec SAs are being negotiated, or put into the kernel.
    fn is_under_way(&self, connection: &str) -> bool {
        let sessions = self.sessions.values();
        let mut own = sessions.filter(|it| it.connection.as_deref() == Some(connection));
        own.any(|it| {
            it.established().is_none() || !it.wishes.is_empty() || it.open_quick_modes() > 0
        }) || self.children_of(connection).any(|child| !child.is_up())
    }

    /// Whether a connection has IPsec SAs, or is about to have some. An ISAKMP SA alone carries
    /// nothing.
    pub fn is_connected(&self, connection: &str) -> bool {
        self.is_under_way(connection)
            || self
                .children_of(connection)
                .any(|child| child.stage != ChildStage::Superseded)
    }

    fn children_of<'a>(&'a self, connection: &'a str) -> impl Iterator<Item = &'a Child> {
        let clients = self.clients.values();
        clients
            .filter(move |client| client.connection.as_deref() == Some(connection))
            .flat_map(|client| &client.children)
            .filter_map(|id| self.children.get(id).map(Box::as_ref))
    }

    /// The kernel had inbound SAs of a client that nobody here knows, left over from a process
    /// that ended before it wrote them down: the peer, which may use them, is told that they are
    /// gone.
    pub fn disown(
        &mut self,
        now: Instant,
        reqid: Reqid,
        destination: IpAddr,
        spis: &[u32],
        rng: &mut dyn CryptoRng,
    ) {
        let client = self.clients.get(&reqid);
        if client.is_none_or(|client| client.local.ip() != destination) {
            return;
        }
        if let Some(session) = self.newest_session(reqid) {
            self.with_session(now, rng, session, |session, cx| {
                session.send_delete_esp(cx, spis);
            });
        }
    }

    /// Outbound traffic wants an SA: the connection to that peer, if there is one.
    pub(super) fn acquire(&mut self, now: Instant, rng: &mut dyn CryptoRng, peer: IpAddr) {
        let name = self
            .shared
            .policy
            .connections
            .iter()
            .find(|connection| connection.peer.ip() == peer)
            .map(|connection| connection.name.clone());
        // The SAs it wants may be under negotiation, or on their way to the kernel since it asked.
        if let Some(name) = name.filter(|name| !self.is_under_way(name)) {
            // A failure has no one to be told to; the next packet asks again.
            let _ = self.initiate(now, &name, rng);
        }
    }

    /// Rekeys an ISAKMP SA: a new Main Mode beside it.
    pub(super) fn rekey_session(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: IkeId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let Some(established) = session.established() else {
            return;
        };
        if self
            .sessions
            .values()
            .any(|other| other.replaces == Some(id))
        {
            return;
        }
        let start = Start {
            path: session.path,
            connection: session.connection.clone(),
            expected_identity: Some(established.peer_identity.clone()),
            replaces: Some(id),
            wishes: Vec::new(),
            initial_contact: false,
        };
        // Without a secret any more the SA simply runs out.
        let _ = self.start_main_mode(now, rng, start);
        self.arm_session(id);
    }

    /// Rekeys an ISAKMP SA now.
    pub fn rekey_ike(
        &mut self,
        now: Instant,
        ike: IkeId,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        let session = self.sessions.get(&ike).ok_or(CommandError::UnknownSa)?;
        if session.established().is_none() {
            return Err(CommandError::UnknownSa);
        }
        self.rekey_session(now, rng, ike);
        Ok(())
    }

    /// Rekeys a pair of IPsec SAs now.
    pub fn rekey_child(
        &mut self,
        now: Instant,
        child: ChildId,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        if !self.children.contains_key(&child) || !self.replace_child(now, rng, child) {
            return Err(CommandError::UnknownSa);
        }
        self.arm_child(child);
        Ok(())
    }

    /// Deletes an ISAKMP SA, telling the peer; with `children` also all IPsec SAs and other ISAKMP
    /// SAs of its client.
    pub fn delete_ike(
        &mut self,
        now: Instant,
        ike: IkeId,
        children: bool,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        let session = self.sessions.get(&ike).ok_or(CommandError::UnknownSa)?;
        let client = session.established().map(|established| established.client);
        match client {
            Some(reqid) if children => {
                self.remove_client(now, rng, reqid, &DownReason::DeletedLocally, true);
            }
            _ => self.remove_session(now, rng, ike, DownReason::DeletedLocally, true),
        }
        Ok(())
    }

    /// Deletes a pair of IPsec SAs, telling the peer.
    pub fn delete_child(
        &mut self,
        now: Instant,
        child: ChildId,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        if !self.children.contains_key(&child) {
            return Err(CommandError::UnknownSa);
        }
        self.remove_child(now, rng, child, DownReason::DeletedLocally, true);
        Ok(())
    }

    /// Deletes everything, telling every peer: one message for the IPsec SAs of a client and one
    /// for each of its ISAKMP SAs.
    pub fn flush(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let mut spis: BTreeMap<Reqid, Vec<u32>> = BTreeMap::new();
        for child in self.children.values() {
            spis.entry(child.reqid).or_default().push(child.spi_in);
        }
        for (reqid, spis) in spis {
            if let Some(session) = self.newest_session(reqid) {
                self.with_session(now, rng, session, |session, cx| {
                    session.send_delete_esp(cx, &spis);
                });
            }
        }
        let children: Vec<ChildId> = self.children.keys().copied().collect();
        for child in children {
            self.remove_child(now, rng, child, DownReason::DeletedLocally, false);
        }
        let sessions: Vec<IkeId> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.remove_session(now, rng, session, DownReason::DeletedLocally, true);
        }
    }
}

//! An ISAKMP SA is complete: whose it is, what it takes over, and what may begin under it.

use std::time::Instant;

use rand_core::CryptoRng;

use crate::error::{DownReason, Refusal};
use crate::io::{Event, IkeId, Reqid};

use super::{Endpoint, RETRY};

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
}

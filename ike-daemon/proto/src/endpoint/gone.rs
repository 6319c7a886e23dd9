//! What a peer no longer has: by INITIAL-CONTACT (RFC 2407 4.6.3.3), by Delete (RFC 2408 3.15), or by
//! its silence (RFC 3706).

use std::time::Instant;

use ike_crypto::Cookie;
use rand_core::CryptoRng;

use crate::error::DownReason;
use crate::io::{ChildId, IkeId, Reqid};

use super::Endpoint;

impl Endpoint {
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
}

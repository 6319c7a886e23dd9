//! The life of ISAKMP SAs as the endpoint sees it: a step, what it asks of others, the end.

use std::collections::BTreeSet;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::context::{Context, Effect, JobOwner};
use crate::error::DownReason;
use crate::ikev1::phase1::Phase;
use crate::ikev1::{EndCause, Session, SessionDue};
use crate::io::{ChildId, Event, IkeId};

use super::timers::TimerKey;
use super::{Endpoint, RETRY};

impl Endpoint {
    pub(super) fn session_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: IkeId) {
        let mut due = None;
        self.with_session(now, rng, id, |session, cx| due = session.handle_timeout(cx));
        match due {
            None => {}
            Some(SessionDue::Rekey) => self.rekey_session(now, rng, id),
            Some(SessionDue::End(EndCause::Expired)) => {
                self.remove_session(now, rng, id, DownReason::Expired, true);
            }
            Some(SessionDue::End(EndCause::Replaced)) => {
                self.remove_session(now, rng, id, DownReason::Replaced, true);
            }
            Some(SessionDue::End(EndCause::DpdDead)) => self.peer_dead(now, rng, id),
        }
    }

    /// Runs one step of a session, then does what it asked for.
    pub(super) fn with_session(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: IkeId,
        step: impl FnOnce(&mut Session, &mut Context<'_>),
    ) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let before = session.cky_r;
        let mut effects = Vec::new();
        let mut cx = Context {
            now,
            rng: &mut *rng,
            shared: &mut self.shared,
            effects: &mut effects,
        };
        step(session, &mut cx);
        if session.cky_r != before {
            // MM2 brought the responder cookie.
            let cookies = (session.cky_i, session.cky_r);
            self.by_own_cookie.remove(&cookies.0);
            self.by_cookies.insert(cookies, id);
        }
        for effect in effects {
            self.apply(now, rng, id, effect);
        }
        self.arm_session(id);
    }

    fn apply(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: IkeId, effect: Effect) {
        match effect {
            Effect::Established { initial_contact } => {
                self.session_established(now, rng, id, initial_contact);
            }
            Effect::Ended(reason) => self.remove_session(now, rng, id, reason, false),
            Effect::Ready => self.session_ready(now, rng, id),
            Effect::Dismissed(reason) => self.session_dismissed(now, rng, id, reason),
            Effect::Displaced(reqid) => {
                self.remove_client(now, rng, reqid, &DownReason::Replaced, true);
            }
            Effect::Moved(path) => self.session_moved(id, path),
            Effect::InitialContact => self.initial_contact(now, rng, id),
            Effect::Look => {
                let session = self
                    .sessions
                    .get(&id)
                    .and_then(|session| session.established());
                if let Some(reqid) = session.map(|established| established.client) {
                    self.look_for_traffic(reqid);
                }
            }
            Effect::DeleteEsp(spis) => self.deleted_esp(now, rng, id, &spis),
            Effect::DeleteIsakmp(cookies) => self.deleted_isakmp(now, rng, id, &cookies),
            Effect::ChildAgreed(child, outbound) => {
                self.child_agreed(now, rng, *child, outbound);
            }
            Effect::ChildComplete(child, outbound) => {
                self.child_complete(now, rng, child, outbound);
            }
            Effect::ChildFailed {
                child,
                replaces,
                reason,
            } => {
                self.child_failed(now, rng, id, child, replaces, reason);
            }
        }
    }

    /// Ends a session, whatever its state. IPsec SAs made under it live on.
    pub(super) fn remove_session(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: IkeId,
        reason: DownReason,
        tell: bool,
    ) {
        let Some(mut session) = self.sessions.remove(&id) else {
            return;
        };
        let mut effects = Vec::new();
        let mut cx = Context {
            now,
            rng: &mut *rng,
            shared: &mut self.shared,
            effects: &mut effects,
        };
        session.abandon_quick_modes(&mut cx, &reason);
        if tell {
            session.send_delete_isakmp(&mut cx);
        }
        self.forget_half_open(id);
        self.by_cookies.remove(&(session.cky_i, session.cky_r));
        self.by_own_cookie.remove(&session.cky_i);
        if let Some(source) = session.first_source {
            self.by_first_message.remove(&(source, session.cky_i));
        }
        self.timers.cancel(TimerKey::Session(id));
        let stale = |owner: &JobOwner| match owner {
            JobOwner::Phase1(own) | JobOwner::QuickMode(own, _) => *own == id,
            JobOwner::Ready => false,
        };
        self.shared.jobs.retain(|_, owner| !stale(owner));
        self.shared.pending.retain(|_, pending| pending.ike != id);
        let reqid = session.established().map(|established| established.client);
        let established = matches!(session.phase, Phase::Established(_));
        let evicted = !established && !session.initiator && reason == DownReason::Evicted;
        if !established {
            let counters = &mut self.shared.counters;
            counters.phase1_failed = counters.phase1_failed.wrapping_add(1);
        } else {
            self.shared.changed();
        }
        // A flood must not become a flood of events.
        if !evicted {
            self.shared.event(Event::IkeDown {
                ike: id,
                reqid,
                local: session.path.local,
                peer: session.path.peer,
                established,
                reason: reason.clone(),
            });
        }
        if let (false, Some(connection), None) =
            (established, session.connection.clone(), session.replaces)
        {
            self.shared.event(Event::ConnectionFailed {
                connection,
                reason: reason.clone(),
            });
        }
        for effect in effects {
            self.apply(now, rng, id, effect);
        }
        self.rekey_failed(now, &session);
        if let Some(reqid) = reqid {
            self.leave_client(reqid, id);
        }
    }

    pub(super) fn forget_half_open(&mut self, id: IkeId) {
        let Some(source) = self.half_open.remove(&id) else {
            return;
        };
        if let Some(count) = self.half_open_by_source.get_mut(&source.ip()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.half_open_by_source.remove(&source.ip());
            }
        }
    }

    /// A rekeying that came to nothing: what it was to replace tries again later, while it lives.
    fn rekey_failed(&mut self, now: Instant, session: &Session) {
        if session.established().is_some() {
            return;
        }
        if let Some(old) = session.replaces
            && let Some(old) = self.sessions.get_mut(&old)
            && let Some(established) = old.established_mut()
        {
            established.rekey = Some(now + RETRY).filter(|at| *at < established.expires);
            let id = old.id;
            self.arm_session(id);
        }
        let replaced: BTreeSet<ChildId> = session
            .wishes
            .iter()
            .filter_map(|wish| wish.replaces)
            .collect();
        for child in replaced {
            self.child_rekey_failed(now, child);
        }
    }

    pub(super) fn arm_session(&mut self, id: IkeId) {
        let due = self
            .sessions
            .get(&id)
            .and_then(|session| session.due(&self.shared.policy));
        self.timers.set(TimerKey::Session(id), due);
    }
}

//! The endpoint: cookie table, stateless answers and limits on half-open exchanges. What belongs
//! to one ISAKMP SA is in `ikev1`.
//!
//! * `clients`: who the ISAKMP SAs belong to, INITIAL-CONTACT
//! * `mappings`: NATs that give a client another port
//! * `children`: IPsec SAs and their rekeying
//! * `fragments`: pieces of messages, put together in front of everything else
//! * `silence`: peers that have gone and cannot be asked by dead peer detection
//! * `commands`: what an operator, or the kernel, asks for
//! * `timers`: one queue for everything
//! * `views`, `restore`: looking at it, and carrying it over a restart

mod children;
mod clients;
mod commands;
mod fragments;
mod mappings;
mod restore;
mod silence;
mod timers;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_crypto::Cookie;
use rand_core::CryptoRng;

use crate::carrier::Carriers;
use crate::context::{Context, Effect, JobOwner, Shared};
use crate::error::{DownReason, Refusal, WireError};
use crate::fragment::Reassembly;
use crate::iana::{ExchangeType, NotifyType, PayloadType};
use crate::ikev1::child::Child;
use crate::ikev1::informational::stateless_notification;
use crate::ikev1::phase1::Phase;
use crate::ikev1::{EndCause, Received, Session, SessionDue};
use crate::io::{ChildId, Datagram, Event, IkeId, JobResult, KernelReply, Output, Reqid};
use crate::job::Outcome;
use crate::nat::Path;
use crate::offer;
use crate::policy::Policy;
use crate::wire::header::{HEADER_LEN, Header};
use crate::wire::sa::SaPayload;

use clients::Client;
use timers::{TimerKey, Timers};

/// All IKE state of one host. See [`crate::io`] for how to drive it.
pub struct Endpoint {
    shared: Shared,
    // Boxed: a node of a B-tree has room for eleven, and about half of it is used.
    sessions: BTreeMap<IkeId, Box<Session>>,
    by_cookies: BTreeMap<(Cookie, Cookie), IkeId>,
    /// Exchanges begun by peers, by source and initiator cookie: a late repetition of their first
    /// message must not begin another one.
    by_first_message: BTreeMap<(SocketAddr, Cookie), IkeId>,
    /// Exchanges begun by us whose responder cookie is unknown.
    by_own_cookie: BTreeMap<Cookie, IkeId>,
    /// Exchanges begun by peers and not established, oldest first.
    half_open: BTreeMap<IkeId, SocketAddr>,
    half_open_by_source: BTreeMap<IpAddr, usize>,
    clients: BTreeMap<Reqid, Box<Client>>,
    /// Clients by their addresses.
    clients_at: BTreeMap<IpAddr, BTreeSet<Reqid>>,
    last_reqid: u32,
    /// Used by others in the system's kernel.
    foreign_reqids: BTreeSet<u32>,
    children: BTreeMap<ChildId, Box<Child>>,
    by_spi_in: BTreeMap<u32, ChildId>,
    timers: Timers,
    reassembly: Reassembly,
}

/// Exchange types of Microsoft's AuthIP, which some Windows versions try first.
const AUTHIP: std::ops::RangeInclusive<u8> = 243..=246;

/// A first message longer than this is not answered: macOS' has about 700 octets.
const MAX_FIRST_MESSAGE: usize = 4096;

impl Endpoint {
    /// An endpoint without any state.
    pub fn new(policy: Policy) -> Self {
        Self {
            shared: Shared::new(policy),
            sessions: BTreeMap::new(),
            by_cookies: BTreeMap::new(),
            by_first_message: BTreeMap::new(),
            by_own_cookie: BTreeMap::new(),
            half_open: BTreeMap::new(),
            half_open_by_source: BTreeMap::new(),
            clients: BTreeMap::new(),
            clients_at: BTreeMap::new(),
            last_reqid: 0,
            foreign_reqids: BTreeSet::new(),
            children: BTreeMap::new(),
            by_spi_in: BTreeMap::new(),
            timers: Timers::default(),
            reassembly: Reassembly::default(),
        }
    }

    /// Tells which kernels there are. IPsec SAs stay where they are.
    pub fn set_carriers(&mut self, carriers: Carriers) {
        self.shared.carriers = carriers;
    }

    /// Tells which reqids new clients must not be given.
    pub fn avoid_reqids(&mut self, foreign: BTreeSet<u32>) {
        self.foreign_reqids = foreign;
    }

    /// The reqids of all clients.
    pub fn reqids(&self) -> BTreeSet<u32> {
        self.clients.keys().map(|reqid| reqid.0).collect()
    }

    /// The kernels there are.
    pub fn carriers(&self) -> &Carriers {
        &self.shared.carriers
    }

    /// Replaces the policy. Established SAs stay; exchanges under way finish under the new one.
    pub fn set_policy(&mut self, policy: Policy) {
        self.shared.policy = policy;
        let ids: Vec<IkeId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.arm_session(id);
        }
        for reqid in self.clients.keys().copied().collect::<Vec<_>>() {
            self.arm_client(reqid);
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The next thing to do. Drain until `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.outputs.pop_front()
    }

    /// When `handle_timeout` is due; `None` while there is nothing to wait for. May change with
    /// every input.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Grows with every change a checkpoint must record.
    pub fn generation(&self) -> u64 {
        self.shared.generation
    }

    /// Takes in one datagram.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: Datagram<'_>,
        rng: &mut dyn CryptoRng,
    ) {
        let counters = &mut self.shared.counters;
        counters.datagrams_in = counters.datagrams_in.wrapping_add(1);
        let path = Path {
            local: canonical(datagram.local),
            peer: canonical(datagram.peer),
            natt_port: datagram.natt_port,
        };
        match Header::parse(datagram.payload) {
            Ok((header, body)) => {
                let message = Received {
                    path,
                    header,
                    body,
                    datagram: without_trailer(datagram.payload, body),
                };
                self.dispatch(now, rng, &message);
            }
            Err(WireError::Version(2)) => self.refuse_ikev2(now, &path, datagram.payload),
            Err(_) => self.shared.malformed(now, path.peer),
        }
    }

    fn dispatch(&mut self, now: Instant, rng: &mut dyn CryptoRng, message: &Received<'_>) {
        let (path, header) = (message.path, &message.header);
        let counters = &mut self.shared.counters;
        if AUTHIP.contains(&header.exchange.0) {
            counters.ignored_exchanges = counters.ignored_exchanges.wrapping_add(1);
            return;
        }
        if header.initiator_cookie == [0; 8] {
            self.shared.malformed(now, path.peer);
            return;
        }
        if header.next_payload == PayloadType::FRAGMENT {
            self.fragment(now, rng, message);
            return;
        }
        let cookies = (header.initiator_cookie, header.responder_cookie);
        if let Some(&id) = self.by_cookies.get(&cookies) {
            self.with_session(now, rng, id, |session, cx| {
                session.handle_message(cx, message);
            });
            return;
        }
        if let Some(&id) = self.by_own_cookie.get(&header.initiator_cookie) {
            let from_peer = self
                .sessions
                .get(&id)
                .is_some_and(|session| session.path.peer == path.peer);
            if from_peer {
                self.with_session(now, rng, id, |session, cx| {
                    session.handle_message(cx, message);
                });
            }
            return;
        }
        if header.responder_cookie == [0; 8] {
            self.first_message(now, rng, message);
            return;
        }
        counters.unknown_cookies = counters.unknown_cookies.wrapping_add(1);
        // The answer is an Informational in the clear, and such a one is never answered, or two peers
        // could go on for ever; nor is anything shorter than the answer, or we could be used to flood
        // a forged source.
        let answer = stateless_notification(header, NotifyType::INVALID_COOKIE);
        let answered = match header.exchange {
            ExchangeType::QUICK_MODE | ExchangeType::MAIN_MODE => true,
            ExchangeType::INFORMATIONAL => header.encrypted(),
            _ => false,
        };
        if answered && answer.len() <= message.datagram.len() && self.shared.may_answer(now) {
            self.shared.transmit(&path, answer);
        }
    }

    /// A message without responder cookie: the start of an exchange.
    fn first_message(&mut self, now: Instant, rng: &mut dyn CryptoRng, message: &Received<'_>) {
        let (path, header) = (message.path, &message.header);
        let len = message.datagram.len();
        let counters = &mut self.shared.counters;
        match header.exchange {
            ExchangeType::MAIN_MODE if self.shared.policy.respond => {}
            ExchangeType::AGGRESSIVE if self.shared.policy.respond => {
                if !self.shared.policy.terms(path.peer.ip()).aggressive {
                    self.shared.refuse(now, path.peer, Refusal::AggressiveMode);
                    return;
                }
            }
            ExchangeType::INFORMATIONAL => {
                counters.unknown_cookies = counters.unknown_cookies.wrapping_add(1);
                return;
            }
            _ => {
                counters.ignored_exchanges = counters.ignored_exchanges.wrapping_add(1);
                return;
            }
        }
        if header.encrypted() || header.message_id != 0 || len > MAX_FIRST_MESSAGE {
            self.shared.malformed(now, path.peer);
            return;
        }
        let key = (path.peer, header.initiator_cookie);
        if let Some(&id) = self.by_first_message.get(&key) {
            self.with_session(now, rng, id, |session, cx| {
                session.answer_repeated(cx, message.datagram);
            });
            return;
        }
        if let Err(reason) = self.make_room(now, rng, path.peer) {
            self.shared.refuse(now, path.peer, reason);
            return;
        }
        if header.exchange == ExchangeType::AGGRESSIVE && !self.shared.job_possible() {
            // Its first message costs a computation; the client sends it again.
            return;
        }
        let mut effects = Vec::new();
        let mut cx = Context {
            now,
            rng,
            shared: &mut self.shared,
            effects: &mut effects,
        };
        let session = if header.exchange == ExchangeType::AGGRESSIVE {
            Session::respond_aggressive(&mut cx, message)
        } else {
            Session::respond(&mut cx, message)
        };
        match session {
            Ok(session) => {
                let id = session.id;
                let counters = &mut self.shared.counters;
                counters.phase1_responded = counters.phase1_responded.wrapping_add(1);
                self.by_first_message.insert(key, id);
                self.by_cookies.insert((session.cky_i, session.cky_r), id);
                self.half_open.insert(id, path.peer);
                let count = self.half_open_by_source.entry(path.peer.ip()).or_default();
                *count = count.saturating_add(1);
                self.sessions.insert(id, Box::new(session));
                self.arm_session(id);
            }
            Err(reason) => {
                if reason == Refusal::Malformed {
                    self.shared.malformed(now, path.peer);
                    return;
                }
                if self.shared.refuse(now, path.peer, reason) && reason.is_about_offers() {
                    self.tell_offer(message);
                }
                if self.shared.may_answer(now) {
                    let answer = stateless_notification(header, reason.notify());
                    if answer.len() <= len {
                        self.shared.transmit(&path, answer);
                    }
                }
            }
        }
    }

    /// What of a first message the operator may want to allow.
    fn tell_offer(&mut self, message: &Received<'_>) {
        let chain = message.chain().ok();
        let sa = chain.and_then(|chain| chain.one(PayloadType::SA).ok());
        if let Some(offered) = sa.and_then(|sa| SaPayload::parse(sa).ok()) {
            self.shared.event(Event::OfferRefused {
                peer: message.path.peer,
                phase: 1,
                offer: offer::phase1(&offered),
            });
        }
    }

    /// Keeps half-open exchanges bounded: per source by refusing, in total by giving up the oldest
    /// one (an honest peer is through in seconds, a forged source never).
    fn make_room(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        peer: SocketAddr,
    ) -> Result<(), Refusal> {
        let limits = &self.shared.policy.limits;
        let own = self
            .half_open_by_source
            .get(&peer.ip())
            .copied()
            .unwrap_or(0);
        if own >= limits.half_open_per_source {
            return Err(Refusal::HalfOpenPerSource);
        }
        if self.sessions.len() >= limits.ike_sas.saturating_add(limits.half_open) {
            return Err(Refusal::TooManySas);
        }
        if self.half_open.len() >= limits.half_open {
            self.shared.refuse(now, peer, Refusal::HalfOpenTotal);
            if let Some((&oldest, _)) = self.half_open.first_key_value() {
                self.remove_session(now, rng, oldest, DownReason::Evicted, false);
            }
        }
        Ok(())
    }

    /// IKEv2 gets an IKEv1 notification that says so (RFC 7296 2.5), at a bounded rate.
    fn refuse_ikev2(&mut self, now: Instant, path: &Path, datagram: &[u8]) {
        /// IKE_SA_INIT, RFC 7296 3.1.
        const IKE_SA_INIT: u8 = 34;
        /// The R bit: an answer gets none.
        const RESPONSE: u8 = 0x20;
        self.shared.refuse(now, path.peer, Refusal::Ikev2);
        let mut reader = crate::wire::Reader::new(datagram);
        let (Ok(initiator_cookie), Ok(responder_cookie), Ok([_, _, exchange, flags])) = (
            reader.array::<8>(),
            reader.array::<8>(),
            reader.array::<4>(),
        ) else {
            return;
        };
        let request = exchange == IKE_SA_INIT && flags & RESPONSE == 0;
        if !request || datagram.len() < 64 || !self.shared.may_answer(now) {
            return;
        }
        let header = Header {
            initiator_cookie,
            responder_cookie,
            next_payload: PayloadType::NONE,
            minor: 0,
            exchange: ExchangeType::INFORMATIONAL,
            flags: 0,
            message_id: 0,
        };
        let answer = stateless_notification(&header, NotifyType::INVALID_MAJOR_VERSION);
        self.shared.transmit(path, answer);
    }

    /// Takes in a finished computation.
    pub fn handle_job(&mut self, now: Instant, result: JobResult, rng: &mut dyn CryptoRng) {
        let owner = self.shared.jobs.remove(&result.id);
        match (owner, result.outcome) {
            (Some(JobOwner::Phase1(id)), outcome) => {
                self.with_session(now, rng, id, |session, cx| session.handle_job(cx, outcome));
            }
            (Some(JobOwner::QuickMode(id, message_id)), Outcome::Dh(result)) => {
                self.with_session(now, rng, id, |session, cx| {
                    session.quick_mode_job(cx, message_id, result);
                });
            }
            (Some(JobOwner::QuickMode(..)), _) | (None, _) => {}
        }
    }

    /// Does what is due at `now`. Call it when `next_timeout` has passed; calling it early is
    /// harmless.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        for key in self.timers.take_due(now) {
            match key {
                TimerKey::Session(id) => self.session_timeout(now, rng, id),
                TimerKey::Child(id) => self.child_timeout(now, rng, id),
                TimerKey::Client(reqid) => self.client_timeout(now, rng, reqid),
                TimerKey::Fragments => self.fragments_timeout(now),
            }
        }
    }

    fn session_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: IkeId) {
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
    fn with_session(
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
            Effect::ChildAgreed(child) => self.child_agreed(now, rng, *child),
            Effect::ChildComplete(child) => self.child_complete(now, rng, child),
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
    fn remove_session(
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

    fn forget_half_open(&mut self, id: IkeId) {
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

    fn arm_session(&mut self, id: IkeId) {
        let due = self
            .sessions
            .get(&id)
            .and_then(|session| session.due(&self.shared.policy));
        self.timers.set(TimerKey::Session(id), due);
    }

    fn arm_child(&mut self, id: ChildId) {
        let due = self.children.get(&id).map(|child| child.due());
        self.timers.set(TimerKey::Child(id), due);
    }

    /// Takes in an answer or a report of the kernel.
    pub fn handle_kernel(&mut self, now: Instant, reply: KernelReply, rng: &mut dyn CryptoRng) {
        match reply {
            KernelReply::Spi { child, spi } => self.spi_reserved(now, rng, child, spi),
            KernelReply::Installed { child, direction } => {
                self.child_installed(now, rng, child, direction);
            }
            KernelReply::Failed { child, reason } => self.kernel_failed(now, rng, child, &reason),
            KernelReply::Expire {
                carrier,
                spi,
                destination,
                hard,
            } => {
                let sa = (carrier, spi, destination);
                self.kernel_expire(now, rng, sa, hard);
            }
            KernelReply::MappingMoved { spi, peer } => self.kernel_moved(spi, peer),
            KernelReply::Traffic {
                child,
                inbound_octets,
                outbound_octets,
            } => {
                self.kernel_traffic(now, rng, child, inbound_octets, outbound_octets);
            }
            KernelReply::Acquire { peer, .. } => self.acquire(now, rng, peer),
        }
    }
}

/// Octets behind the message do not make it another one.
fn without_trailer<'a>(datagram: &'a [u8], body: &[u8]) -> &'a [u8] {
    let len = HEADER_LEN.saturating_add(body.len());
    datagram.get(..len).unwrap_or(datagram)
}

/// How long a failed rekeying waits before it tries again.
const RETRY: Duration = Duration::from_secs(30);

/// IPv4 addresses that came through an IPv6 socket are IPv4 addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

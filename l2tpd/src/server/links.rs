//! What a PPP link asks for: passwords, addresses, and that its packets flow.

use std::net::Ipv4Addr;
use std::time::Instant;

use l2tp_proto::CloseSession;
use ppp_proto::{
    AuthFailure, AuthMethod, CloseReason, Counters as LinkCounters, DownReason, Ipv4Assignment,
    Output as Ppp, Party, Question,
};
use rand_core::CryptoRng;

use super::Server;
use super::io::{KernelOp, SessionKey};
use super::operations::Purpose;
use super::session::{Session, Side, ppp_secret};
use crate::config::{Bundle, UserLimit};
use crate::events::Event;
use crate::pool::{PoolError, Range};
use crate::users::Password;

/// A session that waits for an address which a former session of the same user is giving back.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) session: SessionKey,
    question: Question,
    range: Range,
}

impl Server {
    /// Carries out what the session's link wants by now, to the end.
    pub(super) fn drain_link(&mut self, now: Instant, key: SessionKey, rng: &mut dyn CryptoRng) {
        while let Some(output) = self.link_mut(key).and_then(ppp_proto::Link::poll_output) {
            self.on_link(now, key, output, rng);
        }
        self.schedule(key);
    }

    fn on_link(&mut self, now: Instant, key: SessionKey, output: Ppp, rng: &mut dyn CryptoRng) {
        match output {
            Ppp::Send { protocol, payload } => {
                let operation = KernelOp::SendFrame {
                    session: key,
                    protocol,
                    payload,
                };
                self.kernel(now, operation, Purpose::None);
            }
            Ppp::LcpOpened(lcp) => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.lcp = Some(lcp);
                }
                self.set_ppp(now, key);
            }
            Ppp::NeedSecret {
                question,
                identity,
                user,
                ..
            } => {
                self.on_login(now, key, question, [&identity, &user], rng);
            }
            Ppp::Authenticated {
                party,
                user,
                method,
            } => {
                self.on_authenticated(now, key, party, user, method, rng);
            }
            Ppp::AuthFailed {
                party,
                user,
                reason,
                ..
            } => {
                self.on_login_failed(now, key, party, user, reason);
            }
            Ppp::NeedAddress { question, .. } => self.on_need_address(now, key, question, rng),
            Ppp::NetworkUp(network) => self.network_up(now, key, network),
            Ppp::NetworkDown(family) => self.network_down(now, key, family),
            Ppp::Down { reason } => self.on_link_down(now, key, &reason),
        }
    }

    /// `names` are what the peer sent, and that without a domain.
    fn on_login(
        &mut self,
        now: Instant,
        key: SessionKey,
        question: Question,
        names: [&str; 2],
        rng: &mut dyn CryptoRng,
    ) {
        let [identity, user] = names;
        let found = self.users.find(identity, user);
        let name = found.map(|(name, _)| name.to_owned()).unwrap_or_default();
        let too_many = self.is_one_too_many(&name);
        let password = found
            .filter(|_| !too_many)
            .map(|(_, user)| user.password.clone());
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.bundle = session
            .profile
            .as_ref()
            .and_then(|profile| profile.bundle_for(&name))
            .cloned();
        session.user = name;
        if too_many {
            session.because("the user has as many sessions as allowed");
        }
        if let Some(link) = session.link.as_mut() {
            if let Some(bundle) = &session.bundle {
                link.offer(bundle.ipv4, bundle.ipv6);
            }
            let secret = match &password {
                None => None,
                Some(Password::Known(secret)) => Some(ppp_secret(secret)),
                Some(Password::Program(command)) => {
                    let name = session.user.clone();
                    self.look_up(key, question, command, &name);
                    return;
                }
            };
            link.provide_secret(now, question, secret, rng);
        }
    }

    fn on_authenticated(
        &mut self,
        now: Instant,
        key: SessionKey,
        party: Party,
        user: String,
        method: AuthMethod,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match (party, &session.side) {
            (Party::Peer, Side::Server) => {
                session.method = Some(method);
                if session.bundle.is_none() {
                    session.because("the link's actions refuse this user");
                    self.counters.logins_refused += 1;
                    self.close_politely(now, key, CloseReason::Administrative, rng);
                    return;
                }
                let name = session.user.clone();
                self.replace_older_sessions(now, key, &name);
            }
            (Party::Us, Side::Client(_)) => {
                session.method = Some(method);
                session.user = user;
            }
            _ => {}
        }
    }

    /// A user with too many sessions keeps the newest: the older are, more often than not, those
    /// of a client that vanished without a word.
    fn replace_older_sessions(&mut self, now: Instant, key: SessionKey, user: &str) {
        let Some(limit) = self.config.limits.sessions_per_user else {
            return;
        };
        let mut others: Vec<(Instant, SessionKey)> = self
            .sessions_of(user, limit)
            .filter(|(other, _)| *other != key)
            .map(|(other, session)| (session.started, other))
            .collect();
        others.sort_unstable();
        let surplus = (others.len() + 1).saturating_sub(limit.sessions);
        for (_, other) in others.into_iter().take(surplus) {
            self.replace(now, other);
        }
    }

    /// The sessions a user has by now.
    fn sessions_of<'a>(
        &'a self,
        user: &'a str,
        limit: UserLimit,
    ) -> impl Iterator<Item = (SessionKey, &'a Session)> {
        let same =
            move |name: &str| name == user || limit.ignore_case && name.eq_ignore_ascii_case(user);
        self.sessions
            .iter()
            .filter(move |(_, session)| {
                session.side == Side::Server && session.method.is_some() && same(&session.user)
            })
            .map(|(key, session)| (*key, session.as_ref()))
    }

    /// Whether a login of `user` is one too many.
    fn is_one_too_many(&self, user: &str) -> bool {
        self.config.limits.sessions_per_user.is_some_and(|limit| {
            limit.refuse && self.sessions_of(user, limit).count() >= limit.sessions
        })
    }

    pub(super) fn replace(&mut self, now: Instant, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.because("replaced by a newer session of the same user");
            self.counters.sessions_replaced += 1;
            self.hang_up(now, key, CloseSession::Administrative);
        }
    }

    fn on_login_failed(
        &mut self,
        now: Instant,
        key: SessionKey,
        party: Party,
        user: String,
        reason: AuthFailure,
    ) {
        self.counters.logins_refused += 1;
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let peer = session.peer;
        let words = match (party, reason) {
            (Party::Peer, reason) => format!("login of {user} refused: {reason}"),
            (Party::Us, reason) => reason.to_string(),
        };
        session.because(words);
        session.user = user.clone();
        let remedy = match (party, reason) {
            (Party::Peer, AuthFailure::UnknownUser) => "add the user to the users file",
            (Party::Peer, AuthFailure::WrongPassword) => {
                "make the password of client and users file equal"
            }
            (Party::Peer, _) => "give the client a printable user name",
            (Party::Us, AuthFailure::PeerNotVerified) => {
                "this is not the server you think it is, or it has another password"
            }
            (Party::Us, _) => "correct `user` and `password` of the connection",
        };
        if self.repetitions.is_new(now, peer.ip(), "login") {
            let reason = reason.to_string();
            self.event(Event::LoginRefused {
                peer,
                user,
                reason,
                remedy,
            });
        }
    }

    fn on_need_address(
        &mut self,
        now: Instant,
        key: SessionKey,
        question: Question,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if let Some(assignment) = session.assignment {
            // Negotiated again: the address stays.
            self.assign(now, key, question, Some(assignment), rng);
            return;
        }
        let (name, peer) = (session.user.clone(), session.peer);
        let Some(bundle) = session.bundle.clone() else {
            return;
        };
        let own = self.users.get(&name).and_then(|user| user.addresses);
        let leased = match own {
            Some(range) => self.pool.allocate_within(range),
            None => self.pool.allocate(&bundle.pool, &name),
        };
        match (leased, own) {
            (Ok(address), _) => {
                let assignment = assignment(&bundle, address);
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.leased = Some(address);
                    session.assignment = Some(assignment);
                }
                self.assign(now, key, question, Some(assignment), rng);
            }
            (Err(PoolError::InUse(_)), Some(range)) if self.free_up(now, key, &name, range) => {
                self.waiting.push(Waiting {
                    session: key,
                    question,
                    range,
                });
            }
            (Err(error), _) => {
                self.counters.no_address += 1;
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.because(error);
                }
                if self.repetitions.is_new(now, peer.ip(), "address") {
                    self.event(Event::NoAddress {
                        peer,
                        user: name,
                        reason: error.to_string(),
                    });
                }
                self.assign(now, key, question, None, rng);
            }
        }
    }

    /// Whether an address of `range` is or will be free because the user's oldest session with one
    /// is ending: the client came back before its old session was found dead.
    fn free_up(&mut self, now: Instant, key: SessionKey, user: &str, range: Range) -> bool {
        let oldest = self
            .sessions
            .iter()
            .filter(|(other, session)| {
                **other != key
                    && session.user == user
                    && session
                        .leased
                        .is_some_and(|address| range.contains(address))
            })
            .min_by_key(|(_, session)| session.started)
            .map(|(other, _)| *other);
        if let Some(other) = oldest {
            self.replace(now, other);
        }
        // Or it is ending already and its nodes are just going.
        oldest.is_some() || self.operations.gives_back(range)
    }

    /// An address became free.
    pub(super) fn serve_waiting(
        &mut self,
        now: Instant,
        address: Ipv4Addr,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(index) = self.waiting.iter().position(|w| w.range.contains(address)) else {
            return;
        };
        let Waiting {
            session, question, ..
        } = self.waiting.swap_remove(index);
        self.on_need_address(now, session, question, rng);
        self.drain_link(now, session, rng);
    }

    fn assign(
        &mut self,
        now: Instant,
        key: SessionKey,
        question: Question,
        assignment: Option<Ipv4Assignment>,
        rng: &mut dyn CryptoRng,
    ) {
        if let Some(link) = self.link_mut(key) {
            link.provide_address(now, question, assignment, rng);
        }
    }

    fn on_link_down(&mut self, now: Instant, key: SessionKey, reason: &DownReason) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match reason {
            DownReason::AuthNotAgreed => session.because(format!(
                "{reason}: the client does none that `authentication` allows"
            )),
            reason => session.because(reason),
        }
        let close = match reason {
            DownReason::Closed(
                CloseReason::Administrative
                | CloseReason::Shutdown
                | CloseReason::Idle
                | CloseReason::SessionTimeout,
            ) => CloseSession::Administrative,
            DownReason::NoAddress => CloseSession::NoResources,
            DownReason::AuthFailed | DownReason::AuthNotAgreed => CloseSession::Failed,
            _ => CloseSession::LostCarrier,
        };
        self.hang_up(now, key, close);
    }

    /// Ends a session in order: Terminate-Request first where there is a link to carry it.
    pub(super) fn close_politely(
        &mut self,
        now: Instant,
        key: SessionKey,
        reason: CloseReason,
        rng: &mut dyn CryptoRng,
    ) {
        let open = self.link_mut(key).is_some_and(|link| {
            let alive = link.phase() != ppp_proto::Phase::Dead;
            if alive {
                link.close(now, reason);
            }
            alive
        });
        if open {
            self.drain_link(now, key, rng);
        } else {
            self.hang_up(now, key, CloseSession::Administrative);
        }
    }

    /// Keeps what a link counted beyond its end.
    pub(super) fn remember_counters(&mut self, counters: &LinkCounters) {
        add_counts(&mut self.past_links, counters);
    }
}

/// What a client of `bundle` is told besides its address.
fn assignment(bundle: &Bundle, peer: Ipv4Addr) -> Ipv4Assignment {
    let two = |list: &[Ipv4Addr]| [list.first().copied(), list.get(1).copied()];
    Ipv4Assignment {
        local: bundle.local_address,
        peer,
        dns: two(&bundle.dns),
        nbns: two(&bundle.nbns),
    }
}

/// Adds every count of a structure to those of the same name.
pub(super) fn add_counts<T: serde::Serialize>(
    into: &mut std::collections::BTreeMap<String, u64>,
    counts: &T,
) {
    let Ok(serde_json::Value::Object(map)) = serde_json::to_value(counts) else {
        return;
    };
    for (name, value) in map {
        *into.entry(name).or_default() += value.as_u64().unwrap_or_default();
    }
}

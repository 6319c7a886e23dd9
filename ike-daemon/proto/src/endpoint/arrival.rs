//! Where datagrams come in: RFC 2408 5.2. By their cookies they go to an ISAKMP SA, begin one within
//! the limits on half-open exchanges, or get an answer that nothing is kept for.

use std::net::SocketAddr;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::context::Context;
use crate::error::{DownReason, Refusal, WireError};
use crate::iana::{ExchangeType, NotifyType, PayloadType};
use crate::ikev1::informational::stateless_notification;
use crate::ikev1::{Received, Session};
use crate::io::{Datagram, Event};
use crate::nat::Path;
use crate::offer;
use crate::wire::header::{HEADER_LEN, Header};
use crate::wire::sa::SaPayload;

use super::Endpoint;

/// Exchange types of Microsoft's AuthIP, which some Windows versions try first.
const AUTHIP: std::ops::RangeInclusive<u8> = 243..=246;

/// A first message longer than this is not answered: macOS' has about 700 octets.
const MAX_FIRST_MESSAGE: usize = 4096;

impl Endpoint {
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
            Err(WireError::Version { major: 2, .. }) => {
                self.refuse_ikev2(now, &path, datagram.payload)
            }
            Err(_) => self.shared.malformed(now, path.peer),
        }
    }

    /// Takes in a message, whole or put together.
    pub(super) fn dispatch(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        message: &Received<'_>,
    ) {
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
            exchange: ExchangeType::INFORMATIONAL,
            flags: 0,
            message_id: 0,
        };
        let answer = stateless_notification(&header, NotifyType::INVALID_MAJOR_VERSION);
        self.shared.transmit(path, answer);
    }
}

/// Octets behind the message do not make it another one.
pub(super) fn without_trailer<'a>(datagram: &'a [u8], body: &[u8]) -> &'a [u8] {
    let len = HEADER_LEN.saturating_add(body.len());
    datagram.get(..len).unwrap_or(datagram)
}

/// IPv4 addresses that came through an IPv6 socket are IPv4 addresses.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

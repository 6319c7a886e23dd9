//! Messages of phase 1 in the clear: sent, repeated (RFC 2408 5.1), and refused.

use crate::context::{Context, random_message_id};
use crate::error::Refusal;
use crate::iana::{ExchangeType, NotifyType, PayloadType};
use crate::ikev1::{MAX_COMPLAINTS, Session};
use crate::nat::Path;
use crate::retransmit::Retransmit;
use crate::wire::chain::Builder;
use crate::wire::header::Header;
use crate::wire::notification::Notification;

use super::Phase;

impl Session {
    /// Sends an unencrypted message of phase 1.
    pub(in crate::ikev1) fn send_clear(
        &mut self,
        cx: &mut Context<'_>,
        exchange: ExchangeType,
        chain: &Builder,
    ) {
        let message = self.in_clear(exchange, chain);
        self.send_phase1(cx, message);
    }

    /// A message of phase 1 that is not encrypted.
    pub(in crate::ikev1) fn in_clear(&self, exchange: ExchangeType, chain: &Builder) -> Vec<u8> {
        let header = Header {
            next_payload: chain.first(),
            ..self.header(exchange, 0)
        };
        header.emit(&chain.emit())
    }

    /// Sends a message of phase 1, and remembers it: as initiator until it is answered, as responder as
    /// the answer to what came.
    pub(in crate::ikev1) fn send_phase1(&mut self, cx: &mut Context<'_>, message: Vec<u8>) {
        cx.shared.send(&self.path, self.fragments, message.clone());
        if self.initiator {
            self.retransmit = Some(Retransmit::start(cx.now, &cx.shared.policy.retransmit));
            self.sent = Some(message);
        } else {
            self.answered.answer(&message);
        }
    }

    /// Answers a repetition of the last request with the same octets; says whether it was one.
    pub(crate) fn answer_repeated(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> bool {
        if !self.answered.is_repeated(datagram) {
            return false;
        }
        let counters = &mut cx.shared.counters;
        counters.duplicates = counters.duplicates.wrapping_add(1);
        self.answered.repeated(datagram);
        if matches!(self.phase, Phase::Am2Sent(_)) {
            self.answer_within_credit(cx);
        } else {
            self.repeat_answer(cx);
        }
        true
    }

    /// Gives an answer that may be longer than its request to a peer that has not shown yet that it
    /// receives where it says it is: at once or, when it is longer, after a repetition.
    pub(in crate::ikev1) fn answer_within_credit(&mut self, cx: &mut Context<'_>) {
        if let Some(answer) = self.answered.within_credit() {
            let answer = answer.to_vec();
            cx.shared.send(&self.path, self.fragments, answer);
        } else {
            let counters = &mut cx.shared.counters;
            counters.answers_suppressed = counters.answers_suppressed.wrapping_add(1);
        }
    }

    /// Gives the last answer once more, while that is reasonable.
    pub(in crate::ikev1) fn repeat_answer(&mut self, cx: &mut Context<'_>) {
        if let Some(answer) = self.answered.again() {
            let answer = answer.to_vec();
            cx.shared.send(&self.path, self.fragments, answer);
        }
    }

    /// Tells the peer in the clear that its MM5 or AM3, of `len` octets, was refused: there is no key
    /// both share. Bounded, and never longer than what it answers: that may come from anywhere.
    pub(in crate::ikev1) fn complain(
        &mut self,
        cx: &mut Context<'_>,
        path: Path,
        reason: Refusal,
        len: usize,
    ) {
        let waiting = matches!(self.phase, Phase::Mm4Sent(_) | Phase::Am2Sent(_));
        if self.initiator || !waiting || self.complaints >= MAX_COMPLAINTS {
            return;
        }
        let notification = Notification::isakmp(reason.notify(), self.spi(), Vec::new());
        let header = Header {
            next_payload: PayloadType::NOTIFICATION,
            ..self.header(ExchangeType::INFORMATIONAL, random_message_id(cx.rng))
        };
        let mut chain = Builder::new();
        chain.push(PayloadType::NOTIFICATION, notification.body());
        let answer = header.emit(&chain.emit());
        if answer.len() <= len && cx.shared.may_answer(cx.now) {
            self.complaints = self.complaints.saturating_add(1);
            cx.shared.transmit(&path, answer);
        }
    }

    /// An unauthenticated notification: worth remembering as the likely cause if nothing better
    /// comes, and no more, since anybody on the way can send it.
    pub(in crate::ikev1) fn unauthenticated_error(
        &mut self,
        cx: &mut Context<'_>,
        kind: NotifyType,
    ) {
        if !self.initiator || !kind.is_error() || self.established().is_some() {
            return;
        }
        self.hint = Some(kind);
        if let Some(retransmit) = &mut self.retransmit {
            retransmit.last_try(&cx.shared.policy.retransmit);
        }
    }

    /// As initiator: tells the peer that nothing older counts, where we begin anew (RFC 2407
    /// 4.6.3.3).
    pub(in crate::ikev1) fn push_initial_contact(&self, chain: &mut Builder) {
        if self.announce_initial_contact {
            let notification =
                Notification::isakmp(NotifyType::INITIAL_CONTACT, self.spi(), Vec::new());
            chain.push(PayloadType::NOTIFICATION, notification.body());
        }
    }
}

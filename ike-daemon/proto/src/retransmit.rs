//! Retransmission: RFC 2408 5.1. Only the side that waits for an answer sends again of its own
//! accord: the initiator of an exchange, and in Quick Mode the responder, whose peer is
//! authenticated by then. A responder in Main Mode only ever answers, so it cannot be used to
//! flood a forged source.

use std::time::{Duration, Instant};

use ike_crypto::Hash;

use crate::policy::RetransmitPolicy;

/// How often a repeated request is answered with the same octets. Clients repeat a request five to
/// ten times; a replayed one must not become a stream.
pub(crate) const MAX_ANSWERS: u32 = 12;

/// The timer of one unanswered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retransmit {
    due: Instant,
    interval: Duration,
    sent: u32,
}

/// What to do when the timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet.
    Wait,
    /// Send again.
    Again,
    /// Enough.
    GiveUp,
}

impl Retransmit {
    /// Starts with the first sending.
    pub(crate) fn start(now: Instant, policy: &RetransmitPolicy) -> Self {
        Self {
            due: now + policy.initial,
            interval: policy.initial,
            sent: 1,
        }
    }

    /// When it fires.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Fires, if it is time.
    pub(crate) fn fire(&mut self, now: Instant, policy: &RetransmitPolicy) -> Due {
        if now < self.due {
            return Due::Wait;
        }
        if self.sent >= policy.attempts {
            return Due::GiveUp;
        }
        self.sent = self.sent.saturating_add(1);
        self.interval = (self.interval * policy.factor_tenths / 10).min(policy.maximum);
        self.due = now + self.interval;
        Due::Again
    }

    /// The peer has said no without authentication: one more try, no more (anybody on the way
    /// could have said it).
    pub(crate) fn last_try(&mut self, policy: &RetransmitPolicy) {
        self.sent = self.sent.max(policy.attempts.saturating_sub(1));
    }
}

impl RetransmitPolicy {
    /// How long a message without answer is waited for.
    pub(crate) fn patience(&self) -> Duration {
        let mut interval = self.initial;
        let mut total = interval;
        for _ in 1..self.attempts {
            interval = (interval * self.factor_tenths / 10).min(self.maximum);
            total += interval;
        }
        total
    }
}

/// The last request of an exchange and its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    request: Option<Vec<u8>>,
    answer: Option<Vec<u8>>,
    given: u32,
    /// Octets of the request and its repetitions.
    received: usize,
    /// Octets of the answers given with [`Self::within_credit`].
    sent: usize,
}

impl Answered {
    /// Remembers a request that is being worked on.
    pub(crate) fn request(&mut self, message: &[u8]) {
        self.request = Some(fingerprint(message));
        self.answer = None;
        self.given = 0;
        self.received = message.len();
        self.sent = 0;
    }

    /// Counts a repetition of the request.
    pub(crate) fn repeated(&mut self, message: &[u8]) {
        self.received = self.received.saturating_add(message.len());
    }

    /// Remembers its answer.
    pub(crate) fn answer(&mut self, message: &[u8]) {
        self.answer = Some(message.to_vec());
    }

    /// Whether a message is the last request again.
    pub(crate) fn is_repeated(&self, message: &[u8]) -> bool {
        self.request
            .as_deref()
            .is_some_and(|known| known == fingerprint(message))
    }

    /// The answer to give once more, while that is reasonable.
    pub(crate) fn again(&mut self) -> Option<&[u8]> {
        if self.given >= MAX_ANSWERS {
            return None;
        }
        let answer = self.answer.as_deref()?;
        self.given = self.given.saturating_add(1);
        Some(answer)
    }

    /// The same for a peer that has not shown yet that it receives where it says it is: never more
    /// octets than came from there.
    pub(crate) fn within_credit(&mut self) -> Option<&[u8]> {
        let sent = self.sent.saturating_add(self.answer.as_ref()?.len());
        if sent > self.received {
            return None;
        }
        self.sent = sent;
        self.again()
    }
}

fn fingerprint(message: &[u8]) -> Vec<u8> {
    Hash::Sha256.digest(&[message])
}

//! Dead peer detection: RFC 3706.

use std::time::Instant;

use crate::policy::DpdPolicy;

/// The state of one ISAKMP SA.
#[derive(Clone, Debug)]
pub(crate) struct Dpd {
    /// The peer's vendor ids say it answers.
    pub(crate) supported: bool,
    /// The last sign of life.
    alive: Instant,
    /// First unanswered question, how many there were, and when the next is due.
    unanswered: Option<Unanswered>,
    /// Next sequence number (random at first, RFC 3706 6.1).
    pub(crate) sequence: u32,
    /// The peer's last question.
    pub(crate) peer_sequence: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Unanswered {
    first: u32,
    count: u32,
    due: Instant,
}

/// What the timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DpdAction {
    /// Nothing.
    Wait,
    /// Send R-U-THERE with this sequence number.
    Ask(u32),
    /// The peer is dead.
    Dead,
}

impl Dpd {
    pub(crate) fn new(now: Instant, supported: bool, sequence: u32) -> Self {
        // Far from the top: sequence numbers only grow.
        let sequence = sequence & 0x3fff_ffff;
        Self {
            supported,
            alive: now,
            unanswered: None,
            sequence,
            peer_sequence: None,
        }
    }

    /// An authenticated message or ESP packet has come.
    pub(crate) fn alive(&mut self, now: Instant) {
        self.alive = self.alive.max(now);
        self.unanswered = None;
    }

    /// The last sign of life.
    pub(crate) fn last_sign(&self) -> Instant {
        self.alive
    }

    /// An R-U-THERE-ACK has come; one for no question of ours is ignored.
    pub(crate) fn acknowledged(&mut self, now: Instant, sequence: u32) -> bool {
        let Some(unanswered) = self.unanswered else {
            return false;
        };
        let distance = sequence.wrapping_sub(unanswered.first);
        if distance >= unanswered.count {
            return false;
        }
        self.alive(now);
        true
    }

    /// When the timer is due.
    pub(crate) fn due(&self, policy: &DpdPolicy) -> Option<Instant> {
        if !self.supported || policy.interval.is_zero() {
            return None;
        }
        Some(
            self.unanswered
                .map_or(self.alive + policy.interval, |unanswered| unanswered.due),
        )
    }

    /// The timer.
    pub(crate) fn fire(&mut self, now: Instant, policy: &DpdPolicy) -> DpdAction {
        if self.due(policy).is_none_or(|due| due > now) {
            return DpdAction::Wait;
        }
        match self.ask(now, policy) {
            Some(sequence) => DpdAction::Ask(sequence),
            None => DpdAction::Dead,
        }
    }

    /// The number of a question out of turn, unless one was asked lately or the peer answers none.
    pub(crate) fn probe(&mut self, now: Instant, policy: &DpdPolicy) -> Option<u32> {
        let lately = self.unanswered.is_some_and(|asked| asked.due > now);
        if !self.supported || lately {
            return None;
        }
        self.ask(now, policy)
    }

    /// The number of the next question; `None` after the last one.
    fn ask(&mut self, now: Instant, policy: &DpdPolicy) -> Option<u32> {
        let sequence = self.sequence;
        let unanswered = self.unanswered.get_or_insert(Unanswered {
            first: sequence,
            count: 0,
            due: now,
        });
        if unanswered.count >= policy.attempts {
            return None;
        }
        unanswered.count = unanswered.count.saturating_add(1);
        unanswered.due = now + policy.retry;
        self.sequence = sequence.wrapping_add(1);
        Some(sequence)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn policy() -> DpdPolicy {
        DpdPolicy {
            interval: Duration::from_secs(30),
            retry: Duration::from_secs(5),
            attempts: 2,
            silence: Duration::ZERO,
        }
    }

    #[test]
    fn asks_twice_then_gives_up() {
        let start = Instant::now();
        let mut dpd = Dpd::new(start, true, u32::MAX);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(dpd.fire(at(29), &policy()), DpdAction::Wait);
        let DpdAction::Ask(first) = dpd.fire(at(30), &policy()) else {
            panic!()
        };
        assert_eq!(dpd.fire(at(34), &policy()), DpdAction::Wait);
        assert_eq!(dpd.fire(at(35), &policy()), DpdAction::Ask(first + 1));
        assert_eq!(dpd.fire(at(40), &policy()), DpdAction::Dead);
    }

    #[test]
    fn out_of_turn_but_not_too_often() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dpd = Dpd::new(start, true, 7);
        assert_eq!(dpd.probe(at(1), &policy()), Some(7));
        assert_eq!(dpd.probe(at(2), &policy()), None);
        assert!(dpd.acknowledged(at(3), 7));
        assert_eq!(dpd.probe(at(4), &policy()), Some(8));
        assert_eq!(Dpd::new(start, false, 7).probe(at(1), &policy()), None);
    }

    #[test]
    fn only_answers_to_our_questions_count() {
        let start = Instant::now();
        let mut dpd = Dpd::new(start, true, 7);
        assert!(!dpd.acknowledged(start, 7), "nothing was asked");
        let asked = dpd.fire(start + Duration::from_secs(30), &policy());
        assert_eq!(asked, DpdAction::Ask(7));
        assert!(!dpd.acknowledged(start, 6));
        assert!(!dpd.acknowledged(start, 8));
        assert!(dpd.acknowledged(start, 7));
        assert!(!dpd.acknowledged(start, 7), "once");
    }

    #[test]
    fn a_peer_without_it_is_not_asked() {
        let dpd = Dpd::new(Instant::now(), false, 1);
        assert_eq!(dpd.due(&policy()), None);
        let off = DpdPolicy {
            interval: Duration::ZERO,
            ..policy()
        };
        assert_eq!(Dpd::new(Instant::now(), true, 1).due(&off), None);
    }
}

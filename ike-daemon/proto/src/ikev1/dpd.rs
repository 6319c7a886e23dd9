//! Dead peer detection: RFC 3706.

use std::time::{Duration, Instant};

use crate::policy::DpdPolicy;

/// Between questions to a peer that seems to have forgotten us.
const QUICK_RETRY: Duration = Duration::from_secs(2);
/// So long before a round of questions begins, the kernel is asked whether ESP has come: the answer
/// is there in time.
pub(crate) const LOOK_AHEAD: Duration = Duration::from_secs(1);
/// Questions out of turn within [`DpdPolicy::retry`].
const MAX_PROBES: u32 = 16;

/// The state of one ISAKMP SA.
#[derive(Clone, Debug)]
pub(crate) struct Dpd {
    /// The peer's vendor ids say it answers.
    pub(crate) supported: bool,
    /// The last sign of life.
    alive: Instant,
    /// Whether the kernel was asked for ESP since then.
    looked: bool,
    /// The round of questions under way.
    unanswered: Option<Unanswered>,
    /// The oldest question that was not answered, in turn or not.
    oldest: Option<u32>,
    /// Questions out of turn, and since when they are counted.
    probes: Option<(u32, Instant)>,
    /// When the peer was last suspected of having forgotten us.
    doubted: Option<Instant>,
    /// Next sequence number (random at first, RFC 3706 6.1).
    pub(crate) sequence: u32,
    /// The peer's last question.
    pub(crate) peer_sequence: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Unanswered {
    count: u32,
    due: Instant,
    quick: bool,
}

/// What the timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DpdAction {
    /// Nothing.
    Wait,
    /// Find out whether ESP has come.
    Look,
    /// Send R-U-THERE with this sequence number; find out as well.
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
            looked: false,
            unanswered: None,
            oldest: None,
            probes: None,
            doubted: None,
            sequence,
            peer_sequence: None,
        }
    }

    /// An authenticated message or ESP packet has come.
    pub(crate) fn alive(&mut self, now: Instant) {
        self.alive = self.alive.max(now);
        self.looked = false;
        self.unanswered = None;
        self.oldest = None;
    }

    /// The last sign of life.
    pub(crate) fn last_sign(&self) -> Instant {
        self.alive
    }

    /// An R-U-THERE-ACK has come; one for no question of ours is ignored.
    pub(crate) fn acknowledged(&mut self, now: Instant, sequence: u32) -> bool {
        let Some(oldest) = self.oldest else {
            return false;
        };
        let asked = self.sequence.wrapping_sub(oldest);
        if sequence.wrapping_sub(oldest) >= asked {
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
        let question = self.alive + policy.interval;
        Some(match self.unanswered {
            Some(unanswered) => unanswered.due,
            None if self.looked => question,
            None => question - LOOK_AHEAD.min(policy.interval / 2),
        })
    }

    /// The timer.
    pub(crate) fn fire(&mut self, now: Instant, policy: &DpdPolicy) -> DpdAction {
        if self.due(policy).is_none_or(|due| due > now) {
            return DpdAction::Wait;
        }
        let early = now < self.alive + policy.interval;
        if self.unanswered.is_none() && !std::mem::replace(&mut self.looked, true) && early {
            return DpdAction::Look;
        }
        match self.ask(now, policy) {
            Some(sequence) => DpdAction::Ask(sequence),
            None => DpdAction::Dead,
        }
    }

    /// The number of a question out of turn, to another address: it counts for nothing when there
    /// is no answer. `None` after too many, or when the peer answers none.
    pub(crate) fn probe(&mut self, now: Instant, policy: &DpdPolicy) -> Option<u32> {
        let (count, since) = self
            .probes
            .filter(|(_, since)| now < *since + policy.retry)
            .unwrap_or((0, now));
        if !self.supported || count >= MAX_PROBES {
            return None;
        }
        self.probes = Some((count.saturating_add(1), since));
        Some(self.number())
    }

    /// Somebody, perhaps the peer, says that the peer does not know us: it is asked at once, and
    /// quickly again.
    pub(crate) fn doubt(&mut self, now: Instant, policy: &DpdPolicy) -> Option<u32> {
        let lately = self
            .doubted
            .is_some_and(|doubted| now < doubted + policy.retry);
        let doubting = self.unanswered.is_some_and(|asked| asked.quick);
        if !self.supported || policy.attempts == 0 || lately || doubting {
            return None;
        }
        self.doubted = Some(now);
        self.unanswered = Some(Unanswered {
            count: 1,
            due: now + QUICK_RETRY.min(policy.retry),
            quick: true,
        });
        Some(self.number())
    }

    /// The number of the next question; `None` after the last one.
    fn ask(&mut self, now: Instant, policy: &DpdPolicy) -> Option<u32> {
        let unanswered = self.unanswered.get_or_insert(Unanswered {
            count: 0,
            due: now,
            quick: false,
        });
        if unanswered.count >= policy.attempts {
            return None;
        }
        unanswered.count = unanswered.count.saturating_add(1);
        unanswered.due = now
            + match unanswered.quick {
                true => QUICK_RETRY.min(policy.retry),
                false => policy.retry,
            };
        Some(self.number())
    }

    fn number(&mut self) -> u32 {
        let sequence = self.sequence;
        self.oldest.get_or_insert(sequence);
        self.sequence = sequence.wrapping_add(1);
        sequence
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
        assert_eq!(dpd.fire(at(28), &policy()), DpdAction::Wait);
        assert_eq!(dpd.fire(at(29), &policy()), DpdAction::Look);
        assert_eq!(dpd.fire(at(29), &policy()), DpdAction::Wait);
        let DpdAction::Ask(first) = dpd.fire(at(30), &policy()) else {
            panic!()
        };
        assert_eq!(dpd.fire(at(34), &policy()), DpdAction::Wait);
        assert_eq!(dpd.fire(at(35), &policy()), DpdAction::Ask(first + 1));
        assert_eq!(dpd.fire(at(40), &policy()), DpdAction::Dead);
    }

    #[test]
    fn esp_that_was_found_puts_the_question_off() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dpd = Dpd::new(start, true, 7);
        assert_eq!(dpd.fire(at(29), &policy()), DpdAction::Look);
        dpd.alive(at(29));
        assert_eq!(dpd.due(&policy()), Some(at(58)));
        assert_eq!(dpd.fire(at(58), &policy()), DpdAction::Look);
        assert_eq!(dpd.due(&policy()), Some(at(59)));
        assert_eq!(dpd.fire(at(59), &policy()), DpdAction::Ask(7));
    }

    #[test]
    fn who_may_have_forgotten_us_is_asked_quickly() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dpd = Dpd::new(start, true, 7);
        assert_eq!(dpd.doubt(at(1), &policy()), Some(7));
        assert_eq!(dpd.doubt(at(2), &policy()), None, "asked already");
        assert_eq!(dpd.fire(at(3), &policy()), DpdAction::Ask(8));
        assert!(dpd.acknowledged(at(4), 7));
        assert_eq!(dpd.doubt(at(5), &policy()), None, "too soon");
        assert_eq!(dpd.doubt(at(6), &policy()), Some(9));
        assert_eq!(dpd.fire(at(8), &policy()), DpdAction::Ask(10));
        assert_eq!(dpd.fire(at(10), &policy()), DpdAction::Dead);
        assert_eq!(Dpd::new(start, false, 7).doubt(at(1), &policy()), None);
    }

    #[test]
    fn out_of_turn_but_not_too_often() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dpd = Dpd::new(start, true, 7);
        // The round under way neither hinders nor is hastened.
        assert_eq!(dpd.fire(at(30), &policy()), DpdAction::Ask(7));
        for sequence in 8..8 + MAX_PROBES {
            assert_eq!(dpd.probe(at(31), &policy()), Some(sequence));
        }
        assert_eq!(dpd.probe(at(32), &policy()), None);
        assert!(dpd.probe(at(36), &policy()).is_some());
        assert!(dpd.acknowledged(at(36), 9));
        assert!(!dpd.acknowledged(at(36), 9), "once");
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

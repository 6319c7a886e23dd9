//! `timer`: retransmission, half-open exchanges, NAT keepalives.

use std::time::Duration;

use racoon_conf::Spanned;
use racoon_conf::ast::Timer;

use super::lower::Lowering;

/// An hour, in seconds.
const HOUR: u64 = 3600;

impl Lowering {
    pub(super) fn timer(&mut self, block: &[Spanned<Timer>]) {
        for item in block {
            if !self.visit("timer", item.value.name(), item.span) {
                continue;
            }
            match &item.value {
                Timer::Counter(number) => match u32::try_from(number.value) {
                    Ok(times @ 1..=20) => {
                        self.policy.retransmit.attempts = times;
                        self.from("retransmit.attempts", item.span);
                    }
                    _ => self.value("timer counter", "out of range", number.span, ""),
                },
                Timer::Interval(time) => match time.value.seconds() {
                    seconds @ 1..=HOUR => {
                        self.interval(seconds);
                        self.from("retransmit.initial", item.span);
                    }
                    _ => self.value("timer interval", "out of range", time.span, ""),
                },
                Timer::Phase1(time) => match time.value.seconds() {
                    seconds @ 5..=HOUR => {
                        self.policy.limits.half_open_timeout = Duration::from_secs(seconds);
                        self.from("limits.half_open_timeout", item.span);
                    }
                    _ => self.value("timer phase1", "out of range", time.span, ""),
                },
                Timer::NattKeepalive(time) => match time.value.seconds() {
                    seconds @ 0..=HOUR => {
                        self.policy.nat.keepalive = Duration::from_secs(seconds);
                        self.from("nat_t.keepalive", item.span);
                    }
                    _ => self.value("timer natt_keepalive", "out of range", time.span, ""),
                },
                Timer::Persend(_) | Timer::Phase2(_) => {}
            }
        }
    }

    /// racoon waits equally long every time.
    fn interval(&mut self, seconds: u64) {
        let retransmit = &mut self.policy.retransmit;
        retransmit.initial = Duration::from_secs(seconds);
        retransmit.maximum = retransmit.initial;
        retransmit.factor_tenths = 10;
    }
}

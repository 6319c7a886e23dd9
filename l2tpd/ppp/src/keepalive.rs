//! The keepalive of an open link: LCP Echo-Requests (RFC 1661 section 5.8), with anything that
//! comes in counted as a sign of life, so that they are sent on a silent link only.

use std::time::{Duration, Instant};

use crate::io::Config;

#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    failures: u8,
    deadline: Option<Instant>,
    heard: bool,
    missed: u8,
    /// Frames with our own magic number in them, in a row.
    looped: u8,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    SendEcho,
    PeerDead,
}

/// Our own frames this often in a row mean a looped link.
const LOOPS: u8 = 3;

impl Keepalive {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            interval: config.echo_interval,
            failures: config.echo_failures.max(1),
            deadline: None,
            heard: false,
            missed: 0,
            looped: 0,
        }
    }

    pub(crate) fn start(&mut self, now: Instant) {
        self.deadline = (!self.interval.is_zero()).then(|| now + self.interval);
        self.heard = false;
        self.missed = 0;
        self.looped = 0;
    }

    pub(crate) fn stop(&mut self) {
        self.deadline = None;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn missed(&self) -> u8 {
        self.missed
    }

    /// The peer lives.
    pub(crate) fn heard(&mut self) {
        self.heard = true;
        self.missed = 0;
    }

    /// A frame of our own came back; true if that happened too often.
    pub(crate) fn looped(&mut self) -> bool {
        self.looped = self.looped.saturating_add(1);
        self.looped >= LOOPS
    }

    /// An echo that is not our own.
    pub(crate) fn not_looped(&mut self) {
        self.looped = 0;
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Due::Nothing;
        }
        self.deadline = Some(now + self.interval);
        if std::mem::take(&mut self.heard) {
            return Due::Nothing;
        }
        if self.missed >= self.failures {
            self.deadline = None;
            return Due::PeerDead;
        }
        self.missed = self.missed.saturating_add(1);
        Due::SendEcho
    }
}

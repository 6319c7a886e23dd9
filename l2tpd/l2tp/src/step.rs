//! One step of the machine: what every handler may read and write besides its own state, and how
//! refusals are reported.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::id::FlowId;
use crate::io::{Counters, Output, Refusal, Refused};
use crate::wire::{Fault, ResultCode, ResultScope, error_code};

/// The surroundings of a handler.
pub(crate) struct Step<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) counters: &'a mut Counters,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) reports: &'a mut Reports,
    /// Sessions of all tunnels.
    pub(crate) sessions: &'a mut usize,
    pub(crate) shutting_down: bool,
}

impl Step<'_> {
    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Counts a refusal, and reports it unless the same was reported lately.
    pub(crate) fn refuse(&mut self, refused: Refused) {
        self.counters.refused += 1;
        match refused.reason {
            Refusal::TunnelLimit
            | Refusal::SourceLimit
            | Refusal::HalfOpenLimit
            | Refusal::SourceHalfOpenLimit
            | Refusal::SessionLimit => self.counters.refused_by_limit += 1,
            Refusal::Authentication | Refusal::ChallengeWithoutSecret => {
                self.counters.authentication_failures += 1;
            }
            Refusal::Malformed => self.counters.malformed += 1,
            _ => {}
        }
        if self.reports.is_new(self.now, &refused.flow, refused.reason) {
            self.outputs.push_back(Output::Refused(refused));
        }
    }
}

/// Refusals reported lately, so that a peer that keeps trying fills no log.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    recent: VecDeque<(Instant, IpAddr, Refusal)>,
}

impl Reports {
    const REMEMBERED: usize = 256;
    const QUIET: Duration = Duration::from_secs(60);

    fn is_new(&mut self, now: Instant, flow: &FlowId, reason: Refusal) -> bool {
        let source = flow.peer.ip();
        while self
            .recent
            .front()
            .is_some_and(|(at, ..)| now.duration_since(*at) >= Self::QUIET)
        {
            self.recent.pop_front();
        }
        if self
            .recent
            .iter()
            .any(|&(_, ip, seen)| (ip, seen) == (source, reason))
        {
            return false;
        }
        if self.recent.len() == Self::REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((now, source, reason));
        true
    }
}

/// Why a request cannot be granted, and what the peer is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) reason: Refusal,
    pub(crate) result: ResultCode,
    pub(crate) detail: String,
}

impl Objection {
    pub(crate) fn new(reason: Refusal, result: ResultCode) -> Self {
        Self {
            reason,
            result,
            detail: String::new(),
        }
    }

    pub(crate) fn fault(scope: ResultScope, fault: Fault) -> Self {
        let (reason, error) = match fault {
            Fault::Length => (Refusal::Malformed, error_code::LENGTH),
            Fault::TooMany | Fault::Value(_) => (Refusal::Malformed, error_code::VALUE),
            Fault::Unknown { .. } | Fault::Hidden(_) => {
                (Refusal::UnknownMandatory, error_code::UNKNOWN_MANDATORY)
            }
        };
        let detail = fault.to_string();
        Self {
            reason,
            result: ResultCode::general_error(scope, error, &detail),
            detail,
        }
    }

    pub(crate) fn missing(scope: ResultScope, name: &str) -> Self {
        let detail = format!("{name} is missing");
        let result = ResultCode::general_error(scope, error_code::VALUE, &detail);
        Self {
            reason: Refusal::MissingAvp,
            result,
            detail,
        }
    }

    /// Result 7 of StopCCN: the three-way handshake was not kept to.
    pub(crate) fn wrong_state(detail: String) -> Self {
        let result = ResultCode::new(ResultScope::StopCcn, 7);
        Self {
            reason: Refusal::WrongState,
            result,
            detail,
        }
    }
}

//! The link: LCP, authentication and network control protocols put together (RFC 1661 section 3).
//!
//! ```text
//! Dead -> Establish -> Authenticate -> Network -> Terminate -> Dead
//! ```
//!
//! * `receive`: which packet is taken in which phase; echo, rejects, identification
//! * `authenticate`: the Authenticate phase (3.5)
//! * `network`: the Network phase (3.6)
//! * `checkpoint`: an open link on paper and back

mod authenticate;
mod checkpoint;
mod network;
mod receive;

use std::collections::VecDeque;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::auth::{Applicant, Authenticator};
use crate::automaton::{Automaton, Signal};
use crate::fsm::State;
use crate::io::{
    CloseReason, Config, Counters, DownReason, Family, Ipv4Config, Network, Output, Phase,
    Question, View,
};
use crate::ipcp::Ipcp;
use crate::ipv6cp::Ipv6cp;
use crate::keepalive::{Due, Keepalive};
use crate::lcp::Lcp;
use crate::packet::{code, emit, protocol};

/// One PPP link, either end.
#[derive(Debug)]
pub struct Link {
    config: Config,
    outputs: VecDeque<Output>,
    counters: Counters,
    phase: Phase,
    /// Down was told; nothing happens any more.
    over: bool,
    lcp: Automaton<Lcp>,
    /// Made when the addresses are known.
    ipcp: Option<Automaton<Ipcp>>,
    ipv6cp: Option<Automaton<Ipv6cp>>,
    ipcp_next_id: u8,
    authenticator: Option<Authenticator>,
    applicant: Option<Applicant>,
    peer_proven: bool,
    us_proven: bool,
    user: Option<String>,
    /// Whom the peer claims to be, until that is decided.
    claim: Option<String>,
    secret_question: Option<Question>,
    address_question: Option<Question>,
    next_question: u32,
    /// An IPCP packet that came while the addresses were looked up.
    held_ipcp: Option<Vec<u8>>,
    /// The peer sent a packet of the Network phase: it knows that it was authenticated.
    network_heard: bool,
    v4: Option<Network>,
    v6: Option<Network>,
    keepalive: Keepalive,
    establish_deadline: Option<Instant>,
    /// Why the link is ending.
    ending: Option<DownReason>,
    /// Protocol-Rejects sent in the second that began then.
    reject_budget: (Option<Instant>, u8),
}

impl Link {
    /// A dead link; nothing happens before [`Link::open`]. `rng` gives magic number and
    /// identifiers.
    #[must_use]
    pub fn new(config: Config, rng: &mut dyn CryptoRng) -> Self {
        let lcp = Automaton::new(Lcp::new(&config, rng), &config, 1);
        Self::with_lcp(config, lcp)
    }

    fn with_lcp(config: Config, lcp: Automaton<Lcp>) -> Self {
        Self {
            outputs: VecDeque::new(),
            counters: Counters::default(),
            phase: Phase::Dead,
            over: false,
            lcp,
            ipcp: None,
            ipv6cp: None,
            ipcp_next_id: 1,
            authenticator: None,
            applicant: None,
            peer_proven: false,
            us_proven: false,
            user: None,
            claim: None,
            secret_question: None,
            address_question: None,
            next_question: 0,
            held_ipcp: None,
            network_heard: false,
            v4: None,
            v6: None,
            keepalive: Keepalive::new(&config),
            establish_deadline: None,
            ending: None,
            reject_budget: (None, 0),
            config,
        }
    }

    /// The call is up: start LCP.
    pub fn open(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        if self.over || self.phase != Phase::Dead {
            return;
        }
        self.phase = Phase::Establish;
        let limit = self.config.establish_timeout;
        self.establish_deadline = (!limit.is_zero()).then(|| now + limit);
        self.lcp.open(now);
        self.lcp.lower_up(now);
        self.settle(now, rng);
    }

    /// Says which network protocols there are for the peer, once it is known who that is; to be
    /// called before [`Link::provide_secret`].
    pub fn offer(&mut self, ipv4: bool, ipv6: bool) {
        if !ipv4 {
            self.config.ipv4 = Ipv4Config::Off;
        }
        self.config.ipv6 = ipv6;
    }

    /// Does what is due at `now`; harmless when nothing is.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        if self.over {
            return;
        }
        if self
            .establish_deadline
            .is_some_and(|deadline| deadline <= now)
        {
            self.establish_deadline = None;
            self.terminate(now, DownReason::EstablishTimeout);
        }
        self.lcp.handle_timeout(now);
        if let Some(step) = self
            .authenticator
            .as_mut()
            .map(|each| each.handle_timeout(now))
        {
            self.authenticator_step(now, step, rng);
        }
        if let Some(step) = self.applicant.as_mut().map(|each| each.handle_timeout(now)) {
            self.applicant_step(now, step, rng);
        }
        let asked_again = self
            .ipcp
            .as_mut()
            .is_some_and(|ncp| ncp.handle_timeout(now));
        if let Some(ncp) = &mut self.ipv6cp {
            ncp.handle_timeout(now);
        }
        if asked_again && !self.network_heard {
            // Nothing of the Network phase was heard: perhaps our Success was lost, and the peer
            // still waits for it, deaf to IPCP.
            let again = self
                .authenticator
                .as_ref()
                .and_then(Authenticator::success_again);
            if let Some(packet) = again {
                self.send(protocol::CHAP, packet);
            }
        }
        match self.keepalive.handle_timeout(now) {
            Due::Nothing => {}
            Due::SendEcho => {
                let id = self.lcp.fresh_id();
                let magic = self.lcp.negotiator.magic().to_be_bytes();
                self.counters.echo_requests_out += 1;
                self.send(protocol::LCP, emit(code::ECHO_REQUEST, id, &magic));
            }
            Due::PeerDead => self.terminate(now, DownReason::PeerDead),
        }
        self.settle(now, rng);
    }

    /// When [`Link::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        [
            self.lcp.deadline(),
            self.ipcp.as_ref().and_then(Automaton::deadline),
            self.ipv6cp.as_ref().and_then(Automaton::deadline),
            self.authenticator
                .as_ref()
                .and_then(Authenticator::deadline),
            self.applicant.as_ref().and_then(Applicant::deadline),
            self.keepalive.deadline(),
            self.establish_deadline,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When an Echo-Request is sent, unless the peer is heard of until then.
    #[must_use]
    pub fn echo_due(&self) -> Option<Instant> {
        self.keepalive.deadline().filter(|_| !self.over)
    }

    /// Echo-Requests in a row that were not answered.
    pub fn echo_missed(&self) -> u8 {
        self.keepalive.missed()
    }

    /// Ends the link with Terminate-Requests; [`Output::Down`] follows when the peer agreed or
    /// did not answer (at most `max_terminate` restart periods).
    pub fn close(&mut self, now: Instant, reason: CloseReason) {
        self.terminate(now, DownReason::Closed(reason));
        self.settle_lcp_only(now);
    }

    /// The call is gone: [`Output::Down`] at once.
    pub fn lower_down(&mut self) {
        let reason = self.ending.take().unwrap_or(DownReason::LowerDown);
        self.finish(reason);
    }

    /// Network packets came in since the last call: the peer lives, no Echo-Request is needed.
    pub fn note_traffic(&mut self, _now: Instant) {
        self.keepalive.heard();
    }

    /// The next thing to do or to know, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where the link is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The configuration it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// For the command line.
    #[must_use]
    pub fn view(&self) -> View {
        let opened = self.lcp.state() == State::Opened;
        let state = |state: Option<State>| state.unwrap_or(State::Initial).to_string();
        View {
            phase: self.phase,
            lcp_state: state(Some(self.lcp.state())),
            ipcp_state: state(self.ipcp.as_ref().map(Automaton::state)),
            ipv6cp_state: state(self.ipv6cp.as_ref().map(Automaton::state)),
            lcp: opened.then(|| self.lcp.negotiator.opened()),
            user: self.user.clone(),
            method: self.peer_method(),
            ipv4: self.v4,
            ipv6: self.v6,
            echo_missed: self.keepalive.missed(),
            counters: self.counters,
        }
    }

    fn send(&mut self, protocol: u16, payload: Vec<u8>) {
        self.counters.frames_out += 1;
        self.outputs.push_back(Output::Send { protocol, payload });
    }

    /// Begins the end, once; the first reason counts.
    fn terminate(&mut self, now: Instant, reason: DownReason) {
        if self.over || self.ending.is_some() {
            return;
        }
        if self.phase == Phase::Dead {
            self.finish(reason);
            return;
        }
        self.lcp.close(now, &reason.to_string());
        self.ending = Some(reason);
        self.phase = Phase::Terminate;
    }

    /// Carries out what the automata want, until they want nothing more.
    fn settle(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        loop {
            if self.over {
                return;
            }
            if let Some(signal) = self.lcp.poll_signal() {
                if signal == Signal::Up && self.ending.is_none() {
                    self.lcp_up(now, rng);
                } else {
                    self.lcp_signal(now, signal);
                }
            } else if let Some(signal) = self.ipcp.as_mut().and_then(Automaton::poll_signal) {
                self.ncp_signal(now, Family::V4, signal);
            } else if let Some(signal) = self.ipv6cp.as_mut().and_then(Automaton::poll_signal) {
                self.ncp_signal(now, Family::V6, signal);
            } else {
                return;
            }
        }
    }

    /// `settle` for the end of a link, which needs no randomness.
    fn settle_lcp_only(&mut self, now: Instant) {
        while !self.over
            && let Some(signal) = self.lcp.poll_signal()
        {
            self.lcp_signal(now, signal);
        }
    }

    fn lcp_signal(&mut self, now: Instant, signal: Signal) {
        match signal {
            Signal::Send(packet) => self.send(protocol::LCP, packet),
            Signal::Up => {}
            Signal::Down => self.lcp_down(now),
            Signal::Finished | Signal::Unanswered => {
                let reason = self.ending.take().unwrap_or(DownReason::NoLcpAnswer);
                self.finish(reason);
            }
            Signal::Fatal(reason) => self.terminate(now, reason),
        }
    }

    fn lcp_up(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        self.outputs
            .push_back(Output::LcpOpened(self.lcp.negotiator.opened()));
        self.keepalive.start(now);
        self.phase = Phase::Authenticate;
        self.user = None;
        self.network_heard = false;
        if !self.begin_authentication(now, rng) {
            return;
        }
        self.enter_network(now, rng);
    }

    /// LCP left Opened: to be negotiated again, or for good.
    fn lcp_down(&mut self, now: Instant) {
        self.keepalive.stop();
        self.authenticator = None;
        self.applicant = None;
        self.peer_proven = false;
        self.us_proven = false;
        self.secret_question = None;
        self.address_question = None;
        self.held_ipcp = None;
        if let Some(mut ncp) = self.ipcp.take() {
            ncp.lower_down(now);
            self.ipcp_next_id = ncp.next_id();
        }
        self.ipv6cp = None;
        self.networks_down();
        if self.ending.is_none() {
            self.counters.renegotiations += 1;
            self.phase = Phase::Establish;
            let limit = self.config.establish_timeout;
            self.establish_deadline = (!limit.is_zero()).then(|| now + limit);
        } else {
            self.phase = Phase::Terminate;
            self.establish_deadline = None;
        }
    }

    fn ask(&mut self) -> Question {
        self.next_question = self.next_question.wrapping_add(1);
        Question(self.next_question)
    }

    /// The end: everything down, and nothing more after.
    fn finish(&mut self, reason: DownReason) {
        if self.over {
            return;
        }
        self.networks_down();
        self.keepalive.stop();
        self.authenticator = None;
        self.applicant = None;
        self.ipcp = None;
        self.ipv6cp = None;
        self.phase = Phase::Dead;
        self.over = true;
        self.outputs.push_back(Output::Down { reason });
    }
}

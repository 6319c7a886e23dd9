//! The link: LCP, authentication and network control protocols put together (RFC 1661 section 3).
//!
//! ```text
//! Dead -> Establish -> Authenticate -> Network -> Terminate -> Dead
//! ```
//!
//! What comes in is in `receive.rs`, taking a link to paper and back in `checkpoint.rs`.

use std::collections::VecDeque;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::auth::{Applicant, Authenticator, Outcome, Step, protocol_of, user_name};
use crate::automaton::{Automaton, Negotiator, Signal};
use crate::fsm::State;
use crate::io::{
    AuthFailure, AuthMethod, CloseReason, Config, Counters, DownReason, Family, Ipv4Assignment,
    Ipv4Config, Network, Output, Party, Phase, Question, Secret, View,
};
use crate::ipcp::Ipcp;
use crate::ipv6cp::Ipv6cp;
use crate::keepalive::{Due, Keepalive};
use crate::lcp::Lcp;
use crate::packet::{code, emit, printable, protocol};

/// One PPP link, either end.
#[derive(Debug)]
pub struct Link {
    pub(crate) config: Config,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) counters: Counters,
    pub(crate) phase: Phase,
    /// Down was told; nothing happens any more.
    pub(crate) over: bool,
    pub(crate) lcp: Automaton<Lcp>,
    /// Made when the addresses are known.
    pub(crate) ipcp: Option<Automaton<Ipcp>>,
    pub(crate) ipv6cp: Option<Automaton<Ipv6cp>>,
    pub(crate) ipcp_next_id: u8,
    pub(crate) authenticator: Option<Authenticator>,
    pub(crate) applicant: Option<Applicant>,
    pub(crate) peer_proven: bool,
    pub(crate) us_proven: bool,
    pub(crate) user: Option<String>,
    /// Whom the peer claims to be, until that is decided.
    claim: Option<String>,
    secret_question: Option<Question>,
    pub(crate) address_question: Option<Question>,
    next_question: u32,
    /// An IPCP packet that came while the addresses were looked up.
    pub(crate) held_ipcp: Option<Vec<u8>>,
    /// The peer sent a packet of the Network phase: it knows that it was authenticated.
    pub(crate) network_heard: bool,
    pub(crate) v4: Option<Network>,
    pub(crate) v6: Option<Network>,
    pub(crate) keepalive: Keepalive,
    establish_deadline: Option<Instant>,
    /// Why the link is ending.
    pub(crate) ending: Option<DownReason>,
    /// Protocol-Rejects sent in the second that began then.
    pub(crate) reject_budget: (Option<Instant>, u8),
}

impl Link {
    /// A dead link; nothing happens before [`Link::open`]. `rng` gives magic number and
    /// identifiers.
    #[must_use]
    pub fn new(config: Config, rng: &mut dyn CryptoRng) -> Self {
        let lcp = Automaton::new(Lcp::new(&config, rng), &config, 1);
        Self::with_lcp(config, lcp)
    }

    pub(crate) fn with_lcp(config: Config, lcp: Automaton<Lcp>) -> Self {
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

    /// Answers [`Output::NeedSecret`]; `None` if there is no such user.
    pub fn provide_secret(
        &mut self,
        now: Instant,
        question: Question,
        secret: Option<Secret>,
        rng: &mut dyn CryptoRng,
    ) {
        if self.over || self.secret_question != Some(question) {
            return;
        }
        self.secret_question = None;
        let verdict = secret.as_ref().ok_or(AuthFailure::UnknownUser);
        if let Some(step) = self
            .authenticator
            .as_mut()
            .map(|each| each.verify(now, verdict, rng))
        {
            self.authenticator_step(now, step, rng);
        }
        self.settle(now, rng);
    }

    /// Answers [`Output::NeedAddress`]; `None` if there is none left.
    pub fn provide_address(
        &mut self,
        now: Instant,
        question: Question,
        assignment: Option<Ipv4Assignment>,
        rng: &mut dyn CryptoRng,
    ) {
        if self.over || self.address_question != Some(question) {
            return;
        }
        self.address_question = None;
        let Some(assignment) = assignment else {
            self.terminate(now, DownReason::NoAddress);
            self.settle(now, rng);
            return;
        };
        self.start_ipcp(now, Ipcp::server(assignment));
        self.settle(now, rng);
        if let Some(held) = self.held_ipcp.take() {
            self.handle_frame(now, protocol::IPCP, &held, rng);
        }
    }

    /// Closes one network protocol; the link goes on if the other one runs.
    pub fn close_network(
        &mut self,
        now: Instant,
        family: Family,
        reason: CloseReason,
        rng: &mut dyn CryptoRng,
    ) {
        if self.over || self.phase != Phase::Network {
            return;
        }
        let farewell = reason.to_string();
        match family {
            Family::V4 => {
                if let Some(ncp) = &mut self.ipcp {
                    ncp.close(now, &farewell);
                }
            }
            Family::V6 => {
                if let Some(ncp) = &mut self.ipv6cp {
                    ncp.close(now, &farewell);
                }
            }
        }
        self.settle(now, rng);
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

    /// How the peer proved itself.
    pub(crate) fn peer_method(&self) -> Option<AuthMethod> {
        self.lcp
            .negotiator
            .peer_method()
            .filter(|_| self.peer_proven)
    }

    pub(crate) fn send(&mut self, protocol: u16, payload: Vec<u8>) {
        self.counters.frames_out += 1;
        self.outputs.push_back(Output::Send { protocol, payload });
    }

    /// Begins the end, once; the first reason counts.
    pub(crate) fn terminate(&mut self, now: Instant, reason: DownReason) {
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
    pub(crate) fn settle(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
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
        self.peer_proven = self.config.authenticate_peer.is_empty();
        if !self.peer_proven {
            let Some(method) = self.lcp.negotiator.peer_method() else {
                self.terminate(now, DownReason::AuthNotAgreed);
                return;
            };
            let (authenticator, step) = Authenticator::start(method, &self.config, now, rng);
            self.authenticator = Some(authenticator);
            self.authenticator_step(now, step, rng);
        }
        self.us_proven = true;
        if let (Some(method), Some(own)) =
            (self.lcp.negotiator.our_method(), &self.config.credentials)
        {
            self.us_proven = false;
            let (applicant, step) = Applicant::start(method, own, &self.config, now);
            self.applicant = Some(applicant);
            self.applicant_step(now, step, rng);
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

    pub(crate) fn authenticator_step(&mut self, now: Instant, step: Step, rng: &mut dyn CryptoRng) {
        let Some(method) = self.lcp.negotiator.peer_method() else {
            return;
        };
        if let Some(packet) = step.send {
            self.send(protocol_of(method), packet);
        }
        match step.outcome {
            Outcome::Nothing => {}
            Outcome::Unexpected => self.counters.dropped_unexpected += 1,
            Outcome::Malformed => self.counters.dropped_malformed += 1,
            Outcome::NoAnswer => self.terminate(now, DownReason::NoAuthAnswer),
            Outcome::Identify(name) => match user_name(&name) {
                Some((identity, user)) => {
                    let question = self.ask();
                    self.secret_question = Some(question);
                    self.claim = Some(user.to_owned());
                    self.outputs.push_back(Output::NeedSecret {
                        question,
                        identity: identity.to_owned(),
                        user: user.to_owned(),
                        method,
                    });
                }
                None => {
                    self.claim = Some(printable(&name));
                    let refused = Err(AuthFailure::BadName);
                    let step = self
                        .authenticator
                        .as_mut()
                        .map(|it| it.verify(now, refused, rng));
                    if let Some(step) = step {
                        self.authenticator_step(now, step, rng);
                    }
                }
            },
            Outcome::Passed => {
                let user = self.claim.take().unwrap_or_default();
                self.peer_proven = true;
                self.user = Some(user.clone());
                let party = Party::Peer;
                self.outputs.push_back(Output::Authenticated {
                    party,
                    user,
                    method,
                });
                self.enter_network(now, rng);
            }
            Outcome::Failed { reason, last } => {
                self.counters.auth_failures += 1;
                let user = self.claim.take().unwrap_or_default();
                let party = Party::Peer;
                self.outputs.push_back(Output::AuthFailed {
                    party,
                    user,
                    method,
                    reason,
                });
                if last {
                    self.terminate(now, DownReason::AuthFailed);
                }
            }
        }
    }

    pub(crate) fn applicant_step(&mut self, now: Instant, step: Step, rng: &mut dyn CryptoRng) {
        let Some(method) = self.lcp.negotiator.our_method() else {
            return;
        };
        if let Some(packet) = step.send {
            self.send(protocol_of(method), packet);
        }
        let user = self
            .config
            .credentials
            .as_ref()
            .map_or("", |own| &own.user)
            .to_owned();
        let party = Party::Us;
        match step.outcome {
            Outcome::Nothing | Outcome::Identify(_) => {}
            Outcome::Unexpected => self.counters.dropped_unexpected += 1,
            Outcome::Malformed => self.counters.dropped_malformed += 1,
            Outcome::NoAnswer => self.terminate(now, DownReason::NoAuthAnswer),
            Outcome::Passed => {
                self.us_proven = true;
                self.outputs.push_back(Output::Authenticated {
                    party,
                    user,
                    method,
                });
                self.enter_network(now, rng);
            }
            Outcome::Failed { reason, .. } => {
                self.outputs.push_back(Output::AuthFailed {
                    party,
                    user,
                    method,
                    reason,
                });
                self.terminate(now, DownReason::AuthFailed);
            }
        }
    }

    fn ask(&mut self) -> Question {
        self.next_question = self.next_question.wrapping_add(1);
        Question(self.next_question)
    }

    /// Starts the network control protocols once everybody is who he says.
    fn enter_network(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let ready = self.phase == Phase::Authenticate && self.peer_proven && self.us_proven;
        if !ready || self.ending.is_some() {
            return;
        }
        self.phase = Phase::Network;
        match self.config.ipv4 {
            Ipv4Config::Off => {}
            Ipv4Config::Assign => {
                let question = self.ask();
                self.address_question = Some(question);
                let user = self.user.clone();
                self.outputs
                    .push_back(Output::NeedAddress { question, user });
            }
            Ipv4Config::Request { address, dns } => {
                self.start_ipcp(now, Ipcp::client(address, dns));
            }
        }
        if self.config.ipv6 {
            let mut ncp = Automaton::new(Ipv6cp::new(rng), &self.config, 1);
            ncp.open(now);
            ncp.lower_up(now);
            self.ipv6cp = Some(ncp);
        } else if self.config.ipv4 == Ipv4Config::Off {
            self.terminate(now, DownReason::NoNetworkProtocol);
        }
    }

    fn start_ipcp(&mut self, now: Instant, negotiator: Ipcp) {
        let mut ncp = Automaton::new(negotiator, &self.config, self.ipcp_next_id);
        ncp.open(now);
        ncp.lower_up(now);
        self.ipcp = Some(ncp);
    }

    fn ncp_signal(&mut self, now: Instant, family: Family, signal: Signal) {
        match signal {
            Signal::Send(packet) => {
                let number = match family {
                    Family::V4 => Ipcp::PROTOCOL,
                    Family::V6 => Ipv6cp::PROTOCOL,
                };
                self.send(number, packet);
            }
            Signal::Up => self.network_up(now, family),
            Signal::Down => self.network_down(family),
            // IPCP that neither opens nor is refused leaves the ends with different beliefs: the
            // peer shall call again. Silence to IPv6CP is common and means no.
            Signal::Unanswered if family == Family::V4 => {
                self.terminate(now, DownReason::NoNetworkProtocol);
            }
            Signal::Finished | Signal::Unanswered => {
                self.network_finished(now, DownReason::NoNetworkProtocol);
            }
            Signal::Fatal(reason) => {
                match family {
                    Family::V4 => self.ipcp = None,
                    Family::V6 => self.ipv6cp = None,
                }
                self.network_down(family);
                self.network_finished(now, reason);
            }
        }
    }

    fn network_up(&mut self, now: Instant, family: Family) {
        let network = match family {
            Family::V4 => self.ipcp.as_ref().and_then(|ncp| ncp.negotiator.network()),
            Family::V6 => self
                .ipv6cp
                .as_ref()
                .and_then(|ncp| ncp.negotiator.network()),
        };
        let Some(network) = network else {
            self.network_finished(now, DownReason::NoAddress);
            return;
        };
        match family {
            Family::V4 => self.v4 = Some(network),
            Family::V6 => self.v6 = Some(network),
        }
        self.establish_deadline = None;
        self.outputs.push_back(Output::NetworkUp(network));
    }

    fn network_down(&mut self, family: Family) {
        let open = match family {
            Family::V4 => self.v4.take(),
            Family::V6 => self.v6.take(),
        };
        if open.is_some() {
            self.outputs.push_back(Output::NetworkDown(family));
        }
    }

    pub(crate) fn networks_down(&mut self) {
        self.network_down(Family::V4);
        self.network_down(Family::V6);
    }

    /// Ends the link if no network protocol runs or may come to run.
    fn network_finished(&mut self, now: Instant, reason: DownReason) {
        let running = |state: State| !matches!(state, State::Stopped | State::Closed);
        let v4 = self.ipcp.as_ref().is_some_and(|ncp| {
            running(ncp.state()) && (ncp.state() != State::Opened || self.v4.is_some())
        });
        let v6 = self.ipv6cp.as_ref().is_some_and(|ncp| running(ncp.state()));
        if self.phase == Phase::Network && !v4 && !v6 && self.address_question.is_none() {
            self.terminate(now, reason);
        }
    }

    /// The end: everything down, and nothing more after.
    pub(crate) fn finish(&mut self, reason: DownReason) {
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

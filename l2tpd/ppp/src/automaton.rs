//! Runs the automaton of `fsm.rs` for one control protocol: identifiers, the Restart timer and its
//! counters (RFC 1661 section 4.6), and the packets of sections 5.1 to 5.6. What the options mean
//! is the [`Negotiator`]'s.
//!
//! Three guards stand before the table, because peers and lossy paths do what it forbids:
//! an answer is taken once and only for the request last sent; the very Configure-Request we
//! acknowledged last is acknowledged again without leaving Opened (a few times); and a negotiation
//! that goes in circles is ended.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::fsm::{Action, Event, State, transition};
use crate::io::{Config, DownReason};
use crate::options::{Opt, Verdict, parse};
use crate::packet::{Packet, code, emit};

/// What is particular to LCP, IPCP and IPv6CP: the options.
pub(crate) trait Negotiator {
    /// The PPP protocol number.
    const PROTOCOL: u16;

    /// The options of our Configure-Request as wanted now.
    fn request(&self) -> Vec<u8>;

    /// Judges the peer's Configure-Request; remembers what it says when it is acknowledged.
    /// `exhausted`: Max-Failure Naks were sent already.
    ///
    /// # Errors
    /// The protocol has to end.
    fn judge(
        &mut self,
        options: &[Opt<'_>],
        exhausted: bool,
        rng: &mut dyn CryptoRng,
    ) -> Result<Verdict, DownReason>;

    /// Our Configure-Request was Naked.
    ///
    /// # Errors
    /// The protocol has to end.
    fn naked(&mut self, options: &[Opt<'_>], rng: &mut dyn CryptoRng) -> Result<(), DownReason>;

    /// Options of our Configure-Request were rejected.
    ///
    /// # Errors
    /// The protocol has to end.
    fn rejected(&mut self, options: &[Opt<'_>]) -> Result<(), DownReason>;
}

/// What an automaton wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Send(Vec<u8>),
    /// This-Layer-Up.
    Up,
    /// This-Layer-Down.
    Down,
    /// This-Layer-Finished.
    Finished,
    /// This-Layer-Finished because Configure-Requests stayed unanswered (TO- of section 4.3).
    Unanswered,
    /// The protocol cannot go on.
    Fatal(DownReason),
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// Not an answer to what we asked.
    Unexpected,
    /// Broken options.
    Malformed,
    /// A code the automaton does not know; nothing was done.
    UnknownCode,
}

#[derive(Debug)]
pub(crate) struct Automaton<N> {
    pub(crate) negotiator: N,
    state: State,
    limits: Limits,
    restart_count: u8,
    deadline: Option<Instant>,
    next_id: u8,
    /// Our Configure-Request nobody answered yet: identifier and packet.
    outstanding: Option<(u8, Vec<u8>)>,
    /// The peer's Configure-Request we acknowledged last, and how often again since.
    acknowledged: Option<(Vec<u8>, u8)>,
    /// Naks sent in this negotiation.
    naks: u8,
    /// Requests refused in this negotiation, Naks and Rejects.
    refusals: u8,
    /// Configure-Requests sent in this negotiation.
    requests: u8,
    /// The Data of our Terminate-Request.
    farewell: Vec<u8>,
    signals: VecDeque<Signal>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    restart: Duration,
    max_configure: u8,
    max_terminate: u8,
    max_failure: u8,
}

/// How often an acknowledged request may be repeated in Opened before the table's word counts.
const REPEATS: u8 = 3;

impl<N: Negotiator> Automaton<N> {
    pub(crate) fn new(negotiator: N, config: &Config, first_id: u8) -> Self {
        Self {
            negotiator,
            state: State::Initial,
            limits: Limits {
                restart: config.restart,
                max_configure: config.max_configure,
                max_terminate: config.max_terminate,
                max_failure: config.max_failure,
            },
            restart_count: 0,
            deadline: None,
            next_id: first_id,
            outstanding: None,
            acknowledged: None,
            naks: 0,
            refusals: 0,
            requests: 0,
            farewell: Vec::new(),
            signals: VecDeque::new(),
        }
    }

    /// An automaton that is already in `state` (taken from a checkpoint).
    pub(crate) fn restored(negotiator: N, config: &Config, next_id: u8, state: State) -> Self {
        Self {
            state,
            ..Self::new(negotiator, config, next_id)
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    /// The identifier the next new packet will carry.
    pub(crate) fn next_id(&self) -> u8 {
        self.next_id
    }

    /// Takes a fresh identifier.
    pub(crate) fn fresh_id(&mut self) -> u8 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    pub(crate) fn open(&mut self, now: Instant) {
        self.step(now, Event::Open, None);
    }

    pub(crate) fn lower_up(&mut self, now: Instant) {
        self.begin();
        self.step(now, Event::Up, None);
    }

    pub(crate) fn lower_down(&mut self, now: Instant) {
        self.begin();
        self.step(now, Event::Down, None);
    }

    pub(crate) fn close(&mut self, now: Instant, farewell: &str) {
        self.farewell = farewell.as_bytes().to_vec();
        self.step(now, Event::Close, None);
    }

    /// Returns true if a Configure-Request was sent once more.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        if self.restart_count == 0 {
            self.step(now, Event::TimeoutExpired, None);
            false
        } else {
            self.step(now, Event::TimeoutRetry, None);
            self.state.timer_runs() && !matches!(self.state, State::Closing | State::Stopping)
        }
    }

    /// A packet with one of the codes 1 to 6.
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Taken {
        match packet.code {
            code::CONFIGURE_REQUEST => self.configure_request(now, packet, rng),
            code::CONFIGURE_ACK => {
                // "MUST exactly match those of the last transmitted Configure-Request" (5.2).
                let same = self.outstanding.as_ref().is_some_and(|(id, request)| {
                    *id == packet.id && request.get(1..) == packet.whole.get(1..)
                });
                if !same {
                    return self.stray(now, Event::ConfigureAck, packet);
                }
                self.outstanding = None;
                self.step(now, Event::ConfigureAck, None);
                Taken::Yes
            }
            code::CONFIGURE_NAK | code::CONFIGURE_REJECT => self.refused(now, packet, rng),
            code::TERMINATE_REQUEST => {
                let reply = emit(code::TERMINATE_ACK, packet.id, packet.data);
                self.step(now, Event::TerminateRequest, Some(reply));
                Taken::Yes
            }
            code::TERMINATE_ACK => {
                self.step(now, Event::TerminateAck, None);
                Taken::Yes
            }
            _ => Taken::UnknownCode,
        }
    }

    /// RUC: answers with a Code-Reject of at most `limit` octets. Nothing is sent while the lower
    /// layer is down.
    pub(crate) fn unknown_code(&mut self, now: Instant, packet: &Packet<'_>, limit: usize) {
        let id = self.fresh_id();
        let room = limit.saturating_sub(crate::packet::HEADER);
        let copy = packet.whole.get(..room).unwrap_or(packet.whole);
        self.step(
            now,
            Event::UnknownCode,
            Some(emit(code::CODE_REJECT, id, copy)),
        );
    }

    /// RXJ+ and RXJ-.
    pub(crate) fn reject(&mut self, now: Instant, catastrophic: bool) {
        let event = if catastrophic {
            Event::RejectCatastrophic
        } else {
            Event::RejectPermitted
        };
        self.step(now, event, None);
    }

    /// RXR: `reply` goes out in Opened only.
    pub(crate) fn echo(&mut self, now: Instant, reply: Vec<u8>) {
        self.step(now, Event::Echo, Some(reply));
    }

    fn configure_request(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Taken {
        if matches!(self.state, State::Initial | State::Starting) {
            return Taken::Unexpected;
        }
        let Some(options) = parse(packet.data) else {
            return Taken::Malformed;
        };
        if matches!(self.state, State::Closing | State::Stopping) {
            self.step(now, Event::ConfigureRequestGood, None);
            return Taken::Yes;
        }
        if self.state == State::Closed {
            let reply = emit(code::TERMINATE_ACK, packet.id, &[]);
            self.step(now, Event::ConfigureRequestGood, Some(reply));
            return Taken::Yes;
        }
        if self.state == State::Opened
            && let Some((request, repeats)) = &mut self.acknowledged
            && request.as_slice() == packet.whole
            && *repeats < REPEATS
        {
            // Our Ack was lost, or the path delivered the request twice.
            *repeats += 1;
            self.signals.push_back(Signal::Send(emit(
                code::CONFIGURE_ACK,
                packet.id,
                packet.data,
            )));
            return Taken::Yes;
        }
        let exhausted = self.naks >= self.limits.max_failure;
        let verdict = match self.negotiator.judge(&options, exhausted, rng) {
            Ok(verdict) => verdict,
            Err(reason) => {
                self.signals.push_back(Signal::Fatal(reason));
                return Taken::Yes;
            }
        };
        let (event, reply) = match verdict {
            Verdict::Ack => {
                self.acknowledged = Some((packet.whole.to_vec(), 0));
                (
                    Event::ConfigureRequestGood,
                    emit(code::CONFIGURE_ACK, packet.id, packet.data),
                )
            }
            Verdict::Nak(naks) => {
                self.naks = self.naks.saturating_add(1);
                (
                    Event::ConfigureRequestBad,
                    emit(code::CONFIGURE_NAK, packet.id, &naks),
                )
            }
            Verdict::Reject(rejects) => (
                Event::ConfigureRequestBad,
                emit(code::CONFIGURE_REJECT, packet.id, &rejects),
            ),
        };
        if event == Event::ConfigureRequestBad {
            self.acknowledged = None;
            self.refusals = self.refusals.saturating_add(1);
            if self.refusals > self.limits.max_failure.saturating_mul(4) {
                self.signals
                    .push_back(Signal::Fatal(DownReason::NotConverging(N::PROTOCOL)));
                return Taken::Yes;
            }
        }
        self.step(now, event, Some(reply));
        Taken::Yes
    }

    fn refused(&mut self, now: Instant, packet: &Packet<'_>, rng: &mut dyn CryptoRng) -> Taken {
        if self
            .outstanding
            .as_ref()
            .is_none_or(|(id, _)| *id != packet.id)
        {
            return self.stray(now, Event::ConfigureNak, packet);
        }
        let Some(options) = parse(packet.data) else {
            return Taken::Malformed;
        };
        let result = if packet.code == code::CONFIGURE_NAK {
            self.negotiator.naked(&options, rng)
        } else {
            self.negotiator.rejected(&options)
        };
        self.outstanding = None;
        match result {
            Ok(()) => self.step(now, Event::ConfigureNak, None),
            Err(reason) => self.signals.push_back(Signal::Fatal(reason)),
        }
        Taken::Yes
    }

    /// An answer nobody waits for: silently discarded (5.2 to 5.4), except where the table has a
    /// Terminate-Ack for a peer that believes in a connection we do not have.
    fn stray(&mut self, now: Instant, event: Event, packet: &Packet<'_>) -> Taken {
        if matches!(self.state, State::Closed | State::Stopped) {
            self.step(now, event, Some(emit(code::TERMINATE_ACK, packet.id, &[])));
        }
        Taken::Unexpected
    }

    fn step(&mut self, now: Instant, event: Event, mut reply: Option<Vec<u8>>) {
        let Some((actions, next)) = transition(self.state, event) else {
            return;
        };
        let before = std::mem::replace(&mut self.state, next);
        let unanswered =
            event == Event::TimeoutExpired && !matches!(before, State::Closing | State::Stopping);
        for action in actions {
            match action {
                Action::ThisLayerUp => {
                    self.begin();
                    self.signals.push_back(Signal::Up);
                }
                Action::ThisLayerDown => self.signals.push_back(Signal::Down),
                Action::ThisLayerStarted => {}
                Action::ThisLayerFinished if unanswered => {
                    self.signals.push_back(Signal::Unanswered);
                }
                Action::ThisLayerFinished => self.signals.push_back(Signal::Finished),
                Action::InitializeRestartCount => {
                    self.restart_count = if matches!(next, State::Closing | State::Stopping) {
                        self.limits.max_terminate
                    } else {
                        self.limits.max_configure
                    };
                    self.deadline = Some(now + self.limits.restart);
                }
                Action::ZeroRestartCount => {
                    self.restart_count = 0;
                    self.deadline = Some(now + self.limits.restart);
                }
                Action::SendConfigureRequest => self.send_request(now, event),
                Action::SendTerminateRequest => {
                    let id = self.fresh_id();
                    let packet = emit(code::TERMINATE_REQUEST, id, &self.farewell);
                    self.arm(now, packet);
                }
                Action::SendConfigureAck
                | Action::SendConfigureNak
                | Action::SendTerminateAck
                | Action::SendCodeReject
                | Action::SendEchoReply => {
                    if let Some(packet) = reply.take() {
                        self.signals.push_back(Signal::Send(packet));
                    }
                }
            }
        }
        if !next.timer_runs() {
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = Some(now + self.limits.restart);
        }
        if !matches!(
            next,
            State::ReqSent | State::AckRcvd | State::AckSent | State::Opened
        ) {
            self.outstanding = None;
            self.acknowledged = None;
        }
    }

    fn send_request(&mut self, now: Instant, event: Event) {
        self.requests = self.requests.saturating_add(1);
        if self.requests > self.limits.max_configure.saturating_mul(3).max(30) {
            self.signals
                .push_back(Signal::Fatal(DownReason::NotConverging(N::PROTOCOL)));
            return;
        }
        // A retransmission keeps its identifier, so that an answer to any copy counts.
        let packet = match &self.outstanding {
            Some((_, packet)) if event == Event::TimeoutRetry => packet.clone(),
            _ => {
                let id = self.fresh_id();
                let packet = emit(code::CONFIGURE_REQUEST, id, &self.negotiator.request());
                self.outstanding = Some((id, packet.clone()));
                packet
            }
        };
        self.arm(now, packet);
    }

    fn arm(&mut self, now: Instant, packet: Vec<u8>) {
        self.restart_count = self.restart_count.saturating_sub(1);
        self.deadline = Some(now + self.limits.restart);
        self.signals.push_back(Signal::Send(packet));
    }

    /// A negotiation begins, or has ended well: its guards start anew.
    fn begin(&mut self) {
        self.naks = 0;
        self.refusals = 0;
        self.requests = 0;
    }
}

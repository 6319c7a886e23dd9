//! One control connection (RFC 2661 section 5, state table 7.2.1).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::checkpoint::{SessionRecord, TunnelRecord};
use crate::config::Secret;
use crate::handshake::{self, CHALLENGE_LENGTH, Peer};
use crate::id::{FlowId, SessionId, TunnelId};
use crate::io::{
    Output, Refusal, Refused, Role, SessionDownReason, TunnelDownReason, TunnelState, TunnelView,
};
use crate::session::{self, Session};
use crate::step::{Objection, Step};
use crate::wire::{
    Avp, Hiding, Message, MessageBuilder, MessageType, ResultCode, ResultScope, error_code, first,
};

/// How long the node lives on to acknowledge a StopCCN of the peer. Longer would only keep its
/// socket in the way of the client's next attempt.
pub(crate) const PEER_STOP_LINGER: Duration = Duration::from_secs(2);

/// One control connection.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) id: TunnelId,
    pub(crate) flow: FlowId,
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) peer: Peer,
    pub(crate) secret: Option<Secret>,
    pub(crate) authenticated: bool,
    pub(crate) created: Instant,
    /// When anything of the peer was last heard, data included.
    pub(crate) last_heard: Instant,
    /// When we last sent a HELLO.
    pub(crate) hello_sent: Option<Instant>,
    /// Whether that HELLO is the last thing we sent.
    pub(crate) hello_is_last: bool,
    /// The reliable channel failed, data flows on.
    pub(crate) control_lost: bool,
    /// Since when there is no session.
    pub(crate) idle_since: Instant,
    /// Boxed: mostly there is one, and a node of a B-tree has room for eleven.
    pub(crate) sessions: BTreeMap<SessionId, Box<Session>>,
}

/// Where a control connection stands.
#[derive(Debug)]
pub(crate) enum State {
    /// SCCRQ sent.
    WaitCtlReply {
        deadline: Instant,
        challenge: Option<[u8; CHALLENGE_LENGTH]>,
        tie_breaker: Option<[u8; 8]>,
    },
    /// SCCRP sent.
    WaitCtlConn {
        deadline: Instant,
        challenge: Option<[u8; CHALLENGE_LENGTH]>,
    },
    /// Open.
    Established { since: Instant },
    /// Over; the node lingers.
    Closing { until: Instant },
}

impl Tunnel {
    pub(crate) fn new(
        id: TunnelId,
        flow: FlowId,
        role: Role,
        state: State,
        peer: Peer,
        secret: Option<Secret>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            flow,
            role,
            state,
            peer,
            secret,
            authenticated: false,
            created: now,
            last_heard: now,
            hello_sent: None,
            hello_is_last: false,
            control_lost: false,
            idle_since: now,
            sessions: BTreeMap::new(),
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// Whether it counts against the limit of half-open tunnels.
    pub(crate) fn is_half_open(&self) -> bool {
        matches!(
            self.state,
            State::WaitCtlReply { .. } | State::WaitCtlConn { .. }
        )
    }

    /// A control message of the peer.
    pub(crate) fn handle(
        &mut self,
        step: &mut Step<'_>,
        session_id: u16,
        avps: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        self.last_heard = step.now;
        if let State::Closing { until } = &mut self.state {
            step.counters.ignored += 1;
            // Both sides stopped at once: nobody waits for an answer any more.
            if Message::parse(avps, None).is_ok_and(|m| m.message_type == MessageType::STOP_CCN) {
                *until = (*until).min(step.now + PEER_STOP_LINGER);
            }
            return;
        }
        let secret = self.secret.clone();
        let message = match Message::parse(avps, secret.as_ref().map(Secret::expose)) {
            Ok(message) => message,
            Err(error) => {
                // Nothing to act on; whatever it was meant to be, ending the tunnel for it would
                // punish the user.
                self.report(step, Refusal::Malformed, error.to_string());
                return;
            }
        };
        step.counters.ignored_avps += u64::from(message.ignored);
        let kind = message.message_type;
        match kind {
            MessageType::STOP_CCN => self.receive_stop_ccn(step, &message),
            MessageType::HELLO => step.counters.hello_in += 1,
            MessageType::SCCRP => self.receive_sccrp(step, &message, rng),
            MessageType::SCCCN => self.receive_scccn(step, &message),
            MessageType::SCCRQ => {
                let detail = format!("{kind} in state {:?}", self.view_state());
                self.object(step, Objection::wrong_state(detail));
            }
            _ if kind.name().is_none() && message.mandatory => {
                let mut objection = Objection::new(
                    Refusal::UnknownMandatory,
                    ResultCode::general_error(
                        ResultScope::StopCcn,
                        error_code::UNKNOWN_MANDATORY,
                        "unknown message type",
                    ),
                );
                objection.detail = kind.to_string();
                self.object(step, objection);
            }
            _ if kind.name().is_none() => step.counters.ignored += 1,
            _ if self.is_half_open() => {
                let detail = format!("{kind} before the control connection is established");
                self.object(step, Objection::wrong_state(detail));
            }
            _ => self.handle_call(step, session_id, &message, rng),
        }
    }

    fn receive_stop_ccn(&mut self, step: &mut Step<'_>, message: &Message) {
        let result = first!(message, ResultCode)
            .cloned()
            .unwrap_or_else(|| ResultCode::absent(ResultScope::StopCcn));
        self.end(
            step,
            TunnelDownReason::PeerStopped(result),
            PEER_STOP_LINGER,
        );
    }

    /// The peer stopped a tunnel it has not yet our number of, at the listener.
    pub(crate) fn peer_stopped(&mut self, step: &mut Step<'_>, message: &Message) {
        if !self.is_closing() {
            self.receive_stop_ccn(step, message);
        }
    }

    /// Wait-ctl-reply: the answer to our SCCRQ.
    fn receive_sccrp(&mut self, step: &mut Step<'_>, message: &Message, rng: &mut dyn CryptoRng) {
        let State::WaitCtlReply { challenge, .. } = self.state else {
            let detail = format!("SCCRP in state {:?}", self.view_state());
            return self.object(step, Objection::wrong_state(detail));
        };
        // The number first, so that an objection finds its way.
        if let Some(&id) = first!(message, AssignedTunnelId) {
            self.peer.id = id;
        }
        let accepted = Peer::read(message).and_then(|peer| {
            let authenticated =
                handshake::check_response(message, challenge.as_ref(), self.secret.as_ref())?;
            let answer =
                handshake::answer_challenge(message, MessageType::SCCCN, self.secret.as_ref())?;
            Ok((peer, authenticated, answer))
        });
        let announce = |tunnel: &Self, step: &mut Step<'_>| {
            step.output(Output::UpdateTunnel {
                tunnel: tunnel.id,
                peer_id: tunnel.peer.id,
                peer_window: tunnel.peer.window,
            });
        };
        let (peer, authenticated, answer) = match accepted {
            Ok(accepted) => accepted,
            Err(objection) => {
                if self.peer.id != 0 {
                    announce(self, step);
                }
                return self.object(step, objection);
            }
        };
        self.peer = peer;
        self.authenticated = authenticated;
        announce(self, step);
        let hiding = self.hiding(step, rng);
        let avps = MessageBuilder::new(MessageType::SCCCN)
            .avps(answer.as_slice(), hiding.as_ref())
            .finish();
        self.send(step, 0, avps);
        self.establish(step);
        self.place_waiting_calls(step, rng);
    }

    /// Wait-ctl-conn: the end of the handshake.
    fn receive_scccn(&mut self, step: &mut Step<'_>, message: &Message) {
        let State::WaitCtlConn { challenge, .. } = self.state else {
            let detail = format!("SCCCN in state {:?}", self.view_state());
            return self.object(step, Objection::wrong_state(detail));
        };
        let checked = match message.fault {
            Some(fault) => Err(Objection::fault(ResultScope::StopCcn, fault)),
            None => handshake::check_response(message, challenge.as_ref(), self.secret.as_ref()),
        };
        match checked {
            Ok(authenticated) => {
                self.authenticated = authenticated;
                self.establish(step);
            }
            Err(objection) => self.object(step, objection),
        }
    }

    fn establish(&mut self, step: &mut Step<'_>) {
        self.state = State::Established { since: step.now };
        self.idle_since = step.now;
        step.counters.tunnels_established += 1;
        step.output(Output::TunnelUp { tunnel: self.id });
    }

    /// What hides the AVPs of one message, when we hide and know the secret.
    pub(crate) fn hiding(&self, step: &Step<'_>, rng: &mut dyn CryptoRng) -> Option<Hiding<'_>> {
        let secret = self.secret.as_ref();
        let secret = secret.filter(|_| step.config.hide_avps_on(&self.flow))?;
        Some(Hiding::new(secret.expose(), rng))
    }

    pub(crate) fn send(&mut self, step: &mut Step<'_>, session_id: u16, avps: Vec<u8>) {
        if self.control_lost {
            return;
        }
        self.hello_is_last = false;
        step.counters.control_out += 1;
        step.output(Output::SendControl {
            tunnel: self.id,
            session_id,
            avps,
        });
    }

    /// Asks for a sign of life now.
    pub(crate) fn probe(&mut self, step: &mut Step<'_>) {
        let asked = self.hello_sent.is_some_and(|sent| sent >= self.last_heard);
        if matches!(self.state, State::Established { .. }) && !asked && !self.control_lost {
            self.send_hello(step);
        }
    }

    pub(crate) fn report(&self, step: &mut Step<'_>, reason: Refusal, detail: String) {
        step.refuse(Refused {
            flow: self.flow,
            tunnel: Some(self.id),
            host_name: self.peer.host_name.clone(),
            reason,
            detail,
        });
    }

    /// Ends the tunnel because the peer did wrong.
    pub(crate) fn object(&mut self, step: &mut Step<'_>, objection: Objection) {
        self.report(step, objection.reason, objection.detail);
        self.stop(
            step,
            objection.result,
            TunnelDownReason::Refused(objection.reason),
        );
    }

    /// Ends the tunnel with StopCCN.
    pub(crate) fn stop(
        &mut self,
        step: &mut Step<'_>,
        result: ResultCode,
        reason: TunnelDownReason,
    ) {
        if self.is_closing() {
            return;
        }
        self.drop_sessions(step, &reason);
        self.send(step, 0, handshake::stop_ccn(self.id.value(), result));
        let linger = if self.control_lost {
            Duration::ZERO
        } else {
            step.config.linger
        };
        self.end(step, reason, linger);
    }

    /// Ends the tunnel without a word; the node stays for `linger`.
    pub(crate) fn end(&mut self, step: &mut Step<'_>, reason: TunnelDownReason, linger: Duration) {
        if self.is_closing() {
            return;
        }
        self.drop_sessions(step, &reason);
        step.output(Output::TunnelDown {
            tunnel: self.id,
            reason,
        });
        self.state = State::Closing {
            until: step.now + linger,
        };
    }

    fn drop_sessions(&mut self, step: &mut Step<'_>, reason: &TunnelDownReason) {
        for (session, _) in std::mem::take(&mut self.sessions) {
            *step.sessions = step.sessions.saturating_sub(1);
            let reason = SessionDownReason::Tunnel(reason.clone());
            step.output(Output::SessionDown {
                tunnel: self.id,
                session,
                reason,
            });
        }
    }

    /// The node gave up.
    pub(crate) fn handle_ack_failure(&mut self, step: &mut Step<'_>) {
        step.counters.ack_failures += 1;
        if let State::Closing { until } = &mut self.state {
            *until = step.now;
            return;
        }
        let data_since = self.hello_sent.is_some_and(|sent| self.last_heard > sent);
        if matches!(self.state, State::Established { .. }) && self.hello_is_last && data_since {
            self.control_lost = true;
        } else {
            self.end(step, TunnelDownReason::AckFailure, Duration::ZERO);
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        match self.state {
            State::Closing { .. } => {}
            State::WaitCtlReply { deadline, .. } | State::WaitCtlConn { deadline, .. } => {
                if deadline <= now {
                    step.counters.tunnels_timed_out += 1;
                    let result = ResultCode::new(ResultScope::StopCcn, 1);
                    self.stop(step, result, TunnelDownReason::SetupTimeout);
                }
            }
            State::Established { .. } => {
                self.expire_calls(step);
                if self
                    .idle_deadline(step.config.idle_timeout)
                    .is_some_and(|due| due <= now)
                {
                    let result = ResultCode::new(ResultScope::StopCcn, 1);
                    self.stop(step, result, TunnelDownReason::Idle);
                } else if self
                    .silence_deadline(step.config.hello_interval)
                    .is_some_and(|d| d <= now)
                {
                    if self.control_lost {
                        self.end(step, TunnelDownReason::AckFailure, Duration::ZERO);
                    } else {
                        self.send_hello(step);
                    }
                }
            }
        }
    }

    fn send_hello(&mut self, step: &mut Step<'_>) {
        self.send(step, 0, MessageBuilder::new(MessageType::HELLO).finish());
        self.hello_sent = Some(step.now);
        self.hello_is_last = true;
        step.counters.hello_out += 1;
    }

    fn idle_deadline(&self, timeout: Duration) -> Option<Instant> {
        (self.sessions.is_empty() && !timeout.is_zero()).then(|| self.idle_since + timeout)
    }

    /// When a HELLO is due, or, with the control channel lost, when silence has lasted too long.
    /// The acknowledgement of a HELLO is not seen here: a failure to acknowledge would be.
    fn silence_deadline(&self, interval: Duration) -> Option<Instant> {
        if self.control_lost {
            return Some(self.last_heard + (interval * 2).max(Duration::from_secs(60)));
        }
        let last = self
            .hello_sent
            .map_or(self.last_heard, |sent| sent.max(self.last_heard));
        (!interval.is_zero()).then(|| last + interval)
    }

    /// When [`Tunnel::handle_timeout`] has something to do.
    pub(crate) fn deadline(
        &self,
        hello_interval: Duration,
        idle_timeout: Duration,
    ) -> Option<Instant> {
        match self.state {
            State::Closing { until } => Some(until),
            State::WaitCtlReply { deadline, .. } | State::WaitCtlConn { deadline, .. } => {
                Some(deadline)
            }
            State::Established { .. } => self
                .sessions
                .values()
                .filter_map(|session| session.deadline())
                .chain(self.idle_deadline(idle_timeout))
                .chain(self.silence_deadline(hello_interval))
                .min(),
        }
    }

    fn view_state(&self) -> TunnelState {
        match self.state {
            State::WaitCtlReply { .. } => TunnelState::WaitCtlReply,
            State::WaitCtlConn { .. } => TunnelState::WaitCtlConn,
            State::Established { .. } => TunnelState::Established,
            State::Closing { .. } => TunnelState::Closing,
        }
    }

    pub(crate) fn view(&self, now: Instant) -> TunnelView {
        TunnelView {
            tunnel: self.id,
            peer_id: self.peer.id,
            flow: self.flow,
            role: self.role,
            state: self.view_state(),
            host_name: self.peer.host_name.clone(),
            vendor_name: self.peer.vendor_name.clone(),
            firmware: self.peer.firmware,
            authenticated: self.authenticated,
            age: now.saturating_duration_since(self.created),
            silence: now.saturating_duration_since(self.last_heard),
            control_lost: self.control_lost,
            sessions: self.sessions.len(),
        }
    }

    /// What is saved of it; `None` unless it is established.
    pub(crate) fn record(&self, now: Instant) -> Option<TunnelRecord> {
        let State::Established { .. } = self.state else {
            return None;
        };
        let established = self
            .sessions
            .values()
            .filter(|s| matches!(s.state, session::State::Established));
        Some(TunnelRecord {
            tunnel: self.id,
            peer_id: self.peer.id,
            flow: self.flow,
            role: self.role,
            host_name: self.peer.host_name.clone(),
            vendor_name: self.peer.vendor_name.clone(),
            firmware: self.peer.firmware,
            authenticated: self.authenticated,
            age: now.saturating_duration_since(self.created).as_secs(),
            control_lost: self.control_lost,
            sessions: established
                .map(|session| SessionRecord {
                    session: session.id,
                    peer_id: session.peer_id,
                    data_sequencing: session.data_sequencing,
                    call: session.call.clone(),
                    age: now.saturating_duration_since(session.created).as_secs(),
                })
                .collect(),
        })
    }

    /// The tunnel a record speaks of, as if the peer had just been heard.
    pub(crate) fn from_record(record: TunnelRecord, secret: Option<Secret>, now: Instant) -> Self {
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap_or(now);
        let peer = Peer {
            id: record.peer_id,
            window: 1,
            host_name: record.host_name,
            vendor_name: record.vendor_name,
            firmware: record.firmware,
        };
        let state = State::Established {
            since: ago(record.age),
        };
        let mut tunnel = Self::new(
            record.tunnel,
            record.flow,
            record.role,
            state,
            peer,
            secret,
            now,
        );
        tunnel.created = ago(record.age);
        tunnel.authenticated = record.authenticated;
        tunnel.control_lost = record.control_lost;
        for saved in record.sessions {
            let mut session = Session::new(
                saved.session,
                saved.peer_id,
                session::State::Established,
                now,
            );
            session.call = saved.call;
            session.data_sequencing = saved.data_sequencing;
            session.created = ago(saved.age);
            tunnel.sessions.insert(saved.session, Box::new(session));
        }
        tunnel
    }

    /// An AVP list's Assigned Session ID, when it names something.
    pub(crate) fn assigned_session(message: &Message) -> Option<u16> {
        message
            .find(|avp| match avp {
                Avp::AssignedSessionId(id) => Some(*id),
                _ => None,
            })
            .filter(|&id| id != 0)
    }
}

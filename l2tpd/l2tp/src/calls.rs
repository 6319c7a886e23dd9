//! The calls of one tunnel: session messages by RFC 2661 sections 7.4.1 (LAC) and 7.4.2 (LNS).

use std::time::Instant;

use rand_core::CryptoRng;

use crate::id::SessionId;
use crate::io::{
    CallRequest, CloseSession, LocalError, Output, Refusal, Role, SessionDownReason, SessionUp,
};
use crate::session::{self, Session, State};
use crate::step::{Objection, Step};
use crate::tunnel::{State as TunnelState, Tunnel};
use crate::wire::{Avp, Message, MessageType, ResultCode, ResultScope, error_code, first};

impl Tunnel {
    /// A session message, the tunnel being established.
    pub(crate) fn handle_call(
        &mut self,
        step: &mut Step<'_>,
        session_id: u16,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) {
        match message.message_type {
            MessageType::ICRQ => self.receive_icrq(step, message, rng),
            MessageType::OCRQ => {
                let result = ResultCode::new(ResultScope::Cdn, 5);
                let objection = Objection::new(Refusal::OutgoingCall, result);
                self.decline(step, message, objection, rng);
            }
            MessageType::CDN => self.receive_cdn(step, session_id, message),
            kind => {
                let known = SessionId::new(session_id).filter(|id| self.sessions.contains_key(id));
                let Some(id) = known else {
                    // The session was cleared a moment ago, normally.
                    step.counters.ignored += 1;
                    return;
                };
                if let Some(fault) = message.fault {
                    return self.object_call(step, id, Objection::fault(ResultScope::Cdn, fault));
                }
                match kind {
                    MessageType::ICRP => self.receive_icrp(step, id, message, rng),
                    MessageType::ICCN => self.receive_iccn(step, id, message),
                    MessageType::WEN => {
                        step.counters.wan_error_notify += 1;
                        if let Some(session) = self.sessions.get_mut(&id) {
                            session.call_errors = first!(message, CallErrors).copied();
                        }
                    }
                    // The ACCM is for a LAC with an asynchronous line. There is none.
                    MessageType::SLI => step.counters.set_link_info += 1,
                    _ => step.counters.ignored += 1,
                }
            }
        }
    }

    /// LNS, idle: somebody calls.
    fn receive_icrq(&mut self, step: &mut Step<'_>, message: &Message, rng: &mut dyn CryptoRng) {
        const SCOPE: ResultScope = ResultScope::Cdn;
        if let Some(fault) = message.fault {
            return self.decline(step, message, Objection::fault(SCOPE, fault), rng);
        }
        let Some(peer_id) = Self::assigned_session(message) else {
            let objection = Objection::missing(SCOPE, "Assigned Session ID");
            return self.decline(step, message, objection, rng);
        };
        // A second ICRQ is for the session that has the number, and does not fit its state.
        if let Some(id) = self.find_by_peer_id(peer_id) {
            return self.object_call(step, id, wrong_state("ICRQ for a session in use"));
        }
        if self.role == Role::Lac {
            let objection = Objection::new(Refusal::IncomingCall, ResultCode::new(SCOPE, 5));
            return self.decline(step, message, objection, rng);
        }
        let limits = &step.config.limits;
        let full =
            self.sessions.len() >= limits.sessions_per_tunnel || *step.sessions >= limits.sessions;
        let drawn = step
            .config
            .ids
            .draw(rng, peer_id, |number| self.has_session(number))
            .and_then(SessionId::new)
            .filter(|_| !full && !step.shutting_down);
        let Some(id) = drawn else {
            let reason = if step.shutting_down {
                Refusal::ShuttingDown
            } else {
                Refusal::SessionLimit
            };
            let objection = Objection::new(reason, ResultCode::new(SCOPE, 4));
            return self.decline(step, message, objection, rng);
        };
        let deadline = step.now + step.config.setup_timeout;
        let mut session = Session::new(id, peer_id, State::WaitConnect { deadline }, step.now);
        session.data_sequencing = step.config.data_sequencing_on(&self.flow);
        session.read_icrq(message);
        let setup = session.setup(self.id, true, step.config.length_bit_on(&self.flow));
        self.insert(step, session);
        // The kernel's side first: the first data packet follows the ICCN closely.
        step.output(Output::CreateSession(setup));
        let avps = session::icrp(id, self.hiding(step, rng).as_ref());
        self.send(step, peer_id, avps);
    }

    /// LNS, wait-connect: the call is established.
    fn receive_iccn(&mut self, step: &mut Step<'_>, id: SessionId, message: &Message) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if !matches!(session.state, State::WaitConnect { .. }) {
            return self.object_call(step, id, wrong_state("ICCN out of place"));
        }
        session.read_iccn(message);
        session.state = State::Established;
        let setup = session.setup(self.id, true, step.config.length_bit_on(&self.flow));
        let call = session.call.clone();
        step.counters.sessions_established += 1;
        step.output(Output::SessionUp(SessionUp { setup, call }));
    }

    /// LAC, wait-reply: the call is accepted.
    fn receive_icrp(
        &mut self,
        step: &mut Step<'_>,
        id: SessionId,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) {
        let assigned = Self::assigned_session(message);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let State::WaitReply { request, .. } = &session.state else {
            return self.object_call(step, id, wrong_state("ICRP out of place"));
        };
        let Some(peer_id) = assigned else {
            let objection = Objection::missing(ResultScope::Cdn, "Assigned Session ID");
            return self.object_call(step, id, objection);
        };
        let request = request.clone();
        session.peer_id = peer_id;
        session.data_sequencing = step.config.data_sequencing_on(&self.flow);
        session.call.tx_speed = request.tx_speed;
        session.call.rx_speed = request.tx_speed;
        session.call.framing = crate::wire::framing::SYNCHRONOUS;
        session.state = State::Established;
        let setup = session.setup(self.id, false, step.config.length_bit_on(&self.flow));
        let call = session.call.clone();
        step.output(Output::CreateSession(setup));
        let hiding = self.hiding(step, rng);
        let avps = session::iccn(
            &request,
            step.config.data_sequencing_on(&self.flow),
            hiding.as_ref(),
        );
        self.send(step, peer_id, avps);
        step.counters.sessions_established += 1;
        step.output(Output::SessionUp(SessionUp { setup, call }));
    }

    /// The peer ends a call. Its number of it helps when it has not heard ours.
    fn receive_cdn(&mut self, step: &mut Step<'_>, session_id: u16, message: &Message) {
        let by_header = SessionId::new(session_id).filter(|id| self.sessions.contains_key(id));
        let found = match session_id {
            0 => Self::assigned_session(message).and_then(|id| self.find_by_peer_id(id)),
            _ => by_header,
        };
        let Some(id) = found else {
            step.counters.ignored += 1;
            return;
        };
        let reason = SessionDownReason::PeerDisconnected {
            result: first!(message, ResultCode)
                .cloned()
                .unwrap_or_else(|| ResultCode::absent(ResultScope::Cdn)),
            q931: first!(message, Q931Cause).cloned(),
            ppp: first!(message, DisconnectCause).cloned(),
        };
        self.forget_call(step, id, reason);
    }

    /// Refuses a call that has no session.
    fn decline(
        &mut self,
        step: &mut Step<'_>,
        message: &Message,
        objection: Objection,
        rng: &mut dyn CryptoRng,
    ) {
        let peer_id = Self::assigned_session(message).unwrap_or(0);
        // Section 4.4.4 wants a number of ours in a CDN even though none was given out.
        let ours = step
            .config
            .ids
            .draw(rng, peer_id, |number| self.has_session(number));
        self.report(step, objection.reason, objection.detail);
        self.send(
            step,
            peer_id,
            session::cdn(ours.unwrap_or(0), objection.result, None),
        );
    }

    /// Ends a call because the peer did wrong.
    fn object_call(&mut self, step: &mut Step<'_>, id: SessionId, objection: Objection) {
        self.report(step, objection.reason, objection.detail);
        let reason = SessionDownReason::Refused(objection.reason);
        self.disconnect(step, id, objection.result, None, reason);
    }

    /// Ends a call with CDN, or without when the peer was never told of it.
    fn disconnect(
        &mut self,
        step: &mut Step<'_>,
        id: SessionId,
        result: ResultCode,
        more: Option<Avp>,
        reason: SessionDownReason,
    ) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let peer_id = session.peer_id;
        if !matches!(session.state, State::WaitTunnel { .. }) {
            self.send(step, peer_id, session::cdn(id.value(), result, more));
        }
        self.forget_call(step, id, reason);
    }

    fn forget_call(&mut self, step: &mut Step<'_>, id: SessionId, reason: SessionDownReason) {
        if self.sessions.remove(&id).is_some() {
            *step.sessions = step.sessions.saturating_sub(1);
            self.idle_since = step.now;
            step.output(Output::SessionDown {
                tunnel: self.id,
                session: id,
                reason,
            });
        }
    }

    fn insert(&mut self, step: &mut Step<'_>, session: Session) {
        step.counters.sessions_created += 1;
        *step.sessions += 1;
        self.sessions.insert(session.id, Box::new(session));
    }

    /// Command: places a call, at once or when the tunnel is up.
    pub(crate) fn open_call(
        &mut self,
        step: &mut Step<'_>,
        request: CallRequest,
        rng: &mut dyn CryptoRng,
    ) -> Result<SessionId, LocalError> {
        if self.role != Role::Lac || self.is_closing() || self.control_lost {
            return Err(LocalError::CannotCall);
        }
        let limits = &step.config.limits;
        if self.sessions.len() >= limits.sessions_per_tunnel || *step.sessions >= limits.sessions {
            return Err(LocalError::Limit);
        }
        let id = step
            .config
            .ids
            .draw(rng, 0, |number| self.has_session(number))
            .and_then(SessionId::new)
            .ok_or(LocalError::NoNumber)?;
        self.insert(
            step,
            Session::new(id, 0, State::WaitTunnel { request }, step.now),
        );
        if matches!(self.state, TunnelState::Established { .. }) {
            self.place_waiting_calls(step, rng);
        }
        Ok(id)
    }

    /// LAC, wait-tunnel: the tunnel opened.
    pub(crate) fn place_waiting_calls(&mut self, step: &mut Step<'_>, rng: &mut dyn CryptoRng) {
        let deadline = step.now + step.config.setup_timeout;
        let mut requests = Vec::new();
        for session in self.sessions.values_mut() {
            if let State::WaitTunnel { request } = &session.state {
                let request = request.clone();
                session.call.serial = rng.next_u32();
                requests.push((session.id, session.call.serial, request.clone()));
                session.state = State::WaitReply { deadline, request };
            }
        }
        for (id, serial, request) in requests {
            let avps = session::icrq(id, serial, &request, self.hiding(step, rng).as_ref());
            self.send(step, 0, avps);
        }
    }

    /// Command: ends a call.
    pub(crate) fn close_call(
        &mut self,
        step: &mut Step<'_>,
        id: SessionId,
        reason: CloseSession,
    ) -> Result<(), LocalError> {
        if !self.sessions.contains_key(&id) {
            return Err(LocalError::NoSuchSession);
        }
        let (result, more) = session::cdn_result(&reason);
        self.disconnect(step, id, result, more, SessionDownReason::Closed(reason));
        Ok(())
    }

    /// The kernel's side of a call failed.
    pub(crate) fn fail_call(&mut self, step: &mut Step<'_>, id: SessionId) {
        let result = ResultCode::general_error(ResultScope::Cdn, error_code::RESOURCES, "");
        self.disconnect(step, id, result, None, SessionDownReason::Kernel);
    }

    /// Ends the calls that took too long.
    pub(crate) fn expire_calls(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let late: Vec<SessionId> = self
            .sessions
            .values()
            .filter(|s| due(s.deadline()))
            .map(|s| s.id)
            .collect();
        for id in late {
            let result = ResultCode::new(ResultScope::Cdn, 10);
            self.disconnect(step, id, result, None, SessionDownReason::SetupTimeout);
        }
    }

    fn find_by_peer_id(&self, peer_id: u16) -> Option<SessionId> {
        self.sessions
            .values()
            .find(|session| session.peer_id == peer_id)
            .map(|s| s.id)
    }

    fn has_session(&self, number: u16) -> bool {
        SessionId::new(number).is_some_and(|id| self.sessions.contains_key(&id))
    }
}

fn wrong_state(detail: &str) -> Objection {
    let result = ResultCode::general_error(ResultScope::Cdn, error_code::SESSION, detail);
    let mut objection = Objection::new(Refusal::WrongState, result);
    objection.detail = detail.to_owned();
    objection
}

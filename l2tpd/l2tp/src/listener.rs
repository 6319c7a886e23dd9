//! Datagrams at the listener: who may open a tunnel (RFC 2661 sections 5.1 and 7.2.1, state idle).

use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::config::{Authentication, SameFlow, Secret};
use crate::handshake::{self, Peer};
use crate::id::FlowId;
use crate::io::{HandOver, Output, Refusal, Refused, Role, TunnelDownReason};
use crate::step::Objection;
use crate::tunnel::{State, Tunnel};
use crate::tunnels::Tunnels;
use crate::wire::{
    Avp, ControlHeader, HeaderError, Message, MessageType, ResultCode, ResultScope, error_code,
    first, host_name, printable,
};

/// Age from which an established tunnel's SCCRQ cannot be under way any more: an SCCRQ with the
/// same number is a client that forgot the tunnel, and gives its tunnels a fixed number.
const SCCRQ_LIFETIME: Duration = Duration::from_secs(10);

impl Tunnels {
    /// A datagram at the port 1701 listener, which no tunnel's own socket took: an SCCRQ normally.
    ///
    /// An SCCRQ that repeats one being answered makes nothing happen: the node sends the answer
    /// again by itself. A new one of the same peer makes a new tunnel, whatever became of the old.
    pub fn handle_first_datagram(
        &mut self,
        now: Instant,
        flow: FlowId,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        self.counters.first_datagrams += 1;
        let (header, avps) = match ControlHeader::parse(bytes) {
            Ok(parsed) => parsed,
            Err(HeaderError::Data) => {
                // Of a session that has just ended, mostly: what was under way then.
                self.counters.ignored += 1;
                return;
            }
            Err(error) => return self.reject(now, flow, Refusal::Malformed, error.to_string()),
        };
        if header.tunnel_id != 0 || header.session_id != 0 || avps.is_empty() {
            // Of a tunnel that is no more, mostly.
            self.counters.ignored += 1;
            return;
        }
        let name = host_name(avps).map(printable).unwrap_or_default();
        let secret = self.config.secret_for(&flow, name.as_bytes()).cloned();
        let message = match Message::parse(avps, secret.as_ref().map(Secret::expose)) {
            Ok(message) => message,
            Err(error) => return self.reject(now, flow, Refusal::Malformed, error.to_string()),
        };
        self.counters.ignored_avps += u64::from(message.ignored);
        match message.message_type {
            // The node takes over after message 0; an SCCRQ is never another.
            MessageType::SCCRQ if header.ns != 0 => self.counters.ignored += 1,
            MessageType::SCCRQ => self.receive_sccrq(now, flow, &message, secret, &name, rng),
            MessageType::STOP_CCN => self.receive_early_stop_ccn(now, flow, &message),
            // Apple's client sends HELLOs before its SCCRQ to wake IPsec.
            MessageType::HELLO => self.counters.ignored += 1,
            other => self.reject(now, flow, Refusal::NotSccrq, other.to_string()),
        }
    }

    fn receive_sccrq(
        &mut self,
        now: Instant,
        flow: FlowId,
        message: &Message,
        secret: Option<Secret>,
        name: &str,
        rng: &mut dyn CryptoRng,
    ) {
        let assigned = first!(message, AssignedTunnelId)
            .copied()
            .filter(|&id| id != 0);
        if self.is_duplicate(now, flow, assigned) {
            self.counters.duplicate_sccrq += 1;
            return;
        }
        let accepted = self
            .consider(flow, message, secret.as_ref())
            .and_then(|answer| Ok((Peer::read(message)?, answer)));
        let (peer, answer) = match accepted {
            Ok(accepted) => accepted,
            Err(objection) => return self.deny(now, flow, assigned, name, objection, rng),
        };
        if !self.win_tie(now, flow, message) {
            return;
        }
        let Some(id) = self.draw_tunnel_id(rng, peer.id) else {
            let objection = busy(Refusal::TunnelLimit);
            return self.deny(now, flow, assigned, name, objection, rng);
        };
        // Only now, so that a tunnel that goes does not leave its number to the new one.
        self.make_way(now, flow, peer.id);
        let challenges = match self.config.authentication_on(&flow) {
            Authentication::Off => false,
            Authentication::Mutual => answer.is_some(),
            Authentication::Required => true,
        };
        let challenge = challenges.then(|| handshake::draw_challenge(rng));
        let avps = handshake::introduction(
            MessageType::SCCRP,
            (&self.config, &flow),
            id,
            challenge.as_ref(),
            answer,
        );
        let deadline = now + self.config.setup_timeout;
        let state = State::WaitCtlConn {
            deadline,
            challenge,
        };
        self.create(
            Tunnel::new(id, flow, Role::Lns, state, peer, secret, now),
            HandOver::CALLED,
        );
        self.with(now, id, |tunnel, step| tunnel.send(step, 0, avps));
    }

    /// Whether an SCCRQ of number `assigned` is one that made a tunnel already.
    fn is_duplicate(&self, now: Instant, flow: FlowId, assigned: Option<u16>) -> bool {
        let tunnels = self
            .over(flow)
            .into_iter()
            .filter_map(|id| self.entries.get(&id));
        tunnels.map(|entry| &entry.tunnel).any(|tunnel| {
            let same = tunnel.role == Role::Lns && Some(tunnel.peer.id) == assigned;
            same && match tunnel.state {
                State::WaitCtlReply { .. } | State::WaitCtlConn { .. } => true,
                State::Established { since } => {
                    now.saturating_duration_since(since) < SCCRQ_LIFETIME
                }
                State::Closing { .. } => false,
            }
        })
    }

    /// Whether the request can be granted; gives the answer to its Challenge.
    fn consider(
        &self,
        flow: FlowId,
        message: &Message,
        secret: Option<&Secret>,
    ) -> Result<Option<Avp>, Objection> {
        if self.shutting_down {
            let result = ResultCode::new(ResultScope::StopCcn, 6);
            return Err(Objection::new(Refusal::ShuttingDown, result));
        }
        if let Some(fault) = message.fault {
            return Err(Objection::fault(ResultScope::StopCcn, fault));
        }
        self.admission
            .check(flow.peer.ip(), &self.config.limits)
            .map_err(busy)?;
        let answer = handshake::answer_challenge(message, MessageType::SCCRP, secret)?;
        let required = self.config.authentication_on(&flow) == Authentication::Required;
        if required && secret.is_none() {
            let result = ResultCode::new(ResultScope::StopCcn, 4);
            let mut objection = Objection::new(Refusal::Authentication, result);
            objection.detail = "no tunnel secret is configured for this host name".to_owned();
            return Err(objection);
        }
        Ok(answer)
    }

    /// Settles a request of ours that crosses the peer's (Tie Breaker, section 4.4.3). False: the
    /// peer's is discarded without an answer.
    fn win_tie(&mut self, now: Instant, flow: FlowId, message: &Message) -> bool {
        let theirs = first!(message, TieBreaker).copied();
        let mut accept = true;
        for id in self.over(flow) {
            self.with(now, id, |tunnel, step| {
                let State::WaitCtlReply {
                    tie_breaker: ours, ..
                } = tunnel.state
                else {
                    return;
                };
                let (we_lose, they_lose) = match (ours, theirs) {
                    (Some(ours), Some(theirs)) => (ours >= theirs, ours <= theirs),
                    (Some(_), None) => (false, true),
                    (None, Some(_)) => (true, false),
                    (None, None) => (false, false),
                };
                accept &= !they_lose;
                if we_lose {
                    tunnel.end(step, TunnelDownReason::TieBreaker, Duration::ZERO);
                }
            });
        }
        accept
    }

    /// Deals with the tunnels that already use the flow, now that a new one is coming.
    fn make_way(&mut self, now: Instant, flow: FlowId, peer_id: u16) {
        let policy = self.config.same_flow;
        for id in self.over(flow) {
            self.with(now, id, |tunnel, step| {
                let same_number = tunnel.role == Role::Lns && tunnel.peer.id == peer_id;
                if same_number || policy == SameFlow::Replace {
                    tunnel.end(step, TunnelDownReason::Superseded, Duration::ZERO);
                    tunnel.state = State::Closing { until: step.now };
                } else {
                    tunnel.probe(step);
                }
            });
        }
    }

    /// A client that gave up before it had our answer stops the tunnel by its own number.
    fn receive_early_stop_ccn(&mut self, now: Instant, flow: FlowId, message: &Message) {
        let assigned = first!(message, AssignedTunnelId).copied();
        for id in self.over(flow) {
            self.with(now, id, |tunnel, step| {
                let waits = matches!(tunnel.state, State::WaitCtlConn { .. });
                if waits && Some(tunnel.peer.id) == assigned {
                    tunnel.peer_stopped(step, message);
                }
            });
        }
    }

    fn reject(&mut self, now: Instant, flow: FlowId, reason: Refusal, detail: String) {
        self.step(now).refuse(Refused {
            flow,
            tunnel: None,
            host_name: String::new(),
            reason,
            detail,
        });
    }

    /// Refuses an SCCRQ with a StopCCN of which nothing is kept: if it gets lost, the peer repeats
    /// its SCCRQ and is refused again. One small answer per request.
    fn deny(
        &mut self,
        now: Instant,
        flow: FlowId,
        assigned: Option<u16>,
        host_name: &str,
        objection: Objection,
        rng: &mut dyn CryptoRng,
    ) {
        let Objection {
            reason,
            result,
            detail,
        } = objection;
        let ours = self
            .draw_tunnel_id(rng, assigned.unwrap_or(0))
            .map_or(0, u16::from);
        let mut step = self.step(now);
        step.refuse(Refused {
            flow,
            tunnel: None,
            host_name: host_name.to_owned(),
            reason,
            detail,
        });
        // Without the peer's number the answer could not find its tunnel.
        let Some(tunnel_id) = assigned else { return };
        let header = ControlHeader {
            tunnel_id,
            session_id: 0,
            ns: 0,
            nr: 1,
        };
        let bytes = header.emit(&handshake::stop_ccn(ours, result));
        step.output(Output::SendDatagram { flow, bytes });
    }
}

fn busy(reason: Refusal) -> Objection {
    let result = ResultCode::general_error(ResultScope::StopCcn, error_code::RESOURCES, "");
    Objection::new(reason, result)
}

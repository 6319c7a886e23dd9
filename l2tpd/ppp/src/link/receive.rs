//! What comes out of the link: which packet is taken in which phase (RFC 1661 section 3), and the
//! codes only LCP has (sections 5.6 to 5.9, RFC 1570).

use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::auth::protocol_of;
use crate::automaton::{Automaton, Negotiator, Taken};
use crate::fsm::State;
use crate::io::{DownReason, Ipv4Config, Phase};
use crate::packet::{HEADER, MAX_FRAME, Packet, code, emit, printable, protocol};

use super::Link;

/// Protocol-Rejects sent in one second at most.
const REJECTS_A_SECOND: u8 = 16;

impl Link {
    /// A frame came out of the link: its PPP protocol number and what follows it.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        protocol: u16,
        payload: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        if self.over || self.phase == Phase::Dead {
            self.counters.dropped_phase += 1;
            return;
        }
        self.counters.frames_in += 1;
        if payload.len() > MAX_FRAME {
            self.counters.dropped_oversize += 1;
            return;
        }
        let opened = self.lcp.state() == State::Opened;
        match protocol {
            protocol::LCP => self.lcp_frame(now, payload, rng),
            // "all non-LCP packets MUST be silently discarded" (sections 3.4 and 3.7).
            _ if !opened || self.phase == Phase::Terminate => self.counters.dropped_phase += 1,
            protocol::CHAP | protocol::PAP => self.auth_frame(now, protocol, payload, rng),
            // The same for the Authenticate phase (section 3.5).
            _ if self.phase == Phase::Authenticate => self.counters.dropped_phase += 1,
            protocol::IPCP if self.config.ipv4 != Ipv4Config::Off => {
                self.heard();
                self.ipcp_frame(now, payload, rng);
            }
            protocol::IPV6CP if self.config.ipv6 => {
                self.heard();
                self.ipv6cp_frame(now, payload, rng);
            }
            // Packets of a network protocol that is not open (yet) are no offence (section 3.6);
            // those of an open one do not come here.
            protocol::IPV4 if self.config.ipv4 != Ipv4Config::Off => {
                self.counters.dropped_phase += 1;
            }
            protocol::IPV6 if self.config.ipv6 => self.counters.dropped_phase += 1,
            _ => {
                self.heard();
                self.protocol_reject(now, protocol, payload);
            }
        }
        self.settle(now, rng);
    }

    fn heard(&mut self) {
        self.keepalive.heard();
        self.network_heard = true;
    }

    fn lcp_frame(&mut self, now: Instant, payload: &[u8], rng: &mut dyn CryptoRng) {
        let Some(packet) = Packet::parse(payload) else {
            self.counters.dropped_malformed += 1;
            return;
        };
        match packet.code {
            code::TERMINATE_REQUEST => {
                if self.lcp.state() == State::Opened {
                    let reason = DownReason::PeerTerminated(farewell(packet.data));
                    self.ending.get_or_insert(reason);
                }
                self.keepalive.heard();
                self.lcp.handle_packet(now, &packet, rng);
            }
            code::CODE_REJECT => match packet.data.first() {
                // Without these there is no LCP.
                Some(&(code::CONFIGURE_REQUEST..=code::CODE_REJECT)) => {
                    self.ending
                        .get_or_insert(DownReason::ProtocolRejected(protocol::LCP));
                    self.lcp.reject(now, true);
                }
                Some(&code::ECHO_REQUEST) => {
                    // A peer that cannot be asked cannot fail to answer.
                    self.keepalive.stop();
                    self.lcp.reject(now, false);
                }
                Some(_) => self.lcp.reject(now, false),
                None => self.counters.dropped_malformed += 1,
            },
            code::PROTOCOL_REJECT => self.protocol_rejected(now, packet.data),
            code::ECHO_REQUEST | code::ECHO_REPLY => self.echo(now, &packet),
            code::DISCARD_REQUEST | code::IDENTIFICATION | code::TIME_REMAINING => {
                if self.lcp.state() == State::Opened {
                    self.keepalive.heard();
                }
            }
            _ => {
                let limit = self.lcp.negotiator.frame_limit();
                let taken = take(&mut self.lcp, now, &packet, limit, rng);
                self.count(taken);
            }
        }
    }

    fn echo(&mut self, now: Instant, packet: &Packet<'_>) {
        let Some((magic, rest)) = packet.data.split_first_chunk() else {
            self.counters.dropped_malformed += 1;
            return;
        };
        if self.lcp.state() != State::Opened {
            self.counters.dropped_phase += 1;
            return;
        }
        let ours = self.lcp.negotiator.magic();
        if ours != 0 && u32::from_be_bytes(*magic) == ours {
            self.counters.dropped_unexpected += 1;
            if self.keepalive.looped() {
                self.terminate(now, DownReason::Loopback);
            }
            return;
        }
        self.keepalive.not_looped();
        self.keepalive.heard();
        if packet.code == code::ECHO_REPLY {
            self.counters.echo_replies_in += 1;
            return;
        }
        self.counters.echo_requests_in += 1;
        let room = self.lcp.negotiator.frame_limit().saturating_sub(HEADER + 4);
        let mut data = ours.to_be_bytes().to_vec();
        data.extend_from_slice(rest.get(..room).unwrap_or(rest));
        self.lcp.echo(now, emit(code::ECHO_REPLY, packet.id, &data));
    }

    /// Section 5.7: the peer does not know a protocol of ours.
    fn protocol_rejected(&mut self, now: Instant, data: &[u8]) {
        let Some((number, _)) = data.split_first_chunk() else {
            self.counters.dropped_malformed += 1;
            return;
        };
        if self.lcp.state() != State::Opened {
            self.counters.dropped_phase += 1;
            return;
        }
        self.counters.protocol_rejects_in += 1;
        self.keepalive.heard();
        let number = u16::from_be_bytes(*number);
        let proves = [
            self.lcp.negotiator.peer_method(),
            self.lcp.negotiator.our_method(),
        ]
        .into_iter()
        .flatten()
        .any(|method| protocol_of(method) == number);
        match number {
            protocol::LCP => {
                self.ending
                    .get_or_insert(DownReason::ProtocolRejected(number));
                self.lcp.reject(now, true);
            }
            protocol::IPCP | protocol::IPV4 => {
                if let Some(ncp) = &mut self.ipcp {
                    ncp.reject(now, true);
                }
            }
            protocol::IPV6CP | protocol::IPV6 => {
                if let Some(ncp) = &mut self.ipv6cp {
                    ncp.reject(now, true);
                }
            }
            // Once proven, a late repetition may well be rejected.
            _ if proves && self.phase == Phase::Authenticate => {
                self.terminate(now, DownReason::ProtocolRejected(number));
            }
            _ => {}
        }
    }

    fn auth_frame(&mut self, now: Instant, number: u16, payload: &[u8], rng: &mut dyn CryptoRng) {
        let speaks = |method: Option<_>| method.is_some_and(|method| protocol_of(method) == number);
        let by_peer = speaks(self.lcp.negotiator.peer_method());
        let by_us = speaks(self.lcp.negotiator.our_method());
        if !by_peer && !by_us {
            if self.phase == Phase::Network {
                self.protocol_reject(now, number, payload);
            } else {
                self.counters.dropped_phase += 1;
            }
            return;
        }
        let Some(packet) = Packet::parse(payload) else {
            self.counters.dropped_malformed += 1;
            return;
        };
        self.keepalive.heard();
        // CHAP: Challenge, Success and Failure are for the one who proves himself, a Response for
        // the one who wants proof; PAP: the Request for the latter.
        let for_authenticator = match number {
            protocol::PAP => packet.code == 1,
            _ => packet.code == 2,
        };
        if for_authenticator && let Some(authenticator) = &mut self.authenticator {
            let step = authenticator.handle_packet(&packet);
            self.authenticator_step(now, step, rng);
        } else if !for_authenticator && let Some(applicant) = &mut self.applicant {
            let step = applicant.handle_packet(now, &packet, rng);
            self.applicant_step(now, step, rng);
        } else {
            self.counters.dropped_unexpected += 1;
        }
    }

    fn ipcp_frame(&mut self, now: Instant, payload: &[u8], rng: &mut dyn CryptoRng) {
        let Some(packet) = Packet::parse(payload) else {
            self.counters.dropped_malformed += 1;
            return;
        };
        let limit = self.lcp.negotiator.frame_limit();
        match &mut self.ipcp {
            Some(ncp) => {
                let taken = take_network(ncp, now, &packet, limit, rng);
                self.count(taken);
            }
            None if self.address_question.is_some() => self.held_ipcp = Some(payload.to_vec()),
            None => self.counters.dropped_phase += 1,
        }
    }

    fn ipv6cp_frame(&mut self, now: Instant, payload: &[u8], rng: &mut dyn CryptoRng) {
        let Some(packet) = Packet::parse(payload) else {
            self.counters.dropped_malformed += 1;
            return;
        };
        let limit = self.lcp.negotiator.frame_limit();
        match &mut self.ipv6cp {
            Some(ncp) => {
                let taken = take_network(ncp, now, &packet, limit, rng);
                self.count(taken);
            }
            None => self.counters.dropped_phase += 1,
        }
    }

    fn count(&mut self, taken: Taken) {
        match taken {
            Taken::Yes => {}
            Taken::UnknownCode => self.counters.code_rejects_out += 1,
            Taken::Unexpected => self.counters.dropped_unexpected += 1,
            Taken::Malformed => self.counters.dropped_malformed += 1,
        }
    }

    /// Section 5.7: we do not know a protocol of the peer's. The link goes on.
    fn protocol_reject(&mut self, now: Instant, number: u16, payload: &[u8]) {
        let (since, sent) = self.reject_budget;
        let fresh = since.is_none_or(|since| now >= since + Duration::from_secs(1));
        let (since, sent) = if fresh {
            (now, 0)
        } else {
            (since.unwrap_or(now), sent)
        };
        if sent >= REJECTS_A_SECOND {
            self.counters.dropped_unexpected += 1;
            return;
        }
        self.reject_budget = (Some(since), sent + 1);
        let room = self.lcp.negotiator.frame_limit().saturating_sub(HEADER + 2);
        let mut data = number.to_be_bytes().to_vec();
        data.extend_from_slice(payload.get(..room).unwrap_or(payload));
        let id = self.lcp.fresh_id();
        self.counters.protocol_rejects_out += 1;
        self.send(protocol::LCP, emit(code::PROTOCOL_REJECT, id, &data));
    }
}

/// Gives a packet to its automaton; a code it does not know is rejected (section 5.6), `limit` is the
/// peer's MRU.
fn take<N: Negotiator>(
    automaton: &mut Automaton<N>,
    now: Instant,
    packet: &Packet<'_>,
    limit: usize,
    rng: &mut dyn CryptoRng,
) -> Taken {
    let taken = automaton.handle_packet(now, packet, rng);
    if taken == Taken::UnknownCode {
        automaton.unknown_code(now, packet, limit);
    }
    taken
}

/// The same for a network control protocol, which a Code-Reject of a code it needs ends.
fn take_network<N: Negotiator>(
    ncp: &mut Automaton<N>,
    now: Instant,
    packet: &Packet<'_>,
    limit: usize,
    rng: &mut dyn CryptoRng,
) -> Taken {
    if packet.code == code::CODE_REJECT {
        ncp.reject(now, packet.data.first().is_some_and(|code| *code <= 7));
        return Taken::Yes;
    }
    take(ncp, now, packet, limit, rng)
}

/// The data of a Terminate-Request in words. Windows sends its magic number, `003ccd74` and an
/// error number instead of a text.
fn farewell(data: &[u8]) -> String {
    match data {
        [_, _, _, _, 0x00, 0x3c, 0xcd, 0x74, a, b, c, d] => {
            format!("Windows error {}", u32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => printable(data),
    }
}

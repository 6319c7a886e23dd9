//! The Network phase: RFC 1661 section 3.6. IPCP begins when the addresses are known; one network
//! protocol may end and the other go on.

use std::time::Instant;

use rand_core::CryptoRng;

use crate::automaton::{Automaton, Negotiator, Signal};
use crate::fsm::State;
use crate::io::{
    CloseReason, DownReason, Family, Ipv4Assignment, Ipv4Config, Output, Phase, Question,
};
use crate::ipcp::Ipcp;
use crate::ipv6cp::Ipv6cp;
use crate::packet::protocol;

use super::Link;

impl Link {
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

    /// Starts the network control protocols once everybody is who he says.
    pub(super) fn enter_network(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
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

    pub(super) fn start_ipcp(&mut self, now: Instant, negotiator: Ipcp) {
        let mut ncp = Automaton::new(negotiator, &self.config, self.ipcp_next_id);
        ncp.open(now);
        ncp.lower_up(now);
        self.ipcp = Some(ncp);
    }

    pub(super) fn ncp_signal(&mut self, now: Instant, family: Family, signal: Signal) {
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

    pub(super) fn network_up(&mut self, now: Instant, family: Family) {
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

    pub(super) fn network_down(&mut self, family: Family) {
        let open = match family {
            Family::V4 => self.v4.take(),
            Family::V6 => self.v6.take(),
        };
        if open.is_some() {
            self.outputs.push_back(Output::NetworkDown(family));
        }
    }

    pub(super) fn networks_down(&mut self) {
        self.network_down(Family::V4);
        self.network_down(Family::V6);
    }

    /// Ends the link if no network protocol runs or may come to run.
    pub(super) fn network_finished(&mut self, now: Instant, reason: DownReason) {
        let running = |state: State| !matches!(state, State::Stopped | State::Closed);
        let v4 = self.ipcp.as_ref().is_some_and(|ncp| {
            running(ncp.state()) && (ncp.state() != State::Opened || self.v4.is_some())
        });
        let v6 = self.ipv6cp.as_ref().is_some_and(|ncp| running(ncp.state()));
        if self.phase == Phase::Network && !v4 && !v6 && self.address_question.is_none() {
            self.terminate(now, reason);
        }
    }
}

//! The Authenticate phase: RFC 1661 section 3.5. Either side may want proof of the other.

use std::time::Instant;

use rand_core::CryptoRng;

use crate::auth::{Applicant, Authenticator, Outcome, Step, protocol_of, user_name};
use crate::io::{AuthFailure, AuthMethod, DownReason, Output, Party, Question, Secret};
use crate::packet::printable;

use super::Link;

impl Link {
    /// LCP is open: asks for the proofs it agreed on; says whether the link goes on.
    pub(super) fn begin_authentication(&mut self, now: Instant, rng: &mut dyn CryptoRng) -> bool {
        self.peer_proven = self.config.authenticate_peer.is_empty();
        if !self.peer_proven {
            let Some(method) = self.lcp.negotiator.peer_method() else {
                self.terminate(now, DownReason::AuthNotAgreed);
                return false;
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
        true
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

    /// How the peer proved itself.
    pub(crate) fn peer_method(&self) -> Option<AuthMethod> {
        self.lcp
            .negotiator
            .peer_method()
            .filter(|_| self.peer_proven)
    }

    /// Does what our side of the proof the peer owes asks for.
    pub(super) fn authenticator_step(&mut self, now: Instant, step: Step, rng: &mut dyn CryptoRng) {
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

    /// Does what our own proof asks for.
    pub(super) fn applicant_step(&mut self, now: Instant, step: Step, rng: &mut dyn CryptoRng) {
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
}

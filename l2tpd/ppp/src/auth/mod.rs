//! Authentication (RFC 1661 section 3.5): an `Authenticator` makes the peer prove itself, an
//! `Applicant` proves us. Each runs one method, agreed on in LCP.

use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::auth::chap::{ChapApplicant, ChapAuthenticator};
use crate::auth::pap::{PapApplicant, PapAuthenticator};
use crate::io::{AuthFailure, AuthMethod, Config, Credentials, Secret};
use crate::packet::{Packet, protocol};

pub(crate) mod chap;
pub mod mschapv2;
pub(crate) mod pap;

/// What happened; packets to send are in the [`Step`] beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to tell.
    Nothing,
    /// The packet was not for this state, identifier or method.
    Unexpected,
    /// The packet's lengths do not fit.
    Malformed,
    /// The peer claims to be this; its secret is needed.
    Identify(Vec<u8>),
    /// Proven.
    Passed,
    /// Not proven; `last` if there is no other attempt.
    Failed { reason: AuthFailure, last: bool },
    /// Nobody answered.
    NoAnswer,
}

/// A packet to send, if any, and what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) send: Option<Vec<u8>>,
    pub(crate) outcome: Outcome,
}

impl Step {
    fn nothing() -> Self {
        Self {
            send: None,
            outcome: Outcome::Nothing,
        }
    }

    fn send(packet: Vec<u8>) -> Self {
        Self {
            send: Some(packet),
            outcome: Outcome::Nothing,
        }
    }

    fn outcome(outcome: Outcome) -> Self {
        Self {
            send: None,
            outcome,
        }
    }
}

/// Retransmission: how often and how soon again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    period: Duration,
    left: u8,
    deadline: Option<Instant>,
}

impl Retry {
    fn new(config: &Config) -> Self {
        Self {
            period: config.restart,
            left: config.max_configure,
            deadline: None,
        }
    }

    fn arm(&mut self, now: Instant) {
        self.left = self.left.saturating_sub(1);
        self.deadline = Some(now + self.period);
    }

    fn stop(&mut self) {
        self.deadline = None;
    }

    fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// The PPP protocol a method speaks.
pub(crate) fn protocol_of(method: AuthMethod) -> u16 {
    match method {
        AuthMethod::MsChapV2 | AuthMethod::ChapMd5 => protocol::CHAP,
        AuthMethod::Pap => protocol::PAP,
    }
}

/// The name of a user as the peer sent it, checked, and without its domain.
pub(crate) fn user_name(identity: &[u8]) -> Option<(&str, &str)> {
    let identity = std::str::from_utf8(identity).ok()?;
    let user = without_domain(identity);
    (!user.is_empty() && !identity.chars().any(char::is_control)).then_some((identity, user))
}

/// `DOMAIN\user` is `user` (RFC 2759 section 4: "without any associated Windows domain").
pub(crate) fn without_domain(identity: &str) -> &str {
    identity.rsplit('\\').next().unwrap_or(identity)
}

/// Our side of the peer's proof.
#[derive(Debug)]
pub(crate) enum Authenticator {
    Pap(PapAuthenticator),
    Chap(ChapAuthenticator),
}

impl Authenticator {
    /// Starts it; the first Challenge (if the method has one) is in the step.
    pub(crate) fn start(
        method: AuthMethod,
        config: &Config,
        now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> (Self, Step) {
        match method {
            AuthMethod::Pap => (
                Self::Pap(PapAuthenticator::new(config, now)),
                Step::nothing(),
            ),
            AuthMethod::MsChapV2 | AuthMethod::ChapMd5 => {
                let (chap, challenge) = ChapAuthenticator::start(method, config, now, rng);
                (Self::Chap(chap), Step::send(challenge))
            }
        }
    }

    pub(crate) fn handle_packet(&mut self, packet: &Packet<'_>) -> Step {
        match self {
            Self::Pap(pap) => pap.handle_packet(packet),
            Self::Chap(chap) => chap.handle_packet(packet),
        }
    }

    /// The answer to [`Outcome::Identify`].
    pub(crate) fn verify(
        &mut self,
        now: Instant,
        verdict: Result<&Secret, AuthFailure>,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        match self {
            Self::Pap(pap) => pap.verify(now, verdict),
            Self::Chap(chap) => chap.verify(verdict, rng),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Pap(pap) => pap.retry.deadline,
            Self::Chap(chap) => chap.retry.deadline,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Step {
        match self {
            Self::Pap(pap) => pap.handle_timeout(now),
            Self::Chap(chap) => chap.handle_timeout(now),
        }
    }

    /// The Success once more, for a peer that seems not to have got it.
    pub(crate) fn success_again(&self) -> Option<Vec<u8>> {
        match self {
            Self::Pap(_) => None,
            Self::Chap(chap) => chap.success_again(),
        }
    }
}

/// The peer's side of our proof.
#[derive(Debug)]
pub(crate) enum Applicant {
    Pap(PapApplicant),
    Chap(Box<ChapApplicant>),
}

impl Applicant {
    /// Starts it; the first Authenticate-Request (if the method has one) is in the step.
    pub(crate) fn start(
        method: AuthMethod,
        credentials: &Credentials,
        config: &Config,
        now: Instant,
    ) -> (Self, Step) {
        match method {
            AuthMethod::Pap => {
                let (pap, request) = PapApplicant::start(credentials, config, now);
                (Self::Pap(pap), Step::send(request))
            }
            AuthMethod::MsChapV2 | AuthMethod::ChapMd5 => {
                let chap = ChapApplicant::new(method, credentials.clone(), config, now);
                (Self::Chap(Box::new(chap)), Step::nothing())
            }
        }
    }

    /// One that has passed already (taken from a checkpoint); it answers further Challenges.
    pub(crate) fn passed(
        method: AuthMethod,
        credentials: &Credentials,
        config: &Config,
        now: Instant,
    ) -> Option<Self> {
        match method {
            AuthMethod::Pap => None,
            AuthMethod::MsChapV2 | AuthMethod::ChapMd5 => {
                let chap = ChapApplicant::new(method, credentials.clone(), config, now);
                Some(Self::Chap(Box::new(chap.passed())))
            }
        }
    }

    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        match self {
            Self::Pap(pap) => pap.handle_packet(packet),
            Self::Chap(chap) => chap.handle_packet(now, packet, rng),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Pap(pap) => pap.retry.deadline,
            Self::Chap(chap) => chap.retry.deadline,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Step {
        match self {
            Self::Pap(pap) => pap.handle_timeout(now),
            Self::Chap(chap) => chap.handle_timeout(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(user_name(b"alice"), Some(("alice", "alice")));
        assert_eq!(user_name(b"CORP\\alice"), Some(("CORP\\alice", "alice")));
        assert_eq!(
            user_name("r\u{e9}my@example".as_bytes()).map(|n| n.1),
            Some("r\u{e9}my@example")
        );
        for bad in [
            &b""[..],
            b"CORP\\",
            b"a\0",
            b"a\nb",
            b"\xff\xfe",
            b"a\0l\0i\0",
        ] {
            assert_eq!(user_name(bad), None, "{bad:?}");
        }
    }
}

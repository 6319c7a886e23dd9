//! The Password Authentication Protocol (RFC 1334 section 2), both roles.

use std::time::Instant;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::auth::{Outcome, Retry, Step};
use crate::io::{AuthFailure, Config, Credentials, Secret};
use crate::packet::{Packet, emit};

const AUTHENTICATE_REQUEST: u8 = 1;
const AUTHENTICATE_ACK: u8 = 2;
const AUTHENTICATE_NAK: u8 = 3;

/// Naks before the link is ended (section 2.2.1 leaves the number to us).
const ATTEMPTS: u8 = 3;

/// Waits for the peer's Authenticate-Request.
#[derive(Debug)]
pub(crate) struct PapAuthenticator {
    pub(super) retry: Retry,
    state: State,
    failures: u8,
}

#[derive(Debug)]
enum State {
    Waiting,
    /// The owner looks the user up.
    Asking {
        id: u8,
        password: Zeroizing<Vec<u8>>,
    },
    Passed,
    Failed,
}

impl PapAuthenticator {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let mut retry = Retry::new(config);
        retry.deadline = Some(now + retry.period * u32::from(retry.left));
        Self {
            retry,
            state: State::Waiting,
            failures: 0,
        }
    }

    pub(super) fn handle_packet(&mut self, packet: &Packet<'_>) -> Step {
        if packet.code != AUTHENTICATE_REQUEST {
            return Step::outcome(Outcome::Unexpected);
        }
        match self.state {
            State::Waiting => {}
            // "MUST return the same reply code" to repeated requests (section 2.2.1).
            State::Passed => return Step::send(reply(AUTHENTICATE_ACK, packet.id)),
            State::Asking { .. } => return Step::nothing(),
            State::Failed => return Step::outcome(Outcome::Unexpected),
        }
        let Some((user, password)) = request_fields(packet.data) else {
            return Step::outcome(Outcome::Malformed);
        };
        let password = Zeroizing::new(password.to_vec());
        self.state = State::Asking {
            id: packet.id,
            password,
        };
        Step::outcome(Outcome::Identify(user.to_vec()))
    }

    pub(super) fn verify(&mut self, now: Instant, verdict: Result<&Secret, AuthFailure>) -> Step {
        let State::Asking { id, password } = &self.state else {
            return Step::nothing();
        };
        let id = *id;
        let verdict = verdict.and_then(|secret| {
            let same = bool::from(secret.bytes().ct_eq(password));
            same.then_some(()).ok_or(AuthFailure::WrongPassword)
        });
        let Err(reason) = verdict else {
            self.state = State::Passed;
            self.retry.stop();
            let send = Some(reply(AUTHENTICATE_ACK, id));
            return Step {
                send,
                outcome: Outcome::Passed,
            };
        };
        self.failures = self.failures.saturating_add(1);
        let last = self.failures >= ATTEMPTS;
        self.state = if last { State::Failed } else { State::Waiting };
        if last {
            self.retry.stop();
        } else {
            self.retry.deadline = Some(now + self.retry.period * u32::from(self.retry.left));
        }
        let send = Some(reply(AUTHENTICATE_NAK, id));
        Step {
            send,
            outcome: Outcome::Failed { reason, last },
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Step {
        if !self.retry.is_due(now) {
            return Step::nothing();
        }
        self.retry.stop();
        Step::outcome(Outcome::NoAnswer)
    }
}

/// Sends our Authenticate-Request until somebody answers.
#[derive(Debug)]
pub(crate) struct PapApplicant {
    pub(super) retry: Retry,
    request: Zeroizing<Vec<u8>>,
}

impl PapApplicant {
    pub(super) fn start(
        credentials: &Credentials,
        config: &Config,
        now: Instant,
    ) -> (Self, Vec<u8>) {
        let mut data = Zeroizing::new(Vec::new());
        for field in [credentials.user.as_bytes(), credentials.secret.bytes()] {
            let field = field.get(..255).unwrap_or(field);
            data.push(u8::try_from(field.len()).unwrap_or(u8::MAX));
            data.extend_from_slice(field);
        }
        let request = Zeroizing::new(emit(AUTHENTICATE_REQUEST, 1, &data));
        let mut retry = Retry::new(config);
        retry.arm(now);
        let packet = request.to_vec();
        (Self { retry, request }, packet)
    }

    pub(super) fn handle_packet(&mut self, packet: &Packet<'_>) -> Step {
        if self.retry.deadline.is_none() || packet.id != 1 {
            return Step::outcome(Outcome::Unexpected);
        }
        let outcome = match packet.code {
            AUTHENTICATE_ACK => Outcome::Passed,
            AUTHENTICATE_NAK => Outcome::Failed {
                reason: AuthFailure::Refused,
                last: true,
            },
            _ => return Step::outcome(Outcome::Unexpected),
        };
        self.retry.stop();
        Step::outcome(outcome)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Step {
        if !self.retry.is_due(now) {
            return Step::nothing();
        }
        if self.retry.left == 0 {
            self.retry.stop();
            return Step::outcome(Outcome::NoAnswer);
        }
        self.retry.arm(now);
        Step::send(self.request.to_vec())
    }
}

/// An Ack or Nak with an empty message.
fn reply(code: u8, id: u8) -> Vec<u8> {
    emit(code, id, &[0])
}

/// Peer-ID and Password, each behind its length.
fn request_fields(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first()?;
    let (user, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first()?;
    Some((user, rest.get(..usize::from(*length))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_do_not_fit() {
        assert_eq!(
            request_fields(b"\x02me\x02pw"),
            Some((&b"me"[..], &b"pw"[..]))
        );
        assert_eq!(request_fields(b"\x00\x00"), Some((&b""[..], &b""[..])));
        for bad in [
            &b""[..],
            b"\x00",
            b"\x01",
            b"\x02me",
            b"\x02me\x03pw",
            b"\xffme",
        ] {
            assert_eq!(request_fields(bad), None, "{bad:?}");
        }
    }
}

//! The Challenge Handshake Authentication Protocol (RFC 1994), both roles, with MD5 (section 4.1)
//! or as MS-CHAP version 2 (RFC 2759).

use std::time::Instant;

use md5::{Digest, Md5};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::auth::{Outcome, Retry, Step, mschapv2, without_domain};
use crate::io::{AuthFailure, AuthMethod, Config, Credentials, Secret};
use crate::packet::{Packet, emit};

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

/// Sends Challenges and judges Responses.
#[derive(Debug)]
pub(crate) struct ChapAuthenticator {
    pub(super) retry: Retry,
    method: AuthMethod,
    id: u8,
    challenge: [u8; 16],
    packet: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// For a Response.
    Waiting,
    /// The owner looks the user up.
    Asking { name: Vec<u8>, value: Vec<u8> },
    /// With the Success that was sent.
    Passed(Vec<u8>),
    /// With the Failure that was sent.
    Failed(Vec<u8>),
}

impl ChapAuthenticator {
    pub(super) fn start(
        method: AuthMethod,
        config: &Config,
        now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> (Self, Vec<u8>) {
        let mut challenge = [0; 16];
        rng.fill_bytes(&mut challenge);
        let id = rng.next_u32().to_be_bytes()[0];
        let name = config.host_name.as_bytes();
        let packet = value_packet(CHALLENGE, id, &challenge, name.get(..255).unwrap_or(name));
        let mut retry = Retry::new(config);
        retry.arm(now);
        let chap = Self {
            retry,
            method,
            id,
            challenge,
            packet: packet.clone(),
            state: State::Waiting,
        };
        (chap, packet)
    }

    pub(super) fn handle_packet(&mut self, packet: &Packet<'_>) -> Step {
        if packet.code != RESPONSE || packet.id != self.id {
            return Step::outcome(Outcome::Unexpected);
        }
        match &self.state {
            State::Waiting => {}
            // The reply was lost: "MUST allow repeated Response packets" (section 4.2).
            State::Passed(reply) | State::Failed(reply) => return Step::send(reply.clone()),
            State::Asking { .. } => return Step::nothing(),
        }
        let Some((value, name)) = value_fields(packet.data) else {
            return Step::outcome(Outcome::Malformed);
        };
        let fits = match self.method {
            AuthMethod::MsChapV2 => value.len() == mschapv2::RESPONSE_VALUE,
            AuthMethod::ChapMd5 | AuthMethod::Pap => value.len() == 16,
        };
        if !fits {
            return Step::outcome(Outcome::Malformed);
        }
        // The answer is ours to give now; asking again would only confuse.
        self.retry.stop();
        self.state = State::Asking {
            name: name.to_vec(),
            value: value.to_vec(),
        };
        Step::outcome(Outcome::Identify(name.to_vec()))
    }

    pub(super) fn verify(
        &mut self,
        verdict: Result<&Secret, AuthFailure>,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        let State::Asking { name, value } = &self.state else {
            return Step::nothing();
        };
        let message = verdict.and_then(|secret| {
            let proof = match self.method {
                AuthMethod::MsChapV2 => check_v2(&self.challenge, name, value, secret),
                AuthMethod::ChapMd5 | AuthMethod::Pap => {
                    let expected = md5_response(self.id, secret, &self.challenge);
                    bool::from(expected.ct_eq(value)).then(|| "Welcome".to_owned())
                }
            };
            proof.ok_or(AuthFailure::WrongPassword)
        });
        match message {
            Ok(message) => {
                let reply = emit(SUCCESS, self.id, message.as_bytes());
                self.state = State::Passed(reply.clone());
                Step {
                    send: Some(reply),
                    outcome: Outcome::Passed,
                }
            }
            Err(reason) => {
                let message = match self.method {
                    AuthMethod::MsChapV2 => {
                        let mut unused = [0; 16];
                        rng.fill_bytes(&mut unused);
                        mschapv2::failure_message(&unused)
                    }
                    AuthMethod::ChapMd5 | AuthMethod::Pap => "Authentication failed".to_owned(),
                };
                let reply = emit(FAILURE, self.id, message.as_bytes());
                self.state = State::Failed(reply.clone());
                Step {
                    send: Some(reply),
                    outcome: Outcome::Failed { reason, last: true },
                }
            }
        }
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
        Step::send(self.packet.clone())
    }

    pub(super) fn success_again(&self) -> Option<Vec<u8>> {
        match &self.state {
            State::Passed(reply) => Some(reply.clone()),
            State::Waiting | State::Asking { .. } | State::Failed(_) => None,
        }
    }
}

/// Answers Challenges.
#[derive(Debug)]
pub(crate) struct ChapApplicant {
    pub(super) retry: Retry,
    method: AuthMethod,
    credentials: Credentials,
    period_retries: u8,
    answered: Option<Answered>,
    /// The Response before that: a Challenge from before a renegotiation may come late and must
    /// not make us forget the one that counts.
    earlier: Option<Answered>,
    passed: bool,
}

/// Our last Response, and what it answered.
#[derive(Debug)]
struct Answered {
    id: u8,
    challenge: Vec<u8>,
    response: Vec<u8>,
    /// The `S=` the server has to prove itself with (MS-CHAPv2).
    expected: Option<String>,
    settled: bool,
}

impl ChapApplicant {
    pub(super) fn new(
        method: AuthMethod,
        credentials: Credentials,
        config: &Config,
        now: Instant,
    ) -> Self {
        let mut retry = Retry::new(config);
        let period_retries = retry.left;
        // Until the first Challenge comes.
        retry.deadline = Some(now + retry.period * u32::from(retry.left));
        retry.left = 0;
        Self {
            retry,
            method,
            credentials,
            period_retries,
            answered: None,
            earlier: None,
            passed: false,
        }
    }

    pub(super) fn passed(mut self) -> Self {
        self.retry.stop();
        self.passed = true;
        self
    }

    pub(super) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Step {
        match packet.code {
            CHALLENGE => self.challenged(now, packet, rng),
            SUCCESS | FAILURE => self.judged(packet),
            _ => Step::outcome(Outcome::Unexpected),
        }
    }

    fn challenged(&mut self, now: Instant, packet: &Packet<'_>, rng: &mut dyn CryptoRng) -> Step {
        let Some((challenge, _)) = value_fields(packet.data) else {
            return Step::outcome(Outcome::Malformed);
        };
        let known = [&self.answered, &self.earlier]
            .into_iter()
            .flatten()
            .find(|answered| answered.id == packet.id && answered.challenge == challenge);
        if let Some(answered) = known {
            return Step::send(answered.response.clone());
        }
        let user = self.credentials.user.as_bytes();
        let user = user.get(..255).unwrap_or(user);
        let (value, expected) = match self.method {
            AuthMethod::MsChapV2 => {
                let Ok(challenge) = <[u8; 16]>::try_from(challenge) else {
                    return Step::outcome(Outcome::Malformed);
                };
                let short = without_domain(&self.credentials.user).as_bytes();
                let hash = mschapv2::nt_password_hash(self.credentials.secret.bytes());
                let mut peer_challenge = [0; 16];
                rng.fill_bytes(&mut peer_challenge);
                let nt_response = mschapv2::nt_response(&challenge, &peer_challenge, short, &hash);
                let response = mschapv2::Response {
                    peer_challenge,
                    nt_response,
                };
                let expected =
                    mschapv2::authenticator_response(&hash, &response, &challenge, short);
                (response.emit(), Some(expected))
            }
            AuthMethod::ChapMd5 | AuthMethod::Pap => {
                if challenge.is_empty() {
                    return Step::outcome(Outcome::Malformed);
                }
                let value = md5_response(packet.id, &self.credentials.secret, challenge);
                (value.to_vec(), None)
            }
        };
        let response = value_packet(RESPONSE, packet.id, &value, user);
        self.earlier = self.answered.take();
        self.answered = Some(Answered {
            id: packet.id,
            challenge: challenge.to_vec(),
            response: response.clone(),
            expected,
            settled: false,
        });
        if !self.passed {
            self.retry.left = self.period_retries;
            self.retry.arm(now);
        }
        // Once passed it is the server's to repeat a Challenge it cares for.
        Step::send(response)
    }

    fn judged(&mut self, packet: &Packet<'_>) -> Step {
        // Without a Response of ours under way there is nothing to be judged: a Success that
        // nobody asked for proves nothing.
        let Some(answered) = [&mut self.answered, &mut self.earlier]
            .into_iter()
            .flatten()
            .find(|answered| answered.id == packet.id && !answered.settled)
        else {
            return Step::outcome(Outcome::Unexpected);
        };
        answered.settled = true;
        self.retry.stop();
        if packet.code == FAILURE {
            return Step::outcome(Outcome::Failed {
                reason: AuthFailure::Refused,
                last: true,
            });
        }
        let proven = answered
            .expected
            .as_ref()
            .is_none_or(|text| mschapv2::check_authenticator_response(text, packet.data));
        if !proven {
            let reason = AuthFailure::PeerNotVerified;
            return Step::outcome(Outcome::Failed { reason, last: true });
        }
        let again = std::mem::replace(&mut self.passed, true);
        Step::outcome(if again {
            Outcome::Nothing
        } else {
            Outcome::Passed
        })
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Step {
        if !self.retry.is_due(now) {
            return Step::nothing();
        }
        match &self.answered {
            Some(answered) if self.retry.left > 0 => {
                let response = answered.response.clone();
                self.retry.arm(now);
                Step::send(response)
            }
            _ => {
                self.retry.stop();
                Step::outcome(Outcome::NoAnswer)
            }
        }
    }
}

/// The Success message if the Response proves the secret.
fn check_v2(challenge: &[u8; 16], name: &[u8], value: &[u8], secret: &Secret) -> Option<String> {
    let response = mschapv2::Response::parse(value)?;
    let user = without_domain(std::str::from_utf8(name).ok()?).as_bytes();
    let hash = mschapv2::nt_password_hash(secret.bytes());
    let expected = mschapv2::nt_response(challenge, &response.peer_challenge, user, &hash);
    bool::from(expected.ct_eq(&response.nt_response)).then(|| {
        let proof = mschapv2::authenticator_response(&hash, &response, challenge, user);
        format!("{proof} M=Welcome")
    })
}

/// Section 4.1: MD5 over Identifier, secret and Challenge.
fn md5_response(id: u8, secret: &Secret, challenge: &[u8]) -> [u8; 16] {
    Md5::new()
        .chain_update([id])
        .chain_update(secret.bytes())
        .chain_update(challenge)
        .finalize()
        .into()
}

/// Value-Size, Value and Name of a Challenge or Response.
fn value_fields(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(*size))
}

fn value_packet(code: u8, id: u8, value: &[u8], name: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(1 + value.len() + name.len());
    data.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
    data.extend_from_slice(value);
    data.extend_from_slice(name);
    emit(code, id, &data)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// RFC 2865 section 7.2: user "flopsy", password "arctangent", CHAP identifier 22; the
    /// challenge is the Request Authenticator, the response stands in CHAP-Password.
    #[test]
    fn rfc_2865_section_7_2() {
        let challenge = hex!("2aee86f08d0d55969ca5978e0d3367a2");
        assert_eq!(
            md5_response(22, &Secret::new("arctangent"), &challenge),
            hex!("e97557c316185895f293ff6344077275")
        );
    }

    #[test]
    fn value_sizes_that_do_not_fit() {
        assert_eq!(
            value_fields(b"\x02abname"),
            Some((&b"ab"[..], &b"name"[..]))
        );
        assert_eq!(value_fields(b"\x00"), Some((&b""[..], &b""[..])));
        assert_eq!(value_fields(b""), None);
        assert_eq!(value_fields(b"\xff"), None);
        assert_eq!(value_fields(b"\x03ab"), None);
    }
}

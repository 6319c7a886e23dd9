//! What Main Mode and Aggressive Mode have in common: RFC 2409 5.
//!
//! * [`Phase`]: the states of both, and who goes on when a computation is done
//! * [`begin`]: the SA payloads and vendor ids of first messages
//! * [`keys`]: KE and nonce payloads, SKEYID, what HASH_I and HASH_R cover
//! * [`nat`]: NAT-D payloads, the float to the other port
//! * [`send`]: messages that are not encrypted, and repeated ones
//! * [`complete`]: the ISAKMP SA that comes of it

pub(super) mod begin;
mod complete;
pub(super) mod keys;
mod nat;
mod send;

use ike_crypto::KeyPair;

use crate::context::{Context, Effect, JobOwner};
use crate::error::{DownReason, Refusal};
use crate::job::{DhResult, Job, Outcome};
use crate::nat::NatState;
use crate::negotiate::Phase1Suite;
use crate::policy::Method;

use super::aggressive_mode::{Am1Received, Am1Sent, Am1Wanted, Am2Received, Am2Sent};
use super::main_mode::{Judging, Mm1Sent, Mm3Sent, Mm5Sent, Signing, Verifying};
use super::received::Received;
use super::{Established, Session};

use keys::{Agreed, Exchanged, HalfExchanged};

/// Where phase 1 stands; each state holds what is known in it.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Initiator: MM1 is out.
    Mm1Sent(Mm1Sent),
    /// Responder: MM2 is out.
    Mm2Sent(Agreed),
    /// Initiator: MM2 is in, our public value is being computed.
    Generating(Agreed),
    /// Initiator: MM3 is out.
    Mm3Sent(Mm3Sent),
    /// Responder: MM3 is in, the shared secret is being computed; what was known of NAT before.
    Exchanging(HalfExchanged, NatState),
    /// Initiator: MM4 is in, the shared secret is being computed.
    Agreeing(HalfExchanged),
    /// Responder: MM4 is out.
    Mm4Sent(Box<Exchanged>),
    /// Responder: MM5 is in, signatures are being computed.
    Judging(Box<Judging>),
    /// Initiator: MM4 is in, our signature is being computed.
    Signing(Box<Signing>),
    /// Initiator: MM5 is out.
    Mm5Sent(Box<Mm5Sent>),
    /// Initiator: MM6 is in, the peer's signature is being checked.
    Verifying(Box<Verifying>),
    /// Initiator: the public value of AM1 is being computed.
    Am1Wanted(Box<Am1Wanted>),
    /// Initiator: AM1 is out.
    Am1Sent(Box<Am1Sent>),
    /// Initiator: AM2 is in, the shared secret is being computed.
    Am2Received(Box<Am2Received>),
    /// Responder: AM1 is in, the shared secret is being computed.
    Am1Received(Box<Am1Received>),
    /// Responder: AM2 is out.
    Am2Sent(Box<Am2Sent>),
    /// Phase 1 is complete.
    Established(Box<Established>),
    /// Only while a step runs.
    Moving,
}

/// A message that is not accepted: the state stays.
pub(in crate::ikev1) struct Refused {
    phase: Phase,
    reason: Option<Refusal>,
}

pub(in crate::ikev1) type Step = Result<Phase, Box<Refused>>;

pub(in crate::ikev1) fn stay(phase: Phase, reason: Refusal) -> Step {
    Err(Box::new(Refused {
        phase,
        reason: Some(reason),
    }))
}

pub(in crate::ikev1) fn ignore(phase: Phase) -> Step {
    Err(Box::new(Refused {
        phase,
        reason: None,
    }))
}

impl Phase {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Phase::Mm1Sent(_) => "MM1-sent",
            Phase::Mm2Sent(_) => "MM2-sent",
            Phase::Generating(_) => "MM2-received",
            Phase::Mm3Sent(_) => "MM3-sent",
            Phase::Exchanging(..) => "MM3-received",
            Phase::Agreeing(_) => "MM4-received",
            Phase::Mm4Sent(_) => "MM4-sent",
            Phase::Judging(_) => "MM5-received",
            Phase::Signing(_) => "MM4-received",
            Phase::Mm5Sent(_) => "MM5-sent",
            Phase::Verifying(_) => "MM6-received",
            Phase::Am1Wanted(_) => "AM1-wanted",
            Phase::Am1Sent(_) => "AM1-sent",
            Phase::Am2Received(_) => "AM2-received",
            Phase::Am1Received(_) => "AM1-received",
            Phase::Am2Sent(_) => "AM2-sent",
            Phase::Established(_) => "established",
            Phase::Moving => "moving",
        }
    }

    /// The algorithms and the authentication method, once agreed.
    pub(crate) fn agreed(&self) -> Option<(Phase1Suite, Method)> {
        let agreed = match self {
            Phase::Mm1Sent(_) | Phase::Am1Wanted(_) | Phase::Am1Sent(_) | Phase::Moving => {
                return None;
            }
            Phase::Mm2Sent(agreed) | Phase::Generating(agreed) => agreed,
            Phase::Mm3Sent(state) => &state.agreed,
            Phase::Exchanging(half, _) | Phase::Agreeing(half) => &half.agreed,
            Phase::Mm4Sent(exchanged) => &exchanged.agreed,
            Phase::Judging(state) => &state.exchanged.agreed,
            Phase::Signing(state) => &state.exchanged.agreed,
            Phase::Mm5Sent(state) => &state.exchanged.agreed,
            Phase::Verifying(state) => &state.exchanged.agreed,
            Phase::Am1Received(state) => &state.half.agreed,
            Phase::Am2Received(state) => &state.half.agreed,
            Phase::Am2Sent(state) => &state.exchanged.agreed,
            Phase::Established(established) => {
                return Some((established.suite, established.method));
            }
        };
        Some((agreed.suite, agreed.method))
    }
}

impl Session {
    /// The state after a message, whether it was accepted or not.
    pub(super) fn conclude(&mut self, cx: &mut Context<'_>, step: Step, message: &Received<'_>) {
        match step {
            Ok(phase) => self.phase = phase,
            Err(refused) => {
                self.phase = refused.phase;
                if let Some(reason) = refused.reason {
                    self.refuse(cx, reason);
                    self.complain(cx, message.path, reason, message.datagram.len());
                }
            }
        }
    }

    /// Our key pair is there and the peer's public value: what is known until both are joined.
    pub(super) fn agree(
        &self,
        cx: &mut Context<'_>,
        agreed: Agreed,
        pair: KeyPair,
        ni: Vec<u8>,
        nr: Vec<u8>,
        peer: Vec<u8>,
    ) -> HalfExchanged {
        let value = peer.clone();
        cx.shared
            .start_job(JobOwner::Phase1(self.id), |id| Job::agree(id, pair, value));
        HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        }
    }

    /// A computation for phase 1 is done.
    pub(crate) fn handle_job(&mut self, cx: &mut Context<'_>, outcome: Outcome) {
        let phase = std::mem::replace(&mut self.phase, Phase::Moving);
        self.phase = match outcome {
            Outcome::Dh(result) => self.dh_done(cx, phase, result),
            Outcome::Authenticated(result) => match phase {
                Phase::Judging(state) => self.send_mm6_signed(cx, *state, result),
                Phase::Signing(state) => self.send_mm5_signed(cx, *state, result),
                Phase::Verifying(state) => self.mm6_verified(cx, *state, result),
                other => other,
            },
        };
    }

    fn dh_done(&mut self, cx: &mut Context<'_>, phase: Phase, result: DhResult) -> Phase {
        match phase {
            Phase::Generating(agreed) => self.send_mm3(cx, agreed, result.pair),
            Phase::Exchanging(half, before) => self.send_mm4(cx, half, before, result),
            Phase::Agreeing(half) => self.send_mm5(cx, half, result),
            Phase::Am1Received(state) => self.send_am2(cx, *state, result),
            Phase::Am1Wanted(state) => self.send_am1(cx, *state, result.pair),
            Phase::Am2Received(state) => self.send_am3(cx, *state, result),
            other => other,
        }
    }

    /// Phase 1 cannot go on.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>, reason: Refusal) -> Phase {
        self.refuse(cx, reason);
        cx.effects.push(Effect::Ended(DownReason::Refused(reason)));
        Phase::Moving
    }
}

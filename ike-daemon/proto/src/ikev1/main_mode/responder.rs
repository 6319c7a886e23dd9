//! The responder's side of Main Mode: MM1 in, MM2 out, MM3 in, MM4 out, MM5 in, MM6 out.

use ike_crypto::verify;

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, NotifyType, PayloadType, Phase1Attribute};
use crate::ikev1::lifetime::{lifetime_data, phase1_lifetime};
use crate::ikev1::phase1::begin::choose;
use crate::ikev1::phase1::keys::{Agreed, Exchanged, HalfExchanged, NONCE_LEN, Phase1Keys};
use crate::ikev1::phase1::{Phase, Step, ignore, stay};
use crate::ikev1::received::Received;
use crate::ikev1::signature::MAX_CLAIMS;
use crate::ikev1::{MAX_BAD_VALUES, Session};
use crate::job::{Authenticated, DhResult};
use crate::nat::NatState;
use crate::policy::{Policy, Proof, SecretPeer};
use crate::retransmit::Answered;
use crate::wire::chain::Builder;
use crate::wire::notification::Notification;

use super::{Judging, Presented};

/// Why an MM5 was refused under every secret there is.
enum NoSecretFits {
    None,
    Garbage,
    BadHash,
}

impl Session {
    /// As responder: MM1 of a new exchange. Nothing is kept when it is refused.
    pub(crate) fn respond(cx: &mut Context<'_>, message: &Received<'_>) -> Result<Self, Refusal> {
        let chain = message.chain()?;
        let policy = &cx.shared.policy;
        let secret = !policy.secrets_for(message.path.peer.ip(), None).is_empty();
        let (agreed, answer) = choose(policy, message.path, &chain, secret, |_| true)?;
        let mut session = Self::begin_response(cx, message, &chain, Phase::Mm2Sent(agreed));

        // Every vendor id answers one of the peer's, so that MM2 is never longer than MM1.
        let mut mm2 = Builder::new();
        mm2.push(PayloadType::SA, answer);
        session.answer_vendor_ids(&chain, &mut mm2);
        session.answered.request(message.datagram);
        session.send_main_mode(cx, &mm2);
        Ok(session)
    }

    pub(super) fn receive_mm3(
        &mut self,
        cx: &mut Context<'_>,
        agreed: Agreed,
        message: &Received<'_>,
    ) -> Step {
        let path = message.path;
        if path.peer.ip() != self.path.peer.ip() {
            // MM4 may be longer than MM3. Who has MM2 is where MM1 came from; anywhere else might
            // be somebody who never asked.
            return ignore(Phase::Mm2Sent(agreed));
        }
        let before = self.nat;
        let (peer, ni) = match self.read_ke_nonce(&agreed, path, message) {
            Ok(read) => read,
            Err(reason) => return stay(Phase::Mm2Sent(agreed), reason),
        };
        if !cx.shared.job_possible() || self.bad_values >= MAX_BAD_VALUES {
            // The client sends MM3 again.
            return ignore(Phase::Mm2Sent(agreed));
        }
        self.path = path;
        self.answered.request(message.datagram);
        let owner = JobOwner::Phase1(self.id);
        cx.shared
            .start_exchange(owner, agreed.suite.group, peer.clone(), cx.rng);
        let nr = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        let half = HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        };
        Ok(Phase::Exchanging(half, before))
    }

    pub(in crate::ikev1) fn send_mm4(
        &mut self,
        cx: &mut Context<'_>,
        half: HalfExchanged,
        before: NatState,
        result: DhResult,
    ) -> Phase {
        let exchanged = match half.join(result, false) {
            Ok(exchanged) => exchanged,
            Err(agreed) => {
                self.nat = before;
                self.refuse(cx, Refusal::BadKeyExchange);
                self.bad_values = self.bad_values.saturating_add(1);
                self.answered = Answered::default();
                return Phase::Mm2Sent(agreed);
            }
        };
        let mut mm4 = Builder::new();
        mm4.push(PayloadType::KE, exchanged.gxr.clone());
        mm4.push(PayloadType::NONCE, exchanged.nr.clone());
        self.push_requests(cx, exchanged.agreed.method.proof(true), &mut mm4);
        self.push_nat_d(&exchanged.agreed, &mut mm4);
        self.pretend_nat();
        self.send_main_mode(cx, &mm4);
        Phase::Mm4Sent(Box::new(exchanged))
    }

    pub(super) fn receive_mm5(
        &mut self,
        cx: &mut Context<'_>,
        exchanged: Box<Exchanged>,
        message: &Received<'_>,
    ) -> Step {
        if !exchanged.agreed.method.uses_secret() {
            return self.receive_signed_mm5(cx, exchanged, message);
        }
        let found = self.find_secret(&cx.shared.policy, &exchanged, message);
        let (keys, presented) = match found {
            Ok(found) => found,
            Err(why) => {
                let reason = match why {
                    NoSecretFits::None => Refusal::NoSecret,
                    NoSecretFits::Garbage => Refusal::WrongSecret,
                    NoSecretFits::BadHash => Refusal::BadHash,
                };
                return stay(Phase::Mm4Sent(exchanged), reason);
            }
        };
        // Authenticated: the address it came from is the one to talk to (RFC 3947 4).
        self.path = message.path;
        self.answered.request(message.datagram);
        let hash = self.phase1_hash(&exchanged, &keys, false, &self.own_id());
        let judged = Judging {
            exchanged,
            keys,
            presented,
            path: message.path,
        };
        Ok(self.send_mm6(cx, judged, hash.expose()))
    }

    /// MM5 of a peer that shares no secret with us. Whatever it proves, signatures are slow.
    fn receive_signed_mm5(
        &mut self,
        cx: &mut Context<'_>,
        exchanged: Box<Exchanged>,
        message: &Received<'_>,
    ) -> Step {
        if !cx.shared.job_possible() {
            // The client sends MM5 again.
            return ignore(Phase::Mm4Sent(exchanged));
        }
        let expected = exchanged.agreed.method.proof(true);
        let opened = exchanged.signature_keys(self).and_then(|keys| {
            let presented = Presented::open(&keys, &keys.iv, expected, message)?;
            Some((keys, presented))
        });
        let Some((keys, presented)) = opened else {
            return stay(Phase::Mm4Sent(exchanged), Refusal::BadHash);
        };
        if expected == Proof::Hash {
            let hash = self.phase1_hash(&exchanged, &keys, true, &presented.id_body);
            if !verify(hash.expose(), &presented.proof) {
                return stay(Phase::Mm4Sent(exchanged), Refusal::BadHash);
            }
        }
        let own = self.own_certificate(cx, &exchanged);
        self.settle_identity(cx, own.as_ref());
        self.answered.request(message.datagram);
        self.start_authentication(cx, &exchanged, &keys, Some(&presented), own.as_ref());
        Ok(Phase::Judging(Box::new(Judging {
            exchanged,
            keys,
            presented,
            path: message.path,
        })))
    }

    /// The peer's signature is checked, and ours made.
    pub(in crate::ikev1) fn send_mm6_signed(
        &mut self,
        cx: &mut Context<'_>,
        state: Judging,
        result: Authenticated,
    ) -> Phase {
        let reason = match (result.claim, result.signature) {
            (Ok(certificate), Some(Ok(signature))) => {
                self.path = state.path;
                self.peer_certificate = certificate.map(Into::into);
                return self.send_mm6(cx, state, &signature);
            }
            (Err(error), _) => self.refuse_claim(cx, &state.presented.identity, &error),
            (Ok(_), _) => {
                self.refuse(cx, Refusal::CannotSign);
                Refusal::CannotSign
            }
        };
        let len = state.presented.shortest_message();
        self.phase = Phase::Mm4Sent(state.exchanged);
        self.complain(cx, state.path, reason, len);
        if self.claims >= MAX_CLAIMS {
            cx.effects.push(Effect::Ended(DownReason::Refused(reason)));
        }
        std::mem::replace(&mut self.phase, Phase::Moving)
    }

    /// The peer is who it says: our proof, and phase 1 is complete.
    fn send_mm6(&mut self, cx: &mut Context<'_>, judged: Judging, proof: &[u8]) -> Phase {
        let Judging {
            exchanged,
            keys,
            presented,
            ..
        } = judged;
        let own = self.own_certificate(cx, &exchanged);
        let mut mm6 = Builder::new();
        mm6.push(PayloadType::ID, self.own_id());
        self.push_proof(cx, own.as_ref(), proof, &mut mm6);
        let offered = exchanged.agreed.lifetime;
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        let lifetime = phase1_lifetime(terms.phase1, offered);
        if offered.is_some_and(|offered| offered > lifetime) {
            let data = lifetime_data(
                Phase1Attribute::LIFE_TYPE.0,
                Phase1Attribute::LIFE_DURATION.0,
                lifetime,
            );
            let notification =
                Notification::isakmp(NotifyType::RESPONDER_LIFETIME, self.spi(), data);
            mm6.push(PayloadType::NOTIFICATION, notification.body());
        }
        let header = self.header(ExchangeType::MAIN_MODE, 0);
        let Some((message, last_block)) = keys.message.seal(&presented.next_iv, &header, &mm6)
        else {
            return Phase::Mm4Sent(exchanged);
        };
        self.send_phase1(cx, message);
        cx.effects.push(Effect::Established {
            initial_contact: presented.initial_contact,
        });
        let agreed = &exchanged.agreed;
        let established = self.complete(cx, agreed, keys, last_block, presented.identity);
        Phase::Established(Box::new(established))
    }

    /// Tries the secrets that may be this peer's.
    fn find_secret(
        &self,
        policy: &Policy,
        exchanged: &Exchanged,
        message: &Received<'_>,
    ) -> Result<(Phase1Keys, Presented), NoSecretFits> {
        let mut why = NoSecretFits::None;
        for entry in policy.secrets_for(self.path.peer.ip(), None) {
            let Some(keys) = exchanged.keys(self, &entry.secret) else {
                continue;
            };
            let opened = Presented::open(&keys, &keys.iv, Proof::Hash, message);
            let Some(presented) = opened else {
                if !matches!(why, NoSecretFits::BadHash) {
                    why = NoSecretFits::Garbage;
                }
                continue;
            };
            let expected = self.phase1_hash(exchanged, &keys, true, &presented.id_body);
            if !verify(expected.expose(), &presented.proof) {
                why = NoSecretFits::BadHash;
                continue;
            }
            if let SecretPeer::Identity(identity) = &entry.peer
                && !identity.matches(&presented.identity)
            {
                continue;
            }
            return Ok((keys, presented));
        }
        Err(why)
    }
}

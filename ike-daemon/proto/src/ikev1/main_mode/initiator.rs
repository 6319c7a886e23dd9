//! The initiator's side of Main Mode: MM1 out, MM2 in, MM3 out, MM4 in, MM5 out, MM6 in.

use ike_crypto::{KeyPair, verify};

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, PayloadType};
use crate::ikev1::Session;
use crate::ikev1::phase1::begin::{accept, cookie};
use crate::ikev1::phase1::keys::{Agreed, Exchanged, HalfExchanged, NONCE_LEN, Phase1Keys};
use crate::ikev1::phase1::{Phase, Step, ignore, stay};
use crate::ikev1::received::Received;
use crate::io::{IkeId, Job};
use crate::job::{Authenticated, DhResult};
use crate::nat::Path;
use crate::negotiate::offer_phase1;
use crate::policy::{Method, Proof};
use crate::wire::chain::Builder;
use crate::wire::id::Identification;

use super::{Mm1Sent, Mm3Sent, Mm5Sent, Presented, Signing, Verifying};

impl Session {
    /// As initiator: sends MM1.
    pub(crate) fn initiate(
        cx: &mut Context<'_>,
        path: Path,
        local_identity: Identification,
        methods: &[Method],
    ) -> Self {
        let terms = cx.shared.policy.terms(path.peer.ip());
        let offer = offer_phase1(terms.phase1, methods);
        let mut mm1 = Builder::new();
        mm1.push(PayloadType::SA, offer.body());
        mm1.append(Self::own_vendor_ids(cx, path, methods));
        let id = IkeId(cx.shared.number());
        let cookies = (cookie(cx), [0; 8]);
        let phase = Phase::Mm1Sent(Mm1Sent { offer });
        let mut session = Self::new(id, true, cookies, path, local_identity, cx.now, phase);
        session.wish_encapsulation(cx);
        session.send_main_mode(cx, &mm1);
        session
    }

    pub(super) fn receive_mm2(
        &mut self,
        cx: &mut Context<'_>,
        state: Mm1Sent,
        message: &Received<'_>,
    ) -> Step {
        match self.read_mm2(cx, &state, message) {
            Err(reason) => stay(Phase::Mm1Sent(state), reason),
            Ok(agreed) => {
                self.retransmit = None;
                let private = agreed.suite.group.private_key(cx.rng);
                cx.shared
                    .start_job(JobOwner::Phase1(self.id), |id| Job::generate(id, private));
                Ok(Phase::Generating(agreed))
            }
        }
    }

    fn read_mm2(
        &mut self,
        cx: &Context<'_>,
        state: &Mm1Sent,
        message: &Received<'_>,
    ) -> Result<Agreed, Refusal> {
        let chain = message.chain()?;
        let agreed = accept(&chain, &state.offer)?;
        if message.header.responder_cookie == [0; 8] {
            return Err(Refusal::Malformed);
        }
        self.learn(cx, &chain);
        self.cky_r = message.header.responder_cookie;
        Ok(agreed)
    }

    pub(super) fn receive_mm4(
        &mut self,
        cx: &mut Context<'_>,
        state: Mm3Sent,
        message: &Received<'_>,
    ) -> Step {
        let path = self.path;
        let (peer, nr) = match self.read_ke_nonce(&state.agreed, path, message) {
            Ok(read) => read,
            Err(reason) => return stay(Phase::Mm3Sent(state), reason),
        };
        self.retransmit = None;
        let Mm3Sent { agreed, pair, ni } = state;
        Ok(Phase::Agreeing(self.agree(cx, agreed, pair, ni, nr, peer)))
    }

    pub(in crate::ikev1) fn send_mm3(
        &mut self,
        cx: &mut Context<'_>,
        agreed: Agreed,
        pair: KeyPair,
    ) -> Phase {
        let ni = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        let mut mm3 = Builder::new();
        mm3.push(PayloadType::KE, pair.public());
        mm3.push(PayloadType::NONCE, ni.clone());
        self.push_nat_d(&agreed, &mut mm3);
        self.send_main_mode(cx, &mm3);
        Phase::Mm3Sent(Mm3Sent { agreed, pair, ni })
    }

    pub(in crate::ikev1) fn send_mm5(
        &mut self,
        cx: &mut Context<'_>,
        half: HalfExchanged,
        result: DhResult,
    ) -> Phase {
        let Ok(exchanged) = half.join(result, true) else {
            return self.give_up(cx, Refusal::BadKeyExchange);
        };
        let Some(keys) = self.initiator_keys(cx, &exchanged) else {
            return self.give_up(cx, Refusal::NoSecret);
        };
        self.pretend_nat();
        if self.nat.detected() {
            self.float(cx.shared.policy.nat.natt_port);
        }
        if exchanged.agreed.method.proof(true) == Proof::Hash {
            let hash = self.phase1_hash(&exchanged, &keys, true, &self.own_id());
            return self.send_proof(cx, exchanged, keys, hash.expose());
        }
        let own = self.own_certificate(cx, &exchanged);
        self.settle_identity(cx, own.as_ref());
        self.start_authentication(cx, &exchanged, &keys, None, own.as_ref());
        Phase::Signing(Box::new(Signing { exchanged, keys }))
    }

    /// Our signature is made.
    pub(in crate::ikev1) fn send_mm5_signed(
        &mut self,
        cx: &mut Context<'_>,
        state: Signing,
        result: Authenticated,
    ) -> Phase {
        let Some(Ok(signature)) = result.signature else {
            return self.give_up(cx, Refusal::CannotSign);
        };
        self.send_proof(cx, state.exchanged, state.keys, &signature)
    }

    /// Sends MM5.
    fn send_proof(
        &mut self,
        cx: &mut Context<'_>,
        exchanged: Exchanged,
        keys: Phase1Keys,
        proof: &[u8],
    ) -> Phase {
        let own = self.own_certificate(cx, &exchanged);
        let mut mm5 = Builder::new();
        mm5.push(PayloadType::ID, self.own_id());
        self.push_proof(cx, own.as_ref(), proof, &mut mm5);
        self.push_requests(cx, exchanged.agreed.method.proof(false), &mut mm5);
        self.push_initial_contact(&mut mm5);
        let header = self.header(ExchangeType::MAIN_MODE, 0);
        let Some((message, iv)) = keys.message.seal(&keys.iv, &header, &mm5) else {
            cx.effects.push(Effect::Ended(DownReason::Timeout));
            return Phase::Moving;
        };
        self.send_phase1(cx, message);
        Phase::Mm5Sent(Box::new(Mm5Sent {
            exchanged,
            keys,
            iv,
        }))
    }

    pub(super) fn receive_mm6(
        &mut self,
        cx: &mut Context<'_>,
        state: Box<Mm5Sent>,
        message: &Received<'_>,
    ) -> Step {
        let expected = state.exchanged.agreed.method.proof(false);
        let opened = Presented::open(&state.keys, &state.iv, expected, message);
        let Some(presented) = opened else {
            return stay(Phase::Mm5Sent(state), Refusal::WrongSecret);
        };
        if expected != Proof::Hash {
            if !cx.shared.job_possible() {
                return ignore(Phase::Mm5Sent(state));
            }
            self.retransmit = None;
            let Mm5Sent {
                exchanged, keys, ..
            } = *state;
            self.start_authentication(cx, &exchanged, &keys, Some(&presented), None);
            return Ok(Phase::Verifying(Box::new(Verifying {
                exchanged,
                keys,
                presented,
            })));
        }
        let hash = self.phase1_hash(&state.exchanged, &state.keys, false, &presented.id_body);
        if !verify(hash.expose(), &presented.proof) {
            return stay(Phase::Mm5Sent(state), Refusal::BadHash);
        }
        if !self.expects(&presented.identity) {
            cx.effects
                .push(Effect::Ended(DownReason::Refused(Refusal::WrongIdentity)));
            return stay(Phase::Mm5Sent(state), Refusal::WrongIdentity);
        }
        let Mm5Sent {
            exchanged, keys, ..
        } = *state;
        Ok(self.initiator_done(cx, &exchanged, keys, presented))
    }

    /// Whether the peer is who it has to be.
    pub(in crate::ikev1) fn expects(&self, identity: &Identification) -> bool {
        let expected = self.expected_identity.as_ref();
        expected.is_none_or(|expected| expected.matches(identity))
    }

    /// The peer's signature is checked.
    pub(in crate::ikev1) fn mm6_verified(
        &mut self,
        cx: &mut Context<'_>,
        state: Verifying,
        result: Authenticated,
    ) -> Phase {
        let reason = match result.claim {
            Err(error) => self.refuse_claim(cx, &state.presented.identity, &error),
            Ok(_) if !self.expects(&state.presented.identity) => {
                self.refuse(cx, Refusal::WrongIdentity);
                Refusal::WrongIdentity
            }
            Ok(certificate) => {
                self.peer_certificate = certificate.map(Into::into);
                return self.initiator_done(cx, &state.exchanged, state.keys, state.presented);
            }
        };
        cx.effects.push(Effect::Ended(DownReason::Refused(reason)));
        Phase::Moving
    }

    /// Phase 1 is complete.
    fn initiator_done(
        &mut self,
        cx: &mut Context<'_>,
        exchanged: &Exchanged,
        keys: Phase1Keys,
        presented: Presented,
    ) -> Phase {
        self.retransmit = None;
        self.sent = None;
        cx.effects.push(Effect::Established {
            initial_contact: false,
        });
        let (iv, identity) = (presented.next_iv, presented.identity);
        let established = self.complete(cx, &exchanged.agreed, keys, iv, identity);
        Phase::Established(Box::new(established))
    }
}

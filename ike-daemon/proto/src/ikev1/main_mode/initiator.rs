//! The initiator's side of Main Mode: MM1 out, MM2 in, MM3 out, MM4 in, MM5 out, MM6 in.

use ike_crypto::{KeyPair, verify};

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, NotifyType, PayloadType};
use crate::ikev1::Session;
use crate::io::{IkeId, Job};
use crate::job::{Authenticated, DhResult};
use crate::nat::Path;
use crate::negotiate::{accept_phase1, offer_phase1};
use crate::policy::{Fragmentation, Method, Proof};
use crate::vendor;
use crate::vendor::{Capabilities, NatVariant};
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::Header;
use crate::wire::id::Identification;
use crate::wire::notification::Notification;
use crate::wire::sa::SaPayload;

use super::{
    Agreed, Exchanged, HalfExchanged, Mm1Sent, Mm3Sent, Mm5Sent, NONCE_LEN, Phase, Phase1Keys,
    Presented, Signing, Step, Verifying, cookie, ignore, stay,
};

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

    /// Decides whether to be behind NAT: without a suite of the system's kernel only softkernel is
    /// left.
    pub(in crate::ikev1) fn wish_encapsulation(&mut self, cx: &mut Context<'_>) {
        let peer = self.path.peer.ip();
        let phase2 = cx.shared.policy.terms(peer).phase2;
        let system = cx.shared.carriers.system.as_ref();
        let possible = system.is_none_or(|system| {
            phase2
                .allowed_suites()
                .any(|suite| system.has(suite, phase2.sha256_icv.is_short()))
        });
        self.force_encapsulation = !possible || cx.shared.wants_encapsulation(cx.now, peer);
    }

    /// The vendor ids of a first message of ours.
    pub(in crate::ikev1) fn own_vendor_ids(
        cx: &Context<'_>,
        path: Path,
        methods: &[Method],
    ) -> Builder {
        let mut chain = Builder::new();
        let terms = cx.shared.policy.terms(path.peer.ip());
        let drafts = [vendor::NATT_03, vendor::NATT_02_N, vendor::NATT_02];
        let drafts = drafts.into_iter().filter(|_| terms.nat.drafts);
        if terms.nat.enabled {
            for id in [vendor::RFC_3947].into_iter().chain(drafts) {
                chain.push(PayloadType::VENDOR_ID, id);
            }
        }
        chain.push(PayloadType::VENDOR_ID, vendor::DPD);
        if methods.iter().any(|method| method.uses_xauth()) {
            chain.push(PayloadType::VENDOR_ID, vendor::XAUTH);
            chain.push(PayloadType::VENDOR_ID, vendor::UNITY);
        }
        if terms.fragmentation != Fragmentation::Off {
            chain.push(PayloadType::VENDOR_ID, vendor::FRAGMENTATION_CAPABLE);
        }
        chain
    }

    pub(super) fn receive_mm2(
        &mut self,
        cx: &mut Context<'_>,
        state: Mm1Sent,
        header: &Header,
        body: &[u8],
    ) -> Step {
        let Ok(chain) = Chain::parse(header.next_payload, body) else {
            return stay(Phase::Mm1Sent(state), Refusal::Malformed);
        };
        let answer = chain.one(PayloadType::SA).and_then(SaPayload::parse);
        let choice = match answer.map(|answer| accept_phase1(&answer, &state.offer)) {
            Ok(Ok(choice)) => choice,
            Ok(Err(reason)) => return stay(Phase::Mm1Sent(state), reason),
            Err(_) => return stay(Phase::Mm1Sent(state), Refusal::Malformed),
        };
        if header.responder_cookie == [0; 8] {
            return stay(Phase::Mm1Sent(state), Refusal::Malformed);
        }
        let capabilities = Capabilities::from_vendor_ids(chain.all(PayloadType::VENDOR_ID));
        self.learn(cx, &capabilities);
        self.cky_r = header.responder_cookie;
        self.retransmit = None;
        let private = choice.suite.group.private_key(cx.rng);
        cx.shared
            .start_job(JobOwner::MainMode(self.id), |id| Job::generate(id, private));
        Ok(Phase::Generating(Agreed {
            suite: choice.suite,
            method: choice.method,
            lifetime: choice.lifetime,
            sai_b: state.offer.body(),
        }))
    }

    pub(super) fn receive_mm4(
        &mut self,
        cx: &mut Context<'_>,
        state: Mm3Sent,
        header: &Header,
        body: &[u8],
    ) -> Step {
        let path = self.path;
        let (peer, nr) = match self.read_ke_nonce(&state.agreed, path, header, body) {
            Ok(read) => read,
            Err(reason) => return stay(Phase::Mm3Sent(state), reason),
        };
        self.retransmit = None;
        let Mm3Sent { agreed, pair, ni } = state;
        let value = peer.clone();
        cx.shared.start_job(JobOwner::MainMode(self.id), |id| {
            Job::agree(id, pair, value)
        });
        Ok(Phase::Agreeing(HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        }))
    }

    pub(super) fn send_mm3(
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

    pub(super) fn send_mm5(
        &mut self,
        cx: &mut Context<'_>,
        half: HalfExchanged,
        result: DhResult,
    ) -> Phase {
        let HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        } = half;
        let Some(Ok(shared)) = result.shared else {
            self.refuse(cx, Refusal::BadKeyExchange);
            let reason = DownReason::Refused(Refusal::BadKeyExchange);
            cx.effects.push(Effect::Ended(reason));
            return Phase::Moving;
        };
        let gxi = result.pair.public().to_vec();
        let exchanged = Exchanged {
            agreed,
            ni,
            nr,
            gxi,
            gxr: peer,
            shared,
        };
        let policy = &cx.shared.policy;
        let expected = self.expected_identity.as_ref();
        let method = exchanged.agreed.method;
        let keys = if method.uses_secret() {
            policy
                .secrets_for(self.path.peer.ip(), expected)
                .first()
                .and_then(|entry| exchanged.keys(self, &entry.secret))
        } else {
            exchanged.signature_keys(self)
        };
        let Some(keys) = keys else {
            self.refuse(cx, Refusal::NoSecret);
            let reason = DownReason::Refused(Refusal::NoSecret);
            cx.effects.push(Effect::Ended(reason));
            return Phase::Moving;
        };
        self.nat.local |= self.force_encapsulation && self.nat.variant != NatVariant::None;
        let natt_port = policy.nat.natt_port;
        if self.nat.detected() {
            self.float(natt_port);
        }
        if method.proof(true) == Proof::Hash {
            let hash = self.phase1_hash(&exchanged, &keys, true, &self.own_id());
            return self.send_proof(cx, exchanged, keys, hash.expose());
        }
        let own = self.own_certificate(cx, &exchanged);
        self.settle_identity(cx, own.as_ref());
        self.start_authentication(cx, &exchanged, &keys, None, own.as_ref());
        Phase::Signing(Box::new(Signing { exchanged, keys }))
    }

    /// Our signature is made.
    pub(super) fn send_mm5_signed(
        &mut self,
        cx: &mut Context<'_>,
        state: Signing,
        result: Authenticated,
    ) -> Phase {
        let Some(Ok(signature)) = result.signature else {
            self.refuse(cx, Refusal::CannotSign);
            let reason = DownReason::Refused(Refusal::CannotSign);
            cx.effects.push(Effect::Ended(reason));
            return Phase::Moving;
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
        if self.announce_initial_contact {
            let notification =
                Notification::isakmp(NotifyType::INITIAL_CONTACT, self.spi(), Vec::new());
            mm5.push(PayloadType::NOTIFICATION, notification.body());
        }
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
        header: &Header,
        body: &[u8],
    ) -> Step {
        let expected = state.exchanged.agreed.method.proof(false);
        let opened = Presented::open(&state.keys, &state.iv, expected, header, body);
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

    /// From here on over the NAT traversal port: RFC 3947 4.
    pub(in crate::ikev1) fn float(&mut self, port: u16) {
        if !self.path.natt_port {
            self.path.natt_port = true;
            self.path.local.set_port(port);
            self.path.peer.set_port(port);
        }
    }

    /// Whether the peer is who it has to be.
    pub(in crate::ikev1) fn expects(&self, identity: &Identification) -> bool {
        let expected = self.expected_identity.as_ref();
        expected.is_none_or(|expected| expected.matches(identity))
    }

    /// The peer's signature is checked.
    pub(super) fn mm6_verified(
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

    /// An unauthenticated notification: worth remembering as the likely cause if nothing better
    /// comes, and no more, since anybody on the way can send it.
    pub(in crate::ikev1) fn unauthenticated_error(
        &mut self,
        cx: &mut Context<'_>,
        kind: NotifyType,
    ) {
        if !self.initiator || !kind.is_error() || self.established().is_some() {
            return;
        }
        self.hint = Some(kind);
        if let Some(retransmit) = &mut self.retransmit {
            retransmit.last_try(&cx.shared.policy.retransmit);
        }
    }
}

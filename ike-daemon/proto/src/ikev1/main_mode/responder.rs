//! The responder's side of Main Mode: MM1 in, MM2 out, MM3 in, MM4 out, MM5 in, MM6 out.

use std::time::Duration;

use ike_crypto::verify;

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{EspTransform, ExchangeType, LifeType, NotifyType, PayloadType, Phase1Attribute};
use crate::ikev1::signature::MAX_CLAIMS;
use crate::ikev1::{MAX_BAD_VALUES, MAX_COMPLAINTS, Session};
use crate::io::{IkeId, Job};
use crate::job::{Authenticated, DhResult};
use crate::nat::{NatState, Path};
use crate::negotiate::{choose_phase1, offers_only_3des};
use crate::policy::{EspSuite, Method, Policy, Proof, SecretPeer};
use crate::vendor;
use crate::vendor::{Capabilities, NatVariant};
use crate::wire::attribute::Attribute;
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::Header;
use crate::wire::notification::Notification;
use crate::wire::sa::SaPayload;

use super::{
    Agreed, Exchanged, HalfExchanged, Judging, NONCE_LEN, NoSecretFits, Phase, Phase1Keys,
    Presented, Step, cookie, identity_for, ignore, lifetime, stay,
};

impl Session {
    /// As responder: MM1 of a new exchange. Nothing is kept when it is refused.
    pub(crate) fn respond(
        cx: &mut Context<'_>,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) -> Result<Self, Refusal> {
        let chain = Chain::parse(header.next_payload, body).map_err(|_| Refusal::Malformed)?;
        let policy = &cx.shared.policy;
        let secret = !policy.secrets_for(path.peer.ip(), None).is_empty();
        let (agreed, answer) = choose(policy, path, &chain, secret)?;
        let phase = Phase::Mm2Sent(agreed);
        let mut session = Self::begin_response(cx, path, header, &chain, phase);

        // Every vendor id answers one of the peer's, so that MM2 is never longer than MM1.
        let mut mm2 = Builder::new();
        mm2.push(PayloadType::SA, answer);
        session.answer_vendor_ids(&chain, &mut mm2);
        session.answered.request(datagram);
        session.send_main_mode(cx, &mm2);
        Ok(session)
    }

    /// The session of an exchange that a peer begins.
    pub(in crate::ikev1) fn begin_response(
        cx: &mut Context<'_>,
        path: Path,
        header: &Header,
        chain: &Chain<'_>,
        phase: Phase,
    ) -> Self {
        let local_identity = identity_for(&cx.shared.policy, None, path);
        let id = IkeId(cx.shared.number());
        let cookies = (header.initiator_cookie, cookie(cx));
        let mut session = Self::new(id, false, cookies, path, local_identity, cx.now, phase);
        session.first_source = Some(path.peer);
        let capabilities = Capabilities::from_vendor_ids(chain.all(PayloadType::VENDOR_ID));
        session.learn(cx, &capabilities);
        // Who knows nothing better than 3DES in phase 1 will want it in phase 2.
        let phase2 = cx.shared.policy.terms(path.peer.ip()).phase2;
        let des = |suite: &EspSuite| suite.cipher == EspTransform::TRIPLE_DES;
        let old = cx.shared.carriers.soft_has_more(phase2, des)
            && chain
                .one(PayloadType::SA)
                .and_then(SaPayload::parse)
                .is_ok_and(|sa| offers_only_3des(&sa));
        session.force_encapsulation = old || cx.shared.wants_encapsulation(cx.now, path.peer.ip());
        session
    }

    /// The vendor ids that answer those of a first message.
    pub(in crate::ikev1) fn answer_vendor_ids(&self, chain: &Chain<'_>, answer: &mut Builder) {
        let capabilities = Capabilities::from_vendor_ids(chain.all(PayloadType::VENDOR_ID));
        let natt = capabilities
            .natt_answer
            .filter(|_| self.nat.variant != NatVariant::None);
        let dpd = self.dpd_supported.then_some(vendor::DPD);
        let fragmentation = capabilities.fragmentation.filter(|_| self.fragments);
        let with_user = self
            .phase
            .agreed()
            .is_some_and(|(_, method)| method.uses_xauth());
        let xauth = (capabilities.xauth && with_user).then_some(vendor::XAUTH);
        let unity = (capabilities.unity && with_user).then_some(vendor::UNITY);
        for id in [natt, dpd, xauth, unity, fragmentation]
            .into_iter()
            .flatten()
        {
            answer.push(PayloadType::VENDOR_ID, id);
        }
    }

    pub(super) fn receive_mm3(
        &mut self,
        cx: &mut Context<'_>,
        agreed: Agreed,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) -> Step {
        if path.peer.ip() != self.path.peer.ip() {
            // MM4 may be longer than MM3. Who has MM2 is where MM1 came from; anywhere else might
            // be somebody who never asked.
            return ignore(Phase::Mm2Sent(agreed));
        }
        let before = self.nat;
        let (peer, ni) = match self.read_ke_nonce(&agreed, path, header, body) {
            Ok(read) => read,
            Err(reason) => return stay(Phase::Mm2Sent(agreed), reason),
        };
        if !cx.shared.job_possible() || self.bad_values >= MAX_BAD_VALUES {
            // The client sends MM3 again.
            return ignore(Phase::Mm2Sent(agreed));
        }
        self.path = path;
        self.answered.request(datagram);
        let private = agreed.suite.group.private_key(cx.rng);
        let value = peer.clone();
        cx.shared.start_job(JobOwner::MainMode(self.id), |id| {
            Job::exchange(id, private, value)
        });
        let nr = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        let half = HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        };
        Ok(Phase::Exchanging(half, before))
    }

    pub(super) fn send_mm4(
        &mut self,
        cx: &mut Context<'_>,
        half: HalfExchanged,
        before: NatState,
        result: DhResult,
    ) -> Phase {
        let HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        } = half;
        let Some(Ok(shared)) = result.shared else {
            self.nat = before;
            self.refuse(cx, Refusal::BadKeyExchange);
            self.bad_values = self.bad_values.saturating_add(1);
            self.answered = crate::retransmit::Answered::default();
            return Phase::Mm2Sent(agreed);
        };
        let gxr = result.pair.public().to_vec();
        let mut mm4 = Builder::new();
        mm4.push(PayloadType::KE, gxr.clone());
        mm4.push(PayloadType::NONCE, nr.clone());
        self.push_requests(cx, agreed.method.proof(true), &mut mm4);
        self.push_nat_d(&agreed, &mut mm4);
        self.nat.local |= self.force_encapsulation && self.nat.variant != NatVariant::None;
        self.send_main_mode(cx, &mm4);
        Phase::Mm4Sent(Box::new(Exchanged {
            agreed,
            ni,
            nr,
            gxi: peer,
            gxr,
            shared,
        }))
    }

    pub(super) fn receive_mm5(
        &mut self,
        cx: &mut Context<'_>,
        exchanged: Box<Exchanged>,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) -> Step {
        if !exchanged.agreed.method.uses_secret() {
            return self.receive_signed_mm5(cx, exchanged, path, header, body, datagram);
        }
        let found = self.find_secret(&cx.shared.policy, &exchanged, header, body);
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
        self.path = path;
        self.answered.request(datagram);
        let hash = self.phase1_hash(&exchanged, &keys, false, &self.own_id());
        let judged = Judging {
            exchanged,
            keys,
            presented,
            path,
        };
        Ok(self.send_mm6(cx, judged, hash.expose()))
    }

    /// MM5 of a peer that shares no secret with us. Whatever it proves, signatures are slow.
    fn receive_signed_mm5(
        &mut self,
        cx: &mut Context<'_>,
        exchanged: Box<Exchanged>,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) -> Step {
        if !cx.shared.job_possible() {
            // The client sends MM5 again.
            return ignore(Phase::Mm4Sent(exchanged));
        }
        let expected = exchanged.agreed.method.proof(true);
        let opened = exchanged.signature_keys(self).and_then(|keys| {
            let presented = Presented::open(&keys, &keys.iv, expected, header, body)?;
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
        self.answered.request(datagram);
        self.start_authentication(cx, &exchanged, &keys, Some(&presented), own.as_ref());
        Ok(Phase::Judging(Box::new(Judging {
            exchanged,
            keys,
            presented,
            path,
        })))
    }

    /// The peer's signature is checked, and ours made.
    pub(super) fn send_mm6_signed(
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
        let lifetime = lifetime(terms.phase1, offered);
        if offered.is_some_and(|offered| offered > lifetime) {
            let notification = Notification::isakmp(
                NotifyType::RESPONDER_LIFETIME,
                self.spi(),
                lifetime_data(lifetime),
            );
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
    pub(super) fn find_secret(
        &self,
        policy: &Policy,
        exchanged: &Exchanged,
        header: &Header,
        body: &[u8],
    ) -> Result<(Phase1Keys, Presented), NoSecretFits> {
        let mut why = NoSecretFits::None;
        for entry in policy.secrets_for(self.path.peer.ip(), None) {
            let Some(keys) = exchanged.keys(self, &entry.secret) else {
                continue;
            };
            let opened = Presented::open(&keys, &keys.iv, Proof::Hash, header, body);
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

    /// Tells the peer in the clear that its MM5 or AM3, of `len` octets, was refused: there is no key
    /// both share. Bounded, and never longer than what it answers: that may come from anywhere.
    pub(super) fn complain(
        &mut self,
        cx: &mut Context<'_>,
        path: Path,
        reason: Refusal,
        len: usize,
    ) {
        let waiting = matches!(self.phase, Phase::Mm4Sent(_) | Phase::Am2Sent(_));
        if self.initiator || !waiting || self.complaints >= MAX_COMPLAINTS {
            return;
        }
        let notification = Notification::isakmp(reason.notify(), self.spi(), Vec::new());
        let header = Header {
            next_payload: PayloadType::NOTIFICATION,
            ..self.header(
                ExchangeType::INFORMATIONAL,
                crate::context::random_message_id(cx.rng),
            )
        };
        let mut chain = Builder::new();
        chain.push(PayloadType::NOTIFICATION, notification.body());
        let answer = header.emit(&chain.emit());
        if answer.len() <= len && cx.shared.may_answer(cx.now) {
            self.complaints = self.complaints.saturating_add(1);
            cx.shared.transmit(&path, answer);
        }
    }
}

/// What we choose of the SA payload of a first message, and the SA payload that says so. `secret`
/// tells whether there is a pre-shared key for the peer.
pub(in crate::ikev1) fn choose(
    policy: &Policy,
    path: Path,
    chain: &Chain<'_>,
    secret: bool,
) -> Result<(Agreed, Vec<u8>), Refusal> {
    let terms = policy.terms(path.peer.ip());
    let can = |method: &Method| terms.authentication.can(*method, false, secret);
    let methods: Vec<Method> = Method::ALL.into_iter().filter(can).collect();
    let sai_b = chain.one(PayloadType::SA).map_err(|_| Refusal::Malformed)?;
    let sa = SaPayload::parse(sai_b).map_err(|_| Refusal::Malformed)?;
    let choice = choose_phase1(&sa, terms.phase1, &methods)?;
    let agreed = Agreed {
        suite: choice.suite,
        method: choice.method,
        lifetime: choice.lifetime,
        sai_b: sai_b.to_vec(),
    };
    Ok((agreed, choice.answer))
}

/// Attributes of a RESPONDER-LIFETIME notification, RFC 2407 4.6.3.1.
fn lifetime_data(lifetime: Duration) -> Vec<u8> {
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    let mut data = Vec::new();
    Attribute::short(Phase1Attribute::LIFE_TYPE.0, LifeType::SECONDS.0).emit(&mut data);
    Attribute::number(Phase1Attribute::LIFE_DURATION.0, seconds).emit(&mut data);
    data
}

//! The responder's side of Main Mode: MM1 in, MM2 out, MM3 in, MM4 out, MM5 in, MM6 out.

use std::time::Duration;

use ike_crypto::{hash_i, hash_r, verify};

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::Refusal;
use crate::iana::{ExchangeType, LifeType, NotifyType, PayloadType, Phase1Attribute};
use crate::ikev1::{MAX_COMPLAINTS, Session};
use crate::io::{DhJob, DhResult, IkeId};
use crate::nat::Path;
use crate::negotiate::choose_phase1;
use crate::policy::{Policy, SecretPeer};
use crate::vendor;
use crate::vendor::{Capabilities, NatVariant};
use crate::wire::attribute::Attribute;
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::Header;
use crate::wire::id::IdPayload;
use crate::wire::notification::Notification;
use crate::wire::sa::SaPayload;

use super::{
    Agreed, Authentication, Exchanged, HalfExchanged, NONCE_LEN, NoSecretFits, Phase, Phase1Keys,
    Step, cookie, identity_for, ignore, lifetime, stay,
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
        if policy.secrets_for(path.peer.ip(), None).is_empty() {
            return Err(Refusal::NoSecret);
        }
        let (agreed, answer) = choose(policy, &chain)?;
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
        for id in [natt, dpd, fragmentation].into_iter().flatten() {
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
        let (peer, ni) = match self.read_ke_nonce(&agreed, path, header, body) {
            Ok(read) => read,
            Err(reason) => return stay(Phase::Mm2Sent(agreed), reason),
        };
        if !cx.shared.job_possible() {
            // The client sends MM3 again.
            return ignore(Phase::Mm2Sent(agreed));
        }
        self.path = path;
        self.answered.request(datagram);
        let private = agreed.suite.group.private_key(cx.rng);
        let value = peer.clone();
        cx.shared.start_job(JobOwner::MainMode(self.id), |id| {
            DhJob::exchange(id, private, value)
        });
        let nr = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        Ok(Phase::Exchanging(HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        }))
    }

    pub(super) fn send_mm4(
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
            self.answered = crate::retransmit::Answered::default();
            return Phase::Mm2Sent(agreed);
        };
        let gxr = result.pair.public().to_vec();
        let mut mm4 = Builder::new();
        mm4.push(PayloadType::KE, gxr.clone());
        mm4.push(PayloadType::NONCE, nr.clone());
        self.push_nat_d(cx, &agreed, &mut mm4);
        self.nat.local |= cx.shared.policy.nat.force && self.nat.variant != NatVariant::None;
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
        let found = self.find_secret(&cx.shared.policy, &exchanged, header, body);
        let (keys, proof) = match found {
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
        let suite = exchanged.agreed.suite;
        let id = IdPayload {
            identity: self.local_identity.clone(),
            protocol: 0,
            port: 0,
        }
        .body();
        let hash = hash_r(
            suite.hash,
            &keys.skeyids.skeyid,
            &exchanged.exchange(self),
            &id,
        );
        let mut mm6 = Builder::new();
        mm6.push(PayloadType::ID, id);
        mm6.push(PayloadType::HASH, hash.expose());
        let offered = exchanged.agreed.lifetime;
        let lifetime = lifetime(&cx.shared.policy, offered);
        if offered.is_some_and(|offered| offered > lifetime) {
            let notification = Notification::isakmp(
                NotifyType::RESPONDER_LIFETIME,
                self.spi(),
                lifetime_data(lifetime),
            );
            mm6.push(PayloadType::NOTIFICATION, notification.body());
        }
        let header = self.header(ExchangeType::MAIN_MODE, 0);
        let Some((message, last_block)) = keys.message.seal(&proof.next_iv, &header, &mm6) else {
            return stay(Phase::Mm4Sent(exchanged), Refusal::Malformed);
        };
        self.send_phase1(cx, message);
        cx.effects.push(Effect::Established {
            initial_contact: proof.initial_contact,
        });
        let established = self.complete(cx, suite, lifetime, keys, last_block, proof.identity);
        Ok(Phase::Established(Box::new(established)))
    }

    /// Tries the secrets that may be this peer's.
    pub(super) fn find_secret(
        &self,
        policy: &Policy,
        exchanged: &Exchanged,
        header: &Header,
        body: &[u8],
    ) -> Result<(Phase1Keys, Authentication), NoSecretFits> {
        let hash = exchanged.agreed.suite.hash;
        let mut why = NoSecretFits::None;
        for entry in policy.secrets_for(self.path.peer.ip(), None) {
            let Some(keys) = exchanged.keys(self, &entry.secret) else {
                continue;
            };
            let Some(proof) = Authentication::open(&keys, &keys.iv, header, body) else {
                if !matches!(why, NoSecretFits::BadHash) {
                    why = NoSecretFits::Garbage;
                }
                continue;
            };
            let expected = hash_i(
                hash,
                &keys.skeyids.skeyid,
                &exchanged.exchange(self),
                &proof.id_body,
            );
            if !verify(expected.expose(), &proof.hash) {
                why = NoSecretFits::BadHash;
                continue;
            }
            if let SecretPeer::Identity(identity) = &entry.peer
                && !identity.matches(&proof.identity)
            {
                continue;
            }
            return Ok((keys, proof));
        }
        Err(why)
    }

    /// Tells the peer in the clear that its MM5 or AM3 was refused: there is no key both share. Bounded,
    /// and never longer than what it answers.
    pub(super) fn complain(&mut self, cx: &mut Context<'_>, path: Path, reason: Refusal) {
        let waiting = matches!(self.phase, Phase::Mm4Sent(_) | Phase::Am2Sent(_));
        let useful = !self.initiator && waiting;
        if !useful || self.complaints >= MAX_COMPLAINTS || !cx.shared.may_answer(cx.now) {
            return;
        }
        self.complaints = self.complaints.saturating_add(1);
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
        cx.shared.transmit(&path, header.emit(&chain.emit()));
    }
}

/// What we choose of the SA payload of a first message, and the SA payload that says so.
pub(in crate::ikev1) fn choose(
    policy: &Policy,
    chain: &Chain<'_>,
) -> Result<(Agreed, Vec<u8>), Refusal> {
    let sai_b = chain.one(PayloadType::SA).map_err(|_| Refusal::Malformed)?;
    let sa = SaPayload::parse(sai_b).map_err(|_| Refusal::Malformed)?;
    let choice = choose_phase1(&sa, &policy.phase1)?;
    let agreed = Agreed {
        suite: choice.suite,
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

//! Main Mode with pre-shared keys: RFC 2409 5.4, with NAT-D payloads (RFC 3947 3).
//!
//! ```text
//!   MM1   HDR, SA, VID*                 -->
//!                                       <--   HDR, SA, VID*                MM2
//!   MM3   HDR, KE, Ni, NAT-D, NAT-D     -->
//!                                       <--   HDR, KE, Nr, NAT-D, NAT-D    MM4
//!   MM5   HDR*, IDii, HASH_I            -->
//!                                       <--   HDR*, IDir, HASH_R           MM6
//! ```
//!
//! A message that is refused leaves the state as it was: nobody has proved anything before MM5, so
//! nobody may destroy anything.

use std::time::{Duration, Instant};

use ike_crypto::{Exchange, Iv, KeyPair, Secret, Skeyids};
use ike_crypto::{cipher_key, hash_i, hash_r, phase1_iv, skeyid_psk, verify};

use crate::context::{Context, Effect, JobOwner, jittered, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, LifeType, NotifyType, PayloadType, Phase1Attribute};
use crate::io::{DhJob, DhResult, IkeId, Reqid};
use crate::nat::{Path, own_nat_d};
use crate::negotiate::{Phase1Suite, accept_phase1, choose_phase1, offer_phase1};
use crate::policy::{Policy, SecretPeer};
use crate::retransmit::Retransmit;
use crate::vendor::{self, Capabilities, NatVariant};
use crate::wire::attribute::Attribute;
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::Header;
use crate::wire::id::{IdPayload, Identification};
use crate::wire::notification::Notification;
use crate::wire::opaque::nonce_fits;
use crate::wire::sa::SaPayload;

use super::dpd::Dpd;
use super::protect::{MessageIds, MessageKey, SaKeys};
use super::{Established, MAX_COMPLAINTS, Session};

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
    /// Responder: MM3 is in, the shared secret is being computed.
    Exchanging(HalfExchanged),
    /// Initiator: MM4 is in, the shared secret is being computed.
    Agreeing(HalfExchanged),
    /// Responder: MM4 is out.
    Mm4Sent(Box<Exchanged>),
    /// Initiator: MM5 is out.
    Mm5Sent(Box<Mm5Sent>),
    /// Phase 1 is complete.
    Established(Box<Established>),
    /// Only while a step runs.
    Moving,
}

#[derive(Debug)]
pub(crate) struct Mm1Sent {
    offer: SaPayload,
}

/// What MM1 and MM2 agree on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) suite: Phase1Suite,
    lifetime: Option<Duration>,
    /// Body of the initiator's SA payload as it was offered.
    sai_b: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Mm3Sent {
    agreed: Agreed,
    pair: KeyPair,
    ni: Vec<u8>,
}

/// One side of the exchange is known, the other is being computed.
#[derive(Debug)]
pub(crate) struct HalfExchanged {
    agreed: Agreed,
    ni: Vec<u8>,
    nr: Vec<u8>,
    /// The peer's public value.
    peer: Vec<u8>,
}

/// Everything HASH_I and HASH_R cover, and the shared secret.
#[derive(Debug)]
pub(crate) struct Exchanged {
    agreed: Agreed,
    ni: Vec<u8>,
    nr: Vec<u8>,
    gxi: Vec<u8>,
    gxr: Vec<u8>,
    shared: Secret,
}

#[derive(Debug)]
pub(crate) struct Mm5Sent {
    exchanged: Exchanged,
    keys: Phase1Keys,
    /// IV of MM6.
    iv: Iv,
}

/// What one pre-shared key makes of the exchange.
#[derive(Clone, Debug)]
struct Phase1Keys {
    skeyids: Skeyids,
    message: MessageKey,
    /// IV of MM5.
    iv: Iv,
}

/// A message that is not accepted: the state stays.
struct Refused {
    phase: Phase,
    reason: Option<Refusal>,
}

type Step = Result<Phase, Box<Refused>>;

fn stay(phase: Phase, reason: Refusal) -> Step {
    Err(Box::new(Refused {
        phase,
        reason: Some(reason),
    }))
}

fn ignore(phase: Phase) -> Step {
    Err(Box::new(Refused {
        phase,
        reason: None,
    }))
}

/// Length of our nonces. TunnelForge takes up to 64.
const NONCE_LEN: usize = 32;

impl Phase {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Phase::Mm1Sent(_) => "MM1-sent",
            Phase::Mm2Sent(_) => "MM2-sent",
            Phase::Generating(_) => "MM2-received",
            Phase::Mm3Sent(_) => "MM3-sent",
            Phase::Exchanging(_) => "MM3-received",
            Phase::Agreeing(_) => "MM4-received",
            Phase::Mm4Sent(_) => "MM4-sent",
            Phase::Mm5Sent(_) => "MM5-sent",
            Phase::Established(_) => "established",
            Phase::Moving => "moving",
        }
    }

    /// The algorithms, once agreed.
    pub(crate) fn suite(&self) -> Option<Phase1Suite> {
        match self {
            Phase::Mm1Sent(_) | Phase::Moving => None,
            Phase::Mm2Sent(agreed) | Phase::Generating(agreed) => Some(agreed.suite),
            Phase::Mm3Sent(state) => Some(state.agreed.suite),
            Phase::Exchanging(half) | Phase::Agreeing(half) => Some(half.agreed.suite),
            Phase::Mm4Sent(exchanged) => Some(exchanged.agreed.suite),
            Phase::Mm5Sent(state) => Some(state.exchanged.agreed.suite),
            Phase::Established(established) => Some(established.suite),
        }
    }
}

impl Exchanged {
    fn exchange<'a>(&'a self, session: &'a Session) -> Exchange<'a> {
        Exchange {
            gxi: &self.gxi,
            gxr: &self.gxr,
            cky_i: &session.cky_i,
            cky_r: &session.cky_r,
            sai_b: &self.agreed.sai_b,
        }
    }

    /// SKEYID and what follows from it, for one pre-shared key.
    fn keys(&self, session: &Session, psk: &Secret) -> Option<Phase1Keys> {
        let Phase1Suite { hash, cipher, .. } = self.agreed.suite;
        let skeyid = skeyid_psk(hash, psk.expose(), &self.ni, &self.nr);
        let skeyids = Skeyids::derive(hash, skeyid, &self.shared, &session.cky_i, &session.cky_r);
        let key = cipher_key(hash, cipher, &skeyids.e);
        let iv = phase1_iv(hash, cipher, &self.gxi, &self.gxr).ok()?;
        Some(Phase1Keys {
            skeyids,
            message: MessageKey { cipher, key },
            iv,
        })
    }
}

/// An ID and a HASH payload, decrypted.
struct Authentication {
    id_body: Vec<u8>,
    identity: Identification,
    hash: Vec<u8>,
    initial_contact: bool,
    next_iv: Iv,
}

impl Authentication {
    /// Decrypts MM5 or MM6. A wrong key makes garbage, which is no chain of payloads.
    fn open(keys: &Phase1Keys, iv: &Iv, header: &Header, body: &[u8]) -> Option<Self> {
        let (plain, next_iv) = keys.message.open(iv, body)?;
        let chain = Chain::parse_padded(header.next_payload, &plain).ok()?;
        let id_body = chain.one(PayloadType::ID).ok()?.to_vec();
        let identity = IdPayload::parse(&id_body).ok()?.identity;
        let hash = chain.one(PayloadType::HASH).ok()?.to_vec();
        let initial_contact = chain
            .all(PayloadType::NOTIFICATION)
            .filter_map(|body| Notification::parse(body).ok())
            .any(|notification| notification.kind == NotifyType::INITIAL_CONTACT);
        Some(Self {
            id_body,
            identity,
            hash,
            initial_contact,
            next_iv,
        })
    }
}

/// Why an MM5 was refused under every secret there is.
enum NoSecretFits {
    None,
    Garbage,
    BadHash,
}

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
        let sai_b = chain.one(PayloadType::SA).map_err(|_| Refusal::Malformed)?;
        let sa = SaPayload::parse(sai_b).map_err(|_| Refusal::Malformed)?;
        let policy = &cx.shared.policy;
        if policy.secrets_for(path.peer.ip(), None).is_empty() {
            return Err(Refusal::NoSecret);
        }
        let choice = choose_phase1(&sa, &policy.phase1)?;
        let capabilities = Capabilities::from_vendor_ids(chain.all(PayloadType::VENDOR_ID));
        let local_identity = identity_for(policy, None, path);
        let agreed = Agreed {
            suite: choice.suite,
            lifetime: choice.lifetime,
            sai_b: sai_b.to_vec(),
        };
        let id = IkeId(cx.shared.number());
        let cky_r = cookie(cx);
        let mut session = Self::new(
            id,
            false,
            (header.initiator_cookie, cky_r),
            path,
            local_identity,
            cx.now,
            Phase::Mm2Sent(agreed),
        );
        session.first_source = Some(path.peer);
        session.learn(cx, &capabilities);

        // Every vendor id answers one of the peer's, so that MM2 is never longer than MM1.
        let mut mm2 = Builder::new();
        mm2.push(PayloadType::SA, choice.answer);
        if let (true, Some(natt)) = (cx.shared.policy.nat.enabled, capabilities.natt_answer) {
            mm2.push(PayloadType::VENDOR_ID, natt);
        }
        if capabilities.dpd {
            mm2.push(PayloadType::VENDOR_ID, vendor::DPD);
        }
        session.answered.request(datagram);
        session.send_main_mode(cx, &mm2);
        Ok(session)
    }

    /// As initiator: sends MM1.
    pub(crate) fn initiate(
        cx: &mut Context<'_>,
        path: Path,
        local_identity: Identification,
    ) -> Self {
        let offer = offer_phase1(&cx.shared.policy.phase1);
        let mut mm1 = Builder::new();
        mm1.push(PayloadType::SA, offer.body());
        if cx.shared.policy.nat.enabled {
            for id in [
                vendor::RFC_3947,
                vendor::NATT_03,
                vendor::NATT_02_N,
                vendor::NATT_02,
            ] {
                mm1.push(PayloadType::VENDOR_ID, id);
            }
        }
        mm1.push(PayloadType::VENDOR_ID, vendor::DPD);
        let id = IkeId(cx.shared.number());
        let cookies = (cookie(cx), [0; 8]);
        let phase = Phase::Mm1Sent(Mm1Sent { offer });
        let mut session = Self::new(id, true, cookies, path, local_identity, cx.now, phase);
        session.send_main_mode(cx, &mm1);
        session
    }

    fn learn(&mut self, cx: &Context<'_>, capabilities: &Capabilities) {
        if cx.shared.policy.nat.enabled {
            self.nat.variant = capabilities.natt;
        }
        self.dpd_supported = capabilities.dpd;
        self.vendor_initial_contact = capabilities.initial_contact;
        self.vendor = capabilities.vendor.map(str::to_owned);
    }

    /// Sends an unencrypted message of Main Mode.
    fn send_main_mode(&mut self, cx: &mut Context<'_>, chain: &Builder) {
        let header = Header {
            next_payload: chain.first(),
            ..self.header(ExchangeType::MAIN_MODE, 0)
        };
        self.send_phase1(cx, header.emit(&chain.emit()));
    }

    fn send_phase1(&mut self, cx: &mut Context<'_>, message: Vec<u8>) {
        cx.shared.transmit(&self.path, message.clone());
        if self.initiator {
            self.retransmit = Some(Retransmit::start(cx.now, &cx.shared.policy.retransmit));
            self.sent = Some(message);
        } else {
            self.answered.answer(&message);
        }
    }

    /// Answers a repetition of the last request with the same octets; says whether it was one.
    pub(crate) fn answer_repeated(&mut self, cx: &mut Context<'_>, datagram: &[u8]) -> bool {
        if !self.answered.is_repeated(datagram) {
            return false;
        }
        let counters = &mut cx.shared.counters;
        counters.duplicates = counters.duplicates.wrapping_add(1);
        if let Some(answer) = self.answered.again() {
            let answer = answer.to_vec();
            cx.shared.transmit(&self.path, answer);
        }
        true
    }

    /// A Main Mode message with our cookies.
    pub(super) fn handle_main_mode(
        &mut self,
        cx: &mut Context<'_>,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) {
        if self.answer_repeated(cx, datagram) {
            return;
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Moving);
        let encrypted = header.encrypted();
        let step = match phase {
            Phase::Mm1Sent(state) if !encrypted => self.receive_mm2(cx, state, header, body),
            Phase::Mm2Sent(state) if !encrypted => {
                self.receive_mm3(cx, state, path, header, body, datagram)
            }
            Phase::Mm3Sent(state) if !encrypted => self.receive_mm4(cx, state, header, body),
            Phase::Mm4Sent(state) if encrypted => {
                self.receive_mm5(cx, state, path, header, body, datagram)
            }
            Phase::Mm5Sent(state) if encrypted => self.receive_mm6(cx, state, header, body),
            other => ignore(other),
        };
        match step {
            Ok(phase) => self.phase = phase,
            Err(refused) => {
                self.phase = refused.phase;
                if let Some(reason) = refused.reason {
                    self.refuse(cx, reason);
                    self.complain(cx, path, reason);
                }
            }
        }
    }

    /// Tells the peer in the clear that its MM5 was refused: there is no key both share. Bounded,
    /// and never longer than what it answers.
    fn complain(&mut self, cx: &mut Context<'_>, path: Path, reason: Refusal) {
        let useful = !self.initiator && matches!(self.phase, Phase::Mm4Sent(_));
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

    fn receive_mm2(
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
        cx.shared.start_job(JobOwner::MainMode(self.id), |id| {
            DhJob::generate(id, private)
        });
        Ok(Phase::Generating(Agreed {
            suite: choice.suite,
            lifetime: choice.lifetime,
            sai_b: state.offer.body(),
        }))
    }

    fn receive_mm3(
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

    fn receive_mm4(
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
            DhJob::agree(id, pair, value)
        });
        Ok(Phase::Agreeing(HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        }))
    }

    /// The payloads of MM3 and MM4, and NAT detection.
    fn read_ke_nonce(
        &mut self,
        agreed: &Agreed,
        path: Path,
        header: &Header,
        body: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let chain = Chain::parse(header.next_payload, body).map_err(|_| Refusal::Malformed)?;
        let ke = chain
            .one(PayloadType::KE)
            .map_err(|_| Refusal::BadKeyExchange)?;
        let nonce = chain
            .one(PayloadType::NONCE)
            .map_err(|_| Refusal::BadNonce)?;
        if ke.len() != agreed.suite.group.public_len() {
            return Err(Refusal::BadKeyExchange);
        }
        if !nonce_fits(nonce) {
            return Err(Refusal::BadNonce);
        }
        if self.nat.variant != NatVariant::None {
            let hash = agreed.suite.hash;
            let payloads = chain.all(self.nat.variant.nat_d());
            self.nat
                .detect(hash, &self.cky_i, &self.cky_r, &path, payloads);
        }
        Ok((ke.to_vec(), nonce.to_vec()))
    }

    /// A computation for phase 1 is done.
    pub(crate) fn handle_job(&mut self, cx: &mut Context<'_>, result: DhResult) {
        let phase = std::mem::replace(&mut self.phase, Phase::Moving);
        self.phase = match phase {
            Phase::Generating(agreed) => self.send_mm3(cx, agreed, result.pair),
            Phase::Exchanging(half) => self.send_mm4(cx, half, result),
            Phase::Agreeing(half) => self.send_mm5(cx, half, result),
            other => other,
        };
    }

    fn push_nat_d(&mut self, cx: &Context<'_>, agreed: &Agreed, chain: &mut Builder) {
        if self.nat.variant == NatVariant::None {
            return;
        }
        let force = cx.shared.policy.nat.force;
        let hash = agreed.suite.hash;
        for body in own_nat_d(hash, &self.cky_i, &self.cky_r, &self.path, force) {
            chain.push(self.nat.variant.nat_d(), body);
        }
    }

    fn send_mm3(&mut self, cx: &mut Context<'_>, agreed: Agreed, pair: KeyPair) -> Phase {
        let ni = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        let mut mm3 = Builder::new();
        mm3.push(PayloadType::KE, pair.public());
        mm3.push(PayloadType::NONCE, ni.clone());
        self.push_nat_d(cx, &agreed, &mut mm3);
        self.send_main_mode(cx, &mm3);
        Phase::Mm3Sent(Mm3Sent { agreed, pair, ni })
    }

    fn send_mm4(&mut self, cx: &mut Context<'_>, half: HalfExchanged, result: DhResult) -> Phase {
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

    fn send_mm5(&mut self, cx: &mut Context<'_>, half: HalfExchanged, result: DhResult) -> Phase {
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
        let keys = policy
            .secrets_for(self.path.peer.ip(), expected)
            .first()
            .and_then(|entry| exchanged.keys(self, &entry.secret));
        let Some(keys) = keys else {
            self.refuse(cx, Refusal::NoSecret);
            let reason = DownReason::Refused(Refusal::NoSecret);
            cx.effects.push(Effect::Ended(reason));
            return Phase::Moving;
        };
        self.nat.local |= policy.nat.force && self.nat.variant != NatVariant::None;
        if self.nat.detected() && !self.path.natt_port {
            // RFC 3947 4: from here on over port 4500.
            let port = policy.nat.natt_port;
            self.path.natt_port = true;
            self.path.local.set_port(port);
            self.path.peer.set_port(port);
        }
        let id = IdPayload {
            identity: self.local_identity.clone(),
            protocol: 0,
            port: 0,
        }
        .body();
        let hash = hash_i(
            exchanged.agreed.suite.hash,
            &keys.skeyids.skeyid,
            &exchanged.exchange(self),
            &id,
        );
        let mut mm5 = Builder::new();
        mm5.push(PayloadType::ID, id);
        mm5.push(PayloadType::HASH, hash.expose());
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

    fn receive_mm5(
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
    fn find_secret(
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

    fn receive_mm6(
        &mut self,
        cx: &mut Context<'_>,
        state: Box<Mm5Sent>,
        header: &Header,
        body: &[u8],
    ) -> Step {
        let Some(proof) = Authentication::open(&state.keys, &state.iv, header, body) else {
            return stay(Phase::Mm5Sent(state), Refusal::WrongSecret);
        };
        let suite = state.exchanged.agreed.suite;
        let expected = hash_r(
            suite.hash,
            &state.keys.skeyids.skeyid,
            &state.exchanged.exchange(self),
            &proof.id_body,
        );
        if !verify(expected.expose(), &proof.hash) {
            return stay(Phase::Mm5Sent(state), Refusal::BadHash);
        }
        if self
            .expected_identity
            .as_ref()
            .is_some_and(|id| !id.matches(&proof.identity))
        {
            cx.effects
                .push(Effect::Ended(DownReason::Refused(Refusal::WrongIdentity)));
            return stay(Phase::Mm5Sent(state), Refusal::WrongIdentity);
        }
        self.retransmit = None;
        self.sent = None;
        let Mm5Sent {
            exchanged, keys, ..
        } = *state;
        let lifetime = lifetime(&cx.shared.policy, exchanged.agreed.lifetime);
        cx.effects.push(Effect::Established {
            initial_contact: false,
        });
        let established = self.complete(cx, suite, lifetime, keys, proof.next_iv, proof.identity);
        Ok(Phase::Established(Box::new(established)))
    }

    fn complete(
        &mut self,
        cx: &mut Context<'_>,
        suite: Phase1Suite,
        lifetime: Duration,
        keys: Phase1Keys,
        last_block: Iv,
        peer_identity: Identification,
    ) -> Established {
        self.refusal = None;
        self.hint = None;
        let now = cx.now;
        let policy = &cx.shared.policy;
        let keepalive = (self.nat.local && self.path.natt_port && !policy.nat.keepalive.is_zero())
            .then(|| now + policy.nat.keepalive);
        let rekey_ourselves = self.initiator || policy.phase2.rekey_as_responder;
        Established {
            keys: SaKeys {
                hash: suite.hash,
                message: keys.message,
                skeyid_d: keys.skeyids.d.clone(),
                skeyid_a: keys.skeyids.a.clone(),
                last_block,
            },
            suite,
            peer_identity,
            since: now,
            rekey: rekey_moment(cx, lifetime, self.initiator).filter(|_| rekey_ourselves),
            expires: now + lifetime,
            client: Reqid(0),
            quick: std::collections::BTreeMap::new(),
            seen: MessageIds::default(),
            dpd: Dpd::new(now, self.dpd_supported, cx.rng.next_u32()),
            keepalive,
            superseded: false,
            retire: None,
        }
    }

    /// An unauthenticated notification: worth remembering as the likely cause if nothing better
    /// comes, and no more, since anybody on the way can send it.
    pub(super) fn unauthenticated_error(&mut self, cx: &mut Context<'_>, kind: NotifyType) {
        if !self.initiator || !kind.is_error() || self.established().is_some() {
            return;
        }
        self.hint = Some(kind);
        if let Some(retransmit) = &mut self.retransmit {
            retransmit.last_try(&cx.shared.policy.retransmit);
        }
    }
}

/// The moment to rekey: the initiator early, the responder only when the initiator is late. Too
/// short a lifetime is left to the peer.
pub(super) fn rekey_moment(
    cx: &mut Context<'_>,
    lifetime: Duration,
    initiator: bool,
) -> Option<Instant> {
    if lifetime < MIN_REKEY_LIFETIME {
        return None;
    }
    let (low, high) = if initiator { (80, 88) } else { (93, 97) };
    Some(jittered(cx.rng, cx.now, lifetime, low, high))
}

/// Lifetimes shorter than this are not worth rekeying.
const MIN_REKEY_LIFETIME: Duration = Duration::from_secs(60);

/// The lifetime in force: what the initiator offered, the default when it offered none, and never
/// more than the policy allows.
fn lifetime(policy: &Policy, offered: Option<Duration>) -> Duration {
    offered
        .unwrap_or(DEFAULT_LIFETIME)
        .min(policy.phase1.lifetime_max)
}

/// RFC 2407 4.5 names 28800 seconds for phase 2; everybody uses it for phase 1 as well.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(28_800);

/// Attributes of a RESPONDER-LIFETIME notification, RFC 2407 4.6.3.1.
fn lifetime_data(lifetime: Duration) -> Vec<u8> {
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    let mut data = Vec::new();
    Attribute::short(Phase1Attribute::LIFE_TYPE.0, LifeType::SECONDS.0).emit(&mut data);
    Attribute::number(Phase1Attribute::LIFE_DURATION.0, seconds).emit(&mut data);
    data
}

/// Who we are to a peer.
pub(crate) fn identity_for(
    policy: &Policy,
    connection: Option<&str>,
    path: Path,
) -> Identification {
    connection
        .and_then(|name| policy.connection(name))
        .and_then(|connection| connection.local_identity.clone())
        .or_else(|| policy.local_identity.clone())
        .unwrap_or_else(|| Identification::from_address(path.local.ip()))
}

/// A cookie: random, never zero.
fn cookie(cx: &mut Context<'_>) -> ike_crypto::Cookie {
    loop {
        let cookie = random_bytes(cx.rng);
        if cookie != [0; 8] {
            return cookie;
        }
    }
}

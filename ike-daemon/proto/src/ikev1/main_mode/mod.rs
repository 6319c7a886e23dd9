//! Main Mode with pre-shared keys: RFC 2409 5.4, with NAT-D payloads (RFC 3947 3). With signatures
//! the last two messages are those of [`super::signature`].
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

mod initiator;
pub(in crate::ikev1) mod responder;

use std::time::{Duration, Instant};

use ike_crypto::{Exchange, Iv, KeyPair, Secret, Skeyids};
use ike_crypto::{cipher_key, phase1_iv, skeyid_psk, skeyid_signatures};

use crate::context::{Context, jittered, random_bytes};
use crate::error::Refusal;
use crate::iana::{ExchangeType, NotifyType, PayloadType};
use crate::io::Reqid;
use crate::job::{DhResult, Outcome};
use crate::nat::{NatState, Path, own_nat_d};
use crate::negotiate::Phase1Suite;
use crate::policy::{Fragmentation, Method, Phase1Policy, Policy, Proof};
use crate::retransmit::Retransmit;
use crate::vendor::{Capabilities, NatVariant};
use crate::wire::cert::CertPayload;
use crate::wire::chain::GENERIC_LEN;
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::{HEADER_LEN, Header};
use crate::wire::id::{IdPayload, Identification};
use crate::wire::notification::Notification;
use crate::wire::opaque::nonce_fits;
use crate::wire::sa::SaPayload;

use super::aggressive_mode::{Am1Received, Am1Sent, Am1Wanted, Am2Received, Am2Sent};
use super::dpd::Dpd;
use super::protect::{MessageIds, MessageKey, SaKeys};
use super::signature::read_certificates;
use super::transaction::Xauth;
use super::{Established, Session};

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

#[derive(Debug)]
pub(crate) struct Mm1Sent {
    offer: SaPayload,
}

/// What MM1 and MM2 agree on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(in crate::ikev1) suite: Phase1Suite,
    pub(in crate::ikev1) method: Method,
    pub(in crate::ikev1) lifetime: Option<Duration>,
    /// Body of the initiator's SA payload as it was offered.
    pub(in crate::ikev1) sai_b: Vec<u8>,
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
    pub(in crate::ikev1) agreed: Agreed,
    pub(in crate::ikev1) ni: Vec<u8>,
    pub(in crate::ikev1) nr: Vec<u8>,
    /// The peer's public value.
    pub(in crate::ikev1) peer: Vec<u8>,
}

/// Everything HASH_I and HASH_R cover, and the shared secret.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(in crate::ikev1) agreed: Agreed,
    pub(in crate::ikev1) ni: Vec<u8>,
    pub(in crate::ikev1) nr: Vec<u8>,
    pub(in crate::ikev1) gxi: Vec<u8>,
    pub(in crate::ikev1) gxr: Vec<u8>,
    pub(in crate::ikev1) shared: Secret,
}

#[derive(Debug)]
pub(crate) struct Mm5Sent {
    exchanged: Exchanged,
    keys: Phase1Keys,
    /// IV of MM6.
    iv: Iv,
}

#[derive(Debug)]
pub(crate) struct Judging {
    exchanged: Box<Exchanged>,
    keys: Phase1Keys,
    presented: Presented,
    path: Path,
}

#[derive(Debug)]
pub(crate) struct Signing {
    exchanged: Exchanged,
    keys: Phase1Keys,
}

#[derive(Debug)]
pub(crate) struct Verifying {
    exchanged: Exchanged,
    keys: Phase1Keys,
    presented: Presented,
}

/// What one pre-shared key, or the exchange alone, makes of the exchange.
#[derive(Clone, Debug)]
pub(crate) struct Phase1Keys {
    pub(in crate::ikev1) skeyids: Skeyids,
    pub(in crate::ikev1) message: MessageKey,
    /// IV of the first encrypted message.
    pub(in crate::ikev1) iv: Iv,
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

/// Length of our nonces. TunnelForge takes up to 64.
pub(in crate::ikev1) const NONCE_LEN: usize = 32;

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

impl Exchanged {
    pub(in crate::ikev1) fn exchange<'a>(&'a self, session: &'a Session) -> Exchange<'a> {
        Exchange {
            gxi: &self.gxi,
            gxr: &self.gxr,
            cky_i: &session.cky_i,
            cky_r: &session.cky_r,
            sai_b: &self.agreed.sai_b,
        }
    }

    /// SKEYID and what follows from it, for one pre-shared key.
    pub(in crate::ikev1) fn keys(&self, session: &Session, psk: &Secret) -> Option<Phase1Keys> {
        let hash = self.agreed.suite.hash;
        let skeyid = skeyid_psk(hash, psk.expose(), &self.ni, &self.nr);
        self.keys_of(session, skeyid)
    }

    /// The same where no secret is shared.
    pub(in crate::ikev1) fn signature_keys(&self, session: &Session) -> Option<Phase1Keys> {
        let hash = self.agreed.suite.hash;
        let skeyid = skeyid_signatures(hash, &self.ni, &self.nr, &self.shared);
        self.keys_of(session, skeyid)
    }

    fn keys_of(&self, session: &Session, skeyid: Secret) -> Option<Phase1Keys> {
        let Phase1Suite { hash, cipher, .. } = self.agreed.suite;
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

/// What a peer proves itself with, decrypted: ID, and HASH or CERT and SIG.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(in crate::ikev1) id_body: Vec<u8>,
    pub(in crate::ikev1) identity: Identification,
    pub(in crate::ikev1) proof: Vec<u8>,
    pub(in crate::ikev1) certificates: Vec<CertPayload>,
    initial_contact: bool,
    next_iv: Iv,
}

impl Presented {
    /// Octets that the message they came in has at least.
    pub(in crate::ikev1) fn shortest_message(&self) -> usize {
        let payloads = self.id_body.len().saturating_add(self.proof.len());
        payloads.saturating_add(HEADER_LEN + 2 * GENERIC_LEN)
    }

    /// Decrypts MM5 or MM6. A wrong key makes garbage, which is no chain of payloads.
    fn open(
        keys: &Phase1Keys,
        iv: &Iv,
        expected: Proof,
        header: &Header,
        body: &[u8],
    ) -> Option<Self> {
        let (plain, next_iv) = keys.message.open(iv, body)?;
        let chain = Chain::parse_padded(header.next_payload, &plain).ok()?;
        let id_body = chain.one(PayloadType::ID).ok()?.to_vec();
        let identity = IdPayload::parse(&id_body).ok()?.identity;
        let proof = match expected {
            Proof::Hash => chain.one(PayloadType::HASH),
            Proof::Signature(_) => chain.one(PayloadType::SIG),
        };
        let proof = proof.ok()?.to_vec();
        let initial_contact = says_initial_contact(&chain);
        Some(Self {
            id_body,
            identity,
            proof,
            certificates: read_certificates(&chain),
            initial_contact,
            next_iv,
        })
    }
}

/// Whether INITIAL-CONTACT is among the notifications.
pub(in crate::ikev1) fn says_initial_contact(chain: &Chain<'_>) -> bool {
    chain
        .all(PayloadType::NOTIFICATION)
        .filter_map(|body| Notification::parse(body).ok())
        .any(|notification| notification.kind == NotifyType::INITIAL_CONTACT)
}

/// The public value and the nonce of a message, of the right sizes.
pub(in crate::ikev1) fn ke_and_nonce(
    agreed: &Agreed,
    chain: &Chain<'_>,
) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
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
    Ok((ke.to_vec(), nonce.to_vec()))
}

/// Why an MM5 was refused under every secret there is.
enum NoSecretFits {
    None,
    Garbage,
    BadHash,
}

impl Session {
    pub(in crate::ikev1) fn learn(&mut self, cx: &Context<'_>, capabilities: &Capabilities) {
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        let is_draft = capabilities.natt == NatVariant::Draft;
        if terms.nat.enabled && (terms.nat.drafts || !is_draft) {
            self.nat.variant = capabilities.natt;
        }
        self.dpd_supported = capabilities.dpd;
        self.fragments =
            capabilities.fragmentation.is_some() && terms.fragmentation != Fragmentation::Off;
        self.vendor_initial_contact = capabilities.initial_contact;
        self.vendor = capabilities.vendor.map(str::to_owned);
    }

    /// Sends an unencrypted message of Main Mode.
    fn send_main_mode(&mut self, cx: &mut Context<'_>, chain: &Builder) {
        self.send_clear(cx, ExchangeType::MAIN_MODE, chain);
    }

    /// Sends an unencrypted message of phase 1.
    pub(in crate::ikev1) fn send_clear(
        &mut self,
        cx: &mut Context<'_>,
        exchange: ExchangeType,
        chain: &Builder,
    ) {
        let message = self.in_clear(exchange, chain);
        self.send_phase1(cx, message);
    }

    /// A message of phase 1 that is not encrypted.
    pub(in crate::ikev1) fn in_clear(&self, exchange: ExchangeType, chain: &Builder) -> Vec<u8> {
        let header = Header {
            next_payload: chain.first(),
            ..self.header(exchange, 0)
        };
        header.emit(&chain.emit())
    }

    fn send_phase1(&mut self, cx: &mut Context<'_>, message: Vec<u8>) {
        cx.shared.send(&self.path, self.fragments, message.clone());
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
        self.answered.repeated(datagram);
        if matches!(self.phase, Phase::Am2Sent(_)) {
            self.answer_within_credit(cx);
        } else {
            self.repeat_answer(cx);
        }
        true
    }

    /// Gives an answer that may be longer than its request to a peer that has not shown yet that it
    /// receives where it says it is: at once or, when it is longer, after a repetition.
    pub(in crate::ikev1) fn answer_within_credit(&mut self, cx: &mut Context<'_>) {
        if let Some(answer) = self.answered.within_credit() {
            let answer = answer.to_vec();
            cx.shared.send(&self.path, self.fragments, answer);
        } else {
            let counters = &mut cx.shared.counters;
            counters.answers_suppressed = counters.answers_suppressed.wrapping_add(1);
        }
    }

    /// Gives the last answer once more, while that is reasonable.
    pub(in crate::ikev1) fn repeat_answer(&mut self, cx: &mut Context<'_>) {
        if let Some(answer) = self.answered.again() {
            let answer = answer.to_vec();
            cx.shared.send(&self.path, self.fragments, answer);
        }
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
        self.conclude(cx, path, step, datagram.len());
    }

    /// The state after a message of `len` octets, whether it was accepted or not.
    pub(in crate::ikev1) fn conclude(
        &mut self,
        cx: &mut Context<'_>,
        path: Path,
        step: Step,
        len: usize,
    ) {
        match step {
            Ok(phase) => self.phase = phase,
            Err(refused) => {
                self.phase = refused.phase;
                if let Some(reason) = refused.reason {
                    self.refuse(cx, reason);
                    self.complain(cx, path, reason, len);
                }
            }
        }
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
        let read = ke_and_nonce(agreed, &chain)?;
        self.detect_nat(agreed, path, &chain);
        Ok(read)
    }

    /// NAT detection by the payloads of a message that came over `path`.
    pub(in crate::ikev1) fn detect_nat(&mut self, agreed: &Agreed, path: Path, chain: &Chain<'_>) {
        if self.nat.variant != NatVariant::None {
            let hash = agreed.suite.hash;
            let payloads = chain.all(self.nat.variant.nat_d());
            self.nat
                .detect(hash, &self.cky_i, &self.cky_r, &path, payloads);
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

    pub(in crate::ikev1) fn push_nat_d(&mut self, agreed: &Agreed, chain: &mut Builder) {
        if self.nat.variant == NatVariant::None {
            return;
        }
        let force = self.force_encapsulation;
        let hash = agreed.suite.hash;
        for body in own_nat_d(hash, &self.cky_i, &self.cky_r, &self.path, force) {
            chain.push(self.nat.variant.nat_d(), body);
        }
    }

    pub(in crate::ikev1) fn complete(
        &mut self,
        cx: &mut Context<'_>,
        agreed: &Agreed,
        keys: Phase1Keys,
        last_block: Iv,
        peer_identity: Identification,
    ) -> Established {
        self.refusal = None;
        self.hint = None;
        let now = cx.now;
        let policy = &cx.shared.policy;
        let terms = policy.terms(self.path.peer.ip());
        let (suite, method) = (agreed.suite, agreed.method);
        let lifetime = lifetime(terms.phase1, agreed.lifetime);
        let keepalive = (self.nat.local && self.path.natt_port && !terms.nat.keepalive.is_zero())
            .then(|| now + terms.nat.keepalive);
        // A client with a password would be asked for it again: that is for it to begin.
        let rekey_ourselves =
            self.initiator || terms.phase2.rekey_as_responder && !method.uses_xauth();
        Established {
            keys: SaKeys {
                hash: suite.hash,
                message: keys.message,
                skeyid_d: keys.skeyids.d.clone(),
                skeyid_a: keys.skeyids.a.clone(),
                last_block,
            },
            suite,
            method,
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
            xauth: match method.uses_xauth() {
                true => Xauth::pending(now),
                false => Xauth::None,
            },
            initial_contact: false,
            transactions: std::collections::BTreeMap::new(),
            address: None,
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
pub(in crate::ikev1) fn lifetime(policy: &Phase1Policy, offered: Option<Duration>) -> Duration {
    offered.unwrap_or(DEFAULT_LIFETIME).min(policy.lifetime_max)
}

/// RFC 2407 4.5 names 28800 seconds for phase 2; everybody uses it for phase 1 as well.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(28_800);

/// Who we are to a peer.
pub(crate) fn identity_for(
    policy: &Policy,
    connection: Option<&str>,
    path: Path,
) -> Identification {
    explicit_identity(policy, connection, path)
        .unwrap_or_else(|| Identification::from_address(path.local.ip()))
}

/// Who the policy says we are to a peer.
pub(in crate::ikev1) fn explicit_identity(
    policy: &Policy,
    connection: Option<&str>,
    path: Path,
) -> Option<Identification> {
    connection
        .and_then(|name| policy.connection(name))
        .and_then(|connection| connection.local_identity.clone())
        .or_else(|| policy.terms(path.peer.ip()).local_identity.cloned())
}

/// A cookie: random, never zero.
pub(in crate::ikev1) fn cookie(cx: &mut Context<'_>) -> ike_crypto::Cookie {
    loop {
        let cookie = random_bytes(cx.rng);
        if cookie != [0; 8] {
            return cookie;
        }
    }
}

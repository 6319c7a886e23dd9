//! Quick Mode: RFC 2409 5.5, with NAT-OA payloads (RFC 3947 5.2).
//!
//! ```text
//!   QM1   HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr]   -->
//!                <--   HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr]   QM2
//!   QM3   HDR*, HASH(3)                                                      -->
//! ```
//!
//! The inbound SA is in the kernel before the message that lets the peer use it leaves; the
//! outbound SA follows when the peer has proved that it is alive.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ike_crypto::{Group, Iv, KeyPair, KeymatInput, Secret};
use ike_crypto::{hash_1, hash_2, hash_3, keymat, verify};
use zeroize::Zeroizing;

use crate::context::{Context, Effect, JobOwner, random_bytes, random_message_id};
use crate::error::{DownReason, Refusal};
use crate::iana::{
    EspTransform, ExchangeType, LifeType, NotifyType, PayloadType, Phase2Attribute, ProtocolId,
};
use crate::io::{
    ChildId, DhJob, DhResult, Direction, GetSpi, KernelRequest, Mode, SaDelete, SaInstall,
    UdpEncapsulation,
};
use crate::nat::Path;
use crate::negotiate::{
    Phase2Choice, Phase2Context, accept_phase2, choose_phase2, encapsulation_mode, offer_phase2,
};
use crate::retransmit::{Answered, Due, Retransmit};
use crate::vendor::NatVariant;
use crate::wire::attribute::Attribute;
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::Header;
use crate::wire::nat_oa;
use crate::wire::notification::Notification;
use crate::wire::opaque::nonce_fits;
use crate::wire::sa::SaPayload;

use super::Session;
use super::child::{Child, ChildStage, kernel_lifetime};
use super::main_mode::rekey_moment;
use super::traffic::{Traffic, admit, read_ids, read_nat_oa};

/// A Quick Mode to start.
#[derive(Clone, Debug)]
pub(crate) struct QuickWish {
    pub(crate) mode: Mode,
    pub(crate) traffic: Traffic,
    pub(crate) pfs: Option<Group>,
    pub(crate) replaces: Option<ChildId>,
}

/// One Quick Mode exchange.
#[derive(Debug)]
pub(crate) struct QuickMode {
    pub(crate) child: ChildId,
    message_id: u32,
    initiator: bool,
    /// IV of the next message in either direction.
    iv: Iv,
    answered: Answered,
    sent: Option<Vec<u8>>,
    retransmit: Option<Retransmit>,
    deadline: Instant,
    replaces: Option<ChildId>,
    mode: Mode,
    traffic: Traffic,
    ni: Vec<u8>,
    nr: Vec<u8>,
    stage: Stage,
}

/// Where a Quick Mode stands.
#[derive(Debug)]
enum Stage {
    /// Responder: QM1 is in, the kernel reserves an SPI.
    Qm1Received {
        choice: Phase2Choice,
        ke: Option<Vec<u8>>,
    },
    /// Responder: the SPI is there, PFS is being computed.
    Computing { choice: Phase2Choice, spi: u32 },
    /// Responder: QM2 is out; the outbound SA waits for QM3.
    Qm2Sent { outbound: Box<SaInstall> },
    /// Initiator: the kernel reserves an SPI.
    Starting { pfs: Option<Group> },
    /// Initiator: our public value for PFS is being computed.
    Generating { spi: u32 },
    /// Initiator: QM1 is out.
    Qm1Sent {
        spi: u32,
        offer: SaPayload,
        pair: Option<KeyPair>,
    },
    /// Initiator: QM2 is in, PFS is being computed.
    Agreeing {
        spi: u32,
        choice: Phase2Choice,
        lifetime: Option<Duration>,
    },
    /// All messages are exchanged; kept to answer repeated ones.
    Done,
    /// Only while a step runs.
    Moving,
}

/// How long the kernel, or a computation, may take.
const LOCAL_PATIENCE: Duration = Duration::from_secs(30);

/// How long repeated messages of a finished exchange are answered.
const LINGER: Duration = Duration::from_secs(60);

/// Length of our nonces.
const NONCE_LEN: usize = 32;

impl QuickMode {
    pub(super) fn due(&self) -> Instant {
        self.retransmit
            .as_ref()
            .map_or(self.deadline, |r| r.due().min(self.deadline))
    }

    /// Whether it still uses resources of the kernel or hopes for the peer.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Done)
    }

    /// The SPI the kernel has reserved and no `Child` owns yet.
    fn reserved_spi(&self) -> Option<u32> {
        match &self.stage {
            Stage::Computing { spi, .. }
            | Stage::Generating { spi, .. }
            | Stage::Qm1Sent { spi, .. }
            | Stage::Agreeing { spi, .. } => Some(*spi),
            _ => None,
        }
    }

    fn failed(&self, reason: DownReason) -> Effect {
        Effect::ChildFailed {
            child: self.child,
            replaces: self.replaces,
            reason,
        }
    }

    fn done(&mut self, now: Instant) {
        self.stage = Stage::Done;
        self.retransmit = None;
        self.deadline = now + LINGER;
    }
}

impl Session {
    /// How many Quick Modes are not finished.
    pub(crate) fn open_quick_modes(&self) -> usize {
        self.established().map_or(0, |established| {
            established.quick.values().filter(|q| q.is_open()).count()
        })
    }

    fn phase2_context(&self, ke_len: Option<usize>) -> Phase2Context {
        Phase2Context {
            natt: self.nat.variant,
            nat_detected: self.nat.detected(),
            ke_len,
        }
    }

    /// A Quick Mode message with our cookies.
    pub(super) fn handle_quick_mode(
        &mut self,
        cx: &mut Context<'_>,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) {
        let own_path = self.path;
        let Some(established) = self.established_mut() else {
            self.refuse_silently(cx);
            return;
        };
        if !header.encrypted() {
            self.refuse_silently(cx);
            return;
        }
        let Some(quick) = established.quick.get_mut(&header.message_id) else {
            if established.seen.contains(header.message_id) {
                let counters = &mut cx.shared.counters;
                counters.duplicates = counters.duplicates.wrapping_add(1);
                return;
            }
            self.receive_qm1(cx, path, header, body, datagram);
            return;
        };
        if quick.answered.is_repeated(datagram) {
            let counters = &mut cx.shared.counters;
            counters.duplicates = counters.duplicates.wrapping_add(1);
            if let Some(answer) = quick.answered.again() {
                let answer = answer.to_vec();
                cx.shared.transmit(&own_path, answer);
            }
            return;
        }
        let Some(mut quick) = established.quick.remove(&header.message_id) else {
            return;
        };
        let step = match quick.stage {
            Stage::Qm2Sent { .. } => self.receive_qm3(cx, &mut quick, path, header, body),
            Stage::Qm1Sent { .. } => self.receive_qm2(cx, &mut quick, path, header, body, datagram),
            _ => Ok(()),
        };
        self.put_back(header.message_id, quick);
        if let Err(reason) = step {
            self.refuse(cx, reason);
        }
    }

    fn put_back(&mut self, message_id: u32, quick: QuickMode) {
        if let Some(established) = self.established_mut() {
            established.quick.insert(message_id, quick);
        }
    }

    fn refuse_silently(&mut self, cx: &mut Context<'_>) {
        let counters = &mut cx.shared.counters;
        counters.bad_messages = counters.bad_messages.wrapping_add(1);
        cx.shared
            .refuse(cx.now, self.path.peer, Refusal::OutOfPlace);
    }

    fn receive_qm1(
        &mut self,
        cx: &mut Context<'_>,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) {
        let open = self.open_quick_modes();
        let Some(established) = self.established_mut() else {
            return;
        };
        let keys = &established.keys;
        let message_id = header.message_id;
        let opened = keys
            .iv(message_id)
            .and_then(|iv| keys.message.open(&iv, body));
        let Some((plain, iv)) = opened else {
            self.refuse(cx, Refusal::BadHash);
            return;
        };
        let chain = Chain::parse_padded(header.next_payload, &plain)
            .ok()
            .filter(|chain| {
                chain.payloads().first().is_some_and(|first| {
                    let expected =
                        hash_1(keys.hash, &keys.skeyid_a, message_id, chain.after_first());
                    first.kind == PayloadType::HASH && verify(expected.expose(), first.body)
                })
            });
        let Some(chain) = chain else {
            self.refuse(cx, Refusal::BadHash);
            return;
        };
        // Authentic and fresh from here on.
        established.seen.insert(message_id);
        self.alive(cx, path);
        if open >= cx.shared.policy.limits.quick_modes {
            self.refuse_quick_mode(cx, Refusal::TooManyChildren, message_id, &[]);
            return;
        }
        match self.admit_qm1(cx, path, &chain) {
            Ok((choice, ke, ni, traffic, mode)) => {
                let child = ChildId(cx.shared.number());
                let mut answered = Answered::default();
                answered.request(datagram);
                let quick = QuickMode {
                    child,
                    message_id,
                    initiator: false,
                    iv,
                    answered,
                    sent: None,
                    retransmit: None,
                    deadline: cx.now + LOCAL_PATIENCE,
                    replaces: None,
                    mode,
                    traffic,
                    ni,
                    nr: random_bytes::<NONCE_LEN>(cx.rng).to_vec(),
                    stage: Stage::Qm1Received { choice, ke },
                };
                self.ask_spi(cx, &quick, path);
                self.put_back(message_id, quick);
            }
            Err((reason, spi)) => self.refuse_quick_mode(cx, reason, message_id, &spi),
        }
    }

    /// Everything QM1 says, checked; or why not and the SPI it was about.
    #[allow(clippy::type_complexity)]
    fn admit_qm1(
        &self,
        cx: &Context<'_>,
        path: Path,
        chain: &Chain<'_>,
    ) -> Result<(Phase2Choice, Option<Vec<u8>>, Vec<u8>, Traffic, Mode), (Refusal, Vec<u8>)> {
        let malformed = |_| (Refusal::Malformed, Vec::new());
        let policy = &cx.shared.policy;
        let sa = chain
            .one(PayloadType::SA)
            .and_then(SaPayload::parse)
            .map_err(malformed)?;
        let ni = chain.one(PayloadType::NONCE).map_err(malformed)?;
        let ke = chain.at_most_one(PayloadType::KE).map_err(malformed)?;
        let spi = sa
            .proposals
            .first()
            .map(|proposal| proposal.spi.clone())
            .unwrap_or_default();
        if !nonce_fits(ni) {
            return Err((Refusal::BadNonce, spi));
        }
        let context = self.phase2_context(ke.map(<[u8]>::len));
        let choice =
            choose_phase2(&sa, &policy.phase2, &context).map_err(|reason| (reason, spi.clone()))?;
        let mode = match choice.mode.is_transport() {
            Some(true) => Mode::Transport,
            _ => Mode::Tunnel,
        };
        let spi = choice.spi.to_be_bytes().to_vec();
        let ids = read_ids(chain).map_err(|reason| (reason, spi.clone()))?;
        let original = read_nat_oa(chain, &self.nat);
        let had_ids = ids.is_some();
        let path = Path {
            local: self.path.local,
            ..path
        };
        let mut traffic =
            admit(policy, &path, &self.nat, mode, ids, original).map_err(|reason| (reason, spi))?;
        if !had_ids {
            traffic.ids = None;
        }
        let ke = choice.pfs.and(ke).map(<[u8]>::to_vec);
        Ok((choice, ke, ni.to_vec(), traffic, mode))
    }

    /// Refuses a Quick Mode with an authenticated notification.
    fn refuse_quick_mode(
        &mut self,
        cx: &mut Context<'_>,
        reason: Refusal,
        message_id: u32,
        spi: &[u8],
    ) {
        let counters = &mut cx.shared.counters;
        counters.phase2_failed = counters.phase2_failed.wrapping_add(1);
        cx.shared.refuse(cx.now, self.path.peer, reason);
        let notification = Notification {
            doi: crate::iana::DOI_IPSEC,
            protocol: ProtocolId::ESP,
            kind: reason.notify(),
            spi: spi.to_vec(),
            // The peer has no other way to tell which of its exchanges this is about when it
            // sent no SPI we could read.
            data: message_id.to_be_bytes().to_vec(),
        };
        let mut chain = Builder::new();
        chain.push(PayloadType::NOTIFICATION, notification.body());
        self.send_informational(cx, chain);
    }

    fn ask_spi(&mut self, cx: &mut Context<'_>, quick: &QuickMode, path: Path) {
        let reqid = self.established().map_or(crate::io::Reqid(0), |e| e.client);
        cx.shared
            .pending
            .insert(quick.child, (self.id, quick.message_id));
        cx.shared.kernel(KernelRequest::GetSpi(GetSpi {
            child: quick.child,
            source: path.peer.ip(),
            destination: self.path.local.ip(),
            mode: quick.mode,
            reqid,
        }));
    }

    /// As initiator: starts a Quick Mode. The SPI comes first.
    pub(crate) fn start_quick_mode(&mut self, cx: &mut Context<'_>, wish: QuickWish) {
        let Some(established) = self.established_mut() else {
            self.wishes.push(wish);
            return;
        };
        let message_id = loop {
            let id = random_message_id(cx.rng);
            if !established.seen.contains(id) && !established.quick.contains_key(&id) {
                break id;
            }
        };
        let Some(iv) = established.keys.iv(message_id) else {
            return;
        };
        established.seen.insert(message_id);
        let quick = QuickMode {
            child: ChildId(cx.shared.number()),
            message_id,
            initiator: true,
            iv,
            answered: Answered::default(),
            sent: None,
            retransmit: None,
            deadline: cx.now + LOCAL_PATIENCE,
            replaces: wish.replaces,
            mode: wish.mode,
            traffic: wish.traffic,
            ni: random_bytes::<NONCE_LEN>(cx.rng).to_vec(),
            nr: Vec::new(),
            stage: Stage::Starting { pfs: wish.pfs },
        };
        let path = self.path;
        self.ask_spi(cx, &quick, path);
        self.put_back(message_id, quick);
    }

    /// The kernel has reserved an SPI.
    pub(crate) fn spi_reserved(&mut self, cx: &mut Context<'_>, message_id: u32, spi: u32) {
        let Some(mut quick) = self
            .established_mut()
            .and_then(|established| established.quick.remove(&message_id))
        else {
            return;
        };
        let owner = JobOwner::QuickMode(self.id, message_id);
        match std::mem::replace(&mut quick.stage, Stage::Moving) {
            Stage::Qm1Received { choice, ke: None } => {
                self.send_qm2(cx, &mut quick, choice, spi, None);
            }
            Stage::Qm1Received {
                choice,
                ke: Some(ke),
            } => {
                let group = choice.pfs.unwrap_or(Group::Modp2048);
                let private = group.private_key(cx.rng);
                cx.shared
                    .start_job(owner, |id| DhJob::exchange(id, private, ke));
                quick.stage = Stage::Computing { choice, spi };
            }
            Stage::Starting { pfs: None } => self.send_qm1(cx, &mut quick, spi, None),
            Stage::Starting { pfs: Some(group) } => {
                let private = group.private_key(cx.rng);
                cx.shared
                    .start_job(owner, |id| DhJob::generate(id, private));
                quick.stage = Stage::Generating { spi };
            }
            other => quick.stage = other,
        }
        self.put_back(message_id, quick);
    }

    /// A computation for PFS is done.
    pub(crate) fn quick_mode_job(
        &mut self,
        cx: &mut Context<'_>,
        message_id: u32,
        result: DhResult,
    ) {
        let Some(mut quick) = self
            .established_mut()
            .and_then(|established| established.quick.remove(&message_id))
        else {
            return;
        };
        match std::mem::replace(&mut quick.stage, Stage::Moving) {
            Stage::Computing { choice, spi } => match result.shared {
                Some(Ok(shared)) => {
                    let pfs = Some((result.pair.public().to_vec(), shared));
                    self.send_qm2(cx, &mut quick, choice, spi, pfs);
                }
                _ => self.fail_computing(cx, &mut quick, spi),
            },
            Stage::Generating { spi } => {
                self.send_qm1(cx, &mut quick, spi, Some(result.pair));
            }
            Stage::Agreeing {
                spi,
                choice,
                lifetime,
            } => match result.shared {
                Some(Ok(shared)) => {
                    self.send_qm3(cx, &mut quick, choice, spi, Some(&shared), lifetime);
                }
                _ => self.fail_computing(cx, &mut quick, spi),
            },
            other => quick.stage = other,
        }
        self.put_back(message_id, quick);
    }

    fn fail_computing(&mut self, cx: &mut Context<'_>, quick: &mut QuickMode, spi: u32) {
        let reason = Refusal::BadKeyExchange;
        self.refuse_quick_mode(cx, reason, quick.message_id, &[]);
        self.release_spi(cx, quick, spi);
        quick.done(cx.now);
        cx.effects.push(quick.failed(DownReason::Refused(reason)));
    }

    fn release_spi(&self, cx: &mut Context<'_>, quick: &QuickMode, spi: u32) {
        cx.shared.pending.remove(&quick.child);
        cx.shared.kernel(KernelRequest::Delete(SaDelete {
            child: quick.child,
            direction: Direction::Inbound,
            spi,
            source: self.path.peer.ip(),
            destination: self.path.local.ip(),
        }));
    }

    /// ID and NAT-OA payloads, the same in QM1 and QM2 but for who is the initiator.
    fn push_traffic(&self, quick: &QuickMode, udp: bool, chain: &mut Builder) {
        if let Some((own, peer)) = &quick.traffic.ids {
            let (idci, idcr) = if quick.initiator {
                (own, peer)
            } else {
                (peer, own)
            };
            chain.push(PayloadType::ID, idci.body());
            chain.push(PayloadType::ID, idcr.body());
        }
        if udp && quick.mode == Mode::Transport && self.nat.variant != NatVariant::None {
            let (local, peer) = (self.path.local.ip(), self.path.peer.ip());
            let (i, r) = if quick.initiator {
                (local, peer)
            } else {
                (peer, local)
            };
            chain.push(self.nat.variant.nat_oa(), nat_oa::body(i));
            chain.push(self.nat.variant.nat_oa(), nat_oa::body(r));
        }
    }

    /// Encrypts and sends a message of a Quick Mode behind its HASH payload.
    fn send_quick_mode(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        hash: &[u8],
        mut chain: Builder,
    ) {
        chain.push_front(PayloadType::HASH, hash);
        let header = self.header(ExchangeType::QUICK_MODE, quick.message_id);
        let path = self.path;
        let Some(established) = self.established() else {
            return;
        };
        let Some((message, iv)) = established.keys.message.seal(&quick.iv, &header, &chain) else {
            return;
        };
        quick.iv = iv;
        cx.shared.transmit(&path, message.clone());
        quick.answered.answer(&message);
        quick.sent = Some(message);
    }

    fn send_qm1(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        spi: u32,
        pair: Option<KeyPair>,
    ) {
        let encapsulation = encapsulation_mode(quick.mode, self.nat.variant, self.nat.detected());
        let group = pair.as_ref().map(KeyPair::group);
        let offer = offer_phase2(&cx.shared.policy.phase2, encapsulation, group, spi);
        let mut chain = Builder::new();
        chain.push(PayloadType::SA, offer.body());
        chain.push(PayloadType::NONCE, quick.ni.clone());
        if let Some(pair) = &pair {
            chain.push(PayloadType::KE, pair.public());
        }
        self.push_traffic(quick, encapsulation.is_udp(), &mut chain);
        let Some(established) = self.established() else {
            return;
        };
        let keys = &established.keys;
        let hash = hash_1(keys.hash, &keys.skeyid_a, quick.message_id, &chain.emit());
        self.send_quick_mode(cx, quick, hash.expose(), chain);
        quick.retransmit = Some(Retransmit::start(cx.now, &cx.shared.policy.retransmit));
        quick.deadline = cx.now + EXCHANGE_PATIENCE;
        quick.stage = Stage::Qm1Sent { spi, offer, pair };
    }

    fn send_qm2(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        choice: Phase2Choice,
        spi: u32,
        pfs: Option<(Vec<u8>, Secret)>,
    ) {
        let mut proposal = choice.proposal.clone();
        proposal.spi = spi.to_be_bytes().to_vec();
        let mut chain = Builder::new();
        chain.push(
            PayloadType::SA,
            SaPayload {
                proposals: vec![proposal],
            }
            .body(),
        );
        chain.push(PayloadType::NONCE, quick.nr.clone());
        if let Some((public, _)) = &pfs {
            chain.push(PayloadType::KE, public.clone());
        }
        self.push_traffic(quick, choice.mode.is_udp(), &mut chain);
        let lifetime = phase2_lifetime(cx, choice.lifetime);
        if choice.lifetime.is_some_and(|offered| offered > lifetime) {
            let notification = Notification {
                doi: crate::iana::DOI_IPSEC,
                protocol: ProtocolId::ESP,
                kind: NotifyType::RESPONDER_LIFETIME,
                spi: spi.to_be_bytes().to_vec(),
                data: lifetime_data(lifetime),
            };
            chain.push(PayloadType::NOTIFICATION, notification.body());
        }
        let shared = pfs.as_ref().map(|(_, shared)| shared);
        let Some((child, inbound, outbound)) =
            self.make_child(cx, quick, &choice, spi, shared, lifetime)
        else {
            return;
        };
        let Some(established) = self.established() else {
            return;
        };
        let keys = &established.keys;
        let rest = chain.emit();
        let hash = hash_2(
            keys.hash,
            &keys.skeyid_a,
            quick.message_id,
            &quick.ni,
            &rest,
        );
        // The inbound SA first: the peer may use it as soon as it has QM2.
        cx.shared.kernel(KernelRequest::Install(Box::new(inbound)));
        cx.effects.push(Effect::ChildAgreed(Box::new(child)));
        self.send_quick_mode(cx, quick, hash.expose(), chain);
        quick.retransmit = Some(Retransmit::start(cx.now, &cx.shared.policy.retransmit));
        quick.deadline = cx.now + EXCHANGE_PATIENCE;
        quick.stage = Stage::Qm2Sent {
            outbound: Box::new(outbound),
        };
    }

    /// Decrypts a message of a Quick Mode under way, and checks that it begins with a HASH.
    fn open_quick_mode(
        &self,
        quick: &QuickMode,
        header: &Header,
        body: &[u8],
    ) -> Option<(Vec<u8>, Iv)> {
        let keys = &self.established()?.keys;
        let (plain, iv) = keys.message.open(&quick.iv, body)?;
        (header.next_payload == PayloadType::HASH).then_some((plain, iv))
    }

    fn receive_qm2(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) -> Result<(), Refusal> {
        let (plain, iv) = self
            .open_quick_mode(quick, header, body)
            .ok_or(Refusal::BadHash)?;
        let chain =
            Chain::parse_padded(header.next_payload, &plain).map_err(|_| Refusal::BadHash)?;
        let hash = chain
            .payloads()
            .first()
            .map(|first| first.body)
            .unwrap_or_default();
        let Some(established) = self.established() else {
            return Ok(());
        };
        let keys = &established.keys;
        let rest = chain.after_first();
        let expected = hash_2(keys.hash, &keys.skeyid_a, quick.message_id, &quick.ni, rest);
        if !verify(expected.expose(), hash) {
            return Err(Refusal::BadHash);
        }
        // Authentic: from here on a refusal is final.
        self.alive(cx, path);
        quick.iv = iv;
        quick.retransmit = None;
        quick.answered.request(datagram);
        let Stage::Qm1Sent { spi, offer, pair } =
            std::mem::replace(&mut quick.stage, Stage::Moving)
        else {
            return Ok(());
        };
        match Self::read_qm2(&chain, &offer, pair.as_ref()) {
            Ok((choice, nr, ke)) => {
                quick.nr = nr;
                let (i, r) = read_nat_oa(&chain, &self.nat);
                quick.traffic.local_original = i.filter(|_| self.nat.local);
                quick.traffic.peer_original = r.filter(|_| self.nat.peer);
                let lifetime = responder_lifetime(&chain);
                match (pair, ke) {
                    (Some(pair), Some(ke)) => {
                        let owner = JobOwner::QuickMode(self.id, quick.message_id);
                        cx.shared.start_job(owner, |id| DhJob::agree(id, pair, ke));
                        quick.deadline = cx.now + LOCAL_PATIENCE;
                        quick.stage = Stage::Agreeing {
                            spi,
                            choice,
                            lifetime,
                        };
                    }
                    _ => self.send_qm3(cx, quick, choice, spi, None, lifetime),
                }
                Ok(())
            }
            Err(reason) => {
                self.refuse_quick_mode(cx, reason, quick.message_id, &spi.to_be_bytes());
                self.release_spi(cx, quick, spi);
                quick.done(cx.now);
                cx.effects.push(quick.failed(DownReason::Refused(reason)));
                Ok(())
            }
        }
    }

    #[allow(clippy::type_complexity)]
    fn read_qm2(
        chain: &Chain<'_>,
        offer: &SaPayload,
        pair: Option<&KeyPair>,
    ) -> Result<(Phase2Choice, Vec<u8>, Option<Vec<u8>>), Refusal> {
        let answer = chain
            .one(PayloadType::SA)
            .and_then(SaPayload::parse)
            .map_err(|_| Refusal::Malformed)?;
        let choice = accept_phase2(&answer, offer)?;
        let nr = chain
            .one(PayloadType::NONCE)
            .map_err(|_| Refusal::BadNonce)?;
        if !nonce_fits(nr) {
            return Err(Refusal::BadNonce);
        }
        let ke = chain
            .at_most_one(PayloadType::KE)
            .map_err(|_| Refusal::BadKeyExchange)?;
        let fits = match (pair, ke) {
            (Some(pair), Some(ke)) => ke.len() == pair.group().public_len(),
            (None, None) => true,
            _ => false,
        };
        if !fits {
            return Err(Refusal::BadKeyExchange);
        }
        Ok((choice, nr.to_vec(), ke.map(<[u8]>::to_vec)))
    }

    fn send_qm3(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        choice: Phase2Choice,
        spi: u32,
        shared: Option<&Secret>,
        responder_lifetime: Option<Duration>,
    ) {
        let offered = choice.lifetime.unwrap_or(DEFAULT_LIFETIME);
        let lifetime = responder_lifetime.map_or(offered, |theirs| theirs.min(offered));
        let Some((child, inbound, outbound)) =
            self.make_child(cx, quick, &choice, spi, shared, lifetime)
        else {
            return;
        };
        let Some(established) = self.established() else {
            return;
        };
        let keys = &established.keys;
        let hash = hash_3(
            keys.hash,
            &keys.skeyid_a,
            quick.message_id,
            &quick.ni,
            &quick.nr,
        );
        let id = child.id;
        cx.shared.kernel(KernelRequest::Install(Box::new(inbound)));
        cx.shared.kernel(KernelRequest::Install(Box::new(outbound)));
        cx.effects.push(Effect::ChildAgreed(Box::new(child)));
        cx.effects.push(Effect::ChildComplete(id));
        self.send_quick_mode(cx, quick, hash.expose(), Builder::new());
        quick.done(cx.now);
    }

    fn receive_qm3(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        path: Path,
        header: &Header,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let (plain, _) = self
            .open_quick_mode(quick, header, body)
            .ok_or(Refusal::BadHash)?;
        let chain =
            Chain::parse_padded(header.next_payload, &plain).map_err(|_| Refusal::BadHash)?;
        let hash = chain
            .payloads()
            .first()
            .map(|first| first.body)
            .unwrap_or_default();
        let Some(established) = self.established() else {
            return Ok(());
        };
        let keys = &established.keys;
        let expected = hash_3(
            keys.hash,
            &keys.skeyid_a,
            quick.message_id,
            &quick.ni,
            &quick.nr,
        );
        if !verify(expected.expose(), hash) {
            return Err(Refusal::BadHash);
        }
        self.alive(cx, path);
        self.complete_responder(cx, quick, path);
        Ok(())
    }

    fn complete_responder(&self, cx: &mut Context<'_>, quick: &mut QuickMode, path: Path) {
        if let Stage::Qm2Sent { mut outbound } = std::mem::replace(&mut quick.stage, Stage::Moving)
        {
            // The mapping may have moved since QM1.
            outbound.peer = path.peer.ip();
            if let Some(encapsulation) = &mut outbound.encapsulation
                && path.natt_port
            {
                encapsulation.peer_port = path.peer.port();
            }
            cx.shared.kernel(KernelRequest::Install(outbound));
        }
        cx.effects.push(Effect::ChildComplete(quick.child));
        quick.done(cx.now);
    }

    /// The peer uses the new inbound SA although its QM3 has not come: that it has the keys
    /// proves as much as HASH(3) does.
    pub(crate) fn inbound_in_use(&mut self, cx: &mut Context<'_>, message_id: u32) {
        let path = self.path;
        let Some(mut quick) = self
            .established_mut()
            .and_then(|established| established.quick.remove(&message_id))
        else {
            return;
        };
        if matches!(quick.stage, Stage::Qm2Sent { .. }) {
            self.complete_responder(cx, &mut quick, path);
        }
        self.put_back(message_id, quick);
    }

    /// Keys and everything else about the new pair.
    fn make_child(
        &self,
        cx: &mut Context<'_>,
        quick: &QuickMode,
        choice: &Phase2Choice,
        spi: u32,
        shared: Option<&Secret>,
        lifetime: Duration,
    ) -> Option<(Child, SaInstall, SaInstall)> {
        let established = self.established()?;
        let natt_port = cx.shared.policy.nat.natt_port;
        let encapsulation = choice.mode.is_udp().then(|| match self.path.natt_port {
            true => UdpEncapsulation {
                local_port: self.path.local.port(),
                peer_port: self.path.peer.port(),
            },
            false => UdpEncapsulation {
                local_port: natt_port,
                peer_port: natt_port,
            },
        });
        let kilobytes = choice.kilobytes.unwrap_or(0);
        let responder_rekeys = cx.shared.policy.phase2.rekey_as_responder;
        let child = Child {
            id: quick.child,
            ike: self.id,
            reqid: established.client,
            initiator: quick.initiator,
            spi_in: spi,
            spi_out: choice.spi,
            local: self.path.local,
            peer: self.path.peer,
            mode: quick.mode,
            encapsulation_mode: choice.mode,
            encapsulation,
            suite: choice.suite,
            pfs: choice.pfs,
            traffic: quick.traffic.selectors,
            peer_original: quick.traffic.peer_original,
            local_original: quick.traffic.local_original,
            ids: quick.traffic.ids.clone(),
            lifetime,
            kilobytes,
            created: cx.now,
            rekey: rekey_moment(cx, lifetime, quick.initiator)
                .filter(|_| quick.initiator || responder_rekeys),
            expires: cx.now + lifetime,
            retire: None,
            stage: ChildStage::Inbound { installed: false },
            replaces: quick.replaces,
            inbound_octets: 0,
            outbound_octets: 0,
        };
        let policy = &cx.shared.policy.phase2;
        let install = |direction, spi: u32| {
            let (encryption_key, auth_key) = self
                .esp_keys(quick, choice, shared, spi)
                .unwrap_or_default();
            SaInstall {
                child: quick.child,
                direction,
                spi,
                local: child.local.ip(),
                peer: child.peer.ip(),
                mode: child.mode,
                reqid: child.reqid,
                encapsulation,
                peer_original: child.peer_original,
                local_original: child.local_original,
                cipher: choice.suite.cipher,
                encryption_key,
                auth: choice.suite.auth,
                auth_key,
                sha256_96: policy.sha256_96,
                replay_window: policy.replay_window,
                lifetime: kernel_lifetime(lifetime, kilobytes),
                traffic: child.traffic,
            }
        };
        let inbound = install(Direction::Inbound, spi);
        let outbound = install(Direction::Outbound, choice.spi);
        Some((child, inbound, outbound))
    }

    /// The keys of one SA: first encryption (with the salt of AES-GCM, RFC 4106 8.1), then
    /// authentication.
    #[allow(clippy::type_complexity)]
    fn esp_keys(
        &self,
        quick: &QuickMode,
        choice: &Phase2Choice,
        shared: Option<&Secret>,
        spi: u32,
    ) -> Option<(Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>)> {
        let keys = &self.established()?.keys;
        let encryption = match choice.suite.cipher {
            EspTransform::TRIPLE_DES => 24,
            EspTransform::AES_GCM_16 => usize::from(choice.suite.key_bits) / 8 + 4,
            _ => usize::from(choice.suite.key_bits) / 8,
        };
        let auth = choice.suite.auth.key_len()?;
        let input = KeymatInput {
            gqm: shared,
            protocol: ProtocolId::ESP.0,
            spi,
            ni: &quick.ni,
            nr: &quick.nr,
        };
        let keymat = keymat(keys.hash, &keys.skeyid_d, &input, encryption + auth);
        let (encryption, auth) = keymat.expose().split_at_checked(encryption)?;
        Some((
            Zeroizing::new(encryption.to_vec()),
            Zeroizing::new(auth.to_vec()),
        ))
    }

    /// Timers of all Quick Modes.
    pub(super) fn fire_quick_modes(&mut self, cx: &mut Context<'_>) {
        let path = self.path;
        let Some(established) = self.established_mut() else {
            return;
        };
        let now = cx.now;
        let mut failed = Vec::new();
        established
            .quick
            .retain(|_, quick| quick.is_open() || now < quick.deadline);
        for (message_id, quick) in &mut established.quick {
            if quick.is_open() && now >= quick.deadline {
                failed.push((*message_id, DownReason::Kernel("no answer".to_owned())));
                continue;
            }
            let Some(retransmit) = &mut quick.retransmit else {
                continue;
            };
            match retransmit.fire(now, &cx.shared.policy.retransmit) {
                Due::Wait => {}
                Due::Again => {
                    if let Some(message) = quick.sent.clone() {
                        let counters = &mut cx.shared.counters;
                        counters.retransmits = counters.retransmits.wrapping_add(1);
                        cx.shared.transmit(&path, message);
                    }
                }
                Due::GiveUp => failed.push((*message_id, DownReason::Timeout)),
            }
        }
        for (message_id, reason) in failed {
            self.fail_quick_mode(cx, message_id, reason);
        }
    }

    /// Gives up a Quick Mode: SPIs go back, the endpoint removes what it has of the pair.
    pub(crate) fn fail_quick_mode(
        &mut self,
        cx: &mut Context<'_>,
        message_id: u32,
        reason: DownReason,
    ) {
        let Some(mut quick) = self
            .established_mut()
            .and_then(|established| established.quick.remove(&message_id))
        else {
            return;
        };
        if quick.is_open() {
            let counters = &mut cx.shared.counters;
            counters.phase2_failed = counters.phase2_failed.wrapping_add(1);
            if let Some(spi) = quick.reserved_spi() {
                self.release_spi(cx, &quick, spi);
            }
            cx.effects.push(quick.failed(reason));
            quick.done(cx.now);
        }
        self.put_back(message_id, quick);
    }

    /// The peer has refused one of our Quick Modes with an authenticated notification: the one
    /// with this SPI, or with this message id, or the only one there is.
    pub(super) fn quick_mode_refused(&mut self, cx: &mut Context<'_>, notification: &Notification) {
        let Some(established) = self.established() else {
            return;
        };
        let waiting: Vec<(u32, u32)> = established
            .quick
            .values()
            .filter_map(|quick| match &quick.stage {
                Stage::Qm1Sent { spi, .. } => Some((quick.message_id, *spi)),
                _ => None,
            })
            .collect();
        let named = waiting.iter().find(|(message_id, spi)| {
            notification.spi == spi.to_be_bytes()
                || notification.data.starts_with(&message_id.to_be_bytes())
        });
        let refused = match (named, waiting.as_slice()) {
            (Some((message_id, _)), _) | (None, [(message_id, _)]) => *message_id,
            _ => return,
        };
        let kind = notification.kind;
        self.fail_quick_mode(cx, refused, DownReason::PeerRefused(kind));
    }

    /// All Quick Modes end with the ISAKMP SA; pairs that are complete live on.
    pub(crate) fn abandon_quick_modes(&mut self, cx: &mut Context<'_>, reason: &DownReason) {
        let ids: Vec<u32> = self
            .established()
            .map(|established| established.quick.keys().copied().collect())
            .unwrap_or_default();
        for message_id in ids {
            self.fail_quick_mode(cx, message_id, reason.clone());
        }
    }

    /// Releases an SPI that came when its Quick Mode was over already.
    pub(crate) fn release_late_spi(&self, cx: &mut Context<'_>, child: ChildId, spi: u32) {
        let source: IpAddr = self.path.peer.ip();
        cx.shared.kernel(KernelRequest::Delete(SaDelete {
            child,
            direction: Direction::Inbound,
            spi,
            source,
            destination: self.path.local.ip(),
        }));
    }

    /// Whether a Quick Mode still waits for its SPI.
    pub(crate) fn wants_spi(&self, message_id: u32) -> bool {
        self.established()
            .and_then(|established| established.quick.get(&message_id))
            .is_some_and(|quick| {
                matches!(
                    quick.stage,
                    Stage::Qm1Received { .. } | Stage::Starting { .. }
                )
            })
    }
}

/// The lifetime in force as responder.
fn phase2_lifetime(cx: &Context<'_>, offered: Option<Duration>) -> Duration {
    offered
        .unwrap_or(DEFAULT_LIFETIME)
        .min(cx.shared.policy.phase2.lifetime_max)
}

/// RFC 2407 4.5: 8 hours when nothing is said.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(28_800);

/// Retransmission ends an exchange earlier; this only bounds it.
const EXCHANGE_PATIENCE: Duration = Duration::from_secs(600);

/// Attributes of a RESPONDER-LIFETIME notification, RFC 2407 4.6.3.1.
fn lifetime_data(lifetime: Duration) -> Vec<u8> {
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    let mut data = Vec::new();
    Attribute::short(Phase2Attribute::LIFE_TYPE.0, LifeType::SECONDS.0).emit(&mut data);
    Attribute::number(Phase2Attribute::LIFE_DURATION.0, seconds).emit(&mut data);
    data
}

/// The seconds of a RESPONDER-LIFETIME notification in QM2.
fn responder_lifetime(chain: &Chain<'_>) -> Option<Duration> {
    let notification = chain
        .all(PayloadType::NOTIFICATION)
        .filter_map(|body| Notification::parse(body).ok())
        .find(|notification| notification.kind == NotifyType::RESPONDER_LIFETIME)?;
    let attributes = Attribute::parse_all(&notification.data).ok()?;
    match attributes.as_slice() {
        [kind, duration, ..]
            if kind.class == Phase2Attribute::LIFE_TYPE.0
                && kind.as_number() == Some(u64::from(LifeType::SECONDS.0))
                && duration.class == Phase2Attribute::LIFE_DURATION.0 =>
        {
            duration
                .as_number()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs)
        }
        _ => None,
    }
}

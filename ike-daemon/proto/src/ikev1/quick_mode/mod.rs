//! Quick Mode: RFC 2409 5.5, with NAT-OA payloads (RFC 3947 5.2).
//!
//! ```text
//!   QM1   HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr]   -->
//!                <--   HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr]   QM2
//!   QM3   HDR*, HASH(3)                                                      -->
//! ```
//!
//! * `initiator`, `responder`: the messages
//! * `spi`: the kernel that will carry the pair, and its SPI
//! * `install`: KEYMAT and the two SAs
//! * `end`: timers, refusals, giving up
//!
//! The inbound SA is in the kernel before the message that lets the peer use it leaves; the
//! outbound SA follows when the peer has proved that it is alive.

mod end;
mod initiator;
mod install;
mod responder;
mod spi;

use std::time::{Duration, Instant};

use ike_crypto::{Group, Iv, KeyPair};

use crate::carrier::Carrier;
use crate::context::{Context, Effect, JobOwner};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, PayloadType};
use crate::io::{ChildId, Job, Mode, SaInstall};
use crate::job::DhResult;
use crate::negotiate::{Phase2Choice, Phase2Context};
use crate::retransmit::{Answered, Retransmit};
use crate::vendor::NatVariant;
use crate::wire::chain::Builder;
use crate::wire::nat_oa;
use crate::wire::sa::SaPayload;

use super::Session;
use super::received::Received;
use super::traffic::Traffic;

/// A Quick Mode to start.
#[derive(Clone, Debug)]
pub(crate) struct QuickWish {
    pub(crate) mode: Mode,
    pub(crate) traffic: Traffic,
    pub(crate) pfs: Option<Group>,
    pub(crate) replaces: Option<ChildId>,
    /// What the pair to be replaced may carry, 0 without limit: a limit that the peer once asked
    /// for holds when we renew.
    pub(crate) kilobytes: u64,
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
    kilobytes: u64,
    mode: Mode,
    traffic: Traffic,
    /// The kernel the pair is for.
    carrier: Carrier,
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
    /// Responder: QM2 is out; the outbound SA waits for QM3, unless it is the first.
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

/// Retransmission ends an exchange earlier; this only bounds it.
const EXCHANGE_PATIENCE: Duration = Duration::from_secs(600);

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
        let group = self.established().map(|sa| sa.suite.group);
        Phase2Context {
            natt: self.nat.variant,
            nat_detected: self.nat.detected(),
            ke_len,
            may_cut_sha256: group == Some(Group::Modp1024),
        }
    }

    /// A Quick Mode message with our cookies.
    pub(super) fn handle_quick_mode(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        let header = &message.header;
        let (own_path, fragments) = (self.path, self.fragments);
        let Some(established) = self.established_mut() else {
            self.refuse_silently(cx);
            return;
        };
        if !header.encrypted() {
            self.refuse_silently(cx);
            return;
        }
        if !established.xauth.is_through() {
            // The peer sends it again.
            self.refuse(cx, Refusal::XauthPending);
            return;
        }
        let Some(quick) = established.quick.get_mut(&header.message_id) else {
            if established.seen.contains(header.message_id) {
                let counters = &mut cx.shared.counters;
                counters.duplicates = counters.duplicates.wrapping_add(1);
                return;
            }
            self.receive_qm1(cx, message);
            return;
        };
        if quick.answered.is_repeated(message.datagram) {
            let counters = &mut cx.shared.counters;
            counters.duplicates = counters.duplicates.wrapping_add(1);
            if let Some(answer) = quick.answered.again() {
                let answer = answer.to_vec();
                cx.shared.send(&own_path, fragments, answer);
            }
            return;
        }
        let Some(mut quick) = established.quick.remove(&header.message_id) else {
            return;
        };
        let step = match quick.stage {
            Stage::Qm2Sent { .. } => self.receive_qm3(cx, &mut quick, message),
            Stage::Qm1Sent { .. } => self.receive_qm2(cx, &mut quick, message),
            _ => Ok(()),
        };
        self.put_back(header.message_id, quick);
        if let Err(reason) = step {
            self.refuse(cx, reason);
        }
    }

    fn put_back(&mut self, message_id: u32, quick: Box<QuickMode>) {
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
                    .start_job(owner, |id| Job::exchange(id, private, ke));
                quick.stage = Stage::Computing { choice, spi };
            }
            Stage::Starting { pfs: None } => self.send_qm1(cx, &mut quick, spi, None),
            Stage::Starting { pfs: Some(group) } => {
                let private = group.private_key(cx.rng);
                cx.shared.start_job(owner, |id| Job::generate(id, private));
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
        cx.shared.send(&path, self.fragments, message.clone());
        quick.answered.answer(&message);
        quick.sent = Some(message);
    }

    /// Decrypts a message of a Quick Mode under way; returns it and the IV of the next one.
    fn open_quick_mode(&self, quick: &QuickMode, message: &Received<'_>) -> Option<(Vec<u8>, Iv)> {
        let keys = &self.established()?.keys;
        keys.message.open(&quick.iv, message.body)
    }
}

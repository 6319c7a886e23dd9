//! The initiator's side of Quick Mode: QM1 out, QM2 in, QM3 out.

use std::time::Duration;

use ike_crypto::{KeyPair, Secret, hash_1, hash_2, hash_3};

use crate::carrier::{Carrier, Choice};
use crate::context::{Context, Effect, JobOwner, random_bytes, random_message_id};
use crate::error::{DownReason, Refusal};
use crate::iana::PayloadType;
use crate::ikev1::Session;
use crate::ikev1::lifetime::{DEFAULT_LIFETIME, responder_lifetime};
use crate::ikev1::protect::genuine_by;
use crate::ikev1::received::Received;
use crate::ikev1::traffic::read_nat_oa;
use crate::io::{ChildId, Job, KernelRequest, Mode};
use crate::nat::Path;
use crate::negotiate::{Phase2Choice, accept_phase2, encapsulation_mode, offer_phase2};
use crate::policy::EspSuite;
use crate::retransmit::{Answered, Retransmit};
use crate::vendor::NatVariant;
use crate::wire::chain::{Builder, Chain};
use crate::wire::opaque::nonce_fits;
use crate::wire::sa::SaPayload;

use super::{EXCHANGE_PATIENCE, LOCAL_PATIENCE, NONCE_LEN, QuickMode, QuickWish, Stage};

/// What QM2 says.
struct Qm2 {
    choice: Phase2Choice,
    nr: Vec<u8>,
    /// The responder's public value, with PFS.
    ke: Option<Vec<u8>>,
}

impl Session {
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
        let child = ChildId(cx.shared.number());
        let path = self.path;
        let carrier = match self.carrier_for(cx, path, &wish) {
            Ok(carrier) => carrier,
            Err(reason) => {
                cx.effects.push(Effect::ChildFailed {
                    child,
                    replaces: wish.replaces,
                    reason: DownReason::Refused(reason),
                });
                return;
            }
        };
        let quick = QuickMode {
            child,
            message_id,
            initiator: true,
            iv,
            answered: Answered::default(),
            sent: None,
            retransmit: None,
            deadline: cx.now + LOCAL_PATIENCE,
            replaces: wish.replaces,
            kilobytes: wish.kilobytes,
            mode: wish.mode,
            traffic: wish.traffic,
            carrier: carrier.0,
            ni: random_bytes::<NONCE_LEN>(cx.rng).to_vec(),
            nr: Vec::new(),
            stage: Stage::Starting { pfs: wish.pfs },
        };
        self.ask_spi(cx, &quick, path, carrier);
        self.put_back(message_id, Box::new(quick));
    }

    /// The kernel for a pair we ask for: one is settled on before the peer chooses a suite.
    fn carrier_for(
        &self,
        cx: &Context<'_>,
        path: Path,
        wish: &QuickWish,
    ) -> Result<Choice, Refusal> {
        let policy = cx.shared.policy.terms(path.peer.ip()).phase2;
        let udp = self.nat.variant != NatVariant::None && self.nat.detected();
        let port = wish.traffic.selectors.peer.port;
        let inner = match wish.mode {
            Mode::Transport => self.inner(port, wish.traffic.peer_original),
            Mode::Tunnel => None,
        };
        let demand = self.demand(cx, path, inner.as_ref());
        let choose = |suite| {
            let carriers = &cx.shared.carriers;
            carriers.choose(suite, policy.sha256_icv.is_short(), udp, &demand)
        };
        let mut why = Refusal::NoPhase2Proposal;
        let mut possible: Vec<Choice> = Vec::new();
        for choice in policy.allowed_suites().map(choose) {
            match choice {
                Ok(choice) => possible.push(choice),
                Err(reason) => why = reason,
            }
        }
        possible
            .into_iter()
            .min_by_key(|(carrier, _)| *carrier)
            .ok_or(why)
    }

    pub(super) fn send_qm1(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        spi: u32,
        pair: Option<KeyPair>,
    ) {
        let encapsulation = encapsulation_mode(quick.mode, self.nat.variant, self.nat.detected());
        let group = pair.as_ref().map(KeyPair::group);
        let policy = cx.shared.policy.terms(self.path.peer.ip()).phase2;
        let system = cx.shared.carriers.system.as_ref();
        let system = system.filter(|_| quick.carrier == Carrier::System);
        let of =
            |suite: &EspSuite| system.is_none_or(|s| s.has(suite, policy.sha256_icv.is_short()));
        let kilobytes = match policy.lifetime_kilobytes {
            0 => quick.kilobytes,
            own => own,
        };
        let offer = offer_phase2(policy, of, encapsulation, group, kilobytes, spi);
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

    pub(super) fn receive_qm2(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        message: &Received<'_>,
    ) -> Result<(), Refusal> {
        let Some(established) = self.established() else {
            return Ok(());
        };
        let (plain, iv) = self
            .open_quick_mode(quick, message)
            .ok_or(Refusal::BadHash)?;
        let keys = &established.keys;
        let hash =
            |rest: &[u8]| hash_2(keys.hash, &keys.skeyid_a, quick.message_id, &quick.ni, rest);
        let chain = genuine_by(&message.header, &plain, hash).ok_or(Refusal::BadHash)?;
        // Authentic: from here on a refusal is final.
        self.alive(cx, message.path);
        quick.iv = iv;
        quick.retransmit = None;
        quick.answered.request(message.datagram);
        let Stage::Qm1Sent { spi, offer, pair } =
            std::mem::replace(&mut quick.stage, Stage::Moving)
        else {
            return Ok(());
        };
        match Self::read_qm2(&chain, &offer, pair.as_ref()) {
            Ok(Qm2 { choice, nr, ke }) => {
                quick.nr = nr;
                let (i, r) = read_nat_oa(&chain, &self.nat);
                quick.traffic.local_original = i.filter(|_| self.nat.local);
                quick.traffic.peer_original = r.filter(|_| self.nat.peer);
                let lifetime = responder_lifetime(&chain);
                match (pair, ke) {
                    (Some(pair), Some(ke)) => {
                        let owner = JobOwner::QuickMode(self.id, quick.message_id);
                        cx.shared.start_job(owner, |id| Job::agree(id, pair, ke));
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

    fn read_qm2(
        chain: &Chain<'_>,
        offer: &SaPayload,
        pair: Option<&KeyPair>,
    ) -> Result<Qm2, Refusal> {
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
            (Some(pair), Some(ke)) => pair.group().fits_public(ke.len()),
            (None, None) => true,
            _ => false,
        };
        if !fits {
            return Err(Refusal::BadKeyExchange);
        }
        Ok(Qm2 {
            choice,
            nr: nr.to_vec(),
            ke: ke.map(<[u8]>::to_vec),
        })
    }

    pub(super) fn send_qm3(
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
        for sa in [inbound, outbound] {
            let request = KernelRequest::Install(Box::new(sa));
            cx.shared.kernel(quick.carrier, request);
        }
        cx.effects.push(Effect::ChildAgreed(Box::new(child), None));
        cx.effects.push(Effect::ChildComplete(id, None));
        self.send_quick_mode(cx, quick, hash.expose(), Builder::new());
        quick.done(cx.now);
    }
}

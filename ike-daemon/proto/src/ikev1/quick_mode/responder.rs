//! The responder's side of Quick Mode: QM1 in, QM2 out, QM3 in.

use ike_crypto::{Secret, hash_2, hash_3};

use crate::carrier::Choice;
use crate::context::{Context, Effect, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{NotifyType, PayloadType, Phase2Attribute, ProtocolId};
use crate::ikev1::Session;
use crate::ikev1::lifetime::{lifetime_data, phase2_lifetime};
use crate::ikev1::protect::genuine_by;
use crate::ikev1::received::Received;
use crate::ikev1::traffic::{Traffic, admit, read_ids, read_nat_oa};
use crate::io::{ChildId, Event, KernelRequest, Mode};
use crate::nat::Path;
use crate::negotiate::{Kernels, Phase2Choice, choose_phase2};
use crate::offer;
use crate::retransmit::{Answered, Retransmit};
use crate::wire::chain::{Builder, Chain};
use crate::wire::notification::Notification;
use crate::wire::opaque::nonce_fits;
use crate::wire::sa::SaPayload;

use super::{EXCHANGE_PATIENCE, LOCAL_PATIENCE, NONCE_LEN, QuickMode, Stage};

/// What QM1 asks for, admitted.
struct Qm1 {
    choice: Phase2Choice,
    /// The initiator's public value, with PFS.
    ke: Option<Vec<u8>>,
    ni: Vec<u8>,
    traffic: Traffic,
    mode: Mode,
    carrier: Choice,
}

impl Session {
    pub(super) fn receive_qm1(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        let (path, header) = (message.path, &message.header);
        if cx.shared.carriers.awaited {
            // The peer sends it again.
            return;
        }
        let open = self.open_quick_modes();
        let Some(established) = self.established_mut() else {
            return;
        };
        let message_id = header.message_id;
        let opened = established.keys.open_first(message_id, message.body);
        let genuine = opened.as_ref().and_then(|(plain, iv)| {
            let chain = established.keys.genuine(header, plain)?;
            Some((chain, *iv))
        });
        let Some((chain, iv)) = genuine else {
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
            Ok(qm1) => {
                let child = ChildId(cx.shared.number());
                let mut answered = Answered::default();
                answered.request(message.datagram);
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
                    kilobytes: 0,
                    mode: qm1.mode,
                    traffic: qm1.traffic,
                    carrier: qm1.carrier.0,
                    ni: qm1.ni,
                    nr: random_bytes::<NONCE_LEN>(cx.rng).to_vec(),
                    stage: Stage::Qm1Received {
                        choice: qm1.choice,
                        ke: qm1.ke,
                    },
                };
                self.ask_spi(cx, &quick, path, qm1.carrier);
                self.put_back(message_id, Box::new(quick));
            }
            Err((reason, spi)) => {
                let offered = chain.one(PayloadType::SA).and_then(SaPayload::parse);
                if self.refuse_quick_mode(cx, reason, message_id, &spi)
                    && reason.is_about_offers()
                    && let Ok(offered) = offered
                {
                    cx.shared.event(Event::OfferRefused {
                        peer: path.peer,
                        phase: 2,
                        offer: offer::phase2(&offered),
                    });
                }
                if reason == Refusal::NeedsEncapsulation {
                    self.start_over_encapsulated(cx, path);
                }
            }
        }
    }

    /// Everything QM1 says, checked; or why not and the SPI it was about.
    fn admit_qm1(
        &self,
        cx: &Context<'_>,
        path: Path,
        chain: &Chain<'_>,
    ) -> Result<Qm1, (Refusal, Vec<u8>)> {
        let malformed = |_| (Refusal::Malformed, Vec::new());
        let policy = &cx.shared.policy;
        let terms = policy.terms(path.peer.ip());
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
        let ids = read_ids(chain);
        let original = read_nat_oa(chain, &self.nat);
        let client = ids.as_ref().ok().and_then(|ids| ids.as_ref());
        let inner = client.map_or_else(
            || self.inner(0, original.0),
            |(client, _)| {
                let original = original.0.or_else(|| client.identity.address());
                self.inner(client.port, original)
            },
        );
        let kernels = Kernels {
            carriers: &cx.shared.carriers,
            demand: self.demand(cx, path, inner.as_ref()),
        };
        let (choice, carrier) = choose_phase2(&sa, terms.phase2, &context, &kernels)
            .map_err(|reason| (reason, spi.clone()))?;
        let mode = match choice.mode.is_transport() {
            Some(true) => Mode::Transport,
            _ => Mode::Tunnel,
        };
        let spi = choice.spi.to_be_bytes().to_vec();
        let ids = ids.map_err(|reason| (reason, spi.clone()))?;
        let had_ids = ids.is_some();
        let path = Path {
            local: self.path.local,
            ..path
        };
        let lease = self
            .established()
            .and_then(|established| cx.shared.leases.of(established.client));
        let mut traffic = admit(policy, &path, &self.nat, mode, ids, original, lease)
            .map_err(|reason| (reason, spi))?;
        if !had_ids {
            traffic.ids = None;
        }
        let ke = choice.pfs.and(ke).map(<[u8]>::to_vec);
        Ok(Qm1 {
            choice,
            ke,
            ni: ni.to_vec(),
            traffic,
            mode,
            carrier,
        })
    }

    /// Only softkernel could serve this client, and it is not behind NAT: its next phase 1 says
    /// that it is, and this one must not be used again.
    fn start_over_encapsulated(&mut self, cx: &mut Context<'_>, path: Path) {
        cx.shared.encapsulated.insert(cx.now, path.peer.ip());
        if cx
            .shared
            .places
            .of_client(path.peer.ip(), self.reqid())
            .is_none()
        {
            self.send_delete_isakmp(cx);
            let reason = DownReason::Refused(Refusal::NeedsEncapsulation);
            cx.effects.push(Effect::Ended(reason));
        }
    }

    pub(super) fn send_qm2(
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
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        let lifetime = phase2_lifetime(terms.phase2, choice.lifetime);
        if choice.lifetime.is_some_and(|offered| offered > lifetime) {
            let notification = Notification {
                doi: crate::iana::DOI_IPSEC,
                protocol: ProtocolId::ESP,
                kind: NotifyType::RESPONDER_LIFETIME,
                spi: spi.to_be_bytes().to_vec(),
                data: lifetime_data(
                    Phase2Attribute::LIFE_TYPE.0,
                    Phase2Attribute::LIFE_DURATION.0,
                    lifetime,
                ),
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
        let request = KernelRequest::Install(Box::new(inbound));
        cx.shared.kernel(quick.carrier, request);
        let outbound = Box::new(outbound);
        let early = Some(outbound.clone());
        cx.effects.push(Effect::ChildAgreed(Box::new(child), early));
        self.send_quick_mode(cx, quick, hash.expose(), chain);
        quick.retransmit = Some(Retransmit::start(cx.now, &cx.shared.policy.retransmit));
        quick.deadline = cx.now + EXCHANGE_PATIENCE;
        quick.stage = Stage::Qm2Sent { outbound };
    }

    pub(super) fn receive_qm3(
        &mut self,
        cx: &mut Context<'_>,
        quick: &mut QuickMode,
        message: &Received<'_>,
    ) -> Result<(), Refusal> {
        let Some(established) = self.established() else {
            return Ok(());
        };
        let (plain, _) = self
            .open_quick_mode(quick, message)
            .ok_or(Refusal::BadHash)?;
        let keys = &established.keys;
        let (id, ni, nr) = (quick.message_id, &quick.ni, &quick.nr);
        let hash = |_: &[u8]| hash_3(keys.hash, &keys.skeyid_a, id, ni, nr);
        genuine_by(&message.header, &plain, hash).ok_or(Refusal::BadHash)?;
        self.alive(cx, message.path);
        self.complete_responder(cx, quick, message.path);
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
            let complete = Effect::ChildComplete(quick.child, Some(outbound));
            cx.effects.push(complete);
        }
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
}

//! How a Quick Mode ends without a pair of SAs: by its timers, by a refusal of either side, or with its
//! ISAKMP SA.

use crate::context::{Context, Effect};
use crate::error::{DownReason, Refusal};
use crate::iana::{DOI_IPSEC, PayloadType, ProtocolId};
use crate::ikev1::Session;
use crate::retransmit::Due;
use crate::wire::chain::Builder;
use crate::wire::notification::Notification;

use super::{QuickMode, Stage};

impl Session {
    /// Refuses a Quick Mode with an authenticated notification; says whether it was reported.
    pub(super) fn refuse_quick_mode(
        &mut self,
        cx: &mut Context<'_>,
        reason: Refusal,
        message_id: u32,
        spi: &[u8],
    ) -> bool {
        let counters = &mut cx.shared.counters;
        counters.phase2_failed = counters.phase2_failed.wrapping_add(1);
        let reported = cx.shared.refuse(cx.now, self.path.peer, reason);
        let notification = Notification {
            doi: DOI_IPSEC,
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
        reported
    }

    /// The computation for PFS shows that the peer's public value is none.
    pub(super) fn fail_computing(&mut self, cx: &mut Context<'_>, quick: &mut QuickMode, spi: u32) {
        let reason = Refusal::BadKeyExchange;
        self.refuse_quick_mode(cx, reason, quick.message_id, &[]);
        self.release_spi(cx, quick, spi);
        quick.done(cx.now);
        cx.effects.push(quick.failed(DownReason::Refused(reason)));
    }

    /// Timers of all Quick Modes.
    pub(in crate::ikev1) fn fire_quick_modes(&mut self, cx: &mut Context<'_>) {
        let (path, fragments) = (self.path, self.fragments);
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
                        cx.shared.send(&path, fragments, message);
                    }
                    // ESP through the new SAs stands in for a QM3 that was lost.
                    cx.effects.push(Effect::Look);
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
    pub(in crate::ikev1) fn quick_mode_refused(
        &mut self,
        cx: &mut Context<'_>,
        notification: &Notification,
    ) {
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
}

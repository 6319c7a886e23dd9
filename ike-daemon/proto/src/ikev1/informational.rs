//! Informational exchanges: RFC 2409 5.7, notifications and Delete of RFC 2408 3.14 and 3.15,
//! INITIAL-CONTACT (RFC 2407 4.6.3.3), dead peer detection (RFC 3706 5).
//!
//! Nothing is believed without a valid HASH(1).

use ike_crypto::{Cookie, hash_1};

use crate::context::{Context, Effect, random_message_id};
use crate::error::Refusal;
use crate::iana::{DOI_IPSEC, ExchangeType, NotifyType, PayloadType, ProtocolId};
use crate::nat::Path;
use crate::wire::chain::{Builder, Payload};
use crate::wire::delete::Delete;
use crate::wire::header::Header;
use crate::wire::notification::Notification;

use super::Session;
use super::received::Received;

impl Session {
    /// An Informational with our cookies.
    pub(super) fn handle_informational(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        let header = &message.header;
        if !header.encrypted() {
            self.handle_unauthenticated(cx, message);
            return;
        }
        let message_id = header.message_id;
        let Some(established) = self.established_mut() else {
            // A peer that is established while we are not, or garbage: no key to tell them apart.
            let counters = &mut cx.shared.counters;
            counters.bad_messages = counters.bad_messages.wrapping_add(1);
            return;
        };
        if established.seen.contains(message_id) {
            let counters = &mut cx.shared.counters;
            counters.duplicates = counters.duplicates.wrapping_add(1);
            return;
        }
        let opened = established.keys.open_first(message_id, message.body);
        let genuine = opened
            .as_ref()
            .and_then(|(plain, _)| established.keys.genuine(header, plain));
        let Some(chain) = genuine else {
            self.refuse(cx, Refusal::BadHash);
            return;
        };
        let about = |payload: &Payload<'_>| {
            matches!(
                payload.kind,
                PayloadType::NOTIFICATION | PayloadType::DELETE
            )
        };
        if !chain.payloads().iter().skip(1).any(about) {
            // HASH(1) does not cover the exchange type: this may be a message of Quick Mode that
            // somebody on the way has renamed, to use up its message id.
            self.refuse(cx, Refusal::OutOfPlace);
            return;
        }
        established.seen.insert(message_id);
        self.alive(cx, message.path);
        for payload in chain.payloads().iter().skip(1) {
            match payload.kind {
                PayloadType::NOTIFICATION => {
                    if let Ok(notification) = Notification::parse(payload.body) {
                        self.handle_notification(cx, &notification);
                    }
                }
                PayloadType::DELETE => {
                    if let Ok(delete) = Delete::parse(payload.body) {
                        handle_delete(cx, &delete);
                    }
                }
                _ => {}
            }
        }
    }

    fn handle_unauthenticated(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        let counters = &mut cx.shared.counters;
        counters.bad_messages = counters.bad_messages.wrapping_add(1);
        let Ok(chain) = message.chain() else {
            return;
        };
        let error = chain
            .all(PayloadType::NOTIFICATION)
            .filter_map(|body| Notification::parse(body).ok())
            .map(|notification| notification.kind)
            .find(|kind| kind.is_error());
        match error {
            Some(NotifyType::INVALID_COOKIE) if self.established().is_some() => {
                self.perhaps_forgotten(cx, message.path);
            }
            Some(kind) => self.unauthenticated_error(cx, kind),
            None => {}
        }
    }

    /// A peer that was restarted without its state says so by INVALID-COOKIE. Anybody on the way
    /// could, so it is asked whether it is there; only its silence is believed.
    fn perhaps_forgotten(&mut self, cx: &mut Context<'_>, path: Path) {
        if path != self.path {
            return;
        }
        let policy = cx.shared.policy.terms(path.peer.ip()).dpd.clone();
        let now = cx.now;
        let established = self.established_mut();
        let dpd = established
            .filter(|it| !it.superseded)
            .map(|it| &mut it.dpd);
        if let Some(sequence) = dpd.and_then(|dpd| dpd.doubt(now, &policy)) {
            self.send_dpd(cx, NotifyType::R_U_THERE, sequence);
        }
    }

    fn handle_notification(&mut self, cx: &mut Context<'_>, notification: &Notification) {
        let sequence = || {
            let data: [u8; 4] = notification.data.as_slice().try_into().ok()?;
            (notification.spi == self.spi()).then(|| u32::from_be_bytes(data))
        };
        match notification.kind {
            NotifyType::R_U_THERE => {
                if let Some(sequence) = sequence() {
                    if let Some(established) = self.established_mut() {
                        established.dpd.peer_sequence = Some(sequence);
                    }
                    self.send_dpd(cx, NotifyType::R_U_THERE_ACK, sequence);
                }
            }
            NotifyType::R_U_THERE_ACK => {
                if let (Some(sequence), Some(established)) = (sequence(), self.established_mut()) {
                    established.dpd.acknowledged(cx.now, sequence);
                }
            }
            NotifyType::INITIAL_CONTACT => cx.effects.push(Effect::InitialContact),
            kind if kind.is_error() => self.quick_mode_refused(cx, notification),
            _ => {}
        }
    }

    /// R-U-THERE or its acknowledgement, RFC 3706 5.3.
    pub(super) fn send_dpd(&mut self, cx: &mut Context<'_>, kind: NotifyType, sequence: u32) {
        let data = sequence.to_be_bytes().to_vec();
        let notification = Notification::isakmp(kind, self.spi(), data);
        let mut chain = Builder::new();
        chain.push(PayloadType::NOTIFICATION, notification.body());
        self.send_informational(cx, chain);
    }

    /// Asks whether the peer is at `path`: its answer comes from there then.
    pub(crate) fn probe(&mut self, cx: &mut Context<'_>, path: Path) {
        let policy = cx.shared.policy.terms(path.peer.ip()).dpd.clone();
        let now = cx.now;
        let dpd = self
            .established_mut()
            .map(|established| &mut established.dpd);
        if let Some(sequence) = dpd.and_then(|dpd| dpd.probe(now, &policy)) {
            let known = std::mem::replace(&mut self.path, path);
            self.send_dpd(cx, NotifyType::R_U_THERE, sequence);
            self.path = known;
        }
    }

    /// Tells the peer that IPsec SAs are gone, by our inbound SPIs.
    pub(crate) fn send_delete_esp(&mut self, cx: &mut Context<'_>, spis: &[u32]) {
        let spis = spis.iter().map(|spi| spi.to_be_bytes().to_vec()).collect();
        self.send_delete(
            cx,
            Delete {
                protocol: ProtocolId::ESP,
                spis,
            },
        );
    }

    /// Tells the peer that this ISAKMP SA is gone.
    pub(crate) fn send_delete_isakmp(&mut self, cx: &mut Context<'_>) {
        let delete = Delete {
            protocol: ProtocolId::ISAKMP,
            spis: vec![self.spi()],
        };
        self.send_delete(cx, delete);
    }

    fn send_delete(&mut self, cx: &mut Context<'_>, delete: Delete) {
        let mut chain = Builder::new();
        chain.push(PayloadType::DELETE, delete.body());
        self.send_informational(cx, chain);
    }

    /// Sends an authenticated Informational; there is no answer and no retransmission.
    pub(super) fn send_informational(&mut self, cx: &mut Context<'_>, mut chain: Builder) {
        let path = self.path;
        let Some(established) = self.established_mut() else {
            return;
        };
        let message_id = loop {
            let id = random_message_id(cx.rng);
            if !established.seen.contains(id) {
                break id;
            }
        };
        established.seen.insert(message_id);
        let keys = established.keys.clone();
        let hash = hash_1(keys.hash, &keys.skeyid_a, message_id, &chain.emit());
        chain.push_front(PayloadType::HASH, hash.expose());
        let header = self.header(ExchangeType::INFORMATIONAL, message_id);
        let sealed = keys
            .iv(message_id)
            .and_then(|iv| keys.message.seal(&iv, &header, &chain));
        if let Some((message, _)) = sealed {
            cx.shared.send(&path, self.fragments, message);
        }
    }
}

fn handle_delete(cx: &mut Context<'_>, delete: &Delete) {
    match delete.protocol {
        ProtocolId::ESP => {
            let spis = delete
                .spis
                .iter()
                .filter_map(|spi| Some(u32::from_be_bytes(spi.as_slice().try_into().ok()?)));
            cx.effects.push(Effect::DeleteEsp(spis.collect()));
        }
        ProtocolId::ISAKMP => {
            let cookies = delete.spis.iter().filter_map(|spi| {
                let (i, r) = spi.split_at_checked(8)?;
                let cookies: (Cookie, Cookie) = (i.try_into().ok()?, r.try_into().ok()?);
                Some(cookies)
            });
            cx.effects.push(Effect::DeleteIsakmp(cookies.collect()));
        }
        _ => {}
    }
}

/// An unauthenticated notification for a peer we keep nothing about.
pub(crate) fn stateless_notification(header: &Header, kind: NotifyType) -> Vec<u8> {
    let notification = Notification {
        doi: DOI_IPSEC,
        protocol: ProtocolId::ISAKMP,
        kind,
        spi: Vec::new(),
        data: Vec::new(),
    };
    let mut chain = Builder::new();
    chain.push(PayloadType::NOTIFICATION, notification.body());
    let header = Header {
        next_payload: PayloadType::NOTIFICATION,
        exchange: ExchangeType::INFORMATIONAL,
        flags: 0,
        message_id: 0,
        ..*header
    };
    header.emit(&chain.emit())
}

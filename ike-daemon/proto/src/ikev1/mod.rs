//! IKEv1: RFC 2409. One [`Session`] is one ISAKMP SA, from its first message to its end.
//!
//! * [`phase1`]: what [`main_mode`] and [`aggressive_mode`] share; [`signature`]: with certificates
//! * [`quick_mode`]: phase 2; [`traffic`]: its identities; [`child`]: its result
//! * [`transaction`]: XAUTH and Mode Config, between the two
//! * [`informational`]: notifications, Delete; [`dpd`]: dead peer detection
//! * [`protect`]: encryption, IVs, message ids; [`lifetime`]: of both phases

pub(crate) mod aggressive_mode;
pub(crate) mod child;
pub(crate) mod dpd;
pub(crate) mod informational;
mod lifetime;
pub(crate) mod main_mode;
pub(crate) mod phase1;
pub(crate) mod protect;
pub(crate) mod quick_mode;
mod received;
pub(crate) mod signature;
pub(crate) mod traffic;
pub(crate) mod transaction;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ike_crypto::Cookie;

use crate::context::{Context, Effect};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, NotifyType, PayloadType};
use crate::io::{IkeId, Reqid};
use crate::nat::{NatState, Path};
use crate::negotiate::Phase1Suite;
use crate::policy::Method;
use crate::retransmit::{Answered, Due, Retransmit};
use crate::wire::header::Header;
use crate::wire::id::Identification;

use dpd::{Dpd, DpdAction};
use phase1::Phase;
use protect::{MessageIds, SaKeys};
use quick_mode::{QuickMode, QuickWish};

pub(crate) use phase1::begin::identity_for;
pub(crate) use received::Received;
use transaction::{Transaction, Xauth};

/// One ISAKMP SA.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: IkeId,
    pub(crate) initiator: bool,
    pub(crate) aggressive: bool,
    pub(crate) cky_i: Cookie,
    pub(crate) cky_r: Cookie,
    pub(crate) path: Path,
    /// Where the first message came from, when the peer began.
    pub(crate) first_source: Option<SocketAddr>,
    pub(crate) nat: NatState,
    /// Pretend to be behind NAT, so that ESP travels in UDP.
    pub(crate) force_encapsulation: bool,
    /// The peer's vendor ids told that it answers dead peer detection.
    pub(crate) dpd_supported: bool,
    /// The peer has told that it takes fragments, and so have we.
    pub(crate) fragments: bool,
    /// Windows' vendor id in place of INITIAL-CONTACT.
    pub(crate) vendor_initial_contact: bool,
    pub(crate) vendor: Option<String>,
    pub(crate) connection: Option<String>,
    pub(crate) local_identity: Identification,
    pub(crate) expected_identity: Option<Identification>,
    pub(crate) replaces: Option<IkeId>,
    pub(crate) announce_initial_contact: bool,
    pub(crate) started: Instant,
    pub(crate) phase: Phase,
    /// Quick Modes to start when phase 1 is done.
    pub(crate) wishes: Vec<QuickWish>,
    answered: Answered,
    sent: Option<Vec<u8>>,
    retransmit: Option<Retransmit>,
    /// An unauthenticated error the peer seems to have sent.
    hint: Option<NotifyType>,
    /// Why we did not accept the peer's last message.
    refusal: Option<Refusal>,
    complaints: u32,
    /// Claims of the peer that did not hold.
    claims: u32,
    /// Public values of the peer that are none.
    bad_values: u32,
    /// The certificate by which the peer has proved who it is, in DER.
    pub(crate) peer_certificate: Option<Arc<[u8]>>,
}

/// What exists only once phase 1 is complete.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) keys: SaKeys,
    pub(crate) suite: Phase1Suite,
    pub(crate) method: Method,
    pub(crate) peer_identity: Identification,
    pub(crate) since: Instant,
    pub(crate) rekey: Option<Instant>,
    pub(crate) expires: Instant,
    /// The client, assigned by the endpoint right after.
    pub(crate) client: Reqid,
    pub(crate) quick: BTreeMap<u32, Box<QuickMode>>,
    pub(crate) seen: MessageIds,
    pub(crate) dpd: Dpd,
    pub(crate) keepalive: Option<Instant>,
    /// A newer SA of the same client does its work.
    pub(crate) superseded: bool,
    /// When to delete it after it was superseded by our own rekeying.
    pub(crate) retire: Option<Instant>,
    pub(crate) xauth: Xauth,
    /// INITIAL-CONTACT that counts once XAUTH is through.
    pub(crate) initial_contact: bool,
    pub(crate) transactions: BTreeMap<u32, Transaction>,
    /// As initiator: the address that Mode Config gave us.
    pub(crate) address: Option<Ipv4Addr>,
}

/// Answers to unauthenticated rubbish per exchange.
const MAX_COMPLAINTS: u32 = 3;

/// Computations with bad public values per exchange.
const MAX_BAD_VALUES: u32 = 4;

/// Timers of a session that concern the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionDue {
    /// Time to rekey.
    Rekey,
    /// Lifetime is over, or the SA was replaced and may go.
    End(EndCause),
}

/// Why a session's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndCause {
    Expired,
    Replaced,
    DpdDead,
}

impl Session {
    pub(crate) fn established(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Established(established) => Some(established),
            _ => None,
        }
    }

    pub(crate) fn established_mut(&mut self) -> Option<&mut Established> {
        match &mut self.phase {
            Phase::Established(established) => Some(established),
            _ => None,
        }
    }

    /// The cookies in the order of the header, which is also the SPI of the ISAKMP SA.
    pub(crate) fn spi(&self) -> Vec<u8> {
        [self.cky_i, self.cky_r].concat()
    }

    /// The header of a message of ours.
    pub(crate) fn header(&self, exchange: ExchangeType, message_id: u32) -> Header {
        Header {
            initiator_cookie: self.cky_i,
            responder_cookie: self.cky_r,
            next_payload: PayloadType::NONE,
            exchange,
            flags: 0,
            message_id,
        }
    }

    /// A message with this session's cookies.
    pub(crate) fn handle_message(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        let header = &message.header;
        match header.exchange {
            ExchangeType::MAIN_MODE if header.message_id == 0 => self.handle_main_mode(cx, message),
            ExchangeType::AGGRESSIVE if header.message_id == 0 => {
                self.handle_aggressive_mode(cx, message);
            }
            ExchangeType::QUICK_MODE if matches!(self.phase, Phase::Am2Sent(_)) => {
                self.am3_is_missing(cx);
            }
            ExchangeType::TRANSACTION if header.message_id != 0 => {
                self.handle_transaction(cx, message);
            }
            ExchangeType::QUICK_MODE if header.message_id != 0 => {
                self.handle_quick_mode(cx, message);
            }
            ExchangeType::INFORMATIONAL => self.handle_informational(cx, message),
            _ => {
                let counters = &mut cx.shared.counters;
                counters.ignored_exchanges = counters.ignored_exchanges.wrapping_add(1);
            }
        }
    }

    /// A fresh, authenticated message has come over `path`.
    fn alive(&mut self, cx: &mut Context<'_>, path: Path) {
        if let Some(established) = self.established_mut() {
            established.dpd.alive(cx.now);
            if established.seen.is_full() {
                // What is forgotten could be played again.
                established.expires = cx.now;
            }
        }
        if path != self.path {
            cx.effects.push(Effect::Moved(path));
        }
    }

    /// Counts and reports a message that is not accepted; says whether it was reported.
    fn refuse(&mut self, cx: &mut Context<'_>, reason: Refusal) -> bool {
        self.refusal = Some(reason);
        let counters = &mut cx.shared.counters;
        counters.bad_messages = counters.bad_messages.wrapping_add(1);
        cx.shared.refuse(cx.now, self.path.peer, reason)
    }

    /// When the next timer is due.
    pub(crate) fn due(&self, cx_policy: &crate::policy::Policy) -> Option<Instant> {
        let mut due = self.retransmit.as_ref().map(Retransmit::due);
        let mut add = |at: Option<Instant>| {
            due = match (due, at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        };
        match &self.phase {
            Phase::Established(established) => {
                add(Some(established.expires));
                add(established.rekey);
                add(established.keepalive);
                add(established.retire);
                if !established.superseded {
                    let terms = cx_policy.terms(self.path.peer.ip());
                    add(established.dpd.due(terms.dpd));
                }
                for quick in established.quick.values() {
                    add(Some(quick.due()));
                }
                add(self.transactions_due());
            }
            _ => add(Some(self.started + self.patience(cx_policy))),
        }
        due
    }

    /// How long phase 1 may take. As initiator retransmission gives up first; this bounds waiting
    /// for a computation that never comes back.
    fn patience(&self, policy: &crate::policy::Policy) -> Duration {
        let limit = policy.limits.half_open_timeout;
        if self.initiator {
            limit.saturating_mul(4)
        } else {
            limit
        }
    }

    /// Fires what is due. What concerns the endpoint is returned.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) -> Option<SessionDue> {
        self.fire_retransmit(cx);
        self.fire_quick_modes(cx);
        self.fire_transactions(cx);
        let now = cx.now;
        if self.established().is_none() {
            if now >= self.started + self.patience(&cx.shared.policy) {
                let reason = self.failure(DownReason::HalfOpenTimeout);
                cx.effects.push(Effect::Ended(reason));
            }
            return None;
        }
        self.fire_keepalive(cx);
        if let Some(cause) = self.fire_dpd(cx) {
            return Some(SessionDue::End(cause));
        }
        let established = self.established_mut()?;
        if now >= established.expires {
            return Some(SessionDue::End(EndCause::Expired));
        }
        if established.retire.is_some_and(|retire| now >= retire) {
            return Some(SessionDue::End(EndCause::Replaced));
        }
        if established.rekey.is_some_and(|rekey| now >= rekey) {
            established.rekey = None;
            return Some(SessionDue::Rekey);
        }
        None
    }

    fn fire_retransmit(&mut self, cx: &mut Context<'_>) {
        let Some(retransmit) = &mut self.retransmit else {
            return;
        };
        match retransmit.fire(cx.now, &cx.shared.policy.retransmit) {
            Due::Wait => {}
            Due::Again => {
                if let Some(message) = self.sent.clone() {
                    let counters = &mut cx.shared.counters;
                    counters.retransmits = counters.retransmits.wrapping_add(1);
                    cx.shared.send(&self.path, self.fragments, message);
                }
            }
            Due::GiveUp => {
                self.retransmit = None;
                let reason = self.failure(DownReason::Timeout);
                cx.effects.push(Effect::Ended(reason));
            }
        }
    }

    /// The most telling reason for a failure.
    fn failure(&self, otherwise: DownReason) -> DownReason {
        match (self.refusal, self.hint) {
            (Some(refusal), _) => DownReason::Refused(refusal),
            (None, Some(notify)) => DownReason::PeerRefused(notify),
            (None, None) => otherwise,
        }
    }

    fn fire_keepalive(&mut self, cx: &mut Context<'_>) {
        let (path, nat) = (self.path, self.nat);
        let interval = cx.shared.policy.terms(path.peer.ip()).nat.keepalive;
        let Some(established) = self.established_mut() else {
            return;
        };
        if established.keepalive.is_none_or(|due| due > cx.now) {
            return;
        }
        if nat.local && path.natt_port && !interval.is_zero() && !established.superseded {
            established.keepalive = Some(cx.now + interval);
            cx.shared.keepalive(&path);
        } else {
            established.keepalive = None;
        }
    }

    fn fire_dpd(&mut self, cx: &mut Context<'_>) -> Option<EndCause> {
        let peer = self.path.peer.ip();
        let established = self.established_mut()?;
        if established.superseded {
            return None;
        }
        match established
            .dpd
            .fire(cx.now, cx.shared.policy.terms(peer).dpd)
        {
            DpdAction::Wait => None,
            DpdAction::Look => {
                cx.effects.push(Effect::Look);
                None
            }
            DpdAction::Ask(sequence) => {
                self.send_dpd(cx, NotifyType::R_U_THERE, sequence);
                cx.effects.push(Effect::Look);
                None
            }
            DpdAction::Dead => Some(EndCause::DpdDead),
        }
    }

    /// Name of the state for views.
    pub(crate) fn state(&self) -> &'static str {
        self.phase.name()
    }

    /// A fresh session; everything else is added by Main Mode or by a checkpoint.
    pub(crate) fn new(
        id: IkeId,
        initiator: bool,
        cookies: (Cookie, Cookie),
        path: Path,
        local_identity: Identification,
        now: Instant,
        phase: Phase,
    ) -> Self {
        Self {
            id,
            initiator,
            aggressive: false,
            cky_i: cookies.0,
            cky_r: cookies.1,
            path,
            first_source: None,
            nat: NatState::default(),
            force_encapsulation: false,
            dpd_supported: false,
            fragments: false,
            vendor_initial_contact: false,
            vendor: None,
            connection: None,
            local_identity,
            expected_identity: None,
            replaces: None,
            announce_initial_contact: false,
            started: now,
            phase,
            wishes: Vec::new(),
            answered: Answered::default(),
            sent: None,
            retransmit: None,
            hint: None,
            refusal: None,
            complaints: 0,
            claims: 0,
            bad_values: 0,
            peer_certificate: None,
        }
    }
}

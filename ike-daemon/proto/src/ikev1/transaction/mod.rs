//! Transaction exchanges: draft-dukes-ike-mode-cfg-02 4. Each is one message and its answer under a
//! message id of its own, protected like Quick Mode:
//!
//! ```text
//!   HDR*, HASH, ATTR(REQUEST or SET)  -->   <--  HDR*, HASH, ATTR(REPLY or ACK)
//! ```
//!
//! * [`xauth`]: name and password
//! * [`mode_config`]: an address and what belongs to it

mod mode_config;
mod xauth;

use std::time::{Duration, Instant};

use ike_crypto::{Iv, hash_1};

use crate::context::{Context, Effect, random_bytes, random_message_id};
use crate::error::{DownReason, Refusal};
use crate::iana::{ConfigType, ExchangeType, PayloadType};
use crate::retransmit::{Answered, Due, Retransmit};
use crate::wire::attribute::Attribute;
use crate::wire::attributes::Attributes;
use crate::wire::chain::Builder;

use super::Session;
use super::received::Received;

pub(crate) use xauth::Xauth;

/// One exchange.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// IV of the next message.
    iv: Iv,
    answered: Answered,
    sent: Option<Vec<u8>>,
    retransmit: Option<Retransmit>,
    /// Until when repeated messages are answered.
    deadline: Instant,
    purpose: Purpose,
}

/// What an exchange is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// We have asked for name and password.
    Password,
    /// We have told whether they are right.
    Verdict,
    /// We have asked for an address.
    Address,
    /// The peer has asked, or told, and has its answer.
    Answered,
}

/// How long repeated messages are answered.
const LINGER: Duration = Duration::from_secs(60);

/// The most exchanges of one ISAKMP SA that are remembered.
const MAX_TRANSACTIONS: usize = 8;

impl Session {
    /// A Transaction message with our cookies.
    pub(super) fn handle_transaction(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        let (header, datagram) = (&message.header, message.datagram);
        let message_id = header.message_id;
        let (own_path, fragments) = (self.path, self.fragments);
        let Some(established) = self.established_mut().filter(|_| header.encrypted()) else {
            self.refuse(cx, Refusal::OutOfPlace);
            return;
        };
        let known = established.transactions.get_mut(&message_id);
        let iv = match known {
            Some(known) if known.answered.is_repeated(datagram) => {
                let counters = &mut cx.shared.counters;
                counters.duplicates = counters.duplicates.wrapping_add(1);
                if let Some(answer) = known.answered.again() {
                    let answer = answer.to_vec();
                    cx.shared.send(&own_path, fragments, answer);
                }
                return;
            }
            Some(known) => Some(known.iv),
            None if established.seen.contains(message_id) => {
                let counters = &mut cx.shared.counters;
                counters.duplicates = counters.duplicates.wrapping_add(1);
                return;
            }
            None => established.keys.iv(message_id),
        };
        let keys = &established.keys;
        let opened = iv.and_then(|iv| keys.message.open(&iv, message.body));
        let read = opened.as_ref().and_then(|(plain, next)| {
            let chain = keys.genuine(header, plain)?;
            let attributes = chain.one(PayloadType::ATTRIBUTES).ok()?;
            Some((Attributes::parse(attributes), *next))
        });
        let Some((attributes, next)) = read else {
            self.refuse(cx, Refusal::BadHash);
            return;
        };
        established.seen.insert(message_id);
        // The responder has AM3, if it was that.
        self.retransmit = None;
        self.sent = None;
        let Some(established) = self.established_mut() else {
            return;
        };
        if let Some(known) = established.transactions.get_mut(&message_id) {
            known.iv = next;
            known.answered.request(datagram);
        }
        self.alive(cx, message.path);
        match attributes {
            Ok(attributes) => self.receive_attributes(cx, message_id, next, attributes, datagram),
            Err(_) => {
                self.refuse(cx, Refusal::Malformed);
            }
        }
    }

    fn receive_attributes(
        &mut self,
        cx: &mut Context<'_>,
        message_id: u32,
        iv: Iv,
        attributes: Attributes,
        datagram: &[u8],
    ) {
        let answer = match attributes.kind {
            ConfigType::REQUEST if xauth::concerns(&attributes) => {
                self.give_password(cx, &attributes)
            }
            ConfigType::REQUEST => self.give_configuration(cx, &attributes),
            ConfigType::SET if xauth::concerns(&attributes) => self.take_verdict(cx, &attributes),
            ConfigType::SET => self.take_configuration(cx, &attributes),
            ConfigType::REPLY | ConfigType::ACK => {
                self.receive_answer(cx, message_id, &attributes);
                return;
            }
            _ => None,
        };
        let Some(list) = answer else {
            self.refuse(cx, Refusal::OutOfPlace);
            return;
        };
        let kind = match attributes.kind {
            ConfigType::REQUEST => ConfigType::REPLY,
            _ => ConfigType::ACK,
        };
        let answer = Attributes {
            kind,
            identifier: attributes.identifier,
            list,
        };
        let mut transaction = Transaction {
            iv,
            answered: Answered::default(),
            sent: None,
            retransmit: None,
            deadline: cx.now + LINGER,
            purpose: Purpose::Answered,
        };
        transaction.answered.request(datagram);
        self.send_attributes(cx, message_id, &mut transaction, &answer);
        self.remember(message_id, transaction);
    }

    /// An answer to something of ours, once. The message id tells which; the identifier should as
    /// well, but strongSwan leaves it zero.
    fn receive_answer(&mut self, cx: &mut Context<'_>, message_id: u32, attributes: &Attributes) {
        let Some(known) = self
            .established_mut()
            .and_then(|established| established.transactions.get_mut(&message_id))
            .filter(|known| known.retransmit.is_some())
        else {
            self.refuse(cx, Refusal::OutOfPlace);
            return;
        };
        known.retransmit = None;
        known.sent = None;
        let purpose = std::mem::replace(&mut known.purpose, Purpose::Answered);
        match (purpose, attributes.kind) {
            (Purpose::Password, ConfigType::REPLY) => self.judge_password(cx, attributes),
            (Purpose::Verdict, ConfigType::ACK) => self.verdict_received(cx),
            (Purpose::Address, ConfigType::REPLY) => self.address_received(cx, attributes),
            _ => {
                self.refuse(cx, Refusal::OutOfPlace);
            }
        }
    }

    /// Begins an exchange of ours.
    fn begin_transaction(
        &mut self,
        cx: &mut Context<'_>,
        kind: ConfigType,
        list: Vec<Attribute>,
        purpose: Purpose,
    ) {
        let Some(established) = self.established_mut() else {
            return;
        };
        let message_id = loop {
            let id = random_message_id(cx.rng);
            if !established.seen.contains(id) {
                break id;
            }
        };
        let Some(iv) = established.keys.iv(message_id) else {
            return;
        };
        established.seen.insert(message_id);
        let attributes = Attributes {
            kind,
            identifier: u16::from_be_bytes(random_bytes(cx.rng)),
            list,
        };
        let mut transaction = Transaction {
            iv,
            answered: Answered::default(),
            sent: None,
            retransmit: Some(Retransmit::start(cx.now, &cx.shared.policy.retransmit)),
            deadline: cx.now + LINGER,
            purpose,
        };
        self.send_attributes(cx, message_id, &mut transaction, &attributes);
        self.remember(message_id, transaction);
    }

    fn send_attributes(
        &mut self,
        cx: &mut Context<'_>,
        message_id: u32,
        transaction: &mut Transaction,
        attributes: &Attributes,
    ) {
        let Some(established) = self.established() else {
            return;
        };
        let mut chain = Builder::new();
        chain.push(PayloadType::ATTRIBUTES, attributes.body());
        let keys = &established.keys;
        let hash = hash_1(keys.hash, &keys.skeyid_a, message_id, &chain.emit());
        chain.push_front(PayloadType::HASH, hash.expose());
        let header = self.header(ExchangeType::TRANSACTION, message_id);
        let Some((message, iv)) = keys.message.seal(&transaction.iv, &header, &chain) else {
            return;
        };
        transaction.iv = iv;
        transaction.answered.answer(&message);
        cx.shared.send(&self.path, self.fragments, message.clone());
        transaction.sent = Some(message);
    }

    fn remember(&mut self, message_id: u32, transaction: Transaction) {
        let Some(established) = self.established_mut() else {
            return;
        };
        established.transactions.insert(message_id, transaction);
        if established.transactions.len() > MAX_TRANSACTIONS {
            let oldest = established
                .transactions
                .iter()
                .filter(|(id, known)| **id != message_id && known.retransmit.is_none())
                .min_by_key(|(_, known)| known.deadline)
                .map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                established.transactions.remove(&oldest);
            }
        }
    }

    /// Timers of all transactions, and of the way to name and password.
    pub(super) fn fire_transactions(&mut self, cx: &mut Context<'_>) {
        let (path, fragments) = (self.path, self.fragments);
        let now = cx.now;
        let Some(established) = self.established_mut() else {
            return;
        };
        established
            .transactions
            .retain(|_, known| known.retransmit.is_some() || now < known.deadline);
        let mut gave_up = false;
        for known in established.transactions.values_mut() {
            let Some(retransmit) = &mut known.retransmit else {
                continue;
            };
            match retransmit.fire(now, &cx.shared.policy.retransmit) {
                Due::Wait => {}
                Due::Again => {
                    if let Some(message) = known.sent.clone() {
                        let counters = &mut cx.shared.counters;
                        counters.retransmits = counters.retransmits.wrapping_add(1);
                        cx.shared.send(&path, fragments, message);
                    }
                }
                Due::GiveUp => {
                    known.retransmit = None;
                    gave_up = true;
                }
            }
        }
        if gave_up {
            let reason = self.failure(DownReason::Timeout);
            cx.effects.push(Effect::Ended(reason));
        }
        self.fire_xauth(cx);
    }

    /// When the next of them is due.
    pub(super) fn transactions_due(&self) -> Option<Instant> {
        let established = self.established()?;
        let exchanges = established.transactions.values().map(|known| {
            known
                .retransmit
                .as_ref()
                .map_or(known.deadline, Retransmit::due)
        });
        exchanges.chain(established.xauth.due()).min()
    }
}

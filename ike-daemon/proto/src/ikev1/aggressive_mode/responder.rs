//! The responder's side: AM1 in, AM2 out, AM3 in.
//!
//! An identity without a secret gets the same AM2 as any other, made with a random key, and the
//! same answer to AM3 as a wrong key: nobody learns which groups exist by asking.
//!
//! AM2 is sent again when the peer repeats AM1, as long as all that is sent is no more octets than
//! came, or when it begins a Quick Mode, which shows that AM3 was lost.

use ike_crypto::{Secret, verify};

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, PayloadType};
use crate::ikev1::Session;
use crate::ikev1::main_mode::says_initial_contact;
use crate::ikev1::phase1::begin::choose;
use crate::ikev1::phase1::keys::{Exchanged, HalfExchanged, Phase1Keys, ke_and_nonce};
use crate::ikev1::phase1::{Phase, Step, stay};
use crate::ikev1::received::Received;
use crate::job::DhResult;
use crate::vendor::NatVariant;
use crate::wire::chain::{Builder, Chain};
use crate::wire::id::{IdPayload, Identification};

/// Octets of our nonce (RFC 2409 5: 8 to 256): fewer than in Main Mode, so that AM2 is hardly ever
/// longer than AM1.
const NONCE_LEN: usize = 16;

/// AM1 is in.
#[derive(Debug)]
pub(crate) struct Am1Received {
    pub(in crate::ikev1) half: HalfExchanged,
    group: Group,
    /// SA payload, and vendor ids, of AM2.
    answer: Vec<u8>,
    vendor_ids: Builder,
}

/// Whom AM1 comes from.
#[derive(Debug)]
struct Group {
    /// Body of the ID payload.
    id_body: Vec<u8>,
    identity: Identification,
    secret: Secret,
    /// Whether the secret is one of the policy's, and not made up.
    known: bool,
}

/// AM2 is out.
#[derive(Debug)]
pub(crate) struct Am2Sent {
    pub(in crate::ikev1) exchanged: Exchanged,
    keys: Phase1Keys,
    group: Group,
}

impl Session {
    /// As responder: AM1 of a new exchange. Nothing is kept when it is refused, and no refusal
    /// depends on whether the identity is known.
    pub(crate) fn respond_aggressive(
        cx: &mut Context<'_>,
        message: &Received<'_>,
    ) -> Result<Self, Refusal> {
        let chain = message.chain()?;
        let (agreed, answer) = choose(&cx.shared.policy, message.path, &chain, true, |m| {
            m.uses_secret()
        })?;
        let (peer, ni) = ke_and_nonce(&agreed, &chain)?;
        let id_body = chain.one(PayloadType::ID).map_err(|_| Refusal::Malformed)?;
        let identity = IdPayload::parse(id_body)
            .map_err(|_| Refusal::Malformed)?
            .identity;
        let made_up = Secret::from(random_bytes::<32>(cx.rng).as_slice());
        let secret = cx.shared.policy.secret_of(&identity).cloned();
        let group = Group {
            id_body: id_body.to_vec(),
            identity,
            known: secret.is_some(),
            secret: secret.unwrap_or(made_up),
        };
        let (dh, value) = (agreed.suite.group, peer.clone());
        let nr = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        let half = HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        };
        let mut session = Self::begin_response(cx, message, &chain, Phase::Moving);
        let mut vendor_ids = Builder::new();
        session.answer_vendor_ids(&chain, &mut vendor_ids);
        session.aggressive = true;
        session.phase = Phase::Am1Received(Box::new(Am1Received {
            half,
            group,
            answer,
            vendor_ids,
        }));
        session.answered.request(message.datagram);
        let owner = JobOwner::Phase1(session.id);
        cx.shared.start_exchange(owner, dh, value, cx.rng);
        Ok(session)
    }

    /// The shared secret is there.
    pub(in crate::ikev1) fn send_am2(
        &mut self,
        cx: &mut Context<'_>,
        state: Am1Received,
        result: DhResult,
    ) -> Phase {
        let Am1Received {
            half,
            group,
            answer,
            vendor_ids,
        } = state;
        let Ok(exchanged) = half.join(result, false) else {
            return self.give_up(cx, Refusal::BadKeyExchange);
        };
        let Some(keys) = exchanged.keys(self, &group.secret) else {
            cx.effects.push(Effect::Ended(DownReason::Timeout));
            return Phase::Moving;
        };
        let id = self.own_id();
        let hash = self.phase1_hash(&exchanged, &keys, false, &id);
        let mut am2 = Builder::new();
        am2.push(PayloadType::SA, answer);
        am2.push(PayloadType::KE, exchanged.gxr.clone());
        am2.push(PayloadType::NONCE, exchanged.nr.clone());
        am2.push(PayloadType::ID, id);
        am2.push(PayloadType::HASH, hash.expose());
        am2.append(vendor_ids);
        self.push_nat_d(&exchanged.agreed, &mut am2);
        // Nobody has shown yet that AM1 came from where it says: what is longer waits for AM1 to be
        // repeated.
        let am2 = self.in_clear(ExchangeType::AGGRESSIVE, &am2);
        self.answered.answer(&am2);
        self.answer_within_credit(cx);
        Phase::Am2Sent(Box::new(Am2Sent {
            exchanged,
            keys,
            group,
        }))
    }

    pub(super) fn receive_am3(
        &mut self,
        cx: &mut Context<'_>,
        state: Box<Am2Sent>,
        message: &Received<'_>,
    ) -> Step {
        let (path, header) = (message.path, message.header);
        // RFC 2409 leaves it open whether AM3 is encrypted; with NAT-D payloads it is.
        let encrypted = header.encrypted();
        let opened = if encrypted {
            state.keys.message.open(&state.keys.iv, message.body)
        } else {
            Some((message.body.to_vec(), state.keys.iv))
        };
        let id_body = &state.group.id_body;
        let expected = self.phase1_hash(&state.exchanged, &state.keys, true, id_body);
        let proven = opened.as_ref().and_then(|(plain, last_block)| {
            let chain = Chain::parse_padded(header.next_payload, plain).ok()?;
            let hash = chain.one(PayloadType::HASH).ok()?;
            verify(expected.expose(), hash).then_some((chain, *last_block))
        });
        let (Some((chain, last_block)), true) = (proven, state.group.known) else {
            // To the peer both are the same.
            let reason = if state.group.known {
                Refusal::WrongSecret
            } else {
                Refusal::UnknownGroup
            };
            return stay(Phase::Am2Sent(state), reason);
        };
        // AM3 is the first message that may come over the NAT traversal port; some peers hash the
        // ports they had before.
        let before = self.path;
        self.detect_nat(&state.exchanged.agreed, path, &chain);
        if path.natt_port && !before.natt_port && self.nat.variant != NatVariant::None {
            let now = self.nat;
            self.detect_nat(&state.exchanged.agreed, before, &chain);
            self.nat.local &= now.local;
            self.nat.peer &= now.peer;
        }
        self.pretend_nat();
        let initial_contact = encrypted && says_initial_contact(&chain);
        self.path = path;
        self.answered.request(message.datagram);
        let Am2Sent {
            exchanged,
            keys,
            group,
        } = *state;
        cx.effects.push(Effect::Established { initial_contact });
        let agreed = &exchanged.agreed;
        let mut established = self.complete(cx, agreed, keys, last_block, group.identity);
        // Main Mode is not what such a client expects of us: it rekeys itself.
        established.rekey = None;
        Ok(Phase::Established(Box::new(established)))
    }

    /// A Quick Mode with the cookies of AM2: the peer has it and its AM3 was lost. It sends AM3
    /// again when it gets AM2 again.
    pub(in crate::ikev1) fn am3_is_missing(&mut self, cx: &mut Context<'_>) {
        self.repeat_answer(cx);
    }
}

//! The responder's side: AM1 in, AM2 out, AM3 in.
//!
//! An identity without a secret gets the same AM2 as any other, made with a random key, and the
//! same answer to AM3 as a wrong key: nobody learns which groups exist by asking.
//!
//! AM2 is sent again when the peer repeats AM1, as long as all that is sent is no more octets than
//! came, or when it begins a Quick Mode, which shows that AM3 was lost.

use ike_crypto::{Secret, hash_i, hash_r, verify};

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::{DownReason, Refusal};
use crate::iana::{ExchangeType, PayloadType};
use crate::io::Job;
use crate::job::DhResult;
use crate::nat::Path;
use crate::vendor::NatVariant;
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::Header;
use crate::wire::id::IdPayload;

use crate::ikev1::Session;
use crate::ikev1::main_mode::responder::choose;
use crate::ikev1::main_mode::{
    Exchanged, HalfExchanged, Phase, Phase1Keys, Step, ke_and_nonce, says_initial_contact, stay,
};

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
    identity: crate::wire::id::Identification,
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
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) -> Result<Self, Refusal> {
        let chain = Chain::parse(header.next_payload, body).map_err(|_| Refusal::Malformed)?;
        let (agreed, answer) = choose(&cx.shared.policy, path, &chain, true)?;
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
        let private = agreed.suite.group.private_key(cx.rng);
        let value = peer.clone();
        let nr = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        let half = HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        };
        let mut session = Self::begin_response(cx, path, header, &chain, Phase::Moving);
        let mut vendor_ids = Builder::new();
        session.answer_vendor_ids(&chain, &mut vendor_ids);
        session.aggressive = true;
        session.phase = Phase::Am1Received(Box::new(Am1Received {
            half,
            group,
            answer,
            vendor_ids,
        }));
        session.answered.request(datagram);
        cx.shared.start_job(JobOwner::MainMode(session.id), |id| {
            Job::exchange(id, private, value)
        });
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
        let HalfExchanged {
            agreed,
            ni,
            nr,
            peer,
        } = half;
        let Some(Ok(shared)) = result.shared else {
            self.refuse(cx, Refusal::BadKeyExchange);
            let reason = DownReason::Refused(Refusal::BadKeyExchange);
            cx.effects.push(Effect::Ended(reason));
            return Phase::Moving;
        };
        let exchanged = Exchanged {
            agreed,
            ni,
            nr,
            gxi: peer,
            gxr: result.pair.public().to_vec(),
            shared,
        };
        let Some(keys) = exchanged.keys(self, &group.secret) else {
            cx.effects.push(Effect::Ended(DownReason::Timeout));
            return Phase::Moving;
        };
        let id = IdPayload {
            identity: self.local_identity.clone(),
            protocol: 0,
            port: 0,
        }
        .body();
        let suite = exchanged.agreed.suite;
        let exchange = exchanged.exchange(self);
        let hash = hash_r(suite.hash, &keys.skeyids.skeyid, &exchange, &id);
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
        path: Path,
        header: &Header,
        body: &[u8],
        datagram: &[u8],
    ) -> Step {
        // RFC 2409 leaves it open whether AM3 is encrypted; with NAT-D payloads it is.
        let encrypted = header.encrypted();
        let opened = if encrypted {
            state.keys.message.open(&state.keys.iv, body)
        } else {
            Some((body.to_vec(), state.keys.iv))
        };
        let suite = state.exchanged.agreed.suite;
        let exchange = state.exchanged.exchange(self);
        let skeyid = &state.keys.skeyids.skeyid;
        let expected = hash_i(suite.hash, skeyid, &exchange, &state.group.id_body);
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
        self.nat.local |= self.force_encapsulation && self.nat.variant != NatVariant::None;
        let initial_contact = encrypted && says_initial_contact(&chain);
        self.path = path;
        self.answered.request(datagram);
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

//! The initiator's side: AM1 out, AM2 in, AM3 out. AM1 holds a public value, so all that is offered
//! is of one group.

use ike_crypto::{KeyPair, verify};

use crate::context::{Context, Effect, JobOwner, random_bytes};
use crate::error::Refusal;
use crate::iana::{ExchangeType, PayloadType};
use crate::ikev1::phase1::begin::{accept, cookie};
use crate::ikev1::phase1::keys::{Agreed, HalfExchanged, NONCE_LEN, ke_and_nonce};
use crate::ikev1::phase1::{Phase, Step, stay};
use crate::ikev1::received::Received;
use crate::ikev1::{Established, Session};
use crate::io::{IkeId, Job};
use crate::job::DhResult;
use crate::nat::Path;
use crate::negotiate::offer_phase1;
use crate::policy::{Method, Phase1Policy};
use crate::retransmit::Retransmit;
use crate::wire::chain::Builder;
use crate::wire::id::{IdPayload, Identification};
use crate::wire::sa::SaPayload;

/// Our public value is being computed.
#[derive(Debug)]
pub(crate) struct Am1Wanted {
    offer: SaPayload,
    vendor_ids: Builder,
}

/// AM1 is out.
#[derive(Debug)]
pub(crate) struct Am1Sent {
    offer: SaPayload,
    pair: KeyPair,
    ni: Vec<u8>,
}

/// AM2 is in, the shared secret is being computed.
#[derive(Debug)]
pub(crate) struct Am2Received {
    pub(in crate::ikev1) half: HalfExchanged,
    claim: Claim,
}

/// Who the responder says it is, and its proof.
#[derive(Debug)]
struct Claim {
    /// Body of the ID payload.
    id_body: Vec<u8>,
    identity: Identification,
    hash: Vec<u8>,
}

/// What AM2 says.
struct Am2 {
    agreed: Agreed,
    /// The responder's public value and nonce.
    peer: Vec<u8>,
    nr: Vec<u8>,
    claim: Claim,
}

impl Session {
    /// As initiator: asks for what AM1 needs.
    pub(crate) fn initiate_aggressive(
        cx: &mut Context<'_>,
        path: Path,
        local_identity: Identification,
        methods: &[Method],
    ) -> Option<Self> {
        let terms = cx.shared.policy.terms(path.peer.ip());
        let group = *terms.phase1.groups.first()?;
        let phase1 = Phase1Policy {
            groups: vec![group],
            ..terms.phase1.clone()
        };
        let methods: Vec<Method> = methods
            .iter()
            .copied()
            .filter(|method| method.uses_secret())
            .collect();
        let offer = offer_phase1(&phase1, &methods);
        if methods.is_empty() || offer.proposals.iter().all(|p| p.transforms.is_empty()) {
            return None;
        }
        let vendor_ids = Self::own_vendor_ids(cx, path, &methods);
        let id = IkeId(cx.shared.number());
        let cookies = (cookie(cx), [0; 8]);
        let phase = Phase::Am1Wanted(Box::new(Am1Wanted { offer, vendor_ids }));
        let mut session = Self::new(id, true, cookies, path, local_identity, cx.now, phase);
        session.wish_encapsulation(cx);
        let private = group.private_key(cx.rng);
        cx.shared
            .start_job(JobOwner::Phase1(id), |id| Job::generate(id, private));
        Some(session)
    }

    /// Our public value is there.
    pub(in crate::ikev1) fn send_am1(
        &mut self,
        cx: &mut Context<'_>,
        state: Am1Wanted,
        pair: KeyPair,
    ) -> Phase {
        let Am1Wanted { offer, vendor_ids } = state;
        let ni = random_bytes::<NONCE_LEN>(cx.rng).to_vec();
        let mut am1 = Builder::new();
        am1.push(PayloadType::SA, offer.body());
        am1.push(PayloadType::KE, pair.public());
        am1.push(PayloadType::NONCE, ni.clone());
        am1.push(PayloadType::ID, self.own_id());
        am1.append(vendor_ids);
        self.send_clear(cx, ExchangeType::AGGRESSIVE, &am1);
        Phase::Am1Sent(Box::new(Am1Sent { offer, pair, ni }))
    }

    pub(super) fn receive_am2(
        &mut self,
        cx: &mut Context<'_>,
        state: Box<Am1Sent>,
        message: &Received<'_>,
    ) -> Step {
        match self.read_am2(cx, &state, message) {
            Err(reason) => stay(Phase::Am1Sent(state), reason),
            Ok(am2) => {
                self.retransmit = None;
                self.sent = None;
                self.answered.request(message.datagram);
                let Am1Sent { pair, ni, .. } = *state;
                let half = self.agree(cx, am2.agreed, pair, ni, am2.nr, am2.peer);
                let claim = am2.claim;
                Ok(Phase::Am2Received(Box::new(Am2Received { half, claim })))
            }
        }
    }

    fn read_am2(
        &mut self,
        cx: &Context<'_>,
        state: &Am1Sent,
        message: &Received<'_>,
    ) -> Result<Am2, Refusal> {
        let malformed = |_| Refusal::Malformed;
        let header = message.header;
        if header.encrypted() || header.responder_cookie == [0; 8] {
            return Err(Refusal::Malformed);
        }
        let chain = message.chain()?;
        let agreed = accept(&chain, &state.offer)?;
        let (peer, nr) = ke_and_nonce(&agreed, &chain)?;
        let id_body = chain.one(PayloadType::ID).map_err(malformed)?.to_vec();
        let claim = Claim {
            identity: IdPayload::parse(&id_body).map_err(malformed)?.identity,
            id_body,
            hash: chain.one(PayloadType::HASH).map_err(malformed)?.to_vec(),
        };
        self.learn(cx, &chain);
        self.cky_r = header.responder_cookie;
        self.detect_nat(&agreed, message.path, &chain);
        Ok(Am2 {
            agreed,
            peer,
            nr,
            claim,
        })
    }

    /// The shared secret is there: whether the responder has the key, and AM3.
    pub(in crate::ikev1) fn send_am3(
        &mut self,
        cx: &mut Context<'_>,
        state: Am2Received,
        result: DhResult,
    ) -> Phase {
        match self.conclude_aggressive(cx, state, result) {
            Ok(established) => Phase::Established(Box::new(established)),
            Err(reason) => self.give_up(cx, reason),
        }
    }

    fn conclude_aggressive(
        &mut self,
        cx: &mut Context<'_>,
        state: Am2Received,
        result: DhResult,
    ) -> Result<Established, Refusal> {
        let Am2Received { half, claim } = state;
        let exchanged = half
            .join(result, true)
            .map_err(|_| Refusal::BadKeyExchange)?;
        let keys = self
            .initiator_keys(cx, &exchanged)
            .ok_or(Refusal::NoSecret)?;
        let expected = self.phase1_hash(&exchanged, &keys, false, &claim.id_body);
        if !verify(expected.expose(), &claim.hash) {
            return Err(Refusal::WrongSecret);
        }
        if !self.expects(&claim.identity) {
            return Err(Refusal::WrongIdentity);
        }
        self.pretend_nat();
        // The NAT-D payloads of AM3 are for the ports that AM1 and AM2 had.
        let mut am3 = Builder::new();
        let hash = self.phase1_hash(&exchanged, &keys, true, &self.own_id());
        am3.push(PayloadType::HASH, hash.expose());
        self.push_nat_d(&exchanged.agreed, &mut am3);
        if self.nat.detected() {
            self.float(cx.shared.policy.nat.natt_port);
        }
        self.push_initial_contact(&mut am3);
        let header = self.header(ExchangeType::AGGRESSIVE, 0);
        let (message, last_block) = keys
            .message
            .seal(&keys.iv, &header, &am3)
            .ok_or(Refusal::Malformed)?;
        cx.shared.send(&self.path, self.fragments, message.clone());
        self.answered.answer(&message);
        let method = exchanged.agreed.method;
        let established = self.complete(cx, &exchanged.agreed, keys, last_block, claim.identity);
        if method.uses_xauth() {
            // Nothing of ours comes next that would show the responder that AM3 was lost.
            self.retransmit = Some(Retransmit::start(cx.now, &cx.shared.policy.retransmit));
            self.sent = Some(message);
        }
        cx.effects.push(Effect::Established {
            initial_contact: false,
        });
        Ok(established)
    }
}

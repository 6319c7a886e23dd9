//! How phase 1 begins: the SA payload (RFC 2408 4.2) and the vendor ids of the first message and of
//! its answer, whoever begins.

use crate::context::{Context, random_bytes};
use crate::error::Refusal;
use crate::iana::{EspTransform, PayloadType};
use crate::ikev1::Session;
use crate::ikev1::received::Received;
use crate::io::IkeId;
use crate::nat::Path;
use crate::negotiate::{accept_phase1, choose_phase1, offers_only_3des};
use crate::policy::{EspSuite, Fragmentation, Method, Policy};
use crate::vendor;
use crate::vendor::{Capabilities, NatVariant};
use crate::wire::chain::{Builder, Chain};
use crate::wire::id::Identification;
use crate::wire::sa::SaPayload;

use super::Phase;
use super::keys::Agreed;

impl Session {
    /// The session of an exchange that a peer begins.
    pub(in crate::ikev1) fn begin_response(
        cx: &mut Context<'_>,
        message: &Received<'_>,
        chain: &Chain<'_>,
        phase: Phase,
    ) -> Self {
        let path = message.path;
        let local_identity = identity_for(&cx.shared.policy, None, path);
        let id = IkeId(cx.shared.number());
        let cookies = (message.header.initiator_cookie, cookie(cx));
        let mut session = Self::new(id, false, cookies, path, local_identity, cx.now, phase);
        session.first_source = Some(path.peer);
        session.learn(cx, chain);
        // Who knows nothing better than 3DES in phase 1 will want it in phase 2.
        let phase2 = cx.shared.policy.terms(path.peer.ip()).phase2;
        let des = |suite: &EspSuite| suite.cipher == EspTransform::TRIPLE_DES;
        let old = cx.shared.carriers.soft_has_more(phase2, des)
            && chain
                .one(PayloadType::SA)
                .and_then(SaPayload::parse)
                .is_ok_and(|sa| offers_only_3des(&sa));
        session.force_encapsulation = old || cx.shared.wants_encapsulation(cx.now, path.peer.ip());
        session
    }

    /// The vendor ids that answer those of a first message.
    pub(in crate::ikev1) fn answer_vendor_ids(&self, chain: &Chain<'_>, answer: &mut Builder) {
        let capabilities = Capabilities::from_vendor_ids(chain.all(PayloadType::VENDOR_ID));
        let natt = capabilities
            .natt_answer
            .filter(|_| self.nat.variant != NatVariant::None);
        let dpd = self.dpd_supported.then_some(vendor::DPD);
        let fragmentation = capabilities.fragmentation.filter(|_| self.fragments);
        let with_user = self
            .phase
            .agreed()
            .is_some_and(|(_, method)| method.uses_xauth());
        let xauth = (capabilities.xauth && with_user).then_some(vendor::XAUTH);
        let unity = (capabilities.unity && with_user).then_some(vendor::UNITY);
        for id in [natt, dpd, xauth, unity, fragmentation]
            .into_iter()
            .flatten()
        {
            answer.push(PayloadType::VENDOR_ID, id);
        }
    }

    /// Decides whether to be behind NAT: without a suite of the system's kernel only softkernel is
    /// left.
    pub(in crate::ikev1) fn wish_encapsulation(&mut self, cx: &mut Context<'_>) {
        let peer = self.path.peer.ip();
        let phase2 = cx.shared.policy.terms(peer).phase2;
        let system = cx.shared.carriers.system.as_ref();
        let possible = system.is_none_or(|system| {
            phase2
                .allowed_suites()
                .any(|suite| system.has(suite, phase2.sha256_icv.is_short()))
        });
        self.force_encapsulation = !possible || cx.shared.wants_encapsulation(cx.now, peer);
    }

    /// The vendor ids of a first message of ours.
    pub(in crate::ikev1) fn own_vendor_ids(
        cx: &Context<'_>,
        path: Path,
        methods: &[Method],
    ) -> Builder {
        let mut chain = Builder::new();
        let terms = cx.shared.policy.terms(path.peer.ip());
        let drafts = [vendor::NATT_03, vendor::NATT_02_N, vendor::NATT_02];
        let drafts = drafts.into_iter().filter(|_| terms.nat.drafts);
        if terms.nat.enabled {
            for id in [vendor::RFC_3947].into_iter().chain(drafts) {
                chain.push(PayloadType::VENDOR_ID, id);
            }
        }
        chain.push(PayloadType::VENDOR_ID, vendor::DPD);
        if methods.iter().any(|method| method.uses_xauth()) {
            chain.push(PayloadType::VENDOR_ID, vendor::XAUTH);
            chain.push(PayloadType::VENDOR_ID, vendor::UNITY);
        }
        if terms.fragmentation != Fragmentation::Off {
            chain.push(PayloadType::VENDOR_ID, vendor::FRAGMENTATION_CAPABLE);
        }
        chain
    }

    /// What the peer's vendor ids say, as far as the policy wants to know.
    pub(in crate::ikev1) fn learn(&mut self, cx: &Context<'_>, chain: &Chain<'_>) {
        let capabilities = Capabilities::from_vendor_ids(chain.all(PayloadType::VENDOR_ID));
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        let is_draft = capabilities.natt == NatVariant::Draft;
        if terms.nat.enabled && (terms.nat.drafts || !is_draft) {
            self.nat.variant = capabilities.natt;
        }
        self.dpd_supported = capabilities.dpd;
        self.fragments =
            capabilities.fragmentation.is_some() && terms.fragmentation != Fragmentation::Off;
        self.vendor_initial_contact = capabilities.initial_contact;
        self.vendor = capabilities.vendor.map(str::to_owned);
    }
}

/// What we choose of the SA payload of a first message, and the SA payload that says so. `secret`
/// tells whether there is a pre-shared key for the peer, `of_exchange` which methods the exchange has.
pub(in crate::ikev1) fn choose(
    policy: &Policy,
    path: Path,
    chain: &Chain<'_>,
    secret: bool,
    of_exchange: impl Fn(&Method) -> bool,
) -> Result<(Agreed, Vec<u8>), Refusal> {
    let terms = policy.terms(path.peer.ip());
    let can =
        |method: &Method| of_exchange(method) && terms.authentication.can(*method, false, secret);
    let methods: Vec<Method> = Method::ALL.into_iter().filter(can).collect();
    let sai_b = chain.one(PayloadType::SA).map_err(|_| Refusal::Malformed)?;
    let sa = SaPayload::parse(sai_b).map_err(|_| Refusal::Malformed)?;
    let choice = choose_phase1(&sa, terms.phase1, &methods)?;
    let agreed = Agreed {
        suite: choice.suite,
        method: choice.method,
        lifetime: choice.lifetime,
        sai_b: sai_b.to_vec(),
    };
    Ok((agreed, choice.answer))
}

/// As initiator: what the responder chose of our offer.
pub(in crate::ikev1) fn accept(chain: &Chain<'_>, offer: &SaPayload) -> Result<Agreed, Refusal> {
    let answer = chain
        .one(PayloadType::SA)
        .and_then(SaPayload::parse)
        .map_err(|_| Refusal::Malformed)?;
    let choice = accept_phase1(&answer, offer)?;
    Ok(Agreed {
        suite: choice.suite,
        method: choice.method,
        lifetime: choice.lifetime,
        sai_b: offer.body(),
    })
}

/// Who we are to a peer.
pub(crate) fn identity_for(
    policy: &Policy,
    connection: Option<&str>,
    path: Path,
) -> Identification {
    explicit_identity(policy, connection, path)
        .unwrap_or_else(|| Identification::from_address(path.local.ip()))
}

/// Who the policy says we are to a peer.
pub(in crate::ikev1) fn explicit_identity(
    policy: &Policy,
    connection: Option<&str>,
    path: Path,
) -> Option<Identification> {
    connection
        .and_then(|name| policy.connection(name))
        .and_then(|connection| connection.local_identity.clone())
        .or_else(|| policy.terms(path.peer.ip()).local_identity.cloned())
}

/// A cookie: random, never zero.
pub(in crate::ikev1) fn cookie(cx: &mut Context<'_>) -> ike_crypto::Cookie {
    loop {
        let cookie = random_bytes(cx.rng);
        if cookie != [0; 8] {
            return cookie;
        }
    }
}

//! Authentication by signatures: RFC 2409 5.1, with the payloads of RFC 4945 3.2 and 3.3.
//!
//! ```text
//!   MM3   HDR, KE, Ni                       -->
//!                                           <--   HDR, KE, Nr, CERTREQ*          MM4
//!   MM5   HDR*, IDii, CERT*, SIG_I, CERTREQ*  -->
//!                                           <--   HDR*, IDir, CERT*, SIG_R       MM6
//! ```
//!
//! Signatures are checked and made by jobs; while one runs the exchange waits in a state of its own.

use std::sync::Arc;

use ike_crypto::Secret;

use crate::claim::{Claim, ClaimError, ToSign};
use crate::context::{Context, JobOwner, random_bytes};
use crate::error::Refusal;
use crate::iana::PayloadType;
use crate::job::{Authenticate, Job};
use crate::policy::{Authentication, OwnCertificate, Proof};
use crate::wire::cert::CertPayload;
use crate::wire::chain::{Builder, Chain};
use crate::wire::id::Identification;

use super::Session;
use super::main_mode::Presented;
use super::phase1::begin::explicit_identity;
use super::phase1::keys::{Exchanged, Phase1Keys};

/// The most authorities named in requests; beyond that any certificate is asked for.
const MAX_REQUESTS: usize = 16;

/// Attempts at a signature within one exchange.
pub(super) const MAX_CLAIMS: u32 = 3;

impl Session {
    /// Our certificate for what this side of the exchange has to send.
    pub(super) fn own_certificate(
        &self,
        cx: &Context<'_>,
        exchanged: &Exchanged,
    ) -> Option<Arc<OwnCertificate>> {
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        match exchanged.agreed.method.proof(self.initiator) {
            Proof::Hash => None,
            Proof::Signature(kind) => terms.authentication.own(kind).cloned(),
        }
    }

    /// Who we are, once the method is known: with a certificate its subject, when nothing else is
    /// configured.
    pub(super) fn settle_identity(&mut self, cx: &Context<'_>, own: Option<&Arc<OwnCertificate>>) {
        let explicit = explicit_identity(&cx.shared.policy, self.connection.as_deref(), self.path);
        let subject = own
            .and_then(|own| own.chain.first())
            .map(|certificate| certificate.subject())
            .filter(|subject| !subject.is_empty());
        if let (None, Some(subject)) = (explicit, subject) {
            self.local_identity = Identification::from_name(subject);
        }
    }

    /// Starts the job that checks what the peer presents, if it signs, and makes our signature, if
    /// we do.
    pub(super) fn start_authentication(
        &self,
        cx: &mut Context<'_>,
        exchanged: &Exchanged,
        keys: &Phase1Keys,
        presented: Option<&Presented>,
        own: Option<&Arc<OwnCertificate>>,
    ) {
        let method = exchanged.agreed.method;
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        let claim = match (presented, method.proof(!self.initiator)) {
            (Some(presented), Proof::Signature(kind)) => Some(Claim {
                identity: presented.identity.clone(),
                certificates: presented.certificates.clone(),
                kind,
                hash: self.phase1_hash(exchanged, keys, !self.initiator, &presented.id_body),
                signature: presented.proof.clone(),
                trust: Arc::clone(&terms.authentication.trust),
                peers: Arc::clone(&terms.authentication.peers),
            }),
            _ => None,
        };
        let sign = own.map(|own| ToSign {
            key: own.key.clone(),
            hash: self.phase1_hash(exchanged, keys, self.initiator, &self.own_id()),
            seed: Secret::from(random_bytes::<32>(cx.rng).as_slice()),
        });
        cx.shared.start_job(JobOwner::Phase1(self.id), |id| {
            Job::authenticate(id, Authenticate { claim, sign })
        });
    }

    /// What we prove ourselves with: SIG behind our certificates, or HASH.
    pub(super) fn push_proof(
        &self,
        cx: &Context<'_>,
        own: Option<&Arc<OwnCertificate>>,
        proof: &[u8],
        chain: &mut Builder,
    ) {
        let Some(own) = own else {
            chain.push(PayloadType::HASH, proof);
            return;
        };
        let terms = cx.shared.policy.terms(self.path.peer.ip());
        if terms.authentication.send_certificate {
            for certificate in &own.chain {
                let payload = CertPayload::x509(certificate.der());
                chain.push(PayloadType::CERT, payload.body());
            }
        }
        chain.push(PayloadType::SIG, proof);
    }

    /// Asks the peer for a certificate by one of our authorities, if it is to sign.
    pub(super) fn push_requests(&self, cx: &Context<'_>, peer_proof: Proof, chain: &mut Builder) {
        let authentication = cx.shared.policy.terms(self.path.peer.ip()).authentication;
        if peer_proof == Proof::Hash || !authentication.request_certificate {
            return;
        }
        for name in requests(authentication) {
            chain.push(PayloadType::CR, CertPayload::x509(&name).body());
        }
    }

    /// A claim that does not hold is told to the operator with its reason.
    pub(super) fn refuse_claim(
        &mut self,
        cx: &mut Context<'_>,
        identity: &Identification,
        error: &ClaimError,
    ) -> Refusal {
        let reason = error.refusal();
        self.claims = self.claims.saturating_add(1);
        if self.refuse(cx, reason) {
            cx.shared.event(crate::io::Event::CertificateRefused {
                peer: self.path.peer,
                identity: identity.clone(),
                detail: error.to_string(),
            });
        }
        reason
    }
}

/// The names to ask for: of every authority, or one empty name for any.
fn requests(authentication: &Authentication) -> Vec<Vec<u8>> {
    let authorities: Vec<Vec<u8>> = authentication
        .trust
        .anchors()
        .iter()
        .filter(|anchor| anchor.is_authority())
        .map(|anchor| anchor.subject().der().to_vec())
        .take(MAX_REQUESTS.saturating_add(1))
        .collect();
    if authorities.len() > MAX_REQUESTS {
        return vec![Vec::new()];
    }
    authorities
}

/// The certificates that came, as octets.
pub(super) fn read_certificates(chain: &Chain<'_>) -> Vec<CertPayload> {
    chain
        .all(PayloadType::CERT)
        .filter_map(|body| CertPayload::parse(body).ok())
        .collect()
}

//! A peer's claim to be somebody, proved by signature and certificate (RFC 2409 5.1, RFC 4945 3), and
//! the making of ours. Runs as a job, on any thread.

use std::sync::Arc;

use ike_crypto::Secret;
use ike_pki::encoding::pkcs7_certificates;
use ike_pki::{Certificate, PathError, PrivateKey, SignatureError, SignatureKind, Subject};
use ike_pki::{TrustStore, validate};

use crate::error::Refusal;
use crate::iana::{CertEncoding, IdType};
use crate::policy::PeerPattern;
use crate::wire::cert::CertPayload;
use crate::wire::id::Identification;

/// The most certificates of a peer that are read; what follows is not looked at.
const MAX_CERTIFICATES: usize = 10;

/// What a peer says, and what it must hold against.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) identity: Identification,
    pub(crate) certificates: Vec<CertPayload>,
    pub(crate) kind: SignatureKind,
    /// HASH_I or HASH_R.
    pub(crate) hash: Secret,
    pub(crate) signature: Vec<u8>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) peers: Arc<Vec<PeerPattern>>,
}

/// A hash to sign.
#[derive(Debug)]
pub(crate) struct ToSign {
    pub(crate) key: PrivateKey,
    pub(crate) hash: Secret,
    /// 32 random octets.
    pub(crate) seed: Secret,
}

/// What is wrong with a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("no certificate came, and none for this identity is trusted here")]
    NoCertificate,
    #[error("none of its certificates can be read")]
    Unreadable,
    #[error("none of its certificates is for this identity")]
    NotForIdentity,
    #[error("{0}")]
    Path(#[from] PathError),
    #[error("the signature does not hold")]
    Signature(#[from] SignatureError),
    #[error("trusted, but nobody who may come in here")]
    NotAllowed,
}

impl ClaimError {
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::NoCertificate | Self::Unreadable => Refusal::NoCertificate,
            Self::NotForIdentity => Refusal::CertificateIdentity,
            Self::Path(PathError::Expired(_) | PathError::NotYetValid(_)) => {
                Refusal::ExpiredCertificate
            }
            Self::Path(PathError::Revoked(_)) => Refusal::RevokedCertificate,
            Self::Path(PathError::BadRevocationList(_)) => Refusal::StaleRevocationList,
            Self::Path(_) => Refusal::UntrustedCertificate,
            Self::Signature(_) => Refusal::BadSignature,
            Self::NotAllowed => Refusal::WrongIdentity,
        }
    }
}

impl Claim {
    /// Whether the peer is who it says, at `wall` (Unix time).
    pub(crate) fn check(&self, wall: u64) -> Result<(), ClaimError> {
        let came = self.read();
        if came.is_empty() && !self.certificates.is_empty() {
            return Err(ClaimError::Unreadable);
        }
        let subject = subject(&self.identity).ok_or(ClaimError::NotForIdentity)?;
        let fits = |certificate: &&Certificate| {
            certificate.key().kind() == self.kind && certificate.vouches_for(&subject)
        };
        // Without any, the peer relies on our having it.
        let (leaf, missing) = if came.is_empty() {
            let pinned = self.trust.anchors().iter().filter(|a| !a.is_authority());
            (pinned.into_iter().find(fits), ClaimError::NoCertificate)
        } else {
            (came.iter().find(fits), ClaimError::NotForIdentity)
        };
        let leaf = leaf.ok_or(missing)?;
        leaf.key()
            .verify_hash(self.hash.expose(), &self.signature)?;
        validate(leaf, &came, &self.trust, wall)?;
        let allowed = |pattern: &PeerPattern| match pattern {
            PeerPattern::Identity(identity) => identity.matches(&self.identity),
            PeerPattern::Name(pattern) => pattern.matches(leaf.subject()),
        };
        if self.peers.is_empty() || self.peers.iter().any(allowed) {
            Ok(())
        } else {
            Err(ClaimError::NotAllowed)
        }
    }

    /// The certificates that came, as far as they can be read.
    fn read(&self) -> Vec<Certificate> {
        let mut read = Vec::new();
        for payload in &self.certificates {
            let room = MAX_CERTIFICATES.saturating_sub(read.len());
            match payload.encoding {
                CertEncoding::X509_SIGNATURE if room > 0 => {
                    read.extend(Certificate::from_der(&payload.data));
                }
                CertEncoding::PKCS7 if room > 0 => {
                    let wrapped = pkcs7_certificates(&payload.data, room).unwrap_or_default();
                    read.extend(wrapped.iter().flat_map(|der| Certificate::from_der(der)));
                }
                _ => {}
            }
        }
        read
    }
}

impl ToSign {
    pub(crate) fn sign(self) -> Result<Vec<u8>, SignatureError> {
        self.key.sign_hash(self.hash.expose(), self.seed)
    }
}

/// An identity as a certificate can carry it; a key id or a subnet it cannot.
fn subject(identity: &Identification) -> Option<Subject<'_>> {
    let text = || std::str::from_utf8(&identity.data).ok();
    match identity.kind {
        IdType::DER_ASN1_DN => Some(Subject::Name(&identity.data)),
        IdType::FQDN => text().map(Subject::Dns),
        IdType::USER_FQDN => text().map(Subject::Mail),
        _ => identity.address().map(Subject::Address),
    }
}

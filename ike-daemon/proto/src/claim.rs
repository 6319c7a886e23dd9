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
    /// Whether the peer is who it says, at `wall` (Unix time); its certificate, in DER.
    pub(crate) fn check(&self, wall: u64) -> Result<Vec<u8>, ClaimError> {
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
            Ok(leaf.der().to_vec())
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

#[cfg(test)]
mod tests {
    use ike_pki::encoding::{certificates, private_key};

    use super::*;

    /// 2030.
    const NOW: u64 = 1_893_456_000;

    fn file(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../pki/tests/fixtures");
        std::fs::read(format!("{folder}/{name}")).unwrap()
    }

    fn der(name: &str) -> Vec<u8> {
        certificates(&file(name)).unwrap()[0].der().to_vec()
    }

    fn payload(encoding: u8, data: Vec<u8>) -> CertPayload {
        CertPayload {
            encoding: CertEncoding(encoding),
            data,
        }
    }

    fn ann() -> Claim {
        let mut trust = TrustStore::default();
        trust.add_anchor(certificates(&file("root.pem")).unwrap().remove(0));
        let key = private_key(&file("client.key.pem")).unwrap();
        let hash = Secret::from(vec![7; 32]);
        Claim {
            identity: "dn:C=CH, O=tanuki, CN=ann".parse().unwrap(),
            certificates: vec![CertPayload::x509(&der("client.pem"))],
            kind: SignatureKind::Rsa,
            signature: key
                .sign_hash(hash.expose(), Secret::from(vec![0; 32]))
                .unwrap(),
            hash,
            trust: Arc::new(trust),
            peers: Arc::default(),
        }
    }

    #[test]
    fn certificates_among_others() {
        let ann_is = ann();
        assert_eq!(ann_is.check(NOW), Ok(ann_is.certificates[0].data.clone()));
        let mut claim = ann();
        // Lists, requests, rubbish and other people's before the one that counts.
        let rubbish = [
            payload(7, file("root.crl.pem")),
            payload(4, Vec::new()),
            payload(4, vec![0x30; 3000]),
            payload(0, der("client.pem")),
            payload(255, vec![1]),
            CertPayload::x509(&der("server.pem")),
        ];
        claim.certificates.splice(0..0, rubbish);
        assert!(claim.check(NOW).is_ok());
    }

    #[test]
    fn hundreds_of_certificates() {
        let mut claim = ann();
        claim.certificates = vec![CertPayload::x509(&der("middle.pem")); 300];
        claim
            .certificates
            .push(CertPayload::x509(&der("client.pem")));
        // Only the first ones are looked at.
        assert_eq!(claim.check(NOW), Err(ClaimError::NotForIdentity));
        claim.certificates = vec![payload(4, vec![0xff; 100]); 300];
        assert_eq!(claim.check(NOW), Err(ClaimError::Unreadable));
        claim.certificates = vec![payload(1, file("chain.p7.der")); 300];
        assert_eq!(claim.check(NOW), Err(ClaimError::NotForIdentity));
    }

    /// CVE-2013-6075 and its kind: identities that are no names, or no whole ones.
    #[test]
    fn identities_that_are_in_no_certificate() {
        let name = ann().identity.data;
        let mut identities: Vec<Identification> = (0..name.len())
            .map(|len| Identification {
                kind: IdType::DER_ASN1_DN,
                data: name[..len].to_vec(),
            })
            .collect();
        for kind in 0..=255 {
            for data in [
                vec![],
                vec![0],
                vec![0x30, 0],
                vec![0x30, 0x84, 0xff],
                vec![0xff; 16],
            ] {
                let kind = IdType(kind);
                identities.push(Identification { kind, data });
            }
        }
        let mut claim = ann();
        for identity in identities {
            claim.identity = identity;
            assert_eq!(
                claim.check(NOW),
                Err(ClaimError::NotForIdentity),
                "{}",
                claim.identity
            );
        }
    }

    #[test]
    fn signatures_that_are_none() {
        for signature in [
            vec![],
            vec![0],
            vec![0; 256],
            vec![0xff; 256],
            vec![1; 70_000],
        ] {
            let mut claim = ann();
            claim.signature = signature;
            assert_eq!(claim.check(NOW), Err(ClaimError::Signature(SignatureError)));
        }
        // Another kind of key than was agreed on.
        let mut claim = ann();
        claim.kind = SignatureKind::EcdsaP256;
        assert_eq!(claim.check(NOW), Err(ClaimError::NotForIdentity));
    }
}

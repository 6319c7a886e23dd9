//! From a peer's certificate to an authority that is believed: RFC 5280 6, as far as IKE needs it
//! (RFC 4945 5.1): names chain, signatures hold, everything is valid now, authorities are
//! authorities and within their path length, nothing is revoked, and no critical extension is
//! passed over. Work is bounded: so many signatures, so many steps.

use std::fmt;

use thiserror::Error;
use x509_cert::der::asn1::ObjectIdentifier;

use crate::certificate::Certificate;
use crate::name::DistinguishedName;
use crate::trust::TrustStore;

/// The most authorities between a certificate and an anchor.
const MAX_DEPTH: usize = 6;

/// The most signatures checked for one peer, lists included.
const MAX_SIGNATURES: usize = 24;

/// Why a certificate is not believed. What stands in it has come from the peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// Nobody we believe signed it, nor anybody who leads there.
    #[error("no authority that is trusted here has issued {0}")]
    UnknownIssuer(Text),
    /// A signature does not hold.
    #[error("the signature under {0} does not hold")]
    BadSignature(Text),
    /// Over.
    #[error("{0} has expired")]
    Expired(Text),
    /// Not begun.
    #[error("{0} is not valid yet; is the clock right?")]
    NotYetValid(Text),
    /// Taken back by its issuer.
    #[error("{0} is revoked")]
    Revoked(Text),
    /// There is a revocation list, and it is too old, too young or not by the authority.
    #[error("the revocation list of {0} is not current or not its own")]
    BadRevocationList(Text),
    /// Signed by what is no authority.
    #[error("{0} is not an authority and has issued certificates")]
    NotAnAuthority(Text),
    /// More authorities below than it allows.
    #[error("{0} allows no authorities so deep below itself")]
    PathTooLong(Text),
    /// A critical extension we do not know.
    #[error("{0} has a critical extension that is not understood here")]
    CriticalExtension(Text),
    /// Not for signatures, or not for IPsec.
    #[error("{0} is not for authentication (keyUsage, extendedKeyUsage)")]
    WrongUsage(Text),
    /// A short key, or an old hash.
    #[error("{0} has a key or signature too weak to be believed")]
    TooWeak(Text),
    /// More signatures than are checked for one peer.
    #[error("too many certificates to try")]
    TooMuchWork,
}

/// A name for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl From<&DistinguishedName> for Text {
    fn from(name: &DistinguishedName) -> Self {
        // A peer's name is as long as it likes; a log line is not.
        Self(name.to_string().chars().take(200).collect())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key purposes that allow IPsec: any, serverAuth, clientAuth, ipsecEndSystem, ipsecTunnel,
/// ipsecUser, ipsecIKE (RFC 4945 5.1.3.12) and iKEIntermediate, which Windows and macOS look for.
const PURPOSES: [ObjectIdentifier; 8] = [
    ObjectIdentifier::new_unwrap("2.5.29.37.0"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.5"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.6"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.7"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.17"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.8.2.2"),
];

/// Whether `leaf` is believed at `now` (Unix time), over authorities among `others` if need be.
///
/// # Errors
/// The reason of the way that came furthest.
pub fn validate(
    leaf: &Certificate,
    others: &[Certificate],
    trust: &TrustStore,
    now: u64,
) -> Result<(), PathError> {
    let mut walk = Walk {
        others,
        trust,
        now,
        signatures: 0,
    };
    walk.check_leaf(leaf)?;
    if trust.anchors().contains(leaf) {
        return Ok(());
    }
    walk.climb(leaf, 0)
}

struct Walk<'a> {
    others: &'a [Certificate],
    trust: &'a TrustStore,
    now: u64,
    signatures: usize,
}

impl Walk<'_> {
    fn check_leaf(&self, leaf: &Certificate) -> Result<(), PathError> {
        self.check(leaf)?;
        let extensions = leaf.extensions();
        let signs = extensions
            .key_usage
            .is_none_or(|usage| usage.digital_signature() || usage.non_repudiation());
        let purpose = extensions
            .purposes
            .as_ref()
            .is_none_or(|own| own.iter().any(|purpose| PURPOSES.contains(purpose)));
        if signs && purpose {
            Ok(())
        } else {
            Err(PathError::WrongUsage(leaf.subject().into()))
        }
    }

    /// What every certificate on the way must satisfy.
    fn check(&self, certificate: &Certificate) -> Result<(), PathError> {
        let name = || Text::from(certificate.subject());
        let (not_before, not_after) = certificate.validity();
        if self.now < not_before {
            return Err(PathError::NotYetValid(name()));
        }
        if self.now > not_after {
            return Err(PathError::Expired(name()));
        }
        if certificate.extensions().unknown_critical.is_some() {
            return Err(PathError::CriticalExtension(name()));
        }
        if !self.trust.allows_key(certificate.key()) {
            return Err(PathError::TooWeak(name()));
        }
        Ok(())
    }

    /// From `below`, which has `authorities` below itself that were not self-issued, to an anchor.
    fn climb(&mut self, below: &Certificate, authorities: usize) -> Result<(), PathError> {
        if !self.trust.allows_hash(below.signature_hash()) {
            return Err(PathError::TooWeak(below.subject().into()));
        }
        let mut why = PathError::UnknownIssuer(below.subject().into());
        let trust = self.trust;
        for anchor in trust
            .anchors()
            .iter()
            .filter(|a| a.subject() == below.issuer())
        {
            match self.step(below, anchor, authorities) {
                Ok(()) => return Ok(()),
                Err(reason) => why = reason,
            }
        }
        if authorities >= MAX_DEPTH {
            return Err(PathError::TooMuchWork);
        }
        let others = self.others;
        for other in others {
            if other.subject() != below.issuer() || other == below || other.is_self_issued() {
                continue;
            }
            let step = self
                .step(below, other, authorities)
                .and_then(|()| self.climb(other, authorities.saturating_add(1)));
            match step {
                Ok(()) => return Ok(()),
                Err(PathError::TooMuchWork) => return Err(PathError::TooMuchWork),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    /// Whether `issuer` may have issued `below`, has, and has not taken it back.
    fn step(
        &mut self,
        below: &Certificate,
        issuer: &Certificate,
        authorities: usize,
    ) -> Result<(), PathError> {
        self.check(issuer)?;
        let name = || Text::from(issuer.subject());
        if !issuer.is_authority() {
            return Err(PathError::NotAnAuthority(name()));
        }
        if let Some((_, Some(most))) = issuer.extensions().authority
            && authorities > usize::from(most)
        {
            return Err(PathError::PathTooLong(name()));
        }
        self.count()?;
        below
            .verify(issuer.key())
            .map_err(|_| PathError::BadSignature(below.subject().into()))?;
        self.check_revocation(below, issuer)
    }

    fn check_revocation(
        &mut self,
        below: &Certificate,
        issuer: &Certificate,
    ) -> Result<(), PathError> {
        let Some(list) = self.trust.list_of(issuer.subject()) else {
            return Ok(());
        };
        self.count()?;
        let signs = issuer
            .extensions()
            .key_usage
            .is_none_or(|usage| usage.crl_sign());
        if !signs || !list.is_current(self.now) || list.verify(issuer.key()).is_err() {
            return Err(PathError::BadRevocationList(issuer.subject().into()));
        }
        if list.names(below.serial()) {
            return Err(PathError::Revoked(below.subject().into()));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), PathError> {
        self.signatures = self.signatures.saturating_add(1);
        if self.signatures > MAX_SIGNATURES {
            return Err(PathError::TooMuchWork);
        }
        Ok(())
    }
}

//! A certificate revocation list: RFC 5280 5.

use x509_cert::crl::TbsCertList;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};

use crate::encoding::EncodingError;
use crate::key::{PublicKey, SignatureError};
use crate::name::DistinguishedName;
use crate::signed::Signed;

/// The list of one issuer.
#[derive(Clone, Debug)]
pub(crate) struct RevocationList {
    signed: Signed,
    issuer: DistinguishedName,
    this_update: u64,
    next_update: Option<u64>,
    /// Serial numbers, sorted.
    revoked: Vec<Vec<u8>>,
}

/// The longest list looked at, in octets: about a hundred thousand certificates.
const MAX_LIST: usize = 4 * 1024 * 1024;

/// issuingDistributionPoint, deltaCRLIndicator: a list that does not speak of everything.
const PARTIAL: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("2.5.29.28"),
    ObjectIdentifier::new_unwrap("2.5.29.27"),
];

impl RevocationList {
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, EncodingError> {
        if der.len() > MAX_LIST {
            return Err(EncodingError::TooLong);
        }
        let signed = Signed::parse(der).ok_or(EncodingError::Malformed)?;
        let list: TbsCertList =
            TbsCertList::from_der(&signed.content).map_err(|_| EncodingError::Malformed)?;
        if list.signature != signed.algorithm {
            return Err(EncodingError::Malformed);
        }
        let extensions = list.crl_extensions.unwrap_or_default();
        if extensions
            .iter()
            .any(|e| e.critical || PARTIAL.contains(&e.extn_id))
        {
            return Err(EncodingError::Malformed);
        }
        let issuer = list.issuer.to_der().map_err(|_| EncodingError::Malformed)?;
        let mut revoked: Vec<Vec<u8>> = list
            .revoked_certificates
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.serial_number.as_bytes().to_vec())
            .collect();
        revoked.sort_unstable();
        Ok(Self {
            issuer: DistinguishedName::from_der(&issuer).ok_or(EncodingError::Malformed)?,
            this_update: list.this_update.to_unix_duration().as_secs(),
            next_update: list
                .next_update
                .map(|time| time.to_unix_duration().as_secs()),
            revoked,
            signed,
        })
    }

    pub(crate) fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        self.signed.verify(key)
    }

    /// Whether it speaks of this moment (Unix time).
    pub(crate) fn is_current(&self, now: u64) -> bool {
        self.this_update <= now && self.next_update.is_none_or(|next| now <= next)
    }

    pub(crate) fn issued(&self) -> u64 {
        self.this_update
    }

    pub(crate) fn names(&self, serial: &[u8]) -> bool {
        self.revoked
            .binary_search_by(|own| own.as_slice().cmp(serial))
            .is_ok()
    }
}

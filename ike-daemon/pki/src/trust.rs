//! Which authorities are believed, what they took back, and how weak a signature may be.

use ike_crypto::Hash;

use crate::certificate::Certificate;
use crate::crl::RevocationList;
use crate::encoding::{EncodingError, items};
use crate::key::PublicKey;
use crate::name::DistinguishedName;

/// What `validate` believes. Built when the configuration is read, never changed after.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    anchors: Vec<Certificate>,
    lists: Vec<RevocationList>,
    weaknesses: Weaknesses,
}

/// What old authorities and clients may still need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weaknesses {
    /// RSA keys of 2048 bits and more, SHA-2 under every certificate.
    #[default]
    Refused,
    /// RSA keys from 1024 bits and SHA-1 as well.
    Allowed,
}

impl TrustStore {
    /// Nobody is believed yet.
    pub fn new(weaknesses: Weaknesses) -> Self {
        Self {
            weaknesses,
            ..Self::default()
        }
    }

    /// Believes a certificate: an authority, or one peer's own certificate.
    pub fn add_anchor(&mut self, certificate: Certificate) {
        if !self.anchors.contains(&certificate) {
            self.anchors.push(certificate);
        }
    }

    /// Adds the revocation lists of a PEM or DER file; says how many there were.
    ///
    /// # Errors
    /// [`EncodingError`] when one of them cannot be read or is not of the whole authority.
    pub fn add_revocation_lists(&mut self, octets: &[u8]) -> Result<usize, EncodingError> {
        let lists = items(octets, &["X509 CRL"])?
            .iter()
            .map(|der| RevocationList::from_der(der))
            .collect::<Result<Vec<_>, _>>()?;
        let count = lists.len();
        self.lists.extend(lists);
        Ok(count)
    }

    /// The certificates believed without a path: authorities, and peers named one by one.
    pub fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The newest list of an issuer.
    pub(crate) fn list_of(&self, issuer: &DistinguishedName) -> Option<&RevocationList> {
        self.lists
            .iter()
            .filter(|list| list.issuer() == issuer)
            .max_by_key(|list| list.issued())
    }

    pub(crate) fn allows_key(&self, key: &PublicKey) -> bool {
        let least = match self.weaknesses {
            Weaknesses::Refused => 2048,
            Weaknesses::Allowed => 1024,
        };
        key.rsa_bits().is_none_or(|bits| bits >= least)
    }

    pub(crate) fn allows_hash(&self, hash: Option<Hash>) -> bool {
        match hash {
            None | Some(Hash::Md5) => false,
            Some(Hash::Sha1) => self.weaknesses == Weaknesses::Allowed,
            Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512) => true,
        }
    }
}

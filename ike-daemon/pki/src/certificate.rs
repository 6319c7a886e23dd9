//! One X.509 certificate (RFC 5280 4), read strictly, and whom it vouches for (RFC 4945 3.1, 5).

use std::net::IpAddr;

use ike_crypto::Hash;
use x509_cert::TbsCertificate;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use crate::encoding::EncodingError;
use crate::key::{PublicKey, SignatureError};
use crate::name::DistinguishedName;
use crate::signed::Signed;

/// The longest certificate looked at, in octets. One with a 8192-bit key and a photograph fits.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// More names than any honest certificate has.
const MAX_ALT_NAMES: usize = 256;

/// An X.509 certificate (RFC 5280 4.1) whose form is checked; whether anybody believes it is
/// `path`'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    signed: Signed,
    serial: Vec<u8>,
    issuer: DistinguishedName,
    subject: DistinguishedName,
    not_before: u64,
    not_after: u64,
    key: PublicKey,
    v3: bool,
    extensions: Extensions,
}

/// What of the extensions counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    /// cA, and the path length.
    pub(crate) authority: Option<(bool, Option<u8>)>,
    pub(crate) key_usage: Option<KeyUsage>,
    /// Key purposes, when they are critical.
    pub(crate) purposes: Option<Vec<ObjectIdentifier>>,
    pub(crate) dns: Vec<String>,
    pub(crate) mail: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    /// A critical extension that is not known here.
    pub(crate) unknown_critical: Option<ObjectIdentifier>,
}

/// Whom a peer says it is, as far as a certificate can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// ID_DER_ASN1_DN: the name in DER.
    Name(&'a [u8]),
    /// ID_FQDN.
    Dns(&'a str),
    /// ID_USER_FQDN.
    Mail(&'a str),
    /// ID_IPV4_ADDR, ID_IPV6_ADDR.
    Address(IpAddr),
}

/// certificatePolicies: whatever they are, they do not forbid.
const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");

impl Certificate {
    /// Reads one certificate in DER; nothing may follow it.
    ///
    /// # Errors
    /// [`EncodingError`] when it is none, or one with a key no signature of ours can be checked by.
    pub fn from_der(der: &[u8]) -> Result<Self, EncodingError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(EncodingError::TooLong);
        }
        let signed = Signed::parse(der).ok_or(EncodingError::Malformed)?;
        let content =
            TbsCertificate::from_der(&signed.content).map_err(|_| EncodingError::Malformed)?;
        // RFC 5280 4.1.1.2: the algorithm is said twice, so that nobody can exchange it.
        if *content.signature() != signed.algorithm {
            return Err(EncodingError::Malformed);
        }
        let name = |name: &x509_cert::name::Name| {
            let der = name.to_der().map_err(|_| EncodingError::Malformed)?;
            DistinguishedName::from_der(&der).ok_or(EncodingError::Malformed)
        };
        Ok(Self {
            der: der.to_vec(),
            serial: content.serial_number().as_bytes().to_vec(),
            issuer: name(content.issuer())?,
            subject: name(content.subject())?,
            not_before: content.validity().not_before.to_unix_duration().as_secs(),
            not_after: content.validity().not_after.to_unix_duration().as_secs(),
            key: PublicKey::from_spki(content.subject_public_key_info())
                .map_err(EncodingError::Key)?,
            v3: content.version() == Version::V3,
            extensions: Extensions::read(&content)?,
            signed,
        })
    }

    /// The certificate in DER, as it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whom it is for.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Who signed it.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// The serial number, as it is encoded.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The key it is about.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// First and last second of validity, Unix time.
    pub fn validity(&self) -> (u64, u64) {
        (self.not_before, self.not_after)
    }

    /// The hash its signature is made with, if it is one we know.
    pub fn signature_hash(&self) -> Option<Hash> {
        self.signed.hash()
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Whether it may sign certificates: RFC 5280 4.2.1.9 and 4.2.1.3.
    pub fn is_authority(&self) -> bool {
        let signs = self
            .extensions
            .key_usage
            .is_none_or(|usage| usage.key_cert_sign());
        self.v3 && signs && matches!(self.extensions.authority, Some((true, _)))
    }

    /// Whether its subject is its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether `key` signed it.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        self.signed.verify(key)
    }

    /// Whether it is for `subject`: the name as a whole, or one of the alternative names.
    pub fn vouches_for(&self, subject: &Subject<'_>) -> bool {
        match *subject {
            Subject::Name(der) => {
                DistinguishedName::from_der(der).is_some_and(|name| name == self.subject)
            }
            Subject::Dns(name) => self
                .extensions
                .dns
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name)),
            Subject::Mail(name) => {
                let in_name = self.subject.mail();
                self.extensions
                    .mail
                    .iter()
                    .map(String::as_str)
                    .chain(in_name)
                    .any(|own| own.eq_ignore_ascii_case(name))
            }
            Subject::Address(address) => self.extensions.addresses.contains(&address),
        }
    }
}

impl Extensions {
    fn read(content: &TbsCertificate) -> Result<Self, EncodingError> {
        let malformed = |_| EncodingError::Malformed;
        let mut found = Self::default();
        let mut seen: Vec<ObjectIdentifier> = Vec::new();
        for extension in content.extensions().map(Vec::as_slice).unwrap_or_default() {
            // RFC 5280 4.2: not more than one instance of each.
            if seen.contains(&extension.extn_id) {
                return Err(EncodingError::Malformed);
            }
            seen.push(extension.extn_id);
            let value = extension.extn_value.as_bytes();
            match extension.extn_id {
                BasicConstraints::OID => {
                    let constraints = BasicConstraints::from_der(value).map_err(malformed)?;
                    found.authority = Some((constraints.ca, constraints.path_len_constraint));
                }
                KeyUsage::OID => {
                    found.key_usage = Some(KeyUsage::from_der(value).map_err(malformed)?);
                }
                ExtendedKeyUsage::OID => {
                    let purposes = ExtendedKeyUsage::from_der(value).map_err(malformed)?;
                    found.purposes = extension.critical.then_some(purposes.0);
                }
                SubjectAltName::OID => {
                    let names = SubjectAltName::from_der(value).map_err(malformed)?;
                    if names.0.len() > MAX_ALT_NAMES {
                        return Err(EncodingError::TooLong);
                    }
                    found.alternative_names(&names.0);
                }
                POLICIES => {}
                other if extension.critical => found.unknown_critical = Some(other),
                _ => {}
            }
        }
        Ok(found)
    }

    fn alternative_names(&mut self, names: &[GeneralName]) {
        for name in names {
            match name {
                GeneralName::DnsName(name) => self.dns.push(name.as_str().to_owned()),
                GeneralName::Rfc822Name(name) => self.mail.push(name.as_str().to_owned()),
                GeneralName::IpAddress(octets) => {
                    let octets = octets.as_bytes();
                    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
                    let v6 = <[u8; 16]>::try_from(octets).map(IpAddr::from);
                    self.addresses.extend(v4.or(v6));
                }
                _ => {}
            }
        }
    }
}

//! What files and CERT payloads hold: PEM with one block or many, DER, and PKCS #7 (RFC 2315 9.1),
//! in which Windows wraps its certificate when there are authorities between it and the root.

use thiserror::Error;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::key::{KeyError, PrivateKey};

/// Why octets are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// Neither PEM nor DER of what is expected.
    #[error("neither PEM nor DER of what is expected here")]
    Malformed,
    /// Longer than anything honest.
    #[error("longer than is looked at")]
    TooLong,
    /// PEM without a block of the kind expected.
    #[error("no block of the kind expected in this PEM file")]
    NothingInside,
    /// The key in it.
    #[error("{0}")]
    Key(KeyError),
}

/// The most certificates of one file.
const MAX_IN_FILE: usize = 512;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// A PEM block: its label and what is in it.
type Block = (String, Zeroizing<Vec<u8>>);

/// The blocks of a PEM text; text around them is a comment.
fn blocks(text: &str) -> Result<Vec<Block>, EncodingError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let from = rest.get(start..).unwrap_or_default();
        let end = from.find(END).ok_or(EncodingError::Malformed)?;
        let line = from.get(end..).unwrap_or_default();
        let stop = end.saturating_add(line.find('\n').unwrap_or(line.len()));
        let block = from.get(..stop).unwrap_or_default();
        if found.len() >= MAX_IN_FILE {
            return Err(EncodingError::TooLong);
        }
        if block.contains("ENCRYPTED") {
            return Err(EncodingError::Key(KeyError::Encrypted));
        }
        let (label, der) =
            pem_rfc7468::decode_vec(block.as_bytes()).map_err(|_| EncodingError::Malformed)?;
        found.push((label.to_owned(), Zeroizing::new(der)));
        rest = from.get(stop..).unwrap_or_default();
    }
    Ok(found)
}

/// Whether a file is PEM.
fn pem(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets)
        .ok()
        .filter(|text| text.contains(BEGIN))
}

/// The DER of every block of a kind in a PEM file, or the whole of a DER file.
pub(crate) fn items(octets: &[u8], labels: &[&str]) -> Result<Vec<Vec<u8>>, EncodingError> {
    let Some(text) = pem(octets) else {
        return Ok(vec![octets.to_vec()]);
    };
    let items: Vec<Vec<u8>> = blocks(text)?
        .into_iter()
        .filter(|(label, _)| labels.contains(&label.as_str()))
        .map(|(_, der)| der.to_vec())
        .collect();
    if items.is_empty() {
        return Err(EncodingError::NothingInside);
    }
    Ok(items)
}

/// The certificates of a PEM or DER file, in order.
///
/// # Errors
/// [`EncodingError`] when one of them cannot be read, or there is none.
pub fn certificates(octets: &[u8]) -> Result<Vec<Certificate>, EncodingError> {
    items(octets, &["CERTIFICATE", "X509 CERTIFICATE"])?
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect()
}

/// The private key of a PEM or DER file.
///
/// # Errors
/// [`EncodingError`] when there is none, or several.
pub fn private_key(octets: &[u8]) -> Result<PrivateKey, EncodingError> {
    let read = |der: &[u8]| PrivateKey::from_der(der).map_err(EncodingError::Key);
    let Some(text) = pem(octets) else {
        return read(octets);
    };
    let keys = ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY"];
    let blocks = blocks(text)?;
    let mut found = blocks
        .iter()
        .filter(|(label, _)| keys.contains(&label.as_str()));
    match (found.next(), found.next()) {
        (Some((_, der)), None) => read(der),
        (None, _) => Err(EncodingError::NothingInside),
        (Some(_), Some(_)) => Err(EncodingError::Malformed),
    }
}

/// signedData, RFC 2315 14.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

/// The certificates, in DER, of a PKCS #7 SignedData; at most `most`. Nothing else in it counts.
///
/// # Errors
/// [`EncodingError`] when it is not such a value or holds more.
pub fn pkcs7_certificates(octets: &[u8], most: usize) -> Result<Vec<Vec<u8>>, EncodingError> {
    let mut found = Vec::new();
    let mut too_many = false;
    let mut read = |mut reader: SliceReader<'_>| -> x509_cert::der::Result<()> {
        reader.sequence(|content| {
            let kind = ObjectIdentifier::decode(content)?;
            if kind != SIGNED_DATA {
                return Err(Tag::ObjectIdentifier.value_error().into());
            }
            let explicit = Header::decode(content)?;
            if explicit.tag() != context(0) {
                return Err(explicit.tag().value_error().into());
            }
            content.sequence(|signed| {
                // Version, digest algorithms, content.
                for _ in 0..3 {
                    AnyRef::decode(signed)?;
                }
                if Tag::peek(signed)? != context(0) {
                    return Ok(());
                }
                let header = Header::decode(signed)?;
                let mut inner = SliceReader::new(signed.read_slice(header.length())?)?;
                while !inner.is_finished() {
                    too_many |= found.len() >= most;
                    if too_many {
                        break;
                    }
                    found.push(inner.tlv_bytes()?.to_vec());
                }
                // Revocation lists and signatures do not concern us.
                while !signed.is_finished() {
                    signed.tlv_bytes()?;
                }
                Ok(())
            })
        })
    };
    let reader = SliceReader::new(octets).map_err(|_| EncodingError::Malformed)?;
    read(reader).map_err(|_| EncodingError::Malformed)?;
    if too_many {
        return Err(EncodingError::TooLong);
    }
    Ok(found)
}

/// The tag of a constructed context-specific element.
fn context(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

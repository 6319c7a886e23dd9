//! The Certificate and Certificate Request payloads: RFC 2408 3.9, 3.10.
//!
//! ```text
//!  | Cert Encoding |            Certificate Data                   |
//!  |  Cert. Type   |          Certificate Authority                |
//! ```

use crate::error::WireError;
use crate::iana::CertEncoding;

use super::Reader;

/// Either payload: they look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertPayload {
    /// What kind of certificate it is, or is asked for.
    pub encoding: CertEncoding,
    /// The certificate; in a request the authority's name in DER, or nothing for any.
    pub data: Vec<u8>,
}

impl CertPayload {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        Ok(Self {
            encoding: CertEncoding(reader.u8()?),
            data: reader.rest().to_vec(),
        })
    }

    /// The body of the CERT or CERTREQ payload.
    pub fn body(&self) -> Vec<u8> {
        [&[self.encoding.0][..], &self.data].concat()
    }

    /// An X.509 certificate, or the name of an authority, in DER.
    pub fn x509(der: &[u8]) -> Self {
        Self {
            encoding: CertEncoding::X509_SIGNATURE,
            data: der.to_vec(),
        }
    }
}

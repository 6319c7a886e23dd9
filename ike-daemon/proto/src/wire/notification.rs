//! The Notification payload: RFC 2408 3.14.
//!
//! ```text
//!  |              Domain of Interpretation  (DOI)                  |
//!  |  Protocol-ID  |   SPI Size    |      Notify Message Type      |
//!  |                Security Parameter Index (SPI)                 |
//!  |                       Notification Data                       |
//! ```

use crate::error::WireError;
use crate::iana::{DOI_IPSEC, NotifyType, ProtocolId};

use super::Reader;

/// A Notification payload: RFC 2408 3.14.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// DOI: 1, or 0 for ISAKMP's own.
    pub doi: u32,
    /// Which protocol it is about.
    pub protocol: ProtocolId,
    /// What it says.
    pub kind: NotifyType,
    /// SPI: cookies for ISAKMP, four octets for ESP, or nothing.
    pub spi: Vec<u8>,
    /// Data.
    pub data: Vec<u8>,
}

impl Notification {
    /// A notification about the ISAKMP SA itself.
    pub fn isakmp(kind: NotifyType, spi: Vec<u8>, data: Vec<u8>) -> Self {
        Self {
            doi: DOI_IPSEC,
            protocol: ProtocolId::ISAKMP,
            kind,
            spi,
            data,
        }
    }

    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let doi = reader.u32()?;
        let protocol = ProtocolId(reader.u8()?);
        let spi_size = usize::from(reader.u8()?);
        let kind = NotifyType(reader.u16()?);
        let spi = reader.bytes(spi_size)?.to_vec();
        Ok(Self {
            doi,
            protocol,
            kind,
            spi,
            data: reader.rest().to_vec(),
        })
    }

    /// The body of the Notification payload.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.doi.to_be_bytes());
        out.push(self.protocol.0);
        out.push(u8::try_from(self.spi.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&self.kind.0.to_be_bytes());
        out.extend_from_slice(&self.spi);
        out.extend_from_slice(&self.data);
        out
    }
}

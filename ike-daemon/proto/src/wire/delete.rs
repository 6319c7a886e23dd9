//! The Delete payload: RFC 2408 3.15.
//!
//! ```text
//!  |              Domain of Interpretation  (DOI)                  |
//!  |  Protocol-Id  |   SPI Size    |           # of SPIs           |
//!  |               Security Parameter Index(es) (SPI)              |
//! ```

use crate::error::WireError;
use crate::iana::{DOI_IPSEC, ProtocolId};

use super::{Reader, length16};

/// SAs the sender has deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Which protocol.
    pub protocol: ProtocolId,
    /// The SPIs, all of one size: cookie pairs for ISAKMP, four octets for ESP.
    pub spis: Vec<Vec<u8>>,
}

/// More SPIs than anybody honest deletes at once.
pub const MAX_SPIS: usize = 256;

impl Delete {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let _doi = reader.u32()?;
        let protocol = ProtocolId(reader.u8()?);
        let size = usize::from(reader.u8()?);
        let count = usize::from(reader.u16()?);
        if count > MAX_SPIS {
            return Err(WireError::TooMany);
        }
        let mut spis = Vec::with_capacity(count);
        for _ in 0..count {
            spis.push(reader.bytes(size)?.to_vec());
        }
        if reader.is_empty() {
            Ok(Self { protocol, spis })
        } else {
            Err(WireError::Length)
        }
    }

    /// The body of the Delete payload.
    pub fn body(&self) -> Vec<u8> {
        let size = self.spis.first().map_or(0, Vec::len);
        let mut out = Vec::new();
        out.extend_from_slice(&DOI_IPSEC.to_be_bytes());
        out.push(self.protocol.0);
        out.push(u8::try_from(size).unwrap_or(u8::MAX));
        out.extend_from_slice(&length16(self.spis.len()));
        for spi in &self.spis {
            out.extend_from_slice(spi);
        }
        out
    }
}

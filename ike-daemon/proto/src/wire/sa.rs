//! The Security Association payload: RFC 2408 3.4, RFC 2407 4.6.1.
//!
//! ```text
//!  |              Domain of Interpretation (DOI)                   |
//!  |                           Situation                           |
//!  |                           Proposals                           |
//! ```

use crate::error::WireError;
use crate::iana::{DOI_IPSEC, SIT_IDENTITY_ONLY};

use super::Reader;
use super::proposal::Proposal;

/// A parsed SA payload of the IPsec DOI in situation SIT_IDENTITY_ONLY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaPayload {
    /// Proposals in order of preference.
    pub proposals: Vec<Proposal>,
}

/// More proposals than anybody honest makes.
pub const MAX_PROPOSALS: usize = 64;

/// More transforms in all proposals together than anybody honest makes.
pub const MAX_TRANSFORMS: usize = 512;

impl SaPayload {
    /// Parses the body of an SA payload.
    ///
    /// # Errors
    /// [`WireError::Field`] for any other DOI or situation.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        if reader.u32()? != DOI_IPSEC || reader.u32()? != SIT_IDENTITY_ONLY {
            return Err(WireError::Field);
        }
        let mut proposals = Vec::new();
        let mut transforms = 0usize;
        let mut more = !reader.is_empty();
        while more {
            let (proposal, follows) = Proposal::parse(&mut reader)?;
            transforms = transforms.saturating_add(proposal.transforms.len());
            proposals.push(proposal);
            if proposals.len() > MAX_PROPOSALS || transforms > MAX_TRANSFORMS {
                return Err(WireError::TooMany);
            }
            more = follows;
        }
        if reader.is_empty() {
            Ok(Self { proposals })
        } else {
            Err(WireError::Length)
        }
    }

    /// The body of the SA payload, SAi_b of RFC 2409: DOI, situation, proposals.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&DOI_IPSEC.to_be_bytes());
        out.extend_from_slice(&SIT_IDENTITY_ONLY.to_be_bytes());
        let last = self.proposals.len().saturating_sub(1);
        for (index, proposal) in self.proposals.iter().enumerate() {
            proposal.emit(index != last, &mut out);
        }
        out
    }
}

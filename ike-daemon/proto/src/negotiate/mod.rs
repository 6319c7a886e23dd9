//! Choosing from what a peer offers, and offering: RFC 2408 4.2.
//!
//! * [`phase1`]: RFC 2409 appendix A
//! * [`phase2`]: RFC 2407 4.5, RFC 3947 5.1 (encapsulation modes)
//!
//! Proposals and transforms are walked in the peer's order; one that cannot be read or is not
//! allowed is skipped, never a reason to refuse the others. The chosen one goes back as it came.

mod phase1;
mod phase2;

use std::time::Duration;

use crate::iana::{LifeType, ProtocolId};
use crate::wire::attribute::Attribute;
use crate::wire::proposal::Proposal;
use crate::wire::sa::SaPayload;
use crate::wire::transform::Transform;

pub(crate) use phase1::offers_only_3des;
pub use phase1::{Phase1Choice, Phase1Suite, accept_phase1, choose_phase1, offer_phase1};
pub use phase2::{
    Kernels, Phase2Choice, Phase2Context, accept_phase2, choose_phase2, encapsulation_mode,
    offer_phase2,
};

/// Lifetimes found in a transform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lifetimes {
    seconds: Option<Duration>,
    kilobytes: Option<u64>,
}

impl Lifetimes {
    /// Reads (type, duration) pairs, any number of them, in either encoding (RFC 2407 4.5: a type
    /// must come before its duration).
    fn read(attributes: &[Attribute], life_type: u16, life_duration: u16) -> Self {
        let mut found = Self::default();
        let mut kind = None;
        for attribute in attributes {
            if attribute.class == life_type {
                kind = attribute.as_number();
            } else if attribute.class == life_duration {
                let Some(number) = attribute.as_number().filter(|number| *number != 0) else {
                    continue;
                };
                match kind.and_then(|kind| u16::try_from(kind).ok()).map(LifeType) {
                    Some(LifeType::SECONDS) => found.seconds = Some(Duration::from_secs(number)),
                    Some(LifeType::KILOBYTES) => found.kilobytes = Some(number),
                    _ => {}
                }
            }
        }
        found
    }
}

/// The only value of a class; `None` when absent, contradictory or beyond 16 bits.
fn value(attributes: &[Attribute], class: u16) -> Option<u16> {
    let mut found = None;
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.class == class)
    {
        let number = u16::try_from(attribute.as_number()?).ok()?;
        if found.replace(number).is_some_and(|before| before != number) {
            return None;
        }
    }
    found
}

fn has(attributes: &[Attribute], class: u16) -> bool {
    attributes.iter().any(|attribute| attribute.class == class)
}

/// A proposal with one transform only, octets unchanged, and an SPI.
fn reduced(proposal: &Proposal, transform: &Transform, spi: Vec<u8>) -> Proposal {
    Proposal {
        number: proposal.number,
        protocol: proposal.protocol,
        spi,
        transforms: vec![transform.clone()],
    }
}

/// An SA payload with one proposal.
fn of_one_proposal(protocol: ProtocolId, spi: Vec<u8>, transforms: Vec<Transform>) -> SaPayload {
    let proposal = Proposal {
        number: 1,
        protocol,
        spi,
        transforms,
    };
    SaPayload {
        proposals: vec![proposal],
    }
}

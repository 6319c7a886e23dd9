//! What a peer offers, in words: for the operator who has to allow some of it.

use ike_crypto::{Cipher, Group, Hash};

use crate::iana::{
    AuthMethod, EspAuth, EspTransform, Phase1Attribute, Phase2Attribute, ProtocolId,
};
use crate::policy::{EspSuite, Method};
use crate::wire::sa::SaPayload;
use crate::wire::transform::Transform;

/// The most suites that are named; Android offers 16.
const MAX_NAMED: usize = 20;

/// The transforms of a phase 1 offer: `aes128/sha1/modp1024 (psk), ...`.
pub(crate) fn phase1(sa: &SaPayload) -> String {
    let transforms = sa
        .proposals
        .iter()
        .flat_map(|proposal| &proposal.transforms);
    named(transforms.map(|transform| {
        let number = |class: Phase1Attribute| number(transform, class.0);
        let cipher = number(Phase1Attribute::ENCRYPTION);
        let bits = number(Phase1Attribute::KEY_LENGTH);
        let cipher = word("cipher", cipher, |own| {
            Cipher::from_iana(own, bits).map(Cipher::name)
        });
        let hash = word("hash", number(Phase1Attribute::HASH), |own| {
            Hash::from_iana(own).map(Hash::name)
        });
        let group = word("group", number(Phase1Attribute::GROUP), |own| {
            Group::from_iana(own).map(Group::name)
        });
        let method = word("method", number(Phase1Attribute::AUTH_METHOD), |own| {
            Method::from_iana(AuthMethod(own)).map(Method::name)
        });
        format!("{cipher}/{hash}/{group} ({method})")
    }))
}

/// The suites of a phase 2 offer.
pub(crate) fn phase2(sa: &SaPayload) -> String {
    named(sa.proposals.iter().flat_map(|proposal| {
        proposal.transforms.iter().map(|transform| {
            if proposal.protocol != ProtocolId::ESP {
                return proposal.protocol.to_string();
            }
            let number = |class: Phase2Attribute| number(transform, class.0).unwrap_or(0);
            let suite = EspSuite {
                cipher: EspTransform(transform.id),
                key_bits: number(Phase2Attribute::KEY_LENGTH),
                auth: EspAuth(number(Phase2Attribute::AUTH)),
            };
            suite.to_string()
        })
    }))
}

fn number(transform: &Transform, class: u16) -> Option<u16> {
    let attributes = transform.attributes().ok()?;
    let found = attributes.iter().find(|own| own.class == class)?;
    u16::try_from(found.as_number()?).ok()
}

/// A name, or the number when there is none.
fn word(what: &str, number: Option<u16>, name: impl Fn(u16) -> Option<&'static str>) -> String {
    match number {
        None => format!("no {what}"),
        Some(number) => name(number).map_or_else(|| format!("{what} {number}"), str::to_owned),
    }
}

/// Each once, and not too many.
fn named(suites: impl Iterator<Item = String>) -> String {
    let mut list: Vec<String> = Vec::new();
    for suite in suites {
        if list.len() >= MAX_NAMED {
            list.push("...".to_owned());
            break;
        }
        if !list.contains(&suite) {
            list.push(suite);
        }
    }
    list.join(", ")
}

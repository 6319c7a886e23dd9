//! Phase 1: RFC 2409 appendix A.

use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};

use crate::error::Refusal;
use crate::iana::{AuthMethod, KEY_IKE, LifeType, Phase1Attribute, ProtocolId};
use crate::policy::{Method, Phase1Policy};
use crate::wire::attribute::Attribute;
use crate::wire::proposal::Proposal;
use crate::wire::sa::SaPayload;
use crate::wire::transform::Transform;

use super::{Lifetimes, has, of_one_proposal, reduced, value};

/// The algorithms of an ISAKMP SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase1Suite {
    /// Cipher.
    pub cipher: Cipher,
    /// Hash, and PRF made of it.
    pub hash: Hash,
    /// Diffie-Hellman group.
    pub group: Group,
}

/// What was agreed for phase 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase1Choice {
    /// Algorithms.
    pub suite: Phase1Suite,
    /// How both prove who they are.
    pub method: Method,
    /// Lifetime offered, if any was.
    pub lifetime: Option<Duration>,
    /// Body of the SA payload that says so.
    pub answer: Vec<u8>,
}

/// A phase 1 transform as read; everything but what the policy thinks of it.
struct Phase1Reading {
    suite: Phase1Suite,
    method: AuthMethod,
    lifetime: Option<Duration>,
}

fn read_phase1(transform: &Transform) -> Option<Phase1Reading> {
    let attributes = transform.attributes().ok()?;
    let number = |class: Phase1Attribute| value(&attributes, class.0);
    // Our PRF is always HMAC with the hash.
    if transform.id != KEY_IKE || has(&attributes, Phase1Attribute::PRF.0) {
        return None;
    }
    // ChromeOS' sixth transform has neither cipher nor hash.
    let cipher = number(Phase1Attribute::ENCRYPTION)?;
    let hash = number(Phase1Attribute::HASH)?;
    let group = number(Phase1Attribute::GROUP)?;
    let method = AuthMethod(number(Phase1Attribute::AUTH_METHOD)?);
    let key_bits = number(Phase1Attribute::KEY_LENGTH);
    if key_bits.is_none() && has(&attributes, Phase1Attribute::KEY_LENGTH.0) {
        return None;
    }
    let lifetimes = Lifetimes::read(
        &attributes,
        Phase1Attribute::LIFE_TYPE.0,
        Phase1Attribute::LIFE_DURATION.0,
    );
    Some(Phase1Reading {
        suite: Phase1Suite {
            cipher: Cipher::from_iana(cipher, key_bits)?,
            hash: Hash::from_iana(hash)?,
            group: Group::from_iana(group)?,
        },
        method,
        lifetime: lifetimes.seconds,
    })
}

fn phase1_allows(policy: &Phase1Policy, suite: &Phase1Suite, modp1024: bool) -> bool {
    let group = match suite.group {
        Group::Modp1024 => modp1024,
        group => policy.groups.contains(&group),
    };
    group && policy.ciphers.contains(&suite.cipher) && policy.hashes.contains(&suite.hash)
}

/// Why an authentication method is not taken.
fn method_refused(method: AuthMethod) -> Refusal {
    match Method::from_iana(method) {
        Some(method) if method.uses_xauth() => Refusal::OnlyXauth,
        Some(Method::Psk) => Refusal::NoSecret,
        Some(_) => Refusal::OnlyCertificates,
        None => Refusal::AuthMethod,
    }
}

/// As responder: the first transform that is allowed, with one of `methods`.
pub fn choose_phase1(
    sa: &SaPayload,
    policy: &Phase1Policy,
    methods: &[Method],
) -> Result<Phase1Choice, Refusal> {
    let mut refusal = Refusal::NoPhase1Proposal;
    for proposal in &sa.proposals {
        if proposal.protocol != ProtocolId::ISAKMP {
            continue;
        }
        for transform in &proposal.transforms {
            let Some(reading) = read_phase1(transform) else {
                continue;
            };
            let method = Method::from_iana(reading.method).filter(|m| methods.contains(m));
            let Some(method) = method else {
                if refusal == Refusal::NoPhase1Proposal {
                    refusal = method_refused(reading.method);
                }
                continue;
            };
            if phase1_allows(policy, &reading.suite, policy.allow_modp1024) {
                let answer = SaPayload {
                    proposals: vec![reduced(proposal, transform, proposal.spi.clone())],
                };
                return Ok(Phase1Choice {
                    suite: reading.suite,
                    method,
                    lifetime: reading.lifetime,
                    answer: answer.body(),
                });
            }
            if phase1_allows(policy, &reading.suite, true) {
                refusal = Refusal::OnlyModp1024;
            }
        }
    }
    Err(refusal)
}

/// The most transforms offered in phase 1: the first message then fits one 1280-octet packet.
const MAX_OFFERED: usize = 24;

/// As initiator: the combinations of the policy's lists as one proposal with many transforms, the
/// favourites first, for each of `methods`. Where there are too many, those stay that differ from the favourite in one
/// thing only, so that every cipher, hash and group is on offer.
pub fn offer_phase1(policy: &Phase1Policy, methods: &[Method]) -> SaPayload {
    let lifetime = u32::try_from(policy.lifetime.as_secs()).unwrap_or(u32::MAX);
    let mut ranked = Vec::new();
    for (g, &group) in policy.groups.iter().enumerate() {
        for (c, &cipher) in policy.ciphers.iter().enumerate() {
            for (h, &hash) in policy.hashes.iter().enumerate() {
                let suite = Phase1Suite {
                    cipher,
                    hash,
                    group,
                };
                if phase1_allows(policy, &suite, policy.allow_modp1024) {
                    let unlike = [g, c, h].iter().filter(|place| **place > 0).count();
                    ranked.push((unlike > 1, g.saturating_add(c).saturating_add(h), suite));
                }
            }
        }
    }
    ranked.sort_by_key(|(unlike, rank, _)| (*unlike, *rank));
    let each = MAX_OFFERED.checked_div(methods.len()).unwrap_or(0).max(1);
    ranked.truncate(each);
    ranked.sort_by_key(|(_, rank, _)| *rank);
    let offers = methods
        .iter()
        .flat_map(|method| ranked.iter().map(|(_, _, suite)| (*method, suite)));
    let transforms = (1..=u8::MAX)
        .zip(offers)
        .map(|(number, (method, suite))| phase1_transform(number, suite, method, lifetime))
        .collect();
    of_one_proposal(ProtocolId::ISAKMP, Vec::new(), transforms)
}

fn phase1_transform(number: u8, suite: &Phase1Suite, method: Method, lifetime: u32) -> Transform {
    let mut attributes = vec![Attribute::short(
        Phase1Attribute::ENCRYPTION.0,
        suite.cipher.iana(),
    )];
    if let Some(bits) = suite.cipher.key_bits() {
        attributes.push(Attribute::short(Phase1Attribute::KEY_LENGTH.0, bits));
    }
    attributes.extend([
        Attribute::short(Phase1Attribute::HASH.0, suite.hash.iana()),
        Attribute::short(Phase1Attribute::GROUP.0, suite.group.iana()),
        Attribute::short(Phase1Attribute::AUTH_METHOD.0, method.iana().0),
        Attribute::short(Phase1Attribute::LIFE_TYPE.0, LifeType::SECONDS.0),
        Attribute::number(Phase1Attribute::LIFE_DURATION.0, lifetime),
    ]);
    Transform::new(number, KEY_IKE, &attributes)
}

/// As initiator: what the responder chose, if it is something we offered.
pub fn accept_phase1(answer: &SaPayload, offer: &SaPayload) -> Result<Phase1Choice, Refusal> {
    let [
        Proposal {
            transforms,
            protocol: ProtocolId::ISAKMP,
            ..
        },
    ] = answer.proposals.as_slice()
    else {
        return Err(Refusal::NoPhase1Proposal);
    };
    let [transform] = transforms.as_slice() else {
        return Err(Refusal::NoPhase1Proposal);
    };
    let reading = read_phase1(transform).ok_or(Refusal::NoPhase1Proposal)?;
    let offered = offer
        .proposals
        .iter()
        .flat_map(|proposal| &proposal.transforms)
        .filter_map(read_phase1)
        .any(|ours| ours.suite == reading.suite && ours.method == reading.method);
    let method = Method::from_iana(reading.method)
        .filter(|_| offered)
        .ok_or(Refusal::NoPhase1Proposal)?;
    Ok(Phase1Choice {
        suite: reading.suite,
        method,
        lifetime: reading.lifetime,
        answer: Vec::new(),
    })
}

/// Whether a peer offers nothing better than 3DES in phase 1.
pub(crate) fn offers_only_3des(sa: &SaPayload) -> bool {
    let transforms = sa.proposals.iter().flat_map(|p| &p.transforms);
    let mut suites = transforms
        .filter_map(read_phase1)
        .map(|reading| reading.suite)
        .peekable();
    suites.peek().is_some() && suites.all(|suite| suite.cipher == Cipher::TripleDes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_of_everything_fits_a_packet_and_leaves_nothing_out() {
        let policy = Phase1Policy {
            allow_modp1024: true,
            ..Phase1Policy::default()
        };
        let offer = offer_phase1(&policy, &[Method::Psk]);
        let transforms = &offer.proposals[0].transforms;
        assert!(transforms.len() <= MAX_OFFERED);
        let values = |kind: Phase1Attribute| -> std::collections::BTreeSet<u64> {
            let parsed = transforms
                .iter()
                .map(|transform| transform.attributes().unwrap());
            parsed
                .flatten()
                .filter(|attribute| attribute.class == kind.0)
                .filter_map(|attribute| attribute.as_number())
                .collect()
        };
        assert_eq!(values(Phase1Attribute::GROUP).len(), policy.groups.len());
        assert_eq!(values(Phase1Attribute::HASH).len(), policy.hashes.len());
        // AES in three sizes and 3DES.
        assert_eq!(values(Phase1Attribute::KEY_LENGTH).len(), 3);
        assert_eq!(values(Phase1Attribute::ENCRYPTION).len(), 2);
    }
}

//! Choosing from what a peer offers, and offering: RFC 2408 4.2, RFC 2409 A (phase 1), RFC 2407
//! 4.5 (phase 2), RFC 3947 5.1 (encapsulation modes).
//!
//! Proposals and transforms are walked in the peer's order; one that cannot be read or is not
//! allowed is skipped, never a reason to refuse the others. The chosen one goes back as it came.

use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};

use crate::carrier::{Carrier, Carriers, Choice, Demand};
use crate::error::Refusal;
use crate::iana::{
    AuthMethod, EncapsulationMode, EspAuth, EspTransform, KEY_IKE, LifeType, Phase1Attribute,
    Phase2Attribute, ProtocolId,
};
use crate::io::Mode;
use crate::policy::{EspSuite, Method, Phase1Policy, Phase2Policy, Sha256Icv};
use crate::vendor::NatVariant;
use crate::wire::attribute::Attribute;
use crate::wire::proposal::Proposal;
use crate::wire::sa::SaPayload;
use crate::wire::transform::Transform;

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

/// What was agreed for phase 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase2Choice {
    /// Algorithms.
    pub suite: EspSuite,
    /// Encapsulation mode as negotiated.
    pub mode: EncapsulationMode,
    /// Group for perfect forward secrecy.
    pub pfs: Option<Group>,
    /// Lifetime offered, if any was.
    pub lifetime: Option<Duration>,
    /// Kilobytes offered, if any were.
    pub kilobytes: Option<u64>,
    /// The peer's SPI.
    pub spi: u32,
    /// The proposal reduced to the chosen transform; the SPI is still the peer's.
    pub proposal: Proposal,
}

/// What decides about encapsulation modes and PFS in one Quick Mode.
#[derive(Clone, Copy, Debug)]
pub struct Phase2Context {
    /// NAT traversal agreed in phase 1.
    pub natt: NatVariant,
    /// One of us is behind NAT.
    pub nat_detected: bool,
    /// Octets of the KE payload that came along.
    pub ke_len: Option<usize>,
    /// The peer may cut HMAC-SHA-256 to 96 bits: Android 4.4 to 7.0 does, and like all Android it
    /// knows MODP 1024 only, by which it is told.
    pub may_cut_sha256: bool,
}

/// The kernels to choose from, and what this Quick Mode asks of them.
#[derive(Clone, Copy, Debug)]
pub struct Kernels<'a> {
    /// Those there are.
    pub carriers: &'a Carriers,
    /// What is asked besides the suite.
    pub demand: Demand,
}

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

/// A phase 1 transform as read.
enum Phase1Reading {
    Suite(Phase1Suite, AuthMethod, Option<Duration>),
    Unusable,
}

fn read_phase1(transform: &Transform) -> Phase1Reading {
    let Ok(attributes) = transform.attributes() else {
        return Phase1Reading::Unusable;
    };
    let number = |class: Phase1Attribute| value(&attributes, class.0);
    if transform.id != KEY_IKE {
        return Phase1Reading::Unusable;
    }
    if has(&attributes, Phase1Attribute::PRF.0) {
        // Ours is always HMAC with the hash.
        return Phase1Reading::Unusable;
    }
    let (Some(cipher), Some(hash), Some(group)) = (
        number(Phase1Attribute::ENCRYPTION),
        number(Phase1Attribute::HASH),
        number(Phase1Attribute::GROUP),
    ) else {
        // ChromeOS' sixth transform has neither cipher nor hash.
        return Phase1Reading::Unusable;
    };
    let Some(method) = number(Phase1Attribute::AUTH_METHOD).map(AuthMethod) else {
        return Phase1Reading::Unusable;
    };
    let key_bits = number(Phase1Attribute::KEY_LENGTH);
    if key_bits.is_none() && has(&attributes, Phase1Attribute::KEY_LENGTH.0) {
        return Phase1Reading::Unusable;
    }
    let (Some(cipher), Some(hash), Some(group)) = (
        Cipher::from_iana(cipher, key_bits),
        Hash::from_iana(hash),
        Group::from_iana(group),
    ) else {
        return Phase1Reading::Unusable;
    };
    let lifetimes = Lifetimes::read(
        &attributes,
        Phase1Attribute::LIFE_TYPE.0,
        Phase1Attribute::LIFE_DURATION.0,
    );
    Phase1Reading::Suite(
        Phase1Suite {
            cipher,
            hash,
            group,
        },
        method,
        lifetimes.seconds,
    )
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
            match read_phase1(transform) {
                Phase1Reading::Suite(suite, method, lifetime) => {
                    let known = Method::from_iana(method).filter(|m| methods.contains(m));
                    let Some(known) = known else {
                        if refusal == Refusal::NoPhase1Proposal {
                            refusal = method_refused(method);
                        }
                        continue;
                    };
                    if phase1_allows(policy, &suite, policy.allow_modp1024) {
                        let answer = reduced(proposal, transform, proposal.spi.clone());
                        let answer = SaPayload {
                            proposals: vec![answer],
                        }
                        .body();
                        return Ok(Phase1Choice {
                            suite,
                            method: known,
                            lifetime,
                            answer,
                        });
                    }
                    if phase1_allows(policy, &suite, true) {
                        refusal = Refusal::OnlyModp1024;
                    }
                }
                Phase1Reading::Unusable => {}
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
    let proposal = Proposal {
        number: 1,
        protocol: ProtocolId::ISAKMP,
        spi: Vec::new(),
        transforms,
    };
    SaPayload {
        proposals: vec![proposal],
    }
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
    let Phase1Reading::Suite(suite, method, lifetime) = read_phase1(transform) else {
        return Err(Refusal::NoPhase1Proposal);
    };
    let offered = offer
        .proposals
        .iter()
        .flat_map(|proposal| &proposal.transforms)
        .any(|ours| {
            matches!(read_phase1(ours), Phase1Reading::Suite(candidate, own, _)
            if candidate == suite && own == method)
        });
    let Some(method) = Method::from_iana(method).filter(|_| offered) else {
        return Err(Refusal::NoPhase1Proposal);
    };
    Ok(Phase1Choice {
        suite,
        method,
        lifetime,
        answer: Vec::new(),
    })
}

/// A phase 2 transform as read; everything but what the policy thinks of it.
struct Phase2Reading {
    suite: EspSuite,
    mode: EncapsulationMode,
    pfs: Option<Group>,
    lifetimes: Lifetimes,
}

fn read_phase2(transform: &Transform) -> Option<Phase2Reading> {
    let attributes = transform.attributes().ok()?;
    // RFC 2407 4.5: not with a defined attribute that is not supported, such as 64-bit sequence
    // numbers (RFC 4304), which the peer would use. ECN in tunnels changes nothing for us, and
    // private ones are the peer's own affair.
    let understood = |attribute: &Attribute| {
        attribute.class <= Phase2Attribute::KEY_LENGTH.0
            || attribute.class == Phase2Attribute::ECN_TUNNEL.0
            || attribute.class >= Phase2Attribute::FIRST_PRIVATE.0
    };
    if !attributes.iter().all(understood) {
        return None;
    }
    // An attribute that is there must make sense; one that is absent has a default.
    let number = |class: Phase2Attribute, default: u16| {
        if has(&attributes, class.0) {
            value(&attributes, class.0)
        } else {
            Some(default)
        }
    };
    let cipher = EspTransform(transform.id);
    let auth = EspAuth(number(Phase2Attribute::AUTH, EspAuth::NONE.0)?);
    let key_bits = match cipher {
        EspTransform::AES_CBC | EspTransform::AES_GCM_16 => {
            match number(Phase2Attribute::KEY_LENGTH, 128)? {
                bits @ (128 | 192 | 256) => bits,
                _ => return None,
            }
        }
        EspTransform::TRIPLE_DES => match number(Phase2Attribute::KEY_LENGTH, 0)? {
            0 | 192 => 0,
            _ => return None,
        },
        _ => return None,
    };
    let pfs = match number(Phase2Attribute::GROUP, 0)? {
        0 => None,
        group => Some(Group::from_iana(group)?),
    };
    // RFC 2407 4.5 leaves the default to the host; tunnel is what strongSwan takes.
    let mode = EncapsulationMode(number(
        Phase2Attribute::ENCAPSULATION,
        EncapsulationMode::TUNNEL.0,
    )?);
    let lifetimes = Lifetimes::read(
        &attributes,
        Phase2Attribute::LIFE_TYPE.0,
        Phase2Attribute::LIFE_DURATION.0,
    );
    Some(Phase2Reading {
        suite: EspSuite {
            cipher,
            key_bits,
            auth,
        },
        mode,
        pfs,
        lifetimes,
    })
}

fn mode_allowed(policy: &Phase2Policy, context: &Phase2Context, mode: EncapsulationMode) -> bool {
    let Some(transport) = mode.is_transport() else {
        return false;
    };
    let wanted = if transport {
        policy.transport
    } else {
        policy.tunnel
    };
    let encapsulated = match context.natt {
        NatVariant::None => !mode.is_udp(),
        // RFC 3947 5.1: UDP when there is NAT. Without NAT both are fine: some clients always
        // encapsulate.
        _ => mode.is_udp() || !context.nat_detected,
    };
    wanted && encapsulated
}

fn pfs_allowed(policy: &Phase2Policy, context: &Phase2Context, pfs: Option<Group>) -> bool {
    match (pfs, context.ke_len) {
        (None, None) => !policy.require_pfs,
        (Some(group), Some(len)) => group.public_len() == len,
        // A group without a KE payload, or the reverse: not this transform.
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The peer's SPI in a proposal: four octets, beyond the reserved ones (RFC 4303 2.1).
fn esp_spi(proposal: &Proposal) -> Option<u32> {
    let octets: [u8; 4] = proposal.spi.as_slice().try_into().ok()?;
    Some(u32::from_be_bytes(octets)).filter(|spi| *spi > 255)
}

/// As responder: the first transform that is allowed and that the system's kernel can carry, else
/// the first that softkernel can. HMAC-SHA-256 comes last with a peer that may cut it short.
pub fn choose_phase2(
    sa: &SaPayload,
    policy: &Phase2Policy,
    context: &Phase2Context,
    kernels: &Kernels<'_>,
) -> Result<(Phase2Choice, Choice), Refusal> {
    let mut refusal = Refusal::NoPhase2Proposal;
    let (mut second, mut doubtful) = (None, None);
    for proposal in &sa.proposals {
        // Proposals of one number are one offer of several protocols at once (AH or IPCOMP
        // besides ESP), which is not served.
        let bundle = sa
            .proposals
            .iter()
            .filter(|other| other.number == proposal.number)
            .count();
        if proposal.protocol != ProtocolId::ESP || bundle != 1 {
            continue;
        }
        let Some(spi) = esp_spi(proposal) else {
            continue;
        };
        for transform in &proposal.transforms {
            let Some(reading) = read_phase2(transform) else {
                continue;
            };
            if !policy.suites.contains(&reading.suite)
                || !mode_allowed(policy, context, reading.mode)
                || !pfs_allowed(policy, context, reading.pfs)
            {
                continue;
            }
            if reading.suite.cipher == EspTransform::TRIPLE_DES && !policy.allow_3des {
                refusal = Refusal::OnlyEsp3des;
                continue;
            }
            let udp = reading.mode.is_udp();
            let (suite, short) = (reading.suite, policy.sha256_icv.is_short());
            let demand = Demand {
                // Tunnels are told apart by what is inside.
                shared: kernels
                    .demand
                    .shared
                    .filter(|_| reading.mode.is_transport() == Some(true)),
                ..kernels.demand
            };
            let carrier = match kernels.carriers.choose(&suite, short, udp, &demand) {
                Ok(carrier) => carrier,
                Err(reason) => {
                    refusal = reason;
                    continue;
                }
            };
            let choice = Phase2Choice {
                suite,
                mode: reading.mode,
                pfs: reading.pfs,
                lifetime: reading.lifetimes.seconds,
                kilobytes: reading.lifetimes.kilobytes,
                spi,
                proposal: reduced(proposal, transform, proposal.spi.clone()),
            };
            let first = carrier.0 == Carrier::System || kernels.carriers.system.is_none();
            if context.may_cut_sha256
                && suite.auth == EspAuth::HMAC_SHA2_256
                && policy.sha256_icv == Sha256Icv::Full
            {
                doubtful.get_or_insert((choice, carrier));
            } else if first {
                return Ok((choice, carrier));
            } else {
                second.get_or_insert((choice, carrier));
            }
        }
    }
    second.or(doubtful).ok_or(refusal)
}

/// Whether a peer offers nothing better than 3DES in phase 1.
pub(crate) fn offers_only_3des(sa: &SaPayload) -> bool {
    let transforms = sa.proposals.iter().flat_map(|p| &p.transforms);
    let mut ciphers = transforms
        .filter_map(|transform| match read_phase1(transform) {
            Phase1Reading::Suite(suite, ..) => Some(suite.cipher),
            _ => None,
        })
        .peekable();
    ciphers.peek().is_some() && ciphers.all(|cipher| cipher == Cipher::TripleDes)
}

/// The encapsulation mode an initiator asks for.
pub fn encapsulation_mode(mode: Mode, natt: NatVariant, nat_detected: bool) -> EncapsulationMode {
    match (mode, nat_detected, natt) {
        (Mode::Transport, true, NatVariant::Rfc3947) => EncapsulationMode::UDP_TRANSPORT,
        (Mode::Transport, true, NatVariant::Draft) => EncapsulationMode::UDP_TRANSPORT_DRAFT,
        (Mode::Tunnel, true, NatVariant::Rfc3947) => EncapsulationMode::UDP_TUNNEL,
        (Mode::Tunnel, true, NatVariant::Draft) => EncapsulationMode::UDP_TUNNEL_DRAFT,
        (Mode::Transport, _, _) => EncapsulationMode::TRANSPORT,
        (Mode::Tunnel, _, _) => EncapsulationMode::TUNNEL,
    }
}

/// As initiator: all suites `of` the kernel that will carry them as one proposal with many
/// transforms; `kilobytes` is the lifetime by volume, 0 for none.
pub fn offer_phase2(
    policy: &Phase2Policy,
    of: impl Fn(&EspSuite) -> bool,
    mode: EncapsulationMode,
    pfs: Option<Group>,
    kilobytes: u64,
    spi: u32,
) -> SaPayload {
    let lifetime = u32::try_from(policy.lifetime.as_secs()).unwrap_or(u32::MAX);
    let suites = policy.allowed_suites().filter(|suite| of(suite));
    let transforms = (1..=u8::MAX)
        .zip(suites)
        .map(|(number, suite)| {
            let mut attributes = Vec::new();
            if suite.key_bits != 0 {
                attributes.push(Attribute::short(
                    Phase2Attribute::KEY_LENGTH.0,
                    suite.key_bits,
                ));
            }
            if suite.auth != EspAuth::NONE {
                attributes.push(Attribute::short(Phase2Attribute::AUTH.0, suite.auth.0));
            }
            if let Some(group) = pfs {
                attributes.push(Attribute::short(Phase2Attribute::GROUP.0, group.iana()));
            }
            attributes.push(Attribute::short(Phase2Attribute::ENCAPSULATION.0, mode.0));
            attributes.push(Attribute::short(
                Phase2Attribute::LIFE_TYPE.0,
                LifeType::SECONDS.0,
            ));
            attributes.push(Attribute::number(
                Phase2Attribute::LIFE_DURATION.0,
                lifetime,
            ));
            if kilobytes != 0 {
                let kilobytes = u32::try_from(kilobytes).unwrap_or(u32::MAX);
                attributes.push(Attribute::short(
                    Phase2Attribute::LIFE_TYPE.0,
                    LifeType::KILOBYTES.0,
                ));
                attributes.push(Attribute::number(
                    Phase2Attribute::LIFE_DURATION.0,
                    kilobytes,
                ));
            }
            Transform::new(number, suite.cipher.0, &attributes)
        })
        .collect();
    let proposal = Proposal {
        number: 1,
        protocol: ProtocolId::ESP,
        spi: spi.to_be_bytes().to_vec(),
        transforms,
    };
    SaPayload {
        proposals: vec![proposal],
    }
}

/// As initiator: what the responder chose, if it is something we offered.
pub fn accept_phase2(answer: &SaPayload, offer: &SaPayload) -> Result<Phase2Choice, Refusal> {
    let [proposal] = answer.proposals.as_slice() else {
        return Err(Refusal::NoPhase2Proposal);
    };
    let [transform] = proposal.transforms.as_slice() else {
        return Err(Refusal::NoPhase2Proposal);
    };
    let (Some(reading), Some(spi), ProtocolId::ESP) =
        (read_phase2(transform), esp_spi(proposal), proposal.protocol)
    else {
        return Err(Refusal::NoPhase2Proposal);
    };
    let offered = offer
        .proposals
        .iter()
        .flat_map(|ours| &ours.transforms)
        .any(|ours| {
            read_phase2(ours).is_some_and(|ours| {
                ours.suite == reading.suite && ours.mode == reading.mode && ours.pfs == reading.pfs
            })
        });
    if !offered {
        return Err(Refusal::NoPhase2Proposal);
    }
    Ok(Phase2Choice {
        suite: reading.suite,
        mode: reading.mode,
        pfs: reading.pfs,
        lifetime: reading.lifetimes.seconds,
        kilobytes: reading.lifetimes.kilobytes,
        spi,
        proposal: proposal.clone(),
    })
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

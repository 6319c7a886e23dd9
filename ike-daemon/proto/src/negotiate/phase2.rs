//! Phase 2: RFC 2407 4.5, with the encapsulation modes of RFC 3947 5.1.

use std::time::Duration;

use ike_crypto::Group;

use crate::carrier::{Carrier, Carriers, Choice, Demand};
use crate::error::Refusal;
use crate::iana::{
    EncapsulationMode, EspAuth, EspTransform, LifeType, Phase2Attribute, ProtocolId,
};
use crate::io::Mode;
use crate::policy::{EspSuite, Phase2Policy, Sha256Icv};
use crate::vendor::NatVariant;
use crate::wire::attribute::Attribute;
use crate::wire::proposal::Proposal;
use crate::wire::sa::SaPayload;
use crate::wire::transform::Transform;

use super::{Lifetimes, has, of_one_proposal, reduced, value};

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

/// Whether the policy and what is known of NAT let this encapsulation mode through.
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

/// Whether the group is what the KE payload that came along is of.
fn pfs_allowed(policy: &Phase2Policy, context: &Phase2Context, pfs: Option<Group>) -> bool {
    match (pfs, context.ke_len) {
        (None, None) => !policy.require_pfs,
        (Some(group), Some(len)) => group.fits_public(len),
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
    of_one_proposal(ProtocolId::ESP, spi.to_be_bytes().to_vec(), transforms)
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

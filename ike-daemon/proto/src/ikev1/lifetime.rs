//! Lifetimes of both phases: RFC 2407 4.5 (which one is in force) and 4.6.3.1 (RESPONDER-LIFETIME).

use std::time::{Duration, Instant};

use crate::context::{Context, jittered};
use crate::iana::{LifeType, NotifyType, PayloadType, Phase2Attribute};
use crate::policy::{Phase1Policy, Phase2Policy};
use crate::wire::attribute::Attribute;
use crate::wire::chain::Chain;
use crate::wire::notification::Notification;

/// RFC 2407 4.5: 8 hours in phase 2 when nothing is said; everybody uses it for phase 1 as well.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(28_800);

/// Lifetimes shorter than this are not worth rekeying.
const MIN_REKEY_LIFETIME: Duration = Duration::from_secs(60);

/// The lifetime of an ISAKMP SA: what the initiator offered, the default when it offered none, and
/// never more than the policy allows.
pub(super) fn phase1_lifetime(policy: &Phase1Policy, offered: Option<Duration>) -> Duration {
    offered.unwrap_or(DEFAULT_LIFETIME).min(policy.lifetime_max)
}

/// The same of IPsec SAs.
pub(super) fn phase2_lifetime(policy: &Phase2Policy, offered: Option<Duration>) -> Duration {
    offered.unwrap_or(DEFAULT_LIFETIME).min(policy.lifetime_max)
}

/// The moment to rekey: the initiator early, the responder only when the initiator is late. Too
/// short a lifetime is left to the peer.
pub(super) fn rekey_moment(
    cx: &mut Context<'_>,
    lifetime: Duration,
    initiator: bool,
) -> Option<Instant> {
    if lifetime < MIN_REKEY_LIFETIME {
        return None;
    }
    let (low, high) = if initiator { (80, 88) } else { (93, 97) };
    Some(jittered(cx.rng, cx.now, lifetime, low, high))
}

/// Attributes of a RESPONDER-LIFETIME notification. The classes of phase 1 and phase 2 have numbers
/// of their own.
pub(super) fn lifetime_data(life_type: u16, life_duration: u16, lifetime: Duration) -> Vec<u8> {
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    let mut data = Vec::new();
    Attribute::short(life_type, LifeType::SECONDS.0).emit(&mut data);
    Attribute::number(life_duration, seconds).emit(&mut data);
    data
}

/// The seconds of a RESPONDER-LIFETIME notification in QM2.
pub(super) fn responder_lifetime(chain: &Chain<'_>) -> Option<Duration> {
    let notification = chain
        .all(PayloadType::NOTIFICATION)
        .filter_map(|body| Notification::parse(body).ok())
        .find(|notification| notification.kind == NotifyType::RESPONDER_LIFETIME)?;
    let attributes = Attribute::parse_all(&notification.data).ok()?;
    match attributes.as_slice() {
        [kind, duration, ..]
            if kind.class == Phase2Attribute::LIFE_TYPE.0
                && kind.as_number() == Some(u64::from(LifeType::SECONDS.0))
                && duration.class == Phase2Attribute::LIFE_DURATION.0 =>
        {
            duration
                .as_number()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs)
        }
        _ => None,
    }
}

//! Which kernel carries a client's packets.
//!
//! On FreeBSD softkernel may run beside the system's kernel, for the clients that one cannot
//! serve. The choice is made per client, before its first GETSPI, and stays while it has IPsec
//! SAs: its L2TP tunnel lives in the same kernel. softkernel as the second gets a client's packets
//! through a UDP socket connected to that client ([`PeerPort`]), so only ESP in UDP can go there.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::Refusal;
use crate::iana::{EspAuth, EspTransform};
use crate::policy::{EspSuite, Phase2Policy};

/// The reqids of clients. Those below stay free for policies written by hand, and FreeBSD's kernel
/// gives out those above (IPSEC_MANUAL_REQID_MAX).
pub const OWN_REQIDS: RangeInclusive<u32> = 0x1000..=0x3fff;

/// A kernel that carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// The operating system's.
    System,
    /// softkernel.
    Soft,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::System => "system",
            Self::Soft => "soft",
        })
    }
}

/// What the system's kernel can do, as it announced it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemAbilities {
    /// ESP transforms.
    pub ciphers: Vec<EspTransform>,
    /// Authentication algorithms, all with the ICVs of RFC 4868 and RFC 2404.
    pub auths: Vec<EspAuth>,
    /// ESP in UDP over IPv6.
    pub ipv6_encapsulation: bool,
    /// Of several outbound SAs of one client the oldest is used (FreeBSD's
    /// `net.key.preferred_oldsa`), so the old one must go before the new one works.
    pub oldest_first: bool,
}

impl SystemAbilities {
    /// Whether packets of this suite can be protected.
    pub fn has(&self, suite: &EspSuite, sha256_96: bool) -> bool {
        let auth = suite.auth == EspAuth::NONE || self.auths.contains(&suite.auth);
        let icv = !sha256_96 || suite.auth != EspAuth::HMAC_SHA2_256;
        self.ciphers.contains(&suite.cipher) && auth && icv
    }
}

/// The kernels there are at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriers {
    /// The system's kernel, when SAs go there. It is preferred.
    pub system: Option<SystemAbilities>,
    /// softkernel: it can do everything there is in a policy.
    pub soft: bool,
    /// They have not all said yet what they can do: Quick Modes of peers wait for it.
    pub awaited: bool,
}

impl Default for Carriers {
    /// softkernel alone.
    fn default() -> Self {
        Self {
            system: None,
            soft: true,
            awaited: false,
        }
    }
}

/// Why softkernel carries a client although there is the system's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftReason {
    /// The system's kernel lacks the suite agreed on.
    Suite(EspSuite),
    /// The system's kernel has no ESP in UDP over IPv6.
    Ipv6,
    /// Another client behind the same NAT uses the same port inside.
    SharedPort(u16),
    /// The client's other IPsec SAs are there.
    Stays,
}

impl fmt::Display for SoftReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suite(suite) => {
                write!(f, "the system's kernel has no {suite}")
            }
            Self::Ipv6 => f.write_str("the system's kernel has no ESP in UDP over IPv6"),
            Self::SharedPort(0) => {
                f.write_str("another client behind the same NAT may use the same port")
            }
            Self::SharedPort(port) => {
                write!(
                    f,
                    "another client behind the same NAT uses port {port}, too"
                )
            }
            Self::Stays => f.write_str("its other IPsec SAs are there"),
        }
    }
}

/// What one Quick Mode asks of a carrier, besides the suite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    /// The peer has an IPv6 address.
    pub ipv6: bool,
    /// Where the client's present IPsec SAs are.
    pub present: Option<Carrier>,
    /// Another client at this address may use the same port inside.
    pub shared: Option<SharedPort>,
}

/// A port inside ESP that two clients at one address use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedPort {
    /// The port, 0 when this client does not say.
    pub port: u16,
    /// The other one is known to be another host, not this one come back through a new NAT
    /// mapping.
    pub other_host: bool,
}

/// The carrier of a client, and why it is not the system's kernel.
pub type Choice = (Carrier, Option<SoftReason>);

impl Carriers {
    /// Whether both kernels are in use.
    pub fn both(&self) -> bool {
        self.system.is_some() && self.soft
    }

    /// Who can carry packets of `suite`, in UDP or not.
    ///
    /// # Errors
    /// Nobody: softkernel is needed and does not run, or cannot get packets that are not in UDP.
    pub fn choose(
        &self,
        suite: &EspSuite,
        sha256_96: bool,
        udp: bool,
        demand: &Demand,
    ) -> Result<Choice, Refusal> {
        let Some(system) = &self.system else {
            return Ok((Carrier::Soft, None));
        };
        let possible = self.soft && udp;
        let reason = if !system.has(suite, sha256_96) {
            SoftReason::Suite(*suite)
        } else if udp && demand.ipv6 && !system.ipv6_encapsulation {
            SoftReason::Ipv6
        } else if possible && demand.present == Some(Carrier::Soft) {
            SoftReason::Stays
        } else if let Some(shared) = demand.shared.filter(|s| udp && (possible || s.other_host)) {
            SoftReason::SharedPort(shared.port)
        } else {
            return Ok((Carrier::System, None));
        };
        match reason {
            _ if possible => Ok((Carrier::Soft, Some(reason))),
            _ if udp => Err(Refusal::NeedsSoftkernel),
            _ => Err(Refusal::NeedsEncapsulation),
        }
    }

    /// Whether softkernel, beside the system's kernel, has suites of the policy that one lacks.
    pub(crate) fn soft_has_more(
        &self,
        policy: &Phase2Policy,
        of: impl Fn(&EspSuite) -> bool,
    ) -> bool {
        self.soft
            && self.system.as_ref().is_some_and(|system| {
                let lacking = |suite: &EspSuite| !system.has(suite, policy.sha256_icv.is_short());
                policy
                    .allowed_suites()
                    .any(|suite| of(suite) && lacking(suite))
            })
    }
}

/// A client's packets as they are on the wire: ESP in UDP between two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerPort {
    /// Our address and NAT traversal port.
    pub local: SocketAddr,
    /// The peer's address and (mapped) port.
    pub peer: SocketAddr,
}

/// Addresses of clients that need UDP encapsulation so that softkernel can serve them: their next
/// phase 1 announces a NAT. Forgotten in time, and bounded.
#[derive(Debug, Default)]
pub(crate) struct Encapsulated {
    until: BTreeMap<IpAddr, Instant>,
}

impl Encapsulated {
    const MEMORY: Duration = Duration::from_secs(24 * 3600);
    const MAX: usize = 4096;

    pub(crate) fn insert(&mut self, now: Instant, address: IpAddr) {
        if self.until.len() >= Self::MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < Self::MAX {
            self.until.insert(address, now + Self::MEMORY);
        }
    }

    pub(crate) fn contains(&self, now: Instant, address: IpAddr) -> bool {
        self.until.get(&address).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(cipher: EspTransform, auth: EspAuth) -> EspSuite {
        EspSuite {
            cipher,
            key_bits: if cipher == EspTransform::TRIPLE_DES {
                0
            } else {
                128
            },
            auth,
        }
    }

    /// FreeBSD 14, and softkernel beside it.
    fn freebsd() -> Carriers {
        Carriers {
            system: Some(SystemAbilities {
                ciphers: vec![EspTransform::AES_CBC, EspTransform::AES_GCM_16],
                auths: vec![EspAuth::HMAC_SHA1, EspAuth::HMAC_SHA2_256],
                ..SystemAbilities::default()
            }),
            soft: true,
            awaited: false,
        }
    }

    #[test]
    fn the_system_is_preferred_and_softkernel_does_the_rest() {
        let carriers = freebsd();
        let aes = suite(EspTransform::AES_CBC, EspAuth::HMAC_SHA2_256);
        let des = suite(EspTransform::TRIPLE_DES, EspAuth::HMAC_SHA1);
        let plain = Demand::default();
        let choose =
            |suite, short, udp, demand: &Demand| carriers.choose(suite, short, udp, demand);
        assert_eq!(
            choose(&aes, false, true, &plain),
            Ok((Carrier::System, None))
        );
        assert_eq!(
            choose(&aes, false, false, &plain),
            Ok((Carrier::System, None))
        );
        let soft = |reason| Ok((Carrier::Soft, Some(reason)));
        assert_eq!(
            choose(&aes, true, true, &plain),
            soft(SoftReason::Suite(aes))
        );
        assert_eq!(
            choose(&des, false, true, &plain),
            soft(SoftReason::Suite(des))
        );
        assert_eq!(
            choose(&des, false, false, &plain),
            Err(Refusal::NeedsEncapsulation)
        );
        let ipv6 = Demand {
            ipv6: true,
            ..plain
        };
        assert_eq!(choose(&aes, false, true, &ipv6), soft(SoftReason::Ipv6));
        assert_eq!(
            choose(&aes, false, false, &ipv6),
            Ok((Carrier::System, None))
        );
        let shared = |other_host| Demand {
            shared: Some(SharedPort {
                port: 1701,
                other_host,
            }),
            ..plain
        };
        assert_eq!(
            choose(&aes, false, true, &shared(false)),
            soft(SoftReason::SharedPort(1701))
        );
        assert_eq!(
            choose(&aes, false, false, &shared(true)),
            Ok((Carrier::System, None))
        );
        let stays = Demand {
            present: Some(Carrier::Soft),
            ..plain
        };
        assert_eq!(choose(&aes, false, true, &stays), soft(SoftReason::Stays));
    }

    #[test]
    fn without_softkernel_the_remedy_is_named() {
        let carriers = Carriers {
            soft: false,
            ..freebsd()
        };
        let des = suite(EspTransform::TRIPLE_DES, EspAuth::HMAC_SHA1);
        let refused = carriers.choose(&des, false, true, &Demand::default());
        assert_eq!(refused, Err(Refusal::NeedsSoftkernel));
        // Another host would break the first one's tunnel; the same one come back would not.
        let aes = suite(EspTransform::AES_CBC, EspAuth::HMAC_SHA1);
        let shared = |other_host| Demand {
            shared: Some(SharedPort {
                port: 1701,
                other_host,
            }),
            ..Demand::default()
        };
        assert_eq!(
            carriers.choose(&aes, false, true, &shared(true)),
            Err(Refusal::NeedsSoftkernel)
        );
        assert_eq!(
            carriers.choose(&aes, false, true, &shared(false)),
            Ok((Carrier::System, None))
        );
        let alone = Carriers::default();
        let choice = alone.choose(&des, false, false, &Demand::default());
        assert_eq!(choice, Ok((Carrier::Soft, None)));
    }
}

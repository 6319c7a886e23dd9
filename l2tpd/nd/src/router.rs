//! When a router advertises (RFC 4861 section 6.2), on a link that has one host.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use rand_core::CryptoRng;

use crate::advertisement::{Advertisement, ON_LINK_AND_AUTONOMOUS, Prefix};
use crate::packet::{ALL_NODES, Solicitation};

/// MaxRtrAdvInterval and MinRtrAdvInterval (section 6.2.1), their defaults.
const MAX_INTERVAL: Duration = Duration::from_secs(600);
const MIN_INTERVAL: Duration = Duration::from_secs(200);
/// MAX_INITIAL_RTR_ADVERTISEMENTS and MAX_INITIAL_RTR_ADVERT_INTERVAL (section 10).
const INITIAL: u8 = 3;
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// MIN_DELAY_BETWEEN_RAS (section 10).
const MIN_DELAY: Duration = Duration::from_secs(3);
/// A host is answered at once, because nobody else on the link could collide with the answer
/// (section 6.2.6 has several routers in mind); but only so often. Hosts ask every four seconds.
const MIN_ANSWER_DELAY: Duration = Duration::from_secs(1);
/// AdvDefaultLifetime, AdvValidLifetime, AdvPreferredLifetime (section 6.2.1).
const ROUTER_LIFETIME: u16 = 1800;
const VALID: u32 = 2_592_000;
const PREFERRED: u32 = 604_800;
/// AdvRDNSSLifetime (RFC 8106 section 5.1): three times MaxRtrAdvInterval.
const DNS_LIFETIME: u32 = 1800;
const HOP_LIMIT: u8 = 64;
/// What every link must carry (RFC 8200 section 5); less is not advertised, hosts ignore it.
const LEAST_MTU: u32 = 1280;

/// What is advertised, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our link-local address, which hosts take as default router.
    pub router: Ipv6Addr,
    /// The host's link-local address: nobody else is answered.
    pub host: Ipv6Addr,
    /// The prefix the host makes addresses of.
    pub prefix: Ipv6Net,
    /// Recursive name servers.
    pub dns: Vec<Ipv6Addr>,
    /// The link's MTU, octets.
    pub mtu: u32,
}

/// The router of one link.
#[derive(Debug)]
pub struct Router {
    settings: Settings,
    /// Initial advertisements still to come.
    initial: u8,
    next: Instant,
    last_to_all: Option<Instant>,
    last_answer: Option<Instant>,
}

impl Router {
    /// A link that came up; the first advertisement is due at once.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            initial: INITIAL,
            next: now,
            last_to_all: None,
            last_answer: None,
        }
    }

    /// What is advertised.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Instant {
        self.next
    }

    /// The packet to send to the host, if one is due.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
        if now < self.next {
            return None;
        }
        self.initial = self.initial.saturating_sub(1);
        self.last_to_all = Some(now);
        self.next = now + self.interval(rng);
        Some(self.packet(ALL_NODES))
    }

    /// A solicitation of the host; the packet to answer with, if it is not too early for one.
    pub fn handle_solicitation(
        &mut self,
        now: Instant,
        solicitation: Solicitation,
    ) -> Option<Vec<u8>> {
        if solicitation.source.is_unspecified() {
            // It has no address yet to be answered at.
            let earliest = self.last_to_all.map_or(now, |last| last + MIN_DELAY);
            self.next = self.next.min(earliest.max(now));
            return None;
        }
        let early = self
            .last_answer
            .is_some_and(|last| now.saturating_duration_since(last) < MIN_ANSWER_DELAY);
        if early || solicitation.source != self.settings.host {
            return None;
        }
        self.last_answer = Some(now);
        Some(self.packet(solicitation.source))
    }

    fn interval(&self, rng: &mut dyn CryptoRng) -> Duration {
        let span = MAX_INTERVAL - MIN_INTERVAL;
        let random = MIN_INTERVAL + span.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX));
        if self.initial > 0 {
            random.min(INITIAL_INTERVAL)
        } else {
            random
        }
    }

    fn packet(&self, to: Ipv6Addr) -> Vec<u8> {
        let Settings {
            router,
            prefix,
            dns,
            mtu,
            ..
        } = &self.settings;
        let advertisement = Advertisement {
            hop_limit: HOP_LIMIT,
            flags: 0,
            lifetime: ROUTER_LIFETIME,
            prefixes: vec![Prefix {
                network: *prefix,
                flags: ON_LINK_AND_AUTONOMOUS,
                valid: VALID,
                preferred: PREFERRED,
            }],
            mtu: Some(*mtu).filter(|mtu| *mtu >= LEAST_MTU),
            dns: dns.clone(),
            dns_lifetime: DNS_LIFETIME,
        };
        advertisement.emit(*router, to)
    }
}

//! When a host solicits (RFC 4861 section 6.3.7).

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use crate::packet::Solicitation;

/// MAX_RTR_SOLICITATIONS and RTR_SOLICITATION_INTERVAL (section 10).
const SOLICITATIONS: u8 = 3;
const INTERVAL: Duration = Duration::from_secs(4);

/// The host on one link. It does not see whether somebody answers: the system does, which takes
/// the advertisement; so it asks as often as a host that nobody answers.
#[derive(Debug)]
pub struct Host {
    address: Ipv6Addr,
    left: u8,
    next: Instant,
}

impl Host {
    /// A link that came up, on which we have this link-local address.
    #[must_use]
    pub fn new(address: Ipv6Addr, now: Instant) -> Self {
        Self {
            address,
            left: SOLICITATIONS,
            next: now,
        }
    }

    /// When [`Self::handle_timeout`] is due, if it will be.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.next)
    }

    /// The packet to send to the router, if one is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.left == 0 || now < self.next {
            return None;
        }
        self.left -= 1;
        self.next = now + INTERVAL;
        let source = self.address;
        Some(Solicitation { source }.emit())
    }
}

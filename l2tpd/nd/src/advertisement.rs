//! The Router Advertisement (RFC 4861 section 4.2) with the options Prefix Information (4.6.2),
//! MTU (4.6.4) and Recursive DNS Server (RFC 8106 section 5.1).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::packet::{ROUTER_ADVERTISEMENT, emit};

const OPTION_PREFIX: u8 = 3;
const OPTION_MTU: u8 = 5;
const OPTION_RDNSS: u8 = 25;

/// L and A: the prefix is on this link, and addresses may be made of it (RFC 4862).
pub const ON_LINK_AND_AUTONOMOUS: u8 = 0xc0;

/// A prefix that is advertised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The prefix; hosts make addresses of one with 64 bits only.
    pub network: Ipv6Net,
    /// Its flags.
    pub flags: u8,
    /// Seconds from now that addresses may be used.
    pub valid: u32,
    /// Seconds from now that new connections should use them.
    pub preferred: u32,
}

/// A Router Advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertisement {
    /// The hop limit that hosts should use; 0: unsaid.
    pub hop_limit: u8,
    /// Managed and other configuration by DHCPv6, bits 0x80 and 0x40.
    pub flags: u8,
    /// Seconds that this is a default router.
    pub lifetime: u16,
    /// Prefixes.
    pub prefixes: Vec<Prefix>,
    /// The link's MTU, octets.
    pub mtu: Option<u32>,
    /// Recursive name servers, at most 127.
    pub dns: Vec<Ipv6Addr>,
    /// Seconds that these may be asked.
    pub dns_lifetime: u32,
}

impl Advertisement {
    /// The whole IPv6 packet.
    #[must_use]
    pub fn emit(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
        let [lifetime_high, lifetime_low] = self.lifetime.to_be_bytes();
        let mut body = vec![self.hop_limit, self.flags, lifetime_high, lifetime_low];
        // Reachable time and retransmission timer: unsaid, nothing is resolved on this link.
        body.extend_from_slice(&[0; 8]);
        for prefix in &self.prefixes {
            body.extend_from_slice(&[OPTION_PREFIX, 4, prefix.network.prefix_len(), prefix.flags]);
            body.extend_from_slice(&prefix.valid.to_be_bytes());
            body.extend_from_slice(&prefix.preferred.to_be_bytes());
            body.extend_from_slice(&[0; 4]);
            body.extend_from_slice(&prefix.network.network().octets());
        }
        if let Some(mtu) = self.mtu {
            body.extend_from_slice(&[OPTION_MTU, 1, 0, 0]);
            body.extend_from_slice(&mtu.to_be_bytes());
        }
        if !self.dns.is_empty() {
            let servers = self.dns.get(..127).unwrap_or(&self.dns);
            let units = u8::try_from(1 + 2 * servers.len()).unwrap_or(u8::MAX);
            body.extend_from_slice(&[OPTION_RDNSS, units, 0, 0]);
            body.extend_from_slice(&self.dns_lifetime.to_be_bytes());
            for server in servers {
                body.extend_from_slice(&server.octets());
            }
        }
        emit(source, destination, ROUTER_ADVERTISEMENT, &body)
    }
}

//! `struct sadb_address`, 8 bytes and a sockaddr: RFC 2367 section 2.3.3.

use std::net::{IpAddr, SocketAddr};

use crate::numbering::Numbering;
use crate::sockaddr;
use crate::wire::{Reader, Writer};

/// An address, or a selector of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// Upper protocol of a selector; [`Address::ANY_PROTOCOL`] for any.
    pub protocol: u8,
    /// Prefix length in bits.
    pub prefix_len: u8,
    /// Address and port; port 0 for any.
    pub address: SocketAddr,
}

impl Address {
    /// `IPSEC_ULPROTO_ANY`.
    pub const ANY_PROTOCOL: u8 = 255;

    /// One host, any protocol, any port.
    pub const fn host(ip: IpAddr) -> Self {
        Self::selector(ip, full_prefix(&ip), 0, Self::ANY_PROTOCOL)
    }

    /// A policy selector; `port` 0 and `protocol` [`Address::ANY_PROTOCOL`] for any.
    pub const fn selector(ip: IpAddr, prefix_len: u8, port: u16, protocol: u8) -> Self {
        Self {
            protocol,
            prefix_len,
            address: SocketAddr::new(ip, port),
        }
    }

    /// The same with a port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// The address without its port.
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    pub(super) const fn body_len(&self) -> usize {
        4 + sockaddr::wire_len(&self.address)
    }

    pub(super) fn parse(body: &mut Reader<'_>, numbering: Numbering) -> Option<Self> {
        let protocol = body.u8()?;
        let prefix_len = body.u8()?;
        body.skip(2)?;
        let address = sockaddr::parse(body, numbering)?;
        (prefix_len <= full_prefix(&address.ip())).then_some(Self {
            protocol,
            prefix_len,
            address,
        })
    }

    pub(super) fn emit(&self, numbering: Numbering, out: &mut Writer<'_>) {
        out.u8(self.protocol).u8(self.prefix_len).zeros(2);
        sockaddr::emit(&self.address, numbering, out);
    }
}

/// Bits of a host address.
pub(crate) const fn full_prefix(ip: &IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

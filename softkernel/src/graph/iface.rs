//! The `iface` node: `ng_iface(4)`, an interface `ngN`. All of them share the one TUN device of
//! this process; what FreeBSD does by ioctl is done by the messages of
//! [`netgraph::node::soft_iface`].

use std::net::IpAddr;

use netgraph::node::iface as ng;
use netgraph::node::soft_iface::{self as soft, AddressPair, Network};
use netgraph::{Errno, NgMessage};

use super::routes::covers;
use super::{Drop, HookIndex, Verdict, command};

/// Routes through one interface, besides its peers.
pub(super) const MAX_ROUTES: usize = 64;
const ICMPV6: u8 = 58;
/// ICMPv6 types of RFC 4861 section 4.
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;
const MIN_MTU: u32 = 72;
const MAX_MTU: u32 = 65_535;
const DEFAULT_MTU: u32 = 1500;

/// What a hook of this node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// IPv4 packets.
    Inet,
    /// IPv6 packets.
    Inet6,
    /// Router solicitations of the peer, for whoever advertises.
    Solicitations,
}

/// Counts of one interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets from the peer.
    pub receive_packets: u64,
    /// Octets from the peer.
    pub receive_octets: u64,
    /// Packets to the peer.
    pub transmit_packets: u64,
    /// Octets to the peer.
    pub transmit_octets: u64,
    /// Packets from the peer with somebody else's address.
    pub wrong_source: u64,
}

/// The node.
#[derive(Debug)]
pub struct IfaceNode {
    unit: u32,
    inet: Option<HookIndex>,
    inet6: Option<HookIndex>,
    solicitations: Option<HookIndex>,
    pub(super) gate: Gate,
    pub(super) stats: Stats,
}

/// What an interface lets through.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) v4: Option<AddressPair>,
    pub(super) v6: Option<AddressPair>,
    pub(super) routes: Vec<Network>,
    pub(super) mtu: u32,
    source_check: bool,
}

impl Gate {
    /// The peer's addresses.
    pub(super) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        [self.v4, self.v6]
            .into_iter()
            .flatten()
            .map(|pair| pair.peer)
    }

    /// Whether a packet may come from the peer, over this version of IP.
    pub(super) fn admit(&self, role: Role, packet: &[u8]) -> Result<(), Drop> {
        let (Some(source), true) = (source_of(packet), version_of(packet) == Some(role)) else {
            return Err(Drop::Malformed);
        };
        // The system may have to believe another peer's, and all come by one device.
        if self.source_check && may_be_a_routers(packet, source) {
            return Err(Drop::NoRouter);
        }
        if self.source_check && !self.may_send(source) {
            return Err(Drop::WrongSource);
        }
        Ok(())
    }

    /// Whether a packet is short enough for the peer.
    pub(super) fn check_length(&self, packet: &[u8]) -> Result<(), Drop> {
        match packet.len() > self.mtu as usize {
            true => Err(Drop::TooLong),
            false => Ok(()),
        }
    }

    fn may_send(&self, source: IpAddr) -> bool {
        self.peers().any(|peer| peer == source)
            || self.routes.iter().any(|network| covers(network, source))
    }
}

/// Whether it is a router solicitation.
pub(super) fn solicits(packet: &[u8]) -> bool {
    upper_layer_of(packet) == Some((ICMPV6, ROUTER_SOLICITATION))
}

/// What a message changes outside the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    SetAddress(AddressPair),
    SetMtu(u32),
    AddRoute(Network),
    DelRoute(Network),
    AcceptAdvertisements(bool),
}

impl IfaceNode {
    /// Interface `ng<unit>`.
    pub(super) fn new(unit: u32) -> Self {
        Self {
            unit,
            inet: None,
            inet6: None,
            solicitations: None,
            gate: Gate {
                v4: None,
                v6: None,
                routes: Vec::new(),
                mtu: DEFAULT_MTU,
                source_check: true,
            },
            stats: Stats::default(),
        }
    }

    /// N of `ngN`.
    pub(super) fn unit(&self) -> u32 {
        self.unit
    }

    /// `ngN`.
    pub fn name(&self) -> String {
        format!("ng{}", self.unit)
    }

    /// What passed.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The hook that packets of this version go by.
    pub(super) fn hook_of(&self, role: Role) -> Option<HookIndex> {
        match role {
            Role::Inet => self.inet,
            Role::Inet6 => self.inet6,
            Role::Solicitations => self.solicitations,
        }
    }

    pub(super) fn attach(&mut self, name: &str, hook: HookIndex) -> Result<Role, Errno> {
        match name {
            ng::HOOK_INET => {
                self.inet = Some(hook);
                Ok(Role::Inet)
            }
            ng::HOOK_INET6 => {
                self.inet6 = Some(hook);
                Ok(Role::Inet6)
            }
            soft::HOOK_SOLICITATIONS => {
                self.solicitations = Some(hook);
                Ok(Role::Solicitations)
            }
            _ => Err(Errno(libc::EPFNOSUPPORT)),
        }
    }

    pub(super) fn detach(&mut self, role: Role) {
        match role {
            Role::Inet => self.inet = None,
            Role::Inet6 => self.inet6 = None,
            Role::Solicitations => self.solicitations = None,
        }
    }

    pub(super) fn message(
        &mut self,
        message: &NgMessage,
    ) -> Result<(Option<Vec<u8>>, Option<Request>), Errno> {
        match message.cookie {
            ng::COOKIE => self.interface_message(message).map(|reply| (reply, None)),
            soft::COOKIE => self.soft_message(message).map(|request| (None, request)),
            _ => Err(Errno::EINVAL),
        }
    }

    fn interface_message(&mut self, message: &NgMessage) -> Result<Option<Vec<u8>>, Errno> {
        if command::<ng::GetIfName>(message)?.is_some() {
            Ok(Some(ng::IfName(self.name()).emit()))
        } else if command::<ng::GetIfIndex>(message)?.is_some() {
            Ok(Some(ng::IfIndex(self.unit + 1).emit()))
        } else if command::<ng::PointToPoint>(message)?.is_some() {
            Ok(None)
        } else {
            Err(Errno::EINVAL)
        }
    }

    fn soft_message(&mut self, message: &NgMessage) -> Result<Option<Request>, Errno> {
        if let Some(soft::SetAddress(pair)) = command(message)? {
            let usable = !pair.peer.is_unspecified() && !pair.peer.is_multicast();
            if usable {
                Ok(Some(Request::SetAddress(pair)))
            } else {
                Err(Errno::EINVAL)
            }
        } else if let Some(soft::SetMtu(soft::Mtu(mtu))) = command(message)? {
            let fits = (MIN_MTU..=MAX_MTU).contains(&mtu);
            if fits {
                Ok(Some(Request::SetMtu(mtu)))
            } else {
                Err(Errno::EINVAL)
            }
        } else if let Some(soft::AddRoute(network)) = command(message)? {
            let full = self.gate.routes.len() >= MAX_ROUTES;
            if full {
                Err(Errno::ENOBUFS)
            } else {
                Ok(Some(Request::AddRoute(network)))
            }
        } else if let Some(soft::DelRoute(network)) = command(message)? {
            Ok(Some(Request::DelRoute(network)))
        } else if let Some(soft::SourceCheck(soft::Switch(on))) = command(message)? {
            self.gate.source_check = on;
            Ok(None)
        } else if let Some(soft::AcceptAdvertisements(soft::Switch(on))) = command(message)? {
            Ok(Some(Request::AcceptAdvertisements(on)))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// A packet from the peer.
    pub(super) fn receive(&mut self, role: Role, packet: &[u8]) -> Verdict {
        if let (true, Some(hook)) = (
            version_of(packet) == Some(role) && solicits(packet),
            self.solicitations,
        ) {
            return Verdict::Forward(hook);
        }
        if let Err(reason) = self.gate.admit(role, packet) {
            if reason == Drop::WrongSource {
                self.stats.wrong_source += 1;
            }
            return Verdict::Drop(reason);
        }
        self.stats.receive_packets += 1;
        self.stats.receive_octets += packet.len() as u64;
        Verdict::Tun
    }

    /// A packet for the peer: the hook it leaves by.
    pub(super) fn transmit(&mut self, packet: &[u8]) -> Result<HookIndex, Drop> {
        let role = version_of(packet).ok_or(Drop::Malformed)?;
        let hook = self.hook_of(role).ok_or(Drop::NotConnected)?;
        self.gate.check_length(packet)?;
        self.stats.transmit_packets += 1;
        self.stats.transmit_octets += packet.len() as u64;
        Ok(hook)
    }

    /// For the state dump.
    pub(super) fn status(&self) -> String {
        let mut out = format!("{} mtu {}", self.name(), self.gate.mtu);
        for pair in [self.gate.v4, self.gate.v6].into_iter().flatten() {
            out.push_str(&format!(" {} -> {}", pair.local, pair.peer));
        }
        out
    }
}

pub(super) fn version_of(packet: &[u8]) -> Option<Role> {
    match packet.first()? >> 4 {
        4 if packet.len() >= 20 => Some(Role::Inet),
        6 if packet.len() >= 40 => Some(Role::Inet6),
        _ => None,
    }
}

/// The source address of an IP packet.
pub(crate) fn source_of(packet: &[u8]) -> Option<IpAddr> {
    address_at(packet, 12, 8)
}

/// The destination address of an IP packet.
pub(crate) fn destination_of(packet: &[u8]) -> Option<IpAddr> {
    address_at(packet, 16, 24)
}

/// What stands behind the header of an IPv6 packet, and its first octet: of ICMPv6 the type.
fn upper_layer_of(packet: &[u8]) -> Option<(u8, u8)> {
    let ipv6 = version_of(packet)? == Role::Inet6;
    ipv6.then_some((*packet.get(6)?, *packet.get(40)?))
}

/// Router advertisements and redirects come from link-local addresses (RFC 4861 sections 6.1.2 and
/// 8.1). Behind an extension header something may be one (RFC 7113); nothing that a client sends
/// from there needs those.
fn may_be_a_routers(packet: &[u8], source: IpAddr) -> bool {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let link_local = matches!(source, IpAddr::V6(v6) if v6.is_unicast_link_local());
    link_local
        && match upper_layer_of(packet) {
            Some((ICMPV6, kind)) => matches!(kind, ROUTER_ADVERTISEMENT | REDIRECT),
            Some((TCP | UDP, _)) => false,
            _ => true,
        }
}

fn address_at(packet: &[u8], v4: usize, v6: usize) -> Option<IpAddr> {
    if version_of(packet)? == Role::Inet6 {
        let octets: [u8; 16] = *packet.get(v6..)?.first_chunk()?;
        Some(octets.into())
    } else {
        let octets: [u8; 4] = *packet.get(v4..)?.first_chunk()?;
        Some(octets.into())
    }
}

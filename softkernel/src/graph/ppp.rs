//! The `ppp` node: `ng_ppp(4)` for one link, without multilink, compression and encryption.
//!
//! RFC 1661 section 2 (protocol field), RFC 1662 section 3.1 (address and control fields). Frames
//! are accepted with and without these compressions at any time; they are sent compressed as
//! configured, LCP never (RFC 1661 section 6.6).

use netgraph::node::ppp::{
    self as ng, BUNDLE_LINK, BundleConfig, LinkConfig, LinkStats, MAX_BANDWIDTH, MAX_LATENCY,
    MAX_LINKS, MIN_MRU, NodeConfig, PROTOCOL_IPV6,
};
use netgraph::{Errno, NgMessage};

use super::{Drop, HookIndex, Verdict, command};
use crate::buffer::Buffer;

/// All stations address and unnumbered information control field.
const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
pub(super) const PROTOCOL_IP: u16 = 0x0021;
const PROTOCOL_LCP: u16 = 0xc021;
/// Protocols of the link layer itself, as ng_ppp draws the line: LCP, authentication.
const FIRST_LINK_PROTOCOL: u16 = 0xb000;

/// What a hook of this node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// PPP frames of a link.
    Link(usize),
    /// Frames of protocols not carried here, with link and protocol in front.
    Bypass,
    /// IPv4 packets.
    Inet,
    /// IPv6 packets.
    Ipv6,
}

/// The node.
#[derive(Debug, Default)]
pub struct PppNode {
    config: NodeConfig,
    links: [Option<HookIndex>; MAX_LINKS],
    /// Of the links up to the last one that was asked for: mostly there is one.
    stats: Vec<LinkStats>,
    bundle_stats: LinkStats,
    bypass: Option<HookIndex>,
    inet: Option<HookIndex>,
    ipv6: Option<HookIndex>,
}

impl PppNode {
    /// A node with nothing enabled.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn attach(&mut self, name: &str, hook: HookIndex) -> Result<Role, Errno> {
        match name {
            ng::HOOK_BYPASS => {
                self.bypass = Some(hook);
                Ok(Role::Bypass)
            }
            ng::HOOK_INET => {
                self.inet = Some(hook);
                Ok(Role::Inet)
            }
            ng::HOOK_IPV6 => {
                self.ipv6 = Some(hook);
                Ok(Role::Ipv6)
            }
            _ => {
                let digits = name
                    .strip_prefix(ng::HOOK_LINK_PREFIX)
                    .ok_or(Errno::EINVAL)?;
                let number: usize = digits.parse().map_err(|_| Errno::EINVAL)?;
                let canonical = ng::link_hook(number) == name;
                let link = self.links.get_mut(number).filter(|_| canonical);
                *link.ok_or(Errno::EINVAL)? = Some(hook);
                self.stats(u16::try_from(number).map_err(|_| Errno::EINVAL)?)?;
                Ok(Role::Link(number))
            }
        }
    }

    pub(super) fn detach(&mut self, role: Role) {
        match role {
            Role::Bypass => self.bypass = None,
            Role::Inet => self.inet = None,
            Role::Ipv6 => self.ipv6 = None,
            Role::Link(number) => {
                if let Some(link) = self.links.get_mut(number) {
                    *link = None;
                }
            }
        }
    }

    pub(super) fn message(&mut self, message: &NgMessage) -> Result<Option<Vec<u8>>, Errno> {
        if message.cookie != ng::COOKIE {
            return Err(Errno::EINVAL);
        }
        if let Some(ng::SetConfig(config)) = command(message)? {
            check(&config)?;
            self.config = config;
            Ok(None)
        } else if command::<ng::GetConfig>(message)?.is_some() {
            Ok(Some(self.config.emit()))
        } else if let Some(ng::GetLinkStats(link)) = command(message)? {
            Ok(Some(self.stats(link.0)?.emit()))
        } else if let Some(ng::ClearLinkStats(link)) = command(message)? {
            *self.stats(link.0)? = LinkStats::default();
            Ok(None)
        } else if let Some(ng::GetClearLinkStats(link)) = command(message)? {
            Ok(Some(std::mem::take(self.stats(link.0)?).emit()))
        } else {
            Err(Errno::EINVAL)
        }
    }

    fn stats(&mut self, link: u16) -> Result<&mut LinkStats, Errno> {
        if link == BUNDLE_LINK {
            return Ok(&mut self.bundle_stats);
        }
        let link = usize::from(link);
        if link < MAX_LINKS && self.stats.len() <= link {
            self.stats.resize_with(link + 1, LinkStats::default);
        }
        self.stats.get_mut(link).ok_or(Errno::EINVAL)
    }

    /// The link that packets leave by: its number, how it is configured, its hook.
    pub(super) fn first_link(&self) -> Option<(usize, LinkConfig, HookIndex)> {
        let number = self.config.links.iter().position(|link| link.enabled)?;
        let hook = self.links.get(number).copied().flatten()?;
        Some((number, *self.config.links.get(number)?, hook))
    }

    /// The hooks of IPv4 and IPv6, where packets pass.
    pub(super) fn network_hooks(&self) -> (Option<HookIndex>, Option<HookIndex>) {
        let BundleConfig { ip, ipv6, .. } = self.config.bundle;
        (self.inet.filter(|_| ip), self.ipv6.filter(|_| ipv6))
    }

    /// Counts of a link.
    pub(super) fn link_stats(&mut self, number: usize) -> Option<&mut LinkStats> {
        self.stats.get_mut(number)
    }

    pub(super) fn receive(&mut self, role: Role, buffer: &mut Buffer) -> Verdict {
        match role {
            Role::Link(number) => self.receive_frame(number, buffer),
            Role::Inet if self.config.bundle.ip => self.transmit(BUNDLE_LINK, PROTOCOL_IP, buffer),
            Role::Ipv6 if self.config.bundle.ipv6 => {
                self.transmit(BUNDLE_LINK, PROTOCOL_IPV6, buffer)
            }
            Role::Inet | Role::Ipv6 => Verdict::Drop(Drop::NotEnabled),
            Role::Bypass => self.receive_bypass(buffer),
        }
    }

    fn receive_frame(&mut self, number: usize, buffer: &mut Buffer) -> Verdict {
        let (Some(stats), Some(link)) = (self.stats.get_mut(number), self.config.links.get(number))
        else {
            return Verdict::Drop(Drop::NotConnected);
        };
        stats.receive_frames += 1;
        stats.receive_octets += buffer.len() as u64;
        let Some((protocol, size)) = frame_protocol(buffer) else {
            stats.bad_protocols += 1;
            return Verdict::Drop(Drop::Malformed);
        };
        // LCP and authentication pass a link that is not enabled, nothing else does.
        if protocol < FIRST_LINK_PROTOCOL && !link.enabled {
            return Verdict::Drop(Drop::NotEnabled);
        }
        let _ = buffer.trim_front(size);
        let bundle = &self.config.bundle;
        let up = match protocol {
            PROTOCOL_IP if bundle.ip => self.inet,
            PROTOCOL_IPV6 if bundle.ipv6 => self.ipv6,
            _ => None,
        };
        if let Some(hook) = up {
            return Verdict::Forward(hook);
        }
        let Some(bypass) = self.bypass else {
            return Verdict::Drop(Drop::NotConnected);
        };
        let Some(room) = buffer.prepend(4) else {
            return Verdict::Drop(Drop::NoRoom);
        };
        let link = u16::try_from(number).unwrap_or(BUNDLE_LINK);
        let fields = [link, protocol];
        for (place, field) in room.chunks_exact_mut(2).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        Verdict::Forward(bypass)
    }

    fn receive_bypass(&mut self, buffer: &mut Buffer) -> Verdict {
        let Ok((link, protocol, _)) = ng::parse_bypass(buffer) else {
            return Verdict::Drop(Drop::Malformed);
        };
        let _ = buffer.trim_front(4);
        if usize::from(link) >= MAX_LINKS && link != BUNDLE_LINK {
            return Verdict::Drop(Drop::Malformed);
        }
        self.transmit(link, protocol, buffer)
    }

    /// Frames a packet. What the daemon sends passes links that are not enabled; packets do not,
    /// because the bundle has no link then.
    fn transmit(&mut self, link: u16, protocol: u16, buffer: &mut Buffer) -> Verdict {
        let number = if link == BUNDLE_LINK {
            match self.config.links.iter().position(|link| link.enabled) {
                Some(number) => number,
                None => return Verdict::Drop(Drop::NotEnabled),
            }
        } else {
            usize::from(link)
        };
        let (Some(config), Some(stats)) =
            (self.config.links.get(number), self.stats.get_mut(number))
        else {
            return Verdict::Drop(Drop::Malformed);
        };
        let Some(hook) = self.links.get(number).copied().flatten() else {
            return Verdict::Drop(Drop::NotConnected);
        };
        if push_header(config, protocol, buffer).is_none() {
            return Verdict::Drop(Drop::NoRoom);
        }
        stats.transmit_frames += 1;
        stats.transmit_octets += buffer.len() as u64;
        Verdict::Forward(hook)
    }

    /// For the state dump.
    pub(super) fn status(&self) -> String {
        let BundleConfig { ip, ipv6, .. } = self.config.bundle;
        let links = self.config.links.iter().filter(|link| link.enabled).count();
        format!("links {links} ip {ip} ipv6 {ipv6}")
    }
}

/// The protocol of a frame, and how many bytes to take off its front.
pub(super) fn frame_protocol(frame: &[u8]) -> Option<(u16, usize)> {
    let skip = if frame.starts_with(&ADDRESS_CONTROL) {
        2
    } else {
        0
    };
    let (&first, rest) = frame.get(skip..)?.split_first()?;
    // The last octet of a protocol number is odd, all before it are even.
    if first & 1 == 1 {
        return Some((u16::from(first), skip + 1));
    }
    let &second = rest.first()?;
    (second & 1 == 1).then(|| (u16::from_be_bytes([first, second]), skip + 2))
}

/// Octets that [`push_header`] writes.
pub(super) fn header_size(link: &LinkConfig, protocol: u16) -> usize {
    let short = link.protocol_compression && protocol <= 0xff;
    let control = protocol == PROTOCOL_LCP || !link.address_compression;
    (if short { 1 } else { 2 }) + if control { ADDRESS_CONTROL.len() } else { 0 }
}

/// Writes protocol, address and control fields in front of the packet.
pub(super) fn push_header(link: &LinkConfig, protocol: u16, buffer: &mut Buffer) -> Option<()> {
    let [high, low] = protocol.to_be_bytes();
    let control = protocol == PROTOCOL_LCP;
    if link.protocol_compression && high == 0 {
        buffer.prepend(1)?.copy_from_slice(&[low]);
    } else {
        buffer.prepend(2)?.copy_from_slice(&[high, low]);
    }
    if control || !link.address_compression {
        buffer.prepend(2)?.copy_from_slice(&ADDRESS_CONTROL);
    }
    Some(())
}

fn check(config: &NodeConfig) -> Result<(), Errno> {
    let enabled = || config.links.iter().filter(|link| link.enabled);
    let within = |link: &LinkConfig| {
        link.mru >= MIN_MRU
            && link.latency <= MAX_LATENCY
            && (1..=MAX_BANDWIDTH).contains(&link.bandwidth)
    };
    let bundle = &config.bundle;
    let beyond = bundle.multilink
        || bundle.compression != 0
        || bundle.decompression != 0
        || bundle.encryption
        || bundle.decryption
        || bundle.vj_compression
        || bundle.vj_decompression;
    if beyond || enabled().count() > 1 || !enabled().all(within) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_framing_of_an_ip_packet_is_understood() {
        for frame in [
            &hex!("ff03 0021 45")[..],
            &hex!("ff03 21 45"),
            &hex!("0021 45"),
            &hex!("21 45"),
        ] {
            let (protocol, size) = frame_protocol(frame).unwrap();
            assert_eq!(
                (protocol, &frame[size..]),
                (PROTOCOL_IP, &[0x45][..]),
                "{frame:02x?}"
            );
        }
        assert_eq!(
            frame_protocol(&hex!("ff03 c021 01")),
            Some((PROTOCOL_LCP, 4))
        );
        for frame in [
            &hex!("")[..],
            &hex!("ff03"),
            &hex!("c0"),
            &hex!("ff03 c0"),
            &hex!("0022 45"),
        ] {
            assert_eq!(frame_protocol(frame), None, "{frame:02x?}");
        }
    }

    #[test]
    fn lcp_is_never_compressed() {
        let mut buffer = Buffer::new(64);
        for (pfc, acfc, ip) in [
            (false, false, &hex!("ff03 0021 45")[..]),
            (true, false, &hex!("ff03 21 45")),
            (false, true, &hex!("0021 45")),
            (true, true, &hex!("21 45")),
        ] {
            let config = NodeConfig::single_link(BundleConfig::default(), 1400, pfc, acfc);
            assert!(buffer.fill(&[0x45]));
            push_header(&config.links[0], PROTOCOL_IP, &mut buffer).unwrap();
            assert_eq!(&buffer[..], ip);
            assert_eq!(header_size(&config.links[0], PROTOCOL_IP), ip.len() - 1);
            assert_eq!(header_size(&config.links[0], PROTOCOL_LCP), 4);
            assert!(buffer.fill(&[1]));
            push_header(&config.links[0], PROTOCOL_LCP, &mut buffer).unwrap();
            assert_eq!(&buffer[..], hex!("ff03 c021 01"));
        }
    }

    #[test]
    fn configurations_that_freebsd_refuses() {
        let good = NodeConfig::single_link(BundleConfig::default(), 1400, true, true);
        assert_eq!(check(&good), Ok(()));
        let refused = |change: &dyn Fn(&mut NodeConfig)| {
            let mut config = good;
            change(&mut config);
            check(&config) == Err(Errno::EINVAL)
        };
        assert!(refused(&|config| config.links[0].bandwidth = 0));
        assert!(refused(&|config| config.links[0].mru = 31));
        assert!(refused(&|config| config.links[0].latency = 1001));
        assert!(refused(&|config| config.links[1] = config.links[0]));
        assert!(refused(&|config| config.bundle.multilink = true));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_understood(high in 0u8..=0xff, low: u8, pfc: bool, acfc: bool,
                                        body in prop::collection::vec(any::<u8>(), 0..40)) {
            let protocol = u16::from_be_bytes([high & 0xfe, low | 1]);
            // FF03 in front of a frame is address and control, never a protocol.
            prop_assume!(protocol != 0x00ff);
            let config = NodeConfig::single_link(BundleConfig::default(), 1400, pfc, acfc);
            let mut buffer = Buffer::new(64);
            prop_assert!(buffer.fill(&body));
            push_header(&config.links[0], protocol, &mut buffer).unwrap();
            let (parsed, size) = frame_protocol(&buffer).unwrap();
            prop_assert_eq!(parsed, protocol);
            prop_assert_eq!(&buffer[size..], &body[..]);
        }
    }
}

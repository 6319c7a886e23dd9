//! `ng_ppp(4)`, `<netgraph/ng_ppp.h>`: PPP framing, demultiplexing by protocol number, multilink.
//!
//! Frames on [`HOOK_BYPASS`] begin with the link number and the PPP protocol number, two bytes
//! each in network order; link [`BUNDLE_LINK`] is the bundle.

use crate::command::{plain_command, reply, struct_command};
use crate::error::WireError;
use crate::wire::{Reader, Writer};

/// The node type.
pub const TYPE: &str = "ppp";
/// `NGM_PPP_COOKIE`.
pub const COOKIE: u32 = 940_897_795;
/// Protocols that the node does not carry itself.
pub const HOOK_BYPASS: &str = "bypass";
/// IPv4 packets.
pub const HOOK_INET: &str = "inet";
/// IPv6 packets.
pub const HOOK_IPV6: &str = "ipv6";
/// The PPP protocol number of IPv6 packets (RFC 5072 section 3).
pub const PROTOCOL_IPV6: u16 = 0x0057;
/// Prefix of link hooks, a decimal number follows.
pub const HOOK_LINK_PREFIX: &str = "link";
/// `NG_PPP_MAX_LINKS`.
pub const MAX_LINKS: usize = 16;
/// `NG_PPP_BUNDLE_LINKNUM`.
pub const BUNDLE_LINK: u16 = 0xffff;
/// `NG_PPP_MAX_LATENCY`, milliseconds.
pub const MAX_LATENCY: u32 = 1000;
/// `NG_PPP_MAX_BANDWIDTH`, tens of octets per second.
pub const MAX_BANDWIDTH: u32 = 125_000;
/// `MP_MIN_LINK_MRU`: the smallest MRU of an enabled link.
pub const MIN_MRU: u16 = 32;

/// The hook of link `number`.
pub fn link_hook(number: usize) -> String {
    format!("{HOOK_LINK_PREFIX}{number}")
}

struct_command! {
    /// `NGM_PPP_SET_CONFIG`. Refused (EINVAL) unless every enabled link has a bandwidth, a
    /// latency and an MRU within bounds, and more than one link only with multilink.
    SetConfig(NodeConfig), COOKIE, 1, "setconfig", ()
}
plain_command! {
    /// `NGM_PPP_GET_CONFIG`.
    GetConfig, COOKIE, 2, "getconfig", NodeConfig
}
struct_command! {
    /// `NGM_PPP_CLR_LINK_STATS` of a link or of [`BUNDLE_LINK`].
    ClearLinkStats(LinkNumber), COOKIE, 5, "clrstats", ()
}
struct_command! {
    /// `NGM_PPP_GET_LINK_STATS64` of a link or of [`BUNDLE_LINK`].
    GetLinkStats(LinkNumber), COOKIE, 7, "getstats64", LinkStats
}
struct_command! {
    /// `NGM_PPP_GETCLR_LINK_STATS64` of a link or of [`BUNDLE_LINK`].
    GetClearLinkStats(LinkNumber), COOKIE, 8, "getclrstats64", LinkStats
}

/// A link number as the whole argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkNumber(pub u16);

impl LinkNumber {
    /// Reads the number.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("link number", bytes);
        let number = reader.u16()?;
        reader.end()?;
        Ok(Self(number))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().u16(self.0).finish()
    }
}

/// `struct ng_ppp_link_conf`, 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkConfig {
    /// Lets frames flow.
    pub enabled: bool,
    /// Sends with a compressed protocol field (PFC).
    pub protocol_compression: bool,
    /// Sends with compressed address and control fields (ACFC).
    pub address_compression: bool,
    /// The peer's MRU, octets.
    pub mru: u16,
    /// Milliseconds.
    pub latency: u32,
    /// Tens of octets per second.
    pub bandwidth: u32,
}

impl LinkConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let enabled = reader.flag()?;
        let protocol_compression = reader.flag()?;
        let address_compression = reader.flag()?;
        reader.skip(1)?;
        let mru = reader.u16()?;
        reader.skip(2)?;
        let latency = reader.u32()?;
        let bandwidth = reader.u32()?;
        Ok(Self {
            enabled,
            protocol_compression,
            address_compression,
            mru,
            latency,
            bandwidth,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer
            .flag(self.enabled)
            .flag(self.protocol_compression)
            .flag(self.address_compression)
            .zeros(1)
            .u16(self.mru)
            .zeros(2)
            .u32(self.latency)
            .u32(self.bandwidth);
    }
}

/// `struct ng_ppp_bund_conf`, 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BundleConfig {
    /// The peer's MRRU, octets.
    pub mrru: u16,
    /// Multilink.
    pub multilink: bool,
    /// Receive short multilink sequence numbers.
    pub receive_short_sequence: bool,
    /// Send short multilink sequence numbers.
    pub transmit_short_sequence: bool,
    /// Send whole packets in turn over the links.
    pub round_robin: bool,
    /// IPv4 packets flow.
    pub ip: bool,
    /// IPv6 packets flow.
    pub ipv6: bool,
    /// AppleTalk packets flow.
    pub appletalk: bool,
    /// IPX packets flow.
    pub ipx: bool,
    /// `enableCompression`: mode of the compress hook.
    pub compression: u8,
    /// `enableDecompression`: mode of the decompress hook.
    pub decompression: u8,
    /// ECP, sending.
    pub encryption: bool,
    /// ECP, receiving.
    pub decryption: bool,
    /// Van Jacobson compression, sending.
    pub vj_compression: bool,
    /// Van Jacobson compression, receiving.
    pub vj_decompression: bool,
}

impl BundleConfig {
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            mrru: reader.u16()?,
            multilink: reader.flag()?,
            receive_short_sequence: reader.flag()?,
            transmit_short_sequence: reader.flag()?,
            round_robin: reader.flag()?,
            ip: reader.flag()?,
            ipv6: reader.flag()?,
            appletalk: reader.flag()?,
            ipx: reader.flag()?,
            compression: reader.u8()?,
            decompression: reader.u8()?,
            encryption: reader.flag()?,
            decryption: reader.flag()?,
            vj_compression: reader.flag()?,
            vj_decompression: reader.flag()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer
            .u16(self.mrru)
            .flag(self.multilink)
            .flag(self.receive_short_sequence)
            .flag(self.transmit_short_sequence)
            .flag(self.round_robin)
            .flag(self.ip)
            .flag(self.ipv6)
            .flag(self.appletalk)
            .flag(self.ipx)
            .u8(self.compression)
            .u8(self.decompression)
            .flag(self.encryption)
            .flag(self.decryption)
            .flag(self.vj_compression)
            .flag(self.vj_decompression);
    }
}

/// `struct ng_ppp_node_conf`, 272 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeConfig {
    /// The bundle.
    pub bundle: BundleConfig,
    /// The links.
    pub links: [LinkConfig; MAX_LINKS],
}

impl NodeConfig {
    /// One enabled link with bandwidth and latency that the kernel accepts.
    pub fn single_link(bundle: BundleConfig, peer_mru: u16, pfc: bool, acfc: bool) -> Self {
        let mut out = Self {
            bundle,
            links: Default::default(),
        };
        let [first, ..] = &mut out.links;
        *first = LinkConfig {
            enabled: true,
            protocol_compression: pfc,
            address_compression: acfc,
            mru: peer_mru.max(MIN_MRU),
            latency: 10,
            bandwidth: MAX_BANDWIDTH,
        };
        out
    }

    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_ppp_node_conf", bytes);
        let mut out = Self {
            bundle: BundleConfig::read(&mut reader)?,
            ..Self::default()
        };
        for link in &mut out.links {
            *link = LinkConfig::read(&mut reader)?;
        }
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.bundle.write(&mut writer);
        for link in &self.links {
            link.write(&mut writer);
        }
        writer.finish()
    }
}

/// `struct ng_ppp_link_stat64`, 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStats {
    /// Frames sent.
    pub transmit_frames: u64,
    /// Octets sent.
    pub transmit_octets: u64,
    /// Frames received.
    pub receive_frames: u64,
    /// Octets received.
    pub receive_octets: u64,
    /// Frames with an impossible protocol number.
    pub bad_protocols: u64,
    /// Multilink fragments that were too short.
    pub runts: u64,
    /// Multilink fragments received twice.
    pub duplicate_fragments: u64,
    /// Multilink fragments dropped.
    pub dropped_fragments: u64,
}

impl LinkStats {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_ppp_link_stat64", bytes);
        let out = Self {
            transmit_frames: reader.u64()?,
            transmit_octets: reader.u64()?,
            receive_frames: reader.u64()?,
            receive_octets: reader.u64()?,
            bad_protocols: reader.u64()?,
            runts: reader.u64()?,
            duplicate_fragments: reader.u64()?,
            dropped_fragments: reader.u64()?,
        };
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .u64(self.transmit_frames)
            .u64(self.transmit_octets)
            .u64(self.receive_frames)
            .u64(self.receive_octets)
            .u64(self.bad_protocols)
            .u64(self.runts)
            .u64(self.duplicate_fragments)
            .u64(self.dropped_fragments)
            .finish()
    }
}

/// A frame for [`HOOK_BYPASS`].
pub fn bypass_frame(link: u16, protocol: u16, information: &[u8]) -> Vec<u8> {
    Writer::new()
        .u16_be(link)
        .u16_be(protocol)
        .bytes(information)
        .finish()
}

/// Link, protocol and information of a frame from [`HOOK_BYPASS`].
///
/// # Errors
/// Fewer than four bytes.
pub fn parse_bypass(frame: &[u8]) -> Result<(u16, u16, &[u8]), WireError> {
    let mut reader = Reader::new("bypass frame", frame);
    let link = reader.u16_be()?;
    let protocol = reader.u16_be()?;
    Ok((link, protocol, reader.rest()))
}

reply!(NodeConfig);
reply!(LinkStats);

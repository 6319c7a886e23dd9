//! State to carry over a restart: established ISAKMP SAs with their keys, and the list of IPsec
//! SAs that live on in the kernel. It holds keys: write it to files only root can read.
//!
//! Times are seconds of wall clock, which the caller supplies, since `Instant`s mean nothing to
//! another process.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::carrier::Carrier;
use crate::iana::{EncapsulationMode, EspAuth, EspTransform};
use crate::io::{ChildId, IkeId, Mode, Reqid, SecurityPolicy, TrafficSelectors, UdpEncapsulation};
use crate::wire::id::Identification;

/// The version of the format; another one is refused.
pub const CHECKPOINT_VERSION: u32 = 1;

/// What a process leaves for the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// [`CHECKPOINT_VERSION`].
    pub version: u32,
    /// Wall clock at writing, seconds.
    pub written: u64,
    /// The next handle to give out, so that handles stay unique over restarts.
    pub next_id: u64,
    /// Clients.
    pub clients: Vec<ClientCheckpoint>,
    /// Established ISAKMP SAs.
    pub ike_sas: Vec<IkeCheckpoint>,
    /// Installed pairs of IPsec SAs.
    pub children: Vec<ChildCheckpoint>,
}

/// One client: who it is, where, and the policies it has in the kernels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientCheckpoint {
    /// Its reqid.
    pub reqid: Reqid,
    /// Our address.
    pub local: SocketAddr,
    /// Its address now.
    pub peer: SocketAddr,
    /// Whether messages go through the NAT traversal port.
    pub natt_port: bool,
    /// It is behind NAT.
    pub peer_nat: bool,
    /// Who it is.
    pub identity: Identification,
    /// The connection we initiated it for.
    pub connection: Option<String>,
    /// Policies in the system's kernel, or the only one.
    pub policies: Vec<SecurityPolicy>,
    /// Policies in softkernel, where it runs beside the system's kernel.
    #[serde(default)]
    pub soft_policies: Vec<SecurityPolicy>,
    /// The address we gave it for tunnel mode.
    #[serde(default)]
    pub lease: Option<std::net::Ipv4Addr>,
}

/// One established ISAKMP SA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IkeCheckpoint {
    /// Handle.
    pub id: IkeId,
    /// Its client.
    pub reqid: Reqid,
    /// Connection, when we initiated it.
    pub connection: Option<String>,
    /// Whether we initiated.
    pub initiator: bool,
    /// Initiator cookie.
    pub initiator_cookie: HexBytes,
    /// Responder cookie.
    pub responder_cookie: HexBytes,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub peer: SocketAddr,
    /// Whether messages go through the NAT traversal port.
    pub natt_port: bool,
    /// NAT traversal variant: 0 none, 1 RFC 3947, 2 drafts 02/03.
    pub natt_variant: u8,
    /// We are behind NAT.
    pub local_nat: bool,
    /// The peer is behind NAT.
    pub peer_nat: bool,
    /// The peer does dead peer detection.
    pub dpd: bool,
    /// The peer takes fragments.
    #[serde(default)]
    pub fragments: bool,
    /// What the peer is.
    pub vendor: Option<String>,
    /// Our identity.
    pub local_identity: Identification,
    /// The peer's.
    pub peer_identity: Identification,
    /// The certificate by which the peer has proved who it is, in DER.
    #[serde(default)]
    pub peer_certificate: Option<HexBytes>,
    /// Cipher: IANA number.
    pub cipher: u16,
    /// Key bits.
    pub key_bits: Option<u16>,
    /// Hash: IANA number.
    pub hash: u16,
    /// Group: IANA number.
    pub group: u16,
    /// The name that was given by XAUTH.
    #[serde(default)]
    pub user: Option<String>,
    /// Authentication method: IANA number.
    #[serde(default = "psk")]
    pub method: u16,
    /// SKEYID_d.
    pub skeyid_d: HexBytes,
    /// SKEYID_a.
    pub skeyid_a: HexBytes,
    /// The cipher key made from SKEYID_e.
    pub key: HexBytes,
    /// Last cipher block of phase 1.
    pub iv: HexBytes,
    /// Message ids used up.
    pub message_ids: Vec<u32>,
    /// Next DPD sequence number of ours.
    pub dpd_sequence: u32,
    /// Last DPD sequence number seen from the peer.
    pub dpd_peer_sequence: Option<u32>,
    /// A newer SA does its work.
    pub superseded: bool,
    /// Wall clock of establishment.
    pub established: u64,
    /// Wall clock of rekeying by us, if planned.
    pub rekey: Option<u64>,
    /// Wall clock of deletion after it was replaced, if planned.
    pub retire: Option<u64>,
    /// Wall clock of expiry.
    pub expires: u64,
}

/// One pair of IPsec SAs. Their keys are in the kernel only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildCheckpoint {
    /// Handle.
    pub id: ChildId,
    /// Its client.
    pub reqid: Reqid,
    /// The kernel it is in; before there were two, the one there was.
    #[serde(default)]
    pub kernel: Option<Carrier>,
    /// The ISAKMP SA it was made under.
    pub ike: IkeId,
    /// Whether we initiated.
    pub initiator: bool,
    /// Inbound SPI.
    pub spi_in: u32,
    /// Outbound SPI.
    pub spi_out: u32,
    /// Our address.
    pub local: IpAddr,
    /// The port of ours IKE used.
    pub local_port: u16,
    /// The peer's address.
    pub peer: IpAddr,
    /// Its port.
    pub peer_port: u16,
    /// Mode.
    pub mode: Mode,
    /// Its number on the wire.
    pub encapsulation_mode: EncapsulationMode,
    /// Ports, when in UDP.
    pub encapsulation: Option<UdpEncapsulation>,
    /// Transform.
    pub cipher: EspTransform,
    /// Key bits.
    pub key_bits: u16,
    /// Authentication.
    pub auth: EspAuth,
    /// PFS group number.
    pub pfs: Option<u16>,
    /// What is carried.
    pub traffic: TrafficSelectors,
    /// Bodies of the ID payloads that described our side and the peer's side.
    pub ids: Option<(HexBytes, HexBytes)>,
    /// NAT-OA of the peer.
    pub peer_original: Option<IpAddr>,
    /// NAT-OA of ours.
    pub local_original: Option<IpAddr>,
    /// Kilobyte lifetime, 0 for none.
    pub kilobytes: u64,
    /// Lifetime agreed, seconds.
    pub lifetime: u64,
    /// Wall clock of establishment.
    pub established: u64,
    /// Wall clock of rekeying by us, if planned.
    pub rekey: Option<u64>,
    /// Wall clock of deletion after it was replaced, if planned.
    pub retire: Option<u64>,
    /// Wall clock of expiry.
    pub expires: u64,
    /// A newer pair does its work.
    pub superseded: bool,
    /// The outbound half is out of the kernel already.
    #[serde(default)]
    pub outbound_gone: bool,
}

/// What there was before there were others.
fn psk() -> u16 {
    crate::iana::AuthMethod::PSK.0
}

/// Octets as hex, wiped on drop and never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HexBytes(pub Zeroizing<Vec<u8>>);

impl From<&[u8]> for HexBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl fmt::Debug for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HexBytes({} octets)", self.0.len())
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(crate::wire::hex(&self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        crate::wire::unhex(&text)
            .map(|bytes| Self(Zeroizing::new(bytes)))
            .ok_or_else(|| serde::de::Error::custom("not an even number of hex digits"))
    }
}

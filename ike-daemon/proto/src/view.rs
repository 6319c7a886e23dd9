//! What a control tool shows: plain values, no secrets.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::carrier::Carrier;
use crate::iana::{EncapsulationMode, EspAuth, EspTransform};
use crate::io::{ChildId, IkeId, Mode, Reqid, TrafficSelectors, UdpEncapsulation};

/// One ISAKMP SA, at any stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IkeSaView {
    /// Handle.
    pub id: IkeId,
    /// The client it belongs to, once authenticated.
    pub reqid: Option<Reqid>,
    /// The connection it was initiated for.
    pub connection: Option<String>,
    /// Whether we initiated.
    pub initiator: bool,
    /// Whether it was agreed in Aggressive Mode; not known of one that an earlier process agreed.
    #[serde(default)]
    pub aggressive: bool,
    /// RFC-like name of the state: `MM1-sent`, `MM2-sent`, ... `established`.
    pub state: String,
    /// Initiator cookie, hex.
    pub initiator_cookie: String,
    /// Responder cookie, hex; zeros while unknown.
    pub responder_cookie: String,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub peer: SocketAddr,
    /// We are behind NAT.
    pub local_nat: bool,
    /// The peer is behind NAT.
    pub peer_nat: bool,
    /// Our identity.
    pub local_identity: Option<String>,
    /// The peer's identity, once authenticated.
    pub peer_identity: Option<String>,
    /// The certificate by which the peer has proved who it is, in DER.
    #[serde(skip)]
    pub peer_certificate: Option<std::sync::Arc<[u8]>>,
    /// Cipher, such as `aes256`; empty while unknown.
    pub cipher: String,
    /// Hash, such as `sha256`.
    pub hash: String,
    /// Group, such as `modp2048`.
    pub group: String,
    /// The name that was given by XAUTH.
    #[serde(default)]
    pub user: Option<String>,
    /// The address that the client has for tunnel mode.
    #[serde(default)]
    pub address: Option<std::net::Ipv4Addr>,
    /// Authentication method, such as `psk`; empty while unknown.
    #[serde(default)]
    pub authentication: String,
    /// What the peer's vendor ids say it is.
    pub vendor: Option<String>,
    /// Whether dead peer detection is possible.
    pub dpd: bool,
    /// Whether long messages are sent in fragments.
    #[serde(default)]
    pub fragmentation: bool,
    /// Time since the exchange started.
    pub age: Duration,
    /// Time since it was established.
    pub established: Option<Duration>,
    /// Time to rekeying by us.
    pub rekey_in: Option<Duration>,
    /// Time to expiry.
    pub expires_in: Option<Duration>,
    /// Unfinished Quick Modes.
    pub quick_modes: usize,
    /// The kernel that carries this client, when it has IPsec SAs.
    #[serde(default)]
    pub kernel: Option<Carrier>,
}

/// One pair of IPsec SAs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSaView {
    /// Handle.
    pub id: ChildId,
    /// The client.
    pub reqid: Reqid,
    /// The kernel it is in.
    pub kernel: Carrier,
    /// The ISAKMP SA it was made under (it may be gone).
    pub ike: IkeId,
    /// `installing`, `installed`, `rekeying`, `rekeyed`.
    pub state: String,
    /// Whether we initiated.
    pub initiator: bool,
    /// SPI of packets to us.
    pub spi_in: u32,
    /// SPI of packets to the peer.
    pub spi_out: u32,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Mode.
    pub mode: Mode,
    /// The number negotiated for it.
    pub encapsulation_mode: EncapsulationMode,
    /// Ports, when ESP is in UDP.
    pub encapsulation: Option<UdpEncapsulation>,
    /// Transform.
    pub cipher: EspTransform,
    /// Key length in bits; 0 for 3DES.
    pub key_bits: u16,
    /// Authentication.
    pub auth: EspAuth,
    /// PFS group name.
    pub pfs: Option<String>,
    /// What is carried.
    pub traffic: TrafficSelectors,
    /// The peer's original address.
    pub peer_original: Option<std::net::IpAddr>,
    /// Time since it was installed.
    pub established: Option<Duration>,
    /// Time to rekeying by us.
    pub rekey_in: Option<Duration>,
    /// Time to expiry.
    pub expires_in: Option<Duration>,
    /// Octets received, as last reported by the kernel side.
    pub inbound_octets: u64,
    /// Octets sent.
    pub outbound_octets: u64,
    /// The outbound half is out of the kernel already, in favour of a newer pair.
    #[serde(default)]
    pub outbound_gone: bool,
    /// The pair it replaced.
    pub replaces: Option<ChildId>,
}

/// Counters since start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams that were no ISAKMP message.
    pub malformed: u64,
    /// Messages for SAs that do not exist.
    pub unknown_cookies: u64,
    /// AuthIP and other exchange types that are ignored.
    pub ignored_exchanges: u64,
    /// Fragments received.
    #[serde(default)]
    pub fragments_in: u64,
    /// Fragments sent.
    #[serde(default)]
    pub fragments_out: u64,
    /// Fragments thrown away: malformed, not agreed on, or beyond a limit.
    #[serde(default)]
    pub fragments_dropped: u64,
    /// Messages put together from fragments.
    #[serde(default)]
    pub messages_reassembled: u64,
    /// Retransmitted requests answered with the same bytes, or dropped.
    pub duplicates: u64,
    /// Messages that failed authentication or decryption.
    pub bad_messages: u64,
    /// Messages sent again for want of an answer.
    pub retransmits: u64,
    /// Phase 1 exchanges begun by peers.
    pub phase1_responded: u64,
    /// Phase 1 exchanges begun by us.
    pub phase1_initiated: u64,
    /// ISAKMP SAs established.
    pub phase1_established: u64,
    /// Phase 1 exchanges that failed.
    pub phase1_failed: u64,
    /// IPsec SA pairs established.
    pub phase2_established: u64,
    /// Quick Modes that failed.
    pub phase2_failed: u64,
    /// Peers found dead.
    pub dpd_deaths: u64,
    /// NAT mappings followed.
    pub mappings_moved: u64,
    /// Requests refused, by reason.
    pub refused: std::collections::BTreeMap<String, u64>,
    /// Unauthenticated answers not sent because of the rate limit.
    pub answers_suppressed: u64,
    /// Half-open exchanges now.
    pub half_open: usize,
    /// ISAKMP SAs now, half-open ones included.
    pub ike_sas: usize,
    /// IPsec SA pairs now.
    pub child_sas: usize,
    /// Clients now.
    pub clients: usize,
}

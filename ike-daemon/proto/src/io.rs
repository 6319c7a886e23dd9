//! The whole contract of this crate with the world, on one screen.
//!
//! [`Endpoint`](crate::Endpoint) is fed one input at a time: a [`Datagram`], a [`KernelReply`], a
//! [`JobResult`], a timeout, or a command. After every input all [`Output`]s are drained with
//! `poll_output` before the next input, and one timer is armed for `next_timeout`.
//!
//! ```text
//!   handle_datagram ─┐                                ┌─ Output::Transmit   a datagram to send
//!   handle_kernel   ─┤                                ├─ Output::Kernel     GETSPI, ADD, DELETE, SPDADD
//!   handle_job      ─┼──▶ Endpoint ──▶ poll_output ──▶┼─ Output::Job        a slow computation
//!   handle_timeout  ─┤                                └─ Output::Event      something worth a log line
//!   handle_keepalive─┤
//!   initiate, delete ┘
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use crate::job::{Job, JobId, JobResult};

use crate::carrier::{Carrier, PeerPort, SoftReason};
use crate::error::{DownReason, Refusal};
use crate::iana::{EncapsulationMode, EspAuth, EspTransform};
use crate::policy::Sha256Icv;
use crate::wire::id::Identification;

/// One received IKE datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The address and port it was sent to (the real destination address, not a wildcard).
    pub local: SocketAddr,
    /// Where it came from.
    pub peer: SocketAddr,
    /// Whether it came in on the NAT traversal port (4500) behind a non-ESP marker.
    pub natt_port: bool,
    /// The ISAKMP message; the four zero octets of the non-ESP marker are already taken off.
    pub payload: &'a [u8],
}

/// What the endpoint wants done. Drain all of them, in order, after every input.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit(Transmit),
    /// Ask a kernel for something; the answer comes back through `handle_kernel`.
    Kernel(Carrier, KernelRequest),
    /// Compute something slow; the answer comes back through `handle_job`.
    Job(Job),
    /// Something happened that an operator may want to read about.
    Event(Event),
}

/// A datagram to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Local address and port to send from.
    pub local: SocketAddr,
    /// Where to.
    pub peer: SocketAddr,
    /// Send through the NAT traversal socket (port 4500) instead of the IKE socket (port 500).
    pub natt_port: bool,
    /// Put the four zero octets of the non-ESP marker (RFC 3948 2.2) in front. Never set for the
    /// one-octet NAT keepalive.
    pub marker: bool,
    /// The message without the marker.
    pub bytes: Vec<u8>,
}

impl Transmit {
    /// The UDP payload, marker included where one belongs.
    pub fn udp_payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.bytes.len() + 4);
        if self.marker {
            payload.extend_from_slice(&[0; 4]);
        }
        payload.extend_from_slice(&self.bytes);
        payload
    }
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Transmit({} -> {}, {} octets)",
            self.local,
            self.peer,
            self.bytes.len()
        )
    }
}

/// A local handle of an ISAKMP SA; never reused while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IkeId(pub u64);

/// A local handle of a pair of IPsec SAs; never reused while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChildId(pub u64);

/// The request id that ties all SAs of one client together (1..=16383, RFC-less, KAME's idea).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reqid(pub u32);

impl fmt::Display for IkeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Reqid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the kernel is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum KernelRequest {
    /// SADB_GETSPI for an inbound ESP SA. Answer: [`KernelReply::Spi`] or [`KernelReply::Failed`].
    GetSpi(GetSpi),
    /// Give keys to an inbound SA whose SPI came from `GetSpi` (SADB_UPDATE), or add an outbound
    /// SA (SADB_ADD). Answer: [`KernelReply::Installed`] or [`KernelReply::Failed`].
    Install(Box<SaInstall>),
    /// SADB_DELETE one SA, installed or still larval. No answer needed.
    Delete(SaDelete),
    /// SADB_GET an inbound SA: has anything come through it? Answer: [`KernelReply::Traffic`]. None
    /// is as good as no traffic.
    Look(SaLook),
    /// The client's NAT mapping moved: every SA named must use the new address. No answer needed.
    MovePeer(MovePeer),
    /// Add a security policy (SADB_X_SPDADD). No answer needed.
    AddPolicy(SecurityPolicy),
    /// Remove a policy added before (SADB_X_SPDDELETE). No answer needed.
    RemovePolicy(SecurityPolicy),
    /// softkernel beside the system's kernel: give it what comes from this peer, until
    /// [`KernelRequest::ReleasePeer`]. No answer needed.
    BindPeer(PeerPort),
    /// The peer's packets are the system's again. No answer needed.
    ReleasePeer(PeerPort),
}

/// Which way an SA or policy works, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the peer to us.
    Inbound,
    /// From us to the peer.
    Outbound,
}

/// Transport or tunnel mode; UDP encapsulation is told apart (see [`UdpEncapsulation`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// ESP protects the payload of the IP packet (RFC 4303 3.1.1).
    Transport,
    /// ESP protects a whole inner IP packet (RFC 4303 3.1.2).
    Tunnel,
}

/// Reserve an SPI for an inbound SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetSpi {
    /// The pair of SAs this is for.
    pub child: ChildId,
    /// Source of the traffic: the peer.
    pub source: IpAddr,
    /// Destination of the traffic: our address.
    pub destination: IpAddr,
    /// Mode of the future SA.
    pub mode: Mode,
    /// The client's reqid.
    pub reqid: Reqid,
}

/// Ports of ESP in UDP (RFC 3948), seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpEncapsulation {
    /// Our port, normally 4500.
    pub local_port: u16,
    /// The peer's (mapped) port.
    pub peer_port: u16,
}

/// Everything needed to put one SA into the kernel. Keys are wiped when this is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SaInstall {
    /// The pair this SA belongs to.
    pub child: ChildId,
    /// Inbound: complete the larval SA. Outbound: add.
    pub direction: Direction,
    /// The SPI in the packets of this SA.
    pub spi: u32,
    /// Our address.
    pub local: IpAddr,
    /// The peer's address (its NAT's, when it is behind one).
    pub peer: IpAddr,
    /// Transport or tunnel.
    pub mode: Mode,
    /// The client's reqid.
    pub reqid: Reqid,
    /// Present when ESP travels in UDP.
    pub encapsulation: Option<UdpEncapsulation>,
    /// The peer's address before translation (NAT-OA of the peer), if it told us.
    pub peer_original: Option<IpAddr>,
    /// Our address as the peer sees or dialled it (NAT-OA for us), if it told us.
    pub local_original: Option<IpAddr>,
    /// ESP transform.
    pub cipher: EspTransform,
    /// Encryption key; for AES-GCM the four octets of salt follow the key (RFC 4106 8.1).
    pub encryption_key: Zeroizing<Vec<u8>>,
    /// Authentication algorithm; [`EspAuth::NONE`] with AES-GCM.
    pub auth: EspAuth,
    /// Authentication key; empty with AES-GCM.
    pub auth_key: Zeroizing<Vec<u8>>,
    /// The ICV with HMAC-SHA-256.
    pub sha256_icv: Sha256Icv,
    /// Anti-replay window in packets.
    pub replay_window: u32,
    /// When the kernel should report soft and hard expiry.
    pub lifetime: SaLifetime,
    /// What the peers agreed to carry.
    pub traffic: TrafficSelectors,
}

impl fmt::Debug for SaInstall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaInstall")
            .field("child", &self.child)
            .field("direction", &self.direction)
            .field("spi", &format_args!("{:#010x}", self.spi))
            .field("local", &self.local)
            .field("peer", &self.peer)
            .field("mode", &self.mode)
            .field("reqid", &self.reqid)
            .field("encapsulation", &self.encapsulation)
            .field("cipher", &self.cipher)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// Lifetimes of an SA for the kernel. Zero octets means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaLifetime {
    /// After this time the kernel may announce soft expiry. The endpoint keeps its own timer.
    pub soft: Duration,
    /// After this time the SA must be gone. The endpoint removes it itself a little earlier.
    pub hard: Duration,
    /// Soft limit in octets.
    pub soft_octets: u64,
    /// Hard limit in octets.
    pub hard_octets: u64,
}

/// One side of the traffic an SA carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Selector {
    /// Address or subnet.
    pub network: ipnet::IpNet,
    /// UDP or TCP port; 0 is any.
    pub port: u16,
}

/// What a pair of SAs carries, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrafficSelectors {
    /// Our side.
    pub local: Selector,
    /// The peer's side.
    pub peer: Selector,
    /// IP protocol; 0 is any, 17 UDP.
    pub protocol: u8,
}

/// One SA to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaDelete {
    /// The pair it belongs to.
    pub child: ChildId,
    /// Which half.
    pub direction: Direction,
    /// Its SPI.
    pub spi: u32,
    /// Source address of its traffic.
    pub source: IpAddr,
    /// Destination address of its traffic.
    pub destination: IpAddr,
}

/// One inbound SA to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaLook {
    /// The pair it belongs to.
    pub child: ChildId,
    /// Its SPI.
    pub spi: u32,
    /// Source address of its traffic: the peer.
    pub source: IpAddr,
    /// Destination address of its traffic: ours.
    pub destination: IpAddr,
}

/// SAs whose peer moved to another address or port (RFC 3948 4, mapping change).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovePeer {
    /// The client.
    pub reqid: Reqid,
    /// Our address and NAT traversal port.
    pub local: SocketAddr,
    /// Where the peer was.
    pub old: SocketAddr,
    /// Where it is now.
    pub new: SocketAddr,
    /// (pair, inbound SPI, outbound SPI where there is such an SA) of every pair to move.
    pub sas: Vec<(ChildId, u32, Option<u32>)>,
}

/// A security policy entry. Emitted as initiator (both modes) and, as responder, for tunnel mode:
/// a transport mode server needs none, its sockets bring their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecurityPolicy {
    /// Inbound or outbound.
    pub direction: Direction,
    /// What it matches.
    pub traffic: TrafficSelectors,
    /// Mode.
    pub mode: Mode,
    /// Tunnel end points (only meaningful in tunnel mode): ours and the peer's.
    pub local: IpAddr,
    /// The peer's end.
    pub peer: IpAddr,
    /// `unique:reqid`.
    pub reqid: Reqid,
}

impl SecurityPolicy {
    /// Whether both match the same traffic: then the kernel keeps the younger one only.
    pub(crate) fn matches_same(&self, other: &Self) -> bool {
        (self.direction, self.traffic) == (other.direction, other.traffic)
    }
}

/// What the kernel tells us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelReply {
    /// `GetSpi` worked.
    Spi {
        /// Which pair.
        child: ChildId,
        /// The reserved SPI.
        spi: u32,
    },
    /// `Install` worked.
    Installed {
        /// Which pair.
        child: ChildId,
        /// Which half.
        direction: Direction,
    },
    /// `GetSpi` or `Install` failed; the pair is given up and the peer told.
    Failed {
        /// Which pair.
        child: ChildId,
        /// What the kernel said, for the log.
        reason: String,
    },
    /// SADB_EXPIRE, by the SPI of either half.
    Expire {
        /// The kernel that says so.
        carrier: Carrier,
        /// SPI of the expiring SA.
        spi: u32,
        /// Destination address of the expiring SA.
        destination: IpAddr,
        /// Hard: the kernel has removed it already. Soft: time to rekey.
        hard: bool,
    },
    /// Authenticated ESP came from another address or port (SADB_X_NAT_T_NEW_MAPPING and such).
    MappingMoved {
        /// SPI of the inbound SA that saw it.
        spi: u32,
        /// The new address and port of the peer.
        peer: SocketAddr,
    },
    /// What has gone through a pair so far. More inbound than before is a sign of life that makes
    /// dead peer detection wait (RFC 3706 5.4).
    Traffic {
        /// Which pair.
        child: ChildId,
        /// Octets received so far.
        inbound_octets: u64,
        /// Octets sent so far, for the views; 0 when that was not asked.
        outbound_octets: u64,
    },
    /// Outbound traffic wants an SA (SADB_ACQUIRE).
    Acquire {
        /// Our address.
        local: IpAddr,
        /// The peer's address.
        peer: IpAddr,
        /// The policy's reqid, 0 if none.
        reqid: u32,
    },
}

/// Things worth telling. None contains secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An ISAKMP SA was established; peer authenticated.
    IkeUp {
        /// Handle.
        ike: IkeId,
        /// The client it belongs to.
        reqid: Reqid,
        /// Our address and port.
        local: SocketAddr,
        /// Peer's address and port at this moment.
        peer: SocketAddr,
        /// Who the peer says it is.
        identity: Identification,
        /// Whether we initiated.
        initiator: bool,
        /// How long the exchange took.
        took: Duration,
        /// The ISAKMP SA it replaces, when this was a rekeying.
        replaces: Option<IkeId>,
    },
    /// An ISAKMP SA ended, or one never came up.
    IkeDown {
        /// Handle.
        ike: IkeId,
        /// Its client, if it got that far.
        reqid: Option<Reqid>,
        /// Our address and port.
        local: SocketAddr,
        /// Peer's address.
        peer: SocketAddr,
        /// Whether it had been established.
        established: bool,
        /// Why.
        reason: DownReason,
    },
    /// Both halves of a pair of IPsec SAs are in the kernel.
    ChildUp {
        /// Handle.
        child: ChildId,
        /// The client.
        reqid: Reqid,
        /// Inbound SPI.
        spi_in: u32,
        /// Outbound SPI.
        spi_out: u32,
        /// Peer's address and port.
        peer: SocketAddr,
        /// The mode on the wire.
        mode: EncapsulationMode,
        /// The pair it replaces, when this was a rekeying.
        replaces: Option<ChildId>,
    },
    /// A pair of IPsec SAs ended, or never came up (`spi_out` 0).
    ChildDown {
        /// Handle.
        child: ChildId,
        /// The client.
        reqid: Reqid,
        /// Inbound SPI, 0 if none was reserved.
        spi_in: u32,
        /// Outbound SPI, 0 if none was agreed.
        spi_out: u32,
        /// Why.
        reason: DownReason,
    },
    /// The last SA of a client is gone; its reqid may be used again.
    ClientGone {
        /// The client.
        reqid: Reqid,
        /// Its last address.
        peer: SocketAddr,
    },
    /// Something a peer asked for was refused. Given once per peer address and reason per
    /// quarter of an hour; always counted.
    Refused {
        /// Who.
        peer: SocketAddr,
        /// Why; `Refusal::remedy` says what the operator can do.
        reason: Refusal,
    },
    /// A client gave a name and a password that are right.
    UserUp {
        /// Its ISAKMP SA.
        ike: IkeId,
        /// Where it is.
        peer: SocketAddr,
        /// The name.
        user: String,
    },
    /// A client has an address for tunnel mode.
    AddressGiven {
        /// The client.
        reqid: Reqid,
        /// Where it is.
        peer: SocketAddr,
        /// Whose name it gave, if it had to.
        user: Option<String>,
        /// The address.
        address: Ipv4Addr,
    },
    /// A responder has given us an address for tunnel mode.
    AddressTaken {
        /// The responder.
        reqid: Reqid,
        /// The connection it is for.
        connection: String,
        /// The address.
        address: Ipv4Addr,
        /// Name servers to ask through the tunnel.
        dns: Vec<Ipv4Addr>,
    },
    /// Why a peer's certificate was refused, in words; with `Refused`, and as seldom.
    CertificateRefused {
        /// Who.
        peer: SocketAddr,
        /// Who it says it is.
        identity: Identification,
        /// What is wrong, and with which certificate.
        detail: String,
    },
    /// What a peer offered of which nothing is allowed; with `Refused`, and as seldom.
    OfferRefused {
        /// Who.
        peer: SocketAddr,
        /// Of phase 1 or 2.
        phase: u8,
        /// The suites.
        offer: String,
    },
    /// A connection we initiate is refused or cannot be built; `IkeDown` follows separately.
    ConnectionFailed {
        /// The connection's name in the policy.
        connection: String,
        /// Why.
        reason: DownReason,
    },
    /// The client's NAT gave it another address or port.
    MappingMoved {
        /// The client.
        reqid: Reqid,
        /// Before.
        old: SocketAddr,
        /// After.
        new: SocketAddr,
    },
    /// There are two kernels, and this one carries a new pair of IPsec SAs.
    Carried {
        /// The client.
        reqid: Reqid,
        /// Its address and port.
        peer: SocketAddr,
        /// Which kernel.
        carrier: Carrier,
        /// Why softkernel.
        reason: Option<SoftReason>,
    },
    /// Both sides found out who is behind NAT.
    NatDetected {
        /// Handle.
        ike: IkeId,
        /// We are behind NAT.
        local: bool,
        /// The peer is behind NAT (or says so).
        peer: bool,
    },
}

//! IPsec of the soft kernel: SADB, SPD, ESP and the PF_KEYv2 server (RFC 2367, RFC 4301, RFC 4303),
//! without I/O, clock or randomness of its own.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use pfkey::Mode;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::buffer::Buffer;

/// A per-socket policy (`IP_IPSEC_POLICY`), parsed with `PolicyBlob::from_blob`.
pub use pfkey::Policy as PolicyBlob;

/// One PF_KEY socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PfkeySocketId(pub u64);

/// Limits and sysctl-like settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// net.key.larval_lifetime: life of an SA made by GETSPI and not completed.
    pub larval_lifetime: Duration,
}

/// Where an ESP packet came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboundEsp {
    /// Outer source; port 0 for raw ESP.
    pub source: SocketAddr,
    /// Outer destination; port 0 for raw ESP.
    pub destination: SocketAddr,
    /// It came inside UDP (RFC 3948).
    pub encapsulated: bool,
}

/// An authenticated, decrypted packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Request id of the SA: which client this is.
    pub reqid: u32,
    /// SPI in host order.
    pub spi: u32,
    /// Mode of the SA.
    pub mode: Mode,
    /// Protocol number of the payload (17 = UDP; 4 or 41 = a whole IP packet).
    pub next_header: u8,
    /// Where in the packet handed in the payload lies.
    pub payload: Range<usize>,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outbound<'a> {
    /// Our address (transport mode: the SA's source).
    pub source: IpAddr,
    /// The peer's address.
    pub destination: IpAddr,
    /// Transport protocol.
    pub protocol: u8,
    /// Transport source port, 0 if none.
    pub source_port: u16,
    /// Transport destination port, 0 if none.
    pub destination_port: u16,
    /// Policy of the sending socket; the SPD is asked when there is none.
    pub policy: Option<&'a PolicyBlob>,
}

/// Where the finished ESP packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundEsp {
    /// Outer source; port 0 for raw ESP, else our UDP port (4500).
    pub source: SocketAddr,
    /// Outer destination; port 0 for raw ESP, else the peer's mapped port.
    pub destination: SocketAddr,
    /// To be sent inside UDP.
    pub encapsulated: bool,
    /// SPI in host order.
    pub spi: u32,
}

/// Why a packet was dropped. Every reason has a counter in [`Counters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Drop {
    /// No SA has this SPI and destination.
    NoSa,
}

/// Counters of everything dropped and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {}

/// SADB, SPD and PF_KEY sockets.
pub struct Ipsec {}

impl Ipsec {
    /// An empty SADB and SPD.
    pub fn new(_now: Instant, _config: Config) -> Self {
        Self {}
    }

    /// Opens a PF_KEY socket.
    pub fn open_socket(&mut self) -> PfkeySocketId {
        PfkeySocketId(0)
    }

    /// Closes a PF_KEY socket; its queued messages are forgotten, its SAs stay.
    pub fn close_socket(&mut self, _socket: PfkeySocketId) {}

    /// Takes one PF_KEY message written to `socket`. `wall` is seconds since 1970. Replies queue up.
    pub fn request(
        &mut self,
        _now: Instant,
        _wall: u64,
        _socket: PfkeySocketId,
        _message: &[u8],
        _rng: &mut dyn CryptoRng,
    ) {
    }

    /// The next message to be read from a PF_KEY socket: replies, broadcasts, EXPIRE, ACQUIRE.
    pub fn poll_message(&mut self) -> Option<(PfkeySocketId, Zeroizing<Vec<u8>>)> {
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Expires larval SAs, soft and hard lifetimes.
    pub fn handle_timeout(&mut self, _now: Instant, _wall: u64) {}

    /// Authenticates and decrypts one ESP packet (from the SPI on) in place.
    pub fn input(
        &mut self,
        _now: Instant,
        _wall: u64,
        _from: InboundEsp,
        _packet: &mut [u8],
    ) -> Result<Inbound, Drop> {
        Err(Drop::NoSa)
    }

    /// Turns `packet` (transport mode: the transport payload; tunnel mode: the whole inner IP
    /// packet) into an ESP packet from the SPI on, in place.
    pub fn output(
        &mut self,
        _now: Instant,
        _wall: u64,
        _to: Outbound<'_>,
        _packet: &mut Buffer,
    ) -> Result<OutboundEsp, Drop> {
        Err(Drop::NoSa)
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        const { &Counters {} }
    }
}

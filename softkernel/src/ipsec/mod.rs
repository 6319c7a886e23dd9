//! IPsec of the soft kernel: SADB, SPD, ESP and the PF_KEYv2 server (RFC 2367, RFC 4301, RFC 4303),
//! without I/O, clock or randomness of its own.
//!
//! | file | what |
//! |---|---|
//! | `server` | PF_KEY sockets, who hears what, REGISTER, PROMISC |
//! | `sa_requests` | GETSPI, UPDATE, ADD, DELETE, GET, FLUSH, DUMP |
//! | `sp_requests` | SPDADD and its family |
//! | `events` | ACQUIRE, EXPIRE, SPDEXPIRE, new NAT mappings |
//! | `sadb`, `sa` | the SAs, their indexes, timers and lifetimes |
//! | `spd` | the policies |
//! | `esp` | the packet format |
//! | `inbound` | packets from outside |
//! | `transform`, `authenticator`, `gcm` | ciphers and MACs |
//! | `rows`, `seal` | the packets of a batch, each SA's together |
//! | `lockstep`, `hmac` | CBC encryption and HMAC of several packets at once |
//! | `replay` | the window, extended sequence numbers |
//! | `lending` | what workers get of the SADB |
//! | `receiver` | an SA in the hands of a worker |
//! | `usage` | what an SA has used, whoever carries its packets |
//! | `counters` | drop reasons |
//! | `errno` | error numbers |
//!
//! It behaves as FreeBSD 14's kernel, with these differences:
//!
//! | softkernel | FreeBSD 14 | why |
//! |---|---|---|
//! | 3DES-CBC (EALG 3) | gone since 13 | old clients |
//! | HMAC-SHA2-256 with a 96-bit ICV (AALG 240), or the peer's choice of 128 and 96 (AALG 241) | no | Android up to 7 |
//! | UDP encapsulation of IPv6 | EPFNOSUPPORT | peers behind NAT66, tests |
//! | an encapsulated packet from another address or port is accepted once authenticated, and message 240 `X_NEW_MAPPING` tells registered sockets | dropped when the port differs | mobile clients, rebooted NATs |
//! | the newest SA sends (net.key.preferred_oldsa=0) | the oldest by default | fast switch after a rekey |
//! | UPDATE without lifetimes keeps them | drops those of a mature SA | a moved SA still ends |
//! | ESP must authenticate: CBC without a MAC, and NULL, are EINVAL | accepted | RFC 8221 |
//! | ESP only: AH, IPComp, TCP-MD5 are EOPNOTSUPP | supported | not needed by L2TP |
//! | reserved SPIs below 256 are EINVAL | accepted in a GETSPI range | RFC 4303 section 2.1 |
//! | output without policy is dropped, never sent in the clear | sent in the clear | L2TP must never be |
//! | ACQUIRE for a socket's policy has the packet's ports | has no ports | the policy of a tunnel's socket has no selectors |
//! | replay window at most 2^20 packets | 2^32 - 32 | memory |
//! | lifetimes end at their very second, byte lifetimes at the packet that reaches them | looked at every second | exact accounting |
//! | a bad SPDUPDATE leaves the old policy | it is gone | safety |

mod authenticator;
mod counters;
mod errno;
mod esp;
mod events;
mod gcm;
mod hmac;
mod inbound;
mod lending;
mod lockstep;
mod receiver;
mod replay;
mod rows;
mod sa;
mod sa_requests;
mod sadb;
mod seal;
mod server;
mod sp_requests;
mod spd;
mod transform;
mod usage;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use pfkey::{Direction, Level, Mode, Policy, PolicyRequest, PolicyType};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use self::counters::{Counters, Drop};
use self::events::{Acquires, Wanted};
pub use self::inbound::{Inbound, Opened};
pub use self::lending::{News, SaChange};
use self::receiver::Parts;
pub use self::receiver::{Ends, Received, Receiver, Receivers, Refused, Sender};
use self::sa::{Icv, Used};
use self::sadb::Sadb;
pub use self::seal::{Unsealed, seal};
use self::server::Sockets;
pub use self::spd::Tunnel;
use self::spd::{Selectors, Spd};
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
    /// Most SAs; beyond, ADD and GETSPI answer ENOBUFS.
    pub max_sas: usize,
    /// Most policies; beyond, SPDADD answers ENOBUFS.
    pub max_policies: usize,
    /// Most messages waiting to be read from one PF_KEY socket; further ones are lost and counted.
    pub max_queued_messages: usize,
    /// Threads that carry packets; the remainder of an SPI by this number is the one that gets it.
    pub workers: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            larval_lifetime: Duration::from_secs(30),
            max_sas: 200_000,
            max_policies: 50_000,
            max_queued_messages: 250_000,
            workers: 1,
        }
    }
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

/// What the inbound SPD says about a packet that came through an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboundPolicy {
    /// No policy matches.
    None,
    /// A policy matches and the SA is one it asks for, or it asks for none.
    Allowed,
    /// A policy matches and says discard, or asks for another SA.
    Refused,
}

/// Monotonic time, and seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Clock {
    now: Instant,
    wall: u64,
}

/// SADB, SPD and PF_KEY sockets.
pub struct Ipsec {
    config: Config,
    sadb: Sadb,
    spd: Spd,
    sockets: Sockets,
    acquires: Acquires,
    counters: Counters,
}

impl Ipsec {
    /// An empty SADB and SPD.
    pub fn new(_now: Instant, config: Config) -> Self {
        let mut sadb = Sadb::default();
        if config.workers > 1 {
            sadb.note_changes();
        }
        Self {
            config,
            sadb,
            spd: Spd::default(),
            sockets: Sockets::default(),
            acquires: Acquires::default(),
            counters: Counters::default(),
        }
    }

    /// Opens a PF_KEY socket.
    pub fn open_socket(&mut self) -> PfkeySocketId {
        self.sockets.open()
    }

    /// Closes a PF_KEY socket; its queued messages are forgotten, its SAs stay.
    pub fn close_socket(&mut self, socket: PfkeySocketId) {
        self.sockets.close(socket);
    }

    /// Takes one PF_KEY message written to `socket`. `wall` is seconds since 1970. Replies queue up.
    pub fn request(
        &mut self,
        now: Instant,
        wall: u64,
        socket: PfkeySocketId,
        message: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        self.take_request(Clock { now, wall }, socket, message, rng);
    }

    /// The next message to be read from a PF_KEY socket: replies, broadcasts, EXPIRE, ACQUIRE.
    /// May hold keys; wiped on drop.
    pub fn poll_message(&mut self) -> Option<(PfkeySocketId, Zeroizing<Vec<u8>>)> {
        self.sockets.poll()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.sadb
            .next_deadline()
            .into_iter()
            .chain(self.spd.next_deadline())
            .min()
    }

    /// Ends larval SAs, soft and hard lifetimes of SAs, lifetimes of policies.
    pub fn handle_timeout(&mut self, now: Instant, wall: u64) {
        self.expire_due(Clock { now, wall });
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Number of SAs, larval ones included.
    pub fn sa_count(&self) -> usize {
        self.sadb.len()
    }

    /// Number of policies.
    pub fn policy_count(&self) -> usize {
        self.spd.len()
    }

    /// Goes up whenever a policy comes or goes.
    pub fn policy_generation(&self) -> u64 {
        self.spd.generation()
    }

    /// Goes up whenever an SA comes alive, moves or goes.
    pub fn sa_generation(&self) -> u64 {
        self.sadb.generation()
    }

    /// Whether an SA sends to this peer inside UDP.
    pub fn has_encapsulated(&self, peer: SocketAddr) -> bool {
        self.sadb.towards(peer.ip()).any(|sa| {
            sa.nat_t
                .is_some_and(|nat_t| nat_t.destination_port == peer.port())
        })
    }

    /// What outbound tunnel policies cover: the host has to route it here.
    pub fn tunnels(&self) -> impl Iterator<Item = Tunnel> + '_ {
        self.spd.tunnels()
    }

    /// What was found about an SA holds for the one that takes its place.
    fn inherit_icv(&mut self, spi: u32) {
        let Some(sa) = self.sadb.get(spi) else { return };
        let known = self
            .sadb
            .of_client(sa.destination, sa.reqid)
            .into_iter()
            .filter_map(|other| self.sadb.get(other)?.keyed.as_ref())
            .find(|keyed| keyed.icv == Icv::Decided)
            .map(|keyed| keyed.transform.is_cut());
        let keyed = self.sadb.get_mut(spi).and_then(|sa| sa.keyed.as_mut());
        if let (Some(cut), Some(keyed)) = (known, keyed) {
            keyed.decide_icv(cut);
        }
    }

    /// Lifetimes by use begin with the first packet, those by bytes may end with any.
    fn after_use(&mut self, clock: Clock, spi: u32, used: Used) {
        if used.aged {
            self.check_age(clock.now, spi);
        }
        if used.first {
            self.sadb.schedule(spi, self.config.larval_lifetime);
        }
    }

    /// Turns `packet` (transport mode: the transport payload; tunnel mode: the whole inner IP
    /// packet) into an ESP packet from the SPI on, in place. On error the packet is unchanged.
    ///
    /// # Errors
    /// The reason to drop the packet, already counted.
    pub fn output(
        &mut self,
        now: Instant,
        wall: u64,
        to: Outbound<'_>,
        packet: &mut Buffer,
    ) -> Result<OutboundEsp, Drop> {
        let mut unsealed = Unsealed::default();
        let out = self.prepare(now, wall, to, (0, packet), &mut unsealed)?;
        seal(std::slice::from_mut(packet), &mut unsealed);
        Ok(out)
    }

    /// The same without encryption, which [`seal`] does for several packets at once; `packet` comes
    /// with its place in the batch.
    ///
    /// # Errors
    /// The reason to drop the packet, already counted.
    pub fn prepare(
        &mut self,
        now: Instant,
        wall: u64,
        to: Outbound<'_>,
        packet: (usize, &mut Buffer),
        unsealed: &mut Unsealed,
    ) -> Result<OutboundEsp, Drop> {
        let result = self.encapsulate(Clock { now, wall }, to, packet, unsealed);
        if let Err(reason) = &result {
            self.counters.count(*reason);
        }
        result
    }

    fn encapsulate(
        &mut self,
        clock: Clock,
        to: Outbound<'_>,
        (place, packet): (usize, &mut Buffer),
        unsealed: &mut Unsealed,
    ) -> Result<OutboundEsp, Drop> {
        let selectors = Selectors::of(&to);
        let own = to
            .policy
            .filter(|policy| policy.kind != PolicyType::ENTRUST);
        let (request, wanted) = match own {
            Some(policy) => requirement(policy, &selectors)?,
            None => {
                let found = self.spd.lookup(clock, Direction::OUTBOUND, &selectors);
                requirement(&found.ok_or(Drop::NoPolicy)?.policy, &selectors)?
            }
        };
        let Wanted {
            source,
            destination,
            mode,
            reqid,
        } = wanted;
        let Some(spi) = self.sadb.select(source, destination, mode, reqid) else {
            self.ask_for_sa(clock, wanted, own, &selectors);
            return Err(Drop::NoOutboundSa);
        };
        let sa = self.sadb.get_mut(spi).ok_or(Drop::NoOutboundSa)?;
        let keyed = sa.keyed.as_ref().ok_or(Drop::NoOutboundSa)?;
        let next_header = match (request.mode, packet.first().map(|byte| byte >> 4)) {
            (Mode::TUNNEL, Some(6)) => 41,
            (Mode::TUNNEL, _) => 4,
            _ => to.protocol,
        };
        let bytes = packet.len();
        let parts = Parts {
            spi,
            extended: sa.extended(),
            transform: &keyed.transform,
            usage: &sa.usage,
        };
        receiver::frame(parts, next_header, (place, packet), unsealed)?;
        let used = sa.account(clock, bytes);
        let out = sa.ends().outbound(spi);
        self.counters.packets_out += 1;
        self.counters.bytes_out += bytes as u64;
        self.after_use(clock, spi, used);
        Ok(out)
    }

    fn ask_for_sa(
        &mut self,
        clock: Clock,
        wanted: Wanted,
        own: Option<&Policy>,
        selectors: &Selectors,
    ) {
        let (policy, ends) = match own {
            // A socket's policy has no selectors; the packet's tell more than nothing.
            Some(policy) => (policy.clone(), selectors.ends()),
            None => {
                let Some(found) = self.spd.lookup(clock, Direction::OUTBOUND, selectors) else {
                    return;
                };
                (found.policy.clone(), (found.source, found.destination))
            }
        };
        self.acquire(clock, wanted, &policy, ends);
    }

    /// What the inbound policies say about a packet with these selectors that came through an SA
    /// with this request id and mode.
    pub fn inbound_policy(
        &mut self,
        now: Instant,
        wall: u64,
        packet: Outbound<'_>,
        reqid: u32,
        mode: Mode,
    ) -> InboundPolicy {
        let selectors = Selectors::of(&packet);
        let clock = Clock { now, wall };
        let Some(found) = self.spd.lookup(clock, Direction::INBOUND, &selectors) else {
            return InboundPolicy::None;
        };
        verdict(&found.policy, reqid, mode)
    }
}

/// What a policy says about a packet that came through an SA with this request id and mode.
fn verdict(policy: &Policy, reqid: u32, mode: Mode) -> InboundPolicy {
    match policy.kind {
        PolicyType::NONE => InboundPolicy::Allowed,
        PolicyType::IPSEC => {
            let fits = |request: &PolicyRequest| {
                (request.level != Level::UNIQUE || request.reqid == reqid)
                    && (mode == Mode::ANY || request.mode == mode)
            };
            let allowed = policy.requests.iter().all(fits);
            if allowed {
                InboundPolicy::Allowed
            } else {
                InboundPolicy::Refused
            }
        }
        _ => InboundPolicy::Refused,
    }
}

/// The one ESP request of a policy and the SA it asks for.
fn requirement(policy: &Policy, packet: &Selectors) -> Result<(PolicyRequest, Wanted), Drop> {
    match policy.kind {
        PolicyType::IPSEC => {}
        PolicyType::DISCARD => return Err(Drop::Discarded),
        _ => return Err(Drop::UnsupportedPolicy),
    }
    let [request] = policy.requests.as_slice() else {
        return Err(Drop::UnsupportedPolicy);
    };
    if request.protocol != PolicyRequest::ESP {
        return Err(Drop::UnsupportedPolicy);
    }
    let (source, destination) = match request.tunnel {
        Some((source, destination)) => (source.ip(), destination.ip()),
        None if request.mode == Mode::TUNNEL => return Err(Drop::UnsupportedPolicy),
        None => (packet.source, packet.destination),
    };
    let reqid = if request.level == Level::UNIQUE {
        request.reqid
    } else {
        0
    };
    Ok((
        *request,
        Wanted {
            source,
            destination,
            mode: request.mode,
            reqid,
        },
    ))
}

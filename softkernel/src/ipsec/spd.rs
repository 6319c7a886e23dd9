//! The security policy database: RFC 4301 section 4.4.1, in the shape of FreeBSD's `secpolicy`.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use pfkey::ext::{IPSEC_MANUAL_REQID_MAX, SCOPE_GLOBAL};
use pfkey::{
    Address, Direction, Extension, Level, Lifetime, Message, MessageType, Mode, Policy,
    PolicyRequest, PolicyType, SaType,
};

use super::errno::Errno;
use super::{Clock, Outbound};

/// `IPSEC_MAXREQ`.
const MAX_REQUESTS: usize = 4;
const IPPROTO_AH: u16 = 51;
const IPPROTO_IPCOMP: u16 = 108;

/// One policy.
#[derive(Debug, Clone)]
pub(super) struct SecurityPolicy {
    /// Direction, requests, priority, id.
    pub(super) policy: Policy,
    pub(super) source: Address,
    pub(super) destination: Address,
    created: Instant,
    created_wall: u64,
    last_used: Instant,
    last_used_wall: u64,
    lifetime: Option<Lifetime>,
}

/// The far side of an outbound tunnel policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// Any address of the network behind the peer.
    pub network: IpAddr,
    /// Bits of its network part.
    pub prefix: u8,
    /// Our inner address, when the policy names a single one.
    pub source: Option<IpAddr>,
    /// The peer's outer address.
    pub gateway: IpAddr,
}

/// A packet's selectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selectors {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

impl Selectors {
    /// Those of a packet.
    pub(super) fn of(packet: &Outbound<'_>) -> Self {
        Self {
            source: packet.source,
            destination: packet.destination,
            protocol: packet.protocol,
            source_port: packet.source_port,
            destination_port: packet.destination_port,
        }
    }

    /// As addresses of PF_KEY.
    pub(super) fn ends(&self) -> (Address, Address) {
        let end = |ip: IpAddr, port| Address {
            protocol: self.protocol,
            ..Address::host(ip).with_port(port)
        };
        (
            end(self.source, self.source_port),
            end(self.destination, self.destination_port),
        )
    }
}

/// Every policy, in the order they are looked at.
#[derive(Debug)]
pub(super) struct Spd {
    policies: Vec<SecurityPolicy>,
    /// How many of them have a lifetime.
    mortal: usize,
    /// Goes up with every change.
    generation: u64,
    last_id: u32,
    last_reqid: u32,
}

impl Default for Spd {
    fn default() -> Self {
        Self {
            policies: Vec::new(),
            mortal: 0,
            generation: 0,
            last_id: 0,
            last_reqid: IPSEC_MANUAL_REQID_MAX,
        }
    }
}

impl Spd {
    pub(super) fn len(&self) -> usize {
        self.policies.len()
    }

    /// Checks a policy as `key_msg2sp` does and gives `unique` requests without a number one.
    pub(super) fn complete(&mut self, mut policy: Policy) -> Result<Policy, Errno> {
        if policy.kind != PolicyType::IPSEC {
            policy.requests.clear();
            return Ok(policy);
        }
        if policy.requests.is_empty() || policy.requests.len() > MAX_REQUESTS {
            return Err(Errno::EINVAL);
        }
        for request in &mut policy.requests {
            if ![PolicyRequest::ESP, IPPROTO_AH, IPPROTO_IPCOMP].contains(&request.protocol) {
                return Err(Errno::EPROTONOSUPPORT);
            }
            let same_family =
                |(a, b): (std::net::SocketAddr, std::net::SocketAddr)| a.is_ipv4() == b.is_ipv4();
            match (request.mode, request.tunnel) {
                (Mode::TRANSPORT, None) => {}
                (Mode::TRANSPORT | Mode::TUNNEL, Some(ends)) if same_family(ends) => {}
                _ => return Err(Errno::EINVAL),
            }
            match request.level {
                Level::DEFAULT | Level::USE | Level::REQUIRE => request.reqid = 0,
                Level::UNIQUE => {
                    if request.reqid == 0 || request.reqid > IPSEC_MANUAL_REQID_MAX {
                        request.reqid = self.new_reqid();
                    }
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(policy)
    }

    /// The wire has 16 bits for it.
    fn new_reqid(&mut self) -> u32 {
        let next = self.last_reqid + 1;
        self.last_reqid = if next > u32::from(u16::MAX) {
            IPSEC_MANUAL_REQID_MAX + 1
        } else {
            next
        };
        self.last_reqid
    }

    /// Adds a completed policy and returns its number.
    pub(super) fn insert(
        &mut self,
        clock: Clock,
        mut policy: Policy,
        source: Address,
        destination: Address,
        lifetime: Option<Lifetime>,
    ) -> u32 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.by_id(self.last_id).is_none() {
                break;
            }
        }
        self.generation += 1;
        self.mortal += usize::from(lifetime.is_some());
        policy.id = self.last_id;
        policy.scope = SCOPE_GLOBAL;
        let place = self
            .policies
            .partition_point(|other| other.policy.priority <= policy.priority);
        self.policies.insert(
            place,
            SecurityPolicy {
                policy,
                source,
                destination,
                created: clock.now,
                created_wall: clock.wall,
                last_used: clock.now,
                last_used_wall: clock.wall,
                lifetime,
            },
        );
        self.last_id
    }

    /// The number of the policy with exactly this selector.
    pub(super) fn find(
        &self,
        direction: Direction,
        source: &Address,
        destination: &Address,
    ) -> Option<u32> {
        self.policies
            .iter()
            .find(|sp| {
                sp.policy.direction == direction
                    && sp.source == *source
                    && sp.destination == *destination
            })
            .map(|sp| sp.policy.id)
    }

    pub(super) fn by_id(&self, id: u32) -> Option<&SecurityPolicy> {
        self.policies.iter().find(|sp| sp.policy.id == id)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<SecurityPolicy> {
        let place = self.policies.iter().position(|sp| sp.policy.id == id)?;
        Some(self.take(place))
    }

    fn take(&mut self, place: usize) -> SecurityPolicy {
        self.generation += 1;
        let policy = self.policies.remove(place);
        self.mortal -= usize::from(policy.lifetime.is_some());
        policy
    }

    pub(super) fn clear(&mut self) {
        self.generation += 1;
        self.policies.clear();
        self.mortal = 0;
    }

    /// The first policy that matches a packet, without counting that as use.
    pub(super) fn peek(
        &self,
        direction: Direction,
        selectors: &Selectors,
    ) -> Option<&SecurityPolicy> {
        self.policies
            .iter()
            .find(|sp| sp.policy.direction == direction && sp.matches(selectors))
    }

    /// The first policy that matches a packet.
    pub(super) fn lookup(
        &mut self,
        clock: Clock,
        direction: Direction,
        selectors: &Selectors,
    ) -> Option<&SecurityPolicy> {
        let sp = self
            .policies
            .iter_mut()
            .find(|sp| sp.policy.direction == direction && sp.matches(selectors))?;
        sp.last_used = clock.now;
        sp.last_used_wall = clock.wall;
        Some(sp)
    }

    /// All policies as SPDDUMP shows them: inbound, then outbound.
    pub(super) fn in_order(&self) -> Vec<&SecurityPolicy> {
        let of = |direction| {
            self.policies
                .iter()
                .filter(move |sp| sp.policy.direction == direction)
        };
        of(Direction::INBOUND)
            .chain(of(Direction::OUTBOUND))
            .collect()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// What outbound tunnel policies cover.
    pub(super) fn tunnels(&self) -> impl Iterator<Item = Tunnel> + '_ {
        self.policies
            .iter()
            .filter(|sp| sp.policy.direction == Direction::OUTBOUND)
            .filter_map(|sp| {
                let mut requests = sp.policy.requests.iter();
                let request = requests.find(|request| request.mode == Mode::TUNNEL)?;
                let full = if sp.source.ip().is_ipv4() { 32 } else { 128 };
                Some(Tunnel {
                    network: sp.destination.ip(),
                    prefix: sp.destination.prefix_len,
                    source: (sp.source.prefix_len == full).then(|| sp.source.ip()),
                    gateway: request.tunnel?.1.ip(),
                })
            })
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        // Asked after every packet, and mostly no policy has an end.
        if self.mortal == 0 {
            return None;
        }
        self.policies
            .iter()
            .filter_map(SecurityPolicy::deadline)
            .min()
    }

    /// Takes out one policy whose lifetime is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<SecurityPolicy> {
        let place = self
            .policies
            .iter()
            .position(|sp| sp.deadline().is_some_and(|deadline| deadline <= now))?;
        Some(self.take(place))
    }
}

impl SecurityPolicy {
    fn matches(&self, selectors: &Selectors) -> bool {
        let port =
            |policy: &Address, port| policy.address.port() == 0 || policy.address.port() == port;
        (self.source.protocol == Address::ANY_PROTOCOL
            || self.source.protocol == selectors.protocol)
            && port(&self.source, selectors.source_port)
            && port(&self.destination, selectors.destination_port)
            && in_prefix(&self.source, selectors.source)
            && in_prefix(&self.destination, selectors.destination)
    }

    /// Whether it has a lifetime.
    pub(super) fn ends(&self) -> bool {
        self.lifetime.is_some()
    }

    fn deadline(&self) -> Option<Instant> {
        let lifetime = self.lifetime?;
        let since = |start: Instant, seconds: u64| {
            (seconds != 0)
                .then(|| start.checked_add(Duration::from_secs(seconds)))
                .flatten()
        };
        since(self.created, lifetime.add_time)
            .into_iter()
            .chain(since(self.last_used, lifetime.use_time))
            .min()
    }

    /// The policy as SPDGET, SPDDUMP and SPDEXPIRE show it.
    pub(super) fn to_message(&self, kind: MessageType, sequence: u32, pid: u32) -> Message {
        let mut message = Message::new(kind, SaType::UNSPEC, sequence, pid)
            .with(Extension::AddressSource(self.source))
            .with(Extension::AddressDestination(self.destination))
            .with(Extension::Policy(self.policy.clone()))
            .with(Extension::LifetimeCurrent(Lifetime {
                add_time: self.created_wall,
                use_time: self.last_used_wall,
                ..Lifetime::default()
            }))
            .with(Extension::LifetimeHard(Lifetime {
                add_time: self.lifetime.map_or(0, |lifetime| lifetime.add_time),
                use_time: self.lifetime.map_or(0, |lifetime| lifetime.use_time),
                ..Lifetime::default()
            }));
        message.reserved = 1;
        message
    }
}

fn in_prefix(policy: &Address, ip: IpAddr) -> bool {
    let drop = |width: u32| width.saturating_sub(u32::from(policy.prefix_len));
    match (policy.ip(), ip) {
        (IpAddr::V4(net), IpAddr::V4(ip)) => {
            // A shift by the whole width is prefix length 0: everything matches.
            (net.to_bits() ^ ip.to_bits())
                .checked_shr(drop(32))
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(net), IpAddr::V6(ip)) => {
            (net.to_bits() ^ ip.to_bits())
                .checked_shr(drop(128))
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

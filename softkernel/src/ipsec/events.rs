//! What the kernel says unasked: ACQUIRE (RFC 2367 section 3.1.6), EXPIRE (3.1.8), SPDEXPIRE, and
//! softkernel's message about a changed NAT mapping.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use pfkey::{
    Address, Combination, EncryptionAlgorithm, Extension, Lifetime, Message, MessageType, Mode,
    Policy, PolicyType, Proposal, Sa2, SaState, SaType,
};

use super::errno::Errno;
use super::sa::{Age, Sa};
use super::server::Audience;
use super::{Clock, Ipsec};

/// net.key.blockacq_count: packets after which an unanswered ACQUIRE is repeated.
const BLOCK_COUNT: u32 = 10;
/// net.key.blockacq_lifetime
const BLOCK_LIFETIME: Duration = Duration::from_secs(20);
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
/// Unanswered ACQUIREs remembered.
const MAX_ACQUIRES: usize = 4096;
/// A peer's new place is told at most this often, and repeated this often until it is heeded.
const MAPPING_INTERVAL: Duration = Duration::from_secs(1);
const MAPPING_REPEAT: Duration = Duration::from_secs(10);

/// What an SA is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) mode: Mode,
    pub(super) reqid: u32,
}

#[derive(Debug)]
struct Asked {
    sequence: u32,
    packets: u32,
    since: Instant,
}

/// ACQUIREs not yet answered (`secacq`).
#[derive(Debug, Default)]
pub(super) struct Acquires {
    asked: BTreeMap<Wanted, Asked>,
    /// The same by their sequence numbers, which is about the order they get old in.
    by_sequence: BTreeMap<u32, Wanted>,
    last_sequence: u32,
}

impl Acquires {
    /// Counts a packet without SA; the sequence number of the ACQUIRE to send, if it is time.
    fn packet(&mut self, now: Instant, wanted: Wanted) -> Option<u32> {
        let is_fresh = |asked: &Asked| now.duration_since(asked.since) < BLOCK_LIFETIME;
        while let Some((&oldest, &of)) = self.by_sequence.first_key_value()
            && !self.asked.get(&of).is_some_and(is_fresh)
        {
            self.served(oldest);
        }
        match self.asked.get_mut(&wanted) {
            Some(asked) if is_fresh(asked) => {
                if asked.packets <= BLOCK_COUNT {
                    asked.packets += 1;
                    return None;
                }
                asked.packets = 0;
                asked.since = now;
                return Some(asked.sequence);
            }
            Some(asked) => {
                let old = asked.sequence;
                self.served(old);
            }
            None => {}
        }
        if self.asked.len() >= MAX_ACQUIRES {
            return None;
        }
        let sequence = self.last_sequence.checked_add(1).unwrap_or(1);
        self.last_sequence = sequence;
        self.by_sequence.insert(sequence, wanted);
        self.asked.insert(
            wanted,
            Asked {
                sequence,
                packets: 0,
                since: now,
            },
        );
        Some(sequence)
    }

    /// A GETSPI or ADD came with the sequence number of an ACQUIRE.
    pub(super) fn served(&mut self, sequence: u32) {
        if let Some(wanted) = self.by_sequence.remove(&sequence) {
            self.asked.remove(&wanted);
        }
    }

    /// Key management cannot serve it: the wait for its repetition begins anew (`key_acqreset`).
    fn failed(&mut self, now: Instant, sequence: u32) {
        for asked in self.asked.values_mut() {
            if asked.sequence == sequence {
                asked.packets = 0;
                asked.since = now;
            }
        }
    }
}

impl Ipsec {
    /// Key management reports that it cannot serve an ACQUIRE: header only, with an errno.
    pub(super) fn acquire_request(&mut self, now: Instant, message: &Message) -> Result<(), Errno> {
        if !message.extensions.is_empty() {
            return Err(Errno::EOPNOTSUPP);
        }
        if message.sequence != 0 && message.errno != 0 {
            self.acquires.failed(now, message.sequence);
        }
        Ok(())
    }

    /// A policy has no SA for a packet. Protocol and ports told are those of `ends`: the policy's
    /// selectors, as in FreeBSD's `key_acquire`.
    pub(super) fn acquire(
        &mut self,
        clock: Clock,
        wanted: Wanted,
        policy: &Policy,
        ends: (Address, Address),
    ) {
        if !self.sockets.anybody_registered() {
            return;
        }
        let Some(sequence) = self.acquires.packet(clock.now, wanted) else {
            return;
        };
        let mut message = Message::new(MessageType::ACQUIRE, SaType::ESP, sequence, 0)
            .with(Extension::AddressSource(end(wanted.source, &ends.0)))
            .with(Extension::AddressDestination(end(
                wanted.destination,
                &ends.1,
            )))
            .with(Extension::Policy(Policy {
                kind: PolicyType::IPSEC,
                direction: policy.direction,
                id: policy.id,
                priority: policy.priority,
                ..Policy::default()
            }));
        if wanted.reqid != 0 {
            message.extensions.push(Extension::Sa2(Sa2 {
                mode: wanted.mode,
                sequence: 0,
                reqid: wanted.reqid,
            }));
        }
        message.extensions.push(Extension::Proposal(proposal()));
        self.counters.acquires += 1;
        self.send(None, Audience::Registered, &message);
    }

    /// Acts on an SA's lifetimes after they may have come to an end.
    pub(super) fn check_age(&mut self, now: Instant, spi: u32) {
        let Some(sa) = self.sadb.get_mut(spi) else {
            return;
        };
        if sa.state == SaState::LARVAL {
            // Nobody completed it in time; FreeBSD says nothing about that.
            let over = sa
                .deadline(self.config.larval_lifetime)
                .is_none_or(|end| end <= now);
            if over {
                self.sadb.remove(spi);
            }
            return;
        }
        match sa.age(now) {
            Age::Young => {}
            Age::Soft => {
                sa.state = SaState::DYING;
                sa.set_marks();
                let message = sa.expire_message(false);
                self.sadb.changed(spi);
                self.send(None, Audience::Registered, &message);
            }
            Age::Hard => {
                sa.state = SaState::DEAD;
                let message = sa.expire_message(true);
                self.sadb.remove(spi);
                self.send(None, Audience::Registered, &message);
            }
        }
    }

    pub(super) fn expire_due(&mut self, clock: Clock) {
        while let Some(spi) = self.sadb.take_due(clock.now) {
            self.check_age(clock.now, spi);
            self.sadb.schedule(spi, self.config.larval_lifetime);
        }
        while let Some(policy) = self.spd.take_due(clock.now) {
            let message = policy.to_message(MessageType::X_SPDEXPIRE, 0, 0);
            self.send(None, Audience::Registered, &message);
        }
    }

    /// The newest packet of an SA came from `seen`, not from where the SA has its peer.
    pub(super) fn tell_mapping(&mut self, now: Instant, spi: u32, seen: SocketAddr) {
        let Some(sa) = self.sadb.get_mut(spi) else {
            return;
        };
        let Some(known) = sa.peer() else {
            return;
        };
        if let Some((told, when)) = sa.told_mapping {
            let wait = if told == seen {
                MAPPING_REPEAT
            } else {
                MAPPING_INTERVAL
            };
            if now.duration_since(when) < wait {
                return;
            }
        }
        sa.told_mapping = Some((seen, now));
        let message = mapping_message(sa, known, seen);
        self.counters.mappings_changed += 1;
        self.send(None, Audience::Registered, &message);
    }
}

/// One end of a wanted SA, with protocol and port of a selector. The prefix goes with the port.
fn end(ip: IpAddr, selector: &Address) -> Address {
    let host = Address::host(ip);
    if !matches!(selector.protocol, IPPROTO_TCP | IPPROTO_UDP) {
        return host;
    }
    let host = Address {
        protocol: selector.protocol,
        ..host
    };
    match selector.address.port() {
        0 => host,
        port => Address {
            prefix_len: selector.prefix_len,
            ..host.with_port(port)
        },
    }
}

/// Layout of Linux's SADB_X_NAT_T_NEW_MAPPING with an SA2 extension for the request id.
fn mapping_message(sa: &Sa, known: SocketAddr, seen: SocketAddr) -> Message {
    let keyed = sa.keyed.as_ref();
    Message::new(MessageType::X_NEW_MAPPING, SaType::ESP, 0, 0)
        .with(Extension::Sa(pfkey::Sa {
            spi: sa.spi,
            state: sa.state,
            authentication: keyed.map(|k| k.authentication).unwrap_or_default(),
            encryption: keyed.map(|k| k.encryption).unwrap_or_default(),
            flags: sa.flags,
            replay: 0,
        }))
        .with(Extension::AddressSource(Address::host(known.ip())))
        .with(Extension::NatTSourcePort(known.port()))
        .with(Extension::AddressDestination(Address::host(seen.ip())))
        .with(Extension::NatTDestinationPort(seen.port()))
        .with(Extension::Sa2(Sa2 {
            mode: sa.mode,
            sequence: 0,
            reqid: sa.reqid,
        }))
}

/// Every encryption algorithm, with the lifetimes of `key_getcomb_setlifetime`.
fn proposal() -> Proposal {
    let combinations = super::transform::ENCRYPTION
        .iter()
        .rev()
        .map(|algorithm| Combination {
            encryption: EncryptionAlgorithm(algorithm.id),
            encryption_bits: (algorithm.min_bits, algorithm.max_bits),
            soft: Lifetime {
                allocations: 1,
                add_time: 69_120,
                use_time: 28_800,
                bytes: 0,
            },
            hard: Lifetime {
                allocations: 1,
                add_time: 86_400,
                use_time: 36_000,
                bytes: 0,
            },
            ..Combination::default()
        })
        .collect();
    Proposal {
        replay: 32,
        combinations,
    }
}

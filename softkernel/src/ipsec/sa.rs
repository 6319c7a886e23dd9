//! One security association: RFC 4301 section 4.4.2.1, in the shape of FreeBSD's `secasvar`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pfkey::ext::{SAFLAGS_ESN, UDP_ENCAP_ESPINUDP};
use pfkey::{
    Address, AuthenticationAlgorithm, EncryptionAlgorithm, Extension, Key, Lifetime, Message,
    MessageType, Mode, SaState, SaType,
};

use super::Clock;
use super::inbound::Half;
use super::receiver::Ends;
use super::replay::Window;
use super::transform::Transform;
use super::usage::Usage;

/// UDP encapsulation of an SA (`struct secnatt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NatT {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) original_initiator: Option<Address>,
    pub(super) original_responder: Option<Address>,
}

/// Keys and what is derived from them; a larval SA has none.
pub(super) struct Keyed {
    pub(super) transform: Arc<Transform>,
    pub(super) encryption: EncryptionAlgorithm,
    pub(super) encryption_key: Key,
    pub(super) authentication: AuthenticationAlgorithm,
    pub(super) authentication_key: Option<Key>,
    pub(super) icv: Icv,
}

/// How long the ICV is, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Icv {
    /// Its algorithm.
    Fixed,
    /// The peer's first authentic packet will (`SHA2_256_DETECT`).
    Undecided,
    /// That packet has.
    Decided,
}

impl Keyed {
    /// Before a packet of this length is opened.
    pub(super) fn guess_icv(&mut self, packet: usize) {
        if self.icv == Icv::Undecided
            && let Some(transform) = Arc::get_mut(&mut self.transform)
        {
            transform.fit_icv(packet);
        }
    }

    /// The packet was authentic. `Some`: it decided whether ICVs are cut to 96 bits.
    pub(super) fn confirm_icv(&mut self) -> Option<bool> {
        let cut = self.transform.is_cut();
        self.decide_icv(cut).then_some(cut)
    }

    /// Decides, unless that is done or was never to be.
    pub(super) fn decide_icv(&mut self, cut: bool) -> bool {
        if self.icv != Icv::Undecided {
            return false;
        }
        // Shared only while a batch waits to be sealed, and nothing arrives then.
        let Some(transform) = Arc::get_mut(&mut self.transform) else {
            return false;
        };
        transform.set_cut(cut);
        self.icv = Icv::Decided;
        self.authentication = match cut {
            true => AuthenticationAlgorithm::SHA2_256_96,
            false => AuthenticationAlgorithm::SHA2_256,
        };
        true
    }
}

/// What one more packet means for an SA.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    /// It was the first, so lifetimes by use begin.
    pub(super) first: bool,
    /// A lifetime is over.
    pub(super) aged: bool,
}

/// Whether a lifetime is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Young,
    /// Soft lifetime over, and not yet told.
    Soft,
    Hard,
}

/// One SA.
pub(super) struct Sa {
    /// Order of creation.
    pub(super) serial: u64,
    pub(super) spi: u32,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) mode: Mode,
    pub(super) reqid: u32,
    pub(super) state: SaState,
    /// Who made it: only the same number may UPDATE it.
    pub(super) pid: u32,
    /// `sadb_msg_seq` of the message that made it.
    pub(super) message_sequence: u32,
    pub(super) flags: u32,
    pub(super) keyed: Option<Keyed>,
    pub(super) hard: Option<Lifetime>,
    pub(super) soft: Option<Lifetime>,
    pub(super) created: Instant,
    /// Seconds since 1970.
    pub(super) created_wall: u64,
    pub(super) usage: Arc<Usage>,
    /// First packet: monotonic, and seconds since 1970.
    pub(super) first: Option<(Instant, u64)>,
    /// Packets that the window covers.
    pub(super) window_size: u32,
    /// Not here while a worker receives its packets.
    pub(super) window: Window,
    /// The worker that receives its packets, which takes the window along.
    pub(super) worker: Option<usize>,
    pub(super) nat_t: Option<NatT>,
    /// Place of the peer last told to key management, and when.
    pub(super) told_mapping: Option<(SocketAddr, Instant)>,
}

/// FreeBSD: without extended numbers an SA is to be renewed at 80 % of them.
const SOFT_SEQUENCE: u64 = (u32::MAX as u64 + 1) / 100 * 80;

impl Sa {
    /// Extended sequence numbers, RFC 4303 section 2.2.1.
    pub(super) const fn extended(&self) -> bool {
        self.flags & SAFLAGS_ESN != 0
    }

    /// May carry packets.
    pub(super) fn is_alive(&self) -> bool {
        self.keyed.is_some() && matches!(self.state, SaState::MATURE | SaState::DYING)
    }

    /// The ends of an SA, as packets have them.
    pub(super) fn ends(&self) -> Ends {
        let (source_port, destination_port) = self
            .nat_t
            .map_or((0, 0), |nat_t| (nat_t.source_port, nat_t.destination_port));
        Ends {
            source: SocketAddr::new(self.source, source_port),
            destination: SocketAddr::new(self.destination, destination_port),
            encapsulated: self.nat_t.is_some(),
        }
    }

    /// What it takes to receive its packets; none for a larval SA.
    pub(super) fn half(&mut self) -> Option<Half<'_>> {
        Some(Half {
            extended: self.extended(),
            transform: &self.keyed.as_ref()?.transform,
            window: &mut self.window,
        })
    }

    /// The peer of an inbound encapsulated SA.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.nat_t
            .map(|nat_t| SocketAddr::new(self.source, nat_t.source_port))
    }

    /// Counts one packet.
    pub(super) fn account(&mut self, clock: Clock, bytes: usize) -> Used {
        self.usage.count(bytes);
        let first = self.first.is_none();
        self.first.get_or_insert((clock.now, clock.wall));
        let aged = self.age(clock.now) != Age::Young;
        Used { first, aged }
    }

    /// Whether a lifetime is over now.
    pub(super) fn age(&self, now: Instant) -> Age {
        if self.is_over(self.hard.as_ref(), now) {
            return Age::Hard;
        }
        let numbers_run_out = !self.extended() && self.usage.sent() >= SOFT_SEQUENCE;
        let soft = numbers_run_out || self.is_over(self.soft.as_ref(), now);
        if soft && self.state == SaState::MATURE {
            Age::Soft
        } else {
            Age::Young
        }
    }

    fn is_over(&self, limit: Option<&Lifetime>, now: Instant) -> bool {
        limit.is_some_and(|limit| {
            (limit.bytes != 0 && self.usage.bytes() >= limit.bytes)
                || self.end_of(limit).is_some_and(|end| end <= now)
        })
    }

    /// Tells whoever carries packets when a limit in bytes or numbers is to be looked at.
    pub(super) fn set_marks(&self) {
        let bytes = |limit: &Option<Lifetime>| {
            let bytes = limit.as_ref().map_or(0, |limit| limit.bytes);
            if bytes == 0 { u64::MAX } else { bytes }
        };
        let hard = bytes(&self.hard);
        let (soft, sent) = match self.state {
            SaState::MATURE if self.extended() => (bytes(&self.soft), u64::MAX),
            SaState::MATURE => (bytes(&self.soft), SOFT_SEQUENCE),
            _ => (u64::MAX, u64::MAX),
        };
        self.usage.set_marks(soft.min(hard), sent, hard);
    }

    /// When a limit in seconds is reached, if nothing happens before.
    fn end_of(&self, limit: &Lifetime) -> Option<Instant> {
        let since = |start: Option<Instant>, seconds: u64| {
            (seconds != 0)
                .then(|| start?.checked_add(Duration::from_secs(seconds)))
                .flatten()
        };
        let by_creation = since(Some(self.created), limit.add_time);
        let by_use = since(self.first.map(|(first, _)| first), limit.use_time);
        by_creation.into_iter().chain(by_use).min()
    }

    /// When the SA is to be looked at next.
    pub(super) fn deadline(&self, larval_lifetime: Duration) -> Option<Instant> {
        if self.state == SaState::LARVAL {
            return self.created.checked_add(larval_lifetime);
        }
        let hard = self.hard.as_ref().and_then(|limit| self.end_of(limit));
        // Once told, the soft lifetime has no say.
        let soft = (self.state == SaState::MATURE)
            .then_some(self.soft.as_ref())
            .flatten();
        hard.into_iter()
            .chain(soft.and_then(|limit| self.end_of(limit)))
            .min()
    }

    /// What GET, DUMP and EXPIRE begin with, in FreeBSD's order.
    pub(super) fn identity_extensions(&self) -> Vec<Extension> {
        let bytes = self.window_size.div_ceil(8);
        let keyed = self.keyed.as_ref();
        // FreeBSD counts packets in either direction in one field.
        let sequence = match self.usage.sent() {
            0 => self.usage.packets(),
            sent => sent,
        };
        let mut extensions = vec![
            Extension::Sa(pfkey::Sa {
                spi: self.spi,
                replay: u8::try_from(bytes).unwrap_or(u8::MAX),
                state: self.state,
                authentication: keyed.map(|k| k.authentication).unwrap_or_default(),
                encryption: keyed.map(|k| k.encryption).unwrap_or_default(),
                flags: self.flags,
            }),
            Extension::Sa2(pfkey::Sa2 {
                mode: self.mode,
                sequence: sequence as u32,
                reqid: self.reqid,
            }),
        ];
        if bytes > u32::from(u8::MAX) {
            extensions.push(Extension::SaReplay(bytes * 8));
        }
        extensions
    }

    /// What the SA has used.
    pub(super) fn current(&self) -> Lifetime {
        Lifetime {
            allocations: self.usage.packets() as u32,
            bytes: self.usage.bytes(),
            add_time: self.created_wall,
            use_time: self.first.map_or(0, |(_, wall)| wall),
        }
    }

    /// Source and destination.
    pub(super) fn addresses(&self) -> [Extension; 2] {
        [
            Extension::AddressSource(Address::host(self.source)),
            Extension::AddressDestination(Address::host(self.destination)),
        ]
    }

    /// The SA as GET and DUMP show it, keys included.
    pub(super) fn to_message(&self, kind: MessageType, sequence: u32, pid: u32) -> Message {
        let mut message = Message::new(kind, SaType::ESP, sequence, pid);
        message.reserved = 1;
        message.extensions = self.identity_extensions();
        message
            .extensions
            .extend(self.hard.map(Extension::LifetimeHard));
        message
            .extensions
            .extend(self.soft.map(Extension::LifetimeSoft));
        message
            .extensions
            .push(Extension::LifetimeCurrent(self.current()));
        message.extensions.extend(self.addresses());
        if let Some(keyed) = &self.keyed {
            message.extensions.extend(
                keyed
                    .authentication_key
                    .clone()
                    .map(Extension::KeyAuthentication),
            );
            message
                .extensions
                .push(Extension::KeyEncryption(keyed.encryption_key.clone()));
        }
        if let Some(nat_t) = &self.nat_t {
            message.extensions.extend([
                Extension::NatTType(UDP_ENCAP_ESPINUDP),
                Extension::NatTSourcePort(nat_t.source_port),
                Extension::NatTDestinationPort(nat_t.destination_port),
            ]);
            message.extensions.extend(
                nat_t
                    .original_initiator
                    .map(Extension::NatTOriginalInitiator),
            );
            message.extensions.extend(
                nat_t
                    .original_responder
                    .map(Extension::NatTOriginalResponder),
            );
        }
        message
    }

    /// EXPIRE, RFC 2367 section 3.1.8, with the extensions FreeBSD puts in.
    pub(super) fn expire_message(&self, hard: bool) -> Message {
        let mut message = Message::new(MessageType::EXPIRE, SaType::ESP, self.message_sequence, 0);
        message.reserved = 1;
        message.extensions = self.identity_extensions();
        message
            .extensions
            .push(Extension::LifetimeCurrent(self.current()));
        message.extensions.push(if hard {
            Extension::LifetimeHard(self.hard.unwrap_or_default())
        } else {
            Extension::LifetimeSoft(self.soft.unwrap_or_default())
        });
        message.extensions.extend(self.addresses());
        message
    }
}

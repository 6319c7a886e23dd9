//! GETSPI, UPDATE, ADD, DELETE, GET, FLUSH, DUMP: RFC 2367 sections 3.1.1 to 3.1.5, 3.1.9, 3.1.10,
//! as `key_getspi` and its neighbours in FreeBSD's key.c do them.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use pfkey::ext::UDP_ENCAP_ESPINUDP;
use pfkey::{
    AuthenticationAlgorithm, ExtensionKind, Lifetime, Message, MessageType, Mode, SaState, SaType,
};
use rand_core::CryptoRng;

use super::errno::Errno;
use super::replay::Window;
use super::sa::{Icv, Keyed, NatT, Sa};
use super::server::Audience;
use super::transform::Transform;
use super::{Clock, Ipsec, PfkeySocketId};

/// SPIs below are reserved, RFC 4303 section 2.1.
pub(super) const FIRST_SPI: u32 = 256;
/// net.key.spi_maxval
const LAST_SPI: u32 = 0x0fff_ffff;
/// net.key.spi_trycnt
const SPI_TRIES: usize = 1000;

/// What replies to ADD and UPDATE keep of the request (`key_getmsgbuf_x1`): all but the keys.
const KEPT: &[ExtensionKind] = &[
    ExtensionKind::Sa,
    ExtensionKind::Sa2,
    ExtensionKind::AddressSource,
    ExtensionKind::AddressDestination,
    ExtensionKind::LifetimeHard,
    ExtensionKind::LifetimeSoft,
    ExtensionKind::IdentitySource,
    ExtensionKind::IdentityDestination,
    ExtensionKind::NatTType,
    ExtensionKind::NatTSourcePort,
    ExtensionKind::NatTDestinationPort,
    ExtensionKind::NatTOriginalInitiator,
    ExtensionKind::NatTOriginalResponder,
    ExtensionKind::NewAddressSource,
    ExtensionKind::NewAddressDestination,
];

/// What a request says an SA is (`secasindex`).
struct Index {
    source: IpAddr,
    destination: IpAddr,
    mode: Mode,
    reqid: u32,
}

impl Index {
    fn of(message: &Message) -> Result<Self, Errno> {
        let source = message.source().ok_or(Errno::EINVAL)?.ip();
        let destination = message.destination().ok_or(Errno::EINVAL)?.ip();
        let sa2 = message.sa2().copied().unwrap_or_default();
        Ok(Self {
            source,
            destination,
            mode: sa2.mode,
            reqid: sa2.reqid,
        })
    }

    /// `CMP_HEAD`
    fn same_ends(&self, sa: &Sa) -> bool {
        sa.source == self.source && sa.destination == self.destination
    }

    /// `CMP_MODE_REQID`
    fn same(&self, sa: &Sa) -> bool {
        self.same_ends(sa)
            && (self.reqid == 0 || self.reqid == sa.reqid)
            && (sa.mode == Mode::ANY || sa.mode == self.mode)
    }
}

impl Ipsec {
    pub(super) fn getspi(
        &mut self,
        clock: Clock,
        socket: PfkeySocketId,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Errno> {
        let index = Index::of(message)?;
        only_esp(message)?;
        let spi = self.free_spi(message, rng)?;
        self.check_room()?;
        let sa = self.larval(clock, message, &index, spi);
        self.sadb.insert(sa);
        self.sadb.schedule(spi, self.config.larval_lifetime);
        self.acquires.served(message.sequence);
        let mut reply = Message {
            extensions: Vec::new(),
            errno: 0,
            ..message.clone()
        };
        reply.extensions.push(pfkey::Extension::Sa(pfkey::Sa {
            spi,
            ..pfkey::Sa::default()
        }));
        for extension in &message.extensions {
            if matches!(
                extension.kind(),
                ExtensionKind::AddressSource | ExtensionKind::AddressDestination
            ) {
                reply.extensions.push(extension.clone());
            }
        }
        self.send(Some(socket), Audience::One, &reply);
        Ok(())
    }

    fn free_spi(&self, message: &Message, rng: &mut dyn CryptoRng) -> Result<u32, Errno> {
        let (min, max) = message
            .spi_range()
            .map_or((FIRST_SPI, LAST_SPI), |range| (range.min, range.max));
        let min = min.max(FIRST_SPI);
        if min > max {
            return Err(Errno::EINVAL);
        }
        let span = u64::from(max - min) + 1;
        let reqid = message.sa2().map_or(0, |sa2| sa2.reqid);
        for _ in 0..SPI_TRIES {
            // The bias of a 64-bit remainder over at most 2^32 values does not matter.
            let spi = min + (rng.next_u64() % span) as u32;
            let spi = self.spi_for(spi, reqid, min..=max);
            if self.sadb.get(spi).is_none() {
                return Ok(spi);
            }
        }
        Err(Errno::EEXIST)
    }

    /// The SPI names the worker; all SAs of a client have the same one.
    fn spi_for(&self, spi: u32, reqid: u32, range: RangeInclusive<u32>) -> u32 {
        let workers = self.config.workers.max(1);
        let wanted = (spi - spi % workers).saturating_add(reqid % workers);
        if range.contains(&wanted) { wanted } else { spi }
    }

    fn larval(&mut self, clock: Clock, message: &Message, index: &Index, spi: u32) -> Sa {
        Sa {
            serial: self.sadb.new_serial(),
            spi,
            source: index.source,
            destination: index.destination,
            mode: index.mode,
            reqid: index.reqid,
            state: SaState::LARVAL,
            pid: message.pid,
            message_sequence: message.sequence,
            flags: 0,
            keyed: None,
            hard: None,
            soft: None,
            created: clock.now,
            created_wall: clock.wall,
            usage: Arc::default(),
            first: None,
            window_size: 0,
            window: Window::new(0),
            worker: None,
            nat_t: None,
            told_mapping: None,
        }
    }

    fn check_room(&self) -> Result<(), Errno> {
        if self.sadb.len() < self.config.max_sas {
            Ok(())
        } else {
            Err(Errno::ENOBUFS)
        }
    }

    pub(super) fn add(
        &mut self,
        clock: Clock,
        socket: PfkeySocketId,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Errno> {
        let spi = message.sa().ok_or(Errno::EINVAL)?.spi;
        let index = Index::of(message)?;
        only_esp(message)?;
        if spi < FIRST_SPI {
            return Err(Errno::EINVAL);
        }
        if self.sadb.get(spi).is_some() {
            return Err(Errno::EEXIST);
        }
        self.check_room()?;
        let mut sa = self.larval(clock, message, &index, spi);
        mature(clock, &mut sa, message, rng)?;
        self.sadb.insert(sa);
        self.come_alive(spi);
        self.acquires.served(message.sequence);
        self.answer(socket, Audience::All, message, KEPT);
        Ok(())
    }

    fn come_alive(&mut self, spi: u32) {
        self.sadb.index(spi);
        self.inherit_icv(spi);
        self.sadb.schedule(spi, self.config.larval_lifetime);
    }

    pub(super) fn update(
        &mut self,
        clock: Clock,
        socket: PfkeySocketId,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Errno> {
        let spi = message.sa().ok_or(Errno::EINVAL)?.spi;
        let index = Index::of(message)?;
        only_esp(message)?;
        let lifetimes = lifetime_pair(message)?;
        let serial = self.sadb.new_serial();
        let sa = self.sadb.get_mut(spi).ok_or(Errno::EINVAL)?;
        if sa.pid != message.pid {
            return Err(Errno::EINVAL);
        }
        if !index.same(sa) {
            return Err(Errno::ESRCH);
        }
        if sa.state == SaState::LARVAL {
            mature(clock, sa, message, rng)?;
            // Order of creation is order of maturity, so that the newest keys are used.
            sa.serial = serial;
        } else {
            let keys = message.key_encryption().is_some() || message.key_authentication().is_some();
            if keys {
                return Err(Errno::EINVAL);
            }
            let moved = moved_to(sa, message)?;
            if lifetimes.is_some() {
                (sa.hard, sa.soft) = lifetimes.unzip();
            }
            if let Some((source, destination, nat_t)) = moved {
                self.sadb.unindex(spi);
                if let Some(sa) = self.sadb.get_mut(spi) {
                    (sa.source, sa.destination, sa.nat_t) = (source, destination, nat_t);
                    sa.told_mapping = None;
                }
            }
            if let Some(sa) = self.sadb.get_mut(spi) {
                sa.state = SaState::MATURE;
            }
        }
        self.come_alive(spi);
        self.answer(socket, Audience::All, message, KEPT);
        Ok(())
    }

    pub(super) fn delete(&mut self, socket: PfkeySocketId, message: &Message) -> Result<(), Errno> {
        let index = Index::of(message)?;
        let kept: &[ExtensionKind] = if let Some(sa) = message.sa() {
            let spi = self.find(message, &index, sa.spi)?;
            self.sadb.remove(spi);
            &[
                ExtensionKind::Sa,
                ExtensionKind::AddressSource,
                ExtensionKind::AddressDestination,
            ]
        } else {
            // Without an SPI all SAs between the two that are not larval.
            let all: Vec<u32> = self
                .sadb
                .iter()
                .filter(|sa| message.sa_type == SaType::ESP && index.same_ends(sa))
                .filter(|sa| sa.state != SaState::LARVAL)
                .map(|sa| sa.spi)
                .collect();
            for spi in all {
                self.sadb.remove(spi);
            }
            &[
                ExtensionKind::AddressSource,
                ExtensionKind::AddressDestination,
            ]
        };
        self.answer(socket, Audience::All, message, kept);
        Ok(())
    }

    pub(super) fn get(&mut self, socket: PfkeySocketId, message: &Message) -> Result<(), Errno> {
        let spi = message.sa().ok_or(Errno::EINVAL)?.spi;
        let spi = self.find(message, &Index::of(message)?, spi)?;
        let sa = self.sadb.get(spi).ok_or(Errno::ESRCH)?;
        let reply = sa.to_message(MessageType::GET, message.sequence, message.pid);
        self.send(Some(socket), Audience::One, &reply);
        Ok(())
    }

    fn find(&self, message: &Message, index: &Index, spi: u32) -> Result<u32, Errno> {
        self.sadb
            .get(spi)
            .filter(|sa| message.sa_type == SaType::ESP && index.same_ends(sa))
            .map(|sa| sa.spi)
            .ok_or(Errno::ESRCH)
    }

    pub(super) fn flush(&mut self, socket: PfkeySocketId, message: &Message) -> Result<(), Errno> {
        if holds(message.sa_type) {
            for spi in self.sadb.in_order() {
                self.sadb.remove(spi);
            }
        }
        self.answer(socket, Audience::All, message, &[]);
        Ok(())
    }

    pub(super) fn dump(&mut self, socket: PfkeySocketId, message: &Message) -> Result<(), Errno> {
        let all = if holds(message.sa_type) {
            self.sadb.in_order()
        } else {
            Vec::new()
        };
        if all.is_empty() {
            return Err(Errno::ENOENT);
        }
        let last = all.len() - 1;
        for (i, spi) in all.into_iter().enumerate() {
            let countdown = u32::try_from(last - i).unwrap_or(u32::MAX);
            let entry = self
                .sadb
                .get(spi)
                .map(|sa| sa.to_message(MessageType::DUMP, countdown, message.pid));
            if let Some(entry) = entry {
                self.send(Some(socket), Audience::One, &entry);
            }
        }
        Ok(())
    }
}

/// Whether the SADB can hold SAs of this type.
fn holds(sa_type: SaType) -> bool {
    matches!(sa_type, SaType::UNSPEC | SaType::ESP)
}

fn only_esp(message: &Message) -> Result<(), Errno> {
    if message.sa_type == SaType::ESP {
        Ok(())
    } else {
        Err(Errno::EOPNOTSUPP)
    }
}

/// HARD and SOFT come as a pair or not at all.
fn lifetime_pair(message: &Message) -> Result<Option<(Lifetime, Lifetime)>, Errno> {
    match (message.lifetime_hard(), message.lifetime_soft()) {
        (Some(hard), Some(soft)) => Ok(Some((*hard, *soft))),
        (None, None) => Ok(None),
        _ => Err(Errno::EINVAL),
    }
}

/// Gives a larval SA its keys and makes it mature (`key_setsaval`). On error the SA is unchanged.
fn mature(
    clock: Clock,
    sa: &mut Sa,
    message: &Message,
    rng: &mut dyn CryptoRng,
) -> Result<(), Errno> {
    let request = message.sa().ok_or(Errno::EINVAL)?;
    let encryption_key = message.key_encryption().ok_or(Errno::EINVAL)?;
    let authentication_key = message.key_authentication();
    let lifetimes = lifetime_pair(message)?;
    let nat_t = encapsulation(message, sa.mode, sa.source, sa.destination)?;
    let transform = Transform::new(
        request.encryption,
        encryption_key.bytes(),
        request.authentication,
        authentication_key.map(pfkey::Key::bytes),
        rng,
    )
    .map_err(|_| Errno::EINVAL)?;
    let packets = message
        .sa_replay()
        .copied()
        .unwrap_or(u32::from(request.replay) * 8);
    if packets > u32::MAX - 32 {
        return Err(Errno::EINVAL);
    }
    // FreeBSD keeps the window in whole bytes of a bit map.
    let packets = packets.next_multiple_of(8);
    if packets > super::replay::MAX_WINDOW {
        return Err(Errno::ENOBUFS);
    }
    sa.keyed = Some(Keyed {
        authentication: transform.shown_authentication(request.authentication),
        transform: Arc::new(transform),
        encryption: request.encryption,
        encryption_key: encryption_key.clone(),
        authentication_key: authentication_key.cloned(),
        icv: match request.authentication {
            AuthenticationAlgorithm::SHA2_256_DETECT => Icv::Undecided,
            _ => Icv::Fixed,
        },
    });
    sa.window = Window::new(packets);
    sa.window_size = sa.window.size();
    sa.flags = request.flags;
    (sa.hard, sa.soft) = lifetimes.unzip();
    sa.nat_t = nat_t;
    sa.created = clock.now;
    sa.created_wall = clock.wall;
    sa.state = SaState::MATURE;
    Ok(())
}

/// The NAT-T extensions (`key_setnatt`): all three of type and ports, or none.
fn encapsulation(
    message: &Message,
    mode: Mode,
    source: IpAddr,
    destination: IpAddr,
) -> Result<Option<NatT>, Errno> {
    let (Some(kind), Some(source_port), Some(destination_port)) = (
        message.nat_t_type(),
        message.nat_t_source_port(),
        message.nat_t_destination_port(),
    ) else {
        return Ok(None);
    };
    if *kind != UDP_ENCAP_ESPINUDP || *source_port == 0 || *destination_port == 0 {
        return Err(Errno::EINVAL);
    }
    let original = |address: Option<&pfkey::Address>, seen: IpAddr| {
        address
            .copied()
            .filter(|address| mode != Mode::TUNNEL && address.ip() != seen)
    };
    Ok(Some(NatT {
        source_port: *source_port,
        destination_port: *destination_port,
        original_initiator: original(message.nat_t_original_initiator(), source),
        original_responder: original(message.nat_t_original_responder(), destination),
    }))
}

/// Where an UPDATE moves a mature SA to (`key_updateaddresses`); `None` if it does not.
type Ends = (IpAddr, IpAddr, Option<NatT>);

fn moved_to(sa: &Sa, message: &Message) -> Result<Option<Ends>, Errno> {
    let new_source = message.new_source().map(pfkey::Address::ip);
    let new_destination = message.new_destination().map(pfkey::Address::ip);
    let new_addresses = new_source.is_some() || new_destination.is_some();
    if !new_addresses && message.nat_t_type().is_none() && sa.nat_t.is_none() {
        return Ok(None);
    }
    let source = new_source.unwrap_or(sa.source);
    let destination = new_destination.unwrap_or(sa.destination);
    if source.is_ipv4() != destination.is_ipv4() {
        return Err(Errno::EINVAL);
    }
    let nat_t = encapsulation(message, sa.mode, source, destination)?;
    // An encapsulated SA that stays where it is must be told its encapsulation again.
    if !new_addresses && nat_t.is_none() {
        return Err(Errno::EINVAL);
    }
    Ok(Some((source, destination, nat_t)))
}

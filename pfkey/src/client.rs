//! The requester's side of PF_KEY without I/O: builds requests with sequence numbers, matches
//! replies to them by sequence number and process id, and sorts what the kernel says unasked.
//!
//! FreeBSD counts `sadb_msg_seq` down to 0 in the messages of a DUMP instead of echoing the
//! request's; at most one dump of SAs and one of policies is therefore under way at a time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use zeroize::Zeroizing;

use crate::algorithm::{AuthenticationAlgorithm, EncryptionAlgorithm};
use crate::error::WireError;
use crate::ext::{
    Address, Algorithm, Extension, Key, Lifetime, Mode, Policy, Sa, Sa2, SpiRange,
    UDP_ENCAP_ESPINUDP,
};
use crate::message::{Message, MessageType, SaType};
use crate::numbering::Numbering;

/// Requests that may wait for their reply at a time; the oldest is forgotten beyond.
const MAX_PENDING: usize = 4096;
/// `ENOENT`: what a DUMP of nothing answers.
const ENOENT: u8 = 2;

/// UDP encapsulation of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatT {
    /// UDP source port of the SA's packets: of an inbound SA the peer's mapped port.
    pub source_port: u16,
    /// UDP destination port of the SA's packets: of an inbound SA ours (4500).
    pub destination_port: u16,
    /// NAT-OA of the initiator; transport mode only.
    pub original_initiator: Option<IpAddr>,
    /// NAT-OA of the responder; transport mode only.
    pub original_responder: Option<IpAddr>,
}

/// An SA to be installed by UPDATE or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaRequest {
    /// ESP or AH.
    pub sa_type: SaType,
    /// SPI, host order.
    pub spi: u32,
    /// Source of the SA's packets.
    pub source: IpAddr,
    /// Destination of the SA's packets.
    pub destination: IpAddr,
    /// Transport or tunnel.
    pub mode: Mode,
    /// Request id, 0 for none.
    pub reqid: u32,
    /// Encryption algorithm.
    pub encryption: EncryptionAlgorithm,
    /// Its key (AES-GCM: with the 4-byte salt at the end).
    pub encryption_key: Key,
    /// Authentication algorithm; [`AuthenticationAlgorithm::NONE`] with AES-GCM.
    pub authentication: AuthenticationAlgorithm,
    /// Its key; `None` with AES-GCM.
    pub authentication_key: Option<Key>,
    /// Replay window in packets, 0 for no replay protection.
    pub replay_window: u32,
    /// `SADB_SAFLAGS_*`, for instance [`crate::ext::SAFLAGS_ESN`].
    pub flags: u32,
    /// Hard and soft lifetimes; the kernel takes both or none.
    pub lifetimes: Option<(Lifetime, Lifetime)>,
    /// UDP encapsulation.
    pub nat_t: Option<NatT>,
}

/// Change of a mature SA (UPDATE): the only way to follow a NAT mapping.
///
/// FreeBSD puts in place what the message carries and drops what it lacks: an SA with UDP
/// encapsulation must be given it again, and lifetimes too
/// ([`Client::update_addresses_and_lifetimes`]), or it loses them. softkernel keeps lifetimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaMove {
    /// ESP or AH.
    pub sa_type: SaType,
    /// SPI, host order.
    pub spi: u32,
    /// Mode of the SA as installed.
    pub mode: Mode,
    /// Request id of the SA as installed.
    pub reqid: u32,
    /// Source as the SA has it now.
    pub source: IpAddr,
    /// Destination as the SA has it now.
    pub destination: IpAddr,
    /// New source, if it changes.
    pub new_source: Option<IpAddr>,
    /// New destination, if it changes.
    pub new_destination: Option<IpAddr>,
    /// UDP encapsulation from now on.
    pub nat_t: Option<NatT>,
}

/// Which SA, for GET and DELETE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaSelector {
    /// ESP or AH.
    pub sa_type: SaType,
    /// SPI, host order.
    pub spi: u32,
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
}

/// A policy to be added or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpRequest {
    /// Source selector.
    pub source: Address,
    /// Destination selector.
    pub destination: Address,
    /// What to do and in which direction.
    pub policy: Policy,
    /// Lifetime: `add_time` from creation, `use_time` without use, in seconds.
    pub lifetime: Option<Lifetime>,
}

/// A request ready to be written to the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What its reply will carry.
    pub sequence: u32,
    /// One message; wiped on drop.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A successful reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// REGISTER: algorithms of the kernel.
    Registered {
        /// Authentication algorithms.
        authentication: Vec<Algorithm>,
        /// Encryption algorithms.
        encryption: Vec<Algorithm>,
    },
    /// GETSPI: the SPI reserved, host order.
    Spi(u32),
    /// DUMP and SPDDUMP: all entries in the kernel's order.
    Dump(Vec<Message>),
    /// Anything else: the kernel's echo (SPDADD: with the policy's id).
    Done(Message),
}

/// A lifetime is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expire {
    /// ESP or AH.
    pub sa_type: SaType,
    /// SPI, host order.
    pub spi: u32,
    /// Hard: the SA is gone. Soft: it is to be renewed.
    pub hard: bool,
    /// Request id.
    pub reqid: u32,
    /// Mode.
    pub mode: Mode,
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
    /// What the SA has used.
    pub current: Lifetime,
}

/// The kernel wants an SA for a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquire {
    /// To be used in GETSPI and ADD, so that the kernel knows it is being served.
    pub sequence: u32,
    /// ESP or AH.
    pub sa_type: SaType,
    /// Source selector.
    pub source: Address,
    /// Destination selector.
    pub destination: Address,
    /// Request id, 0 for none.
    pub reqid: u32,
    /// Mode wanted.
    pub mode: Mode,
    /// Number of the policy.
    pub policy_id: u32,
}

/// An authenticated packet came from another place than the SA says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMapping {
    /// SPI of the inbound SA, host order.
    pub spi: u32,
    /// Request id, 0 if the kernel does not say.
    pub reqid: u32,
    /// Peer as the SA has it.
    pub old: SocketAddr,
    /// Peer as seen now.
    pub new: SocketAddr,
}

/// What came out of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The answer to one of our requests.
    Reply {
        /// Its [`Request::sequence`].
        sequence: u32,
        /// The answer, or the kernel's errno.
        result: Result<Reply, u8>,
    },
    /// A lifetime is over.
    Expire(Expire),
    /// The kernel wants an SA.
    Acquire(Acquire),
    /// A NAT mapping changed.
    NewMapping(NewMapping),
    /// Somebody else's request (setkey, another daemon), broadcast by the kernel.
    Foreign(Message),
}

/// Requests under way on one socket.
#[derive(Debug)]
pub struct Client {
    numbering: Numbering,
    pid: u32,
    next_sequence: u32,
    pending: BTreeMap<u32, MessageType>,
    dumps: BTreeMap<MessageType, (u32, Vec<Message>)>,
}

impl Client {
    /// `pid` goes into every request. FreeBSD lets only the pid that did GETSPI or ADD do UPDATE
    /// on an SA (it does not check that it is the sender's): a daemon that wants to look after its
    /// SAs when restarted keeps using the same number.
    pub fn new(numbering: Numbering, pid: u32) -> Self {
        Self {
            numbering,
            pid,
            next_sequence: 1,
            pending: BTreeMap::new(),
            dumps: BTreeMap::new(),
        }
    }

    /// The number in every request.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// REGISTER: receive ACQUIRE, EXPIRE and new mappings, learn the algorithms.
    pub fn register(&mut self, sa_type: SaType) -> Request {
        self.request(self.new_message(MessageType::REGISTER, sa_type))
    }

    /// GETSPI: reserve an SPI for an inbound SA from `source` (the peer) to `destination` (us).
    /// `sequence` is that of the ACQUIRE being served, if any.
    pub fn getspi(
        &mut self,
        sa_type: SaType,
        mode: Mode,
        reqid: u32,
        source: IpAddr,
        destination: IpAddr,
        range: Option<SpiRange>,
    ) -> Request {
        let message = self
            .new_message(MessageType::GETSPI, sa_type)
            .with(Extension::Sa2(Sa2 {
                mode,
                sequence: 0,
                reqid,
            }))
            .with(Extension::AddressSource(Address::host(source)))
            .with(Extension::AddressDestination(Address::host(destination)))
            .with_some(range.map(Extension::SpiRange));
        self.request(message)
    }

    /// ADD: install an SA whose SPI the peer chose.
    pub fn add(&mut self, sa: &SaRequest) -> Request {
        self.install(MessageType::ADD, sa)
    }

    /// UPDATE: complete the larval SA of a GETSPI.
    pub fn update(&mut self, sa: &SaRequest) -> Request {
        self.install(MessageType::UPDATE, sa)
    }

    fn install(&mut self, kind: MessageType, sa: &SaRequest) -> Request {
        let octet = self.numbering.replay_octet(sa.replay_window);
        let wide = sa.replay_window > self.numbering.replay_packets(octet);
        let (hard, soft) = sa.lifetimes.unzip();
        let mut message = self
            .new_message(kind, sa.sa_type)
            .with(Extension::Sa(Sa {
                spi: sa.spi,
                replay: octet,
                state: crate::ext::SaState::MATURE,
                authentication: sa.authentication,
                encryption: sa.encryption,
                flags: sa.flags,
            }))
            .with(Extension::Sa2(Sa2 {
                mode: sa.mode,
                sequence: 0,
                reqid: sa.reqid,
            }))
            .with(Extension::AddressSource(Address::host(sa.source)))
            .with(Extension::AddressDestination(Address::host(sa.destination)))
            // NULL encryption has none.
            .with_some(
                (!sa.encryption_key.bytes().is_empty())
                    .then(|| Extension::KeyEncryption(sa.encryption_key.clone())),
            )
            .with_some(
                sa.authentication_key
                    .clone()
                    .map(Extension::KeyAuthentication),
            )
            .with_some(hard.map(Extension::LifetimeHard))
            .with_some(soft.map(Extension::LifetimeSoft))
            .with_some(wide.then_some(Extension::SaReplay(sa.replay_window)));
        push_nat_t(&mut message, sa.nat_t);
        self.request(message)
    }

    /// UPDATE of a mature SA: new addresses and ports, no lifetimes.
    pub fn update_addresses(&mut self, sa: &SaMove) -> Request {
        self.move_sa(sa, None)
    }

    /// UPDATE of a mature SA: new addresses and ports, and lifetimes counted from its creation.
    pub fn update_addresses_and_lifetimes(
        &mut self,
        sa: &SaMove,
        hard: Lifetime,
        soft: Lifetime,
    ) -> Request {
        self.move_sa(sa, Some((hard, soft)))
    }

    fn move_sa(&mut self, sa: &SaMove, lifetimes: Option<(Lifetime, Lifetime)>) -> Request {
        let mut message = self
            .new_message(MessageType::UPDATE, sa.sa_type)
            .with(Extension::Sa(Sa {
                spi: sa.spi,
                state: crate::ext::SaState::MATURE,
                ..Sa::default()
            }))
            .with(Extension::Sa2(Sa2 {
                mode: sa.mode,
                sequence: 0,
                reqid: sa.reqid,
            }))
            .with(Extension::AddressSource(Address::host(sa.source)))
            .with(Extension::AddressDestination(Address::host(sa.destination)))
            .with_some(lifetimes.map(|(hard, _)| Extension::LifetimeHard(hard)))
            .with_some(lifetimes.map(|(_, soft)| Extension::LifetimeSoft(soft)));
        push_nat_t(&mut message, sa.nat_t);
        let message = message
            .with_some(
                sa.new_source
                    .map(Address::host)
                    .map(Extension::NewAddressSource),
            )
            .with_some(
                sa.new_destination
                    .map(Address::host)
                    .map(Extension::NewAddressDestination),
            );
        self.request(message)
    }

    /// DELETE one SA.
    pub fn delete(&mut self, sa: &SaSelector) -> Request {
        self.by_selector(MessageType::DELETE, sa)
    }

    /// GET one SA.
    pub fn get(&mut self, sa: &SaSelector) -> Request {
        self.by_selector(MessageType::GET, sa)
    }

    fn by_selector(&mut self, kind: MessageType, sa: &SaSelector) -> Request {
        let message = self
            .new_message(kind, sa.sa_type)
            .with(Extension::Sa(Sa {
                spi: sa.spi,
                ..Sa::default()
            }))
            .with(Extension::AddressSource(Address::host(sa.source)))
            .with(Extension::AddressDestination(Address::host(sa.destination)));
        self.request(message)
    }

    /// DUMP all SAs of a type ([`SaType::UNSPEC`]: of all). `None` while one is under way.
    pub fn dump(&mut self, sa_type: SaType) -> Option<Request> {
        self.start_dump(MessageType::DUMP, sa_type)
    }

    /// SPDDUMP all global policies. `None` while one is under way.
    pub fn spd_dump(&mut self) -> Option<Request> {
        // FreeBSD reads the scope mask here; 0 stands for global, as setkey(8) sends it.
        self.start_dump(MessageType::X_SPDDUMP, SaType::UNSPEC)
    }

    fn start_dump(&mut self, kind: MessageType, sa_type: SaType) -> Option<Request> {
        if self.dumps.contains_key(&kind) {
            return None;
        }
        let request = self.request(self.new_message(kind, sa_type));
        self.dumps.insert(kind, (request.sequence, Vec::new()));
        Some(request)
    }

    /// FLUSH all SAs of a type.
    pub fn flush(&mut self, sa_type: SaType) -> Request {
        self.request(self.new_message(MessageType::FLUSH, sa_type))
    }

    /// SPDADD: add a policy, `EEXIST` if its selector has one.
    pub fn spd_add(&mut self, policy: &SpRequest) -> Request {
        self.spd(MessageType::X_SPDADD, policy)
    }

    /// SPDUPDATE: add or replace a policy.
    pub fn spd_update(&mut self, policy: &SpRequest) -> Request {
        self.spd(MessageType::X_SPDUPDATE, policy)
    }

    /// SPDDELETE: delete the policy with this selector and direction.
    pub fn spd_delete(&mut self, policy: &SpRequest) -> Request {
        self.spd(MessageType::X_SPDDELETE, policy)
    }

    fn spd(&mut self, kind: MessageType, policy: &SpRequest) -> Request {
        let message = self
            .new_message(kind, SaType::UNSPEC)
            .with(Extension::Policy(policy.policy.clone()))
            .with_some(policy.lifetime.map(Extension::LifetimeHard))
            .with(Extension::AddressSource(policy.source))
            .with(Extension::AddressDestination(policy.destination));
        self.request(message)
    }

    /// SPDDELETE2: delete the policy with this number.
    pub fn spd_delete_id(&mut self, id: u32) -> Request {
        let message = self
            .new_message(MessageType::X_SPDDELETE2, SaType::UNSPEC)
            .with(Extension::Policy(Policy {
                id,
                ..Policy::default()
            }));
        self.request(message)
    }

    /// SPDFLUSH: delete all policies.
    pub fn spd_flush(&mut self) -> Request {
        self.request(self.new_message(MessageType::X_SPDFLUSH, SaType::UNSPEC))
    }

    /// Numbers `message` and remembers it; for requests that have no method here.
    pub fn request(&mut self, mut message: Message) -> Request {
        let sequence = self.next_sequence;
        // 0 ends a dump and is never a request's number.
        self.next_sequence = self.next_sequence.checked_add(1).unwrap_or(1);
        message.sequence = sequence;
        message.pid = self.pid;
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_first();
        }
        self.pending.insert(sequence, message.kind);
        Request {
            sequence,
            bytes: message.emit(self.numbering),
        }
    }

    /// Forgets all requests: the socket was reopened, no reply will come.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.dumps.clear();
    }

    fn new_message(&self, kind: MessageType, sa_type: SaType) -> Message {
        Message::new(kind, sa_type, 0, self.pid)
    }

    /// Takes one message read from the socket. `Ok(None)`: an entry of a dump that goes on.
    ///
    /// # Errors
    /// The bytes are no PF_KEY message.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<Option<Event>, WireError> {
        let message = match Message::parse(bytes, self.numbering) {
            Ok(message) => message,
            Err(error) => {
                // An error reply may echo a request that did not parse on the other side either.
                let header = Message::parse_header(bytes, self.numbering)?;
                if header.errno == 0 {
                    return Err(error);
                }
                header
            }
        };
        Ok(match message.kind {
            MessageType::EXPIRE => Some(event_or_foreign(message, expire)),
            MessageType::ACQUIRE => Some(event_or_foreign(message, acquire)),
            MessageType::X_NEW_MAPPING => Some(event_or_foreign(message, new_mapping)),
            _ if message.pid != self.pid => Some(Event::Foreign(message)),
            MessageType::DUMP | MessageType::X_SPDDUMP => self.dump_entry(message),
            _ => Some(self.reply(message)),
        })
    }

    fn dump_entry(&mut self, message: Message) -> Option<Event> {
        let Some((sequence, entries)) = self.dumps.get_mut(&message.kind) else {
            return Some(Event::Foreign(message));
        };
        let (sequence, kind, errno) = (*sequence, message.kind, message.errno);
        // Only messages that carry an SA or a policy are entries; Linux may end with a bare one.
        if errno == 0 && !message.extensions.is_empty() {
            let last = message.sequence == 0;
            entries.push(message);
            if !last {
                return None;
            }
        }
        let entries = self
            .dumps
            .remove(&kind)
            .map(|(_, entries)| entries)
            .unwrap_or_default();
        self.pending.remove(&sequence);
        let result = match errno {
            0 | ENOENT => Ok(Reply::Dump(entries)),
            errno => Err(errno),
        };
        Some(Event::Reply { sequence, result })
    }

    fn reply(&mut self, message: Message) -> Event {
        let sequence = message.sequence;
        if self.pending.get(&sequence) != Some(&message.kind) {
            return Event::Foreign(message);
        }
        self.pending.remove(&sequence);
        let result = match message.errno {
            0 => Ok(success(message)),
            errno => Err(errno),
        };
        Event::Reply { sequence, result }
    }
}

fn success(message: Message) -> Reply {
    match message.kind {
        MessageType::REGISTER => {
            let (mut authentication, mut encryption) = (Vec::new(), Vec::new());
            for extension in message.extensions {
                match extension {
                    Extension::SupportedAuthentication(list) => authentication = list,
                    Extension::SupportedEncryption(list) => encryption = list,
                    _ => {}
                }
            }
            Reply::Registered {
                authentication,
                encryption,
            }
        }
        MessageType::GETSPI => match message.sa() {
            Some(sa) => Reply::Spi(sa.spi),
            None => Reply::Done(message),
        },
        _ => Reply::Done(message),
    }
}

fn push_nat_t(message: &mut Message, nat_t: Option<NatT>) {
    let Some(nat_t) = nat_t else {
        return;
    };
    message.extensions.extend([
        Extension::NatTType(UDP_ENCAP_ESPINUDP),
        Extension::NatTSourcePort(nat_t.source_port),
        Extension::NatTDestinationPort(nat_t.destination_port),
    ]);
    let original = |ip: IpAddr| Address::host(ip);
    message.extensions.extend(
        nat_t
            .original_initiator
            .map(original)
            .map(Extension::NatTOriginalInitiator),
    );
    message.extensions.extend(
        nat_t
            .original_responder
            .map(original)
            .map(Extension::NatTOriginalResponder),
    );
}

fn event_or_foreign(message: Message, read: fn(&Message) -> Option<Event>) -> Event {
    read(&message).unwrap_or(Event::Foreign(message))
}

fn expire(message: &Message) -> Option<Event> {
    let sa2 = message.sa2().copied().unwrap_or_default();
    Some(Event::Expire(Expire {
        sa_type: message.sa_type,
        spi: message.sa()?.spi,
        hard: message.lifetime_soft().is_none(),
        reqid: sa2.reqid,
        mode: sa2.mode,
        source: message.source()?.ip(),
        destination: message.destination()?.ip(),
        current: message.lifetime_current().copied().unwrap_or_default(),
    }))
}

fn acquire(message: &Message) -> Option<Event> {
    let sa2 = message.sa2().copied().unwrap_or_default();
    Some(Event::Acquire(Acquire {
        sequence: message.sequence,
        sa_type: message.sa_type,
        source: *message.source()?,
        destination: *message.destination()?,
        reqid: sa2.reqid,
        mode: sa2.mode,
        policy_id: message.policy().map_or(0, |policy| policy.id),
    }))
}

fn new_mapping(message: &Message) -> Option<Event> {
    let old = SocketAddr::new(message.source()?.ip(), *message.nat_t_source_port()?);
    let new = SocketAddr::new(
        message.destination()?.ip(),
        *message.nat_t_destination_port()?,
    );
    Some(Event::NewMapping(NewMapping {
        spi: message.sa()?.spi,
        reqid: message.sa2().map_or(0, |sa2| sa2.reqid),
        old,
        new,
    }))
}

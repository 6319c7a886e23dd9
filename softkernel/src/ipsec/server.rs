//! The PF_KEY sockets (RFC 2367 section 2): who hears which message, what happens to requests
//! before their handlers see them (`key_parse` and `key_sendup_mbuf` of FreeBSD's key.c).

use std::collections::{BTreeMap, VecDeque};

use pfkey::{Address, Extension, ExtensionKind, Message, MessageType, Numbering, SaType};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::errno::Errno;
use super::transform;
use super::{Clock, Ipsec, PfkeySocketId};

/// The soft kernel speaks as FreeBSD does wherever it runs.
pub(super) const NUMBERING: Numbering = Numbering::FreeBsd;
/// `MCLBYTES`: FreeBSD takes no longer request.
const MAX_REQUEST: usize = 2048;
/// `SADB_MAX`.
const LAST_REQUEST: MessageType = MessageType::X_SPDDELETE2;
/// Offset of `sadb_msg_errno`.
const ERRNO_OFFSET: usize = 2;

/// Who gets a message besides the requester (`KEY_SENDUP_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Nobody else.
    One,
    /// Every PF_KEY socket.
    All,
    /// Every socket that did REGISTER.
    Registered,
}

#[derive(Debug, Default)]
struct Listener {
    /// SA types registered for.
    registered: Vec<SaType>,
    promiscuous: bool,
    /// Messages not yet read.
    queued: usize,
}

/// All PF_KEY sockets and what is to be read from them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    listeners: BTreeMap<PfkeySocketId, Listener>,
    next_id: u64,
    queue: VecDeque<(PfkeySocketId, Zeroizing<Vec<u8>>)>,
}

impl Sockets {
    pub(super) fn open(&mut self) -> PfkeySocketId {
        let id = PfkeySocketId(self.next_id);
        self.next_id += 1;
        self.listeners.insert(id, Listener::default());
        id
    }

    pub(super) fn close(&mut self, id: PfkeySocketId) {
        self.listeners.remove(&id);
        self.queue.retain(|(to, _)| *to != id);
    }

    pub(super) fn poll(&mut self) -> Option<(PfkeySocketId, Zeroizing<Vec<u8>>)> {
        let (id, message) = self.queue.pop_front()?;
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.queued = listener.queued.saturating_sub(1);
        }
        Some((id, message))
    }

    pub(super) fn anybody_registered(&self) -> bool {
        self.listeners
            .values()
            .any(|listener| !listener.registered.is_empty())
    }

    /// Delivers `bytes`; returns how many copies were lost to full queues.
    fn send(
        &mut self,
        requester: Option<PfkeySocketId>,
        audience: Audience,
        bytes: &[u8],
        max_queued: usize,
    ) -> u64 {
        let mut lost = 0;
        for (id, listener) in &mut self.listeners {
            let hears = requester == Some(*id)
                || match audience {
                    Audience::One => false,
                    Audience::All => true,
                    Audience::Registered => !listener.registered.is_empty(),
                };
            // A promiscuous listener gets its copy in front of the message meant for it.
            let copies = [(listener.promiscuous, true), (hears, false)];
            for (_, promiscuous) in copies.into_iter().filter(|(wanted, _)| *wanted) {
                if listener.queued >= max_queued {
                    lost += 1;
                    continue;
                }
                listener.queued += 1;
                let copy = if promiscuous {
                    wrap(bytes)
                } else {
                    Zeroizing::new(bytes.to_vec())
                };
                self.queue.push_back((*id, copy));
            }
        }
        lost
    }
}

/// Puts an X_PROMISC header in front of a message.
fn wrap(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let header = Message::new(MessageType::X_PROMISC, SaType::UNSPEC, 0, 0).emit(NUMBERING);
    let mut wrapped = Zeroizing::new(Vec::with_capacity(header.len() + bytes.len()));
    wrapped.extend_from_slice(&header);
    wrapped.extend_from_slice(bytes);
    let units = u16::try_from(wrapped.len() / 8).unwrap_or(u16::MAX);
    for (byte, value) in wrapped.iter_mut().skip(4).zip(units.to_ne_bytes()) {
        *byte = value;
    }
    wrapped
}

impl Ipsec {
    /// Sends a message of the kernel's own, or the answer to `requester`.
    pub(super) fn send(
        &mut self,
        requester: Option<PfkeySocketId>,
        audience: Audience,
        message: &Message,
    ) {
        self.send_bytes(requester, audience, &message.emit(NUMBERING));
    }

    fn send_bytes(&mut self, requester: Option<PfkeySocketId>, audience: Audience, bytes: &[u8]) {
        let lost = self
            .sockets
            .send(requester, audience, bytes, self.config.max_queued_messages);
        self.counters.messages_lost += lost;
    }

    /// Answers with the parts of the request that `keep` names, in that order.
    pub(super) fn answer(
        &mut self,
        socket: PfkeySocketId,
        audience: Audience,
        request: &Message,
        keep: &[ExtensionKind],
    ) {
        let mut reply = Message {
            extensions: Vec::new(),
            errno: 0,
            ..request.clone()
        };
        for kind in keep {
            let found = request
                .extensions
                .iter()
                .find(|extension| extension.kind() == *kind);
            reply.extensions.extend(found.cloned());
        }
        self.send(Some(socket), audience, &reply);
    }

    pub(super) fn take_request(
        &mut self,
        clock: Clock,
        socket: PfkeySocketId,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        self.counters.requests += 1;
        if bytes.len() < pfkey::message::HEADER_LEN {
            self.counters.requests_unreadable += 1;
            return;
        }
        let result = self.parse_and_dispatch(clock, socket, bytes, rng);
        if let Err(errno) = result {
            self.counters.requests_refused += 1;
            // The kernel echoes the whole request, keys and all, with the error in it.
            let mut echo = Zeroizing::new(bytes.to_vec());
            if let Some(byte) = echo.get_mut(ERRNO_OFFSET) {
                *byte = errno.0;
            }
            self.send_bytes(Some(socket), Audience::One, &echo);
        }
    }

    fn parse_and_dispatch(
        &mut self,
        clock: Clock,
        socket: PfkeySocketId,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Errno> {
        if bytes.len() > MAX_REQUEST {
            return Err(Errno::ENOBUFS);
        }
        let header = Message::parse_header(bytes, NUMBERING).map_err(|_| Errno::EINVAL)?;
        // What follows the header of X_PROMISC is a whole message, not an extension.
        if header.kind == MessageType::X_PROMISC && bytes.len() > pfkey::message::HEADER_LEN {
            let inner = bytes.get(pfkey::message::HEADER_LEN..).unwrap_or_default();
            Message::parse(inner, NUMBERING).map_err(|_| Errno::EINVAL)?;
            self.send_bytes(Some(socket), Audience::All, inner);
            return Ok(());
        }
        let message = Message::parse(bytes, NUMBERING).map_err(|_| Errno::EINVAL)?;
        if message.kind > LAST_REQUEST || message.duplicate().is_some() {
            return Err(Errno::EINVAL);
        }
        // `key_align` knows the extensions up to SADB_EXT_MAX only.
        if message
            .extensions
            .iter()
            .any(|e| matches!(e, Extension::Other { .. }))
        {
            return Err(Errno::EINVAL);
        }
        check_sa_type(&message)?;
        if let (Some(source), Some(destination)) = (message.source(), message.destination()) {
            check_pair(source, destination)?;
        }
        self.dispatch(clock, socket, &message, rng)
    }

    fn dispatch(
        &mut self,
        clock: Clock,
        socket: PfkeySocketId,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Errno> {
        match message.kind {
            MessageType::GETSPI => self.getspi(clock, socket, message, rng),
            MessageType::UPDATE => self.update(clock, socket, message, rng),
            MessageType::ADD => self.add(clock, socket, message, rng),
            MessageType::DELETE => self.delete(socket, message),
            MessageType::GET => self.get(socket, message),
            MessageType::ACQUIRE => self.acquire_request(clock.now, message),
            MessageType::REGISTER => self.register(socket, message),
            MessageType::FLUSH => self.flush(socket, message),
            MessageType::DUMP => self.dump(socket, message),
            MessageType::X_PROMISC => self.promiscuous(socket, message),
            MessageType::X_SPDADD | MessageType::X_SPDUPDATE | MessageType::X_SPDSETIDX => {
                self.spd_add(clock, socket, message)
            }
            MessageType::X_SPDDELETE => self.spd_delete(socket, message),
            MessageType::X_SPDDELETE2 => self.spd_delete_id(socket, message),
            MessageType::X_SPDGET => self.spd_get(socket, message),
            MessageType::X_SPDDUMP => self.spd_dump(socket, message),
            MessageType::X_SPDFLUSH => self.spd_flush(socket, message),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// REGISTER, RFC 2367 section 3.1.7.
    fn register(&mut self, socket: PfkeySocketId, message: &Message) -> Result<(), Errno> {
        let sa_type = message.sa_type;
        // Without an SA type only the algorithms are asked for.
        if sa_type != SaType::UNSPEC
            && let Some(listener) = self.sockets.listeners.get_mut(&socket)
        {
            if listener.registered.contains(&sa_type) {
                return Err(Errno::EEXIST);
            }
            listener.registered.push(sa_type);
        }
        let reply = Message {
            extensions: Vec::new(),
            errno: 0,
            ..message.clone()
        }
        .with(Extension::SupportedAuthentication(
            transform::AUTHENTICATION.to_vec(),
        ))
        .with(Extension::SupportedEncryption(
            transform::ENCRYPTION.to_vec(),
        ));
        self.send(Some(socket), Audience::Registered, &reply);
        Ok(())
    }

    /// X_PROMISC without a message inside: the SA type says on or off.
    fn promiscuous(&mut self, socket: PfkeySocketId, message: &Message) -> Result<(), Errno> {
        if let Some(listener) = self.sockets.listeners.get_mut(&socket) {
            listener.promiscuous = message.sa_type.0 == 1;
        }
        self.answer(socket, Audience::All, message, &[]);
        Ok(())
    }
}

/// Which SA types go with which requests.
fn check_sa_type(message: &Message) -> Result<(), Errno> {
    use MessageType as T;
    let SaType(number) = message.sa_type;
    match number {
        // The scope mask of SPDDUMP: any, global, ifnet, pcb.
        _ if message.kind == T::X_SPDDUMP => {
            if matches!(number, 0 | 1 | 2 | 4) {
                Ok(())
            } else {
                Err(Errno::EINVAL)
            }
        }
        0 => match message.kind {
            T::GETSPI | T::UPDATE | T::ADD | T::DELETE | T::GET | T::ACQUIRE | T::EXPIRE => {
                Err(Errno::EINVAL)
            }
            _ => Ok(()),
        },
        2 | 3 | 9 | 11 => match message.kind {
            T::X_SPDADD
            | T::X_SPDDELETE
            | T::X_SPDGET
            | T::X_SPDFLUSH
            | T::X_SPDSETIDX
            | T::X_SPDUPDATE
            | T::X_SPDDELETE2 => Err(Errno::EINVAL),
            _ => Ok(()),
        },
        // RSVP, OSPFv2, RIPv2, MIP.
        5..=8 => Err(Errno::EOPNOTSUPP),
        1 if message.kind == T::X_PROMISC => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// Source and destination have one protocol and one family.
fn check_pair(source: &Address, destination: &Address) -> Result<(), Errno> {
    let agree = source.protocol == destination.protocol
        && source.address.is_ipv4() == destination.address.is_ipv4();
    if agree { Ok(()) } else { Err(Errno::EINVAL) }
}

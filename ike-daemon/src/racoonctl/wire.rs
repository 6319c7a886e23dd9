//! `struct admin_com` (8 octets) and what follows it: admin.h, evt.h, handler.h and schedule.h of
//! ipsec-tools 0.8.
//!
//! ```text
//! admin_com:          len:u16 cmd:u16 errno:i16|version:u16|len_high:u16 proto:u16
//! admin_com_indexes:  prefs:u8 prefd:u8 ul_proto:u8 0:u8 0:u32 | src:sockaddr_storage | dst
//! admin_com_psk:      id_type:i32 0:u32 | id_len:u64 | key_len:u64 | id | key
//! ph1dump:            cookies:16 | status:i32 side:i32 | remote | local | version:u8 etype:u8 0:6
//!                     created:i64 | ph2cnt:i32 0:u32
//! evt_async:          type:u32 0:u32 | timestamp:i64 | src | dst | msgid:u32 0:u32
//! scheddump:          xtime:i64 id:i64 created:i64 tick:i64
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use zeroize::Zeroizing;

/// Octets of `admin_com`.
pub const HEADER: usize = 8;
/// Octets of a `sockaddr_storage`.
const STORAGE: usize = 128;
/// Octets of `admin_com_indexes`.
const INDEXES: usize = 8 + 2 * STORAGE;
/// Octets of `admin_com_psk` before the identity.
const PSK: usize = 24;
/// Octets of `ph1dump`.
pub const PH1DUMP: usize = 24 + 2 * STORAGE + 24;
/// Octets of `evt_async`.
pub const EVENT: usize = 16 + 2 * STORAGE + 8;
/// Octets of `scheddump`.
pub const SCHEDDUMP: usize = 32;
/// The longest login, `LOGINLEN`.
pub const MAX_LOGIN: usize = 31;
/// `ADMIN_FLAG_VERSION` in requests, `ADMIN_FLAG_LONG_REPLY` in answers.
const FLAG: u16 = 0x8000;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $number:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u16)]
        pub enum $name {
            $($(#[$inner])* $variant = $number,)*
        }

        impl $name {
            /// What `number` stands for.
            pub fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its number.
            pub fn number(self) -> u16 {
                self as u16
            }
        }
    )*};
}

numbers! {
    /// What is asked.
    Command {
        /// Read the configuration again.
        Reload = 0x0001,
        /// Timers.
        ShowSchedule = 0x0002,
        /// Events, as they come.
        ShowEvent = 0x0003,
        /// SAs.
        ShowSa = 0x0101,
        /// Delete all SAs of a protocol.
        FlushSa = 0x0102,
        /// Delete the phase 1 between two addresses, and what hangs on it.
        DeleteSa = 0x0201,
        /// Start.
        Establish = 0x0202,
        /// Start with a login and a password.
        EstablishPsk = 0x0203,
        /// Delete everything of a peer.
        DeleteAllTo = 0x0204,
        /// Delete everything of an XAuth user.
        LogoutUser = 0x0205,
        /// The peer's certificate.
        GetCert = 0x0206,
    }
    /// About which SAs.
    Protocol {
        /// AH.
        Ah = 0x0201,
        /// ESP.
        Esp = 0x0202,
        /// Phase 1.
        Isakmp = 0x01ff,
        /// AH and ESP.
        Ipsec = 0x02ff,
        /// racoon's own bookkeeping.
        Internal = 0x0301,
    }
    /// What happened.
    EventKind {
        /// The daemon ends.
        Quit = 0x0001,
        /// Phase 1 established.
        Phase1Up = 0x0100,
        /// Phase 1 deleted.
        Phase1Down = 0x0101,
        /// The peer does not answer.
        Phase1NoResponse = 0x0102,
        /// No proposal chosen.
        Phase1NoProposal = 0x0103,
        /// Authentication failed.
        Phase1AuthFailed = 0x0104,
        /// Dead peer detection found the peer dead.
        Phase1DpdTimeout = 0x0105,
        /// The peer has deleted it.
        Phase1PeerDeleted = 0x0106,
        /// Mode configuration is done, or none is needed.
        Phase1ModeCfg = 0x0107,
        /// XAuth succeeded.
        Phase1XauthSuccess = 0x0108,
        /// XAuth failed.
        Phase1XauthFailed = 0x0109,
        /// No phase 1 to negotiate phase 2 with.
        Phase2NoPhase1 = 0x0200,
        /// Phase 2 established.
        Phase2Up = 0x0201,
        /// Phase 2 deleted.
        Phase2Down = 0x0202,
        /// The peer does not answer.
        Phase2NoResponse = 0x0203,
    }
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Octets of the whole message.
    pub length: usize,
    /// The command's number, without flag.
    pub command: u16,
    /// In requests the version, 0 for none; in answers the errno.
    pub value: u16,
    /// The protocol's number.
    pub protocol: u16,
}

impl Header {
    /// The header of a request.
    pub fn parse_request(octets: [u8; HEADER]) -> Self {
        let [length, command, value, protocol] = halves(octets);
        Self {
            length: length.into(),
            command: command & !FLAG,
            value: if command & FLAG == 0 { 0 } else { value },
            protocol,
        }
    }

    /// The header of an answer.
    pub fn parse_answer(octets: [u8; HEADER]) -> Self {
        let [low, command, value, protocol] = halves(octets);
        let (high, errno) = match command & FLAG {
            0 => (0, value),
            _ => (usize::from(value), 0),
        };
        Self {
            length: high << 16 | usize::from(low),
            command: command & !FLAG,
            value: errno,
            protocol,
        }
    }
}

fn halves(octets: [u8; HEADER]) -> [u16; 4] {
    let [a, b, c, d, e, f, g, h] = octets;
    [[a, b], [c, d], [e, f], [g, h]].map(u16::from_ne_bytes)
}

/// A request with a version, ready to be sent; `None` when it is too long for its length field.
pub fn request(
    command: Command,
    protocol: Option<Protocol>,
    body: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let length = u16::try_from(HEADER + body.len()).ok()?;
    let mut out = Zeroizing::new(Vec::with_capacity(length.into()));
    let protocol = protocol.map_or(0, Protocol::number);
    for half in [length, command.number() | FLAG, 1, protocol] {
        out.extend_from_slice(&half.to_ne_bytes());
    }
    out.extend_from_slice(body);
    Some(out)
}

/// An answer to a request of `header`. `errno` 0 is success.
pub fn answer(header: &Header, errno: u16, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = HEADER + body.len();
    // 4 GiB are never answered: the kernel has no such dump.
    let (low, high) = (length & 0xffff, length >> 16);
    let half = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let (command, value) = match (high, errno) {
        (0, errno) => (header.command, errno),
        (high, 0) => (header.command | FLAG, half(high)),
        (_, errno) => (header.command, errno),
    };
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    for number in [half(low), command, value, header.protocol] {
        out.extend_from_slice(&number.to_ne_bytes());
    }
    out.extend_from_slice(body);
    out
}

/// Both ends, as `saopts` name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexes {
    /// Prefix length of the source.
    pub source_prefix: u8,
    /// Prefix length of the destination.
    pub destination_prefix: u8,
    /// Upper-layer protocol, 0 for any.
    pub protocol: u8,
    /// Ours; `None` for an address family that nobody knows.
    pub source: Option<SocketAddr>,
    /// The peer's.
    pub destination: Option<SocketAddr>,
}

impl Indexes {
    /// Reads one, and what is behind it.
    pub fn parse(body: &[u8]) -> Option<(Self, &[u8])> {
        let (own, rest) = body.split_at_checked(INDEXES)?;
        let (head, addresses) = own.split_at_checked(8)?;
        let [source_prefix, destination_prefix, protocol, ..] = *head else {
            return None;
        };
        let (source, destination) = addresses.split_at_checked(STORAGE)?;
        let indexes = Self {
            source_prefix,
            destination_prefix,
            protocol,
            source: parse_sockaddr(source),
            destination: parse_sockaddr(destination),
        };
        Some((indexes, rest))
    }

    /// Appends it.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[
            self.source_prefix,
            self.destination_prefix,
            self.protocol,
            0,
        ]);
        out.extend_from_slice(&[0; 4]);
        emit_sockaddr(self.source, out);
        emit_sockaddr(self.destination, out);
    }
}

/// The login and password behind the indexes of [`Command::EstablishPsk`].
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Who.
    pub user: String,
    /// The password.
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish()
    }
}

impl Login {
    /// Reads one; both texts end with a NUL.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let (head, texts) = body.split_at_checked(PSK)?;
        let length = |at: usize| {
            let octets = head.get(at..at + 8)?.try_into().ok()?;
            usize::try_from(u64::from_ne_bytes(octets)).ok()
        };
        let (user, rest) = texts.split_at_checked(length(8)?)?;
        let (password, _) = rest.split_at_checked(length(16)?)?;
        Some(Self {
            user: text(user)?,
            password: Zeroizing::new(text(password)?),
        })
    }

    /// Appends it.
    pub fn emit(&self, out: &mut Vec<u8>) {
        /// `IDTYPE_USERFQDN`
        const USER_FQDN: u32 = 2;
        let length = |text: &str| (text.len() as u64 + 1).to_ne_bytes();
        out.extend_from_slice(&USER_FQDN.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&length(&self.user));
        out.extend_from_slice(&length(&self.password));
        for text in [&self.user, &*self.password] {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
    }
}

/// A text up to its NUL, if it has one.
pub fn text(octets: &[u8]) -> Option<String> {
    let end = octets.iter().position(|octet| *octet == 0);
    let octets = octets.get(..end.unwrap_or(octets.len()))?;
    std::str::from_utf8(octets).ok().map(str::to_owned)
}

/// One phase 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ph1Dump {
    /// Initiator's and responder's cookie.
    pub cookies: [u8; 16],
    /// `PHASE1ST_*`.
    pub status: i32,
    /// Whether we began.
    pub initiator: bool,
    /// The peer.
    pub remote: Option<SocketAddr>,
    /// We.
    pub local: Option<SocketAddr>,
    /// ISAKMP's version.
    pub version: u8,
    /// ISAKMP's exchange type.
    pub exchange: u8,
    /// Seconds since 1970; 0 while it is not established.
    pub created: i64,
    /// Phase 2s under it.
    pub phase2s: i32,
}

impl Ph1Dump {
    /// Appends it.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.cookies);
        out.extend_from_slice(&self.status.to_ne_bytes());
        out.extend_from_slice(&i32::from(!self.initiator).to_ne_bytes());
        emit_sockaddr(self.remote, out);
        emit_sockaddr(self.local, out);
        out.extend_from_slice(&[self.version, self.exchange, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&self.created.to_ne_bytes());
        out.extend_from_slice(&self.phase2s.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
    }

    /// Reads one.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader(octets);
        let cookies = reader.take()?;
        let status = i32::from_ne_bytes(reader.take()?);
        let initiator = i32::from_ne_bytes(reader.take()?) == 0;
        let remote = parse_sockaddr(&reader.take::<STORAGE>()?);
        let local = parse_sockaddr(&reader.take::<STORAGE>()?);
        let [version, exchange, ..] = reader.take::<8>()?;
        Some(Self {
            cookies,
            status,
            initiator,
            remote,
            local,
            version,
            exchange,
            created: i64::from_ne_bytes(reader.take()?),
            phase2s: i32::from_ne_bytes(reader.take()?),
        })
    }
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsyncEvent {
    /// Its number: an [`EventKind`], unless a newer racoon sent it.
    pub kind: u32,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// We.
    pub local: Option<SocketAddr>,
    /// The peer.
    pub remote: Option<SocketAddr>,
    /// Message id of the phase 2.
    pub message_id: u32,
}

impl AsyncEvent {
    /// Appends it.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.timestamp.to_ne_bytes());
        emit_sockaddr(self.local, out);
        emit_sockaddr(self.remote, out);
        out.extend_from_slice(&self.message_id.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
    }

    /// Reads one, and what is behind it.
    pub fn parse(octets: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader(octets);
        let kind = u32::from_ne_bytes(reader.take()?);
        reader.take::<4>()?;
        let event = Self {
            kind,
            timestamp: i64::from_ne_bytes(reader.take()?),
            local: parse_sockaddr(&reader.take::<STORAGE>()?),
            remote: parse_sockaddr(&reader.take::<STORAGE>()?),
            message_id: u32::from_ne_bytes(reader.take()?),
        };
        reader.take::<4>()?;
        Some((event, reader.0))
    }
}

/// One timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedDump {
    /// When, in seconds of the monotonic clock.
    pub due: i64,
    /// Its number.
    pub id: i64,
    /// When it was set, in seconds since 1970.
    pub created: i64,
    /// For how many seconds.
    pub tick: i64,
}

impl SchedDump {
    /// Appends it.
    pub fn emit(&self, out: &mut Vec<u8>) {
        for number in [self.due, self.id, self.created, self.tick] {
            out.extend_from_slice(&number.to_ne_bytes());
        }
    }

    /// Reads one.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader(octets);
        let mut next = || reader.take().map(i64::from_ne_bytes);
        Some(Self {
            due: next()?,
            id: next()?,
            created: next()?,
            tick: next()?,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
}

const LINUX: bool = cfg!(target_os = "linux");
/// `AF_INET`, everywhere.
const INET: u8 = 2;
/// `AF_INET6`.
const INET6: u8 = if LINUX { 10 } else { 28 };

/// A `sockaddr_storage`; all zero for nobody.
fn emit_sockaddr(address: Option<SocketAddr>, out: &mut Vec<u8>) {
    let end = out.len() + STORAGE;
    if let Some(address) = address {
        let (length, family) = match address {
            SocketAddr::V4(_) => (16, INET),
            SocketAddr::V6(_) => (28, INET6),
        };
        match LINUX {
            true => out.extend_from_slice(&u16::from(family).to_ne_bytes()),
            false => out.extend_from_slice(&[length, family]),
        }
        out.extend_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => out.extend_from_slice(&v4.ip().octets()),
            SocketAddr::V6(v6) => {
                out.extend_from_slice(&v6.flowinfo().to_be_bytes());
                out.extend_from_slice(&v6.ip().octets());
                out.extend_from_slice(&v6.scope_id().to_ne_bytes());
            }
        }
    }
    out.resize(end, 0);
}

fn parse_sockaddr(octets: &[u8]) -> Option<SocketAddr> {
    let mut reader = Reader(octets);
    let [first, second] = reader.take()?;
    let family = match LINUX {
        true => u8::try_from(u16::from_ne_bytes([first, second])).ok()?,
        false => second,
    };
    let port = u16::from_be_bytes(reader.take()?);
    let ip = match family {
        INET => IpAddr::from(Ipv4Addr::from(reader.take::<4>()?)),
        INET6 => {
            reader.take::<4>()?;
            IpAddr::from(Ipv6Addr::from(reader.take::<16>()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

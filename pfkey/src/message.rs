//! `struct sadb_msg`, 16 bytes, and the extensions after it: RFC 2367 section 2.3.
//!
//! ```text
//! version:u8 type:u8 errno:u8 satype:u8 | len:u16 (8-byte units) reserved:u16 | seq:u32 | pid:u32
//! ```

use zeroize::Zeroizing;

use crate::error::WireError;
use crate::ext::{
    Address, Extension, ExtensionKind, Key, Lifetime, Policy, Proposal, Sa, Sa2, SpiRange,
};
use crate::numbering::{NEW_MAPPING, Numbering};
use crate::wire::{Reader, Writer};

/// Bytes of `sadb_msg`.
pub const HEADER_LEN: usize = 16;
/// `PF_KEY_V2`.
pub const VERSION: u8 = 2;

/// `sadb_msg_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MessageType(pub u8);

macro_rules! message_types {
    ($($(#[$doc:meta])* $name:ident = $number:expr;)*) => {
        impl MessageType {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The name without `SADB_`.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

message_types! {
    /// Reserve an SPI.
    GETSPI = 1;
    /// Complete a larval SA or change a mature one.
    UPDATE = 2;
    /// Add an SA.
    ADD = 3;
    /// Delete SAs.
    DELETE = 4;
    /// Show one SA.
    GET = 5;
    /// The kernel wants an SA.
    ACQUIRE = 6;
    /// Ask for ACQUIRE and EXPIRE, learn the algorithms.
    REGISTER = 7;
    /// A lifetime is over.
    EXPIRE = 8;
    /// Delete all SAs.
    FLUSH = 9;
    /// Show all SAs.
    DUMP = 10;
    /// Receive everybody's messages.
    X_PROMISC = 11;
    /// Unused.
    X_PCHANGE = 12;
    /// Add or replace a policy.
    X_SPDUPDATE = 13;
    /// Add a policy.
    X_SPDADD = 14;
    /// Delete a policy by its selector.
    X_SPDDELETE = 15;
    /// Show a policy.
    X_SPDGET = 16;
    /// The kernel wants a policy.
    X_SPDACQUIRE = 17;
    /// Show all policies.
    X_SPDDUMP = 18;
    /// Delete all policies.
    X_SPDFLUSH = 19;
    /// Unused.
    X_SPDSETIDX = 20;
    /// A policy's lifetime is over.
    X_SPDEXPIRE = 21;
    /// Delete a policy by its number.
    X_SPDDELETE2 = 22;
    /// A peer's authenticated packets come from another address or port. Not in FreeBSD: 240 from
    /// softkernel, `SADB_X_NAT_T_NEW_MAPPING` (23) on Linux, the same contents: SA, SA2 (reqid;
    /// softkernel only), ADDRESS_SRC and NAT_T_SPORT = the peer as the SA has it, ADDRESS_DST and
    /// NAT_T_DPORT = the peer as seen now.
    X_NEW_MAPPING = NEW_MAPPING;
}

/// `sadb_msg_satype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SaType(pub u8);

impl SaType {
    /// All, or none.
    pub const UNSPEC: Self = Self(0);
    /// Authentication Header.
    pub const AH: Self = Self(2);
    /// Encapsulating Security Payload.
    pub const ESP: Self = Self(3);
    /// IP payload compression.
    pub const IPCOMP: Self = Self(9);
    /// TCP-MD5.
    pub const TCP_SIGNATURE: Self = Self(11);

    /// The word setkey(8) prints.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNSPEC => "unspec",
            Self::AH => "ah",
            Self::ESP => "esp",
            Self::IPCOMP => "ipcomp",
            Self::TCP_SIGNATURE => "tcp",
            _ => return None,
        })
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// What it asks or says.
    pub kind: MessageType,
    /// Error of the kernel in errno(2) numbers of the host, 0 for none.
    pub errno: u8,
    /// Kind of SA; scope mask in SPDDUMP.
    pub sa_type: SaType,
    /// `sadb_msg_reserved`: the reference count in a DUMP.
    pub reserved: u16,
    /// Sequence number of the requester.
    pub sequence: u32,
    /// Process id of the requester.
    pub pid: u32,
    /// In wire order.
    pub extensions: Vec<Extension>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($type:ty);)*) => {
        impl Message {
            $($(#[$doc])* pub fn $name(&self) -> Option<&$type> {
                self.extensions.iter().find_map(|extension| match extension {
                    Extension::$variant(value) => Some(value),
                    _ => None,
                })
            })*
        }
    };
}

getters! {
    /// The SA.
    sa: Sa(Sa);
    /// Mode and request id.
    sa2: Sa2(Sa2);
    /// What the SA has used.
    lifetime_current: LifetimeCurrent(Lifetime);
    /// When the SA ends.
    lifetime_hard: LifetimeHard(Lifetime);
    /// When the SA is to be renewed.
    lifetime_soft: LifetimeSoft(Lifetime);
    /// Source.
    source: AddressSource(Address);
    /// Destination.
    destination: AddressDestination(Address);
    /// Authentication key.
    key_authentication: KeyAuthentication(Key);
    /// Encryption key.
    key_encryption: KeyEncryption(Key);
    /// Proposal of an ACQUIRE.
    proposal: Proposal(Proposal);
    /// SPIs GETSPI may choose from.
    spi_range: SpiRange(SpiRange);
    /// Policy.
    policy: Policy(Policy);
    /// Kind of UDP encapsulation.
    nat_t_type: NatTType(u8);
    /// UDP source port.
    nat_t_source_port: NatTSourcePort(u16);
    /// UDP destination port.
    nat_t_destination_port: NatTDestinationPort(u16);
    /// NAT-OA of the initiator.
    nat_t_original_initiator: NatTOriginalInitiator(Address);
    /// NAT-OA of the responder.
    nat_t_original_responder: NatTOriginalResponder(Address);
    /// Replay window in packets.
    sa_replay: SaReplay(u32);
    /// Source the SA moves to.
    new_source: NewAddressSource(Address);
    /// Destination the SA moves to.
    new_destination: NewAddressDestination(Address);
}

impl Message {
    /// A message without extensions.
    pub fn new(kind: MessageType, sa_type: SaType, sequence: u32, pid: u32) -> Self {
        Self {
            kind,
            sa_type,
            sequence,
            pid,
            ..Self::default()
        }
    }

    /// Appends an extension.
    #[must_use]
    pub fn with(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Appends an extension if there is one.
    #[must_use]
    pub fn with_some(mut self, extension: Option<Extension>) -> Self {
        self.extensions.extend(extension);
        self
    }

    /// Whether an extension of this kind is there.
    pub fn has(&self, kind: ExtensionKind) -> bool {
        self.extensions
            .iter()
            .any(|extension| extension.kind() == kind)
    }

    /// The kind of the first extension that occurs twice, which RFC 2367 forbids.
    pub fn duplicate(&self) -> Option<ExtensionKind> {
        self.extensions
            .iter()
            .enumerate()
            .find_map(|(i, extension)| {
                let kind = extension.kind();
                self.extensions
                    .iter()
                    .take(i)
                    .any(|e| e.kind() == kind)
                    .then_some(kind)
            })
    }

    /// Header only, ignoring what follows; for answering a message that cannot be parsed.
    pub fn parse_header(bytes: &[u8], numbering: Numbering) -> Result<Self, WireError> {
        Self::header(&mut Reader::new(bytes), numbering)
            .map(|(message, _)| message)
            .ok_or(WireError::Short(bytes.len()))
    }

    /// Reads one whole message.
    ///
    /// # Errors
    /// Any [`WireError`]; unknown extensions and numbers are none.
    pub fn parse(bytes: &[u8], numbering: Numbering) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let (mut message, said) =
            Self::header(&mut reader, numbering).ok_or(WireError::Short(bytes.len()))?;
        match bytes.first() {
            Some(&VERSION) => {}
            version => return Err(WireError::Version(version.copied().unwrap_or_default())),
        }
        if said != bytes.len() {
            return Err(WireError::Length {
                said,
                received: bytes.len(),
            });
        }
        while !reader.rest().is_empty() {
            message
                .extensions
                .push(Extension::parse(&mut reader, numbering)?);
        }
        Ok(message)
    }

    fn header(reader: &mut Reader<'_>, numbering: Numbering) -> Option<(Self, usize)> {
        reader.skip(1)?;
        let kind = MessageType(numbering.message_from_wire(reader.u8()?));
        let errno = reader.u8()?;
        let sa_type = SaType(reader.u8()?);
        let length = usize::from(reader.u16()?) * 8;
        let reserved = reader.u16()?;
        let (sequence, pid) = (reader.u32()?, reader.u32()?);
        let extensions = Vec::new();
        Some((
            Self {
                kind,
                errno,
                sa_type,
                reserved,
                sequence,
                pid,
                extensions,
            },
            length,
        ))
    }

    /// The bytes of the message. They may hold keys and are wiped on drop. Extensions that
    /// `numbering` lacks are left out.
    pub fn emit(&self, numbering: Numbering) -> Zeroizing<Vec<u8>> {
        let extensions: usize = self.extensions.iter().map(|e| e.wire_len(numbering)).sum();
        let length = HEADER_LEN + extensions;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        let mut out = Writer::new(&mut bytes);
        out.u8(VERSION)
            .u8(numbering.message_to_wire(self.kind.0))
            .u8(self.errno)
            .u8(self.sa_type.0)
            .u16(u16::try_from(length / 8).unwrap_or(u16::MAX))
            .u16(self.reserved)
            .u32(self.sequence)
            .u32(self.pid);
        for extension in &self.extensions {
            extension.emit(numbering, &mut out);
        }
        bytes
    }
}

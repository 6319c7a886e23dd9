//! Extensions of a PF_KEYv2 message, `struct sadb_ext` (RFC 2367 section 2.3.1): length in 8-byte
//! units, type, body, zero padding. One file per family.

mod address;
mod identity;
mod key;
mod lifetime;
mod nat_t;
mod policy;
mod proposal;
mod replay;
mod sa;
mod sa2;
mod spirange;
mod supported;

use zeroize::Zeroizing;

pub use address::Address;
pub use identity::Identity;
pub use key::Key;
pub use lifetime::Lifetime;
pub use nat_t::UDP_ENCAP_ESPINUDP;
pub use policy::{
    Direction, IPSEC_MANUAL_REQID_MAX, Level, Policy, PolicyRequest, PolicyType, SCOPE_GLOBAL,
    SCOPE_IFNET, SCOPE_PCB,
};
pub use proposal::{Combination, Proposal};
pub use sa::{SAFLAGS_ESN, Sa, SaState};
pub use sa2::{Mode, Sa2};
pub use spirange::SpiRange;
pub use supported::Algorithm;

use crate::error::WireError;
use crate::numbering::Numbering;
use crate::wire::{Reader, Writer, align8};

/// Bytes of `sadb_ext_len` and `sadb_ext_type`.
const HEADER: usize = 4;

/// Which extension it is, independent of anybody's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtensionKind {
    /// `SADB_EXT_SA`
    Sa,
    /// `SADB_EXT_LIFETIME_CURRENT`
    LifetimeCurrent,
    /// `SADB_EXT_LIFETIME_HARD`
    LifetimeHard,
    /// `SADB_EXT_LIFETIME_SOFT`
    LifetimeSoft,
    /// `SADB_EXT_ADDRESS_SRC`
    AddressSource,
    /// `SADB_EXT_ADDRESS_DST`
    AddressDestination,
    /// `SADB_EXT_ADDRESS_PROXY`
    AddressProxy,
    /// `SADB_EXT_KEY_AUTH`
    KeyAuthentication,
    /// `SADB_EXT_KEY_ENCRYPT`
    KeyEncryption,
    /// `SADB_EXT_IDENTITY_SRC`
    IdentitySource,
    /// `SADB_EXT_IDENTITY_DST`
    IdentityDestination,
    /// `SADB_EXT_PROPOSAL`
    Proposal,
    /// `SADB_EXT_SUPPORTED_AUTH`
    SupportedAuthentication,
    /// `SADB_EXT_SUPPORTED_ENCRYPT`
    SupportedEncryption,
    /// `SADB_EXT_SPIRANGE`
    SpiRange,
    /// `SADB_X_EXT_POLICY`
    Policy,
    /// `SADB_X_EXT_SA2`
    Sa2,
    /// `SADB_X_EXT_NAT_T_TYPE`
    NatTType,
    /// `SADB_X_EXT_NAT_T_SPORT`
    NatTSourcePort,
    /// `SADB_X_EXT_NAT_T_DPORT`
    NatTDestinationPort,
    /// `SADB_X_EXT_NAT_T_OAI` (Linux: `NAT_T_OA`)
    NatTOriginalInitiator,
    /// `SADB_X_EXT_NAT_T_OAR`
    NatTOriginalResponder,
    /// `SADB_X_EXT_NAT_T_FRAG`
    NatTFragment,
    /// `SADB_X_EXT_SA_REPLAY`
    SaReplay,
    /// `SADB_X_EXT_NEW_ADDRESS_SRC`
    NewAddressSource,
    /// `SADB_X_EXT_NEW_ADDRESS_DST`
    NewAddressDestination,
    /// A number nobody here knows.
    Other(u16),
}

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// The SA itself: SPI, state, algorithms.
    Sa(Sa),
    /// What an SA has used up so far.
    LifetimeCurrent(Lifetime),
    /// When an SA ends.
    LifetimeHard(Lifetime),
    /// When an SA is to be renewed.
    LifetimeSoft(Lifetime),
    /// Source address or selector.
    AddressSource(Address),
    /// Destination address or selector.
    AddressDestination(Address),
    /// Proxy address (unused by the kernels).
    AddressProxy(Address),
    /// Authentication key.
    KeyAuthentication(Key),
    /// Encryption key.
    KeyEncryption(Key),
    /// Source identity.
    IdentitySource(Identity),
    /// Destination identity.
    IdentityDestination(Identity),
    /// What an ACQUIRE asks for.
    Proposal(Proposal),
    /// Authentication algorithms the kernel offers.
    SupportedAuthentication(Vec<Algorithm>),
    /// Encryption algorithms the kernel offers.
    SupportedEncryption(Vec<Algorithm>),
    /// Range GETSPI may choose from.
    SpiRange(SpiRange),
    /// Security policy.
    Policy(Policy),
    /// Mode and request id.
    Sa2(Sa2),
    /// Kind of UDP encapsulation, [`UDP_ENCAP_ESPINUDP`].
    NatTType(u8),
    /// UDP source port of encapsulated packets.
    NatTSourcePort(u16),
    /// UDP destination port of encapsulated packets.
    NatTDestinationPort(u16),
    /// Original address of the initiator (RFC 3947 NAT-OA).
    NatTOriginalInitiator(Address),
    /// Original address of the responder.
    NatTOriginalResponder(Address),
    /// Fragment size; accepted and ignored by FreeBSD.
    NatTFragment(u16),
    /// Replay window in packets.
    SaReplay(u32),
    /// Source address an SA moves to.
    NewAddressSource(Address),
    /// Destination address an SA moves to.
    NewAddressDestination(Address),
    /// Anything else: type and body with its padding.
    Other {
        /// `sadb_ext_type`.
        number: u16,
        /// Everything after length and type.
        body: Zeroizing<Vec<u8>>,
    },
}

impl Extension {
    /// Which extension this is.
    pub const fn kind(&self) -> ExtensionKind {
        use ExtensionKind as K;
        match self {
            Self::Sa(_) => K::Sa,
            Self::LifetimeCurrent(_) => K::LifetimeCurrent,
            Self::LifetimeHard(_) => K::LifetimeHard,
            Self::LifetimeSoft(_) => K::LifetimeSoft,
            Self::AddressSource(_) => K::AddressSource,
            Self::AddressDestination(_) => K::AddressDestination,
            Self::AddressProxy(_) => K::AddressProxy,
            Self::KeyAuthentication(_) => K::KeyAuthentication,
            Self::KeyEncryption(_) => K::KeyEncryption,
            Self::IdentitySource(_) => K::IdentitySource,
            Self::IdentityDestination(_) => K::IdentityDestination,
            Self::Proposal(_) => K::Proposal,
            Self::SupportedAuthentication(_) => K::SupportedAuthentication,
            Self::SupportedEncryption(_) => K::SupportedEncryption,
            Self::SpiRange(_) => K::SpiRange,
            Self::Policy(_) => K::Policy,
            Self::Sa2(_) => K::Sa2,
            Self::NatTType(_) => K::NatTType,
            Self::NatTSourcePort(_) => K::NatTSourcePort,
            Self::NatTDestinationPort(_) => K::NatTDestinationPort,
            Self::NatTOriginalInitiator(_) => K::NatTOriginalInitiator,
            Self::NatTOriginalResponder(_) => K::NatTOriginalResponder,
            Self::NatTFragment(_) => K::NatTFragment,
            Self::SaReplay(_) => K::SaReplay,
            Self::NewAddressSource(_) => K::NewAddressSource,
            Self::NewAddressDestination(_) => K::NewAddressDestination,
            Self::Other { number, .. } => K::Other(*number),
        }
    }

    /// Takes one extension off the front of `reader`.
    pub(crate) fn parse(reader: &mut Reader<'_>, numbering: Numbering) -> Result<Self, WireError> {
        let mut ahead = reader.clone();
        let (Some(units), Some(number)) = (ahead.u16(), ahead.u16()) else {
            return Err(WireError::ExtensionLength { number: 0 });
        };
        let whole = reader
            .bytes(usize::from(units) * 8)
            .filter(|whole| !whole.is_empty())
            .ok_or(WireError::ExtensionLength { number })?;
        let mut body = Reader::new(whole.get(HEADER..).unwrap_or_default());
        Self::parse_body(number, &mut body, numbering).ok_or(WireError::Malformed { number })
    }

    fn parse_body(number: u16, body: &mut Reader<'_>, numbering: Numbering) -> Option<Self> {
        use ExtensionKind as K;
        let Some(kind) = numbering.kind(number) else {
            return Some(Self::Other {
                number,
                body: Zeroizing::new(body.rest().to_vec()),
            });
        };
        Some(match kind {
            K::Sa => Self::Sa(Sa::parse(body)?),
            K::LifetimeCurrent => Self::LifetimeCurrent(Lifetime::parse(body)?),
            K::LifetimeHard => Self::LifetimeHard(Lifetime::parse(body)?),
            K::LifetimeSoft => Self::LifetimeSoft(Lifetime::parse(body)?),
            K::AddressSource => Self::AddressSource(Address::parse(body, numbering)?),
            K::AddressDestination => Self::AddressDestination(Address::parse(body, numbering)?),
            K::AddressProxy => Self::AddressProxy(Address::parse(body, numbering)?),
            K::KeyAuthentication => Self::KeyAuthentication(Key::parse(body)?),
            K::KeyEncryption => Self::KeyEncryption(Key::parse(body)?),
            K::IdentitySource => Self::IdentitySource(Identity::parse(body)?),
            K::IdentityDestination => Self::IdentityDestination(Identity::parse(body)?),
            K::Proposal => Self::Proposal(Proposal::parse(body)?),
            K::SupportedAuthentication => Self::SupportedAuthentication(supported::parse(body)?),
            K::SupportedEncryption => Self::SupportedEncryption(supported::parse(body)?),
            K::SpiRange => Self::SpiRange(SpiRange::parse(body)?),
            K::Policy => Self::Policy(Policy::parse(body, numbering)?),
            K::Sa2 => Self::Sa2(Sa2::parse(body)?),
            K::NatTType => Self::NatTType(nat_t::parse_type(body)?),
            K::NatTSourcePort => Self::NatTSourcePort(nat_t::parse_port(body)?),
            K::NatTDestinationPort => Self::NatTDestinationPort(nat_t::parse_port(body)?),
            K::NatTOriginalInitiator => {
                Self::NatTOriginalInitiator(Address::parse(body, numbering)?)
            }
            K::NatTOriginalResponder => {
                Self::NatTOriginalResponder(Address::parse(body, numbering)?)
            }
            K::NatTFragment => Self::NatTFragment(nat_t::parse_fragment(body)?),
            K::SaReplay => Self::SaReplay(replay::parse(body)?),
            K::NewAddressSource => Self::NewAddressSource(Address::parse(body, numbering)?),
            K::NewAddressDestination => {
                Self::NewAddressDestination(Address::parse(body, numbering)?)
            }
            K::Other(number) => Self::Other {
                number,
                body: Zeroizing::new(body.rest().to_vec()),
            },
        })
    }

    /// Bytes on the wire with header and padding; 0 when `numbering` lacks this extension.
    pub(crate) fn wire_len(&self, numbering: Numbering) -> usize {
        if numbering.number(self.kind()).is_none() {
            return 0;
        }
        align8(HEADER + self.body_len(numbering))
    }

    fn body_len(&self, numbering: Numbering) -> usize {
        match self {
            Self::Sa(_) => Sa::BODY,
            Self::LifetimeCurrent(_) | Self::LifetimeHard(_) | Self::LifetimeSoft(_) => {
                Lifetime::BODY
            }
            Self::AddressSource(a)
            | Self::AddressDestination(a)
            | Self::AddressProxy(a)
            | Self::NatTOriginalInitiator(a)
            | Self::NatTOriginalResponder(a)
            | Self::NewAddressSource(a)
            | Self::NewAddressDestination(a) => a.body_len(),
            Self::KeyAuthentication(k) | Self::KeyEncryption(k) => k.body_len(),
            Self::IdentitySource(i) | Self::IdentityDestination(i) => i.body_len(),
            Self::Proposal(p) => p.body_len(),
            Self::SupportedAuthentication(list) | Self::SupportedEncryption(list) => {
                supported::body_len(list)
            }
            Self::SpiRange(_) => SpiRange::BODY,
            Self::Policy(p) => p.body_len(numbering),
            Self::Sa2(_) => Sa2::BODY,
            Self::NatTType(_)
            | Self::NatTSourcePort(_)
            | Self::NatTDestinationPort(_)
            | Self::NatTFragment(_) => nat_t::BODY,
            Self::SaReplay(_) => replay::BODY,
            Self::Other { body, .. } => body.len(),
        }
    }

    /// Appends header, body and padding; nothing when `numbering` lacks this extension.
    pub(crate) fn emit(&self, numbering: Numbering, out: &mut Writer<'_>) {
        let Some(number) = numbering.number(self.kind()) else {
            return;
        };
        let whole = self.wire_len(numbering);
        out.u16(u16::try_from(whole / 8).unwrap_or(u16::MAX))
            .u16(number);
        match self {
            Self::Sa(sa) => sa.emit(out),
            Self::LifetimeCurrent(l) | Self::LifetimeHard(l) | Self::LifetimeSoft(l) => l.emit(out),
            Self::AddressSource(a)
            | Self::AddressDestination(a)
            | Self::AddressProxy(a)
            | Self::NatTOriginalInitiator(a)
            | Self::NatTOriginalResponder(a)
            | Self::NewAddressSource(a)
            | Self::NewAddressDestination(a) => a.emit(numbering, out),
            Self::KeyAuthentication(k) | Self::KeyEncryption(k) => k.emit(out),
            Self::IdentitySource(i) | Self::IdentityDestination(i) => i.emit(out),
            Self::Proposal(p) => p.emit(out),
            Self::SupportedAuthentication(list) | Self::SupportedEncryption(list) => {
                supported::emit(list, out);
            }
            Self::SpiRange(range) => range.emit(out),
            Self::Policy(policy) => policy.emit(numbering, out),
            Self::Sa2(sa2) => sa2.emit(out),
            Self::NatTType(kind) => nat_t::emit_type(*kind, out),
            Self::NatTSourcePort(port) | Self::NatTDestinationPort(port) => {
                nat_t::emit_port(*port, out);
            }
            Self::NatTFragment(size) => nat_t::emit_fragment(*size, out),
            Self::SaReplay(window) => replay::emit(*window, out),
            Self::Other { body, .. } => {
                out.bytes(body);
            }
        }
        out.zeros(whole - HEADER - self.body_len(numbering));
    }
}

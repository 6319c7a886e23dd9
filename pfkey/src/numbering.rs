//! Where FreeBSD 14's `net/pfkeyv2.h` and Linux's `linux/pfkeyv2.h` differ, and nothing else.
//!
//! | | FreeBSD 14 | Linux |
//! |---|---|---|
//! | extensions from 23 on | NAT_T_OAI 23, OAR 24, FRAG 25, SA_REPLAY 26, NEW_ADDRESS 27/28 | NAT_T_OA 23, SEC_CTX 24, KMADDRESS 25, FILTER 26 |
//! | `sadb_x_policy` byte 7 | scope | reserved |
//! | `sadb_x_ipsecrequest` | 8 bytes, reqid u16 @6 | 16 bytes, reqid u32 @8 |
//! | sockaddr | `len:u8 family:u8` | `family:u16` |
//! | AF_INET6 | 28 | 10 |
//! | PF_KEY | 27 | 15 |
//! | mapping change message | none; 240 from softkernel | SADB_X_NAT_T_NEW_MAPPING 23 |
//! | replay window in `sadb_sa` | bytes | packets |

use crate::ext::ExtensionKind;

/// Whose numbers and layouts a PF_KEY socket uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// FreeBSD 14, and softkernel everywhere.
    FreeBsd,
    /// Linux.
    Linux,
}

impl Numbering {
    /// The numbering of the operating system's own PF_KEY socket.
    pub const fn system() -> Self {
        if cfg!(target_os = "linux") {
            Self::Linux
        } else {
            Self::FreeBsd
        }
    }

    /// `PF_KEY` for socket(2).
    pub const fn domain(self) -> i32 {
        match self {
            Self::FreeBsd => 27,
            Self::Linux => 15,
        }
    }

    pub(crate) const fn family_inet(self) -> u8 {
        2
    }

    pub(crate) const fn family_inet6(self) -> u8 {
        match self {
            Self::FreeBsd => 28,
            Self::Linux => 10,
        }
    }

    pub(crate) const fn sockaddr_has_length(self) -> bool {
        matches!(self, Self::FreeBsd)
    }

    /// Bytes of `sadb_x_ipsecrequest` before its addresses.
    pub(crate) const fn ipsecrequest_len(self) -> usize {
        match self {
            Self::FreeBsd => 8,
            Self::Linux => 16,
        }
    }

    /// `sadb_sa_replay` for a window of `packets`.
    pub(crate) fn replay_octet(self, packets: u32) -> u8 {
        let units = match self {
            Self::FreeBsd => packets.div_ceil(8),
            Self::Linux => packets.min(32),
        };
        u8::try_from(units).unwrap_or(u8::MAX)
    }

    /// Window in packets that `sadb_sa_replay` stands for.
    pub(crate) const fn replay_packets(self, octet: u8) -> u32 {
        match self {
            Self::FreeBsd => octet as u32 * 8,
            Self::Linux => octet as u32,
        }
    }

    /// Message number on the wire for one of ours.
    pub(crate) const fn message_to_wire(self, number: u8) -> u8 {
        match (self, number) {
            (Self::Linux, NEW_MAPPING) => LINUX_NEW_MAPPING,
            _ => number,
        }
    }

    /// Ours for a message number on the wire.
    pub(crate) const fn message_from_wire(self, number: u8) -> u8 {
        match (self, number) {
            (Self::Linux, LINUX_NEW_MAPPING) => NEW_MAPPING,
            _ => number,
        }
    }

    /// What extension `number` is; `None` if this system has no such extension.
    pub const fn kind(self, number: u16) -> Option<ExtensionKind> {
        use ExtensionKind as K;
        Some(match number {
            1 => K::Sa,
            2 => K::LifetimeCurrent,
            3 => K::LifetimeHard,
            4 => K::LifetimeSoft,
            5 => K::AddressSource,
            6 => K::AddressDestination,
            7 => K::AddressProxy,
            8 => K::KeyAuthentication,
            9 => K::KeyEncryption,
            10 => K::IdentitySource,
            11 => K::IdentityDestination,
            13 => K::Proposal,
            14 => K::SupportedAuthentication,
            15 => K::SupportedEncryption,
            16 => K::SpiRange,
            18 => K::Policy,
            19 => K::Sa2,
            20 => K::NatTType,
            21 => K::NatTSourcePort,
            22 => K::NatTDestinationPort,
            23 => K::NatTOriginalInitiator,
            _ => match self {
                Self::FreeBsd => match number {
                    24 => K::NatTOriginalResponder,
                    25 => K::NatTFragment,
                    26 => K::SaReplay,
                    27 => K::NewAddressSource,
                    28 => K::NewAddressDestination,
                    _ => return None,
                },
                Self::Linux => return None,
            },
        })
    }

    /// `sadb_ext_type` of `kind`; `None` if this system has no such extension.
    pub const fn number(self, kind: ExtensionKind) -> Option<u16> {
        use ExtensionKind as K;
        let number = match kind {
            K::Sa => 1,
            K::LifetimeCurrent => 2,
            K::LifetimeHard => 3,
            K::LifetimeSoft => 4,
            K::AddressSource => 5,
            K::AddressDestination => 6,
            K::AddressProxy => 7,
            K::KeyAuthentication => 8,
            K::KeyEncryption => 9,
            K::IdentitySource => 10,
            K::IdentityDestination => 11,
            K::Proposal => 13,
            K::SupportedAuthentication => 14,
            K::SupportedEncryption => 15,
            K::SpiRange => 16,
            K::Policy => 18,
            K::Sa2 => 19,
            K::NatTType => 20,
            K::NatTSourcePort => 21,
            K::NatTDestinationPort => 22,
            K::NatTOriginalInitiator => 23,
            K::NatTOriginalResponder => 24,
            K::NatTFragment => 25,
            K::SaReplay => 26,
            K::NewAddressSource => 27,
            K::NewAddressDestination => 28,
            K::Other(number) => number,
        };
        match (self, kind) {
            (
                Self::Linux,
                K::NatTOriginalResponder
                | K::NatTFragment
                | K::SaReplay
                | K::NewAddressSource
                | K::NewAddressDestination,
            ) => None,
            _ => Some(number),
        }
    }
}

/// softkernel's own message number for a changed NAT mapping; see `MessageType::NEW_MAPPING`.
pub(crate) const NEW_MAPPING: u8 = 240;
const LINUX_NEW_MAPPING: u8 = 23;

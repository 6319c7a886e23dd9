//! `struct sadb_sa`, 16 bytes: RFC 2367 section 2.3.1.
//!
//! ```text
//! len:u16 type:u16 | spi:u32 (network order) | replay:u8 state:u8 auth:u8 encrypt:u8 | flags:u32
//! ```

use crate::algorithm::{AuthenticationAlgorithm, EncryptionAlgorithm};
use crate::wire::{Reader, Writer};

/// `SADB_X_SAFLAGS_ESN`: 64-bit extended sequence numbers.
pub const SAFLAGS_ESN: u32 = 0x400;

/// `SADB_SASTATE_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SaState(pub u8);

impl SaState {
    /// SPI reserved, no keys yet.
    pub const LARVAL: Self = Self(0);
    /// In use.
    pub const MATURE: Self = Self(1);
    /// Soft lifetime over, still in use.
    pub const DYING: Self = Self(2);
    /// Hard lifetime over.
    pub const DEAD: Self = Self(3);

    /// The word setkey(8) prints.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::LARVAL => "larval",
            Self::MATURE => "mature",
            Self::DYING => "dying",
            Self::DEAD => "dead",
            _ => return None,
        })
    }
}

/// The security association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sa {
    /// Security parameters index, host order.
    pub spi: u32,
    /// Replay window: bytes on FreeBSD, packets on Linux.
    pub replay: u8,
    /// Life-cycle state.
    pub state: SaState,
    /// Authentication algorithm.
    pub authentication: AuthenticationAlgorithm,
    /// Encryption algorithm.
    pub encryption: EncryptionAlgorithm,
    /// `SADB_SAFLAGS_*`, for instance [`SAFLAGS_ESN`].
    pub flags: u32,
}

impl Sa {
    pub(super) const BODY: usize = 12;

    pub(super) fn parse(body: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            spi: body.be32()?,
            replay: body.u8()?,
            state: SaState(body.u8()?),
            authentication: AuthenticationAlgorithm(body.u8()?),
            encryption: EncryptionAlgorithm(body.u8()?),
            flags: body.u32()?,
        })
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        out.be32(self.spi)
            .u8(self.replay)
            .u8(self.state.0)
            .u8(self.authentication.0)
            .u8(self.encryption.0)
            .u32(self.flags);
    }
}

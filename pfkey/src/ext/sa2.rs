//! `struct sadb_x_sa2`, 16 bytes: mode, sequence number, request id.

use crate::wire::{Reader, Writer};

/// `IPSEC_MODE_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mode(pub u8);

impl Mode {
    /// Not said.
    pub const ANY: Self = Self(0);
    /// Transport mode.
    pub const TRANSPORT: Self = Self(1);
    /// Tunnel mode.
    pub const TUNNEL: Self = Self(2);

    /// The word setkey(8) prints.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ANY => "any",
            Self::TRANSPORT => "transport",
            Self::TUNNEL => "tunnel",
            _ => return None,
        })
    }
}

/// Mode, sequence number and request id of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sa2 {
    /// Transport or tunnel.
    pub mode: Mode,
    /// Last sequence number sent (output of the kernel only).
    pub sequence: u32,
    /// Request id that ties an SA to policies, 0 for none.
    pub reqid: u32,
}

impl Sa2 {
    pub(super) const BODY: usize = 12;

    pub(super) fn parse(body: &mut Reader<'_>) -> Option<Self> {
        let mode = Mode(body.u8()?);
        body.skip(3)?;
        Some(Self {
            mode,
            sequence: body.u32()?,
            reqid: body.u32()?,
        })
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        out.u8(self.mode.0)
            .zeros(3)
            .u32(self.sequence)
            .u32(self.reqid);
    }
}

//! `struct sadb_ident`, 16 bytes and a name: RFC 2367 section 2.3.5. Carried, never interpreted.

use crate::wire::{Reader, Writer};

/// Identity of a peer as a key management daemon wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `SADB_IDENTTYPE_*`.
    pub kind: u16,
    /// Number of the identity.
    pub id: u64,
    /// Name with its padding.
    pub name: Vec<u8>,
}

impl Identity {
    pub(super) fn body_len(&self) -> usize {
        12 + self.name.len()
    }

    pub(super) fn parse(body: &mut Reader<'_>) -> Option<Self> {
        let kind = body.u16()?;
        body.skip(2)?;
        Some(Self {
            kind,
            id: body.u64()?,
            name: body.rest().to_vec(),
        })
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        out.u16(self.kind).zeros(2).u64(self.id).bytes(&self.name);
    }
}

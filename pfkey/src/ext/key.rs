//! `struct sadb_key`, 8 bytes and the key: RFC 2367 section 2.3.4.

use std::fmt;

use zeroize::Zeroizing;

use crate::wire::{Reader, Writer};

/// Key material; wiped on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: Zeroizing<Vec<u8>>,
}

impl Key {
    /// A key of whole octets.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: Zeroizing::new(bytes.to_vec()),
        }
    }

    /// The key material.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length in bits.
    pub fn bits(&self) -> u16 {
        u16::try_from(self.bytes.len() * 8).unwrap_or(u16::MAX)
    }

    pub(super) fn body_len(&self) -> usize {
        4 + self.bytes.len()
    }

    pub(super) fn parse(body: &mut Reader<'_>) -> Option<Self> {
        let bits = body.u16()?;
        body.skip(2)?;
        // RFC 2367 allows odd bit counts; no algorithm has them.
        if bits == 0 || bits % 8 != 0 {
            return None;
        }
        body.bytes(usize::from(bits) / 8).map(Self::new)
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        out.u16(self.bits()).zeros(2).bytes(&self.bytes);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bits)", self.bits())
    }
}

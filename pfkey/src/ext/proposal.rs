//! `struct sadb_prop` (8 bytes) and `sadb_comb` (72 bytes): RFC 2367 section 2.3.7.

use crate::algorithm::{AuthenticationAlgorithm, EncryptionAlgorithm};
use crate::ext::Lifetime;
use crate::wire::{Reader, Writer};

/// What an ACQUIRE asks for, best first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proposal {
    /// Replay window in bytes.
    pub replay: u8,
    /// Combinations of algorithms.
    pub combinations: Vec<Combination>,
}

/// One acceptable combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Combination {
    /// Authentication algorithm.
    pub authentication: AuthenticationAlgorithm,
    /// Encryption algorithm.
    pub encryption: EncryptionAlgorithm,
    /// `SADB_SAFLAGS_*`.
    pub flags: u16,
    /// Shortest and longest authentication key in bits.
    pub authentication_bits: (u16, u16),
    /// Shortest and longest encryption key in bits.
    pub encryption_bits: (u16, u16),
    /// Suggested soft lifetime. FreeBSD computes parts of it from zero: not to be trusted.
    pub soft: Lifetime,
    /// Suggested hard lifetime; as above.
    pub hard: Lifetime,
}

impl Proposal {
    pub(super) fn body_len(&self) -> usize {
        4 + 72 * self.combinations.len()
    }

    pub(super) fn parse(body: &mut Reader<'_>) -> Option<Self> {
        let replay = body.u8()?;
        body.skip(3)?;
        let mut combinations = Vec::new();
        while !body.rest().is_empty() {
            combinations.push(Combination::parse(body)?);
        }
        Some(Self {
            replay,
            combinations,
        })
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        out.u8(self.replay).zeros(3);
        for combination in &self.combinations {
            combination.emit(out);
        }
    }
}

impl Combination {
    fn parse(body: &mut Reader<'_>) -> Option<Self> {
        let authentication = AuthenticationAlgorithm(body.u8()?);
        let encryption = EncryptionAlgorithm(body.u8()?);
        let flags = body.u16()?;
        let authentication_bits = (body.u16()?, body.u16()?);
        let encryption_bits = (body.u16()?, body.u16()?);
        body.skip(4)?;
        let (soft_allocations, hard_allocations) = (body.u32()?, body.u32()?);
        let (soft_bytes, hard_bytes) = (body.u64()?, body.u64()?);
        let (soft_add, hard_add) = (body.u64()?, body.u64()?);
        let (soft_use, hard_use) = (body.u64()?, body.u64()?);
        let lifetime = |allocations, bytes, add_time, use_time| Lifetime {
            allocations,
            bytes,
            add_time,
            use_time,
        };
        Some(Self {
            authentication,
            encryption,
            flags,
            authentication_bits,
            encryption_bits,
            soft: lifetime(soft_allocations, soft_bytes, soft_add, soft_use),
            hard: lifetime(hard_allocations, hard_bytes, hard_add, hard_use),
        })
    }

    fn emit(&self, out: &mut Writer<'_>) {
        out.u8(self.authentication.0)
            .u8(self.encryption.0)
            .u16(self.flags)
            .u16(self.authentication_bits.0)
            .u16(self.authentication_bits.1)
            .u16(self.encryption_bits.0)
            .u16(self.encryption_bits.1)
            .zeros(4)
            .u32(self.soft.allocations)
            .u32(self.hard.allocations)
            .u64(self.soft.bytes)
            .u64(self.hard.bytes)
            .u64(self.soft.add_time)
            .u64(self.hard.add_time)
            .u64(self.soft.use_time)
            .u64(self.hard.use_time);
    }
}

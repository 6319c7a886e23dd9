//! Random octets from a seed, so that a signature can be blinded on a thread that has no random
//! generator: HMAC-SHA-256 in counter mode over 32 octets of the operating system's.

use std::convert::Infallible;

use ike_crypto::{Hash, Secret, prf};
use rand_core::{TryCryptoRng, TryRng};

pub(crate) struct Blinding {
    seed: Secret,
    counter: u64,
}

impl Blinding {
    pub(crate) fn new(seed: Secret) -> Self {
        Self { seed, counter: 0 }
    }
}

impl TryRng for Blinding {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut octets = [0; 4];
        self.try_fill_bytes(&mut octets)?;
        Ok(u32::from_be_bytes(octets))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut octets = [0; 8];
        self.try_fill_bytes(&mut octets)?;
        Ok(u64::from_be_bytes(octets))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            let block = prf(
                Hash::Sha256,
                self.seed.expose(),
                &[&self.counter.to_be_bytes()],
            );
            self.counter = self.counter.wrapping_add(1);
            for (octet, random) in chunk.iter_mut().zip(block.expose()) {
                *octet = *random;
            }
        }
        Ok(())
    }
}

impl TryCryptoRng for Blinding {}

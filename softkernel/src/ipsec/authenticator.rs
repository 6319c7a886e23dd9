//! MACs of one SA: HMAC-SHA1-96 (RFC 2404), HMAC-SHA2 (RFC 4868) or HMAC-SHA2-256 cut to 96 bits. The
//! longer hashes have no instructions of their own to wait for, so only the others go side by side.

use hmac::{Hmac, KeyInit, Mac};
use pfkey::AuthenticationAlgorithm;
use sha2::{Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::counters::Drop;
use super::hmac::{self as side_by_side, Digest, Hash, LANES, Message, Sha1, Sha256};
use super::transform::{Job, Unsupported};

pub(super) enum Authenticator {
    Sha1(side_by_side::Hmac<Sha1>),
    Sha256(side_by_side::Hmac<Sha256>),
    Sha256Cut(side_by_side::Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Authenticator {
    pub(super) fn new(algorithm: AuthenticationAlgorithm, key: &[u8]) -> Result<Self, Unsupported> {
        // HMAC itself takes any key; ESP's algorithms fix its length (RFC 2404, RFC 4868).
        let length = match algorithm {
            AuthenticationAlgorithm::SHA1_HMAC => 20,
            AuthenticationAlgorithm::SHA2_256
            | AuthenticationAlgorithm::SHA2_256_96
            | AuthenticationAlgorithm::SHA2_256_DETECT => 32,
            AuthenticationAlgorithm::SHA2_384 => 48,
            AuthenticationAlgorithm::SHA2_512 => 64,
            _ => return Err(Unsupported),
        };
        if key.len() != length {
            return Err(Unsupported);
        }
        match algorithm {
            AuthenticationAlgorithm::SHA1_HMAC => side_by_side::Hmac::new(key).map(Self::Sha1),
            AuthenticationAlgorithm::SHA2_256 | AuthenticationAlgorithm::SHA2_256_DETECT => {
                side_by_side::Hmac::new(key).map(Self::Sha256)
            }
            AuthenticationAlgorithm::SHA2_256_96 => {
                side_by_side::Hmac::new(key).map(Self::Sha256Cut)
            }
            AuthenticationAlgorithm::SHA2_384 => Hmac::new_from_slice(key).map(Self::Sha384).ok(),
            _ => Hmac::new_from_slice(key).map(Self::Sha512).ok(),
        }
        .ok_or(Unsupported)
    }

    /// Bytes of the ICV.
    pub(super) const fn icv_len(&self) -> usize {
        match self {
            Self::Sha1(_) | Self::Sha256Cut(_) => 12,
            Self::Sha256(_) => 16,
            Self::Sha384(_) => 24,
            Self::Sha512(_) => 32,
        }
    }

    /// Writes the ICV of every packet. `None` when one is too short for it.
    pub(super) fn sign(&self, jobs: &mut [Job<'_>]) -> Option<()> {
        let length = self.icv_len();
        for jobs in jobs.chunks_mut(LANES) {
            self.with_icvs(jobs, |job, icv| {
                let place = job.packet.len().checked_sub(length)?;
                job.packet.get_mut(place..)?.copy_from_slice(icv);
                Some(())
            })?;
        }
        Some(())
    }

    /// Marks packets whose ICV is wrong. Compares in constant time.
    pub(super) fn verify(&self, jobs: &mut [Job<'_>]) {
        let length = self.icv_len();
        for jobs in jobs.chunks_mut(LANES) {
            let _ = self.with_icvs(jobs, |job, icv| {
                let place = job.packet.len().saturating_sub(length);
                let sent = job.packet.get(place..).unwrap_or_default();
                if !bool::from(sent.ct_eq(icv)) {
                    job.failed = Some(Drop::Authentication);
                }
                Some(())
            });
        }
    }

    /// Hands every packet to `take`, at most [`LANES`], with the ICV that it should have.
    fn with_icvs<'a>(
        &self,
        jobs: &mut [Job<'a>],
        take: impl FnMut(&mut Job<'a>, &[u8]) -> Option<()>,
    ) -> Option<()> {
        match self {
            Self::Sha1(mac) => together(mac, self.icv_len(), jobs, take),
            Self::Sha256(mac) | Self::Sha256Cut(mac) => together(mac, self.icv_len(), jobs, take),
            Self::Sha384(mac) => singly(mac, self.icv_len(), jobs, take),
            Self::Sha512(mac) => singly(mac, self.icv_len(), jobs, take),
        }
    }
}

/// What the ICV covers.
fn message<'a>(job: &'a Job<'_>, icv: usize) -> Message<'a> {
    let covered = job.packet.len().saturating_sub(icv);
    Message {
        text: job.packet.get(..covered).unwrap_or_default(),
        // RFC 4303 section 2.2.1: the high half of the number is authenticated, not sent.
        more: job
            .extended
            .then(|| ((job.sequence >> 32) as u32).to_be_bytes()),
    }
}

fn together<'a, H: Hash>(
    mac: &side_by_side::Hmac<H>,
    icv: usize,
    jobs: &mut [Job<'a>],
    mut take: impl FnMut(&mut Job<'a>, &[u8]) -> Option<()>,
) -> Option<()> {
    let messages = || jobs.iter().map(|job| message(job, icv));
    // Room for many costs as much as a small packet.
    let (many, one): ([Digest; LANES], [Digest; 1]);
    let macs = match jobs.len() {
        1 => {
            one = mac.macs(messages());
            &one[..]
        }
        _ => {
            many = mac.macs(messages());
            &many[..]
        }
    };
    for (job, mac) in jobs.iter_mut().zip(macs) {
        take(job, mac.get(..icv)?)?;
    }
    Some(())
}

/// Cloning a keyed HMAC copies its two pad states and spares hashing the key again.
fn singly<'a, M: Mac + Clone>(
    keyed: &M,
    icv: usize,
    jobs: &mut [Job<'a>],
    mut take: impl FnMut(&mut Job<'a>, &[u8]) -> Option<()>,
) -> Option<()> {
    for job in jobs {
        let Message { text, more } = message(job, icv);
        let mut mac = keyed.clone();
        mac.update(text);
        mac.update(more.as_ref().map_or(&[], |more| more));
        let whole = mac.finalize().into_bytes();
        take(job, whole.get(..icv)?)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// The ICV of this text, alone and beside another one.
    fn icv(algorithm: AuthenticationAlgorithm, key: &[u8], text: &[u8]) -> Vec<u8> {
        let mac = Authenticator::new(algorithm, key).unwrap();
        let with_room = [text, &vec![0; mac.icv_len()]].concat();
        let other = [b"other", &*vec![0; mac.icv_len()]].concat();
        let mut packets = [with_room.clone(), other, with_room.clone(), with_room];
        let (first, others) = packets.split_at_mut(1);
        for row in [first, others] {
            mac.sign(&mut jobs(row)).unwrap();
        }
        let [first, other, third, fourth] = &mut packets;
        assert_eq!((&*third, &*fourth), (&*first, &*first));
        let icv = first[text.len()..].to_vec();
        third[text.len()] ^= 1;
        other[0] ^= 1;
        let mut all = jobs(&mut packets);
        mac.verify(&mut all);
        let wrong = all.iter().map(|job| job.failed.is_some());
        assert_eq!(wrong.collect::<Vec<_>>(), [false, true, true, false]);
        icv
    }

    fn jobs(packets: &mut [Vec<u8>]) -> Vec<Job<'_>> {
        let job = |packet| Job {
            packet,
            ..Job::default()
        };
        packets
            .iter_mut()
            .map(|packet| job(&mut packet[..]))
            .collect()
    }

    /// RFC 2202 section 3 case 1 cut to 96 bits, RFC 4868 section 2.7.2 cases AUTH256-1 to
    /// AUTH512-1.
    #[test]
    fn known_icvs() {
        use AuthenticationAlgorithm as A;
        let hi = b"Hi There";
        assert_eq!(
            icv(A::SHA1_HMAC, &[0x0b; 20], hi),
            hex!("b617318655057264e28bc0b6")
        );
        assert_eq!(
            icv(A::SHA2_256, &[0x0b; 32], hi),
            hex!("198a607eb44bfbc69903a0f1cf2bbdc5")
        );
        assert_eq!(
            icv(A::SHA2_256_96, &[0x0b; 32], hi),
            hex!("198a607eb44bfbc69903a0f1")
        );
        assert_eq!(
            icv(A::SHA2_384, &[0x0b; 48], hi),
            hex!("b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973")
        );
        assert_eq!(
            icv(A::SHA2_512, &[0x0b; 64], hi),
            hex!("637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8")
        );
    }
}

//! HMAC (RFC 2104) with SHA-1 or SHA2-256 on several messages side by side. A step of either hash has
//! to wait for the one before it, so one message keeps the processor's SHA units idle half of the time
//! and more; blocks of different messages wait for nobody.

use sha1::block_api::compress as compress_sha1;
use sha2::block_api::compress256 as compress_sha256;
use zeroize::{Zeroize, Zeroizing};

/// Messages that go side by side, at most.
pub(super) const LANES: usize = 16;

/// Bytes that either hash takes at once.
const BLOCK: usize = 64;
const INNER_PAD: u8 = 0x36;
const OUTER_PAD: u8 = 0x5c;
/// FIPS 180-4 section 5.1.1: the bit behind the message, and the bytes of its length.
const END: u8 = 0x80;
const LENGTH: usize = 8;

/// Room for the digest of either hash.
pub(super) type Digest = [u8; 32];

/// A hash of FIPS 180-4 with blocks of 64 bytes.
pub(super) trait Hash {
    /// Its words.
    type State: Copy + AsRef<[u32]> + Zeroize;
    /// FIPS 180-4 section 5.3.
    const INITIAL: Self::State;
    fn compress(state: &mut Self::State, block: &[u8; BLOCK]);
}

#[derive(Clone)]
pub(super) enum Sha1 {}

impl Hash for Sha1 {
    type State = [u32; 5];
    const INITIAL: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];

    fn compress(state: &mut [u32; 5], block: &[u8; BLOCK]) {
        compress_sha1(state, std::slice::from_ref(block));
    }
}

#[derive(Clone)]
pub(super) enum Sha256 {}

impl Hash for Sha256 {
    type State = [u32; 8];
    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    fn compress(state: &mut [u32; 8], block: &[u8; BLOCK]) {
        compress_sha256(state, std::slice::from_ref(block));
    }
}

/// What is to be authenticated.
#[derive(Clone, Copy, Default)]
pub(super) struct Message<'a> {
    pub(super) text: &'a [u8],
    /// Comes behind it.
    pub(super) more: Option<[u8; 4]>,
}

/// A key, as what both pads leave behind.
#[derive(Clone)]
pub(super) struct Hmac<H: Hash> {
    inner: Zeroizing<H::State>,
    outer: Zeroizing<H::State>,
}

/// A message on its way.
struct Lane<'a, S> {
    state: S,
    blocks: &'a [[u8; BLOCK]],
    /// What does not fill a block, and the padding.
    end: [[u8; BLOCK]; 2],
    /// Blocks of that.
    ends: usize,
}

impl<H: Hash> Hmac<H> {
    /// `None` for a key that would have to be hashed first, which none of ESP's has to.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let padded = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            for (byte, key) in block.get_mut(..key.len())?.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = Zeroizing::new(H::INITIAL);
            H::compress(&mut state, &block);
            Some(state)
        };
        Some(Self {
            inner: padded(INNER_PAD)?,
            outer: padded(OUTER_PAD)?,
        })
    }

    /// The MACs of at most `N` messages, with zeros behind them.
    pub(super) fn macs<'a, const N: usize>(
        &self,
        messages: impl Iterator<Item = Message<'a>>,
    ) -> [Digest; N] {
        let mut messages = messages.fuse();
        let mut lanes: [Option<Lane<'a, H::State>>; N] =
            std::array::from_fn(|_| messages.next().map(|message| self.lane(message)));
        let lanes = lanes.as_mut_slice();
        let longest = lanes.iter().flatten().map(|lane| lane.blocks.len()).max();
        for step in 0..longest.unwrap_or_default() {
            for lane in lanes.iter_mut().flatten() {
                if let Some(block) = lane.blocks.get(step) {
                    H::compress(&mut lane.state, block);
                }
            }
        }
        for step in 0..2 {
            for lane in lanes.iter_mut().flatten() {
                if let Some(block) = lane.end.get(step).filter(|_| step < lane.ends) {
                    H::compress(&mut lane.state, block);
                }
            }
        }
        let mut macs = [Digest::default(); N];
        for (mac, lane) in macs.iter_mut().zip(lanes.iter().flatten()) {
            *mac = self.close(&lane.state);
        }
        macs
    }

    fn lane<'a>(&self, message: Message<'a>) -> Lane<'a, H::State> {
        let (blocks, rest) = message.text.as_chunks();
        let more = message.more.as_ref().map_or(&[][..], |more| more);
        let mut end = [[0; BLOCK]; 2];
        let mut place = end.as_flattened_mut().iter_mut();
        for (place, byte) in place.by_ref().zip(rest.iter().chain(more).chain([&END])) {
            *place = *byte;
        }
        let used = rest.len() + more.len() + 1 + LENGTH;
        let ends = used.div_ceil(BLOCK);
        let hashed = BLOCK + message.text.len() + more.len();
        let place = end.get_mut(ends - 1).and_then(|last| last.last_chunk_mut());
        if let Some(place) = place {
            *place = bits(hashed);
        }
        Lane {
            state: *self.inner,
            blocks,
            end,
            ends,
        }
    }

    /// The outer hash of the inner one's digest.
    fn close(&self, inner: &H::State) -> Digest {
        let words = inner.as_ref();
        let mut block = [0; BLOCK];
        for (place, word) in block.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
        let digest = size_of_val(words);
        if let Some(place) = block.get_mut(digest) {
            *place = END;
        }
        if let Some(place) = block.last_chunk_mut() {
            *place = bits(BLOCK + digest);
        }
        let mut state = *self.outer;
        H::compress(&mut state, &block);
        let mut mac = Digest::default();
        for (place, word) in mac.as_chunks_mut().0.iter_mut().zip(state.as_ref()) {
            *place = word.to_be_bytes();
        }
        mac
    }
}

const fn bits(bytes: usize) -> [u8; LENGTH] {
    (bytes as u64 * 8).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use hmac::{KeyInit, Mac};
    use proptest::prelude::*;

    use super::*;

    type Packet = (Vec<u8>, Option<[u8; 4]>);

    fn agrees<H: Hash, M: Mac + KeyInit>(key: &[u8], packets: &[Packet]) {
        let keyed = Hmac::<H>::new(key).unwrap();
        for packets in packets.chunks(LANES) {
            let messages = packets
                .iter()
                .map(|(text, more)| Message { text, more: *more });
            let macs = keyed.macs::<LANES>(messages);
            for ((text, more), have) in packets.iter().zip(macs) {
                let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
                mac.update(text);
                mac.update(more.as_ref().map_or(&[], |more| more));
                let want = mac.finalize().into_bytes();
                assert_eq!(have[..want.len()], want[..]);
            }
        }
    }

    proptest! {
        /// Against the crate `hmac`.
        #[test]
        fn as_one_after_the_other(
            key in prop::collection::vec(any::<u8>(), 1..=BLOCK),
            packets in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..300), any::<Option<[u8; 4]>>()),
                0..40,
            ),
        ) {
            agrees::<Sha1, hmac::Hmac<sha1::Sha1>>(&key, &packets);
            agrees::<Sha256, hmac::Hmac<sha2::Sha256>>(&key, &packets);
        }
    }

    #[test]
    fn every_length_of_the_last_block() {
        let packets: Vec<Packet> = (0..=2 * BLOCK)
            .flat_map(|length| {
                [
                    (vec![0x5a; length], None),
                    (vec![0x5a; length], Some([7; 4])),
                ]
            })
            .collect();
        agrees::<Sha1, hmac::Hmac<sha1::Sha1>>(&[0x0b; 20], &packets);
        agrees::<Sha256, hmac::Hmac<sha2::Sha256>>(&[0x0b; 32], &packets);
    }

    #[test]
    fn no_key_is_hashed_first() {
        assert!(Hmac::<Sha1>::new(&[0; BLOCK]).is_some());
        assert!(Hmac::<Sha1>::new(&[0; BLOCK + 1]).is_none());
    }
}

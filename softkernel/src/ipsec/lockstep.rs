//! CBC encryption of several packets in lock-step. A block of CBC has to wait for the one before it,
//! so one packet keeps a pipelined cipher idle most of the time; blocks of different packets wait for
//! nobody.

use cbc::cipher::consts::U16;
use cbc::cipher::{Array, BlockCipherEncrypt};

/// Packets that go side by side, at most.
pub(super) const LANES: usize = 64;

/// A block of AES.
pub(super) type Block = Array<u8, U16>;

/// One packet: its IV, and what is to be encrypted in place.
#[derive(Debug, Default)]
pub(super) struct Lane<'a> {
    pub(super) iv: Block,
    pub(super) blocks: &'a mut [Block],
}

/// Encrypts all lanes under one key.
pub(super) fn encrypt<C>(cipher: &C, lanes: &mut [Lane<'_>])
where
    C: BlockCipherEncrypt<BlockSize = U16>,
{
    for lanes in lanes.chunks_mut(LANES) {
        // The longest first: who is done is at the end.
        lanes.sort_unstable_by_key(|lane| std::cmp::Reverse(lane.blocks.len()));
        let mut chains = [Block::default(); LANES];
        for (chain, lane) in chains.iter_mut().zip(lanes.iter()) {
            *chain = lane.iv;
        }
        let mut active = lanes.len();
        let mut step = 0;
        loop {
            while active > 0
                && lanes
                    .get(active - 1)
                    .is_some_and(|lane| lane.blocks.len() <= step)
            {
                active -= 1;
            }
            let Some(chains) = chains.get_mut(..active).filter(|chains| !chains.is_empty()) else {
                break;
            };
            for (chain, lane) in chains.iter_mut().zip(lanes.iter()) {
                if let Some(block) = lane.blocks.get(step) {
                    let mixed = u128::from_ne_bytes(chain.0) ^ u128::from_ne_bytes(block.0);
                    chain.0 = mixed.to_ne_bytes();
                }
            }
            cipher.encrypt_blocks(chains);
            for (chain, lane) in chains.iter().zip(lanes.iter_mut()) {
                if let Some(block) = lane.blocks.get_mut(step) {
                    *block = *chain;
                }
            }
            step += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use aes::Aes128;
    use cbc::cipher::{BlockModeEncrypt, InnerIvInit, KeyInit};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_one_after_the_other(
            key: [u8; 16],
            packets in prop::collection::vec(
                (any::<[u8; 16]>(), prop::collection::vec(any::<[u8; 16]>(), 0..40)),
                0..70,
            ),
        ) {
            let cipher = Aes128::new(&key.into());
            let packets: Vec<(Block, Vec<Block>)> = packets
                .into_iter()
                .map(|(iv, blocks)| (iv.into(), blocks.into_iter().map(Block::from).collect()))
                .collect();
            let mut want = packets.clone();
            for (iv, blocks) in &mut want {
                cbc::Encryptor::inner_iv_init(&cipher, iv).encrypt_blocks(blocks);
            }
            let mut have = packets;
            let mut lanes: Vec<Lane<'_>> =
                have.iter_mut().map(|(iv, blocks)| Lane { iv: *iv, blocks }).collect();
            encrypt(&cipher, &mut lanes);
            prop_assert_eq!(have, want);
        }
    }
}

//! Hiding of AVP values, RFC 2661 section 4.3.
//!
//! The hidden value is a length, the value, and padding, XORed with a key stream of MD5 blocks:
//! `b1 = MD5(attribute + secret + vector)`, `b(i+1) = MD5(secret + c(i))`. It is no protection of
//! integrity: any ciphertext deciphers to something, so nothing about the result is believed.

use md5::{Digest, Md5};
use zeroize::Zeroize;

const BLOCK: usize = 16;

/// Hides `value` of the AVP numbered `attribute`. `padding` octets are taken from `pad`'s front, to
/// veil the length.
#[must_use]
pub fn hide(secret: &[u8], vector: &[u8], attribute: u16, value: &[u8], pad: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let mut text = Vec::with_capacity(2 + value.len() + pad.len());
    text.extend_from_slice(&length.to_be_bytes());
    text.extend_from_slice(value);
    text.extend_from_slice(pad);
    let mut key = first_key(secret, vector, attribute);
    for block in text.chunks_mut(BLOCK) {
        xor(block, &key);
        key = next_key(secret, block);
    }
    text
}

/// Reveals a hidden value; `None` when the length inside is more than there is, which is what a
/// wrong secret looks like.
#[must_use]
pub fn reveal(secret: &[u8], vector: &[u8], attribute: u16, hidden: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(hidden.len());
    let mut key = first_key(secret, vector, attribute);
    for block in hidden.chunks(BLOCK) {
        let from = text.len();
        text.extend_from_slice(block);
        xor(text.get_mut(from..)?, &key);
        key = next_key(secret, block);
    }
    let (length, value) = text.split_first_chunk::<2>()?;
    let value = value
        .get(..usize::from(u16::from_be_bytes(*length)))
        .map(<[u8]>::to_vec);
    text.zeroize();
    value
}

fn first_key(secret: &[u8], vector: &[u8], attribute: u16) -> [u8; BLOCK] {
    let mut hash = Md5::new();
    hash.update(attribute.to_be_bytes());
    hash.update(secret);
    hash.update(vector);
    hash.finalize().into()
}

fn next_key(secret: &[u8], ciphertext: &[u8]) -> [u8; BLOCK] {
    let mut hash = Md5::new();
    hash.update(secret);
    hash.update(ciphertext);
    hash.finalize().into()
}

fn xor(block: &mut [u8], key: &[u8; BLOCK]) {
    for (octet, key) in block.iter_mut().zip(key) {
        *octet ^= key;
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    /// The definition of section 4.3 written out once for a value of two blocks.
    #[test]
    fn two_blocks_by_hand() {
        let (secret, vector) = (b"cacert".as_slice(), [7_u8; 16]);
        let value = [0x5a_u8; 20];
        let md5 = |parts: &[&[u8]]| -> [u8; 16] { Md5::digest(parts.concat()).into() };
        let plain = [&[0, 20][..], &value, &[0xee; 3]].concat();
        let b1 = md5(&[&[0, 14], secret, &vector]);
        let c1: Vec<u8> = plain[..16].iter().zip(b1).map(|(p, b)| p ^ b).collect();
        let b2 = md5(&[secret, &c1]);
        let c2: Vec<u8> = plain[16..].iter().zip(b2).map(|(p, b)| p ^ b).collect();
        assert_eq!(
            hide(secret, &vector, 14, &value, &[0xee; 3]),
            [c1, c2].concat()
        );
    }

    /// An Assigned Session ID that xl2tpd 1.3.18, given this secret, revealed as 22852.
    #[test]
    fn what_xl2tpd_reveals() {
        let vector = hex!("11bacce4 cfed97cf de0da4dc cc04dcac");
        let revealed = reveal(b"s3cretword-17oct", &vector, 14, &hex!("957158a7 950cb982"));
        assert_eq!(revealed, Some(22852_u16.to_be_bytes().to_vec()));
    }

    #[test]
    fn every_length_prefix_is_bounded() {
        // Every pair of first octets, so every length the secret can reveal, at every size.
        for size in 0..=20 {
            for prefix in 0..=u16::MAX {
                let mut hidden = vec![0; size];
                for (to, from) in hidden.iter_mut().zip(prefix.to_be_bytes()) {
                    *to = from;
                }
                let revealed = reveal(b"secret", b"vector", 9, &hidden);
                assert!(revealed.is_none_or(|value| value.len() + 2 <= size));
            }
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            secret in proptest::collection::vec(any::<u8>(), 0..256),
            vector in proptest::collection::vec(any::<u8>(), 1..64),
            attribute in any::<u16>(),
            value in proptest::collection::vec(any::<u8>(), 0..100),
            pad in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let hidden = hide(&secret, &vector, attribute, &value, &pad);
            prop_assert_eq!(reveal(&secret, &vector, attribute, &hidden), Some(value));
        }
    }
}

//! The Internet checksum, RFC 1071.

use std::net::IpAddr;

/// Bytes that are added up at a time.
const WORD: usize = 8;

/// A sum of 16-bit words that still has its carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The pseudo header of TCP and UDP (RFC 9293 section 3.1, RFC 8200 section 8.1); both addresses
    /// are of one family. `length` covers the transport header and what follows.
    pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Self {
        let sum = match (source, destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                Self::default().with(&from.octets()).with(&to.octets())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                Self::default().with(&from.octets()).with(&to.octets())
            }
            _ => Self::default(),
        };
        Self(sum.0 + u64::from(protocol) + length as u64)
    }

    /// With these bytes, which begin at an even offset of what is summed; an odd one at the end is
    /// padded with zero.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        // Eight bytes at a time, in memory order: the sum of words does not care which part of a
        // longer word they are in (RFC 1071 section 2 (B)). Four sums, so that none waits for
        // another, each with its carries in a second word.
        let (rows, rest) = bytes.as_chunks::<{ 4 * WORD }>();
        let mut sums = [0u128; 4];
        // Nothing can overflow, and a check in the loop would cost as much as the sum.
        let add = |sum: &mut u128, word: &[u8; WORD]| {
            *sum = sum.wrapping_add(u128::from(u64::from_ne_bytes(*word)));
        };
        for row in rows {
            let (words, _) = row.as_chunks::<WORD>();
            for (sum, word) in sums.iter_mut().zip(words) {
                add(sum, word);
            }
        }
        let mut sum: u128 = sums.iter().sum();
        let (words, tail) = rest.as_chunks::<WORD>();
        for word in words {
            add(&mut sum, word);
        }
        let mut last = [0; WORD];
        for (place, byte) in last.iter_mut().zip(tail) {
            *place = *byte;
        }
        add(&mut sum, &last);
        // Carries are as much as what they were carried from; fewer than 2^32 of them fit a slice.
        let (low, high) = (sum as u64, (sum >> 64) as u64);
        let sum = fold((low >> 32) + (low & 0xffff_ffff) + high);
        Self(self.0 + u64::from(u16::from_be_bytes(sum.to_ne_bytes())))
    }

    /// The sum itself, as it stands in a checksum field that is still to be completed.
    pub fn folded(self) -> u16 {
        fold(self.0)
    }

    /// What goes into the checksum field.
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// What goes into UDP's field, where zero means that there is none (RFC 768).
    pub fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The loop leaves no more than 16 bits.
    sum as u16
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071 section 3: 0001 f203 f4f5 f6f7 have the sum ddf2.
    #[test]
    fn rfc_1071_example() {
        let sum = Sum::default().with(&hex!("0001 f203 f4f5 f6f7"));
        assert_eq!(sum.folded(), 0xddf2);
        assert_eq!(sum.checksum(), 0x220d);
        assert_eq!(Sum::default().with(&[0xff, 0xff]).udp_checksum(), 0xffff);
    }

    fn word_by_word(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    proptest! {
        #[test]
        fn as_the_definition_says(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..100) {
            let cut = (cut * 2).min(bytes.len() & !1);
            let (front, back) = bytes.split_at(cut);
            prop_assert_eq!(Sum::default().with(&bytes).folded(), word_by_word(&bytes));
            prop_assert_eq!(Sum::default().with(front).with(back).folded(), word_by_word(&bytes));
        }
    }
}

//! Phase 1 ciphers in CBC mode: RFC 2409 appendix B, RFC 3602 (AES), RFC 2451 (3DES).
//!
//! ISAKMP chains IVs over messages: the last cipher block of one message is the IV of the next, so
//! both directions return it.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use des::TdesEde3;
use thiserror::Error;

/// Encryption algorithm of phase 1 (IKE attributes 1 and 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cipher {
    /// 3DES-CBC, number 5, 192-bit key, 8-octet blocks.
    TripleDes,
    /// AES-CBC, number 7, key length 128.
    Aes128,
    /// AES-CBC, number 7, key length 192.
    Aes192,
    /// AES-CBC, number 7, key length 256.
    Aes256,
}

/// A message that is no whole number of cipher blocks, or a key or IV made for another cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CipherError {
    /// Empty, or not a multiple of the block size.
    #[error("{0} octets are no whole number of cipher blocks")]
    PartialBlock(usize),
    /// The key is not as long as the cipher wants it.
    #[error("a key of {0} octets does not fit the cipher")]
    KeyLength(usize),
    /// The IV is not one block long.
    #[error("an initialisation vector of {0} octets does not fit the cipher")]
    IvLength(usize),
}

/// An initialisation vector: one block of the cipher, at most 16 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iv {
    bytes: [u8; 16],
    len: u8,
}

impl Cipher {
    /// Every cipher known here, weakest first.
    pub const ALL: [Self; 4] = [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256];

    /// From the Encryption-Algorithm and Key-Length (bits) attributes. AES without a key length is
    /// AES-128, as strongSwan reads it.
    pub fn from_iana(number: u16, key_bits: Option<u16>) -> Option<Self> {
        match (number, key_bits) {
            (5, None | Some(0 | 192)) => Some(Self::TripleDes),
            (7, None | Some(128)) => Some(Self::Aes128),
            (7, Some(192)) => Some(Self::Aes192),
            (7, Some(256)) => Some(Self::Aes256),
            _ => None,
        }
    }

    /// The value of the Encryption-Algorithm attribute.
    pub fn iana(self) -> u16 {
        match self {
            Self::TripleDes => 5,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 7,
        }
    }

    /// The value of the Key-Length attribute in bits; none for 3DES, whose key has one length.
    pub fn key_bits(self) -> Option<u16> {
        match self {
            Self::TripleDes => None,
            Self::Aes128 => Some(128),
            Self::Aes192 => Some(192),
            Self::Aes256 => Some(256),
        }
    }

    /// The name used in configuration and logs, such as `aes256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TripleDes => "3des",
            Self::Aes128 => "aes128",
            Self::Aes192 => "aes192",
            Self::Aes256 => "aes256",
        }
    }

    /// Key length in octets.
    pub fn key_len(self) -> usize {
        match self {
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    /// Block length, which is also the IV length, in octets.
    pub fn block_len(self) -> usize {
        match self {
            Self::TripleDes => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
        }
    }

    /// Encrypts whole blocks in place and returns the last cipher block: the IV of the next message.
    pub fn encrypt(self, key: &[u8], iv: &Iv, data: &mut [u8]) -> Result<Iv, CipherError> {
        self.check(data)?;
        match self {
            Self::TripleDes => encrypt::<Encryptor<TdesEde3>>(key, iv, data)?,
            Self::Aes128 => encrypt::<Encryptor<Aes128>>(key, iv, data)?,
            Self::Aes192 => encrypt::<Encryptor<Aes192>>(key, iv, data)?,
            Self::Aes256 => encrypt::<Encryptor<Aes256>>(key, iv, data)?,
        }
        self.last_block(data)
    }

    /// Decrypts whole blocks in place and returns the last *cipher* block: the IV of the next
    /// message.
    pub fn decrypt(self, key: &[u8], iv: &Iv, data: &mut [u8]) -> Result<Iv, CipherError> {
        self.check(data)?;
        let next = self.last_block(data)?;
        match self {
            Self::TripleDes => decrypt::<Decryptor<TdesEde3>>(key, iv, data)?,
            Self::Aes128 => decrypt::<Decryptor<Aes128>>(key, iv, data)?,
            Self::Aes192 => decrypt::<Decryptor<Aes192>>(key, iv, data)?,
            Self::Aes256 => decrypt::<Decryptor<Aes256>>(key, iv, data)?,
        }
        Ok(next)
    }

    fn check(self, data: &[u8]) -> Result<(), CipherError> {
        if data.is_empty() || !data.len().is_multiple_of(self.block_len()) {
            return Err(CipherError::PartialBlock(data.len()));
        }
        Ok(())
    }

    fn last_block(self, data: &[u8]) -> Result<Iv, CipherError> {
        let start = data.len().saturating_sub(self.block_len());
        Iv::new(data.get(start..).unwrap_or_default())
    }
}

impl Iv {
    /// From one cipher block of 8 or 16 octets.
    ///
    /// # Errors
    /// [`CipherError::IvLength`] for any other length.
    pub fn new(block: &[u8]) -> Result<Self, CipherError> {
        if !matches!(block.len(), 8 | 16) {
            return Err(CipherError::IvLength(block.len()));
        }
        let mut iv = Self {
            bytes: [0; 16],
            len: block.len() as u8,
        };
        for (to, from) in iv.bytes.iter_mut().zip(block) {
            *to = *from;
        }
        Ok(iv)
    }

    /// The IV: as many octets as the cipher's block.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }
}

fn encrypt<M: BlockModeEncrypt + KeyIvInit>(
    key: &[u8],
    iv: &Iv,
    data: &mut [u8],
) -> Result<(), CipherError> {
    let mut mode = keyed::<M>(key, iv)?;
    let (blocks, _) = Block::<M>::slice_as_chunks_mut(data);
    mode.encrypt_blocks(blocks);
    Ok(())
}

fn decrypt<M: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &Iv,
    data: &mut [u8],
) -> Result<(), CipherError> {
    let mut mode = keyed::<M>(key, iv)?;
    let (blocks, _) = Block::<M>::slice_as_chunks_mut(data);
    mode.decrypt_blocks(blocks);
    Ok(())
}

fn keyed<M: KeyIvInit>(key: &[u8], iv: &Iv) -> Result<M, CipherError> {
    if key.len() != M::key_size() {
        return Err(CipherError::KeyLength(key.len()));
    }
    M::new_from_slices(key, iv.as_bytes()).map_err(|_| CipherError::IvLength(usize::from(iv.len)))
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    /// RFC 3602 section 4, case 2: two blocks with AES-128.
    #[test]
    fn rfc3602_case_2() {
        let key = hex!("c286696d887c9aa0611bbb3e2025a45a");
        let iv = Iv::new(&hex!("562e17996d093d28ddb3ba695a2e6f58")).unwrap();
        let plain = hex!("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let mut data = plain;
        let next = Cipher::Aes128.encrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(
            data,
            hex!("d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1")
        );
        assert_eq!(next.as_bytes(), &data[16..]);
        assert_eq!(Cipher::Aes128.decrypt(&key, &iv, &mut data).unwrap(), next);
        assert_eq!(data, plain);
    }

    /// NIST SP 800-38A sections F.2.3 and F.2.5, first two blocks.
    #[test]
    fn sp800_38a_aes192_and_aes256() {
        let iv = Iv::new(&hex!("000102030405060708090a0b0c0d0e0f")).unwrap();
        let plain = hex!("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let mut data = plain;
        let key = hex!("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b");
        Cipher::Aes192.encrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(
            data,
            hex!("4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a")
        );
        let mut data = plain;
        let key = hex!("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        Cipher::Aes256.encrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(
            data,
            hex!("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d")
        );
    }

    /// `openssl enc -des-ede3-cbc -nopad` with this key and IV.
    #[test]
    fn openssl_3des() {
        let key = hex!("0123456789abcdef23456789abcdef01456789abcdef0123");
        let iv = Iv::new(&hex!("fedcba9876543210")).unwrap();
        let mut data = *b"7654321 Now is the time ";
        let next = Cipher::TripleDes.encrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(
            data,
            hex!("40e091eeac0a310cb26d5053290494921c6714cc42573945")
        );
        assert_eq!(next.as_bytes(), &data[16..]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let iv = Iv::new(&[0; 16]).unwrap();
        let mut odd = [0; 17];
        assert_eq!(
            Cipher::Aes128.decrypt(&[0; 16], &iv, &mut odd),
            Err(CipherError::PartialBlock(17))
        );
        assert_eq!(
            Cipher::Aes128.decrypt(&[0; 16], &iv, &mut []),
            Err(CipherError::PartialBlock(0))
        );
        let mut block = [0; 16];
        assert_eq!(
            Cipher::Aes256.encrypt(&[0; 16], &iv, &mut block),
            Err(CipherError::KeyLength(16))
        );
        assert_eq!(
            Cipher::TripleDes.encrypt(&[0; 24], &iv, &mut block),
            Err(CipherError::IvLength(16))
        );
        assert_eq!(Iv::new(&[0; 12]), Err(CipherError::IvLength(12)));
    }

    #[test]
    fn iana_numbers_round_trip() {
        for cipher in Cipher::ALL {
            assert_eq!(
                Cipher::from_iana(cipher.iana(), cipher.key_bits()),
                Some(cipher)
            );
        }
        assert_eq!(Cipher::from_iana(7, None), Some(Cipher::Aes128));
        assert_eq!(Cipher::from_iana(7, Some(0)), None);
        assert_eq!(Cipher::from_iana(1, None), None);
    }

    proptest! {
        /// Two messages in a row equal one message of both: the IV chain of ISAKMP.
        #[test]
        fn chained_messages_are_one_stream(
            which in 0usize..4,
            key in proptest::array::uniform32(any::<u8>()),
            data in proptest::collection::vec(any::<u8>(), 32..=32),
        ) {
            let cipher = Cipher::ALL[which];
            let key = &key[..cipher.key_len()];
            let iv = Iv::new(&[7; 16][..cipher.block_len()]).unwrap();
            let mut whole = data.clone();
            cipher.encrypt(key, &iv, &mut whole).unwrap();
            let mut halves = data.clone();
            let (first, second) = halves.split_at_mut(16);
            let next = cipher.encrypt(key, &iv, first).unwrap();
            cipher.encrypt(key, &next, second).unwrap();
            prop_assert_eq!(&whole, &halves);
            let (first, second) = halves.split_at_mut(16);
            let next = cipher.decrypt(key, &iv, first).unwrap();
            cipher.decrypt(key, &next, second).unwrap();
            prop_assert_eq!(data, halves);
        }
    }
}

//! AES-GCM with a 16-byte ICV in ESP, RFC 4106: nonce, associated data, and which implementation.

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::consts::U12;
use aes_gcm::{AeadInOut, AesGcm, KeyInit, Tag};
use pfkey::AuthenticationAlgorithm;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::counters::Drop;
use super::transform::{ESP_HEADER, Job, Unsupported};

/// Bytes of the explicit IV.
pub(super) const IV: usize = 8;
/// Bytes of the ICV.
pub(super) const ICV: usize = 16;
const SALT: usize = 4;
const NONCE: usize = 12;

/// One SA's key, and what its nonces are made of.
pub(super) struct Gcm {
    cipher: Box<dyn Cipher>,
    /// In bytes.
    key: usize,
    salt: Zeroizing<[u8; SALT]>,
    iv_mask: u64,
}

/// AES-GCM under one key.
trait Cipher: Send + Sync {
    /// Encrypts in place; the tag. `None` when the text is too long for GCM.
    fn seal(&self, nonce: &[u8; NONCE], associated: &[u8], text: &mut [u8]) -> Option<[u8; ICV]>;
    /// Decrypts in place; `None` when the tag is wrong, and what the text is then is undefined.
    fn open(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8; ICV],
    ) -> Option<()>;
}

/// RustCrypto's, which runs everywhere.
impl<A> Cipher for AesGcm<A, U12>
where
    Self: AeadInOut<NonceSize = U12, TagSize = aes_gcm::aead::consts::U16> + Send + Sync,
{
    fn seal(&self, nonce: &[u8; NONCE], associated: &[u8], text: &mut [u8]) -> Option<[u8; ICV]> {
        let tag = self.encrypt_inout_detached(nonce.into(), associated, text.into());
        tag.ok().map(Into::into)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8; ICV],
    ) -> Option<()> {
        let tag: &Tag = tag.into();
        self.decrypt_inout_detached(nonce.into(), associated, text.into(), tag)
            .ok()
    }
}

/// Graviola's, which encrypts and authenticates in one pass, with the widest instructions there are; for
/// processors that have what it needs.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Cipher for graviola::aead::AesGcm {
    fn seal(&self, nonce: &[u8; NONCE], associated: &[u8], text: &mut [u8]) -> Option<[u8; ICV]> {
        let mut tag = [0; ICV];
        self.encrypt(nonce, associated, text, &mut tag);
        Some(tag)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8; ICV],
    ) -> Option<()> {
        self.decrypt(nonce, associated, text, tag).ok()
    }
}

/// Graviola's, for keys and on processors that it serves.
fn one_pass(key: &[u8]) -> Option<Box<dyn Cipher>> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if matches!(key.len(), 16 | 32) && graviola::util::is_cpu_supported() {
        return Some(Box::new(graviola::aead::AesGcm::new(key)));
    }
    let _ = key;
    None
}

/// RustCrypto's, for every key.
fn two_passes(key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported> {
    fn boxed<C: Cipher + KeyInit + 'static>(key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported> {
        let cipher = C::new_from_slice(key).map_err(|_| Unsupported)?;
        Ok(Box::new(cipher))
    }
    match key.len() {
        16 => boxed::<AesGcm<Aes128, U12>>(key),
        24 => boxed::<AesGcm<Aes192, U12>>(key),
        _ => boxed::<AesGcm<Aes256, U12>>(key),
    }
}

impl Gcm {
    pub(super) fn new(key: &[u8], rng: &mut dyn CryptoRng) -> Result<Self, Unsupported> {
        // The last four bytes are the salt, RFC 4106 section 8.1.
        let (key, salt) = key.split_last_chunk::<SALT>().ok_or(Unsupported)?;
        let cipher = match one_pass(key) {
            Some(cipher) => cipher,
            None => two_passes(key)?,
        };
        Ok(Self {
            cipher,
            key: key.len(),
            salt: Zeroizing::new(*salt),
            iv_mask: rng.next_u64(),
        })
    }

    /// The authentication algorithm that the kernel shows for the SA.
    pub(super) const fn shown_authentication(&self) -> AuthenticationAlgorithm {
        match self.key {
            16 => AuthenticationAlgorithm::AES128_GMAC,
            24 => AuthenticationAlgorithm::AES192_GMAC,
            _ => AuthenticationAlgorithm::AES256_GMAC,
        }
    }

    /// `None` when the packet is too short.
    pub(super) fn seal(&self, job: &mut Job<'_>) -> Option<()> {
        let (sequence, extended) = (job.sequence, job.extended);
        let (text, icv) = job.packet.split_last_chunk_mut::<ICV>()?;
        let (header, rest) = text.split_first_chunk_mut::<ESP_HEADER>()?;
        let (iv, body) = rest.split_first_chunk_mut::<IV>()?;
        *iv = (sequence ^ self.iv_mask).to_be_bytes();
        let mut scratch = [0; 12];
        let associated = associated_data(header, sequence, extended, &mut scratch)?;
        *icv = self.cipher.seal(&self.nonce(iv), associated, body)?;
        Some(())
    }

    pub(super) fn open(&self, job: &mut Job<'_>) -> Result<(), Drop> {
        let (sequence, extended) = (job.sequence, job.extended);
        let split = job.packet.split_last_chunk_mut::<ICV>();
        let (text, icv) = split.ok_or(Drop::Short)?;
        let split = text.split_first_chunk_mut::<ESP_HEADER>();
        let (header, rest) = split.ok_or(Drop::Short)?;
        let (iv, body) = rest.split_first_chunk_mut::<IV>().ok_or(Drop::Short)?;
        let mut scratch = [0; 12];
        let associated = associated_data(header, sequence, extended, &mut scratch);
        let associated = associated.ok_or(Drop::Short)?;
        self.cipher
            .open(&self.nonce(iv), associated, body, icv)
            .ok_or(Drop::Authentication)
    }

    fn nonce(&self, iv: &[u8; IV]) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        for (place, byte) in nonce.iter_mut().zip(self.salt.iter().chain(iv)) {
            *place = *byte;
        }
        nonce
    }
}

/// RFC 4106 section 5: SPI and sequence number, the latter in full when extended.
fn associated_data<'a>(
    header: &'a [u8; ESP_HEADER],
    sequence: u64,
    extended: bool,
    scratch: &'a mut [u8; 12],
) -> Option<&'a [u8]> {
    if !extended {
        return Some(header);
    }
    scratch.get_mut(..4)?.copy_from_slice(header.get(..4)?);
    scratch
        .get_mut(4..)?
        .copy_from_slice(&sequence.to_be_bytes());
    Some(scratch)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    /// Every implementation that this processor has for a key.
    fn ciphers(key: &[u8]) -> Vec<Box<dyn Cipher>> {
        let own = two_passes(key).map_err(|Unsupported| "key").unwrap();
        one_pass(key).into_iter().chain([own]).collect()
    }

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, cases 4, 10 and 16.
    #[test]
    fn known_tags() {
        let plain = hex!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        );
        let associated = hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let nonce = hex!("cafebabefacedbaddecaf888");
        let key = hex!("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        for (length, tag) in [
            (16, hex!("5bc94fbc3221a5db94fae95ae7121a47")),
            (24, hex!("2519498e80f1478f37ba55bd6d27618c")),
            (32, hex!("76fc6ece0f4e1768cddf8853bb2d551b")),
        ] {
            for cipher in ciphers(&key[..length]) {
                let mut text = plain;
                let sealed = cipher.seal(&nonce, &associated, &mut text);
                assert_eq!(sealed, Some(tag));
                cipher.open(&nonce, &associated, &mut text, &tag).unwrap();
                assert_eq!(text, plain);
            }
        }
    }

    proptest! {
        #[test]
        fn all_implementations_agree(
            key in prop_oneof![Just(16), Just(32)].prop_flat_map(|length| {
                prop::collection::vec(any::<u8>(), length)
            }),
            nonce: [u8; NONCE],
            associated in prop_oneof![Just(8), Just(12)].prop_flat_map(|length| {
                prop::collection::vec(any::<u8>(), length)
            }),
            text in prop::collection::vec(any::<u8>(), 0..1600),
        ) {
            let mut results = Vec::new();
            for cipher in ciphers(&key) {
                let mut sealed = text.clone();
                let tag = cipher.seal(&nonce, &associated, &mut sealed).unwrap();
                let mut opened = sealed.clone();
                prop_assert!(cipher.open(&nonce, &associated, &mut opened, &tag).is_some());
                prop_assert_eq!(&opened, &text);
                let mut wrong = tag;
                wrong[15] ^= 1;
                let mut opened = sealed.clone();
                prop_assert!(cipher.open(&nonce, &associated, &mut opened, &wrong).is_none());
                results.push((sealed, tag));
            }
            results.dedup();
            prop_assert_eq!(results.len(), 1);
        }
    }
}

//! Keyed ciphers of one SA, made once: AES-CBC (RFC 3602) and 3DES-CBC (RFC 2451) with a MAC
//! (`authenticator`), AES-GCM-16 (`gcm`).
//!
//! Works in place on a whole ESP packet, `SPI, sequence, IV, body, ICV`, and allocates nothing.
//!
//! IVs: CBC needs unpredictable ones, so the sequence number is encrypted under a key drawn for the
//! SA alone (NIST SP 800-38A appendix C). GCM needs unique ones: the sequence number, XORed with a
//! mask drawn for the SA.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::consts::U16;
use cbc::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit,
    KeyInit,
};
use des::TdesEde3;
use pfkey::{Algorithm, AuthenticationAlgorithm, EncryptionAlgorithm};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::authenticator::Authenticator;
use super::counters::Drop;
use super::gcm::{self, Gcm};
use super::lockstep::{self, Block, Lane};

/// Bytes of SPI and sequence number.
pub(super) const ESP_HEADER: usize = 8;
/// Bytes of padding length and next header.
pub(super) const ESP_TRAILER: usize = 2;

/// Encryption algorithms, as REGISTER tells them: number, IV in bytes, key lengths in bits.
pub(super) const ENCRYPTION: &[Algorithm] = &[
    encryption(EncryptionAlgorithm::TRIPLE_DES_CBC, 8, 192, 192),
    encryption(EncryptionAlgorithm::AES_CBC, 16, 128, 256),
    encryption(EncryptionAlgorithm::AES_GCM_16, 8, 160, 288),
];

/// Authentication algorithms, as REGISTER tells them.
pub(super) const AUTHENTICATION: &[Algorithm] = &[
    authentication(AuthenticationAlgorithm::SHA1_HMAC, 160),
    authentication(AuthenticationAlgorithm::SHA2_256, 256),
    authentication(AuthenticationAlgorithm::SHA2_384, 384),
    authentication(AuthenticationAlgorithm::SHA2_512, 512),
    authentication(AuthenticationAlgorithm::SHA2_256_96, 256),
    authentication(AuthenticationAlgorithm::SHA2_256_DETECT, 256),
];

const fn encryption(
    id: EncryptionAlgorithm,
    iv_len: u8,
    min_bits: u16,
    max_bits: u16,
) -> Algorithm {
    Algorithm {
        id: id.0,
        iv_len,
        min_bits,
        max_bits,
    }
}

const fn authentication(id: AuthenticationAlgorithm, bits: u16) -> Algorithm {
    Algorithm {
        id: id.0,
        iv_len: 0,
        min_bits: bits,
        max_bits: bits,
    }
}

/// The algorithms or the length of a key are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsupported;

/// A packet to be sealed, which has its header, padding and trailer, and room for IV and ICV, or one to
/// be opened.
#[derive(Default)]
pub(super) struct Job<'a> {
    pub(super) sequence: u64,
    /// With extended sequence numbers.
    pub(super) extended: bool,
    pub(super) packet: &'a mut [u8],
    /// Why it is to be dropped.
    pub(super) failed: Option<Drop>,
}

/// How one SA protects its packets.
pub(super) enum Transform {
    Cbc(Box<CbcHmac>),
    Gcm(Box<Gcm>),
}

pub(super) struct CbcHmac {
    cipher: CbcCipher,
    mac: Authenticator,
    iv_cipher: Aes128,
}

enum CbcCipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
    TripleDes(TdesEde3),
}

impl Transform {
    /// Checks the combination and expands the keys.
    pub(super) fn new(
        encryption: EncryptionAlgorithm,
        encryption_key: &[u8],
        authentication: AuthenticationAlgorithm,
        authentication_key: Option<&[u8]>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Unsupported> {
        match encryption {
            EncryptionAlgorithm::AES_GCM_16 => {
                let kernel_set = [
                    AuthenticationAlgorithm::NONE,
                    AuthenticationAlgorithm::AES128_GMAC,
                    AuthenticationAlgorithm::AES192_GMAC,
                    AuthenticationAlgorithm::AES256_GMAC,
                ];
                if authentication_key.is_some() || !kernel_set.contains(&authentication) {
                    return Err(Unsupported);
                }
                Gcm::new(encryption_key, rng).map(|gcm| Self::Gcm(Box::new(gcm)))
            }
            EncryptionAlgorithm::AES_CBC | EncryptionAlgorithm::TRIPLE_DES_CBC => {
                let mut iv_key = Zeroizing::new([0; 16]);
                rng.fill_bytes(&mut *iv_key);
                Ok(Self::Cbc(Box::new(CbcHmac {
                    cipher: CbcCipher::new(encryption, encryption_key)?,
                    mac: Authenticator::new(
                        authentication,
                        authentication_key.ok_or(Unsupported)?,
                    )?,
                    iv_cipher: Aes128::new(&(*iv_key).into()),
                })))
            }
            _ => Err(Unsupported),
        }
    }

    /// The authentication algorithm the kernel shows for the SA.
    pub(super) fn shown_authentication(
        &self,
        requested: AuthenticationAlgorithm,
    ) -> AuthenticationAlgorithm {
        match self {
            Self::Cbc(_) => requested,
            Self::Gcm(gcm) => gcm.shown_authentication(),
        }
    }

    /// Whether HMAC-SHA2-256 is cut to 96 bits.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Cbc(cbc) if matches!(cbc.mac, Authenticator::Sha256Cut(_)))
    }

    /// Cuts HMAC-SHA2-256 to 96 bits or not; no effect on other algorithms.
    pub(super) fn set_cut(&mut self, cut: bool) {
        let Self::Cbc(cbc) = self else { return };
        if let Authenticator::Sha256(mac) | Authenticator::Sha256Cut(mac) = &cbc.mac {
            let mac = mac.clone();
            cbc.mac = match cut {
                true => Authenticator::Sha256Cut(mac),
                false => Authenticator::Sha256(mac),
            };
        }
    }

    /// Takes the one ICV of HMAC-SHA2-256 with which a packet of this length has whole blocks; the
    /// two lengths differ by half of the smallest block.
    pub(super) fn fit_icv(&mut self, packet: usize) {
        self.set_cut(true);
        let overhead = ESP_HEADER + self.iv_len() + self.icv_len();
        let body = packet.wrapping_sub(overhead);
        self.set_cut(body.is_multiple_of(self.alignment()));
    }

    /// The body's length is a multiple of this: the cipher's block, or RFC 4303's 4 bytes.
    pub(super) fn alignment(&self) -> usize {
        match self {
            Self::Cbc(cbc) => cbc.cipher.block(),
            Self::Gcm(_) => 4,
        }
    }

    /// Bytes of the explicit IV.
    pub(super) fn iv_len(&self) -> usize {
        match self {
            Self::Cbc(cbc) => cbc.cipher.block(),
            Self::Gcm(_) => gcm::IV,
        }
    }

    /// Bytes of the ICV.
    pub(super) fn icv_len(&self) -> usize {
        match self {
            Self::Cbc(cbc) => cbc.mac.icv_len(),
            Self::Gcm(_) => gcm::ICV,
        }
    }

    /// Draws the IVs, encrypts the bodies and writes the ICVs. `None` when a packet is too short for
    /// those.
    pub(super) fn seal(&self, jobs: &mut [Job<'_>]) -> Option<()> {
        match self {
            Self::Cbc(cbc) => jobs
                .chunks_mut(lockstep::LANES)
                .try_for_each(|jobs| cbc.seal(jobs)),
            Self::Gcm(gcm) => jobs.iter_mut().try_for_each(|job| gcm.seal(job)),
        }
    }

    /// Whether a packet of this length can be one that [`open`](Self::open) takes.
    pub(super) fn admit(&self, packet: usize) -> Result<(), Drop> {
        let overhead = ESP_HEADER + self.iv_len() + self.icv_len();
        match packet.checked_sub(overhead) {
            None => Err(Drop::Short),
            Some(body) if body < ESP_TRAILER => Err(Drop::Short),
            Some(body) if body % self.alignment() != 0 => Err(Drop::Misaligned),
            Some(_) => Ok(()),
        }
    }

    /// Verifies the ICVs, and decrypts the bodies of those packets where they are right.
    pub(super) fn open(&self, jobs: &mut [Job<'_>]) {
        match self {
            Self::Cbc(cbc) => cbc.open(jobs),
            Self::Gcm(gcm) => {
                for job in jobs {
                    job.failed = gcm.open(job).err();
                }
            }
        }
    }
}

impl CbcHmac {
    /// At most [`lockstep::LANES`] packets.
    fn seal(&self, jobs: &mut [Job<'_>]) -> Option<()> {
        let block = self.cipher.block();
        let icv = self.mac.icv_len();
        let mut ivs = [Block::default(); lockstep::LANES];
        let ivs = ivs.get_mut(..jobs.len())?;
        for (iv, job) in ivs.iter_mut().zip(jobs.iter()) {
            *iv = Array(u128::from(job.sequence).to_be_bytes());
        }
        self.iv_cipher.encrypt_blocks(ivs);
        for (iv, job) in ivs.iter().zip(jobs.iter_mut()) {
            job.packet
                .get_mut(ESP_HEADER..ESP_HEADER + block)?
                .copy_from_slice(iv.get(..block)?);
        }
        self.cipher.encrypt(jobs, ESP_HEADER + block, icv)?;
        self.mac.sign(jobs)
    }

    fn open(&self, jobs: &mut [Job<'_>]) {
        self.mac.verify(jobs);
        for job in jobs.iter_mut().filter(|job| job.failed.is_none()) {
            job.failed = self.decrypt(job.packet).err();
        }
    }

    fn decrypt(&self, packet: &mut [u8]) -> Result<(), Drop> {
        let covered = packet.len().checked_sub(self.mac.icv_len());
        let (iv, body) = covered
            .and_then(|covered| packet.get_mut(ESP_HEADER..covered))
            .and_then(|rest| rest.split_at_mut_checked(self.cipher.block()))
            .ok_or(Drop::Short)?;
        self.cipher.decrypt(iv, body).ok_or(Drop::Misaligned)
    }
}

impl CbcCipher {
    fn new(algorithm: EncryptionAlgorithm, key: &[u8]) -> Result<Self, Unsupported> {
        if algorithm == EncryptionAlgorithm::TRIPLE_DES_CBC {
            return TdesEde3::new_from_slice(key)
                .map(Self::TripleDes)
                .map_err(|_| Unsupported);
        }
        match key.len() {
            16 => Aes128::new_from_slice(key).map(Self::Aes128),
            24 => Aes192::new_from_slice(key).map(Self::Aes192),
            _ => Aes256::new_from_slice(key).map(Self::Aes256),
        }
        .map_err(|_| Unsupported)
    }

    const fn block(&self) -> usize {
        match self {
            Self::TripleDes(_) => 8,
            _ => 16,
        }
    }

    /// Encrypts what lies between the first `front` bytes, of which the last are the IV, and the
    /// last `back` bytes.
    fn encrypt(&self, jobs: &mut [Job<'_>], front: usize, back: usize) -> Option<()> {
        match self {
            Self::Aes128(cipher) => encrypt_in_lockstep(cipher, jobs, front, back),
            Self::Aes192(cipher) => encrypt_in_lockstep(cipher, jobs, front, back),
            Self::Aes256(cipher) => encrypt_in_lockstep(cipher, jobs, front, back),
            Self::TripleDes(cipher) => jobs.iter_mut().try_for_each(|job| {
                let end = job.packet.len().checked_sub(back)?;
                let (head, body) = job.packet.get_mut(..end)?.split_at_mut_checked(front)?;
                let iv = head.last_chunk::<8>()?;
                cbc_encrypt(cipher, iv, body)
            }),
        }
    }

    fn decrypt(&self, iv: &[u8], body: &mut [u8]) -> Option<()> {
        match self {
            Self::Aes128(cipher) => cbc_decrypt(cipher, iv, body),
            Self::Aes192(cipher) => cbc_decrypt(cipher, iv, body),
            Self::Aes256(cipher) => cbc_decrypt(cipher, iv, body),
            Self::TripleDes(cipher) => cbc_decrypt(cipher, iv, body),
        }
    }
}

fn encrypt_in_lockstep<C>(cipher: &C, jobs: &mut [Job<'_>], front: usize, back: usize) -> Option<()>
where
    C: BlockCipherEncrypt<BlockSize = U16>,
{
    if let [job] = jobs {
        let Lane { iv, blocks } = lane(job, front, back)?;
        cbc::Encryptor::inner_iv_init(cipher, &iv).encrypt_blocks(blocks);
        return Some(());
    }
    let mut lanes: [Lane<'_>; lockstep::LANES] = std::array::from_fn(|_| Lane::default());
    let lanes = lanes.get_mut(..jobs.len())?;
    for (place, job) in lanes.iter_mut().zip(jobs) {
        *place = lane(job, front, back)?;
    }
    lockstep::encrypt(cipher, lanes);
    Some(())
}

/// What is to be encrypted of a packet, and the IV before it.
fn lane<'a>(job: &'a mut Job<'_>, front: usize, back: usize) -> Option<Lane<'a>> {
    let end = job.packet.len().checked_sub(back)?;
    let (head, body) = job.packet.get_mut(..end)?.split_at_mut_checked(front)?;
    let (blocks, []) = Array::slice_as_chunks_mut(body) else {
        return None;
    };
    let iv = Array(*head.last_chunk()?);
    Some(Lane { iv, blocks })
}

fn cbc_encrypt<C: BlockCipherEncrypt>(cipher: &C, iv: &[u8], body: &mut [u8]) -> Option<()> {
    let iv = Array::slice_as_array(iv)?;
    let (blocks, []) = Array::slice_as_chunks_mut(body) else {
        return None;
    };
    cbc::Encryptor::inner_iv_init(cipher, iv).encrypt_blocks(blocks);
    Some(())
}

fn cbc_decrypt<C: BlockCipherDecrypt>(cipher: &C, iv: &[u8], body: &mut [u8]) -> Option<()> {
    let iv = Array::slice_as_array(iv)?;
    let (blocks, []) = Array::slice_as_chunks_mut(body) else {
        return None;
    };
    cbc::Decryptor::inner_iv_init(cipher, iv).decrypt_blocks(blocks);
    Some(())
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// RFC 3602 section 4 cases 1 to 4, and NIST SP 800-38A F.2.3 and F.2.5 for the longer keys.
    #[test]
    fn known_cbc_blocks() {
        let check = |key: &[u8], iv: &[u8], plain: &[u8], cipher_text: &[u8]| {
            let cipher = CbcCipher::new(EncryptionAlgorithm::AES_CBC, key).unwrap();
            // Twice, for the cipher in lock-step is not the one for a single packet.
            for side_by_side in [1, 2] {
                let mut packets = vec![[iv, plain].concat(); side_by_side];
                let mut jobs: Vec<_> = packets
                    .iter_mut()
                    .map(|packet| Job {
                        packet,
                        ..Job::default()
                    })
                    .collect();
                cipher.encrypt(&mut jobs, iv.len(), 0).unwrap();
                for packet in &packets {
                    assert_eq!(packet[iv.len()..], *cipher_text);
                }
            }
            let mut body = cipher_text.to_vec();
            cipher.decrypt(iv, &mut body).unwrap();
            assert_eq!(body, plain);
        };
        check(
            &hex!("06a9214036b8a15b512e03d534120006"),
            &hex!("3dafba429d9eb430b422da802c9fac41"),
            b"Single block msg",
            &hex!("e353779c1079aeb82708942dbe77181a"),
        );
        check(
            &hex!("c286696d887c9aa0611bbb3e2025a45a"),
            &hex!("562e17996d093d28ddb3ba695a2e6f58"),
            &hex!("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
            &hex!("d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1"),
        );
        check(
            &hex!("6c3ea0477630ce21a2ce334aa746c2cd"),
            &hex!("c782dc4c098c66cbd9cd27d825682c81"),
            b"This is a 48-byte message (exactly 3 AES blocks)",
            &hex!(
                "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5"
                "021c19216bad525c8579695d83ba2684"
            ),
        );
        check(
            &hex!("56e47a38c5598974bc46903dba290349"),
            &hex!("8ce82eefbea0da3c44699ed7db51b7d9"),
            &hex!(
                "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
                "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
            ),
            &hex!(
                "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e"
                "35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55"
            ),
        );
        let iv = hex!("000102030405060708090a0b0c0d0e0f");
        let plain = hex!("6bc1bee22e409f96e93d7e117393172a");
        check(
            &hex!("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"),
            &iv,
            &plain,
            &hex!("4f021db243bc633d7178183a9fa071e8"),
        );
        check(
            &hex!("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
            &iv,
            &plain,
            &hex!("f58c4c04d6e5f1ba779eabfb5f7bfbd6"),
        );
    }

    #[test]
    fn keys_of_other_lengths_and_other_algorithms_are_refused() {
        use rand_chacha::rand_core::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut refused = |encryption, key: usize, authentication, mac: Option<usize>| {
            let mac = mac.map(|len| vec![1; len]);
            Transform::new(
                EncryptionAlgorithm(encryption),
                &vec![2; key],
                AuthenticationAlgorithm(authentication),
                mac.as_deref(),
                &mut rng,
            )
            .is_err()
        };
        assert!(!refused(12, 16, 3, Some(20)));
        assert!(!refused(12, 24, 5, Some(32)));
        assert!(!refused(12, 32, 7, Some(64)));
        assert!(!refused(3, 24, 3, Some(20)));
        assert!(!refused(20, 20, 0, None));
        assert!(!refused(20, 36, 13, None));
        assert!(refused(12, 17, 3, Some(20)));
        assert!(refused(12, 16, 3, Some(19)));
        assert!(refused(12, 16, 0, None), "no unauthenticated ESP");
        assert!(refused(11, 0, 3, Some(20)), "no NULL encryption");
        assert!(refused(3, 16, 3, Some(20)));
        assert!(refused(20, 16, 0, None), "the salt is missing");
        assert!(refused(20, 3, 0, None));
        assert!(
            refused(20, 20, 3, Some(20)),
            "AES-GCM authenticates by itself"
        );
        assert!(refused(15, 36, 0, None));
    }
}

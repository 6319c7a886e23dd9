//! Key derivation and authentication hashes of IKEv1: RFC 2409 sections 5, 5.4, 5.5, 5.7 and
//! appendix B.
//!
//! Names follow the RFC: `skeyid` and its relatives, `ni`/`nr` are the bodies of the nonce payloads,
//! `gxi`/`gxr` the bodies of the KE payloads, `cky_i`/`cky_r` the cookies, `gxy` the shared secret.

use crate::{Cipher, CipherError, Hash, Iv, Secret, prf};

/// An ISAKMP cookie.
pub type Cookie = [u8; 8];

/// SKEYID and the three keys derived from it, RFC 2409 section 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeyids {
    /// The root, which also keys HASH_I and HASH_R.
    pub skeyid: Secret,
    /// SKEYID_d: keying material for other security associations.
    pub d: Secret,
    /// SKEYID_a: authenticates phase 2 and informational messages.
    pub a: Secret,
    /// SKEYID_e: encrypts messages of the ISAKMP SA, after [`cipher_key`].
    pub e: Secret,
}

/// SKEYID for pre-shared keys: `prf(pre-shared-key, Ni_b | Nr_b)`.
pub fn skeyid_psk(hash: Hash, psk: &[u8], ni: &[u8], nr: &[u8]) -> Secret {
    prf(hash, psk, &[ni, nr])
}

/// SKEYID for signatures: `prf(Ni_b | Nr_b, g^xy)`, RFC 2409 section 5. Hybrid authentication takes
/// the same.
pub fn skeyid_signatures(hash: Hash, ni: &[u8], nr: &[u8], gxy: &Secret) -> Secret {
    let nonces = zeroize::Zeroizing::new([ni, nr].concat());
    prf(hash, &nonces, &[gxy.expose()])
}

impl Skeyids {
    /// SKEYID_d, SKEYID_a and SKEYID_e, each feeding the next.
    pub fn derive(
        hash: Hash,
        skeyid: Secret,
        gxy: &Secret,
        cky_i: &Cookie,
        cky_r: &Cookie,
    ) -> Self {
        let next = |previous: &[u8], number: u8| {
            let parts = [
                previous,
                gxy.expose(),
                &cky_i[..],
                &cky_r[..],
                &[number][..],
            ];
            prf(hash, skeyid.expose(), &parts)
        };
        let d = next(&[], 0);
        let a = next(d.expose(), 1);
        let e = next(a.expose(), 2);
        Self { skeyid, d, a, e }
    }
}

/// Ka, the cipher key: the front of SKEYID_e, stretched when the PRF is too short for the cipher
/// (appendix B: K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1), ...).
pub fn cipher_key(hash: Hash, cipher: Cipher, skeyid_e: &Secret) -> Secret {
    let mut key = if skeyid_e.len() >= cipher.key_len() {
        skeyid_e.clone()
    } else {
        feedback(cipher.key_len(), |previous| {
            prf(hash, skeyid_e.expose(), &[previous.unwrap_or(&[0])])
        })
    };
    key.truncate(cipher.key_len());
    key
}

/// The IV of the first encrypted phase 1 message: the front of `hash(g^xi | g^xr)`, appendix B.
pub fn phase1_iv(hash: Hash, cipher: Cipher, gxi: &[u8], gxr: &[u8]) -> Result<Iv, CipherError> {
    iv(cipher, &hash.digest(&[gxi, gxr]))
}

/// The IV of the first message of a phase 2 or informational exchange: the front of
/// `hash(last phase 1 cipher block | message id)`, appendix B.
pub fn phase2_iv(
    hash: Hash,
    cipher: Cipher,
    last_phase1_block: &Iv,
    message_id: u32,
) -> Result<Iv, CipherError> {
    iv(
        cipher,
        &hash.digest(&[last_phase1_block.as_bytes(), &message_id.to_be_bytes()]),
    )
}

/// HASH_I, RFC 2409 section 5: `prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b)`.
///
/// `sai_b` is the body of the initiator's SA payload as it was received, `idii_b` of its ID payload.
pub fn hash_i(hash: Hash, skeyid: &Secret, exchange: &Exchange<'_>, idii_b: &[u8]) -> Secret {
    let Exchange {
        gxi,
        gxr,
        cky_i,
        cky_r,
        sai_b,
    } = *exchange;
    prf(
        hash,
        skeyid.expose(),
        &[gxi, gxr, &cky_i[..], &cky_r[..], sai_b, idii_b],
    )
}

/// HASH_R, RFC 2409 section 5: `prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b)`.
pub fn hash_r(hash: Hash, skeyid: &Secret, exchange: &Exchange<'_>, idir_b: &[u8]) -> Secret {
    let Exchange {
        gxi,
        gxr,
        cky_i,
        cky_r,
        sai_b,
    } = *exchange;
    prf(
        hash,
        skeyid.expose(),
        &[gxr, gxi, &cky_r[..], &cky_i[..], sai_b, idir_b],
    )
}

/// What both phase 1 hashes cover.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Body of the initiator's KE payload.
    pub gxi: &'a [u8],
    /// Body of the responder's KE payload.
    pub gxr: &'a [u8],
    /// Initiator cookie.
    pub cky_i: &'a Cookie,
    /// Responder cookie.
    pub cky_r: &'a Cookie,
    /// Body of the initiator's SA payload, every octet after the generic header.
    pub sai_b: &'a [u8],
}

/// HASH(1) of Quick Mode, and the hash of informational exchanges: `prf(SKEYID_a, M-ID | rest)`,
/// sections 5.5 and 5.7. `rest` is everything after the HASH payload, generic headers included,
/// padding not.
pub fn hash_1(hash: Hash, skeyid_a: &Secret, message_id: u32, rest: &[u8]) -> Secret {
    prf(hash, skeyid_a.expose(), &[&message_id.to_be_bytes(), rest])
}

/// HASH(2) of Quick Mode: `prf(SKEYID_a, M-ID | Ni_b | rest)`, section 5.5.
pub fn hash_2(hash: Hash, skeyid_a: &Secret, message_id: u32, ni: &[u8], rest: &[u8]) -> Secret {
    prf(
        hash,
        skeyid_a.expose(),
        &[&message_id.to_be_bytes(), ni, rest],
    )
}

/// HASH(3) of Quick Mode: `prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b)`, section 5.5.
pub fn hash_3(hash: Hash, skeyid_a: &Secret, message_id: u32, ni: &[u8], nr: &[u8]) -> Secret {
    prf(
        hash,
        skeyid_a.expose(),
        &[&[0], &message_id.to_be_bytes(), ni, nr],
    )
}

/// What KEYMAT of one SA is made from, section 5.5.
#[derive(Clone, Copy, Debug)]
pub struct KeymatInput<'a> {
    /// `g(qm)^xy` when the exchange had its own KE payloads (perfect forward secrecy).
    pub gqm: Option<&'a Secret>,
    /// The protocol number of the proposal: 2 AH, 3 ESP.
    pub protocol: u8,
    /// SPI of this SA, chosen by its receiver, in network order.
    pub spi: u32,
    /// Body of the initiator's nonce payload in this exchange.
    pub ni: &'a [u8],
    /// Body of the responder's nonce payload in this exchange.
    pub nr: &'a [u8],
}

/// `len` octets of KEYMAT: K1 = prf(SKEYID_d, [g(qm)^xy |] protocol | SPI | Ni_b | Nr_b),
/// K2 = prf(SKEYID_d, K1 | ...), and so on. The encryption key is taken first, then the
/// authentication key.
pub fn keymat(hash: Hash, skeyid_d: &Secret, input: &KeymatInput<'_>, len: usize) -> Secret {
    let gqm = input.gqm.map_or(&[][..], Secret::expose);
    let spi = input.spi.to_be_bytes();
    let mut keymat = feedback(len, |previous| {
        let previous = previous.unwrap_or(&[]);
        let parts = [
            previous,
            gqm,
            &[input.protocol][..],
            &spi[..],
            input.ni,
            input.nr,
        ];
        prf(hash, skeyid_d.expose(), &parts)
    });
    keymat.truncate(len);
    keymat
}

/// Blocks, each made from the one before, until there are `len` octets.
fn feedback(len: usize, block: impl Fn(Option<&[u8]>) -> Secret) -> Secret {
    let mut output = zeroize::Zeroizing::new(Vec::with_capacity(len.saturating_add(64)));
    let mut previous: Option<Secret> = None;
    while output.len() < len {
        let next = block(previous.as_ref().map(Secret::expose));
        output.extend_from_slice(next.expose());
        previous = Some(next);
    }
    Secret::from(output)
}

fn iv(cipher: Cipher, digest: &[u8]) -> Result<Iv, CipherError> {
    Iv::new(digest.get(..cipher.block_len()).unwrap_or(digest))
}

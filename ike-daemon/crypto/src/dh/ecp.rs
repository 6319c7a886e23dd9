//! ECP groups over the NIST curves, RFC 5903: the public value is x | y without a format octet
//! (section 7), the shared secret is the x coordinate (section 7, erratum of RFC 4753).

use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{
    AffinePoint, Curve, CurveArithmetic, FieldBytesSize, Generate, PublicKey, SecretKey,
};
use rand_core::CryptoRng;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use zeroize::Zeroizing;

use super::DhError;
use crate::Secret;

/// SEC 1 section 2.3.3: an uncompressed point follows.
const UNCOMPRESSED: u8 = 4;

pub(super) fn generate<C: Curve>(rng: &mut dyn CryptoRng) -> SecretKey<C> {
    SecretKey::generate_from_rng(rng)
}

pub(super) fn public<C>(key: &SecretKey<C>) -> Vec<u8>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let point = key.public_key().to_sec1_point(false);
    point.as_bytes().get(1..).unwrap_or_default().to_vec()
}

/// # Errors
/// [`DhError::NotInGroup`] unless `peer` is a point of the curve. The curves have cofactor one, so
/// every point but the one at infinity, which has no x | y form, is fine.
pub(super) fn agree<C>(key: &SecretKey<C>, peer: &[u8]) -> Result<Secret, DhError>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let peer =
        PublicKey::<C>::from_sec1_bytes(&uncompressed(peer)).map_err(|_| DhError::NotInGroup)?;
    let shared =
        p256::elliptic_curve::ecdh::diffie_hellman(key.to_nonzero_scalar(), peer.as_affine());
    Ok(Secret::from(&shared.raw_secret_bytes()[..]))
}

/// [`agree`] over P-256, in a quarter of the time where the processor has what Graviola needs.
///
/// # Errors
/// As [`agree`].
pub(super) fn agree_256(key: &p256::SecretKey, peer: &[u8]) -> Result<Secret, DhError> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if graviola::util::is_cpu_supported() {
        return agree_by_graviola(key, peer);
    }
    agree(key, peer)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn agree_by_graviola(key: &p256::SecretKey, peer: &[u8]) -> Result<Secret, DhError> {
    use graviola::key_agreement::p256::{PublicKey, StaticPrivateKey};

    let scalar = Zeroizing::new(key.to_bytes());
    let shared = PublicKey::from_x962_uncompressed(&uncompressed(peer))
        .and_then(|peer| StaticPrivateKey::from_bytes(&scalar)?.diffie_hellman(&peer));
    let shared = shared.map_err(|_| DhError::NotInGroup)?;
    Ok(Secret::from(&shared.0[..]))
}

/// x | y as SEC 1 has it.
fn uncompressed(point: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(point.len().saturating_add(1));
    encoded.push(UNCOMPRESSED);
    encoded.extend_from_slice(point);
    encoded
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::*;

    proptest! {
        /// What one takes and what comes of it, the other does, too; a changed octet leaves the curve.
        #[test]
        fn both_implementations_agree(seed: u64, place in 0_usize..64, change: u8) {
            prop_assume!(graviola::util::is_cpu_supported());
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let (ours, theirs) = (generate::<p256::NistP256>(&mut rng), generate(&mut rng));
            let mut peer = public::<p256::NistP256>(&theirs);
            peer[place] ^= change;
            let octets = |shared: Secret| shared.expose().to_vec();
            prop_assert_eq!(
                agree_by_graviola(&ours, &peer).map(octets),
                agree(&ours, &peer).map(octets)
            );
        }
    }

    #[test]
    fn what_is_no_point_is_refused_by_both() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let key = generate::<p256::NistP256>(&mut rng);
        for peer in [vec![0; 64], vec![0xff; 64], vec![1; 63], Vec::new()] {
            assert!(agree_by_graviola(&key, &peer).is_err(), "{peer:02x?}");
            assert!(agree(&key, &peer).is_err(), "{peer:02x?}");
        }
    }
}

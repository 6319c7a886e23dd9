//! ECP groups over the NIST curves, RFC 5903: the public value is x | y without a format octet
//! (section 7), the shared secret is the x coordinate (section 7, erratum of RFC 4753).

use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{
    AffinePoint, Curve, CurveArithmetic, FieldBytesSize, Generate, PublicKey, SecretKey,
};
use rand_core::CryptoRng;

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
    let mut encoded = Vec::with_capacity(peer.len().saturating_add(1));
    encoded.push(UNCOMPRESSED);
    encoded.extend_from_slice(peer);
    let peer = PublicKey::<C>::from_sec1_bytes(&encoded).map_err(|_| DhError::NotInGroup)?;
    let shared =
        p256::elliptic_curve::ecdh::diffie_hellman(key.to_nonzero_scalar(), peer.as_affine());
    Ok(Secret::from(&shared.raw_secret_bytes()[..]))
}

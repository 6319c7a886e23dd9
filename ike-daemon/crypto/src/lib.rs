//! The cryptography of IKEv1, RFC 2409: no I/O, no clock, no randomness of its own.
//!
//! * [`secret`]: bytes that are wiped and never printed
//! * [`hash`]: hash functions and the HMAC PRF
//! * [`keys`]: SKEYID and its relatives, IVs, HASH_I to HASH(3), KEYMAT
//! * [`cipher`]: AES and 3DES in CBC mode with IV chaining
//! * [`dh`]: Diffie-Hellman groups, MODP and elliptic curve

pub mod cipher;
pub mod dh;
pub mod hash;
pub mod keys;
pub mod secret;

pub use cipher::{Cipher, CipherError, Iv};
pub use dh::{DhError, Group, KeyPair, PrivateKey};
pub use hash::{Hash, prf, verify};
pub use keys::{
    Cookie, Exchange, KeymatInput, Skeyids, cipher_key, hash_1, hash_2, hash_3, hash_i, hash_r,
    keymat, phase1_iv, phase2_iv, skeyid_psk, skeyid_signatures,
};
pub use secret::Secret;

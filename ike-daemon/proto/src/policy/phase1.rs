//! What an ISAKMP SA may be made of.

use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};

/// Phase 1: the ISAKMP SA. A responder takes the first transform of the peer whose parts are all
/// in these lists; an initiator offers every combination in list order.
#[derive(Clone, Debug)]
pub struct Phase1Policy {
    /// Ciphers, preferred first.
    pub ciphers: Vec<Cipher>,
    /// Hashes, preferred first.
    pub hashes: Vec<Hash>,
    /// Groups, preferred first. MODP 1024 is offered from here only with `allow_modp1024`, and
    /// accepted with it whether it is listed or not.
    pub groups: Vec<Group>,
    /// Accept MODP 1024 in phase 1. (PFS with it is always accepted: it only adds.)
    pub allow_modp1024: bool,
    /// What we offer, and assume when the peer names none.
    pub lifetime: Duration,
    /// The most we accept; longer offers are cut to this.
    pub lifetime_max: Duration,
}

impl Default for Phase1Policy {
    fn default() -> Self {
        Self {
            ciphers: vec![
                Cipher::Aes256,
                Cipher::Aes192,
                Cipher::Aes128,
                Cipher::TripleDes,
            ],
            hashes: vec![Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1],
            groups: vec![
                Group::Modp2048,
                Group::Ecp256,
                Group::Ecp384,
                Group::Ecp521,
                Group::Curve25519,
                Group::Modp3072,
                Group::Modp4096,
                Group::Modp1536,
                Group::Modp1024,
            ],
            allow_modp1024: false,
            lifetime: Duration::from_secs(28_800),
            lifetime_max: Duration::from_secs(86_400),
        }
    }
}

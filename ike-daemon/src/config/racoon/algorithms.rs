//! racoon's algorithms as ours.

use ike_crypto::{Cipher, Group, Hash};
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::policy::EspSuite;
use racoon_conf::words::{Authentication, DhGroup, Encryption, HashAlgorithm, ProposalCheck};

/// Key lengths of AES that fit `written`, preferred first: `obey` takes what the peer says, `claim`
/// and `strict` nothing shorter, `exact` nothing else. Without a length racoon means 128.
pub(super) fn aes_bits(written: Option<u64>, check: ProposalCheck) -> Option<Vec<u16>> {
    let own = match written {
        None => 128,
        Some(bits @ (128 | 192 | 256)) => u16::try_from(bits).ok()?,
        Some(_) => return None,
    };
    let mut all = vec![own];
    all.extend([256, 192, 128].into_iter().filter(|bits| {
        *bits != own
            && match check {
                ProposalCheck::Obey => true,
                ProposalCheck::Claim | ProposalCheck::Strict => *bits > own,
                ProposalCheck::Exact => false,
            }
    }));
    Some(all)
}

pub(super) fn aes(bits: u16) -> Cipher {
    match bits {
        256 => Cipher::Aes256,
        192 => Cipher::Aes192,
        _ => Cipher::Aes128,
    }
}

pub(super) fn hash(hash: HashAlgorithm) -> Option<Hash> {
    Some(match hash {
        HashAlgorithm::Md5 => Hash::Md5,
        HashAlgorithm::Sha1 => Hash::Sha1,
        HashAlgorithm::Sha256 => Hash::Sha256,
        HashAlgorithm::Sha384 => Hash::Sha384,
        HashAlgorithm::Sha512 => Hash::Sha512,
        HashAlgorithm::Tiger => return None,
    })
}

pub(super) fn group(group: DhGroup) -> Option<Group> {
    Some(match group {
        DhGroup::Modp1024 => Group::Modp1024,
        DhGroup::Modp1536 => Group::Modp1536,
        DhGroup::Modp2048 => Group::Modp2048,
        DhGroup::Modp3072 => Group::Modp3072,
        DhGroup::Modp4096 => Group::Modp4096,
        DhGroup::Modp768
        | DhGroup::Ec2n155
        | DhGroup::Ec2n185
        | DhGroup::Modp6144
        | DhGroup::Modp8192 => return None,
    })
}

pub(super) fn authentication(authentication: Authentication) -> Option<EspAuth> {
    Some(match authentication {
        Authentication::HmacSha1 => EspAuth::HMAC_SHA1,
        Authentication::HmacSha256 => EspAuth::HMAC_SHA2_256,
        Authentication::HmacSha384 => EspAuth::HMAC_SHA2_384,
        Authentication::HmacSha512 => EspAuth::HMAC_SHA2_512,
        Authentication::HmacMd5
        | Authentication::DesMac
        | Authentication::Kpdk
        | Authentication::None => return None,
    })
}

/// Whether a cipher is served at all.
pub(super) fn serves(name: Encryption) -> bool {
    matches!(name, Encryption::Aes | Encryption::TripleDes)
}

/// Every cipher with every authentication, in the order that racoon offers them.
pub(super) fn suites(ciphers: &[(EspTransform, u16)], auths: &[EspAuth]) -> Vec<EspSuite> {
    let mut suites: Vec<EspSuite> = Vec::new();
    for (cipher, key_bits) in ciphers {
        for auth in auths {
            let suite = EspSuite {
                cipher: *cipher,
                key_bits: *key_bits,
                auth: *auth,
            };
            if !suites.contains(&suite) {
                suites.push(suite);
            }
        }
    }
    suites
}

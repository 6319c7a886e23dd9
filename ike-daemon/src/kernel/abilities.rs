//! What the system's kernel can do: the algorithms of its REGISTER reply in the core's numbers.

use ike_proto::carrier::SystemAbilities;
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::policy::Sha256Icv;
use pfkey::ext::Algorithm;
use pfkey::{AuthenticationAlgorithm, EncryptionAlgorithm};

/// FreeBSD 14 takes UDP encapsulation for IPv4 only (`udp_ipsec_input` of netipsec/udpencap.c).
const IPV6_ENCAPSULATION: bool = !cfg!(target_os = "freebsd");

/// From the lists of a REGISTER reply. PF_KEY's ESP transforms have the numbers of the DOI
/// (RFC 2407 section 4.4.4); authentication algorithms have not.
pub fn announced(authentication: &[Algorithm], encryption: &[Algorithm]) -> SystemAbilities {
    SystemAbilities {
        ciphers: encryption
            .iter()
            .map(|algorithm| EspTransform(algorithm.id))
            .collect(),
        auths: authentication
            .iter()
            .filter_map(|algorithm| doi_number(AuthenticationAlgorithm(algorithm.id)))
            .collect(),
        ipv6_encapsulation: IPV6_ENCAPSULATION,
        oldest_first: super::oldest_first(),
    }
}

/// PF_KEY's number of an ESP transform.
pub fn encryption(transform: EspTransform) -> EncryptionAlgorithm {
    EncryptionAlgorithm(transform.0)
}

const AUTHENTICATION: [(EspAuth, AuthenticationAlgorithm); 4] = [
    (EspAuth::HMAC_SHA1, AuthenticationAlgorithm::SHA1_HMAC),
    (EspAuth::HMAC_SHA2_256, AuthenticationAlgorithm::SHA2_256),
    (EspAuth::HMAC_SHA2_384, AuthenticationAlgorithm::SHA2_384),
    (EspAuth::HMAC_SHA2_512, AuthenticationAlgorithm::SHA2_512),
];

/// PF_KEY's number of an authentication algorithm (RFC 2407 section 4.5); `short` cuts an
/// HMAC-SHA-256 ICV to 96 bits.
pub fn authentication(algorithm: EspAuth, icv: Sha256Icv) -> AuthenticationAlgorithm {
    match icv {
        Sha256Icv::Short if algorithm == EspAuth::HMAC_SHA2_256 => {
            return AuthenticationAlgorithm::SHA2_256_96;
        }
        Sha256Icv::Detect if algorithm == EspAuth::HMAC_SHA2_256 => {
            return AuthenticationAlgorithm::SHA2_256_DETECT;
        }
        _ => {}
    }
    AUTHENTICATION
        .iter()
        .find(|(doi, _)| *doi == algorithm)
        .map_or(AuthenticationAlgorithm::NONE, |(_, pfkey)| *pfkey)
}

fn doi_number(algorithm: AuthenticationAlgorithm) -> Option<EspAuth> {
    AUTHENTICATION
        .iter()
        .find(|(_, pfkey)| *pfkey == algorithm)
        .map(|(doi, _)| *doi)
}

//! What IPsec SAs may be made of, and carry.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use crate::iana::{EspAuth, EspTransform};

/// Phase 2: IPsec SAs.
#[derive(Clone, Debug)]
pub struct Phase2Policy {
    /// Suites, preferred first.
    pub suites: Vec<EspSuite>,
    /// Accept (and offer) 3DES suites that are in the list.
    pub allow_3des: bool,
    /// Accept transport mode.
    pub transport: bool,
    /// Accept tunnel mode.
    pub tunnel: bool,
    /// What peers may ask us to carry in transport mode; empty means anything.
    pub services: Vec<Service>,
    /// Our side of tunnel mode: subnets peers may reach. Empty means none.
    pub networks: Vec<IpNet>,
    /// Insist on perfect forward secrecy. It is always granted when asked for.
    pub require_pfs: bool,
    /// What we offer, and assume when the peer names none.
    pub lifetime: Duration,
    /// The most we accept.
    pub lifetime_max: Duration,
    /// Kilobytes we offer as initiator; 0 offers none.
    pub lifetime_kilobytes: u64,
    /// How long the ICV of HMAC-SHA-256 is.
    pub sha256_icv: Sha256Icv,
    /// Anti-replay window in packets.
    pub replay_window: u32,
    /// As responder, start rekeying ourselves when the initiator is late.
    pub rekey_as_responder: bool,
}

/// One way to protect packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspSuite {
    /// Transform.
    pub cipher: EspTransform,
    /// Key length in bits: 128, 192 or 256 for AES; 0 for 3DES.
    pub key_bits: u16,
    /// Authentication; [`EspAuth::NONE`] with AES-GCM.
    pub auth: EspAuth,
}

impl fmt::Display for EspSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cipher)?;
        if self.key_bits != 0 {
            write!(f, "-{}", self.key_bits)?;
        }
        match self.auth {
            EspAuth::NONE => Ok(()),
            auth => write!(f, "/{auth}"),
        }
    }
}

/// The ICV of HMAC-SHA-256 in ESP. Android 4.4 to 7 and Linux before 2.6.33 cut it to 96 bits under the
/// number of RFC 4868's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sha256Icv {
    /// 128 bits, as RFC 4868 has it.
    #[default]
    Full,
    /// 96 bits. Only softkernel has it.
    Short,
    /// What the peer's first packet has, where softkernel carries it; elsewhere 128 bits.
    Detect,
}

impl Sha256Icv {
    /// Whether it takes softkernel.
    pub fn is_short(self) -> bool {
        self == Self::Short
    }
}

/// A protocol and port on our side, such as UDP 1701.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// IP protocol number.
    pub protocol: u8,
    /// Port on our side.
    pub port: u16,
}

impl Default for Phase2Policy {
    fn default() -> Self {
        let cbc = |key_bits, auth| EspSuite {
            cipher: EspTransform::AES_CBC,
            key_bits,
            auth,
        };
        let gcm = |key_bits| EspSuite {
            cipher: EspTransform::AES_GCM_16,
            key_bits,
            auth: EspAuth::NONE,
        };
        let mut suites = vec![gcm(256), gcm(192), gcm(128)];
        for auth in [
            EspAuth::HMAC_SHA2_256,
            EspAuth::HMAC_SHA2_384,
            EspAuth::HMAC_SHA2_512,
            EspAuth::HMAC_SHA1,
        ] {
            for key_bits in [256, 192, 128] {
                suites.push(cbc(key_bits, auth));
            }
        }
        for auth in [EspAuth::HMAC_SHA2_256, EspAuth::HMAC_SHA1] {
            suites.push(EspSuite {
                cipher: EspTransform::TRIPLE_DES,
                key_bits: 0,
                auth,
            });
        }
        Self {
            suites,
            allow_3des: false,
            transport: true,
            tunnel: false,
            services: vec![Service {
                protocol: 17,
                port: 1701,
            }],
            networks: Vec::new(),
            require_pfs: false,
            // RFC 2407 4.5: 28800 when not specified.
            lifetime: Duration::from_secs(28_800),
            lifetime_max: Duration::from_secs(86_400),
            lifetime_kilobytes: 0,
            sha256_icv: Sha256Icv::Full,
            replay_window: 128,
            rekey_as_responder: true,
        }
    }
}

impl Phase2Policy {
    /// The suites that may be used, preferred first.
    pub fn allowed_suites(&self) -> impl Iterator<Item = &EspSuite> {
        let des = |suite: &&EspSuite| suite.cipher == EspTransform::TRIPLE_DES;
        self.suites
            .iter()
            .filter(move |suite| self.allow_3des || !des(suite))
    }
}

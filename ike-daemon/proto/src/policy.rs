//! What the endpoint is allowed to do: one validated value, replaceable at run time.

mod authentication;
mod mode_config;
mod remote;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash, Secret};
use ipnet::IpNet;

use crate::iana::{EspAuth, EspTransform};
use crate::io::Mode;
use crate::wire::header::MAX_MESSAGE;
use crate::wire::id::Identification;

pub(crate) use authentication::Proof;
pub use authentication::{Authentication, Method, OwnCertificate, PeerPattern};
pub use mode_config::{AddressRange, ModeConfig, XauthUser};
pub use remote::{Remote, Terms};

/// Everything configurable. `Default` is a server that admits L2TP clients with today's algorithms
/// and has no secret yet.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Pre-shared keys; the most specific one that fits is used.
    pub secrets: Vec<SecretEntry>,
    /// Who we say we are; our address by default.
    pub local_identity: Option<Identification>,
    /// Accept exchanges started by peers.
    pub respond: bool,
    /// Accept Aggressive Mode from peers whose identity has a secret of its own. Whoever listens,
    /// or just asks, can then guess at that secret at leisure; see [`Policy::notes`].
    pub aggressive: bool,
    /// How peers and we prove who we are.
    pub authentication: Authentication,
    /// Phase 1 algorithms and lifetimes.
    pub phase1: Phase1Policy,
    /// Phase 2 algorithms, modes and lifetimes.
    pub phase2: Phase2Policy,
    /// Addresses and users for clients in tunnel mode that ask for them.
    pub mode_config: Option<Arc<ModeConfig>>,
    /// Peers with rules of their own.
    pub remotes: Vec<Remote>,
    /// NAT traversal.
    pub nat: NatPolicy,
    /// IKE fragmentation.
    pub fragmentation: FragmentationPolicy,
    /// Dead peer detection.
    pub dpd: DpdPolicy,
    /// Retransmission.
    pub retransmit: RetransmitPolicy,
    /// Bounds on what peers can make us keep.
    pub limits: Limits,
    /// Peers we can initiate to.
    pub connections: Vec<Connection>,
}

/// A pre-shared key and whom it is for.
#[derive(Clone, Debug)]
pub struct SecretEntry {
    /// Whom.
    pub peer: SecretPeer,
    /// The key.
    pub secret: Secret,
}

/// Whom a pre-shared key is for, most specific first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPeer {
    /// This address.
    Address(IpAddr),
    /// Peers that authenticate as this identity. In Main Mode the identity comes encrypted under
    /// the key itself, so these keys are tried when the one for the address does not fit.
    Identity(Identification),
    /// A subnet; the longest prefix wins.
    Subnet(IpNet),
    /// Everybody else.
    Any,
}

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

/// NAT traversal.
#[derive(Clone, Debug)]
pub struct NatPolicy {
    /// Do it at all.
    pub enabled: bool,
    /// Also as drafts 02 and 03 have it, with peers that do not know RFC 3947.
    pub drafts: bool,
    /// Pretend to be behind NAT so that ESP always travels in UDP (as initiator and responder).
    pub force: bool,
    /// How often to send a keepalive while we are behind NAT (RFC 3948 4). Zero turns it off.
    pub keepalive: Duration,
    /// The port of IKE, 500.
    pub ike_port: u16,
    /// The port IKE floats to, 4500.
    pub natt_port: u16,
}

/// IKE fragmentation as Microsoft and Cisco do it.
#[derive(Clone, Debug)]
pub struct FragmentationPolicy {
    /// With whom.
    pub mode: Fragmentation,
    /// The longest IP packet a message of ours may become before it is cut, in octets, and the
    /// longest a fragment becomes.
    pub size: usize,
    /// The most fragments a peer may make of a message, at most 255.
    pub fragments: usize,
    /// Octets of unfinished messages kept for one exchange, at most the longest message there is.
    pub octets: usize,
    /// Exchanges of one source address with fragments under way; the oldest gives way.
    pub exchanges_per_source: usize,
    /// The same in total.
    pub exchanges: usize,
    /// Time a message has to become whole.
    pub timeout: Duration,
}

/// With whom IKE messages are fragmented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragmentation {
    /// With nobody: not announced, not sent, not taken.
    Off,
    /// With peers that announce it, and announced to them.
    #[default]
    On,
    /// With everybody, from the first message on, whether announced or not.
    Force,
}

/// Dead peer detection, RFC 3706.
#[derive(Clone, Debug)]
pub struct DpdPolicy {
    /// Silence after which we ask; zero turns it off (we still answer).
    pub interval: Duration,
    /// Time between repeated questions.
    pub retry: Duration,
    /// Questions without answer before the peer is dead.
    pub attempts: u32,
    /// Silence after which a peer that does not speak RFC 3706 (Windows) is asked by a Quick Mode
    /// that renews its IPsec SAs; zero turns it off.
    pub silence: Duration,
}

/// Retransmission by whoever waits for an answer.
#[derive(Clone, Debug)]
pub struct RetransmitPolicy {
    /// First interval.
    pub initial: Duration,
    /// Factor between intervals, in tenths (18 is 1.8).
    pub factor_tenths: u32,
    /// Longest interval.
    pub maximum: Duration,
    /// Sends in total before giving up.
    pub attempts: u32,
}

/// Bounds on what peers can make us keep.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Half-open phase 1 exchanges as responder in total; the oldest gives way.
    pub half_open: usize,
    /// The same per source address; new ones are refused.
    pub half_open_per_source: usize,
    /// Time a peer has to finish phase 1.
    pub half_open_timeout: Duration,
    /// Established ISAKMP SAs.
    pub ike_sas: usize,
    /// Established ISAKMP SAs of one client; the oldest gives way.
    pub ike_sas_per_client: usize,
    /// Unfinished Quick Modes per ISAKMP SA.
    pub quick_modes: usize,
    /// IPsec SA pairs of one client; the oldest gives way.
    pub children_per_client: usize,
    /// Diffie-Hellman computations under way.
    pub dh_jobs: usize,
    /// Unauthenticated error answers per second.
    pub stateless_answers: u32,
}

/// A peer we can initiate to.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// Our address; the port is taken from [`NatPolicy::ike_port`].
    pub local: IpAddr,
    /// The peer's address and IKE port.
    pub peer: SocketAddr,
    /// Who we say we are; [`Policy::local_identity`] or our address by default.
    pub local_identity: Option<Identification>,
    /// Who the peer must say it is; anybody with the secret by default.
    pub peer_identity: Option<Identification>,
    /// Transport or tunnel mode.
    pub mode: Mode,
    /// Protocol carried, 17 for L2TP, 0 for any.
    pub protocol: u8,
    /// Our port, 0 for any.
    pub local_port: u16,
    /// The peer's port, 1701 for L2TP, 0 for any.
    pub peer_port: u16,
    /// Tunnel mode: our network. Ignored in transport mode.
    pub local_network: Option<IpNet>,
    /// Tunnel mode: the peer's network.
    pub peer_network: Option<IpNet>,
    /// Ask for perfect forward secrecy with this group.
    pub pfs: Option<Group>,
    /// Say INITIAL-CONTACT when this is our only ISAKMP SA with the peer.
    pub initial_contact: bool,
    /// What we answer to XAUTH; without it no method with XAUTH is offered.
    pub login: Option<Login>,
    /// Ask for an address by Mode Config and use it as our side of tunnel mode.
    pub mode_config: bool,
    /// Begin with Aggressive Mode, which needs a single group.
    pub aggressive: bool,
}

/// A name and a password of ours.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            local_identity: None,
            respond: true,
            aggressive: false,
            authentication: Authentication::default(),
            phase1: Phase1Policy::default(),
            phase2: Phase2Policy::default(),
            mode_config: None,
            remotes: Vec::new(),
            nat: NatPolicy::default(),
            fragmentation: FragmentationPolicy::default(),
            dpd: DpdPolicy::default(),
            retransmit: RetransmitPolicy::default(),
            limits: Limits::default(),
            connections: Vec::new(),
        }
    }
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

impl Default for NatPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            drafts: true,
            force: false,
            keepalive: Duration::from_secs(20),
            ike_port: 500,
            natt_port: 4500,
        }
    }
}

impl Default for FragmentationPolicy {
    fn default() -> Self {
        Self {
            mode: Fragmentation::On,
            // IPv6's least MTU, RFC 8200 5, and strongSwan's default.
            size: 1280,
            fragments: 64,
            octets: MAX_MESSAGE,
            exchanges_per_source: 32,
            exchanges: 512,
            timeout: Duration::from_secs(30),
        }
    }
}

impl Default for DpdPolicy {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            retry: Duration::from_secs(5),
            attempts: 5,
            // Two HELLOs of l2tpd, and some.
            silence: Duration::from_secs(150),
        }
    }
}

impl Default for RetransmitPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(2),
            factor_tenths: 18,
            maximum: Duration::from_secs(20),
            attempts: 6,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            half_open: 2048,
            half_open_per_source: 64,
            half_open_timeout: Duration::from_secs(45),
            ike_sas: 16_000,
            ike_sas_per_client: 4,
            quick_modes: 16,
            children_per_client: 32,
            // As many as may be half open: a client whose value is dropped comes again after seconds.
            dh_jobs: 2048,
            stateless_answers: 20,
        }
    }
}

/// Something in a policy that an operator should be told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyNote {
    /// Aggressive Mode is accepted.
    Aggressive,
    /// It is, but no secret is for an identity, so nobody can use it.
    AggressiveWithoutSecrets,
}

impl fmt::Display for PolicyNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PolicyNote::Aggressive => {
                "aggressive mode shows identities in the clear and lets anybody who knows a group's \
                 name guess at its pre-shared key offline: use long random keys for groups"
            }
            PolicyNote::AggressiveWithoutSecrets => {
                "aggressive mode is on, but no pre-shared key is for an identity: nobody can use it"
            }
        })
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

impl Policy {
    /// What to warn about, once per policy.
    pub fn notes(&self) -> Vec<PolicyNote> {
        let for_identity = |entry: &SecretEntry| {
            matches!(entry.peer, SecretPeer::Identity(_) | SecretPeer::Address(_))
        };
        let mut notes = Vec::new();
        let mut remotes = self.remotes.iter();
        if self.aggressive || remotes.any(|remote| remote.aggressive) {
            notes.push(PolicyNote::Aggressive);
            if !self.secrets.iter().any(for_identity) {
                notes.push(PolicyNote::AggressiveWithoutSecrets);
            }
        }
        notes
    }

    /// The secret of a peer that names itself in the clear: only one for exactly that identity.
    /// Those for subnets and for everybody must not be shown to whoever asks.
    pub(crate) fn secret_of(&self, identity: &Identification) -> Option<&Secret> {
        let exact = |entry: &&SecretEntry| match &entry.peer {
            SecretPeer::Identity(own) => own.matches(identity),
            SecretPeer::Address(own) => identity.address() == Some(*own),
            SecretPeer::Subnet(_) | SecretPeer::Any => false,
        };
        self.secrets.iter().find(exact).map(|entry| &entry.secret)
    }

    /// The connection of that name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections
            .iter()
            .find(|connection| connection.name == name)
    }

    /// Secrets to try for a peer at `address`, best first: its address, `identity` if already
    /// known, its longest subnet, any; then, while the identity is unknown, those by identity.
    pub(crate) fn secrets_for(
        &self,
        address: IpAddr,
        identity: Option<&Identification>,
    ) -> Vec<&SecretEntry> {
        let mut found: Vec<(u32, &SecretEntry)> = Vec::new();
        for entry in &self.secrets {
            let rank = match &entry.peer {
                SecretPeer::Address(own) if *own == address => 0,
                SecretPeer::Identity(own) => match identity {
                    Some(known) if own.matches(known) => 1,
                    Some(_) => continue,
                    None if own.address() == Some(address) => 1,
                    None => 1000,
                },
                SecretPeer::Subnet(net) if net.contains(&address) => {
                    2 + (128 - u32::from(net.prefix_len()))
                }
                SecretPeer::Any => 900,
                SecretPeer::Address(_) | SecretPeer::Subnet(_) => continue,
            };
            found.push((rank, entry));
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.truncate(SECRET_CANDIDATES);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// How many secrets are tried on one MM5.
const SECRET_CANDIDATES: usize = 64;

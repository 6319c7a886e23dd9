//! How messages travel, whatever they say: NAT traversal, fragmentation, dead peer detection,
//! retransmission, and bounds on it all.

use std::time::Duration;

use crate::wire::header::MAX_MESSAGE;

/// NAT traversal: RFC 3947 (IKE), RFC 3948 (ESP in UDP and keepalives).
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

//! The whole contract of a [`Link`](crate::Link) on one screen: what is configured, what comes
//! out, what is asked and answered.
//!
//! A link lives between "the call is up" and "the call is gone". The owner feeds one input
//! (`open`, `handle_frame`, `handle_timeout`, `provide_secret`, `provide_address`, `note_traffic`,
//! `close`, `lower_down`), drains [`Output`]s until there are none, looks at `next_timeout`, and
//! feeds the next input. After [`Output::Down`] the link is dead: it sends nothing more.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What a link is to negotiate. Built once per call; see [`Config::server`] and [`Config::client`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The name we give ourselves in CHAP Challenges (RFC 1994 section 4.1), at most 255 octets.
    pub host_name: String,
    /// The Maximum-Receive-Unit we ask for, octets (RFC 1661 section 6.1). 1500 is not sent.
    pub mru: u16,
    /// The largest network packet we will ever send, octets; the peer's MRU may lower it.
    pub mtu: u16,
    /// Ask for (and accept) Protocol-Field-Compression.
    pub pfc: bool,
    /// Ask for (and accept) Address-and-Control-Field-Compression.
    pub acfc: bool,
    /// The methods by which the peer may prove itself to us, best first. Empty: the peer is not
    /// asked to. Not empty: no network protocol runs before one of them succeeded.
    pub authenticate_peer: Vec<AuthMethod>,
    /// How we prove ourselves when the peer asks. `None`: its Authentication-Protocol option is
    /// rejected.
    pub credentials: Option<Credentials>,
    /// IPCP.
    pub ipv4: Ipv4Config,
    /// Run IPv6CP. Otherwise it is Protocol-Rejected.
    pub ipv6: bool,
    /// Time between LCP Echo-Requests on a silent link. Zero: none are sent.
    pub echo_interval: Duration,
    /// Echo-Requests in a row that may stay unanswered before the link is given up.
    pub echo_failures: u8,
    /// The RFC 1661 Restart timer, also between two CHAP Challenges or PAP Requests.
    pub restart: Duration,
    /// RFC 1661 Max-Configure: requests without any answer before giving up.
    pub max_configure: u8,
    /// RFC 1661 Max-Terminate.
    pub max_terminate: u8,
    /// RFC 1661 Max-Failure: Naks before the option is rejected instead.
    pub max_failure: u8,
    /// From `open` to the first network protocol; then the link is given up. Zero: no limit.
    pub establish_timeout: Duration,
}

impl Config {
    /// A server's link: the peer must authenticate, we assign addresses.
    #[must_use]
    pub fn server(host_name: &str) -> Self {
        Self {
            host_name: host_name.to_owned(),
            mru: 1500,
            mtu: 1400,
            pfc: true,
            acfc: true,
            authenticate_peer: vec![AuthMethod::MsChapV2],
            credentials: None,
            ipv4: Ipv4Config::Assign,
            ipv6: false,
            echo_interval: Duration::from_secs(30),
            echo_failures: 4,
            restart: Duration::from_secs(2),
            max_configure: 10,
            max_terminate: 2,
            max_failure: 5,
            establish_timeout: Duration::from_secs(60),
        }
    }

    /// A client's link: we prove ourselves if asked, and take the address we are given.
    #[must_use]
    pub fn client(credentials: Credentials) -> Self {
        Self {
            mtu: 1410,
            mru: 1410,
            authenticate_peer: Vec::new(),
            credentials: Some(credentials),
            ipv4: Ipv4Config::Request {
                address: None,
                dns: true,
            },
            ..Self::server("")
        }
    }
}

/// A way to authenticate, in LCP option 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// MS-CHAP version 2 (RFC 2759), `c223 81`. It also proves the server to the client.
    #[serde(rename = "mschapv2")]
    MsChapV2,
    /// CHAP with MD5 (RFC 1994), `c223 05`.
    #[serde(rename = "chap-md5")]
    ChapMd5,
    /// PAP (RFC 1334), `c023`: the password crosses the link as it is.
    Pap,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MsChapV2 => "MS-CHAPv2",
            Self::ChapMd5 => "CHAP-MD5",
            Self::Pap => "PAP",
        })
    }
}

/// A password. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// From a password in UTF-8, as typed.
    #[must_use]
    pub fn new(password: &str) -> Self {
        Self(Zeroizing::new(password.as_bytes().to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How we prove ourselves to the peer.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Our user name, perhaps `DOMAIN\user`; at most 255 octets.
    pub user: String,
    /// Our password.
    pub secret: Secret,
    /// Methods we accept, the preferred one first; another is Naked with the first.
    pub methods: Vec<AuthMethod>,
}

/// What IPCP does on this link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Config {
    /// IPCP is Protocol-Rejected.
    Off,
    /// We are the server: [`Output::NeedAddress`] asks what to assign.
    Assign,
    /// We are the client and take what the server assigns.
    Request {
        /// The address to ask for first; `None` asks for any.
        address: Option<Ipv4Addr>,
        /// Ask for name servers (RFC 1877) too.
        dns: bool,
    },
}

/// The answer to [`Output::NeedAddress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipv4Assignment {
    /// Our end of the link.
    pub local: Ipv4Addr,
    /// The peer's end: the only one it may use.
    pub peer: Ipv4Addr,
    /// Primary and secondary DNS server (RFC 1877 options 129 and 131).
    pub dns: [Option<Ipv4Addr>; 2],
    /// Primary and secondary NBNS server (RFC 1877 options 130 and 132).
    pub nbns: [Option<Ipv4Addr>; 2],
}

/// Ties an answer to its question; a late answer to an old question changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question(pub(crate) u32);

/// What the link wants done, or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this frame on the link (never compressed, never through a bundle).
    Send {
        /// PPP protocol number.
        protocol: u16,
        /// What follows the protocol field; at most 1500 octets.
        payload: Vec<u8>,
    },
    /// LCP reached Opened: configure the framing. May come again after a renegotiation.
    LcpOpened(LcpOpened),
    /// The peer says who it is: answer with `provide_secret`.
    NeedSecret {
        /// Give it back with the answer.
        question: Question,
        /// The name exactly as the peer sent it (valid UTF-8 without control characters).
        identity: String,
        /// The name without a leading `DOMAIN\`; equal to `identity` without one.
        user: String,
        /// The method in use.
        method: AuthMethod,
    },
    /// Somebody proved who he is.
    Authenticated {
        /// Who.
        party: Party,
        /// Under which name (without a domain, if it is the peer).
        user: String,
        /// How.
        method: AuthMethod,
    },
    /// Somebody did not. [`Output::Down`] follows unless the peer may try again (PAP).
    AuthFailed {
        /// Who.
        party: Party,
        /// Under which name; control characters escaped.
        user: String,
        /// How.
        method: AuthMethod,
        /// Why.
        reason: AuthFailure,
    },
    /// Authentication is over and IPCP wants addresses: answer with `provide_address`.
    NeedAddress {
        /// Give it back with the answer.
        question: Question,
        /// Who the peer proved to be; `None` if it need not.
        user: Option<String>,
    },
    /// A network protocol opened: let its packets through.
    NetworkUp(Network),
    /// A network protocol closed: stop its packets.
    NetworkDown(Family),
    /// The link is over; the last output. Close the call.
    Down {
        /// Why.
        reason: DownReason,
    },
}

/// Which end of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The peer, to us.
    Peer,
    /// We, to the peer.
    Us,
}

/// What LCP agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LcpOpened {
    /// The peer's MRU, octets: what it says it can receive.
    pub peer_mru: u16,
    /// Our MRU, octets: what the peer may send.
    pub our_mru: u16,
    /// The MTU of the network interface, octets: the peer's MRU, at most [`Config::mtu`].
    pub mtu: u16,
    /// The peer takes compressed protocol fields: we may send them.
    pub send_pfc: bool,
    /// The peer takes frames without address and control field: we may send them.
    pub send_acfc: bool,
    /// The peer may send compressed protocol fields.
    pub receive_pfc: bool,
    /// The peer may send frames without address and control field.
    pub receive_acfc: bool,
    /// Our magic number; 0 if the peer rejected it.
    pub magic: u32,
    /// The peer's magic number; 0 if it has none.
    pub peer_magic: u32,
}

/// A network protocol's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4, by IPCP.
    V4,
    /// IPv6, by IPv6CP.
    V6,
}

/// An opened network protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// IPCP opened.
    V4 {
        /// Our address.
        local: Ipv4Addr,
        /// The peer's address; unspecified if a server never told a client its own.
        peer: Ipv4Addr,
        /// Name servers: as a client those we got, as a server those the peer took.
        dns: [Option<Ipv4Addr>; 2],
    },
    /// IPv6CP opened.
    V6 {
        /// Our interface identifier: the link-local address is fe80::/64 with it.
        local: [u8; 8],
        /// The peer's interface identifier.
        peer: [u8; 8],
    },
}

/// Why authentication failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthFailure {
    /// No such user.
    UnknownUser,
    /// The user is known, the password is another.
    WrongPassword,
    /// The name is empty, not UTF-8, or has control characters.
    BadName,
    /// The peer said no to us.
    Refused,
    /// We were taken, but the server's own proof (MS-CHAPv2 `S=`) is wrong: not our server.
    PeerNotVerified,
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownUser => "unknown user",
            Self::WrongPassword => "wrong password",
            Self::BadName => "the name is empty or not printable",
            Self::Refused => "the server refused user name or password",
            Self::PeerNotVerified => "the server could not prove that it knows the password",
        })
    }
}

/// Why the owner closes a link; the text goes to the peer in the Terminate-Request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// An operator asked for it.
    Administrative,
    /// The daemon ends.
    Shutdown,
    /// Nothing was carried for too long.
    Idle,
    /// The session's time is up.
    SessionTimeout,
    /// The network side could not be set up here.
    LocalError,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Administrative => "Closed by administrator",
            Self::Shutdown => "Server going down",
            Self::Idle => "Idle timeout",
            Self::SessionTimeout => "Session timeout",
            Self::LocalError => "Out of service",
        })
    }
}

/// Why a link is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownReason {
    /// We closed it.
    Closed(CloseReason),
    /// The peer sent a Terminate-Request; its text, escaped and shortened.
    PeerTerminated(String),
    /// The call below went away.
    LowerDown,
    /// The peer did not answer LCP.
    NoLcpAnswer,
    /// The peer did not answer in authentication.
    NoAuthAnswer,
    /// Authentication failed.
    AuthFailed,
    /// No common authentication method.
    AuthNotAgreed,
    /// Echo-Requests stayed unanswered.
    PeerDead,
    /// The link is looped back: we hear ourselves.
    Loopback,
    /// A negotiation went on for too long.
    NotConverging(u16),
    /// The peer rejected a protocol or code that the link cannot do without.
    ProtocolRejected(u16),
    /// No network protocol could be opened, or the last one closed.
    NoNetworkProtocol,
    /// No address to assign.
    NoAddress,
    /// The whole set-up took too long.
    EstablishTimeout,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::PeerTerminated(text) if text.is_empty() => f.write_str("Terminated by the peer"),
            Self::PeerTerminated(text) => write!(f, "Terminated by the peer: {text}"),
            Self::LowerDown => f.write_str("Call ended"),
            Self::NoLcpAnswer => f.write_str("No answer to LCP"),
            Self::NoAuthAnswer => f.write_str("No answer in authentication"),
            Self::AuthFailed => f.write_str("Authentication failed"),
            Self::AuthNotAgreed => f.write_str("No common authentication method"),
            Self::PeerDead => f.write_str("Peer not responding"),
            Self::Loopback => f.write_str("Link is looped back"),
            Self::NotConverging(protocol) => {
                write!(f, "Negotiation of {protocol:#06x} does not converge")
            }
            Self::ProtocolRejected(protocol) => write!(f, "Peer rejected {protocol:#06x}"),
            Self::NoNetworkProtocol => f.write_str("No network protocol running"),
            Self::NoAddress => f.write_str("No address available"),
            Self::EstablishTimeout => f.write_str("Set-up took too long"),
        }
    }
}

/// The phases of RFC 1661 section 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before `open` or after the end.
    Dead,
    /// LCP negotiates.
    Establish,
    /// LCP is open, somebody has yet to prove himself.
    Authenticate,
    /// Network protocols negotiate or run.
    Network,
    /// Terminate-Requests are on their way.
    Terminate,
}

/// What a link counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Control frames received.
    pub frames_in: u64,
    /// Control frames sent.
    pub frames_out: u64,
    /// Dropped: longer than any control frame may be.
    pub dropped_oversize: u64,
    /// Dropped: lengths that do not fit, broken options.
    pub dropped_malformed: u64,
    /// Dropped: not allowed in this phase (network before authentication, all but LCP before LCP).
    pub dropped_phase: u64,
    /// Dropped: an answer with another identifier or other contents than what we asked.
    pub dropped_unexpected: u64,
    /// Protocol-Rejects sent.
    pub protocol_rejects_out: u64,
    /// Protocol-Rejects received.
    pub protocol_rejects_in: u64,
    /// Code-Rejects sent.
    pub code_rejects_out: u64,
    /// Echo-Requests sent.
    pub echo_requests_out: u64,
    /// Echo-Replies received.
    pub echo_replies_in: u64,
    /// Echo-Requests answered.
    pub echo_requests_in: u64,
    /// Authentication attempts of the peer that failed.
    pub auth_failures: u64,
    /// Times LCP was negotiated again on an open link.
    pub renegotiations: u64,
}

/// A link as the command line shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Where the link is.
    pub phase: Phase,
    /// State of the LCP automaton, as in RFC 1661 section 4.2 ("Opened").
    pub lcp_state: String,
    /// State of the IPCP automaton.
    pub ipcp_state: String,
    /// State of the IPv6CP automaton.
    pub ipv6cp_state: String,
    /// What LCP agreed on, while it is open.
    pub lcp: Option<LcpOpened>,
    /// Whom the peer proved to be.
    pub user: Option<String>,
    /// How the peer proved itself.
    pub method: Option<AuthMethod>,
    /// IPv4, while it is open.
    pub ipv4: Option<Network>,
    /// IPv6, while it is open.
    pub ipv6: Option<Network>,
    /// Echo-Requests unanswered in a row.
    pub echo_missed: u8,
    /// Counters.
    pub counters: Counters,
}

/// An open link on paper: all a restarted daemon needs to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What LCP agreed on.
    pub lcp: LcpOpened,
    /// Next LCP, IPCP and IPv6CP identifiers.
    pub next_ids: [u8; 3],
    /// Whom the peer proved to be.
    pub user: Option<String>,
    /// How the peer proved itself.
    pub peer_method: Option<AuthMethod>,
    /// How we proved ourselves.
    pub our_method: Option<AuthMethod>,
    /// What IPCP assigns (server).
    pub assignment: Option<Ipv4Assignment>,
    /// IPv4, if open.
    pub ipv4: Option<Network>,
    /// IPv6, if open.
    pub ipv6: Option<Network>,
    /// Counters.
    pub counters: Counters,
}

/// Why a checkpoint cannot be taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The configuration asks for authentication, the link has none.
    #[error("the link was never authenticated, but the configuration asks for it")]
    NotAuthenticated,
    /// No network protocol is open in it.
    #[error("no network protocol is open in the checkpoint")]
    NothingOpen,
    /// Contradictory contents.
    #[error("the checkpoint contradicts itself")]
    Inconsistent,
}

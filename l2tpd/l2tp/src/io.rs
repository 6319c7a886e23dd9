//! The whole contract with the driver on one screen: what comes out of [`Tunnels`], what the
//! commands take, what the command line sees.
//!
//! The rules a driver lives by:
//! * Feed one input, drain [`Tunnels::poll_output`] to `None`, carry the outputs out in order, feed
//!   the next. Ask [`Tunnels::next_timeout`] after each drain.
//! * Every [`Output::CreateTunnel`] is followed by exactly one [`Output::TunnelDown`] and then one
//!   [`Output::RemoveTunnel`]. Between the two the kernel's node still delivers our StopCCN, or
//!   acknowledges the peer's.
//! * Every session the driver has heard of (by [`Output::CreateSession`], or as the result of
//!   [`Tunnels::connect`] or [`Tunnels::open_session`]) gets exactly one [`Output::SessionDown`],
//!   which comes before the [`Output::TunnelDown`] of its tunnel. The session's nodes go then.
//! * `SendControl` payloads go to the `ctrl` hook of the tunnel's node behind `session_id`, big
//!   endian. Ns, Nr, acknowledgements and retransmission are the node's.
//!
//! [`Tunnels`]: crate::Tunnels
//! [`Tunnels::poll_output`]: crate::Tunnels::poll_output
//! [`Tunnels::next_timeout`]: crate::Tunnels::next_timeout
//! [`Tunnels::connect`]: crate::Tunnels::connect
//! [`Tunnels::open_session`]: crate::Tunnels::open_session

use std::time::Duration;

use thiserror::Error;

use crate::id::{FlowId, SessionId, TunnelId};
use crate::wire::{CallErrors, DisconnectCause, Q931Cause, ResultCode};

/// What the driver is asked to do, or told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Create the tunnel's ng_l2tp node and the connected ng_ksocket under it.
    CreateTunnel(CreateTunnel),
    /// The peer's number and window became known (we called): set the node's configuration again.
    UpdateTunnel {
        /// The tunnel.
        tunnel: TunnelId,
        /// The peer's tunnel number.
        peer_id: u16,
        /// The peer's receive window in messages, at least 1.
        peer_window: u16,
    },
    /// Write `session_id` (big endian) and `avps` to the tunnel node's `ctrl` hook.
    SendControl {
        /// The tunnel.
        tunnel: TunnelId,
        /// Session ID of the header: the peer's number, or 0.
        session_id: u16,
        /// The AVPs of one control message.
        avps: Vec<u8>,
    },
    /// Send a whole datagram from the listener: the refusal of an SCCRQ, for which no tunnel
    /// exists. Once, unreliably; dropping it harms nobody.
    SendDatagram {
        /// Where to.
        flow: FlowId,
        /// L2TP header and AVPs.
        bytes: Vec<u8>,
    },
    /// The control connection is established.
    TunnelUp {
        /// The tunnel.
        tunnel: TunnelId,
    },
    /// The control connection is gone; its sessions went before. The node stays until
    /// [`Output::RemoveTunnel`].
    TunnelDown {
        /// The tunnel.
        tunnel: TunnelId,
        /// Why.
        reason: TunnelDownReason,
    },
    /// Shut the tunnel's nodes down and forget the number.
    RemoveTunnel {
        /// The tunnel.
        tunnel: TunnelId,
    },
    /// Create the session's nodes and set the session's configuration, so that no data packet
    /// comes too early. PPP waits for [`Output::SessionUp`].
    CreateSession(SessionSetup),
    /// The call is established: set the session's configuration again if `data_sequencing`
    /// differs from what [`Output::CreateSession`] said, and start PPP.
    SessionUp(SessionUp),
    /// The call is gone: shut its nodes down, stop its PPP.
    SessionDown {
        /// The tunnel.
        tunnel: TunnelId,
        /// The session.
        session: SessionId,
        /// Why.
        reason: SessionDownReason,
    },
    /// A peer was refused something. To be logged; repetitions for the same source and reason
    /// within a minute are counted only and do not come here.
    Refused(Refused),
}

/// Who called whom: an LNS answers, a LAC calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// We called.
    Lac,
    /// We were called.
    Lns,
}

/// How to set up the kernel's side of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateTunnel {
    /// Our number of it (`tunnel_id`).
    pub tunnel: TunnelId,
    /// The peer's (`peer_id`); 0 while unknown, see [`Output::UpdateTunnel`].
    pub peer_id: u16,
    /// Where its datagrams go.
    pub flow: FlowId,
    /// The peer's receive window in messages, at least 1 (`peer_win`).
    pub peer_window: u16,
    /// Whether we called.
    pub role: Role,
    /// Sequence numbers to set before the node is enabled (`NGM_L2TP_SET_SEQ`).
    pub sequence: HandOver,
    /// An older tunnel over the very same flow that still exists.
    pub shares_flow_with: Option<TunnelId>,
}

/// The state of the reliable channel at the moment the node takes over (`ng_l2tp_seq_config`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// Ns of the next message we send.
    pub ns: u16,
    /// Ns expected of the peer's next message.
    pub nr: u16,
    /// Last Nr received, equal to `ns`.
    pub rack: u16,
    /// Last Nr sent, equal to `nr`.
    pub xack: u16,
}

impl HandOver {
    /// For the called side: the peer's SCCRQ (Ns 0) has been read from the listener.
    pub const CALLED: Self = Self {
        ns: 0,
        nr: 1,
        rack: 0,
        xack: 1,
    };
    /// For the calling side: nothing has been said.
    pub const CALLING: Self = Self {
        ns: 0,
        nr: 0,
        rack: 0,
        xack: 0,
    };
}

/// How to set up the kernel's side of a session (`ng_l2tp_sess_config`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSetup {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// Our number of the session (`session_id`).
    pub session: SessionId,
    /// The peer's (`peer_id`).
    pub peer_id: u16,
    /// Whether we are the LNS, which controls sequencing (`control_dseq`).
    pub control_sequencing: bool,
    /// Whether we put sequence numbers on data (`enable_dseq`).
    pub data_sequencing: bool,
    /// Whether data carries the Length field (`include_length`).
    pub include_length: bool,
}

/// A call that is established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUp {
    /// The kernel's side, final.
    pub setup: SessionSetup,
    /// What was said about the call.
    pub call: Call,
}

/// What the LAC said about a call (RFC 2661 sections 6.6 and 6.8). Text is what the peer sent with
/// everything unprintable replaced, cut at 128 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Call {
    /// Call Serial Number; 0 when absent.
    pub serial: u32,
    /// Calling Number.
    pub calling_number: Option<String>,
    /// Called Number.
    pub called_number: Option<String>,
    /// Sub-Address.
    pub sub_address: Option<String>,
    /// Private Group ID.
    pub private_group: Option<String>,
    /// Physical Channel ID.
    pub physical_channel: Option<u32>,
    /// Bearer Type bits: 1 digital, 2 analog.
    pub bearer: u32,
    /// Framing Type bits: 1 synchronous, 2 asynchronous; 0 when the peer left it out.
    pub framing: u32,
    /// (Tx) Connect Speed in bit/s; 0 when the peer left it out.
    pub tx_speed: u32,
    /// Rx Connect Speed in bit/s; equal to `tx_speed` when absent, as section 4.4.4 has it.
    pub rx_speed: u32,
}

/// Why a tunnel ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TunnelDownReason {
    /// The peer sent StopCCN.
    #[error("the peer closed it: {0}")]
    PeerStopped(ResultCode),
    /// The command to close came.
    #[error("closed by the administrator")]
    Administrative,
    /// We are going away.
    #[error("shutting down")]
    ShuttingDown,
    /// Its calls were those of an earlier process.
    #[error("its calls were lost in a restart")]
    CallsLost,
    /// The peer stopped acknowledging.
    #[error("the peer does not answer any more")]
    AckFailure,
    /// The peer did not finish the three-way handshake in time.
    #[error("the control connection was not established in time")]
    SetupTimeout,
    /// No session for too long.
    #[error("no session for too long")]
    Idle,
    /// The same client came anew over the same flow.
    #[error("replaced by a new tunnel of the same client")]
    Superseded,
    /// The peer's SCCRQ won over ours (Tie Breaker, section 4.4.3).
    #[error("lost the tie breaker to the peer's own request")]
    TieBreaker,
    /// The peer broke the protocol, or cannot be served.
    #[error("{0}")]
    Refused(Refusal),
    /// The kernel's side could not be made, or broke.
    #[error("the kernel side failed")]
    Kernel,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionDownReason {
    /// The peer sent CDN.
    #[error("the peer disconnected: {result}")]
    PeerDisconnected {
        /// Its Result Code.
        result: ResultCode,
        /// Its Q.931 Cause Code.
        q931: Option<Q931Cause>,
        /// Its PPP Disconnect Cause Code (RFC 3145).
        ppp: Option<DisconnectCause>,
    },
    /// We closed it.
    #[error("{0}")]
    Closed(CloseSession),
    /// Its tunnel ended.
    #[error("its tunnel ended: {0}")]
    Tunnel(TunnelDownReason),
    /// The call was not established in time.
    #[error("the call was not established in time")]
    SetupTimeout,
    /// The peer broke the protocol, or cannot be served.
    #[error("{0}")]
    Refused(Refusal),
    /// The kernel's side could not be made, or broke.
    #[error("the kernel side failed")]
    Kernel,
}

/// Why the driver closes a session; decides the Result Code of the CDN (section 4.4.2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CloseSession {
    /// Result 3: for administrative reasons.
    #[error("closed by the administrator")]
    Administrative,
    /// Result 1: the link went away (PPP ended, echo failed).
    #[error("the link was lost")]
    LostCarrier,
    /// Result 4: no address, no unit: try later.
    #[error("no resources")]
    NoResources,
    /// Result 2: authentication or anything else failed.
    #[error("failed")]
    Failed,
    /// Result 1 with the PPP Disconnect Cause Code AVP of RFC 3145.
    #[error("PPP ended: {0}")]
    Ppp(DisconnectCause),
}

/// Why the driver closes a tunnel; decides the Result Code of the StopCCN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseTunnel {
    /// Result 1: general request to clear.
    Administrative,
    /// Result 6: the requester is being shut down.
    ShuttingDown,
    /// Result 1: this process does not know the calls that an earlier one had, or was making.
    CallsLost,
    /// Nothing is said: the peer is known to be gone (its IPsec peer vanished or began anew).
    PeerGone,
}

/// What a peer was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Refusal {
    /// Not L2TPv2 control, or not a first message.
    #[error("a datagram that opens no tunnel")]
    NotSccrq,
    /// The header or an AVP does not parse.
    #[error("a malformed message")]
    Malformed,
    /// An AVP that had to be there is missing.
    #[error("a message without a required AVP")]
    MissingAvp,
    /// An AVP or message we do not know was marked mandatory.
    #[error("an unknown mandatory AVP or message")]
    UnknownMandatory,
    /// Protocol Version other than 1.
    #[error("an unsupported protocol version")]
    ProtocolVersion,
    /// A message out of place (section 7).
    #[error("a message that does not fit the state")]
    WrongState,
    /// The peer challenges and no secret is configured for it.
    #[error("a challenge, but no tunnel secret is known for the peer")]
    ChallengeWithoutSecret,
    /// The peer's Challenge Response is missing or wrong.
    #[error("tunnel authentication failed")]
    Authentication,
    /// Too many tunnels in all.
    #[error("too many tunnels")]
    TunnelLimit,
    /// Too many tunnels from that source.
    #[error("too many tunnels from this address")]
    SourceLimit,
    /// Too many unfinished tunnels in all.
    #[error("too many half-open tunnels")]
    HalfOpenLimit,
    /// Too many unfinished tunnels from that source.
    #[error("too many half-open tunnels from this address")]
    SourceHalfOpenLimit,
    /// Too many sessions.
    #[error("too many sessions")]
    SessionLimit,
    /// We do not make outgoing calls.
    #[error("an outgoing call")]
    OutgoingCall,
    /// An incoming call to a LAC.
    #[error("an incoming call to the calling side")]
    IncomingCall,
    /// We are going away.
    #[error("shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// What the operator can do about it, where there is something.
    #[must_use]
    pub const fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::ChallengeWithoutSecret => {
                "configure the tunnel secret the client has, or remove it from the client"
            }
            Self::Authentication => {
                "make the tunnel secret of server and client equal, or stop requiring it"
            }
            Self::TunnelLimit => "raise the limit of tunnels",
            Self::SourceLimit => "raise the limit of tunnels per source",
            Self::HalfOpenLimit => "raise the limit of half-open tunnels",
            Self::SourceHalfOpenLimit => "raise the limit of half-open tunnels per source",
            Self::SessionLimit => "raise the limit of sessions",
            Self::UnknownMandatory | Self::ProtocolVersion => {
                "the client is not compatible; report its make and version"
            }
            _ => return None,
        })
    }
}

/// A refusal, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who.
    pub flow: FlowId,
    /// The tunnel it happened in, if any.
    pub tunnel: Option<TunnelId>,
    /// The peer's Host Name, printable, when known.
    pub host_name: String,
    /// Why.
    pub reason: Refusal,
    /// More about it, such as the AVP concerned; may be empty.
    pub detail: String,
}

/// Whom to call (as LAC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// From where to where. The port of the peer is 1701 normally.
    pub flow: FlowId,
    /// Send a Tie Breaker, so that a simultaneous SCCRQ of the peer leaves one tunnel.
    pub tie_breaker: bool,
    /// The secret to use before the peer's Host Name is known; `None` takes the one for everyone.
    pub secret: Option<crate::config::Secret>,
    /// A call to place as soon as the tunnel is up.
    pub call: Option<CallRequest>,
}

/// A call to place (as LAC).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Calling Number, at most 255 octets, longer is cut; empty sends none.
    pub calling_number: String,
    /// Called Number, at most 255 octets, longer is cut; empty sends none.
    pub called_number: String,
    /// (Tx) Connect Speed in bit/s.
    pub tx_speed: u32,
}

/// What [`Tunnels::connect`](crate::Tunnels::connect) began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connecting {
    /// The new tunnel.
    pub tunnel: TunnelId,
    /// The new session, when a call was asked for.
    pub session: Option<SessionId>,
}

/// Why a command could not be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LocalError {
    /// No such tunnel.
    #[error("there is no such tunnel")]
    NoSuchTunnel,
    /// No such session.
    #[error("there is no such session")]
    NoSuchSession,
    /// The tunnel is not one we called with, or is closing.
    #[error("this tunnel cannot place calls")]
    CannotCall,
    /// A limit is reached.
    #[error("the limit of tunnels or sessions is reached")]
    Limit,
    /// No number is left.
    #[error("no free tunnel or session number is left")]
    NoNumber,
    /// A checkpoint names a number that is in use, zero, or otherwise makes no sense.
    #[error("the saved tunnel conflicts with a live one or is damaged")]
    Conflict,
    /// [`Tunnels::shutdown`](crate::Tunnels::shutdown) was called.
    #[error("shutting down")]
    ShuttingDown,
}

/// State of a control connection (RFC 2661 section 7.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TunnelState {
    /// SCCRQ sent.
    WaitCtlReply,
    /// SCCRP sent.
    WaitCtlConn,
    /// Open.
    Established,
    /// StopCCN sent or received, node lingering. The RFC's idle with its retention of section 5.7.
    Closing,
}

/// State of a call (RFC 2661 sections 7.4.1 and 7.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// LAC: waiting for the tunnel.
    WaitTunnel,
    /// LAC: ICRQ sent.
    WaitReply,
    /// LNS: ICRP sent.
    WaitConnect,
    /// Open.
    Established,
}

/// A tunnel as the command line shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelView {
    /// Our number.
    pub tunnel: TunnelId,
    /// The peer's number; 0 while unknown.
    pub peer_id: u16,
    /// Its path.
    pub flow: FlowId,
    /// Who called.
    pub role: Role,
    /// State.
    pub state: TunnelState,
    /// The peer's Host Name, printable.
    pub host_name: String,
    /// The peer's Vendor Name, printable.
    pub vendor_name: String,
    /// The peer's Firmware Revision.
    pub firmware: Option<u16>,
    /// Whether the peer proved to know the secret.
    pub authenticated: bool,
    /// Time since the tunnel was created.
    pub age: Duration,
    /// Time since the peer was last heard.
    pub silence: Duration,
    /// The control channel failed but data flows on; see `Tunnels::handle_ack_failure`.
    pub control_lost: bool,
    /// Number of its sessions.
    pub sessions: usize,
}

/// A session as the command line shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its tunnel.
    pub tunnel: TunnelId,
    /// Our number.
    pub session: SessionId,
    /// The peer's number; 0 while unknown.
    pub peer_id: u16,
    /// State.
    pub state: SessionState,
    /// What was said about the call.
    pub call: Call,
    /// Whether we put sequence numbers on data.
    pub data_sequencing: bool,
    /// The last WAN-Error-Notify.
    pub call_errors: Option<CallErrors>,
    /// Time since the session was created.
    pub age: Duration,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Datagrams at the listener.
    pub first_datagrams: u64,
    /// SCCRQs that repeated one being answered.
    pub duplicate_sccrq: u64,
    /// Control messages from tunnels.
    pub control_in: u64,
    /// Control messages to tunnels.
    pub control_out: u64,
    /// HELLOs sent.
    pub hello_out: u64,
    /// HELLOs received.
    pub hello_in: u64,
    /// Messages that were ignored: unknown session, unknown but not mandatory, of no meaning here.
    pub ignored: u64,
    /// Messages that did not parse.
    pub malformed: u64,
    /// AVPs that were skipped: unknown or unusable, not mandatory.
    pub ignored_avps: u64,
    /// Refusals of any kind, reported or not.
    pub refused: u64,
    /// Refusals because of a limit.
    pub refused_by_limit: u64,
    /// Failures of tunnel authentication.
    pub authentication_failures: u64,
    /// Tunnels created.
    pub tunnels_created: u64,
    /// Tunnels that became established.
    pub tunnels_established: u64,
    /// Tunnels that timed out before that.
    pub tunnels_timed_out: u64,
    /// Tunnels whose reliable channel gave up.
    pub ack_failures: u64,
    /// Sessions created.
    pub sessions_created: u64,
    /// Sessions that became established.
    pub sessions_established: u64,
    /// WAN-Error-Notify messages received.
    pub wan_error_notify: u64,
    /// Set-Link-Info messages received.
    pub set_link_info: u64,
}

//! The whole contract of [`Server`](super::Server) on one screen: what goes in, what comes out.
//!
//! The driver feeds one [`Input`], takes [`Output`]s until there are none, carries them out in
//! order, looks at `next_timeout`, and feeds the next. Every [`Output::Kernel`] whose operation has
//! an answer ([`KernelOp::has_answer`]) is answered with [`Input::Kernel`] and the same [`OpId`],
//! every [`Output::Hook`] with [`Input::HookDone`], every [`Input::Request`] comes back as
//! [`Output::Answer`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use l2tp_proto::{CreateTunnel, FlowId, KernelId, SessionId, SessionSetup, TunnelId};
use serde::{Deserialize, Serialize};
use tanuki_daemon::hook::Hook;
use thiserror::Error;

use crate::config::Config;
use crate::control::protocol::{Answer, Request, Traffic};
use crate::events::Event;
use crate::secret::Secret;
use crate::users::Users;

/// A session, by our numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey {
    /// Its tunnel.
    pub tunnel: TunnelId,
    /// Its number there.
    pub session: SessionId,
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tunnel.value(), self.session.value())
    }
}

/// Ties the answer of the kernel to its operation. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// Ties the end of a hook to its run. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(pub u64);

/// Ties a password to the question for it. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// Ties an answer to a request of the control socket; the driver's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What the world tells the server.
#[derive(Debug)]
pub enum Input {
    /// A datagram at the port 1701 listener.
    Datagram {
        /// Where it came from, to which of our addresses, through whose SA.
        flow: FlowId,
        /// L2TP header on.
        bytes: Vec<u8>,
    },
    /// A frame from a tunnel node's `ctrl` hook: session id (two octets) and AVPs.
    Control {
        /// The tunnel.
        tunnel: TunnelId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// A frame from a PPP node's `bypass` hook, or a router solicitation as the frame it was.
    Frame {
        /// The session.
        session: SessionKey,
        /// PPP protocol number.
        protocol: u16,
        /// What follows it.
        payload: Vec<u8>,
    },
    /// A tunnel node gave up retransmitting.
    AckFailure {
        /// The tunnel.
        tunnel: TunnelId,
    },
    /// The kernel's answer to an operation.
    Kernel {
        /// Which.
        op: OpId,
        /// How it went.
        outcome: Result<KernelAnswer, KernelError>,
    },
    /// A kernel is gone with all its nodes (the soft kernel ended). Nothing that was asked of it
    /// will be answered.
    KernelLost(KernelId),
    /// An operator's program ended.
    HookDone {
        /// Which run.
        hook: HookId,
        /// How it went.
        outcome: Result<(), String>,
    },
    /// A program that knows a password ended.
    LookedUp {
        /// Which question.
        lookup: LookupId,
        /// The password, or why there is none.
        outcome: Result<Secret, String>,
    },
    /// A request of the control socket.
    Request {
        /// Comes back with the answer.
        id: RequestId,
        /// What is asked. [`Request::Reload`] is the driver's and refused here.
        request: Request,
    },
    /// A new configuration; running sessions stay as they are.
    Configure(Box<Config>),
    /// A new users file; counts from the next authentication on.
    Users(Users),
    /// End everything; [`Output::Finished`] says when.
    Shutdown,
}

/// What the server wants done, or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Do this in a kernel, after all earlier operations there.
    Kernel {
        /// For the answer.
        op: OpId,
        /// Where the tunnel's nodes are.
        kernel: KernelId,
        /// What to do.
        operation: KernelOp,
    },
    /// Send a datagram from the listener.
    Datagram {
        /// To where, from where.
        flow: FlowId,
        /// L2TP header on.
        bytes: Vec<u8>,
    },
    /// Run a program of the operator.
    Hook {
        /// For the end.
        hook: HookId,
        /// The program.
        run: Hook,
    },
    /// Run a program of the operator that knows a password: the first line it writes. Answered
    /// with [`Input::LookedUp`].
    LookUp {
        /// For the answer.
        lookup: LookupId,
        /// The program.
        run: Hook,
    },
    /// The answer to a request.
    Answer {
        /// Which request.
        id: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Something for the log.
    Event(Event),
    /// What [`Server::checkpoint`](super::Server::checkpoint) says changed.
    Checkpoint,
    /// The shutdown is complete; nothing more will come.
    Finished,
}

/// An operation of a kernel. Operations are carried out one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelOp {
    /// Make the tunnel's ng_l2tp node and the connected ng_ksocket under it.
    CreateTunnel(CreateTunnel),
    /// Tell the node the peer's number and window.
    UpdateTunnel {
        /// The tunnel.
        tunnel: TunnelId,
        /// The peer's number.
        peer_id: u16,
        /// The peer's receive window, at least 1.
        peer_window: u16,
    },
    /// Send a control message; no answer.
    SendControl {
        /// The tunnel.
        tunnel: TunnelId,
        /// Session ID of the header.
        session_id: u16,
        /// AVPs.
        avps: Vec<u8>,
    },
    /// Shut the tunnel's nodes down.
    RemoveTunnel {
        /// The tunnel.
        tunnel: TunnelId,
    },
    /// Make the session's ng_ppp node, network protocols off.
    CreateSession(SessionSetup),
    /// Set the session's configuration again.
    UpdateSession(SessionSetup),
    /// Send a PPP frame on the link; no answer.
    SendFrame {
        /// The session.
        session: SessionKey,
        /// PPP protocol number.
        protocol: u16,
        /// What follows it.
        payload: Vec<u8>,
    },
    /// Set the framing and the network protocols that flow.
    SetPpp {
        /// The session.
        session: SessionKey,
        /// How.
        framing: Framing,
    },
    /// Make ng_tcpmss and ng_iface on the session; answered with
    /// [`KernelAnswer::Interface`].
    CreateInterface {
        /// The session.
        session: SessionKey,
        /// MTU in octets; the MSS clamp follows from it.
        mtu: u16,
        /// Whether IPv6 is connected too.
        ipv6: bool,
        /// Whether the peer's router solicitations come to us, and not to the system.
        solicitations: bool,
        /// What the interface is to be called; none: as the kernel does. FreeBSD's only.
        name: Option<String>,
        /// Its group. FreeBSD's only.
        group: Option<String>,
    },
    /// Set addresses, MTU and routes of the interface.
    ConfigureInterface(InterfaceSetup),
    /// Answer ARP requests for an address, or stop that. FreeBSD's only.
    ProxyArp {
        /// The session whose peer has it, or had.
        session: SessionKey,
        /// The address.
        address: Ipv4Addr,
        /// Whether to answer.
        answer: bool,
    },
    /// Read the link's counters; answered with [`KernelAnswer::Traffic`].
    ReadTraffic {
        /// The session.
        session: SessionKey,
    },
    /// Read the counters a last time and shut the session's nodes down; answered with
    /// [`KernelAnswer::Traffic`]. What is not there is no error.
    RemoveSession {
        /// The session.
        session: SessionKey,
    },
    /// Connect to the nodes of a tunnel and its sessions that an earlier process made.
    Adopt {
        /// The tunnel.
        tunnel: TunnelId,
        /// Its sessions.
        sessions: Vec<SessionId>,
        /// Those of them whose router solicitations come to us.
        solicitations: Vec<SessionId>,
    },
    /// Shut down a node of ours that nobody knows any more.
    RemoveNode {
        /// Its name.
        name: String,
    },
}

impl KernelOp {
    /// Whether the operation is answered.
    #[must_use]
    pub const fn has_answer(&self) -> bool {
        !matches!(self, Self::SendControl { .. } | Self::SendFrame { .. })
    }

    /// The tunnel whose nodes it is about; none for a node that belongs to nobody.
    #[must_use]
    pub const fn tunnel(&self) -> Option<TunnelId> {
        match self {
            Self::CreateTunnel(create) => Some(create.tunnel),
            Self::UpdateTunnel { tunnel, .. }
            | Self::SendControl { tunnel, .. }
            | Self::RemoveTunnel { tunnel }
            | Self::Adopt { tunnel, .. } => Some(*tunnel),
            Self::CreateSession(setup) | Self::UpdateSession(setup) => Some(setup.tunnel),
            Self::SendFrame { session, .. }
            | Self::SetPpp { session, .. }
            | Self::CreateInterface { session, .. }
            | Self::ProxyArp { session, .. }
            | Self::ReadTraffic { session }
            | Self::RemoveSession { session } => Some(session.tunnel),
            Self::ConfigureInterface(setup) => Some(setup.session.tunnel),
            Self::RemoveNode { .. } => None,
        }
    }
}

/// What ng_ppp puts on and lets through the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// The peer's MRU, octets.
    pub peer_mru: u16,
    /// Send compressed protocol fields.
    pub pfc: bool,
    /// Send without address and control field.
    pub acfc: bool,
    /// IPv4 flows.
    pub ipv4: bool,
    /// IPv6 flows.
    pub ipv6: bool,
}

/// How an interface is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceSetup {
    /// The session.
    pub session: SessionKey,
    /// The interface's name.
    pub interface: String,
    /// MTU in octets.
    pub mtu: u16,
    /// Our address and the peer's, of each family that is up.
    pub addresses: Vec<(IpAddr, IpAddr)>,
    /// Networks behind the peer.
    pub routes: Vec<IpNet>,
    /// Whether the peer may only send from its address.
    pub source_check: bool,
    /// Whether the system makes addresses of the peer's router advertisements.
    pub accept_advertisements: bool,
    /// Its description for ifconfig(8). FreeBSD's only.
    pub description: Option<String>,
}

/// What the kernel answers to an operation that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelAnswer {
    /// Done.
    Done,
    /// The name of the new interface.
    Interface(String),
    /// The link's counters.
    Traffic(Traffic),
}

/// Why the kernel did not do an operation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KernelError {
    /// It refused.
    #[error("the kernel refused {request}: {reason}")]
    Refused {
        /// What was asked of which node.
        request: String,
        /// In the system's words.
        reason: String,
        /// The system's number, 0 when there is none.
        errno: i32,
    },
    /// No answer came in time.
    #[error("the kernel does not answer")]
    NoAnswer,
    /// The connection to it is gone.
    #[error("the kernel is gone")]
    Lost,
}

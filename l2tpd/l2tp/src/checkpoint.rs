//! What is saved of established tunnels and sessions, so that a restarted daemon can adopt the
//! kernel nodes that kept running. The reliable channel's numbers are the node's and not here.

use serde::{Deserialize, Serialize};

use crate::id::{FlowId, SessionId, TunnelId};
use crate::io::{Call, Role};

/// One established tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunnelRecord {
    /// Our number.
    pub tunnel: TunnelId,
    /// The peer's number.
    pub peer_id: u16,
    /// Its path.
    pub flow: FlowId,
    /// Who called.
    pub role: Role,
    /// The peer's Host Name, printable.
    pub host_name: String,
    /// The peer's Vendor Name, printable.
    pub vendor_name: String,
    /// The peer's Firmware Revision.
    pub firmware: Option<u16>,
    /// Whether the peer proved to know the secret.
    pub authenticated: bool,
    /// Age in seconds when saved.
    pub age: u64,
    /// The control channel had failed already.
    pub control_lost: bool,
    /// Its established sessions.
    pub sessions: Vec<SessionRecord>,
}

/// One established session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    /// Our number.
    pub session: SessionId,
    /// The peer's number.
    pub peer_id: u16,
    /// Whether we put sequence numbers on data.
    pub data_sequencing: bool,
    /// What was said about the call.
    pub call: Call,
    /// Age in seconds when saved.
    pub age: u64,
}

//! What `l2tpctl` asks and `l2tpd` answers: one JSON object a line on the control socket.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ipnet::Ipv6Net;
use l2tp_proto::KernelId;
use serde::{Deserialize, Serialize};

/// A question or an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Every tunnel.
    ShowTunnels,
    /// Every session.
    ShowSessions,
    /// Every user and where they are.
    ShowUsers,
    /// The address ranges and their use.
    ShowPools,
    /// Every counter.
    ShowStats,
    /// The connections of the configuration and their state.
    ShowConnections,
    /// Ends one session, named `tunnel/session` by our ids.
    DisconnectSession {
        /// Our tunnel id.
        tunnel: u16,
        /// Our session id.
        session: u16,
    },
    /// Ends one tunnel and its sessions.
    DisconnectTunnel {
        /// Our tunnel id.
        tunnel: u16,
    },
    /// Ends every session of a user.
    DisconnectUser {
        /// The name in the users file.
        user: String,
    },
    /// Brings a connection of the configuration up.
    Connect {
        /// Its name there.
        name: String,
    },
    /// Ends a connection of the configuration and does not bring it up again.
    Disconnect {
        /// Its name there.
        name: String,
    },
    /// Reads the configuration again.
    Reload,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Request::ShowTunnels`].
    Tunnels(Vec<TunnelStatus>),
    /// To [`Request::ShowSessions`].
    Sessions(Vec<SessionStatus>),
    /// To [`Request::ShowUsers`].
    Users(Vec<UserStatus>),
    /// To [`Request::ShowPools`].
    Pools(Vec<PoolStatus>),
    /// To [`Request::ShowStats`].
    Stats(BTreeMap<String, u64>),
    /// To [`Request::ShowConnections`].
    Connections(Vec<ConnectionStatus>),
    /// An order was carried out or is under way; says what was done.
    Done(String),
    /// The order was refused; says why and what to do.
    Refused(String),
}

/// One L2TP tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelStatus {
    /// Our id.
    pub id: u16,
    /// The peer's id, 0 until it is known.
    pub peer_id: u16,
    /// The peer's address and port inside ESP.
    pub peer: SocketAddr,
    /// Our address and port.
    pub local: SocketAddr,
    /// The reqid of the IPsec SAs the tunnel is bound to.
    pub reqid: Option<u32>,
    /// The kernel that carries its packets.
    pub kernel: KernelId,
    /// The host name the peer gave.
    pub host_name: String,
    /// The state by its RFC 2661 name.
    pub state: String,
    /// `lns`, or `lac` for a connection of ours.
    pub role: String,
    /// Number of sessions.
    pub sessions: usize,
    /// Seconds since the tunnel began.
    pub age: u64,
}

/// One PPP session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Our tunnel id.
    pub tunnel: u16,
    /// Our session id.
    pub id: u16,
    /// The peer's session id.
    pub peer_id: u16,
    /// Who authenticated, empty before that.
    pub user: String,
    /// How: `ms-chap-v2`, `chap-md5`, `pap`, empty before that.
    pub authentication: String,
    /// The tunnel's peer.
    pub peer: SocketAddr,
    /// The address inside: the client's on a server, ours on a client.
    pub address: Option<IpAddr>,
    /// The IPv6 prefix a client got.
    #[serde(default)]
    pub prefix: Option<Ipv6Net>,
    /// The network interface.
    pub interface: String,
    /// The kernel that carries its packets.
    pub kernel: KernelId,
    /// What is being done: `opening`, `authenticating`, `configuring`, `up`, `closing`.
    pub state: String,
    /// Seconds since the session began.
    pub age: u64,
    /// The link it came by, with its number: `default-3`.
    #[serde(default)]
    pub link: String,
    /// The bundle it got, with its number; empty before the user is known.
    #[serde(default)]
    pub bundle: String,
    /// The configured connection this is, on a client.
    pub connection: Option<String>,
    /// What went through.
    pub traffic: Traffic,
}

/// Packets and octets of one session, counted at the PPP link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// PPP frames from the peer.
    pub received_frames: u64,
    /// Octets from the peer.
    pub received_octets: u64,
    /// PPP frames to the peer.
    pub sent_frames: u64,
    /// Octets to the peer.
    pub sent_octets: u64,
}

/// One user of the users file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserStatus {
    /// The name.
    pub name: String,
    /// The address or range only this user gets.
    pub address: Option<String>,
    /// The IPv6 prefix only this user gets.
    #[serde(default)]
    pub prefix: Option<Ipv6Net>,
    /// Sessions of the user now, as `tunnel/session`.
    pub sessions: Vec<String>,
}

/// One range of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// The pool's name.
    #[serde(default)]
    pub name: String,
    /// The range as first-last.
    pub range: String,
    /// Addresses in it.
    pub size: u64,
    /// Addresses in hands.
    pub used: u64,
}

/// One connection of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: String,
    /// The server.
    pub server: String,
    /// `down`, `connecting`, `up`, `waiting` (to try again).
    pub state: String,
    /// Why it is not up, when it is not.
    pub reason: String,
    /// The session, as `tunnel/session`.
    pub session: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_scripts_write_them() {
        let request: Request =
            serde_json::from_str(r#"{"command":"disconnect-session","tunnel":3,"session":9}"#)
                .unwrap();
        assert_eq!(
            request,
            Request::DisconnectSession {
                tunnel: 3,
                session: 9
            }
        );
        let request: Request = serde_json::from_str(r#"{"command":"show-tunnels"}"#).unwrap();
        assert_eq!(request, Request::ShowTunnels);
        assert!(serde_json::from_str::<Request>(r#"{"command":"format-disk"}"#).is_err());
        assert_eq!(
            serde_json::to_string(&Answer::Refused("no".into())).unwrap(),
            r#"{"refused":"no"}"#
        );
    }
}

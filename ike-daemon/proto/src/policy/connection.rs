//! Peers we can initiate to.

use std::net::{IpAddr, SocketAddr};

use ike_crypto::{Group, Secret};
use ipnet::IpNet;

use crate::io::Mode;
use crate::wire::id::Identification;

/// A peer we can initiate to.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// Our address; the port is taken from [`NatPolicy::ike_port`](super::NatPolicy::ike_port).
    pub local: IpAddr,
    /// The peer's address and IKE port.
    pub peer: SocketAddr,
    /// Who we say we are; [`Policy::local_identity`](super::Policy::local_identity) or our address by default.
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

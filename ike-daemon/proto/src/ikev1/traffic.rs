//! What a Quick Mode may carry: the identities IDci and IDcr (RFC 2409 5.5, RFC 2407 4.6.2), and
//! the original addresses behind NAT (RFC 3947 5.2).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::Refusal;
use crate::iana::PayloadType;
use crate::io::{Mode, Selector, TrafficSelectors};
use crate::nat::{NatState, Path};
use crate::policy::{Connection, Policy};
use crate::wire::chain::Chain;
use crate::wire::id::{IdPayload, Identification};
use crate::wire::nat_oa;

/// What two peers agreed to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) selectors: TrafficSelectors,
    /// The ID payloads for our and the peer's side, if there were any.
    pub(crate) ids: Option<(IdPayload, IdPayload)>,
    pub(crate) peer_original: Option<IpAddr>,
    pub(crate) local_original: Option<IpAddr>,
}

/// The ID payloads of a Quick Mode message: none or two.
pub(crate) fn read_ids(chain: &Chain<'_>) -> Result<Option<(IdPayload, IdPayload)>, Refusal> {
    let mut bodies = chain.all(PayloadType::ID);
    match (bodies.next(), bodies.next(), bodies.next()) {
        (None, _, _) => Ok(None),
        (Some(first), Some(second), None) => {
            let parse = |body| IdPayload::parse(body).map_err(|_| Refusal::BadTraffic);
            Ok(Some((parse(first)?, parse(second)?)))
        }
        _ => Err(Refusal::BadTraffic),
    }
}

/// The NAT-OA payloads, initiator's and responder's. Android sends none; what cannot be read is
/// as good as absent.
pub(crate) fn read_nat_oa(chain: &Chain<'_>, nat: &NatState) -> (Option<IpAddr>, Option<IpAddr>) {
    let mut bodies = chain.all(nat.variant.nat_oa());
    let mut next = || bodies.next().and_then(|body| nat_oa::parse(body).ok());
    (next(), next())
}

/// As responder: whether the identities are something the policy carries.
pub(crate) fn admit(
    policy: &Policy,
    path: &Path,
    nat: &NatState,
    mode: Mode,
    ids: Option<(IdPayload, IdPayload)>,
    original: (Option<IpAddr>, Option<IpAddr>),
) -> Result<Traffic, Refusal> {
    let (idci, idcr) = ids.unwrap_or_else(|| {
        let id = |address| IdPayload {
            identity: Identification::from_address(address),
            protocol: 0,
            port: 0,
        };
        (id(path.peer.ip()), id(path.local.ip()))
    });
    let protocol = match (idci.protocol, idcr.protocol) {
        (a, b) if a == b => a,
        (0, b) => b,
        (a, 0) => a,
        _ => return Err(Refusal::BadTraffic),
    };
    let selectors = match mode {
        Mode::Transport => {
            admit_transport(path, nat, &idci, &idcr)?;
            admit_service(policy, protocol, idcr.port)?;
            TrafficSelectors {
                local: Selector {
                    network: path.local.ip().into(),
                    port: idcr.port,
                },
                peer: Selector {
                    network: path.peer.ip().into(),
                    port: idci.port,
                },
                protocol,
            }
        }
        Mode::Tunnel => {
            let peer = idci.identity.network().ok_or(Refusal::BadTraffic)?;
            let local = idcr.identity.network().ok_or(Refusal::BadTraffic)?;
            admit_networks(policy, path, local, peer)?;
            TrafficSelectors {
                local: Selector {
                    network: local,
                    port: idcr.port,
                },
                peer: Selector {
                    network: peer,
                    port: idci.port,
                },
                protocol,
            }
        }
    };
    let (nat_oa_i, nat_oa_r) = original;
    let peer_original = nat_oa_i.or_else(|| idci.identity.address());
    let local_original = nat_oa_r.or_else(|| idcr.identity.address());
    let behind = |address: Option<IpAddr>, nat: bool| {
        address.filter(|_| nat).filter(|_| mode == Mode::Transport)
    };
    Ok(Traffic {
        selectors,
        ids: Some((idcr, idci)),
        peer_original: behind(peer_original, nat.peer),
        local_original: behind(local_original, nat.local),
    })
}

/// Transport mode is between the two hosts. Behind NAT a host names the address it has itself, and
/// the one it dialled for us (Windows to a server with an elastic address), which neither of us
/// need to know.
fn admit_transport(
    path: &Path,
    nat: &NatState,
    idci: &IdPayload,
    idcr: &IdPayload,
) -> Result<(), Refusal> {
    let host = |id: &IdPayload| {
        id.identity
            .network()
            .filter(|net| net.prefix_len() == net.max_prefix_len())
            .map(|net| net.addr())
    };
    // Windows before its NAT-T update names itself by its host name.
    let peer_fits = nat.peer || host(idci) == Some(path.peer.ip());
    let local = host(idcr).ok_or(Refusal::BadTraffic)?;
    let local_fits = nat.local || local == path.local.ip();
    if peer_fits && local_fits {
        Ok(())
    } else {
        Err(Refusal::BadTraffic)
    }
}

/// A service of ours, or any when the peer leaves it open.
fn admit_service(policy: &Policy, protocol: u8, port: u16) -> Result<(), Refusal> {
    let services = &policy.phase2.services;
    let fits = services.is_empty()
        || services.iter().any(|service| {
            (protocol == 0 || protocol == service.protocol) && (port == 0 || port == service.port)
        });
    if fits {
        Ok(())
    } else {
        Err(Refusal::BadTraffic)
    }
}

/// Tunnel mode: our side must be one of the networks on offer, the peer's side the peer itself or
/// what a connection to it names. Otherwise one client could take another's traffic.
fn admit_networks(policy: &Policy, path: &Path, local: IpNet, peer: IpNet) -> Result<(), Refusal> {
    let connection = policy.connections.iter().find(|connection| {
        connection.mode == Mode::Tunnel && connection.peer.ip() == path.peer.ip()
    });
    let within = |own: Option<IpNet>, asked: &IpNet| own.is_some_and(|own| own.contains(asked));
    let local_fits = policy
        .phase2
        .networks
        .iter()
        .any(|net| net.contains(&local))
        || connection.is_some_and(|connection| within(connection.local_network, &local));
    let peer_fits = peer == IpNet::from(path.peer.ip())
        || connection.is_some_and(|connection| within(connection.peer_network, &peer));
    if local_fits && peer_fits {
        Ok(())
    } else {
        Err(Refusal::BadTraffic)
    }
}

/// As initiator: what a connection asks for.
pub(crate) fn wanted(connection: &Connection, path: &Path) -> Traffic {
    let (local, peer) = match connection.mode {
        Mode::Transport => (path.local.ip().into(), path.peer.ip().into()),
        Mode::Tunnel => (
            connection
                .local_network
                .unwrap_or_else(|| path.local.ip().into()),
            connection
                .peer_network
                .unwrap_or_else(|| path.peer.ip().into()),
        ),
    };
    let id = |network, port| IdPayload {
        identity: Identification::from_network(network),
        protocol: connection.protocol,
        port,
    };
    Traffic {
        selectors: TrafficSelectors {
            local: Selector {
                network: local,
                port: connection.local_port,
            },
            peer: Selector {
                network: peer,
                port: connection.peer_port,
            },
            protocol: connection.protocol,
        },
        ids: Some((
            id(local, connection.local_port),
            id(peer, connection.peer_port),
        )),
        peer_original: None,
        local_original: None,
    }
}

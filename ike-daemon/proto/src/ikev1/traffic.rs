//! What a Quick Mode may carry: the identities IDci and IDcr (RFC 2409 5.5, RFC 2407 4.6.2), and
//! the original addresses behind NAT (RFC 3947 5.2).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::error::Refusal;
use crate::iana::PayloadType;
use crate::io::{Mode, Selector, TrafficSelectors};
use crate::nat::{NatState, Path};
use crate::policy::{Connection, Phase2Policy, Policy};
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

impl Traffic {
    /// As initiator in tunnel mode: our side is the address that Mode Config gave us.
    pub(crate) fn come_from(&mut self, address: Ipv4Addr) {
        self.selectors.local.network = IpAddr::V4(address).into();
        if let Some((own, _)) = &mut self.ids {
            own.identity = Identification::from_address(address.into());
        }
    }
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
    lease: Option<Ipv4Addr>,
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
            admit_service(policy.terms(path.peer.ip()).phase2, protocol, idcr.port)?;
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
            admit_networks(policy, path, local, peer, lease)?;
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
fn admit_service(policy: &Phase2Policy, protocol: u8, port: u16) -> Result<(), Refusal> {
    let services = &policy.services;
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
/// what a connection to it names, or the address we gave it. Otherwise one client could take another's traffic.
fn admit_networks(
    policy: &Policy,
    path: &Path,
    local: IpNet,
    peer: IpNet,
    lease: Option<Ipv4Addr>,
) -> Result<(), Refusal> {
    // A client with an address of ours comes with that and no other.
    if let (Some(lease), Some(config)) = (lease, policy.terms(path.peer.ip()).mode_config) {
        return match peer == IpNet::from(IpAddr::V4(lease)) && config.reaches(&local) {
            true => Ok(()),
            false => Err(Refusal::BadTraffic),
        };
    }
    let connection = policy.connections.iter().find(|connection| {
        connection.mode == Mode::Tunnel && connection.peer.ip() == path.peer.ip()
    });
    let within = |own: Option<IpNet>, asked: &IpNet| own.is_some_and(|own| own.contains(asked));
    let local_fits = policy
        .terms(path.peer.ip())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iana::IdType;
    use crate::policy::Service;
    use crate::vendor::NatVariant;
    use crate::wire::chain::Builder;

    fn path() -> Path {
        Path {
            local: "203.0.113.1:4500".parse().unwrap(),
            peer: "198.51.100.7:61000".parse().unwrap(),
            natt_port: true,
        }
    }

    fn nat(local: bool, peer: bool) -> NatState {
        NatState {
            variant: NatVariant::Rfc3947,
            local,
            peer,
        }
    }

    fn id(text: &str, protocol: u8, port: u16) -> IdPayload {
        IdPayload {
            identity: text.parse().unwrap(),
            protocol,
            port,
        }
    }

    fn ask(nat: NatState, idci: IdPayload, idcr: IdPayload) -> Result<TrafficSelectors, Refusal> {
        let policy = Policy::default();
        admit(
            &policy,
            &path(),
            &nat,
            Mode::Transport,
            Some((idci, idcr)),
            (None, None),
            None,
        )
        .map(|traffic| traffic.selectors)
    }

    #[test]
    fn none_or_two_identities() {
        let body = id("192.0.2.1", 17, 1701).body();
        for count in 0..5 {
            let mut builder = Builder::new();
            builder.push(PayloadType::HASH, vec![0; 20]);
            for _ in 0..count {
                builder.push(PayloadType::ID, body.clone());
            }
            let bytes = builder.emit();
            let chain = Chain::parse(builder.first(), &bytes).unwrap();
            let read = read_ids(&chain);
            match count {
                0 => assert_eq!(read, Ok(None)),
                2 => assert!(matches!(read, Ok(Some(_)))),
                _ => assert_eq!(read, Err(Refusal::BadTraffic)),
            }
        }
    }

    #[test]
    fn ports_of_real_clients() {
        // ChromeOS and Windows 1701, macOS ephemeral, Android 0.
        for port in [1701, 52_522, 0] {
            let selectors = ask(
                nat(false, true),
                id("192.168.1.5", 17, port),
                id("203.0.113.1", 17, 1701),
            )
            .unwrap();
            assert_eq!(selectors.peer.port, port);
            assert_eq!(selectors.peer.network, "198.51.100.7/32".parse().unwrap());
            assert_eq!((selectors.protocol, selectors.local.port), (17, 1701));
        }
        let open = ask(
            nat(false, true),
            id("192.168.1.5", 0, 0),
            id("203.0.113.1", 17, 0),
        );
        assert_eq!(open.unwrap().protocol, 17);
    }

    #[test]
    fn no_identities_stand_for_the_addresses() {
        let policy = Policy::default();
        let traffic = admit(
            &policy,
            &path(),
            &nat(false, true),
            Mode::Transport,
            None,
            (None, None),
            None,
        )
        .unwrap();
        assert_eq!(traffic.selectors.protocol, 0);
        assert_eq!(
            traffic.selectors.local.network,
            "203.0.113.1/32".parse().unwrap()
        );
    }

    #[test]
    fn a_server_behind_nat_is_dialled_by_its_public_address() {
        let ask = |nat| {
            ask(
                nat,
                id("192.168.0.5", 17, 1701),
                id("11.12.13.14", 17, 1701),
            )
        };
        assert!(ask(nat(true, true)).is_ok());
        assert_eq!(ask(nat(false, true)), Err(Refusal::BadTraffic));
    }

    #[test]
    fn a_peer_without_nat_is_who_it_says() {
        let server = || id("203.0.113.1", 17, 1701);
        assert!(ask(nat(false, false), id("198.51.100.7", 17, 1701), server()).is_ok());
        assert!(ask(nat(false, false), id("198.51.100.8", 17, 1701), server()).is_err());
        assert!(ask(nat(false, false), id("fqdn:pc", 17, 1701), server()).is_err());
        assert!(ask(nat(false, true), id("fqdn:pc", 17, 1701), server()).is_ok());
        assert!(ask(nat(false, true), id("192.168.0.0/16", 17, 1701), server()).is_ok());
    }

    #[test]
    fn every_type_of_identity_for_us() {
        for kind in 0..=255u8 {
            for len in [0usize, 4, 8, 16, 32] {
                let identity = Identification {
                    kind: IdType(kind),
                    data: vec![1; len],
                };
                let idcr = IdPayload {
                    identity,
                    protocol: 17,
                    port: 1701,
                };
                let answer = ask(nat(false, true), id("192.168.1.5", 17, 1701), idcr);
                assert_eq!(answer, Err(Refusal::BadTraffic));
            }
        }
    }

    #[test]
    fn services_and_protocols() {
        let ask = |protocol, port| {
            ask(
                nat(false, true),
                id("192.168.1.5", protocol, 0),
                id("203.0.113.1", protocol, port),
            )
        };
        assert!(ask(17, 1701).is_ok());
        assert!(ask(17, 53).is_err());
        assert!(ask(6, 1701).is_err());
        assert!(ask(0, 1701).is_ok());
        let mut policy = Policy::default();
        policy.phase2.services = vec![Service {
            protocol: 17,
            port: 1701,
        }];
        let mismatch = admit(
            &policy,
            &path(),
            &nat(false, true),
            Mode::Transport,
            Some((id("192.168.1.5", 6, 0), id("203.0.113.1", 17, 1701))),
            (None, None),
            None,
        );
        assert_eq!(mismatch, Err(Refusal::BadTraffic));
    }

    #[test]
    fn original_addresses() {
        let policy = Policy::default();
        let ids = || Some((id("192.168.1.5", 17, 0), id("203.0.113.1", 17, 1701)));
        let ask = |nat, original| {
            admit(
                &policy,
                &path(),
                &nat,
                Mode::Transport,
                ids(),
                original,
                None,
            )
            .map(|traffic| (traffic.peer_original, traffic.local_original))
            .unwrap()
        };
        let private: IpAddr = "192.168.1.5".parse().unwrap();
        let told: IpAddr = "10.9.8.7".parse().unwrap();
        // Android sends no NAT-OA: its identity tells.
        assert_eq!(ask(nat(false, true), (None, None)), (Some(private), None));
        assert_eq!(
            ask(nat(false, true), (Some(told), None)),
            (Some(told), None)
        );
        assert_eq!(
            ask(nat(true, true), (None, Some(told))),
            (Some(private), Some(told))
        );
    }

    #[test]
    fn a_tunnel_takes_nobody_elses_traffic() {
        let mut policy = Policy::default();
        policy.phase2.tunnel = true;
        policy.phase2.networks = vec!["10.0.0.0/8".parse().unwrap()];
        let ask = |peer: &str, local: &str| {
            let ids = Some((id(peer, 0, 0), id(local, 0, 0)));
            admit(
                &policy,
                &path(),
                &nat(false, false),
                Mode::Tunnel,
                ids,
                (None, None),
                None,
            )
            .is_ok()
        };
        assert!(ask("198.51.100.7", "10.1.0.0/16"));
        assert!(!ask("0.0.0.0/0", "10.1.0.0/16"));
        assert!(!ask("198.51.100.8", "10.1.0.0/16"));
        assert!(!ask("198.51.100.7", "192.168.0.0/24"));
        assert!(!ask("198.51.100.7", "0.0.0.0/0"));
    }
}

//! What phase 1s there are between whom: for racoon's events and for the operator's programs, which
//! both tell where it happened.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use ike_proto::error::{DownReason, Refusal};
use ike_proto::iana::{IdType, NotifyType};
use ike_proto::io::{Event, IkeId, Reqid};
use ike_proto::view::IkeSaView;
use ike_proto::wire::id::Identification;

use crate::racoonctl::wire::EventKind;

/// The ends of a phase 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// Something that a program is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    Up,
    Down,
    Dead,
}

impl Occasion {
    /// The program's first argument.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Up => "phase1_up",
            Self::Down => "phase1_down",
            Self::Dead => "phase1_dead",
        }
    }
}

/// What one event of the core means to others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// Between whom.
    pub(super) ends: Option<Ends>,
    /// racoon's events.
    pub(super) events: Vec<EventKind>,
    /// Programs to run.
    pub(super) occasions: Vec<Occasion>,
    /// Who the peer is.
    pub(super) identity: Option<Identification>,
    /// What it logged in as, and the address that goes with its tunnel.
    pub(super) given: Given,
    /// Nothing more will be heard of this phase 1.
    pub(super) is_last: bool,
}

/// What XAUTH and Mode Config led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) user: Option<String>,
    pub(super) address: Option<Ipv4Addr>,
    /// Name servers that a server told us of.
    pub(super) dns: Vec<Ipv4Addr>,
}

/// A client, as long as it has an SA.
#[derive(Debug)]
struct Client {
    ends: Ends,
    identity: Option<Identification>,
    given: Given,
}

/// The phase 1s that are established. As many as the core has.
#[derive(Debug, Default)]
pub(super) struct Phase1s {
    known: HashMap<IkeId, (Option<Reqid>, Option<Identification>)>,
    clients: HashMap<Reqid, Client>,
}

impl Phase1s {
    /// Takes over what an earlier process established.
    pub(super) fn adopt(&mut self, sas: &[IkeSaView]) {
        for sa in sas.iter().filter(|sa| sa.established.is_some()) {
            let identity = sa.peer_identity.as_ref().and_then(|text| text.parse().ok());
            self.known.insert(sa.id, (sa.reqid, identity));
            if let Some(reqid) = sa.reqid {
                let ends = Ends {
                    local: sa.local,
                    peer: sa.peer,
                };
                let identity = self.known.get(&sa.id).and_then(|(_, own)| own.clone());
                let given = Given {
                    user: sa.user.clone(),
                    address: sa.address,
                    dns: Vec::new(),
                };
                let client = Client {
                    ends,
                    identity,
                    given,
                };
                self.clients.insert(reqid, client);
            }
        }
    }

    /// Follows one event. `more_to_come`: a phase 1 just established goes on with XAUTH or Mode Config.
    pub(super) fn follow(&mut self, event: &Event, more_to_come: bool) -> Meaning {
        match event {
            Event::IkeUp {
                ike,
                reqid,
                local,
                peer,
                identity,
                ..
            } => {
                let ends = Ends {
                    local: *local,
                    peer: *peer,
                };
                let before = self.clients.remove(reqid);
                let client = Client {
                    ends,
                    identity: Some(identity.clone()),
                    given: before.map(|client| client.given).unwrap_or_default(),
                };
                let given = client.given.clone();
                self.clients.insert(*reqid, client);
                self.known
                    .insert(*ike, (Some(*reqid), Some(identity.clone())));
                let (mut events, mut occasions) = (vec![EventKind::Phase1Up], Vec::new());
                if !more_to_come {
                    // Without mode configuration its end is announced at once.
                    events.push(EventKind::Phase1ModeCfg);
                    occasions.push(Occasion::Up);
                }
                Meaning {
                    ends: Some(ends),
                    events,
                    occasions,
                    identity: Some(identity.clone()),
                    given,
                    is_last: false,
                }
            }
            Event::IkeDown {
                ike,
                local,
                peer,
                established,
                reason,
                ..
            } => {
                let (reqid, identity) = self.known.remove(ike).unwrap_or_default();
                let client = reqid.and_then(|reqid| self.clients.get(&reqid));
                Meaning {
                    given: client
                        .map(|client| client.given.clone())
                        .unwrap_or_default(),
                    ends: Some(Ends {
                        local: *local,
                        peer: *peer,
                    }),
                    events: ended(*established, reason),
                    occasions: occasions(*established, reason),
                    identity,
                    is_last: true,
                }
            }
            Event::ChildUp { reqid, .. } => self.of_client(*reqid, vec![EventKind::Phase2Up]),
            Event::ChildDown {
                reqid,
                spi_out,
                reason,
                ..
            } => match (*spi_out, reason) {
                (0, DownReason::Timeout) => {
                    self.of_client(*reqid, vec![EventKind::Phase2NoResponse])
                }
                (0, _) => Meaning::default(),
                _ => self.of_client(*reqid, vec![EventKind::Phase2Down]),
            },
            Event::ClientGone { reqid, .. } => {
                self.clients.remove(reqid);
                Meaning::default()
            }
            Event::MappingMoved { reqid, new, .. } => {
                if let Some(client) = self.clients.get_mut(reqid) {
                    client.ends.peer = *new;
                }
                Meaning::default()
            }
            Event::UserUp { ike, user, .. } => {
                let Some(reqid) = self.known.get(ike).and_then(|(reqid, _)| *reqid) else {
                    return Meaning::default();
                };
                if let Some(client) = self.clients.get_mut(&reqid) {
                    client.given.user = Some(user.clone());
                }
                self.of_client(reqid, vec![EventKind::Phase1XauthSuccess])
            }
            Event::AddressGiven {
                reqid,
                user,
                address,
                ..
            } => {
                let given = Given {
                    user: user.clone(),
                    address: Some(*address),
                    dns: Vec::new(),
                };
                // Those without a login had their program run when phase 1 was established.
                let occasions = user.iter().map(|_| Occasion::Up).collect();
                self.configured(*reqid, given, occasions)
            }
            Event::AddressTaken {
                reqid,
                address,
                dns,
                ..
            } => {
                let given = Given {
                    user: None,
                    address: Some(*address),
                    dns: dns.clone(),
                };
                self.configured(*reqid, given, vec![Occasion::Up])
            }
            Event::Refused { .. }
            | Event::CertificateRefused { .. }
            | Event::OfferRefused { .. }
            | Event::ConnectionFailed { .. }
            | Event::Carried { .. }
            | Event::NatDetected { .. } => Meaning::default(),
        }
    }

    fn of_client(&self, reqid: Reqid, events: Vec<EventKind>) -> Meaning {
        let Some(client) = self.clients.get(&reqid) else {
            return Meaning::default();
        };
        Meaning {
            ends: Some(client.ends),
            events,
            identity: client.identity.clone(),
            given: client.given.clone(),
            ..Meaning::default()
        }
    }

    /// Mode Config is done with.
    fn configured(&mut self, reqid: Reqid, given: Given, occasions: Vec<Occasion>) -> Meaning {
        if let Some(client) = self.clients.get_mut(&reqid) {
            client.given = given;
        }
        Meaning {
            occasions,
            ..self.of_client(reqid, vec![EventKind::Phase1ModeCfg])
        }
    }
}

fn ended(established: bool, reason: &DownReason) -> Vec<EventKind> {
    if established {
        return match reason {
            DownReason::DpdTimeout => vec![EventKind::Phase1DpdTimeout, EventKind::Phase1Down],
            DownReason::DeletedByPeer => {
                vec![EventKind::Phase1PeerDeleted, EventKind::Phase1Down]
            }
            _ => vec![EventKind::Phase1Down],
        };
    }
    vec![match reason {
        DownReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN)
        | DownReason::Refused(
            Refusal::NoPhase1Proposal
            | Refusal::OnlyModp1024
            | Refusal::AuthMethod
            | Refusal::OnlyCertificates
            | Refusal::OnlyXauth,
        ) => EventKind::Phase1NoProposal,
        DownReason::PeerRefused(_)
        | DownReason::Refused(
            Refusal::NoSecret
            | Refusal::UnknownGroup
            | Refusal::WrongSecret
            | Refusal::WrongIdentity
            | Refusal::NoCertificate
            | Refusal::CertificateIdentity
            | Refusal::ExpiredCertificate
            | Refusal::RevokedCertificate
            | Refusal::StaleRevocationList
            | Refusal::UntrustedCertificate
            | Refusal::BadSignature,
        ) => EventKind::Phase1AuthFailed,
        DownReason::DeletedLocally => EventKind::Phase1Down,
        _ => EventKind::Phase1NoResponse,
    }]
}

/// racoon runs `phase1_down` for exchanges that never got anywhere as well. We do not: whoever sends
/// datagrams could start programs here.
fn occasions(established: bool, reason: &DownReason) -> Vec<Occasion> {
    match (established, reason) {
        (true, DownReason::DpdTimeout) => vec![Occasion::Dead, Occasion::Down],
        (true, _) => vec![Occasion::Down],
        // We began, and nobody answered.
        (false, DownReason::Timeout) => vec![Occasion::Dead],
        (false, _) => Vec::new(),
    }
}

/// An identity as racoon writes it into `REMOTE_ID`. What is no printable ASCII becomes `?`.
pub(super) fn remote_id(identity: &Identification) -> String {
    if let Some(address) = identity.address() {
        return address.to_string();
    }
    if let Some(network) = identity.network() {
        return network.to_string();
    }
    match identity.kind {
        IdType::FQDN | IdType::USER_FQDN => identity
            .data
            .iter()
            .map(|octet| match octet {
                0x21..=0x7e => char::from(*octet),
                _ => '?',
            })
            .collect(),
        IdType::KEY_ID => "<KEY-ID>".to_owned(),
        IdType::DER_ASN1_DN => identity
            .name()
            .map_or_else(|| "<ASN1-DN>".to_owned(), |name| name.to_string()),
        _ => "<?>".to_owned(),
    }
}

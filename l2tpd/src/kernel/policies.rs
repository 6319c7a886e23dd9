//! The security policies that keep L2TP in clear text out of a system kernel, and what policies and
//! SAs tell about the client behind a flow. No I/O.
//!
//! For every address of the listener the SPD gets a pair:
//!
//! ```text
//! 0.0.0.0/0[any] 0.0.0.0/0[1701] udp -P in  ipsec esp/transport//require
//! 0.0.0.0/0[1701] 0.0.0.0/0[any] udp -P out ipsec esp/transport//require
//! ```
//!
//! They stand behind every policy of ordinary priority, so that a client's own
//! (`unique:REQID`, from the IKE daemon) comes first.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use l2tp_proto::FlowId;
use pfkey::ext::{SCOPE_GLOBAL, SaState};
use pfkey::{
    Address, Direction, Level, Message, Mode, Policy, PolicyRequest, PolicyType, SpRequest,
};

/// `IPPROTO_UDP`.
const UDP: u8 = 17;
/// Of our policies: behind those with the priority 0 that everybody else uses, and the mark by
/// which the process after a crash knows its own.
pub(super) const PRIORITY: u32 = 0x7a6e_0001;

/// The policies that a listener needs, inbound ones first.
pub(super) fn required(listen: &[SocketAddr]) -> Vec<SpRequest> {
    let ends: BTreeSet<(IpAddr, u16)> = listen
        .iter()
        .map(|listen| (listen.ip(), listen.port()))
        .collect();
    let policy = |direction, source, destination| SpRequest {
        source,
        destination,
        policy: Policy {
            priority: PRIORITY,
            ..Policy::ipsec(direction, PolicyRequest::esp_transport_require())
        },
        lifetime: None,
    };
    [Direction::INBOUND, Direction::OUTBOUND]
        .into_iter()
        .flat_map(|direction| ends.iter().map(move |end| (direction, *end)))
        .map(|(direction, (ip, port))| {
            let (ours, anyone) = (ours(ip, port), anyone(ip));
            match direction {
                Direction::INBOUND => policy(direction, anyone, ours),
                _ => policy(direction, ours, anyone),
            }
        })
        .collect()
}

fn ours(ip: IpAddr, port: u16) -> Address {
    let bits = match ip {
        _ if ip.is_unspecified() => 0,
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    Address::selector(ip, bits, port, UDP)
}

fn anyone(family: IpAddr) -> Address {
    let any = match family {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    Address::selector(any, 0, 0, UDP)
}

/// How the SPD stands to a policy we want there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not there.
    Missing,
    /// There, and put there by us: this number.
    Ours(u32),
    /// The operator has one that does the same: this number.
    Theirs(u32),
    /// The operator has one for the same packets that lets clear text through.
    Open,
}

/// Looks for `wanted` in a dump of the SPD. The kernel has at most one policy of a selector.
pub(super) fn standing(wanted: &SpRequest, spd: &[Message]) -> Standing {
    let mut entries = spd.iter().filter_map(Entry::of);
    let Some(entry) = entries.find(|entry| entry.selects_as(wanted)) else {
        return Standing::Missing;
    };
    let id = entry.policy.id;
    if !is_protective(entry.policy) {
        Standing::Open
    } else if entry.policy.priority == PRIORITY {
        Standing::Ours(id)
    } else {
        Standing::Theirs(id)
    }
}

/// Policies of ours that are not among `wanted`, by number.
pub(super) fn left_over(wanted: &[SpRequest], spd: &[Message]) -> Vec<u32> {
    spd.iter()
        .filter_map(Entry::of)
        .filter(|entry| entry.policy.priority == PRIORITY)
        .filter(|entry| !wanted.iter().any(|wanted| entry.selects_as(wanted)))
        .map(|entry| entry.policy.id)
        .collect()
}

/// Whether a packet without ESP is dropped.
fn is_protective(policy: &Policy) -> bool {
    match policy.kind {
        PolicyType::DISCARD => true,
        PolicyType::IPSEC => policy.requests.iter().any(|request| {
            request.protocol == PolicyRequest::ESP
                && matches!(request.level, Level::REQUIRE | Level::UNIQUE)
        }),
        _ => false,
    }
}

/// The reqid that the policies have for what we send on `flow`: that of the most exact one.
pub(super) fn reqid_by_policy(flow: &FlowId, spd: &[Message]) -> Option<u32> {
    let fits = |entry: &Entry<'_>| {
        entry.policy.direction == Direction::OUTBOUND
            && entry.reqid().is_some()
            && covers(entry.source, flow.local)
            && covers(entry.destination, flow.peer)
    };
    let exactness = |entry: &Entry<'_>| {
        let port = |address: &Address| address.address.port() != 0;
        (
            port(entry.destination),
            entry.destination.prefix_len,
            port(entry.source),
            entry.source.prefix_len,
        )
    };
    spd.iter()
        .filter_map(Entry::of)
        .filter(fits)
        .max_by_key(exactness)
        .and_then(|entry| entry.reqid())
}

/// The reqid of the SAs that lead to the peer of `flow`, if all have the same.
pub(super) fn reqid_by_sas(flow: &FlowId, sad: &[Message]) -> Option<u32> {
    let lead_there = |sa: &&Message| {
        let live = |state| matches!(state, SaState::MATURE | SaState::DYING);
        sa.sa().is_some_and(|sa| live(sa.state))
            && sa.source().is_some_and(|end| end.ip() == flow.local.ip())
            && sa
                .destination()
                .is_some_and(|end| end.ip() == flow.peer.ip())
            && sa.sa2().is_some_and(|sa2| sa2.mode != Mode::TUNNEL)
    };
    let reqids: BTreeSet<u32> = sad
        .iter()
        .filter(lead_there)
        .filter_map(|sa| Some(sa.sa2()?.reqid))
        .collect();
    let only = reqids.first().copied().filter(|_| reqids.len() == 1);
    only.filter(|reqid| *reqid != 0)
}

/// One policy of a dump.
struct Entry<'a> {
    source: &'a Address,
    destination: &'a Address,
    policy: &'a Policy,
}

impl<'a> Entry<'a> {
    fn of(message: &'a Message) -> Option<Self> {
        let entry = Self {
            source: message.source()?,
            destination: message.destination()?,
            policy: message.policy()?,
        };
        // Policies of sockets and of if_ipsec(4) are not ours to look at.
        matches!(entry.policy.scope, 0 | SCOPE_GLOBAL).then_some(entry)
    }

    fn selects_as(&self, wanted: &SpRequest) -> bool {
        self.policy.direction == wanted.policy.direction
            && (self.source, self.destination) == (&wanted.source, &wanted.destination)
    }

    fn reqid(&self) -> Option<u32> {
        let request = self.policy.requests.first()?;
        (request.level == Level::UNIQUE && request.mode == Mode::TRANSPORT && request.reqid != 0)
            .then_some(request.reqid)
    }
}

fn covers(selector: &Address, end: SocketAddr) -> bool {
    let network = IpNet::new(selector.ip(), selector.prefix_len);
    let port = selector.address.port();
    network.is_ok_and(|network| network.contains(&end.ip()))
        && (port == 0 || port == end.port())
        && matches!(selector.protocol, UDP | Address::ANY_PROTOCOL)
}

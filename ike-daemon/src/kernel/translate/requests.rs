//! The parts of PF_KEY requests, from the protocol core's words.

use std::net::SocketAddr;

use ike_proto::io::{Direction, Mode, MovePeer, SaInstall, SecurityPolicy, Selector};
use pfkey::client::{NatT, SaMove, SpRequest};
use pfkey::{Address, Level, Lifetime, Policy, PolicyRequest, PolicyType, SaType};

use super::Installed;

pub(super) fn moved(
    change: &MovePeer,
    direction: Direction,
    spi: u32,
    installed: Installed,
) -> SaMove {
    let local = change.local;
    let (source, destination) = oriented(direction, local.ip(), change.old.ip());
    let peer = (change.old.ip() != change.new.ip()).then_some(change.new.ip());
    let (new_source, new_destination) = match direction {
        Direction::Inbound => (peer, None),
        Direction::Outbound => (None, peer),
    };
    let (source_port, destination_port) = oriented(direction, local.port(), change.new.port());
    SaMove {
        sa_type: SaType::ESP,
        spi,
        mode: installed.mode,
        reqid: change.reqid.0,
        source,
        destination,
        new_source,
        new_destination,
        nat_t: Some(NatT {
            source_port,
            destination_port,
            original_initiator: installed.original_initiator,
            original_responder: installed.original_responder,
        }),
    }
}

pub(super) fn sp_request(policy: &SecurityPolicy) -> SpRequest {
    let traffic = &policy.traffic;
    let selector = |side: &Selector| {
        let protocol = match traffic.protocol {
            0 => Address::ANY_PROTOCOL,
            protocol => protocol,
        };
        Address::selector(
            side.network.network(),
            side.network.prefix_len(),
            side.port,
            protocol,
        )
    };
    let (source, destination) = oriented(
        policy.direction,
        selector(&traffic.local),
        selector(&traffic.peer),
    );
    let (from, to) = oriented(policy.direction, policy.local, policy.peer);
    let tunnel =
        (policy.mode == Mode::Tunnel).then(|| (SocketAddr::new(from, 0), SocketAddr::new(to, 0)));
    SpRequest {
        source,
        destination,
        policy: Policy {
            kind: PolicyType::IPSEC,
            direction: match policy.direction {
                Direction::Inbound => pfkey::Direction::INBOUND,
                Direction::Outbound => pfkey::Direction::OUTBOUND,
            },
            requests: vec![PolicyRequest {
                protocol: PolicyRequest::ESP,
                mode: mode(policy.mode),
                level: Level::UNIQUE,
                reqid: policy.reqid.0,
                tunnel,
            }],
            ..Policy::default()
        },
        lifetime: None,
    }
}

/// (source, destination) of what goes in `direction`.
pub(super) fn oriented<T>(direction: Direction, local: T, peer: T) -> (T, T) {
    match direction {
        Direction::Inbound => (peer, local),
        Direction::Outbound => (local, peer),
    }
}

pub(super) fn mode(mode: Mode) -> pfkey::Mode {
    match mode {
        Mode::Transport => pfkey::Mode::TRANSPORT,
        Mode::Tunnel => pfkey::Mode::TUNNEL,
    }
}

/// Hard and soft, both or none.
pub(super) fn lifetimes(sa: &SaInstall) -> Option<(Lifetime, Lifetime)> {
    let limits = &sa.lifetime;
    let lifetime = |time: std::time::Duration, bytes| Lifetime {
        bytes,
        add_time: time.as_secs(),
        ..Lifetime::default()
    };
    let hard = lifetime(limits.hard, limits.hard_octets);
    (hard != Lifetime::default()).then(|| (hard, lifetime(limits.soft, limits.soft_octets)))
}

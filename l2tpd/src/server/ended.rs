//! The last of a session: what is kept until the kernel has removed its nodes, and told then.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use ppp_proto::Family;
use rand_core::CryptoRng;

use super::Server;
use super::io::SessionKey;
use super::session::{Session, Told};
use crate::config::Bundle;
use crate::control::protocol::Traffic;
use crate::events::Event;

/// A session whose nodes are being removed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) serial: u64,
    pub(super) key: SessionKey,
    pub(super) bundle: Option<Arc<Bundle>>,
    pub(super) peer: SocketAddr,
    pub(super) user: String,
    pub(super) address: Option<IpAddr>,
    pub(super) leased: Option<Ipv4Addr>,
    pub(super) prefix: Option<Ipv6Net>,
    pub(super) told: [Told; 2],
    pub(super) reason: String,
    pub(super) duration: Duration,
    pub(super) traffic: Traffic,
    pub(super) was_up: bool,
}

impl Ended {
    pub(super) fn of(session: Session, now: Instant) -> Self {
        Self {
            serial: session.serial,
            key: session.key(),
            bundle: session.bundle.clone(),
            peer: session.peer,
            address: session.address().or(session.leased.map(IpAddr::V4)),
            user: session.user,
            leased: session.leased,
            prefix: session.prefix,
            told: session.told,
            reason: session.reason.unwrap_or_default(),
            duration: now.saturating_duration_since(session.started),
            traffic: session.traffic,
            was_up: session.was_up,
        }
    }
}

impl Server {
    /// A session's nodes are gone: its address is free, its programs may end.
    pub(super) fn on_ended(
        &mut self,
        now: Instant,
        mut ended: Ended,
        traffic: Traffic,
        rng: &mut dyn CryptoRng,
    ) {
        self.counters.sessions_down += 1;
        ended.traffic = traffic;
        for family in [Family::V4, Family::V6] {
            self.tell_down_ended(&ended, family);
        }
        self.programs.no_more(ended.serial);
        self.event(Event::SessionDown {
            session: ended.key,
            peer: ended.peer,
            user: ended.user,
            address: ended.address,
            reason: ended.reason,
            duration: ended.duration,
            traffic,
            was_up: ended.was_up,
        });
        if let Some(address) = ended.leased {
            self.pool.release(address);
            self.serve_waiting(now, address, rng);
        }
        if let Some(prefix) = ended.prefix {
            self.take_back_prefix(now, prefix);
        }
    }
}

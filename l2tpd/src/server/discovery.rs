//! IPv6 behind IPV6CP: a client's session gets a prefix and is told it by router advertisements
//! (RFC 4861); on a connection of ours we ask for them, and the system takes them.
//!
//! Advertisements leave as PPP frames beside the interface, so that they are the same on every
//! kernel and no interface has to be a router's; solicitations come out of the interface's nodes
//! the same way.

use std::time::Instant;

use ipnet::Ipv6Net;
use nd_proto::{Host, Invalid, Router, Settings, Solicitation};
use netgraph::node::ppp::PROTOCOL_IPV6;
use ppp_proto::Network;
use rand_core::CryptoRng;

use super::Server;
use super::io::{KernelOp, SessionKey};
use super::operations::Purpose;
use super::session::{Session, Side, link_local};
use crate::events::Event;
use crate::pool::PoolError;

/// Our part in neighbour discovery on a session.
#[derive(Debug)]
pub(super) enum Discovery {
    /// We advertise.
    Router(Router),
    /// We ask.
    Host(Host),
}

impl Discovery {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::Router(router) => Some(router.next_timeout()),
            Self::Host(host) => host.next_timeout(),
        }
    }
}

impl Server {
    /// Whether the session is of those that get advertisements.
    pub(super) fn advertises(&self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get(&key) else {
            return false;
        };
        let bundle = session.bundle.as_ref().filter(|bundle| bundle.ipv6);
        let own = self.users.get(&session.user).and_then(|user| user.prefix);
        session.side == Side::Server
            && bundle.is_some_and(|bundle| own.is_some() || !bundle.router.prefixes.is_empty())
    }

    /// Gives the session a prefix, if it is to have one. One that gets none goes on without, and
    /// gets one as soon as there is one.
    pub(super) fn lease_prefix(&mut self, now: Instant, key: SessionKey) {
        let Err(error) = self.try_prefix(key) else {
            return;
        };
        self.counters.no_prefix += 1;
        self.without_prefix.insert(key);
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let (user, peer) = (session.user.clone(), session.peer);
        let remedy = match error {
            PoolError::InUse(prefix) => {
                self.end_holder(now, key, prefix);
                "give the user's sessions prefixes of the pool: remove `prefix` in the users file"
            }
            _ => "enlarge `ipv6.prefixes`",
        };
        if self.repetitions.is_new(now, peer.ip(), "prefix") {
            let reason = match error {
                PoolError::InUse(_) => error.to_string(),
                _ => "every prefix is in use".to_owned(),
            };
            self.event(Event::NoPrefix {
                peer,
                user,
                reason,
                remedy,
            });
        }
    }

    fn try_prefix(&mut self, key: SessionKey) -> Result<(), PoolError<Ipv6Net>> {
        if !self.advertises(key) {
            return Ok(());
        }
        let Some(session) = self.sessions.get_mut(&key) else {
            return Ok(());
        };
        let Some(bundle) = session.bundle.as_ref().filter(|_| session.prefix.is_none()) else {
            return Ok(());
        };
        let own = self.users.get(&session.user).and_then(|user| user.prefix);
        let prefix = match own {
            Some(prefix) => self.prefixes.reserve(prefix).map(|()| prefix),
            None => self.prefixes.allocate(&bundle.name, &session.user),
        }?;
        session.prefix = Some(prefix);
        Ok(())
    }

    /// The client came back before its old session was found dead.
    fn end_holder(&mut self, now: Instant, key: SessionKey, prefix: Ipv6Net) {
        let sessions = self.sessions.iter();
        let holder = sessions
            .filter(|(other, session)| **other != key && session.prefix == Some(prefix))
            .map(|(other, _)| *other)
            .next();
        if let Some(holder) = holder {
            self.replace(now, holder);
        }
    }

    /// A prefix is free again: for the pool, or for a session that could get none.
    pub(super) fn take_back_prefix(&mut self, now: Instant, prefix: Ipv6Net) {
        self.prefixes.release(prefix);
        let waiting: Vec<SessionKey> = self.without_prefix.iter().copied().collect();
        for key in waiting {
            if self.try_prefix(key).is_ok() {
                self.without_prefix.remove(&key);
                self.set_interface(now, key);
                return;
            }
        }
    }

    /// IPv6 packets flow: advertise, or ask.
    pub(super) fn begin_discovery(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(Network::V6 { local, peer }) = session.ipv6 else {
            return;
        };
        let (local, peer) = (link_local(local), link_local(peer));
        match (&session.side, session.prefix) {
            (Side::Client(_), _) if session.discovery.is_none() => {
                session.discovery = Some(Discovery::Host(Host::new(local, now)));
            }
            (Side::Server, Some(prefix)) => {
                let bundle = session.bundle.as_ref();
                let settings = Settings {
                    router: local,
                    host: peer,
                    prefix,
                    dns: bundle.map(|b| b.router.dns.clone()).unwrap_or_default(),
                    mtu: session.mtu().into(),
                };
                let same = match &session.discovery {
                    Some(Discovery::Router(router)) => *router.settings() == settings,
                    _ => false,
                };
                if !same {
                    session.discovery = Some(Discovery::Router(Router::new(settings, now)));
                }
            }
            _ => {}
        }
    }

    /// Sends what is due on the session.
    pub(super) fn discover(&mut self, now: Instant, key: SessionKey, rng: &mut dyn CryptoRng) {
        let discovery = self.sessions.get_mut(&key).map(|s| &mut s.discovery);
        let packet = match discovery.and_then(Option::as_mut) {
            Some(Discovery::Router(router)) => {
                let packet = router.handle_timeout(now, rng);
                self.counters.advertisements += u64::from(packet.is_some());
                packet
            }
            Some(Discovery::Host(host)) => host.handle_timeout(now),
            None => None,
        };
        if let Some(packet) = packet {
            self.send_ipv6(now, key, packet);
        }
    }

    /// An IPv6 packet of the peer that came to us: a router solicitation is answered. False when
    /// it is not ours to look at.
    pub(super) fn on_solicitation(&mut self, now: Instant, key: SessionKey, packet: &[u8]) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else {
            return false;
        };
        let Some(Discovery::Router(router)) = &mut session.discovery else {
            return false;
        };
        session.discovery_frames += 1;
        match Solicitation::parse(packet) {
            Ok(solicitation) => {
                self.counters.solicitations += 1;
                if let Some(answer) = router.handle_solicitation(now, solicitation) {
                    self.counters.advertisements += 1;
                    self.send_ipv6(now, key, answer);
                }
                self.schedule(key);
            }
            Err(Invalid::Malformed) => self.counters.solicitations_invalid += 1,
            // Not yet for the interface, which is no offence.
            Err(Invalid::Other) => {}
        }
        true
    }

    fn send_ipv6(&mut self, now: Instant, session: SessionKey, payload: Vec<u8>) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.discovery_frames += 1;
        }
        let operation = KernelOp::SendFrame {
            session,
            protocol: PROTOCOL_IPV6,
            payload,
        };
        self.kernel(now, operation, Purpose::None);
    }
}

impl Session {
    /// The interface's MTU, octets.
    pub(super) fn mtu(&self) -> u16 {
        let negotiated = self.lcp.map_or(1400, |lcp| lcp.mtu);
        let bundle = self.bundle.as_ref();
        bundle.map_or(negotiated, |bundle| bundle.mtu.of(negotiated))
    }
}

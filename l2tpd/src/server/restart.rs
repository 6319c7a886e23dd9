//! What outlives this process: tunnels, sessions and links on paper, taken up again when the
//! kernel's nodes are still there, and the removal of nodes nobody knows.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use l2tp_proto::{CloseTunnel, KernelId, SessionId, SessionSetup, TunnelId, TunnelRecord};
use ppp_proto::{AuthMethod, Checkpoint as LinkCheckpoint, Ipv4Assignment, Link, Network};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::io::{KernelOp, SessionKey};
use super::operations::Purpose;
use super::session::{Interface, Session, Side, Told, client_link, server_link};
use super::{Server, Tunnel};
use crate::config::{Bundle, LinkProfile};
use crate::control::protocol::Traffic;
use crate::events::Event;
use crate::kernel::names;

/// Everything that is saved. Secrets are not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Established tunnels with their established sessions.
    pub tunnels: Vec<TunnelRecord>,
    /// Sessions that carry packets.
    pub sessions: Vec<SavedSession>,
}

/// A session that carries packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSession {
    /// Which.
    pub session: SessionKey,
    /// The connection of ours it is, on a client.
    pub connection: Option<String>,
    /// The tunnel's peer.
    pub peer: SocketAddr,
    /// Who.
    pub user: String,
    /// How they proved it.
    pub method: Option<AuthMethod>,
    /// The interface.
    pub interface: String,
    /// The address from the pool.
    pub leased: Option<Ipv4Addr>,
    /// What IPCP assigned.
    pub assignment: Option<Ipv4Assignment>,
    /// The IPv6 prefix.
    #[serde(default)]
    pub prefix: Option<Ipv6Net>,
    /// Whether router solicitations come to us.
    #[serde(default)]
    pub solicitations: bool,
    /// Protocols the operator's program was told of.
    pub told: [bool; 2],
    /// Seconds since it began.
    pub age: u64,
    /// What the console knows it by; 0 when it was not saved.
    #[serde(default)]
    pub id: u64,
    /// The number in its names.
    #[serde(default)]
    pub number: u32,
    /// The link of the configuration it was served by.
    #[serde(default)]
    pub profile: String,
    /// The bundle of the configuration it got.
    #[serde(default)]
    pub bundle: String,
    /// The link.
    pub link: LinkCheckpoint,
}

impl State {
    /// Takes out what is in `kernel`.
    #[must_use]
    pub fn take(&mut self, kernel: KernelId) -> Self {
        let there = |record: &mut TunnelRecord| record.flow.kernel == kernel;
        let tunnels: Vec<TunnelRecord> = self.tunnels.extract_if(.., there).collect();
        let ours = |saved: &mut SavedSession| {
            let mut tunnels = tunnels.iter();
            tunnels.any(|record| record.tunnel == saved.session.tunnel)
        };
        let sessions = self.sessions.extract_if(.., ours).collect();
        Self { tunnels, sessions }
    }

    /// Lets seconds pass.
    pub fn age(&mut self, seconds: u64) {
        let tunnels = self.tunnels.iter_mut();
        let ages = tunnels.flat_map(|tunnel| {
            let calls = tunnel.sessions.iter_mut().map(|call| &mut call.age);
            calls.chain([&mut tunnel.age])
        });
        for age in ages.chain(self.sessions.iter_mut().map(|session| &mut session.age)) {
            *age = age.saturating_add(seconds);
        }
    }

    /// Adds what another kernel holds.
    pub fn append(&mut self, mut other: Self) {
        self.tunnels.append(&mut other.tunnels);
        self.sessions.append(&mut other.sessions);
    }
}

impl Server {
    /// What to save now.
    #[must_use]
    pub fn checkpoint(&self, now: Instant) -> State {
        let mut sessions: Vec<SavedSession> = self
            .sessions
            .values()
            .filter_map(|session| saved(session, now))
            .collect();
        sessions.sort_unstable_by_key(|saved| saved.session);
        State {
            tunnels: self.tunnels.checkpoint(now),
            sessions,
        }
    }

    /// Takes up what is saved in `state`, all of it in `kernel`, as far as its nodes are among
    /// `nodes` (names of the kernel's nodes), and removes our nodes that are not taken up. To be
    /// called when a kernel is there, before anything is asked of it.
    pub fn adopt(
        &mut self,
        now: Instant,
        kernel: KernelId,
        state: State,
        nodes: &[String],
        rng: &mut dyn CryptoRng,
    ) {
        let mut orphans: BTreeSet<&str> = nodes
            .iter()
            .map(String::as_str)
            .filter(|name| names::is_ours(name))
            .collect();
        let (mut tunnels, mut sessions) = (0, 0);
        for mut record in state.tunnels {
            let tunnel = record.tunnel;
            if !orphans.contains(names::tunnel(tunnel).as_str()) {
                continue;
            }
            let mut links = Vec::new();
            record.sessions.retain(|entry| {
                let key = SessionKey {
                    tunnel,
                    session: entry.session,
                };
                let wanted = [names::ppp(key), names::interface(key)];
                let saved = state.sessions.iter().find(|saved| saved.session == key);
                let link = saved
                    .filter(|_| wanted.iter().all(|name| orphans.contains(name.as_str())))
                    .and_then(|saved| Some((saved, self.restored_link(saved, now, rng)?)));
                link.map(|(saved, link)| links.push((saved, entry.peer_id, link)))
                    .is_some()
            });
            let keys: Vec<SessionKey> = links.iter().map(|(saved, ..)| saved.session).collect();
            let (flow, role) = (record.flow, record.role);
            if let Err(error) = self.tunnels.restore(now, record) {
                let what = format!("tunnel {}", tunnel.value());
                self.event(Event::KernelFailed {
                    what,
                    reason: error.to_string(),
                });
                continue;
            }
            let solicited = links.iter().map(|(saved, ..)| *saved);
            let solicited = solicited.filter(|saved| saved.solicitations);
            let solicited = solicited.map(|saved| saved.session.session).collect();
            self.adopt_tunnel(now, tunnel, flow, &keys, solicited);
            if links.is_empty() {
                // Its calls were not written down, or not complete: the peer would wait for them.
                let _ = self
                    .tunnels
                    .close_tunnel(now, tunnel, CloseTunnel::CallsLost);
            }
            orphans.remove(names::tunnel(tunnel).as_str());
            tunnels += 1;
            for (saved, peer_id, link) in links {
                let setup = SessionSetup {
                    tunnel,
                    session: saved.session.session,
                    peer_id,
                    control_sequencing: role == l2tp_proto::Role::Lns,
                    data_sequencing: false,
                    include_length: true,
                };
                self.adopt_session(now, saved, setup, link);
                for name in names::of_session(saved.session) {
                    orphans.remove(name.as_str());
                }
                sessions += 1;
            }
        }
        let orphans: Vec<String> = orphans.into_iter().map(str::to_owned).collect();
        if tunnels > 0 || !orphans.is_empty() {
            self.event(Event::Adopted {
                tunnels,
                sessions,
                orphans: orphans.len(),
            });
        }
        for name in orphans {
            match names::parse_tunnel(&name) {
                Some(tunnel) => self.abandon(now, kernel, tunnel),
                None => {
                    let operation = KernelOp::RemoveNode { name };
                    self.kernel_in(now, kernel, operation, Purpose::Removal);
                }
            }
        }
        self.dirty = true;
        self.settle(now, rng);
    }

    /// Removes the node of a tunnel that was never written down, with a word to its peer, who would
    /// wait for it otherwise.
    fn abandon(&mut self, now: Instant, kernel: KernelId, tunnel: TunnelId) {
        let adopt = KernelOp::Adopt {
            tunnel,
            sessions: Vec::new(),
            solicitations: Vec::new(),
        };
        let farewell = KernelOp::SendControl {
            tunnel,
            session_id: 0,
            avps: l2tp_proto::farewell(tunnel),
        };
        for operation in [adopt, farewell, KernelOp::RemoveTunnel { tunnel }] {
            self.kernel_in(now, kernel, operation, Purpose::Removal);
        }
    }

    fn adopt_tunnel(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        flow: l2tp_proto::FlowId,
        keys: &[SessionKey],
        solicitations: Vec<SessionId>,
    ) {
        let serial = self.serial();
        self.live.insert(tunnel, Tunnel { serial, flow });
        let sessions = keys.iter().map(|key| key.session).collect();
        let operation = KernelOp::Adopt {
            tunnel,
            sessions,
            solicitations,
        };
        self.tunnel_operation(now, tunnel, operation, "taking over the nodes");
    }

    fn adopt_session(
        &mut self,
        now: Instant,
        saved: &SavedSession,
        setup: SessionSetup,
        link: Link,
    ) {
        let side = saved.connection.clone().map_or(Side::Server, Side::Client);
        let (serial, number) = (self.serial(), self.numbers.take_again(saved.number));
        let began = now
            .checked_sub(Duration::from_secs(saved.age))
            .unwrap_or(now);
        let mut session = Session::new(serial, side, number, saved.peer, setup, began);
        if saved.id > 0 {
            session.id = saved.id;
        }
        session.profile = self.saved_profile(saved).cloned();
        session.bundle = self.saved_bundle(saved);
        if let Some(address) = saved.leased {
            // A smaller pool or a new own address does not take it away.
            let _ = self.pool.reserve(address);
        }
        let told = |told: bool, network: Option<Network>| match network {
            Some(network) if told => Told::Up(saved.interface.clone(), network),
            _ => Told::Nothing,
        };
        let [told4, told6] = saved.told;
        session.told = [told(told4, saved.link.ipv4), told(told6, saved.link.ipv6)];
        session.lcp = Some(saved.link.lcp);
        session.user.clone_from(&saved.user);
        session.method = saved.method;
        session.leased = saved.leased;
        session.assignment = saved.assignment;
        session.prefix = saved.prefix;
        session.solicitations = saved.solicitations;
        if let Some(prefix) = saved.prefix {
            let _ = self.prefixes.reserve(prefix);
        }
        session.ipv4 = saved.link.ipv4;
        session.ipv6 = saved.link.ipv6;
        session.interface = Interface::Ready(saved.interface.clone());
        session.was_up = true;
        session.traffic = Traffic::default();
        session.last_packet = now;
        session.link = Some(link);
        session.polled = Some(now);
        let key = saved.session;
        if let Some(client) = saved
            .connection
            .as_ref()
            .and_then(|name| self.clients.get_mut(name))
        {
            client.adopt(key);
        }
        self.sessions.insert(key, Box::new(session));
        if saved.prefix.is_none() && self.advertises(key) {
            self.without_prefix.insert(key);
        }
        self.begin_discovery(now, key);
        self.schedule(key);
    }

    fn restored_link(
        &self,
        saved: &SavedSession,
        now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> Option<Link> {
        // What does not fit the configuration any more is left out, and its nodes go.
        let bundle = self.saved_bundle(saved)?;
        let config = match &saved.connection {
            None => ppp_proto::Config {
                ipv6: bundle.ipv6,
                ..server_link(self.saved_profile(saved)?, &self.config.host_name)
            },
            Some(name) => client_link(&self.clients.get(name)?.connection),
        };
        Link::restore(config, &saved.link, now, rng).ok()
    }

    /// The link it was served by; one that was renamed meanwhile is the first.
    fn saved_profile(&self, saved: &SavedSession) -> Option<&Arc<LinkProfile>> {
        let links = &self.config.links;
        let same = links.iter().find(|link| link.name == saved.profile);
        same.or_else(|| links.first())
    }

    /// The bundle it got; where that is gone, the one it would get now.
    fn saved_bundle(&self, saved: &SavedSession) -> Option<Arc<Bundle>> {
        if let Some(name) = &saved.connection {
            return Some(self.clients.get(name)?.connection.bundle.clone());
        }
        let same = self.config.bundles.get(&saved.bundle).cloned();
        same.or_else(|| self.saved_profile(saved)?.bundle_for(&saved.user).cloned())
    }
}

fn saved(session: &Session, now: Instant) -> Option<SavedSession> {
    let link = session
        .link
        .as_ref()
        .filter(|_| session.was_up)?
        .checkpoint()?;
    let told = |told: &Told| *told != Told::Nothing;
    let [told4, told6] = &session.told;
    let name = |name: Option<&String>| name.cloned().unwrap_or_default();
    Some(SavedSession {
        session: session.key(),
        connection: match &session.side {
            Side::Server => None,
            Side::Client(name) => Some(name.clone()),
        },
        peer: session.peer,
        user: session.user.clone(),
        method: session.method,
        interface: session.interface_name()?.to_owned(),
        leased: session.leased,
        assignment: session.assignment,
        prefix: session.prefix,
        solicitations: session.solicitations,
        told: [told(told4), told(told6)],
        age: now.saturating_duration_since(session.started).as_secs(),
        id: session.id,
        number: session.number,
        profile: name(session.profile.as_ref().map(|profile| &profile.name)),
        bundle: name(session.bundle.as_ref().map(|bundle| &bundle.name)),
        link,
    })
}

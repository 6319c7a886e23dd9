//! What the L2TP core asks for (RFC 2661): nodes for tunnels and sessions, messages, endings.

use std::sync::Arc;
use std::time::Instant;

use l2tp_proto::{
    CreateTunnel, Output as L2tp, SessionDownReason, SessionId, SessionSetup, SessionUp, TunnelId,
};
use ppp_proto::Link;
use rand_core::CryptoRng;

use super::ended::Ended;
use super::io::{KernelOp, Output, SessionKey};
use super::operations::Purpose;
use super::session::{Session, Side, client_link, server_link};
use super::{Server, Tunnel};
use crate::config::LinkProfile;
use crate::config::profile::link_for;
use crate::events::Event;

impl Server {
    pub(super) fn on_l2tp(&mut self, now: Instant, output: L2tp, rng: &mut dyn CryptoRng) {
        match output {
            L2tp::CreateTunnel(create) => self.create_tunnel(now, create),
            L2tp::UpdateTunnel {
                tunnel,
                peer_id,
                peer_window,
            } => {
                let operation = KernelOp::UpdateTunnel {
                    tunnel,
                    peer_id,
                    peer_window,
                };
                self.tunnel_operation(now, tunnel, operation, "the peer's number");
            }
            L2tp::SendControl {
                tunnel,
                session_id,
                avps,
            } => {
                self.kernel(
                    now,
                    KernelOp::SendControl {
                        tunnel,
                        session_id,
                        avps,
                    },
                    Purpose::None,
                );
            }
            L2tp::SendDatagram { flow, bytes } => {
                self.outputs.push_back(Output::Datagram { flow, bytes });
            }
            L2tp::TunnelUp { tunnel } => {
                self.dirty = true;
                if let Some(view) = self.tunnels.tunnel(now, tunnel) {
                    let (peer, host_name) = (view.flow.peer, view.host_name);
                    self.event(Event::TunnelUp {
                        tunnel,
                        peer,
                        host_name,
                    });
                }
            }
            L2tp::TunnelDown { tunnel, reason } => {
                self.dirty = true;
                if let Some(peer) = self.peer_of(tunnel) {
                    self.event(Event::TunnelDown {
                        tunnel,
                        peer,
                        reason: reason.to_string(),
                    });
                }
                self.client_tunnel_down(now, tunnel, &reason.to_string());
            }
            L2tp::RemoveTunnel { tunnel } => {
                self.kernel(now, KernelOp::RemoveTunnel { tunnel }, Purpose::Removal);
                self.live.remove(&tunnel);
            }
            L2tp::CreateSession(setup) => self.create_session(now, setup),
            L2tp::SessionUp(up) => self.session_up(now, up, rng),
            L2tp::SessionDown {
                tunnel,
                session,
                reason,
            } => {
                self.session_down(now, tunnel, session, &reason);
            }
            L2tp::Refused(refused) => self.event(Event::TunnelRefused(refused)),
        }
    }

    fn create_tunnel(&mut self, now: Instant, create: CreateTunnel) {
        let tunnel = Tunnel {
            serial: self.serial(),
            flow: create.flow,
        };
        self.live.insert(create.tunnel, tunnel);
        let operation = KernelOp::CreateTunnel(create);
        self.tunnel_operation(now, create.tunnel, operation, "the tunnel's nodes");
    }

    fn create_session(&mut self, now: Instant, setup: SessionSetup) {
        let Some(peer) = self.peer_of(setup.tunnel) else {
            return;
        };
        let key = SessionKey {
            tunnel: setup.tunnel,
            session: setup.session,
        };
        let side = self.client_of(key).map_or(Side::Server, Side::Client);
        let (profile, bundle) = match &side {
            Side::Server => match self.link_of_call(setup.tunnel) {
                Ok(profile) => (Some(profile), None),
                Err(reason) => {
                    self.refuse_call(now, key, peer, reason);
                    return;
                }
            },
            Side::Client(name) => {
                let client = self.clients.get(name);
                (None, client.map(|client| client.connection.bundle.clone()))
            }
        };
        let (serial, number) = (self.serial(), self.numbers.take());
        let mut session = Session::new(serial, side, number, peer, setup, now);
        session.profile = profile;
        session.bundle = bundle;
        self.sessions.insert(key, Box::new(session));
        let operation = KernelOp::CreateSession(setup);
        self.session_operation(now, key, operation, "the session's nodes");
    }

    /// The link whose settings a call is served by.
    fn link_of_call(&self, tunnel: TunnelId) -> Result<Arc<LinkProfile>, &'static str> {
        const NO_LINK: &str = "no link of the configuration takes calls from there to this address";
        let flow = self.live.get(&tunnel).map(|tunnel| tunnel.flow);
        let link = flow
            .and_then(|flow| link_for(&self.config.links, flow.local, flow.peer))
            .ok_or(NO_LINK)?;
        if let Some(most) = link.max_sessions {
            let sessions = self.sessions.values().map(Box::as_ref);
            let named = |session: &&Session| {
                let profile = session.profile.as_ref();
                profile.is_some_and(|profile| profile.name == link.name)
            };
            if sessions.filter(named).count() >= most {
                return Err("the link has as many sessions as it may");
            }
        }
        Ok(Arc::clone(link))
    }

    fn refuse_call(
        &mut self,
        now: Instant,
        key: SessionKey,
        peer: std::net::SocketAddr,
        reason: &'static str,
    ) {
        if self.repetitions.is_new(now, peer.ip(), "call") {
            self.event(Event::CallRefused { peer, reason });
        }
        self.counters.calls_refused += 1;
        self.hang_up(now, key, l2tp_proto::CloseSession::NoResources);
    }

    fn session_up(&mut self, now: Instant, up: SessionUp, rng: &mut dyn CryptoRng) {
        let key = SessionKey {
            tunnel: up.setup.tunnel,
            session: up.setup.session,
        };
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let changed = session.setup != up.setup;
        session.setup = up.setup;
        let config = match &session.side {
            Side::Server => session
                .profile
                .as_ref()
                .map(|profile| server_link(profile, &self.config.host_name)),
            Side::Client(name) => self
                .clients
                .get(name)
                .map(|client| client_link(&client.connection)),
        };
        let Some(config) = config else {
            session.because("its connection is no longer configured");
            self.hang_up(now, key, l2tp_proto::CloseSession::Administrative);
            return;
        };
        let mut link = Link::new(config, rng);
        link.open(now, rng);
        session.link = Some(link);
        if changed {
            let operation = KernelOp::UpdateSession(up.setup);
            self.session_operation(now, key, operation, "the session's settings");
        }
        self.drain_link(now, key, rng);
    }

    /// Ends a call with CDN; what it had is given back when [`L2tp::SessionDown`] comes.
    pub(super) fn hang_up(
        &mut self,
        now: Instant,
        key: SessionKey,
        reason: l2tp_proto::CloseSession,
    ) {
        // It may be on its way out already.
        let _ = self
            .tunnels
            .close_session(now, key.tunnel, key.session, reason);
    }

    fn session_down(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        session: SessionId,
        reason: &SessionDownReason,
    ) {
        let key = SessionKey { tunnel, session };
        let Some(mut session) = self.sessions.remove(&key) else {
            // A call of ours that ended before its nodes were asked for.
            self.client_ended(now, key, &reason.to_string());
            return;
        };
        if let Some(due) = session.due.take() {
            self.timers.remove(&(due, key));
        }
        self.numbers.give_back(session.number);
        self.waiting.retain(|waiting| waiting.session != key);
        self.without_prefix.remove(&key);
        session.because(reason);
        if let Some(link) = session.link.as_mut() {
            link.lower_down();
            let counters = link.view().counters;
            self.remember_counters(&counters);
        }
        self.dirty |= session.was_up;
        let reason = session.reason.clone().unwrap_or_default();
        self.client_ended(now, key, &reason);
        let bundle = session.bundle.as_ref();
        if let Some(address) = bundle.and_then(|bundle| session.proxy_arp(&bundle.interface)) {
            let operation = KernelOp::ProxyArp {
                session: key,
                address,
                answer: false,
            };
            self.kernel(now, operation, Purpose::Removal);
        }
        let ended = Ended::of(*session, now);
        let operation = KernelOp::RemoveSession { session: key };
        self.kernel(now, operation, Purpose::Ended(Box::new(ended)));
    }
}

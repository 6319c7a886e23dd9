//! What the console shows.

use std::time::Instant;

use super::Server;
use super::session::{Session, Side};
use crate::console::{SessionView, View};

impl Server {
    /// Everything at one moment.
    #[must_use]
    pub fn view(&self, now: Instant) -> View<'_> {
        let mut sessions: Vec<SessionView> = self
            .sessions
            .values()
            .map(|session| self.session_view(now, session))
            .collect();
        sessions.sort_unstable_by_key(|session| session.number);
        let connected = |name: &String| sessions.iter().any(|session| session.link == *name);
        let connections = self.clients.keys();
        View {
            config: &self.config,
            idle_connections: connections
                .filter(|name| !connected(name))
                .cloned()
                .collect(),
            sessions,
            tunnels: self.tunnel_statuses(now),
            pools: self.pool.use_of_each(),
        }
    }

    fn session_view(&self, now: Instant, session: &Session) -> SessionView {
        let key = session.key();
        let tunnel = self.tunnels.tunnel(now, key.tunnel);
        let call = self.tunnels.session(now, key.tunnel, key.session);
        let local = self.live.get(&key.tunnel).map(|tunnel| tunnel.flow.local);
        let negotiated = session.lcp.map_or(1500, |lcp| lcp.mtu);
        let settings = session.bundle.clone();
        SessionView {
            key,
            number: session.number,
            id: session.id,
            link: session.link_name(),
            bundle: match session.method {
                // mpd5 makes a bundle when the peer has proved itself.
                Some(_) => session.bundle_name(),
                None => String::new(),
            },
            incoming: session.side == Side::Server,
            profile: session.profile.clone(),
            user: session.user.clone(),
            local: local.unwrap_or(session.peer),
            peer: session.peer,
            host_name: tunnel.map(|tunnel| tunnel.host_name).unwrap_or_default(),
            call: call.map(|call| call.call).unwrap_or_default(),
            established: session.link.is_some(),
            interface: session.interface_name().unwrap_or_default().to_owned(),
            up: session.was_up,
            ipv4: session.ipv4.as_ref().map(Session::ends),
            ipv6: session.ipv6.as_ref().map(Session::ends),
            mtu: settings
                .as_ref()
                .map_or(negotiated, |bundle| bundle.mtu.of(negotiated)),
            settings,
            ppp: session.link.as_ref().map(ppp_proto::Link::view),
            age: now.saturating_duration_since(session.started).as_secs(),
            traffic: session.traffic,
            reason: session.reason.clone(),
        }
    }
}

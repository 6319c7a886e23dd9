//! The control socket's requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use l2tp_proto::{CloseTunnel, Role, SessionId, TunnelId};
use ppp_proto::CloseReason;
use rand_core::CryptoRng;

use super::Server;
use super::io::{OpId, Output, RequestId, SessionKey};
use super::links::add_counts;
use super::session::Side;
use crate::control::protocol::{
    Answer, PoolStatus, Request, SessionStatus, TunnelStatus, UserStatus,
};

/// A view of the sessions that waits for their counters.
#[derive(Debug)]
pub(super) struct Show {
    id: RequestId,
    outstanding: BTreeSet<OpId>,
}

impl Server {
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        rng: &mut dyn CryptoRng,
    ) {
        let answer = match request {
            Request::ShowTunnels => Answer::Tunnels(self.tunnel_statuses(now)),
            Request::ShowSessions => {
                self.show_sessions(now, id);
                return;
            }
            Request::ShowUsers => Answer::Users(self.user_statuses()),
            Request::ShowPools => Answer::Pools(self.pool_statuses()),
            Request::ShowStats => Answer::Stats(self.stats()),
            Request::ShowConnections => Answer::Connections(self.connection_statuses()),
            Request::DisconnectSession { tunnel, session } => {
                self.disconnect_session(now, tunnel, session, rng)
            }
            Request::DisconnectTunnel { tunnel } => self.disconnect_tunnel(now, tunnel),
            Request::DisconnectUser { user } => self.disconnect_user(now, &user, rng),
            Request::Connect { name } => match self.connect(now, &name, rng) {
                Ok(()) => Answer::Done(format!("connecting {name}; `show connections` tells how")),
                Err(reason) => Answer::Refused(reason),
            },
            Request::Disconnect { name } => match self.disconnect(now, &name, rng) {
                Ok(()) => Answer::Done(format!("disconnecting {name}")),
                Err(reason) => Answer::Refused(reason),
            },
            Request::Reload => Answer::Refused("not the server's to do".to_owned()),
        };
        self.outputs.push_back(Output::Answer { id, answer });
    }

    /// Everything the server knows, for the log.
    #[must_use]
    pub fn dump(&self, now: Instant) -> (Vec<TunnelStatus>, Vec<SessionStatus>) {
        (self.tunnel_statuses(now), self.session_statuses(now))
    }

    fn show_sessions(&mut self, now: Instant, id: RequestId) {
        let mut keys: Vec<SessionKey> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.was_up && !session.reading)
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        let outstanding = keys
            .into_iter()
            .filter_map(|key| self.read_traffic(now, key))
            .collect();
        self.shows.push(Show { id, outstanding });
        self.finish_shows(now);
    }

    /// The counters that `op` asked for are in, or will not come.
    pub(super) fn answer_shows(&mut self, now: Instant, op: OpId) {
        for show in &mut self.shows {
            show.outstanding.remove(&op);
        }
        self.finish_shows(now);
    }

    fn finish_shows(&mut self, now: Instant) {
        let (done, waiting): (Vec<Show>, Vec<Show>) = self
            .shows
            .drain(..)
            .partition(|show| show.outstanding.is_empty());
        self.shows = waiting;
        for show in done {
            let answer = Answer::Sessions(self.session_statuses(now));
            self.outputs.push_back(Output::Answer {
                id: show.id,
                answer,
            });
        }
    }

    pub(super) fn tunnel_statuses(&self, now: Instant) -> Vec<TunnelStatus> {
        let views = self.tunnels.tunnels(now).into_iter();
        views
            .map(|view| TunnelStatus {
                id: view.tunnel.value(),
                peer_id: view.peer_id,
                peer: view.flow.peer,
                local: view.flow.local,
                reqid: (view.flow.reqid != 0).then_some(view.flow.reqid),
                kernel: view.flow.kernel,
                state: word(&view.state),
                role: match view.role {
                    Role::Lac => "lac",
                    Role::Lns => "lns",
                }
                .to_owned(),
                host_name: view.host_name,
                sessions: view.sessions,
                age: view.age.as_secs(),
            })
            .collect()
    }

    fn session_statuses(&self, now: Instant) -> Vec<SessionStatus> {
        let mut sessions: Vec<_> = self.sessions.iter().collect();
        sessions.sort_unstable_by_key(|(key, _)| **key);
        sessions
            .into_iter()
            .map(|(key, session)| {
                let view = self.tunnels.session(now, key.tunnel, key.session);
                session.status(now, view.as_ref(), self.kernel_of(key.tunnel))
            })
            .collect()
    }

    fn user_statuses(&self) -> Vec<UserStatus> {
        let mut sessions: BTreeMap<&str, Vec<SessionKey>> = BTreeMap::new();
        for (key, session) in &self.sessions {
            if session.side == Side::Server && session.method.is_some() {
                sessions.entry(&session.user).or_default().push(*key);
            }
        }
        self.users
            .iter()
            .map(|user| {
                let mut keys = sessions.remove(user.name.as_str()).unwrap_or_default();
                keys.sort_unstable();
                UserStatus {
                    name: user.name.clone(),
                    address: user.addresses.map(|range| range.to_string()),
                    prefix: user.prefix,
                    sessions: keys.iter().map(ToString::to_string).collect(),
                }
            })
            .collect()
    }

    fn pool_statuses(&self) -> Vec<PoolStatus> {
        let of = |name: &str, range: String, size: u64, used: usize| PoolStatus {
            name: name.to_owned(),
            range,
            size,
            used: used as u64,
        };
        let addresses = self.pool.ranges().map(|(name, range)| {
            of(
                name,
                range.to_string(),
                range.size(),
                self.pool.used_in(range),
            )
        });
        let prefixes = self.prefixes.ranges().map(|(name, prefixes)| {
            let used = self.prefixes.used_in(prefixes);
            of(name, prefixes.to_string(), prefixes.size(), used)
        });
        addresses.chain(prefixes).collect()
    }

    fn stats(&self) -> BTreeMap<String, u64> {
        let mut l2tp = BTreeMap::new();
        add_counts(&mut l2tp, self.tunnels.counters());
        let mut ppp = self.past_links.clone();
        for link in self
            .sessions
            .values()
            .filter_map(|session| session.link.as_ref())
        {
            add_counts(&mut ppp, &link.view().counters);
        }
        let mut server = BTreeMap::new();
        add_counts(&mut server, &self.counters);
        let mut stats = BTreeMap::from([
            ("now.tunnels".to_owned(), self.live.len() as u64),
            ("now.sessions".to_owned(), self.sessions.len() as u64),
            ("now.addresses".to_owned(), self.pool.used() as u64),
            ("now.prefixes".to_owned(), self.prefixes.used() as u64),
        ]);
        for (area, counts) in [("l2tp", l2tp), ("ppp", ppp), ("server", server)] {
            stats.extend(
                counts
                    .into_iter()
                    .map(|(name, n)| (format!("{area}.{name}"), n)),
            );
        }
        stats
    }

    fn disconnect_session(
        &mut self,
        now: Instant,
        tunnel: u16,
        session: u16,
        rng: &mut dyn CryptoRng,
    ) -> Answer {
        let key = TunnelId::new(tunnel)
            .zip(SessionId::new(session))
            .map(|(tunnel, session)| SessionKey { tunnel, session })
            .filter(|key| self.sessions.contains_key(key));
        let Some(key) = key else {
            return Answer::Refused(format!("there is no session {tunnel}/{session}"));
        };
        self.close_politely(now, key, CloseReason::Administrative, rng);
        Answer::Done(format!("disconnecting session {key}"))
    }

    fn disconnect_tunnel(&mut self, now: Instant, tunnel: u16) -> Answer {
        let closed = TunnelId::new(tunnel).map(|id| {
            self.tunnels
                .close_tunnel(now, id, CloseTunnel::Administrative)
        });
        match closed {
            Some(Ok(())) => Answer::Done(format!("disconnecting tunnel {tunnel}")),
            Some(Err(error)) => Answer::Refused(format!("tunnel {tunnel}: {error}")),
            None => Answer::Refused("there is no tunnel 0".to_owned()),
        }
    }

    fn disconnect_user(&mut self, now: Instant, user: &str, rng: &mut dyn CryptoRng) -> Answer {
        let mut keys: Vec<SessionKey> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.side == Side::Server && session.user == user)
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        for key in &keys {
            self.close_politely(now, *key, CloseReason::Administrative, rng);
        }
        match keys.len() {
            0 => Answer::Refused(format!("{user} has no session")),
            1 => Answer::Done(format!("disconnecting 1 session of {user}")),
            n => Answer::Done(format!("disconnecting {n} sessions of {user}")),
        }
    }
}

/// The name serde gives to a state.
fn word<T: serde::Serialize>(state: &T) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

//! Connections we make ourselves: we are the LAC (RFC 2661) and the PPP peer behind it in one.

use std::collections::BTreeMap;
use std::time::Instant;

use l2tp_proto::{CallRequest, CloseTunnel, FlowId, Secret, Target, TunnelId, TunnelState};
use ppp_proto::CloseReason;
use rand_core::CryptoRng;

use super::Server;
use super::io::SessionKey;
use crate::config::{Config, Connection};
use crate::control::protocol::ConnectionStatus;
use crate::events::Event;

/// The bit rate we claim in ICCN; nobody knows better.
const SPEED: u32 = 100_000_000;

/// One connection of the configuration.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) connection: Connection,
    state: State,
    /// Tries in a row that came to nothing.
    failed: u32,
    /// Whether it is to be there; an `automatic` connection then comes back by itself.
    wanted: bool,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Retry(Instant),
    Connecting(TunnelId, Option<SessionKey>),
    Up(SessionKey),
}

impl Client {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            state: State::Down,
            failed: 0,
            wanted: false,
            reason: String::new(),
        }
    }

    fn session(&self) -> Option<SessionKey> {
        match self.state {
            State::Connecting(_, session) => session,
            State::Up(session) => Some(session),
            State::Down | State::Retry(_) => None,
        }
    }

    fn tunnel(&self) -> Option<TunnelId> {
        match self.state {
            State::Connecting(tunnel, _) => Some(tunnel),
            State::Up(session) => Some(session.tunnel),
            State::Down | State::Retry(_) => None,
        }
    }

    /// Takes up a session of an earlier process.
    pub(super) fn adopt(&mut self, session: SessionKey) {
        self.state = State::Up(session);
        self.wanted = true;
    }
}

pub(super) fn configured(config: &Config) -> BTreeMap<String, Client> {
    let clients = config.connections.iter();
    clients
        .map(|(name, connection)| (name.clone(), Client::new(connection.clone())))
        .collect()
}

impl Server {
    pub(super) fn start_clients(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let names: Vec<String> = self
            .clients
            .iter()
            .filter(|(_, client)| client.connection.automatic && client.state == State::Down)
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            // A failure is in the log, and tried again.
            let _ = self.connect(now, &name, rng);
        }
    }

    /// Brings a connection up.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        name: &str,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), String> {
        let Some(client) = self.clients.get_mut(name) else {
            return Err(format!(
                "there is no connection {name:?} in the configuration; `connections` has it"
            ));
        };
        client.wanted = true;
        if client.session().is_some() || client.tunnel().is_some() {
            return Ok(());
        }
        let target = Target {
            flow: FlowId {
                local: client.connection.local,
                peer: client.connection.server,
                reqid: 0,
                kernel: self.home,
            },
            tie_breaker: false,
            secret: client
                .connection
                .tunnel
                .secret
                .as_ref()
                .map(|secret| Secret::new(secret.octets())),
            call: Some(CallRequest {
                calling_number: client.connection.calling_number.clone(),
                called_number: client.connection.called_number.clone(),
                tx_speed: SPEED,
            }),
        };
        self.make_way(now, target.flow);
        let begun = self.tunnels.connect(now, target, rng);
        let Some(client) = self.clients.get_mut(name) else {
            return Ok(());
        };
        match begun {
            Ok(begun) => {
                let tunnel = begun.tunnel;
                let session = begun.session.map(|session| SessionKey { tunnel, session });
                client.state = State::Connecting(tunnel, session);
                client.reason.clear();
                Ok(())
            }
            Err(error) => {
                client.retry(now);
                client.reason = error.to_string();
                let reason = error.to_string();
                self.event(Event::ConnectionFailed {
                    name: name.to_owned(),
                    reason,
                });
                Err(error.to_string())
            }
        }
    }

    /// A tunnel to the same server that is only waiting for its StopCCN to be acknowledged must not
    /// keep the new one from its port.
    fn make_way(&mut self, now: Instant, flow: FlowId) {
        let closing: Vec<TunnelId> = self
            .live
            .iter()
            .filter(|(_, tunnel)| tunnel.flow.peer == flow.peer)
            .map(|(id, _)| *id)
            .filter(|id| {
                let view = self.tunnels.tunnel(now, *id);
                view.is_none_or(|view| view.state == TunnelState::Closing)
            })
            .collect();
        for tunnel in closing {
            self.tunnels.tunnel_failed(now, tunnel);
        }
    }

    /// Ends a connection and leaves it so.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn disconnect(
        &mut self,
        now: Instant,
        name: &str,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), String> {
        let Some(client) = self.clients.get_mut(name) else {
            return Err(format!(
                "there is no connection {name:?} in the configuration"
            ));
        };
        client.wanted = false;
        match (client.session(), client.tunnel()) {
            (Some(key), _) if self.sessions.contains_key(&key) => {
                self.close_politely(now, key, CloseReason::Administrative, rng);
            }
            (_, Some(tunnel)) => {
                // It may be on its way out already.
                let _ = self
                    .tunnels
                    .close_tunnel(now, tunnel, CloseTunnel::Administrative);
            }
            _ => client.state = State::Down,
        }
        Ok(())
    }

    /// The connection that a session belongs to.
    pub(super) fn client_of(&self, key: SessionKey) -> Option<String> {
        let mut clients = self.clients.iter();
        clients
            .find(|(_, client)| client.session() == Some(key))
            .map(|(name, _)| name.clone())
    }

    pub(super) fn client_up(&mut self, name: &str, key: SessionKey) {
        if let Some(client) = self.clients.get_mut(name) {
            client.state = State::Up(key);
            client.failed = 0;
            client.reason.clear();
        }
    }

    /// The session of a connection ended, if it is one; its tunnel has served.
    pub(super) fn client_ended(&mut self, now: Instant, key: SessionKey, reason: &str) {
        let Some(name) = self.client_of(key) else {
            return;
        };
        self.client_down(now, &name, reason);
        // The tunnel may have gone first.
        let _ = self
            .tunnels
            .close_tunnel(now, key.tunnel, CloseTunnel::Administrative);
    }

    /// The tunnel of a connection ended, with or without a session.
    pub(super) fn client_tunnel_down(&mut self, now: Instant, tunnel: TunnelId, reason: &str) {
        let mut clients = self.clients.iter();
        let name = clients.find(|(_, client)| client.tunnel() == Some(tunnel));
        if let Some(name) = name.map(|(name, _)| name.clone()) {
            self.client_down(now, &name, reason);
        }
    }

    fn client_down(&mut self, now: Instant, name: &str, reason: &str) {
        let Some(client) = self.clients.get_mut(name) else {
            return;
        };
        reason.clone_into(&mut client.reason);
        let wanted = client.wanted;
        if wanted && client.connection.automatic && self.shutdown.is_none() {
            client.retry(now);
        } else {
            client.state = State::Down;
            client.wanted = false;
        }
        if wanted {
            let reason = reason.to_owned();
            self.event(Event::ConnectionFailed {
                name: name.to_owned(),
                reason,
            });
        }
    }

    pub(super) fn next_client_retry(&self) -> Option<Instant> {
        let retries = self
            .clients
            .values()
            .filter_map(|client| match client.state {
                State::Retry(at) => Some(at),
                _ => None,
            });
        retries.min()
    }

    pub(super) fn retry_clients(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let due: Vec<String> = self
            .clients
            .iter()
            .filter(|(_, client)| matches!(client.state, State::Retry(at) if at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            if let Some(client) = self.clients.get_mut(&name) {
                client.state = State::Down;
            }
            // A failure is in the log, and tried again.
            let _ = self.connect(now, &name, rng);
        }
    }

    /// Connections that are no longer configured end; changed ones change when they next connect.
    pub(super) fn reconfigure_clients(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let gone: Vec<String> = self
            .clients
            .keys()
            .filter(|name| !self.config.connections.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            // It is known: it was in the list a moment ago.
            let _ = self.disconnect(now, &name, rng);
            if self
                .clients
                .get(&name)
                .is_some_and(|client| client.tunnel().is_none())
            {
                self.clients.remove(&name);
            }
        }
        for (name, connection) in &self.config.connections {
            match self.clients.get_mut(name) {
                Some(client) => client.connection = connection.clone(),
                None => {
                    self.clients
                        .insert(name.clone(), Client::new(connection.clone()));
                }
            }
        }
        self.start_clients(now, rng);
    }

    pub(super) fn connection_statuses(&self) -> Vec<ConnectionStatus> {
        let status = |(name, client): (&String, &Client)| ConnectionStatus {
            name: name.clone(),
            server: client.connection.server.to_string(),
            state: match client.state {
                State::Down => "down",
                State::Retry(_) => "waiting",
                State::Connecting(..) => "connecting",
                State::Up(_) => "up",
            }
            .to_owned(),
            reason: client.reason.clone(),
            session: client.session().map(|session| session.to_string()),
        };
        self.clients.iter().map(status).collect()
    }

    /// No connection comes back by itself any more.
    pub(super) fn forget_clients(&mut self) {
        for client in self.clients.values_mut() {
            client.wanted = false;
            if let State::Retry(_) = client.state {
                client.state = State::Down;
            }
        }
    }
}

impl Client {
    fn retry(&mut self, now: Instant) {
        self.failed = self.failed.saturating_add(1);
        let again = self
            .connection
            .attempts
            .is_none_or(|most| self.failed < most);
        self.state = if self.connection.automatic && again {
            State::Retry(now + self.connection.retry)
        } else {
            State::Down
        };
    }
}

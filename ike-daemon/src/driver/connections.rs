//! Connections that we begin: those of `start: auto`, and those that somebody at `ikectl connect` waits
//! for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_proto::error::DownReason;
use ike_proto::iana::NotifyType;
use ike_proto::io::Event;
use slog::{debug, warn};

use super::daemon::Daemon;
use super::waiting::Connecting;
use crate::config::Start;
use crate::control::protocol::Done;
use crate::net::udp;

/// Between attempts to bring an `auto` connection up.
const AUTO_RETRY: Duration = Duration::from_secs(10);
/// Before the first attempt to bring one up again that the peer has lost.
const AUTO_AGAIN: Duration = Duration::from_secs(1);
impl Daemon {
    /// Gives the core its policy, with our own addresses filled in by the routing table.
    pub(super) fn apply_policy(&mut self) {
        let mut policy = self.config.policy.clone();
        for configured in &self.config.connections {
            let mut connection = configured.connection.clone();
            if connection.local.is_unspecified() {
                match self.own_address(connection.peer) {
                    Ok(local) => connection.local = local,
                    Err(error) => {
                        debug!(self.log, "no way to the peer yet"; "connection" => &connection.name,
                            "peer" => %connection.peer, "reason" => %error);
                        continue;
                    }
                }
            }
            policy.connections.push(connection);
        }
        self.endpoint.set_policy(policy);
    }

    /// Our address towards `peer`: what the routing table says if we listen there, else the first
    /// address of that family that we listen on.
    fn own_address(&self, peer: SocketAddr) -> io::Result<IpAddr> {
        let routed = udp::source_for(peer)?;
        let mut listen = self
            .config
            .listen
            .iter()
            .filter(|own| own.is_ipv4() == routed.is_ipv4())
            .peekable();
        let first = listen.peek().copied().copied();
        let served = listen.any(|own| own.is_unspecified() || *own == routed);
        Ok(if served {
            routed
        } else {
            first.unwrap_or(routed)
        })
    }

    pub(super) fn soon_auto(&mut self) {
        self.auto_within(Duration::ZERO);
    }

    fn auto_within(&mut self, pause: Duration) {
        let mut connections = self.config.connections.iter();
        if connections.any(|configured| configured.start == Start::Auto) {
            let at = Instant::now() + pause;
            self.auto_at = Some(self.auto_at.map_or(at, |before| before.min(at)));
        }
    }

    pub(super) fn start_auto_connections(&mut self) {
        let now = Instant::now();
        self.auto_at = Some(now + AUTO_RETRY);
        if !self.kernels.is_ready() {
            return;
        }
        let missing: Vec<String> = self
            .config
            .connections
            .iter()
            .filter(|configured| configured.start == Start::Auto)
            .map(|configured| configured.connection.name.clone())
            .filter(|name| !self.endpoint.is_connected(name))
            .collect();
        if missing.is_empty() {
            return;
        }
        self.apply_policy();
        for name in missing {
            if let Err(error) = self.endpoint.initiate(now, &name, &mut self.rng) {
                warn!(self.log, "connection not started"; "connection" => name, "reason" => %error);
            }
        }
    }

    /// What an event means for connections.
    pub(super) fn follow_connections(&mut self, now: Instant, event: &Event) {
        if is_lost(event) {
            self.auto_within(AUTO_AGAIN);
        }
        match event {
            Event::ConnectionFailed { connection, reason } => {
                for connecting in self.take_connects(|connecting| connecting.name == *connection) {
                    connecting.reply.error(format!("{connection}: {reason}"));
                }
            }
            Event::ChildUp { reqid, .. } if !self.waiting.connects.is_empty() => {
                let up: Vec<String> = self
                    .endpoint
                    .ike_sas(now)
                    .into_iter()
                    .filter(|sa| sa.reqid == Some(*reqid))
                    .filter_map(|sa| sa.connection)
                    .collect();
                for connecting in self.take_connects(|connecting| up.contains(&connecting.name)) {
                    let message = format!("{} is up", connecting.name);
                    connecting.reply.ok(&Done { message });
                }
            }
            _ => {}
        }
    }

    /// Those who wait for a connection and are to wait no longer.
    pub(super) fn take_connects(&mut self, which: impl Fn(&Connecting) -> bool) -> Vec<Connecting> {
        let (taken, rest) = std::mem::take(&mut self.waiting.connects)
            .into_iter()
            .partition(|connecting| which(connecting));
        self.waiting.connects = rest;
        taken
    }
}

/// Whether a peer has lost what it had with us: it may be back already.
fn is_lost(event: &Event) -> bool {
    match event {
        Event::ChildDown { reason, .. } => matches!(
            reason,
            DownReason::DeletedByPeer | DownReason::DpdTimeout | DownReason::InitialContact
        ),
        Event::ConnectionFailed { reason, .. } => {
            *reason == DownReason::PeerRefused(NotifyType::INVALID_COOKIE)
        }
        _ => false,
    }
}

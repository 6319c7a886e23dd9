//! What the log says: one INFO line when a session comes up or goes down, one WARNING per peer and
//! kind when something was refused, with what the operator can do.
//!
//! Key names are fixed here: `peer user address prefix interface tunnel session reason seconds received
//! sent`. Passwords have no way in here: no event carries one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use l2tp_proto::{KernelId, Refused, TunnelId};
use slog::Logger;
use tanuki_daemon::log::Remedy;

use crate::control::protocol::Traffic;
use crate::server::SessionKey;

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A control connection was established.
    TunnelUp {
        /// The tunnel.
        tunnel: TunnelId,
        /// The peer.
        peer: SocketAddr,
        /// The host name it gave.
        host_name: String,
    },
    /// A control connection ended.
    TunnelDown {
        /// The tunnel.
        tunnel: TunnelId,
        /// The peer.
        peer: SocketAddr,
        /// Why.
        reason: String,
    },
    /// A session carries packets.
    SessionUp {
        /// The session.
        session: SessionKey,
        /// The peer.
        peer: SocketAddr,
        /// Who.
        user: String,
        /// How they proved it.
        authentication: String,
        /// The inner address: the client's on a server, ours on a client.
        address: Option<IpAddr>,
        /// The IPv6 prefix a client got.
        prefix: Option<Ipv6Net>,
        /// The network interface.
        interface: String,
    },
    /// A session ended.
    SessionDown {
        /// The session.
        session: SessionKey,
        /// The peer.
        peer: SocketAddr,
        /// Who; empty if it never came to that.
        user: String,
        /// The inner address.
        address: Option<IpAddr>,
        /// Why.
        reason: String,
        /// From beginning to end.
        duration: Duration,
        /// What went through.
        traffic: Traffic,
        /// Whether it had been up.
        was_up: bool,
    },
    /// L2TP refused a peer something.
    TunnelRefused(Refused),
    /// A call was refused before anything was negotiated.
    CallRefused {
        /// Who called.
        peer: SocketAddr,
        /// Why.
        reason: &'static str,
    },
    /// A login was refused.
    LoginRefused {
        /// Who asked.
        peer: SocketAddr,
        /// The name given, printable.
        user: String,
        /// Why.
        reason: String,
        /// What the operator can do.
        remedy: &'static str,
    },
    /// No address could be given.
    NoAddress {
        /// Who asked.
        peer: SocketAddr,
        /// The user.
        user: String,
        /// Why, with the remedy.
        reason: String,
    },
    /// No IPv6 prefix could be given.
    NoPrefix {
        /// Who asked.
        peer: SocketAddr,
        /// The user.
        user: String,
        /// Why.
        reason: String,
        /// What the operator can do.
        remedy: &'static str,
    },
    /// An operation of the kernel failed.
    KernelFailed {
        /// For what.
        what: String,
        /// Why.
        reason: String,
    },
    /// A kernel is gone with every session in it.
    KernelLost(KernelId),
    /// A program of the operator failed.
    HookFailed {
        /// For which session.
        session: SessionKey,
        /// Why.
        reason: String,
    },
    /// Tunnels of an earlier process were taken over, or could not be.
    Adopted {
        /// Tunnels taken over.
        tunnels: usize,
        /// Sessions taken over.
        sessions: usize,
        /// Nodes removed that nobody knew.
        orphans: usize,
    },
    /// A connection of the configuration could not be made.
    ConnectionFailed {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Event {
    /// Writes the line.
    pub fn log(&self, log: &Logger) {
        match self {
            Self::TunnelUp {
                tunnel,
                peer,
                host_name,
            } => slog::debug!(log, "tunnel up";
                "peer" => %peer, "tunnel" => tunnel.value(), "host_name" => host_name),
            Self::TunnelDown {
                tunnel,
                peer,
                reason,
            } => slog::debug!(log, "tunnel down";
                "peer" => %peer, "tunnel" => tunnel.value(), "reason" => reason),
            Self::SessionUp {
                session,
                peer,
                user,
                authentication,
                address,
                prefix,
                interface,
            } => {
                slog::info!(log, "session up"; "peer" => %peer, "user" => user,
                    "authentication" => authentication, "address" => text(address.as_ref()),
                    "prefix" => text(prefix.as_ref()), "interface" => interface,
                    "session" => %session);
            }
            Self::SessionDown {
                session,
                peer,
                user,
                address,
                reason,
                duration,
                traffic,
                was_up,
            } => {
                if *was_up {
                    slog::info!(log, "session down"; "peer" => %peer, "user" => user,
                        "address" => text(address.as_ref()), "reason" => reason,
                        "seconds" => duration.as_secs(), "received" => traffic.received_octets,
                        "sent" => traffic.sent_octets, "session" => %session);
                } else {
                    slog::info!(log, "session not established"; "peer" => %peer, "user" => user,
                        "reason" => reason, "seconds" => duration.as_secs(),
                        "session" => %session);
                }
            }
            Self::TunnelRefused(refused) => slog::warn!(log, "refused: {}", refused.reason;
                "peer" => %refused.flow, "host_name" => &refused.host_name,
                "detail" => &refused.detail, Remedy(refused.reason.remedy())),
            Self::CallRefused { peer, reason } => slog::warn!(log, "call refused";
                "peer" => %peer, "reason" => reason,
                "remedy" => "see `links` (set l2tp self, peer and max-children in mpd.conf)"),
            Self::LoginRefused {
                peer,
                user,
                reason,
                remedy,
            } => slog::warn!(log, "login refused";
                "peer" => %peer, "user" => user, "reason" => reason, "remedy" => remedy),
            Self::NoAddress { peer, user, reason } => slog::warn!(log, "no address to give";
                "peer" => %peer, "user" => user, "reason" => reason),
            Self::NoPrefix {
                peer,
                user,
                reason,
                remedy,
            } => slog::warn!(log, "no IPv6 prefix to give";
                "peer" => %peer, "user" => user, "reason" => reason, "remedy" => remedy),
            Self::KernelFailed { what, reason } => slog::error!(log, "kernel operation failed";
                "for" => what, "reason" => reason),
            Self::KernelLost(kernel) => {
                slog::error!(log, "a kernel is gone and every session in it";
                    "kernel" => %kernel, "remedy" => "see why it ended; clients connect again \
                    as soon as it is back");
            }
            Self::HookFailed { session, reason } => slog::error!(log, "hook failed";
                "session" => %session, "reason" => reason),
            Self::Adopted {
                tunnels,
                sessions,
                orphans,
            } => {
                slog::info!(log, "took over from an earlier process"; "tunnels" => tunnels,
                    "sessions" => sessions, "orphans removed" => orphans);
            }
            Self::ConnectionFailed { name, reason } => slog::warn!(log, "connection failed";
                "connection" => name, "reason" => reason),
        }
    }
}

fn text<T: ToString>(address: Option<&T>) -> String {
    address.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// Lets one event of a kind through per source and minute; the rest is for the counters.
#[derive(Debug, Default)]
pub(crate) struct Repetitions {
    last: HashMap<(IpAddr, &'static str), Instant>,
}

impl Repetitions {
    const PERIOD: Duration = Duration::from_secs(60);
    const MAX_SOURCES: usize = 4096;

    /// Whether this one is to be told.
    pub(crate) fn is_new(&mut self, now: Instant, source: IpAddr, kind: &'static str) -> bool {
        if self.last.len() >= Self::MAX_SOURCES {
            self.last
                .retain(|_, last| now.saturating_duration_since(*last) < Self::PERIOD);
        }
        match self.last.get(&(source, kind)) {
            Some(last) if now.saturating_duration_since(*last) < Self::PERIOD => false,
            // With thousands of sources in a minute more lines help nobody.
            None if self.last.len() >= Self::MAX_SOURCES => false,
            _ => {
                self.last.insert((source, kind), now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_source_kind_and_minute() {
        let mut seen = Repetitions::default();
        let now = Instant::now();
        let source = IpAddr::from([203, 0, 113, 4]);
        assert!(seen.is_new(now, source, "login"));
        assert!(!seen.is_new(now + Duration::from_secs(59), source, "login"));
        assert!(seen.is_new(now, source, "address"));
        assert!(seen.is_new(now + Duration::from_secs(61), source, "login"));
        for n in 0..20_000u32 {
            seen.is_new(now, IpAddr::from(n.to_be_bytes()), "login");
        }
        assert!(seen.last.len() <= Repetitions::MAX_SOURCES);
    }
}

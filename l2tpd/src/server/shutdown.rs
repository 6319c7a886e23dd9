//! The orderly end: Terminate-Requests, CDN and StopCCN, nodes removed, within three seconds.

use std::time::{Duration, Instant};

use l2tp_proto::{CloseSession, TunnelId};
use ppp_proto::CloseReason;
use rand_core::CryptoRng;

use super::io::{Output, SessionKey};
use super::{Server, l2tp_config};

/// For links to agree on their end.
const LINKS: Duration = Duration::from_millis(1500);
/// For everything.
const ALL: Duration = Duration::from_secs(3);
/// For our StopCCN to be acknowledged.
const LINGER: Duration = Duration::from_millis(500);

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    /// Terminate-Requests are on their way until then.
    Links { until: Instant, end: Instant },
    /// StopCCNs are on their way.
    Tunnels { end: Instant },
    /// Over.
    Finished,
}

impl Shutdown {
    pub(super) fn next(&self) -> Option<Instant> {
        match *self {
            Self::Links { until, .. } => Some(until),
            Self::Tunnels { end } => Some(end),
            Self::Finished => None,
        }
    }
}

impl Server {
    pub(super) fn begin_shutdown(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        if self.shutdown.is_some() {
            return;
        }
        self.shutdown = Some(Shutdown::Links {
            until: now + LINKS,
            end: now + ALL,
        });
        self.forget_clients();
        let mut config = l2tp_config(&self.config);
        config.linger = LINGER;
        self.tunnels.reconfigure(config);
        let mut keys: Vec<SessionKey> = self.sessions.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            self.close_politely(now, key, CloseReason::Shutdown, rng);
        }
    }

    /// Takes the next step when the last is done or its time is over.
    pub(super) fn continue_shutdown(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        if let Some(Shutdown::Links { until, end }) = self.shutdown
            && (self.sessions.is_empty() || until <= now)
        {
            self.shutdown = Some(Shutdown::Tunnels { end });
            let mut keys: Vec<SessionKey> = self.sessions.keys().copied().collect();
            keys.sort_unstable();
            for key in keys {
                self.hang_up(now, key, CloseSession::Administrative);
            }
            self.tunnels.shutdown(now);
            self.settle_l2tp(now, rng);
        }
        if let Some(Shutdown::Tunnels { end }) = self.shutdown {
            let clean =
                self.tunnels.is_empty() && self.operations.is_empty() && self.programs.is_idle();
            if end <= now && !clean {
                let mut left: Vec<TunnelId> = self.live.keys().copied().collect();
                left.sort_unstable();
                for tunnel in left {
                    self.tunnels.tunnel_failed(now, tunnel);
                }
                self.settle_l2tp(now, rng);
            }
            if clean || end <= now {
                self.shutdown = Some(Shutdown::Finished);
                self.outputs.push_back(Output::Finished);
            }
        }
    }
}

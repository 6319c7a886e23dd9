//! What the core tells, as log records. The only file that words them.
//!
//! Keys: `ike child client peer identity role took lasted reason remedy spi_in spi_out mode`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ike_proto::error::DownReason;
use ike_proto::io::{ChildId, Event, IkeId};
use ike_proto::view::{ChildSaView, IkeSaView};
use slog::{Logger, debug, info, warn};
use tanuki_daemon::log::Remedy;

use crate::control::tables::span;

/// Writes events, and remembers since when things are up.
#[derive(Debug)]
pub struct EventLog {
    log: Logger,
    ike: HashMap<IkeId, Instant>,
    children: HashMap<ChildId, Instant>,
}

impl EventLog {
    /// Writes to `log`.
    pub fn new(log: Logger) -> Self {
        Self {
            log,
            ike: HashMap::new(),
            children: HashMap::new(),
        }
    }

    /// Takes over what an earlier process established.
    pub fn adopt(&mut self, now: Instant, ike: &[IkeSaView], children: &[ChildSaView]) {
        let since = |established: Option<Duration>| now.checked_sub(established?);
        self.ike.extend(
            ike.iter()
                .filter_map(|sa| Some((sa.id, since(sa.established)?))),
        );
        self.children.extend(
            children
                .iter()
                .filter_map(|c| Some((c.id, since(c.established)?))),
        );
    }

    /// Writes one event.
    pub fn write(&mut self, now: Instant, event: &Event) {
        let log = &self.log;
        match event {
            Event::IkeUp {
                ike,
                reqid,
                local: _,
                peer,
                identity,
                initiator,
                took,
                replaces,
            } => {
                self.ike.insert(*ike, now);
                let role = if *initiator { "initiator" } else { "responder" };
                match replaces {
                    None => info!(log, "ISAKMP SA up"; "ike" => ike.0, "client" => reqid.0,
                        "peer" => %peer, "identity" => %identity, "role" => role,
                        "took_ms" => millis(*took)),
                    Some(old) => info!(log, "ISAKMP SA rekeyed"; "ike" => ike.0,
                        "client" => reqid.0, "peer" => %peer, "role" => role,
                        "replaces" => old.0, "took_ms" => millis(*took)),
                }
            }
            Event::IkeDown {
                ike,
                reqid,
                local: _,
                peer,
                established,
                reason,
            } => {
                let lasted = lasted(self.ike.remove(ike), now);
                let client = reqid.map_or(0, |reqid| reqid.0);
                if *established {
                    info!(log, "ISAKMP SA down"; "ike" => ike.0, "client" => client,
                        "peer" => %peer, "lasted" => lasted, "reason" => %reason);
                } else {
                    let level_up =
                        matches!(reason, DownReason::PeerRefused(_) | DownReason::Timeout);
                    if level_up {
                        warn!(log, "phase 1 failed"; "ike" => ike.0, "peer" => %peer,
                            "reason" => %reason, Remedy(reason.remedy()));
                    } else {
                        // The refusal itself is told once per peer; scans need no second line.
                        debug!(log, "phase 1 failed"; "ike" => ike.0, "peer" => %peer,
                            "reason" => %reason);
                    }
                }
            }
            Event::ChildUp {
                child,
                reqid,
                spi_in,
                spi_out,
                peer,
                mode,
                replaces,
            } => {
                self.children.insert(*child, now);
                let what = if replaces.is_some() {
                    "IPsec SAs rekeyed"
                } else {
                    "IPsec SAs up"
                };
                info!(log, "{what}"; "child" => child.0, "client" => reqid.0, "peer" => %peer,
                    "mode" => %mode, "spi_in" => hex(*spi_in), "spi_out" => hex(*spi_out));
            }
            Event::ChildDown {
                child,
                reqid,
                spi_in,
                spi_out,
                reason,
            } => match self.children.remove(child) {
                Some(since) => info!(log, "IPsec SAs down"; "child" => child.0,
                        "client" => reqid.0, "spi_in" => hex(*spi_in), "spi_out" => hex(*spi_out),
                        "lasted" => span(now.saturating_duration_since(since)),
                        "reason" => %reason),
                None => warn!(log, "phase 2 failed"; "child" => child.0, "client" => reqid.0,
                        "reason" => %reason, Remedy(reason.remedy())),
            },
            Event::ClientGone { reqid, peer } => {
                info!(log, "client gone"; "client" => reqid.0, "peer" => %peer);
            }
            Event::Refused { peer, reason } => warn!(log, "refused"; "peer" => %peer,
                "reason" => %reason, Remedy(reason.remedy())),
            Event::UserUp { ike, peer, user } => {
                info!(log, "user logged in"; "ike" => ike.0, "peer" => %peer, "user" => user);
            }
            Event::AddressGiven {
                reqid,
                peer,
                user,
                address,
            } => {
                info!(log, "address given"; "client" => reqid.0, "peer" => %peer,
                    "user" => user.as_deref().unwrap_or("-"), "address" => %address);
            }
            Event::AddressTaken {
                reqid,
                connection,
                address,
                dns,
            } => info!(log, "address received"; "client" => reqid.0, "connection" => connection,
                "address" => %address, "dns" => ?dns),
            Event::CertificateRefused {
                peer,
                identity,
                detail,
            } => warn!(log, "certificate refused"; "peer" => %peer, "identity" => %identity,
                "reason" => detail),
            Event::OfferRefused { peer, phase, offer } => {
                warn!(log, "nothing of this is allowed"; "peer" => %peer, "phase" => phase,
                    "offer" => offer, "remedy" => "allow one of it, in `phase1` or `phase2`");
            }
            Event::ConnectionFailed { connection, reason } => {
                warn!(log, "connection failed"; "connection" => connection, "reason" => %reason,
                    Remedy(reason.remedy()));
            }
            Event::MappingMoved { reqid, old, new } => {
                info!(log, "NAT mapping moved"; "client" => reqid.0, "old" => %old, "new" => %new);
            }
            Event::Carried {
                reqid,
                peer,
                carrier,
                reason,
            } => {
                let reason = reason.map_or_else(|| "-".to_owned(), |reason| reason.to_string());
                info!(log, "client carried"; "client" => reqid.0, "peer" => %peer,
                    "kernel" => %carrier, "reason" => reason);
            }
            Event::NatDetected { ike, local, peer } => {
                debug!(log, "NAT detected"; "ike" => ike.0, "we" => local, "peer" => peer);
            }
        }
    }

    /// Writes the whole state, for SIGUSR1.
    pub fn dump(&self, ike: &[IkeSaView], children: &[ChildSaView]) {
        info!(self.log, "state"; "isakmp_sas" => ike.len(), "ipsec_pairs" => children.len());
        for sa in ike {
            info!(self.log, "ISAKMP SA"; "ike" => sa.id.0, "state" => &sa.state,
                "peer" => %sa.peer, "local" => %sa.local,
                "client" => sa.reqid.map_or(0, |reqid| reqid.0),
                "identity" => sa.peer_identity.as_deref().unwrap_or("-"),
                "icookie" => &sa.initiator_cookie, "rcookie" => &sa.responder_cookie);
        }
        for pair in children {
            info!(self.log, "IPsec SAs"; "child" => pair.id.0, "state" => &pair.state,
                "client" => pair.reqid.0, "peer" => %pair.peer,
                "spi_in" => hex(pair.spi_in), "spi_out" => hex(pair.spi_out));
        }
    }
}

fn lasted(since: Option<Instant>, now: Instant) -> String {
    since.map_or_else(
        || "-".into(),
        |since| span(now.saturating_duration_since(since)),
    )
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn hex(spi: u32) -> String {
    format!("{spi:08x}")
}

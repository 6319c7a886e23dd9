//! Requests of `ikectl`.

use std::time::Instant;

use ike_proto::error::CommandError;
use ike_proto::io::{ChildId, IkeId};
use ike_proto::view::ChildSaView;
use jiff::tz::TimeZone;
use pfkey::setkey;
use tanuki_daemon::control::{ControlCall, Reply};

use super::daemon::{CONNECT_LIMIT, Daemon};
use super::waiting::{Connecting, Dumps, SasReply};
use crate::control::kernel_view;
use crate::control::protocol::{Done, DumpAnswer, IpsecAnswer, PoliciesAnswer, Request};
use crate::state::wall_clock;

impl Daemon {
    /// Carries out one request.
    pub(super) fn order(&mut self, call: ControlCall) {
        let Some((request, reply)) = call.parse::<Request>() else {
            return;
        };
        let now = Instant::now();
        match request {
            Request::ShowIke => reply.ok(&self.endpoint.ike_sas(now)),
            Request::ShowIpsec if self.stats.kernel_connected => {
                self.gather_sas(SasReply::Control(reply));
            }
            Request::ShowPolicies if self.stats.kernel_connected => {
                self.gather_policies(reply);
            }
            Request::ShowIpsec | Request::ShowPolicies => {
                reply.error(format!(
                    "the kernel ({}) is not connected",
                    self.stats.kernel
                ));
            }
            Request::ShowStats => reply.ok(&self.stats_now()),
            Request::Dump => reply.ok(&DumpAnswer {
                ike: self.endpoint.ike_sas(now),
                ipsec: self.endpoint.child_sas(now),
                stats: self.stats_now(),
            }),
            Request::Connect { name, wait } => self.connect(now, name, wait, reply),
            Request::DeleteIke { id, client } => {
                let result = self
                    .endpoint
                    .delete_ike(now, IkeId(id), client, &mut self.rng);
                answer(reply, result, format!("ISAKMP SA {id} deleted"));
            }
            Request::DeleteIpsec { id } => {
                let result = self.endpoint.delete_child(now, ChildId(id), &mut self.rng);
                answer(reply, result, format!("IPsec SAs {id} deleted"));
            }
            Request::DeletePeer { peer } => {
                let deleted = self.delete_peer(now, peer);
                match deleted {
                    0 => reply.error(format!("no SA with {peer}")),
                    _ => done(reply, format!("everything of {peer} deleted")),
                }
            }
            Request::RekeyIke { id } => {
                let result = self.endpoint.rekey_ike(now, IkeId(id), &mut self.rng);
                answer(reply, result, format!("rekeying ISAKMP SA {id}"));
            }
            Request::RekeyIpsec { id } => {
                let result = self.endpoint.rekey_child(now, ChildId(id), &mut self.rng);
                answer(reply, result, format!("rekeying IPsec SAs {id}"));
            }
            Request::Flush => {
                self.flush();
                done(reply, "everything deleted".into());
            }
            Request::Reload => match self.reload() {
                Ok(message) => done(reply, message),
                Err(problems) => reply.error(problems),
            },
        }
    }

    fn connect(&mut self, now: Instant, name: String, wait: bool, reply: Reply) {
        // Our address towards the peer may have changed since.
        self.apply_policy();
        match self.endpoint.initiate(now, &name, &mut self.rng) {
            Err(CommandError::UnknownConnection(_))
                if self
                    .config
                    .connections
                    .iter()
                    .any(|known| known.connection.name == name) =>
            {
                reply.error(format!("{name}: no route to the peer"));
            }
            Err(error) => reply.error(error),
            Ok(_) if !wait => done(reply, format!("{name} is being connected")),
            Ok(_) => {
                self.waiting.connects.push(Connecting {
                    name,
                    reply,
                    until: now + CONNECT_LIMIT,
                });
            }
        }
    }

    fn delete_peer(&mut self, now: Instant, peer: std::net::IpAddr) -> usize {
        let mut deleted = 0;
        let ike: Vec<IkeId> = self
            .endpoint
            .ike_sas(now)
            .into_iter()
            .filter(|sa| sa.peer.ip() == peer)
            .map(|sa| sa.id)
            .collect();
        for id in ike {
            // One of the same client may have gone with the one before.
            deleted += usize::from(
                self.endpoint
                    .delete_ike(now, id, true, &mut self.rng)
                    .is_ok(),
            );
        }
        let children: Vec<ChildId> = self
            .endpoint
            .child_sas(now)
            .into_iter()
            .filter(|pair| pair.peer.ip() == peer)
            .map(|pair| pair.id)
            .collect();
        for id in children {
            deleted += usize::from(self.endpoint.delete_child(now, id, &mut self.rng).is_ok());
        }
        deleted
    }
}

/// Answers `show ipsec`.
pub(super) fn answer_sas(reply: Reply, dumps: &Dumps, pairs: &[ChildSaView]) {
    match dumps {
        Err(reason) => reply.error(reason),
        Ok(dumps) => reply.ok(&IpsecAnswer {
            text: dumps
                .iter()
                .map(|(_, sas)| setkey::dump(sas, wall_clock(), &TimeZone::system()))
                .collect(),
            kernel: dumps
                .iter()
                .flat_map(|(carrier, sas)| {
                    sas.iter().filter_map(|sa| kernel_view::sa(*carrier, sa))
                })
                .collect(),
            pairs: pairs.to_vec(),
        }),
    }
}

/// Answers `show policies`.
pub(super) fn answer_policies(reply: Reply, dumps: &Dumps) {
    match dumps {
        Err(reason) => reply.error(reason),
        Ok(dumps) => reply.ok(&PoliciesAnswer {
            text: dumps
                .iter()
                .map(|(_, policies)| setkey::spd_dump(policies, &TimeZone::system()))
                .collect(),
            policies: dumps
                .iter()
                .flat_map(|(carrier, policies)| {
                    let views = policies.iter();
                    views.filter_map(|policy| kernel_view::policy(*carrier, policy))
                })
                .collect(),
        }),
    }
}

fn answer(reply: Reply, result: Result<(), CommandError>, message: String) {
    match result {
        Ok(()) => done(reply, message),
        Err(error) => reply.error(error),
    }
}

fn done(reply: Reply, message: String) {
    reply.ok(&Done { message });
}

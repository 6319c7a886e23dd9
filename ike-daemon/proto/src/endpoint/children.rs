//! Pairs of IPsec SAs: installation, rekeying make-before-break, expiry, removal.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::carrier::Carrier;
use crate::error::DownReason;
use crate::ikev1::child::{Child, ChildStage};
use crate::ikev1::quick_mode::QuickWish;
use crate::ikev1::traffic::Traffic;
use crate::io::{ChildId, Direction, Event, IkeId, KernelRequest, Mode, Reqid, SaInstall};

use super::commands::Start;
use super::timers::TimerKey;
use super::{Endpoint, RETRY};
use crate::nat::Path;

/// What a responder leaves to the initiator when lifetimes in octets end, before it renews itself.
const RESPONDERS_TURN: Duration = Duration::from_secs(2);

impl Endpoint {
    pub(super) fn arm_child(&mut self, id: ChildId) {
        let due = self.children.get(&id).map(|child| child.due());
        self.timers.set(TimerKey::Child(id), due);
    }

    pub(super) fn spi_reserved(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        child: ChildId,
        spi: u32,
    ) {
        let Some(&pending) = self.shared.pending.get(&child) else {
            return;
        };
        let (id, message_id) = (pending.ike, pending.message_id);
        let wanted = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.wants_spi(message_id));
        if !wanted {
            self.shared.pending.remove(&child);
        }
        self.with_session(now, rng, id, |session, cx| {
            if wanted {
                session.spi_reserved(cx, message_id, spi);
            } else {
                session.release_late_spi(cx, pending.carrier, child, spi);
            }
        });
    }

    /// A new pair, with its inbound half on the way to the kernel. The first of a client gets `outbound`
    /// at once: what the client sends behind QM3 is answered before QM3 is looked at, where many come at
    /// once, and the answer would be lost. One that replaces another waits until the peer has shown by QM3
    /// that it takes packets.
    pub(super) fn child_agreed(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        mut child: Child,
        outbound: Option<Box<SaInstall>>,
    ) {
        let (id, reqid) = (child.id, child.reqid);
        let Some(client) = self.clients.get_mut(&reqid) else {
            self.uninstall(&child);
            return;
        };
        if let (true, Some(outbound)) = (client.children.is_empty(), outbound) {
            child.stage = ChildStage::First {
                inbound: true,
                outbound: true,
            };
            let request = KernelRequest::Install(outbound);
            self.shared.kernel(child.carrier, request);
        }
        client.children.insert(id);
        let limit = self.shared.policy.limits.children_per_client.max(1);
        let surplus = client.children.len().saturating_sub(limit);
        let surplus: Vec<ChildId> = client.children.iter().copied().take(surplus).collect();
        self.by_spi_in.insert(child.spi_in, id);
        self.children.insert(id, Box::new(child));
        self.arm_child(id);
        for old in surplus {
            self.remove_child(now, rng, old, DownReason::Evicted, true);
        }
    }

    /// The peer is through with it, and `outbound` goes to the kernel unless it is there.
    pub(super) fn child_complete(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: ChildId,
        outbound: Option<Box<SaInstall>>,
    ) {
        self.shared.pending.remove(&id);
        if let Some(child) = self.children.get_mut(&id) {
            match child.stage {
                ChildStage::Inbound { installed } => {
                    child.stage = ChildStage::Installing {
                        inbound: !installed,
                        outbound: true,
                    };
                    if let Some(outbound) = outbound {
                        let request = KernelRequest::Install(outbound);
                        self.shared.kernel(child.carrier, request);
                    }
                }
                ChildStage::First { inbound, outbound } => {
                    child.stage = ChildStage::Installing { inbound, outbound };
                }
                _ => {}
            }
        }
        self.child_check_up(now, rng, id);
    }

    pub(super) fn child_installed(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: ChildId,
        direction: Direction,
    ) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        match (&mut child.stage, direction) {
            (ChildStage::Inbound { installed }, Direction::Inbound) => *installed = true,
            (
                ChildStage::First { inbound, .. } | ChildStage::Installing { inbound, .. },
                Direction::Inbound,
            ) => *inbound = false,
            (
                ChildStage::First { outbound, .. } | ChildStage::Installing { outbound, .. },
                Direction::Outbound,
            ) => *outbound = false,
            _ => {}
        }
        self.child_check_up(now, rng, id);
    }

    fn child_check_up(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: ChildId) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if child.stage
            != (ChildStage::Installing {
                inbound: false,
                outbound: false,
            })
        {
            return;
        }
        child.stage = ChildStage::Installed;
        let child = child.clone();
        let counters = &mut self.shared.counters;
        counters.phase2_established = counters.phase2_established.wrapping_add(1);
        self.shared.changed();
        self.add_policies(&child);
        self.supersede_children(now, &child);
        self.shared.event(Event::ChildUp {
            child: id,
            reqid: child.reqid,
            spi_in: child.spi_in,
            spi_out: child.spi_out,
            peer: child.peer,
            mode: child.encapsulation_mode,
            replaces: child.replaces,
        });
        let fresh = self
            .clients
            .get_mut(&child.reqid)
            .and_then(|client| client.fresh_since.take());
        if let Some(since) = fresh {
            self.forget_older(now, rng, child.reqid, child.ike, since);
        }
    }

    /// The policies that initiators and tunnels need in the kernel, and that tell l2tpd the reqid of
    /// one of several clients behind a NAT: the system's kernel does not say it with a datagram.
    fn add_policies(&mut self, child: &Child) {
        let Some(client) = self.clients.get_mut(&child.reqid) else {
            return;
        };
        let told_apart = child.carrier == Carrier::System && client.peer_nat;
        if client.connection.is_none() && child.mode == Mode::Transport && !told_apart {
            return;
        }
        for policy in child.policies() {
            let placed = (child.carrier, policy);
            if !client.policies.contains(&placed) {
                client.policies.push(placed);
                let request = KernelRequest::AddPolicy(policy);
                self.shared.kernel(child.carrier, request);
            }
        }
    }

    /// Older pairs with the same traffic have nothing to do any more. The one we have replaced
    /// ourselves goes soon; the others are the peer's to delete, or expire: packets under way and
    /// peers that are late still find them.
    fn supersede_children(&mut self, now: Instant, newer: &Child) {
        let system = self.shared.carriers.system.as_ref();
        let oldest_first = system.is_some_and(|system| system.oldest_first);
        let others: Vec<ChildId> = self
            .clients
            .get(&newer.reqid)
            .map(|client| {
                client
                    .children
                    .iter()
                    .copied()
                    .filter(|id| *id != newer.id)
                    .collect()
            })
            .unwrap_or_default();
        for id in others {
            let Some(child) = self.children.get_mut(&id) else {
                continue;
            };
            let replaced = newer.replaces == Some(id);
            let same = child.traffic == newer.traffic && child.mode == newer.mode;
            if !child.is_up() || !(replaced || same) {
                continue;
            }
            child.stage = ChildStage::Superseded;
            child.rekey = None;
            if oldest_first && child.carrier == Carrier::System {
                // The newer one would not be used before this one is gone. What the peer still
                // sends through the old pair is taken as before.
                let delete = KernelRequest::Delete(child.delete(Direction::Outbound));
                self.shared.kernel(child.carrier, delete);
                child.outbound_gone = true;
            }
            if replaced && newer.initiator {
                child.retire = Some(now + RETRY);
            }
            self.arm_child(id);
        }
    }

    /// Quick Mode came to nothing, before or after its inbound half was in the kernel.
    pub(super) fn child_failed(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        session: IkeId,
        id: ChildId,
        replaces: Option<ChildId>,
        reason: DownReason,
    ) {
        if self.children.contains_key(&id) {
            self.shared.pending.remove(&id);
            self.remove_child(now, rng, id, reason.clone(), true);
        } else {
            self.shared.unplace(id);
            let reqid = self
                .sessions
                .get(&session)
                .and_then(|session| session.established())
                .map_or(Reqid(0), |established| established.client);
            self.shared.event(Event::ChildDown {
                child: id,
                reqid,
                spi_in: 0,
                spi_out: 0,
                reason: reason.clone(),
            });
        }
        if let Some(old) = replaces {
            self.child_rekey_failed(now, old);
        } else if let Some(connection) = self
            .sessions
            .get(&session)
            .and_then(|session| session.connection.clone())
        {
            self.shared
                .event(Event::ConnectionFailed { connection, reason });
        }
    }

    /// A pair that was being rekeyed stays, and tries again while it lives.
    pub(super) fn child_rekey_failed(&mut self, now: Instant, id: ChildId) {
        if let Some(child) = self.children.get_mut(&id)
            && child.stage == ChildStage::Rekeying
        {
            child.stage = ChildStage::Installed;
            child.rekey = Some(now + RETRY).filter(|at| *at < child.expires);
            self.arm_child(id);
        }
    }

    /// Takes a pair out of the kernel and out of here.
    pub(super) fn remove_child(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: ChildId,
        reason: DownReason,
        tell: bool,
    ) {
        let Some(child) = self.children.remove(&id) else {
            return;
        };
        self.timers.cancel(TimerKey::Child(id));
        if self.by_spi_in.get(&child.spi_in) == Some(&id) {
            self.by_spi_in.remove(&child.spi_in);
        }
        self.uninstall(&child);
        let pending = self.shared.pending.remove(&id);
        if let Some(client) = self.clients.get_mut(&child.reqid) {
            client.children.remove(&id);
        }
        self.shared.changed();
        self.shared.event(Event::ChildDown {
            child: id,
            reqid: child.reqid,
            spi_in: child.spi_in,
            spi_out: child.spi_out,
            reason: reason.clone(),
        });
        if let Some(pending) = pending {
            self.with_session(now, rng, pending.ike, |session, cx| {
                session.fail_quick_mode(cx, pending.message_id, reason);
            });
        }
        if tell && let Some(session) = self.newest_session(child.reqid) {
            self.with_session(now, rng, session, |session, cx| {
                session.send_delete_esp(cx, &[child.spi_in]);
            });
        }
        self.collect_client(child.reqid);
    }

    /// Takes a pair out of its kernel.
    fn uninstall(&mut self, child: &Child) {
        for delete in child.deletes() {
            let request = KernelRequest::Delete(delete);
            self.shared.kernel(child.carrier, request);
        }
        self.shared.unplace(child.id);
    }

    pub(super) fn child_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng, id: ChildId) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if now >= child.expires {
            self.remove_child(now, rng, id, DownReason::Expired, true);
        } else if child.retire.is_some_and(|retire| now >= retire) {
            self.remove_child(now, rng, id, DownReason::Replaced, true);
        } else {
            if child.rekey.is_some_and(|rekey| now >= rekey) {
                child.rekey = None;
                self.replace_child(now, rng, id);
            }
            self.arm_child(id);
        }
    }

    /// Starts a Quick Mode that replaces a pair, over the client's youngest ISAKMP SA, or over a
    /// new one when none is left. Says whether it could.
    pub(super) fn replace_child(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: ChildId,
    ) -> bool {
        let Some(child) = self.children.get_mut(&id) else {
            return false;
        };
        if child.stage != ChildStage::Installed {
            return false;
        }
        child.stage = ChildStage::Rekeying;
        child.rekey = None;
        let reqid = child.reqid;
        let wish = QuickWish {
            mode: child.mode,
            traffic: Traffic {
                selectors: child.traffic,
                ids: child.ids.clone(),
                peer_original: child.peer_original,
                local_original: child.local_original,
            },
            pfs: child.pfs,
            replaces: Some(id),
            kilobytes: child.kilobytes,
        };
        if let Some(session) = self.newest_session(reqid) {
            self.with_session(now, rng, session, |session, cx| {
                session.start_quick_mode(cx, wish);
            });
            return true;
        }
        let Some(client) = self.clients.get(&reqid) else {
            return false;
        };
        let path = Path {
            local: client.local,
            peer: client.peer,
            natt_port: client.natt_port,
        };
        let start = Start {
            path,
            connection: client.connection.clone(),
            expected_identity: Some(client.identity.clone()),
            replaces: None,
            wishes: vec![wish],
            initial_contact: false,
        };
        if self.start_main_mode(now, rng, start).is_err() {
            self.child_rekey_failed(now, id);
            return false;
        }
        true
    }

    pub(super) fn kernel_failed(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: ChildId,
        reason: &str,
    ) {
        let down = DownReason::Kernel(reason.to_owned());
        if self.children.contains_key(&id) {
            let replaces = self.children.get(&id).and_then(|child| child.replaces);
            self.remove_child(now, rng, id, down, true);
            if let Some(old) = replaces {
                self.child_rekey_failed(now, old);
            }
        } else if let Some(pending) = self.shared.pending.remove(&id) {
            self.with_session(now, rng, pending.ike, |session, cx| {
                session.fail_quick_mode(cx, pending.message_id, down);
            });
        }
    }

    fn child_by_spi(&self, sa: (Carrier, u32, IpAddr)) -> Option<ChildId> {
        if let Some(id) = self.by_spi_in.get(&sa.1)
            && self
                .children
                .get(id)
                .is_some_and(|child| (child.carrier, child.spi_in, child.local.ip()) == sa)
        {
            return Some(*id);
        }
        // By its outbound half: among those of the clients at that address.
        let clients = self.clients_at.get(&sa.2).into_iter().flatten();
        clients
            .filter_map(|reqid| self.clients.get(reqid))
            .flat_map(|client| &client.children)
            .filter_map(|id| self.children.get(id))
            .find(|child| {
                (child.carrier, child.spi_out, child.peer.ip()) == sa && !child.outbound_gone
            })
            .map(|child| child.id)
    }

    /// SADB_EXPIRE: by octets, or the safety net behind our own timers.
    pub(super) fn kernel_expire(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        sa: (Carrier, u32, IpAddr),
        hard: bool,
    ) {
        let Some(id) = self.child_by_spi(sa) else {
            return;
        };
        if hard {
            self.remove_child(now, rng, id, DownReason::Expired, true);
            return;
        }
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if child.initiator {
            self.replace_child(now, rng, id);
        } else if child.stage == ChildStage::Installed
            && self
                .shared
                .policy
                .terms(child.peer.ip())
                .phase2
                .rekey_as_responder
        {
            // Both ends count the same packets: the initiator is about to renew.
            let turn = now + RESPONDERS_TURN;
            child.rekey = Some(child.rekey.map_or(turn, |rekey| rekey.min(turn)));
        }
        self.arm_child(id);
    }

    /// The kernel has seen authenticated ESP from another address or port.
    pub(super) fn kernel_moved(&mut self, spi: u32, peer: SocketAddr) {
        let reqid = self
            .by_spi_in
            .get(&spi)
            .and_then(|id| self.children.get(id))
            .filter(|child| child.encapsulation.is_some())
            .map(|child| child.reqid);
        if let Some(reqid) = reqid {
            self.move_client(
                reqid,
                SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            );
        }
    }

    /// Asks the kernel what has come from a client.
    pub(super) fn look_for_traffic(&mut self, reqid: Reqid) {
        let children = self.clients.get(&reqid).map(|client| &client.children);
        for id in children.into_iter().flatten() {
            if let Some(child) = self.children.get(id) {
                let request = KernelRequest::Look(child.look());
                self.shared.kernel(child.carrier, request);
            }
        }
    }

    /// ESP traffic is a sign of life (RFC 3706 5.4).
    pub(super) fn kernel_traffic(
        &mut self,
        now: Instant,
        rng: &mut dyn CryptoRng,
        id: ChildId,
        inbound: u64,
        outbound: u64,
    ) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let fresh = inbound > child.inbound_octets;
        child.inbound_octets = inbound;
        child.outbound_octets = child.outbound_octets.max(outbound);
        let reqid = child.reqid;
        if !fresh {
            return;
        }
        if let Some(client) = self.clients.get_mut(&reqid) {
            client.traffic = Some(now);
        }
        if matches!(
            child.stage,
            ChildStage::Inbound { .. } | ChildStage::First { .. }
        ) && let Some(&pending) = self.shared.pending.get(&id)
        {
            self.with_session(now, rng, pending.ike, |session, cx| {
                session.inbound_in_use(cx, pending.message_id);
            });
        }
        if let Some(session) = self.newest_session(reqid) {
            if let Some(established) = self
                .sessions
                .get_mut(&session)
                .and_then(|session| session.established_mut())
            {
                established.dpd.alive(now);
            }
            self.arm_session(session);
        }
    }
}

//! What other threads have to do with the kernel: packets that they cannot carry, what they see of SAs,
//! and what they are told.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Action, Kernel, Now, transport};
use crate::buffer::Buffer;
use crate::graph::iface;
use crate::graph::shortcut::{SessionKey, Shortcut};
use crate::ipsec::SaChange;
use crate::worker::{HandedOver, Notice, Order};

impl Kernel {
    /// Something that a worker could not do by itself.
    pub fn handed_over(
        &mut self,
        now: Now,
        worker: usize,
        what: &HandedOver,
        packet: &mut Buffer,
    ) -> Action {
        match what {
            HandedOver::Esp(from) => self.esp_input_by(now, *from, packet, Some(worker)),
            HandedOver::Datagram { reqid, local, peer } => {
                let by = Some(worker);
                let action = self.udp_input(now, *reqid, (*local, *peer), packet, by);
                self.sealed(action, packet)
            }
            HandedOver::Tunnel { reqid } => self.tunnel_input(now, *reqid, packet),
            HandedOver::Outward => {
                let destination = iface::destination_of(packet);
                let action = self.tun_input(now, packet);
                if let Some(destination) = destination
                    && let Some((key, shortcut)) = self.graph.shortcut_towards(worker, destination)
                {
                    self.give(worker, key, shortcut, Some(destination));
                }
                action
            }
        }
    }

    /// Gives a worker the shortcut of a session, with the SA to send by, if there is one that has been
    /// used, and a destination that it leads to.
    pub(super) fn give(
        &mut self,
        worker: usize,
        key: SessionKey,
        shortcut: Arc<Shortcut>,
        destination: Option<IpAddr>,
    ) {
        let (local, peer) = (shortcut.local, shortcut.peer);
        let policy = self.graph.policy_of(local, peer, key.reqid);
        let sender = self.ipsec.sender(&transport(local, peer, policy));
        if !self
            .ipsec
            .admits_for_good(&transport(peer, local, None), key.reqid)
        {
            self.graph.client_changed(key.reqid);
            return;
        }
        let order = Order::Session {
            key,
            shortcut,
            sender,
            destination,
        };
        self.orders.push_back((worker, order));
    }

    /// A worker has seen something that key management has to know.
    pub fn noticed(&mut self, now: Now, notice: Notice) {
        match notice {
            Notice::Marked { spi } => self.ipsec.look_at(now.instant, spi),
            Notice::Moved { spi, seen } => self.ipsec.peer_moved(now.instant, spi, seen),
        }
    }

    /// What a worker is to do next, after any call. None without workers.
    pub fn poll_order(&mut self) -> Option<(usize, Order)> {
        if !self.has_workers {
            return None;
        }
        while let Some(SaChange { spi, reqid, news }) = self.ipsec.poll_sa_change() {
            self.graph.client_changed(reqid);
            if let Some((worker, news)) = news {
                self.orders.push_back((worker, Order::News(spi, news)));
            }
        }
        let policies = self.ipsec.policy_generation();
        if std::mem::replace(&mut self.policies, policies) != policies {
            self.graph.policies_changed();
        }
        while let Some((worker, key)) = self.graph.poll_taken_back() {
            self.orders.push_back((worker, Order::Forget(key)));
        }
        self.graph.settle_counts();
        self.orders.pop_front()
    }
}

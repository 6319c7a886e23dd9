//! What a worker does with a packet: the plain data of the sessions it knows. No I/O.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{HandedOver, Notice, Order};
use crate::buffer::Buffer;
use crate::graph::l2tp::header::Header;
use crate::graph::shortcut::{Inward, SessionKey, Shortcut};
use crate::graph::{Drop, iface};
use crate::ipsec::{
    self, InboundEsp, Opened, OutboundEsp, Received, Receivers, Refused, Sender, Unsealed,
};
use crate::kernel::{self, Action, Carried};
use crate::table::Table;
use crate::udp;

/// Addresses that lead to sessions; beyond, all are forgotten and learnt anew.
const MAX_DESTINATIONS: usize = 65_536;

/// What happened at a worker.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Packets between the parts.
    pub kernel: kernel::Counters,
    /// IPsec.
    pub ipsec: ipsec::Counters,
    /// Packets that netgraph nodes would have dropped, by reason.
    pub drops: HashMap<Drop, u64>,
}

/// What becomes of a packet from the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Dropped.
    Done,
    /// An IP packet for the TUN device.
    Tun,
    /// For the control thread.
    Over(HandedOver),
}

/// A session that it knows how to carry.
struct Session {
    shortcut: Arc<Shortcut>,
    sender: Option<Sender>,
    /// The control thread has been told of the mark that was reached.
    marked: bool,
    destinations: Vec<IpAddr>,
}

/// A worker without its devices.
#[derive(Default)]
pub struct Plane {
    receivers: Receivers,
    opened: Opened<Received, Refused>,
    sessions: Table<SessionKey, Session>,
    destinations: Table<IpAddr, SessionKey>,
    counters: Counters,
    notices: Vec<Notice>,
    unsealed: Unsealed,
}

impl Plane {
    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the control thread has to know.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop()
    }

    /// Does what the control thread says.
    pub fn obey(&mut self, order: Order) {
        match order {
            Order::Receive(receiver) => self.receivers.insert(receiver),
            Order::News(spi, news) => self.receivers.hear(spi, news),
            Order::Session {
                key,
                shortcut,
                sender,
                destination,
            } => {
                let known = self.sessions.remove(&key);
                let mut session = Session {
                    shortcut,
                    sender,
                    marked: false,
                    destinations: known.map(|known| known.destinations).unwrap_or_default(),
                };
                if let Some(destination) = destination
                    && self.destinations.insert(destination, key) != Some(key)
                {
                    session.destinations.push(destination);
                }
                self.sessions.insert(key, session);
                if self.destinations.len() > MAX_DESTINATIONS {
                    self.destinations.clear();
                    for session in self.sessions.values_mut() {
                        session.destinations.clear();
                    }
                }
            }
            Order::Forget(key) => {
                let stale = |session: &Session| session.shortcut.is_stale();
                if !self.sessions.get(&key).is_some_and(stale) {
                    return;
                }
                let session = self.sessions.remove(&key);
                for destination in session.into_iter().flat_map(|s| s.destinations) {
                    if self.destinations.get(&destination) == Some(&key) {
                        self.destinations.remove(&destination);
                    }
                }
            }
        }
    }

    /// ESP packets from the outside, from the SPI on, and where each came from. `outcomes` gets one for
    /// each; what is to be handed over is in the batch.
    pub fn esp_batch(
        &mut self,
        now: Instant,
        from: &[InboundEsp],
        batch: &mut [Buffer],
        outcomes: &mut Vec<Outcome>,
    ) {
        let mut opened = std::mem::take(&mut self.opened);
        self.receivers.input_batch(now, from, batch, &mut opened);
        for ((from, packet), result) in from.iter().zip(batch).zip(opened.drain()) {
            outcomes.push(match result {
                Ok(received) => self.received(*from, &received, packet),
                Err(Refused::Unknown) => Outcome::Over(HandedOver::Esp(*from)),
                Err(Refused::Dropped(reason)) => {
                    self.counters.kernel.esp_in += 1;
                    self.counters.ipsec.count(reason);
                    Outcome::Done
                }
            });
        }
        self.opened = opened;
    }

    /// A packet that is authentic and decrypted.
    fn received(&mut self, from: InboundEsp, received: &Received, packet: &mut Buffer) -> Outcome {
        let Received {
            inbound,
            moved,
            marked,
        } = received;
        let (spi, seen) = (inbound.spi, from.source);
        self.notices
            .extend(moved.then_some(Notice::Moved { spi, seen }));
        self.notices
            .extend(marked.then_some(Notice::Marked { spi }));
        self.counters.kernel.esp_in += 1;
        self.counters.ipsec.packets_in += 1;
        self.counters.ipsec.bytes_in += inbound.payload.len() as u64;
        if let Err(reason) = inbound.check() {
            self.counters.ipsec.count(reason);
            return Outcome::Done;
        }
        let reqid = inbound.reqid;
        match kernel::carried(inbound, &from, packet) {
            Carried::Packet => Outcome::Over(HandedOver::Tunnel { reqid }),
            Carried::Datagram { local, peer } => {
                let over = HandedOver::Datagram { reqid, local, peer };
                self.datagram(over, packet)
            }
            Carried::Nothing(reason) => {
                self.counters.kernel.count(reason);
                Outcome::Done
            }
        }
    }

    /// A UDP payload: L2TP, if it is data of a session.
    fn datagram(&mut self, over: HandedOver, packet: &mut Buffer) -> Outcome {
        let HandedOver::Datagram { reqid, local, peer } = over else {
            return Outcome::Over(over);
        };
        let Ok(header) = Header::parse(packet) else {
            return Outcome::Over(over);
        };
        let key = SessionKey {
            reqid,
            tunnel: header.tunnel,
            session: header.session,
        };
        let shortcut = self.sessions.get(&key).map(|session| &session.shortcut);
        let fits = |shortcut: &&Arc<Shortcut>| (shortcut.local, shortcut.peer) == (local, peer);
        let Some(shortcut) = shortcut.filter(fits).filter(|known| !known.is_stale()) else {
            return Outcome::Over(over);
        };
        match shortcut.inward(&header, packet) {
            Inward::Tun => {
                self.counters.kernel.tun_out += 1;
                Outcome::Tun
            }
            Inward::Nodes => Outcome::Over(over),
            Inward::Dropped(reason) => {
                *self.counters.drops.entry(reason).or_insert(0) += 1;
                Outcome::Done
            }
        }
    }

    /// IP packets from the TUN device, encrypted side by side; `actions` gets one for each, and `over`
    /// those that the control thread has to carry, because the
    /// session is not known or its peer not in reach of this worker's sockets. A packet that is empty then is not to be sent.
    pub fn tun_batch(
        &mut self,
        batch: &mut [Buffer],
        actions: &mut Vec<Action>,
        can_send: impl Fn(&OutboundEsp) -> bool,
        mut over: impl FnMut(HandedOver, &[u8]),
    ) {
        for (place, packet) in batch.iter_mut().enumerate() {
            let action = self.outward(place, packet, &can_send).unwrap_or_else(|| {
                over(HandedOver::Outward, packet);
                Action::Done
            });
            actions.push(action);
        }
        ipsec::seal(batch, &mut self.unsealed);
    }

    /// None, and the packet as it was: it does not know how.
    fn outward(
        &mut self,
        place: usize,
        packet: &mut Buffer,
        can_send: &impl Fn(&OutboundEsp) -> bool,
    ) -> Option<Action> {
        let key = self.destinations.get(&iface::destination_of(packet)?)?;
        let session = self.sessions.get_mut(key)?;
        let sender = session.sender.as_ref()?;
        if session.shortcut.is_stale() || !can_send(&sender.out()) {
            return None;
        }
        let counters = &mut self.counters;
        counters.kernel.tun_in += 1;
        if let Err(reason) = session.shortcut.outward(packet) {
            *counters.drops.entry(reason).or_insert(0) += 1;
            return Some(Action::Done);
        }
        let (local, peer) = (session.shortcut.local, session.shortcut.peer);
        if udp::prepend(packet, local, peer).is_none() {
            counters.kernel.too_long += 1;
            return Some(Action::Done);
        }
        let bytes = packet.len() as u64;
        match sender.frame(udp::PROTOCOL, (place, packet), &mut self.unsealed) {
            Ok(marked) => {
                let out = sender.out();
                if marked && !std::mem::replace(&mut session.marked, true) {
                    self.notices.push(Notice::Marked { spi: out.spi });
                }
                counters.kernel.esp_out += 1;
                counters.ipsec.packets_out += 1;
                counters.ipsec.bytes_out += bytes;
                Some(Action::Esp(out))
            }
            Err(reason) => {
                counters.ipsec.count(reason);
                Some(Action::Done)
            }
        }
    }
}

//! What workers get of the SADB: an inbound SA to receive for, an outbound one to send by, and word
//! of every change.

use std::net::SocketAddr;
use std::time::Instant;

use pfkey::{Level, PolicyType};

use super::sa::Icv;
use super::sadb::Change;
use super::{Ends, InboundPolicy, Ipsec, Outbound, Receiver, Selectors, Sender, esp, requirement};

/// Something that workers have to know of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaChange {
    /// SPI in host order.
    pub spi: u32,
    /// Its request id: what was prepared for this client may hold no longer.
    pub reqid: u32,
    /// What the worker that receives its packets has to do, if there is one.
    pub news: Option<(usize, News)>,
}

/// What a worker has to know of an SA that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It has these ends, and maybe other lifetimes.
    Ends(Ends),
    /// It is gone.
    Gone,
}

impl Ipsec {
    /// Whether there are threads besides this one.
    pub fn has_workers(&self) -> bool {
        self.config.workers > 1
    }

    /// The next change of an SA, in order.
    pub fn poll_sa_change(&mut self) -> Option<SaChange> {
        let Change {
            spi,
            reqid,
            worker,
            gone,
        } = self.sadb.poll_change()?;
        // Another SA may have its SPI by now, which no worker has yet.
        let lent = self.sadb.get(spi).filter(|sa| sa.worker == worker);
        let news = match gone {
            true => Some(News::Gone),
            false => lent.map(|sa| News::Ends(sa.ends())),
        };
        let news = worker.zip(news);
        Some(SaChange { spi, reqid, news })
    }

    /// The worker that receives the SA of this packet.
    pub fn receiver_of(&self, packet: &[u8]) -> Option<usize> {
        let (spi, _) = esp::header(packet)?;
        self.sadb.get(spi)?.worker
    }

    /// Gives an inbound SA that has had its first packet to a worker, which alone receives its packets
    /// from now on. None: it cannot, or another has it.
    pub fn lend(&mut self, spi: u32, worker: usize) -> Option<Receiver> {
        let sa = self.sadb.get_mut(spi)?;
        if !sa.is_alive() || sa.worker.is_some() || sa.first.is_none() {
            return None;
        }
        let keyed = sa.keyed.as_ref()?;
        if keyed.icv == Icv::Undecided {
            return None;
        }
        let transform = keyed.transform.clone();
        sa.worker = Some(worker);
        Some(Receiver {
            spi,
            reqid: sa.reqid,
            mode: sa.mode,
            ends: sa.ends(),
            extended: sa.extended(),
            transform,
            window: std::mem::take(&mut sa.window),
            usage: sa.usage.clone(),
            told: None,
            marked: false,
        })
    }

    /// The SA by which a socket with a policy for one client sends now, once it has been used.
    pub fn sender(&self, to: &Outbound<'_>) -> Option<Sender> {
        let policy = to.policy?;
        let unique = |request: &pfkey::PolicyRequest| request.level == Level::UNIQUE;
        if policy.kind != PolicyType::IPSEC || !policy.requests.iter().all(unique) {
            return None;
        }
        let (_, wanted) = requirement(policy, &Selectors::of(to)).ok()?;
        let spi = self
            .sadb
            .select(wanted.source, wanted.destination, wanted.mode, wanted.reqid)?;
        let sa = self.sadb.get(spi)?;
        sa.first?;
        let keyed = sa.keyed.as_ref()?;
        (keyed.icv != Icv::Undecided).then(|| Sender {
            out: sa.ends().outbound(spi),
            extended: sa.extended(),
            transform: keyed.transform.clone(),
            usage: sa.usage.clone(),
        })
    }

    /// Whether packets with these selectors may come in for as long as the policies stay as they are.
    pub fn admits_for_good(&self, packet: &Outbound<'_>, reqid: u32) -> bool {
        let found = self
            .spd
            .peek(pfkey::Direction::INBOUND, &Selectors::of(packet));
        found.is_none_or(|policy| {
            !policy.ends()
                && super::verdict(&policy.policy, reqid, pfkey::Mode::TRANSPORT)
                    == InboundPolicy::Allowed
        })
    }

    /// A worker says that a lifetime of an SA may be over.
    pub fn look_at(&mut self, now: Instant, spi: u32) {
        self.check_age(now, spi);
    }

    /// A worker says that the newest packet of an SA came from `seen`.
    pub fn peer_moved(&mut self, now: Instant, spi: u32, seen: SocketAddr) {
        self.tell_mapping(now, spi, seen);
    }
}

//! The security association database: every SA by its SPI, outbound SAs by destination and request
//! id, deadlines in order.
//!
//! SPIs are one name space for both directions, as in FreeBSD.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use pfkey::{Mode, SaState};

use super::sa::Sa;
use crate::table::Table;

/// Destination, and request id or none for all.
type OutboundKey = (IpAddr, Option<u32>);

/// Every SA there is.
#[derive(Default)]
pub(super) struct Sadb {
    by_spi: Table<u32, Box<Sa>>,
    /// Oldest first.
    outbound: Table<OutboundKey, Vec<u32>>,
    deadlines: BTreeSet<(Instant, u32)>,
    scheduled: Table<u32, Instant>,
    next_serial: u64,
    generation: u64,
    /// For workers; empty without any.
    changes: Option<VecDeque<Change>>,
}

/// An SA has come alive, moved, aged or gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) spi: u32,
    /// The client whose outbound SA it may be.
    pub(super) reqid: u32,
    /// The worker that received its packets.
    pub(super) worker: Option<usize>,
    pub(super) gone: bool,
}

impl Sadb {
    pub(super) fn len(&self) -> usize {
        self.by_spi.len()
    }

    pub(super) fn get(&self, spi: u32) -> Option<&Sa> {
        self.by_spi.get(&spi).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, spi: u32) -> Option<&mut Sa> {
        self.by_spi.get_mut(&spi).map(Box::as_mut)
    }

    /// A number that orders SAs by creation.
    pub(super) fn new_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    /// Adds an SA whose SPI is free.
    pub(super) fn insert(&mut self, sa: Sa) {
        self.by_spi.insert(sa.spi, Box::new(sa));
    }

    pub(super) fn remove(&mut self, spi: u32) -> Option<Box<Sa>> {
        self.unindex(spi);
        self.unschedule(spi);
        self.note(spi, true);
        let sa = self.by_spi.remove(&spi)?;
        sa.usage.set_gone();
        Some(sa)
    }

    /// Keeps a list of changes from now on.
    pub(super) fn note_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    pub(super) fn poll_change(&mut self) -> Option<Change> {
        self.changes.as_mut()?.pop_front()
    }

    /// Something about an SA has changed that workers have to know.
    pub(super) fn changed(&mut self, spi: u32) {
        self.note(spi, false);
    }

    fn note(&mut self, spi: u32, gone: bool) {
        if let (Some(changes), Some(sa)) = (&mut self.changes, self.by_spi.get(&spi)) {
            changes.push_back(Change {
                spi,
                reqid: sa.reqid,
                worker: sa.worker,
                gone,
            });
        }
    }

    /// Makes an SA that has come alive, or whose addresses have changed, findable for output.
    pub(super) fn index(&mut self, spi: u32) {
        // Told of there, too.
        self.unindex(spi);
        let Some(sa) = self.by_spi.get(&spi) else {
            return;
        };
        for key in keys(sa) {
            let list = self.outbound.entry(key).or_default();
            let by_spi = &self.by_spi;
            let place = list.partition_point(|other| {
                by_spi
                    .get(other)
                    .is_some_and(|other| other.serial < sa.serial)
            });
            list.insert(place, spi);
        }
    }

    /// To be called before an SA's destination or request id changes.
    pub(super) fn unindex(&mut self, spi: u32) {
        self.generation += 1;
        self.changed(spi);
        let Some(sa) = self.by_spi.get(&spi) else {
            return;
        };
        for key in keys(sa) {
            if let Some(list) = self.outbound.get_mut(&key) {
                list.retain(|other| *other != spi);
                if list.is_empty() {
                    self.outbound.remove(&key);
                }
            }
        }
    }

    /// Goes up whenever an SA comes alive, moves or goes.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// SAs that carry packets to this address.
    pub(super) fn towards(&self, destination: IpAddr) -> impl Iterator<Item = &Sa> {
        let list = self.outbound.get(&(destination, None));
        list.into_iter().flatten().filter_map(|spi| self.get(*spi))
    }

    /// SPIs of the SAs of one client to this address, newest first.
    pub(super) fn of_client(&self, destination: IpAddr, reqid: u32) -> Vec<u32> {
        let list = self.outbound.get(&(destination, Some(reqid)));
        list.into_iter().flatten().rev().copied().collect()
    }

    /// The SA for output: the newest mature one, else the newest dying one, so that a rekeyed SA
    /// is used at once (net.key.preferred_oldsa=0). `reqid` 0 takes any.
    pub(super) fn select(
        &self,
        source: IpAddr,
        destination: IpAddr,
        mode: Mode,
        reqid: u32,
    ) -> Option<u32> {
        let list = self
            .outbound
            .get(&(destination, (reqid != 0).then_some(reqid)))?;
        let fits = |sa: &&Sa| {
            sa.is_alive() && sa.source == source && (sa.mode == mode || sa.mode == Mode::ANY)
        };
        let newest_first = || {
            list.iter()
                .rev()
                .filter_map(|spi| self.get(*spi))
                .filter(fits)
        };
        newest_first()
            .find(|sa| sa.state == SaState::MATURE)
            .or_else(|| newest_first().next())
            .map(|sa| sa.spi)
    }

    /// Sets an SA's timer anew after something changed about it.
    pub(super) fn schedule(&mut self, spi: u32, larval_lifetime: Duration) {
        self.unschedule(spi);
        let Some(sa) = self.get(spi) else { return };
        sa.set_marks();
        if let Some(deadline) = sa.deadline(larval_lifetime) {
            self.deadlines.insert((deadline, spi));
            self.scheduled.insert(spi, deadline);
        }
    }

    fn unschedule(&mut self, spi: u32) {
        if let Some(deadline) = self.scheduled.remove(&spi) {
            self.deadlines.remove(&(deadline, spi));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes one SA whose deadline has come; its timer is off until scheduled again.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u32> {
        let (_, spi) = self
            .deadlines
            .first()
            .copied()
            .filter(|(deadline, _)| *deadline <= now)?;
        self.unschedule(spi);
        Some(spi)
    }

    /// SPIs in order of creation.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let mut order: Vec<_> = self.by_spi.values().map(|sa| (sa.serial, sa.spi)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, spi)| spi).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sa> {
        self.by_spi.values().map(Box::as_ref)
    }
}

fn keys(sa: &Sa) -> [OutboundKey; 2] {
    [(sa.destination, None), (sa.destination, Some(sa.reqid))]
}

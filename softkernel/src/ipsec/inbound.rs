//! ESP packets from outside, RFC 4303 section 3.4: one, or a batch of which those of one SA are
//! authenticated and decrypted together.
//!
//! The replay window is asked twice (section 3.4.3): before the ICV is looked at, and again when the
//! packet's turn has come, for one before it in the batch may have had the same number. It moves only
//! then, so that only what is authentic moves it.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use pfkey::Mode;

use super::counters::Drop;
use super::rows::Rows;
use super::sa::Icv;
use super::transform::{Job, Transform};
use super::{Clock, InboundEsp, Ipsec, esp, sa_requests};
use crate::buffer::Buffer;

/// An authenticated, decrypted packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Request id of the SA: which client this is.
    pub reqid: u32,
    /// SPI in host order.
    pub spi: u32,
    /// Mode of the SA.
    pub mode: Mode,
    /// Protocol number of the payload (17 = UDP; 4 or 41 = a whole IP packet).
    pub next_header: u8,
    /// Where in the packet handed in the payload lies.
    pub payload: Range<usize>,
}

/// The packets of a batch on their way through [`Ipsec::input_batch`]. Made once, used for every batch.
#[derive(Default)]
pub struct Opened {
    /// Those that are to be opened.
    rows: Rows,
    results: Vec<Result<Inbound, Drop>>,
}

impl Opened {
    /// What became of the packets, in the batch's order.
    pub fn drain(&mut self) -> impl Iterator<Item = Result<Inbound, Drop>> {
        self.results.drain(..)
    }
}

/// A packet that may be opened.
struct Admitted {
    spi: u32,
    sequence: u64,
    extended: bool,
}

impl Ipsec {
    /// Authenticates and decrypts one ESP packet (from the SPI on) in place. What the packet holds
    /// after an error is undefined.
    ///
    /// # Errors
    /// The reason to drop the packet, already counted.
    pub fn input(
        &mut self,
        now: Instant,
        wall: u64,
        from: InboundEsp,
        packet: &mut [u8],
    ) -> Result<Inbound, Drop> {
        let result = self.admit(from, packet);
        let result = result
            .and_then(|admitted| self.open_alone(Clock { now, wall }, from, &admitted, packet));
        self.counted(result)
    }

    /// The same with a batch: packet by packet, where each came from, and afterwards in `opened` what
    /// became of it. The ICVs of one SA's packets are looked at together; the results are those of
    /// [`input`](Self::input) with one after the other.
    pub fn input_batch(
        &mut self,
        now: Instant,
        wall: u64,
        from: &[InboundEsp],
        batch: &mut [Buffer],
        opened: &mut Opened,
    ) {
        let clock = Clock { now, wall };
        let Opened { rows, results } = opened;
        results.clear();
        for (place, (from, packet)) in from.iter().zip(batch.iter()).enumerate() {
            if let Ok(admitted) = self.admit(*from, packet)
                && let Some(transform) = self.known_transform(admitted.spi)
            {
                rows.push(place, transform, admitted.sequence, admitted.extended);
            }
        }
        let work = rows.work(batch, |transform, jobs| transform.open(jobs));
        let mut done = work.peekable();
        for (place, (from, packet)) in from.iter().zip(batch).enumerate() {
            let result = match done.next_if(|done| done.place == place) {
                Some(done) => {
                    let result = self.accept(clock, *from, done.sequence, done.failed, packet);
                    self.counted(result)
                }
                // What was refused at first is refused for what is true now.
                None => self.input(now, wall, *from, packet),
            };
            results.push(result);
        }
    }

    fn counted<T>(&mut self, result: Result<T, Drop>) -> Result<T, Drop> {
        if let Err(reason) = result {
            self.counters.count(reason);
        }
        result
    }

    /// Finds the SA and asks what can be asked without its keys.
    fn admit(&mut self, from: InboundEsp, packet: &[u8]) -> Result<Admitted, Drop> {
        let (spi, low) = esp::header(packet).ok_or(Drop::Short)?;
        if spi < sa_requests::FIRST_SPI {
            return Err(Drop::ReservedSpi);
        }
        let sa = self.sadb.get_mut(spi).ok_or(Drop::NoSa)?;
        if sa.destination != from.destination.ip() {
            return Err(Drop::WrongDestination);
        }
        if !sa.is_alive() {
            return Err(Drop::Larval);
        }
        if sa.nat_t.is_some() != from.encapsulated {
            return Err(Drop::Encapsulation);
        }
        let extended = sa.extended();
        let sequence = sa.window.whole(low, extended)?;
        sa.window.check(sequence)?;
        let keyed = sa.keyed.as_mut().ok_or(Drop::Larval)?;
        keyed.guess_icv(packet.len());
        keyed.transform.admit(packet.len())?;
        Ok(Admitted {
            spi,
            sequence,
            extended,
        })
    }

    /// How an SA's packets are opened, unless one of them has yet to tell how long its ICV is.
    fn known_transform(&self, spi: u32) -> Option<&Arc<Transform>> {
        let keyed = self.sadb.get(spi)?.keyed.as_ref()?;
        (keyed.icv != Icv::Undecided).then_some(&keyed.transform)
    }

    fn open_alone(
        &mut self,
        clock: Clock,
        from: InboundEsp,
        admitted: &Admitted,
        packet: &mut [u8],
    ) -> Result<Inbound, Drop> {
        let Admitted {
            spi,
            sequence,
            extended,
        } = *admitted;
        let keyed = self.sadb.get(spi).and_then(|sa| sa.keyed.as_ref());
        let mut job = Job {
            sequence,
            extended,
            packet,
            failed: None,
        };
        keyed
            .ok_or(Drop::NoSa)?
            .transform
            .open(std::slice::from_mut(&mut job));
        let failed = job.failed;
        self.accept(clock, from, sequence, failed, packet)
    }

    /// A packet whose ICV was looked at and which is decrypted, unless it has `failed`.
    fn accept(
        &mut self,
        clock: Clock,
        from: InboundEsp,
        sequence: u64,
        failed: Option<Drop>,
        packet: &[u8],
    ) -> Result<Inbound, Drop> {
        let (spi, _) = esp::header(packet).ok_or(Drop::Short)?;
        // A packet before this one may have been the last that the SA's lifetime allowed.
        let sa = self.sadb.get_mut(spi).ok_or(Drop::NoSa)?;
        sa.window.check(sequence)?;
        if let Some(reason) = failed {
            return Err(reason);
        }
        let keyed = sa.keyed.as_mut().ok_or(Drop::NoSa)?;
        // Whatever else may be wrong is said by the authentic peer, whose number is used up now.
        let newest = sa.window.commit(sequence);
        let (next_header, payload) = esp::payload(&keyed.transform, packet)?;
        let decided = keyed.confirm_icv();
        let moved = newest && sa.peer().is_some_and(|peer| peer != from.source);
        let inbound = Inbound {
            reqid: sa.reqid,
            spi,
            mode: sa.mode,
            next_header,
            payload,
        };
        let peer = sa.source;
        let used = sa.account(clock, inbound.payload.len());
        self.counters.packets_in += 1;
        self.counters.bytes_in += inbound.payload.len() as u64;
        self.after_use(clock, spi, used);
        if let Some(cut) = decided {
            self.follow_icv(peer, inbound.reqid, cut);
        }
        if moved {
            self.tell_mapping(clock.now, spi, from.source);
        }
        if next_header == esp::NO_NEXT_HEADER {
            return Err(Drop::Dummy);
        }
        if inbound.mode == Mode::TUNNEL && !matches!(next_header, 4 | 41) {
            return Err(Drop::WrongMode);
        }
        Ok(inbound)
    }

    /// SAs to a peer send with the ICV that its packets have.
    fn follow_icv(&mut self, peer: IpAddr, reqid: u32, cut: bool) {
        for spi in self.sadb.of_client(peer, reqid) {
            if let Some(keyed) = self.sadb.get_mut(spi).and_then(|sa| sa.keyed.as_mut()) {
                keyed.decide_icv(cut);
            }
        }
    }
}

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
use super::replay::Window;
use super::rows::Rows;
use super::sa::{Icv, Keyed};
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

impl Inbound {
    /// Whether it carries something, and what its SA is for.
    pub(crate) fn check(&self) -> Result<(), Drop> {
        if self.next_header == esp::NO_NEXT_HEADER {
            return Err(Drop::Dummy);
        }
        if self.mode == Mode::TUNNEL && !matches!(self.next_header, 4 | 41) {
            return Err(Drop::WrongMode);
        }
        Ok(())
    }
}

/// The packets of a batch on their way through [`Ipsec::input_batch`] or
/// [`Receivers::input_batch`](super::Receivers::input_batch).
/// Made once, used for every batch.
pub struct Opened<T = Inbound, E = Drop> {
    /// Those that are to be opened.
    rows: Rows,
    results: Vec<Result<T, E>>,
}

impl<T, E> Default for Opened<T, E> {
    fn default() -> Self {
        Self {
            rows: Rows::default(),
            results: Vec::new(),
        }
    }
}

impl<T, E> Opened<T, E> {
    /// What became of the packets, in the batch's order.
    pub fn drain(&mut self) -> impl Iterator<Item = Result<T, E>> {
        self.results.drain(..)
    }
}

/// A packet that may be opened.
pub(super) struct Admitted {
    pub(super) spi: u32,
    pub(super) sequence: u64,
    pub(super) extended: bool,
}

/// What it takes to receive an SA's packets: a part of the SADB's SA, or of a worker's.
pub(super) struct Half<'a> {
    pub(super) extended: bool,
    pub(super) transform: &'a Transform,
    pub(super) window: &'a mut Window,
}

/// What an authentic packet says.
pub(super) struct Accepted {
    pub(super) next_header: u8,
    pub(super) payload: Range<usize>,
    /// The peer has never sent a higher number.
    pub(super) newest: bool,
}

impl Half<'_> {
    /// Asks what can be asked without keys.
    pub(super) fn admit(&self, packet: &[u8]) -> Result<Admitted, Drop> {
        let (spi, low) = esp::header(packet).ok_or(Drop::Short)?;
        let sequence = self.window.whole(low, self.extended)?;
        self.window.check(sequence)?;
        self.transform.admit(packet.len())?;
        Ok(Admitted {
            spi,
            sequence,
            extended: self.extended,
        })
    }

    /// A packet whose ICV was looked at and which is decrypted, unless it has `failed`.
    pub(super) fn accept(
        &mut self,
        sequence: u64,
        failed: Option<Drop>,
        packet: &[u8],
    ) -> Result<Accepted, Drop> {
        self.window.check(sequence)?;
        if let Some(reason) = failed {
            return Err(reason);
        }
        // Whatever else may be wrong is said by the authentic peer, whose number is used up now.
        let newest = self.window.commit(sequence);
        let (next_header, payload) = esp::payload(self.transform, packet)?;
        Ok(Accepted {
            next_header,
            payload,
            newest,
        })
    }
}

impl InboundEsp {
    /// Whether it may come through an SA to this address, encapsulated or not. Its source is not looked
    /// at: NATs change it.
    pub(super) fn admit(
        &self,
        destination: IpAddr,
        encapsulated: bool,
        alive: bool,
    ) -> Result<(), Drop> {
        if destination != self.destination.ip() {
            return Err(Drop::WrongDestination);
        }
        if !alive {
            return Err(Drop::Larval);
        }
        if encapsulated != self.encapsulated {
            return Err(Drop::Encapsulation);
        }
        Ok(())
    }
}

/// Who has SAs to receive by.
pub(super) trait Receive {
    /// What becomes of a packet that is received.
    type Received;
    /// Why it is not.
    type Refused;

    /// Finds the SA and asks what can be asked without its keys.
    fn admit(&mut self, from: InboundEsp, packet: &[u8]) -> Result<Admitted, Self::Refused>;

    /// How an SA's packets are opened, unless one of them has yet to tell how long its ICV is.
    fn known_transform(&self, spi: u32) -> Option<&Arc<Transform>>;

    /// A packet whose ICV was looked at and which is decrypted, unless it has `failed`.
    fn accept(
        &mut self,
        from: InboundEsp,
        sequence: u64,
        failed: Option<Drop>,
        packet: &[u8],
    ) -> Result<Self::Received, Self::Refused>;

    /// The whole way of one packet.
    fn alone(
        &mut self,
        from: InboundEsp,
        packet: &mut [u8],
    ) -> Result<Self::Received, Self::Refused>;
}

/// Opens a batch; the results are those of one packet after the other.
pub(super) fn receive_batch<R: Receive>(
    receive: &mut R,
    from: &[InboundEsp],
    batch: &mut [Buffer],
    opened: &mut Opened<R::Received, R::Refused>,
) {
    let Opened { rows, results } = opened;
    results.clear();
    for (place, (from, packet)) in from.iter().zip(batch.iter()).enumerate() {
        if let Ok(admitted) = receive.admit(*from, packet)
            && let Some(transform) = receive.known_transform(admitted.spi)
        {
            rows.push(place, transform, admitted.sequence, admitted.extended);
        }
    }
    let work = rows.work(batch, |transform, jobs| transform.open(jobs));
    let mut done = work.peekable();
    for (place, (from, packet)) in from.iter().zip(batch).enumerate() {
        results.push(match done.next_if(|done| done.place == place) {
            Some(done) => receive.accept(*from, done.sequence, done.failed, packet),
            // What was refused at first is refused for what is true now.
            None => receive.alone(*from, packet),
        });
    }
}

/// Looks at one packet's ICV and decrypts it: what is wrong with it.
pub(super) fn open(transform: &Transform, admitted: &Admitted, packet: &mut [u8]) -> Option<Drop> {
    let mut job = Job {
        sequence: admitted.sequence,
        extended: admitted.extended,
        packet,
        failed: None,
    };
    transform.open(std::slice::from_mut(&mut job));
    job.failed
}

/// The SADB at a point in time.
struct At<'a>(&'a mut Ipsec, Clock);

impl Receive for At<'_> {
    type Received = Inbound;
    type Refused = Drop;

    fn admit(&mut self, from: InboundEsp, packet: &[u8]) -> Result<Admitted, Drop> {
        self.0.admit(from, packet)
    }

    fn known_transform(&self, spi: u32) -> Option<&Arc<Transform>> {
        let keyed = self.0.sadb.get(spi)?.keyed.as_ref()?;
        (keyed.icv != Icv::Undecided).then_some(&keyed.transform)
    }

    fn accept(
        &mut self,
        from: InboundEsp,
        sequence: u64,
        failed: Option<Drop>,
        packet: &[u8],
    ) -> Result<Inbound, Drop> {
        let result = self.0.accept(self.1, from, sequence, failed, packet);
        self.0.counted(result)
    }

    fn alone(&mut self, from: InboundEsp, packet: &mut [u8]) -> Result<Inbound, Drop> {
        let result = self.0.admit(from, packet).and_then(|admitted| {
            let keyed = self.0.sadb.get(admitted.spi);
            let keyed = keyed.and_then(|sa| sa.keyed.as_ref()).ok_or(Drop::NoSa)?;
            let failed = open(&keyed.transform, &admitted, packet);
            self.0
                .accept(self.1, from, admitted.sequence, failed, packet)
        });
        self.0.counted(result)
    }
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
        At(self, Clock { now, wall }).alone(from, packet)
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
        receive_batch(&mut At(self, Clock { now, wall }), from, batch, opened);
    }

    fn counted<T>(&mut self, result: Result<T, Drop>) -> Result<T, Drop> {
        if let Err(reason) = result {
            self.counters.count(reason);
        }
        result
    }

    fn admit(&mut self, from: InboundEsp, packet: &[u8]) -> Result<Admitted, Drop> {
        let (spi, _) = esp::header(packet).ok_or(Drop::Short)?;
        if spi < sa_requests::FIRST_SPI {
            return Err(Drop::ReservedSpi);
        }
        let sa = self.sadb.get_mut(spi).ok_or(Drop::NoSa)?;
        let alive = sa.is_alive();
        from.admit(sa.destination, sa.nat_t.is_some(), alive)?;
        // A worker has its window.
        if sa.worker.is_some() {
            return Err(Drop::NoSa);
        }
        if let Some(keyed) = &mut sa.keyed {
            keyed.guess_icv(packet.len());
        }
        sa.half().ok_or(Drop::Larval)?.admit(packet)
    }

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
        let mut half = sa.half().ok_or(Drop::NoSa)?;
        let Accepted {
            next_header,
            payload,
            newest,
        } = half.accept(sequence, failed, packet)?;
        let moved = newest && sa.peer().is_some_and(|peer| peer != from.source);
        let decided = sa.keyed.as_mut().and_then(Keyed::confirm_icv);
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
        inbound.check()?;
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

//! What it takes to receive an SA's packets, and to send them: on the control thread a part of the
//! SA, on a worker all there is of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pfkey::Mode;

use super::counters::Drop;
use super::inbound::{Accepted, Admitted, Half, Inbound, Opened, Receive, open, receive_batch};
use super::lending::News;
use super::replay::Window;
use super::seal::Unsealed;
use super::transform::Transform;
use super::usage::Usage;
use super::{InboundEsp, OutboundEsp, esp};
use crate::buffer::Buffer;
use crate::table::Table;

/// A worker tells of a peer's new place at most this often.
const MOVED_INTERVAL: Duration = Duration::from_secs(1);

/// The ends of an SA as its packets have them; ports are 0 without UDP encapsulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) encapsulated: bool,
}

impl Ends {
    /// The peer that sends in UDP.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.encapsulated.then_some(self.source)
    }

    pub(super) fn outbound(&self, spi: u32) -> OutboundEsp {
        OutboundEsp {
            source: self.source,
            destination: self.destination,
            encapsulated: self.encapsulated,
            spi,
        }
    }
}

/// An inbound SA in the hands of a worker.
pub struct Receiver {
    pub(super) spi: u32,
    pub(super) reqid: u32,
    pub(super) mode: Mode,
    pub(super) ends: Ends,
    pub(super) extended: bool,
    pub(super) transform: Arc<Transform>,
    pub(super) window: Window,
    pub(super) usage: Arc<Usage>,
    /// When the control thread was told of the peer's place.
    pub(super) told: Option<Instant>,
    /// The control thread has been told of the mark that was reached.
    pub(super) marked: bool,
}

/// A packet that a worker has received, and what of it the control thread has to know.
pub struct Received {
    /// The packet.
    pub inbound: Inbound,
    /// The peer is somewhere else than the SA says.
    pub moved: bool,
    /// A lifetime may be over.
    pub marked: bool,
}

/// Why a worker has not received a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It does not have the SA; the packet is as it was.
    Unknown,
    /// The packet is to be dropped.
    Dropped(Drop),
}

impl From<Drop> for Refused {
    fn from(reason: Drop) -> Self {
        Self::Dropped(reason)
    }
}

impl Receiver {
    fn half(&mut self) -> Half<'_> {
        Half {
            extended: self.extended,
            transform: &self.transform,
            window: &mut self.window,
        }
    }

    /// Once a second at most.
    fn tells(&mut self, now: Instant) -> bool {
        let again = self
            .told
            .is_none_or(|when| now.duration_since(when) >= MOVED_INTERVAL);
        if again {
            self.told = Some(now);
        }
        again
    }
}

/// The inbound SAs that a worker has.
#[derive(Default)]
pub struct Receivers {
    by_spi: Table<u32, Box<Receiver>>,
}

impl Receivers {
    /// One more.
    pub fn insert(&mut self, receiver: Box<Receiver>) {
        self.by_spi.insert(receiver.spi, receiver);
    }

    /// What has become of one.
    pub fn hear(&mut self, spi: u32, news: News) {
        match news {
            News::Gone => {
                self.by_spi.remove(&spi);
            }
            News::Ends(ends) => {
                if let Some(receiver) = self.by_spi.get_mut(&spi) {
                    receiver.ends = ends;
                    receiver.told = None;
                    receiver.marked = false;
                }
            }
        }
    }

    /// As [`Ipsec::input_batch`](super::Ipsec::input_batch).
    pub fn input_batch(
        &mut self,
        now: Instant,
        from: &[InboundEsp],
        batch: &mut [Buffer],
        opened: &mut Opened<Received, Refused>,
    ) {
        receive_batch(&mut At(self, now), from, batch, opened);
    }
}

/// A worker's SAs at a point in time.
struct At<'a>(&'a mut Receivers, Instant);

impl Receive for At<'_> {
    type Received = Received;
    type Refused = Refused;

    fn admit(&mut self, from: InboundEsp, packet: &[u8]) -> Result<Admitted, Refused> {
        let (spi, _) = esp::header(packet).ok_or(Drop::Short)?;
        let receiver = self.0.by_spi.get_mut(&spi).ok_or(Refused::Unknown)?;
        if receiver.usage.is_over() {
            return Err(Drop::NoSa.into());
        }
        let ends = &receiver.ends;
        from.admit(ends.destination.ip(), ends.encapsulated, true)?;
        Ok(receiver.half().admit(packet)?)
    }

    fn known_transform(&self, spi: u32) -> Option<&Arc<Transform>> {
        self.0.by_spi.get(&spi).map(|receiver| &receiver.transform)
    }

    fn accept(
        &mut self,
        from: InboundEsp,
        sequence: u64,
        failed: Option<Drop>,
        packet: &[u8],
    ) -> Result<Received, Refused> {
        let (spi, _) = esp::header(packet).ok_or(Drop::Short)?;
        let receiver = self.0.by_spi.get_mut(&spi).ok_or(Drop::NoSa)?;
        // A packet before this one may have been the last that the SA's lifetime allowed.
        if receiver.usage.is_over() {
            return Err(Drop::NoSa.into());
        }
        let Accepted {
            next_header,
            payload,
            newest,
        } = receiver.half().accept(sequence, failed, packet)?;
        let elsewhere = receiver.ends.peer().is_some_and(|peer| peer != from.source);
        receiver.usage.count(payload.len());
        let inbound = Inbound {
            reqid: receiver.reqid,
            spi,
            mode: receiver.mode,
            next_header,
            payload,
        };
        Ok(Received {
            inbound,
            moved: newest && elsewhere && receiver.tells(self.1),
            marked: receiver.usage.is_marked() && !std::mem::replace(&mut receiver.marked, true),
        })
    }

    fn alone(&mut self, from: InboundEsp, packet: &mut [u8]) -> Result<Received, Refused> {
        let admitted = self.admit(from, packet)?;
        let transform = self.known_transform(admitted.spi).ok_or(Refused::Unknown)?;
        let failed = open(transform, &admitted, packet);
        self.accept(from, admitted.sequence, failed, packet)
    }
}

/// An outbound SA, which any worker may use: its numbers are given out one by one.
#[derive(Clone)]
pub struct Sender {
    pub(super) out: OutboundEsp,
    pub(super) extended: bool,
    pub(super) transform: Arc<Transform>,
    pub(super) usage: Arc<Usage>,
}

impl Sender {
    /// Where its packets go.
    pub fn out(&self) -> OutboundEsp {
        self.out
    }

    /// Frames a packet, which [`seal`](super::seal) encrypts; `true` when a lifetime may be over.
    ///
    /// # Errors
    /// The reason to drop it.
    pub fn frame(
        &self,
        next_header: u8,
        packet: (usize, &mut Buffer),
        unsealed: &mut Unsealed,
    ) -> Result<bool, Drop> {
        if self.usage.is_over() {
            return Err(Drop::NoOutboundSa);
        }
        let bytes = packet.1.len();
        frame(self.parts(), next_header, packet, unsealed)?;
        self.usage.count(bytes);
        Ok(self.usage.is_marked())
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            spi: self.out.spi,
            extended: self.extended,
            transform: &self.transform,
            usage: &self.usage,
        }
    }
}

/// What framing needs to know of an SA.
pub(super) struct Parts<'a> {
    pub(super) spi: u32,
    pub(super) extended: bool,
    pub(super) transform: &'a Arc<Transform>,
    pub(super) usage: &'a Usage,
}

/// Gives a packet the SA's next number and puts ESP around it.
pub(super) fn frame(
    sa: Parts<'_>,
    next_header: u8,
    (place, packet): (usize, &mut Buffer),
    unsealed: &mut Unsealed,
) -> Result<(), Drop> {
    let last = match sa.extended {
        true => u64::MAX,
        false => u64::from(u32::MAX),
    };
    let sequence = sa.usage.take_sequence(last).ok_or(Drop::SequenceOverflow)?;
    esp::frame(sa.transform, sa.spi, sequence, next_header, packet)?;
    unsealed.0.push(place, sa.transform, sequence, sa.extended);
    Ok(())
}

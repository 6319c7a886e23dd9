//! The way of plain data through a session's nodes in one step, worked out once so that a worker can
//! go it without them. Whatever is not plain data goes the way of the nodes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use netgraph::node::ppp::{LinkConfig, PROTOCOL_IPV6};

use super::iface::{self, Gate};
use super::l2tp::header::{DataHeader, Header};
use super::ppp::{self, PROTOCOL_IP};
use super::{Drop, tcpmss};
use crate::buffer::Buffer;

/// A session as its data packets name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Request id of the SAs: the client.
    pub reqid: u32,
    /// Our tunnel id.
    pub tunnel: u16,
    /// Our session id.
    pub session: u16,
}

/// The nodes of a session, as one worker sees them.
#[derive(Debug)]
pub struct Shortcut {
    /// Our end of the UDP flow.
    pub local: SocketAddr,
    /// The client's.
    pub peer: SocketAddr,
    pub(super) link: LinkConfig,
    pub(super) header: DataHeader,
    pub(super) inet: Option<Leg>,
    pub(super) inet6: Option<Leg>,
    pub(super) gate: Gate,
    /// Somebody wants the peer's router solicitations.
    pub(super) solicitations: bool,
    pub(super) counts: Counts,
    stale: AtomicBool,
}

/// One version of IP between PPP and the interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Leg {
    /// Largest segments of TCP in either direction, 0 for any.
    pub(super) mss_in: u16,
    pub(super) mss_out: u16,
}

/// What passed; one worker writes, the control thread reads.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; COUNTERS]);

const COUNTERS: usize = 7;

/// The same at a point in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) receive_packets: u64,
    /// Octets of IP, of PPP, of L2TP; of what has the wrong source not those of IP.
    pub(super) receive_ip: u64,
    pub(super) receive_ppp: u64,
    pub(super) receive_l2tp: u64,
    pub(super) wrong_source: u64,
    pub(super) transmit_packets: u64,
    pub(super) transmit_ip: u64,
}

impl Counts {
    fn add(&self, passed: Passed) {
        for (counter, more) in self.0.iter().zip(passed.numbers()) {
            if more != 0 {
                // Nobody else writes, so this need not be one step.
                counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn passed(&self) -> Passed {
        Passed::of(
            self.0
                .each_ref()
                .map(|counter| counter.load(Ordering::Relaxed)),
        )
    }
}

impl Passed {
    fn numbers(&self) -> [u64; COUNTERS] {
        [
            self.receive_packets,
            self.receive_ip,
            self.receive_ppp,
            self.receive_l2tp,
            self.wrong_source,
            self.transmit_packets,
            self.transmit_ip,
        ]
    }

    fn of(numbers: [u64; COUNTERS]) -> Self {
        let [
            receive_packets,
            receive_ip,
            receive_ppp,
            receive_l2tp,
            wrong_source,
            transmit_packets,
            transmit_ip,
        ] = numbers;
        Self {
            receive_packets,
            receive_ip,
            receive_ppp,
            receive_l2tp,
            wrong_source,
            transmit_packets,
            transmit_ip,
        }
    }

    /// What has come since.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut numbers = self.numbers();
        for (number, before) in numbers.iter_mut().zip(before.numbers()) {
            *number = number.wrapping_sub(before);
        }
        Self::of(numbers)
    }
}

/// Where a packet from the peer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inward {
    /// To the TUN device: the buffer holds the IP packet.
    Tun,
    /// Through the nodes: the packet is as it was.
    Nodes,
    /// Nowhere.
    Dropped(Drop),
}

/// Whether an L2TP packet carries IP without sequence numbers.
pub(super) fn is_data(header: &Header, packet: &[u8]) -> bool {
    let frame = packet.get(header.start..header.end).unwrap_or_default();
    let protocol = ppp::frame_protocol(frame).map(|(protocol, _)| protocol);
    header.sequence.is_none() && matches!(protocol, Some(PROTOCOL_IP | PROTOCOL_IPV6))
}

impl Shortcut {
    pub(super) fn new(
        ends: (SocketAddr, SocketAddr),
        link: LinkConfig,
        header: DataHeader,
        legs: (Option<Leg>, Option<Leg>),
        (gate, solicitations): (Gate, bool),
    ) -> Self {
        Self {
            local: ends.0,
            peer: ends.1,
            link,
            header,
            inet: legs.0,
            inet6: legs.1,
            gate,
            solicitations,
            counts: Counts::default(),
            stale: AtomicBool::new(false),
        }
    }

    /// Whether the nodes are not what they were.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    pub(super) fn set_stale(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// An L2TP packet from the peer, whose header has been read.
    pub fn inward(&self, header: &Header, packet: &mut Buffer) -> Inward {
        if header.control || header.sequence.is_some() {
            return Inward::Nodes;
        }
        let frame = packet.get(header.start..header.end).unwrap_or_default();
        let Some((protocol, size)) = ppp::frame_protocol(frame) else {
            return Inward::Nodes;
        };
        let (leg, role) = match protocol {
            PROTOCOL_IP => (self.inet, iface::Role::Inet),
            PROTOCOL_IPV6 => (self.inet6, iface::Role::Inet6),
            _ => return Inward::Nodes,
        };
        let ip = frame.get(size..).unwrap_or_default();
        let (Some(leg), false) = (leg, self.solicitations && iface::solicits(ip)) else {
            return Inward::Nodes;
        };
        let mut passed = Passed {
            receive_packets: 1,
            receive_ip: ip.len() as u64,
            receive_ppp: frame.len() as u64,
            receive_l2tp: packet.len() as u64,
            ..Passed::default()
        };
        if let Err(reason) = self.gate.admit(role, ip) {
            // Every other reason is rare enough for the nodes.
            if reason != Drop::WrongSource {
                return Inward::Nodes;
            }
            (passed.wrong_source, passed.receive_ip) = (1, 0);
            self.counts.add(passed);
            return Inward::Dropped(reason);
        }
        self.counts.add(passed);
        packet.truncate(header.end);
        if !packet.trim_front(header.start + size) {
            return Inward::Dropped(Drop::Malformed);
        }
        if leg.mss_in != 0 {
            tcpmss::clamp(packet, leg.mss_in);
        }
        Inward::Tun
    }

    /// Makes a UDP payload of an IP packet for the peer.
    ///
    /// # Errors
    /// Why it is dropped.
    pub fn outward(&self, packet: &mut Buffer) -> Result<(), Drop> {
        let (leg, protocol) = match iface::version_of(packet) {
            Some(iface::Role::Inet) => (self.inet, PROTOCOL_IP),
            Some(iface::Role::Inet6) => (self.inet6, PROTOCOL_IPV6),
            _ => return Err(Drop::Malformed),
        };
        let leg = leg.ok_or(Drop::NotConnected)?;
        self.gate.check_length(packet)?;
        self.counts.add(Passed {
            transmit_packets: 1,
            transmit_ip: packet.len() as u64,
            ..Passed::default()
        });
        if leg.mss_out != 0 {
            tcpmss::clamp(packet, leg.mss_out);
        }
        ppp::push_header(&self.link, protocol, packet).ok_or(Drop::NoRoom)?;
        let payload = packet.len();
        let room = packet.prepend(self.header.size()).ok_or(Drop::NoRoom)?;
        self.header.emit(payload, room);
        Ok(())
    }

    /// Octets that PPP and L2TP put in front of each packet.
    pub(super) fn overhead(&self) -> (u64, u64) {
        let ppp = ppp::header_size(&self.link, PROTOCOL_IP);
        (ppp as u64, self.header.size() as u64)
    }
}

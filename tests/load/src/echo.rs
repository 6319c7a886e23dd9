//! ICMP echo requests as load (RFC 792), and their replies.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use softkernel::offload::checksum::Sum;

const IP: usize = 20;
const ICMP: usize = 8;
/// Octets of the shortest packet.
pub(crate) const LEAST: u64 = (IP + ICMP) as u64;
const REPLY: u8 = 0;
const REQUEST: u8 = 8;
/// Requests that wait for a reply; the oldest are given up.
const WAITING: usize = 256;

/// One client's.
pub(crate) struct Echo {
    from: Ipv4Addr,
    to: Ipv4Addr,
    next: u16,
    waiting: VecDeque<(u16, Instant)>,
}

impl Echo {
    pub(crate) fn new(from: Ipv4Addr, to: Ipv4Addr) -> Self {
        Self {
            from,
            to,
            next: 0,
            waiting: VecDeque::new(),
        }
    }

    /// An IP packet of `size` octets.
    pub(crate) fn request(&mut self, now: Instant, size: usize) -> Vec<u8> {
        let size = size.max(IP + ICMP);
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.waiting.push_back((number, now));
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
        let length = u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes();
        let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, 1, 0, 0];
        packet.extend(self.from.octets());
        packet.extend(self.to.octets());
        packet.extend([REQUEST, 0, 0, 0, 0, 1]);
        packet.extend(number.to_be_bytes());
        packet.resize(size, 0xa5);
        for (at, range) in [(10, 0..IP), (IP + 2, IP..size)] {
            let sum = packet
                .get(range)
                .map_or(0, |part| Sum::default().with(part).checksum());
            if let Some(room) = packet.get_mut(at..at + 2) {
                room.copy_from_slice(&sum.to_be_bytes());
            }
        }
        packet
    }

    /// How long the reply in this IP packet took; none when it is not one.
    pub(crate) fn take(&mut self, now: Instant, packet: &[u8]) -> Option<Duration> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        let icmp = packet.get(header..)?;
        let (&[REPLY, 0, _, _, _, _, high, low], _) = icmp.split_first_chunk::<ICMP>()? else {
            return None;
        };
        let number = u16::from_be_bytes([high, low]);
        let place = self.waiting.iter().position(|(own, _)| *own == number)?;
        let (_, sent) = self.waiting.remove(place)?;
        Some(now - sent)
    }
}

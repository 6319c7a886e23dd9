//! One long packet into many, as a card with TCP segmentation offload does; and checksums that the
//! system left to be completed.

use super::Malformed;
use super::checksum::Sum;
use super::ip::{self, PROTOCOL_TCP, PROTOCOL_UDP};
use super::virtio::{Gso, VirtioHeader};
use crate::buffer::Buffer;

/// The pieces of a packet, one after the other.
#[derive(Debug)]
pub struct Segments<'a> {
    packet: &'a [u8],
    kind: Kind,
    /// Of the payload, what has not been handed out yet begins here.
    next: usize,
    index: u32,
    done: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// As it is; offsets of the transport header and of the checksum field in the packet.
    Whole(Option<(usize, usize)>),
    Cut {
        protocol: u8,
        /// Bytes of the IP header, and of both.
        ip: usize,
        headers: usize,
        size: usize,
    },
}

impl<'a> Segments<'a> {
    /// Checks that the header fits the packet.
    ///
    /// # Errors
    /// It does not, or asks for something that was not offered.
    pub fn new(header: VirtioHeader, packet: &'a [u8]) -> Result<Self, Malformed> {
        let missing = header.checksum.map(|(start, offset)| {
            let start = usize::from(start);
            (start, start + usize::from(offset))
        });
        if missing.is_some_and(|(_, field)| field + 2 > packet.len()) {
            return Err(Malformed);
        }
        let kind = match header.gso {
            Gso::None => Kind::Whole(missing),
            Gso::Tcp4 | Gso::Tcp6 | Gso::Udp => {
                let (ip, _) = missing.ok_or(Malformed)?;
                let transport = packet.get(ip..).ok_or(Malformed)?;
                let v6 = packet.first().ok_or(Malformed)? >> 4 == 6;
                let shortest = if v6 { ip::IPV6_HEADER } else { ip::IPV4_HEADER };
                let (protocol, length) = match header.gso {
                    Gso::Udp => (PROTOCOL_UDP, ip::UDP_HEADER),
                    _ => (PROTOCOL_TCP, ip::tcp_header(transport).ok_or(Malformed)?),
                };
                let size = usize::from(header.segment_size);
                if ip < shortest || size == 0 || transport.len() <= length {
                    return Err(Malformed);
                }
                Kind::Cut {
                    protocol,
                    ip,
                    headers: ip + length,
                    size,
                }
            }
            Gso::Unknown(_) => return Err(Malformed),
        };
        let next = match kind {
            Kind::Cut { headers, .. } => headers,
            Kind::Whole(_) => 0,
        };
        Ok(Self {
            packet,
            kind,
            next,
            index: 0,
            done: false,
        })
    }

    /// Makes the next piece the contents of `out`; false when there are no more.
    ///
    /// # Errors
    /// It does not fit, and neither do the others.
    pub fn next_into(&mut self, out: &mut Buffer) -> Result<bool, Malformed> {
        if self.done {
            return Ok(false);
        }
        match self.kind {
            Kind::Whole(missing) => {
                self.done = true;
                if !out.fill(self.packet) {
                    return Err(Malformed);
                }
                if let Some((start, field)) = missing {
                    let sum = Sum::default().with(out.get(start..).ok_or(Malformed)?);
                    // Only UDP has a zero that means something, and the other one is right for all.
                    ip::put(out, field, &sum.udp_checksum().to_be_bytes())?;
                }
            }
            Kind::Cut {
                protocol,
                ip,
                headers,
                size,
            } => {
                let end = (self.next + size).min(self.packet.len());
                let last = end == self.packet.len();
                self.cut(protocol, ip, headers, end, out)?;
                self.index += 1;
                self.next = end;
                self.done = last;
            }
        }
        Ok(true)
    }

    fn cut(
        &self,
        protocol: u8,
        ip: usize,
        headers: usize,
        end: usize,
        out: &mut Buffer,
    ) -> Result<(), Malformed> {
        let payload = self.packet.get(self.next..end).ok_or(Malformed)?;
        let total = headers + payload.len();
        out.reset();
        let room = out.append(total).ok_or(Malformed)?;
        let (front, back) = room.split_at_mut(headers);
        front.copy_from_slice(self.packet.get(..headers).ok_or(Malformed)?);
        back.copy_from_slice(payload);
        if front.first().ok_or(Malformed)? >> 4 == 4 {
            // RFC 6864: every fragmentable packet has an identification of its own.
            let id = ip::u16_at(front, 4)
                .ok_or(Malformed)?
                .wrapping_add(self.index as u16);
            ip::put(front, 4, &id.to_be_bytes())?;
        }
        ip::set_length(front, ip, total)?;
        let (from, to) = ip::addresses(front).ok_or(Malformed)?;
        let transport = front.get_mut(ip..).ok_or(Malformed)?;
        let length = total - ip;
        let field = if protocol == PROTOCOL_TCP {
            let sequence = ip::u32_at(transport, ip::TCP_SEQUENCE).ok_or(Malformed)?;
            let before = self.next - headers;
            let sequence = sequence.wrapping_add(before as u32);
            ip::put(transport, ip::TCP_SEQUENCE, &sequence.to_be_bytes())?;
            let flags = transport.get_mut(ip::TCP_FLAGS).ok_or(Malformed)?;
            if end != self.packet.len() {
                *flags &= !(ip::FLAG_FIN | ip::FLAG_PSH);
            }
            if self.index > 0 {
                // RFC 3168 section 6.1.2: said once.
                *flags &= !ip::FLAG_CWR;
            }
            ip::TCP_CHECKSUM
        } else {
            let length = u16::try_from(length).map_err(|_| Malformed)?;
            ip::put(transport, ip::UDP_LENGTH, &length.to_be_bytes())?;
            ip::UDP_CHECKSUM
        };
        ip::put(transport, field, &[0, 0])?;
        let sum =
            Sum::pseudo_header(from, to, protocol, length).with(room.get(ip..).ok_or(Malformed)?);
        ip::put(room, ip + field, &sum.udp_checksum().to_be_bytes())
    }
}

//! Many packets by one system call: recvmmsg(2), and on UDP sockets the offloads `UDP_GRO` and
//! `UDP_SEGMENT` (udp(7)), by which a row of equal datagrams crosses the system's network stack as
//! one.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr};

use socket2::SockAddr;

use super::super::arrivals::{Arrivals, MESSAGES, Message, ROOM};
use super::super::outer::{
    CONTROL_SIZE, Control, OuterSocket, address_of, destination_of, set_source, zeroed_storage,
};

/// `UDP_MAX_SEGMENTS` of older systems.
const MAX_SEGMENTS: usize = 64;
/// What a row may be in all: the longest IP packet less its headers.
const MAX_ROW: usize = 65_000;

impl OuterSocket {
    /// Reads what is there, at most a batch; whether there may be more.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; errors that ICMP reported for earlier packets.
    pub fn receive_batch(&self, arrivals: &mut Arrivals) -> io::Result<bool> {
        arrivals.messages.clear();
        let mut names = [zeroed_storage(); MESSAGES];
        let mut controls = [const { Control([0; CONTROL_SIZE]) }; MESSAGES];
        // SAFETY: all-zero structures of pointers and integers: null pointers with length 0.
        let mut parts: [libc::iovec; MESSAGES] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; MESSAGES] = unsafe { zeroed() };
        for ((((header, part), name), control), room) in headers
            .iter_mut()
            .zip(&mut parts)
            .zip(&mut names)
            .zip(&mut controls)
            .zip(arrivals.storage.chunks_exact_mut(ROOM))
        {
            part.iov_base = room.as_mut_ptr().cast();
            part.iov_len = room.len();
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = (&raw mut *control).cast();
            header.msg_hdr.msg_controllen = CONTROL_SIZE as _;
        }
        // SAFETY: every pointer in every header leads to a live object of the length given with it.
        let count = unsafe {
            libc::recvmmsg(
                self.descriptor(),
                headers.as_mut_ptr(),
                MESSAGES as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return Err(io::Error::last_os_error());
        };
        for (index, (header, name)) in headers.iter().zip(&names).take(count).enumerate() {
            // SAFETY: the header still leads to its control buffer, filled up to `msg_controllen`.
            let (destination, segment) =
                unsafe { (destination_of(&header.msg_hdr), segment_of(&header.msg_hdr)) };
            let (Some(source), Some(destination)) = (address_of(name), destination) else {
                continue;
            };
            let start = index * ROOM;
            let length = header.msg_len as usize;
            let mut range = start..start + length;
            if self.is_raw() && source.is_ipv4() {
                // Raw sockets of IPv4 deliver the IP header too.
                let first = arrivals.storage.get(start).copied().unwrap_or_default();
                range.start += usize::from(first & 0xf) * 4;
                if range.start > range.end {
                    continue;
                }
            }
            arrivals.messages.push(Message {
                addresses: self.addresses(source, destination),
                segment: segment.unwrap_or(range.len()),
                range,
            });
        }
        Ok(count == MESSAGES)
    }

    /// Sends packets from an address of ours to one peer; the first error, and how many were not
    /// sent.
    ///
    /// # Errors
    /// `WouldBlock` when the queue is full; no route; not our address.
    pub fn send_batch(
        &self,
        source: IpAddr,
        destination: SocketAddr,
        packets: &[IoSlice<'_>],
    ) -> Result<(), (usize, io::Error)> {
        let mut rest = packets;
        let mut refused = None;
        while let Some(first) = rest.first() {
            let row = self.row_length(first.len(), rest);
            let sent = match row {
                1 => self
                    .send_several(source, destination, self.until_a_row(rest))
                    .unwrap_or(0),
                _ => match self.send_row(source, destination, first.len(), rest.get(..row)) {
                    Ok(()) => row,
                    // A path that is too narrow for them, or a system without the offload.
                    Err(_) => 0,
                },
            };
            if sent > 0 {
                rest = rest.get(sent..).unwrap_or_default();
                continue;
            }
            let (now, later) = rest.split_at(row);
            for packet in now {
                if let Err(error) = self.send(source, destination, packet) {
                    refused.get_or_insert((0, error)).0 += 1;
                }
            }
            rest = later;
        }
        refused.map_or(Ok(()), Err)
    }

    /// The packets before the next row.
    fn until_a_row<'a, 'b>(&self, packets: &'a [IoSlice<'b>]) -> &'a [IoSlice<'b>] {
        let alone = |from: usize| {
            let rest = packets.get(from..).unwrap_or_default();
            rest.first()
                .is_some_and(|first| self.row_length(first.len(), rest) == 1)
        };
        let count = (0..packets.len()).take_while(|from| alone(*from)).count();
        packets.get(..count).unwrap_or_default()
    }

    /// Several packets that make no row, as many datagrams or packets of ESP; how many were taken.
    fn send_several(
        &self,
        source: IpAddr,
        destination: SocketAddr,
        packets: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        // Raw sockets of IPv6 refuse an address with a port.
        let port = if self.is_raw() { 0 } else { destination.port() };
        let destination = SocketAddr::new(destination.ip(), port);
        let name = SockAddr::from(destination);
        match self.peer() {
            Some(peer) if peer != destination => {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            _ => {}
        }
        let mut control = Control([0; CONTROL_SIZE]);
        // SAFETY: an all-zero `mmsghdr` is valid: null pointers with length 0.
        let mut one: libc::mmsghdr = unsafe { zeroed() };
        if self.peer().is_none() {
            one.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            one.msg_hdr.msg_namelen = name.len();
        }
        if self.local().ip().is_unspecified() && !source.is_unspecified() {
            one.msg_hdr.msg_control = (&raw mut control).cast();
            one.msg_hdr.msg_controllen = CONTROL_SIZE as _;
            // SAFETY: the header leads to `control`, which is aligned and has room.
            unsafe { set_source(&mut one.msg_hdr, source) };
        }
        let mut headers = [one; MAX_SEGMENTS];
        let mut used = 0;
        for (header, packet) in headers.iter_mut().zip(packets) {
            // `IoSlice` has the layout of `iovec`, which its documentation promises.
            header.msg_hdr.msg_iov = std::ptr::from_ref(packet).cast_mut().cast();
            header.msg_hdr.msg_iovlen = 1;
            used += 1;
        }
        // SAFETY: every pointer in the first `used` headers leads to a live object of the length
        // given with it; sendmmsg writes to the headers only.
        let sent = unsafe {
            libc::sendmmsg(
                self.descriptor(),
                headers.as_mut_ptr(),
                used,
                libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// How many packets from the first on may go as one row: all as long as it, the last may be
    /// shorter.
    fn row_length(&self, segment: usize, packets: &[IoSlice<'_>]) -> usize {
        if self.is_raw() || segment == 0 {
            return 1;
        }
        let most = (MAX_ROW / segment).clamp(1, MAX_SEGMENTS);
        let packets = packets.get(..most).unwrap_or(packets);
        let equal = packets.iter().take_while(|packet| packet.len() == segment);
        let equal = equal.count();
        let shorter = |packet: &IoSlice<'_>| !packet.is_empty() && packet.len() < segment;
        equal + usize::from(packets.get(equal).is_some_and(shorter))
    }

    fn send_row(
        &self,
        source: IpAddr,
        destination: SocketAddr,
        segment: usize,
        packets: Option<&[IoSlice<'_>]>,
    ) -> io::Result<()> {
        let packets = packets.unwrap_or_default();
        let segment = u16::try_from(segment).map_err(io::Error::other)?;
        let name = SockAddr::from(destination);
        let mut control = Control([0; CONTROL_SIZE]);
        // SAFETY: an all-zero `msghdr` is valid: null pointers with length 0.
        let mut header: libc::msghdr = unsafe { zeroed() };
        if self.peer().is_none() {
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
        } else if self.peer() != Some(destination) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        // `IoSlice` has the layout of `iovec`, which its documentation promises.
        header.msg_iov = packets.as_ptr().cast_mut().cast();
        header.msg_iovlen = packets.len();
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = CONTROL_SIZE as _;
        let mut used = 0;
        if self.local().ip().is_unspecified() && !source.is_unspecified() {
            // SAFETY: the header leads to `control`, which is aligned and has room.
            unsafe { set_source(&mut header, source) };
            used = header.msg_controllen;
        }
        // SAFETY: `control` is aligned and has room for both items; the second begins where the
        // first, padded, ends.
        unsafe {
            let item = (&raw mut control)
                .cast::<u8>()
                .add(used)
                .cast::<libc::cmsghdr>();
            (*item).cmsg_level = libc::SOL_UDP;
            (*item).cmsg_type = libc::UDP_SEGMENT;
            (*item).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
            libc::CMSG_DATA(item).cast::<u16>().write_unaligned(segment);
            header.msg_controllen = used + libc::CMSG_SPACE(size_of::<u16>() as u32) as usize;
        }
        // SAFETY: every pointer in the header leads to a live object of the length given with it;
        // sendmsg does not write through any of them.
        let result =
            unsafe { libc::sendmsg(self.descriptor(), &raw const header, libc::MSG_NOSIGNAL) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// The length of the datagrams of a row.
///
/// # Safety
/// `header` must come from a successful `recvmmsg` and its control buffer must be alive.
unsafe fn segment_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the macros stay within the control buffer (caller's promise); the integer is read
    // unaligned, and only when the item's type says that it is one.
    unsafe {
        let mut item = libc::CMSG_FIRSTHDR(header);
        while !item.is_null() {
            if (*item).cmsg_level == libc::SOL_UDP && (*item).cmsg_type == libc::UDP_GRO {
                let length = libc::CMSG_DATA(item).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(length).ok().filter(|length| *length != 0);
            }
            item = libc::CMSG_NXTHDR(header, item);
        }
        None
    }
}

//! Many packets at once, by as many system calls: recvmmsg(3) and sendmmsg(3) of FreeBSD are loops
//! over single ones too.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr};

use super::super::arrivals::{Arrivals, MESSAGES, Message, ROOM};
use super::super::outer::{
    CONTROL_SIZE, Control, OuterSocket, address_of, destination_of, zeroed_storage,
};

impl OuterSocket {
    /// Reads what is there, at most a batch; whether there may be more.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; errors that ICMP reported for earlier packets.
    pub fn receive_batch(&self, arrivals: &mut Arrivals) -> io::Result<bool> {
        arrivals.messages.clear();
        let rooms = arrivals.storage.chunks_exact_mut(ROOM);
        for (index, room) in rooms.take(MESSAGES).enumerate() {
            match self.receive_one(room, index * ROOM) {
                Ok(Some(message)) => arrivals.messages.push(message),
                Ok(None) => {}
                Err(error) if arrivals.messages.is_empty() => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// One packet, from the ESP header or the UDP payload on; `None` when the system does not say
    /// where it came from.
    fn receive_one(&self, room: &mut [u8], start: usize) -> io::Result<Option<Message>> {
        let mut name = zeroed_storage();
        let mut control = Control([0; CONTROL_SIZE]);
        let mut part = libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        };
        // SAFETY: an all-zero `msghdr` is valid: null pointers with length 0.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = CONTROL_SIZE as _;
        // SAFETY: every pointer in the header leads to a live object of the length given with it.
        let length = unsafe { libc::recvmsg(self.descriptor(), &raw mut header, 0) };
        let Ok(length) = usize::try_from(length) else {
            return Err(io::Error::last_os_error());
        };
        // SAFETY: the header still leads to `control`, which the system has filled up to
        // `msg_controllen`.
        let destination = unsafe { destination_of(&header) };
        let (Some(source), Some(destination)) = (address_of(&name), destination) else {
            return Ok(None);
        };
        let ip_header = match self.is_raw() && source.is_ipv4() {
            // Raw sockets of IPv4 deliver the IP header too.
            true => room.first().map_or(0, |first| usize::from(first & 0xf) * 4),
            false => 0,
        };
        Ok((ip_header <= length).then(|| Message {
            addresses: self.addresses(source, destination),
            range: start + ip_header..start + length,
            segment: length - ip_header,
        }))
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
        let mut refused = None;
        for packet in packets {
            if let Err(error) = self.send(source, destination, packet) {
                refused.get_or_insert((0, error)).0 += 1;
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

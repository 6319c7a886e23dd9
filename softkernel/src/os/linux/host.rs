//! Addresses, MTU and routes of the device: rtnetlink(7), `<linux/rtnetlink.h>`.
//!
//! Requests are synchronous: the kernel answers each in the same system call.

use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::Path;

use netgraph::node::soft_iface::Network;
use socket2::{Domain, Protocol, Socket, Type};

use crate::graph::HostChange;

const HEADER: usize = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTAX_LOCK: u16 = 1;
const RTAX_MTU: u16 = 2;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;

/// One device's settings.
#[derive(Debug)]
pub struct Host {
    device: String,
    socket: Socket,
    index: u32,
    sequence: u32,
}

impl Host {
    /// For the device with this name.
    ///
    /// # Errors
    /// No such device, or no netlink.
    pub fn open(device: &str) -> io::Result<Self> {
        let index = nix::net::if_::if_nametoindex(device)?;
        let protocol = Protocol::from(libc::NETLINK_ROUTE);
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(protocol))?;
        Ok(Self {
            device: device.to_owned(),
            socket,
            index,
            sequence: 0,
        })
    }

    /// Sets the MTU and brings the device up. It has no IPv6 address but those it is given, and
    /// those made of router advertisements once they are accepted: these end in the identifier of
    /// the link-local address given.
    ///
    /// # Errors
    /// Refused by the kernel.
    pub fn up(&mut self, mtu: u32) -> io::Result<()> {
        // Routes are set by messages, so no default router is taken.
        // Without IPv6 there is nothing to set, and a container may not set it: then no client's
        // advertisement comes this far either way.
        let without = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::PermissionDenied
            )
        };
        for (name, value) in [
            ("addr_gen_mode", "1"),
            ("accept_ra", "0"),
            ("accept_ra_defrtr", "0"),
        ] {
            self.set(name, value)
                .or_else(|error| without(&error).then_some(()).ok_or(error))?;
        }
        let up = (libc::IFF_UP as u32).to_ne_bytes();
        let mut body = vec![libc::AF_UNSPEC as u8, 0, 0, 0];
        body.extend_from_slice(&self.index.to_ne_bytes());
        body.extend_from_slice(&up);
        body.extend_from_slice(&up);
        attribute(&mut body, IFLA_MTU, &mtu.to_ne_bytes());
        self.request(RTM_NEWLINK, 0, &body)
    }

    /// Makes one change.
    ///
    /// # Errors
    /// Refused by the kernel.
    pub fn apply(&mut self, change: &HostChange) -> io::Result<()> {
        match *change {
            HostChange::AddAddress(address) => {
                self.address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address)
            }
            HostChange::RemoveAddress(address) => self.address(RTM_DELADDR, 0, address),
            HostChange::SetRoute {
                network,
                source,
                mtu,
            } => {
                let mut metrics = Vec::new();
                // Locked: also packets on their way through this host obey it.
                attribute(&mut metrics, RTAX_LOCK, &(1u32 << RTAX_MTU).to_ne_bytes());
                attribute(&mut metrics, RTAX_MTU, &mtu.to_ne_bytes());
                let mut body = self.route(&network);
                if let Some(source) = source {
                    attribute(&mut body, RTA_PREFSRC, &octets(source));
                }
                attribute(&mut body, RTA_METRICS, &metrics);
                self.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body)
            }
            HostChange::RemoveRoute(network) => {
                let body = self.route(&network);
                self.request(RTM_DELROUTE, 0, &body)
            }
            HostChange::AcceptAdvertisements(on) => {
                // 2: also on a host that forwards.
                self.set("accept_ra", if on { "2" } else { "0" })
            }
        }
    }

    /// Sets a variable of the device's (ip-sysctl of the kernel's documentation).
    fn set(&self, name: &str, value: &str) -> io::Result<()> {
        let folder = Path::new("/proc/sys/net/ipv6/conf").join(&self.device);
        fs::write(folder.join(name), value)
    }

    fn address(&mut self, kind: u16, flags: u16, address: IpAddr) -> io::Result<()> {
        let octets = octets(address);
        let bits = u8::try_from(octets.len() * 8).unwrap_or(0);
        let mut body = vec![family(address), bits, IFA_F_NODAD, 0];
        body.extend_from_slice(&self.index.to_ne_bytes());
        attribute(&mut body, IFA_LOCAL, &octets);
        attribute(&mut body, IFA_ADDRESS, &octets);
        self.request(kind, flags, &body)
    }

    fn route(&self, network: &Network) -> Vec<u8> {
        let scope = if network.address.is_ipv4() {
            RT_SCOPE_LINK
        } else {
            0
        };
        let mut body = vec![
            family(network.address),
            network.prefix,
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_STATIC,
            scope,
            RTN_UNICAST,
        ];
        body.extend_from_slice(&0u32.to_ne_bytes());
        if network.prefix > 0 {
            attribute(&mut body, RTA_DST, &octets(network.address));
        }
        attribute(&mut body, RTA_OIF, &self.index.to_ne_bytes());
        body
    }

    fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&0u32.to_ne_bytes());
        message.extend_from_slice(body);
        (&self.socket).write_all(&message)?;
        let mut answer = [0; 1024];
        loop {
            let length = (&self.socket).read(&mut answer)?;
            let answer = answer.get(..length).unwrap_or_default();
            let field = |at: usize| answer.get(at..at + 4).and_then(<[u8]>::first_chunk::<4>);
            if field(8).map(|bytes| u32::from_ne_bytes(*bytes)) != Some(self.sequence) {
                continue;
            }
            // NLMSG_ERROR: the error number, negative, 0 for success.
            let errno = field(HEADER).map_or(-libc::EIO, |bytes| i32::from_ne_bytes(*bytes));
            return match errno {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(-errno)),
            };
        }
    }
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    u8::try_from(family).unwrap_or(0)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// `struct rtattr`: length and type, the value, padding to four bytes.
fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

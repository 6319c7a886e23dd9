//! Addresses, MTU and routes of FreeBSD's `ngN`: ioctls of `<net/if.h>`, `<netinet/in_var.h>` and
//! `<netinet6/in6_var.h>`, and routing messages of route(4). The layouts are written out as bytes,
//! so that they are under test on every system; only the calls are FreeBSD's.
#![cfg_attr(target_os = "freebsd", allow(unsafe_code))]

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::server::InterfaceSetup;

/// `IFNAMSIZ`.
const NAME: usize = 16;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 28;

/// Sets MTU, addresses and routes.
///
/// # Errors
/// What the system says; `Unsupported` on systems without `ngN`.
pub(super) fn configure(setup: &InterfaceSetup) -> io::Result<()> {
    system::set_mtu(&setup.interface, setup.mtu)?;
    for &(local, peer) in &setup.addresses {
        let index = system::index(&setup.interface)?;
        system::add_addresses(&setup.interface, index, local, peer)?;
        for route in setup.routes.iter().filter(|route| same_family(route, peer)) {
            system::add_route(&route_message(route, peer, index))?;
        }
    }
    Ok(())
}

fn same_family(route: &IpNet, peer: IpAddr) -> bool {
    route.network().is_ipv4() == peer.is_ipv4()
}

/// Fields of the kernel's structures, one after the other, host byte order.
#[derive(Default)]
struct Layout(Vec<u8>);

impl Layout {
    fn name(name: &str) -> Self {
        let mut bytes: Vec<u8> = name.bytes().take(NAME - 1).collect();
        bytes.resize(NAME, 0);
        Self(bytes)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    /// `struct sockaddr_in`, 16 bytes, or `struct sockaddr_in6`, 28 bytes.
    fn address(self, address: IpAddr, scope: u32) -> Self {
        match address {
            IpAddr::V4(v4) => self
                .bytes(&[16, AF_INET, 0, 0])
                .bytes(&v4.octets())
                .zeros(8),
            IpAddr::V6(v6) => {
                let scope = if v6.is_unicast_link_local() { scope } else { 0 };
                self.bytes(&[28, AF_INET6, 0, 0, 0, 0, 0, 0])
                    .bytes(&v6.octets())
                    .bytes(&scope.to_ne_bytes())
            }
        }
    }
}

/// `struct ifreq` with `ifr_mtu`, 32 bytes.
#[cfg_attr(not(target_os = "freebsd"), allow(dead_code))]
fn mtu_request(name: &str, mtu: u16) -> Vec<u8> {
    Layout::name(name)
        .bytes(&i32::from(mtu).to_ne_bytes())
        .zeros(12)
        .0
}

/// `struct in_aliasreq`, 68 bytes, or `struct in6_aliasreq`, 136 bytes: a point-to-point pair.
#[cfg_attr(not(target_os = "freebsd"), allow(dead_code))]
fn alias_request(name: &str, index: u32, local: IpAddr, peer: IpAddr) -> Vec<u8> {
    let layout = Layout::name(name).address(local, index);
    if local.is_ipv4() {
        // The mask of one host; ifra_vhid stays 0.
        let mask = IpAddr::from([255, 255, 255, 255]);
        layout.address(peer, 0).address(mask, 0).zeros(4).0
    } else {
        // A link-local address is on-link by its prefix and has no destination.
        let mask = IpAddr::from([0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0]);
        let forever = u32::MAX.to_ne_bytes();
        layout
            .zeros(28)
            .address(mask, 0)
            .zeros(4 + 16)
            .bytes(&forever)
            .bytes(&forever)
            .zeros(8)
            .0
    }
}

/// `RTM_ADD` of `network` through `gateway`: `struct rt_msghdr`, 152 bytes, then destination,
/// gateway and mask.
#[cfg_attr(not(target_os = "freebsd"), allow(dead_code))]
fn route_message(network: &IpNet, gateway: IpAddr, index: u32) -> Vec<u8> {
    const VERSION: u8 = 5;
    const ADD: u8 = 1;
    const UP_GATEWAY_STATIC: i32 = 0x1 | 0x2 | 0x800;
    const DESTINATION_GATEWAY_MASK: i32 = 0x1 | 0x2 | 0x4;
    const HEADER: usize = 152;
    // Addresses are padded to a multiple of sizeof(long).
    let pad = if gateway.is_ipv4() { 0 } else { 4 };
    let size = 3 * (if gateway.is_ipv4() { 16 } else { 28 } + pad);
    let length = u16::try_from(HEADER + size).unwrap_or(u16::MAX);
    Layout::default()
        .bytes(&length.to_ne_bytes())
        .bytes(&[VERSION, ADD, 0, 0, 0, 0])
        .bytes(&UP_GATEWAY_STATIC.to_ne_bytes())
        .bytes(&DESTINATION_GATEWAY_MASK.to_ne_bytes())
        .zeros(HEADER - 16)
        .address(network.network(), 0)
        .zeros(pad)
        .address(gateway, index)
        .zeros(pad)
        .address(network.netmask(), 0)
        .zeros(pad)
        .0
}

#[cfg(target_os = "freebsd")]
mod system {
    use std::io::{self, Write};
    use std::net::{IpAddr, UdpSocket};
    use std::os::fd::AsRawFd;

    use socket2::{Domain, Socket, Type};

    use super::{alias_request, mtu_request};

    const SIOCSIFMTU: libc::c_ulong = 0x8020_6934;
    const SIOCAIFADDR: libc::c_ulong = 0x8044_692b;
    /// `_IOW('i', 27, struct in6_aliasreq)`.
    const SIOCAIFADDR_IN6: libc::c_ulong = 0x8088_691b;
    const PF_ROUTE: i32 = 17;

    fn control(any: &str, request: libc::c_ulong, mut argument: Vec<u8>) -> io::Result<()> {
        let socket = UdpSocket::bind(any)?;
        // SAFETY: the descriptor is open, and `argument` has the size that is part of `request`
        // (see the tests of the layouts), so the kernel reads within it.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, argument.as_mut_ptr()) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    pub(super) fn set_mtu(name: &str, mtu: u16) -> io::Result<()> {
        control("0.0.0.0:0", SIOCSIFMTU, mtu_request(name, mtu))
    }

    pub(super) fn index(name: &str) -> io::Result<u32> {
        nix::net::if_::if_nametoindex(name).map_err(io::Error::from)
    }

    pub(super) fn add_addresses(
        name: &str,
        index: u32,
        local: IpAddr,
        peer: IpAddr,
    ) -> io::Result<()> {
        let (any, request) = if local.is_ipv4() {
            ("0.0.0.0:0", SIOCAIFADDR)
        } else {
            ("[::]:0", SIOCAIFADDR_IN6)
        };
        control(any, request, alias_request(name, index, local, peer))
    }

    pub(super) fn add_route(message: &[u8]) -> io::Result<()> {
        let mut socket = Socket::new(Domain::from(PF_ROUTE), Type::RAW, None)?;
        match socket.write_all(message) {
            // Set when the protocol opened the first time.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }
}

#[cfg(not(target_os = "freebsd"))]
mod system {
    use std::io;
    use std::net::IpAddr;

    pub(super) fn set_mtu(_: &str, _: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn index(_: &str) -> io::Result<u32> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn add_addresses(_: &str, _: u32, _: IpAddr, _: IpAddr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn add_route(_: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Sizes as FreeBSD 14 has them; the size is also part of each ioctl's number.
    #[test]
    fn structures_have_the_kernels_sizes() {
        let v4 = [IpAddr::from([10, 77, 0, 1]), IpAddr::from([10, 77, 0, 9])];
        let v6: IpAddr = "fe80::1".parse().unwrap();
        assert_eq!(mtu_request("ng0", 1400).len(), (0x8020_6934 >> 16) & 0x1fff);
        assert_eq!(
            alias_request("ng0", 7, v4[0], v4[1]).len(),
            (0x8044_692b >> 16) & 0x1fff
        );
        assert_eq!(
            alias_request("ng0", 7, v6, v6).len(),
            (0x8088_691b >> 16) & 0x1fff
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn an_address_pair_looks_like_ifconfigs() {
        let request = alias_request(
            "ng12",
            7,
            IpAddr::from([10, 77, 0, 1]),
            IpAddr::from([10, 77, 0, 9]),
        );
        assert_eq!(
            request,
            hex!(
                "6e673132 00000000 00000000 00000000"
                "10020000 0a4d0001 00000000 00000000"
                "10020000 0a4d0009 00000000 00000000"
                "10020000 ffffffff 00000000 00000000"
                "00000000"
            )
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_route_goes_through_the_peer() {
        let message = route_message(&"10.20.0.0/16".parse().unwrap(), [10, 77, 0, 1].into(), 7);
        assert_eq!(message.len(), 200);
        assert_eq!(
            message[..16],
            hex!("c800 05 01 0000 0000 03080000 07000000")
        );
        assert_eq!(message[152..160], hex!("10020000 0a140000"));
        assert_eq!(message[168..176], hex!("10020000 0a4d0001"));
        assert_eq!(message[184..192], hex!("10020000 ffff0000"));
        let message = route_message(
            &"2001:db8::/32".parse().unwrap(),
            "fe80::1".parse().unwrap(),
            7,
        );
        assert_eq!(message.len(), 152 + 3 * 32);
        assert_eq!(message[0], 248);
    }
}

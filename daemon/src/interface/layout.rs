//! The structures of FreeBSD's `<net/if.h>`, `<netinet/in_var.h>`, `<netinet6/in6_var.h>` and
//! `<net/route.h>`, written out as bytes, so that they are under test on every system.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Gateway, Route};

/// `IFNAMSIZ`.
const NAME: usize = 16;
const AF_INET: u8 = 2;
const AF_LINK: u8 = 18;
const AF_INET6: u8 = 28;
/// Neither tentative nor looked for on the link: a tunnel has no neighbours.
const IN6_IFF_NODAD: i32 = 0x20;

/// What a message to the routing socket asks for: `RTM_ADD`, `RTM_DELETE`, `RTM_CHANGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum RouteAction {
    Add = 1,
    Delete = 2,
    Change = 3,
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

    /// Routing messages pad addresses to a multiple of sizeof(long).
    fn padded(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
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

    /// `struct sockaddr_dl`, 54 bytes: an interface by its index.
    fn link(self, index: u32) -> Self {
        // Indexes are 16 bits in every interface of FreeBSD.
        let index = u16::try_from(index).unwrap_or(0);
        self.bytes(&[54, AF_LINK])
            .bytes(&index.to_ne_bytes())
            .zeros(50)
    }
}

/// `struct ifreq` with a name alone, 32 bytes.
pub(super) fn name_request(name: &str) -> Vec<u8> {
    Layout::name(name).zeros(16).0
}

/// `struct ifreq` with `ifr_mtu`.
pub(super) fn mtu_request(name: &str, mtu: i32) -> Vec<u8> {
    Layout::name(name).bytes(&mtu.to_ne_bytes()).zeros(12).0
}

/// `struct ifreq` with `ifr_data`, the address of something in this process.
#[cfg_attr(not(target_os = "freebsd"), allow(dead_code))]
pub(super) fn data_request(name: &str, data: u64) -> Vec<u8> {
    Layout::name(name).bytes(&data.to_ne_bytes()).zeros(8).0
}

/// `struct in_aliasreq`, 68 bytes, or `struct in6_aliasreq`, 136 bytes: a point-to-point pair, or
/// one address of this host.
pub(super) fn alias_request(
    name: &str,
    index: u32,
    local: IpAddr,
    peer: Option<IpAddr>,
) -> Vec<u8> {
    let layout = Layout::name(name).address(local, index);
    match local {
        IpAddr::V4(_) => {
            let layout = match peer {
                Some(peer) => layout.address(peer, 0),
                None => layout.zeros(16),
            };
            // The mask of one host; ifra_vhid stays 0.
            layout.address(netmask(local, 32), 0).zeros(4).0
        }
        IpAddr::V6(v6) => {
            // A link-local address is on-link by its prefix and has no destination.
            let prefix = match v6.is_unicast_link_local() || peer.is_some() {
                true => 64,
                false => 128,
            };
            let flags = if peer.is_some() { 0 } else { IN6_IFF_NODAD };
            let forever = u32::MAX.to_ne_bytes();
            layout
                .zeros(28)
                .address(netmask(local, prefix), 0)
                .bytes(&flags.to_ne_bytes())
                .zeros(16)
                .bytes(&forever)
                .bytes(&forever)
                .zeros(8)
                .0
        }
    }
}

/// What takes an address away: `struct ifreq`, or `struct in6_ifreq`, 288 bytes.
pub(super) fn address_request(name: &str, index: u32, address: IpAddr) -> Vec<u8> {
    let layout = Layout::name(name).address(address, index);
    match address {
        IpAddr::V4(_) => layout.0,
        IpAddr::V6(_) => layout.zeros(288 - NAME - 28).0,
    }
}

/// `struct rt_msghdr`, 152 bytes, then destination, gateway, mask, interface and source address.
pub(super) fn route_message(action: RouteAction, route: &Route, index: u32) -> Vec<u8> {
    const VERSION: u8 = 5;
    const HEADER: usize = 152;
    const RTF_UP: i32 = 0x1;
    const RTF_GATEWAY: i32 = 0x2;
    const RTF_HOST: i32 = 0x4;
    const RTF_STATIC: i32 = 0x800;
    const RTA_DST_GATEWAY: i32 = 0x1 | 0x2;
    const RTA_NETMASK: i32 = 0x4;
    const RTA_IFP: i32 = 0x10;
    const RTA_IFA: i32 = 0x20;
    const RTV_MTU: u64 = 0x1;

    let mut flags = RTF_UP | RTF_STATIC;
    let mut addresses = RTA_DST_GATEWAY;
    let mut body = Layout::default().address(route.network, index).padded();
    body = match route.gateway {
        Gateway::Address(gateway) => {
            flags |= RTF_GATEWAY;
            body.address(gateway, index).padded()
        }
        Gateway::Interface => body.link(index).padded(),
    };
    if route.is_host() {
        flags |= RTF_HOST;
    } else {
        addresses |= RTA_NETMASK;
        body = body
            .address(netmask(route.network, route.prefix), 0)
            .padded();
    }
    if let Some(source) = route.source {
        // Other interfaces may have this address as well, and FreeBSD would take the first.
        addresses |= RTA_IFP | RTA_IFA;
        body = body.link(index).padded().address(source, index).padded();
    }
    let inits = if route.mtu.is_some() { RTV_MTU } else { 0 };
    let mtu = u64::from(route.mtu.unwrap_or(0));
    let length = u16::try_from(HEADER + body.0.len()).unwrap_or(u16::MAX);
    Layout::default()
        .bytes(&length.to_ne_bytes())
        .bytes(&[VERSION, action as u8, 0, 0, 0, 0])
        .bytes(&flags.to_ne_bytes())
        .bytes(&addresses.to_ne_bytes())
        .zeros(16)
        .bytes(&inits.to_ne_bytes())
        // rmx_locks, rmx_mtu, and the rest of struct rt_metrics.
        .zeros(8)
        .bytes(&mtu.to_ne_bytes())
        .zeros(HEADER - 56)
        .bytes(&body.0)
        .0
}

fn netmask(of: IpAddr, prefix: u8) -> IpAddr {
    match of {
        IpAddr::V4(_) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32)));
            Ipv4Addr::from_bits(bits.unwrap_or(0)).into()
        }
        IpAddr::V6(_) => {
            let bits = u128::MAX.checked_shl(128 - u32::from(prefix.min(128)));
            Ipv6Addr::from_bits(bits.unwrap_or(0)).into()
        }
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Sizes as FreeBSD 14 has them; the size is also part of each ioctl's number.
    #[test]
    fn structures_have_the_kernels_sizes() {
        let (v4, v6) = (ip("10.77.0.1"), ip("fe80::1"));
        let size = |request: usize| (request >> 16) & 0x1fff;
        assert_eq!(name_request("ng0").len(), size(0x8020_6979));
        assert_eq!(mtu_request("ng0", 1400).len(), size(0x8020_6934));
        assert_eq!(data_request("ng0", 1).len(), size(0x8020_6928));
        assert_eq!(
            alias_request("ng0", 7, v4, Some(v4)).len(),
            size(0x8044_692b)
        );
        assert_eq!(alias_request("ng0", 7, v4, None).len(), size(0x8044_692b));
        assert_eq!(
            alias_request("ng0", 7, v6, Some(v6)).len(),
            size(0x8088_691b)
        );
        assert_eq!(address_request("ng0", 7, v4).len(), size(0x8020_6919));
        assert_eq!(address_request("ng0", 7, v6).len(), size(0x8120_6919));
    }

    #[test]
    fn an_address_pair_looks_like_ifconfigs() {
        let request = alias_request("ng12", 7, ip("10.77.0.1"), Some(ip("10.77.0.9")));
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
    fn an_address_of_its_own_has_no_neighbours() {
        let request = alias_request("tun0", 7, ip("2001:db8::1"), None);
        // Mask of 128 bits, IN6_IFF_NODAD, lifetimes without end.
        assert_eq!(request[72..80], hex!("1c1c0000 00000000"));
        assert_eq!(request[80..96], [0xff; 16]);
        assert_eq!(request[100..104], hex!("20000000"));
        assert_eq!(request[120..128], [0xff; 8]);
    }

    #[test]
    fn a_route_goes_through_the_peer() {
        let route = |network: &str, prefix, gateway: &str| Route {
            network: ip(network),
            prefix,
            gateway: Gateway::Address(ip(gateway)),
            source: None,
            mtu: None,
        };
        let message = route_message(RouteAction::Add, &route("10.20.0.0", 16, "10.77.0.1"), 7);
        assert_eq!(message.len(), 200);
        assert_eq!(
            message[..16],
            hex!("c800 05 01 0000 0000 03080000 07000000")
        );
        assert_eq!(message[152..160], hex!("10020000 0a140000"));
        assert_eq!(message[168..176], hex!("10020000 0a4d0001"));
        assert_eq!(message[184..192], hex!("10020000 ffff0000"));
        let message = route_message(RouteAction::Add, &route("2001:db8::", 32, "fe80::1"), 7);
        assert_eq!(message.len(), 152 + 3 * 32);
        assert_eq!(message[0], 248);
    }

    /// As `route change -host 10.77.0.9 -iface tun0 -ifp tun0 -ifa 10.77.0.1 -mtu 1400` has it.
    #[test]
    fn a_host_behind_an_interface() {
        let route = Route {
            network: ip("10.77.0.9"),
            prefix: 32,
            gateway: Gateway::Interface,
            source: Some(ip("10.77.0.1")),
            mtu: Some(1400),
        };
        let message = route_message(RouteAction::Change, &route, 7);
        assert_eq!(message.len(), 152 + 16 + 56 + 56 + 16);
        assert_eq!(
            message[..16],
            hex!("2801 05 03 0000 0000 05080000 33000000")
        );
        assert_eq!(
            message[32..56],
            hex!("0100000000000000 0000000000000000 7805000000000000")
        );
        assert_eq!(message[168..176], hex!("3612 0700 00000000"));
        assert_eq!(message[224..232], hex!("3612 0700 00000000"));
        assert_eq!(message[280..288], hex!("10020000 0a4d0001"));
    }

    #[test]
    fn netmasks() {
        assert_eq!(netmask(ip("0.0.0.0"), 0), ip("0.0.0.0"));
        assert_eq!(netmask(ip("0.0.0.0"), 12), ip("255.240.0.0"));
        assert_eq!(netmask(ip("::"), 0), ip("::"));
        assert_eq!(netmask(ip("::"), 128), IpAddr::from([0xffff; 8]));
    }
}

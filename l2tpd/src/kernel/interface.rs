//! The nodes between ng_ppp and a session's `ngN`, and the interface's MTU, addresses and routes.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use netgraph::Errno;
use netgraph::generic::{Connect, Mkpeer, Name};
use netgraph::node::{bpf, iface, ppp, soft_iface, tcpmss};
use tanuki_daemon::interface::{Gateway, Interface, Route};

use super::executor::{Executor, at};
use super::{dress, names};
use crate::server::{InterfaceSetup, KernelError, SessionKey};

/// Hooks of the tcpmss node.
const TO_PPP: &str = "ppp";
const TO_INTERFACE: &str = "iface";
/// Hooks of the filter node, towards the link and towards the interface.
const FROM_PPP: &str = "ppp";
const FILTERED: &str = "iface";
const FROM_PPP6: &str = "ppp6";
const FILTERED6: &str = "iface6";
/// `fe80::/10`: these addresses do not leave the link; router solicitations come from them.
const LINK_LOCAL: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10);
/// IPv4 and TCP header without options: what an MSS is smaller than an MTU.
const HEADERS: u16 = 40;

impl Executor {
    /// Makes the nodes between ng_ppp and ng_iface; the interface's name.
    pub(super) async fn create_interface(
        &mut self,
        key: SessionKey,
        mtu: u16,
        ipv6: bool,
    ) -> Result<String, KernelError> {
        let (clamp, interface) = (at(&names::tcpmss(key)), at(&names::interface(key)));
        let (mut link, mut inet, mut inet6) =
            (at(&names::ppp(key)), ppp::HOOK_INET, ppp::HOOK_IPV6);
        if !self.netgraph.is_soft() {
            self.create_filter(key, ipv6).await?;
            (link, inet, inet6) = (at(&names::filter(key)), FILTERED, FILTERED6);
        }
        self.call(&link, &Mkpeer::new(tcpmss::TYPE, inet, TO_PPP))
            .await?;
        self.call(&format!("{link}{inet}"), &Name::new(&names::tcpmss(key)))
            .await?;
        self.call(
            &clamp,
            &Mkpeer::new(iface::TYPE, TO_INTERFACE, iface::HOOK_INET),
        )
        .await?;
        let path = format!("{clamp}{TO_INTERFACE}");
        self.call(&path, &Name::new(&names::interface(key))).await?;
        for (from, to) in [(TO_PPP, TO_INTERFACE), (TO_INTERFACE, TO_PPP)] {
            let config = tcpmss::Config {
                in_hook: from.to_owned(),
                out_hook: to.to_owned(),
                max_mss: mtu.saturating_sub(HEADERS),
            };
            self.call(&clamp, &tcpmss::SetConfig(config)).await?;
        }
        if ipv6 {
            let connect = Connect::new(&interface, inet6, iface::HOOK_INET6);
            self.call(&link, &connect).await?;
        }
        Ok(self.call(&interface, &iface::GetIfName).await?.0)
    }

    /// The node that drops what the peer sends from addresses that are not its own; everything,
    /// until [`Self::set_filter`]. softkernel's interface does that itself.
    async fn create_filter(&mut self, key: SessionKey, ipv6: bool) -> Result<(), KernelError> {
        let (link, filter) = (at(&names::ppp(key)), at(&names::filter(key)));
        self.call(&link, &Mkpeer::new(bpf::TYPE, ppp::HOOK_INET, FROM_PPP))
            .await?;
        let path = format!("{link}{}", ppp::HOOK_INET);
        self.call(&path, &Name::new(&names::filter(key))).await?;
        if ipv6 {
            let connect = Connect::new(&filter, ppp::HOOK_IPV6, FROM_PPP6);
            self.call(&link, &connect).await?;
        }
        Ok(())
    }

    async fn set_filter(&mut self, setup: &InterfaceSetup) -> Result<(), KernelError> {
        let filter = at(&names::filter(setup.session));
        let own = setup.addresses.iter().map(|(_, peer)| IpNet::from(*peer));
        let behind = setup.routes.iter().copied();
        for (from, to, v4) in [(FROM_PPP, FILTERED, true), (FROM_PPP6, FILTERED6, false)] {
            let mut networks: Vec<(IpAddr, u8)> = own
                .clone()
                .chain(behind.clone())
                .filter(|network| network.addr().is_ipv4() == v4)
                .map(|network| (network.addr(), network.prefix_len()))
                .collect();
            if networks.is_empty() {
                // This protocol is not up, and may have no hook.
                continue;
            }
            if !v4 {
                networks.push(LINK_LOCAL);
            }
            let inwards = match setup.source_check {
                true => bpf::HookProgram::sources(from, to, &networks),
                false => bpf::HookProgram::pass(from, to),
            };
            for program in [inwards, bpf::HookProgram::pass(to, from)] {
                self.call(&filter, &bpf::SetProgram(program)).await?;
            }
        }
        Ok(())
    }

    /// Sets MTU, addresses and routes, and lets through what the peer may send.
    pub(super) async fn configure_interface(
        &mut self,
        setup: &InterfaceSetup,
    ) -> Result<(), KernelError> {
        if !self.netgraph.is_soft() {
            self.set_filter(setup).await?;
            configure(setup).map_err(|error| KernelError::Refused {
                request: format!("the addresses of {}", setup.interface),
                reason: error.to_string(),
                errno: error.raw_os_error().unwrap_or_default(),
            })?;
            return dress::describe(setup).await;
        }
        let node = at(&names::interface(setup.session));
        self.call(
            &node,
            &soft_iface::SetMtu(soft_iface::Mtu(setup.mtu.into())),
        )
        .await?;
        let check = soft_iface::SourceCheck(soft_iface::Switch(setup.source_check));
        self.call(&node, &check).await?;
        for &(local, peer) in &setup.addresses {
            let pair = soft_iface::AddressPair { local, peer };
            self.call(&node, &soft_iface::SetAddress(pair)).await?;
        }
        for route in &setup.routes {
            let network = soft_iface::Network {
                address: route.network(),
                prefix: route.prefix_len(),
            };
            match self.call(&node, &soft_iface::AddRoute(network)).await {
                // Set when the protocol opened the first time.
                Err(KernelError::Refused { errno, .. }) if errno == Errno::EEXIST.0 => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// Sets MTU, addresses and routes of FreeBSD's.
///
/// # Errors
/// What the system says; `Unsupported` on systems without `ngN`.
fn configure(setup: &InterfaceSetup) -> io::Result<()> {
    let interface = Interface::open(&setup.interface)?;
    interface.set_mtu(setup.mtu.into())?;
    for &(local, peer) in &setup.addresses {
        interface.add_address(local, Some(peer))?;
        for network in setup.routes.iter().filter(|route| same_family(route, peer)) {
            let route = Route {
                network: network.network(),
                prefix: network.prefix_len(),
                gateway: Gateway::Address(peer),
                source: None,
                mtu: None,
            };
            match interface.add_route(&route) {
                // Set when the protocol opened the first time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result?,
            }
        }
    }
    Ok(())
}

fn same_family(route: &IpNet, peer: IpAddr) -> bool {
    route.network().is_ipv4() == peer.is_ipv4()
}

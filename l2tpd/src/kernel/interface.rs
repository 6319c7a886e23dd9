//! The nodes between ng_ppp and a session's `ngN`, and the interface's MTU, addresses and routes.

use std::io;
use std::net::IpAddr;

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
/// Hooks of the node before it that takes router solicitations out.
const UNFILTERED6: &str = "rest";
/// ICMPv6 type (RFC 4861 section 4.1).
const ROUTER_SOLICITATION: u8 = 133;
/// IPv4 and TCP header without options: what an MSS is smaller than an MTU.
const HEADERS: u16 = 40;

/// What an interface carries besides IPv4.
#[derive(Debug, Clone, Copy)]
pub(super) struct Families {
    /// IPv6.
    pub(super) ipv6: bool,
    /// The peer's router solicitations come to us.
    pub(super) solicitations: bool,
}

impl Executor {
    /// Makes the nodes between ng_ppp and ng_iface; the interface's name.
    pub(super) async fn create_interface(
        &mut self,
        key: SessionKey,
        mtu: u16,
        families: Families,
    ) -> Result<String, KernelError> {
        let (clamp, interface) = (at(&names::tcpmss(key)), at(&names::interface(key)));
        let (mut link, mut inet, mut inet6) =
            (at(&names::ppp(key)), ppp::HOOK_INET, ppp::HOOK_IPV6);
        if !self.netgraph.is_soft() {
            self.create_filter(key, families).await?;
            (link, inet, inet6) = (at(&names::filter(key)), FILTERED, FILTERED6);
        }
        self.post(&link, &Mkpeer::new(tcpmss::TYPE, inet, TO_PPP))
            .await?;
        self.post(&format!("{link}{inet}"), &Name::new(&names::tcpmss(key)))
            .await?;
        self.post(
            &clamp,
            &Mkpeer::new(iface::TYPE, TO_INTERFACE, iface::HOOK_INET),
        )
        .await?;
        let path = format!("{clamp}{TO_INTERFACE}");
        self.post(&path, &Name::new(&names::interface(key))).await?;
        for (from, to) in [(TO_PPP, TO_INTERFACE), (TO_INTERFACE, TO_PPP)] {
            let config = tcpmss::Config {
                in_hook: from.to_owned(),
                out_hook: to.to_owned(),
                max_mss: mtu.saturating_sub(HEADERS),
            };
            self.post(&clamp, &tcpmss::SetConfig(config)).await?;
        }
        if families.ipv6 {
            let connect = Connect::new(&interface, inet6, iface::HOOK_INET6);
            self.post(&link, &connect).await?;
        }
        if families.solicitations {
            self.take_solicitations(key).await?;
        }
        self.settle().await?;
        Ok(self.call(&interface, &iface::GetIfName).await?.0)
    }

    /// The node that drops what the peer sends from addresses that are not its own; everything,
    /// until [`Self::set_filter`]. softkernel's interface does that itself.
    async fn create_filter(
        &mut self,
        key: SessionKey,
        families: Families,
    ) -> Result<(), KernelError> {
        let (link, filter) = (at(&names::ppp(key)), at(&names::filter(key)));
        self.post(&link, &Mkpeer::new(bpf::TYPE, ppp::HOOK_INET, FROM_PPP))
            .await?;
        let path = format!("{link}{}", ppp::HOOK_INET);
        self.post(&path, &Name::new(&names::filter(key))).await?;
        if families.solicitations {
            self.post(&link, &Mkpeer::new(bpf::TYPE, ppp::HOOK_IPV6, FROM_PPP6))
                .await?;
            let path = format!("{link}{}", ppp::HOOK_IPV6);
            let solicitations = names::solicitations(key);
            self.post(&path, &Name::new(&solicitations)).await?;
            let solicitations = at(&solicitations);
            let connect = Connect::new(&filter, UNFILTERED6, FROM_PPP6);
            self.post(&solicitations, &connect).await?;
            let hook = soft_iface::HOOK_SOLICITATIONS;
            for program in [
                bpf::HookProgram::icmpv6(FROM_PPP6, hook, UNFILTERED6, ROUTER_SOLICITATION),
                bpf::HookProgram::pass(UNFILTERED6, FROM_PPP6),
            ] {
                self.post(&solicitations, &bpf::SetProgram(program)).await?;
            }
        } else if families.ipv6 {
            let connect = Connect::new(&filter, ppp::HOOK_IPV6, FROM_PPP6);
            self.post(&link, &connect).await?;
        }
        Ok(())
    }

    /// Connects our socket where a session's router solicitations come out.
    pub(super) async fn take_solicitations(&mut self, key: SessionKey) -> Result<(), KernelError> {
        let node = match self.netgraph.is_soft() {
            true => names::interface(key),
            false => names::solicitations(key),
        };
        let ours = names::solicitation_hook(key);
        self.take_hook(&at(&node), soft_iface::HOOK_SOLICITATIONS, &ours)
            .await
    }

    async fn set_filter(&mut self, setup: &InterfaceSetup) -> Result<(), KernelError> {
        let filter = at(&names::filter(setup.session));
        let own = setup.addresses.iter().map(|(_, peer)| IpNet::from(*peer));
        let behind = setup.routes.iter().copied();
        for (from, to, v4) in [(FROM_PPP, FILTERED, true), (FROM_PPP6, FILTERED6, false)] {
            let networks: Vec<(IpAddr, u8)> = own
                .clone()
                .chain(behind.clone())
                .filter(|network| network.addr().is_ipv4() == v4)
                .map(|network| (network.addr(), network.prefix_len()))
                .collect();
            if networks.is_empty() {
                // This protocol is not up, and may have no hook.
                continue;
            }
            let inwards = match setup.source_check {
                true => bpf::HookProgram::sources(from, to, &networks),
                false => bpf::HookProgram::pass(from, to),
            };
            for program in [inwards, bpf::HookProgram::pass(to, from)] {
                self.post(&filter, &bpf::SetProgram(program)).await?;
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
            self.settle().await?;
            configure(setup).map_err(|error| KernelError::Refused {
                request: format!("the addresses of {}", setup.interface),
                reason: error.to_string(),
                errno: error.raw_os_error().unwrap_or_default(),
            })?;
            return dress::describe(setup).await;
        }
        let node = at(&names::interface(setup.session));
        self.post(
            &node,
            &soft_iface::SetMtu(soft_iface::Mtu(setup.mtu.into())),
        )
        .await?;
        let check = soft_iface::SourceCheck(soft_iface::Switch(setup.source_check));
        self.post(&node, &check).await?;
        let accept = soft_iface::Switch(setup.accept_advertisements);
        self.post(&node, &soft_iface::AcceptAdvertisements(accept))
            .await?;
        for &(local, peer) in &setup.addresses {
            let pair = soft_iface::AddressPair { local, peer };
            self.post(&node, &soft_iface::SetAddress(pair)).await?;
        }
        self.settle().await?;
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
                gateway: match peer {
                    IpAddr::V4(_) => Gateway::Address(peer),
                    // Nobody is resolved on this interface: all that goes into it is the peer's.
                    IpAddr::V6(_) => Gateway::Interface,
                },
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

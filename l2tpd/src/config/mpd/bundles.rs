//! `set bundle`, `set ipcp`, `set iface` and the pools that `set ipcp ranges` amounts to.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use mpd_conf::model::{Addresses, Bundle as MpdBundle, Iface, Program, Setting};
use mpd_conf::options::{BundleOption, IfaceOption};

use super::Lowering;
use crate::config::HookCommand;
use crate::config::profile::{
    Bundle, CONVERSIONS, InterfaceMtu, InterfaceSettings, RouterSettings, unknown_conversion,
};
use crate::pool::Range;

/// Which end of the links of a bundle we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Server,
    Client,
}

impl Lowering<'_> {
    /// The bundle of that name as a server has it; none when something is wrong with it.
    pub(super) fn server_bundle(&mut self, name: &str) -> Option<Arc<Bundle>> {
        if let Some(known) = self.bundles.get(name) {
            return known.clone();
        }
        let bundle = self.model.bundle(name)?;
        let lowered = self.bundle(bundle, End::Server).map(Arc::new);
        self.bundles.insert(name.to_owned(), lowered.clone());
        lowered
    }

    pub(super) fn bundle(&mut self, bundle: &MpdBundle, end: End) -> Option<Bundle> {
        let before = self.problems.len();
        let (ipv4, ipv6) = (
            bundle.options.enabled(BundleOption::Ipcp),
            bundle.options.enabled(BundleOption::Ipv6cp),
        );
        if !ipv4 && !ipv6 {
            let span = bundle
                .options
                .span(BundleOption::Ipcp)
                .unwrap_or(&bundle.span);
            self.refuse(
                span,
                format!("bundle '{}' has neither IPv4 nor IPv6", bundle.name),
                "write 'set bundle enable ipcp'",
            );
        }
        let (local_address, pool) = match end {
            End::Server if ipv4 => (self.own_address(bundle), self.peers(bundle)),
            End::Server => (Ipv4Addr::UNSPECIFIED, String::new()),
            End::Client => (wanted(bundle), String::new()),
        };
        self.fixed_addresses(&bundle.iface);
        let description = &bundle.iface.description;
        if let Some(text) = &description.value
            && let Some(other) = unknown_conversion(text)
        {
            self.refuse(
                description.span.as_ref().unwrap_or(&bundle.span),
                format!("%{other} is not known here"),
                format!("write one of %{CONVERSIONS}, each letter behind a %"),
            );
        }
        let lowered = Bundle {
            name: bundle.name.clone(),
            ipv4,
            ipv6,
            // mpd5 negotiates interface identifiers, no more.
            router: RouterSettings::default(),
            local_address,
            pool,
            dns: self.two(&bundle.ipcp.dns),
            nbns: self.two(&bundle.ipcp.nbns),
            routes: bundle
                .iface
                .routes
                .iter()
                .map(|route| route.value)
                .collect(),
            mtu: mtu(&bundle.iface),
            interface: InterfaceSettings {
                name: bundle.iface.name.value.clone(),
                description: bundle.iface.description.value.clone(),
                group: bundle.iface.group.value.clone(),
                proxy_arp: bundle.iface.options.enabled(IfaceOption::ProxyArp),
            },
            up: self.script(&bundle.iface.up_script),
            down: self.script(&bundle.iface.down_script),
            idle_timeout: limit(bundle.iface.idle.value),
            session_timeout: limit(bundle.iface.session.value),
        };
        (self.problems.len() == before).then_some(lowered)
    }

    fn own_address(&mut self, bundle: &MpdBundle) -> Ipv4Addr {
        let span = bundle.ipcp.local.span.as_ref().unwrap_or(&bundle.span);
        match &bundle.ipcp.local.value {
            Addresses::Range(network) if !network.addr().is_unspecified() => {
                if network.prefix_len() < 32 {
                    let text = format!(
                        "our own address is always {}: clients have no say in it",
                        network.addr()
                    );
                    self.notice(span, &text);
                }
                network.addr()
            }
            Addresses::Range(_) => {
                self.refuse(
                    span,
                    format!("bundle '{}' lacks an address of ours", bundle.name),
                    "write 'set ipcp ranges OUR-ADDRESS/32 ippool POOL'",
                );
                Ipv4Addr::UNSPECIFIED
            }
            Addresses::Pool(_) => {
                self.refuse(
                    span,
                    "our own address does not come from a pool",
                    "write one address of ours; it may be the same in every session",
                );
                Ipv4Addr::UNSPECIFIED
            }
        }
    }

    /// The name of the pool that clients of the bundle get their addresses from.
    fn peers(&mut self, bundle: &MpdBundle) -> String {
        let span = bundle.ipcp.peer.span.as_ref().unwrap_or(&bundle.span);
        let network = match &bundle.ipcp.peer.value {
            Addresses::Pool(name) => return name.clone(),
            Addresses::Range(network) => *network,
        };
        if network.prefix_len() == 0 {
            self.notice(
                span,
                &format!(
                    "bundle '{}' has addresses only for users with one in mpd.secret",
                    bundle.name
                ),
            );
            return String::new();
        }
        let Some(range) = clients(network) else {
            self.refuse(
                span,
                format!("{network} is too large for clients"),
                "write a network of /8 or narrower, or 'ippool POOL'",
            );
            return String::new();
        };
        let name = range.to_string();
        if self.pools.contains_key(&name) {
            return name;
        }
        let all = self.pools.values().flatten();
        if let Some(other) = all.copied().find(|other| other.overlaps(&range)) {
            self.refuse(
                span,
                format!("{range} overlaps the pool {other}"),
                "write ranges that lie apart",
            );
        }
        if network.prefix_len() < 32 {
            let text = "the client gets an address of this network from us; what it asks for \
                        itself has no effect";
            self.notice(span, text);
        }
        self.pools.insert(name.clone(), vec![range]);
        name
    }

    fn fixed_addresses(&mut self, iface: &Iface) {
        for setting in [&iface.addresses, &iface.addresses6] {
            let (Some(addresses), Some(span)) = (&setting.value, &setting.span) else {
                continue;
            };
            if addresses.local_forced || addresses.peer_forced {
                self.refuse(
                    span,
                    "an interface has the addresses that PPP agreed on, no others",
                    "take the ! away, or write them into 'set ipcp ranges'",
                );
            } else {
                self.notice(span, "no effect: an interface exists with its session only");
            }
        }
    }

    fn two(&mut self, servers: &Setting<Vec<Ipv4Addr>>) -> Vec<Ipv4Addr> {
        // mpd has 0.0.0.0 for none.
        let known = servers.value.iter().copied();
        known.filter(|server| !server.is_unspecified()).collect()
    }

    fn script(&mut self, script: &Setting<Option<Program>>) -> Option<HookCommand> {
        let program = script.value.as_ref()?;
        if let Some(span) = &script.span
            && !std::path::Path::new(&program.path).is_file()
        {
            self.refuse(
                span,
                format!("{} is not there or no file", program.path),
                "correct the path or take the line out",
            );
        }
        Some(program.into())
    }
}

/// What we ask a server for; unspecified: any.
fn wanted(bundle: &MpdBundle) -> Ipv4Addr {
    match &bundle.ipcp.local.value {
        Addresses::Range(network) => network.addr(),
        Addresses::Pool(_) => Ipv4Addr::UNSPECIFIED,
    }
}

/// The addresses of a network for clients: from the one written on, but neither the network's own
/// nor its broadcast address.
fn clients(network: Ipv4Net) -> Option<Range> {
    let (first, last) = if network.prefix_len() <= 30 {
        let hosts = u32::from(network.network()) + 1;
        (
            u32::from(network.addr()).max(hosts),
            u32::from(network.broadcast()) - 1,
        )
    } else {
        (network.addr().into(), network.broadcast().into())
    };
    Range::new(first.into(), last.into()).ok()
}

fn mtu(iface: &Iface) -> InterfaceMtu {
    let octets = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    match iface.mtu_override.value {
        Some(mtu) => InterfaceMtu::Exactly(octets(mtu)),
        None => InterfaceMtu::AtMost(octets(iface.mtu.value)),
    }
}

fn limit(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

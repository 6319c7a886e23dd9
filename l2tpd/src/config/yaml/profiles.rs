//! `bundles` and `links`, and the keys of the top level that stand for one of each.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use ppp_proto::AuthMethod;
use serde::Deserialize;

use super::ipv6::Ipv6File;
use super::{Check, DEFAULT_MTU, File};
use crate::config::model::HookCommand;
use crate::config::profile::{
    Action, Bundle, CONVERSIONS, DEFAULT, InterfaceMtu, InterfaceSettings, LinkProfile, Pattern,
    TunnelSettings, unknown_conversion,
};
use crate::config::scalar::{Listen, Mtu, Number, Seconds, SecondsOrOff, Text};
use crate::pool::Range;
use crate::secret::Secret;

/// Bundles and links, each.
const MAX_PROFILES: usize = 1024;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EchoFile {
    interval: Option<SecondsOrOff>,
    failures: Option<Number<1, 255>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HooksFile {
    up: Option<Vec<String>>,
    down: Option<Vec<String>>,
    pub(super) timeout: Option<Seconds>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceFile {
    name: Option<String>,
    description: Option<String>,
    group: Option<String>,
    #[serde(default)]
    proxy_arp: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleFile {
    local_address: Option<Text<Ipv4Addr>>,
    pool: Option<String>,
    dns: Option<Vec<Text<Ipv4Addr>>>,
    nbns: Option<Vec<Text<Ipv4Addr>>>,
    ipv6: Option<Ipv6File>,
    #[serde(default)]
    routes: Vec<Text<IpNet>>,
    mtu: Option<Mtu>,
    interface: Option<InterfaceFile>,
    hooks: Option<BundleHooksFile>,
    idle_timeout: Option<SecondsOrOff>,
    session_timeout: Option<SecondsOrOff>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleHooksFile {
    up: Option<Vec<String>>,
    down: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkFile {
    #[serde(default)]
    name: Option<String>,
    local: Option<Text<Listen>>,
    peer: Option<Text<IpNet>>,
    host_name: Option<String>,
    secret: Option<Secret>,
    #[serde(default)]
    require_secret: bool,
    #[serde(default)]
    hide_avps: bool,
    sequencing: Option<bool>,
    length: Option<bool>,
    authentication: Option<Vec<AuthMethod>>,
    authentication_timeout: Option<Seconds>,
    mtu: Option<Mtu>,
    mru: Option<Mtu>,
    echo: Option<EchoFile>,
    max_sessions: Option<Number<1, 130_000>>,
    #[serde(default)]
    actions: Vec<ActionFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionFile {
    bundle: Option<String>,
    #[serde(default)]
    drop: bool,
    r#match: Option<String>,
}

impl Check<'_> {
    /// Those of the file and the one of the top level.
    pub(super) fn bundles(
        &mut self,
        file: &mut File,
        pools: &BTreeMap<String, Vec<Range>>,
    ) -> BTreeMap<String, Arc<Bundle>> {
        let top = BundleFile {
            local_address: file.local_address,
            pool: Some(DEFAULT.to_owned()),
            dns: file.dns.take(),
            nbns: file.nbns.take(),
            ipv6: file.ipv6.take(),
            interface: file.interface.take(),
            hooks: Some(BundleHooksFile {
                up: file.hooks.up.take(),
                down: file.hooks.down.take(),
            }),
            idle_timeout: file.idle_timeout,
            session_timeout: file.session_timeout,
            ..BundleFile::default()
        };
        let default = self.bundle(DEFAULT, "", &top, &BundleFile::default(), pools);
        let mut bundles = BTreeMap::from([(DEFAULT.to_owned(), Arc::new(default))]);
        if file.bundles.len() > MAX_PROFILES {
            self.refuse("bundles", format!("expected at most {MAX_PROFILES}"));
        }
        for (name, bundle) in std::mem::take(&mut file.bundles) {
            let prefix = format!("bundles.{name}.");
            self.profile_name(&prefix, &name);
            let bundle = self.bundle(&name, &prefix, &bundle, &top, pools);
            bundles.insert(name, Arc::new(bundle));
        }
        bundles
    }

    fn bundle(
        &mut self,
        name: &str,
        prefix: &str,
        own: &BundleFile,
        top: &BundleFile,
        pools: &BTreeMap<String, Vec<Range>>,
    ) -> Bundle {
        let path = |key: &str| format!("{prefix}{key}");
        let pool = own.pool.as_ref().or(top.pool.as_ref());
        let pool = pool.cloned().unwrap_or_else(|| DEFAULT.to_owned());
        if !pools.contains_key(&pool) {
            let message = format!("there is no pool {pool}, expected one of `pools`");
            self.refuse(&path("pool"), message);
        }
        let local = own.local_address.or(top.local_address);
        if local.is_none() && !prefix.is_empty() {
            self.refuse(
                &path("local_address"),
                "missing here and at the top, expected the server's own address in the tunnels",
            );
        }
        let dns = self.servers(&path("dns"), own.dns.as_ref().or(top.dns.as_ref()));
        let nbns = self.servers(&path("nbns"), own.nbns.as_ref().or(top.nbns.as_ref()));
        let hooks = own.hooks.as_ref().or(top.hooks.as_ref());
        let hooks = hooks.cloned().unwrap_or_default();
        let (up, down) = if own.hooks.is_some() || prefix.is_empty() {
            (
                self.hook(&path("hooks.up"), hooks.up),
                self.hook(&path("hooks.down"), hooks.down),
            )
        } else {
            // What is wrong with those of the top level is said there.
            (command(hooks.up), command(hooks.down))
        };
        let interface = own.interface.as_ref().or(top.interface.as_ref());
        let limit = |own: Option<SecondsOrOff>, top: Option<SecondsOrOff>| {
            own.or(top).filter(|n| n.get() > 0).map(Number::seconds)
        };
        let ipv6 = own.ipv6.as_ref().or(top.ipv6.as_ref());
        if let Some(ipv6) = own.ipv6.as_ref() {
            self.prefixes(&path("ipv6.prefixes"), ipv6);
        }
        Bundle {
            name: name.to_owned(),
            ipv4: true,
            ipv6: ipv6.is_some_and(Ipv6File::is_on),
            router: ipv6.map(Ipv6File::router).unwrap_or_default(),
            local_address: local.map_or(Ipv4Addr::UNSPECIFIED, |address| address.0),
            pool,
            dns,
            nbns,
            routes: own.routes.iter().map(|Text(route)| *route).collect(),
            mtu: InterfaceMtu::AtMost(own.mtu.map_or(1500, Number::octets)),
            interface: self.interface(&path("interface"), interface),
            up,
            down,
            idle_timeout: limit(own.idle_timeout, top.idle_timeout),
            session_timeout: limit(own.session_timeout, top.session_timeout),
        }
    }

    fn prefixes(&mut self, path: &str, file: &Ipv6File) {
        let prefixes = file.router().prefixes;
        for (index, prefix) in prefixes.iter().enumerate() {
            let before = prefixes.iter().take(index);
            if let Some(other) = before.into_iter().find(|other| other.overlaps(prefix)) {
                let message = format!("overlaps {other}, expected prefixes apart");
                self.refuse(&format!("{path}.{index}"), message);
            }
        }
    }

    fn servers(&mut self, path: &str, servers: Option<&Vec<Text<Ipv4Addr>>>) -> Vec<Ipv4Addr> {
        let servers: Vec<Ipv4Addr> = servers.into_iter().flatten().map(|a| a.0).collect();
        if servers.len() > 2 {
            self.refuse(
                &format!("{path}.2"),
                "IPCP carries a primary and a secondary server only, expected at most two",
            );
        }
        servers
    }

    fn interface(&mut self, path: &str, file: Option<&InterfaceFile>) -> InterfaceSettings {
        let file = file.cloned().unwrap_or_default();
        for (key, value, most) in [("name", &file.name, 10), ("group", &file.group, 15)] {
            let fits = |name: &str| {
                !name.is_empty()
                    && name.len() <= most
                    && name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && !name.ends_with(|c: char| c.is_ascii_digit())
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            };
            if value.as_ref().is_some_and(|name| !fits(name)) {
                let message =
                    format!("expected up to {most} letters, digits and _, no digit at the end");
                self.refuse(&format!("{path}.{key}"), message);
            }
        }
        if let Some(other) = file.description.as_deref().and_then(unknown_conversion) {
            let message = format!("%{other} is none of %{CONVERSIONS}");
            self.refuse(&format!("{path}.description"), message);
        }
        InterfaceSettings {
            name: file.name,
            description: file.description,
            group: file.group,
            proxy_arp: file.proxy_arp,
        }
    }

    /// Those of the file, or the one of the top level.
    pub(super) fn links(
        &mut self,
        file: &mut File,
        bundles: &BTreeMap<String, Arc<Bundle>>,
    ) -> Vec<Arc<LinkProfile>> {
        let top = LinkFile {
            sequencing: Some(file.sequencing),
            authentication: file.authentication.take(),
            authentication_timeout: file.authentication_timeout,
            mtu: file.mtu,
            mru: file.mru,
            echo: file.echo,
            ..LinkFile::default()
        };
        if file.links.is_empty() {
            let own = LinkFile::default();
            return vec![Arc::new(self.link("", own, &top, bundles))];
        }
        if file.links.len() > MAX_PROFILES {
            self.refuse("links", format!("expected at most {MAX_PROFILES}"));
        }
        self.methods("", top.authentication.as_ref());
        let mut links: Vec<Arc<LinkProfile>> = Vec::new();
        for (index, own) in std::mem::take(&mut file.links).into_iter().enumerate() {
            let prefix = format!("links.{index}.");
            let link = self.link(&prefix, own, &top, bundles);
            if links.iter().any(|other| other.name == link.name) {
                self.refuse(&format!("{prefix}name"), "expected each name once");
            }
            links.push(Arc::new(link));
        }
        links
    }

    fn link(
        &mut self,
        prefix: &str,
        own: LinkFile,
        top: &LinkFile,
        bundles: &BTreeMap<String, Arc<Bundle>>,
    ) -> LinkProfile {
        let path = |key: &str| format!("{prefix}{key}");
        let name = own.name.unwrap_or_else(|| DEFAULT.to_owned());
        self.profile_name(&path("name"), &name);
        self.secret(&path("secret"), own.secret.as_ref());
        for (key, set) in [
            ("require_secret", own.require_secret),
            ("hide_avps", own.hide_avps),
        ] {
            if set && own.secret.is_none() {
                self.refuse(&path(key), "needs a `secret` of the link");
            }
        }
        if let Some(host_name) = &own.host_name {
            self.host_name(&path("host_name"), host_name);
        }
        let methods = own.authentication.as_ref().or(top.authentication.as_ref());
        self.methods(prefix, methods);
        let actions = self.actions(prefix, own.actions, bundles);
        let seconds = Duration::from_secs;
        let echo = own.echo.or(top.echo).unwrap_or_default();
        let octets =
            |own: Option<Mtu>, top: Option<Mtu>| own.or(top).map_or(DEFAULT_MTU, Number::octets);
        let local = own.local.map(|Text(local)| local);
        LinkProfile {
            name,
            local_address: local.and_then(|local| local.address),
            local_port: local.and_then(|local| local.port),
            peer: own.peer.map(|Text(peer)| peer.trunc()),
            peer_port: None,
            tunnel: TunnelSettings {
                host_name: own.host_name,
                secret: own.secret,
                require_secret: own.require_secret,
                hide_avps: own.hide_avps,
                sequencing: own.sequencing.or(top.sequencing).unwrap_or(false),
                length: own.length.unwrap_or(true),
            },
            authentication: methods.cloned().unwrap_or_else(|| {
                vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap]
            }),
            authentication_timeout: own
                .authentication_timeout
                .or(top.authentication_timeout)
                .map_or(seconds(60), Number::seconds),
            mtu: octets(own.mtu, top.mtu),
            mru: octets(own.mru, top.mru),
            protocol_compression: true,
            address_compression: true,
            echo_interval: echo
                .interval
                .map_or(Some(seconds(30)), |n| (n.get() > 0).then(|| n.seconds())),
            echo_failures: echo
                .failures
                .and_then(|n| u8::try_from(n.get()).ok())
                .unwrap_or(4),
            max_sessions: own.max_sessions.map(Number::size),
            actions,
        }
    }

    fn methods(&mut self, prefix: &str, methods: Option<&Vec<AuthMethod>>) {
        if methods.is_some_and(Vec::is_empty) {
            self.refuse(
                &format!("{prefix}authentication"),
                "nobody could log in, expected at least one of mschapv2, chap-md5, pap",
            );
        }
    }

    fn actions(
        &mut self,
        prefix: &str,
        actions: Vec<ActionFile>,
        bundles: &BTreeMap<String, Arc<Bundle>>,
    ) -> Vec<Action> {
        let default = || Action {
            bundle: bundles.get(DEFAULT).cloned(),
            pattern: None,
        };
        if actions.is_empty() {
            return vec![default()];
        }
        let mut all = Vec::new();
        for (index, action) in actions.into_iter().enumerate() {
            let path = |key: &str| format!("{prefix}actions.{index}{key}");
            let pattern = match action.r#match.as_deref().map(Pattern::new) {
                None => None,
                Some(Ok(pattern)) => Some(pattern),
                Some(Err(error)) => {
                    self.refuse(&path(".match"), format!("no regular expression: {error}"));
                    None
                }
            };
            let bundle = match (&action.bundle, action.drop) {
                (Some(name), false) => {
                    let bundle = bundles.get(name).cloned();
                    if bundle.is_none() {
                        let message =
                            format!("there is no bundle {name}, expected one of `bundles`");
                        self.refuse(&path(".bundle"), message);
                    }
                    bundle
                }
                (None, true) => None,
                _ => {
                    self.refuse(&path(""), "expected either `bundle: NAME` or `drop: true`");
                    None
                }
            };
            all.push(Action { bundle, pattern });
        }
        all
    }

    fn profile_name(&mut self, path: &str, name: &str) {
        let fits =
            !name.is_empty() && name.len() <= 32 && name.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            self.refuse(path, "expected a name of 1 to 32 letters and digits");
        }
    }

    fn hook(&mut self, path: &str, words: Option<Vec<String>>) -> Option<HookCommand> {
        let words = words?;
        let Some(program) = words.first().map(PathBuf::from) else {
            self.refuse(path, "empty, expected [program, argument, ...]");
            return None;
        };
        if !program.is_absolute() {
            self.refuse(
                path,
                "expected an absolute path first, then arguments; no shell runs it",
            );
        } else if !program.is_file() {
            self.refuse(
                path,
                format!("{} is not there or no file", program.display()),
            );
        }
        if words.iter().any(|word| word.contains('\0')) {
            self.refuse(path, "a zero octet cannot be in an argument");
        }
        command(Some(words))
    }
}

fn command(words: Option<Vec<String>>) -> Option<HookCommand> {
    let mut words = words?.into_iter();
    Some(HookCommand {
        program: words.next()?.into(),
        arguments: words.collect(),
    })
}

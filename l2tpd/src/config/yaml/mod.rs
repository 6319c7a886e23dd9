//! `l2tpd.yaml`, its keys and defaults, and the way from there to [`Config`].
//!
//! The keys of the top level are those of one link, one bundle and one pool; where a file has
//! `links`, `bundles` or `pools` of its own, they are what those leave out.

mod connections;
mod console;
mod ipv6;
mod profiles;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use ppp_proto::AuthMethod;
use serde::Deserialize;
use tanuki_daemon::config::{Problem, Problems, Source};
use tanuki_daemon::log::LogConfig;

use super::model::{Config, KernelChoice, L2tpSettings, Limits, UserLimit, UsersFile};
use super::profile::DEFAULT;
use super::scalar::{Endpoint, L2TP_PORT, Mtu, Number, Seconds, SecondsOrOff, Text};
use crate::pool::Range;
use crate::secret::Secret;
use connections::ConnectionFile;
use console::{ConsoleFile, WebFile};
use ipv6::Ipv6File;
use profiles::{BundleFile, EchoFile, HooksFile, InterfaceFile, LinkFile};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    listen: Option<Vec<Text<Endpoint>>>,
    #[serde(default)]
    kernel: KernelChoice,
    host_name: Option<String>,
    users: Option<PathBuf>,
    mpd_secret: Option<PathBuf>,
    local_address: Option<Text<Ipv4Addr>>,
    #[serde(default)]
    pool: Vec<Text<Range>>,
    #[serde(default)]
    pools: BTreeMap<String, Vec<Text<Range>>>,
    dns: Option<Vec<Text<Ipv4Addr>>>,
    nbns: Option<Vec<Text<Ipv4Addr>>>,
    authentication: Option<Vec<AuthMethod>>,
    authentication_timeout: Option<Seconds>,
    mtu: Option<Mtu>,
    mru: Option<Mtu>,
    ipv6: Option<Ipv6File>,
    echo: Option<EchoFile>,
    idle_timeout: Option<SecondsOrOff>,
    session_timeout: Option<SecondsOrOff>,
    interface: Option<InterfaceFile>,
    #[serde(default)]
    bundles: BTreeMap<String, BundleFile>,
    #[serde(default)]
    links: Vec<LinkFile>,
    hello: Option<Seconds>,
    secret: Option<Secret>,
    #[serde(default)]
    sequencing: bool,
    tunnel_idle: Option<Seconds>,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(default)]
    hooks: HooksFile,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    connections: BTreeMap<String, ConnectionFile>,
    console: Option<ConsoleFile>,
    web: Option<WebFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    tunnels: Option<Number<1, 65_000>>,
    half_open: Option<Number<1, 65_000>>,
    tunnels_per_source: Option<Number<1, 65_000>>,
    sessions_per_tunnel: Option<Number<1, 65_000>>,
    sessions: Option<Number<1, 130_000>>,
    sessions_per_user: Option<Number<0, 65_000>>,
    #[serde(default)]
    one_more: OneMore,
}

/// What becomes of a session beyond `sessions_per_user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OneMore {
    #[default]
    Replaces,
    Refused,
}

const DEFAULT_MTU: u16 = 1400;

impl Config {
    /// Checks a YAML text that is in memory already.
    ///
    /// # Errors
    /// Every problem found, each with its place and what would be accepted.
    pub fn from_source(source: &Source) -> Result<Self, Problems> {
        let file: File = source.parse()?;
        let mut check = Check {
            source,
            problems: Vec::new(),
        };
        let config = check.config(file);
        match config {
            Some(config) if check.problems.is_empty() => Ok(config),
            _ => Err(Problems(check.problems)),
        }
    }
}

/// What depends on several values.
struct Check<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

/// Every address of this host, by IPv6 only where it has that at all.
fn everywhere() -> Vec<SocketAddr> {
    let families = [
        IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::from(Ipv6Addr::UNSPECIFIED),
    ];
    families
        .into_iter()
        .filter(|any| any.is_ipv4() || UdpSocket::bind((*any, 0)).is_ok())
        .map(|any| SocketAddr::new(any, L2TP_PORT))
        .collect()
}

impl Check<'_> {
    fn refuse(&mut self, path: &str, message: impl std::fmt::Display) {
        self.problems.push(self.source.problem(path, message));
    }

    fn config(&mut self, mut file: File) -> Option<Config> {
        if file.listen.as_ref().is_some_and(Vec::is_empty) && file.connections.is_empty() {
            self.refuse("listen", "nothing to do, expected at least one address");
        }
        self.secret("secret", file.secret.as_ref());
        let serves = file.listen.as_ref().is_none_or(|listen| !listen.is_empty());
        let users = self.users(&file, serves);
        if serves && file.local_address.is_none() && file.bundles.is_empty() {
            self.refuse(
                "local_address",
                "missing, expected the server's own address inside the tunnels, such as 10.77.0.1",
            );
        }
        let host_name = self.host_name("host_name", file.host_name.as_deref().unwrap_or("tanuki"));
        let seconds = std::time::Duration::from_secs;
        let hook_timeout = file.hooks.timeout.map_or(seconds(30), Number::seconds);
        let pools = self.pools(&mut file);
        let bundles = self.bundles(&mut file, &pools);
        let links = self.links(&mut file, &bundles);
        let connections = self.connections(
            std::mem::take(&mut file.connections),
            file.sequencing,
            &bundles,
        );
        let console = self.console(file.console, file.web);
        let limits = &file.limits;
        let tunnels = limits.tunnels.map_or(16_000, Number::size);
        Some(Config {
            listen: file.listen.map_or_else(everywhere, |listen| {
                listen
                    .into_iter()
                    .map(|Text(Endpoint(address))| address)
                    .collect()
            }),
            kernel: file.kernel,
            host_name,
            users,
            l2tp: L2tpSettings {
                secret: file.secret,
                hello: file.hello.map_or(seconds(60), Number::seconds),
                sequencing: file.sequencing,
                idle: file.tunnel_idle.map_or(seconds(120), Number::seconds),
            },
            links,
            bundles,
            pools,
            limits: Limits {
                tunnels,
                half_open: limits.half_open.map_or(2000, Number::size),
                tunnels_per_source: limits.tunnels_per_source.map_or(250, Number::size),
                sessions_per_tunnel: limits.sessions_per_tunnel.map_or(16, Number::size),
                sessions: limits
                    .sessions
                    .map_or(tunnels.saturating_mul(2), Number::size),
                sessions_per_user: limits.sessions_per_user.and_then(|n| {
                    (n.get() > 0).then(|| UserLimit {
                        sessions: n.size(),
                        refuse: limits.one_more == OneMore::Refused,
                        ignore_case: false,
                    })
                }),
            },
            hook_timeout,
            log: file.log,
            connections,
            console,
        })
    }

    fn users(&mut self, file: &File, serves: bool) -> UsersFile {
        match (&file.users, &file.mpd_secret) {
            (Some(_), Some(_)) => {
                self.refuse(
                    "mpd_secret",
                    "there are `users` too, expected one of the two",
                );
                UsersFile::None
            }
            (Some(users), None) => UsersFile::Yaml(self.beside(users)),
            (None, Some(secret)) => UsersFile::MpdSecret(self.beside(secret)),
            (None, None) => {
                if serves {
                    self.refuse(
                        "users",
                        "missing, expected the path of the users file (see l2tpd.yaml(5))",
                    );
                }
                UsersFile::None
            }
        }
    }

    /// `pool` is the one called default.
    fn pools(&mut self, file: &mut File) -> BTreeMap<String, Vec<Range>> {
        let mut pools = BTreeMap::new();
        let named = std::mem::take(&mut file.pools).into_iter();
        let default = std::mem::take(&mut file.pool);
        if !default.is_empty() && file.local_address.is_some() {
            let own = file.local_address.map(|Text(address)| address);
            for (index, Text(range)) in default.iter().enumerate() {
                if range.size() == 1 && own.is_some_and(|address| range.contains(address)) {
                    self.refuse(
                        &format!("pool.{index}"),
                        "is the server's own local_address, expected addresses for clients",
                    );
                }
            }
        }
        let all =
            std::iter::once((None, default)).chain(named.map(|(name, pool)| (Some(name), pool)));
        let mut seen: Vec<Range> = Vec::new();
        for (name, ranges) in all {
            let path = name
                .as_ref()
                .map_or_else(|| "pool".to_owned(), |name| format!("pools.{name}"));
            for (index, Text(range)) in ranges.iter().enumerate() {
                if let Some(other) = seen.iter().find(|other| other.overlaps(range)) {
                    let message = format!("overlaps {other}, expected ranges apart");
                    self.refuse(&format!("{path}.{index}"), message);
                }
                seen.push(*range);
            }
            let name = name.unwrap_or_else(|| DEFAULT.to_owned());
            if pools.contains_key(&name) && !ranges.is_empty() {
                self.refuse(&path, "is what `pool` is called, expected another name");
                continue;
            }
            pools.insert(name, ranges.into_iter().map(|Text(range)| range).collect());
        }
        pools
    }

    fn secret(&mut self, path: &str, secret: Option<&Secret>) {
        if secret.is_some_and(|secret| secret.octets().is_empty()) {
            self.refuse(
                path,
                "empty, expected a shared secret or no such key at all",
            );
        }
    }

    fn host_name(&mut self, path: &str, name: &str) -> String {
        let fits =
            !name.is_empty() && name.len() <= 255 && name.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            self.refuse(path, "expected 1 to 255 letters, digits, dots or dashes");
        }
        name.to_owned()
    }

    /// A path in the file is relative to the file.
    fn beside(&self, path: &Path) -> PathBuf {
        self.source
            .file()
            .parent()
            .unwrap_or(Path::new(""))
            .join(path)
    }
}

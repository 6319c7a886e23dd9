//! `l2tpd.yaml`, its keys and defaults, and the way from there to [`Config`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use ppp_proto::AuthMethod;
use serde::Deserialize;
use tanuki_daemon::config::{Problem, Problems, Source};
use tanuki_daemon::log::LogConfig;

use super::model::{
    Config, Connection, HookCommand, Hooks, KernelChoice, L2tpSettings, Limits, PppSettings,
};
use super::scalar::{Endpoint, L2TP_PORT, Number, Text};
use crate::pool::Range;
use crate::secret::Secret;

/// RFC 1661 section 5.1 has no lower bound; 576 is what every IPv4 host must take (RFC 791).
type Mtu = Number<576, 1500>;
type Seconds = Number<1, 86_400>;
type SecondsOrOff = Number<0, 86_400>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    listen: Option<Vec<Text<Endpoint>>>,
    #[serde(default)]
    kernel: KernelChoice,
    host_name: Option<String>,
    users: Option<PathBuf>,
    local_address: Option<Text<Ipv4Addr>>,
    #[serde(default)]
    pool: Vec<Text<Range>>,
    #[serde(default)]
    dns: Vec<Text<Ipv4Addr>>,
    #[serde(default)]
    nbns: Vec<Text<Ipv4Addr>>,
    authentication: Option<Vec<AuthMethod>>,
    authentication_timeout: Option<Seconds>,
    mtu: Option<Mtu>,
    mru: Option<Mtu>,
    #[serde(default)]
    ipv6: bool,
    #[serde(default)]
    echo: EchoFile,
    hello: Option<Seconds>,
    secret: Option<Secret>,
    #[serde(default)]
    sequencing: bool,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(default)]
    hooks: HooksFile,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    connections: BTreeMap<String, ConnectionFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoFile {
    interval: Option<SecondsOrOff>,
    failures: Option<Number<1, 255>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    tunnels: Option<Number<1, 65_000>>,
    half_open: Option<Number<1, 65_000>>,
    tunnels_per_source: Option<Number<1, 65_000>>,
    sessions_per_tunnel: Option<Number<1, 65_000>>,
    sessions_per_user: Option<Number<0, 65_000>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HooksFile {
    up: Option<Vec<String>>,
    down: Option<Vec<String>>,
    timeout: Option<Seconds>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionFile {
    server: Text<Endpoint>,
    local: Option<Text<IpAddr>>,
    user: String,
    password: Secret,
    secret: Option<Secret>,
    #[serde(default)]
    routes: Vec<Text<IpNet>>,
    #[serde(default)]
    automatic: bool,
    retry: Option<Seconds>,
    mtu: Option<Mtu>,
    #[serde(default)]
    ipv6: bool,
}

const DEFAULT_MTU: u16 = 1400;

impl Config {
    /// Reads and checks `file`.
    ///
    /// # Errors
    /// Every problem found, each with its place and what would be accepted.
    pub fn read(file: &Path) -> Result<Self, Problems> {
        Self::from_source(&Source::read(file)?)
    }

    /// Checks a text that is in memory already.
    ///
    /// # Errors
    /// As [`Config::read`].
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

impl Check<'_> {
    fn refuse(&mut self, path: &str, message: impl std::fmt::Display) {
        self.problems.push(self.source.problem(path, message));
    }

    fn config(&mut self, file: File) -> Option<Config> {
        self.ranges(&file);
        for (path, servers) in [("dns", &file.dns), ("nbns", &file.nbns)] {
            if servers.len() > 2 {
                self.refuse(
                    &format!("{path}.2"),
                    "IPCP carries a primary and a secondary server only, expected at most two",
                );
            }
        }
        if file.authentication.as_ref().is_some_and(Vec::is_empty) {
            self.refuse(
                "authentication",
                "nobody could log in, expected at least one of mschapv2, chap-md5, pap",
            );
        }
        if file.listen.as_ref().is_some_and(Vec::is_empty) && file.connections.is_empty() {
            self.refuse("listen", "nothing to do, expected at least one address");
        }
        if file
            .secret
            .as_ref()
            .is_some_and(|secret| secret.octets().is_empty())
        {
            self.refuse(
                "secret",
                "empty, expected a shared secret or no such key at all",
            );
        }
        let serves = file.listen.as_ref().is_none_or(|listen| !listen.is_empty());
        let users = match &file.users {
            Some(users) => self.beside(users),
            None if serves => {
                self.refuse(
                    "users",
                    "missing, expected the path of the users file (see l2tpd.yaml(5))",
                );
                PathBuf::new()
            }
            None => PathBuf::new(),
        };
        if serves && file.local_address.is_none() {
            self.refuse(
                "local_address",
                "missing, expected the server's own address inside the tunnels, such as 10.77.0.1",
            );
        }
        let host_name = self.host_name(file.host_name.as_deref());
        let hooks = Hooks {
            up: self.hook("hooks.up", file.hooks.up),
            down: self.hook("hooks.down", file.hooks.down),
            timeout: file
                .hooks
                .timeout
                .map_or(std::time::Duration::from_secs(30), Number::seconds),
        };
        let connections: BTreeMap<_, _> = file
            .connections
            .into_iter()
            .filter_map(|(name, connection)| {
                Some((name.clone(), self.connection(&name, connection)?))
            })
            .collect();
        self.distinct_servers(&connections);
        let seconds = std::time::Duration::from_secs;
        let limits = &file.limits;
        Some(Config {
            listen: file.listen.map_or_else(
                || vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, L2TP_PORT))],
                |listen| {
                    listen
                        .into_iter()
                        .map(|Text(Endpoint(address))| address)
                        .collect()
                },
            ),
            kernel: file.kernel,
            host_name,
            users,
            l2tp: L2tpSettings {
                secret: file.secret,
                hello: file.hello.map_or(seconds(60), Number::seconds),
                sequencing: file.sequencing,
            },
            ppp: PppSettings {
                authentication: file.authentication.unwrap_or_else(|| {
                    vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5, AuthMethod::Pap]
                }),
                local_address: file.local_address.map_or(Ipv4Addr::UNSPECIFIED, |a| a.0),
                dns: file.dns.into_iter().map(|a| a.0).collect(),
                nbns: file.nbns.into_iter().map(|a| a.0).collect(),
                mtu: file.mtu.map_or(DEFAULT_MTU, Number::octets),
                mru: file.mru.map_or(DEFAULT_MTU, Number::octets),
                ipv6: file.ipv6,
                echo_interval: file
                    .echo
                    .interval
                    .map_or(Some(seconds(30)), |n| (n.get() > 0).then(|| n.seconds())),
                echo_failures: file
                    .echo
                    .failures
                    .and_then(|n| u8::try_from(n.get()).ok())
                    .unwrap_or(4),
                authentication_timeout: file
                    .authentication_timeout
                    .map_or(seconds(60), Number::seconds),
            },
            pool: file.pool.into_iter().map(|range| range.0).collect(),
            limits: Limits {
                tunnels: limits.tunnels.map_or(10_000, Number::size),
                half_open: limits.half_open.map_or(500, Number::size),
                tunnels_per_source: limits.tunnels_per_source.map_or(250, Number::size),
                sessions_per_tunnel: limits.sessions_per_tunnel.map_or(16, Number::size),
                sessions_per_user: limits
                    .sessions_per_user
                    .and_then(|n| (n.get() > 0).then(|| n.size())),
            },
            hooks,
            log: file.log,
            connections,
        })
    }

    fn ranges(&mut self, file: &File) {
        for (index, Text(range)) in file.pool.iter().enumerate() {
            let path = format!("pool.{index}");
            if let Some(Text(other)) = file.pool.iter().take(index).find(|o| o.0.overlaps(range)) {
                self.refuse(&path, format!("overlaps {other}, expected ranges apart"));
            }
            if range.size() == 1
                && file
                    .local_address
                    .is_some_and(|address| range.contains(address.0))
            {
                self.refuse(
                    &path,
                    "is the server's own local_address, expected addresses for clients",
                );
            }
        }
    }

    fn host_name(&mut self, name: Option<&str>) -> String {
        let name = name.unwrap_or("tanuki");
        let fits =
            !name.is_empty() && name.len() <= 255 && name.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            self.refuse(
                "host_name",
                "expected 1 to 255 letters, digits, dots or dashes",
            );
        }
        name.to_owned()
    }

    fn hook(&mut self, path: &str, words: Option<Vec<String>>) -> Option<HookCommand> {
        let mut words = words?.into_iter();
        let Some(program) = words.next() else {
            self.refuse(path, "empty, expected [program, argument, ...]");
            return None;
        };
        let program = PathBuf::from(program);
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
        if words.as_slice().iter().any(|word| word.contains('\0')) {
            self.refuse(path, "a zero octet cannot be in an argument");
        }
        Some(HookCommand {
            program,
            arguments: words.collect(),
        })
    }

    fn connection(&mut self, name: &str, file: ConnectionFile) -> Option<Connection> {
        let path = |key: &str| format!("connections.{name}.{key}");
        let server = file.server.0.0;
        if server.ip().is_unspecified() || server.ip().is_multicast() {
            self.refuse(&path("server"), "expected the address of one host");
        }
        if file.user.is_empty() || file.user.len() > 255 {
            self.refuse(&path("user"), "expected a name of 1 to 255 octets");
        }
        if file.password.octets().is_empty() || file.password.octets().len() > 255 {
            self.refuse(&path("password"), "expected a password of 1 to 255 octets");
        }
        let any = match server {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED),
        };
        let local = file.local.map_or(any, |local| local.0);
        if local.is_ipv4() != server.is_ipv4() {
            self.refuse(
                &path("local"),
                "expected the same family as the server's address",
            );
        }
        for (index, Text(route)) in file.routes.iter().enumerate() {
            // The packets of the tunnel itself would then enter the tunnel.
            if route.prefix_len() > 0 && route.contains(&server.ip()) {
                self.refuse(
                    &path(&format!("routes.{index}")),
                    format!(
                        "contains the server {} itself, expected networks behind it",
                        server.ip()
                    ),
                );
            }
        }
        Some(Connection {
            server,
            local: SocketAddr::new(local, L2TP_PORT),
            user: file.user,
            password: file.password,
            secret: file.secret,
            routes: file.routes.into_iter().map(|route| route.0).collect(),
            automatic: file.automatic,
            retry: file
                .retry
                .map_or(std::time::Duration::from_secs(10), Number::seconds),
            mtu: file.mtu.map_or(DEFAULT_MTU, Number::octets),
            ipv6: file.ipv6,
        })
    }

    /// One pair of addresses and ports is one tunnel.
    fn distinct_servers(&mut self, connections: &BTreeMap<String, Connection>) {
        let mut seen = BTreeMap::new();
        for (name, connection) in connections {
            if let Some(other) = seen.insert((connection.local, connection.server), name) {
                let message =
                    format!("is the server of {other} too, expected another or a `local`");
                self.refuse(&format!("connections.{name}.server"), message);
            }
        }
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

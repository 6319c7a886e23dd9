//! The model as an `l2tpd.yaml` that leads to it again, for `tanuki-import`. What YAML has no word
//! for is told.

use std::fmt::Display;
use std::time::Duration;

use ppp_proto::AuthMethod;
use tanuki_daemon::yaml::{Lines, Origin, list, quoted};

use super::model::{Config, Connection, HookCommand, KernelChoice, UsersFile};
use super::profile::{Bundle, InterfaceMtu, LinkProfile, RouterSettings, TunnelSettings};
use crate::console::Role;
use crate::pool::Range;
use crate::secret::Secret;

/// The text, and what it could not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// `l2tpd.yaml`.
    pub text: String,
    /// Settings without a counterpart: path, and why.
    pub left: Vec<(String, String)>,
}

/// `config` in the words of l2tpd.yaml(5). `users` is the file with the users in YAML, when it is
/// another than the configuration's.
#[must_use]
pub fn yaml(config: &Config, users: Option<&str>, origin: &Origin<'_>) -> Written {
    let mut out = Yaml {
        lines: Lines::new(origin),
        left: Vec::new(),
    };
    out.head(config, users);
    out.pools(config);
    out.bundles(config);
    out.links(config);
    out.connections(config);
    out.console(config);
    Written {
        text: out.lines.into_text(),
        left: out.left,
    }
}

struct Yaml<'a> {
    lines: Lines<'a>,
    left: Vec<(String, String)>,
}

fn secret(secret: &Secret) -> String {
    quoted(&String::from_utf8_lossy(secret.octets()))
}

fn command(command: &HookCommand) -> String {
    let program = command.program.display().to_string();
    list(
        std::iter::once(&program)
            .chain(&command.arguments)
            .map(|word| quoted(word)),
    )
}

impl Yaml<'_> {
    fn key(&mut self, key: &str, value: impl Display) {
        self.lines.key(key, value);
    }

    fn some(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    fn leave(&mut self, key: &str, why: &str) {
        let path = self.lines.full(key);
        self.left.push((path, why.to_owned()));
    }

    /// A mapping; its head carries the origin of the whole.
    fn section(&mut self, key: &str, name: &str, body: impl FnOnce(&mut Self)) {
        let origin = self.lines.origin(name);
        self.lines.line(key, origin);
        self.lines.enter(name, 2);
        body(self);
        self.lines.leave();
    }

    fn head(&mut self, config: &Config, users: Option<&str>) {
        self.key(
            "listen",
            list(
                config
                    .listen
                    .iter()
                    .map(|address| quoted(&address.to_string())),
            ),
        );
        match config.kernel {
            KernelChoice::Auto => {}
            KernelChoice::System => self.key("kernel", "system"),
            KernelChoice::Soft => self.key("kernel", "soft"),
        }
        self.key("host_name", quoted(&config.host_name));
        match (&config.users, users) {
            (UsersFile::None, _) => {}
            (UsersFile::Yaml(path), None) => {
                self.key("users", quoted(&path.display().to_string()));
            }
            (UsersFile::MpdSecret(path), None) => {
                self.key("mpd_secret", quoted(&path.display().to_string()));
            }
            (_, Some(users)) => self.key("users", quoted(users)),
        }
        self.some("secret", config.l2tp.secret.as_ref().map(secret));
        self.key("hello", config.l2tp.hello.as_secs());
        self.key("tunnel_idle", config.l2tp.idle.as_secs().max(1));
        self.key("sequencing", config.l2tp.sequencing);
        let limits = config.limits;
        self.section("limits:", "limits", |out| {
            out.key("tunnels", limits.tunnels);
            out.key("half_open", limits.half_open);
            out.key("tunnels_per_source", limits.tunnels_per_source);
            out.key(
                "sessions_per_tunnel",
                limits.sessions_per_tunnel.min(65_000),
            );
            out.key("sessions", limits.sessions.max(1));
            if let Some(limit) = limits.sessions_per_user {
                out.key("sessions_per_user", limit.sessions.min(65_000));
                out.key(
                    "one_more",
                    if limit.refuse { "refused" } else { "replaces" },
                );
                if limit.ignore_case {
                    out.leave(
                        "sessions_per_user",
                        "names that differ in case are several users",
                    );
                }
            }
        });
        if config.hook_timeout != Duration::from_secs(30) {
            let seconds = config.hook_timeout.as_secs();
            self.lines
                .line(&format!("hooks: {{timeout: {seconds}}}"), None);
        }
    }

    fn pools(&mut self, config: &Config) {
        let pools = config.pools.iter().filter(|(_, ranges)| !ranges.is_empty());
        let pools: Vec<(&String, &Vec<Range>)> = pools.collect();
        if pools.is_empty() {
            return;
        }
        self.section("pools:", "pools", |out| {
            for (name, ranges) in pools {
                let origin = out.lines.origin(name);
                out.lines
                    .line(&format!("{}: {}", quoted(name), list(ranges)), origin);
            }
        });
    }

    fn bundles(&mut self, config: &Config) {
        if config.bundles.is_empty() {
            return;
        }
        self.section("bundles:", "bundles", |out| {
            for (name, bundle) in &config.bundles {
                out.section(&format!("{}:", quoted(name)), name, |out| {
                    out.bundle(bundle)
                });
            }
        });
    }

    fn bundle(&mut self, bundle: &Bundle) {
        self.key("local_address", bundle.local_address);
        if bundle.router == RouterSettings::default() {
            self.key("ipv6", bundle.ipv6);
        } else {
            let RouterSettings { prefixes, dns } = &bundle.router;
            let dns = dns.iter().map(|server| quoted(&server.to_string()));
            let all = format!("{{prefixes: {}, dns: {}}}", list(prefixes), list(dns));
            self.key("ipv6", all);
        }
        if !bundle.ipv4 {
            self.leave("ipv4", "IPv4 is always offered");
        }
        if bundle.pool.is_empty() {
            self.leave(
                "pool",
                "users without an address of their own get one of `pool`, if any",
            );
        } else {
            self.key("pool", quoted(&bundle.pool));
        }
        for (key, servers) in [("dns", &bundle.dns), ("nbns", &bundle.nbns)] {
            self.key(key, list(servers));
        }
        self.network(bundle);
    }

    /// What a bundle and a connection have in common.
    fn network(&mut self, bundle: &Bundle) {
        if !bundle.routes.is_empty() {
            self.key("routes", list(&bundle.routes));
        }
        match bundle.mtu {
            InterfaceMtu::AtMost(mtu @ 576..=1499) => self.key("mtu", mtu),
            InterfaceMtu::AtMost(1500..) => {}
            InterfaceMtu::AtMost(_) => self.leave("mtu", "less than 576 is not accepted"),
            InterfaceMtu::Exactly(_) => {
                self.leave(
                    "mtu",
                    "an MTU against what PPP agreed on has no word in YAML",
                );
            }
        }
        let settings = &bundle.interface;
        if !settings.is_empty() {
            self.section("interface:", "interface", |out| {
                out.some("name", settings.name.as_deref().map(quoted));
                out.some("group", settings.group.as_deref().map(quoted));
                out.some("description", settings.description.as_deref().map(quoted));
                out.key("proxy_arp", settings.proxy_arp);
            });
        }
        if bundle.up.is_some() || bundle.down.is_some() {
            self.section("hooks:", "hooks", |out| {
                out.some("up", bundle.up.as_ref().map(command));
                out.some("down", bundle.down.as_ref().map(command));
            });
        }
        for (key, limit) in [
            ("idle_timeout", bundle.idle_timeout),
            ("session_timeout", bundle.session_timeout),
        ] {
            self.some(key, limit.map(|limit| limit.as_secs().min(86_400)));
            if limit.is_some_and(|limit| limit.as_secs() > 86_400) {
                self.leave(key, "more than a day is not accepted");
            }
        }
    }

    fn links(&mut self, config: &Config) {
        if config.links.is_empty() {
            return;
        }
        self.lines.line("links:", None);
        self.lines.enter("links", 0);
        for link in &config.links {
            let origin = self.lines.origin(&link.name);
            let head = format!("- name: {}", quoted(&link.name));
            self.lines.line(&head, origin);
            self.lines.enter(&link.name, 2);
            self.link(link);
            self.lines.leave();
        }
        self.lines.leave();
    }

    fn link(&mut self, link: &LinkProfile) {
        let local = match (link.local_address, link.local_port) {
            (Some(address), Some(port)) => {
                Some(std::net::SocketAddr::new(address, port).to_string())
            }
            (Some(address), None) => Some(address.to_string()),
            (None, Some(port)) => Some(format!(":{port}")),
            (None, None) => None,
        };
        self.some("local", local.as_deref().map(quoted));
        self.some("peer", link.peer.map(|peer| quoted(&peer.to_string())));
        if link.peer_port.is_some() {
            self.leave("peer", "the peer's port does not choose the link");
        }
        self.tunnel(&link.tunnel);
        let methods = link.authentication.iter().map(|method| match method {
            AuthMethod::MsChapV2 => "mschapv2",
            AuthMethod::ChapMd5 => "chap-md5",
            AuthMethod::Pap => "pap",
        });
        self.key("authentication", list(methods));
        self.key(
            "authentication_timeout",
            link.authentication_timeout.as_secs(),
        );
        for (key, octets) in [("mtu", link.mtu), ("mru", link.mru)] {
            self.key(key, octets.max(576));
            if octets < 576 {
                self.leave(key, "less than 576 is not accepted");
            }
        }
        let interval = link.echo_interval.map_or(0, |interval| interval.as_secs());
        let failures = link.echo_failures;
        let echo = format!("{{interval: {interval}, failures: {failures}}}");
        self.key("echo", echo);
        if !(link.protocol_compression && link.address_compression) {
            self.leave("acfcomp", "field compression is always offered");
        }
        self.some(
            "max_sessions",
            link.max_sessions.map(|most| most.clamp(1, 130_000)),
        );
        self.lines.line("actions:", None);
        for action in &link.actions {
            let what = match &action.bundle {
                Some(bundle) => format!("bundle: {}", quoted(&bundle.name)),
                None => "drop: true".to_owned(),
            };
            let pattern = action.pattern.as_ref().map_or_else(String::new, |pattern| {
                format!(", match: {}", quoted(pattern.as_str()))
            });
            self.lines.line(&format!("- {{{what}{pattern}}}"), None);
        }
    }

    fn tunnel(&mut self, tunnel: &TunnelSettings) {
        self.some("host_name", tunnel.host_name.as_deref().map(quoted));
        self.some("secret", tunnel.secret.as_ref().map(secret));
        if tunnel.secret.is_some() {
            self.key("require_secret", tunnel.require_secret);
            self.key("hide_avps", tunnel.hide_avps);
        }
        self.key("sequencing", tunnel.sequencing);
        self.key("length", tunnel.length);
    }

    fn connections(&mut self, config: &Config) {
        if config.connections.is_empty() {
            return;
        }
        self.section("connections:", "connections", |out| {
            for (name, connection) in &config.connections {
                let key = format!("{}:", quoted(name));
                out.section(&key, name, |out| out.connection(connection));
            }
        });
    }

    fn connection(&mut self, connection: &Connection) {
        self.key("server", quoted(&connection.server.to_string()));
        if !connection.local.ip().is_unspecified() {
            self.key("local", connection.local.ip());
        }
        if connection.local.port() != 1701 {
            self.leave("local", "connections leave from port 1701");
        }
        self.key("user", quoted(&connection.user));
        self.key("password", secret(&connection.password));
        self.some("secret", connection.tunnel.secret.as_ref().map(secret));
        if connection.tunnel.host_name.is_some() {
            self.leave("host_name", "a connection has the host name of the file");
        }
        let bundle = &connection.bundle;
        if !bundle.routes.is_empty() {
            self.key("routes", list(&bundle.routes));
        }
        self.key("automatic", connection.automatic);
        self.some("attempts", connection.attempts);
        self.key("retry", connection.retry.as_secs().clamp(1, 86_400));
        self.key("mtu", connection.mtu.max(576));
        self.key("mru", connection.mru.max(576));
        self.key("ipv6", bundle.ipv6);
        for (key, number) in [
            ("calling_number", &connection.calling_number),
            ("called_number", &connection.called_number),
        ] {
            if !number.is_empty() {
                self.key(key, quoted(number));
            }
        }
        let of_bundle = bundle.up.is_some()
            || bundle.down.is_some()
            || bundle.idle_timeout.is_some()
            || bundle.session_timeout.is_some()
            || !bundle.interface.is_empty();
        if of_bundle {
            self.leave(
                "bundle",
                "scripts, interface and timeouts of a connection: write them into one of \
                 `bundles` and name it here",
            );
        }
        if !bundle.local_address.is_unspecified() {
            self.leave(
                "local_address",
                "no address is asked for: the server's choice is taken",
            );
        }
    }

    fn console(&mut self, config: &Config) {
        let console = &config.console;
        if let Some(listen) = console.listen {
            self.section("console:", "console", |out| {
                out.key("listen", quoted(&listen.to_string()));
                out.key("login", console.login);
                out.lines.line("users:", None);
                for user in &console.users {
                    let role = match user.role {
                        Role::User => "user",
                        Role::Operator => "operator",
                        Role::Admin => "admin",
                    };
                    let (name, password) = (quoted(&user.name), secret(&user.password));
                    let line = format!("- {{name: {name}, password: {password}, role: {role}}}");
                    out.lines.line(&line, None);
                }
            });
        }
        if let Some(listen) = console.web {
            self.section("web:", "web", |out| {
                out.key("listen", quoted(&listen.to_string()));
                out.key("login", console.web_login);
            });
            if console.listen.is_none() && !console.users.is_empty() {
                self.leave("console", "users of the web page are those of `console`");
            }
        }
        if console.session_time {
            self.leave("console", "listings of the console have no session time");
        }
    }
}

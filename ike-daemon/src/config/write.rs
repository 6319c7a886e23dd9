//! The model as an `ike-daemon.yaml` that leads to it again: for `-C`, and for `tanuki-import`.

mod policy;
mod words;

use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use ike_proto::Policy;
use ike_proto::io::Mode;
use slog::Level;
use tanuki_daemon::log::{Format, LogConfig, Target};
use tanuki_daemon::yaml::{Lines, Origin, list, quoted};

use super::model::{Config, ConfiguredConnection, KernelChoice, Start};
use words::{peer, period, secret};

pub use words::{identity_name, suite};

/// Whether keys are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// As they are.
    Shown,
    /// Only whom they are for.
    Hidden,
}

/// `config` in the words of ike-daemon.yaml(5): what differs from the default, and what `origin`
/// knows about.
pub fn yaml(config: &Config, secrets: Secrets, origin: &Origin<'_>) -> String {
    let mut out = Yaml(Lines::new(origin));
    out.secrets(config, secrets);
    out.head(config);
    let default = Policy::default();
    let policy = &config.policy;
    out.authentication(config, "", &policy.authentication);
    out.phase1(&policy.phase1, &default.phase1);
    out.phase2(&policy.phase2, &default.phase2);
    out.mode_config(config);
    out.remotes(config);
    out.timers(&config.policy);
    out.limits(&config.policy);
    out.connections(&config.connections, secrets);
    out.admin_socket(config);
    out.scripts(config);
    out.log(&config.log);
    out.0.into_text()
}

struct Yaml<'a>(Lines<'a>);

impl Yaml<'_> {
    /// A key with a value, unless it is the default and nobody wrote it.
    fn key(&mut self, key: &str, value: impl Display, is_default: bool) {
        if !is_default || self.0.origin(key).is_some() {
            self.0.key(key, value);
        }
    }

    fn flag(&mut self, key: &str, value: bool, default: bool) {
        self.key(key, value, value == default);
    }

    fn number<T: Display + PartialEq>(&mut self, key: &str, value: T, default: T) {
        let is_default = value == default;
        self.key(key, value, is_default);
    }

    fn period(&mut self, key: &str, value: Duration, default: Duration) {
        self.key(key, period(value), value == default);
    }

    /// A mapping below `key`; nothing of it when nothing is in it.
    fn section(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        let before = self.0.len();
        self.0.line(&format!("{key}:"), None);
        let inside = self.0.len();
        self.0.enter(key, 2);
        body(self);
        self.0.leave();
        if self.0.len() == inside {
            self.0.undo(before);
        }
    }

    fn secrets(&mut self, config: &Config, secrets: Secrets) {
        let entries = &config.policy.secrets;
        if entries.is_empty() {
            return;
        }
        self.0.line("secrets:", self.0.origin("secrets"));
        self.0.enter("secrets", 2);
        for (index, entry) in entries.iter().enumerate() {
            let origin = self.0.origin(&index.to_string());
            let peers = quoted(&peer(&entry.peer));
            self.0.line(&format!("- peers: {peers}"), origin);
            let key = match secrets {
                Secrets::Shown => secret(&entry.secret),
                Secrets::Hidden => "psk: \"(not shown)\"".to_owned(),
            };
            self.0.line(&format!("  {key}"), None);
        }
        self.0.leave();
    }

    fn head(&mut self, config: &Config) {
        let policy = &config.policy;
        let default = Policy::default();
        let all = config.listen.iter().all(IpAddr::is_unspecified) && !config.listen_is_explicit;
        let listen = list(config.listen.iter().map(|ip| quoted(&ip.to_string())));
        self.key("listen", listen, all);
        self.number("port", policy.nat.ike_port, default.nat.ike_port);
        if let Some(identity) = &policy.local_identity {
            self.key("identity", quoted(&identity_name(identity)), false);
        }
        self.flag("respond", policy.respond, default.respond);
        self.flag("aggressive", policy.aggressive, default.aggressive);
        let fragmentation = &policy.fragmentation;
        self.fragmentation(fragmentation.mode, default.fragmentation.mode);
        let size = (fragmentation.size, default.fragmentation.size);
        self.number("fragment_size", size.0, size.1);
        let scripts = list(
            config
                .setkey
                .iter()
                .map(|file| quoted(&file.to_string_lossy())),
        );
        self.key("setkey", scripts, config.setkey.is_empty());
        let kernel = match config.kernel {
            KernelChoice::Auto => "auto",
            KernelChoice::System => "system",
            KernelChoice::Soft => "soft",
        };
        self.key("kernel", kernel, config.kernel == KernelChoice::Auto);
    }

    /// The section, unless it says what is the case without it.
    fn connections(&mut self, connections: &[ConfiguredConnection], secrets: Secrets) {
        self.section("connections", |out| {
            for configured in connections {
                let key = quoted(&configured.connection.name);
                out.section(&key, |out| out.connection(configured, secrets));
            }
        });
    }

    fn connection(&mut self, configured: &ConfiguredConnection, secrets: Secrets) {
        let own = &configured.connection;
        let tunnel = own.mode == Mode::Tunnel;
        self.key("peer", quoted(&own.peer.to_string()), false);
        let local = quoted(&own.local.to_string());
        self.key("local", local, own.local.is_unspecified());
        let identities = [
            ("identity", &own.local_identity),
            ("peer_identity", &own.peer_identity),
        ];
        for (key, identity) in identities {
            if let Some(identity) = identity {
                self.key(key, quoted(&identity_name(identity)), false);
            }
        }
        self.key("mode", if tunnel { "tunnel" } else { "transport" }, !tunnel);
        let (protocol, port) = if tunnel { (0, 0) } else { (17, 1701) };
        self.number("protocol", own.protocol, protocol);
        self.number("local_port", own.local_port, port);
        self.number("peer_port", own.peer_port, port);
        let networks = [
            ("local_network", own.local_network),
            ("peer_network", own.peer_network),
        ];
        for (key, network) in networks {
            if let Some(network) = network {
                self.key(key, quoted(&network.to_string()), false);
            }
        }
        if let Some(group) = own.pfs {
            self.key("pfs", group.name(), false);
        }
        self.flag("initial_contact", own.initial_contact, true);
        self.flag("mode_config", own.mode_config, false);
        self.flag("aggressive", own.aggressive, false);
        if let Some(login) = &own.login {
            let password = String::from_utf8_lossy(login.password.expose());
            let password = match secrets {
                Secrets::Shown => quoted(&password),
                Secrets::Hidden => quoted("(not shown)"),
            };
            self.key("user", quoted(&login.user), false);
            self.key("password", password, false);
        }
        let start = match configured.start {
            Start::Manual => "manual",
            Start::Auto => "auto",
        };
        self.key("start", start, configured.start == Start::Manual);
    }

    fn admin_socket(&mut self, config: &Config) {
        let written = config.admin_socket.as_ref();
        let Some(socket) = written.filter(|socket| socket.is_explicit) else {
            return;
        };
        let origin = self.0.origin("admin_socket");
        self.0.line("admin_socket:", origin);
        self.0.enter("admin_socket", 2);
        self.key("path", quoted(&socket.path.to_string_lossy()), false);
        for (key, account) in [("owner", socket.owner), ("group", socket.group)] {
            if let Some(number) = account {
                self.key(key, number, false);
            }
        }
        self.key("mode", format!("\"{:04o}\"", socket.mode), false);
        self.0.leave();
    }

    /// Those for everybody; the file has no others.
    fn scripts(&mut self, config: &Config) {
        let Some(scripts) = config.scripts.iter().find(|scripts| scripts.peer.is_none()) else {
            return;
        };
        self.section("scripts", |out| {
            let events = [
                ("phase1_up", &scripts.up),
                ("phase1_down", &scripts.down),
                ("phase1_dead", &scripts.dead),
            ];
            for (key, path) in events {
                if let Some(path) = path {
                    out.key(key, quoted(&path.to_string_lossy()), false);
                }
            }
        });
    }

    fn log(&mut self, log: &LogConfig) {
        let default = LogConfig::default();
        self.section("log", |out| {
            let level = match log.level.0 {
                Level::Critical | Level::Error => "error",
                Level::Warning => "warning",
                Level::Info => "info",
                Level::Debug => "debug",
                Level::Trace => "trace",
            };
            out.key("level", level, log.level == default.level);
            match &log.target {
                None => {}
                Some(Target::Stderr) => out.key("target", "stderr", false),
                Some(Target::Syslog) => out.key("target", "syslog", false),
                Some(Target::File(path)) => out.section("target", |out| {
                    out.key("file", quoted(&path.to_string_lossy()), false);
                }),
            }
            let format = match log.format {
                Format::Text => "text",
                Format::Json => "json",
            };
            out.key("format", format, log.format == default.format);
        });
    }
}

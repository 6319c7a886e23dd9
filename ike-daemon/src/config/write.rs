//! The model as an `ike-daemon.yaml` that leads to it again: for `-C`, and for `tanuki-import`.

use std::fmt::{Display, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash, Secret};
use ike_proto::Policy;
use ike_proto::iana::{EspAuth, EspTransform, IdType};
use ike_proto::io::Mode;
use ike_proto::policy::{
    Authentication, DpdPolicy, EspSuite, Fragmentation, Method, NatPolicy, Phase1Policy,
    Phase2Policy, SecretPeer, Service, Sha256Icv,
};
use ike_proto::wire::id::Identification;
use slog::Level;
use tanuki_daemon::log::{Format, LogConfig, Target};

use super::model::{AuthenticationFiles, Config, ConfiguredConnection, KernelChoice, Start};

/// Where a setting comes from, by its path such as `phase1.ciphers`: a comment for its line.
pub type Origin<'a> = dyn Fn(&str) -> Option<String> + 'a;

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
    let mut out = Yaml {
        text: String::new(),
        indent: 0,
        origin,
        path: Vec::new(),
    };
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
    out.text
}

struct Yaml<'a> {
    text: String,
    indent: usize,
    origin: &'a Origin<'a>,
    path: Vec<String>,
}

impl Yaml<'_> {
    fn full(&self, key: &str) -> String {
        let mut path = self.path.join(".");
        if !path.is_empty() {
            path.push('.');
        }
        path + key
    }

    fn line(&mut self, text: &str, origin: Option<String>) {
        let comment = origin.map_or_else(String::new, |origin| format!("  # {origin}"));
        // Writing into a String does not fail.
        let _ = writeln!(self.text, "{:1$}{text}{comment}", "", self.indent);
    }

    /// A key with a value, unless it is the default and nobody wrote it.
    fn key(&mut self, key: &str, value: impl Display, is_default: bool) {
        let origin = (self.origin)(&self.full(key));
        if origin.is_some() || !is_default {
            self.line(&format!("{key}: {value}"), origin);
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
        let before = self.text.len();
        self.line(&format!("{key}:"), None);
        let inside = self.text.len();
        self.path.push(key.to_owned());
        self.indent += 2;
        body(self);
        self.indent -= 2;
        self.path.pop();
        if self.text.len() == inside {
            self.text.truncate(before);
        }
    }

    fn secrets(&mut self, config: &Config, secrets: Secrets) {
        let entries = &config.policy.secrets;
        if entries.is_empty() {
            return;
        }
        self.line("secrets:", (self.origin)("secrets"));
        self.indent += 2;
        for (index, entry) in entries.iter().enumerate() {
            let origin = (self.origin)(&format!("secrets.{index}"));
            self.line(&format!("- peers: {}", quoted(&peer(&entry.peer))), origin);
            let key = match secrets {
                Secrets::Shown => secret(&entry.secret),
                Secrets::Hidden => "psk: \"(not shown)\"".to_owned(),
            };
            self.line(&format!("  {key}"), None);
        }
        self.indent -= 2;
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
    fn authentication(&mut self, config: &Config, name: &str, own: &Authentication) {
        let none = AuthenticationFiles::default();
        let files = config.authentication_files.get(name).unwrap_or(&none);
        let default = Authentication::default();
        if own.methods == default.methods && files.own.is_empty() && name.is_empty() {
            return;
        }
        self.section("authentication", |out| {
            let methods = list(own.methods.iter().copied().map(Method::name));
            out.key("methods", methods, false);
            if !files.own.is_empty() {
                let origin = (out.origin)(&out.full("certificates"));
                out.line("certificates:", origin);
            }
            for (chain, key) in &files.own {
                out.line(&format!("  - chain: {}", path(chain)), None);
                out.line(&format!("    key: {}", path(key)), None);
            }
            for (key, paths) in [("ca", &files.ca), ("crl", &files.crl)] {
                let paths: Vec<String> = paths.iter().map(|file| path(file)).collect();
                out.key(key, list(paths.iter()), paths.is_empty());
            }
            let peers = list(files.peers.iter().map(|peer| quoted(peer)));
            out.key("peers", peers, files.peers.is_empty());
            out.flag("send_certificate", own.send_certificate, true);
            out.flag("request_certificate", own.request_certificate, true);
        });
    }

    fn remotes(&mut self, config: &Config) {
        let general = &config.policy;
        self.section("remotes", |out| {
            for remote in &general.remotes {
                out.section(&quoted(&remote.name), |out| {
                    let peers = list(remote.networks.iter().map(|net| quoted(&net.to_string())));
                    out.key("peers", peers, false);
                    if let Some(identity) = &remote.local_identity {
                        out.key("identity", quoted(&identity_name(identity)), false);
                    }
                    out.authentication(config, &remote.name, &remote.authentication);
                    out.phase1(&remote.phase1, &general.phase1);
                    out.phase2(&remote.phase2, &general.phase2);
                    out.flag("aggressive", remote.aggressive, general.aggressive);
                    out.fragmentation(remote.fragmentation, general.fragmentation.mode);
                    out.section("nat_t", |out| out.nat(&remote.nat, &general.nat));
                    out.section("dpd", |out| out.dpd(&remote.dpd, &general.dpd));
                });
            }
        });
    }

    fn fragmentation(&mut self, own: Fragmentation, default: Fragmentation) {
        let word = match own {
            Fragmentation::Off => "off",
            Fragmentation::On => "on",
            Fragmentation::Force => "force",
        };
        self.key("fragmentation", word, own == default);
    }

    fn nat(&mut self, own: &NatPolicy, default: &NatPolicy) {
        self.flag("enabled", own.enabled, default.enabled);
        self.flag("drafts", own.drafts, default.drafts);
        self.flag("force", own.force, default.force);
        self.period("keepalive", own.keepalive, default.keepalive);
    }

    fn dpd(&mut self, own: &DpdPolicy, default: &DpdPolicy) {
        self.period("interval", own.interval, default.interval);
        self.period("retry", own.retry, default.retry);
        self.number("attempts", own.attempts, default.attempts);
        self.period("silence", own.silence, default.silence);
    }

    fn phase1(&mut self, own: &Phase1Policy, default: &Phase1Policy) {
        self.section("phase1", |out| {
            let ciphers = list(own.ciphers.iter().copied().map(Cipher::name));
            out.key("ciphers", ciphers, own.ciphers == default.ciphers);
            let hashes = list(own.hashes.iter().copied().map(Hash::name));
            out.key("hashes", hashes, own.hashes == default.hashes);
            let groups = list(own.groups.iter().copied().map(Group::name));
            out.key("groups", groups, own.groups == default.groups);
            out.flag("allow_modp1024", own.allow_modp1024, default.allow_modp1024);
            out.period("lifetime", own.lifetime, default.lifetime);
            out.period("lifetime_max", own.lifetime_max, default.lifetime_max);
        });
    }

    fn phase2(&mut self, own: &Phase2Policy, default: &Phase2Policy) {
        self.section("phase2", |out| {
            let suites = list(own.suites.iter().map(suite));
            out.key("suites", suites, own.suites == default.suites);
            out.flag("allow_3des", own.allow_3des, default.allow_3des);
            let modes = [(own.transport, "transport"), (own.tunnel, "tunnel")];
            let modes = list(modes.iter().filter(|mode| mode.0).map(|mode| mode.1));
            let same = (own.transport, own.tunnel) == (default.transport, default.tunnel);
            out.key("modes", modes, same);
            let traffic = match own.services.is_empty() {
                true => "any".to_owned(),
                false => list(own.services.iter().map(service)),
            };
            out.key("traffic", traffic, own.services == default.services);
            let networks = list(own.networks.iter().map(|net| quoted(&net.to_string())));
            out.key("networks", networks, own.networks == default.networks);
            out.flag("require_pfs", own.require_pfs, default.require_pfs);
            out.period("lifetime", own.lifetime, default.lifetime);
            out.period("lifetime_max", own.lifetime_max, default.lifetime_max);
            out.number(
                "lifetime_kilobytes",
                own.lifetime_kilobytes,
                default.lifetime_kilobytes,
            );
            let word = match own.sha256_icv {
                Sha256Icv::Full => "false",
                Sha256Icv::Short => "true",
                Sha256Icv::Detect => "auto",
            };
            out.key("sha2_96", word, own.sha256_icv == default.sha256_icv);
            out.number("replay_window", own.replay_window, default.replay_window);
            out.flag(
                "rekey_as_responder",
                own.rekey_as_responder,
                default.rekey_as_responder,
            );
        });
    }

    fn timers(&mut self, policy: &Policy) {
        let default = Policy::default();
        let (nat, usual) = (&policy.nat, &default.nat);
        self.section("nat_t", |out| {
            out.nat(nat, usual);
            out.number("port", nat.natt_port, usual.natt_port);
        });
        self.section("dpd", |out| out.dpd(&policy.dpd, &default.dpd));
        let (again, usual) = (&policy.retransmit, &default.retransmit);
        self.section("retransmit", |out| {
            out.period("initial", again.initial, usual.initial);
            let factor = f64::from(again.factor_tenths) / 10.0;
            let same = again.factor_tenths == usual.factor_tenths;
            out.key("factor", format!("{factor:.1}"), same);
            out.period("maximum", again.maximum, usual.maximum);
            out.number("attempts", again.attempts, usual.attempts);
        });
    }

    fn limits(&mut self, policy: &Policy) {
        let (own, usual) = (&policy.limits, Policy::default().limits);
        self.section("limits", |out| {
            out.number("half_open", own.half_open, usual.half_open);
            out.number(
                "half_open_per_source",
                own.half_open_per_source,
                usual.half_open_per_source,
            );
            out.period(
                "half_open_timeout",
                own.half_open_timeout,
                usual.half_open_timeout,
            );
            out.number("ike_sas", own.ike_sas, usual.ike_sas);
            out.number(
                "ike_sas_per_client",
                own.ike_sas_per_client,
                usual.ike_sas_per_client,
            );
            out.number("quick_modes", own.quick_modes, usual.quick_modes);
            out.number(
                "children_per_client",
                own.children_per_client,
                usual.children_per_client,
            );
            out.number("dh_jobs", own.dh_jobs, usual.dh_jobs);
            out.number(
                "stateless_answers",
                own.stateless_answers,
                usual.stateless_answers,
            );
        });
    }

    fn mode_config(&mut self, config: &Config) {
        let Some(own) = &config.policy.mode_config else {
            return;
        };
        fn texts<T: Display>(items: &[T]) -> String {
            list(items.iter().map(|item| quoted(&item.to_string())))
        }
        self.section("mode_config", |out| {
            let ranges = own.pool.iter();
            let ranges = ranges.map(|range| quoted(&format!("{}-{}", range.first, range.last)));
            out.key("pool", list(ranges), own.pool.is_empty());
            if let Some(netmask) = own.netmask {
                out.key("netmask", netmask, false);
            }
            out.key("dns", texts(&own.dns), own.dns.is_empty());
            out.key("wins", texts(&own.nbns), own.nbns.is_empty());
            for (key, text) in [("domain", &own.default_domain), ("banner", &own.banner)] {
                if let Some(text) = text {
                    out.key(key, quoted(text), false);
                }
            }
            let include = &own.split_include;
            out.key("split_include", texts(include), include.is_empty());
            let exclude = &own.split_exclude;
            out.key("split_exclude", texts(exclude), exclude.is_empty());
            out.key("split_dns", texts(&own.split_dns), own.split_dns.is_empty());
            out.flag("save_password", own.save_password, false);
            if let Some(file) = &config.users_file {
                out.key("users", path(file), false);
            }
        });
    }

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
        let origin = (self.origin)("admin_socket");
        self.line("admin_socket:", origin);
        self.indent += 2;
        self.key("path", quoted(&socket.path.to_string_lossy()), false);
        for (key, account) in [("owner", socket.owner), ("group", socket.group)] {
            if let Some(number) = account {
                self.key(key, number, false);
            }
        }
        self.key("mode", format!("\"{:04o}\"", socket.mode), false);
        self.indent -= 2;
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

/// A YAML string in double quotes: JSON's escapes are YAML's.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

fn period(value: Duration) -> String {
    match (value.as_secs(), value.subsec_millis()) {
        (seconds, 0) if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        (_, _) => format!("{}ms", value.as_millis()),
    }
}

fn peer(peer: &SecretPeer) -> String {
    match peer {
        SecretPeer::Any => "any".to_owned(),
        SecretPeer::Address(address) => address.to_string(),
        SecretPeer::Subnet(network) => network.to_string(),
        SecretPeer::Identity(identity) => identity_name(identity),
    }
}

/// An identity as the file takes it: one with unusual characters by its number and in hex.
pub fn identity_name(identity: &Identification) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._@+".contains(octet);
    match identity.kind {
        IdType::FQDN | IdType::USER_FQDN if !identity.data.iter().all(plain) => {
            format!("id{}:{}", identity.kind.0, hex(&identity.data))
        }
        _ => identity.to_string(),
    }
}

fn secret(secret: &Secret) -> String {
    match std::str::from_utf8(secret.expose()) {
        Ok(text) => format!("psk: {}", quoted(text)),
        Err(_) => format!("psk_hex: \"{}\"", hex(secret.expose())),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// An ESP suite as `phase2.suites` takes it.
pub fn suite(suite: &EspSuite) -> String {
    let cipher = match suite.cipher {
        EspTransform::TRIPLE_DES => "3des".to_owned(),
        _ => format!("aes{}", suite.key_bits),
    };
    let auth = match suite.auth {
        EspAuth::NONE => "gcm",
        EspAuth::HMAC_SHA2_256 => "sha256",
        EspAuth::HMAC_SHA2_384 => "sha384",
        EspAuth::HMAC_SHA2_512 => "sha512",
        _ => "sha1",
    };
    format!("{cipher}-{auth}")
}

fn service(service: &Service) -> String {
    match service.protocol {
        17 => format!("udp/{}", service.port),
        6 => format!("tcp/{}", service.port),
        number => format!("{number}/{}", service.port),
    }
}

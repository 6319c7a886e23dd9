//! From the words of the file to the model: defaults, what depends on several values, and files
//! with keys. All problems are collected, not only the first.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash, Secret};
use ike_proto::Policy;
use ike_proto::iana::EspTransform;
use ike_proto::io::Mode;
use ike_proto::policy::{
    Connection, Login, Phase1Policy, Phase2Policy, Remote, SecretEntry, SecretPeer,
};
use tanuki_daemon::config::{Problem, Problems, Source};
use zeroize::Zeroizing;

use super::certificates;
use super::model::{AdminSocket, Config, ConfiguredConnection, PeerScripts};
use super::racoon;
use super::values::{Host, Period, ScriptPath};
use super::yaml::{
    ConnectionSection, File, Phase1Section, Phase2Section, RemoteSection, ScriptsSection,
    SecretSection,
};

/// The largest file with a key, in octets.
const MAX_PSK_FILE: u64 = 4096;
/// Shorter keys are warned about: RFC 2409 keys can be guessed offline by whoever plays the server.
const STRONG_PSK: usize = 20;
/// Nobody rekeys more often than this on purpose.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(60);
const DEFAULT_LISTEN: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// From what every IPv4 host takes (RFC 791 3.1) to Ethernet's jumbo frames.
const FRAGMENT_SIZES: std::ops::RangeInclusive<usize> = 576..=9000;

pub(super) fn lower(source: &Source, file: File, policies: &[PathBuf]) -> Result<Config, Problems> {
    let mut check = Check {
        source,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let listen_is_explicit = file.listen.is_some();
    let listen = check.listen(&file);
    let mut policy = Policy {
        local_identity: file.identity.as_ref().map(|name| name.0.clone()),
        ..Policy::default()
    };
    set(&mut policy.respond, file.respond);
    policy.secrets = check.secrets(&file.secrets);
    policy.authentication = check.authentication(certificates::GENERAL, &file.authentication);
    check.aggressive(&file, &mut policy);
    check.fragmentation(&file, &mut policy);
    check.phase1("phase1", &file.phase1, &mut policy.phase1);
    let mode_config = file
        .mode_config
        .as_ref()
        .map(|section| Arc::new(check.mode_config("mode_config", section)));
    policy.mode_config = mode_config;
    // Clients with an address of ours come in tunnel mode.
    policy.phase2.tunnel = policy.mode_config.is_some();
    check.phase2("phase2", &file.phase2, &mut policy.phase2);
    policy.remotes = file
        .remotes
        .iter()
        .map(|(name, section)| check.remote(name, section, &policy))
        .collect();
    check.somebody_can_come(&file, &policy);
    let general = (String::new(), certificates::files(&file.authentication));
    let remotes = file.remotes.iter().filter_map(|(name, section)| {
        let own = section.authentication.as_ref()?;
        Some((name.clone(), certificates::files(own)))
    });
    let authentication_files = remotes.chain([general]).collect();
    check.xauth_has_users(&policy);
    check.nat(&file, &mut policy);
    check.timers(&file, &mut policy);
    check.limits(&file, &mut policy);
    let connections: Vec<ConfiguredConnection> = file
        .connections
        .iter()
        .filter_map(|(name, section)| check.connection(name, section, &policy))
        .collect();
    if !policy.respond && connections.is_empty() {
        check.problem(
            "respond",
            "false, and there is no connection either: nothing to do",
        );
    }
    let scripts = file.setkey.iter().flat_map(|list| &list.0);
    let mut scripts: Vec<PathBuf> = scripts.map(|path| path.0.clone()).collect();
    scripts.extend_from_slice(policies);
    for path in &scripts {
        if let Err(error) = fs::File::open(path) {
            check.problem("setkey", format_args!("{}: {error}", path.display()));
        }
    }
    if !check.problems.is_empty() {
        return Err(Problems(check.problems));
    }
    let static_entries = racoon::static_entries(&scripts).unwrap_or_else(|problems| {
        check.problems.extend(problems.0);
        Vec::new()
    });
    if !check.problems.is_empty() {
        return Err(Problems(check.problems));
    }
    Ok(Config {
        listen,
        listen_is_explicit,
        policy,
        connections,
        kernel: file.kernel,
        log: file.log,
        psk: None,
        authentication_files,
        users_file: file
            .mode_config
            .and_then(|section| section.users.map(|file| file.0)),
        admin_socket: file.admin_socket.map(|socket| AdminSocket {
            path: socket.path,
            owner: socket.owner.map(|user| user.0),
            group: socket.group.map(|group| group.0),
            mode: socket.mode.map_or(0o600, |mode| mode.0),
            is_explicit: true,
        }),
        scripts: scripts_for_all(file.scripts),
        setkey: scripts,
        static_entries,
        pid_file: None,
        warnings: check.warnings,
    })
}

fn scripts_for_all(section: ScriptsSection) -> Vec<PeerScripts> {
    let path = |script: Option<ScriptPath>| script.map(|script| script.0);
    let scripts = PeerScripts {
        peer: None,
        up: path(section.phase1_up),
        down: path(section.phase1_down),
        dead: path(section.phase1_dead),
    };
    match scripts.is_empty() {
        true => Vec::new(),
        false => vec![scripts],
    }
}

pub(super) struct Check<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn problem(&mut self, path: &str, message: impl std::fmt::Display) {
        self.problems.push(self.source.problem(path, message));
    }

    pub(super) fn warn(&mut self, path: &str, message: impl std::fmt::Display) {
        self.warnings.push(self.source.problem(path, message));
    }

    fn listen(&mut self, file: &File) -> Vec<IpAddr> {
        let Some(list) = &file.listen else {
            return DEFAULT_LISTEN.to_vec();
        };
        if list.0.is_empty() {
            self.problem(
                "listen",
                "empty; name an address, or leave `listen` out to use all",
            );
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for (index, Host(address)) in list.0.iter().enumerate() {
            if addresses.contains(address) {
                self.problem(
                    &format!("listen.{index}"),
                    format_args!("{address} stands twice"),
                );
            } else if address.is_multicast() {
                self.problem(
                    &format!("listen.{index}"),
                    "a multicast address; expected our own",
                );
            }
            addresses.push(*address);
        }
        addresses
    }

    fn secrets(&mut self, sections: &[SecretSection]) -> Vec<SecretEntry> {
        let mut entries: Vec<SecretEntry> = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            let path = format!("secrets.{index}");
            let Some(secret) = self.secret(&path, section) else {
                continue;
            };
            let peers: Vec<SecretPeer> = match &section.peers {
                None => vec![SecretPeer::Any],
                Some(list) => list.0.iter().map(|peer| peer.0.clone()).collect(),
            };
            if peers.is_empty() {
                self.problem(&format!("{path}.peers"), "empty; expected a peer, or any");
            }
            for peer in peers {
                if entries.iter().any(|entry| entry.peer == peer) {
                    let path = if section.peers.is_some() {
                        format!("{path}.peers")
                    } else {
                        path.clone()
                    };
                    self.problem(
                        &path,
                        "a secret for the same peer stands above; only one is used",
                    );
                    break;
                }
                entries.push(SecretEntry {
                    peer,
                    secret: secret.clone(),
                });
            }
        }
        entries
    }

    /// Whether there is anything to authenticate by.
    fn somebody_can_come(&mut self, file: &File, policy: &Policy) {
        if policy.authentication.methods.is_empty() && policy.remotes.is_empty() {
            self.problem(
                "authentication.methods",
                "empty, and there are no `remotes`; expected psk, rsa, ...",
            );
        }
        let mut methods = policy
            .remotes
            .iter()
            .map(|remote| &remote.authentication)
            .chain([&policy.authentication])
            .flat_map(|authentication| &authentication.methods);
        if file.secrets.is_empty() && methods.any(|method| method.uses_secret()) {
            self.problem(
                "secrets",
                "none given; without a pre-shared key nobody can connect. Write `secrets:` and \
                 below it `  - psk: \"...\"` (scripts/run makes a random one), or use \
                 certificates: `authentication`",
            );
        }
    }

    /// Rules for some peers: the general ones, and what is written over them.
    fn remote(&mut self, name: &str, section: &RemoteSection, general: &Policy) -> Remote {
        let path = format!("remotes.{name}");
        if section.peers.0.is_empty() {
            self.problem(
                &format!("{path}.peers"),
                "empty; expected an address or a subnet",
            );
        }
        let mut phase1 = general.phase1.clone();
        self.phase1(&format!("{path}.phase1"), &section.phase1, &mut phase1);
        let mode_config = section
            .mode_config
            .as_ref()
            .map(|own| Arc::new(self.mode_config(&format!("{path}.mode_config"), own)))
            .or_else(|| general.mode_config.clone());
        let mut phase2 = general.phase2.clone();
        phase2.tunnel |= mode_config.is_some();
        self.phase2(&format!("{path}.phase2"), &section.phase2, &mut phase2);
        let authentication = match &section.authentication {
            Some(own) => self.authentication(&format!("{path}.authentication"), own),
            None => general.authentication.clone(),
        };
        Remote {
            name: name.to_owned(),
            networks: section.peers.0.iter().map(|net| net.0).collect(),
            local_identity: section.identity.as_ref().map(|name| name.0.clone()),
            authentication,
            phase1,
            phase2,
            mode_config,
        }
    }

    fn secret(&mut self, path: &str, section: &SecretSection) -> Option<Secret> {
        let (octets, place) = match (&section.psk, &section.psk_hex, &section.psk_file) {
            (Some(psk), None, None) => (
                Zeroizing::new(psk.as_bytes().to_vec()),
                format!("{path}.psk"),
            ),
            (None, Some(digits), None) => {
                let place = format!("{path}.psk_hex");
                let Some(octets) = unhex(digits) else {
                    self.problem(&place, "expected hex digits, two for every octet");
                    return None;
                };
                (octets, place)
            }
            (None, None, Some(file)) => {
                let place = format!("{path}.psk_file");
                (self.psk_file(&place, file)?, place)
            }
            (None, None, None) => {
                self.problem(path, "no key; expected psk: \"...\" or psk_file: /path");
                return None;
            }
            _ => {
                self.problem(
                    path,
                    "more than one of psk, psk_hex and psk_file; expected one of them",
                );
                return None;
            }
        };
        if octets.is_empty() {
            self.problem(&place, "empty; expected a long random text");
            return None;
        }
        if let Some(weakness) = weakness(&octets) {
            self.warn(
                &place,
                format_args!(
                    "weak pre-shared key ({weakness}): whoever answers a client in our place once \
                     can guess it offline; take 20 random characters or more"
                ),
            );
        }
        Some(Secret::from(octets))
    }

    fn psk_file(&mut self, place: &str, file: &Path) -> Option<Zeroizing<Vec<u8>>> {
        let mut octets = Zeroizing::new(Vec::new());
        let outcome = fs::File::open(file).and_then(|opened| {
            let mode = opened.metadata()?.permissions().mode();
            opened.take(MAX_PSK_FILE + 1).read_to_end(&mut octets)?;
            Ok(mode)
        });
        match outcome {
            Err(error) => {
                self.problem(place, format_args!("{}: {error}", file.display()));
                return None;
            }
            Ok(_) if octets.len() as u64 > MAX_PSK_FILE => {
                self.problem(
                    place,
                    format_args!("{}: longer than 4096 octets", file.display()),
                );
                return None;
            }
            Ok(mode) if mode & 0o077 != 0 => self.warn(
                place,
                format_args!("{} can be read by others; chmod 600", file.display()),
            ),
            Ok(_) => {}
        }
        while octets
            .last()
            .is_some_and(|octet| matches!(octet, b'\n' | b'\r'))
        {
            octets.pop();
        }
        Some(octets)
    }

    fn phase1(&mut self, path: &str, section: &Phase1Section, phase1: &mut Phase1Policy) {
        if let Some(list) = &section.ciphers {
            phase1.ciphers = list.iter().map(|name| name.0).collect();
        }
        if let Some(list) = &section.hashes {
            phase1.hashes = list.iter().map(|name| name.0).collect();
        }
        if let Some(list) = &section.groups {
            phase1.groups = list.iter().map(|name| name.0).collect();
        }
        set(&mut phase1.allow_modp1024, section.allow_modp1024);
        let empty = [
            ("ciphers", phase1.ciphers.is_empty()),
            ("hashes", phase1.hashes.is_empty()),
            ("groups", phase1.groups.is_empty()),
        ];
        for (key, empty) in empty {
            if empty {
                self.problem(
                    &format!("{path}.{key}"),
                    "empty; leave it out to get the default list",
                );
            }
        }
        let listed = |group| section.groups.iter().flatten().any(|name| name.0 == group);
        if listed(Group::Modp1024) && !phase1.allow_modp1024 {
            self.warn(
                &format!("{path}.groups"),
                "modp1024 is listed but not used without `allow_modp1024: true`",
            );
        }
        if phase1.allow_modp1024 && !phase1.groups.contains(&Group::Modp1024) {
            self.warn(
                &format!("{path}.allow_modp1024"),
                "no use: modp1024 is not in `groups`",
            );
        }
        if phase1.hashes.contains(&Hash::Md5) {
            self.warn(
                &format!("{path}.hashes"),
                "md5 is only for peers that know nothing better",
            );
        }
        if phase1.ciphers == [Cipher::TripleDes] {
            self.warn(
                &format!("{path}.ciphers"),
                "only 3des: slow, and no modern client offers it first",
            );
        }
        self.lifetimes(
            path,
            (section.lifetime, section.lifetime_max),
            &mut phase1.lifetime,
            &mut phase1.lifetime_max,
        );
    }

    fn phase2(&mut self, path: &str, section: &Phase2Section, phase2: &mut Phase2Policy) {
        // With addresses to give, there is no need of networks.
        let addresses = phase2.tunnel;
        if let Some(list) = &section.suites {
            phase2.suites = list.iter().map(|suite| suite.0).collect();
            if phase2.suites.is_empty() {
                self.problem(
                    &format!("{path}.suites"),
                    "empty; leave it out to get the default list",
                );
            }
        }
        set(&mut phase2.allow_3des, section.allow_3des);
        let is_3des =
            |suite: &ike_proto::policy::EspSuite| suite.cipher == EspTransform::TRIPLE_DES;
        if section.suites.is_some() && !phase2.allow_3des && phase2.suites.iter().any(is_3des) {
            self.warn(
                &format!("{path}.suites"),
                "3des is listed but not used without `allow_3des: true`",
            );
        }
        if let Some(modes) = &section.modes {
            phase2.transport = modes.0.iter().any(|mode| mode.0 == Mode::Transport);
            phase2.tunnel |= modes.0.iter().any(|mode| mode.0 == Mode::Tunnel);
            let without = phase2.networks.is_empty() && section.networks.is_none();
            if modes.0.iter().any(|mode| mode.0 == Mode::Tunnel) && without && !addresses {
                self.problem(
                    &format!("{path}.modes"),
                    "tunnel mode needs `networks`: the subnets behind us that peers may reach",
                );
            }
            if modes.0.is_empty() {
                self.problem(
                    &format!("{path}.modes"),
                    "empty; expected transport, tunnel or both",
                );
            }
        }
        if let Some(traffic) = &section.traffic {
            if traffic.0.is_empty() {
                self.problem(
                    &format!("{path}.traffic"),
                    "empty; expected udp/1701, or any",
                );
            }
            let any = traffic.0.iter().any(|service| service.0.is_none());
            phase2.services = match any {
                true => Vec::new(),
                false => traffic.0.iter().filter_map(|service| service.0).collect(),
            };
        }
        if let Some(networks) = &section.networks {
            phase2.networks = networks.iter().map(|net| net.0).collect();
        }
        set(&mut phase2.require_pfs, section.require_pfs);
        set(&mut phase2.lifetime_kilobytes, section.lifetime_kilobytes);
        set(&mut phase2.sha256_icv, section.sha2_96.map(|icv| icv.0));
        set(&mut phase2.replay_window, section.replay_window);
        set(&mut phase2.rekey_as_responder, section.rekey_as_responder);
        if !(32..=65_536).contains(&phase2.replay_window) {
            self.problem(
                &format!("{path}.replay_window"),
                "expected 32 to 65536 packets",
            );
        }
        self.lifetimes(
            path,
            (section.lifetime, section.lifetime_max),
            &mut phase2.lifetime,
            &mut phase2.lifetime_max,
        );
    }

    /// The maximum grows with a longer lifetime unless it is written itself.
    fn lifetimes(
        &mut self,
        phase: &str,
        written: (Option<Period>, Option<Period>),
        lifetime: &mut Duration,
        maximum: &mut Duration,
    ) {
        match written {
            (Some(Period(own)), Some(Period(most))) => (*lifetime, *maximum) = (own, most),
            (Some(Period(own)), None) => (*lifetime, *maximum) = (own, own.max(*maximum)),
            (None, Some(Period(most))) => (*lifetime, *maximum) = (most.min(*lifetime), most),
            (None, None) => {}
        }
        if *lifetime < SHORTEST_LIFETIME {
            self.problem(&format!("{phase}.lifetime"), "expected 60s or more");
        }
        if *maximum < *lifetime {
            self.problem(&format!("{phase}.lifetime_max"), "shorter than `lifetime`");
        }
    }

    fn nat(&mut self, file: &File, policy: &mut Policy) {
        let nat = &mut policy.nat;
        set(&mut nat.enabled, file.nat_t.enabled);
        set(&mut nat.force, file.nat_t.force);
        set(
            &mut nat.keepalive,
            file.nat_t.keepalive.map(|period| period.0),
        );
        set(&mut nat.ike_port, file.port);
        set(&mut nat.natt_port, file.nat_t.port);
        if nat.ike_port == 0 {
            self.problem("port", "expected 1 to 65535, normally 500");
        }
        if nat.natt_port == 0 || nat.natt_port == nat.ike_port {
            self.problem(
                "nat_t.port",
                "expected 1 to 65535 and not the IKE port, normally 4500",
            );
        }
        if nat.force && !nat.enabled {
            self.problem("nat_t.force", "true, but `enabled` is false");
        }
    }

    fn aggressive(&mut self, file: &File, policy: &mut Policy) {
        set(&mut policy.aggressive, file.aggressive);
        for note in policy.notes() {
            self.warn("aggressive", note);
        }
    }

    fn fragmentation(&mut self, file: &File, policy: &mut Policy) {
        let fragmentation = &mut policy.fragmentation;
        let mode = file.fragmentation.map(|name| name.0);
        set(&mut fragmentation.mode, mode);
        set(&mut fragmentation.size, file.fragment_size);
        if !FRAGMENT_SIZES.contains(&fragmentation.size) {
            self.problem(
                "fragment_size",
                "expected 576 to 9000 octets, IP header included",
            );
        }
    }

    fn timers(&mut self, file: &File, policy: &mut Policy) {
        let dpd = &mut policy.dpd;
        set(&mut dpd.interval, file.dpd.interval.map(|period| period.0));
        set(&mut dpd.retry, file.dpd.retry.map(|period| period.0));
        set(&mut dpd.attempts, file.dpd.attempts);
        if dpd.retry < Duration::from_millis(100) {
            self.problem("dpd.retry", "expected 100ms or more");
        }
        if !(1..=100).contains(&dpd.attempts) {
            self.problem(
                "dpd.attempts",
                "expected 1 to 100; `interval: 0` turns detection off",
            );
        }
        let retransmit = &mut policy.retransmit;
        set(
            &mut retransmit.initial,
            file.retransmit.initial.map(|period| period.0),
        );
        set(
            &mut retransmit.maximum,
            file.retransmit.maximum.map(|period| period.0),
        );
        set(&mut retransmit.attempts, file.retransmit.attempts);
        if let Some(factor) = file.retransmit.factor {
            if (1.0..=10.0).contains(&factor) {
                // In 10..=100 by the test above.
                retransmit.factor_tenths = (factor * 10.0).round() as u32;
            } else {
                self.problem("retransmit.factor", "expected 1.0 to 10.0");
            }
        }
        if retransmit.initial < Duration::from_millis(100) {
            self.problem("retransmit.initial", "expected 100ms or more");
        }
        if !(1..=20).contains(&retransmit.attempts) {
            self.problem("retransmit.attempts", "expected 1 to 20");
        }
    }

    fn limits(&mut self, file: &File, policy: &mut Policy) {
        let (section, limits) = (&file.limits, &mut policy.limits);
        set(&mut limits.half_open, section.half_open);
        set(
            &mut limits.half_open_per_source,
            section.half_open_per_source,
        );
        set(
            &mut limits.half_open_timeout,
            section.half_open_timeout.map(|period| period.0),
        );
        set(&mut limits.ike_sas, section.ike_sas);
        set(&mut limits.ike_sas_per_client, section.ike_sas_per_client);
        set(&mut limits.quick_modes, section.quick_modes);
        set(&mut limits.children_per_client, section.children_per_client);
        set(&mut limits.dh_jobs, section.dh_jobs);
        set(&mut limits.stateless_answers, section.stateless_answers);
        let counts = [
            ("half_open", limits.half_open),
            ("half_open_per_source", limits.half_open_per_source),
            ("ike_sas", limits.ike_sas),
            ("ike_sas_per_client", limits.ike_sas_per_client),
            ("quick_modes", limits.quick_modes),
            ("children_per_client", limits.children_per_client),
            ("dh_jobs", limits.dh_jobs),
        ];
        for (name, count) in counts {
            if count == 0 || count > 1_000_000 {
                self.problem(&format!("limits.{name}"), "expected 1 to 1000000");
            }
        }
        if limits.half_open_timeout < Duration::from_secs(5) {
            self.problem("limits.half_open_timeout", "expected 5s or more");
        }
    }

    fn connection(
        &mut self,
        name: &str,
        section: &ConnectionSection,
        policy: &Policy,
    ) -> Option<ConfiguredConnection> {
        let path = format!("connections.{name}");
        let before = self.problems.len();
        let mode = section.mode.map_or(Mode::Transport, |mode| mode.0);
        let peer = SocketAddr::new(
            section.peer.0,
            section.peer.1.unwrap_or(policy.nat.ike_port),
        );
        if peer.ip().is_unspecified() || peer.ip().is_multicast() || peer.port() == 0 {
            self.problem(&format!("{path}.peer"), "expected the address of one host");
        }
        let unspecified: IpAddr = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let local = section.local.map_or(unspecified, |host| host.0);
        if local.is_ipv4() != peer.is_ipv4() {
            self.problem(&format!("{path}.local"), "not of the same family as `peer`");
        }
        let tunnel = mode == Mode::Tunnel;
        let networks = [
            (
                "local_network",
                section.local_network.is_some() || section.mode_config == Some(true),
            ),
            ("peer_network", section.peer_network.is_some()),
        ];
        for (key, given) in networks {
            if tunnel && !given {
                self.problem(
                    &format!("{path}.mode"),
                    format_args!("tunnel mode needs `{key}`"),
                );
            } else if !tunnel && given {
                self.problem(&format!("{path}.{key}"), "only with `mode: tunnel`");
            }
        }
        let peer_identity = section.peer_identity.as_ref().map(|name| name.0.clone());
        let methods = &policy.terms(peer.ip()).authentication.methods;
        let by_secret = methods.iter().all(|method| method.uses_secret());
        if by_secret && !has_secret(policy, peer.ip(), peer_identity.as_ref()) {
            self.problem(
                &format!("{path}.peer"),
                format_args!("no secret for {}; add one to `secrets`", peer.ip()),
            );
        }
        // L2TP unless said otherwise; a tunnel carries everything.
        let l2tp = if tunnel { 0 } else { 1701 };
        let connection = Connection {
            name: name.to_owned(),
            local,
            peer,
            local_identity: section.identity.as_ref().map(|name| name.0.clone()),
            peer_identity,
            mode,
            protocol: section.protocol.unwrap_or(if tunnel { 0 } else { 17 }),
            local_port: section.local_port.unwrap_or(l2tp),
            peer_port: section.peer_port.unwrap_or(l2tp),
            local_network: section.local_network.map(|net| net.0),
            peer_network: section.peer_network.map(|net| net.0),
            pfs: section.pfs.map(|group| group.0),
            initial_contact: section.initial_contact.unwrap_or(true),
            login: self.login(&path, section),
            mode_config: section.mode_config.unwrap_or(false),
            aggressive: section.aggressive.unwrap_or(false),
        };
        (self.problems.len() == before).then_some(ConfiguredConnection {
            connection,
            start: section.start,
        })
    }
}

impl Check<'_> {
    /// What we answer when a server asks for name and password.
    fn login(&mut self, path: &str, section: &ConnectionSection) -> Option<Login> {
        match (&section.user, &section.password) {
            (Some(user), Some(password)) => Some(Login {
                user: user.clone(),
                password: Secret::from(password.as_bytes()),
            }),
            (Some(_), None) => {
                self.problem(&format!("{path}.user"), "without `password`");
                None
            }
            (None, Some(_)) => {
                self.problem(&format!("{path}.password"), "without `user`");
                None
            }
            (None, None) => None,
        }
    }
}

pub(super) fn has_secret(
    policy: &Policy,
    peer: IpAddr,
    identity: Option<&ike_proto::wire::id::Identification>,
) -> bool {
    policy.secrets.iter().any(|entry| match &entry.peer {
        SecretPeer::Any => true,
        SecretPeer::Address(address) => *address == peer,
        SecretPeer::Subnet(net) => net.contains(&peer),
        SecretPeer::Identity(own) => match identity {
            Some(identity) => own.matches(identity),
            None => own.address() == Some(peer),
        },
    })
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn unhex(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    let pairs = digits.as_bytes().chunks(2);
    let mut octets = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for pair in pairs {
        let [high, low] = *pair else { return None };
        let value = |digit: u8| char::from(digit).to_digit(16);
        octets.push(u8::try_from(value(high)? * 16 + value(low)?).ok()?);
    }
    Some(octets)
}

/// Why a key is easily guessed, if it is.
pub(super) fn weakness(key: &[u8]) -> Option<String> {
    let mut seen = [false; 256];
    for octet in key {
        if let Some(place) = seen.get_mut(usize::from(*octet)) {
            *place = true;
        }
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    if key.len() < STRONG_PSK {
        Some(format!("{} characters", key.len()))
    } else if distinct < 8 {
        Some(format!("only {distinct} different characters"))
    } else {
        None
    }
}

//! From the words of the file to the model: defaults, what depends on several values, and files
//! with keys. All problems are collected, not only the first.

mod connections;
mod limits;
mod phases;
mod remotes;
mod secrets;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ike_proto::Policy;
use tanuki_daemon::config::{Problem, Problems, Source};

use super::certificates;
use super::model::{AdminSocket, Config, ConfiguredConnection, PeerScripts};
use super::racoon;
use super::values::{Host, ScriptPath};
use super::yaml::{File, ScriptsSection};

pub(super) use secrets::{has_secret, weakness};

const DEFAULT_LISTEN: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

pub(in crate::config) fn lower(
    source: &Source,
    file: File,
    policies: &[PathBuf],
) -> Result<Config, Problems> {
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
    set(&mut policy.aggressive, file.aggressive);
    let fragmentation = file.fragmentation.map(|name| name.0);
    set(&mut policy.fragmentation.mode, fragmentation);
    check.fragment_size(&file, &mut policy);
    check.nat(&file, &mut policy);
    check.dpd("dpd", &file.dpd, &mut policy.dpd);
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
    for note in policy.notes() {
        check.warn("aggressive", note);
    }
    check.somebody_can_come(&file, &policy);
    let general = (String::new(), certificates::files(&file.authentication));
    let remotes = file.remotes.iter().filter_map(|(name, section)| {
        let own = section.authentication.as_ref()?;
        Some((name.clone(), certificates::files(own)))
    });
    let authentication_files = remotes.chain([general]).collect();
    check.xauth_has_users(&policy);
    let general = (String::new(), &file.mode_config);
    let remotes = file.remotes.iter();
    let users_files = remotes
        .map(|(name, section)| (name.clone(), &section.mode_config))
        .chain([general])
        .filter_map(|(name, section)| Some((name, section.as_ref()?.users.as_ref()?.0.clone())))
        .collect();
    check.retransmit(&file, &mut policy);
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
        users_files,
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

pub(in crate::config) struct Check<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Check<'_> {
    pub(in crate::config) fn problem(&mut self, path: &str, message: impl std::fmt::Display) {
        self.problems.push(self.source.problem(path, message));
    }

    pub(in crate::config) fn warn(&mut self, path: &str, message: impl std::fmt::Display) {
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
}

pub(in crate::config) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

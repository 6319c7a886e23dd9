//! The operator's programs: run when a phase 1 comes up or ends, with racoon's argument and
//! environment, without a shell, and never waited for.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ike_proto::policy::ModeConfig;
use ipnet::Ipv4Net;
use slog::{Logger, debug, warn};
use tanuki_daemon::hook::{Hook, HookRunner};
use tokio::sync::Semaphore;

use super::phase1::{Meaning, Occasion, remote_id};
use crate::config::PeerScripts;

/// Programs that run at once.
const PARALLEL: usize = 16;
/// Programs that run or wait; what comes beyond is left out, and said.
const WAITING: usize = 1024;
/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs programs.
#[derive(Debug)]
pub(super) struct Programs {
    log: Logger,
    runner: HookRunner,
    waiting: Arc<Semaphore>,
}

impl Programs {
    pub(super) fn new(log: Logger) -> Self {
        Self {
            log,
            runner: HookRunner::new(PARALLEL, LIMIT),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Runs what `scripts` has for what happened.
    pub(super) fn run(
        &self,
        scripts: &[PeerScripts],
        meaning: &Meaning,
        mode_config: Option<&ModeConfig>,
    ) {
        let Some(ends) = meaning.ends else {
            return;
        };
        for occasion in &meaning.occasions {
            let Some(program) = program(scripts, ends.peer.ip(), *occasion) else {
                continue;
            };
            let hook = Hook {
                program,
                arguments: vec![occasion.word().to_owned()],
                environment: environment(meaning, mode_config),
            };
            self.start(hook);
        }
    }

    /// Whether all of them have ended.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.available_permits() == WAITING
    }

    fn start(&self, hook: Hook) {
        let log = self.log.clone();
        let Ok(place) = self.waiting.clone().try_acquire_owned() else {
            warn!(log, "program not run: too many are waiting";
                "program" => %hook.program.display(),
                "remedy" => "make it end sooner, or do its work in the background");
            return;
        };
        let runner = self.runner.clone();
        tokio::spawn(async move {
            let _place = place;
            let program = hook.program.display().to_string();
            let word = hook.arguments.first().cloned().unwrap_or_default();
            debug!(log, "program started"; "program" => &program, "occasion" => &word);
            if let Err(error) = runner.run(hook).await {
                warn!(log, "program failed"; "occasion" => word, "reason" => %error);
            }
        });
    }
}

/// The program for `peer`: of an entry of its own, else of the one for everybody.
fn program(scripts: &[PeerScripts], peer: IpAddr, occasion: Occasion) -> Option<PathBuf> {
    let own = scripts.iter().find(|entry| entry.peer == Some(peer));
    let scripts = own.or_else(|| scripts.iter().find(|entry| entry.peer.is_none()))?;
    match occasion {
        Occasion::Up => scripts.up.clone(),
        Occasion::Down => scripts.down.clone(),
        Occasion::Dead => scripts.dead.clone(),
    }
}

/// racoon gives nothing else: no PATH.
fn environment(meaning: &Meaning, mode_config: Option<&ModeConfig>) -> Vec<(String, String)> {
    let Some(ends) = meaning.ends else {
        return Vec::new();
    };
    let mut variables = tunnel_variables(meaning, mode_config);
    variables.extend([
        ("LOCAL_ADDR", ends.local.ip().to_string()),
        ("LOCAL_PORT", ends.local.port().to_string()),
        ("REMOTE_ADDR", ends.peer.ip().to_string()),
        ("REMOTE_PORT", ends.peer.port().to_string()),
    ]);
    if let Some(identity) = &meaning.identity {
        variables.push(("REMOTE_ID", remote_id(identity)));
    }
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What racoon adds for clients with an address for their tunnel; what there is not is empty.
fn tunnel_variables(
    meaning: &Meaning,
    mode_config: Option<&ModeConfig>,
) -> Vec<(&'static str, String)> {
    let Some(address) = meaning.given.address else {
        return Vec::new();
    };
    let nothing = ModeConfig::default();
    let config = mode_config.unwrap_or(&nothing);
    let dns = match meaning.given.dns.is_empty() {
        true => &config.dns,
        false => &meaning.given.dns,
    };
    let first = |list: &[Ipv4Addr]| list.first().map_or_else(String::new, Ipv4Addr::to_string);
    let all = |list: &[Ipv4Addr]| join(list.iter());
    let netmask = config
        .netmask
        .map_or_else(String::new, |mask| mask.to_string());
    let length = config
        .netmask
        .map_or(32, |mask| u32::from(mask).count_ones());
    let by_mask = |list: &[Ipv4Net]| {
        join(
            list.iter()
                .map(|net| format!("{}/{}", net.addr(), net.netmask())),
        )
    };
    let by_length = |list: &[Ipv4Net]| join(list.iter());
    let mut variables = vec![("INTERNAL_ADDR4", address.to_string())];
    variables.extend(meaning.given.user.clone().map(|user| ("XAUTH_USER", user)));
    variables.extend([
        ("INTERNAL_MASK4", netmask.clone()),
        ("INTERNAL_NETMASK4", netmask),
        ("INTERNAL_CIDR4", length.to_string()),
        ("INTERNAL_DNS4", first(dns)),
        ("INTERNAL_DNS4_LIST", all(dns)),
        ("INTERNAL_WINS4", first(&config.nbns)),
        ("INTERNAL_WINS4_LIST", all(&config.nbns)),
        (
            "DEFAULT_DOMAIN",
            config.default_domain.clone().unwrap_or_default(),
        ),
        ("SPLIT_INCLUDE", by_mask(&config.split_include)),
        ("SPLIT_INCLUDE_CIDR", by_length(&config.split_include)),
        ("SPLIT_LOCAL", by_mask(&config.split_exclude)),
        ("SPLIT_LOCAL_CIDR", by_length(&config.split_exclude)),
    ]);
    variables
}

fn join<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    items.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::phase1::{Ends, Given};
    use ike_proto::wire::id::Identification;

    fn scripts(peer: Option<IpAddr>, up: Option<&str>) -> PeerScripts {
        PeerScripts {
            peer,
            up: up.map(PathBuf::from),
            ..PeerScripts::default()
        }
    }

    #[test]
    fn a_peer_with_an_entry_has_that_one_only() {
        let (one, other) = (IpAddr::from([192, 0, 2, 7]), IpAddr::from([192, 0, 2, 8]));
        let all = [scripts(Some(one), None), scripts(None, Some("/everybody"))];
        assert_eq!(program(&all, one, Occasion::Up), None);
        assert_eq!(
            program(&all, other, Occasion::Up),
            Some("/everybody".into())
        );
        assert_eq!(program(&all, other, Occasion::Dead), None);
    }

    #[test]
    fn the_environment_is_racoons() {
        let meaning = Meaning {
            ends: Some(Ends {
                local: "198.51.100.1:4500".parse().unwrap(),
                peer: "203.0.113.9:31044".parse().unwrap(),
            }),
            identity: Some(Identification::from_user_fqdn("me@exa\nmple")),
            ..Meaning::default()
        };
        let shown: Vec<String> = environment(&meaning, None)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "LOCAL_ADDR=198.51.100.1",
                "LOCAL_PORT=4500",
                "REMOTE_ADDR=203.0.113.9",
                "REMOTE_PORT=31044",
                "REMOTE_ID=me@exa?mple"
            ]
        );
    }
    #[test]
    fn a_tunnel_adds_what_racoon_adds() {
        let net = |text: &str| text.parse().unwrap();
        let config = ModeConfig {
            netmask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            dns: vec![Ipv4Addr::new(10, 0, 0, 53), Ipv4Addr::new(10, 0, 0, 54)],
            split_include: vec![net("10.1.0.0/16"), net("10.2.0.0/24")],
            ..ModeConfig::default()
        };
        let meaning = Meaning {
            ends: Some(Ends {
                local: "198.51.100.1:4500".parse().unwrap(),
                peer: "203.0.113.9:4500".parse().unwrap(),
            }),
            given: Given {
                user: Some("ann".to_owned()),
                address: Some(Ipv4Addr::new(10, 99, 0, 7)),
                dns: Vec::new(),
            },
            ..Meaning::default()
        };
        let variables = environment(&meaning, Some(&config));
        let value = |name: &str| {
            let found = variables.iter().find(|(own, _)| own == name);
            found.unwrap_or_else(|| panic!("no {name}")).1.as_str()
        };
        for (name, expected) in [
            ("XAUTH_USER", "ann"),
            ("INTERNAL_ADDR4", "10.99.0.7"),
            ("INTERNAL_NETMASK4", "255.255.255.0"),
            ("INTERNAL_CIDR4", "24"),
            ("INTERNAL_DNS4", "10.0.0.53"),
            ("INTERNAL_DNS4_LIST", "10.0.0.53 10.0.0.54"),
            ("INTERNAL_WINS4", ""),
            ("DEFAULT_DOMAIN", ""),
            (
                "SPLIT_INCLUDE",
                "10.1.0.0/255.255.0.0 10.2.0.0/255.255.255.0",
            ),
            ("SPLIT_INCLUDE_CIDR", "10.1.0.0/16 10.2.0.0/24"),
            ("SPLIT_LOCAL", ""),
            ("LOCAL_PORT", "4500"),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
    }
}

//! The operator's `up` and `down` programs: mpd5's arguments, no shell, one at a time for each
//! session so that `down` never overtakes `up`.
//!
//! ```text
//! up   IFNAME inet  SELF/32 PEER USER "dns1 A" "dns2 B" PEERADDR -
//! up   IFNAME inet6 SELF%IFNAME PEER%IFNAME USER PEERADDR -
//! down IFNAME inet  SELF/32 PEER USER PEERADDR -
//! ```

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use ppp_proto::{CloseReason, Family, Network};
use tanuki_daemon::hook::Hook;

use super::Server;
use super::ended::Ended;
use super::io::{HookId, Output, SessionKey};
use super::session::{Session, Told};
use crate::config::HookCommand;
use crate::events::Event;

const PATH: &str = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin";

/// The programs of one session, in order.
#[derive(Debug, Default)]
struct Queue {
    running: Option<HookId>,
    next: VecDeque<(Kind, Hook)>,
    /// The session is gone: forget the queue when it is empty.
    last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Up(Family),
    Down,
}

/// Programs that run or wait.
#[derive(Debug, Default)]
pub(super) struct Programs {
    last: u64,
    queues: HashMap<u64, Queue>,
    running: HashMap<HookId, (u64, SessionKey, Kind)>,
}

impl Programs {
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Nothing will be added for this session any more.
    pub(super) fn no_more(&mut self, serial: u64) {
        if let Some(queue) = self.queues.get_mut(&serial) {
            queue.last = true;
            if queue.running.is_none() && queue.next.is_empty() {
                self.queues.remove(&serial);
            }
        }
    }
}

impl Server {
    /// Starts `up` for every protocol it has not been started for; whether there was any.
    pub(super) fn tell_up(&mut self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else {
            return false;
        };
        let Some(interface) = session.interface_name().map(str::to_owned) else {
            return false;
        };
        let mut runs = Vec::new();
        for (family, network) in [(Family::V4, session.ipv4), (Family::V6, session.ipv6)] {
            let told = session.told_mut(family);
            if let (Some(network), Told::Nothing) = (network, &*told) {
                *told = Told::Up(interface.clone(), network);
                runs.push(network);
            }
        }
        let (serial, user, peer) = (session.serial, session.user.clone(), session.peer);
        let prefix = session.prefix;
        let Some(command) = session.bundle.as_ref().and_then(|bundle| bundle.up.clone()) else {
            return false;
        };
        let any = !runs.is_empty();
        for network in runs {
            let family = match network {
                Network::V4 { .. } => Family::V4,
                Network::V6 { .. } => Family::V6,
            };
            let arguments = up_arguments(&interface, &network, &user, peer);
            let prefix = prefix.filter(|_| family == Family::V6);
            let prefix = prefix.map(|prefix| ("TANUKI_PREFIX".to_owned(), prefix.to_string()));
            let run = hook(&command, arguments, key, prefix.into_iter().collect());
            self.program(serial, key, Kind::Up(family), run);
        }
        any
    }

    /// Starts `down` for a protocol that closed while the session goes on.
    pub(super) fn tell_down(&mut self, key: SessionKey, family: Family) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let told = std::mem::take(session.told_mut(family));
        let (serial, user, peer) = (session.serial, session.user.clone(), session.peer);
        let down = session
            .bundle
            .as_ref()
            .and_then(|bundle| bundle.down.clone());
        self.run_down(serial, key, (told, down), &user, peer, Vec::new());
    }

    /// Starts `down` for a session that is over.
    pub(super) fn tell_down_ended(&mut self, ended: &Ended, family: Family) {
        let [v4, v6] = &ended.told;
        let told = match family {
            Family::V4 => v4.clone(),
            Family::V6 => v6.clone(),
        };
        let environment = vec![
            ("TANUKI_REASON".to_owned(), ended.reason.replace('\0', "")),
            (
                "TANUKI_SECONDS".to_owned(),
                ended.duration.as_secs().to_string(),
            ),
            (
                "TANUKI_RECEIVED_OCTETS".to_owned(),
                ended.traffic.received_octets.to_string(),
            ),
            (
                "TANUKI_SENT_OCTETS".to_owned(),
                ended.traffic.sent_octets.to_string(),
            ),
        ];
        let down = ended.bundle.as_ref().and_then(|bundle| bundle.down.clone());
        self.run_down(
            ended.serial,
            ended.key,
            (told, down),
            &ended.user,
            ended.peer,
            environment,
        );
    }

    fn run_down(
        &mut self,
        serial: u64,
        key: SessionKey,
        what: (Told, Option<HookCommand>),
        user: &str,
        peer: SocketAddr,
        environment: Vec<(String, String)>,
    ) {
        if let (Told::Up(interface, network), Some(command)) = what {
            let arguments = down_arguments(&interface, &network, user, peer);
            let run = hook(&command, arguments, key, environment);
            self.program(serial, key, Kind::Down, run);
        }
    }

    fn program(&mut self, serial: u64, key: SessionKey, kind: Kind, run: Hook) {
        self.programs
            .queues
            .entry(serial)
            .or_default()
            .next
            .push_back((kind, run));
        self.next_program(serial, key);
    }

    fn next_program(&mut self, serial: u64, key: SessionKey) {
        let Some(queue) = self.programs.queues.get_mut(&serial) else {
            return;
        };
        if queue.running.is_some() {
            return;
        }
        if let Some((kind, run)) = queue.next.pop_front() {
            self.programs.last += 1;
            let hook = HookId(self.programs.last);
            queue.running = Some(hook);
            self.programs.running.insert(hook, (serial, key, kind));
            self.outputs.push_back(Output::Hook { hook, run });
        } else if queue.last {
            self.programs.queues.remove(&serial);
        }
    }

    pub(super) fn on_hook_done(
        &mut self,
        now: Instant,
        hook: HookId,
        outcome: Result<(), String>,
        rng: &mut dyn rand_core::CryptoRng,
    ) {
        let Some((serial, key, kind)) = self.programs.running.remove(&hook) else {
            return;
        };
        if let Some(queue) = self.programs.queues.get_mut(&serial) {
            queue.running = None;
        }
        let alive = self
            .sessions
            .get(&key)
            .is_some_and(|session| session.serial == serial);
        match outcome {
            Ok(()) if matches!(kind, Kind::Up(_)) && alive => self.announce(key),
            Ok(()) => {}
            Err(reason) => {
                self.counters.hook_failures += 1;
                self.event(Event::HookFailed {
                    session: key,
                    reason: reason.clone(),
                });
                if let (Kind::Up(family), true) = (kind, alive) {
                    self.refuse_network(now, key, family, &reason, rng);
                }
            }
        }
        self.next_program(serial, key);
    }

    /// As in mpd5, a program that says no refuses its network protocol. The session goes on if it
    /// has another one.
    fn refuse_network(
        &mut self,
        now: Instant,
        key: SessionKey,
        family: Family,
        reason: &str,
        rng: &mut dyn rand_core::CryptoRng,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let other = match family {
            Family::V4 => session.ipv6,
            Family::V6 => session.ipv4,
        };
        if other.is_none() {
            session.because(format!("the up program refused: {reason}"));
        }
        if let Some(link) = session.link.as_mut() {
            link.close_network(now, family, CloseReason::LocalError, rng);
        }
        self.drain_link(now, key, rng);
    }
}

pub(super) fn hook(
    command: &HookCommand,
    arguments: Vec<String>,
    key: SessionKey,
    mut environment: Vec<(String, String)>,
) -> Hook {
    environment.push(("PATH".to_owned(), PATH.to_owned()));
    environment.push(("TANUKI_SESSION".to_owned(), key.to_string()));
    Hook {
        program: command.program.clone(),
        arguments: command.arguments.iter().cloned().chain(arguments).collect(),
        environment,
    }
}

fn up_arguments(interface: &str, network: &Network, user: &str, peer: SocketAddr) -> Vec<String> {
    let mut arguments = ends(interface, network);
    arguments.push(or_dash(user));
    if let Network::V4 { dns, .. } = network {
        for (number, server) in (1..).zip(dns) {
            arguments.push(
                server
                    .map(|s| format!("dns{number} {s}"))
                    .unwrap_or_default(),
            );
        }
    }
    arguments.extend([peer.ip().to_string(), "-".to_owned()]);
    arguments
}

fn down_arguments(interface: &str, network: &Network, user: &str, peer: SocketAddr) -> Vec<String> {
    let mut arguments = ends(interface, network);
    arguments.extend([or_dash(user), peer.ip().to_string(), "-".to_owned()]);
    arguments
}

/// mpd5 writes our IPv4 address as a range, and IPv6 addresses with their scope.
fn ends(interface: &str, network: &Network) -> Vec<String> {
    let (local, peer) = Session::ends(network);
    let (family, local, peer) = match network {
        Network::V4 { .. } => ("inet", format!("{local}/32"), peer.to_string()),
        Network::V6 { .. } => (
            "inet6",
            format!("{local}%{interface}"),
            format!("{peer}%{interface}"),
        ),
    };
    vec![interface.to_owned(), family.to_owned(), local, peer]
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn arguments_are_in_mpd5s_order() {
        let network = Network::V4 {
            local: Ipv4Addr::new(10, 77, 0, 1),
            peer: Ipv4Addr::new(10, 77, 0, 9),
            dns: [Some(Ipv4Addr::new(10, 77, 0, 53)), None],
        };
        let peer = "198.51.100.9:1701".parse().unwrap();
        assert_eq!(
            up_arguments("ng0", &network, "a'; id #", peer),
            [
                "ng0",
                "inet",
                "10.77.0.1/32",
                "10.77.0.9",
                "a'; id #",
                "dns1 10.77.0.53",
                "",
                "198.51.100.9",
                "-"
            ]
        );
        assert_eq!(
            down_arguments("ng0", &network, "", peer),
            [
                "ng0",
                "inet",
                "10.77.0.1/32",
                "10.77.0.9",
                "-",
                "198.51.100.9",
                "-"
            ]
        );
        let network = Network::V6 {
            local: [0, 0, 0, 0, 0, 0, 0, 1],
            peer: [2, 0, 0, 0, 0, 0, 0, 2],
        };
        assert_eq!(
            up_arguments("ng0", &network, "a", peer),
            [
                "ng0",
                "inet6",
                "fe80::1%ng0",
                "fe80::200:0:0:2%ng0",
                "a",
                "198.51.100.9",
                "-"
            ]
        );
    }
}

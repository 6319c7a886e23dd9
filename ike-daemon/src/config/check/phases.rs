//! `phase1`, `phase2`: algorithms, modes, lifetimes.

use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};
use ike_proto::iana::EspTransform;
use ike_proto::io::Mode;
use ike_proto::policy::{Phase1Policy, Phase2Policy};

use super::{Check, set};
use crate::config::values::Period;
use crate::config::yaml::{Phase1Section, Phase2Section};

/// Nobody rekeys more often than this on purpose.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(60);

impl Check<'_> {
    pub(super) fn phase1(
        &mut self,
        path: &str,
        section: &Phase1Section,
        phase1: &mut Phase1Policy,
    ) {
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

    pub(super) fn phase2(
        &mut self,
        path: &str,
        section: &Phase2Section,
        phase2: &mut Phase2Policy,
    ) {
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
}

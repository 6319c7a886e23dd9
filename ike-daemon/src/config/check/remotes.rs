//! `remotes`: what is different for some peers, and the switches that peers may differ in.

use std::sync::Arc;
use std::time::Duration;

use ike_proto::Policy;
use ike_proto::policy::{DpdPolicy, NatPolicy, Remote};

use super::{Check, set};
use crate::config::yaml::{DpdSection, File, NatSwitches, RemoteSection};

/// A peer that asks for less than this is asked all the time.
const SHORTEST_SILENCE: Duration = Duration::from_secs(10);

impl Check<'_> {
    /// Rules for some peers: the general ones, and what is written over them.
    pub(super) fn remote(
        &mut self,
        name: &str,
        section: &RemoteSection,
        general: &Policy,
    ) -> Remote {
        let path = format!("remotes.{name}");
        if section.peers.0.is_empty() {
            self.problem(
                &format!("{path}.peers"),
                "empty; expected an address or a subnet",
            );
        }
        let networks = section.peers.0.iter().map(|net| net.0).collect();
        let mut remote = general.remote(name, networks);
        remote.local_identity = section.identity.as_ref().map(|name| name.0.clone());
        self.phase1(
            &format!("{path}.phase1"),
            &section.phase1,
            &mut remote.phase1,
        );
        if let Some(own) = &section.mode_config {
            let own = self.mode_config(&format!("{path}.mode_config"), own);
            remote.mode_config = Some(Arc::new(own));
        }
        remote.phase2.tunnel |= remote.mode_config.is_some();
        self.phase2(
            &format!("{path}.phase2"),
            &section.phase2,
            &mut remote.phase2,
        );
        if let Some(own) = &section.authentication {
            remote.authentication = self.authentication(&format!("{path}.authentication"), own);
        }
        set(&mut remote.aggressive, section.aggressive);
        let fragmentation = section.fragmentation.map(|name| name.0);
        set(&mut remote.fragmentation, fragmentation);
        self.nat_switches(&format!("{path}.nat_t"), &section.nat_t, &mut remote.nat);
        self.dpd(&format!("{path}.dpd"), &section.dpd, &mut remote.dpd);
        remote
    }

    /// NAT traversal of everybody, and the ports.
    pub(super) fn nat(&mut self, file: &File, policy: &mut Policy) {
        let section = &file.nat_t;
        let switches = NatSwitches {
            enabled: section.enabled,
            drafts: section.drafts,
            force: section.force,
            keepalive: section.keepalive,
        };
        let nat = &mut policy.nat;
        self.nat_switches("nat_t", &switches, nat);
        set(&mut nat.ike_port, file.port);
        set(&mut nat.natt_port, section.port);
        if nat.ike_port == 0 {
            self.problem("port", "expected 1 to 65535, normally 500");
        }
        if nat.natt_port == 0 || nat.natt_port == nat.ike_port {
            self.problem(
                "nat_t.port",
                "expected 1 to 65535 and not the IKE port, normally 4500",
            );
        }
    }

    fn nat_switches(&mut self, path: &str, section: &NatSwitches, nat: &mut NatPolicy) {
        set(&mut nat.enabled, section.enabled);
        set(&mut nat.drafts, section.drafts);
        set(&mut nat.force, section.force);
        let keepalive = section.keepalive.map(|period| period.0);
        set(&mut nat.keepalive, keepalive);
        if nat.force && !nat.enabled {
            self.problem(&format!("{path}.force"), "true, but `enabled` is false");
        }
    }

    pub(super) fn dpd(&mut self, path: &str, section: &DpdSection, dpd: &mut DpdPolicy) {
        set(&mut dpd.interval, section.interval.map(|period| period.0));
        set(&mut dpd.retry, section.retry.map(|period| period.0));
        set(&mut dpd.attempts, section.attempts);
        set(&mut dpd.silence, section.silence.map(|period| period.0));
        if dpd.retry < Duration::from_millis(100) {
            self.problem(&format!("{path}.retry"), "expected 100ms or more");
        }
        if !(1..=100).contains(&dpd.attempts) {
            self.problem(
                &format!("{path}.attempts"),
                "expected 1 to 100; `interval: 0` turns detection off",
            );
        }
        if !dpd.silence.is_zero() && dpd.silence < SHORTEST_SILENCE {
            self.problem(
                &format!("{path}.silence"),
                "expected 10s or more, or 0 to leave peers that cannot be asked alone",
            );
        }
    }
}

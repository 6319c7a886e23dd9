//! Who may come in, and on what terms.

use std::fmt::Display;

use ike_crypto::{Cipher, Group, Hash};
use ike_proto::Policy;
use ike_proto::policy::{
    Authentication, DpdPolicy, Fragmentation, Method, NatPolicy, Phase1Policy, Phase2Policy,
    Sha256Icv,
};
use tanuki_daemon::yaml::{list, quoted};

use super::Yaml;
use super::words::{identity_name, path, service, suite};
use crate::config::model::{AuthenticationFiles, Config};

impl Yaml<'_> {
    pub(super) fn authentication(&mut self, config: &Config, name: &str, own: &Authentication) {
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
                let origin = out.0.origin("certificates");
                out.0.line("certificates:", origin);
            }
            for (chain, key) in &files.own {
                out.0.line(&format!("  - chain: {}", path(chain)), None);
                out.0.line(&format!("    key: {}", path(key)), None);
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

    pub(super) fn remotes(&mut self, config: &Config) {
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

    pub(super) fn fragmentation(&mut self, own: Fragmentation, default: Fragmentation) {
        let word = match own {
            Fragmentation::Off => "off",
            Fragmentation::On => "on",
            Fragmentation::Force => "force",
        };
        self.key("fragmentation", word, own == default);
    }

    pub(super) fn nat(&mut self, own: &NatPolicy, default: &NatPolicy) {
        self.flag("enabled", own.enabled, default.enabled);
        self.flag("drafts", own.drafts, default.drafts);
        self.flag("force", own.force, default.force);
        self.period("keepalive", own.keepalive, default.keepalive);
    }

    pub(super) fn dpd(&mut self, own: &DpdPolicy, default: &DpdPolicy) {
        self.period("interval", own.interval, default.interval);
        self.period("retry", own.retry, default.retry);
        self.number("attempts", own.attempts, default.attempts);
        self.period("silence", own.silence, default.silence);
    }

    pub(super) fn phase1(&mut self, own: &Phase1Policy, default: &Phase1Policy) {
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

    pub(super) fn phase2(&mut self, own: &Phase2Policy, default: &Phase2Policy) {
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

    pub(super) fn timers(&mut self, policy: &Policy) {
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

    pub(super) fn limits(&mut self, policy: &Policy) {
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

    pub(super) fn mode_config(&mut self, config: &Config) {
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
            if let Some(file) = config.users_files.get("") {
                out.key("users", path(file), false);
            }
        });
    }
}

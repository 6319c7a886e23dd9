//! What counts for peers without a block of their own, and how single rules are read.

use std::time::Duration;

use ike_proto::policy::{DpdPolicy, Fragmentation};
use racoon_conf::ast::RemoteItem;
use racoon_conf::words::{Force, GeneratePolicy, ProposalCheck};

use super::block::Block;
use super::lower::Lowering;

impl Lowering {
    /// What is one for all peers, and what counts for those without a block of their own.
    pub(super) fn first_block(&mut self, block: &Block<'_>, is_general: bool) {
        let nat = block.nat();
        (self.policy.nat.enabled, self.policy.nat.force) = traversal(nat.value);
        self.from("nat_t.enabled", nat.span);
        if nat.value == Force::Force {
            self.from("nat_t.force", nat.span);
        }
        if let Some(frag) = block.fragmentation() {
            self.policy.fragmentation.mode = fragmentation(frag.value);
            self.from("fragmentation", frag.span);
        }
        for (name, path) in [
            ("dpd_delay", "dpd.interval"),
            ("dpd_retry", "dpd.retry"),
            ("dpd_maxfail", "dpd.attempts"),
        ] {
            if let Some(number) = block.number(name) {
                self.from(path, number.span);
            }
        }
        self.policy.dpd = self.dead_peers(block);
        // A responder takes whoever has the key; racoon always responds.
        self.policy.respond = true;
        self.check = block.check().value;
        if !is_general {
            self.policy.authentication.methods.clear();
            return;
        }
        self.terms_told(block);
        let Some(phase1) = self.phase1(block, true) else {
            return;
        };
        self.xauth_servers = self.xauth_servers.or(phase1.xauth_server);
        let (authentication, files) = self.authentication(block, &phase1.methods);
        self.policy.phase1 = phase1.policy;
        self.policy.local_identity = self.my_identity(block, !authentication.own.is_empty());
        if let Some(span) = block.span_of("my_identifier") {
            self.from("identity", span);
        }
        if let Some(span) = block.span_of("certificate_type") {
            self.from("authentication.certificates", span);
        }
        self.policy.authentication = authentication;
        self.policy.aggressive = block.takes_aggressive();
        self.authentication_files.insert(String::new(), files);
    }

    /// What is not quite as racoon has it.
    pub(super) fn terms_told(&mut self, block: &Block<'_>) {
        let check = block.check();
        match check.value {
            ProposalCheck::Strict if block.writes_check() => {
                self.value("remote proposal_check", "strict", check.span, "");
            }
            ProposalCheck::Exact => {
                self.value("remote proposal_check", "exact", check.span, "");
            }
            _ => {}
        }
        let generate = block.last(|item| match item {
            RemoteItem::GeneratePolicy(value) => Some(value.clone()),
            _ => None,
        });
        if let Some(generate) = generate.filter(|value| value.value == GeneratePolicy::Off) {
            self.value("remote generate_policy", "off", generate.span, "");
        }
    }

    pub(super) fn dead_peers(&mut self, block: &Block<'_>) -> DpdPolicy {
        let on = block.switch("dpd", true).value;
        let mut dpd = DpdPolicy::default();
        if let Some(delay) = block.number("dpd_delay") {
            match delay.value {
                0..=86_400 if on => dpd.interval = Duration::from_secs(delay.value),
                0..=86_400 => {}
                _ => self.value("remote dpd_delay", "out of range", delay.span, ""),
            }
        }
        // racoon asks nobody unless told to.
        if !on || block.number("dpd_delay").is_none() {
            dpd.interval = Duration::ZERO;
        }
        if let Some(retry) = block.number("dpd_retry") {
            match retry.value {
                1..=86_400 => dpd.retry = Duration::from_secs(retry.value),
                _ => self.value("remote dpd_retry", "out of range", retry.span, ""),
            }
        }
        if let Some(fails) = block.number("dpd_maxfail") {
            match u32::try_from(fails.value) {
                Ok(attempts @ 1..=100) => dpd.attempts = attempts,
                _ => self.value("remote dpd_maxfail", "out of range", fails.span, ""),
            }
        }
        dpd
    }
}

/// Whether NAT traversal is done, and forced.
pub(super) fn traversal(word: Force) -> (bool, bool) {
    (word != Force::Off, word == Force::Force)
}

pub(super) fn fragmentation(word: Force) -> Fragmentation {
    match word {
        Force::Off => Fragmentation::Off,
        Force::On => Fragmentation::On,
        Force::Force => Fragmentation::Force,
    }
}

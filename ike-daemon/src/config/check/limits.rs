//! `retransmit`, `limits`, and what of `fragmentation` is one for all.

use std::time::Duration;

use ike_proto::Policy;

use super::{Check, set};
use crate::config::yaml::File;

/// From what every IPv4 host takes (RFC 791 3.1) to Ethernet's jumbo frames.
const FRAGMENT_SIZES: std::ops::RangeInclusive<usize> = 576..=9000;

impl Check<'_> {
    pub(super) fn fragment_size(&mut self, file: &File, policy: &mut Policy) {
        let size = &mut policy.fragmentation.size;
        set(size, file.fragment_size);
        if !FRAGMENT_SIZES.contains(size) {
            self.problem(
                "fragment_size",
                "expected 576 to 9000 octets, IP header included",
            );
        }
    }

    pub(super) fn retransmit(&mut self, file: &File, policy: &mut Policy) {
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

    pub(super) fn limits(&mut self, file: &File, policy: &mut Policy) {
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
}

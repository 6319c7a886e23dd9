//! How many tunnels there are of each source, and whether one more is let in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::Limits;
use crate::io::Refusal;
use crate::tunnel::Tunnel;

/// What a tunnel counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nobody proved anything yet.
    HalfOpen,
    /// Established or closing.
    Open,
}

impl Class {
    pub(crate) fn of(tunnel: &Tunnel) -> Self {
        if tunnel.is_half_open() {
            Self::HalfOpen
        } else {
            Self::Open
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    tunnels: usize,
    half_open: usize,
}

impl Count {
    fn add(&mut self, class: Class) {
        self.tunnels += 1;
        self.half_open += usize::from(class == Class::HalfOpen);
    }

    fn remove(&mut self, class: Class) {
        self.tunnels = self.tunnels.saturating_sub(1);
        let half_open = usize::from(class == Class::HalfOpen);
        self.half_open = self.half_open.saturating_sub(half_open);
    }
}

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    total: Count,
    sources: BTreeMap<IpAddr, Count>,
}

impl Admission {
    pub(crate) fn add(&mut self, source: IpAddr, class: Class) {
        self.total.add(class);
        self.sources.entry(source).or_default().add(class);
    }

    pub(crate) fn remove(&mut self, source: IpAddr, class: Class) {
        self.total.remove(class);
        if let Some(count) = self.sources.get_mut(&source) {
            count.remove(class);
            if count.tunnels == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// Whether `source` may open one more tunnel.
    pub(crate) fn check(&self, source: IpAddr, limits: &Limits) -> Result<(), Refusal> {
        let of_source = self.sources.get(&source).copied().unwrap_or_default();
        // The source's own limits first: they name the culprit.
        if of_source.tunnels >= limits.tunnels_per_source {
            Err(Refusal::SourceLimit)
        } else if of_source.half_open >= limits.half_open_per_source {
            Err(Refusal::SourceHalfOpenLimit)
        } else if self.total.tunnels >= limits.tunnels {
            Err(Refusal::TunnelLimit)
        } else if self.total.half_open >= limits.half_open {
            Err(Refusal::HalfOpenLimit)
        } else {
            Ok(())
        }
    }
}

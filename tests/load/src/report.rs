//! What is told about it: how many, how long, and why not.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// One client's connection, from the start to each stage.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) phase1: Duration,
    pub(crate) phase2: Duration,
    /// None with IKE only, as is the next one.
    pub(crate) l2tp: Option<Duration>,
    pub(crate) ppp: Option<Duration>,
}

/// Everything that happened.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) clients: u32,
    pub(crate) times: Vec<Times>,
    pub(crate) failed: BTreeMap<String, u32>,
    pub(crate) lost: BTreeMap<String, u32>,
    pub(crate) echoes_sent: u64,
    pub(crate) round_trips: Vec<Duration>,
    /// From the first start to the last client that connected or failed.
    pub(crate) elapsed: Duration,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Stages {
    phase1: Spread,
    phase2: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    l2tp: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ppp: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct Echoes {
    sent: u64,
    answered: usize,
    round_trip_ms: Option<Spread>,
}

/// The report as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    clients: u32,
    connected: usize,
    failed: BTreeMap<String, u32>,
    elapsed_s: f64,
    connect_ms: Option<Spread>,
    stages_ms: Option<Stages>,
    lost: BTreeMap<String, u32>,
    echoes: Echoes,
    /// User and system time of this process.
    own_cpu_s: f64,
}

impl Report {
    /// Whether nobody failed or was lost.
    pub(crate) fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.lost.is_empty()
    }

    pub(crate) fn summary(&self, own_cpu: Duration) -> Summary {
        let stage = |duration: fn(&Times) -> Option<Duration>| {
            Spread::of(self.times.iter().filter_map(duration))
        };
        let stages = match (
            stage(|times| Some(times.phase1)),
            stage(|times| Some(times.phase2.saturating_sub(times.phase1))),
        ) {
            (Some(phase1), Some(phase2)) => Some(Stages {
                phase1,
                phase2,
                l2tp: stage(|times| Some(times.l2tp?.saturating_sub(times.phase2))),
                ppp: stage(|times| Some(times.ppp?.saturating_sub(times.l2tp?))),
            }),
            _ => None,
        };
        Summary {
            clients: self.clients,
            connected: self.times.len(),
            failed: self.failed.clone(),
            elapsed_s: self.elapsed.as_secs_f64(),
            connect_ms: stage(|times| times.ppp.or(Some(times.phase2))),
            stages_ms: stages,
            lost: self.lost.clone(),
            echoes: Echoes {
                sent: self.echoes_sent,
                answered: self.round_trips.len(),
                round_trip_ms: Spread::of(self.round_trips.iter().copied()),
            },
            own_cpu_s: own_cpu.as_secs_f64(),
        }
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<Duration> = values.collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        // The least value that so many in a hundred do not exceed.
        let at = |percent: usize| {
            let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            let value = sorted.get(place.min(last)).copied().unwrap_or_default();
            value.as_secs_f64() * 1e3
        };
        Some(Self {
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: at(100),
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "median {:.1} ms, 90 % {:.1} ms, 99 % {:.1} ms, longest {:.1} ms",
            self.p50, self.p90, self.p99, self.max
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} connected in {:.2} s",
            self.connected, self.clients, self.elapsed_s
        )?;
        if let Some(connect) = &self.connect_ms {
            write!(f, "\nconnecting: {connect}")?;
        }
        if let Some(stages) = &self.stages_ms {
            for (name, spread) in [
                ("phase 1", Some(stages.phase1)),
                ("phase 2", Some(stages.phase2)),
                ("L2TP", stages.l2tp),
                ("PPP", stages.ppp),
            ] {
                if let Some(spread) = spread {
                    write!(f, "\n  {name}: {spread}")?;
                }
            }
        }
        for (what, reasons) in [("failed", &self.failed), ("lost", &self.lost)] {
            for (reason, count) in reasons {
                write!(f, "\n{what}: {count}, {reason}")?;
            }
        }
        if let Some(round_trip) = &self.echoes.round_trip_ms {
            write!(
                f,
                "\nechoes: {} of {} answered, {round_trip}",
                self.echoes.answered, self.echoes.sent
            )?;
        }
        write!(f, "\nCPU time of this process: {:.2} s", self.own_cpu_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_l2tp_a_connection_ends_with_phase_2() {
        let ms = Duration::from_millis;
        let whole = Times {
            phase1: ms(10),
            phase2: ms(15),
            l2tp: Some(ms(35)),
            ppp: Some(ms(75)),
        };
        let ike_only = Times {
            l2tp: None,
            ppp: None,
            ..whole
        };
        let lines = |times| {
            let report = Report {
                clients: 1,
                times: vec![times],
                ..Report::default()
            };
            report.summary(Duration::ZERO).to_string()
        };
        let all = lines(whole);
        assert!(all.contains("connecting: median 75.0 ms"), "{all}");
        assert!(all.contains("PPP: median 40.0 ms"), "{all}");
        let ike = lines(ike_only);
        assert!(ike.contains("connecting: median 15.0 ms"), "{ike}");
        assert!(!ike.contains("PPP") && !ike.contains("L2TP"), "{ike}");
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = (1..=200).rev().map(Duration::from_millis);
        let spread = Spread::of(values).map(|s| [s.p50, s.p90, s.p99, s.max]);
        assert_eq!(spread, Some([100.0, 180.0, 198.0, 200.0]));
        let one = Spread::of([Duration::from_millis(7)].into_iter());
        assert_eq!(one.map(|s| [s.p50, s.p99]), Some([7.0, 7.0]));
        assert!(Spread::of(std::iter::empty()).is_none());
    }
}

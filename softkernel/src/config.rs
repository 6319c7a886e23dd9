//! `softkernel.yaml`.

use std::net::IpAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tanuki_daemon::config::{Problems, Source};
use tanuki_daemon::log::LogConfig;

use crate::{graph, ipsec};

/// Smallest MTU that IPv6 lives with (RFC 8200 section 5).
const MIN_MTU: u32 = 1280;
const MAX_MTU: u32 = 65_535;
const MAX_WORKERS: u32 = 64;
const OUT_OF_RANGE: &str = "out of range; 1 to 64, or auto";
const ONE_ONLY: &str = "this system does not spread the packets of a port over several sockets by \
                        SPI; 1 or auto";
/// Whether the system spreads packets over several threads' sockets.
const SEVERAL_WORKERS: bool = cfg!(target_os = "linux");
/// `IFNAMSIZ` without the final NUL.
const MAX_DEVICE_NAME: usize = 15;

/// The whole file; everything has a default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The TUN device.
    pub tun: Tun,
    /// ESP without UDP.
    pub esp: Esp,
    /// Threads that carry packets.
    pub workers: Workers,
    /// Where daemons connect; below the runtime folder unless said.
    pub sockets: Sockets,
    /// Bounds.
    pub limits: Limits,
    /// The log.
    pub log: LogConfig,
}

/// How many threads carry packets; the first one is the control thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "neither a number from 1 to 64 nor `auto`")]
pub enum Workers {
    /// That many.
    Number(u32),
    /// As many as there are processors.
    Automatic(Automatic),
}

/// The word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Automatic {
    /// `auto`
    Auto,
}

impl Default for Workers {
    fn default() -> Self {
        Self::Number(1)
    }
}

impl FromStr for Workers {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let workers = match text {
            "auto" => Self::Automatic(Automatic::Auto),
            number => Self::Number(number.parse().map_err(|_| OUT_OF_RANGE)?),
        };
        workers.check().map(|()| workers)
    }
}

impl Workers {
    /// Whether there can be so many.
    fn check(self) -> Result<(), &'static str> {
        match self {
            Self::Number(number) if !(1..=MAX_WORKERS).contains(&number) => Err(OUT_OF_RANGE),
            Self::Number(2..) if !SEVERAL_WORKERS => Err(ONE_ONLY),
            Self::Number(_) | Self::Automatic(_) => Ok(()),
        }
    }

    /// How many that is here.
    pub fn number(self) -> u32 {
        match self {
            Self::Number(number) => number.clamp(1, MAX_WORKERS),
            Self::Automatic(_) if SEVERAL_WORKERS => {
                let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
                u32::try_from(processors).map_or(MAX_WORKERS, |n| n.min(MAX_WORKERS))
            }
            Self::Automatic(_) => 1,
        }
    }
}

/// The TUN device that all clients share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tun {
    /// Its name, 1 to 15 characters.
    pub name: String,
    /// Its MTU in octets, 1280 to 65535; each client's route has its own below it.
    pub mtu: u32,
}

/// ESP without UDP.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Esp {
    /// Addresses to receive ESP at; unspecified addresses mean all of a family. Not said: all,
    /// unless the system's kernel keeps ESP for itself.
    pub listen: Option<Vec<IpAddr>>,
}

/// Paths of the Unix sockets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sockets {
    /// PF_KEY.
    pub pfkey: Option<PathBuf>,
    /// Netgraph.
    pub netgraph: Option<PathBuf>,
    /// UDP ports inside the kernel.
    pub udp: Option<PathBuf>,
    /// Statistics.
    pub control: Option<PathBuf>,
}

/// Bounds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Netgraph nodes; a client takes about five.
    pub nodes: usize,
    /// Security associations; a client takes two, and two more while it rekeys.
    pub security_associations: usize,
    /// Policies.
    pub policies: usize,
    /// Seconds that an SPI asked for and not used stays reserved.
    pub larval_lifetime: u64,
}

impl Default for Tun {
    fn default() -> Self {
        Self {
            name: "tanuki0".to_owned(),
            mtu: 1500,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let ipsec = ipsec::Config::default();
        Self {
            nodes: graph::Limits::default().nodes,
            security_associations: ipsec.max_sas,
            policies: ipsec.max_policies,
            larval_lifetime: ipsec.larval_lifetime.as_secs(),
        }
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every problem with its place.
    pub fn load(source: &Source) -> Result<Self, Problems> {
        let config: Self = source.parse()?;
        let mut problems = Vec::new();
        let name = &config.tun.name;
        if name.is_empty()
            || name.len() > MAX_DEVICE_NAME
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
        {
            let message = "not a device name; 1 to 15 letters, digits, dots, dashes";
            problems.push(source.problem("tun.name", message));
        }
        if !(MIN_MTU..=MAX_MTU).contains(&config.tun.mtu) {
            problems.push(source.problem("tun.mtu", "out of range; 1280 to 65535 octets"));
        }
        if let Err(message) = config.workers.check() {
            problems.push(source.problem("workers", message));
        }
        if config.limits.larval_lifetime == 0 {
            let message = "no time to negotiate; at least 1 second";
            problems.push(source.problem("limits.larval_lifetime", message));
        }
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems(problems))
        }
    }

    /// The part that IPsec wants to know.
    pub fn ipsec(&self) -> ipsec::Config {
        ipsec::Config {
            larval_lifetime: Duration::from_secs(self.limits.larval_lifetime),
            max_sas: self.limits.security_associations,
            max_policies: self.limits.policies,
            workers: self.workers.number(),
            ..ipsec::Config::default()
        }
    }

    /// The part that netgraph wants to know.
    pub fn graph(&self) -> graph::Limits {
        graph::Limits {
            nodes: self.limits.nodes,
            ..graph::Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        Config::load(&Source::new("s.yaml", text)).map_err(|problems| problems.to_string())
    }

    #[test]
    fn defaults_and_everything_said() {
        assert_eq!(load("").unwrap(), Config::default());
        let config = load(
            "tun: {name: vpn7, mtu: 1400}\nesp: {listen: [192.0.2.1]}\n\
             sockets: {control: /tmp/c.sock}\nlimits: {nodes: 10}\nlog: {level: debug}\n",
        )
        .unwrap();
        assert_eq!(
            config.tun,
            Tun {
                name: "vpn7".to_owned(),
                mtu: 1400
            }
        );
        assert_eq!(config.graph().nodes, 10);
    }

    #[test]
    fn workers_are_a_number_or_as_many_as_processors() {
        let workers = |text: &str| load(text).map(|config| config.workers.number());
        assert_eq!(workers(""), Ok(1));
        assert_eq!(workers("workers: 1\n"), Ok(1));
        let automatic = workers("workers: auto\n").unwrap();
        assert!((1..=MAX_WORKERS).contains(&automatic));
        let beyond = "s.yaml:1:10: workers: out of range; 1 to 64, or auto";
        for text in ["workers: 0\n", "workers: 65\n"] {
            assert_eq!(workers(text).unwrap_err(), beyond);
        }
        let refused = workers("workers: many\n").unwrap_err();
        assert!(
            refused.contains("neither a number from 1 to 64 nor `auto`"),
            "{refused}"
        );
        if SEVERAL_WORKERS {
            assert_eq!(workers("workers: 4\n"), Ok(4));
        } else {
            let refused = workers("workers: 4\n").unwrap_err();
            assert!(refused.ends_with("1 or auto"), "{refused}");
        }
    }

    #[test]
    fn problems_have_places() {
        let said = load("tun:\n  name: much-too-long-a-name\n  mtu: 100\n").unwrap_err();
        assert_eq!(
            said,
            "s.yaml:2:9: tun.name: not a device name; 1 to 15 letters, digits, dots, dashes\n\
             s.yaml:3:8: tun.mtu: out of range; 1280 to 65535 octets"
        );
        assert!(
            load("tunn: {}\n")
                .unwrap_err()
                .starts_with("s.yaml:1:1: unknown field")
        );
        assert!(
            load("esp: {listen: [nowhere]}\n")
                .unwrap_err()
                .starts_with("s.yaml:1:")
        );
    }
}

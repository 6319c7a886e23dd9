//! What the daemon wants to know, whatever syntax it was written in.

use std::net::IpAddr;

use ike_proto::Policy;
use ike_proto::policy::Connection;
use serde::Deserialize;
use tanuki_daemon::config::Problem;
use tanuki_daemon::log::LogConfig;

use super::racoon::PskFile;

/// Everything configurable, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses to listen on.
    pub listen: Vec<IpAddr>,
    /// Whether `listen` was written, so that every address of it has to work.
    pub listen_is_explicit: bool,
    /// What the protocol core is allowed to do. Its connections are in [`Config::connections`]:
    /// their own addresses are only known on the machine that uses them.
    pub policy: Policy,
    /// Peers we can initiate to.
    pub connections: Vec<ConfiguredConnection>,
    /// Which kernel takes the SAs.
    pub kernel: KernelChoice,
    /// The log.
    pub log: LogConfig,
    /// Where the keys come from when that is watched: racoon's psk.txt.
    pub psk: Option<PskFile>,
    /// What works but is unwise.
    pub warnings: Vec<Problem>,
}

/// A connection and how it is used.
#[derive(Debug, Clone)]
pub struct ConfiguredConnection {
    /// As the core takes it; `local` is the unspecified address when the routing table decides.
    pub connection: Connection,
    /// When it is started.
    pub start: Start,
}

/// Which kernel takes the SAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelChoice {
    /// The operating system's when it has PF_KEY and netgraph, else softkernel.
    #[default]
    Auto,
    /// The operating system's.
    System,
    /// softkernel.
    Soft,
}

/// When a connection is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// When told: `ikectl connect`.
    #[default]
    Manual,
    /// With the daemon, and again whenever it is down.
    Auto,
}

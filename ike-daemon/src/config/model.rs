//! What the daemon wants to know, whatever syntax it was written in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ike_proto::Policy;
use ike_proto::policy::Connection;
use serde::Deserialize;
use tanuki_daemon::config::Problem;
use tanuki_daemon::log::LogConfig;

use super::racoon::PskFile;
use super::static_entry::StaticEntry;

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
    /// The files behind `authentication`: the general one's under an empty name, and those of
    /// remotes.
    pub authentication_files: BTreeMap<String, AuthenticationFiles>,
    /// The files with the users of XAUTH: the general one's under an empty name, and those of
    /// remotes.
    pub users_files: BTreeMap<String, PathBuf>,
    /// Where racoonctl finds us, besides the runtime folder.
    pub admin_socket: Option<AdminSocket>,
    /// Programs that run when a phase 1 comes up or ends, most specific peers first.
    pub scripts: Vec<PeerScripts>,
    /// setkey(8) scripts.
    pub setkey: Vec<PathBuf>,
    /// Policies and SAs out of them.
    pub static_entries: Vec<StaticEntry>,
    /// A pid file besides the one in the runtime folder.
    pub pid_file: Option<PathBuf>,
    /// What works but is unwise.
    pub warnings: Vec<Problem>,
}

/// What an `authentication` was read from, for writing it down again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthenticationFiles {
    /// Chains and their keys.
    pub own: Vec<(PathBuf, PathBuf)>,
    /// Authorities.
    pub ca: Vec<PathBuf>,
    /// Revocation lists.
    pub crl: Vec<PathBuf>,
    /// Who may come.
    pub peers: Vec<String>,
}

/// A socket that speaks racoon's admin protocol, and who may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSocket {
    /// Where it is.
    pub path: PathBuf,
    /// Its owner, if not ourselves.
    pub owner: Option<u32>,
    /// Its group, if not our own.
    pub group: Option<u32>,
    /// Its permissions.
    pub mode: u32,
    /// Whether it was asked for, so that the daemon does not start without it.
    pub is_explicit: bool,
}

/// Programs that run for some peers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerScripts {
    /// For this peer; for everybody without an entry of their own if there is none.
    pub peer: Option<IpAddr>,
    /// When a phase 1 is established.
    pub up: Option<PathBuf>,
    /// When one ends.
    pub down: Option<PathBuf>,
    /// When one ends because the peer does not answer.
    pub dead: Option<PathBuf>,
}

impl PeerScripts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.up.is_none() && self.down.is_none() && self.dead.is_none()
    }
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

//! Configuration: `ike-daemon.yaml`, or racoon's files, into [`Config`].
//!
//! * `yaml`: the words of the file
//! * `account`: owners and permissions
//! * `values`: single values and their refusals
//! * `certificates`, `credentials`: keys, certificates, authorities, and their files
//! * `mode_config`: addresses and users for tunnel mode
//! * `check`: what depends on several values, and the step to the model
//! * `model`: what the daemon wants to know
//! * `overrides`: what the command line says about it
//! * `static_entry`: policies and SAs out of setkey(8) scripts
//! * [`write`]: the model as YAML again
//! * [`racoon`]: racoon.conf, psk.txt and setkey scripts into the same model

mod account;
mod certificates;
mod check;
mod credentials;
pub(crate) mod mode_config;
mod model;
mod overrides;
pub mod racoon;
pub mod static_entry;
mod values;
pub mod write;
mod yaml;

use std::path::{Path, PathBuf};

use tanuki_daemon::config::{Problems, Source};

pub use model::{
    AdminSocket, AuthenticationFiles, Config, ConfiguredConnection, KernelChoice, PeerScripts,
    Start,
};
pub use overrides::{Family, Overrides};

/// Where the configuration is when nothing else is said.
pub const DEFAULT_PATH: &str = "/usr/local/etc/tanuki/ike-daemon.yaml";

impl Config {
    /// Reads and checks `file`, in YAML or as racoon.conf (see [`racoon::is_racoon`]), with the
    /// setkey(8) scripts `policies` besides those it names itself.
    ///
    /// # Errors
    /// Every problem found, with file, line and column.
    pub fn load(file: &Path, policies: &[PathBuf]) -> Result<Self, Problems> {
        if racoon::is_racoon(file) {
            return racoon::load(file, policies).map(|loaded| loaded.config);
        }
        let source = Source::read(file)?;
        check::lower(&source, source.parse()?, policies)
    }

    /// Checks a configuration that is in memory. Paths in it are taken as they stand.
    ///
    /// # Errors
    /// Every problem found, with file, line and column.
    pub fn from_source(source: &Source) -> Result<Self, Problems> {
        check::lower(source, source.parse()?, &[])
    }
}

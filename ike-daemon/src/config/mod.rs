//! Configuration: `ike-daemon.yaml`, or racoon's files, into [`Config`].
//!
//! * `yaml`: the words of the file
//! * `values`: single values and their refusals
//! * `certificates`: keys, certificates, authorities
//! * `check`: what depends on several values, and the step to the model
//! * `model`: what the daemon wants to know
//! * [`racoon`]: racoon.conf, psk.txt and setkey scripts into the same model

mod certificates;
mod check;
mod model;
pub mod racoon;
mod values;
mod yaml;

use std::path::Path;

use tanuki_daemon::config::{Problems, Source};

pub use model::{Config, ConfiguredConnection, KernelChoice, Start};

/// Where the configuration is when nothing else is said.
pub const DEFAULT_PATH: &str = "/usr/local/etc/tanuki/ike-daemon.yaml";

impl Config {
    /// Reads and checks `file`, in YAML or as racoon.conf: see [`racoon::is_racoon`].
    ///
    /// # Errors
    /// Every problem found, with file, line and column.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        if racoon::is_racoon(file) {
            return racoon::load(file, None);
        }
        Self::from_source(&Source::read(file)?)
    }

    /// Checks a configuration that is in memory. Paths in it are taken as they stand.
    ///
    /// # Errors
    /// Every problem found, with file, line and column.
    pub fn from_source(source: &Source) -> Result<Self, Problems> {
        check::lower(source, source.parse()?)
    }
}

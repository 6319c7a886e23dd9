//! What the command line says about the configuration: it counts more than the file, now and after
//! every reload.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tanuki_daemon::config::{Problem, Problems};
use tanuki_daemon::log::Target;

use super::Config;

/// The part of the command line that concerns the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// setkey(8) scripts besides those of the file.
    pub policies: Vec<PathBuf>,
    /// Where the log goes.
    pub log: Option<Target>,
    /// Port of IKE.
    pub port: Option<u16>,
    /// Port of NAT traversal.
    pub natt_port: Option<u16>,
    /// Listen on that family only, unless the file names addresses.
    pub family: Option<Family>,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Overrides {
    /// Reads and checks `file`, and puts the command line's word in place of its own.
    ///
    /// # Errors
    /// Every problem found, with file, line and column.
    pub fn load(&self, file: &Path) -> Result<Config, Problems> {
        let mut config = Config::load(file, &self.policies)?;
        if self.log.is_some() {
            config.log.target.clone_from(&self.log);
        }
        let nat = &mut config.policy.nat;
        nat.ike_port = self.port.unwrap_or(nat.ike_port);
        nat.natt_port = self.natt_port.unwrap_or(nat.natt_port);
        if nat.ike_port == nat.natt_port {
            return Err(Problems(vec![Problem {
                file: file.to_owned(),
                line: 0,
                column: 0,
                message: format!(
                    "the ports of IKE and NAT traversal are both {}; give -p and -P different ones",
                    nat.ike_port
                ),
            }]));
        }
        if let Some(family) = self.family
            && config.listen.iter().all(IpAddr::is_unspecified)
        {
            let wanted = family == Family::V4;
            config.listen.retain(|own| own.is_ipv4() == wanted);
        }
        Ok(config)
    }
}

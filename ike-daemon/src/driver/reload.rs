//! The configuration again, and racoon's psk.txt.

use std::time::Instant;

use slog::{error, info, warn};

use super::daemon::Daemon;
use super::users::UserFiles;
use super::{log_problems, log_warnings};

impl Daemon {
    /// Edits of racoon's psk.txt count from the next datagram on, at most a second late.
    pub(super) fn refresh_psk(&mut self) {
        let psk = self.config.psk.as_mut();
        let Some(read) = psk.and_then(|psk| psk.refresh(Instant::now())) else {
            return;
        };
        self.config.policy.secrets = match read {
            Ok(keys) => {
                for warning in &keys.warnings {
                    warn!(self.log, "{warning}");
                }
                info!(self.log, "keys read again"; "keys" => keys.secrets.len());
                keys.secrets
            }
            Err(problem) => {
                error!(self.log, "{problem}"; "remedy" => "until then nobody has a key");
                Vec::new()
            }
        };
        self.apply_policy();
    }

    pub(super) fn reload_or_log(&mut self) {
        // The words are in the log already.
        let _ = self.reload();
    }

    /// Reads the configuration again. A broken file changes nothing.
    ///
    /// # Errors
    /// The file's problems, in words.
    pub(super) fn reload(&mut self) -> Result<String, String> {
        let paths = &self.parts.paths;
        let config = match paths.overrides.load(&paths.config) {
            Ok(config) => config,
            Err(problems) => {
                log_problems(&self.log, &problems);
                error!(self.log, "configuration refused; the one in force stays");
                return Err(problems.to_string());
            }
        };
        log_warnings(&self.log, &config);
        let old = &self.config;
        let restart: Vec<&str> = [
            ("listen", old.listen != config.listen),
            (
                "port",
                old.policy.nat.ike_port != config.policy.nat.ike_port,
            ),
            (
                "nat_t.port",
                old.policy.nat.natt_port != config.policy.nat.natt_port,
            ),
            (
                "nat_t.enabled",
                old.policy.nat.enabled != config.policy.nat.enabled,
            ),
            ("kernel", old.kernel != config.kernel),
            ("log", old.log != config.log),
        ]
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect();
        let mut message = "configuration reloaded".to_owned();
        if !restart.is_empty() {
            message = format!("{message}; a restart is needed for {}", restart.join(", "));
        }
        info!(self.log, "{message}");
        // Ports in use are the old ones until the restart.
        let (ike_port, natt_port) = (old.policy.nat.ike_port, old.policy.nat.natt_port);
        self.users = UserFiles::new(&config);
        let before = std::mem::replace(&mut self.config, config);
        self.config.policy.nat.ike_port = ike_port;
        self.config.policy.nat.natt_port = natt_port;
        self.kernels.refresh_system();
        self.kernels_changed();
        self.apply_policy();
        let wanted = self.config.static_entries.clone();
        self.remove_static_entries(&before.static_entries, &wanted);
        self.add_static_entries();
        self.soon_auto();
        Ok(message)
    }
}

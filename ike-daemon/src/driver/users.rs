//! The files with the users of XAUTH: edits count without a reload.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use slog::{error, info, warn};
use tanuki_daemon::watch::Watch;

use super::daemon::Daemon;
use crate::config::Config;
use crate::config::mode_config::read_users;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The files in use, each once.
#[derive(Debug, Default)]
pub(super) struct UserFiles {
    watches: Vec<Watch>,
    looked: Option<Instant>,
}

impl UserFiles {
    /// Those of a configuration that was just read.
    pub(super) fn new(config: &Config) -> Self {
        let mut files: Vec<&PathBuf> = config.users_files.values().collect();
        files.sort_unstable();
        files.dedup();
        let watches = files.into_iter().map(|file| {
            let mut watch = Watch::new(file);
            // As it is now it was read.
            let _ = watch.changed();
            watch
        });
        Self {
            watches: watches.collect(),
            looked: None,
        }
    }

    fn changed(&mut self, now: Instant) -> Vec<PathBuf> {
        if self.looked.is_some_and(|looked| now < looked + LOOK) {
            return Vec::new();
        }
        self.looked = Some(now);
        let changed = self.watches.iter_mut().filter_map(|watch| {
            let changed = watch.changed().unwrap_or(false);
            changed.then(|| watch.file().to_owned())
        });
        changed.collect()
    }
}

impl Daemon {
    /// Edits of the users' files count from the next datagram on, at most a second late. A broken
    /// one changes nothing.
    pub(super) fn refresh_users(&mut self) {
        let files = self.users.changed(Instant::now());
        if files.is_empty() {
            return;
        }
        for file in files {
            match read_users(&file) {
                Ok((users, warning)) => {
                    if let Some(warning) = warning {
                        warn!(self.log, "{warning}");
                    }
                    info!(self.log, "users read again"; "file" => %file.display(),
                        "users" => users.len());
                    self.config.set_users(&file, &users);
                }
                Err(problem) => error!(self.log, "{problem}";
                    "remedy" => "until then the users stay as they were"),
            }
        }
        self.apply_policy();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use ike_proto::policy::ModeConfig;
    use tanuki_daemon::config::Source;

    use super::*;

    /// Whom a policy knows, by address.
    fn known(config: &Config, address: [u8; 4]) -> Vec<String> {
        let terms = config.policy.terms(address.into());
        let users = |config: &ModeConfig| config.users.keys().cloned().collect();
        terms.mode_config.map_or(Vec::new(), |config| users(config))
    }

    #[test]
    fn edits_reach_those_who_have_their_users_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let (everybody, office) = (folder.path().join("users"), folder.path().join("office"));
        let write = |file: &PathBuf, name: &str| {
            let text = format!("users:\n  - name: {name}\n    password: geheim\n");
            std::fs::write(file, text).unwrap();
        };
        write(&everybody, "ann");
        write(&office, "bob");
        let text = format!(
            "secrets:\n  - psk: kXv7mQz2-Tb9Lw4-Rn6Yc8\nmode_config:\n  pool: 10.0.0.1-10.0.0.9\n  \
             users: {}\nremotes:\n  office:\n    peers: 192.0.2.1\n    mode_config:\n      \
             pool: 10.1.0.1-10.1.0.9\n      users: {}\n  other:\n    peers: 192.0.2.2\n",
            everybody.display(),
            office.display()
        );
        let source = Source::new("ike.yaml", &text);
        let mut config = Config::from_source(&source).unwrap_or_else(|p| panic!("{p}"));
        let mut files = UserFiles::new(&config);
        let mut now = Instant::now();
        assert_eq!(files.changed(now), [""; 0].map(PathBuf::from));
        write(&everybody, "carol");
        assert!(files.changed(now).is_empty(), "once a second");
        now += LOOK;
        assert_eq!(files.changed(now), std::slice::from_ref(&everybody));
        let (users, _) = read_users(&everybody).unwrap();
        config.set_users(&everybody, &users);
        assert_eq!(known(&config, [192, 0, 2, 1]), ["bob"]);
        assert_eq!(known(&config, [192, 0, 2, 2]), ["carol"]);
        assert_eq!(known(&config, [192, 0, 2, 3]), ["carol"]);
        // Again: what was inherited still is.
        write(&everybody, "dora");
        let (users, _) = read_users(&everybody).unwrap();
        config.set_users(&everybody, &users);
        assert_eq!(known(&config, [192, 0, 2, 2]), ["dora"]);
    }
}

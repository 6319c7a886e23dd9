//! The configuration file: what it says decides which language it is in.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tanuki_daemon::config::{Problem, Problems, Source};

use super::Config;
use super::mpd;

/// The largest file that is read, octets.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Which file, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// `l2tpd.yaml` or an mpd.conf.
    pub path: PathBuf,
    /// The label of an mpd.conf to run after `startup`; none: `default`.
    pub label: Option<String>,
    /// Leave out other links than L2TP ones of an mpd.conf instead of refusing it.
    pub skip_unsupported: bool,
}

/// A configuration and what the operator should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Checked.
    pub config: Config,
    /// One line each, with its place.
    pub notices: Vec<String>,
}

impl ConfigFile {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Every problem found, each with its place and what would be accepted.
    pub fn read(&self) -> Result<Loaded, Problems> {
        let bytes = read_bounded(&self.path).map_err(|error| {
            Problems(vec![Problem {
                file: self.path.clone(),
                line: 0,
                column: 0,
                message: error.to_string(),
            }])
        })?;
        if self.label.is_some() || is_mpd(&bytes) {
            return mpd::load(self, &bytes);
        }
        let config = Config::from_source(&Source::read(&self.path)?)?;
        let notices = Vec::new();
        Ok(Loaded { config, notices })
    }
}

/// Reads a whole file, if it is not too large for a configuration.
///
/// # Errors
/// What the system says, or that it is too large.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(
            "larger than 4 MiB; a configuration is not",
        ));
    }
    Ok(bytes)
}

/// mpd.conf has labels at the margin and indented commands, which are words; what is indented in
/// YAML is a key with a colon, or begins with a dash or a bracket.
fn is_mpd(bytes: &[u8]) -> bool {
    let mut label = false;
    for line in bytes.split(|octet| *octet == b'\n') {
        let text = line.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let indented = line.first().is_some_and(u8::is_ascii_whitespace);
        if !indented {
            label = text.ends_with(b":");
            if !label {
                return false;
            }
        } else if label {
            let mut words = text.split(u8::is_ascii_whitespace);
            let first = words.next().unwrap_or_default();
            return first.iter().all(u8::is_ascii_lowercase) && words.next().is_some()
                || first == b"open";
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_decides() {
        for mpd in [
            "startup:\n\tset user a b admin\ndefault:\n",
            "# mine\n\ndefault:\n load l2tp\n",
            "default:\n# none yet\nl2tp:\n  create bundle template B\n",
            "dial:\n\topen\n",
        ] {
            assert!(is_mpd(mpd.as_bytes()), "{mpd}");
        }
        for yaml in [
            "",
            "local_address: 10.77.0.1\nusers: u\n",
            "pool:\n  - 10.0.0.1\nusers: u\n",
            "connections:\n  office:\n    server: 192.0.2.1\n",
            "connections:\n  office: {server: 192.0.2.1}\n",
            "listen: []\n",
            "listen:\n  [192.0.2.1]\n",
            "{listen: []}",
            "default:\n",
        ] {
            assert!(!is_mpd(yaml.as_bytes()), "{yaml}");
        }
        assert!(!is_mpd(include_bytes!("../../../etc/l2tpd.yaml.sample")));
    }
}

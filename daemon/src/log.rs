//! The log: slog records to standard error, a file, or syslog, never blocking the event loop.

mod file;
mod remedy;
mod syslog;

use std::io::{self, LineWriter};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;

use serde::Deserialize;
use slog::{Drain, Level, Logger, Never, o};

use crate::exit::{self, Failure};
use file::LogFile;
use syslog::Syslog;

pub use remedy::Remedy;

/// Octets of a JSON record that are written by one call.
const LONGEST_RECORD: usize = 16 * 1024;

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Standard error, one line a record.
    Stderr,
    /// syslog(3), facility daemon.
    Syslog,
    /// A file, appended to.
    File(PathBuf),
}

/// How records look on standard error and in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The `log:` section of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// error, warning, info, debug or trace.
    pub level: LogLevel,
    /// stderr, syslog, or `file: PATH`; unless said, stderr in the foreground and syslog in the
    /// background.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub target: Option<Target>,
    /// text or json.
    pub format: Format,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogLevel(Level::Info),
            target: None,
            format: Format::Text,
        }
    }
}

impl LogConfig {
    /// Where records go.
    ///
    /// # Errors
    /// In the background standard error leads nowhere.
    pub fn target(&self, background: bool) -> Result<Target, Failure> {
        match (&self.target, background) {
            (Some(Target::Stderr), true) => Err(Failure::new(
                exit::CONFIG,
                "log.target: stderr leads nowhere in the background; \
                 expected syslog, a file, or to be left out",
            )),
            (Some(target), _) => Ok(target.clone()),
            (None, true) => Ok(Target::Syslog),
            (None, false) => Ok(Target::Stderr),
        }
    }
}

/// A level by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevel(pub Level);

impl LogLevel {
    /// `steps` levels more talkative.
    #[must_use]
    pub fn louder(self, steps: u8) -> Self {
        let number = self.0.as_usize().saturating_add(steps.into());
        Self(Level::from_usize(number).unwrap_or(Level::Trace))
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Level::from_str(text).map(LogLevel).map_err(|()| {
            format!("unknown log level {text:?}; expected error, warning, info, debug or trace")
        })
    }
}

impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::config::parsed(deserializer)
    }
}

/// Makes the logger of `program` that writes to `target`. Drop the guard last: it writes what is
/// still queued.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(
    program: &'static str,
    config: &LogConfig,
    target: &Target,
) -> io::Result<(Logger, slog_async::AsyncGuard)> {
    let level = config.level.0;
    match target {
        Target::Stderr => Ok(text_or_json(io::stderr(), level, config.format)),
        Target::File(path) => {
            let file = LogFile::open(path).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
            Ok(text_or_json(file, level, config.format))
        }
        Target::Syslog => Ok(asynchronous(Syslog::new(program), level)),
    }
}

fn text_or_json<W: io::Write + Send + 'static>(
    out: W,
    level: Level,
    format: Format,
) -> (Logger, slog_async::AsyncGuard) {
    match format {
        Format::Text => {
            let plain = slog_term::PlainSyncDecorator::new(out);
            let drain = slog_term::FullFormat::new(plain)
                .use_utc_timestamp()
                .build()
                .ignore_res();
            asynchronous(drain, level)
        }
        Format::Json => {
            // Serialised piece by piece, written record by record.
            let lines = LineWriter::with_capacity(LONGEST_RECORD, out);
            let drain = Mutex::new(slog_json::Json::default(lines)).ignore_res();
            asynchronous(drain, level)
        }
    }
}

/// Behind a bounded queue: a slow disk costs records (counted by slog-async), never packets.
fn asynchronous<D>(drain: D, level: Level) -> (Logger, slog_async::AsyncGuard)
where
    D: Drain<Ok = (), Err = Never> + Send + 'static,
{
    let (queue, guard) = slog_async::Async::new(drain)
        .chan_size(4096)
        .overflow_strategy(slog_async::OverflowStrategy::DropAndReport)
        .build_with_guard();
    (Logger::root(queue.filter_level(level).fuse(), o!()), guard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_reach_the_file_before_the_guard_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let config = LogConfig {
            format: Format::Json,
            ..LogConfig::default()
        };
        let (logger, guard) = open("test", &config, &Target::File(path.clone())).unwrap();
        slog::info!(logger, "up"; "peer" => "203.0.113.4");
        slog::debug!(logger, "not wanted");
        drop((logger, guard));
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&record["msg"], &record["peer"]),
            (&"up".into(), &"203.0.113.4".into())
        );
    }

    #[test]
    fn configuration_words() {
        let config: LogConfig =
            serde_yaml::from_str("level: debug\ntarget:\n  file: /tmp/x\nformat: json\n").unwrap();
        assert_eq!(config.level, LogLevel(Level::Debug));
        assert_eq!(config.target, Some(Target::File("/tmp/x".into())));
        let config: LogConfig = serde_yaml::from_str("target: syslog\n").unwrap();
        assert_eq!(config.target, Some(Target::Syslog));
        assert!(serde_yaml::from_str::<LogConfig>("level: loud\n").is_err());
        assert_eq!(LogLevel(Level::Info).louder(9), LogLevel(Level::Trace));
    }

    #[test]
    fn nothing_is_logged_to_nowhere() {
        let config = |text| serde_yaml::from_str::<LogConfig>(text).unwrap();
        assert_eq!(config("{}").target(false), Ok(Target::Stderr));
        assert_eq!(config("{}").target(true), Ok(Target::Syslog));
        let refused = config("target: stderr\n").target(true).unwrap_err();
        assert_eq!(refused.code, exit::CONFIG);
    }
}

//! The log: slog records to standard error, a file, or syslog, never blocking the event loop.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;

use serde::Deserialize;
use slog::{Drain, KV, Level, Logger, Never, OwnedKVList, Record, o};

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
    /// stderr, syslog, or `file: PATH`.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub target: Target,
    /// text or json.
    pub format: Format,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogLevel(Level::Info),
            target: Target::Stderr,
            format: Format::Text,
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

/// Makes the logger of `program`. Drop the guard last: it writes what is still queued.
///
/// # Errors
/// When the file cannot be opened or there is no syslog socket.
pub fn open(
    program: &'static str,
    config: &LogConfig,
) -> io::Result<(Logger, slog_async::AsyncGuard)> {
    let level = config.level.0;
    match &config.target {
        Target::Stderr => Ok(text_or_json(io::stderr(), level, config.format)),
        Target::File(path) => {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o640)
                .open(path)?;
            Ok(text_or_json(file, level, config.format))
        }
        Target::Syslog => Ok(asynchronous(Syslog::open(program)?, level)),
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
        Format::Json => asynchronous(
            Mutex::new(slog_json::Json::default(out)).ignore_res(),
            level,
        ),
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

/// RFC 3164 lines as syslogd(8) takes them from its local socket.
struct Syslog {
    socket: UnixDatagram,
    program: &'static str,
}

impl Syslog {
    const FACILITY_DAEMON: u8 = 3 << 3;

    fn open(program: &'static str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // /var/run/log is FreeBSD's, /dev/log is Linux's.
        socket
            .connect("/var/run/log")
            .or_else(|_| socket.connect("/dev/log"))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, program })
    }
}

impl Drain for Syslog {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let severity = match record.level() {
            Level::Critical => 2,
            Level::Error => 3,
            Level::Warning => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        let priority = Self::FACILITY_DAEMON | severity;
        let pid = std::process::id();
        let mut line = format!("<{priority}>{}[{pid}]: {}", self.program, record.msg());
        let mut pairs = Pairs(&mut line);
        // Serialising into a String does not fail.
        let _ = record.kv().serialize(record, &mut pairs);
        let _ = values.serialize(record, &mut pairs);
        // A full or missing syslogd must not stop the daemon, and there is nowhere else to tell.
        let _ = self.socket.send(line.as_bytes());
        Ok(())
    }
}

struct Pairs<'a>(&'a mut String);

impl slog::Serializer for Pairs<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        use std::fmt::Write;
        write!(self.0, ", {key}: {value}").map_err(slog::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_reach_the_file_before_the_guard_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let config = LogConfig {
            target: Target::File(path.clone()),
            format: Format::Json,
            ..LogConfig::default()
        };
        let (logger, guard) = open("test", &config).unwrap();
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
        assert_eq!(config.target, Target::File("/tmp/x".into()));
        let config: LogConfig = serde_yaml::from_str("target: syslog\n").unwrap();
        assert_eq!(config.target, Target::Syslog);
        assert!(serde_yaml::from_str::<LogConfig>("level: loud\n").is_err());
        assert_eq!(LogLevel(Level::Info).louder(9), LogLevel(Level::Trace));
    }
}

//! syslogd(8) by its local socket.

use std::cell::RefCell;
use std::fmt::Write;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use slog::{Drain, KV, Level, Never, OwnedKVList, Record};

/// Where FreeBSD's syslogd listens, and everybody else's.
const SOCKETS: [&str; 2] = ["/var/run/log", "/dev/log"];
/// `LOG_DAEMON` of syslog.h.
const FACILITY_DAEMON: u8 = 3 << 3;

/// RFC 3164 lines as syslogd(8) takes them from its local socket. A syslogd that comes up later, or
/// comes back, is found.
#[derive(Debug)]
pub(super) struct Syslog {
    program: &'static str,
    paths: Vec<PathBuf>,
    socket: RefCell<Option<UnixDatagram>>,
}

impl Syslog {
    pub(super) fn new(program: &'static str) -> Self {
        Self::at(program, SOCKETS.map(PathBuf::from).into())
    }

    fn at(program: &'static str, paths: Vec<PathBuf>) -> Self {
        Self {
            program,
            paths,
            socket: RefCell::new(None),
        }
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        // A syslogd that does not read must not stop anything.
        socket.set_nonblocking(true)?;
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for path in &self.paths {
            outcome = socket.connect(path);
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map(|()| socket)
    }

    /// Sends by the socket at hand, or by a new one. There is nowhere to tell a failure.
    fn send(&self, line: &[u8]) {
        let mut socket = self.socket.borrow_mut();
        let sent = socket.as_ref().map(|socket| socket.send(line));
        let full = |error: &io::Error| {
            error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
        };
        match sent {
            Some(Ok(_)) => return,
            Some(Err(error)) if full(&error) => return,
            Some(Err(_)) | None => {}
        }
        *socket = self.connect().ok();
        if let Some(socket) = &*socket {
            let _ = socket.send(line);
        }
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
        let priority = FACILITY_DAEMON | severity;
        let pid = std::process::id();
        let mut line = format!("<{priority}>{}[{pid}]: {}", self.program, record.msg());
        let mut pairs = Pairs(&mut line);
        // Serialising into a String does not fail.
        let _ = record.kv().serialize(record, &mut pairs);
        let _ = values.serialize(record, &mut pairs);
        self.send(line.as_bytes());
        Ok(())
    }
}

struct Pairs<'a>(&'a mut String);

impl slog::Serializer for Pairs<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, ", {key}: {value}").map_err(slog::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syslogd_that_comes_later_and_comes_back_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let drain = Syslog::at("test", vec![folder.path().join("nowhere"), path.clone()]);
        let logger = slog::Logger::root(std::sync::Mutex::new(drain).fuse(), slog::o!());
        let received = |daemon: &UnixDatagram| {
            let mut buffer = [0; 256];
            let length = daemon.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };

        slog::info!(logger, "lost");
        let daemon = UnixDatagram::bind(&path).unwrap();
        slog::warn!(logger, "here"; "peer" => 4);
        let line = received(&daemon);
        let expected = format!("<28>test[{}]: here, peer: 4", std::process::id());
        assert_eq!(line, expected);

        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        let daemon = UnixDatagram::bind(&path).unwrap();
        slog::error!(logger, "again");
        assert!(received(&daemon).ends_with("]: again"));
    }
}

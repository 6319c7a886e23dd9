//! The process in the background: whoever starts it learns how that went, and only that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use tempfile::TempDir;

/// Nothing here takes that long; a test that does has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Host {
    folder: TempDir,
}

impl Host {
    /// A pure client needs no users and no pool.
    fn new(log: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "kernel: soft\nlisten: []\nlog: {log}\n\
             connections: {{a: {{server: 192.0.2.1, user: u, password: p}}}}\n"
        );
        fs::write(folder.path().join("l2tpd.yaml"), config).unwrap();
        Self { folder }
    }

    /// Started with relative paths, as by hand.
    fn start(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_l2tpd"))
            .args(["--background", "-c", "l2tpd.yaml", "--runtime-dir", "run"])
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pid(&self) -> Pid {
        let text = fs::read_to_string(self.path("run/l2tpd/l2tpd.pid")).unwrap();
        Pid::from_raw(text.trim().parse().unwrap())
    }
}

fn end(pid: Pid) {
    kill(pid, Signal::SIGTERM).unwrap();
    let end = Instant::now() + PATIENCE;
    while !matches!(kill(pid, None), Err(Errno::ESRCH)) && !is_zombie(pid) {
        assert!(Instant::now() < end, "{pid} did not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// In a container nobody may collect what was left to init.
fn is_zombie(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn the_starter_returns_when_the_daemon_serves() {
    let host = Host::new("{target: {file: log}}");
    let started = host.start();
    assert!(started.status.success(), "{started:?}");
    // Output was read to its end although the daemon lives: it let go of the terminal.
    assert_eq!((started.stdout, started.stderr), (Vec::new(), Vec::new()));
    let pid = host.pid();
    assert_eq!(getsid(Some(pid)), Ok(pid), "no session of its own");
    if cfg!(target_os = "linux") {
        let working = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(working, Path::new("/"));
    }

    let second = host.start();
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains(&format!("already running as process {pid}")),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    end(pid);
    let log = fs::read_to_string(host.path("log")).unwrap();
    // Also for those who were not at the terminal.
    assert!(log.contains("already running"), "{log}");
    assert!(!host.path("run/l2tpd/l2tpd.pid").exists());
}

#[test]
fn a_log_to_nowhere_is_refused() {
    let host = Host::new("{target: stderr}");
    let refused = host.start();
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("stderr leads nowhere in the background"),
        "{said}"
    );
    assert!(!host.path("run").exists());
}

//! The program itself, in a network namespace of its own.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tempfile::TempDir;

/// For what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process in a namespace.
pub(crate) struct Process {
    pub(crate) namespace: String,
    folder: TempDir,
    child: Child,
}

impl Process {
    /// None without root or ip(8).
    pub(crate) fn start(name: &str) -> Option<Self> {
        if !Uid::effective().is_root() {
            return None;
        }
        let namespace = format!("softkernel-{}-{name}", std::process::id());
        if !ip(&["netns", "add", &namespace]) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("ip")
            .args([
                "netns",
                "exec",
                &namespace,
                env!("CARGO_BIN_EXE_softkernel"),
            ])
            .arg("--runtime-dir")
            .arg(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines();
        let ready = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("ready"));
        assert!(ready, "the process did not come up");
        // Whatever else it says must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            namespace,
            folder,
            child,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join("softkernel").join(name)
    }

    pub(crate) fn ip(&self, arguments: &str) {
        let mut all = vec!["-n", &self.namespace];
        all.extend(arguments.split(' '));
        assert!(ip(&all), "ip {arguments}");
    }

    /// TERM, and what is left then.
    pub(crate) fn end(mut self) {
        kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        )
        .unwrap();
        assert!(self.child.wait().unwrap().success());
        let left = fs::read_dir(self.folder.path().join("softkernel"))
            .unwrap()
            .count();
        assert_eq!(left, 0, "no socket and no pid file stays behind");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        ip(&["netns", "del", &self.namespace]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    let status = Command::new("ip")
        .args(arguments)
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// A UDP socket in the process's namespace that shares its address and port with others.
#[allow(unsafe_code)]
pub(crate) fn shared_udp(process: &Process, local: SocketAddr) -> UdpSocket {
    let namespace = File::open(format!("/proc/{}/ns/net", process.pid())).unwrap();
    // A thread of its own: the namespace is one thread's affair.
    let open = move || {
        // SAFETY: setns takes a descriptor, which is open, and touches no memory of ours.
        let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(entered, 0);
        let domain = socket2::Domain::for_address(local);
        let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.bind(&local.into()).unwrap();
        socket.into()
    };
    std::thread::spawn(open).join().unwrap()
}

/// A blocking connection to one of its sockets.
pub(crate) struct Connection(socket2::Socket);

impl Connection {
    pub(crate) fn open(process: &Process, name: &str) -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None).unwrap();
        let path = socket2::SockAddr::unix(process.socket(name)).unwrap();
        socket.connect(&path).unwrap();
        Self(socket)
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        use std::io::Write;
        self.0.write_all(message).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        use std::io::Read;
        let mut buffer = vec![0; 65_536];
        let length = self.0.read(&mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }
}

//! The program itself, with a network that tests may change.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netgraph::Netgraph;
use netgraph::generic::{Mkpeer, Name};
use netgraph::node::soft_iface::{AddressPair, Mtu, SetAddress, SetMtu};
use netgraph::node::{iface, ksocket, l2tp, ppp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use pfkey::{Direction, Numbering, Policy, PolicyRequest};
use tempfile::TempDir;

/// For what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process in a network namespace of its own on Linux, beside everything else on FreeBSD.
pub(crate) struct Process {
    pub(crate) namespace: String,
    device: String,
    /// Addresses given to the loopback interface.
    addresses: RefCell<Vec<IpAddr>>,
    folder: TempDir,
    child: Child,
}

impl Process {
    /// None without root or ip(8).
    pub(crate) fn start(name: &str) -> Option<Self> {
        Self::start_with(name, "")
    }

    /// The same with more in its configuration.
    pub(crate) fn start_with(name: &str, more: &str) -> Option<Self> {
        if !Uid::effective().is_root() {
            return None;
        }
        let namespace = format!("softkernel-{}-{name}", std::process::id());
        if LINUX && !run("ip", &["netns", "add", &namespace]) {
            return None;
        }
        // What the host sends to itself goes through it.
        if LINUX {
            run("ip", &["-n", &namespace, "link", "set", "lo", "up"]);
        }
        let device = format!("tk-{name}");
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("softkernel.yaml");
        fs::write(&config, format!("tun: {{name: {device}}}\n{more}")).unwrap();
        let program = env!("CARGO_BIN_EXE_softkernel");
        let mut command = match LINUX {
            true => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &namespace, program]);
                command
            }
            // A program made on another machine lies elsewhere.
            false => Command::new(std::env::var_os("SOFTKERNEL").unwrap_or(program.into())),
        };
        command.arg("-c").arg(config);
        command.arg("--runtime-dir").arg(folder.path());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
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
            device,
            addresses: RefCell::default(),
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

    /// What happened, as `control.sock` tells it.
    pub(crate) fn stats(&self) -> serde_json::Value {
        let stream = UnixStream::connect(self.socket("control.sock")).unwrap();
        (&stream).write_all(b"{\"command\":\"stats\"}\n").unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        answer["ok"].clone()
    }

    /// ip(8) in the namespace.
    pub(crate) fn ip(&self, arguments: &str) {
        let mut all = vec!["-n", &self.namespace];
        all.extend(arguments.split(' '));
        assert!(run("ip", &all), "ip {arguments}");
    }

    /// Gives the loopback interface one more address.
    pub(crate) fn add_address(&self, address: IpAddr) {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        if LINUX {
            // Without duplicate address detection an IPv6 address is there at once.
            let at_once = if address.is_ipv4() { "" } else { " nodad" };
            self.ip(&format!("addr add {address}/{prefix} dev lo{at_once}"));
        } else {
            let alias = format!("{address}/{prefix}");
            assert!(run("ifconfig", &["lo0", family(address), &alias, "alias"]));
            self.addresses.borrow_mut().push(address);
        }
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
        let device = match LINUX {
            true => run("ip", &["-n", &self.namespace, "link", "show", &self.device]),
            false => run("ifconfig", &[&self.device]),
        };
        assert!(!device, "no device stays behind");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if LINUX {
            run("ip", &["netns", "del", &self.namespace]);
        }
        for &address in self.addresses.borrow().iter() {
            let text = address.to_string();
            run("ifconfig", &["lo0", family(address), &text, "-alias"]);
        }
    }
}

const LINUX: bool = cfg!(target_os = "linux");

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "inet" } else { "inet6" }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// A UDP socket in the process's namespace that shares its address and port with others.
pub(crate) fn shared_udp(process: &Process, local: SocketAddr) -> UdpSocket {
    let namespace = process.pid();
    // A thread of its own: the namespace is one thread's affair.
    let open = move || {
        enter(namespace);
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

/// The calling thread's network is then that of a process.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn enter(process: u32) {
    use std::os::fd::AsRawFd;
    let namespace = fs::File::open(format!("/proc/{process}/ns/net")).unwrap();
    // SAFETY: setns takes a descriptor, which is open, and touches no memory of ours.
    let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(entered, 0);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn enter(_: u32) {}

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

/// The nodes of an L2TP session with ids of 1 at both ends, between two addresses inside ESP; the tunnel
/// has a name.
pub(crate) async fn l2tp_session(
    process: &Process,
    name: &str,
    reqid: u32,
    (local, peer): (SocketAddr, SocketAddr),
    inner: [&str; 2],
) {
    let [local_inner, peer_inner] = inner.map(|ip| ip.parse().unwrap());
    let addresses = AddressPair {
        local: local_inner,
        peer: peer_inner,
    };
    let (hook, path) = (format!("c-{name}"), format!("{name}:"));
    let (lower, ppp) = (format!("{path}lower"), format!("{path}session_0001"));
    let mut ng = Netgraph::connect_soft(&process.socket("netgraph.sock")).unwrap();
    ng.call(".:", &Mkpeer::new(l2tp::TYPE, &hook, l2tp::HOOK_CTRL))
        .await
        .unwrap();
    ng.call(&hook, &Name::new(name)).await.unwrap();
    ng.call(
        &path,
        &Mkpeer::new(ksocket::TYPE, "lower", ksocket::HOOK_UDP4),
    )
    .await
    .unwrap();
    let request = PolicyRequest::esp_transport_unique(reqid);
    let policy = Policy::ipsec(Direction::OUTBOUND, request).to_blob(Numbering::FreeBsd);
    let option = ksocket::SocketOption::ipsec_policy(peer.ip(), policy);
    ng.call(&lower, &ksocket::SetOption(option)).await.unwrap();
    ng.call(&lower, &ksocket::Bind(ksocket::Address(local)))
        .await
        .unwrap();
    ng.call(&lower, &ksocket::Connect(ksocket::Address(peer)))
        .await
        .unwrap();
    let config = l2tp::Config {
        enabled: true,
        match_id: true,
        tunnel_id: 1,
        peer_id: 1,
        peer_window: 4,
        retransmit_max: 5,
        retransmit_max_timeout: 8,
    };
    ng.call(&path, &l2tp::SetConfig(config)).await.unwrap();
    ng.call(&path, &Mkpeer::new(ppp::TYPE, "session_0001", "link0"))
        .await
        .unwrap();
    let config = l2tp::SessionConfig {
        session_id: 1,
        peer_id: 1,
        ..Default::default()
    };
    ng.call(&path, &l2tp::SetSessionConfig(config))
        .await
        .unwrap();
    let bundle = ppp::BundleConfig {
        ip: true,
        ..Default::default()
    };
    let config = ppp::NodeConfig::single_link(bundle, 1400, true, true);
    ng.call(&ppp, &ppp::SetConfig(config)).await.unwrap();
    let mkpeer = Mkpeer::new(iface::TYPE, ppp::HOOK_INET, iface::HOOK_INET);
    ng.call(&ppp, &mkpeer).await.unwrap();
    let ng_path = format!("{ppp}.inet");
    ng.call(&ng_path, &SetMtu(Mtu(1400))).await.unwrap();
    ng.call(&ng_path, &SetAddress(addresses)).await.unwrap();
    // The nodes stay: only the control hook goes with this socket.
}

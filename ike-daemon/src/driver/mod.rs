//! The loop: one input into the core, all outputs out of it, then the next input. One thread; only
//! Diffie-Hellman computations run elsewhere.
//!
//! * this file: start, the loop, the end
//! * [`daemon`]: what each input and output means
//! * [`kernels`]: the kernels; [`kernel_events`]: requests to them, and what they say
//! * [`orders`]: requests of `ikectl`
//! * [`admin`]: requests of racoonctl, and its sockets in [`admin_sockets`]
//! * [`phase1`], [`programs`]: what happens, for racoon's events and the operator's programs
//! * [`static_entries`]: policies out of setkey(8) scripts

mod admin;
mod admin_sockets;
mod connections;
mod daemon;
mod kernel_events;
mod kernels;
mod orders;
mod phase1;
mod programs;
mod reload;
mod static_entries;
mod users;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ike_proto::carrier::Carrier;
use slog::{Logger, error, info, warn};
use tanuki_daemon::background::Starter;
use tanuki_daemon::control::ControlServer;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::pidfile::PidFile;
use tanuki_daemon::runtime_dir;
use tanuki_daemon::signals::{Signal, Signals};
use tokio::sync::mpsc;

use crate::config::{Config, KernelChoice, Overrides};
use crate::kernel::{self, KernelSocket, LinkEvent};
use crate::net::{EncapOwner, NetEvent, Network, Ports};
use crate::state::StateFile;

use admin_sockets::AdminSockets;
use daemon::{Daemon, Parts};

/// The daemon's folder below the runtime folder, and its name in the log.
pub const NAME: &str = "ike-daemon";
/// Datagrams read ahead; the socket's buffer holds the rest.
const DATAGRAMS: usize = 256;
/// Kernel messages read ahead.
const MESSAGES: usize = 1024;
/// How long a clean end may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// When nothing has come for so long a key pair is made in advance.
const QUIET: Duration = Duration::from_millis(20);

/// Where things are.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The configuration, to be read again on SIGHUP.
    pub config: PathBuf,
    /// What the command line says about it.
    pub overrides: Overrides,
    /// Sockets, pid file, state.
    pub runtime_dir: PathBuf,
    /// A PF_KEY socket like softkernel's that stands in for the system's, in tests.
    pub system_pfkey: Option<PathBuf>,
}

/// Runs until told to end; lets go of `starter` when everything works.
///
/// # Errors
/// What prevented the start, with its exit code.
pub async fn run(
    log: Logger,
    config: Config,
    paths: Paths,
    mut starter: Starter,
) -> Result<(), Failure> {
    let folder = runtime_dir::prepare(&paths.runtime_dir, NAME)?;
    let _pid_file = PidFile::create(&folder.join("ike-daemon.pid"))?;
    let control_path = runtime_dir::control_socket(&paths.runtime_dir, NAME);
    let os = |what: &str, error: io::Error| Failure::new(exit::OS, format!("{what}: {error}"));
    let mut signals = Signals::new().map_err(|error| os("signals", error))?;
    let mut control = ControlServer::bind(&control_path, 0o600)
        .map_err(|error| os(&control_path.display().to_string(), error))?;
    let mut admin = AdminSockets::open(&log, &config, &paths.runtime_dir)?;
    let _racoon_pid_file = match &config.pid_file {
        Some(path) => Some(PidFile::create(path)?),
        None => None,
    };
    let state = StateFile::open(&folder).map_err(|error| os("state folder", error))?;

    let stand_in = paths.system_pfkey.as_deref();
    let sockets = kernel::choose(config.kernel, &paths.runtime_dir, stand_in);
    let on_freebsd = cfg!(target_os = "freebsd");
    if on_freebsd && config.kernel == KernelChoice::Auto && sockets.len() == 1 {
        info!(log, "kernel: auto means softkernel, as the system lacks PF_KEY or netgraph";
            "remedy" => "kldload ipsec ng_socket, to use the system's");
    }
    if sockets.contains(&(Carrier::System, KernelSocket::System)) {
        kernel::check_system()?;
    }
    let ports = ports(&config, &sockets, &paths);
    let (net_events, mut from_net) = mpsc::channel(DATAGRAMS);
    let network = Network::start(&ports, &net_events).map_err(cannot_listen)?;
    let (link_events, mut from_kernel) = mpsc::channel(MESSAGES);
    // At most `limits.dh_jobs` are under way, so the queue is bounded by the core.
    let (job_results, mut from_jobs) = mpsc::unbounded_channel();

    let parts = Parts {
        network,
        link_events,
        state,
        job_results,
        paths,
    };
    let mut daemon = Daemon::new(log.clone(), config, parts, sockets);
    daemon.drain();
    starter.release()?;
    info!(log, "ready"; "version" => env!("CARGO_PKG_VERSION"), "listen" => daemon.listening());

    loop {
        let alarm = daemon.next_timeout();
        tokio::select! {
            Some(event) = from_net.recv() => {
                if let NetEvent::Broken { local, problem } = event {
                    return Err(os(&local.to_string(), problem));
                }
                daemon.network_event(event);
            }
            Some((kernel, event)) = from_kernel.recv() => daemon.kernel_event(kernel, event),
            Some(result) = from_jobs.recv() => daemon.job_done(result),
            call = control.next() => daemon.order(call),
            call = admin.next() => daemon.admin(call),
            signal = signals.next() => match signal {
                Signal::Reload => daemon.reload_or_log(),
                Signal::Dump => daemon.dump_to_log(),
                Signal::HandOver => {
                    daemon.save_now();
                    info!(log, "handing over; SAs stay in the kernel");
                    return Ok(());
                }
                Signal::Terminate => {
                    info!(log, "ending; peers are told");
                    daemon.terminate();
                    farewell(&mut daemon, &mut from_kernel).await;
                    daemon.forget_state();
                    return Ok(());
                }
            },
            () = sleep_until(alarm) => daemon.timeout(),
            () = tokio::time::sleep(QUIET), if daemon.wants_key_pair() => daemon.make_key_pair(),
        }
        daemon.drain();
        admin.follow(&log, &daemon.config);
    }
}

/// Lets the kernel and the network take what is queued, and the operator's programs end.
async fn farewell(daemon: &mut Daemon, from_kernel: &mut mpsc::Receiver<(Carrier, LinkEvent)>) {
    daemon.drain();
    let end = Instant::now() + FAREWELL;
    while !(daemon.is_idle() && daemon.programs_ended()) && Instant::now() < end {
        let pause = Instant::now() + Duration::from_millis(20);
        tokio::select! {
            Some((kernel, event)) = from_kernel.recv() => daemon.kernel_event(kernel, event),
            () = sleep_until(Some(pause.min(end))) => {}
        }
        daemon.drain();
    }
    // What a socket task has taken from its queue it still has to write.
    tokio::task::yield_now().await;
    if !daemon.is_idle() {
        warn!(
            daemon.log(),
            "the kernel did not answer in time; SAs may be left in it"
        );
    }
}

async fn sleep_until(alarm: Option<Instant>) {
    match alarm {
        Some(alarm) => tokio::time::sleep_until(alarm.into()).await,
        None => std::future::pending().await,
    }
}

fn ports(config: &Config, kernels: &[(Carrier, KernelSocket)], paths: &Paths) -> Ports {
    let nat = &config.policy.nat;
    Ports {
        listen: config.listen.clone(),
        all: config.listen_is_explicit,
        ike: nat.ike_port,
        natt: nat.enabled.then_some(nat.natt_port),
        owner: match kernels.first() {
            Some((Carrier::System, socket)) => EncapOwner::System {
                beside: kernel::udp_socket(&paths.runtime_dir),
                ipsec: *socket == KernelSocket::System,
            },
            _ => EncapOwner::Soft(kernel::udp_socket(&paths.runtime_dir)),
        },
    }
}

fn cannot_listen((address, error): (SocketAddr, io::Error)) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another IKE daemon is running (sockstat -l shows it): stop it first"
        }
        io::ErrorKind::PermissionDenied => "; start as root",
        io::ErrorKind::AddrNotAvailable => "; `listen` names an address this host does not have",
        _ => "",
    };
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => exit::NO_PERMISSION,
        io::ErrorKind::AddrNotAvailable => exit::CONFIG,
        io::ErrorKind::AddrInUse => exit::UNAVAILABLE,
        _ => exit::OS,
    };
    Failure::new(code, format!("UDP {address}: {error}{hint}"))
}

/// Logs what works but is unwise.
fn log_warnings(log: &Logger, config: &Config) {
    for warning in &config.warnings {
        warn!(log, "{warning}");
    }
}

/// Logs every problem of a configuration that was refused.
fn log_problems(log: &Logger, problems: &tanuki_daemon::config::Problems) {
    for problem in &problems.0 {
        error!(log, "{problem}");
    }
}

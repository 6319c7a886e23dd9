//! The process: opens the devices and sockets, starts the workers, runs the control thread until a
//! signal ends it.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use slog::{Logger, info};
use tanuki_daemon::background::Starter;
use tanuki_daemon::control::ControlServer;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::pidfile::PidFile;
use tanuki_daemon::runtime_dir;
use tanuki_daemon::signals::{Signal, Signals};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

use crate::buffer::Buffer;
use crate::config::Config;
use crate::control::{self, Request};
use crate::engine::Engine;
use crate::graph::Graph;
use crate::ipsec::Ipsec;
use crate::kernel::Kernel;
use crate::os;
use crate::os::host::Host;
use crate::os::outer::{OuterSocket, Unregistered};
use crate::os::seqpacket::Listener;
use crate::os::source_for;
use crate::os::tun::Tun;
use crate::server::{self, Shared};
use crate::worker::team::{Joined, Team};

/// The process's name, and that of its folder below the runtime folder.
const PROGRAM: &str = "softkernel";
/// Only the owner may ask.
const CONTROL_MODE: u32 = 0o600;
/// What is taken from another worker before others have their turn.
const BATCH: usize = 64;
/// Deadlines further away are looked at again then.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// Runs until TERM or INT; lets go of `starter` when everything works.
///
/// # Errors
/// A device, socket or address is not to be had.
pub fn run(config: &Config, runtime: &Path, log: &Logger, starter: Starter) -> Result<(), Failure> {
    let folder = runtime_dir::prepare(runtime, PROGRAM)?;
    let _pid = PidFile::create(&folder.join("softkernel.pid"))?;
    allow_many_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    let tasks = LocalSet::new();
    let result = runtime.block_on(tasks.run_until(serve(config, &folder, log, starter)));
    // Tasks hold the listeners; with them the socket files go.
    drop(tasks);
    result
}

async fn serve(
    config: &Config,
    folder: &Path,
    log: &Logger,
    mut starter: Starter,
) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::new(exit::OS, error))?;
    let workers = config.workers.number();
    let (tun, host) = open_tun(config, workers)?;
    let (raw, for_others) = open_raw(config, workers, log)?;
    let mtu = usize::try_from(config.tun.mtu).unwrap_or(Buffer::PAYLOAD);
    let mut team = Team::default();
    let mut joined = Vec::new();
    for sockets in for_others {
        let worker = team.add(tun.name(), mtu, sockets, log);
        joined.push(worker.map_err(|error| refused("a worker", &error))?);
    }
    let graph = Graph::new(config.graph(), Box::new(source_for));
    let ipsec = Ipsec::new(Instant::now(), config.ipsec());
    let kernel = Kernel::new(ipsec, graph, Box::new(source_for));
    let engine = Engine::new(
        kernel,
        Rc::clone(&tun),
        host,
        raw.clone(),
        mtu,
        team,
        log.clone(),
    );
    let shared = Rc::new(RefCell::new(engine));

    let sockets = &config.sockets;
    let path = |given: &Option<PathBuf>, name: &str| match given {
        Some(path) => path.clone(),
        None => folder.join(name),
    };
    let listen = |path: PathBuf| {
        Listener::bind(&path).map_err(|error| refused(&path.display().to_string(), &error))
    };
    let pfkey = listen(path(&sockets.pfkey, "pfkey.sock"))?;
    let netgraph = listen(path(&sockets.netgraph, "netgraph.sock"))?;
    let udp = listen(path(&sockets.udp, "udp.sock"))?;
    let control_path = path(&sockets.control, "control.sock");
    let mut control = ControlServer::bind(&control_path, CONTROL_MODE)
        .map_err(|error| refused(&control_path.display().to_string(), &error))?;

    spawn_local(server::accept(
        pfkey,
        shared.clone(),
        log.clone(),
        server::pfkey::open,
    ));
    spawn_local(server::accept(
        netgraph,
        shared.clone(),
        log.clone(),
        server::netgraph::open,
    ));
    spawn_local(server::accept(
        udp,
        shared.clone(),
        log.clone(),
        server::udp::open,
    ));
    for socket in raw {
        spawn_local(read_raw(socket, shared.clone()));
    }
    let (gone, mut ended_workers) = mpsc::channel(1);
    for worker in joined {
        spawn_local(hear(worker, shared.clone(), gone.clone()));
    }
    spawn_local(keep_time(shared.clone()));
    let mut reading = spawn_local(read_tun(Rc::clone(&tun), shared.clone()));
    starter.release()?;
    info!(log, "ready"; "device" => tun.name(), "workers" => workers,
        "folder" => %folder.display());

    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Terminate => break,
                Signal::Dump => {
                    let stats = control::answer(&shared, Request::Stats).await;
                    info!(log, "state"; "stats" => %stats);
                }
                // Connections and traffic are all there is: nothing to read again, nobody to
                // hand over to.
                Signal::Reload | Signal::HandOver => info!(log, "nothing to do for this signal"),
            },
            call = control.next() => {
                if let Some((request, reply)) = call.parse::<Request>() {
                    let answer = control::answer(&shared, request).await;
                    reply.ok(&answer);
                }
            }
            Some(reason) = ended_workers.recv() => return Err(Failure::new(exit::OS, reason)),
            ended = &mut reading => {
                let reason = match ended {
                    Ok(error) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                return Err(Failure::new(exit::OS, format!("{}: {reason}", tun.name())));
            }
        }
    }
    info!(log, "end");
    Ok(())
}

/// A connected port takes two descriptors; what the system grants is bound enough.
fn allow_many_descriptors() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Refused, there are as many as before.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

fn open_tun(config: &Config, workers: u32) -> Result<(Rc<Tun>, Host), Failure> {
    let name = &config.tun.name;
    let what = format!("TUN device {name}");
    let tun = match workers {
        1 => Tun::open(name),
        _ => Tun::queue(name),
    };
    let tun = tun.map_err(|error| refused(&what, &error))?;
    let mut host = Host::open(name).map_err(|error| refused(&what, &error))?;
    host.up(config.tun.mtu)
        .map_err(|error| refused(&what, &error))?;
    Ok((Rc::new(tun), host))
}

/// The sockets for ESP without UDP: those of this thread, and those of every other worker.
type RawSockets = (Vec<Rc<OuterSocket>>, Vec<Vec<Unregistered>>);

fn open_raw(config: &Config, workers: u32, log: &Logger) -> Result<RawSockets, Failure> {
    let mut sockets = Vec::new();
    let mut for_others: Vec<_> = (1..workers).map(|_| Vec::new()).collect();
    let everywhere = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let listen: &[IpAddr] = match &config.esp.listen {
        Some(addresses) => addresses,
        None if os::esp_reaches_sockets().map_err(|error| refused("PF_KEY", &error))? => {
            &everywhere
        }
        None => {
            info!(log, "ESP without UDP is the system's");
            &[]
        }
    };
    for address in listen {
        let opened = match workers {
            1 => OuterSocket::raw(*address).map(|socket| (socket, Vec::new())),
            _ => OuterSocket::raw_for(*address, workers),
        };
        match opened {
            Ok((socket, others)) => {
                sockets.push(Rc::new(socket));
                for (place, socket) in for_others.iter_mut().zip(others) {
                    place.push(socket);
                }
            }
            // A host without IPv6 is fine as long as nobody asked for one of its addresses.
            Err(error)
                if address.is_unspecified() && error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            }
            Err(error) => return Err(refused(&format!("ESP at {address}"), &error)),
        }
    }
    Ok((sockets, for_others))
}

fn refused(what: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => exit::NO_PERMISSION,
        io::ErrorKind::AddrInUse => exit::TEMPORARY,
        _ => exit::OS,
    };
    let remedy = match code {
        exit::NO_PERMISSION => Some(os::PRIVILEGE),
        _ if error.kind() == io::ErrorKind::NotFound => Some(os::NO_TUN),
        _ => None,
    };
    let remedy = remedy.map_or(String::new(), |remedy| format!("; {remedy}"));
    Failure::new(code, format!("{what}: {error}{remedy}"))
}

/// Reads the device until it is gone.
async fn read_tun(tun: Rc<Tun>, shared: Shared) -> io::Error {
    loop {
        let mut ready = match tun.readable().await {
            Ok(ready) => ready,
            Err(error) => return error,
        };
        let result = {
            let mut engine = shared.borrow_mut();
            let result = engine.tun_readable();
            engine.settle();
            result
        };
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) => return error,
        }
        tokio::task::yield_now().await;
    }
}

async fn read_raw(socket: Rc<OuterSocket>, shared: Shared) {
    while let Ok(mut ready) = socket.readable().await {
        {
            let mut engine = shared.borrow_mut();
            if !engine.outer_readable(&socket) {
                ready.clear_ready();
            }
            engine.settle();
        }
        tokio::task::yield_now().await;
    }
}

async fn keep_time(shared: Shared) {
    let changed = Rc::clone(&shared.borrow().deadline_changed);
    loop {
        let due = shared.borrow().next_timeout();
        let due = due.unwrap_or_else(|| Instant::now() + LONGEST_SLEEP);
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {
                let mut engine = shared.borrow_mut();
                engine.handle_timeout();
                engine.settle();
            }
            () = changed.notified() => {}
        }
    }
}

/// Does what a worker cannot do by itself, until that ends; its reason is one for the process to end.
async fn hear(worker: Joined, shared: Shared, gone: mpsc::Sender<String>) {
    let Joined {
        number,
        mut upward,
        thread,
    } = worker;
    while let Some(first) = upward.recv().await {
        {
            let mut engine = shared.borrow_mut();
            engine.worker_says(number, first);
            for _ in 1..BATCH {
                let Ok(next) = upward.try_recv() else { break };
                engine.worker_says(number, next);
            }
            engine.settle();
        }
        tokio::task::yield_now().await;
    }
    let reason = match thread.join() {
        Ok(Err(error)) => error.to_string(),
        _ => "it has ended".to_owned(),
    };
    // One reason is enough.
    let _ = gone.try_send(format!("worker {number}: {reason}"));
}

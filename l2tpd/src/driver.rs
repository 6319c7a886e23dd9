//! The event loop: carries the server's outputs out and feeds it what comes back. All protocol
//! decisions are the server's; here are the sockets, the clock, the files and the programs.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use l2tp_proto::FlowId;
use rand_core::UnwrapErr;
use slog::Logger;
use tanuki_daemon::background::Starter;
use tanuki_daemon::config::Problems;
use tanuki_daemon::control::{ControlCall, ControlServer, Reply};
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::hook::{Hook, HookRunner};
use tanuki_daemon::signals::{Signal, Signals};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::checkpoint::Store;
use crate::config::Config;
use crate::control::protocol::{Answer, Request};
use crate::kernel::{Kernel, KernelEvent, KernelKind, Listener};
use crate::server::{HookId, Input, Output, RequestId, Server, State};
use crate::users::{Users, Watch};

/// Changes within this time are written to the state file together.
const SAVE_DELAY: Duration = Duration::from_millis(500);
/// Programs of the operator that run at once.
const PARALLEL_HOOKS: usize = 16;
/// Between two attempts to bind the listener.
const REBIND: Duration = Duration::from_millis(500);
/// Datagrams on their way to the server; more are dropped as a full socket buffer would.
const QUEUE: usize = 1024;
/// For the last operations of the kernel.
const FLUSH: Duration = Duration::from_secs(2);
/// PPP protocol numbers of PAP and CHAP: a login is coming.
const AUTHENTICATION: [u16; 2] = [0xc023, 0xc223];

/// What the command line and the configuration amount to.
#[derive(Debug)]
pub struct Setup {
    /// The configuration file, read again on reload.
    pub config_file: PathBuf,
    /// The checked configuration.
    pub config: Config,
    /// The daemon's own folder.
    pub folder: PathBuf,
    /// Which kernel.
    pub kernel: KernelKind,
}

/// Reads the users file of a configuration; a pure client has none.
///
/// # Errors
/// Every problem in it.
pub fn read_users(config: &Config) -> Result<Users, Problems> {
    if config.users.as_os_str().is_empty() {
        return Ok(Users::default());
    }
    Users::read(&config.users)
}

/// Runs the daemon to its end; lets go of `starter` when the kernel is there, or is waited for.
///
/// # Errors
/// When a socket, a signal handler or the state folder cannot be had.
pub async fn run(
    setup: Setup,
    users: Users,
    log: Logger,
    mut starter: Starter,
) -> Result<(), Failure> {
    let os = |error: io::Error| Failure::new(exit::OS, error);
    let mut driver = Driver::new(setup, users, log).map_err(os)?;
    while driver.step().await {
        if driver.serving {
            starter.release()?;
        }
    }
    driver.end().await;
    Ok(())
}

#[derive(Debug)]
struct Driver {
    log: Logger,
    config_file: PathBuf,
    config: Config,
    server: Server,
    rng: UnwrapErr<SysRng>,
    kind: KernelKind,
    kernel: Kernel,
    listeners: Vec<ListenerTask>,
    datagrams: (mpsc::Sender<Datagram>, mpsc::Receiver<Datagram>),
    control: ControlServer,
    signals: Signals,
    hooks: HookRunner,
    hook_ends: (
        mpsc::UnboundedSender<HookEnd>,
        mpsc::UnboundedReceiver<HookEnd>,
    ),
    replies: HashMap<RequestId, Reply>,
    requests: u64,
    users: Watch,
    store: Store,
    save_at: Option<Instant>,
    /// Whether the kernel was there once, and what an earlier process left was taken up.
    started: bool,
    /// Whether the kernel was heard of: it is there, or will be.
    serving: bool,
    over: bool,
}

type Datagram = (FlowId, Vec<u8>);
type HookEnd = (HookId, Result<(), String>);

impl Driver {
    fn new(setup: Setup, users: Users, log: Logger) -> io::Result<Self> {
        let Setup {
            config_file,
            config,
            folder,
            kernel: kind,
        } = setup;
        let control = ControlServer::bind(&folder.join("control.sock"), 0o600)?;
        let mut watch = Watch::new(&config.users);
        // What was just read counts as seen.
        let _ = watch.changed();
        warn_if_open(&log, &watch);
        let mut driver = Self {
            server: Server::new(config.clone(), users),
            rng: UnwrapErr(SysRng),
            kernel: Kernel::start(kind.clone()),
            kind,
            listeners: Vec::new(),
            datagrams: mpsc::channel(QUEUE),
            control,
            signals: Signals::new()?,
            hooks: HookRunner::new(PARALLEL_HOOKS, config.hooks.timeout),
            hook_ends: mpsc::unbounded_channel(),
            replies: HashMap::new(),
            requests: 0,
            users: watch,
            store: Store::open(&folder)?,
            save_at: None,
            started: false,
            serving: false,
            over: false,
            log,
            config_file,
            config,
        };
        driver.start_listeners();
        Ok(driver)
    }

    /// Waits for one thing, hands it to the server, and carries out what follows; false at the end.
    async fn step(&mut self) -> bool {
        let due = [self.server.next_timeout(), self.save_at]
            .into_iter()
            .flatten()
            .min();
        tokio::select! {
            event = self.kernel.next() => self.on_kernel(event),
            Some((flow, bytes)) = self.datagrams.1.recv() => {
                // Before that, tunnels of an earlier process are not known yet.
                if self.started {
                    self.handle(Input::Datagram { flow, bytes });
                }
            }
            Some((hook, outcome)) = self.hook_ends.1.recv() => {
                self.handle(Input::HookDone { hook, outcome });
            }
            call = self.control.next() => self.on_call(call),
            signal = self.signals.next() => self.on_signal(signal),
            () = sleep_until(due) => self.on_time(),
        }
        self.carry_out();
        !self.over
    }

    fn handle(&mut self, input: Input) {
        self.server.handle(Instant::now(), input, &mut self.rng);
    }

    fn on_kernel(&mut self, event: KernelEvent) {
        self.serving = true;
        match event {
            KernelEvent::Up { nodes } => self.on_kernel_up(&nodes),
            KernelEvent::Unreachable(error) => match &self.kind {
                KernelKind::System => slog::error!(self.log, "netgraph cannot be used";
                    "reason" => %error, "remedy" => "run as root, and load ng_socket(4)"),
                KernelKind::Soft { netgraph, .. } => {
                    slog::warn!(self.log, "waiting for the soft kernel";
                        "socket" => %netgraph.display(), "reason" => %error,
                        "remedy" => "start softkernel with the same --runtime-dir");
                }
            },
            KernelEvent::Input(input) => {
                if let Input::Frame { protocol, .. } = &input
                    && AUTHENTICATION.contains(protocol)
                {
                    self.refresh_users();
                }
                self.handle(input);
            }
        }
    }

    fn on_kernel_up(&mut self, nodes: &[String]) {
        let now = Instant::now();
        // Later on the server knows what it has; whatever else is there belongs to nobody.
        let state = if self.started {
            State::default()
        } else {
            self.store.load().unwrap_or_else(|error| {
                slog::warn!(self.log, "the saved state cannot be used"; "reason" => %error);
                State::default()
            })
        };
        self.server.adopt(now, state, nodes, &mut self.rng);
        if !std::mem::replace(&mut self.started, true) {
            let kernel = match &self.kind {
                KernelKind::System => "system",
                KernelKind::Soft { .. } => "soft",
            };
            slog::info!(self.log, "ready"; "kernel" => kernel);
        }
        self.server.start(now, &mut self.rng);
    }

    fn on_call(&mut self, call: ControlCall) {
        let Some((request, reply)) = call.parse::<Request>() else {
            return;
        };
        if request == Request::Reload {
            match self.reload() {
                Ok(words) => reply.ok(&Answer::Done(words)),
                Err(problems) => reply.error(problems),
            }
            return;
        }
        self.refresh_users();
        self.requests += 1;
        let id = RequestId(self.requests);
        self.replies.insert(id, reply);
        self.handle(Input::Request { id, request });
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Terminate => self.handle(Input::Shutdown),
            Signal::Reload => {
                // The problems are in the log.
                let _ = self.reload();
            }
            Signal::Dump => self.dump(),
            Signal::HandOver => {
                slog::info!(self.log, "handing over; tunnels stay");
                self.save();
                self.over = true;
            }
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.save_at.is_some_and(|at| at <= now) {
            self.save();
        }
        self.server.handle_timeout(now, &mut self.rng);
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Kernel { op, operation } => self.kernel.execute(op, operation),
                Output::Datagram { flow, bytes } => self.send_datagram(flow, bytes),
                Output::Hook { hook, run } => self.run_hook(hook, run),
                Output::Answer { id, answer } => {
                    if let Some(reply) = self.replies.remove(&id) {
                        match answer {
                            Answer::Refused(words) => reply.error(words),
                            answer => reply.ok(&answer),
                        }
                    }
                }
                Output::Event(event) => event.log(&self.log),
                Output::Checkpoint => {
                    self.save_at
                        .get_or_insert_with(|| Instant::now() + SAVE_DELAY);
                }
                Output::Finished => {
                    self.save_at = None;
                    self.over = true;
                    if let Err(error) = self.store.clear() {
                        slog::warn!(self.log, "removing the saved state"; "reason" => %error);
                    }
                }
            }
        }
    }

    fn run_hook(&self, hook: HookId, run: Hook) {
        let (runner, ends) = (self.hooks.clone(), self.hook_ends.0.clone());
        tokio::spawn(async move {
            let outcome = runner.run(run).await.map_err(|error| error.to_string());
            // At the end nobody listens any more.
            let _ = ends.send((hook, outcome));
        });
    }

    fn send_datagram(&self, flow: FlowId, bytes: Vec<u8>) {
        let listener = self.listeners.iter().find(|listener| {
            let bound = listener.local;
            bound.port() == flow.local.port()
                && bound.is_ipv4() == flow.local.is_ipv4()
                && (bound.ip().is_unspecified() || bound.ip() == flow.local.ip())
        });
        if let Some(listener) = listener {
            // Sent once and unreliably anyway.
            let _ = listener.datagrams.try_send((flow, bytes));
        }
    }

    fn start_listeners(&mut self) {
        self.listeners = self
            .config
            .listen
            .iter()
            .map(|local| {
                let log = self.log.clone();
                ListenerTask::start(self.kind.clone(), *local, self.datagrams.0.clone(), log)
            })
            .collect();
    }

    fn save(&mut self) {
        self.save_at = None;
        // Before the kernel was there the state is that of the process before.
        if self.started
            && let Err(error) = self.store.save(&self.server.checkpoint(Instant::now()))
        {
            slog::error!(self.log, "the state cannot be saved; a restart will drop every client";
                "reason" => %error);
        }
    }

    /// Reads the users file again if it changed. A broken one changes nothing.
    fn refresh_users(&mut self) {
        match self.users.changed() {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                slog::error!(self.log, "users file"; "file" => %self.users.file().display(),
                    "reason" => %error);
                return;
            }
        }
        match Users::read(self.users.file()) {
            Ok(users) => {
                slog::info!(self.log, "users file read"; "users" => users.iter().count());
                self.handle(Input::Users(users));
                warn_if_open(&self.log, &self.users);
            }
            Err(problems) => self.complain(&problems, "the users stay as they were"),
        }
    }

    /// Takes the configuration up anew, or refuses it whole.
    fn reload(&mut self) -> Result<String, Problems> {
        let read = Config::read(&self.config_file)
            .and_then(|config| read_users(&config).map(|users| (config, users)));
        let (config, users) = read.inspect_err(|problems| {
            self.complain(problems, "the configuration stays as it was");
        })?;
        let mut words = "configuration read again; running sessions are not affected".to_owned();
        if config.kernel != self.config.kernel || config.log != self.config.log {
            words += "; `kernel` and `log` change at the next restart";
        }
        let relisten = config.listen != self.config.listen;
        self.users = Watch::new(&config.users);
        let _ = self.users.changed();
        self.hooks = HookRunner::new(PARALLEL_HOOKS, config.hooks.timeout);
        self.config = config.clone();
        self.handle(Input::Configure(Box::new(config)));
        self.handle(Input::Users(users));
        if relisten {
            self.start_listeners();
        }
        slog::info!(self.log, "{}", words);
        Ok(words)
    }

    fn complain(&self, problems: &Problems, consequence: &str) {
        for problem in &problems.0 {
            slog::error!(self.log, "{}", problem);
        }
        slog::error!(self.log, "{}", consequence);
    }

    fn dump(&self) {
        let (tunnels, sessions) = self.server.dump(Instant::now());
        slog::info!(self.log, "state"; "tunnels" => tunnels.len(), "sessions" => sessions.len());
        for tunnel in tunnels {
            slog::info!(self.log, "tunnel"; "tunnel" => tunnel.id, "peer" => %tunnel.peer,
                "state" => tunnel.state, "host_name" => tunnel.host_name,
                "sessions" => tunnel.sessions, "seconds" => tunnel.age);
        }
        for session in sessions {
            slog::info!(self.log, "session"; "tunnel" => session.tunnel, "session" => session.id,
                "peer" => %session.peer, "user" => session.user, "state" => session.state,
                "interface" => session.interface, "seconds" => session.age);
        }
    }

    async fn end(self) {
        self.kernel.finish(FLUSH).await;
        slog::info!(self.log, "ended");
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn warn_if_open(log: &Logger, users: &Watch) {
    if users.is_open_to_others() {
        slog::warn!(log, "the users file can be read by others";
            "file" => %users.file().display(), "remedy" => "chmod 600");
    }
}

/// One listener with its task, which binds again for as long as it takes.
#[derive(Debug)]
struct ListenerTask {
    local: SocketAddr,
    datagrams: mpsc::Sender<Datagram>,
    task: JoinHandle<()>,
}

impl ListenerTask {
    fn start(
        kind: KernelKind,
        local: SocketAddr,
        received: mpsc::Sender<Datagram>,
        log: Logger,
    ) -> Self {
        let (datagrams, to_send) = mpsc::channel(QUEUE);
        let task = tokio::spawn(listen(kind, local, received, to_send, log));
        Self {
            local,
            datagrams,
            task,
        }
    }
}

impl Drop for ListenerTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    kind: KernelKind,
    local: SocketAddr,
    received: mpsc::Sender<Datagram>,
    mut to_send: mpsc::Receiver<Datagram>,
    log: Logger,
) {
    let mut complained = false;
    loop {
        match Listener::bind(&kind, local).await {
            Ok(listener) => {
                slog::debug!(log, "listening"; "address" => %local);
                complained = false;
                if let Err(error) = pass(&listener, &received, &mut to_send).await {
                    slog::debug!(log, "listener"; "address" => %local, "reason" => %error);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    slog::warn!(log, "cannot listen yet"; "address" => %local, "reason" => %error);
                }
            }
        }
        tokio::time::sleep(REBIND).await;
    }
}

async fn pass(
    listener: &Listener,
    received: &mpsc::Sender<Datagram>,
    to_send: &mut mpsc::Receiver<Datagram>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            // A full queue drops the datagram, which the peer sends again.
            datagram = listener.receive() => { let _ = received.try_send(datagram?); }
            Some((flow, bytes)) = to_send.recv() => listener.send(flow, &bytes).await?,
        }
    }
}

/// Where the configuration is when nothing is said.
pub const CONFIG_FILE: &str = "/usr/local/etc/tanuki/l2tpd.yaml";

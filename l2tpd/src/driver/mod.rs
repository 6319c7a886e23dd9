//! The event loop: carries the server's outputs out and feeds it what comes back. All protocol
//! decisions are the server's; here are the sockets, the clock, the files and the programs.
//!
//! Every kernel has a task of its own ([`Kernels`]), and every address of every kernel a listener
//! (`listeners.rs`). What an earlier process left is taken up when each kernel has either answered
//! or turned out not to be there.

mod listeners;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use l2tp_proto::KernelId;
use rand_core::UnwrapErr;
use slog::Logger;
use tanuki_daemon::background::Starter;
use tanuki_daemon::config::Problems;
use tanuki_daemon::control::{ControlCall, ControlServer, Reply};
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::hook::{Hook, HookRunner};
use tanuki_daemon::signals::{Signal, Signals};
use tanuki_daemon::watch::Watch;
use tokio::sync::mpsc;

use crate::checkpoint::Store;
use crate::config::{Config, ConfigFile, UsersFile};
use crate::console::{self, Consoles, Order};
use crate::control::protocol::{Answer, Request};
use crate::kernel::{Chosen, KernelEvent, KernelKind, Kernels, Protection};
use crate::secret::Secret;
use crate::server::{
    HookId, Input, KernelError, KernelOp, LookupId, OpId, Output, RequestId, Server, State,
};
use crate::users::Users;
use listeners::Listeners;

/// The first change is written to the state file at once, and those within this time after it
/// together.
const SAVE_PAUSE: Duration = Duration::from_millis(500);
/// Timers are looked at no more often than this, so that with many sessions those of several go
/// together: waking the kernel for each would cost more than what it does then.
const TIMER_SLACK: Duration = Duration::from_millis(500);
/// Writing it takes at most one part in this of the time.
const SAVE_SHARE: u32 = 20;
/// Programs of the operator that run at once.
const PARALLEL_HOOKS: usize = 16;
/// For a program that knows a password; the peer waits for it.
const LOOKUP: Duration = Duration::from_secs(10);
/// Ids of sessions begin anew after so many seconds, as in mpd5.
const SESSION_IDS: u64 = 10_000_000;
/// For the last operations of a kernel.
const FLUSH: Duration = Duration::from_secs(2);
/// PPP protocol numbers of PAP and CHAP: a login is coming.
const AUTHENTICATION: [u16; 2] = [0xc023, 0xc223];

/// What the command line and the configuration amount to.
#[derive(Debug)]
pub struct Setup {
    /// The configuration file, read again on reload.
    pub config_file: ConfigFile,
    /// The checked configuration.
    pub config: Config,
    /// What the operator should know about it.
    pub notices: Vec<String>,
    /// The daemon's own folder.
    pub folder: PathBuf,
    /// Which kernels.
    pub kernels: Chosen,
}

/// Runs the daemon to its end; lets go of `starter` when the kernel is there, or is waited for.
///
/// # Errors
/// When clear text could get in, or a socket, a signal handler or the state folder cannot be had.
pub async fn run(
    setup: Setup,
    users: Users,
    log: Logger,
    mut starter: Starter,
) -> Result<(), Failure> {
    let mut driver = Driver::new(setup, users, log).await?;
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
    config_file: ConfigFile,
    config: Config,
    server: Server,
    rng: UnwrapErr<SysRng>,
    kernels: Kernels,
    /// How each is spoken to.
    kinds: Vec<(KernelId, KernelKind)>,
    /// Those that neither answered yet nor turned out not to be there.
    awaited: BTreeSet<KernelId>,
    protection: Option<Protection>,
    listeners: Listeners,
    control: ControlServer,
    consoles: Consoles,
    signals: Signals,
    hooks: HookRunner,
    hook_ends: (
        mpsc::UnboundedSender<HookEnd>,
        mpsc::UnboundedReceiver<HookEnd>,
    ),
    lookups: HookRunner,
    found: (mpsc::UnboundedSender<Found>, mpsc::UnboundedReceiver<Found>),
    replies: HashMap<RequestId, Reply>,
    requests: u64,
    users: Option<Watch>,
    store: Store,
    save_at: Option<Instant>,
    save_not_before: Instant,
    timers_not_before: Instant,
    /// What an earlier process left in kernels that are awaited.
    left: State,
    /// Whether the first kernel was heard of: it is there, or will be.
    serving: bool,
    over: bool,
    /// Whether another process takes over.
    handed_over: bool,
}

type Found = (LookupId, Result<Secret, String>);
type HookEnd = (HookId, Result<(), String>);

impl Driver {
    async fn new(setup: Setup, users: Users, log: Logger) -> Result<Self, Failure> {
        let Setup {
            config_file,
            config,
            notices,
            folder,
            kernels: Chosen { kernels, pfkey },
        } = setup;
        let os = |error: io::Error| Failure::new(exit::OS, error);
        let control = ControlServer::bind(&folder.join("control.sock"), 0o600).map_err(os)?;
        note(&log, &notices);
        let watch = watch(&config.users);
        warn_if_open(&log, watch.as_ref());
        let store = Store::open(&folder).map_err(os)?;
        let left = store.load().unwrap_or_else(|error| {
            slog::warn!(log, "the saved state cannot be used; clients have to connect again";
                "reason" => %error);
            State::default()
        });
        // First the policies, then the port.
        let protection = match pfkey {
            None => None,
            Some(pfkey) => Some(
                Protection::install(pfkey, &config.listen, log.clone())
                    .await
                    .map_err(|error| error.failure())?,
            ),
        };
        let listeners = Listeners::new(
            kernels.clone(),
            protection.as_ref().map(Protection::reqids),
            log.clone(),
        );
        let home = kernels
            .first()
            .map_or(KernelId::Soft, |(kernel, _)| *kernel);
        let mut driver = Self {
            server: Server::new(config.clone(), users, home),
            rng: UnwrapErr(SysRng),
            kernels: Kernels::start(&kernels),
            awaited: kernels.iter().map(|(kernel, _)| *kernel).collect(),
            kinds: kernels,
            protection,
            listeners,
            control,
            consoles: Consoles::new(log.clone()),
            signals: Signals::new().map_err(os)?,
            hooks: HookRunner::new(PARALLEL_HOOKS, config.hook_timeout),
            hook_ends: mpsc::unbounded_channel(),
            lookups: HookRunner::new(PARALLEL_HOOKS, LOOKUP),
            found: mpsc::unbounded_channel(),
            replies: HashMap::new(),
            requests: 0,
            users: watch,
            store,
            save_at: None,
            save_not_before: Instant::now(),
            timers_not_before: Instant::now(),
            left,
            serving: false,
            over: false,
            handed_over: false,
            log,
            config_file,
            config,
        };
        driver.listeners.open(&driver.config.listen).await?;
        driver.consoles.configure(&driver.config.console).await;
        tell_undressed(&driver.log, &driver.config, &driver.kinds);
        driver
            .server
            .number_from(seconds_of_the_epoch() % SESSION_IDS);
        Ok(driver)
    }

    /// Waits for one thing, hands it to the server, and carries out what follows; false at the end.
    async fn step(&mut self) -> bool {
        let timeout = self.server.next_timeout();
        let timeout = timeout.map(|due| due.max(self.timers_not_before));
        let due = timeout.into_iter().chain(self.save_at).min();
        tokio::select! {
            (kernel, event) = self.kernels.next() => self.on_kernel(kernel, event),
            (flow, bytes) = self.listeners.next() => {
                // Before that, tunnels of an earlier process are not known yet.
                if self.awaited.is_empty() {
                    self.handle(Input::Datagram { flow, bytes });
                }
            }
            Some((hook, outcome)) = self.hook_ends.1.recv() => {
                self.handle(Input::HookDone { hook, outcome });
            }
            Some((lookup, outcome)) = self.found.1.recv() => {
                self.handle(Input::LookedUp { lookup, outcome });
            }
            call = self.control.next() => self.on_call(call).await,
            call = self.consoles.next() => self.on_console(call),
            signal = self.signals.next() => self.on_signal(signal).await,
            () = sleep_until(due) => self.on_time(),
        }
        self.carry_out();
        if self.save_at.is_some_and(|at| at <= Instant::now()) {
            self.save();
        }
        !self.over
    }

    fn handle(&mut self, input: Input) {
        self.server.handle(Instant::now(), input, &mut self.rng);
    }

    fn on_kernel(&mut self, kernel: KernelId, event: KernelEvent) {
        let is_first = self
            .kinds
            .first()
            .is_some_and(|(first, _)| *first == kernel);
        self.serving |= is_first;
        match event {
            KernelEvent::Up { nodes } => {
                let now = Instant::now();
                // Later on the server knows what it has; whatever else is there belongs to nobody.
                let state = self.left.take(kernel);
                self.server.adopt(now, kernel, state, &nodes, &mut self.rng);
                slog::info!(self.log, "ready"; "kernel" => %kernel);
                self.no_longer_awaited(kernel);
            }
            KernelEvent::Unreachable(error) => {
                self.tell_unreachable(kernel, &error);
                // Without its first kernel the daemon has nothing to do but wait.
                if !is_first {
                    // A process that is not there took everything with it.
                    let _ = self.left.take(kernel);
                    self.no_longer_awaited(kernel);
                }
            }
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

    fn no_longer_awaited(&mut self, kernel: KernelId) {
        if self.awaited.remove(&kernel) && self.awaited.is_empty() {
            self.server.start(Instant::now(), &mut self.rng);
        }
    }

    fn tell_unreachable(&self, kernel: KernelId, error: &io::Error) {
        let kind = self.kinds.iter().find(|(known, _)| *known == kernel);
        match kind {
            Some((_, KernelKind::Soft { netgraph, .. })) if self.kinds.len() > 1 => {
                slog::debug!(self.log, "softkernel is not running";
                    "socket" => %netgraph.display(), "reason" => %error);
            }
            Some((_, KernelKind::Soft { netgraph, .. })) => {
                slog::warn!(self.log, "waiting for the soft kernel";
                    "socket" => %netgraph.display(), "reason" => %error,
                    "remedy" => "start softkernel with the same --runtime-dir");
            }
            _ => slog::error!(self.log, "netgraph cannot be used";
                "reason" => %error, "remedy" => "run as root, and load ng_socket(4)"),
        }
    }

    async fn on_call(&mut self, call: ControlCall) {
        let Some((request, reply)) = call.parse::<Request>() else {
            return;
        };
        if request == Request::Reload {
            match self.reload().await {
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

    fn on_console(&mut self, call: console::Call) {
        match call.answer(&self.server.view(Instant::now())) {
            None | Some(Order::Exit) => {}
            Some(Order::Shutdown) => self.handle(Input::Shutdown),
            Some(Order::Request(request)) => {
                // Nobody waits for the answer.
                self.requests += 1;
                let id = RequestId(self.requests);
                self.handle(Input::Request { id, request });
            }
        }
    }

    async fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Terminate => self.handle(Input::Shutdown),
            Signal::Reload => {
                // The problems are in the log.
                let _ = self.reload().await;
            }
            Signal::Dump => self.dump(),
            Signal::HandOver => {
                slog::info!(self.log, "handing over; tunnels stay");
                self.save();
                self.handed_over = true;
                self.over = true;
            }
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        self.timers_not_before = now + TIMER_SLACK;
        self.server.handle_timeout(now, &mut self.rng);
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Kernel {
                    op,
                    kernel,
                    operation,
                } => self.execute(op, kernel, operation),
                Output::Datagram { flow, bytes } => self.listeners.send(flow, bytes),
                Output::Hook { hook, run } => self.run_hook(hook, run),
                Output::LookUp { lookup, run } => self.look_up(lookup, run),
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
                    self.save_at.get_or_insert(self.save_not_before);
                }
                Output::Finished => {
                    self.save_at = None;
                    self.over = true;
                    if let Err(error) = self.store.clear() {
                        slog::warn!(self.log, "the saved state is of no use any more and cannot be removed";
                            "reason" => %error, "remedy" => "remove it from the runtime directory");
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

    fn look_up(&self, lookup: LookupId, run: Hook) {
        let (runner, found) = (self.lookups.clone(), self.found.0.clone());
        tokio::spawn(async move {
            let line = runner
                .first_line(run)
                .await
                .map_err(|error| error.to_string());
            let outcome = line.and_then(|line| match Secret::new(line) {
                empty if empty.octets().is_empty() => Err("it wrote no password".to_owned()),
                secret => Ok(secret),
            });
            // At the end nobody listens any more.
            let _ = found.send((lookup, outcome));
        });
    }

    fn execute(&mut self, op: OpId, kernel: KernelId, operation: KernelOp) {
        let has_answer = operation.has_answer();
        if !self.kernels.execute(kernel, op, operation) && has_answer {
            // The state of a process with other kernels.
            let outcome = Err(KernelError::Lost);
            self.handle(Input::Kernel { op, outcome });
        }
    }

    fn save(&mut self) {
        self.save_at = None;
        let begun = Instant::now();
        // Before every kernel has answered, part of the state is that of the process before.
        let mut state = self.server.checkpoint(begun);
        state.append(self.left.clone());
        if let Err(error) = self.store.save(&state) {
            slog::error!(self.log, "the state cannot be saved; a restart will drop every client";
                "reason" => %error, "remedy" => "make room in the runtime directory, and let us write there");
        }
        self.save_not_before = begun + SAVE_PAUSE.max(begun.elapsed() * SAVE_SHARE);
    }

    /// Reads the users file again if it changed. A broken one changes nothing.
    fn refresh_users(&mut self) {
        let Some(watch) = &mut self.users else {
            return;
        };
        match watch.changed() {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                slog::error!(self.log, "the users file cannot be read; users stay as they were";
                    "file" => %watch.file().display(), "reason" => %error);
                return;
            }
        }
        match Users::read(&self.config.users) {
            Ok(users) => {
                slog::info!(self.log, "users file read"; "users" => users.iter().count());
                self.handle(Input::Users(users));
                warn_if_open(&self.log, self.users.as_ref());
            }
            Err(problems) => self.complain(&problems, "the users stay as they were"),
        }
    }

    /// Takes the configuration up anew, or refuses it whole.
    async fn reload(&mut self) -> Result<String, Problems> {
        let read = self
            .config_file
            .read()
            .and_then(|loaded| Users::read(&loaded.config.users).map(|users| (loaded, users)));
        let (loaded, users) = read.inspect_err(|problems| {
            self.complain(problems, "the configuration stays as it was");
        })?;
        let config = loaded.config;
        note(&self.log, &loaded.notices);
        let mut words = "configuration read again; running sessions are not affected".to_owned();
        if config.kernel != self.config.kernel || config.log != self.config.log {
            words += "; `kernel` and `log` change at the next restart";
        }
        if config.listen != self.config.listen {
            self.relisten(&config.listen).await?;
        }
        self.users = watch(&config.users);
        self.consoles.configure(&config.console).await;
        tell_undressed(&self.log, &config, &self.kinds);
        self.hooks = HookRunner::new(PARALLEL_HOOKS, config.hook_timeout);
        self.config = config.clone();
        self.handle(Input::Configure(Box::new(config)));
        self.handle(Input::Users(users));
        slog::info!(self.log, "{}", words);
        Ok(words)
    }

    async fn relisten(&mut self, addresses: &[SocketAddr]) -> Result<(), Problems> {
        let protected = match &self.protection {
            Some(protection) => protection
                .require(addresses)
                .await
                .map_err(|error| error.failure()),
            None => Ok(()),
        };
        let opened = match protected {
            Ok(()) => self.listeners.open(addresses).await,
            Err(failure) => Err(failure),
        };
        opened.map_err(|failure| {
            slog::error!(self.log, "the configuration stays as it was";
                "reason" => &failure.message);
            Problems::whole(&self.config_file.path, failure.message)
        })
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
        self.kernels.finish(FLUSH).await;
        // First the port, then the policies.
        drop(self.listeners);
        if let Some(protection) = self.protection
            && !self.handed_over
        {
            protection.remove().await;
        }
        slog::info!(self.log, "ended");
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Names, groups and ARP are FreeBSD's: told where softkernel is alone.
fn tell_undressed(log: &Logger, config: &Config, kinds: &[(KernelId, KernelKind)]) {
    let alone = kinds.iter().all(|(kernel, _)| *kernel == KernelId::Soft);
    let connections = config.connections.values().map(|each| &each.bundle);
    let all = config.bundles.values().chain(connections);
    for bundle in all.filter(|bundle| alone && !bundle.interface.is_empty()) {
        slog::warn!(log, "name, group, description and proxy ARP of interfaces have no effect";
            "bundle" => &bundle.name, "reason" => "softkernel's interfaces are not the system's",
            "remedy" => "route the pool to this host; use `kernel: system` on FreeBSD");
    }
}

fn seconds_of_the_epoch() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |since| since.as_secs())
}

/// What was just read counts as seen.
fn watch(users: &UsersFile) -> Option<Watch> {
    let mut watch = Watch::new(users.path()?);
    // A file that has gone meanwhile is told with the first look.
    let _ = watch.changed();
    Some(watch)
}

/// What the operator should know about a configuration that was accepted.
fn note(log: &Logger, notices: &[String]) {
    for notice in notices {
        slog::warn!(log, "{}", notice);
    }
}

fn warn_if_open(log: &Logger, users: Option<&Watch>) {
    if let Some(users) = users.filter(|users| users.is_open_to_others()) {
        slog::warn!(log, "the users file can be read by others";
            "file" => %users.file().display(), "remedy" => "chmod 600");
    }
}

/// Where the configuration is when nothing is said.
pub const CONFIG_FILE: &str = "/usr/local/etc/tanuki/l2tpd.yaml";

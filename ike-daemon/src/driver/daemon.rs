//! What each input and each output means.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use ike_proto::Endpoint;
use ike_proto::carrier::Carrier;
use ike_proto::io::{Datagram, Event, Job, JobResult, KernelReply, Output};
use ike_proto::policy::Method;
use rand_core::UnwrapErr;
use slog::{Logger, debug, error, info, trace, warn};
use tokio::sync::mpsc;

use super::admin::Listener;
use super::kernels::Kernels;
use super::phase1::Phase1s;
use super::programs::Programs;
use super::users::UserFiles;
use super::waiting::Waiting;
use super::{Paths, log_warnings};
use crate::config::Config;
use crate::control::protocol::Stats;
use crate::events::EventLog;
use crate::kernel::{KernelSocket, LinkEvent, Ownership};
use crate::net::{NetEvent, Network};
use crate::state::{Marks, StateFile};

/// Timers are looked at no more often than this, so that those of several clients go together.
const TIMER_SLACK: Duration = Duration::from_millis(100);
/// How long `ikectl connect` waits.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// What the daemon is made from.
pub(super) struct Parts {
    pub(super) network: Network,
    pub(super) link_events: mpsc::Sender<(Carrier, LinkEvent)>,
    pub(super) state: StateFile,
    pub(super) job_results: mpsc::UnboundedSender<JobResult>,
    pub(super) paths: Paths,
}

/// Everything but the sources of inputs.
pub(super) struct Daemon {
    pub(super) log: Logger,
    pub(super) config: Config,
    pub(super) endpoint: Endpoint,
    pub(super) events: EventLog,
    pub(super) parts: Parts,
    pub(super) kernels: Kernels,
    /// A process before this one has left its state.
    pub(super) inherited: bool,
    pub(super) rng: UnwrapErr<SysRng>,
    pub(super) waiting: Waiting,
    pub(super) stats: Stats,
    /// Those who hear of racoon's events.
    pub(super) listeners: Vec<Listener>,
    /// Entries of setkey(8) scripts that are in the kernel because of us.
    pub(super) static_owned: BTreeSet<String>,
    pub(super) users: UserFiles,
    phase1s: Phase1s,
    programs: Programs,
    started: Instant,
    timers_not_before: Instant,
    pub(super) auto_at: Option<Instant>,
}

impl Daemon {
    pub(super) fn new(
        log: Logger,
        config: Config,
        parts: Parts,
        sockets: Vec<(Carrier, KernelSocket)>,
    ) -> Self {
        log_warnings(&log, &config);
        let now = Instant::now();
        let mut endpoint = Endpoint::new(config.policy.clone());
        let mut events = EventLog::new(log.clone());
        let mut marks = Marks {
            pfkey_pid: std::process::id(),
            ..Marks::default()
        };
        let mut phase1s = Phase1s::default();
        let earlier = parts.state.load();
        let inherited = matches!(earlier, Ok(Some(_)));
        if let Ok(Some(earlier)) = &earlier {
            marks = earlier.marks.clone();
        }
        let mut kernels = Kernels::start(sockets, marks.pfkey_pid, &parts.link_events);
        kernels.ownership = inherited.then(|| Ownership::from_saved(&marks.foreign_reqids));
        endpoint.set_carriers(kernels.carriers());
        match earlier {
            Ok(None) => {}
            Ok(Some(earlier)) => {
                match endpoint.restore(now, crate::state::wall_clock(), &earlier.checkpoint) {
                    Ok(()) => info!(log, "took over from the process before";
                        "isakmp_sas" => earlier.checkpoint.ike_sas.len(),
                        "ipsec_pairs" => earlier.checkpoint.children.len()),
                    Err(error) => warn!(log, "starting afresh; clients have to connect again";
                        "reason" => %error),
                }
                events.adopt(now, &endpoint.ike_sas(now), &endpoint.child_sas(now));
                phase1s.adopt(&endpoint.ike_sas(now));
            }
            Err(error) => {
                warn!(log, "starting afresh; clients have to connect again: the state of \
                the process before is unreadable"; "reason" => %error)
            }
        }
        let stats = Stats {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: kernels
                .first()
                .map(|(_, first)| first.name.clone())
                .unwrap_or_default(),
            softkernel_beside: kernels.beside().map(|_| false),
            listen: parts
                .network
                .addresses()
                .map(|address| address.to_string())
                .collect(),
            natt_bound: kernels.carriers().system.is_some() && config.policy.nat.enabled,
            ..Stats::default()
        };
        let mut daemon = Self {
            kernels,
            inherited,
            rng: UnwrapErr(SysRng),
            waiting: Waiting::default(),
            listeners: Vec::new(),
            static_owned: marks.static_owned,
            users: UserFiles::new(&config),
            phase1s,
            programs: Programs::new(log.clone()),
            started: now,
            timers_not_before: now,
            auto_at: None,
            log,
            config,
            endpoint,
            events,
            parts,
            stats,
        };
        if let Some(ownership) = &daemon.kernels.ownership {
            daemon.endpoint.avoid_reqids(ownership.foreign().clone());
        }
        daemon.lose_children_of_other_kernels();
        daemon.apply_policy();
        daemon
    }

    /// What a process before us had in a kernel that is not in use any more.
    fn lose_children_of_other_kernels(&mut self) {
        let now = Instant::now();
        for pair in self.endpoint.child_sas(now) {
            if self.kernels.speaks_to(pair.kernel) {
                continue;
            }
            let reply = KernelReply::Expire {
                carrier: pair.kernel,
                spi: pair.spi_in,
                destination: pair.local.ip(),
                hard: true,
            };
            self.endpoint.handle_kernel(now, reply, &mut self.rng);
        }
    }

    pub(super) fn log(&self) -> &Logger {
        &self.log
    }

    pub(super) fn listening(&self) -> String {
        self.stats.listen.join(" ")
    }

    /// Whether nothing is queued and every kernel request is answered.
    pub(super) fn is_idle(&self) -> bool {
        self.kernels.is_idle() && self.parts.network.is_idle()
    }

    /// Whether a phase 1 that was just established goes on with XAUTH, or asks for an address.
    fn more_to_come(&self, event: &Event) -> bool {
        let Event::IkeUp {
            ike,
            peer,
            replaces: None,
            ..
        } = event
        else {
            return false;
        };
        let terms = self.config.policy.terms(peer.ip());
        let methods = &terms.authentication.methods;
        let mut connections = self.config.connections.iter();
        let possible = methods.iter().any(|method| method.uses_xauth())
            || connections.any(|own| own.connection.mode_config);
        let sas = match possible {
            true => self.endpoint.ike_sas(Instant::now()),
            false => Vec::new(),
        };
        sas.iter().filter(|sa| sa.id == *ike).any(|sa| {
            let method = Method::ALL
                .into_iter()
                .find(|own| own.name() == sa.authentication);
            let asks = self.config.connections.iter().any(|own| {
                own.connection.mode_config && Some(&own.connection.name) == sa.connection.as_ref()
            });
            asks || !sa.initiator && method.is_some_and(Method::uses_xauth)
        })
    }

    /// Whether no program of the operator runs any more.
    pub(super) fn programs_ended(&self) -> bool {
        self.programs.is_idle()
    }

    pub(super) fn network_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Datagram(received) => {
                self.refresh_psk();
                self.refresh_users();
                trace!(self.log, "datagram"; "peer" => %received.peer, "local" => %received.local,
                    "octets" => received.payload.len());
                let datagram = Datagram {
                    local: received.local,
                    peer: received.peer,
                    natt_port: received.natt_port,
                    payload: &received.payload,
                };
                self.endpoint
                    .handle_datagram(Instant::now(), datagram, &mut self.rng);
            }
            NetEvent::Keepalive { local, peer } => {
                let now = Instant::now();
                self.endpoint
                    .handle_keepalive(now, local, peer, &mut self.rng);
            }
            NetEvent::EncapUp {
                local,
                peer: Some(peer),
            } => {
                debug!(self.log, "softkernel takes a peer's packets"; "local" => %local,
                    "peer" => %peer);
            }
            NetEvent::EncapDown {
                local,
                peer: Some(peer),
                problem,
            } => {
                warn!(self.log, "softkernel does not get a peer's packets; trying again";
                    "local" => %local, "peer" => %peer, "reason" => problem,
                    "remedy" => "start softkernel");
            }
            NetEvent::EncapUp { local, peer: None } => {
                self.stats.natt_bound = true;
                info!(self.log, "NAT traversal port bound"; "local" => %local);
                self.soon_auto();
            }
            NetEvent::EncapDown {
                local,
                peer: None,
                problem,
            } => {
                self.stats.natt_bound = false;
                warn!(self.log, "NAT traversal port not bound; trying again"; "local" => %local,
                    "reason" => problem, "remedy" => "start softkernel");
            }
            // Ends the loop before it comes here.
            NetEvent::Broken { .. } => {}
        }
    }

    pub(super) fn job_done(&mut self, result: JobResult) {
        self.endpoint
            .handle_job(Instant::now(), result, &mut self.rng);
    }

    pub(super) fn wants_key_pair(&self) -> bool {
        self.endpoint.wants_key_pair()
    }

    pub(super) fn make_key_pair(&mut self) {
        self.endpoint.make_key_pair(&mut self.rng);
    }

    /// When [`Daemon::timeout`] is wanted.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let connects = self
            .waiting
            .connects
            .iter()
            .map(|waiting| waiting.until)
            .min();
        [
            self.endpoint.next_timeout(),
            self.parts.state.due(),
            self.auto_at,
            connects,
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|due| due.max(self.timers_not_before))
    }

    pub(super) fn timeout(&mut self) {
        let now = Instant::now();
        self.timers_not_before = now + TIMER_SLACK;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.endpoint.next_timeout()) {
            self.endpoint.handle_timeout(now, &mut self.rng);
        }
        if is_due(self.parts.state.due()) {
            self.save_now();
        }
        if is_due(self.auto_at) {
            self.auto_at = None;
            self.start_auto_connections();
        }
        for connecting in self.take_connects(|connecting| connecting.until <= now) {
            connecting
                .reply
                .error(format!("{}: not up after 60 s", connecting.name));
        }
    }

    /// Carries out all outputs of the core.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    if let Err(error) = self.parts.network.send(&transmit) {
                        self.stats.send_failures += 1;
                        debug!(self.log, "datagram not sent"; "peer" => %transmit.peer,
                            "local" => %transmit.local, "reason" => %error);
                    }
                }
                Output::Kernel(carrier, request) => self.kernel_request(carrier, &request),
                Output::Job(job) => self.start_job(job),
                Output::Event(event) => self.event(&event),
            }
        }
        let now = Instant::now();
        self.parts.state.note(now, &self.endpoint);
    }

    fn start_job(&mut self, job: Job) {
        let results = self.parts.job_results.clone();
        tokio::task::spawn_blocking(move || {
            // The daemon may have ended meanwhile.
            let _ = results.send(job.run(crate::state::wall_clock()));
        });
    }

    fn event(&mut self, event: &Event) {
        let now = Instant::now();
        self.events.write(now, event);
        let more_to_come = self.more_to_come(event);
        let meaning = self.phase1s.follow(event, more_to_come);
        self.announce(&meaning);
        let mode_config = meaning.ends.and_then(|ends| {
            let terms = self.config.policy.terms(ends.peer.ip());
            terms.mode_config.cloned()
        });
        let scripts = &self.config.scripts;
        self.programs.run(scripts, &meaning, mode_config.as_deref());
        self.follow_connections(now, event);
    }

    /// When the daemon was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The end: tells everybody and takes everything of ours out of the kernel.
    pub(super) fn terminate(&mut self) {
        self.flush();
        let entries = self.config.static_entries.clone();
        self.remove_static_entries(&entries, &[]);
        self.announce_end();
    }

    /// Deletes everything, telling every peer.
    pub(super) fn flush(&mut self) {
        self.endpoint.flush(Instant::now(), &mut self.rng);
    }

    pub(super) fn save_now(&mut self) {
        let ownership = self.kernels.ownership.as_ref();
        let marks = Marks {
            pfkey_pid: self.kernels.pid(),
            foreign_reqids: ownership.map(Ownership::to_saved).unwrap_or_default(),
            static_owned: self.static_owned.clone(),
        };
        let now = Instant::now();
        if let Err(error) = self.parts.state.save(now, &self.endpoint, marks) {
            error!(self.log, "checkpoint not written; a restart would drop every client";
                "reason" => %error, "remedy" => "make room in the runtime directory, and let us write there");
        }
    }

    pub(super) fn forget_state(&mut self) {
        if let Err(error) = self.parts.state.remove() {
            error!(self.log, "checkpoint is of no use any more and cannot be removed";
                "reason" => %error, "remedy" => "remove it from the runtime directory");
        }
    }

    pub(super) fn dump_to_log(&mut self) {
        let now = Instant::now();
        self.events
            .dump(&self.endpoint.ike_sas(now), &self.endpoint.child_sas(now));
        info!(self.log, "counters"; "counters" => ?self.endpoint.counters());
    }

    pub(super) fn stats_now(&self) -> Stats {
        Stats {
            uptime: self.started.elapsed().as_secs(),
            checkpoints: self.parts.state.written(),
            core: self.endpoint.counters(),
            ..self.stats.clone()
        }
    }
}

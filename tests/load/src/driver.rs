//! Sockets, clock, random numbers and threads for the clients: a task for each.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ike_proto::io::JobResult;
use ppp_proto::Credentials;
use rand_chacha::ChaCha20Rng;
use softkernel::buffer::Buffer;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use crate::client::{Client, Output, Stage};
use crate::ike::{Context, Terms};
use crate::report::Times;

/// What the task of a client tells.
#[derive(Debug)]
pub(crate) enum Note {
    /// Online.
    Online(Times),
    /// It never was.
    Failed(String),
    /// It was.
    Lost(String),
    /// An echo request left.
    EchoSent,
    /// Its reply came.
    Answered(Duration),
}

/// What happens to all clients at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Stay, and send an echo request so often.
    Stay(Option<Duration>),
    /// Go; with a good-bye or without.
    Leave {
        /// Tell the server.
        tell: bool,
    },
}

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) terms: Terms,
    pub(crate) timeout: Duration,
    pub(crate) echo_size: usize,
    pub(crate) rng: RefCell<ChaCha20Rng>,
    pub(crate) packet: RefCell<Buffer>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
}

/// Longest datagram that is read.
const DATAGRAM: usize = 2048;

struct Running {
    shared: Rc<Shared>,
    client: Client,
    socket: UdpSocket,
    begun: Instant,
    times: Times,
    online: bool,
    /// At most one computation is under way.
    job: Option<JoinHandle<JobResult>>,
    over: bool,
}

/// Runs one client to its end; lets go of `permit` when it is online, or never will be.
pub(crate) async fn run<P>(
    shared: Rc<Shared>,
    own: Option<IpAddr>,
    credentials: Credentials,
    mut commands: watch::Receiver<Command>,
    permit: P,
) {
    let mut permit = Some(permit);
    let mut running = match Running::begin(&shared, own, credentials) {
        Ok(running) => running,
        Err(error) => {
            let _ = shared.notes.send(Note::Failed(format!("socket: {error}")));
            return;
        }
    };
    let deadline = running.begun + shared.timeout;
    let mut buffer = [0; DATAGRAM];
    let mut next_echo: Option<Instant> = None;
    let mut interval = None;
    running.carry_out().await;
    while !running.over {
        if running.online {
            permit = None;
        }
        let until_online = (!running.online).then_some(deadline);
        let timeout = running.client.next_timeout();
        let due = [timeout, until_online, next_echo]
            .into_iter()
            .flatten()
            .min();
        tokio::select! {
            received = running.socket.recv_from(&mut buffer) => {
                if let Ok((length, from)) = received {
                    running.received(from, buffer.get(..length).unwrap_or_default());
                }
            }
            result = finished(&mut running.job) => running.job_done(result),
            changed = commands.changed() => {
                let command = *commands.borrow_and_update();
                match (changed, command) {
                    (Ok(()), Command::Stay(echo)) => {
                        interval = echo.filter(|_| running.online);
                        // Not all in the same moment.
                        next_echo = interval.map(|every| Instant::now() + running.spread(every));
                    }
                    (Ok(()), Command::Leave { tell: true }) => {
                        running.leave().await;
                        return;
                    }
                    (Ok(()), Command::Leave { tell: false }) | (Err(_), _) => return,
                }
            }
            () = sleep_until(due.unwrap_or(deadline).into()), if due.is_some() => {
                let now = Instant::now();
                if until_online.is_some_and(|at| at <= now) {
                    running.end(format!("not online in time: {}", running.stage()));
                    break;
                }
                if let (Some(every), Some(at)) = (interval, next_echo.filter(|at| *at <= now)) {
                    running.echo(now);
                    next_echo = Some((at + every).max(now));
                }
                if timeout.is_some_and(|at| at <= now) {
                    running.handle_timeout();
                }
            }
        }
        running.carry_out().await;
    }
    drop(permit);
}

/// The result of the computation under way; never, when there is none.
async fn finished(job: &mut Option<JoinHandle<JobResult>>) -> Option<JobResult> {
    match job {
        Some(handle) => {
            let result = handle.await;
            *job = None;
            result.ok()
        }
        None => std::future::pending().await,
    }
}

impl Running {
    fn begin(
        shared: &Rc<Shared>,
        own: Option<IpAddr>,
        credentials: Credentials,
    ) -> io::Result<Self> {
        let server = shared.terms.server;
        let own = match own {
            Some(own) => own,
            None => source_for(server)?,
        };
        let socket = std::net::UdpSocket::bind((own, 0))?;
        socket.set_nonblocking(true)?;
        let begun = Instant::now();
        let mut rng = shared.rng.borrow_mut();
        let mut cx = Context {
            now: begun,
            rng: &mut *rng,
        };
        let mut client = Client::new(&shared.terms, credentials, own, &mut cx);
        client.start(&mut cx);
        client.settle(&mut cx, &mut shared.packet.borrow_mut());
        Ok(Self {
            shared: Rc::clone(shared),
            client,
            socket: UdpSocket::from_std(socket)?,
            begun,
            times: Times::default(),
            online: false,
            job: None,
            over: false,
        })
    }

    fn with(&mut self, input: impl FnOnce(&mut Client, &mut Context<'_>, &mut Buffer)) {
        let mut rng = self.shared.rng.borrow_mut();
        let mut packet = self.shared.packet.borrow_mut();
        let mut cx = Context {
            now: Instant::now(),
            rng: &mut *rng,
        };
        input(&mut self.client, &mut cx, &mut packet);
        self.client.settle(&mut cx, &mut packet);
    }

    fn received(&mut self, from: SocketAddr, payload: &[u8]) {
        if from.ip() == self.shared.terms.server.ip() {
            self.with(|client, cx, packet| client.datagram(cx, from.port(), payload, packet));
        }
    }

    fn job_done(&mut self, result: Option<JobResult>) {
        match result {
            Some(result) => self.with(|client, cx, _| client.job_done(cx, result)),
            None => self.end("a computation broke".to_owned()),
        }
    }

    fn handle_timeout(&mut self) {
        self.with(|client, cx, _| client.handle_timeout(cx));
    }

    fn echo(&mut self, now: Instant) {
        let size = self.shared.echo_size;
        let mut sent = false;
        self.with(|client, _, packet| sent = client.ping(now, size, packet));
        if sent {
            self.note(Note::EchoSent);
        }
    }

    async fn leave(&mut self) {
        self.with(|client, cx, packet| client.stop(cx, packet));
        while let Some(output) = self.client.poll() {
            if let Output::Send(port, bytes) = output {
                self.send(port, &bytes).await;
            }
        }
    }

    async fn carry_out(&mut self) {
        while let Some(output) = self.client.poll() {
            match output {
                Output::Send(port, bytes) => self.send(port, &bytes).await,
                Output::Compute(job) => {
                    self.job = Some(tokio::task::spawn_blocking(|| job.run(wall_clock())));
                }
                Output::Reached(stage) => self.reached(stage),
                Output::Answered(time) => self.note(Note::Answered(time)),
                Output::Down(reason) => self.end(reason),
            }
        }
    }

    /// What the system does not take is lost, as on any network.
    async fn send(&self, port: u16, bytes: &[u8]) {
        let to = SocketAddr::new(self.shared.terms.server.ip(), port);
        let _ = self.socket.send_to(bytes, to).await;
    }

    fn reached(&mut self, stage: Stage) {
        let elapsed = self.begun.elapsed();
        match stage {
            Stage::Authenticated => self.times.phase1 = elapsed,
            Stage::Protected => self.times.phase2 = elapsed,
            Stage::Called => self.times.l2tp = Some(elapsed),
            Stage::Online if !self.online => {
                // With IKE only nothing was called.
                self.times.ppp = self.times.l2tp.map(|_| elapsed);
                self.online = true;
                self.note(Note::Online(self.times));
            }
            Stage::Online => {}
        }
    }

    /// What it waits for.
    fn stage(&self) -> &'static str {
        match &self.times {
            times if times.phase1.is_zero() => "in phase 1",
            times if times.phase2.is_zero() => "in phase 2",
            times if times.l2tp.is_none() => "in L2TP",
            _ => "in PPP",
        }
    }

    fn end(&mut self, reason: String) {
        if !std::mem::replace(&mut self.over, true) {
            self.note(match self.online {
                true => Note::Lost(reason),
                false => Note::Failed(reason),
            });
        }
    }

    fn note(&self, note: Note) {
        // At the end nobody listens any more.
        let _ = self.shared.notes.send(note);
    }

    /// Somewhere within that time.
    fn spread(&self, every: Duration) -> Duration {
        use rand_core::Rng;
        let part = f64::from(self.shared.rng.borrow_mut().next_u32()) / f64::from(u32::MAX);
        every.mul_f64(part)
    }
}

/// Our address towards the server.
fn source_for(server: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let probe = std::net::UdpSocket::bind(any)?;
    probe.connect(server)?;
    Ok(probe.local_addr()?.ip())
}

fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

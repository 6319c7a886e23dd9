//! A task for each kernel that owns the netgraph socket: carries operations out one after the other,
//! reports what nodes say, and connects again when the soft kernel comes back.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use l2tp_proto::KernelId;
use netgraph::generic::GetNodeInfo;
use netgraph::node::{l2tp, ppp};
use netgraph::{Event as NetgraphEvent, Netgraph, NgMessage};
use tanuki_daemon::retry::Pauses;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::executor::Executor;
use super::names;
use crate::server::{Input, KernelAnswer, KernelError, KernelOp, OpId, SessionKey};

/// Events on their way to the server; when it is behind, the kernel's socket buffers them.
const QUEUE: usize = 1024;

/// Questions for counters that are under way at once.
const READS: usize = 64;

/// How a kernel is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelKind {
    /// FreeBSD's system calls.
    System,
    /// The `netgraph.sock` and `udp.sock` of a user-space kernel.
    Soft {
        /// Its netgraph socket.
        netgraph: PathBuf,
        /// Its socket for UDP ports.
        udp: PathBuf,
    },
}

/// What a kernel says.
#[derive(Debug)]
pub enum KernelEvent {
    /// It is there, with these named nodes.
    Up {
        /// Names of all nodes.
        nodes: Vec<String>,
    },
    /// It cannot be reached; said once until it can.
    Unreachable(io::Error),
    /// For the server.
    Input(Input),
}

/// The running tasks, one for each kernel. Dropping them ends the tasks and removes our socket
/// nodes; the other nodes stay.
#[derive(Debug)]
pub struct Kernels {
    operations: BTreeMap<KernelId, mpsc::UnboundedSender<(OpId, KernelOp)>>,
    events: mpsc::Receiver<(KernelId, KernelEvent)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Kernels {
    /// Starts the tasks; inside a tokio runtime.
    #[must_use]
    pub fn start(kernels: &[(KernelId, KernelKind)]) -> Self {
        let (told, events) = mpsc::channel(QUEUE);
        let mut operations = BTreeMap::new();
        let mut tasks = Vec::with_capacity(kernels.len());
        for (kernel, kind) in kernels {
            let (sender, asked) = mpsc::unbounded_channel();
            operations.insert(*kernel, sender);
            let told = Told {
                kernel: *kernel,
                events: told.clone(),
            };
            tasks.push(tokio::spawn(run(kind.clone(), asked, told)));
        }
        Self {
            operations,
            events,
            tasks,
        }
    }

    /// Queues an operation. False when there is no such kernel here.
    #[must_use]
    pub fn execute(&self, kernel: KernelId, op: OpId, operation: KernelOp) -> bool {
        self.operations
            .get(&kernel)
            .is_some_and(|operations| operations.send((op, operation)).is_ok())
    }

    /// The next thing a kernel says. Cancel safe.
    pub async fn next(&mut self) -> (KernelId, KernelEvent) {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Waits until everything queued has been carried out, at most `limit`.
    pub async fn finish(mut self, limit: Duration) {
        self.operations.clear();
        let drained = async { while self.events.recv().await.is_some() {} };
        // What is not done by then is an orphan for the next start.
        let _ = tokio::time::timeout(limit, drained).await;
    }
}

impl Drop for Kernels {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

type Asked = mpsc::UnboundedReceiver<(OpId, KernelOp)>;

/// Where one kernel's task puts what it has to say.
#[derive(Debug)]
struct Told {
    kernel: KernelId,
    events: mpsc::Sender<(KernelId, KernelEvent)>,
}

impl Told {
    /// Fails when nobody listens any more.
    async fn send(&self, event: KernelEvent) -> Result<(), Gone> {
        let sent = self.events.send((self.kernel, event)).await;
        sent.map_err(|_| Gone)
    }
}

/// Nobody listens any more.
#[derive(Debug)]
struct Gone;

async fn run(kind: KernelKind, mut asked: Asked, told: Told) {
    let mut complained = false;
    let mut pauses = Pauses::default();
    loop {
        match connect(&kind).await {
            Ok((mut executor, nodes)) => {
                complained = false;
                pauses.reset();
                if told.send(KernelEvent::Up { nodes }).await.is_err() {
                    return;
                }
                if serve(&mut executor, &mut asked, &told).await == End::Over {
                    return;
                }
                let lost = KernelEvent::Input(Input::KernelLost(told.kernel));
                if told.send(lost).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut complained, true)
                    && told.send(KernelEvent::Unreachable(error)).await.is_err()
                {
                    return;
                }
            }
        }
        if refuse_for_a_while(pauses.pause(), &mut asked, &told).await == End::Over {
            return;
        }
    }
}

async fn connect(kind: &KernelKind) -> io::Result<(Executor, Vec<String>)> {
    let netgraph = match kind {
        KernelKind::System => Netgraph::open_system()?,
        KernelKind::Soft { netgraph, .. } => Netgraph::connect_soft(netgraph)?,
    };
    let mut executor = Executor { netgraph };
    executor.take_name().await.map_err(io::Error::other)?;
    let nodes = executor.nodes().await.map_err(io::Error::other)?;
    Ok((executor, nodes))
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Nobody asks any more.
    Over,
    /// The kernel went away, or the pause is over.
    Retry,
}

async fn serve(executor: &mut Executor, asked: &mut Asked, told: &Told) -> End {
    let mut next = None;
    loop {
        // What came in while an operation waited for its answer.
        while let Some(event) = executor.netgraph.poll_event() {
            if !tell(executor, told, event).await {
                return End::Over;
            }
        }
        if let Some((op, operation)) = next.take() {
            let outcomes = match operation {
                KernelOp::ReadTraffic { session } => {
                    let reads = reads(op, session, asked, &mut next);
                    read(executor, &reads).await
                }
                operation => {
                    let outcome = executor.execute(&operation).await;
                    vec![(op, outcome, operation.has_answer())]
                }
            };
            for (op, outcome, wanted) in outcomes {
                let lost = outcome == Err(KernelError::Lost);
                if wanted {
                    let input = Input::Kernel { op, outcome };
                    if told.send(KernelEvent::Input(input)).await.is_err() {
                        return End::Over;
                    }
                }
                if lost {
                    return End::Retry;
                }
            }
            continue;
        }
        tokio::select! {
            operation = asked.recv() => match operation {
                Some(operation) => next = Some(operation),
                None => {
                    // The last ones may have no answer that was waited for.
                    let _ = executor.netgraph.flush().await;
                    return End::Over;
                }
            },
            event = executor.netgraph.next_event() => match event {
                Ok(event) => if !tell(executor, told, event).await { return End::Over },
                Err(_) => return End::Retry,
            },
        }
    }
}

/// Of the operations that wait those from the first on that only read; what follows is `next`.
fn reads(
    op: OpId,
    session: SessionKey,
    asked: &mut Asked,
    next: &mut Option<(OpId, KernelOp)>,
) -> Vec<(OpId, SessionKey)> {
    let mut reads = vec![(op, session)];
    while reads.len() < READS
        && let Ok((op, operation)) = asked.try_recv()
    {
        if let KernelOp::ReadTraffic { session } = operation {
            reads.push((op, session));
        } else {
            *next = Some((op, operation));
            break;
        }
    }
    reads
}

type Outcome = (OpId, Result<KernelAnswer, KernelError>, bool);

async fn read(executor: &mut Executor, reads: &[(OpId, SessionKey)]) -> Vec<Outcome> {
    let sessions: Vec<SessionKey> = reads.iter().map(|(_, session)| *session).collect();
    let answers = executor.traffics(&sessions).await;
    let answers = answers.into_iter().zip(reads);
    answers
        .map(|(answer, (op, _))| (*op, answer.map(KernelAnswer::Traffic), true))
        .collect()
}

/// While there is no kernel every operation fails at once.
async fn refuse_for_a_while(limit: Duration, asked: &mut Asked, told: &Told) -> End {
    let pause = tokio::time::sleep(limit);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return End::Retry,
            operation = asked.recv() => {
                let Some((op, operation)) = operation else { return End::Over };
                let input = Input::Kernel { op, outcome: Err(KernelError::Lost) };
                if operation.has_answer()
                    && told.send(KernelEvent::Input(input)).await.is_err()
                {
                    return End::Over;
                }
            }
        }
    }
}

async fn tell(executor: &mut Executor, told: &Told, event: NetgraphEvent) -> bool {
    match translate(named(executor, event).await) {
        Some(input) => told.send(KernelEvent::Input(input)).await.is_ok(),
        None => true,
    }
}

/// FreeBSD calls every sender `[id]:`, softkernel those with a name by it: ours have one.
async fn named(executor: &mut Executor, event: NetgraphEvent) -> NetgraphEvent {
    match event {
        NetgraphEvent::Message { from, message }
            if from.starts_with('[') && message.is::<l2tp::AckFailure>() =>
        {
            let from = match executor.netgraph.call(&from, &GetNodeInfo).await {
                Ok(node) => format!("{}:", node.name),
                // The node is gone, so its tunnel is being removed already.
                Err(_) => from,
            };
            NetgraphEvent::Message { from, message }
        }
        other => other,
    }
}

/// What a node said, for the server; what is not for it is dropped.
fn translate(event: NetgraphEvent) -> Option<Input> {
    match event {
        NetgraphEvent::Data { hook, payload } => match names::parse_hook(&hook)? {
            names::Hook::Control(tunnel) => Some(Input::Control {
                tunnel,
                frame: payload,
            }),
            names::Hook::Bypass(session) => {
                let (_, protocol, information) = ppp::parse_bypass(&payload).ok()?;
                Some(Input::Frame {
                    session,
                    protocol,
                    payload: information.to_vec(),
                })
            }
            names::Hook::Solicitations(session) => Some(Input::Frame {
                session,
                protocol: ppp::PROTOCOL_IPV6,
                payload,
            }),
        },
        NetgraphEvent::Message { from, message } => ack_failure(&from, &message),
    }
}

fn ack_failure(from: &str, message: &NgMessage) -> Option<Input> {
    if !message.is::<l2tp::AckFailure>() {
        return None;
    }
    let tunnel = names::parse_tunnel(from.strip_suffix(':').unwrap_or(from))?;
    Some(Input::AckFailure { tunnel })
}

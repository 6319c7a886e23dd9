//! Clear text never gets in: the task that sets the policies of [`policies`](super::policies) in a
//! system kernel, sets them again when somebody removes them, and finds out which client's SAs
//! belong to a flow, which nothing in the datagram says.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use l2tp_proto::FlowId;
use pfkey::{Message, MessageType, Socket, SpRequest};
use slog::Logger;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::conversation::Conversation;
use super::policies::{self, Standing};

/// Questions on their way to the task.
const QUEUE: usize = 64;
/// Between two attempts when the socket is lost.
const RETRY: Duration = Duration::from_millis(250);
/// `EEXIST`, the same on every system.
const EEXIST: u8 = 17;

/// Where PF_KEY is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PfkeySocket {
    /// `socket(PF_KEY)`.
    System,
    /// The `pfkey.sock` of a user-space kernel.
    Soft(PathBuf),
}

impl PfkeySocket {
    /// Opens it.
    ///
    /// # Errors
    /// As [`Socket::open_system`] and [`Socket::connect_soft`].
    pub fn open(&self) -> io::Result<Socket> {
        match self {
            Self::System => Socket::open_system(),
            Self::Soft(path) => Socket::connect_soft(path),
        }
    }
}

/// Why clear text may get in.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionError {
    /// There is no PF_KEY to speak to.
    #[error("PF_KEY: {0}")]
    Socket(#[from] io::Error),
    /// The kernel refused a policy or a question.
    #[error("the kernel refused {request}: {}", io::Error::from_raw_os_error(i32::from(*.errno)))]
    Refused {
        /// What was asked, in PF_KEY's words.
        request: &'static str,
        /// The system's number.
        errno: u8,
    },
    /// No answer came, or it was lost in a socket buffer that was too small.
    #[error("the kernel did not answer {0}; kern.ipc.maxsockbuf may be too small for it")]
    NoAnswer(&'static str),
    /// The operator has a policy for the same packets that lets clear text in.
    #[error(
        "the security policy from {0} to {1} lets L2TP through without IPsec; `setkey -DP` shows \
         it, `spddelete` removes it"
    )]
    Open(SocketAddr, SocketAddr),
}

/// The running task. Dropping it ends the task and leaves the policies.
#[derive(Debug)]
pub struct Protection {
    asked: mpsc::Sender<Asked>,
    task: JoinHandle<()>,
}

type Outcome = Result<(), ProtectionError>;

#[derive(Debug)]
enum Asked {
    Require(Vec<SocketAddr>, oneshot::Sender<Outcome>),
    Reqid(FlowId, oneshot::Sender<u32>),
    Remove(oneshot::Sender<()>),
}

/// Asks for reqids.
#[derive(Debug, Clone)]
pub struct Reqids(mpsc::Sender<Asked>);

impl Reqids {
    /// The reqid of the client behind a flow; 0 when policies and SAs do not tell it.
    pub async fn of(&self, flow: FlowId) -> u32 {
        let (answer, reqid) = oneshot::channel();
        match self.0.send(Asked::Reqid(flow, answer)).await {
            Ok(()) => reqid.await.unwrap_or_default(),
            Err(_) => 0,
        }
    }
}

impl Protection {
    /// Sets the policies for a listener on these addresses; returns when they are at work.
    ///
    /// # Errors
    /// They are not, and nothing must be bound.
    pub async fn install(
        socket: PfkeySocket,
        listen: &[SocketAddr],
        log: Logger,
    ) -> Result<Self, ProtectionError> {
        let mut guard = Guard::open(&socket)?;
        guard.require(listen).await?;
        let (asked, questions) = mpsc::channel(QUEUE);
        let task = tokio::spawn(run(guard, socket, questions, log));
        Ok(Self { asked, task })
    }

    /// Changes the addresses.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub async fn require(&self, listen: &[SocketAddr]) -> Result<(), ProtectionError> {
        let (answer, outcome) = oneshot::channel();
        let gone = || ProtectionError::NoAnswer("the policies");
        let question = Asked::Require(listen.to_vec(), answer);
        self.asked.send(question).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// What listeners ask whose SAs a datagram came by.
    #[must_use]
    pub fn reqids(&self) -> Reqids {
        Reqids(self.asked.clone())
    }

    /// Removes the policies that are ours.
    pub async fn remove(self) {
        let (answer, done) = oneshot::channel();
        if self.asked.send(Asked::Remove(answer)).await.is_ok() {
            // What cannot be removed protects a host that does not listen.
            let _ = done.await;
        }
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until nobody asks any more; opens the socket again when it is lost.
async fn run(
    mut guard: Guard,
    socket: PfkeySocket,
    mut questions: mpsc::Receiver<Asked>,
    log: Logger,
) {
    while let Err(error) = guard.serve(&mut questions, &log).await {
        slog::warn!(log, "PF_KEY is lost; until it is back nobody watches the policies that keep \
            L2TP in clear text out"; "reason" => %error);
        guard = loop {
            tokio::time::sleep(RETRY).await;
            if let Ok(mut again) = Guard::open(&socket)
                && again.require(&guard.listen).await.is_ok()
            {
                break again;
            }
        };
    }
}

/// The socket and what is set through it.
#[derive(Debug)]
struct Guard {
    kernel: Conversation,
    listen: Vec<SocketAddr>,
    /// With the numbers of those at work, ours or the operator's.
    policies: Vec<(SpRequest, u32)>,
}

impl Guard {
    fn open(socket: &PfkeySocket) -> Result<Self, ProtectionError> {
        Ok(Self {
            kernel: Conversation::open(socket)?,
            listen: Vec::new(),
            policies: Vec::new(),
        })
    }

    /// `Ok` when nobody asks any more.
    async fn serve(&mut self, questions: &mut mpsc::Receiver<Asked>, log: &Logger) -> Outcome {
        loop {
            let (changes, lost) = self.kernel.others();
            if lost || changes.iter().any(|change| self.touches(change)) {
                self.restore(log).await?;
            }
            tokio::select! {
                question = questions.recv() => match question {
                    None => return Ok(()),
                    Some(Asked::Require(listen, answer)) => {
                        // Whoever asked may have given up.
                        let _ = answer.send(self.require(&listen).await);
                    }
                    Some(Asked::Reqid(flow, answer)) => {
                        let reqid = self.reqid(&flow).await.unwrap_or_else(|error| {
                            slog::warn!(log, "whose SAs these are cannot be found out; any SA of the peer counts";
                                "peer" => %flow.peer, "reason" => %error);
                            0
                        });
                        let _ = answer.send(reqid);
                    }
                    Some(Asked::Remove(answer)) => {
                        if let Err(error) = self.remove().await {
                            slog::warn!(log, "policies stay"; "reason" => %error,
                                "remedy" => "setkey -DP shows them, spddelete removes them");
                        }
                        let _ = answer.send(());
                    }
                },
                heard = self.kernel.listen() => heard?,
            }
        }
    }

    /// Whether somebody else's request is about a policy we rely on.
    fn touches(&self, change: &Message) -> bool {
        if change.kind == MessageType::X_SPDFLUSH {
            return !self.policies.is_empty();
        }
        self.policies.iter().any(|(wanted, id)| {
            let number = change.policy().map_or(0, |policy| policy.id);
            let selectors = (change.source(), change.destination());
            number == *id || selectors == (Some(&wanted.source), Some(&wanted.destination))
        })
    }

    async fn restore(&mut self, log: &Logger) -> Outcome {
        let before: Vec<u32> = self.policies.iter().map(|(_, id)| *id).collect();
        match self.require(&self.listen.clone()).await {
            Ok(()) => {
                if !self.policies.iter().all(|(_, id)| before.contains(id)) {
                    slog::warn!(
                        log,
                        "somebody removed the policies that keep L2TP in clear text \
                        out; they are set again"
                    );
                }
                Ok(())
            }
            Err(error @ ProtectionError::Open(..)) => {
                // The operator's doing, while we listen.
                slog::error!(log, "L2TP is not protected any more"; "reason" => %error,
                    "remedy" => "load ipsec(4) again, or stop l2tpd: clear text gets in");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Brings the SPD to what a listener on these addresses needs.
    async fn require(&mut self, listen: &[SocketAddr]) -> Outcome {
        let spd = self.kernel.policies().await?;
        let mut at_work = Vec::new();
        for wanted in policies::required(listen) {
            let mut standing = policies::standing(&wanted, &spd);
            if standing == Standing::Missing {
                standing = match self.kernel.add(&wanted).await {
                    Ok(id) => Standing::Ours(id),
                    // Added by somebody else since.
                    Err(ProtectionError::Refused { errno: EEXIST, .. }) => {
                        policies::standing(&wanted, &self.kernel.policies().await?)
                    }
                    Err(error) => return Err(error),
                };
            }
            match standing {
                Standing::Ours(id) | Standing::Theirs(id) => at_work.push((wanted, id)),
                Standing::Missing => return Err(ProtectionError::NoAnswer("SPDADD")),
                Standing::Open => {
                    let (from, to) = (wanted.source.address, wanted.destination.address);
                    return Err(ProtectionError::Open(from, to));
                }
            }
        }
        self.listen = listen.to_vec();
        let wanted: Vec<SpRequest> = at_work.iter().map(|(wanted, _)| wanted.clone()).collect();
        self.policies = at_work;
        // Those of an earlier process, or of addresses that are not listened on any more.
        self.delete(&policies::left_over(&wanted, &spd)).await
    }

    async fn remove(&mut self) -> Outcome {
        self.policies.clear();
        let spd = self.kernel.policies().await?;
        self.delete(&policies::left_over(&[], &spd)).await
    }

    async fn delete(&mut self, ids: &[u32]) -> Outcome {
        for id in ids {
            match self.kernel.delete(*id).await {
                // Somebody else was faster.
                Ok(()) | Err(ProtectionError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn reqid(&mut self, flow: &FlowId) -> Result<u32, ProtectionError> {
        let spd = self.kernel.policies().await?;
        if let Some(reqid) = policies::reqid_by_policy(flow, &spd) {
            return Ok(reqid);
        }
        let sad = self.kernel.esp_sas().await?;
        Ok(policies::reqid_by_sas(flow, &sad).unwrap_or_default())
    }
}

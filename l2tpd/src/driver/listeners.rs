//! The listeners: one task for each address in each kernel, which binds again for as long as it
//! takes.

use std::io;
use std::net::SocketAddr;

use l2tp_proto::{FlowId, KernelId};
use slog::Logger;
use tanuki_daemon::exit::Failure;
use tanuki_daemon::retry::Pauses;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::kernel::{KernelKind, Listener, Reqids};

/// Datagrams on their way to the server; more are dropped as a full socket buffer would.
const QUEUE: usize = 1024;

type Datagram = (FlowId, Vec<u8>);

/// All of them.
#[derive(Debug)]
pub(super) struct Listeners {
    kernels: Vec<(KernelId, KernelKind)>,
    reqids: Option<Reqids>,
    log: Logger,
    tasks: Vec<Task>,
    received: (mpsc::Sender<Datagram>, mpsc::Receiver<Datagram>),
}

#[derive(Debug)]
struct Task {
    kernel: KernelId,
    local: SocketAddr,
    datagrams: mpsc::Sender<Datagram>,
    task: JoinHandle<()>,
}

impl Listeners {
    /// `reqids` is for kernels whose datagrams do not say whose they are.
    pub(super) fn new(
        kernels: Vec<(KernelId, KernelKind)>,
        reqids: Option<Reqids>,
        log: Logger,
    ) -> Self {
        Self {
            kernels,
            reqids,
            log,
            tasks: Vec::new(),
            received: mpsc::channel(QUEUE),
        }
    }

    /// Listens on `addresses` from now on, and on no others.
    ///
    /// # Errors
    /// The operating system will not have it, now or later. A soft kernel may come later.
    pub(super) async fn open(&mut self, addresses: &[SocketAddr]) -> Result<(), Failure> {
        // First all sockets: the old ones must not be missed if the new ones fail.
        let mut opened = Vec::new();
        for (kernel, kind) in &self.kernels {
            for local in addresses {
                let bound = match Listener::bind(*kernel, kind, *local).await {
                    Ok(listener) => Some(listener),
                    Err(error) => match error.is_final() {
                        true => return Err(error.failure()),
                        false => None,
                    },
                };
                opened.push((*kernel, kind.clone(), *local, bound));
            }
        }
        self.tasks.clear();
        for (kernel, kind, local, bound) in opened {
            let (datagrams, to_send) = mpsc::channel(QUEUE);
            let binder = Binder {
                kernel,
                kind,
                local,
                received: self.received.0.clone(),
                reqids: self.reqids.clone(),
                log: self.log.clone(),
            };
            self.tasks.push(Task {
                kernel,
                local,
                datagrams,
                task: tokio::spawn(binder.run(bound, to_send)),
            });
        }
        Ok(())
    }

    /// The next datagram. Cancel safe.
    pub(super) async fn next(&mut self) -> Datagram {
        match self.received.1.recv().await {
            Some(datagram) => datagram,
            None => std::future::pending().await,
        }
    }

    /// Sends a datagram from the listener whose address the flow has.
    pub(super) fn send(&self, flow: FlowId, bytes: Vec<u8>) {
        let listener = self.tasks.iter().find(|listener| {
            let bound = listener.local;
            listener.kernel == flow.kernel
                && bound.port() == flow.local.port()
                && bound.is_ipv4() == flow.local.is_ipv4()
                && (bound.ip().is_unspecified() || bound.ip() == flow.local.ip())
        });
        if let Some(listener) = listener {
            // Sent once and unreliably anyway.
            let _ = listener.datagrams.try_send((flow, bytes));
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds one address, and carries datagrams both ways.
struct Binder {
    kernel: KernelId,
    kind: KernelKind,
    local: SocketAddr,
    received: mpsc::Sender<Datagram>,
    reqids: Option<Reqids>,
    log: Logger,
}

impl Binder {
    async fn run(self, mut bound: Option<Listener>, mut to_send: mpsc::Receiver<Datagram>) {
        let mut complained = false;
        let mut pauses = Pauses::default();
        loop {
            let listener = match bound.take() {
                Some(listener) => Ok(listener),
                None => Listener::bind(self.kernel, &self.kind, self.local).await,
            };
            match listener {
                Ok(listener) => {
                    slog::debug!(self.log, "listening";
                        "address" => %self.local, "kernel" => %self.kernel);
                    complained = false;
                    pauses.reset();
                    if let Err(error) = self.pass(&listener, &mut to_send).await {
                        slog::debug!(self.log, "listener"; "address" => %self.local,
                            "kernel" => %self.kernel, "reason" => %error);
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        self.complain(&error);
                    }
                }
            }
            tokio::time::sleep(pauses.pause()).await;
        }
    }

    fn complain(&self, error: &crate::kernel::ListenerError) {
        let (address, kernel) = (self.local, self.kernel);
        // That the soft kernel is not there is the driver's to tell.
        match self.kind {
            KernelKind::Soft { .. } => slog::debug!(self.log, "cannot listen yet";
                "address" => %address, "kernel" => %kernel, "reason" => %error),
            KernelKind::System => slog::warn!(self.log, "cannot listen yet";
                "address" => %address, "kernel" => %kernel, "reason" => %error,
                "remedy" => "end what has the port (sockstat -l), or name this host's addresses \
                in `listen`"),
        }
    }

    async fn pass(
        &self,
        listener: &Listener,
        to_send: &mut mpsc::Receiver<Datagram>,
    ) -> io::Result<()> {
        loop {
            tokio::select! {
                datagram = listener.receive() => {
                    let (mut flow, bytes) = datagram?;
                    if flow.reqid == 0 && begins_a_tunnel(&bytes)
                        && let Some(reqids) = &self.reqids
                    {
                        flow.reqid = reqids.of(flow).await;
                    }
                    // A full queue drops the datagram, which the peer sends again.
                    let _ = self.received.try_send((flow, bytes));
                }
                Some((flow, bytes)) = to_send.recv() => listener.send(flow, &bytes).await?,
            }
        }
    }
}

/// A control message (RFC 2661 section 3.1) to tunnel 0: what it costs to ask for a reqid is spent
/// on nothing else.
fn begins_a_tunnel(bytes: &[u8]) -> bool {
    matches!(bytes, [flags, _, _, _, 0, 0, ..] if flags & 0x80 != 0)
}

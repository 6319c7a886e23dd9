//! The PF_KEY socket: opened, kept open, opened again. Moves whole messages and knows nothing of
//! what is in them.

use std::io;
use std::path::PathBuf;

use ike_proto::carrier::Carrier;
use pfkey::socket::AsyncSocket;
use pfkey::{Request, Socket};
use tanuki_daemon::retry::Pauses;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Messages waiting for the kernel: as many as it takes when all clients there may be leave at once.
const QUEUE: usize = 131_072;

/// Where a kernel's PF_KEY is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelSocket {
    /// The operating system's PF_KEY.
    System,
    /// softkernel's `pfkey.sock`.
    Soft(PathBuf),
}

impl KernelSocket {
    /// Opens it.
    ///
    /// # Errors
    /// Not there, or not allowed.
    pub fn open(&self) -> io::Result<Socket> {
        match self {
            Self::System => Socket::open_system(),
            Self::Soft(path) => Socket::connect_soft(path),
        }
    }

    /// Whose numbers it speaks.
    pub fn numbering(&self) -> pfkey::Numbering {
        match self {
            Self::System => pfkey::Numbering::system(),
            Self::Soft(_) => pfkey::Numbering::FreeBsd,
        }
    }
}

/// What the socket has to say.
#[derive(Debug)]
pub enum LinkEvent {
    /// It is open; nothing asked before is answered.
    Up,
    /// One message.
    Message(Vec<u8>),
    /// Messages were lost: the receive buffer was full.
    Overrun,
    /// It is gone and will be opened again. Told once per outage.
    Down(String),
}

/// The sending end.
#[derive(Debug)]
pub struct Link {
    outgoing: mpsc::Sender<Request>,
    task: JoinHandle<()>,
}

impl Link {
    /// Opens the socket, from now on until dropped; what happens goes to `events`.
    pub fn start(
        carrier: Carrier,
        socket: KernelSocket,
        events: mpsc::Sender<(Carrier, LinkEvent)>,
    ) -> Self {
        let (outgoing, waiting) = mpsc::channel(QUEUE);
        let events = Events { carrier, events };
        let task = tokio::spawn(keep_open(socket, waiting, events));
        Self { outgoing, task }
    }

    /// Queues a message. False when the kernel takes none at the moment.
    #[must_use]
    pub fn send(&self, request: Request) -> bool {
        self.outgoing.try_send(request).is_ok()
    }

    /// Whether everything queued is written.
    pub fn is_idle(&self) -> bool {
        self.outgoing.capacity() == self.outgoing.max_capacity()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where events go, and whose they are.
struct Events {
    carrier: Carrier,
    events: mpsc::Sender<(Carrier, LinkEvent)>,
}

impl Events {
    /// False when nobody listens any more.
    async fn send(&self, event: LinkEvent) -> bool {
        self.events.send((self.carrier, event)).await.is_ok()
    }
}

async fn keep_open(socket: KernelSocket, mut outgoing: mpsc::Receiver<Request>, events: Events) {
    let mut told = false;
    let mut pauses = Pauses::default();
    loop {
        let problem = match socket.open().and_then(AsyncSocket::new) {
            Ok(open) => {
                // Nothing of the time before can be answered any more.
                while outgoing.try_recv().is_ok() {}
                told = false;
                pauses.reset();
                if !events.send(LinkEvent::Up).await {
                    return;
                }
                let Err(error) = carry(&open, &mut outgoing, &events).await else {
                    return;
                };
                error
            }
            Err(error) => error,
        };
        if !std::mem::replace(&mut told, true)
            && !events.send(LinkEvent::Down(problem.to_string())).await
        {
            return;
        }
        tokio::time::sleep(pauses.pause()).await;
    }
}

/// Moves messages both ways; `Ok` when the daemon ends.
async fn carry(
    socket: &AsyncSocket,
    outgoing: &mut mpsc::Receiver<Request>,
    events: &Events,
) -> io::Result<()> {
    let mut buffer = Socket::receive_buffer();
    loop {
        let event = tokio::select! {
            received = socket.receive(&mut buffer) => match received {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => LinkEvent::Message(buffer.get(..length).unwrap_or_default().to_vec()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => LinkEvent::Overrun,
                Err(error) => return Err(error),
            },
            next = outgoing.recv() => {
                let Some(request) = next else { return Ok(()) };
                socket.send(&request.bytes).await?;
                continue;
            }
        };
        if !events.send(event).await {
            return Ok(());
        }
    }
}

//! The listening side: one request a connection, its answer, and then events if it asked for them.
//! Who may speak is decided by owner, group and mode of the socket file, as in racoon.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tanuki_daemon::control::remove_dead_socket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use zeroize::Zeroizing;

use super::wire::{self, AsyncEvent, Command, HEADER, Header, Indexes, Login, Protocol};
use crate::config::AdminSocket;

/// Connections served at once; further ones wait.
const MAX_CONNECTIONS: usize = 32;
/// Requests under way before others have to wait.
const QUEUE: usize = 16;
/// Events that a listener may be behind before it is let go.
const EVENTS: usize = 256;
/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked, checked.
#[derive(Debug)]
pub enum Request {
    /// Read the configuration again.
    Reload,
    /// Timers.
    ShowSchedule,
    /// Events.
    ShowEvent,
    /// SAs.
    ShowSa(Protocol),
    /// Delete all SAs of a protocol.
    FlushSa(Protocol),
    /// Delete the phase 1 between two addresses.
    DeleteSa(Indexes),
    /// Start; for phase 1 perhaps by the name of a `remote`.
    Establish(Protocol, Indexes, Option<String>),
    /// Start as this user.
    EstablishAs(Protocol, Indexes, Login),
    /// Delete everything of a peer.
    DeleteAllTo(Indexes),
    /// Delete everything of an XAuth user.
    LogoutUser(String),
    /// The peer's certificate.
    GetCert(Indexes),
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub reply: Reply,
}

/// The way back. Dropped without an answer, the client gets `EAGAIN`.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Answer>);

/// Where events go; dropped, the stream ends.
pub type EventSender = mpsc::Sender<AsyncEvent>;

#[derive(Debug)]
struct Answer {
    errno: i32,
    body: Zeroizing<Vec<u8>>,
    events: Option<mpsc::Receiver<AsyncEvent>>,
}

impl Reply {
    /// It is done.
    pub fn done(self) {
        self.body(Zeroizing::default());
    }

    /// The answer's octets.
    pub fn body(self, body: Zeroizing<Vec<u8>>) {
        self.send(0, body, None);
    }

    /// It is refused.
    pub fn refuse(self, errno: i32) {
        self.send(errno, Zeroizing::default(), None);
    }

    /// It is done, and events follow.
    pub fn subscribe(self) -> EventSender {
        let (sender, events) = mpsc::channel(EVENTS);
        self.send(0, Zeroizing::default(), Some(events));
        sender
    }

    fn send(
        self,
        errno: i32,
        body: Zeroizing<Vec<u8>>,
        events: Option<mpsc::Receiver<AsyncEvent>>,
    ) {
        // The client may have gone; then nobody wants the answer.
        let _ = self.0.send(Answer {
            errno,
            body,
            events,
        });
    }
}

/// Sockets that speak the protocol. Their files go away with it.
#[derive(Debug)]
pub struct Server {
    sender: mpsc::Sender<Call>,
    calls: mpsc::Receiver<Call>,
    listening: Vec<(PathBuf, tokio::task::JoinHandle<()>)>,
}

impl Server {
    /// Listens nowhere yet.
    pub fn new() -> Self {
        let (sender, calls) = mpsc::channel(QUEUE);
        Self {
            sender,
            calls,
            listening: Vec::new(),
        }
    }

    /// Listens at `socket`, too. A dead daemon's socket is replaced, a living one's is not.
    ///
    /// # Errors
    /// `AddrInUse` when somebody answers there; else whatever the system says.
    pub fn listen(&mut self, socket: &AdminSocket) -> io::Result<()> {
        let path = &socket.path;
        remove_dead_socket(path)?;
        let listener = UnixListener::bind(path)?;
        let restricted = chown(path, socket.owner, socket.group)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(socket.mode)));
        if let Err(error) = restricted {
            // Gone already is as good as removed.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        let task = tokio::spawn(accept(listener, self.sender.clone()));
        self.listening.push((path.clone(), task));
        Ok(())
    }

    /// Listens at `path` no more.
    pub fn leave(&mut self, path: &Path) {
        self.listening.retain(|(own, task)| {
            let keep = own != path;
            if !keep {
                close(own, task);
            }
            keep
        });
    }

    /// The next request. Cancel safe.
    pub async fn next(&mut self) -> Call {
        match self.calls.recv().await {
            Some(call) => call,
            // `sender` lives as long as this value.
            None => std::future::pending().await,
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for (path, task) in &self.listening {
            close(path, task);
        }
    }
}

fn close(path: &Path, task: &tokio::task::JoinHandle<()>) {
    task.abort();
    // Gone already is as good as removed.
    let _ = fs::remove_file(path);
}

async fn accept(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: let others go before trying again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let calls = calls.clone();
        tokio::spawn(async move {
            let _slot = slot;
            // A client that breaks off is its own affair.
            let _ = serve(stream, calls).await;
        });
    }
}

async fn serve(mut stream: UnixStream, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let arriving = tokio::time::timeout(PATIENCE, receive(&mut stream));
    let (header, body) = arriving.await??;
    let request = match parse(&header, &body) {
        Ok(request) => request,
        Err(errno) => return write(&mut stream, &header, errno, &[]).await,
    };
    let (sender, answer) = oneshot::channel();
    let reply = Reply(sender);
    if calls.send(Call { request, reply }).await.is_err() {
        return Ok(());
    }
    let Ok(answer) = answer.await else {
        return write(&mut stream, &header, libc::EAGAIN, &[]).await;
    };
    write(&mut stream, &header, answer.errno, &answer.body).await?;
    let Some(mut events) = answer.events.filter(|_| header.value >= 1) else {
        return Ok(());
    };
    let header = Header {
        command: Command::ShowEvent.number(),
        protocol: 0,
        ..header
    };
    let mut rest = [0; 16];
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { return Ok(()) };
                let mut body = Vec::with_capacity(wire::EVENT);
                event.emit(&mut body);
                write(&mut stream, &header, 0, &body).await?;
            }
            // Nothing more is asked on this connection: it can only end.
            _ = stream.read(&mut rest) => return Ok(()),
        }
    }
}

async fn receive(stream: &mut UnixStream) -> io::Result<(Header, Zeroizing<Vec<u8>>)> {
    let mut head = [0; HEADER];
    stream.read_exact(&mut head).await?;
    let header = Header::parse_request(head);
    // At most 64 KiB by its type.
    let mut body = Zeroizing::new(vec![0; header.length.saturating_sub(HEADER)]);
    stream.read_exact(&mut body).await?;
    Ok((header, body))
}

async fn write(
    stream: &mut UnixStream,
    header: &Header,
    errno: i32,
    body: &[u8],
) -> io::Result<()> {
    let errno = u16::try_from(errno).unwrap_or(u16::MAX);
    stream.write_all(&wire::answer(header, errno, body)).await
}

/// What a message asks, or the errno to answer with.
fn parse(header: &Header, body: &[u8]) -> Result<Request, i32> {
    let command = Command::from_number(header.command).ok_or(libc::ENOTSUP)?;
    let protocol = || Protocol::from_number(header.protocol).ok_or(libc::ENOTSUP);
    let indexes = || Indexes::parse(body).ok_or(libc::EINVAL);
    Ok(match command {
        Command::Reload => Request::Reload,
        Command::ShowSchedule => Request::ShowSchedule,
        Command::ShowEvent => Request::ShowEvent,
        Command::ShowSa => Request::ShowSa(protocol()?),
        Command::FlushSa => Request::FlushSa(protocol()?),
        Command::DeleteSa => Request::DeleteSa(indexes()?.0),
        Command::Establish => {
            let (indexes, rest) = indexes()?;
            let name = match rest {
                [] => None,
                name => Some(wire::text(name).ok_or(libc::EINVAL)?),
            };
            Request::Establish(protocol()?, indexes, name)
        }
        Command::EstablishPsk => {
            let (indexes, rest) = indexes()?;
            let login = Login::parse(rest).ok_or(libc::EINVAL)?;
            Request::EstablishAs(protocol()?, indexes, login)
        }
        Command::DeleteAllTo => Request::DeleteAllTo(indexes()?.0),
        Command::LogoutUser => match body.len() {
            0..=wire::MAX_LOGIN => Request::LogoutUser(wire::text(body).ok_or(libc::EINVAL)?),
            _ => return Err(libc::EINVAL),
        },
        Command::GetCert => match protocol()? {
            Protocol::Isakmp => Request::GetCert(indexes()?.0),
            _ => return Err(libc::ENOTSUP),
        },
    })
}

//! [`Netgraph`]: a netgraph socket node of either kernel, for one task.

mod register;
mod soft;
mod system;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

pub use crate::client::Event;
use crate::client::{Client, Token};
use crate::command::{Command, Reply};
use crate::error::{CallError, Errno};
use crate::frame::{self, Frame, MAX_PACKET, Packet};
use crate::message::NgMessage;

/// The kernel is on the same machine and answers at once; longer means that it hangs.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket node, in FreeBSD's kernel or in the user-space one.
///
/// Dropping it removes the node and breaks its hooks.
pub struct Netgraph {
    transport: Transport,
    client: Client,
    buffer: Vec<u8>,
    /// Frames for the user-space kernel that go together: before anything is waited for.
    outgoing: Packet,
    /// Commands sent by [`Netgraph::post`] and not yet settled, oldest first.
    posted: Vec<Posted>,
    watcher: Option<Watcher>,
}

/// A command that was sent, to be exchanged for its answer.
#[derive(Debug)]
pub struct Asked<C> {
    token: Token,
    path: String,
    command: PhantomData<C>,
}

/// A command whose outcome nobody has asked for yet.
#[derive(Debug)]
struct Posted {
    token: Token,
    command: &'static str,
    path: String,
}

impl fmt::Debug for Netgraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netgraph")
            .field("transport", &self.transport)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// One thing that passes between a socket node and the kernel, as bytes; see
/// [`Netgraph::watch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing<'a> {
    /// A control message to the node at `path`.
    Request {
        /// Where to.
        path: &'a str,
        /// The message.
        message: &'a [u8],
    },
    /// The kernel took that message, or refused it.
    Status(Result<(), Errno>),
    /// A control message came from the node at `path`: a reply, or something it says by itself.
    Message {
        /// Where from.
        path: &'a str,
        /// The message.
        message: &'a [u8],
    },
    /// Data went out of our `hook`.
    DataOut {
        /// The hook.
        hook: &'a str,
        /// The data.
        payload: &'a [u8],
    },
    /// Data came in from our `hook`.
    DataIn {
        /// The hook.
        hook: &'a str,
        /// The data.
        payload: &'a [u8],
    },
}

/// Sees what passes.
type Watcher = Box<dyn FnMut(Passing<'_>) + Send>;

#[derive(Debug)]
enum Transport {
    Soft(soft::SoftSocket),
    System(system::SystemSocket),
}

impl Netgraph {
    /// Connects to the user-space kernel's `netgraph.sock`.
    ///
    /// # Errors
    /// Nobody listens there, or no permission. Must be called inside a tokio runtime.
    pub fn connect_soft(path: &Path) -> io::Result<Self> {
        Ok(Self::new(Transport::Soft(soft::SoftSocket::connect(path)?)))
    }

    /// Makes a socket node in FreeBSD's kernel.
    ///
    /// # Errors
    /// `Unsupported` on other systems; otherwise no permission, or no netgraph in the kernel.
    pub fn open_system() -> io::Result<Self> {
        Ok(Self::new(Transport::System(system::SystemSocket::open()?)))
    }

    fn new(transport: Transport) -> Self {
        Self {
            transport,
            client: Client::new(),
            buffer: vec![0; MAX_PACKET],
            outgoing: Packet::default(),
            posted: Vec::new(),
            watcher: None,
        }
    }

    /// Shows everything that passes from now on to `watcher`: for recordings, and for logs of the
    /// lowest level.
    pub fn watch(&mut self, watcher: impl FnMut(Passing<'_>) + Send + 'static) {
        self.watcher = Some(Box::new(watcher));
    }

    /// Whether this is the user-space kernel, which knows
    /// [`soft_iface`](crate::node::soft_iface).
    pub fn is_soft(&self) -> bool {
        matches!(self.transport, Transport::Soft(_))
    }

    /// Sends a command to the node at `path` (`.:` is our own) and waits for what becomes of it.
    /// Events that arrive meanwhile are kept for [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// Refused by the kernel, an unusable reply, or a broken socket.
    pub async fn call<C: Command>(
        &mut self,
        path: &str,
        command: &C,
    ) -> Result<C::Reply, CallError> {
        let asked = self.ask(path, command).await?;
        self.answer(asked).await
    }

    /// Sends a command whose answer [`answer`](Self::answer) waits for: so several can be under way.
    ///
    /// # Errors
    /// A broken socket.
    pub async fn ask<C: Command>(
        &mut self,
        path: &str,
        command: &C,
    ) -> Result<Asked<C>, CallError> {
        let (token, message) = self.client.request(command);
        self.request(path, token, &message).await?;
        Ok(Asked {
            token,
            path: path.to_owned(),
            command: PhantomData,
        })
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// Refused by the kernel, an unusable reply, or a broken socket.
    pub async fn answer<C: Command>(&mut self, asked: Asked<C>) -> Result<C::Reply, CallError> {
        let Asked { token, path, .. } = asked;
        let refused = |errno| CallError::Refused {
            command: C::NAME,
            path,
            errno,
        };
        let data = match tokio::time::timeout(REPLY_TIMEOUT, self.completion(token)).await {
            Ok(Ok(result)) => result.map_err(refused)?,
            Ok(Err(error)) => {
                self.client.abandon(token);
                return Err(error.into());
            }
            Err(_) => {
                self.client.abandon(token);
                return Err(refused(Errno::ETIMEDOUT));
            }
        };
        C::Reply::decode(&data).map_err(|source| CallError::Reply {
            command: C::NAME,
            source,
        })
    }

    /// Sends a command without waiting for what becomes of it: [`settle`](Self::settle) tells. The
    /// kernel carries commands out in order, so those that build on each other can go together.
    ///
    /// # Errors
    /// A broken socket; and a refusal, where it is known at once, as from FreeBSD's kernel.
    pub async fn post<C: Command<Reply = ()>>(
        &mut self,
        path: &str,
        command: &C,
    ) -> Result<(), CallError> {
        let (token, message) = self.client.request(command);
        self.request(path, token, &message).await?;
        let (command, path) = (C::NAME, path.to_owned());
        match self.client.take_completion(token) {
            None => self.posted.push(Posted {
                token,
                command,
                path,
            }),
            Some(Ok(_)) => {}
            Some(Err(errno)) => {
                return Err(CallError::Refused {
                    command,
                    path,
                    errno,
                });
            }
        }
        Ok(())
    }

    /// Waits for everything that was posted.
    ///
    /// # Errors
    /// The first refusal, or a broken socket.
    pub async fn settle(&mut self) -> Result<(), CallError> {
        let mut first = Ok(());
        for Posted {
            token,
            command,
            path,
        } in std::mem::take(&mut self.posted)
        {
            let outcome = tokio::time::timeout(REPLY_TIMEOUT, self.completion(token)).await;
            let errno = match outcome {
                Ok(Ok(Ok(_))) => continue,
                Ok(Ok(Err(errno))) => errno,
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    self.client.abandon(token);
                    Errno::ETIMEDOUT
                }
            };
            if first.is_ok() {
                first = Err(CallError::Refused {
                    command,
                    path,
                    errno,
                });
            }
        }
        first
    }

    /// Sends data out of a hook of our node; to the user-space kernel when something is waited for
    /// next, here or in [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// A broken socket. The user-space kernel does not report whether a node took the data.
    pub async fn send_data(&mut self, hook: &str, payload: &[u8]) -> io::Result<()> {
        show(&mut self.watcher, Passing::DataOut { hook, payload });
        match &self.transport {
            Transport::Soft(_) => self.queue(Frame::Data { hook, payload }).await,
            Transport::System(socket) => socket.send_data(hook, payload).await,
        }
    }

    /// Waits for data, or for a message that is no reply. May be cancelled without loss.
    ///
    /// # Errors
    /// The socket is broken; the node is gone.
    pub async fn next_event(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.client.poll_event() {
                return Ok(event);
            }
            self.receive().await?;
        }
    }

    /// An event that has been received already.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.client.poll_event()
    }

    /// Sends a request.
    async fn request(&mut self, path: &str, token: Token, message: &NgMessage) -> io::Result<()> {
        let bytes = message.emit();
        show(
            &mut self.watcher,
            Passing::Request {
                path,
                message: &bytes,
            },
        );
        match &self.transport {
            Transport::Soft(_) => {
                let message = &bytes;
                self.queue(Frame::Control { path, message }).await?;
            }
            Transport::System(socket) => {
                let result = socket.send_control(path, &bytes).await?;
                show(&mut self.watcher, Passing::Status(result));
                self.client.handle_status(token, result);
            }
        }
        Ok(())
    }

    /// Waits for what becomes of a request.
    async fn completion(&mut self, token: Token) -> io::Result<Result<Vec<u8>, Errno>> {
        loop {
            if let Some(result) = self.client.take_completion(token) {
                return Ok(result);
            }
            self.receive().await?;
        }
    }

    /// Adds a frame to those that go together.
    async fn queue(&mut self, frame: Frame<'_>) -> io::Result<()> {
        let frame = frame.emit();
        if !self.outgoing.has_room(frame.len()) {
            self.flush().await?;
        }
        self.outgoing.push(&frame);
        Ok(())
    }

    /// Sends what is queued, when nothing is waited for any more.
    ///
    /// # Errors
    /// A broken socket.
    pub async fn flush(&mut self) -> io::Result<()> {
        if let (Transport::Soft(socket), false) =
            (&self.transport, self.outgoing.bytes().is_empty())
        {
            let sent = socket.send(self.outgoing.bytes()).await;
            self.outgoing.clear();
            sent?;
        }
        Ok(())
    }

    /// Takes one packet from the socket, after all that is queued was sent. What does not parse is
    /// skipped: the kernel's side is trusted, and a newer one may say things this side does not know.
    async fn receive(&mut self) -> io::Result<()> {
        self.flush().await?;
        let Self {
            transport,
            client,
            buffer,
            watcher,
            ..
        } = self;
        match transport {
            Transport::Soft(socket) => {
                let length = socket.receive(buffer).await?;
                for frame in frame::frames(buffer.get(..length).unwrap_or_default()) {
                    take(client, watcher, frame);
                }
            }
            Transport::System(socket) => {
                let system::Received {
                    control,
                    name,
                    length,
                } = socket.receive(buffer).await?;
                let bytes = buffer.get(..length).unwrap_or_default();
                let frame = match control {
                    true => Frame::Control {
                        path: &name,
                        message: bytes,
                    },
                    false => Frame::Data {
                        hook: &name,
                        payload: bytes,
                    },
                };
                take(client, watcher, frame);
            }
        }
        Ok(())
    }
}

fn show(watcher: &mut Option<Watcher>, passing: Passing<'_>) {
    if let Some(watcher) = watcher {
        watcher(passing);
    }
}

/// One thing the kernel said.
fn take(client: &mut Client, watcher: &mut Option<Watcher>, frame: Frame<'_>) {
    match frame {
        Frame::Data { hook, payload } => {
            show(watcher, Passing::DataIn { hook, payload });
            client.handle_data(hook, payload);
        }
        Frame::Control { path, message } => {
            show(watcher, Passing::Message { path, message });
            if let Ok(message) = NgMessage::parse(message) {
                client.handle_message(path, message);
            }
        }
        Frame::Status { token, result } => {
            show(watcher, Passing::Status(result));
            client.handle_status(Token(token), result);
        }
    }
}

//! One request to PF_KEY after the other, each with its answer; what others do meanwhile is kept.

use std::io;
use std::time::Duration;

use pfkey::socket::AsyncSocket;
use pfkey::{Client, Event, Message, MessageType, Reply, Request, SaType, Socket, SpRequest};

use super::protection::{PfkeySocket, ProtectionError};

/// For an answer of the kernel, which gives it before `write(2)` returns.
const ANSWER: Duration = Duration::from_secs(2);
/// Requests of others that are kept; with more, all counts as changed.
const MAX_FOREIGN: usize = 256;

/// A PF_KEY socket and its bookkeeping.
#[derive(Debug)]
pub(super) struct Conversation {
    socket: AsyncSocket,
    client: Client,
    buffer: Vec<u8>,
    foreign: Vec<Message>,
    /// Messages were lost: anything may have changed.
    lost: bool,
}

impl Conversation {
    pub(super) fn open(socket: &PfkeySocket) -> io::Result<Self> {
        let socket = AsyncSocket::new(socket.open()?)?;
        Ok(Self {
            client: Client::new(socket.numbering(), std::process::id()),
            socket,
            buffer: Socket::receive_buffer(),
            foreign: Vec::new(),
            lost: false,
        })
    }

    /// Waits for somebody to do something. Cancel safe.
    pub(super) async fn listen(&mut self) -> io::Result<()> {
        self.receive().await.map(|_| ())
    }

    /// Policy requests of others since the last call, and whether some may be missing.
    pub(super) fn others(&mut self) -> (Vec<Message>, bool) {
        let lost = std::mem::take(&mut self.lost);
        (std::mem::take(&mut self.foreign), lost)
    }

    pub(super) async fn policies(&mut self) -> Result<Vec<Message>, ProtectionError> {
        let request = self.client.spd_dump();
        self.dump("SPDDUMP", request).await
    }

    pub(super) async fn esp_sas(&mut self) -> Result<Vec<Message>, ProtectionError> {
        let request = self.client.dump(SaType::ESP);
        self.dump("DUMP", request).await
    }

    /// Adds a policy; its number.
    pub(super) async fn add(&mut self, policy: &SpRequest) -> Result<u32, ProtectionError> {
        let request = self.client.spd_add(policy);
        match self.ask("SPDADD", request).await? {
            Reply::Done(message) => Ok(message.policy().map_or(0, |policy| policy.id)),
            _ => Ok(0),
        }
    }

    pub(super) async fn delete(&mut self, id: u32) -> Result<(), ProtectionError> {
        let request = self.client.spd_delete_id(id);
        self.ask("SPDDELETE2", request).await.map(|_| ())
    }

    async fn dump(
        &mut self,
        what: &'static str,
        request: Option<Request>,
    ) -> Result<Vec<Message>, ProtectionError> {
        let request = request.ok_or(ProtectionError::NoAnswer(what))?;
        match self.ask(what, request).await? {
            Reply::Dump(entries) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }

    async fn ask(
        &mut self,
        what: &'static str,
        request: Request,
    ) -> Result<Reply, ProtectionError> {
        self.socket.send(&request.bytes).await?;
        let answered = async {
            loop {
                if let Some((sequence, result)) = self.receive().await?
                    && sequence == request.sequence
                {
                    return Ok(result);
                }
            }
        };
        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Ok(Ok(reply))) => Ok(reply),
            Ok(Ok(Err(errno))) => Err(ProtectionError::Refused {
                request: what,
                errno,
            }),
            Ok(Err(error)) => Err(ProtectionError::Socket(error)),
            Err(_) => {
                self.client.reset();
                Err(ProtectionError::NoAnswer(what))
            }
        }
    }

    /// One message; the answer to a request, if it is one. Cancel safe.
    async fn receive(&mut self) -> io::Result<Option<(u32, Result<Reply, u8>)>> {
        let length = match self.socket.receive(&mut self.buffer).await {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.lost = true;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let message = self.buffer.get(..length).unwrap_or_default();
        match self.client.handle(message) {
            Ok(Some(Event::Reply { sequence, result })) => Ok(Some((sequence, result))),
            Ok(Some(Event::Foreign(message))) if changes_policies(&message) => {
                if self.foreign.len() < MAX_FOREIGN {
                    self.foreign.push(message);
                } else {
                    self.lost = true;
                }
                Ok(None)
            }
            // SAs are the IKE daemon's, and what is no PF_KEY is nobody's.
            _ => Ok(None),
        }
    }
}

fn changes_policies(message: &Message) -> bool {
    message.errno == 0
        && matches!(
            message.kind,
            MessageType::X_SPDUPDATE
                | MessageType::X_SPDDELETE
                | MessageType::X_SPDDELETE2
                | MessageType::X_SPDFLUSH
                | MessageType::X_SPDEXPIRE
        )
}

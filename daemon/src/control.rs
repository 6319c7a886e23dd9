//! The control socket of a daemon: a Unix stream socket, one JSON object a line.
//!
//! A client sends a request; the daemon answers with any number of `{"item": …}` lines (streams)
//! and one closing line, `{"ok": …}` or `{"error": "…"}`. Then the next request may follow.
//! Who may speak is decided by the mode of the socket file.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

/// The longest request line, in bytes.
const MAX_REQUEST: u64 = 64 * 1024;
/// Connections served at once; further ones wait.
const MAX_CONNECTIONS: usize = 32;
/// Requests and answers under way before the other side has to wait.
const QUEUE: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Item(Value),
    Ok(Value),
    Error(String),
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct ControlCall {
    /// What the client asked.
    pub request: Value,
    /// Where the answer goes.
    pub reply: Reply,
}

impl ControlCall {
    /// The request as the daemon's own type; a request that does not fit is answered and gone.
    pub fn parse<T: DeserializeOwned>(self) -> Option<(T, Reply)> {
        match serde_json::from_value(self.request) {
            Ok(request) => Some((request, self.reply)),
            Err(error) => {
                self.reply.error(format!("request not understood: {error}"));
                None
            }
        }
    }
}

/// The way back to one client. Dropped without an answer, the client is told so.
#[derive(Debug)]
pub struct Reply {
    lines: Option<mpsc::Sender<Line>>,
}

impl Reply {
    /// Ends the call with a value.
    pub fn ok<T: Serialize>(self, value: &T) {
        match serde_json::to_value(value) {
            Ok(value) => self.end(Line::Ok(value)),
            Err(error) => self.error(error),
        }
    }

    /// Ends the call with words for the operator.
    pub fn error(self, message: impl std::fmt::Display) {
        self.end(Line::Error(message.to_string()));
    }

    /// Sends one item of a stream; false when the client has gone or reads too slowly, then drop
    /// the reply.
    #[must_use]
    pub fn item<T: Serialize>(&self, value: &T) -> bool {
        match (&self.lines, serde_json::to_value(value)) {
            (Some(lines), Ok(value)) => lines.try_send(Line::Item(value)).is_ok(),
            _ => false,
        }
    }

    fn end(mut self, line: Line) {
        if let Some(lines) = self.lines.take() {
            // The client may have gone; then nobody wants the answer.
            let _ = lines.try_send(line);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(lines) = self.lines.take() {
            let _ = lines.try_send(Line::Error("the daemon gave no answer".into()));
        }
    }
}

/// The listening side. The socket file goes away with it.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    calls: mpsc::Receiver<ControlCall>,
    accepting: tokio::task::JoinHandle<()>,
}

impl ControlServer {
    /// Listens at `path` with file mode `mode`. A dead daemon's socket is replaced, a living one's
    /// is not.
    ///
    /// # Errors
    /// `AddrInUse` when somebody answers there; else whatever the system says.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        remove_dead_socket(path)?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let (sender, calls) = mpsc::channel(QUEUE);
        let accepting = tokio::spawn(accept(listener, sender));
        Ok(Self {
            path: path.to_owned(),
            calls,
            accepting,
        })
    }

    /// The next request. Cancel safe.
    pub async fn next(&mut self) -> ControlCall {
        match self.calls.recv().await {
            Some(call) => call,
            // The accepting task ends with this value only.
            None => std::future::pending().await,
        }
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.accepting.abort();
        // Gone already is as good as removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a socket file at which nobody listens any more.
///
/// # Errors
/// `AddrInUse` when somebody does, `AlreadyExists` when it is no socket.
pub fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is not a socket", path.display()),
        ));
    }
    // A connection of the wrong type is refused with EPROTOTYPE, but only by a living socket.
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} is in use by a running daemon", path.display()),
        )),
    }
}

async fn accept(listener: UnixListener, calls: mpsc::Sender<ControlCall>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: let others go before trying again.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
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

async fn serve(stream: UnixStream, calls: mpsc::Sender<ControlCall>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    while let Some(text) = read_line(&mut read, MAX_REQUEST).await? {
        let (sender, mut lines) = mpsc::channel(QUEUE);
        let reply = Reply {
            lines: Some(sender),
        };
        match serde_json::from_str(&text) {
            Ok(request) => {
                if calls.send(ControlCall { request, reply }).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => reply.error(format!("not JSON: {error}")),
        }
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line @ Line::Item(_)) => write_line(&mut write, &line).await?,
                    Some(line) => { write_line(&mut write, &line).await?; break }
                    None => break,
                },
                // Anything said before the answer, or hanging up, ends a stream.
                more = read.fill_buf() => { if more?.is_empty() { return Ok(()) } else { break } }
            }
        }
    }
    Ok(())
}

async fn read_line<R: AsyncBufReadExt + Unpin>(
    read: &mut R,
    limit: u64,
) -> io::Result<Option<String>> {
    let mut text = String::new();
    let length = read.take(limit).read_line(&mut text).await?;
    match (length, text.ends_with('\n')) {
        (0, _) => Ok(None),
        (_, true) => Ok(Some(text)),
        (_, false) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "line broken off or too long",
        )),
    }
}

async fn write_line(write: &mut OwnedWriteHalf, line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    write.write_all(&bytes).await
}

/// Why a call did not bring what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket is not there or nobody listens.
    #[error("cannot reach the daemon at {path}: {source}; is it running?", path = path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon refused, in its words.
    #[error("{0}")]
    Refused(String),
    /// The connection broke or the answer was not understood.
    #[error("talking to the daemon: {0}")]
    Broken(#[from] io::Error),
}

/// The asking side.
#[derive(Debug)]
pub struct ControlClient {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl ControlClient {
    /// Connects to the daemon at `path`.
    ///
    /// # Errors
    /// [`ControlError::Unreachable`].
    pub async fn connect(path: &Path) -> Result<Self, ControlError> {
        let stream =
            UnixStream::connect(path)
                .await
                .map_err(|source| ControlError::Unreachable {
                    path: path.to_owned(),
                    source,
                })?;
        let (read, write) = stream.into_split();
        Ok(Self {
            read: BufReader::new(read),
            write,
        })
    }

    /// Asks and waits for the answer; items of a stream go to `item` as they come.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with the daemon's words, or a broken connection.
    pub async fn call<Q: Serialize, A: DeserializeOwned>(
        &mut self,
        request: &Q,
        mut item: impl FnMut(Value),
    ) -> Result<A, ControlError> {
        let mut bytes = serde_json::to_vec(request).map_err(io::Error::from)?;
        bytes.push(b'\n');
        self.write.write_all(&bytes).await?;
        loop {
            let Some(text) = read_line(&mut self.read, u64::MAX).await? else {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            };
            match serde_json::from_str(&text).map_err(io::Error::from)? {
                Line::Item(value) => item(value),
                Line::Ok(value) => {
                    return serde_json::from_value(value).map_err(|e| io::Error::from(e).into());
                }
                Line::Error(message) => return Err(ControlError::Refused(message)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "command", rename_all = "lowercase")]
    enum Request {
        Add { numbers: Vec<u32> },
        Count { to: u32 },
        Silence,
    }

    async fn daemon(mut server: ControlServer) {
        loop {
            let Some((request, reply)) = server.next().await.parse() else {
                continue;
            };
            match request {
                Request::Add { numbers } => reply.ok(&numbers.iter().sum::<u32>()),
                Request::Count { to } => {
                    assert!((0..to).all(|n| reply.item(&n)));
                    reply.error("counted enough");
                }
                Request::Silence => {}
            }
        }
    }

    #[tokio::test]
    async fn answers_streams_refusals_and_nonsense() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sock");
        let server = ControlServer::bind(&path, 0o600).unwrap();
        assert_eq!(
            ControlServer::bind(&path, 0o600).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        let daemon = tokio::spawn(daemon(server));
        let mut client = ControlClient::connect(&path).await.unwrap();
        let sum: u32 = client
            .call(
                &Request::Add {
                    numbers: vec![1, 2],
                },
                |_| {},
            )
            .await
            .unwrap();
        assert_eq!(sum, 3);
        let mut seen = Vec::new();
        let end = client
            .call::<_, ()>(&Request::Count { to: 3 }, |n| seen.push(n))
            .await;
        assert!(matches!(end, Err(ControlError::Refused(words)) if words == "counted enough"));
        assert_eq!(seen, [0, 1, 2].map(Value::from));
        let end = client
            .call::<_, ()>(&Request::Silence, |_| {})
            .await
            .unwrap_err();
        assert_eq!(end.to_string(), "the daemon gave no answer");
        let end = client.call::<_, ()>(&"what", |_| {}).await.unwrap_err();
        assert!(
            end.to_string().starts_with("request not understood"),
            "{end}"
        );
        daemon.abort();
        assert!(daemon.await.is_err());
        assert!(!path.exists());
        assert!(matches!(
            ControlClient::connect(&path).await,
            Err(ControlError::Unreachable { .. })
        ));
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(ControlServer::bind(&path, 0o600).unwrap());
        fs::write(&path, "precious").unwrap();
        assert_eq!(
            ControlServer::bind(&path, 0o600).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }
}

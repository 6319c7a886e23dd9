//! Netgraph sockets whose traffic is written down.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netgraph::{CallError, Command, Netgraph, Passing, WireError};
use tokio::time::{Instant, timeout_at};

use super::SETTLE;
use crate::Line;

/// A request that no crate has a type for: any cookie, number and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd<const COOKIE: u32, const COMMAND: u32>(pub Vec<u8>);

impl<const COOKIE: u32, const COMMAND: u32> Command for Odd<COOKIE, COMMAND> {
    const COOKIE: u32 = COOKIE;
    const COMMAND: u32 = COMMAND;
    const NAME: &'static str = "odd";
    type Reply = ();

    fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn decode(data: &[u8]) -> Result<Self, WireError> {
        Ok(Self(data.to_vec()))
    }
}

/// Some netgraph sockets of this process.
#[derive(Debug, Default)]
pub struct Recorder {
    lines: Arc<Mutex<Vec<Line>>>,
    sockets: BTreeMap<&'static str, Netgraph>,
}

impl Recorder {
    /// What was written down.
    #[must_use]
    pub fn finish(self) -> Vec<Line> {
        drop(self.sockets);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *lines)
    }

    fn write(&self, line: Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line);
    }

    /// A heading.
    pub fn heading(&self, text: &str) {
        self.write(Line::Heading(text.to_owned()));
    }

    /// Opens a socket.
    ///
    /// # Errors
    /// No netgraph, or not root.
    pub fn open(&mut self, name: &'static str) -> io::Result<()> {
        let mut socket = Netgraph::open_system()?;
        let lines = Arc::clone(&self.lines);
        socket.watch(move |passing| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line(name, passing));
        });
        self.sockets.insert(name, socket);
        self.write(Line::Open(name.to_owned()));
        Ok(())
    }

    /// Closes a socket.
    ///
    /// # Errors
    /// Another socket is broken.
    pub async fn close(&mut self, name: &'static str) -> io::Result<()> {
        self.sockets.remove(name);
        self.write(Line::Close(name.to_owned()));
        self.listen(SETTLE).await
    }

    /// Sends a request, and lets the kernel say what it has to. `None` if it refused.
    ///
    /// # Errors
    /// The socket is not open or broken.
    pub async fn call<C: Command>(
        &mut self,
        name: &'static str,
        path: &str,
        command: C,
    ) -> io::Result<Option<C::Reply>> {
        let socket = self.sockets.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        let answer = match socket.call(path, &command).await {
            Ok(reply) => Some(reply),
            Err(CallError::Refused { .. } | CallError::Reply { .. }) => None,
            Err(error) => return Err(io::Error::other(error)),
        };
        self.listen(SETTLE).await?;
        Ok(answer)
    }

    /// Sends data out of a hook.
    ///
    /// # Errors
    /// The socket is not open; that the hook's other end refuses the data is written down.
    pub async fn data(&mut self, name: &'static str, hook: &str, payload: &[u8]) -> io::Result<()> {
        let socket = self.sockets.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        if let Err(error) = socket.send_data(hook, payload).await {
            let errno = error.raw_os_error().ok_or(error)?;
            self.write(Line::Status {
                socket: name.to_owned(),
                errno,
            });
        }
        self.listen(SETTLE).await
    }

    /// Waits, and writes down what comes meanwhile.
    ///
    /// # Errors
    /// A broken socket.
    pub async fn wait(&mut self, time: Duration) -> io::Result<()> {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.write(Line::Wait(milliseconds));
        self.listen(time).await
    }

    async fn listen(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        loop {
            for socket in self.sockets.values_mut() {
                let now = Instant::now() + Duration::from_millis(10);
                while let Ok(event) = timeout_at(now, socket.next_event()).await {
                    event?;
                }
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }
}

fn line(socket: &str, passing: Passing<'_>) -> Line {
    let socket = socket.to_owned();
    match passing {
        Passing::Request { path, message } => Line::Request {
            socket,
            path: Some(path.to_owned()),
            bytes: message.to_vec(),
        },
        Passing::Status(status) => Line::Status {
            socket,
            errno: status.map_or_else(|errno| errno.0, |()| 0),
        },
        Passing::Message { path, message } => Line::Reply {
            socket,
            path: Some(path.to_owned()),
            bytes: message.to_vec(),
        },
        Passing::DataOut { hook, payload } => Line::DataOut {
            socket,
            hook: hook.to_owned(),
            bytes: payload.to_vec(),
        },
        Passing::DataIn { hook, payload } => Line::DataIn {
            socket,
            hook: hook.to_owned(),
            bytes: payload.to_vec(),
        },
    }
}

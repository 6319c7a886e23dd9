//! Sockets and time of the console and the web page. Every client has a task of its own; what it
//! asks goes to the event loop of the daemon and comes back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use slog::Logger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::commands::{Context, Order, Outcome, execute};
use super::session::{Event, FAREWELL, Session};
use super::settings::{Console, Role};
use super::view::View;
use super::web::{self, Asked};

/// Clients of each of the two at a time.
const CLIENTS: usize = 32;
/// A console session in which nothing is typed ends after this long.
const IDLE: Duration = Duration::from_secs(900);
/// For a client to take what is written, and for a request of the web page to come in.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client asks the daemon.
#[derive(Debug)]
pub struct Call {
    what: What,
    context: Context,
    reply: oneshot::Sender<(Outcome, Context)>,
}

#[derive(Debug)]
enum What {
    Line { role: Role, line: String },
    Json,
}

impl Call {
    /// Answers; what is to be done beside that.
    #[must_use]
    pub fn answer(self, view: &View<'_>) -> Option<Order> {
        let mut context = self.context;
        let outcome = match self.what {
            What::Line { role, line } => execute(view, &mut context, role, &line),
            What::Json => Outcome {
                text: web::json(view),
                ..Outcome::default()
            },
        };
        let order = outcome.order.clone();
        // The client may be gone.
        let _ = self.reply.send((outcome, context));
        order
    }
}

/// Both listeners.
#[derive(Debug)]
pub struct Consoles {
    settings: watch::Sender<Arc<Console>>,
    sender: mpsc::Sender<Call>,
    calls: mpsc::Receiver<Call>,
    open: [Option<Open>; 2],
    log: Logger,
}

#[derive(Debug)]
struct Open {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Console,
    Web,
}

impl Consoles {
    /// Nothing is open yet.
    #[must_use]
    pub fn new(log: Logger) -> Self {
        let (sender, calls) = mpsc::channel(CLIENTS);
        Self {
            settings: watch::Sender::new(Arc::default()),
            sender,
            calls,
            open: [None, None],
            log,
        }
    }

    /// Opens and closes what `console` says. What cannot be opened is told to the log; the daemon
    /// has other things to do than to wait for it.
    pub async fn configure(&mut self, console: &Console) {
        self.settings.send_replace(Arc::new(console.clone()));
        let wanted = [(Kind::Console, console.listen), (Kind::Web, console.web)];
        for (place, (kind, address)) in self.open.iter_mut().zip(wanted) {
            if place.as_ref().map(|open| open.address) == address {
                continue;
            }
            *place = None;
            let Some(address) = address else {
                continue;
            };
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let port = Port {
                        kind,
                        settings: self.settings.subscribe(),
                        calls: self.sender.clone(),
                        log: self.log.clone(),
                    };
                    let task = tokio::spawn(port.serve(listener));
                    *place = Some(Open { address, task });
                }
                Err(error) => slog::error!(self.log, "the console cannot be opened";
                    "address" => %address, "reason" => %error,
                    "remedy" => "end what has the port, or choose another; then reload"),
            }
        }
    }

    /// The next call. Cancel safe.
    pub async fn next(&mut self) -> Call {
        match self.calls.recv().await {
            Some(call) => call,
            // We have a sender ourselves.
            None => std::future::pending().await,
        }
    }
}

/// One listener.
#[derive(Debug, Clone)]
struct Port {
    kind: Kind,
    settings: watch::Receiver<Arc<Console>>,
    calls: mpsc::Sender<Call>,
    log: Logger,
}

impl Port {
    async fn serve(self, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of descriptors: others have to end first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Who finds no slot is not kept waiting.
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                continue;
            };
            let port = self.clone();
            tokio::spawn(async move {
                // How a client goes is nobody's business.
                let _ = match port.kind {
                    Kind::Console => port.console(stream, peer).await,
                    Kind::Web => port.page(stream).await,
                };
                drop(slot);
            });
        }
    }

    fn console_settings(&self) -> Arc<Console> {
        Arc::clone(&self.settings.borrow())
    }

    async fn ask(&self, what: What, context: Context) -> io::Result<(Outcome, Context)> {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            what,
            context,
            reply,
        };
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.calls.send(call).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    async fn console(&self, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let (mut session, greeting) = Session::new(&self.console_settings());
        write(&mut stream, &greeting).await?;
        let mut buffer = [0; 512];
        loop {
            let Ok(count) = timeout(IDLE, stream.read(&mut buffer)).await else {
                return write(&mut stream, FAREWELL.as_bytes()).await;
            };
            let count = count?;
            if count == 0 {
                return Ok(());
            }
            let mut out = Vec::new();
            for octet in buffer.iter().take(count) {
                let settings = self.console_settings();
                match session.octet(&settings, *octet, &mut out) {
                    None => {}
                    Some(Event::LoginFailed) => {
                        slog::warn!(self.log, "console: login refused"; "peer" => %peer);
                    }
                    Some(Event::Close) => {
                        out.extend_from_slice(FAREWELL.as_bytes());
                        return write(&mut stream, &out).await;
                    }
                    Some(Event::Line { role, name, line }) => {
                        slog::info!(self.log, "console"; "peer" => %peer, "user" => name,
                            "command" => loggable(&line));
                        let context = session.context.clone();
                        let (outcome, context) =
                            self.ask(What::Line { role, line }, context).await?;
                        session.context = context;
                        out.extend_from_slice(outcome.text.as_bytes());
                        if matches!(outcome.order, Some(Order::Exit | Order::Shutdown)) {
                            out.extend_from_slice(FAREWELL.as_bytes());
                            return write(&mut stream, &out).await;
                        }
                        out.extend_from_slice(session.prompt().as_bytes());
                        write(&mut stream, &std::mem::take(&mut out)).await?;
                    }
                }
            }
            write(&mut stream, &out).await?;
        }
    }

    async fn page(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        let answer = loop {
            let mut buffer = [0; 1024];
            let count = timeout(PATIENCE, stream.read(&mut buffer)).await??;
            if count == 0 {
                return Ok(());
            }
            head.extend(buffer.iter().take(count));
            match web::read(&self.console_settings(), &head) {
                Asked::Incomplete => {}
                Asked::Refused(status, words) => {
                    break web::answer(status, "text/plain", &format!("{words}\n"));
                }
                Asked::Json => {
                    let (outcome, _) = self.ask(What::Json, Context::default()).await?;
                    break web::answer("200 OK", "text/plain", &(outcome.text + "\n"));
                }
                Asked::Commands { role, lines } => {
                    let mut context = Context::default();
                    let mut text = String::new();
                    for line in lines {
                        slog::info!(self.log, "web"; "command" => loggable(&line));
                        let (outcome, next) = self.ask(What::Line { role, line }, context).await?;
                        context = next;
                        if outcome.code == 0 {
                            text += &outcome.text;
                        }
                        text += &format!("RESULT: {} {}\n", outcome.code, outcome.error);
                    }
                    break web::answer("200 OK", "text/plain", &text);
                }
            }
        };
        write(&mut stream, &answer).await
    }
}

/// What a line does, without what it may say of passwords.
fn loggable(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    words.join(" ")
}

async fn write(stream: &mut TcpStream, octets: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, stream.write_all(octets)).await?
}

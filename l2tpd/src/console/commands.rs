//! One command of the console: what is written, what is selected afterwards, what is to be done.
//!
//! | file | what |
//! |---|---|
//! | `selection.rs` | the commands that select a link or bundle |
//! | `show.rs` | which listing, of what |
//! | `help.rs` | what may be written |

mod help;
mod selection;
mod show;

pub(super) use self::help::help;
use super::Role;
use super::tree::{COMMANDS, NotFound, find};
use super::view::View;
use super::words::words;
use crate::control::protocol::Request;

/// What a console session has selected: the names of a link and of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// A link: a session's, a template, or a connection.
    pub link: Option<String>,
    /// A bundle: a session's or a template.
    pub bundle: Option<String>,
}

impl Context {
    /// The prompt.
    #[must_use]
    pub fn prompt(&self) -> String {
        let name = self.link.as_ref().or(self.bundle.as_ref());
        format!("[{}] ", name.map_or("", String::as_str))
    }
}

/// What is to be done besides writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Leave the console.
    Exit,
    /// End the daemon.
    Shutdown,
    /// Ask the server.
    Request(Request),
}

/// What a command comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// To be written; lines end with CR and LF.
    pub text: String,
    /// 0, or mpd5's number of the error.
    pub code: i32,
    /// What is wrong, in words, when the code says that words say it.
    pub error: String,
    /// At most one.
    pub order: Option<Order>,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// Arguments are missing or too many.
    Usage,
    /// More words are needed.
    Unfinished,
    NotFound(NotFound),
    /// Nothing is selected.
    Context,
    /// In words.
    Words(String),
}

impl Failure {
    /// mpd5's `CMD_ERR_*`.
    const fn code(&self) -> i32 {
        match self {
            Self::Usage => -1,
            Self::NotFound(NotFound::Unknown) => -2,
            Self::NotFound(NotFound::Ambiguous) => -3,
            Self::Unfinished => -5,
            Self::Context => -6,
            Self::Words(_) => -7,
        }
    }
}

/// What a handler writes into and changes.
struct Run<'a> {
    view: &'a View<'a>,
    context: &'a mut Context,
    role: Role,
    text: String,
    order: Option<Order>,
}

/// Carries out one line as mpd5's console does.
pub fn execute(view: &View<'_>, context: &mut Context, role: Role, line: &str) -> Outcome {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    selection::forget_what_is_gone(view, context);
    let mut run = Run {
        view,
        context,
        role,
        text: String::new(),
        order: None,
    };
    let failure = run.command(&words).err();
    let Run { text, order, .. } = run;
    let mut outcome = Outcome {
        text,
        order,
        ..Outcome::default()
    };
    if let Some(failure) = failure {
        outcome.code = failure.code();
        let line = words.join(" ");
        let complaint = match failure {
            Failure::Usage | Failure::Unfinished => help(role, &words),
            Failure::NotFound(NotFound::Unknown) => {
                format!("Unknown command: '{line}'. Try \"help\".\r\n")
            }
            Failure::NotFound(NotFound::Ambiguous) => {
                format!("Ambiguous command: '{line}'. Try \"help\".\r\n")
            }
            Failure::Context => format!("Incorrect context for: '{line}'\r\n"),
            Failure::Words(reason) => {
                let text = format!("Error in '{line}': {reason}\r\n");
                outcome.error = reason;
                text
            }
        };
        outcome.text.push_str(&complaint);
    }
    outcome
}

/// What only the file changes.
const IN_FILE: &str =
    "settings are changed in the configuration file, and read again by HUP or l2tpctl reload";
const LAYERS: &[(&str, &str)] = &[
    ("iface", "System interface"),
    ("ipcp", "IPCP: IP control protocol"),
    ("ipv6cp", "IPV6CP: IPv6 control protocol"),
    ("ccp", "CCP: compression ctrl prot."),
    ("ecp", "ECP: encryption ctrl prot."),
    ("bund", "Multilink bundle"),
    ("link", "Link layer"),
    ("device", "Physical link layer"),
];

impl Run<'_> {
    fn command(&mut self, words: &[&str]) -> Result<(), Failure> {
        let (word, arguments) = words.split_first().ok_or(Failure::Unfinished)?;
        let command = find(COMMANDS, word, self.role).map_err(Failure::NotFound)?;
        match command.name() {
            "show" => self.show(arguments),
            "link" => self.link(arguments),
            "bundle" => self.bundle(arguments),
            "iface" => self.iface(arguments),
            "session" => self.session(arguments),
            "msession" => self.msession(arguments),
            "authname" => self.authname(arguments),
            "open" => self.open(arguments),
            "close" => self.close(arguments),
            "exit" => {
                self.order = Some(Order::Exit);
                Ok(())
            }
            "quit" | "shutdown" => {
                self.order = Some(Order::Shutdown);
                Ok(())
            }
            "help" => {
                self.text.push_str(&help(self.role, arguments));
                Ok(())
            }
            "repeater" => Err(Failure::Words(
                "calls are not handed on, so there are no repeaters".to_owned(),
            )),
            _ => Err(Failure::Words(IN_FILE.to_owned())),
        }
    }

    /// The layer that is named, or `link`.
    fn layer(&self, arguments: &[&str]) -> Result<&'static str, Failure> {
        at_most(arguments, 1)?;
        let word = arguments.first().copied().unwrap_or("link");
        let mut meant = LAYERS.iter().filter(|(name, _)| {
            name.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        });
        let layer = match (meant.next(), meant.next()) {
            (Some((layer, _)), None) => *layer,
            _ => return Err(Failure::Usage),
        };
        let selected = match layer {
            "link" | "device" => self.context.link.is_some(),
            _ => self.context.bundle.is_some(),
        };
        match layer {
            _ if !selected => Err(Failure::Context),
            "ipv6cp" | "ccp" | "ecp" => Err(Failure::Words(format!(
                "{layer} is not opened and closed by itself; close the link"
            ))),
            layer => Ok(layer),
        }
    }

    fn open(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        self.layer(arguments)?;
        if self.view.selected(self.context).is_some() {
            // It is open.
            return Ok(());
        }
        match &self.context.link {
            Some(name) if self.view.config.connections.contains_key(name) => {
                let name = name.clone();
                self.order = Some(Order::Request(Request::Connect { name }));
                Ok(())
            }
            _ => Err(Failure::Words("impossible to open template".to_owned())),
        }
    }

    fn close(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        self.layer(arguments)?;
        let request = match (self.view.selected(self.context), &self.context.link) {
            (Some(session), _) if session.incoming => Request::DisconnectSession {
                tunnel: session.key.tunnel.value(),
                session: session.key.session.value(),
            },
            (Some(session), _) => Request::Disconnect {
                name: session.link.clone(),
            },
            (None, Some(name)) if self.view.config.connections.contains_key(name) => {
                Request::Disconnect { name: name.clone() }
            }
            _ => return Err(Failure::Words("impossible to close template".to_owned())),
        };
        self.order = Some(Order::Request(request));
        Ok(())
    }
}

fn at_most(arguments: &[&str], most: usize) -> Result<(), Failure> {
    if arguments.len() > most {
        return Err(Failure::Usage);
    }
    Ok(())
}

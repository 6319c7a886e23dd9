//! One command of the console: what is written, what is selected afterwards, what is to be done.

use std::fmt::Write as _;

use super::Role;
use super::show;
use super::tree::{COMMANDS, Command, Kind, Needs, NotFound, find};
use super::view::{SessionView, View};
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
    forget_what_is_gone(view, context);
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

/// A session that ended is no longer selected.
fn forget_what_is_gone(view: &View<'_>, context: &mut Context) {
    if context
        .link
        .as_deref()
        .is_some_and(|name| !view.has_link(name))
    {
        context.link = None;
    }
    if context
        .bundle
        .as_deref()
        .is_some_and(|name| !view.has_bundle(name))
    {
        context.bundle = None;
    }
}

impl View<'_> {
    fn has_link(&self, name: &str) -> bool {
        self.sessions.iter().any(|session| session.link == name)
            || self.config.links.iter().any(|link| link.name == name)
            || self.config.connections.contains_key(name)
    }

    fn has_bundle(&self, name: &str) -> bool {
        self.sessions.iter().any(|session| session.bundle == name)
            || self.config.bundles.contains_key(name)
    }

    /// The session that a context has selected.
    pub(super) fn selected(&self, context: &Context) -> Option<&SessionView> {
        let by_link = context
            .link
            .as_ref()
            .and_then(|name| self.sessions.iter().find(|session| session.link == *name));
        by_link.or_else(|| {
            let name = context.bundle.as_ref()?;
            self.sessions.iter().find(|session| session.bundle == *name)
        })
    }
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

    /// Selects what one of the listings has, or lists them all.
    fn choose(
        &mut self,
        arguments: &[&str],
        title: &str,
        all: impl Fn(&View<'_>) -> Vec<String>,
        find: impl Fn(&View<'_>, &str) -> Option<Context>,
        missing: impl Fn(&str) -> String,
    ) -> Result<(), Failure> {
        match arguments {
            [] => {
                let _ = write!(self.text, "{title}:\r\n");
                for line in all(self.view) {
                    let _ = write!(self.text, "\t{line}\r\n");
                }
                Ok(())
            }
            [name, ..] => match find(self.view, name) {
                Some(context) => {
                    *self.context = context;
                    Ok(())
                }
                None => {
                    *self.context = Context::default();
                    Err(Failure::Words(missing(name)))
                }
            },
        }
    }

    fn link(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        at_most(arguments, 1)?;
        let all = |view: &View<'_>| {
            let templates = view.config.links.iter().map(|link| link.name.clone());
            let idle = view.idle_connections.iter().cloned();
            let sessions = view.sessions.iter().map(|session| {
                if session.bundle.is_empty() {
                    session.link.clone()
                } else {
                    format!("{:<15}{}", session.link, session.bundle)
                }
            });
            templates.chain(idle).chain(sessions).collect()
        };
        let find = |view: &View<'_>, name: &str| {
            let session = view.sessions.iter().find(|session| session.link == name);
            session.map(of_session).or_else(|| {
                view.has_link(name).then(|| Context {
                    link: Some(name.to_owned()),
                    bundle: None,
                })
            })
        };
        self.choose(arguments, "Defined links", all, find, |name| {
            format!("Link \"{name}\" is not defined")
        })
    }

    fn bundle(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        at_most(arguments, 1)?;
        let all = |view: &View<'_>| {
            let templates = view.config.bundles.keys().map(|name| format!("{name:<15}"));
            let sessions = view.sessions.iter().filter(|s| !s.bundle.is_empty());
            templates
                .chain(sessions.map(|s| format!("{:<15}{} ", s.bundle, s.link)))
                .collect()
        };
        let find = |view: &View<'_>, name: &str| {
            let session = view.sessions.iter().find(|session| session.bundle == name);
            session.map(of_session).or_else(|| {
                view.has_bundle(name).then(|| Context {
                    link: None,
                    bundle: Some(name.to_owned()),
                })
            })
        };
        self.choose(arguments, "Defined bundles", all, find, |name| {
            format!("Bundle \"{name}\" not defined.")
        })
    }

    fn iface(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        at_most(arguments, 1)?;
        let all = |view: &View<'_>| {
            let with = view.sessions.iter().filter(|s| !s.interface.is_empty());
            with.map(|s| format!("{}\t{}", s.interface, s.bundle))
                .collect()
        };
        self.choose(
            arguments,
            "Present ifaces",
            all,
            by(|session| session.interface.clone()),
            |name| format!("iface \"{name}\" is not found"),
        )
    }

    fn session(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        at_most(arguments, 1)?;
        let all = |view: &View<'_>| {
            let known = view.sessions.iter().filter(|s| !s.user.is_empty());
            known.map(SessionView::session_id).collect()
        };
        self.choose(
            arguments,
            "Present sessions",
            all,
            by(SessionView::session_id),
            |name| format!("Session \"{name}\" is not found"),
        )
    }

    fn msession(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        at_most(arguments, 1)?;
        let all = |view: &View<'_>| {
            let joined = view.sessions.iter().filter(|s| !s.bundle.is_empty());
            joined.map(SessionView::msession_id).collect()
        };
        self.choose(
            arguments,
            "Present msessions",
            all,
            by(SessionView::msession_id),
            |name| format!("msession \"{name}\" is not found"),
        )
    }

    fn authname(&mut self, arguments: &[&str]) -> Result<(), Failure> {
        at_most(arguments, 2)?;
        let ignore_case = arguments
            .get(1)
            .is_some_and(|word| word.eq_ignore_ascii_case("ci"));
        let all = |view: &View<'_>| {
            let known = view.sessions.iter().filter(|s| !s.user.is_empty());
            known.map(|s| s.user.clone()).collect()
        };
        let find = |view: &View<'_>, name: &str| {
            let mut sessions = view.sessions.iter();
            let found = sessions
                .find(|s| s.user == name || ignore_case && s.user.eq_ignore_ascii_case(name));
            found.map(of_session)
        };
        self.choose(arguments, "Present users", all, find, |name| {
            format!("User \"{name}\" is not found")
        })
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

    fn show(&mut self, words: &[&str]) -> Result<(), Failure> {
        let (word, arguments) = words.split_first().ok_or(Failure::Unfinished)?;
        let entries = menu_of("show");
        let command = find(entries, word, self.role).map_err(Failure::NotFound)?;
        match command.needs {
            Needs::Link if self.context.link.is_none() => return Err(Failure::Context),
            Needs::Bundle if self.context.bundle.is_none() => return Err(Failure::Context),
            _ => {}
        }
        let (view, context) = (self.view, &*self.context);
        let text = match command.name() {
            "sessions" => match filter(command, arguments, self.role)? {
                Some(filter) => show::sessions(view, filter),
                None => show::sessions(view, |_| true),
            },
            "bundle" => match arguments {
                [] => show::bundle(view, context),
                [name] if view.has_bundle(name) => {
                    let named = Context {
                        link: None,
                        bundle: Some((*name).to_owned()),
                    };
                    show::bundle(view, &named)
                }
                [name] => {
                    let words = format!("Bundle \"{name}\" not defined");
                    return Err(Failure::Words(words));
                }
                _ => return Err(Failure::Usage),
            },
            "summary" => show::summary(view),
            "l2tp" => show::l2tp(view),
            "ippool" => show::ippool(view),
            "iface" => show::iface(view, context),
            "ipcp" => show::ipcp(view, context),
            "ipv6cp" => show::ipv6cp(view, context),
            "link" => show::link(view, context),
            "lcp" => show::lcp(view, context),
            "auth" => show::auth(view, context),
            "device" => show::device(view, context),
            "customer" => show::customer(view, context),
            "console" => show::console(view),
            "web" => show::web(view),
            "user" => show::users(view),
            "global" => show::global(view),
            "version" => show::version(),
            "types" => "\tName\t\tDescription\r\n\t----\t\t-----------\r\n\
                        \tl2tp\t\tLayer Two Tunneling Protocol\r\n"
                .to_owned(),
            "layers" => {
                let mut text = "\tName\t\tDescription\r\n\t----\t\t-----------\r\n".to_owned();
                for (name, about) in LAYERS {
                    let _ = write!(text, "\t{name}\t\t{about}\r\n");
                }
                text
            }
            other => {
                return Err(Failure::Words(
                    match other {
                        "ccp" | "mppc" | "ecp" => "it is not negotiated: every session is in ESP",
                        "eap" => "EAP is not served",
                        "radius" | "radsrv" => "RADIUS is not served yet",
                        "nat" | "netflow" => "it is not part of sessions here",
                        "repeater" => "calls are not handed on, so there are no repeaters",
                        "routes" => "netstat -rn shows it",
                        _ => "it would tell of mpd5's own memory and events",
                    }
                    .to_owned(),
                ));
            }
        };
        self.text.push_str(&text);
        Ok(())
    }
}

fn of_session(session: &SessionView) -> Context {
    Context {
        link: Some(session.link.clone()),
        bundle: Some(session.bundle.clone()).filter(|name| !name.is_empty()),
    }
}

fn by(name_of: impl Fn(&SessionView) -> String) -> impl Fn(&View<'_>, &str) -> Option<Context> {
    move |view, name| {
        let mut sessions = view.sessions.iter();
        let found = sessions.find(|session| !name.is_empty() && name_of(session) == name);
        found.map(of_session)
    }
}

fn at_most(arguments: &[&str], most: usize) -> Result<(), Failure> {
    if arguments.len() > most {
        return Err(Failure::Usage);
    }
    Ok(())
}

fn menu_of(name: &str) -> &'static [Command] {
    COMMANDS
        .iter()
        .find_map(|command| match command.kind {
            Kind::Menu(entries) if command.name() == name => Some(entries),
            _ => None,
        })
        .unwrap_or_default()
}

/// `show sessions PARAMETER VALUE`.
fn filter<'w>(
    command: &'static Command,
    arguments: &[&'w str],
    role: Role,
) -> Result<Option<impl Fn(&SessionView) -> bool + 'w>, Failure> {
    let Kind::Either(entries) = command.kind else {
        return Ok(None);
    };
    let Some((word, values)) = arguments.split_first() else {
        return Ok(None);
    };
    let by = find(entries, word, role).map_err(Failure::NotFound)?.name();
    let value = match values {
        [value] => *value,
        // mpd5 shows all of them.
        [] => return Ok(None),
        _ => return Err(Failure::Usage),
    };
    let number = value
        .strip_prefix('[')
        .and_then(|rest| u32::from_str_radix(rest.trim_end_matches(']'), 16).ok());
    if by == "link" && value.starts_with('[') && number.is_none() {
        return Err(Failure::Usage);
    }
    Ok(Some(move |session: &SessionView| match by {
        "iface" => session.interface == value,
        "ip" => session.peer_address().to_string() == value,
        "user" => session.user == value,
        "session" => session.session_id() == value,
        "msession" => session.msession_id() == value,
        "bundle" => session.bundle == value,
        "link" => match number {
            Some(number) => session.number == number,
            None => session.link == value,
        },
        _ => session.peer.ip().to_string() == value,
    }))
}

/// What may be written, or how a command is used.
pub(super) fn help(role: Role, words: &[&str]) -> String {
    let mut menu = COMMANDS;
    let mut path = String::new();
    for (depth, word) in words.iter().enumerate() {
        let command = match find(menu, word, role) {
            Ok(command) => command,
            Err(why) => {
                let what = match why {
                    NotFound::Ambiguous => "Ambiguous",
                    NotFound::Unknown => "Unknown",
                };
                let line = words.get(..=depth).unwrap_or_default().join(" ");
                return format!("{what} command: '{line}'.\r\n");
            }
        };
        if depth > 0 {
            path.push(' ');
        }
        match command.kind {
            Kind::Leaf => return format!("Usage: {path}{}\r\n", command.usage),
            Kind::Menu(entries) | Kind::Either(entries) => {
                path.push_str(command.name());
                menu = entries;
            }
        }
    }
    let mut text = if path.is_empty() {
        "Available commands:\r\n".to_owned()
    } else {
        format!("Commands available under \"{path}\":\r\n")
    };
    let known = menu.iter().filter(|command| command.role <= role);
    let mut odd = false;
    for command in known {
        let end = if odd { "\r\n" } else { "\t" };
        let _ = write!(text, " {:<9}: {:<20}{end}", command.name(), command.about);
        odd = !odd;
    }
    if odd {
        text.push_str("\r\n");
    }
    text
}

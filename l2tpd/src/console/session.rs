//! One console session without its socket: telnet options, login, the line being typed, prompts.

use std::sync::Arc;

use super::commands::{Context, help};
use super::settings::{Console, Role};
use super::words::words;
use crate::secret::Secret;

/// Octets of a line, as in mpd5.
const MAX_LINE: usize = 398;
/// Wrong passwords before the session ends.
const MAX_FAILURES: u8 = 5;
/// WILL and DO suppress go-ahead, WILL and DO echo (RFC 858, RFC 857), as mpd5 sends them.
const OPTIONS: &[u8] = b"\xff\xfb\x03\xff\xfd\x03\xff\xfb\x01\xff\xfd\x01";
const BANNER: &str = "Multi-link PPP daemon for FreeBSD\r\n\r\n";
/// What mpd5 writes last.
pub(super) const FAREWELL: &str = "Console closed.\r\n";

/// Where the session is.
#[derive(Debug)]
enum State {
    UserName,
    Password { name: String },
    In { name: String, role: Role },
}

/// How much of a telnet command (RFC 854) was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telnet {
    Text,
    /// IAC.
    Command,
    /// WILL, WONT, DO, DONT: an option follows.
    Option,
    /// Between SB and SE.
    Subnegotiation,
    /// ESC, and perhaps what is behind it: cursor keys, which do nothing.
    Escape,
    Cursor,
}

/// What the session wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// This line carried out.
    Line {
        role: Role,
        name: String,
        line: String,
    },
    /// To be told to the log: somebody could not log in.
    LoginFailed,
    /// The end.
    Close,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Session {
    state: State,
    line: Vec<u8>,
    telnet: Telnet,
    /// A line feed behind a carriage return is no second line.
    returned: bool,
    failures: u8,
    pub(super) context: Context,
}

impl Session {
    /// A new session, and what it writes first.
    pub(super) fn new(console: &Console) -> (Self, Vec<u8>) {
        let state = if console.login {
            State::UserName
        } else {
            State::In {
                name: "root".to_owned(),
                role: Role::Admin,
            }
        };
        let session = Self {
            state,
            line: Vec::new(),
            telnet: Telnet::Text,
            returned: false,
            failures: 0,
            context: Context::default(),
        };
        let mut out = BANNER.as_bytes().to_vec();
        out.extend_from_slice(OPTIONS);
        out.extend_from_slice(session.prompt().as_bytes());
        (session, out)
    }

    pub(super) fn prompt(&self) -> String {
        match &self.state {
            State::UserName => "Username: ".to_owned(),
            State::Password { .. } => "Password: ".to_owned(),
            State::In { .. } => self.context.prompt(),
        }
    }

    /// Takes one octet; what is to be written is appended to `out`.
    pub(super) fn octet(
        &mut self,
        console: &Arc<Console>,
        octet: u8,
        out: &mut Vec<u8>,
    ) -> Option<Event> {
        let after_return = std::mem::replace(&mut self.returned, octet == b'\r');
        self.telnet = match (self.telnet, octet) {
            (Telnet::Text, 0xff) => Telnet::Command,
            (Telnet::Text, 0x1b) => Telnet::Escape,
            (Telnet::Text, _) => return self.text(console, octet, after_return, out),
            (Telnet::Command, 0xfb..=0xfe) => Telnet::Option,
            (Telnet::Command, 0xfa) => Telnet::Subnegotiation,
            (Telnet::Command | Telnet::Option | Telnet::Cursor, _) => Telnet::Text,
            // SE; IAC before it is nothing else.
            (Telnet::Subnegotiation, 0xf0) => Telnet::Text,
            (Telnet::Subnegotiation, _) => Telnet::Subnegotiation,
            (Telnet::Escape, b'[') => Telnet::Cursor,
            (Telnet::Escape, _) => Telnet::Text,
        };
        None
    }

    fn text(
        &mut self,
        console: &Arc<Console>,
        octet: u8,
        after_return: bool,
        out: &mut Vec<u8>,
    ) -> Option<Event> {
        let hidden = matches!(self.state, State::Password { .. });
        match octet {
            b'\n' | 0 if after_return => None,
            b'\r' | b'\n' => {
                out.extend_from_slice(b"\r\n");
                self.submit(console, out)
            }
            b'?' if matches!(self.state, State::In { .. }) => {
                self.help(out);
                None
            }
            // Backspace and delete.
            0x08 | 0x7f => {
                if self.line.pop().is_some() && !hidden {
                    out.extend_from_slice(b"\x08 \x08");
                }
                None
            }
            // Ctrl-C forgets the line, Ctrl-D leaves.
            0x03 => {
                self.line.clear();
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(self.prompt().as_bytes());
                None
            }
            0x04 if self.line.is_empty() => Some(Event::Close),
            0..=0x1f => None,
            _ if self.line.len() >= MAX_LINE => {
                out.push(0x07);
                None
            }
            octet => {
                self.line.push(octet);
                if !hidden {
                    out.push(octet);
                }
                None
            }
        }
    }

    fn submit(&mut self, console: &Arc<Console>, out: &mut Vec<u8>) -> Option<Event> {
        let octets = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&octets).into_owned();
        let event = match &self.state {
            State::UserName => {
                self.state = State::Password { name: line };
                None
            }
            State::Password { name } => {
                let given = Secret::new(octets);
                let user = console
                    .users
                    .iter()
                    .find(|user| user.name == *name)
                    // Compared in any case, so that names are not told by time.
                    .filter(|user| user.password == given);
                match user {
                    Some(user) => {
                        let welcome = format!(
                            "\r\nWelcome!\r\nMpd pid {}, version {}\r\n",
                            std::process::id(),
                            env!("CARGO_PKG_VERSION")
                        );
                        out.extend_from_slice(welcome.as_bytes());
                        self.state = State::In {
                            name: user.name.clone(),
                            role: user.role,
                        };
                        None
                    }
                    None => {
                        out.extend_from_slice(b"Login failed\r\n");
                        self.failures = self.failures.saturating_add(1);
                        self.state = State::UserName;
                        if self.failures >= MAX_FAILURES {
                            return Some(Event::Close);
                        }
                        Some(Event::LoginFailed)
                    }
                }
            }
            // The prompt comes behind the answer.
            State::In { name, role } => {
                return Some(Event::Line {
                    role: *role,
                    name: name.clone(),
                    line,
                });
            }
        };
        out.extend_from_slice(self.prompt().as_bytes());
        event
    }

    /// `?` tells what may follow, and leaves the line as it is.
    fn help(&mut self, out: &mut Vec<u8>) {
        let State::In { role, .. } = &self.state else {
            return;
        };
        let line = String::from_utf8_lossy(&self.line).into_owned();
        let words = words(&line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = format!("?\r\n{}{}{line}", help(*role, &words), self.prompt());
        out.extend_from_slice(text.as_bytes());
    }
}

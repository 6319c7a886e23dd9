//! mpd.secret: who may log in, with what, and to which address.
//!
//! ```text
//! alice   "wonder land"   10.77.0.9
//! bob     builder         10.77.0.16/28
//! carol   "!/usr/local/libexec/one-time"
//! *       "!/usr/local/libexec/lookup"
//! ```
//!
//! The first line that matches counts. `*` matches everybody, but only together with a program.
//! A program's first line of output is the password; it gets the login as its last argument and
//! is to be run without a shell, whatever mpd did.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::diag::{Diagnostics, Problem, Span};
use crate::lexer::{Word, rows};
use crate::model::{Program, Secret};
use crate::values;

/// Logins and passwords in mpd are at most this long, octets.
const MAX_FIELD: usize = 64;

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It stands in the file.
    Password(Secret),
    /// The first line of output of this program, called with these arguments and the login.
    Program(Program),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As the peer has to give it, or `*`.
    pub login: String,
    /// What proves it.
    pub source: Source,
    /// The peer's address, or where it has to come from.
    pub addresses: Option<Ipv4Net>,
    /// Where it stands.
    pub span: Span,
}

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretsFile {
    entries: Vec<Entry>,
    first: BTreeMap<String, usize>,
    anybody: Option<usize>,
}

impl SecretsFile {
    /// Reads the file; what is wrong goes to `diagnostics`, the lines around it are kept.
    #[must_use]
    pub fn parse(name: &str, bytes: &[u8], diagnostics: &mut Diagnostics) -> Self {
        let mut file = Self::default();
        for words in rows(&Arc::from(name), bytes, diagnostics) {
            match entry(&words) {
                Ok(entry) => file.add(entry, diagnostics),
                Err(problem) => diagnostics.problem(problem),
            }
        }
        file
    }

    fn add(&mut self, entry: Entry, diagnostics: &mut Diagnostics) {
        let hidden = match self.first.get(&entry.login) {
            Some(&at) => Some(at),
            None => self.anybody,
        };
        if let Some(earlier) = hidden.and_then(|at| self.entries.get(at)) {
            let text = format!("never reached: line {} matches first", earlier.span.line);
            diagnostics.notice(&entry.span, text);
        }
        let at = self.entries.len();
        if entry.login == "*" {
            self.anybody.get_or_insert(at);
        } else {
            self.first.entry(entry.login.clone()).or_insert(at);
        }
        self.entries.push(entry);
    }

    /// The line that counts for a login: the first that matches. An empty login matches none.
    #[must_use]
    pub fn find(&self, login: &str) -> Option<&Entry> {
        if login.is_empty() {
            return None;
        }
        // A peer that calls itself `*` is one of everybody.
        let named = self.first.get(login).copied();
        let at = match (named, self.anybody) {
            (Some(named), Some(anybody)) => named.min(anybody),
            (named, anybody) => named.or(anybody)?,
        };
        self.entries.get(at)
    }

    /// Every line in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

fn entry(words: &[Word]) -> Result<Entry, Problem> {
    let (login, password, rest) = match words {
        [login, password, rest @ ..] => (login, password, rest),
        [login] => {
            return Err(Problem::new(&login.span, "the password is missing")
                .remedy("write LOGIN PASSWORD [ADDRESS[/WIDTH]]"));
        }
        [] => return Err(values::missing()),
    };
    if let Some(extra) = rest.get(1) {
        return Err(Problem::new(&extra.span, "too many words in the line")
            .remedy("put a password with blanks in double quotes"));
    }
    if login.text.is_empty() {
        return Err(
            Problem::new(&login.span, "an empty login matches nobody").remedy("take the line out")
        );
    }
    values::text(login, MAX_FIELD, "login")?;
    let source = match password.text.strip_prefix('!') {
        Some(command) => Source::Program(values::program(command, password)?),
        None if login.text == "*" => {
            return Err(
                Problem::new(&login.span, "'*' matches together with a program only")
                    .remedy("write '* \"!/path/of/program\"' or name the user"),
            );
        }
        None => Source::Password(Secret::new(
            values::text(password, MAX_FIELD, "password")?.value,
        )),
    };
    let addresses = rest.first().map(values::network4).transpose()?;
    Ok(Entry {
        login: login.text.clone(),
        source,
        addresses,
        span: login.span.clone(),
    })
}

//! Runs mpd.conf as mpd does: the commands under `startup:`, then those under the label asked for
//! or `default:`, each as if typed into the console. `create`, `link` and `bundle` select an
//! object; `set` speaks about the selected one; `load` runs another label.
//!
//! Every problem is reported, not the first only. Depth, commands, objects and text are bounded.

mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::commands::{Form, Needs, Resolved, resolve};
use crate::diag::{Diagnostics, Notice, Problem, Span};
use crate::directives::{self, Class};
use crate::lexer::{File, MAX_FILE, Word, lex};
use crate::model::{Action, Addresses, Model};
use crate::options::{AuthOption, LinkOption};

/// `load` within `load`, as in mpd.
pub const MAX_DEPTH: usize = 20;
/// Commands run in all, loaded ones counted each time.
pub const MAX_COMMANDS: usize = 50_000;
/// Bundles and links, each.
pub const MAX_OBJECTS: usize = 1024;
/// Text of all files together, octets.
pub const MAX_TEXT: usize = 2 * MAX_FILE;

/// Reads files that `load FILE LABEL` names.
pub trait Loader {
    /// The file's octets; relative names are meant from mpd's configuration directory. Reading
    /// more than [`MAX_FILE`] + 1 octets is of no use.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn load(&mut self, name: &str) -> Result<Vec<u8>, String>;
}

/// A [`Loader`] for those who have one file only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&mut self, _name: &str) -> Result<Vec<u8>, String> {
        Err("other files are not read here".to_owned())
    }
}

/// What is to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The file's name, for messages and for `load` lines that name it.
    pub file: String,
    /// None: `default`.
    pub label: Option<String>,
    /// Leave out PPTP, PPPoE, modem, TCP, UDP and netgraph links instead of refusing the file.
    pub ignore_foreign_links: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpretation {
    /// Complete if there are no problems.
    pub model: Model,
    /// Why the file is not accepted; empty: it is.
    pub problems: Vec<Problem>,
    /// What the operator should know.
    pub notices: Vec<Notice>,
    /// Problems beyond those kept.
    pub suppressed: u64,
}

/// Runs `bytes` (the file `request.file`).
#[must_use]
pub fn interpret(bytes: &[u8], request: &Request, loader: &mut dyn Loader) -> Interpretation {
    let mut diagnostics = Diagnostics::default();
    let name: Arc<str> = Arc::from(request.file.as_str());
    let main = Rc::new(lex(&name, bytes, &mut diagnostics));
    let mut machine = Machine {
        model: Model::default(),
        diagnostics,
        current: Current::Nothing,
        foreign: BTreeSet::new(),
        ignore_foreign: request.ignore_foreign_links,
        foreign_bundles: BTreeSet::new(),
        parents: BTreeSet::new(),
        refused: Vec::new(),
        files: BTreeMap::from([(name.to_string(), Rc::clone(&main))]),
        main: Rc::clone(&main),
        text: bytes.len(),
        stack: Vec::new(),
        commands: 0,
        noticed: BTreeSet::new(),
        loader,
    };
    let start = Span {
        file: name,
        line: 1,
        column: 1,
    };
    if main.label("startup").is_some() {
        machine.run(&main, "startup", &start);
    }
    machine.run(&main, request.label.as_deref().unwrap_or("default"), &start);
    machine.leave_out_foreign_bundles();
    machine.check();
    let Machine {
        model, diagnostics, ..
    } = machine;
    let Diagnostics {
        problems,
        notices,
        suppressed,
    } = diagnostics;
    Interpretation {
        model,
        problems,
        notices,
        suppressed,
    }
}

/// The selected object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Current {
    Nothing,
    Bundle(usize),
    Link(usize),
    /// A link of a type that is not served: what is said about it is passed over.
    Foreign,
    /// Selecting failed and has been reported: what follows is passed over.
    Failed,
}

pub(crate) struct Machine<'a> {
    pub(crate) model: Model,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) current: Current,
    foreign: BTreeSet<String>,
    ignore_foreign: bool,
    /// Bundles that links of other types use.
    foreign_bundles: BTreeSet<String>,
    /// Bundles that others were made from.
    parents: BTreeSet<String>,
    /// Positions of problems that are refusals of a bundle's settings.
    refused: Vec<(usize, String)>,
    files: BTreeMap<String, Rc<File>>,
    main: Rc<File>,
    text: usize,
    stack: Vec<(Arc<str>, String)>,
    commands: usize,
    noticed: BTreeSet<String>,
    loader: &'a mut dyn Loader,
}

impl Machine<'_> {
    /// Runs the commands of a label.
    fn run(&mut self, file: &Rc<File>, label: &str, from: &Span) {
        let Some(found) = file.label(label) else {
            self.diagnostics.problem(
                Problem::new(
                    from,
                    format!("there is no label '{label}' in {}", file.name),
                )
                .remedy(format!(
                    "write '{label}:' in column 1 and its commands under it"
                )),
            );
            return;
        };
        if self
            .stack
            .iter()
            .any(|(name, running)| *name == file.name && running == label)
        {
            self.diagnostics.problem(
                Problem::new(from, format!("label '{label}' loads itself"))
                    .remedy("take the load that closes the circle out"),
            );
            return;
        }
        if self.stack.len() > MAX_DEPTH {
            self.diagnostics.problem(
                Problem::new(from, format!("load within load, deeper than {MAX_DEPTH}"))
                    .remedy("load the labels one after the other"),
            );
            return;
        }
        self.stack.push((Arc::clone(&file.name), label.to_owned()));
        for words in &found.commands {
            self.commands += 1;
            if self.commands > MAX_COMMANDS {
                if let (true, Some(word)) = (self.commands == MAX_COMMANDS + 1, words.first()) {
                    self.diagnostics.problem(
                        Problem::new(&word.span, format!("more than {MAX_COMMANDS} commands"))
                            .remedy("load fewer labels"),
                    );
                }
                break;
            }
            self.command(words);
        }
        self.stack.pop();
    }

    /// One line.
    fn command(&mut self, words: &[Word]) {
        let result = resolve(words).and_then(|resolved| self.execute(&resolved));
        if let Err(problem) = result {
            self.diagnostics.problem(problem);
        }
    }

    fn execute(&mut self, resolved: &Resolved<'_>) -> Result<(), Problem> {
        let path = resolved.path.as_str();
        match (resolved.needs, self.current) {
            (Needs::Nothing, _)
            | (Needs::Bundle, Current::Bundle(_))
            | (Needs::Link, Current::Link(_)) => {}
            (Needs::Link, Current::Foreign) => {
                if let ("set link action bundle", Some(name)) = (path, resolved.arguments.first())
                    && self.foreign_bundles.len() < MAX_OBJECTS
                {
                    self.foreign_bundles.insert(name.text.clone());
                }
                return Ok(());
            }
            (_, Current::Failed) => return Ok(()),
            (needs, _) => {
                let (what, how) = match needs {
                    Needs::Bundle => ("bundle", "create bundle template NAME"),
                    _ => ("link", "create link template NAME l2tp"),
                };
                return Err(Problem::new(
                    resolved.span,
                    format!("'{path}' speaks about a {what}, and none is selected"),
                )
                .remedy(format!("put it after '{how}' or '{what} NAME'")));
            }
        }
        if let Form::Switch(verb) = resolved.entry.form {
            return self.switch(resolved, verb);
        }
        match directives::command(path) {
            Some(Class::Refused { reason, remedy }) => {
                self.refuse(refusal(resolved.span, path, reason, remedy));
                return Ok(());
            }
            Some(Class::NoOp(why) | Class::Always(_, why)) => {
                self.notice_once(path, resolved.span, why);
            }
            Some(Class::Honoured) | None => {}
        }
        self.apply(resolved)
    }

    /// Says once per directive why nothing comes of it.
    pub(crate) fn notice_once(&mut self, path: &str, span: &Span, why: &str) {
        if !self.noticed.contains(path) {
            self.noticed.insert(path.to_owned());
            self.diagnostics
                .notice(span, format!("'{path}' has no effect: {why}"));
        }
    }

    fn apply(&mut self, resolved: &Resolved<'_>) -> Result<(), Problem> {
        let words: Vec<&str> = resolved.path.split(' ').collect();
        let (span, arguments) = (resolved.span, resolved.arguments);
        match words.as_slice() {
            ["create", "link"] => self.create_link(arguments),
            ["create", "bundle"] => self.create_bundle(arguments),
            ["destroy", what @ ("link" | "bundle")] => {
                self.destroy(*what == "link", span, arguments)
            }
            ["link"] => self.select(true, arguments),
            ["bundle"] => self.select(false, arguments),
            ["load"] => self.load(arguments),
            ["open"] => self.open(span, arguments, true),
            ["close"] => self.open(span, arguments, false),
            ["log"] => self.log(arguments),
            ["exit" | "help" | "show"] | ["set", "debug"] => Ok(()),
            ["set" | "unset", menu, setting @ ..] => self.set(
                words.first() == Some(&"unset"),
                menu,
                &setting.join(" "),
                resolved,
            ),
            _ => Err(Problem::new(
                span,
                format!("'{}' is not understood", resolved.path),
            )),
        }
    }

    fn load(&mut self, arguments: &[Word]) -> Result<(), Problem> {
        let (file, label) = match arguments {
            [label] => (Rc::clone(&self.main), label),
            [name, label] => match self.files.get(&name.text) {
                Some(file) => (Rc::clone(file), label),
                None => (self.read(name)?, label),
            },
            _ => return Err(crate::values::missing()),
        };
        self.run(&file, &label.text, &label.span);
        Ok(())
    }

    fn read(&mut self, name: &Word) -> Result<Rc<File>, Problem> {
        if name.text.contains("://") {
            return Err(
                Problem::new(&name.span, "files are not fetched from the network")
                    .remedy("fetch it beforehand and load the local copy"),
            );
        }
        let bytes = self.loader.load(&name.text).map_err(|why| {
            Problem::new(&name.span, format!("cannot load '{}': {why}", name.text))
                .remedy("correct the path or take the load out")
        })?;
        self.text = self.text.saturating_add(bytes.len());
        if self.text > MAX_TEXT {
            return Err(Problem::new(
                &name.span,
                format!("the files together are larger than {MAX_TEXT} octets"),
            )
            .remedy("load fewer files"));
        }
        let file = Rc::new(lex(
            &Arc::from(name.text.as_str()),
            &bytes,
            &mut self.diagnostics,
        ));
        self.files.insert(name.text.clone(), Rc::clone(&file));
        Ok(file)
    }

    /// Reports a directive that is not accepted, and remembers for which bundle it was.
    pub(crate) fn refuse(&mut self, problem: Problem) {
        if let Current::Bundle(at) = self.current
            && let Some(bundle) = self.model.bundles.get(at)
        {
            self.refused
                .push((self.diagnostics.problems.len(), bundle.name.clone()));
        }
        self.diagnostics.problem(problem);
    }

    /// Where links of other types are passed over, so are bundles that only they use, together
    /// with what was refused about them.
    fn leave_out_foreign_bundles(&mut self) {
        if !self.ignore_foreign {
            return;
        }
        let mut kept = self.parents.clone();
        for action in self.model.links.iter().flat_map(|link| &link.actions) {
            if let Action::Bundle(name) = &action.action {
                kept.insert(name.clone());
            }
        }
        for bundle in &self.model.bundles {
            for link in &bundle.links.value {
                if self.foreign.contains(link) {
                    self.foreign_bundles.insert(bundle.name.clone());
                } else {
                    kept.insert(bundle.name.clone());
                }
            }
        }
        let gone = &self.foreign_bundles - &kept;
        for bundle in self
            .model
            .bundles
            .extract_if(.., |bundle| gone.contains(&bundle.name))
        {
            let text = format!(
                "bundle '{}' is left out: only links left out use it",
                bundle.name
            );
            self.diagnostics.notice(&bundle.span, text);
        }
        for (at, name) in self.refused.drain(..).rev() {
            if gone.contains(&name) && at < self.diagnostics.problems.len() {
                self.diagnostics.problems.remove(at);
            }
        }
    }

    /// What only the whole file shows.
    fn check(&mut self) {
        let mut found = Vec::new();
        for link in &self.model.links {
            for action in &link.actions {
                if let Action::Bundle(name) = &action.action
                    && self.model.bundle(name).is_none()
                {
                    found.push(
                        Problem::new(&action.span, format!("bundle '{name}' is not defined"))
                            .remedy(format!("write 'create bundle template {name}'")),
                    );
                }
            }
            let auth = &link.auth.options;
            let others = AuthOption::BACKENDS
                .iter()
                .any(|&backend| auth.enabled(backend));
            if let (false, false, Some(span)) = (
                auth.enabled(AuthOption::Internal),
                others,
                auth.span(AuthOption::Internal),
            ) && link.options.enabled(LinkOption::Incoming)
            {
                found.push(
                    Problem::new(span, format!("nobody can log in over link '{}'", link.name))
                        .remedy("write 'set auth enable internal' and put users in mpd.secret"),
                );
            }
        }
        for bundle in &self.model.bundles {
            for side in [&bundle.ipcp.local, &bundle.ipcp.peer] {
                if let (Addresses::Pool(name), Some(span)) = (&side.value, &side.span)
                    && self.model.pool(name).is_none()
                {
                    found.push(
                        Problem::new(span, format!("pool '{name}' is not defined"))
                            .remedy(format!("write 'set ippool add {name} FIRST LAST'")),
                    );
                }
            }
            for name in &bundle.links.value {
                if let Some(span) = &bundle.links.span
                    && self.model.link(name).is_none()
                    && !self.foreign.contains(name)
                {
                    found.push(
                        Problem::new(span, format!("link '{name}' is not defined"))
                            .remedy(format!("write 'create link static {name} l2tp'")),
                    );
                }
            }
        }
        for problem in found {
            self.diagnostics.problem(problem);
        }
    }
}

/// A directive that is not accepted.
pub(crate) fn refusal(span: &Span, path: &str, reason: &str, remedy: &str) -> Problem {
    Problem::new(span, format!("'{path}' is refused: {reason}")).remedy(remedy)
}

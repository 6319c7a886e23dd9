//! Runs mpd.conf as mpd does: the commands under `startup:`, then those under the label asked for
//! or `default:`, each as if typed into the console. `create`, `link` and `bundle` select an
//! object; `set` speaks about the selected one; `load` runs another label.
//!
//! Every problem is reported, not the first only. Depth, commands, objects and text are bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::commands::{Form, Needs, Resolved, resolve};
use crate::diag::{Diagnostics, Notice, Problem, Span};
use crate::directives::{self, Class};
use crate::lexer::{File, MAX_FILE, Word, lex};
use crate::model::{Action, Addresses, Bundle, Kind, Link, Model};
use crate::options::{AuthOption, LinkOption};

/// `load` within `load`, as in mpd.
pub const MAX_DEPTH: usize = 20;
/// Commands run in all, loaded ones counted each time.
pub const MAX_COMMANDS: usize = 50_000;
/// Bundles and links, each.
pub const MAX_OBJECTS: usize = 1024;
/// Text of all files together, octets.
pub const MAX_TEXT: usize = 2 * MAX_FILE;
/// The longest name of a bundle or link (mpd's LINK_MAX_NAME without its NUL).
const MAX_NAME: usize = 15;

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

const FOREIGN_TYPES: &[(&str, &str)] = &[
    ("modem", "modem"),
    ("ng", "netgraph"),
    ("pppoe", "PPPoE"),
    ("pptp", "PPTP"),
    ("tcp", "PPP over TCP"),
    ("udp", "PPP over UDP"),
];

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
            Some(Class::ZeroOnly { reason, remedy }) => {
                if resolved
                    .arguments
                    .first()
                    .is_some_and(|word| word.text != "0")
                {
                    self.apply(resolved)?;
                    self.refuse(refusal(resolved.span, path, reason, remedy));
                    return Ok(());
                }
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

    /// Splits off `template` or `static` and checks the name.
    fn kind<'w>(&mut self, words: &'w [Word]) -> Result<(Kind, &'w Word, &'w [Word]), Problem> {
        self.current = Current::Failed;
        let (kind, rest) = match words {
            [first, rest @ ..] if first.text == "template" => (Kind::Template, rest),
            [first, rest @ ..] if first.text == "static" => (Kind::Static, rest),
            rest => (Kind::Dynamic, rest),
        };
        let Some((name, rest)) = rest.split_first() else {
            let span = words.first().map(|word| word.span.clone());
            let problem = span.map(|span| {
                Problem::new(&span, "a name is missing").remedy("write template or static NAME")
            });
            return Err(problem.unwrap_or_else(crate::values::missing));
        };
        if name.text.is_empty() || name.text.len() > MAX_NAME {
            return Err(
                Problem::new(&name.span, format!("'{}' is no name", name.text))
                    .remedy(format!("write 1 to {MAX_NAME} characters")),
            );
        }
        Ok((kind, name, rest))
    }

    fn create_link(&mut self, arguments: &[Word]) -> Result<(), Problem> {
        let (kind, name, rest) = self.kind(arguments)?;
        let [parent] = rest else {
            return Err(
                Problem::new(&name.span, "a link's name and its type or template follow")
                    .remedy("write create link template NAME l2tp"),
            );
        };
        let taken = self.model.link(&name.text).is_some() || self.foreign.contains(&name.text);
        if taken {
            return Err(
                Problem::new(&name.span, format!("link '{}' exists", name.text))
                    .remedy("give it another name or select it with 'link NAME'"),
            );
        }
        if name.text == "l2tp" || FOREIGN_TYPES.iter().any(|(kind, _)| *kind == name.text) {
            return Err(
                Problem::new(&name.span, format!("'{}' is a link type", name.text))
                    .remedy("give the link another name"),
            );
        }
        if let Some((_, title)) = FOREIGN_TYPES.iter().find(|(word, _)| *word == parent.text) {
            return self.create_foreign(name, parent, title);
        }
        if self.foreign.contains(&parent.text) {
            return self.create_foreign(name, parent, "such");
        }
        if self.model.links.len() >= MAX_OBJECTS {
            return Err(too_many(name, "links"));
        }
        let link = if parent.text == "l2tp" {
            Link::new(name.text.clone(), name.span.clone(), kind)
        } else {
            let template = self.model.link(&parent.text).ok_or_else(|| {
                Problem::new(
                    &parent.span,
                    format!("'{}' is no link type or template", parent.text),
                )
                .remedy("write l2tp or the name of a link template created above")
            })?;
            let (name, span) = (name.text.clone(), name.span.clone());
            from_template(template.kind, parent)?;
            Link {
                name,
                span,
                kind,
                opened: None,
                ..template.clone()
            }
        };
        self.model.links.push(link);
        self.current = Current::Link(self.model.links.len() - 1);
        Ok(())
    }

    fn create_foreign(&mut self, name: &Word, kind: &Word, title: &str) -> Result<(), Problem> {
        if self.foreign.len() >= MAX_OBJECTS {
            return Err(too_many(name, "links"));
        }
        self.foreign.insert(name.text.clone());
        self.current = Current::Foreign;
        if self.ignore_foreign {
            let text = format!(
                "link '{}' is left out: {title} links are not served",
                name.text
            );
            self.diagnostics.notice(&kind.span, text);
            return Ok(());
        }
        Err(Problem::new(
            &kind.span,
            format!("{title} links are not served, only l2tp ones are"),
        )
        .remedy("leave them to mpd5, or start with --ignore-foreign-links to pass them over"))
    }

    fn create_bundle(&mut self, arguments: &[Word]) -> Result<(), Problem> {
        let (kind, name, rest) = self.kind(arguments)?;
        if self.model.bundle(&name.text).is_some() {
            return Err(
                Problem::new(&name.span, format!("bundle '{}' exists", name.text))
                    .remedy("give it another name or select it with 'bundle NAME'"),
            );
        }
        if self.model.bundles.len() >= MAX_OBJECTS {
            return Err(too_many(name, "bundles"));
        }
        let bundle = match rest {
            [] => Bundle::new(name.text.clone(), name.span.clone(), kind),
            [parent] => {
                let template = self.model.bundle(&parent.text).ok_or_else(|| {
                    Problem::new(
                        &parent.span,
                        format!("'{}' is no bundle template", parent.text),
                    )
                    .remedy("write the name of a bundle template created above, or nothing")
                })?;
                let (name, span) = (name.text.clone(), name.span.clone());
                from_template(template.kind, parent)?;
                self.parents.insert(parent.text.clone());
                Bundle {
                    name,
                    span,
                    kind,
                    opened: None,
                    ..template.clone()
                }
            }
            [_, extra, ..] => {
                return Err(
                    Problem::new(&extra.span, "too many words after 'create bundle'")
                        .remedy("write create bundle [template|static] NAME [TEMPLATE]"),
                );
            }
        };
        self.model.bundles.push(bundle);
        self.current = Current::Bundle(self.model.bundles.len() - 1);
        Ok(())
    }

    fn find(&self, link: bool, name: &str) -> Option<Current> {
        if link && self.foreign.contains(name) {
            return Some(Current::Foreign);
        }
        if link {
            let at = self.model.links.iter().position(|link| link.name == name);
            return at.map(Current::Link);
        }
        self.model
            .bundles
            .iter()
            .position(|bundle| bundle.name == name)
            .map(Current::Bundle)
    }

    fn select(&mut self, link: bool, arguments: &[Word]) -> Result<(), Problem> {
        let [name] = arguments else {
            return Err(crate::values::missing());
        };
        let found = self.find(link, &name.text);
        self.current = found.unwrap_or(Current::Failed);
        found.map(|_| ()).ok_or_else(|| undefined(link, name))
    }

    fn destroy(&mut self, link: bool, span: &Span, arguments: &[Word]) -> Result<(), Problem> {
        let target = match arguments.first() {
            Some(name) => Some(
                self.find(link, &name.text)
                    .ok_or_else(|| undefined(link, name))?,
            ),
            None => Some(self.current),
        };
        match target {
            Some(Current::Link(at)) if link && at < self.model.links.len() => {
                self.model.links.remove(at);
            }
            Some(Current::Bundle(at)) if !link && at < self.model.bundles.len() => {
                self.model.bundles.remove(at);
            }
            Some(Current::Foreign) if link => {
                if let Some(name) = arguments.first() {
                    self.foreign.remove(&name.text);
                }
            }
            Some(Current::Failed) => {}
            _ => {
                return Err(Problem::new(span, "nothing of that kind is selected")
                    .remedy("name what is to be destroyed"));
            }
        }
        // Positions have moved, and mpd selects nothing either.
        self.current = Current::Nothing;
        Ok(())
    }

    fn open(&mut self, span: &Span, arguments: &[Word], open: bool) -> Result<(), Problem> {
        const LAYERS: &[&str] = &[
            "iface", "ipcp", "ipv6cp", "ccp", "ecp", "bund", "link", "device",
        ];
        if let Some(layer) = arguments.first()
            && LAYERS
                .iter()
                .filter(|name| name.starts_with(&layer.text))
                .count()
                != 1
            && !LAYERS.contains(&layer.text.as_str())
        {
            return Err(
                Problem::new(&layer.span, format!("'{}' is no layer", layer.text))
                    .remedy(format!("one of {}", LAYERS.join(", "))),
            );
        }
        let (kind, opened) = match self.current {
            Current::Bundle(at) => match self.model.bundles.get_mut(at) {
                Some(bundle) => (bundle.kind, &mut bundle.opened),
                None => return Ok(()),
            },
            Current::Link(at) => match self.model.links.get_mut(at) {
                Some(link) => (link.kind, &mut link.opened),
                None => return Ok(()),
            },
            Current::Foreign | Current::Failed => return Ok(()),
            Current::Nothing => {
                return Err(Problem::new(span, "no link and no bundle is selected")
                    .remedy("put it after 'create link' or 'link NAME'"));
            }
        };
        if open && kind == Kind::Template {
            return Err(Problem::new(span, "a template cannot be opened")
                .remedy("create it as static, or create a link from the template"));
        }
        *opened = open.then(|| span.clone());
        Ok(())
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

fn undefined(link: bool, name: &Word) -> Problem {
    let what = if link { "link" } else { "bundle" };
    Problem::new(&name.span, format!("{what} '{}' is not defined", name.text))
        .remedy(format!("create it above with 'create {what}'"))
}

fn too_many(name: &Word, what: &str) -> Problem {
    Problem::new(&name.span, format!("more than {MAX_OBJECTS} {what}"))
        .remedy("use a template: it serves any number of calls")
}

fn from_template(kind: Kind, parent: &Word) -> Result<(), Problem> {
    if kind == Kind::Template {
        return Ok(());
    }
    Err(
        Problem::new(&parent.span, format!("'{}' is not a template", parent.text))
            .remedy("write 'template' in its create line"),
    )
}

//! Making, selecting, opening and destroying bundles and links.

use super::{Current, MAX_OBJECTS, Machine};
use crate::diag::{Problem, Span};
use crate::lexer::Word;
use crate::model::{Bundle, Kind, Link};

/// The longest name of a bundle or link (mpd's LINK_MAX_NAME without its NUL).
const MAX_NAME: usize = 15;

const FOREIGN_TYPES: &[(&str, &str)] = &[
    ("modem", "modem"),
    ("ng", "netgraph"),
    ("pppoe", "PPPoE"),
    ("pptp", "PPTP"),
    ("tcp", "PPP over TCP"),
    ("udp", "PPP over UDP"),
];

impl Machine<'_> {
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

    pub(super) fn create_link(&mut self, arguments: &[Word]) -> Result<(), Problem> {
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
        .remedy("leave them to mpd5, or start with --skip-unsupported to pass them over"))
    }

    pub(super) fn create_bundle(&mut self, arguments: &[Word]) -> Result<(), Problem> {
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

    pub(super) fn select(&mut self, link: bool, arguments: &[Word]) -> Result<(), Problem> {
        let [name] = arguments else {
            return Err(crate::values::missing());
        };
        let found = self.find(link, &name.text);
        self.current = found.unwrap_or(Current::Failed);
        found.map(|_| ()).ok_or_else(|| undefined(link, name))
    }

    pub(super) fn destroy(
        &mut self,
        link: bool,
        span: &Span,
        arguments: &[Word],
    ) -> Result<(), Problem> {
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

    pub(super) fn open(
        &mut self,
        span: &Span,
        arguments: &[Word],
        open: bool,
    ) -> Result<(), Problem> {
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

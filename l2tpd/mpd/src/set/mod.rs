//! `set` and `unset`: one file per group of menus, and the option switches of all of them.

mod bundle;
mod global;
mod link;

use crate::commands::{Resolved, Verb};
use crate::diag::{Diagnostics, Problem, Span};
use crate::directives::{self, Class};
use crate::interpret::{Current, Machine, refusal};
use crate::lexer::Word;
use crate::model::{Bundle, Link};
use crate::options::{OptionMenu, OptionSpec, Switches};

impl Machine<'_> {
    /// A setting whose class says that its value is kept.
    pub(crate) fn set(
        &mut self,
        unset: bool,
        menu: &str,
        setting: &str,
        resolved: &Resolved<'_>,
    ) -> Result<(), Problem> {
        let (span, arguments) = (resolved.span, resolved.arguments);
        match menu {
            "nat" => bundle::nat(setting, arguments),
            "radius" if unset => link::unset_radius(self.link(span)?, arguments),
            "bundle" => bundle::bundle(self.bundle(span)?, setting, arguments),
            "iface" => bundle::iface(self.bundle(span)?, setting, arguments),
            "ipcp" => bundle::ipcp(self.bundle(span)?, setting, arguments),
            "ecp" => bundle::ecp(self.bundle(span)?, arguments),
            "link" => link::link(self.link(span)?, setting, span, arguments),
            "l2tp" => link::l2tp(self.link(span)?, setting, arguments),
            "auth" if setting == "max-logins" => global::max_logins(&mut self.model, arguments),
            "auth" => link::auth(self.link(span)?, setting, arguments),
            "radius" => link::radius(self.link(span)?, setting, arguments),
            "radsrv" => global::radsrv(&mut self.model, setting, arguments),
            "console" => global::service(&mut self.model.console, setting, span, arguments),
            "web" => global::service(&mut self.model.web, setting, span, arguments),
            "user" => global::user(&mut self.model, arguments),
            "global" => global::global(&mut self.model, setting, arguments),
            "ippool" => global::pool(&mut self.model, arguments),
            "netflow" => global::netflow(setting, arguments),
            _ => Err(not_understood(span, menu)),
        }
    }

    fn bundle(&mut self, span: &Span) -> Result<&mut Bundle, Problem> {
        let Current::Bundle(at) = self.current else {
            return Err(not_understood(span, "bundle"));
        };
        self.model
            .bundles
            .get_mut(at)
            .ok_or_else(|| not_understood(span, "bundle"))
    }

    fn link(&mut self, span: &Span) -> Result<&mut Link, Problem> {
        let Current::Link(at) = self.current else {
            return Err(not_understood(span, "link"));
        };
        self.model
            .links
            .get_mut(at)
            .ok_or_else(|| not_understood(span, "link"))
    }

    /// `log [+|-]WORD ...`.
    pub(crate) fn log(&mut self, arguments: &[Word]) -> Result<(), Problem> {
        global::log(&mut self.model, &mut self.diagnostics, arguments);
        Ok(())
    }

    /// enable, disable, accept, deny, yes and no.
    pub(crate) fn switch(&mut self, resolved: &Resolved<'_>, verb: Verb) -> Result<(), Problem> {
        let mut path = resolved.path.split(' ');
        let menu = path.nth(1).unwrap_or_default().to_owned();
        let (span, words) = (resolved.span, resolved.arguments);
        let diagnostics = &mut Diagnostics::default();
        let orders = match menu.as_str() {
            "link" => {
                let words = chap(words);
                apply(&mut self.link(span)?.options, verb, &words, diagnostics)
            }
            "bundle" => apply(&mut self.bundle(span)?.options, verb, words, diagnostics),
            "iface" => apply(
                &mut self.bundle(span)?.iface.options,
                verb,
                words,
                diagnostics,
            ),
            "ipcp" => apply(
                &mut self.bundle(span)?.ipcp.options,
                verb,
                words,
                diagnostics,
            ),
            "ccp" => apply(&mut self.bundle(span)?.ccp, verb, words, diagnostics),
            "mppc" => apply(&mut self.bundle(span)?.mppc, verb, words, diagnostics),
            "ecp" => apply(&mut self.bundle(span)?.ecp, verb, words, diagnostics),
            "nat" => apply(&mut self.bundle(span)?.nat, verb, words, diagnostics),
            "eap" => apply(&mut self.link(span)?.eap, verb, words, diagnostics),
            "auth" => apply(&mut self.link(span)?.auth.options, verb, words, diagnostics),
            "radius" => apply(
                &mut self.link(span)?.radius.options,
                verb,
                words,
                diagnostics,
            ),
            "l2tp" => apply(&mut self.link(span)?.l2tp.options, verb, words, diagnostics),
            "radsrv" => apply(&mut self.model.radsrv.options, verb, words, diagnostics),
            "console" => apply(&mut self.model.console.options, verb, words, diagnostics),
            "web" => apply(&mut self.model.web.options, verb, words, diagnostics),
            "global" => apply(&mut self.model.global.options, verb, words, diagnostics),
            "ipv6cp" => {
                return Err(Problem::new(span, "ipv6cp has no options")
                    .remedy("take it out; 'set bundle enable ipv6cp' offers IPv6"));
            }
            _ => return Err(not_understood(span, &menu)),
        };
        for problem in std::mem::take(&mut diagnostics.problems) {
            self.diagnostics.problem(problem);
        }
        for order in orders {
            self.judge(&menu, verb, &order);
        }
        Ok(())
    }

    /// What the table says about an option that has been switched.
    fn judge(&mut self, menu: &str, verb: Verb, order: &Order) {
        let path = format!("set {menu} ... {}", order.spec.name);
        let on = matches!(verb, Verb::Enable | Verb::Yes | Verb::Accept);
        match directives::option(menu, order.spec.name) {
            Some(Class::Refused { reason, remedy }) if on => {
                if order.alias {
                    self.notice_once(&path, &order.span, reason);
                } else {
                    let named = format!("set {menu} {} {}", word(verb), order.spec.name);
                    self.refuse(refusal(&order.span, &named, reason, remedy));
                }
            }
            Some(Class::NoOp(why)) => self.notice_once(&path, &order.span, why),
            Some(Class::Always(state, why)) if state != on => {
                self.notice_once(&path, &order.span, why);
            }
            _ => {}
        }
    }
}

const fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Enable => "enable",
        Verb::Disable => "disable",
        Verb::Accept => "accept",
        Verb::Deny => "deny",
        Verb::Yes => "yes",
        Verb::No => "no",
    }
}

/// An option that a line switched.
struct Order {
    spec: OptionSpec,
    span: Span,
    /// Named by a word for several options.
    alias: bool,
}

/// `chap` is a word for all three kinds of it.
fn chap(words: &[Word]) -> Vec<Word> {
    let mut all = Vec::with_capacity(words.len());
    for given in words {
        if given.text.eq_ignore_ascii_case("chap") {
            for name in ["chap-md5", "chap-msv1", "chap-msv2"] {
                all.push(Word {
                    text: name.to_owned(),
                    span: given.span.clone(),
                });
            }
        } else {
            all.push(given.clone());
        }
    }
    all
}

fn apply<M: OptionMenu>(
    switches: &mut Switches<M>,
    verb: Verb,
    words: &[Word],
    diagnostics: &mut Diagnostics,
) -> Vec<Order> {
    let mut orders = Vec::new();
    let mut aliased = None;
    for word in words {
        // Three words at one place come from one alias.
        let alias = aliased == Some(&word.span)
            || words.iter().filter(|other| other.span == word.span).count() > 1;
        aliased = alias.then_some(&word.span);
        let spec = match find::<M>(word) {
            Ok(spec) => spec,
            Err(problem) => {
                diagnostics.problem(problem);
                continue;
            }
        };
        if !spec.peered && matches!(verb, Verb::Accept | Verb::Deny) {
            let text = format!("the peer has no say in '{}'", spec.name);
            diagnostics.problem(Problem::new(&word.span, text).remedy("write enable or disable"));
            continue;
        }
        let position = M::ALL.iter().position(|(_, row)| row.name == spec.name);
        if let Some(state) = position.and_then(|at| switches.state(at)) {
            match verb {
                Verb::Enable | Verb::Yes => state.enabled = true,
                Verb::Disable | Verb::No => state.enabled = false,
                Verb::Accept | Verb::Deny => {}
            }
            match verb {
                Verb::Accept | Verb::Yes if spec.peered => state.accepted = true,
                Verb::Deny | Verb::No if spec.peered => state.accepted = false,
                _ => {}
            }
            state.span = Some(word.span.clone());
        }
        orders.push(Order {
            spec,
            span: word.span.clone(),
            alias,
        });
    }
    orders
}

/// Option names may be abbreviated too, and their case does not matter.
fn find<M: OptionMenu>(word: &Word) -> Result<OptionSpec, Problem> {
    let given = word.text.to_ascii_lowercase();
    let all = || M::ALL.iter().map(|(_, spec)| *spec);
    if let Some(spec) = all().find(|spec| spec.name == given) {
        return Ok(spec);
    }
    let candidates: Vec<_> = all()
        .filter(|spec| !given.is_empty() && spec.name.starts_with(&given))
        .collect();
    let list = |specs: &[OptionSpec]| {
        specs
            .iter()
            .map(|spec| spec.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match candidates.as_slice() {
        [spec] => Ok(*spec),
        [] => Err(Problem::new(
            &word.span,
            format!("'set {}' has no option '{}'", M::MENU, word.text),
        )
        .remedy(format!("one of {}", list(&all().collect::<Vec<_>>())))),
        several => Err(
            Problem::new(&word.span, format!("option '{}' is ambiguous", word.text))
                .remedy(format!("it may be {}", list(several))),
        ),
    }
}

/// The tree and the settings disagree; a test walks both.
fn not_understood(span: &Span, what: &str) -> Problem {
    Problem::new(span, format!("'{what}' is not understood"))
}

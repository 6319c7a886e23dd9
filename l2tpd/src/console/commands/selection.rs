//! The commands that select: `link`, `bundle`, `iface`, `session`, `msession`, `authname`; without a
//! name they list what there is.

use std::fmt::Write as _;

use super::{Context, Failure, Run, at_most};
use crate::console::view::{SessionView, View};

/// A session that ended is no longer selected.
pub(super) fn forget_what_is_gone(view: &View<'_>, context: &mut Context) {
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
    pub(super) fn has_link(&self, name: &str) -> bool {
        self.sessions.iter().any(|session| session.link == name)
            || self.config.links.iter().any(|link| link.name == name)
            || self.config.connections.contains_key(name)
    }

    pub(super) fn has_bundle(&self, name: &str) -> bool {
        self.sessions.iter().any(|session| session.bundle == name)
            || self.config.bundles.contains_key(name)
    }

    /// The session that a context has selected.
    pub(in crate::console) fn selected(&self, context: &Context) -> Option<&SessionView> {
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

impl Run<'_> {
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

    pub(super) fn link(&mut self, arguments: &[&str]) -> Result<(), Failure> {
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

    pub(super) fn bundle(&mut self, arguments: &[&str]) -> Result<(), Failure> {
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

    pub(super) fn iface(&mut self, arguments: &[&str]) -> Result<(), Failure> {
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

    pub(super) fn session(&mut self, arguments: &[&str]) -> Result<(), Failure> {
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

    pub(super) fn msession(&mut self, arguments: &[&str]) -> Result<(), Failure> {
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

    pub(super) fn authname(&mut self, arguments: &[&str]) -> Result<(), Failure> {
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

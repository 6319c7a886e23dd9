//! `show`: which listing, of what.

use std::fmt::Write as _;

use super::{Context, Failure, LAYERS, Run};
use crate::console::tree::{COMMANDS, Command, Kind, Needs, find};
use crate::console::view::SessionView;
use crate::console::{Role, show};

impl Run<'_> {
    pub(super) fn show(&mut self, words: &[&str]) -> Result<(), Failure> {
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

//! `help`, and what is said where words are missing.

use std::fmt::Write as _;

use crate::console::Role;
use crate::console::tree::{COMMANDS, Kind, NotFound, find};

/// What may be written, or how a command is used.
pub(in crate::console) fn help(role: Role, words: &[&str]) -> String {
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

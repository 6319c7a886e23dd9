//! The command tree of mpd's console as data: what may stand where, how it is written, and which
//! object it speaks about.

use crate::diag::{Problem, Span};
use crate::lexer::Word;

/// The object a command needs to be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// A bundle (`create bundle`, `bundle NAME`).
    Bundle,
    /// A link (`create link`, `link NAME`).
    Link,
}

/// How the words after a setting are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A menu of further words.
    Menu(&'static [Entry]),
    /// A command with its arguments, from ... to.
    Leaf {
        /// Fewest arguments.
        least: usize,
        /// Most arguments.
        most: usize,
    },
    /// Option names follow.
    Switch(Verb),
    /// A menu of a link type this server lacks: anything may follow.
    Foreign,
}

/// enable, disable, accept, deny, yes, no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// We want it.
    Enable,
    /// We do not want it.
    Disable,
    /// The peer may have it.
    Accept,
    /// The peer may not have it.
    Deny,
    /// enable and accept.
    Yes,
    /// disable and deny.
    No,
}

/// One word of a menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The whole word.
    pub name: &'static str,
    /// What follows, for messages.
    pub usage: &'static str,
    /// What follows, for the parser.
    pub form: Form,
    /// The object it needs.
    pub needs: Needs,
}

const fn menu(name: &'static str, entries: &'static [Entry], needs: Needs) -> Entry {
    Entry {
        name,
        usage: "...",
        form: Form::Menu(entries),
        needs,
    }
}

const fn leaf(name: &'static str, usage: &'static str, least: usize, most: usize) -> Entry {
    Entry {
        name,
        usage,
        form: Form::Leaf { least, most },
        needs: Needs::Nothing,
    }
}

const fn switch(name: &'static str, verb: Verb) -> Entry {
    Entry {
        name,
        usage: "OPTION ...",
        form: Form::Switch(verb),
        needs: Needs::Nothing,
    }
}

const fn foreign(name: &'static str) -> Entry {
    Entry {
        name,
        usage: "...",
        form: Form::Foreign,
        needs: Needs::Link,
    }
}

const ENABLE: Entry = switch("enable", Verb::Enable);
const DISABLE: Entry = switch("disable", Verb::Disable);
const ACCEPT: Entry = switch("accept", Verb::Accept);
const DENY: Entry = switch("deny", Verb::Deny);
const YES: Entry = switch("yes", Verb::Yes);
const NO: Entry = switch("no", Verb::No);
/// Any number of arguments.
const MANY: usize = crate::lexer::MAX_WORDS;

/// Everything that may begin a command.
pub const COMMANDS: &[Entry] = &[
    leaf("authname", "NAME [CI]", 1, 2),
    leaf("bundle", "NAME", 1, 1),
    leaf("close", "[LAYER]", 0, 1),
    menu("create", CREATE, Needs::Nothing),
    menu("destroy", DESTROY, Needs::Nothing),
    leaf("exit", "", 0, 0),
    leaf("help", "[COMMAND ...]", 0, MANY),
    leaf("iface", "INTERFACE", 1, 1),
    leaf("link", "NAME", 1, 1),
    leaf("load", "[FILE] LABEL", 1, 2),
    leaf("log", "[+|-]WORD ...", 0, MANY),
    leaf("msession", "ID", 1, 1),
    leaf("open", "[LAYER]", 0, 1),
    leaf("quit", "", 0, 0),
    leaf("repeater", "NAME", 1, 1),
    leaf("session", "ID", 1, 1),
    menu("set", SET, Needs::Nothing),
    leaf("show", "WORD ...", 0, MANY),
    leaf("shutdown", "", 0, 0),
    menu("unset", UNSET, Needs::Nothing),
];

const CREATE: &[Entry] = &[
    leaf("link", "[template|static] NAME TYPE|TEMPLATE", 2, 3),
    leaf("bundle", "[template|static] NAME [TEMPLATE]", 1, 3),
];

const DESTROY: &[Entry] = &[leaf("link", "[NAME]", 0, 1), leaf("bundle", "[NAME]", 0, 1)];

const UNSET: &[Entry] = &[
    menu("radius", UNSET_RADIUS, Needs::Link),
    menu("nat", UNSET_NAT, Needs::Bundle),
];

const UNSET_RADIUS: &[Entry] = &[leaf("server", "HOST [AUTH-PORT [ACCT-PORT]]", 1, 3)];

const UNSET_NAT: &[Entry] = &[RED_PORT, RED_ADDR, RED_PROTO];

/// `set ...`.
pub const SET: &[Entry] = &[
    menu("auth", SET_AUTH, Needs::Link),
    menu("bundle", SET_BUNDLE, Needs::Bundle),
    menu("ccp", SWITCHES, Needs::Bundle),
    menu("console", SET_SERVICE, Needs::Nothing),
    leaf("debug", "LEVEL", 1, 1),
    menu("eap", SWITCHES, Needs::Link),
    menu("ecp", SET_ECP, Needs::Bundle),
    menu("global", SET_GLOBAL, Needs::Nothing),
    menu("iface", SET_IFACE, Needs::Bundle),
    menu("ipcp", SET_IPCP, Needs::Bundle),
    menu("ippool", SET_IPPOOL, Needs::Nothing),
    menu("ipv6cp", SWITCHES, Needs::Bundle),
    menu("l2tp", SET_L2TP, Needs::Link),
    menu("link", SET_LINK, Needs::Link),
    foreign("modem"),
    menu("mppc", SWITCHES, Needs::Bundle),
    menu("nat", SET_NAT, Needs::Bundle),
    menu("netflow", SET_NETFLOW, Needs::Nothing),
    foreign("ng"),
    foreign("pppoe"),
    foreign("pptp"),
    menu("radius", SET_RADIUS, Needs::Link),
    menu("radsrv", SET_RADSRV, Needs::Nothing),
    foreign("tcp"),
    foreign("udp"),
    leaf("user", "NAME PASSWORD [admin|operator|user]", 2, 3),
    menu("web", SET_SERVICE, Needs::Nothing),
];

/// Menus that hold nothing but options.
const SWITCHES: &[Entry] = &[ENABLE, DISABLE, ACCEPT, DENY, YES, NO];

const SET_BUNDLE: &[Entry] = &[
    leaf("period", "SECONDS", 1, 1),
    leaf("lowat", "PERCENT", 1, 1),
    leaf("hiwat", "PERCENT", 1, 1),
    leaf("min-con", "SECONDS", 1, 1),
    leaf("min-dis", "SECONDS", 1, 1),
    leaf("links", "LINK ...", 1, 16),
    leaf("fsm-timeout", "SECONDS", 1, 1),
    ENABLE,
    DISABLE,
    ACCEPT,
    DENY,
    YES,
    NO,
];

const SET_LINK: &[Entry] = &[
    menu("action", LINK_ACTION, Needs::Link),
    leaf("bandwidth", "BITS-PER-SECOND", 1, 1),
    leaf("latency", "MICROSECONDS", 1, 1),
    leaf("accmap", "HEX", 1, 1),
    leaf("mrru", "OCTETS", 1, 1),
    leaf("mru", "OCTETS", 1, 1),
    leaf("mtu", "OCTETS", 1, 1),
    leaf("fsm-timeout", "SECONDS", 1, 1),
    leaf("max-redial", "NUMBER", 1, 1),
    leaf("redial-delay", "SECONDS", 1, 1),
    leaf("max-children", "NUMBER", 1, 1),
    leaf("keep-alive", "SECONDS MAXIMUM", 2, 2),
    leaf("ident", "TEXT", 1, 1),
    ENABLE,
    DISABLE,
    ACCEPT,
    DENY,
    YES,
    NO,
];

const LINK_ACTION: &[Entry] = &[
    leaf("bundle", "BUNDLE [REGEX]", 1, 2),
    leaf("forward", "LINK [REGEX]", 1, 2),
    leaf("drop", "[REGEX]", 0, 1),
    leaf("clear", "", 0, 0),
];

const SET_IFACE: &[Entry] = &[
    leaf("addrs", "SELF PEER", 2, 2),
    leaf("route", "default|NETWORK[/WIDTH]", 1, 1),
    leaf("mtu", "OCTETS [override]", 1, 2),
    leaf("name", "[NAME]", 0, 1),
    leaf("description", "[TEXT]", 0, 1),
    leaf("group", "GROUP", 1, 1),
    leaf("up-script", "[PROGRAM]", 0, 1),
    leaf("down-script", "[PROGRAM]", 0, 1),
    leaf("idle", "SECONDS", 1, 1),
    leaf("session", "SECONDS", 1, 1),
    ENABLE,
    DISABLE,
];

const SET_IPCP: &[Entry] = &[
    leaf(
        "ranges",
        "SELF[/WIDTH]|ippool POOL PEER[/WIDTH]|ippool POOL",
        2,
        4,
    ),
    leaf("dns", "FIRST [SECOND]", 1, 2),
    leaf("nbns", "FIRST [SECOND]", 1, 2),
    ENABLE,
    DISABLE,
    ACCEPT,
    DENY,
    YES,
    NO,
];

const SET_IPPOOL: &[Entry] = &[leaf("add", "POOL FIRST LAST", 3, 3)];

const SET_ECP: &[Entry] = &[
    leaf("key", "KEY", 1, 1),
    ENABLE,
    DISABLE,
    ACCEPT,
    DENY,
    YES,
    NO,
];

const SET_AUTH: &[Entry] = &[
    leaf("max-logins", "NUMBER [CI]", 1, 2),
    leaf("authname", "NAME", 1, 1),
    leaf("password", "PASSWORD", 1, 1),
    leaf("extauth-script", "PROGRAM", 1, 1),
    leaf("extacct-script", "PROGRAM", 1, 1),
    leaf("acct-update", "SECONDS", 1, 1),
    leaf("update-limit-in", "OCTETS", 1, 1),
    leaf("update-limit-out", "OCTETS", 1, 1),
    leaf("timeout", "SECONDS", 1, 1),
    ENABLE,
    DISABLE,
    ACCEPT,
    DENY,
    YES,
    NO,
];

const SET_RADIUS: &[Entry] = &[
    leaf("server", "HOST SECRET [AUTH-PORT [ACCT-PORT]]", 2, 4),
    leaf("src-addr", "ADDRESS", 1, 1),
    leaf("me", "ADDRESS", 1, 1),
    leaf("v6me", "ADDRESS", 1, 1),
    leaf("identifier", "NAME", 1, 1),
    leaf("timeout", "SECONDS", 1, 1),
    leaf("retries", "NUMBER", 1, 1),
    leaf("config", "FILE", 1, 1),
    ENABLE,
    DISABLE,
];

const SET_RADSRV: &[Entry] = &[
    leaf("open", "", 0, 0),
    leaf("close", "", 0, 0),
    leaf("self", "ADDRESS [PORT]", 1, 2),
    leaf("peer", "HOST SECRET", 2, 2),
    ENABLE,
    DISABLE,
];

/// console and web.
const SET_SERVICE: &[Entry] = &[
    leaf("open", "", 0, 0),
    leaf("close", "", 0, 0),
    leaf("self", "ADDRESS [PORT]", 1, 2),
    ENABLE,
    DISABLE,
];

const SET_GLOBAL: &[Entry] = &[
    leaf("startrule", "NUMBER", 1, 1),
    leaf("startqueue", "NUMBER", 1, 1),
    leaf("startpipe", "NUMBER", 1, 1),
    leaf("starttable", "NUMBER", 1, 1),
    leaf("l2tptimeout", "SECONDS", 1, 1),
    leaf("l2tplimit", "NUMBER", 1, 1),
    leaf("pptptimeout", "SECONDS", 1, 1),
    leaf("pptplimit", "NUMBER", 1, 1),
    leaf("max-children", "NUMBER", 1, 1),
    leaf("qthreshold", "LOW HIGH", 2, 2),
    leaf("filter", "NUMBER add RULE FILTER | NUMBER clear", 2, 4),
    ENABLE,
    DISABLE,
];

const RED_PORT: Entry = leaf(
    "red-port",
    "PROTOCOL ALIAS-ADDRESS ALIAS-PORT LOCAL-ADDRESS LOCAL-PORT [REMOTE-ADDRESS REMOTE-PORT]",
    5,
    7,
);
const RED_ADDR: Entry = leaf("red-addr", "ALIAS-ADDRESS LOCAL-ADDRESS", 2, 2);
const RED_PROTO: Entry = leaf(
    "red-proto",
    "PROTOCOL ALIAS-ADDRESS LOCAL-ADDRESS [REMOTE-ADDRESS]",
    3,
    4,
);

const SET_NAT: &[Entry] = &[
    leaf("address", "ADDRESS", 1, 1),
    leaf("target", "ADDRESS", 1, 1),
    RED_PORT,
    RED_ADDR,
    RED_PROTO,
    ENABLE,
    DISABLE,
];

const SET_NETFLOW: &[Entry] = &[
    leaf("export", "ADDRESS PORT", 2, 2),
    leaf("self", "ADDRESS [PORT]", 1, 2),
    leaf("timeouts", "INACTIVE ACTIVE", 2, 2),
    leaf("node", "NAME", 1, 1),
    leaf("hook", "NUMBER", 1, 1),
    leaf("mtu", "OCTETS", 1, 1),
    leaf("version", "5|9", 1, 1),
];

const SET_L2TP: &[Entry] = &[
    leaf("self", "ADDRESS [PORT]", 1, 2),
    leaf("peer", "ADDRESS[/WIDTH] [PORT]", 1, 2),
    leaf("callingnum", "NUMBER", 1, 1),
    leaf("callednum", "NUMBER", 1, 1),
    leaf("hostname", "NAME", 1, 1),
    leaf("pmask", "PATTERN", 1, 1),
    leaf("secret", "SECRET", 1, 1),
    ENABLE,
    DISABLE,
];

/// A command found in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The whole words, joined by blanks: `set link mtu`.
    pub path: String,
    /// The last of them.
    pub entry: &'static Entry,
    /// The strictest object need on the way.
    pub needs: Needs,
    /// The word that names the setting.
    pub span: &'a Span,
    /// What follows.
    pub arguments: &'a [Word],
}

/// Follows the words down the tree, abbreviations included.
///
/// # Errors
/// An unknown or ambiguous word, a menu without a word after it, too few or too many arguments.
pub fn resolve(words: &[Word]) -> Result<Resolved<'_>, Problem> {
    let mut entries = COMMANDS;
    let mut path = String::new();
    let mut needs = Needs::Nothing;
    let mut last: Option<&Word> = None;
    let mut rest = words.iter();
    loop {
        let Some(word) = rest.next() else {
            let names = names(entries);
            let span = last.or(words.first()).map(|word| word.span.clone());
            let span = span.unwrap_or(Span {
                file: "".into(),
                line: 1,
                column: 1,
            });
            return Err(Problem::new(&span, format!("'{path}' is not complete"))
                .remedy(format!("one of {names} follows")));
        };
        let entry = find(entries, word, &path)?;
        if !path.is_empty() {
            path.push(' ');
        }
        path.push_str(entry.name);
        last = Some(word);
        if entry.needs != Needs::Nothing {
            needs = entry.needs;
        }
        let arguments = rest.as_slice();
        match entry.form {
            Form::Menu(inner) => entries = inner,
            Form::Leaf { least, most } if (least..=most).contains(&arguments.len()) => {
                return Ok(Resolved {
                    path,
                    entry,
                    needs,
                    span: &word.span,
                    arguments,
                });
            }
            Form::Leaf { most, .. } => {
                let usage = format!("write {path} {}", entry.usage);
                let (at, what) = match arguments.get(most) {
                    Some(extra) => (&extra.span, "too many words after"),
                    None => (&word.span, "too few words after"),
                };
                return Err(Problem::new(at, format!("{what} '{path}'"))
                    .remedy(usage.trim_end().to_owned()));
            }
            Form::Switch(_) if arguments.is_empty() => {
                return Err(
                    Problem::new(&word.span, format!("too few words after '{path}'"))
                        .remedy(format!("write {path} {}", entry.usage)),
                );
            }
            Form::Switch(_) | Form::Foreign => {
                return Ok(Resolved {
                    path,
                    entry,
                    needs,
                    span: &word.span,
                    arguments,
                });
            }
        }
    }
}

/// An exact name, or the only one that begins so.
fn find(entries: &'static [Entry], word: &Word, path: &str) -> Result<&'static Entry, Problem> {
    if let Some(entry) = entries.iter().find(|entry| entry.name == word.text) {
        return Ok(entry);
    }
    let begins = |entry: &&Entry| !word.text.is_empty() && entry.name.starts_with(&word.text);
    let mut found = entries.iter().filter(begins);
    let place = if path.is_empty() {
        String::new()
    } else {
        format!(" after '{path}'")
    };
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry),
        (None, _) => Err(
            Problem::new(&word.span, format!("unknown word '{}'{place}", word.text))
                .remedy(format!("one of {}", names(entries))),
        ),
        (Some(_), Some(_)) => {
            let candidates: Vec<_> = entries
                .iter()
                .filter(begins)
                .map(|entry| entry.name)
                .collect();
            Err(
                Problem::new(&word.span, format!("'{}' is ambiguous{place}", word.text))
                    .remedy(format!("it may be {}", candidates.join(", "))),
            )
        }
    }
}

fn names(entries: &[Entry]) -> String {
    entries
        .iter()
        .map(|entry| entry.name)
        .collect::<Vec<_>>()
        .join(", ")
}

//! The commands of mpd5's console: names, usage, who may use them, and what has to be selected.
//! They may be abbreviated as long as one only is meant, as in mpd5.

use super::Role;

/// What has to be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Link,
    Bundle,
}

/// What a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Menu(&'static [Command]),
    Leaf,
    /// A menu whose own name is a command too.
    Either(&'static [Command]),
}

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Its word and its arguments.
    pub(super) usage: &'static str,
    pub(super) about: &'static str,
    pub(super) role: Role,
    pub(super) needs: Needs,
    pub(super) kind: Kind,
}

impl Command {
    pub(super) fn name(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or_default()
    }
}

const fn leaf(usage: &'static str, about: &'static str, role: Role, needs: Needs) -> Command {
    Command {
        usage,
        about,
        role,
        needs,
        kind: Kind::Leaf,
    }
}

const fn menu(
    usage: &'static str,
    about: &'static str,
    role: Role,
    entries: &'static [Command],
) -> Command {
    Command {
        usage,
        about,
        role,
        needs: Needs::Nothing,
        kind: Kind::Menu(entries),
    }
}

use Needs::{Bundle, Link, Nothing};
use Role::{Admin, Operator, User};

/// The top level.
pub(super) const COMMANDS: &[Command] = &[
    leaf(
        "authname {name} [CI]",
        "Choose link by auth name",
        User,
        Nothing,
    ),
    leaf("bundle [{name}]", "Choose/list bundles", User, Nothing),
    leaf("close [{layer}]", "Close a layer", Operator, Nothing),
    leaf("create ...", "Create new item", Admin, Nothing),
    leaf("destroy ...", "Destroy item", Admin, Nothing),
    leaf("exit", "Exit console", User, Nothing),
    leaf("iface {iface}", "Choose bundle by iface", User, Nothing),
    leaf("help ...", "Help on any command", User, Nothing),
    leaf("link {name}", "Choose link", User, Nothing),
    leaf(
        "load [{file}] {label}",
        "Read from config file",
        Admin,
        Nothing,
    ),
    leaf("log [+/-{opt} ...]", "Set/view log options", Admin, Nothing),
    leaf(
        "msession {msesid}",
        "Ch. bundle by msession-id",
        User,
        Nothing,
    ),
    leaf("open [{layer}]", "Open a layer", Operator, Nothing),
    leaf("quit", "Shutdown program", Admin, Nothing),
    leaf("shutdown", "Shutdown program", Admin, Nothing),
    leaf("repeater [{name}]", "Choose/list repeaters", User, Nothing),
    leaf(
        "session {sesid}",
        "Choose link by session-id",
        User,
        Nothing,
    ),
    leaf("set ...", "Set parameters", Admin, Nothing),
    leaf("unset ...", "Unset parameters", Admin, Nothing),
    menu("show ...", "Show status", User, SHOW),
];

const SHOW: &[Command] = &[
    leaf("bundle [{name}]", "Bundle status", User, Bundle),
    leaf("customer", "Customer summary", User, Nothing),
    leaf("repeater [{name}]", "Repeater status", User, Nothing),
    leaf("ccp", "CCP status", User, Bundle),
    leaf("mppc", "MPPC status", User, Bundle),
    leaf("ecp", "ECP status", User, Bundle),
    leaf("eap", "EAP status", User, Link),
    leaf("events", "Current events", User, Nothing),
    leaf("ipcp", "IPCP status", User, Bundle),
    leaf("ipv6cp", "IPV6CP status", User, Bundle),
    leaf("ippool", "IP pool status", User, Nothing),
    leaf("iface", "Interface status", User, Bundle),
    leaf("routes", "IP routing table", User, Nothing),
    leaf("layers", "Layers to open/close", User, Nothing),
    leaf("device", "Physical device status", User, Link),
    leaf("l2tp", "L2TP tunnels status", User, Nothing),
    leaf("link", "Link status", User, Link),
    leaf("auth", "Auth status", User, Link),
    leaf("radius", "RADIUS status", User, Link),
    leaf("radsrv", "RADIUS server status", User, Nothing),
    leaf("lcp", "LCP status", User, Link),
    leaf("nat", "NAT status", User, Bundle),
    leaf("mem", "Memory map", User, Nothing),
    leaf("console", "Console status", User, Nothing),
    leaf("web", "Web status", User, Nothing),
    leaf("user", "Console users", User, Nothing),
    leaf("global", "Global settings", User, Nothing),
    leaf("types", "Supported device types", User, Nothing),
    leaf("version", "Version string", User, Nothing),
    Command {
        usage: "sessions [ {param} {value} ]",
        about: "Active sessions",
        role: User,
        needs: Nothing,
        kind: Kind::Either(SESSIONS),
    },
    leaf("summary", "Daemon status summary", User, Nothing),
    leaf("netflow", "Netflow settings", User, Nothing),
];

const SESSIONS: &[Command] = &[
    leaf("iface {name}", "Filter by iface name", User, Nothing),
    leaf("ip {ip}", "Filter by IP address", User, Nothing),
    leaf("user {name}", "Filter by user name", User, Nothing),
    leaf("session {ID}", "Filter by session ID", User, Nothing),
    leaf("msession {ID}", "Filter by msession ID", User, Nothing),
    leaf("bundle {name}", "Filter by bundle name", User, Nothing),
    leaf("link {name}", "Filter by link name", User, Nothing),
    leaf("peer {name}", "Filter by peer name", User, Nothing),
];

/// Why a word is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFound {
    Unknown,
    Ambiguous,
}

/// The command that `word` begins; one must be meant, even if it is written out.
pub(super) fn find(
    commands: &'static [Command],
    word: &str,
    role: Role,
) -> Result<&'static Command, NotFound> {
    let mut meant = commands
        .iter()
        .filter(|command| command.role <= role && command.usage.starts_with(word));
    match (meant.next(), meant.next()) {
        (Some(command), None) => Ok(command),
        (None, _) => Err(NotFound::Unknown),
        (Some(_), Some(_)) => Err(NotFound::Ambiguous),
    }
}

//! `show sessions`, `show summary`, `show l2tp`, `show ippool`.

use super::{Lines, on};
use crate::console::view::{SessionView, View};

/// Those that have a bundle, one line each, separated by tabs.
pub(crate) fn sessions(view: &View<'_>, filter: impl Fn(&SessionView) -> bool) -> String {
    let mut lines = Lines::default();
    let joined = view.sessions.iter().filter(|s| !s.bundle.is_empty());
    for session in joined.filter(|session| filter(session)) {
        let mut line = [
            session.interface.clone(),
            session.peer_address().to_string(),
            session.bundle.clone(),
            session.msession_id(),
            session.link.clone(),
            session.number.to_string(),
            session.session_id(),
            session.user.clone(),
            session.peer.ip().to_string(),
        ]
        .join("\t");
        if view.config.console.session_time && session.established {
            line += &format!("\t{}", session.age);
        }
        lines.line(line);
    }
    lines.done()
}

/// Links without a bundle, then bundles with their links.
pub(crate) fn summary(view: &View<'_>) -> String {
    let mut lines = Lines::default();
    lines.line("Current daemon status summary");
    lines.line("Iface\tBund\t\tLink\tLCP\tDevice\t\tUser\t\tFrom");
    let templates = view.config.links.iter().map(|link| &link.name);
    for name in templates.chain(&view.idle_connections) {
        lines.line(format_args!(
            "\t\t\t{name}\tInitial\tl2tp\tDOWN\t{:>8}\t",
            ""
        ));
    }
    for session in view.sessions.iter().filter(|s| s.bundle.is_empty()) {
        lines.line(format_args!("\t\t\t{}", device(session)));
    }
    for name in view.config.bundles.keys() {
        lines.line(format_args!("\t{name}\tDown\t"));
    }
    for session in view.sessions.iter().filter(|s| !s.bundle.is_empty()) {
        lines.line(format_args!(
            "{}\t{}\t{}\t{}",
            session.interface,
            session.bundle,
            on(session),
            device(session)
        ));
    }
    lines.done()
}

fn device(session: &SessionView) -> String {
    format!(
        "{}\t{}\tl2tp\t{}\t{:>8}\t{}",
        session.link,
        session.lcp_state(),
        session.device_state(),
        session.user,
        session.peer.ip()
    )
}

/// Where mpd5 has the address of a structure we have the tunnel's number.
pub(crate) fn l2tp(view: &View<'_>) -> String {
    let mut lines = Lines::default();
    lines.line("Active L2TP tunnels:");
    for tunnel in &view.tunnels {
        let state = match tunnel.state.as_str() {
            "closing" => "dying",
            state => state,
        };
        lines.line(format_args!(
            "{:#x}\t {} {} <=> {} {}\t{state} {} calls",
            tunnel.id,
            tunnel.local.ip(),
            tunnel.local.port(),
            tunnel.peer.ip(),
            tunnel.peer.port(),
            tunnel.sessions
        ));
    }
    lines.done()
}

/// Pools with what is used of them.
pub(crate) fn ippool(view: &View<'_>) -> String {
    let mut lines = Lines::default();
    lines.line("Available IP pools:");
    for (name, used, size) in &view.pools {
        lines.line(format_args!("\t{name}:\tused {used:>4} of {size:>4}"));
    }
    lines.done()
}

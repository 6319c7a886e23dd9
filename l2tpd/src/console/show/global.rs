//! `show console`, `show web`, `show user`, `show global`, `show version`.

use std::net::SocketAddr;

use super::Lines;
use crate::console::Role;
use crate::console::view::View;

fn service(lines: &mut Lines, listen: Option<SocketAddr>, port: u16) {
    let state = if listen.is_some() { "OPENED" } else { "CLOSED" };
    let address = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
    lines.line(format_args!("\tState         : {state}"));
    lines.line(format_args!("\tIP-Address    : {}", address.ip()));
    lines.line(format_args!("\tPort          : {}", address.port()));
}

/// Where the console is.
pub(crate) fn console(view: &View<'_>) -> String {
    let console = &view.config.console;
    let mut lines = Lines::default();
    lines.line("Configuration:");
    service(&mut lines, console.listen, 5005);
    lines.line("Active sessions:");
    lines.line("Global options:");
    lines.options(&[("auth", console.login, None)]);
    lines.line("This session options:");
    lines.options(&[("logging", false, None)]);
    lines.done()
}

/// Where the web page is.
pub(crate) fn web(view: &View<'_>) -> String {
    let console = &view.config.console;
    let mut lines = Lines::default();
    lines.line("Web configuration:");
    service(&mut lines, console.web, 5006);
    lines.line("Web options:");
    lines.options(&[("auth", console.web_login, None)]);
    lines.done()
}

/// Who may use them.
pub(crate) fn users(view: &View<'_>) -> String {
    let mut lines = Lines::default();
    lines.line("Configured users:");
    for user in &view.config.console.users {
        let role = match user.role {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::User => "user",
        };
        lines.line(format_args!("\tUsername: {:<15} Priv: {role}", user.name));
    }
    lines.done()
}

/// `set global`.
pub(crate) fn global(view: &View<'_>) -> String {
    let mut lines = Lines::default();
    let config = view.config;
    lines.line("Global settings:");
    lines.line(format_args!(
        "\tl2tptimeout\t: {}",
        config.l2tp.idle.as_secs()
    ));
    lines.line(format_args!(
        "\tl2tplimit\t: {}",
        config.limits.sessions_per_tunnel
    ));
    lines.line(format_args!("\tmax-children\t: {}", config.limits.sessions));
    lines.line("\tqthreshold\t: 64 256");
    lines.line("Global options:");
    lines.options(&[
        ("tcp-wrapper", false, None),
        ("one-shot", false, None),
        ("agent-cid", false, None),
        ("session-time", config.console.session_time, None),
    ]);
    lines.line("Global traffic filters:");
    lines.line("Global state:");
    lines.line(format_args!("\tchildren\t: {}", view.sessions.len()));
    lines.done()
}

/// What mpd5 tells of itself; we are none, and have none of its features.
pub(crate) fn version() -> String {
    let mut lines = Lines::default();
    lines.line(concat!("MPD version: l2tpd ", env!("CARGO_PKG_VERSION")));
    lines.line("  Available features:");
    for (name, there) in [
        ("ipfw rules\t", false),
        ("config fetch\t", false),
        ("backtrace()\t", false),
        ("ng_bpf\t\t", false),
        ("ng_car\t\t", false),
        ("ng_deflate\t", false),
        ("ng_ipacct\t", false),
        ("ng_mppc (MPPC)\t", false),
        ("ng_mppc (MPPE)\t", false),
        ("ng_nat\t\t", false),
        ("ng_netflow\t", false),
        ("ng_pred1\t", false),
        ("ng_tcpmss\t", true),
    ] {
        lines.line(format_args!(
            "\t{name}: {}",
            if there { "yes" } else { "no" }
        ));
    }
    lines.done()
}

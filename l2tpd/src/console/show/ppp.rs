//! What PPP agreed on with one link: `show lcp`, `show auth`.

use ppp_proto::AuthMethod;

use super::link::selected;
use super::{Lines, server};
use crate::console::commands::Context;
use crate::console::view::{SessionView, View};

/// What LCP agreed on.
pub(crate) fn lcp(view: &View<'_>, context: &Context) -> String {
    let link = selected(view, context);
    let state = link.session.map_or("Initial", SessionView::lcp_state);
    let ppp = link.session.and_then(|session| session.ppp.as_ref());
    let lcp = ppp.and_then(|ppp| ppp.lcp);
    let protocol = |method: Option<AuthMethod>| match method {
        None => "none",
        Some(AuthMethod::Pap) => "PAP",
        Some(AuthMethod::ChapMd5 | AuthMethod::MsChapV2) => "CHAP",
    };
    let method = ppp.and_then(|ppp| ppp.method);
    let (ours, theirs) = match link.session {
        Some(session) if session.incoming => (method, None),
        _ => (None, method),
    };
    let yes = |on: bool| if on { "Yes" } else { "No" };
    let mut lines = Lines::default();
    lines.line(format_args!("LCP [{state}]"));
    let mut side = |title: &str, mru: u16, magic: u32, acfc: bool, pfc: bool, auth| {
        lines.line(format_args!("{title}:"));
        lines.line(format_args!("\tMRU      : {mru} bytes"));
        lines.line(format_args!("\tMAGIC    : {magic:#010x}"));
        lines.line("\tACCMAP   : 0x00000000");
        lines.line(format_args!("\tACFCOMP  : {}", yes(acfc)));
        lines.line(format_args!("\tPROTOCOMP: {}", yes(pfc)));
        lines.line(format_args!("\tAUTHTYPE : {}", protocol(auth)));
    };
    match lcp {
        None => {
            side("Self", 0, 0, false, false, None);
            side("Peer", 0, 0, false, false, None);
        }
        Some(lcp) => {
            let (acfc, pfc) = (lcp.receive_acfc, lcp.receive_pfc);
            side("Self", lcp.our_mru, lcp.magic, acfc, pfc, ours);
            let (acfc, pfc) = (lcp.send_acfc, lcp.send_pfc);
            side("Peer", lcp.peer_mru, lcp.peer_magic, acfc, pfc, theirs);
        }
    }
    lines.done()
}

/// How peers log in, and what this one got.
pub(crate) fn auth(view: &View<'_>, context: &Context) -> String {
    let link = selected(view, context);
    let session = link.session;
    let settings = session.and_then(|session| session.settings.as_ref());
    let mut lines = Lines::default();
    let connection = view.config.connections.get(link.name);
    let limit = view.config.limits.sessions_per_user;
    let ignore_case = limit.is_some_and(|limit| limit.ignore_case);
    lines.line("Configuration:");
    lines.line(format_args!(
        "\tMy authname     : {}",
        connection.map_or("", |connection| &connection.user)
    ));
    lines.line(format_args!(
        "\tMax-Logins      : {}{}",
        limit.map_or(0, |limit| limit.sessions),
        if ignore_case { " CI" } else { "" }
    ));
    lines.line("\tAcct Update     : 0");
    lines.line("\t   Limit In     : 0");
    lines.line("\t   Limit Out    : 0");
    let timeout = link
        .profile
        .map_or(60, |p| p.authentication_timeout.as_secs());
    lines.line(format_args!("\tAuth timeout    : {timeout}"));
    lines.line("\tExtAuth script  : ");
    lines.line("\tExtAcct script  : ");
    lines.line("Auth options");
    let off = |name| (name, false, None);
    lines.options(&[
        off("radius-auth"),
        off("radius-acct"),
        ("internal", true, None),
        off("ext-auth"),
        off("ext-acct"),
        off("system-auth"),
        off("system-acct"),
        off("pam-auth"),
        off("pam-acct"),
        off("acct-mandatory"),
    ]);
    lines.line("Auth Data");
    let user = session.map_or("", |session| &session.user);
    lines.line(format_args!("\tPeer authname   : {user}"));
    lines.line("\tInterface name  : ");
    lines.line("\tInterface descr.: \"<none>\"");
    lines.line("\tInterface group : ");
    lines.line("\tIP range        : ");
    let pool = settings.map_or("", |settings| &settings.pool);
    lines.line(format_args!("\tIP pool         : {pool}"));
    for (name, list) in [
        ("DNS ", settings.map(|settings| &settings.dns)),
        ("NBNS", settings.map(|settings| &settings.nbns)),
    ] {
        let list = list.map_or(&[][..], Vec::as_slice);
        lines.line(format_args!(
            "\t{name}            : {} {}",
            server(list, 0),
            server(list, 1)
        ));
    }
    lines.line("\tVJ Compression  : no");
    lines.line("\tMTU             : 0");
    lines.line("\tSession-Timeout : 0");
    lines.line("\tIdle-Timeout    : 0");
    lines.line("\tAcct-Update     : 0");
    for line in [
        "Routes          :",
        "Traffic filters :",
        "Traffic limits  :",
        "MS-Domain       : ",
        "MPPE Types      : Not available",
        "MPPE Policy     : no encryption required",
        "MPPE Keys       : no",
    ] {
        lines.line(format_args!("\t{line}"));
    }
    lines.done()
}

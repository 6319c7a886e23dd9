//! One link: `show link`, `show lcp`, `show auth`, `show device`, `show customer`.

use std::sync::Arc;

use ppp_proto::AuthMethod;

use super::{Lines, address, server};
use crate::config::LinkProfile;
use crate::console::commands::Context;
use crate::console::view::{SessionView, View};

/// What a context's link is.
struct Selected<'v> {
    name: &'v str,
    template: bool,
    session: Option<&'v SessionView>,
    profile: Option<&'v Arc<LinkProfile>>,
}

fn selected<'v>(view: &'v View<'_>, context: &'v Context) -> Selected<'v> {
    let name = context.link.as_deref().unwrap_or_default();
    let session = view.sessions.iter().find(|session| session.link == name);
    let template = view.config.links.iter().find(|link| link.name == name);
    let profile = session.and_then(|session| session.profile.as_ref());
    Selected {
        name,
        template: session.is_none() && template.is_some(),
        session,
        profile: profile.or(template),
    }
}

/// Its settings, options, state and traffic.
pub(crate) fn link(view: &View<'_>, context: &Context) -> String {
    let link = selected(view, context);
    let mut lines = Lines::default();
    let kind = match (link.template, link.session) {
        (true, _) => " (template)",
        (false, Some(session)) if session.incoming => "",
        (false, _) => " (static)",
    };
    lines.line(format_args!("Link {}{kind}:", link.name));
    let connection = view.config.connections.get(link.name);
    let mru = match (link.profile, connection) {
        (Some(profile), _) => profile.mru,
        (None, Some(connection)) => connection.mru,
        (None, None) => 1500,
    };
    lines.line("Configuration:");
    lines.line("\tDevice type    : l2tp");
    lines.line(format_args!("\tMRU            : {mru} bytes"));
    lines.line("\tMRRU           : 0 bytes");
    lines.line("\tCtrl char map  : 0x00000000 bytes");
    lines.line("\tRetry timeout  : 2 seconds");
    lines.line(format_args!("\tMax redial     : {}", redial(connection)));
    lines.line("\tBandwidth      : 64000 bits/sec");
    lines.line("\tLatency        : 2000 usec");
    let echo = link.profile.and_then(|profile| {
        let interval = profile.echo_interval?.as_secs();
        Some((interval, interval * u64::from(profile.echo_failures)))
    });
    lines.line(match echo {
        None => "\tKeep-alive     : disabled".to_owned(),
        Some((every, timeout)) => {
            format!("\tKeep-alive     : every {every} secs, timeout {timeout}")
        }
    });
    lines.line("\tIdent string   : \"\"");
    if let (true, Some(profile)) = (link.template, link.profile) {
        let most = profile.max_sessions.unwrap_or(view.config.limits.sessions);
        lines.line(format_args!("\tMax children   : {most}"));
    }
    lines.line("Link incoming actions:");
    for action in link.profile.iter().flat_map(|profile| &profile.actions) {
        let (what, name) = match &action.bundle {
            Some(bundle) => ("Bundle", bundle.name.as_str()),
            None => ("Drop", ""),
        };
        let pattern = action
            .pattern
            .as_ref()
            .map_or("", |pattern| pattern.as_str());
        lines.line(format_args!("\t{what}\t{name}\t{pattern}"));
    }
    lines.line("Link level options:");
    options(&mut lines, link.profile);
    lines.line("Link state:");
    match link.session {
        None if link.template => {
            let children = view.sessions.iter().filter(|session| {
                let profile = session.profile.as_ref();
                profile.is_some_and(|profile| profile.name == link.name)
            });
            lines.line(format_args!("\tChildren       : {}", children.count()));
        }
        None => {
            lines.line("\tState          : DOWN");
            lines.line("\tSession Id     : ");
            lines.line("\tPeer ident     : ");
            lines.line("Up/Down stats:");
        }
        Some(session) => {
            lines.line(format_args!(
                "\tState          : {}",
                session.device_state()
            ));
            lines.line(format_args!("\tSession Id     : {}", session.session_id()));
            lines.line("\tPeer ident     : ");
            if session.established {
                lines.line(format_args!("\tSession time   : {} seconds", session.age));
            }
            lines.line("Up/Down stats:");
            if let Some(reason) = &session.reason {
                lines.line(format_args!("\tDown Reason    : {reason}"));
            }
            if !session.bundle.is_empty() {
                lines.line("Traffic stats:");
                lines.traffic("\t", session);
                lines.line("\tDup fragments  : 0");
                lines.line("\tDrop fragments : 0");
            }
        }
    }
    lines.done()
}

fn redial(connection: Option<&crate::config::Connection>) -> String {
    let Some(connection) = connection.filter(|connection| connection.automatic) else {
        return "no redial".to_owned();
    };
    let delay = connection.retry.as_secs();
    match connection.attempts {
        None => format!("unlimited, delay {delay}s"),
        Some(attempts) => format!("{attempts} connect attempts, delay {delay}s"),
    }
}

fn options(lines: &mut Lines, profile: Option<&Arc<LinkProfile>>) {
    let with = |method: AuthMethod| {
        profile.is_some_and(|profile| profile.authentication.contains(&method))
    };
    let both = |on: bool| (on, Some(on));
    let own = |on: bool| (on, None);
    let (pfc, acfc) = profile.map_or((true, true), |profile| {
        (profile.protocol_compression, profile.address_compression)
    });
    let rows = [
        ("incoming", own(profile.is_some())),
        ("pap", both(with(AuthMethod::Pap))),
        ("chap-md5", both(with(AuthMethod::ChapMd5))),
        ("chap-msv1", both(false)),
        ("chap-msv2", both(with(AuthMethod::MsChapV2))),
        ("eap", both(false)),
        ("acfcomp", both(acfc)),
        ("protocomp", both(pfc)),
        ("keep-ms-domain", own(false)),
        ("magicnum", own(true)),
        ("passive", own(false)),
        ("check-magic", own(true)),
        ("no-orig-auth", own(true)),
        ("callback", own(false)),
        ("multilink", own(false)),
        ("shortseq", both(false)),
        ("time-remain", own(false)),
        ("peer-as-calling", own(false)),
        ("report-mac", own(false)),
        ("remove-tee", own(true)),
    ];
    lines.options(&rows.map(|(name, (enabled, accepted))| (name, enabled, accepted)));
}

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

/// The call under it.
pub(crate) fn device(view: &View<'_>, context: &Context) -> String {
    let link = selected(view, context);
    let mut lines = Lines::default();
    let kind = if link.template {
        "template"
    } else {
        "instance"
    };
    lines.line(format_args!("Device '{}' ({kind})", link.name));
    lines.line("\tType         : l2tp");
    if !link.template {
        let state = link.session.map_or("DOWN", SessionView::device_state);
        lines.line(format_args!("\tState        : {state}"));
        if let Some(session) = link.session.filter(|session| session.established) {
            lines.line(format_args!("\tSession time : {} seconds", session.age));
        }
    }
    let connection = view.config.connections.get(link.name);
    let tunnel = link
        .profile
        .map(|profile| &profile.tunnel)
        .or(connection.map(|connection| &connection.tunnel));
    let profile = link.profile;
    lines.line("L2TP configuration:");
    lines.line(format_args!(
        "\tSelf addr    : {}, port {}",
        profile
            .and_then(|profile| profile.local_address)
            .map_or_else(|| "0.0.0.0".to_owned(), |local| local.to_string()),
        profile.and_then(|profile| profile.local_port).unwrap_or(0)
    ));
    lines.line("\tPeer FQDN    : ");
    let range = match (profile.and_then(|profile| profile.peer), connection) {
        (Some(network), _) => network.to_string(),
        (None, Some(connection)) => format!("{}/32", connection.server.ip()),
        (None, None) => "0.0.0.0/0".to_owned(),
    };
    lines.line(format_args!("\tPeer range   : {range}"));
    let host_name = tunnel.and_then(|tunnel| tunnel.host_name.as_deref());
    lines.line(format_args!(
        "\tHostname     : {}",
        host_name.unwrap_or_default()
    ));
    lines.line("\tPeer mask    : ");
    let secret = tunnel.is_some_and(|tunnel| tunnel.secret.is_some());
    lines.line(format_args!(
        "\tSecret       : {}",
        if secret { "******" } else { "" }
    ));
    let number = |of: fn(&crate::config::Connection) -> &String| {
        connection
            .map(|connection| of(connection).clone())
            .unwrap_or_default()
    };
    lines.line(format_args!(
        "\tCalling number: {}",
        number(|c| &c.calling_number)
    ));
    lines.line(format_args!(
        "\tCalled number: {}",
        number(|c| &c.called_number)
    ));
    lines.line("L2TP options:");
    lines.options(&[
        ("outcall", false, None),
        (
            "hidden",
            tunnel.is_some_and(|tunnel| tunnel.hide_avps),
            None,
        ),
        ("length", tunnel.is_none_or(|tunnel| tunnel.length), None),
        (
            "dataseq",
            tunnel.is_some_and(|tunnel| tunnel.sequencing),
            None,
        ),
        ("resolve-once", true, None),
    ]);
    lines.line("L2TP status:");
    if let Some(session) = link.session {
        let incoming = if session.incoming { "YES" } else { "NO" };
        lines.line(format_args!("\tIncoming     : {incoming}"));
        let own = host_name.unwrap_or(&view.config.host_name);
        lines.line(format_args!(
            "\tCurrent self : {}, port {} ({own})",
            session.local.ip(),
            session.local.port()
        ));
        lines.line(format_args!(
            "\tCurrent peer : {}, port {} ({})",
            session.peer.ip(),
            session.peer.port(),
            session.host_name
        ));
        // RFC 2661 section 4.4.3: bit 1 is synchronous.
        let framing = if session.call.framing & 1 == 1 {
            "Sync"
        } else {
            "Async"
        };
        lines.line(format_args!("\tFraming      : {framing}"));
        let number = |number: &Option<String>| number.clone().unwrap_or_default();
        lines.line(format_args!(
            "\tCalling number: {}",
            number(&session.call.calling_number)
        ));
        lines.line(format_args!(
            "\tCalled number: {}",
            number(&session.call.called_number)
        ));
    }
    lines.done()
}

/// All about one customer.
pub(crate) fn customer(view: &View<'_>, context: &Context) -> String {
    let mut lines = Lines::default();
    let Some(session) = view.selected(context) else {
        return String::new();
    };
    if !session.interface.is_empty() {
        lines.line("Interface:");
        lines.line(format_args!("\tName            : {}", session.interface));
        let state = if session.up { "UP" } else { "DOWN" };
        lines.line(format_args!("\tStatus          : {state}"));
        if session.up {
            lines.line(format_args!("\tSession time    : {} seconds", session.age));
            lines.line(format_args!("\tMTU             : {} bytes", session.mtu));
        }
        if let Some((local, peer)) = session.ipv4 {
            lines.line(format_args!("\tIP Addresses    : {local}/32 -> {peer}"));
        }
        if let Some((local, peer)) = session.ipv6 {
            let name = &session.interface;
            lines.line(format_args!(
                "\tIPv6 Addresses  : {local}%{name} -> {peer}%{name}"
            ));
        }
    }
    if !session.bundle.is_empty() {
        lines.line(format_args!("Bundle {}:", session.bundle));
        lines.line("\tStatus          : OPEN");
        lines.line(format_args!(
            "\tMulti Session Id: {}",
            session.msession_id()
        ));
        lines.line(format_args!("\tPeer authname   : \"{}\"", session.user));
        lines.line(format_args!("\tSession time    : {} seconds", session.age));
        lines.line("\tTraffic stats:");
        lines.traffic("\t\t", session);
    }
    lines.line(format_args!("Link {}:", session.link));
    lines.line("\tDevice type     : l2tp");
    lines.line(format_args!(
        "\tStatus          : {}/{}",
        session.lcp_state(),
        session.device_state()
    ));
    lines.line(format_args!("\tSession Id      : {}", session.session_id()));
    lines.line("\tPeer ident      : ");
    if session.established {
        lines.line(format_args!("\tSession time    : {} seconds", session.age));
    }
    let own = &view.config.host_name;
    lines.line(format_args!(
        "\tSelf addr (name): {} ({own})",
        session.local.ip()
    ));
    let peer = address(Some(session.peer.ip()));
    lines.line(format_args!(
        "\tPeer addr (name): {peer} ({})",
        session.host_name
    ));
    lines.line("\tPeer MAC address: ");
    lines.line("\tPeer iface      : ");
    let number = |number: &Option<String>| number.clone().unwrap_or_default();
    lines.line(format_args!(
        "\tCalling         : {}",
        number(&session.call.calling_number)
    ));
    lines.line(format_args!(
        "\tCalled          : {}",
        number(&session.call.called_number)
    ));
    if !session.bundle.is_empty() {
        lines.line("\tTraffic stats:");
        lines.traffic("\t\t", session);
    }
    lines.done()
}

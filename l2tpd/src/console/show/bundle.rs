//! One bundle: `show bundle`, `show iface`, `show ipcp`, `show ipv6cp`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ppp_proto::Network;

use super::{Lines, server};
use crate::config::profile::InterfaceMtu;
use crate::config::{Bundle, HookCommand};
use crate::console::commands::Context;
use crate::console::view::{SessionView, View};

/// What a context's bundle is.
struct Selected<'v> {
    name: &'v str,
    session: Option<&'v SessionView>,
    settings: Option<&'v Arc<Bundle>>,
}

impl Selected<'_> {
    fn kind(&self) -> &'static str {
        match self.session {
            None => " (template)",
            Some(session) if session.incoming => "",
            Some(_) => " (static)",
        }
    }
}

fn selected<'v>(view: &'v View<'_>, context: &'v Context) -> Selected<'v> {
    let name = context.bundle.as_deref().unwrap_or_default();
    let session = view.sessions.iter().find(|session| session.bundle == name);
    let settings = session.and_then(|session| session.settings.as_ref());
    Selected {
        name,
        session,
        settings: settings.or_else(|| view.config.bundles.get(name)),
    }
}

/// Its links, settings and traffic.
pub(crate) fn bundle(view: &View<'_>, context: &Context) -> String {
    let bundle = selected(view, context);
    let mut lines = Lines::default();
    lines.line(format_args!("Bundle '{}'{}:", bundle.name, bundle.kind()));
    let links = bundle.session.map_or_else(String::new, |session| {
        format!(
            "{}[{}/{}] ",
            session.link,
            session.lcp_state(),
            session.device_state()
        )
    });
    lines.line(format_args!("\tLinks          : {links}"));
    let status = if bundle.session.is_some() {
        "OPEN"
    } else {
        "CLOSED"
    };
    lines.line(format_args!("\tStatus         : {status}"));
    if let Some(session) = bundle.session {
        lines.line(format_args!("\tSession time   : {} seconds", session.age));
    }
    let id = bundle
        .session
        .map_or_else(String::new, SessionView::msession_id);
    lines.line(format_args!("\tMultiSession Id: {id}"));
    let bandwidth = if bundle.session.is_some() { 64_000 } else { 0 };
    lines.line(format_args!("\tTotal bandwidth: {bandwidth} bits/sec"));
    lines.line(format_args!("\tAvail bandwidth: {bandwidth} bits/sec"));
    let user = bundle.session.map_or("", |session| &session.user);
    lines.line(format_args!("\tPeer authname  : \"{user}\""));
    lines.line("Configuration:");
    let description = bundle
        .settings
        .and_then(|settings| settings.interface.description.as_deref());
    lines.line(format_args!(
        "\tDesc. template : {}",
        description.unwrap_or("<none>")
    ));
    lines.line("\tDescription    : <none>");
    lines.line("\tRetry timeout  : 2 seconds");
    lines.line("\tBW-manage:");
    lines.line("\t  Period       : 60 seconds");
    lines.line("\t  Low mark     : 20%");
    lines.line("\t  High mark    : 80%");
    lines.line("\t  Min conn     : 30 seconds");
    lines.line("\t  Min disc     : 90 seconds");
    // One blank for each of the sixteen links that a bundle of mpd5 may dial.
    lines.line(format_args!("\t  Links        : {:16}", ""));
    lines.line("Bundle level options:");
    let off = |name| (name, false, None);
    lines.options(&[
        (
            "ipcp",
            bundle.settings.is_none_or(|settings| settings.ipv4),
            None,
        ),
        (
            "ipv6cp",
            bundle.settings.is_some_and(|settings| settings.ipv6),
            None,
        ),
        off("compression"),
        off("encryption"),
        off("crypt-reqd"),
        off("bw-manage"),
        off("round-robin"),
    ]);
    lines.line("Multilink PPP:");
    lines.line("\tStatus         : Inactive");
    if let Some(session) = bundle.session {
        lines.line("Traffic stats:");
        lines.traffic("\t", session);
        lines.line("\tDup fragments  : 0");
        lines.line("\tDrop fragments : 0");
    }
    lines.done()
}

/// The interface.
pub(crate) fn iface(view: &View<'_>, context: &Context) -> String {
    let bundle = selected(view, context);
    let settings = bundle.settings;
    let interface = settings.map(|settings| &settings.interface);
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let seconds = |time: Option<std::time::Duration>| time.map_or(0, |time| time.as_secs());
    let script = |command: Option<&HookCommand>| {
        command.map_or_else(
            || "<none>".to_owned(),
            |command| command.program.display().to_string(),
        )
    };
    let (most, fixed) = match settings.map(|settings| settings.mtu) {
        None => (1500, 0),
        Some(InterfaceMtu::AtMost(most)) => (most, 0),
        Some(InterfaceMtu::Exactly(mtu)) => (mtu, mtu),
    };
    let idle = seconds(settings.and_then(|settings| settings.idle_timeout));
    let limit = seconds(settings.and_then(|settings| settings.session_timeout));
    let description = interface.and_then(|interface| interface.description.clone());
    let description = description.unwrap_or_else(|| "<none>".to_owned());
    let mut lines = Lines::default();
    lines.line("Interface configuration:");
    lines.line(format_args!(
        "\tName            : {}",
        text(interface.and_then(|interface| interface.name.as_ref()))
    ));
    lines.line(format_args!("\tDescription     : \"{description}\""));
    lines.line(format_args!(
        "\tGroup           : {}",
        text(interface.and_then(|interface| interface.group.as_ref()))
    ));
    lines.line(format_args!("\tMaximum MTU     : {most} bytes"));
    lines.line(format_args!("\tMTU override    : {fixed} bytes"));
    lines.line(format_args!("\tIdle timeout    : {idle} seconds"));
    lines.line(format_args!("\tSession timeout : {limit} seconds"));
    lines.line("\tEvent scripts");
    let (up, down) = settings.map_or((None, None), |s| (s.up.as_ref(), s.down.as_ref()));
    lines.line(format_args!("\t  up-script     : \"{}\"", script(up)));
    lines.line(format_args!("\t  down-script   : \"{}\"", script(down)));
    lines.line("Interface options:");
    let off = |name| (name, false, None);
    lines.options(&[
        off("on-demand"),
        (
            "proxy-arp",
            interface.is_some_and(|interface| interface.proxy_arp),
            None,
        ),
        off("keep-timeout"),
        ("tcpmssfix", true, None),
        off("tee"),
        off("nat"),
        off("netflow-in"),
        off("netflow-out"),
        off("netflow-once"),
    ]);
    if let Some(settings) = settings.filter(|settings| !settings.routes.is_empty()) {
        lines.line("Static routes via peer:");
        for route in &settings.routes {
            lines.line(format_args!("\t{route}"));
        }
    }
    lines.line("Interface status:");
    let session = bundle.session;
    let name = session.map_or("", |session| &session.interface);
    let up = session.is_some_and(|session| session.up);
    let admin = if session.is_some() { "OPEN" } else { "CLOSED" };
    lines.line(format_args!("\tAdmin status    : {admin}"));
    lines.line(format_args!(
        "\tStatus          : {}",
        if up { "UP" } else { "DOWN" }
    ));
    lines.line(format_args!("\tName            : {name}"));
    lines.line(format_args!("\tDescription     : \"{description}\""));
    if let Some(session) = session.filter(|session| session.up) {
        lines.line(format_args!("\tSession time    : {} seconds", session.age));
        if idle > 0 {
            lines.line(format_args!("\tIdle timeout    : {idle} seconds"));
        }
        if limit > 0 {
            lines.line(format_args!("\tSession timeout : {limit} seconds"));
        }
        lines.line(format_args!("\tMTU             : {} bytes", session.mtu));
        if let Some((local, peer)) = session.ipv4 {
            lines.line(format_args!("\tIP Addresses    : {local}/32 -> {peer}"));
        }
        if let Some((local, peer)) = session.ipv6 {
            lines.line(format_args!(
                "\tIPv6 Addresses  : {local}%{name} -> {peer}%{name}"
            ));
        }
        lines.line("Dynamic routes via peer:");
        for title in ["IPFW pipes", "IPFW queues", "IPFW tables", "IPFW rules"] {
            lines.line(format_args!("{title}:"));
        }
        lines.line("Traffic filters:");
        lines.line("Traffic limits:");
    }
    lines.done()
}

/// IPv4: what may be negotiated and what was.
pub(crate) fn ipcp(view: &View<'_>, context: &Context) -> String {
    let bundle = selected(view, context);
    let ppp = bundle.session.and_then(|session| session.ppp.as_ref());
    let state = ppp.map_or("Initial", |ppp| &ppp.ipcp_state);
    let mut lines = Lines::default();
    lines.line(format_args!("[{}] IPCP [{state}]", bundle.name));
    lines.line("Allowed IP address ranges:");
    let own = bundle
        .settings
        .map_or(Ipv4Addr::UNSPECIFIED, |s| s.local_address);
    let width = if own.is_unspecified() { 0 } else { 32 };
    lines.line(format_args!("\tSelf: {own}/{width}"));
    let pool = bundle.settings.map_or("", |settings| &settings.pool);
    if pool.is_empty() {
        lines.line("\tPeer: 0.0.0.0/0");
    } else {
        lines.line(format_args!("\tPeer: ippool {pool}"));
    }
    lines.line("IPCP Options:");
    lines.options(&[
        ("vjcomp", false, Some(false)),
        ("req-pri-dns", true, None),
        ("req-sec-dns", true, None),
        ("req-pri-nbns", false, None),
        ("req-sec-nbns", false, None),
        ("pretend-ip", false, None),
    ]);
    let none = || Ipv4Addr::UNSPECIFIED.to_string();
    let ends = bundle.session.and_then(|session| session.ipv4);
    lines.line("Current addressing:");
    lines.line(format_args!(
        "\tSelf: {}",
        ends.map_or_else(none, |(local, _)| local.to_string())
    ));
    lines.line(format_args!(
        "\tPeer: {}",
        ends.map_or_else(none, |(_, peer)| peer.to_string())
    ));
    lines.line("Compression:");
    lines.line("\tSelf: None");
    lines.line("\tPeer: None");
    let got = match ppp.and_then(|ppp| ppp.ipv4) {
        Some(Network::V4 { dns, .. }) if bundle.session.is_some_and(|s| !s.incoming) => dns
            .map(|server| server.unwrap_or(Ipv4Addr::UNSPECIFIED))
            .to_vec(),
        _ => Vec::new(),
    };
    let lists = |dns: &[Ipv4Addr], nbns: &[Ipv4Addr]| {
        let row = |list: &[Ipv4Addr]| {
            let of = |at| server(list, at).to_string();
            format!("{:>15}  {:>15}", of(0), of(1))
        };
        format!("DNS servers : {}\r\nNBNS servers: {}", row(dns), row(nbns))
    };
    lines.line("Server info we give to peer:");
    let (dns, nbns) = bundle.settings.map_or((&[][..], &[][..]), |settings| {
        (settings.dns.as_slice(), settings.nbns.as_slice())
    });
    lines.line(lists(dns, nbns));
    lines.line("Server info peer gave to us:");
    lines.line(lists(&got, &[]));
    lines.done()
}

/// IPv6: interface identifiers.
pub(crate) fn ipv6cp(view: &View<'_>, context: &Context) -> String {
    let bundle = selected(view, context);
    let ppp = bundle.session.and_then(|session| session.ppp.as_ref());
    let state = ppp.map_or("Initial", |ppp| &ppp.ipv6cp_state);
    let (own, peer) = match ppp.and_then(|ppp| ppp.ipv6) {
        Some(Network::V6 { local, peer }) => (local, peer),
        _ => ([0; 8], [0; 8]),
    };
    let text = |id: [u8; 8]| {
        id.chunks_exact(2)
            .map(|pair| {
                pair.iter()
                    .map(|octet| format!("{octet:02x}"))
                    .collect::<String>()
            })
            .collect::<Vec<_>>()
            .join(":")
    };
    let mut lines = Lines::default();
    lines.line(format_args!("[{}] IPV6CP [{state}]", bundle.name));
    lines.line("Interface identificators:");
    lines.line(format_args!("\tSelf: {}", text(own)));
    lines.line(format_args!("\tPeer: {}", text(peer)));
    lines.line("IPV6CP Options:");
    lines.done()
}

//! The call under one link: `show device`.

use ipnet::IpNet;

use super::Lines;
use super::link::selected;
use crate::console::commands::Context;
use crate::console::view::{SessionView, View};

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
        (None, Some(connection)) => IpNet::from(connection.server.ip()).to_string(),
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
        lines.line(format_args!(
            "\tCalling number: {}",
            session.call.calling_number.as_deref().unwrap_or_default()
        ));
        lines.line(format_args!(
            "\tCalled number: {}",
            session.call.called_number.as_deref().unwrap_or_default()
        ));
    }
    lines.done()
}

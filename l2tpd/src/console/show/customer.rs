//! One customer, with all that carries their packets: `show customer`.

use super::{Lines, address};
use crate::console::commands::Context;
use crate::console::view::View;

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
    lines.line(format_args!(
        "\tCalling         : {}",
        session.call.calling_number.as_deref().unwrap_or_default()
    ));
    lines.line(format_args!(
        "\tCalled          : {}",
        session.call.called_number.as_deref().unwrap_or_default()
    ));
    if !session.bundle.is_empty() {
        lines.line("\tTraffic stats:");
        lines.traffic("\t\t", session);
    }
    lines.done()
}

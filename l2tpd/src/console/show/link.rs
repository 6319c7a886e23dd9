//! One link: `show link`.

use std::sync::Arc;

use ppp_proto::AuthMethod;

use super::Lines;
use crate::config::LinkProfile;
use crate::console::commands::Context;
use crate::console::view::{SessionView, View};

/// What a context's link is.
pub(super) struct Selected<'v> {
    pub(super) name: &'v str,
    pub(super) template: bool,
    pub(super) session: Option<&'v SessionView>,
    pub(super) profile: Option<&'v Arc<LinkProfile>>,
}

pub(super) fn selected<'v>(view: &'v View<'_>, context: &'v Context) -> Selected<'v> {
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

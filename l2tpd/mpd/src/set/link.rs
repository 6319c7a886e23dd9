//! `set link`, `set l2tp`, `set auth`, `set radius`.

use super::not_understood;
use crate::diag::{Problem, Span};
use crate::lexer::Word;
use crate::model::{
    Action, Endpoint, KeepAlive, Kind, Link, LinkAction, Peer, PeerHost, RadiusServer, Secret,
    Setting,
};
use crate::values;

/// Actions of one link.
const MAX_ACTIONS: usize = 64;
/// mpd's room for a regular expression.
const MAX_REGEX: usize = 128;
/// As in mpd.
const MAX_RADIUS_SERVERS: usize = 10;
/// As in mpd.
const MAX_TUNNEL_SECRET: usize = 64;
/// Names of hosts.
const MAX_HOST: usize = 255;
/// Paths and programs.
const MAX_PATH: usize = 1024;

pub(super) fn link(
    link: &mut Link,
    setting: &str,
    span: &Span,
    arguments: &[Word],
) -> Result<(), Problem> {
    match (setting, arguments) {
        ("action bundle", [name, regex @ ..]) => {
            act(link, Action::Bundle(name.text.clone()), &name.span, regex)?;
        }
        ("action drop", regex) => act(link, Action::Drop, span, regex)?,
        ("action clear", _) => link.actions.clear(),
        ("bandwidth", [value]) => link.bandwidth = values::number(value, 1..=u32::MAX)?,
        ("latency", [value]) => link.latency = values::number(value, 0..=u32::MAX)?,
        ("accmap", [value]) => link.accmap = values::hexadecimal(value)?,
        ("mrru", [value]) => link.mrru = values::number(value, 296..=4096)?,
        ("mru", [value]) => link.mru = values::number(value, 296..=1600)?,
        ("mtu", [value]) => link.mtu = values::number(value, 296..=1600)?,
        ("fsm-timeout", [value]) => link.fsm_timeout = values::number(value, 1..=10)?,
        ("max-redial", [value]) => link.max_redial = values::number(value, -1..=i32::MAX)?,
        ("redial-delay", [value]) => link.redial_delay = values::number(value, 1..=86_400)?,
        ("max-children", [value]) => {
            if link.kind != Kind::Template {
                return Err(Problem::new(span, "only templates have children")
                    .remedy("write it after 'create link template', or take it out"));
            }
            link.max_children = values::number(value, 0..=100_000)?;
        }
        ("keep-alive", [interval, maximum]) => {
            let interval = values::number(interval, 0..=86_400)?;
            let maximum = values::number(maximum, 0..=86_400)?.value;
            let value = KeepAlive {
                interval: interval.value,
                maximum,
            };
            link.keep_alive = Setting {
                value,
                span: interval.span,
            };
        }
        ("ident", [value]) => {
            let text = values::text(value, 255, "text")?;
            let value = Some(text.value).filter(|text| !text.is_empty());
            link.ident = Setting {
                value,
                span: text.span,
            };
        }
        _ => return Err(not_understood(span, setting)),
    }
    Ok(())
}

fn act(link: &mut Link, action: Action, span: &Span, regex: &[Word]) -> Result<(), Problem> {
    if link.actions.len() >= MAX_ACTIONS {
        return Err(
            Problem::new(span, format!("more than {MAX_ACTIONS} actions"))
                .remedy("write 'set link action clear' first, or join regular expressions by |"),
        );
    }
    let regex = match regex.first().filter(|word| !word.text.is_empty()) {
        Some(word) => Some(values::text(word, MAX_REGEX, "regular expression")?.value),
        None => None,
    };
    link.actions.push(LinkAction {
        action,
        regex,
        span: span.clone(),
    });
    Ok(())
}

pub(super) fn l2tp(link: &mut Link, setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let l2tp = &mut link.l2tp;
    let [first, rest @ ..] = arguments else {
        return Err(values::missing());
    };
    let text = |most, what| -> Result<Setting<Option<String>>, Problem> {
        let text = values::text(first, most, what)?;
        Ok(Setting {
            value: Some(text.value).filter(|text| !text.is_empty()),
            span: text.span,
        })
    };
    match setting {
        "self" => {
            let Setting { value, span } = values::endpoint(arguments)?;
            let value: Endpoint = value;
            l2tp.local = Setting {
                value: Some(value),
                span,
            };
        }
        "peer" => {
            let port = rest.first().map(values::port).transpose()?;
            let looks_like_address =
                first.text.contains([':', '/']) || !first.text.contains(char::is_alphabetic);
            let host = if looks_like_address {
                PeerHost::Network(values::network(first, &first.text)?)
            } else {
                PeerHost::Name(values::text(first, MAX_HOST, "name")?.value)
            };
            l2tp.peer = Setting::given(Some(Peer { host, port }), &first.span);
        }
        "callingnum" => l2tp.calling_number = text(64, "number")?,
        "callednum" => l2tp.called_number = text(64, "number")?,
        "hostname" => l2tp.host_name = text(MAX_HOST, "name")?,
        "secret" => {
            let secret = values::text(first, MAX_TUNNEL_SECRET, "secret")?;
            let value = Some(secret.value)
                .filter(|text| !text.is_empty())
                .map(Secret::new);
            l2tp.secret = Setting {
                value,
                span: secret.span,
            };
        }
        _ => return Err(not_understood(&first.span, setting)),
    }
    Ok(())
}

pub(super) fn auth(link: &mut Link, setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let auth = &mut link.auth;
    let [first] = arguments else {
        return Err(values::missing());
    };
    let path = || -> Result<Setting<Option<String>>, Problem> {
        let text = values::text(first, MAX_PATH, "path")?;
        Ok(Setting {
            value: Some(text.value),
            span: text.span,
        })
    };
    match setting {
        "authname" => {
            let name = values::text(first, 64, "name")?;
            auth.authname = Setting {
                value: Some(name.value),
                span: name.span,
            };
        }
        "password" => {
            auth.password = Setting::given(Some(Secret::new(first.text.clone())), &first.span);
        }
        "acct-update" => auth.acct_update = values::number(first, 0..=u32::MAX)?,
        "update-limit-in" => auth.update_limit_in = values::number(first, 0..=u32::MAX)?,
        "update-limit-out" => auth.update_limit_out = values::number(first, 0..=u32::MAX)?,
        "timeout" => auth.timeout = values::number(first, 21..=3600)?,
        "extauth-script" => auth.extauth_script = path()?,
        "extacct-script" => auth.extacct_script = path()?,
        _ => return Err(not_understood(&first.span, setting)),
    }
    Ok(())
}

pub(super) fn radius(link: &mut Link, setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let radius = &mut link.radius;
    let [first, rest @ ..] = arguments else {
        return Err(values::missing());
    };
    match (setting, rest) {
        ("server", [secret, ports @ ..]) => {
            if radius.servers.len() >= MAX_RADIUS_SERVERS {
                let text = format!("more than {MAX_RADIUS_SERVERS} RADIUS servers");
                return Err(Problem::new(&first.span, text).remedy("take some out"));
            }
            let port = |at: usize, default: u16| match ports.get(at) {
                Some(word) => values::number(word, 0..=65_534).map(|setting| setting.value),
                None => Ok(default),
            };
            let (auth_port, acct_port) = (port(0, 1812)?, port(1, 1813)?);
            if auth_port == 0 && acct_port == 0 {
                return Err(
                    Problem::new(&first.span, "both ports are 0").remedy("give at least one port")
                );
            }
            radius.servers.push(RadiusServer {
                host: values::text(first, MAX_HOST, "host name")?.value,
                secret: Secret::new(values::text(secret, 127, "secret")?.value),
                auth_port,
                acct_port,
                span: first.span.clone(),
            });
        }
        ("src-addr", []) => radius.source = some(values::ipv4(first)?),
        ("me", []) => radius.me = some(values::ipv4(first)?),
        ("v6me", []) => radius.v6me = some(values::ipv6(first)?),
        ("identifier", []) => {
            let text = values::text(first, 253, "identifier")?;
            let value = Some(text.value).filter(|text| !text.is_empty());
            radius.identifier = Setting {
                value,
                span: text.span,
            };
        }
        ("timeout", []) => radius.timeout = values::number(first, 1..=3600)?,
        ("retries", []) => radius.retries = values::number(first, 1..=100)?,
        ("config", []) => radius.config = some(values::text(first, MAX_PATH, "path")?),
        _ => return Err(not_understood(&first.span, setting)),
    }
    Ok(())
}

fn some<T>(setting: Setting<T>) -> Setting<Option<T>> {
    Setting {
        value: Some(setting.value),
        span: setting.span,
    }
}

pub(super) fn unset_radius(link: &mut Link, arguments: &[Word]) -> Result<(), Problem> {
    let [host, ports @ ..] = arguments else {
        return Err(values::missing());
    };
    let port = |at: usize| ports.get(at).map(values::port).transpose();
    let (auth, acct) = (port(0)?, port(1)?);
    link.radius.servers.retain(|server| {
        server.host != host.text
            || auth.is_some_and(|port| port != server.auth_port)
            || acct.is_some_and(|port| port != server.acct_port)
    });
    Ok(())
}

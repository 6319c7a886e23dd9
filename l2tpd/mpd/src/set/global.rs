//! What belongs to no link and no bundle: `set global`, `set ippool`, `set console`, `set web`,
//! `set user`, `set radsrv`, `set netflow`, `set auth max-logins` and `log`.

use super::not_understood;
use crate::diag::{Diagnostics, Problem, Span};
use crate::lexer::Word;
use crate::model::{
    ConsoleUser, MaxLogins, Model, Pool, PoolRange, RadsrvPeer, Role, Secret, Service, Setting,
};
use crate::values;

/// Pools, console users.
const MAX_ENTRIES: usize = 1024;
/// Ranges of all pools.
const MAX_RANGES: usize = 4096;
/// As in mpd.
const MAX_RADSRV_PEERS: usize = 10;

pub(super) fn max_logins(model: &mut Model, arguments: &[Word]) -> Result<(), Problem> {
    let [first, rest @ ..] = arguments else {
        return Err(values::missing());
    };
    let count = values::number(first, 0..=u32::MAX)?;
    let ignore_case = match rest.first() {
        None => false,
        Some(word) if word.text.eq_ignore_ascii_case("ci") => true,
        Some(word) => {
            return Err(
                Problem::new(&word.span, format!("unknown word '{}'", word.text))
                    .remedy("write set auth max-logins NUMBER [CI]"),
            );
        }
    };
    let value = MaxLogins {
        count: count.value,
        ignore_case,
    };
    model.max_logins = Setting {
        value,
        span: count.span,
    };
    Ok(())
}

pub(super) fn radsrv(model: &mut Model, setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let radsrv = &mut model.radsrv;
    match (setting, arguments) {
        ("close", _) => {}
        ("self", _) => {
            let mut local = values::endpoint(arguments)?;
            local.value.port = local.value.port.or(radsrv.local.value.port);
            radsrv.local = local;
        }
        ("peer", [host, secret]) => {
            if radsrv.peers.len() >= MAX_RADSRV_PEERS {
                return Err(Problem::new(
                    &host.span,
                    format!("more than {MAX_RADSRV_PEERS} peers"),
                )
                .remedy("take some out"));
            }
            radsrv.peers.push(RadsrvPeer {
                host: values::text(host, 255, "host name")?.value,
                secret: Secret::new(values::text(secret, 127, "secret")?.value),
                span: host.span.clone(),
            });
        }
        _ => return Err(values::missing()),
    }
    Ok(())
}

pub(super) fn service<M>(
    service: &mut Service<M>,
    setting: &str,
    span: &Span,
    arguments: &[Word],
) -> Result<(), Problem> {
    match setting {
        "open" => service.open = Setting::given(true, span),
        "close" => service.open = Setting::given(false, span),
        "self" => {
            let mut local = values::endpoint(arguments)?;
            local.value.port = local.value.port.or(service.local.value.port);
            service.local = local;
        }
        _ => return Err(not_understood(span, setting)),
    }
    Ok(())
}

pub(super) fn user(model: &mut Model, arguments: &[Word]) -> Result<(), Problem> {
    let [name, password, rest @ ..] = arguments else {
        return Err(values::missing());
    };
    let role = match rest.first().map(|word| (word, word.text.as_str())) {
        None | Some((_, "user")) => Role::User,
        Some((_, "operator")) => Role::Operator,
        Some((_, "admin")) => Role::Admin,
        Some((word, _)) => {
            return Err(
                Problem::new(&word.span, format!("'{}' is no role", word.text))
                    .remedy("write admin, operator or user"),
            );
        }
    };
    if model.users.len() >= MAX_ENTRIES {
        return Err(
            Problem::new(&name.span, format!("more than {MAX_ENTRIES} console users"))
                .remedy("take some out"),
        );
    }
    model.users.retain(|user| user.name != name.text);
    model.users.push(ConsoleUser {
        name: name.text.clone(),
        password: Secret::new(password.text.clone()),
        role,
        span: name.span.clone(),
    });
    Ok(())
}

pub(super) fn global(model: &mut Model, setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let global = &mut model.global;
    match (setting, arguments) {
        ("startrule", [value]) => global.start_rule = values::number(value, 1..=65_534)?,
        ("startqueue", [value]) => global.start_queue = values::number(value, 1..=65_534)?,
        ("startpipe", [value]) => global.start_pipe = values::number(value, 1..=65_534)?,
        ("starttable", [value]) => global.start_table = values::number(value, 1..=127)?,
        ("l2tptimeout", [value]) => global.l2tp_timeout = values::number(value, 0..=1_000_000)?,
        ("l2tplimit", [value]) => global.l2tp_limit = values::number(value, 0..=65_536)?,
        ("pptptimeout", [value]) => {
            values::number(value, 0..=1_000_000)?;
        }
        ("pptplimit", [value]) => {
            values::number(value, 1..=65_536)?;
        }
        ("max-children", [value]) => global.max_children = values::number(value, 0..=65_536)?,
        ("qthreshold", [low, high]) => {
            let low = values::number(low, 0..=8190)?;
            let high = values::number(high, low.value + 1..=8191)?.value;
            global.qthreshold = Setting {
                value: (low.value, high),
                span: low.span,
            };
        }
        ("filter", [number, action, rest @ ..]) => {
            values::number(number, 1..=16)?;
            match (action.text.to_ascii_lowercase().as_str(), rest) {
                ("add", [rule, _]) => {
                    values::number(rule, 1..=i32::MAX)?;
                }
                ("clear", []) => {}
                _ => {
                    return Err(Problem::new(&action.span, "no filter command")
                        .remedy("write set global filter NUMBER add RULE FILTER, or ... clear"));
                }
            }
        }
        _ => return Err(values::missing()),
    }
    Ok(())
}

pub(super) fn pool(model: &mut Model, arguments: &[Word]) -> Result<(), Problem> {
    let [name, first, last] = arguments else {
        return Err(values::missing());
    };
    let range = PoolRange {
        first: values::ipv4(first)?.value,
        last: values::ipv4(last)?.value,
        span: first.span.clone(),
    };
    if range.first > range.last {
        return Err(Problem::new(
            &last.span,
            format!("{} lies before {}", range.last, range.first),
        )
        .remedy("write the lower address first"));
    }
    let ranges: usize = model.pools.iter().map(|pool| pool.ranges.len()).sum();
    if model.pools.len() >= MAX_ENTRIES || ranges >= MAX_RANGES {
        return Err(Problem::new(&name.span, "too many pools or ranges")
            .remedy("join ranges into larger ones"));
    }
    match model.pools.iter_mut().find(|pool| pool.name == name.text) {
        Some(pool) => pool.ranges.push(range),
        None => model.pools.push(Pool {
            name: name.text.clone(),
            ranges: vec![range],
        }),
    }
    Ok(())
}

/// Checked although nothing comes of it.
pub(super) fn netflow(setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    match (setting, arguments) {
        ("export" | "self", _) => {
            values::endpoint(arguments)?;
        }
        ("timeouts", [inactive, active]) => {
            values::number(inactive, 1..=u32::MAX)?;
            values::number(active, 1..=u32::MAX)?;
        }
        ("hook" | "mtu", [value]) => {
            values::number(value, 1..=65_535)?;
        }
        ("version", [value]) if !matches!(value.text.as_str(), "5" | "9") => {
            return Err(
                Problem::new(&value.span, format!("no version '{}'", value.text))
                    .remedy("write 5 or 9"),
            );
        }
        _ => {}
    }
    Ok(())
}

/// Kinds of log messages that mpd knows.
pub(super) const LOG_WORDS: &[&str] = &[
    "bund", "bund2", "link", "rep", "lcp", "lcp2", "auth", "auth2", "ipcp", "ipcp2", "ipv6cp",
    "ipv6cp2", "ccp", "ccp2", "ecp", "ecp2", "fsm", "echo", "phys", "phys2", "phys3", "chat",
    "chat2", "iface", "iface2", "frame", "radius", "radius2", "console", "events", "all",
];

pub(super) fn log(model: &mut Model, diagnostics: &mut Diagnostics, arguments: &[Word]) {
    for word in arguments {
        let name = word
            .text
            .trim_start_matches(['+', '-'])
            .to_ascii_lowercase();
        if !LOG_WORDS.contains(&name.as_str()) {
            diagnostics.problem(
                Problem::new(
                    &word.span,
                    format!("no kind of log message '{}'", word.text),
                )
                .remedy(format!("one of {}", LOG_WORDS.join(", "))),
            );
            continue;
        }
        let added = !word.text.starts_with('-');
        model.log.retain(|setting| setting.value.0 != name);
        model.log.push(Setting::given((name, added), &word.span));
    }
}

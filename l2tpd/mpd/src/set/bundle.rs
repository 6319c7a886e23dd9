//! `set bundle`, `set iface`, `set ipcp`, `set ecp`, `set nat`.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::not_understood;
use crate::diag::Problem;
use crate::lexer::Word;
use crate::model::{Addresses, Bundle, InterfaceAddresses, Kind, Program, Secret, Setting};
use crate::values;

/// Routes of one bundle.
const MAX_ROUTES: usize = 256;
/// `IFNAMSIZ` without its NUL.
const MAX_INTERFACE: usize = 15;
/// A description that mpd has room for is shorter.
const MAX_DESCRIPTION: usize = 1024;

pub(super) fn bundle(
    bundle: &mut Bundle,
    setting: &str,
    arguments: &[Word],
) -> Result<(), Problem> {
    let [first, ..] = arguments else {
        return Err(values::missing());
    };
    match setting {
        "period" => bundle.period = values::number(first, 1..=86_400)?,
        "lowat" => bundle.lowat = values::number(first, 0..=100)?,
        "hiwat" => bundle.hiwat = values::number(first, 0..=100)?,
        "min-con" => bundle.min_con = values::number(first, 0..=86_400)?,
        "min-dis" => bundle.min_dis = values::number(first, 0..=86_400)?,
        "fsm-timeout" => bundle.fsm_timeout = values::number(first, 1..=10)?,
        "links" => {
            let names = arguments.iter().map(|word| word.text.clone()).collect();
            bundle.links = Setting::given(names, &first.span);
        }
        _ => return Err(not_understood(&first.span, setting)),
    }
    Ok(())
}

pub(super) fn iface(bundle: &mut Bundle, setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let template = bundle.kind == Kind::Template;
    let iface = &mut bundle.iface;
    let optional = || -> Result<Setting<Option<String>>, Problem> {
        let Some(word) = arguments.first() else {
            return Ok(Setting::default(None));
        };
        let text = values::text(word, MAX_DESCRIPTION, setting)?;
        Ok(Setting {
            value: Some(text.value).filter(|text| !text.is_empty()),
            span: text.span,
        })
    };
    match (setting, arguments) {
        ("up-script", _) => iface.up_script = script(arguments)?,
        ("down-script", _) => iface.down_script = script(arguments)?,
        ("description", _) => iface.description = optional()?,
        ("name", []) => iface.name = Setting::default(None),
        ("name", [first]) => iface.name = interface_name(first, template)?,
        ("group", [first]) => iface.group = group(first)?,
        ("idle", [first, ..]) => iface.idle = values::number(first, 0..=u32::MAX)?,
        ("session", [first, ..]) => iface.session = values::number(first, 0..=u32::MAX)?,
        ("mtu", [first]) => iface.mtu = values::number(first, 296..=65_535)?,
        ("mtu", [first, word]) => {
            if word.text != "override" {
                return Err(
                    Problem::new(&word.span, format!("unknown word '{}'", word.text))
                        .remedy("write set iface mtu OCTETS [override]"),
                );
            }
            if first.text == "0" {
                iface.mtu_override = Setting::given(None, &first.span);
            } else {
                iface.mtu = values::number(first, 296..=65_535)?;
                iface.mtu_override = Setting::given(Some(iface.mtu.value), &first.span);
            }
        }
        ("route", [first]) => {
            let network = if first.text.eq_ignore_ascii_case("default") {
                IpNet::V4(Ipv4Net::default())
            } else {
                values::network(first, &first.text)?.trunc()
            };
            if iface.routes.len() >= MAX_ROUTES {
                return Err(
                    Problem::new(&first.span, format!("more than {MAX_ROUTES} routes"))
                        .remedy("join networks into larger ones"),
                );
            }
            iface.routes.push(Setting::given(network, &first.span));
        }
        ("addrs", [own, peer]) => {
            let addresses = addresses(own, peer)?;
            let setting = Setting::given(Some(addresses), &own.span);
            match setting.value.as_ref().map(|addresses| addresses.peer) {
                Some(IpAddr::V6(_)) => iface.addresses6 = setting,
                _ => iface.addresses = setting,
            }
        }
        (_, [first, ..]) => return Err(not_understood(&first.span, setting)),
        (_, []) => return Err(values::missing()),
    }
    Ok(())
}

/// A template's name is followed by a number.
fn interface_name(word: &Word, template: bool) -> Result<Setting<Option<String>>, Problem> {
    let most = if template {
        MAX_INTERFACE - 5
    } else {
        MAX_INTERFACE
    };
    let reserved = word.text.strip_prefix("ng").is_some_and(|rest| {
        rest.is_empty() && template || rest.starts_with(|c: char| c.is_ascii_digit())
    });
    if reserved {
        return Err(
            Problem::new(&word.span, format!("'{}' is the kernel's name", word.text))
                .remedy("write another name, or take the line out"),
        );
    }
    word_of(word, most)
}

fn group(word: &Word) -> Result<Setting<Option<String>>, Problem> {
    if word.text.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(
            Problem::new(&word.span, format!("group '{}' ends in a digit", word.text))
                .remedy("write a name that ends in a letter"),
        );
    }
    word_of(word, MAX_INTERFACE)
}

fn word_of(word: &Word, most: usize) -> Result<Setting<Option<String>>, Problem> {
    let fits = (1..=most).contains(&word.text.len())
        && word.text.starts_with(|c: char| c.is_ascii_alphabetic())
        && word
            .text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if fits {
        return Ok(Setting::given(Some(word.text.clone()), &word.span));
    }
    Err(Problem::new(
        &word.span,
        format!("'{}' is no name for interfaces", word.text),
    )
    .remedy(format!(
        "write a letter and up to {} more letters or digits",
        most - 1
    )))
}

/// No argument, or an empty one: no script.
fn script(arguments: &[Word]) -> Result<Setting<Option<Program>>, Problem> {
    match arguments.first() {
        Some(word) if !word.text.is_empty() => Ok(Setting::given(
            Some(values::program(&word.text, word)?),
            &word.span,
        )),
        _ => Ok(Setting::default(None)),
    }
}

fn addresses(own: &Word, peer: &Word) -> Result<InterfaceAddresses, Problem> {
    let force = |word: &Word| {
        let text = word.text.as_str();
        // mpd's manual writes the mark behind the address, its source looks before it.
        match text.strip_prefix('!').or_else(|| text.strip_suffix('!')) {
            Some(rest) => (rest.to_owned(), true),
            None => (text.to_owned(), false),
        }
    };
    let ((local, local_forced), (remote, peer_forced)) = (force(own), force(peer));
    let local = values::network(own, &local)?;
    let remote = values::address(&Word {
        text: remote,
        span: peer.span.clone(),
    })?
    .value;
    if local.addr().is_ipv4() != remote.is_ipv4() {
        return Err(
            Problem::new(&peer.span, "one address is IPv4, the other IPv6")
                .remedy("write two lines, one per kind"),
        );
    }
    Ok(InterfaceAddresses {
        local,
        local_forced,
        peer: remote,
        peer_forced,
    })
}

pub(super) fn ipcp(bundle: &mut Bundle, setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let ipcp = &mut bundle.ipcp;
    match (setting, arguments) {
        ("ranges", [first, ..]) => {
            let (local, rest) = side(arguments, first)?;
            let (peer, rest) = side(rest, first)?;
            if let Some(extra) = rest.first() {
                return Err(
                    Problem::new(&extra.span, "too many words after 'set ipcp ranges'")
                        .remedy("write two sides, each ADDRESS[/WIDTH] or 'ippool POOL'"),
                );
            }
            ipcp.local = local;
            ipcp.peer = peer;
        }
        ("dns", [first, ..]) => ipcp.dns = servers(first, arguments)?,
        ("nbns", [first, ..]) => ipcp.nbns = servers(first, arguments)?,
        _ => return Err(values::missing()),
    }
    Ok(())
}

fn servers(first: &Word, all: &[Word]) -> Result<Setting<Vec<std::net::Ipv4Addr>>, Problem> {
    let list = all
        .iter()
        .map(|word| values::ipv4(word).map(|setting| setting.value));
    Ok(Setting::given(list.collect::<Result<_, _>>()?, &first.span))
}

/// One side of `set ipcp ranges`.
fn side<'w>(
    words: &'w [Word],
    command: &Word,
) -> Result<(Setting<Addresses>, &'w [Word]), Problem> {
    match words {
        [keyword, pool, rest @ ..] if keyword.text == "ippool" => Ok((
            Setting::given(Addresses::Pool(pool.text.clone()), &pool.span),
            rest,
        )),
        [keyword] if keyword.text == "ippool" => {
            Err(Problem::new(&keyword.span, "the pool's name is missing")
                .remedy("write ippool POOL"))
        }
        [address, rest @ ..] => {
            let network = values::network4(address)?;
            Ok((
                Setting::given(Addresses::Range(network), &address.span),
                rest,
            ))
        }
        [] => Err(Problem::new(&command.span, "the peer's side is missing")
            .remedy("write two sides, each ADDRESS[/WIDTH] or 'ippool POOL'")),
    }
}

pub(super) fn ecp(bundle: &mut Bundle, arguments: &[Word]) -> Result<(), Problem> {
    let [key] = arguments else {
        return Err(values::missing());
    };
    bundle.ecp_key = Setting::given(Some(Secret::new(key.text.clone())), &key.span);
    Ok(())
}

/// Checked although nothing comes of it, so that a slip of the pen shows here too.
pub(super) fn nat(setting: &str, arguments: &[Word]) -> Result<(), Problem> {
    let ports: &[usize] = if setting == "red-port" {
        &[2, 4, 6]
    } else {
        &[]
    };
    let protocol = matches!(setting, "red-port" | "red-proto");
    for (at, word) in arguments.iter().enumerate() {
        if ports.contains(&at) {
            values::port(word)?;
        } else if at > 0 || !protocol {
            values::ipv4(word)?;
        }
    }
    Ok(())
}

//! Answers to the octet as racoonctl prints them.

use std::fmt::Write;
use std::net::SocketAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pfkey::{Message, Numbering, setkey};

use super::wire::{AsyncEvent, EventKind, PH1DUMP, Ph1Dump, SCHEDDUMP, SchedDump};

const SHORT: &str = "Destination            Cookies                           Created";
const LONG: &str = "Destination            Cookies                           ST S  V E Created             \
                    Phase2";
const LONGER: &str = "Source                                        Destination                                   \
                      Cookies                           ST S  V E Created             Phase2";
/// Letters of the exchange types 0 to 5.
const EXCHANGES: [&str; 6] = ["", "B", "M", "U", "A", "I"];
/// A date that there is none of.
const NEVER: &str = "                   ";
/// `ENOENT`: what a DUMP of nothing answers.
const ENOENT: u8 = 2;
/// Cisco Unity's banner, an attribute of mode configuration.
const UNITY_BANNER: u16 = 28_672;
/// Set in an attribute that has its value in place of a length.
const SHORT_ATTRIBUTE: u16 = 0x8000;

/// `show-sa isakmp`, with `-l` so many times.
pub fn isakmp(body: &[u8], long: u8, zone: &TimeZone) -> String {
    let mut out = String::new();
    let header = match long {
        0 => SHORT,
        1 => LONG,
        _ => LONGER,
    };
    // Writing into a String does not fail.
    let _ = writeln!(out, "{header}");
    if !body.len().is_multiple_of(PH1DUMP) {
        let _ = writeln!(out, "invalid length {}", body.len());
    }
    for dump in body.chunks_exact(PH1DUMP).filter_map(Ph1Dump::parse) {
        let width = if long >= 2 { 45 } else { 22 };
        if long >= 2 {
            let _ = write!(out, "{} ", place(dump.local, width));
        }
        let _ = write!(out, "{} ", place(dump.remote, width));
        for (at, octet) in dump.cookies.iter().enumerate() {
            let colon = if at == 7 { ":" } else { "" };
            let _ = write!(out, "{octet:02x}{colon}");
        }
        out.push(' ');
        if long >= 1 {
            let side = if dump.initiator { 'I' } else { 'R' };
            let _ = write!(out, "{:2} {side} {:2x} ", dump.status, dump.version);
            if let Some(letter) = EXCHANGES.get(usize::from(dump.exchange)) {
                let _ = write!(out, "{letter} ");
            }
        }
        match dump.created {
            0 => out.push_str(NEVER),
            created => out.push_str(&date(created, zone)),
        }
        out.push(' ');
        if long >= 1 {
            let _ = write!(out, "{:6} ", dump.phase2s);
        }
        out.push('\n');
    }
    out
}

/// `show-sa esp`, `ah` and `ipsec`: messages of PF_KEY. `now` is seconds since 1970.
pub fn ipsec(body: &[u8], now: u64, zone: &TimeZone) -> String {
    let numbering = Numbering::system();
    let mut messages = Vec::new();
    let mut rest = body;
    while let Some(&[_, _, _, _, low, high]) = rest.first_chunk() {
        let length = usize::from(u16::from_ne_bytes([low, high])) * 8;
        let Some((octets, behind)) = rest.split_at_checked(length).filter(|_| length > 0) else {
            break;
        };
        rest = behind;
        match Message::parse(octets, numbering) {
            Ok(message) if message.errno == ENOENT => return setkey::NO_SAD_ENTRIES.to_owned(),
            Ok(message) if message.errno != 0 => {
                let errno = i32::from(message.errno);
                return format!("{}.\n", nix::errno::Errno::from_raw(errno).desc());
            }
            Ok(message) => messages.push(message),
            Err(error) => return format!("{error}\n"),
        }
    }
    if messages.is_empty() {
        return setkey::NO_SAD_ENTRIES.to_owned();
    }
    // racoonctl's own libipsec puts a blank behind the addresses, where FreeBSD's has none.
    let line = |line: &str| match line.starts_with('\t') {
        true => format!("{line}\n"),
        false => format!("{line} \n"),
    };
    setkey::dump(&messages, now, zone)
        .lines()
        .map(line)
        .collect()
}

/// `show-schedule`
pub fn schedule(body: &[u8], zone: &TimeZone) -> String {
    let mut out = String::new();
    if !body.len().is_multiple_of(SCHEDDUMP) {
        let _ = writeln!(out, "invalid length {}", body.len());
    }
    out.push_str("index    tick     xtime    created\n");
    for timer in body.chunks_exact(SCHEDDUMP).filter_map(SchedDump::parse) {
        let created = date(timer.created, zone);
        let SchedDump { id, tick, due, .. } = timer;
        let _ = writeln!(out, "{id:<8} {tick:<8} {due:<8} {created}");
    }
    out
}

/// `show-event`: one event.
pub fn event(event: &AsyncEvent) -> String {
    let kind = u16::try_from(event.kind)
        .ok()
        .and_then(EventKind::from_number);
    let (local, remote) = (bracketed(event.local), bracketed(event.remote));
    match kind.and_then(words) {
        Some(words) => format!("{words} : {local} -> {remote}\n"),
        None => format!("Event {}: {local} -> {remote}\n", event.kind),
    }
}

/// What `vpn-connect` says in the end; `attributes` are those of mode configuration.
pub fn connected(attributes: &[u8]) -> String {
    let mut out = "VPN connexion established\n".to_owned();
    let mut rest = attributes;
    while let Some(([a, b, c, d], behind)) = rest.split_first_chunk::<4>() {
        let (kind, value) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        rest = behind;
        if kind & SHORT_ATTRIBUTE != 0 {
            continue;
        }
        let Some((octets, behind)) = rest.split_at_checked(value.into()) else {
            break;
        };
        rest = behind;
        if kind == UNITY_BANNER {
            let _ = writeln!(out, "\n{}\n", String::from_utf8_lossy(octets));
        }
    }
    out
}

fn words(kind: EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::Quit => "Racoon terminated",
        EventKind::Phase1Up => "Phase 1 established",
        EventKind::Phase1Down => "Phase 1 deleted",
        EventKind::Phase1NoResponse => "Phase 1 error: peer not responding",
        EventKind::Phase1NoProposal => "Phase 1 error: no proposal chosen",
        EventKind::Phase1AuthFailed => "Phase 1 error: authentication failed (bad certificate?)",
        EventKind::Phase1DpdTimeout => "Phase 1 error: dead peer detected",
        // racoonctl has no words for it.
        EventKind::Phase1PeerDeleted => return None,
        EventKind::Phase1ModeCfg => "Phase 1 mode configuration done",
        EventKind::Phase1XauthSuccess => "Phase 1 Xauth succeeded",
        EventKind::Phase1XauthFailed => "Phase 1 Xauth failed",
        EventKind::Phase2NoPhase1 => "Phase 2 error: no suitable phase 1",
        EventKind::Phase2Up => "Phase 2 established",
        EventKind::Phase2Down => "Phase 2 deleted",
        EventKind::Phase2NoResponse => "Phase 2 error: no response",
    })
}

fn bracketed(address: Option<SocketAddr>) -> String {
    match address {
        Some(address) => format!("{}[{}]", address.ip(), address.port()),
        None => "anonymous".to_owned(),
    }
}

/// `address.port` in `width` columns: the address gives way.
fn place(address: Option<SocketAddr>, width: usize) -> String {
    let (host, port) = match address {
        Some(address) => (address.ip().to_string(), address.port().to_string()),
        None => ("(invalid)".to_owned(), "(invalid)".to_owned()),
    };
    let room = width.saturating_sub(port.len() + 1);
    let host: String = host.chars().take(room).collect();
    format!("{:<width$}", format!("{host}.{port}"))
}

fn date(seconds: i64, zone: &TimeZone) -> String {
    match Timestamp::from_second(seconds) {
        Ok(at) => at
            .to_zoned_datetime(zone.clone())
            .strftime("%Y-%m-%d %T")
            .to_string(),
        Err(_) => NEVER.to_owned(),
    }
}

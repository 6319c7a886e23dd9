//! The text of `setkey -D` and `setkey -DP`, byte for byte as FreeBSD 14's setkey(8) and
//! libipsec print one entry.
//!
//! Tokens from tables are followed by one blank, which leaves a trailing blank after `state=` and
//! `scope=`. Dates are characters 4 to 23 of ctime(3).

use std::fmt::Write;
use std::net::SocketAddr;

use jiff::Timestamp;
/// The zone dates are printed in; `TimeZone::system()` is setkey's choice.
pub use jiff::tz::TimeZone;

use crate::ext::{
    Address, Direction, IPSEC_MANUAL_REQID_MAX, Lifetime, PolicyRequest, SCOPE_GLOBAL, SCOPE_IFNET,
    SCOPE_PCB,
};
use crate::message::{Message, SaType};

/// What `setkey -D` prints when there is no SA.
pub const NO_SAD_ENTRIES: &str = "No SAD entries.\n";
/// What `setkey -DP` prints when there is no policy.
pub const NO_SPD_ENTRIES: &str = "No SPD entries.\n";

const IPPROTO_ICMPV6: u8 = 58;

/// Entries of a DUMP as `setkey -D` prints them. `now` is seconds since 1970.
pub fn dump(entries: &[Message], now: u64, zone: &TimeZone) -> String {
    if entries.is_empty() {
        return NO_SAD_ENTRIES.to_owned();
    }
    entries.iter().map(|entry| sa(entry, now, zone)).collect()
}

/// Entries of an SPDDUMP as `setkey -DP` prints them.
pub fn spd_dump(entries: &[Message], zone: &TimeZone) -> String {
    if entries.is_empty() {
        return NO_SPD_ENTRIES.to_owned();
    }
    entries.iter().map(|entry| policy(entry, zone)).collect()
}

/// One SA. `now` is seconds since 1970 and becomes `current:`.
pub fn sa(message: &Message, now: u64, zone: &TimeZone) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_sa(&mut out, message, now, zone);
    out
}

fn write_sa(out: &mut String, message: &Message, now: u64, zone: &TimeZone) -> std::fmt::Result {
    let Some(source) = message.source() else {
        return out.write_str("no ADDRESS_SRC extension.\n");
    };
    let Some(destination) = message.destination() else {
        return writeln!(out, "{}\nno ADDRESS_DST extension.", host(&source.address));
    };
    let encapsulated = message.nat_t_type().is_some();
    let port = |port: Option<&u16>| match port {
        Some(port) if encapsulated => format!("[{port}]"),
        _ => String::new(),
    };
    write!(
        out,
        "{}{}",
        host(&source.address),
        port(message.nat_t_source_port())
    )?;
    write!(
        out,
        " {}{}",
        host(&destination.address),
        port(message.nat_t_destination_port())
    )?;
    let Some(sa) = message.sa() else {
        return out.write_str("\nno SA extension.\n");
    };
    let Some(sa2) = message.sa2() else {
        return out.write_str("\nno SA2 extension.\n");
    };
    let sa_type = if encapsulated && message.sa_type == SaType::ESP {
        "esp-udp".to_owned()
    } else {
        word(message.sa_type.name(), message.sa_type.0)
    };
    writeln!(
        out,
        "\n\t{sa_type} mode={} spi={spi}(0x{spi:08x}) reqid={reqid}(0x{reqid:08x})",
        word(sa2.mode.name(), sa2.mode.0),
        spi = sa.spi,
        reqid = sa2.reqid,
    )?;
    write_original_addresses(out, message)?;
    if message.sa_type == SaType::IPCOMP {
        let name = if sa.encryption.0 == 2 {
            "deflate".to_owned()
        } else {
            sa.encryption.0.to_string()
        };
        write!(out, "\tC: {name} ")?;
    } else if let (SaType::ESP, Some(key)) = (message.sa_type, message.key_encryption()) {
        write!(out, "\tE: {} ", word(sa.encryption.name(), sa.encryption.0))?;
        write_hex(out, key.bytes())?;
    }
    if let Some(key) = message.key_authentication() {
        write!(
            out,
            "\tA: {} ",
            word(sa.authentication.name(), sa.authentication.0)
        )?;
        write_hex(out, key.bytes())?;
    }
    writeln!(
        out,
        "\tseq=0x{:08x} replay={} flags=0x{:08x} state={} ",
        sa2.sequence,
        message
            .sa_replay()
            .map_or(u32::from(sa.replay), |packets| packets >> 3),
        sa.flags,
        word(sa.state.name(), sa.state.0),
    )?;
    if let Some(current) = message.lifetime_current() {
        let hard = message.lifetime_hard().copied().unwrap_or_default();
        let soft = message.lifetime_soft().copied().unwrap_or_default();
        write_lifetimes(out, current, &hard, &soft, now, zone)?;
    }
    writeln!(
        out,
        "\tsadb_seq={} pid={} refcnt={}",
        message.sequence, message.pid, message.reserved
    )
}

fn write_original_addresses(out: &mut String, message: &Message) -> std::fmt::Result {
    let initiator = message.nat_t_original_initiator();
    let responder = message.nat_t_original_responder();
    if message.nat_t_type().is_none() || (initiator.is_none() && responder.is_none()) {
        return Ok(());
    }
    out.write_str("\tNAT:")?;
    if let Some(initiator) = initiator {
        write!(out, " OAI={}", host(&initiator.address))?;
    }
    if let Some(responder) = responder {
        write!(out, " OAR={}", host(&responder.address))?;
    }
    out.write_char('\n')
}

fn write_lifetimes(
    out: &mut String,
    current: &Lifetime,
    hard: &Lifetime,
    soft: &Lifetime,
    now: u64,
    zone: &TimeZone,
) -> std::fmt::Result {
    let age = if current.add_time == 0 {
        0
    } else {
        now.wrapping_sub(current.add_time)
    };
    writeln!(
        out,
        "\tcreated: {}\tcurrent: {}",
        date(current.add_time, zone),
        date(now, zone)
    )?;
    writeln!(
        out,
        "\tdiff: {age}(s)\thard: {}(s)\tsoft: {}(s)",
        hard.add_time, soft.add_time
    )?;
    writeln!(
        out,
        "\tlast: {}\thard: {}(s)\tsoft: {}(s)",
        date(current.use_time, zone),
        hard.use_time,
        soft.use_time
    )?;
    writeln!(
        out,
        "\tcurrent: {}(bytes)\thard: {}(bytes)\tsoft: {}(bytes)",
        current.bytes, hard.bytes, soft.bytes
    )?;
    writeln!(
        out,
        "\tallocated: {}\thard: {}\tsoft: {}",
        current.allocations, hard.allocations, soft.allocations
    )
}

/// One policy.
pub fn policy(message: &Message, zone: &TimeZone) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_policy(&mut out, message, zone);
    out
}

fn write_policy(out: &mut String, message: &Message, zone: &TimeZone) -> std::fmt::Result {
    if let (Some(source), Some(destination)) = (message.source(), message.destination()) {
        write!(out, "{} {} ", selector(source), selector(destination))?;
        if source.protocol != destination.protocol {
            return out.write_str("upper layer protocol mismatched.\n");
        }
        write_upper_protocol(out, source, destination)?;
    } else {
        out.write_str("(no selector, probably per-socket policy) ")?;
    }
    let Some(policy) = message.policy() else {
        return out.write_str("no X_POLICY extension.\n");
    };
    let direction = match policy.direction {
        Direction::ANY => "any".to_owned(),
        Direction::INBOUND => "in".to_owned(),
        Direction::OUTBOUND => "out".to_owned(),
        Direction(other) => other.to_string(),
    };
    write!(
        out,
        "\n\t{direction} {}",
        word(policy.kind.name(), policy.kind.0)
    )?;
    for request in &policy.requests {
        write!(out, "\n\t{}", request_text(request))?;
    }
    out.write_char('\n')?;
    if let Some(current) = message.lifetime_current() {
        writeln!(
            out,
            "\tcreated: {}  lastused: {}",
            date(current.add_time, zone),
            date(current.use_time, zone)
        )?;
    }
    if let Some(hard) = message.lifetime_hard() {
        writeln!(
            out,
            "\tlifetime: {}(s) validtime: {}(s)",
            hard.add_time, hard.use_time
        )?;
    }
    let scope = match policy.scope {
        SCOPE_GLOBAL => Some("global"),
        SCOPE_IFNET => Some("ifnet"),
        SCOPE_PCB => Some("pcb"),
        _ => None,
    };
    writeln!(
        out,
        "\tspid={} seq={} pid={} scope={} ",
        policy.id,
        message.sequence,
        message.pid,
        word(scope, policy.scope)
    )?;
    writeln!(out, "\trefcnt={}", message.reserved)
}

fn write_upper_protocol(
    out: &mut String,
    source: &Address,
    destination: &Address,
) -> std::fmt::Result {
    match source.protocol {
        Address::ANY_PROTOCOL => out.write_str("any"),
        IPPROTO_ICMPV6 => {
            out.write_str("icmp6")?;
            // The ports carry ICMPv6 type and code.
            match (source.address.port(), destination.address.port()) {
                (0, 0) => Ok(()),
                (kind, code) => write!(out, " {kind},{code}"),
            }
        }
        4 => out.write_str("ip4"),
        other => match protocol_name(other) {
            Some(name) => out.write_str(name),
            None => write!(out, "{other}"),
        },
    }
}

/// The part of /etc/protocols that policies name.
const fn protocol_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "ip",
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        108 => "ipcomp",
        132 => "sctp",
        _ => return None,
    })
}

fn request_text(request: &PolicyRequest) -> String {
    let protocol = match request.protocol {
        PolicyRequest::ESP => "esp".to_owned(),
        51 => "ah".to_owned(),
        108 => "ipcomp".to_owned(),
        6 => "tcp".to_owned(),
        other => other.to_string(),
    };
    let ends = request
        .tunnel
        .as_ref()
        .map_or_else(String::new, |(source, destination)| {
            format!("{}-{}", host(source), host(destination))
        });
    let level = word(request.level.name(), request.level.0);
    let reqid = match request.reqid {
        0 => String::new(),
        reqid if reqid <= IPSEC_MANUAL_REQID_MAX => format!(":{reqid}"),
        reqid => format!("#{reqid}"),
    };
    let mode = word(request.mode.name(), request.mode.0);
    format!("{protocol}/{mode}/{ends}/{level}{reqid}")
}

/// `SRC[/plen][port]` of a policy.
fn selector(address: &Address) -> String {
    let mut text = host(&address.address);
    let full = if address.address.is_ipv4() { 32 } else { 128 };
    if address.prefix_len != full {
        text += &format!("/{}", address.prefix_len);
    }
    if address.protocol != IPPROTO_ICMPV6 {
        text += &match address.address.port() {
            0 => "[any]".to_owned(),
            port => format!("[{port}]"),
        };
    }
    text
}

/// Numeric host, with the scope of a link-local address as its interface number.
fn host(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        other => other.ip().to_string(),
    }
}

fn word(name: Option<&str>, number: impl ToString) -> String {
    name.map_or_else(|| number.to_string(), str::to_owned)
}

/// A blank before every 4 bytes, a new line after every 32 and at the end.
fn write_hex(out: &mut String, bytes: &[u8]) -> std::fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        if i != 0 && i % 32 == 0 {
            out.write_char('\n')?;
        }
        if i % 4 == 0 {
            out.write_char(' ')?;
        }
        write!(out, "{byte:02x}")?;
    }
    out.write_char('\n')
}

/// Characters 4 to 23 of ctime(3), 20 blanks for never.
fn date(seconds: u64, zone: &TimeZone) -> String {
    let blank = || " ".repeat(20);
    if seconds == 0 {
        return blank();
    }
    match i64::try_from(seconds).map(Timestamp::from_second) {
        Ok(Ok(time)) => time
            .to_zoned_datetime(zone.clone())
            .strftime("%b %e %H:%M:%S %Y")
            .to_string(),
        _ => blank(),
    }
}

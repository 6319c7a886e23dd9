//! Answers as columns for people.

use std::fmt::Write;
use std::time::Duration;

use ike_proto::view::{ChildSaView, IkeSaView};
use serde_json::Value;
use tanuki_daemon::table::Table;

use super::protocol::Stats;

/// `ikectl show ike`: a line for each ISAKMP SA.
pub fn ike(sas: &[IkeSaView]) -> String {
    let mut table = Table::new([
        "ID", "CLIENT", "STATE", "ROLE", "PEER", "IDENTITY", "SUITE", "NAT", "KERNEL", "AGE",
        "REKEY", "EXPIRES", "VENDOR",
    ]);
    for sa in sas {
        table.row([
            sa.id.to_string(),
            or_dash(sa.reqid),
            sa.state.clone(),
            role(sa.initiator),
            sa.peer.to_string(),
            or_dash(sa.peer_identity.as_ref()),
            suite(&[&sa.cipher, &sa.hash, &sa.group]),
            nat(sa.local_nat, sa.peer_nat),
            or_dash(sa.kernel),
            span(sa.established.unwrap_or(sa.age)),
            sa.rekey_in.map_or_else(dash, span),
            sa.expires_in.map_or_else(dash, span),
            or_dash(sa.vendor.as_ref()),
        ]);
    }
    or_none(&table, "No ISAKMP SAs.")
}

/// Pairs of IPsec SAs.
pub fn ipsec(pairs: &[ChildSaView]) -> String {
    let mut table = Table::new([
        "ID",
        "CLIENT",
        "STATE",
        "PEER",
        "MODE",
        "SUITE",
        "SPI IN",
        "SPI OUT",
        "KERNEL",
        "OCTETS IN",
        "OCTETS OUT",
        "AGE",
        "REKEY",
        "EXPIRES",
    ]);
    for pair in pairs {
        let bits = match pair.key_bits {
            0 => String::new(),
            bits => format!("-{bits}"),
        };
        table.row([
            pair.id.to_string(),
            pair.reqid.to_string(),
            pair.state.clone(),
            pair.peer.to_string(),
            pair.encapsulation_mode.to_string(),
            format!("{}{bits}/{}", pair.cipher, pair.auth),
            format!("{:08x}", pair.spi_in),
            format!("{:08x}", pair.spi_out),
            pair.kernel.to_string(),
            pair.inbound_octets.to_string(),
            pair.outbound_octets.to_string(),
            pair.established.map_or_else(dash, span),
            pair.rekey_in.map_or_else(dash, span),
            pair.expires_in.map_or_else(dash, span),
        ]);
    }
    or_none(&table, "No IPsec SAs.")
}

/// `ikectl show stats`: a line for each counter.
pub fn stats(stats: &Stats) -> String {
    let mut table = Table::new(["COUNTER", "VALUE"]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("version", stats.version.clone());
    row("uptime", span(Duration::from_secs(stats.uptime)));
    row("kernel", stats.kernel.clone());
    row("kernel connected", yes_no(stats.kernel_connected));
    if let Some(connected) = stats.softkernel_beside {
        row("softkernel beside it", yes_no(connected));
    }
    row("listening on", stats.listen.join(", "));
    row("NAT traversal port bound", yes_no(stats.natt_bound));
    row("datagrams not sent", stats.send_failures.to_string());
    row("kernel refusals", stats.kernel_refusals.to_string());
    row("checkpoints written", stats.checkpoints.to_string());
    let core = &stats.core;
    let counts: [(&str, u64); 21] = [
        ("datagrams in", core.datagrams_in),
        ("datagrams out", core.datagrams_out),
        ("malformed", core.malformed),
        ("unknown cookies", core.unknown_cookies),
        ("ignored exchanges", core.ignored_exchanges),
        ("duplicates", core.duplicates),
        ("bad messages", core.bad_messages),
        ("retransmits", core.retransmits),
        ("phase 1 responded", core.phase1_responded),
        ("phase 1 initiated", core.phase1_initiated),
        ("phase 1 established", core.phase1_established),
        ("phase 1 failed", core.phase1_failed),
        ("phase 2 established", core.phase2_established),
        ("phase 2 failed", core.phase2_failed),
        ("dead peers", core.dpd_deaths),
        ("NAT mappings followed", core.mappings_moved),
        ("answers suppressed", core.answers_suppressed),
        ("half-open exchanges", core.half_open as u64),
        ("ISAKMP SAs", core.ike_sas as u64),
        ("IPsec SA pairs", core.child_sas as u64),
        ("clients", core.clients as u64),
    ];
    for (name, count) in counts {
        row(name, count.to_string());
    }
    for (reason, count) in &core.refused {
        row(&format!("refused: {reason}"), count.to_string());
    }
    table.to_string()
}

/// Counters of softkernel, group by group as it answers them; those that are zero are left out.
pub fn kernel(counters: &Value) -> String {
    let mut table = Table::new(["PART", "COUNTER", "VALUE"]);
    let groups = counters.as_object().into_iter().flatten();
    for (name, value) in groups {
        match value.as_object() {
            Some(group) => {
                let counted = group.iter().filter(|(_, count)| count.as_u64() != Some(0));
                for (counter, count) in counted {
                    table.row([name.clone(), counter.clone(), count.to_string()]);
                }
            }
            None => table.row([dash(), name.clone(), value.to_string()]),
        }
    }
    table.to_string()
}

/// `1d02h`, `3h07m`, `12m05s`, `9s`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = match (days, hours, minutes) {
        (0, 0, 0) => write!(text, "{seconds}s"),
        (0, 0, _) => write!(text, "{minutes}m{:02}s", seconds % 60),
        (0, _, _) => write!(text, "{hours}h{minutes:02}m"),
        _ => write!(text, "{days}d{hours:02}h"),
    };
    text
}

fn suite(parts: &[&String]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .map(|p| p.as_str())
        .filter(|p| !p.is_empty())
        .collect();
    if parts.is_empty() {
        dash()
    } else {
        parts.join("/")
    }
}

fn nat(local: bool, peer: bool) -> String {
    match (local, peer) {
        (false, false) => "none",
        (true, false) => "us",
        (false, true) => "peer",
        (true, true) => "both",
    }
    .to_owned()
}

fn role(initiator: bool) -> String {
    if initiator { "initiator" } else { "responder" }.to_owned()
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn dash() -> String {
    "-".to_owned()
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(dash, |value| value.to_string())
}

fn or_none(table: &Table, none: &str) -> String {
    if table.is_empty() {
        format!("{none}\n")
    } else {
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let text = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(text(9), "9s");
        assert_eq!(text(725), "12m05s");
        assert_eq!(text(11_220), "3h07m");
        assert_eq!(text(93_600), "1d02h");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(ike(&[]), "No ISAKMP SAs.\n");
        assert_eq!(ipsec(&[]), "No IPsec SAs.\n");
        assert!(stats(&Stats::default()).contains("half-open exchanges"));
    }

    #[test]
    fn what_softkernel_counted() {
        let counters = serde_json::json!({
            "ipsec": {"in_no_sa": 0, "in_replayed": 3},
            "netgraph_drops": {},
            "policies": 0,
        });
        let text = kernel(&counters);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows,
            [
                vec!["PART", "COUNTER", "VALUE"],
                vec!["ipsec", "in_replayed", "3"],
                vec!["-", "policies", "0"],
            ]
        );
    }
}

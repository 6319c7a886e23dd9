//! Answers for people.

use std::fmt::Write;
use std::time::Duration;

use l2tp_proto::KernelId;
use tanuki_daemon::table::Table;

use super::protocol::{
    Answer, ConnectionStatus, PoolStatus, SessionStatus, TunnelStatus, UserStatus,
};

/// The answer as text, with a final newline.
#[must_use]
pub fn text(answer: &Answer) -> String {
    match answer {
        Answer::Tunnels(tunnels) => or_none(tunnels.len(), "no tunnels", || table_of(tunnels)),
        Answer::Sessions(sessions) => {
            or_none(sessions.len(), "no sessions", || sessions_table(sessions))
        }
        Answer::Users(users) => or_none(users.len(), "no users", || users_table(users)),
        Answer::Pools(pools) => or_none(pools.len(), "no address pool", || pools_table(pools)),
        Answer::Connections(connections) => {
            or_none(connections.len(), "no connections configured", || {
                connections_table(connections)
            })
        }
        Answer::Stats(stats) => stats.iter().fold(String::new(), |mut text, (name, count)| {
            // Writing into a String does not fail.
            let _ = writeln!(text, "{name} {count}");
            text
        }),
        Answer::Done(words) | Answer::Refused(words) => format!("{words}\n"),
    }
}

fn or_none(count: usize, none: &str, table: impl FnOnce() -> Table) -> String {
    if count == 0 {
        format!("{none}\n")
    } else {
        table().to_string()
    }
}

fn table_of(tunnels: &[TunnelStatus]) -> Table {
    let mut table = Table::new([
        "tunnel",
        "peer id",
        "peer",
        "reqid",
        "kernel",
        "host name",
        "role",
        "state",
        "sessions",
        "age",
    ]);
    for tunnel in tunnels {
        table.row([
            tunnel.id.to_string(),
            tunnel.peer_id.to_string(),
            tunnel.peer.to_string(),
            tunnel.reqid.map_or_else(dash, |reqid| reqid.to_string()),
            tunnel.kernel.to_string(),
            if tunnel.host_name.is_empty() {
                dash()
            } else {
                tunnel.host_name.clone()
            },
            tunnel.role.clone(),
            tunnel.state.clone(),
            tunnel.sessions.to_string(),
            age(tunnel.age),
        ]);
    }
    hide_single_kernel(&mut table, tunnels.iter().map(|tunnel| tunnel.kernel));
    table
}

/// Where one kernel carries everything, which one is not worth a column.
fn hide_single_kernel(table: &mut Table, mut kernels: impl Iterator<Item = KernelId>) {
    let first = kernels.next();
    if kernels.all(|kernel| Some(kernel) == first) {
        table.hide("kernel");
    }
}

fn sessions_table(sessions: &[SessionStatus]) -> Table {
    let mut table = Table::new([
        "session",
        "user",
        "address",
        "prefix",
        "interface",
        "kernel",
        "peer",
        "login",
        "state",
        "age",
        "received",
        "sent",
    ]);
    for session in sessions {
        let or_dash = |text: &str| {
            if text.is_empty() {
                dash()
            } else {
                text.to_owned()
            }
        };
        let user = match &session.connection {
            Some(connection) => format!("{} ({connection})", session.user),
            None => or_dash(&session.user),
        };
        table.row([
            format!("{}/{}", session.tunnel, session.id),
            user,
            session
                .address
                .map_or_else(dash, |address| address.to_string()),
            session
                .prefix
                .map_or_else(dash, |prefix| prefix.to_string()),
            or_dash(&session.interface),
            session.kernel.to_string(),
            session.peer.to_string(),
            or_dash(&session.authentication),
            session.state.clone(),
            age(session.age),
            octets(session.traffic.received_octets),
            octets(session.traffic.sent_octets),
        ]);
    }
    hide_single_kernel(&mut table, sessions.iter().map(|session| session.kernel));
    if sessions.iter().all(|session| session.prefix.is_none()) {
        table.hide("prefix");
    }
    table
}

fn users_table(users: &[UserStatus]) -> Table {
    let mut table = Table::new(["user", "address", "sessions"]);
    for user in users {
        let sessions = if user.sessions.is_empty() {
            dash()
        } else {
            user.sessions.join(" ")
        };
        table.row([
            user.name.clone(),
            match (&user.address, user.prefix) {
                (None, None) => "pool".to_owned(),
                (Some(address), None) => address.clone(),
                (None, Some(prefix)) => format!("pool {prefix}"),
                (Some(address), Some(prefix)) => format!("{address} {prefix}"),
            },
            sessions,
        ]);
    }
    table
}

fn pools_table(pools: &[PoolStatus]) -> Table {
    let mut table = Table::new(["pool", "range", "used", "of"]);
    for pool in pools {
        table.row([
            pool.name.clone(),
            pool.range.clone(),
            pool.used.to_string(),
            pool.size.to_string(),
        ]);
    }
    table
}

fn connections_table(connections: &[ConnectionStatus]) -> Table {
    let mut table = Table::new(["connection", "server", "state", "session", "last reason"]);
    for connection in connections {
        table.row([
            connection.name.clone(),
            connection.server.clone(),
            connection.state.clone(),
            connection.session.clone().unwrap_or_else(dash),
            if connection.reason.is_empty() {
                dash()
            } else {
                connection.reason.clone()
            },
        ]);
    }
    table
}

fn dash() -> String {
    "-".to_owned()
}

/// `1d02h`, `3h04m`, `5m06s`, `7s`.
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match Duration::from_secs(seconds).as_secs() {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{minutes}m{:02}s", seconds % 60),
        3600..=86_399 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// `812`, `1.4K`, `23.0M`, binary multiples.
fn octets(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "";
    for next in ["K", "M", "G", "T"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit.is_empty() {
        count.to_string()
    } else {
        format!("{value:.1}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::Traffic;

    #[test]
    fn sessions_are_one_line_each() {
        let session = SessionStatus {
            tunnel: 3,
            id: 9,
            peer_id: 1,
            user: "alice".into(),
            authentication: "MS-CHAPv2".into(),
            peer: "198.51.100.9:1701".parse().unwrap(),
            address: Some([10, 77, 0, 10].into()),
            prefix: None,
            interface: "ng0".into(),
            kernel: KernelId::System,
            state: "up".into(),
            age: 3_661,
            link: "default-0".into(),
            bundle: "default-0".into(),
            connection: None,
            traffic: Traffic {
                received_octets: 812,
                sent_octets: 24_117_248,
                ..Traffic::default()
            },
        };
        let other = SessionStatus {
            kernel: KernelId::Soft,
            ..session.clone()
        };
        let both = super::text(&Answer::Sessions(vec![session.clone(), other]));
        assert!(
            both.contains("  kernel  ") && both.contains("  system  ") && both.contains("  soft")
        );
        let with_prefix = SessionStatus {
            prefix: Some("2001:db8:77:1::/64".parse().unwrap()),
            ..session.clone()
        };
        let listed = super::text(&Answer::Sessions(vec![with_prefix]));
        assert!(
            listed.contains("10.77.0.10  2001:db8:77:1::/64  ng0"),
            "{listed}"
        );
        let text = text(&Answer::Sessions(vec![session]));
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("session  user   address"));
        let words: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(
            words,
            [
                "3/9",
                "alice",
                "10.77.0.10",
                "ng0",
                "198.51.100.9:1701",
                "MS-CHAPv2",
                "up",
                "1h01m",
                "812",
                "23.0M"
            ]
        );
        assert_eq!(super::text(&Answer::Sessions(Vec::new())), "no sessions\n");
    }

    #[test]
    fn ages_and_sizes_are_short() {
        assert_eq!(
            [0, 59, 61, 86_399, 90_000].map(age),
            ["0s", "59s", "1m01s", "23h59m", "1d01h"]
        );
        assert_eq!(
            [0, 1023, 1024, 1 << 40].map(octets),
            ["0", "1023", "1.0K", "1.0T"]
        );
    }
}

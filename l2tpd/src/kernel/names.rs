//! The names of our netgraph nodes: everything about a tunnel or session can be found again by
//! its numbers, also by the next process.

use l2tp_proto::TunnelId;

use crate::server::SessionKey;

/// What all our names begin with.
pub const PREFIX: &str = "tanuki-";

/// Our own socket node: one l2tpd at a time is on a kernel.
pub const DAEMON: &str = "tanuki-l2tpd";

/// Whether a node is one of ours.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let hex = |text: &str| number(text).is_some();
    match rest.split_at_checked(1) {
        Some(("t", tunnel)) => hex(tunnel),
        Some(("p" | "i" | "m" | "f" | "s", key)) => key
            .split_once('-')
            .is_some_and(|(tunnel, session)| hex(tunnel) && hex(session)),
        _ => false,
    }
}

/// The ng_l2tp node of a tunnel.
#[must_use]
pub fn tunnel(tunnel: TunnelId) -> String {
    format!("{PREFIX}t{tunnel}")
}

/// The ng_ppp node of a session.
#[must_use]
pub fn ppp(key: SessionKey) -> String {
    format!("{PREFIX}p{}-{}", key.tunnel, key.session)
}

/// The ng_tcpmss node of a session.
#[must_use]
pub fn tcpmss(key: SessionKey) -> String {
    format!("{PREFIX}m{}-{}", key.tunnel, key.session)
}

/// The ng_iface node of a session.
#[must_use]
pub fn interface(key: SessionKey) -> String {
    format!("{PREFIX}i{}-{}", key.tunnel, key.session)
}

/// The ng_bpf node of a session in a system kernel.
#[must_use]
pub fn filter(key: SessionKey) -> String {
    format!("{PREFIX}f{}-{}", key.tunnel, key.session)
}

/// The ng_bpf node that tells a session's router solicitations from other packets, in a system
/// kernel.
#[must_use]
pub fn solicitations(key: SessionKey) -> String {
    format!("{PREFIX}s{}-{}", key.tunnel, key.session)
}

/// All nodes of a session; to be shut down in this order.
#[must_use]
pub fn of_session(key: SessionKey) -> [String; 5] {
    [
        interface(key),
        tcpmss(key),
        filter(key),
        solicitations(key),
        ppp(key),
    ]
}

/// The hook of our socket node that leads to a tunnel's `ctrl`.
#[must_use]
pub fn control_hook(tunnel: TunnelId) -> String {
    format!("c{tunnel}")
}

/// The hook of our socket node that leads to a session's `bypass`.
#[must_use]
pub fn bypass_hook(key: SessionKey) -> String {
    format!("b{}-{}", key.tunnel, key.session)
}

/// The hook of our socket node by which a session's router solicitations come.
#[must_use]
pub fn solicitation_hook(key: SessionKey) -> String {
    format!("r{}-{}", key.tunnel, key.session)
}

/// What a hook of our socket node leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// A tunnel's control channel.
    Control(TunnelId),
    /// A session's control protocols.
    Bypass(SessionKey),
    /// A session's router solicitations.
    Solicitations(SessionKey),
}

/// The tunnel whose node has that name.
#[must_use]
pub fn parse_tunnel(name: &str) -> Option<TunnelId> {
    TunnelId::new(number(name.strip_prefix(PREFIX)?.strip_prefix('t')?)?)
}

/// Exactly four hexadecimal digits.
fn number(text: &str) -> Option<u16> {
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// Reads a name made by [`control_hook`], [`bypass_hook`] or [`solicitation_hook`].
#[must_use]
pub fn parse_hook(hook: &str) -> Option<Hook> {
    match hook.split_at_checked(1)? {
        ("c", tunnel) => Some(Hook::Control(TunnelId::new(number(tunnel)?)?)),
        ("b", key) => session_key(key).map(Hook::Bypass),
        ("r", key) => session_key(key).map(Hook::Solicitations),
        _ => None,
    }
}

fn session_key(text: &str) -> Option<SessionKey> {
    let (tunnel, session) = text.split_once('-')?;
    Some(SessionKey {
        tunnel: TunnelId::new(number(tunnel)?)?,
        session: l2tp_proto::SessionId::new(number(session)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2tp_proto::SessionId;

    #[test]
    fn names_are_known_again() {
        let key = SessionKey {
            tunnel: TunnelId::new(0x00ab).unwrap(),
            session: SessionId::new(0xffff).unwrap(),
        };
        assert_eq!(tunnel(key.tunnel), "tanuki-t00ab");
        assert_eq!(parse_tunnel("tanuki-t00ab"), Some(key.tunnel));
        assert_eq!(parse_tunnel("tanuki-p00ab"), None);
        assert_eq!(ppp(key), "tanuki-p00ab-ffff");
        assert!(
            of_session(key)
                .iter()
                .chain([&tunnel(key.tunnel)])
                .all(|name| is_ours(name))
        );
        assert_eq!(
            parse_hook(&control_hook(key.tunnel)),
            Some(Hook::Control(key.tunnel))
        );
        assert_eq!(parse_hook(&bypass_hook(key)), Some(Hook::Bypass(key)));
        assert_eq!(
            parse_hook(&solicitation_hook(key)),
            Some(Hook::Solicitations(key))
        );
        for other in [
            "tanuki-",
            "tanuki-x0001",
            "tanuki-t1",
            "ng0",
            "tanuki-p0001",
            "mpd123-t0001",
        ] {
            assert!(!is_ours(other), "{other}");
        }
        for other in ["", "c", "c0000", "b0001", "b0001-0000", "x0001", "c+001"] {
            assert_eq!(parse_hook(other), None, "{other}");
        }
    }
}

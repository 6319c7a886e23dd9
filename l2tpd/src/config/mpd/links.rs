//! Links that take calls, and where they listen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mpd_conf::model::{Action as MpdAction, KeepAlive, Kind, Link, PeerHost, Setting};
use mpd_conf::options::{L2tpOption, LinkOption};
use ppp_proto::AuthMethod;

use super::Lowering;
use crate::config::profile::{Action, LinkProfile, Pattern, TunnelSettings};
use crate::config::scalar::L2TP_PORT;
use crate::secret::Secret;

/// The largest packet that a link carries.
const LARGEST: u16 = 1500;

impl Lowering<'_> {
    /// The links, and the addresses they listen on.
    pub(super) fn links(&mut self) -> (Vec<Arc<LinkProfile>>, Vec<SocketAddr>) {
        let model = self.model;
        let (mut links, mut listen) = (Vec::new(), Vec::new());
        for link in &model.links {
            if !link.options.enabled(LinkOption::Incoming) {
                continue;
            }
            listen.push(listener(link));
            if let Some(link) = self.link(link) {
                links.push(Arc::new(link));
            }
        }
        listen.sort_unstable();
        listen.dedup();
        // Who listens everywhere listens there too.
        let everywhere: Vec<SocketAddr> = listen
            .iter()
            .copied()
            .filter(|each| each.ip().is_unspecified())
            .collect();
        listen.retain(|each| {
            everywhere.contains(each)
                || !everywhere
                    .iter()
                    .any(|all| all.port() == each.port() && all.is_ipv4() == each.is_ipv4())
        });
        (links, listen)
    }

    fn link(&mut self, link: &Link) -> Option<LinkProfile> {
        let before = self.problems.len();
        let local = link.l2tp.local.value;
        let peer = match link.l2tp.peer.value.as_ref().map(|peer| &peer.host) {
            None => None,
            Some(PeerHost::Network(network)) => {
                Some(network.trunc()).filter(|network| network.prefix_len() > 0)
            }
            Some(PeerHost::Name(name)) => {
                let span = link.l2tp.peer.span.as_ref().unwrap_or(&link.span);
                self.refuse(
                    span,
                    format!("calls from '{name}' cannot be told from others"),
                    "write the address or network that calls come from",
                );
                None
            }
        };
        let profile = LinkProfile {
            name: link.name.clone(),
            local_address: local
                .map(|local| local.address)
                .filter(|address| !address.is_unspecified()),
            local_port: local.and_then(|local| local.port),
            peer,
            peer_port: link.l2tp.peer.value.as_ref().and_then(|peer| peer.port),
            tunnel: self.tunnel(link),
            authentication: self.methods(link),
            authentication_timeout: Duration::from_secs(u64::from(link.auth.timeout.value)),
            mtu: self.octets("mtu", &link.mtu),
            mru: self.octets("mru", &link.mru),
            protocol_compression: link.options.enabled(LinkOption::Protocomp),
            address_compression: link.options.enabled(LinkOption::Acfcomp),
            echo_interval: (link.keep_alive.value.interval > 0)
                .then(|| Duration::from_secs(u64::from(link.keep_alive.value.interval))),
            echo_failures: failures(link.keep_alive.value),
            max_sessions: Some(match link.kind {
                Kind::Template => usize::try_from(link.max_children.value).unwrap_or(usize::MAX),
                Kind::Static | Kind::Dynamic => 1,
            }),
            actions: self.actions(link),
        };
        (self.problems.len() == before).then_some(profile)
    }

    pub(super) fn tunnel(&mut self, link: &Link) -> TunnelSettings {
        let l2tp = &link.l2tp;
        let secret = l2tp.secret.value.as_ref();
        let hidden = l2tp.options.enabled(L2tpOption::Hidden);
        if let Some(span) = l2tp.options.span(L2tpOption::Hidden)
            && hidden
            && secret.is_none()
        {
            self.notice(
                span,
                "no effect without 'set l2tp secret': nothing hides AVPs",
            );
        }
        TunnelSettings {
            host_name: l2tp.host_name.value.clone(),
            secret: secret.map(|secret| Secret::new(secret.expose())),
            require_secret: secret.is_some(),
            hide_avps: hidden && secret.is_some(),
            sequencing: l2tp.options.enabled(L2tpOption::Dataseq),
            length: l2tp.options.enabled(L2tpOption::Length),
        }
    }

    /// The best first; mpd lets everybody in where there is none, we nobody.
    fn methods(&mut self, link: &Link) -> Vec<AuthMethod> {
        let all = [
            (LinkOption::ChapMsv2, AuthMethod::MsChapV2),
            (LinkOption::ChapMd5, AuthMethod::ChapMd5),
            (LinkOption::Pap, AuthMethod::Pap),
        ];
        let methods: Vec<AuthMethod> = all
            .into_iter()
            .filter(|(option, _)| link.options.enabled(*option))
            .map(|(_, method)| method)
            .collect();
        if methods.is_empty() {
            let said = all
                .iter()
                .find_map(|(option, _)| link.options.span(*option));
            self.refuse(
                said.unwrap_or(&link.span),
                format!("link '{}' lets everybody in without a login", link.name),
                "write 'set link enable chap-msv2'",
            );
        }
        methods
    }

    pub(super) fn octets(&mut self, what: &str, value: &Setting<u16>) -> u16 {
        if value.value > LARGEST
            && let Some(span) = &value.span
        {
            self.notice(
                span,
                &format!("{what}: {LARGEST} is the most that is carried"),
            );
        }
        value.value.min(LARGEST)
    }

    fn actions(&mut self, link: &Link) -> Vec<Action> {
        if link.actions.is_empty() {
            self.refuse(
                &link.span,
                format!(
                    "link '{}' takes calls and has no action for them",
                    link.name
                ),
                "write 'set link action bundle NAME'",
            );
        }
        let mut actions = Vec::new();
        for action in &link.actions {
            let pattern = match action.regex.as_deref().map(Pattern::new) {
                None => None,
                Some(Ok(pattern)) => Some(pattern),
                Some(Err(error)) => {
                    self.refuse(
                        &action.span,
                        format!("no regular expression: {error}"),
                        "write an extended one, as in re_format(7)",
                    );
                    continue;
                }
            };
            let bundle = match &action.action {
                MpdAction::Drop => None,
                MpdAction::Bundle(name) => match self.server_bundle(name) {
                    Some(bundle) => Some(bundle),
                    // What is wrong with it was said.
                    None => continue,
                },
            };
            actions.push(Action { bundle, pattern });
        }
        actions
    }
}

fn listener(link: &Link) -> SocketAddr {
    let local = link.l2tp.local.value;
    SocketAddr::new(
        local.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |local| local.address),
        local.and_then(|local| local.port).unwrap_or(L2TP_PORT),
    )
}

/// So many Echo-Requests fit into the time after which the peer is dead.
fn failures(keep_alive: KeepAlive) -> u8 {
    let requests = keep_alive.maximum.div_ceil(keep_alive.interval.max(1));
    u8::try_from(requests.clamp(1, 255)).unwrap_or(u8::MAX)
}

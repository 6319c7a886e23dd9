//! `connections`: peers that we call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ike_crypto::Secret;
use ike_proto::Policy;
use ike_proto::io::Mode;
use ike_proto::policy::{Connection, Login};

use super::Check;
use super::secrets::has_secret;
use crate::config::model::ConfiguredConnection;
use crate::config::yaml::ConnectionSection;

impl Check<'_> {
    pub(super) fn connection(
        &mut self,
        name: &str,
        section: &ConnectionSection,
        policy: &Policy,
    ) -> Option<ConfiguredConnection> {
        let path = format!("connections.{name}");
        let before = self.problems.len();
        let mode = section.mode.map_or(Mode::Transport, |mode| mode.0);
        let peer = SocketAddr::new(
            section.peer.0,
            section.peer.1.unwrap_or(policy.nat.ike_port),
        );
        if peer.ip().is_unspecified() || peer.ip().is_multicast() || peer.port() == 0 {
            self.problem(&format!("{path}.peer"), "expected the address of one host");
        }
        let unspecified: IpAddr = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let local = section.local.map_or(unspecified, |host| host.0);
        if local.is_ipv4() != peer.is_ipv4() {
            self.problem(&format!("{path}.local"), "not of the same family as `peer`");
        }
        let tunnel = mode == Mode::Tunnel;
        let networks = [
            (
                "local_network",
                section.local_network.is_some() || section.mode_config == Some(true),
            ),
            ("peer_network", section.peer_network.is_some()),
        ];
        for (key, given) in networks {
            if tunnel && !given {
                self.problem(
                    &format!("{path}.mode"),
                    format_args!("tunnel mode needs `{key}`"),
                );
            } else if !tunnel && given {
                self.problem(&format!("{path}.{key}"), "only with `mode: tunnel`");
            }
        }
        let peer_identity = section.peer_identity.as_ref().map(|name| name.0.clone());
        let methods = &policy.terms(peer.ip()).authentication.methods;
        let by_secret = methods.iter().all(|method| method.uses_secret());
        if by_secret && !has_secret(policy, peer.ip(), peer_identity.as_ref()) {
            self.problem(
                &format!("{path}.peer"),
                format_args!("no secret for {}; add one to `secrets`", peer.ip()),
            );
        }
        // L2TP unless said otherwise; a tunnel carries everything.
        let l2tp = if tunnel { 0 } else { 1701 };
        let connection = Connection {
            name: name.to_owned(),
            local,
            peer,
            local_identity: section.identity.as_ref().map(|name| name.0.clone()),
            peer_identity,
            mode,
            protocol: section.protocol.unwrap_or(if tunnel { 0 } else { 17 }),
            local_port: section.local_port.unwrap_or(l2tp),
            peer_port: section.peer_port.unwrap_or(l2tp),
            local_network: section.local_network.map(|net| net.0),
            peer_network: section.peer_network.map(|net| net.0),
            pfs: section.pfs.map(|group| group.0),
            initial_contact: section.initial_contact.unwrap_or(true),
            login: self.login(&path, section),
            mode_config: section.mode_config.unwrap_or(false),
            aggressive: section.aggressive.unwrap_or(false),
        };
        (self.problems.len() == before).then_some(ConfiguredConnection {
            connection,
            start: section.start,
        })
    }

    /// What we answer when a server asks for name and password.
    fn login(&mut self, path: &str, section: &ConnectionSection) -> Option<Login> {
        match (&section.user, &section.password) {
            (Some(user), Some(password)) => Some(Login {
                user: user.clone(),
                password: Secret::from(password.as_bytes()),
            }),
            (Some(_), None) => {
                self.problem(&format!("{path}.user"), "without `password`");
                None
            }
            (None, Some(_)) => {
                self.problem(&format!("{path}.password"), "without `user`");
                None
            }
            (None, None) => None,
        }
    }
}

//! Links that call: connections this host makes as a client.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use mpd_conf::diag::{Diagnostics, Span};
use mpd_conf::model::{Action, Bundle as MpdBundle, Kind, Link, Peer, PeerHost};
use mpd_conf::options::LinkOption;
use mpd_conf::{SecretsFile, Source};

use super::bundles::End;
use super::{Lowering, SECRETS};
use crate::config::Connection;
use crate::config::file::read_bounded;
use crate::config::scalar::L2TP_PORT;
use crate::secret::Secret;

impl<'m> Lowering<'m> {
    pub(super) fn connections(&mut self) -> BTreeMap<String, Connection> {
        let model = self.model;
        let mut connections = BTreeMap::new();
        let mut servers: BTreeMap<(SocketAddr, SocketAddr), &str> = BTreeMap::new();
        for link in &model.links {
            // A template calls nobody, and who takes calls only has the peer to recognise them.
            let opened = self.opened(link);
            let calls = link.l2tp.peer.value.as_ref().filter(|peer| {
                let waits = link.options.enabled(LinkOption::Incoming);
                link.kind != Kind::Template && (opened || peer.host.is_one_host() && !waits)
            });
            let Some(peer) = calls else {
                continue;
            };
            let Some(connection) = self.connection(link, peer, opened) else {
                continue;
            };
            let way = (connection.local, connection.server);
            if let Some(other) = servers.insert(way, &link.name) {
                let span = link.l2tp.peer.span.as_ref().unwrap_or(&link.span);
                self.refuse(
                    span,
                    format!("link '{other}' calls {} already", connection.server),
                    "call another server, or from another address by 'set l2tp self'",
                );
            }
            connections.insert(link.name.clone(), connection);
        }
        connections
    }

    fn connection(&mut self, link: &Link, peer: &Peer, opened: bool) -> Option<Connection> {
        let before = self.problems.len();
        let span = link.l2tp.peer.span.as_ref().unwrap_or(&link.span);
        let server = self.server(peer, span)?;
        let local = self.local(link, server, span);
        let bundle = self.bundle_of(link)?;
        let mut lowered = self.bundle(bundle, End::Client)?;
        lowered.name.clone_from(&link.name);
        for route in &bundle.iface.routes {
            // The packets of the tunnel itself would then enter the tunnel.
            if route.value.prefix_len() > 0 && route.value.contains(&server.ip()) {
                self.refuse(
                    route.span.as_ref().unwrap_or(&bundle.span),
                    format!("{} contains the server {} itself", route.value, server.ip()),
                    "route networks behind the server only",
                );
            }
        }
        let user = link.auth.authname.value.clone();
        let Some(user) = user.filter(|user| !user.is_empty()) else {
            self.refuse(
                link.auth.authname.span.as_ref().unwrap_or(&link.span),
                format!("link '{}' has no name to log in by", link.name),
                "write 'set auth authname NAME' and 'set auth password PASSWORD'",
            );
            return None;
        };
        let password = self.password(link, &user)?;
        let connection = Connection {
            server,
            local,
            user,
            password,
            tunnel: self.tunnel(link),
            bundle: Arc::new(lowered),
            automatic: opened,
            attempts: match link.max_redial.value {
                0 => None,
                most => Some(u32::try_from(most).unwrap_or(1)),
            },
            retry: Duration::from_secs(u64::from(link.redial_delay.value)),
            mtu: self.octets("mtu", &link.mtu),
            mru: self.octets("mru", &link.mru),
            calling_number: link.l2tp.calling_number.value.clone().unwrap_or_default(),
            called_number: link.l2tp.called_number.value.clone().unwrap_or_default(),
        };
        (self.problems.len() == before).then_some(connection)
    }

    /// Opened itself, or by a bundle that names it.
    fn opened(&self, link: &Link) -> bool {
        link.opened.is_some()
            || self
                .model
                .bundles
                .iter()
                .any(|bundle| bundle.opened.is_some() && bundle.links.value.contains(&link.name))
    }

    fn server(&mut self, peer: &Peer, span: &Span) -> Option<SocketAddr> {
        let port = peer.port.unwrap_or(L2TP_PORT);
        match &peer.host {
            PeerHost::Network(network) if peer.host.is_one_host() => {
                Some(SocketAddr::new(network.addr(), port))
            }
            PeerHost::Network(network) => {
                let text = format!("{network} is a network, and one server is called");
                self.refuse(span, text, "write its address");
                None
            }
            PeerHost::Name(name) => {
                let found = (name.as_str(), port).to_socket_addrs();
                let found = found.map(|mut addresses| addresses.next());
                let reason = match found {
                    Ok(Some(address)) => return Some(address),
                    Ok(None) => "it has no address".to_owned(),
                    Err(error) => error.to_string(),
                };
                self.refuse(
                    span,
                    format!("'{name}' cannot be looked up: {reason}"),
                    "write its address, or start when names can be looked up",
                );
                None
            }
        }
    }

    fn local(&mut self, link: &Link, server: SocketAddr, span: &Span) -> SocketAddr {
        let any = match server {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let local = link.l2tp.local.value;
        let address = local.map_or(any, |local| local.address);
        if address.is_ipv4() != server.is_ipv4() {
            self.refuse(
                link.l2tp.local.span.as_ref().unwrap_or(span),
                format!("{address} cannot call {}", server.ip()),
                "write an address of ours of the same kind as the server's",
            );
        }
        SocketAddr::new(
            address,
            local.and_then(|local| local.port).unwrap_or(L2TP_PORT),
        )
    }

    /// The one its first action leads to, or that names it.
    fn bundle_of(&mut self, link: &Link) -> Option<&'m MpdBundle> {
        let model = self.model;
        let by_action = link.actions.iter().find_map(|action| match &action.action {
            Action::Bundle(name) => model.bundle(name),
            Action::Drop => None,
        });
        let mut bundles = model.bundles.iter();
        let found =
            by_action.or_else(|| bundles.find(|bundle| bundle.links.value.contains(&link.name)));
        if found.is_none() {
            self.refuse(
                &link.span,
                format!("link '{}' belongs to no bundle", link.name),
                "write 'set link action bundle NAME'",
            );
        }
        found
    }

    /// That of the link, or of mpd.secret.
    fn password(&mut self, link: &Link, user: &str) -> Option<Secret> {
        if let Some(password) = &link.auth.password.value {
            return Some(Secret::new(password.expose()));
        }
        let path = self.folder.join(SECRETS);
        let (bytes, unread) = match read_bounded(&path) {
            Ok(bytes) => (bytes, String::new()),
            Err(error) => (Vec::new(), format!(" ({error})")),
        };
        let mut diagnostics = Diagnostics::default();
        let name = path.display().to_string();
        let file = SecretsFile::parse(&name, &bytes, &mut diagnostics);
        match file.find(user).map(|entry| &entry.source) {
            Some(Source::Password(password)) => Some(Secret::new(password.expose())),
            Some(Source::Program(_)) | None => {
                self.refuse(
                    link.auth.authname.span.as_ref().unwrap_or(&link.span),
                    format!("there is no password for '{user}' here and in {name}{unread}"),
                    "write 'set auth password PASSWORD'",
                );
                None
            }
        }
    }
}

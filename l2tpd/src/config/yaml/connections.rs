//! `connections`: what this host connects to as a client.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::{Check, DEFAULT_MTU};
use crate::config::model::Connection;
use crate::config::profile::{Bundle, DEFAULT, RouterSettings, TunnelSettings};
use crate::config::scalar::{Endpoint, L2TP_PORT, Mtu, Number, Seconds, Text};
use crate::secret::Secret;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionFile {
    server: Text<Endpoint>,
    local: Option<Text<Endpoint>>,
    user: String,
    password: Secret,
    secret: Option<Secret>,
    bundle: Option<String>,
    #[serde(default)]
    routes: Vec<Text<IpNet>>,
    #[serde(default)]
    automatic: bool,
    attempts: Option<Number<0, 1_000_000>>,
    retry: Option<Seconds>,
    mtu: Option<Mtu>,
    mru: Option<Mtu>,
    ipv6: Option<bool>,
    #[serde(default)]
    calling_number: String,
    #[serde(default)]
    called_number: String,
}

impl Check<'_> {
    pub(super) fn connections(
        &mut self,
        connections: BTreeMap<String, ConnectionFile>,
        sequencing: bool,
        bundles: &BTreeMap<String, Arc<Bundle>>,
    ) -> BTreeMap<String, Connection> {
        let connections = connections
            .into_iter()
            .filter_map(|(name, connection)| {
                Some((
                    name.clone(),
                    self.connection(&name, connection, sequencing, bundles)?,
                ))
            })
            .collect();
        self.distinct_servers(&connections);
        connections
    }

    fn connection(
        &mut self,
        name: &str,
        file: ConnectionFile,
        sequencing: bool,
        bundles: &BTreeMap<String, Arc<Bundle>>,
    ) -> Option<Connection> {
        let path = |key: &str| format!("connections.{name}.{key}");
        let server = file.server.0.0;
        if server.ip().is_unspecified() || server.ip().is_multicast() {
            self.refuse(&path("server"), "expected the address of one host");
        }
        if file.user.is_empty() || file.user.len() > 255 {
            self.refuse(&path("user"), "expected a name of 1 to 255 octets");
        }
        if file.password.octets().is_empty() || file.password.octets().len() > 255 {
            self.refuse(&path("password"), "expected a password of 1 to 255 octets");
        }
        let any = match server {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED),
        };
        let any = SocketAddr::new(any, L2TP_PORT);
        let local = file.local.map_or(any, |local| local.0.0);
        if local.is_ipv4() != server.is_ipv4() {
            self.refuse(
                &path("local"),
                "expected the same family as the server's address",
            );
        }
        let Some(base) = bundles.get(file.bundle.as_deref().unwrap_or(DEFAULT)) else {
            self.refuse(
                &path("bundle"),
                "there is no such bundle, expected one of `bundles`",
            );
            return None;
        };
        for (index, Text(route)) in file.routes.iter().enumerate() {
            // The packets of the tunnel itself would then enter the tunnel.
            if route.prefix_len() > 0 && route.contains(&server.ip()) {
                self.refuse(
                    &path(&format!("routes.{index}")),
                    format!(
                        "contains the server {} itself, expected networks behind it",
                        server.ip()
                    ),
                );
            }
        }
        let mut bundle = Bundle::clone(base);
        name.clone_into(&mut bundle.name);
        // That of the server's side is not what we ask another server for.
        bundle.local_address = Ipv4Addr::UNSPECIFIED;
        // Nor do we advertise anything to it.
        bundle.router = RouterSettings::default();
        bundle.ipv6 = file.ipv6.unwrap_or(base.ipv6 && file.bundle.is_some());
        bundle
            .routes
            .extend(file.routes.into_iter().map(|route| route.0));
        Some(Connection {
            server,
            local,
            user: file.user,
            password: file.password,
            tunnel: TunnelSettings {
                host_name: None,
                secret: file.secret,
                require_secret: false,
                hide_avps: false,
                sequencing,
                length: true,
            },
            bundle: Arc::new(bundle),
            automatic: file.automatic,
            attempts: file
                .attempts
                .and_then(|n| u32::try_from(n.get()).ok())
                .filter(|n| *n > 0),
            retry: file.retry.map_or(Duration::from_secs(10), Number::seconds),
            mtu: file.mtu.map_or(DEFAULT_MTU, Number::octets),
            mru: file.mru.or(file.mtu).map_or(DEFAULT_MTU, Number::octets),
            calling_number: file.calling_number,
            called_number: file.called_number,
        })
    }

    /// One pair of addresses and ports is one tunnel.
    fn distinct_servers(&mut self, connections: &BTreeMap<String, Connection>) {
        let mut seen = BTreeMap::new();
        for (name, connection) in connections {
            if let Some(other) = seen.insert((connection.local, connection.server), name) {
                let message =
                    format!("is the server of {other} too, expected another or a `local`");
                self.refuse(&format!("connections.{name}.server"), message);
            }
        }
    }
}

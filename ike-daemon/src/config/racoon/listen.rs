//! `listen`: addresses, ports, and racoonctl's socket.

use std::net::IpAddr;
use std::path::PathBuf;

use racoon_conf::ast::{AdminSock, Endpoint, Host, Listen, Port, Text};
use racoon_conf::{Span, Spanned};

use super::lower::Lowering;
use crate::config::account::{Group, User};
use crate::config::model::AdminSocket;

/// What `listen` says.
#[derive(Default)]
pub(super) struct Addresses {
    pub(super) isakmp: Vec<IpAddr>,
    ike_port: Option<u16>,
    natt_port: Option<u16>,
    pub(super) strict: bool,
    /// racoonctl's socket, or none; not written if `None`.
    pub(super) admin: Option<Option<AdminSocket>>,
}

impl Lowering {
    pub(super) fn listen(&mut self, block: &[Spanned<Listen>], listen: &mut Addresses) {
        for item in block {
            if !self.visit("listen", item.value.name(), item.span) {
                continue;
            }
            match &item.value {
                Listen::Isakmp(endpoint) => {
                    let Some(address) = self.address("listen isakmp", endpoint) else {
                        continue;
                    };
                    if !listen.isakmp.contains(&address) {
                        listen.isakmp.push(address);
                    }
                    self.from("listen", item.span);
                    if endpoint.port.is_some() {
                        self.from("port", item.span);
                    }
                    let port = port(endpoint, 500);
                    let known = *listen.ike_port.get_or_insert(port);
                    if known != port {
                        self.value("listen isakmp", "other port", port_span(endpoint), "");
                    }
                }
                Listen::StrictAddress => listen.strict = true,
                Listen::AdminSock(socket) => {
                    listen.admin = Some(self.admin_socket(socket));
                    self.from("admin_socket", item.span);
                }
                Listen::AdminSockDisabled => listen.admin = Some(None),
                Listen::IsakmpNatt(_) | Listen::Admin(_) => {}
            }
        }
        let ike_port = listen.ike_port.unwrap_or(500);
        for item in block {
            let Listen::IsakmpNatt(endpoint) = &item.value else {
                continue;
            };
            let Some(address) = self.address("listen isakmp_natt", endpoint) else {
                continue;
            };
            if !listen.isakmp.contains(&address) {
                let span = endpoint.host.span;
                self.value("listen isakmp_natt", "other address", span, "");
            }
            let port = port(endpoint, 4500);
            let known = *listen.natt_port.get_or_insert(port);
            if known != port || port == ike_port {
                self.value("listen isakmp_natt", "other port", port_span(endpoint), "");
            }
        }
        self.policy.nat.ike_port = ike_port;
        self.policy.nat.natt_port = listen.natt_port.unwrap_or(4500);
    }

    fn admin_socket(&mut self, socket: &AdminSock) -> Option<AdminSocket> {
        let mut account = |text: &Option<Text>, found: fn(&str) -> Result<u32, String>| {
            let text = text.as_ref()?;
            match found(&text.value) {
                Ok(number) => Some(number),
                Err(why) => {
                    self.problem(text.span, format!("`adminsock`: {why}"));
                    None
                }
            }
        };
        let owner = account(&socket.owner, |text| text.parse().map(|user: User| user.0));
        let group = account(&socket.group, |text| {
            text.parse().map(|group: Group| group.0)
        });
        Some(AdminSocket {
            path: PathBuf::from(&socket.path.value),
            owner,
            group,
            mode: socket.mode.as_ref().map_or(0o600, |mode| mode.value),
            is_explicit: true,
        })
    }

    /// The address of an endpoint; names are refused.
    pub(super) fn address(&mut self, directive: &str, endpoint: &Endpoint) -> Option<IpAddr> {
        match &endpoint.host.value {
            Host::Address(address) => Some(*address),
            Host::Name(name) => {
                let found = format!("`{name}`");
                self.value(directive, "host name", endpoint.host.span, &found);
                None
            }
        }
    }
}

/// The port of an endpoint.
pub(super) fn port(endpoint: &Endpoint, default: u16) -> u16 {
    match endpoint.port.as_ref().map(|port| port.value) {
        Some(Port::Number(number)) => number,
        Some(Port::Any) | None => default,
    }
}

fn port_span(endpoint: &Endpoint) -> Span {
    endpoint
        .port
        .as_ref()
        .map_or(endpoint.host.span, |port| port.span)
}

//! setkey(8) scripts: which traffic peers may carry, and tunnels.
//!
//! Every policy is put into the kernel as it is. It also says what peers may carry: services in
//! transport mode, networks in tunnel mode.

use std::net::IpAddr;
use std::path::Path;

use ike_proto::io::Mode as SaMode;
use ike_proto::policy::{Connection, Service};
use ipnet::IpNet;
use racoon_conf::Spanned;
use racoon_conf::ast::Host;
use racoon_conf::setkey::{
    Action, Command, Mode, Policy, Request, SaProtocol, Script, Selector, Side,
};

use tanuki_daemon::config::Problems;

use super::Read;
use super::lower::Lowering;
use super::remote::unspecified;
use crate::config::model::ConfiguredConnection;
use crate::config::static_entry::{self, StaticEntry};

/// The entries of scripts, for a configuration that says itself what peers may carry.
pub(super) fn entries(scripts: &[Read]) -> Result<Vec<StaticEntry>, Problems> {
    let mut lowering = Lowering::new(Vec::new(), Path::new("/"));
    lowering.scripts(scripts);
    lowering.into_problems()
}

/// One script; what it allows peers to carry goes to `services`.
pub(super) fn lower(lowering: &mut Lowering, script: &Script, services: &mut Vec<Service>) {
    lowering.incomplete |= !script.problems.is_empty();
    for problem in &script.problems {
        lowering.problem(problem.span, problem.message.clone());
    }
    for command in &script.commands {
        let word = match &command.value {
            Command::Flush(_) => "flush",
            Command::Dump(_) => "dump",
            Command::SpdFlush => "spdflush",
            Command::SpdDump => "spddump",
            Command::Add(_) => "add",
            Command::Get(_) => "get",
            Command::Delete(_) => "delete",
            Command::DeleteAll(..) => "deleteall",
            Command::SpdAdd(..) => "spdadd",
            Command::SpdDelete(..) => "spddelete",
        };
        lowering.visit("setkey", word, command.span);
        match &command.value {
            Command::SpdAdd(selector, policy) => lowering.spdadd(selector, policy, services),
            Command::Add(add) => match static_entry::sa(add) {
                Ok(entry) => lowering.static_entries.push(entry),
                Err((span, words)) => lowering.problem(span, format!("`add`: {words}")),
            },
            _ => {}
        }
    }
}

/// Lets peers carry what the scripts protect.
pub(super) fn allow(lowering: &mut Lowering, services: Vec<Service>) {
    if !services.is_empty() {
        // One that allows everything stands for all.
        let everything = services.iter().any(|service| service.protocol == 0);
        lowering.policy.phase2.services = match everything {
            true => Vec::new(),
            false => services,
        };
    }
}

impl Lowering {
    fn spdadd(&mut self, selector: &Selector, policy: &Policy, services: &mut Vec<Service>) {
        let named = [&selector.source, &selector.destination];
        let requests = match &policy.action {
            Action::Ipsec(requests) => requests.as_slice(),
            Action::Discard | Action::None => &[],
        };
        if requests.is_empty() {
            if named.into_iter().all(|side| self.network(side).is_some()) {
                self.static_entries
                    .extend(static_entry::policy(selector, policy));
            }
            return;
        }
        let [request] = requests else {
            let span = requests.get(1).map_or(policy.span, |second| second.span);
            self.value("setkey spdadd", "several", span, "");
            return;
        };
        if request.value.protocol != SaProtocol::Esp {
            self.value("setkey spdadd", "not esp", request.span, "");
            return;
        }
        let (source, destination) = (
            self.network(&selector.source),
            self.network(&selector.destination),
        );
        let (Some(source), Some(destination)) = (source, destination) else {
            return;
        };
        self.static_entries
            .extend(static_entry::policy(selector, policy));
        match request.value.mode {
            Mode::Any => self.value("setkey spdadd", "mode any", request.span, ""),
            Mode::Transport => {
                let own = match policy.inbound {
                    true => &selector.destination,
                    false => &selector.source,
                };
                let service = Service {
                    protocol: selector.protocol.value,
                    port: own.port_number(),
                };
                if !services.contains(&service) {
                    services.push(service);
                }
                if !policy.inbound {
                    self.transport(selector, destination);
                }
            }
            Mode::Tunnel => {
                let own = if policy.inbound { destination } else { source };
                let phase2 = &mut self.policy.phase2;
                phase2.tunnel = true;
                if !phase2.networks.contains(&own) {
                    phase2.networks.push(own);
                }
                if !policy.inbound {
                    self.tunnel(request, source, destination, selector);
                }
            }
        }
    }

    /// What a connection to that host carries.
    fn transport(&mut self, selector: &Selector, destination: IpNet) {
        if destination.prefix_len() != destination.max_prefix_len() {
            return;
        }
        let found = self.connection_to(destination.addr());
        let Some(configured) = found.and_then(|index| self.connections.get_mut(index)) else {
            return;
        };
        let connection = &mut configured.connection;
        connection.protocol = selector.protocol.value;
        connection.local_port = selector.source.port_number();
        connection.peer_port = selector.destination.port_number();
        if let Host::Address(local) = selector.source.host.value {
            connection.local = local;
        }
    }

    /// A tunnel to a peer that we connect to is a connection of its own; the first one takes the
    /// place of what `remote` alone stands for.
    fn tunnel(
        &mut self,
        request: &Spanned<Request>,
        source: IpNet,
        destination: IpNet,
        selector: &Selector,
    ) {
        let Some((local, peer)) = request.value.endpoints else {
            return;
        };
        let found = self.connection_to(peer);
        let Some(index) = found else {
            return;
        };
        let Some(base) = self.connections.get(index) else {
            return;
        };
        let start = base.start;
        let is_first = base.connection.mode == SaMode::Transport;
        let name = match is_first {
            true => base.connection.name.clone(),
            false => self.unused(&base.connection.name),
        };
        let connection = Connection {
            name,
            local: match local.is_unspecified() {
                true => unspecified(peer),
                false => local,
            },
            mode: SaMode::Tunnel,
            protocol: selector.protocol.value,
            local_port: selector.source.port_number(),
            peer_port: selector.destination.port_number(),
            local_network: Some(source),
            peer_network: Some(destination),
            ..base.connection.clone()
        };
        let configured = ConfiguredConnection { connection, start };
        match self.connections.get_mut(index).filter(|_| is_first) {
            Some(place) => *place = configured,
            None => self.connections.push(configured),
        }
    }

    fn connection_to(&self, peer: IpAddr) -> Option<usize> {
        self.remotes
            .iter()
            .find(|(address, _, _)| *address == peer)
            .map(|(_, index, _)| *index)
    }

    fn network(&mut self, side: &Side) -> Option<IpNet> {
        match &side.host.value {
            Host::Address(address) => {
                let most = if address.is_ipv4() { 32 } else { 128 };
                let network = IpNet::new(*address, side.prefix.unwrap_or(most)).ok()?;
                Some(network.trunc())
            }
            Host::Name(name) => {
                let found = format!("`{name}`");
                self.value("setkey spdadd", "host name", side.host.span, &found);
                None
            }
        }
    }
}

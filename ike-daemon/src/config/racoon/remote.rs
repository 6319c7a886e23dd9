//! `remote`: the rules for all peers, those for single ones, and whom we connect to.
//!
//! What `remote anonymous` says is the general policy; every other block is a [`Remote`] of its own.
//! Without `remote anonymous` nobody else can come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ike_proto::io::Mode;
use ike_proto::policy::{Connection, Remote};
use ipnet::IpNet;
use racoon_conf::ast::{Endpoint, RemoteItem, RemotePeer, Statement};
use racoon_conf::words::{ExchangeMode, ProposalCheck, ScriptEvent, Situation, spelling};
use racoon_conf::{Span, Spanned};

use super::block::{Block, inherit};
use super::general::{fragmentation, traversal};
use super::listen::port;
use super::lower::Lowering;
use crate::config::model::{ConfiguredConnection, PeerScripts, Start};

/// What phase 2 has to know of a [`Remote`].
#[derive(Debug, Clone, Copy)]
pub(super) struct RemoteTerms {
    pub(super) peer: IpAddr,
    pub(super) check: ProposalCheck,
    /// `ph1id`, which a `sainfo` may ask for.
    pub(super) number: u64,
}

pub(super) fn lower(lowering: &mut Lowering, statements: &[Spanned<Statement>], end: Span) {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for statement in statements {
        if let Statement::Remote(remote) = &statement.value {
            for item in &remote.body {
                lowering.visit_remote(item);
            }
            let block = inherit(lowering, &blocks, remote, statement.span);
            blocks.push(block);
        }
    }
    let anonymous = blocks
        .iter()
        .position(|block| *block.peer == RemotePeer::Anonymous);
    let Some(first) = blocks.get(anonymous.unwrap_or(0)) else {
        lowering.missing("remote", "missing", end);
        return;
    };
    lowering.first_block(first, anonymous.is_some());
    for block in &blocks {
        lowering.every_block(block, first, anonymous.is_some());
    }
}

impl Lowering {
    fn visit_remote(&mut self, item: &Spanned<RemoteItem>) {
        let name = item.value.name();
        self.visit("remote", name, item.span);
        match &item.value {
            RemoteItem::Situation(situation) if situation.value != Situation::IdentityOnly => {
                let word = spelling(situation.value);
                self.value("remote situation", word, situation.span, "");
            }
            RemoteItem::Switch("support_proxy", on) if on.value => {
                self.value("remote support_proxy", "on", on.span, "");
            }
            RemoteItem::Proposal(items) => {
                for item in items {
                    self.visit("proposal", item.value.name(), item.span);
                }
            }
            RemoteItem::ExchangeMode(modes) => self.exchange_modes(modes, item.span),
            _ => {}
        }
    }

    fn exchange_modes(&mut self, modes: &[Spanned<ExchangeMode>], span: Span) {
        let has = |wanted| modes.iter().any(|mode| mode.value == wanted);
        let (main, aggressive) = (has(ExchangeMode::Main), has(ExchangeMode::Aggressive));
        if !main && !aggressive {
            self.value("remote exchange_mode", "only base", span, "");
            return;
        }
        for mode in modes {
            match mode.value {
                ExchangeMode::Main => {}
                ExchangeMode::Base => self.value("remote exchange_mode", "base", mode.span, ""),
                ExchangeMode::Aggressive => {
                    self.aggressive.get_or_insert(mode.span);
                    self.from("aggressive", mode.span);
                    if !main {
                        self.value("remote exchange_mode", "without main", mode.span, "");
                    }
                }
            }
        }
    }

    /// What a block has to have, its peer's rules, and its connection.
    fn every_block(&mut self, block: &Block<'_>, first: &Block<'_>, first_is_general: bool) {
        let has_mode =
            |item: &&Spanned<RemoteItem>| matches!(item.value, RemoteItem::ExchangeMode(_));
        if !block.items.iter().any(has_mode) {
            self.missing("remote exchange_mode", "missing", block.span);
        }
        let address = self.peer_address(block);
        self.peer_scripts(block, address.map(|(peer, _)| peer.ip()));
        let is_first = std::ptr::eq(block, first);
        let passive = block.switch("passive", false).value;
        let connects = address.is_some() && !passive;
        let is_general = is_first && first_is_general;
        let mut local_identity = None;
        let mut certified = is_general && !self.policy.authentication.own.is_empty();
        if let Some((peer, _)) = address.filter(|_| !is_general) {
            let mut known = self.policy.remotes.iter();
            if known.any(|known| known.networks.contains(&IpNet::from(peer.ip()))) {
                self.value("remote", "same address", block.span, "");
            }
        }
        if let Some((peer, _)) = address.filter(|_| !is_general)
            && let Some(remote) = self.remote(block, peer.ip())
        {
            local_identity.clone_from(&remote.local_identity);
            certified = !remote.authentication.own.is_empty();
            self.policy.remotes.push(remote);
        }
        let verify = block.switch("verify_identifier", false);
        let mut peer_identity = None;
        if verify.value && connects {
            peer_identity = match certified {
                // Its certificate has to be for one of them.
                true => None,
                false => self.peer_identity(block),
            };
        } else if verify.value && !certified {
            self.value("remote verify_identifier", "responder", verify.span, "");
        }
        let Some((peer, span)) = address.filter(|_| connects) else {
            return;
        };
        let name = block_name(block, peer.ip());
        let connection = Connection {
            name: self.unused(&name),
            local: unspecified(peer.ip()),
            peer,
            local_identity,
            peer_identity,
            mode: Mode::Transport,
            protocol: 17,
            local_port: 1701,
            peer_port: 1701,
            local_network: None,
            peer_network: None,
            pfs: None,
            login: None,
            mode_config: false,
            aggressive: self.begins_aggressive(block, peer.ip()),
            initial_contact: block.switch("initial_contact", true).value,
        };
        let connection = match block.switch("mode_cfg", false).value {
            true => with_mode_config(connection),
            false => connection,
        };
        let login = block.last(|item| match item {
            RemoteItem::XauthLogin(user) => Some(user.clone()),
            _ => None,
        });
        self.logins
            .extend(login.map(|user| (self.connections.len(), user)));
        self.remotes.push((peer.ip(), self.connections.len(), span));
        self.connections.push(ConfiguredConnection {
            connection,
            start: Start::Manual,
        });
    }

    /// Aggressive Mode guesses the peer's group.
    fn begins_aggressive(&mut self, block: &Block<'_>, peer: IpAddr) -> bool {
        let first = block.first_mode();
        let Some(mode) = first.filter(|mode| mode.value == ExchangeMode::Aggressive) else {
            return false;
        };
        let groups = self.policy.terms(peer).phase1.groups.len();
        if groups > 1 {
            self.value("remote exchange_mode", "several groups", mode.span, "");
        }
        groups == 1
    }

    /// Rules for one peer. Its phase 2 comes with `sainfo`.
    fn remote(&mut self, block: &Block<'_>, peer: IpAddr) -> Option<Remote> {
        self.terms_told(block);
        let phase1 = self.phase1(block, false)?;
        self.xauth_servers = self.xauth_servers.or(phase1.xauth_server);
        let (authentication, files) = self.authentication(block, &phase1.methods);
        let local_identity = self.my_identity(block, !authentication.own.is_empty());
        let taken = |name: &str| self.policy.remotes.iter().any(|known| known.name == name);
        let name = numbered(&block_name(block, peer), taken);
        self.authentication_files.insert(name.clone(), files);
        self.terms.push(RemoteTerms {
            peer,
            check: block.check().value,
            number: block.number("ph1id").map_or(0, |number| number.value),
        });
        let mut remote = Remote {
            local_identity,
            authentication,
            phase1: phase1.policy,
            mode_config: None,
            aggressive: block.takes_aggressive(),
            dpd: self.dead_peers(block),
            ..self.policy.remote(&name, vec![IpNet::from(peer)])
        };
        (remote.nat.enabled, remote.nat.force) = traversal(block.nat().value);
        // Not written, it is as everybody's.
        if let Some(frag) = block.fragmentation() {
            remote.fragmentation = fragmentation(frag.value);
        }
        Some(remote)
    }

    /// Programs of the block; those of `anonymous` are for everybody else.
    fn peer_scripts(&mut self, block: &Block<'_>, peer: Option<IpAddr>) {
        let path = |event: ScriptEvent| {
            block.last(|item| match item {
                RemoteItem::Script(path, own) if own.value == event => Some(path.clone()),
                _ => None,
            })
        };
        let events = [ScriptEvent::Up, ScriptEvent::Down, ScriptEvent::Dead].map(path);
        let [up, down, dead] = events.map(|written| {
            let written = written?;
            let path = self.script_folder.join(&written.value);
            if !path.is_absolute() {
                self.value("remote script", "relative", written.span, "");
            }
            Some(path)
        });
        let scripts = PeerScripts {
            peer,
            up,
            down,
            dead,
        };
        match peer {
            // Whom nobody else's block is for.
            None => self.peer_scripts.push(scripts),
            Some(_) => self.peer_scripts.insert(0, scripts),
        }
    }

    /// `name`, with a number behind it if there is a connection of that name.
    pub(super) fn unused(&self, name: &str) -> String {
        let mut known = self.connections.iter();
        let names: Vec<&str> = known
            .by_ref()
            .map(|own| own.connection.name.as_str())
            .collect();
        numbered(name, |name| names.contains(&name))
    }

    fn peer_address(&mut self, block: &Block<'_>) -> Option<(SocketAddr, Span)> {
        let endpoint: &Endpoint = match block.peer {
            RemotePeer::Anonymous => return None,
            RemotePeer::Address(endpoint) => endpoint,
            RemotePeer::Name(_) => {
                let written = block.items.iter().rev().find_map(|item| match &item.value {
                    RemoteItem::RemoteAddress(endpoint) => Some(endpoint),
                    _ => None,
                });
                match written {
                    Some(endpoint) => endpoint,
                    None => {
                        self.missing("remote", "named without address", block.span);
                        return None;
                    }
                }
            }
        };
        let address = self.address("remote", endpoint)?;
        let default = self.policy.nat.ike_port;
        Some((
            SocketAddr::new(address, port(endpoint, default)),
            endpoint.host.span,
        ))
    }
}

/// What racoon leaves to a script: everything goes through the tunnel.
fn with_mode_config(connection: Connection) -> Connection {
    let everything = match connection.peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Connection {
        mode: Mode::Tunnel,
        protocol: 0,
        local_port: 0,
        peer_port: 0,
        peer_network: IpNet::new(everything, 0).ok(),
        mode_config: true,
        ..connection
    }
}

fn block_name(block: &Block<'_>, peer: IpAddr) -> String {
    match block.peer {
        RemotePeer::Name(name) => name.clone(),
        _ => peer.to_string(),
    }
}

/// `name`, with a number behind it if that is taken.
fn numbered(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut unused = name.to_owned();
    let mut number = 2;
    while taken(&unused) {
        unused = format!("{name}-{number}");
        number += 1;
    }
    unused
}

/// The address that stands for all of `address`'s family.
pub(super) fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

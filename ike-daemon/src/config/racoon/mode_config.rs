//! `mode_cfg`: addresses for clients in tunnel mode, and the users of XAUTH.
//!
//! racoon asks the system, RADIUS or LDAP for users. We have a file of our own for them:
//! `users.yaml` beside racoon.conf.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use ike_proto::policy::{AddressRange, ModeConfig};
use ipnet::Ipv4Net;
use racoon_conf::ast::{Host, ModeCfg, Statement, Text};
use racoon_conf::words::SplitKind;
use racoon_conf::{Span, Spanned};

use super::lower::Lowering;
use crate::config::mode_config::read_users;

/// racoon's own `pool_size`.
const POOL_SIZE: u64 = 255;
/// The largest banner, in octets.
const MAX_BANNER: usize = 1024;
/// The users, beside racoon.conf.
pub(super) const USERS: &str = "users.yaml";

/// What `mode_cfg` says; `servers` asks for users by XAUTH there.
pub(super) fn lower(
    lowering: &mut Lowering,
    statements: &[Spanned<Statement>],
    servers: Option<Span>,
) {
    let sections = statements
        .iter()
        .filter_map(|statement| match &statement.value {
            Statement::ModeCfg(items) => Some(items),
            _ => None,
        });
    let items: Vec<&Spanned<ModeCfg>> = sections.flatten().collect();
    if items.is_empty() && servers.is_none() {
        return;
    }
    let mut config = ModeConfig::default();
    let (mut first, mut size) = (None, Spanned::new(POOL_SIZE, Span::default()));
    for item in items {
        match &item.value {
            ModeCfg::Address("network4", host) => first = lowering.address4(host),
            ModeCfg::Address(_, host) => config.netmask = lowering.address4(host),
            ModeCfg::Addresses(word, hosts) => {
                let found: Vec<Ipv4Addr> = hosts
                    .iter()
                    .filter_map(|host| lowering.address4(host))
                    .collect();
                match *word {
                    "dns4" => config.dns.extend(found),
                    _ => config.nbns.extend(found),
                }
            }
            ModeCfg::Text("default_domain", text) => {
                config.default_domain = Some(text.value.clone())
            }
            ModeCfg::Text(_, text) => config.banner = lowering.banner(text),
            ModeCfg::Texts("split_dns", texts) => {
                config
                    .split_dns
                    .extend(texts.iter().map(|text| text.value.clone()));
            }
            ModeCfg::Number("pool_size", number) => size = number.clone(),
            ModeCfg::SplitNetwork(kind, networks) => {
                // The parser takes IPv4 networks only.
                let found = networks
                    .iter()
                    .filter_map(|own| own.value.parse::<Ipv4Net>().ok());
                match kind.value {
                    SplitKind::Include => config.split_include.extend(found),
                    SplitKind::LocalLan => config.split_exclude.extend(found),
                }
            }
            ModeCfg::SavePasswd(on) => config.save_password = on.value,
            // Told by the table of directives.
            ModeCfg::Texts(..)
            | ModeCfg::Number(..)
            | ModeCfg::AuthSource(_)
            | ModeCfg::GroupSource(_)
            | ModeCfg::ConfSource(_)
            | ModeCfg::Accounting(_) => {}
        }
    }
    if let Some(first) = first {
        config.pool.extend(lowering.pool(first, &size));
    }
    if let Some(span) = servers {
        let file = lowering.folder().join(USERS);
        match read_users(&file) {
            Ok((users, warning)) => {
                config.users = users;
                if let Some(warning) = warning {
                    lowering.notice(span, warning);
                }
            }
            Err(why) => {
                let directive = "proposal authentication_method";
                lowering.value(directive, "no users", span, &why);
            }
        }
    }
    if config.pool.is_empty() && servers.is_none() {
        return;
    }
    lowering.policy.mode_config = Some(Arc::new(config));
}

impl Lowering {
    fn address4(&mut self, host: &Spanned<Host>) -> Option<Ipv4Addr> {
        match &host.value {
            Host::Address(std::net::IpAddr::V4(address)) => Some(*address),
            _ => {
                self.value("mode_cfg", "no address", host.span, "");
                None
            }
        }
    }

    fn pool(&mut self, first: Ipv4Addr, size: &Spanned<u64>) -> Option<AddressRange> {
        let more = size
            .value
            .checked_sub(1)
            .and_then(|more| u32::try_from(more).ok());
        let last = more
            .filter(|more| *more < 65_536)
            .and_then(|more| u32::from(first).checked_add(more));
        let Some(last) = last else {
            self.value("mode_cfg pool_size", "out of range", size.span, "");
            return None;
        };
        Some(AddressRange {
            first,
            last: Ipv4Addr::from(last),
        })
    }

    fn banner(&mut self, file: &Text) -> Option<String> {
        let read = super::files::read(Path::new(&file.value), MAX_BANNER);
        let text = read.ok().and_then(|octets| String::from_utf8(octets).ok());
        let text = text.filter(|text| text.len() <= MAX_BANNER);
        if text.is_none() {
            self.value("mode_cfg banner", "unreadable", file.span, "");
        }
        text
    }
}

//! `mode_cfg { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, ModeCfg};
use crate::span::Spanned;

const EXPECTED: &[&str] = &[
    "network4",
    "netmask4",
    "dns4",
    "nbns4",
    "wins4",
    "default_domain",
    "auth_source",
    "auth_groups",
    "group_source",
    "conf_source",
    "accounting",
    "pool_size",
    "banner",
    "auth_throttle",
    "split_network",
    "split_dns",
    "pfs_group",
    "save_passwd",
];

impl Parser<'_> {
    pub(super) fn mode_cfg(&mut self) -> Outcome<Block<ModeCfg>> {
        self.block("mode_cfg", EXPECTED, |parser, word, _| {
            let name = EXPECTED.iter().find(|name| **name == word)?;
            Some(parser.ended(|parser| match *name {
                "network4" | "netmask4" => Ok(ModeCfg::Address(name, parser.host()?)),
                "dns4" | "nbns4" | "wins4" => {
                    Ok(ModeCfg::Addresses(name, parser.commas(Self::host)?))
                }
                "default_domain" | "banner" => Ok(ModeCfg::Text(name, parser.text()?)),
                "auth_groups" | "split_dns" => Ok(ModeCfg::Texts(name, parser.commas(Self::text)?)),
                "auth_source" => parser.keyword().map(ModeCfg::AuthSource),
                "group_source" => parser.keyword().map(ModeCfg::GroupSource),
                "conf_source" => parser.keyword().map(ModeCfg::ConfSource),
                "accounting" => parser.keyword().map(ModeCfg::Accounting),
                "split_network" => {
                    let kind = parser.keyword()?;
                    let networks = parser.commas(Parser::split_network)?;
                    Ok(ModeCfg::SplitNetwork(kind, networks))
                }
                "save_passwd" => parser.keyword().map(ModeCfg::SavePasswd),
                // pool_size, auth_throttle, pfs_group
                _ => Ok(ModeCfg::Number(name, parser.number()?)),
            }))
        })
    }

    fn split_network(&mut self) -> Outcome<Spanned<String>> {
        let fits = |word: &Spanned<String>| {
            let (address, length) = word.value.split_once('/').unwrap_or((&word.value, "32"));
            address.parse::<std::net::Ipv4Addr>().is_ok()
                && length.parse::<u8>().is_ok_and(|length| length <= 32)
        };
        match self.peek_word().filter(fits) {
            Some(word) => {
                self.next();
                Ok(word)
            }
            None => Err(self.unexpected("a network such as 10.1.0.0/16")),
        }
    }
}

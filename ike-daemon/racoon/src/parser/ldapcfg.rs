//! `ldapcfg { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, LdapCfg};

const TEXTS: &[&str] = &[
    "host",
    "base",
    "bind_dn",
    "bind_pw",
    "attr_user",
    "attr_addr",
    "attr_mask",
    "attr_group",
    "attr_member",
];
const EXPECTED: &[&str] = &[
    "version",
    "host",
    "port",
    "base",
    "subtree",
    "bind_dn",
    "bind_pw",
    "attr_user",
    "attr_addr",
    "attr_mask",
    "attr_group",
    "attr_member",
];

impl Parser<'_> {
    pub(super) fn ldapcfg(&mut self) -> Outcome<Block<LdapCfg>> {
        self.block("ldapcfg", EXPECTED, |parser, word, _| {
            Some(match word {
                "version" => parser.ended(Self::number).map(LdapCfg::Version),
                "port" => parser.ended(Self::number).map(LdapCfg::Port),
                "subtree" => parser.ended(Self::keyword).map(LdapCfg::Subtree),
                _ => {
                    let name = TEXTS.iter().find(|name| **name == word)?;
                    parser
                        .ended(Self::text)
                        .map(|text| LdapCfg::Text(name, text))
                }
            })
        })
    }
}

//! `proposal { ... }` in `remote`.

use super::{Outcome, Parser};
use crate::ast::{Block, ProposalItem};

const EXPECTED: &[&str] = &[
    "encryption_algorithm",
    "hash_algorithm",
    "authentication_method",
    "dh_group",
    "lifetime",
    "gss_id",
];

impl Parser<'_> {
    pub(super) fn proposal(&mut self) -> Outcome<Block<ProposalItem>> {
        self.block("proposal", EXPECTED, |parser, word, _| {
            Some(match word {
                "encryption_algorithm" => parser.ended(Self::cipher).map(ProposalItem::Encryption),
                "hash_algorithm" => parser.ended(Self::keyword).map(ProposalItem::Hash),
                "authentication_method" => parser.ended(Self::keyword).map(ProposalItem::Method),
                "dh_group" => parser.ended(Self::dh_group).map(ProposalItem::DhGroup),
                "lifetime" => parser.ended(Self::lifetime).map(ProposalItem::Lifetime),
                "gss_id" => parser.ended(Self::text).map(ProposalItem::GssId),
                _ => return None,
            })
        })
    }
}

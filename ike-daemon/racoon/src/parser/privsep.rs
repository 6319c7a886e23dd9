//! `privsep { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, Privsep};

impl Parser<'_> {
    pub(super) fn privsep(&mut self) -> Outcome<Block<Privsep>> {
        self.block(
            "privsep",
            &["user", "group", "chroot"],
            |parser, word, _| {
                Some(match word {
                    "user" => parser.ended(Self::account).map(Privsep::User),
                    "group" => parser.ended(Self::account).map(Privsep::Group),
                    "chroot" => parser.ended(Self::text).map(Privsep::Chroot),
                    _ => return None,
                })
            },
        )
    }
}

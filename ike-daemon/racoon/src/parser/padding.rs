//! `padding { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, Padding};

const EXPECTED: &[&str] = &[
    "randomize",
    "randomize_length",
    "maximum_length",
    "exclusive_tail",
    "strict_check",
];

impl Parser<'_> {
    pub(super) fn padding(&mut self) -> Outcome<Block<Padding>> {
        self.block("padding", EXPECTED, |parser, word, _| {
            Some(match word {
                "randomize" => parser.ended(Self::keyword).map(Padding::Randomize),
                "randomize_length" => parser.ended(Self::keyword).map(Padding::RandomizeLength),
                "maximum_length" => parser.ended(Self::number).map(Padding::MaximumLength),
                "exclusive_tail" => parser.ended(Self::keyword).map(Padding::ExclusiveTail),
                "strict_check" => parser.ended(Self::keyword).map(Padding::StrictCheck),
                _ => return None,
            })
        })
    }
}

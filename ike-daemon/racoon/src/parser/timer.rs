//! `timer { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, Timer};

const EXPECTED: &[&str] = &[
    "counter",
    "interval",
    "persend",
    "phase1",
    "phase2",
    "natt_keepalive",
];

impl Parser<'_> {
    pub(super) fn timer(&mut self) -> Outcome<Block<Timer>> {
        self.block("timer", EXPECTED, |parser, word, _| {
            Some(match word {
                "counter" => parser.ended(Self::number).map(Timer::Counter),
                "interval" => parser.ended(Self::time).map(Timer::Interval),
                "persend" => parser.ended(Self::number).map(Timer::Persend),
                "phase1" => parser.ended(Self::time).map(Timer::Phase1),
                "phase2" => parser.ended(Self::time).map(Timer::Phase2),
                "natt_keepalive" => parser.ended(Self::time).map(Timer::NattKeepalive),
                _ => return None,
            })
        })
    }
}

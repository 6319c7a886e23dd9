//! `listen { ... }`

use super::{Outcome, Parser};
use crate::ast::{AdminSock, Block, Listen};
use crate::lexer::Token;
use crate::span::Spanned;

const EXPECTED: &[&str] = &[
    "isakmp",
    "isakmp_natt",
    "admin",
    "adminsock",
    "strict_address",
];

impl Parser<'_> {
    pub(super) fn listen(&mut self) -> Outcome<Block<Listen>> {
        self.block("listen", EXPECTED, |parser, word, _| {
            Some(match word {
                "isakmp" => parser.ended(Self::endpoint).map(Listen::Isakmp),
                "isakmp_natt" => parser.ended(Self::endpoint).map(Listen::IsakmpNatt),
                "admin" => parser.ended(Self::endpoint).map(Listen::Admin),
                "adminsock" => parser.ended(Parser::adminsock),
                "strict_address" => parser.end().map(|()| Listen::StrictAddress),
                _ => return None,
            })
        })
    }

    fn adminsock(&mut self) -> Outcome<Listen> {
        if self.take_word("disabled").is_some() {
            return Ok(Listen::AdminSockDisabled);
        }
        if !matches!(self.peek().token, Token::Text(_)) {
            return Err(self.unexpected("a path in double quotes, or disabled"));
        }
        let path = self.text()?;
        let owner = self.optional_text()?;
        let group = match owner {
            Some(_) => Some(self.text()?),
            None => None,
        };
        let mode = match group {
            Some(_) => Some(self.mode()?),
            None => None,
        };
        Ok(Listen::AdminSock(AdminSock {
            path,
            owner,
            group,
            mode,
        }))
    }

    /// Permissions are octal, with a leading zero or not.
    fn mode(&mut self) -> Outcome<Spanned<u32>> {
        let word = self.peek_word();
        let mode = word
            .as_ref()
            .and_then(|word| u32::from_str_radix(&word.value, 8).ok())
            .filter(|mode| *mode <= 0o777);
        match (word, mode) {
            (Some(word), Some(mode)) => {
                self.next();
                Ok(Spanned::new(mode, word.span))
            }
            _ => Err(self.unexpected("permissions in octal, such as 0600")),
        }
    }
}

//! `radiuscfg { ... }`

use super::{Outcome, Parser};
use crate::ast::{Block, RadiusCfg, RadiusServer};
use crate::lexer::Token;
use crate::span::Spanned;

impl Parser<'_> {
    pub(super) fn radiuscfg(&mut self) -> Outcome<Block<RadiusCfg>> {
        let expected = &["auth", "acct", "timeout", "retries"];
        self.block("radiuscfg", expected, |parser, word, _| {
            Some(match word {
                "auth" => parser.ended(Parser::radius_server).map(RadiusCfg::Auth),
                "acct" => parser.ended(Parser::radius_server).map(RadiusCfg::Acct),
                "timeout" => parser.ended(Self::number).map(RadiusCfg::Timeout),
                "retries" => parser.ended(Self::number).map(RadiusCfg::Retries),
                _ => return None,
            })
        })
    }

    fn radius_server(&mut self) -> Outcome<RadiusServer> {
        let host = match (self.peek_word(), self.optional_text()?) {
            (_, Some(host)) => host,
            (Some(word), None) => {
                self.next();
                word
            }
            (None, None) => return Err(self.unexpected("the name or address of a server")),
        };
        let port = match self.take(&Token::LeftBracket) {
            Some(_) => {
                let port = self.number()?;
                if self.take(&Token::RightBracket).is_none() {
                    return Err(self.unexpected("`]`"));
                }
                Some(port)
            }
            None => self.optional_number()?,
        };
        if let Some(Spanned {
            value: 65536..,
            span,
        }) = port
        {
            return Err(self.problem(span, "expected a port from 1 to 65535"));
        }
        let secret = self.text()?;
        Ok(RadiusServer { host, port, secret })
    }
}

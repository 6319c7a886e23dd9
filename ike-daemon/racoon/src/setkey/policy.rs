//! Selectors and policies: `source[port] destination[port] protocol -P direction ...`.

use crate::ast::{Host, Port};
use crate::lexer::Token;
use crate::parser::{host, protocol_number};
use crate::span::Spanned;

use super::parser::{Outcome, Parser, sa_protocol};
use super::{Action, Level, MAX_REQUESTS, Mode, Policy, Request, Side};

impl Parser {
    pub(super) fn side(&mut self) -> Outcome<Side> {
        let expected = "an address such as 192.0.2.7[1701] or a network such as 10.1.0.0/16[any]";
        let word = self.word(expected)?;
        let (address, length) = match word.value.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (word.value.as_str(), None),
        };
        let Some(host) = host(address) else {
            let found = Token::Word(word.value);
            return Err(self.problem(word.span, format!("expected {expected}, found {found}")));
        };
        let most = match &host {
            Host::Address(address) if address.is_ipv4() => 32,
            _ => 128,
        };
        let prefix = match length.map(str::parse::<u8>) {
            None => None,
            Some(Ok(length)) if length <= most => Some(length),
            Some(_) => {
                return Err(self.problem(
                    word.span,
                    format!("expected a prefix length from 0 to {most}"),
                ));
            }
        };
        Ok(Side {
            host: Spanned::new(host, word.span),
            prefix,
            port: self.port()?,
        })
    }

    fn port(&mut self) -> Outcome<Option<Spanned<Port>>> {
        if self.peek().token != Token::LeftBracket {
            return Ok(None);
        }
        self.next();
        let word = self.word("a port, or any")?;
        let port = match (word.value.as_str(), word.value.parse::<u16>()) {
            ("any", _) | (_, Ok(0)) => Port::Any,
            (_, Ok(number)) => Port::Number(number),
            _ => {
                return Err(self.problem(word.span, "expected a port from 0 to 65535, or any"));
            }
        };
        match self.peek().token {
            Token::RightBracket => {
                self.next();
                Ok(Some(Spanned::new(port, word.span)))
            }
            _ => Err(self.unexpected("`]`")),
        }
    }

    pub(super) fn upper_protocol(&mut self) -> Outcome<Spanned<u8>> {
        let expected = "a protocol: any, udp, tcp, icmp, icmp6, gre, or a number";
        let word = self.word(expected)?;
        let Some(number) = protocol_number(&word.value) else {
            let found = Token::Word(word.value);
            return Err(self.problem(word.span, format!("expected {expected}, found {found}")));
        };
        // icmp6,type,code
        while self.peek().token == Token::Comma {
            self.next();
            self.word("a number")?;
        }
        Ok(Spanned::new(number, word.span))
    }

    /// What is deleted needs no more than its direction.
    pub(super) fn policy(&mut self, deleting: bool) -> Outcome<Policy> {
        let Some(span) = self.take_word("-P") else {
            return Err(self.unexpected("-P and a policy"));
        };
        let direction = self.word("in or out")?;
        let inbound = match direction.value.as_str() {
            "in" => true,
            "out" => false,
            "fwd" => {
                return Err(self.problem(
                    direction.span,
                    "`fwd` is Linux's; expected in or out (`in` also covers what is forwarded)",
                ));
            }
            _ => {
                let found = Token::Word(direction.value);
                return Err(
                    self.problem(direction.span, format!("expected in or out, found {found}"))
                );
            }
        };
        if deleting && self.peek_word().is_none() {
            return Ok(Policy {
                inbound,
                action: Action::None,
                span,
            });
        }
        let kind = self.word("discard, none or ipsec")?;
        let action = match kind.value.as_str() {
            "discard" => Action::Discard,
            "none" => Action::None,
            "ipsec" if deleting && self.peek_word().is_none() => Action::Ipsec(Vec::new()),
            "ipsec" => Action::Ipsec(self.requests()?),
            "prio" | "priority" => {
                return Err(self.problem(
                    kind.span,
                    "FreeBSD's policies have no priority: their order decides; leave it out",
                ));
            }
            _ => {
                let found = Token::Word(kind.value);
                return Err(self.problem(
                    kind.span,
                    format!("expected discard, none or ipsec, found {found}"),
                ));
            }
        };
        Ok(Policy {
            inbound,
            action,
            span,
        })
    }

    fn requests(&mut self) -> Outcome<Vec<Spanned<Request>>> {
        let mut requests = Vec::new();
        loop {
            let word = self.word("a request such as esp/transport//require")?;
            match request(&word.value) {
                Ok(request) => requests.push(Spanned::new(request, word.span)),
                Err(why) => return Err(self.problem(word.span, why)),
            }
            if requests.len() > MAX_REQUESTS {
                return Err(self.problem(word.span, "more than 16 requests in one policy"));
            }
            if self.peek_word().is_none() {
                return Ok(requests);
            }
        }
    }
}

/// `protocol/mode/[source-destination]/level[:reqid]`
fn request(word: &str) -> Result<Request, String> {
    let mut parts = word.split('/');
    let protocol = parts.next().unwrap_or_default();
    let Some(protocol) = sa_protocol(protocol) else {
        return Err(format!(
            "unknown protocol {} in a request; expected esp, ah or ipcomp",
            Token::Word(protocol.to_owned())
        ));
    };
    let mode = match parts.next() {
        Some("transport") => Mode::Transport,
        Some("tunnel") => Mode::Tunnel,
        Some("any") => Mode::Any,
        _ => return Err("expected transport, tunnel or any after the protocol".into()),
    };
    let addresses = parts.next().unwrap_or_default();
    let endpoints = match addresses.split_once('-') {
        None if addresses.is_empty() => None,
        Some((source, destination)) => match (source.parse(), destination.parse()) {
            (Ok(source), Ok(destination)) => Some((source, destination)),
            _ => return Err("expected two addresses with a dash between them".into()),
        },
        None => return Err("expected two addresses with a dash between them".into()),
    };
    if mode == Mode::Tunnel && endpoints.is_none() {
        return Err("a tunnel needs its addresses: esp/tunnel/192.0.2.1-192.0.2.7/require".into());
    }
    let level = match parts.next().unwrap_or_default() {
        "" | "default" => Level::Default,
        "use" => Level::Use,
        "require" => Level::Require,
        "unique" => Level::Unique(None),
        other => match other.strip_prefix("unique:").map(str::parse::<u16>) {
            Some(Ok(reqid)) if (1..=16_383).contains(&reqid) => Level::Unique(Some(reqid)),
            Some(_) => return Err("expected a number from 1 to 16383 after `unique:`".into()),
            None => {
                return Err(format!(
                    "unknown level {}; expected default, use, require, unique or unique:NUMBER",
                    Token::Word(other.to_owned())
                ));
            }
        },
    };
    match parts.next() {
        None => Ok(Request {
            protocol,
            mode,
            endpoints,
            level,
        }),
        Some(_) => Err("expected nothing after the level".into()),
    }
}

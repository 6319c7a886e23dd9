//! Values that occur in several sections.

use std::net::IpAddr;

use super::{Outcome, Parser, list};
use crate::ast::{Account, Cipher, Endpoint, Host, Identifier, Lifetime, Number, Port, Text, Time};
use crate::lexer::Token;
use crate::span::Spanned;
use crate::words::{DhGroup, Encryption, IdKind, IdQualifier, Keyword, LifetimeKind};

impl Parser<'_> {
    /// One of a closed set of words.
    pub(super) fn keyword<K: Keyword>(&mut self) -> Outcome<Spanned<K>> {
        let spellings: Vec<&str> = K::ALL.iter().map(|(word, _)| *word).collect();
        let Some(word) = self.peek_word() else {
            return Err(self.unexpected(&list(&spellings)));
        };
        match K::from_word(&word.value) {
            Some(value) => {
                self.next();
                Ok(Spanned::new(value, word.span))
            }
            None => Err(self.problem(
                word.span,
                format!(
                    "unknown {} {}; expected {}",
                    K::WHAT,
                    Token::Word(word.value),
                    list(&spellings)
                ),
            )),
        }
    }

    /// A text in double quotes.
    pub(super) fn text(&mut self) -> Outcome<Text> {
        let lexeme = self.peek().clone();
        match lexeme.token {
            Token::Text(text) => {
                self.next();
                Ok(Spanned::new(text, lexeme.span))
            }
            _ => Err(self.unexpected("a text in double quotes")),
        }
    }

    /// A text, if there is one.
    pub(super) fn optional_text(&mut self) -> Outcome<Option<Text>> {
        match self.peek().token {
            Token::Text(_) => self.text().map(Some),
            _ => Ok(None),
        }
    }

    /// `item, item, ...`
    pub(super) fn commas<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Outcome<T>,
    ) -> Outcome<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take(&Token::Comma).is_some() {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A decimal number.
    pub(super) fn number(&mut self) -> Outcome<Number> {
        match self.optional_number()? {
            Some(number) => Ok(number),
            None => Err(self.unexpected("a number")),
        }
    }

    /// A decimal number, if a word that starts with a digit comes.
    pub(super) fn optional_number(&mut self) -> Outcome<Option<Number>> {
        let Some(word) = self.peek_word() else {
            return Ok(None);
        };
        if !word.value.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        // A number that u32 cannot hold is a mistake wherever it stands.
        match word.value.parse::<u32>() {
            Ok(number) => {
                self.next();
                Ok(Some(Spanned::new(number.into(), word.span)))
            }
            Err(_) => Err(self.unexpected("a number from 0 to 4294967295")),
        }
    }

    /// A number with a unit of time.
    pub(super) fn time(&mut self) -> Outcome<Spanned<Time>> {
        let count = self.number()?;
        let unit = self.keyword()?;
        let mut span = count.span;
        if unit.span.line == span.line {
            span.length = (unit.span.column + unit.span.length).saturating_sub(span.column);
        }
        Ok(Spanned::new(
            Time {
                count: count.value,
                unit: unit.value,
            },
            span,
        ))
    }

    /// What follows `lifetime`.
    pub(super) fn lifetime(&mut self) -> Outcome<Spanned<Lifetime>> {
        match self.keyword::<LifetimeKind>()?.value {
            LifetimeKind::Time => Ok(self.time()?.map(Lifetime::Time)),
            LifetimeKind::Byte => {
                let count = self.number()?;
                let unit = self.keyword()?;
                Ok(count.map(|count| Lifetime::Bytes(count, unit.value)))
            }
        }
    }

    /// An algorithm with an optional key length.
    pub(super) fn cipher(&mut self) -> Outcome<Cipher> {
        let name = self.keyword::<Encryption>()?;
        let bits = self.optional_number()?;
        Ok(Cipher { name, bits })
    }

    /// A Diffie-Hellman group by name or number.
    pub(super) fn dh_group(&mut self) -> Outcome<Spanned<DhGroup>> {
        self.keyword()
    }

    /// An address or the name of a host.
    pub(super) fn host(&mut self) -> Outcome<Spanned<Host>> {
        let Some(word) = self.peek_word() else {
            return Err(self.unexpected("an address"));
        };
        match host(&word.value) {
            Some(host) => {
                self.next();
                Ok(Spanned::new(host, word.span))
            }
            None => Err(self.unexpected("an address")),
        }
    }

    /// `[500]`, `[any]` or nothing.
    pub(super) fn port(&mut self) -> Outcome<Option<Spanned<Port>>> {
        if self.take(&Token::LeftBracket).is_none() {
            return Ok(None);
        }
        let expected = "a port from 1 to 65535, or any";
        let Some(word) = self.peek_word() else {
            return Err(self.unexpected(expected));
        };
        let port = match word.value.as_str() {
            "any" => Port::Any,
            number => match number.parse() {
                Ok(0) => Port::Any,
                Ok(number) => Port::Number(number),
                Err(_) => return Err(self.unexpected(expected)),
            },
        };
        self.next();
        if self.take(&Token::RightBracket).is_none() {
            return Err(self.unexpected("`]`"));
        }
        Ok(Some(Spanned::new(port, word.span)))
    }

    /// A host and an optional port.
    pub(super) fn endpoint(&mut self) -> Outcome<Endpoint> {
        let host = self.host()?;
        let port = self.port()?;
        Ok(Endpoint { host, port })
    }

    /// A user or group.
    pub(super) fn account(&mut self) -> Outcome<Spanned<Account>> {
        if let Some(number) = self.optional_number()? {
            return Ok(number.map(Account::Number));
        }
        match self.optional_text()? {
            Some(name) => Ok(name.map(Account::Name)),
            None => Err(self.unexpected("a number, or a name in double quotes")),
        }
    }

    /// `address`, `fqdn "x"`, `keyid tag "x"`, ...
    pub(super) fn identifier(&mut self) -> Outcome<Identifier> {
        let kind = self.keyword::<IdKind>()?;
        let mut qualifier = None;
        let value = match kind.value {
            IdKind::Address => match self.peek().token {
                Token::Word(_) => Some(self.address_word()?),
                _ => self.optional_text()?,
            },
            IdKind::Asn1Dn => self.optional_text()?,
            IdKind::KeyId => {
                if matches!(self.peek().token, Token::Word(_)) {
                    qualifier = Some(self.keyword::<IdQualifier>()?);
                }
                Some(self.text()?)
            }
            IdKind::Fqdn | IdKind::UserFqdn => Some(self.text()?),
            IdKind::Subnet => {
                return Err(self.problem(
                    kind.span,
                    "`subnet` names no peer; expected address, fqdn, user_fqdn, keyid or asn1dn",
                ));
            }
        };
        Ok(Identifier {
            kind,
            qualifier,
            value,
        })
    }

    fn address_word(&mut self) -> Outcome<Spanned<String>> {
        match self.peek_word() {
            Some(word) if host(&word.value).is_some() => {
                self.next();
                Ok(word)
            }
            _ => Err(self.unexpected("an address or `;`")),
        }
    }
}

/// An address, or what may be the name of a host.
pub(crate) fn host(word: &str) -> Option<Host> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some(Host::Address(address));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    // Digits and dots alone are an address that is wrong, not a name.
    let named = word.contains(|c: char| c.is_ascii_alphabetic());
    let scoped = match word.split_once('%') {
        Some((address, scope)) => address.parse::<IpAddr>().is_ok() && !scope.is_empty(),
        None => !word.contains(':'),
    };
    (named && scoped && word.chars().all(plain) && word.len() <= 255)
        .then(|| Host::Name(word.to_owned()))
}

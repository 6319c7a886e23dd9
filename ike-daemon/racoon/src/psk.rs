//! psk.txt: one pre-shared key a line, looked up from the top.
//!
//! ```text
//! # a comment, only at the very start of a line
//! 203.0.113.4        key up to the end of the line, blanks and all
//! vpn.example.org    0x6b6579
//! *                  everybody else
//! ```

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::span::{FileId, MAX_PROBLEMS, Problem, Span};

/// The longest line, in octets, without its end.
pub const MAX_LINE: usize = 1022;
/// The largest file, in octets.
pub const MAX_FILE: usize = 4 * 1024 * 1024;

/// Whom a line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PskId {
    /// `*`: anybody.
    Any,
    /// An address, compared as an address.
    Address(IpAddr),
    /// Any other text: a domain name, user@name, or the text of a keyid.
    Name(String),
}

/// A line with a key.
#[derive(Clone, PartialEq, Eq)]
pub struct PskEntry {
    /// For whom.
    pub id: PskId,
    /// The octets of the key.
    pub key: Zeroizing<Vec<u8>>,
    /// Where the line's id stands.
    pub span: Span,
}

impl std::fmt::Debug for PskEntry {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PskEntry")
            .field("id", &self.id)
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct PskFile {
    /// The keys, from the top.
    pub entries: Vec<PskEntry>,
    /// Lines that hold no key.
    pub problems: Vec<Problem>,
    /// Lines that hold a key but perhaps not the one that was meant.
    pub notices: Vec<Problem>,
}

impl PskFile {
    /// Reads `octets`. Any octets will do: lines without a key are reported and left out.
    pub fn parse(octets: &[u8]) -> Self {
        let mut file = Self::default();
        if octets.len() > MAX_FILE {
            file.problem(
                Span::default(),
                "more than 4 MiB; a file of keys is not that large",
            );
            return file;
        }
        for (number, line) in octets.split(|octet| *octet == b'\n').enumerate() {
            let span = Span {
                file: FileId(0),
                line: u32::try_from(number + 1).unwrap_or(u32::MAX),
                column: 1,
                length: 0,
            };
            file.line(line, span);
        }
        file
    }

    /// The key for `address`: that of the first line that names it or everybody.
    pub fn for_address(&self, address: IpAddr) -> Option<&[u8]> {
        self.first(|id| *id == PskId::Address(address))
    }

    /// The key for an identity in text: that of the first line that names it or everybody.
    pub fn for_name(&self, name: &str) -> Option<&[u8]> {
        self.first(|id| matches!(id, PskId::Name(own) if own == name))
    }

    fn first(&self, fits: impl Fn(&PskId) -> bool) -> Option<&[u8]> {
        self.entries
            .iter()
            .find(|entry| entry.id == PskId::Any || fits(&entry.id))
            .map(|entry| entry.key.as_slice())
    }

    fn line(&mut self, line: &[u8], mut span: Span) {
        if line.first() == Some(&b'#') || line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if line.len() > MAX_LINE {
            self.problem(span, "a line of more than 1022 octets");
            return;
        }
        let blank = |octet: &u8| octet.is_ascii_whitespace() || *octet == 0x0b;
        let end = line.iter().position(blank).unwrap_or(line.len());
        let (id, rest) = line.split_at(end);
        if id.is_empty() {
            let column = line.iter().position(|octet| !blank(octet)).unwrap_or(0) + 1;
            span.column = u32::try_from(column).unwrap_or(1);
            let message = match line.get(column - 1) {
                Some(b'#') => "a comment starts in column 1",
                _ => "a line starts with whom the key is for, in column 1",
            };
            self.problem(span, message);
            return;
        }
        let Ok(id) = std::str::from_utf8(id) else {
            self.problem(span, "whom the key is for is not UTF-8 text");
            return;
        };
        span.length = u32::try_from(id.chars().count()).unwrap_or(0);
        let start = rest.iter().position(|octet| !blank(octet));
        let Some(text) = start.and_then(|start| rest.get(start..)) else {
            self.problem(span, "no key; expected it after a blank on the same line");
            return;
        };
        let mut at_key = span;
        let before = span.length as usize + start.unwrap_or(0) + 1;
        at_key.column = u32::try_from(before).unwrap_or(1);
        at_key.length = 0;
        let key = match text.strip_prefix(b"0x") {
            None => Zeroizing::new(text.to_vec()),
            Some(digits) => match hexadecimal(digits) {
                Ok(key) => key,
                Err(why) => {
                    self.problem(at_key, why);
                    return;
                }
            },
        };
        if text.last().is_some_and(blank) && !text.starts_with(b"0x") {
            let what = match text.last() {
                Some(b'\r') => "a carriage return at the end of the line is part of the key",
                _ => "a blank at the end of the line is part of the key",
            };
            self.notice(at_key, what);
        }
        let id = match (id, id.parse::<IpAddr>()) {
            ("*", _) => PskId::Any,
            (_, Ok(address)) => PskId::Address(address),
            _ => PskId::Name(id.to_owned()),
        };
        let hidden = self
            .entries
            .iter()
            .find(|entry| entry.id == PskId::Any || entry.id == id);
        if let Some(first) = hidden {
            let line = first.span.line;
            self.notice(
                span,
                format!("never used: line {line} comes first and is for the same peer"),
            );
        }
        self.entries.push(PskEntry { id, key, span });
    }

    fn problem(&mut self, span: Span, message: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                span,
                message: message.to_owned(),
            });
        }
    }

    fn notice(&mut self, span: Span, message: impl Into<String>) {
        if self.notices.len() < MAX_PROBLEMS {
            self.notices.push(Problem {
                span,
                message: message.into(),
            });
        }
    }
}

/// The octets behind `0x`; blanks between digits say nothing.
fn hexadecimal(digits: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let mut key = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    let mut high: Option<u32> = None;
    for octet in digits.iter().filter(|octet| !octet.is_ascii_whitespace()) {
        let value = char::from(*octet)
            .to_digit(16)
            .ok_or("a key that starts with 0x; expected only hexadecimal digits behind it")?;
        match high.take() {
            None => high = Some(value),
            Some(high) => key.push(u8::try_from(high << 4 | value).unwrap_or(0)),
        }
    }
    match high {
        Some(_) => Err("a key that starts with 0x; expected an even number of digits"),
        None if key.is_empty() => Err("a key that starts with 0x; expected digits behind it"),
        None => Ok(key),
    }
}

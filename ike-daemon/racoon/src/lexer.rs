//! Octets into tokens, one at a time: the text itself is all the memory that a file takes.
//!
//! `#` starts a comment that ends with the line; texts stand in double quotes on one line;
//! `{ } ; , [ ]` stand for themselves; everything else up to a blank is a word.

use std::fmt;

use crate::span::{FileId, Span};

/// The longest word or text, in octets. Paths and keys are shorter.
pub const MAX_TOKEN: usize = 2048;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A run of other characters: a keyword, a number, an address.
    Word(String),
    /// What stood between double quotes.
    Text(String),
    /// `{`
    Open,
    /// `}`
    Close,
    /// `;`
    Semicolon,
    /// `,`
    Comma,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// The file ends here.
    End,
    /// Something that cannot stand in a file, and why.
    Bad(&'static str),
}

impl fmt::Display for Token {
    /// As a reader of the file would call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{}`", shortened(word)),
            Self::Text(text) => write!(f, "\"{}\"", shortened(text)),
            Self::Open => f.write_str("`{`"),
            Self::Close => f.write_str("`}`"),
            Self::Semicolon => f.write_str("`;`"),
            Self::Comma => f.write_str("`,`"),
            Self::LeftBracket => f.write_str("`[`"),
            Self::RightBracket => f.write_str("`]`"),
            Self::End => f.write_str("the end of the file"),
            Self::Bad(why) => f.write_str(why),
        }
    }
}

/// At most 60 characters of what a file says, without control characters.
fn shortened(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(60)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if text.chars().nth(60).is_some() {
        out.push_str("...");
    }
    out
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexeme {
    /// The token.
    pub token: Token,
    /// Where it starts, and its length as written.
    pub span: Span,
}

/// Reads tokens out of one file.
#[derive(Debug)]
pub struct Lexer {
    octets: Vec<u8>,
    at: usize,
    file: FileId,
    line: u32,
    column: u32,
}

impl Lexer {
    /// A reader of `octets`, which are the contents of `file`. Any octets will do.
    pub fn new(file: FileId, octets: Vec<u8>) -> Self {
        // A byte order mark, as some editors leave it, says nothing.
        let at = if octets.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Self {
            octets,
            at,
            file,
            line: 1,
            column: 1,
        }
    }

    /// The next token; [`Token::End`] again and again at the end.
    pub fn next_lexeme(&mut self) -> Lexeme {
        self.skip_blanks();
        let mut span = self.here();
        let Some(octet) = self.peek() else {
            return Lexeme {
                token: Token::End,
                span,
            };
        };
        let token = match octet {
            b'"' => self.text(),
            _ => match punctuation(octet) {
                Some(token) => {
                    self.step();
                    token
                }
                None => self.word(),
            },
        };
        // No token goes over the end of a line.
        span.length = self.column.saturating_sub(span.column);
        Lexeme { token, span }
    }

    fn here(&self) -> Span {
        Span {
            file: self.file,
            line: self.line,
            column: self.column,
            length: 0,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    fn step(&mut self) {
        let Some(octet) = self.peek() else {
            return;
        };
        self.at += 1;
        if octet == b'\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else if octet & 0xc0 != 0x80 {
            // Continuation octets of UTF-8 belong to the character before.
            self.column = self.column.saturating_add(1);
        }
    }

    fn skip_blanks(&mut self) {
        while let Some(octet) = self.peek() {
            if octet == b'#' {
                while self.peek().is_some_and(|octet| octet != b'\n') {
                    self.step();
                }
            } else if is_blank(octet) {
                self.step();
            } else {
                return;
            }
        }
    }

    fn text(&mut self) -> Token {
        self.step();
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                None | Some(b'\n') => {
                    return Token::Bad("a text without its closing double quote on the same line");
                }
                Some(_) => self.step(),
            }
        }
        let range = start..self.at;
        self.step();
        let octets = self.octets.get(range).unwrap_or_default();
        checked(octets, Token::Text)
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        while self.peek().is_some_and(|octet| {
            !is_blank(octet) && octet != b'"' && octet != b'#' && punctuation(octet).is_none()
        }) {
            self.step();
        }
        checked(
            self.octets.get(start..self.at).unwrap_or_default(),
            Token::Word,
        )
    }
}

fn checked(octets: &[u8], kind: fn(String) -> Token) -> Token {
    if octets.len() > MAX_TOKEN {
        return Token::Bad("a word of more than 2048 octets");
    }
    match std::str::from_utf8(octets) {
        Ok(text) if text.contains('\0') => Token::Bad("a word with a NUL octet"),
        Ok(text) => kind(text.to_owned()),
        Err(_) => Token::Bad("octets that are not UTF-8 text"),
    }
}

fn punctuation(octet: u8) -> Option<Token> {
    Some(match octet {
        b'{' => Token::Open,
        b'}' => Token::Close,
        b';' => Token::Semicolon,
        b',' => Token::Comma,
        b'[' => Token::LeftBracket,
        b']' => Token::RightBracket,
        _ => return None,
    })
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, u32, u32, u32)> {
        let mut lexer = Lexer::new(FileId(0), text.as_bytes().to_vec());
        let mut found = Vec::new();
        loop {
            let Lexeme { token, span } = lexer.next_lexeme();
            if token == Token::End {
                return found;
            }
            found.push((token.to_string(), span.line, span.column, span.length));
        }
    }

    #[test]
    fn tokens_have_their_places() {
        let tokens = all("a{b \"c d\";}# x\n\t\u{e9}\u{e9} 1.2.3.4/24[any],");
        let expected = [
            ("`a`", 1, 1, 1),
            ("`{`", 1, 2, 1),
            ("`b`", 1, 3, 1),
            ("\"c d\"", 1, 5, 5),
            ("`;`", 1, 10, 1),
            ("`}`", 1, 11, 1),
            ("`\u{e9}\u{e9}`", 2, 2, 2),
            ("`1.2.3.4/24`", 2, 5, 10),
            ("`[`", 2, 15, 1),
            ("`any`", 2, 16, 3),
            ("`]`", 2, 19, 1),
            ("`,`", 2, 20, 1),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(t, l, c, n)| (t.to_owned(), l, c, n))
            .collect();
        assert_eq!(tokens, expected);
    }

    #[test]
    fn what_is_no_token_says_why() {
        assert!(all("\"abc\nd")[0].0.contains("closing double quote"));
        assert!(all(&"x".repeat(MAX_TOKEN + 1))[0].0.contains("2048"));
        let mut lexer = Lexer::new(FileId(0), vec![0xff, 0xfe]);
        assert!(matches!(lexer.next_lexeme().token, Token::Bad(why) if why.contains("UTF-8")));
    }
}

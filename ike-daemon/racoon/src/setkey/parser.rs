//! Commands and SAs of a script.

use zeroize::Zeroizing;

use crate::ast::Host;
use crate::lexer::{Lexeme, Lexer, Token};
use crate::parser::host;
use crate::span::{FileId, MAX_PROBLEMS, Problem, Span, Spanned};

use super::{Add, Command, Key, MAX_COMMANDS, SaKey, SaProtocol, Script, Selector};

const EXPECTED: &str = "add, get, delete, deleteall, flush, dump, spdadd, spddelete, spdflush or \
                        spddump";

/// A command is not understood; its problem is noted.
pub(super) struct Refused;

pub(super) type Outcome<T> = Result<T, Refused>;

pub(super) struct Parser {
    script: Script,
    peeked: Option<Lexeme>,
    lexer: Lexer,
}

impl Parser {
    pub(super) fn new(octets: Vec<u8>) -> Self {
        Self {
            script: Script::default(),
            peeked: None,
            lexer: Lexer::new(FileId(0), octets),
        }
    }

    /// Reads all of it.
    pub(super) fn script(mut self) -> Script {
        self.commands();
        self.script
    }

    fn commands(&mut self) {
        while self.script.problems.len() < MAX_PROBLEMS {
            let Lexeme { token, span } = self.next();
            let outcome = match token {
                Token::End => return,
                Token::Semicolon => continue,
                Token::Word(word) => self.command(&word, span),
                token => {
                    self.problem(span, format!("{token}; expected {EXPECTED}"));
                    Err(Refused)
                }
            };
            match outcome {
                Ok(command) if self.script.commands.len() < MAX_COMMANDS => {
                    self.script.commands.push(Spanned::new(command, span));
                }
                Ok(_) => {
                    self.problem(span, "more than 50000 commands");
                    return;
                }
                Err(Refused) => self.recover(),
            }
        }
    }

    fn command(&mut self, word: &str, span: Span) -> Outcome<Command> {
        let command = match word {
            "flush" => Command::Flush(self.optional_protocol()?),
            "dump" => Command::Dump(self.optional_protocol()?),
            "spdflush" => Command::SpdFlush,
            "spddump" => Command::SpdDump,
            "add" => self.add()?,
            "get" => Command::Get(self.sa_key()?),
            "delete" => Command::Delete(self.sa_key()?),
            "deleteall" => {
                self.options()?;
                Command::DeleteAll(self.host()?, self.host()?, self.sa_protocol()?)
            }
            "spdadd" | "spddelete" => {
                self.options()?;
                let selector = Selector {
                    source: self.side()?,
                    destination: self.side()?,
                    protocol: self.upper_protocol()?,
                };
                let policy = self.policy(word == "spddelete")?;
                match word {
                    "spdadd" => Command::SpdAdd(selector, policy),
                    _ => Command::SpdDelete(selector, policy),
                }
            }
            "spdupdate" => {
                return Err(self.problem(
                    span,
                    "FreeBSD's setkey has no `spdupdate`; write `spddelete` and `spdadd`",
                ));
            }
            _ => {
                let word = Token::Word(word.to_owned());
                return Err(
                    self.problem(span, format!("unknown command {word}; expected {EXPECTED}"))
                );
            }
        };
        match self.peek().token {
            Token::Semicolon => {
                self.next();
                Ok(command)
            }
            _ => Err(self.unexpected("`;`")),
        }
    }

    fn sa_key(&mut self) -> Outcome<SaKey> {
        self.options()?;
        Ok(SaKey {
            source: self.host()?,
            destination: self.host()?,
            protocol: self.sa_protocol()?,
            spi: self.spi()?,
        })
    }

    fn add(&mut self) -> Outcome<Command> {
        let sa = self.sa_key()?;
        let (mut extensions, mut algorithms) = (Vec::new(), Vec::new());
        while let Some(option) = self.peek_word() {
            let values = match option.value.as_str() {
                "-E" | "-A" | "-C" => {
                    self.next();
                    let algorithm = self.word("the name of an algorithm")?;
                    let key = match option.value.as_str() {
                        "-C" => {
                            self.take_word("-R");
                            None
                        }
                        _ => self.key()?,
                    };
                    algorithms.push((option, algorithm, key));
                    continue;
                }
                "-m" | "-r" | "-u" | "-f" | "-lh" | "-ls" | "-natt_mtu" => 1,
                "-natt" => 4,
                _ => {
                    let expected = "-m, -r, -u, -f, -lh, -ls, -natt, -natt_mtu, -E, -A, -C or `;`";
                    return Err(self.unexpected(expected));
                }
            };
            self.next();
            let mut words = Vec::new();
            for _ in 0..values {
                // The ports of -natt stand in brackets.
                let bracket = self.peek().token == Token::LeftBracket;
                if bracket {
                    self.next();
                }
                words.push(self.word("a value")?);
                if bracket && self.next().token != Token::RightBracket {
                    return Err(self.unexpected("`]`"));
                }
            }
            extensions.push((option, words));
        }
        if algorithms.is_empty() {
            return Err(self.unexpected("-E, -A or -C with an algorithm"));
        }
        Ok(Command::Add(Add {
            sa,
            extensions,
            algorithms,
        }))
    }

    /// `"text"`, `0x` and digits, or nothing for algorithms without a key.
    fn key(&mut self) -> Outcome<Option<Key>> {
        let Lexeme { token, span } = self.peek().clone();
        match token {
            Token::Text(text) => {
                self.next();
                Ok(Some(Key(Zeroizing::new(text.into_bytes()))))
            }
            Token::Word(word) if !word.starts_with('-') => {
                let digits: Option<Vec<u32>> = word
                    .strip_prefix("0x")
                    .filter(|digits| digits.len() % 2 == 0 && !digits.is_empty())
                    .and_then(|digits| digits.chars().map(|c| c.to_digit(16)).collect());
                let Some(digits) = digits else {
                    return Err(self.problem(
                        span,
                        "expected a key: 0x and an even number of digits, or a text in quotes",
                    ));
                };
                self.next();
                let octets = digits
                    .chunks(2)
                    .map(|pair| {
                        pair.iter()
                            .fold(0_u8, |octet, digit| octet << 4 | *digit as u8)
                    })
                    .collect();
                Ok(Some(Key(Zeroizing::new(octets))))
            }
            _ => Ok(None),
        }
    }

    /// `-4`, `-6`, `-n`, which only say how names are looked up.
    fn options(&mut self) -> Outcome<()> {
        while let Some(word) = self.peek_word() {
            match word.value.as_str() {
                "-4" | "-6" | "-n" | "-46" | "-4n" | "-6n" | "-46n" => self.next(),
                _ if word.value.starts_with('-') => {
                    return Err(self.unexpected("-4, -6, -n or an address"));
                }
                _ => return Ok(()),
            };
        }
        Ok(())
    }

    fn sa_protocol(&mut self) -> Outcome<SaProtocol> {
        let expected = "esp, ah, ipcomp or tcp";
        let word = self.word(expected)?;
        match sa_protocol(&word.value) {
            Some(protocol) => Ok(protocol),
            None => {
                let found = Token::Word(word.value);
                Err(self.problem(word.span, format!("expected {expected}, found {found}")))
            }
        }
    }

    fn optional_protocol(&mut self) -> Outcome<Option<SaProtocol>> {
        self.options()?;
        match self.peek_word() {
            Some(_) => self.sa_protocol().map(Some),
            None => Ok(None),
        }
    }

    fn spi(&mut self) -> Outcome<Spanned<u32>> {
        let word = self.word("an SPI")?;
        let spi = match word.value.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => word.value.parse(),
        };
        match spi {
            Ok(spi) => Ok(Spanned::new(spi, word.span)),
            Err(_) => Err(self.problem(
                word.span,
                "expected an SPI: a decimal number, or 0x and up to 8 digits",
            )),
        }
    }

    fn host(&mut self) -> Outcome<Spanned<Host>> {
        let word = self.word("an address")?;
        match host(&word.value) {
            Some(host) => Ok(Spanned::new(host, word.span)),
            None => {
                let found = Token::Word(word.value);
                Err(self.problem(word.span, format!("expected an address, found {found}")))
            }
        }
    }

    pub(super) fn word(&mut self, expected: &str) -> Outcome<Spanned<String>> {
        match self.peek_word() {
            Some(word) => {
                self.next();
                Ok(word)
            }
            None => Err(self.unexpected(expected)),
        }
    }

    pub(super) fn take_word(&mut self, expected: &str) -> Option<Span> {
        match self.peek_word() {
            Some(word) if word.value == expected => Some(self.next().span),
            _ => None,
        }
    }

    pub(super) fn peek_word(&mut self) -> Option<Spanned<String>> {
        match self.peek() {
            Lexeme {
                token: Token::Word(word),
                span,
            } => Some(Spanned::new(word.clone(), *span)),
            _ => None,
        }
    }

    pub(super) fn peek(&mut self) -> &Lexeme {
        let lexer = &mut self.lexer;
        self.peeked.get_or_insert_with(|| lexer.next_lexeme())
    }

    pub(super) fn next(&mut self) -> Lexeme {
        match self.peeked.take() {
            Some(lexeme) => lexeme,
            None => self.lexer.next_lexeme(),
        }
    }

    pub(super) fn unexpected(&mut self, expected: &str) -> Refused {
        let Lexeme { token, span } = self.peek().clone();
        self.problem(span, format!("expected {expected}, found {token}"))
    }

    pub(super) fn problem(&mut self, span: Span, message: impl Into<String>) -> Refused {
        if self.script.problems.len() < MAX_PROBLEMS {
            self.script.problems.push(Problem {
                span,
                message: message.into(),
            });
        }
        Refused
    }

    /// Up to and with the next `;`.
    fn recover(&mut self) {
        while !matches!(self.next().token, Token::Semicolon | Token::End) {}
    }
}

pub(super) fn sa_protocol(word: &str) -> Option<SaProtocol> {
    Some(match word {
        "esp" | "esp-old" => SaProtocol::Esp,
        "ah" | "ah-old" => SaProtocol::Ah,
        "ipcomp" => SaProtocol::Ipcomp,
        "tcp" => SaProtocol::Tcp,
        _ => return None,
    })
}

//! setkey(8) scripts: what racoon installations keep their policies in.
//!
//! Commands end with `;`. Read are those of FreeBSD 14: `add`, `get`, `delete`, `deleteall`,
//! `flush`, `dump`, `spdadd`, `spddelete`, `spdflush` and `spddump`. As in racoon.conf, all
//! problems are reported.

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::ast::{Host, Port};
use crate::lexer::{Lexeme, Lexer, Token};
use crate::parser::{host, protocol_number};
use crate::span::{FileId, MAX_PROBLEMS, Problem, Span, Spanned};

/// The largest script, in octets.
pub const MAX_FILE: usize = 4 * 1024 * 1024;
/// Commands of one script.
pub const MAX_COMMANDS: usize = 50_000;
/// Requests of one policy, as libipsec takes them at most.
pub const MAX_REQUESTS: usize = 16;

const EXPECTED: &str = "add, get, delete, deleteall, flush, dump, spdadd, spddelete, spdflush or \
                        spddump";

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The commands that were understood, in order.
    pub commands: Vec<Spanned<Command>>,
    /// What was not understood.
    pub problems: Vec<Problem>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `flush [protocol];`
    Flush(Option<SaProtocol>),
    /// `dump [protocol];`
    Dump(Option<SaProtocol>),
    /// `spdflush;`
    SpdFlush,
    /// `spddump;`
    SpdDump,
    /// `add ...;`
    Add(Add),
    /// `get source destination protocol spi;`
    Get(SaKey),
    /// `delete source destination protocol spi;`
    Delete(SaKey),
    /// `deleteall source destination protocol;`
    DeleteAll(Spanned<Host>, Spanned<Host>, SaProtocol),
    /// `spdadd selector policy;`
    SpdAdd(Selector, Policy),
    /// `spddelete selector policy;`
    SpdDelete(Selector, Policy),
}

/// The protocol of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaProtocol {
    /// `esp` (`esp-old` is the same to a kernel of today)
    Esp,
    /// `ah`
    Ah,
    /// `ipcomp`
    Ipcomp,
    /// `tcp`: RFC 2385
    Tcp,
}

/// What names one SA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaKey {
    /// From where.
    pub source: Spanned<Host>,
    /// To where.
    pub destination: Spanned<Host>,
    /// Its protocol.
    pub protocol: SaProtocol,
    /// Its SPI.
    pub spi: Spanned<u32>,
}

/// `add`: a whole SA with its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What names it.
    pub sa: SaKey,
    /// `-m`, `-r`, `-u`, `-f`, `-lh`, `-ls`, `-natt_mtu` and their values; `-natt` and its four.
    pub extensions: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
    /// `-E`, `-A` or `-C`, the algorithm, and its key.
    pub algorithms: Vec<(Spanned<String>, Spanned<String>, Option<Key>)>,
}

/// A key, not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Which packets a policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// From where.
    pub source: Side,
    /// To where.
    pub destination: Side,
    /// Upper-layer protocol; 0 for any.
    pub protocol: Spanned<u8>,
}

/// One side of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The address.
    pub host: Spanned<Host>,
    /// Length of the prefix, where one is written.
    pub prefix: Option<u8>,
    /// The port, where one is written.
    pub port: Option<Spanned<Port>>,
}

impl Side {
    /// The port; 0 for any.
    pub fn port_number(&self) -> u16 {
        match self.port.as_ref().map(|port| port.value) {
            Some(Port::Number(number)) => number,
            _ => 0,
        }
    }
}

/// What happens to the packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Inbound rather than outbound.
    pub inbound: bool,
    /// What is done.
    pub action: Action,
    /// Where `-P` stands.
    pub span: Span,
}

/// What a policy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// They are dropped.
    Discard,
    /// They pass as they are.
    None,
    /// They are protected.
    Ipsec(Vec<Spanned<Request>>),
}

/// One protection: `esp/transport//require`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// By which protocol.
    pub protocol: SaProtocol,
    /// In which mode.
    pub mode: Mode,
    /// The outer addresses of a tunnel.
    pub endpoints: Option<(IpAddr, IpAddr)>,
    /// How strictly.
    pub level: Level,
}

/// The mode of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `transport`
    Transport,
    /// `tunnel`
    Tunnel,
    /// `any`
    Any,
}

/// How strictly a policy is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `default`, or nothing
    Default,
    /// `use`
    Use,
    /// `require`
    Require,
    /// `unique`, with a reqid where one is written
    Unique(Option<u16>),
}

/// Reads the script `octets`. Any octets will do.
pub fn parse(octets: Vec<u8>) -> Script {
    let mut parser = Parser {
        script: Script::default(),
        peeked: None,
        lexer: Lexer::new(FileId(0), Vec::new()),
    };
    if octets.len() > MAX_FILE {
        parser.problem(
            Span::default(),
            "more than 4 MiB; a script is not that large",
        );
        return parser.script;
    }
    parser.lexer = Lexer::new(FileId(0), octets);
    parser.commands();
    parser.script
}

struct Refused;

type Outcome<T> = Result<T, Refused>;

struct Parser {
    script: Script,
    peeked: Option<Lexeme>,
    lexer: Lexer,
}

impl Parser {
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

    fn side(&mut self) -> Outcome<Side> {
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

    fn upper_protocol(&mut self) -> Outcome<Spanned<u8>> {
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
    fn policy(&mut self, deleting: bool) -> Outcome<Policy> {
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

    fn word(&mut self, expected: &str) -> Outcome<Spanned<String>> {
        match self.peek_word() {
            Some(word) => {
                self.next();
                Ok(word)
            }
            None => Err(self.unexpected(expected)),
        }
    }

    fn take_word(&mut self, expected: &str) -> Option<Span> {
        match self.peek_word() {
            Some(word) if word.value == expected => Some(self.next().span),
            _ => None,
        }
    }

    fn peek_word(&mut self) -> Option<Spanned<String>> {
        match self.peek() {
            Lexeme {
                token: Token::Word(word),
                span,
            } => Some(Spanned::new(word.clone(), *span)),
            _ => None,
        }
    }

    fn peek(&mut self) -> &Lexeme {
        let lexer = &mut self.lexer;
        self.peeked.get_or_insert_with(|| lexer.next_lexeme())
    }

    fn next(&mut self) -> Lexeme {
        match self.peeked.take() {
            Some(lexeme) => lexeme,
            None => self.lexer.next_lexeme(),
        }
    }

    fn unexpected(&mut self, expected: &str) -> Refused {
        let Lexeme { token, span } = self.peek().clone();
        self.problem(span, format!("expected {expected}, found {token}"))
    }

    fn problem(&mut self, span: Span, message: impl Into<String>) -> Refused {
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

fn sa_protocol(word: &str) -> Option<SaProtocol> {
    Some(match word {
        "esp" | "esp-old" => SaProtocol::Esp,
        "ah" | "ah-old" => SaProtocol::Ah,
        "ipcomp" => SaProtocol::Ipcomp,
        "tcp" => SaProtocol::Tcp,
        _ => return None,
    })
}

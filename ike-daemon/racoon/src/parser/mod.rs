//! racoon.conf(5) from tokens to the tree.
//!
//! All problems of a file are reported, not only the first: a directive that is not understood is
//! skipped up to its `;` or the end of its section. Nothing here recurses with the input's depth,
//! and files, octets, directives and problems are bounded.
//!
//! * this file: what all sections share
//! * [`top`]: what stands outside of sections, `include`
//! * one file per section

mod ldapcfg;
mod listen;
mod mode_cfg;
mod padding;
mod privsep;
mod proposal;
mod radiuscfg;
mod remote;
mod sainfo;
mod timer;
mod top;
mod values;

use crate::ast::{Block, Configuration};
use crate::lexer::{Lexeme, Lexer, Token};
use crate::loader::Loader;
use crate::span::{FileId, MAX_PROBLEMS, Problem, Span, Spanned};

/// All files together, in octets.
pub const MAX_OCTETS: usize = 4 * 1024 * 1024;
/// Files of one configuration.
pub const MAX_FILES: usize = 1000;
/// Files that include each other.
pub const MAX_INCLUDE_DEPTH: usize = 10;
/// Directives of one configuration.
pub const MAX_DIRECTIVES: usize = 100_000;

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The names of the files; [`FileId`] counts in here.
    pub files: Vec<String>,
    /// The tree of what was understood: all of it when there is no problem.
    pub tree: Configuration,
    /// What was not understood, in the order of reading.
    pub problems: Vec<Problem>,
    /// What was understood but may be a mistake.
    pub notices: Vec<Problem>,
}

impl Parsed {
    /// The name of `file`.
    pub fn file(&self, file: FileId) -> &str {
        self.files
            .get(usize::from(file.0))
            .map_or("", String::as_str)
    }
}

/// Reads the configuration in the file `path` and in all that it includes.
pub fn parse(path: &str, loader: &mut dyn Loader) -> Parsed {
    let mut parser = Parser {
        loader,
        frames: Vec::new(),
        peeked: None,
        last_line: 0,
        octets: 0,
        directives: 0,
        stopped: false,
        include_folder: None,
        parsed: Parsed::default(),
    };
    parser.open(path, None, 0);
    let statements = parser.statements();
    let mut parsed = parser.parsed;
    parsed.tree = Configuration { statements };
    parsed
}

/// The problem is on the list already.
#[derive(Debug)]
struct Refused;

type Outcome<T> = Result<T, Refused>;

/// A file that is being read.
struct Frame {
    lexer: Lexer,
    depth: usize,
}

struct Parser<'l> {
    loader: &'l mut dyn Loader,
    /// The file being read is the last one.
    frames: Vec<Frame>,
    peeked: Option<Lexeme>,
    /// The line of the last token that was taken.
    last_line: u32,
    octets: usize,
    directives: usize,
    /// A bound was exceeded: nothing more is read.
    stopped: bool,
    include_folder: Option<String>,
    parsed: Parsed,
}

impl Parser<'_> {
    // Problems.

    fn problem(&mut self, span: Span, message: impl Into<String>) -> Refused {
        if self.parsed.problems.len() < MAX_PROBLEMS {
            self.parsed.problems.push(Problem {
                span,
                message: message.into(),
            });
        } else {
            self.stopped = true;
        }
        Refused
    }

    fn notice(&mut self, span: Span, message: impl Into<String>) {
        if self.parsed.notices.len() < MAX_PROBLEMS {
            self.parsed.notices.push(Problem {
                span,
                message: message.into(),
            });
        }
    }

    fn stop(&mut self, span: Span, message: impl Into<String>) -> Refused {
        let refused = self.problem(span, message);
        self.stopped = true;
        refused
    }

    /// The next token is none of what is expected.
    fn unexpected(&mut self, expected: &str) -> Refused {
        let lexeme = self.peek().clone();
        let message = match &lexeme.token {
            Token::Bad(why) => format!("{why}; expected {expected}"),
            token => format!("expected {expected}, found {token}"),
        };
        self.problem(lexeme.span, message)
    }

    // Files.

    /// Starts reading `path`; `from` is where it is included.
    fn open(&mut self, path: &str, from: Option<Span>, depth: usize) {
        let number = self.parsed.files.len();
        let (Ok(id), true) = (u16::try_from(number), number < MAX_FILES) else {
            self.stop(from.unwrap_or_default(), "more than 1000 files");
            return;
        };
        let left = MAX_OCTETS.saturating_sub(self.octets);
        let outcome = self.loader.read(path, left);
        // A file that cannot be read is a problem of the one that includes it.
        let place = from.unwrap_or_default();
        match outcome {
            Ok(octets) if octets.len() > left => {
                if from.is_none() {
                    self.parsed.files.push(path.to_owned());
                }
                self.stop(
                    place,
                    format!("{path}: more than 4 MiB in total; a configuration is not that large"),
                );
            }
            Ok(octets) => {
                self.octets += octets.len();
                self.parsed.files.push(path.to_owned());
                self.frames.push(Frame {
                    lexer: Lexer::new(FileId(id), octets),
                    depth,
                });
            }
            Err(why) => {
                if from.is_none() {
                    self.parsed.files.push(path.to_owned());
                }
                self.problem(place, format!("{path}: {why}"));
            }
        }
    }

    // Tokens.

    fn peek(&mut self) -> &Lexeme {
        if self.stopped {
            self.peeked = None;
        }
        let frames = &mut self.frames;
        let stopped = self.stopped;
        self.peeked.get_or_insert_with(|| match frames.last_mut() {
            Some(frame) if !stopped => frame.lexer.next_lexeme(),
            _ => Lexeme {
                token: Token::End,
                span: Span::default(),
            },
        })
    }

    fn next(&mut self) -> Lexeme {
        let lexeme = self.peek().clone();
        // The end of a file stays where it is.
        if lexeme.token != Token::End {
            self.peeked = None;
            self.last_line = lexeme.span.line;
        }
        lexeme
    }

    fn take(&mut self, token: &Token) -> Option<Span> {
        if self.peek().token == *token {
            return Some(self.next().span);
        }
        None
    }

    /// The next token if it is a word.
    fn peek_word(&mut self) -> Option<Spanned<String>> {
        match self.peek() {
            Lexeme {
                token: Token::Word(word),
                span,
            } => Some(Spanned::new(word.clone(), *span)),
            _ => None,
        }
    }

    /// Takes the next token if it is the word `expected`.
    fn take_word(&mut self, expected: &str) -> Option<Span> {
        match self.peek_word() {
            Some(word) if word.value == expected => Some(self.next().span),
            _ => None,
        }
    }

    /// The `;` of a directive. Where it is only missing at the end of a line, the next directive is
    /// read all the same.
    fn end(&mut self) -> Outcome<()> {
        if self.take(&Token::Semicolon).is_some() {
            return Ok(());
        }
        let starts_line = self.peek().span.line > self.last_line;
        let refused = self.unexpected("`;`");
        match starts_line && self.peek_word().is_some() {
            true => Ok(()),
            false => Err(refused),
        }
    }

    /// Skips the rest of a directive that was not understood: up to and with its `;` or section,
    /// or up to the `}` of the section it stands in.
    fn recover(&mut self) {
        let mut depth = 0_u32;
        loop {
            match self.peek().token {
                Token::End => return,
                Token::Semicolon if depth == 0 => {
                    self.next();
                    return;
                }
                Token::Close if depth == 0 => return,
                Token::Close => {
                    depth -= 1;
                    if depth == 0 {
                        self.next();
                        return;
                    }
                }
                Token::Open => depth = depth.saturating_add(1),
                _ => {}
            }
            self.next();
        }
    }

    /// `{ ... }`: `item` reads the directive that starts with a word, which it gets, and says
    /// `None` to a word that it does not know.
    fn block<T>(
        &mut self,
        section: &str,
        expected: &[&str],
        mut item: impl FnMut(&mut Self, &str, Span) -> Option<Outcome<T>>,
    ) -> Outcome<Block<T>> {
        let Some(open) = self.take(&Token::Open) else {
            return Err(self.unexpected(&format!("`{{` of `{section}`")));
        };
        let mut items = Vec::new();
        loop {
            let lexeme = self.next();
            let span = lexeme.span;
            match lexeme.token {
                Token::Close => return Ok(items),
                Token::Semicolon => {}
                Token::End => {
                    if !self.stopped {
                        self.problem(
                            span,
                            format!(
                                "`}}` of `{section}` missing; its `{{` is in line {}",
                                open.line
                            ),
                        );
                    }
                    return Ok(items);
                }
                Token::Word(word) => {
                    self.count(span);
                    match item(self, &word, span) {
                        Some(Ok(value)) => items.push(Spanned::new(value, span)),
                        Some(Err(Refused)) => self.recover(),
                        None => {
                            self.problem(
                                span,
                                format!(
                                    "unknown directive {} in `{section}`; expected {}",
                                    Token::Word(word),
                                    list(expected)
                                ),
                            );
                            self.recover();
                        }
                    }
                }
                token => {
                    let found = match &token {
                        Token::Bad(why) => (*why).to_owned(),
                        token => format!("{token} instead of a directive"),
                    };
                    self.problem(
                        span,
                        format!("{found} in `{section}`; expected {}", list(expected)),
                    );
                    if token == Token::Open {
                        self.skip_section();
                    } else {
                        self.recover();
                    }
                }
            }
        }
    }

    /// Skips up to and with the `}` of a `{` that was taken.
    fn skip_section(&mut self) {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.next().token {
                Token::Open => depth = depth.saturating_add(1),
                Token::Close => depth -= 1,
                Token::End => return,
                _ => {}
            }
        }
    }

    fn count(&mut self, span: Span) {
        self.directives += 1;
        if self.directives > MAX_DIRECTIVES && !self.stopped {
            self.stop(span, "more than 100000 directives");
        }
    }
}

/// `a, b or c`
fn list(words: &[&str]) -> String {
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

pub(crate) use sainfo::protocol_number;
pub(crate) use values::host;

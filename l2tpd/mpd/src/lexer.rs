//! Lines, labels and words of mpd.conf and mpd.secret.
//!
//! A line whose first character is not blank is a label and ends with `:`; indented lines are its
//! commands. A line whose first visible character is `#` is a comment: mpd's manual says column
//! 0, mpd itself also takes indented ones, and so do we. A backslash at the end joins the next
//! line. Words are separated by blanks; a word in double quotes may hold blanks; `\t`, `\n`, `\r`,
//! `\s`, `\"`, `\ooo` and `\xhh` are C-style escapes, and a backslash before anything else is
//! dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diag::{Diagnostics, Problem, Span};

/// Larger files are refused unread.
pub const MAX_FILE: usize = 1024 * 1024;
/// Longer lines (joined ones count as one) are refused; mpd cut them off here.
pub const MAX_LINE: usize = 1000;
/// More words in a line are refused; mpd dropped them.
pub const MAX_WORDS: usize = 50;

/// One word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Without quotes, escapes resolved.
    pub text: String,
    /// Its first character.
    pub span: Span,
}

/// A label and the commands under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Without the colon.
    pub name: String,
    /// Its first character.
    pub span: Span,
    /// Each at least one word.
    pub commands: Vec<Vec<Word>>,
}

/// mpd.conf as labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As given.
    pub name: Arc<str>,
    /// In the order of the file; of equal names the first counts.
    pub labels: Vec<Label>,
    index: BTreeMap<String, usize>,
}

impl File {
    /// The label with that name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&Label> {
        self.index.get(name).and_then(|&at| self.labels.get(at))
    }
}

/// Splits mpd.conf into labels and commands. What is wrong goes to `diagnostics`; what is right
/// around it is still returned.
#[must_use]
pub fn lex(name: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) -> File {
    let mut file = File {
        name: Arc::clone(name),
        labels: Vec::new(),
        index: BTreeMap::new(),
    };
    let mut orphan = false;
    for line in logical_lines(name, bytes, diagnostics) {
        let Some(first) = line.characters.first() else {
            continue;
        };
        if !first.character.is_whitespace() {
            if let Some((label, span)) = label(name, &line, diagnostics) {
                if let Some(earlier) = file.label(&label) {
                    let at = earlier.span.line;
                    diagnostics.notice(
                        &span,
                        format!("label '{label}' is already at line {at}; this one never runs"),
                    );
                } else {
                    file.index.insert(label.clone(), file.labels.len());
                }
                file.labels.push(Label {
                    name: label,
                    span,
                    commands: Vec::new(),
                });
            }
            continue;
        }
        let words = words(name, &line, diagnostics);
        let Some(word) = words.first() else { continue };
        match file.labels.last_mut() {
            Some(label) => label.commands.push(words),
            None if !orphan => {
                orphan = true;
                diagnostics.notice(&word.span, "commands before the first label never run");
            }
            None => {}
        }
    }
    file
}

/// Splits a file without labels (mpd.secret) into lines of words; empty lines are left out.
#[must_use]
pub fn rows(name: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) -> Vec<Vec<Word>> {
    let mut rows = Vec::new();
    for line in logical_lines(name, bytes, diagnostics) {
        let words = words(name, &line, diagnostics);
        if !words.is_empty() {
            rows.push(words);
        }
    }
    rows
}

#[derive(Debug, Clone, Copy)]
struct Character {
    character: char,
    line: u32,
    column: u32,
}

struct LogicalLine {
    characters: Vec<Character>,
}

impl LogicalLine {
    fn span(&self, name: &Arc<str>, index: usize) -> Span {
        let at = self.characters.get(index).or(self.characters.last());
        let (line, column) = at.map_or((1, 1), |c| (c.line, c.column));
        Span {
            file: Arc::clone(name),
            line,
            column,
        }
    }
}

/// Physical lines joined where a backslash ends them, without comments and empty lines.
fn logical_lines(name: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) -> Vec<LogicalLine> {
    let mut done = Vec::new();
    let at = |line, column| Span {
        file: Arc::clone(name),
        line,
        column,
    };
    if bytes.len() > MAX_FILE {
        diagnostics.problem(
            Problem::new(
                &at(1, 1),
                format!("the file is larger than {MAX_FILE} octets"),
            )
            .remedy("no mpd configuration is; check the path"),
        );
        return done;
    }
    let mut open: Option<(LogicalLine, bool)> = None;
    for (raw, number) in bytes.split(|&byte| byte == b'\n').zip(1u32..) {
        let text = match std::str::from_utf8(raw) {
            Ok(text) if !text.contains('\0') => text,
            Ok(text) => {
                let before = text.split('\0').next().unwrap_or_default();
                diagnostics.problem(Problem::new(&at(number, columns(before)), "a NUL octet"));
                continue;
            }
            Err(error) => {
                let before = raw.get(..error.valid_up_to()).unwrap_or_default();
                let column = columns(&String::from_utf8_lossy(before));
                diagnostics.problem(
                    Problem::new(&at(number, column), "an octet that is not UTF-8")
                        .remedy("write it as \\xhh or convert the file to UTF-8"),
                );
                continue;
            }
        };
        let visible = text.trim();
        if visible.is_empty() || visible.starts_with('#') {
            continue;
        }
        let text = text.trim_end();
        let joined = text.ends_with('\\');
        let text = text.strip_suffix('\\').unwrap_or(text);
        let (mut line, fits) = open.take().unwrap_or((
            LogicalLine {
                characters: Vec::new(),
            },
            true,
        ));
        let room = MAX_LINE.saturating_sub(line.characters.len());
        let mut taken = text.chars().zip(1u32..);
        line.characters.extend(
            taken
                .by_ref()
                .take(room)
                .map(|(character, column)| Character {
                    character,
                    line: number,
                    column,
                }),
        );
        let mut still = fits;
        if let (Some((_, column)), true) = (taken.next(), fits) {
            still = false;
            diagnostics.problem(
                Problem::new(
                    &at(number, column),
                    format!("the line is longer than {MAX_LINE} characters"),
                )
                .remedy("split it into several commands"),
            );
        }
        if joined {
            if line.characters.len() < MAX_LINE {
                let column = columns(text);
                line.characters.push(Character {
                    character: ' ',
                    line: number,
                    column,
                });
            }
            open = Some((line, still));
        } else if still {
            done.push(line);
        }
    }
    if let Some((line, true)) = open {
        done.push(line);
    }
    done
}

/// The column after `text`.
fn columns(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX - 1) + 1
}

fn label(
    name: &Arc<str>,
    line: &LogicalLine,
    diagnostics: &mut Diagnostics,
) -> Option<(String, Span)> {
    let text: String = line.characters.iter().map(|c| c.character).collect();
    let start = line.span(name, 0);
    let Some((label, rest)) = text.split_once(':') else {
        diagnostics.problem(
            Problem::new(
                &start,
                "a line that begins in column 1 is a label and ends with ':'",
            )
            .remedy("indent commands by a blank or a tab"),
        );
        return None;
    };
    if label.is_empty() || label.contains(|c: char| c.is_whitespace()) {
        diagnostics.problem(
            Problem::new(&start, format!("'{label}' is no label: one word is wanted"))
                .remedy("indent commands by a blank or a tab"),
        );
        return None;
    }
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        let index = text.chars().count() - rest.chars().count();
        diagnostics.problem(
            Problem::new(&line.span(name, index), "text after a label's ':'")
                .remedy("put commands on lines of their own, indented"),
        );
    }
    Some((label.to_owned(), start))
}

fn words(name: &Arc<str>, line: &LogicalLine, diagnostics: &mut Diagnostics) -> Vec<Word> {
    let mut words = Vec::new();
    let mut index = 0;
    let peek = |index: usize| line.characters.get(index).map(|c| c.character);
    while let Some(character) = peek(index) {
        if character.is_whitespace() {
            index += 1;
            continue;
        }
        let span = line.span(name, index);
        if words.len() == MAX_WORDS {
            diagnostics.problem(
                Problem::new(&span, format!("more than {MAX_WORDS} words in one command"))
                    .remedy("split it into several commands"),
            );
            return Vec::new();
        }
        let quoted = character == '"';
        index += usize::from(quoted);
        let mut octets = Vec::new();
        let mut closed = !quoted;
        while let Some(character) = peek(index) {
            match character {
                '"' if quoted => {
                    index += 1;
                    closed = true;
                    break;
                }
                c if !quoted && c.is_whitespace() => break,
                '\\' => {
                    index += 1;
                    escape(&mut index, peek, &mut octets);
                }
                c => {
                    index += 1;
                    push(&mut octets, c);
                }
            }
        }
        if !closed {
            diagnostics.problem(
                Problem::new(&span, "a quotation that never ends").remedy("close it with '\"'"),
            );
        }
        match String::from_utf8(octets) {
            Ok(text) if !text.contains('\0') => words.push(Word { text, span }),
            Ok(_) => diagnostics.problem(Problem::new(&span, "an escape makes a NUL octet")),
            Err(_) => {
                diagnostics.problem(Problem::new(&span, "escapes make a word that is not UTF-8"));
            }
        }
    }
    words
}

fn push(octets: &mut Vec<u8>, character: char) {
    octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What stands after a backslash.
fn escape(index: &mut usize, peek: impl Fn(usize) -> Option<char>, octets: &mut Vec<u8>) {
    let digits = |from: usize, most: usize, radix: u32| {
        let digits = (from..from + most).map_while(|at| peek(at).and_then(|c| c.to_digit(radix)));
        digits.fold((0u32, 0), |(value, count), digit| {
            (value * radix + digit, count + 1)
        })
    };
    let Some(character) = peek(*index) else {
        octets.push(b'\\');
        return;
    };
    match character {
        't' => octets.push(b'\t'),
        'n' => octets.push(b'\n'),
        'r' => octets.push(b'\r'),
        's' => octets.push(b' '),
        '0'..='7' => {
            let (value, count) = digits(*index, 3, 8);
            octets.push((value & 0xff) as u8);
            *index += count;
            return;
        }
        'x' => {
            let (value, count) = digits(*index + 1, 2, 16);
            octets.push((value & 0xff) as u8);
            *index += 1 + count;
            return;
        }
        other => push(octets, other),
    }
    *index += 1;
}

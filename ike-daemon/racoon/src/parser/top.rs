//! What stands outside of sections, and `include`.

use super::{MAX_INCLUDE_DEPTH, Outcome, Parser, Refused, list};
use crate::ast::{Block, Statement};
use crate::lexer::Token;
use crate::loader;
use crate::span::{Span, Spanned};
use crate::words::PathKind;

const EXPECTED: &[&str] = &[
    "path",
    "include",
    "pfkey_buffer",
    "complex_bundle",
    "gss_id_enc",
    "log",
    "privsep",
    "padding",
    "listen",
    "timer",
    "radiuscfg",
    "ldapcfg",
    "mode_cfg",
    "remote",
    "sainfo",
];

impl Parser<'_> {
    /// Everything up to the end of the last file.
    pub(super) fn statements(&mut self) -> Block<Statement> {
        let mut statements = Vec::new();
        loop {
            let lexeme = self.next();
            let span = lexeme.span;
            match lexeme.token {
                Token::End => {
                    self.peeked = None;
                    self.frames.pop();
                    if self.frames.is_empty() || self.stopped {
                        return statements;
                    }
                }
                Token::Semicolon => {}
                Token::Word(word) => {
                    self.count(span);
                    match self.statement(&word, span) {
                        Ok(Some(statement)) => statements.push(Spanned::new(statement, span)),
                        Ok(None) => {}
                        Err(Refused) => self.recover(),
                    }
                }
                Token::Close => {
                    self.problem(span, "`}` without its `{`");
                }
                Token::Open => {
                    self.problem(
                        span,
                        format!("`{{` without a directive; expected {}", list(EXPECTED)),
                    );
                    self.skip_section();
                }
                token => {
                    let found = match &token {
                        Token::Bad(why) => (*why).to_owned(),
                        token => format!("{token} instead of a directive"),
                    };
                    self.problem(span, format!("{found}; expected {}", list(EXPECTED)));
                    self.recover();
                }
            }
        }
    }

    fn statement(&mut self, word: &str, span: Span) -> Outcome<Option<Statement>> {
        let statement = match word {
            "include" => {
                self.include(span)?;
                return Ok(None);
            }
            "path" => {
                let kind = self.keyword::<PathKind>()?;
                let value = self.text()?;
                self.end()?;
                if kind.value == PathKind::Include {
                    self.include_folder = Some(value.value.clone());
                }
                Statement::Path(kind, value)
            }
            "pfkey_buffer" => Statement::PfkeyBuffer(self.ended(Self::number)?),
            "complex_bundle" => Statement::ComplexBundle(self.ended(Self::keyword)?),
            "gss_id_enc" => Statement::GssIdEnc(self.ended(Self::keyword)?),
            "log" => Statement::Log(self.ended(Self::keyword)?),
            "privsep" => Statement::Privsep(self.privsep()?),
            "padding" => Statement::Padding(self.padding()?),
            "listen" => Statement::Listen(self.listen()?),
            "timer" => Statement::Timer(self.timer()?),
            "radiuscfg" => Statement::RadiusCfg(self.radiuscfg()?),
            "ldapcfg" => Statement::LdapCfg(self.ldapcfg()?),
            "mode_cfg" => Statement::ModeCfg(self.mode_cfg()?),
            "remote" => Statement::Remote(self.remote()?),
            "sainfo" => Statement::Sainfo(self.sainfo()?),
            _ => {
                let word = Token::Word(word.to_owned());
                return Err(self.problem(
                    span,
                    format!("unknown directive {word}; expected {}", list(EXPECTED)),
                ));
            }
        };
        Ok(Some(statement))
    }

    /// A value and the `;` behind it.
    pub(super) fn ended<T>(&mut self, value: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let value = value(self)?;
        self.end()?;
        Ok(value)
    }

    /// `include "pattern";`
    fn include(&mut self, span: Span) -> Outcome<()> {
        let pattern = self.text()?;
        if self.take(&Token::Semicolon).is_none() {
            return Err(self.unexpected("`;`"));
        }
        let depth = self.frames.last().map_or(0, |frame| frame.depth) + 1;
        if depth > MAX_INCLUDE_DEPTH {
            // The `;` is taken: there is nothing to skip.
            self.problem(
                span,
                "files include each other more than 10 deep; is there a circle?",
            );
            return Ok(());
        }
        let path = self.resolve(&pattern.value);
        let mut paths = match loader::is_pattern(&path) {
            true => loader::expand(self.loader, &path),
            false => vec![path.clone()],
        };
        if paths.is_empty() {
            self.notice(pattern.span, format!("no file fits {path}"));
        }
        // The last one opened is read first.
        paths.reverse();
        for path in paths {
            self.open(&path, Some(pattern.span), depth);
        }
        Ok(())
    }

    /// A relative path starts at `path include`, or where the configuration is.
    fn resolve(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let main = self.parsed.files.first().map_or("", String::as_str);
        let beside = match main.rsplit_once('/') {
            Some(("", _)) => "/",
            Some((folder, _)) => folder,
            None => ".",
        };
        let folder = match &self.include_folder {
            Some(folder) if folder.starts_with('/') => folder.clone(),
            Some(folder) => format!("{beside}/{folder}"),
            None => beside.to_owned(),
        };
        format!("{}/{path}", folder.trim_end_matches('/'))
    }
}

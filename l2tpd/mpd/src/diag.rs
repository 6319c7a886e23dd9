//! Where something stands in a file, and what is to be said about it.

use std::fmt;
use std::sync::Arc;

/// More problems than this are counted, not kept.
pub const MAX_PROBLEMS: usize = 1000;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file's name as the caller or a `load` gave it.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The offending word.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to write instead; empty when the message says it all.
    pub remedy: String,
}

impl Problem {
    /// A problem whose message says it all.
    #[must_use]
    pub fn new(span: &Span, message: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            message: message.into(),
            remedy: String::new(),
        }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// Something the operator should know although the file is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The word it is about.
    pub span: Span,
    /// What to know.
    pub message: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)
    }
}

/// Everything found, in the order it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// At most [`MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// At most [`MAX_PROBLEMS`].
    pub notices: Vec<Notice>,
    /// Problems beyond those kept.
    pub suppressed: u64,
}

impl Diagnostics {
    /// Keeps or counts a problem.
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.suppressed = self.suppressed.saturating_add(1);
        }
    }

    /// Keeps a notice; those beyond the bound are lost.
    pub fn notice(&mut self, span: &Span, message: impl Into<String>) {
        if self.notices.len() < MAX_PROBLEMS {
            self.notices.push(Notice {
                span: span.clone(),
                message: message.into(),
            });
        }
    }
}

//! What was not carried over.

use std::fmt::Write;

use tanuki_daemon::config::Problem;

use crate::Import;

/// A setting that has no counterpart, or another meaning than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Where it stands, and why it was left.
    pub why: Problem,
}

impl Import {
    /// Notes a setting that was not carried over.
    pub fn leave(&mut self, why: Problem) {
        self.left.push(Left { why });
    }

    /// The report for the operator.
    pub fn report(&self) -> String {
        if self.left.is_empty() {
            return "everything was carried over\n".to_owned();
        }
        let mut text = format!("not carried over ({}):\n", self.left.len());
        for left in &self.left {
            // Writing into a String does not fail.
            let _ = writeln!(text, "  {}", left.why);
        }
        text
    }
}

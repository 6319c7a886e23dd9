//! A configuration written as YAML: lines at their depth, each with where its setting comes from.

use std::fmt::{Display, Write};

/// Where a setting comes from, by its path such as `phase1.ciphers`: a comment for its line.
pub type Origin<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The text as far as it is written, and the mapping we are in.
pub struct Lines<'a> {
    text: String,
    /// Names of the mappings, and how much deeper each is.
    path: Vec<(String, usize)>,
    origin: &'a Origin<'a>,
}

impl<'a> Lines<'a> {
    /// Nothing written yet.
    #[must_use]
    pub fn new(origin: &'a Origin<'a>) -> Self {
        Self {
            text: String::new(),
            path: Vec::new(),
            origin,
        }
    }

    /// The path of a key of the mapping we are in.
    #[must_use]
    pub fn full(&self, key: &str) -> String {
        let names = self.path.iter().map(|(name, _)| name.as_str());
        names.chain([key]).collect::<Vec<_>>().join(".")
    }

    /// Where the setting of a key of the mapping we are in comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<String> {
        (self.origin)(&self.full(key))
    }

    /// A line, with a comment.
    pub fn line(&mut self, text: &str, comment: Option<String>) {
        let comment = comment.map_or_else(String::new, |comment| format!("  # {comment}"));
        let depth: usize = self.path.iter().map(|(_, deeper)| deeper).sum();
        // Writing into a String does not fail.
        let _ = writeln!(self.text, "{:depth$}{text}{comment}", "");
    }

    /// A key with a value.
    pub fn key(&mut self, key: &str, value: impl Display) {
        let origin = self.origin(key);
        self.line(&format!("{key}: {value}"), origin);
    }

    /// What follows is in the mapping `name`, so many columns deeper.
    pub fn enter(&mut self, name: &str, deeper: usize) {
        self.path.push((name.to_owned(), deeper));
    }

    /// The mapping entered last is over.
    pub fn leave(&mut self) {
        self.path.pop();
    }

    /// How much is written, for [`Lines::undo`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes back what was written since then.
    pub fn undo(&mut self, len: usize) {
        self.text.truncate(len);
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A string that YAML reads as nothing else: JSON's escapes are YAML's.
#[must_use]
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list on one line.
pub fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_origins() {
        let origin = |path: &str| (path == "links.a b.mtu").then(|| "mpd.conf:7".to_owned());
        let mut lines = Lines::new(&origin);
        lines.key("name", quoted("a\"\n"));
        lines.line("links:", None);
        lines.enter("links", 0);
        lines.line("- name: a b", None);
        lines.enter("a b", 2);
        lines.key("mtu", list([1400, 1280]));
        lines.leave();
        lines.leave();
        let before = lines.len();
        lines.line("not:", None);
        lines.undo(before);
        let expected =
            "name: \"a\\\"\\n\"\nlinks:\n- name: a b\n  mtu: [1400, 1280]  # mpd.conf:7\n";
        assert_eq!(lines.into_text(), expected);
    }
}

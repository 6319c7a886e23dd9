//! Where included files come from, and glob(3) patterns as `include` takes them.

use std::collections::BTreeMap;

/// The most files that one pattern may name.
pub const MAX_MATCHES: usize = 1000;

/// Gives files to the parser, so that the parser does no I/O.
pub trait Loader {
    /// The contents of the file at `path`, which may be longer than `limit` octets only by one:
    /// readers stop there.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    fn read(&mut self, path: &str, limit: usize) -> Result<Vec<u8>, String>;

    /// The names in the folder at `path`, without `.` and `..`, in any order; at most `limit`.
    ///
    /// # Errors
    /// Why they cannot be had, in words.
    fn list(&mut self, path: &str, limit: usize) -> Result<Vec<String>, String>;
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLoader {
    /// Absolute path and contents.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl MemoryLoader {
    /// With these files.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
                .collect(),
        }
    }
}

impl Loader for MemoryLoader {
    fn read(&mut self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        let octets = self.files.get(path).ok_or("no such file")?;
        Ok(octets
            .iter()
            .take(limit.saturating_add(1))
            .copied()
            .collect())
    }

    fn list(&mut self, path: &str, limit: usize) -> Result<Vec<String>, String> {
        let folder = format!("{}/", path.trim_end_matches('/'));
        let mut names: Vec<String> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&folder))
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        names.dedup();
        names.truncate(limit);
        match names.is_empty() {
            true => Err("no such folder".into()),
            false => Ok(names),
        }
    }
}

/// Whether `path` is a pattern at all.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The paths that `pattern` names, sorted, at most [`MAX_MATCHES`]. Only what can be listed is
/// found. A pattern in several folders of the path works as in the shell.
pub fn expand(loader: &mut dyn Loader, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut parts = pattern.split('/').peekable();
    if parts.peek() == Some(&"") {
        parts.next();
    } else {
        found = vec![".".to_owned()];
    }
    for part in parts.filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for folder in &found {
            if !is_pattern(part) {
                next.push(format!("{folder}/{part}"));
                continue;
            }
            let path = if folder.is_empty() { "/" } else { folder };
            let mut names = loader.list(path, 10 * MAX_MATCHES).unwrap_or_default();
            names.sort();
            next.extend(
                names
                    .iter()
                    // As in the shell, a leading dot has to be written.
                    .filter(|name| !name.starts_with('.') || part.starts_with('.'))
                    .filter(|name| matches(part, name))
                    .map(|name| format!("{folder}/{name}")),
            );
            if next.len() >= MAX_MATCHES {
                break;
            }
        }
        next.truncate(MAX_MATCHES);
        found = next;
    }
    found.sort();
    found
}

/// Whether `name` fits `pattern`: `*`, `?`, `[a-z]`, `[!a-z]`; linear in the product of both
/// lengths at worst.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on when the rest does not fit: behind the last star, one character later.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(n) {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern, p, c),
            Some(&own) if own == c => Some(p + 1),
            _ => None,
        };
        match (step, star) {
            (Some(next), _) => (p, n) = (next, n + 1),
            (None, Some((after, from))) => {
                (p, n) = (after, from + 1);
                star = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// The position behind the class that starts at `start`, if `c` is in it. Without its `]` the
/// bracket stands for itself.
fn class(pattern: &[char], start: usize, c: char) -> Option<usize> {
    let mut at = start + 1;
    let negated = matches!(pattern.get(at), Some('!' | '^'));
    at += usize::from(negated);
    let first = at;
    let mut inside = false;
    loop {
        match pattern.get(at) {
            None => return (c == '[').then_some(start + 1),
            Some(']') if at > first => break,
            Some(&low) => {
                let range = (pattern.get(at + 1), pattern.get(at + 2));
                if let (Some('-'), Some(&high)) = range
                    && high != ']'
                {
                    inside |= (low..=high).contains(&c);
                    at += 3;
                } else {
                    inside |= low == c;
                    at += 1;
                }
            }
        }
    }
    (inside != negated).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_shell() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.old", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]]", "]", true),
            ("[x", "[x", true),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("r*n.c*", "racoon.conf", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_go_through_folders_in_order() {
        let mut loader = MemoryLoader::new([
            ("/etc/b/two.conf", ""),
            ("/etc/a/one.conf", ""),
            ("/etc/a/.hidden.conf", ""),
            ("/etc/a/one.txt", ""),
        ]);
        assert_eq!(
            expand(&mut loader, "/etc/*/*.conf"),
            ["/etc/a/one.conf", "/etc/b/two.conf"]
        );
        assert!(expand(&mut loader, "/nowhere/*").is_empty());
    }
}

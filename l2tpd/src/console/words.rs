//! A line of the console as words, with mpd5's quotes and escapes.

/// Words of one line; more are dropped as in mpd5.
const MAX_WORDS: usize = 50;

/// Splits a line at blanks; double quotes keep them together, `\` takes the next letter as it is.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = line.chars().peekable();
    while words.len() < MAX_WORDS {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let Some(&first) = letters.peek() else {
            break;
        };
        let quoted = first == '"';
        if quoted {
            letters.next();
        }
        let mut word = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if quoted => break,
                letter if !quoted && letter.is_whitespace() => break,
                '\\' => word.extend(letters.next()),
                letter => word.push(letter),
            }
        }
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn blanks_and_quotes() {
        assert_eq!(words(""), Vec::<String>::new());
        assert_eq!(words("  show   sessions "), ["show", "sessions"]);
        assert_eq!(words(r#"authname "a b" ci"#), ["authname", "a b", "ci"]);
        assert_eq!(words(r#"a "" \"b"#), ["a", "", "\"b"]);
        assert_eq!(words(&"x ".repeat(100)).len(), super::MAX_WORDS);
    }
}

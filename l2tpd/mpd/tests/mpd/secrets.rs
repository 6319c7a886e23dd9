//! mpd.secret.

use mpd_conf::model::Program;
use mpd_conf::{Diagnostics, SecretsFile, Source};
use proptest::prelude::*;

fn parse(text: &str) -> (SecretsFile, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let file = SecretsFile::parse("mpd.secret", text.as_bytes(), &mut diagnostics);
    (file, diagnostics)
}

fn password_of(file: &SecretsFile, login: &str) -> Option<String> {
    match &file.find(login)?.source {
        Source::Password(secret) => Some(secret.expose().to_owned()),
        Source::Program(program) => Some(format!("!{}", program.path)),
    }
}

#[test]
fn lines_of_every_kind() {
    let (file, found) = parse(
        "# users\nalice \"wonder land\" 10.7.0.9\n\"bob smith\"\tbuilder 10.7.0.16/28\n\
         carol \"!/usr/local/bin/otp -n 6\"\n  # indented\n\ndave pass#word\n\
         * !/usr/local/bin/lookup\n",
    );
    assert_eq!(found, Diagnostics::default());
    assert_eq!(password_of(&file, "alice").as_deref(), Some("wonder land"));
    assert_eq!(password_of(&file, "bob smith").as_deref(), Some("builder"));
    assert_eq!(password_of(&file, "dave").as_deref(), Some("pass#word"));
    assert_eq!(
        password_of(&file, "erin").as_deref(),
        Some("!/usr/local/bin/lookup")
    );
    assert_eq!(
        password_of(&file, "*").as_deref(),
        Some("!/usr/local/bin/lookup")
    );
    assert_eq!(file.find(""), None);
    let address = |login| {
        file.find(login)
            .and_then(|e| e.addresses)
            .map(|a| a.to_string())
    };
    assert_eq!(address("alice").as_deref(), Some("10.7.0.9/32"));
    assert_eq!(address("bob smith").as_deref(), Some("10.7.0.16/28"));
    assert_eq!(
        file.find("carol").map(|entry| entry.source.clone()),
        Some(Source::Program(Program {
            path: "/usr/local/bin/otp".to_owned(),
            arguments: vec!["-n".to_owned(), "6".to_owned()]
        }))
    );
}

#[test]
fn the_first_line_that_matches_counts() {
    let (file, found) = parse("ann one\nann two\n* !/bin/any\nbob three\n");
    assert_eq!(password_of(&file, "ann").as_deref(), Some("one"));
    assert_eq!(password_of(&file, "bob").as_deref(), Some("!/bin/any"));
    let notices: Vec<_> = found.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        [
            "mpd.secret:2:1: never reached: line 1 matches first",
            "mpd.secret:4:1: never reached: line 3 matches first",
        ]
    );
}

#[test]
fn errors_and_their_places() {
    for (line, place, message) in [
        ("alice", "1:1", "the password is missing"),
        (
            "* secret",
            "1:1",
            "'*' matches together with a program only",
        ),
        ("\"\" secret", "1:1", "an empty login matches nobody"),
        ("alice a b c", "1:11", "too many words in the line"),
        ("alice a 10.0.0", "1:9", "'10.0.0' is no address range"),
        (
            "alice a 10.0.0.1/33",
            "1:9",
            "'10.0.0.1/33' is no address range",
        ),
        ("alice a 2001:db8::1", "1:9", "'2001:db8::1' is not IPv4"),
        ("alice !", "1:7", "no program is named"),
        ("alice !otp", "1:7", "'otp' is no absolute path"),
        (
            "alice \"!/bin/echo $(id)\"",
            "1:7",
            "'$' is for a shell, and none is used",
        ),
        ("alice \"open", "1:7", "a quotation that never ends"),
    ] {
        let (_, found) = parse(line);
        let problem = found
            .problems
            .first()
            .unwrap_or_else(|| panic!("{line} is accepted"));
        let at = format!("{}:{}", problem.span.line, problem.span.column);
        assert_eq!(
            (at.as_str(), problem.message.as_str()),
            (place, message),
            "{line}"
        );
        assert!(!problem.remedy.is_empty(), "{line}");
    }
}

#[test]
fn what_is_right_survives_what_is_wrong() {
    let (file, found) = parse("alice\nbob builder\nbob2 x y z\ncarol c\n");
    assert_eq!(found.problems.len(), 2);
    assert_eq!(password_of(&file, "bob").as_deref(), Some("builder"));
    assert_eq!(password_of(&file, "carol").as_deref(), Some("c"));
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut diagnostics = Diagnostics::default();
        let file = SecretsFile::parse("mpd.secret", &bytes, &mut diagnostics);
        let _ = file.find("alice");
    }

    #[test]
    fn quoted_fields_come_back(login in "[!-~][ -~]{0,20}", password in "[ -~]{0,20}") {
        prop_assume!(!password.starts_with('!') && login != "*" && !login.starts_with('#'));
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("\"{}\" \"{}\"\n", quote(&login), quote(&password));
        let (file, found) = parse(&text);
        prop_assert_eq!(found.problems, vec![]);
        prop_assert_eq!(password_of(&file, &login), Some(password));
    }
}

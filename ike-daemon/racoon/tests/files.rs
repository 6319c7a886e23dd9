//! Includes, bounds, and any octets at all.

#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use racoon_conf::span::MAX_PROBLEMS;
use racoon_conf::{Loader, MemoryLoader, Parsed, parse, psk, setkey};

fn read(files: &[(&str, &str)]) -> Parsed {
    parse(
        "/etc/racoon.conf",
        &mut MemoryLoader::new(files.iter().copied()),
    )
}

fn names(parsed: &Parsed) -> Vec<&str> {
    parsed
        .tree
        .statements
        .iter()
        .map(|statement| statement.value.name())
        .collect()
}

#[test]
fn included_files_stand_where_they_are_included() {
    let parsed = read(&[
        (
            "/etc/racoon.conf",
            "log info;\ninclude \"peers/*.conf\";\nsainfo anonymous { }\n",
        ),
        ("/etc/peers/b.conf", "remote 192.0.2.8 { }"),
        (
            "/etc/peers/a.conf",
            "remote 192.0.2.7 { }\ninclude \"extra\";",
        ),
        ("/etc/extra", "timer { }"),
    ]);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    assert_eq!(
        names(&parsed),
        ["log", "remote", "timer", "remote", "sainfo"]
    );
    let file_of = |index: usize| parsed.file(parsed.tree.statements[index].span.file);
    assert_eq!(file_of(1), "/etc/peers/a.conf");
    assert_eq!(file_of(2), "/etc/extra");
    assert_eq!(file_of(4), "/etc/racoon.conf");
}

#[test]
fn path_include_says_where_they_are() {
    let parsed = read(&[
        (
            "/etc/racoon.conf",
            "path include \"/opt/ike\";\ninclude \"a\";",
        ),
        ("/opt/ike/a", "log debug;"),
    ]);
    assert_eq!(names(&parsed), ["path include", "log"]);
}

#[test]
fn files_that_cannot_be_had_are_reported_where_they_are_named() {
    let parsed = read(&[("/etc/racoon.conf", "\n include \"gone\"; log info;")]);
    assert_eq!(
        parsed.problems[0].to_string(),
        "2:10: /etc/gone: no such file"
    );
    assert_eq!(names(&parsed), ["log"]);
    let parsed = read(&[("/etc/racoon.conf", "include \"none/*\";")]);
    assert!(parsed.problems.is_empty());
    assert!(
        parsed.notices[0]
            .message
            .contains("no file fits /etc/none/*")
    );
    assert!(!read(&[]).problems.is_empty());
}

#[test]
fn a_mistake_in_an_included_file_is_of_that_file() {
    let parsed = read(&[
        ("/etc/racoon.conf", "include \"a\"; listen { }"),
        ("/etc/a", "listen {"),
    ]);
    let [problem] = &parsed.problems[..] else {
        panic!("{:?}", parsed.problems);
    };
    assert_eq!(parsed.file(problem.span.file), "/etc/a");
    // A section does not go on in another file.
    assert_eq!(names(&parsed), ["listen", "listen"]);
}

#[test]
fn circles_end() {
    let parsed = read(&[("/etc/racoon.conf", "include \"racoon.conf\";\nlog info;")]);
    assert_eq!(parsed.problems.len(), 1, "{:?}", parsed.problems);
    assert!(parsed.problems[0].message.contains("10 deep"));
    assert_eq!(parsed.files.len(), 11);
    let twice = "include \"racoon.conf\"; include \"racoon.conf\";";
    let parsed = read(&[("/etc/racoon.conf", twice)]);
    assert!(parsed.files.len() <= 1000);
    assert!(parsed.problems.len() <= MAX_PROBLEMS);
}

#[test]
fn large_and_deep_files_are_refused_in_bounded_memory() {
    let large = "log info;\n".repeat(1 << 20);
    let parsed = read(&[("/etc/racoon.conf", &large)]);
    assert_eq!(parsed.problems.len(), 1);
    assert!(parsed.problems[0].message.contains("more than 4 MiB"));
    let many = "log info;".repeat(200_000);
    let parsed = read(&[("/etc/racoon.conf", &many)]);
    assert!(
        parsed.problems[0]
            .message
            .contains("more than 100000 directives")
    );
    assert!(parsed.tree.statements.len() <= 100_001);
    for deep in [
        "{".repeat(4 << 20),
        "remote anonymous { proposal ".repeat(100_000),
    ] {
        let parsed = read(&[("/etc/racoon.conf", &deep)]);
        assert!(!parsed.problems.is_empty());
        assert!(parsed.problems.len() <= MAX_PROBLEMS);
    }
    let half = " ".repeat(3 << 20);
    let parsed = read(&[
        ("/etc/racoon.conf", "include \"half\"; include \"half\";"),
        ("/etc/half", &half),
    ]);
    assert!(parsed.problems[0].message.contains("4 MiB in total"));
}

/// Says yes to every question, so that patterns go everywhere.
struct Everything(Vec<u8>);

impl Loader for Everything {
    fn read(&mut self, _: &str, limit: usize) -> Result<Vec<u8>, String> {
        Ok(self.0.iter().take(limit + 1).copied().collect())
    }

    fn list(&mut self, _: &str, _: usize) -> Result<Vec<String>, String> {
        Ok(vec!["a".into(), "b".into(), "c.conf".into()])
    }
}

/// Texts that come near to being configurations.
fn nearly() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "remote",
        "anonymous",
        "{",
        "}",
        ";",
        ",",
        "[",
        "]",
        "sainfo",
        "proposal",
        "listen",
        "isakmp",
        "192.0.2.1",
        "500",
        "any",
        "\"x\"",
        "\"",
        "lifetime",
        "time",
        "byte",
        "8",
        "hour",
        "MB",
        "exchange_mode",
        "main",
        "include",
        "\"*\"",
        "path",
        "log",
        "info",
        "inherit",
        "my_identifier",
        "keyid",
        "tag",
        "from",
        "group",
        "address",
        "10.0.0.0/8",
        "udp",
        "encryption_algorithm",
        "aes",
        "256",
        "mode_cfg",
        "dns4",
        "timer",
        "interval",
        "#",
        "\n",
        "spdadd",
        "-P",
        "in",
        "ipsec",
        "esp/transport//require",
        "add",
        "-E",
        "0xff",
        "esp",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.join(" "))
}

fn never_panics(octets: &[u8]) {
    let parsed = parse("/etc/racoon.conf", &mut Everything(octets.to_vec()));
    assert!(parsed.problems.len() <= MAX_PROBLEMS);
    for problem in &parsed.problems {
        assert!(problem.message.len() < 2000);
    }
    let script = setkey::parse(octets.to_vec());
    assert!(script.problems.len() <= MAX_PROBLEMS);
    let keys = psk::PskFile::parse(octets);
    assert!(keys.problems.len() <= MAX_PROBLEMS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        never_panics(&octets);
    }

    #[test]
    fn any_text(text in "\\PC{0,300}") {
        never_panics(text.as_bytes());
    }

    #[test]
    fn nearly_right(text in nearly()) {
        never_panics(text.as_bytes());
    }
}

//! Whatever the bytes: no panic, bounded memory, bounded time.

use std::fmt::Write as _;

use mpd_conf::diag::MAX_PROBLEMS;
use mpd_conf::{Loader, NoFiles, Request, interpret};
use proptest::prelude::*;

use crate::support::{problems, run};

const WORDS: &[&str] = &[
    "set",
    "link",
    "bundle",
    "create",
    "template",
    "static",
    "l2tp",
    "pptp",
    "iface",
    "ipcp",
    "ranges",
    "ippool",
    "add",
    "auth",
    "radius",
    "server",
    "load",
    "default",
    "startup",
    "open",
    "close",
    "enable",
    "disable",
    "yes",
    "no",
    "accept",
    "incoming",
    "chap",
    "10.0.0.1",
    "10.0.0.0/24",
    "0",
    "1",
    "65536",
    "-1",
    "\"",
    "\\",
    "x",
    "destroy",
    "log",
    "all",
    "mtu",
    "action",
    "clear",
    "drop",
    "peer",
    "self",
    "user",
    "global",
    "filter",
    "unset",
    "nat",
    "#",
];

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut text = b"default:\n ".to_vec();
        text.extend(bytes);
        let _ = interpret(&text, &Request::default(), &mut NoFiles);
    }

    #[test]
    fn any_words(lines in proptest::collection::vec(
        proptest::collection::vec(proptest::sample::select(WORDS), 0..7), 0..40,
    )) {
        let mut text = "startup:\ndefault:\n".to_owned();
        for line in lines {
            let _ = writeln!(text, " {}", line.join(" "));
        }
        let done = run(&text);
        let lines = text.lines().count();
        for problem in &done.problems {
            prop_assert!((1..=lines).contains(&(problem.span.line as usize)));
            prop_assert!(problem.span.column >= 1);
        }
    }
}

#[test]
fn ten_megabytes_are_refused_unread() {
    let done = run(&" ".repeat(10 * 1024 * 1024));
    assert_eq!(
        problems(&done)[0],
        "1:1: the file is larger than 1048576 octets"
    );
}

#[test]
fn endless_lines_and_words_are_refused() {
    let long = format!("default:\n log {}\n", "a".repeat(2000));
    assert_eq!(
        problems(&run(&long)),
        ["2:1001: the line is longer than 1000 characters"]
    );
    let joined = format!("default:\n log {}\n", "a \\\n".repeat(2000));
    assert_eq!(problems(&run(&joined)).len(), 1);
    let many = format!("default:\n log {}\n", "all ".repeat(60));
    assert_eq!(
        problems(&run(&many)),
        ["2:202: more than 50 words in one command"]
    );
}

#[test]
fn a_flood_of_problems_is_counted() {
    let done = run(&format!("default:\n{}", " nonsense\n".repeat(20_000)));
    assert_eq!(done.problems.len(), MAX_PROBLEMS);
    assert_eq!(done.suppressed, 20_000 - MAX_PROBLEMS as u64);
}

#[test]
fn loads_that_multiply_end() {
    // 16 labels, each loading the next one 16 times: 16^15 commands if nobody counted.
    let mut text = "default:\n load a0\n".to_owned();
    for level in 0..16 {
        let _ = writeln!(
            text,
            "a{level}:\n{}",
            format!(" load a{}\n", level + 1).repeat(16)
        );
    }
    text.push_str("a16:\n log all\n");
    let done = run(&text);
    assert_eq!(done.problems.len(), 1);
    assert_eq!(done.problems[0].message, "more than 50000 commands");
}

#[test]
fn objects_are_counted() {
    let mut text = "default:\n".to_owned();
    for number in 0..1100 {
        let _ = writeln!(text, " create bundle template b{number}");
    }
    let done = run(&text);
    assert_eq!(done.model.bundles.len(), 1024);
    assert_eq!(done.problems[0].message, "more than 1024 bundles");
    assert_eq!(done.problems.len(), 1100 - 1024);
}

struct Endless;

impl Loader for Endless {
    fn load(&mut self, name: &str) -> Result<Vec<u8>, String> {
        Ok(format!("next:\n load {name}x next\n{}", "# \n".repeat(200_000)).into_bytes())
    }
}

#[test]
fn files_that_load_ever_new_files_end() {
    let text = b"default:\n load x next\n";
    let done = interpret(text, &Request::default(), &mut Endless);
    assert_eq!(done.problems.len(), 1);
    assert_eq!(
        done.problems[0].message,
        "the files together are larger than 2097152 octets"
    );
}

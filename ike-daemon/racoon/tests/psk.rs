//! psk.txt line by line.

#![allow(clippy::unwrap_used, clippy::panic)]

use racoon_conf::psk::{MAX_FILE, PskFile, PskId};

fn key(text: &str, address: &str) -> Option<String> {
    let file = PskFile::parse(text.as_bytes());
    let key = file.for_address(address.parse().unwrap())?;
    Some(String::from_utf8_lossy(key).into_owned())
}

#[test]
fn the_first_line_that_fits_counts() {
    let text = "192.0.2.7 one\n192.0.2.7 two\n2001:db8::7\tthree\nvpn.example.org four\n\
                me@example.org five\n* six\n192.0.2.9 seven\n";
    assert_eq!(key(text, "192.0.2.7").unwrap(), "one");
    assert_eq!(key(text, "2001:db8:0::7").unwrap(), "three");
    assert_eq!(key(text, "192.0.2.9").unwrap(), "six");
    let file = PskFile::parse(text.as_bytes());
    assert_eq!(file.for_name("vpn.example.org"), Some(&b"four"[..]));
    assert_eq!(file.for_name("me@example.org"), Some(&b"five"[..]));
    assert_eq!(file.for_name("somebody"), Some(&b"six"[..]));
    let hidden: Vec<u32> = file.notices.iter().map(|notice| notice.span.line).collect();
    assert_eq!(hidden, [2, 7]);
    assert_eq!(key("192.0.2.7 one\n", "192.0.2.8"), None);
}

#[test]
fn keys_go_to_the_end_of_the_line() {
    assert_eq!(key("192.0.2.7  a b # c\n", "192.0.2.7").unwrap(), "a b # c");
    assert_eq!(key("192.0.2.7 last", "192.0.2.7").unwrap(), "last");
    assert_eq!(
        key("192.0.2.7 \"quoted\"", "192.0.2.7").unwrap(),
        "\"quoted\""
    );
    let trailing = PskFile::parse(b"192.0.2.7 x \n192.0.2.8 y\r\n");
    assert_eq!(&**trailing.entries[0].key, b"x ");
    assert_eq!(&**trailing.entries[1].key, b"y\r");
    assert!(trailing.notices[0].message.contains("blank"));
    assert!(trailing.notices[1].message.contains("carriage return"));
}

#[test]
fn hexadecimal_keys() {
    assert_eq!(key("192.0.2.7 0x6b 65 79", "192.0.2.7").unwrap(), "key");
    assert_eq!(key("192.0.2.7 0x6B6579\r", "192.0.2.7").unwrap(), "key");
    for (line, hint) in [
        ("192.0.2.7 0x6b6", "even number"),
        ("192.0.2.7 0xkey", "hexadecimal digits"),
        ("192.0.2.7 0x", "digits behind it"),
    ] {
        let file = PskFile::parse(line.as_bytes());
        assert!(file.entries.is_empty());
        let problem = &file.problems[0];
        assert_eq!(problem.span.to_string(), "1:11", "{line}");
        assert!(problem.message.contains(hint), "{problem}");
    }
}

#[test]
fn comments_only_in_the_first_column() {
    let file = PskFile::parse(b"# no\n\n  \n#192.0.2.7 x\n # no comment\n 192.0.2.7 x\n");
    assert!(file.entries.is_empty());
    let found: Vec<String> = file.problems.iter().map(ToString::to_string).collect();
    assert_eq!(found[0], "5:2: a comment starts in column 1");
    assert!(
        found[1].starts_with("6:2: a line starts with whom the key is for"),
        "{found:?}"
    );
}

#[test]
fn lines_without_a_key_are_left_out() {
    let long = format!("192.0.2.7 {}\n192.0.2.8 x\n", "k".repeat(1013));
    let file = PskFile::parse(long.as_bytes());
    assert_eq!(
        file.problems[0].to_string(),
        "1:1: a line of more than 1022 octets"
    );
    assert_eq!(file.entries[0].id, PskId::Address([192, 0, 2, 8].into()));
    assert_eq!(
        PskFile::parse(b"192.0.2.7\n").problems[0].span.to_string(),
        "1:1"
    );
    assert_eq!(PskFile::parse(b"\xff\xfe key\n").problems.len(), 1);
    let key = PskFile::parse(b"a \xff\xfe\n");
    assert_eq!(&**key.entries[0].key, b"\xff\xfe");
    assert_eq!(PskFile::parse(&vec![b'x'; MAX_FILE + 1]).problems.len(), 1);
}

#[test]
fn keys_are_not_shown() {
    let file = PskFile::parse(b"192.0.2.7 hush\n");
    assert!(!format!("{file:?}").contains("hush"));
}

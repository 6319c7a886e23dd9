//! One console session, octet by octet.

use std::sync::Arc;

use super::session::{Event, Session};
use super::settings::{Console, ConsoleUser, Role};
use crate::secret::Secret;

fn console(login: bool) -> Arc<Console> {
    Arc::new(Console {
        login,
        users: vec![ConsoleUser {
            name: "ops".to_owned(),
            password: Secret::new("p w"),
            role: Role::Operator,
        }],
        ..Console::default()
    })
}

fn type_in(session: &mut Session, console: &Arc<Console>, text: &[u8]) -> (String, Vec<Event>) {
    let (mut out, mut events) = (Vec::new(), Vec::new());
    for octet in text {
        events.extend(session.octet(console, *octet, &mut out));
    }
    (String::from_utf8(out).unwrap(), events)
}

fn line(role: Role, name: &str, line: &str) -> Event {
    Event::Line {
        role,
        name: name.to_owned(),
        line: line.to_owned(),
    }
}

#[test]
fn a_login_as_mpd5_has_it() {
    let console = console(true);
    let (mut session, greeting) = Session::new(&console);
    // Captured from console.c of mpd 5.9: banner, telnet options, prompt.
    assert_eq!(
        greeting,
        b"Multi-link PPP daemon for FreeBSD\r\n\r\n\xff\xfb\x03\xff\xfd\x03\xff\xfb\x01\xff\xfd\x01Username: "
    );
    let (out, events) = type_in(&mut session, &console, b"\xff\xfd\x01op\x08ps\r\n");
    assert_eq!(out, "op\x08 \x08ps\r\nPassword: ");
    assert!(events.is_empty());
    let (out, events) = type_in(&mut session, &console, b"wrong\r\n");
    assert_eq!(out, "\r\nLogin failed\r\nUsername: ");
    assert_eq!(events, [Event::LoginFailed]);
    let (out, events) = type_in(&mut session, &console, b"ops\rp w\n");
    assert!(events.is_empty());
    let welcome = format!(
        "ops\r\nPassword: \r\n\r\nWelcome!\r\nMpd pid {}, version ",
        std::process::id()
    );
    assert!(
        out.starts_with(&welcome) && out.ends_with("\r\n[] "),
        "{out}"
    );
    let (out, events) = type_in(&mut session, &console, b"show sess\r\n");
    assert_eq!(out, "show sess\r\n");
    assert_eq!(events, [line(Role::Operator, "ops", "show sess")]);
}

#[test]
fn guessing_ends() {
    let console = console(true);
    let (mut session, _) = Session::new(&console);
    let guesses = b"ops\rx\r".repeat(5);
    let (_, events) = type_in(&mut session, &console, &guesses);
    assert_eq!(events.len(), 5);
    assert_eq!(events.last(), Some(&Event::Close));
    // An unknown name is told no differently.
    let (mut session, _) = Session::new(&console);
    let (out, _) = type_in(&mut session, &console, b"nobody\rx\r");
    assert!(out.ends_with("Login failed\r\nUsername: "));
}

#[test]
fn lines_are_bounded_and_keys_do_no_harm() {
    let console = console(false);
    let (mut session, greeting) = Session::new(&console);
    assert!(greeting.ends_with(b"[] "));
    let long = b"a".repeat(100_000);
    type_in(&mut session, &console, &long);
    let (_, events) = type_in(&mut session, &console, b"\r");
    assert_eq!(events, [line(Role::Admin, "root", &"a".repeat(398))]);
    let keys = b"sh\x1b[A\xff\xfa\x18\x00xterm\xff\xf0ow\x09\x00 x\n";
    let (_, events) = type_in(&mut session, &console, keys);
    assert_eq!(events, [line(Role::Admin, "root", "show x")]);
    let (out, events) = type_in(&mut session, &console, b"show sess?");
    assert!(events.is_empty());
    let expected =
        "?\r\nCommands available under \"show sessions\":\r\n iface    : Filter by iface name\t";
    assert!(out.contains(expected), "{out}");
    assert!(out.ends_with("[] show sess"));
    let (_, events) = type_in(&mut session, &console, b"\x03\x04");
    assert_eq!(events, [Event::Close]);
}

proptest::proptest! {
    #[test]
    fn any_octets(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000)) {
        let console = console(false);
        let (mut session, _) = Session::new(&console);
        let mut out = Vec::new();
        for octet in octets {
            if let Some(Event::Line { line, .. }) = session.octet(&console, octet, &mut out) {
                proptest::prop_assert!(line.chars().count() <= 398);
            }
        }
    }
}

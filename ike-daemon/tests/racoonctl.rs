//! racoon's admin protocol. The requests and the texts were taken from racoonctl of ipsec-tools 0.8.2
//! (on Linux, where these tests run): it was given the answers below and printed the lines below.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::path::Path;

use ike_daemon::racoonctl::client::converse;
use ike_daemon::racoonctl::command_line::{self, Invocation, Refused, Surroundings, Until};
use ike_daemon::racoonctl::print;
use ike_daemon::racoonctl::wire::{
    AsyncEvent, Command, EventKind, HEADER, Header, Indexes, Login, Ph1Dump, SchedDump, answer,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use zeroize::Zeroizing;

fn parse(line: &str) -> Result<Invocation, Refused> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut password = || Ok(Zeroizing::new("secret".to_owned()));
    let source_for = |_: SocketAddr| Ok(IpAddr::from([192, 0, 2, 1]));
    let mut surroundings = Surroundings {
        password: &mut password,
        source_for: &source_for,
    };
    command_line::parse(&words, &mut surroundings)
}

fn ok(line: &str) -> Invocation {
    parse(line).unwrap_or_else(|refused| panic!("{line}: {refused:?}"))
}

#[cfg(target_os = "linux")]
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A message from its parts, zeros in between: (offset, octets).
#[cfg(target_os = "linux")]
fn octets(length: usize, parts: &[(usize, &str)]) -> String {
    let mut digits = vec!['0'; length * 2];
    for (offset, part) in parts {
        for (at, digit) in part.chars().enumerate() {
            digits[offset * 2 + at] = digit;
        }
    }
    digits.into_iter().collect()
}

#[cfg(target_os = "linux")]
#[test]
fn requests_are_racoonctls() {
    for (line, expected) in [
        ("rc", octets(8, &[(0, "0800018001000000")])),
        ("reload-config", octets(8, &[(0, "0800018001000000")])),
        ("ss isakmp", octets(8, &[(0, "080001810100ff01")])),
        (
            "ds isakmp inet 192.0.2.1 198.51.100.7",
            octets(
                272,
                &[
                    (0, "100101820100ff0120200000"),
                    (16, "02000000c0000201"),
                    (144, "02000000c6336407"),
                ],
            ),
        ),
        (
            "vd 198.51.100.7",
            octets(
                272,
                &[
                    (0, "100104820100ff0120200000"),
                    (16, "0200000000000000"),
                    (144, "02000000c6336407"),
                ],
            ),
        ),
        (
            "es -n office isakmp inet 192.0.2.1/32 198.51.100.7/32",
            octets(
                279,
                &[
                    (0, "170102820100ff0120200000"),
                    (16, "02000000c0000201"),
                    (144, "02000000c6336407"),
                    (272, "6f666669636500"),
                ],
            ),
        ),
    ] {
        assert_eq!(hex(&ok(line).request), expected, "{line}");
    }
}

#[test]
fn what_is_waited_for() {
    let until = |line: &str| ok(line).until;
    assert_eq!(until("ss ipsec"), Until::Answer);
    assert_eq!(until("es isakmp inet 192.0.2.1 192.0.2.2"), Until::Answer);
    assert_eq!(
        until("es -w isakmp inet 192.0.2.1 192.0.2.2"),
        Until::Event(EventKind::Phase1ModeCfg)
    );
    assert_eq!(
        until("es -w esp inet 192.0.2.1/24/1701 192.0.2.2/32[any] udp"),
        Until::Event(EventKind::Phase2Up)
    );
    assert_eq!(
        until("vc 192.0.2.2"),
        Until::Event(EventKind::Phase1ModeCfg)
    );
    assert_eq!(until("vd 192.0.2.2"), Until::Event(EventKind::Phase1Down));
    assert_eq!(until("se"), Until::Forever);
    let invocation = ok("-dll -s /x/r.sock show-sa isakmp");
    assert!(invocation.debug);
    assert_eq!(invocation.long, 2);
    assert_eq!(invocation.socket.as_deref(), Some(Path::new("/x/r.sock")));
    assert_eq!(ok("-ls/y ss esp").socket.as_deref(), Some(Path::new("/y")));
}

#[test]
fn what_is_not_understood_is_said() {
    let refused = |line: &str| match parse(line).unwrap_err() {
        Refused::Usage => "usage".to_owned(),
        Refused::Message(words) => words,
    };
    for (line, words) in [
        ("", "usage"),
        ("-x ss isakmp", "usage"),
        ("show", "Invalid command [show]"),
        ("ss", "insufficient arguments"),
        ("ss ike", "unknown protocol ike"),
        ("se now", "too many arguments"),
        ("ss isakmp esp", "too many arguments"),
        (
            "ds ipsec inet 192.0.2.1 192.0.2.2",
            "expected isakmp, esp or ah",
        ),
        (
            "ds isakmp inet7 192.0.2.1 192.0.2.2",
            "unknown family inet7; expected inet or inet6",
        ),
        (
            "ds esp inet 192.0.2.1/33 192.0.2.2",
            "192.0.2.1/33: expected address/prefix/port",
        ),
        (
            "ds esp inet 192.0.2.1/32/http 192.0.2.2",
            "192.0.2.1/32/http: expected address/prefix/port",
        ),
        (
            "ds esp inet 192.0.2.1 192.0.2.2 sctp",
            "unknown protocol sctp; expected icmp, tcp, udp, gre or any",
        ),
        (
            "ds isakmp inet6 192.0.2.1 ::1",
            "192.0.2.1: no such address of that family",
        ),
        ("es -u", "-u requires an argument"),
        ("vc", "VPN gateway required"),
        (
            "lu abcdefghijklmnopqrstuvwxyzabcdef",
            "bad login (too long?)",
        ),
    ] {
        assert_eq!(refused(line), words, "{line}");
    }
}

#[test]
fn a_login_travels_with_its_password() {
    let invocation = ok("es -u ann isakmp inet 192.0.2.1 192.0.2.2");
    let (head, body) = invocation.request.split_first_chunk::<HEADER>().unwrap();
    let header = Header::parse_request(*head);
    assert_eq!(
        Command::from_number(header.command),
        Some(Command::EstablishPsk)
    );
    let (indexes, rest) = Indexes::parse(body).unwrap();
    assert_eq!(indexes.destination, Some("192.0.2.2:0".parse().unwrap()));
    let login = Login::parse(rest).unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.as_str()),
        ("ann", "secret")
    );
    assert!(!format!("{login:?}").contains("secret"));
    // Lengths of a liar.
    let mut lying = rest.to_vec();
    lying[8..16].fill(0xff);
    assert_eq!(Login::parse(&lying), None);
}

fn dumps() -> Vec<u8> {
    let place = |text: &str| Some(text.parse().unwrap());
    let dump =
        |cookies: u128, status, initiator, remote, local, exchange, created, phase2s| Ph1Dump {
            cookies: cookies.to_be_bytes(),
            status,
            initiator,
            remote,
            local,
            version: 0x10,
            exchange,
            created,
            phase2s,
        };
    let us = place("198.51.100.9:4500");
    let mut body = Vec::new();
    for dump in [
        dump(
            0x7c1f_0a3b_55d2_e610_09b1_e4a7_7f2c_3d88,
            9,
            false,
            place("203.0.113.4:4500"),
            us,
            2,
            1_772_615_731,
            1,
        ),
        dump(
            0x0011_2233_4455_6677_0000_0000_0000_0000,
            3,
            true,
            place("[2001:db8:1111:2222:3333:4444:5555:6666]:500"),
            place("[2001:db8::9]:500"),
            4,
            0,
            0,
        ),
        dump(
            0xffee_ddcc_bbaa_9988_0123_4567_89ab_cdef,
            10,
            false,
            place("203.0.113.200:65535"),
            us,
            5,
            1_772_615_731,
            12,
        ),
    ] {
        dump.emit(&mut body);
        assert_eq!(Ph1Dump::parse(&body[body.len() - 304..]), Some(dump));
    }
    body
}

#[test]
fn phase_1s_in_three_lengths() {
    let dumps = dumps();
    let short = "\
Destination            Cookies                           Created
203.0.113.4.4500       7c1f0a3b55d2e610:09b1e4a77f2c3d88 2026-03-04 09:15:31 \n\
2001:db8:1111:2222.500 0011223344556677:0000000000000000                     \n\
203.0.113.200.65535    ffeeddccbbaa9988:0123456789abcdef 2026-03-04 09:15:31 \n";
    assert_eq!(print::isakmp(&dumps, 0, &TimeZone::UTC), short);
    let long = "\
Destination            Cookies                           ST S  V E Created             Phase2
203.0.113.4.4500       7c1f0a3b55d2e610:09b1e4a77f2c3d88  9 R 10 M 2026-03-04 09:15:31      1 \n\
2001:db8:1111:2222.500 0011223344556677:0000000000000000  3 I 10 A                          0 \n\
203.0.113.200.65535    ffeeddccbbaa9988:0123456789abcdef 10 R 10 I 2026-03-04 09:15:31     12 \n";
    assert_eq!(print::isakmp(&dumps, 1, &TimeZone::UTC), long);
    let longer = "\
Source                                        Destination                                   Cookies                           ST S  V E Created             Phase2
198.51.100.9.4500                             203.0.113.4.4500                              7c1f0a3b55d2e610:09b1e4a77f2c3d88  9 R 10 M 2026-03-04 09:15:31      1 \n\
2001:db8::9.500                               2001:db8:1111:2222:3333:4444:5555:6666.500    0011223344556677:0000000000000000  3 I 10 A                          0 \n\
198.51.100.9.4500                             203.0.113.200.65535                           ffeeddccbbaa9988:0123456789abcdef 10 R 10 I 2026-03-04 09:15:31     12 \n";
    assert_eq!(print::isakmp(&dumps, 2, &TimeZone::UTC), longer);
    assert_eq!(
        print::isakmp(&[], 0, &TimeZone::UTC),
        "Destination            Cookies                           Created\n"
    );
}

#[test]
fn timers() {
    let mut body = Vec::new();
    for (due, id, tick) in [(7261, 1, 3600), (120, 123_456_789, 20)] {
        SchedDump {
            due,
            id,
            created: 1_772_615_731,
            tick,
        }
        .emit(&mut body);
    }
    assert_eq!(
        print::schedule(&body, &TimeZone::UTC),
        "index    tick     xtime    created\n\
         1        3600     7261     2026-03-04 09:15:31\n\
         123456789 20       120      2026-03-04 09:15:31\n"
    );
}

#[test]
fn events() {
    let place = |text: &str| Some(text.parse().unwrap());
    let event = |kind: u32, local, remote| {
        print::event(&AsyncEvent {
            kind,
            timestamp: 0,
            local,
            remote,
            message_id: 0,
        })
    };
    assert_eq!(
        event(1, None, None),
        "Racoon terminated : anonymous -> anonymous\n"
    );
    for (kind, words) in [
        (0x100, "Phase 1 established"),
        (0x101, "Phase 1 deleted"),
        (0x102, "Phase 1 error: peer not responding"),
        (0x103, "Phase 1 error: no proposal chosen"),
        (
            0x104,
            "Phase 1 error: authentication failed (bad certificate?)",
        ),
        (0x105, "Phase 1 error: dead peer detected"),
        (0x107, "Phase 1 mode configuration done"),
        (0x108, "Phase 1 Xauth succeeded"),
        (0x109, "Phase 1 Xauth failed"),
        (0x200, "Phase 2 error: no suitable phase 1"),
        (0x201, "Phase 2 established"),
        (0x202, "Phase 2 deleted"),
        (0x203, "Phase 2 error: no response"),
    ] {
        assert_eq!(
            event(kind, place("198.51.100.9:4500"), place("203.0.113.4:31044")),
            format!("{words} : 198.51.100.9[4500] -> 203.0.113.4[31044]\n")
        );
    }
    assert!(event(0x106, None, None).starts_with("Event 262: "));
    assert!(event(0xfff, None, None).starts_with("Event 4095: "));
}

/// What a daemon answers to one request.
fn conversation(line: &str, answers: Vec<u8>) -> (String, Result<(), std::io::Error>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; HEADER];
        stream.read_exact(&mut head).unwrap();
        let mut rest = vec![0; Header::parse_request(head).length - HEADER];
        stream.read_exact(&mut rest).unwrap();
        stream.write_all(&answers).unwrap();
    });
    let mut out = Vec::new();
    let outcome = converse(&ok(line), &path, &mut out);
    daemon.join().unwrap();
    (String::from_utf8(out).unwrap(), outcome)
}

fn event_answer(kind: EventKind) -> Vec<u8> {
    let mut body = Vec::new();
    AsyncEvent {
        kind: kind.number().into(),
        timestamp: 0,
        local: Some("192.0.2.1:500".parse().unwrap()),
        remote: Some("192.0.2.2:500".parse().unwrap()),
        message_id: 0,
    }
    .emit(&mut body);
    header(Command::ShowEvent, 0, &body)
}

fn header(command: Command, errno: u16, body: &[u8]) -> Vec<u8> {
    let header = Header {
        length: 0,
        command: command.number(),
        value: 1,
        protocol: 0x01ff,
    };
    answer(&header, errno, body).to_vec()
}

#[test]
fn a_conversation_ends_where_racoonctls_does() {
    let (text, outcome) = conversation("ss isakmp", header(Command::ShowSa, 0, &dumps()));
    assert_eq!(text.lines().count(), 4);
    outcome.unwrap();
    // Only the event that is waited for is printed.
    let mut answers = header(Command::DeleteAllTo, 0, &[]);
    answers.extend(event_answer(EventKind::Phase2Down));
    answers.extend(event_answer(EventKind::Phase1Down));
    let (text, outcome) = conversation("vd 192.0.2.2", answers.clone());
    assert_eq!(text, "Phase 1 deleted : 192.0.2.1[500] -> 192.0.2.2[500]\n");
    outcome.unwrap();
    // It does not come.
    answers.truncate(answers.len() - 1);
    assert!(conversation("vd 192.0.2.2", answers).1.is_err());
    let mut answers = header(Command::Establish, 0, &[]);
    answers.extend(event_answer(EventKind::Phase1Up));
    answers.extend(event_answer(EventKind::Phase1ModeCfg));
    let (text, outcome) = conversation("es -w isakmp inet 192.0.2.1 192.0.2.2", answers);
    assert_eq!(text, "VPN connexion established\n");
    outcome.unwrap();
    let refused = header(Command::Establish, libc::EEXIST as u16, &[]);
    let (_, outcome) = conversation("es isakmp inet 192.0.2.1 192.0.2.2", refused);
    assert_eq!(outcome.unwrap_err().raw_os_error(), Some(libc::EEXIST));
}

#[test]
fn long_answers_carry_their_length_in_two_parts() {
    let body = vec![0x55; 200_000];
    let long = header(Command::GetCert, 0, &body);
    let parsed = Header::parse_answer(*long.first_chunk().unwrap());
    assert_eq!((parsed.length, parsed.value), (200_008, 0));
    let (text, outcome) = conversation("gc inet 192.0.2.1 192.0.2.2", long);
    outcome.unwrap();
    assert_eq!(text.len(), 200_000);
}

proptest! {
    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = Indexes::parse(&octets);
        let _ = Login::parse(&octets);
        let _ = Ph1Dump::parse(&octets);
        let _ = AsyncEvent::parse(&octets);
        let _ = SchedDump::parse(&octets);
        let _ = print::isakmp(&octets, 2, &TimeZone::UTC);
        let _ = print::ipsec(&octets, 0, &TimeZone::UTC);
        let _ = print::schedule(&octets, &TimeZone::UTC);
        let _ = print::connected(&octets);
    }

    #[test]
    fn no_command_line_panics(line in "[ a-z0-9./\\[\\]:-]{0,60}") {
        let _ = parse(&line);
    }
}

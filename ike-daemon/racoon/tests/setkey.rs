//! setkey(8) scripts, one per command and per mistake.

#![allow(clippy::unwrap_used, clippy::panic)]

use racoon_conf::ast::Host;
use racoon_conf::setkey::{Action, Command, Level, Mode, SaProtocol, parse};

fn one(text: &str) -> Command {
    let script = parse(text.as_bytes().to_vec());
    assert!(script.problems.is_empty(), "{text}: {:?}", script.problems);
    let [command] = &script.commands[..] else {
        panic!("{text}: {:?}", script.commands);
    };
    command.value.clone()
}

#[test]
fn every_command() {
    for text in [
        "flush;",
        "flush esp;",
        "dump;",
        "dump ah;",
        "spdflush;",
        "spddump;",
        "get 192.0.2.1 192.0.2.2 esp 0x1000;",
        "delete -4 192.0.2.1 192.0.2.2 ah 4096;",
        "deleteall 192.0.2.1 192.0.2.2 ipcomp;",
        "add 192.0.2.1 192.0.2.2 esp 0x1000 -E aes-cbc 0x00112233445566778899aabbccddeeff;",
        "add 192.0.2.1 192.0.2.2 esp 1 -m transport -r 32 -u 7 -lh 60 -ls 50 -f zero-pad \
         -E null -A hmac-sha1 \"01234567890123456789\";",
        "add 192.0.2.1 192.0.2.2 esp 1 -natt 10.0.0.1 [4500] 10.0.0.2 [4500] -natt_mtu 1400 \
         -E null -A null;",
        "add 192.0.2.1 192.0.2.2 tcp 0x1000 -A tcp-md5 \"x\";",
        "add 192.0.2.1 192.0.2.2 ipcomp 3 -C deflate -R;",
        "spdadd 10.0.0.0/8[any] 0.0.0.0/0 any -P in discard;",
        "spdadd -6 ::/0 ::/0 icmp6,135,0 -P out none;",
        "spdadd 192.0.2.1[1701] 0.0.0.0/0[0] udp -P out ipsec esp/transport//require;",
        "spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec
             esp/tunnel/192.0.2.1-192.0.2.2/unique:12;",
        "spddelete 10.1.0.0/16 10.2.0.0/16 any -P out ipsec;",
        "spddelete 10.1.0.0/16 10.2.0.0/16 any -P out;",
    ] {
        one(text);
    }
    assert!(matches!(
        one("spddelete 10.1.0.0/16 10.2.0.0/16 any -P out none;"),
        Command::SpdDelete(..)
    ));
}

#[test]
fn policies_are_what_is_written() {
    let Command::SpdAdd(selector, policy) = one(
        "spdadd 192.0.2.1/32[1701] 0.0.0.0/0[any] udp # L2TP\n -P out ipsec \
         esp/transport//unique ah/tunnel/192.0.2.1-192.0.2.2/use;",
    ) else {
        panic!();
    };
    assert_eq!(
        selector.source.host.value,
        Host::Address([192, 0, 2, 1].into())
    );
    assert_eq!(
        (selector.source.prefix, selector.source.port_number()),
        (Some(32), 1701)
    );
    assert_eq!(
        (
            selector.destination.prefix,
            selector.destination.port_number()
        ),
        (Some(0), 0)
    );
    assert_eq!(selector.protocol.value, 17);
    assert!(!policy.inbound);
    let Action::Ipsec(requests) = policy.action else {
        panic!();
    };
    let [esp, ah] = &requests[..] else {
        panic!();
    };
    assert_eq!(
        (esp.value.mode, esp.value.level),
        (Mode::Transport, Level::Unique(None))
    );
    assert_eq!(ah.value.protocol, SaProtocol::Ah);
    assert_eq!(
        ah.value.endpoints,
        Some(([192, 0, 2, 1].into(), [192, 0, 2, 2].into()))
    );
}

#[test]
fn keys_are_not_shown() {
    let add = one("add 192.0.2.1 192.0.2.2 esp 1 -E null \"hush\" -A hmac-sha1 0x6875736800;");
    let shown = format!("{add:?}");
    assert!(!shown.contains("hush") && !shown.contains("104"), "{shown}");
}

#[test]
fn mistakes_have_their_exact_place_and_a_hint() {
    for (text, place, hint) in [
        (
            "spdupdate 1.1.1.1 2.2.2.2 any -P in none;",
            "1:1",
            "write `spddelete` and `spdadd`",
        ),
        ("fush;", "1:1", "unknown command `fush`; expected add, get"),
        ("flush", "1:6", "expected `;`"),
        (
            "flush udp;",
            "1:7",
            "expected esp, ah, ipcomp or tcp, found `udp`",
        ),
        (
            "spdadd 10.0.0.0/33 ::/0 any -P in none;",
            "1:8",
            "prefix length from 0 to 32",
        ),
        (
            "spdadd 10.0.0 ::/0 any -P in none;",
            "1:8",
            "expected an address such as",
        ),
        (
            "spdadd 1.1.1.1[x] ::/0 any -P in none;",
            "1:16",
            "a port from 0 to 65535, or any",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 sctpx -P in none;",
            "1:24",
            "expected a protocol",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any in none;",
            "1:28",
            "expected -P and a policy",
        ),
        ("spdadd 1.1.1.1 2.2.2.2 any -P fwd none;", "1:31", "Linux's"),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P both none;",
            "1:31",
            "expected in or out, found `both`",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in prio def ipsec;",
            "1:34",
            "no priority",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in drop;",
            "1:34",
            "expected discard, none or ipsec",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in ipsec;",
            "1:39",
            "esp/transport//require",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in ipsec gre/transport//use;",
            "1:40",
            "esp, ah or ipcomp",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in ipsec esp/x//use;",
            "1:40",
            "transport, tunnel or any",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in ipsec esp/tunnel//use;",
            "1:40",
            "needs its addresses",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in ipsec esp/tunnel/1.1.1.1/use;",
            "1:40",
            "a dash",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in ipsec esp/transport//must;",
            "1:40",
            "unknown level",
        ),
        (
            "spdadd 1.1.1.1 2.2.2.2 any -P in ipsec esp/transport//unique:0;",
            "1:40",
            "1 to 16383",
        ),
        ("add 1.1.1.1 2.2.2.2 esp x;", "1:25", "expected an SPI"),
        (
            "add 1.1.1.1 2.2.2.2 esp 1;",
            "1:26",
            "expected -E, -A or -C",
        ),
        (
            "add 1.1.1.1 2.2.2.2 esp 1 -E aes-cbc 0x123;",
            "1:38",
            "expected a key",
        ),
        ("add 1.1.1.1 2.2.2.2 esp 1 -q 1;", "1:27", "expected -m, -r"),
    ] {
        let script = parse(text.as_bytes().to_vec());
        let [problem] = &script.problems[..] else {
            panic!("{text}: {:?}", script.problems);
        };
        assert_eq!(
            problem.span.to_string(),
            place,
            "{text}: {}",
            problem.message
        );
        assert!(
            problem.message.contains(hint),
            "{text}: {}",
            problem.message
        );
    }
}

#[test]
fn all_mistakes_are_reported_and_the_rest_is_read() {
    let script = parse(b"flush x;\nspdflush;\nspdadd 1;\nspdflush;\n".to_vec());
    let lines: Vec<u32> = script.problems.iter().map(|p| p.span.line).collect();
    assert_eq!(lines, [1, 3]);
    assert_eq!(
        script.commands,
        [
            racoon_conf::Spanned::new(Command::SpdFlush, script.commands[0].span),
            racoon_conf::Spanned::new(Command::SpdFlush, script.commands[1].span),
        ]
    );
}

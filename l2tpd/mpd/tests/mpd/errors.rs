//! One small file per error, with its exact place.

use std::collections::BTreeMap;

use mpd_conf::{Request, interpret};

use crate::support::{Files, notices, problems, run};

/// The one problem of a file whose `default:` selects link L, then bundle B, then has the line.
fn one(line: &str) -> String {
    of(&format!(
        "default:\n create link template L l2tp\n create bundle template B\n {line}\n"
    ))
}

/// The same with link L selected last.
fn of_link(line: &str) -> String {
    of(&format!(
        "default:\n create bundle template B\n create link template L l2tp\n {line}\n"
    ))
}

fn of(text: &str) -> String {
    let done = run(text);
    let found = problems(&done);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    assert!(!done.problems[0].remedy.is_empty(), "{text}: no remedy");
    found[0].clone()
}

#[test]
fn commands() {
    for (line, expected) in [
        ("frobnicate", "4:2: unknown word 'frobnicate'"),
        ("se link", "4:2: 'se' is ambiguous"),
        ("set", "4:2: 'set' is not complete"),
        ("set ipcp", "4:6: 'set ipcp' is not complete"),
        ("set nothing", "4:6: unknown word 'nothing' after 'set'"),
        ("set e", "4:6: 'e' is ambiguous after 'set'"),
        (
            "set ipcp frob 1",
            "4:11: unknown word 'frob' after 'set ipcp'",
        ),
        ("set iface mtu", "4:12: too few words after 'set iface mtu'"),
        (
            "set iface mtu 1400 override 3",
            "4:30: too many words after 'set iface mtu'",
        ),
        (
            "set iface enable",
            "4:12: too few words after 'set iface enable'",
        ),
        (
            "set iface yes nat",
            "4:12: unknown word 'yes' after 'set iface'",
        ),
        (
            "set link mtu 1400",
            "4:11: 'set link mtu' speaks about a link, and none is selected",
        ),
        ("create link X", "4:9: too few words after 'create link'"),
        ("create link L l2tp", "4:14: link 'L' exists"),
        ("create bundle B", "4:16: bundle 'B' exists"),
        ("create link pptp l2tp", "4:14: 'pptp' is a link type"),
        ("create link X Y", "4:16: 'Y' is no link type or template"),
        (
            "create link template X",
            "4:23: a link's name and its type or template follow",
        ),
        ("create bundle template", "4:16: a name is missing"),
        (
            "create bundle template a_long_long_name",
            "4:25: 'a_long_long_name' is no name",
        ),
        ("create bundle X Y", "4:18: 'Y' is no bundle template"),
        (
            "create bundle X B Y",
            "4:20: too many words after 'create bundle'",
        ),
        (
            "create link X modem",
            "4:16: modem links are not served, only l2tp ones are",
        ),
        (
            "create link X tcp",
            "4:16: PPP over TCP links are not served, only l2tp ones are",
        ),
        (
            "create link X udp",
            "4:16: PPP over UDP links are not served, only l2tp ones are",
        ),
        (
            "create link X ng",
            "4:16: netgraph links are not served, only l2tp ones are",
        ),
        ("link X", "4:7: link 'X' is not defined"),
        ("bundle X", "4:9: bundle 'X' is not defined"),
        ("destroy link X", "4:15: link 'X' is not defined"),
        ("destroy link", "4:10: nothing of that kind is selected"),
        ("open", "4:2: a template cannot be opened"),
        ("open nowhere", "4:7: 'nowhere' is no layer"),
        (
            "load nowhere",
            "4:7: there is no label 'nowhere' in mpd.conf",
        ),
        ("load default", "4:7: label 'default' loads itself"),
        (
            "load other.conf x",
            "4:7: cannot load 'other.conf': no such file",
        ),
        (
            "load http://h/x y",
            "4:7: files are not fetched from the network",
        ),
        ("log +nothing", "4:6: no kind of log message '+nothing'"),
    ] {
        assert_eq!(one(line), expected, "{line}");
    }
    for line in ["authname x", "msession x", "session x", "iface ng0"] {
        assert!(
            one(line).contains("is refused: it selects a session that is up"),
            "{line}"
        );
    }
    for line in ["quit", "shutdown"] {
        assert!(
            one(line).contains("is refused: it would end the daemon"),
            "{line}"
        );
    }
    assert!(one("repeater x").starts_with("4:2: 'repeater' is refused: "));
}

#[test]
fn bundle_settings() {
    for (line, expected) in [
        (
            "set bundle lowat 101",
            "4:19: '101' is no number that fits here",
        ),
        (
            "set bundle fsm-timeout 11",
            "4:25: '11' is no number that fits here",
        ),
        ("set bundle links X", "4:19: link 'X' is not defined"),
        (
            "set bundle enable frob",
            "4:20: 'set bundle' has no option 'frob'",
        ),
        ("set bundle enable ip", "4:20: option 'ip' is ambiguous"),
        (
            "set bundle accept ipcp",
            "4:20: the peer has no say in 'ipcp'",
        ),
        ("set iface mtu 20", "4:16: '20' is no number that fits here"),
        ("set iface mtu x", "4:16: 'x' is no number that fits here"),
        ("set iface mtu 1400 over", "4:21: unknown word 'over'"),
        ("set iface route x", "4:18: 'x' is no address range"),
        ("set iface addrs x y", "4:18: 'x' is no address range"),
        ("set iface addrs 10.0.0.1 y", "4:27: 'y' is no IP address"),
        (
            "set iface addrs 10.0.0.1 ::1",
            "4:27: one address is IPv4, the other IPv6",
        ),
        (
            "set iface up-script up.sh",
            "4:22: 'up.sh' is no absolute path",
        ),
        (
            "set iface down-script \"/bin/x > /tmp/y\"",
            "4:24: '>' is for a shell, and none is used",
        ),
        (
            "set ipcp ranges 10.0.0.1",
            "4:11: too few words after 'set ipcp ranges'",
        ),
        (
            "set ipcp ranges ippool x",
            "4:18: the peer's side is missing",
        ),
        (
            "set ipcp ranges 10.0.0.1 ippool",
            "4:27: the pool's name is missing",
        ),
        (
            "set ipcp ranges 10.0.0.1 ippool x",
            "4:34: pool 'x' is not defined",
        ),
        (
            "set ipcp ranges 10.0.0.1 10.0.0.2 10.0.0.3",
            "4:36: too many words after 'set ipcp ranges'",
        ),
        ("set ipcp ranges 10.0.0.1 ::1", "4:27: '::1' is not IPv4"),
        ("set ipcp dns x", "4:15: 'x' is no IPv4 address"),
        ("set ipcp dns 10.0.0.1 x", "4:24: 'x' is no IPv4 address"),
        ("set ipcp nbns x", "4:16: 'x' is no IPv4 address"),
        (
            "set ippool add p 10.0.0.9 x",
            "4:28: 'x' is no IPv4 address",
        ),
        (
            "set ippool add p 10.0.0.9 10.0.0.1",
            "4:28: 10.0.0.1 lies before 10.0.0.9",
        ),
        ("set nat address x", "4:18: 'x' is no IPv4 address"),
        ("set ipv6cp enable vjcomp", "4:13: ipv6cp has no options"),
    ] {
        assert_eq!(one(line), expected, "{line}");
    }
}

#[test]
fn link_settings() {
    for (line, expected) in [
        (
            "set link action bundle X",
            "4:25: bundle 'X' is not defined",
        ),
        (
            "set link bandwidth 0",
            "4:21: '0' is no number that fits here",
        ),
        (
            "set link accmap xyz",
            "4:18: 'xyz' is no hexadecimal number",
        ),
        (
            "set link mrru 5000",
            "4:16: '5000' is no number that fits here",
        ),
        (
            "set link mru 100",
            "4:15: '100' is no number that fits here",
        ),
        (
            "set link mtu 1601",
            "4:15: '1601' is no number that fits here",
        ),
        (
            "set link max-redial -2",
            "4:22: '-2' is no number that fits here",
        ),
        (
            "set link redial-delay 0",
            "4:24: '0' is no number that fits here",
        ),
        (
            "set link max-children 100001",
            "4:24: '100001' is no number that fits here",
        ),
        (
            "set link keep-alive 10",
            "4:11: too few words after 'set link keep-alive'",
        ),
        (
            "set link keep-alive 10 x",
            "4:25: 'x' is no number that fits here",
        ),
        (
            "set link accept incoming",
            "4:18: the peer has no say in 'incoming'",
        ),
        (
            "set link enable chap-m",
            "4:18: option 'chap-m' is ambiguous",
        ),
        (
            "set link no pap nonsense",
            "4:18: 'set link' has no option 'nonsense'",
        ),
        ("set l2tp self host", "4:16: 'host' is no IP address"),
        (
            "set l2tp self 10.0.0.1 0",
            "4:25: '0' is no number that fits here",
        ),
        (
            "set l2tp self 10.0.0.1 65536",
            "4:25: '65536' is no number that fits here",
        ),
        (
            "set l2tp peer 10.0.0.0/40",
            "4:16: '10.0.0.0/40' is no address range",
        ),
        (
            "set l2tp peer 10.0.0.256",
            "4:16: '10.0.0.256' is no address range",
        ),
        (
            "set auth timeout 20",
            "4:19: '20' is no number that fits here",
        ),
        ("set auth max-logins 1 XX", "4:24: unknown word 'XX'"),
        (
            "set auth accept internal",
            "4:18: the peer has no say in 'internal'",
        ),
        (
            "set radius server h",
            "4:13: too few words after 'set radius server'",
        ),
        ("set radius server h s 0 0", "4:20: both ports are 0"),
        (
            "set radius server h s 70000",
            "4:24: '70000' is no number that fits here",
        ),
        ("set radius me x", "4:16: 'x' is no IPv4 address"),
        (
            "set radius v6me 10.0.0.1",
            "4:18: '10.0.0.1' is no IPv6 address",
        ),
        (
            "set radius timeout 0",
            "4:21: '0' is no number that fits here",
        ),
        (
            "set ipcp dns 10.0.0.1",
            "4:11: 'set ipcp dns' speaks about a bundle, and none is selected",
        ),
        (
            "set pptp self 10.0.0.1",
            "4:6: 'set pptp' is refused: only L2TP links are served here",
        ),
    ] {
        assert_eq!(of_link(line), expected, "{line}");
    }
}

#[test]
fn global_settings() {
    for (line, expected) in [
        ("set console self x", "4:19: 'x' is no IP address"),
        (
            "set web self 127.0.0.1 x",
            "4:25: 'x' is no number that fits here",
        ),
        ("set user a b boss", "4:15: 'boss' is no role"),
        ("set user a", "4:6: too few words after 'set user'"),
        (
            "set global starttable 128",
            "4:24: '128' is no number that fits here",
        ),
        (
            "set global l2tplimit 65537",
            "4:23: '65537' is no number that fits here",
        ),
        (
            "set global qthreshold 64 64",
            "4:27: '64' is no number that fits here",
        ),
        (
            "set global filter 17 clear",
            "4:20: '17' is no number that fits here",
        ),
        ("set global filter 1 frob", "4:22: no filter command"),
        ("set netflow version 7", "4:22: no version '7'"),
        (
            "set radsrv peer h",
            "4:13: too few words after 'set radsrv peer'",
        ),
    ] {
        assert_eq!(one(line), expected, "{line}");
    }
}

#[test]
fn lines_and_labels() {
    for (text, expected) in [
        (
            "default:\nset link mtu 1\n",
            "2:1: a line that begins in column 1 is a label and ends with ':'",
        ),
        ("default: log\n log\n", "1:10: text after a label's ':'"),
        (
            "default:\n load x\nx y:\n",
            "3:1: 'x y' is no label: one word is wanted",
        ),
        ("default:\n log \"all\n", "2:6: a quotation that never ends"),
        (
            "default:\n log \\\n\tnothing\n",
            "3:2: no kind of log message 'nothing'",
        ),
        ("default:\n log \u{e9}\0\n", "2:7: a NUL octet"),
        ("default:\n log \\0\n", "2:6: an escape makes a NUL octet"),
        (
            "default:\n log \\xff\n",
            "2:6: escapes make a word that is not UTF-8",
        ),
        ("startup:\n", "1:1: there is no label 'default' in mpd.conf"),
    ] {
        let found = problems(&run(text));
        assert!(found.contains(&expected.to_owned()), "{text:?}: {found:?}");
    }
    let request = Request {
        file: "mpd.conf".to_owned(),
        ..Request::default()
    };
    let done = interpret(b"default:\n log \xff\n", &request, &mut Files::default());
    assert_eq!(problems(&done), ["2:6: an octet that is not UTF-8"]);
}

#[test]
fn what_never_runs_is_noticed() {
    let done = run(" set user a b\ndefault:\n set user a b\ndefault:\n log nothing\n");
    assert_eq!(problems(&done), Vec::<String>::new());
    assert_eq!(
        notices(&done),
        [
            "1:2: commands before the first label never run",
            "4:1: label 'default' is already at line 2; this one never runs",
        ]
    );
}

#[test]
fn nobody_could_log_in() {
    let text = "default:\n create bundle template B\n create link template L l2tp\n \
        set link action bundle B\n set link enable incoming\n set auth disable internal\n";
    assert_eq!(
        problems(&run(text)),
        ["6:19: nobody can log in over link 'L'"]
    );
}

#[test]
fn failures_to_select_are_told_once() {
    let text =
        "default:\n link nowhere\n set link mtu 1400\n set link nonsense x\n set l2tp self x\n";
    assert_eq!(
        problems(&run(text)),
        [
            "2:7: link 'nowhere' is not defined",
            "4:11: unknown word 'nonsense' after 'set link'"
        ]
    );
}

#[test]
fn other_files_have_their_own_places() {
    let mut files = Files(BTreeMap::from([
        (
            "users.conf",
            "console:\n set user a b\n set user c\n load users.conf console\n",
        ),
        ("b.conf", "one:\n load default\n"),
    ]));
    let request = Request {
        file: "mpd.conf".to_owned(),
        ..Request::default()
    };
    let text = b"default:\n load users.conf console\n load b.conf one\n";
    let done = interpret(text, &request, &mut files);
    let found: Vec<_> = done
        .problems
        .iter()
        .map(|p| format!("{}: {}", p.span, p.message))
        .collect();
    assert_eq!(
        found,
        [
            "users.conf:3:6: too few words after 'set user'",
            "users.conf:4:18: label 'console' loads itself",
            "b.conf:2:7: label 'default' loads itself",
        ]
    );
    assert_eq!(done.model.users.len(), 1);
}

#[test]
fn loads_nest_twenty_deep_and_no_deeper() {
    let chain = |last: usize| {
        let mut text = "default:\n load l1\n".to_owned();
        for level in 1..last {
            text.push_str(&format!("l{level}:\n load l{}\n", level + 1));
        }
        text + &format!("l{last}:\n log all\n")
    };
    assert_eq!(problems(&run(&chain(20))), Vec::<String>::new());
    let found = problems(&run(&chain(21)));
    assert_eq!(found, ["42:7: load within load, deeper than 20"]);
}

#[test]
fn a_label_of_choice() {
    let request = Request {
        file: "mpd.conf".to_owned(),
        label: Some("office".to_owned()),
        ignore_foreign_links: false,
    };
    let text = b"startup:\n set user a b\ndefault:\n nonsense\noffice:\n set user c d\n";
    let done = interpret(text, &request, &mut Files::default());
    assert_eq!(done.problems, []);
    assert_eq!(done.model.users.len(), 2);
    let missing = Request {
        label: Some("away".to_owned()),
        ..request
    };
    let done = interpret(text, &missing, &mut Files::default());
    assert_eq!(
        problems(&done),
        ["1:1: there is no label 'away' in mpd.conf"]
    );
}

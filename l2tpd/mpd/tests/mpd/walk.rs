//! Every menu, setting and option of mpd 5.10 is in exactly one class, and the names below are
//! written down independently of the tables.

use std::collections::BTreeSet;

use mpd_conf::commands::{COMMANDS, Entry, Form, SET};
use mpd_conf::directives::{self, Answer, Class};

use crate::support::{notices, problems, run};

/// Menus with their settings and options.
const MENUS: &[(&str, &str, &str)] = &[
    (
        "bundle",
        "period lowat hiwat min-con min-dis links fsm-timeout",
        "ipcp ipv6cp compression encryption crypt-reqd bw-manage round-robin",
    ),
    (
        "link",
        "bandwidth latency accmap mrru mru mtu fsm-timeout max-redial redial-delay max-children \
         keep-alive ident",
        "incoming pap chap-md5 chap-msv1 chap-msv2 eap acfcomp protocomp magicnum check-magic \
         keep-ms-domain passive no-orig-auth callback multilink shortseq time-remain \
         peer-as-calling report-mac remove-tee",
    ),
    ("link action", "bundle forward drop clear", ""),
    (
        "iface",
        "addrs route mtu name description group up-script down-script idle session",
        "on-demand proxy-arp keep-timeout tcpmssfix tee nat netflow-in netflow-out netflow-once \
         ipacct",
    ),
    (
        "ipcp",
        "ranges dns nbns",
        "vjcomp req-pri-dns req-sec-dns req-pri-nbns req-sec-nbns pretend-ip",
    ),
    ("ippool", "add", ""),
    ("ccp", "", "mppc deflate pred1"),
    ("mppc", "", "compress e40 e56 e128 stateless policy"),
    ("ecp", "key", "dese-bis dese-old"),
    ("eap", "", "md5 radius-proxy"),
    (
        "auth",
        "authname password max-logins acct-update update-limit-in update-limit-out timeout \
         extauth-script extacct-script",
        "internal radius-auth radius-acct ext-auth ext-acct system-auth system-acct pam-auth \
         pam-acct opie acct-mandatory",
    ),
    (
        "radius",
        "server src-addr me v6me identifier timeout retries config",
        "message-authentic",
    ),
    ("radsrv", "open close self peer", "coa disconnect"),
    ("console", "self open close", "auth logging"),
    ("web", "self open close", "auth"),
    (
        "global",
        "startrule startqueue startpipe starttable l2tptimeout l2tplimit pptptimeout pptplimit \
         max-children qthreshold filter",
        "tcp-wrapper one-shot agent-cid session-time",
    ),
    (
        "nat",
        "address target red-port red-addr red-proto",
        "log incoming same-ports unreg-only",
    ),
    ("netflow", "export self timeouts node hook mtu version", ""),
    (
        "l2tp",
        "self peer callingnum callednum hostname pmask secret",
        "outcall hidden length dataseq resolve-once",
    ),
];

const TOP: &str = "authname bundle close exit help iface link load log msession open quit \
    shutdown repeater session show";
const OTHER: &[&str] = &[
    "create link",
    "create bundle",
    "destroy link",
    "destroy bundle",
    "unset radius server",
    "unset nat red-port",
    "unset nat red-addr",
    "unset nat red-proto",
    "set user",
    "set debug",
    "set modem",
    "set tcp",
    "set udp",
    "set ng",
    "set pptp",
    "set pppoe",
];

fn every_path() -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = TOP.split_whitespace().map(str::to_owned).collect();
    paths.extend(OTHER.iter().map(|path| (*path).to_owned()));
    for (menu, settings, _) in MENUS {
        paths.extend(
            settings
                .split_whitespace()
                .map(|setting| format!("set {menu} {setting}")),
        );
    }
    paths
}

fn leaves(entries: &[Entry], path: &str, into: &mut BTreeSet<String>) {
    for entry in entries {
        let path = format!(
            "{path}{}{}",
            if path.is_empty() { "" } else { " " },
            entry.name
        );
        match entry.form {
            Form::Menu(inner) => leaves(inner, &path, into),
            Form::Switch(_) => {}
            Form::Leaf { .. } | Form::Foreign => assert!(into.insert(path.clone()), "{path} twice"),
        }
    }
}

#[test]
fn the_tree_and_the_table_hold_every_name_and_no_other() {
    let mut tree = BTreeSet::new();
    leaves(COMMANDS, "", &mut tree);
    assert_eq!(tree, every_path());
    let table: Vec<_> = directives::COMMANDS
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .collect();
    let unique: BTreeSet<_> = table.iter().cloned().collect();
    assert_eq!(table.len(), unique.len(), "a setting is in two classes");
    assert_eq!(unique, every_path());
}

#[test]
fn every_option_is_in_one_class() {
    let listed: BTreeSet<_> = MENUS
        .iter()
        .flat_map(|(menu, _, options)| options.split_whitespace().map(move |name| (*menu, name)))
        .collect();
    let table: Vec<_> = directives::OPTIONS
        .iter()
        .map(|(menu, name, _)| (*menu, *name))
        .collect();
    let unique: BTreeSet<_> = table.iter().copied().collect();
    assert_eq!(table.len(), unique.len(), "an option is in two classes");
    assert_eq!(unique, listed);
    let menus: BTreeSet<_> = SET.iter().map(|entry| entry.name).collect();
    for (menu, _, _) in MENUS {
        assert!(menus.contains(menu.split(' ').next().unwrap()), "{menu}");
    }
    assert!(menus.contains("ipv6cp"));
}

#[test]
fn whatever_is_not_honoured_says_why() {
    let rows = directives::COMMANDS
        .iter()
        .map(|(path, class)| ((*path).to_owned(), *class));
    let options = directives::OPTIONS
        .iter()
        .map(|(m, n, class)| (format!("{m} {n}"), *class));
    for (name, class) in rows.chain(options) {
        match class {
            Class::Honoured => {}
            Class::NoOp(why) | Class::Always(_, why) => assert!(why.len() > 10, "{name}"),
            Class::Refused { reason, remedy } => {
                assert!(reason.len() > 10 && remedy.len() > 5, "{name}");
            }
        }
    }
}

/// Valid arguments for each setting that takes any.
const ARGUMENTS: &[(&str, &str)] = &[
    ("set bundle links", "L"),
    ("set link accmap", "000a0000"),
    ("set link mrru", "1600"),
    ("set link mru", "1400"),
    ("set link mtu", "1400"),
    ("set link keep-alive", "5 40"),
    ("set link action bundle", "B"),
    ("set link action forward", "L"),
    ("set link action drop", ""),
    ("set link action clear", ""),
    ("set iface addrs", "10.0.0.1 10.0.0.2"),
    ("set iface route", "10.0.0.0/8"),
    ("set iface mtu", "1400"),
    ("set iface name", "vpn"),
    ("set iface group", "vpn"),
    ("set iface up-script", "/bin/up"),
    ("set iface down-script", "/bin/down"),
    ("set ipcp ranges", "10.0.0.1 10.0.0.2"),
    ("set ipcp dns", "10.0.0.1"),
    ("set ipcp nbns", "10.0.0.1"),
    ("set ippool add", "p 10.0.0.1 10.0.0.2"),
    ("set auth timeout", "40"),
    ("set auth extauth-script", "/bin/x"),
    ("set auth extacct-script", "/bin/x"),
    ("set radius server", "10.0.0.1 secret"),
    ("set radius src-addr", "10.0.0.1"),
    ("set radius me", "10.0.0.1"),
    ("set radius v6me", "2001:db8::1"),
    ("set radsrv open", ""),
    ("set radsrv close", ""),
    ("set radsrv self", "10.0.0.1 3799"),
    ("set radsrv peer", "10.0.0.1 secret"),
    ("set console open", ""),
    ("set console close", ""),
    ("set console self", "::1 5005"),
    ("set web open", ""),
    ("set web close", ""),
    ("set web self", "127.0.0.1"),
    ("set global qthreshold", "64 256"),
    ("set global filter", "1 add 1 \"ip\""),
    ("set nat address", "10.0.0.1"),
    ("set nat target", "10.0.0.1"),
    ("set nat red-port", "tcp 10.0.0.1 80 10.0.0.2 80"),
    ("set nat red-addr", "10.0.0.1 10.0.0.2"),
    ("set nat red-proto", "gre 10.0.0.1 10.0.0.2"),
    ("set netflow export", "10.0.0.1 9995"),
    ("set netflow self", "10.0.0.1"),
    ("set netflow timeouts", "15 60"),
    ("set l2tp self", "10.0.0.1"),
    ("set l2tp peer", "10.0.0.0/24"),
    ("set user", "ops secret admin"),
    ("set netflow version", "9"),
];

/// A file that selects an object of the right kind and then has that one line (number 5).
fn file_with(menu: &str, line: &str) -> String {
    let of_link = ["link", "l2tp", "auth", "radius", "eap"];
    let (first, second) = if of_link.contains(&menu) {
        ("B", "L")
    } else {
        ("L", "B")
    };
    let create = |name| match name {
        "L" => "create link template L l2tp",
        _ => "create bundle template B",
    };
    format!(
        "default:\n\n {}\n {}\n {line}\n",
        create(first),
        create(second)
    )
}

#[test]
fn every_setting_does_what_its_class_says() {
    for (menu, settings, _) in MENUS {
        for setting in settings.split_whitespace() {
            let path = format!("set {menu} {setting}");
            let known = ARGUMENTS.iter().find(|(of, _)| *of == path);
            let arguments = known.map_or("1", |(_, arguments)| arguments);
            let done = run(&file_with(
                menu.split(' ').next().unwrap(),
                &format!("{path} {arguments}"),
            ));
            let at = 1 + " set ".len() + menu.len() + 1;
            let class = directives::command(&path).unwrap();
            match class.answer() {
                Answer::Honoured => {
                    assert_eq!(problems(&done), Vec::<String>::new(), "{path}");
                    assert_eq!(notices(&done), Vec::<String>::new(), "{path}");
                }
                Answer::NoOp => {
                    assert_eq!(problems(&done), Vec::<String>::new(), "{path}");
                    let notices = notices(&done);
                    assert_eq!(notices.len(), 1, "{path}: {notices:?}");
                    let start = format!("5:{at}: '{path}' has no effect: ");
                    assert!(notices[0].starts_with(&start), "{notices:?}");
                }
                Answer::Refused => {
                    let problems = problems(&done);
                    assert_eq!(problems.len(), 1, "{path}: {problems:?}");
                    let start = format!("5:{at}: '{path}' is refused: ");
                    assert!(problems[0].starts_with(&start), "{problems:?}");
                    assert!(!done.problems[0].remedy.is_empty());
                }
            }
        }
    }
}

#[test]
fn every_option_does_what_its_class_says() {
    for (menu, _, options) in MENUS {
        for option in options.split_whitespace() {
            for (verb, on) in [("enable", true), ("disable", false)] {
                // What is typed into a console session is not in a file.
                let line = format!("set {menu} {verb} {option}");
                let done = run(&file_with(menu, &line));
                let at = 2 + line.len() - option.len();
                let (problems, notices) = (problems(&done), notices(&done));
                match directives::option(menu, option).unwrap() {
                    Class::Honoured => {
                        assert_eq!((problems.len(), notices.len()), (0, 0), "{line}");
                    }
                    Class::NoOp(_) => {
                        assert_eq!((problems.len(), notices.len()), (0, 1), "{line}");
                    }
                    Class::Always(state, _) => {
                        let expected = (0, usize::from(state != on));
                        assert_eq!((problems.len(), notices.len()), expected, "{line}");
                    }
                    Class::Refused { .. } => {
                        let expected = (usize::from(on), 0);
                        assert_eq!((problems.len(), notices.len()), expected, "{line}");
                        let start = format!("5:{at}: '{line}' is refused: ");
                        assert!(!on || problems[0].starts_with(&start), "{problems:?}");
                    }
                }
            }
        }
    }
}

//! What only several settings together show, with its place and what to write instead.

use super::{load, load_with};

/// The problems of a small server with one line taken out and others put in (line 4 on).
fn with(old: &str, new: &str) -> Vec<String> {
    const SERVER: &str = "default:
 set ippool add p 10.0.0.10 10.0.0.20
 create bundle template B
 set ipcp ranges 10.0.0.1/32 ippool p
 create link template L l2tp
 set link action bundle B
 set link enable chap-msv2
 set link enable incoming
 set l2tp self 192.0.2.1
";
    assert!(load(SERVER).is_ok());
    assert!(SERVER.contains(old), "{old}");
    load(&SERVER.replace(old, new)).unwrap_err()
}

#[test]
fn each_has_its_place_and_remedy() {
    for (old, new, problem) in [
        (
            " set link enable chap-msv2\n",
            "",
            "mpd.conf:5:23: link 'L' lets everybody in without a login (write 'set link enable \
             chap-msv2')",
        ),
        (
            "enable chap-msv2",
            "no pap chap",
            "mpd.conf:7:18: link 'L' lets everybody in without a login (write 'set link enable \
             chap-msv2')",
        ),
        (
            " set link action bundle B\n",
            "",
            "mpd.conf:5:23: link 'L' takes calls and has no action for them (write 'set link \
             action bundle NAME')",
        ),
        (
            "bundle B\n set link enable c",
            "bundle B \"a(\"\n set link enable c",
            "mpd.conf:6:25: no regular expression: ",
        ),
        (
            "10.0.0.1/32 ippool p",
            "0.0.0.0/0 ippool p",
            "mpd.conf:4:18: bundle 'B' lacks an address of ours (write 'set ipcp ranges \
             OUR-ADDRESS/32 ippool POOL')",
        ),
        (
            " set ipcp ranges 10.0.0.1/32 ippool p\n",
            "",
            "mpd.conf:3:25: bundle 'B' lacks an address of ours",
        ),
        (
            "10.0.0.1/32 ippool p",
            "ippool p ippool p",
            "mpd.conf:4:25: our own address does not come from a pool",
        ),
        (
            "10.0.0.1/32 ippool p",
            "10.0.0.1/32 10.0.0.0/28",
            "mpd.conf:4:30: 10.0.0.1-10.0.0.14 overlaps the pool 10.0.0.10-10.0.0.20 (write \
             ranges that lie apart)",
        ),
        (
            "10.0.0.1/32 ippool p",
            "10.0.0.1/32 10.0.0.0/4",
            "mpd.conf:4:30: 10.0.0.0/4 is too large for clients",
        ),
        (
            " create bundle",
            " set ippool add q 10.0.0.20 10.0.0.30\n create bundle",
            "mpd.conf:3:19: 10.0.0.20-10.0.0.30 overlaps 10.0.0.10-10.0.0.20",
        ),
        (
            " set ipcp",
            " set bundle disable ipcp\n set ipcp",
            "mpd.conf:4:21: bundle 'B' has neither IPv4 nor IPv6 (write 'set bundle enable ipcp')",
        ),
        (
            " set ipcp",
            " set iface up-script /nowhere/up\n set ipcp",
            "mpd.conf:4:22: /nowhere/up is not there or no file (correct the path or take the \
             line out)",
        ),
        (
            " set ipcp",
            " set iface addrs !10.9.9.1 10.9.9.2\n set ipcp",
            "mpd.conf:4:18: an interface has the addresses that PPP agreed on, no others",
        ),
        (
            " set ipcp",
            " set iface description %M\n set ipcp",
            "mpd.conf:4:24: %M is not known here (write one of %aAIlOPStuU%, each letter behind \
             a %)",
        ),
        (
            " set l2tp self",
            " set l2tp peer lac.example.net\n set l2tp self",
            "mpd.conf:9:16: calls from 'lac.example.net' cannot be told from others",
        ),
        (
            "incoming\n",
            "incoming\n set auth enable radius-auth\n",
            "mpd.conf:9:18: 'set auth enable radius-auth' is refused: RADIUS is not served yet",
        ),
        (
            " set link enable incoming\n",
            "",
            "mpd.conf:5:23: nothing to do: no link takes calls and none is opened",
        ),
        (
            "default:\n",
            "default:\n set console self 192.0.2.1\n set console disable auth\n set console open\n",
            "mpd.conf:4:14: anybody on the network could use the console of 192.0.2.1:5005 \
             (write 'set console enable auth', or 'set console self 127.0.0.1')",
        ),
    ] {
        let problems = with(old, new);
        assert_eq!(problems.len(), 1, "{new}: {problems:?}");
        assert!(problems[0].starts_with(problem), "{problems:?}\n{problem}");
    }
}

#[test]
fn what_a_client_needs() {
    let client = |line: &str| {
        let text = format!(
            "default:\n create bundle static B\n create link static L l2tp\n \
             set link action bundle B\n set auth authname me\n set auth password p\n \
             set l2tp peer 198.51.100.9\n open\n{line}"
        );
        load_with(&text, "you \"their password\"\nprogram !/bin/true\n", false)
    };
    let place = |line: &str| client(line).unwrap_err().join("\n");
    assert_eq!(client("").unwrap().config.connections.len(), 1);
    assert!(
        place(" set auth authname \"\"\n")
            .starts_with("mpd.conf:9:20: link 'L' has no name to log in by")
    );
    assert!(
        place(" set l2tp peer 198.51.100.0/24\n")
            .starts_with("mpd.conf:9:16: 198.51.100.0/24 is a network, and one server is called")
    );
    assert!(
        place(" set l2tp self 2001:db8::1\n")
            .starts_with("mpd.conf:9:16: 2001:db8::1 cannot call 198.51.100.9")
    );
    assert!(
        place(" bundle B\n set iface route 198.51.0.0/16\n")
            .starts_with("mpd.conf:10:18: 198.51.0.0/16 contains the server 198.51.100.9 itself")
    );
    let second = " create link static M l2tp\n set link action bundle B\n set auth authname you\n \
        set l2tp peer 198.51.100.9\n open\n";
    assert!(place(second).starts_with("mpd.conf:12:16: link 'L' calls 198.51.100.9:1701 already"));
    // The password of mpd.secret.
    let third = second.replace("198.51.100.9", "198.51.100.10");
    let config = client(&third).unwrap().config;
    assert_eq!(
        config.connections["M"].password,
        crate::secret::Secret::new("their password")
    );
    let unknown = third.replace("authname you", "authname program");
    assert!(place(&unknown).starts_with("mpd.conf:11:20: there is no password for 'program'"));
}

/// Whatever the file, memory and time are bounded, and the problem has its place.
#[test]
fn monsters() {
    let long = "default:\n".to_owned() + &" set user a b\n".repeat(1_000_000);
    assert!(long.len() > 10 << 20);
    let problems = load(&long).unwrap_err();
    assert_eq!(
        problems,
        ["mpd.conf: larger than 4 MiB; a configuration is not"]
    );
    let nested: String = (0..1000)
        .map(|n| format!("l{n}:\n load l{}\n", n + 1))
        .collect();
    let problems = load(&format!("default:\n load l0\n{nested}")).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("load within load, deeper than 20"),
        "{problems:?}"
    );
    let problems = load("default:\n load a\na:\n load b\nb:\n load a\n").unwrap_err();
    assert_eq!(
        problems,
        ["mpd.conf:6:7: label 'a' loads itself (take the load that closes the circle out)"]
    );
    let wide: String = (0..15)
        .map(|n| format!("l{n}:\n load l{m}\n load l{m}\n load l{m}\n", m = n + 1))
        .collect();
    let problems = load(&format!("default:\n load l0\n{wide}l15:\n set user a b\n")).unwrap_err();
    assert!(
        problems[0].contains("more than 50000 commands"),
        "{problems:?}"
    );
}

proptest::proptest! {
    /// Lines put together at random come to a configuration or to problems, never to an end of
    /// the daemon.
    #[test]
    fn any_lines(lines in proptest::collection::vec(0..LINES.len(), 0..40)) {
        let mut text = "default:\n".to_owned();
        for line in lines {
            text += &format!("\t{}\n", LINES[line]);
        }
        if let Err(problems) = load(&text) {
            proptest::prop_assert!(!problems.is_empty());
        }
    }
}

const LINES: &[&str] = &[
    "create bundle template B",
    "create bundle static S",
    "create bundle template C B",
    "create link template L l2tp",
    "create link template M L",
    "create link static D l2tp",
    "create link static E L",
    "create link template P pptp",
    "bundle B",
    "link L",
    "destroy link L",
    "destroy bundle B",
    "set ippool add p 10.0.0.1 10.0.0.9",
    "set ipcp ranges 10.0.1.1/32 ippool p",
    "set ipcp ranges 10.0.1.1/24 10.0.2.0/30",
    "set ipcp ranges 0.0.0.0/0 0.0.0.0/0",
    "set ipcp dns 0.0.0.0 10.0.0.53",
    "set iface mtu 65535 override",
    "set iface idle 4294967295",
    "set iface session 1",
    "set iface route default",
    "set iface addrs 1.1.1.1 2.2.2.2",
    "set iface description %",
    "set iface name vpn",
    "set link action bundle B .*",
    "set link action bundle S",
    "set link action drop x",
    "set link enable incoming chap",
    "set link enable chap-msv2",
    "set link keep-alive 86400 1",
    "set link keep-alive 1 86400",
    "set link max-children 0",
    "set link mtu 1600",
    "set l2tp self 0.0.0.0",
    "set l2tp self 192.0.2.1 1702",
    "set l2tp self ::",
    "set l2tp peer 192.0.2.9",
    "set l2tp peer 192.0.2.0/24",
    "set l2tp secret x",
    "set l2tp enable hidden",
    "set auth authname a",
    "set auth password b",
    "set auth max-logins 4294967295 CI",
    "set link max-redial -1",
    "open",
    "set console open",
    "set global l2tplimit 0",
    "set global l2tptimeout 1000000",
];

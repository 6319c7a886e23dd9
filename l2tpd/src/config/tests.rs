//! Places and words of configuration errors, defaults, and the sample.

use std::path::Path;
use std::time::Duration;

use ppp_proto::AuthMethod;
use tanuki_daemon::config::Source;

use super::*;

const SMALL: &str = "local_address: 10.77.0.1\nusers: users.yaml\n";

fn read(text: &str) -> Result<Config, String> {
    Config::from_source(&Source::new("/etc/tanuki/l2tpd.yaml", text)).map_err(|p| p.to_string())
}

/// The first line of the problems of `SMALL` with `more` appended.
fn problem(more: &str) -> String {
    let problems = read(&format!("{SMALL}{more}")).expect_err("accepted");
    let first = problems.lines().next().unwrap_or_default().to_owned();
    first
        .strip_prefix("/etc/tanuki/l2tpd.yaml:")
        .unwrap_or(&first)
        .to_owned()
}

#[test]
fn two_lines_are_enough() {
    let config = read(SMALL).unwrap();
    // By IPv6 where there is any.
    let mut everywhere = vec!["0.0.0.0:1701".parse().unwrap()];
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        everywhere.push("[::]:1701".parse().unwrap());
    }
    assert_eq!(config.listen, everywhere);
    assert_eq!(
        config.users.path(),
        Some(Path::new("/etc/tanuki/users.yaml"))
    );
    let [link] = config.links.as_slice() else {
        panic!("{:?}", config.links)
    };
    assert_eq!((link.mtu, link.mru), (1400, 1400));
    let bundle = link.bundle_for("anybody").unwrap();
    assert_eq!(bundle.local_address, std::net::Ipv4Addr::new(10, 77, 0, 1));
    assert_eq!(config.l2tp.hello, Duration::from_secs(60));
    assert_eq!(config.kernel, KernelChoice::Auto);
    assert_eq!(link.authentication.first(), Some(&AuthMethod::MsChapV2));
}

#[test]
fn a_pure_client_needs_neither_users_nor_addresses() {
    let config = read(
        "listen: []\nconnections:\n  office: {server: 198.51.100.9, user: a, password: b, routes: [0.0.0.0/0]}\n",
    )
    .unwrap();
    let office = config.connections.get("office").unwrap();
    assert_eq!(office.server, "198.51.100.9:1701".parse().unwrap());
    assert_eq!(office.local, "0.0.0.0:1701".parse().unwrap());
    assert!(!format!("{config:?}").contains("\"b\""));
    let text = "listen: []\nconnections:\n  office: {server: 198.51.100.9, local: \"192.0.2.7:2001\", user: a, password: b}\n";
    let config = read(text).unwrap();
    assert_eq!(
        config.connections["office"].local,
        "192.0.2.7:2001".parse().unwrap()
    );
}

#[test]
fn the_sample_is_accepted() {
    let sample = include_str!("../../../etc/l2tpd.yaml.sample");
    let config = read(sample).unwrap();
    assert!(!config.pools["default"].is_empty());
    // What is commented out is correct as well; hooks name programs that are not here.
    let all: String = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with("  ") || !key.starts_with(' ') => key,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let problems = read(&all).expect_err("the hooks of the sample exist here");
    assert!(
        problems.lines().all(|line| line.contains("is not there")),
        "{problems}"
    );
}

#[test]
fn mistakes_are_shown_where_they_are_with_what_would_do() {
    let cases = [
        ("dsn: [10.0.0.1]\n", "3:1: ", "unknown field `dsn`"),
        (
            "dns: [10.0.0.300]\n",
            "3:7: ",
            "an IPv4 address such as 10.77.0.1",
        ),
        (
            "dns: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n",
            "3:27: ",
            "at most two",
        ),
        (
            "pool:\n  - 10.77.0.10-10.77.0.1\n",
            "4:5: ",
            "ends before it begins",
        ),
        (
            "pool:\n  - 10.77.0.0/24\n  - 10.77.0.9\n",
            "5:5: ",
            "overlaps 10.77.0.1-10.77.0.254",
        ),
        (
            "pool: [10.77.0.1]\n",
            "3:8: ",
            "the server's own local_address",
        ),
        ("mtu: 65\n", "3:6: ", "expected a number from 576 to 1500"),
        ("mtu: big\n", "3:6: ", "a number from 576 to 1500"),
        (
            "authentication: [eap]\n",
            "3:18: ",
            "expected one of `mschapv2`, `chap-md5`, `pap`",
        ),
        ("authentication: []\n", "3:17: ", "at least one of"),
        (
            "kernel: hard\n",
            "3:9: ",
            "expected one of `auto`, `system`, `soft`",
        ),
        (
            "listen: [198.51.100.9:0]\n",
            "3:10: ",
            "an address such as 198.51.100.9",
        ),
        (
            "host_name: \"a b\"\n",
            "3:12: ",
            "letters, digits, dots or dashes",
        ),
        (
            "limits:\n  half_opened: 3\n",
            "4:3: ",
            "unknown field `half_opened`",
        ),
        ("hooks:\n  up: [up.sh]\n", "4:7: ", "an absolute path"),
        ("hooks:\n  up: [/nowhere/up.sh]\n", "4:7: ", "is not there"),
        (
            "log: {level: loud}\n",
            "3:14: ",
            "expected error, warning, info, debug or trace",
        ),
        (
            "connections:\n  a: {server: 198.51.100.9, user: u, password: p, routes: [198.51.0.0/16]}\n",
            "4:60: ",
            "contains the server 198.51.100.9 itself",
        ),
        (
            "connections:\n  a: {server: 198.51.100.9, user: u}\n",
            "4:6: ",
            "missing field `password`",
        ),
        (
            "connections:\n  a: {server: 198.51.100.9, user: u, password: p}\n  b: {server: \
             198.51.100.9, user: v, password: p}\n",
            "5:15: ",
            "is the server of a too",
        ),
        ("secret: \"\"\n", "3:9: ", "empty, expected a shared secret"),
        (
            "ipv6: maybe\n",
            "3:7: ",
            "true, false or {prefixes: [2001:db8:77::/48]",
        ),
        (
            "ipv6: {prefix: 2001:db8::/48}\n",
            "3:8: ",
            "unknown field `prefix`",
        ),
        (
            "ipv6: {prefixes: [2001:db8::/65]}\n",
            "3:19: ",
            "a prefix of 16 to 64 bits such as 2001:db8:77::/48",
        ),
        (
            "ipv6: {prefixes: [2001:db8::/48, 2001:db8:0:7::/64]}\n",
            "3:34: ",
            "overlaps 2001:db8::/48",
        ),
        (
            "ipv6: {dns: [10.0.0.1]}\n",
            "3:14: ",
            "an IPv6 address such as 2001:db8::53",
        ),
    ];
    for (text, place, words) in cases {
        let problem = problem(text);
        assert!(
            problem.starts_with(place) && problem.contains(words),
            "{text}=> {problem}"
        );
    }
}

#[test]
fn every_problem_is_told_not_only_the_first() {
    let problems = read("dns: [1.1.1.1, 1.1.1.2, 1.1.1.3]\nauthentication: []\n").unwrap_err();
    assert_eq!(problems.lines().count(), 4, "{problems}");
    assert!(problems.contains("users: missing") && problems.contains("local_address: missing"));
}

#[test]
fn what_is_advertised_is_read_inherited_and_written() {
    let text = format!(
        "{SMALL}ipv6: {{prefixes: [2001:db8:77::/48, 'fd00:1::/64'], dns: ['2001:db8::53']}}\n\
         bundles:\n  none: {{ipv6: false}}\n  same: {{}}\n  own: {{ipv6: {{prefixes: \
         [2001:db8:99::/56]}}}}\n"
    );
    let config = read(&text).unwrap();
    let router = |name: &str| &config.bundles[name].router;
    let prefixes = |name: &str| {
        let prefixes = router(name).prefixes.iter();
        prefixes.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(prefixes("default"), ["2001:db8:77::/48", "fd00:1::/64"]);
    assert_eq!(router("same"), router("default"));
    assert!(prefixes("none").is_empty() && !config.bundles["none"].ipv6);
    assert_eq!(prefixes("own"), ["2001:db8:99::/56"]);
    assert!(router("own").dns.is_empty() && config.bundles["own"].ipv6);
    let written = write::yaml(&config, None, &|_| None).text;
    let again = read(&written).unwrap_or_else(|problems| panic!("{problems}\n{written}"));
    assert_eq!(again.bundles, config.bundles, "{written}");
}

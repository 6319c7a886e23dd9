//! What becomes of every directive, and of values that are not taken as racoon takes them.

use ike_daemon::config::racoon::directives::{Class, DIRECTIVES, VALUES, class};

use super::{PHASE2, SERVER, load, problems, warnings};

/// The names of the manual: every section and its directives.
const MANUAL: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "path include",
            "path pre_shared_key",
            "path certificate",
            "path script",
            "path backupsa",
            "path pidfile",
            "include",
            "pfkey_buffer",
            "complex_bundle",
            "gss_id_enc",
            "log",
            "privsep",
            "padding",
            "listen",
            "timer",
            "radiuscfg",
            "ldapcfg",
            "mode_cfg",
            "remote",
            "sainfo",
        ],
    ),
    ("privsep", &["user", "group", "chroot"]),
    (
        "padding",
        &[
            "randomize",
            "randomize_length",
            "maximum_length",
            "exclusive_tail",
            "strict_check",
        ],
    ),
    (
        "listen",
        &[
            "isakmp",
            "isakmp_natt",
            "admin",
            "adminsock",
            "strict_address",
        ],
    ),
    (
        "timer",
        &[
            "counter",
            "interval",
            "persend",
            "phase1",
            "phase2",
            "natt_keepalive",
        ],
    ),
    (
        "remote",
        &[
            "inherit",
            "remote_address",
            "exchange_mode",
            "doi",
            "situation",
            "my_identifier",
            "peers_identifier",
            "verify_identifier",
            "xauth_login",
            "certificate_type",
            "ca_type",
            "peers_certfile",
            "verify_cert",
            "send_cert",
            "send_cr",
            "match_empty_cr",
            "dh_group",
            "nonce_size",
            "generate_policy",
            "support_proxy",
            "initial_contact",
            "nat_traversal",
            "proposal_check",
            "passive",
            "lifetime time",
            "lifetime byte",
            "dpd",
            "dpd_delay",
            "dpd_retry",
            "dpd_maxfail",
            "ph1id",
            "ike_frag",
            "esp_frag",
            "script",
            "mode_cfg",
            "weak_phase1_check",
            "rekey",
            "keepalive",
            "proposal",
        ],
    ),
    (
        "proposal",
        &[
            "encryption_algorithm",
            "hash_algorithm",
            "authentication_method",
            "dh_group",
            "lifetime time",
            "lifetime byte",
            "gss_id",
        ],
    ),
    (
        "sainfo",
        &[
            "from",
            "group",
            "pfs_group",
            "lifetime time",
            "lifetime byte",
            "remoteid",
            "reqid",
            "encryption_algorithm",
            "authentication_algorithm",
            "compression_algorithm",
            "my_identifier",
        ],
    ),
    (
        "mode_cfg",
        &[
            "network4",
            "netmask4",
            "dns4",
            "nbns4",
            "wins4",
            "default_domain",
            "auth_source",
            "auth_groups",
            "group_source",
            "conf_source",
            "accounting",
            "pool_size",
            "banner",
            "auth_throttle",
            "split_network",
            "split_dns",
            "pfs_group",
            "save_passwd",
        ],
    ),
    ("radiuscfg", &["auth", "acct", "timeout", "retries"]),
    (
        "ldapcfg",
        &[
            "version",
            "host",
            "port",
            "base",
            "subtree",
            "bind_dn",
            "bind_pw",
            "attr_user",
            "attr_addr",
            "attr_mask",
            "attr_group",
            "attr_member",
        ],
    ),
    (
        "setkey",
        &[
            "add",
            "get",
            "delete",
            "deleteall",
            "flush",
            "dump",
            "spdadd",
            "spddelete",
            "spdflush",
            "spddump",
        ],
    ),
];

#[test]
fn every_directive_of_the_manual_is_in_exactly_one_class() {
    let mut names = Vec::new();
    for (section, words) in MANUAL {
        for word in *words {
            names.push(format!("{section} {word}").trim().to_owned());
        }
    }
    for name in &names {
        let entries = DIRECTIVES.iter().filter(|entry| entry.name == name);
        assert_eq!(entries.count(), 1, "{name}");
    }
    for entry in DIRECTIVES {
        assert!(
            names.iter().any(|name| name == entry.name),
            "{}",
            entry.name
        );
        let says_something = match entry.class {
            Class::Honoured(how) => !how.is_empty(),
            Class::NoOp(why) => !why.is_empty(),
            Class::Refused { reason, instead } => !reason.is_empty() && !instead.is_empty(),
        };
        assert!(says_something, "{}", entry.name);
    }
    // Special values are of directives that are honoured otherwise, and stand there once.
    for value in VALUES {
        assert!(
            matches!(class(value.directive), Some(Class::Honoured(_))),
            "{}",
            value.directive
        );
        let same = VALUES
            .iter()
            .filter(|other| (other.directive, other.value) == (value.directive, value.value));
        assert_eq!(same.count(), 1, "{} {}", value.directive, value.value);
    }
}

/// A whole file with `line` where `section` puts it, and the place of the line.
fn file_with(section: &str, line: &str) -> (String, usize) {
    match section {
        "" => (format!("{SERVER}{PHASE2}\n{line}"), 10),
        "remote" => (
            format!(
                "{PHASE2}{}",
                SERVER.replace("main;\n", &format!("main;\n{line}\n"))
            ),
            5,
        ),
        "proposal" => (
            format!(
                "{PHASE2}{}",
                SERVER.replace("sha1;\n", &format!("sha1;\n{line}\n"))
            ),
            7,
        ),
        "sainfo" => (
            format!(
                "{SERVER}{}",
                PHASE2.replace("256;\n", &format!("256;\n{line}\n"))
            ),
            8,
        ),
        other => (format!("{SERVER}{PHASE2}{other} {{\n{line}\n}}\n"), 10),
    }
}

#[test]
fn what_has_no_effect_says_so_and_what_is_refused_says_where() {
    for (section, line) in [
        ("", "path backupsa \"x\";"),
        ("", "pfkey_buffer 64;"),
        ("", "complex_bundle on;"),
        ("", "gss_id_enc latin1;"),
        ("privsep", "user 65;"),
        ("privsep", "group 65;"),
        ("privsep", "chroot \"/var/empty\";"),
        ("padding", "randomize on;"),
        ("padding", "randomize_length off;"),
        ("padding", "maximum_length 20;"),
        ("padding", "exclusive_tail on;"),
        ("padding", "strict_check off;"),
        ("listen", "admin 127.0.0.1 [7002];"),
        ("timer", "persend 1;"),
        ("timer", "phase2 10 sec;"),
        ("remote", "match_empty_cr on;"),
        ("remote", "dh_group modp1024;"),
        ("remote", "nonce_size 16;"),
        ("remote", "lifetime byte 10 MB;"),
        ("remote", "esp_frag 552;"),
        ("remote", "weak_phase1_check on;"),
        ("remote", "rekey force;"),
        ("remote", "keepalive;"),
        ("proposal", "lifetime byte 10 MB;"),
        ("proposal", "gss_id \"x\";"),
        ("sainfo", "reqid 7;"),
        ("sainfo", "my_identifier address;"),
        ("mode_cfg", "auth_source system;"),
        ("mode_cfg", "auth_groups \"x\";"),
        ("mode_cfg", "group_source system;"),
        ("mode_cfg", "conf_source local;"),
        ("mode_cfg", "accounting none;"),
        ("mode_cfg", "auth_throttle 1;"),
        ("mode_cfg", "pfs_group 2;"),
        ("radiuscfg", "auth 192.0.2.5 \"s\";"),
        ("radiuscfg", "acct 192.0.2.5 \"s\";"),
        ("radiuscfg", "timeout 3;"),
        ("radiuscfg", "retries 3;"),
        ("ldapcfg", "version 3;"),
        ("ldapcfg", "host \"x\";"),
        ("ldapcfg", "port 389;"),
        ("ldapcfg", "base \"x\";"),
        ("ldapcfg", "subtree off;"),
        ("ldapcfg", "bind_dn \"x\";"),
        ("ldapcfg", "bind_pw \"x\";"),
        ("ldapcfg", "attr_user \"x\";"),
        ("ldapcfg", "attr_addr \"x\";"),
        ("ldapcfg", "attr_mask \"x\";"),
        ("ldapcfg", "attr_group \"x\";"),
        ("ldapcfg", "attr_member \"x\";"),
    ] {
        let words = DIRECTIVES.iter().filter(|entry| {
            let name = format!("{section} {line}");
            let rest = name.trim().strip_prefix(entry.name);
            rest.is_some_and(|rest| rest.starts_with([' ', ';']))
        });
        let entry = words.max_by_key(|entry| entry.name.len()).unwrap();
        let (text, number) = file_with(section, line);
        match entry.class {
            Class::NoOp(why) => {
                let config = load(&text);
                let found = warnings(&config);
                let [warning] = &found[..] else {
                    panic!("{line}: {found:?}");
                };
                assert!(
                    warning.starts_with(&format!("{number}:1: ")),
                    "{line}: {warning}"
                );
                assert!(warning.contains(why), "{line}: {warning}");
            }
            Class::Refused { reason, instead } => {
                let found = problems(&text);
                let [problem] = &found[..] else {
                    panic!("{line}: {found:?}");
                };
                assert!(
                    problem.starts_with(&format!("{number}:1: ")),
                    "{line}: {problem}"
                );
                assert!(
                    problem.contains(reason) && problem.contains(instead),
                    "{problem}"
                );
            }
            Class::Honoured(_) => panic!("{line} is honoured"),
        }
    }
}

#[test]
fn one_notice_for_all_that_have_the_same_reason() {
    let text = format!("{SERVER}{PHASE2}padding {{ randomize on; strict_check on; }}\n{SERVER}");
    let config = load(&format!(
        "{text}mode_cfg {{ auth_throttle 9; accounting none; }} radiuscfg {{ timeout 3; }}"
    ));
    let found = warnings(&config);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn values_that_are_refused_have_their_place_and_a_hint() {
    for (section, line, column, words) in [
        (
            "",
            "listen { isakmp vpn.example.org; }",
            17,
            "a name instead of an address",
        ),
        (
            "",
            "listen { isakmp 192.0.2.1 [500]; isakmp 192.0.2.2 [501]; }",
            52,
            "all addresses share one IKE port; write the same port everywhere",
        ),
        (
            "",
            "listen { isakmp 192.0.2.1; isakmp_natt 192.0.2.2; }",
            40,
            "write `isakmp` with this address, too",
        ),
        (
            "",
            "listen { isakmp 192.0.2.1; isakmp_natt 192.0.2.1 [500]; }",
            51,
            "which is not the IKE port",
        ),
        ("timer", "counter 21;", 9, "write 1 to 20"),
        ("timer", "interval 0 sec;", 10, "write 1 sec to 1 hour"),
        ("timer", "phase1 4 sec;", 8, "write 5 sec to 1 hour"),
        (
            "timer",
            "natt_keepalive 2 hours;",
            16,
            "write 0 sec to 1 hour",
        ),
        (
            "listen",
            "adminsock \"/x\" \"nobody-of-that-name\" \"0\" 0660;",
            16,
            "no user `nobody-of-that-name` on this system",
        ),
        (
            "listen",
            "adminsock \"/x\" \"0\" \"none-of-that-name\" 0660;",
            20,
            "no group `none-of-that-name` on this system",
        ),
        (
            "remote",
            "script \"up.sh\" phase1_up;",
            8,
            "write the path from the root",
        ),
        ("mode_cfg", "network4 ::1;", 10, "no IPv4 address; write"),
        ("mode_cfg", "dns4 vpn.example.org;", 6, "no IPv4 address"),
        (
            "mode_cfg",
            "network4 10.9.0.1; pool_size 0;",
            30,
            "write 1 to 65536",
        ),
        (
            "mode_cfg",
            "network4 255.255.255.250; pool_size 255;",
            37,
            "within IPv4's addresses",
        ),
        (
            "mode_cfg",
            "banner \"/nowhere/motd\";",
            8,
            "write the path of one",
        ),
        (
            "remote",
            "situation secrecy;",
            11,
            "write `situation identity_only;`",
        ),
        (
            "remote",
            "situation integrity;",
            11,
            "labels are not served",
        ),
        (
            "remote",
            "my_identifier asn1dn;",
            15,
            "write `certificate_type` and rsasig",
        ),
        (
            "remote",
            "my_identifier asn1dn \"nobody\";",
            22,
            "no X.500 name; write such as \"C=CH",
        ),
        (
            "remote",
            "my_identifier keyid \"f\";",
            15,
            "write `keyid tag`",
        ),
        (
            "remote",
            "my_identifier address \"here\";",
            23,
            "no address",
        ),
        (
            "remote",
            "verify_identifier on;",
            19,
            "give every peer its own key in psk.txt",
        ),
        (
            "remote",
            "support_proxy on;",
            15,
            "write `support_proxy off;`",
        ),
        (
            "remote",
            "lifetime time 59 sec;",
            15,
            "write 1 min to 8760 hours",
        ),
        ("remote", "dpd_delay 90000;", 11, "write 0 to 86400"),
        ("remote", "dpd_retry 0;", 11, "write 1 or more"),
        ("remote", "dpd_maxfail 101;", 13, "write 1 to 100"),
        (
            "proposal",
            "encryption_algorithm aes 100;",
            26,
            "write aes 128, aes 192",
        ),
        ("sainfo", "encryption_algorithm aes 64;", 0, ""),
        (
            "sainfo",
            "pfs_group modp768;",
            11,
            "modp768: not served; write modp2048",
        ),
        (
            "sainfo",
            "lifetime time 1 sec;",
            15,
            "write 1 min to 8760 hours",
        ),
        ("", "remote \"office\" { exchange_mode main; }", 0, ""),
        (
            "",
            "remote \"x\" inherit \"gone\" { remote_address 192.0.2.7; }",
            0,
            "",
        ),
        ("", "sainfo anonymous from fqdn \"a\" { }", 0, ""),
    ] {
        if words.is_empty() {
            continue;
        }
        let (text, number) = file_with(section, line);
        // The last one counts: what the line says must not be overruled.
        let text = match section {
            "proposal" => text.replace("encryption_algorithm aes 256; hash", "hash"),
            _ => text,
        };
        let found = problems(&text);
        let [problem] = &found[..] else {
            panic!("{line}: {found:?}");
        };
        let place = format!("{number}:{column}: ");
        assert!(problem.starts_with(&place), "{line}: {problem}");
        assert!(problem.contains(words), "{line}: {problem}");
    }
}

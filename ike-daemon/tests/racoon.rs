//! racoon.conf, psk.txt and setkey scripts as configurations of the daemon: what becomes of every
//! directive, exact places of refusals, and whole installations.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ike_crypto::{Cipher, Group, Hash};
use ike_daemon::config::Config;
use ike_daemon::config::racoon::directives::{Class, DIRECTIVES, VALUES, class};
use ike_daemon::config::racoon::{self, PskFile};
use ike_proto::iana::{EspAuth, EspTransform, IdType};
use ike_proto::io::Mode;
use ike_proto::policy::{SecretPeer, Service};
use tanuki_daemon::config::Problems;
use tempfile::TempDir;

const KEY: &str = "kXv7mQz2-Tb9Lw4-Rn6Yc8";
const SERVER: &str = "remote anonymous {
    exchange_mode main;
    proposal_check obey;
    proposal { encryption_algorithm aes 256; hash_algorithm sha1;
               authentication_method pre_shared_key; dh_group modp2048; }
}
";
const PHASE2: &str = "sainfo anonymous { encryption_algorithm aes 256;
    authentication_algorithm hmac_sha256; compression_algorithm deflate; }
";

/// A folder with racoon.conf, psk.txt and perhaps policies.
struct Installation(TempDir);

impl Installation {
    fn new(conf: &str) -> Self {
        let installation = Self(TempDir::new().unwrap());
        installation.write("racoon.conf", conf);
        installation.write("psk.txt", &format!("* {KEY}\n"));
        installation
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        chmod(&self.path(name), 0o600);
    }

    fn load(&self) -> Result<Config, Problems> {
        Config::load(&self.path("racoon.conf"))
    }

    fn load_with(&self, policies: &str) -> Result<Config, Problems> {
        self.write("ipsec.conf", policies);
        racoon::load(&self.path("racoon.conf"), Some(&self.path("ipsec.conf")))
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn load(conf: &str) -> Config {
    let loaded = Installation::new(conf).load();
    loaded.unwrap_or_else(|problems| panic!("{problems}"))
}

/// All problems as `line:column: message`.
fn problems(conf: &str) -> Vec<String> {
    let installation = Installation::new(conf);
    let Err(problems) = installation.load() else {
        panic!("accepted: {conf}");
    };
    let prefix = format!("{}:", installation.path("racoon.conf").display());
    let strip = |problem: String| problem.replace(&prefix, "");
    problems.0.iter().map(|p| strip(p.to_string())).collect()
}

/// Warnings as `line:column: message`.
fn warnings(config: &Config) -> Vec<String> {
    let show = |line: usize, column: usize, text: &str| format!("{line}:{column}: {text}");
    config
        .warnings
        .iter()
        .map(|warning| show(warning.line, warning.column, &warning.message))
        .collect()
}

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
        ("", "path certificate \"x\";"),
        ("", "path script \"x\";"),
        ("", "path backupsa \"x\";"),
        ("", "path pidfile \"/var/run/racoon.pid\";"),
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
        (
            "listen",
            "adminsock \"/var/run/racoon.sock\" \"root\" \"wheel\" 0660;",
        ),
        ("listen", "adminsock disabled;"),
        ("timer", "persend 1;"),
        ("timer", "phase2 10 sec;"),
        ("remote", "xauth_login \"me\";"),
        ("remote", "certificate_type x509 \"c\" \"k\";"),
        ("remote", "ca_type x509 \"c\";"),
        ("remote", "peers_certfile \"c\";"),
        ("remote", "verify_cert on;"),
        ("remote", "send_cert on;"),
        ("remote", "send_cr on;"),
        ("remote", "match_empty_cr on;"),
        ("remote", "dh_group modp1024;"),
        ("remote", "nonce_size 16;"),
        ("remote", "lifetime byte 10 MB;"),
        ("remote", "ph1id 1;"),
        ("remote", "ike_frag on;"),
        ("remote", "esp_frag 552;"),
        ("remote", "script \"x\" phase1_up;"),
        ("remote", "mode_cfg on;"),
        ("remote", "weak_phase1_check on;"),
        ("remote", "rekey force;"),
        ("remote", "keepalive;"),
        ("proposal", "lifetime byte 10 MB;"),
        ("proposal", "gss_id \"x\";"),
        ("sainfo", "remoteid 1;"),
        ("sainfo", "reqid 7;"),
        ("sainfo", "my_identifier address;"),
        ("mode_cfg", "network4 10.9.0.1;"),
        ("mode_cfg", "netmask4 255.255.255.0;"),
        ("mode_cfg", "dns4 192.0.2.53;"),
        ("mode_cfg", "nbns4 192.0.2.53;"),
        ("mode_cfg", "wins4 192.0.2.53;"),
        ("mode_cfg", "default_domain \"x\";"),
        ("mode_cfg", "auth_source system;"),
        ("mode_cfg", "auth_groups \"x\";"),
        ("mode_cfg", "group_source system;"),
        ("mode_cfg", "conf_source local;"),
        ("mode_cfg", "accounting none;"),
        ("mode_cfg", "pool_size 255;"),
        ("mode_cfg", "banner \"/etc/motd\";"),
        ("mode_cfg", "auth_throttle 1;"),
        ("mode_cfg", "split_network include 10.1.0.0/16;"),
        ("mode_cfg", "split_dns \"x\";"),
        ("mode_cfg", "pfs_group 2;"),
        ("mode_cfg", "save_passwd on;"),
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
        "{text}mode_cfg {{ pool_size 9; save_passwd on; }} radiuscfg {{ timeout 3; }}"
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
        ("remote", "exchange_mode aggressive;", 0, ""),
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
            "certificates are not served",
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

#[test]
fn what_a_block_lacks_is_said() {
    let one = |text: &str, place: &str, words: &str| {
        let found = problems(text);
        let [problem] = &found[..] else {
            panic!("{text}: {found:?}");
        };
        assert!(problem.starts_with(&format!("{place}: ")), "{problem}");
        assert!(problem.contains(words), "{problem}");
    };
    one(PHASE2, "1:1", "write `remote anonymous { ... }`");
    one(SERVER, "1:1", "write `sainfo anonymous { ... }`");
    let no_mode = SERVER.replace("exchange_mode main;", "");
    one(
        &format!("{PHASE2}{no_mode}"),
        "3:1",
        "write `exchange_mode main;`",
    );
    let aggressive = SERVER.replace("main;", "aggressive;");
    one(
        &format!("{PHASE2}{aggressive}"),
        "4:5",
        "only main mode is served",
    );
    let no_group = SERVER.replace("dh_group modp2048;", "");
    one(
        &format!("{PHASE2}{no_group}"),
        "6:5",
        "write encryption_algorithm, hash_algorithm",
    );
    one(
        &format!("{PHASE2}remote anonymous {{ exchange_mode main; }}"),
        "3:1",
        "`proposal` is missing",
    );
    one(
        &format!("{SERVER}sainfo anonymous {{ }}"),
        "7:1",
        "incomplete",
    );
    one(
        &format!("{SERVER}{PHASE2}remote \"office\" inherit anonymous {{ }}"),
        "9:1",
        "write `remote_address` into it",
    );
    one(
        &format!(
            "{SERVER}{PHASE2}sainfo anonymous group \"vpn\" {{ encryption_algorithm aes 256; \
                  authentication_algorithm hmac_sha256; }}"
        ),
        "9:24",
        "leave `group` out",
    );
    // What could not be parsed may have been what is missing: only that is said.
    one(
        "remote anonymous {\nexchange_mod main;\n}\n",
        "2:1",
        "unknown directive",
    );
}

#[test]
fn algorithms_that_are_not_served_are_left_out_while_others_remain() {
    let text = format!(
        "{}{}",
        SERVER.replace(
            "    proposal {",
            "    proposal { encryption_algorithm des; hash_algorithm tiger;
               authentication_method rsasig; dh_group modp768; }\n    proposal {",
        ),
        PHASE2.replace("aes 256;", "blowfish 448, aes 256, null_enc;")
    );
    let config = load(&text);
    let found = warnings(&config);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(
        found
            .iter()
            .all(|warning| warning.contains("left out; the others count"))
    );
    assert!(
        found[0].starts_with("4:37: `encryption_algorithm`: des is not served"),
        "{found:?}"
    );
    assert_eq!(config.policy.phase1.groups, [Group::Modp2048]);
    // Alone they are refused, each at its place.
    let text = text.replace(
        "encryption_algorithm aes 256; hash_algorithm sha1;",
        "hash_algorithm \
                             md5; encryption_algorithm cast128;",
    );
    let found = problems(&text);
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found[0].starts_with("4:37: `encryption_algorithm`: des: not served; write aes 256"));
}

#[test]
fn proposal_check_decides_on_key_lengths_and_lifetimes() {
    let with = |check: &str| load(&format!("{}{PHASE2}", SERVER.replace("obey", check)));
    let obey = with("obey");
    assert_eq!(
        obey.policy.phase1.ciphers,
        [Cipher::Aes256, Cipher::Aes192, Cipher::Aes128]
    );
    assert!(obey.policy.phase1.lifetime_max > Duration::from_secs(30 * 86_400));
    let claim = with("claim");
    assert_eq!(claim.policy.phase1.ciphers, [Cipher::Aes256]);
    assert_eq!(
        claim.policy.phase1.lifetime_max,
        Duration::from_secs(28_800)
    );
    assert!(claim.warnings.is_empty());
    assert!(warnings(&with("strict"))[0].contains("is not refused"));
    assert!(warnings(&with("exact"))[0].contains("is not refused"));
}

#[test]
fn pfs_is_insisted_on_unless_obey() {
    let phase2 = PHASE2.replace("aes 256;", "aes 256; pfs_group 2;");
    let with = |check: &str| load(&format!("{}{phase2}", SERVER.replace("obey", check)));
    assert!(!with("obey").policy.phase2.require_pfs);
    assert!(with("claim").policy.phase2.require_pfs);
}

#[test]
fn key_files_are_refused_as_racoon_refuses_them() {
    let installation =
        Installation::new(&format!("{SERVER}{PHASE2}\npath pre_shared_key \"k\";\n"));
    let refused = |words: &str| {
        let problems = installation.load().unwrap_err();
        let [problem] = &problems.0[..] else {
            panic!("{problems}");
        };
        assert_eq!((problem.line, problem.column), (10, 21), "{problem}");
        assert!(problem.message.contains(words), "{problem}");
    };
    refused("No such file");
    installation.write("k", "192.0.2.7\n");
    refused("no key in it; write `ADDRESS KEY`");
    installation.write("k", &format!("192.0.2.7 {KEY}\n"));
    assert!(installation.load().is_ok());
    for mode in [0o640, 0o604, 0o620, 0o601] {
        chmod(&installation.path("k"), mode);
        refused("group or others may use it; its keys are not used");
    }
    fs::remove_file(installation.path("k")).unwrap();
    fs::create_dir(installation.path("k")).unwrap();
    refused("not a file");
}

#[test]
fn keys_become_secrets_of_the_same_peers() {
    let installation = Installation::new(&format!("{SERVER}{PHASE2}"));
    let text = format!(
        "# all\n192.0.2.7 {KEY}\nvpn.example.org 0x{}\nme@example.org {KEY} x\n192.0.2.7 later\n\
         broken\n* {KEY}\n192.0.2.9 never\n",
        "a1b2c3d4e5f60718".repeat(3)
    );
    installation.write("psk.txt", &text);
    let config = installation.load().unwrap();
    let secrets = &config.policy.secrets;
    let peers: Vec<&SecretPeer> = secrets.iter().map(|entry| &entry.peer).collect();
    assert_eq!(peers.len(), 6, "{peers:?}");
    assert_eq!(*peers[0], SecretPeer::Address([192, 0, 2, 7].into()));
    assert_eq!(secrets[0].secret.expose(), KEY.as_bytes());
    assert!(matches!(peers[1], SecretPeer::Identity(id) if id.kind == IdType::FQDN));
    assert_eq!(secrets[1].secret.len(), 24);
    assert!(matches!(peers[2], SecretPeer::Identity(id) if id.kind == IdType::KEY_ID));
    assert!(matches!(peers[3], SecretPeer::Identity(id) if id.kind == IdType::USER_FQDN));
    assert_eq!(*peers[5], SecretPeer::Any);
    let found = warnings(&config);
    assert!(
        found
            .iter()
            .any(|w| w.starts_with("5:1: never used: line 2")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|w| w.starts_with("6:1: line left out: no key")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|w| w.starts_with("8:1: never used: line 7")),
        "{found:?}"
    );
}

#[test]
fn edited_key_files_are_read_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("psk.txt");
    fs::write(&path, format!("* {KEY}\n")).unwrap();
    chmod(&path, 0o600);
    let mut psk = PskFile::new(path.clone());
    assert_eq!(psk.read().unwrap().secrets.len(), 1);
    let mut now = Instant::now();
    assert!(psk.refresh(now).is_none());
    fs::write(&path, format!("192.0.2.7 {KEY}\n* {KEY}\n")).unwrap();
    // Within the same second it does not look again.
    assert!(psk.refresh(now).is_none());
    now += Duration::from_secs(1);
    assert_eq!(psk.refresh(now).unwrap().unwrap().secrets.len(), 2);
    now += Duration::from_secs(1);
    assert!(psk.refresh(now).is_none());
    // Permissions count as well, and so does a file that is gone.
    chmod(&path, 0o644);
    now += Duration::from_secs(1);
    assert!(psk.refresh(now).unwrap().is_err());
    now += Duration::from_secs(1);
    assert!(psk.refresh(now).is_none());
    fs::remove_file(&path).unwrap();
    now += Duration::from_secs(1);
    assert!(psk.refresh(now).unwrap().is_err());
    fs::write(&path, format!("* {KEY}\n")).unwrap();
    chmod(&path, 0o600);
    now += Duration::from_secs(1);
    assert_eq!(psk.refresh(now).unwrap().unwrap().secrets.len(), 1);
}

#[test]
fn the_syntax_is_told_by_name_or_first_word() {
    let folder = TempDir::new().unwrap();
    for (name, text, racoon) in [
        ("a.conf", "", true),
        ("a.yaml", "remote anonymous { }", false),
        ("a.yml", "", false),
        ("a", "# racoon\npath include \"x\";", true),
        ("b", "listen { }", true),
        ("c", "listen:\n  - 192.0.2.1\n", false),
        ("d", "log: {level: debug}\n", false),
        ("e.racoon", "remote anonymous { }", true),
        ("f.sample", "# nothing\n", false),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        assert_eq!(racoon::is_racoon(&path), racoon, "{name}");
    }
    assert!(!racoon::is_racoon(&folder.path().join("gone")));
}

/// The smallest realistic server.
#[test]
fn setup_smallest_server() {
    let config = load(
        "path pre_shared_key \"psk.txt\";
path pidfile \"/var/run/racoon.pid\";
log notify;
listen { isakmp 198.51.100.9 [500]; isakmp_natt 198.51.100.9 [4500];
         adminsock \"/var/db/racoon/racoon.sock\" \"root\" \"wheel\" 0660; strict_address; }
timer { natt_keepalive 15 sec; }
remote anonymous {
    exchange_mode main; passive on; generate_policy unique; nat_traversal on;
    proposal_check obey; ike_frag on; dpd on; dpd_delay 20; initial_contact on;
    lifetime time 8 hours;
    proposal { encryption_algorithm aes 256; hash_algorithm sha1;
               authentication_method pre_shared_key; dh_group modp2048; }
    proposal { encryption_algorithm aes 256; hash_algorithm sha1;
               authentication_method pre_shared_key; dh_group modp1024; }
}
sainfo anonymous { lifetime time 1 hour; encryption_algorithm aes 256, aes 128;
    authentication_algorithm hmac_sha256, hmac_sha1; compression_algorithm deflate; }
",
    );
    assert_eq!(
        config.listen,
        ["198.51.100.9".parse::<std::net::IpAddr>().unwrap()]
    );
    assert!(config.listen_is_explicit && config.connections.is_empty());
    let policy = &config.policy;
    assert_eq!((policy.nat.ike_port, policy.nat.natt_port), (500, 4500));
    assert!(policy.nat.enabled && !policy.nat.force && policy.respond);
    assert_eq!(policy.nat.keepalive, Duration::from_secs(15));
    assert_eq!(policy.dpd.interval, Duration::from_secs(20));
    assert_eq!(
        (policy.dpd.retry, policy.dpd.attempts),
        (Duration::from_secs(5), 5)
    );
    assert_eq!(policy.phase1.hashes, [Hash::Sha1]);
    assert_eq!(policy.phase1.groups, [Group::Modp2048, Group::Modp1024]);
    assert!(policy.phase1.allow_modp1024);
    assert_eq!(policy.phase1.lifetime, Duration::from_secs(28_800));
    assert_eq!(policy.phase2.lifetime, Duration::from_secs(3600));
    let first = policy.phase2.suites[0];
    assert_eq!(
        (first.cipher, first.key_bits, first.auth),
        (EspTransform::AES_CBC, 256, EspAuth::HMAC_SHA2_256)
    );
    assert_eq!(policy.phase2.suites.len(), 6);
    assert_eq!(
        policy.phase2.services,
        [Service {
            protocol: 17,
            port: 1701
        }]
    );
    assert!(policy.phase2.transport && !policy.phase2.tunnel && !policy.phase2.require_pfs);
    let found = warnings(&config);
    let lines: Vec<&str> = found.iter().filter_map(|w| w.split(": ").next()).collect();
    assert_eq!(lines, ["2:1", "5:10", "9:26"], "{found:?}");
}

/// A FreeBSD how-to for phones: anybody with the one key, old algorithms, policies in ipsec.conf.
#[test]
fn setup_phones_with_static_policies() {
    let installation = Installation::new(
        "path pre_shared_key \"psk.txt\";
log info;
padding { maximum_length 20; randomize off; strict_check off; exclusive_tail off; }
timer { counter 5; interval 20 sec; persend 1; phase1 30 sec; phase2 15 sec; }
remote anonymous {
    exchange_mode main,aggressive;
    doi ipsec_doi;
    situation identity_only;
    my_identifier address 203.0.113.1;
    peers_identifier address;
    verify_identifier off;
    proposal_check obey;
    passive on;
    support_proxy off;
    nat_traversal force;
    generate_policy off;
    lifetime time 24 hours;
    proposal { encryption_algorithm 3des; hash_algorithm md5;
               authentication_method pre_shared_key; dh_group 2; }
}
sainfo anonymous {
    encryption_algorithm aes, 3des;
    authentication_algorithm hmac_sha1, hmac_md5;
    compression_algorithm deflate;
    lifetime time 3600 sec;
    lifetime byte 100 MB;
}
",
    );
    let config = installation
        .load_with(
            "flush;
spdflush;
spdadd 203.0.113.1[1701] 0.0.0.0/0[any] udp -P out ipsec esp/transport//require;
spdadd 0.0.0.0/0[any] 203.0.113.1[1701] udp -P in ipsec esp/transport//require;
",
        )
        .unwrap_or_else(|problems| panic!("{problems}"));
    let policy = &config.policy;
    assert_eq!(policy.phase1.ciphers, [Cipher::TripleDes]);
    assert_eq!(policy.phase1.hashes, [Hash::Md5]);
    assert!(policy.nat.force && policy.phase2.allow_3des);
    assert_eq!(policy.dpd.interval, Duration::ZERO);
    let retransmit = &policy.retransmit;
    assert_eq!((retransmit.attempts, retransmit.factor_tenths), (5, 10));
    assert_eq!(retransmit.initial, Duration::from_secs(20));
    assert_eq!(policy.limits.half_open_timeout, Duration::from_secs(30));
    assert_eq!(policy.phase2.lifetime_kilobytes, 100 * 1024);
    assert_eq!(
        policy.phase2.services,
        [Service {
            protocol: 17,
            port: 1701
        }]
    );
    let identity = policy.local_identity.as_ref().unwrap();
    assert_eq!(identity.address(), Some([203, 0, 113, 1].into()));
    // hmac_md5 is left out.
    assert!(
        policy
            .phase2
            .suites
            .iter()
            .all(|suite| suite.auth == EspAuth::HMAC_SHA1)
    );
    assert_eq!(config.listen.len(), 2);
}

/// Two offices with a tunnel between their networks, without NAT.
#[test]
fn setup_office_to_office() {
    let installation = Installation::new(
        "path pre_shared_key \"keys/psk\";
listen { isakmp 192.0.2.1; strict_address; }
remote 192.0.2.99 [500] {
    exchange_mode main;
    my_identifier address;
    peers_identifier address 192.0.2.99;
    verify_identifier on;
    initial_contact off;
    proposal_check claim;
    lifetime time 12 hour;
    proposal { encryption_algorithm aes 256; hash_algorithm sha256;
               authentication_method pre_shared_key; dh_group modp4096; }
}
sainfo address 10.1.0.0/16 any address 10.2.0.0/16 any {
    pfs_group modp4096;
    lifetime time 1 hour;
    encryption_algorithm aes 256;
    authentication_algorithm hmac_sha512;
    compression_algorithm deflate;
}
",
    );
    fs::create_dir(installation.path("keys")).unwrap();
    installation.write("keys/psk", &format!("192.0.2.99\t{KEY}\n"));
    let config = installation
        .load_with(
            "spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec
    esp/tunnel/192.0.2.1-192.0.2.99/require;
spdadd 10.2.0.0/16 10.1.0.0/16 any -P in ipsec
    esp/tunnel/192.0.2.99-192.0.2.1/require;
spdadd 10.1.9.0/24 10.2.9.0/24 any -P out ipsec
    esp/tunnel/192.0.2.1-192.0.2.99/unique:7;
",
        )
        .unwrap_or_else(|problems| panic!("{problems}"));
    let policy = &config.policy;
    assert!(!policy.nat.enabled && policy.phase2.tunnel && policy.phase2.require_pfs);
    assert_eq!(policy.phase2.networks.len(), 2);
    let [lan, second] = &config.connections[..] else {
        panic!("{:?}", config.connections);
    };
    let lan = &lan.connection;
    assert_eq!((lan.name.as_str(), lan.mode), ("192.0.2.99", Mode::Tunnel));
    assert_eq!(lan.peer, "192.0.2.99:500".parse().unwrap());
    assert_eq!(lan.local_network, Some("10.1.0.0/16".parse().unwrap()));
    assert_eq!(lan.peer_network, Some("10.2.0.0/16".parse().unwrap()));
    assert_eq!(
        (lan.pfs, lan.initial_contact),
        (Some(Group::Modp4096), false)
    );
    assert_eq!(
        lan.peer_identity.as_ref().unwrap().address(),
        Some([192, 0, 2, 99].into())
    );
    assert_eq!(second.connection.name, "192.0.2.99-2");
    let found = warnings(&config);
    assert!(
        found.iter().any(|w| w.contains("no `sainfo anonymous`")),
        "{found:?}"
    );
}

/// A server behind a router, split over files, with a branch office that dials in by name.
#[test]
fn setup_split_over_files() {
    let installation = Installation::new(
        "path include \"conf.d\";
include \"*.conf\";
include \"peers/*\";
",
    );
    for folder in ["conf.d", "conf.d/peers"] {
        fs::create_dir(installation.path(folder)).unwrap();
    }
    installation.write(
        "conf.d/10-server.conf",
        "remote anonymous { exchange_mode main; nat_traversal on; passive on; proposal_check obey;
 my_identifier fqdn \"vpn.example.org\"; generate_policy on; rekey force;
 proposal { encryption_algorithm aes 128; hash_algorithm sha256;
   authentication_method pre_shared_key; dh_group modp2048; lifetime time 24 hours; } }
",
    );
    installation.write("conf.d/20-phase2.conf", PHASE2);
    installation.write(
        "conf.d/peers/branch",
        "remote \"branch\" inherit anonymous {
 remote_address 198.51.100.20; passive off; my_identifier user_fqdn \"hq@example.org\"; }
",
    );
    let config = installation
        .load()
        .unwrap_or_else(|problems| panic!("{problems}"));
    let [branch] = &config.connections[..] else {
        panic!("{:?}", config.connections);
    };
    let branch = &branch.connection;
    assert_eq!(
        (branch.name.as_str(), branch.mode),
        ("branch", Mode::Transport)
    );
    assert_eq!(branch.peer, "198.51.100.20:500".parse().unwrap());
    assert_eq!((branch.protocol, branch.peer_port), (17, 1701));
    let identity = branch.local_identity.as_ref().unwrap();
    assert_eq!(
        (identity.kind, &identity.data[..]),
        (IdType::USER_FQDN, &b"hq@example.org"[..])
    );
    let own = config.policy.local_identity.as_ref().unwrap();
    assert_eq!(own.data, b"vpn.example.org");
    assert_eq!(config.policy.phase1.lifetime, Duration::from_secs(86_400));
    assert_eq!(config.policy.phase1.ciphers[0], Cipher::Aes128);
    // A mistake in an included file is of that file.
    installation.write("conf.d/20-phase2.conf", "sainfo anonymous {\n bogus; }\n");
    let problems = installation.load().unwrap_err();
    assert_eq!(
        problems.0[0].file,
        installation.path("conf.d/20-phase2.conf")
    );
    assert_eq!((problems.0[0].line, problems.0[0].column), (2, 2));
}

/// A server that also has XAuth users for Cisco-like clients: those proposals fall away.
#[test]
fn setup_mixed_with_xauth() {
    let config = load(
        "path certificate \"/usr/local/etc/racoon/certs\";
privsep { user \"racoon\"; group \"racoon\"; chroot \"/var/racoon\"; }
radiuscfg { auth \"radius.example.org\" 1812 \"s3cret\"; timeout 3; retries 3; }
mode_cfg { network4 10.99.0.1; netmask4 255.255.255.0; pool_size 100; auth_source radius;
  dns4 10.99.0.1; banner \"/etc/motd\"; split_network include 10.0.0.0/8; }
listen { isakmp 192.0.2.1 [500]; isakmp 2001:db8::1 [500];
  isakmp_natt 192.0.2.1 [4500]; adminsock disabled; }
remote anonymous {
  exchange_mode aggressive,main; certificate_type x509 \"gw.crt\" \"gw.key\"; send_cr off;
  mode_cfg on; nat_traversal on; proposal_check claim; ike_frag on; esp_frag 552; passive on;
  dpd_delay 30; dpd_retry 10; dpd_maxfail 3; generate_policy on;
  proposal { encryption_algorithm aes; hash_algorithm sha1;
    authentication_method hybrid_rsa_server; dh_group 2; }
  proposal { encryption_algorithm aes 256; hash_algorithm sha256;
    authentication_method pre_shared_key; dh_group 14; }
  proposal { encryption_algorithm 3des; hash_algorithm sha1;
    authentication_method pre_shared_key; dh_group 2; }
}
sainfo anonymous { encryption_algorithm aes, blowfish 448, 3des;
  authentication_algorithm hmac_sha1, hmac_md5; compression_algorithm deflate; }
sainfo anonymous clientaddr { encryption_algorithm aes 256; lifetime time 30 min;
  authentication_algorithm hmac_sha1; compression_algorithm deflate; }
",
    );
    let policy = &config.policy;
    assert_eq!(policy.phase1.ciphers, [Cipher::Aes256, Cipher::TripleDes]);
    assert_eq!(policy.dpd.interval, Duration::from_secs(30));
    assert_eq!(
        (policy.dpd.retry, policy.dpd.attempts),
        (Duration::from_secs(10), 3)
    );
    assert_eq!(config.listen.len(), 2);
    assert!(!config.listen_is_explicit);
    let found = warnings(&config);
    let says = |words: &str| {
        assert!(
            found.iter().any(|w| w.contains(words)),
            "{words}: {found:#?}"
        )
    };
    says("aggressive mode is not served");
    says("hybrid_rsa_server is not served and left out");
    says("any mixture of the algorithms");
    says("blowfish is not served and left out");
    says("hmac_md5 is not served and left out");
    says("XAuth and mode-config are not served");
    says("21:75: `lifetime time`: line 19 has it otherwise: not the same for all peers");
}

/// Several peers by address with settings of their own: what differs is said or refused.
#[test]
fn setup_several_peers() {
    let other =
        |body: &str| format!("{SERVER}{PHASE2}remote 192.0.2.7 inherit anonymous {{\n{body}\n}}\n");
    let same = load(&other(""));
    assert_eq!(same.connections.len(), 1);
    for (body, place, words) in [
        (
            "nat_traversal on;",
            "10:15",
            "that of the first block counts",
        ),
        ("lifetime time 1 hour;", "10:15", "line 1 has it otherwise"),
        (
            "proposal_check claim;",
            "10:16",
            "that of the first block counts",
        ),
        ("dpd_delay 9;", "10:1", "that of the first block counts"),
    ] {
        let found = warnings(&load(&other(body)));
        let [warning] = &found[..] else {
            panic!("{body}: {found:?}");
        };
        assert!(warning.contains(words), "{warning}");
        assert!(warning.starts_with(&place[..3]), "{place} {warning}");
    }
    for (body, place, words) in [
        (
            "proposal { encryption_algorithm 3des; hash_algorithm sha1;
               authentication_method pre_shared_key; dh_group modp2048; }",
            "10:1",
            "algorithms that are not allowed to all peers",
        ),
        (
            "passive on; my_identifier fqdn \"x\";",
            "10:13",
            "write the same identifier everywhere",
        ),
        (
            "peers_identifier fqdn \"a\"; peers_identifier fqdn \"b\"; verify_identifier on;",
            "10:28",
            "write one",
        ),
        (
            "peers_identifier asn1dn; verify_identifier on;",
            "10:18",
            "certificates",
        ),
    ] {
        let found = problems(&other(body));
        let [problem] = &found[..] else {
            panic!("{body}: {found:?}");
        };
        assert!(problem.starts_with(&format!("{place}: ")), "{problem}");
        assert!(problem.contains(words), "{problem}");
    }
    let found = problems(&other("").replace("inherit anonymous", "inherit \"gone\""));
    assert!(
        found[0].starts_with("9:26: `inherit`: no such `remote` above"),
        "{found:?}"
    );
    let config = Installation::new(&other(""));
    config.write("psk.txt", &format!("192.0.2.8 {KEY}\n"));
    let found = warnings(&config.load().unwrap());
    assert!(
        found[0].contains("no key for 192.0.2.7 in psk.txt yet"),
        "{found:?}"
    );
}

#[test]
fn other_phase_2_settings_are_refused_where_they_allow_more() {
    let other = |body: &str| {
        format!(
            "{SERVER}{PHASE2}sainfo address 10.0.0.0/8 any anonymous {{ \
             authentication_algorithm hmac_sha256;\n{body}\n}}\n"
        )
    };
    load(&other("encryption_algorithm aes 256;"));
    let found = problems(&other("encryption_algorithm 3des;"));
    assert!(
        found[0].starts_with("10:1: `sainfo`: line 7 has it otherwise"),
        "{found:?}"
    );
    let found = problems(&other("encryption_algorithm aes 256; pfs_group 2;"));
    assert!(
        found[0].starts_with("10:41: `pfs_group`: line 7 has it otherwise"),
        "{found:?}"
    );
}

#[test]
fn policies_that_cannot_be_kept_are_refused_at_their_place() {
    let installation = Installation::new(&format!("{SERVER}{PHASE2}"));
    let spdadd = "spdadd 192.0.2.1[1701] 0.0.0.0/0 udp -P out ipsec";
    for (text, place, words) in [
        (
            format!("{spdadd} ah/transport//require;"),
            "1:51",
            "only ESP is served",
        ),
        (
            format!("{spdadd} esp/transport//use ah/transport//use;"),
            "1:70",
            "bundles are not served",
        ),
        (
            format!("{spdadd} esp/any//use;"),
            "1:51",
            "write transport or tunnel",
        ),
        (
            "spdadd vpn.example.org 0.0.0.0/0 udp -P in ipsec esp/transport//use;".into(),
            "1:8",
            "write the address",
        ),
        (
            "\nadd 192.0.2.1 192.0.2.2 esp 9 -E null;".into(),
            "2:1",
            "installs no SAs with keys from a file; leave it to setkey(8)",
        ),
        ("spdadd;".into(), "1:7", "expected an address"),
    ] {
        let problems = installation.load_with(&text).unwrap_err();
        let [problem] = &problems.0[..] else {
            panic!("{text}: {problems}");
        };
        let file = installation.path("ipsec.conf");
        assert!(
            problem
                .to_string()
                .starts_with(&format!("{}:{place}: ", file.display())),
            "{problem}"
        );
        assert!(problem.message.contains(words), "{problem}");
    }
    let config = installation
        .load_with(
            "spdadd ::/0 ::/0 58 -P in none; spdadd ::/0 ::/0 any -P in ipsec esp/transport//use;",
        )
        .unwrap();
    assert!(config.policy.phase2.services.is_empty());
    assert!(warnings(&config)[0].contains("left to setkey(8)"));
    let quiet = "flush; spdflush; dump; spddump; get 192.0.2.1 192.0.2.2 esp 9;
 delete 192.0.2.1 192.0.2.2 esp 9; deleteall 192.0.2.1 192.0.2.2 esp;
 spddelete ::/0 ::/0 any -P in none;";
    assert!(!installation.load_with(quiet).unwrap().warnings.is_empty());
}

#[test]
fn large_files_are_refused() {
    let installation = Installation::new(&"log info;\n".repeat(1 << 20));
    let problems = installation.load().unwrap_err();
    assert!(
        problems.to_string().contains("more than 4 MiB"),
        "{problems}"
    );
}

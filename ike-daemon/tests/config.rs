//! `ike-daemon.yaml`: every problem at its exact place with what would be accepted, and the
//! defaults.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};
use ike_daemon::config::write::{Secrets, yaml};
use ike_daemon::config::{Config, KernelChoice, Start};
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::io::Mode;
use ike_proto::policy::{Fragmentation, SecretPeer, Sha256Icv};
use ike_proto::wire::id::Identification;
use proptest::prelude::*;
use tanuki_daemon::config::Source;

const PSK: &str = "secrets:\n  - psk: kXv7mQz2-Tb9Lw4-Rn6Yc8\n";

fn load(text: &str) -> Config {
    Config::from_source(&Source::new("ike.yaml", text))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// All problems as `line:column: message`.
fn problems(text: &str) -> Vec<String> {
    let problems = Config::from_source(&Source::new("ike.yaml", text)).unwrap_err();
    problems
        .0
        .iter()
        .map(|problem| {
            problem
                .to_string()
                .strip_prefix("ike.yaml:")
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// Asserts that there is one problem, that it stands at `place`, and that it says `words`.
fn refused(text: &str, place: &str, words: &str) {
    let found = problems(text);
    let [problem] = &found[..] else {
        panic!("expected one problem: {found:?}");
    };
    assert!(problem.starts_with(&format!("{place}: ")), "{problem}");
    assert!(problem.contains(words), "{problem}");
}

#[test]
fn a_secret_is_enough() {
    let config = load(PSK);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.kernel, KernelChoice::Auto);
    assert!(config.connections.is_empty());
    let policy = &config.policy;
    assert_eq!(policy.secrets.len(), 1);
    assert_eq!(policy.secrets[0].peer, SecretPeer::Any);
    assert_eq!(policy.secrets[0].secret.expose(), b"kXv7mQz2-Tb9Lw4-Rn6Yc8");
    assert!(policy.respond && policy.nat.enabled && !policy.phase1.allow_modp1024);
    assert_eq!(policy.phase1.lifetime, Duration::from_secs(28_800));
    assert!(policy.phase2.transport && !policy.phase2.tunnel);
    assert_eq!((policy.nat.ike_port, policy.nat.natt_port), (500, 4500));
}

/// The files that the sample names, as OpenSSL made them.
fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/pki/tests/fixtures");
    for (from, to) in [
        ("server.pem", "vpn.example.org.pem"),
        ("server.key.pem", "vpn.example.org.key"),
        ("root.pem", "ca.pem"),
        ("root.crl.pem", "crl.pem"),
        ("../../../../etc/users.yaml.sample", "users.yaml"),
    ] {
        let to = folder.path().join(to);
        std::fs::copy(format!("{fixtures}/{from}"), &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

#[test]
fn the_sample_is_valid_and_says_the_defaults() {
    let text = include_str!("../../etc/ike-daemon.yaml.sample");
    let config = load(text);
    assert_eq!(config.policy.secrets.len(), 1);
    // With every commented example switched on it is valid, too.
    let prose = |rest: &str| rest.starts_with(' ') && !rest.starts_with("  ");
    let all: String = text
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| !prose(rest))
                .unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let all = all.replace(
        "psk_file: /usr/local/etc/tanuki/office.psk",
        "psk: another-long-random-key-2",
    );
    let folder = certificates();
    let all = all.replace(
        "/usr/local/etc/tanuki",
        &folder.path().display().to_string(),
    );
    let all = load(&all);
    assert_eq!(all.connections.len(), 1);
    // What stands there as the default is the default.
    let (default, sample) = (&config.policy, &all.policy);
    assert_eq!(default.phase1.ciphers, sample.phase1.ciphers);
    assert_eq!(default.phase1.hashes, sample.phase1.hashes);
    assert_eq!(default.phase1.groups, sample.phase1.groups);
    assert_eq!(default.phase1.lifetime, sample.phase1.lifetime);
    assert_eq!(default.phase2.suites, sample.phase2.suites);
    assert_eq!(default.phase2.services, sample.phase2.services);
    assert_eq!(default.phase2.lifetime, sample.phase2.lifetime);
    assert_eq!(format!("{:?}", default.nat), format!("{:?}", sample.nat));
    assert_eq!(format!("{:?}", default.dpd), format!("{:?}", sample.dpd));
    assert_eq!(
        format!("{:?}", default.retransmit),
        format!("{:?}", sample.retransmit)
    );
    assert_eq!(
        format!("{:?}", default.limits),
        format!("{:?}", sample.limits)
    );
    assert_eq!(default.aggressive, sample.aggressive);
    assert_eq!(
        format!("{:?}", default.fragmentation),
        format!("{:?}", sample.fragmentation)
    );
    assert_eq!(config.listen, all.listen);
}

#[test]
fn everything_can_be_said() {
    let config = load(
        "listen: 192.0.2.1
port: 5000
identity: vpn.example.org
kernel: soft
secrets:
  - peers: [192.0.2.7, 198.51.100.0/24, me@example.org]
    psk: kXv7mQz2-Tb9Lw4-Rn6Yc8
  - psk: pWq3nBd5-Hs8Kf2-Jt4Vg7
phase1:
  ciphers: [aes128]
  hashes: [sha1]
  groups: [modp1024, curve25519]
  allow_modp1024: true
  lifetime: 48h
phase2:
  suites: [aes128-gcm, 3des-sha1]
  allow_3des: true
  modes: [transport, tunnel]
  networks: [10.1.0.0/16]
  traffic: any
  lifetime_max: 1h
nat_t: {force: true, keepalive: 0, port: 4501}
dpd: {interval: 0}
retransmit: {initial: 500ms, factor: 2, attempts: 3}
limits: {half_open: 5}
connections:
  office:
    peer: 192.0.2.7:5500
    start: auto
  lan:
    peer: 2001:db8::7
    mode: tunnel
    local_network: 10.1.0.0/16
    peer_network: 10.2.0.0/16
    pfs: ecp256
log: {level: debug}
",
    );
    let policy = &config.policy;
    assert_eq!(
        config.listen,
        ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]
    );
    assert!(config.listen_is_explicit);
    assert_eq!(policy.secrets.len(), 4);
    assert_eq!(policy.phase1.ciphers, [Cipher::Aes128]);
    assert_eq!(policy.phase1.hashes, [Hash::Sha1]);
    assert_eq!(policy.phase1.groups, [Group::Modp1024, Group::Curve25519]);
    // The maximum follows a longer lifetime, and a lifetime a shorter maximum.
    assert_eq!(policy.phase1.lifetime_max, Duration::from_secs(48 * 3600));
    assert_eq!(policy.phase2.lifetime, Duration::from_secs(3600));
    assert_eq!(policy.phase2.suites.len(), 2);
    assert_eq!(policy.phase2.suites[0].cipher, EspTransform::AES_GCM_16);
    assert_eq!(policy.phase2.suites[1].auth, EspAuth::HMAC_SHA1);
    assert!(policy.phase2.services.is_empty());
    assert_eq!((policy.nat.ike_port, policy.nat.natt_port), (5000, 4501));
    assert!(policy.nat.force && policy.nat.keepalive.is_zero() && policy.dpd.interval.is_zero());
    assert_eq!(policy.retransmit.factor_tenths, 20);
    assert_eq!(policy.limits.half_open, 5);
    let [lan, office] = &config.connections[..] else {
        panic!("two connections")
    };
    assert_eq!(office.connection.peer, "192.0.2.7:5500".parse().unwrap());
    assert_eq!(
        (office.connection.protocol, office.connection.peer_port),
        (17, 1701)
    );
    assert_eq!(
        (office.connection.mode, office.start),
        (Mode::Transport, Start::Auto)
    );
    assert!(office.connection.local.is_unspecified());
    assert_eq!(lan.connection.peer, "[2001:db8::7]:5000".parse().unwrap());
    assert_eq!(
        (lan.connection.mode, lan.connection.protocol),
        (Mode::Tunnel, 0)
    );
    assert_eq!(lan.connection.pfs, Some(Group::Ecp256));
}

#[test]
fn unknown_words_are_refused_where_they_stand() {
    refused(
        &format!("{PSK}secret: x\n"),
        "3:1",
        "unknown field `secret`, expected one of `listen`",
    );
    refused(
        "secrets:\n  - psk: kXv7mQz2-Tb9Lw4-Rn6Yc8\n    peer: any\n",
        "3:5",
        "unknown field `peer`, expected one of `peers`, `psk`, `psk_hex`, `psk_file`",
    );
    refused(
        &format!("{PSK}kernel: linux\n"),
        "3:9",
        "expected one of `auto`, `system`, `soft`",
    );
}

#[test]
fn wrong_values_are_refused_where_they_stand() {
    refused(
        &format!("{PSK}listen: 300.1.1.1\n"),
        "3:9",
        "`300.1.1.1` is no address",
    );
    refused(
        &format!("{PSK}listen: ['::1', x]\n"),
        "3:17",
        "`x` is no address",
    );
    refused(&format!("{PSK}port: 70000\n"), "3:7", "70000");
    refused(
        "secrets:\n  - psk: kXv7mQz2-Tb9Lw4-Rn6Yc8\n    peers: 10.0.0.0/40\n",
        "3:12",
        "`10.0.0.0/40` is no peer; expected any, an address",
    );
    refused(
        &format!("{PSK}phase1:\n  groups: [modp2048, modp768]\n"),
        "4:22",
        "unknown Diffie-Hellman group `modp768`; expected modp1024, modp1536",
    );
    refused(
        &format!("{PSK}phase1:\n  hashes: [sha3]\n"),
        "4:12",
        "expected md5, sha1, sha256",
    );
    refused(
        &format!("{PSK}phase1:\n  ciphers: [des]\n"),
        "4:13",
        "expected 3des, aes128",
    );
    refused(
        &format!("{PSK}phase2:\n  suites: [aes-sha1]\n"),
        "4:12",
        "unknown ESP suite",
    );
    refused(
        &format!("{PSK}phase2:\n  traffic: l2tp\n"),
        "4:12",
        "expected udp/1701, tcp/443 or any",
    );
    refused(
        &format!("{PSK}phase1:\n  lifetime: 8 hours\n"),
        "4:13",
        "`8 hours` is no span of time",
    );
    refused(
        &format!("{PSK}log:\n  level: loud\n"),
        "4:10",
        "unknown log level",
    );
}

#[test]
fn what_depends_on_several_values_is_refused_where_it_stands() {
    refused("kernel: soft\n", "1:1", "secrets: none given");
    refused(&format!("{PSK}port: 0\n"), "3:7", "expected 1 to 65535");
    refused(
        &format!("{PSK}phase1:\n  lifetime: 5s\n"),
        "4:13",
        "expected 60s or more",
    );
    refused(
        &format!("{PSK}phase2:\n  lifetime: 2h\n  lifetime_max: 1h\n"),
        "5:17",
        "shorter than `lifetime`",
    );
    refused(
        &format!("{PSK}phase2:\n  modes: tunnel\n"),
        "4:10",
        "tunnel mode needs `networks`",
    );
    refused(&format!("{PSK}phase1:\n  groups: []\n"), "4:11", "empty");
    refused(
        &format!("{PSK}respond: false\n"),
        "3:10",
        "no connection either",
    );
    refused("secrets:\n  - peers: any\n", "2:5", "no key; expected psk");
    refused(
        "secrets:\n  - psk: ''\n",
        "2:10",
        "empty; expected a long random text",
    );
    refused(
        &format!("{PSK}  - psk: pWq3nBd5-Hs8Kf2-Jt4Vg7\n"),
        "3:5",
        "a secret for the same peer stands above",
    );
    refused(
        "secrets:\n  - psk_file: /nowhere/x.psk\n",
        "2:15",
        "/nowhere/x.psk: No such file or directory",
    );
    refused(
        &format!("{PSK}limits:\n  dh_jobs: 0\n"),
        "4:12",
        "expected 1 to 1000000",
    );
    refused(
        &format!("{PSK}dpd:\n  attempts: 0\n"),
        "4:13",
        "expected 1 to 100",
    );
}

#[test]
fn fragmentation_is_checked() {
    let mode = |text: &str| load(&format!("{PSK}{text}")).policy.fragmentation.mode;
    assert_eq!(mode(""), Fragmentation::On);
    for (word, expected) in [
        ("on", Fragmentation::On),
        ("off", Fragmentation::Off),
        ("false", Fragmentation::Off),
        ("force", Fragmentation::Force),
    ] {
        assert_eq!(mode(&format!("fragmentation: {word}\n")), expected);
    }
    refused(
        &format!("{PSK}fragmentation: maybe\n"),
        "3:16",
        "unknown fragmentation `maybe`; expected on, off or force",
    );
    for size in ["575", "9001", "0"] {
        refused(
            &format!("{PSK}fragment_size: {size}\n"),
            "3:16",
            "expected 576 to 9000",
        );
    }
    let small = load(&format!("{PSK}fragment_size: 576\n"));
    assert_eq!(small.policy.fragmentation.size, 576);
}

/// Everything that peers may need to differ in can be said for some of them, and the rest stays.
#[test]
fn remotes_have_every_switch() {
    let text = format!(
        "{PSK}remotes:\n  old:\n    peers: 192.0.2.0/24\n    aggressive: true\n    fragmentation: off\n    \
         nat_t: {{drafts: false, force: true, keepalive: 5s}}\n    dpd: {{interval: 0, silence: 1m}}\n    \
         phase1: {{allow_modp1024: true}}\n    phase2: {{allow_3des: true, sha2_96: auto}}\n"
    );
    let config = load(&text);
    let policy = &config.policy;
    let at = |last| policy.terms([192, 0, last, 7].into());
    let (old, others) = (at(2), at(3));
    assert!(old.aggressive && !others.aggressive);
    assert_eq!(old.fragmentation, Fragmentation::Off);
    assert_eq!(others.fragmentation, Fragmentation::On);
    assert!(old.nat.enabled && !old.nat.drafts && old.nat.force);
    assert!(others.nat.drafts && !others.nat.force);
    assert_eq!(old.nat.keepalive, Duration::from_secs(5));
    assert!(old.dpd.interval.is_zero());
    assert_eq!(old.dpd.silence, Duration::from_secs(60));
    assert_eq!(others.dpd.silence, Duration::from_secs(150));
    assert!(old.phase1.allow_modp1024 && !others.phase1.allow_modp1024);
    assert!(old.phase2.allow_3des && !others.phase2.allow_3des);
    assert_eq!(old.phase2.sha256_icv, Sha256Icv::Detect);
    let warned = config.warnings.iter().map(ToString::to_string);
    assert!(warned.into_iter().any(|text| text.contains("offline")));
    // Written down and read again it is the same.
    let again = load(&yaml(&config, Secrets::Shown, &|_: &str| None));
    assert_eq!(
        format!("{:?}", again.policy.remotes),
        format!("{:?}", policy.remotes)
    );
    let remote = |rest: &str| format!("{PSK}remotes:\n  a:\n    peers: 192.0.2.7\n    {rest}\n");
    let cases = [
        (
            "nat_t: {enabled: false, force: true}",
            "6:36",
            "`enabled` is false",
        ),
        ("nat_t: {port: 4500}", "6:13", "port"),
        ("dpd: {silence: 1s}", "6:20", "expected 10s or more"),
        ("dpd: {attempts: 0}", "6:21", "expected 1 to 100"),
        ("fragmentation: maybe", "6:20", "expected on, off or force"),
    ];
    for (rest, place, words) in cases {
        refused(&remote(rest), place, words);
    }
}

#[test]
fn aggressive_mode_is_warned_about() {
    let warnings = |text: &str| {
        let config = load(text);
        let found: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        (config.policy, found)
    };
    let (policy, found) = warnings(PSK);
    assert!(!policy.aggressive);
    assert_eq!(found, [""; 0]);
    let (policy, found) = warnings(&format!("{PSK}aggressive: true\n"));
    assert!(policy.aggressive);
    let [offline, useless] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(
        offline.starts_with("ike.yaml:3:13: aggressive: "),
        "{offline}"
    );
    assert!(offline.contains("offline"), "{offline}");
    assert!(useless.contains("nobody can use it"), "{useless}");
    let group = "    peers: [group:staff, road.example]\naggressive: true\n";
    let (policy, found) = warnings(&format!("{PSK}{group}"));
    assert_eq!(found.len(), 1, "{found:?}");
    let staff = SecretPeer::Identity(Identification::from_key_id(b"staff"));
    assert_eq!(policy.secrets[0].peer, staff);
    refused(&format!("{PSK}    peers: 'group:'\n"), "3:12", "is no peer");
    refused(&format!("{PSK}aggressive: perhaps\n"), "3:13", "");
}

#[test]
fn connections_are_checked() {
    let with = |lines: &str| {
        format!(
            "secrets:\n  - peers: 192.0.2.7\n    psk: kXv7mQz2-Tb9Lw4-Rn6Yc8\nconnections:\n  a:\n{lines}"
        )
    };
    refused(
        &with("    peer: 192.0.2.8\n"),
        "6:11",
        "no secret for 192.0.2.8; add one",
    );
    refused(
        &with("    peer: vpn.example.org\n"),
        "6:11",
        "is no address",
    );
    refused(
        &with("    peer: 192.0.2.7\n    local: '::1'\n"),
        "7:12",
        "same family",
    );
    refused(&with("    start: auto\n"), "6:5", "missing field `peer`");
    refused(
        &with("    peer: 192.0.2.7\n    local_network: 10.0.0.0/8\n"),
        "7:20",
        "only with `mode: tunnel`",
    );
    assert_eq!(
        problems(&with("    peer: 192.0.2.7\n    mode: tunnel\n")),
        [
            "7:11: connections.a.mode: tunnel mode needs `local_network`",
            "7:11: connections.a.mode: tunnel mode needs `peer_network`",
        ]
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(&format!(
        "{PSK}port: 0\nphase1:\n  lifetime: 1s\nlimits:\n  ike_sas: 0\n  quick_modes: 0\n"
    ));
    let places: Vec<&str> = found
        .iter()
        .map(|p| p.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(places, ["3:7", "5:13", "7:12", "8:16"]);
}

#[test]
fn broken_yaml_is_refused_where_it_breaks() {
    let found = problems("secrets:\n  - psk: \"open\nkernel: soft\n");
    assert!(
        found[0].starts_with("2:") || found[0].starts_with("4:"),
        "{found:?}"
    );
    refused("- a\n- b\n", "1:1", "invalid type: sequence");
}

#[test]
fn weak_keys_are_warned_about_and_never_shown() {
    for weak in ["hunter2", "abababababababababababab"] {
        let config = load(&format!("secrets:\n  - psk: {weak}\n"));
        let [warning] = &config.warnings[..] else {
            panic!("{:?}", config.warnings)
        };
        let text = warning.to_string();
        assert!(
            text.starts_with("ike.yaml:2:10: secrets.0.psk: weak pre-shared key"),
            "{text}"
        );
        assert!(!text.contains(weak));
        assert!(!format!("{config:?}").contains(weak));
    }
    let both = problems("secrets:\n  - psk: hunter2\n    psk_file: /x\n");
    assert!(
        both[0].starts_with("2:5: secrets.0: more than one"),
        "{both:?}"
    );
    assert!(!both[0].contains("hunter2"));
}

#[test]
fn numbers_are_keys_too() {
    let config = load("secrets:\n  - psk: 31415926535897932384626433832795\n");
    assert_eq!(
        config.policy.secrets[0].secret.expose(),
        b"31415926535897932384626433832795"
    );
}

#[test]
fn keys_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.psk");
    std::fs::write(&path, "kXv7mQz2-Tb9Lw4-Rn6Yc8\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!("secrets:\n  - psk_file: {}\n", path.display());
    let config = load(&text);
    assert_eq!(
        config.policy.secrets[0].secret.expose(),
        b"kXv7mQz2-Tb9Lw4-Rn6Yc8"
    );
    assert!(config.warnings.is_empty());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load(&text).warnings[0].to_string().contains("chmod 600"));
    std::fs::write(&path, "\n").unwrap();
    refused(&text, "2:15", "empty");
    std::fs::write(&path, [b'x'; 5000]).unwrap();
    refused(&text, "2:15", "longer than 4096 octets");
}

#[test]
fn unwise_choices_are_warned_about() {
    let warnings = |text: &str| {
        let config = load(&format!("{PSK}{text}"));
        config
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(
        warnings("phase1:\n  groups: [modp1024, modp2048]\n")
            .contains("4:11: phase1.groups: modp1024")
    );
    assert!(warnings("phase1:\n  hashes: [md5]\n").contains("md5"));
    assert!(warnings("phase2:\n  suites: [3des-sha1]\n").contains("allow_3des"));
}

proptest! {
    /// Whatever an operator types is accepted or refused.
    #[test]
    fn no_text_panics(text in "(secrets|listen|phase1|connections|log|[a-z]{0,3}|[: \n\\-\\[\\]{}'\"#,&*!|>%@0-9.]){0,40}") {
        let _ = Config::from_source(&Source::new("ike.yaml", text));
    }

    /// The same below known keys.
    #[test]
    fn no_value_panics(
        key in "(listen|port|identity|respond|secrets|phase1|phase2|nat_t|dpd|retransmit|limits|kernel|connections|log)",
        value in ".{0,30}",
    ) {
        let _ = Config::from_source(&Source::new("ike.yaml", format!("{PSK}{key}: {value}\n")));
    }
}

#[test]
fn what_racoon_had_can_be_written_too() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("ipsec.conf");
    let setkey = format!("{PSK}setkey: {}\n", script.display());
    let gone = problems(&setkey);
    assert!(
        gone[0].starts_with("3:9: setkey: ") && gone[0].contains("ipsec.conf"),
        "{gone:?}"
    );
    std::fs::write(
        &script,
        "spdadd 10.0.0.0/8 192.0.2.1[1701] udp -P in none;\nspdad;\n",
    )
    .unwrap();
    let wrong = Config::from_source(&Source::new("ike.yaml", &setkey)).unwrap_err();
    let place = format!("{}:2:1: unknown command", script.display());
    assert!(wrong.to_string().starts_with(&place), "{wrong}");
    std::fs::write(
        &script,
        "spdadd 10.0.0.0/8 192.0.2.1[1701] udp -P in none;\n",
    )
    .unwrap();
    let config = load(&setkey);
    assert_eq!(config.static_entries.len(), 1);
    // A script says nothing about what peers may carry: `traffic` does.
    assert_eq!(config.policy.phase2.services.len(), 1);
    assert!(load(PSK).admin_socket.is_none());
    let config = load(&format!(
        "{PSK}admin_socket: {{path: /x/r.sock, owner: 0, group: wheel, mode: 0660}}\n\
         scripts: {{phase1_dead: /x/dead}}\n"
    ));
    let socket = config.admin_socket.unwrap();
    assert_eq!(
        (socket.owner, socket.group, socket.mode),
        (Some(0), Some(0), 0o660)
    );
    assert_eq!(
        config.scripts[0].dead.as_deref(),
        Some(std::path::Path::new("/x/dead"))
    );
    for (text, words) in [
        (
            "admin_socket: {path: /x, mode: 0999}\n",
            "are no permissions; expected octal",
        ),
        (
            "admin_socket: {path: /x, owner: no-such-one}\n",
            "no user `no-such-one`",
        ),
        ("scripts: {phase1_up: up.sh}\n", "no path from the root"),
        (
            "secrets: [{psk_hex: abc}]\n",
            "expected hex digits, two for every octet",
        ),
    ] {
        let text = match text.starts_with("secrets") {
            true => text.to_owned(),
            false => format!("{PSK}{text}"),
        };
        let found = problems(&text);
        assert!(found[0].contains(words), "{found:?}");
    }
}

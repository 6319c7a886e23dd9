//! racoon's files as `ike-daemon.yaml`: it loads, it means the same, and it says where everything
//! comes from.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ike_daemon::config::{Config, racoon};
use tanuki_import::Import;

const KEY: &str = "kXv7mQz2-Tb9Lw4-Rn6Yc8";

struct Installation(tempfile::TempDir);

impl Installation {
    fn new(conf: &str, psk: &[u8]) -> Self {
        let own = Self(tempfile::tempdir().unwrap());
        fs::write(own.path("racoon.conf"), conf).unwrap();
        fs::write(own.path("psk.txt"), psk).unwrap();
        fs::set_permissions(own.path("psk.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        own
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn import(&self, scripts: &[PathBuf]) -> Import {
        let mut import = Import::default();
        tanuki_import::racoon::import(&self.path("racoon.conf"), scripts, &mut import)
            .unwrap_or_else(|problems| panic!("{problems}"));
        import
    }

    /// The YAML, after it was shown to mean the same as the files it was made from.
    fn same(&self, scripts: &[PathBuf]) -> String {
        let import = self.import(scripts);
        let [document] = &import.documents[..] else {
            panic!("{:?}", import.documents);
        };
        let before = racoon::load(&self.path("racoon.conf"), scripts)
            .unwrap()
            .config;
        let file = self.path("ike-daemon.yaml");
        fs::write(&file, &document.text).unwrap();
        let after = Config::load(&file, &[])
            .unwrap_or_else(|problems| panic!("{problems}\n{}", document.text));
        let shown = |config: &Config| {
            let mut connections = config.connections.clone();
            connections.sort_by(|a, b| a.connection.name.cmp(&b.connection.name));
            let mut policy = config.policy.clone();
            policy.remotes.sort_by(|a, b| a.name.cmp(&b.name));
            format!(
                "{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:?}",
                policy,
                connections,
                config.listen,
                config.log,
                config.static_entries,
                config.kernel,
            )
        };
        assert_eq!(shown(&after), shown(&before), "{}", document.text);
        for (one, other) in before.policy.secrets.iter().zip(&after.policy.secrets) {
            assert!(one.secret == other.secret, "{:?}", one.peer);
        }
        document.text.clone()
    }
}

fn line<'t>(text: &'t str, start: &str) -> &'t str {
    text.lines()
        .find(|line| line.trim_start().starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in\n{text}"))
}

#[test]
fn a_server_for_roaming_clients() {
    let installation = Installation::new(
        "path pre_shared_key \"psk.txt\";
log debug;
listen { isakmp 198.51.100.9 [500]; isakmp_natt 198.51.100.9 [4500];
  adminsock \"/var/db/racoon/racoon.sock\" \"root\" \"wheel\" 0660; }
timer { counter 4; interval 7 sec; natt_keepalive 15 sec; phase1 30 sec; }
remote anonymous {
  exchange_mode main, aggressive; passive on; generate_policy unique; nat_traversal force;
  my_identifier fqdn \"vpn.example.org\"; proposal_check claim; ike_frag force;
  dpd_delay 20; dpd_retry 4; dpd_maxfail 3; lifetime time 8 hours;
  script \"/opt/up\" phase1_up;
  proposal { encryption_algorithm aes 256; hash_algorithm sha1;
    authentication_method pre_shared_key; dh_group modp2048; }
  proposal { encryption_algorithm 3des; hash_algorithm sha1;
    authentication_method pre_shared_key; dh_group modp1024; } }
sainfo anonymous { lifetime time 1 hour; lifetime byte 50 MB; encryption_algorithm aes 256, 3des;
  authentication_algorithm hmac_sha256, hmac_sha1; compression_algorithm deflate; }
",
        format!("10.0.0.9 {KEY}\nann@example.org {KEY}\n* 0x00ff10\n").as_bytes(),
    );
    let text = installation.same(&[]);
    for (start, comment) in [
        ("listen:", "racoon.conf:3"),
        ("identity:", "racoon.conf:8"),
        ("aggressive:", "racoon.conf:7"),
        ("fragmentation: force", "racoon.conf:8"),
        ("ciphers:", "racoon.conf:13"),
        ("suites:", "racoon.conf:15"),
        ("keepalive: 15s", "racoon.conf:5"),
        ("interval: 20s", "racoon.conf:9"),
        ("half_open_timeout: 30s", "racoon.conf:5"),
        ("admin_socket:", "racoon.conf:4"),
        ("level: debug", "racoon.conf:2"),
        ("- peers: \"10.0.0.9\"", "psk.txt:1"),
        ("- peers: \"any\"", "psk.txt:3"),
    ] {
        let line = line(&text, start);
        assert!(line.ends_with(&format!("# {comment}")), "{line}");
    }
    // Octets that are no text.
    assert!(text.contains("psk_hex: \"00ff10\""), "{text}");
    assert!(line(&text, "phase1_up:").contains("/opt/up"));
}

#[test]
fn offices_with_tunnels() {
    let installation = Installation::new(
        "remote anonymous { exchange_mode main; nat_traversal on; proposal_check obey;
  proposal { encryption_algorithm aes 128; hash_algorithm sha256;
    authentication_method pre_shared_key; dh_group 14; } }
remote \"north\" inherit anonymous { remote_address 192.0.2.7; my_identifier keyid tag \"a b\"; }
remote 2001:db8::7 [501] inherit anonymous { initial_contact off; }
sainfo anonymous { pfs_group 14; encryption_algorithm aes;
  authentication_algorithm hmac_sha512; compression_algorithm deflate; }
",
        format!("* {KEY}\n").as_bytes(),
    );
    let script = installation.path("ipsec.conf");
    fs::write(
        &script,
        "spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec esp/tunnel/198.51.100.1-192.0.2.7/require;
spdadd 10.2.0.0/16 10.1.0.0/16 any -P in ipsec esp/tunnel/192.0.2.7-198.51.100.1/require;
",
    )
    .unwrap();
    let text = installation.same(&[script]);
    assert!(text.contains("mode: tunnel"), "{text}");
    assert!(text.contains("peer: \"[2001:db8::7]:501\""), "{text}");
}

#[test]
fn what_is_left_is_reported_with_its_place() {
    let installation = Installation::new(
        "privsep { user 65; }
remote anonymous { exchange_mode main; nonce_size 16;
  proposal { encryption_algorithm aes 256; hash_algorithm sha1;
    authentication_method pre_shared_key; dh_group modp2048; } }
remote 192.0.2.7 inherit anonymous { script \"/opt/seven\" phase1_dead; }
sainfo anonymous { encryption_algorithm aes 256, blowfish; authentication_algorithm hmac_sha1;
  compression_algorithm deflate; }
",
        format!("* {KEY}\n").as_bytes(),
    );
    let report = installation.import(&[]).report();
    for words in [
        "racoon.conf:1:11: `user` has no effect",
        "racoon.conf:2:40: `nonce_size` has no effect",
        "blowfish is not served and left out",
        "the scripts for 192.0.2.7 alone",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let everything = Import::default().report();
    assert_eq!(everything, "everything was carried over\n");
}

#[test]
fn what_is_refused_is_refused_here_too() {
    let installation = Installation::new("remote anonymous { exchange_mod main; }", b"* x\n");
    let mut import = Import::default();
    let file = installation.path("racoon.conf");
    let problems = tanuki_import::racoon::import(&file, &[], &mut import).unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("racoon.conf:1:20: unknown directive")
    );
    assert!(import.documents.is_empty());
    assert!(Path::new(&file).exists());
}

#[test]
fn peers_with_rules_of_their_own_and_certificates() {
    let installation = Installation::new(
        "remote 192.0.2.7 { exchange_mode main; nat_traversal on; proposal_check claim; my_identifier asn1dn;
  certificate_type x509 \"chain.pem\" \"server.key.pem\"; ca_type x509 \"root.pem\";
  verify_identifier on; peers_identifier asn1dn \"C=CH, O=tanuki, CN=*\"; lifetime time 1 hour;
  proposal { encryption_algorithm aes 256; hash_algorithm sha256;
    authentication_method rsasig; dh_group 14; } }
remote \"old\" { remote_address 192.0.2.8; passive on; exchange_mode main; nat_traversal on;
  my_identifier user_fqdn \"us@example.org\";
  proposal { encryption_algorithm 3des; hash_algorithm md5;
    authentication_method pre_shared_key; dh_group 2; } }
sainfo anonymous { encryption_algorithm aes; authentication_algorithm hmac_sha1;
  compression_algorithm deflate; }
sainfo anonymous address 192.0.2.8 any { encryption_algorithm 3des;
  authentication_algorithm hmac_sha1; compression_algorithm deflate; }
",
        format!("192.0.2.8 {KEY}\n").as_bytes(),
    );
    let fixtures = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../ike-daemon/pki/tests/fixtures"
    );
    for name in ["chain.pem", "server.key.pem", "root.pem"] {
        let to = installation.path(name);
        fs::copy(format!("{fixtures}/{name}"), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = installation.same(&[]);
    assert!(text.contains("methods: []"), "{text}");
    assert!(
        text.contains("peers: [\"dn:C=CH, O=tanuki, CN=*\"]"),
        "{text}"
    );
    assert!(text.contains("suites: [3des-sha1]"), "{text}");
}

#[test]
fn clients_and_servers_of_xauth() {
    let installation = Installation::new(
        "remote anonymous { exchange_mode main; nat_traversal on; proposal_check obey;
  proposal { encryption_algorithm aes 256; hash_algorithm sha256;
    authentication_method xauth_psk_server; dh_group 14; } }
remote 192.0.2.50 { exchange_mode aggressive; nat_traversal on; mode_cfg on; xauth_login \"ann\";
  my_identifier keyid tag \"staff\";
  proposal { encryption_algorithm aes; hash_algorithm sha1;
    authentication_method xauth_psk_client; dh_group 2; } }
mode_cfg { network4 10.99.0.10; pool_size 20; netmask4 255.255.255.0; dns4 10.99.0.1, 10.99.0.2;
  wins4 10.99.0.3; default_domain \"example.org\"; split_network include 10.1.0.0/16, 10.2.0.0/16;
  split_network local_lan 192.168.0.0/16; split_dns \"a.example.org\", \"b.example.org\";
  save_passwd on; }
sainfo anonymous { encryption_algorithm aes; authentication_algorithm hmac_sha1;
  compression_algorithm deflate; }
",
        format!("ann {KEY}x\n* {KEY}\n").as_bytes(),
    );
    let users = installation.path("users.yaml");
    fs::write(&users, "users:\n  - name: bob\n    password: builder\n").unwrap();
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).unwrap();
    let text = installation.same(&[]);
    assert!(text.contains("pool: [\"10.99.0.10-10.99.0.29\"]"), "{text}");
    assert!(text.contains("mode_config: true"), "{text}");
}

//! racoon.conf, psk.txt and setkey scripts as configurations of the daemon: what becomes of every
//! directive, exact places of refusals, and whole installations.

#![allow(clippy::unwrap_used, clippy::panic)]

mod certificates;
mod directives;
mod fuzz;
mod keys;
mod samples;
mod setups;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ike_crypto::{Cipher, Group};
use ike_daemon::config::Config;
use ike_daemon::config::racoon;
use ike_daemon::config::static_entry::StaticEntry;
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
        Config::load(&self.path("racoon.conf"), &[])
    }

    fn load_with(&self, policies: &str) -> Result<Config, Problems> {
        self.write("ipsec.conf", policies);
        racoon::load(&self.path("racoon.conf"), &[self.path("ipsec.conf")])
            .map(|loaded| loaded.config)
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
    let base = SERVER.replace("main;", "base;");
    one(&format!("{PHASE2}{base}"), "4:5", "base mode is not served");
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
               authentication_method dsssig; dh_group modp768; }\n    proposal {",
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
fn the_syntax_is_told_by_the_first_word_or_else_the_name() {
    let folder = TempDir::new().unwrap();
    for (name, text, racoon) in [
        ("a.conf", "", true),
        ("a.yaml", "remote anonymous { }", true),
        ("b.conf", "# ours\nlisten:\n  - 192.0.2.1\n", false),
        ("c.conf", "---\nlog: {level: debug}\n", false),
        ("d.conf", "exchange_mode main;", true),
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
            "\nadd 192.0.2.1 192.0.2.2 ah 9 -A hmac-sha1 \"12345678901234567890\";".into(),
            "2:28",
            "only ESP is served",
        ),
        (
            "add 192.0.2.1 192.0.2.2 esp 9 -E des-cbc \"12345678\";".into(),
            "1:34",
            "unknown algorithm `des-cbc`; expected aes-cbc",
        ),
        (
            "add 192.0.2.1 192.0.2.2 esp 9 -m beet -E null;".into(),
            "1:34",
            "unknown mode `beet`; expected transport, tunnel or any",
        ),
        (
            "add 192.0.2.1 192.0.2.2 esp 9 -f zero-pad -E null;".into(),
            "1:31",
            "`-f` is not served; leave it out",
        ),
        (
            "add 192.0.2.1 192.0.2.2 esp 9 -lh soon -E null;".into(),
            "1:35",
            "`soon` is no number",
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
    let shown: Vec<String> = config
        .static_entries
        .iter()
        .map(|e| e.to_string())
        .collect();
    assert_eq!(
        shown,
        [
            "::/0[any] ::/0[any] 58 -P in",
            "::/0[any] ::/0[any] any -P in"
        ]
    );
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

#[test]
fn what_racoonctl_and_scripts_need_is_kept() {
    let config = load(&format!(
        "path pidfile \"/var/run/racoon.pid\";\npath script \"/usr/local/etc/racoon/scripts\";\n\
         listen {{ adminsock \"/var/run/r.sock\" \"root\" \"wheel\" 0660; }}\n{}{PHASE2}\
         remote 192.0.2.7 inherit anonymous {{ script \"/opt/seven\" phase1_dead; }}\n\
         remote 192.0.2.8 {{ exchange_mode main; proposal {{ encryption_algorithm aes 256; \
         hash_algorithm sha1; authentication_method pre_shared_key; dh_group modp2048; }} }}",
        SERVER.replace(
            "main;",
            "main; script \"up.sh\" phase1_up; script \"/opt/down\" phase1_down;"
        )
    ));
    assert_eq!(config.pid_file, Some("/var/run/racoon.pid".into()));
    let socket = config.admin_socket.unwrap();
    assert_eq!(socket.path, Path::new("/var/run/r.sock"));
    assert_eq!(
        (socket.owner, socket.group, socket.mode),
        (Some(0), Some(0), 0o660)
    );
    let of = |peer: &str| {
        let peer = (!peer.is_empty()).then(|| peer.parse().unwrap());
        let mut entries = config.scripts.iter();
        entries.find(|scripts| scripts.peer == peer).unwrap()
    };
    let path = |path: &str| Some(PathBuf::from(path));
    assert_eq!(of("").up, path("/usr/local/etc/racoon/scripts/up.sh"));
    assert_eq!(of("").down, path("/opt/down"));
    assert_eq!(of("").dead, None);
    // Inherited, and its own.
    let seven = of("192.0.2.7");
    assert_eq!(
        (&seven.down, &seven.dead),
        (&path("/opt/down"), &path("/opt/seven"))
    );
    // Nothing: not those of everybody else.
    assert!(of("192.0.2.8").is_empty());
    let disabled = load(&format!("{SERVER}{PHASE2}listen {{ adminsock disabled; }}"));
    assert_eq!(disabled.admin_socket, None);
}

#[test]
fn fragmentation_and_aggressive_mode_are_as_written() {
    use ike_proto::policy::Fragmentation;
    let with = |line: &str| load(&format!("{PHASE2}{}", SERVER.replace("main;", line))).policy;
    assert_eq!(with("main;").fragmentation.mode, Fragmentation::On);
    assert_eq!(
        with("main; ike_frag off;").fragmentation.mode,
        Fragmentation::Off
    );
    assert_eq!(
        with("main; ike_frag on;").fragmentation.mode,
        Fragmentation::On
    );
    assert_eq!(
        with("main; ike_frag force;").fragmentation.mode,
        Fragmentation::Force
    );
    assert!(!with("main;").aggressive);
    assert!(with("main, aggressive;").aggressive);
    let only = load(&format!(
        "{PHASE2}{}",
        SERVER.replace("main;", "aggressive;")
    ));
    assert!(only.policy.aggressive);
    assert!(warnings(&only)[0].contains("main mode is accepted as well"));
}

#[test]
fn sas_of_a_script_are_kept_with_their_keys() {
    let config = Installation::new(&format!("{SERVER}{PHASE2}"))
        .load_with(
            "add 192.0.2.1 192.0.2.2 esp 0x1234 -m tunnel -u 77 -r 4 -lh 3600 -ls 3000\n\
             -E aes-cbc 0x00112233445566778899aabbccddeeff -A hmac-sha2-256 \"an authentication key, 32 octets\";",
        )
        .unwrap();
    let [StaticEntry::Sa(sa)] = &config.static_entries[..] else {
        panic!("{:?}", config.static_entries);
    };
    assert_eq!((sa.spi, sa.reqid, sa.replay_window), (0x1234, 77, 32));
    assert_eq!(sa.mode, pfkey::Mode::TUNNEL);
    assert_eq!(sa.encryption_key.bytes()[..3], [0, 0x11, 0x22]);
    assert_eq!(sa.authentication_key.as_ref().unwrap().bits(), 256);
    assert_eq!(sa.lifetimes.unwrap().1.add_time, 3000);
    assert_eq!(
        config.static_entries[0].to_string(),
        "192.0.2.1 192.0.2.2 esp 0x1234"
    );
}

//! psk.txt: who may read it, what its lines become, and that edits count.

use std::fs;
use std::time::{Duration, Instant};

use ike_daemon::config::racoon::PskFile;
use ike_proto::iana::IdType;
use ike_proto::policy::SecretPeer;
use tempfile::TempDir;

use super::{Installation, KEY, PHASE2, SERVER, chmod, warnings};

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

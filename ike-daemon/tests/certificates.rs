//! `authentication` and `remotes` of `ike-daemon.yaml`, with files that OpenSSL made.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ike_daemon::config::Config;
use ike_proto::policy::{Method, PeerPattern};
use tanuki_daemon::config::Source;
use tempfile::TempDir;

/// The fixtures, with keys that only we can read.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/pki/tests/fixtures");
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let from = entry.unwrap().path();
        let to = folder.path().join(from.file_name().unwrap());
        std::fs::copy(&from, &to).unwrap();
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).unwrap();
    }
    folder
}

fn load(folder: &TempDir, text: &str) -> Result<Config, String> {
    let text = text.replace("@/", &format!("{}/", folder.path().display()));
    Config::from_source(&Source::new("ike.yaml", text)).map_err(|problems| problems.to_string())
}

const RSA: &str = "authentication:
  methods: rsa
  certificates:
    - chain: @/chain.pem
      key: @/server.key.pem
  ca: @/root.pem
";

#[test]
fn certificates_without_any_secret() {
    let folder = folder();
    let config = load(
        &folder,
        &format!("{RSA}  crl: [@/root.crl.pem, @/middle.crl.pem]\n"),
    )
    .unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let authentication = &config.policy.authentication;
    assert_eq!(authentication.methods, [Method::Rsa]);
    assert_eq!(authentication.own[0].chain.len(), 2);
    assert_eq!(authentication.trust.anchors().len(), 1);
    assert!(authentication.peers.is_empty());
}

#[test]
fn whom_to_admit() {
    let config = load(
        &folder(),
        &format!("{RSA}  peers: [\"dn:C=CH, O=tanuki, CN=*\", ann@example.org]\n"),
    );
    let peers = config.unwrap().policy.authentication.peers;
    assert!(matches!(
        peers[..],
        [PeerPattern::Name(_), PeerPattern::Identity(_)]
    ));
}

#[test]
fn rules_for_some() {
    let text = format!(
        "secrets:\n  - psk: kXv7mQz2-Tb9Lw4-Rn6Yc8\nphase2:\n  allow_3des: true\nremotes:\n  \
         office:\n    peers: [192.0.2.0/24, 198.51.100.7]\n    identity: vpn.example.org\n    \
         phase1:\n      allow_modp1024: true\n    {}\n",
        RSA.trim_end().replace('\n', "\n    ")
    );
    let policy = load(&folder(), &text).unwrap().policy;
    let office = policy.terms("192.0.2.9".parse().unwrap());
    assert_eq!(office.authentication.methods, [Method::Rsa]);
    assert!(office.phase1.allow_modp1024 && office.phase2.allow_3des);
    assert_eq!(
        office.local_identity.unwrap().to_string(),
        "fqdn:vpn.example.org"
    );
    let others = policy.terms("192.0.3.9".parse().unwrap());
    assert_eq!(others.authentication.methods, [Method::Psk]);
    assert!(!others.phase1.allow_modp1024 && others.local_identity.is_none());
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let cases = [
        (
            "authentication:\n  methods: rsa\n",
            "2:12",
            "rsa needs a certificate of ours",
        ),
        (
            "authentication:\n  methods: dsa\n",
            "2:12",
            "unknown method `dsa`; expected psk, rsa",
        ),
        (
            "authentication:\n  methods: ecdsa256\n  ca: @/root.pem\n  certificates:\n    - \
             {chain: @/chain.pem, key: @/server.key.pem}\n",
            "2:12",
            "ecdsa256 needs a certificate of ours with an ECDSA P-256 key",
        ),
        (
            "authentication:\n  methods: rsa\n  ca: @/root.pem\n  certificates:\n    - chain: \
             @/chain.pem\n      key: @/client.key.pem\n",
            "6:12",
            "not the key of C=CH, O=tanuki, CN=vpn.example.org",
        ),
        (
            "authentication:\n  methods: rsa\n  ca: @/root.pem\n  certificates:\n    - chain: \
             @/chain.pem\n      key: @/client.encrypted.pem\n",
            "6:12",
            "protected by a passphrase",
        ),
        (
            "authentication:\n  methods: rsa\n  ca: @/client.key.pem\n  certificates:\n    - \
             {chain: @/chain.pem, key: @/server.key.pem}\n",
            "3:7",
            "no block of the kind expected",
        ),
        (
            "authentication:\n  methods: rsa\n  ca: @/nowhere.pem\n  certificates:\n    - \
             {chain: @/chain.pem, key: @/server.key.pem}\n",
            "3:7",
            "No such file",
        ),
        (
            "authentication:\n  methods: rsa\n  crl: @/root.pem\n  ca: @/root.pem\n  \
             certificates:\n    - {chain: @/chain.pem, key: @/server.key.pem}\n",
            "3:8",
            "no block of the kind expected",
        ),
        (
            "authentication:\n  methods: rsa\n  peers: [\"dn:CN\"]\n  ca: @/root.pem\n  \
             certificates:\n    - {chain: @/chain.pem, key: @/server.key.pem}\n",
            "3:11",
            "`CN` is no X.500 name",
        ),
        (
            "remotes:\n  office:\n    identity: a\n",
            "3:5",
            "missing field `peers`",
        ),
        (
            "authentication:\n  methods: [psk]\n",
            "1:1",
            "without a pre-shared key nobody can connect",
        ),
    ];
    let folder = folder();
    for (text, place, words) in cases {
        let problem = load(&folder, text).unwrap_err();
        let first = problem.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("ike.yaml:{place}: ")) && first.contains(words),
            "{text}=> {problem}"
        );
    }
}

#[test]
fn a_key_for_everybody_is_refused() {
    let folder = folder();
    let set = |mode| {
        let key = folder.path().join("server.key.pem");
        std::fs::set_permissions(Path::new(&key), PermissionsExt::from_mode(mode)).unwrap();
        load(&folder, RSA)
    };
    let problem = set(0o644).unwrap_err();
    assert!(
        problem.contains("can be read by everybody; chmod 600"),
        "{problem}"
    );
    let warnings = set(0o640).unwrap().warnings;
    assert!(warnings[0].to_string().contains("can be read by its group"));
}

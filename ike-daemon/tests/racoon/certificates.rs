//! Certificates, with files that OpenSSL made.

use std::fs;

use ike_proto::iana::IdType;
use ike_proto::policy::{Method, PeerPattern};

use super::{Installation, KEY, PHASE2, chmod, warnings};

const RSA: &str = "proposal { encryption_algorithm aes 256; hash_algorithm sha256;
  authentication_method rsasig; dh_group modp2048; }";
const OWN: &str = "certificate_type x509 \"chain.pem\" \"server.key.pem\";";

/// `remote anonymous` with `body` in its second line, beside a folder with certificates.
fn installation(body: &str) -> Installation {
    let installation = Installation::new("");
    let folder = installation.path("certs");
    fs::create_dir(&folder).unwrap();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/pki/tests/fixtures");
    for name in [
        "chain.pem",
        "server.key.pem",
        "root.pem",
        "root.crl.pem",
        "client.pem",
    ] {
        let to = folder.join(name);
        fs::copy(format!("{fixtures}/{name}"), &to).unwrap();
        chmod(&to, 0o600);
    }
    let conf = format!(
        "remote anonymous {{ exchange_mode main; proposal_check obey;\n{body}\n}}\n{PHASE2}\
         path certificate \"{}\";",
        folder.display()
    );
    installation.write("racoon.conf", &conf);
    installation
}

fn refused(body: &str) -> String {
    let installation = installation(body);
    let problems = installation.load().unwrap_err();
    let prefix = format!("{}:", installation.path("racoon.conf").display());
    problems.to_string().replace(&prefix, "")
}

#[test]
fn certificates_without_any_key_file() {
    let installation = installation(&format!(
        "{OWN} ca_type x509 \"root.pem\"; my_identifier asn1dn; send_cr off; {RSA}"
    ));
    fs::remove_file(installation.path("psk.txt")).unwrap();
    let config = installation.load().unwrap();
    assert!(warnings(&config).is_empty(), "{:?}", warnings(&config));
    let authentication = &config.policy.authentication;
    assert_eq!(authentication.methods, [Method::Rsa]);
    assert_eq!(authentication.own[0].chain.len(), 2);
    assert_eq!(authentication.trust.anchors().len(), 1);
    assert!(authentication.send_certificate && !authentication.request_certificate);
    assert!(config.psk.is_none());
    // Our certificate's name, which the core knows.
    assert_eq!(config.policy.local_identity, None);
}

#[test]
fn authorities_and_lists_by_their_hash() {
    let installation = installation(&format!("{OWN} {RSA}"));
    let certs = installation.path("certs");
    // What `openssl x509 -hash` says of root.pem.
    fs::rename(certs.join("root.pem"), certs.join("b5368e86.0")).unwrap();
    fs::rename(certs.join("root.crl.pem"), certs.join("b5368e86.r0")).unwrap();
    let config = installation.load().unwrap();
    assert_eq!(config.policy.authentication.trust.anchors().len(), 1);
    let files = &config.authentication_files[""];
    assert_eq!(files.ca, [certs.join("b5368e86.0")]);
    assert_eq!(files.crl, [certs.join("b5368e86.r0")]);
}

#[test]
fn who_may_come_with_one() {
    let config = installation(&format!(
        "{OWN} ca_type x509 \"root.pem\"; my_identifier asn1dn \"C=CH, O=tanuki, CN=vpn.example.org\";
         verify_identifier on; peers_identifier asn1dn \"C=CH, O=tanuki, CN=*\";
         peers_identifier user_fqdn \"ann@example.org\"; {RSA}"
    ))
    .load()
    .unwrap();
    let identity = config.policy.local_identity.as_ref().unwrap();
    assert_eq!(identity.kind, IdType::DER_ASN1_DN);
    let peers = &config.policy.authentication.peers;
    assert!(matches!(
        &peers[..],
        [PeerPattern::Name(_), PeerPattern::Identity(_)]
    ));
    let texts = &config.authentication_files[""].peers;
    assert_eq!(
        texts[..],
        ["dn:C=CH, O=tanuki, CN=*", "user:ann@example.org"]
    );
}

#[test]
fn a_peers_own_certificate_is_believed() {
    let config = installation(&format!("{OWN} peers_certfile x509 \"client.pem\"; {RSA}"))
        .load()
        .unwrap();
    assert_eq!(config.policy.authentication.trust.anchors().len(), 1);
}

#[test]
fn keys_and_certificates_side_by_side() {
    let psk = RSA.replace("rsasig", "pre_shared_key");
    let installation = installation(&format!("{OWN} ca_type x509 \"root.pem\"; {psk} {RSA}"));
    installation.write("psk.txt", &format!("* {KEY}\n"));
    let config = installation.load().unwrap();
    let methods = &config.policy.authentication.methods;
    assert_eq!(methods[..], [Method::Psk, Method::Rsa]);
    assert!(config.psk.is_some());
}

#[test]
fn what_is_missing_or_wrong_is_said_where_it_stands() {
    let ca = "ca_type x509 \"root.pem\";";
    for (body, place, words) in [
        (
            format!("{ca} {RSA}"),
            "1:1",
            "rsasig needs a certificate of ours; write `certificate_type x509",
        ),
        (
            format!("{OWN} {RSA}"),
            "1:1",
            "rsasig needs an authority to believe; write `ca_type x509",
        ),
        (
            format!("certificate_type x509 \"gone.pem\" \"server.key.pem\"; {ca} {RSA}"),
            "2:1",
            "gone.pem: No such file",
        ),
        (
            format!("certificate_type x509 \"client.pem\" \"server.key.pem\"; {ca} {RSA}"),
            "2:1",
            "not the key of ",
        ),
        (
            format!("certificate_type x509 \"server.key.pem\" \"chain.pem\"; {ca} {RSA}"),
            "2:1",
            "server.key.pem: ",
        ),
        (
            format!("certificate_type plain_rsa \"k\"; {ca} {RSA}"),
            "2:18",
            "write x509 with a certificate and its key",
        ),
        (
            format!("{OWN} {ca} verify_cert off; {RSA}"),
            "2:90",
            "certificates are always verified",
        ),
        (
            format!("{OWN} {ca} peers_certfile dnssec; {RSA}"),
            "2:78",
            "write the peer's certificate",
        ),
        (
            format!("{OWN} {ca} verify_identifier on; peers_identifier asn1dn \"x\"; {RSA}"),
            "2:124",
            "no X.500 name; write such as",
        ),
    ] {
        let found = refused(&body);
        assert!(found.contains(words), "{body}: {found}");
        let at = found.lines().find(|line| line.contains(words)).unwrap();
        assert!(at.starts_with(place), "{place}: {at}");
    }
    let open = installation(&format!("{OWN} {ca} {RSA}"));
    chmod(&open.path("certs/server.key.pem"), 0o644);
    let found = open.load().unwrap_err().to_string();
    assert!(
        found.contains("can be read by everybody; chmod 600"),
        "{found}"
    );
}

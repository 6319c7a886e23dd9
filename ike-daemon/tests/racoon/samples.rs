//! The samples that ipsec-tools comes with, said anew: what each of them is there to show is loaded or
//! refused with the right words at the right place.

use std::fs;

use ike_crypto::{Cipher, Group};
use ike_daemon::config::static_entry::StaticEntry;
use ike_proto::policy::{Fragmentation, Method};

use super::{Installation, KEY, PHASE2, chmod, load, problems, warnings};

/// What stands at each place, in order.
fn says(found: &[String], expected: &[(&str, &str)]) {
    for (place, words) in expected {
        assert!(
            found
                .iter()
                .any(|one| one.starts_with(&format!("{place}: ")) && one.contains(words)),
            "{place} {words}: {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

/// The plain one: blanks in front of semicolons, braces on lines of their own, old names.
#[test]
fn plain() {
    let config = load(
        "path pre_shared_key \"psk.txt\" ;
remote anonymous
{
\texchange_mode main,base;
\tlifetime time 24 hour ;\t# sec,min,hour
\tproposal {
\t\tencryption_algorithm 3des;
\t\thash_algorithm sha1;
\t\tauthentication_method pre_shared_key ;
\t\tdh_group 2 ;
\t}
\tproposal_check strict;
}
sainfo anonymous
{
\tpfs_group 2;
\tlifetime time 12 hour ;
\tencryption_algorithm 3des, cast128, blowfish 448, des, rijndael ;
\tauthentication_algorithm hmac_sha1, hmac_md5 ;
\tcompression_algorithm deflate ;
}
",
    );
    assert_eq!(config.policy.phase1.ciphers, [Cipher::TripleDes]);
    assert_eq!(config.policy.phase1.groups, [Group::Modp1024]);
    assert!(config.policy.phase2.require_pfs && config.policy.phase2.allow_3des);
    says(
        &warnings(&config),
        &[
            ("4:21", "base mode is not served"),
            ("12:17", "a peer with a longer lifetime is not refused"),
            ("18:29", "cast128 is not served and left out"),
            ("18:38", "blowfish is not served and left out"),
            ("18:52", "des is not served and left out"),
            ("19:38", "hmac_md5 is not served and left out"),
        ],
    );
}

/// Kerberos, and nothing else.
#[test]
fn gssapi() {
    let found = problems(&format!(
        "remote anonymous {{\nexchange_mode main;\nproposal {{\nencryption_algorithm 3des;\n\
         hash_algorithm sha1;\nauthentication_method gssapi_krb;\ndh_group 1;\n}}\n}}\n{PHASE2}"
    ));
    says(
        &found,
        &[
            (
                "6:23",
                "gssapi_krb: not served; write pre_shared_key, rsasig, or",
            ),
            ("7:10", "modp768: not served; write modp2048"),
        ],
    );
}

pub(crate) fn certificates(installation: &Installation) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/pki/tests/fixtures");
    // What `openssl x509 -hash` says of root.pem.
    for (from, to) in [
        ("server.pem", "own.cert.pem"),
        ("server.key.pem", "own.key.pem"),
        ("root.pem", "b5368e86.0"),
    ] {
        let to = installation.path(to);
        fs::copy(format!("{fixtures}/{from}"), &to).unwrap();
        chmod(&to, 0o600);
    }
}

/// A certificate for everybody; a peer that inherits, and itself again at another port.
#[test]
fn inherited() {
    let installation = Installation::new("");
    certificates(&installation);
    let conf = format!(
        "path certificate \"{}\";
remote anonymous
{{
    exchange_mode main,aggressive; doi ipsec_doi; situation identity_only;
    my_identifier asn1dn; certificate_type x509 \"own.cert.pem\" \"own.key.pem\";
    initial_contact on; nat_traversal on; proposal_check obey;
    proposal {{ encryption_algorithm 3des; hash_algorithm sha1;
        authentication_method rsasig; dh_group 2; }}
}}
remote 2001:db8::1 inherit anonymous
{{
    exchange_mode aggressive; nat_traversal force;
}}
remote 2001:db8::1 [8000] inherit 2001:db8::1
{{
    lifetime time 1 min;
    proposal {{ encryption_algorithm 3des; hash_algorithm sha1;
        authentication_method pre_shared_key; dh_group 2; }}
}}
{PHASE2}",
        installation.path("").display()
    );
    installation.write("racoon.conf", &conf);
    let config = installation.load().unwrap();
    let of = |peer: &str| config.policy.terms(peer.parse().unwrap());
    assert_eq!(of("192.0.2.9").authentication.methods, [Method::Rsa]);
    // Its own proposals take the place of those it inherits.
    assert_eq!(of("2001:db8::1").authentication.methods, [Method::Psk]);
    assert_eq!(of("2001:db8::1").phase1.lifetime.as_secs(), 60);
    assert!(of("2001:db8::1").nat.force && !of("192.0.2.9").nat.force);
    // The inherited name is that of the certificate, used or not.
    let identity = of("2001:db8::1").local_identity.unwrap();
    assert_eq!(
        identity.to_string(),
        "dn:C=CH, O=tanuki, CN=vpn.example.org"
    );
    let names: Vec<&str> = config
        .connections
        .iter()
        .map(|own| own.connection.name.as_str())
        .collect();
    assert_eq!(names, ["2001:db8::1", "2001:db8::1-2"]);
    assert_eq!(config.connections[1].connection.peer.port(), 8000);
    says(
        &warnings(&config),
        &[
            ("12:19", "main mode is accepted as well"),
            ("14:1", "ports do not tell peers apart"),
            ("4:24", "aggressive mode shows identities in the clear"),
            ("4:24", "no pre-shared key is for an identity"),
        ],
    );
}

/// NAT traversal: both ports, keepalives, certificates.
#[test]
fn nat_traversal() {
    let installation = Installation::new("");
    certificates(&installation);
    installation.write(
        "racoon.conf",
        &format!(
            "path include \"/etc/racoon\";
path certificate \"{}\";
listen
{{
    isakmp 172.16.0.1[500];
    isakmp_natt 172.16.0.1[4500];
}}
timer
{{
    natt_keepalive 10 sec;
}}
remote anonymous
{{
    exchange_mode main,base;
    my_identifier asn1dn;
    certificate_type x509 \"own.cert.pem\" \"own.key.pem\";
    nat_traversal on;
    proposal {{ authentication_method rsasig; encryption_algorithm 3des; hash_algorithm sha1;
        dh_group 2; }}
    proposal_check claim;
}}
{PHASE2}",
            installation.path("").display()
        ),
    );
    let config = installation.load().unwrap();
    assert_eq!(
        config.listen,
        ["172.16.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
    assert!(config.policy.nat.enabled);
    assert_eq!(config.policy.nat.keepalive.as_secs(), 10);
    says(&warnings(&config), &[("14:24", "base mode is not served")]);
}

/// Bare RSA keys.
#[test]
fn bare_keys() {
    let found = problems(&format!(
        "remote anonymous
{{
    exchange_mode main; my_identifier address; peers_identifier address;
    certificate_type plain_rsa \"own.rsa\";
    peers_certfile plain_rsa \"one.rsa\";
    peers_certfile plain_rsa \"two.rsa\";
    proposal {{ encryption_algorithm 3des; hash_algorithm sha1;
        authentication_method rsasig; dh_group 2; }}
}}
{PHASE2}"
    ));
    says(
        &found,
        &[
            ("4:22", "bare RSA keys are not served; write x509"),
            ("5:5", "no certificate; write the peer's certificate"),
            ("6:5", "no certificate; write the peer's certificate"),
            ("1:1", "rsasig needs a certificate of ours"),
            ("1:1", "rsasig needs an authority to believe"),
        ],
    );
}

/// Everything that a psk.txt can hold.
#[test]
fn keys() {
    let installation = Installation::new(&format!("{}{PHASE2}", super::SERVER));
    installation.write(
        "psk.txt",
        &format!(
            "# IPv4/v6 addresses\n10.160.94.3\t{KEY}\n172.16.1.133\t0x{}\n2001:db8::80fa\t{KEY}\n\
             # USER_FQDN\nann@example.org\t{KEY}\n# FQDN\nvpn.example.org\t{KEY}\n",
            "12345678".repeat(6)
        ),
    );
    let config = installation.load().unwrap();
    assert!(
        warnings(&config)
            .iter()
            .all(|one| one.contains("weak pre-shared key"))
    );
    let secrets = &config.policy.secrets;
    // A name stands for the identity and for the key id.
    assert_eq!(secrets.len(), 7);
    assert_eq!(secrets[1].secret.len(), 24);
}

/// Policies for sockets of this host, with and without reqids.
#[test]
fn policies_by_port() {
    let installation = Installation::new(&format!("{}{PHASE2}", super::SERVER));
    let config = installation
        .load_with(
            "spdflush;
spdadd ::1 ::1[9999] tcp
\t-P out ipsec
\tesp/transport//unique:2 ;
spdadd ::1[9998] ::1 tcp
\t-P in ipsec
\tesp/transport//unique ;
spdadd 127.0.0.1 127.0.0.1 icmp
\t-P out ipsec
\tesp/transport//require ;
flush;
add 127.0.0.1 127.0.0.1 esp 0x1000
\t-m transport -u 2
\t-E 3des-cbc \"kamekame12341234kame1234\"
\t-A hmac-sha1 \"this is the test key\" ;
",
        )
        .unwrap();
    let shown: Vec<String> = config
        .static_entries
        .iter()
        .map(StaticEntry::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "::1/128[any] ::1/128[9999] 6 -P out",
            "::1/128[9998] ::1/128[any] 6 -P in",
            "127.0.0.1/32[any] 127.0.0.1/32[any] 1 -P out",
            "127.0.0.1 127.0.0.1 esp 0x1000",
        ]
    );
}

/// What no kernel of today takes, or what we do not serve.
#[test]
fn policies_of_another_time() {
    let installation = Installation::new(&format!("{}{PHASE2}", super::SERVER));
    for (line, column, words) in [
        (
            "spdadd ::1 ::1[9995] tcp -P out ipsec esp/transport//unique:28000 ;",
            39,
            "expected a number from 1 to 16383",
        ),
        (
            "add ::1 ::1 esp 0x1001 -m transport -E des-cbc \"kamekame\";",
            40,
            "unknown algorithm `des-cbc`",
        ),
        (
            "add ::1 ::1 esp 0x1001 -E blowfish-cbc \"kamekame\" -A hmac-sha1 \"this is the test key\";",
            27,
            "unknown algorithm `blowfish-cbc`; expected aes-cbc, aes-gcm-16",
        ),
        (
            "add ::1 ::1 esp 10007 -m transport -E null -A keyed-md5 \"1234123412341234\";",
            47,
            "unknown algorithm `keyed-md5`; expected hmac-sha1",
        ),
        (
            "add 172.16.0.1 172.16.0.2 ah-old 0x10003 -m any -A keyed-md5 \"this is the test\" ;",
            34,
            "only ESP is served",
        ),
        (
            "add ::1 ::1 ipcomp 30001 -C deflate ;",
            20,
            "only ESP is served",
        ),
        (
            "spdadd 10.0.1.0/24 10.0.2.0/24 any -P out ipsec ah/tunnel/172.16.0.1-172.16.0.2/require;",
            49,
            "only ESP is served",
        ),
        (
            "spdadd fec0::/64 fec1::/64 any -P out ipsec esp/tunnel/fec0::1-fec1::1/require ah/transport//require;",
            80,
            "bundles are not served",
        ),
        (
            "add ::1 ::1 esp 10016 -m tunnel -f random-pad -r 8 -lh 100 -ls 80 -E null ;",
            33,
            "`-f` is not served",
        ),
    ] {
        let found = installation.load_with(line).unwrap_err();
        let [problem] = &found.0[..] else {
            panic!("{line}: {found}");
        };
        assert_eq!(
            (problem.line, problem.column),
            (1, column),
            "{line}: {problem}"
        );
        assert!(problem.message.contains(words), "{line}: {problem}");
    }
    // They ask or delete: nothing of it concerns us.
    let quiet = "get ::1 ::2 ah 0x10004 ; spddelete fec0::/64 fec1::/64 any -P out;
delete ::1 ::2 ah 0x10004 ; dump ; spddump ; dump esp ; flush esp ; flush ; spdflush ; flush ah ;";
    assert!(
        installation
            .load_with(quiet)
            .unwrap()
            .static_entries
            .is_empty()
    );
}

/// Fragmentation and programs, as both ends of the road warriors' sample have them.
#[test]
fn road_warriors_without_hybrid_authentication() {
    let config = load(&format!(
        "listen {{ adminsock \"/var/racoon/racoon.sock\" \"root\" \"wheel\" 0660; }}
remote 192.0.2.50 {{
    exchange_mode aggressive, main; proposal_check claim; nat_traversal on; ike_frag force;
    script \"/etc/racoon/phase1-up.sh\" phase1_up;
    script \"/etc/racoon/phase1-down.sh\" phase1_down;
    passive off;
    proposal {{ encryption_algorithm aes; hash_algorithm sha1;
        authentication_method pre_shared_key; dh_group 2; }}
}}
{PHASE2}"
    ));
    assert_eq!(config.policy.fragmentation.mode, Fragmentation::Force);
    assert_eq!(config.connections.len(), 1);
    let scripts = &config.scripts[0];
    assert!(scripts.up.is_some() && scripts.down.is_some() && scripts.dead.is_none());
}

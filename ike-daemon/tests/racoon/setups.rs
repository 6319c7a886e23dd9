//! Whole installations.

use std::fs;
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};
use ike_daemon::config::Config;
use ike_proto::iana::{EspAuth, EspTransform, IdType};
use ike_proto::io::Mode;
use ike_proto::policy::{Fragmentation, Method, Service};
use ike_proto::wire::id::Identification;

use super::{Installation, KEY, PHASE2, SERVER, load, problems, warnings};

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
    assert!(found.is_empty(), "{found:?}");
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

/// A server that also has XAuth users for Cisco-like clients.
#[test]
fn setup_mixed_with_xauth() {
    let installation = Installation::new(
        "path certificate \"CERTS\";
privsep { user \"racoon\"; group \"racoon\"; chroot \"/var/racoon\"; }
radiuscfg { auth \"radius.example.org\" 1812 \"s3cret\"; timeout 3; retries 3; }
mode_cfg { network4 10.99.0.1; netmask4 255.255.255.0; pool_size 100; auth_source radius;
  dns4 10.99.0.1; banner \"CERTS/motd\"; split_network include 10.0.0.0/8; }
listen { isakmp 192.0.2.1 [500]; isakmp 2001:db8::1 [500];
  isakmp_natt 192.0.2.1 [4500]; adminsock disabled; }
remote anonymous {
  exchange_mode aggressive,main; certificate_type x509 \"own.cert.pem\" \"own.key.pem\"; send_cr off;
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
    super::samples::certificates(&installation);
    let folder = installation.path("").display().to_string();
    let conf = fs::read_to_string(installation.path("racoon.conf")).unwrap();
    installation.write(
        "racoon.conf",
        &conf.replace("CERTS", folder.trim_end_matches('/')),
    );
    installation.write("motd", "Welcome");
    // Without users nobody could come.
    let found = installation.load().unwrap_err().to_string();
    assert!(
        found.contains("write names and passwords into users.yaml"),
        "{found}"
    );
    installation.write(
        "users.yaml",
        "users:\n  - name: ann\n    password: wonderland\n",
    );
    let config = installation
        .load()
        .unwrap_or_else(|problems| panic!("{problems}"));
    let own = config.policy.mode_config.as_ref().unwrap();
    assert_eq!(own.pool[0].first.to_string(), "10.99.0.1");
    assert_eq!(own.pool[0].last.to_string(), "10.99.0.100");
    assert_eq!(own.banner.as_deref(), Some("Welcome"));
    assert_eq!(own.split_include.len(), 1);
    assert!(own.users.contains_key("ann") && config.policy.phase2.tunnel);
    let methods = &config.policy.authentication.methods;
    assert_eq!(methods[..], [Method::HybridRsa, Method::Psk]);
    let policy = &config.policy;
    assert!(policy.phase1.ciphers.contains(&Cipher::Aes128));
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
    assert!(policy.aggressive);
    says("aggressive mode shows identities in the clear");
    says("any mixture of the algorithms");
    says("blowfish is not served and left out");
    says("hmac_md5 is not served and left out");
    says("users of XAuth stand in users.yaml");
    says("21:75: `lifetime time`: line 19 has it otherwise: not the same for all peers");
}

/// Several peers by address with settings of their own: each has its rules.
#[test]
fn setup_several_peers() {
    let other =
        |body: &str| format!("{SERVER}{PHASE2}remote 192.0.2.7 inherit anonymous {{\n{body}\n}}\n");
    let same = load(&other(""));
    assert_eq!(same.connections.len(), 1);
    let of = |config: &Config, peer: [u8; 4]| {
        let terms = config.policy.terms(peer.into());
        (
            terms.phase1.clone(),
            terms.phase2.clone(),
            terms.local_identity.cloned(),
        )
    };
    let peer = [192, 0, 2, 7];
    let config = load(&other(
        "lifetime time 1 hour; proposal_check claim; my_identifier fqdn \"x\"; passive on;
         proposal { encryption_algorithm 3des; hash_algorithm md5;
           authentication_method pre_shared_key; dh_group 2; }",
    ));
    let (phase1, _, identity) = of(&config, peer);
    assert_eq!(phase1.ciphers, [Cipher::TripleDes]);
    assert_eq!(phase1.groups, [Group::Modp1024]);
    assert_eq!(phase1.lifetime, Duration::from_secs(3600));
    assert_eq!(phase1.lifetime_max, Duration::from_secs(3600));
    assert_eq!(identity, Some(Identification::from_fqdn("x")));
    // Everybody else has the general ones.
    let (phase1, _, identity) = of(&config, [192, 0, 2, 8]);
    assert_eq!(phase1.ciphers[0], Cipher::Aes256);
    assert_eq!(identity, None);
    let config = load(&other(
        "nat_traversal on; ike_frag off; dpd_delay 9; exchange_mode main, aggressive;",
    ));
    let (own, others) = (
        config.policy.terms(peer.into()),
        config.policy.terms([192, 0, 2, 8].into()),
    );
    assert!(own.nat.enabled && !others.nat.enabled);
    assert_eq!(own.fragmentation, Fragmentation::Off);
    assert_eq!(own.dpd.interval, Duration::from_secs(9));
    assert_ne!(others.dpd.interval, own.dpd.interval);
    assert!(own.aggressive && !others.aggressive);
    let found = problems(&other(
        "peers_identifier fqdn \"a\"; peers_identifier fqdn \"b\"; verify_identifier on;",
    ));
    assert!(found[0].starts_with("10:28: "), "{found:?}");
    assert!(found[0].contains("write one"), "{found:?}");
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

/// Without `remote anonymous` nobody else comes in; phase 2 goes by address and by number.
#[test]
fn setup_only_known_peers() {
    let remote = |name: &str, more: &str| {
        SERVER.replace("remote anonymous {", &format!("remote {name} {{ {more}"))
    };
    let sainfo = |head: &str, cipher: &str, more: &str| {
        format!(
            "sainfo {head} {{ {more} encryption_algorithm {cipher}; \
             authentication_algorithm hmac_sha1; compression_algorithm deflate; }}\n"
        )
    };
    let config = load(&format!(
        "{}{}{}{}{}{PHASE2}",
        remote("192.0.2.7", ""),
        remote("192.0.2.8", "ph1id 5;"),
        remote("2001:db8::9", ""),
        sainfo("address 198.51.100.1 udp address 192.0.2.7 udp", "3des", ""),
        sainfo("anonymous", "aes 128", "remoteid 5; pfs_group 14;"),
    ));
    assert!(warnings(&config).is_empty(), "{:?}", warnings(&config));
    let suites = |peer: &str| {
        let terms = config.policy.terms(peer.parse().unwrap());
        terms
            .phase2
            .suites
            .iter()
            .map(ike_daemon::config::write::suite)
            .collect::<Vec<_>>()
    };
    assert_eq!(suites("192.0.2.7"), ["3des-sha1"]);
    assert_eq!(suites("192.0.2.8")[0], "aes128-sha1");
    assert_eq!(suites("2001:db8::9")[0], "aes256-sha256");
    let methods = |peer: &str| {
        let terms = config.policy.terms(peer.parse().unwrap());
        terms.authentication.methods.len()
    };
    assert_eq!((methods("192.0.2.7"), methods("192.0.2.9")), (1, 0));
    // What we ask for goes with the peer, too.
    let pfs: Vec<_> = config
        .connections
        .iter()
        .map(|own| own.connection.pfs)
        .collect();
    assert_eq!(pfs, [None, Some(Group::Modp2048), None]);
}

/// A client of such a server: its name's password stands in psk.txt, and everything goes through the
/// tunnel.
#[test]
fn setup_client_of_a_gateway() {
    let installation = Installation::new(&format!(
        "remote 192.0.2.50 {{
  exchange_mode aggressive; mode_cfg on; nat_traversal on; proposal_check claim; passive off;
  xauth_login \"ann\"; my_identifier keyid tag \"staff\";
  proposal {{ encryption_algorithm aes; hash_algorithm sha1;
    authentication_method xauth_psk_client; dh_group 2; }}
}}
{PHASE2}"
    ));
    installation.write("psk.txt", &format!("192.0.2.50 {KEY}\n"));
    let found = installation.load().unwrap_err().to_string();
    assert!(
        found.contains("3:15: `xauth_login`: ann: no password"),
        "{found}"
    );
    installation.write("psk.txt", &format!("192.0.2.50 {KEY}\nann wonderland\n"));
    let config = installation
        .load()
        .unwrap_or_else(|problems| panic!("{problems}"));
    let own = &config.connections[0].connection;
    let login = own.login.as_ref().unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.expose()),
        ("ann", &b"wonderland"[..])
    );
    assert!(own.aggressive && own.mode_config && own.mode == Mode::Tunnel);
    assert_eq!(own.peer_network.unwrap().to_string(), "0.0.0.0/0");
    let terms = config.policy.terms("192.0.2.50".parse().unwrap());
    assert_eq!(terms.authentication.methods[..], [Method::XauthPsk]);
    // Nobody comes to us for an address.
    assert!(config.policy.mode_config.is_none());
}

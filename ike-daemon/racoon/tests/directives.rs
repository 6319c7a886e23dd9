//! racoon.conf(5), one tiny file per directive and per mistake: what is read, and where a mistake
//! stands.

#![allow(clippy::unwrap_used, clippy::panic)]

use racoon_conf::ast::{
    Endpoint, Host, Identifier, Lifetime, Listen, Port, RemoteItem, RemotePeer, SainfoId,
    SainfoItem, Statement, Timer,
};
use racoon_conf::words::{DhGroup, Encryption, ExchangeMode, Force, IdKind, TimeUnit};
use racoon_conf::{MemoryLoader, Parsed, parse};

fn read(text: &str) -> Parsed {
    parse(
        "/etc/racoon.conf",
        &mut MemoryLoader::new([("/etc/racoon.conf", text)]),
    )
}

/// What the only statement of a file without problems is.
fn one(text: &str) -> Statement {
    let parsed = read(text);
    assert!(parsed.problems.is_empty(), "{text}: {:?}", parsed.problems);
    let [statement] = &parsed.tree.statements[..] else {
        panic!("{text}: {:?}", parsed.tree);
    };
    statement.value.clone()
}

fn remote(body: &str) -> Vec<RemoteItem> {
    let Statement::Remote(remote) = one(&format!("remote anonymous {{ {body} }}")) else {
        panic!("no remote");
    };
    remote.body.into_iter().map(|item| item.value).collect()
}

fn sainfo(body: &str) -> Vec<SainfoItem> {
    let Statement::Sainfo(sainfo) = one(&format!("sainfo anonymous {{ {body} }}")) else {
        panic!("no sainfo");
    };
    sainfo.body.into_iter().map(|item| item.value).collect()
}

fn identifier(text: &str) -> Identifier {
    match remote(text).remove(0) {
        RemoteItem::MyIdentifier(identifier) | RemoteItem::PeersIdentifier(identifier) => {
            identifier
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_directive_outside_of_sections() {
    for (text, name) in [
        ("path include \"/etc/racoon\";", "path include"),
        ("path pre_shared_key \"psk.txt\";", "path pre_shared_key"),
        ("path certificate \"certs\";", "path certificate"),
        ("path script \"scripts\";", "path script"),
        ("path backupsa \"sa\";", "path backupsa"),
        ("path pidfile \"/var/run/racoon.pid\";", "path pidfile"),
        ("pfkey_buffer 256;", "pfkey_buffer"),
        ("complex_bundle off;", "complex_bundle"),
        ("gss_id_enc utf-16le;", "gss_id_enc"),
        ("gss_id_enc latin1;", "gss_id_enc"),
        ("log error;", "log"),
        ("log warning;", "log"),
        ("log notify;", "log"),
        ("log info;", "log"),
        ("log debug;", "log"),
        ("log debug2;", "log"),
    ] {
        assert_eq!(one(text).name(), name);
    }
}

#[test]
fn every_directive_of_the_small_sections() {
    for (section, lines) in [
        (
            "privsep",
            &[
                "user 65;",
                "user \"racoon\";",
                "group 65;",
                "group \"wheel\";",
                "chroot \"/var\";",
            ][..],
        ),
        (
            "padding",
            &[
                "randomize on;",
                "randomize_length off;",
                "maximum_length 20;",
                "exclusive_tail on;",
                "strict_check off;",
            ],
        ),
        (
            "radiuscfg",
            &[
                "auth \"radius.example.org\" \"secret\";",
                "auth radius.example.org [1812] \"secret\";",
                "auth 192.0.2.5 1812 \"secret\";",
                "acct 192.0.2.5 \"secret\";",
                "timeout 3;",
                "retries 3;",
            ],
        ),
        (
            "ldapcfg",
            &[
                "version 3;",
                "host \"ldap.example.org\";",
                "port 389;",
                "base \"dc=example\";",
                "subtree on;",
                "bind_dn \"cn=x\";",
                "bind_pw \"x\";",
                "attr_user \"cn\";",
                "attr_addr \"a\";",
                "attr_mask \"m\";",
                "attr_group \"g\";",
                "attr_member \"m\";",
            ],
        ),
        (
            "mode_cfg",
            &[
                "network4 10.9.0.1;",
                "netmask4 255.255.255.0;",
                "dns4 192.0.2.53, 192.0.2.54;",
                "nbns4 192.0.2.55;",
                "wins4 192.0.2.55, 192.0.2.56;",
                "default_domain \"example.org\";",
                "auth_source system;",
                "auth_source radius;",
                "auth_source pam;",
                "auth_source ldap;",
                "auth_groups \"vpn\", \"staff\";",
                "group_source system;",
                "group_source ldap;",
                "conf_source local;",
                "conf_source radius;",
                "conf_source ldap;",
                "accounting none;",
                "accounting system;",
                "accounting radius;",
                "accounting pam;",
                "pool_size 255;",
                "banner \"/etc/motd\";",
                "auth_throttle 1;",
                "split_network include 10.1.0.0/16, 10.2.0.0/16;",
                "split_network local_lan 10.1.0.0/16;",
                "split_dns \"a.example\", \"b.example\";",
                "pfs_group 2;",
                "save_passwd on;",
            ],
        ),
        (
            "listen",
            &[
                "isakmp 192.0.2.1;",
                "isakmp 192.0.2.1 [500];",
                "isakmp 2001:db8::1 [500];",
                "isakmp_natt 192.0.2.1 [4500];",
                "admin 192.0.2.1 [7002];",
                "adminsock \"/var/run/racoon.sock\" \"root\" \"wheel\" 0660;",
                "adminsock \"/var/run/racoon.sock\";",
                "adminsock disabled;",
                "strict_address;",
            ],
        ),
        (
            "timer",
            &[
                "counter 5;",
                "interval 10 sec;",
                "persend 1;",
                "phase1 15 sec;",
                "phase2 10 seconds;",
                "natt_keepalive 1 min;",
            ],
        ),
    ] {
        for line in lines {
            let text = format!("{section} {{ {line} }}");
            let statement = one(&text);
            assert_eq!(statement.name(), section);
            let (word, _) = line.split_once([' ', ';']).unwrap();
            let name = match &statement {
                Statement::Privsep(block) => block[0].value.name(),
                Statement::Padding(block) => block[0].value.name(),
                Statement::RadiusCfg(block) => block[0].value.name(),
                Statement::LdapCfg(block) => block[0].value.name(),
                Statement::ModeCfg(block) => block[0].value.name(),
                Statement::Listen(block) => block[0].value.name(),
                Statement::Timer(block) => block[0].value.name(),
                other => panic!("{other:?}"),
            };
            assert_eq!(name, word);
        }
    }
}

#[test]
fn every_directive_of_remote() {
    for line in [
        "remote_address 192.0.2.7;",
        "remote_address 192.0.2.7 [500];",
        "exchange_mode main;",
        "exchange_mode main, aggressive, base;",
        "exchange_mode aggressive main;",
        "doi ipsec_doi;",
        "situation identity_only;",
        "situation secrecy;",
        "situation integrity;",
        "my_identifier address;",
        "peers_identifier user_fqdn \"me@example.org\";",
        "verify_identifier on;",
        "xauth_login \"me\";",
        "certificate_type x509 \"c\" \"k\";",
        "certificate_type plain_rsa \"k\";",
        "ca_type x509 \"ca\";",
        "peers_certfile \"f\";",
        "peers_certfile x509 \"f\";",
        "peers_certfile plain_rsa \"f\";",
        "peers_certfile dnssec;",
        "verify_cert off;",
        "send_cert off;",
        "send_cr off;",
        "match_empty_cr on;",
        "dh_group modp1024;",
        "dh_group 2;",
        "nonce_size 16;",
        "generate_policy off;",
        "generate_policy on;",
        "generate_policy require;",
        "generate_policy unique;",
        "support_proxy on;",
        "initial_contact off;",
        "nat_traversal off;",
        "nat_traversal on;",
        "nat_traversal force;",
        "proposal_check obey;",
        "proposal_check strict;",
        "proposal_check claim;",
        "proposal_check exact;",
        "passive on;",
        "lifetime time 8 hours;",
        "lifetime byte 50 MB;",
        "dpd on;",
        "dpd_delay 20;",
        "dpd_retry 5;",
        "dpd_maxfail 5;",
        "ph1id 3;",
        "ike_frag off;",
        "ike_frag on;",
        "ike_frag force;",
        "esp_frag 552;",
        "script \"up.sh\" phase1_up;",
        "script \"up.sh\" phase1_down;",
        "script \"up.sh\" phase1_dead;",
        "mode_cfg on;",
        "weak_phase1_check on;",
        "rekey off;",
        "rekey on;",
        "rekey force;",
        "keepalive;",
        "proposal { }",
    ] {
        let items = remote(line);
        let [item] = &items[..] else {
            panic!("{line}: {items:?}");
        };
        assert!(line.starts_with(item.name()), "{line}: {}", item.name());
    }
    for line in [
        "encryption_algorithm aes 256;",
        "encryption_algorithm 3des;",
        "hash_algorithm sha1;",
        "hash_algorithm sha2_256;",
        "authentication_method pre_shared_key;",
        "authentication_method xauth_psk_server;",
        "dh_group modp2048;",
        "dh_group 14;",
        "lifetime time 24 hour;",
        "lifetime byte 50 MB;",
        "gss_id \"x\";",
    ] {
        let RemoteItem::Proposal(items) = remote(&format!("proposal {{ {line} }}")).remove(0)
        else {
            panic!("{line}");
        };
        assert!(line.starts_with(items[0].value.name()), "{line}");
    }
}

#[test]
fn every_directive_of_sainfo() {
    for line in [
        "pfs_group modp1024;",
        "pfs_group 2;",
        "lifetime time 1 hour;",
        "lifetime byte 100 KB;",
        "remoteid 3;",
        "reqid 7;",
        "encryption_algorithm aes 256, aes, 3des;",
        "authentication_algorithm hmac_sha256, hmac_sha1;",
        "compression_algorithm deflate;",
        "my_identifier address;",
    ] {
        let items = sainfo(line);
        assert!(line.starts_with(items[0].name()), "{line}");
    }
}

#[test]
fn values_are_what_is_written() {
    let Statement::Listen(block) = one("listen { isakmp 192.0.2.1 [any]; isakmp fe80::1%em0; }")
    else {
        panic!();
    };
    let Listen::Isakmp(Endpoint { host, port }) = &block[0].value else {
        panic!();
    };
    assert_eq!(host.value, Host::Address([192, 0, 2, 1].into()));
    assert_eq!(port.as_ref().unwrap().value, Port::Any);
    let Listen::Isakmp(scoped) = &block[1].value else {
        panic!();
    };
    assert_eq!(scoped.host.value, Host::Name("fe80::1%em0".into()));
    let Statement::Listen(block) = one("listen { adminsock \"/s\" \"root\" \"wheel\" 0660; }")
    else {
        panic!();
    };
    let Listen::AdminSock(socket) = &block[0].value else {
        panic!();
    };
    assert_eq!(socket.mode.as_ref().unwrap().value, 0o660);
    let Statement::Timer(block) = one("timer { interval 2 hours; }") else {
        panic!();
    };
    let Timer::Interval(time) = &block[0].value else {
        panic!();
    };
    assert_eq!(time.value.seconds(), 7200);
    assert_eq!(
        remote("exchange_mode main,base;"),
        [RemoteItem::ExchangeMode(
            match &remote("exchange_mode main,base;")[0] {
                RemoteItem::ExchangeMode(modes) => {
                    let kinds: Vec<_> = modes.iter().map(|mode| mode.value).collect();
                    assert_eq!(kinds, [ExchangeMode::Main, ExchangeMode::Base]);
                    modes.clone()
                }
                other => panic!("{other:?}"),
            }
        )]
    );
    let RemoteItem::Lifetime(lifetime) = remote("lifetime byte 3 TB;").remove(0) else {
        panic!();
    };
    assert_eq!(lifetime.value.kilobytes(), Some(3 << 30));
    let RemoteItem::Lifetime(lifetime) = remote("lifetime time 9 min;").remove(0) else {
        panic!();
    };
    let Lifetime::Time(time) = lifetime.value else {
        panic!();
    };
    assert_eq!((time.count, time.unit), (9, TimeUnit::Minutes));
    let RemoteItem::NatTraversal(nat) = remote("nat_traversal force;").remove(0) else {
        panic!();
    };
    assert_eq!(nat.value, Force::Force);
    let SainfoItem::Encryption(list) = sainfo("encryption_algorithm rijndael 256, 3des;").remove(0)
    else {
        panic!();
    };
    assert_eq!(list[0].name.value, Encryption::Aes);
    assert_eq!(list[0].bits.as_ref().unwrap().value, 256);
    assert_eq!(
        (list[1].name.value, &list[1].bits),
        (Encryption::TripleDes, &None)
    );
    let SainfoItem::PfsGroup(group) = sainfo("pfs_group 14;").remove(0) else {
        panic!();
    };
    assert_eq!(group.value, DhGroup::Modp2048);
    let keyid = identifier("my_identifier keyid tag \"office\";");
    assert_eq!(keyid.kind.value, IdKind::KeyId);
    assert_eq!(keyid.value.unwrap().value, "office");
    let address = identifier("my_identifier address 192.0.2.1;");
    assert_eq!(address.value.unwrap().value, "192.0.2.1");
    assert_eq!(identifier("peers_identifier asn1dn;").value, None);
}

#[test]
fn heads_of_remote_and_sainfo() {
    for (head, inherits) in [
        ("remote anonymous { }", false),
        ("remote anonymous [500] { }", false),
        ("remote 192.0.2.7 { }", false),
        ("remote 192.0.2.7 [500] { }", false),
        ("remote 2001:db8::7 { }", false),
        ("remote vpn.example.org { }", false),
        ("remote \"office\" { }", false),
        ("remote \"office\" inherit anonymous { }", true),
        ("remote \"office\" inherit \"parent\";", true),
        ("remote 192.0.2.7 inherit 192.0.2.8 { }", true),
    ] {
        let Statement::Remote(remote) = one(head) else {
            panic!("{head}");
        };
        assert_eq!(remote.inherit.is_some(), inherits, "{head}");
        assert_eq!(
            remote.peer.value == RemotePeer::Anonymous,
            head.starts_with("remote anonymous"),
        );
    }
    for (head, remote_side) in [
        ("sainfo anonymous { }", false),
        ("sainfo anonymous anonymous { }", true),
        ("sainfo anonymous clientaddr { }", true),
        ("sainfo anonymous group \"vpn\" { }", false),
        ("sainfo anonymous from fqdn \"a.example\" { }", false),
        (
            "sainfo anonymous from address 192.0.2.7 group \"vpn\" { }",
            false,
        ),
        ("sainfo address 192.0.2.1 [1701] udp anonymous { }", true),
        (
            "sainfo address 10.1.0.0/16 any address 10.2.0.0 /16 [any] any { }",
            true,
        ),
        ("sainfo subnet 10.1.0.0/16[any] any clientaddr { }", true),
        ("sainfo subnet 2001:db8::/32 17 anonymous { }", true),
        (
            "sainfo fqdn \"a.example\" user_fqdn \"b@example\" { }",
            true,
        ),
    ] {
        let Statement::Sainfo(sainfo) = one(head) else {
            panic!("{head}");
        };
        assert_eq!(sainfo.remote.is_some(), remote_side, "{head}");
    }
    let Statement::Sainfo(sainfo) = one("sainfo address 10.2.0.0 /16 [1701] udp { }") else {
        panic!();
    };
    let SainfoId::Network(network) = sainfo.local.value else {
        panic!();
    };
    assert_eq!(network.prefix, Some(16));
    assert_eq!(network.port.unwrap().value, Port::Number(1701));
    assert_eq!(network.protocol.value, 17);
}

#[test]
fn mistakes_have_their_exact_place_and_a_hint() {
    for (text, place, hint) in [
        (
            "lisen { }",
            "1:1",
            "unknown directive `lisen`; expected path, include",
        ),
        (
            "path psk \"x\";",
            "1:6",
            "unknown kind of path `psk`; expected include, pre_shared_key",
        ),
        (
            "path pidfile /x;",
            "1:14",
            "expected a text in double quotes, found `/x`",
        ),
        ("path pidfile \"/x;\n", "1:14", "closing double quote"),
        (
            "log loud;",
            "1:5",
            "unknown log level `loud`; expected error, warning",
        ),
        (
            "log;",
            "1:4",
            "expected error, warning, notify, info, debug or debug2, found `;`",
        ),
        ("log info", "1:9", "expected `;`, found the end of the file"),
        ("log info info;", "1:10", "expected `;`, found `info`"),
        (
            "complex_bundle yes;",
            "1:16",
            "unknown switch `yes`; expected on or off",
        ),
        (
            "pfkey_buffer 4294967296;",
            "1:14",
            "expected a number from 0 to 4294967295",
        ),
        (
            "pfkey_buffer much;",
            "1:14",
            "expected a number, found `much`",
        ),
        ("gss_id_enc utf8;", "1:12", "expected latin1 or utf-16le"),
        ("}", "1:1", "`}` without its `{`"),
        ("{ log; }", "1:1", "`{` without a directive"),
        (";;, log;", "1:3", "`,` instead of a directive"),
        (
            "listen isakmp",
            "1:8",
            "expected `{` of `listen`, found `isakmp`",
        ),
        (
            "listen {\n isakmp 1.2.3.4;\n",
            "3:1",
            "`}` of `listen` missing; its `{` is in line 1",
        ),
        (
            "listen { isakmp 1.2.3; }",
            "1:17",
            "expected an address, found `1.2.3`",
        ),
        (
            "listen { isakmp 1.2.3.4 [70000]; }",
            "1:26",
            "expected a port from 1 to 65535, or any",
        ),
        ("listen { isakmp 1.2.3.4 [500; }", "1:29", "expected `]`"),
        (
            "listen { isakmp 1.2.3.4 500; }",
            "1:25",
            "expected `;`, found `500`",
        ),
        (
            "listen { adminsock off; }",
            "1:20",
            "expected a path in double quotes, or disabled",
        ),
        (
            "listen { adminsock \"/s\" \"r\"; }",
            "1:28",
            "expected a text in double quotes",
        ),
        (
            "listen { adminsock \"/s\" \"r\" \"w\" 0888; }",
            "1:33",
            "permissions in octal",
        ),
        (
            "listen { port 5; }",
            "1:10",
            "unknown directive `port` in `listen`; expected isakmp",
        ),
        (
            "listen { \"x\" }",
            "1:10",
            "\"x\" instead of a directive in `listen`",
        ),
        (
            "timer { interval 10; }",
            "1:20",
            "expected sec, secs, second, seconds, min",
        ),
        (
            "timer { interval 1 day; }",
            "1:20",
            "unknown unit `day`; expected sec",
        ),
        (
            "timer { counter -1; }",
            "1:17",
            "expected a number, found `-1`",
        ),
        (
            "padding { size 1; }",
            "1:11",
            "expected randomize, randomize_length",
        ),
        (
            "privsep { user racoon; }",
            "1:16",
            "a number, or a name in double quotes",
        ),
        (
            "radiuscfg { auth 192.0.2.5; }",
            "1:27",
            "expected a text in double quotes",
        ),
        (
            "radiuscfg { auth 192.0.2.5 [99999] \"s\"; }",
            "1:29",
            "a port from 1 to 65535",
        ),
        (
            "ldapcfg { hots \"x\"; }",
            "1:11",
            "expected version, host, port",
        ),
        (
            "mode_cfg { dns4 192.0.2.53,; }",
            "1:28",
            "expected an address, found `;`",
        ),
        (
            "mode_cfg { split_network include 10.1.0.0/33; }",
            "1:34",
            "a network such as",
        ),
        (
            "remote { }",
            "1:8",
            "expected anonymous, an address, or a name in double quotes",
        ),
        (
            "remote anonymous\n",
            "2:1",
            "expected `{` of `remote`, found the end of the file",
        ),
        (
            "remote anonymous { exchange_mode fast; }",
            "1:34",
            "expected main, aggressive or base",
        ),
        ("remote anonymous { doi x; }", "1:24", "expected ipsec_doi"),
        (
            "remote anonymous { my_identifier fqdn a.example; }",
            "1:39",
            "a text in double quotes",
        ),
        (
            "remote anonymous { my_identifier name \"x\"; }",
            "1:34",
            "unknown kind of identity",
        ),
        (
            "remote anonymous { my_identifier subnet \"x\"; }",
            "1:34",
            "names no peer",
        ),
        (
            "remote anonymous { my_identifier keyid hex \"x\"; }",
            "1:40",
            "expected file or tag",
        ),
        (
            "remote anonymous { passive yes; }",
            "1:28",
            "expected on or off",
        ),
        (
            "remote anonymous { lifetime 8 hour; }",
            "1:29",
            "expected time or byte",
        ),
        (
            "remote anonymous { lifetime time 8 days; }",
            "1:36",
            "unknown unit `days`",
        ),
        (
            "remote anonymous { lifetime byte 8 GB; }",
            "1:36",
            "B, byte, bytes, KB, MB or TB",
        ),
        (
            "remote anonymous { script \"x\" phase2_up; }",
            "1:31",
            "phase1_up, phase1_down",
        ),
        (
            "remote anonymous { peers_certfile pgp; }",
            "1:35",
            "x509, plain_rsa or dnssec",
        ),
        (
            "remote anonymous { proposal { cipher aes; } }",
            "1:31",
            "in `proposal`; expected enc",
        ),
        (
            "remote anonymous { proposal { encryption_algorithm aes256; } }",
            "1:52",
            "expected aes",
        ),
        (
            "remote anonymous { proposal { hash_algorithm sha3; } }",
            "1:46",
            "expected md5, sha1",
        ),
        (
            "remote anonymous { proposal { dh_group 31; } }",
            "1:40",
            "expected modp768, 1, modp1024",
        ),
        (
            "remote anonymous { proposal { authentication_method psk; } }",
            "1:53",
            "pre_shared_key",
        ),
        (
            "sainfo { }",
            "1:8",
            "expected anonymous, clientaddr, address",
        ),
        ("sainfo clientaddr { }", "1:8", "the peer's side"),
        (
            "sainfo address 10.0.0.0/40 any { }",
            "1:16",
            "prefix length from 0 to 32",
        ),
        (
            "sainfo address 10.0.0.0/8 { }",
            "1:27",
            "expected a protocol",
        ),
        (
            "sainfo address 10.0.0.0/8 sctpx { }",
            "1:27",
            "expected a protocol",
        ),
        (
            "sainfo anonymous anonymous anonymous { }",
            "1:28",
            "expected `{`",
        ),
        (
            "sainfo anonymous { authentication_algorithm sha1; }",
            "1:45",
            "expected hmac_md5",
        ),
        (
            "sainfo anonymous { compression_algorithm zip; }",
            "1:42",
            "expected deflate, lzs or oui",
        ),
        (
            "sainfo anonymous { encryption_algorithm aes 256,; }",
            "1:49",
            "expected aes",
        ),
        ("\u{e9}\u{e9} x;", "1:1", "unknown directive"),
    ] {
        let parsed = read(text);
        let [problem] = &parsed.problems[..] else {
            panic!("{text}: {:?}", parsed.problems);
        };
        assert_eq!(
            problem.span.to_string(),
            place,
            "{text}: {}",
            problem.message
        );
        assert!(
            problem.message.contains(hint),
            "{text}: {}",
            problem.message
        );
    }
}

#[test]
fn all_mistakes_are_reported_and_the_rest_is_read() {
    let parsed = read(
        "log loud;
path pidfile \"/x\"
listen { isakmp 1.2.3; isakmp 192.0.2.1; }
remote anonymous {
    passive maybe;
    exchange_mode main
    unknown { nested { deeper; } }
    doi ipsec_doi;
}
log debug;
",
    );
    let places: Vec<String> = parsed
        .problems
        .iter()
        .map(|problem| problem.span.to_string())
        .collect();
    // The `;` that is missing in line 6 is seen at the next word, which is unknown as well.
    assert_eq!(places, ["1:5", "3:1", "3:17", "5:13", "7:5", "7:5"]);
    let names: Vec<&str> = parsed
        .tree
        .statements
        .iter()
        .map(|statement| statement.value.name())
        .collect();
    assert_eq!(names, ["path pidfile", "listen", "remote", "log"]);
    let Statement::Remote(remote) = &parsed.tree.statements[2].value else {
        panic!();
    };
    assert_eq!(remote.body.last().unwrap().value.name(), "doi");
    assert_eq!(remote.body.last().unwrap().span.to_string(), "8:5");
}

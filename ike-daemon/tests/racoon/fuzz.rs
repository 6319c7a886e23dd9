//! Whatever is written, it is loaded or refused in words; what is loaded can be written down again.

use ike_daemon::config::Config;
use ike_daemon::config::write::{self, Secrets};
use proptest::prelude::*;
use tanuki_daemon::config::Source;

use super::Installation;

/// Directives that are right by themselves, in any number and order.
const REMOTE: &[&str] = &[
    "exchange_mode main;",
    "exchange_mode aggressive, base;",
    "my_identifier fqdn \"a.example.org\";",
    "my_identifier asn1dn;",
    "my_identifier keyid tag \"\u{e9} b\";",
    "peers_identifier address 192.0.2.7;",
    "peers_identifier asn1dn \"C=*, CN=x\";",
    "verify_identifier on;",
    "nat_traversal force;",
    "ike_frag off;",
    "proposal_check claim;",
    "proposal_check exact;",
    "passive on;",
    "lifetime time 1 min;",
    "lifetime time 4294967295 hours;",
    "dpd_delay 20;",
    "dpd_retry 4294967295;",
    "ph1id 7;",
    "remote_address 192.0.2.9 [any];",
    "script \"/x\" phase1_dead;",
    "certificate_type x509 \"gone\" \"gone\";",
    "proposal { encryption_algorithm aes 192; hash_algorithm md5; authentication_method \
     pre_shared_key; dh_group 5; }",
    "proposal { encryption_algorithm 3des; hash_algorithm sha512; authentication_method rsasig; \
     dh_group 16; lifetime time 3 min; }",
    "proposal { }",
];
const SAINFO: &[&str] = &[
    "pfs_group modp4096;",
    "lifetime time 2 hour;",
    "lifetime byte 4294967295 TB;",
    "remoteid 7;",
    "encryption_algorithm aes 256, 3des, null_enc;",
    "encryption_algorithm camellia;",
    "authentication_algorithm hmac_sha512, hmac_md5;",
    "compression_algorithm deflate;",
];
const HEADS: &[&str] = &[
    "remote anonymous",
    "remote 192.0.2.7",
    "remote 192.0.2.7 [501] inherit anonymous",
    "remote \"x y\" inherit 192.0.2.7",
    "remote 2001:db8::1 inherit \"x y\"",
    "sainfo anonymous",
    "sainfo anonymous clientaddr",
    "sainfo address 10.0.0.0/8 any address 192.0.2.7 any",
    "sainfo subnet 10.0.0.0/8 [1701] udp anonymous",
];

fn block() -> impl Strategy<Value = String> {
    prop::sample::select(HEADS).prop_flat_map(|head| {
        let items = if head.starts_with("remote") {
            REMOTE
        } else {
            SAINFO
        };
        prop::collection::vec(prop::sample::select(items), 0..5)
            .prop_map(move |items| format!("{head} {{\n{}\n}}\n", items.join("\n")))
    })
}

proptest! {
    #[test]
    fn configurations(blocks in prop::collection::vec(block(), 0..4)) {
        let (server, phase2) = (super::SERVER, super::PHASE2);
        let installation = Installation::new(&format!("{server}{phase2}{}", blocks.concat()));
        match installation.load() {
            Err(problems) => prop_assert!(!problems.0.is_empty()),
            Ok(config) => {
                let text = write::yaml(&config, Secrets::Shown, &|_| None);
                let again = Config::from_source(&Source::new("ike.yaml", text.clone()));
                match again {
                    Ok(again) => prop_assert_eq!(
                        again.policy.remotes.len(), config.policy.remotes.len()
                    ),
                    Err(problems) => prop_assert!(false, "{}\n{}", problems, text),
                }
            }
        }
    }

    #[test]
    fn scripts(lines in prop::collection::vec(prop::sample::select(vec![
        "spdadd", "add", "192.0.2.1", "10.0.0.0/8[1701]", "[any]", "udp", "any", "-P", "in", "out",
        "ipsec", "none", "esp/tunnel/192.0.2.1-192.0.2.7/unique:9", "esp/transport//use", ";", "esp",
        "0x1001", "-E", "aes-cbc", "null", "0x00ff", "\"x\"", "-A", "hmac-sha1", "-natt", "-lh", "9",
    ]), 0..60)) {
        let installation = Installation::new(&format!("{}{}", super::SERVER, super::PHASE2));
        if let Err(problems) = installation.load_with(&lines.join(" ")) {
            prop_assert!(!problems.0.is_empty());
        }
    }
}

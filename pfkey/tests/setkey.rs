//! `setkey -D` and `setkey -DP` text against samples in the layout of FreeBSD 14's setkey(8).

#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::civil::date;
use jiff::tz::TimeZone;
use pfkey::ext::{SCOPE_GLOBAL, UDP_ENCAP_ESPINUDP};
use pfkey::*;

fn seconds(day: i8, hour: i8, minute: i8, second: i8) -> u64 {
    let zoned = date(2026, 3, day)
        .at(hour, minute, second, 0)
        .to_zoned_datetime(TimeZone::UTC)
        .unwrap();
    zoned.timestamp().as_second() as u64
}

fn key(len: usize) -> Key {
    let bytes: Vec<u8> = (0..len).map(|i| (i as u8 % 16) * 0x11).collect();
    Key::new(&bytes)
}

fn entry() -> Message {
    let mut message = Message::new(MessageType::DUMP, SaType::ESP, 1, 2417)
        .with(Extension::Sa(Sa {
            spi: 0xcabb_4141,
            replay: 4,
            state: SaState::MATURE,
            authentication: AuthenticationAlgorithm::SHA1_HMAC,
            encryption: EncryptionAlgorithm::AES_CBC,
            flags: 0,
        }))
        .with(Extension::Sa2(Sa2 {
            mode: Mode::TRANSPORT,
            sequence: 0x1c2,
            reqid: 16386,
        }))
        .with(Extension::LifetimeHard(Lifetime {
            add_time: 3600,
            ..Lifetime::default()
        }))
        .with(Extension::LifetimeSoft(Lifetime {
            add_time: 2880,
            ..Lifetime::default()
        }))
        .with(Extension::LifetimeCurrent(Lifetime {
            allocations: 450,
            bytes: 78124,
            add_time: seconds(4, 9, 15, 31),
            use_time: seconds(4, 9, 41, 1),
        }))
        .with(Extension::AddressSource(Address::host(
            "198.51.100.9".parse().unwrap(),
        )))
        .with(Extension::AddressDestination(Address::host(
            "203.0.113.4".parse().unwrap(),
        )))
        .with(Extension::KeyAuthentication(key(20)))
        .with(Extension::KeyEncryption(key(16)))
        .with(Extension::NatTType(UDP_ENCAP_ESPINUDP))
        .with(Extension::NatTSourcePort(4500))
        .with(Extension::NatTDestinationPort(31044));
    message.reserved = 1;
    message
}

const ENTRY: &str = "\
198.51.100.9[4500] 203.0.113.4[31044]
\tesp-udp mode=transport spi=3401269569(0xcabb4141) reqid=16386(0x00004002)
\tE: aes-cbc  00112233 44556677 8899aabb ccddeeff
\tA: hmac-sha1  00112233 44556677 8899aabb ccddeeff 00112233
\tseq=0x000001c2 replay=4 flags=0x00000000 state=mature 
\tcreated: Mar  4 09:15:31 2026\tcurrent: Mar  4 09:41:02 2026
\tdiff: 1531(s)\thard: 3600(s)\tsoft: 2880(s)
\tlast: Mar  4 09:41:01 2026\thard: 0(s)\tsoft: 0(s)
\tcurrent: 78124(bytes)\thard: 0(bytes)\tsoft: 0(bytes)
\tallocated: 450\thard: 0\tsoft: 0
\tsadb_seq=1 pid=2417 refcnt=1
";

#[test]
fn an_encapsulated_sa() {
    assert_eq!(
        setkey::sa(&entry(), seconds(4, 9, 41, 2), &TimeZone::UTC),
        ENTRY
    );
}

#[test]
fn an_aead_sa_unused_with_a_wide_window_and_original_address() {
    let message = Message::new(MessageType::DUMP, SaType::ESP, 0, 9)
        .with(Extension::Sa(Sa {
            spi: 0x100,
            replay: 255,
            state: SaState::DYING,
            authentication: AuthenticationAlgorithm::AES256_GMAC,
            encryption: EncryptionAlgorithm::AES_GCM_16,
            flags: 0x400,
        }))
        .with(Extension::Sa2(Sa2 {
            mode: Mode::TRANSPORT,
            sequence: 0,
            reqid: 0,
        }))
        .with(Extension::SaReplay(4096))
        .with(Extension::LifetimeCurrent(Lifetime {
            add_time: seconds(14, 0, 0, 0),
            ..Lifetime::default()
        }))
        .with(Extension::AddressSource(Address::host(
            "2001:db8::1".parse().unwrap(),
        )))
        .with(Extension::AddressDestination(Address::host(
            "2001:db8::2".parse().unwrap(),
        )))
        .with(Extension::KeyEncryption(key(36)))
        .with(Extension::NatTType(UDP_ENCAP_ESPINUDP))
        .with(Extension::NatTSourcePort(1))
        .with(Extension::NatTDestinationPort(2))
        .with(Extension::NatTOriginalInitiator(Address::host(
            "10.0.0.2".parse().unwrap(),
        )));
    assert_eq!(
        setkey::sa(&message, seconds(14, 0, 0, 0), &TimeZone::UTC),
        "\
2001:db8::1[1] 2001:db8::2[2]
\tesp-udp mode=transport spi=256(0x00000100) reqid=0(0x00000000)
\tNAT: OAI=10.0.0.2
\tE: aes-gcm-16  00112233 44556677 8899aabb ccddeeff 00112233 44556677 8899aabb ccddeeff
 00112233
\tseq=0x00000000 replay=512 flags=0x00000400 state=dying 
\tcreated: Mar 14 00:00:00 2026\tcurrent: Mar 14 00:00:00 2026
\tdiff: 0(s)\thard: 0(s)\tsoft: 0(s)
\tlast:                     \thard: 0(s)\tsoft: 0(s)
\tcurrent: 0(bytes)\thard: 0(bytes)\tsoft: 0(bytes)
\tallocated: 0\thard: 0\tsoft: 0
\tsadb_seq=0 pid=9 refcnt=0
"
    );
}

#[test]
fn a_larval_sa_without_keys_and_an_unknown_algorithm() {
    let mut message = entry();
    message.extensions.retain(|extension| {
        !matches!(
            extension.kind(),
            ExtensionKind::KeyAuthentication
                | ExtensionKind::NatTType
                | ExtensionKind::LifetimeCurrent
        )
    });
    for extension in &mut message.extensions {
        if let Extension::Sa(sa) = extension {
            sa.state = SaState::LARVAL;
            sa.encryption = EncryptionAlgorithm(99);
        }
    }
    assert_eq!(
        setkey::sa(&message, 0, &TimeZone::UTC),
        "\
198.51.100.9 203.0.113.4
\tesp mode=transport spi=3401269569(0xcabb4141) reqid=16386(0x00004002)
\tE: 99  00112233 44556677 8899aabb ccddeeff
\tseq=0x000001c2 replay=4 flags=0x00000000 state=larval 
\tsadb_seq=1 pid=2417 refcnt=1
"
    );
}

fn selector(ip: &str, prefix_len: u8, port: u16, protocol: u8) -> Address {
    Address::selector(ip.parse().unwrap(), prefix_len, port, protocol)
}

#[test]
fn a_policy() {
    let mut policy = Policy::ipsec(Direction::INBOUND, PolicyRequest::esp_transport_unique(12));
    policy.id = 7;
    policy.scope = SCOPE_GLOBAL;
    let mut message = Message::new(MessageType::X_SPDDUMP, SaType::UNSPEC, 1, 2417)
        .with(Extension::Policy(policy))
        .with(Extension::LifetimeCurrent(Lifetime {
            add_time: seconds(4, 9, 15, 31),
            use_time: seconds(4, 9, 41, 1),
            ..Lifetime::default()
        }))
        .with(Extension::LifetimeHard(Lifetime {
            add_time: 3600,
            ..Lifetime::default()
        }))
        .with(Extension::AddressSource(selector(
            "203.0.113.4",
            32,
            1701,
            17,
        )))
        .with(Extension::AddressDestination(selector(
            "198.51.100.9",
            32,
            1701,
            17,
        )));
    message.reserved = 1;
    assert_eq!(
        setkey::policy(&message, &TimeZone::UTC),
        "\
203.0.113.4[1701] 198.51.100.9[1701] udp
\tin ipsec
\tesp/transport//unique:12
\tcreated: Mar  4 09:15:31 2026  lastused: Mar  4 09:41:01 2026
\tlifetime: 3600(s) validtime: 0(s)
\tspid=7 seq=1 pid=2417 scope=global 
\trefcnt=1
"
    );
}

#[test]
fn policy_selectors_prefixes_ports_protocols() {
    let text = |source: Address, destination: Address, policy: Policy| {
        let message = Message::default()
            .with(Extension::Policy(policy))
            .with(Extension::AddressSource(source))
            .with(Extension::AddressDestination(destination));
        setkey::policy(&message, &TimeZone::UTC)
    };
    let request = PolicyRequest {
        mode: Mode::TUNNEL,
        reqid: 16385,
        tunnel: Some((
            "192.0.2.1:0".parse().unwrap(),
            "192.0.2.2:0".parse().unwrap(),
        )),
        ..PolicyRequest::esp_transport_unique(0)
    };
    let mut tunnel = Policy::ipsec(Direction::OUTBOUND, request);
    tunnel.scope = SCOPE_GLOBAL;
    assert_eq!(
        text(
            selector("0.0.0.0", 0, 0, 255),
            selector("10.1.0.0", 16, 0, 255),
            tunnel.clone()
        ),
        "0.0.0.0/0[any] 10.1.0.0/16[any] any\n\tout ipsec\n\
         \tesp/tunnel/192.0.2.1-192.0.2.2/unique#16385\n\
         \tspid=0 seq=0 pid=0 scope=global \n\trefcnt=0\n"
    );
    let discard = Policy {
        scope: SCOPE_GLOBAL,
        ..Policy::plain(PolicyType::DISCARD, Direction::INBOUND)
    };
    let v6 = |port| selector("2001:db8::", 64, port, 58);
    assert_eq!(
        text(v6(135), v6(0), discard),
        "2001:db8::/64 2001:db8::/64 icmp6 135,0\n\tin discard\n\
         \tspid=0 seq=0 pid=0 scope=global \n\trefcnt=0\n"
    );
    let per_socket = Message::default().with(Extension::Policy(Policy {
        scope: 4,
        ..Policy::plain(PolicyType::BYPASS, Direction::OUTBOUND)
    }));
    assert_eq!(
        setkey::policy(&per_socket, &TimeZone::UTC),
        "(no selector, probably per-socket policy) \n\tout bypass\n\
         \tspid=0 seq=0 pid=0 scope=pcb \n\trefcnt=0\n"
    );
}

#[test]
fn nothing_to_show() {
    assert_eq!(setkey::dump(&[], 0, &TimeZone::UTC), "No SAD entries.\n");
    assert_eq!(setkey::spd_dump(&[], &TimeZone::UTC), "No SPD entries.\n");
}
